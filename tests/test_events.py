"""Events, hooks, and the hook that logs."""

from __future__ import annotations

import logging

import attrs
import pytest

from gohan_jobs import events as module
from gohan_jobs.events import (
    ConfigHeld,
    Event,
    Events,
    Hook,
    JobClaimed,
    JobFailed,
    JobFinished,
    JobSuperseded,
    LeaderLost,
    StackRequested,
    log_event,
)
from gohan_jobs.orchestrators.base import StackRequest
from gohan_jobs.records import ResourceRef
from jobs_made import job_id

CLAIMED = JobClaimed(job_id=job_id(), holder="uuid")


def test_every_hook_hears_in_order() -> None:
    """One after the other, on the caller's thread."""
    heard: list[tuple[str, Event]] = []
    events = Events([lambda e: heard.append(("a", e)), lambda e: heard.append(("b", e))])
    events.emit(CLAIMED)
    assert [("a", CLAIMED), ("b", CLAIMED)] == heard


def test_nobody_needs_to_listen() -> None:
    """No hook is fine."""
    Events().emit(CLAIMED)


def test_a_hook_that_raises_breaks_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """It is logged, and the next one hears."""

    def broken(event: Event) -> None:
        raise RuntimeError("hook trouble")

    heard: list[Event] = []
    Events([broken, heard.append]).emit(CLAIMED)
    assert [CLAIMED] == heard
    (record,) = caplog.records
    assert ("hook failed", {"event": "JobClaimed"}) == (record.message, record.__dict__["facts"])


def logged(event: Event, caplog: pytest.LogCaptureFixture) -> logging.LogRecord:
    """What an event is logged as."""
    with caplog.at_level(logging.INFO, logger="gohan_jobs"):
        log_event(event)
    return caplog.records[-1]


def test_an_event_is_logged_with_its_facts(caplog: pytest.LogCaptureFixture) -> None:
    """Ids and resources as texts, so that any formatter can show them; absent facts left out."""
    record = logged(JobSuperseded(job_id=job_id()), caplog)
    assert {"job_id": str(job_id())} == record.__dict__["facts"]
    assert f"JobSuperseded job_id={job_id()}" == record.getMessage()
    named = (record.__dict__["event_name"], record.__dict__["job_id"])
    assert ("JobSuperseded", str(job_id()), logging.INFO) == (*named, record.levelno)


def test_a_line_can_be_taken_apart_again(caplog: pytest.LogCaptureFixture) -> None:
    """A fact of several words is quoted."""
    record = logged(JobFailed(job_id=job_id(), reason='no "quota"\n'), caplog)
    assert 'reason="no \\"quota\\"\\n"' in record.getMessage()
    record = logged(JobFailed(job_id=job_id(), reason="a=b"), caplog)
    assert 'reason="a=b"' in record.getMessage()


def test_a_leader_that_resigns_is_nothing_to_worry_about(caplog: pytest.LogCaptureFixture) -> None:
    """It was asked to stop; any other loss is."""
    levels = [
        logged(LeaderLost(manager_id="m", reason=reason), caplog).levelno
        for reason in ("resigned", "its lease ended")
    ]
    assert [logging.INFO, logging.WARNING] == levels


@pytest.mark.parametrize(
    ("context", "expected"),
    [({"traceparent": "00-abc-def-01"}, "abc"), ({"traceparent": "odd"}, None), ({}, None)],
)
def test_a_trace_can_be_found_in_the_log(
    context: dict[str, str], expected: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    """By its id, where the trace context has one."""
    record = logged(JobFailed(job_id=job_id(), reason="no", trace=context), caplog)
    assert expected == record.__dict__.get("trace_id")


class Tracing:
    """A hook that gives trace contexts."""

    def __init__(self, context: dict[str, str] | None) -> None:
        self.context = context

    def __call__(self, event: Event) -> None:
        """Hear an event."""

    def trace(self, resource: ResourceRef, version: int) -> dict[str, str]:
        """A context, or trouble."""
        if self.context is None:
            raise RuntimeError("trace trouble")
        return self.context


def test_the_first_trace_context_is_taken(caplog: pytest.LogCaptureFixture) -> None:
    """Hooks without one, and those in trouble, are passed over."""
    hooks: list[Hook] = [log_event, Tracing(None), Tracing({}), Tracing({"a": "b"})]
    assert {"a": "b"} == Events(hooks).trace(ResourceRef("port", "p1"), 1)
    assert {} == Events(hooks[:3]).trace(ResourceRef("port", "p1"), 1)
    assert {"event": "trace"} == caplog.records[0].__dict__["facts"]


def test_a_resource_is_logged_as_a_text(caplog: pytest.LogCaptureFixture) -> None:
    """Type and id."""
    missing = ResourceRef("network", "n")
    event = ConfigHeld(
        resource=ResourceRef("port", "p"), missing=missing, reason="why", until="noon"
    )
    record = logged(event, caplog)
    expected = {"resource": "port:p", "missing": "network:n", "reason": "why", "until": "noon"}
    assert (logging.WARNING, expected) == (record.levelno, record.__dict__["facts"])
    assert "port:p" == record.__dict__["resource"]


def test_a_failure_is_an_error(caplog: pytest.LogCaptureFixture) -> None:
    """At that level."""
    assert logging.ERROR == logged(JobFailed(job_id=job_id(), reason="no"), caplog).levelno


def test_nothing_is_made_up_when_nobody_listens(caplog: pytest.LogCaptureFixture) -> None:
    """Below the logger's level nothing is logged."""
    with caplog.at_level(logging.WARNING, logger="gohan_jobs"):
        log_event(JobFinished(job_id=job_id(), state="CREATE_COMPLETED"))
    assert [] == caplog.records


def test_what_may_be_secret_is_not_shown(caplog: pytest.LogCaptureFixture) -> None:
    """Requests and Jinja's values are for replays: neither in the repr nor in the log."""
    request = StackRequest(
        tenant="t", name="port_p", template="hidden", parameters={"password": "hidden"}
    )
    event = StackRequested(
        job_id=job_id(),
        operation="create",
        stack="port_p",
        tenant="t",
        request=request,
        jinja={"jinja_x": "hidden"},
    )
    assert "hidden" not in repr(event)
    assert "hidden" not in str(logged(event, caplog).__dict__)


def test_every_event_is_frozen_and_public() -> None:
    """All events that there are can be imported, and none can be changed."""
    names = {
        name
        for name, kind in vars(module).items()
        if isinstance(kind, type) and issubclass(kind, Event) and not name.startswith("_")
    }
    assert names <= set(module.__all__)
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        CLAIMED.holder = "x"  # type: ignore[misc]  # that is the point
