"""A store that fails at any call, before or after it was done: nothing is lost, nothing doubled."""

from __future__ import annotations

import contextlib
import itertools
from typing import Any, get_args

import pytest

from gohan_jobs.clock import SystemClock
from gohan_jobs.events import StoreTroubled
from gohan_jobs.exceptions import Compacted, StoreError, StoreUnavailable
from gohan_jobs.lifecycle import Completed, Lifecycle, Role
from gohan_jobs.orchestrators.simulated import SimulatedHeat
from gohan_jobs.stores.memory import MemoryStore
from gohan_jobs.testing.faults import FaultyStore, StoreCall
from gohan_jobs.worker import WorkerOptions
from worlds import DISK, NETWORK, PORT, World

CALLS = [call for call in get_args(StoreCall) if call not in {"compact", "any"}]


def troubled() -> tuple[World, FaultyStore]:
    """A world whose lifecycle works on a store that can fail."""
    world = World(wrap=FaultyStore, operation_seconds=2)
    store = world.lifecycle.store
    assert isinstance(store, FaultyStore)
    return world, store


def advance(world: World, seconds: float) -> None:
    """Let time pass; what the store raises is tried again, as a loop does."""
    for _ in range(int(seconds * 2)):
        world.clock.advance(0.5)
        for _ in range(200):
            with contextlib.suppress(StoreError):
                if not world.lifecycle.step():
                    break


def scenario(world: World) -> dict[str, Any]:
    """A bit of everything; what it comes to."""
    world.write(PORT, {"name": "p", "network_id": "n1"})
    world.put("/config/v2.0/disks/broken", '{"version": 3}')
    world.write(DISK, {"name": "d"})
    advance(world, 3)
    world.write(NETWORK, {"name": "n"})
    advance(world, 12)
    world.write(NETWORK, {"name": "m"}, 2)
    world.remove_config(DISK, state=True)
    advance(world, 20)
    world.write(PORT, {"name": "p", "network_id": "n1"}, 2, marked=True)
    advance(world, 60)
    return {
        "states": [world.outcome(resource) for resource in (NETWORK, PORT, DISK)],
        "jobs": world.under("/jobs/"),
        "stacks": sorted(world.heat.stacks("fe3a4a1a72c04479bb6c19c2c0ccba4c", lambda s: s.name)),
        "records": sorted(world.under("/esi-worker/")),
        "aside": sorted(world.under("/gohan-jobs/quarantine/")),
        "broken": (world.text("/state/v2.0/disks/broken") or b"")[-12:],
    }


EXPECTED = scenario(troubled()[0])


def test_the_scenario_means_something() -> None:
    """Without trouble it comes to this."""
    assert [("MODIFY_COMPLETED", 2, ""), ("DELETE_COMPLETED", 2, ""), None] == EXPECTED["states"]
    assert ({}, ["network_n1"]) == (EXPECTED["jobs"], EXPECTED["stacks"])


@pytest.mark.exhaustive
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("call", CALLS)
def test_one_failure_at_any_call(call: StoreCall, after: bool) -> None:  # noqa: FBT001 - a case
    """Whichever call fails, once, the end is the same; and each result is published once."""
    stride = {"poll": 41, "get": 5, "transact": 1}.get(call, 1)
    for number in itertools.count(1, stride):
        world, store = troubled()
        store.fail(call, on=number, after=after)
        assert (number, EXPECTED) == (number, scenario(world))
        states = world.states_of(NETWORK)
        assert len(states) == len(set(states))
        if store.pending:
            break


@pytest.mark.parametrize("call", ["transact", "get", "any"])
def test_many_failures(call: StoreCall) -> None:
    """Every third call fails, for a while."""
    world, store = troubled()
    for number in range(3, 600, 3):
        store.fail(call, on=number, after=number % 2 == 0)
    assert EXPECTED == scenario(world)


def test_broken_watches_only_cost_a_read() -> None:
    """Every watch says that its history has been compacted, again and again."""
    world, store = troubled()
    world.write(NETWORK, {"name": "n"})
    for _ in range(12):
        advance(world, 1)
        store.break_watches(Compacted(5))
    advance(world, 20)
    assert ("CREATE_COMPLETED", 1, "") == world.outcome(NETWORK)


def test_closing_without_a_store_is_no_error() -> None:
    """What could not be given back ends with its lease; it is told."""
    world, store = troubled()
    world.write(NETWORK, {"name": "n"})
    world.settle()
    for number in range(1, 30):
        store.fail("any", on=number)
    world.lifecycle.close()
    assert {Role.WORKER, Role.MANAGER} == {event.role for event in world.told(StoreTroubled)}
    world.lifecycle.close()
    world.restart()
    world.pass_time(60)
    assert [("CREATE_COMPLETED", 1, "")] == world.states_of(NETWORK)


def test_a_lease_that_can_not_be_renewed_in_time_is_lost() -> None:
    """The store is away for longer than the lease: the claim is forgotten, the job done later."""
    world, store = troubled()
    world.heat.script("network_n1")
    world.write(NETWORK, {"name": "n"})
    world.settle()
    for number in range(1, 400):
        store.fail("keep_alive", on=number, error=lambda: StoreUnavailable("away"))
    advance(world, 90)
    while store.pending:
        with contextlib.suppress(StoreUnavailable):
            store.keep_alive(1)
    advance(world, 200)
    assert [("CREATE_COMPLETED", 1, "")] == world.states_of(NETWORK)


def test_trouble_in_run_mode_is_told_and_survived() -> None:
    """Threads back off and go on; nothing is lost."""
    world = World()
    store = FaultyStore(MemoryStore())
    events: list[Any] = []
    lifecycle = Lifecycle(
        store,
        SimulatedHeat(SystemClock()),
        world.schemas,
        hooks=(events.append,),
        worker=WorkerOptions(lease_ttl=60.0),
    )
    for key in world.under("/config/"):
        store.store.transact(_put(key, world.text(key) or b""))
    world.write(NETWORK, {"name": "n"})
    key = "/config/v2.0/networks/n1"
    store.store.transact(_put(key, world.text(key) or b""))
    for number in range(2, 120, 4):
        store.fail("any", on=number)
    lifecycle.run()
    result = None
    while result is None:
        with contextlib.suppress(StoreError):
            result = lifecycle.wait(NETWORK, 1, timeout=60)
    lifecycle.close()
    assert isinstance(result, Completed)
    assert [event for event in events if isinstance(event, StoreTroubled)]
    assert {} == lifecycle.troubles


def _put(key: str, value: bytes) -> Any:
    from gohan_jobs.stores.base import Put, Transaction  # noqa: PLC0415 - only here

    return Transaction((), (Put(key, value),))
