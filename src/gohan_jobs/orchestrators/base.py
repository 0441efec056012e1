"""What an orchestrator is: the part of Heat's v1 API that this library stands on.

Calls return at once: an operation that changes a stack is *started*, and ``observe`` tells how far
it has come, of any number of stacks in as few requests as the orchestrator can. So waiting holds no
thread. :class:`gohan_jobs.testing.orchestrators.OrchestratorSuite` is the contract as tests.

Every method is safe to call from several threads, and may raise
:class:`~gohan_jobs.exceptions.OrchestratorUnavailable` (it may or may not have had an effect) or
:class:`~gohan_jobs.exceptions.OrchestratorRefused`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import attrs

from gohan_jobs.records import StackOutput, StackStatus

__all__ = ["Diagnosis", "Orchestrator", "Stack", "StackRequest"]


@attrs.frozen(kw_only=True)
class StackRequest:
    """What is asked of Heat for one create or update.

    Attributes:
        name: the stack's name, ``<type>_<resource id>``.
        tenant: the project it belongs to.
        template: the rendered HOT template, as text.
        parameters: Heat parameters, native JSON; null lets Heat take the template's default.
        timeout_mins: minutes after which Heat gives up; None for Heat's own default.
        tags: tags to set; ours is ``gohan-jobs:<version>:<suffix>`` (``rules`` 13), at most 80
            characters each.
        disable_rollback: always given, as Heat remembers the last call that gave it.
    """

    name: str
    tenant: str
    template: str = attrs.field(repr=False)
    parameters: Mapping[str, Any] = attrs.field(repr=False)
    timeout_mins: int | None = None
    tags: tuple[str, ...] = ()
    disable_rollback: bool = True


@attrs.frozen(kw_only=True)
class Stack:
    """A stack as it was when last looked at.

    Attributes:
        id: the orchestrator's own id; distinguishes a stack from a later one of the same name.
        name: its name.
        tenant: the project it was found in.
        status: such as ``CREATE_IN_PROGRESS``; a plain string when this library doesn't know it.
        status_reason: the orchestrator's words; never compare them.
        tags: its tags.
    """

    id: str
    name: str
    tenant: str
    status: StackStatus | str
    status_reason: str = ""
    tags: tuple[str, ...] = ()

    @property
    def in_progress(self) -> bool:
        """Whether an operation is under way."""
        return str(self.status).endswith("_IN_PROGRESS")

    @property
    def failed(self) -> bool:
        """Whether the last operation failed."""
        return str(self.status).endswith("_FAILED")


@attrs.frozen(kw_only=True)
class Diagnosis:
    """Why a stack failed.

    Attributes:
        resources: ``<name>: <reason>`` of each failed resource.
        events: the last events, newest first, a line each.
    """

    resources: tuple[str, ...] = ()
    events: tuple[str, ...] = ()


class Orchestrator(Protocol):
    """Drives stacks."""

    @property
    def request_timeout(self) -> float:
        """Seconds after which one call gives up; a lease must outlast it (``rules`` 18)."""
        ...

    def find(self, tenant: str, name: str) -> Stack | None:
        """The live stack of that name; None if there is none (a deleted one does not count)."""
        ...

    def create(self, request: StackRequest) -> Stack:
        """Start creating a stack.

        Raises:
            StackExists: the name is taken.
            StackRejected: the template, a parameter or a quota.
        """
        ...

    def update(self, stack: Stack, request: StackRequest) -> None:
        """Start updating a stack; allowed in any status but ``DELETE_*``.

        Raises:
            StackNotFound: it is gone, or being deleted, or its deletion failed: Heat then takes
                nothing but another delete.
            StackRejected: the template or a parameter.
        """
        ...

    def delete(self, stack: Stack) -> None:
        """Start deleting a stack, whatever it is doing. One that is gone is no error."""
        ...

    def observe(self, stacks: Sequence[Stack]) -> Mapping[str, Stack | None]:
        """Look at stacks again.

        Returns:
            For each ``Stack.id`` given, the stack as it is now; None once it is deleted. While it
            is in progress, its tags may be those of the stack given: read them once it settled.
        """
        ...

    def outputs(self, stack: Stack) -> tuple[StackOutput, ...]:
        """The stack's outputs, in the template's order.

        Raises:
            StackNotFound: it is gone.
        """
        ...

    def diagnose(self, stack: Stack) -> Diagnosis:
        """Why a stack failed; empty if there is nothing to tell."""
        ...

    def validate(self, request: StackRequest) -> None:
        """Ask whether a template would be accepted; starts nothing.

        Raises:
            StackRejected: it would not.
        """
        ...

    def close(self) -> None:
        """Give back what it holds; idempotent."""
        ...
