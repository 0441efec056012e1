"""A resync pauses while the store is nearly full (``rules`` 23)."""

from __future__ import annotations

from gohan_jobs.events import StoreTroubled
from gohan_jobs.manager.desk import Desk
from gohan_jobs.stores.base import Measured

__all__ = ["Quota"]

_LOOK_AGAIN = 10.0


class Quota:
    """Whether there is room for what is not urgent. Stores that can't tell always have some.

    Args:
        desk: the store, the clock, and when to look again.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._next_look = float("-inf")
        self.paused: bool = False

    def look(self) -> None:
        """Look at the store's size, if it is some time since the last look."""
        desk = self._desk
        now = desk.clock.now()
        if now < self._next_look or not isinstance(desk.store, Measured):
            return
        self._next_look = now + _LOOK_AGAIN
        size = desk.store.size()
        full = size > desk.options.quota_share * desk.options.quota_bytes
        if full and not self.paused:
            reason = (
                f"resync pauses: the store has {size} bytes, of {desk.options.quota_bytes} at most"
            )
            desk.events.emit(StoreTroubled(role="manager", reason=reason))
        self.paused = full
        if full:
            desk.timers.at(self._next_look, self.look)
