"""Which of the ready jobs a worker tries first, so that no two try the same (``rules`` 25)."""

from __future__ import annotations

import contextlib
import zlib
from collections.abc import Callable

from gohan_jobs.exceptions import StoreRefused
from gohan_jobs.stores.base import Entry, Page, Reader, entries_below

__all__ = ["Peers"]

_KNOWN_FOR = 5.0
_TURN = 1024


class Peers:
    """The workers that there are, and whose turn each ready job is.

    The share of each is a chance one, by a hash of the job, and another one after some revisions:
    so no job waits for long for a worker that is busy, or has no handler for it, while the others
    have enough of their own. Nothing rests on it: who tries another's job may get it.

    Args:
        store: where the workers are registered.
        prefix: where in it.
        own: this worker's key.
        now: clock time.

    Attributes:
        count: how many workers there are, this one among them.
    """

    def __init__(self, store: Reader, prefix: str, own: str, now: Callable[[], float]) -> None:
        self._store = store
        self._prefix = prefix
        self._own = own
        self._now = now
        self.count: int = 1
        self._known_until = float("-inf")
        self._rank = 0

    def look(self) -> None:
        """Read who there is, unless that was a moment ago; who may not read it goes without."""
        now = self._now()
        if now < self._known_until:
            return
        with contextlib.suppress(StoreRefused):
            self._read()
        self._known_until = now + _KNOWN_FOR

    def _read(self) -> None:
        keys = [entry.key for entry in entries_below(self._store, self._prefix)]
        others = [key for key in keys if key != self._own]
        self.count = len(others) + 1
        self._rank = sum(key < self._own for key in others)

    def split(self, page: Page) -> tuple[list[Entry], list[Entry]]:
        """The entries of a page that are this worker's to try first, and the others."""
        if self.count == 1:
            return list(page.entries), []
        turn = page.revision // _TURN + self._rank
        own: list[Entry] = []
        others: list[Entry] = []
        for entry in page.entries:
            mine = (zlib.crc32(entry.key.encode()) + turn) % self.count == 0
            (own if mine else others).append(entry)
        return own, others
