"""What an operation is about: a resource's config, and whether its version may be run again."""

from __future__ import annotations

from collections.abc import Iterator

from gohan_jobs.bookkeeping import Held, Quarantined
from gohan_jobs.codec import Codec
from gohan_jobs.exceptions import InvalidKey, InvalidRecord, OperationRefused
from gohan_jobs.inspection.inspector import Inspector
from gohan_jobs.keys import ResourcePath
from gohan_jobs.mapping.evaluation import same_json
from gohan_jobs.planning import TEMPLATE_TYPE
from gohan_jobs.queue import Queue
from gohan_jobs.records import ConfigRecord, ResourceRef
from gohan_jobs.schemas import Schemas
from gohan_jobs.stores.base import Entry, Store

__all__ = ["Targets"]


class Targets:
    """Finds them; reads only.

    Args:
        store: where everything is kept.
        codec: reads records.
        queue: knows the keys.
        schemas: the types.
        inspector: tells which jobs are unfinished.
    """

    def __init__(
        self,
        store: Store,
        codec: Codec,
        queue: Queue,
        schemas: Schemas,
        inspector: Inspector,
    ) -> None:
        self._store = store
        self._codec = codec
        self._keys = queue.keys
        self._own = queue.own
        self._schemas = schemas
        self._inspector = inspector

    def retriable(self, resource: ResourceRef) -> tuple[ResourcePath, Entry, ConfigRecord]:
        """Where a resource's config is, and the config, if its newest version may be run again.

        Raises:
            InvalidKey: no schema has that type.
            OperationRefused: it has no config, or one that is held or set aside, or not planned
                yet; or an unfinished job.
        """
        path = self.path(resource)
        entry, config = self.config(resource, path)
        self._check_rest(resource, path, entry, config)
        return path, entry, config

    def path(self, resource: ResourceRef) -> ResourcePath:
        """Where its records are.

        Raises:
            InvalidKey: no schema has that type.
            OperationRefused: it is a heat_template, which has no jobs.
        """
        schema = self._schemas.by_type(resource.resource_type)
        if resource.resource_type == TEMPLATE_TYPE:
            raise OperationRefused(str(resource), "a heat_template has no jobs")
        if schema is None:
            raise InvalidKey(str(resource), "no schema has this type")
        return schema.path_of(resource.resource_id)

    def config(self, resource: ResourceRef, path: ResourcePath) -> tuple[Entry, ConfigRecord]:
        """Its config.

        Raises:
            OperationRefused: there is none, or none that can be read.
        """
        entry = self._store.get(self._keys.config_of(path))
        if entry is None:
            raise OperationRefused(str(resource), f"there is no config at /{path}")
        try:
            return entry, self._codec.config(entry.key, entry.value)
        except InvalidRecord as error:
            raise OperationRefused(str(resource), f"its config can't be read: {error}") from None

    def _check_rest(
        self, resource: ResourceRef, path: ResourcePath, entry: Entry, config: ConfigRecord
    ) -> None:
        """Refuse unless the config has been dealt with, and nothing is under way."""
        for reason in self._hindrances(resource, path, entry, config):
            raise OperationRefused(str(resource), reason)

    def _hindrances(
        self, resource: ResourceRef, path: ResourcePath, entry: Entry, config: ConfigRecord
    ) -> Iterator[str]:
        aside = self._store.get(self._own.quarantine(entry.key))
        if aside is not None:
            found = self._own.loads(aside.key, aside.value, Quarantined)
            if found.mod_revision == entry.mod_revision:
                yield f"its config is set aside: {found.reason}"
        held = self._store.get(self._own.held(path))
        if held is not None:
            reason = self._own.loads(held.key, held.value, Held).reason
            yield f"its config is held, so it is not planned yet: {reason}"
        jobs = self._inspector.job_ids(resource)
        if jobs:
            yield f"it has an unfinished job: {jobs[0]}"
        if not self._is_processed(path, config):
            yield f"version {config.version} is not planned yet: does a job manager run?"

    def _is_processed(self, path: ResourcePath, config: ConfigRecord) -> bool:
        entry = self._store.get(self._keys.processed_of(path))
        if entry is None:
            return False
        try:
            found = self._codec.processed(entry.key, entry.value)
        except InvalidRecord:
            return False
        same = (found.version, found.deleted) == (config.version, config.deleting)
        return same and same_json(found.body, config.body)
