"""The last result of a resource is of its last version, whatever became of that one."""

from __future__ import annotations

from typing import Any, Literal

import pytest

from gohan_jobs.bookkeeping import Bookkeeping, CancelRequest
from gohan_jobs.events import JobFailed, RequestCarriedOut
from gohan_jobs.exceptions import TransactionTooLarge
from gohan_jobs.keys import Place
from gohan_jobs.lifecycle import Role
from gohan_jobs.manager import ManagerOptions
from gohan_jobs.orchestrators.simulated import Outcome
from gohan_jobs.records import ResourceRef
from gohan_jobs.schemas import Schema, Schemas
from gohan_jobs.stores.base import Delete, Put, Transaction, TransactionResult
from gohan_jobs.testing.faults import FaultyStore
from worlds import DISK, NETWORK, PORT, SCHEMAS, TEMPLATES, World, ref

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


# What ends without having run.

OTHER = ref("network", "n2")


def told(world: World, resource: ResourceRef) -> list[tuple[str, int]]:
    """Every result of a resource, in the order in which they were published."""
    return [(state, version) for state, version, _ in world.states_of(resource)]


def let_down(**options: Any) -> World:
    """Version 1 of a port runs for a minute; version 2 waits for it, and for one that fails."""
    world = World(operation_seconds=5.0, **options)
    world.heat.script("port_p1", Outcome(seconds=60.0))
    world.heat.script("network_n2", Outcome(fails=True, reason="no room"))
    world.write(NETWORK, {"name": "a"})
    world.pass_time(10)
    world.write(PORT, {"network_id": "n1"})
    world.pass_time(2)
    world.write(OTHER, {"name": "b"})
    world.settle()
    world.write(PORT, {"network_id": "n2"}, 2)
    return world


@pytest.mark.parametrize("mode", ["cancel", "hold"])
@pytest.mark.parametrize("restart", [False, True], ids=["same leader", "another leader"])
def test_rule_12_a_cancelled_version_is_told_of_after_the_one_that_runs(
    mode: Literal["cancel", "hold"],
    restart: bool,  # noqa: FBT001 - a case
) -> None:
    """What a failure elsewhere cancels waits for the older version's result, and tells its own."""
    options = ManagerOptions(on_dependency_failure=mode, dependency_hold_time=5.0)
    world = let_down(manager=options)
    world.pass_time(20)
    assert [("CREATE_ERROR", 1)] == told(world, OTHER)
    assert [] == told(world, PORT)
    if restart:
        world.restart()
    world.pass_time(250)
    assert [("CREATE_COMPLETED", 1), ("MODIFY_ERROR", 2)] == told(world, PORT)
    error = world.states_of(PORT)[-1][2]
    assert error.startswith("cancelled: create:heat_worker:network:n2:1:")
    assert {} == world.under("/jobs/")


def test_rule_14_who_depends_on_such_a_version_is_let_down_with_it() -> None:
    """Its dependants are told the first cause, once it has ended itself."""
    tap = Schema(
        type="tap",
        prefix="v2.0/taps",
        relations={"port_id": "port"},
        templates={"heat_worker": "Ctap"},
        state_versioning=True,
    )
    templates = {**TEMPLATES, "tap": {"network": "Mport:port_id:link"}}
    world = let_down(schemas=Schemas([*SCHEMAS, tap]), templates=templates)
    world.write(ref("tap", "t1"), {"port_id": "p1"})
    world.pass_time(20)
    assert [] == told(world, ref("tap", "t1"))
    world.pass_time(60)
    ((state, version, error),) = world.states_of(ref("tap", "t1"))
    assert ("CREATE_ERROR", 1) == (state, version)
    assert error == world.states_of(PORT)[-1][2]


def test_rule_12_a_version_is_cancelled_after_the_one_that_runs() -> None:
    """An operator's request waits until the older version's result stands there."""
    world = World()
    running(world)
    world.write(DISK, {"name": "b"}, 2)
    world.settle()
    ask(world, 2)
    world.pass_time(5)
    assert [] == told(world, DISK)
    assert [] == world.told(RequestCarriedOut)
    world.pass_time(60)
    assert [("CREATE_COMPLETED", 1), ("MODIFY_ERROR", 2)] == told(world, DISK)
    assert 1 == len(world.told(RequestCarriedOut))
    assert {} == world.under("/jobs/")


def test_rule_12_two_versions_that_are_cancelled_are_told_of_in_order() -> None:
    """Also if the newer one was asked for first."""
    world = World()
    running(world)
    world.write(DISK, {"name": "b"}, 2)
    world.settle()
    ask(world, 2)
    ask(world, 1)
    world.pass_time(5)
    assert [("CREATE_ERROR", 1), ("MODIFY_ERROR", 2)] == told(world, DISK)
    assert {} == world.under("/jobs/")


def ask(world: World, version: int) -> None:
    """An operator wants a version of the disk to end."""
    own = Bookkeeping(world.keys)
    world.put(own.cancel(world.job(DISK, version).id), own.dumps(CancelRequest(reason="why")))


def test_rule_12_a_version_whose_template_breaks_is_told_of_after_the_one_that_runs() -> None:
    """It waits, and can't be evaluated again: that is its result, in its turn."""
    world = World()
    running(world)
    world.write(DISK, {"name": "b"}, 2)
    world.settle()
    world.template("disk", {"name": {"concatenate": [{"field": "name"}, {"field": "size"}]}})
    world.pass_time(5)
    assert [] == told(world, DISK)
    world.pass_time(60)
    assert [("CREATE_COMPLETED", 1), ("MODIFY_ERROR", 2)] == told(world, DISK)


def test_rule_12_a_version_that_goes_back_is_told_of_after_the_one_that_runs() -> None:
    """Nothing can be done for it, which is said when the version before it has its result."""
    world = World()
    world.heat.script("disk_d1", Outcome(seconds=30.0))
    world.write(DISK, {"name": "a"}, 2)
    world.step_until(lambda: world.heat.changes)
    world.write(DISK, {"name": "b"}, 1)
    world.pass_time(5)
    assert [] == told(world, DISK)
    world.pass_time(60)
    assert [("CREATE_COMPLETED", 2), ("READ_ERROR", 1)] == told(world, DISK)


class Narrow(FaultyStore):
    """A store that no transaction fits that writes a certain text."""

    refused = b"much too long"

    def transact(self, transaction: Transaction) -> TransactionResult:
        """Carry out what fits."""
        puts = [step.value for step in transaction.success if isinstance(step, Put)]
        if any(self.refused in value for value in puts):
            raise TransactionTooLarge("", 9, 5)
        return super().transact(transaction)


def test_rule_19_a_version_too_large_to_queue_is_told_of_after_the_one_that_runs() -> None:
    """That its job can't be stored is known at once, and said in its turn."""
    world = World(wrap=Narrow)
    running(world)
    world.write(DISK, {"name": "much too long"}, 2)
    world.pass_time(5)
    assert [] == told(world, DISK)
    world.pass_time(60)
    assert [("CREATE_COMPLETED", 1), ("READ_ERROR", 2)] == told(world, DISK)


def test_rule_19_a_result_too_large_is_told_of_after_the_version_it_was_to_replace() -> None:
    """What can't be collapsed with it runs, and has its result first."""
    joined = {"name": {"concatenate": [{"field": "name"}, {"field": "size"}]}}
    world = World(wrap=Narrow, roles=(Role.MANAGER,), templates={"disk": joined})
    world.write(DISK, {"name": "a", "size": "b"})
    world.settle()
    world.write(DISK, {"name": "much too long", "size": None}, 2)
    world.settle()
    assert [] == told(world, DISK)
    world.pass_time(60, world.peer(roles=(Role.WORKER,), seed=7))
    assert [("CREATE_COMPLETED", 1), ("READ_ERROR", 2)] == told(world, DISK)


def test_rule_17_a_version_that_nobody_can_have_claimed_is_no_poison() -> None:
    """A job that waits for an older version and stands nowhere is put back, however often."""
    world = World(manager=ManagerOptions(max_attempts=2))
    running(world)
    world.write(DISK, {"name": "b"}, 2)
    world.settle()
    job_id = world.job(DISK, 2).id
    for _ in range(3):
        world.delete(world.keys.place(Place.WAITING, job_id))
        world.settle()
    assert [] == world.told(JobFailed)
    world.pass_time(100)
    assert [("CREATE_COMPLETED", 1), ("MODIFY_COMPLETED", 2)] == told(world, DISK)


def test_two_finished_jobs_of_a_resource_are_released_one_after_the_other() -> None:
    """Whoever made both of them finished: both take the resource's job state away."""
    world = World()
    running(world)
    world.write(DISK, {"name": "b"}, 2)
    world.settle()
    places = [(world.keys, world.job(DISK, version).id) for version in (1, 2)]
    world.transact(
        *(Put(keys.place(Place.FINISHED, job_id), b"") for keys, job_id in places),
        Delete(world.keys.place(Place.WAITING, places[1][1])),
        Delete(world.keys.place(Place.WORKING, places[0][1])),
    )
    world.settle()
    assert {} == world.under("/jobs/")
