"""A store inside another one: all its keys lie below a prefix there."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeVar

import attrs

from gohan_jobs import Store
from gohan_jobs.exceptions import TransactionTooLarge
from gohan_jobs.stores.arguments import check_key
from gohan_jobs.stores.base import (
    Compare,
    Delete,
    Entry,
    Event,
    Get,
    Lease,
    Operation,
    Page,
    Put,
    Result,
    Transaction,
    TransactionResult,
    Watch,
    WatchBatch,
)

T = TypeVar("T", bound=Compare | Delete | Get | Put)


class PrefixedStore:
    """Several systems on one etcd: each sees its own keys only, at the documented places.

    Revisions, leases and compaction are those of the store around it.

    Args:
        store: where everything is kept; closed with this one.
        prefix: begins with ``/`` and does not end with one, such as ``/site-a``.
    """

    def __init__(self, store: Store, prefix: str) -> None:
        self._store = store
        self._prefix = prefix

    def get(self, key: str) -> Entry | None:
        """See :meth:`gohan_jobs.stores.base.Reader.get`."""
        check_key(key)
        return self._seen(self._store.get(self._prefix + key))

    def entries(self, prefix: str, *, after: str = "", limit: int = 500, revision: int = 0) -> Page:
        """See :meth:`gohan_jobs.stores.base.Reader.entries`."""
        page = self._store.entries(
            self._prefix + prefix,
            after=self._prefix + after if after else "",
            limit=limit,
            revision=revision,
        )
        return attrs.evolve(page, entries=tuple(map(self._own, page.entries)))

    def transact(self, transaction: Transaction) -> TransactionResult:
        """See :meth:`gohan_jobs.stores.base.Writer.transact`."""
        try:
            return self._answer(self._store.transact(self._moved(transaction)))
        except TransactionTooLarge as error:
            key = error.key.removeprefix(self._prefix)
            raise TransactionTooLarge(key, error.size, error.limit) from error

    def grant_lease(self, ttl: float) -> Lease:
        """See :meth:`gohan_jobs.stores.base.Leaser.grant_lease`."""
        return self._store.grant_lease(ttl)

    def keep_alive(self, lease: int) -> float:
        """See :meth:`gohan_jobs.stores.base.Leaser.keep_alive`."""
        return self._store.keep_alive(lease)

    def revoke_lease(self, lease: int) -> None:
        """See :meth:`gohan_jobs.stores.base.Leaser.revoke_lease`."""
        self._store.revoke_lease(lease)

    def watch(self, prefix: str, revision: int, *, wake: Callable[[], None] | None = None) -> Watch:
        """See :meth:`gohan_jobs.stores.base.Watcher.watch`."""
        watch = self._store.watch(self._prefix + prefix, revision, wake=wake)
        return _PrefixedWatch(watch, self._heard)

    def revision(self) -> int:
        """See :meth:`gohan_jobs.stores.base.Store.revision`."""
        return self._store.revision()

    def cluster_id(self) -> str:
        """See :meth:`gohan_jobs.stores.base.Store.cluster_id`."""
        return self._store.cluster_id()

    def compact(self, revision: int) -> None:
        """See :meth:`gohan_jobs.stores.base.Store.compact`."""
        self._store.compact(revision)

    def close(self) -> None:
        """See :meth:`gohan_jobs.stores.base.Store.close`."""
        self._store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _own(self, entry: Entry) -> Entry:
        return attrs.evolve(entry, key=entry.key.removeprefix(self._prefix))

    def _seen(self, entry: Entry | None) -> Entry | None:
        return None if entry is None else self._own(entry)

    def _moved(self, transaction: Transaction) -> Transaction:
        """A transaction with its keys, nested ones included, below the prefix."""
        compares = tuple(self._below(compare) for compare in transaction.compares)
        success, failure = (
            tuple(map(self._operation, branch))
            for branch in (transaction.success, transaction.failure)
        )
        return Transaction(compares, success, failure)

    def _operation(self, operation: Operation) -> Operation:
        if isinstance(operation, Transaction):
            return self._moved(operation)
        return self._below(operation)

    def _below(self, about: T) -> T:
        check_key(about.key)
        return attrs.evolve(about, key=self._prefix + about.key)

    def _answer(self, result: TransactionResult) -> TransactionResult:
        return attrs.evolve(result, results=tuple(map(self._one, result.results)))

    def _one(self, result: Result) -> Result:
        if isinstance(result, TransactionResult):
            return self._answer(result)
        return self._own(result) if isinstance(result, Entry) else result

    def _heard(self, event: Event) -> Event:
        return attrs.evolve(
            event,
            key=event.key.removeprefix(self._prefix),
            entry=self._seen(event.entry),
            previous=self._seen(event.previous),
        )


class _PrefixedWatch:
    def __init__(self, watch: Watch, heard: Callable[[Event], Event]) -> None:
        self._watch = watch
        self._heard = heard

    def poll(self, timeout: float = 0.0) -> WatchBatch | None:
        """See :meth:`gohan_jobs.stores.base.Watch.poll`."""
        batch = self._watch.poll(timeout)
        if batch is None:
            return None
        return attrs.evolve(batch, events=tuple(map(self._heard, batch.events)))

    def close(self) -> None:
        """See :meth:`gohan_jobs.stores.base.Watch.close`."""
        self._watch.close()


if TYPE_CHECKING:

    def _is_a_store(store: PrefixedStore) -> Store:
        return store
