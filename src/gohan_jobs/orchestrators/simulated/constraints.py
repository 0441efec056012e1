"""What a HOT template may demand of a parameter's value beyond its type."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, NoReturn, TypeAlias

import attrs

from gohan_jobs.orchestrators.simulated.rejections import rejected

__all__ = ["Constraint", "parse_constraint", "to_boolean", "to_number"]

Number: TypeAlias = int | float

_TRUE = frozenset({"1", "t", "true", "on", "y", "yes"})
_FALSE = frozenset({"0", "f", "false", "off", "n", "no"})


def to_number(value: Any) -> Number:
    """A number, or a text that is one.

    Raises:
        ValueError: a text that is none.
        TypeError: neither a number nor a text.
    """
    if isinstance(value, int | float):
        return value
    try:
        return int(value)
    except ValueError:
        return float(value)


def to_boolean(value: Any) -> bool:
    """A boolean, or what Heat takes for one.

    Raises:
        ValueError: anything else.
    """
    word = str(value).strip().lower()
    if word not in _TRUE | _FALSE:
        choices = ", ".join(f"'{choice}'" for choice in sorted(_TRUE | _FALSE))
        raise ValueError(f"Unrecognized value '{value}', acceptable values are: {choices}")
    return word in _TRUE


@attrs.frozen(kw_only=True)
class Constraint:
    """One constraint.

    Attributes:
        name: Heat's name for its kind, such as ``AllowedValues``.
        types: the parameter types it can be put on.
        holds: whether a value meets it.
        complaint: what to say of a value that does not.
    """

    name: str
    types: frozenset[str]
    holds: Callable[[Any], bool]
    complaint: Callable[[Any], str]


_NUMBERS = frozenset({"number"})
_SIZED = frozenset({"string", "comma_delimited_list", "json"})
_LISTABLE = frozenset({"string", "number", "boolean", "comma_delimited_list"})
_ALL = _SIZED | _LISTABLE


def _refuse(message: str) -> NoReturn:
    raise rejected("InvalidSchemaError", message)


def _mapping(definition: Any, allowed: tuple[str, ...], entity: str) -> Mapping[str, Any]:
    if not isinstance(definition, Mapping):
        _refuse(f"Invalid {entity}, expected a mapping")
    for key in definition:
        if key not in allowed:
            _refuse(f"Invalid key '{key}' for {entity}")
    return definition


def _bounds(definition: Any, entity: str) -> tuple[Number | None, Number | None]:
    limits = _mapping(definition, ("min", "max"), f"{entity} constraint")
    low, high = (None if limits.get(k) is None else to_number(limits[k]) for k in ("min", "max"))
    if low is None and high is None:
        _refuse(f"A {entity} constraint must have a min value and/or a max value specified.")
    return low, high


def _within(value: Number, low: Number | None, high: Number | None) -> bool:
    return (low is None or value >= low) and (high is None or value <= high)


def _range(definition: Any, _type: str) -> Constraint:
    low, high = _bounds(definition, "range")
    return Constraint(
        name="Range",
        types=_NUMBERS,
        holds=lambda value: _within(to_number(value), low, high),
        complaint=lambda value: f"{value} is out of range (min: {low}, max: {high})",
    )


def _length(definition: Any, _type: str) -> Constraint:
    low, high = _bounds(definition, "length")
    return Constraint(
        name="Length",
        types=_SIZED,
        holds=lambda value: _within(len(value), low, high),
        complaint=lambda value: f"length ({len(value)}) is out of range (min: {low}, max: {high})",
    )


def _modulo(definition: Any, _type: str) -> Constraint:
    parts = _mapping(definition, ("step", "offset"), "modulo constraint")
    if parts.get("step") is None or parts.get("offset") is None:
        _refuse("A modulo constraint must have a step value and an offset value specified.")
    step, offset = int(to_number(parts["step"])), int(to_number(parts["offset"]))
    if step == 0:
        _refuse("step cannot be 0.")
    if abs(offset) >= abs(step):
        _refuse("offset must be smaller (by absolute value) than step.")
    if step * offset < 0:
        _refuse("step and offset must be both positive or both negative.")
    return Constraint(
        name="Modulo",
        types=_NUMBERS,
        holds=lambda value: to_number(value) % step == offset,
        complaint=lambda value: f"{value} is not a multiple of {step} with an offset of {offset}",
    )


def _allowed_values(definition: Any, of_type: str) -> Constraint:
    if not isinstance(definition, list):
        _refuse("AllowedValues must be a list")
    same = _SAME_TYPE.get(of_type, str)

    def holds(value: Any) -> bool:
        if isinstance(value, list):
            return all(item in definition for item in value)
        return same(value) in [same(item) for item in definition]

    choices = ", ".join(json.dumps(item) for item in definition)
    return Constraint(
        name="AllowedValues",
        types=_LISTABLE,
        holds=holds,
        complaint=lambda value: f"{json.dumps(value)} is not an allowed value [{choices}]",
    )


def _allowed_pattern(definition: Any, _type: str) -> Constraint:
    if not isinstance(definition, str):
        _refuse("AllowedPattern must be a string")
    try:
        pattern = re.compile(definition)
    except re.error as error:
        _refuse(f"AllowedPattern is no regular expression: {error}")
    return Constraint(
        name="AllowedPattern",
        types=frozenset({"string"}),
        holds=lambda value: pattern.fullmatch(value) is not None,
        complaint=lambda value: f'"{value}" does not match pattern "{definition}"',
    )


def _custom(_definition: Any, _type: str) -> Constraint:
    # Heat asks Nova, Glance and the like. Nobody is there to ask, so anything is good.
    return Constraint(
        name="CustomConstraint",
        types=_ALL,
        holds=lambda _: True,
        complaint=str,
    )


_SAME_TYPE: Mapping[str, Callable[[Any], Any]] = {
    "string": str,
    "number": to_number,
    "boolean": to_boolean,
}

_PARSERS: Mapping[str, Callable[[Any, str], Constraint]] = {
    "range": _range,
    "length": _length,
    "modulo": _modulo,
    "allowed_values": _allowed_values,
    "allowed_pattern": _allowed_pattern,
    "custom_constraint": _custom,
}


_MODULO_SINCE = "2017-02-24"


def parse_constraint(definition: Any, of_type: str, version: str) -> Constraint:
    """One entry of a parameter's ``constraints``.

    Args:
        definition: the entry.
        of_type: the parameter's type.
        version: the template's version, as a date.

    Raises:
        StackRejected: ``InvalidSchemaError``.
    """
    entry = _mapping(definition, ("description", *_PARSERS), "parameter constraints")
    kinds = [kind for kind in _PARSERS if kind != "modulo" or version >= _MODULO_SINCE]
    kind = next((kind for kind in kinds if kind in entry), None)
    if kind is None:
        _refuse("No constraint expressed")
    parsed = _PARSERS[kind](entry[kind], of_type)
    words = entry.get("description")
    return attrs.evolve(parsed, complaint=lambda _: str(words)) if words else parsed
