"""What changes between the leader's look and its write, and others that hardly ever happen."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

import pytest

from gohan_jobs.bookkeeping import Bookkeeping, Repair
from gohan_jobs.events import ConfigHeld, ConfigSetAside
from gohan_jobs.exceptions import Degraded, StoreUnavailable, TransactionTooLarge
from gohan_jobs.handlers import JobContext, RetryLater
from gohan_jobs.keys import Place
from gohan_jobs.manager.desk import ManagerOptions
from gohan_jobs.records import Job
from gohan_jobs.stores.base import (
    Delete,
    Entry,
    Operation,
    Put,
    Store,
    Transaction,
    TransactionResult,
)
from gohan_jobs.stores.memory import MemoryStore
from gohan_jobs.testing import etcd
from gohan_jobs.testing.faults import FaultyStore
from worlds import ALIAS, DISK, NETWORK, PORT, TEMPLATES, TENANT, World, ref

_STRAY: Final = "/config/nobody/knows"


class _Meddled(FaultyStore):
    """A store in which somebody else may write something just before the next call."""

    before: Callable[[], object] | None = None
    at: Mapping[str, Callable[[], object]] = MappingProxyType({})

    def get(self, key: str) -> Entry | None:
        """Let the other one write when a certain key is read, then read it."""
        self.at.get(key, bool)()
        return super().get(key)

    def transact(self, transaction: Transaction) -> TransactionResult:
        """Let the other one write, then do it."""
        before, self.before = self.before, None
        if before is not None:
            before()
        return super().transact(transaction)


class _Troubled:
    """A world, and the store as its lifecycle sees it."""

    def __init__(self, *roles: str) -> None:
        self.world = World(wrap=self._wrap, roles=roles or ("manager", "worker"))

    def _wrap(self, store: MemoryStore) -> Store:
        self.store = _Meddled(store)
        return self.store


def _too_large() -> TransactionTooLarge:
    return TransactionTooLarge("", 9, 5)


def _quarantined(world: World, key: str) -> bytes | None:
    return world.text(Bookkeeping(world.keys).quarantine(key))


def _queued(world: World) -> Job:
    """A job that is ready, and nobody there to claim it."""
    world.write(NETWORK, {"name": "blue"})
    world.settle()
    job = world.job(NETWORK)
    assert Place.READY == world.place(job.id)
    return job


# What can't be used.


def test_a_note_that_somebody_else_wrote_stays() -> None:
    """Setting a key aside again does not overwrite a note that is not the leader's own."""
    world = World()
    world.put(_STRAY, "{}")
    world.settle()
    assert _quarantined(world, _STRAY) is not None
    world.put(Bookkeeping(world.keys).quarantine(_STRAY), "mine")
    world.put(_STRAY, "[]")
    world.settle()
    assert b"mine" == _quarantined(world, _STRAY)
    assert [_STRAY, _STRAY] == [event.key for event in world.told(ConfigSetAside)]


def test_a_new_leader_keeps_an_older_version_aside() -> None:
    """A version after a later one is told of once, not at every start."""
    world = World()
    world.write(ALIAS, version=2)
    world.settle()
    world.write(ALIAS, version=1)
    world.settle()
    key = world.keys.config_of(world.path(ALIAS))
    noted = _quarantined(world, key)
    world.restart()
    world.settle()
    assert noted is not None
    assert noted == _quarantined(world, key)
    assert 1 == len(world.told(ConfigSetAside))


def test_a_state_that_is_no_resources_is_passed_over() -> None:
    """A new leader reads a key that names no resource, and goes on with those that do."""
    world = World()
    world.put(f"{world.keys.state}stray", "{}")
    world.write(ALIAS)
    world.settle()
    assert world.state(ALIAS) is not None
    assert b"{}" == world.text(f"{world.keys.state}stray")


def test_a_stack_record_of_no_known_type_is_left_alone() -> None:
    """Nothing can wait for what no schema describes."""
    world = World()
    world.settle()
    world.put(f"{world.keys.heat_stack_prefix}nobody/knows", "{}")
    assert world.settle() > 0
    assert [] == world.changes()


# The queue changes under the leader.


def test_a_job_document_broken_twice_stays_aside() -> None:
    """One unreadable text after another does not clear its key."""
    world = World(roles=("manager",))
    key = world.keys.job(_queued(world).id)
    for text in ("{", "["):
        world.put(key, text)
        world.settle()
        assert _quarantined(world, key) is not None
    assert key in {event.key for event in world.told(ConfigSetAside)}


def test_a_place_left_late_is_no_loss() -> None:
    """A job that was put elsewhere first is still there when its old place goes."""
    world = World(roles=("manager",))
    job = _queued(world)
    world.put(world.keys.place(Place.WORKING, job.id), "somebody")
    world.settle()
    world.delete(world.keys.place(Place.READY, job.id))
    world.settle()
    assert Place.WORKING == world.place(job.id)


def test_what_was_read_already_is_not_gone_back_to() -> None:
    """Events older than what the leader has read of a job since don't move it back."""
    world = World(roles=("manager",))
    job = _queued(world)
    places = {place: world.keys.place(place, job.id) for place in Place}
    key = world.keys.job(job.id)
    text = world.text(key)
    assert text is not None
    world.put(key, text)
    world.transact(Delete(places[Place.READY]), Put(places[Place.WORKING], b"somebody"))
    world.transact(Delete(places[Place.WORKING]), Put(places[Place.READY], b"heat_worker"))
    world.settle()
    assert Place.READY == world.place(job.id)


def test_a_job_that_is_gone_is_not_put_off_any_longer() -> None:
    """The end of a delay finds no job, and that is all."""

    def slow(context: JobContext) -> RetryLater:
        del context
        return RetryLater(after=5.0, reason="not yet")

    world = World(handlers={"heat_worker": slow})
    world.write(NETWORK, {"name": "x"})
    world.settle()
    job = world.job(NETWORK)
    place = world.place(job.id)
    assert place is not None
    world.transact(Delete(world.keys.job(job.id)), Delete(world.keys.place(place, job.id)))
    world.pass_time(10)
    assert [] == world.jobs()


def test_a_job_that_goes_under_a_plan_is_planned_without() -> None:
    """A plan that counts on a job is refused if it has gone, and made again."""
    troubled = _Troubled("manager")
    world = troubled.world
    job = _queued(world)
    gone: tuple[Operation, ...] = (
        Delete(world.keys.job(job.id)),
        Delete(world.keys.place(Place.READY, job.id)),
    )
    troubled.store.before = lambda: world.transact(*gone)
    world.write(NETWORK, {"name": "red"}, 2)
    world.settle()
    assert [2] == [left.version for left in world.jobs()]


def test_a_job_that_goes_while_it_is_read_is_forgotten() -> None:
    """Its document was there when its reading began, and is gone at the end of it."""
    troubled = _Troubled("manager")
    world = troubled.world
    job = _queued(world)
    key, place = world.keys.job(job.id), world.keys.place(Place.READY, job.id)
    text = world.text(key)
    assert text is not None
    world.put(key, text)
    notes = Bookkeeping(world.keys).job(job.id)
    troubled.store.at = {notes: lambda: world.transact(Delete(key), Delete(place))}
    world.settle()
    troubled.store.at = {}
    world.write(NETWORK, {"name": "red"}, 2)
    world.settle()
    assert {2: Place.READY} == {left.version: world.place(left.id) for left in world.jobs()}


# What does not fit the store.


def test_a_removal_that_does_not_fit_is_set_aside() -> None:
    """There is no version whose result could tell it."""
    troubled = _Troubled()
    world = troubled.world
    world.write(DISK, {"name": "d"})
    world.settle()
    troubled.store.fail("transact", on=2, error=_too_large)  # after a look at where its job stands
    world.remove_config(DISK)
    world.settle()
    key = world.keys.config_of(world.path(DISK))
    assert [key] == [event.key for event in world.told(ConfigSetAside)]


def test_a_result_that_does_not_fit_is_told_alone() -> None:
    """The error is published without what made the transaction too large."""
    troubled = _Troubled()
    world = troubled.world
    world.settle()
    troubled.store.fail("transact", error=_too_large)
    world.write(ALIAS)
    world.settle()
    state = world.state(ALIAS)
    assert state is not None
    assert str(_too_large()) in state.error
    assert world.processed(ALIAS) is None


# Configs that wait.


def test_nothing_is_taken_up_for_a_config_that_went_and_came() -> None:
    """What a config waited for appears while the config is gone: its removal is what counts."""
    world = World()
    world.write(PORT, {"network_id": "n1"})
    world.settle()
    assert 1 == len(world.told(ConfigHeld))
    world.remove_config(PORT)
    world.write(NETWORK, {"name": "blue"})
    world.write(PORT, {"network_id": "n1"})
    world.remove_config(PORT)
    world.pass_time(5)
    assert ("CREATE_COMPLETED", 1, "") == world.outcome(NETWORK)
    assert world.outcome(PORT) is None


def _held_while_it_runs(world: World) -> None:
    """Version 1 of a port takes 200 seconds; version 2 waits for a network that never comes."""
    world.write(PORT, {"network_id": "n1"})
    world.write(NETWORK, {"name": "blue"})
    world.pass_time(210)
    assert ("CREATE_COMPLETED", 1, "") == world.outcome(NETWORK)
    world.write(PORT, {"network_id": "n9"}, 2)
    world.pass_time(10)
    assert 2 == world.told(ConfigHeld)[-1].version


def test_the_error_of_a_wait_comes_after_the_older_result() -> None:
    """A wait that ends while the older version is being worked on is told after that one."""
    world = World(operation_seconds=200)
    _held_while_it_runs(world)
    world.pass_time(80)
    assert world.state(PORT) is None
    world.pass_time(200)
    outcome = world.outcome(PORT)
    assert outcome is not None
    assert 2 == outcome[1]
    assert "n9" in outcome[2]


def test_a_wait_ends_with_nothing_if_a_later_config_is_put_off() -> None:
    """The held version is not told of any more once an unreadable one has taken its place."""
    world = World(operation_seconds=200)
    _held_while_it_runs(world)
    world.put(world.keys.config_of(world.path(PORT)), '{"version": 3}')
    world.pass_time(80)
    assert world.state(PORT) is None
    world.pass_time(200)
    outcome = world.outcome(PORT)
    assert outcome is not None
    assert 3 == outcome[1]


def test_a_wait_that_a_new_template_made_needless_ends_well() -> None:
    """At the end of its wait a config is planned as things are then."""
    world = World()
    world.write(PORT, {"name": "p", "network_id": "n1"})
    world.settle()
    assert 1 == len(world.told(ConfigHeld))
    world.template("port", TEMPLATES["network"])
    world.pass_time(70)
    assert ("CREATE_COMPLETED", 1, "") == world.outcome(PORT)


def test_a_store_that_fails_at_the_end_of_a_wait_loses_nothing() -> None:
    """The wait's error is published once the store can be written again."""
    troubled = _Troubled()
    world = troubled.world
    world.write(PORT, {"network_id": "n1"})
    world.settle()
    world.clock.advance(60.0)
    troubled.store.fail("transact")
    with pytest.raises(StoreUnavailable):
        world.settle()
    assert world.state(PORT) is None
    world.settle()
    outcome = world.outcome(PORT)
    assert outcome is not None
    assert "n1" in outcome[2]


# Starting.


def test_a_repair_asked_for_meanwhile_is_done() -> None:
    """A new leader finds what was asked for while there was none."""
    world = World()
    world.write(NETWORK, {"name": "blue"})
    world.settle()
    world.pass_time(5)
    key = Bookkeeping(world.keys).repair(world.path(NETWORK))
    world.put(key, Bookkeeping.dumps(Repair(tenant=TENANT, job="long gone")))
    world.restart()
    world.pass_time(60)
    assert [("create", "network_n1"), ("update", "network_n1")] == world.changes()
    assert world.text(key) is None


def test_who_has_stopped_says_so_at_every_step() -> None:
    """Nothing is done until an operator has looked."""
    options = ManagerOptions(max_removals=0, max_removal_share=0.0)
    world = World(manager=options)
    for number in range(2):
        world.write(ref("alias", f"a{number}"))
    world.settle()
    world.clock.advance(120.0)
    world.store.expire()
    world.lifecycle = world.peer(seed=9)
    world.remove_config(ref("alias", "a0"))
    for _ in range(2):
        with pytest.raises(Degraded):
            world.settle()
    assert world.processed(ref("alias", "a0")) is not None


# The kit.


def test_a_member_is_paused_once_all_its_threads_are(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It is asked again as long as one of them still runs."""
    states = [{"T"}, {"R", "T"}, {"R"}]
    monkeypatch.setattr(etcd, "_states", lambda _pid: states.pop())
    monkeypatch.setattr(time, "sleep", lambda _seconds: None)
    sent: list[int] = []
    monkeypatch.setattr(os, "kill", lambda _pid, number: sent.append(number))
    etcd.EtcdMember("one", (1, 2, 3), tmp_path, "http").pause()
    assert [signal.SIGSTOP] == sent
    assert [] == states
