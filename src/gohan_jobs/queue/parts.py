"""What transactions are built from: who writes, what is queued, what a job ended in."""

from __future__ import annotations

import attrs

from gohan_jobs.bookkeeping import Bookkeeping, JobNotes
from gohan_jobs.codec import Codec, Spelling
from gohan_jobs.keys import JobId, Keys, Place, ResourcePath
from gohan_jobs.records import (
    HeatStack,
    Job,
    JobState,
    ProcessedConfig,
    Record,
    StateRecord,
)
from gohan_jobs.stores.base import Compare, Delete, Entry, Operation, Put

__all__ = ["Builder", "Collapsed", "Fence", "Finish", "NewJob", "Ready"]


@attrs.frozen
class Fence:
    """Who writes: the key that proves it, and the revision at which it was created."""

    key: str
    revision: int

    @property
    def compare(self) -> Compare:
        """Holds as long as the key is the writer's."""
        return Compare.created_at(self.key, self.revision)


@attrs.frozen(kw_only=True)
class NewJob:
    """A job to queue, its notes, and where it goes."""

    job: Job
    notes: JobNotes
    place: Place


@attrs.frozen
class Collapsed:
    """A queued job to take away, and where it stands."""

    job_id: JobId
    place: Place
    revision: int


@attrs.frozen
class Ready:
    """A waiting job that may be claimed, and the revision at which it was put there."""

    job_id: JobId
    handler: str
    revision: int


@attrs.frozen(kw_only=True)
class Finish:
    """The results of a job.

    Attributes:
        job_id: the job.
        notes: on it.
        stack: the stack's record; None leaves it as it is.
        state: the version's result; None if this job publishes none.
        job_state: the job's result; None leaves what is there.
        failure: why it failed; None if it did not.
        removes: whether the resource's records go with its stack (a one-step delete).
        planned_at: revision at which the job was planned, its processed copy written with it.
    """

    job_id: JobId
    notes: JobNotes
    stack: HeatStack | None = None
    state: StateRecord | None = None
    job_state: JobState | None = None
    failure: str | None = None
    removes: bool = False
    planned_at: int = 0


class Builder:
    """Keys and texts that every transaction needs.

    Args:
        keys: where everything is stored.
        codec: writes records.
        spelling: in which spelling.
    """

    def __init__(self, keys: Keys, codec: Codec, spelling: Spelling = Spelling.WORKER) -> None:
        self.keys = keys
        self.own: Bookkeeping = Bookkeeping(keys)
        self.codec = codec
        self._spelling = spelling

    def text(self, record: Record) -> bytes:
        """A record as it is stored."""
        return self.codec.dumps(record, self._spelling).encode()

    def read_job(self, entry: Entry) -> Job:
        """A job's document.

        Raises:
            InvalidRecord: somebody broke it.
        """
        return self.codec.job(entry.key, entry.value)

    def _processing(
        self,
        path: ResourcePath,
        config_revision: int,
        processed: ProcessedConfig,
        processed_revision: int,
    ) -> tuple[list[Compare], list[Operation]]:
        key = self.keys.processed_of(path)
        compares = [
            Compare.unchanged(self.keys.config_of(path), config_revision),
            Compare.unchanged(key, processed_revision),
        ]
        return compares, [Put(key, self.text(processed))]

    def _new_job(self, new: NewJob) -> list[Operation]:
        job = new.job
        return [
            Put(self.keys.job(job.id), self.text(job)),
            Put(self.keys.place(new.place, job.id), job.handler.encode()),
            Put(self.own.job(job.id), self.own.dumps(new.notes)),
        ]

    def _remove(self, job_id: JobId, place: str | None = None) -> list[Operation]:
        operations: list[Operation] = [
            Delete(self.keys.job(job_id)),
            Delete(self.own.job(job_id)),
            Delete(self.own.preempt(job_id)),
        ]
        return operations if place is None else [*operations, Delete(place)]

    def _nowhere(self, job_id: JobId) -> list[Compare]:
        return [Compare.absent(self.keys.place(place, job_id)) for place in Place]
