"""Leader election at ``/job_manager_id`` (``runtime``, *Roles*)."""

from __future__ import annotations

from gohan_jobs.clock import Clock
from gohan_jobs.events import Events, LeaderElected, LeaderLost
from gohan_jobs.exceptions import LeaseNotFound, NotLeader
from gohan_jobs.queue import Fence
from gohan_jobs.stores.base import Compare, Get, Put, Store, Transaction, TransactionResult

__all__ = ["Leadership"]

_RETRY = 1.0


class Leadership:
    """Holds the leader's key while its lease lives.

    Args:
        store: where.
        key: the leader's key.
        manager_id: this candidate's uuid.
        clock: tells when to try again.
        events: told of a change.
        ttl: seconds after which a dead leader's key vanishes.
    """

    def __init__(
        self, store: Store, key: str, manager_id: str, clock: Clock, events: Events, ttl: float
    ) -> None:
        self._store = store
        self._key = key
        self._id = manager_id
        self._clock = clock
        self._events = events
        self._ttl = ttl
        self._lease = 0
        self._fence: Fence | None = None
        self._next_try = float("-inf")

    @property
    def leads(self) -> bool:
        """Whether this candidate holds the key, as far as it knows."""
        return self._fence is not None

    @property
    def lease(self) -> int:
        """The lease to keep alive; 0 if there is none."""
        return self._lease

    @property
    def ttl(self) -> float:
        """Seconds asked for."""
        return self._ttl

    @property
    def next_try(self) -> float:
        """Clock time at which a standby looks again."""
        return self._next_try

    def campaign(self) -> bool:
        """Take the key if it is free; whether it was.

        A candidate that has just lost waits a moment before it asks again, unless :meth:`hint`
        tells it that the key is gone.
        """
        now = self._clock.now()
        if now < self._next_try:
            return False
        self._next_try = now + _RETRY
        if self._store.get(self._key) is not None:
            return False
        lease = self._store.grant_lease(self._ttl)
        result = self._store.transact(
            Transaction(
                (Compare.absent(self._key),),
                (Put(self._key, self._id.encode(), lease.id),),
                (Get(self._key),),
            )
        )
        if not result.succeeded:
            self._store.revoke_lease(lease.id)
            return False
        self._lease = lease.id
        self._fence = Fence(self._key, result.revision)
        self._events.emit(LeaderElected(manager_id=self._id))
        return True

    def hint(self) -> None:
        """The key may be free: look at the next chance."""
        self._next_try = float("-inf")

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
            if getattr(entry, "create_revision", 0) != fence.revision:
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
        """Start the lease's time anew; stand down if it has ended."""
        lease = self._lease
        if not lease:
            return
        try:
            self._store.keep_alive(lease)
        except LeaseNotFound:
            self.lose("lease ended")
