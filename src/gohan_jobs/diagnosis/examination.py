"""Gathers the facts that :mod:`gohan_jobs.diagnosis` judges; reads only, as of one revision."""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeVar

from gohan_jobs.acceptance import stopped
from gohan_jobs.bookkeeping import FORMAT, Held, JobNotes, Orphan, Quarantined
from gohan_jobs.clock import Clock, SystemClock
from gohan_jobs.codec import Codec
from gohan_jobs.diagnosis import ClaimFacts, Facts, JobFacts, Member, StoreFacts
from gohan_jobs.exceptions import (
    Compacted,
    GohanJobsError,
    InvalidRecord,
    OrchestratorError,
    StoreError,
)
from gohan_jobs.inspection.queued import at_one_revision, read
from gohan_jobs.keys import JobId, Place
from gohan_jobs.mapping import ParsedTemplate
from gohan_jobs.orchestrators.base import Orchestrator
from gohan_jobs.queue import Queue
from gohan_jobs.records import ConfigRecord, HeatTemplate, ResourceRef
from gohan_jobs.schemas import Schemas
from gohan_jobs.stores.base import AsksMember, Entry, Store, entries_below, lease_left
from gohan_jobs.templates import Renderer

__all__ = ["examine", "examine_heat", "examine_member"]

_PROBE = "gohan-jobs-doctor"

N = TypeVar("N", Held, JobNotes, Orphan, Quarantined)


def examine_member(endpoint: str, store: AsksMember) -> Member:
    """What one etcd member says of itself.

    Args:
        endpoint: how it is reached.
        store: connected to it alone.
    """
    try:
        status = store.status()
    except StoreError as error:
        return Member(endpoint=endpoint, error=str(error))
    return Member(endpoint=endpoint, version=status.version, size=status.size, alarms=status.alarms)


def examine_heat(heat: Orchestrator, tenant: str) -> str:
    """Why Heat can't be used for a tenant; empty if it can. It is asked for a stack of no name."""
    try:
        heat.find(tenant, _PROBE)
    except OrchestratorError as error:
        return str(error)
    return ""


def examine(
    store: Store,
    codec: Codec,
    queue: Queue,
    schemas: Schemas,
    *,
    clock: Clock | None = None,
    renderer: Renderer | None = None,
) -> tuple[Facts, str]:
    """What is in a deployment, and the tenant of one of its stacks; empty if there is none.

    The facts about members and Heat are the caller's to add (``attrs.evolve``). A store that can't
    be read is a fact, too.

    Args:
        store: what is read, all of it: some seconds for 100,000 resources.
        codec: reads records.
        queue: knows the keys.
        schemas: the types.
        clock: the time.
        renderer: says which templates can be rendered.
    """
    now = (clock or SystemClock()).wall()
    look = _Look(store, codec, queue, schemas, renderer or Renderer(), now)
    try:
        facts = at_one_revision(store, look.facts)
    except StoreError as error:
        return Facts(now=now, store=StoreFacts(error=str(error))), ""
    return facts, look.tenant


class _Look:
    """One look at everything."""

    def __init__(
        self,
        store: Store,
        codec: Codec,
        queue: Queue,
        schemas: Schemas,
        renderer: Renderer,
        now: dt.datetime,
    ) -> None:
        self._store = store
        self._codec = codec
        self._queue = queue
        self._keys = queue.keys
        self._own = queue.own
        self._schemas = schemas
        self._renderer = renderer
        self._now = now
        self._revision = 0
        self.tenant: str = ""

    def facts(self, revision: int) -> Facts:
        """Everything, as of a revision."""
        self._revision = revision
        configs = {entry.key: entry for entry in self._below(self._keys.config)}
        workers = tuple(self._below(self._own.workers_prefix))
        quarantine = tuple(self._noted(self._own.quarantine_prefix, Quarantined))
        held = tuple(self._noted(self._own.held_prefix, Held))
        missing, refused = self._templates(configs)
        return Facts(
            now=self._now,
            store=self._store_facts(revision),
            leader=self._store.get(self._keys.leader) is not None,
            stopped=self._stopped(),
            workers=tuple(self._name(entry, self._own.workers_prefix) for entry in workers),
            claims=tuple(self._claims({entry.lease for entry in workers})),
            jobs=tuple(self._jobs()),
            unknown=tuple(key for key in configs if self._is_unknown(key)),
            missing=missing,
            refused=refused,
            quarantine=tuple((found.key, found.reason) for _, found in quarantine),
            held=tuple(self._held(name, found) for name, found in held if not found.vetoed),
            vetoed=tuple(self._held(name, found) for name, found in held if found.vetoed),
            orphans=tuple(
                (name, found.reason)
                for name, found in self._noted(self._own.orphans_prefix, Orphan)
            ),
            repairs=self._names(self._own.repairs_prefix),
            requests=(
                *(f"retry {name}" for name in self._names(self._own.retries_prefix)),
                *(f"cancel {name}" for name in self._names(self._own.cancels_prefix)),
            ),
        )

    # Reading.

    def _below(self, prefix: str) -> Iterator[Entry]:
        return entries_below(self._store, prefix, revision=self._revision)

    def _name(self, entry: Entry, prefix: str) -> str:
        return entry.key.removeprefix(prefix)

    def _names(self, prefix: str) -> tuple[str, ...]:
        return tuple(self._name(entry, prefix) for entry in self._below(prefix))

    def _noted(self, prefix: str, kind: type[N]) -> Iterator[tuple[str, N]]:
        """What is noted below a prefix of ours, where it can be read."""
        for entry in self._below(prefix):
            with contextlib.suppress(InvalidRecord):
                yield self._name(entry, prefix), self._own.loads(entry.key, entry.value, kind)

    def _held(self, name: str, found: Held) -> tuple[str, str]:
        return f"{self._keys.config}{name}", f"{found.reason}, until {found.until}"

    # The store.

    def _store_facts(self, revision: int) -> StoreFacts:
        found = self._store.get(self._own.format_key)
        cluster = self._store.get(self._own.cluster_key)
        before = "" if cluster is None else cluster.value.decode(errors="replace")
        return StoreFacts(
            revision=revision,
            oldest=self._oldest(),
            format="" if found is None else found.value.decode(errors="replace"),
            supported=FORMAT,
            moved_from="" if before == self._store.cluster_id() else before,
        )

    def _oldest(self) -> int:
        """The oldest revision that can be read: the store names it when asked for the first."""
        try:
            self._store.entries(self._own.format_key, limit=1, revision=1)
        except Compacted as error:
            return error.revision
        return 1

    def _stopped(self) -> str:
        try:
            found = stopped(self._store, self._keys)
        except InvalidRecord as error:
            return str(error)
        return "" if found is None else found.reason

    # The queue.

    def _claims(self, workers: set[int]) -> Iterator[ClaimFacts]:
        prefix = self._keys.place_prefix(Place.WORKING)
        for entry in self._below(prefix):
            yield ClaimFacts(
                job=self._name(entry, prefix),
                leased=entry.lease != 0,
                remaining=lease_left(self._store, entry.lease),
                registered=entry.lease in workers,
            )

    def _jobs(self) -> Iterator[JobFacts]:
        places: dict[str, list[Place]] = {}
        for place in Place:
            for name in self._names(self._keys.place_prefix(place)):
                places.setdefault(name, []).append(place)
        notes = dict(self._noted(self._own.jobs_prefix, JobNotes))
        documents = {
            self._name(entry, self._keys.all_jobs): entry
            for entry in self._below(self._keys.all_jobs)
        }
        for name, entry in documents.items():
            noted = notes.get(name, JobNotes(planned_at="", path=""))
            yield JobFacts(
                job=name,
                places=tuple(places.get(name, ())),
                planned_at=noted.planned_at,
                waits=sum(str(needed) in documents for needed in self._dependency(entry)),
                held=bool(noted.held_until) or noted.delay > 0,
                attempts=noted.attempts,
            )

    def _dependency(self, entry: Entry) -> tuple[JobId, ...]:
        job = read(self._queue.read_job, entry)
        return () if job is None else job.dependency

    # Configs.

    def _is_unknown(self, key: str) -> bool:
        path = self._keys.path_in(self._keys.config, key)
        if path is None or self._keys.is_template(path):
            return False
        return self._schemas.resolve(path) is None

    def _templates(
        self, configs: Mapping[str, Entry]
    ) -> tuple[tuple[str, ...], tuple[tuple[str, str], ...]]:
        """The heat_templates that are needed and missing, and those that can't be used."""
        bodies = self._bodies(configs)
        there = {
            key.rpartition("/")[2]: entry
            for key, entry in configs.items()
            if key.startswith(f"{self._keys.config}{self._keys.templates}")
        }
        needed = set(self._needed(bodies)) - {""}
        refused = {name: reason for name, entry in there.items() if (reason := self._wrong(entry))}
        return tuple(sorted(needed - there.keys())), tuple(sorted(refused.items()))

    def _bodies(self, configs: Mapping[str, Entry]) -> Mapping[ResourceRef, ConfigRecord]:
        found: dict[ResourceRef, ConfigRecord] = {}
        for key, entry in configs.items():
            path = self._keys.path_in(self._keys.config, key)
            known = None if path is None else self._schemas.resolve(path)
            if known is not None:
                with contextlib.suppress(InvalidRecord):
                    record = self._codec.config(key, entry.value)
                    found[ResourceRef(known[0].type, known[1])] = record
                    self.tenant = self.tenant or _tenant_of(record.body)
        return found

    def _needed(self, bodies: Mapping[ResourceRef, ConfigRecord]) -> Iterable[str]:
        def lookup(resource_type: str, resource_id: str) -> Mapping[str, Any] | None:
            record = bodies.get(ResourceRef(resource_type, resource_id))
            return None if record is None else record.body

        for resource, record in bodies.items():
            schema = self._schemas.by_type(resource.resource_type)
            for handler in () if schema is None or record.deleting else schema.templates:
                yield self._schemas.template_of(
                    resource, handler, record.body, record.version, lookup
                )

    def _wrong(self, entry: Entry) -> str:
        """Why a heat_template can't be used; empty if it can."""
        try:
            config = self._codec.config(entry.key, entry.value)
            template = ParsedTemplate.parse(HeatTemplate.from_config(config, entry.key))
            self._renderer.check(template.id, template.text)
        except GohanJobsError as error:
            return str(error)
        return ""


def _tenant_of(body: Mapping[str, Any]) -> str:
    tenant = body.get("tenant_id")
    return tenant if isinstance(tenant, str) else ""
