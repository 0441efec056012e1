"""Admission: a say before a change is queued, such as a quota's or a maintenance window's.

A hook is given to :class:`gohan_jobs.lifecycle.Lifecycle` as ``admission``. The leader asks it
about every creation, modification and deletion of a stack that it has planned, before anything is
written. A vetoed change is held, durably, and asked about again; it blocks nobody else.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import attrs

from gohan_jobs.records import Action, Job, ResourceRef
from gohan_jobs.schemas import Schema

__all__ = ["Admission", "AdmissionRequest", "Allow", "Verdict", "Veto"]


@attrs.frozen(kw_only=True)
class AdmissionRequest:
    """A change of a resource that is planned and not queued yet.

    Attributes:
        resource: whose.
        schema: its type's schema.
        action: what is to be done with its stack: ``create``, ``modify``, ``logical_delete`` (its
            config is marked), or ``delete`` (its config is gone).
        version: of the config; of the one processed last, for a ``delete``.
        tenant: its ``tenant_id``; empty if it has none.
        body: the config's; a copy. It may hold passwords and is not shown in a repr.
        jobs: what would be queued, in order; copies likewise.
    """

    resource: ResourceRef
    schema: Schema = attrs.field(repr=False)
    action: Action | str
    version: int
    tenant: str
    body: Mapping[str, Any] = attrs.field(repr=False)
    jobs: tuple[Job, ...] = attrs.field(repr=False)


@attrs.frozen
class Allow:
    """The change may be queued. None says the same."""


def _check_reason(veto: Veto, attribute: attrs.Attribute[str], reason: object) -> None:
    del veto, attribute
    if not isinstance(reason, str) or not reason:
        raise ValueError("a veto needs a reason")


def _check_seconds(veto: Veto, attribute: attrs.Attribute[float], seconds: object) -> None:
    del veto, attribute
    if (
        isinstance(seconds, bool)
        or not isinstance(seconds, int | float)
        or not 0 < seconds < math.inf
    ):
        raise ValueError("retry_after must be a positive number of seconds")


@attrs.frozen
class Veto:
    """The change may not be queued now.

    Attributes:
        reason: why, for whoever asks what a resource waits for. The config's secrets are taken out.
        retry_after: seconds until it is asked about again, unless the config changes before; at
            least a second passes, and at most a year.

    Raises:
        ValueError: no reason, or ``retry_after`` is not a positive number.
    """

    reason: str = attrs.field(validator=_check_reason)
    retry_after: float = attrs.field(default=60.0, validator=_check_seconds)


Verdict: TypeAlias = Allow | Veto
"""What a hook answers."""

Admission: TypeAlias = Callable[[AdmissionRequest], Verdict | None]
"""A hook.

It runs on the leader's thread: while it thinks, nothing else is planned, so it is to be quick and
never to wait for this library. It may be asked more than once about one change, if something
changes under the leader or another takes over: count what there is, not the calls. What it raises,
and any other answer, is a veto with that reason, with longer and longer waits.
"""
