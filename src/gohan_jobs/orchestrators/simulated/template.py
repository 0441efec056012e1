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
from gohan_jobs.orchestrators.simulated.rejections import NOT_COMPLIED, invalid, rejected

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
        requires: all names it depends on, references included, in order, with the place where
            it says so.
    """

    name: str
    type: str
    properties: Mapping[str, Any] = attrs.field(repr=False)
    depends_on: tuple[str, ...] = ()
    requires: Mapping[str, str] = attrs.field(factory=dict)


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
    _check_simulated(document)
    for section in document:
        if section not in _SECTIONS:
            raise invalid(f"The template section is invalid: {section}")


def _entries(document: Mapping[str, Any], section: str) -> Iterator[tuple[str, Any]]:
    entries = document.get(section) or {}
    if not isinstance(entries, Mapping):
        raise invalid(f"'{type(entries).__name__}' object has no attribute 'items'")
    for name, entry in entries.items():
        _check_simulated(entry if isinstance(entry, Mapping) else ())
        yield str(name), entry


def _check_simulated(keys: Iterable[str]) -> None:
    for key in keys:
        if key in _NOT_SIMULATED:
            raise rejected("NotSupported", f'The simulator has no "{key}": it is not supported.')


def _check_resource(entry: Any) -> None:
    if not entry:
        raise invalid("Each resource must contain a type key.")
    if not isinstance(entry, Mapping):
        found = f"Found a [{type(entry)}] instead"
        raise invalid(f'"resources" must contain a map of resource maps. {found}')
    for key in entry:
        if key not in _RESOURCE_KEYS:
            raise invalid(f'"{key}" is not a valid keyword inside a resource definition')
    if "type" not in entry:
        raise invalid("Each resource must contain a type key.")


def _parse_resource(name: str, entry: Any, version: str) -> ResourceDefinition:
    _check_resource(entry)
    if not isinstance(entry["type"], str):
        raise invalid(f"Resource {name} type type must be string")
    properties = entry.get("properties", {})
    if not isinstance(properties, Mapping):
        raise invalid(f"Resource {name} properties type must be object")
    check_functions(dict(properties), ["resources", name, "properties"], version)
    depends = _parse_depends_on(name, entry.get("depends_on", []))
    found = references(dict(properties), version, f"{name}.Properties")
    requires = {reference.resource: reference.path for reference in found}
    return ResourceDefinition(
        name=name,
        type=entry["type"],
        properties=properties,
        depends_on=depends,
        requires={**dict.fromkeys(depends, name), **requires},
    )


def _parse_depends_on(name: str, depends: Any) -> tuple[str, ...]:
    if isinstance(depends, str):
        return (depends,)
    if not isinstance(depends, list):
        raise invalid(f"Resource {name} depends_on type must be list or string")
    if not all(isinstance(item, str) for item in depends):
        raise invalid(f"Resource {name} depends_on must be a list of strings")
    return tuple(depends)


def _parse_output(name: str, entry: Any, version: str) -> OutputDefinition:
    wrong = None
    if not isinstance(entry, Mapping):
        wrong = f"Output definitions must be a map. Found a {type(entry).__name__} instead"
    elif "value" not in entry:
        wrong = "Each output definition must contain a value key."
    if wrong is not None:
        raise invalid(wrong, path=["outputs", name], error="Output validation error")
    check_functions(entry["value"], ["outputs", name, "value"], version)
    description = str(entry.get("description", "No description given"))
    return OutputDefinition(name=name, description=description, value=entry["value"])


def _check_references(resources: Mapping[str, ResourceDefinition]) -> None:
    for definition in resources.values():
        for required, where in definition.requires.items():
            if required not in resources:
                raise no_such_resource(required, where)


def no_such_resource(resource: str, where: str = "unknown") -> StackRejected:
    """A reference to a resource that the template has not."""
    reason = f'The specified reference "{resource}" (in {where}) is incorrect.'
    return rejected("InvalidTemplateReference", reason)


def _parse_parameters(document: Mapping[str, Any], version: str) -> dict[str, Parameter]:
    definitions = document.get("parameters") or {}
    if not isinstance(definitions, Mapping):
        raise rejected("AttributeError", NOT_COMPLIED)
    return {name: parse_parameter(name, entry, version) for name, entry in definitions.items()}


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
    parameters = _parse_parameters(document, version)
    resources = {n: _parse_resource(n, e, version) for n, e in _entries(document, "resources")}
    outputs = {n: _parse_output(n, e, version) for n, e in _entries(document, "outputs")}
    _check_references(resources)
    return HotTemplate(
        version=version,
        description=str(document.get("description") or "No description"),
        document=document,
        parameters=parameters,
        resources=_in_order(resources),
        outputs=outputs,
    )
