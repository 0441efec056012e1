"""Jobs from place to place: the queue owner's half of the job manager."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

import attrs

from gohan_jobs.board import Tracked
from gohan_jobs.bookkeeping import RELEASED, SET_ASIDE, Failure, JobNotes, Orphan
from gohan_jobs.events import JobFailed, JobHandedBack, JobReleased, JobSuperseded, OrphanFound
from gohan_jobs.exceptions import GohanJobsError
from gohan_jobs.keys import JobId, Place, ResourcePath
from gohan_jobs.manager.begun_stacks import note_left_stack, note_stack
from gohan_jobs.manager.desk import Desk
from gohan_jobs.manager.failures import Failures
from gohan_jobs.manager.skew import Skew
from gohan_jobs.planning import HEAT_HANDLER
from gohan_jobs.queue import Ready
from gohan_jobs.records import Action
from gohan_jobs.stores.base import Compare, Entry, Put, Transaction

__all__ = ["Dispatch"]

_PROMOTIONS = 24


class Dispatch:
    """Releases, promotes and requeues.

    Args:
        desk: what is known, and how to write.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._failures = Failures(desk)
        self._skew = Skew(desk, self._failures)
        self._lost: deque[JobId] = deque()
        self._returned: deque[JobId] = deque()
        self._removed: deque[ResourcePath] = deque()
        self._aside: deque[tuple[Tracked, Entry]] = deque()

    def clear(self) -> None:
        """Forget everything, before all is read again."""
        self._failures.clear()
        self._skew.clear()
        self._lost.clear()
        self._returned.clear()
        self._removed.clear()
        self._aside.clear()

    # What is heard.

    def lost(self, job: Tracked) -> None:
        """A job stands nowhere: its claim was lost, or a death left it so."""
        self._lost.append(job.job_id)

    def handed_back(self, job: Tracked) -> None:
        """A worker gave a job back; it may not be claimed before its notes have been read."""
        self._desk.board.delay(job, self._desk.clock.now())
        self._returned.append(job.job_id)

    def template_changed(self, template_id: str) -> None:
        """Unclaimed jobs of a template are to have their params evaluated again (``rules`` 9)."""
        self._skew.template_changed(template_id)

    def found(self, job: Tracked, document: Entry) -> None:
        """A job's document was read: see that it goes on from where it is.

        What a death may have left is a job that stands nowhere, or a wait that is not over.
        """
        if job.place is None:
            self.lost(job)
        elif job.notes.held_until == SET_ASIDE and not job.broken:
            self._aside.append((job, document))
        elif job.notes.held_for and not job.broken:
            self._failures.remember(job)
        elif job.place is Place.WAITING and job.notes.delay > 0:
            self._desk.delay(job, job.notes.delay)

    def _look_aside(self) -> bool:
        """Look at one job that was set aside, and has been read."""
        if not self._aside:
            return False
        job, document = self._aside[0]
        if self._desk.board.get(job.job_id) is job and job.notes.held_until == SET_ASIDE:
            self._reconsider(job, document)
        self._aside.popleft()
        return True

    def _reconsider(self, job: Tracked, document: Entry) -> None:
        """A job that was set aside is looked at again once its document has changed."""
        aside = self._desk.quarantine.get(document.key, (0, 0))[0]
        if aside in {0, document.mod_revision}:
            self._desk.set_aside(document.key, document.mod_revision, job.notes.last_error)
        elif job.place is Place.WAITING:
            self._desk.pardon(document.key)
            self._failures.readmit(job)

    # What is done.

    def step(self) -> bool:
        """One transaction's worth of work; whether there was any."""
        return (
            self._repair()
            or self._take_back()
            or self._look_aside()
            or self._release()
            or self._look_again()
            or self._failures.step()
            or self._skew.step()
            or self._promote()
        )

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
        told = self._preempted(job)
        if told and not told.startswith(RELEASED):
            self._supersede(job)
            return
        notes = attrs.evolve(
            job.notes,
            begun=True,
            attempts=job.notes.attempts + 1,
            delay=desk.options.claim_pause,
        )
        waits = desk.board.has_older(job)  # then no worker can have died of it
        if notes.attempts >= desk.options.max_attempts and not waits:
            self._poison(job, notes.attempts)
            return
        result = desk.commit(desk.queue.requeue(job.job_id, job.job_id.handler, notes))
        if not result.succeeded:
            desk.refresh_job(job)
            return
        desk.board.move(job, Place.WAITING, result.revision)
        desk.track(job, notes)
        desk.delay(job, notes.delay)
        reason = told or "claim lost"
        desk.tell(job, JobHandedBack, reason=reason, after=notes.delay, lost=True)

    def _preempted(self, job: Tracked) -> str:
        """What the job's holder was told; empty if nothing."""
        entry = self._desk.store.get(self._desk.queue.own.preempt(job.job_id))
        return "" if entry is None else entry.value.decode(errors="replace") or "pre-empted"

    def _supersede(self, job: Tracked) -> None:
        """End an unclaimed job without a result: a delete has taken its place (``rules`` 8)."""
        desk = self._desk
        end = desk.queue.end(job.job_id, job.path, place=job.place, revision=job.revision)
        if desk.commit(end).succeeded:
            desk.board.remove(job)
            desk.tell(job, JobSuperseded)
        else:
            desk.refresh_job(job)

    def _poison(self, job: Tracked, attempts: int) -> None:
        """A job that its workers did not survive fails (``rules`` 17)."""
        desk = self._desk
        reason = f"given up after {attempts} lost claims"
        state = self._failures.result_of(job, reason)
        desk.refresh(job.path)
        stack = note_stack(desk, job, f"{reason}: nobody has looked since")
        fail = desk.queue.fail(
            job.job_id,
            job.path,
            reason,
            config_create=job.notes.config_create,
            state=state,
        )
        result = desk.commit_all((fail, stack))
        if not result.succeeded:  # its config may be gone: then there is nobody to tell
            fail = desk.queue.fail(job.job_id, job.path, reason)
            result = desk.commit_all((fail, stack))
        if result.succeeded:
            desk.board.move(job, Place.FINISHED, result.revision)
            desk.tell(job, JobFailed, reason=reason)
        else:
            desk.refresh_job(job)

    # Handed back.

    def _take_back(self) -> bool:
        """Read why one job was handed back, and for how long."""
        if not self._returned:
            return False
        job = self._desk.board.get(self._returned[0])
        if job is not None and job.place is Place.WAITING:
            self._read_notes(job)
        self._returned.popleft()
        return True

    def _read_notes(self, job: Tracked) -> None:
        desk = self._desk
        if self._preempted(job):
            self._supersede(job)
            return
        notes = self._notes(job)
        document = desk.store.get(desk.keys.job(job.job_id))
        if document is None:
            desk.board.remove(job)
            return
        desk.track(job, notes)
        desk.board.delay(job, None)
        self.found(job, document)

    def _notes(self, job: Tracked) -> JobNotes:
        desk = self._desk
        entry = desk.store.get(desk.queue.own.job(job.job_id))
        if entry is None:
            self._note_again(job, 0)
            return job.notes
        try:
            return desk.queue.own.loads(entry.key, entry.value, JobNotes)
        except GohanJobsError as error:
            desk.set_aside(entry.key, entry.mod_revision, str(error))
            self._note_again(job, entry.mod_revision)
            return job.notes

    def _note_again(self, job: Tracked, revision: int) -> None:
        """Write what is known of a job whose notes are gone: no worker runs it without them."""
        desk = self._desk
        key = desk.queue.own.job(job.job_id)
        desk.commit(
            Transaction(
                (Compare.unchanged(key, revision), Compare.present(desk.keys.job(job.job_id))),
                (Put(key, desk.queue.own.dumps(job.notes)),),
            )
        )
        desk.pardon(key)

    # Finished.

    def _release(self) -> bool:
        """Take finished jobs out of the queue, several in one transaction."""
        desk = self._desk
        finished = _one_of_each(desk.board.at(Place.FINISHED), desk.options.batch)
        if not finished:
            return False
        result = desk.commit_all(map(self._releasing, finished))
        for job in finished:
            if result.succeeded:
                self._released(job)
            else:
                self._release_one(job)
        return True

    def _releasing(self, job: Tracked) -> Transaction:
        return self._desk.queue.release(job.job_id, job.path, job.revision)

    def _release_one(self, job: Tracked) -> None:
        desk = self._desk
        entry = desk.store.get(desk.queue.own.failed(job.job_id))
        if entry is not None:
            self._release_failed(job, self._failure(entry))
        elif desk.commit(self._releasing(job)).succeeded:
            self._released(job)
        else:
            desk.refresh_job(job)

    def _failure(self, entry: Entry) -> Failure:
        """Why a job failed; of a note that somebody broke, at least that it did."""
        try:
            return self._desk.queue.own.loads(entry.key, entry.value, Failure)
        except GohanJobsError as error:
            self._desk.set_aside(entry.key, entry.mod_revision, str(error))
            return Failure(reason="the reason can't be read any more")

    def _released(self, job: Tracked) -> None:
        self._desk.board.remove(job)
        if job.job_id.handler != HEAT_HANDLER:
            return
        if job.job_id.action == Action.DELETE:
            self._removed.append(job.path)
        elif not job.deletes:
            self._failures.recovered(job.resource)

    def _look_again(self) -> bool:
        """A one-step delete has removed a resource's records: read what there is now."""
        if not self._removed:
            return False
        self._desk.refresh(self._removed[0])
        self._removed.popleft()
        return True

    def _release_failed(self, job: Tracked, failure: Failure) -> None:
        """Deal with what depends on a failed job, then with itself (``rules`` 14)."""
        if self._failures.let_down(job, failure):
            return  # it stays until all are done
        desk, reason = self._desk, failure.reason
        orphan = self._orphaned(job, reason)
        release = desk.queue.release_failed(job.job_id, job.path, job.revision, orphan=orphan)
        noted = self._keeping(job, reason, orphan)
        if not desk.commit_all((release, *noted)).succeeded:
            desk.refresh(job.path)
            desk.refresh_job(job)
            return
        desk.board.remove(job)
        desk.pardon(desk.queue.own.failed(job.job_id))
        if orphan is not None:
            desk.orphans.add(job.path)
            desk.events.emit(
                OrphanFound(resource=job.resource, version=job.job_id.version, reason=reason)
            )

    def _orphaned(self, job: Tracked, reason: str) -> Orphan | None:
        """What a failed delete leaves; None if there is a config again, which has the stack."""
        deletes = job.job_id.action == Action.DELETE and job.job_id.handler == HEAT_HANDLER
        if not deletes or self._desk.estate.config_entry(job.path) is not None:
            return None
        return Orphan(path=job.path, reason=reason, since=self._desk.now_text())

    def _keeping(self, job: Tracked, reason: str, orphan: Orphan | None) -> tuple[Transaction, ...]:
        """What goes with a delete that failed: a record tells of its stack.

        Else a new leader, which knows of no stack, would forget an orphan, whose config is gone;
        and nobody would delete the stack of a marked config once that goes.
        """
        if job.job_id.action == Action.LOGICAL_DELETE:
            return (note_left_stack(self._desk, job, reason),)
        if orphan is None:
            return ()
        gone = Compare.absent(self._desk.keys.config_of(job.path))
        return Transaction((gone,)), note_left_stack(self._desk, job, reason)

    # Promotion.

    def _promote(self) -> bool:
        """Make waiting jobs claimable, as many as there is room for (``rules`` 25)."""
        desk = self._desk
        number = min(desk.room, _PROMOTIONS)
        chosen = desk.board.next_ready(number) if number else []
        if not chosen:
            return False
        if self._skew.evaluate(chosen):
            return True
        result = desk.commit(desk.queue.promote(map(_ready, chosen)))
        for job in chosen:
            if result.succeeded:
                desk.board.move(job, Place.READY, result.revision)
                desk.tell(job, JobReleased)
            else:
                desk.refresh_job(job)
        return True


def _one_of_each(jobs: Iterable[Tracked], most: int) -> list[Tracked]:
    """Jobs of different resources: all of one write its job state, and no key may be twice."""
    found: dict[ResourcePath, Tracked] = {}
    for job in jobs:
        found.setdefault(job.path, job)
        if len(found) == most:
            break
    return list(found.values())


def _ready(job: Tracked) -> Ready:
    return Ready(job.job_id, job.job_id.handler, job.revision)
