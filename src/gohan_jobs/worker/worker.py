"""A worker: one thread steps it, handlers run where its executor says."""

from __future__ import annotations

import functools
import heapq
import itertools
import logging
import queue as thread_queue
import random
from collections.abc import Callable, Mapping, Sequence

import attrs

from gohan_jobs.bookkeeping import JobNotes
from gohan_jobs.clock import Clock
from gohan_jobs.codec import Codec
from gohan_jobs.events import (
    ConfigSetAside,
    Event,
    Events,
    JobClaimed,
    JobFailed,
    JobFinished,
    JobHandedBack,
    JobProgressed,
    JobSuperseded,
    LeaseLost,
)
from gohan_jobs.exceptions import (
    ClaimLost,
    Compacted,
    GohanJobsError,
    InvalidKey,
    LeaseNotFound,
    OrchestratorError,
    StoreError,
    TransactionTooLarge,
)
from gohan_jobs.handlers import (
    Done,
    GiveUp,
    Handlers,
    JobContext,
    Later,
    Observe,
    Outcome,
    RetryLater,
)
from gohan_jobs.keys import JobId, Keys, Place, ResourcePath
from gohan_jobs.orchestrators.base import Orchestrator, Stack
from gohan_jobs.poller import PollOptions, StackPoller
from gohan_jobs.queue import Fence, Queue
from gohan_jobs.records import Action, HeatStack, ResourceRef
from gohan_jobs.redaction import Redactor
from gohan_jobs.schemas import Schemas
from gohan_jobs.stores.base import (
    Entry,
    EventKind,
    Get,
    Put,
    Result,
    Store,
    Transaction,
    TransactionResult,
    Watch,
)
from gohan_jobs.worker.candidates import Candidates
from gohan_jobs.worker.claim import Claim, WorkerLease
from gohan_jobs.worker.executors import Executor
from gohan_jobs.worker.publishing import finish_of, too_large

__all__ = ["Worker", "WorkerOptions"]

_log = logging.getLogger("gohan_jobs")

_GETS = 64


@attrs.frozen(kw_only=True)
class WorkerOptions:
    """How a worker behaves.

    Attributes:
        slots: claimed, unfinished jobs at a time, those that wait for Heat included.
        lease_ttl: seconds after which a dead worker's claims vanish (``runtime``: 60).
        unexpected_retry: seconds before a job is repeated whose handler raised something unknown.
        unexpected_retries: how often; then that is its result.
        polling: how often stacks are looked at.
    """

    slots: int = 8
    lease_ttl: float = 60.0
    unexpected_retry: float = 5.0
    unexpected_retries: int = 5
    polling: PollOptions = attrs.field(factory=PollOptions)


@attrs.frozen
class _Returned:
    """What a handler gave, on its way back to the worker's thread."""

    claim: Claim
    outcome: Outcome | Exception


@attrs.frozen
class _Looked:
    """What a look at stacks has shown, on its way back."""

    stacks: Mapping[object, Stack]
    seen: Mapping[str, Stack | None] | Exception


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
        self._codec = codec
        self._queue = queue
        self._schemas = schemas
        self._handlers = handlers
        self._clock = clock
        self._events = events
        self._redactor = redactor
        self._id = worker_id
        self._new_id = new_id
        self._executor = executor
        self._options = options
        self._rng = rng
        self._wake = wake
        self._poller = StackPoller(orchestrator, clock, options.polling, rng)
        self.lease = WorkerLease(clock)
        self._claims: dict[JobId, Claim] = {}
        self._doubtful: dict[JobId, str] = {}
        self._candidates = Candidates(store, queue.keys, self._accepts, rng, wake)
        self._returned: thread_queue.SimpleQueue[_Returned | _Looked] = thread_queue.SimpleQueue()
        self._later: list[tuple[float, int, Claim, Callable[[JobContext], Outcome]]] = []
        self._order = itertools.count()
        self._observing: dict[JobId, Observe] = {}
        self._looking = False
        self._running: set[JobId] = set()
        self._watch: Watch | None = None
        self._accepting = True

    # What others may ask.

    @property
    def keys(self) -> Keys:
        """Where everything is stored."""
        return self._queue.keys

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
        times = [self._later[0][0]] if self._later else []
        if self._poller.due is not None and not self._looking:
            times.append(self._poller.due)
        return min(times, default=None)

    def step(self) -> bool:
        """Do one bounded unit of work; whether there was any."""
        if not self.registered:
            return self._register()
        try:
            return (
                self._settle_claims()
                or self._take_returned()
                or self._drain()
                or self._resume()
                or self._look()
                or self._claim()
            )
        except Compacted:
            self._unfollow()
            return True

    # Registration and lease.

    def _register(self) -> bool:
        """Get a lease, tell the slots, and follow the queue."""
        if not self._accepting:
            return False
        if self.lease.id == 0:
            asked_at = self._clock.now()
            lease = self._store.grant_lease(self._options.lease_ttl)
            key = self._queue.own.worker(self._id)
            self._store.transact(
                Transaction((), (Put(key, str(self._options.slots).encode(), lease.id),))
            )
            self.lease.granted(lease.id, lease.ttl, asked_at)
        self._follow()
        return True

    def keep_alive(self) -> None:
        """Renew the lease; every claim is lost if it has ended. For the keeper's thread."""
        lease = self.lease.id
        if not lease:
            return
        asked_at = self._clock.now()
        try:
            ttl = self._store.keep_alive(lease)
        except LeaseNotFound:
            self.lose_lease()
        except StoreError:
            if self.lease.remaining <= 0:
                self.lose_lease()
            raise
        else:
            self.lease.granted(lease, ttl, asked_at)

    def lose_lease(self) -> None:
        """The lease has ended, or can't be renewed in time: what it covered is not ours."""
        if not self.lease.id:
            return
        self.lease.ended()
        self._events.emit(LeaseLost(worker_id=self._id, jobs=len(self._claims)))
        if self._wake is not None:
            self._wake()

    def _follow(self) -> None:
        """Follow what pre-empts this worker's jobs."""
        self._unfollow()
        prefix = self._queue.own.preempt_prefix
        self._watch = self._store.watch(prefix, self._store.revision() + 1, wake=self._wake)
        for claim in self.claims:
            if self._store.get(self._queue.own.preempt(claim.job_id)) is not None:
                self._preempted(claim.job_id)

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
        heard = self._drop_lost()
        assert self._watch is not None  # noqa: S101 - registered
        batch = self._watch.poll()
        for event in batch.events if batch is not None else ():
            if event.kind is EventKind.PUT:
                self._preempted(JobId.parse(event.key[len(self._queue.own.preempt_prefix) :]))
                heard = True
        return heard

    def _drop_lost(self) -> bool:
        lost = [claim for claim in self.claims if claim.lost]
        for claim in lost:
            self._forget(claim)
        return bool(lost)

    def _preempted(self, job_id: JobId) -> None:
        """A delete ends a running job (``rules`` 8): its handler stops, nothing is published."""
        claim = self._claims.get(job_id)
        if claim is None:
            return
        claim.cancel("pre-empted by a delete")
        if job_id not in self._running:
            self._drop(claim)

    # Claiming.

    def _claim(self) -> bool:
        """Reserve one of the ready jobs, at random, if there is a slot (``rules`` 25)."""
        if not self._accepting or len(self._claims) >= self._options.slots:
            return False
        found = self._candidates.pick()
        if found is None:
            return self._candidates.refill()
        job_id, transaction, holder = self._claiming(*found)
        result = self._send(transaction, job_id, holder)
        if result.succeeded:
            self._claimed(job_id, holder, result.revision, result.results[-4:])
        return True

    def _claiming(self, job_id: JobId, revision: int) -> tuple[JobId, Transaction, str]:
        holder = self._new_id()
        claim = self._queue.claim(job_id, self._path(job_id), revision, holder, self.lease.id)
        return job_id, claim, holder

    def _send(self, transaction: Transaction, job_id: JobId, holder: str) -> TransactionResult:
        """A transaction that claims; a claim whose answer is lost is read about later."""
        try:
            return self._store.transact(transaction)
        except TransactionTooLarge:
            raise
        except StoreError:
            self._doubtful[job_id] = holder
            raise

    def _settle_claims(self) -> bool:
        """Read whether a claim whose answer was lost is ours; whether there was one."""
        for job_id, holder in tuple(self._doubtful.items()):
            working = self._store.get(self.keys.place(Place.WORKING, job_id))
            if working is not None and working.value == holder.encode():
                result = self._store.transact(self._queue.reading(job_id, self._path(job_id)))
                self._claimed(job_id, holder, working.create_revision, result.results)
            del self._doubtful[job_id]
            return True
        return False

    def _claimed(self, job_id: JobId, holder: str, revision: int, found: Sequence[Result]) -> None:
        job_entry, notes_entry, config, stack = (
            entry if isinstance(entry, Entry) else None for entry in found
        )
        fence = Fence(self.keys.place(Place.WORKING, job_id), revision)
        notes = JobNotes(planned_at="", path=self._path(job_id))
        try:
            if notes_entry is not None:
                notes = self._queue.own.loads(notes_entry.key, notes_entry.value, JobNotes)
            if job_entry is None:
                raise InvalidKey(self.keys.job(job_id), "a ready job without a document")
            job = self._queue.read_job(job_entry)
            own = None if stack is None else self._codec.heat_stack(stack.key, stack.value)
        except GohanJobsError as error:
            self._unusable(job_id, fence, notes, str(error))
            return
        claim = Claim(
            job=job,
            notes=notes,
            holder=holder,
            fence=fence,
            planned_at=job_entry.create_revision,
            own_stack=own,
            lease=self.lease,
            now=self._clock.now,
        )
        self._claims[job_id] = claim
        self._events.emit(JobClaimed(job_id=job_id, holder=holder, attempt=claim.attempt))
        if self._obsolete(claim, config):
            claim.cancel("its config is gone")
            self._returned.put(_Returned(claim, RetryLater(after=0.0)))
        elif self._foreign(claim, config):
            self._unusable(job_id, fence, notes, "the job's tenant is not its config's")
            self._forget(claim)
        else:
            self._run(claim, self._start(claim))

    def _path(self, job_id: JobId) -> ResourcePath:
        schema = self._schemas.by_type(job_id.resource_type)
        assert schema is not None  # noqa: S101 - only such jobs are claimed
        return schema.path_of(job_id.resource_id)

    def _unusable(self, job_id: JobId, fence: Fence, notes: JobNotes, reason: str) -> None:
        """A job that must not run stays in the queue, set aside (``rules`` 10)."""
        held = attrs.evolve(notes, held_until="set aside", last_error=reason)
        self._store.transact(self._queue.hand_back(fence, job_id, job_id.handler, held))
        self._events.emit(ConfigSetAside(key=self.keys.job(job_id), reason=reason))

    def _obsolete(self, claim: Claim, config: Entry | None) -> bool:
        """Whether the config that the job was planned from is gone (``rules`` 15)."""
        if claim.job.action == Action.DELETE:
            return False
        return config is None or config.create_revision != claim.notes.config_create

    def _foreign(self, claim: Claim, config: Entry | None) -> bool:
        """Whether the job's tenant is another's (``rules`` 27).

        Who can write ``/jobs`` must not drive another tenant's Heat.
        """
        tenant = claim.job.resource_input.get("tenant_id")
        if claim.job.action == Action.DELETE or config is None:
            own = claim.own_stack
            return own is not None and bool(own.stack_id) and own.tenant_id != tenant
        try:
            record = self._codec.config(config.key, config.value)
        except GohanJobsError:
            return False  # a later version that is broken; the leader sets it aside
        return bool(record.body.get("tenant_id") != tenant)

    # Running.

    def _start(self, claim: Claim) -> Callable[[JobContext], Outcome]:
        handler = self._handlers.get(claim.job.handler)
        assert handler is not None  # noqa: S101 - only such jobs are claimed
        return handler

    def _run(self, claim: Claim, work: Callable[[JobContext], Outcome]) -> None:
        self._running.add(claim.job_id)
        context = self._context(claim)

        def run() -> None:
            try:
                outcome: Outcome | Exception = work(context)
            except Exception as error:  # noqa: BLE001 - judged on the worker's thread
                outcome = error
            self._returned.put(_Returned(claim, outcome))
            if self._wake is not None:
                self._wake()

        self._executor.submit(run)

    def _context(self, claim: Claim) -> JobContext:
        def tell(kind: type[Event], **facts: object) -> None:
            self._events.emit(kind(job_id=claim.job_id, **facts))  # type: ignore[call-arg]  # an event of a job

        def report(message: str) -> None:
            secrets = self._redactor.secrets_in(claim.job.resource_input)
            text = self._redactor.scrub(message, secrets)
            self._events.emit(JobProgressed(job_id=claim.job_id, message=text))

        return JobContext(
            job=claim.job,
            attempt=claim.attempt,
            retries=claim.notes.retries,
            own_stack=claim.own_stack,
            claim=claim,
            read=self._store.get,
            stacks=self._stacks,
            template=functools.partial(self._template_of, claim),
            report=report,
            now=self._clock.now,
            tell=tell,
        )

    def _template_of(self, claim: Claim) -> Entry | None:
        """The job's template, if it is still the one its params were computed from.

        Raises:
            _Skewed: it has changed (``rules`` 9).
        """
        if not claim.notes.template_id:
            return None
        path = self.keys.template_path(claim.notes.template_id)
        entry = self._store.get(self.keys.config_of(path))
        revision = entry.mod_revision if entry is not None else 0
        if revision != claim.notes.template_revision:
            raise _Skewed
        return entry

    def _stacks(self, resources: tuple[ResourceRef, ...]) -> Mapping[ResourceRef, HeatStack | None]:
        """The stack records of resources, read in as few requests as fit."""
        found: dict[ResourceRef, HeatStack | None] = {}
        for start in range(0, len(resources), _GETS):
            some = resources[start : start + _GETS]
            gets = tuple(
                Get(self.keys.heat_stack_of(schema.path_of(ref.resource_id)))
                for ref in some
                if (schema := self._schemas.by_type(ref.resource_type)) is not None
            )
            result = self._store.transact(Transaction((), gets))
            for entry in result.results:
                if isinstance(entry, Entry):
                    record = self._codec.heat_stack(entry.key, entry.value)
                    resource_type, _, resource_id = record.id.partition(":")
                    if record.stack_id:
                        found[ResourceRef(resource_type, resource_id)] = record
        return {resource: found.get(resource) for resource in resources}

    def _resume(self) -> bool:
        """Go on with a job whose wait is over."""
        if not self._later or self._later[0][0] > self._clock.now():
            return False
        _, _, claim, resume = heapq.heappop(self._later)
        if self._claims.get(claim.job_id) is claim and not claim.cancelled:
            self._run(claim, resume)
        return True

    def _look(self) -> bool:
        """Look at the stacks that are due."""
        due = self._poller.due
        if self._looking or due is None or due > self._clock.now():
            return False
        stacks = self._poller.take_due()
        self._looking = True

        def look() -> None:
            seen: Mapping[str, Stack | None] | Exception
            try:
                seen = self._poller.look(stacks)
            except Exception as error:  # noqa: BLE001 - judged on the worker's thread
                seen = error
            self._returned.put(_Looked(stacks, seen))
            if self._wake is not None:
                self._wake()

        self._executor.submit(look)
        return True

    # Coming back.

    def _take_returned(self) -> bool:
        try:
            returned = self._returned.get_nowait()
        except thread_queue.Empty:
            return False
        if isinstance(returned, _Looked):
            self._looked(returned)
            return True
        try:
            self._judge(returned.claim, returned.outcome)
        except StoreError:
            # Nothing is known to be written: judged again once the store answers.
            self._running.add(returned.claim.job_id)
            self._returned.put(returned)
            raise
        return True

    def _looked(self, looked: _Looked) -> None:
        self._looking = False
        stacks = dict(looked.stacks)
        if isinstance(looked.seen, Exception):
            if not isinstance(looked.seen, OrchestratorError):
                _log.error("looking at stacks failed: %s", type(looked.seen).__name__)
            self._poller.postpone(stacks)
            return
        for settled in self._poller.settle(stacks, dict(looked.seen)):
            claim = settled.token
            assert isinstance(claim, Claim)  # noqa: S101 - what was added
            observe = self._observing.pop(claim.job_id, None)
            if observe is not None and self._claims.get(claim.job_id) is claim:
                resume = observe.resume
                stack = settled.stack
                self._run(claim, lambda context, r=resume, s=stack: r(context, s))  # type: ignore[misc]  # bound now

    def _judge(self, claim: Claim, outcome: Outcome | Exception) -> None:
        """Act on what a handler gave."""
        self._running.discard(claim.job_id)
        if self._claims.get(claim.job_id) is not claim:
            return
        if claim.lost:
            self._forget(claim)  # nothing more is written: it may be another's by now
        elif claim.cancelled:
            self._drop(claim)
        elif isinstance(outcome, Exception):
            self._raised(claim, outcome)
        elif isinstance(outcome, Done | GiveUp):
            self._finish(claim, outcome)
        elif isinstance(outcome, RetryLater):
            self._hand_back(claim, outcome.after, outcome.reason, retries=1)
        elif isinstance(outcome, Later):
            due = self._clock.now() + outcome.after
            heapq.heappush(self._later, (due, next(self._order), claim, outcome.resume))
        else:
            self._observing[claim.job_id] = outcome
            self._poller.add(claim, outcome.stack, outcome.limit)

    def _raised(self, claim: Claim, error: Exception) -> None:
        """An error of ours is a result; of a claim, its end; any other is tried again."""
        if isinstance(error, ClaimLost):
            self._hand_back(claim, 0.0, str(error))
        elif isinstance(error, _Skewed):
            self._hand_back(claim, 0.0, "its template has changed")
        elif isinstance(error, GohanJobsError):
            if isinstance(error, StoreError) or getattr(error, "retryable", False):
                self._hand_back(claim, self._options.unexpected_retry, str(error), retries=1)
            else:
                self._finish(claim, GiveUp(reason=str(error)))
        else:
            reason = f"handler raised {type(error).__name__}"
            _log.error("%s: %s", claim.job_id, reason, extra={"job_id": str(claim.job_id)})
            if claim.notes.retries >= self._options.unexpected_retries:
                self._finish(claim, GiveUp(reason=reason))
            else:
                self._hand_back(claim, self._options.unexpected_retry, reason, retries=1)

    # Giving back.

    def _finish(self, claim: Claim, outcome: Done | GiveUp) -> None:
        finish = finish_of(claim, outcome, self._redactor)
        try:
            result = self._finish_and_claim(claim, self._queue.finish(claim.fence, finish))
        except TransactionTooLarge as error:
            finish = too_large(claim, finish, error)
            result = self._store.transact(self._queue.finish(claim.fence, finish))
        if not result.succeeded:
            self._refused(claim, result)
            return
        self._forget(claim)
        seconds = self._clock.now() - claim.since
        if finish.failure is None:
            state = "" if finish.state is None else str(finish.state.worker_state)
            self._events.emit(JobFinished(job_id=claim.job_id, state=state, seconds=seconds))
        else:
            self._events.emit(
                JobFailed(job_id=claim.job_id, reason=finish.failure, seconds=seconds)
            )

    def _finish_and_claim(self, claim: Claim, finish: Transaction) -> TransactionResult:
        """Finish a job and claim the next in one request, if the next is known already."""
        room = self._accepting and len(self._claims) <= self._options.slots
        found = self._candidates.pick() if room and not claim.lost else None
        if found is None:
            return self._store.transact(finish)
        job_id, claiming, holder = self._claiming(*found)
        try:
            both = self._send(Transaction((), (finish, claiming)), job_id, holder)
        except TransactionTooLarge:
            return self._store.transact(finish)
        finished, claimed = both.results
        assert isinstance(finished, TransactionResult)  # noqa: S101 - of a nested transaction
        assert isinstance(claimed, TransactionResult)  # noqa: S101 - likewise
        if claimed.succeeded:
            self._claimed(job_id, holder, both.revision, claimed.results[-4:])
        return finished

    def _refused(self, claim: Claim, result: TransactionResult) -> None:
        """The claim is lost, or the result is nobody's any more (``rules`` 8, 15)."""
        working = result.results[0]
        if isinstance(working, Entry) and working.create_revision == claim.fence.revision:
            self._drop(claim)
        else:
            self._forget(claim)

    def _drop(self, claim: Claim) -> None:
        """End a claim without any result."""
        result = self._store.transact(self._queue.drop(claim.fence, claim.job_id))
        self._forget(claim)
        if result.succeeded:
            self._events.emit(JobSuperseded(job_id=claim.job_id))

    def _hand_back(self, claim: Claim, after: float, reason: str, *, retries: int = 0) -> None:
        secrets = self._redactor.secrets_in(claim.job.resource_input)
        reason = self._redactor.scrub(reason, secrets)
        notes = attrs.evolve(
            claim.notes,
            delay=after,
            retries=claim.notes.retries + retries,
            last_error=reason,
        )
        result = self._store.transact(
            self._queue.hand_back(claim.fence, claim.job_id, claim.job.handler, notes)
        )
        self._forget(claim)
        if result.succeeded:
            self._events.emit(JobHandedBack(job_id=claim.job_id, reason=reason, after=after))

    def _forget(self, claim: Claim) -> None:
        self._claims.pop(claim.job_id, None)
        self._observing.pop(claim.job_id, None)
        self._running.discard(claim.job_id)
        self._poller.discard(claim)

    # Stopping.

    def stop_accepting(self) -> None:
        """Claim nothing more; what is claimed goes on."""
        self._accepting = False

    def accept(self) -> None:
        """Claim again."""
        self._accepting = True

    def hand_back_all(self) -> None:
        """Give every claim back, unfinished; another worker goes on from what Heat has."""
        for claim in self.claims:
            claim.cancel("worker stopped")
            self._hand_back(claim, 0.0, "worker stopped")

    def close(self) -> None:
        """Give the lease back and follow nothing more; idempotent."""
        self._accepting = False
        self._unfollow()
        lease = self.lease.id
        if lease:
            self.lease.ended()
            self._store.revoke_lease(lease)


class _Skewed(Exception):
    """The template is not the one that the params were computed from."""
