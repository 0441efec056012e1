"""An operator's word reaches the leader through the store: once, for just what was accepted."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import attrs
import pytest

from gohan_jobs import acceptance
from gohan_jobs.acceptance import Acceptance, Stopped, accept, accepted, moved, stopped
from gohan_jobs.exceptions import (
    Degraded,
    GohanJobsError,
    InvalidRecord,
    StoreUnavailable,
    WrongCluster,
)
from gohan_jobs.keys import Keys
from gohan_jobs.stores.base import Entry, Put, Store, Transaction
from gohan_jobs.stores.memory import MemoryStore
from gohan_jobs.testing.faults import FaultyStore
from worlds import NETWORK, World

KEYS = Keys()
ACCEPT, STOPPED = "/gohan-jobs/accept", "/gohan-jobs/degraded"
REASON = "the store is another cluster than the one worked on before"


@pytest.fixture
def world() -> World:
    """A world whose keyspace says that it is another cluster's; its manager has stopped."""
    made = World()
    made.settle()
    made.write(NETWORK, {"name": "n"})
    made.put("/gohan-jobs/cluster", "other")
    made.restart()
    for _ in range(2):
        with pytest.raises(Degraded):
            made.settle()
    return made


def done(world: World) -> tuple[str, int, str] | None:
    """How the network ended, after a while."""
    world.pass_time(3)
    return world.outcome(NETWORK)


def test_what_has_stopped_is_told(world: World) -> None:
    """The reason stands in the store, once, under the leader's lease."""
    entry, leader = world.store.get(STOPPED), world.store.get("/job_manager_id")
    assert entry is not None
    assert leader is not None
    assert (1, leader.lease) == (entry.version, entry.lease)
    found = stopped(world.store, KEYS)
    assert found is not None
    assert (REASON, world.clock.wall().isoformat(timespec="milliseconds")) == (
        found.reason,
        found.since,
    )
    assert None is world.outcome(NETWORK)


def test_accepted_by_another_process(world: World) -> None:
    """The leader goes on, does what was to be done, and takes back that it has stopped."""
    given = accept(world.store, KEYS, clock=world.clock)
    assert (REASON, world.store.cluster_id(), False) == (given.reason, given.cluster, given.taken)
    assert ("CREATE_COMPLETED", 1, "") == done(world)
    assert (None, None) == (stopped(world.store, KEYS), world.text(STOPPED))
    taken = json.loads(world.text(ACCEPT) or b"")
    assert {**attrs.asdict(given), "taken": True} == taken
    assert {} == world.lifecycle.troubles


def test_an_acceptance_is_taken_once(world: World) -> None:
    """The same found again needs another word."""
    accept(world.store, KEYS)
    done(world)
    world.put("/gohan-jobs/cluster", "yet another")
    world.restart()
    for _ in range(3):
        with pytest.raises(Degraded):
            world.settle()
    accept(world.store, KEYS)
    world.write(NETWORK, {"name": "m"}, 2)
    assert ("MODIFY_COMPLETED", 2, "") == done(world)


def test_an_acceptance_of_something_else(world: World) -> None:
    """What was not accepted is not carried out; an unreadable word is none."""
    for text in (
        b"{",
        b'{"nothing": 1}',
        json.dumps(attrs.asdict(Acceptance(cluster="c", reason="else", since=""))).encode(),
    ):
        world.put(ACCEPT, text)
        with pytest.raises(Degraded):
            world.settle()
        assert text == world.text(ACCEPT)


def test_an_acceptance_ends_by_itself(world: World) -> None:
    """After its time nobody heeds it: the lease is its own."""
    accept(world.store, KEYS, ttl=30)
    assert accepted(world.store, KEYS, world.store.cluster_id())
    world.clock.advance(31)
    world.store.expire()
    assert not accepted(world.store, KEYS, world.store.cluster_id())


def test_nothing_to_accept() -> None:
    """Where no leader has stopped, one has to say that it is meant beforehand."""
    world = World()
    with pytest.raises(GohanJobsError, match="nothing to accept"):
        accept(world.store, KEYS)
    world.put("/gohan-jobs/format", "1")
    world.put("/gohan-jobs/cluster", "other")
    world.write(NETWORK, {"name": "n"})
    assert "" == accept(world.store, KEYS, beforehand=True).reason
    with pytest.raises(Degraded):
        world.settle()
    assert ("CREATE_COMPLETED", 1, "") == done(world)


def test_changed_meanwhile(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was looked at is what is accepted: if it has changed, the operator looks again."""
    real = world.store.grant_lease

    def grant(ttl: float) -> Any:
        world.put(STOPPED, json.dumps({"reason": "worse", "since": ""}))
        return real(ttl)

    monkeypatch.setattr(world.store, "grant_lease", grant)
    with pytest.raises(GohanJobsError, match="look again"):
        accept(world.store, KEYS)
    assert None is world.text(ACCEPT)


def test_what_is_not_a_leader_s(world: World) -> None:
    """A broken record is an error for who looks."""
    world.put(STOPPED, "[]")
    with pytest.raises(InvalidRecord, match="not Stopped"):
        stopped(world.store, KEYS)


def test_another_leads_meanwhile(world: World) -> None:
    """Who has stopped and lost the key stands by; the new leader finds out for itself."""
    former = world.lifecycle
    world.clock.advance(120)
    world.store.expire()
    other = world.peer(seed=77)
    for _ in range(2):
        with pytest.raises(Degraded):
            other.run_until_idle()
    with pytest.raises(WrongCluster):  # its worker, which gets no lease there
        former.run_until_idle()
    assert {} == former.troubles
    accept(world.store, KEYS)
    world.lifecycle = other
    assert ("CREATE_COMPLETED", 1, "") == done(world)
    assert not former.leads


def test_taken_by_one_who_leads_no_more(world: World) -> None:
    """Taking it is fenced: the key has gone to another, so it stays for that one."""
    accept(world.store, KEYS)
    world.put("/job_manager_id", "other")
    world.delete("/job_manager_id")
    world.put("/job_manager_id", "another")
    world.lifecycle.run_until_idle()
    assert b'"taken":false' in (world.text(ACCEPT) or b"")


def test_trouble_while_it_asks() -> None:
    """A store that is away is trouble, and not the end of the matter."""
    world = World(wrap=FaultyStore)
    world.settle()
    world.put("/gohan-jobs/cluster", "other")
    world.restart()
    with pytest.raises(Degraded):
        world.settle()
    store = world.lifecycle.store
    assert isinstance(store, FaultyStore)
    store.fail("transact", error=lambda: StoreUnavailable("away"))
    with pytest.raises(StoreUnavailable):
        world.lifecycle.step()
    with pytest.raises(Degraded):
        world.lifecycle.step()
    assert isinstance(stopped(world.store, KEYS), Stopped)


# Another cluster at the same address.


class Elsewhere(FaultyStore):
    """A store at whose address another cluster has come to answer."""

    def __init__(self, store: Store, found: MemoryStore | None = None) -> None:
        super().__init__(store)
        self.found = found

    trouble = ""

    def peek(self, key: str) -> tuple[str, Entry | None]:
        """What the other one says."""
        assert self.found is not None
        return self.found.cluster_id(), self.found.get(key)

    def move(self) -> None:
        """Go on there."""
        assert self.found is not None
        self.store = self.found


def test_moved() -> None:
    """Only a word given there, about there, counts."""
    found = MemoryStore(cluster_id="b")
    store = Elsewhere(MemoryStore(cluster_id="a"), found)
    assert not moved(store, KEYS)
    for cluster in ("a", "b"):
        word = attrs.asdict(Acceptance(cluster=cluster, reason="", since=""))
        found.transact(Transaction((), (Put(ACCEPT, json.dumps(word).encode()),)))
        assert (cluster == "b") is moved(store, KEYS)


def test_resumed_in_the_same_process() -> None:
    """What embeds a lifecycle can say it directly: it goes on with the cluster that answers."""
    found = MemoryStore(cluster_id="b")
    world = World(wrap=lambda store: Elsewhere(store, found))
    world.lifecycle.resume()
    assert isinstance(world.lifecycle.store, Elsewhere)
    assert world.store is world.lifecycle.store.store
    world.lifecycle.resume(accept=True)
    assert found is world.lifecycle.store.store


def test_a_loop_that_fails_asks_there() -> None:
    """Threads go on there as soon as it is accepted, and find out about their leases."""
    found, renewed = MemoryStore(cluster_id="b"), []
    world = World(wrap=lambda store: Elsewhere(store, found))
    lifecycle, store = world.lifecycle, world.lifecycle.store
    assert isinstance(store, Elsewhere)
    lifecycle._threads = SimpleNamespace(renew=lambda: renewed.append(1))  # type: ignore[assignment] # of its threads
    lifecycle._step_failed(WrongCluster("b", "a"))
    assert (world.store, []) == (store.store, renewed)
    accept(found, KEYS, beforehand=True)
    lifecycle._step_failed(WrongCluster("b", "a"))
    assert (found, [1]) == (store.store, renewed)


def test_asked_only_about_another_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other errors, other stores, and steps without threads ask for nobody's word."""
    monkeypatch.setattr(acceptance, "moved", lambda *_: pytest.fail("asked"))
    world = World()
    world.lifecycle._step_failed(WrongCluster("b", "a"))
    remote = World(wrap=Elsewhere).lifecycle
    remote._step_failed(WrongCluster("b", "a"))
    remote._threads = SimpleNamespace()  # type: ignore[assignment] # some threads
    remote._step_failed(StoreUnavailable("away"))
