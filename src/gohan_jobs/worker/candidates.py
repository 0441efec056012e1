"""Which ready jobs a worker tries to claim.

While it is busy a worker reads a page of the ready jobs now and then, and takes its share of them,
and of the others so many that it has a few, at random, so that workers rarely try the same. Only an
idle one watches: if all did, each would be told of every job that any other takes, which costs more
than a page now and then (``rules`` 25).

Unless pages are slow, far slower than claims, since etcd passes over all jobs that were ever ready
and are not compacted yet: then a worker reads all that are ready once, and watches though it is
busy.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Sequence

from gohan_jobs.exceptions import InvalidKey, StoreError
from gohan_jobs.keys import JobId, Keys, Place
from gohan_jobs.stores.base import Entry, EventKind, Page, Store, Watch
from gohan_jobs.worker.peers import Peers

__all__ = ["Candidates"]

_PAGE = 128
_LONGER = 4
_FEW = 8
_KEPT = 16
_BUSY = 32
_SLOW = 0.01
_SLOWER = 3
_SLOW_PAGES = 3
_SLOW_FOR = 60.0
_REST = 1.0


class Candidates:
    """Ready jobs worth trying. Not thread-safe.

    Args:
        store: where the queue is.
        keys: where in it.
        peers: says which to try first.
        accepts: whether a job's handler is here.
        rng: picks.
        now: clock time.
        wake: called, on any thread, when :meth:`refill` may find something.
    """

    def __init__(
        self,
        store: Store,
        keys: Keys,
        peers: Peers,
        accepts: Callable[[JobId], bool],
        rng: random.Random,
        now: Callable[[], float],
        wake: Callable[[], None] | None,
    ) -> None:
        self._store = store
        self._keys = keys
        self._prefix = keys.place_prefix(Place.READY)
        self._peers = peers
        self._accepts = accepts
        self._rng = rng
        self._now = now
        self._wake = wake
        self._found: dict[JobId, int] = {}
        self._refused: dict[JobId, tuple[int, float]] = {}
        self._cursor = ""
        self._lap_found = False
        self._lap_revision = 0
        self._lap_whole = False
        self._usual = float("inf")
        self._slow_pages = 0
        self._slow_until = float("-inf")
        self._watch: Watch | None = None

    def pick(self) -> tuple[JobId, int] | None:
        """One to try and the revision since which it is ready; it is then forgotten."""
        if not self._found:
            return None
        job_id = self._rng.choice(tuple(self._found))
        return job_id, self._found.pop(job_id)

    @property
    def waiting(self) -> int:
        """How many there are to pick."""
        return len(self._found)

    def offer(self, job_id: JobId, revision: int) -> None:
        """A job that was picked, and is ready all the same: its claim was never sent, or failed."""
        self._found[job_id] = revision

    def refused(self, job_id: JobId, revision: int) -> None:
        """A claim that failed: the job rests, unless it is made ready anew.

        It may stand there for long: ready, and claimed as well, with no leader to mend that.
        """
        self._refused[job_id] = (revision, self._now() + _REST)

    @property
    def due(self) -> float | None:
        """Clock time at which one that rests is to be looked at; None if a page will tell."""
        if self._watch is None:
            return None
        return min((until for _, until in self._refused.values()), default=None)

    def claimed_in(self, seconds: float) -> None:
        """How long a request of claims took: what pages are compared with."""
        self._usual = seconds

    def outdated(self) -> None:
        """Nothing that was tried was ready any more: forget what was read along with it.

        Others had time to take that, too. What a lap reads that ends in a watch stays, and what a
        watch tells: it would not be read again.
        """
        if self._watch is None and not self._lap_whole:
            self._found.clear()
            self._lap_found = True

    def refill(self) -> bool:
        """Look for more, in few requests; whether it is worth calling again at once."""
        return self._listen() if self._watch is not None else self._read()

    def catch_up(self, wanted: int) -> None:
        """Take in what is known of them by now; on trouble forget them all.

        Args:
            wanted: of a busy worker: read a page if there are fewer to pick.
        """
        try:
            while self._watch is not None and self._listen():
                pass
            if self._watch is None and len(self._found) < wanted:
                self._read()
        except StoreError:
            self.close()  # what the watch may have had to tell is read again

    def close(self) -> None:
        """Follow nothing more; idempotent."""
        watch, self._watch = self._watch, None
        if watch is not None:
            watch.close()
        self._found.clear()
        self._cursor = ""

    def _read(self) -> bool:
        """Take a few of the next page; at the end of a lap that found nothing, watch."""
        self._peers.look()
        page = self._next_page()
        if self._lap_whole:
            self._take_some(page.entries, len(page.entries))
        else:
            own, others = self._peers.split(page)
            self._take_some(own, len(own))
            self._take_some(others, _FEW - len(self._found))
        self._lap_found = self._lap_found or bool(self._found)
        if page.more:
            self._cursor = page.entries[-1].key
            return True
        again = self._lap_found and not self._lap_whole
        self._lap_found, self._cursor = False, ""
        if again:
            return True
        self._watch = self._store.watch(self._prefix, self._lap_revision + 1, wake=self._wake)
        return bool(self._found)

    def _next_page(self) -> Page:
        """The longer the more there are to share it with: to ask costs more than to be told."""
        longer = min(self._peers.count, _LONGER)
        began = self._now()
        if not self._cursor:
            self._rested()
        page = self._store.entries(self._prefix, after=self._cursor, limit=longer * _PAGE)
        slow = self._now() - began > longer * max(_SLOW, _SLOWER * self._usual)
        self._slow_pages = self._slow_pages + 1 if slow else 0
        if self._slow_pages >= _SLOW_PAGES:
            self._slow_until = began + _SLOW_FOR
        if not self._cursor:
            self._lap_revision = page.revision
            self._lap_whole = began < self._slow_until
        return page

    def _take_some(self, entries: Sequence[Entry], most: int) -> None:
        """Those that are not taken are not looked at either."""
        if most <= 0:
            return
        shuffled = iter(self._rng.sample(entries, len(entries)))
        usable = (found for entry in shuffled if (found := self._usable(entry)) is not None)
        self._found.update(itertools.islice(usable, most))

    def _listen(self) -> bool:
        watch = self._watch
        assert watch is not None  # noqa: S101 - the caller's condition
        if self._rested():  # of which nothing was heard since: what is ready is read again
            self._watch = None
            watch.close()
            return True
        batch = watch.poll()
        if batch is None:
            return False
        for event in batch.events:
            if event.kind is EventKind.PUT and event.entry is not None:
                found = self._usable(event.entry)
                if found is not None:
                    self._found[found[0]] = found[1]
            else:
                self._gone(event.key)
        if len(batch.events) > _BUSY and self._now() >= self._slow_until:
            self._watch = None
            watch.close()
            self._thin_out()
        return True

    def _thin_out(self) -> None:
        """Many jobs at once: leave most of them to the others."""
        kept = self._rng.sample(sorted(self._found), min(_KEPT, len(self._found)))
        self._found = {job_id: self._found[job_id] for job_id in kept}

    def _usable(self, entry: Entry) -> tuple[JobId, int] | None:
        try:
            job_id = self._keys.job_id_in(self._prefix, entry.key)
        except InvalidKey:
            return None  # the leader sets it aside
        if self._rests(job_id, entry.mod_revision) or not self._accepts(job_id):
            return None
        return job_id, entry.mod_revision

    def _rests(self, job_id: JobId, revision: int) -> bool:
        refused, _ = self._refused.get(job_id, (0, 0.0))
        if refused == revision:
            return True
        self._refused.pop(job_id, None)
        return False

    def _rested(self) -> bool:
        """Let those rest no more that have rested long enough; whether there were any."""
        now, before = self._now(), len(self._refused)
        self._refused = {job: rest for job, rest in self._refused.items() if rest[1] > now}
        return len(self._refused) < before

    def _gone(self, key: str) -> None:
        try:
            job_id = self._keys.job_id_in(self._prefix, key)
        except InvalidKey:
            return
        self._found.pop(job_id, None)
        self._refused.pop(job_id, None)
