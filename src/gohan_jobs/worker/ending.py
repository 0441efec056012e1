"""How claims end: published, dropped, handed back or set aside, each in one fenced transaction."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TypeAlias

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
from gohan_jobs.exceptions import InvalidRecord, TransactionTooLarge
from gohan_jobs.handlers import Done, GiveUp
from gohan_jobs.keys import ResourcePath
from gohan_jobs.planning import HEAT_HANDLER
from gohan_jobs.queue import Finish, Queue
from gohan_jobs.records import Action
from gohan_jobs.redaction import Redactor
from gohan_jobs.stores.base import Entry, Put, Transaction, TransactionResult
from gohan_jobs.worker.claim import Claim
from gohan_jobs.worker.publishing import finish_of, too_large, unwritable
from gohan_jobs.worker.returned import Late, Returned, Unusable
from gohan_jobs.worker.secrets import secrets_of

__all__ = ["Ending", "Endings", "Shorter"]


Shorter: TypeAlias = "Callable[[TransactionTooLarge], Ending]"
"""Gives what to do instead of what is too large."""


@attrs.frozen(kw_only=True, eq=False)
class Ending:
    """What ends a claim, to be carried out.

    Attributes:
        item: what came back.
        path: the resource whose records it writes: no other that does goes into its request.
        transaction: ends the claim if it holds, and else does nothing.
        told: to be called with what became of it; gives what is left to be done.
        shorter: gives what to do instead if it is too large; None if it is as short as can be.
    """

    item: Returned | Unusable | Late
    path: ResourcePath
    transaction: Transaction
    told: Callable[[TransactionResult], Ending | None]
    shorter: Shorter | None = None

    @property
    def size(self) -> int:
        """Bytes that it writes, about."""
        return sum(len(step.value) for step in self.transaction.success if isinstance(step, Put))


class Endings:
    """Ends claims. A transaction that does not hold means that the claim is not ours any more.

    Args:
        queue: builds transactions.
        events: told of everything.
        redactor: keeps secrets out of what is published.
        now: clock time.
    """

    def __init__(
        self, queue: Queue, events: Events, redactor: Redactor, now: Callable[[], float]
    ) -> None:
        self._queue = queue
        self._events = events
        self._redactor = redactor
        self._now = now

    def finish(self, item: Returned, outcome: Done | GiveUp) -> Ending:
        """Publish a result; one that can't be written is a failure.

        Raises:
            InvalidRecord: not because of the result.
        """
        try:
            return self._finish(item, outcome)
        except InvalidRecord as error:
            return self._finish(item, unwritable(outcome, error))

    def _finish(self, item: Returned, outcome: Done | GiveUp) -> Ending:
        finish = finish_of(item.claim, outcome, self._redactor)
        return self._publish(item, finish, functools.partial(self._too_large, item, finish))

    def _too_large(self, item: Returned, finish: Finish, error: TransactionTooLarge) -> Ending:
        return self._publish(item, too_large(item.claim, finish, error))

    def _publish(self, item: Returned, finish: Finish, shorter: Shorter | None = None) -> Ending:
        return Ending(
            item=item,
            path=ResourcePath(finish.notes.path),
            transaction=self._queue.finish(item.claim.fence, finish),
            told=functools.partial(self._published, item, finish),
            shorter=shorter,
        )

    def _published(
        self, item: Returned, finish: Finish, result: TransactionResult
    ) -> Ending | None:
        claim = item.claim
        if result.succeeded:
            self._finished(claim, finish)
        elif self._still_holds(claim, result):
            return self.drop(item, preempted=result.results[1] is not None)
        return None

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

    def drop(self, item: Returned, *, preempted: bool) -> Ending:
        """End a claim without any result.

        Args:
            item: the claim.
            preempted: whether a delete job comes next, which looks for the stack itself. Else the
                config is gone (``rules`` 15), and its removal may be planned after this job is
                forgotten: then nobody would know of the stack.
        """
        claim, path = item.claim, _path_of(item.claim)
        if preempted or not self._may_have_stack(claim):
            dropped = self._queue.drop(claim.fence, claim.job_id)
        else:
            dropped = self._queue.abandon(
                claim.fence, claim.job_id, path, _tenant_of(claim), marked=_is_of_mark(claim)
            )

        def told(result: TransactionResult) -> None:
            if result.succeeded:
                self._tell(claim, JobSuperseded)

        return Ending(item=item, path=path, transaction=dropped, told=told)

    def _may_have_stack(self, claim: Claim) -> bool:
        """Whether there may be a stack that no record names.

        Those that made it were told to stop, and left it to the delete, which may be the only one
        to know of it, begun or not.
        """
        if claim.job_id.handler != HEAT_HANDLER:
            return False
        if _is_of_mark(claim):
            return claim.own_stack is None or not claim.own_stack.stack_id
        return claim.touched or claim.notes.begun

    def hand_back(self, item: Returned, after: float, reason: str, *, retries: int = 0) -> Ending:
        """Give a job back to the queue, unfinished."""
        claim = item.claim
        reason = self._redactor.scrub(reason, secrets_of(claim, self._redactor))
        notes = attrs.evolve(
            claim.notes,
            begun=True,
            delay=after,
            retries=claim.notes.retries + retries,
            last_error=reason,
        )
        back = self._queue.hand_back(claim.fence, claim.job_id, claim.job_id.handler, notes)

        def told(result: TransactionResult) -> None:
            if result.succeeded:
                self._tell(claim, JobHandedBack, reason=reason, after=after)

        return Ending(item=item, path=_path_of(claim), transaction=back, told=told)

    def ask_repair(self, item: Late) -> Ending | None:
        """Say that a stack may not be what it was left as: it was changed without a claim."""
        claim, path = item.claim, _path_of(item.claim)
        if claim.job_id.handler != HEAT_HANDLER:
            return None
        ask = self._queue.ask_repair(claim.job_id, path, _tenant_of(claim))
        return Ending(item=item, path=path, transaction=ask, told=_nothing_left)

    def unusable(self, found: Unusable) -> Ending:
        """Give back a job that must not run: set aside, or for the leader to note what it knows."""
        return self._set_aside(found, found) if found.reason else self._return_unnoted(found)

    def _return_unnoted(self, found: Unusable) -> Ending:
        """Another program's job goes back as it is: the leader notes what it knows of it."""
        key = self._queue.own.job(found.job_id)
        back = self._queue.hand_back(found.fence, found.job_id, found.job_id.handler, found.notes)
        kept = tuple(done for done in back.success if not isinstance(done, Put) or done.key != key)
        return Ending(
            item=found,
            path=ResourcePath(found.notes.path),
            transaction=attrs.evolve(back, success=kept),
            told=_nothing_left,
        )

    def broken(self, item: Returned, reason: str) -> Ending:
        """Set a job aside that this library fails at: what came of it is not lost silently."""
        claim = item.claim
        notes = attrs.evolve(claim.notes, begun=True)
        return self._set_aside(item, Unusable(claim.job_id, claim.fence, notes, reason))

    def _set_aside(self, item: Returned | Unusable, found: Unusable) -> Ending:
        """A job that must not run stays in the queue, set aside (``rules`` 10)."""
        job_id = found.job_id
        notes = attrs.evolve(found.notes, held_until=SET_ASIDE, last_error=found.reason)

        def told(result: TransactionResult) -> None:
            if result.succeeded:
                key = self._queue.keys.job(job_id)
                self._events.emit(ConfigSetAside(key=key, reason=found.reason))

        return Ending(
            item=item,
            path=ResourcePath(notes.path),
            transaction=self._queue.hand_back(found.fence, job_id, job_id.handler, notes),
            told=told,
        )


def _nothing_left(_result: TransactionResult) -> None:
    """Whatever became of it, there is nothing to be told."""


def _is_of_mark(claim: Claim) -> bool:
    """Whether the job does what a config marked for deletion asks for."""
    return claim.job_id.action == Action.LOGICAL_DELETE


def _path_of(claim: Claim) -> ResourcePath:
    return ResourcePath(claim.notes.path)


def _tenant_of(claim: Claim) -> str:
    return str(claim.job.resource_input.get("tenant_id", ""))
