"""What an operation has to do: which resource is changed how, in what order, and how long it takes.

``OS::Heat::TestResource`` fails and waits as it does in Heat; any other resource takes no time of
its own.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import attrs

from gohan_jobs.exceptions import StackRejected
from gohan_jobs.orchestrators.simulated.constraints import to_number
from gohan_jobs.orchestrators.simulated.resources import (
    SimulatedResource,
    StackScope,
    resolve_properties,
)
from gohan_jobs.orchestrators.simulated.template import ResourceDefinition

__all__ = ["Step", "plan_changes", "plan_removal"]

_TEST = "OS::Heat::TestResource"


@attrs.frozen(kw_only=True)
class Step:
    """One resource's part of an operation.

    Attributes:
        resource: its name.
        action: ``CREATE``, ``UPDATE`` or ``DELETE``.
        start: seconds after the operation began.
        end: seconds after the operation began.
        failure: why it fails; ``""`` if it does not.
    """

    resource: str
    action: str
    start: float
    end: float
    failure: str = ""


def _seconds(properties: Mapping[str, Any], action: str) -> float:
    given = (properties.get("action_wait_secs") or {}).get(action.lower())
    seconds = to_number(properties.get("wait_secs") or 0 if given is None else given)
    return math.inf if seconds < 0 else seconds


def _failure(name: str, properties: Mapping[str, Any]) -> str:
    if str(properties.get("fail") or False).lower() == "true":
        return f"ValueError: resources.{name}: Test Resource failed {name}"
    return ""


def _needed_action(
    old: SimulatedResource | None, definition: ResourceDefinition, properties: Mapping[str, Any]
) -> str:
    if old is None or not old.exists or old.failed or old.type.name != definition.type:
        return "CREATE"
    if old.properties == properties and old.status == "COMPLETE":
        return ""
    replaced = definition.type == _TEST and properties.get("update_replace")
    return "CREATE" if replaced and _value_changes(old, properties) else "UPDATE"


def _value_changes(old: SimulatedResource, properties: Mapping[str, Any]) -> bool:
    return bool(old.properties.get("value") != properties.get("value"))


def plan_changes(scope: StackScope) -> tuple[Step, ...]:
    """The steps that bring a stack's resources to what its template says.

    Args:
        scope: the new template and parameters, and the resources as they are.
    """
    ends: dict[str, float] = {}
    steps = []
    for name, definition in scope.template.resources.items():
        old = scope.resources.get(name)
        start = max((ends[required] for required in definition.requires), default=0.0)
        step = _plan_step(definition, old, scope, start)
        ends[name] = start if step is None else step.end
        if step is not None:
            steps.append(step)
    removed = {n: r for n, r in scope.resources.items() if n not in scope.template.resources}
    return (*steps, *plan_removal(removed, max(ends.values(), default=0.0)))


def _plan_step(
    definition: ResourceDefinition, old: SimulatedResource | None, scope: StackScope, start: float
) -> Step | None:
    name = definition.name
    try:
        properties = resolve_properties(definition, scope)
    except StackRejected as error:
        # It could be resolved before the resources were there, so only the resource fails.
        return Step(resource=name, action="CREATE", start=start, end=start, failure=error.reason)
    action = _needed_action(old, definition, properties)
    if not action:
        return None
    if definition.type != _TEST:
        return Step(resource=name, action=action, start=start, end=start)
    at_once = action == "UPDATE" and old is not None and not _value_changes(old, properties)
    end = start if at_once else start + _seconds(properties, action)
    failure = _failure(name, properties)
    return Step(resource=name, action=action, start=start, end=end, failure=failure)


def plan_removal(
    resources: Mapping[str, SimulatedResource], start: float = 0.0
) -> tuple[Step, ...]:
    """The steps that remove resources, each after those that depend on it.

    Args:
        resources: what to remove, by name, in order of dependency.
        start: seconds after the operation began.
    """
    begins = dict.fromkeys(resources, start)
    steps = []
    for name, resource in reversed(list(resources.items())):
        wait = _seconds(resource.properties, "DELETE") if resource.type.name == _TEST else 0.0
        end = begins[name] + wait
        steps.append(Step(resource=name, action="DELETE", start=begins[name], end=end))
        for required in resource.definition.requires:
            if required in begins:
                begins[required] = max(begins[required], end)
    return tuple(steps)
