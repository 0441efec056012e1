"""Every call is recorded, and goes as it was scripted to go."""

from __future__ import annotations

import collections
import copy
from collections.abc import Callable
from typing import TypeVar

import attrs

from gohan_jobs.clock import Clock
from gohan_jobs.exceptions import OrchestratorError
from gohan_jobs.orchestrators.base import StackRequest
from gohan_jobs.orchestrators.simulated.outcomes import Call, Outcome
from gohan_jobs.orchestrators.simulated.scripting import Scripts

__all__ = ["CallRecorder"]

T = TypeVar("T")


class CallRecorder:
    """Runs calls and remembers them. Not thread-safe.

    Args:
        clock: the time of day of the calls.
        scripts: how calls go.
        history: how many calls are remembered.

    Attributes:
        outage: while set, every call raises it.
    """

    def __init__(self, clock: Clock, scripts: Scripts, history: int) -> None:
        self.outage: OrchestratorError | None = None
        self._clock = clock
        self._scripts = scripts
        self._calls: collections.deque[Call] = collections.deque(maxlen=history)

    @property
    def calls(self) -> tuple[Call, ...]:
        """The calls so far, oldest first."""
        return tuple(self._calls)

    def call(self, op: str, stack: str, tenant: str, stack_id: str = "") -> Call:
        """A call that carries no request."""
        return Call(op=op, stack=stack, tenant=tenant, at=self._clock.wall(), stack_id=stack_id)

    def request(self, op: str, request: StackRequest, stack_id: str = "") -> Call:
        """A call that carries a request."""
        return attrs.evolve(
            self.call(op, request.name, request.tenant, stack_id),
            tags=request.tags,
            parameters=copy.deepcopy(dict(request.parameters)),
            template=request.template,
            timeout_mins=request.timeout_mins,
            disable_rollback=request.disable_rollback,
        )

    def run(self, call: Call, work: Callable[[Outcome], T]) -> T:
        """Do a call's work, or what was scripted instead, and remember the call.

        Raises:
            OrchestratorError: the work's, the scripted one, or the outage.
        """
        try:
            result = self._attempt(call, work)
        except OrchestratorError as error:
            self._calls.append(attrs.evolve(call, error=type(error).__name__))
            raise
        self._calls.append(call)
        return result

    def _attempt(self, call: Call, work: Callable[[Outcome], T]) -> T:
        if self.outage is not None:
            raise copy.copy(self.outage)
        outcome = self._scripts.take(call)
        if outcome.error is None:
            return work(outcome)
        if outcome.takes_effect:
            work(outcome)
        raise copy.copy(outcome.error)
