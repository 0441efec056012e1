"""The store on etcd v3: reads are repeated, writes are settled, the rest is one request each."""

from __future__ import annotations

import contextlib
import math
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

import attrs
import tenacity

from gohan_jobs.exceptions import (
    AmbiguousWrite,
    Compacted,
    LeaseNotFound,
    StoreError,
    StoreRefused,
    StoreUnavailable,
    TransactionTooLarge,
)
from gohan_jobs.stores.arguments import check_first_revision, check_key, check_limit, check_ttl
from gohan_jobs.stores.base import Entry, Lease, Page, Store, Transaction, TransactionResult, Watch
from gohan_jobs.stores.etcd import messages
from gohan_jobs.stores.etcd.connection import Connection
from gohan_jobs.stores.etcd.errors import FutureRevision, Lost, too_large_for_server
from gohan_jobs.stores.etcd.link import Link
from gohan_jobs.stores.etcd.watch import EtcdWatch
from gohan_jobs.stores.settling import applied, earliest, settle
from gohan_jobs.stores.transactions import (
    MAX_OPERATIONS,
    check_form,
    check_size,
    puts_of,
    writes,
)

__all__ = ["EtcdStatus", "EtcdStore"]

_Answer = TypeVar("_Answer")


@attrs.frozen(kw_only=True)
class EtcdStatus:
    """What a member says of itself.

    Attributes:
        version: of the server.
        size: bytes its database takes, free pages included: what the quota counts.
        alarms: such as ``NOSPACE``, of any member.
    """

    version: str
    size: int
    alarms: tuple[str, ...]


class EtcdStore:
    """A :class:`~gohan_jobs.stores.base.Store` on an etcd v3 cluster.

    Nothing is sent before the first call. Reads are repeated until ``patience`` is over. A write
    whose answer is lost is never just repeated: see :mod:`gohan_jobs.stores.settling`. A store
    belongs to the process that made it; after a fork make a new one.

    Args:
        endpoints: ``host:port`` of each member, or some of them. Of several, names are resolved
            here, once; the name of a single one is resolved again whenever it is connected to.
        ca: file with the certificates of the authorities trusted; None for no TLS. This file and
            the next two are read again when no connection can be made.
        cert: file with the client's certificate; needs ``key`` and ``ca``.
        key: file with its private key.
        server_name: the name that the members' certificates are checked for; the first endpoint's
            host if None.
        user: user name; needs ``password``.
        password: never shown; or what gives it whenever a token is needed, so that a changed one is
            taken up.
        timeout: seconds for one request.
        patience: seconds for a call, repeats included, that does not get through.
        silence: seconds without a sign of life until a watch asks for one.
        watch_buffer: events kept for a slow poller of a watch.

    Raises:
        ValueError: arguments that do not go together.
        StoreUnavailable: a name can't be resolved.
    """

    def __init__(
        self,
        endpoints: Sequence[str] | str,
        *,
        ca: str | Path | None = None,
        cert: str | Path | None = None,
        key: str | Path | None = None,
        server_name: str | None = None,
        user: str | None = None,
        password: str | Callable[[], str | None] | None = None,
        timeout: float = 5.0,
        patience: float = 15.0,
        silence: float = 5.0,
        watch_buffer: int = 10_000,
    ) -> None:
        if (user is None) != (password is None):
            raise ValueError("user and password go together")
        self._endpoints = (endpoints,) if isinstance(endpoints, str) else tuple(endpoints)
        self._user = user
        self._connection = Connection(
            Link(self._endpoints, ca=ca, cert=cert, key=key, server_name=server_name),
            user=user,
            password=password,
            timeout=timeout,
        )
        self._retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception(_is_worth_repeating),
            wait=tenacity.wait_random_exponential(multiplier=0.05, max=2),
            stop=tenacity.stop_after_delay(patience),
            sleep=tenacity.sleep_using_event(self._connection.closing),
            reraise=True,
        )
        self._patience = patience
        self._silence = silence
        self._watch_buffer = watch_buffer
        self._lock = threading.Lock()
        self._watches: set[EtcdWatch] = set()

    def __repr__(self) -> str:
        return f"EtcdStore({', '.join(self._endpoints)}, user={self._user!r})"

    def get(self, key: str) -> Entry | None:
        """See :meth:`gohan_jobs.stores.base.Reader.get`."""
        check_key(key)
        rpc = self._connection.rpc
        answer = self._read("Range", rpc.RangeRequest(key=messages.to_bytes(key)))
        return messages.entry_of(answer.kvs[0]) if answer.kvs else None

    def entries(self, prefix: str, *, after: str = "", limit: int = 500, revision: int = 0) -> Page:
        """See :meth:`gohan_jobs.stores.base.Reader.entries`."""
        check_limit(limit)
        begin, end = messages.key_range(prefix)
        if after:
            begin = max(begin, messages.to_bytes(after) + b"\0")
        if begin >= end != b"\0":
            return Page(revision=revision or self.revision(), entries=(), more=False)
        request = self._connection.rpc.RangeRequest(
            key=begin, range_end=end, limit=limit, revision=revision
        )
        answer = self._read("Range", request)
        return Page(
            revision=revision or answer.header.revision,
            entries=tuple(messages.entry_of(pair) for pair in answer.kvs),
            more=answer.more,
        )

    def count(self, prefix: str, *, revision: int = 0) -> int:
        """See :meth:`gohan_jobs.stores.base.Counted.count`."""
        begin, end = messages.key_range(prefix)
        request = self._connection.rpc.RangeRequest(
            key=begin, range_end=end, revision=revision, count_only=True
        )
        return int(self._read("Range", request).count)

    def transact(self, transaction: Transaction) -> TransactionResult:
        """See :meth:`gohan_jobs.stores.base.Writer.transact`."""
        check_form(transaction)
        request = messages.transaction_request(self._connection.rpc, transaction)
        check_size(transaction, request.ByteSize())
        if not writes((transaction,)):
            answer = self._read("Txn", request)
            return messages.result_of(transaction, answer, answer.header.revision)
        try:
            return self._write(transaction, request)
        except LeaseNotFound as error:
            raise LeaseNotFound(self._ended_lease(transaction)) from error
        except TransactionTooLarge as error:
            raise too_large_for_server(transaction, error) from error

    def _write(self, transaction: Transaction, request: Any) -> TransactionResult:
        since = earliest(transaction, self._connection.seen)
        try:
            return self._repeating(self._send, transaction, request)
        except Lost as error:
            lost = error
        try:
            return self._retrying(self._find_out, transaction, request, since)
        except AmbiguousWrite:
            raise
        except StoreError as error:
            raise AmbiguousWrite(f"no answer ({lost}), and then: {error}") from error

    def _send(self, transaction: Transaction, request: Any) -> TransactionResult:
        answer = self._connection.call("Txn", request)
        return messages.result_of(transaction, answer, answer.header.revision)

    def _find_out(self, transaction: Transaction, request: Any, since: int) -> TransactionResult:
        """What became of a write whose answer was lost; sent again if that can do no harm."""
        result = settle(transaction, since, self._snapshot)
        if result is None:
            try:
                result = self._send(transaction, request)
            except Lost as error:
                # What is worth repeating here is finding out.
                raise StoreUnavailable(str(error)) from error
            if not result.succeeded:
                # Perhaps it failed because the first one was carried out meanwhile.
                result = applied(transaction, since, self._snapshot)
        if result is None:
            raise AmbiguousWrite("no answer, and sent again it failed: perhaps it had succeeded")
        return result

    def grant_lease(self, ttl: float) -> Lease:
        """See :meth:`gohan_jobs.stores.base.Leaser.grant_lease`; whole seconds are granted."""
        check_ttl(ttl)
        # Repeated, it may leave a lease that nobody uses; that one ends by itself.
        answer = self._read(
            "LeaseGrant", self._connection.rpc.LeaseGrantRequest(TTL=math.ceil(ttl))
        )
        return Lease(answer.ID, float(answer.TTL))

    def keep_alive(self, lease: int) -> float:
        """See :meth:`gohan_jobs.stores.base.Leaser.keep_alive`."""
        request = self._connection.rpc.LeaseKeepAliveRequest(ID=lease)
        answer = self._read("LeaseKeepAlive", request)
        if answer.TTL <= 0:
            raise LeaseNotFound(lease)
        return float(answer.TTL)

    def lease_ttl(self, lease: int) -> float | None:
        """See :meth:`gohan_jobs.stores.base.LeaseTimed.lease_ttl`; in whole seconds."""
        request = self._connection.rpc.LeaseTimeToLiveRequest(ID=lease)
        left = self._read("LeaseTimeToLive", request).TTL
        return float(left) if left >= 0 else None

    def revoke_lease(self, lease: int) -> None:
        """See :meth:`gohan_jobs.stores.base.Leaser.revoke_lease`."""
        with contextlib.suppress(LeaseNotFound):
            self._read("LeaseRevoke", self._connection.rpc.LeaseRevokeRequest(ID=lease))

    def watch(self, prefix: str, revision: int, *, wake: Callable[[], None] | None = None) -> Watch:
        """See :meth:`gohan_jobs.stores.base.Watcher.watch`; errors come from ``poll``."""
        check_first_revision(revision)
        watch = EtcdWatch(
            self._connection,
            prefix,
            revision,
            wake=wake,
            buffer=self._watch_buffer,
            silence=self._silence,
            closed=self._forget,
        )
        self._connection.check()
        with self._lock:
            # Again: a close in between would not know of this watch.
            self._connection.check()
            self._watches.add(watch)
            watch.start()
        return watch

    def revision(self) -> int:
        """See :meth:`gohan_jobs.stores.base.Store.revision`."""
        return int(self._header().revision)

    def cluster_id(self) -> str:
        """See :meth:`gohan_jobs.stores.base.Store.cluster_id`; in hexadecimal, as etcdctl does."""
        return f"{self._header().cluster_id:x}"

    def compact(self, revision: int) -> None:
        """See :meth:`gohan_jobs.stores.base.Store.compact`."""
        self._read("Compact", self._connection.rpc.CompactionRequest(revision=revision))

    def status(self) -> EtcdStatus:
        """What one of the members says of itself, and the alarms of all.

        Raises:
            StoreUnavailable: none answers.
            StoreRefused: the user may not ask.
        """
        rpc = self._connection.rpc
        status = self._read("Status", rpc.StatusRequest())
        alarms = self._read("Alarm", rpc.AlarmRequest(action=rpc.AlarmRequest.GET)).alarms
        names = {rpc.AlarmType.Name(alarm.alarm) for alarm in alarms}
        return EtcdStatus(version=status.version, size=status.dbSize, alarms=tuple(sorted(names)))

    def size(self) -> int:
        """See :meth:`gohan_jobs.stores.base.Measured.size`: the database file of one member."""
        return int(self._read("Status", self._connection.rpc.StatusRequest()).dbSize)

    @property
    def trouble(self) -> str:
        """See :attr:`gohan_jobs.stores.base.Remote.trouble`."""
        return self._connection.trouble

    def peek(self, key: str) -> tuple[str, Entry | None]:
        """See :meth:`gohan_jobs.stores.base.Remote.peek`."""
        request = self._connection.rpc.RangeRequest(key=messages.to_bytes(key))
        answer = self._connection.call_any("Range", request)
        found = messages.entry_of(answer.kvs[0]) if answer.kvs else None
        return f"{answer.header.cluster_id:x}", found

    def move(self) -> None:
        """See :meth:`gohan_jobs.stores.base.Remote.move`."""
        self._connection.move()

    def close(self) -> None:
        """See :meth:`gohan_jobs.stores.base.Store.close`; no thread of its own is left."""
        if not self._connection.inherited:
            self._close()

    def _close(self) -> None:
        with self._lock:
            watches = tuple(self._watches)
            self._connection.closing.set()
        for watch in watches:
            watch.abandon()
        for watch in watches:
            watch.close()
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _forget(self, watch: EtcdWatch) -> None:
        with self._lock:
            self._watches.discard(watch)

    def _read(self, method: str, request: Any) -> Any:
        """One request that may be repeated as it is."""
        try:
            return self._repeating(self._ask, method, request)
        except Compacted as error:
            raise Compacted(max(self._connection.oldest(), request.revision)) from error

    def _repeating(self, call: Callable[..., _Answer], *arguments: Any) -> _Answer:
        """Call, and again while that is worth it and patience lasts."""
        began = time.monotonic()
        try:
            # Not by tenacity, which for each call takes half as long as all else here.
            return call(*arguments)
        except StoreUnavailable as error:
            first: StoreUnavailable | None = error

        def again() -> _Answer:
            nonlocal first
            if first is not None:
                failed, first = first, None
                raise failed
            return call(*arguments)

        left = self._patience - (time.monotonic() - began)
        return self._retrying.copy(stop=tenacity.stop_after_delay(left))(again)

    def _ask(self, method: str, request: Any) -> Any:
        try:
            return self._connection.call(method, request)
        except Lost as error:
            raise StoreUnavailable(str(error)) from error
        except FutureRevision as error:
            # A TxnRequest names revisions only in a snapshot: those have been seen.
            wanted = getattr(request, "revision", 0)
            if wanted > self._newest_header().revision:
                raise
            raise StoreUnavailable(f"a member lags behind, and was asked: {error}") from error

    def _header(self) -> Any:
        return self._repeating(self._newest_header)

    def _newest_header(self) -> Any:
        """The header of one linearizable answer: it names the newest revision."""
        rpc = self._connection.rpc
        try:
            return self._ask("Range", rpc.RangeRequest(key=b"\0", count_only=True)).header
        except StoreRefused:
            # Who may not read that key may still ask, at the price of a round of consensus.
            return self._ask("Txn", messages.transaction_request(rpc, Transaction())).header

    def _snapshot(
        self, keys: Sequence[str], revision: int
    ) -> tuple[int, Mapping[str, Entry | None]]:
        rpc = self._connection.rpc
        found: dict[str, Entry | None] = {}
        for start in range(0, len(keys), MAX_OPERATIONS):
            some = keys[start : start + MAX_OPERATIONS]
            ranges = (rpc.RangeRequest(key=messages.to_bytes(k), revision=revision) for k in some)
            steps = [rpc.RequestOp(request_range=each) for each in ranges]
            answer = self._ask("Txn", rpc.TxnRequest(success=steps))
            revision = revision or answer.header.revision
            for key, each in zip(some, answer.responses, strict=True):
                pairs = each.response_range.kvs
                found[key] = messages.entry_of(pairs[0]) if pairs else None
        return revision, found

    def _ended_lease(self, transaction: Transaction) -> int:
        """Which of the leases that a transaction uses has ended."""
        leases = list(dict.fromkeys(put.lease for put in puts_of((transaction,)) if put.lease))
        rpc = self._connection.rpc
        for lease in leases[:-1]:
            answer = self._read("LeaseTimeToLive", rpc.LeaseTimeToLiveRequest(ID=lease))
            if answer.TTL <= 0:
                return lease
        return leases[-1]


def _is_worth_repeating(error: BaseException) -> bool:
    return isinstance(error, StoreUnavailable) and not isinstance(error, Lost)


if TYPE_CHECKING:
    _store: Store = EtcdStore(())
