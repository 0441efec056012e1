"""What the parts of the job manager share: what is known, how to write, when to wake."""

from __future__ import annotations

import heapq
import itertools
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, Literal

import attrs

from gohan_jobs.board import Board, Tracked
from gohan_jobs.bookkeeping import Held, JobNotes, Quarantined
from gohan_jobs.clock import Clock, read_time, time_text
from gohan_jobs.estate import Estate
from gohan_jobs.events import ConfigSetAside, Event, Events
from gohan_jobs.exceptions import GohanJobsError, StoreError
from gohan_jobs.keys import JobId, Keys, Place, ResourcePath
from gohan_jobs.manager.leadership import Leadership
from gohan_jobs.queue import Queue
from gohan_jobs.records import OnFailure, StateRecord
from gohan_jobs.records.outcomes import failed
from gohan_jobs.redaction import Redactor
from gohan_jobs.schemas import Schemas
from gohan_jobs.stores.base import (
    Compare,
    Entry,
    Get,
    Operation,
    Result,
    Store,
    Transaction,
    TransactionResult,
)
from gohan_jobs.view import View

__all__ = ["Desk", "ManagerOptions", "Timers"]

_SLOTS_DIGITS = 9


@attrs.frozen(kw_only=True)
class ManagerOptions:
    """How the job manager behaves.

    Attributes:
        hold_time: seconds a config waits for something it refers to (``rules`` 5).
        ready_per_slot: claimable jobs for each slot of all workers (``rules`` 25).
        default_slots: slots assumed while no worker has registered.
        max_attempts: lost claims after which a job is poison (``rules`` 17).
        claim_pause: seconds before a lost job may be claimed again: one request to Heat
            (``rules`` 18).
        on_dependency_failure: ``"cancel"`` or ``"hold"`` the dependants of a failed job
            (``rules`` 14).
        dependency_hold_time: seconds they are held.
        orphans: ``"keep"`` or ``"delete"`` stacks whose config is gone (``rules`` 16).
        leader_ttl: seconds of the leader's lease.
        max_removals: removals found at start beyond which an operator is asked ...
        max_removal_share: ... if they are also more than this share of all resources.
        batch: configs planned, or jobs released, in one transaction at most.
        quota_bytes: the store's quota, which etcd does not tell; 2 GiB is etcd's own default.
        quota_share: above this share of it a resync pauses, and fresh changes go on (``rules`` 23).
    """

    hold_time: float = 60.0
    ready_per_slot: int = 4
    default_slots: int = 8
    max_attempts: int = 5
    claim_pause: float = 30.0
    on_dependency_failure: Literal["cancel", "hold"] = "cancel"
    dependency_hold_time: float = 3600.0
    orphans: Literal["keep", "delete"] = "keep"
    leader_ttl: float = 65.0
    max_removals: int = 100
    max_removal_share: float = 0.05
    batch: int = 16
    quota_bytes: int = 2 * 2**30
    quota_share: float = 0.8


class Timers:
    """What is to be done at a later time."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()

    def at(self, when: float, action: Callable[[], None]) -> None:
        """Do something at a clock time; the action itself checks whether it still applies."""
        heapq.heappush(self._heap, (when, next(self._order), action))

    def clear(self) -> None:
        """Forget all of them."""
        self._heap.clear()

    @property
    def due(self) -> float | None:
        """Clock time of the next one."""
        return self._heap[0][0] if self._heap else None

    def run(self, now: float) -> bool:
        """Do one that is due; whether there was one."""
        if not self._heap or self._heap[0][0] > now:
            return False
        timer = heapq.heappop(self._heap)
        try:
            timer[2]()
        except StoreError:
            heapq.heappush(self._heap, timer)
            raise
        return True


class Desk:
    """Shared by the manager's parts."""

    def __init__(
        self,
        *,
        store: Store,
        queue: Queue,
        schemas: Schemas,
        estate: Estate,
        board: Board,
        leadership: Leadership,
        clock: Clock,
        events: Events,
        options: ManagerOptions,
        redactor: Redactor,
        suffix: Callable[[], str],
    ) -> None:
        self.store = store
        self.queue = queue
        self.schemas = schemas
        self.estate = estate
        self.board = board
        self.leadership = leadership
        self.clock = clock
        self.events = events
        self.options = options
        self.redactor = redactor
        self.suffix = suffix
        self.timers: Timers = Timers()
        self.slots: dict[str, int] = {}
        self.orphans: set[ResourcePath] = set()
        self.held: dict[ResourcePath, tuple[Held | None, int]] = {}
        self.quarantine: dict[str, tuple[int, int]] = {}
        self.own_revisions: deque[int] = deque()

    @property
    def view(self) -> View:
        """What planning asks."""
        return View(self.estate, self.board)

    @property
    def keys(self) -> Keys:
        """Where everything is stored."""
        return self.queue.keys

    # Writing.

    def commit(self, transaction: Transaction) -> TransactionResult:
        """Carry out a transaction as the leader; its echo in the queue's watch is then known."""
        result = self.leadership.commit(transaction)
        if result.succeeded:
            self.own_revisions.append(result.revision)
        return result

    def is_own(self, revision: int) -> bool:
        """Whether a revision is one of this leader's transactions, so that it is known already."""
        own = self.own_revisions
        while own and own[0] < revision:
            own.popleft()
        return bool(own) and own[0] == revision

    def commit_all(self, transactions: Iterable[Transaction]) -> TransactionResult:
        """Several transactions as one: all of them or none."""
        compares: list[Compare] = []
        operations: list[Operation] = []
        for transaction in transactions:
            compares += transaction.compares
            operations += transaction.success
        return self.commit(Transaction(tuple(compares), tuple(operations)))

    def set_aside(self, key: str, mod_revision: int, reason: str) -> None:
        """Note once, durably, that a version of a key can't be used (``rules`` 10)."""
        seen, own_revision = self.quarantine.get(key, (0, 0))
        if seen == mod_revision:
            return
        found = Quarantined(
            key=key, mod_revision=mod_revision, reason=reason, since=self.now_text()
        )
        result = self.commit(self.queue.set_aside(found, own_revision))
        if result.succeeded:
            self.quarantine[key] = (mod_revision, result.revision)
            self.pardon(self.queue.own.quarantine(key))  # the note, which may have been broken
        self.events.emit(ConfigSetAside(key=key, reason=reason))

    def failure_of(self, job: Tracked, reason: str) -> StateRecord | None:
        """The result of a job that was never run; None if its version is to have none, or has one.

        A one-step delete publishes nothing, nor does a job whose failure does not count: those
        after it do, or it repairs a stack. Only an operator's retry publishes another result
        (``rules`` 11, 12).
        """
        ignored = job.on_failure == OnFailure.IGNORE and not job.is_last
        if not job.notes.config_create or ignored:
            return None
        result = failed(job.job_id.action, job.job_id.version, reason)
        return None if self._is_told(job, result) else result

    def _is_told(self, job: Tracked, result: StateRecord) -> bool:
        """Whether the config version that a job was planned from has a result.

        Where versions are not counted, an older job's looks the same, and may have come after this
        job's config: only this failure counts, told by another job of its workflow.
        """
        entry = self.store.get(self.keys.state_of(job.path))
        schema = self.schemas.by_type(job.job_id.resource_type)
        counted = schema is not None and schema.state_versioning
        if entry is None or entry.mod_revision <= self._due_since(job, counted=counted):
            return False
        self.estate.put_state(job.path, entry)
        known = self.estate.state(job.path)
        if known is None or known.version != job.job_id.version:
            return False
        told = self.queue.codec.state(entry.key, entry.value)
        return counted or told.error == result.error

    def _due_since(self, job: Tracked, *, counted: bool) -> int:
        """The revision since when a job's version lacks a result; a retry asks for another."""
        document = self.store.get(self.keys.job(job.job_id)) if job.notes.again else None
        if document is not None:
            return document.create_revision
        return job.notes.config_create if counted else job.notes.config_mod

    def tell(self, job: Tracked, kind: Callable[..., Event], **facts: object) -> None:
        """Tell the events something about a job, in the trace of its config version."""
        self.events.emit(kind(job_id=job.job_id, trace=job.notes.trace, **facts))

    def pardon(self, key: str) -> None:
        """A key that could not be used now can be, or is gone."""
        known = self.quarantine.get(key)
        if known is not None:
            self.commit(self.queue.pardon(key, known[1]))
            del self.quarantine[key]
            self.pardon(self.queue.own.quarantine(key))  # likewise

    def now_text(self) -> str:
        """The time of day, for display."""
        return time_text(self.clock)

    def seconds_until(self, when: str) -> float:
        """Seconds to a time of day, ISO 8601; 0 if it is over, or nobody can read it."""
        moment = read_time(when)
        left = 0.0 if moment is None else (moment - self.clock.wall()).total_seconds()
        return max(0.0, left)

    def scrub(self, text: str, *values: Any) -> str:
        """A text without the secrets that are in JSON values (``rules`` 29)."""
        return self.redactor.scrub(text, self.redactor.secrets_in(*values))

    def judge_stack(self, path: ResourcePath) -> None:
        """Set a stack's record aside that can't be read, until it is another one (``rules`` 10)."""
        key, problem = self.keys.heat_stack_of(path), self.estate.stack_problem(path)
        if problem:
            self.set_aside(key, self.estate.stack_revision(path), problem)
        else:
            self.pardon(key)

    # The queue.

    @property
    def room(self) -> int:
        """How many more jobs may be made claimable (``rules`` 25)."""
        slots = sum(self.slots.values()) or self.options.default_slots
        return max(0, slots * self.options.ready_per_slot - self.board.count(Place.READY))

    def worker(self, name: str, entry: Entry | None) -> None:
        """A worker has told its slots, or is gone."""
        self.slots.pop(name, None)
        key = self.queue.own.worker(name)
        if entry is None:
            self.pardon(key)
        elif entry.value.isdigit() and len(entry.value) <= _SLOTS_DIGITS:
            self.slots[name] = int(entry.value)
            self.pardon(key)
        else:
            self.set_aside(key, entry.mod_revision, f"{key}: not a number of slots")

    def delay(self, job: Tracked, seconds: float) -> None:
        """Keep a job from being claimed for a while."""
        due = self.clock.now() + seconds
        self.board.delay(job, due)
        self.timers.at(due, lambda: self._undelay(job.job_id, due))

    def _undelay(self, job_id: JobId, due: float) -> None:
        job = self.board.get(job_id)
        if job is not None and job.due == due:
            self.board.delay(job, None)

    def track(self, job: Tracked, notes: JobNotes) -> None:
        """The notes on a job have changed."""
        self.board.update(job, notes)

    # Reading again.

    def refresh(self, path: ResourcePath) -> None:
        """Read a resource's records and its jobs' places again: events are only hints."""
        keys, estate = self.keys, self.estate
        for key, put, drop in (
            (keys.config_of(path), estate.put_config, estate.drop_config),
            (keys.processed_of(path), estate.put_processed, estate.drop_processed),
            (keys.state_of(path), estate.put_state, estate.drop_state),
            (keys.heat_stack_of(path), estate.put_stack, estate.drop_stack),
        ):
            entry = self.store.get(key)
            if entry is None:
                drop(path)
            else:
                put(path, entry)
        found = estate.reference(path)
        for job in self.board.of_resource(found) if found is not None else ():
            self.refresh_job(job)

    def refresh_job(self, job: Tracked) -> None:
        """Read where a job stands, all at one revision; take it off the board if it is gone.

        Of several places, which another program can leave, the latest counts; the others go.
        """
        keys = (self.keys.place(place, job.job_id) for place in Place)
        notes = self.queue.own.job(job.job_id)
        reads = (Get(self.keys.job(job.job_id)), Get(notes), *map(Get, keys))
        document, noted, *found = self.store.transact(Transaction((), reads)).results
        if document is None:
            self.board.remove(job)
            return
        places = [
            (entry.mod_revision, place)
            for place, entry in zip(Place, found, strict=True)
            if isinstance(entry, Entry)
        ]
        if not places:
            job.begun = True
            self.board.move(job, None, job.revision)
            return
        *others, (revision, place) = sorted(places, key=lambda each: each[0])
        for older, other in others:
            self.commit(self.queue.tidy(job.job_id, (other, older), (place, revision)))
        # What was not done here was done by a worker, which began it; what is noted of that may
        # have been read before it gave the job back.
        job.begun = job.begun or self._was_begun(noted) or 0 < job.revision != revision
        self.board.move(job, place, revision)

    def _was_begun(self, noted: Result) -> bool:
        """Whether a job's notes say so."""
        try:
            own = self.queue.own
            return isinstance(noted, Entry) and own.loads(noted.key, noted.value, JobNotes).begun
        except GohanJobsError:
            return False  # the leader writes them anew
