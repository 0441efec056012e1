"""The job queue: where its transactions are built, and nowhere else.

The documented keys stay as they were (``/jobs/all`` and the four places), but each move is one
transaction. Each also compares something that its own success changes, so that repeating one whose
answer was lost does nothing; and each is fenced: a leader's by the create revision of the leader's
key, a worker's by that of its reservation.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import attrs

from gohan_jobs.bookkeeping import Bookkeeping, Failure, JobNotes, Orphan, Quarantined
from gohan_jobs.codec import Codec, Spelling
from gohan_jobs.keys import JobId, Keys, Place, ResourcePath
from gohan_jobs.records import (
    HeatStack,
    Job,
    JobState,
    MonitoringRecord,
    ProcessedConfig,
    Record,
    StateRecord,
)
from gohan_jobs.stores.base import Compare, Delete, Entry, Get, Operation, Put, Transaction

__all__ = ["Collapsed", "Fence", "Finish", "NewJob", "Queue", "Ready"]


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


class Queue:
    """Builds transactions; pure.

    Args:
        keys: where everything is stored.
        codec: writes records.
        spelling: in which spelling.
    """

    def __init__(self, keys: Keys, codec: Codec, spelling: Spelling = Spelling.WORKER) -> None:
        self.keys = keys
        self.own = Bookkeeping(keys)
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

    # The leader's.

    def enqueue(
        self,
        path: ResourcePath,
        jobs: Sequence[NewJob],
        *,
        config_revision: int,
        processed: ProcessedConfig,
        processed_revision: int,
        collapse: Iterable[Collapsed] = (),
        preempt: Iterable[JobId] = (),
        expect_no_state: bool = False,
    ) -> Transaction:
        """Queue a config's jobs and write its processed copy (``runtime``, writes 1 to 3).

        Holds only while the config (revision 0: its absence) and its processed copy are as they
        were read.
        """
        compares, operations = self._processing(
            path, config_revision, processed, processed_revision
        )
        if expect_no_state:
            compares.append(Compare.absent(self.keys.state_of(path)))
        for new in jobs:
            operations += self._new_job(new)
        for gone in collapse:
            place = self.keys.place(gone.place, gone.job_id)
            compares.append(Compare.unchanged(place, gone.revision))
            operations += self._remove(gone.job_id, place)
        operations += [Put(self.own.preempt(job_id), b"delete") for job_id in preempt]
        return Transaction(tuple(compares), tuple(operations))

    def publish(
        self,
        path: ResourcePath,
        *,
        config_revision: int,
        processed: ProcessedConfig,
        processed_revision: int,
        state: StateRecord | None,
        collapse: Iterable[Collapsed] = (),
    ) -> Transaction:
        """Write a result that needs no job, and the processed copy."""
        compares, operations = self._processing(
            path, config_revision, processed, processed_revision
        )
        if state is not None:
            operations.append(Put(self.keys.state_of(path), self.text(state)))
        for gone in collapse:
            place = self.keys.place(gone.place, gone.job_id)
            compares.append(Compare.unchanged(place, gone.revision))
            operations += self._remove(gone.job_id, place)
        return Transaction(tuple(compares), tuple(operations))

    def publish_error(
        self, path: ResourcePath, config_revision: int, state_revision: int, state: StateRecord
    ) -> Transaction:
        """Write the result of a config that can't even be read (``rules`` 10)."""
        key = self.keys.state_of(path)
        return Transaction(
            (
                Compare.unchanged(self.keys.config_of(path), config_revision),
                Compare.unchanged(key, state_revision),
            ),
            (Put(key, self.text(state)),),
        )

    def forget(
        self,
        path: ResourcePath,
        *,
        processed_revision: int,
        stack_revision: int,
        collapse: Iterable[Collapsed] = (),
        orphan: Orphan | None = None,
    ) -> Transaction:
        """Remove the records of a resource whose config is gone, or note its stack as an orphan.

        Holds only while the config is absent and the processed copy and the stack's record are as
        they were read: a stack that was not heard of yet must not be forgotten.
        """
        compares = [
            Compare.absent(self.keys.config_of(path)),
            Compare.unchanged(self.keys.processed_of(path), processed_revision),
            Compare.unchanged(self.keys.heat_stack_of(path), stack_revision),
        ]
        operations: list[Operation] = [Delete(self.own.report(path))]
        if orphan is None:
            operations += [
                Delete(self.keys.processed_of(path)),
                Delete(self.keys.heat_stack_of(path)),
                Delete(self.own.orphan(path)),
            ]
        else:
            operations.append(Put(self.own.orphan(path), self.own.dumps(orphan)))
        for gone in collapse:
            place = self.keys.place(gone.place, gone.job_id)
            compares.append(Compare.unchanged(place, gone.revision))
            operations += self._remove(gone.job_id, place)
        return Transaction(tuple(compares), tuple(operations))

    def release(self, job_id: JobId, path: ResourcePath, finished_revision: int) -> Transaction:
        """Take a finished job out of the queue (``runtime``, writes 9 and 10)."""
        finished = self.keys.place(Place.FINISHED, job_id)
        return Transaction(
            (
                Compare.unchanged(finished, finished_revision),
                Compare.absent(self.own.failed(job_id)),
            ),
            (*self._remove(job_id, finished), Delete(self.keys.job_state_of(path))),
        )

    def release_failed(
        self,
        job_id: JobId,
        path: ResourcePath,
        finished_revision: int,
        *,
        orphan: Orphan | None = None,
    ) -> Transaction:
        """As :meth:`release`, of a failed job whose dependants have been dealt with."""
        finished = self.keys.place(Place.FINISHED, job_id)
        operations: list[Operation] = [
            *self._remove(job_id, finished),
            Delete(self.own.failed(job_id)),
            Delete(self.keys.job_state_of(path)),
        ]
        if orphan is not None:
            operations.append(Put(self.own.orphan(path), self.own.dumps(orphan)))
        return Transaction((Compare.unchanged(finished, finished_revision),), tuple(operations))

    def promote(self, jobs: Iterable[Ready]) -> Transaction:
        """Let waiting jobs be claimed."""
        compares: list[Compare] = []
        operations: list[Operation] = []
        for ready in jobs:
            waiting = self.keys.place(Place.WAITING, ready.job_id)
            compares.append(Compare.unchanged(waiting, ready.revision))
            operations += [
                Delete(waiting),
                Put(self.keys.place(Place.READY, ready.job_id), ready.handler.encode()),
            ]
        return Transaction(tuple(compares), tuple(operations))

    def requeue(self, job_id: JobId, handler: str, notes: JobNotes) -> Transaction:
        """Put a job whose claim was lost, or that stands nowhere, back among the waiting."""
        return Transaction(
            (Compare.present(self.keys.job(job_id)), *self._nowhere(job_id)),
            (
                Put(self.keys.place(Place.WAITING, job_id), handler.encode()),
                Put(self.own.job(job_id), self.own.dumps(notes)),
            ),
        )

    def end(
        self,
        job_id: JobId,
        path: ResourcePath,
        *,
        place: Place | None,
        revision: int,
        config_create: int = 0,
        state: StateRecord | None = None,
    ) -> Transaction:
        """End a job that nobody holds: cancelled, poisonous, or pre-empted.

        Args:
            job_id: the job.
            path: its resource's path.
            place: where it stands; None: nowhere.
            revision: since when.
            config_create: with ``state``: its config's create revision.
            state: what to publish, if anything.
        """
        compares: list[Compare] = [Compare.present(self.keys.job(job_id))]
        operations: list[Operation] = list(self._remove(job_id))
        if place is None:
            compares += self._nowhere(job_id)
        else:
            key = self.keys.place(place, job_id)
            compares.append(Compare.unchanged(key, revision))
            operations.append(Delete(key))
        operations.append(Delete(self.keys.job_state_of(path)))
        if state is not None:
            compares.append(Compare.created_at(self.keys.config_of(path), config_create))
            operations.append(Put(self.keys.state_of(path), self.text(state)))
        return Transaction(tuple(compares), tuple(operations))

    def fail(
        self,
        job_id: JobId,
        path: ResourcePath,
        reason: str,
        *,
        config_create: int = 0,
        state: StateRecord | None = None,
    ) -> Transaction:
        """End a job that stands nowhere as failed (``rules`` 17); its dependants come next."""
        compares = [Compare.present(self.keys.job(job_id)), *self._nowhere(job_id)]
        operations: list[Operation] = [
            Put(self.keys.place(Place.FINISHED, job_id), b""),
            Put(self.own.failed(job_id), self.own.dumps(Failure(reason=reason))),
        ]
        if state is not None:
            compares.append(Compare.created_at(self.keys.config_of(path), config_create))
            operations.append(Put(self.keys.state_of(path), self.text(state)))
        return Transaction(tuple(compares), tuple(operations))

    def rewrite(self, job: Job, notes: JobNotes, place: Place, revision: int) -> Transaction:
        """Write an unclaimed job anew, since its template has changed (``rules`` 9)."""
        key = self.keys.place(place, job.id)
        operations: list[Operation] = [
            Put(self.keys.job(job.id), self.text(job)),
            Put(self.own.job(job.id), self.own.dumps(notes)),
            # Written again so that the transaction compares what it changes.
            Put(key, job.handler.encode()),
        ]
        return Transaction((Compare.unchanged(key, revision),), tuple(operations))

    def annotate(self, job_id: JobId, handler: str, notes: JobNotes, revision: int) -> Transaction:
        """Change the notes on a waiting job."""
        key = self.keys.place(Place.WAITING, job_id)
        return Transaction(
            (Compare.unchanged(key, revision),),
            (Put(key, handler.encode()), Put(self.own.job(job_id), self.own.dumps(notes))),
        )

    def set_aside(self, found: Quarantined, known_revision: int) -> Transaction:
        """Note that a key can't be used; once for each version of it."""
        key = self.own.quarantine(found.key)
        return Transaction(
            (Compare.unchanged(key, known_revision),), (Put(key, self.own.dumps(found)),)
        )

    def pardon(self, key: str, known_revision: int) -> Transaction:
        """Forget that a key could not be used."""
        own = self.own.quarantine(key)
        return Transaction((Compare.unchanged(own, known_revision),), (Delete(own),))

    # A worker's.

    def claim(
        self, job_id: JobId, path: ResourcePath, ready_revision: int, holder: str, lease: int
    ) -> Transaction:
        """Reserve a ready job and read what its handler needs (``runtime``, writes 4 and 5).

        The last four results are those of :meth:`reading`.
        """
        ready = self.keys.place(Place.READY, job_id)
        working = self.keys.place(Place.WORKING, job_id)
        return Transaction(
            (Compare.unchanged(ready, ready_revision), Compare.absent(working)),
            (
                Delete(ready),
                Put(working, holder.encode(), lease),
                Put(self.keys.job_state_of(path), b"{}"),
                *self.reading(job_id, path).success,
            ),
        )

    def reading(self, job_id: JobId, path: ResourcePath) -> Transaction:
        """Read what a claimed job's handler needs: job, notes, config, stack's record."""
        return Transaction(
            (),
            (
                Get(self.keys.job(job_id)),
                Get(self.own.job(job_id)),
                Get(self.keys.config_of(path)),
                Get(self.keys.heat_stack_of(path)),
            ),
        )

    def finish(self, fence: Fence, finish: Finish) -> Transaction:
        """Write a job's results and give it back, all at once (``runtime``, writes 6 to 8).

        Holds while the reservation is the worker's, nobody has pre-empted it, and the config is the
        one it was planned from (``rules`` 15). A failed comparison reads the reservation, the
        pre-emption and the config.
        """
        path = ResourcePath(finish.notes.path)
        preempt = self.own.preempt(finish.job_id)
        config = self.keys.config_of(path)
        compares = [fence.compare, Compare.absent(preempt)]
        if not finish.removes:
            compares.append(Compare.created_at(config, finish.notes.config_create))
        return Transaction(
            tuple(compares),
            tuple(self._results(path, finish)),
            (Get(fence.key), Get(preempt), Get(config)),
        )

    def drop(self, fence: Fence, job_id: JobId) -> Transaction:
        """Give a job back as finished without any result (``rules`` 8, 15)."""
        return Transaction(
            (fence.compare,),
            (
                Delete(self.keys.place(Place.WORKING, job_id)),
                Put(self.keys.place(Place.FINISHED, job_id), b""),
            ),
        )

    def hand_back(self, fence: Fence, job_id: JobId, handler: str, notes: JobNotes) -> Transaction:
        """Give a job back unfinished."""
        return Transaction(
            (fence.compare,),
            (
                Delete(self.keys.place(Place.WORKING, job_id)),
                Put(self.keys.place(Place.WAITING, job_id), handler.encode()),
                Put(self.own.job(job_id), self.own.dumps(notes)),
                Delete(self.keys.job_state_of(ResourcePath(notes.path))),
            ),
        )

    # Anybody's.

    def monitoring(
        self, path: ResourcePath, record: MonitoringRecord | None, revision: int
    ) -> Transaction:
        """Write a monitoring status, or remove it, if it is as it was read."""
        key = self.keys.monitoring_of(path)
        operation = Delete(key) if record is None else Put(key, self.text(record))
        return Transaction((Compare.unchanged(key, revision),), (operation,))

    # Parts.

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

    def _results(self, path: ResourcePath, finish: Finish) -> Iterable[Operation]:
        job_state = self.keys.job_state_of(path)
        if finish.removes and finish.failure is None:
            processed = self.keys.processed_of(path)
            yield Delete(self.keys.heat_stack_of(path))
            yield Delete(self.own.orphan(path))
            # A config created again meanwhile has a processed copy of its own, which stays.
            yield Transaction(
                (Compare.unchanged(processed, finish.planned_at),), (Delete(processed),)
            )
        if finish.stack is not None:
            yield Put(self.keys.heat_stack_of(path), self.text(finish.stack))
        if finish.job_state is not None:
            yield Put(job_state, self.text(finish.job_state))
        if finish.state is not None:
            yield Put(self.keys.state_of(path), self.text(finish.state))
        if finish.failure is not None:
            failure = Failure(reason=finish.failure)
            yield Put(self.own.failed(finish.job_id), self.own.dumps(failure))
        yield Delete(self.keys.place(Place.WORKING, finish.job_id))
        yield Put(self.keys.place(Place.FINISHED, finish.job_id), b"")
