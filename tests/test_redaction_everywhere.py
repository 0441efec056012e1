"""Secrets planted in configs, params and outputs turn up in nothing that is told.

They stand where the documents have to have them: in configs and in the records that quote those.
Everything else is searched for them: logs, events, spans, metrics, errors, results, and what an
operator is shown.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from gohan_jobs.clock import VirtualClock
from gohan_jobs.events import Event, JobFailed, JobHandedBack, JobProgressed, log_event
from gohan_jobs.exceptions import OrchestratorError, OrchestratorUnavailable, StackRejected
from gohan_jobs.handlers import JobContext, Outcome
from gohan_jobs.heat_handler import HeatHandler
from gohan_jobs.instrumentation import ObservedOrchestrator, PrometheusHook, TracingHook
from gohan_jobs.lifecycle import Lifecycle
from gohan_jobs.orchestrators.base import Stack, StackRequest
from gohan_jobs.orchestrators.simulated import SimulatedHeat
from worlds import HOT, NETWORK, PORT, World, ref

FROM_BODY = "PLANTED-body"
NESTED = "PLANTED-nested"
BY_PARAM = "PLANTED-param"
OUTPUT = "PLANTED-output"
OUTPUT_BY_PARAM = "PLANTED-named"

TEMPLATES: Mapping[str, Mapping[str, Any]] = {
    "network": {
        "name": {"constant": OUTPUT},
        "second": {"constant": OUTPUT_BY_PARAM},
    },
    "port": {
        "tenant_id": {"field": "tenant_id"},
        "name": {"field": "pin"},
        "login_password": {"field": "pin"},
        "password": {"field": "password"},
        "key": {"output_key": "api_key", "path": ["network_id"]},
        "peer_password": {"output_key": "plain", "path": ["network_id"]},
    },
}

NETWORK_HOT = """\
heat_template_version: 2016-10-14
parameters: {name: {type: string}, second: {type: string}}
resources:
  one: {type: "OS::Heat::Value", properties: {value: {get_param: name}}}
  two: {type: "OS::Heat::Value", properties: {value: {get_param: second}}}
outputs:
  api_key: {value: {get_attr: [one, value]}}
  plain: {value: {get_attr: [two, value]}}
"""


class QuotingHeat(SimulatedHeat):
    """A Heat that refuses ports and, as the real one, quotes what it refuses."""

    def __init__(self, clock: VirtualClock, refusal: Callable[[str], OrchestratorError]) -> None:
        super().__init__(clock)
        self._refusal = refusal

    def create(self, request: StackRequest) -> Stack:
        """Refuse a port."""
        if request.name.startswith("port"):
            raise self._refusal(f"bad parameters: {dict(request.parameters)}")
        return super().create(request)


class Told:
    """Everything that is told, to be searched."""

    def __init__(self, world: World) -> None:
        self.events: list[Event] = []
        self.metrics = PrometheusHook(clock=world.clock)
        self._spans = InMemorySpanExporter()
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(SimpleSpanProcessor(self._spans))
        self.hooks = (log_event, self.events.append, self.metrics, TracingHook(provider))

    def texts(self, lifecycle: Lifecycle, caplog: pytest.LogCaptureFixture) -> dict[str, str]:
        """By where they were told."""
        spans = self._spans.get_finished_spans()
        state = lifecycle.store.get(lifecycle.keys.state_of(lifecycle.path_of(PORT)))
        notes = lifecycle.store.entries(lifecycle.queue.own.prefix).entries
        formatter = logging.Formatter("%(message)s %(facts)s", defaults={"facts": {}})
        return {
            "log": "\n".join(map(formatter.format, caplog.records)),
            "events": "\n".join(map(repr, self.events)),
            "metrics": self.metrics.text()[0],
            "spans": "\n".join(span.to_json() for span in spans),
            "state": "" if state is None else state.value.decode(),
            "explanation": repr(lifecycle.explain(PORT)),
            "own": "\n".join(entry.value.decode() for entry in notes),
        }


def leaks(told: dict[str, str]) -> set[str]:
    """Where a planted secret was found."""
    return {where for where, text in told.items() if "PLANTED" in text}


def run(
    caplog: pytest.LogCaptureFixture,
    refusal: Callable[[str], OrchestratorError],
    around: Callable[[HeatHandler], Callable[[JobContext], Outcome]] = lambda handler: handler,
) -> tuple[World, Told, dict[str, str]]:
    """A network is made, a port refused; what was told of it."""
    caplog.set_level(logging.DEBUG)
    clock = VirtualClock()
    heat = QuotingHeat(clock, refusal)
    world = World(clock=clock, heat=heat, templates={})
    told = Told(world)
    world.template("network", TEMPLATES["network"], NETWORK_HOT)
    world.template("port", TEMPLATES["port"], HOT)
    observed = ObservedOrchestrator(heat, told.hooks, clock)
    handler = HeatHandler(observed, codec=world.codec, retry_at_most=2.0, retries=1)
    world.lifecycle = Lifecycle(
        world.store,
        observed,
        world.schemas,
        clock=clock,
        hooks=told.hooks,
        handlers={"heat_worker": around(handler)},
        seed=1,
    )
    world.write(NETWORK)
    secrets = {"password": FROM_BODY, "bgp": {"auth_token": NESTED}, "pin": BY_PARAM}
    world.write(PORT, {"network_id": NETWORK.resource_id, **secrets})
    world.settle()
    world.pass_time(120.0)
    return world, told, told.texts(world.lifecycle, caplog)


def test_a_refusal_that_quotes_params(caplog: pytest.LogCaptureFixture) -> None:
    """A final error: masked wherever it is told, and told all the same."""
    world, told, texts = run(caplog, StackRejected)
    assert set() == leaks(texts)
    (failed,) = [event for event in told.events if isinstance(event, JobFailed)]
    assert failed.reason.startswith("bad parameters: ")
    assert "***" in failed.reason
    outcome = world.outcome(PORT)
    assert outcome is not None
    assert "CREATE_ERROR" == outcome[0]


def test_trouble_that_quotes_params(caplog: pytest.LogCaptureFixture) -> None:
    """What may pass is reported, and the job handed back, without secrets, too."""
    _, told, texts = run(caplog, OrchestratorUnavailable)
    assert set() == leaks(texts)
    for kind in (JobProgressed, JobHandedBack, JobFailed):
        assert any(isinstance(event, kind) for event in told.events)


def test_a_handler_that_raises_secrets(caplog: pytest.LogCaptureFixture) -> None:
    """Of an unexpected error only the name is told."""

    def raising(handler: HeatHandler) -> Callable[[JobContext], Outcome]:
        def handle(context: JobContext) -> Outcome:
            if context.job.resource == PORT:
                raise RuntimeError(str(dict(context.resolved_params())))
            return handler(context)

        return handle

    _, told, texts = run(caplog, StackRejected, raising)
    assert set() == leaks(texts)
    assert any(
        isinstance(event, JobHandedBack) and event.reason == "handler raised RuntimeError"
        for event in told.events
    )


def test_a_config_that_can_not_be_planned(caplog: pytest.LogCaptureFixture) -> None:
    """Its error is published without what it holds."""
    caplog.set_level(logging.DEBUG)
    world = World(templates={})
    told = Told(world)
    world.lifecycle = world.peer(hooks=told.hooks)
    world.template("port", {"password": {"field": "password", "regexp": ["(", FROM_BODY]}})
    world.write(PORT, {"password": FROM_BODY, "pin": BY_PARAM})
    world.put(world.keys.config_of(world.path(ref("port", "p2"))), f'{{"body": "{FROM_BODY}')
    world.settle()
    world.pass_time(120.0)
    assert set() == leaks(told.texts(world.lifecycle, caplog))


def test_a_job_whose_template_does_not_fit_any_more(caplog: pytest.LogCaptureFixture) -> None:
    """Its params are computed again, and the error is published without what its config holds."""
    caplog.set_level(logging.DEBUG)
    world = World(templates={"port": {"password": {"field": "password"}}})
    told = Told(world)
    world.lifecycle = world.peer(hooks=told.hooks, roles=("manager",))
    world.write(PORT, {"password": FROM_BODY})
    world.settle()
    world.template("port", {"password": {"field": "password", "regexp": ["(", FROM_BODY]}})
    world.settle()
    assert "CREATE_ERROR" == (world.outcome(PORT) or ("",))[0]
    assert set() == leaks(told.texts(world.lifecycle, caplog))


def test_the_search_finds_what_there_is() -> None:
    """It would tell."""
    assert {"log"} == leaks({"log": f"so {OUTPUT} it is", "state": ""})
