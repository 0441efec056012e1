"""What the leader knows of the queue: where each unfinished job is and what it waits for.

Indexed so that a release costs the job's own dependants, and choosing what may be claimed next
costs what is chosen, however many jobs wait. No I/O here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

import attrs

from gohan_jobs.bookkeeping import JobNotes
from gohan_jobs.fairness import FairQueue
from gohan_jobs.keys import JobId, Place, ResourcePath
from gohan_jobs.planning import KnownJob
from gohan_jobs.records import Action, Job, OnFailure, ResourceRef

__all__ = ["Board", "Tracked", "in_order"]

K = TypeVar("K")


@attrs.define(eq=False)
class Tracked:
    """An unfinished job as the leader sees it.

    Attributes:
        job_id: its id.
        path: its resource's path.
        notes: what is noted of it.
        references: the other resources in its params.
        dependency: the jobs its document names, whether they are done or not.
        is_first: whether it begins its workflow.
        is_last: whether it ends it.
        on_failure: what its failure does.
        place: where it stands; None: nowhere, which a restart or a death can leave behind.
        revision: since when it stands there.
        waiting_for: the unfinished jobs among its dependencies.
        due: clock time before which it may not be claimed; None while nothing delays it.
        begun: whether a worker has, or has had, it: its stack may exist, though no record says so.
        broken: whether its document can't be read, so that it may not be claimed (``rules`` 10).
    """

    job_id: JobId
    path: ResourcePath
    notes: JobNotes
    references: frozenset[ResourceRef]
    dependency: tuple[JobId, ...]
    is_first: bool
    is_last: bool
    on_failure: str
    place: Place | None
    revision: int
    waiting_for: set[JobId] = attrs.field(factory=set)
    due: float | None = None
    begun: bool = False
    broken: bool = False

    @classmethod
    def unreadable(cls, job_id: JobId, path: ResourcePath, notes: JobNotes) -> Tracked:
        """A job whose document somebody broke: it keeps its place, and its dependants wait."""
        return cls(
            job_id=job_id,
            path=path,
            notes=notes,
            references=frozenset(),
            dependency=(),
            is_first=True,
            is_last=True,
            on_failure=OnFailure.FAIL,
            place=None,
            revision=0,
            broken=True,
        )

    @classmethod
    def of(
        cls,
        job: Job,
        path: ResourcePath,
        notes: JobNotes,
        place: Place | None,
        revision: int,
    ) -> Tracked:
        """From a job's document and the notes on it."""
        return cls(
            job.id,
            path,
            notes,
            job.references,
            job.dependency,
            job.is_first,
            job.is_last,
            str(job.on_failure),
            place,
            revision,
            begun=notes.begun,
        )

    @property
    def resource(self) -> ResourceRef:
        """The resource it works on."""
        return ResourceRef(self.job_id.resource_type, self.job_id.resource_id)

    @property
    def unclaimed(self) -> bool:
        """Whether no worker has it."""
        return self.place in {Place.WAITING, Place.READY}

    @property
    def deletes(self) -> bool:
        """Whether it removes its resource's stack."""
        return self.job_id.action in {Action.LOGICAL_DELETE, Action.DELETE}


def in_order(found: Iterable[tuple[int, Tracked]]) -> list[Tracked]:
    """Jobs in the order in which they were planned, whatever order they were read in.

    Args:
        found: each job's document's create revision, and the job. Jobs of one workflow are planned
            at one revision, and each waits for those before it.
    """

    def age(item: tuple[int, Tracked]) -> tuple[int, int, bool, int]:
        revision, job = item
        return revision, job.notes.config_mod, not job.is_first, len(job.dependency)

    return [job for _, job in sorted(found, key=age)]


class Board:
    """The unfinished jobs, indexed. Not thread-safe: it belongs to one job manager.

    What is told of a job that is no longer here, or has been replaced, changes nothing: events come
    late, and timers later.
    """

    def __init__(self) -> None:
        self._jobs: dict[JobId, Tracked] = {}
        self._by_resource: dict[ResourceRef, dict[JobId, Tracked]] = {}
        self._referring: dict[ResourceRef, dict[JobId, Tracked]] = {}
        self._dependants: dict[JobId, dict[JobId, Tracked]] = {}
        self._by_template: dict[str, dict[JobId, Tracked]] = {}
        self._places: dict[Place, dict[JobId, Tracked]] = {place: {} for place in Place}
        self._eligible = FairQueue()

    def __len__(self) -> int:
        return len(self._jobs)

    def __iter__(self) -> Iterator[Tracked]:
        return iter(self._jobs.values())

    def get(self, job_id: JobId) -> Tracked | None:
        """An unfinished job."""
        return self._jobs.get(job_id)

    def at(self, place: Place) -> Iterable[Tracked]:
        """The jobs at a place, in the order in which they came there."""
        return self._places[place].values()

    def count(self, place: Place) -> int:
        """How many jobs are at a place."""
        return len(self._places[place])

    def add(self, job: Tracked) -> None:
        """Take in a job; those of its dependencies that are not here are done."""
        before = self._jobs.get(job.job_id)
        waiting = () if before is None else self.remove(before)
        job.waiting_for.clear()
        self._jobs[job.job_id] = job
        self._by_resource.setdefault(job.resource, {})[job.job_id] = job
        for reference in job.references:
            self._referring.setdefault(reference, {})[job.job_id] = job
        if job.notes.template_id:
            self._by_template.setdefault(job.notes.template_id, {})[job.job_id] = job
        for needed in job.dependency:
            if needed in self._jobs:
                job.waiting_for.add(needed)
                self._dependants.setdefault(needed, {})[job.job_id] = job
        if job.place is not None:
            self._places[job.place][job.job_id] = job
        self._connect(job, waiting)
        self._reconsider(job)

    def restore(self, job: Tracked) -> None:
        """Take back a job that was removed though it was not gone.

        Only unclaimed jobs that no other resource's wait for are, so its own resource's are all
        that may wait for it.
        """
        self.add(job)
        self._connect(job, self.of_resource(job.resource))

    def connect_to(self, job: Tracked) -> None:
        """A job came from elsewhere: find those that name it, wherever they are."""
        self._connect(job, tuple(self))

    def _connect(self, job: Tracked, others: Iterable[Tracked]) -> None:
        for other in others:
            if job.job_id in other.dependency:
                other.waiting_for.add(job.job_id)
                self._dependants.setdefault(job.job_id, {})[other.job_id] = other
                self._reconsider(other)

    def connect(self) -> None:
        """Work out all dependencies again, after jobs were added in any order."""
        for job in self._jobs.values():
            for needed in job.dependency:
                if needed in self._jobs and needed not in job.waiting_for:
                    job.waiting_for.add(needed)
                    self._dependants.setdefault(needed, {})[job.job_id] = job
            self._reconsider(job)

    def move(self, job: Tracked, place: Place | None, revision: int) -> None:
        """A job now stands somewhere else."""
        if not self._tracks(job):
            return
        if job.place is not None:
            self._places[job.place].pop(job.job_id, None)
        job.begun = job.begun or Place.WORKING in {job.place, place}
        job.place, job.revision = place, revision
        if place is not None:
            self._places[place][job.job_id] = job
        self._reconsider(job)

    def remove(self, job: Tracked) -> tuple[Tracked, ...]:
        """A job is done, or gone: those that waited for it no longer do.

        Returns:
            Its dependants, in the order in which they were planned.
        """
        if not self._tracks(job):
            return ()
        del self._jobs[job.job_id]
        if job.place is not None:
            self._places[job.place].pop(job.job_id, None)
        _discard(self._by_resource, job.resource, job.job_id)
        for reference in job.references:
            _discard(self._referring, reference, job.job_id)
        _discard(self._by_template, job.notes.template_id, job.job_id)
        for needed in job.waiting_for:
            _discard(self._dependants, needed, job.job_id)
        self._eligible.discard(job.job_id)
        dependants = tuple(self._dependants.pop(job.job_id, {}).values())
        for dependant in dependants:
            dependant.waiting_for.discard(job.job_id)
            self._reconsider(dependant)
        return dependants

    def update(self, job: Tracked, notes: JobNotes) -> None:
        """The notes on a job have changed."""
        if not self._tracks(job):
            return
        _discard(self._by_template, job.notes.template_id, job.job_id)
        held_before, job.notes = job.notes.held_for, notes
        job.begun = job.begun or notes.begun
        if notes.template_id:
            self._by_template.setdefault(notes.template_id, {})[job.job_id] = job
        self._reconsider(job)
        if notes.held_for != held_before:
            for dependant in self.dependants(job.job_id):
                self._reconsider(dependant)

    def delay(self, job: Tracked, due: float | None) -> None:
        """A job may not be claimed before that time; None: it may at any."""
        if not self._tracks(job):
            return
        job.due = due
        self._reconsider(job)

    def dependants(self, job_id: JobId) -> tuple[Tracked, ...]:
        """The jobs that wait for one."""
        return tuple(self._dependants.get(job_id, {}).values())

    def with_template(self, template_id: str) -> tuple[Tracked, ...]:
        """The unclaimed jobs whose params come from a template."""
        jobs = self._by_template.get(template_id, {}).values()
        return tuple(job for job in jobs if job.unclaimed)

    def of_resource(self, resource: ResourceRef) -> tuple[Tracked, ...]:
        """A resource's jobs, oldest first."""
        return tuple(self._by_resource.get(resource, {}).values())

    def workflow(self, job: Tracked) -> tuple[Tracked, ...]:
        """The unfinished jobs of the same config version, in order."""
        return tuple(
            other
            for other in self.of_resource(job.resource)
            if other.job_id.version == job.job_id.version
            and other.notes.config_mod == job.notes.config_mod
        )

    def has_older(self, job: Tracked) -> bool:
        """Whether it waits for an unfinished job of an older version of its resource."""
        mates = self.workflow(job)
        found = [other for other in self.of_resource(job.resource) if other not in mates]
        return any(other.job_id in job.waiting_for for other in found)

    def next_ready(self, number: int) -> list[Tracked]:
        """The next waiting jobs that may be claimed: fresh before resync, tenants in turn.

        They stay eligible until they are moved.
        """
        return [self._jobs[job_id] for job_id in self._eligible.first(number)]

    @property
    def eligible(self) -> int:
        """How many waiting jobs may be claimed."""
        return len(self._eligible)

    # For planning.

    def jobs_of(self, resource: ResourceRef) -> tuple[KnownJob, ...]:
        """As :meth:`gohan_jobs.planning.Known.jobs_of`."""
        jobs = [job for job in self.of_resource(resource) if job.place is not Place.FINISHED]
        return tuple(self._known(job) for job in jobs)

    def jobs_referring_to(self, resource: ResourceRef) -> Iterator[KnownJob]:
        """As :meth:`gohan_jobs.planning.Known.jobs_referring_to`."""
        for job in self._referring.get(resource, {}).values():
            if job.place is not Place.FINISHED:
                yield self._known(job)

    def _known(self, job: Tracked) -> KnownJob:
        claimed = not job.unclaimed
        return KnownJob(
            job_id=job.job_id,
            references=job.references,
            claimed=claimed,
            begun=job.begun or claimed or not self._whole(job),
            needed=any(other.resource != job.resource for other in self.dependants(job.job_id)),
            config_mod=job.notes.config_mod,
        )

    def _whole(self, job: Tracked) -> bool:
        """Whether its workflow's first job is still here, and nobody has ever claimed it."""
        return any(
            other.is_first and other.unclaimed and not other.begun for other in self.workflow(job)
        )

    def _tracks(self, job: Tracked) -> bool:
        return self._jobs.get(job.job_id) is job

    def _blocked(self, job: Tracked) -> bool:
        """Whether it waits for a job, other than one that is held until this resource recovers."""
        resource = str(job.resource)
        return any(self._jobs[needed].notes.held_for != resource for needed in job.waiting_for)

    def _reconsider(self, job: Tracked) -> None:
        free = (
            job.place is Place.WAITING
            and not self._blocked(job)
            and job.due is None
            and not job.notes.held_until
            and not job.broken
        )
        if free:
            self._eligible.add(job.job_id, job.notes.band, job.notes.tenant)
        else:
            self._eligible.discard(job.job_id)


def _discard(index: dict[K, dict[JobId, Tracked]], key: K, job_id: JobId) -> None:
    members = index.get(key)
    if members is not None:
        members.pop(job_id, None)
        if not members:
            del index[key]
