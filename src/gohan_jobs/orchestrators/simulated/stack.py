"""A simulated stack's life: operations begin, take their time on the clock, and end."""

from __future__ import annotations

import datetime as dt
import math
import uuid
from collections.abc import Callable, Mapping
from typing import Any

import attrs

from gohan_jobs.exceptions import StackRejected
from gohan_jobs.orchestrators.simulated.functions import resolve
from gohan_jobs.orchestrators.simulated.operation import Operation
from gohan_jobs.orchestrators.simulated.outcomes import Outcome
from gohan_jobs.orchestrators.simulated.parameters import Parameters
from gohan_jobs.orchestrators.simulated.plan import Step, plan_changes, plan_removal
from gohan_jobs.orchestrators.simulated.resource_types import ResourceType
from gohan_jobs.orchestrators.simulated.resources import (
    SimulatedResource,
    StackScope,
    resolve_properties,
)
from gohan_jobs.orchestrators.simulated.template import HotTemplate, ResourceDefinition
from gohan_jobs.records import StackOutput

__all__ = ["Blueprint", "SimulatedStack", "StackEvent"]


@attrs.frozen(kw_only=True)
class StackEvent:
    """Something that happened to a stack or to one of its resources.

    Attributes:
        id: a UUID.
        time: when.
        resource: the resource's name; the stack's for the stack itself.
        physical_id: the resource's, or the stack's id.
        status: the status it entered.
        reason: Heat's words.
    """

    id: str
    time: dt.datetime
    resource: str
    physical_id: str
    status: str
    reason: str

    def __str__(self) -> str:
        when = self.time.strftime("%Y-%m-%dT%H:%M:%SZ")
        return f"{when} {self.resource} {self.status}: {self.reason}"


@attrs.frozen(kw_only=True)
class Blueprint:
    """What a stack is to be: template, values, and what is known of its resources' types.

    Attributes:
        template: the template.
        parameters: the values.
        types: type of each resource, by the resource's name.
        scripted: attributes given by a test, by the resource's name.
    """

    template: HotTemplate
    parameters: Parameters = attrs.field(repr=False)
    types: Mapping[str, ResourceType]
    scripted: Mapping[str, Mapping[str, Any]] = attrs.field(factory=dict, repr=False)


@attrs.define(kw_only=True)
class SimulatedStack:
    """A stack.

    Attributes:
        id: its id.
        name: its name.
        tenant: its project.
        blueprint: what it is (becoming).
        created: when it was made.
        ids: gives the resources' ids.
        tags: its tags.
        timeout_mins: its time limit, None for Heat's default.
        disable_rollback: whether a failure leaves it as it is.
        updated: when its last update began, None if it was never updated.
        deleted: when its removal ended, None while it lives.
        status: as Heat spells it.
        reason: Heat's words.
        resources: by name, in order of dependency.
        events: oldest first.
        operation: what is under way, None if nothing is.
        scripted_outputs: outputs given by a test, None for the template's.
    """

    id: str
    name: str
    tenant: str
    blueprint: Blueprint
    created: dt.datetime
    ids: Callable[[], str] = attrs.field(repr=False)
    tags: tuple[str, ...] = ()
    timeout_mins: int | None = None
    disable_rollback: bool = True
    updated: dt.datetime | None = None
    deleted: dt.datetime | None = None
    status: str = "INIT_COMPLETE"
    reason: str = ""
    resources: dict[str, SimulatedResource] = attrs.field(factory=dict)
    events: list[StackEvent] = attrs.field(factory=list, repr=False)
    operation: Operation | None = None
    scripted_outputs: tuple[StackOutput, ...] | None = attrs.field(default=None, repr=False)
    _usual: float = 0.0
    _previous: Blueprint | None = None

    @property
    def alive(self) -> bool:
        """Whether it is not deleted; one that is being deleted is alive."""
        return self.deleted is None

    @property
    def deleting(self) -> bool:
        """Whether its last operation is a delete."""
        return self.status.startswith("DELETE_")

    @property
    def scope(self) -> StackScope:
        """What the template's functions see now."""
        return StackScope(self.blueprint.template, self.blueprint.parameters, self.resources)

    def begin(
        self,
        action: str,
        *,
        now: float,
        wall: dt.datetime,
        usual_seconds: float,
        time_limit: float,
        outcome: Outcome,
        blueprint: Blueprint | None = None,
    ) -> None:
        """Start an operation; one that is under way is given up for it.

        Args:
            action: ``CREATE``, ``UPDATE`` or ``DELETE``.
            now: the clock, in seconds.
            wall: the time of day.
            usual_seconds: how long an operation takes that waits for nothing.
            time_limit: seconds after which the operation is given up.
            outcome: what a test asked for.
            blueprint: what the stack is to become; None to keep it.
        """
        if blueprint is not None:
            self._previous, self.blueprint = self.blueprint, blueprint
        self._usual = usual_seconds
        steps = self._plan(action, wall)
        self.operation = Operation.start(
            action,
            steps,
            now=now,
            wall=wall,
            usual_seconds=usual_seconds,
            time_limit=time_limit,
            outcome=outcome,
        )
        if action == "UPDATE":
            self.updated = wall
        self.scripted_outputs = None
        self._enter(f"{action}_IN_PROGRESS", f"Stack {action} started", wall)

    def advance(self, now: float) -> None:
        """Let happen what is due.

        Args:
            now: the clock, in seconds.
        """
        while self.operation is not None:
            operation = self.operation
            elapsed = now - operation.began
            self._run_steps(operation, min(elapsed, operation.ends))
            if elapsed < operation.ends:
                return
            self._end(operation, operation.ends)

    def finish(self, now: float, outcome: Outcome | None) -> None:
        """End the operation under way at once.

        Args:
            now: the clock, in seconds.
            outcome: how, its ``seconds`` and ``hang`` meaning nothing here; None for the one it
                began with.

        Raises:
            ValueError: nothing is under way.
        """
        if self.operation is None:
            raise ValueError(f"stack {self.name} has no operation under way: {self.status}")
        outcome = outcome or self.operation.outcome
        operation = attrs.evolve(self.operation, outcome=outcome, times_out=False)
        elapsed = now - operation.began
        while operation.pending:
            step = operation.pending.pop(0)
            told = attrs.evolve(step, failure="") if outcome.decides else step
            self._finish_step(operation, told, operation.at(elapsed))
        self._end(operation, elapsed)

    def outputs(self) -> tuple[StackOutput, ...]:
        """Its outputs as they are now, in the template's order."""
        if self.scripted_outputs is not None:
            return self.scripted_outputs
        return tuple(
            self._output(name, definition.description, definition.value)
            for name, definition in self.blueprint.template.outputs.items()
        )

    def failed_resources(self) -> dict[str, str]:
        """Reason of each resource that failed, by its name."""
        return {name: r.reason for name, r in self.resources.items() if r.failed}

    def _output(self, name: str, description: str, value: Any) -> StackOutput:
        try:
            resolved = resolve(value, self.scope)
        except (StackRejected, TypeError, ValueError, AttributeError) as error:
            return StackOutput(
                output_key=name,
                output_value=None,
                description=description,
                output_error=str(error),
            )
        return StackOutput(output_key=name, output_value=resolved, description=description)

    def _plan(self, action: str, wall: dt.datetime) -> tuple[Step, ...]:
        if action == "DELETE":
            return plan_removal(self.resources)
        steps = plan_changes(self.scope)
        removed = {
            n: r for n, r in self.resources.items() if n not in self.blueprint.template.resources
        }
        kept = {
            name: self.resources.get(name) or self._new_resource(definition, wall)
            for name, definition in self.blueprint.template.resources.items()
        }
        self.resources = {**kept, **removed}
        return steps

    def _new_resource(self, definition: ResourceDefinition, wall: dt.datetime) -> SimulatedResource:
        return SimulatedResource(
            definition=definition,
            type=self.blueprint.types[definition.name],
            created=wall,
            updated=wall,
        )

    def _run_steps(self, operation: Operation, until: float) -> None:
        while operation.pending and operation.pending[0].end <= until:
            step = operation.pending.pop(0)
            if not self._finish_step(operation, step, operation.at(step.end)):
                operation.give_up(step.end)
        for step in operation.pending:
            resource = self.resources[step.resource]
            if step.start <= until and resource.status != "IN_PROGRESS":
                self._mark(resource, step.action, "IN_PROGRESS", "state changed", operation.wall)

    def _finish_step(self, operation: Operation, step: Step, wall: dt.datetime) -> bool:
        resource = self.resources[step.resource]
        failure = step.failure
        if not failure and step.action != "DELETE":
            failure = self._apply(resource, step, wall)
        if failure:
            self._mark(resource, step.action, "FAILED", failure, wall)
            operation.drop_dependants(step.resource, self.blueprint.template)
            return False
        self._mark(resource, step.action, "COMPLETE", "state changed", wall)
        if step.action == "DELETE":
            del self.resources[step.resource]
        return True

    def _apply(self, resource: SimulatedResource, step: Step, wall: dt.datetime) -> str:
        definition = self.blueprint.template.resources[step.resource]
        resource.definition = definition
        resource.type = self.blueprint.types[step.resource]
        try:
            resource.properties = resolve_properties(definition, self.scope)
        except StackRejected as error:
            return error.reason
        resource.scripted = self.blueprint.scripted.get(step.resource, {})
        if step.action == "CREATE":
            resource.created = wall
            resource.physical_id = self._physical_id(resource)
        return ""

    def _physical_id(self, resource: SimulatedResource) -> str:
        identity = self.ids()
        if not resource.type.named:
            return identity
        return f"{self.name}-{resource.definition.name}-{identity[-12:]}"

    def _end(self, operation: Operation, offset: float) -> None:
        self.operation = None
        wall = operation.at(offset)
        for step in operation.pending:
            aborted = self.resources[step.resource]
            if aborted.status == "IN_PROGRESS":
                self._mark(aborted, step.action, "FAILED", f"{step.action} aborted", wall)
        self._fail_scripted(operation, wall)
        status, reason = self._result(operation)
        self.scripted_outputs = operation.outcome.outputs
        self._enter(status, reason, wall)
        if status == "DELETE_COMPLETE":
            self.deleted = wall
        elif status in {"CREATE_FAILED", "UPDATE_FAILED"} and not self.disable_rollback:
            self._roll_back(operation, offset)

    def _fail_scripted(self, operation: Operation, wall: dt.datetime) -> None:
        for name, reason in operation.outcome.resource_reasons.items():
            if name not in self.resources:
                definition = ResourceDefinition(name=name, type="OS::Heat::None", properties={})
                kind = ResourceType(name=definition.type, named=True)
                self.resources[name] = SimulatedResource(
                    definition=definition, type=kind, created=wall, updated=wall
                )
            self._mark(self.resources[name], operation.action, "FAILED", reason, wall)

    def _result(self, operation: Operation) -> tuple[str, str]:
        if operation.times_out:
            return f"{operation.action}_FAILED", "Timed out"
        if operation.outcome.decides:
            outcome = operation.outcome
            return outcome.final_status(operation.action), outcome.final_reason(operation.action)
        for resource in self.resources.values():
            if resource.failed:
                reason = f"Resource {resource.action} failed: {resource.reason}"
                return f"{operation.action}_FAILED", reason
        reason = operation.outcome.final_reason(operation.action)
        return f"{operation.action}_COMPLETE", reason

    def _roll_back(self, failed: Operation, offset: float) -> None:
        if failed.action == "UPDATE" and self._previous is not None:
            self.blueprint = self._previous
            steps = self._plan("UPDATE", failed.at(offset))
        else:
            steps = plan_removal(self.resources)
        self.operation = Operation.start(
            "ROLLBACK",
            steps,
            now=failed.began + offset,
            wall=failed.at(offset),
            usual_seconds=self._usual,
            time_limit=math.inf,
            outcome=Outcome(),
        )
        self._enter("ROLLBACK_IN_PROGRESS", "Stack ROLLBACK started", failed.at(offset))

    def _mark(
        self,
        resource: SimulatedResource,
        action: str,
        status: str,
        reason: str,
        wall: dt.datetime,
    ) -> None:
        resource.action, resource.status, resource.reason = action, status, reason
        resource.updated = wall
        self._record(
            resource.definition.name, resource.physical_id, f"{action}_{status}", reason, wall
        )

    def _enter(self, status: str, reason: str, wall: dt.datetime) -> None:
        self.status, self.reason = status, reason
        self._record(self.name, self.id, status, reason, wall)

    def _record(
        self, resource: str, physical_id: str, status: str, reason: str, wall: dt.datetime
    ) -> None:
        event = StackEvent(
            id=str(uuid.uuid5(uuid.NAMESPACE_OID, f"{self.id}/{len(self.events)}")),
            time=wall,
            resource=resource,
            physical_id=physical_id,
            status=status,
            reason=reason,
        )
        self.events.append(event)
