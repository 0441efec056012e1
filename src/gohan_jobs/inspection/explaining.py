"""Reading what explains a resource: its records, its jobs, and those that they wait for."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence

import attrs

from gohan_jobs.bookkeeping import Held, JobNotes, Orphan, Quarantined
from gohan_jobs.codec import Codec
from gohan_jobs.inspection.explanations import (
    Explanation,
    Holder,
    JobExplanation,
    root_cause_of,
    summary_of,
)
from gohan_jobs.inspection.failed_configs import is_to_blame, missing_in, template_meant
from gohan_jobs.inspection.queued import read
from gohan_jobs.keys import JobId, Place, ResourcePath
from gohan_jobs.queue import Queue
from gohan_jobs.records import ResourceRef
from gohan_jobs.records.job import resource_noted
from gohan_jobs.schemas import Schemas
from gohan_jobs.stores.base import Entry, Get, Store, Transaction, entries_below, lease_left

__all__ = ["Explainer"]

_AT_ONCE = 16  # seven reads each: as many as fit one transaction
_MOST_JOBS = 2_000


@attrs.frozen(kw_only=True)
class _Found:
    """An unfinished job as it was read.

    Attributes:
        dependency: the jobs that its document names, if it waits.
        entry: at its place.
    """

    explained: JobExplanation
    dependency: tuple[JobId, ...]
    entry: Entry | None


class Explainer:
    """Explains; each resource and each job is read at one revision.

    Args:
        store: where everything is kept.
        codec: reads records.
        queue: knows the keys.
        schemas: the types.
        job_ids: gives a resource's unfinished jobs, oldest first.
    """

    def __init__(
        self,
        store: Store,
        codec: Codec,
        queue: Queue,
        schemas: Schemas,
        job_ids: Callable[[ResourceRef], tuple[JobId, ...]],
    ) -> None:
        self._store = store
        self._codec = codec
        self._queue = queue
        self._keys = queue.keys
        self._schemas = schemas
        self._job_ids = job_ids

    def explain(
        self, ref: ResourceRef, path: ResourcePath, seen: frozenset[ResourceRef] = frozenset()
    ) -> Explanation:
        """Why a resource is as it is.

        Args:
            ref: the resource.
            path: its path.
            seen: those that are being explained already: none is explained by itself.
        """
        own = self._queue.own
        config, aside, orphan, processed, state, stack, held = self._entries(
            (
                self._keys.config_of(path),
                own.quarantine(self._keys.config_of(path)),
                own.orphan(path),
                self._keys.processed_of(path),
                self._keys.state_of(path),
                self._keys.heat_stack_of(path),
                own.held(path),
            )
        )
        jobs, chain = self._jobs(self._job_ids(ref))
        found = Explanation(
            resource=ref,
            version=read(lambda e: self._codec.config(e.key, e.value).version, config),
            processed_version=read(
                lambda e: self._codec.processed(e.key, e.value).version, processed
            ),
            state=read(lambda e: self._codec.state(e.key, e.value), state),
            stack=read(lambda e: self._codec.heat_stack(e.key, e.value), stack),
            jobs=jobs,
            set_aside=read(lambda e: own.loads(e.key, e.value, Quarantined).reason, aside) or "",
            orphan=read(lambda e: own.loads(e.key, e.value, Orphan).reason, orphan) or "",
            held=read(lambda e: own.loads(e.key, e.value, Held), held),
            chain=chain,
        )
        found = attrs.evolve(
            found,
            template=template_meant(
                self._store, self._codec, self._schemas, ref, config, found.state
            ),
            summary=summary_of(found, None if config is None else config.mod_revision),
            blocked_by=self._blocked_by(found, seen | {ref}),
        )
        return attrs.evolve(found, root_cause=root_cause_of(found))

    def _blocked_by(self, found: Explanation, seen: frozenset[ResourceRef]) -> Explanation | None:
        """The resource at the end, if that is another one."""
        needed = _needed(found)
        if needed is None or needed in seen:
            return None
        schema = self._schemas.by_type(needed.resource_type)
        if schema is None:
            return None
        other = self.explain(needed, schema.path_of(needed.resource_id), seen)
        return other if is_to_blame(found, other) else None

    # Jobs.

    def _jobs(
        self, job_ids: tuple[JobId, ...]
    ) -> tuple[tuple[JobExplanation, ...], tuple[JobExplanation, ...]]:
        """Those jobs, and the chain from the first of them to what all wait for in the end."""
        found = self._with_dependencies(job_ids)
        holders = self._holders(found.values())
        explained = {
            job_id: attrs.evolve(
                job.explained,
                waiting_for=tuple(
                    (needed, found[needed].explained.place)
                    for needed in job.dependency
                    if needed in found
                ),
                held_by=holders.get(job_id),
            )
            for job_id, job in found.items()
        }
        jobs = tuple(explained[job_id] for job_id in job_ids if job_id in explained)
        return jobs, _chain(jobs[0], explained) if jobs else ()

    def _with_dependencies(self, job_ids: Iterable[JobId]) -> dict[JobId, _Found]:
        """Those jobs and the unfinished ones that they wait for, one degree after the other."""
        found: dict[JobId, _Found] = {}
        asked: set[JobId] = set()
        following = list(dict.fromkeys(job_ids))
        while following and len(asked) < _MOST_JOBS:
            asked.update(following)
            new = {job.explained.job_id: job for job in self._read_jobs(following)}
            found |= new
            needed = itertools.chain.from_iterable(job.dependency for job in new.values())
            following = [job_id for job_id in dict.fromkeys(needed) if job_id not in asked]
        return found

    def _read_jobs(self, job_ids: Iterable[JobId]) -> Iterator[_Found]:
        """Those of the jobs that are unfinished, many with one request."""
        own, keys = self._queue.own, self._keys
        waiting = iter(job_ids)
        while some := tuple(itertools.islice(waiting, _AT_ONCE)):
            entries = iter(
                self._entries(
                    key
                    for job_id in some
                    for key in (
                        keys.job(job_id),
                        own.job(job_id),
                        own.quarantine(keys.job(job_id)),
                        *(keys.place(place, job_id) for place in Place),
                    )
                )
            )
            for job_id in some:
                document, notes, aside, *places = itertools.islice(entries, 3 + len(Place))
                if document is not None:
                    yield self._found(job_id, document, notes, aside, places)

    def _found(
        self,
        job_id: JobId,
        document: Entry,
        noted: Entry | None,
        aside: Entry | None,
        places: Sequence[Entry | None],
    ) -> _Found:
        own = self._queue.own
        notes = read(lambda e: own.loads(e.key, e.value, JobNotes), noted)
        notes = notes or JobNotes(planned_at="", path="")
        place, entry = next(
            (each for each in zip(Place, places, strict=True) if each[1] is not None), (None, None)
        )
        job = read(self._queue.read_job, document) if place is Place.WAITING else None
        explained = JobExplanation(
            job_id=job_id,
            place=place,
            holder=_text(entry) if place is Place.WORKING else "",
            planned_at=notes.planned_at,
            attempts=notes.attempts,
            retries=notes.retries,
            last_error=notes.last_error,
            held_for=notes.held_for,
            held_until=notes.held_until,
            set_aside=read(lambda e: own.loads(e.key, e.value, Quarantined).reason, aside) or "",
        )
        return _Found(
            explained=explained, dependency=() if job is None else job.dependency, entry=entry
        )

    def _holders(self, jobs: Iterable[_Found]) -> dict[JobId, Holder]:
        """Who has those of the jobs that somebody has: whose lease their reservation is under."""
        working = [job for job in jobs if job.explained.place is Place.WORKING]
        if not working:
            return {}
        prefix = self._queue.own.workers_prefix
        workers = {
            entry.lease: entry.key.removeprefix(prefix)
            for entry in entries_below(self._store, prefix)
        }
        leases = {job.entry.lease for job in working if job.entry is not None}
        left = {lease: lease_left(self._store, lease) for lease in leases}
        return {
            job.explained.job_id: Holder(
                reservation=job.explained.holder,
                worker_id=workers.get(job.entry.lease, ""),
                lease_left=left[job.entry.lease],
            )
            for job in working
            if job.entry is not None
        }

    def _entries(self, keys: Iterable[str]) -> list[Entry | None]:
        """What stands at some keys, all at one revision."""
        result = self._store.transact(Transaction((), tuple(map(Get, keys))))
        return [entry if isinstance(entry, Entry) else None for entry in result.results]


def _text(entry: Entry | None) -> str:
    return "" if entry is None else entry.value.decode(errors="replace")


def _needed(found: Explanation) -> ResourceRef | None:
    """The resource at the end of what is waited for."""
    last = found.chain[-1] if found.chain else None
    if last is None and found.held is None:
        return missing_in(found)
    if last is not None and not last.held_for:
        return last.resource
    text = last.held_for if last is not None else found.held.missing if found.held else ""
    needed = resource_noted(text)
    return needed if needed.resource_id else None


def _chain(
    first: JobExplanation, explained: dict[JobId, JobExplanation]
) -> tuple[JobExplanation, ...]:
    """The shortest way from a job to the worst of those at the end of its dependencies."""
    came_from: dict[JobId, JobId | None] = {first.job_id: None}
    following = deque([first])
    ends: list[JobExplanation] = []
    while following:
        job = following.popleft()
        new = [needed for needed, _ in job.waiting_for if needed not in came_from]
        came_from |= dict.fromkeys(new, job.job_id)
        following.extend(explained[needed] for needed in new)
        if not job.waiting_for:
            ends.append(job)
    # None ends if somebody has made them wait in a circle, which planning can't (rules 6).
    step: JobId | None = min(ends, key=_hopelessness, default=first).job_id
    chain: list[JobExplanation] = []
    while step is not None:
        chain.append(explained[step])
        step = came_from[step]
    return tuple(reversed(chain))


def _hopelessness(job: JobExplanation) -> tuple[int, str]:
    """Smaller for what goes on less by itself; then for what is there longer."""
    signs = (
        bool(job.set_aside),
        bool(job.held_until),
        job.place is None,
        job.held_by is not None and not job.held_by.alive,
        bool(job.last_error),
        True,
    )
    return signs.index(True), job.planned_at
