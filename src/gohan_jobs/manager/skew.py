"""Templates that change while jobs wait (``rules`` 9)."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

import attrs

from gohan_jobs.board import Tracked
from gohan_jobs.exceptions import GohanJobsError, MappingError
from gohan_jobs.keys import JobId, Place
from gohan_jobs.manager.desk import Desk
from gohan_jobs.manager.failures import Failures
from gohan_jobs.planning import evaluate_again
from gohan_jobs.records import Job
from gohan_jobs.stores.base import Entry

__all__ = ["Skew"]


class Skew:
    """Evaluates unclaimed jobs' params again, so that old ones never meet a new template.

    Args:
        desk: what is known, and how to write.
        failures: ends what can't be evaluated any more.
    """

    def __init__(self, desk: Desk, failures: Failures) -> None:
        self._desk = desk
        self._failures = failures
        self._stale: deque[JobId] = deque()

    def clear(self) -> None:
        """Forget everything, before all is read again."""
        self._stale.clear()

    def template_changed(self, template_id: str) -> None:
        """A template was written or removed."""
        self._stale.extend(job.job_id for job in self._desk.board.with_template(template_id))

    def step(self) -> bool:
        """Deal with one job; whether there was any."""
        while self._stale:
            job = self._desk.board.get(self._stale[0])
            if job is not None and self._is_stale(job):
                self._evaluate(job)
                self._stale.popleft()
                return True
            self._stale.popleft()
        return False

    def evaluate(self, jobs: Iterable[Tracked]) -> bool:
        """Deal with one of some jobs that are to be promoted; whether there was any."""
        stale = next(filter(self._is_stale, jobs), None)
        if stale is not None:
            self._evaluate(stale)
        return stale is not None

    def _is_stale(self, job: Tracked) -> bool:
        if job.deletes or not job.unclaimed or job.broken or not job.notes.template_id:
            return False
        known = self._desk.estate.template(job.notes.template_id)
        if known is None:
            return True
        if known.digest and known.digest == job.notes.template_digest:
            return False  # written again as it was, by a resync of Gohan's (``rules`` 2)
        return known.revision != job.notes.template_revision

    def _evaluate(self, job: Tracked) -> None:
        desk = self._desk
        entry = desk.store.get(desk.keys.job(job.job_id))
        if entry is None:
            desk.board.remove(job)
            return
        again = self._again(job, entry)
        if again is None:
            return
        known = desk.estate.template(job.notes.template_id)
        notes = attrs.evolve(
            job.notes,
            template_revision=0 if known is None else known.revision,
            template_digest="" if known is None else known.digest,
        )
        assert job.place is not None  # noqa: S101 - it is unclaimed
        result = desk.commit(desk.queue.rewrite(again, notes, job.place, job.revision))
        if result.succeeded:
            desk.board.move(job, job.place, result.revision)
            desk.track(job, notes)
        else:
            desk.refresh_job(job)

    def _again(self, job: Tracked, entry: Entry) -> Job | None:
        """The job with its params anew; None if it can't be used any more."""
        desk = self._desk
        identified = desk.estate.identify(job.path)
        assert identified is not None  # noqa: S101 - it is a job of a known type
        try:
            document = desk.queue.read_job(entry)
        except GohanJobsError:
            job.broken = True  # the change of its document is on its way
            desk.board.move(job, job.place, job.revision)
            return None
        try:
            return evaluate_again(
                document, identified[0], desk.view, desk.schemas, job.notes.template_id
            )
        except MappingError as error:
            self._give_up(job, desk.scrub(str(error), document.resource_input))
            return None

    def _give_up(self, job: Tracked, reason: str) -> None:
        workflow = self._desk.board.workflow(job)
        if any(other.job_id in job.waiting_for for other in workflow):
            return  # those before it may fail, whose result it then is; its turn may yet come
        if not self._failures.give_up(job, reason) and job.place is Place.READY:
            self._stale.append(job.job_id)
