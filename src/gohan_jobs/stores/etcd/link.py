"""How a cluster is reached: endpoints, and certificates that are read again when they change."""

from __future__ import annotations

import errno
import hashlib
from collections.abc import Sequence
from pathlib import Path

import grpc

from gohan_jobs.stores.etcd.endpoints import host_of, target_of

__all__ = ["Link"]

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


class Link:
    """Makes channels to a cluster; gRPC itself never looks at a certificate's file again.

    Args:
        endpoints: ``host:port`` of each member, or some of them.
        ca: file with the certificates of the authorities trusted; None for no TLS.
        cert: file with the client's certificate.
        key: file with its private key.
        server_name: the name that the members' certificates are checked for; the first endpoint's
            host if None.

    Raises:
        ValueError: arguments that do not go together.
    """

    def __init__(
        self,
        endpoints: Sequence[str],
        *,
        ca: str | Path | None = None,
        cert: str | Path | None = None,
        key: str | Path | None = None,
        server_name: str | None = None,
    ) -> None:
        if (cert is None) != (key is None):
            raise ValueError("cert and key go together")
        if ca is None and cert is not None:
            # gRPC would take it, and talk in the clear.
            raise ValueError("a client certificate needs a ca, or the connection is not encrypted")
        self.endpoints: tuple[str, ...] = tuple(endpoints)
        self.ca = ca
        self.cert = cert
        self._files = None if ca is None else (ca, key, cert)
        self._server_name = server_name
        self._used = b""

    def open(self) -> grpc.Channel:
        """A new channel to all of the endpoints, each of which serves in turn.

        Raises:
            OSError: a file can't be read, or is empty.
            StoreUnavailable: a name can't be resolved.
            ValueError: an endpoint is not ``host:port``.
        """
        target = target_of(self.endpoints, secure=self._files is not None)
        if self._files is None:
            return grpc.insecure_channel(target, options=_OPTIONS)
        texts = _contents(self._files)
        self._used = _digest(texts)
        name = self._server_name or host_of(self.endpoints[0])
        options = (*_OPTIONS, ("grpc.ssl_target_name_override", name))
        return grpc.secure_channel(target, grpc.ssl_channel_credentials(*texts), options=options)

    @property
    def outdated(self) -> bool:
        """Whether a file has changed since the last channel was made; False if one is missing."""
        if self._files is None:
            return False
        try:
            return _digest(_contents(self._files)) != self._used
        except OSError:
            return False  # it is being replaced


def _contents(files: Sequence[str | Path | None]) -> list[bytes | None]:
    """What files hold; an empty one is being written, and gRPC would end the process over it."""
    texts = [None if path is None else Path(path).read_bytes() for path in files]
    for path, text in zip(files, texts, strict=True):
        if text == b"":
            raise OSError(errno.ENODATA, "the file is empty", str(path))
    return texts


def _digest(texts: Sequence[bytes | None]) -> bytes:
    """Tells contents apart; a private key need not be kept for that."""
    found = hashlib.sha256()
    for text in texts:
        found.update(hashlib.sha256(text or b"").digest())
    return found.digest()
