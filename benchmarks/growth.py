"""What must not grow: planning, claiming and releasing with ever more that is not concerned.

usage: python benchmarks/growth.py [--sizes 1000,10000,100000] [--finished 200000]

Each estate has so many resources, each referring to the one before it, all done. Start-up is a new
leader's reading of everything; planning, claiming and releasing are of one change, the median of
many. Then, without compaction, come the writes of ever so many finished jobs (straight to etcd, of
thirty jobs at a time: workers would leave the same history), and the same is measured again.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence

from estates import SCHEMAS, TEMPLATE_REF, no_op, ref, template, thing

from gohan_jobs.clock import SystemClock
from gohan_jobs.codec import Codec, Spelling
from gohan_jobs.keys import JobId, Keys, Place, ResourcePath
from gohan_jobs.lifecycle import Lifecycle
from gohan_jobs.orchestrators.simulated import SimulatedHeat
from gohan_jobs.queue import Queue
from gohan_jobs.records import ProcessedConfig, StateRecord, WorkerState
from gohan_jobs.stores.base import Delete, Operation, Put, Transaction
from gohan_jobs.stores.etcd import EtcdStore
from gohan_jobs.testing.etcd import EtcdCluster

KEYS = Keys()
CODEC = Codec()
REPEATS = 30


def fill(store: EtcdStore, count: int) -> None:
    """Resources that were done before this library came: config, processed copy, state."""
    schema = SCHEMAS.by_type("thing")
    assert schema is not None
    puts: list[Put] = []
    for number in range(count):
        config = thing(number, parent=number - 1 if number else None)
        path = schema.path_of(ref(number).resource_id)
        state = StateRecord(worker_state=WorkerState.CREATED, heat_outputs=(), version=1)
        processed = ProcessedConfig(body=config.body, deleted=False, version=1)
        puts += [
            Put(KEYS.config_of(path), CODEC.dumps(config, Spelling.WORKER).encode()),
            Put(KEYS.state_of(path), CODEC.dumps(state, Spelling.WORKER).encode()),
        ]
        puts.append(Put(KEYS.processed_of(path), CODEC.dumps(processed, Spelling.WORKER).encode()))
    for start in range(0, len(puts), 120):
        store.transact(Transaction((), tuple(puts[start : start + 120])))


def churn(store: EtcdStore, count: int) -> None:
    """Jobs that came and went: all that each leaves in the history, written many at a time."""
    for start in range(0, count, 30):
        rounds = zip(*(came_and_went(number) for number in range(start, start + 30)), strict=True)
        for steps in rounds:
            operations = tuple(operation for step in steps for operation in step)
            store.transact(Transaction((), operations))


def came_and_went(number: int) -> Iterator[Sequence[Operation]]:
    """What one job writes: it is queued, claimed, finished with a result, and released."""
    job_id = JobId("modify", "heat_worker", "thing", f"t{number % 1000:06}", number, "aaaaa")
    path = ResourcePath(f"v2.0/things/{job_id.resource_id}")
    queue = Queue(KEYS, CODEC)
    document, notes = KEYS.job(job_id), queue.own.job(job_id)
    ready, working, finished = (
        KEYS.place(place, job_id) for place in (Place.READY, Place.WORKING, Place.FINISHED)
    )
    state = StateRecord(worker_state=WorkerState.CREATED, heat_outputs=(), version=1)
    # Two jobs of one resource are 1,000 numbers apart, so never in the same transaction.
    yield Put(document, b"x" * 1200), Put(notes, b"x" * 200), Put(ready, b"heat_worker")
    yield Delete(ready), Put(working, b"x" * 36), Put(KEYS.job_state_of(path), b"{}")
    yield Delete(working), Put(finished, b""), Put(KEYS.state_of(path), queue.text(state))
    yield Delete(document), Delete(notes), Delete(finished), Delete(KEYS.job_state_of(path))


def member(store: EtcdStore, role: str) -> Lifecycle:
    """A lifecycle with one role, stepped by hand."""
    return Lifecycle(
        store,
        SimulatedHeat(SystemClock()),
        SCHEMAS,
        roles=(role,),
        hooks=(),
        handlers={"heat_worker": no_op},
    )


def until(lifecycle: Lifecycle, reached: Callable[[], bool]) -> float:
    """Step until something is so; seconds."""
    began = time.perf_counter()
    while not reached():
        if not lifecycle.step():
            time.sleep(0.0002)
    return time.perf_counter() - began


def one(store: EtcdStore, manager: Lifecycle, worker: Lifecycle, number: int) -> list[float]:
    """Plan, claim and finish, and release one change; seconds each."""
    places = {
        place: store.watch(KEYS.place_prefix(place), store.revision() + 1)
        for place in (Place.READY, Place.FINISHED)
    }
    time.sleep(0.15)  # etcd tells a watch that has just begun only ten times a second
    manager.submit(thing(number, version=2, parent=number - 1), ref(number))

    def seen(place: Place, *, gone: bool) -> Callable[[], bool]:
        def check() -> bool:
            batch = places[place].poll()
            return batch is not None and any((e.entry is None) is gone for e in batch.events)

        return check

    seconds = [
        until(manager, seen(Place.READY, gone=False)),
        until(worker, seen(Place.FINISHED, gone=False)),
        until(manager, seen(Place.FINISHED, gone=True)),
    ]
    for watch in places.values():
        watch.close()
    return seconds


def measure(store: EtcdStore, size: int) -> tuple[float, float, list[float]]:
    """Start-up seconds, peak megabytes, and medians of plan, claim and finish, release."""
    manager, worker = member(store, "manager"), member(store, "worker")
    began = time.perf_counter()
    manager.run_until_idle(limit=10**7)
    started = time.perf_counter() - began
    worker.run_until_idle()
    rows = [one(store, manager, worker, size - 1 - number) for number in range(REPEATS)]
    manager.close()
    worker.close()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return started, peak, [statistics.median(column) * 1000 for column in zip(*rows, strict=True)]


def report(name: str, figures: tuple[float, float, list[float]]) -> None:
    """One line."""
    started, peak, (plan, work, release) = figures
    print(
        f"{name:>24} {started:9.1f} {peak:8.0f} {plan:9.1f} {work:9.1f} {release:9.1f}", flush=True
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sizes", default="1000,10000,100000")
    parser.add_argument("--finished", type=int, default=200_000)
    options = parser.parse_args(arguments)
    names = ("start s", "peak MB", "plan ms", "claim ms", "release")
    print(
        f"{'resources':>24} {names[0]:>9} {names[1]:>8} " + " ".join(f"{n:>9}" for n in names[2:])
    )
    flags = ("--quota-backend-bytes", str(8 * 2**30))
    for size in [int(size) for size in options.sizes.split(",")]:
        with EtcdCluster(members=1, flags=flags) as cluster, EtcdStore(cluster.endpoints) as store:
            fill(store, size)
            lifecycle = Lifecycle(store, SimulatedHeat(SystemClock()), SCHEMAS, roles=())
            lifecycle.submit(template(), TEMPLATE_REF)
            report(f"{size}", measure(store, size))
            if size == 1000 and options.finished:
                churn(store, options.finished)
                report(f"{size}, {options.finished} done", measure(store, size - REPEATS))


if __name__ == "__main__":
    sys.exit(main())
