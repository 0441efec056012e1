"""A config version's trace, from planning to Heat, through several processes."""

from __future__ import annotations

import attrs
import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import NoOpTracerProvider, StatusCode

from gohan_jobs.events import (
    Event,
    JobCancelled,
    JobClaimed,
    JobFailed,
    JobFinished,
    JobHandedBack,
    JobPlanned,
    JobProgressed,
    JobSuperseded,
    LeaseLost,
    OrchestratorCalled,
    StackRequested,
    WatchResumed,
)
from gohan_jobs.instrumentation import BackgroundHook, ObservedOrchestrator, TracingHook
from gohan_jobs.lifecycle import Lifecycle, Role
from gohan_jobs.records import ResourceRef
from jobs_made import job_id
from worlds import NETWORK, World

JOB = job_id("network:n1")
PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
CLAIMED = JobClaimed(job_id=JOB, holder="h", trace={"traceparent": PARENT})
SECOND = 1_000_000_000


@attrs.frozen
class Traced:
    """A hook, what it exported, and the time, in nanoseconds, that it goes by."""

    hook: TracingHook
    exporter: InMemorySpanExporter

    @classmethod
    def make(cls, capacity: int = 100) -> Traced:
        """A hook at the hundredth second."""
        exporter = InMemorySpanExporter()
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(SimpleSpanProcessor(exporter))
        return cls(TracingHook(provider, capacity=capacity, time_ns=lambda: 100 * SECOND), exporter)

    @property
    def spans(self) -> list[ReadableSpan]:
        """What was exported."""
        return list(self.exporter.get_finished_spans())

    def after(self, *events: Event) -> list[ReadableSpan]:
        """What has been exported once some events were told."""
        for event in events:
            self.hook(event)
        return self.spans


def family(spans: list[ReadableSpan]) -> set[tuple[str, str]]:
    """Each span's name and its parent's."""
    names = {span.context.span_id: span.name for span in spans if span.context is not None}
    return {
        (span.name, "" if span.parent is None else names.get(span.parent.span_id, "?"))
        for span in spans
    }


def traces(spans: list[ReadableSpan]) -> int:
    """How many traces some spans belong to."""
    return len({span.context.trace_id for span in spans if span.context is not None})


def test_one_trace_through_two_processes() -> None:
    """The leader begins it, a worker goes on; each knows only its own spans."""
    world = World()
    leader, worker = Traced.make(), Traced.make()
    manager = world.peer(roles=(Role.MANAGER,), hooks=(leader.hook,))
    heat = ObservedOrchestrator(world.heat, (worker.hook,), world.clock)
    background = BackgroundHook(lambda _: None)
    executing = Lifecycle(
        world.store,
        heat,
        world.schemas,
        clock=world.clock,
        roles=(Role.WORKER,),
        hooks=(background, worker.hook),
        seed=2,
    )
    world.write(NETWORK, {"name": "blue"})
    for _ in range(3):
        while manager.step() or executing.step():
            pass
        world.clock.advance(1.0)
    background.close()
    assert ["config network"] == [span.name for span in leader.spans]
    spans = leader.spans + worker.spans
    assert {
        ("config network", ""),
        ("queue heat_worker", "config network"),
        ("create heat_worker", "config network"),
        ("heat find", "create heat_worker"),
        ("heat create", "create heat_worker"),
        ("heat observe", "create heat_worker"),
        ("heat outputs", "create heat_worker"),
    } == family(spans)
    assert 1 == traces(spans)


def test_the_job_span_says_what_happened() -> None:
    """Ids, versions, what was asked and told, and how it ended."""
    (span,) = Traced.make().after(
        CLAIMED,
        StackRequested(job_id=JOB, operation="create", stack="network_n1", tenant="t"),
        JobProgressed(job_id=JOB, message="half"),
        JobFinished(job_id=JOB, state="CREATE_COMPLETED"),
    )
    assert {
        "gohan_jobs.resource_type": "network",
        "gohan_jobs.resource_id": "n1",
        "gohan_jobs.version": 1,
        "gohan_jobs.job_id": str(JOB),
        "gohan_jobs.attempt": 1,
        "gohan_jobs.retries": 0,
        "gohan_jobs.ending": "JobFinished",
    } == dict(span.attributes or {})
    assert [
        ("stack requested", {"gohan_jobs.operation": "create"}),
        ("progress", {"gohan_jobs.message": "half"}),
    ] == [(event.name, dict(event.attributes or {})) for event in span.events]
    assert StatusCode.UNSET is span.status.status_code


@pytest.mark.parametrize(
    ("ending", "expected"),
    [
        (JobFailed(job_id=JOB, reason="no"), (StatusCode.ERROR, "no")),
        (JobCancelled(job_id=JOB, reason="no"), (StatusCode.ERROR, "no")),
        (JobHandedBack(job_id=JOB, reason="later"), (StatusCode.ERROR, "later")),
        (JobSuperseded(job_id=JOB), (StatusCode.UNSET, None)),
    ],
    ids=["failed", "cancelled", "handed back", "superseded"],
)
def test_endings(ending: Event, expected: tuple[StatusCode, str | None]) -> None:
    """An error says why; a superseded job is none."""
    (span,) = Traced.make().after(CLAIMED, ending)
    assert expected == (span.status.status_code, span.status.description)


def test_a_job_that_nobody_worked_on_ends_in_the_trace() -> None:
    """The leader cancels a job that it never claimed; without a trace nothing is told."""
    traced = Traced.make()
    (span,) = traced.after(
        JobCancelled(job_id=JOB, reason="no", trace={"traceparent": PARENT}),
        JobCancelled(job_id=JOB, reason="no"),
    )
    assert ("end heat_worker", 0xB7AD6B7169203331) == (
        span.name,
        span.parent and span.parent.span_id,
    )


def test_the_wait_in_the_queue_is_a_span() -> None:
    """From the time of day it was planned at; never ending before it begins."""
    planned = attrs.evolve(CLAIMED, planned_at="1970-01-01T00:01:30+00:00")
    late = attrs.evolve(CLAIMED, planned_at="1970-01-01T00:02:30+00:00")
    spans = Traced.make().after(planned, late)
    assert [(90 * SECOND, 100 * SECOND), (100 * SECOND, 100 * SECOND)] == [
        (span.start_time, span.end_time) for span in spans
    ]


def test_a_call_of_heat_is_a_span() -> None:
    """It took as long as it says, and its error is the name of a class."""
    traced = Traced.make()
    (span,) = traced.after(
        CLAIMED,
        OrchestratorCalled(
            operation="create",
            tenant="t",
            stack="network_n1",
            seconds=4.0,
            error="OrchestratorRefused",
        ),
        OrchestratorCalled(operation="observe", tenant="t"),
    )
    assert ("heat create", 96 * SECOND, 100 * SECOND, "OrchestratorRefused") == (
        span.name,
        span.start_time,
        span.end_time,
        span.status.description,
    )


def test_a_lost_lease_ends_what_stood_under_it() -> None:
    """Its jobs go on elsewhere; here nothing more is known of them."""
    traced = Traced.make()
    (span,) = traced.after(
        CLAIMED,
        LeaseLost(worker_id="w", jobs=1),
        JobProgressed(job_id=JOB, message="half"),
        JobFinished(job_id=JOB, state="CREATE_COMPLETED"),
        WatchResumed(revision=1),
    )
    assert "lease lost" == span.status.description


def test_a_plan_made_again_is_traced_once() -> None:
    """Only the context that was stored with the jobs has a span; other jobs change nothing."""
    traced = Traced.make()
    resource = ResourceRef("network", "n1")
    traced.hook.trace(resource, 1)
    stored = traced.hook.trace(resource, 1)
    (span,) = traced.after(
        JobPlanned(job_id=JOB, trace=stored), JobPlanned(job_id=JOB, trace=stored)
    )
    assert span.context is not None
    assert f"{span.context.trace_id:032x}" == stored["traceparent"].split("-")[1]


def test_what_is_remembered_is_bounded() -> None:
    """The oldest open span is forgotten for the newest."""
    traced = Traced.make(capacity=1)
    other = job_id("network:n2")
    spans = traced.after(
        CLAIMED,
        attrs.evolve(CLAIMED, job_id=other),
        JobFinished(job_id=JOB, state=""),
        JobFinished(job_id=other, state=""),
    )
    assert [str(other)] == [(span.attributes or {})["gohan_jobs.job_id"] for span in spans]


def test_nobody_traces() -> None:
    """Without a provider there is no context to store."""
    hook = TracingHook(NoOpTracerProvider())
    assert {} == hook.trace(ResourceRef("network", "n1"), 1)
