"""What a handler is, what it gets, and what it gives. The Heat handler is one of them.

A handler is called with a :class:`JobContext` and returns an outcome. It may be called again for
the same job after a death, so it looks before it acts (``rules`` 12). Waiting holds no thread: a
handler returns :class:`Later` or :class:`Observe` and is resumed.

Where handlers are registered: :mod:`gohan_jobs.handler_registry`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeAlias

import attrs

from gohan_jobs.orchestrators.base import Stack
from gohan_jobs.records import HeatStack, Job, ResourceRef, StackOutput
from gohan_jobs.stores.base import Entry

__all__ = [
    "Claim",
    "Done",
    "GiveUp",
    "Handler",
    "JobContext",
    "Later",
    "Observe",
    "Outcome",
    "RetryLater",
    "TemplateChanged",
]


@attrs.frozen(kw_only=True)
class Done:
    """The job went well.

    Attributes:
        outputs: what it gives; published as ``heat_outputs``.
        stack: the stack's record to write; None: this handler makes no stack.
        state_monitoring: the monitoring handler's result (2017); published as text.
    """

    outputs: tuple[StackOutput, ...] | None = None
    stack: HeatStack | None = None
    state_monitoring: Mapping[str, Any] | None = attrs.field(default=None, repr=False)


@attrs.frozen(kw_only=True)
class RetryLater:
    """Give the job back; it may be claimed again, by anyone, after a while.

    Attributes:
        after: seconds.
        reason: why, for those who look.
    """

    after: float
    reason: str = ""


@attrs.frozen(kw_only=True)
class GiveUp:
    """The job failed, for good: its version's result is the reason.

    Attributes:
        reason: published in ``/state``'s ``error``, secrets scrubbed.
        stack: the stack's record to write, with its own status and reason.
    """

    reason: str
    stack: HeatStack | None = None


@attrs.frozen(kw_only=True)
class Later:
    """Keep the claim, hold no thread, and resume after a while.

    Attributes:
        after: seconds.
        resume: called then.
    """

    after: float
    resume: Callable[[JobContext], Outcome]


@attrs.frozen(kw_only=True)
class Observe:
    """Keep the claim, hold no thread, and resume when a stack has settled.

    Attributes:
        stack: the stack; settled is when it is no longer ``*_IN_PROGRESS``, or gone.
        resume: called then with the stack as it is, None if it is gone.
        limit: seconds after which it is resumed all the same; None for no limit.
    """

    stack: Stack
    resume: Callable[[JobContext, Stack | None], Outcome]
    limit: float | None = None


Outcome: TypeAlias = Done | RetryLater | GiveUp | Later | Observe
"""What a handler returns."""


class TemplateChanged(Exception):
    """The template is not the one that the params were computed from (``rules`` 9).

    Let it through: the job is given back, and gets the params of the new template.
    """


class Claim(Protocol):
    """A worker's hold on a job."""

    @property
    def cancelled(self) -> str:
        """Why the handler shall stop: the claim is lost, pre-empted or stopped; else empty."""
        ...

    def guard(self, seconds: float) -> None:
        """Go on only if the claim outlasts a call of so many seconds (``rules`` 18).

        Raises:
            ClaimLost: it does not, or it is lost or pre-empted already.
        """
        ...


@attrs.frozen(kw_only=True)
class JobContext:
    """What a handler works with.

    Attributes:
        job: the job, its params not yet resolved.
        attempt: 1 for the first claim of the job.
        retries: times a handler has asked to try again.
        own_stack: the resource's stack record; None if there is none.
        claim: call :meth:`Claim.guard` before each change to the outside world.
        read: an entry of the store, for what else is needed; None if absent.
        stacks: the heat_stacks records of resources.
        template: the template's entry that the job's params were computed from; None if gone;
            raises TemplateChanged if it has changed.
        report: tells the events how far it is.
        now: clock time.
        tell: emits an event about the job, given its class and facts.
    """

    job: Job
    attempt: int
    retries: int
    own_stack: HeatStack | None
    claim: Claim = attrs.field(repr=False)
    read: Callable[[str], Entry | None] = attrs.field(repr=False)
    stacks: Callable[[tuple[ResourceRef, ...]], Mapping[ResourceRef, HeatStack | None]] = (
        attrs.field(repr=False)
    )
    template: Callable[[], Entry | None] = attrs.field(repr=False)
    report: Callable[[str], None] = attrs.field(repr=False)
    now: Callable[[], float] = attrs.field(repr=False)
    tell: Callable[..., None] = attrs.field(repr=False)

    @property
    def tag(self) -> str:
        """What marks a stack as made by this job (``rules`` 13)."""
        return f"gohan-jobs:{self.job.version}:{self.job.id.suffix}"

    @property
    def cancelled(self) -> str:
        """Why to stop, in words; empty while there is no reason to."""
        return self.claim.cancelled

    @property
    def log(self) -> logging.LoggerAdapter[logging.Logger]:
        """A logger whose records say which job they are about. Log no param: it may be secret."""
        facts = {"job_id": str(self.job.id), "attempt": self.attempt}
        return logging.LoggerAdapter(logging.getLogger("gohan_jobs.handler"), facts)

    @property
    def previous_outputs(self) -> Mapping[str, Any]:
        """What the resource's stack gave before, by output key; empty if there is none."""
        own = self.own_stack
        return {} if own is None else {each.output_key: each.output_value for each in own.output}

    def resolved_params(self) -> Mapping[str, Any]:
        """The job's params by name, outputs of stacks put in as they are now.

        Raises:
            MappingEvaluationError: an output is not there, or a param malformed.
        """
        # Rendering brings the template engine along, which not every handler needs.
        from gohan_jobs.rendering import (  # noqa: PLC0415
            needed_outputs,
            outputs_from,
            resolved_params,
        )

        return resolved_params(self.job, outputs_from(self.stacks(needed_outputs(self.job))))


class Handler(Protocol):
    """Does a job's work."""

    def __call__(self, context: JobContext, /) -> Outcome:
        """Begin, or begin again after a death.

        An exception of this library's is a failure, or a retry if it says ``retryable``; any other
        is logged and the job is retried.
        """
        ...
