"""What a test can make happen, and what it can see of what was asked."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

import attrs

from gohan_jobs.exceptions import OrchestratorError
from gohan_jobs.records import StackOutput, StackStatus

__all__ = ["Call", "Outcome"]


@attrs.frozen(kw_only=True)
class Outcome:
    """How one call, and the operation it starts, go. Without arguments: as the template says.

    Attributes:
        error: raised by the call; None if it answers.
        takes_effect: with ``error``, whether the call did its work before its answer was lost.
        fails: the operation ends in ``*_FAILED``.
        status: the operation's final status, verbatim; None for ``*_COMPLETE`` or, with ``fails``,
            ``*_FAILED``.
        reason: the final status's reason; ``""`` for Heat's usual words.
        resource_reasons: reason of each resource that failed, by its name.
        seconds: how long the operation takes; None for the simulator's usual time.
        outputs: the stack's outputs from the operation's end on, verbatim; None for the template's.
        hang: the operation goes on until it is told to finish, or runs into its time limit.
    """

    error: OrchestratorError | None = None
    takes_effect: bool = False
    fails: bool = False
    status: StackStatus | str | None = None
    reason: str = ""
    resource_reasons: Mapping[str, str] = attrs.field(factory=dict)
    seconds: float | None = None
    outputs: tuple[StackOutput, ...] | None = None
    hang: bool = False

    @property
    def decides(self) -> bool:
        """Whether the final status is given here rather than by the template."""
        return self.fails or self.status is not None or bool(self.resource_reasons)

    def final_status(self, action: str) -> str:
        """The status in which an operation ends that this decides on.

        Args:
            action: ``CREATE``, ``UPDATE``, ``DELETE`` or ``ROLLBACK``.
        """
        if self.status is not None:
            return str(self.status)
        return f"{action}_{'FAILED' if self.fails or self.resource_reasons else 'COMPLETE'}"

    def final_reason(self, action: str) -> str:
        """The reason that goes with :meth:`final_status`."""
        if self.reason:
            return self.reason
        if self.final_status(action).endswith("_FAILED"):
            first = next(iter(self.resource_reasons.values()), "scripted")
            return f"Resource {action} failed: {first}"
        return f"Stack {action} completed successfully"


@attrs.frozen(kw_only=True)
class Call:
    """A call as it arrived.

    Attributes:
        op: the method's name, such as ``create``.
        stack: the stack's name; of an ``observe``, all names with spaces between.
        tenant: its project; of an ``observe``, the first stack's.
        at: the time of day by the simulator's clock.
        stack_id: the stack's id; ``""`` for a call that goes by name, or was refused.
        tags: tags sent along.
        parameters: parameters sent along; not shown in a repr, since they hold passwords.
        template: the template sent along; not shown in a repr.
        timeout_mins: the time limit sent along.
        disable_rollback: the flag sent along.
        error: name of the error it was answered with; ``""`` if it was answered well.
    """

    op: str
    stack: str
    tenant: str
    at: dt.datetime
    stack_id: str = ""
    tags: tuple[str, ...] = ()
    parameters: Mapping[str, Any] = attrs.field(factory=dict, repr=False)
    template: str = attrs.field(default="", repr=False)
    timeout_mins: int | None = None
    disable_rollback: bool | None = None
    error: str = ""

    @property
    def changes(self) -> bool:
        """Whether it is one that changes a stack."""
        return self.op in {"create", "update", "delete"}
