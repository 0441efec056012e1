"""A Heat, and a Keystone beside it, that answer what a test says.

For what a real one can't be had to do: hang, reset connections, answer in words not its own.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import http.server
import json
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import attrs

__all__ = [
    "HANG",
    "RESET",
    "Answer",
    "Request",
    "ScriptedCloud",
    "fault",
    "listed",
    "scripted_cloud",
]


@attrs.frozen
class Request:
    """A request that came in.

    Attributes:
        method: its method.
        path: its path, with the query.
        body: its JSON; None without one.
        headers: its headers.
    """

    method: str
    path: str
    body: Any
    headers: Mapping[str, str]


@attrs.frozen
class Answer:
    """What goes out.

    Attributes:
        status: the HTTP status; 0 to say nothing and reset, -1 to say nothing and wait.
        body: JSON, or text that is sent as HTML; None for nothing.
        headers: more headers.
    """

    status: int = 200
    body: Any = None
    headers: Mapping[str, str] = attrs.field(factory=dict[str, str])


RESET = Answer(0)
HANG = Answer(-1)

Reply = Answer | Callable[[Request], Answer]


def fault(status: int, kind: str, message: str) -> Answer:
    """An error in Heat's words."""
    error = {"type": kind, "traceback": None, "message": message}
    return Answer(status, {"code": status, "title": "t", "explanation": "e", "error": error})


def listed(name: str = "one", status: str = "CREATE_COMPLETE", **more: Any) -> dict[str, Any]:
    """A stack as Heat describes it; its id is ``id-<name>``, in project ``p``."""
    project = more.pop("project", "p")
    href = f"http://heat/v1/{project}/stacks/{name}/id-{name}"
    return {
        "id": f"id-{name}",
        "links": [{"href": href, "rel": "self"}],
        "stack_name": name,
        "stack_status": status,
        "stack_status_reason": "because",
        "tags": ["tag"],
        **more,
    }


class ScriptedCloud(http.server.ThreadingHTTPServer):
    """Answers ``/v1`` from a script, and ``/v3`` as Keystone would.

    Attributes:
        script: answers to come, one a request; then ``otherwise``.
        requests: requests to Heat that came.
        logins: bodies of the requests for a token.
        keystone_script: answers to come to requests for a token, before Keystone's usual one.
        token_seconds: how long a token lives.
        project: the project that tokens are for, whatever was asked for; None for what was.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.script: deque[Reply] = deque()
        self.otherwise: Reply = Answer(599)
        self.requests: list[Request] = []
        self.logins: list[Any] = []
        self.keystone_script: deque[Reply] = deque()
        self.token_seconds = 3600.0
        self.project: str | None = None
        self.ended = threading.Event()

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    @property
    def endpoint(self) -> str:
        """Its Heat, for ``from_endpoint``."""
        return f"{self.url}/v1/%(tenant_id)s"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: clients of these tests break connections on purpose."""

    def answer(self, request: Request) -> Answer:
        """Answer a request."""
        if request.path.startswith("/v1/"):
            self.requests.append(request)
            reply = self.script.popleft() if self.script else self.otherwise
            return reply if isinstance(reply, Answer) else reply(request)
        if request.method == "POST":
            return self.login(request)
        link = {"rel": "self", "href": f"{self.url}/v3/"}
        return Answer(body={"version": {"id": "v3.14", "status": "stable", "links": [link]}})

    def login(self, request: Request) -> Answer:
        """Give a token, as ``POST /v3/auth/tokens`` does."""
        self.logins.append(request.body["auth"])
        if self.keystone_script:
            reply = self.keystone_script.popleft()
            return reply if isinstance(reply, Answer) else reply(request)
        project = self.project or request.body["auth"]["scope"]["project"]["id"]
        token = self.token(project)
        return Answer(201, {"token": token}, {"X-Subject-Token": f"token-{len(self.logins)}"})

    def token(self, project: str) -> dict[str, Any]:
        """A token's description."""
        now = dt.datetime.now(dt.UTC)
        ends = now + dt.timedelta(seconds=self.token_seconds)
        endpoint = {
            "interface": "public",
            "region": "RegionOne",
            "region_id": "RegionOne",
            "id": "e",
            "url": f"{self.url}/v1/{project}",
        }
        return {
            "methods": ["password"],
            "user": {"id": "u", "name": "u", "domain": {"id": "default", "name": "Default"}},
            "project": {"id": project, "name": "n", "domain": {"id": "default", "name": "D"}},
            "expires_at": ends.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "issued_at": now.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "roles": [],
            "catalog": [
                {"type": "orchestration", "name": "heat", "id": "s", "endpoints": [endpoint]}
            ],
        }


class _Handler(http.server.BaseHTTPRequestHandler):
    server: ScriptedCloud

    def respond(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length)) if length else None
        answer = self.server.answer(Request(self.command, self.path, body, dict(self.headers)))
        if answer.status < 0:
            self.server.ended.wait()
        if answer.status > 0:
            self.send(answer)

    def send(self, answer: Answer) -> None:
        html = isinstance(answer.body, str)
        text = answer.body if html else "" if answer.body is None else json.dumps(answer.body)
        self.send_response(answer.status)
        self.send_header("Content-Type", "text/html" if html else "application/json")
        self.send_header("Content-Length", str(len(text)))
        for key, value in answer.headers.items():
            self.send_header(key, value)
        self.end_headers()
        self.wfile.write(text.encode())

    do_GET = do_POST = do_PUT = do_DELETE = respond  # noqa: N815 - the base class wants these names

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Say nothing."""


@contextlib.contextmanager
def scripted_cloud() -> Iterator[ScriptedCloud]:
    """A scripted cloud, for as long as the block lasts."""
    cloud = ScriptedCloud()
    thread = threading.Thread(target=cloud.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield cloud
    finally:
        cloud.ended.set()
        cloud.shutdown()
        thread.join()
        cloud.server_close()
