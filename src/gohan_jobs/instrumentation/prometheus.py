"""Events counted for Prometheus. Needs prometheus-client, the extra ``prometheus``.

=============================================  =====================================================
metric                                         what it says
=============================================  =====================================================
``gohan_jobs_events_total``                    events, by name
``gohan_jobs_queue_seconds``                   from planned to first claimed, by handler
``gohan_jobs_job_seconds``                     from claimed to its result, by handler and result
``gohan_jobs_failures_total``                  jobs ``failed`` and ``cancelled``, by handler;
                                               configs ``rejected``, without one
``gohan_jobs_hand_backs_total``                jobs given back, by handler and whether ``lost``
``gohan_jobs_lease_losses_total``              leases lost, of the ``worker`` or the ``leader``
``gohan_jobs_stack_operations_total``          creates, updates and deletes asked of Heat
``gohan_jobs_orchestrator_seconds``            calls of an ``ObservedOrchestrator``, by operation
                                               and result: ``ok``, or the name of the error
``gohan_jobs_queue_jobs``                      jobs in each place, once ``track_queue`` is called
``gohan_jobs_queue_oldest_seconds``            age of the one that has stood there longest
``gohan_jobs_leader``                          1 while this process leads
=============================================  =====================================================

Labels are names of handlers, places, operations and errors; never ids, which have no bound.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import generate_latest
from prometheus_client.metrics_core import Metric

from gohan_jobs.clock import Clock, SystemClock, seconds_since
from gohan_jobs.events import (
    ConfigRejected,
    Event,
    JobCancelled,
    JobClaimed,
    JobFailed,
    JobFinished,
    JobHandedBack,
    LeaderLost,
    LeaseLost,
    OrchestratorCalled,
    StackRequested,
)
from gohan_jobs.instrumentation.depths import Depth
from gohan_jobs.keys import Place

__all__ = ["PrometheusHook"]

_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600)


class PrometheusHook:
    """A hook that counts, and what it has counted.

    Args:
        registry: where the metrics are registered; one of its own unless given. For an exporter
            that a program has already, give ``prometheus_client.REGISTRY``.
        clock: the time of day, for how long a job waited.

    Attributes:
        registry: where the metrics are registered.
    """

    def __init__(
        self, registry: CollectorRegistry | None = None, *, clock: Clock | None = None
    ) -> None:
        self.registry: CollectorRegistry = CollectorRegistry() if registry is None else registry
        self._clock = clock or SystemClock()
        self._events = self._counter("events", "Events, by name.", "event")
        self._failures = self._counter("failures", "What failed.", "handler", "kind")
        self._hand_backs = self._counter("hand_backs", "Jobs given back.", "handler", "lost")
        self._losses = self._counter("lease_losses", "Leases lost.", "role")
        self._operations = self._counter(
            "stack_operations", "Creates, updates and deletes asked of Heat.", "operation"
        )
        self._queued = self._histogram(
            "queue_seconds", "Seconds from a job's planning to its first claim.", "handler"
        )
        self._worked = self._histogram(
            "job_seconds", "Seconds from a job's claim to its result.", "handler", "result"
        )
        self._calls = self._histogram(
            "orchestrator_seconds", "Seconds of a call to Heat.", "operation", "result"
        )

    def _counter(self, name: str, says: str, *labels: str) -> Counter:
        return Counter(f"gohan_jobs_{name}", says, labels, registry=self.registry)

    def _histogram(self, name: str, says: str, *labels: str) -> Histogram:
        return Histogram(
            f"gohan_jobs_{name}", says, labels, buckets=_SECONDS, registry=self.registry
        )

    def __call__(self, event: Event) -> None:
        """Count an event."""
        self._events.labels(type(event).__name__).inc()
        match event:
            case JobClaimed():
                self._claimed(event)
            case JobFinished():
                self._worked.labels(event.job_id.handler, "finished").observe(event.seconds)
            case JobFailed():
                self._worked.labels(event.job_id.handler, "failed").observe(event.seconds)
                self._failures.labels(event.job_id.handler, "failed").inc()
            case JobCancelled():
                self._failures.labels(event.job_id.handler, "cancelled").inc()
            case ConfigRejected():
                self._failures.labels("", "rejected").inc()
            case JobHandedBack():
                self._hand_backs.labels(event.job_id.handler, str(event.lost).lower()).inc()
            case LeaseLost() | LeaderLost():
                role = "worker" if isinstance(event, LeaseLost) else "leader"
                self._losses.labels(role).inc()
            case StackRequested():
                self._operations.labels(event.operation).inc()
            case OrchestratorCalled():
                self._calls.labels(event.operation, event.error or "ok").observe(event.seconds)
            case _:
                pass

    def _claimed(self, event: JobClaimed) -> None:
        """A job that was claimed before has not waited all that time."""
        waited = seconds_since(event.planned_at, self._clock)
        if waited is not None and event.attempt == 1 and not event.retries:
            self._queued.labels(event.job_id.handler).observe(waited)

    def track_queue(self, depths: Callable[[], Mapping[Place, Depth]]) -> None:
        """Show the queue's depth, too.

        Args:
            depths: asked at each scrape: a :class:`~gohan_jobs.instrumentation.QueueDepths`.
        """
        self.registry.register(_Queue(depths))

    def track_leadership(self, leads: Callable[[], bool]) -> None:
        """Show whether this process leads, too.

        Args:
            leads: such as ``lambda: lifecycle.leads``.
        """
        gauge = Gauge(
            "gohan_jobs_leader",
            "1 while this process's job manager leads.",
            registry=self.registry,
        )
        gauge.set_function(lambda: float(leads()))

    def text(self) -> tuple[str, str]:
        """What has been counted, as a page, and its content type."""
        return generate_latest(self.registry).decode(), CONTENT_TYPE_LATEST


class _Queue:
    """Reads the depths when it is asked; nothing is shown while they can't be read."""

    def __init__(self, depths: Callable[[], Mapping[Place, Depth]]) -> None:
        self._depths = depths

    def collect(self) -> Iterable[Metric]:
        """What a scrape gets."""
        jobs, oldest = self.describe()
        for place, depth in self._depths().items():
            jobs.add_metric([str(place)], depth.jobs)
            oldest.add_metric([str(place)], depth.oldest)
        return (jobs, oldest)

    def describe(self) -> tuple[GaugeMetricFamily, GaugeMetricFamily]:
        """The metrics without values, so that registering reads nothing."""
        return (
            GaugeMetricFamily("gohan_jobs_queue_jobs", "Jobs in each place.", labels=["place"]),
            GaugeMetricFamily(
                "gohan_jobs_queue_oldest_seconds",
                "Seconds since the job that has stood there longest was planned.",
                labels=["place"],
            ),
        )
