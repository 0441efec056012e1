"""What was scripted: outcomes waiting for their calls, and resources' attributes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import attrs

from gohan_jobs.orchestrators.simulated.outcomes import Call, Outcome
from gohan_jobs.orchestrators.simulated.template import HotTemplate

__all__ = ["Scripts"]


@attrs.frozen
class _Waiting:
    """An outcome waiting for a call; None stands for any name, tenant, or changing operation."""

    name: str | None
    tenant: str | None
    op: str | None
    outcome: Outcome

    def fits(self, call: Call) -> bool:
        if self.op != call.op and (self.op is not None or not call.changes):
            return False
        if self.tenant not in {None, call.tenant}:
            return False
        return self.name is None or self.name in call.stack.split(" ")


@attrs.frozen
class _Attributes:
    """Attributes of the resources of a type, in one stack or in all; of one name or of all."""

    type: str
    stack: str | None
    resource: str | None
    values: Mapping[str, Any] = attrs.field(repr=False)

    def fit(self, of_type: str, stack: str, resource: str) -> bool:
        return (
            self.type == of_type
            and self.stack in {None, stack}
            and self.resource in {None, resource}
        )


@attrs.define
class Scripts:
    """What was scripted and has not been used yet. Not safe to use from several threads.

    Attributes:
        otherwise: asked about a call for which nothing was scripted.
    """

    otherwise: Callable[[Call], Outcome | None] | None = None
    _waiting: list[_Waiting] = attrs.field(factory=list)
    _attributes: list[_Attributes] = attrs.field(factory=list)

    def add(self, name: str | None, tenant: str | None, op: str | None, outcome: Outcome) -> None:
        """Keep an outcome for the first call that fits."""
        self._waiting.append(_Waiting(name, tenant, op, outcome))

    def add_attributes(
        self, of_type: str, values: Mapping[str, Any], stack: str | None, resource: str | None
    ) -> None:
        """Give resources attributes; of two that fit, the later one counts."""
        self._attributes.append(_Attributes(of_type, stack, resource, values))

    def take(self, call: Call) -> Outcome:
        """The outcome for a call; a scripted one is used up."""
        for index, waiting in enumerate(self._waiting):
            if waiting.fits(call):
                return self._waiting.pop(index).outcome
        return (self.otherwise(call) if self.otherwise else None) or Outcome()

    def attributes(self, template: HotTemplate, stack: str) -> dict[str, Mapping[str, Any]]:
        """The attributes given for a stack's resources, by the resource's name."""
        given: dict[str, Mapping[str, Any]] = {}
        for name, definition in template.resources.items():
            for entry in self._attributes:
                if entry.fit(definition.type, stack, name):
                    given[name] = {**given.get(name, {}), **entry.values}
        return given
