"""What becomes of those that depend on a failed job (``rules`` 14)."""

from __future__ import annotations

from collections import deque

import attrs

from gohan_jobs.board import Tracked
from gohan_jobs.bookkeeping import Failure, JobNotes
from gohan_jobs.clock import later_text
from gohan_jobs.events import JobCancelled, JobHandedBack
from gohan_jobs.keys import JobId, Place
from gohan_jobs.manager.begun_stacks import note_stack
from gohan_jobs.manager.desk import Desk
from gohan_jobs.records import OnFailure, ResourceRef, StateRecord
from gohan_jobs.records.job import resource_noted
from gohan_jobs.records.outcomes import completed
from gohan_jobs.stores.base import Transaction

__all__ = ["Failures", "fail_job"]

_NOBODY_LOOKED = "its job was cancelled: nobody has looked since"
_NOTHING = Transaction()


class Failures:
    """Cancels dependants, or holds them until a deadline.

    Args:
        desk: what is known, and how to write.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._waiting: dict[ResourceRef, dict[JobId, None]] = {}
        self._recovered: deque[JobId] = deque()

    def clear(self) -> None:
        """Forget everything, before all is read again."""
        self._waiting.clear()
        self._recovered.clear()

    # Who depends.

    def let_down(self, job: Tracked, failure: Failure) -> bool:
        """Deal with some of those that a failed job lets down; whether there were any.

        The last of a chain come first, so that whoever goes on after a death finds the others.
        """
        if job.on_failure != OnFailure.FAIL and not failure.cause:
            return False
        told = failure.cause or _cause(job, failure.reason)
        holds = self._desk.options.on_dependency_failure == "hold" and not failure.cause
        affected = [
            other
            for other in self._affected(job, all_of_them=not holds)
            if not (holds and other.notes.held_for)
        ]
        batch = affected[: self._desk.options.batch]
        # Looked at before: what they let down was left to their turn, though that may come here.
        later = {other.job_id for other in batch if self._desk.board.has_older(other)}
        for other in batch:
            others = other.resource != job.resource
            if holds and others:
                self._hold(other, job.resource, told)
            elif other.job_id in later:
                # Its result would stand there first, and then the older one's in its place
                # (``rules`` 12): it is cancelled once that one has ended.
                self._hold(other, job.resource, told, seconds=0.0)
            else:
                self._cancel(other, told, self._desk.failure_of(other, told) if others else None)
        return bool(affected)

    def _affected(self, failed_job: Tracked, *, all_of_them: bool) -> list[Tracked]:
        """Those that it lets down, each after those that depend on it in turn."""
        order: list[Tracked] = []
        seen = {failed_job.job_id}
        stack = [(failed_job, iter(self._next(failed_job)))]
        while stack:
            job, following = stack[-1]
            other = next((found for found in following if found.job_id not in seen), None)
            if other is None:
                order.append(job)
                stack.pop()
                continue
            seen.add(other.job_id)
            older = self._desk.board.has_older(other)
            if older and other.notes.held_for:
                continue  # told already: it ends, and lets others down, when its turn comes
            deeper = not older and (all_of_them or other.resource == failed_job.resource)
            stack.append((other, iter(self._next(other) if deeper else ())))
        return order[:-1]

    def _next(self, job: Tracked) -> list[Tracked]:
        """The later jobs of its workflow, and dependants along forward references.

        Not along same-resource edges between versions, reverse or delete edges: those are released
        by any end.
        """
        mates = [
            other
            for other in self._desk.board.workflow(job)
            if job.job_id in other.dependency and other.unclaimed
        ]
        if job.deletes:
            return mates
        dependants = [
            other
            for other in self._desk.board.dependants(job.job_id)
            if other.resource != job.resource
            and job.resource in other.references
            and not other.deletes
            and other.unclaimed
        ]
        return mates + dependants

    # Cancelling.

    def result_of(self, job: Tracked, reason: str) -> StateRecord | None:
        """The result of a job that failed though it was never run; None if there is to be none.

        Of a last job whose failure is ignored, that it was completed (``rules`` 12).
        """
        state = self._desk.failure_of(job, reason)
        if state is None or job.on_failure != OnFailure.IGNORE:
            return state
        worker_state, orchestration_state = completed(job.job_id.action)
        return attrs.evolve(
            state, worker_state=worker_state, orchestration_state=orchestration_state, error=""
        )

    def _cancel(self, job: Tracked, reason: str, state: StateRecord | None) -> bool:
        """End an unclaimed job, in one transaction, with its version's result."""
        desk, queue = self._desk, self._desk.queue
        place, revision = job.place, job.revision
        stack = note_stack(desk, job, _NOBODY_LOOKED)
        end = queue.end(
            job.job_id,
            job.path,
            place=place,
            revision=revision,
            config_create=job.notes.config_create,
            state=state,
        )
        result = desk.commit_all((end, stack))
        if not result.succeeded:
            # Its config may be gone: then there is nobody to tell.
            end = queue.end(job.job_id, job.path, place=place, revision=revision)
            result = desk.commit_all((end, stack))
        if not result.succeeded:
            desk.refresh(job.path)
            desk.refresh_job(job)
            return False
        desk.board.remove(job)
        desk.tell(job, JobCancelled, reason=reason)
        return True

    def give_up(self, job: Tracked, reason: str, *, cause: str = "") -> bool:
        """Fail an unclaimed job that can't run any more; those that it lets down come next.

        So it is for good, whatever is there again before they have been dealt with. One whose
        failure is ignored lets nobody down.

        Args:
            job: the job.
            reason: its version's result.
            cause: what lets it down itself, see :class:`~gohan_jobs.bookkeeping.Failure`.

        Returns:
            Whether it is done; if not, call again.
        """
        if self._desk.board.has_older(job):
            return False
        if not cause and job.on_failure != OnFailure.FAIL:
            return self._cancel(job, reason, self.result_of(job, reason))
        desk = self._desk
        state = desk.failure_of(job, reason)
        failed = fail_job(desk, job, reason, state, cause=cause)
        if failed:
            desk.tell(job, JobCancelled, reason=reason)
        return failed

    # Holding.

    def _hold(
        self, job: Tracked, failed: ResourceRef, told: str, *, seconds: float | None = None
    ) -> None:
        """Keep a dependant waiting for its failed dependency to recover, with a deadline."""
        desk = self._desk
        if seconds is None:
            seconds = desk.options.dependency_hold_time
        notes = attrs.evolve(
            job.notes,
            held_until=later_text(desk.clock, seconds),
            held_for=str(failed),
            last_error=told,
        )
        if self.annotate(job, notes):
            self.remember(job)
            desk.tell(
                job,
                JobHandedBack,
                reason=f"held: {notes.last_error}",
                after=seconds,
            )

    def remember(self, job: Tracked) -> None:
        """A job is held for a failed dependency until a deadline."""
        held_for = _held_for(job)
        self._waiting.setdefault(held_for, {})[job.job_id] = None
        due = self._desk.clock.now() + self._desk.seconds_until(job.notes.held_until)
        self._desk.timers.at(due, lambda: self._over(job.job_id))
        if self._is_well(held_for):
            self.recovered(held_for)

    def recovered(self, resource: ResourceRef) -> None:
        """A resource's stack has been made after all: what is held for it may go on."""
        self._recovered.extend(self._waiting.pop(resource, ()))

    def step(self) -> bool:
        """Let one job go on; whether there was any."""
        if not self._recovered:
            return False
        job = self._desk.board.get(self._recovered[0])
        if job is not None and job.notes.held_for:
            self.readmit(job)
        self._recovered.popleft()
        return True

    def readmit(self, job: Tracked) -> None:
        """Nothing holds a waiting job any more."""
        self.annotate(job, attrs.evolve(job.notes, held_until="", held_for="", last_error=""))

    def _is_well(self, resource: ResourceRef) -> bool:
        """Whether a resource has recovered, though nobody may have heard of it."""
        schema = self._desk.schemas.by_type(resource.resource_type)
        if schema is None or self._desk.board.of_resource(resource):
            return False
        state = self._desk.estate.state(schema.path_of(resource.resource_id))
        return state is not None and not state.failed

    def _over(self, job_id: JobId) -> None:
        job = self._desk.board.get(job_id)
        if job is None or not job.notes.held_for:
            return
        if self._is_well(_held_for(job)):
            self._recovered.append(job_id)
            return
        told = job.notes.last_error
        if not self.give_up(job, told, cause=told):
            again = self._desk.clock.now() + 1.0
            self._desk.timers.at(again, lambda: self._over(job_id))  # something changed under it

    def annotate(self, job: Tracked, notes: JobNotes) -> bool:
        """Change the notes on a waiting job."""
        desk = self._desk
        result = desk.commit(
            desk.queue.annotate(job.job_id, job.job_id.handler, notes, job.revision)
        )
        if not result.succeeded:
            desk.refresh_job(job)
            return False
        desk.board.move(job, Place.WAITING, result.revision)
        desk.track(job, notes)
        return True


def fail_job(
    desk: Desk,
    job: Tracked,
    reason: str,
    state: StateRecord | None,
    *,
    cause: str = "",
    also: Transaction = _NOTHING,
) -> bool:
    """Fail a job that nobody holds, in one transaction, with its version's result.

    Args:
        desk: what is known, and how to write.
        job: the job; it then is to be released, which lets others down (``rules`` 14).
        reason: why it fails.
        state: its version's result, if it has any; if its config is gone there is nobody to tell.
        cause: what let it down itself; empty if it failed by itself.
        also: what goes with it.

    Returns:
        Whether it is done; if not, what is known of the job and its resource is read again.
    """
    for published in (state, None) if state is not None else (None,):
        fail = desk.queue.fail(
            job.job_id,
            job.path,
            reason,
            cause=cause,
            place=job.place,
            revision=job.revision,
            config_create=job.notes.config_create,
            state=published,
        )
        result = desk.commit_all((fail, also, note_stack(desk, job, _NOBODY_LOOKED)))
        if result.succeeded:
            desk.board.move(job, Place.FINISHED, result.revision)
            return True
    desk.refresh(job.path)
    desk.refresh_job(job)
    return False


def _held_for(job: Tracked) -> ResourceRef:
    return resource_noted(job.notes.held_for)


def _cause(job: Tracked, reason: str) -> str:
    return f"cancelled: {job.job_id} failed: {reason}"
