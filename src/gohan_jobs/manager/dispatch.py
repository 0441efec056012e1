"""Jobs from place to place: the queue owner's half of the job manager."""

from __future__ import annotations

import datetime as dt
from collections import deque
from collections.abc import Iterable, Iterator

import attrs

from gohan_jobs.board import Tracked
from gohan_jobs.bookkeeping import Failure, JobNotes, Orphan
from gohan_jobs.events import (
    JobCancelled,
    JobFailed,
    JobHandedBack,
    JobReleased,
    JobSuperseded,
    OrphanFound,
)
from gohan_jobs.exceptions import GohanJobsError, MappingError
from gohan_jobs.keys import JobId, Place
from gohan_jobs.manager.desk import Desk
from gohan_jobs.planning import HEAT_HANDLER, evaluate_again
from gohan_jobs.queue import Ready
from gohan_jobs.records import Action, OnFailure, ResourceRef
from gohan_jobs.records.outcomes import failed
from gohan_jobs.stores.base import Transaction

__all__ = ["Dispatch"]

_PROMOTIONS = 24


class Dispatch:
    """Releases, promotes, requeues and cancels.

    Args:
        desk: what is known, and how to write.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._lost: deque[JobId] = deque()
        self._stale: deque[JobId] = deque()
        self._recovering: dict[ResourceRef, set[JobId]] = {}

    def clear(self) -> None:
        """Forget everything, before all is read again."""
        self._lost.clear()
        self._stale.clear()
        self._recovering.clear()

    # What is heard.

    def lost(self, job: Tracked) -> None:
        """A job stands nowhere: its claim was lost, or a death left it so."""
        self._lost.append(job.job_id)

    def handed_back(self, job: Tracked) -> None:
        """A worker gave a job back: its notes say why and for how long."""
        desk = self._desk
        notes = self._notes(job)
        desk.track(job, notes)
        if notes.delay > 0:
            desk.delay(job, notes.delay)
        if notes.held_until:
            self.remember_hold(job)

    def template_changed(self, template_id: str) -> None:
        """Unclaimed jobs of a template are to have their params evaluated again (``rules`` 9)."""
        self._stale.extend(job.job_id for job in self._desk.board.with_template(template_id))

    def remember_hold(self, job: Tracked) -> None:
        """A job is held for a failed dependency until a deadline."""
        resource_type, _, resource_id = job.notes.held_for.partition(":")
        held_for = ResourceRef(resource_type, resource_id)
        self._recovering.setdefault(held_for, set()).add(job.job_id)
        seconds = self._seconds_until(job.notes.held_until)
        if seconds is not None:
            due = self._desk.clock.now() + seconds
            self._desk.timers.at(due, lambda: self._hold_over(job.job_id))

    # What is done.

    def step(self) -> bool:
        """One transaction's worth of work; whether there was any."""
        return self._repair() or self._release() or self._evaluate() or self._promote()

    def _repair(self) -> bool:
        """Deal with one job that stands nowhere."""
        while self._lost:
            job = self._desk.board.get(self._lost[0])
            if job is not None and job.place is None:
                self._requeue(job)
                self._lost.popleft()
                return True
            self._lost.popleft()
        return False

    def _requeue(self, job: Tracked) -> None:
        desk = self._desk
        if desk.store.get(desk.queue.own.preempt(job.job_id)) is not None:
            self._end(job, desk.queue.end(job.job_id, job.path, place=None, revision=0))
            desk.events.emit(JobSuperseded(job_id=job.job_id))
            return
        notes = attrs.evolve(
            job.notes, attempts=job.notes.attempts + 1, delay=desk.options.claim_pause
        )
        if notes.attempts >= desk.options.max_attempts:
            self._poison(job, notes.attempts)
            return
        result = desk.commit(desk.queue.requeue(job.job_id, job.job_id.handler, notes))
        if not result.succeeded:
            desk.refresh_job(job)
            return
        desk.board.move(job, Place.WAITING, result.revision)
        desk.track(job, notes)
        desk.delay(job, notes.delay)
        desk.events.emit(
            JobHandedBack(job_id=job.job_id, reason="claim lost", after=notes.delay, lost=True)
        )

    def _poison(self, job: Tracked, attempts: int) -> None:
        """A job that its workers did not survive fails (``rules`` 17)."""
        desk = self._desk
        reason = f"given up after {attempts} lost claims"
        state = failed(job.job_id.action, job.job_id.version, reason)
        result = desk.commit(
            desk.queue.fail(
                job.job_id,
                job.path,
                reason,
                config_create=job.notes.config_create,
                state=state if job.notes.config_create else None,
            )
        )
        if not result.succeeded:
            result = desk.commit(desk.queue.fail(job.job_id, job.path, reason))
        if result.succeeded:
            desk.board.move(job, Place.FINISHED, result.revision)
            desk.events.emit(JobFailed(job_id=job.job_id, reason=reason))
        else:
            desk.refresh_job(job)

    def _release(self) -> bool:
        """Take finished jobs out of the queue, several in one transaction."""
        desk = self._desk
        finished = list(_first(desk.board.at(Place.FINISHED), desk.options.batch))
        if not finished:
            return False
        result = desk.commit_all(map(self._releasing, finished))
        if result.succeeded:
            for job in finished:
                self._released(job)
        else:
            for job in finished:
                self._release_one(job)
        return True

    def _releasing(self, job: Tracked) -> Transaction:
        return self._desk.queue.release(job.job_id, job.path, job.revision)

    def _release_one(self, job: Tracked) -> None:
        desk = self._desk
        entry = desk.store.get(desk.queue.own.failed(job.job_id))
        if entry is not None:
            failure = desk.queue.own.loads(entry.key, entry.value, Failure)
            self._release_failed(job, failure.reason)
        elif desk.commit(self._releasing(job)).succeeded:
            self._released(job)
        else:
            desk.refresh_job(job)

    def _released(self, job: Tracked) -> None:
        desk = self._desk
        desk.board.remove(job)
        if job.job_id.handler != HEAT_HANDLER:
            return
        if job.job_id.action == Action.DELETE:
            desk.refresh(job.path)
        for waiting in self._recovering.pop(job.resource, ()):
            self._recovered(waiting)

    # Failures.

    def _release_failed(self, job: Tracked, reason: str) -> None:
        """Deal with what depends on a failed job, then with itself (``rules`` 14)."""
        desk = self._desk
        if job.on_failure == OnFailure.FAIL:
            for mate in self._later(job):
                self._cancel(mate, job.job_id, reason, publish=False)
            for dependant in self._cancellable(job):
                self._let_down(dependant, job, reason)
        orphan = None
        if job.job_id.action == Action.DELETE and job.job_id.handler == HEAT_HANDLER:
            orphan = Orphan(path=job.path, reason=reason, since=desk.now_text())
        result = desk.commit(
            desk.queue.release_failed(job.job_id, job.path, job.revision, orphan=orphan)
        )
        if not result.succeeded:
            desk.refresh_job(job)
            return
        desk.board.remove(job)
        if orphan is not None:
            desk.orphans.add(job.path)
            desk.events.emit(
                OrphanFound(resource=job.resource, version=job.job_id.version, reason=orphan.reason)
            )

    def _later(self, job: Tracked) -> list[Tracked]:
        """The later jobs of the same workflow."""
        return [
            other
            for other in self._desk.board.workflow(job)
            if job.job_id in other.dependency and other.unclaimed
        ]

    def _cancellable(self, job: Tracked) -> list[Tracked]:
        """Dependants along forward references; not between versions, reverse or deletes."""
        if job.deletes:
            return []
        return [
            other
            for other in self._desk.board.dependants(job.job_id)
            if other.resource != job.resource
            and job.resource in other.references
            and not other.deletes
            and other.unclaimed
        ]

    def _let_down(self, job: Tracked, failed_job: Tracked, reason: str) -> None:
        """Cancel a dependant and, through it, those that refer to it; or hold it."""
        if self._desk.options.on_dependency_failure == "hold":
            self._hold(job, failed_job, reason)
            return
        for mate in self._later(job):
            self._cancel(mate, failed_job.job_id, reason, publish=False)
        for dependant in self._cancellable(job):
            self._let_down(dependant, failed_job, reason)
        self._cancel(job, failed_job.job_id, reason, publish=True)

    def _cancel(self, job: Tracked, cause: JobId, reason: str, *, publish: bool) -> None:
        self.cancel(job, f"cancelled: {cause} failed: {reason}", publish=publish)

    def cancel(self, job: Tracked, reason: str, *, publish: bool) -> None:
        """End an unclaimed job, in one transaction; its version's result is the reason."""
        desk = self._desk
        if desk.board.get(job.job_id) is None or job.place is None:
            return
        state = failed(job.job_id.action, job.job_id.version, reason) if publish else None
        queue = desk.queue
        place, revision = job.place, job.revision
        result = desk.commit(
            queue.end(
                job.job_id,
                job.path,
                place=place,
                revision=revision,
                config_create=job.notes.config_create,
                state=state,
            )
        )
        if not result.succeeded:
            # Its config may be gone: then there is nobody to tell.
            result = desk.commit(queue.end(job.job_id, job.path, place=place, revision=revision))
        if result.succeeded:
            desk.board.remove(job)
            desk.events.emit(JobCancelled(job_id=job.job_id, reason=reason))
        else:
            desk.refresh_job(job)

    def _hold(self, job: Tracked, failed_job: Tracked, reason: str) -> None:
        """Keep a dependant waiting for its failed dependency to recover, with a deadline."""
        desk = self._desk
        until = desk.clock.wall() + dt.timedelta(seconds=desk.options.dependency_hold_time)
        notes = attrs.evolve(
            job.notes,
            held_until=until.isoformat(),
            held_for=str(failed_job.resource),
            last_error=f"{failed_job.job_id} failed: {reason}",
        )
        if self._annotate(job, notes):
            self.remember_hold(job)
            desk.events.emit(
                JobHandedBack(
                    job_id=job.job_id,
                    reason=f"held: {notes.last_error}",
                    after=desk.options.dependency_hold_time,
                )
            )

    def _recovered(self, job_id: JobId) -> None:
        """What a held job waited for has been made after all."""
        job = self._desk.board.get(job_id)
        if job is not None and job.notes.held_until:
            self._annotate(job, attrs.evolve(job.notes, held_until="", held_for="", last_error=""))

    def _hold_over(self, job_id: JobId) -> None:
        job = self._desk.board.get(job_id)
        if job is None or not job.notes.held_until:
            return
        reason = f"cancelled: {job.notes.last_error}"
        for dependant in self._cancellable(job):
            self.cancel(dependant, reason, publish=True)
        self.cancel(job, reason, publish=True)

    def _annotate(self, job: Tracked, notes: JobNotes) -> bool:
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

    def _end(self, job: Tracked, transaction: Transaction) -> None:
        if self._desk.commit(transaction).succeeded:
            self._desk.board.remove(job)
        else:
            self._desk.refresh_job(job)

    # Template skew.

    def _evaluate(self) -> bool:
        """Give one unclaimed job the params that its changed template gives (``rules`` 9)."""
        while self._stale:
            job = self._desk.board.get(self._stale[0])
            if job is not None and job.unclaimed and self._is_stale(job):
                self._evaluate_again(job)
                self._stale.popleft()
                return True
            self._stale.popleft()
        return False

    def _is_stale(self, job: Tracked) -> bool:
        if job.deletes or not job.notes.template_id:
            return False
        known = self._desk.estate.template(job.notes.template_id)
        return known is None or known.revision != job.notes.template_revision

    def _evaluate_again(self, job: Tracked) -> None:
        desk = self._desk
        template_id = job.notes.template_id
        known = desk.estate.template(template_id)
        entry = desk.store.get(desk.keys.job(job.job_id))
        identified = desk.estate.identify(job.path)
        if entry is None or identified is None or job.place is None:
            desk.refresh_job(job)
            return
        try:
            document = desk.queue.read_job(entry)
            again = evaluate_again(document, identified[0], desk.view, desk.schemas, template_id)
        except MappingError as error:
            self.cancel(job, str(error), publish=True)
            return
        notes = attrs.evolve(job.notes, template_revision=0 if known is None else known.revision)
        result = desk.commit(desk.queue.rewrite(again, notes, job.place, job.revision))
        if result.succeeded:
            desk.board.move(job, job.place, result.revision)
            desk.track(job, notes)
        else:
            desk.refresh_job(job)

    # Promotion.

    def _promote(self) -> bool:
        """Make waiting jobs claimable, as many as there is room for (``rules`` 25)."""
        desk = self._desk
        number = min(desk.room, _PROMOTIONS)
        chosen = desk.board.next_ready(number) if number else []
        if not chosen:
            return False
        stale = [job for job in chosen if self._is_stale(job)]
        if stale:
            self._evaluate_again(stale[0])
            return True
        result = desk.commit(desk.queue.promote(map(_ready, chosen)))
        if result.succeeded:
            for job in chosen:
                desk.board.move(job, Place.READY, result.revision)
                desk.events.emit(JobReleased(job_id=job.job_id))
        else:
            for job in chosen:
                desk.refresh_job(job)
        return True

    def _notes(self, job: Tracked) -> JobNotes:
        desk = self._desk
        entry = desk.store.get(desk.queue.own.job(job.job_id))
        if entry is None:
            return job.notes
        try:
            return desk.queue.own.loads(entry.key, entry.value, JobNotes)
        except GohanJobsError:
            return job.notes

    def _seconds_until(self, when: str) -> float | None:
        try:
            moment = dt.datetime.fromisoformat(when)
        except ValueError:
            return None
        return max(0.0, (moment - self._desk.clock.wall()).total_seconds())


def _ready(job: Tracked) -> Ready:
    return Ready(job.job_id, job.job_id.handler, job.revision)


def _first(jobs: Iterable[Tracked], number: int) -> Iterator[Tracked]:
    for index, job in enumerate(jobs):
        if index >= number:
            return
        yield job
