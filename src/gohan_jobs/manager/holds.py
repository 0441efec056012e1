"""Configs that wait for something they refer to (``rules`` 5)."""

from __future__ import annotations

from collections.abc import Callable

from gohan_jobs.events import ConfigHeld
from gohan_jobs.keys import ResourcePath
from gohan_jobs.manager.desk import Desk
from gohan_jobs.planning import Hold
from gohan_jobs.records import ResourceRef

__all__ = ["Holds"]

_AGAIN = 1.0


class Holds:
    """Which configs are held, and what for. They block nobody else.

    Args:
        desk: what is known.
        overdue: called with a path and its config's revision when the wait is over.
    """

    def __init__(self, desk: Desk, overdue: Callable[[ResourcePath, int], None]) -> None:
        self._desk = desk
        self._overdue = overdue
        self._missing: dict[ResourcePath, ResourceRef] = {}
        self._waiting: dict[ResourceRef, dict[ResourcePath, None]] = {}
        self._since: dict[ResourcePath, int] = {}

    def clear(self) -> None:
        """Forget everything, before all is read again."""
        self._waiting.clear()
        self._since.clear()
        self._missing.clear()

    def hold(self, path: ResourcePath, resource: ResourceRef, revision: int, plan: Hold) -> None:
        """Hold a version of a config; its wait begins when that version is held first."""
        desk = self._desk
        first = self._since.get(path) != revision
        self.release(path)
        self._missing[path] = plan.missing
        self._waiting.setdefault(plan.missing, {})[path] = None
        self._since[path] = revision
        if not first:
            return
        self._wait(path, revision, desk.options.hold_time)
        desk.events.emit(
            ConfigHeld(
                resource=resource,
                version=plan.otherwise.state.version,
                missing=plan.missing,
                reason=desk.scrub(plan.reason, plan.otherwise.processed.body),
            )
        )

    def release(self, path: ResourcePath) -> None:
        """A config is not held any more; nothing if it was not."""
        self._since.pop(path, None)
        missing = self._missing.pop(path, None)
        if missing is None:
            return
        del self._waiting[missing][path]
        if not self._waiting[missing]:
            del self._waiting[missing]

    def waiting_for(self, resource: ResourceRef) -> tuple[ResourcePath, ...]:
        """The configs held for something."""
        return tuple(self._waiting.get(resource, ()))

    def _wait(self, path: ResourcePath, revision: int, seconds: float) -> None:
        due = self._desk.clock.now() + seconds
        self._desk.timers.at(due, lambda: self._due(path, revision))

    def _due(self, path: ResourcePath, revision: int) -> None:
        if self._since.get(path) != revision:
            return
        self._overdue(path, revision)
        if self._since.get(path) == revision:
            self._wait(path, revision, _AGAIN)  # something changed under it
