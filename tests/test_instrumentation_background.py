"""A hook in the background: told everything it has room for, never waited for."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping

import pytest

from gohan_jobs import instrumentation
from gohan_jobs.events import Event, JobReleased
from gohan_jobs.instrumentation import BackgroundHook
from gohan_jobs.records import ResourceRef
from jobs_made import job_id

PATIENCE = 20.0
EVENTS = [JobReleased(job_id=job_id(version=number)) for number in range(1, 6)]


class Stuck:
    """A hook that stands still until it is let go."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.go_on = threading.Event()
        self.heard: list[Event] = []

    def __call__(self, event: Event) -> None:
        """Wait, then hear."""
        self.entered.set()
        assert self.go_on.wait(PATIENCE)
        self.heard.append(event)


def test_all_names_are_loaded_on_use() -> None:
    """What is offered is there, and nothing else."""
    for name in instrumentation.__all__:
        assert name == getattr(instrumentation, name).__name__
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = instrumentation.nothing  # type: ignore[attr-defined]  # is not there


def test_the_hook_is_told_in_order() -> None:
    """On another thread, one after the other."""
    heard: list[Event] = []
    with BackgroundHook(heard.append) as hook:
        for event in EVENTS:
            hook(event)
        assert hook.flush(PATIENCE)
        assert EVENTS == heard
    assert 0 == hook.dropped


def test_what_is_too_much_is_dropped(caplog: pytest.LogCaptureFixture) -> None:
    """The caller never waits; the first loss is logged, all are counted."""
    stuck = Stuck()
    hook = BackgroundHook(stuck, capacity=2)
    hook(EVENTS[0])
    assert stuck.entered.wait(PATIENCE)
    for event in EVENTS[1:]:
        hook(event)
    assert 2 == hook.dropped
    assert not hook.flush(0.0)
    stuck.go_on.set()
    hook.close(PATIENCE)
    assert EVENTS[:3] == stuck.heard
    (record,) = caplog.records
    assert (logging.WARNING, "HookOverrun") == (record.levelno, record.message)


def test_close_does_not_wait_for_ever() -> None:
    """What has not been told in time is dropped; afterwards, everything is."""
    stuck = Stuck()
    hook = BackgroundHook(stuck)
    hook(EVENTS[0])
    assert stuck.entered.wait(PATIENCE)
    hook(EVENTS[1])
    hook.close(0.0)
    assert 1 == hook.dropped
    stuck.go_on.set()
    hook.close(PATIENCE)
    hook(EVENTS[2])
    assert 2 == hook.dropped
    assert EVENTS[:1] == stuck.heard


def test_a_hook_that_raises_hears_the_next(caplog: pytest.LogCaptureFixture) -> None:
    """Its thread lives on."""
    heard: list[Event] = []

    def broken(event: Event) -> None:
        heard.append(event)
        raise RuntimeError("hook trouble")

    with BackgroundHook(broken) as hook:
        hook(EVENTS[0])
        hook(EVENTS[1])
    assert EVENTS[:2] == heard
    assert ["hook failed", "hook failed"] == [record.message for record in caplog.records]


def test_a_trace_is_asked_for_at_once() -> None:
    """Of a hook that has traces; of any other there are none."""

    class Tracing:
        def __call__(self, event: Event) -> None:
            """Hear nothing."""

        def trace(self, resource: ResourceRef, version: int) -> Mapping[str, str]:
            return {"traceparent": f"{resource} {version}"}

    resource = ResourceRef("network", "n1")
    tracing = Tracing()
    tracing(EVENTS[0])
    with BackgroundHook(tracing) as traced, BackgroundHook(lambda _: None) as other:
        assert {"traceparent": "network:n1 3"} == traced.trace(resource, 3)
        assert {} == other.trace(resource, 3)


def test_there_has_to_be_room() -> None:
    """A capacity of none is refused."""
    with pytest.raises(ValueError, match="at least 1 event has to find room, not 0"):
        BackgroundHook(lambda _: None, capacity=0)
