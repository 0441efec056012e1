"""The requests that HeatOrchestrator sends, beside those that a real Heat was seen to take.

``heat/wire.txt`` holds recorded requests with their answers. A request's shape is its method, its
path with its parts named, and the keys of its body. What the orchestrator sends must be one of
them; what it sends beyond is listed here, with the reason.
"""

from __future__ import annotations

import json
import pathlib
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from gohan_jobs.orchestrators.base import Stack, StackRequest
from gohan_jobs.orchestrators.heat import HeatOrchestrator
from gohan_jobs.records import StackStatus
from real_services import RealHeat
from scripted_heat import Answer, Request, listed, scripted_cloud

TEMPLATE = """
heat_template_version: 2018-08-31
resources: {v: {type: "OS::Heat::Value", properties: {value: one}}}
outputs: {o: {value: {get_attr: [v, value]}}, p: {value: 1}}
"""
ID = "19437541-e2a1-4745-86b9-53669eee4b79"
ONE = Stack(id=ID, name="one", tenant="proj", status=StackStatus.CREATE_COMPLETE, tags=("t",))
TWO = Stack(id="887850a2-6df2-469a-a08e-7d6dd03ca686", name="bad", tenant="proj", status="X")
REQUEST = StackRequest(
    name="one",
    tenant="proj",
    template=TEMPLATE,
    parameters={"a": 1},
    timeout_mins=5,
    tags=("gohan-jobs:1:abcde",),
)

Shape = tuple[str, str, frozenset[str]]

WIRE = pathlib.Path(__file__).parent / "heat" / "wire.txt"

MORE_KEYS = {"parameters", "tags", "timeout_mins", "disable_rollback"}
"""Keys of a body that the recordings lack: Heat forgets tags, and remembers the others, of the
last call that gave them."""

MORE_QUERY = {"id", "show_deleted", "status", "nested_depth", "sort_dir"}
"""Parameters of listings that the recordings lack; they narrow or order what is answered."""

CALLS: dict[str, tuple[Callable[[HeatOrchestrator], object], list[str]]] = {
    "find": (lambda heat: heat.find("proj", "one"), ["GET /stacks?name"]),
    "create": (lambda heat: heat.create(REQUEST), ["POST /stacks"]),
    "update": (lambda heat: heat.update(ONE, REQUEST), ["PUT /stacks/NAME/ID"]),
    "delete": (lambda heat: heat.delete(ONE), ["DELETE /stacks/NAME/ID"]),
    "observe one": (lambda heat: heat.observe([ONE]), ["GET /stacks/NAME/ID?resolve_outputs"]),
    "observe two": (lambda heat: heat.observe([ONE, TWO]), ["GET /stacks"]),
    "outputs": (
        lambda heat: heat.outputs(ONE),
        ["GET /stacks/NAME/ID", "GET /stacks/NAME/ID/template"],
    ),
    "diagnose": (
        lambda heat: heat.diagnose(ONE),
        ["GET /stacks/NAME/ID/resources", "GET /stacks/NAME/ID/events?limit"],
    ),
    "validate": (lambda heat: heat.validate(REQUEST), ["POST /validate"]),
}


def shape(method: str, path: str, body: Any) -> Shape:
    """A request without its values, and without what is sent beyond the recordings."""
    path, _, query = path.removeprefix("/v1/proj").partition("?")
    path = re.sub("/stacks/[^/]+/[0-9a-f-]{36}", "/stacks/NAME/ID", path)
    names = {part.split("=")[0] for part in query.split("&") if part} - MORE_QUERY
    keys = frozenset((body or {}).keys() - MORE_KEYS)
    return method, "?".join([path, *sorted(names)]), keys


def recorded() -> Iterator[Shape]:
    """The shapes of the recorded requests that were neither redirected nor refused."""
    text = WIRE.read_text(encoding="utf-8")
    pattern = r"^([A-Z]+) (/v1/\S+)\n(\{.*\}\n)?-> 2"
    for method, path, body in re.findall(pattern, text, re.MULTILINE):
        yield shape(method, path, json.loads(body or "{}"))


def answer(request: Request) -> Answer:
    """Something that is good enough for each of the requests."""
    stack = listed("one", project="proj", id=ID, outputs=[{"output_key": "o"}, {"output_key": "p"}])
    bodies: dict[str, Any] = {
        "stacks": [stack, listed("bad", project="proj", id=TWO.id)],
        "stack": stack,
        "resources": [],
        "events": [],
        "outputs": {"o": {}, "p": {}},
    }
    return Answer(200, bodies)


@pytest.mark.parametrize(("call", "expected"), CALLS.values(), ids=CALLS)
def test_requests_have_the_recorded_shapes(
    call: Callable[[HeatOrchestrator], object], expected: list[str]
) -> None:
    """Each operation takes the requests that it is meant to, all of them known ones."""
    with scripted_cloud() as cloud:
        cloud.otherwise = answer
        heat = HeatOrchestrator.from_endpoint(cloud.endpoint, "t")
        call(heat)
        heat.close()
    shapes = [shape(request.method, request.path, request.body) for request in cloud.requests]
    assert set() == set(shapes) - set(recorded())
    assert expected == [f"{method} {path}" for method, path, _ in shapes]


@pytest.mark.heat
def test_a_real_heat_takes_them_without_redirects(real_heat: RealHeat, project: str) -> None:
    """Every operation on a real Heat takes as many requests as on the script: none is redirected.

    A redirect would be followed inside the client, and show as a second request of the server.
    """
    heat = HeatOrchestrator.from_endpoint(real_heat.endpoint, "secret-token")
    served = real_heat.served()
    request = StackRequest(
        name="one", tenant=project, template=TEMPLATE, parameters={}, tags=("t",)
    )
    stack = heat.create(request)
    heat.find(project, "one")
    heat.observe([stack])
    heat.update(stack, request)
    heat.outputs(stack)
    heat.diagnose(stack)
    heat.validate(request)
    heat.delete(stack)
    heat.close()
    # Asking how many there were is one more.
    assert heat.requests_sent + 1 == real_heat.served() - served
