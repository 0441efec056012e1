"""Threads: run, stop and close in any order; nothing is left running, nothing is lost."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from typing import Any

import pytest

import test_seeds
from gohan_jobs.clock import SystemClock
from gohan_jobs.events import StoreTroubled
from gohan_jobs.exceptions import GohanJobsError, WaitTimeout
from gohan_jobs.handlers import Done, JobContext
from gohan_jobs.keys import Place
from gohan_jobs.lifecycle import Completed, Lifecycle, Role
from gohan_jobs.orchestrators.simulated import SimulatedHeat
from gohan_jobs.stores.base import Put, Transaction
from gohan_jobs.stores.memory import MemoryStore
from worlds import NETWORK, World, ref


def threads() -> list[str]:
    """Names of this library's threads."""
    return sorted(t.name for t in threading.enumerate() if t.name.startswith("gohan-jobs"))


@pytest.fixture(autouse=True)
def none_left() -> Iterator[None]:
    """No thread outlives its test."""
    yield
    assert [] == threads()


def running(world: World, **options: Any) -> Lifecycle:
    """A lifecycle on the real clock, with a copy of a world's configs."""
    store = MemoryStore()
    for key, value in world.under("/config/").items():
        store.transact(Transaction((), (Put(key, value),)))
    heat = options.pop("heat", None) or SimulatedHeat(SystemClock())
    options.setdefault("hooks", ())
    return Lifecycle(store, heat, world.schemas, **options)


def wrote(lifecycle: Lifecycle, world: World, key: str) -> None:
    """Copy one config."""
    lifecycle.store.transact(Transaction((), (Put(key, world.text(key) or b""),)))


def test_both_seeds_on_the_real_clock() -> None:
    """Everything of both seeds is done by threads."""
    world = test_seeds.make_world()
    heat = SimulatedHeat(SystemClock())
    interface = f"load_balancer_interface_{test_seeds.LBI.resource_id}"
    pages = (test_seeds.CREATE, test_seeds.UPDATE)
    heat.script(interface, *map(test_seeds.scripted, pages))
    lifecycle = running(world, heat=heat)
    lifecycle.run()
    try:
        for version, page in enumerate(pages, 1):
            world.write(test_seeds.VNF, {"management_ip": "100.64.193.3"}, version)
            world.write(test_seeds.LB, {"vnf_instance_id": test_seeds.VNF.resource_id}, version)
            key, _ = test_seeds.point(page, "/config/")
            world.put(key, page[key])
            for resource in (test_seeds.VNF, test_seeds.LB, test_seeds.LBI):
                wrote(lifecycle, world, world.keys.config_of(world.path(resource)))
            for resource in (test_seeds.VNF, test_seeds.LB, test_seeds.LBI):
                assert isinstance(lifecycle.wait(resource, version), Completed)
    finally:
        lifecycle.close()


def test_any_order() -> None:
    """Stop before start, twice, close twice; nothing runs after close."""
    lifecycle = running(World())
    lifecycle.stop()
    lifecycle.run()
    lifecycle.run()
    lifecycle.stop()
    lifecycle.stop()
    lifecycle.run()
    lifecycle.close()
    lifecycle.close()
    for refused in (lifecycle.run, lifecycle.step):
        with pytest.raises(GohanJobsError, match="after close"):
            refused()


def test_no_steps_while_threads_run() -> None:
    """Two steppers of one worker would be one too many."""
    with running(World()) as lifecycle:
        lifecycle.run()
        with pytest.raises(RuntimeError, match="threads are running"):
            lifecycle.step()
        lifecycle.stop()
        lifecycle.run_until_idle()


def test_hammering_start_and_stop() -> None:
    """Several threads start and stop as they like, while jobs are done."""
    world = World()
    resources = [ref("network", f"n{number}") for number in range(12)]
    for resource in resources:
        world.write(resource, {"name": "x"})
    lifecycle = running(world)

    def hammer(seed: int) -> None:
        rng = random.Random(seed)
        for _ in range(12):
            rng.choice((lifecycle.run, lambda: lifecycle.stop(0.0)))()

    hammers = [threading.Thread(target=hammer, args=(seed,)) for seed in range(4)]
    for thread in hammers:
        thread.start()
    for thread in hammers:
        thread.join()
    lifecycle.run()
    for resource in resources:
        assert isinstance(lifecycle.wait(resource, 1), Completed)
    lifecycle.close()


class Gate:
    """A handler that stands still until it is let go."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.go = threading.Event()

    def __call__(self, context: JobContext) -> Done:
        """Wait."""
        self.entered.set()
        assert self.go.wait(30)
        return Done(outputs=())


def test_stop_publishes_what_is_through() -> None:
    """The handler ends while the threads are being stopped: its result is not thrown away."""
    world, gate = World(), Gate()
    world.write(NETWORK, {"name": "x"})
    lifecycle = running(world, handlers={"heat_worker": gate})
    lifecycle.run()
    assert gate.entered.wait(30)
    stopping = threading.Thread(target=lifecycle.stop, args=(0.0,))
    stopping.start()
    gate.go.set()
    stopping.join()
    assert isinstance(lifecycle.wait(NETWORK, 1), Completed)
    lifecycle.close()


def test_stop_hands_back_what_does_not_finish() -> None:
    """A stack that takes its time: the job goes back, and is done by whoever comes."""
    world = World()
    world.write(NETWORK, {"name": "x"})
    heat = SimulatedHeat(SystemClock(), operation_seconds=3600)
    lifecycle = running(world, heat=heat)
    lifecycle.run()
    while not heat.changes:
        threading.Event().wait(0.01)
    lifecycle.stop(0.0)
    places = {place: lifecycle.store.entries(f"/jobs/{place}/").entries for place in Place}
    assert [Place.WAITING] == [place for place, entries in places.items() if entries]
    heat.finish("network_n1")
    lifecycle.run()
    assert isinstance(lifecycle.wait(NETWORK, 1), Completed)
    lifecycle.close()
    assert ["create"] == [call.op for call in heat.changes]


def test_stop_on_one_of_its_own_threads_is_refused() -> None:
    """It would wait for itself."""
    refused: list[str] = []
    told = threading.Event()

    def handler(context: JobContext) -> Done:
        try:
            lifecycle.stop()
        except RuntimeError as error:
            refused.append(str(error))
        told.set()
        return Done(outputs=())

    world = World()
    world.write(NETWORK, {"name": "x"})
    lifecycle = running(world, handlers={"heat_worker": handler})
    lifecycle.run()
    assert told.wait(30)
    lifecycle.close()
    assert ["stop() on a thread that it would wait for"] == refused


def test_unexpected_errors_do_not_end_a_loop() -> None:
    """A bug is logged, told once, and the loop goes on."""
    events: list[Any] = []
    world = World()
    lifecycle = running(world, hooks=(events.append,))
    worker = lifecycle._worker
    assert worker is not None
    real, failures = worker.step, iter([ZeroDivisionError(), ZeroDivisionError()])

    def step() -> bool:
        for failure in failures:
            raise failure
        return real()

    worker.step = step  # type: ignore[method-assign]  # a bug
    world.write(NETWORK, {"name": "x"})
    wrote(lifecycle, world, "/config/v2.0/networks/n1")
    lifecycle.run()
    assert isinstance(lifecycle.wait(NETWORK, 1), Completed)
    lifecycle.close()
    told = [event.reason for event in events if isinstance(event, StoreTroubled)]
    assert ["unexpected ZeroDivisionError"] == told


def test_degraded_while_running() -> None:
    """The manager stops, says so, and goes on when told."""
    world = World()
    lifecycle = running(world)
    lifecycle.run_until_idle()
    lifecycle.stop()
    lifecycle.store.transact(Transaction((), (Put("/gohan-jobs/cluster", b"other"),)))
    manager = lifecycle._manager
    assert manager is not None
    manager._unload()
    lifecycle.run()
    while not lifecycle.troubles:
        threading.Event().wait(0.01)
    lifecycle.resume(accept=True)
    while not lifecycle.leads:
        threading.Event().wait(0.01)
    lifecycle.close()


def test_waiting_has_an_end() -> None:
    """With threads or without: no result in time is an error."""
    world = World(templates={})
    world.write(NETWORK, {"name": "x"})
    with pytest.raises(WaitTimeout):
        world.lifecycle.wait(NETWORK, 1, timeout=5)
    lifecycle = running(world)
    lifecycle.run()
    with pytest.raises(WaitTimeout):
        lifecycle.wait(NETWORK, 1, timeout=0.1)
    lifecycle.close()


def test_roles_apart() -> None:
    """A manager and two workers, each with threads of its own, on one store."""
    world = World()
    resources = [ref("network", f"n{number}") for number in range(8)]
    for resource in resources:
        world.write(resource, {"name": "x"})
    manager = running(world, roles=(Role.MANAGER,))
    heat = SimulatedHeat(SystemClock())
    workers = [
        Lifecycle(manager.store, heat, world.schemas, roles=(Role.WORKER,), hooks=())
        for _ in range(2)
    ]
    for lifecycle in (manager, *workers):
        lifecycle.run()
    for resource in resources:
        assert isinstance(manager.wait(resource, 1), Completed)
    for lifecycle in (manager, *workers):
        lifecycle.close()
    assert ({}, 8) == (
        {e.key: e for e in manager.store.entries("/gohan-jobs/workers/").entries},
        len(heat.changes),
    )


def test_an_unknown_role_is_refused() -> None:
    """A typing error would otherwise be a process that does nothing."""
    with pytest.raises(ValueError, match="no such role: mananger"):
        running(World(), roles=("mananger",))


def test_leases_live_until_all_is_handed_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """The keeper ends last: else another could begin what a handler here is still at."""
    lifecycle = running(World())
    lifecycle.run()
    worker = lifecycle._worker
    assert worker is not None
    seen: list[bool] = []
    hand_back = worker.hand_back_all

    def handed_back() -> None:
        seen.append("gohan-jobs-keeper" in threads())
        hand_back()

    monkeypatch.setattr(worker, "hand_back_all", handed_back)
    lifecycle.stop()
    lifecycle.close()
    assert [True, False] == seen
