"""What the leader knows of the resources: kept in memory, from a read and the events after it.

Bodies are kept as bytes and parsed on use (``rules`` 24). No I/O here: entries and events come in,
answers go out.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Mapping
from typing import Any

import attrs

from gohan_jobs.codec import Codec
from gohan_jobs.codec.spelling import worker_text
from gohan_jobs.exceptions import GohanJobsError, MappingError
from gohan_jobs.keys import ResourcePath
from gohan_jobs.mapping import ParsedTemplate
from gohan_jobs.planning import TEMPLATE_TYPE, KnownState, KnownTemplate
from gohan_jobs.records import (
    ConfigRecord,
    HeatTemplate,
    ProcessedConfig,
    ResourceRef,
    WorkerState,
)
from gohan_jobs.schemas import Schema, Schemas
from gohan_jobs.stores.base import Entry

__all__ = ["Estate", "StackFact", "StateFact", "body_digest", "digest_of"]

_PARSED_BODIES = 4096
_FAILURES = frozenset(
    {
        WorkerState.READ_ERROR,
        WorkerState.CREATE_ERROR,
        WorkerState.MODIFY_ERROR,
        WorkerState.DELETE_ERROR,
    }
)


@attrs.frozen
class StateFact:
    """A ``/state`` record in brief.

    Attributes:
        known: version and whether it failed; None if the record can't be read.
        revision: its mod revision.
    """

    known: KnownState | None
    revision: int


@attrs.frozen
class StackFact:
    """A heat_stacks record in brief.

    Attributes:
        tenant: of a live stack; None once it is deleted.
        revision: its mod revision.
        problem: why the record can't be read; empty if it can.
    """

    tenant: str | None
    revision: int
    problem: str = ""


def digest_of(codec: Codec, template: Entry) -> str:
    """A digest of what a heat_template's config says; ``""`` of one that can't be read.

    It is the same however the text is spelled.
    """
    try:
        body = codec.config(template.key, template.value).body
    except GohanJobsError:
        return ""
    return body_digest(body)


def body_digest(body: Mapping[str, Any]) -> str:
    """A digest of a config's body, however its text was spelled."""
    return hashlib.sha256(worker_text(body).encode()).hexdigest()


class Estate:
    """Configs, processed copies, states, stacks and templates.

    Not thread-safe: it belongs to one job manager.

    Args:
        codec: reads records.
        schemas: the types.
        settled_in: revision at which this library first worked here.
    """

    def __init__(self, codec: Codec, schemas: Schemas, settled_in: int = 0) -> None:
        self._codec = codec
        self._keys = codec.keys
        self._schemas = schemas
        self.settled_in = settled_in
        self._configs: dict[ResourcePath, Entry] = {}
        self._processed: dict[ResourcePath, Entry] = {}
        self._states: dict[ResourcePath, StateFact] = {}
        self._stacks: dict[ResourcePath, StackFact] = {}
        self._templates: dict[str, KnownTemplate] = {}
        self._parsed_config = functools.lru_cache(_PARSED_BODIES)(self._parse_config)
        self._parsed_processed = functools.lru_cache(_PARSED_BODIES)(self._parse_processed)

    # What comes in.

    def put_config(self, path: ResourcePath, entry: Entry) -> None:
        """A config was read. It may be broken: that shows when it is used."""
        self._configs[path] = entry
        if self._keys.is_template(path):
            self._put_template(path, entry)

    def drop_config(self, path: ResourcePath) -> None:
        """A config's key is gone."""
        self._configs.pop(path, None)
        if self._keys.is_template(path):
            self._templates.pop(path.rpartition("/")[2], None)

    def put_processed(self, path: ResourcePath, entry: Entry) -> None:
        """A processed copy was read or written."""
        self._processed[path] = entry

    def drop_processed(self, path: ResourcePath) -> None:
        """A processed copy is gone."""
        self._processed.pop(path, None)

    def put_state(self, path: ResourcePath, entry: Entry) -> None:
        """A state was read or written."""
        try:
            record = self._codec.state(entry.key, entry.value)
        except GohanJobsError:
            known = None
        else:
            # Heat may fail without a reason.
            failed = bool(record.error) or str(record.worker_state) in _FAILURES
            known = KnownState(version=record.version, failed=failed)
        self._states[path] = StateFact(known, entry.mod_revision)

    def drop_state(self, path: ResourcePath) -> None:
        """A state is gone."""
        self._states.pop(path, None)

    def put_stack(self, path: ResourcePath, entry: Entry) -> None:
        """A stack's record was read or written. One that can't be read counts as no stack."""
        try:
            record = self._codec.heat_stack(entry.key, entry.value)
        except GohanJobsError as error:
            fact = StackFact(None, entry.mod_revision, str(error))
        else:
            tenant = record.tenant_id if record.stack_id else None
            fact = StackFact(tenant, entry.mod_revision)
        self._stacks[path] = fact

    def drop_stack(self, path: ResourcePath) -> None:
        """A stack's record is gone."""
        self._stacks.pop(path, None)

    # What is known.

    def config_entry(self, path: ResourcePath) -> Entry | None:
        """The config as stored."""
        return self._configs.get(path)

    def config(self, path: ResourcePath) -> ConfigRecord | None:
        """The config, parsed.

        Raises:
            InvalidRecord: it can't be read.
        """
        entry = self._configs.get(path)
        return None if entry is None else self._parsed_config(entry)

    def paths(self) -> set[ResourcePath]:
        """Every path that has a config or a processed copy."""
        return {*self._configs, *self._processed}

    def count(self) -> int:
        """How many resources have a processed copy."""
        return len(self._processed)

    def processed_revision(self, path: ResourcePath) -> int:
        """Mod revision of the processed copy; 0 if there is none."""
        entry = self._processed.get(path)
        return 0 if entry is None else entry.mod_revision

    def state_revision(self, path: ResourcePath) -> int:
        """Mod revision of the state; 0 if there is none."""
        fact = self._states.get(path)
        return 0 if fact is None else fact.revision

    def body(self, resource_type: str, resource_id: str) -> Mapping[str, Any] | None:
        """Body of the last config read (``mapping``, *db*); None also if it is broken."""
        schema = self._schemas.by_type(resource_type)
        if schema is None:
            return None
        try:
            config = self.config(schema.path_of(resource_id))
        except GohanJobsError:
            return None
        return None if config is None else config.body

    def processed(self, path: ResourcePath) -> tuple[ProcessedConfig, int] | None:
        """The processed copy and since when it holds; None also if it is broken.

        That is its mod revision, but not before :attr:`settled_in`: of a config and a copy that
        were both there before, the revisions don't tell which came first (``rules`` 1, 2).
        """
        entry = self._processed.get(path)
        if entry is None:
            return None
        try:
            return self._parsed_processed(entry), max(entry.mod_revision, self.settled_in)
        except GohanJobsError:
            return None

    def state(self, path: ResourcePath) -> KnownState | None:
        """The resource's result; one that can't be read counts as of no version, and failed.

        As of a processed copy, it does not hold since before :attr:`settled_in`.
        """
        fact = self._states.get(path)
        if fact is None:
            return None
        known = fact.known or KnownState(version=-1, failed=True)
        return attrs.evolve(known, since=max(fact.revision, self.settled_in))

    def stack_revision(self, path: ResourcePath) -> int:
        """Mod revision of the stack's record; 0 if there is none."""
        fact = self._stacks.get(path)
        return 0 if fact is None else fact.revision

    def stack_tenant(self, path: ResourcePath) -> str | None:
        """Tenant of the resource's live stack."""
        fact = self._stacks.get(path)
        return None if fact is None else fact.tenant

    def stack_problem(self, path: ResourcePath) -> str:
        """Why the stack's record can't be read, so that there may be a stack; empty if it can."""
        fact = self._stacks.get(path)
        return "" if fact is None else fact.problem

    def broken_stacks(self) -> list[ResourcePath]:
        """The paths of all stacks' records that can't be read."""
        return [path for path, fact in self._stacks.items() if fact.problem]

    def template(self, name: str) -> KnownTemplate | None:
        """A heat_template."""
        return self._templates.get(name)

    def identify(self, path: ResourcePath) -> tuple[Schema, ResourceRef] | None:
        """Whose path it is; None if no schema has it."""
        found = self._schemas.resolve(path)
        if found is None:
            return None
        schema, resource_id = found
        return schema, ResourceRef(schema.type, resource_id)

    def reference(self, path: ResourcePath) -> ResourceRef | None:
        """The resource of a path; templates as ``heat_template``."""
        if self._keys.is_template(path):
            return ResourceRef(TEMPLATE_TYPE, path.rpartition("/")[2])
        found = self.identify(path)
        return None if found is None else found[1]

    def _put_template(self, path: ResourcePath, entry: Entry) -> None:
        """Keep a readable template; a broken one takes its predecessor's place with its error."""
        name = path.rpartition("/")[2]
        template: ParsedTemplate | MappingError
        try:
            config = self._parsed_config(entry)
            template = ParsedTemplate.parse(HeatTemplate.from_config(config, entry.key))
        except MappingError as error:
            template = error
        except GohanJobsError as error:
            template = MappingError(f"template {name}: {error}")
        self._templates[name] = KnownTemplate(
            template=template, revision=entry.mod_revision, digest=digest_of(self._codec, entry)
        )

    def _parse_config(self, entry: Entry) -> ConfigRecord:
        return self._codec.config(entry.key, entry.value)

    def _parse_processed(self, entry: Entry) -> ProcessedConfig:
        return self._codec.processed(entry.key, entry.value)
