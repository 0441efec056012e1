"""What a deployment is doing, in one look: roles, queue, troubles, sizes. Nothing is written.

What is many is counted, not read: of the resources only the numbers of their keys, of the queue
its places and the notes on its jobs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping

import attrs

from gohan_jobs.bookkeeping import SET_ASIDE, Band
from gohan_jobs.clock import Clock, SystemClock
from gohan_jobs.codec import Codec
from gohan_jobs.exceptions import StoreRefused
from gohan_jobs.inspection.failed_results import read_failures
from gohan_jobs.inspection.queued import QueuedJob, at_one_revision, read_queue
from gohan_jobs.inspection.statuses import (
    FailedResult,
    LeaderStatus,
    PlaceStatus,
    Resources,
    Status,
    Troubles,
    WorkerStatus,
)
from gohan_jobs.keys import Place
from gohan_jobs.queue import Queue
from gohan_jobs.redaction import Redactor
from gohan_jobs.stores.base import (
    AsksMember,
    Entry,
    Measured,
    Reader,
    Store,
    count_keys,
    entries_below,
    lease_left,
)

__all__ = [
    "FailedResult",
    "LeaderStatus",
    "PlaceStatus",
    "Resources",
    "Status",
    "Troubles",
    "WorkerStatus",
    "read_status",
]


def read_status(
    store: Store,
    codec: Codec | None = None,
    *,
    clock: Clock | None = None,
    failures: bool = False,
    redactor: Redactor | None = None,
) -> Status:
    """What a deployment is doing, all as of one revision. Nothing is written.

    Args:
        store: where everything is kept.
        codec: knows the keys, and reads records.
        clock: tells how old a job is.
        failures: whether to read every result, to count those with an error and name the newest.
        redactor: says what is secret.

    Raises:
        StoreError: the store can't be read.
    """
    codec, clock = codec or Codec(), clock or SystemClock()
    queue = Queue(codec.keys, codec)

    def read(revision: int) -> Status:
        look = _Look(store, queue, revision, clock)
        if not failures:
            return look.status(store, None)
        count, newest = read_failures(store, codec, revision, redactor or Redactor())
        return attrs.evolve(look.status(store, count), failures=newest)

    return at_one_revision(store, read)


@attrs.frozen
class _Look:
    """Reads everything as of one revision."""

    store: Reader
    queue: Queue
    revision: int
    clock: Clock

    def status(self, store: Store, failed: int | None) -> Status:
        queued = read_queue(self.store, self.queue, self.revision)
        workers = tuple(self._all(self.queue.own.workers_prefix))
        size, alarms = _measures(store)
        return Status(
            revision=self.revision,
            leader=self._leader(),
            workers=self._workers(workers, queued),
            places=tuple(self._place(place, queued) for place in Place),
            resources=self._resources(queued, failed),
            troubles=self._troubles(workers, queued),
            size=size,
            alarms=alarms,
        )

    def _leader(self) -> LeaderStatus | None:
        entry = self._entry(self.queue.keys.leader)
        if entry is None:
            return None
        named = self._entry(self.queue.own.leader)
        name = "" if named is None or named.lease != entry.lease else named.value.decode()
        return LeaderStatus(
            manager_id=entry.value.decode(errors="replace"),
            since_revision=entry.create_revision,
            leased=entry.lease != 0,
            lease_left=lease_left(self.store, entry.lease),
            name=name,
        )

    def _entry(self, key: str) -> Entry | None:
        return next((each for each in self._all(key) if each.key == key), None)

    def _workers(
        self, workers: Iterable[Entry], queued: Iterable[QueuedJob]
    ) -> tuple[WorkerStatus, ...]:
        busy = Counter(job.claim.lease for job in queued if job.claim is not None)
        return tuple(
            WorkerStatus(
                worker_id=entry.key.removeprefix(self.queue.own.workers_prefix),
                slots=int(entry.value) if entry.value.isdigit() else None,
                busy=busy[entry.lease],
                since_revision=entry.create_revision,
                lease_left=lease_left(self.store, entry.lease),
            )
            for entry in workers
        )

    def _place(self, place: Place, queued: Iterable[QueuedJob]) -> PlaceStatus:
        jobs = [job for job in queued if job.place is place]
        ages = [age for job in jobs if (age := job.age(self.clock)) is not None]
        return PlaceStatus(
            place=place,
            jobs=len(jobs),
            oldest=max(ages, default=None),
            bands=_tally(job.notes.band if job.notes else "" for job in jobs),
            tenants=_tally(job.notes.tenant if job.notes else "" for job in jobs),
        )

    def _resources(self, queued: Iterable[QueuedJob], failed: int | None) -> Resources:
        keys = self.queue.keys
        templates = self._count(keys.config + keys.templates)
        return Resources(
            configs=self._count(keys.config) - templates,
            templates=templates,
            processed=self._count(keys.processed_prefix),
            states=self._count(keys.state),
            stacks=self._count(keys.heat_stack_prefix),
            failed=failed,
            resync=sum(job.notes is not None and job.notes.band == Band.RESYNC for job in queued),
        )

    def _troubles(self, workers: Iterable[Entry], queued: Collection[QueuedJob]) -> Troubles:
        own = self.queue.own
        leases = {entry.lease for entry in workers}
        held = [job.notes.held_until for job in queued if job.notes and job.notes.held_until]
        claims = (job.claim for job in queued if job.claim is not None)
        return Troubles(
            held=self._count(own.held_prefix),
            held_jobs=len(held) - held.count(SET_ASIDE),
            broken_jobs=held.count(SET_ASIDE),
            nowhere=sum(job.place is None for job in queued),
            strangers=sum(claim.lease not in leases for claim in claims),
            failing=self._count(own.failed_prefix),
            quarantined=self._count(own.quarantine_prefix),
            orphans=self._count(own.orphans_prefix),
            repairs=self._count(own.repairs_prefix),
            reports=self._count(own.reports_prefix),
        )

    def _count(self, prefix: str) -> int:
        return count_keys(self.store, prefix, revision=self.revision)

    def _all(self, prefix: str) -> Iterable[Entry]:
        return entries_below(self.store, prefix, revision=self.revision)


def _measures(store: Store) -> tuple[int | None, tuple[str, ...]]:
    """The store's size and its alarms, as far as it tells us."""
    try:
        if isinstance(store, AsksMember):
            status = store.status()
            return status.size, status.alarms
        return (store.size() if isinstance(store, Measured) else None), ()
    except StoreRefused:
        return None, ()


def _tally(names: Iterable[str]) -> Mapping[str, int]:
    """How many of each, the most first."""
    return dict(Counter(names).most_common())
