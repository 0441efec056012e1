"""Counting events for Prometheus; prometheus-client is an extra."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import generate_latest

from gohan_jobs.events import Event, JobFailed, JobFinished, StackRequested

__all__ = ["Metrics"]

_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600)


class Metrics:
    """A hook that counts, and what it has counted, as text.

    Counted are events by name, stack operations by kind, and the seconds from claim to result of
    finished and failed jobs.
    """

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._events = Counter(
            "gohan_jobs_events", "Events, by name.", ["event"], registry=self._registry
        )
        self._operations = Counter(
            "gohan_jobs_stack_operations",
            "Creates, updates and deletes asked of Heat.",
            ["operation"],
            registry=self._registry,
        )
        self._seconds = Histogram(
            "gohan_jobs_job_seconds",
            "Seconds from a job's claim to its result.",
            ["result"],
            buckets=_SECONDS,
            registry=self._registry,
        )

    def __call__(self, event: Event) -> None:
        """Count an event."""
        self._events.labels(type(event).__name__).inc()
        if isinstance(event, StackRequested):
            self._operations.labels(event.operation).inc()
        elif isinstance(event, JobFinished | JobFailed):
            result = "failed" if isinstance(event, JobFailed) else "finished"
            self._seconds.labels(result).observe(event.seconds)

    def track_leadership(self, leads: Callable[[], bool]) -> None:
        """Show whether this process leads, too."""
        gauge = Gauge(
            "gohan_jobs_leader",
            "1 while this process's job manager leads.",
            registry=self._registry,
        )
        gauge.set_function(lambda: float(leads()))

    def text(self) -> tuple[str, str]:
        """What has been counted, and its content type."""
        return generate_latest(self._registry).decode(), CONTENT_TYPE_LATEST
