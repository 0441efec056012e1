"""Objects of a documented shape: which fields, in which order, and what to do with others."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar, cast

import attrs
from cattrs import ClassValidationError, Converter
from cattrs.gen import make_dict_structure_fn, override

from gohan_jobs.codec.fields import Hook, Unexpected, at_field, wrong_fields
from gohan_jobs.records.unknown import UnknownField

__all__ = ["Shape", "in_order", "placed", "reader", "shape", "unknown_fields"]

R = TypeVar("R")


@attrs.frozen
class Shape:
    """The documented fields of an object; made by :func:`shape`.

    Attributes:
        fields: their names, in documented order.
        known: the same, as a set.
        optional: those that may be absent.
        usual: exactly those of the usual object, which is then taken without a closer look.
    """

    fields: tuple[str, ...]
    known: frozenset[str]
    optional: frozenset[str]
    usual: frozenset[str]

    def missing(self, value: Mapping[str, Any]) -> list[str]:
        """The required fields that an object does not have."""
        return [name for name in self.fields if name not in value and name not in self.optional]


def shape(*fields: str, optional: Iterable[str] = (), unusual: Iterable[str] = ()) -> Shape:
    """A shape of these fields.

    Args:
        fields: their names, in documented order.
        optional: those that may be absent.
        unusual: those of them that mostly are.
    """
    known = frozenset(fields)
    return Shape(fields, known, frozenset(optional), known - frozenset(unusual))


def reader(
    layout: Shape,
    record: type[R],
    converter: Converter,
    usual: Hook[R] | None = None,
    **hooks: Hook[Any],
) -> Hook[R]:
    """A hook that structures an object of this shape, unknown fields kept in ``unknown``.

    Args:
        layout: the object's.
        record: the attrs class to make of it; fields without a hook keep their defaults.
        converter: whose hook it will be; decides whether every problem is collected.
        usual: makes the record of a usual object with the same hooks, where speed counts: what
            cattrs generates for fields with defaults asks for each whether it is there.
        hooks: one for each field of the shape.
    """
    overrides: dict[str, Any] = {
        field.name: override(struct_hook=hooks[field.name])
        if field.name in hooks
        else override(omit=True)
        for field in attrs.fields(cast("type[attrs.AttrsInstance]", record))
    }
    make = make_dict_structure_fn(
        record,
        converter,
        # A caller's converter may be set otherwise for its own classes.
        _cattrs_forbid_extra_keys=False,
        **overrides,
    )

    whole = layout.usual
    quick = make if usual is None or converter.detailed_validation else usual

    def structure(value: Any, _type: Any) -> R:
        if type(value) is not dict:
            raise Unexpected.kind("an object", value)
        if value.keys() == whole:
            return quick(value, record)
        return _irregular(layout, record, make, value)

    return structure


def _irregular(
    layout: Shape, record: type[R], make: Callable[[Any, Any], R], value: dict[str, Any]
) -> R:
    missing = layout.missing(value)
    if missing:
        raise _with_missing(record, missing, make, value)
    made = make(value, record)
    unknown = unknown_fields(layout, value)
    if not unknown:
        return made
    return cast("R", attrs.evolve(cast("Any", made), unknown=unknown))


def _with_missing(
    record: type[R], missing: list[str], make: Callable[[Any, Any], R], value: dict[str, Any]
) -> Exception:
    errors = [at_field(KeyError(name), name, record) for name in missing]
    # A converter that stops at its first error has found it: what is missing.
    with contextlib.suppress(Exception):
        errors += _others(make, value, record)
    return wrong_fields(errors, record)


def _others(
    make: Callable[[Any, Any], R], value: dict[str, Any], record: type[R]
) -> list[Exception]:
    try:
        make(value, record)
    except ClassValidationError as error:
        return [each for each in error.exceptions if not isinstance(each, KeyError)]
    return []


def unknown_fields(layout: Shape, value: Mapping[str, Any]) -> tuple[UnknownField, ...]:
    """The fields that are not the shape's, each with the known one it stood behind."""
    found, after = [], None
    for name, item in value.items():
        if name in layout.known:
            after = name
        else:
            found.append(UnknownField(after, name, item))
    return tuple(found)


def placed(known: dict[str, Any], unknown: tuple[UnknownField, ...]) -> dict[str, Any]:
    """The known fields with the unknown ones back at their places.

    One whose predecessor is not there comes last: it is never lost.

    Raises:
        Unexpected: if two fields have the same name.
    """
    if not unknown:
        return known
    result: dict[str, Any] = {}
    for after in (None, *known):
        if after is not None:
            result[after] = known[after]
        result.update((field.name, field.value) for field in unknown if field.after == after)
    result.update((field.name, field.value) for field in unknown if field.after not in known)
    if len(result) != len(known) + len(unknown):
        raise Unexpected("an unknown field has the name of another field")
    return result


def in_order(layout: Shape, value: dict[str, Any]) -> dict[str, Any]:
    """An object of this shape with its known fields in documented order."""
    if tuple(value) == layout.fields:
        return value
    known = {name: value[name] for name in layout.fields if name in value}
    return placed(known, unknown_fields(layout, value))
