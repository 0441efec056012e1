"""Orphans that were noted while a job was left, of which no stack has come (``rules`` 16)."""

from __future__ import annotations

from gohan_jobs.keys import ResourcePath
from gohan_jobs.manager.changes import Pending
from gohan_jobs.manager.desk import Desk
from gohan_jobs.manager.lineup import Lineup
from gohan_jobs.records import ResourceRef

__all__ = ["Unmade"]


class Unmade:
    """Has such removals looked at again, once the last job has ended: then they are forgotten.

    Args:
        desk: what is known.
        lineup: where they are to be looked at.
    """

    def __init__(self, desk: Desk, lineup: Lineup) -> None:
        self._desk = desk
        self._lineup = lineup
        self._noted: dict[ResourcePath, ResourceRef] = {}

    def clear(self) -> None:
        """Forget everything, before all is read again."""
        self._noted.clear()

    def note(self, path: ResourcePath, resource: ResourceRef) -> None:
        """The stack of a removed config is an orphan, if there comes to be one."""
        if self._desk.board.of_resource(resource):
            self._noted[path] = resource

    def step(self) -> bool:
        """Put one in line whose last job has ended; whether there was any."""
        board = self._desk.board
        ended = [path for path, found in self._noted.items() if not board.of_resource(found)]
        for path in ended:
            del self._noted[path]
            if self._is_unmade(path):
                self._lineup.wake(Pending(path, None, 0, reread=True))
                return True
        return False

    def _is_unmade(self, path: ResourcePath) -> bool:
        """Whether it is an orphan still, and no record tells of its stack."""
        estate = self._desk.estate
        is_orphan = path in self._desk.orphans and estate.config_entry(path) is None
        return is_orphan and estate.stack_tenant(path) is None
