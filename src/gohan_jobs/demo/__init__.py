"""Both seed documents as a demonstration: the same records, made by this library.

:func:`pages` plays them in this process; ``gohan-jobs demo`` prints them.
"""

from __future__ import annotations

from collections.abc import Generator

from gohan_jobs.clock import VirtualClock
from gohan_jobs.demo.pages import POINTS, Caught, Page
from gohan_jobs.demo.playing import play
from gohan_jobs.stores.memory import MemoryStore

__all__ = ["POINTS", "Caught", "Page", "pages", "play"]


def pages() -> Generator[Page]:
    """The demonstration's pages, played on a store in memory in no time at all."""
    clock = VirtualClock()
    with MemoryStore(clock=clock) as store:
        yield from play(store, clock)
