"""A trace per config version, across processes. Needs opentelemetry-api, the extra ``otel``.

::

    config network                       the leader, while it plans
    ├── queue heat_worker                from planned to claimed
    └── create heat_worker               the worker, from claimed to the result
        ├── heat find                    each call of an ObservedOrchestrator
        └── heat create

The leader stores the W3C trace context with the version's jobs; whoever claims one goes on with
the same trace. Spans say ids, versions and scrubbed reasons; never params, outputs or bodies.
"""

from __future__ import annotations

import datetime as dt
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Final, Generic, TypeAlias, TypeVar

from opentelemetry.context import Context
from opentelemetry.trace import (
    Span,
    SpanKind,
    Status,
    StatusCode,
    TracerProvider,
    get_tracer,
    set_span_in_context,
)
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.util.types import AttributeValue

from gohan_jobs._version import __version__
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
)
from gohan_jobs.keys import JobId
from gohan_jobs.records import ResourceRef
from gohan_jobs.rendering import stack_name

__all__ = ["TracingHook"]

K = TypeVar("K", str, JobId)

_Ending: TypeAlias = JobFinished | JobFailed | JobCancelled | JobSuperseded | JobHandedBack
_ENDINGS: Final = (JobFinished, JobFailed, JobCancelled, JobSuperseded, JobHandedBack)
_BILLION: Final = 1_000_000_000
_W3C: Final = TraceContextTextMapPropagator()


class TracingHook:
    """A hook that makes spans, and a :class:`~gohan_jobs.events.TraceSource`.

    Use one for each :class:`~gohan_jobs.lifecycle.Lifecycle`. Exporting is the provider's business,
    and with a batching processor it happens on another thread.

    Args:
        tracer_provider: where spans go; the global one unless given.
        capacity: open spans it remembers; the oldest is never exported when there are more.
        time_ns: the time of day, in nanoseconds, by which spans are timed.
    """

    def __init__(
        self,
        tracer_provider: TracerProvider | None = None,
        *,
        capacity: int = 10_000,
        time_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._tracer = get_tracer("gohan_jobs", __version__, tracer_provider)
        self._time_ns = time_ns
        self._lock = threading.Lock()
        self._plans: _Open[str] = _Open(capacity)
        self._jobs: _Open[JobId] = _Open(capacity)
        self._stacks: _Open[str] = _Open(capacity)

    def trace(self, resource: ResourceRef, version: int) -> Mapping[str, str]:
        """Begin the trace of a config version; its first span ends when its jobs are queued."""
        span = self._tracer.start_span(
            f"config {resource.resource_type}",
            context=Context(),
            kind=SpanKind.PRODUCER,
            attributes=_about(resource, version),
            start_time=self._time_ns(),
        )
        carrier: dict[str, str] = {}
        _W3C.inject(carrier, set_span_in_context(span, Context()))
        if carrier:
            with self._lock:
                self._plans.put(carrier["traceparent"], span)
        return carrier

    def __call__(self, event: Event) -> None:
        """Begin, extend or end spans."""
        if isinstance(event, JobPlanned):
            self._planned(event)
        elif isinstance(event, JobClaimed):
            self._claimed(event)
        elif isinstance(event, StackRequested):
            self._note(event.job_id, "stack requested", {"gohan_jobs.operation": event.operation})
        elif isinstance(event, JobProgressed):
            self._note(event.job_id, "progress", {"gohan_jobs.message": event.message})
        elif isinstance(event, OrchestratorCalled):
            self._called(event)
        elif isinstance(event, _ENDINGS):
            self._ended(event)
        elif isinstance(event, LeaseLost):
            self._lost()

    def _planned(self, event: JobPlanned) -> None:
        with self._lock:
            span = self._plans.pop(event.trace.get("traceparent", ""))
        if span is not None:
            span.end(self._time_ns())

    def _claimed(self, event: JobClaimed) -> None:
        job, now = event.job_id, self._time_ns()
        context = _W3C.extract(event.trace, Context())
        attributes = _about(_resource(job), job.version) | {
            "gohan_jobs.job_id": str(job),
            "gohan_jobs.attempt": event.attempt,
            "gohan_jobs.retries": event.retries,
        }
        begun = _nanoseconds(event.planned_at)
        if begun is not None:
            queued = self._tracer.start_span(
                f"queue {job.handler}",
                context=context,
                attributes=attributes,
                start_time=min(begun, now),
            )
            queued.end(now)
        span = self._tracer.start_span(
            f"{job.action} {job.handler}",
            context=context,
            kind=SpanKind.CONSUMER,
            attributes=attributes,
            start_time=now,
        )
        with self._lock:
            self._jobs.put(job, span)
            self._stacks.put(stack_name(_resource(job)), span)

    def _note(self, job: JobId, name: str, attributes: Mapping[str, AttributeValue]) -> None:
        with self._lock:
            span = self._jobs.get(job)
        if span is not None:
            span.add_event(name, attributes, self._time_ns())

    def _called(self, event: OrchestratorCalled) -> None:
        """A call belongs to the job that has the stack; one about several stacks to none."""
        with self._lock:
            parent = self._stacks.get(event.stack)
        if parent is None:
            return
        now = self._time_ns()
        span = self._tracer.start_span(
            f"heat {event.operation}",
            context=set_span_in_context(parent, Context()),
            kind=SpanKind.CLIENT,
            attributes={"gohan_jobs.stack": event.stack, "gohan_jobs.tenant": event.tenant},
            start_time=now - int(event.seconds * _BILLION),
        )
        if event.error:
            span.set_status(Status(StatusCode.ERROR, event.error))
        span.end(now)

    def _ended(self, event: _Ending) -> None:
        """The job's span ends; one that nobody worked on gets a span of its own."""
        job, now = event.job_id, self._time_ns()
        with self._lock:
            span = self._jobs.pop(job)
            if span is not None:
                self._stacks.pop(stack_name(_resource(job)))
        if span is None:
            if not event.trace:
                return
            span = self._tracer.start_span(
                f"end {job.handler}",
                context=_W3C.extract(event.trace, Context()),
                attributes=_about(_resource(job), job.version) | {"gohan_jobs.job_id": str(job)},
                start_time=now,
            )
        span.set_attribute("gohan_jobs.ending", type(event).__name__)
        if isinstance(event, JobFailed | JobCancelled | JobHandedBack):
            span.set_status(Status(StatusCode.ERROR, event.reason))
        span.end(now)

    def _lost(self) -> None:
        """Every claim is gone, and so are their spans."""
        with self._lock:
            spans = self._jobs.clear()
            self._stacks.clear()
        for span in spans:
            span.set_status(Status(StatusCode.ERROR, "lease lost"))
            span.end(self._time_ns())


class _Open(Generic[K]):
    """Spans not ended yet, a bounded number of them."""

    def __init__(self, capacity: int) -> None:
        self._spans: OrderedDict[K, Span] = OrderedDict()
        self._capacity = capacity

    def put(self, key: K, span: Span) -> None:
        """Remember a span; the oldest is forgotten if there are too many."""
        self._spans[key] = span
        self._spans.move_to_end(key)
        if len(self._spans) > self._capacity:
            self._spans.popitem(last=False)

    def get(self, key: K) -> Span | None:
        """A span, if it is known."""
        return self._spans.get(key)

    def pop(self, key: K) -> Span | None:
        """A span, if it is known; it is forgotten."""
        return self._spans.pop(key, None)

    def clear(self) -> tuple[Span, ...]:
        """All spans; they are forgotten."""
        spans = tuple(self._spans.values())
        self._spans.clear()
        return spans


def _resource(job: JobId) -> ResourceRef:
    return ResourceRef(job.resource_type, job.resource_id)


def _about(resource: ResourceRef, version: int) -> dict[str, AttributeValue]:
    return {
        "gohan_jobs.resource_type": resource.resource_type,
        "gohan_jobs.resource_id": resource.resource_id,
        "gohan_jobs.version": version,
    }


def _nanoseconds(moment: str) -> int | None:
    """A time of day, ISO 8601, since the epoch; None if it is none."""
    try:
        return int(dt.datetime.fromisoformat(moment).timestamp() * _BILLION)
    except ValueError:
        return None
