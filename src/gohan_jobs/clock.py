"""Time as an argument: everything that waits or measures asks a clock it was given."""

from __future__ import annotations

import datetime as dt
import time
from typing import TYPE_CHECKING, Protocol

__all__ = [
    "Clock",
    "SystemClock",
    "VirtualClock",
    "later_text",
    "read_time",
    "seconds_since",
    "time_text",
]


class Clock(Protocol):
    """What time it is, twice: for measuring and for showing."""

    def now(self) -> float:
        """Seconds that never go back and count suspended time (``rules`` 18)."""
        ...

    def wall(self) -> dt.datetime:
        """The time of day, in UTC; for display and for not-before times (``rules`` 26)."""
        ...


class SystemClock:
    """The machine's clocks."""

    def now(self) -> float:
        """Seconds since boot, suspended time included."""
        # CLOCK_MONOTONIC stands still while a machine is suspended, and a lease does not.
        return time.clock_gettime(time.CLOCK_BOOTTIME)

    def wall(self) -> dt.datetime:
        """The time of day, in UTC."""
        return dt.datetime.now(dt.UTC)


class VirtualClock:
    """A clock that moves only when told to, for tests and replays.

    Args:
        wall: the time of day at which it starts.
    """

    def __init__(self, wall: dt.datetime = dt.datetime(2018, 2, 19, tzinfo=dt.UTC)) -> None:
        self._start = wall
        self._elapsed = 0.0

    def now(self) -> float:
        """Seconds since this clock was made."""
        return self._elapsed

    def wall(self) -> dt.datetime:
        """The starting time plus what has elapsed."""
        return self._start + dt.timedelta(seconds=self._elapsed)

    def advance(self, seconds: float) -> None:
        """Move on.

        Raises:
            ValueError: if ``seconds`` is negative.
        """
        if seconds < 0:
            raise ValueError(f"a clock can't go back: {seconds}")
        self._elapsed += seconds


def time_text(clock: Clock) -> str:
    """The time of day, ISO 8601 to the millisecond; for display."""
    return clock.wall().isoformat(timespec="milliseconds")


def later_text(clock: Clock, seconds: float) -> str:
    """The time of day so many seconds from now, ISO 8601; to the millisecond, if it has a part."""
    moment = _later(clock.wall(), seconds)
    return moment.isoformat(timespec="milliseconds" if moment.microsecond else "seconds")


def _later(moment: dt.datetime, seconds: float) -> dt.datetime:
    """A time so much later; the last there is, of what is to be waited for without end."""
    try:
        return moment + dt.timedelta(seconds=seconds)
    except OverflowError:
        return dt.datetime.max.replace(tzinfo=dt.UTC)


def read_time(text: str) -> dt.datetime | None:
    """A time of day, ISO 8601 with its zone; None if it is none."""
    try:
        found = dt.datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo is not None else None


def seconds_since(text: str, clock: Clock) -> float | None:
    """Seconds since a time of day, ISO 8601 with its zone; None if it is none. Never negative."""
    moment = read_time(text)
    return None if moment is None else max(0.0, (clock.wall() - moment).total_seconds())


if TYPE_CHECKING:
    _system: Clock = SystemClock()
    _virtual: Clock = VirtualClock()
