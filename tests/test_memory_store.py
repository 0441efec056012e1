"""The store in memory keeps the contract, and what is its own."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator

import pytest

from gohan_jobs.clock import VirtualClock
from gohan_jobs.exceptions import Compacted, LeaseNotFound, StoreClosed
from gohan_jobs.stores.base import Compare, Delete, EventKind, Put, Store, Transaction, scan
from gohan_jobs.stores.memory import MemoryStore
from gohan_jobs.testing.stores import PATIENCE, StoreSuite, collect


class TestMemoryStore(StoreSuite):
    """The contract, on a clock that the test moves."""

    clock: VirtualClock

    @pytest.fixture
    def store(self) -> Iterator[Store]:
        """An empty store."""
        self.clock = VirtualClock()
        with MemoryStore(clock=self.clock) as store:
            yield store

    def expire_leases(self, store: Store, seconds: float) -> None:
        """Move the clock on."""
        self.clock.advance(seconds)


class TestMemoryStoreOnTheRealClock(StoreSuite):
    """The contract again, with leases that end while a poll waits."""

    @pytest.fixture
    def store(self) -> Iterator[Store]:
        """An empty store."""
        with MemoryStore() as store:
            yield store


def put(store: Store, key: str, value: bytes = b"", lease: int = 0) -> int:
    """One put; its revision."""
    return store.transact(Transaction(success=(Put(key, value, lease),))).revision


def test_empty_store_is_at_revision_one() -> None:
    """As in etcd, the first write makes revision 2."""
    store = MemoryStore()
    assert (store.revision(), put(store, "a")) == (1, 2)


def test_cluster_id_is_given() -> None:
    """Two stores can be two clusters."""
    assert MemoryStore(cluster_id="other").cluster_id() == "other"


def test_lease_ends_at_its_time_not_before() -> None:
    """A keep-alive starts the time anew; the end is exact."""
    clock = VirtualClock()
    store = MemoryStore(clock=clock)
    lease = store.grant_lease(10)
    put(store, "a", lease=lease.id)
    clock.advance(9)
    assert store.keep_alive(lease.id) == 10
    clock.advance(9.9)
    assert store.get("a") is not None
    clock.advance(0.1)
    assert store.get("a") is None
    with pytest.raises(LeaseNotFound):
        store.keep_alive(lease.id)


def test_a_longer_lease_does_not_keep_a_shorter_one() -> None:
    """Whichever was granted last, the first to end is noticed."""
    clock = VirtualClock()
    store = MemoryStore(clock=clock)
    put(store, "a", lease=store.grant_lease(5).id)
    store.grant_lease(50)
    clock.advance(5)
    assert store.get("a") is None


def test_only_the_leases_of_the_branch_taken_must_exist() -> None:
    """As in etcd; both branches may put the same key."""
    store = MemoryStore()
    lease = store.grant_lease(5).id
    either = Transaction(success=(Put("a", b"", lease),), failure=(Put("a", b"", lease + 1),))
    assert store.transact(either).succeeded
    with pytest.raises(LeaseNotFound):
        store.transact(Transaction((Compare.absent("a"),), either.success, either.failure))


def test_each_lease_ends_at_a_revision_of_its_own() -> None:
    """Two leases that end together make two revisions; one without keys makes none."""
    clock = VirtualClock()
    store = MemoryStore(clock=clock)
    for name in "ab":
        put(store, name, lease=store.grant_lease(1).id)
    store.grant_lease(1)
    revision = store.revision()
    clock.advance(1)
    assert store.revision() == revision + 2


def test_expire_wakes_watches() -> None:
    """After a virtual clock has moved, ``expire`` lets sleepers know."""
    clock = VirtualClock()
    store = MemoryStore(clock=clock)
    put(store, "a", lease=store.grant_lease(5).id)
    woken = threading.Event()
    watch = store.watch("a", store.revision() + 1, wake=woken.set)
    store.expire()
    assert not woken.is_set()
    clock.advance(5)
    store.expire()
    assert woken.is_set()
    batch = watch.poll()
    assert batch is not None
    assert [event.kind for event in batch.events] == [EventKind.DELETE]


def test_poll_notices_a_lease_of_another_watch() -> None:
    """Who polls ends the leases, and wakes the others before it waits."""
    clock = VirtualClock()
    store = MemoryStore(clock=clock)
    put(store, "a", lease=store.grant_lease(5).id)
    woken = threading.Event()
    store.watch("a", store.revision() + 1, wake=woken.set)
    other = store.watch("b", store.revision() + 1)
    clock.advance(5)
    assert other.poll(0.001) is None
    assert woken.is_set()


def test_a_poll_waits_no_longer_than_a_lease_lasts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its end is an event too; once it has ended, nobody looks for it at every call."""
    clock = VirtualClock()
    store = MemoryStore(clock=clock)
    put(store, "a", lease=store.grant_lease(5).id)
    watch = store.watch("a", store.revision() + 1)
    waited: list[float] = []

    def wait(_changed: threading.Condition, seconds: float) -> None:
        waited.append(seconds)
        clock.advance(seconds)

    monkeypatch.setattr(threading.Condition, "wait", wait)
    batch = watch.poll(PATIENCE)
    assert batch is not None
    assert [EventKind.DELETE] == [event.kind for event in batch.events]
    assert ([5.0], math.inf) == (waited, store._next_end)


def test_who_polls_wakes_the_others_before_it_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Or they would hear of a lease's end only once somebody else's patience is over."""
    clock = VirtualClock()
    store = MemoryStore(clock=clock)
    put(store, "a", lease=store.grant_lease(5).id)
    order: list[str] = []
    store.watch("a", store.revision() + 1, wake=lambda: order.append("woken"))
    other = store.watch("b", store.revision() + 1)
    clock.advance(5)
    monkeypatch.setattr(threading.Condition, "wait", lambda *_: order.append("waited"))
    assert other.poll(0.001) is None
    assert "woken" == order[0]


def test_a_call_that_fails_wakes_all_the_same() -> None:
    """It may be the one that notices the end of a lease: its own."""
    clock = VirtualClock()
    store = MemoryStore(clock=clock)
    lease = store.grant_lease(5).id
    put(store, "a", lease=lease)
    woken = threading.Event()
    store.watch("a", store.revision() + 1, wake=woken.set)
    clock.advance(5)
    with pytest.raises(LeaseNotFound):
        store.keep_alive(lease)
    assert woken.is_set()


def test_wake_may_take_a_lock_held_by_a_caller() -> None:
    """``wake`` runs outside the store's lock, so locks can't be taken in two orders."""
    store = MemoryStore()
    free: list[bool] = []

    def wake() -> None:
        reader = threading.Thread(target=store.revision)
        reader.start()
        reader.join(PATIENCE)
        free.append(not reader.is_alive())

    store.watch("a", 1, wake=wake)
    put(store, "a")
    assert free == [True]


def test_a_big_batch_is_cut_between_revisions() -> None:
    """A watch far behind gets at most a thousand events at once, whole revisions."""
    store = MemoryStore()
    watch = store.watch("a", 2)
    for _ in range(30):
        store.transact(Transaction(success=tuple(Put(f"a{n}", b"") for n in range(100))))
    sizes = []
    while (batch := watch.poll()) is not None:
        sizes.append(len(batch.events))
    assert sizes == [1000, 1000, 1000]


def test_watch_after_compaction_keeps_what_it_was_given() -> None:
    """What has been delivered to a watch is not lost by compaction; a new watch can't have it."""
    store = MemoryStore()
    watch = store.watch("a", 2)
    revision = put(store, "a")
    store.compact(revision)
    assert len(collect(watch, 1)) == 1
    with pytest.raises(Compacted):
        store.watch("a", revision)


def test_past_of_other_prefixes_is_skipped() -> None:
    """A watch from the past wakes nobody for what lies elsewhere."""
    store = MemoryStore()
    put(store, "b")
    woken = threading.Event()
    watch = store.watch("a", 1, wake=woken.set)
    assert (watch.poll(), woken.is_set()) == (None, False)


def test_closing_twice_wakes_once() -> None:
    """A watch that is closed wakes its sleeper, once, store and watch together."""
    store = MemoryStore()
    woken: list[None] = []
    watch = store.watch("a", 1, wake=lambda: woken.append(None))
    store.watch("b", 1)
    watch.close()
    watch.close()
    store.close()
    assert woken == [None]


def test_closed_watches_are_forgotten() -> None:
    """A store holds on to no closed watch."""
    store = MemoryStore()
    watches = [store.watch("a", 1) for _ in range(2)]
    for watch in watches:
        watch.close()
    assert store._watches == {}


def test_expire_after_close() -> None:
    """A closed store expires nothing."""
    store = MemoryStore()
    store.close()
    with pytest.raises(StoreClosed):
        store.expire()


def test_values_are_not_shared_with_old_revisions() -> None:
    """Reading at any past revision gives what was read then."""
    store = MemoryStore()
    states = {}
    for number in range(40):
        key = f"k{number * 7 % 11:02}"
        step = Delete(key) if number % 3 == 2 else Put(key, str(number).encode())
        store.transact(Transaction(success=(step, Put("x", b""))))
        states[store.revision()] = store.entries("k").entries
    found = {
        revision: tuple(
            e for page in scan(store, "k", revision=revision, page=2) for e in page.entries
        )
        for revision in states
    }
    assert found == states


def test_many_keys_are_read_by_page() -> None:
    """Among many keys a page costs what the page holds, whatever has been deleted before."""
    store = MemoryStore()
    for start in range(0, 20_000, 100):
        puts = (Put(f"/jobs/{number:06}", b"") for number in range(start, start + 100))
        store.transact(Transaction(success=tuple(puts)))
    for number in range(100):
        store.transact(Transaction(success=(Delete(f"/jobs/{number:06}"),)))
    page = store.entries("/jobs/", limit=2)
    assert [entry.key for entry in page.entries] == ["/jobs/000100", "/jobs/000101"]
    keys = [entry.key for page in scan(store, "/jobs/") for entry in page.entries]
    assert keys == [f"/jobs/{number:06}" for number in range(100, 20_000)]


def test_failed_transaction_tells_nobody() -> None:
    """Without a change no watch is woken."""
    store = MemoryStore()
    woken = threading.Event()
    store.watch("a", 1, wake=woken.set)
    store.transact(Transaction((Compare.present("a"),), (Put("a", b""),)))
    assert not woken.is_set()
