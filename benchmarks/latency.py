"""Config to claim while idle, and a burst of eight, in milliseconds, as a watcher sees them.

usage: python benchmarks/latency.py [--configs N] [--bursts N]

A manager and a worker run as processes of their own; this one writes configs and watches. The
figures of the recorded system, on the same steps, stand beside (median / p90; 466 ms a burst).
"""

from __future__ import annotations

import argparse
import multiprocessing
import statistics
import sys
import time
from collections.abc import Sequence
from typing import Any

from estates import SCHEMAS, TEMPLATE_REF, no_op, ref, template, thing

from gohan_jobs.clock import SystemClock
from gohan_jobs.keys import Keys, Place
from gohan_jobs.lifecycle import Lifecycle
from gohan_jobs.orchestrators.simulated import SimulatedHeat
from gohan_jobs.stores.base import Watch
from gohan_jobs.stores.etcd import EtcdStore
from gohan_jobs.testing.etcd import EtcdCluster

KEYS = Keys()
SPAWN = multiprocessing.get_context("spawn")
RECORDED = {"config -> job planned": (51, 255), "config -> claimed": (68, 144)}


def member(endpoints: Sequence[str], role: str, ready: Any, stop: Any) -> None:
    """A process with one role."""
    with EtcdStore(endpoints) as store:
        lifecycle = Lifecycle(
            store,
            SimulatedHeat(SystemClock()),
            SCHEMAS,
            roles=(role,),
            hooks=(),
            handlers={"heat_worker": no_op},
        )
        with lifecycle:
            lifecycle.run()
            while role == "manager" and not lifecycle.leads:
                time.sleep(0.01)
            ready.release()
            stop.wait()


def first_puts(watch: Watch, count: int) -> list[float]:
    """When each of the next puts was seen."""
    seen: list[float] = []
    while len(seen) < count:
        batch = watch.poll(10.0)
        now = time.perf_counter()
        if batch is None:
            raise SystemExit("nothing happened for 10 s")
        seen += [now for event in batch.events if event.entry is not None]
    return seen


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which so much lies."""
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def singles(store: EtcdStore, lifecycle: Lifecycle, configs: int) -> dict[str, list[float]]:
    """One config at a time, each when the one before is done."""
    steps: dict[str, list[float]] = {name: [] for name in RECORDED}
    revision = store.revision() + 1
    with_jobs = store.watch(KEYS.all_jobs, revision)
    with_claims = store.watch(KEYS.place_prefix(Place.WORKING), revision)
    for number in range(configs):
        began = time.perf_counter()
        lifecycle.submit(thing(number), ref(number))
        steps["config -> job planned"].append(first_puts(with_jobs, 1)[0] - began)
        steps["config -> claimed"].append(first_puts(with_claims, 1)[0] - began)
        lifecycle.wait(ref(number), 1, 10.0)
        time.sleep(0.02)
    with_jobs.close()
    with_claims.close()
    return steps


def bursts(store: EtcdStore, lifecycle: Lifecycle, count: int) -> list[float]:
    """Eight configs at once, until all eight jobs are queued."""
    seconds: list[float] = []
    for burst in range(count):
        watch = store.watch(KEYS.all_jobs, store.revision() + 1)
        time.sleep(0.15)  # etcd tells a watch that has just begun only ten times a second
        numbers = range(100_000 + burst * 8, 100_008 + burst * 8)
        began = time.perf_counter()
        for number in numbers:
            lifecycle.submit(thing(number), ref(number))
        seconds.append(first_puts(watch, 8)[-1] - began)
        watch.close()
        for number in numbers:
            lifecycle.wait(ref(number), 1, 10.0)
    return seconds


def report(name: str, values: Sequence[float], recorded: str) -> None:
    """One line."""
    ms = [value * 1000 for value in values]
    print(
        f"{name:24} median {statistics.median(ms):6.1f}  p90 {percentile(ms, 0.9):6.1f}  "
        f"p99 {percentile(ms, 0.99):6.1f}   recorded {recorded}"
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--configs", type=int, default=200)
    parser.add_argument("--bursts", type=int, default=20)
    options = parser.parse_args(arguments)
    ready, stop = SPAWN.Semaphore(0), SPAWN.Event()
    with EtcdCluster(members=1) as cluster, EtcdStore(cluster.endpoints) as store:
        lifecycle = Lifecycle(store, SimulatedHeat(SystemClock()), SCHEMAS, roles=(), hooks=())
        lifecycle.submit(template(), TEMPLATE_REF)
        members = [
            SPAWN.Process(target=member, args=(cluster.endpoints, role, ready, stop))
            for role in ("manager", "worker")
        ]
        for process in members:
            process.start()
        for _ in members:
            ready.acquire()
        for name, values in singles(store, lifecycle, options.configs).items():
            median, p90 = RECORDED[name]
            report(name, values, f"{median} / {p90}")
        report("burst of 8 queued", bursts(store, lifecycle, options.bursts), "466 (all of it)")
        stop.set()
        for process in members:
            process.join()


if __name__ == "__main__":
    sys.exit(main())
