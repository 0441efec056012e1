"""Clocks: the machine's, and one that moves when told to."""

from __future__ import annotations

import datetime as dt
import time

import pytest

from gohan_jobs.clock import SystemClock, VirtualClock, later_text, read_time


def test_system_clock_never_goes_back() -> None:
    """Of two readings the later is not smaller."""
    clock = SystemClock()
    readings = [clock.now() for _ in range(100)]
    assert sorted(readings) == readings


def test_system_clock_counts_suspended_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a lease does at the server (``rules`` 18)."""
    seconds = {time.CLOCK_BOOTTIME: 5.0, time.CLOCK_MONOTONIC: 1.0}
    monkeypatch.setattr(time, "clock_gettime", seconds.__getitem__)
    assert 5.0 == SystemClock().now()


def test_system_clock_shows_utc() -> None:
    """The time of day carries its zone, and lies between two readings of the system's."""
    before = dt.datetime.now(dt.UTC)
    shown = SystemClock().wall()
    after = dt.datetime.now(dt.UTC)
    assert sorted([after, shown, before]) == [before, shown, after]
    assert dt.UTC is shown.tzinfo


def test_virtual_clock_stands_still() -> None:
    """A virtual clock moves only when told to."""
    clock = VirtualClock()
    assert [0.0, 0.0] == [clock.now(), clock.now()]
    clock.advance(1.5)
    clock.advance(0)
    assert 1.5 == clock.now()


def test_virtual_clock_shows_what_has_elapsed() -> None:
    """The time of day is the starting time and what has elapsed."""
    start = dt.datetime(2019, 2, 1, tzinfo=dt.UTC)
    clock = VirtualClock(start)
    clock.advance(90)
    assert dt.datetime(2019, 2, 1, 0, 1, 30, tzinfo=dt.UTC) == clock.wall()


def test_virtual_clock_does_not_go_back() -> None:
    """Going back is refused, and changes nothing."""
    clock = VirtualClock()
    with pytest.raises(ValueError, match="a clock can't go back: -1"):
        clock.advance(-1)
    assert 0.0 == clock.now()


def test_a_later_time_is_short() -> None:
    """To the millisecond, and without a part of a second if it has none."""
    clock = VirtualClock(dt.datetime(2019, 2, 1, tzinfo=dt.UTC))
    assert "2019-02-01T00:01:00+00:00" == later_text(clock, 60.0)
    assert "2019-02-01T00:01:00.123+00:00" == later_text(clock, 60.1234567)


@pytest.mark.parametrize("seconds", [1e12, 1e300, float("inf")])
def test_a_time_beyond_all_times_is_the_last_there_is(seconds: float) -> None:
    """Who waits for ever has a deadline that can be written and read all the same."""
    found = read_time(later_text(VirtualClock(), seconds))
    assert found is not None
    assert dt.datetime(9999, 12, 31, tzinfo=dt.UTC).date() == found.date()
