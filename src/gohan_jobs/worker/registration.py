"""A worker's lease: what its claims stand under, and what tells the leader its slots."""

from __future__ import annotations

from collections.abc import Callable

from gohan_jobs.clock import Clock
from gohan_jobs.exceptions import LeaseNotFound, StoreError
from gohan_jobs.stores.base import Put, Store, Transaction
from gohan_jobs.worker.claim import WorkerLease

__all__ = ["Registration"]


class Registration:
    """Gets, renews and gives back the lease of one worker.

    Args:
        store: where.
        key: the worker's key, which holds its slots.
        slots: how many it has.
        ttl: seconds asked for.
        clock: the time.
        lost: called, on any thread, when the lease has ended.
    """

    def __init__(
        self,
        store: Store,
        *,
        key: str,
        slots: int,
        ttl: float,
        clock: Clock,
        lost: Callable[[], None],
    ) -> None:
        self._store = store
        self._key = key
        self._slots = slots
        self._ttl = ttl
        self._clock = clock
        self._lost = lost
        self.lease: WorkerLease = WorkerLease(clock)

    def register(self) -> None:
        """Get a lease and tell the slots; nothing if there is one."""
        if self.lease.id:
            return
        asked_at = self._clock.now()
        lease = self._store.grant_lease(self._ttl)
        slots = Put(self._key, str(self._slots).encode(), lease.id)
        self._store.transact(Transaction((), (slots,)))
        self.lease.granted(lease.id, lease.ttl, asked_at)

    def keep_alive(self) -> None:
        """Renew the lease; it is lost if it has ended, or may have. For the keeper's thread."""
        lease = self.lease.id
        if not lease:
            return
        asked_at = self._clock.now()
        try:
            ttl = self._store.keep_alive(lease)
        except LeaseNotFound:
            self.lose()
        except StoreError:
            if self.lease.remaining <= 0:
                self.lose()
            raise
        else:
            self.lease.granted(lease, ttl, asked_at)

    def lose(self) -> None:
        """The lease has ended, or can't be renewed in time: what it covered is not ours."""
        if self.lease.id:
            self.lease.ended()
            self._lost()

    def give_back(self) -> None:
        """End the lease, so that what it covered is free at once; idempotent."""
        lease = self.lease.id
        if lease:
            self.lease.ended()
            self._store.revoke_lease(lease)
