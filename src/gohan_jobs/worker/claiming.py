"""Reserving ready jobs, and reading what their handlers need."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence

import attrs

from gohan_jobs.bookkeeping import JobNotes
from gohan_jobs.codec import Codec
from gohan_jobs.events import JobClaimed
from gohan_jobs.exceptions import GohanJobsError, InvalidKey, StoreError, TransactionTooLarge
from gohan_jobs.handlers import GiveUp
from gohan_jobs.keys import JobId, Place, ResourcePath
from gohan_jobs.queue import Fence, Queue
from gohan_jobs.records import Action, HeatStack
from gohan_jobs.schemas import Schemas
from gohan_jobs.stores.base import Entry, Result, Store, Transaction, TransactionResult
from gohan_jobs.worker.candidates import Candidates
from gohan_jobs.worker.claim import Claim, WorkerLease
from gohan_jobs.worker.returned import Superseded, Unusable

__all__ = ["Claiming", "Reserved", "told_of"]


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
    path: ResourcePath
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

    def carry_out(
        self, endings: Sequence[Transaction], paths: Collection[ResourcePath], most: int
    ) -> tuple[list[TransactionResult], list[Reserved]]:
        """Carry out what ends claims and reserve candidates, all in one request, if any.

        Each is a transaction of its own, to which it is nothing what becomes of the others. Never
        two of one resource, such as the claim of a job that is being ended, ready again since its
        reservation is gone: no request may write a key twice, and both write its job state.

        Args:
            endings: what ends claims.
            paths: of whose resources.
            most: how many candidates, at most.

        Raises:
            TransactionTooLarge: nothing was carried out; the candidates stay.
        """
        attempts = self._attempts(most, set(paths))
        claims = [self._claim(attempt) for attempt in attempts]
        results = self._send([*endings, *claims], attempts)
        reserved: list[Reserved] = []
        for attempt, result in zip(attempts, results[len(endings) :], strict=True):
            if result.succeeded:
                reserved.append(self._reserved(attempt, result.revision, result.results[-4:]))
            else:
                self._candidates.refused(attempt.job_id, attempt.ready_revision)
        if attempts and not reserved:
            self._candidates.outdated()
        return results[: len(endings)], reserved

    def _attempts(self, most: int, paths: set[ResourcePath]) -> list[_Attempt]:
        self._candidates.catch_up(most)
        # Once: the keeper's thread may end it at any time, and a claim without one stays for ever.
        lease = self._lease.id
        attempts: list[_Attempt] = []
        left: list[tuple[JobId, int]] = []
        while lease and len(attempts) < most and (found := self._candidates.pick()) is not None:
            path = self._path(found[0])
            if path in paths:
                left.append(found)
                continue
            paths.add(path)
            attempts.append(_Attempt(*found, path, self._new_id(), lease))
        self._offer(left)
        return attempts

    def _offer(self, candidates: Iterable[tuple[JobId, int]]) -> None:
        for job_id, revision in candidates:
            self._candidates.offer(job_id, revision)

    def _claim(self, attempt: _Attempt) -> Transaction:
        return self._queue.claim(
            attempt.job_id, attempt.path, attempt.ready_revision, attempt.holder, attempt.lease
        )

    def _send(
        self, transactions: Sequence[Transaction], attempts: Sequence[_Attempt]
    ) -> list[TransactionResult]:
        began = self._now()
        try:
            results = self._transact(transactions)
        except Exception as error:
            if isinstance(error, StoreError) and not isinstance(error, TransactionTooLarge):
                self._doubtful += attempts
            else:
                self._offer((attempt.job_id, attempt.ready_revision) for attempt in attempts)
            raise
        if transactions:
            self._candidates.claimed_in(self._now() - began)
        return results

    def _transact(self, transactions: Sequence[Transaction]) -> list[TransactionResult]:
        """Together if there are several; one alone can be repeated if its answer is lost."""
        if len(transactions) > 1:
            answer = self._store.transact(Transaction((), tuple(transactions)))
            return [result for result in answer.results if isinstance(result, TransactionResult)]
        return [self._store.transact(transaction) for transaction in transactions]

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
            found = self._store.transact(self._queue.reading(job_id, attempt.path))
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
        noted = self._notes(notes_entry)
        notes = noted or JobNotes(planned_at="", path=attempt.path)
        if noted is None and job_entry is not None:
            return Reserved(Unusable(job_id, fence, notes))
        try:
            if job_entry is None:
                raise InvalidKey(self._queue.keys.job(job_id), "a ready job without a document")
            claim = Claim(
                job=self._queue.read_job(job_entry),
                notes=notes,
                holder=attempt.holder,
                fence=fence,
                planned_at=job_entry.create_revision,
                own_stack=self._own_stack(stack),
                lease=self._lease,
                lease_id=attempt.lease,
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

    def _notes(self, entry: Entry | None) -> JobNotes | None:
        """The notes on a job; None if there are none that can be read: the leader writes them."""
        try:
            own = self._queue.own
            return None if entry is None else own.loads(entry.key, entry.value, JobNotes)
        except GohanJobsError:
            return None

    def _own_stack(self, entry: Entry | None) -> HeatStack | None:
        """The stack's record; one that can't be read, which the leader reports, counts as none.

        A handler asks Heat for the stack by its name, and writes the record anew.
        """
        try:
            return None if entry is None else self._codec.heat_stack(entry.key, entry.value)
        except GohanJobsError:
            return None

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


def told_of(claim: Claim) -> JobClaimed:
    """The event that a claim is."""
    return JobClaimed(
        job_id=claim.job_id,
        trace=claim.notes.trace,
        holder=claim.holder,
        attempt=claim.attempt,
        retries=claim.notes.retries,
        planned_at=claim.notes.planned_at,
    )


def _obsolete(claim: Claim, config: Entry | None) -> bool:
    """Whether the config that the job was planned from is gone (``rules`` 15)."""
    if claim.job.action == Action.DELETE:
        return False
    return config is None or config.create_revision != claim.notes.config_create
