"""A store in this process's memory: for tests, demonstrations and replays.

It keeps bytes, as etcd does, so nothing is aliased and codecs are exercised. Reading a prefix and
finding who watches a key do not depend on how many other keys or watches there are.
"""

from __future__ import annotations

import contextlib
import heapq
import itertools
import math
import threading
import time
from bisect import bisect_left, bisect_right, insort
from collections import deque
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Self

import attrs

from gohan_jobs.clock import Clock, SystemClock
from gohan_jobs.exceptions import LeaseNotFound, StoreClosed
from gohan_jobs.stores.arguments import (
    check_compactable,
    check_first_revision,
    check_key,
    check_limit,
    check_readable,
    check_ttl,
    check_watchable,
)
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

__all__ = ["MemoryStore"]

_BATCH_EVENTS = 1000


@attrs.define
class _Lease:
    ttl: float
    ends_at: float
    keys: set[str] = attrs.field(factory=set)


class MemoryStore:
    """A complete :class:`~gohan_jobs.stores.base.Store`, gone with the process.

    The end of a lease is noticed at the next call, or by :meth:`expire`: call that after advancing
    a virtual clock, or watches do not wake. History grows until it is compacted, as in etcd.

    Args:
        clock: what leases are measured with; the system's if None.
        cluster_id: what :meth:`cluster_id` answers.
    """

    def __init__(self, *, clock: Clock | None = None, cluster_id: str = "6d656d6f7279") -> None:
        self._clock = clock or SystemClock()
        self._cluster_id = cluster_id
        self._lock = threading.RLock()
        self._wakes: deque[Callable[[], None]] = deque()
        self._closed = False
        self._entries: dict[str, Entry] = {}
        self._sorted: list[str] = []
        self._revision = 1
        self._compacted = 0
        # One item a revision, the last one's being self._revision.
        self._log: list[tuple[Event, ...]] = []
        self._leases: dict[int, _Lease] = {}
        self._lease_ids = itertools.count(1)
        self._next_end = math.inf
        self._watches: dict[str, list[_MemoryWatch]] = {}

    def get(self, key: str) -> Entry | None:
        """See :meth:`gohan_jobs.stores.base.Reader.get`."""
        check_key(key)
        with self._opened():
            return self._entries.get(key)

    def entries(self, prefix: str, *, after: str = "", limit: int = 500, revision: int = 0) -> Page:
        """See :meth:`gohan_jobs.stores.base.Reader.entries`."""
        check_limit(limit)
        with self._opened():
            revision = revision or self._revision
            check_readable(revision, now=self._revision, compacted=self._compacted)
            changed = self._as_of(prefix, revision)
            keys = self._keys(prefix, after, sorted(changed))
            found = (changed[key] if key in changed else self._entries[key] for key in keys)
            entries = tuple(itertools.islice((e for e in found if e is not None), limit + 1))
        return Page(revision=revision, entries=entries[:limit], more=len(entries) > limit)

    def count(self, prefix: str, *, revision: int = 0) -> int:
        """See :meth:`gohan_jobs.stores.base.Counted.count`."""
        with self._opened():
            revision = revision or self._revision
            check_readable(revision, now=self._revision, compacted=self._compacted)
            changed = self._as_of(prefix, revision)
            now = sum(key not in changed for key in self._present_keys(prefix, ""))
            return now + sum(entry is not None for entry in changed.values())

    def transact(self, transaction: Transaction) -> TransactionResult:
        """See :meth:`gohan_jobs.stores.base.Writer.transact`."""
        validate(transaction)
        with self._opened():
            done = evaluate(transaction, self._entries.get, self._revision)
            for lease in leases_used(transaction, done.changes):
                if lease not in self._leases:
                    raise LeaseNotFound(lease)
            self._commit(done.changes)
            return done.result

    def grant_lease(self, ttl: float) -> Lease:
        """See :meth:`gohan_jobs.stores.base.Leaser.grant_lease`; exactly ``ttl`` is granted."""
        check_ttl(ttl)
        with self._opened():
            lease = Lease(next(self._lease_ids), float(ttl))
            self._leases[lease.id] = _Lease(lease.ttl, self._clock.now() + ttl)
            self._next_end = min(self._next_end, self._clock.now() + ttl)
            return lease

    def keep_alive(self, lease: int) -> float:
        """See :meth:`gohan_jobs.stores.base.Leaser.keep_alive`."""
        with self._opened():
            kept = self._leases.get(lease)
            if kept is None:
                raise LeaseNotFound(lease)
            kept.ends_at = self._clock.now() + kept.ttl
            return kept.ttl

    def lease_ttl(self, lease: int) -> float | None:
        """See :meth:`gohan_jobs.stores.base.LeaseTimed.lease_ttl`."""
        with self._opened():
            kept = self._leases.get(lease)
            return None if kept is None else kept.ends_at - self._clock.now()

    def revoke_lease(self, lease: int) -> None:
        """See :meth:`gohan_jobs.stores.base.Leaser.revoke_lease`."""
        with self._opened():
            self._end_lease(lease)

    def watch(self, prefix: str, revision: int, *, wake: Callable[[], None] | None = None) -> Watch:
        """See :meth:`gohan_jobs.stores.base.Watcher.watch`; ``Compacted`` is raised here."""
        check_first_revision(revision)
        with self._opened():
            check_watchable(revision, compacted=self._compacted)
            watch = _MemoryWatch(self, prefix, revision, wake)
            for events in self._since(revision):
                watch.deliver([event for event in events if event.key.startswith(prefix)])
            self._watches.setdefault(prefix, []).append(watch)
            if watch.pending and wake is not None:
                self._wakes.append(wake)
            return watch

    def revision(self) -> int:
        """See :meth:`gohan_jobs.stores.base.Store.revision`."""
        with self._opened():
            return self._revision

    def cluster_id(self) -> str:
        """See :meth:`gohan_jobs.stores.base.Store.cluster_id`."""
        with self._opened():
            return self._cluster_id

    def compact(self, revision: int) -> None:
        """See :meth:`gohan_jobs.stores.base.Store.compact`."""
        with self._opened():
            check_compactable(revision, now=self._revision, compacted=self._compacted)
            first = self._revision - len(self._log) + 1
            del self._log[: max(0, revision + 1 - first)]
            self._compacted = revision

    def expire(self) -> None:
        """End the leases whose time has come, so that watches hear of it.

        Raises:
            StoreClosed: after ``close``.
        """
        with self._opened():
            pass

    def close(self) -> None:
        """See :meth:`gohan_jobs.stores.base.Store.close`."""
        with self._waking():
            self._closed = True
            for watch in tuple(itertools.chain.from_iterable(self._watches.values())):
                self._end_watch(watch)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @contextlib.contextmanager
    def _waking(self) -> Iterator[None]:
        """Hold the lock; afterwards, without it, wake whom the body gave something."""
        try:
            with self._lock:
                yield
        finally:
            # A wake may take a lock of its own, held by a thread that is calling this store.
            while self._wakes and (wake := self._next_wake()) is not None:
                wake()

    def _next_wake(self) -> Callable[[], None] | None:
        with self._lock:
            return self._wakes.popleft() if self._wakes else None

    @contextlib.contextmanager
    def _opened(self) -> Iterator[None]:
        with self._waking():
            if self._closed:
                raise StoreClosed("the store has been closed")
            if self._clock.now() >= self._next_end:
                self._end_leases()
            yield

    def _since(self, revision: int) -> Iterator[tuple[Event, ...]]:
        first = self._revision - len(self._log) + 1
        for index in range(max(0, revision - first), len(self._log)):
            yield self._log[index]

    def _as_of(self, prefix: str, revision: int) -> dict[str, Entry | None]:
        """What stood, at a revision, at the keys changed since: history is read backwards."""
        changed: dict[str, Entry | None] = {}
        for events in itertools.islice(reversed(self._log), self._revision - revision):
            for event in events:
                if event.key.startswith(prefix):
                    changed[event.key] = event.previous
        return changed

    def _keys(self, prefix: str, after: str, changed: list[str]) -> Iterator[str]:
        """The keys under a prefix, now or at an earlier revision, in order."""
        seen = after
        for key in heapq.merge(self._present_keys(prefix, after), changed):
            if key > seen:
                seen = key
                yield key

    def _present_keys(self, prefix: str, after: str) -> Iterator[str]:
        start = max(bisect_left(self._sorted, prefix), bisect_right(self._sorted, after))
        for index in range(start, len(self._sorted)):
            key = self._sorted[index]
            if not key.startswith(prefix):
                return
            yield key

    def _commit(self, changes: dict[str, Entry | None]) -> None:
        """Make a new revision of some changes; none makes none."""
        if not changes:
            return
        self._revision += 1
        events = tuple(self._change(key, entry) for key, entry in changes.items())
        self._log.append(events)
        for watch, seen in self._watched(events).items():
            watch.deliver(seen)
            if watch.wake is not None:
                self._wakes.append(watch.wake)

    def _change(self, key: str, entry: Entry | None) -> Event:
        previous = self._entries.get(key)
        if previous is not None and previous.lease:
            self._leases[previous.lease].keys.discard(key)
        if entry is None:
            del self._entries[key]
            del self._sorted[bisect_left(self._sorted, key)]
        else:
            self._entries[key] = entry
            if previous is None:
                insort(self._sorted, key)
            if entry.lease:
                self._leases[entry.lease].keys.add(key)
        return Event(
            kind=EventKind.DELETE if entry is None else EventKind.PUT,
            key=key,
            revision=self._revision,
            entry=entry,
            previous=previous,
        )

    def _watched(self, events: tuple[Event, ...]) -> dict[_MemoryWatch, list[Event]]:
        """Who watches which of the events, found by the lengths of the watched prefixes."""
        found: dict[_MemoryWatch, list[Event]] = {}
        lengths = {len(prefix) for prefix in self._watches}
        for event in events:
            for length in lengths:
                if length <= len(event.key):
                    for watch in self._watches.get(event.key[:length], ()):
                        if event.revision >= watch.revision:
                            found.setdefault(watch, []).append(event)
        return found

    def _end_leases(self) -> None:
        now = self._clock.now()
        for lease in [each for each, kept in self._leases.items() if kept.ends_at <= now]:
            self._end_lease(lease)
        self._next_end = min((kept.ends_at for kept in self._leases.values()), default=math.inf)

    def _end_lease(self, lease: int) -> None:
        ended = self._leases.get(lease)
        if ended is not None:
            self._commit(dict.fromkeys(sorted(ended.keys)))
            del self._leases[lease]

    def _wait(self, changed: threading.Condition, timeout: float) -> None:
        # A lease that ends meanwhile is an event too; who is to be woken comes first.
        if not self._wakes:
            changed.wait(min(timeout, max(0.0, self._next_end - self._clock.now())))

    def _end_watch(self, watch: _MemoryWatch) -> None:
        if watch.end():
            self._watches[watch.prefix].remove(watch)
            if not self._watches[watch.prefix]:
                del self._watches[watch.prefix]
            if watch.wake is not None:
                self._wakes.append(watch.wake)


class _MemoryWatch:
    """A watch's events, delivered while the store's lock is held."""

    def __init__(
        self,
        store: MemoryStore,
        prefix: str,
        revision: int,
        wake: Callable[[], None] | None,
    ) -> None:
        self.prefix = prefix
        self.revision = revision
        self.wake = wake
        self._store = store
        self._changed = threading.Condition(store._lock)  # noqa: SLF001 - one lock for both
        self.pending: deque[list[Event]] = deque()
        self._closed = False

    def deliver(self, events: list[Event]) -> None:
        """Take the events of one revision."""
        if events:
            self.pending.append(events)
            self._changed.notify_all()

    def end(self) -> bool:
        """Deliver no more; whether that is news."""
        ended = not self._closed
        self._closed = True
        self._changed.notify_all()
        return ended

    def poll(self, timeout: float = 0.0) -> WatchBatch | None:
        """See :meth:`gohan_jobs.stores.base.Watch.poll`."""
        deadline = time.monotonic() + timeout
        store = self._store
        while True:
            with store._opened():  # noqa: SLF001 - one lock for both
                if self._closed:
                    raise StoreClosed("the watch has been closed")
                if self.pending:
                    return self._batch()
                if (left := deadline - time.monotonic()) <= 0:
                    return None
                store._wait(self._changed, left)  # noqa: SLF001 - likewise

    def _batch(self) -> WatchBatch:
        events = self.pending.popleft()
        while self.pending and len(events) + len(self.pending[0]) <= _BATCH_EVENTS:
            events += self.pending.popleft()
        return WatchBatch(revision=events[-1].revision, events=tuple(events))

    def close(self) -> None:
        """See :meth:`gohan_jobs.stores.base.Watch.close`."""
        with self._store._waking():  # noqa: SLF001 - one lock for both
            self._store._end_watch(self)  # noqa: SLF001 - likewise


if TYPE_CHECKING:
    _store: Store = MemoryStore()
