"""From plans to transactions, and to what is known once those have succeeded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

import attrs

from gohan_jobs.board import Tracked
from gohan_jobs.bookkeeping import JobNotes, Orphan
from gohan_jobs.events import ConfigRejected, JobPlanned, JobSuperseded, OrphanFound
from gohan_jobs.keys import Place
from gohan_jobs.manager.asked import taken_back
from gohan_jobs.manager.begun_stacks import note_left_stack
from gohan_jobs.manager.changes import Draft, Pending
from gohan_jobs.manager.desk import Desk
from gohan_jobs.planning import Adopt, Enqueue, Forget, Orphaned, PlannedJob, Publish
from gohan_jobs.queue import Collapsed, NewJob
from gohan_jobs.records import ProcessedConfig, StateRecord
from gohan_jobs.stores.base import Delete, Entry, Transaction, TransactionResult

__all__ = ["Drafting", "Writing"]

Writing: TypeAlias = Adopt | Publish | Enqueue | Forget | Orphaned
"""The plans that write something."""

_TAKEN_BACK = "its delete was taken back: nobody has looked since"


class Drafting:
    """Builds drafts, and takes in what they did.

    Args:
        desk: what is known.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def draft(self, pending: Pending, plan: Writing, entry: Entry | None) -> Draft | None:
        """A plan's transaction; None if there is nothing to write after all."""
        path = pending.path
        if isinstance(plan, Forget | Orphaned):
            removal = self._removal(pending, plan)
            return None if removal is None else self._not_held(removal)
        revision = entry.mod_revision if entry is not None else 0
        if isinstance(plan, Enqueue):
            draft = self._enqueue(pending, plan, revision, entry)
        else:
            draft = self._publish(pending, plan, revision)
        if path in self._desk.orphans:  # not any more: its config is there again
            draft = _forgetting(draft, self._desk.queue.own.orphan(path))
        return self._not_held(draft)

    def _not_held(self, draft: Draft) -> Draft:
        """What is done about a change is not held any more."""
        path = draft.pending.path
        if path not in self._desk.held:
            return draft
        return _forgetting(draft, self._desk.queue.own.held(path))

    def _publish(self, pending: Pending, plan: Adopt | Publish, revision: int) -> Draft:
        desk, path = self._desk, pending.path
        collapsed = () if isinstance(plan, Adopt) else self._collapsed(plan)
        transaction = desk.queue.publish(
            path,
            config_revision=revision,
            processed=plan.processed,
            processed_revision=desk.estate.processed_revision(path),
            state=None if isinstance(plan, Adopt) else self.scrubbed(plan),
            state_revision=desk.estate.state_revision(path),
            collapse=map(_collapse, collapsed),
        )
        return Draft(pending=pending, plan=plan, transaction=transaction, collapsed=collapsed)

    def scrubbed(self, plan: Publish) -> StateRecord:
        """A plan's result without secrets."""
        return attrs.evolve(
            plan.state, error=self._desk.scrub(plan.state.error, plan.processed.body)
        )

    def _collapsed(self, plan: Publish | Enqueue | Forget | Orphaned) -> tuple[Tracked, ...]:
        """The queued jobs that a plan takes away."""
        return tuple(filter(None, map(self._desk.board.get, plan.collapse)))

    def _enqueue(
        self, pending: Pending, plan: Enqueue, revision: int, entry: Entry | None
    ) -> Draft:
        desk, path = self._desk, pending.path
        tracked: list[Tracked] = []
        new: list[NewJob] = []
        trace = self._trace(plan)
        for planned in plan.jobs:
            notes = attrs.evolve(self._notes(planned, pending, entry), trace=trace)
            place = self._place(planned)
            new.append(NewJob(job=planned.job, notes=notes, place=place))
            tracked.append(Tracked.of(planned.job, path, notes, place, 0))
        collapsed = self._collapsed(plan)
        transaction = desk.queue.enqueue(
            path,
            new,
            config_revision=revision,
            processed=plan.processed,
            processed_revision=desk.estate.processed_revision(path),
            collapse=map(_collapse, collapsed),
            preempt=plan.preempt,
            # The watch of the results may be behind: a version that has one is not done again.
            expect_no_state=entry is not None and desk.estate.state(path) is None,
        )
        draft = Draft(
            pending=pending,
            plan=plan,
            transaction=transaction,
            jobs=tuple(tracked),
            collapsed=collapsed,
        )
        return self._with_stack(draft)

    def _with_stack(self, draft: Draft) -> Draft:
        """A draft that also notes the stack whose delete it takes away.

        Nobody else would know of it, should the new config go, too, before its job has begun.
        """
        notes = (note_left_stack(self._desk, job, _TAKEN_BACK) for job in draft.collapsed)
        # One record of one stack, however many were to delete it.
        return _joined(draft, next((note for note in notes if note.success), Transaction()))

    def _trace(self, plan: Enqueue) -> Mapping[str, str]:
        """One trace for all jobs of a config version, if somebody traces."""
        job = plan.jobs[0].job
        return self._desk.events.trace(job.resource, job.version)

    def _notes(self, planned: PlannedJob, pending: Pending, entry: Entry | None) -> JobNotes:
        tenant = planned.job.resource_input.get("tenant_id")
        return JobNotes(
            planned_at=self._desk.now_text(),
            path=pending.path,
            tenant=tenant if isinstance(tenant, str) else "",
            band=pending.band,
            config_create=entry.create_revision if entry is not None else 0,
            config_mod=entry.mod_revision if entry is not None else 0,
            template_id=planned.template_id,
            template_revision=planned.template_revision,
            template_digest=planned.template_digest,
            again=pending.again,
        )

    def _place(self, planned: PlannedJob) -> Place:
        """Claimable at once if nothing is in its way, not even another tenant's turn."""
        board = self._desk.board
        waits = any(board.get(job_id) is not None for job_id in planned.job.dependency)
        if waits or not planned.job.is_first or board.eligible or self._desk.room < 1:
            return Place.WAITING
        return Place.READY

    def _removal(self, pending: Pending, plan: Forget | Orphaned) -> Draft | None:
        desk, path = self._desk, pending.path
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
        return Draft(pending=pending, plan=plan, transaction=transaction, collapsed=collapsed)

    # By request.

    def carry_out(self, draft: Draft, asked: Entry) -> bool:
        """Do a draft alone, and take back what asked for it, all at once; whether it was done."""
        self.assume(draft)
        try:
            result = self._desk.commit_all((draft.transaction, taken_back(asked)))
        except Exception:
            self.retract(draft)
            raise
        if result.succeeded:
            self.done(draft, result)
        else:
            self.retract(draft)
            self._desk.refresh(draft.pending.path)
        return result.succeeded

    # What is true before and after.

    def assume(self, draft: Draft) -> None:
        """Show a draft's jobs to the planning of those after it in the batch."""
        for job in draft.collapsed:
            self._desk.board.remove(job)
        for job in draft.jobs:
            self._desk.board.add(job)

    def retract(self, draft: Draft) -> None:
        """It did not happen."""
        board = self._desk.board
        for job in draft.jobs:
            board.remove(job)
        for job in draft.collapsed:
            board.restore(job)

    def done(self, draft: Draft, result: TransactionResult) -> None:
        """A draft's transaction has succeeded: what it wrote is known."""
        desk, plan, path = self._desk, draft.plan, draft.pending.path
        desk.held.pop(path, None)
        if isinstance(plan, Adopt | Publish | Enqueue):
            key = desk.keys.processed_of(path)
            desk.estate.put_processed(path, self._written(key, plan.processed, result))
            desk.orphans.discard(path)
        elif isinstance(plan, Forget):
            desk.estate.drop_processed(path)
            desk.estate.drop_stack(path)
            desk.orphans.discard(path)
        if isinstance(plan, Publish):  # known at once: its watch may be behind that of configs
            key = desk.keys.state_of(path)
            desk.estate.put_state(path, self._written(key, self.scrubbed(plan), result))
        for job in draft.jobs:
            job.revision = result.revision
            desk.tell(job, JobPlanned, dependencies=len(job.waiting_for))
        by = draft.jobs[0].job_id if draft.jobs else None
        for job in draft.collapsed:
            desk.tell(job, JobSuperseded, by=by)
        self._tell(draft)

    def _tell(self, draft: Draft) -> None:
        desk, plan, path = self._desk, draft.plan, draft.pending.path
        reference = desk.estate.reference(path)
        assert reference is not None  # noqa: S101 - it was planned
        if isinstance(plan, Publish) and plan.state.error:
            error = self.scrubbed(plan).error
            desk.events.emit(
                ConfigRejected(resource=reference, version=plan.state.version, reason=error)
            )
        if isinstance(plan, Orphaned):
            desk.orphans.add(path)
            desk.events.emit(OrphanFound(resource=reference, reason=plan.reason))

    def _written(
        self, key: str, record: ProcessedConfig | StateRecord, result: TransactionResult
    ) -> Entry:
        return Entry(
            key=key,
            value=self._desk.queue.text(record),
            create_revision=result.revision,
            mod_revision=result.revision,
            version=1,
        )


def _forgetting(draft: Draft, key: str) -> Draft:
    """A draft that also removes a note of ours, which nobody but the leader writes."""
    return _joined(draft, Transaction((), (Delete(key),)))


def _joined(draft: Draft, more: Transaction) -> Draft:
    """A draft that does more."""
    compares = (*draft.transaction.compares, *more.compares)
    return attrs.evolve(
        draft, transaction=Transaction(compares, (*draft.transaction.success, *more.success))
    )


def _collapse(job: Tracked) -> Collapsed:
    assert job.place is not None  # noqa: S101 - only queued jobs are collapsed
    return Collapsed(job.job_id, job.place, job.revision)
