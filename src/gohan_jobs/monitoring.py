"""Monitoring statuses, as an agent publishes them (``rules`` 20)."""

from __future__ import annotations

from typing import Any, TypeAlias

import attrs

from gohan_jobs.codec import Codec
from gohan_jobs.keys import Keys, ResourcePath
from gohan_jobs.queue import Queue
from gohan_jobs.records import MonitoringRecord, MonitoringStatus
from gohan_jobs.stores.base import Compare, Delete, Entry, Put, Store, Transaction

__all__ = ["Reporting", "Status"]

Status: TypeAlias = MonitoringStatus | str | dict[str, Any]
"""A status, or an object of them."""


class Reporting:
    """Publishes statuses, and removes them; all that an agent needs, in a process of its own.

    Args:
        store: where.
        keys: where in it; the documented keys unless told otherwise.
        codec: reads and writes records, and knows the keys; one for ``keys`` unless given.
    """

    def __init__(
        self, store: Store, *, keys: Keys | None = None, codec: Codec | None = None
    ) -> None:
        self._store = store
        self._codec = codec or Codec(keys)
        self._keys = self._codec.keys
        self._queue = Queue(self._keys, self._codec)

    def report(self, path: ResourcePath, version: int, field: str, status: Status) -> bool:
        """Publish a status, or hold it until its version has a state; whether it counted.

        Args:
            path: the resource's path, which its ``/config`` and ``/state`` have, too.
            version: the config version the status is about; only the config's own counts.
            field: the status field's name, such as ``interface``.
            status: the status, or an object of them.

        Raises:
            ValueError: ``field`` is ``version``, or empty.
            StoreError: the store can't be asked.
            InvalidRecord: a record of the resource can't be read.
        """
        if field in {"", "version"}:
            raise ValueError(f"{field!r} can't be a status field's name")
        outcome = None
        while outcome is None:
            outcome = self._try(path, version, field, status)
        return outcome

    def _try(self, path: ResourcePath, version: int, field: str, status: Status) -> bool | None:
        """One attempt; None if something changed meanwhile."""
        config = self._store.get(self._keys.config_of(path))
        if config is None or self._codec.config(config.key, config.value).version != version:
            return False
        state = self._store.get(self._keys.state_of(path))
        ready = state is not None and self._codec.state(state.key, state.value).version == version
        target = self._keys.monitoring_of(path)
        key = target if ready else self._queue.own.report(path)
        current = self._store.get(key)
        record = self._merged(target, current, version, field, status)
        compares = (
            Compare.unchanged(config.key, config.mod_revision),
            Compare.unchanged(self._keys.state_of(path), state.mod_revision if state else 0),
            Compare.unchanged(key, current.mod_revision if current else 0),
        )
        put = Put(key, self._queue.text(record))
        return True if self._store.transact(Transaction(compares, (put,))).succeeded else None

    def _merged(
        self, key: str, current: Entry | None, version: int, field: str, status: Status
    ) -> MonitoringRecord:
        if current is not None:
            record = self._codec.monitoring(key, current.value)
            if record.version == version:
                return attrs.evolve(record, statuses={**record.statuses, field: status})
        return MonitoringRecord(version=version, statuses={field: status})

    def withdraw(self, path: ResourcePath, version: int) -> bool:
        """Remove a status, only if it is of that version; whether it was."""
        target = self._keys.monitoring_of(path)
        removed = False
        for key in (self._queue.own.report(path), target):
            entry = self._store.get(key)
            if entry is None or self._codec.monitoring(target, entry.value).version != version:
                continue
            compare = Compare.unchanged(key, entry.mod_revision)
            result = self._store.transact(Transaction((compare,), (Delete(key),)))
            removed = removed or result.succeeded
        return removed
