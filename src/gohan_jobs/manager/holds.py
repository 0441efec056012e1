"""Changes that are not planned yet: they wait for a resource (``rules`` 5), or were vetoed.

Each is noted under ``/gohan-jobs/held/``, so that a new leader takes it up as it was, and anybody
can see it. The note goes in the transaction that ends it.
"""

from __future__ import annotations

from collections.abc import Callable

import attrs

from gohan_jobs.bookkeeping import Held
from gohan_jobs.clock import later_text
from gohan_jobs.estate import body_digest
from gohan_jobs.events import ConfigHeld, ConfigSetAside, ConfigVetoed, Event
from gohan_jobs.exceptions import InvalidRecord
from gohan_jobs.keys import ResourcePath
from gohan_jobs.manager.changes import Draft, Pending
from gohan_jobs.manager.desk import Desk
from gohan_jobs.planning import Enqueue, Hold
from gohan_jobs.records import ResourceRef
from gohan_jobs.records.job import resource_noted
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
        except InvalidRecord as error:
            self._desk.held[path] = None, entry.mod_revision
            self._desk.events.emit(ConfigSetAside(key=entry.key, reason=str(error)))
        else:
            self._desk.held[path] = held, entry.mod_revision

    # Drafting.

    def draft(self, pending: Pending, plan: Hold) -> Draft | None:
        """The note that a version waits for something; None if it is there already.

        Its wait begins when that version is held first, whoever leads, and whatever else it waits
        for by then.
        """
        path = pending.path
        held = self._waiting_since(path, pending.revision, plan)
        self._expect(path, plan.missing)
        return self.note(pending, plan, held)

    def note(self, pending: Pending, plan: Hold | Enqueue, held: Held) -> Draft | None:
        """The note that a plan is not carried out yet; None if it is there already."""
        path = pending.path
        known, revision = self._noted(path)
        if known is not None and _is_noted(held, known):
            self._desk.held[path] = held, revision
            self._set_timer(path, held)
            return None
        transaction = self._desk.queue.hold(path, held, revision)
        return Draft(pending=pending, plan=plan, transaction=transaction, held=held)

    def extended(self, pending: Pending, plan: Hold) -> Draft | None:
        """A longer wait for what was vetoed, once the time is over; None if there is none.

        What is vetoed may come yet, so whoever waits for it, through whatever else is held, goes on
        waiting.
        """
        held = self._waiting_since(pending.path, pending.revision, plan)
        veto = self._veto_behind(held)
        if veto is None:
            return None
        seconds = self._desk.seconds_until(veto.until) + self._desk.options.hold_time
        return self.note(
            pending, plan, attrs.evolve(held, until=later_text(self._desk.clock, seconds))
        )

    def _veto_behind(self, held: Held) -> Held | None:
        """The veto at the end of what a config waits for."""
        seen: set[str] = set()
        while not held.vetoed:
            missing = resource_noted(held.missing)
            schema = self._desk.schemas.by_type(missing.resource_type)
            if schema is None or held.missing in seen:
                return None
            seen.add(held.missing)
            following = self._noted(schema.path_of(missing.resource_id))[0]
            if following is None:
                return None
            held = following
        return held

    def _waiting_since(self, path: ResourcePath, revision: int, plan: Hold) -> Held:
        desk = self._desk
        body = plan.otherwise.processed.body
        reason, missing = desk.scrub(plan.reason, body), desk.scrub(str(plan.missing), body)
        known, digest = self._noted(path)[0], body_digest(body)
        version = plan.otherwise.state.version
        if known is not None and not known.vetoed and _is_of(known, version, digest):
            return attrs.evolve(known, config_mod=revision, reason=reason, missing=missing)
        return Held(
            config_mod=revision,
            version=version,
            digest=digest,
            reason=reason,
            missing=missing,
            since=desk.now_text(),
            until=later_text(self._desk.clock, desk.options.hold_time),
        )

    def done(self, draft: Draft, revision: int) -> None:
        """A change's note was written, or taken back with what was done instead."""
        path, held = draft.pending.path, draft.held
        if held is None:
            self.release(path)
            return
        before = self._noted(path)[0]
        self._desk.held[path] = held, revision
        self._due.pop(path, None)
        self._set_timer(path, held)
        if not isinstance(draft.plan, Hold):
            self._expect_nothing(path)
            self._tell(path, held, ConfigVetoed, failed=held.tries > 0)
        elif before is None or before.vetoed or not _is_of(before, held.version, held.digest):
            self._tell(path, held, ConfigHeld, missing=draft.plan.missing)

    def _tell(
        self, path: ResourcePath, held: Held, kind: Callable[..., Event], **facts: object
    ) -> None:
        resource = self._desk.estate.reference(path)
        assert resource is not None  # noqa: S101 - it was planned
        told = {"version": held.version, "reason": held.reason, "until": held.until, **facts}
        self._desk.events.emit(kind(resource=resource, **told))

    # Asking.

    def of(self, path: ResourcePath, revision: int) -> Held | None:
        """What holds that revision of a config (0: its removal); None if nothing does."""
        held = self._noted(path)[0]
        return held if held is not None and held.config_mod == revision else None

    def _noted(self, path: ResourcePath) -> tuple[Held | None, int]:
        """The note of a path, and its mod revision; None and 0 if there is none."""
        return self._desk.held.get(path, (None, 0))

    def is_due(self, path: ResourcePath, held: Held) -> bool:
        """Whether the time of what is held has come."""
        self._set_timer(path, held)
        return self._desk.clock.now() >= self._due[path]

    def waiting_for(self, resource: ResourceRef) -> tuple[ResourcePath, ...]:
        """The configs held for something."""
        return tuple(self._waiting.get(resource, ()))

    # Ending.

    def let_go(self, path: ResourcePath) -> None:
        """Nothing is done about a change that was held: take its note back by itself."""
        revision = self._noted(path)[1]
        if revision:
            self._desk.commit(self._desk.queue.let_go(path, revision))
        self.release(path)

    def release(self, path: ResourcePath) -> None:
        """A change is not held any more; nothing if it was not."""
        self._desk.held.pop(path, None)
        self._due.pop(path, None)
        self._expect_nothing(path)

    # Waiting.

    def _expect(self, path: ResourcePath, missing: ResourceRef) -> None:
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
        if path not in self._desk.held:
            self.release(path)  # something else was done about it
            return
        self._overdue(path)
        if self._due.get(path) == due:  # something changed under it
            again = self._desk.clock.now() + _AGAIN
            self._desk.timers.at(again, lambda: self._over(path, due))


def _is_noted(held: Held, known: Held) -> bool:
    """Whether a note says it all, though the config may have been written again (``rules`` 2)."""
    again = held if held.vetoed else attrs.evolve(held, config_mod=known.config_mod)
    return again == known


def _is_of(held: Held, version: int, digest: str) -> bool:
    """Whether a note is of that version, whichever time it was written."""
    return (held.version, held.digest) == (version, digest)
