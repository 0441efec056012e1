"""Before a process starts it sees whether it can work, and writes nothing."""

from __future__ import annotations

import pytest

from gohan_jobs import acceptance
from gohan_jobs.exceptions import (
    AmbiguousWrite,
    StoreFull,
    StoreUnavailable,
    UnsupportedFormat,
    WrongCluster,
)
from gohan_jobs.keys import Keys
from gohan_jobs.lifecycle import Role
from gohan_jobs.preflight import check, rehearsal
from gohan_jobs.stores.transactions import puts_of
from gohan_jobs.testing.faults import FaultyStore
from worlds import World

KEYS = Keys()


def test_nothing_is_written() -> None:
    """An empty keyspace stays as it is, and one that is worked in, too."""
    world = World()
    for _ in range(2):
        before = world.store.revision()
        world.lifecycle.check()
        assert before == world.store.revision()
        world.settle()


@pytest.mark.parametrize(
    ("roles", "places"),
    [
        ((Role.WORKER,), 8),
        ((Role.MANAGER,), 12),
        ((Role.MANAGER, Role.WORKER), 12),
    ],
)
def test_what_is_rehearsed(roles: tuple[str, ...], places: int) -> None:
    """A worker need not write what only the job manager writes."""
    found = {put.key for put in puts_of((rehearsal(KEYS, manages=Role.MANAGER in roles),))}
    assert {"/state/rehearsal", "/jobs/ready/rehearsal", "/gohan-jobs/rehearsal"} <= found
    assert places == len(found)
    managers = {"/monitoring/rehearsal", "/jobs/all/rehearsal", "/job_manager_id"}
    assert (managers if Role.MANAGER in roles else set()) == managers & found


def test_no_room() -> None:
    """What a write would meet is met now."""
    world = World(wrap=FaultyStore)
    assert isinstance(world.lifecycle.store, FaultyStore)
    world.lifecycle.store.fail("transact", error=lambda: StoreFull("full"))
    with pytest.raises(StoreFull):
        world.lifecycle.check()


def test_a_write_without_an_answer() -> None:
    """Nothing could have been written, so it is only that none answers."""
    store = FaultyStore(World().store)
    store.fail("transact", error=lambda: AmbiguousWrite("?"))
    with pytest.raises(StoreUnavailable, match="reads are answered, and writes are not"):
        check(store, KEYS, manages=False)


def test_another_release_s() -> None:
    """Its keyspace is left alone."""
    world = World()
    world.put("/gohan-jobs/format", "99")
    with pytest.raises(UnsupportedFormat):
        world.lifecycle.check()


def test_another_cluster_s() -> None:
    """A copy is not worked on before an operator has accepted it."""
    world = World()
    world.settle()
    world.lifecycle.check()
    world.put("/gohan-jobs/cluster", "other")
    with pytest.raises(WrongCluster, match="it was other before"):
        world.lifecycle.check()
    acceptance.accept(world.store, KEYS, beforehand=True)
    world.lifecycle.check()
