"""How many jobs stand in each place of the queue, and for how long: read, not counted.

No process hears of everything that happens to the queue, so its depth is read from the store, by
whoever asks and at most once in a while.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping

import attrs

from gohan_jobs.bookkeeping import Bookkeeping, JobNotes
from gohan_jobs.clock import Clock, SystemClock, seconds_since
from gohan_jobs.exceptions import GohanJobsError, InvalidRecord
from gohan_jobs.keys import Keys, Place
from gohan_jobs.stores.base import Entry, Reader, scan

__all__ = ["Depth", "QueueDepths"]


@attrs.frozen
class Depth:
    """What stands in one place.

    Attributes:
        jobs: how many.
        oldest: seconds since the one that has stood there longest was planned; 0 if there is none,
            or if nobody knows.
    """

    jobs: int
    oldest: float = 0.0


class QueueDepths:
    """The depth of each place, read at most once in ``interval`` seconds; from any thread.

    Args:
        store: what is read: one page for each 500 jobs.
        keys: where in the store; the documented keys unless told otherwise.
        clock: the time.
        interval: seconds for which an answer is kept.
    """

    def __init__(
        self,
        store: Reader,
        keys: Keys | None = None,
        *,
        clock: Clock | None = None,
        interval: float = 15.0,
    ) -> None:
        self._store = store
        self._keys = keys or Keys()
        self._own = Bookkeeping(self._keys)
        self._clock = clock or SystemClock()
        self._interval = interval
        self._lock = threading.Lock()
        self._read_at = float("-inf")
        self._depths: Mapping[Place, Depth] = {}

    def __call__(self) -> Mapping[Place, Depth]:
        """The depths, all as of one revision; empty while the store can't be read."""
        with self._lock:
            if self._clock.now() - self._read_at >= self._interval:
                self._depths = self._read()
                self._read_at = self._clock.now()
            return self._depths

    def _read(self) -> Mapping[Place, Depth]:
        depths: dict[Place, Depth] = {}
        revision = 0
        try:
            for place in Place:
                depths[place], revision = self._depth(place, revision)
        except GohanJobsError:
            return {}
        return depths

    def _depth(self, place: Place, revision: int) -> tuple[Depth, int]:
        jobs, oldest = 0, None
        for page in scan(self._store, self._keys.place_prefix(place), revision=revision):
            revision = page.revision
            jobs += len(page.entries)
            for entry in page.entries:
                if oldest is None or entry.create_revision < oldest.create_revision:
                    oldest = entry
        return Depth(jobs, 0.0 if oldest is None else self._age(place, oldest)), revision

    def _age(self, place: Place, entry: Entry) -> float:
        name = entry.key.removeprefix(self._keys.place_prefix(place))
        notes = self._store.get(self._own.jobs_prefix + name)
        if notes is None:
            return 0.0
        try:
            planned = self._own.loads(notes.key, notes.value, JobNotes).planned_at
        except InvalidRecord:
            return 0.0
        return seconds_since(planned, self._clock) or 0.0
