"""Claim, no-op handler, finish: jobs a second, against a bare loop and TaskFlow's etcd jobboard.

usage: python benchmarks/throughput.py [--jobs N] [--workers 1,2,4,8] [--taskflow]

All on one etcd, in one run, in turn. The bare loop sends the very transactions that a worker of
this library sends, built beforehand, on etcd3's stubs: two requests a job, nothing else. Each
worker, ours or bare, has a connection of its own; ours are to find their jobs, the bare ones are
told. Records are the documented ones. The last column is ours by bare.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import threading
import time
from collections.abc import Sequence
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


def finished(store: EtcdStore) -> int:
    """How many jobs are finished."""
    prefix = KEYS.place_prefix(Place.FINISHED)
    return sum(len(page.entries) for page in scan(store, prefix, page=5000))


def wait_for_go(store: EtcdStore) -> None:
    """Hold until all workers are there."""
    while store.get(GO) is None:
        time.sleep(0.002)


def our_worker(endpoints: Sequence[str], jobs: int, started: Any) -> None:
    """One of ours: works until every job is finished."""
    with EtcdStore(endpoints) as store:
        lifecycle = Lifecycle(
            store,
            SimulatedHeat(SystemClock()),
            SCHEMAS,
            roles=("worker",),
            hooks=(),
            handlers={"heat_worker": no_op},
            worker=WorkerOptions(slots=8),
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
    del jobs


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
    endpoints: Sequence[str], jobs: int, workers: int, *, processes: bool, bare: bool
) -> float:
    """Jobs a second."""
    prepare(endpoints, jobs)
    context = SPAWN if processes else threading
    started = context.Semaphore(0)
    make = SPAWN.Process if processes else threading.Thread
    with EtcdStore(endpoints) as store:
        if bare:
            rows = queued(store)
            parts = [rows[index::workers] for index in range(workers)]
            members = [make(target=bare_worker, args=(endpoints, part, started)) for part in parts]
        else:
            members = [
                make(target=our_worker, args=(endpoints, jobs, started)) for _ in range(workers)
            ]
        for member in members:
            member.start()
        for _ in members:
            started.acquire()
        watch = store.watch(KEYS.place_prefix(Place.FINISHED), store.revision() + 1)
        began = time.perf_counter()
        store.transact(Transaction((), (Put(GO, b"go"),)))
        count = 0
        while count < jobs:
            batch = watch.poll(30.0)
            if batch is None:
                raise SystemExit(f"only {count} of {jobs} jobs were finished")
            count += len(batch.events)
        seconds = time.perf_counter() - began
        watch.close()
        for member in members:
            member.join()
    return jobs / seconds


def taskflow(endpoints: Sequence[str], jobs: int, workers: int) -> float:  # noqa: C901 - one test bed
    """Jobs a second of TaskFlow's etcd jobboard: claim and consume, eight threads at most."""
    # An optional package: only asked for with --taskflow.
    from taskflow.exceptions import UnclaimableJob  # noqa: PLC0415 - see above
    from taskflow.jobs import backends  # noqa: PLC0415 - likewise

    host, _, port = endpoints[0].rpartition(":")
    conf = {"board": "etcd", "host": host, "port": int(port)}

    def board(name: str) -> Any:
        made = backends.fetch(name, conf)
        made.connect()
        return made

    poster = board("benchmark")
    for number in range(jobs):
        poster.post(f"job{number}", details={"description": "x" * 1000})
    boards = [board("benchmark") for _ in range(workers)]
    done = [0] * workers

    def work(index: int) -> None:
        mine = boards[index]
        while True:
            found = False
            for job in mine.iterjobs(only_unclaimed=True, ensure_fresh=True):
                found = True
                try:
                    mine.claim(job, f"worker{index}")
                except UnclaimableJob:
                    continue
                mine.consume(job, f"worker{index}")
                done[index] += 1
            if not found:
                return

    threads = [threading.Thread(target=work, args=(index,)) for index in range(workers)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - began
    for made in (poster, *boards):
        made.close()
    return sum(done) / seconds


def table(rows: list[tuple[str, int, float, float, float]]) -> None:
    """Print the figures."""
    print(f"{'workers':>14} {'ours':>8} {'bare':>8} {'taskflow':>9} {'/bare':>6} {'/taskflow':>9}")
    for kind, workers, ours, bare, other in rows:
        against = f"{ours / other:9.0f}" if other else f"{'-':>9}"
        print(
            f"{workers:>4} {kind:>9} {ours:8.0f} {bare:8.0f} "
            f"{other or float('nan'):9.1f} {ours / bare:6.2f} {against}"
        )


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=2000)
    parser.add_argument("--workers", default="1,2,4,8")
    parser.add_argument("--taskflow", action="store_true", help="needs taskflow, etcd3gw")
    parser.add_argument("--taskflow-jobs", type=int, default=60)
    options = parser.parse_args(arguments)
    counts = [int(count) for count in options.workers.split(",")]
    rows = []
    with EtcdCluster(members=1) as cluster:
        rate = prepare(cluster.endpoints, options.jobs)
        print(f"planned and queued by one manager: {rate:.0f} configs/s")
        for processes in (False, True):
            for workers in counts:
                figures = {}
                for bare in (False, True):
                    figures[bare] = measure(
                        cluster.endpoints, options.jobs, workers, processes=processes, bare=bare
                    )
                other = 0.0
                if options.taskflow and not processes:
                    other = taskflow(cluster.endpoints, options.taskflow_jobs, workers)
                kind = "processes" if processes else "threads"
                rows.append((kind, workers, figures[False], figures[True], other))
    table(rows)


if __name__ == "__main__":
    sys.exit(main())
