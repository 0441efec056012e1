"""Jobs that their workers did not survive, and jobs that another program has put in two places."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from gohan_jobs.keys import Place
from gohan_jobs.lifecycle import Role
from gohan_jobs.manager.desk import ManagerOptions
from gohan_jobs.records import OnFailure, ResourceRef
from gohan_jobs.stores.base import Delete, Put
from worlds import DISK, NETWORK, PORT, TENANT, World

_ONCE = ManagerOptions(max_attempts=1, claim_pause=1.0)


def _queued(resource: ResourceRef = NETWORK, **options: Any) -> World:
    """A world without workers, and a job that is ready."""
    world = World(roles=(Role.MANAGER,), **{"manager": _ONCE, **options})
    world.write(resource, {"name": "blue"})
    world.settle()
    return world


def _lose(world: World, resource: ResourceRef = NETWORK) -> None:
    """Somebody claims the job, and its claim is gone."""
    job = world.job(resource).id
    ready, working = (world.keys.place(place, job) for place in (Place.READY, Place.WORKING))
    world.transact(Delete(ready), Put(working, b"somebody"))
    world.settle()
    world.delete(working)
    world.settle()


def test_poison_leaves_a_job_state_with_its_error() -> None:
    """As every failure does (``rules`` 11), until the job is taken out of the queue."""
    world = _queued()
    _lose(world)
    states = world.written(world.keys.job_state_of(world.path(NETWORK)))
    assert [("CREATE_ERROR", "given up after 1 lost claims")] == [
        (state["orchestration_state"], state["error"]) for state in states
    ]
    assert world.job_state(NETWORK) is None


def test_poison_leaves_a_record_of_the_stack_that_may_be_there() -> None:
    """So that a one-step delete looks for it in Heat, and finds it by its name."""
    world = _queued(DISK)
    worker = world.peer(roles=(Role.WORKER,), seed=9)
    worker.run_until_idle()
    world.store.revoke_lease(_lease_of(world, DISK))
    world.settle()
    worker.close()
    stack = world.stack(DISK)
    assert stack is not None
    assert ("disk_d1", TENANT, "CREATE_IN_PROGRESS") == (
        stack.stack_id,
        stack.tenant_id,
        str(stack.stack_status),
    )
    assert "given up after 1 lost claims: nobody has looked since" == stack.status_reason
    world.remove_config(DISK)
    world.restart(roles=(Role.MANAGER, Role.WORKER))
    world.pass_time(10)
    assert [("create", "disk_d1"), ("delete", "disk_d1")] == world.changes()
    assert (None, None) == (world.stack(DISK), world.heat.find(TENANT, "disk_d1"))


def _lease_of(world: World, resource: ResourceRef) -> int:
    entry = world.store.get(world.keys.place(Place.WORKING, world.job(resource).id))
    assert entry is not None
    return entry.lease


@pytest.mark.parametrize(
    ("is_last", "expected"), [(False, []), (True, [("CREATE_COMPLETED", 1, "")])]
)
def test_poison_that_is_ignored_publishes_no_failure(
    is_last: bool,  # noqa: FBT001 - a case
    expected: list[tuple[str, int, str]],
) -> None:
    """The version's one result is the last job's, and its failure is none (``rules`` 12)."""
    world = _queued()
    job = world.job(NETWORK)
    ignored = attrs.evolve(job, on_failure=OnFailure.IGNORE, is_last=is_last)
    world.put(world.keys.job(job.id), world.codec.dumps(ignored))
    world.settle()
    _lose(world)
    assert (expected, []) == (world.states_of(NETWORK), world.jobs())


@pytest.mark.parametrize(
    ("is_last", "expected"), [(False, []), (True, [("CREATE_COMPLETED", 1, "")])]
)
def test_an_ignored_job_whose_template_goes_publishes_no_failure(
    is_last: bool,  # noqa: FBT001 - a case
    expected: list[tuple[str, int, str]],
) -> None:
    """It can't run any more, which counts as little as its failing: nobody is let down by it."""
    world = World(roles=(Role.MANAGER,))
    world.write(NETWORK, {"name": "n"})
    world.write(PORT, {"name": "p", "network_id": "n1"})
    world.settle()
    job = world.job(NETWORK)
    ignored = attrs.evolve(job, on_failure=OnFailure.IGNORE, is_last=is_last)
    world.put(world.keys.job(job.id), world.codec.dumps(ignored))
    world.settle()
    world.delete("/config/v2.0/heat_templates/network")
    world.settle()
    assert (expected, []) == (world.states_of(NETWORK), world.states_of(PORT))
    assert [PORT] == [left.resource for left in world.jobs()]


@pytest.mark.parametrize("place", [Place.WAITING, Place.WORKING, Place.FINISHED])
def test_a_job_put_in_a_second_place_keeps_the_later_one(place: Place) -> None:
    """At run time as at start: the leader takes it away from where it was before."""
    world = _queued()
    job = world.job(NETWORK).id
    before = {each: world.keys.place(each, job) for each in Place}
    world.put(before[place], "heat_worker")
    world.settle()
    there = {each for each, key in before.items() if world.text(key) is not None}
    expected = {
        Place.WAITING: {Place.READY},  # promoted again
        Place.WORKING: {Place.WORKING},
        Place.FINISHED: set[Place](),  # released
    }
    assert expected[place] == there


def test_a_finished_job_put_in_a_second_place_is_not_stuck() -> None:
    """It runs again, for whoever put it there, and then is gone."""
    world = _queued(manager=ManagerOptions())
    job = world.job(NETWORK).id
    world.transact(
        Put(world.keys.place(Place.WAITING, job), b"heat_worker"),
        Put(world.keys.place(Place.FINISHED, job), b""),
    )
    world.settle()
    world.lifecycle.close()
    world.lifecycle = world.peer(roles=(Role.MANAGER, Role.WORKER), seed=4)
    world.pass_time(10)
    assert {} == world.under("/jobs/")
