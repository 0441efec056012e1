"""The resource types that exist, what properties they take, and what attributes they give.

Heat's own types with nothing behind them are known exactly. Of any other type in the accepted
namespaces everything is good, and its attributes are its properties.
"""

from __future__ import annotations

import fnmatch
import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import attrs

from gohan_jobs.orchestrators.simulated.constraints import to_number
from gohan_jobs.orchestrators.simulated.rejections import invalid

__all__ = ["DEFAULT_NAMESPACES", "ResourceType", "find_type"]

DEFAULT_NAMESPACES = ("OS::*", "ESI::*")
"""Patterns of the resource types a simulator accepts without knowing them."""


def _boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in {"true", "false"}:
        return value.lower() == "true"
    raise ValueError(f'"{value}" is not a valid boolean')


def _mapping(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise TypeError(f'"{value}" is not a map')
    return value


def _anything(value: Any) -> Any:
    return value


def _length(value: Any) -> int:
    try:
        number = int(value)
    except (TypeError, ValueError) as error:
        raise ValueError(f"Value '{value}' is not an integer") from error
    if not 1 <= number <= 512:  # noqa: PLR2004 - Heat's own limits
        raise ValueError(f"{number} is out of range (min: 1, max: 512)")
    return number


@attrs.frozen(kw_only=True)
class ResourceType:
    """What is known of a type.

    Attributes:
        name: such as ``OS::Heat::Value``.
        properties: how each property's value is read; None if any property is good.
        required: properties that must be given.
        attributes: the attributes it has; None if that is not known.
        named: whether its physical id is made of the stack's and the resource's name.
    """

    name: str
    properties: Mapping[str, Callable[[Any], Any]] | None = None
    required: tuple[str, ...] = ()
    attributes: frozenset[str] | None = None
    named: bool = False

    def check_names(self, resource: str, properties: Iterable[str]) -> None:
        """Judge the names of a resource's properties.

        Args:
            resource: its logical name.
            properties: their names.

        Raises:
            StackRejected: ``StackValidationFailed``.
        """
        path = ["resources", resource, "properties"]
        for name in properties:
            if self.properties is not None and name not in self.properties:
                raise invalid(f"Unknown Property {name}", path=path, error="Property error")

    def check(self, resource: str, properties: Mapping[str, Any]) -> None:
        """Judge the values of a resource's properties, all of them known ones.

        Args:
            resource: its logical name.
            properties: resolved; null counts as not given.

        Raises:
            StackRejected: ``StackValidationFailed``.
        """
        path = ["resources", resource, "properties"]
        for name in self.required:
            if name not in properties:
                reason = f"Property {name} not assigned"
                raise invalid(reason, path=path, error="Property error")
        given = {name: value for name, value in properties.items() if value is not None}
        for name, value in given.items():
            try:
                (self.properties or {}).get(name, _anything)(value)
            except (TypeError, ValueError) as error:
                raise invalid(str(error), path=[*path, name], error="Property error") from error

    def reference(self, resource: str, physical_id: str, properties: Mapping[str, Any]) -> str:
        """What ``get_resource`` gives: the physical id, or the name while there is none."""
        if self.name == _RANDOM and physical_id:
            return str(self.attributes_of(physical_id, properties)["value"])
        return physical_id or resource

    def attributes_of(self, physical_id: str, properties: Mapping[str, Any]) -> Mapping[str, Any]:
        """The attributes of a resource that exists."""
        if self.name == _TEST:
            return {"output": properties.get("value", "test_string")}
        if self.name == _RANDOM:
            return {"value": _random_text(physical_id, _length(properties.get("length") or 32))}
        if self.name == _VALUE:
            return {"value": properties.get("value")}
        if self.name == _MONITORING:
            return {**properties, "link": f"http://monitoring.invalid/targets/{physical_id}"}
        return {} if self.name == _NONE else properties


_VALUE = "OS::Heat::Value"
_RANDOM = "OS::Heat::RandomString"
_TEST = "OS::Heat::TestResource"
_NONE = "OS::Heat::None"
_MONITORING = "ESI::Monitoring::MonitoringTarget"


def _random_text(seed: str, length: int) -> str:
    # The same resource gives the same text; letters and digits only, as Heat's default class.
    digits = "".join(
        hashlib.sha256(f"{seed}/{block}".encode()).hexdigest() for block in range(length // 64 + 1)
    )
    return digits[:length]


_BUILT_IN: Mapping[str, ResourceType] = {
    _VALUE: ResourceType(
        name=_VALUE,
        properties={"type": _anything, "value": _anything},
        required=("value",),
        attributes=frozenset({"value", "show"}),
        named=True,
    ),
    _RANDOM: ResourceType(
        name=_RANDOM,
        properties={
            "length": _length,
            "sequence": _anything,
            "character_classes": _anything,
            "character_sequences": _anything,
            "salt": _anything,
        },
        attributes=frozenset({"value", "show"}),
        named=True,
    ),
    _TEST: ResourceType(
        name=_TEST,
        properties={
            "value": _anything,
            "update_replace": _boolean,
            "update_replace_value": _anything,
            "fail": _boolean,
            "client_name": _anything,
            "entity_name": _anything,
            "wait_secs": to_number,
            "action_wait_secs": _mapping,
            "attr_wait_secs": to_number,
            "constraint_prop_secs": to_number,
        },
        attributes=frozenset({"output", "show"}),
        named=True,
    ),
    _NONE: ResourceType(name=_NONE, named=True),
    _MONITORING: ResourceType(name=_MONITORING),
}


def find_type(name: str, namespaces: Sequence[str] = DEFAULT_NAMESPACES) -> ResourceType:
    """Look a resource type up.

    Args:
        name: such as ``OS::Heat::Value``.
        namespaces: patterns of types that are accepted without being known.

    Raises:
        StackRejected: ``StackValidationFailed``: there is no such type.
    """
    if name in _BUILT_IN:
        return _BUILT_IN[name]
    known = any(fnmatch.fnmatchcase(name, pattern) for pattern in namespaces)
    if not known or name.startswith("OS::Heat::"):
        raise invalid(f"The Resource Type ({name}) could not be found.")
    return ResourceType(name=name)
