"""The channel to a cluster, the token, and what every request has in common.

Of etcd3 its channel's stubs and messages are used, nothing else: its watcher, locks and retries
lose events or hang.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator
from typing import Any

import grpc

from gohan_jobs.exceptions import (
    StoreClosed,
    StoreError,
    StoreRefused,
    StoreUnavailable,
    WrongCluster,
)
from gohan_jobs.stores.etcd import messages
from gohan_jobs.stores.etcd.advice import Advice
from gohan_jobs.stores.etcd.asking import asked_by
from gohan_jobs.stores.etcd.errors import Lost, StaleToken, Untrusted, explain
from gohan_jobs.stores.etcd.link import Link

__all__ = ["Connection"]


class Connection:
    """The channel, the token, and what every request has in common.

    Args:
        link: makes channels.
        user: user name; None for none.
        password: the user's, or what gives it whenever a token is needed.
        timeout: seconds for one request.

    Attributes:
        rpc: etcd3's stubs and messages.
        seen: the latest revision that any answer has named.
        closing: set once the store is being closed.
        trouble: why the last request got no answer; empty if it got one.

    Raises:
        OSError: a file can't be read.
        StoreUnavailable: a name can't be resolved.
        ValueError: an endpoint is not ``host:port``.
    """

    def __init__(
        self,
        link: Link,
        *,
        user: str | None,
        password: str | Callable[[], str | None] | None,
        timeout: float,
    ) -> None:
        self.rpc: Any = messages.load()
        self.seen: int = 0
        self.trouble: str = ""
        self.closing: threading.Event = threading.Event()
        self._pid = os.getpid()
        self._link = link
        self._timeout = timeout
        self._cluster = 0
        self._astray = False
        self._token = ""
        self._token_lock = threading.Lock()
        self._channel_lock = threading.Lock()
        self._login = user
        self._password = password
        self._advice = Advice(user=user or "", cert=str(link.cert or ""), ca=str(link.ca or ""))
        self._connect()

    def _connect(self) -> None:
        """Make the channel, and what is called on it, anew."""
        rpc, channel = self.rpc, self._link.open()
        lease, maintenance = rpc.LeaseStub(channel), rpc.MaintenanceStub(channel)
        store = rpc.KVStub(channel)
        self._watch = rpc.WatchStub(channel).Watch
        self._methods: dict[str, Callable[..., Any]] = {
            "Authenticate": rpc.AuthStub(channel).Authenticate,
            "Range": store.Range,
            "Txn": store.Txn,
            "Compact": store.Compact,
            "LeaseGrant": lease.LeaseGrant,
            "LeaseRevoke": lease.LeaseRevoke,
            "LeaseTimeToLive": lease.LeaseTimeToLive,
            "LeaseKeepAlive": _first_answer(lease.LeaseKeepAlive),
            "Status": maintenance.Status,
            "Alarm": maintenance.Alarm,
        }
        self._channel = channel

    @property
    def inherited(self) -> bool:
        """Whether this is a forked process, and the connection its parent's."""
        return os.getpid() != self._pid

    def check(self) -> None:
        """See that the store may be used.

        Raises:
            StoreClosed: it is closed, or belongs to the process this one was forked from.
        """
        if self.closing.is_set():
            raise StoreClosed("the store has been closed")
        if self.inherited:
            raise StoreClosed(
                f"the store belongs to process {self._pid}: after a fork make a new one"
            )

    def call(self, method: str, request: Any) -> Any:
        """One request, with a new token if the old one has expired.

        Raises:
            Lost: no answer.
            StoreUnavailable: nothing was carried out.
            WrongCluster: another cluster has answered.
        """
        answer = self.call_any(method, request)
        self.note(answer.header)
        return answer

    def call_any(self, method: str, request: Any) -> Any:
        """As :meth:`call`, whichever cluster answers."""
        self.check()
        channel = self._channel
        try:
            return self._ask(method, request)
        except Untrusted:
            # There was no connection, so nothing was carried out; and now there is another one.
            if channel is self._channel:
                raise
            return self._ask(method, request)

    def _ask(self, method: str, request: Any) -> Any:
        metadata = self._metadata()
        try:
            return self._invoke(method, request, metadata)
        except StaleToken:
            self.renew_token(metadata)
            return self._invoke(method, request, self._metadata())
        except Lost:
            # etcd lets a token wait that was made at a later index than its own, as every one is
            # after a restore from a backup; that it is stale it does not say before.
            self.renew_token(metadata)
            raise

    def _invoke(self, method: str, request: Any, metadata: Any) -> Any:
        channel = self._channel
        try:
            return self._methods[method](request, timeout=self._timeout, metadata=metadata)
        except grpc.RpcError as error:
            raise self.explained(error, asked_by(method, request)) from error
        except ValueError as error:
            raise self._closed(channel) from error

    def _closed(self, channel: grpc.Channel) -> StoreError:
        """What it means that gRPC finds a channel closed."""
        if channel is self._channel:
            return StoreClosed("the store has been closed")
        return StoreUnavailable("the connection is being made anew")

    def explained(self, error: grpc.RpcError, asked: str) -> Exception:
        """The error of ours that a gRPC error is.

        Args:
            error: gRPC's.
            asked: what was asked for, such as ``read /a``.
        """
        if self.closing.is_set():
            return StoreClosed("the store has been closed")
        explained = explain(error.code().name, self._advice.on(error.details() or "", asked))
        if type(explained) is StoreRefused:
            explained = _naming(explained, asked)
        if isinstance(explained, StoreUnavailable | Untrusted):
            self.trouble = str(explained)
            self._reconnect_if_outdated()
        return explained

    def refused(self, reason: str, asked: str) -> StoreRefused:
        """The error that a refusal within a stream is.

        Args:
            reason: etcd's words.
            asked: what was asked for.
        """
        return _naming(StoreRefused(self._advice.on(reason, asked)), asked)

    def _reconnect_if_outdated(self) -> None:
        """Make the channel anew if a certificate has been renewed on disk."""
        with self._channel_lock:
            if self.closing.is_set() or not self._link.outdated:
                return
            former = self._channel
            with contextlib.suppress(OSError, StoreUnavailable):
                self._connect()
        if former is not self._channel:
            former.close()

    def note(self, header: Any) -> None:
        """Remember the newest revision seen, and see that it is the same cluster as ever.

        Raises:
            WrongCluster: it is another one: its revisions mean nothing here.
        """
        self._cluster = self._cluster or header.cluster_id
        if header.cluster_id not in (0, self._cluster):
            error = WrongCluster(f"{header.cluster_id:x}", f"{self._cluster:x}")
            self.trouble, self._astray = str(error), True
            raise error
        self.trouble = ""
        self.seen = max(self.seen, header.revision)

    def move(self) -> None:
        """Take the cluster that answers next for the right one, if another one has answered."""
        if self._astray:
            self._cluster, self.seen, self._astray = 0, 0, False

    def _metadata(self) -> tuple[tuple[str, str], ...]:
        # Without a leader a member would let the request wait.
        metadata = (("hasleader", "true"),)
        if self._login is None:
            return metadata
        with self._token_lock:
            if not self._token:
                self._token = self._new_token()
            return (*metadata, ("token", self._token))

    def _new_token(self) -> str:
        try:
            password = self._password() if callable(self._password) else self._password
        except OSError as error:
            raise StoreRefused(f"the password of {self._login!r} can't be read: {error}") from error
        login = self.rpc.AuthenticateRequest(name=self._login, password=password)
        try:
            return str(self._invoke("Authenticate", login, None).token)
        except Lost as error:
            raise StoreUnavailable(str(error)) from error
        except StoreRefused as error:
            self.trouble = str(error)
            raise

    def renew_token(self, used: tuple[tuple[str, str], ...]) -> bool:
        """Get a new token, unless another thread has done so since; False without credentials."""
        if self._login is None:
            return False
        with self._token_lock:
            if ("token", self._token) in used:
                self._token = ""
        return True

    def open_stream(
        self, requests: Iterator[Any], asked: str, *, timeout: float | None = None
    ) -> _Stream:
        """See :class:`gohan_jobs.stores.etcd.watch.Streams`."""
        self.check()
        metadata = self._metadata()
        channel = self._channel
        try:
            call = self._watch(requests, timeout=timeout, metadata=metadata)
        except ValueError as error:
            raise self._closed(channel) from error
        return _Stream(self, call, metadata, asked)

    def create_request(self, prefix: str, revision: int) -> Any:
        """See :class:`gohan_jobs.stores.etcd.watch.Streams`."""
        begin, end = messages.key_range(prefix)
        create = self.rpc.WatchCreateRequest(
            key=begin, range_end=end, start_revision=revision, prev_kv=True, progress_notify=True
        )
        return self.rpc.WatchRequest(create_request=create)

    def ping_request(self) -> Any:
        """See :class:`gohan_jobs.stores.etcd.watch.Streams`."""
        return self.rpc.WatchRequest.FromString(messages.PING)

    def oldest(self) -> int:
        """The compacted revision: told to who asks to watch what is before it; 0 if it is not."""
        create = self.create_request("", 1)
        stream = self.open_stream(iter((create,)), "watch all keys", timeout=self._timeout)
        with contextlib.suppress(StoreError), contextlib.closing(stream):
            for response in stream:
                if response.canceled:
                    return int(response.compact_revision)
        return 0

    def close(self) -> None:
        """Give back the channel; what is under way ends."""
        with self._channel_lock:
            self._channel.close()


class _Stream:
    """A watch stream whose errors are ours."""

    def __init__(
        self,
        connection: Connection,
        call: Any,
        metadata: tuple[tuple[str, str], ...],
        asked: str,
    ) -> None:
        self._asked = asked
        self._connection = connection
        self._call = call
        self._metadata = metadata

    def __iter__(self) -> Iterator[Any]:
        try:
            for response in self._call:
                self._connection.note(response.header)
                yield response
        except grpc.RpcError as error:
            explained = self._connection.explained(error, self._asked)
            if isinstance(explained, StaleToken) and self.renew_token():
                raise StoreUnavailable(str(explained)) from error
            raise explained from error

    def refused(self, reason: str) -> StoreRefused:
        """See :class:`gohan_jobs.stores.etcd.watch.Stream`."""
        return self._connection.refused(reason, self._asked)

    def renew_token(self) -> bool:
        """See :class:`gohan_jobs.stores.etcd.watch.Stream`."""
        return self._connection.renew_token(self._metadata)

    def close(self) -> None:
        """See :class:`gohan_jobs.stores.etcd.watch.Stream`."""
        self._call.cancel()


def _naming(error: StoreRefused, asked: str) -> StoreRefused:
    """The error, with what was asked for in it."""
    said = str(error)
    return error if asked in said else StoreRefused(f"{said}, when asked to {asked}")


def _first_answer(method: Callable[..., Any]) -> Callable[..., Any]:
    """A method with streams, called as if it had none."""

    def call(request: Any, timeout: float, metadata: Any) -> Any:
        answers = method(iter((request,)), timeout=timeout, metadata=metadata)
        try:
            for answer in answers:
                return answer
        finally:
            answers.cancel()
        raise StoreUnavailable("the stream ended without an answer")

    return call
