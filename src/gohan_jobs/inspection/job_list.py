"""The unfinished jobs as a list: where each stands, for how long, and what it waits for."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import attrs

from gohan_jobs.bookkeeping import JobNotes
from gohan_jobs.clock import Clock, SystemClock
from gohan_jobs.codec import Codec
from gohan_jobs.inspection.queued import QueuedJob, at_one_revision, read, read_queue
from gohan_jobs.inspection.resource_secrets import secrets_in_record, secrets_of
from gohan_jobs.keys import JobId, Place, ResourcePath
from gohan_jobs.queue import Queue
from gohan_jobs.records import Job
from gohan_jobs.redaction import Redactor
from gohan_jobs.stores.base import Reader, Store, entries_below

__all__ = ["JobFilter", "JobList", "JobRow", "list_jobs"]


@attrs.frozen(kw_only=True)
class JobFilter:
    """Which jobs are wanted; all of them unless told otherwise.

    Attributes:
        place: only those that stand there.
        handler: only those for that handler.
        resource_type: only those of resources of that type.
        older_than: only those planned so many seconds ago, or earlier.
    """

    place: Place | None = None
    handler: str | None = None
    resource_type: str | None = None
    older_than: float = 0.0

    def admits(self, job: QueuedJob, clock: Clock) -> bool:
        """Whether a job is wanted; of one that nobody knows the age of, none is enough."""
        return (
            self.place in {None, job.place}
            and self.handler in {None, job.job_id.handler}
            and self.resource_type in {None, job.job_id.resource_type}
            and (job.age(clock) or 0.0) >= self.older_than
        )


@attrs.frozen(kw_only=True)
class JobRow:
    """An unfinished job in a list.

    Attributes:
        job_id: which.
        place: where it stands; None: nowhere, which the leader repairs.
        planned_at: since when it is in the queue, ISO 8601; empty if nobody knows.
        age: the same in seconds; None if nobody knows.
        band: ``fresh`` or ``resync``; empty if nobody knows.
        tenant: whose job it is; empty if nobody knows.
        attempts: claims lost so far.
        retries: times its handler asked to try again.
        holder: the reservation's uuid, while a worker has it.
        worker: that worker's id, which begins with its process's name, if it has one; empty if it
            is not registered, as another program's.
        waits_for: how many unfinished jobs it waits for.
        held_until: ISO 8601, while it waits for a failed dependency to recover.
        last_error: why it was handed back last, or is held; without secrets.
    """

    job_id: JobId
    place: Place | None
    planned_at: str = ""
    age: float | None = None
    band: str = ""
    tenant: str = ""
    attempts: int = 0
    retries: int = 0
    holder: str = ""
    worker: str = ""
    waits_for: int = 0
    held_until: str = ""
    last_error: str = ""


@attrs.frozen(kw_only=True)
class JobList:
    """Jobs, those planned first before the others.

    Attributes:
        revision: of the store, as of which the queue was read.
        matching: how many there are.
        jobs: the first of them.
    """

    revision: int
    matching: int
    jobs: tuple[JobRow, ...]


def list_jobs(
    store: Store,
    codec: Codec | None = None,
    wanted: JobFilter | None = None,
    *,
    limit: int | None = None,
    clock: Clock | None = None,
    redactor: Redactor | None = None,
) -> JobList:
    """Unfinished jobs, the oldest first. Nothing is written.

    Args:
        store: where everything is kept.
        codec: reads records.
        wanted: which jobs.
        limit: how many at most, since each one's document is read; None for all.
        clock: tells how old a job is.
        redactor: says what is secret.

    Raises:
        StoreError: the store can't be read.
    """
    codec, wanted, clock = codec or Codec(), wanted or JobFilter(), clock or SystemClock()
    queue = Queue(codec.keys, codec)
    revision, queued = at_one_revision(store, lambda now: (now, read_queue(store, queue, now)))
    there = {job.job_id for job in queued}
    found = [job for job in queued if wanted.admits(job, clock)]
    found.sort(key=_planned)
    workers = _workers(store, queue) if any(job.claim is not None for job in found) else {}
    rows = _Rows(store, queue, clock, redactor or Redactor(), there, workers)
    return JobList(revision=revision, matching=len(found), jobs=tuple(map(rows.row, found[:limit])))


def _planned(job: QueuedJob) -> tuple[int, int, JobId]:
    """When a job was planned; of those planned at once, whose config came first."""
    return job.order, 0 if job.notes is None else job.notes.config_mod, job.job_id


def _workers(store: Reader, queue: Queue) -> dict[int, str]:
    """The workers' ids, by their leases."""
    prefix = queue.own.workers_prefix
    return {entry.lease: entry.key.removeprefix(prefix) for entry in entries_below(store, prefix)}


@attrs.frozen
class _Rows:
    """Makes rows."""

    store: Reader
    queue: Queue
    clock: Clock
    redactor: Redactor
    there: Collection[JobId]
    workers: Mapping[int, str]

    def row(self, queued: QueuedJob) -> JobRow:
        notes = queued.notes or JobNotes(planned_at="", path="", band="")
        job = self._document(queued.job_id)
        needed = () if job is None or queued.place is not Place.WAITING else job.dependency
        return JobRow(
            job_id=queued.job_id,
            place=queued.place,
            planned_at=notes.planned_at,
            age=queued.age(self.clock),
            band=notes.band,
            tenant=notes.tenant,
            attempts=notes.attempts,
            retries=notes.retries,
            holder="" if queued.claim is None else queued.claim.value.decode(errors="replace"),
            worker="" if queued.claim is None else self.workers.get(queued.claim.lease, ""),
            waits_for=sum(each in self.there for each in needed),
            held_until=notes.held_until,
            last_error=self._scrub(notes.last_error, job, notes.path),
        )

    def _document(self, job_id: JobId) -> Job | None:
        return read(self.queue.read_job, self.store.get(self.queue.keys.job(job_id)))

    def _scrub(self, text: str, job: Job | None, path: str) -> str:
        """A text without the resource's secrets, which whoever wrote it may have left in."""
        if not text:
            return text
        codec = self.queue.codec
        secrets = secrets_in_record(job, codec, self.redactor)
        if path:
            secrets |= secrets_of(self.store, ResourcePath(path), codec, self.redactor)
        return self.redactor.scrub(text, secrets)
