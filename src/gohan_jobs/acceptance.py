"""How an operator lets a stopped job manager go on, without a restart (``rules`` 16).

A leader that stops on purpose says why at ``/gohan-jobs/degraded``, under its lease. The operator
looks (:func:`stopped`) and accepts just that (:func:`accept`): at ``/gohan-jobs/accept``, under a
lease that ends by itself. The leader takes it, once, in a fenced transaction, and carries out what
it had stopped for. Something else that is found later needs another acceptance.

If the cluster at the address has become another one, the acceptance has to be given on that one:
processes that still run look there for nothing but this key.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

import attrs

from gohan_jobs.bookkeeping import Bookkeeping
from gohan_jobs.clock import Clock, SystemClock, time_text
from gohan_jobs.codec.strict_json import loads_json
from gohan_jobs.exceptions import GohanJobsError, InvalidRecord, Problem
from gohan_jobs.keys import Keys
from gohan_jobs.stores.base import (
    Compare,
    Delete,
    Entry,
    Put,
    Reader,
    Remote,
    Store,
    Transaction,
    TransactionResult,
)

__all__ = [
    "Acceptance",
    "Acceptances",
    "Leader",
    "Stopped",
    "accept",
    "accepted",
    "moved",
    "stopped",
]

_TTL = 600.0

_log = logging.getLogger("gohan_jobs")


@attrs.frozen(kw_only=True)
class Stopped:
    """Why the leader has stopped.

    Attributes:
        reason: what it found.
        since: time of day, ISO 8601.
    """

    reason: str
    since: str


@attrs.frozen(kw_only=True)
class Acceptance:
    """An operator's word.

    Attributes:
        cluster: id of the cluster that it was given on.
        reason: what it accepts; empty for what the next leader finds.
        since: time of day, ISO 8601.
        taken: whether the leader has acted on it.
    """

    cluster: str
    reason: str
    since: str
    taken: bool = False


class Leader(Protocol):
    """What writes as the leader."""

    @property
    def lease(self) -> int:
        """What the leader's key stands under."""
        ...

    def commit(self, transaction: Transaction) -> TransactionResult:
        """Carry out a transaction as the leader.

        Raises:
            NotLeader: it does not lead any more; nothing was written.
        """
        ...


def stopped(store: Reader, keys: Keys) -> Stopped | None:
    """Why the leader has stopped; None if it has not.

    Raises:
        InvalidRecord: what stands there is not what a leader writes.
        StoreError: it can't be read.
    """
    entry = store.get(Bookkeeping(keys).degraded_key)
    return None if entry is None else _loads(entry, Stopped)


def accept(
    store: Store,
    keys: Keys,
    *,
    beforehand: bool = False,
    ttl: float = _TTL,
    clock: Clock | None = None,
) -> Acceptance:
    """Accept what the leader has stopped for; it goes on within seconds.

    Args:
        store: on the cluster that is to be worked on.
        keys: where in it.
        beforehand: whether, if no leader has stopped, whatever the next one finds is accepted: for
            a cluster that nothing works on yet.
        ttl: seconds after which nobody heeds it any more.
        clock: the time of day.

    Returns:
        What was accepted.

    Raises:
        GohanJobsError: nothing has stopped; or it has changed at the same moment: look again.
        StoreError: it can't be written.
    """
    own = Bookkeeping(keys)
    found = store.get(own.degraded_key)
    if found is None and not beforehand:
        raise GohanJobsError("no job manager has stopped: there is nothing to accept")
    given = Acceptance(
        cluster=store.cluster_id(),
        reason="" if found is None else _loads(found, Stopped).reason,
        since=time_text(clock or SystemClock()),
    )
    lease = store.grant_lease(ttl).id
    # The former, if any, is taken, or about something else, or the same.
    unchanged = Compare.unchanged(own.degraded_key, 0 if found is None else found.mod_revision)
    put = Put(own.accept_key, _dumps(given), lease)
    if not store.transact(Transaction((unchanged,), (put,))).succeeded:
        store.revoke_lease(lease)
        raise GohanJobsError("the job manager's state has changed meanwhile: look again")
    return given


def accepted(store: Reader, keys: Keys, cluster: str) -> bool:
    """Whether a cluster has been accepted for whatever is found there.

    Raises:
        StoreError: it can't be read.
    """
    found = _found(store.get(Bookkeeping(keys).accept_key))
    return found is not None and found.cluster == cluster


def moved(store: Remote, keys: Keys) -> bool:
    """Whether another cluster answers, and an operator has accepted it; asks whichever answers.

    Raises:
        StoreError: none answers, or it does not let us in.
    """
    cluster, entry = store.peek(Bookkeeping(keys).accept_key)
    found = _found(entry)
    return found is not None and found.cluster == cluster


class Acceptances:
    """The leader's side.

    Args:
        store: where.
        keys: where in it.
        leader: writes.
        clock: the time of day.
    """

    def __init__(self, store: Store, keys: Keys, leader: Leader, clock: Clock) -> None:
        self._store = store
        self._own = Bookkeeping(keys)
        self._leader = leader
        self._clock = clock
        self._told = ""
        self._passed_over = 0

    def given(self, reason: str) -> bool:
        """Say why the leader has stopped, once, and see whether that is accepted; once.

        Raises:
            NotLeader: another leads now.
            StoreError: it can't be told or read.
        """
        if self._told != reason:
            text = _dumps(Stopped(reason=reason, since=time_text(self._clock)))
            put = Put(self._own.degraded_key, text, self._leader.lease)
            self._leader.commit(Transaction((), (put,)))
            self._told = reason
        return self._take(reason)

    def _take(self, reason: str) -> bool:
        entry = self._store.get(self._own.accept_key)
        found = _found(entry)
        if entry is not None and found is None and entry.mod_revision != self._passed_over:
            self._passed_over = entry.mod_revision
            _log.warning("%s: not an acceptance: passed over", entry.key)
        if entry is None or found is None or found.taken or found.reason not in {"", reason}:
            return False
        taken = Put(entry.key, _dumps(attrs.evolve(found, taken=True)), entry.lease)
        unchanged = Compare.unchanged(entry.key, entry.mod_revision)
        return self._leader.commit(Transaction((unchanged,), (taken,))).succeeded

    def over(self) -> None:
        """The leader goes on; nothing if it had not stopped.

        Raises:
            NotLeader: another leads now.
            StoreError: it can't be told.
        """
        if self._told:
            self._leader.commit(Transaction((), (Delete(self._own.degraded_key),)))
            self._told = ""

    def forget(self) -> None:
        """The lease has ended, and with it what was said."""
        self._told = ""


T = TypeVar("T", Acceptance, Stopped)


def _dumps(value: Acceptance | Stopped) -> bytes:
    return json.dumps(attrs.asdict(value), separators=(",", ":")).encode()


def _found(entry: Entry | None) -> Acceptance | None:
    """What was accepted; None if nothing was, or what stands there is not to be understood."""
    try:
        return None if entry is None else _loads(entry, Acceptance)
    except InvalidRecord:
        return None


def _loads(entry: Entry, kind: Callable[..., T]) -> T:
    value: Any = loads_json(entry.key, entry.value)
    try:
        return kind(**value)
    except TypeError as error:
        raise InvalidRecord(entry.key, (Problem("$", f"not {kind.__name__}"),)) from error
