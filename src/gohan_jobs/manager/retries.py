"""An operator's retry: a config version is carried out again, though it has its result."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import attrs

from gohan_jobs.bookkeeping import Held, RetryRequest
from gohan_jobs.events import RequestCarriedOut, RequestDropped
from gohan_jobs.exceptions import GohanJobsError, TransactionTooLarge
from gohan_jobs.keys import ResourcePath
from gohan_jobs.manager.asked import drop_request
from gohan_jobs.manager.changes import Draft, Pending, change_of
from gohan_jobs.manager.desk import Desk
from gohan_jobs.manager.drafting import Drafting
from gohan_jobs.planning import Change, Enqueue, Hold, Publish
from gohan_jobs.planning.changes import plan_without_looking_back
from gohan_jobs.records import ResourceRef
from gohan_jobs.stores.base import Entry

__all__ = ["Retries", "Veto"]

Veto: TypeAlias = Callable[[ResourcePath, ResourceRef, Entry, Enqueue], Held | None]
"""What the admission hook has against a plan."""

_RETRY = "retry"


class _Void(Exception):
    """A request that can't be carried out, and why."""


@attrs.frozen(kw_only=True)
class _Asked:
    """A request, as far as it can be read."""

    path: ResourcePath
    entry: Entry
    resource: ResourceRef | None
    request: RetryRequest | None


class Retries:
    """Plans versions again whose retry an operator has asked for (``rules`` 12).

    Args:
        desk: what is known, and how to write.
        veto: asks the admission hook about a plan: what it does not allow is not done later
            either, since who asked for it is there to ask again.
    """

    def __init__(self, desk: Desk, veto: Veto) -> None:
        self._desk = desk
        self._veto = veto
        self._drafting = Drafting(desk)
        self._asked: dict[ResourcePath, Entry] = {}

    def clear(self) -> None:
        """Forget everything, before all is read again."""
        self._asked.clear()

    def heard(self, path: str, entry: Entry | None) -> None:
        """An operator asks for a retry, or it is done."""
        if entry is None:
            self._asked.pop(ResourcePath(path), None)
        else:
            self._asked[ResourcePath(path)] = entry

    def step(self) -> bool:
        """Deal with one request; whether there was any that need not wait.

        A repair may have come before it, or a later version: their jobs end first.
        """
        for path, entry in self._asked.items():
            resource = self._desk.estate.reference(path)
            if resource is None or not self._desk.board.of_resource(resource):
                self._deal_with(path, entry, resource)
                return True
        return False

    def _deal_with(self, path: ResourcePath, entry: Entry, resource: ResourceRef | None) -> None:
        asked = _Asked(path=path, entry=entry, resource=resource, request=self._read(entry))
        try:
            draft = self._draft(asked)
            done = self._drafting.carry_out(draft, entry)
        except (_Void, TransactionTooLarge) as error:
            self._drop(asked, str(error))
            return
        if done:
            self._asked.pop(path, None)
            self._tell(asked)

    def _read(self, entry: Entry) -> RetryRequest | None:
        try:
            return self._desk.queue.own.loads(entry.key, entry.value, RetryRequest)
        except GohanJobsError:
            return None

    def _draft(self, asked: _Asked) -> Draft:
        """What a retry does; what refers to something that is not there fails at once."""
        desk, path = self._desk, asked.path
        entry, change = self._change(asked)
        plan = plan_without_looking_back(change, desk.view, desk.schemas, desk.suffix)
        plan = plan.otherwise if isinstance(plan, Hold) else plan
        assert isinstance(plan, Enqueue | Publish)  # noqa: S101 - nothing else is left
        if isinstance(plan, Enqueue):
            held = self._veto(path, change.resource, entry, plan)
            if held is not None:
                raise _Void(f"vetoed, ask again at {held.until}: {held.reason}")
        pending = Pending(path, entry, entry.mod_revision, reread=True, again=True)
        draft = self._drafting.draft(pending, plan, entry)
        assert draft is not None  # noqa: S101 - a result or a job is always written
        return draft

    def _change(self, asked: _Asked) -> tuple[Entry, Change]:
        desk, path = self._desk, asked.path
        if asked.request is None:
            raise _Void("the request can't be read")
        entry = self._config(path, asked.request)
        identified = desk.estate.identify(path)
        if identified is None:
            raise _Void("no schema has this path")
        try:
            config = desk.estate.config(path)
        except GohanJobsError as error:
            raise _Void(str(error)) from error
        assert config is not None  # noqa: S101 - its entry is there
        schema, resource = identified
        return entry, change_of(path, entry, schema, resource, config)

    def _config(self, path: ResourcePath, request: RetryRequest) -> Entry:
        desk = self._desk
        entry = desk.estate.config_entry(path)
        if entry is None or entry.mod_revision != request.config_mod:
            desk.refresh(path)  # the request may have been heard before its config
            entry = desk.estate.config_entry(path)
        if entry is None:
            raise _Void("its config is gone")
        if entry.mod_revision != request.config_mod:
            raise _Void("its config is another one by now")
        return entry

    # What comes of it.

    def _drop(self, asked: _Asked, reason: str) -> None:
        """Take back a request that can't be carried out, and say so."""
        by = "" if asked.request is None else asked.request.by
        version = None if asked.request is None else asked.request.version
        resource = asked.resource or ResourceRef("", asked.path)
        told = RequestDropped(
            resource=resource, version=version, request=_RETRY, reason=reason, by=by
        )
        drop_request(self._desk, asked.entry, told)
        self._asked.pop(asked.path, None)

    def _tell(self, asked: _Asked) -> None:
        assert asked.request is not None  # noqa: S101 - it was carried out
        assert asked.resource is not None  # noqa: S101 - likewise
        self._desk.events.emit(
            RequestCarriedOut(
                resource=asked.resource,
                version=asked.request.version,
                request=_RETRY,
                by=asked.request.by,
            )
        )
