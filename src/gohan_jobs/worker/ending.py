"""How claims end: published, dropped, handed back or set aside, each in one fenced transaction."""

from __future__ import annotations

from collections.abc import Callable

import attrs

from gohan_jobs.bookkeeping import SET_ASIDE
from gohan_jobs.events import (
    ConfigSetAside,
    Event,
    Events,
    JobFailed,
    JobFinished,
    JobHandedBack,
    JobSuperseded,
)
from gohan_jobs.exceptions import TransactionTooLarge
from gohan_jobs.handlers import Done, GiveUp
from gohan_jobs.keys import ResourcePath
from gohan_jobs.planning import HEAT_HANDLER
from gohan_jobs.queue import Finish, Queue
from gohan_jobs.redaction import Redactor
from gohan_jobs.stores.base import Entry, Put, Store, Transaction, TransactionResult
from gohan_jobs.worker.claim import Claim
from gohan_jobs.worker.publishing import finish_of, too_large
from gohan_jobs.worker.returned import Unusable
from gohan_jobs.worker.secrets import secrets_of

__all__ = ["Endings"]


class Endings:
    """Ends claims. A transaction that does not hold means that the claim is not ours any more.

    Args:
        store: where everything is kept.
        queue: builds transactions.
        events: told of everything.
        redactor: keeps secrets out of what is published.
        now: clock time.
    """

    def __init__(
        self,
        store: Store,
        queue: Queue,
        events: Events,
        redactor: Redactor,
        now: Callable[[], float],
    ) -> None:
        self._store = store
        self._queue = queue
        self._events = events
        self._redactor = redactor
        self._now = now

    def finish(
        self,
        claim: Claim,
        outcome: Done | GiveUp,
        send: Callable[[Transaction], TransactionResult],
    ) -> None:
        """Publish a result; ``send`` carries the transaction out, perhaps with another."""
        finish = finish_of(claim, outcome, self._redactor)
        try:
            result = send(self._queue.finish(claim.fence, finish))
        except TransactionTooLarge as error:
            finish = too_large(claim, finish, error)
            result = self._store.transact(self._queue.finish(claim.fence, finish))
        if result.succeeded:
            self._finished(claim, finish)
        elif self._still_holds(claim, result):
            self.drop(claim, preempted=result.results[1] is not None)

    def _finished(self, claim: Claim, finish: Finish) -> None:
        seconds = self._now() - claim.since
        if finish.failure is None:
            state = "" if finish.state is None else str(finish.state.worker_state)
            self._tell(claim, JobFinished, state=state, seconds=seconds)
        else:
            self._tell(claim, JobFailed, reason=finish.failure, seconds=seconds)

    def _tell(self, claim: Claim, kind: Callable[..., Event], **facts: object) -> None:
        self._events.emit(kind(job_id=claim.job_id, trace=claim.notes.trace, **facts))

    def _still_holds(self, claim: Claim, refused: TransactionResult) -> bool:
        """Whether a refused result is nobody's any more (``rules`` 8, 15), but the claim ours."""
        working = refused.results[0]
        return isinstance(working, Entry) and working.create_revision == claim.fence.revision

    def drop(self, claim: Claim, *, preempted: bool) -> None:
        """End a claim without any result.

        Args:
            claim: the claim.
            preempted: whether a delete job comes next, which looks for the stack itself. Else the
                config is gone (``rules`` 15), and its removal may be planned after this job is
                forgotten: then nobody would know of the stack.
        """
        if preempted or not self._may_have_stack(claim):
            dropped = self._queue.drop(claim.fence, claim.job_id)
        else:
            path, tenant = ResourcePath(claim.notes.path), _tenant_of(claim)
            dropped = self._queue.abandon(claim.fence, claim.job_id, path, tenant)
        if self._store.transact(dropped).succeeded:
            self._tell(claim, JobSuperseded)

    def _may_have_stack(self, claim: Claim) -> bool:
        began = claim.touched or claim.notes.begun
        return began and claim.job_id.handler == HEAT_HANDLER

    def hand_back(self, claim: Claim, after: float, reason: str, *, retries: int = 0) -> None:
        """Give a job back to the queue, unfinished."""
        reason = self._redactor.scrub(reason, secrets_of(claim, self._redactor))
        notes = attrs.evolve(
            claim.notes,
            begun=True,
            delay=after,
            retries=claim.notes.retries + retries,
            last_error=reason,
        )
        result = self._store.transact(
            self._queue.hand_back(claim.fence, claim.job_id, claim.job_id.handler, notes)
        )
        if result.succeeded:
            self._tell(claim, JobHandedBack, reason=reason, after=after)

    def ask_repair(self, claim: Claim) -> None:
        """Say that a stack may not be what it was left as: it was changed without a claim."""
        if claim.job_id.handler == HEAT_HANDLER:
            path, tenant = ResourcePath(claim.notes.path), _tenant_of(claim)
            self._store.transact(self._queue.ask_repair(claim.job_id, path, tenant))

    def return_unnoted(self, found: Unusable) -> None:
        """Another program's job goes back as it is: the leader notes what it knows of it."""
        key = self._queue.own.job(found.job_id)
        back = self._queue.hand_back(found.fence, found.job_id, found.job_id.handler, found.notes)
        kept = tuple(done for done in back.success if not isinstance(done, Put) or done.key != key)
        self._store.transact(attrs.evolve(back, success=kept))

    def set_aside(self, found: Unusable) -> None:
        """A job that must not run stays in the queue, set aside (``rules`` 10)."""
        job_id = found.job_id
        notes = attrs.evolve(found.notes, held_until=SET_ASIDE, last_error=found.reason)
        result = self._store.transact(
            self._queue.hand_back(found.fence, job_id, job_id.handler, notes)
        )
        if result.succeeded:
            key = self._queue.keys.job(job_id)
            self._events.emit(ConfigSetAside(key=key, reason=found.reason))


def _tenant_of(claim: Claim) -> str:
    return str(claim.job.resource_input.get("tenant_id", ""))
