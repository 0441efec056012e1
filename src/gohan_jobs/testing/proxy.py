"""A TCP proxy on 127.0.0.1 whose connections can be frozen, made one-way, and cut."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

__all__ = ["TcpProxy"]


class TcpProxy:
    """Stands between a client and a server; a context manager.

    Args:
        target: ``host:port`` of the server.

    Attributes:
        endpoint: ``127.0.0.1:<port>``, for the client.
    """

    def __init__(self, target: str) -> None:
        host, _, port = target.rpartition(":")
        self._target = (host, int(port))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.endpoint: str = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self._flowing = threading.Event()
        self._flowing.set()
        self._lock = threading.Lock()
        self._sockets: set[socket.socket] = set()
        self._muted: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._start(self._accept)

    def freeze(self) -> None:
        """Let nothing through; connections stay open, as on a half-open link."""
        self._flowing.clear()

    def swallow_answers(self) -> None:
        """On the connections there are, let requests through, and throw the answers away."""
        with self._lock:
            self._muted = set(self._sockets)

    def restore(self) -> None:
        """Let everything through again. What was swallowed is lost: cut such connections."""
        self._muted = set()
        self._flowing.set()

    def lead_to(self, target: str) -> None:
        """From now on, take new connections to another server; those there are stay as they are.

        Args:
            target: its ``host:port``.
        """
        host, _, port = target.rpartition(":")
        self._target = (host, int(port))

    def cut(self) -> None:
        """Reset all connections; new ones may be made."""
        with self._lock:
            sockets, self._sockets = self._sockets, set()
        for each in sockets:
            _reset(each)

    def close(self) -> None:
        """Cut all connections and take no new ones; idempotent."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._flowing.set()
        self.cut()
        for thread in self._threads:
            thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _start(self, action: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=action, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client = self._listener.accept()[0]
                self._connect(client)

    def _connect(self, client: socket.socket) -> None:
        try:
            server = socket.create_connection(self._target)
        except OSError:
            # The server is down, and so is the way to it.
            _reset(client)
            return
        with self._lock:
            self._sockets |= {client, server}
        self._start(self._forward, client, server, lambda: True)
        self._start(self._forward, server, client, lambda: server not in self._muted)

    def _forward(
        self, source: socket.socket, sink: socket.socket, passing: Callable[[], bool]
    ) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                self._flowing.wait()
                if passing():
                    sink.sendall(data)
        for each in (source, sink):
            _reset(each)


def _reset(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()
