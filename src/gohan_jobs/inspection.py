"""Looking without touching: why a resource is as it is, and what a config would do."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import TypeVar

import attrs

from gohan_jobs.board import Board, Tracked, in_order
from gohan_jobs.bookkeeping import JobNotes, Orphan, Quarantined
from gohan_jobs.codec import Codec
from gohan_jobs.estate import Estate
from gohan_jobs.exceptions import GohanJobsError
from gohan_jobs.keys import JobId, Place, ResourcePath
from gohan_jobs.keyspace import settled_in
from gohan_jobs.planning import HEAT_HANDLER, Change, Plan, plan_change
from gohan_jobs.queue import Queue
from gohan_jobs.records import Action, HeatStack, ResourceRef, StateRecord
from gohan_jobs.schemas import Schemas
from gohan_jobs.stores.base import Entry, Store, scan
from gohan_jobs.view import View

__all__ = ["Explanation", "Inspector", "JobExplanation"]

T = TypeVar("T")


@attrs.frozen(kw_only=True)
class JobExplanation:
    """Where an unfinished job is, and why.

    Attributes:
        job_id: which.
        place: where it stands; None: nowhere, which the leader repairs.
        waiting_for: unfinished jobs that it waits for, and where each stands.
        holder: the reservation's uuid, while a worker has it.
        planned_at: since when it is in the queue, ISO 8601.
        attempts: claims lost so far.
        retries: times its handler asked to try again.
        last_error: why it was handed back last, or is held.
    """

    job_id: JobId
    place: Place | None
    waiting_for: tuple[tuple[JobId, Place | None], ...] = ()
    holder: str = ""
    planned_at: str = ""
    attempts: int = 0
    retries: int = 0
    last_error: str = ""


@attrs.frozen(kw_only=True)
class Explanation:
    """Why a resource is as it is.

    Attributes:
        resource: which.
        version: of its config; None if there is none, or it can't be read.
        processed_version: of the config processed last; None if none was.
        state: its result; None if there is none.
        stack: its stack's record; None if there is none.
        jobs: its unfinished jobs, oldest first.
        set_aside: why its config can't be used; empty if it can.
        orphan: why its stack is an orphan; empty if it is not.
        summary: all of that in one sentence.
    """

    resource: ResourceRef
    version: int | None
    processed_version: int | None
    state: StateRecord | None
    stack: HeatStack | None
    jobs: tuple[JobExplanation, ...]
    set_aside: str = ""
    orphan: str = ""
    summary: str = ""


class Inspector:
    """Reads; never writes.

    Args:
        store: where everything is kept.
        codec: reads records.
        queue: knows the keys.
        schemas: the types.
    """

    def __init__(self, store: Store, codec: Codec, queue: Queue, schemas: Schemas) -> None:
        self._store = store
        self._codec = codec
        self._queue = queue
        self._schemas = schemas
        self._keys = queue.keys

    def has_job(self, ref: ResourceRef, version: int) -> bool:
        """Whether a version of a resource has an unfinished job."""
        return any(job_id.version == version for job_id in self.job_ids(ref))

    def job_ids(self, ref: ResourceRef) -> tuple[JobId, ...]:
        """A resource's unfinished jobs, oldest first, by one read for each action and handler."""
        handlers = {handler for schema in self._schemas for handler in schema.templates}
        found: list[tuple[int, Tracked]] = []
        for action, handler in itertools.product(Action, sorted(handlers | {HEAT_HANDLER})):
            prefix = f"{self._keys.all_jobs}{action}:{handler}:{ref}:"
            for page in scan(self._store, prefix):
                found += [
                    (entry.create_revision, job)
                    for entry in page.entries
                    if (job := self._tracked(entry, None)) is not None
                ]
        return tuple(job.job_id for job in in_order(found))

    def explain(self, ref: ResourceRef, path: ResourcePath) -> Explanation:
        """Why a resource is as it is."""
        own = self._queue.own
        config = self._store.get(self._keys.config_of(path))
        aside = self._store.get(own.quarantine(self._keys.config_of(path)))
        orphan = self._store.get(own.orphan(path))
        found = Explanation(
            resource=ref,
            version=_read(lambda e: self._codec.config(e.key, e.value).version, config),
            processed_version=_read(
                lambda e: self._codec.processed(e.key, e.value).version,
                self._store.get(self._keys.processed_of(path)),
            ),
            state=_read(
                lambda e: self._codec.state(e.key, e.value),
                self._store.get(self._keys.state_of(path)),
            ),
            stack=_read(
                lambda e: self._codec.heat_stack(e.key, e.value),
                self._store.get(self._keys.heat_stack_of(path)),
            ),
            jobs=tuple(map(self._explain_job, self.job_ids(ref))),
            set_aside=_read(lambda e: own.loads(e.key, e.value, Quarantined).reason, aside) or "",
            orphan=_read(lambda e: own.loads(e.key, e.value, Orphan).reason, orphan) or "",
        )
        return attrs.evolve(found, summary=_summary(found, there=config is not None))

    def _explain_job(self, job_id: JobId) -> JobExplanation:
        place, entry = self._place(job_id)
        notes_entry = self._store.get(self._queue.own.job(job_id))
        notes = _read(
            lambda e: self._queue.own.loads(e.key, e.value, JobNotes), notes_entry
        ) or JobNotes(planned_at="", path="")
        return JobExplanation(
            job_id=job_id,
            place=place,
            waiting_for=self._waits(job_id) if place is Place.WAITING else (),
            holder=_holder(entry) if place is Place.WORKING else "",
            planned_at=notes.planned_at,
            attempts=notes.attempts,
            retries=notes.retries,
            last_error=notes.last_error,
        )

    def _waits(self, job_id: JobId) -> tuple[tuple[JobId, Place | None], ...]:
        job = _read(self._queue.read_job, self._store.get(self._keys.job(job_id)))
        return tuple(
            (needed, self._place(needed)[0])
            for needed in (() if job is None else job.dependency)
            if self._store.get(self._keys.job(needed)) is not None
        )

    def _place(self, job_id: JobId) -> tuple[Place | None, Entry | None]:
        for place in Place:
            entry = self._store.get(self._keys.place(place, job_id))
            if entry is not None:
                return place, entry
        return None, None

    def plan(
        self,
        path: ResourcePath,
        ref: ResourceRef,
        text: bytes,
        suffix: Callable[[], str],
    ) -> Plan:
        """What a config would do if it were written now."""
        revision = self._store.revision()
        settled = settled_in(self._store, self._queue.own)
        estate, board = Estate(self._codec, self._schemas, settled), Board()
        for prefix, put in (
            (self._keys.config, estate.put_config),
            (self._keys.processed_prefix, estate.put_processed),
            (self._keys.state, estate.put_state),
            (self._keys.heat_stack_prefix, estate.put_stack),
        ):
            for page in scan(self._store, prefix, revision=revision):
                for entry in page.entries:
                    found = self._keys.path_in(prefix, entry.key)
                    if found is not None:
                        put(found, entry)
        self._load_board(board, revision)
        board.connect()
        key = self._keys.config_of(path)
        current = estate.config_entry(path)
        created = current.create_revision if current is not None else revision + 1
        entry = Entry(
            key=key, value=text, create_revision=created, mod_revision=revision + 1, version=1
        )
        estate.put_config(path, entry)
        schema = self._schemas.by_type(ref.resource_type)
        assert schema is not None  # noqa: S101 - its path is known
        change = Change(
            path=path,
            resource=ref,
            schema=schema,
            config=self._codec.config(key, text),
            create_revision=created,
            mod_revision=revision + 1,
        )
        return plan_change(change, View(estate, board), self._schemas, suffix)

    def _load_board(self, board: Board, revision: int) -> None:
        notes = {entry.key: entry for entry in self._all(self._queue.own.jobs_prefix, revision)}
        places = {
            entry.key.removeprefix(prefix): (place, entry.mod_revision)
            for place in Place
            for prefix in (self._keys.place_prefix(place),)
            for entry in self._all(prefix, revision)
        }
        found: list[tuple[int, Tracked]] = []
        for entry in self._all(self._keys.all_jobs, revision):
            name = entry.key.removeprefix(self._keys.all_jobs)
            job = self._tracked(entry, notes.get(f"{self._queue.own.jobs_prefix}{name}"))
            if job is not None:
                job.place, job.revision = places.get(name, (None, 0))
                found.append((entry.create_revision, job))
        for job in in_order(found):
            board.add(job)

    def _all(self, prefix: str, revision: int) -> Iterator[Entry]:
        for page in scan(self._store, prefix, revision=revision):
            yield from page.entries

    def _tracked(self, entry: Entry, notes_entry: Entry | None) -> Tracked | None:
        """A job, standing nowhere; one that can't be read as the leader sees it: it blocks."""
        try:
            job_id = self._keys.job_id_in(self._keys.all_jobs, entry.key)
        except GohanJobsError:
            return None
        schema = self._schemas.by_type(job_id.resource_type)
        path = ResourcePath("") if schema is None else schema.path_of(job_id.resource_id)
        notes = _read(lambda e: self._queue.own.loads(e.key, e.value, JobNotes), notes_entry)
        notes = notes or JobNotes(planned_at="", path=path)
        job = _read(self._queue.read_job, entry)
        if job is None:
            return Tracked.unreadable(job_id, path, notes)
        return Tracked.of(job, path, notes, None, 0)


def _read(reader: Callable[[Entry], T], entry: Entry | None) -> T | None:
    if entry is None:
        return None
    try:
        return reader(entry)
    except GohanJobsError:
        return None


def _holder(entry: Entry | None) -> str:
    return "" if entry is None else entry.value.decode(errors="replace")


def _summary(found: Explanation, *, there: bool) -> str:
    """The first thing to know."""
    if found.set_aside:
        return f"its config can't be used: {found.set_aside}"
    if found.orphan:
        return f"its stack is an orphan: {found.orphan}"
    if found.jobs:
        return _job_summary(found.jobs[0])
    return _config_summary(found) if there else "there is no config"


def _config_summary(found: Explanation) -> str:
    version, state = found.version, found.state
    if state is not None and state.version == version:
        if state.error:
            return f"version {version} failed: {state.error}"
        return f"version {version} is done: {state.worker_state}"
    if found.processed_version == version:
        return f"version {version} is processed and has no result"
    return f"version {version} is not planned: held, or not read yet"


def _job_summary(job: JobExplanation) -> str:
    if job.waiting_for:
        needed, place = job.waiting_for[0]
        others = len(job.waiting_for) - 1
        more = f" and {others} more" if others else ""
        return f"{job.job_id} waits for {needed} ({place or 'nowhere'}){more}"
    if job.place is Place.WORKING:
        return f"{job.job_id} is being worked on by {job.holder}, since {job.planned_at}"
    where = f"{job.job_id} is {job.place or 'nowhere'}"
    return f"{where}: {job.last_error}" if job.last_error else where
