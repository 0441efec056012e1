"""Operators find a process by its name: in its worker's id, and beside the leader's."""

from __future__ import annotations

import pytest

from gohan_jobs import Lifecycle, MemoryStore, Schemas, SimulatedHeat, VirtualClock
from gohan_jobs.inspection.overview import read_status
from gohan_jobs.stores.base import Entry


def process(store: MemoryStore, clock: VirtualClock, name: str) -> Lifecycle:
    """A process that has begun to lead and to work."""
    made = Lifecycle(store, SimulatedHeat(clock), Schemas([]), clock=clock, hooks=(), name=name)
    made.run_until_idle()
    return made


def test_status_names_who_leads_and_who_works() -> None:
    """The leader's name stands beside its uuid, a worker's at the head of its id."""
    clock = VirtualClock()
    store = MemoryStore(clock=clock)
    with process(store, clock, "net-1.4711"):
        status = read_status(store)
    assert status.leader is not None
    assert "net-1.4711" == status.leader.name
    (worker,) = status.workers
    name, _, rest = worker.worker_id.rpartition("-")
    assert ("net-1.4711", 8) == (name, len(rest))


def test_a_name_goes_with_the_lease() -> None:
    """Who resigns leaves no name behind, and who has none writes none."""
    clock = VirtualClock()
    store = MemoryStore(clock=clock)
    with process(store, clock, "net-1"):
        named = store.get("/gohan-jobs/leader")
    assert isinstance(named, Entry)
    assert named.lease != 0
    assert store.get("/gohan-jobs/leader") is None
    with process(store, clock, ""):
        status = read_status(store)
        assert store.get("/gohan-jobs/leader") is None
    assert status.leader is not None
    assert ("", 36) == (status.leader.name, len(status.workers[0].worker_id))


@pytest.mark.parametrize("name", ["a/b", "a b", "ä", "x" * 65])
def test_a_name_that_can_stand_in_no_key_is_refused(name: str) -> None:
    """It would make keys that nobody could read."""
    clock = VirtualClock()
    with pytest.raises(ValueError, match="is no name"):
        process(MemoryStore(clock=clock), clock, name)
