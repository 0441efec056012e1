"""Monitoring statuses that came before the state of their version (``rules`` 20)."""

from __future__ import annotations

from collections import deque

import attrs

from gohan_jobs.exceptions import GohanJobsError
from gohan_jobs.keys import ResourcePath
from gohan_jobs.manager.desk import Desk
from gohan_jobs.records import MonitoringRecord
from gohan_jobs.stores.base import Compare, Delete, Entry, Put, Transaction

__all__ = ["Reports"]


class Reports:
    """Publishes held reports once their version has a state; drops those of older versions.

    Args:
        desk: what is known, and how to write.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._held: set[ResourcePath] = set()
        self._due: deque[ResourcePath] = deque()

    def clear(self) -> None:
        """Forget everything, before all is read again."""
        self._held.clear()
        self._due.clear()

    def held(self, path: ResourcePath) -> None:
        """A report is held for a resource."""
        self._held.add(path)
        self._due.append(path)

    def state_changed(self, path: ResourcePath) -> None:
        """A resource has a new state."""
        if path in self._held:
            self._due.append(path)

    def step(self) -> bool:
        """Look at one resource; whether there was any."""
        if not self._due:
            return False
        self._publish(self._due[0])
        self._due.popleft()
        return True

    def _publish(self, path: ResourcePath) -> None:
        desk = self._desk
        queue, codec = desk.queue, desk.queue.codec
        report = desk.store.get(queue.own.report(path))
        if report is None:
            self._held.discard(path)
            desk.pardon(queue.own.report(path))
            return
        state_key, target = desk.keys.state_of(path), desk.keys.monitoring_of(path)
        state = desk.store.get(state_key)
        if state is None:
            return
        try:
            held = codec.monitoring(target, report.value)
            published = codec.state(state_key, state.value).version
        except GohanJobsError as error:
            desk.set_aside(report.key, report.mod_revision, str(error))
            return
        if held.version > published:
            return
        current = desk.store.get(target)
        since = current if current and current.mod_revision > state.mod_revision else None
        put = (Put(target, self._joined(held, since)),) if held.version == published else ()
        desk.commit(
            Transaction(
                (
                    Compare.unchanged(report.key, report.mod_revision),
                    Compare.unchanged(state_key, state.mod_revision),
                    Compare.unchanged(target, current.mod_revision if current else 0),
                ),
                (Delete(report.key), *put),
            )
        )
        self._due.append(path)

    def _joined(self, held: MonitoringRecord, since: Entry | None) -> bytes:
        """A held report, and over it what was published since its state was there.

        What is older may be of an earlier resource at this key, whose versions were the same.
        """
        queue = self._desk.queue
        try:
            found = None if since is None else queue.codec.monitoring(since.key, since.value)
        except GohanJobsError:
            found = None  # an agent's, which none can read either
        if found is not None and found.version == held.version:
            held = attrs.evolve(held, statuses={**held.statuses, **found.statuses})
        return queue.text(held)
