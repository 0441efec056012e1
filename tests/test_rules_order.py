"""The last result of a resource is of its last version, whatever became of that one."""

from __future__ import annotations

import pytest

from gohan_jobs.orchestrators.simulated import Outcome
from worlds import DISK, World

BROKEN = '{"body": 5, "version": 2, "marked_for_deletion": false}'


def running(world: World) -> None:
    """Version 1 is being made, for 30 seconds."""
    world.heat.script("disk_d1", Outcome(seconds=30.0))
    world.write(DISK, {"name": "a"})
    world.step_until(lambda: world.heat.changes)


@pytest.mark.parametrize("restart", [False, True], ids=["same leader", "another leader"])
def test_rule_12_a_broken_version_is_told_of_after_the_one_that_runs(
    restart: bool,  # noqa: FBT001 - a case
) -> None:
    """Its error needs no job, and is published all the same only when version 1 has ended."""
    world = World()
    running(world)
    world.put(world.keys.config_of(world.path(DISK)), BROKEN)
    world.settle()
    assert world.states_of(DISK) == []
    if restart:
        world.restart()
    world.pass_time(150)
    states = world.states_of(DISK)
    assert [(state, version) for state, version, _ in states] == [
        ("CREATE_COMPLETED", 1),
        ("READ_ERROR", 2),
    ]


def test_rule_12_a_version_that_needs_no_job_waits_too() -> None:
    """So does the error of one whose params can't be computed."""
    world = World()
    running(world)
    world.template("disk", {"name": {"concatenate": [{"field": "name"}, {"field": "size"}]}})
    world.write(DISK, {"name": "b", "size": None}, 2)
    world.settle()
    assert world.states_of(DISK) == []
    world.pass_time(40)
    states = world.states_of(DISK)
    assert [(state, version) for state, version, _ in states] == [
        ("CREATE_COMPLETED", 1),
        ("READ_ERROR", 2),
    ]


def test_a_later_version_takes_the_place_of_one_put_off() -> None:
    """Put off and overtaken, a version is never told of."""
    world = World()
    running(world)
    world.put(world.keys.config_of(world.path(DISK)), BROKEN)
    world.settle()
    world.write(DISK, {"name": "c"}, 3)
    world.pass_time(60)
    states = world.states_of(DISK)
    assert [(state, version) for state, version, _ in states] == [
        ("CREATE_COMPLETED", 1),
        ("MODIFY_COMPLETED", 3),
    ]
