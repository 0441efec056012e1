"""Strict hooks for the fields of a record: the JSON type that was meant, or an error."""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar, cast

from cattrs import (
    AttributeValidationNote,
    BaseValidationError,
    ClassValidationError,
    IterableValidationError,
    IterableValidationNote,
)

from gohan_jobs.codec.strict_json import MAX_PROBLEMS
from gohan_jobs.exceptions import InvalidKey
from gohan_jobs.keys import JobId

__all__ = [
    "Hook",
    "Unexpected",
    "at_field",
    "at_index",
    "boolean",
    "each",
    "integer",
    "job_id",
    "member",
    "object_",
    "opaque",
    "text",
    "wrong_fields",
    "wrong_items",
]

T = TypeVar("T")
Hook: TypeAlias = Callable[[Any, Any], T]
"""What cattrs calls a structure hook: a value and its type; the type is not looked at."""

_JSON_NAMES = {
    dict: "an object",
    list: "a list",
    str: "a string",
    int: "an integer",
    float: "a fractional number",
    bool: "a boolean",
    type(None): "null",
}


class Unexpected(ValueError):
    """A value of another kind than was expected. It says the kind, never the value."""

    @classmethod
    def kind(cls, expected: str, found: object) -> Unexpected:
        """``expected`` in words, and what was found."""
        name = _JSON_NAMES.get(type(found), type(found).__name__)
        return cls(f"expected {expected}, found {name}")


def text(value: Any, _type: Any) -> str:
    """A string."""
    if type(value) is not str:
        raise Unexpected.kind("a string", value)
    return value


def integer(value: Any, _type: Any) -> int:
    """An integer: not ``true``, not ``1.0``, not ``"1"``."""
    if type(value) is not int:
        raise Unexpected.kind("an integer", value)
    return value


def boolean(value: Any, _type: Any) -> bool:
    """A boolean: not 0, not 1."""
    if type(value) is not bool:
        raise Unexpected.kind("a boolean", value)
    return value


def object_(value: Any, _type: Any) -> dict[str, Any]:
    """An object, taken as it is."""
    if type(value) is not dict:
        raise Unexpected.kind("an object", value)
    return value


def opaque(value: Any, _type: Any) -> Any:
    """Any JSON, taken as it is: walking it costs most of a conversion."""
    return value


def job_id(value: Any, _type: Any) -> JobId:
    """A job's id."""
    if type(value) is not str:
        raise Unexpected.kind("a job id", value)
    try:
        return JobId.parse(value)
    except InvalidKey as error:
        reason = error.reason
    raise Unexpected(f"not a job id: {reason}")


def member(vocabulary: type[enum.StrEnum]) -> Hook[Any]:
    """A string: the vocabulary's member, or itself if the vocabulary does not have it."""
    members: dict[str, Any] = {each.value: each for each in vocabulary}

    def structure(value: Any, _type: Any) -> Any:
        if type(value) is not str:
            raise Unexpected.kind("a string", value)
        return members.get(value, value)

    return structure


def each(item: Hook[T], *, detailed: bool) -> Hook[tuple[T, ...]]:
    """A list, as a tuple of what ``item`` makes of its items.

    Args:
        item: the hook for one.
        detailed: name every item that is wrong, with its index, instead of the first; after
            1,000 problems the items left are not looked at.
    """

    def structure(value: Any, _type: Any) -> tuple[T, ...]:
        if type(value) is not list:
            raise Unexpected.kind("a list", value)
        if not value:
            return ()
        if detailed:
            return _each(item, value)
        return tuple([item(one, None) for one in value])

    return structure


def _each(item: Hook[T], values: list[Any]) -> tuple[T, ...]:
    found: list[T] = []
    errors: list[Exception] = []
    told = 0
    for index, value in enumerate(values):
        if told >= MAX_PROBLEMS:
            errors.append(at_index(Unexpected("not looked at, after so many problems"), index))
            break
        try:
            found.append(item(value, None))
        except Exception as error:  # noqa: BLE001 - any hook's error is a problem of its item
            errors.append(at_index(error, index))
            told += _problems_in(error)
    if errors:
        raise wrong_items(errors)
    return tuple(found)


def _problems_in(error: Exception) -> int:
    if isinstance(error, BaseValidationError):
        return sum(map(_problems_in, error.exceptions))
    return 1


def at_index(error: Exception, index: int) -> Exception:
    """The error, noted to be about one item of a list."""
    error.add_note(IterableValidationNote(f"at index {index}", index, list))
    return error


def at_field(error: Exception, name: str, record: type[Any]) -> Exception:
    """The error, noted to be about one field of an object."""
    error.add_note(AttributeValidationNote(f"attribute {name}", name, record))
    return error


def wrong_items(errors: list[Exception]) -> Exception:
    """The errors of a list's items as one, each from :func:`at_index`."""
    # cast: exception groups are made by a __new__ that pyright does not see these override.
    return cast("Exception", cast("Any", IterableValidationError)("a list", errors, list))


def wrong_fields(errors: list[Exception], record: type[Any]) -> Exception:
    """The errors of an object's fields as one, each from :func:`at_field`."""
    message = f"While structuring {record.__name__}"
    return cast("Exception", cast("Any", ClassValidationError)(message, errors, record))
