"""HeatOrchestrator against a scripted HTTP server: what it sends, and what it makes of answers."""

from __future__ import annotations

import concurrent.futures
import logging
from collections.abc import Iterator
from typing import Any

import attrs
import pytest
from requests.adapters import HTTPAdapter

from gohan_jobs.clock import VirtualClock
from gohan_jobs.exceptions import (
    OrchestratorError,
    OrchestratorRefused,
    OrchestratorUnavailable,
    StackExists,
    StackNotFound,
    StackRejected,
)
from gohan_jobs.orchestrators.base import Diagnosis, Stack, StackRequest
from gohan_jobs.orchestrators.heat import CallBudget, CloudConfig, HeatOrchestrator, HeatSettings
from gohan_jobs.orchestrators.heat.keystone import SessionMaker, auth_for_endpoint
from gohan_jobs.records import StackOutput, StackStatus
from scripted_heat import HANG, RESET, Answer, Request, ScriptedCloud, fault, listed, scripted_cloud

ONE = Stack(id="id-one", name="one", tenant="p", status=StackStatus.CREATE_COMPLETE, tags=("old",))
REQUEST = StackRequest(
    name="one",
    tenant="p",
    template="heat_template_version: 2013-05-23",
    parameters={"password": "planted-secret", "none": None},
    timeout_mins=3,
    tags=("gohan-jobs:1:abc", "two"),
)
UNLIMITED = HeatSettings(budget=CallBudget(total=None, per_tenant=None))


@pytest.fixture
def cloud() -> Iterator[ScriptedCloud]:
    """A Heat and a Keystone that answer what the test says."""
    with scripted_cloud() as cloud:
        yield cloud


@pytest.fixture
def heat(cloud: ScriptedCloud) -> Iterator[HeatOrchestrator]:
    """An orchestrator on it, with one token for all."""
    heat = HeatOrchestrator.from_endpoint(cloud.endpoint, "planted-token", UNLIMITED)
    yield heat
    heat.close()


@pytest.fixture
def logged_in(cloud: ScriptedCloud) -> Iterator[HeatOrchestrator]:
    """An orchestrator on it that logs in with a password."""
    heat = HeatOrchestrator.from_config(password_of(cloud), UNLIMITED)
    yield heat
    heat.close()


def password_of(cloud: ScriptedCloud) -> CloudConfig:
    """How to log in to the scripted cloud."""
    auth = {
        "auth_url": f"{cloud.url}/v3",
        "username": "u",
        "password": "planted-password",
        "user_domain_id": "default",
        "project_name": "somewhere else",
        "project_domain_id": "default",
    }
    return CloudConfig(auth=auth)


def stacks(*infos: dict[str, Any]) -> Answer:
    """A listing."""
    return Answer(body={"stacks": list(infos)})


def shown(name: str = "one", status: str = "CREATE_COMPLETE", **more: Any) -> Answer:
    """A stack in full."""
    return Answer(body={"stack": listed(name, status, **more)})


def sent(cloud: ScriptedCloud) -> list[tuple[str, str]]:
    """Methods and paths of the requests to Heat so far."""
    return [(request.method, request.path) for request in cloud.requests]


def shape(error: OrchestratorError) -> tuple[type, str, bool, str]:
    """An error as something to compare."""
    return type(error), error.reason, error.retryable, getattr(error, "kind", "")


MISSING = fault(404, "EntityNotFound", "The Stack (one) could not be found.")

ANSWERS = {
    "503": (
        fault(503, "ServiceUnavailable", "later"),
        (OrchestratorUnavailable, "later", True, ""),
    ),
    "500 of a proxy": (
        Answer(500, "<h1>planted-secret</h1>"),
        (OrchestratorUnavailable, "HTTP 500, not in Heat's words", True, ""),
    ),
    "429": (
        Answer(429),
        (OrchestratorUnavailable, "HTTP 429, not in Heat's words", True, ""),
    ),
    "404 of a proxy": (
        Answer(404, {"message": "no such path"}),
        (OrchestratorUnavailable, "HTTP 404, not in Heat's words", True, ""),
    ),
    "409": (
        fault(409, "ActionInProgress", "busy"),
        (OrchestratorUnavailable, "busy", True, ""),
    ),
    "403": (fault(403, "Forbidden", "no"), (OrchestratorRefused, "no", False, "")),
    "300": (
        Answer(300, {"versions": []}),
        (OrchestratorRefused, "HTTP 300, not in Heat's words", False, ""),
    ),
    "400": (
        fault(400, "StackValidationFailed", "bad"),
        (StackRejected, "bad", False, "StackValidationFailed"),
    ),
    "400 without a message": (
        Answer(400, {"explanation": "e", "error": {"type": "Invalid", "message": None}}),
        (StackRejected, "e", False, "Invalid"),
    ),
    "413 of a proxy": (
        Answer(413),
        (StackRejected, "HTTP 413, not in Heat's words", False, "HTTP 413"),
    ),
    "quota": (
        fault(400, "RequestLimitExceeded", "You have reached the maximum stacks per tenant, 3."),
        (
            StackRejected,
            "You have reached the maximum stacks per tenant, 3.",
            True,
            "RequestLimitExceeded",
        ),
    ),
    "name taken": (fault(409, "StackExists", "taken"), (StackExists, "taken", True, "")),
    "what a template names": (
        fault(404, "EntityNotFound", "The Flavor (x) could not be found."),
        (StackRejected, "The Flavor (x) could not be found.", False, "EntityNotFound"),
    ),
    "HTML": (
        Answer(200, "<h1>planted-secret</h1>"),
        (OrchestratorUnavailable, "an answer that is not Heat's (TypeError)", True, ""),
    ),
    "other JSON": (
        Answer(200, {"planted-secret": 1}),
        (OrchestratorUnavailable, "an answer that is not Heat's (KeyError)", True, ""),
    ),
}


@pytest.mark.parametrize(("answer", "expected"), ANSWERS.values(), ids=ANSWERS)
def test_an_answer_to_a_create_becomes_an_error(
    cloud: ScriptedCloud, heat: HeatOrchestrator, answer: Answer, expected: object
) -> None:
    """Heat's answer becomes a typed error with its own words, and is asked for once."""
    cloud.script.append(answer)
    with pytest.raises(OrchestratorError) as caught:
        heat.create(REQUEST)
    assert expected == shape(caught.value)
    assert [("POST", "/v1/p/stacks")] == sent(cloud)


@pytest.mark.parametrize("answer", [RESET, HANG], ids=["reset", "hang"])
def test_no_answer_is_unavailable(cloud: ScriptedCloud, answer: Answer) -> None:
    """A reset connection and a time-out are retryable, and sent only once."""
    settings = HeatSettings(request_timeout=0.3)
    heat = HeatOrchestrator.from_endpoint(cloud.endpoint, None, settings)
    cloud.script.append(answer)
    with pytest.raises(OrchestratorUnavailable):
        heat.delete(ONE)
    heat.close()
    assert [("DELETE", "/v1/p/stacks/one/id-one")] == sent(cloud)


def test_a_server_that_is_not_there_is_unavailable() -> None:
    """A refused connection is retryable."""
    with scripted_cloud() as cloud:
        endpoint = cloud.endpoint
    heat = HeatOrchestrator.from_endpoint(endpoint)
    with pytest.raises(OrchestratorUnavailable):
        heat.find("p", "one")


def test_create_sends_the_request_and_knows_the_stack(
    cloud: ScriptedCloud, heat: HeatOrchestrator
) -> None:
    """A create is one POST with native parameters, and gives the stack without another look."""
    cloud.script.append(Answer(201, {"stack": {"id": "new"}}))
    status = StackStatus.CREATE_IN_PROGRESS
    made = Stack(id="new", name="one", tenant="p", status=status, tags=REQUEST.tags)
    assert made == heat.create(REQUEST)
    assert {
        "stack_name": "one",
        "template": REQUEST.template,
        "parameters": {"password": "planted-secret", "none": None},
        "timeout_mins": 3,
        "disable_rollback": True,
        "tags": "gohan-jobs:1:abc,two",
    } == cloud.requests[0].body


def test_what_is_not_given_is_not_sent(cloud: ScriptedCloud, heat: HeatOrchestrator) -> None:
    """Without a time-out and tags Heat gets neither key."""
    cloud.script.append(Answer(202, {}))
    heat.update(ONE, attrs.evolve(REQUEST, timeout_mins=None, tags=(), parameters={}))
    body = {"template": REQUEST.template, "parameters": {}, "disable_rollback": True}
    assert body == cloud.requests[0].body
    assert [("PUT", "/v1/p/stacks/one/id-one")] == sent(cloud)


def test_requests_say_who_sends_them(cloud: ScriptedCloud, heat: HeatOrchestrator) -> None:
    """The user agent is this library, and the token is sent."""
    cloud.script.append(stacks())
    heat.find("p", "one")
    headers = cloud.requests[0].headers
    assert "gohan-jobs/" == headers["User-Agent"][:11]
    assert "planted-token" == headers["X-Auth-Token"]


def test_find_takes_one_listing(cloud: ScriptedCloud, heat: HeatOrchestrator) -> None:
    """A stack with tags is found in one request, without a redirect."""
    cloud.script.append(stacks(listed()))
    found = Stack(
        id="id-one",
        name="one",
        tenant="p",
        status=StackStatus.CREATE_COMPLETE,
        status_reason="because",
        tags=("tag",),
    )
    assert found == heat.find("p", "one")
    assert [("GET", "/v1/p/stacks?name=one")] == sent(cloud)


def test_find_looks_again_for_tags(cloud: ScriptedCloud, heat: HeatOrchestrator) -> None:
    """A listing may lack the tags, so a stack without is looked at in full."""
    cloud.script.extend([stacks(listed(tags=None)), shown(tags=["now"])])
    found = heat.find("p", "one")
    assert found is not None
    assert ("now",) == found.tags
    assert ("GET", "/v1/p/stacks/one/id-one?resolve_outputs=False") == sent(cloud)[1]


@pytest.mark.parametrize(
    "infos",
    [
        [],
        [listed("two")],
        [listed(status="DELETE_COMPLETE")],
    ],
    ids=["nothing", "another name", "deleted"],
)
def test_find_gives_none(
    cloud: ScriptedCloud, heat: HeatOrchestrator, infos: list[dict[str, Any]]
) -> None:
    """What is not a live stack of that name is none."""
    cloud.script.append(stacks(*infos))
    assert None is heat.find("p", "one")


def test_an_unknown_status_stays_a_string(cloud: ScriptedCloud, heat: HeatOrchestrator) -> None:
    """A status of a newer Heat does not stop the reader."""
    cloud.script.append(stacks(listed(status="ROLLBACK_IN_PROGRESS")))
    found = heat.find("p", "one")
    assert found is not None
    assert "ROLLBACK_IN_PROGRESS" == found.status
    assert found.in_progress


def test_an_administrators_listing_is_narrowed(
    cloud: ScriptedCloud, logged_in: HeatOrchestrator
) -> None:
    """A stack of the same name in another project is not found, as its link says where it is."""
    cloud.script.append(
        stacks(listed(project="other"), listed(links=[{"rel": "parent", "href": "http://heat"}]))
    )
    found = logged_in.find("p", "one")
    assert found is not None
    assert 2 == len(cloud.requests) + len(cloud.logins)


def test_a_foreign_stack_alone_is_none(
    cloud: ScriptedCloud, logged_in: HeatOrchestrator, heat: HeatOrchestrator
) -> None:
    """Another project's stack is not taken for the tenant's own, whether token or URL name it."""
    cloud.otherwise = stacks(listed(project="other"))
    assert [None, None] == [logged_in.find("p", "one"), heat.find("p", "one")]


def test_an_endpoint_of_one_project(cloud: ScriptedCloud) -> None:
    """Where neither token nor URL name the tenant's project, all that is listed is its own."""
    cloud.otherwise = stacks(listed(project="admin"))
    heat = HeatOrchestrator.from_endpoint(f"{cloud.url}/v1/admin")
    assert None is not heat.find("p", "one")
    heat.close()


def test_delete_of_what_is_gone_is_no_error(cloud: ScriptedCloud, heat: HeatOrchestrator) -> None:
    """Deleting a missing stack is success (rules 8)."""
    cloud.script.append(MISSING)
    heat.delete(ONE)
    assert [("DELETE", "/v1/p/stacks/one/id-one")] == sent(cloud)


NOT_SUPPORTED = fault(400, "NotSupported", "Updating a stack when it is deleting")


@pytest.mark.parametrize(
    ("look", "expected"),
    [
        (MISSING, StackNotFound),
        (shown(status="DELETE_IN_PROGRESS"), StackNotFound),
        (shown(status="DELETE_FAILED"), StackNotFound),
        (shown(status="SUSPEND_COMPLETE"), StackRejected),
    ],
    ids=["gone", "deleting", "delete failed", "suspended"],
)
def test_update_of_a_stack_being_deleted(
    cloud: ScriptedCloud, heat: HeatOrchestrator, look: Answer, expected: type[Exception]
) -> None:
    """Heat's ``NotSupported`` means that the stack is being deleted only if it is."""
    cloud.script.extend([NOT_SUPPORTED, look])
    with pytest.raises(expected):
        heat.update(ONE, REQUEST)


def test_update_of_a_rejected_template(cloud: ScriptedCloud, heat: HeatOrchestrator) -> None:
    """Another 400 is final at once."""
    cloud.script.append(fault(400, "StackValidationFailed", "bad"))
    with pytest.raises(StackRejected):
        heat.update(ONE, REQUEST)
    assert 1 == heat.requests_sent


def test_observe_looks_at_one_stack_by_itself(cloud: ScriptedCloud, heat: HeatOrchestrator) -> None:
    """One stack is one request, which has the tags."""
    cloud.script.append(shown(tags=["new"]))
    seen = heat.observe([ONE, ONE])["id-one"]
    assert seen is not None
    assert ("new",) == seen.tags
    assert [("GET", "/v1/p/stacks/one/id-one?resolve_outputs=False")] == sent(cloud)


@pytest.mark.parametrize("look", [MISSING, shown(status="DELETE_COMPLETE")], ids=["purged", "done"])
def test_observe_gives_none_for_a_deleted_stack(
    cloud: ScriptedCloud, heat: HeatOrchestrator, look: Answer
) -> None:
    """A deleted stack is None, whether Heat still knows it or not."""
    cloud.script.append(look)
    assert {"id-one": None} == heat.observe([ONE])


def test_a_deleted_stack_that_holds_its_name(cloud: ScriptedCloud, heat: HeatOrchestrator) -> None:
    """Until Heat has given the name free, a deletion is under way (a create would be refused)."""
    cloud.script.append(shown(status="DELETE_COMPLETE", deletion_time=None))
    seen = heat.observe([ONE])["id-one"]
    assert seen is not None
    assert StackStatus.DELETE_IN_PROGRESS == seen.status


def test_observe_of_nothing_asks_nothing(heat: HeatOrchestrator) -> None:
    """No stacks, no request."""
    assert {} == heat.observe([])
    assert 0 == heat.requests_sent


def test_observe_lists_many_stacks_of_a_tenant(
    cloud: ScriptedCloud, heat: HeatOrchestrator
) -> None:
    """One listing tells most; only what it can't tell is looked at by itself."""
    names = ["done", "busy", "gone", "bare", "lost"]
    given = [attrs.evolve(ONE, id=f"id-{name}", name=name) for name in names]
    cloud.script.extend(
        [
            stacks(
                listed("done"),
                listed("busy", "UPDATE_IN_PROGRESS", tags=None),
                listed("gone", "DELETE_COMPLETE"),
                listed("bare", tags=None),
            ),
            shown("bare", tags=["late"]),
            MISSING,
        ]
    )
    seen = heat.observe(given)
    tags = {key: None if stack is None else stack.tags for key, stack in seen.items()}
    assert {
        "id-done": ("tag",),
        "id-busy": ("old",),
        "id-gone": None,
        "id-bare": ("late",),
        "id-lost": None,
    } == tags
    query = "&".join(f"id=id-{name}" for name in names)
    assert [
        f"/v1/p/stacks?{query}&show_deleted=True",
        "/v1/p/stacks/bare/id-bare?resolve_outputs=False",
        "/v1/p/stacks/lost/id-lost?resolve_outputs=False",
    ] == [path for _, path in sent(cloud)]


def test_observe_asks_for_a_hundred_at_once(cloud: ScriptedCloud, heat: HeatOrchestrator) -> None:
    """250 stacks of one tenant are three requests, and another tenant's is one more."""
    given = [attrs.evolve(ONE, id=f"id-{n}", name=str(n)) for n in range(250)]
    other = attrs.evolve(ONE, tenant="q")
    cloud.script.extend([_all_asked_for] * 3)
    cloud.script.append(shown())
    assert {stack.id for stack in [*given, other]} == {
        key for key, stack in heat.observe([*given, other]).items() if stack is not None
    }
    assert 4 == heat.requests_sent


def _all_asked_for(request: Request) -> Answer:
    query = request.path.split("?")[1].split("&")
    ids = [part.removeprefix("id=") for part in query if part.startswith("id=")]
    return stacks(*(listed(key.removeprefix("id-")) for key in ids))


def test_outputs_come_in_the_templates_order(cloud: ScriptedCloud, heat: HeatOrchestrator) -> None:
    """Heat's order differs from process to process, so the template's is asked for."""
    outputs = [
        {"output_key": "c", "output_value": None, "output_error": "no such attribute"},
        {"output_key": "a", "output_value": {"x": [1]}, "description": "d"},
        {"output_key": "b", "output_value": "v"},
    ]
    cloud.script.extend([shown(outputs=outputs), Answer(body={"outputs": {"b": {}, "a": {}}})])
    assert (
        StackOutput(output_key="b", output_value="v"),
        StackOutput(output_key="a", output_value={"x": [1]}, description="d"),
        StackOutput(output_key="c", output_value=None, output_error="no such attribute"),
    ) == heat.outputs(ONE)
    assert ["/v1/p/stacks/one/id-one", "/v1/p/stacks/one/id-one/template"] == [
        path for _, path in sent(cloud)
    ]


@pytest.mark.parametrize("count", [0, 1])
def test_few_outputs_take_one_request(
    cloud: ScriptedCloud, heat: HeatOrchestrator, count: int
) -> None:
    """Without two outputs there is no order to ask for."""
    cloud.script.append(shown(outputs=[{"output_key": "a", "output_value": 1}] * count))
    assert count == len(heat.outputs(ONE))
    assert 1 == heat.requests_sent


def test_two_outputs_come_in_the_templates_order(
    cloud: ScriptedCloud, heat: HeatOrchestrator
) -> None:
    """Two are enough for Heat's set to give them in another order."""
    outputs = [{"output_key": key, "output_value": 1} for key in ("b", "a")]
    cloud.script.extend([shown(outputs=outputs), Answer(body={"outputs": {"a": {}, "b": {}}})])
    assert ["a", "b"] == [output.output_key for output in heat.outputs(ONE)]


def test_outputs_of_a_deleted_stack(cloud: ScriptedCloud, heat: HeatOrchestrator) -> None:
    """Heat answers 200 for a deleted stack, without outputs; here it is not found."""
    cloud.script.append(shown(status="DELETE_COMPLETE"))
    with pytest.raises(StackNotFound):
        heat.outputs(ONE)


def test_diagnose_tells_failed_resources_and_events(
    cloud: ScriptedCloud, heat: HeatOrchestrator
) -> None:
    """Lines are bounded and flat, and a nested resource names its parent."""
    failed = [
        {"resource_name": "a", "resource_status_reason": "x" * 600},
        {"resource_name": "b", "resource_status_reason": "two\nlines", "parent_resource": "top"},
    ]
    event = {
        "event_time": "T",
        "resource_name": "a",
        "resource_status": "CREATE_FAILED",
        "resource_status_reason": "no",
    }
    cloud.script.extend([Answer(body={"resources": failed * 20}), Answer(body={"events": [event]})])
    diagnosis = heat.diagnose(ONE)
    assert 20 == len(diagnosis.resources)
    assert (f"a: {'x' * 496}…", "top/b: two lines") == diagnosis.resources[:2]
    assert ("T a CREATE_FAILED no",) == diagnosis.events
    assert [
        "/v1/p/stacks/one/id-one/resources?status=FAILED&nested_depth=5",
        "/v1/p/stacks/one/id-one/events?limit=10&sort_dir=desc",
    ] == [path for _, path in sent(cloud)]


def test_diagnose_of_what_is_gone(cloud: ScriptedCloud, heat: HeatOrchestrator) -> None:
    """There is nothing to tell of a stack that is gone."""
    cloud.script.append(MISSING)
    assert Diagnosis() == heat.diagnose(ONE)


def test_diagnose_tells_no_more_events_than_were_asked_for(
    cloud: ScriptedCloud, heat: HeatOrchestrator
) -> None:
    """A Heat that takes no notice of the limit does not make an error any longer."""
    events = [{"event_time": f"{number}"} for number in range(12)]
    cloud.script.extend([Answer(body={"resources": []}), Answer(body={"events": events})])
    assert [f"{number} None None None" for number in range(10)] == [*heat.diagnose(ONE).events]


def test_validate_of_what_names_something_missing(
    cloud: ScriptedCloud, heat: HeatOrchestrator
) -> None:
    """No stack is meant, so what is not found is a reason to reject the template."""
    cloud.script.append(fault(404, "EntityNotFound", "The Flavor (x) could not be found."))
    with pytest.raises(StackRejected, match="Flavor"):
        heat.validate(REQUEST)


def test_validate_sends_template_and_parameters(
    cloud: ScriptedCloud, heat: HeatOrchestrator
) -> None:
    """Validation is one POST that starts nothing."""
    cloud.script.append(Answer(body={"Description": "d"}))
    heat.validate(REQUEST)
    assert [("POST", "/v1/p/validate")] == sent(cloud)
    assert {"template", "parameters"} == cloud.requests[0].body.keys()


@pytest.mark.parametrize("tenant", ["", ".", "..", "../admin", "a/b"])
def test_what_is_no_project_is_refused(
    cloud: ScriptedCloud, heat: HeatOrchestrator, tenant: str
) -> None:
    """A tenant that would lead to another URL, or to a token without scope, is not sent."""
    with pytest.raises(OrchestratorRefused):
        heat.find(tenant, "one")
    assert [] == cloud.requests


def test_odd_names_are_quoted(cloud: ScriptedCloud, heat: HeatOrchestrator) -> None:
    """A tenant's and a stack's name can't lead elsewhere."""
    cloud.script.append(MISSING)
    heat.delete(attrs.evolve(ONE, tenant="p%q r", name="a/../b?c"))
    assert [("DELETE", "/v1/p%25q%20r/stacks/a%2F..%2Fb%3Fc/id-one")] == sent(cloud)


def test_close_is_idempotent_and_final(cloud: ScriptedCloud, heat: HeatOrchestrator) -> None:
    """After close every call is refused, and closing again does nothing."""
    heat.close()
    heat.close()
    with pytest.raises(OrchestratorUnavailable):
        heat.find("p", "one")
    assert [] == cloud.requests


def test_two_threads_first_calls_for_a_tenant(cloud: ScriptedCloud) -> None:
    """Who makes a tenant's session second uses the first one: one token a project is kept."""
    make, made = SessionMaker(timeout=5.0), 0

    def session_for(tenant: str) -> Any:
        nonlocal made
        made += 1
        token = f"token-{made}"
        if made == 1:  # and meanwhile another thread does
            shared.find(tenant, "one")
        return make(auth_for_endpoint(cloud.endpoint, token))

    settings = attrs.evolve(UNLIMITED, endpoint=cloud.endpoint)
    shared = HeatOrchestrator(session_for, settings, on_close=make.close)
    cloud.otherwise = stacks()
    shared.find("p", "one")
    shared.close()
    assert ["token-2"] * 2 == [request.headers["X-Auth-Token"] for request in cloud.requests]


def test_connections_are_closed_once() -> None:
    """Closing again does nothing: they may be somebody else's by then."""
    closed: list[str] = []
    make = SessionMaker(timeout=5.0)
    session = make(auth_for_endpoint("http://localhost", None))
    heat = HeatOrchestrator(lambda _: session, UNLIMITED, on_close=lambda: closed.append("it"))
    heat.close()
    heat.close()
    make.close()
    assert ["it"] == closed


def test_threads_share_an_orchestrator(cloud: ScriptedCloud, heat: HeatOrchestrator) -> None:
    """Calls from many threads, for several tenants, are all answered and counted."""
    cloud.otherwise = lambda request: stacks(listed(project=request.path.split("/")[2]))
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda n: heat.find(f"p{n % 4}", "one"), range(40)))
    assert [f"p{n % 4}" for n in range(40)] == [stack.tenant for stack in found if stack]
    assert 40 == heat.requests_sent == len(cloud.requests)


def test_the_budget_is_kept(cloud: ScriptedCloud) -> None:
    """Calls wait their turn on the clock given; one that would wait too long is not sent."""
    clock = VirtualClock()
    budget = CallBudget(total=None, per_tenant=0.1, clock=clock, sleep=clock.advance)
    settings = HeatSettings(budget=budget, clock=clock, request_timeout=15)
    heat = HeatOrchestrator.from_endpoint(cloud.endpoint, None, settings)
    cloud.otherwise = stacks()
    heat.find("p", "one")
    heat.find("p", "one")
    assert 10 == clock.now()
    assert True is budget.acquire("p", 15)
    budget.acquire("p", 15)
    assert 30 == clock.now()
    with pytest.raises(OrchestratorUnavailable, match="budget"):
        HeatOrchestrator.from_endpoint(
            cloud.endpoint, None, attrs.evolve(settings, request_timeout=5)
        ).find("p", "one")
    heat.close()
    assert 2 == heat.requests_sent


def test_logging_in_counts_as_time(cloud: ScriptedCloud) -> None:
    """A call whose time went into getting a token is not sent any more (rules 18)."""
    clock = VirtualClock()
    settings = HeatSettings(clock=clock, request_timeout=5)
    heat = HeatOrchestrator.from_config(password_of(cloud), settings)

    def log_in_slowly(request: Request) -> Answer:
        clock.advance(6)
        return cloud.login(request)

    cloud.keystone_script.append(log_in_slowly)
    with pytest.raises(OrchestratorUnavailable, match="no time left"):
        heat.delete(ONE)
    heat.close()
    assert [] == cloud.requests


def test_no_time_for_another_token(cloud: ScriptedCloud) -> None:
    """A 401 that came too late is not mended: the call would go out after its time."""
    clock = VirtualClock()
    settings = HeatSettings(clock=clock, request_timeout=5)
    heat = HeatOrchestrator.from_config(password_of(cloud), settings)

    def refuse_slowly(request: Request) -> Answer:
        clock.advance(6)
        return Answer(401)

    cloud.script.append(refuse_slowly)
    with pytest.raises(OrchestratorUnavailable, match="no time left"):
        heat.delete(ONE)
    heat.close()
    assert 1 == heat.requests_sent == len(cloud.requests)


def test_no_wait_for_another_token_beyond_the_time(cloud: ScriptedCloud) -> None:
    """A call sent again waits for its turn only as long as the first one could have."""
    clock = VirtualClock()
    budget = CallBudget(total=None, per_tenant=0.25, clock=clock, sleep=clock.advance)
    settings = HeatSettings(clock=clock, budget=budget, request_timeout=5)
    heat = HeatOrchestrator.from_config(password_of(cloud), settings)

    def refuse_slowly(request: Request) -> Answer:
        clock.advance(2)
        budget.acquire("p", 5)  # somebody else has the next turn
        return Answer(401)

    cloud.script.append(refuse_slowly)
    with pytest.raises(OrchestratorUnavailable, match="budget"):
        heat.delete(ONE)
    heat.close()
    assert (4.0, 1) == (clock.now(), len(cloud.requests))


def test_connecting_and_answering_share_the_time(
    cloud: ScriptedCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both together take no longer than a call may, or the lease could end before it (rules 18)."""
    given: list[Any] = []
    send = HTTPAdapter.send

    def spy(adapter: HTTPAdapter, *args: Any, **options: Any) -> Any:
        given.append(options["timeout"])
        return send(adapter, *args, **options)

    monkeypatch.setattr(HTTPAdapter, "send", spy)
    settings = HeatSettings(clock=VirtualClock(), request_timeout=20)
    heat = HeatOrchestrator.from_endpoint(cloud.endpoint, None, settings)
    cloud.otherwise = stacks()
    heat.find("p", "one")
    short = HeatOrchestrator.from_endpoint(
        cloud.endpoint, None, attrs.evolve(settings, request_timeout=4)
    )
    short.find("p", "one")
    for each in (heat, short):
        each.close()
    assert [(5.0, 15.0), (2.0, 2.0)] == given


def test_each_tenant_logs_in_to_its_project(
    cloud: ScriptedCloud, logged_in: HeatOrchestrator
) -> None:
    """One token a project, kept, whatever project the configuration names (rules 27)."""
    cloud.otherwise = stacks()
    for tenant in ("p", "q", "p"):
        logged_in.find(tenant, "one")
    assert [{"project": {"id": "p"}}, {"project": {"id": "q"}}] == [
        login["scope"] for login in cloud.logins
    ]
    assert ["/v1/p/stacks?name=one", "/v1/q/stacks?name=one", "/v1/p/stacks?name=one"] == [
        path for _, path in sent(cloud)
    ]


def test_a_token_of_another_project_is_refused(
    cloud: ScriptedCloud, logged_in: HeatOrchestrator
) -> None:
    """Heat would put the stack into the token's project, so nothing is sent."""
    cloud.project = "another"
    with pytest.raises(OrchestratorRefused, match="project another, not p"):
        logged_in.create(REQUEST)
    assert [] == cloud.requests


def test_a_401_is_mended_by_a_new_token(cloud: ScriptedCloud, logged_in: HeatOrchestrator) -> None:
    """A token that Heat no longer takes is renewed, and the call sent again once."""
    cloud.script.extend([Answer(401), stacks()])
    assert None is logged_in.find("p", "one")
    assert ["token-1", "token-2"] == [r.headers["X-Auth-Token"] for r in cloud.requests]


def test_a_401_that_no_token_mends_is_final(
    cloud: ScriptedCloud, logged_in: HeatOrchestrator, heat: HeatOrchestrator
) -> None:
    """After one new token, or without a way to get one, it is refused."""
    cloud.otherwise = fault(401, "HTTPUnauthorized", "who")
    with pytest.raises(OrchestratorRefused):
        logged_in.find("p", "one")
    with pytest.raises(OrchestratorRefused):
        heat.find("p", "one")
    assert 3 == len(cloud.requests)


def test_an_expired_token_is_renewed_before_it_is_sent(
    cloud: ScriptedCloud, logged_in: HeatOrchestrator
) -> None:
    """A token that is about to expire is not used."""
    cloud.otherwise = stacks()
    cloud.token_seconds = 1
    logged_in.find("p", "one")
    cloud.logins.clear()
    cloud.token_seconds = 3600
    logged_in.find("p", "one")
    logged_in.find("p", "one")
    assert 1 == len(cloud.logins)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (Answer(401), OrchestratorRefused),
        (Answer(403), OrchestratorRefused),
        (Answer(503), OrchestratorUnavailable),
        (Answer(429), OrchestratorUnavailable),
        (RESET, OrchestratorUnavailable),
        (Answer(201, "no JSON"), OrchestratorRefused),
    ],
    ids=["401", "403", "503", "429", "reset", "another server"],
)
def test_keystones_answer_becomes_an_error(
    cloud: ScriptedCloud,
    logged_in: HeatOrchestrator,
    answer: Answer,
    expected: type[OrchestratorError],
) -> None:
    """What Keystone says is final or passes, like Heat's own answers."""
    cloud.keystone_script.append(answer)
    with pytest.raises(expected) as caught:
        logged_in.find("p", "one")
    assert expected is type(caught.value)


def test_a_catalogue_without_heat_is_refused(cloud: ScriptedCloud) -> None:
    """A region that has no Heat is a mistake in the configuration."""
    heat = HeatOrchestrator.from_config(attrs.evolve(password_of(cloud), region_name="elsewhere"))
    with pytest.raises(OrchestratorRefused):
        heat.find("p", "one")
    heat.close()


def test_an_untrusted_certificate_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A certificate that is not trusted stays so; another TLS failure may pass."""
    import requests  # noqa: PLC0415 - what is broken here

    heat = HeatOrchestrator.from_endpoint("https://127.0.0.1:1/v1/%(tenant_id)s")
    for words, expected in (
        ("CERTIFICATE_VERIFY_FAILED", OrchestratorRefused),
        ("EOF occurred", OrchestratorUnavailable),
    ):
        error = requests.exceptions.SSLError(words)
        monkeypatch.setattr(requests.Session, "request", _raiser(error))
        with pytest.raises(expected):
            heat.find("p", "one")
    heat.close()


def _raiser(error: Exception) -> Any:
    def fail(*_: object, **__: object) -> None:
        raise error

    return fail


def test_nothing_secret_is_logged(
    cloud: ScriptedCloud, logged_in: HeatOrchestrator, caplog: pytest.LogCaptureFixture
) -> None:
    """With everything at DEBUG no parameter, password or token is in the log."""
    caplog.set_level(logging.DEBUG)
    for name in list(logging.root.manager.loggerDict):
        caplog.set_level(logging.DEBUG, logger=name)  # and back after the test
    cloud.script.extend(
        [
            Answer(201, {"stack": {"id": "new"}}),
            Answer(202, {}),
            shown(outputs=[{"output_key": "a", "output_value": "planted-secret"}]),
            Answer(503, {"planted-secret": 1}),
        ]
    )
    logged_in.update(logged_in.create(REQUEST), REQUEST)
    logged_in.outputs(ONE)
    with pytest.raises(OrchestratorUnavailable):
        logged_in.validate(REQUEST)
    told = [
        word for word in ("planted-secret", "planted-password", "token-1") if word in caplog.text
    ]
    assert [] == told
    assert "planted" not in repr(logged_in)
    assert "planted" not in repr(password_of(cloud))


def test_settings_are_checked() -> None:
    """A time-out of nothing would send nothing, and an endpoint has to be one."""
    with pytest.raises(ValueError, match="request_timeout"):
        HeatSettings(request_timeout=0)
    for endpoint in ("http://h/100%", "http://h/%(tenant)s", "http://h/%s%d"):
        with pytest.raises(ValueError, match="endpoint"):
            HeatSettings(endpoint=endpoint)


def test_the_time_out_is_told(heat: HeatOrchestrator) -> None:
    """Whoever holds a lease asks how long a call may take (rules 18)."""
    assert 20.0 == heat.request_timeout
