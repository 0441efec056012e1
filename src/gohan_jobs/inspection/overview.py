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
from gohan_jobs.exceptions import GohanJobsError, StoreRefused
from gohan_jobs.inspection.queued import QueuedJob, at_one_revision, read_queue
from gohan_jobs.keys import Place
from gohan_jobs.queue import Queue
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
    "LeaderStatus",
    "PlaceStatus",
    "Resources",
    "Status",
    "Troubles",
    "WorkerStatus",
    "read_status",
]

_NO_ERROR = (b'"error": ""', b'"error":""')


@attrs.frozen(kw_only=True)
class LeaderStatus:
    """Who leads.

    Attributes:
        manager_id: the job manager's uuid.
        since_revision: of the store, at which it was elected; etcd keeps no times of day.
        leased: whether its key hangs on a lease, which is then alive: the key goes with it. A job
            manager of another program may lead without one.
        lease_left: seconds that the lease still has; None if the store does not tell.
        name: of its process; empty if it has none.
    """

    manager_id: str
    since_revision: int
    leased: bool
    lease_left: float | None = None
    name: str = ""


@attrs.frozen(kw_only=True)
class WorkerStatus:
    """A worker whose lease is alive: its key goes with the lease.

    Attributes:
        worker_id: the worker's id, which begins with its process's name, if it has one.
        slots: how many jobs it takes at a time; None if its key does not say.
        busy: how many it has.
        since_revision: of the store, at which it registered.
        lease_left: seconds that its lease still has; None if the store does not tell.
    """

    worker_id: str
    slots: int | None
    busy: int
    since_revision: int
    lease_left: float | None = None


@attrs.frozen(kw_only=True)
class PlaceStatus:
    """What stands in one of the queue's places.

    Attributes:
        place: which.
        jobs: how many.
        oldest: seconds since the job planned first was planned; None if there is none, or nobody
            knows.
        bands: how many of each band; ``""`` for jobs without notes (``rules`` 25).
        tenants: how many of each tenant; ``""`` likewise.
    """

    place: Place
    jobs: int
    oldest: float | None
    bands: Mapping[str, int]
    tenants: Mapping[str, int]


@attrs.frozen(kw_only=True)
class Resources:
    """How many records there are.

    Attributes:
        configs: of resources, heat_templates left out.
        templates: heat_templates.
        processed: configs that have been processed. While it is less than ``configs``, some are
            held, set aside, or not read yet.
        states: results.
        stacks: records of Heat stacks.
        failed: results with an error; None unless they were to be read.
        resync: unfinished jobs that a restart's reading, and no new change, has planned.
    """

    configs: int
    templates: int
    processed: int
    states: int
    stacks: int
    failed: int | None
    resync: int


@attrs.frozen(kw_only=True)
class Troubles:
    """How many things want an operator's look, or wait for something.

    Attributes:
        held: configs that wait for a resource, or were vetoed (``rules`` 5).
        held_jobs: jobs that wait for a failed dependency to recover (``rules`` 14).
        broken_jobs: jobs that are held until their document, which can't be used, changes.
        nowhere: jobs that stand in no place, which the leader repairs.
        strangers: claimed jobs whose worker is not registered: another program's.
        failing: failed jobs whose dependants are being dealt with.
        quarantined: keys that can't be used (``rules`` 10).
        orphans: stacks whose config is gone (``rules`` 16).
        repairs: stacks to be made right (``rules`` 18).
        reports: monitoring statuses that wait for their version's result (``rules`` 20).
    """

    held: int
    held_jobs: int
    broken_jobs: int
    nowhere: int
    strangers: int
    failing: int
    quarantined: int
    orphans: int
    repairs: int
    reports: int


@attrs.frozen(kw_only=True)
class Status:
    """What a deployment is doing.

    Attributes:
        revision: of the store, as of which all of this was read.
        leader: who leads; None: nobody.
        workers: those alive, by id.
        places: of the queue, in the order in which a job goes through them.
        resources: how many there are.
        troubles: what wants a look.
        size: bytes that count towards the store's quota; None if the store does not tell.
        alarms: of the store, such as ``NOSPACE``.
    """

    revision: int
    leader: LeaderStatus | None
    workers: tuple[WorkerStatus, ...]
    places: tuple[PlaceStatus, ...]
    resources: Resources
    troubles: Troubles
    size: int | None
    alarms: tuple[str, ...]

    @property
    def jobs(self) -> int:
        """How many jobs stand anywhere in the queue."""
        return sum(place.jobs for place in self.places)


def read_status(
    store: Store,
    codec: Codec | None = None,
    *,
    clock: Clock | None = None,
    failures: bool = False,
) -> Status:
    """What a deployment is doing, all as of one revision. Nothing is written.

    Args:
        store: where everything is kept.
        codec: knows the keys, and reads records.
        clock: tells how old a job is.
        failures: whether to read every result, to count those with an error.

    Raises:
        StoreError: the store can't be read.
    """
    codec, clock = codec or Codec(), clock or SystemClock()
    queue = Queue(codec.keys, codec)

    def read(revision: int) -> Status:
        return _Look(store, queue, revision, clock).status(store, failures=failures)

    return at_one_revision(store, read)


@attrs.frozen
class _Look:
    """Reads everything as of one revision."""

    store: Reader
    queue: Queue
    revision: int
    clock: Clock

    def status(self, store: Store, *, failures: bool) -> Status:
        queued = read_queue(self.store, self.queue, self.revision)
        workers = tuple(self._all(self.queue.own.workers_prefix))
        size, alarms = _measures(store)
        return Status(
            revision=self.revision,
            leader=self._leader(),
            workers=self._workers(workers, queued),
            places=tuple(self._place(place, queued) for place in Place),
            resources=self._resources(queued, failures=failures),
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

    def _resources(self, queued: Iterable[QueuedJob], *, failures: bool) -> Resources:
        keys = self.queue.keys
        templates = self._count(keys.config + keys.templates)
        return Resources(
            configs=self._count(keys.config) - templates,
            templates=templates,
            processed=self._count(keys.processed_prefix),
            states=self._count(keys.state),
            stacks=self._count(keys.heat_stack_prefix),
            failed=self._failed() if failures else None,
            resync=sum(job.notes is not None and job.notes.band == Band.RESYNC for job in queued),
        )

    def _failed(self) -> int:
        found = 0
        for entry in self._all(self.queue.keys.state):
            if any(text in entry.value for text in _NO_ERROR):
                continue  # nearly all of them: parsing each would take most of the time
            try:
                found += bool(self.queue.codec.state(entry.key, entry.value).error)
            except GohanJobsError:
                found += 1
        return found

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
