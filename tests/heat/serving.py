"""What the launchers share: a WSGI server on loopback that lives as long as its parent."""

from __future__ import annotations

import os
import signal
import socketserver
import sys
import threading
import wsgiref.simple_server
from collections.abc import Callable, Iterable
from typing import Any

WsgiApp = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class Server(socketserver.ThreadingMixIn, wsgiref.simple_server.WSGIServer):
    """A thread a request."""

    daemon_threads = True
    request_queue_size = 128


class Quiet(wsgiref.simple_server.WSGIRequestHandler):
    """Without a line a request on stderr."""

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


def end_with_parent() -> None:
    """End when standard input closes; ``EngineService.stop`` would wait for running stacks."""

    def watch() -> None:
        while os.read(sys.stdin.fileno(), 1024):
            pass
        os._exit(0)

    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=watch, daemon=True).start()


def bind(port: int) -> wsgiref.simple_server.WSGIServer:
    """A server on loopback, without an application yet.

    Args:
        port: 0 for any.
    """
    return Server(("127.0.0.1", port), Quiet)


def serve(app: WsgiApp, port: int) -> None:
    """Serve an application until the process ends, and print where."""
    serve_on(bind(port), app)


def serve_on(server: wsgiref.simple_server.WSGIServer, app: WsgiApp) -> None:
    """Serve an application on a server that was bound before."""
    server.set_app(app)
    print(f"READY http://127.0.0.1:{server.server_port}", flush=True)  # noqa: T201 - the protocol
    server.serve_forever()
