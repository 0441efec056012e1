"""Changes that are not planned yet: they wait for a resource (``rules`` 5), or were vetoed.

Each is noted under ``/gohan-jobs/held/``, so that a new leader takes it up as it was, and anybody
can see it. The note goes in the transaction that ends it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import attrs

from gohan_jobs.bookkeeping import Held
from gohan_jobs.events import ConfigHeld
from gohan_jobs.exceptions import InvalidRecord
from gohan_jobs.keys import ResourcePath
from gohan_jobs.manager.changes import Draft, Pending
from gohan_jobs.manager.desk import Desk
from gohan_jobs.planning import Hold
from gohan_jobs.records import ResourceRef
from gohan_jobs.stores.base import Entry

__all__ = ["Holds"]

_AGAIN = 1.0


class Holds:
    """Which changes are held, and what for. They block nobody else.

    Args:
        desk: what is known.
        overdue: called with a path when its time has come.
    """

    def __init__(self, desk: Desk, overdue: Callable[[ResourcePath], None]) -> None:
        self._desk = desk
        self._overdue = overdue
        self._missing: dict[ResourcePath, ResourceRef] = {}
        self._waiting: dict[ResourceRef, dict[ResourcePath, None]] = {}
        self._due: dict[ResourcePath, float] = {}

    def clear(self) -> None:
        """Forget everything, before all is read again."""
        self._desk.held.clear()
        self._waiting.clear()
        self._missing.clear()
        self._due.clear()

    def found(self, path: ResourcePath, entry: Entry) -> None:
        """A new leader has read a note; one that can't be read is written anew, or goes."""
        own = self._desk.queue.own
        try:
            held = own.loads(entry.key, entry.value, Held)
        except InvalidRecord:
            self._desk.held[path] = None, entry.mod_revision
        else:
            self._desk.held[path] = held, entry.mod_revision

    # Drafting.

    def draft(self, pending: Pending, plan: Hold) -> Draft | None:
        """The note that a version waits for something; None if it is there already.

        Its wait begins when that version is held first, whoever leads, and whatever else it waits
        for by then.
        """
        desk, path = self._desk, pending.path
        held = self._waiting_since(path, pending.revision, plan)
        self.expect(path, plan.missing)
        known, revision = desk.held.get(path, (None, 0))
        if held == known:
            self._set_timer(path, held)
            return None
        transaction = desk.queue.hold(path, held, revision)
        return Draft(pending=pending, plan=plan, transaction=transaction, held=held)

    def _waiting_since(self, path: ResourcePath, revision: int, plan: Hold) -> Held:
        desk = self._desk
        body = plan.otherwise.processed.body
        reason, missing = desk.scrub(plan.reason, body), desk.scrub(str(plan.missing), body)
        known = self.of(path, revision)
        if known is not None and not known.vetoed:
            return attrs.evolve(known, reason=reason, missing=missing)
        return Held(
            config_mod=revision,
            version=plan.otherwise.state.version,
            reason=reason,
            missing=missing,
            since=desk.now_text(),
            until=self.later(desk.options.hold_time),
        )

    def later(self, seconds: float) -> str:
        """A time of day so many seconds from now, ISO 8601."""
        return (self._desk.clock.wall() + dt.timedelta(seconds=seconds)).isoformat()

    def done(self, draft: Draft, revision: int) -> None:
        """A change's note was written, or taken back with what was done instead."""
        path, held = draft.pending.path, draft.held
        if held is None:
            self.release(path)
            return
        before = self.of(path, held.config_mod)
        self._desk.held[path] = held, revision
        self._due.pop(path, None)
        self._set_timer(path, held)
        if isinstance(draft.plan, Hold):
            self._tell_first(path, held, draft.plan, before)

    def _tell_first(self, path: ResourcePath, held: Held, plan: Hold, before: Held | None) -> None:
        if before is not None and not before.vetoed:
            return
        resource = self._desk.estate.reference(path)
        assert resource is not None  # noqa: S101 - it was planned
        self._desk.events.emit(
            ConfigHeld(
                resource=resource,
                version=held.version,
                missing=plan.missing,
                reason=held.reason,
                until=held.until,
            )
        )

    # Asking.

    def of(self, path: ResourcePath, revision: int) -> Held | None:
        """What holds that revision of a config (0: its removal); None if nothing does."""
        held = self._desk.held.get(path, (None, 0))[0]
        return held if held is not None and held.config_mod == revision else None

    def waiting_for(self, resource: ResourceRef) -> tuple[ResourcePath, ...]:
        """The configs held for something."""
        return tuple(self._waiting.get(resource, ()))

    # Ending.

    def let_go(self, path: ResourcePath) -> None:
        """Nothing is done about a change that was held: take its note back by itself."""
        revision = self._desk.held.get(path, (None, 0))[1]
        if revision:
            self._desk.commit(self._desk.queue.let_go(path, revision))
        self.release(path)

    def release(self, path: ResourcePath) -> None:
        """A change is not held any more; nothing if it was not."""
        self._desk.held.pop(path, None)
        self._due.pop(path, None)
        self._expect_nothing(path)

    # Waiting.

    def expect(self, path: ResourcePath, missing: ResourceRef) -> None:
        """A config is to be looked at again when something appears."""
        self._expect_nothing(path)
        self._missing[path] = missing
        self._waiting.setdefault(missing, {})[path] = None

    def _expect_nothing(self, path: ResourcePath) -> None:
        missing = self._missing.pop(path, None)
        if missing is None:
            return
        del self._waiting[missing][path]
        if not self._waiting[missing]:
            del self._waiting[missing]

    def _set_timer(self, path: ResourcePath, held: Held) -> None:
        """Wait for a note's time, once; times of day may differ between leaders, not in one."""
        if path in self._due:
            return
        desk = self._desk
        due = desk.clock.now() + desk.seconds_until(held.until)
        self._due[path] = due
        desk.timers.at(due, lambda: self._over(path, due))

    def _over(self, path: ResourcePath, due: float) -> None:
        if self._due.get(path) != due:
            return
        self._overdue(path)
        if self._due.get(path) == due:  # something changed under it
            again = self._desk.clock.now() + _AGAIN
            self._desk.timers.at(again, lambda: self._over(path, due))
