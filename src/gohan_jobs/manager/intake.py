"""Config changes in, transactions out: the reader's half of the job manager."""

from __future__ import annotations

import attrs

from gohan_jobs.admission import Admission
from gohan_jobs.bookkeeping import Held
from gohan_jobs.exceptions import GohanJobsError, TransactionTooLarge
from gohan_jobs.keys import ResourcePath
from gohan_jobs.manager.changes import Draft, Pending, change_of, readable_version
from gohan_jobs.manager.desk import Desk
from gohan_jobs.manager.drafting import Drafting
from gohan_jobs.manager.holds import Holds
from gohan_jobs.manager.lineup import Lineup
from gohan_jobs.manager.unmade import Unmade
from gohan_jobs.manager.vetoes import Vetoes
from gohan_jobs.planning import (
    Enqueue,
    Forget,
    Hold,
    Orphaned,
    Plan,
    Publish,
    Removal,
    SetAside,
    Unchanged,
    plan_change,
    plan_removal,
    read_error,
)
from gohan_jobs.records import ConfigRecord, ResourceRef
from gohan_jobs.schemas import Schema
from gohan_jobs.stores.base import Entry

__all__ = ["NO_PATH", "NO_SCHEMA", "Intake"]

NO_PATH = "not a resource's path"
"""Why a key below ``/config/`` is set aside that can't be a resource's."""

NO_SCHEMA = "no schema has this path"
"""Why a config of an unknown type is set aside."""

_RETRIES = 5
_RETRY_AFTER = 1.0


class Intake:
    """Handles config changes one after the other, fresh ones before those of a resync.

    Args:
        desk: what is known, and how to write.
        admission: is asked before anything is queued.
    """

    def __init__(self, desk: Desk, admission: Admission | None = None) -> None:
        self._desk = desk
        self._drafting = Drafting(desk)
        self._holds = Holds(desk, self._hold_over)
        self._vetoes = Vetoes(desk, self._holds, admission)
        self._lineup = Lineup(desk)
        self._assumed: list[Draft] = []
        self.unmade: Unmade = Unmade(desk, self._lineup)

    def clear(self) -> None:
        """Forget everything, before all is read again."""
        self._lineup.clear()
        self._assumed.clear()
        self.unmade.clear()
        self._holds.clear()

    def held(self, path: ResourcePath, entry: Entry) -> None:
        """A new leader has read that a change is held; it is in line, to be looked at again."""
        self._holds.found(path, entry)

    def veto(
        self, path: ResourcePath, resource: ResourceRef, entry: Entry, plan: Enqueue
    ) -> Held | None:
        """What the admission hook has against a plan that did not come from a change."""
        return self._vetoes.judge(path, resource, entry, plan)

    def receive(self, pending: Pending) -> None:
        """Take in a change."""
        self._lineup.add(pending)

    def appeared(self, resource: ResourceRef) -> None:
        """Something that configs may be held for is there, or has changed."""
        for path in self._holds.waiting_for(resource):
            entry = self._desk.estate.config_entry(path)
            if entry is not None:
                woken = Pending(path, entry, entry.mod_revision, reread=True, woken=True)
                self._lineup.wake(woken)

    def step(self) -> bool:
        """Handle the next changes, as many as fit one transaction; whether there were any."""
        self._lineup.look()
        if not self._lineup:
            return False
        taken: list[Pending] = []
        try:
            self._carry_out(self._batch(taken))
        except Exception:
            self._put_back(taken)
            raise
        return True

    def _batch(self, taken: list[Pending]) -> list[Draft]:
        """Drafts of the next changes; those after one may depend on what it does."""
        drafts: list[Draft] = []
        while self._lineup and len(taken) < self._desk.options.batch:
            pending = self._lineup.take()
            if any(draft.pending.path == pending.path for draft in drafts):
                self._lineup.add_again(pending)
                break
            taken.append(pending)
            draft = self._prepare(pending)
            if draft is None:
                continue
            self._assume(draft)
            drafts.append(draft)
            if draft.collapsed:
                break
        return drafts

    def _put_back(self, taken: list[Pending]) -> None:
        """The store failed: nothing that was taken may be lost. Doing it twice is harmless."""
        while self._assumed:
            self._retract(self._assumed[-1])
        for pending in reversed(taken):
            self._lineup.add_again(pending)

    # Deciding.

    def _prepare(self, pending: Pending) -> Draft | None:
        """Plan one change; None if nothing is to be written for it."""
        desk, path = self._desk, pending.path
        known = desk.estate.config_entry(path)
        if known is not None and known.mod_revision > pending.revision:
            return None  # read again meanwhile, and found to be later than this
        if not pending.reread:
            self._apply(pending)
        if self._lineup.is_overtaken(pending):
            return None
        if desk.keys.is_template(path):
            self._appeared_at(path)
            return None
        entry = desk.estate.config_entry(path)
        identified = desk.estate.identify(path)
        if identified is None:
            self._unknown_type(path, entry)
            return None
        if entry is None:
            return self._prepare_removal(pending, *identified)
        return self._prepare_change(pending, entry, *identified)

    def _apply(self, pending: Pending) -> None:
        if pending.entry is not None:
            self._desk.estate.put_config(pending.path, pending.entry)
        elif self._desk.keys.is_template(pending.path):
            self._desk.estate.drop_config(pending.path)
        else:
            # Rare, and to be sure: its result may be seen later than its removal.
            self._desk.estate.drop_config(pending.path)
            self._desk.refresh(pending.path)

    def _appeared_at(self, path: ResourcePath) -> None:
        self.appeared(self._resource_of(path))

    def _resource_of(self, path: ResourcePath) -> ResourceRef:
        reference = self._desk.estate.reference(path)
        assert reference is not None  # noqa: S101 - a template's path, or one that was planned
        return reference

    def _unknown_type(self, path: ResourcePath, entry: Entry | None) -> None:
        key = self._desk.keys.config_of(path)
        self._holds.let_go(path)
        if entry is None:
            self._desk.pardon(key)
        else:
            self._desk.set_aside(key, entry.mod_revision, NO_SCHEMA)

    def _prepare_removal(
        self, pending: Pending, schema: Schema, resource: ResourceRef
    ) -> Draft | None:
        desk, path = self._desk, pending.path
        desk.pardon(desk.keys.config_of(path))
        removal = Removal(
            path=path,
            resource=resource,
            schema=schema,
            delete_orphans=desk.options.orphans == "delete",
        )
        plan = plan_removal(removal, desk.view, desk.schemas, desk.suffix)
        if isinstance(plan, Forget) and desk.estate.stack_problem(path):
            # There may be a stack, and what can't be read is never deleted (``rules`` 10, 16).
            plan = Orphaned(reason="its stack's record can't be read", collapse=plan.collapse)
        forgets = isinstance(plan, Forget) and not plan.collapse
        if forgets and self._lineup.await_release(pending, resource):
            return None
        if isinstance(plan, Orphaned):
            self.unmade.note(path, resource)
        if isinstance(plan, Orphaned | Enqueue) and self._is_kept(path) and not plan.collapse:
            self._holds.let_go(path)
            return None  # known, and told
        return self._draft(pending, plan, resource, None)

    def _is_kept(self, path: ResourcePath) -> bool:
        return path in self._desk.orphans and self._desk.options.orphans == "keep"

    def _prepare_change(
        self, pending: Pending, entry: Entry, schema: Schema, resource: ResourceRef
    ) -> Draft | None:
        desk, path = self._desk, pending.path
        try:
            config = desk.estate.config(path)
        except GohanJobsError as error:
            if not self._lineup.await_jobs(pending, resource):
                self._set_aside(pending, entry, readable_version(entry.value), str(error))
            return None
        assert config is not None  # noqa: S101 - its entry is there
        if desk.quarantine.get(entry.key, (0, 0))[0] != entry.mod_revision:
            desk.pardon(entry.key)
        plan = self._plan(path, entry, schema, resource, config)
        if not pending.woken:  # or two that wait for each other would wake each other for ever
            self.appeared(resource)
        pending = attrs.evolve(pending, revision=entry.mod_revision)
        return self._draft(pending, plan, resource, entry, config)

    def _plan(
        self,
        path: ResourcePath,
        entry: Entry,
        schema: Schema,
        resource: ResourceRef,
        config: ConfigRecord,
    ) -> Plan:
        desk = self._desk
        change = change_of(path, entry, schema, resource, config)
        return plan_change(change, desk.view, desk.schemas, desk.suffix)

    def _draft(
        self,
        pending: Pending,
        plan: Plan,
        resource: ResourceRef,
        entry: Entry | None,
        config: ConfigRecord | None = None,
    ) -> Draft | None:
        if isinstance(plan, Hold):
            return self._holds.draft(pending, plan)
        if isinstance(plan, Unchanged):
            self._holds.let_go(pending.path)
            return None
        if isinstance(plan, SetAside):
            assert entry is not None  # noqa: S101 - a removal is never set aside
            assert config is not None  # noqa: S101 - likewise
            if not self._lineup.await_jobs(pending, resource):
                self._set_aside(pending, entry, config.version, plan.reason)
            return None
        if isinstance(plan, Publish) and self._lineup.await_jobs(pending, resource, plan.collapse):
            return None
        if isinstance(plan, Enqueue):
            held = self._vetoes.judge(pending.path, resource, entry, plan)
            if held is not None:
                return self._holds.note(pending, plan, held)
        draft = self._drafting.draft(pending, plan, entry)
        if draft is None:
            self._holds.let_go(pending.path)
        return draft

    def _set_aside(self, pending: Pending, entry: Entry, version: int | None, reason: str) -> None:
        """Set a config aside; its ``/state`` gets the error if its version is readable.

        The processed copy stays as it is: it is what is known of a stack that may exist.
        """
        desk, path = self._desk, pending.path
        known = desk.estate.state(path)
        if version is not None and (known is None or known.version != version):
            state = read_error(version, reason)
            revision = desk.estate.state_revision(path)
            error = desk.queue.publish_error(path, entry.mod_revision, revision, state)
            if not desk.commit(error).succeeded:
                self._reread(pending)
                return
        desk.set_aside(entry.key, entry.mod_revision, reason)
        self._holds.let_go(path)

    # Carrying out.

    def _assume(self, draft: Draft) -> None:
        self._drafting.assume(draft)
        self._assumed.append(draft)

    def _retract(self, draft: Draft) -> None:
        self._drafting.retract(draft)
        self._assumed.remove(draft)

    def _carry_out(self, drafts: list[Draft]) -> None:
        if not drafts:
            return
        try:
            result = self._desk.commit_all(draft.transaction for draft in drafts)
        except TransactionTooLarge as error:
            self._split(drafts, error)
            return
        if not result.succeeded:
            self._split(drafts, None)
            return
        for draft in drafts:
            self._assumed.remove(draft)
            self._holds.done(draft, result.revision)
            if draft.held is None:
                self._drafting.done(draft, result)
            if draft.jobs:
                self._appeared_at(draft.pending.path)

    def _split(self, drafts: list[Draft], error: TransactionTooLarge | None) -> None:
        """Something changed under a batch, or it is too large: each is planned again, alone."""
        for draft in reversed(drafts):
            self._retract(draft)
        if len(drafts) > 1:
            for draft in drafts:
                self._prepare_alone(draft.pending)
        elif error is not None:
            self._too_large(drafts[0], error)
        else:
            self._reread(drafts[0].pending)

    def _prepare_alone(self, pending: Pending) -> None:
        draft = self._prepare(attrs.evolve(pending, reread=True))
        drafts = [] if draft is None else [draft]
        for each in drafts:
            self._assume(each)
        self._carry_out(drafts)

    def _reread(self, pending: Pending) -> None:
        """Its transaction failed: read what it is about again, and plan it again."""
        desk = self._desk
        desk.refresh(pending.path)
        entry = desk.estate.config_entry(pending.path)
        revision = entry.mod_revision if entry is not None else pending.revision
        again = attrs.evolve(
            pending, entry=entry, revision=revision, tries=pending.tries + 1, reread=True
        )
        if again.tries < _RETRIES:
            self._lineup.add_again(again)
        else:  # not in a hot loop
            due = desk.clock.now() + _RETRY_AFTER
            desk.timers.at(due, lambda: self._lineup.add_again(attrs.evolve(again, tries=0)))

    def _too_large(self, draft: Draft, error: TransactionTooLarge) -> None:
        """What doesn't fit the store is the config's error, not everybody's."""
        pending, plan = draft.pending, draft.plan
        entry = self._desk.estate.config_entry(pending.path)
        if entry is None or not isinstance(plan, Enqueue | Publish):
            key = self._desk.keys.config_of(pending.path)
            self._desk.set_aside(key, pending.revision, str(error))
        elif isinstance(plan, Publish):
            # What it was to take away is left, and has its own result to tell first.
            if not self._lineup.await_jobs(pending, self._resource_of(pending.path)):
                self._set_aside(pending, entry, plan.state.version, str(error))
        elif not self._lineup.await_jobs(pending, self._resource_of(pending.path), plan.collapse):
            state = read_error(plan.processed.version, str(error))
            self._publish(pending, Publish(state, plan.processed, plan.collapse), entry)

    def _publish(self, pending: Pending, plan: Publish, entry: Entry) -> None:
        draft = self._drafting.draft(pending, plan, entry)
        assert draft is not None  # noqa: S101 - a result is always written
        self._assume(draft)
        self._carry_out([draft])

    def _hold_over(self, path: ResourcePath) -> None:
        """A wait is over: it is tried again after a veto, once more after a wait."""
        entry = self._desk.estate.config_entry(path)
        held = self._holds.of(path, 0 if entry is None else entry.mod_revision)
        if held is None:
            return  # a later change is on its way
        if held.vetoed:
            woken = Pending(path, entry, held.config_mod, reread=True, woken=True)
            self._lineup.wake(woken)
            return
        assert entry is not None  # noqa: S101 - a removal waits for nothing
        self._last_try(path, entry)

    def _last_try(self, path: ResourcePath, entry: Entry) -> None:
        """Plan it, or its error is published (``rules`` 5), unless what it needs was vetoed."""
        desk, revision = self._desk, entry.mod_revision
        identified = desk.estate.identify(path)
        config = desk.estate.config(path)
        assert identified is not None  # noqa: S101 - it was held
        assert config is not None  # noqa: S101 - likewise
        schema, resource = identified
        pending = Pending(path, entry, revision, reread=True)
        plan = self._plan(path, entry, schema, resource, config)
        try:
            draft = self._holds.extended(pending, plan) if isinstance(plan, Hold) else None
            if draft is None:
                plan = plan.otherwise if isinstance(plan, Hold) else plan
                draft = self._draft(pending, plan, resource, entry, config)
            if draft is not None:
                self._assume(draft)
                self._carry_out([draft])
        except Exception:
            self._put_back([])
            raise
