"""Handlers by name: registered, decorated, offered by packages; and what a handler is given."""

from __future__ import annotations

import logging
from importlib.metadata import EntryPoint, EntryPoints
from typing import Any

import pytest

from gohan_jobs import handler_plugins
from gohan_jobs.events import log_event
from gohan_jobs.exceptions import GohanJobsError, HandlerUnavailable, MappingEvaluationError
from gohan_jobs.handler_options import HandlerOptions, OptionedHandler
from gohan_jobs.handler_registry import Handlers
from gohan_jobs.handlers import Done, JobContext, Outcome
from gohan_jobs.records import HeatStack, Param, ParamType, ResourceRef, StackOutput
from handler_contexts import FakeClaim, make_context

GROUP = "gohan_jobs.handlers"


def handle(context: JobContext) -> Outcome:
    """A handler that has nothing to do."""
    del context
    return Done()


@pytest.fixture
def offered(monkeypatch: pytest.MonkeyPatch) -> list[EntryPoint]:
    """What installed packages offer, to be filled."""
    points: list[EntryPoint] = []

    def entry_points(*, group: str) -> EntryPoints:
        return EntryPoints(point for point in points if point.group == group)

    monkeypatch.setattr(handler_plugins, "entry_points", entry_points)
    return points


def point(name: str, value: str) -> EntryPoint:
    """An entry point."""
    return EntryPoint(name, value, GROUP)


@pytest.mark.parametrize(("wrong", "found"), [(3, "int"), (dict, "a class")])
def test_what_is_no_handler_is_refused(wrong: Any, found: str) -> None:
    """At once, not when a job needs it."""
    expected = f"handler 'a': expected a function or an instance, found {found}"
    with pytest.raises(TypeError, match=expected):
        Handlers({"a": wrong})


def test_a_handler_is_registered_once() -> None:
    """A name that is taken is refused."""
    handlers = Handlers({"a": handle})
    assert handle is handlers.get("a")
    assert "a" in handlers
    with pytest.raises(GohanJobsError, match="a handler 'a' is registered already"):
        handlers.register("a", handle)


def test_what_is_not_there() -> None:
    """None, unless it is insisted on."""
    handlers = Handlers()
    assert handlers.get("a") is None
    assert "a" not in handlers
    with pytest.raises(HandlerUnavailable, match="'a' of this process: it is not registered"):
        handlers.load("a")


def test_a_decorator_registers() -> None:
    """And gives the function back; options are wrapped around what is registered."""
    handlers = Handlers()
    assert handle is handlers.handler("a")(handle)
    handlers.handler("b", HandlerOptions(retries=1))(handle)
    assert handle is handlers.get("a")
    assert isinstance(handlers.get("b"), OptionedHandler)


def test_a_coroutine_function_is_made_a_handler() -> None:
    """It gives its outcome on the spot."""
    handlers = Handlers()

    @handlers.handler("a")
    async def work(context: JobContext) -> Outcome:
        del context
        return Done()

    assert Done() == handlers.load("a")(make_context())


def test_copies_do_not_share() -> None:
    """What one registers the other does not have."""
    first = Handlers({"a": handle})
    second = Handlers(first)
    second.register("b", handle)
    assert (("a",), ("a", "b")) == (first.names, second.names)


def test_packages_offer_handlers(offered: list[EntryPoint]) -> None:
    """They are imported when first asked for; what is registered comes first."""
    offered += [point("a", "test_nowhere:handle"), point("b", "gohan_jobs.events:log_event")]
    handlers = Handlers({"a": handle}).discover()
    assert ("a", "b") == handlers.names
    assert handle is handlers.get("a")
    found: object = handlers.get("b")
    assert log_event is found  # a function, whatever it is for


def test_only_what_is_named_is_taken_up(offered: list[EntryPoint]) -> None:
    """What no package offers is an error."""
    offered += [point("a", "m:handle"), point("b", "m:handle")]
    assert ("b",) == Handlers().discover(["b"]).names
    with pytest.raises(
        HandlerUnavailable,
        match=r"'c' of entry points gohan_jobs\.handlers: no installed package offers it",
    ):
        Handlers().discover(["a", "c"])


def test_a_name_offered_twice_is_refused(offered: list[EntryPoint]) -> None:
    """Which of the two would be chance; the same one twice is one."""
    offered += [point("a", "m:one"), point("a", "m:one")]
    assert ("a",) == Handlers().discover().names
    offered.append(point("a", "m:two"))
    with pytest.raises(HandlerUnavailable, match="'a' of m:two: so does m:one"):
        Handlers().discover()


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("no_such_module:handle", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("gohan_jobs.handlers:nothing", "AttributeError: "),
        ("gohan_jobs.handlers:Done", "it is a class: name a function, or an instance"),
        ("gohan_jobs.handler_plugins:GROUP", "it can't be called: str"),
    ],
)
def test_a_broken_one_is_as_if_it_were_not_there(
    offered: list[EntryPoint], caplog: pytest.LogCaptureFixture, value: str, reason: str
) -> None:
    """It is told once, with who offers it and what is wrong."""
    offered.append(point("a", value))
    handlers = Handlers().discover()
    with pytest.raises(HandlerUnavailable) as caught:
        handlers.load("a")
    assert ("a", value) == (caught.value.name, caught.value.source)
    assert caught.value.reason.startswith(reason)
    assert "a" not in handlers
    assert handlers.get("a") is None
    (record,) = caplog.records
    assert (logging.ERROR, "HandlerUnavailable") == (
        record.levelno,
        record.__dict__["event_name"],
    )


def test_the_distribution_is_named() -> None:
    """Of a real entry point, such as the plugin's of pytest."""
    (plugin,) = handler_plugins.find_plugins(["gohan_jobs"], group="pytest11").values()
    assert "gohan-jobs: gohan_jobs.testing.plugin" == plugin.source


def test_a_context_says_when_to_stop() -> None:
    """In the claim's words."""
    claim = FakeClaim()
    context = make_context(claim=claim)
    assert "" == context.cancelled
    claim.reason = "lease lost"
    assert "lease lost" == context.cancelled


def test_a_context_has_a_logger(caplog: pytest.LogCaptureFixture) -> None:
    """Its records say which job they are about."""
    context = make_context()
    context.log.warning("slow")
    (record,) = caplog.records
    assert ("gohan_jobs.handler", "slow", str(context.job.id), 1) == (
        record.name,
        record.message,
        record.__dict__["job_id"],
        record.__dict__["attempt"],
    )


def stack(value: Any) -> HeatStack:
    """A stack's record with one output."""
    return HeatStack(
        id="network:n1",
        stack_id="network_n1",
        tenant_id="t",
        stack_status="CREATE_COMPLETE",
        status_reason="",
        output=(StackOutput(output_key="link", output_value=value),),
    )


def test_a_context_knows_what_was_there_before() -> None:
    """The outputs of the resource's stack; none if there is none."""
    assert {} == make_context().previous_outputs
    assert {"link": "x"} == make_context(own_stack=stack("x")).previous_outputs


def test_a_context_resolves_params() -> None:
    """Outputs of stacks are put in; one that is not there is the config's error."""
    named = {"resource_type": "network", "resource_id": "n1", "output_key": "link"}
    params = (
        Param(param="name", type=ParamType.VALUE, value="blue"),
        Param(param="link", type=ParamType.OUTPUT_KEY, value=named),
    )
    network = ResourceRef("network", "n1")
    context = make_context(params=params, stacks={network: stack("x")})
    assert {"name": "blue", "link": "x"} == context.resolved_params()
    with pytest.raises(MappingEvaluationError, match="network:n1 has no stack"):
        make_context(params=params, stacks={network: None}).resolved_params()
