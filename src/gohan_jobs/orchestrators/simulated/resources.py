"""The resources of a simulated stack, and what the template's functions see of them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

import attrs

from gohan_jobs.exceptions import StackRejected
from gohan_jobs.orchestrators.simulated.functions import references, resolve
from gohan_jobs.orchestrators.simulated.parameters import Parameters
from gohan_jobs.orchestrators.simulated.rejections import invalid
from gohan_jobs.orchestrators.simulated.resource_types import ResourceType
from gohan_jobs.orchestrators.simulated.template import (
    HotTemplate,
    ResourceDefinition,
    no_such_resource,
)

__all__ = ["SimulatedResource", "StackScope", "check_template", "resolve_properties"]


@attrs.define(kw_only=True)
class SimulatedResource:
    """A resource as it is.

    Attributes:
        definition: its definition in the template it was last changed by.
        type: its type.
        created: when it came into being.
        updated: when it last changed.
        physical_id: its id outside Heat; ``""`` while it has none.
        action: ``INIT``, ``CREATE``, ``UPDATE`` or ``DELETE``.
        status: ``COMPLETE``, ``IN_PROGRESS`` or ``FAILED``, of that action.
        reason: Heat's words.
        properties: resolved, as of the last change.
        scripted: attributes given by a test; they win over the type's.
    """

    definition: ResourceDefinition
    type: ResourceType
    created: dt.datetime
    updated: dt.datetime
    physical_id: str = ""
    action: str = "INIT"
    status: str = "COMPLETE"
    reason: str = ""
    properties: Mapping[str, Any] = attrs.field(factory=dict, repr=False)
    scripted: Mapping[str, Any] = attrs.field(factory=dict, repr=False)

    @property
    def failed(self) -> bool:
        """Whether its last action failed."""
        return self.status == "FAILED"

    @property
    def exists(self) -> bool:
        """Whether it was made and not removed since."""
        return bool(self.physical_id) and f"{self.action}_{self.status}" != "DELETE_COMPLETE"

    @property
    def reference(self) -> str:
        """What ``get_resource`` gives."""
        return self.type.reference(self.definition.name, self.physical_id, self.properties)

    def attributes(self) -> dict[str, Any]:
        """Its attributes; null ones of a known type that does not exist yet."""
        if not self.exists:
            return dict.fromkeys((self.type.attributes or set()) - {"show"})
        given = self.type.attributes_of(self.physical_id, self.properties)
        return {**given, **self.scripted}


@attrs.frozen
class StackScope:
    """What functions see: parameters, and resources as they are.

    Attributes:
        template: the template they stand in.
        parameters: the values given.
        resources: by name.
    """

    template: HotTemplate
    parameters: Parameters = attrs.field(repr=False)
    resources: Mapping[str, SimulatedResource]

    @property
    def version(self) -> str:
        """The template's version."""
        return self.template.version

    def parameter(self, name: str) -> Any:
        """A parameter's value.

        Raises:
            KeyError: there is no such parameter.
        """
        return self.parameters[name]

    def reference(self, resource: str) -> str:
        """What ``get_resource`` gives: the name while there is no resource."""
        if resource not in self.template.resources:
            raise no_such_resource(resource)
        found = self.resources.get(resource)
        return resource if found is None else found.reference

    def attribute(self, resource: str, name: str | None) -> Any:
        """An attribute, None if it is not there (yet); all of them for no name."""
        found = self.resources.get(resource)
        if found is None or not found.exists:
            return None
        attributes = found.attributes()
        return attributes if name is None else attributes.get(name)


def resolve_properties(definition: ResourceDefinition, scope: StackScope) -> dict[str, Any]:
    """A resource's properties as they are now.

    Raises:
        StackRejected: a function in them can't be resolved.
    """
    properties = {}
    for name, value in definition.properties.items():
        try:
            properties[name] = resolve(value, scope)
        except (StackRejected, TypeError, ValueError, AttributeError) as error:
            path = ["resources", definition.name, "properties", name]
            raise invalid(str(error), path=path, error="Property error") from error
    return properties


def check_template(
    template: HotTemplate,
    parameters: Parameters,
    types: Mapping[str, ResourceType],
    *,
    values: bool = True,
) -> None:
    """Judge a template with the values given for its parameters.

    Args:
        template: the template.
        parameters: the values.
        types: type of each resource, by the resource's name.
        values: whether to look at the values too, as Heat does unless it is only asked to validate.

    Raises:
        StackRejected: with Heat's name of what is wrong as its ``kind``.
    """
    parameters.check(values=values)
    twice = template.parameters.keys() & template.resources.keys()
    if twice:
        raise invalid(f"Duplicate names {twice}")
    scope = StackScope(template, parameters, {})
    for name, definition in template.resources.items():
        types[name].check_names(name, definition.properties)
        if values:
            types[name].check(name, resolve_properties(definition, scope))
        path = f"resources.{name}.properties"
        _check_attributes(template, types, dict(definition.properties), path)
    for name, output in template.outputs.items():
        _check_attributes(template, types, output.value, f"outputs.{name}.value")


def _check_attributes(
    template: HotTemplate, types: Mapping[str, ResourceType], value: Any, path: str
) -> None:
    for reference in references(value, template.version, path):
        if reference.function != "get_attr" or reference.attribute is None:
            continue
        where = [reference.path, "get_attr"]
        if reference.resource not in types:
            raise invalid(no_such_resource(reference.resource).reason, path=where)
        known = types[reference.resource].attributes
        if known is not None and reference.attribute not in known:
            what = f"({reference.resource} {reference.attribute})"
            raise invalid(f"The Referenced Attribute {what} is incorrect.", path=where)
