"""An operator's wish that an unfinished job end: its version then fails, as ``cancelled``.

What goes is the version: of a workflow, the first unfinished job fails, and lets the later ones
down (``rules`` 14); one that waits for an older version is ended after that one (``rules`` 12). A
running job is told to stop through its pre-emption (``rules`` 8), which keeps it from publishing
anything; once its holder has given it back, its failure is written here.
A delete that runs is not ended: Heat may have begun, and half a stack serves nobody.
"""

from __future__ import annotations

from gohan_jobs.board import Tracked
from gohan_jobs.bookkeeping import CANCELLED, CancelRequest
from gohan_jobs.events import JobCancelled, RequestCarriedOut, RequestDropped
from gohan_jobs.exceptions import GohanJobsError, InvalidKey
from gohan_jobs.keys import JobId, Place
from gohan_jobs.manager.asked import drop_request, taken_back
from gohan_jobs.manager.desk import Desk
from gohan_jobs.manager.failures import fail_job
from gohan_jobs.planning import HEAT_HANDLER
from gohan_jobs.records import OnFailure, ResourceRef
from gohan_jobs.stores.base import Compare, Delete, Entry, Operation, Put, Transaction

__all__ = ["Cancellations"]

_CANCEL = "cancel"


class Cancellations:
    """Ends the jobs that operators want to be ended.

    Args:
        desk: what is known, and how to write.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._asked: dict[str, Entry] = {}
        self._told: dict[JobId, int] = {}

    def clear(self) -> None:
        """Forget everything, before all is read again."""
        self._asked.clear()
        self._told.clear()

    def heard(self, name: str, entry: Entry | None) -> None:
        """An operator asks for a job to be ended, or it is done."""
        if entry is None:
            self._asked.pop(name, None)
        else:
            self._asked[name] = entry

    def step(self) -> bool:
        """One transaction for one request; whether there was any that need not wait."""
        return any(self._attend(name, self._asked[name]) for name in tuple(self._asked))

    def _attend(self, name: str, asked: Entry) -> bool:
        """Bring one request forward; whether there was anything to do now."""
        try:
            job_id = JobId.parse(name)
            request = self._desk.queue.own.loads(asked.key, asked.value, CancelRequest)
        except (InvalidKey, GohanJobsError):
            self._drop(name, asked, None, "the request can't be read")
            return True
        job = self._desk.board.get(job_id)
        if job is None:
            return self._unknown(job_id, asked, request)
        workflow = self._desk.board.workflow(job)
        if any(self._ended_by_itself(other) for other in workflow):
            return False  # its release comes first, and what follows from it
        target = workflow[0]
        if target.place is Place.WORKING:
            return self._stop(target, job_id, asked, request)
        if self._desk.board.has_older(target):
            return False  # that one's result would come later, and stand for this one's
        self._end(target, job_id, asked, request)
        return True

    def _unknown(self, job_id: JobId, asked: Entry, request: CancelRequest) -> bool:
        if self._desk.store.get(self._desk.keys.job(job_id)) is not None:
            return False  # another program's, which will be heard of
        self._drop(str(job_id), asked, job_id, "it has ended by itself", request.by)
        return True

    def _ended_by_itself(self, job: Tracked) -> bool:
        """Whether a job is through, and not since it was told to stop."""
        if job.place is not Place.FINISHED:
            return False
        told = self._desk.store.get(self._desk.queue.own.preempt(job.job_id))
        return told is None or not told.value.startswith(CANCELLED.encode())

    # A running job.

    def _stop(self, job: Tracked, job_id: JobId, asked: Entry, request: CancelRequest) -> bool:
        """Tell a job's holder to stop, once for each claim."""
        if job.deletes and job.job_id.handler == HEAT_HANDLER:
            reason = "a delete that has begun runs to its end"
            self._drop(str(job_id), asked, job_id, reason, request.by)
            return True
        if self._told.get(job.job_id) == job.revision:
            return False
        desk = self._desk
        working = desk.keys.place(Place.WORKING, job.job_id)
        told = desk.commit(
            Transaction(
                (Compare.unchanged(working, job.revision),),
                (Put(desk.queue.own.preempt(job.job_id), CANCELLED.encode()),),
            )
        )
        if told.succeeded:
            self._told[job.job_id] = job.revision
        else:
            desk.refresh_job(job)
        return True

    # One that nobody has.

    def _end(self, job: Tracked, job_id: JobId, asked: Entry, request: CancelRequest) -> None:
        reason = f"{CANCELLED}: {request.reason}"
        later = self._desk.board.workflow(job)[1:]
        if job.on_failure == OnFailure.IGNORE and later:
            self._skip(job, later[0].job_id, reason, asked)  # its failure would let nobody down
        elif self._fail(job, reason, asked):
            self._asked.pop(str(job_id), None)
            self._told.pop(job.job_id, None)
            self._desk.events.emit(
                RequestCarriedOut(
                    resource=job.resource,
                    version=job.job_id.version,
                    request=_CANCEL,
                    by=request.by,
                )
            )

    def _skip(self, job: Tracked, following: JobId, reason: str, asked: Entry) -> None:
        """End a job whose failure does not count; the request is for the one after it then."""
        desk, own = self._desk, self._desk.queue.own
        end = desk.queue.end(job.job_id, job.path, place=job.place, revision=job.revision)
        moved: tuple[Operation, ...] = ()
        if asked.key == own.cancel(job.job_id):
            moved = Delete(asked.key), Put(own.cancel(following), asked.value)
        unchanged = Compare.unchanged(asked.key, asked.mod_revision)
        if desk.commit_all((end, Transaction((unchanged,), moved))).succeeded:
            desk.board.remove(job)
            desk.tell(job, JobCancelled, reason=reason)
            if moved:
                self._asked.pop(str(job.job_id), None)
        else:
            desk.refresh_job(job)

    def _fail(self, job: Tracked, reason: str, asked: Entry) -> bool:
        """Let a job fail, and take the request back; its dependants come next (``rules`` 14)."""
        desk = self._desk
        state = desk.failure_of(job, reason)
        failed = fail_job(desk, job, reason, state, also=taken_back(asked))
        if failed:
            desk.tell(job, JobCancelled, reason=reason)
        return failed

    # What comes of it.

    def _drop(
        self, name: str, asked: Entry, job_id: JobId | None, reason: str, by: str = ""
    ) -> None:
        """Take back a request that can't be carried out, and say so."""
        resource, version = ResourceRef("", name), None
        if job_id is not None:
            resource = ResourceRef(job_id.resource_type, job_id.resource_id)
            version = job_id.version
        told = RequestDropped(
            resource=resource, version=version, request=_CANCEL, reason=reason, by=by
        )
        drop_request(self._desk, asked, told)
        self._asked.pop(name, None)
