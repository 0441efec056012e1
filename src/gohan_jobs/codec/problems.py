"""What cattrs found wrong, as a flat list of problems with their paths."""

from __future__ import annotations

from collections.abc import Iterator

from cattrs import (
    AttributeValidationNote,
    BaseValidationError,
    ForbiddenExtraKeysError,
    IterableValidationNote,
)

from gohan_jobs.codec.fields import Unexpected
from gohan_jobs.codec.strict_json import Refused, step
from gohan_jobs.exceptions import Problem

__all__ = ["problems_of"]


def problems_of(error: Exception, path: str = "$") -> Iterator[Problem]:
    """Every problem in an error that a structure hook raised.

    Args:
        error: one error, or a group of them.
        path: of the value that was structured.

    Yields:
        Problems. Of an error that is not ours only its class is told, as its words may hold a
        value.
    """
    if isinstance(error, BaseValidationError):
        for inner in error.exceptions:
            yield from problems_of(inner, path + _noted(inner))
    elif isinstance(error, Refused):
        for problem in error.problems:
            yield Problem(path + problem.path.removeprefix("$"), problem.message)
    else:
        yield Problem(path, _message(error))


def _noted(error: Exception) -> str:
    for note in getattr(error, "__notes__", ()):
        if isinstance(note, AttributeValidationNote):
            return step(note.name)
        if isinstance(note, IterableValidationNote):
            return f"[{note.index}]"
    return ""


def _message(error: Exception) -> str:
    if isinstance(error, Unexpected):
        return str(error)
    if isinstance(error, KeyError):
        return "required field missing"
    if isinstance(error, ForbiddenExtraKeysError):
        return "a field that is not allowed here"
    return f"can't be read: {type(error).__name__}"
