"""Records that somebody broke: told of once, and nobody stops (``rules`` 10)."""

from __future__ import annotations

import pytest

from gohan_jobs.events import ConfigSetAside, OrphanFound
from gohan_jobs.lifecycle import Role
from worlds import DISK, NETWORK, PORT, World

BROKEN = b"{"
DONE = ("CREATE_COMPLETED", 1, "")


def told(world: World) -> list[str]:
    """The keys that were told to be broken, in that order."""
    return [event.key for event in world.told(ConfigSetAside)]


def aside(world: World) -> list[str]:
    """The notes on what is set aside."""
    return list(world.under(f"{world.keys.own}quarantine/"))


# A stack's record.

STACK = "/esi-worker/heat_stacks/v2.0/networks/n1"


def test_rule_10_a_job_whose_stack_record_is_broken_runs() -> None:
    """Heat is asked by name; the record is written anew, and then nothing is set aside."""
    world = World(roles=(Role.MANAGER,))
    world.put(STACK, BROKEN)
    world.write(NETWORK, {"name": "a"})
    world.settle()
    assert ([STACK], [f"{world.keys.own}quarantine{STACK}"]) == (told(world), aside(world))
    world.pass_time(10, world.peer(roles=(Role.WORKER,), seed=7))
    assert DONE == world.outcome(NETWORK)
    assert world.stack(NETWORK) is not None
    assert ([STACK], [], {}) == (told(world), aside(world), world.under("/jobs/"))


def test_rule_10_a_stack_whose_record_broke_is_found_again() -> None:
    """It is updated, not made a second time."""
    world = World()
    world.write(NETWORK, {"name": "a"})
    world.pass_time(5)
    world.put(STACK, BROKEN)
    world.write(NETWORK, {"name": "b"}, 2)
    world.pass_time(5)
    assert ("MODIFY_COMPLETED", 2, "") == world.outcome(NETWORK)
    assert [("create", "network_n1"), ("update", "network_n1")] == world.changes()
    assert ([STACK], []) == (told(world), aside(world))


@pytest.mark.parametrize("mended", ["while it leads", "while nobody leads"])
def test_rule_10_a_broken_stack_record_is_told_of_once(mended: str) -> None:
    """Not again by the next leader; and it is forgotten when the record is another, or gone."""
    world = World()
    world.settle()
    world.put(STACK, BROKEN)
    world.settle()
    world.restart()
    world.settle()
    assert ([STACK], 1) == (told(world), len(aside(world)))
    if mended == "while it leads":
        world.delete(STACK)
        world.settle()
    else:
        world.lifecycle.close()
        world.delete(STACK)
        world.restart()
        world.settle()
    assert ([STACK], []) == (told(world), aside(world))


def test_rule_16_a_stack_whose_record_broke_is_an_orphan_when_its_config_goes() -> None:
    """What can't be read is never deleted, since there may be a stack."""
    world = World()
    world.write(DISK, {"name": "a"})
    world.pass_time(5)
    key = world.keys.heat_stack_of(world.path(DISK))
    world.put(key, BROKEN)
    world.remove_config(DISK)
    world.pass_time(5)
    assert BROKEN == world.text(key)
    assert ["its stack's record can't be read"] == [e.reason for e in world.told(OrphanFound)]


def test_rule_10_a_record_that_breaks_before_it_is_needed_is_one_final_error() -> None:
    """Of the resource that needs it, which says what is broken."""
    world = World()
    world.write(NETWORK, {"name": "a"})
    world.pass_time(5)
    world.lifecycle.close()
    world.restart(roles=(Role.MANAGER,))
    world.write(PORT, {"network_id": "n1"})
    world.settle()
    world.put(STACK, BROKEN)
    world.pass_time(10, world.peer(roles=(Role.WORKER,), seed=7))
    ((state, version, error),) = world.states_of(PORT)
    assert ("CREATE_ERROR", 1) == (state, version)
    assert error.startswith(f"{STACK}: not JSON")
    assert ([STACK], {}) == (told(world), world.under("/jobs/"))
