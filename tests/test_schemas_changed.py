"""A manager that is started with other schemas than the one before it.

Found by random schedules: what a type's absence has set aside stayed so, and jobs of such a type
counted as done, so that those that wait for them did not.
"""

from __future__ import annotations

from gohan_jobs.lifecycle import Role
from gohan_jobs.schemas import Schemas
from worlds import DISK, NETWORK, PORT, SCHEMAS, World

_ASIDE = "/gohan-jobs/quarantine/"
_SMALL = Schemas([each for each in SCHEMAS if each.type not in {"port", "disk"}])


def _restart(world: World, schemas: Schemas) -> None:
    """Another manager, with these schemas, takes over from one that gives its lease back."""
    world.lifecycle.close()
    world.schemas = schemas
    world.restart()
    world.settle()


def _waiting_world() -> World:
    """A network's second version waits for a port's create, and nobody works."""
    world = World(roles=(Role.MANAGER,))
    world.write(NETWORK, {"name": "blue"})
    worker = world.peer(roles=(Role.WORKER,), seed=9)
    world.pass_time(5.0, worker)
    worker.close()
    world.write(PORT, {"name": "one", "network_id": "n1"})
    world.settle()
    world.write(NETWORK, {"name": "red"}, 2)
    world.settle()
    return world


def test_a_config_is_no_longer_set_aside_once_its_type_is_known() -> None:
    """It is done, and nothing says any more that it could not be used."""
    world = World(schemas=_SMALL)
    world.schemas = SCHEMAS
    world.write(DISK, {"name": "blue"})
    world.settle()
    assert [f"{_ASIDE}config/v2.0/disks/d1"] == list(world.under(_ASIDE))
    _restart(world, _SMALL)
    assert [f"{_ASIDE}config/v2.0/disks/d1"] == list(world.under(_ASIDE))
    _restart(world, SCHEMAS)
    world.pass_time(10.0)
    assert ("CREATE_COMPLETED", 1, "") == world.outcome(DISK)
    assert {} == world.under(_ASIDE)


def test_a_config_that_goes_while_nobody_leads_is_no_longer_set_aside() -> None:
    """There is nothing left that could not be used."""
    world = World()
    world.put("/config/v2.0/disks/d1", "{")
    world.settle()
    assert [f"{_ASIDE}config/v2.0/disks/d1"] == list(world.under(_ASIDE))
    world.lifecycle.close()
    world.delete("/config/v2.0/disks/d1")
    world.restart()
    world.settle()
    assert {} == world.under(_ASIDE)


def test_a_config_that_nobody_can_read_stays_set_aside() -> None:
    """Another leader changes nothing about that, and writes nothing."""
    world = World()
    world.put("/config/v2.0/disks/d1", "{")
    world.settle()
    aside = world.under(_ASIDE)
    world.restart()
    world.settle()
    assert 1 == len(aside)
    assert aside == world.under(_ASIDE)


def test_jobs_of_a_type_that_is_forgotten_are_waited_for() -> None:
    """Their order was computed when they were planned (``rules`` 6)."""
    world = _waiting_world()
    expected = {"create p1:1": "ready", "modify n1:2": "waiting"}
    assert expected == world.places()
    _restart(world, _SMALL)
    assert expected == world.places()
    job = world.job(PORT).id
    aside = [f"{_ASIDE}config/v2.0/ports/p1", f"{_ASIDE}jobs/all/{job}"]
    assert aside == list(world.under(_ASIDE))


def test_jobs_of_a_type_that_is_known_again_go_on() -> None:
    """Nothing is set aside any more, and everything comes to its end."""
    world = _waiting_world()
    _restart(world, _SMALL)
    _restart(world, SCHEMAS)
    assert {} == world.under(_ASIDE)
    world.pass_time(30.0, world.peer(roles=(Role.WORKER,), seed=10))
    assert {} == world.places()
    assert ("CREATE_COMPLETED", 1, "") == world.outcome(PORT)
    assert ("MODIFY_COMPLETED", 2, "") == world.outcome(NETWORK)


def test_a_job_that_nobody_has_noted_is_set_aside_until_its_type_is_known() -> None:
    """Another program's: of what type it is tells where its records are, so nobody else knows."""
    world = _waiting_world()
    job = world.job(PORT).id
    world.lifecycle.close()
    world.delete(f"/gohan-jobs/jobs/{job}")
    _restart(world, _SMALL)
    prefix = f"{_ASIDE}jobs"
    assert [f"{prefix}/all/{job}", f"{prefix}/ready/{job}"] == list(world.under(prefix))
    _restart(world, SCHEMAS)
    assert {} == world.under(_ASIDE)
    assert f"/gohan-jobs/jobs/{job}" in world.under("/gohan-jobs/jobs/")
