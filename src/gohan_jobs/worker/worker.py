"""A worker: one thread steps it, handlers run where its executor says."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable

from gohan_jobs.clock import Clock
from gohan_jobs.codec import Codec
from gohan_jobs.events import Events, LeaseLost, StoreTroubled
from gohan_jobs.exceptions import Compacted, StoreError, TransactionTooLarge
from gohan_jobs.handler_registry import Handlers
from gohan_jobs.keys import JobId
from gohan_jobs.keyspace import Acquaintance
from gohan_jobs.orchestrators.base import Orchestrator
from gohan_jobs.poller import StackPoller
from gohan_jobs.queue import Queue
from gohan_jobs.redaction import Redactor
from gohan_jobs.schemas import Schemas
from gohan_jobs.stores.base import Store, TransactionResult
from gohan_jobs.worker.candidates import Candidates
from gohan_jobs.worker.claim import Claim, WorkerLease
from gohan_jobs.worker.claiming import Claiming, Reserved, told_of
from gohan_jobs.worker.context import Contexts
from gohan_jobs.worker.ending import Ending, Endings
from gohan_jobs.worker.executors import Executor
from gohan_jobs.worker.judging import Judge
from gohan_jobs.worker.options import WorkerOptions
from gohan_jobs.worker.outbox import Outbox
from gohan_jobs.worker.peers import Peers
from gohan_jobs.worker.preemptions import Preemptions
from gohan_jobs.worker.registration import Registration
from gohan_jobs.worker.returned import (
    Broken,
    Inbox,
    Late,
    Looked,
    Returned,
    Stopped,
    Superseded,
    Unusable,
    Verdict,
    broken,
)
from gohan_jobs.worker.running import Runner

__all__ = ["Worker"]


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
        self._keyspace = Acquaintance(store, queue.keys)
        self._claims: dict[JobId, Claim] = {}
        peers = Peers(store, queue.own.workers_prefix, queue.own.worker(worker_id), clock.now)
        self._candidates = Candidates(store, queue.keys, peers, self._accepts, rng, clock.now, wake)
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
        self._endings = Endings(queue, events, redactor, clock.now)
        self._judge = Judge(self._endings, options)
        self._outbox = Outbox(self._claiming)
        self._pace = 1
        self._preemptions = Preemptions(store, queue.own, wake)
        self._accepting = True

    # What others may ask.

    @property
    def claims(self) -> tuple[Claim, ...]:
        """The jobs it has."""
        return tuple(self._claims.values())

    @property
    def registered(self) -> bool:
        """Whether it has a lease and follows the queue."""
        return self._preemptions.followed and self.lease.id != 0

    @property
    def due(self) -> float | None:
        """Clock time at which :meth:`step` has something to do even if nothing happens."""
        dues = (self._runner.due, self._candidates.due if self._room(0) else None)
        return min((due for due in dues if due is not None), default=None)

    @property
    def lease(self) -> WorkerLease:
        """What its claims stand under."""
        return self._registration.lease

    def step(self) -> bool:
        """Do one bounded unit of work; whether there was any.

        Raises:
            Degraded: the store's revision went back, and no operator has accepted that.
            UnsupportedFormat: the keyspace is another release's.
            WrongCluster: it is another cluster's, and no operator has accepted that.
        """
        if not self.registered:
            return self._forget_lost() or self._register()
        try:
            return self._take() or self._drain() or self._runner.step() or self._claim()
        except Compacted:
            self._unfollow()
            return True

    def resume(self) -> None:
        """Work, once, in a keyspace that looks like another one; from any thread.

        Nothing if it is registered: it has found nothing to be accepted.
        """
        if not self.registered:
            self._keyspace.accept()

    # Registration and lease.

    def _register(self) -> bool:
        """Get a lease, tell the slots, and follow the queue."""
        if not self._accepting:
            return False
        self._keyspace.check()  # the lease may have been lost with the store
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
        for job_id in self._preemptions.follow([claim.job_id for claim in self.claims]):
            self._preempted(job_id)

    def _unfollow(self) -> None:
        self._candidates.close()
        self._preemptions.close()

    def _accepts(self, job_id: JobId) -> bool:
        """Whether a job's handler is here; one of no known type the leader sets aside."""
        known = self._schemas.by_type(job_id.resource_type) is not None
        return known and job_id.handler in self._handlers

    def _drain(self) -> bool:
        """Take in what was pre-empted, and drop claims whose lease has ended."""
        heard = self._forget_lost()
        try:
            preempted = self._preemptions.poll()
        except StoreError:
            self._candidates.close()
            raise
        for job_id in preempted:
            heard = self._preempted(job_id) or heard
        return heard

    def _forget_lost(self) -> bool:
        lost = [claim for claim in self.claims if claim.lost]
        for claim in lost:
            self._forget(claim)
        return bool(lost)

    def _preempted(self, job_id: JobId) -> bool:
        """A delete ends a running job (``rules`` 8): its handler stops, nothing is published."""
        claim = self._claims.get(job_id)
        if claim is None:
            return False
        claim.supersede("pre-empted by a delete")
        if not self._runner.running(claim):
            self._inbox.put(Returned(claim, Superseded()))
        return True

    # Claiming.

    def _claim(self) -> bool:
        """Reserve some of the ready jobs, at random, if there are slots (``rules`` 25)."""
        if self._claiming.doubtful:
            reserved = self._claiming.settle()
            self._take_reserved(() if reserved is None else (reserved,))
            return True
        room = self._room(0)
        if not room:
            return False
        if not self._candidates.waiting:
            return self._refill()
        self._take_reserved(self._claiming.carry_out((), (), room)[1])
        return True

    def _room(self, ending: int) -> int:
        """How many jobs to claim while so many end.

        Up to twice as many as came back at once: those whose handlers take long are left to other
        workers until their turn comes here.
        """
        if not self._accepting or self._runner.busy:
            return 0
        return max(0, min(self._options.slots - len(self._claims) + ending, self._pace))

    def _refill(self) -> bool:
        try:
            return self._candidates.refill()
        except StoreError:
            self._candidates.close()  # what its watch may have had to tell is read again
            raise

    def _take_reserved(self, reserved: Iterable[Reserved]) -> None:
        for each in reserved:
            if isinstance(each.job, Unusable):
                self._inbox.put(each.job)
            else:
                self._claimed(each.job, each.verdict)
        self._runner.begin()

    def _claimed(self, claim: Claim, verdict: Verdict | None) -> None:
        self._claims[claim.job_id] = claim
        self._keyspace.saw(claim.fence.revision)
        self._events.emit(told_of(claim))
        if verdict is not None:
            self._inbox.put(Returned(claim, verdict))
            return
        handler = self._handlers.get(claim.job_id.handler)
        assert handler is not None  # noqa: S101 - only such jobs are claimed
        self._runner.add(claim, handler)

    # Coming back.

    def _take(self) -> bool:
        """Act on all that has come back; what ends claims goes out in one request."""
        items = self._inbox.take()
        for item in items:
            if isinstance(item, Looked):
                self._runner.looked(item)
            else:
                self._act_on(item)
        self._outbox.keep(self._unsettled)
        if self._outbox:
            self._send()
            return True
        return bool(items)

    def _act_on(self, item: Returned | Unusable | Late) -> None:
        """Find out what becomes of an item; what this library fails at is not lost silently."""
        try:
            ending = self._ending_of(item)
        except Exception as error:  # noqa: BLE001 - reported, and its job set aside
            self._failed_at(item, error)
        else:
            if ending is not None:
                self._outbox.put(ending)

    def _ending_of(self, item: Returned | Unusable | Late) -> Ending | None:
        if isinstance(item, Unusable):
            return self._endings.unusable(item)
        if isinstance(item, Late):
            return self._endings.ask_repair(item)
        return self._judged(item) if self._holds(item.claim) else None

    def _judged(self, item: Returned) -> Ending | None:
        claim = item.claim
        if claim.lost:
            self._forget(claim)  # nothing more is written: it may be another's by now
            return None
        verdict = self._judge.of(item)
        self._runner.acted_on(claim)
        if isinstance(verdict, Ending):
            return verdict
        self._runner.wait(claim, verdict)
        return None

    def _send(self) -> None:
        """End claims and, if there are candidates, claim the next ones in the same request."""
        self._pace = 2 * len(self._outbox)
        sent = self._outbox.send(self._room(len(self._outbox)))
        for ending, result in sent.ended:
            self._ended(ending, result)
        self._take_reserved(sent.reserved)

    def _ended(self, ending: Ending, result: TransactionResult | Exception) -> None:
        if isinstance(result, TransactionResult):
            self._keyspace.saw(result.revision)
        if isinstance(result, TransactionTooLarge) and ending.shorter is not None:
            self._outbox.put(ending.shorter(result))
        elif isinstance(result, Exception):
            self._failed_at(ending.item, result)
        elif (further := ending.told(result)) is not None:
            self._outbox.put(further)
        elif isinstance(ending.item, Returned):
            self._forget(ending.item.claim)

    def _failed_at(self, item: Returned | Unusable | Late, error: Exception) -> None:
        """Have a job set aside; if that fails, too, it is left to whoever reads the log."""
        job_id = item.job_id if isinstance(item, Unusable) else item.claim.job_id
        verdict = broken(job_id, error)
        if isinstance(item, Returned) and not isinstance(item.verdict, Broken):
            self._inbox.put(Returned(item.claim, verdict))
        elif isinstance(item, Returned):
            self._forget(item.claim)

    def _holds(self, claim: Claim) -> bool:
        """Whether a claim is neither over nor made anew since."""
        return self._claims.get(claim.job_id) is claim

    def _unsettled(self, ending: Ending) -> bool:
        item = ending.item
        return not isinstance(item, Returned) or (self._holds(item.claim) and not item.claim.lost)

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
