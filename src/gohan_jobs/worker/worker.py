"""A worker: one thread steps it, handlers run where its executor says."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable

from gohan_jobs.clock import Clock
from gohan_jobs.codec import Codec
from gohan_jobs.events import Events, JobClaimed, LeaseLost, StoreTroubled
from gohan_jobs.exceptions import (
    ClaimLost,
    Compacted,
    GohanJobsError,
    InvalidKey,
    StoreError,
)
from gohan_jobs.handlers import Done, GiveUp, Handlers, RetryLater
from gohan_jobs.keys import JobId
from gohan_jobs.keyspace import check_format
from gohan_jobs.orchestrators.base import Orchestrator
from gohan_jobs.poller import StackPoller
from gohan_jobs.queue import Queue
from gohan_jobs.redaction import Redactor
from gohan_jobs.schemas import Schemas
from gohan_jobs.stores.base import EventKind, Store, Transaction, TransactionResult, Watch
from gohan_jobs.worker.candidates import Candidates
from gohan_jobs.worker.claim import Claim, WorkerLease
from gohan_jobs.worker.claiming import Claiming, Reserved
from gohan_jobs.worker.context import Contexts, TemplateChanged
from gohan_jobs.worker.ending import Endings
from gohan_jobs.worker.executors import Executor
from gohan_jobs.worker.options import WorkerOptions
from gohan_jobs.worker.registration import Registration
from gohan_jobs.worker.returned import (
    Inbox,
    Item,
    Late,
    Looked,
    Returned,
    Stopped,
    Superseded,
    Unusable,
    Verdict,
)
from gohan_jobs.worker.running import Runner

__all__ = ["Worker"]

_log = logging.getLogger("gohan_jobs")

_LEASE_PAUSE = 1.0


class Worker:
    """Claims jobs and sees them through.

    Not thread-safe but for what its executor runs: one thread steps it.

    Args:
        store: where everything is kept.
        codec: reads records.
        queue: builds transactions.
        schemas: the types.
        handlers: by name.
        orchestrator: for :class:`~gohan_jobs.handlers.Observe`.
        clock: the time.
        events: told of everything.
        redactor: keeps secrets out of what is published.
        worker_id: its uuid.
        new_id: gives uuids of reservations.
        executor: where handlers run.
        options: how it behaves.
        rng: picks among ready jobs.
        wake: called, on any thread, when :meth:`step` may have something to do.
    """

    def __init__(
        self,
        store: Store,
        *,
        codec: Codec,
        queue: Queue,
        schemas: Schemas,
        handlers: Handlers,
        orchestrator: Orchestrator,
        clock: Clock,
        events: Events,
        redactor: Redactor,
        worker_id: str,
        new_id: Callable[[], str],
        executor: Executor,
        options: WorkerOptions,
        rng: random.Random,
        wake: Callable[[], None] | None = None,
    ) -> None:
        self._store = store
        self._queue = queue
        self._schemas = schemas
        self._handlers = handlers
        self._events = events
        self._id = worker_id
        self._options = options
        self._wake = wake
        self._registration = Registration(
            store,
            key=queue.own.worker(worker_id),
            slots=options.slots,
            ttl=options.lease_ttl,
            clock=clock,
            lost=self._lease_lost,
        )
        self._claims: dict[JobId, Claim] = {}
        self._candidates = Candidates(store, queue.keys, self._accepts, rng, wake)
        self._claiming = Claiming(
            store,
            codec=codec,
            queue=queue,
            schemas=schemas,
            candidates=self._candidates,
            lease=self.lease,
            new_id=new_id,
            now=clock.now,
        )
        self._inbox = Inbox(wake)
        contexts = Contexts(
            store,
            codec=codec,
            keys=queue.keys,
            schemas=schemas,
            clock=clock,
            events=events,
            redactor=redactor,
        )
        poller = StackPoller(orchestrator, clock, options.polling, rng)
        self._runner = Runner(contexts, poller, clock, executor, self._inbox)
        self._endings = Endings(store, queue, events, redactor, clock.now)
        self._watch: Watch | None = None
        self._accepting = True

    # What others may ask.

    @property
    def claims(self) -> tuple[Claim, ...]:
        """The jobs it has."""
        return tuple(self._claims.values())

    @property
    def registered(self) -> bool:
        """Whether it has a lease and follows the queue."""
        return self._watch is not None and self.lease.id != 0

    @property
    def due(self) -> float | None:
        """Clock time at which :meth:`step` has something to do even if nothing happens."""
        return self._runner.due

    @property
    def lease(self) -> WorkerLease:
        """What its claims stand under."""
        return self._registration.lease

    def step(self) -> bool:
        """Do one bounded unit of work; whether there was any."""
        if not self.registered:
            return self._forget_lost() or self._register()
        try:
            return self._take() or self._drain() or self._runner.step() or self._claim()
        except Compacted:
            self._unfollow()
            return True

    # Registration and lease.

    def _register(self) -> bool:
        """Get a lease, tell the slots, and follow the queue."""
        if not self._accepting:
            return False
        check_format(self._store, self._queue.own)
        self._registration.register()
        self._follow()
        return True

    def keep_alive(self) -> None:
        """Renew the lease; every claim is lost if it has ended. For the keeper's thread."""
        self._registration.keep_alive()

    def _lease_lost(self) -> None:
        self._events.emit(LeaseLost(worker_id=self._id, jobs=len(self._claims)))
        if self._wake is not None:
            self._wake()

    # Following.

    def _follow(self) -> None:
        """Follow what pre-empts this worker's jobs."""
        self._unfollow()
        prefix = self._queue.own.preempt_prefix
        watch = self._store.watch(prefix, self._store.revision() + 1, wake=self._wake)
        try:
            for claim in self.claims:
                if self._store.get(self._queue.own.preempt(claim.job_id)) is not None:
                    self._preempted(claim)
        except StoreError:
            watch.close()
            raise
        self._watch = watch

    def _unfollow(self) -> None:
        self._candidates.close()
        watch, self._watch = self._watch, None
        if watch is not None:
            watch.close()

    def _accepts(self, job_id: JobId) -> bool:
        """Whether a job's handler is here; one of no known type the leader sets aside."""
        known = self._schemas.by_type(job_id.resource_type) is not None
        return known and job_id.handler in self._handlers

    def _drain(self) -> bool:
        """Take in what the watch has, and drop claims whose lease has ended."""
        heard = self._forget_lost()
        assert self._watch is not None  # noqa: S101 - registered
        try:
            batch = self._watch.poll()
        except StoreError:
            self._unfollow()  # what it may have had to tell is read again
            raise
        for event in batch.events if batch is not None else ():
            if event.kind is EventKind.PUT:
                heard = self._preempts(event.key) or heard
        return heard

    def _forget_lost(self) -> bool:
        lost = [claim for claim in self.claims if claim.lost]
        for claim in lost:
            self._forget(claim)
        return bool(lost)

    def _preempts(self, key: str) -> bool:
        try:
            job_id = JobId.parse(key.removeprefix(self._queue.own.preempt_prefix))
        except InvalidKey:
            return False
        claim = self._claims.get(job_id)
        if claim is None:
            return False
        self._preempted(claim)
        return True

    def _preempted(self, claim: Claim) -> None:
        """A delete ends a running job (``rules`` 8): its handler stops, nothing is published."""
        claim.supersede("pre-empted by a delete")
        if not self._runner.running(claim):
            self._inbox.put(Returned(claim, Superseded()))

    # Claiming.

    def _claim(self) -> bool:
        """Reserve one of the ready jobs, at random, if there is a slot (``rules`` 25)."""
        if self._claiming.doubtful:
            self._take_reserved(self._claiming.settle())
            return True
        if not self._accepting or len(self._claims) >= self._options.slots:
            return False
        if not self._candidates.waiting:
            return self._refill()
        self._take_reserved(self._claiming.next())
        return True

    def _refill(self) -> bool:
        try:
            return self._candidates.refill()
        except StoreError:
            self._candidates.close()  # what its watch may have had to tell is read again
            raise

    def _take_reserved(self, reserved: Reserved | None) -> None:
        if reserved is None:
            return
        claim = reserved.job
        if isinstance(claim, Unusable):
            self._inbox.put(claim)
            return
        self._claims[claim.job_id] = claim
        self._events.emit(
            JobClaimed(
                job_id=claim.job_id,
                trace=claim.notes.trace,
                holder=claim.holder,
                attempt=claim.attempt,
                retries=claim.notes.retries,
                planned_at=claim.notes.planned_at,
            )
        )
        if reserved.verdict is not None:
            self._inbox.put(Returned(claim, reserved.verdict))
            return
        handler = self._handlers.get(claim.job_id.handler)
        assert handler is not None  # noqa: S101 - only such jobs are claimed
        self._runner.run(claim, handler)

    # Coming back.

    def _take(self) -> bool:
        """Act on one item of the inbox; whether there was one."""
        item = self._inbox.take()
        if item is None:
            return False
        try:
            self._act_on(item)
        except StoreError:
            self._inbox.put(item)  # not known to be written: acted on again
            raise
        return True

    def _act_on(self, item: Item) -> None:
        if isinstance(item, Looked):
            self._runner.looked(item)
        elif isinstance(item, Unusable):
            end = self._endings.set_aside if item.reason else self._endings.return_unnoted
            end(item)
        elif isinstance(item, Late):
            self._endings.ask_repair(item.claim)
        elif self._claims.get(item.claim.job_id) is item.claim:
            self._judge(item.claim, item.verdict)
            self._runner.acted_on(item.claim)

    def _judge(self, claim: Claim, verdict: Verdict) -> None:
        """Act on what a handler gave."""
        if claim.lost:
            self._forget(claim)  # nothing more is written: it may be another's by now
        elif claim.superseded or isinstance(verdict, Superseded):
            self._endings.drop(claim, preempted=claim.superseded)
            self._forget(claim)
        elif isinstance(verdict, Exception):
            self._raised(claim, verdict)
        elif isinstance(verdict, Done | GiveUp):
            self._finish(claim, verdict)
        elif isinstance(verdict, RetryLater):
            self._hand_back(claim, verdict.after, verdict.reason, retries=1)
        elif claim.stopped or isinstance(verdict, Stopped):
            self._hand_back(claim, 0.0, "worker stopped")
        else:
            self._runner.wait(claim, verdict)

    def _raised(self, claim: Claim, error: Exception) -> None:
        """An error of ours is a result; of a claim, its end; any other is tried again."""
        retry = self._options.unexpected_retry
        if isinstance(error, ClaimLost):
            self._hand_back(claim, 0.0 if claim.stopped else _LEASE_PAUSE, str(error))
        elif isinstance(error, TemplateChanged):
            self._hand_back(claim, 0.0, "its template has changed")
        elif isinstance(error, StoreError) or getattr(error, "retryable", False):
            self._hand_back(claim, retry, str(error), retries=1)
        elif isinstance(error, GohanJobsError):
            self._finish(claim, GiveUp(reason=str(error)))
        else:
            self._unexpected(claim, error)

    def _unexpected(self, claim: Claim, error: Exception) -> None:
        reason = f"handler raised {type(error).__name__}"
        _log.error("%s: %s", claim.job_id, reason, extra={"job_id": str(claim.job_id)})
        if claim.notes.retries >= self._options.unexpected_retries:
            self._finish(claim, GiveUp(reason=reason))
        else:
            self._hand_back(claim, self._options.unexpected_retry, reason, retries=1)

    def _finish(self, claim: Claim, outcome: Done | GiveUp) -> None:
        """Publish a result and, if there is a candidate, claim it in the same request."""
        next_one: list[Reserved | None] = []

        def send(finish: Transaction) -> TransactionResult:
            if not self._accepting or len(self._claims) > self._options.slots:
                return self._store.transact(finish)
            result, reserved = self._claiming.along_with(finish, claim.job_id)
            next_one.append(reserved)
            return result

        try:
            self._endings.finish(claim, outcome, send)
        finally:
            for reserved in next_one:
                self._take_reserved(reserved)
        self._forget(claim)

    def _hand_back(self, claim: Claim, after: float, reason: str, *, retries: int = 0) -> None:
        self._endings.hand_back(claim, after, reason, retries=retries)
        self._forget(claim)

    def _forget(self, claim: Claim) -> None:
        del self._claims[claim.job_id]
        self._runner.forget(claim)

    # Stopping.

    def stop_accepting(self) -> None:
        """Claim nothing more; what is claimed goes on."""
        self._accepting = False

    def accept(self) -> None:
        """Claim again."""
        self._accepting = True

    def cancel_all(self) -> None:
        """Tell every handler to stop, since the worker does; from any thread."""
        for claim in self.claims:
            claim.stop("worker stopped")

    def hand_back_all(self) -> None:
        """Publish what is through and give the rest back; another worker goes on from there.

        To be called when no handler runs. What the store does not take now is handed back by a
        later step, or ends with the lease.
        """
        self.cancel_all()
        self._runner.abandon()
        for claim in self.claims:
            self._inbox.put(Returned(claim, Stopped()))
        try:
            while self._take():
                pass
        except StoreError as error:
            self._events.emit(StoreTroubled(role="worker", reason=str(error)))

    def close(self) -> None:
        """Give the lease back and follow nothing more; idempotent."""
        self._accepting = False
        self._unfollow()
        self._registration.give_back()
