"""Claim, no-op handler, finish: jobs a second, against a bare loop and TaskFlow's etcd jobboard.

usage: python benchmarks/throughput.py [--jobs N] [--workers 1,2,4,8] [--rounds N] [--taskflow]

All on one etcd, in one run, in turns: of several rounds the medians are told, and their ratios.

ours      workers of this library, eight slots each: they find their jobs, and send what is ready
          in one request, finishes and next claims, each a transaction of its own nested in it
bare      a loop on etcd3's stubs over the very same transactions, built beforehand; it is told its
          jobs: one request for a claim, one for a finish
batched   the same, with eight finishes and the next eight claims in each request
taskflow  OpenStack TaskFlow's etcd jobboard with so many jobs posted: claim under a lease, as ours
          are, and consume; it writes no results. Each worker goes through the board as TaskFlow's
          own conductor does

Records are the documented ones. Each worker has a connection of its own, in a thread, which also
runs its handlers, or in a process. What takes longer than the limit is ended, and shown as "-".
"""

from __future__ import annotations

import argparse
import itertools
import multiprocessing
import os
import signal
import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from types import SimpleNamespace
from typing import Any

from estates import SCHEMAS, TEMPLATE_REF, no_op, ref, template, thing

from gohan_jobs.bookkeeping import JobNotes
from gohan_jobs.clock import SystemClock
from gohan_jobs.codec import Codec
from gohan_jobs.handlers import Done
from gohan_jobs.keys import Keys, Place
from gohan_jobs.lifecycle import Lifecycle
from gohan_jobs.manager import ManagerOptions
from gohan_jobs.orchestrators.simulated import SimulatedHeat
from gohan_jobs.queue import Fence, Queue
from gohan_jobs.records import Job
from gohan_jobs.redaction import Redactor
from gohan_jobs.stores.base import Delete, Put, Transaction, scan
from gohan_jobs.stores.etcd import EtcdStore, messages
from gohan_jobs.testing.etcd import EtcdCluster
from gohan_jobs.worker import WorkerOptions
from gohan_jobs.worker.claim import Claim, WorkerLease
from gohan_jobs.worker.publishing import finish_of

KEYS = Keys()
GO = "/benchmark/go"
SPAWN = multiprocessing.get_context("spawn")
SLOTS = 8
STUCK = 30.0
NOTHING = float("nan")


def prepare(endpoints: Sequence[str], jobs: int) -> float:
    """Plan and queue jobs, all ready; configs a second."""
    with EtcdStore(endpoints) as store:
        clear(store)
        lifecycle = Lifecycle(
            store,
            SimulatedHeat(SystemClock()),
            SCHEMAS,
            roles=("manager",),
            hooks=(),
            manager=ManagerOptions(default_slots=10**6, claim_pause=1),
        )
        lifecycle.submit(template(), TEMPLATE_REF)
        lifecycle.run_until_idle()
        for number in range(jobs):
            lifecycle.submit(thing(number), ref(number))
        began = time.perf_counter()
        lifecycle.run_until_idle()
        seconds = time.perf_counter() - began
        lifecycle.close()
    return jobs / seconds


def clear(store: EtcdStore) -> None:
    """Empty the keyspace, and its history."""
    for page in scan(store, "/"):
        keys = [entry.key for entry in page.entries]
        for start in range(0, len(keys), 100):
            store.transact(Transaction((), tuple(Delete(key) for key in keys[start : start + 100])))
    store.compact(store.revision())


def wait_for_go(store: EtcdStore) -> None:
    """Hold until all workers are there."""
    while store.get(GO) is None:
        time.sleep(0.002)


def our_worker(endpoints: Sequence[str], _told: Sequence[Any], started: Any) -> None:
    """One of ours: works until every job is finished."""
    with EtcdStore(endpoints) as store:
        lifecycle = Lifecycle(
            store,
            SimulatedHeat(SystemClock()),
            SCHEMAS,
            roles=("worker",),
            hooks=(),
            handlers={"heat_worker": no_op},
            worker=WorkerOptions(slots=SLOTS),
        )
        lifecycle.step()  # registers
        started.release()
        wait_for_go(store)
        idle = 0
        while idle < 200:
            if lifecycle.step():
                idle = 0
            else:
                idle += 1
                time.sleep(0.0005)
        lifecycle.close()


def bare_worker(endpoints: Sequence[str], part: Sequence[Any], started: Any) -> None:
    """A loop on etcd3's stubs over requests built beforehand."""
    with EtcdStore(endpoints) as store:
        lease = store.grant_lease(60)
        requests = [bare_requests(entry, lease.id) for entry in part]
        call = store._connection.call  # noqa: SLF001 - bare, but with its errors explained
        started.release()
        wait_for_go(store)
        for claim, finish in requests:
            answer = call("Txn", claim)
            finish.compare[0].create_revision = answer.header.revision
            call("Txn", finish)


def batching_worker(endpoints: Sequence[str], part: Sequence[Any], started: Any) -> None:
    """As the bare one, with several finishes and the next claims in each request."""
    rpc = messages.load()
    with EtcdStore(endpoints) as store:
        lease = store.grant_lease(60)
        pairs = [bare_requests(entry, lease.id) for entry in part]
        batches = [pairs[at : at + SLOTS] for at in range(0, len(pairs), SLOTS)]
        call = store._connection.call  # noqa: SLF001 - bare, but with its errors explained
        started.release()
        wait_for_go(store)
        revision = 0
        for ending, beginning in itertools.pairwise([[], *batches, []]):
            request = rpc.TxnRequest()
            for _, finish in ending:
                finish.compare[0].create_revision = revision
                request.success.add().request_txn.CopyFrom(finish)
            for claim, _ in beginning:
                request.success.add().request_txn.CopyFrom(claim)
            revision = call("Txn", request).header.revision


def bare_requests(entry: Any, lease: int) -> tuple[Any, Any]:
    """The two transactions of one job, as our worker would send them."""
    job_text, notes_text, ready = entry
    codec = Codec()
    queue = Queue(KEYS, codec)
    job: Job = codec.job(*job_text)
    notes = queue.own.loads(*notes_text, JobNotes)
    path = SCHEMAS.by_type("thing").path_of(job.resource_id)
    rpc = messages.load()
    claim = queue.claim(job.id, path, ready, "0" * 36, lease)
    fence = Fence(KEYS.place(Place.WORKING, job.id), 1)
    held = Claim(
        job=job,
        notes=notes,
        holder="",
        fence=fence,
        planned_at=0,
        own_stack=None,
        lease=WorkerLease(SystemClock()),
        now=lambda: 0.0,
    )
    outcome = no_op_outcome(job)
    finish = queue.finish(fence, finish_of(held, outcome, Redactor()))
    return messages.transaction_request(rpc, claim), messages.transaction_request(rpc, finish)


def no_op_outcome(job: Job) -> Done:
    """What the no-op handler gives."""
    return no_op(SimpleNamespace(job=job))


def queued(store: EtcdStore) -> list[Any]:
    """What the bare loop is told of every job."""
    ready = {
        entry.key.rpartition("/")[2]: entry.mod_revision
        for page in scan(store, KEYS.place_prefix(Place.READY), page=2000)
        for entry in page.entries
    }
    jobs = {
        entry.key.rpartition("/")[2]: (entry.key, entry.value)
        for page in scan(store, KEYS.all_jobs)
        for entry in page.entries
    }
    notes = {
        entry.key.rpartition("/")[2]: (entry.key, entry.value)
        for page in scan(store, "/gohan-jobs/jobs/")
        for entry in page.entries
    }
    return [(jobs[name], notes[name], revision) for name, revision in ready.items()]


def measure(
    endpoints: Sequence[str], jobs: int, workers: int, *, processes: bool, worker: Any
) -> float:
    """Jobs a second."""
    prepare(endpoints, jobs)
    started = (SPAWN if processes else threading).Semaphore(0)
    make = SPAWN.Process if processes else threading.Thread
    with EtcdStore(endpoints) as store:
        rows = [] if worker is our_worker else queued(store)
        parts = [rows[index::workers] for index in range(workers)]
        members = [make(target=worker, args=(endpoints, part, started)) for part in parts]
        for member in members:
            member.start()
        for _ in members:
            started.acquire()
        began = time.perf_counter()
        store.transact(Transaction((), (Put(GO, b"go"),)))
        wait_for_finished(store, jobs)
        seconds = time.perf_counter() - began
        for member in members:
            member.join()
    return jobs / seconds


def wait_for_finished(store: EtcdStore, jobs: int) -> None:
    """Count now and then: to be told of each would cost as much as an eighth of its job."""
    finished, changed = 0, time.monotonic()
    while finished < jobs:
        time.sleep(0.005)
        count = store.count(KEYS.place_prefix(Place.FINISHED))
        if count > finished:
            finished, changed = count, time.monotonic()
        elif time.monotonic() > changed + STUCK:
            raise SystemExit(f"only {finished} of {jobs} jobs were finished")


def board(endpoints: Sequence[str]) -> Any:
    """A connection to TaskFlow's jobboard, an optional package."""
    from taskflow.jobs import backends  # noqa: PLC0415 - see above

    host, _, port = endpoints[0].rpartition(":")
    made = backends.fetch("benchmark", {"board": "etcd", "host": host, "port": int(port)})
    made.connect()
    return made


def taskflow_worker(endpoints: Sequence[str], name: str, started: Any, done: Any) -> None:
    """Goes through the board until there is nothing left to claim."""
    from taskflow.exceptions import NotFound, UnclaimableJob  # noqa: PLC0415 - optional

    mine = board(endpoints)
    with EtcdStore(endpoints) as store:
        started.release()
        wait_for_go(store)
    found = True
    while found:
        found = False
        for job in mine.iterjobs(only_unclaimed=True, ensure_fresh=True):
            found = True
            try:
                mine.claim(job, name, expiry=60)
            except (NotFound, UnclaimableJob):
                continue
            mine.consume(job, name)
            done.release()
    mine.close()


def measure_taskflow(
    endpoints: Sequence[str], jobs: int, workers: int, *, processes: bool
) -> float:
    """Jobs a second of TaskFlow's etcd jobboard: claim and consume."""
    context: Any = SPAWN if processes else threading
    started, done = context.Semaphore(0), context.Semaphore(0)
    make: Any = SPAWN.Process if processes else threading.Thread
    with EtcdStore(endpoints) as store:
        clear(store)
        poster = board(endpoints)
        for number in range(jobs):
            poster.post(f"job{number}", details={"description": "x" * 1000})
        poster.close()
        members = [
            make(target=taskflow_worker, args=(endpoints, f"worker{index}", started, done))
            for index in range(workers)
        ]
        for member in members:
            member.start()
        for _ in members:
            started.acquire()
        began = time.perf_counter()
        store.transact(Transaction((), (Put(GO, b"go"),)))
        for _ in range(jobs):
            done.acquire()
        seconds = time.perf_counter() - began
    for member in members:
        member.join()
    return jobs / seconds


def child(results: Any, call: Callable[..., float], arguments: Any, options: Any) -> None:
    """One measurement in a session of its own, so that all of it can be ended."""
    os.setsid()
    results.put(call(*arguments, **options))


def within(limit: float, call: Callable[..., float], *arguments: Any, **options: Any) -> float:
    """What a measurement in a fresh process gives; NaN if it takes too long, or fails."""
    results = SPAWN.SimpleQueue()
    process = SPAWN.Process(target=child, args=(results, call, arguments, options))
    process.start()
    process.join(limit)
    if process.exitcode is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.join()
    return NOTHING if results.empty() else float(results.get())


KINDS = {"ours": our_worker, "bare": bare_worker, "batched": batching_worker}


def rows(endpoints: Sequence[str], options: Any) -> Iterator[tuple[str, dict[str, float]]]:
    """Each line's name and figures, as they come."""
    for processes, workers in itertools.product(
        (False, True), map(int, options.workers.split(","))
    ):
        found: dict[str, list[float]] = {}
        for _ in range(options.rounds):
            for kind, worker in KINDS.items():
                arguments = (measure, endpoints, options.jobs, workers)
                figure = within(options.limit, *arguments, processes=processes, worker=worker)
                found.setdefault(kind, []).append(figure)
            if options.taskflow:
                arguments = (measure_taskflow, endpoints, options.taskflow_jobs, workers)
                figure = within(options.limit, *arguments, processes=processes)
                found.setdefault("taskflow", []).append(figure)
        name = f"{workers} {'processes' if processes else 'threads'}"
        yield name, {kind: statistics.median(figures) for kind, figures in found.items()}


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    about = __doc__ or ""
    parser = argparse.ArgumentParser(
        description=about.splitlines()[0],
        epilog=about.partition("[--taskflow]")[2],
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--jobs", type=int, default=2000, help="queued for each figure")
    parser.add_argument("--workers", default="1,2,4,8", help="how many, separated by commas")
    parser.add_argument("--rounds", type=int, default=3, help="in turns; medians are told")
    parser.add_argument("--limit", type=float, default=120.0, help="seconds for one figure")
    parser.add_argument("--taskflow", action="store_true", help="needs taskflow and etcd3gw")
    parser.add_argument("--taskflow-jobs", type=int, default=500, help="posted on its board")
    options = parser.parse_args(arguments)
    with EtcdCluster(members=1) as cluster:
        rate = within(options.limit, prepare, cluster.endpoints, options.jobs)
        print(f"planned and queued by one manager: {rate:.0f} configs/s")
        against = [
            kind for kind in (*KINDS, "taskflow")[1:] if kind != "taskflow" or options.taskflow
        ]
        print(
            "".join(
                f"{title:>12}"
                for title in ("workers", "ours", *against, *(f"/{kind}" for kind in against))
            )
        )
        for name, figures in rows(cluster.endpoints, options):
            line = [f"{figures[kind]:12.0f}" for kind in ("ours", *against)]
            line += [f"{figures['ours'] / figures[kind]:12.2f}" for kind in against]
            print(f"{name:>12}" + "".join(line).replace("nan", "  -"), flush=True)


if __name__ == "__main__":
    sys.exit(main())
