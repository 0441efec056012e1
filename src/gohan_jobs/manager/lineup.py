"""Which config change is planned next: fresh ones before those of a resync (``rules`` 23)."""

from __future__ import annotations

from collections import deque

import attrs

from gohan_jobs.bookkeeping import Band
from gohan_jobs.keys import JobId, Place, ResourcePath
from gohan_jobs.manager.changes import Pending
from gohan_jobs.manager.desk import Desk
from gohan_jobs.manager.quota import Quota
from gohan_jobs.records import ResourceRef

__all__ = ["Lineup"]


class Lineup:
    """The changes that are not planned yet, each until it is taken.

    Args:
        desk: what is known.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._fresh: deque[Pending] = deque()
        self._resync: deque[Pending] = deque()
        self._latest: dict[ResourcePath, int] = {}
        self._after: dict[ResourceRef, Pending] = {}
        self._quota = Quota(desk)

    def __len__(self) -> int:
        return len(self._fresh) + (0 if self._quota.paused else len(self._resync))

    def clear(self) -> None:
        """Forget everything, before all is read again."""
        self._fresh.clear()
        self._resync.clear()
        self._latest.clear()
        self._after.clear()

    # In line.

    def add(self, pending: Pending) -> None:
        """A change was read: it comes after the others."""
        self._note(pending)
        self._line(pending).append(pending)

    def add_again(self, pending: Pending) -> None:
        """A change that was taken is to be done again: it comes first."""
        self._note(pending)
        self._line(pending).appendleft(attrs.evolve(pending, reread=True))

    def wake(self, pending: Pending) -> None:
        """A change that was known, and is to be looked at again."""
        self._fresh.append(pending)

    def await_jobs(
        self, pending: Pending, resource: ResourceRef, collapse: tuple[JobId, ...] = ()
    ) -> bool:
        """Put off a result that needs no job while an older version's is unfinished; whether it is.

        That one's result would come later, and stand for this version's.
        """
        jobs = self._desk.board.jobs_of(resource)
        if all(job.job_id in collapse for job in jobs):
            return False
        self._after[resource] = attrs.evolve(pending, reread=True)
        return True

    def await_release(self, pending: Pending, resource: ResourceRef) -> bool:
        """Put off forgetting a resource one of whose jobs has ended; whether it is.

        It is not released yet, and what is found out then may be that there is a stack.
        """
        jobs = self._desk.board.of_resource(resource)
        if not any(job.place is Place.FINISHED for job in jobs):
            return False
        self._after[resource] = attrs.evolve(pending, reread=True)
        return True

    # Taking.

    def look(self) -> None:
        """Take up what was put off, and see whether there is room for a resync."""
        for resource in [ref for ref in self._after if not self._desk.board.of_resource(ref)]:
            self._fresh.append(self._after.pop(resource))
        if self._resync and not self._fresh:
            self._quota.look()

    def take(self) -> Pending:
        """The next change; there has to be one."""
        return (self._fresh or self._resync).popleft()

    def is_overtaken(self, pending: Pending) -> bool:
        """Whether a later change of the same key is on its way; if not, none is from now on."""
        if self._latest.get(pending.path, 0) > pending.revision:
            return True
        self._latest.pop(pending.path, None)
        return False

    def _note(self, pending: Pending) -> None:
        self._latest[pending.path] = max(pending.revision, self._latest.get(pending.path, 0))

    def _line(self, pending: Pending) -> deque[Pending]:
        return self._fresh if pending.band == Band.FRESH else self._resync
