"""Reserving ready jobs, and reading what their handlers need."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import attrs

from gohan_jobs.bookkeeping import JobNotes
from gohan_jobs.codec import Codec
from gohan_jobs.exceptions import GohanJobsError, InvalidKey, StoreError, TransactionTooLarge
from gohan_jobs.handlers import GiveUp
from gohan_jobs.keys import JobId, Place, ResourcePath
from gohan_jobs.queue import Fence, Queue
from gohan_jobs.records import Action
from gohan_jobs.schemas import Schemas
from gohan_jobs.stores.base import Entry, Result, Store, Transaction, TransactionResult
from gohan_jobs.worker.candidates import Candidates
from gohan_jobs.worker.claim import Claim, WorkerLease
from gohan_jobs.worker.returned import Superseded, Unusable

__all__ = ["Claiming", "Reserved"]


@attrs.frozen
class Reserved:
    """A job that is this worker's.

    Attributes:
        job: the claim; or why it must not run.
        verdict: how the claim ends at once, if its handler is not to run.
    """

    job: Claim | Unusable
    verdict: Superseded | GiveUp | None = None


@attrs.frozen
class _Attempt:
    """A claim that was sent, to be settled by reading if its answer is lost."""

    job_id: JobId
    ready_revision: int
    holder: str
    lease: int


class Claiming:
    """Claims for one worker. Not thread-safe.

    Args:
        store: where everything is kept.
        codec: reads records.
        queue: builds transactions.
        schemas: the types.
        candidates: what to try.
        lease: the worker's.
        new_id: gives uuids of reservations.
        now: clock time.
    """

    def __init__(
        self,
        store: Store,
        *,
        codec: Codec,
        queue: Queue,
        schemas: Schemas,
        candidates: Candidates,
        lease: WorkerLease,
        new_id: Callable[[], str],
        now: Callable[[], float],
    ) -> None:
        self._store = store
        self._codec = codec
        self._queue = queue
        self._schemas = schemas
        self._candidates = candidates
        self._lease = lease
        self._new_id = new_id
        self._now = now
        self._doubtful: list[_Attempt] = []

    def next(self) -> Reserved | None:
        """Reserve one of the candidates; None if there is none, or another was faster."""
        found = self._candidates.pick()
        if found is None:
            return None
        attempt, transaction = self._attempt(*found)
        result = self._send(transaction, attempt)
        if not result.succeeded:
            return None
        return self._reserved(attempt, result.revision, result.results[-4:])

    def along_with(
        self, first: Transaction, ending: JobId
    ) -> tuple[TransactionResult, Reserved | None]:
        """Carry out a transaction and reserve a candidate, if there is one, in one request.

        Not a candidate of the same resource, such as the job itself, ready again since its
        reservation is gone: no request may write a key twice, and both write its job state.

        Args:
            first: what ends a job.
            ending: that job.

        Raises:
            TransactionTooLarge: ``first`` alone is.
        """
        found = self._candidates.pick()
        if found is None:
            return self._store.transact(first), None
        if self._path(found[0]) == self._path(ending):
            self._candidates.offer(*found)
            return self._store.transact(first), None
        attempt, claim = self._attempt(*found)
        try:
            both = self._send(Transaction((), (first, claim)), attempt)
        except TransactionTooLarge:
            self._candidates.offer(*found)
            return self._store.transact(first), None
        done, claimed = both.results
        assert isinstance(done, TransactionResult)  # noqa: S101 - of a nested transaction
        assert isinstance(claimed, TransactionResult)  # noqa: S101 - likewise
        if not claimed.succeeded:
            return done, None
        return done, self._reserved(attempt, both.revision, claimed.results[-4:])

    def _attempt(self, job_id: JobId, revision: int) -> tuple[_Attempt, Transaction]:
        attempt = _Attempt(job_id, revision, self._new_id(), self._lease.id)
        path = self._path(job_id)
        claim = self._queue.claim(job_id, path, revision, attempt.holder, attempt.lease)
        return attempt, claim

    def _send(self, transaction: Transaction, attempt: _Attempt) -> TransactionResult:
        try:
            return self._store.transact(transaction)
        except TransactionTooLarge:
            raise
        except StoreError:
            self._doubtful.append(attempt)
            raise

    # Claims whose answer was lost.

    @property
    def doubtful(self) -> bool:
        """Whether there is a claim of which it is not known whether it succeeded."""
        return bool(self._doubtful)

    def settle(self) -> Reserved | None:
        """Read about one such claim; what is reserved if it did succeed."""
        attempt = self._doubtful[0]
        reserved = self._settled(attempt)
        self._doubtful.pop(0)
        return reserved

    def _settled(self, attempt: _Attempt) -> Reserved | None:
        keys, job_id = self._queue.keys, attempt.job_id
        working = self._store.get(keys.place(Place.WORKING, job_id))
        if working is not None and working.value == attempt.holder.encode():
            if attempt.lease != self._lease.id:
                return None  # it ends with the lease that it was made under
            found = self._store.transact(self._queue.reading(job_id, self._path(job_id)))
            return self._reserved(attempt, working.create_revision, found.results)
        ready = self._store.get(keys.place(Place.READY, job_id))
        if ready is not None:
            self._candidates.offer(job_id, ready.mod_revision)
        return None

    # What was reserved.

    def _path(self, job_id: JobId) -> ResourcePath:
        schema = self._schemas.by_type(job_id.resource_type)
        assert schema is not None  # noqa: S101 - only such jobs are candidates
        return schema.path_of(job_id.resource_id)

    def _reserved(self, attempt: _Attempt, revision: int, found: Sequence[Result]) -> Reserved:
        job_entry, notes_entry, config, stack = (
            entry if isinstance(entry, Entry) else None for entry in found
        )
        job_id = attempt.job_id
        fence = Fence(self._queue.keys.place(Place.WORKING, job_id), revision)
        notes = JobNotes(planned_at="", path=self._path(job_id))
        try:
            if notes_entry is not None:
                notes = self._queue.own.loads(notes_entry.key, notes_entry.value, JobNotes)
            elif job_entry is not None:
                return Reserved(Unusable(job_id, fence, notes))
            if job_entry is None:
                raise InvalidKey(self._queue.keys.job(job_id), "a ready job without a document")
            claim = Claim(
                job=self._queue.read_job(job_entry),
                notes=notes,
                holder=attempt.holder,
                fence=fence,
                planned_at=job_entry.create_revision,
                own_stack=None if stack is None else self._codec.heat_stack(stack.key, stack.value),
                lease=self._lease,
                now=self._now,
            )
        except GohanJobsError as error:
            return Reserved(Unusable(job_id, fence, notes, str(error)))
        if _obsolete(claim, config):
            return Reserved(claim, Superseded())
        problem = self._foreign(claim, config)
        if not problem:
            return Reserved(claim)
        if config is not None and config.mod_revision != notes.config_mod:
            # The job is as it was planned: it is a later version that names another tenant.
            return Reserved(claim, GiveUp(reason=problem))
        return Reserved(Unusable(job_id, fence, notes, problem))

    def _foreign(self, claim: Claim, config: Entry | None) -> str:
        """Why the job's tenant is not to be believed (``rules`` 27); empty if it is.

        Who can write ``/jobs`` must not drive another tenant's Heat.
        """
        tenant = claim.job.resource_input.get("tenant_id")
        own = claim.own_stack
        if claim.job.action == Action.DELETE or config is None:
            theirs = own is not None and bool(own.stack_id) and own.tenant_id != tenant
            return "the job's tenant is not its stack's" if theirs else ""
        try:
            record = self._codec.config(config.key, config.value)
        except GohanJobsError:
            return ""  # a later version that is broken: the leader sets it aside
        same = record.body.get("tenant_id") == tenant
        return "" if same else "the job's tenant is not its config's"


def _obsolete(claim: Claim, config: Entry | None) -> bool:
    """Whether the config that the job was planned from is gone (``rules`` 15)."""
    if claim.job.action == Action.DELETE:
        return False
    return config is None or config.create_revision != claim.notes.config_create
