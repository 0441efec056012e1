"""What Heat answers, as this library's records and errors. Pure: no client is imported here."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import attrs

from gohan_jobs.exceptions import (
    OrchestratorError,
    OrchestratorRefused,
    OrchestratorUnavailable,
    StackExists,
    StackNotFound,
    StackRejected,
)
from gohan_jobs.orchestrators.base import Stack
from gohan_jobs.records import StackOutput, StackStatus

__all__ = [
    "HeatFault",
    "error_of",
    "event_lines",
    "fault_of",
    "output_of",
    "project_of",
    "resource_lines",
    "stack_of",
]

_MAX_LINE = 500
"""Characters of a line of a diagnosis; Heat's reasons can be whole tracebacks."""

_MISSING = frozenset({"EntityNotFound", "NotFound", "StackNotFound"})
"""Heat's names for "there is no such stack"; any other 404 comes from something before Heat."""

_PASSING = frozenset({408, 425, 429})
"""Client errors that pass by themselves."""

_QUOTA = "maximum stacks per tenant"
"""Known by Heat's words only: its type is that of a template that is too big, too."""

_SERVER_ERROR = 500
_NOT_FOUND = 404
_CONFLICT = 409
_REFUSALS = frozenset({300, 401, 403})
"""Multiple choices: the endpoint is not that of the v1 API."""

_STATUSES = {str(status): status for status in StackStatus}


@attrs.frozen(kw_only=True)
class HeatFault:
    """The body of an answer that is an error.

    Attributes:
        code: the HTTP status.
        kind: Heat's name for it, such as ``StackExists``; ``""`` if the body is not Heat's.
        message: Heat's own words; or that there are none.
    """

    code: int
    kind: str
    message: str


def fault_of(code: int, body: bytes | str | None) -> HeatFault:
    """Read the body of an error; one that isn't Heat's is not shown, only its status."""
    try:
        document = json.loads(body or b"")
        error = document["error"]
        # Heat leaves the message out when it holds what users should not see.
        message = error.get("message") or document.get("explanation") or f"HTTP {code}"
        return HeatFault(code=code, kind=str(error["type"]), message=str(message))
    except (AttributeError, KeyError, TypeError, ValueError):
        return HeatFault(code=code, kind="", message=f"HTTP {code}, not in Heat's words")


def error_of(fault: HeatFault) -> OrchestratorError:
    """Which error an answer is; see the table in :mod:`gohan_jobs.orchestrators.heat.client`."""
    code, message = fault.code, fault.message
    if code >= _SERVER_ERROR or code in _PASSING:
        return OrchestratorUnavailable(message)
    if code in {_NOT_FOUND, _CONFLICT}:
        return _missing_or_conflict(fault)
    if _QUOTA in message:
        return StackRejected(message, fault.kind, retryable=True)
    if code in _REFUSALS:
        return OrchestratorRefused(message)
    return StackRejected(message, fault.kind or f"HTTP {code}")


def _missing_or_conflict(fault: HeatFault) -> OrchestratorError:
    if fault.kind in _MISSING:
        return StackNotFound(fault.message)
    if fault.kind == "StackExists":
        return StackExists(fault.message)
    # ActionInProgress passes; so does a proxy that does not know Heat (any more).
    return OrchestratorUnavailable(fault.message)


def stack_of(info: Mapping[str, Any], tenant: str) -> Stack:
    """A stack, from a listing or in full.

    Heat says ``DELETE_COMPLETE`` a moment before it gives the name free, and then the time.

    Raises:
        KeyError: if it is not Heat's description of a stack.
    """
    status = str(info["stack_status"])
    if status == StackStatus.DELETE_COMPLETE and info.get("deletion_time", "") is None:
        status = StackStatus.DELETE_IN_PROGRESS
    return Stack(
        id=str(info["id"]),
        name=str(info["stack_name"]),
        tenant=tenant,
        status=_STATUSES.get(status, status),
        status_reason=str(info.get("stack_status_reason") or ""),
        tags=tuple(str(tag) for tag in info.get("tags") or ()),
    )


def project_of(info: Mapping[str, Any]) -> str | None:
    """The project that a stack's own link names; None if it has no such link.

    A listing asked for with an administrator's token holds the stacks of all projects.
    """
    for link in info.get("links") or ():
        if link.get("rel") == "self" and "/stacks/" in link.get("href", ""):
            return str(link["href"].split("/stacks/", 1)[0].rsplit("/", 1)[1])
    return None


def output_of(info: Mapping[str, Any]) -> StackOutput:
    """An output, as a stack in full lists it.

    Raises:
        KeyError: if it is not Heat's description of an output.
    """
    error = info.get("output_error")
    return StackOutput(
        output_key=str(info["output_key"]),
        output_value=info.get("output_value"),
        description=str(info.get("description") or ""),
        output_error=None if error is None else str(error),
    )


def resource_lines(infos: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """``<name>: <reason>`` of each resource; ``<parent>/<name>`` in a nested stack."""
    return tuple(_bounded(f"{_path(info)}: {info.get('resource_status_reason')}") for info in infos)


def _path(info: Mapping[str, Any]) -> str:
    parent = info.get("parent_resource")
    return f"{parent}/{info['resource_name']}" if parent else str(info["resource_name"])


def event_lines(infos: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """``<time> <resource> <status> <reason>`` of each event."""
    keys = ("event_time", "resource_name", "resource_status", "resource_status_reason")
    return tuple(_bounded(" ".join(str(info.get(key)) for key in keys)) for info in infos)


def _bounded(line: str) -> str:
    flat = " ".join(line.split())
    return flat if len(flat) <= _MAX_LINE else f"{flat[: _MAX_LINE - 1]}…"
