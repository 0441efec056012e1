"""The job manager's races: what changes between a look and a write is looked at again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
import pytest

from gohan_jobs.bookkeeping import JobNotes
from gohan_jobs.events import ConfigSetAside, JobSuperseded, LeaderElected, LeaderLost, OrphanFound
from gohan_jobs.exceptions import NotLeader
from gohan_jobs.keys import Place
from gohan_jobs.lifecycle import Role
from gohan_jobs.manager import Manager, ManagerOptions
from gohan_jobs.orchestrators.simulated import Outcome
from gohan_jobs.stores.base import Delete, Put, Transaction, TransactionResult
from gohan_jobs.testing.faults import FaultyStore
from worlds import DISK, NETWORK, PORT, TEMPLATES, TENANT, World, ref


class Meddling(FaultyStore):
    """Somebody writes just before a transaction that fits."""

    meddle: Callable[[Transaction], bool] | None = None

    def transact(self, transaction: Transaction) -> TransactionResult:
        """Meddle once, then go on."""
        meddle = self.meddle
        if meddle is not None and meddle(transaction):
            self.meddle = None
        return super().transact(transaction)


def meddling(**options: Any) -> tuple[World, Meddling]:
    """A manager alone, on such a store."""
    world = World(wrap=Meddling, roles=(Role.MANAGER,), **options)
    assert isinstance(world.lifecycle.store, Meddling)
    return world, world.lifecycle.store


def manager_of(world: World) -> Manager:
    """The world's job manager."""
    manager = world.lifecycle._manager
    assert manager is not None
    return manager


def before(store: Meddling, key: str, do: Callable[[], None]) -> None:
    """Do something just before the first transaction that writes under a prefix."""

    def meddle(transaction: Transaction) -> bool:
        found = any(getattr(done, "key", "").startswith(key) for done in transaction.success)
        if found:
            store.meddle = None
            do()
        return found

    store.meddle = meddle


def finish(world: World, seconds: float = 60) -> None:
    """Let a worker do what is left."""
    world.pass_time(seconds, world.peer(roles=(Role.WORKER,), seed=77))


@pytest.mark.parametrize("batch", [1, 16])
def test_a_config_that_changes_while_it_is_planned(batch: int) -> None:
    """The transaction fails, all is read again, the newer version is planned."""
    world, store = meddling(manager=ManagerOptions(batch=batch))
    world.write(NETWORK, {"name": "one"}, 1)
    world.write(DISK, {"name": "d"})
    before(store, "/jobs/all/", lambda: world.write(NETWORK, {"name": "two"}, 2))
    finish(world)
    assert [("CREATE_COMPLETED", 2, "")] == world.states_of(NETWORK)
    assert [("CREATE_COMPLETED", 1, "")] == world.states_of(DISK)


_SIZED = {"name": {"concatenate": [{"field": "name"}, {"field": "size"}]}}


@pytest.mark.parametrize(
    ("size", "expected"),
    [("2", ("MODIFY_COMPLETED", 2)), (None, ("READ_ERROR", 2)), ("", None)],
    ids=["planned", "unplannable", "removed"],
)
def test_a_job_that_is_claimed_while_it_is_superseded(
    size: str | None, expected: tuple[str, int] | None
) -> None:
    """It runs to its end, and has a result of its own; of a config that is gone nothing is made."""
    world, store = meddling(templates={**TEMPLATES, "disk": _SIZED}, operation_seconds=10.0)
    world.write(DISK, {"name": "d", "size": "1"})
    world.settle()
    worker = world.peer(roles=(Role.WORKER,), seed=77)

    def claimed() -> None:
        worker.run_until_idle()

    before(store, world.keys.processed_prefix, claimed)
    if expected is None:
        world.remove_config(DISK)
    else:
        world.write(DISK, {"name": "d", "size": size}, 2)
    world.settle()
    assert ([("create", "disk_d1")] if expected else []) == world.changes()
    world.pass_time(60, worker)
    states = [(state, version) for state, version, _ in world.states_of(DISK)]
    assert ([("CREATE_COMPLETED", 1), expected] if expected else []) == states
    assert (expected is None) == (world.heat.find(TENANT, "disk_d1") is None)
    assert {} == world.under("/jobs/")


def test_a_config_that_goes_while_it_is_planned() -> None:
    """Nothing is queued."""
    world, store = meddling()
    world.write(NETWORK, {"name": "one"}, 1)
    before(store, "/jobs/all/", lambda: world.remove_config(NETWORK))
    world.settle()
    assert ({}, {}) == (world.under("/jobs/"), world.under("/esi-worker/"))


def test_a_config_that_never_stands_still_is_tried_again_later() -> None:
    """Not in a hot loop: after some tries it waits a moment."""
    world, store = meddling()
    world.write(NETWORK, {"name": "x"}, 1)
    key = world.keys.processed_of(world.path(NETWORK))
    left = [8]

    def meddle(transaction: Transaction) -> bool:
        if left[0] and any(getattr(done, "key", "") == key for done in transaction.success):
            left[0] -= 1
            store.store.transact(Transaction((), (Delete(key),)))
            store.store.transact(Transaction((), (Put(key, b"{"),)))
        return False

    store.meddle = meddle
    world.settle()
    assert [] == world.jobs()
    world.pass_time(3)
    assert 1 == len(world.jobs())


def test_a_broken_config_that_is_repaired_while_it_is_set_aside() -> None:
    """It is read again, and planned."""
    world, store = meddling()
    key = world.keys.config_of(world.path(NETWORK))
    world.put(key, '{"version": 3}')
    before(store, "/state/", lambda: world.write(NETWORK, {"name": "x"}, 4))
    finish(world)
    assert ("CREATE_COMPLETED", 4, "") == world.outcome(NETWORK)


def test_an_overdue_hold_whose_config_changes_just_then() -> None:
    """The newer version has a wait of its own."""
    world, store = meddling()
    world.write(PORT, {"name": "p", "network_id": "n1"})
    world.settle()
    before(store, "/state/", lambda: world.write(PORT, {"name": "q", "network_id": "n1"}, 2))
    world.pass_time(62)
    assert world.outcome(PORT) is None
    world.pass_time(60)
    assert 2 == (world.outcome(PORT) or ("", 0, ""))[1]


def test_a_dependant_that_moves_while_it_is_cancelled() -> None:
    """The failed job stays until that one is cancelled too."""
    world, store = meddling()
    world.heat.script("network_n1", Outcome(fails=True))
    world.write(NETWORK, {"name": "x"})
    world.write(PORT, {"name": "p", "network_id": "n1"})
    world.settle()
    place = world.keys.place(Place.WAITING, world.job(PORT).id)
    before(store, "/state/v2.0/ports", lambda: world.put(place, "heat_worker"))
    finish(world)
    assert "CREATE_ERROR" == (world.outcome(PORT) or ("",))[0]
    assert {} == world.under("/jobs/")


def test_a_cancelled_job_whose_config_is_gone_tells_nobody() -> None:
    """There is no state to write."""
    world, store = meddling()
    world.heat.script("network_n1", Outcome(fails=True))
    world.write(NETWORK, {"name": "x"})
    world.write(PORT, {"name": "p", "network_id": "n1"})
    world.settle()
    before(store, "/state/v2.0/ports", lambda: world.remove_config(PORT))
    finish(world)
    assert ([], {}) == (world.states_of(PORT), world.under("/jobs/"))


def test_a_template_that_changes_while_the_jobs_move() -> None:
    """The rewrite fails, and is done again."""
    world, store = meddling()
    world.write(NETWORK, {"name": "x", "label": "L"})
    world.settle()
    place = world.keys.place(Place.READY, world.job(NETWORK).id)
    before(store, "/jobs/all/", lambda: world.put(place, "heat_worker"))
    world.template("network", {**TEMPLATES["network"], "name": "Plabel"})
    world.settle()
    finish(world)
    assert ["L"] == [call.parameters["name"] for call in world.heat.changes]


@pytest.mark.parametrize("broken", [False, True])
def test_a_template_changes_and_the_job_is_gone_or_broken(broken: bool) -> None:  # noqa: FBT001 - a case
    """Neither stops the manager."""
    world, _ = meddling()
    world.write(NETWORK, {"name": "x"})
    world.write(DISK, {"name": "d"})
    world.settle()
    key = world.keys.job(world.job(NETWORK).id)
    world.template("network", {**TEMPLATES["network"], "name": "Pid"})
    if broken:
        world.put(key, "{")
    else:
        world.delete(key)
    finish(world)
    assert ("CREATE_COMPLETED", 1, "") == world.outcome(DISK)


def test_a_lost_claim_that_was_pre_empted_is_superseded() -> None:
    """The holder died before it heard of the delete."""
    world, _ = meddling()
    world.write(NETWORK, {"name": "x"})
    world.settle()
    job = world.job(NETWORK)
    world.transact(
        Delete(world.keys.place(Place.READY, job.id)),
        Put(f"/gohan-jobs/preempt/{job.id}", b"delete"),
    )
    world.settle()
    assert {} == world.under("/jobs/")
    assert 1 == len(world.told(JobSuperseded))


def test_broken_notes_stop_nobody() -> None:
    """They are told of, and written anew with what the leader knows."""
    world, _ = meddling()
    world.write(NETWORK, {"name": "x"})
    world.settle()
    job = world.job(NETWORK)
    key = f"/gohan-jobs/jobs/{job.id}"
    world.put(key, "{")
    world.lifecycle.close()
    world.lifecycle = world.peer(seed=4)
    world.settle()
    world.transact(
        Delete(world.keys.place(Place.READY, job.id)),
        Put(world.keys.place(Place.WAITING, job.id), b"heat_worker"),
    )
    world.settle()
    assert [key] == [event.key for event in world.told(ConfigSetAside)]
    assert {} == world.under("/gohan-jobs/quarantine/")
    notes = world.lifecycle.queue.own.loads(key, world.text(key) or b"", JobNotes)
    assert world.path(NETWORK) == notes.path


def test_hold_notes_that_make_no_sense_are_over_at_once() -> None:
    """A deadline that is no time is past."""
    world, _ = meddling()
    world.write(NETWORK, {"name": "x"})
    world.settle()
    job = world.job(NETWORK)
    own = world.lifecycle.queue.own
    notes = own.loads("x", world.text(own.job(job.id)) or b"", JobNotes)
    held = attrs.evolve(notes, held_until="soon", held_for="alien:x", last_error="why")
    world.transact(
        Put(own.job(job.id), own.dumps(held)),
        Delete(world.keys.place(Place.READY, job.id)),
        Put(world.keys.place(Place.WAITING, job.id), b"heat_worker"),
    )
    world.settle()
    assert ("CREATE_ERROR", 1, "why") == world.outcome(NETWORK)


def test_an_orphan_is_told_of_a_delete_that_lost_its_claims() -> None:
    """Poison too: the stack may be there."""
    world, _ = meddling(manager=ManagerOptions(max_attempts=1))
    world.write(DISK, {"name": "d"})
    finish(world, 5)
    world.remove_config(DISK, state=True)
    world.settle()
    world.delete(world.keys.place(Place.READY, world.job(DISK).id))
    world.settle()
    assert [DISK] == [event.resource for event in world.told(OrphanFound)]


def test_a_leader_that_is_replaced_writes_nothing() -> None:
    """Its key is another's: it stands down, and campaigns again once it is free."""
    world, _ = meddling()
    world.settle()
    world.put(world.keys.leader, "somebody else")
    world.delete(world.keys.leader)
    world.put(world.keys.leader, "somebody else")
    world.write(NETWORK, {"name": "x"})
    world.settle()
    assert ([], 1) == (world.jobs(), len(world.told(LeaderLost)))
    world.delete(world.keys.leader)
    world.settle()
    assert (1, 2) == (len(world.jobs()), len(world.told(LeaderElected)))
    world.lifecycle.close()
    with pytest.raises(NotLeader):
        manager_of(world).leadership.commit(Transaction())


def test_two_candidates_at_once() -> None:
    """The other was faster: its lease is given back."""
    world, store = meddling()
    before(store, world.keys.leader, lambda: world.put(world.keys.leader, "other"))
    world.settle()
    assert (False, []) == (world.lifecycle.leads, world.told(LeaderElected))


def test_a_leader_whose_lease_ends_stands_down() -> None:
    """It hears so when it renews."""
    world, _ = meddling()
    world.settle()
    world.clock.advance(500)
    world.settle()
    assert ["lease ended"] == [event.reason for event in world.told(LeaderLost)]
    world.pass_time(2)
    assert world.lifecycle.leads


def test_slots_that_are_no_number_are_ignored() -> None:
    """A foreign key under our prefix."""
    world, _ = meddling()
    world.settle()
    world.put("/gohan-jobs/workers/x", "many")
    world.put("/state/nonsense", "x")
    world.put("/esi-worker/heat_stacks/nonsense", "x")
    world.put("/config/nonsense", "x")
    world.settle()
    for key in ("/state/nonsense", "/esi-worker/heat_stacks/nonsense", "/config/nonsense"):
        world.delete(key)
    world.write(ref("network", "n3"), {"name": "x"})
    finish(world, 5)
    assert ("CREATE_COMPLETED", 1, "") == world.outcome(ref("network", "n3"))
