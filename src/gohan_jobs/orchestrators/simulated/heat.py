"""Heat in this process, without OpenStack."""

from __future__ import annotations

import itertools
import math
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from gohan_jobs.clock import Clock
from gohan_jobs.exceptions import OrchestratorError, StackExists, StackNotFound
from gohan_jobs.orchestrators.base import Diagnosis, Orchestrator, Stack, StackRequest
from gohan_jobs.orchestrators.simulated.acceptance import (
    accept,
    check_immutable,
    check_name,
    validate,
)
from gohan_jobs.orchestrators.simulated.outcomes import Call, Outcome
from gohan_jobs.orchestrators.simulated.recorder import CallRecorder
from gohan_jobs.orchestrators.simulated.registry import StackRegistry
from gohan_jobs.orchestrators.simulated.resource_types import DEFAULT_NAMESPACES
from gohan_jobs.orchestrators.simulated.scripting import Scripts
from gohan_jobs.orchestrators.simulated.stack import Blueprint, SimulatedStack
from gohan_jobs.orchestrators.simulated.template import parse_template
from gohan_jobs.records import StackOutput, StackStatus

__all__ = ["DELETING", "SimulatedHeat"]

T = TypeVar("T")

DELETING = "Updating a stack when it is deleting is not supported."
"""What Heat says to an update of a stack that is being deleted, or whose delete failed."""

_TOLD_EVENTS = 10


class SimulatedHeat:
    """Stacks per tenant that live on a clock. Safe to use from several threads.

    Time passes only by the clock: an operation is over once the clock says so, and the next call
    sees it. With ``operation_seconds=0`` that is the very next one.

    Args:
        clock: says when operations end.
        operation_seconds: how long an operation takes whose resources wait for nothing;
            ``math.inf`` if only :meth:`finish` is to end operations.
        default_timeout_seconds: an operation's time limit if its stack has none of its own.
        enforce_timeouts: whether time limits end operations.
        request_timeout: what :attr:`request_timeout` says, in seconds.
        namespaces: patterns of resource types accepted without being known.
        id_source: gives the ids of stacks and resources; they count up if it is None.
        outcome_of: asked about each call for which nothing was scripted; an answer of None lets
            the call go as the template says.
        call_history: how many calls are remembered.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        operation_seconds: float = 0.0,
        default_timeout_seconds: float = 3600.0,
        enforce_timeouts: bool = True,
        request_timeout: float = 30.0,
        namespaces: Sequence[str] = DEFAULT_NAMESPACES,
        id_source: Callable[[], str] | None = None,
        outcome_of: Callable[[Call], Outcome | None] | None = None,
        call_history: int = 100_000,
    ) -> None:
        self._clock = clock
        self._operation_seconds = operation_seconds
        self._default_timeout = default_timeout_seconds
        self._enforce_timeouts = enforce_timeouts
        self._request_timeout = request_timeout
        self._namespaces = tuple(namespaces)
        self._ids = id_source or _count_ids()
        self._scripts = Scripts(outcome_of)
        self._lock = threading.RLock()
        self._stacks = StackRegistry(clock)
        self._recorder = CallRecorder(clock, self._scripts, call_history)

    @property
    def outage(self) -> OrchestratorError | None:
        """While it is set, every call raises it and has no effect."""
        return self._recorder.outage

    @outage.setter
    def outage(self, error: OrchestratorError | None) -> None:
        self._recorder.outage = error

    @property
    def calls(self) -> tuple[Call, ...]:
        """Every call so far, oldest first, those that raised included."""
        with self._lock:
            return self._recorder.calls

    @property
    def changes(self) -> tuple[Call, ...]:
        """The calls that change stacks: creates, updates and deletes."""
        return tuple(call for call in self.calls if call.changes)

    def script(
        self,
        name: str | None,
        *outcomes: Outcome,
        op: str | None = None,
        tenant: str | None = None,
    ) -> None:
        """Say how coming calls go, one outcome a call.

        Args:
            name: the stack's name; None for any.
            outcomes: in the order of the calls.
            op: the method's name; None for any call that changes a stack.
            tenant: the stack's project; None for any.
        """
        with self._lock:
            for outcome in outcomes:
                self._scripts.add(name, tenant, op, outcome)

    def script_attributes(
        self,
        resource_type: str,
        values: Mapping[str, Any],
        *,
        stack: str | None = None,
        resource: str | None = None,
    ) -> None:
        """Give resources attributes from their next change on.

        Args:
            resource_type: the type whose resources get them.
            values: the attributes; they win over the type's own.
            stack: only in the stack of this name.
            resource: only the resource of this name.
        """
        with self._lock:
            self._scripts.add_attributes(resource_type, values, stack, resource)

    def finish(
        self, name: str, outcome: Outcome | None = None, *, tenant: str | None = None
    ) -> Stack:
        """End the operation that is under way on a stack, now; it may hang.

        Args:
            name: the stack's name.
            outcome: how it ends; None for what was scripted when it began.
            tenant: its project; None if the name is enough.

        Returns:
            The stack as it is then.

        Raises:
            StackNotFound: there is no such stack.
            ValueError: nothing is under way.
        """
        with self._lock:
            stack = self._stacks.first_live(
                lambda found: found.name == name and tenant in {None, found.tenant}
            )
            if stack is None:
                raise _not_found(name)
            stack.finish(self._clock.now(), outcome)
            self._stacks.bury(stack)
            return _view(stack)

    def stacks(
        self, tenant: str, render: Callable[[SimulatedStack], T], *, deleted: bool = False
    ) -> list[T]:
        """Look at a tenant's stacks, newest first, without a call being recorded.

        Args:
            tenant: the project.
            render: makes what is wanted of a stack; nothing moves meanwhile.
            deleted: whether to look at deleted ones too.
        """
        with self._lock:
            return [render(s) for s in self._stacks.of_tenant(tenant, deleted=deleted)]

    def note(self, op: str, stack: str, tenant: str, stack_id: str = "") -> None:
        """Record a call that only looks, of a kind that is none of this class's methods.

        Args:
            op: what it is called.
            stack: the stack's name.
            tenant: its project.
            stack_id: its id.

        Raises:
            OrchestratorError: what was scripted for such a call, or the outage.
        """
        self._run(self._recorder.call(op, stack, tenant, stack_id), lambda _outcome: None)

    def inspect(self, tenant: str, identity: str, render: Callable[[SimulatedStack], T]) -> T:
        """Look at one stack without a call being recorded.

        Args:
            tenant: the project.
            identity: its id, which finds deleted stacks too, or its name.
            render: makes what is wanted of it; nothing moves meanwhile.

        Raises:
            StackNotFound: there is no such stack.
        """
        with self._lock:
            stack = self._stacks.by_name(tenant, identity) or self._stacks.by_id(tenant, identity)
            if stack is None:
                raise _not_found(identity)
            return render(stack)

    @property
    def request_timeout(self) -> float:
        """Seconds a call may take; here it takes none."""
        return self._request_timeout

    def find(self, tenant: str, name: str) -> Stack | None:
        """The live stack of that name."""
        call = self._recorder.call("find", name, tenant)

        def work(_outcome: Outcome) -> Stack | None:
            stack = self._stacks.by_name(tenant, name)
            return None if stack is None else _view(stack)

        return self._run(call, work)

    def create(self, request: StackRequest) -> Stack:
        """Start creating a stack.

        Raises:
            StackExists: the name is taken.
            StackRejected: the template, a parameter or a tag.
        """
        return self._run(
            self._recorder.request("create", request),
            lambda outcome: self._create(request, outcome),
        )

    def update(self, stack: Stack, request: StackRequest) -> None:
        """Start updating a stack.

        Raises:
            StackNotFound: it is gone, or being deleted.
            StackRejected: the template, a parameter or a tag.
        """
        call = self._recorder.request("update", request, stack.id)
        self._run(call, lambda outcome: self._update(stack, request, outcome))

    def delete(self, stack: Stack) -> None:
        """Start deleting a stack, whatever it is doing. One that is gone is no error."""
        call = self._recorder.call("delete", stack.name, stack.tenant, stack.id)

        def work(outcome: Outcome) -> None:
            found = self._stacks.by_id(stack.tenant, stack.id)
            if found is not None and found.alive:
                self._begin(found, "DELETE", outcome)

        self._run(call, work)

    def observe(self, stacks: Sequence[Stack]) -> Mapping[str, Stack | None]:
        """Look at stacks again; None for each that is deleted."""
        names = " ".join(stack.name for stack in stacks)
        call = self._recorder.call("observe", names, stacks[0].tenant if stacks else "")

        def work(_outcome: Outcome) -> dict[str, Stack | None]:
            found = {stack.id: self._stacks.by_id(stack.tenant, stack.id) for stack in stacks}
            return {i: _view(s) if s is not None and s.alive else None for i, s in found.items()}

        return self._run(call, work)

    def outputs(self, stack: Stack) -> tuple[StackOutput, ...]:
        """The stack's outputs, in the template's order.

        Raises:
            StackNotFound: it is gone.
        """
        call = self._recorder.call("outputs", stack.name, stack.tenant, stack.id)

        def work(_outcome: Outcome) -> tuple[StackOutput, ...]:
            found = self._stacks.by_id(stack.tenant, stack.id)
            if found is None or not found.alive:
                raise _not_found(stack.name)
            return found.outputs()

        return self._run(call, work)

    def diagnose(self, stack: Stack) -> Diagnosis:
        """The failed resources' reasons and the last events; empty if there are none."""
        call = self._recorder.call("diagnose", stack.name, stack.tenant, stack.id)

        def work(_outcome: Outcome) -> Diagnosis:
            found = self._stacks.by_id(stack.tenant, stack.id)
            if found is None or not found.alive:
                return Diagnosis()
            reasons = found.failed_resources().items()
            return Diagnosis(
                resources=tuple(f"{name}: {reason}" for name, reason in reasons),
                events=tuple(str(event) for event in reversed(found.events[-_TOLD_EVENTS:])),
            )

        return self._run(call, work)

    def validate(self, request: StackRequest) -> None:
        """Ask whether a template would be accepted; starts nothing.

        As Heat, it looks at parameters' names only, and has a name of its own for most errors.

        Raises:
            StackRejected: it would not.
        """
        call = self._recorder.request("validate", request)
        namespaces, scripts = self._namespaces, self._scripts
        self._run(call, lambda _: validate(request, namespaces=namespaces, scripts=scripts))

    def close(self) -> None:
        """Nothing is held; others may go on using it."""

    def _run(self, call: Call, work: Callable[[Outcome], T]) -> T:
        with self._lock:
            return self._recorder.run(call, work)

    def _create(self, request: StackRequest, outcome: Outcome) -> Stack:
        parse_template(request.template)
        if self._stacks.by_name(request.tenant, request.name) is not None:
            raise StackExists(f"The Stack ({request.name}) already exists.")
        check_name(request.name)
        self._accept(request, "")  # so that a refused request uses no id up
        identity = self._ids()
        stack = SimulatedStack(
            id=identity,
            name=request.name,
            tenant=request.tenant,
            blueprint=self._accept(request, identity),
            created=self._clock.wall(),
            ids=self._ids,
        )
        self._stacks.add(stack)
        _take_settings(stack, request)
        self._begin(stack, "CREATE", outcome)
        return _view(stack)

    def _update(self, stack: Stack, request: StackRequest, outcome: Outcome) -> None:
        found = self._stacks.by_id(stack.tenant, stack.id)
        if found is None or not found.alive:
            raise _not_found(stack.name)
        if found.deleting:
            raise StackNotFound(DELETING)
        blueprint = self._accept(request, found.id)
        check_immutable(found.blueprint, blueprint)
        _take_settings(found, request)
        self._begin(found, "UPDATE", outcome, blueprint)

    def _accept(self, request: StackRequest, stack_id: str) -> Blueprint:
        namespaces, scripts = self._namespaces, self._scripts
        return accept(request, namespaces=namespaces, scripts=scripts, stack_id=stack_id)

    def _begin(
        self,
        stack: SimulatedStack,
        action: str,
        outcome: Outcome,
        blueprint: Blueprint | None = None,
    ) -> None:
        minutes = stack.timeout_mins
        limit = self._default_timeout if minutes is None else minutes * 60.0
        stack.begin(
            action,
            now=self._clock.now(),
            wall=self._clock.wall(),
            usual_seconds=self._operation_seconds,
            time_limit=limit if self._enforce_timeouts else math.inf,
            outcome=outcome,
            blueprint=blueprint,
        )


def _count_ids() -> Callable[[], str]:
    numbers = itertools.count(1)
    return lambda: f"00000000-0000-4000-8000-{next(numbers):012x}"


def _take_settings(stack: SimulatedStack, request: StackRequest) -> None:
    stack.tags = request.tags
    stack.disable_rollback = request.disable_rollback
    if request.timeout_mins is not None:
        stack.timeout_mins = request.timeout_mins


def _view(stack: SimulatedStack) -> Stack:
    known = stack.status in StackStatus.__members__
    return Stack(
        id=stack.id,
        name=stack.name,
        tenant=stack.tenant,
        status=StackStatus(stack.status) if known else stack.status,
        status_reason=stack.reason,
        tags=stack.tags,
    )


def _not_found(name: str) -> StackNotFound:
    return StackNotFound(f"The Stack ({name}) could not be found.")


if TYPE_CHECKING:
    from gohan_jobs.clock import SystemClock

    _check: Orchestrator = SimulatedHeat(SystemClock())
