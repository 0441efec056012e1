"""A job that a worker had and lost, or gave back, may have a stack that no record names."""

from __future__ import annotations

import pytest

from gohan_jobs.keys import Place
from gohan_jobs.lifecycle import Role
from worlds import DISK, World


def begun_world() -> World:
    """A world whose worker asked Heat for a disk's stack, and died; the job waits again."""
    world = World(operation_seconds=30.0, roles=(Role.MANAGER,))
    worker = world.peer(roles=(Role.WORKER,), seed=7)
    world.write(DISK)
    world.step_until(world.changes, worker)
    world.clock.advance(70.0)
    world.store.expire()
    world.restart()
    world.step_until(lambda: world.places() == {"create d1:1": str(Place.WAITING)})
    return world


def finish(world: World) -> None:
    """A worker comes, and everything is done."""
    world.pass_time(200.0, world.peer(roles=(Role.WORKER,), seed=8))


@pytest.mark.parametrize("restarted", [False, True])
def test_its_stack_goes_when_the_config_goes(*, restarted: bool) -> None:
    """A one-step delete does not just forget the job: a delete job looks for the stack."""
    world = begun_world()
    if restarted:
        world.restart()
    world.remove_config(DISK)
    finish(world)
    assert [("create", "disk_d1"), ("delete", "disk_d1")] == world.changes()
    assert {} == world.under("/esi-worker/")
    assert {} == world.under("/jobs/")


def test_its_stack_goes_when_a_newer_version_came_between() -> None:
    """A newer version waits for the begun one, whose end tells of the stack."""
    world = begun_world()
    world.write(DISK, version=2)
    world.settle()
    world.remove_config(DISK)
    finish(world)
    assert ("delete", "disk_d1") == world.changes()[-1]
    assert {} == world.under("/esi-worker/")
    assert {} == world.under("/jobs/")


def test_what_nobody_had_is_forgotten() -> None:
    """A job that no worker ever claimed goes with its config, without a delete job."""
    world = World(roles=(Role.MANAGER,))
    world.write(DISK)
    world.settle()
    world.remove_config(DISK)
    finish(world)
    assert [] == world.changes()
    assert {} == world.under("/esi-worker/")
