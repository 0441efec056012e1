"""The store in a file keeps the contract, and is shared by processes."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from gohan_jobs_monitoring import SqliteStore

from gohan_jobs import Store, VirtualClock
from gohan_jobs.exceptions import Compacted, StoreUnavailable
from gohan_jobs.stores.base import Put, Transaction
from gohan_jobs.testing import StoreSuite


class TestSqliteStore(StoreSuite):
    """The whole contract, on a clock that the tests move."""

    clock: VirtualClock

    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[Store]:
        """A store in a new file."""
        self.clock = VirtualClock()
        with SqliteStore(tmp_path / "store.db", clock=self.clock) as store:
            yield store

    def expire_leases(self, store: Store, seconds: float) -> None:
        """Let time pass for leases: the suite calls this instead of waiting."""
        del store
        self.clock.advance(seconds)


def put(key: str, lease: int = 0) -> Transaction:
    """A transaction that writes a key."""
    return Transaction(success=(Put(key, b"1", lease),))


def test_a_file_is_found_again(tmp_path: Path) -> None:
    """What was written, and which cluster it is."""
    with SqliteStore(tmp_path / "store.db") as store:
        store.transact(put("/a"))
        cluster = store.cluster_id()
    with SqliteStore(tmp_path / "store.db") as store:
        assert [entry.key for entry in store.entries("/").entries] == ["/a"]
        assert cluster == store.cluster_id()


def test_two_stores_on_one_file(tmp_path: Path) -> None:
    """One hears what the other writes."""
    with SqliteStore(tmp_path / "store.db") as one, SqliteStore(tmp_path / "store.db") as other:
        watch = other.watch("/a", 1)
        revision = one.transact(put("/a")).revision
        batch = watch.poll(20.0)
        assert batch is not None
        assert [("/a", revision)] == [(event.key, event.revision) for event in batch.events]


def test_a_watch_that_was_left_behind(tmp_path: Path) -> None:
    """History that it had still to read has been compacted."""
    with SqliteStore(tmp_path / "store.db") as store:
        watch = store.watch("/a", 2)
        store.transact(put("/a"))
        store.compact(store.transact(put("/a")).revision)
        with pytest.raises(Compacted):
            watch.poll()


def test_leases_of_another_boot_have_ended(tmp_path: Path) -> None:
    """A clock that began anew does not make a lease last."""
    clock = VirtualClock()
    clock.advance(1000.0)
    with SqliteStore(tmp_path / "store.db", clock=clock) as store:
        store.transact(put("/a", store.grant_lease(10.0).id))
    with SqliteStore(tmp_path / "store.db", clock=VirtualClock()) as store:
        assert store.get("/a") is None


def test_trouble_with_the_file_is_the_stores(tmp_path: Path) -> None:
    """It is said as every store says it, and nothing half written is kept."""
    path = tmp_path / "store.db"
    with SqliteStore(path) as store:
        before = store.revision()
        other = sqlite3.connect(path)
        other.execute("ALTER TABLE changes RENAME TO elsewhere")
        with pytest.raises(StoreUnavailable, match="no such table"):
            store.transact(put("/a"))
        other.execute("ALTER TABLE elsewhere RENAME TO changes")
        other.close()
        assert before == store.revision()
