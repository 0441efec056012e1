"""What happens, as one stream of frozen objects to any number of hooks.

A hook is any callable that takes an event. Hooks run on the thread on which it happened, must be
quick (:class:`gohan_jobs.instrumentation.BackgroundHook` makes any hook so), and can't break the
flow: what they raise is logged and forgotten. No event holds a secret; bodies, parameters and
templates that some carry for replays are kept out of their repr.

A hook that also is a :class:`TraceSource` is asked for the trace context of each planned version.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol, TypeAlias

import attrs

from gohan_jobs.keys import JobId
from gohan_jobs.orchestrators.base import StackRequest
from gohan_jobs.records import ResourceRef

__all__ = [
    "ConfigHeld",
    "ConfigRejected",
    "ConfigSetAside",
    "ConfigVetoed",
    "Event",
    "Events",
    "Hook",
    "JobCancelled",
    "JobClaimed",
    "JobFailed",
    "JobFinished",
    "JobHandedBack",
    "JobPlanned",
    "JobProgressed",
    "JobReleased",
    "JobSuperseded",
    "LeaderElected",
    "LeaderLost",
    "LeaseLost",
    "OrchestratorCalled",
    "OrphanFound",
    "RequestCarriedOut",
    "RequestDropped",
    "StackRequested",
    "StoreRecovered",
    "StoreTroubled",
    "TraceSource",
    "WatchResumed",
    "log_event",
]


@attrs.frozen(kw_only=True)
class Event:
    """The root of all events."""


@attrs.frozen(kw_only=True)
class _OfJob(Event):
    """About one job.

    Attributes:
        job_id: which.
        trace: W3C trace context of its config version; empty when nobody traces.
    """

    job_id: JobId
    trace: Mapping[str, str] = attrs.field(factory=dict, repr=False)


@attrs.frozen(kw_only=True)
class _OfResource(Event):
    """About one resource.

    Attributes:
        resource: which.
        version: of its config; None if unknown.
    """

    resource: ResourceRef
    version: int | None = None


@attrs.frozen(kw_only=True)
class JobPlanned(_OfJob):
    """A job was queued.

    Attributes:
        dependencies: how many jobs it waits for.
    """

    dependencies: int = 0


@attrs.frozen(kw_only=True)
class JobReleased(_OfJob):
    """A job has nothing left to wait for and may be claimed."""


@attrs.frozen(kw_only=True)
class JobClaimed(_OfJob):
    """A worker has reserved a job.

    Attributes:
        holder: its reservation's uuid.
        attempt: 1 for the first claim.
        retries: times its handler had asked to try again.
        planned_at: time of day at which it was queued, ISO 8601; empty if nobody knows.
    """

    holder: str
    attempt: int = 1
    retries: int = 0
    planned_at: str = ""


@attrs.frozen(kw_only=True)
class StackRequested(_OfJob):
    """A handler is about to ask the orchestrator for a change.

    Attributes:
        operation: ``create``, ``update`` or ``delete``.
        stack: the stack's name.
        tenant: its project.
        request: what is asked for; None for a delete. Not shown.
        jinja: the values that went to Jinja. Not shown.
    """

    operation: str
    stack: str
    tenant: str
    request: StackRequest | None = attrs.field(default=None, repr=False)
    jinja: Mapping[str, Any] = attrs.field(factory=dict, repr=False)


@attrs.frozen(kw_only=True)
class JobProgressed(_OfJob):
    """A handler reports.

    Attributes:
        message: its words.
    """

    message: str


@attrs.frozen(kw_only=True)
class JobFinished(_OfJob):
    """A job's result was written.

    Attributes:
        state: the worker state it ended in.
        seconds: since it was claimed.
    """

    state: str
    seconds: float = 0.0


@attrs.frozen(kw_only=True)
class JobFailed(_OfJob):
    """A job's failure was written.

    Attributes:
        reason: why.
        seconds: since it was claimed.
    """

    reason: str
    seconds: float = 0.0


@attrs.frozen(kw_only=True)
class JobHandedBack(_OfJob):
    """A job went back to the queue.

    Attributes:
        reason: why.
        after: seconds it is to wait.
        lost: whether its claim was lost rather than given back.
    """

    reason: str
    after: float = 0.0
    lost: bool = False


@attrs.frozen(kw_only=True)
class JobCancelled(_OfJob):
    """A job was ended because another failed, or by an operator.

    Attributes:
        reason: why.
    """

    reason: str


@attrs.frozen(kw_only=True)
class JobSuperseded(_OfJob):
    """A job was ended because a later change made it superfluous (``rules`` 7, 8, 15).

    Attributes:
        by: the job that did, if one did.
    """

    by: JobId | None = None


@attrs.frozen(kw_only=True)
class ConfigHeld(_OfResource):
    """A config waits for something it refers to (``rules`` 5).

    Attributes:
        missing: what it waits for.
        reason: what it would fail with now.
        until: time of day at which it does fail, ISO 8601.
    """

    missing: ResourceRef
    reason: str
    until: str = ""


@attrs.frozen(kw_only=True)
class ConfigVetoed(_OfResource):
    """The admission hook lets a change not be queued now (:mod:`gohan_jobs.admission`).

    Told each time that it says so.

    Attributes:
        reason: why.
        until: time of day at which it is asked again, ISO 8601, unless the config changes before.
        failed: whether the hook failed, rather than said so.
    """

    reason: str
    until: str
    failed: bool = False


@attrs.frozen(kw_only=True)
class ConfigRejected(_OfResource):
    """A config can't be planned; its ``/state`` says so.

    Attributes:
        reason: why.
    """

    reason: str


@attrs.frozen(kw_only=True)
class ConfigSetAside(Event):
    """Something stored can't be used (``rules`` 10).

    Attributes:
        key: where it stands.
        reason: what is wrong with it.
    """

    key: str
    reason: str


@attrs.frozen(kw_only=True)
class OrphanFound(_OfResource):
    """A stack's config is gone and nobody asked to delete the stack (``rules`` 16).

    Attributes:
        reason: why it is kept.
    """

    reason: str


@attrs.frozen(kw_only=True)
class RequestCarriedOut(_OfResource):
    """The leader has done what an operator asked for.

    Attributes:
        request: ``retry`` or ``cancel``.
        by: who asked.
    """

    request: str
    by: str = ""


@attrs.frozen(kw_only=True)
class RequestDropped(_OfResource):
    """What an operator asked for was not done, and will not be.

    Attributes:
        request: ``retry`` or ``cancel``.
        reason: why.
        by: who asked.
    """

    request: str
    reason: str
    by: str = ""


@attrs.frozen(kw_only=True)
class LeaderElected(Event):
    """This process's job manager leads.

    Attributes:
        manager_id: the uuid at ``/job_manager_id``.
    """

    manager_id: str


@attrs.frozen(kw_only=True)
class LeaderLost(Event):
    """This process's job manager no longer leads.

    Attributes:
        manager_id: its uuid.
        reason: why.
    """

    manager_id: str
    reason: str


@attrs.frozen(kw_only=True)
class LeaseLost(Event):
    """A worker's lease ended; its claims are gone.

    Attributes:
        worker_id: the worker.
        jobs: how many claims it covered.
    """

    worker_id: str
    jobs: int


@attrs.frozen(kw_only=True)
class WatchResumed(Event):
    """Everything was read again, since the history needed had been compacted.

    Attributes:
        revision: as of which it was read.
    """

    revision: int


@attrs.frozen(kw_only=True)
class StoreTroubled(Event):
    """The store could not be used; work goes on when it can.

    Attributes:
        role: ``manager``, ``worker``, or ``keeper``, which renews leases.
        reason: what it said. It is told again only when that changes.
    """

    role: str
    reason: str


@attrs.frozen(kw_only=True)
class StoreRecovered(Event):
    """The store can be used again.

    Attributes:
        role: ``manager``, ``worker``, or ``keeper``, which renews leases.
        failures: attempts that failed meanwhile.
    """

    role: str
    failures: int


@attrs.frozen(kw_only=True)
class OrchestratorCalled(Event):
    """A call to the orchestrator is over; told by an ``ObservedOrchestrator``.

    Attributes:
        operation: the method: ``find``, ``create``, ``update``, ``delete``, ``observe`` …
        tenant: whose project; of the first stack where it is about several.
        stack: the stack's name; empty where it is about several.
        seconds: how long it took.
        error: name of the error's class; empty if there was none.
    """

    operation: str
    tenant: str
    stack: str = ""
    seconds: float = 0.0
    error: str = ""


Hook: TypeAlias = Callable[[Event], None]
"""What listens."""


class TraceSource(Protocol):
    """A hook that traces, too."""

    def trace(self, resource: ResourceRef, version: int) -> Mapping[str, str]:
        """A new W3C trace context for a config version that is being planned; empty for none.

        It is stored with the version's jobs, so that every event of them carries it, in whichever
        process. It may be asked again for the same version, if planning has to be repeated.
        """
        ...


_log = logging.getLogger("gohan_jobs")

_TRACEPARENT_PARTS = 4

_LEVELS: dict[type[Event], int] = {
    JobFailed: logging.ERROR,
    JobCancelled: logging.ERROR,
    ConfigRejected: logging.ERROR,
    ConfigSetAside: logging.ERROR,
    OrphanFound: logging.WARNING,
    LeaseLost: logging.WARNING,
    LeaderLost: logging.WARNING,
    StoreTroubled: logging.WARNING,
    ConfigHeld: logging.WARNING,
    RequestDropped: logging.WARNING,
    ConfigVetoed: logging.WARNING,
    OrchestratorCalled: logging.DEBUG,
    JobHandedBack: logging.WARNING,
}


class Events:
    """Hands events to hooks.

    Args:
        hooks: who listens, in order.
    """

    def __init__(self, hooks: Iterable[Hook] = ()) -> None:
        self._hooks = tuple(hooks)

    def emit(self, event: Event) -> None:
        """Tell every hook; what one raises is logged, and the next is told."""
        for hook in self._hooks:
            try:
                hook(event)
            except Exception:  # noqa: BLE001 - a hook can't break the flow
                _failed(event)

    def trace(self, resource: ResourceRef, version: int) -> Mapping[str, str]:
        """The trace context of a config version, from the first hook that has one; else empty."""
        for hook in self._hooks:
            source = getattr(hook, "trace", None)
            if source is None:
                continue
            try:
                context = dict(source(resource, version))
            except Exception:  # noqa: BLE001 - a hook can't break the flow
                _failed(None)
                continue
            if context:
                return context
        return {}


def _failed(event: Event | None) -> None:
    name = "trace" if event is None else type(event).__name__
    _log.exception("hook failed", extra={"event_name": "HookFailed", "facts": {"event": name}})


def log_event(event: Event) -> None:
    """A hook that logs to ``gohan_jobs``, for people and for structured logging.

    The message is the event's name and its facts. The record's ``event_name`` is the name alone,
    ``facts`` an object of texts and numbers, and ``job_id``, ``resource`` and ``trace_id`` stand
    there by themselves if the event has them; structlog's ``ExtraAdder`` takes them over. These
    names stay as they are.
    """
    level = _LEVELS.get(type(event), logging.INFO)
    if isinstance(event, LeaderLost) and event.reason == "resigned":
        level = logging.INFO  # it was asked to stop: nothing to worry about
    if not _log.isEnabledFor(level):
        return
    name, facts = type(event).__name__, _facts(event)
    extra = {"event_name": name, "facts": facts}
    extra |= {key: facts[key] for key in ("job_id", "resource") if key in facts}
    trace_id = _trace_id(event)
    if trace_id:
        extra["trace_id"] = trace_id
    text = " ".join(f"{key}={_shown(value)}" for key, value in facts.items())
    _log.log(level, "%s %s", name, text, extra=extra)


def _facts(event: Event) -> dict[str, Any]:
    return {
        field.name: str(value) if isinstance(value, JobId | ResourceRef) else value
        for field in attrs.fields(type(event))
        if field.repr and (value := getattr(event, field.name)) is not None
    }


def _shown(value: object) -> str:
    """One word, so that a line can be taken apart again."""
    text = str(value)
    if text and text.isprintable() and not any(mark in text for mark in ' "='):
        return text
    return json.dumps(text, ensure_ascii=False)


def _trace_id(event: Event) -> str:
    """The trace's id in a W3C ``traceparent``: ``00-<trace id>-<span id>-<flags>``."""
    parts = getattr(event, "trace", {}).get("traceparent", "").split("-")
    return parts[1] if len(parts) >= _TRACEPARENT_PARTS else ""
