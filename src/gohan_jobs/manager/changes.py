"""Config changes between being read and being done."""

from __future__ import annotations

import json
from typing import Any

import attrs

from gohan_jobs.board import Tracked
from gohan_jobs.bookkeeping import Band, Held
from gohan_jobs.keys import ResourcePath
from gohan_jobs.planning import Change, Plan
from gohan_jobs.records import ConfigRecord, ResourceRef
from gohan_jobs.schemas import Schema
from gohan_jobs.stores.base import Entry, Transaction

__all__ = ["Draft", "Pending", "change_of", "readable_version"]


@attrs.frozen
class Pending:
    """A config change that has been read and not yet handled.

    Attributes:
        path: the resource's path.
        entry: the config as read; None if its key is gone.
        revision: of the change.
        band: ``fresh`` or ``resync``.
        tries: how often its transaction has failed.
        reread: whether the estate has it already, so that ``entry`` is not to be applied.
        again: whether an operator wants it done though it has been (``rules`` 12).
        woken: whether it is only looked at again, since what it waits for has changed, or its time
            has come: that is no news to those that wait for it.
    """

    path: ResourcePath
    entry: Entry | None
    revision: int
    band: str = Band.FRESH
    tries: int = 0
    reread: bool = False
    again: bool = False
    woken: bool = False


def change_of(
    path: ResourcePath, entry: Entry, schema: Schema, resource: ResourceRef, config: ConfigRecord
) -> Change:
    """A config as planning gets it: what was read, and at which revisions it stands."""
    return Change(
        path=path,
        resource=resource,
        schema=schema,
        config=config,
        create_revision=entry.create_revision,
        mod_revision=entry.mod_revision,
    )


def readable_version(text: bytes) -> int | None:
    """The version of a config that is otherwise broken."""
    try:
        value: Any = json.loads(text)
    except (ValueError, RecursionError):
        return None
    version = value.get("version") if isinstance(value, dict) else None
    return version if isinstance(version, int) and not isinstance(version, bool) else None


@attrs.frozen(kw_only=True)
class Draft:
    """A planned change: its transaction, and what is true once that has succeeded.

    Attributes:
        pending: the change.
        plan: what is to be done about it.
        transaction: which does that.
        jobs: queued by it.
        collapsed: taken out of the queue by it.
        held: noted by it instead of doing the plan: not yet.
    """

    pending: Pending
    plan: Plan
    transaction: Transaction
    jobs: tuple[Tracked, ...] = ()
    collapsed: tuple[Tracked, ...] = ()
    held: Held | None = None
