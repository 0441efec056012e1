"""Points 3 and 4: what the stack is, and how the job ended."""

from __future__ import annotations

from typing import Any

import attrs

from gohan_jobs.records.unknown import UnknownField, by_name
from gohan_jobs.records.vocabulary import OrchestrationState, StackStatus

__all__ = ["HeatStack", "JobState", "StackOutput"]


@attrs.frozen(kw_only=True)
class StackOutput:
    """One output of a stack.

    Attributes:
        output_key: its name.
        output_value: any JSON; not shown in a repr.
        description: the template's words.
        output_error: why the value could not be computed; None if the field is absent.
        unknown: fields this release does not know.
    """

    output_key: str
    output_value: Any = attrs.field(repr=False)
    description: str = ""
    output_error: str | None = None
    unknown: tuple[UnknownField, ...] = attrs.field(default=(), eq=by_name)


@attrs.frozen(kw_only=True)
class HeatStack:
    """A resource's stack, at ``/esi-worker/heat_stacks/<path>`` (``seed 1``, point 3).

    Attributes:
        id: ``<type>:<resource id>``.
        stack_id: the Heat stack's *name*, ``<type>_<resource id>``; ``""`` once deleted.
        tenant_id: the project it lives in.
        stack_status: Heat's status.
        status_reason: Heat's words; they differ by release, so never compare them.
        output: the stack's outputs.
        unknown: fields this release does not know.
    """

    id: str
    stack_id: str
    tenant_id: str
    stack_status: StackStatus | str
    status_reason: str = ""
    output: tuple[StackOutput, ...] = ()
    unknown: tuple[UnknownField, ...] = attrs.field(default=(), eq=by_name)


@attrs.frozen(kw_only=True)
class JobState:
    """How a job is doing, at ``/esi-worker/job_state/<path>`` (``seed 1``, point 4).

    ``JobState()`` is ``{}``: a worker has reserved the job.

    Attributes:
        heat_outputs: the stack's outputs; None if the field is absent.
        orchestration_state: how it ended; None if the field is absent (2017).
        error: the reason of a failure; None if the field is absent.
        state_monitoring: the monitoring handler's result, an object (2017); None if absent.
        unknown: fields this release does not know.
    """

    heat_outputs: tuple[StackOutput, ...] | None = None
    orchestration_state: OrchestrationState | str | None = None
    error: str | None = None
    state_monitoring: dict[str, Any] | None = attrs.field(default=None, repr=False)
    unknown: tuple[UnknownField, ...] = attrs.field(default=(), eq=by_name)
