"""What a store is: the part of etcd v3 that this library stands on.

A store maps keys (text) to bytes. Each successful write transaction makes one new revision; an
entry remembers the revision that created it and the one that last changed it. Functions ask for
the narrowest of the protocols below. :class:`gohan_jobs.testing.stores.StoreSuite` is the contract
as tests; an implementation that passes it can stand in for any other.

Every method is safe to call from several threads. Any may raise
:class:`~gohan_jobs.exceptions.StoreUnavailable` or
:class:`~gohan_jobs.exceptions.StoreRefused`, and
:class:`~gohan_jobs.exceptions.StoreClosed` after ``close``.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Protocol, Self, TypeAlias, runtime_checkable

import attrs

__all__ = [
    "AsksMember",
    "Compare",
    "Comparison",
    "Counted",
    "Delete",
    "Entry",
    "Event",
    "EventKind",
    "Get",
    "Lease",
    "LeaseTimed",
    "Leaser",
    "Measured",
    "MemberStatus",
    "Operation",
    "Page",
    "Put",
    "Reader",
    "Remote",
    "Result",
    "Store",
    "Target",
    "Transaction",
    "TransactionResult",
    "Watch",
    "WatchBatch",
    "Watcher",
    "Writer",
    "count_keys",
    "entries_below",
    "lease_left",
    "scan",
]


@attrs.frozen(kw_only=True)
class Entry:
    """A key, its value, and where it stands in the history.

    Attributes:
        key: the key.
        value: the bytes stored there; not shown in a repr, since configs hold passwords.
        create_revision: revision at which the key came into being (again).
        mod_revision: revision of its last change.
        version: number of puts since it was created, from 1.
        lease: id of the lease it is bound to, 0 for none.
    """

    key: str
    value: bytes = attrs.field(repr=False)
    create_revision: int
    mod_revision: int
    version: int
    lease: int = 0


@attrs.frozen(kw_only=True)
class Page:
    """Some entries under a prefix, in key order, all as of one revision.

    Attributes:
        revision: the revision at which they were read.
        entries: the entries.
        more: whether entries after the last of these exist.
    """

    revision: int
    entries: tuple[Entry, ...]
    more: bool


class Target(enum.Enum):
    """What of a key a comparison looks at. Of an absent key all numbers are 0."""

    CREATE_REVISION = "create_revision"
    MOD_REVISION = "mod_revision"
    VERSION = "version"
    VALUE = "value"


class Comparison(enum.Enum):
    """How a comparison compares."""

    EQUAL = "=="
    NOT_EQUAL = "!="
    GREATER = ">"
    LESS = "<"


@attrs.frozen
class Compare:
    """One condition of a transaction. Build it with one of the class methods.

    A comparison of the value of an absent key is false, whatever the comparison (as in etcd).

    Attributes:
        key: the key looked at.
        target: what of it.
        comparison: how it is compared.
        operand: with what: bytes for ``VALUE``, else an int.
    """

    key: str
    target: Target
    comparison: Comparison
    operand: int | bytes = attrs.field(repr=False)

    @classmethod
    def absent(cls, key: str) -> Self:
        """The key does not exist."""
        return cls(key, Target.CREATE_REVISION, Comparison.EQUAL, 0)

    @classmethod
    def present(cls, key: str) -> Self:
        """The key exists."""
        return cls(key, Target.CREATE_REVISION, Comparison.NOT_EQUAL, 0)

    @classmethod
    def created_at(cls, key: str, revision: int) -> Self:
        """The key was created at that revision: the fence of a lock."""
        return cls(key, Target.CREATE_REVISION, Comparison.EQUAL, revision)

    @classmethod
    def unchanged(cls, key: str, mod_revision: int) -> Self:
        """The key was last changed at that revision; 0: it does not exist."""
        return cls(key, Target.MOD_REVISION, Comparison.EQUAL, mod_revision)

    @classmethod
    def value_is(cls, key: str, value: bytes) -> Self:
        """The key holds exactly these bytes."""
        return cls(key, Target.VALUE, Comparison.EQUAL, value)


@attrs.frozen
class Put:
    """Write ``value`` at ``key``, bound to ``lease``.

    Attributes:
        key: where.
        value: the bytes; in no repr.
        lease: id of the lease with which the key ends; 0 for none.
    """

    key: str
    value: bytes = attrs.field(repr=False)
    lease: int = 0


@attrs.frozen
class Delete:
    """Remove ``key``; no error if it is not there.

    Attributes:
        key: which.
    """

    key: str


@attrs.frozen
class Get:
    """Read ``key`` inside the transaction: it sees the operations before it.

    Attributes:
        key: which.
    """

    key: str


@attrs.frozen
class Transaction:
    """If all comparisons hold do ``success``, else ``failure``; all of it at one revision.

    No key may be written twice (``ValueError``), nested transactions included; the two branches of
    one transaction count as alternatives. All comparisons, those of nested transactions too, look
    at the state before the whole transaction. Without any change the revision stays as it is.

    Together at most 1.5 MiB, and at most 128 operations: a level's (the largest number of its
    comparisons, successes and failures) plus those of its largest nested transaction.

    To be safe against a lost answer, a transaction should compare something that its own success
    changes: then a repeat of it does nothing.

    Attributes:
        compares: the conditions; none means true.
        success: what is done when all hold; may hold transactions.
        failure: what is done when one does not.
    """

    compares: tuple[Compare, ...] = ()
    success: tuple[Operation, ...] = ()
    failure: tuple[Operation, ...] = ()


Operation: TypeAlias = Put | Delete | Get | Transaction
"""What a transaction may do."""


@attrs.frozen
class TransactionResult:
    """What a transaction did.

    Attributes:
        succeeded: whether all comparisons held.
        revision: the store's revision after it.
        results: one for each operation of the branch taken: an entry or None for a ``Get``, the
            number of keys removed for a ``Delete``, None for a ``Put``, a result for a transaction.
    """

    succeeded: bool
    revision: int
    results: tuple[Result, ...] = ()


Result: TypeAlias = Entry | int | TransactionResult | None
"""What one operation of a transaction gave."""


@attrs.frozen
class Lease:
    """A promise to delete keys unless it is kept alive.

    Attributes:
        id: its number, never 0.
        ttl: seconds granted, which may be more than asked for.
    """

    id: int
    ttl: float


class EventKind(enum.Enum):
    """What happened to a key."""

    PUT = "put"
    DELETE = "delete"


@attrs.frozen(kw_only=True)
class Event:
    """One change of one key.

    Attributes:
        kind: put or delete. The end of a lease is a plain delete.
        key: the key.
        revision: at which it happened.
        entry: the entry after a put; None after a delete.
        previous: the entry before; None if there was none, or if it has been compacted.
    """

    kind: EventKind
    key: str
    revision: int
    entry: Entry | None
    previous: Entry | None


@attrs.frozen(kw_only=True)
class WatchBatch:
    """Events of whole revisions, in order.

    Attributes:
        revision: everything up to here, under the watched prefix, has been delivered.
        events: the changes; may be empty when only the revision moved on.
    """

    revision: int
    events: tuple[Event, ...]


class Watch(Protocol):
    """A subscription to a prefix. One thread polls it; another may close it."""

    def poll(self, timeout: float = 0.0) -> WatchBatch | None:
        """The next events, waiting up to ``timeout`` seconds of real time for them; else None.

        Raises:
            Compacted: the history needed has been compacted. The watch is then dead: read again.
            StoreRefused: the server will not serve it. The watch is then dead.
        """
        ...

    def close(self) -> None:
        """Stop; idempotent. Later polls raise ``StoreClosed``."""
        ...


class Reader(Protocol):
    """Reading."""

    def get(self, key: str) -> Entry | None:
        """The entry at ``key``, None if there is none. Linearizable."""
        ...

    def entries(self, prefix: str, *, after: str = "", limit: int = 500, revision: int = 0) -> Page:
        """One page of the entries whose key begins with ``prefix``, in key order.

        Args:
            prefix: end it with ``/``, or ``jobs/1`` also gives ``jobs/10``.
            after: only keys greater than this one.
            limit: at most so many, at least 1.
            revision: as of this revision; 0 for now.

        Raises:
            Compacted: ``revision`` is no longer in the history.
            ValueError: ``limit`` is less than 1, or ``revision`` lies in the future.
        """
        ...


class Writer(Protocol):
    """Writing: there is no other way than a transaction."""

    def transact(self, transaction: Transaction) -> TransactionResult:
        """Carry out a transaction, whole or not at all.

        Raises:
            TransactionTooLarge: over the limits; nothing was sent, and it is never split.
            LeaseNotFound: a put names a lease that is gone; nothing was written.
            StoreFull: the quota is used up; nothing was written.
            AmbiguousWrite: the answer was lost, and reading could not settle it.
            ValueError: a key is written twice, or is empty.
        """
        ...


class Leaser(Protocol):
    """Leases."""

    def grant_lease(self, ttl: float) -> Lease:
        """A new lease of at least ``ttl`` seconds.

        Raises:
            ValueError: ``ttl`` is not positive.
            StoreFull: the quota is used up.
        """
        ...

    def keep_alive(self, lease: int) -> float:
        """Start the lease's time anew; the seconds it now has.

        Raises:
            LeaseNotFound: it has ended; its keys are gone.
        """
        ...

    def revoke_lease(self, lease: int) -> None:
        """End it and delete its keys, at one revision; no error if it has ended."""
        ...


class Watcher(Protocol):
    """Watching."""

    def watch(self, prefix: str, revision: int, *, wake: Callable[[], None] | None = None) -> Watch:
        """Changes of keys that begin with ``prefix``, from ``revision`` on, that one included.

        Args:
            prefix: as in ``entries``.
            revision: the first revision to deliver, at least 1; it may lie in the future.
            wake: called, on any thread, when ``poll`` may have something, an error or the end
                included. It must not block, raise, nor call the store.

        Raises:
            Compacted: here or at the first ``poll``: history has been compacted at ``revision`` or
                later. Reading at the compacted revision, then watching from the next, is safe.
            ValueError: ``revision`` is less than 1.
        """
        ...


@runtime_checkable
class Measured(Protocol):
    """A store that can tell how large it is; not every one can."""

    def size(self) -> int:
        """Bytes that count towards the server's quota."""
        ...


class MemberStatus(Protocol):
    """What a server says of itself."""

    @property
    def version(self) -> str:
        """Its release."""
        ...

    @property
    def size(self) -> int:
        """Bytes that count towards its quota."""
        ...

    @property
    def alarms(self) -> tuple[str, ...]:
        """Such as ``NOSPACE``, of any member."""
        ...


@runtime_checkable
class AsksMember(Protocol):
    """A store that asks a server about itself, as that on etcd does."""

    def status(self) -> MemberStatus:
        """What the server says that answers.

        Raises:
            StoreUnavailable: none answers.
            StoreRefused: the user may not ask.
        """
        ...


@runtime_checkable
class Counted(Protocol):
    """A store that can count keys without reading them; ask :func:`count_keys`, not the store."""

    def count(self, prefix: str, *, revision: int = 0) -> int:
        """How many keys begin with ``prefix``, as of a revision; 0 for now.

        Raises:
            Compacted: ``revision`` is no longer in the history.
            ValueError: ``revision`` lies in the future.
        """
        ...


@runtime_checkable
class Remote(Protocol):
    """A store that may be out of reach, or turn out to be another one."""

    @property
    def trouble(self) -> str:
        """Why the last request got no answer; empty if it got one. Asks nobody."""
        ...

    def peek(self, key: str) -> tuple[str, Entry | None]:
        """The id of the cluster that answers, whichever it is, and what it has at a key.

        Raises:
            StoreUnavailable: none answers.
            StoreRefused: it does not let us in.
        """
        ...

    def move(self) -> None:
        """Take the cluster that answers next for the right one, as an operator says."""
        ...


@runtime_checkable
class LeaseTimed(Protocol):
    """A store that can tell how long a lease lives; not every one can."""

    def lease_ttl(self, lease: int) -> float | None:
        """Seconds that a lease still has; None if it has ended. It is not renewed."""
        ...


class Store(Reader, Writer, Leaser, Watcher, Protocol):
    """All of it."""

    def revision(self) -> int:
        """The current revision. Linearizable."""
        ...

    def cluster_id(self) -> str:
        """What tells this cluster from any other, the same for its whole life (``rules`` 16)."""
        ...

    def compact(self, revision: int) -> None:
        """Forget history before ``revision``, which can still be read.

        Never called by this library on its own (``rules`` 23): etcd may be shared.

        Raises:
            Compacted: it is forgotten already.
            ValueError: ``revision`` lies in the future.
        """
        ...

    def close(self) -> None:
        """Give back what it holds; idempotent. Watches are closed, leases are left to end."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...


def scan(store: Reader, prefix: str, *, revision: int = 0, page: int = 500) -> Iterator[Page]:
    """All pages under a prefix, every one as of the first one's revision.

    Args:
        store: what is read.
        prefix: as in :meth:`Reader.entries`.
        revision: as of this revision; 0 for now.
        page: entries a request.

    Yields:
        Pages; at least one, so that the revision is always known.

    Raises:
        Compacted: the history was compacted between two pages; start again.
    """
    after = ""
    while True:
        found = store.entries(prefix, after=after, limit=page, revision=revision)
        yield found
        if not found.more:
            return
        after = found.entries[-1].key
        revision = found.revision


def entries_below(store: Reader, prefix: str, *, revision: int = 0) -> Iterator[Entry]:
    """All entries under a prefix, page by page: :func:`scan` for who needs no page.

    Args:
        store: what is read.
        prefix: as in :meth:`Reader.entries`.
        revision: as of this revision; 0 for now.

    Raises:
        Compacted: the revision is no longer in the history.
    """
    for page in scan(store, prefix, revision=revision):
        yield from page.entries


def lease_left(store: Reader, lease: int) -> float | None:
    """Seconds that a lease still has; None if it has ended, for none, or if the store can't tell.

    Args:
        store: what is asked.
        lease: its id; 0 for none.
    """
    return store.lease_ttl(lease) if lease and isinstance(store, LeaseTimed) else None


def count_keys(store: Reader, prefix: str, *, revision: int = 0) -> int:
    """How many keys begin with a prefix; of a store that can't count, all are read.

    Args:
        store: what is asked.
        prefix: as in :meth:`Reader.entries`.
        revision: as of this revision; 0 for now.

    Raises:
        Compacted: ``revision`` is no longer in the history.
        ValueError: ``revision`` lies in the future.
    """
    if isinstance(store, Counted):
        return store.count(prefix, revision=revision)
    return sum(len(page.entries) for page in scan(store, prefix, revision=revision))
