"""The simulated Heat over HTTP, for processes that can only speak to a real one."""

from __future__ import annotations

import contextlib
import hmac
import json
import socket
import threading
import time
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self, cast
from urllib.parse import parse_qs

from gohan_jobs.clock import Clock, SystemClock
from gohan_jobs.orchestrators.simulated.admin import SimulatorAdmin
from gohan_jobs.orchestrators.simulated.api import ApiRequest, ApiResponse, HeatApi
from gohan_jobs.orchestrators.simulated.heat import SimulatedHeat
from gohan_jobs.orchestrators.simulated.wire import error_body
from gohan_jobs.threads import new_thread

__all__ = ["HeatSimulatorServer", "serve"]

_OPEN = frozenset({"/", "/healthcheck"})
"""Paths that are answered without a token."""


class HeatSimulatorServer:
    """Serves a simulated Heat from when it is made until :meth:`close`.

    The project is taken from the URL. State is in memory only. Not for production.

    Args:
        host: the address to listen on.
        port: the port; 0 for any free one.
        token: the only token accepted; None to accept any, and none.
        heat: what is served; None for one on the machine's clock with random ids.
        clock: the time of day in the list of requests.
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        token: str | None = None,
        heat: SimulatedHeat | None = None,
        clock: Clock | None = None,
    ) -> None:
        clock = clock or SystemClock()
        self.heat: SimulatedHeat = heat or SimulatedHeat(clock, id_source=_random_id)
        self.admin: SimulatorAdmin = SimulatorAdmin(self.heat, clock)
        self._server = _Server((host, port), HeatApi(self.heat), self.admin, token)
        self._thread = new_thread("heat-simulator", lambda: self._server.serve_forever(0.05))
        self._thread.start()

    @property
    def url(self) -> str:
        """Where it listens, without a path."""
        host, port = self._server.server_address[:2]
        return f"http://{host!s}:{port}"

    def endpoint(self, tenant: str) -> str:
        """Where a client finds a project's stacks."""
        return f"{self.url}/v1/{tenant}"

    def close(self) -> None:
        """Stop, and close every connection; idempotent."""
        self._server.shutdown()
        self._server.server_close()
        self._server.hang_up()
        self._thread.join()

    def wait(self) -> None:
        """Wait until it is closed, by another thread."""
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def serve(
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    token: str | None = None,
    operation_seconds: float = 1.0,
) -> HeatSimulatorServer:
    """Start a simulator on the machine's clock, as ``gohan-jobs heat-simulator`` does.

    Args:
        host: the address to listen on.
        port: the port; 0 for any free one.
        token: the only token accepted; None to accept any, and none.
        operation_seconds: how long an operation takes whose resources wait for nothing.

    Returns:
        The running server; ``wait`` for it, and ``close`` it.
    """
    clock = SystemClock()
    heat = SimulatedHeat(clock, operation_seconds=operation_seconds, id_source=_random_id)
    return HeatSimulatorServer(host, port, token, heat, clock)


def _random_id() -> str:
    return str(uuid.uuid4())


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(
        self, address: tuple[str, int], api: HeatApi, admin: SimulatorAdmin, token: str | None
    ) -> None:
        self.api = api
        self.admin = admin
        self._token = token
        self._connections: set[socket.socket] = set()
        self._lock = threading.Lock()
        super().__init__(address, _Handler)

    def accepts(self, token: str) -> bool:
        return self._token is None or hmac.compare_digest(token.encode(), self._token.encode())

    def connected(self, connection: socket.socket) -> None:
        with self._lock:
            self._connections.add(connection)

    def disconnected(self, connection: socket.socket) -> None:
        with self._lock:
            self._connections.discard(connection)

    def hang_up(self) -> None:
        with self._lock:
            connections = list(self._connections)
        for connection in connections:
            _shut_down(connection)


def _shut_down(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):  # the client may have been faster
        connection.shutdown(socket.SHUT_RDWR)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "heat-simulator"
    sys_version = ""
    wbufsize = -1
    disable_nagle_algorithm = True

    @property
    def _simulator(self) -> _Server:
        return cast("_Server", self.server)

    def setup(self) -> None:
        super().setup()
        self._simulator.connected(self.connection)

    def finish(self) -> None:
        self._simulator.disconnected(self.connection)
        with contextlib.suppress(OSError):  # the client may have gone, or the server is closing
            super().finish()

    def handle(self) -> None:
        with contextlib.suppress(OSError):
            super().handle()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        """Say nothing: the admin's list of requests is the log."""

    def _answer(self) -> None:
        request = self._read()
        if request.path.startswith("/simulator/") and self._allowed(request.path):
            self._send(self._simulator.admin.handle(request))
            return
        response = self._response_to(request)
        peer = f"{self.client_address[0]}:{self.client_address[1]}"
        agent = self.headers.get("User-Agent", "")
        status = 0 if response is None else response.status
        # Before it is answered: whoever has the answer finds the request in the list.
        self._simulator.admin.saw(peer, agent, self.command, self.path, status)
        if response is None:
            self._hang_up()
        else:
            self._send(response)

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = do_HEAD = _answer  # noqa: N815 - the base's names

    def _read(self) -> ApiRequest:
        path, _, query = self.path.partition("?")
        length = int(self.headers.get("Content-Length") or 0)
        return ApiRequest(
            method=self.command,
            path=path,
            query=parse_qs(query, keep_blank_values=True),
            root=f"http://{self.headers.get('Host', 'localhost')}",
            body=self.rfile.read(length),
        )

    def _allowed(self, path: str) -> bool:
        return path in _OPEN or self._simulator.accepts(self.headers.get("X-Auth-Token", ""))

    def _response_to(self, request: ApiRequest) -> ApiResponse | None:
        """The answer; None if there is to be none, though what was asked is done."""
        if not self._allowed(request.path):
            return ApiResponse(status=401, document=error_body(401, "HTTPUnauthorized"))
        fault = self._simulator.admin.take_fault()
        if fault.delay:
            time.sleep(fault.delay)
        if fault.status is not None:
            document = error_body(fault.status, "HTTPServiceUnavailable")
            return ApiResponse(status=fault.status, document=document)
        response = self._simulator.api.handle(request)
        return None if fault.drop else response

    def _hang_up(self) -> None:
        self.close_connection = True
        _shut_down(self.connection)

    def _send(self, response: ApiResponse) -> None:
        body = b"" if response.document is None else json.dumps(response.document).encode()
        self.send_response(response.status)
        if body:
            self.send_header("Content-Type", "application/json")
        for name, value in response.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
        self.wfile.flush()
