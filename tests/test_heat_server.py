"""The served simulator: request by request as a recorded Heat, and to python-heatclient."""

from __future__ import annotations

import http.client
import json
import pathlib
import re
import socket
import threading
import urllib.parse
from collections.abc import Iterator
from typing import Any

import attrs
import heatclient.client
import heatclient.exc
import pytest

from gohan_jobs.clock import VirtualClock
from gohan_jobs.exceptions import OrchestratorRefused, OrchestratorUnavailable
from gohan_jobs.orchestrators.base import Orchestrator, StackRequest
from gohan_jobs.orchestrators.heat import HeatOrchestrator
from gohan_jobs.orchestrators.simulated import Outcome, SimulatedHeat
from gohan_jobs.orchestrators.simulated.server import HeatSimulatorServer, serve
from gohan_jobs.testing.orchestrators import OrchestratorSuite

WIRE = pathlib.Path(__file__).parent / "data" / "heat-wire.txt"
RECORDED_ROOT = "http://127.0.0.1:37251"
TOKEN = "let-me-in"

VALUE = """
heat_template_version: 2018-08-31
resources:
  v: {type: "OS::Heat::Value", properties: {value: one}}
outputs:
  o: {value: {get_attr: [v, value]}}
"""


# What was recorded


@attrs.frozen(kw_only=True)
class Exchange:
    """A recorded request with its answer."""

    title: str
    method: str
    path: str
    body: str
    status: int
    reason: str
    headers: dict[str, str]
    document: Any


def exchange(text: str) -> Exchange:
    """Read one block of the recording."""
    title, request, *rest = text.splitlines()
    method, path = request.split(" ", 1)
    answer = next(number for number, line in enumerate(rest) if line.startswith("-> "))
    _, status, reason = rest[answer].split(" ", 2)
    lines = rest[answer + 1 :]
    end = next(n for n, line in enumerate(lines) if "Content-Length" in line) + 1
    document = "\n".join(lines[end:]).strip()
    return Exchange(
        title=title,
        method=method,
        path=path,
        body="".join(rest[:answer]),
        status=int(status),
        reason=reason,
        headers=dict(line.strip().split(": ", 1) for line in lines[:end]),
        document=None if document == "''" else json.loads(document),
    )


def recording() -> list[Exchange]:
    """All of the recording, in order."""
    blocks = re.split(r"^# ", WIRE.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    return [exchange(block) for block in blocks]


def normalised(document: Any, root: str) -> Any:
    """A document without what differs from run to run: root, times and events' ids."""
    text = json.dumps(document).replace(root, RECORDED_ROOT)
    text = re.sub(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "TIME", text)
    events = set(re.findall(r"/events/([0-9a-f-]{36})", text))
    return json.loads(re.sub("|".join(events) or "$^", "EVENT", text))


def send(
    connection: http.client.HTTPConnection, method: str, path: str, body: str = ""
) -> tuple[http.client.HTTPResponse, Any]:
    """Send a request on a connection that is kept, and read its answer."""
    headers = {"X-Auth-Token": TOKEN, "Content-Type": "application/json", "User-Agent": "tester"}
    connection.request(method, path, body or None, headers)
    response = connection.getresponse()
    text = response.read()
    return response, json.loads(text) if text else None


def test_every_recorded_request_is_answered_as_recorded() -> None:
    """Status, headers and body of all 39 recorded requests, on one connection, in order."""
    clock = VirtualClock()
    one, two = "19437541-e2a1-4745-86b9-53669eee4b79", "887850a2-6df2-469a-a08e-7d6dd03ca686"
    ids = iter([one, "5i5kwkrcphjj", two])
    heat = SimulatedHeat(clock, operation_seconds=1, id_source=lambda: next(ids))
    seen = []
    with HeatSimulatorServer(heat=heat, clock=clock) as server:
        connection = http.client.HTTPConnection(urllib.parse.urlsplit(server.url).netloc)
        for recorded in recording():
            if recorded.title != "at once":
                clock.advance(1)
            response, document = send(connection, recorded.method, recorded.path, recorded.body)
            headers = {name: response.headers[name] for name in recorded.headers}
            headers["Content-Length"] = recorded.headers["Content-Length"]
            answer = (response.status, response.reason, headers, document)
            seen.append(normalised([recorded.title, *answer], server.url))
        connection.close()
    expected = [
        normalised([r.title, r.status, r.reason, r.headers, r.document], RECORDED_ROOT)
        for r in recording()
    ]
    assert expected == seen
    assert len(expected) == 39


@pytest.fixture
def clock() -> VirtualClock:
    """A clock that moves when told to."""
    return VirtualClock()


@pytest.fixture
def server(clock: VirtualClock) -> Iterator[HeatSimulatorServer]:
    """A server that asks for a token; its operations take a second."""
    heat = SimulatedHeat(clock, operation_seconds=1)
    with HeatSimulatorServer(token=TOKEN, heat=heat, clock=clock) as server:
        yield server


@pytest.fixture
def connection(server: HeatSimulatorServer) -> Iterator[http.client.HTTPConnection]:
    """A connection to the server, that is kept."""
    connection = http.client.HTTPConnection(urllib.parse.urlsplit(server.url).netloc)
    yield connection
    connection.close()


def client_of(server: HeatSimulatorServer, token: str = TOKEN) -> Any:
    """python-heatclient, for one project."""
    return heatclient.client.Client("1", endpoint=server.endpoint("proj"), token=token)


def asked(
    connection: http.client.HTTPConnection, method: str, path: str, document: Any = None
) -> tuple[int, Any]:
    """Status and body of the answer to a request."""
    response, answer = send(
        connection, method, path, "" if document is None else json.dumps(document)
    )
    return response.status, answer


# The contract, through HTTP and the client for production


SERVED_CLOCK = VirtualClock()


@pytest.fixture(scope="module")
def served() -> Iterator[HeatSimulatorServer]:
    """One server for all tests of the contract."""
    heat = SimulatedHeat(SERVED_CLOCK, operation_seconds=0.5)
    with HeatSimulatorServer(token=TOKEN, heat=heat, clock=SERVED_CLOCK) as server:
        yield server


class TestServed(OrchestratorSuite):
    """The contract, kept through the served API."""

    @pytest.fixture
    def orchestrator(self, served: HeatSimulatorServer) -> Iterator[Orchestrator]:
        """The orchestrator for production, pointed at the simulator."""
        heat = HeatOrchestrator.from_endpoint(served.endpoint("%(tenant_id)s"), TOKEN)
        yield heat
        heat.close()

    def pass_time(self, seconds: float) -> None:
        """Move the clock on."""
        SERVED_CLOCK.advance(seconds)


# python-heatclient itself


def test_heatclient_drives_a_stack(server: HeatSimulatorServer, clock: VirtualClock) -> None:
    """Create, get by name and id, outputs, update, delete: redirects are followed for each."""
    client = client_of(server)
    made = client.stacks.create(stack_name="one", template=VALUE, tags="a,b", timeout_mins=3)
    clock.advance(1)
    stack = client.stacks.get("one")
    assert (stack.id, stack.stack_status, stack.tags) == (
        made["stack"]["id"],
        "CREATE_COMPLETE",
        ["a", "b"],
    )
    assert stack.outputs[0]["output_value"] == "one"
    assert client.stacks.output_show("one", "o")["output"]["output_value"] == "one"
    assert client.stacks.output_list("one")["outputs"][0]["output_key"] == "o"
    client.stacks.update("one", template=VALUE.replace("value: one", "value: two"))
    clock.advance(1)
    assert client.stacks.get(stack.id).outputs[0]["output_value"] == "two"
    assert client.stacks.template("one")["heat_template_version"] == "2018-08-31"
    client.stacks.delete("one")
    clock.advance(1)
    assert client.stacks.get(stack.id).stack_status == "DELETE_COMPLETE"
    with pytest.raises(heatclient.exc.HTTPNotFound):
        client.stacks.get("one")


def test_heatclient_lists(server: HeatSimulatorServer, clock: VirtualClock) -> None:
    """Listings are newest first, page by page, and filtered by name, id, tags and status."""
    client = client_of(server)
    for number in range(5):
        client.stacks.create(stack_name=f"s{number}", template=VALUE, tags=f"all,t{number}")
    names = [stack.stack_name for stack in client.stacks.list(limit=2)]
    assert names == ["s4", "s3"]
    paged = [stack.stack_name for stack in client.stacks.list(page_size=2)]
    assert paged == ["s4", "s3", "s2", "s1", "s0"]
    ids = [stack.id for stack in client.stacks.list(filters={"name": "s1"})]
    assert len(ids) == 1
    by_tag = client.stacks.list(filters={"tags": "all,t1"})
    assert [stack.id for stack in by_tag] == ids
    by_any = client.stacks.list(filters={"tags_any": "t0,t4"})
    assert [stack.stack_name for stack in by_any] == ["s4", "s0"]
    by_id = client.stacks.list(filters={"id": ids})
    assert [stack.id for stack in by_id] == ids
    assert list(client.stacks.list(filters={"status": "COMPLETE"})) == []
    client.stacks.delete("s1")
    clock.advance(1)
    assert len(list(client.stacks.list())) == 4
    assert len(list(client.stacks.list(show_deleted=True))) == 5


def test_heatclient_sees_resources_and_events(
    server: HeatSimulatorServer, clock: VirtualClock
) -> None:
    """Resources with what requires them, and events, oldest or newest first."""
    client = client_of(server)
    template = VALUE.replace("outputs", "  w: {type: 'OS::Heat::None', depends_on: v}\noutputs")
    client.stacks.create(stack_name="one", template=template)
    clock.advance(1)
    resources = {r.resource_name: r for r in client.resources.list("one")}
    assert resources["v"].required_by == ["w"]
    assert client.resources.get("one", "v").attributes == {"value": "one"}
    assert client.resources.list("one", filters={"status": "FAILED"}) == []
    newest = client.events.list("one", limit=1, sort_dir="desc")
    assert [event.resource_status for event in newest] == ["CREATE_COMPLETE"]
    oldest = client.events.list("one", limit=1, sort_dir="asc")
    assert [event.resource_status for event in oldest] == ["CREATE_IN_PROGRESS"]
    with pytest.raises(heatclient.exc.HTTPNotFound):
        client.resources.get("one", "none")


def test_heatclient_validates(server: HeatSimulatorServer) -> None:
    """A template is judged, and its parameters are described."""
    template = """
heat_template_version: 2018-08-31
parameters:
  p: {type: number, default: 3, hidden: true, description: of the p, label: P}
  q: {type: json}
"""
    seen = client_of(server).stacks.validate(template=template)
    assert seen["Parameters"] == {
        "p": {
            "Type": "Number",
            "Description": "of the p",
            "NoEcho": "true",
            "Label": "P",
            "Default": 3,
        },
        "q": {"Type": "Json", "Description": "", "NoEcho": "false", "Label": "q"},
    }


def test_hidden_parameters_are_not_shown(server: HeatSimulatorServer, clock: VirtualClock) -> None:
    """A hidden parameter is asterisks; others are shown as text."""
    template = """
heat_template_version: 2018-08-31
parameters:
  secret: {type: string, hidden: true}
  many: {type: comma_delimited_list}
  any: {type: json}
  on_: {type: boolean}
"""
    given = {"secret": "s3cr3t", "many": ["a", "b"], "any": {"a": 1}, "on_": "yes"}
    client = client_of(server)
    client.stacks.create(stack_name="one", template=template, parameters=given)
    shown = client.stacks.get("one").parameters
    assert {name: shown[name] for name in given} == {
        "secret": "******",
        "many": "a,b",
        "any": '{"a": 1}',
        "on_": "True",
    }


# Refusals


def test_a_wrong_token(server: HeatSimulatorServer) -> None:
    """A token that is not the server's is a 401, on the API and on the simulator's own requests."""
    wrong = client_of(server, "wrong")
    with pytest.raises(heatclient.exc.HTTPUnauthorized):
        list(wrong.stacks.list())
    connection = http.client.HTTPConnection(urllib.parse.urlsplit(server.url).netloc)
    connection.request("GET", "/simulator/calls")
    assert connection.getresponse().status == 401
    connection.close()


def test_no_token_is_asked_for_without_one(clock: VirtualClock) -> None:
    """A server without a token takes any, and none; its health needs none in any case."""
    with HeatSimulatorServer(heat=SimulatedHeat(clock)) as server:
        assert list(client_of(server, "whatever").stacks.list()) == []


REFUSED = [
    ("POST", "/v1/p/stacks", None, 400, "HTTPBadRequest"),
    ("POST", "/v1/p/stacks", [1], 400, "HTTPBadRequest"),
    ("POST", "/v1/p/stacks", {"stack_name": "x"}, 400, "HTTPBadRequest"),
    ("POST", "/v1/p/stacks", {"stack_name": "1x", "template": {}}, 400, "HTTPBadRequest"),
    ("POST", "/v1/p/stacks", {"stack_name": "1", "template": VALUE}, 400, "StackValidationFailed"),
    ("POST", "/v1/p/stacks", {"stack_name": 5, "template": VALUE}, 400, "StackValidationFailed"),
    (
        "POST",
        "/v1/p/stacks",
        {"stack_name": "x", "template": VALUE, "parameters": [1]},
        400,
        "HTTPBadRequest",
    ),
    (
        "POST",
        "/v1/p/stacks",
        {"stack_name": "x", "template": VALUE, "tags": ["a"]},
        400,
        "AttributeError",
    ),
    (
        "POST",
        "/v1/p/stacks",
        {"stack_name": "x", "template": VALUE, "timeout_mins": "soon"},
        400,
        "HTTPBadRequest",
    ),
    ("GET", "/v1/p/stacks?limit=x", None, 400, "HTTPBadRequest"),
    ("POST", "/v1/p/validate", {}, 400, "HTTPBadRequest"),
    ("GET", "/v1/p/validate", None, 405, "HTTPMethodNotAllowed"),
    ("DELETE", "/v1/p/stacks/detail", None, 405, "HTTPMethodNotAllowed"),
    ("PATCH", "/v1/p/stacks/one/ID", None, 405, "HTTPMethodNotAllowed"),
    ("GET", "/v1/p/stacks/one/not-an-id", None, 404, "EntityNotFound"),
    ("GET", "/v1/p/stacks/two/ID", None, 404, "EntityNotFound"),
    ("PUT", "/v1/p/stacks/one/ID", {}, 400, "HTTPBadRequest"),
    ("GET", "/v1/p/stacks/one/ID/outputs/none", None, 404, "NotFound"),
    ("GET", "/v1/other/stacks/one/ID", None, 404, "EntityNotFound"),
]


@pytest.mark.parametrize(("method", "path", "document", "status", "kind"), REFUSED)
def test_refusals(
    connection: http.client.HTTPConnection,
    method: str,
    path: str,
    document: Any,
    status: int,
    kind: str,
) -> None:
    """What Heat refuses is refused with its status and under its name."""
    _, made = asked(connection, "POST", "/v1/p/stacks", {"stack_name": "one", "template": VALUE})
    seen, answer = asked(connection, method, path.replace("ID", made["stack"]["id"]), document)
    assert (seen, answer["error"]["type"]) == (status, kind)


@pytest.mark.parametrize(
    "path", ["/v2/p/stacks", "/v1/p", "/v1/p/events", "/v1/p/stacks/a/b/c", "/v1/p/stacks/a/b/c/d"]
)
def test_no_such_path(connection: http.client.HTTPConnection, path: str) -> None:
    """A path that the API has not is the framework's 404, not the application's."""
    status, answer = asked(connection, "GET", path)
    assert (status, answer["code"]) == (404, "404 Not Found")


def test_head_has_no_body(connection: http.client.HTTPConnection) -> None:
    """A HEAD is answered without a body, and the connection goes on."""
    assert asked(connection, "HEAD", "/v1/p/stacks") == (405, None)
    assert asked(connection, "GET", "/v1/p/stacks") == (200, {"stacks": []})


def test_listing_with_a_count(connection: http.client.HTTPConnection) -> None:
    """``with_count`` adds the number of stacks; an empty page is one, too."""
    status, answer = asked(connection, "GET", "/v1/p/stacks?with_count=True&limit=0")
    assert (status, answer) == (200, {"stacks": [], "count": 0})


def test_a_page_begins_after_its_marker(connection: http.client.HTTPConnection) -> None:
    """The newest come first; the marker's own stack was on the page before."""
    for name in ("one", "two"):
        asked(connection, "POST", "/v1/p/stacks", {"stack_name": name, "template": VALUE})
    _, first = asked(connection, "GET", "/v1/p/stacks?limit=1")
    (newest,) = first["stacks"]
    _, second = asked(connection, "GET", f"/v1/p/stacks?limit=1&marker={newest['id']}")
    assert ("two", ["one"]) == (
        newest["stack_name"],
        [stack["stack_name"] for stack in second["stacks"]],
    )


def test_a_sub_path_by_name_is_a_redirect(connection: http.client.HTTPConnection) -> None:
    """What is below a stack is found by name, too."""
    _, made = asked(connection, "POST", "/v1/p/stacks", {"stack_name": "one", "template": VALUE})
    response, _ = send(connection, "GET", "/v1/p/stacks/one/resources")
    place = f"/v1/p/stacks/one/{made['stack']['id']}/resources"
    assert (response.status, urllib.parse.urlsplit(response.headers["Location"]).path) == (
        302,
        place,
    )


def test_rollback_is_remembered(server: HeatSimulatorServer, clock: VirtualClock) -> None:
    """An update that does not say takes what the last call said."""
    client = client_of(server)
    client.stacks.create(stack_name="one", template=VALUE, disable_rollback=False)
    client.stacks.update("one", template=VALUE)
    assert client.stacks.get("one").disable_rollback is False


def test_an_update_while_deleting(server: HeatSimulatorServer) -> None:
    """Heat calls it not supported."""
    client = client_of(server)
    client.stacks.create(stack_name="one", template=VALUE)
    client.stacks.delete("one")
    with pytest.raises(heatclient.exc.HTTPBadRequest) as caught:
        client.stacks.update("one", template=VALUE)
    assert "NotSupported" in str(caught.value) or "not supported" in str(caught.value)


def test_a_failed_output_says_why(server: HeatSimulatorServer, clock: VirtualClock) -> None:
    """An output that can't be computed has an error beside its null."""
    template = "{heat_template_version: rocky, outputs: {o: {value: {get_param: none}}}}"
    client = client_of(server)
    client.stacks.create(stack_name="one", template=template)
    [output] = client.stacks.get("one").outputs
    assert (output["output_value"], output["output_error"]) == (
        None,
        "The Parameter (none) was not provided.",
    )


# The simulator's own requests


def test_calls_are_listed(connection: http.client.HTTPConnection) -> None:
    """Who looks sees what was called, in order; parameters only when asked for."""
    body = {"stack_name": "one", "template": VALUE, "tags": "v:1", "parameters": {}}
    asked(connection, "POST", "/v1/p/stacks", body)
    asked(connection, "POST", "/v1/p/stacks", body)
    _, answer = asked(connection, "GET", "/simulator/calls")
    seen = [(c["op"], c["stack"], c["tenant"], c["tags"], c["error"]) for c in answer["calls"]]
    assert seen == [
        ("create", "one", "p", ["v:1"], ""),
        ("create", "one", "p", ["v:1"], "StackExists"),
    ]
    assert {"parameters", "template"} & answer["calls"][0].keys() == set()
    assert answer["calls"][0]["at"] == "2018-02-19T00:00:00+00:00"
    _, answer = asked(connection, "GET", "/simulator/calls?parameters=true")
    assert answer["calls"][0]["parameters"] == {}


def test_requests_are_listed(connection: http.client.HTTPConnection) -> None:
    """Who looks sees what was sent, by whom, and how it was answered; not what looked itself."""
    asked(connection, "GET", "/v1/p/stacks?name=one")
    asked(connection, "GET", "/simulator/calls")
    asked(connection, "GET", "/v1/p/stacks/one")
    _, answer = asked(connection, "GET", "/simulator/requests")
    seen = [(r["method"], r["path"], r["status"], r["agent"]) for r in answer["requests"]]
    assert seen == [
        ("GET", "/v1/p/stacks?name=one", 200, "tester"),
        ("GET", "/v1/p/stacks/one", 404, "tester"),
    ]
    assert re.fullmatch(r"127\.0\.0\.1:\d+", answer["requests"][0]["peer"])


def test_a_scripted_outcome(
    server: HeatSimulatorServer, connection: http.client.HTTPConnection, clock: VirtualClock
) -> None:
    """An operation ends as scripted, outputs included."""
    outcome = {
        "fails": True,
        "reason": "quota",
        "outputs": [{"output_key": "k", "output_value": [1]}],
        "seconds": 7,
    }
    script = {"stack": "one", "outcomes": [outcome]}
    assert asked(connection, "POST", "/simulator/scripts", script) == (200, {"scripted": 1})
    client = client_of(server)
    client.stacks.create(stack_name="one", template=VALUE)
    clock.advance(7)
    stack = client.stacks.get("one")
    assert (stack.stack_status, stack.stack_status_reason) == ("CREATE_FAILED", "quota")
    assert [o["output_value"] for o in stack.outputs] == [[1]]


ERRORS = [
    ({"type": "OrchestratorUnavailable"}, 503),
    ({"type": "OrchestratorRefused", "reason": "no"}, 403),
    ({"type": "StackRejected"}, 400),
    ({"type": "StackRejected", "kind": "RequestLimitExceeded"}, 400),
    ({"type": "StackExists"}, 409),
    ({"type": "StackNotFound"}, 404),
]


@pytest.mark.parametrize(("error", "status"), ERRORS)
def test_a_scripted_error(
    connection: http.client.HTTPConnection, error: dict[str, str], status: int
) -> None:
    """A call is answered with the error scripted for it, once."""
    script = {"op": "list", "tenant": "p", "outcomes": [{"error": error}]}
    asked(connection, "POST", "/simulator/scripts", script)
    assert asked(connection, "GET", "/v1/p/stacks")[0] == status
    assert asked(connection, "GET", "/v1/p/stacks")[0] == 200


def test_finish(connection: http.client.HTTPConnection) -> None:
    """An operation that hangs is ended when told to, as scripted or as told."""
    script = {"stack": "one", "outcomes": [{"hang": True}, {"hang": True}]}
    asked(connection, "POST", "/simulator/scripts", script)
    body = {"stack_name": "one", "template": VALUE}
    _, made = asked(connection, "POST", "/v1/p/stacks", body)
    _, done = asked(connection, "POST", "/simulator/finish", {"stack": "one", "tenant": "p"})
    assert done == {"stack": {"id": made["stack"]["id"], "stack_status": "CREATE_COMPLETE"}}
    asked(connection, "PUT", f"/v1/p/stacks/one/{made['stack']['id']}", {"template": VALUE})
    ended = {"stack": "one", "outcome": {"status": "UPDATE_FAILED"}}
    _, done = asked(connection, "POST", "/simulator/finish", ended)
    assert done["stack"]["stack_status"] == "UPDATE_FAILED"


@pytest.mark.parametrize(
    ("method", "path", "document", "status"),
    [
        ("GET", "/simulator/nothing", None, 404),
        ("POST", "/simulator/scripts", {}, 400),
        ("POST", "/simulator/scripts", {"outcomes": [3]}, 400),
        ("POST", "/simulator/scripts", {"outcomes": [{"nonsense": 1}]}, 400),
        ("POST", "/simulator/scripts", {"outcomes": [{"error": {"type": "Odd"}}]}, 400),
        ("POST", "/simulator/finish", {"stack": "none"}, 400),
        ("PUT", "/simulator/fault", {"status": 418}, 400),
    ],
)
def test_the_simulators_own_refusals(
    connection: http.client.HTTPConnection, method: str, path: str, document: Any, status: int
) -> None:
    """What it does not understand it says so of."""
    assert asked(connection, method, path, document)[0] == status


def test_an_outage(connection: http.client.HTTPConnection) -> None:
    """While the API is down every request is a 503, and none has an effect."""
    asked(connection, "PUT", "/simulator/fault", {"status": 503})
    body = {"stack_name": "one", "template": VALUE}
    assert asked(connection, "POST", "/v1/p/stacks", body)[0] == 503
    assert asked(connection, "GET", "/v1/p/stacks")[0] == 503
    asked(connection, "DELETE", "/simulator/fault")
    assert asked(connection, "GET", "/v1/p/stacks") == (200, {"stacks": []})


def test_a_slow_answer(connection: http.client.HTTPConnection) -> None:
    """A delayed request is answered all the same; the count says how many are."""
    fault = {"delay": 0.01, "count": 2}
    _, seen = asked(connection, "PUT", "/simulator/fault", fault)
    assert seen == {"status": None, "delay": 0.01, "drop": False, "count": 2}
    statuses = [asked(connection, "GET", "/v1/p/stacks")[0] for _ in range(3)]
    assert statuses == [200, 200, 200]


def test_a_dropped_answer(server: HeatSimulatorServer, clock: VirtualClock) -> None:
    """The call has its effect, and its caller is left without an answer."""
    orchestrator = HeatOrchestrator.from_endpoint(server.endpoint("%(tenant_id)s"), TOKEN)
    connection = http.client.HTTPConnection(urllib.parse.urlsplit(server.url).netloc)
    asked(connection, "PUT", "/simulator/fault", {"drop": True, "count": 1})
    request = StackRequest(name="one", tenant="p", template=VALUE, parameters={})
    with pytest.raises(OrchestratorUnavailable):
        orchestrator.create(request)
    assert orchestrator.find("p", "one") is not None
    assert server.admin.requests[0].status == 0
    orchestrator.close()
    connection.close()


def test_a_wrong_token_is_a_refusal(server: HeatSimulatorServer) -> None:
    """The orchestrator for production calls a 401 what it is."""
    orchestrator = HeatOrchestrator.from_endpoint(server.endpoint("%(tenant_id)s"), "wrong")
    with pytest.raises(OrchestratorRefused):
        orchestrator.find("p", "one")
    orchestrator.close()


# Life of the server


def test_many_clients_at_once(server: HeatSimulatorServer) -> None:
    """Of many that create one name at once, one succeeds; of different names, all do."""
    statuses: list[int] = []

    def work(number: int) -> None:
        connection = http.client.HTTPConnection(urllib.parse.urlsplit(server.url).netloc)
        for name in ("same", f"own{number}"):
            body = {"stack_name": name, "template": VALUE}
            statuses.append(asked(connection, "POST", "/v1/p/stacks", body)[0])
        connection.close()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [201] * 9 + [409] * 7


def test_close_ends_open_connections(clock: VirtualClock) -> None:
    """Closing hangs up on whoever is connected, and closing again does nothing."""
    server = HeatSimulatorServer(heat=SimulatedHeat(clock))
    address = urllib.parse.urlsplit(server.url).netloc
    connection = http.client.HTTPConnection(address)
    assert asked(connection, "GET", "/healthcheck")[0] == 200
    server.close()
    server.close()
    with pytest.raises((http.client.HTTPException, OSError)):
        asked(connection, "GET", "/healthcheck")
    connection.close()


def test_a_client_that_resets(server: HeatSimulatorServer) -> None:
    """Somebody who resets the connection in the middle of a request harms nobody."""
    address = urllib.parse.urlsplit(server.url)
    assert address.hostname is not None
    rude = socket.create_connection((address.hostname, address.port or 0))
    rude.sendall(b"POST /v1/p/stacks HTTP/1.1\r\nContent-Length: 100\r\n\r\n{")
    linger = (1).to_bytes(4, "little") + (0).to_bytes(4, "little")
    rude.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    rude.close()
    assert list(client_of(server).stacks.list()) == []


def test_serve_is_on_the_machines_clock() -> None:
    """What the command line starts: stacks with random ids that take their time."""
    server = serve(token=TOKEN, operation_seconds=0)
    with server:
        client = client_of(server)
        made = client.stacks.create(stack_name="one", template=VALUE)
        assert re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-4.*", made["stack"]["id"])
        assert client.stacks.get("one").stack_status == "CREATE_COMPLETE"
    server.wait()


def test_a_server_of_its_own_heat() -> None:
    """Without a heat it makes one."""
    with HeatSimulatorServer() as server:
        assert list(client_of(server).stacks.list()) == []
        server.heat.script(None, Outcome(error=OrchestratorUnavailable("later")), op="list")
        with pytest.raises(heatclient.exc.HTTPServiceUnavailable):
            list(client_of(server).stacks.list())
