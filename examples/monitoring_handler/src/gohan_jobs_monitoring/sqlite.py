"""A second store: all of the contract in one SQLite file, for one machine.

Every change is a row, as etcd keeps it, so an old revision can be read and a watch begin in the
past. Several processes may use one file; they hear of each other within ``poll_interval``.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeAlias

from gohan_jobs.clock import Clock, SystemClock
from gohan_jobs.exceptions import LeaseNotFound, StoreClosed, StoreError, StoreUnavailable
from gohan_jobs.stores import arguments
from gohan_jobs.stores.base import (
    Entry,
    Event,
    EventKind,
    Lease,
    Page,
    Store,
    Transaction,
    TransactionResult,
    Watch,
    WatchBatch,
)
from gohan_jobs.stores.transactions import evaluate, leases_used, validate

__all__ = ["SqliteStore"]

_Row: TypeAlias = tuple[str, bytes, int, int, int, int]
"""Key, value, create revision, revision, version, lease."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS changes (
    revision INTEGER, key TEXT, value BLOB, created INTEGER, version INTEGER, lease INTEGER,
    PRIMARY KEY (key, revision)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS changes_by_revision ON changes (revision);
CREATE TABLE IF NOT EXISTS leases (id INTEGER PRIMARY KEY AUTOINCREMENT, ttl REAL, ends REAL);
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value);
"""

# The last change of each key up to a revision; a version of 0 says that the key is gone.
_ENTRIES = """
SELECT key, value, created, MAX(revision), version, lease FROM changes
WHERE key >= :first AND substr(key, 1, length(:prefix)) = :prefix AND key > :after
AND revision <= :revision GROUP BY key HAVING version > 0 ORDER BY key LIMIT :limit
"""


class SqliteStore:
    """A complete :class:`~gohan_jobs.stores.base.Store` in a file.

    The end of a lease is noticed at the next call of anybody, a waiting watch's included.

    Args:
        path: the file.
        clock: what leases are measured with: one that all processes share, as the system's.
        poll_interval: seconds between a waiting watch's looks.
    """

    def __init__(
        self, path: Path, *, clock: Clock | None = None, poll_interval: float = 0.02
    ) -> None:
        self._clock = clock or SystemClock()
        self._interval = poll_interval
        self._lock = threading.RLock()
        self._watches: set[_SqliteWatch] = set()
        self._closed = threading.Event()
        self._lookout: threading.Thread | None = None
        self._base = sqlite3.connect(
            path, isolation_level=None, check_same_thread=False, timeout=30.0
        )
        self._base.execute("PRAGMA journal_mode = WAL")
        self._base.executescript(_SCHEMA)
        facts = (("revision", 1), ("compacted", 0), ("cluster", uuid.uuid4().hex))
        self._base.executemany("INSERT OR IGNORE INTO facts VALUES (?, ?)", facts)

    # Reading.

    def get(self, key: str) -> Entry | None:
        """See :meth:`gohan_jobs.stores.base.Reader.get`."""
        arguments.check_key(key)
        with self._opened():
            return self._entry(key)

    def entries(self, prefix: str, *, after: str = "", limit: int = 500, revision: int = 0) -> Page:
        """See :meth:`gohan_jobs.stores.base.Reader.entries`."""
        arguments.check_limit(limit)
        with self._opened():
            now, compacted = self._fact("revision"), self._fact("compacted")
            revision = revision or now
            arguments.check_readable(revision, now=now, compacted=compacted)
            asked = {"prefix": prefix, "after": after, "revision": revision, "limit": limit + 1}
            rows = self._base.execute(_ENTRIES, asked | {"first": prefix}).fetchall()
        found = tuple(_to_entry(row) for row in rows[:limit])
        return Page(revision=revision, entries=found, more=len(rows) > limit)

    def revision(self) -> int:
        """See :meth:`gohan_jobs.stores.base.Store.revision`."""
        with self._opened():
            return self._fact("revision")

    def cluster_id(self) -> str:
        """See :meth:`gohan_jobs.stores.base.Store.cluster_id`."""
        with self._opened():
            sql = "SELECT value FROM facts WHERE name = 'cluster'"
            return str(self._base.execute(sql).fetchone()[0])

    # Writing.

    def transact(self, transaction: Transaction) -> TransactionResult:
        """See :meth:`gohan_jobs.stores.base.Writer.transact`."""
        validate(transaction)
        with self._opened():
            done = evaluate(transaction, self._entry, self._fact("revision"))
            for lease in leases_used(transaction, done.changes):
                self._ttl(lease)
            self._commit(done.changes)
            return done.result

    def compact(self, revision: int) -> None:
        """See :meth:`gohan_jobs.stores.base.Store.compact`."""
        with self._opened():
            now, compacted = self._fact("revision"), self._fact("compacted")
            arguments.check_compactable(revision, now=now, compacted=compacted)
            self._base.execute(
                "DELETE FROM changes AS old WHERE revision < ?1 AND EXISTS (SELECT 1 FROM changes "
                "WHERE key = old.key AND revision > old.revision AND revision <= ?1)",
                (revision,),
            )
            self._set("compacted", revision)

    # Leases.

    def grant_lease(self, ttl: float) -> Lease:
        """See :meth:`gohan_jobs.stores.base.Leaser.grant_lease`; exactly ``ttl`` is granted."""
        arguments.check_ttl(ttl)
        with self._opened():
            sql = "INSERT INTO leases (ttl, ends) VALUES (?, ?)"
            made = self._base.execute(sql, (ttl, self._clock.now() + ttl)).lastrowid
            return Lease(int(made or 0), float(ttl))

    def keep_alive(self, lease: int) -> float:
        """See :meth:`gohan_jobs.stores.base.Leaser.keep_alive`."""
        with self._opened():
            ttl = self._ttl(lease)
            sql = "UPDATE leases SET ends = ? WHERE id = ?"
            self._base.execute(sql, (self._clock.now() + ttl, lease))
            return ttl

    def lease_ttl(self, lease: int) -> float | None:
        """See :meth:`gohan_jobs.stores.base.LeaseTimed.lease_ttl`."""
        with self._opened():
            sql = "SELECT ends FROM leases WHERE id = ?"
            row = self._base.execute(sql, (lease,)).fetchone()
            return None if row is None else float(row[0]) - self._clock.now()

    def revoke_lease(self, lease: int) -> None:
        """See :meth:`gohan_jobs.stores.base.Leaser.revoke_lease`."""
        with self._opened():
            self._end_lease(lease)

    # Watching.

    def watch(self, prefix: str, revision: int, *, wake: Callable[[], None] | None = None) -> Watch:
        """See :meth:`gohan_jobs.stores.base.Watcher.watch`; ``Compacted`` is raised here."""
        arguments.check_first_revision(revision)
        with self._opened():
            arguments.check_watchable(revision, compacted=self._fact("compacted"))
            past = revision <= self._fact("revision")
            watch = _SqliteWatch(self, prefix, revision, wake)
            self._watches.add(watch)
            if wake is not None and self._lookout is None:
                self._lookout = threading.Thread(target=self._look_out, daemon=True)
                self._lookout.start()
        if past:
            watch.wake()
        return watch

    def close(self) -> None:
        """See :meth:`gohan_jobs.stores.base.Store.close`."""
        with self._lock:
            watches = tuple(self._watches)
            self._closed.set()
        for watch in watches:
            watch.close()
        if self._lookout is not None and self._lookout is not threading.current_thread():
            self._lookout.join()
        with self._lock:
            self._base.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    # Parts.

    @contextlib.contextmanager
    def _opened(self) -> Iterator[None]:
        """One transaction of SQLite, alone among all processes; leases that are over have ended."""
        with self._lock:
            if self._closed.is_set():
                raise StoreClosed("the store has been closed")
            try:
                self._base.execute("BEGIN IMMEDIATE")
                self._end_leases()
                try:
                    yield
                except sqlite3.Error:
                    raise
                except BaseException:
                    # What a body refuses it refuses before it writes: only leases have ended.
                    self._base.execute("COMMIT")
                    raise
                self._base.execute("COMMIT")
            except sqlite3.Error as error:
                if self._base.in_transaction:
                    self._base.execute("ROLLBACK")
                raise StoreUnavailable(f"SQLite: {error}") from error

    def _look_out(self) -> None:
        """Wake whoever sleeps until something changes, in this process or another."""
        seen = 0
        while not self._closed.wait(self._interval):
            with contextlib.suppress(StoreError):
                revision = self.revision()
                watches = tuple(self._watches) if revision != seen else ()
                seen = revision
                for watch in watches:
                    watch.wake()

    def _fact(self, name: str) -> int:
        sql = "SELECT value FROM facts WHERE name = ?"
        return int(self._base.execute(sql, (name,)).fetchone()[0])

    def _set(self, name: str, value: int) -> None:
        self._base.execute("UPDATE facts SET value = ? WHERE name = ?", (value, name))

    def _entry(self, key: str, before: int = 1 << 62) -> Entry | None:
        """What stands at a key, or stood there before a revision."""
        row = self._base.execute(
            "SELECT key, value, created, revision, version, lease FROM changes "
            "WHERE key = ? AND revision < ? ORDER BY revision DESC LIMIT 1",
            (key, before),
        ).fetchone()
        return _to_entry(row) if row is not None and row[4] else None

    def _commit(self, changes: dict[str, Entry | None]) -> None:
        """Make a new revision of some changes; none makes none."""
        if not changes:
            return
        revision = self._fact("revision") + 1
        for key, entry in changes.items():
            facts = (b"", 0, 0, 0)
            if entry is not None:
                facts = (entry.value, entry.create_revision, entry.version, entry.lease)
            self._base.execute(
                "INSERT INTO changes VALUES (?, ?, ?, ?, ?, ?)", (revision, key, *facts)
            )
        self._set("revision", revision)

    def _ttl(self, lease: int) -> float:
        row = self._base.execute("SELECT ttl FROM leases WHERE id = ?", (lease,)).fetchone()
        if row is None:
            raise LeaseNotFound(lease)
        return float(row[0])

    def _end_leases(self) -> None:
        """End those whose time is over; one that has more than its time is of another boot."""
        now = self._clock.now()
        over = "SELECT id FROM leases WHERE ends <= ?1 OR ends > ?1 + ttl"
        for (lease,) in self._base.execute(over, (now,)).fetchall():
            self._end_lease(lease)

    def _end_lease(self, lease: int) -> None:
        rows = self._base.execute(
            "SELECT key FROM changes WHERE lease = ? GROUP BY key ORDER BY key", (lease,)
        ).fetchall()
        entries = {key: self._entry(key) for (key,) in rows}
        self._commit(
            {key: None for key, entry in entries.items() if entry and entry.lease == lease}
        )
        self._base.execute("DELETE FROM leases WHERE id = ?", (lease,))

    def _events(self, prefix: str, revision: int) -> WatchBatch | None:
        """The changes under a prefix from a revision on; None if nothing has changed since."""
        with self._opened():
            now, compacted = self._fact("revision"), self._fact("compacted")
            if revision > now:
                return None
            arguments.check_watchable(revision, compacted=compacted)
            rows = self._base.execute(
                "SELECT key, value, created, revision, version, lease FROM changes WHERE "
                "revision >= ?1 AND substr(key, 1, length(?2)) = ?2 ORDER BY revision, key",
                (revision, prefix),
            ).fetchall()
            return WatchBatch(revision=now, events=tuple(map(self._event, rows)))

    def _event(self, row: _Row) -> Event:
        key, revision, there = row[0], row[3], row[4] > 0
        return Event(
            kind=EventKind.PUT if there else EventKind.DELETE,
            key=key,
            revision=revision,
            entry=_to_entry(row) if there else None,
            previous=self._entry(key, revision),
        )

    def _discard(self, watch: _SqliteWatch) -> None:
        with self._lock:
            self._watches.discard(watch)


class _SqliteWatch:
    """A place in the history, and a prefix."""

    def __init__(
        self, store: SqliteStore, prefix: str, revision: int, wake: Callable[[], None] | None
    ) -> None:
        self._store = store
        self._prefix = prefix
        self._next = revision
        self._wake = wake
        self._closed = threading.Event()

    def wake(self) -> None:
        """There may be something to poll."""
        if self._wake is not None:
            self._wake()

    def poll(self, timeout: float = 0.0) -> WatchBatch | None:
        """See :meth:`gohan_jobs.stores.base.Watch.poll`."""
        deadline = time.monotonic() + timeout
        while True:
            if self._closed.is_set():
                raise StoreClosed("the watch has been closed")
            batch = self._store._events(self._prefix, self._next)  # noqa: SLF001 - its other half
            if batch is not None:
                self._next = batch.revision + 1
                if batch.events:
                    return batch
            left = deadline - time.monotonic()
            if left <= 0:
                return None
            self._closed.wait(min(left, self._store._interval))  # noqa: SLF001 - likewise

    def close(self) -> None:
        """See :meth:`gohan_jobs.stores.base.Watch.close`."""
        if not self._closed.is_set():
            self._closed.set()
            self._store._discard(self)  # noqa: SLF001 - likewise
            self.wake()


def _to_entry(row: _Row) -> Entry:
    key, value, created, revision, version, lease = row
    return Entry(
        key=key,
        value=value,
        create_revision=created,
        mod_revision=revision,
        version=version,
        lease=lease,
    )


if TYPE_CHECKING:

    def _is_a_store(store: SqliteStore) -> Store:
        return store
