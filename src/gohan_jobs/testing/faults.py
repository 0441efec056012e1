"""Faults around a real store: calls that fail before or after they are done, and crashes.

To see what becomes of a program that dies between any two of its calls::

    for number in itertools.count(1):
        store = FaultyStore(MemoryStore())
        store.crash("transact", on=number)
        run_until_crashed(store)
        if store.pending:
            break  # it made fewer calls than that
        check(store.store)
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Literal, Self, TypeAlias, TypeVar, get_args

import attrs

from gohan_jobs.exceptions import AmbiguousWrite, StoreError, StoreUnavailable
from gohan_jobs.stores.base import (
    Entry,
    Lease,
    Page,
    Store,
    Transaction,
    TransactionResult,
    Watch,
    WatchBatch,
)
from gohan_jobs.stores.memory import MemoryStore

__all__ = ["Crash", "FaultyStore", "StoreCall"]

StoreCall: TypeAlias = Literal[
    "any",
    "get",
    "entries",
    "transact",
    "grant_lease",
    "keep_alive",
    "revoke_lease",
    "watch",
    "poll",
    "revision",
    "cluster_id",
    "compact",
]
"""A method of a store or of its watches; ``"any"``: whichever comes."""

_Answer = TypeVar("_Answer")


class Crash(BaseException):
    """The process has died here. No ``except Exception`` survives it, as none would."""


@attrs.define
class _Fault:
    call: StoreCall
    left: int
    after: bool
    error: Callable[[], BaseException]


class FaultyStore:
    """A store that fails when told to, and else does what the one it wraps does.

    Args:
        store: the real one; it is not closed with the wrapper after a crash.

    Attributes:
        store: the real one, to look at what a crash has left.
        calls: the names of all calls made so far, in order.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self.calls: list[StoreCall] = []
        self._faults: list[_Fault] = []
        self._lock = threading.Lock()
        self._crashed = False
        self._watches: list[_FaultyWatch] = []

    def fail(
        self,
        call: StoreCall,
        *,
        on: int = 1,
        after: bool = False,
        error: Callable[[], BaseException] | None = None,
    ) -> None:
        """Let one call fail.

        Args:
            call: which method; ``"any"`` counts all of them.
            on: the how-manieth such call from now on, from 1.
            after: whether it is done first, and only its answer lost.
            error: makes what is raised. By default StoreUnavailable; AmbiguousWrite for a
                transaction whose answer is lost.

        Raises:
            ValueError: there is no such method, or ``on`` is less than 1.
        """
        if call not in get_args(StoreCall):
            raise ValueError(f"a store has no {call!r}")
        if on < 1:
            raise ValueError(f"calls are counted from 1, not {on}")
        make = error or (_ambiguous if after and call == "transact" else _unavailable)
        with self._lock:
            self._faults.append(_Fault(call, on, after, make))

    def crash(self, call: StoreCall = "any", *, on: int = 1, after: bool = False) -> None:
        """Let the process die at one call: it and every later call raise :class:`Crash`.

        Args:
            call: as in :meth:`fail`.
            on: as in :meth:`fail`.
            after: whether that call is done first.

        Raises:
            ValueError: as in :meth:`fail`.
        """
        self.fail(call, on=on, after=after, error=self._die)

    def break_watches(self, error: StoreError) -> None:
        """Let every open watch end with an error, such as ``Compacted``, at its next poll."""
        with self._lock:
            watches, self._watches = self._watches, []
        for watch in watches:
            watch.break_with(error)

    @property
    def pending(self) -> int:
        """How many faults have not happened yet."""
        with self._lock:
            return len(self._faults)

    @property
    def crashed(self) -> bool:
        """Whether the process has died."""
        return self._crashed

    def _die(self) -> BaseException:
        self._crashed = True
        return Crash("the process has died")

    def through(self, call: StoreCall, action: Callable[[], _Answer]) -> _Answer:
        """Make one call, with what faults there are for it."""
        due = self._due(call)
        for fault in due:
            if not fault.after:
                raise fault.error()
        answer = action()
        if due:
            raise due[0].error()
        return answer

    def _due(self, call: StoreCall) -> list[_Fault]:
        with self._lock:
            if self._crashed:
                raise Crash("the process has died")
            self.calls.append(call)
            counted = [fault for fault in self._faults if fault.call in ("any", call)]
            for fault in counted:
                fault.left -= 1
            self._faults = [fault for fault in self._faults if fault.left]
            return [fault for fault in counted if not fault.left]

    def get(self, key: str) -> Entry | None:
        """See :meth:`gohan_jobs.stores.base.Reader.get`."""
        return self.through("get", lambda: self.store.get(key))

    def entries(self, prefix: str, *, after: str = "", limit: int = 500, revision: int = 0) -> Page:
        """See :meth:`gohan_jobs.stores.base.Reader.entries`."""
        return self.through(
            "entries",
            lambda: self.store.entries(prefix, after=after, limit=limit, revision=revision),
        )

    def transact(self, transaction: Transaction) -> TransactionResult:
        """See :meth:`gohan_jobs.stores.base.Writer.transact`."""
        return self.through("transact", lambda: self.store.transact(transaction))

    def grant_lease(self, ttl: float) -> Lease:
        """See :meth:`gohan_jobs.stores.base.Leaser.grant_lease`."""
        return self.through("grant_lease", lambda: self.store.grant_lease(ttl))

    def keep_alive(self, lease: int) -> float:
        """See :meth:`gohan_jobs.stores.base.Leaser.keep_alive`."""
        return self.through("keep_alive", lambda: self.store.keep_alive(lease))

    def revoke_lease(self, lease: int) -> None:
        """See :meth:`gohan_jobs.stores.base.Leaser.revoke_lease`."""
        self.through("revoke_lease", lambda: self.store.revoke_lease(lease))

    def watch(self, prefix: str, revision: int, *, wake: Callable[[], None] | None = None) -> Watch:
        """See :meth:`gohan_jobs.stores.base.Watcher.watch`."""
        inner = self.through("watch", lambda: self.store.watch(prefix, revision, wake=wake))
        watch = _FaultyWatch(self, inner, wake)
        with self._lock:
            self._watches.append(watch)
        return watch

    def revision(self) -> int:
        """See :meth:`gohan_jobs.stores.base.Store.revision`."""
        return self.through("revision", self.store.revision)

    def cluster_id(self) -> str:
        """See :meth:`gohan_jobs.stores.base.Store.cluster_id`."""
        return self.through("cluster_id", self.store.cluster_id)

    def compact(self, revision: int) -> None:
        """See :meth:`gohan_jobs.stores.base.Store.compact`."""
        self.through("compact", lambda: self.store.compact(revision))

    def close(self) -> None:
        """See :meth:`gohan_jobs.stores.base.Store.close`; a dead process closes nothing."""
        if not self._crashed:
            self.store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


class _FaultyWatch:
    """A watch whose polls can fail, and which can be broken."""

    def __init__(self, faulty: FaultyStore, watch: Watch, wake: Callable[[], None] | None) -> None:
        self._faulty = faulty
        self._watch = watch
        self._wake = wake
        self._broken: StoreError | None = None

    def break_with(self, error: StoreError) -> None:
        """Raise ``error`` from now on."""
        self._broken = error
        if self._wake is not None:
            self._wake()

    def poll(self, timeout: float = 0.0) -> WatchBatch | None:
        """See :meth:`gohan_jobs.stores.base.Watch.poll`."""
        return self._faulty.through("poll", lambda: self._poll(timeout))

    def _poll(self, timeout: float) -> WatchBatch | None:
        if self._broken is not None:
            raise self._broken
        return self._watch.poll(timeout)

    def close(self) -> None:
        """See :meth:`gohan_jobs.stores.base.Watch.close`."""
        self._watch.close()


def _unavailable() -> BaseException:
    return StoreUnavailable("a fault: nothing was done")


def _ambiguous() -> BaseException:
    return AmbiguousWrite("a fault: it was done, and its answer lost")


if TYPE_CHECKING:
    _store: Store = FaultyStore(MemoryStore())
