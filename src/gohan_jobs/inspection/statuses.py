"""What a deployment is doing, as :mod:`gohan_jobs.inspection.overview` finds it."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from gohan_jobs.keys import Place

__all__ = [
    "FailedResult",
    "LeaderStatus",
    "PlaceStatus",
    "Resources",
    "Status",
    "Troubles",
    "WorkerStatus",
]


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
class FailedResult:
    """A version that has failed, as its ``/state`` says.

    Attributes:
        path: of the resource.
        revision: of the store, at which the result was written.
        error: what it says, without the resource's secrets; why it can't be read, if it can't.
        version: which one; None if it can't be read.
        worker_state: of it; empty if it can't be read.
    """

    path: str
    revision: int
    error: str
    version: int | None = None
    worker_state: str = ""


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
        failures: the newest hundred results with an error, the last first; empty unless asked for.
    """

    revision: int
    leader: LeaderStatus | None
    workers: tuple[WorkerStatus, ...]
    places: tuple[PlaceStatus, ...]
    resources: Resources
    troubles: Troubles
    size: int | None
    alarms: tuple[str, ...]
    failures: tuple[FailedResult, ...] = ()

    @property
    def jobs(self) -> int:
        """How many jobs stand anywhere in the queue."""
        return sum(place.jobs for place in self.places)
