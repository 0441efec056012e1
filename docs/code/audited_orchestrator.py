"""An orchestrator around another one that writes down what is changed, and by which job."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from gohan_jobs import Orchestrator, StackOutput
from gohan_jobs.orchestrators.base import Diagnosis, Stack, StackRequest


class AuditedOrchestrator:
    """Tells of every change that was accepted.

    Args:
        orchestrator: does the work; closed with this one.
        write: takes one line.
    """

    def __init__(self, orchestrator: Orchestrator, write: Callable[[str], object]) -> None:
        self._orchestrator = orchestrator
        self._write = write

    @property
    def request_timeout(self) -> float:
        """Seconds after which one call gives up."""
        return self._orchestrator.request_timeout

    def find(self, tenant: str, name: str) -> Stack | None:
        """The live stack of that name."""
        return self._orchestrator.find(tenant, name)

    def create(self, request: StackRequest) -> Stack:
        """Start creating a stack."""
        stack = self._orchestrator.create(request)
        self._write(f"create {request.tenant}/{request.name} {','.join(request.tags)}")
        return stack

    def update(self, stack: Stack, request: StackRequest) -> None:
        """Start updating a stack."""
        self._orchestrator.update(stack, request)
        self._write(f"update {stack.tenant}/{stack.name} {','.join(request.tags)}")

    def delete(self, stack: Stack) -> None:
        """Start deleting a stack."""
        self._orchestrator.delete(stack)
        self._write(f"delete {stack.tenant}/{stack.name}")

    def observe(self, stacks: Sequence[Stack]) -> Mapping[str, Stack | None]:
        """Look at stacks again."""
        return self._orchestrator.observe(stacks)

    def outputs(self, stack: Stack) -> tuple[StackOutput, ...]:
        """The stack's outputs."""
        return self._orchestrator.outputs(stack)

    def diagnose(self, stack: Stack) -> Diagnosis:
        """Why a stack failed."""
        return self._orchestrator.diagnose(stack)

    def validate(self, request: StackRequest) -> None:
        """Ask whether a template would be accepted."""
        self._orchestrator.validate(request)

    def close(self) -> None:
        """Give back what it holds."""
        self._orchestrator.close()


if TYPE_CHECKING:

    def _is_an_orchestrator(orchestrator: AuditedOrchestrator) -> Orchestrator:
        return orchestrator
