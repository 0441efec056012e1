"""An orchestrator whose every call is told to hooks: for metrics and traces of Heat."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar

from gohan_jobs.clock import Clock, SystemClock
from gohan_jobs.events import Events, Hook, OrchestratorCalled
from gohan_jobs.orchestrators.base import Diagnosis, Orchestrator, Stack, StackRequest
from gohan_jobs.records import StackOutput

__all__ = ["ObservedOrchestrator"]

_Answer = TypeVar("_Answer")


class ObservedOrchestrator:
    """Does what the orchestrator it wraps does, and tells how long each call took.

    Args:
        orchestrator: the real one; closed with this one.
        hooks: told of each call, after it; the same ones as the Lifecycle's.
        clock: the time.
    """

    def __init__(
        self, orchestrator: Orchestrator, hooks: Iterable[Hook], clock: Clock | None = None
    ) -> None:
        self._orchestrator = orchestrator
        self._events = Events(hooks)
        self._clock = clock or SystemClock()

    @property
    def request_timeout(self) -> float:
        """See :attr:`gohan_jobs.orchestrators.base.Orchestrator.request_timeout`."""
        return self._orchestrator.request_timeout

    def find(self, tenant: str, name: str) -> Stack | None:
        """See :meth:`gohan_jobs.orchestrators.base.Orchestrator.find`."""
        return self._told("find", tenant, name, lambda: self._orchestrator.find(tenant, name))

    def create(self, request: StackRequest) -> Stack:
        """See :meth:`gohan_jobs.orchestrators.base.Orchestrator.create`."""
        return self._told(
            "create", request.tenant, request.name, lambda: self._orchestrator.create(request)
        )

    def update(self, stack: Stack, request: StackRequest) -> None:
        """See :meth:`gohan_jobs.orchestrators.base.Orchestrator.update`."""
        self._told(
            "update", stack.tenant, stack.name, lambda: self._orchestrator.update(stack, request)
        )

    def delete(self, stack: Stack) -> None:
        """See :meth:`gohan_jobs.orchestrators.base.Orchestrator.delete`."""
        self._told("delete", stack.tenant, stack.name, lambda: self._orchestrator.delete(stack))

    def observe(self, stacks: Sequence[Stack]) -> Mapping[str, Stack | None]:
        """See :meth:`gohan_jobs.orchestrators.base.Orchestrator.observe`."""
        tenant = stacks[0].tenant if stacks else ""
        name = stacks[0].name if len(stacks) == 1 else ""
        return self._told("observe", tenant, name, lambda: self._orchestrator.observe(stacks))

    def outputs(self, stack: Stack) -> tuple[StackOutput, ...]:
        """See :meth:`gohan_jobs.orchestrators.base.Orchestrator.outputs`."""
        return self._told(
            "outputs", stack.tenant, stack.name, lambda: self._orchestrator.outputs(stack)
        )

    def diagnose(self, stack: Stack) -> Diagnosis:
        """See :meth:`gohan_jobs.orchestrators.base.Orchestrator.diagnose`."""
        return self._told(
            "diagnose", stack.tenant, stack.name, lambda: self._orchestrator.diagnose(stack)
        )

    def validate(self, request: StackRequest) -> None:
        """See :meth:`gohan_jobs.orchestrators.base.Orchestrator.validate`."""
        self._told(
            "validate", request.tenant, request.name, lambda: self._orchestrator.validate(request)
        )

    def close(self) -> None:
        """See :meth:`gohan_jobs.orchestrators.base.Orchestrator.close`; told to nobody."""
        self._orchestrator.close()

    def _told(
        self, operation: str, tenant: str, stack: str, call: Callable[[], _Answer]
    ) -> _Answer:
        started = self._clock.now()
        error = ""
        try:
            return call()
        except BaseException as raised:
            error = type(raised).__name__
            raise
        finally:
            self._events.emit(
                OrchestratorCalled(
                    operation=operation,
                    tenant=tenant,
                    stack=stack,
                    seconds=self._clock.now() - started,
                    error=error,
                )
            )


if TYPE_CHECKING:

    def _is_orchestrator(observed: ObservedOrchestrator) -> Orchestrator:
        return observed
