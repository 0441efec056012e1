"""A store that is nearly full: the resync waits, what is fresh does not (``rules`` 23)."""

from __future__ import annotations

from gohan_jobs import MemoryStore
from gohan_jobs.events import StoreTroubled
from gohan_jobs.manager import ManagerOptions
from worlds import ALIAS, DISK, World


def sized_world(used: list[int]) -> World:
    """A world whose store says that it is as large as the first of these numbers."""

    def sized(store: MemoryStore) -> MemoryStore:
        store.__dict__["size"] = lambda: used[0]
        return store

    return World(manager=ManagerOptions(quota_bytes=1000), wrap=sized)


def test_rule_23_a_resync_pauses_above_80_percent_of_the_quota() -> None:
    """Fresh changes go on; the resync goes on once there is room, and it is told once."""
    used = [801]
    world = sized_world(used)
    world.write(DISK)
    world.settle()
    world.pass_time(30)
    assert world.state(DISK) is None
    world.write(ALIAS)
    world.settle()
    assert world.outcome(ALIAS) == ("READ_COMPLETE", 1, "")
    assert len(world.told(StoreTroubled)) == 1
    used[0] = 800
    world.pass_time(15)
    assert world.outcome(DISK) == ("CREATE_COMPLETED", 1, "")


def test_rule_23_a_pause_is_looked_at_again_though_nothing_happens() -> None:
    """Ten seconds after it was found, and so on."""
    world = sized_world([801])
    world.write(DISK)
    world.settle()
    manager = world.lifecycle._manager
    assert manager is not None
    assert world.clock.now() + 10 == manager.due
    world.pass_time(10)
    assert world.clock.now() + 10 == manager.due


def test_rule_23_a_store_with_room_is_looked_at_now_and_then() -> None:
    """Nothing pauses, and nothing is told."""
    world = sized_world([1])
    world.write(DISK)
    world.settle()
    world.pass_time(5)
    assert world.outcome(DISK) == ("CREATE_COMPLETED", 1, "")
    assert world.told(StoreTroubled) == []
