"""A service that embeds the Lifecycle: threads, a readiness probe, an orderly end on SIGTERM.

Run it: ``python examples/service.py``. It serves ``/ready`` as Kubernetes would ask for it, takes
one config through, and sends itself the signal. Yours has an ``EtcdStore`` and a
``HeatOrchestrator`` in place of the embedded ones, and waits for a signal from outside.
"""

from __future__ import annotations

import signal
import threading
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from gohan_jobs import (
    ConfigRecord,
    Lifecycle,
    MemoryStore,
    ResourceRef,
    Schema,
    Schemas,
    SimulatedHeat,
    SystemClock,
)

SCHEMAS = Schemas(
    [Schema(type="network", prefix="v2.0/networks", templates={"heat_worker": "Cnetwork"})]
)
TEMPLATE = {
    "id": "network",
    "handler": "heat_worker",
    "template_file": "heat_template_version: 2016-10-14\nresources: {n: {type: OS::Heat::None}}\n",
    "parameter_mappings": {},
}
NETWORK = ResourceRef("network", "n1")


def is_ready(lifecycle: Lifecycle) -> bool:
    """Whether this process does its work; a standby that could take over would be ready, too."""
    return lifecycle.leads and not lifecycle.troubles


def serve_readiness(lifecycle: Lifecycle) -> ThreadingHTTPServer:
    """Answer ``GET /ready``: 200, or 503 with what is wrong."""

    class Probe(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            """The only question there is."""
            ready = self.path == "/ready" and is_ready(lifecycle)
            text = "ready" if ready else f"not ready: {lifecycle.troubles or 'no leader yet'}"
            self.send_response(200 if ready else 503)
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: object) -> None:
            """Probes come every second: nobody wants them logged."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Probe)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def ask(server: ThreadingHTTPServer) -> str:
    """What a probe sees."""
    url = f"http://127.0.0.1:{server.server_port}/ready"
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return f"{answer.status} {answer.read().decode()}"
    except urllib.error.HTTPError as error:
        with error:
            return f"{error.code} {error.read().decode()}"


def main() -> None:
    """Start, work, stop."""
    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    with Lifecycle(MemoryStore(), SimulatedHeat(SystemClock()), SCHEMAS, hooks=()) as lifecycle:
        server = serve_readiness(lifecycle)
        print("before:", ask(server))
        lifecycle.run()
        while not is_ready(lifecycle) and not stopping.wait(0.01):
            pass
        print("running:", ask(server))

        template = ConfigRecord(body=TEMPLATE, version=1)
        lifecycle.submit(template, ResourceRef("heat_template", "network"))
        lifecycle.submit(ConfigRecord(body={"id": "n1", "tenant_id": "t1"}, version=1), NETWORK)
        print("n1:", type(lifecycle.wait(NETWORK, version=1, timeout=30)).__name__)

        signal.raise_signal(signal.SIGTERM)  # in your service it comes from outside
        stopping.wait()
        lifecycle.stop(timeout=30)  # claims nothing more, finishes what runs, hands back the rest
        server.shutdown()
        server.server_close()
    print("stopped")


if __name__ == "__main__":
    main()
