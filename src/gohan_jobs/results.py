"""How config versions ended."""

from __future__ import annotations

from typing import TypeAlias

import attrs

from gohan_jobs.codec import Codec
from gohan_jobs.exceptions import GohanJobsError
from gohan_jobs.inspection.inspector import Inspector
from gohan_jobs.keys import ResourcePath
from gohan_jobs.mapping.evaluation import same_json
from gohan_jobs.queue import Queue
from gohan_jobs.records import ConfigRecord, ProcessedConfig, ResourceRef, StateRecord
from gohan_jobs.stores.base import Entry, Reader

__all__ = ["Completed", "Failed", "Result", "Results", "Superseded"]


@attrs.frozen
class Completed:
    """The version's result is there, without an error.

    Attributes:
        state: the result.
    """

    state: StateRecord


@attrs.frozen
class Failed:
    """The version's result is there, and it is an error.

    Attributes:
        state: the result; its ``error`` says why.
    """

    state: StateRecord

    @property
    def error(self) -> str:
        """Why."""
        return self.state.error


@attrs.frozen
class Superseded:
    """There will be no result of this version: a later one took its place.

    Attributes:
        by: the later version; None if the config is gone.
    """

    by: int | None


Result: TypeAlias = Completed | Failed | Superseded
"""How a config version ended."""


class Results:
    """Reads results.

    Args:
        store: where they are.
        codec: reads records.
        queue: knows the keys.
        inspector: knows the unfinished jobs.
    """

    def __init__(self, store: Reader, codec: Codec, queue: Queue, inspector: Inspector) -> None:
        self._store = store
        self._codec = codec
        self._queue = queue
        self._keys = codec.keys
        self._inspector = inspector

    def of(self, ref: ResourceRef, path: ResourcePath, version: int) -> Result | None:
        """How a version ended; None while it has not."""
        entry = self._store.get(self._keys.state_of(path))
        if entry is not None:
            state = self._codec.state(entry.key, entry.value)
            if state.version > version:
                return Superseded(state.version)
            if state.version == version and self._is_current(ref, path, version):
                return Failed(state) if state.error else Completed(state)
        return self._superseded(ref, path, version)

    def _superseded(self, ref: ResourceRef, path: ResourcePath, version: int) -> Superseded | None:
        processed = self._processed(path)
        config = self._store.get(self._keys.config_of(path))
        if processed is None:
            return Superseded(None) if config is None else None
        if processed.version > version and not self._inspector.has_job(ref, version):
            return Superseded(processed.version)
        return None

    def _is_current(self, ref: ResourceRef, path: ResourcePath, version: int) -> bool:
        """Whether a result is of the config that stands there now.

        Types that don't count versions give each config the same one.
        """
        entry = self._store.get(self._keys.config_of(path))
        config = None if entry is None else self._config(entry)
        if entry is None or config is None or config.version != version:
            return True
        if self._inspector.has_job(ref, version):
            return False
        processed = self._processed(path)
        if processed is not None and _same(processed, config):
            return True
        return self._store.get(self._queue.own.quarantine(entry.key)) is not None

    def _config(self, entry: Entry) -> ConfigRecord | None:
        try:
            return self._codec.config(entry.key, entry.value)
        except GohanJobsError:
            return None

    def _processed(self, path: ResourcePath) -> ProcessedConfig | None:
        entry = self._store.get(self._keys.processed_of(path))
        return None if entry is None else self._codec.processed(entry.key, entry.value)


def _same(processed: ProcessedConfig, config: ConfigRecord) -> bool:
    return (processed.version, processed.deleted) == (
        config.version,
        config.deleting,
    ) and same_json(processed.body, config.body)
