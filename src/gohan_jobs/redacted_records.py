"""Records as texts for printing: whole, or with their secrets masked."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any

from gohan_jobs.codec import Codec, Spelling, dumps_json, loads_json
from gohan_jobs.codec.spelling import plain_text
from gohan_jobs.records import ConfigRecord, Job, Record
from gohan_jobs.redaction import Redactor

__all__ = ["masked", "opened", "redacted_row", "redacted_text"]

_JSON_TEXTS = frozenset({"heat_outputs", "state_monitoring"})
"""Fields of ``/state`` that hold JSON as text (``records``, *StateRecord*)."""


def redacted_text(
    record: Record,
    spelling: Spelling | str = Spelling.DOCUMENT,
    *,
    codec: Codec | None = None,
    redactor: Redactor | None = None,
    secrets: Collection[str] = (),
) -> str:
    """A record's text without its secrets.

    Args:
        record: the record.
        spelling: a :class:`~gohan_jobs.Spelling`, or its value.
        codec: writes the record.
        redactor: says what is secret.
        secrets: texts that are secret beside those in the record itself.
    """
    whole = loads_json("record", (codec or Codec()).dumps(record))
    value = redacted_row(whole, redactor, secrets)
    if isinstance(record, ConfigRecord) and spelling == Spelling.GOHAN:
        value["body"] = dumps_json(value["body"], spelling)
    if isinstance(record, Job) and spelling == Spelling.WORKER:
        return plain_text(value)  # a job's keys are not sorted
    return dumps_json(value, spelling)


def redacted_row(
    value: Any, redactor: Redactor | None = None, secrets: Collection[str] = ()
) -> Any:
    """A JSON value without its secrets; they are masked wherever else they turn up, too.

    Args:
        value: of a record, or anything else.
        redactor: says what is secret.
        secrets: texts that are secret beside those in the value itself.
    """
    redactor = redactor or Redactor()
    return _close(masked(opened(value), redactor, secrets), value)


def masked(value: Any, redactor: Redactor, secrets: Collection[str] = ()) -> Any:
    """As :func:`redacted_row`, of a value whose JSON texts have been :func:`opened`."""
    hidden = redactor.secrets_in(value) | frozenset(secrets)
    return _scrubbed(redactor.redact(value), redactor, hidden)


def opened(value: Any) -> Any:
    """The value with its JSON texts parsed, as in ``heat_outputs``."""
    if isinstance(value, dict):
        return {
            key: _parsed(item) if key in _JSON_TEXTS and isinstance(item, str) else opened(item)
            for key, item in value.items()
        }
    return [opened(item) for item in value] if isinstance(value, list) else value


def _parsed(text: str) -> Any:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return value if isinstance(value, dict | list) else text


def _close(value: Any, whole: Any) -> Any:
    """The value with its JSON texts written again, where ``whole`` has texts."""
    if isinstance(whole, str) and isinstance(value, dict | list):
        return json.dumps(value)
    if isinstance(whole, dict) and isinstance(value, dict):
        return {key: _close(item, whole[key]) for key, item in value.items()}
    if isinstance(whole, list) and isinstance(value, list):
        return [_close(item, other) for item, other in zip(value, whole, strict=True)]
    return value


def _scrubbed(value: Any, redactor: Redactor, secrets: frozenset[str]) -> Any:
    if isinstance(value, str):
        return redactor.scrub(value, secrets)
    if isinstance(value, dict):
        return {key: _scrubbed(item, redactor, secrets) for key, item in value.items()}
    return (
        [_scrubbed(item, redactor, secrets) for item in value] if isinstance(value, list) else value
    )
