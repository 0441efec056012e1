"""``/healthz``, ``/readyz`` and ``/metrics`` of a running process."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Collection, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Protocol, Self, cast

import attrs

from gohan_jobs.threads import new_thread

__all__ = ["Answer", "Probed", "Probes"]


class Probed(Protocol):
    """What is asked how it is: a lifecycle."""

    @property
    def leads(self) -> bool:
        """Whether its job manager leads."""
        ...

    @property
    def troubles(self) -> Mapping[str, str]:
        """What keeps which part from its work; empty when all is well."""
        ...

    @property
    def failures(self) -> Mapping[str, int]:
        """How often in a row which part has failed."""
        ...

    @property
    def dead(self) -> Collection[str]:
        """Parts that only a new process brings back."""
        ...


@attrs.frozen
class Answer:
    """An answer.

    Attributes:
        status: of HTTP.
        body: the text.
        content_type: of the body.
    """

    status: int
    body: str
    content_type: str = "text/plain; charset=utf-8"


class Probes:
    """Serves from when it is made until :meth:`close`; a context manager.

    ``/healthz`` is for liveness: 200 while a restart would not help, 503 once a thread has ended
    that must not. That etcd or Heat is away is no reason: work goes on when it is back. ``/readyz``
    says 200 while every part can do its work (a standby's job manager does its own), else 503, and
    why. Neither asks etcd. ``/metrics`` is Prometheus's, or 501.

    Args:
        address: host and port to listen on; port 0 for any free one.
        probed: what is asked.
        metrics: gives the metrics and their content type; None without prometheus-client.
    """

    def __init__(
        self,
        address: tuple[str, int],
        probed: Probed,
        metrics: Callable[[], tuple[str, str]] | None = None,
    ) -> None:
        self._server = _Server(address, self.answer)
        self._probed = probed
        self._metrics = metrics
        self._thread = new_thread("probes", lambda: self._server.serve_forever(0.05))
        self._thread.start()

    @property
    def url(self) -> str:
        """Where it listens."""
        host, port = self._server.server_address[:2]
        return f"http://[{host!s}]:{port}" if ":" in str(host) else f"http://{host!s}:{port}"

    def answer(self, path: str) -> Answer:
        """What is said to a GET of a path."""
        if path == "/healthz":
            return self._liveness()
        if path == "/readyz":
            return self._readiness()
        if path == "/metrics":
            return self._measured()
        return Answer(404, "there are /healthz, /readyz and /metrics\n")

    def _liveness(self) -> Answer:
        dead = sorted(self._probed.dead)
        return Answer(503, f"dead: {', '.join(dead)}\n") if dead else Answer(200, "ok\n")

    def _readiness(self) -> Answer:
        troubles = dict(self._probed.troubles)
        told = {
            "ready": not troubles,
            "leads": self._probed.leads,
            "troubles": troubles,
            "failures": dict(self._probed.failures),
        }
        return Answer(503 if troubles else 200, json.dumps(told) + "\n", "application/json")

    def _measured(self) -> Answer:
        if self._metrics is None:
            hint = "pip install 'gohan-jobs[prometheus]'"
            return Answer(501, f"metrics need prometheus-client: {hint}\n")
        body, content_type = self._metrics()
        return Answer(200, body, content_type)

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, address: tuple[str, int], answer: Callable[[str], Answer]) -> None:
        if ":" in address[0]:
            self.address_family = socket.AF_INET6
        self.answer = answer
        super().__init__(address, _Handler)


class _Handler(BaseHTTPRequestHandler):
    timeout = 10
    server_version = "gohan-jobs"
    sys_version = ""

    def do_GET(self) -> None:
        answer = cast("_Server", self.server).answer(self.path.partition("?")[0])
        body = answer.body.encode()
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base's name
        """Say nothing: probes come every few seconds."""
