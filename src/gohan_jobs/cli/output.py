"""What commands print for programs: JSON, from the library's own models."""

from __future__ import annotations

import datetime as dt
import enum
import json
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import attrs
import click

from gohan_jobs.keys import JobId
from gohan_jobs.records import ResourceRef

__all__ = ["json_option", "plain", "print_json"]

F = TypeVar("F", bound=Callable[..., Any])

_TEXTS = (JobId, ResourceRef)


def json_option(function: F) -> F:
    """Add ``--json``, as the argument ``as_json``."""
    return click.option(
        "--json", "as_json", is_flag=True, help="Print JSON, for programs; its keys are stable."
    )(function)


def print_json(value: object) -> None:
    """Print a model as one line of JSON: commands that go on print one for each thing they tell."""
    click.echo(json.dumps(plain(value), ensure_ascii=False))


def plain(value: object) -> Any:
    """A model as JSON knows it: attributes as keys, what is no JSON as its text."""
    if isinstance(value, enum.Enum):
        return plain(value.value)
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    if isinstance(value, str | int | float | bool | None):
        return value
    if attrs.has(type(value)) and not isinstance(value, _TEXTS):
        return plain({name: getattr(value, name) for name in _names(value)})
    return value.isoformat() if isinstance(value, dt.datetime) else str(value)


def _names(model: Any) -> tuple[str, ...]:
    return tuple(field.name for field in attrs.fields(type(model)))
