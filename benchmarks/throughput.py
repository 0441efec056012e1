"""Claim, no-op handler, finish: jobs a second, against a bare loop and TaskFlow's etcd jobboard.

usage: python benchmarks/throughput.py [--jobs N] [--workers 1,2,4,8] [--rounds N] [--taskflow]

All on one etcd, in one run, in turns: of several rounds the medians are told, and their ratios.

ours      workers of this library, eight slots each: they find their jobs, and send what is ready
          in one request, finishes and next claims, each a transaction of its own nested in it
bare      a loop on etcd3's stubs over the very same transactions, built beforehand; it is told its
          jobs: one request for a claim, one for a finish
batched   the same, with eight finishes and the next eight claims in each request
taskflow  OpenStack TaskFlow's etcd jobboard with as many jobs posted: claim under a lease, as ours
          are, and consume; it writes no results. Each worker goes through the board as that of
          TaskFlow's own example does
conductor the same jobboard, each worker TaskFlow's own, a blocking conductor, without any flow

Records are the documented ones. Each worker has a connection of its own, in a thread, which also
runs its handlers, or in a process. What takes longer than the limit is ended, and shown as "-".

Then the latencies, in milliseconds, median / 99th percentile: of a claim, from sending it until it
is known to be made; and of its finish, from then, with the handler, until the results are known to
be written. What goes together in a request takes as long as the request.
"""

from __future__ import annotations

import argparse
import itertools
import math
import multiprocessing
import os
import queue
import signal
import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import attrs
from contenders import GO, KEYS, KINDS, Sample, board, queued
from estates import SCHEMAS, TEMPLATE_REF, ref, template, thing

from gohan_jobs.clock import SystemClock
from gohan_jobs.keys import Place
from gohan_jobs.lifecycle import Lifecycle
from gohan_jobs.manager import ManagerOptions
from gohan_jobs.orchestrators.simulated import SimulatedHeat
from gohan_jobs.stores.base import Delete, Put, Transaction, scan
from gohan_jobs.stores.etcd import EtcdStore
from gohan_jobs.testing.etcd import EtcdCluster

SPAWN = multiprocessing.get_context("spawn")
NOTHING = float("nan")
TASKFLOW = ("taskflow", "conductor")


@attrs.frozen
class Figures:
    """What one measurement gave; of several, the medians.

    Attributes:
        rate: jobs a second.
        claim: seconds, median and 99th percentile.
        finish: likewise.
    """

    rate: float = NOTHING
    claim: tuple[float, float] = (NOTHING, NOTHING)
    finish: tuple[float, float] = (NOTHING, NOTHING)


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
        ready = KEYS.place_prefix(Place.READY)
        while lifecycle.run_until_idle() or store.count(ready) < jobs:
            pass  # etcd tells a watch that has just begun only ten times a second
        seconds = time.perf_counter() - began
        lifecycle.close()
    return jobs / seconds


def post(endpoints: Sequence[str], jobs: int) -> None:
    """Post jobs on TaskFlow's board, of a kilobyte each, as ours are."""
    with EtcdStore(endpoints) as store:
        clear(store)
    poster = board(endpoints)
    for number in range(jobs):
        poster.post(f"job{number}", details={"description": "x" * 1000})
    poster.close()


def clear(store: EtcdStore) -> None:
    """Empty the keyspace, and its history."""
    for page in scan(store, "/"):
        keys = [entry.key for entry in page.entries]
        for start in range(0, len(keys), 100):
            store.transact(Transaction((), tuple(Delete(key) for key in keys[start : start + 100])))
    store.compact(store.revision())


def measure(
    endpoints: Sequence[str], jobs: int, workers: int, *, processes: bool, kind: str
) -> Figures:
    """Have so many jobs done by so many workers of a kind."""
    context: Any = SPAWN if processes else threading
    started = context.Semaphore(0)
    samples: Any = SPAWN.SimpleQueue() if processes else queue.SimpleQueue()
    make: Any = SPAWN.Process if processes else threading.Thread
    with EtcdStore(endpoints) as store:
        if kind in TASKFLOW:
            post(endpoints, jobs)
            parts: list[Any] = [(f"worker{index}",) for index in range(workers)]
        else:
            prepare(endpoints, jobs)
            rows = queued(store)
            parts = [rows[index::workers] for index in range(workers)]
        members = [
            make(target=KINDS[kind], args=(endpoints, part, started, samples)) for part in parts
        ]
        for member in members:
            member.start()
        for _ in members:
            started.acquire()
        began = time.monotonic()
        store.transact(Transaction((), (Put(GO, b"go"),)))
        found: list[Sample] = list(itertools.chain(*(samples.get() for _ in members)))
        for member in members:
            member.join()
    if len(found) != jobs:
        raise SystemExit(f"{len(found)} of {jobs} jobs were finished")
    return Figures(
        rate=jobs / (max(sample.at for sample in found) - began),
        claim=spread([sample.claim for sample in found]),
        finish=spread([sample.finish for sample in found]),
    )


def spread(values: Sequence[float]) -> tuple[float, float]:
    """Median and 99th percentile."""
    return statistics.median(values), sorted(values)[len(values) * 99 // 100]


def child(results: Any, call: Callable[..., Any], arguments: Any, options: Any) -> None:
    """One measurement in a session of its own, so that all of it can be ended."""
    os.setsid()
    results.put(call(*arguments, **options))


def within(limit: float, call: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """What a measurement in a fresh process gives; None if it takes too long, or fails."""
    results = SPAWN.SimpleQueue()
    process = SPAWN.Process(target=child, args=(results, call, arguments, options))
    process.start()
    process.join(limit)
    if process.exitcode is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.join()
    return None if results.empty() else results.get()


def median(found: Sequence[Figures]) -> Figures:
    """The medians of several measurements."""

    def of(values: Iterator[float]) -> float:
        return statistics.median(values)

    return Figures(
        rate=of(each.rate for each in found),
        claim=(of(each.claim[0] for each in found), of(each.claim[1] for each in found)),
        finish=(of(each.finish[0] for each in found), of(each.finish[1] for each in found)),
    )


def rows(
    endpoints: Sequence[str], kinds: Sequence[str], options: Any
) -> Iterator[tuple[str, dict[str, Figures]]]:
    """Each line's name and figures, as they come."""
    for processes, workers in itertools.product(
        (False, True), map(int, options.workers.split(","))
    ):
        found: dict[str, list[Figures]] = {kind: [] for kind in kinds}
        for _ in range(options.rounds):
            for kind in kinds:
                arguments = (measure, endpoints, options.jobs, workers)
                figures = within(options.limit, *arguments, processes=processes, kind=kind)
                found[kind].append(figures or Figures())
        name = f"{workers} {'processes' if processes else 'threads'}"
        yield name, {kind: median(each) for kind, each in found.items()}


def line(name: str, cells: Sequence[str], width: int = 12) -> None:
    """Print one line of a table."""
    print(f"{name:>12}" + "".join(f"{cell:>{width}}" for cell in cells), flush=True)


def shown(number: float, digits: int = 0) -> str:
    """A number; what could not be measured is a dash."""
    return "-" if math.isnan(number) else f"{number:.{digits}f}"


def milliseconds(seconds: tuple[float, float]) -> str:
    """A median and a percentile."""
    return " / ".join(shown(1000 * each, 1) for each in seconds)


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
    parser.add_argument("--limit", type=float, default=240.0, help="seconds for one figure")
    parser.add_argument("--taskflow", action="store_true", help="needs taskflow and etcd3gw")
    options = parser.parse_args(arguments)
    kinds = [kind for kind in KINDS if kind not in TASKFLOW or options.taskflow]
    with EtcdCluster(members=1) as cluster:
        rate = within(options.limit, prepare, cluster.endpoints, options.jobs)
        print(f"planned and queued by one manager: {shown(rate or NOTHING)} configs/s")
        line("jobs/s", [*kinds, *(f"/{kind}" for kind in kinds[1:])])
        latencies = []
        for name, found in rows(cluster.endpoints, kinds, options):
            ratios = [shown(found["ours"].rate / found[kind].rate, 2) for kind in kinds[1:]]
            line(name, [*(shown(found[kind].rate) for kind in kinds), *ratios])
            latencies.append((name, found))
        line("ms", [f"{kind} {step}" for step in ("claim", "finish") for kind in kinds], 18)
        for name, found in latencies:
            cells = [milliseconds(found[kind].claim) for kind in kinds]
            line(name, cells + [milliseconds(found[kind].finish) for kind in kinds], 18)


if __name__ == "__main__":
    sys.exit(main())
