"""The leader's transactions; :class:`gohan_jobs.queue.Queue` tells what they have in common."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from gohan_jobs.bookkeeping import Failure, Held, JobNotes, Orphan, Quarantined
from gohan_jobs.keys import JobId, Place, ResourcePath
from gohan_jobs.queue.parts import Builder, Collapsed, NewJob, Ready
from gohan_jobs.records import (
    Job,
    ProcessedConfig,
    StateRecord,
)
from gohan_jobs.records.outcomes import failed_job_state
from gohan_jobs.stores.base import Compare, Delete, Operation, Put, Transaction

__all__ = ["LeaderTransactions"]


class LeaderTransactions(Builder):
    """What only the leader writes; who sends them adds the leader's fence."""

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
        state_revision: int,
        collapse: Iterable[Collapsed] = (),
    ) -> Transaction:
        """Write a result that needs no job, and the processed copy.

        Holds only while no other result than the one that was known is there: one config version
        has one (``rules`` 12).
        """
        compares, operations = self._processing(
            path, config_revision, processed, processed_revision
        )
        if state is not None:
            key = self.keys.state_of(path)
            compares.append(Compare.unchanged(key, state_revision))
            operations.append(Put(key, self.text(state)))
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
                Delete(self.own.preempt(job_id)),  # an operator's, who took the claim
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
        cause: str = "",
        place: Place | None = None,
        revision: int = 0,
        config_create: int = 0,
        state: StateRecord | None = None,
    ) -> Transaction:
        """End a job that nobody holds as failed (``rules`` 14, 17); its dependants come next.

        Args:
            job_id: the job.
            path: its resource's path.
            reason: why.
            cause: what let it down itself; empty if it failed by itself.
            place: where it stands: its holder has given it back without a result if that is
                finished; None: nowhere.
            revision: since when.
            config_create: with ``state``: its config's create revision.
            state: what to publish, if anything.
        """
        compares = [Compare.present(self.keys.job(job_id))]
        operations: list[Operation] = [
            Put(self.keys.place(Place.FINISHED, job_id), b""),
            Put(self.own.failed(job_id), self.own.dumps(Failure(reason=reason, cause=cause))),
            Put(self.keys.job_state_of(path), self.text(failed_job_state(job_id.action, reason))),
        ]
        if place is None:
            compares += self._nowhere(job_id)
        else:
            key = self.keys.place(place, job_id)
            compares.append(Compare.unchanged(key, revision))
            if place is not Place.FINISHED:
                operations.append(Delete(key))
        if state is not None:
            compares.append(Compare.created_at(self.keys.config_of(path), config_create))
            operations.append(Put(self.keys.state_of(path), self.text(state)))
        return Transaction(tuple(compares), tuple(operations))

    def tidy(
        self, job_id: JobId, older: tuple[Place, int], newer: tuple[Place, int]
    ) -> Transaction:
        """Of two places of a job, each with its mod revision, only the later one counts."""
        old, new = (self.keys.place(place, job_id) for place, _ in (older, newer))
        return Transaction(
            (Compare.unchanged(old, older[1]), Compare.unchanged(new, newer[1])), (Delete(old),)
        )

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

    def hold(self, path: ResourcePath, held: Held, known_revision: int) -> Transaction:
        """Note that a change is not planned yet; while the config is as it was read."""
        key = self.own.held(path)
        return Transaction(
            (
                Compare.unchanged(self.keys.config_of(path), held.config_mod),
                Compare.unchanged(key, known_revision),
            ),
            (Put(key, self.own.dumps(held)),),
        )

    def let_go(self, path: ResourcePath, known_revision: int) -> Transaction:
        """Forget that a change was held."""
        key = self.own.held(path)
        return Transaction((Compare.unchanged(key, known_revision),), (Delete(key),))

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
