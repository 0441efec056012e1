"""A job that a worker had and lost, or gave back, may have a stack that no record names."""

from __future__ import annotations

import pytest

from gohan_jobs.bookkeeping import Bookkeeping, Repair
from gohan_jobs.events import JobCancelled, OrphanFound
from gohan_jobs.handlers import Done, Later
from gohan_jobs.keys import Place
from gohan_jobs.lifecycle import Lifecycle, Role
from gohan_jobs.orchestrators.simulated import Outcome
from gohan_jobs.records import ResourceRef
from gohan_jobs.schemas import Schema, Schemas
from worlds import DISK, NETWORK, PORT, TEMPLATES, TENANT, World


def begun_world(resource: ResourceRef = DISK) -> World:
    """A world whose worker asked Heat for a stack, and died; the job waits again."""
    world = World(operation_seconds=30.0, roles=(Role.MANAGER,))
    worker = world.peer(roles=(Role.WORKER,), seed=7)
    world.write(resource)
    world.step_until(world.changes, worker)
    world.clock.advance(70.0)
    world.store.expire()
    world.restart()
    waiting = {f"create {resource.resource_id}:1": str(Place.WAITING)}
    world.step_until(lambda: world.places() == waiting)
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


def test_its_stack_is_known_when_its_template_is_gone() -> None:
    """It can't be carried out any more, and ends; the stack goes with its config."""
    world = begun_world()
    world.delete(world.keys.config_of(world.keys.template_path("disk")))
    world.pass_time(60.0)
    ((state, version, error),) = world.states_of(DISK)
    assert ("CREATE_ERROR", 1, {}) == (state, version, world.under("/jobs/"))
    assert "no such heat_template" in error
    world.template("disk", TEMPLATES["disk"])
    world.remove_config(DISK)
    finish(world)
    assert [("create", "disk_d1"), ("delete", "disk_d1")] == world.changes()
    assert {} == world.under("/esi-worker/")


def test_what_nobody_had_is_forgotten() -> None:
    """A job that no worker ever claimed goes with its config, without a delete job."""
    world = World(roles=(Role.MANAGER,))
    world.write(DISK)
    world.settle()
    world.remove_config(DISK)
    finish(world)
    assert [] == world.changes()
    assert {} == world.under("/esi-worker/")


def dropped_world(resource: ResourceRef) -> World:
    """A world whose worker dropped a job's result, its config gone, before any leader heard."""
    world = World(operation_seconds=5.0, roles=(Role.MANAGER,))
    worker = world.peer(roles=(Role.WORKER,), seed=7)
    world.write(resource)
    world.step_until(world.changes, worker)
    world.remove_config(resource)
    for _ in range(20):
        world.clock.advance(1.0)
        worker.run_until_idle()
    assert list(world.places().values()) == [str(Place.FINISHED)]
    return world


def test_its_stack_goes_when_the_config_went_while_it_ran() -> None:
    """Nothing but the worker's word tells of the stack, and that is enough (``rules`` 15)."""
    world = dropped_world(DISK)
    finish(world)
    assert [("create", "disk_d1"), ("delete", "disk_d1")] == world.changes()
    assert {} == world.under("/esi-worker/")
    assert {} == world.under("/gohan-jobs/repairs/")


def test_its_stack_is_kept_when_an_unmarked_config_went_while_it_ran() -> None:
    """Of a type with two-step deletion it is an orphan, kept and told of (``rules`` 16)."""
    world = dropped_world(NETWORK)
    finish(world)
    assert [("create", "network_n1")] == world.changes()
    assert [NETWORK] == [found.resource for found in world.told(OrphanFound)]
    assert 1 == len(world.under("/gohan-jobs/orphans/"))
    assert {} == world.under("/gohan-jobs/repairs/")
    assert {} == world.under("/esi-worker/")
    since = world.store.revision()
    world.restart()
    world.pass_time(10)
    assert 1 == len(world.under("/gohan-jobs/orphans/"))
    assert 1 == len(world.told(OrphanFound))
    written = [write for write in world.history("/esi-worker/") if write.revision > since]
    assert [] == written


def test_its_stack_is_an_orphan_for_good_when_the_config_went_after_a_lost_claim() -> None:
    """All is said and done while the leader leads: the next one finds nothing to do."""
    world = begun_world(NETWORK)
    world.remove_config(NETWORK)
    finish(world)
    (key,) = world.under("/gohan-jobs/orphans/")
    assert {} == world.under("/esi-worker/")
    since = world.store.revision()
    world.restart()
    world.pass_time(10)
    assert 1 == len(world.told(OrphanFound))
    assert world.text(key) is not None
    assert [] == [write for write in world.history("/esi-worker/") if write.revision > since]


def test_an_orphan_whose_stack_is_known_keeps_its_records() -> None:
    """The stack's record says whose it is, for whoever deletes it (``rules`` 16)."""
    world = World(operation_seconds=5.0)
    world.write(NETWORK, {"name": "a"})
    world.pass_time(10)
    records = world.under("/esi-worker/")
    path = world.path(NETWORK)
    world.lifecycle.close()
    world.remove_config(NETWORK)
    ask = Repair(tenant=TENANT, job="modify:heat_worker:network:n1:1:abcde", dropped=True)
    world.put(f"/gohan-jobs/repairs/{path}", Bookkeeping.dumps(ask))
    world.restart()
    world.pass_time(10)
    assert records == world.under("/esi-worker/")
    assert 1 == len(world.under("/gohan-jobs/orphans/"))
    assert {} == world.under("/gohan-jobs/repairs/")


ZONE = ResourceRef("zone", "z1")


def unmade_world() -> tuple[World, Lifecycle]:
    """A world whose config went while its job ran, which makes no stack, and its worker."""
    zone = Schema(
        type="zone", prefix="v2.0/zones", templates={"dns_worker": "Cdisk"}, two_step_deletion=True
    )
    slow = {"dns_worker": lambda _: Later(after=300.0, resume=lambda _: Done())}
    world = World(schemas=Schemas([zone]), roles=(Role.MANAGER,))
    worker = world.peer(roles=(Role.WORKER,), seed=7, handlers=slow)
    world.write(ZONE)
    world.step_until(lambda: list(world.places().values()) == [str(Place.WORKING)], worker)
    world.remove_config(ZONE)
    world.pass_time(5.0, worker)
    assert 1 == len(world.under("/gohan-jobs/orphans/"))
    return world, worker


@pytest.mark.parametrize("restarted", [False, True])
def test_an_orphan_that_no_job_has_made_is_forgotten(*, restarted: bool) -> None:
    """As soon as the last job has ended; by whoever leads then."""
    world, worker = unmade_world()
    if restarted:
        world.lifecycle.close()
        world.lifecycle = world.peer(seed=8)
    world.pass_time(400.0, worker)
    assert {} == {**world.under("/gohan-jobs/orphans/"), **world.under("/esi-worker/")}
    assert ({}, 1) == (world.under("/jobs/"), len(world.told(OrphanFound)))


def test_an_orphan_whose_config_came_back_is_none() -> None:
    """It is not one any more when the last job ends: nothing is forgotten."""
    world, worker = unmade_world()
    world.write(ZONE)
    world.pass_time(700.0, worker)
    assert ("MODIFY_COMPLETED", 1, "") == world.outcome(ZONE)  # there might have been a stack
    assert world.processed(ZONE) is not None
    assert {} == {**world.under("/gohan-jobs/orphans/"), **world.under("/jobs/")}


@pytest.mark.parametrize("restarted", [False, True])
def test_a_stack_that_was_left_to_a_delete_goes(*, restarted: bool) -> None:
    """The marked config went before the delete was claimed: only that job knew of the stack."""
    world = World(operation_seconds=30.0, roles=(Role.MANAGER,))
    worker = world.peer(roles=(Role.WORKER,), seed=7)
    world.write(NETWORK)
    world.step_until(world.changes, worker)
    world.write(NETWORK, version=2, marked=True)
    deletes = {"logical_delete n1:2": str(Place.READY)}
    world.step_until(lambda: world.places() == deletes, worker)
    world.remove_config(NETWORK)
    worker.run_until_idle()
    assert [str(Place.FINISHED)] == list(world.places().values())
    if restarted:
        world.restart()
    finish(world)
    assert [("create", "network_n1"), ("delete", "network_n1")] == world.changes()
    assert {} == {**world.under("/esi-worker/"), **world.under("/jobs/")}
    assert {} == {**world.under("/gohan-jobs/orphans/"), **world.under("/gohan-jobs/repairs/")}
    assert [] == world.told(OrphanFound)


def test_a_config_that_came_back_takes_its_stack_over() -> None:
    """A config created again while the job ran: its result is of its stack as it then is."""
    world = dropped_world(DISK)
    world.write(DISK, {"name": "again"})
    finish(world)
    assert ("CREATE_COMPLETED", 1, "") == world.outcome(DISK)
    assert {"create", "update"} == {operation for operation, _ in world.changes()}
    assert "again" == world.heat.changes[-1].parameters["name"]
    assert {} == world.under("/gohan-jobs/repairs/")


def test_a_repair_that_is_cancelled_publishes_nothing() -> None:
    """A stack is to be made right, and what it refers to fails: the version has its result."""
    world = World()
    world.write(NETWORK, {"name": "x"})
    world.write(PORT, {"name": "p", "network_id": "n1"})
    world.settle()
    world.heat.script("network_n1", Outcome(fails=True, seconds=5.0))
    world.write(NETWORK, {"name": "y"}, version=2)
    world.settle()
    ask = Repair(tenant=TENANT, job="modify:heat_worker:port:p1:1:abcde")
    world.put(f"/gohan-jobs/repairs/{world.path(PORT)}", Bookkeeping.dumps(ask))
    world.pass_time(20.0)
    assert 1 == len(world.told(JobCancelled))
    assert [("CREATE_COMPLETED", 1, "")] == world.states_of(PORT)
    assert {} == world.under("/jobs/")


def test_several_deletes_that_a_later_one_replaces() -> None:
    """One record says that there may be a stack, however many were to remove it."""
    world = begun_world()
    world.remove_config(DISK)
    worker = world.peer(roles=(Role.WORKER,), seed=9)
    world.step_until(
        lambda: [Place.WORKING] == [world.place(job.id) for job in world.jobs()], worker
    )
    for _ in range(2):  # each removal has its delete, since the first one's runs, and is lost then
        world.write(DISK)
        world.settle()
        world.remove_config(DISK)
        world.settle()
        world.clock.advance(70.0)
        world.store.expire()
        world.restart()
        world.settle()
    assert ["delete"] == [job.action for job in world.jobs()]
    finish(world)
    assert ({}, {}) == (world.under("/esi-worker/"), world.under("/jobs/"))
