"""Leader election at ``/job_manager_id`` (``runtime``, *Roles*)."""

from __future__ import annotations

from collections.abc import Callable

import attrs

from gohan_jobs.clock import Clock
from gohan_jobs.events import Events, LeaderElected, LeaderLost
from gohan_jobs.exceptions import Compacted, LeaseNotFound, NotLeader, StoreError
from gohan_jobs.queue import Fence
from gohan_jobs.stores.base import (
    Compare,
    Entry,
    EventKind,
    Get,
    Put,
    Store,
    Transaction,
    TransactionResult,
    Watch,
)

__all__ = ["Leadership"]

_RETRY = 1.0


class Leadership:
    """Holds the leader's key while its lease lives.

    Args:
        store: where.
        key: the leader's key.
        manager_id: this candidate's uuid.
        noted: what else is written under the lease; what operators know this process by.
        clock: tells when to try again.
        events: told of a change.
        ttl: seconds after which a dead leader's key vanishes.
        wake: called, on any thread, when the key may be free.
    """

    def __init__(
        self,
        store: Store,
        key: str,
        manager_id: str,
        *,
        clock: Clock,
        events: Events,
        ttl: float,
        wake: Callable[[], None] | None = None,
        noted: tuple[Put, ...] = (),
    ) -> None:
        self._noted = noted
        self._store = store
        self._key = key
        self._id = manager_id
        self._clock = clock
        self._events = events
        self._ttl = ttl
        self._wake = wake
        self._lease = 0
        self._abandoned = 0
        self._fence: Fence | None = None
        self._next_try = float("-inf")
        self._watch: Watch | None = None

    @property
    def leads(self) -> bool:
        """Whether this candidate holds the key, as far as it knows."""
        return self._fence is not None

    @property
    def lease(self) -> int:
        """What the leader's key stands under; 0 while it is not this candidate's."""
        return self._lease

    @property
    def next_try(self) -> float:
        """Clock time at which a standby looks again."""
        return self._next_try

    # Campaigning.

    def campaign(self) -> bool:
        """Take the key if it is free; whether it was.

        A candidate that has just lost waits a moment before it asks again, unless it hears that
        the key is gone.
        """
        now = self._clock.now()
        if not self._vacated() and now < self._next_try:
            return False
        self._next_try = now + _RETRY
        self._end_abandoned()
        if self._store.get(self._key) is not None:
            return False
        return self._elect()

    def _elect(self) -> bool:
        self._abandoned = lease = self._store.grant_lease(self._ttl).id
        puts = (Put(self._key, self._id.encode()), *self._noted)
        result = self._store.transact(
            Transaction(
                (Compare.absent(self._key),),
                tuple(attrs.evolve(put, lease=lease) for put in puts),
            )
        )
        if not result.succeeded:
            self._end_abandoned()
            return False
        self._abandoned = 0
        self._lease = lease
        self._fence = Fence(self._key, result.revision)
        self._events.emit(LeaderElected(manager_id=self._id))
        return True

    def _end_abandoned(self) -> None:
        """End a lease that nobody keeps: the key may be bound to it, if an answer was lost."""
        if self._abandoned:
            self._store.revoke_lease(self._abandoned)
            self._abandoned = 0

    def _vacated(self) -> bool:
        """Whether the watch says that the key went."""
        if self._watch is None:
            self._watch = self._store.watch(self._key, self._store.revision() + 1, wake=self._wake)
        try:
            batch = self._watch.poll()
        except Compacted:
            self.close()
            return True
        except StoreError:
            self.close()
            raise
        return batch is not None and any(e.kind is EventKind.DELETE for e in batch.events)

    def close(self) -> None:
        """Watch no more; idempotent."""
        watch, self._watch = self._watch, None
        if watch is not None:
            watch.close()

    # Leading.

    def commit(self, transaction: Transaction) -> TransactionResult:
        """Carry out a transaction as the leader.

        Raises:
            NotLeader: the key is somebody else's, or nobody's; nothing was written.
        """
        fence = self._fence
        if fence is None:
            raise NotLeader("no leader's key is held")
        result = self._store.transact(
            Transaction(
                (fence.compare, *transaction.compares), transaction.success, (Get(fence.key),)
            )
        )
        if not result.succeeded:
            (entry,) = result.results
            if not isinstance(entry, Entry) or entry.create_revision != fence.revision:
                self.lose("the leader's key is no longer this one's")
                raise NotLeader("the leader's key is no longer this one's")
        return result

    def lose(self, reason: str) -> None:
        """Stand down without touching the key; idempotent."""
        if self._fence is not None:
            self._fence = None
            self._lease = 0
            self._events.emit(LeaderLost(manager_id=self._id, reason=reason))

    def resign(self) -> None:
        """Stand down and give the key back."""
        lease = self._lease
        self.lose("resigned")
        if lease:
            self._store.revoke_lease(lease)

    def keep_alive(self) -> None:
        """Start the lease's time anew; stand down if it has ended. For the keeper's thread."""
        lease = self._lease
        if not lease:
            return
        try:
            self._store.keep_alive(lease)
        except LeaseNotFound:
            self.lose("lease ended")
