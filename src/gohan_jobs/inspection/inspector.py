"""Looking without touching: why a resource is as it is, and what a config would do."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

from gohan_jobs.board import Board, Tracked, in_order
from gohan_jobs.bookkeeping import JobNotes
from gohan_jobs.codec import Codec
from gohan_jobs.estate import Estate
from gohan_jobs.exceptions import GohanJobsError
from gohan_jobs.inspection.explaining import Explainer
from gohan_jobs.inspection.explanations import Explanation, Holder, JobExplanation
from gohan_jobs.inspection.queued import read
from gohan_jobs.keys import JobId, Place, ResourcePath
from gohan_jobs.keyspace import settled_in
from gohan_jobs.planning import HEAT_HANDLER, Change, Plan, plan_change
from gohan_jobs.queue import Queue
from gohan_jobs.records import Action, ResourceRef
from gohan_jobs.schemas import Schemas
from gohan_jobs.stores.base import Entry, Store, entries_below
from gohan_jobs.view import View

__all__ = ["Explanation", "Holder", "Inspector", "JobExplanation"]


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
        self._explainer = Explainer(store, codec, queue, schemas, self.job_ids)

    @property
    def handlers(self) -> list[str]:
        """Whose jobs there can be: Heat's, and those that some type has a template for."""
        named = {handler for schema in self._schemas for handler in schema.templates}
        return sorted(named | {HEAT_HANDLER})

    def has_job(self, ref: ResourceRef, version: int) -> bool:
        """Whether a version of a resource has an unfinished job."""
        return any(job_id.version == version for job_id in self.job_ids(ref))

    def job_ids(self, ref: ResourceRef) -> tuple[JobId, ...]:
        """A resource's unfinished jobs, oldest first, by one read for each action and handler."""
        found: list[tuple[int, Tracked]] = []
        for action, handler in itertools.product(Action, self.handlers):
            prefix = f"{self._keys.all_jobs}{action}:{handler}:{ref}:"
            found += [
                (entry.create_revision, job)
                for entry in entries_below(self._store, prefix)
                if (job := self._tracked(entry, None)) is not None
            ]
        return tuple(job.job_id for job in in_order(found))

    def explain(self, ref: ResourceRef, path: ResourcePath) -> Explanation:
        """Why a resource is as it is."""
        return self._explainer.explain(ref, path)

    def plan(
        self,
        path: ResourcePath,
        ref: ResourceRef,
        text: bytes,
        suffix: Callable[[], str],
    ) -> Plan:
        """What a config would do if it were written now."""
        revision = self._store.revision()
        # Before the first start all that is there will have been there before, this config too.
        settled = settled_in(self._store, self._queue.own) or revision + 2
        estate, board = Estate(self._codec, self._schemas, settled), Board()
        for prefix, put in (
            (self._keys.config, estate.put_config),
            (self._keys.processed_prefix, estate.put_processed),
            (self._keys.state, estate.put_state),
            (self._keys.heat_stack_prefix, estate.put_stack),
        ):
            for entry in self._all(prefix, revision):
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
        return entries_below(self._store, prefix, revision=revision)

    def _tracked(self, entry: Entry, notes_entry: Entry | None) -> Tracked | None:
        """A job, standing nowhere; one that can't be read as the leader sees it: it blocks."""
        try:
            job_id = self._keys.job_id_in(self._keys.all_jobs, entry.key)
        except GohanJobsError:
            return None
        schema = self._schemas.by_type(job_id.resource_type)
        path = ResourcePath("") if schema is None else schema.path_of(job_id.resource_id)
        notes = read(lambda e: self._queue.own.loads(e.key, e.value, JobNotes), notes_entry)
        notes = notes or JobNotes(planned_at="", path=path)
        job = read(self._queue.read_job, entry)
        if job is None:
            return Tracked.unreadable(job_id, path, notes)
        return Tracked.of(job, path, notes, None, 0)
