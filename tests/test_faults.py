"""Faults happen when they are told to, and only then."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator

import pytest

from gohan_jobs.exceptions import AmbiguousWrite, Compacted, StoreUnavailable
from gohan_jobs.stores.base import Put, Store, Transaction
from gohan_jobs.stores.memory import MemoryStore
from gohan_jobs.testing.faults import Crash, FaultyStore
from gohan_jobs.testing.stores import StoreSuite


class TestFaultyStore(StoreSuite):
    """Without faults the wrapper keeps the contract."""

    @pytest.fixture
    def store(self) -> Iterator[Store]:
        """A wrapped store."""
        with FaultyStore(MemoryStore()) as store:
            yield store


def put(store: Store, key: str) -> None:
    """One put."""
    store.transact(Transaction(success=(Put(key, b""),)))


def test_fails_before() -> None:
    """The second write fails, and is not done; the third is."""
    store = FaultyStore(MemoryStore())
    store.fail("transact", on=2)
    put(store, "a")
    with pytest.raises(StoreUnavailable):
        put(store, "b")
    put(store, "c")
    assert [entry.key for entry in store.entries("").entries] == ["a", "c"]
    assert store.calls == ["transact", "transact", "transact", "entries"]


def test_fails_after() -> None:
    """The write is done, and its answer lost."""
    store = FaultyStore(MemoryStore())
    store.fail("transact", after=True)
    with pytest.raises(AmbiguousWrite):
        put(store, "a")
    assert store.get("a") is not None


def test_a_lost_read_is_unavailable() -> None:
    """Only a write can be ambiguous."""
    store = FaultyStore(MemoryStore())
    store.fail("get", after=True)
    with pytest.raises(StoreUnavailable):
        store.get("a")


def test_fails_as_told() -> None:
    """The error can be chosen; it comes once."""
    store = FaultyStore(MemoryStore())
    store.fail("any", on=3, error=lambda: Compacted(7))
    store.get("a")
    store.revision()
    assert store.pending == 1
    with pytest.raises(Compacted):
        store.revision()
    assert (store.revision(), store.pending) == (1, 0)


def test_fault_that_can_not_be() -> None:
    """A misspelt method is noticed at once, and so is a call before the first."""
    store = FaultyStore(MemoryStore())
    with pytest.raises(ValueError, match="no 'transmit'"):
        store.fail("transmit")  # type: ignore[arg-type] # the mistake
    with pytest.raises(ValueError, match="from 1"):
        store.fail("get", on=0)


@pytest.mark.parametrize("after", [False, True])
def test_crash(after: bool) -> None:  # noqa: FBT001 - parametrized
    """After a crash nothing answers any more, watches included; the store itself lives on."""
    store = FaultyStore(MemoryStore())
    watch = store.watch("", 1)
    store.crash("transact", after=after)
    with pytest.raises(Crash):
        put(store, "a")
    assert store.crashed
    with pytest.raises(Crash):
        store.get("a")
    with pytest.raises(Crash):
        watch.poll()
    store.close()
    assert (store.store.get("a") is not None) == after


def test_crash_is_no_exception() -> None:
    """What catches every Exception does not catch a crash."""
    assert not issubclass(Crash, Exception)


def test_crash_at_every_call() -> None:
    """The sweep of the module's docstring ends when there are no more calls."""
    left = []
    for number in itertools.count(1):
        store = FaultyStore(MemoryStore())
        store.crash("transact", on=number)
        try:
            for key in "abc":
                put(store, key)
        except Crash:
            left.append(len(store.store.entries("").entries))
        if store.pending:
            break
    assert left == [0, 1, 2]


def test_watches_break() -> None:
    """Open watches end with the error, and wake; new ones are whole."""
    store = FaultyStore(MemoryStore())
    woken = threading.Event()
    watches = [store.watch("", 1, wake=woken.set), store.watch("", 1)]
    store.break_watches(Compacted(5))
    assert woken.is_set()
    for watch in watches:
        with pytest.raises(Compacted):
            watch.poll()
    assert store.watch("", 1).poll() is None


def test_poll_fails() -> None:
    """A single poll can fail."""
    store = FaultyStore(MemoryStore())
    store.fail("poll")
    watch = store.watch("", 1)
    with pytest.raises(StoreUnavailable):
        watch.poll()
    assert watch.poll() is None
