"""Who has a job, and taking it away."""

from __future__ import annotations

import attrs

from gohan_jobs.bookkeeping import RELEASED, JobNotes
from gohan_jobs.exceptions import OperationRefused
from gohan_jobs.inspection.queued import read, read_place
from gohan_jobs.keys import JobId, Place
from gohan_jobs.queue import Queue
from gohan_jobs.stores.base import (
    Compare,
    Delete,
    Put,
    Store,
    Transaction,
    entries_below,
    lease_left,
)

__all__ = ["Claimant", "Claims"]


@attrs.frozen(kw_only=True)
class Claimant:
    """Who has a job.

    Attributes:
        job_id: the job.
        claim: the reservation's uuid.
        revision: at which it was made: what a release compares.
        lease: the lease's number in hexadecimal; empty for none, as other programs' claims have.
        worker: id of the worker under the same lease; empty if none is registered.
        remaining: seconds the lease still has, unless it is renewed; None if the store can't tell.
        planned_at: since when the job is in the queue, ISO 8601; claims have no time of their own.
        attempts: claims lost before this one.
    """

    job_id: JobId
    claim: str
    revision: int
    lease: str = ""
    worker: str = ""
    remaining: float | None = None
    planned_at: str = ""
    attempts: int = 0


class Claims:
    """Reads who has which job, and takes jobs away.

    Args:
        store: where everything is kept.
        queue: knows the keys.
        by: who acts; noted with each release.
    """

    def __init__(self, store: Store, queue: Queue, *, by: str = "") -> None:
        self._store = store
        self._queue = queue
        self._keys = queue.keys
        self._own = queue.own
        self._by = by

    def holder(self, job_id: JobId) -> Claimant:
        """Who has a job.

        Raises:
            OperationRefused: there is no such job, or nobody has it.
        """
        place, entry = read_place(self._store, self._queue, job_id)
        if place is not Place.WORKING or entry is None:
            if self._store.get(self._keys.job(job_id)) is None:
                raise OperationRefused(str(job_id), "there is no such unfinished job")
            raise OperationRefused(str(job_id), f"nobody has it: it is {place or 'nowhere'}")
        own = self._own
        noted = self._store.get(own.job(job_id))
        notes = read(lambda e: own.loads(e.key, e.value, JobNotes), noted)
        return Claimant(
            job_id=job_id,
            claim=entry.value.decode(errors="replace"),
            revision=entry.create_revision,
            lease=f"{entry.lease:x}" if entry.lease else "",
            worker=self._worker(entry.lease),
            remaining=lease_left(self._store, entry.lease),
            planned_at="" if notes is None else notes.planned_at,
            attempts=0 if notes is None else notes.attempts,
        )

    def _worker(self, lease: int) -> str:
        workers = entries_below(self._store, self._own.workers_prefix) if lease else ()
        keys = (entry.key for entry in workers if entry.lease == lease)
        return next(keys, "").removeprefix(self._own.workers_prefix)

    def release(self, holder: Claimant) -> None:
        """Take a job from its holder, who stops, and can't publish anything of it any more.

        To the leader it is a lost claim: it counts as one (``rules`` 17), and the job waits for
        the time of one request to Heat before another worker may have it (``rules`` 18).

        Args:
            holder: who has it, by :meth:`holder`; it is taken from nobody else.

        Raises:
            OperationRefused: it has given it back meanwhile.
        """
        working = self._keys.place(Place.WORKING, holder.job_id)
        mine = Compare.created_at(working, holder.revision)
        preempt = self._own.preempt(holder.job_id)
        told = Put(preempt, f"{RELEASED} by {self._by or 'an operator'}".encode())
        for compares, puts in (((mine, Compare.absent(preempt)), (told,)), ((mine,), ())):
            # Else it has been told to stop already, for another reason, which stands.
            if self._store.transact(Transaction(compares, (Delete(working), *puts))).succeeded:
                return
        raise OperationRefused(str(holder.job_id), "it has been given back meanwhile")
