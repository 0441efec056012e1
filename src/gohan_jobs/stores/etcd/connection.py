"""The channel to a cluster, the token, and what every request has in common.

Of etcd3 its channel's stubs and messages are used, nothing else: its watcher, locks and retries
lose events or hang.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import grpc

from gohan_jobs.exceptions import StoreClosed, StoreError, StoreRefused, StoreUnavailable
from gohan_jobs.stores.etcd import messages
from gohan_jobs.stores.etcd.endpoints import host_of, target_of
from gohan_jobs.stores.etcd.errors import Lost, StaleToken, explain

__all__ = ["Connection", "make_channel", "make_credentials"]

_OPTIONS = (
    ("grpc.lb_policy_name", "round_robin"),
    # A half-open connection is noticed after 14 s. Pings every 2 s would be refused.
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 4_000),
    ("grpc.http2.ping_timeout_ms", 4_000),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2_000),
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    # Whatever http_proxy says is not meant for etcd.
    ("grpc.enable_http_proxy", 0),
    ("grpc.use_local_subchannel_pool", 1),
)


def make_credentials(
    ca: str | Path | None, cert: str | Path | None, key: str | Path | None
) -> grpc.ChannelCredentials | None:
    """What a TLS connection needs, read from files; None for no TLS.

    Raises:
        ValueError: arguments that do not go together.
        OSError: a file can't be read.
    """
    if (cert is None) != (key is None):
        raise ValueError("cert and key go together")
    if ca is None:
        if cert is not None:
            # gRPC would take it, and talk in the clear.
            raise ValueError("a client certificate needs a ca, or the connection is not encrypted")
        return None
    files = [None if path is None else Path(path).read_bytes() for path in (ca, key, cert)]
    return grpc.ssl_channel_credentials(*files)


def make_channel(
    endpoints: Sequence[str], credentials: grpc.ChannelCredentials | None, server_name: str | None
) -> grpc.Channel:
    """A channel to all of the endpoints, each of which serves in turn.

    Raises:
        ValueError: an endpoint is not ``host:port``.
        StoreUnavailable: a name can't be resolved.
    """
    target = target_of(endpoints, secure=credentials is not None)
    if credentials is None:
        return grpc.insecure_channel(target, options=_OPTIONS)
    name = server_name or host_of(endpoints[0])
    options = (*_OPTIONS, ("grpc.ssl_target_name_override", name))
    return grpc.secure_channel(target, credentials, options=options)


class Connection:
    """The channel, the token, and what every request has in common."""

    def __init__(
        self, channel: grpc.Channel, *, user: str | None, password: str | None, timeout: float
    ) -> None:
        self.rpc: Any = messages.load()
        rpc = self.rpc
        self.seen: int = 0
        self.closing: threading.Event = threading.Event()
        self._pid = os.getpid()
        self._channel = channel
        self._timeout = timeout
        self._cluster = 0
        self._token = ""
        self._token_lock = threading.Lock()
        self._login = rpc.AuthenticateRequest(name=user, password=password) if user else None
        lease, maintenance = rpc.LeaseStub(channel), rpc.MaintenanceStub(channel)
        store = rpc.KVStub(channel)
        self._authenticate = rpc.AuthStub(channel).Authenticate
        self._watch = rpc.WatchStub(channel).Watch
        self._methods: dict[str, Callable[..., Any]] = {
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
        """
        self.check()
        metadata = self._metadata()
        try:
            answer = self._invoke(self._methods[method], request, metadata)
        except StaleToken:
            self.renew_token(metadata)
            answer = self._invoke(self._methods[method], request, self._metadata())
        self.note(answer.header)
        return answer

    def _invoke(self, method: Callable[..., Any], request: Any, metadata: Any) -> Any:
        try:
            return method(request, timeout=self._timeout, metadata=metadata)
        except grpc.RpcError as error:
            raise self.explained(error) from error
        except ValueError as error:
            # What gRPC raises on a channel that has been closed meanwhile.
            raise StoreClosed("the store has been closed") from error

    def explained(self, error: grpc.RpcError) -> Exception:
        """The error of ours that a gRPC error is."""
        if self.closing.is_set():
            return StoreClosed("the store has been closed")
        return explain(error.code().name, error.details() or "")

    def note(self, header: Any) -> None:
        """Remember the newest revision seen, and see that it is the same cluster as ever.

        Raises:
            StoreRefused: it is another one: its revisions mean nothing here.
        """
        self._cluster = self._cluster or header.cluster_id
        if header.cluster_id not in (0, self._cluster):
            raise StoreRefused(
                f"cluster {header.cluster_id:x} answers, it was {self._cluster:x} before"
            )
        self.seen = max(self.seen, header.revision)

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
            return str(self._invoke(self._authenticate, self._login, None).token)
        except Lost as error:
            raise StoreUnavailable(str(error)) from error

    def renew_token(self, used: tuple[tuple[str, str], ...]) -> bool:
        """Get a new token, unless another thread has done so since; False without credentials."""
        if self._login is None:
            return False
        with self._token_lock:
            if ("token", self._token) in used:
                self._token = ""
        return True

    def open_stream(self, requests: Iterator[Any], *, timeout: float | None = None) -> _Stream:
        """See :class:`gohan_jobs.stores.etcd.watch.Streams`."""
        self.check()
        metadata = self._metadata()
        try:
            call = self._watch(requests, timeout=timeout, metadata=metadata)
        except ValueError as error:
            raise StoreClosed("the store has been closed") from error
        return _Stream(self, call, metadata)

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
        stream = self.open_stream(iter((self.create_request("", 1),)), timeout=self._timeout)
        with contextlib.suppress(StoreError), contextlib.closing(stream):
            for response in stream:
                if response.canceled:
                    return int(response.compact_revision)
        return 0

    def close(self) -> None:
        """Give back the channel; what is under way ends."""
        self._channel.close()


class _Stream:
    """A watch stream whose errors are ours."""

    def __init__(
        self, connection: Connection, call: Any, metadata: tuple[tuple[str, str], ...]
    ) -> None:
        self._connection = connection
        self._call = call
        self._metadata = metadata

    def __iter__(self) -> Iterator[Any]:
        try:
            for response in self._call:
                self._connection.note(response.header)
                yield response
        except grpc.RpcError as error:
            explained = self._connection.explained(error)
            if isinstance(explained, StaleToken) and self.renew_token():
                raise StoreUnavailable(str(explained)) from error
            raise explained from error

    def renew_token(self) -> bool:
        """See :class:`gohan_jobs.stores.etcd.watch.Stream`."""
        return self._connection.renew_token(self._metadata)

    def close(self) -> None:
        """See :class:`gohan_jobs.stores.etcd.watch.Stream`."""
        self._call.cancel()


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
