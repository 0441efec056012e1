"""A HOT template, parsed: its sections checked, everything inside them left to resolve."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import attrs

from gohan_jobs.exceptions import StackRejected
from gohan_jobs.orchestrators.simulated.document import parse_document
from gohan_jobs.orchestrators.simulated.functions import check_functions, references
from gohan_jobs.orchestrators.simulated.parameters import Parameter, parse_parameter
from gohan_jobs.orchestrators.simulated.rejections import invalid, rejected

__all__ = [
    "HotTemplate",
    "OutputDefinition",
    "ResourceDefinition",
    "no_such_resource",
    "parse_template",
]

_RELEASES: Mapping[str, str] = {
    "newton": "2016-10-14",
    "ocata": "2017-02-24",
    "pike": "2017-09-01",
    "queens": "2018-03-02",
    "rocky": "2018-08-31",
    "wallaby": "2021-04-16",
}
_EARLIER = ("2013-05-23", "2014-10-16", "2015-04-30", "2015-10-15", "2016-04-08")
_VERSIONS: Mapping[str, str] = {
    **{version: version for version in (*_EARLIER, *_RELEASES.values())},
    **_RELEASES,
}
_SECTIONS = frozenset(
    {
        "heat_template_version",
        "description",
        "parameter_groups",
        "parameters",
        "resources",
        "outputs",
    }
)
_RESOURCE_KEYS = frozenset(
    {
        "type",
        "properties",
        "metadata",
        "depends_on",
        "deletion_policy",
        "update_policy",
        "description",
    }
)
_OUTPUT_KEYS = frozenset({"description", "value"})
# Heat has these from 2016-10-14 on; here they are refused, as nothing would evaluate them.
_NOT_SIMULATED = frozenset({"conditions", "condition", "external_id"})


@attrs.frozen(kw_only=True)
class ResourceDefinition:
    """A resource as the template defines it.

    Attributes:
        name: its logical name.
        type: its type.
        properties: unresolved.
        depends_on: names given as ``depends_on``.
        requires: all names it depends on, references included, in order.
    """

    name: str
    type: str
    properties: Mapping[str, Any] = attrs.field(repr=False)
    depends_on: tuple[str, ...] = ()
    requires: tuple[str, ...] = ()


@attrs.frozen(kw_only=True)
class OutputDefinition:
    """An output as the template defines it.

    Attributes:
        name: its key.
        description: the template's words.
        value: unresolved.
    """

    name: str
    description: str
    value: Any = attrs.field(repr=False)


@attrs.frozen(kw_only=True)
class HotTemplate:
    """A template.

    Attributes:
        version: its version as a date, releases' names translated.
        description: the template's words, Heat's default if it has none.
        document: all of it, as parsed.
        parameters: by name, in order.
        resources: by name, in order of dependency: a resource comes after those it requires.
        outputs: by name, in order.
    """

    version: str
    description: str
    document: Mapping[str, Any] = attrs.field(repr=False)
    parameters: Mapping[str, Parameter]
    resources: Mapping[str, ResourceDefinition]
    outputs: Mapping[str, OutputDefinition]


def _parse_version(document: Mapping[str, Any]) -> str:
    version = document.get("heat_template_version")
    if not isinstance(version, str):
        explanation = "Template version was not provided"
    elif version in _VERSIONS:
        return _VERSIONS[version]
    else:
        known = ", ".join(sorted(_VERSIONS))
        explanation = (
            f'"heat_template_version: {version}". "heat_template_version" should be one of: {known}'
        )
    raise rejected("InvalidTemplateVersion", f"The template version is invalid: {explanation}")


def _check_sections(document: Mapping[str, Any]) -> None:
    for section in document:
        if section in _NOT_SIMULATED:
            reason = f"The simulator has no {section}: they are not supported."
            raise rejected("NotSupported", reason)
        if section not in _SECTIONS:
            raise invalid(f"The template section is invalid: {section}")


def _entries(
    document: Mapping[str, Any], section: str, keys: Iterable[str], needed: str
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    one = section[:-1]
    entries = document.get(section) or {}
    if not isinstance(entries, Mapping):
        raise invalid(f'"{section}" must contain a map of {one} maps.')
    for name, entry in entries.items():
        if not entry:
            raise invalid(f"Each {one} must contain a {needed} key.")
        if not isinstance(entry, Mapping):
            found = f"Found a [{type(entry)}] instead"
            raise invalid(f'"{section}" must contain a map of {one} maps. {found}')
        _check_keys(entry, one, keys)
        if needed not in entry:
            raise invalid(f"Each {one} must contain a {needed} key.")
        yield name, entry


def _check_keys(entry: Mapping[str, Any], one: str, keys: Iterable[str]) -> None:
    for key in entry:
        if key in _NOT_SIMULATED:
            raise rejected("NotSupported", f'The simulator has no "{key}": it is not supported.')
        if key not in keys:
            raise invalid(f'"{key}" is not a valid keyword inside a {one} definition')


def _parse_resource(name: str, entry: Mapping[str, Any], version: str) -> ResourceDefinition:
    if not isinstance(entry["type"], str):
        raise invalid(f"Resource {name} type type must be string")
    properties = entry.get("properties", {})
    if not isinstance(properties, Mapping):
        raise invalid(f"Resource {name} properties type must be object")
    check_functions(dict(properties), ["resources", name, "properties"], version)
    depends = _parse_depends_on(name, entry.get("depends_on", []))
    referred = [reference.resource for reference in references(dict(properties), version)]
    return ResourceDefinition(
        name=name,
        type=entry["type"],
        properties=properties,
        depends_on=depends,
        requires=tuple(dict.fromkeys([*depends, *referred])),
    )


def _parse_depends_on(name: str, depends: Any) -> tuple[str, ...]:
    if isinstance(depends, str):
        return (depends,)
    if not isinstance(depends, list):
        raise invalid(f"Resource {name} depends_on type must be list or string")
    if not all(isinstance(item, str) for item in depends):
        raise invalid(f"Resource {name} depends_on must be a list of strings")
    return tuple(depends)


def _parse_output(name: str, entry: Mapping[str, Any], version: str) -> OutputDefinition:
    check_functions(entry["value"], ["outputs", name, "value"], version)
    description = str(entry.get("description", "No description given"))
    return OutputDefinition(name=name, description=description, value=entry["value"])


def _check_references(resources: Mapping[str, ResourceDefinition]) -> None:
    for definition in resources.values():
        for required in definition.requires:
            if required not in resources:
                raise no_such_resource(required, definition.name)


def no_such_resource(resource: str, where: str = "unknown") -> StackRejected:
    """A reference to a resource that the template has not."""
    reason = f'The specified reference "{resource}" (in {where}) is incorrect.'
    return rejected("InvalidTemplateReference", reason)


def _parse_parameters(document: Mapping[str, Any]) -> dict[str, Parameter]:
    definitions = document.get("parameters") or {}
    if not isinstance(definitions, Mapping):
        raise invalid('"parameters" must contain a map of parameter maps.')
    return {name: parse_parameter(name, entry) for name, entry in definitions.items()}


def _in_order(resources: Mapping[str, ResourceDefinition]) -> dict[str, ResourceDefinition]:
    ordered: dict[str, ResourceDefinition] = {}
    waiting = dict(resources)
    while waiting:
        ready = [d for d in waiting.values() if all(name in ordered for name in d.requires)]
        if not ready:
            cycle = ", ".join(waiting)
            raise rejected("CircularDependencyException", f"Circular Dependency Found: {cycle}")
        for definition in ready:
            ordered[definition.name] = waiting.pop(definition.name)
    return ordered


@functools.lru_cache(maxsize=256)
def parse_template(text: str) -> HotTemplate:
    """Parse a template and check everything that does not need the parameters' values.

    Args:
        text: YAML or JSON.

    Raises:
        StackRejected: with Heat's name of what is wrong as its ``kind``.
    """
    document = parse_document(text)
    version = _parse_version(document)
    _check_sections(document)
    parameters = _parse_parameters(document)
    resources = {
        name: _parse_resource(name, entry, version)
        for name, entry in _entries(document, "resources", _RESOURCE_KEYS, "type")
    }
    outputs = {
        name: _parse_output(name, entry, version)
        for name, entry in _entries(document, "outputs", _OUTPUT_KEYS, "value")
    }
    _check_references(resources)
    return HotTemplate(
        version=version,
        description=str(document.get("description") or "No description"),
        document=document,
        parameters=parameters,
        resources=_in_order(resources),
        outputs=outputs,
    )
