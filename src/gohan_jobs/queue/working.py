"""The workers' transactions; :class:`gohan_jobs.queue.Queue` tells what they have in common."""

from __future__ import annotations

from collections.abc import Iterable

from gohan_jobs.bookkeeping import Failure, JobNotes, Repair
from gohan_jobs.keys import JobId, Place, ResourcePath
from gohan_jobs.queue.parts import Builder, Fence, Finish
from gohan_jobs.stores.base import Compare, Delete, Get, Operation, Put, Transaction

__all__ = ["WorkerTransactions"]


class WorkerTransactions(Builder):
    """What a worker writes, fenced by its reservation."""

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

    def abandon(
        self, fence: Fence, job_id: JobId, path: ResourcePath, tenant: str, *, marked: bool = False
    ) -> Transaction:
        """As :meth:`drop`, of a job whose stack may exist though no record will name it.

        Of a config that was marked for deletion, the stack may go; else it is an orphan unless its
        type is deleted in one step (``rules`` 16).
        """
        dropped = self.drop(fence, job_id)
        repair = Repair(tenant=tenant, job=str(job_id), dropped=not marked)
        ask = Put(self.own.repair(path), self.own.dumps(repair))
        return Transaction(dropped.compares, (*dropped.success, ask))

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

    def ask_repair(self, job_id: JobId, path: ResourcePath, tenant: str) -> Transaction:
        """Say that a stack was changed by one whose claim had ended; not fenced, for that reason.

        Nothing is compared: to ask twice is to ask once.
        """
        repair = Repair(tenant=tenant, job=str(job_id))
        return Transaction((), (Put(self.own.repair(path), self.own.dumps(repair)),))

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
