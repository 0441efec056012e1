"""Configs that go and come back while their jobs run: no stack is lost, none is made up.

Each was found by random schedules of writes, removals, operators' requests, deaths and takeovers.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from gohan_jobs.admission import Admission, AdmissionRequest, Veto
from gohan_jobs.bookkeeping import Repair
from gohan_jobs.events import OrphanFound
from gohan_jobs.keys import Place, ResourcePath
from gohan_jobs.lifecycle import Lifecycle, Role
from gohan_jobs.operations.operating import Operator
from gohan_jobs.orchestrators.simulated import Outcome
from gohan_jobs.queue import Queue
from gohan_jobs.records import ResourceRef
from gohan_jobs.stores.base import Entry, Put, Transaction
from worlds import DISK, NETWORK, QUOTA, TENANT, World


class Scene:
    """A manager, and a worker that is at a resource's create."""

    def __init__(
        self, resource: ResourceRef, version: int = 1, admission: Admission | None = None
    ) -> None:
        self.resource = resource
        self.world = World(operation_seconds=30.0, roles=(Role.MANAGER,), admission=admission)
        self.worker: Lifecycle = self.world.peer(roles=(Role.WORKER,), seed=7)
        self.world.write(resource, {"name": "one"}, version)
        self.world.step_until(self.world.changes, self.worker)

    def cancel(self, resource_job: str) -> None:
        """An operator ends the job of an action."""
        world = self.world
        queue = Queue(world.keys, world.codec)
        operator = Operator(world.store, world.codec, queue, world.schemas, clock=world.clock)
        (job_id,) = [job.id for job in world.jobs() if job.action == resource_job]
        operator.cancel(job_id, "no more")

    def orphans(self) -> list[str]:
        """What is noted as an orphan."""
        return sorted(self.world.under("/gohan-jobs/orphans/"))

    def end(self) -> None:
        """Everything is done, and nothing is left of it."""
        self.world.pass_time(200.0, self.worker)
        assert {} == self.world.under("/jobs/")


# A delete that is taken back.


def dropped_by_its_holder(scene: Scene) -> None:
    """The worker hears that it is to stop, and leaves the stack to the delete."""
    scene.worker.run_until_idle()


def dropped_by_a_death(scene: Scene) -> None:
    """The worker dies; the leader ends its job."""
    scene.worker = scene.world.peer(roles=(Role.WORKER,), seed=8)
    scene.world.clock.advance(70.0)
    scene.world.store.expire()


@pytest.mark.parametrize("dropped", [dropped_by_its_holder, dropped_by_a_death])
def test_a_stack_whose_delete_is_taken_back_is_known(dropped: Callable[[Scene], None]) -> None:
    """Its config comes back, and goes again before anybody has made anything of it."""
    scene = Scene(DISK)
    world = scene.world
    world.remove_config(DISK, state=True)
    world.settle()  # the delete is queued, and the create's holder told to stop
    world.write(DISK, {"name": "two"})
    world.settle()  # the delete is taken back
    assert ["create d1:1", "modify d1:1"] == sorted(world.places())
    dropped(scene)
    world.remove_config(DISK, state=True)
    scene.end()
    assert [("create", "disk_d1"), ("delete", "disk_d1")] == world.changes()
    assert {} == world.under("/esi-worker/")
    assert [] == scene.orphans()


def test_a_config_that_comes_back_takes_its_stack_over() -> None:
    """The record of a stack at which nobody has looked is in nobody's way."""
    scene = Scene(DISK)
    world = scene.world
    world.remove_config(DISK, state=True)
    world.settle()
    world.write(DISK, {"name": "two"})
    world.settle()
    scene.end()
    assert [("create", "disk_d1"), ("update", "disk_d1")] == world.changes()
    assert [("MODIFY_COMPLETED", 1, "")] == world.states_of(DISK)


def test_a_delete_that_is_taken_back_leaves_a_known_stack_known() -> None:
    """Its record stays as it was."""
    scene = Scene(DISK)
    world = scene.world
    scene.end()
    stack = world.stack(DISK)
    world.remove_config(DISK, state=True)
    world.settle()
    world.write(DISK, {"name": "two"})
    world.settle()
    assert stack == world.stack(DISK)
    scene.end()
    assert ("update", "disk_d1") == world.changes()[-1]


# A delete that fails.


@pytest.mark.parametrize("back", [True, False], ids=["config is back", "config is gone"])
def test_a_delete_that_fails_leaves_an_orphan_unless_there_is_a_config(*, back: bool) -> None:
    """With a config there is one that takes the stack over."""
    scene = Scene(DISK)
    world = scene.world
    scene.end()
    world.heat.script("disk_d1", *[Outcome(fails=True, seconds=10.0)] * 4, op="delete")
    world.remove_config(DISK, state=True)
    world.pass_time(2.0, scene.worker)
    if back:
        world.write(DISK, {"name": "two"})
    scene.end()
    expected = 0 if back else 1
    assert (expected, expected) == (len(scene.orphans()), len(world.told(OrphanFound)))


def test_a_config_that_comes_back_just_before_its_orphan_is_noted() -> None:
    """The leader, which has not heard of it, does not note one."""
    scene = Scene(DISK)
    world = scene.world
    scene.end()
    world.heat.script("disk_d1", *[Outcome(fails=True, seconds=10.0)] * 4, op="delete")
    world.remove_config(DISK, state=True)
    for _ in range(200):
        world.clock.advance(1.0)
        world.settle()
        scene.worker.run_until_idle()
        if world.under("/gohan-jobs/failed/"):
            break
    manager = world.lifecycle._manager
    assert manager is not None
    manager._drain()
    world.write(DISK, {"name": "two"})
    manager._dispatch.step()
    scene.end()
    assert [] == scene.orphans()
    assert "disk_d1" == world.changes()[-1][1]
    assert ("MODIFY_COMPLETED", 1, "") == world.outcome(DISK)


# Versions that are not counted.


def test_a_cancelled_change_is_told_where_versions_are_not_counted() -> None:
    """The result of the change before it looks the same, and came after its config."""
    scene = Scene(QUOTA, 0)
    world = scene.world
    world.write(QUOTA, {"name": "two"}, 0)
    world.settle()
    scene.cancel("modify")
    scene.end()
    assert [
        ("CREATE_COMPLETED", 0, ""),
        ("MODIFY_ERROR", 0, "cancelled: no more"),
    ] == world.states_of(QUOTA)


# A stack whose config went while its job ran.


def asked(world: World, *, dropped: bool) -> Put:
    """A worker's request that a network's stack be made right."""
    own = world.lifecycle.queue.own
    key = own.repair(ResourcePath("v2.0/networks/n1"))
    return Put(key, own.dumps(Repair(tenant=TENANT, job="a job", dropped=dropped)))


def test_a_stack_that_a_later_mark_deletes_is_no_orphan() -> None:
    """Its config went unmarked, came back, was marked and went: it is not kept."""
    scene = Scene(NETWORK)
    world = scene.world
    world.remove_config(NETWORK, state=True)
    world.write(NETWORK, {"name": "two"})
    world.write(NETWORK, {"name": "two"}, 2, marked=True)
    world.transact(asked(world, dropped=True))
    world.pass_time(100.0, scene.worker)
    assert "DELETE_COMPLETED" == str(getattr(world.state(NETWORK), "worker_state", ""))
    world.remove_config(NETWORK, state=True)
    scene.end()
    assert ([], {}) == (scene.orphans(), world.under("/gohan-jobs/repairs/"))
    assert [] == world.told(OrphanFound)
    assert {} == world.under("/esi-worker/")


def test_a_mark_concerns_only_requests_that_would_keep_the_stack() -> None:
    """Another is left as it is, one that nobody can read is set aside, one that is gone is gone."""
    scene = Scene(NETWORK)
    world = scene.world
    world.write(NETWORK, {"name": "one"}, 2, marked=True)
    world.settle()
    key = asked(world, dropped=False).key
    for text in (asked(world, dropped=False).value, b"{"):
        world.put(key, text)
        world.settle()
        assert text == world.text(key)
    assert 1 == len(world.under("/gohan-jobs/quarantine/"))
    manager = world.lifecycle._manager
    assert manager is not None
    world.transact(asked(world, dropped=True))
    manager._drain()
    world.delete(key)
    assert manager._repairs.step()
    world.settle()
    assert (None, {}) == (world.text(key), world.under("/gohan-jobs/quarantine/"))


def test_a_request_that_changes_while_a_mark_is_seen_is_looked_at_again() -> None:
    """What it says by then counts."""
    scene = Scene(NETWORK)
    world = scene.world
    world.write(NETWORK, {"name": "one"}, 2, marked=True)
    world.settle()
    world.transact(asked(world, dropped=True))
    store = world.store
    commit, get = store.transact, store.get

    def changed(key: str) -> Entry | None:
        """Read it just before it is written anew."""
        entry = get(key)
        if key == asked(world, dropped=True).key:
            store.get = get  # type: ignore[method-assign] # once
            commit(Transaction((), (asked(world, dropped=True),)))
        return entry

    store.get = changed  # type: ignore[method-assign] # somebody is faster
    world.settle()
    own = world.lifecycle.queue.own
    key = asked(world, dropped=True).key
    assert not own.loads(key, world.text(key) or b"", Repair).dropped


def test_a_delete_that_is_cancelled_before_anybody_looked_leaves_an_orphan() -> None:
    """Its create was told to stop, so that no record tells of the stack; a new leader knows."""
    scene = Scene(DISK)
    world = scene.world
    world.remove_config(DISK, state=True)
    world.settle()
    scene.cancel("delete")
    scene.end()
    for _ in range(2):
        assert ["/gohan-jobs/orphans/v2.0/disks/d1"] == scene.orphans()
        assert "CREATE_IN_PROGRESS" == str(getattr(world.stack(DISK), "stack_status", ""))
        world.restart()
        world.settle()
    assert [("create", "disk_d1")] == world.changes()


def test_a_stack_is_deleted_whose_removal_was_vetoed_when_its_job_ended() -> None:
    """By the time that it is allowed, nothing but the worker's request tells of the stack."""
    allowed = True

    def admit(_request: AdmissionRequest) -> Veto | None:
        """Say no to everything for some time."""
        return None if allowed else Veto("not now", retry_after=90.0)

    scene = Scene(DISK, admission=admit)
    allowed = False
    world = scene.world
    world.remove_config(DISK, state=True)
    world.pass_time(60.0, scene.worker)
    assert ["/gohan-jobs/held/v2.0/disks/d1"] == list(world.under("/gohan-jobs/held/"))
    assert ["/gohan-jobs/repairs/v2.0/disks/d1"] == list(world.under("/gohan-jobs/repairs/"))
    allowed = True
    scene.end()
    assert [("create", "disk_d1"), ("delete", "disk_d1")] == world.changes()
    assert ({}, {}) == (world.under("/esi-worker/"), world.under("/gohan-jobs/repairs/"))


def test_a_stack_is_not_made_right_before_its_config_is_planned() -> None:
    """A resync pauses, and a request for a repair comes first: its job would tell nobody."""
    scene = Scene(NETWORK)
    world = scene.world
    world.lifecycle.close()
    world.remove_config(NETWORK, state=True)
    world.write(NETWORK, {"name": "two"})
    world.store.__dict__["size"] = lambda: 2**40
    world.restart()
    world.pass_time(60.0, scene.worker)
    assert ["/gohan-jobs/repairs/v2.0/networks/n1"] == list(world.under("/gohan-jobs/repairs/"))
    world.store.__dict__["size"] = lambda: 0
    scene.end()
    assert [("CREATE_COMPLETED", 1, "")] == world.states_of(NETWORK)
    assert {} == world.under("/gohan-jobs/repairs/")


def cancelled(scene: Scene) -> None:
    """An operator does not want the stack to be deleted."""
    scene.cancel("logical_delete")


def poisoned(scene: Scene) -> None:
    """It fails, and nobody has said anything about the stack."""
    world, queue = scene.world, scene.world.lifecycle.queue
    job = world.job(NETWORK, 2).id
    (place,) = [each for each in Place if world.store.get(world.keys.place(each, job))]
    entry = world.store.get(world.keys.place(place, job))
    assert entry is not None
    fail = queue.fail(job, world.path(NETWORK), "it", place=place, revision=entry.mod_revision)
    assert world.store.transact(fail).succeeded


def gone(scene: Scene) -> None:
    """The config goes before anybody has begun to delete its stack."""
    scene.world.remove_config(NETWORK, state=True)


@pytest.mark.parametrize("ended", [cancelled, poisoned, gone])
def test_a_mark_that_is_not_carried_out_leaves_the_stack_known(
    ended: Callable[[Scene], None],
) -> None:
    """The create was told to stop, and left the stack to a delete that nobody has begun."""
    scene = Scene(NETWORK)
    world = scene.world
    world.write(NETWORK, {"name": "one"}, 2, marked=True)
    world.settle()  # the delete is queued, and the create's holder told to stop
    scene.worker.run_until_idle()
    ended(scene)
    world.settle()
    if ended is not gone:
        scene.end()
        assert [("create", "network_n1")] == world.changes()
        world.remove_config(NETWORK, state=True)
    scene.end()
    assert [("create", "network_n1"), ("delete", "network_n1")] == world.changes()
    assert ([], {}) == (scene.orphans(), world.under("/esi-worker/"))


def test_a_job_that_is_handed_back_and_cancelled_at_once_leaves_its_stack_known() -> None:
    """The leader has not read yet that it was begun; then the config goes."""
    scene = Scene(DISK)
    world = scene.world
    world.settle()  # it hears of the claim
    scene.worker.close(timeout=0.0)
    scene.cancel("create")
    world.settle()
    assert "CREATE_IN_PROGRESS" == str(getattr(world.stack(DISK), "stack_status", ""))
    world.remove_config(DISK, state=True)
    scene.worker = world.peer(roles=(Role.WORKER,), seed=8)
    scene.end()
    assert [("create", "disk_d1"), ("delete", "disk_d1")] == world.changes()
