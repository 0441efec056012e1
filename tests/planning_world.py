"""A world to plan in: an estate and a board, fed with records, that carry out the plans."""

from __future__ import annotations

import itertools
import json
from typing import Any

from gohan_jobs.board import Board, Tracked
from gohan_jobs.bookkeeping import JobNotes
from gohan_jobs.codec import Codec
from gohan_jobs.estate import Estate
from gohan_jobs.keys import JobId, Place, ResourcePath
from gohan_jobs.planning import (
    Adopt,
    Change,
    Enqueue,
    Forget,
    Orphaned,
    Plan,
    Publish,
    Removal,
    plan_change,
    plan_removal,
)
from gohan_jobs.records import HeatStack, Record, StackStatus, StateRecord
from gohan_jobs.schemas import Schemas
from gohan_jobs.stores.base import Entry
from gohan_jobs.view import View

__all__ = ["World", "suffixes"]

_LETTERS = "abcdefghijklmnopqrstuvwxyz"


class suffixes:  # noqa: N801 - called like a function
    """Suffixes of job ids, one after the other: the same in every run."""

    def __init__(self) -> None:
        self._numbers = itertools.count()

    def restart(self) -> None:
        """From the first again."""
        self._numbers = itertools.count()

    def __call__(self) -> str:
        """The next one."""
        return f"{next(self._numbers):05d}"


class World:
    """What is known, and what happens.

    Attributes:
        planned: the jobs of every plan, oldest first.
    """

    def __init__(self, schemas: Schemas) -> None:
        self.schemas = schemas
        self.codec = Codec()
        self.keys = self.codec.keys
        self.estate = Estate(self.codec, schemas)
        self.board = Board()
        self.suffix = suffixes()
        self.revision = 0
        self.planned: list[Any] = []

    @property
    def view(self) -> View:
        """What planning asks."""
        return View(self.estate, self.board)

    def entry(self, key: str, value: bytes, created: int | None = None) -> Entry:
        """A record as stored by the next write."""
        self.revision += 1
        create = self.revision if created is None else created
        return Entry(
            key=key, value=value, create_revision=create, mod_revision=self.revision, version=1
        )

    def write(self, path: str, body: Any, version: int = 1, *, marked: bool = False) -> Entry:
        """Write a config; a template's too."""
        value = {"body": body, "version": version, "marked_for_deletion": marked}
        return self.write_text(path, json.dumps(value).encode())

    def write_text(self, path: str, text: bytes) -> Entry:
        """Write a config's text."""
        found = ResourcePath(path)
        before = self.estate.config_entry(found)
        created = None if before is None else before.create_revision
        entry = self.entry(self.keys.config_of(found), text, created)
        self.estate.put_config(found, entry)
        return entry

    def change(self, path: str) -> Change:
        """The config at a path, as planning is asked about it."""
        found = ResourcePath(path)
        entry, config = self.estate.config_entry(found), self.estate.config(found)
        identified = self.estate.identify(found)
        assert entry is not None
        assert config is not None
        assert identified is not None
        return Change(
            path=found,
            resource=identified[1],
            schema=identified[0],
            config=config,
            create_revision=entry.create_revision,
            mod_revision=entry.mod_revision,
        )

    def plan(self, path: str) -> Plan:
        """Plan the config at a path, and do nothing about it."""
        return plan_change(self.change(path), self.view, self.schemas, self.suffix)

    def plan_new(self, path: str, body: Any, version: int = 1) -> Plan:
        """Write a config and plan it, and do nothing about it."""
        self.write(path, body, version)
        return self.plan(path)

    def read(self, path: str, body: Any, version: int = 1, *, marked: bool = False) -> Plan:
        """Write a config, plan it, and carry the plan out."""
        self.write(path, body, version, marked=marked)
        return self.carry_out(path, self.plan(path))

    def remove(self, path: str, *, delete_orphans: bool = False) -> Plan:
        """Remove a config's key, plan that, and carry the plan out."""
        return self.carry_out(path, self.plan_removal(path, delete_orphans=delete_orphans))

    def plan_removal(self, path: str, *, delete_orphans: bool = False) -> Plan:
        """Remove a config's key and plan that; Gohan removes the state too."""
        found = ResourcePath(path)
        identified = self.estate.identify(found)
        assert identified is not None
        self.estate.drop_config(found)
        self.estate.drop_state(found)
        removal = Removal(
            path=found,
            resource=identified[1],
            schema=identified[0],
            delete_orphans=delete_orphans,
        )
        return plan_removal(removal, self.view, self.schemas, self.suffix)

    def carry_out(self, path: str, plan: Plan) -> Plan:
        """Make true what a plan says."""
        found = ResourcePath(path)
        if isinstance(plan, Enqueue | Publish | Forget | Orphaned):
            for job_id in plan.collapse:
                self.gone(job_id)
        if isinstance(plan, Enqueue | Publish | Adopt):
            self.put(self.keys.processed_of(found), plan.processed)
        if isinstance(plan, Publish):
            self.put(self.keys.state_of(found), plan.state)
        if isinstance(plan, Enqueue):
            self._enqueue(found, plan)
        if isinstance(plan, Forget):
            self.estate.drop_processed(found)
            self.estate.drop_stack(found)
        return plan

    def put(self, key: str, record: Record) -> None:
        """Write a record other than a config."""
        path = self.keys.parse(key).path
        assert path is not None
        text = self.codec.dumps(record).encode()
        apply = {
            self.keys.processed_of(path): self.estate.put_processed,
            self.keys.state_of(path): self.estate.put_state,
            self.keys.heat_stack_of(path): self.estate.put_stack,
        }[key]
        apply(path, self.entry(key, text))

    def stack(self, path: str, tenant: str = "t1") -> None:
        """Give a resource a live stack."""
        found = ResourcePath(path)
        identified = self.estate.identify(found)
        assert identified is not None
        ref = identified[1]
        record = HeatStack(
            id=str(ref),
            stack_id=f"{ref.resource_type}_{ref.resource_id}",
            tenant_id=tenant,
            stack_status=StackStatus.CREATE_COMPLETE,
            status_reason="",
            output=(),
        )
        self.put(self.keys.heat_stack_of(found), record)

    def settle_in(self) -> None:
        """The library starts here for the first time: what is there was there before."""
        self.revision += 1
        self.estate.settled_in = self.revision

    def state(self, path: str, state: StateRecord) -> None:
        """Give a resource a result."""
        self.put(self.keys.state_of(ResourcePath(path)), state)

    def move(self, job_id: JobId, place: Place | None) -> None:
        """A job now stands somewhere else."""
        job = self.board.get(job_id)
        assert job is not None
        self.revision += 1
        self.board.move(job, place, self.revision)

    def gone(self, job_id: JobId) -> None:
        """A job has left the queue."""
        job = self.board.get(job_id)
        assert job is not None
        self.board.remove(job)

    def _enqueue(self, path: ResourcePath, plan: Enqueue) -> None:
        entry = self.estate.config_entry(path)
        for planned in plan.jobs:
            notes = JobNotes(
                planned_at="",
                path=path,
                config_mod=0 if entry is None else entry.mod_revision,
                template_id=planned.template_id,
                template_revision=planned.template_revision,
            )
            place = Place.WAITING
            self.board.add(Tracked.of(planned.job, path, notes, place, self.revision))
            self.planned.append(planned.job)
