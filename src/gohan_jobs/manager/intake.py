"""Config changes in, transactions out: the reader's half of the job manager."""

from __future__ import annotations

import json
from collections import OrderedDict, deque
from typing import Any

import attrs

from gohan_jobs.board import Tracked
from gohan_jobs.bookkeeping import Band, JobNotes, Orphan
from gohan_jobs.events import (
    ConfigHeld,
    ConfigRejected,
    JobPlanned,
    JobSuperseded,
    OrphanFound,
)
from gohan_jobs.exceptions import GohanJobsError, StoreError, TransactionTooLarge
from gohan_jobs.keys import Place, ResourcePath
from gohan_jobs.manager.desk import Desk
from gohan_jobs.planning import (
    Adopt,
    Change,
    Enqueue,
    Forget,
    Hold,
    Orphaned,
    Plan,
    PlannedJob,
    Publish,
    Removal,
    SetAside,
    Unchanged,
    plan_change,
    plan_removal,
    read_error,
)
from gohan_jobs.queue import Collapsed, NewJob
from gohan_jobs.records import (
    ProcessedConfig,
    ResourceRef,
    StateRecord,
)
from gohan_jobs.schemas import Schema
from gohan_jobs.stores.base import Entry, Transaction, TransactionResult

__all__ = ["Intake", "Pending"]

_RETRIES = 5
_RETRY_AFTER = 1.0


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
    """

    path: ResourcePath
    entry: Entry | None
    revision: int
    band: str = Band.FRESH
    tries: int = 0
    reread: bool = False


@attrs.frozen(kw_only=True)
class _Step:
    """A planned change: its transaction, and what is true once that has succeeded."""

    pending: Pending
    plan: Plan
    transaction: Transaction
    jobs: tuple[Tracked, ...] = ()
    collapsed: tuple[Tracked, ...] = ()


class Intake:
    """Handles config changes one after the other, fresh ones before those of a resync.

    Args:
        desk: what is known, and how to write.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._fresh: deque[Pending] = deque()
        self._resync: deque[Pending] = deque()
        self._latest: dict[ResourcePath, int] = {}
        self._waiting: dict[ResourceRef, OrderedDict[ResourcePath, None]] = {}
        self._alone = 0

    def __len__(self) -> int:
        return len(self._fresh) + len(self._resync)

    def clear(self) -> None:
        """Forget everything, before all is read again."""
        self._fresh.clear()
        self._resync.clear()
        self._latest.clear()
        self._waiting.clear()
        self._alone = 0
        self._desk.holds.clear()

    def receive(self, pending: Pending) -> None:
        """Take in a change."""
        self._latest[pending.path] = max(pending.revision, self._latest.get(pending.path, 0))
        (self._fresh if pending.band == Band.FRESH else self._resync).append(pending)

    def appeared(self, resource: ResourceRef) -> None:
        """Something that configs may be held for is there, or has changed."""
        for path in self._waiting.pop(resource, ()):
            self._try_again(path)

    def step(self) -> bool:
        """Handle the next changes, as many as fit one transaction; whether there were any."""
        steps: list[_Step] = []
        size = 1 if self._alone else self._desk.options.batch
        self._alone = max(0, self._alone - 1)
        while len(self) and len(steps) < size and not self._repeats(steps):
            step = self._planned((self._fresh or self._resync).popleft(), steps)
            if step is None:
                if not steps:
                    return True
                continue
            steps.append(step)
            # Those after it may depend on what it does: they see its jobs at once.
            self._assume(step)
            if step.collapsed:
                break
        if not steps:
            return False
        self._carry_out(steps)
        return True

    def _repeats(self, steps: list[_Step]) -> bool:
        """Whether the next change is of a resource that the batch writes already."""
        path = (self._fresh or self._resync)[0].path
        return any(step.pending.path == path for step in steps)

    def _planned(self, pending: Pending, steps: list[_Step]) -> _Step | None:
        """As :meth:`_prepare`; if the store fails meanwhile, everything is in line again."""
        try:
            return self._prepare(pending)
        except Exception:
            self._again(pending)
            self._undo(steps)
            raise

    def _undo(self, steps: list[_Step]) -> None:
        """Nothing of a batch has happened: its changes are in line again."""
        for step in reversed(steps):
            self._forget_assumed(step)
            self._again(step.pending)

    # Deciding.

    def _prepare(self, pending: Pending) -> _Step | None:
        """Plan one change; None if nothing is to be written for it."""
        desk = self._desk
        path = pending.path
        known = desk.estate.config_entry(path)
        if known is not None and known.mod_revision > pending.revision:
            return None  # read again meanwhile, and found to be later than this
        if not pending.reread:
            self._apply(pending)
        if self._latest.get(path, 0) > pending.revision:
            return None  # a later change of the same key is on its way
        self._latest.pop(path, None)
        reference = desk.estate.reference(path)
        if desk.keys.is_template(path):
            if reference is not None:
                self.appeared(reference)
            return None
        entry = desk.estate.config_entry(path)
        identified = desk.estate.identify(path)
        if identified is None:
            self._unknown_type(path, entry)
            return None
        schema, resource = identified
        plan = self._plan(path, entry, schema, resource)
        if plan is None:
            return None
        if entry is not None:
            self.appeared(resource)
        return self._step(pending, plan, path, resource, entry)

    def _apply(self, pending: Pending) -> None:
        if pending.entry is None:
            self._desk.estate.drop_config(pending.path)
        else:
            self._desk.estate.put_config(pending.path, pending.entry)

    def _unknown_type(self, path: ResourcePath, entry: Entry | None) -> None:
        key = self._desk.keys.config_of(path)
        if entry is None:
            self._desk.pardon(key)
        else:
            self._desk.set_aside(key, entry.mod_revision, "no schema has this path")

    def _plan(
        self, path: ResourcePath, entry: Entry | None, schema: Schema, resource: ResourceRef
    ) -> Plan | None:
        desk = self._desk
        key = desk.keys.config_of(path)
        if entry is None:
            self._release_hold(path)
            desk.pardon(key)
            if path in desk.orphans and desk.options.orphans == "keep":
                return None
            removal = Removal(
                path=path,
                resource=resource,
                schema=schema,
                delete_orphans=desk.options.orphans == "delete",
            )
            return plan_removal(removal, desk.view, desk.schemas, desk.suffix)
        try:
            config = desk.estate.config(path)
        except GohanJobsError as error:
            self._unreadable(path, entry, str(error))
            return None
        assert config is not None  # noqa: S101 - its entry is there
        if desk.quarantine.get(key, (0, 0))[0] != entry.mod_revision:
            desk.pardon(key)
        change = Change(
            path=path,
            resource=resource,
            schema=schema,
            config=config,
            create_revision=entry.create_revision,
            mod_revision=entry.mod_revision,
        )
        return plan_change(change, desk.view, desk.schemas, desk.suffix)

    def _unreadable(self, path: ResourcePath, entry: Entry, reason: str) -> None:
        """Set a broken config aside; its ``/state`` gets the error if its version is readable.

        The processed copy stays as it is: it is what is known of a stack that may exist.
        """
        desk = self._desk
        version = _readable_version(entry.value)
        known = desk.estate.state(path)
        if version is not None and (known is None or known.version != version):
            state = read_error(version, reason)
            desk.commit(
                desk.queue.publish_error(
                    path, entry.mod_revision, desk.estate.state_revision(path), state
                )
            )
        desk.set_aside(entry.key, entry.mod_revision, reason)

    # From a plan to a transaction.

    def _step(
        self,
        pending: Pending,
        plan: Plan,
        path: ResourcePath,
        resource: ResourceRef,
        entry: Entry | None,
    ) -> _Step | None:
        if isinstance(plan, Unchanged):
            return None
        if isinstance(plan, SetAside):
            self._desk.set_aside(self._desk.keys.config_of(path), pending.revision, plan.reason)
            return None
        if isinstance(plan, Hold):
            self._hold(path, resource, plan)
            return None
        if isinstance(plan, Enqueue):
            return self._enqueue(pending, plan, path, entry)
        if isinstance(plan, Forget | Orphaned):
            return self._removal(pending, plan, path)
        self._release_hold(path)
        collapsed = self._collapsed(plan) if isinstance(plan, Publish) else ()
        transaction = self._desk.queue.publish(
            path,
            config_revision=entry.mod_revision if entry is not None else 0,
            processed=plan.processed,
            processed_revision=self._desk.estate.processed_revision(path),
            state=self._scrubbed(plan) if isinstance(plan, Publish) else None,
            collapse=map(_collapse, collapsed),
        )
        return _Step(pending=pending, plan=plan, transaction=transaction, collapsed=collapsed)

    def _scrubbed(self, plan: Publish) -> StateRecord:
        redactor = self._desk.redactor
        error = redactor.scrub(plan.state.error, redactor.secrets_in(plan.processed.body))
        return attrs.evolve(plan.state, error=error)

    def _collapsed(self, plan: Publish | Enqueue | Forget | Orphaned) -> tuple[Tracked, ...]:
        """The queued jobs that a plan takes away."""
        return tuple(filter(None, map(self._desk.board.get, plan.collapse)))

    def _enqueue(
        self, pending: Pending, plan: Enqueue, path: ResourcePath, entry: Entry | None
    ) -> _Step:
        self._release_hold(path)
        desk = self._desk
        tracked: list[Tracked] = []
        new: list[NewJob] = []
        for planned in plan.jobs:
            notes = self._notes(planned, path, pending, entry)
            place = self._place(planned)
            new.append(NewJob(job=planned.job, notes=notes, place=place))
            tracked.append(Tracked.of(planned.job, path, notes, place, 0))
        collapsed = self._collapsed(plan)
        transaction = desk.queue.enqueue(
            path,
            new,
            config_revision=entry.mod_revision if entry is not None else 0,
            processed=plan.processed,
            processed_revision=desk.estate.processed_revision(path),
            collapse=map(_collapse, collapsed),
            preempt=plan.preempt,
            # The watch of the results may be behind: a version that has one is not done again.
            expect_no_state=entry is not None and desk.estate.state(path) is None,
        )
        return _Step(
            pending=pending,
            plan=plan,
            transaction=transaction,
            jobs=tuple(tracked),
            collapsed=collapsed,
        )

    def _notes(
        self, planned: PlannedJob, path: ResourcePath, pending: Pending, entry: Entry | None
    ) -> JobNotes:
        tenant = planned.job.resource_input.get("tenant_id")
        return JobNotes(
            planned_at=self._desk.now_text(),
            path=path,
            tenant=tenant if isinstance(tenant, str) else "",
            band=pending.band,
            config_create=entry.create_revision if entry is not None else 0,
            config_mod=entry.mod_revision if entry is not None else 0,
            template_id=planned.template_id,
            template_revision=planned.template_revision,
        )

    def _place(self, planned: PlannedJob) -> Place:
        """Claimable at once if nothing is in its way, not even another tenant's turn."""
        board = self._desk.board
        waits = any(board.get(job_id) is not None for job_id in planned.job.dependency)
        if waits or not planned.job.is_first or board.eligible or self._desk.room < 1:
            return Place.WAITING
        return Place.READY

    def _removal(
        self, pending: Pending, plan: Forget | Orphaned, path: ResourcePath
    ) -> _Step | None:
        desk = self._desk
        collapsed = self._collapsed(plan)
        orphan = None
        if isinstance(plan, Orphaned):
            orphan = Orphan(path=path, reason=plan.reason, since=desk.now_text())
        elif not collapsed and desk.estate.processed_revision(path) == 0:
            return None
        transaction = desk.queue.forget(
            path,
            processed_revision=desk.estate.processed_revision(path),
            stack_revision=desk.estate.stack_revision(path),
            collapse=map(_collapse, collapsed),
            orphan=orphan,
        )
        return _Step(pending=pending, plan=plan, transaction=transaction, collapsed=collapsed)

    # Carrying out.

    def _assume(self, step: _Step) -> None:
        """Show a step's jobs to the planning of those after it in the batch."""
        for job in step.collapsed:
            self._desk.board.remove(job)
        for job in step.jobs:
            self._desk.board.add(job)

    def _forget_assumed(self, step: _Step) -> None:
        board = self._desk.board
        for job in step.jobs:
            board.remove(job)
        for job in step.collapsed:
            board.restore(job)

    def _carry_out(self, steps: list[_Step]) -> None:
        try:
            result = self._desk.commit_all(step.transaction for step in steps)
        except TransactionTooLarge as error:
            self._split(steps, error)
            return
        except Exception:
            self._undo(steps)
            raise
        if result.succeeded:
            for step in steps:
                self._done(step, result)
        else:
            self._split(steps, None)

    def _split(self, steps: list[_Step], error: TransactionTooLarge | None) -> None:
        """Something changed under a batch, or it is too large: each is planned again, alone."""
        if len(steps) > 1:
            self._alone = len(steps)
            self._undo(steps)
            return
        (step,) = steps
        self._forget_assumed(step)
        if error is not None:
            self._too_large(step, error)
        else:
            self._reread(step.pending)

    def _reread(self, pending: Pending) -> None:
        """Its transaction failed: read what it is about again, and plan it again."""
        desk = self._desk
        try:
            desk.refresh(pending.path)
        except StoreError:
            self._again(pending)
            raise
        entry = desk.estate.config_entry(pending.path)
        revision = entry.mod_revision if entry is not None else pending.revision
        again = attrs.evolve(
            pending, entry=entry, revision=revision, tries=pending.tries + 1, reread=True
        )
        if again.tries < _RETRIES:
            self._again(again)
        else:  # not in a hot loop
            due = desk.clock.now() + _RETRY_AFTER
            desk.timers.at(due, lambda: self._again(attrs.evolve(again, tries=0)))

    def _again(self, pending: Pending) -> None:
        self._latest[pending.path] = max(pending.revision, self._latest.get(pending.path, 0))
        (self._fresh if pending.band == Band.FRESH else self._resync).appendleft(
            attrs.evolve(pending, reread=True)
        )

    def _too_large(self, step: _Step, error: TransactionTooLarge) -> None:
        """A job that doesn't fit the store is the config's error, not everybody's."""
        plan = step.plan
        path = step.pending.path
        entry = self._desk.estate.config_entry(path)
        if not isinstance(plan, Enqueue) or entry is None:
            self._desk.set_aside(self._desk.keys.config_of(path), step.pending.revision, str(error))
            return
        state = read_error(plan.processed.version, str(error))
        reference = self._desk.estate.reference(path)
        assert reference is not None  # noqa: S101 - it was planned
        publish = Publish(state, plan.processed, plan.collapse)
        rejected = self._step(step.pending, publish, path, reference, entry)
        assert rejected is not None  # noqa: S101 - a Publish is always written
        self._assume(rejected)
        self._carry_out([rejected])

    def _done(self, step: _Step, result: TransactionResult) -> None:
        """A step's transaction has succeeded: what it wrote is known."""
        desk, plan, path = self._desk, step.plan, step.pending.path
        if isinstance(plan, Adopt | Publish | Enqueue):
            desk.estate.put_processed(path, self._written(path, plan.processed, result))
        for job in step.jobs:
            job.revision = result.revision
            desk.events.emit(JobPlanned(job_id=job.job_id, dependencies=len(job.waiting_for)))
        by = step.jobs[0].job_id if step.jobs else None
        for job in step.collapsed:
            desk.events.emit(JobSuperseded(job_id=job.job_id, by=by))
        if step.jobs:
            self.appeared(step.jobs[0].resource)
        reference = desk.estate.reference(path)
        if isinstance(plan, Publish) and plan.state.error and reference is not None:
            desk.events.emit(
                ConfigRejected(
                    resource=reference,
                    version=plan.state.version,
                    reason=self._scrubbed(plan).error,
                )
            )
        if isinstance(plan, Orphaned) and reference is not None:
            desk.orphans.add(path)
            desk.events.emit(OrphanFound(resource=reference, reason=plan.reason))
        if isinstance(plan, Forget):
            desk.estate.drop_processed(path)
            desk.estate.drop_stack(path)
            desk.orphans.discard(path)

    def _written(
        self, path: ResourcePath, processed: ProcessedConfig, result: TransactionResult
    ) -> Entry:
        return Entry(
            key=self._desk.keys.processed_of(path),
            value=self._desk.queue.text(processed),
            create_revision=result.revision,
            mod_revision=result.revision,
            version=1,
        )

    # Holding.

    def _hold(self, path: ResourcePath, resource: ResourceRef, plan: Hold) -> None:
        desk = self._desk
        first = path not in desk.holds
        self._release_hold(path)
        desk.holds[path] = plan.missing
        self._waiting.setdefault(plan.missing, OrderedDict())[path] = None
        if first:
            self._deadlines(path)
            secrets = desk.redactor.secrets_in(plan.otherwise.processed.body)
            desk.events.emit(
                ConfigHeld(
                    resource=resource,
                    version=plan.otherwise.state.version,
                    missing=plan.missing,
                    reason=desk.redactor.scrub(plan.reason, secrets),
                )
            )

    def _deadlines(self, path: ResourcePath) -> None:
        desk = self._desk
        entry = desk.estate.config_entry(path)
        revision = entry.mod_revision if entry is not None else 0
        due = desk.clock.now() + desk.options.hold_time
        desk.timers.at(due, lambda: self._give_up(path, revision))

    def _give_up(self, path: ResourcePath, revision: int) -> None:
        """The wait is over: one last try, then its error is published (``rules`` 5)."""
        desk = self._desk
        entry = desk.estate.config_entry(path)
        if path not in desk.holds or entry is None:
            return
        if entry.mod_revision != revision:  # a newer version has a wait of its own
            self._deadlines(path)
            return
        identified = desk.estate.identify(path)
        assert identified is not None  # noqa: S101 - it was held
        schema, resource = identified
        plan = self._plan(path, entry, schema, resource)
        pending = Pending(path, entry, entry.mod_revision, reread=True)
        if isinstance(plan, Hold):
            plan = plan.otherwise
        self._release_hold(path)
        step = None if plan is None else self._step(pending, plan, path, resource, entry)
        if step is not None:
            self._assume(step)
            self._carry_out([step])

    def _try_again(self, path: ResourcePath) -> None:
        entry = self._desk.estate.config_entry(path)
        if entry is not None and path in self._desk.holds:
            self._fresh.append(Pending(path, entry, entry.mod_revision, reread=True))

    def _release_hold(self, path: ResourcePath) -> None:
        missing = self._desk.holds.pop(path, None)
        waiting = self._waiting.get(missing) if missing is not None else None
        if waiting is not None and missing is not None:
            waiting.pop(path, None)
            if not waiting:
                del self._waiting[missing]


def _collapse(job: Tracked) -> Collapsed:
    assert job.place is not None  # noqa: S101 - only queued jobs are collapsed
    return Collapsed(job.job_id, job.place, job.revision)


def _readable_version(text: bytes) -> int | None:
    """The version of a config that is otherwise broken."""
    try:
        value: Any = json.loads(text)
    except (ValueError, RecursionError):
        return None
    version = value.get("version") if isinstance(value, dict) else None
    return version if isinstance(version, int) and not isinstance(version, bool) else None
