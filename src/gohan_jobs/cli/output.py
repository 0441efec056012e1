"""What commands print for programs: JSON, from the library's own models."""

from __future__ import annotations

import datetime as dt
import enum
import json
from collections.abc import Callable, Collection, Mapping
from typing import Any, TypeGuard, TypeVar, get_args

import attrs
import click

from gohan_jobs.codec import Codec, loads_json
from gohan_jobs.keys import JobId
from gohan_jobs.records import Record, ResourceRef
from gohan_jobs.redacted_records import redacted_row
from gohan_jobs.redaction import Redactor

__all__ = ["json_option", "plain", "print_json"]

F = TypeVar("F", bound=Callable[..., Any])

_TEXTS = (JobId, ResourceRef)
_RECORDS = get_args(Record)
_CODEC = Codec()


def json_option(function: F) -> F:
    """Add ``--json``, as the argument ``as_json``."""
    return click.option(
        "--json", "as_json", is_flag=True, help="Print JSON, for programs; its keys are stable."
    )(function)


def print_json(value: object, secrets: Collection[str] = ()) -> None:
    """Print a model as one line of JSON: commands that go on print one for each thing they tell."""
    click.echo(json.dumps(plain(value, secrets), ensure_ascii=False))


def plain(value: object, secrets: Collection[str] = ()) -> Any:
    """A model as JSON knows it: attributes as keys, what is no JSON as its text.

    A record is its document, without what stands under secret keys.

    Args:
        value: the model.
        secrets: texts to mask wherever they stand.
    """
    if _is_record(value):
        return redacted_row(loads_json("record", _CODEC.dumps(value)), secrets=secrets)
    if isinstance(value, Mapping):
        return {str(key): plain(item, secrets) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item, secrets) for item in value]
    if attrs.has(type(value)) and not isinstance(value, _TEXTS):
        return plain({name: getattr(value, name) for name in _names(value)}, secrets)
    found = _scalar(value)
    return Redactor().scrub(found, secrets) if isinstance(found, str) else found


def _scalar(value: object) -> str | int | float | bool | None:
    if isinstance(value, enum.Enum):
        return _scalar(value.value)
    if isinstance(value, str | int | float | bool | None):
        return value
    return value.isoformat() if isinstance(value, dt.datetime) else str(value)


def _names(model: Any) -> tuple[str, ...]:
    """The names of a model's attributes, without those that are kept out of its repr as secret."""
    return tuple(field.name for field in attrs.fields(type(model)) if field.name != "secrets")


def _is_record(value: object) -> TypeGuard[Record]:
    return isinstance(value, _RECORDS)
