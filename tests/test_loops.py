"""Loops and keepers in trouble: they pause, say so once, go on, and say that it is over."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterable
from types import SimpleNamespace
from typing import Any

import pytest

from gohan_jobs.clock import SystemClock
from gohan_jobs.events import Event, Events, StoreRecovered, StoreTroubled
from gohan_jobs.exceptions import StoreRefused, StoreUnavailable
from gohan_jobs.loops import Keeper, Loop

REFUSED = StoreRefused("no")


class Script:
    """Steps as planned: an error is raised, a truth given back; then there is nothing to do.

    It is done once it has had nothing to do often enough for the loop to see that all is well.
    """

    def __init__(self, steps: Iterable[Exception | bool]) -> None:
        self.steps = iter(steps)
        self.due = 0.0
        self.idle = 0
        self.done = threading.Event()

    def step(self) -> bool:
        """The next one."""
        for planned in self.steps:
            if isinstance(planned, Exception):
                raise planned
            return planned
        self.idle += 1
        if self.idle == 4:
            self.done.set()
        return False


def pass_time(monkeypatch: pytest.MonkeyPatch, times: Iterable[float]) -> None:
    """Let the loops' clock show these times, one after the other."""
    shown = iter(times)
    monkeypatch.setattr("gohan_jobs.loops.time", SimpleNamespace(monotonic=lambda: next(shown)))


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long each loop would have paused after a failure; it does not."""
    made: list[float] = []

    class Stopping(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            made.append(timeout or 0.0)
            return super().wait(0.0)

    monkeypatch.setattr("gohan_jobs.loops.random", SimpleNamespace(random=lambda: 0.5))
    pass_time(monkeypatch, itertools.count(0.0, 10.0))
    new = Loop.__init__

    def init(self: Loop, *arguments: Any) -> None:
        new(self, *arguments)
        self._stopping = Stopping()

    monkeypatch.setattr(Loop, "__init__", init)
    return made


def run(*steps: Exception | bool, failed: Callable[[Exception], None] | None = None) -> list[Event]:
    """Let a loop take steps, until it has nothing to do; what was told."""
    told: list[Event] = []
    script = Script(steps)
    loop = Loop("worker", script, SystemClock(), Events((told.append,)), failed)
    loop.start()
    assert script.done.wait(20)
    loop.stop()
    assert (0, "") == (loop.trouble.failures, loop.trouble.reason)
    return told


def test_a_loop_backs_off(pauses: list[float]) -> None:
    """Pauses double up to five seconds; trouble is told once, and so is its end."""
    told = run(*[REFUSED] * 9)
    assert [0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0] == pauses
    over = StoreRecovered(role="worker", failures=9)
    assert [StoreTroubled(role="worker", reason="no"), over] == told


def test_success_in_between_makes_no_hot_loop(pauses: list[float]) -> None:
    """Reading goes well and writing does not, again and again: pauses grow all the same."""
    told = run(*(step for _ in range(4) for step in (True, REFUSED)))
    assert [0.05, 0.1, 0.2, 0.4] == pauses
    assert [StoreTroubled, StoreRecovered] == [type(event) for event in told]


def test_a_busy_loop_recovers(pauses: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    """Five seconds without a failure are enough, though there is always something to do."""
    pass_time(monkeypatch, [0.0, 4.0, 5.0, 6.0, 7.0])
    told = run(*[REFUSED] * 2, *[True] * 3, REFUSED)
    assert [0.05, 0.1, 0.05] == pauses
    assert [2, 1] == [event.failures for event in told if isinstance(event, StoreRecovered)]


def test_an_idle_loop_waits_before_it_is_well(
    pauses: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A moment without work is no recovery: what was begun may be refused a moment later."""
    pass_time(monkeypatch, [0.0, 0.9, 10.0, 10.9, 20.0, 20.9, 21.0])
    told = run(REFUSED, *(False, False, REFUSED) * 2)
    assert [0.05, 0.1, 0.2] == pauses
    over = StoreRecovered(role="worker", failures=3)
    assert [StoreTroubled(role="worker", reason="no"), over] == told


def test_an_idle_loop_is_well_as_long_as_it_paused(
    pauses: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a pause of 3.2 s, 3.1 s without a failure are not enough, and 3.3 s are."""
    pass_time(monkeypatch, [0.0, 3.1, 10.0, 15.1])
    told = run(*[REFUSED] * 7, *[False] * 2, REFUSED)
    assert [3.2, 5.0] == pauses[-2:]
    assert [8] == [event.failures for event in told if isinstance(event, StoreRecovered)]
    pass_time(monkeypatch, [0.0, 3.3, 10.0, 11.0])
    told = run(*[REFUSED] * 7, *[False] * 2, REFUSED)
    assert [3.2, 0.05] == pauses[-2:]
    assert [7, 1] == [event.failures for event in told if isinstance(event, StoreRecovered)]


@pytest.mark.usefixtures("pauses")
def test_another_reason_is_told() -> None:
    """Each change of the reason is told; and who listens hears of every error."""
    heard: list[Exception] = []
    away = StoreUnavailable("away")
    told = run(REFUSED, REFUSED, away, failed=heard.append)
    assert ["no", "away"] == [event.reason for event in told if isinstance(event, StoreTroubled)]
    assert [REFUSED, REFUSED, away] == heard


def test_a_thread_that_ends_is_dead() -> None:
    """What no loop survives is seen by who asks; a loop that was stopped is not dead."""
    loop = Loop("worker", Script([]), SystemClock(), Events(()))
    assert not loop.dead
    loop._thread = threading.Thread(target=lambda: None)
    loop.start()
    loop._thread.join()
    dead = loop.dead
    loop.stop()
    assert (True, False) == (dead, loop.dead)


def test_a_keeper_survives_a_bug() -> None:
    """Without it every claim would be lost; it says what happened, and goes on."""
    told: list[Event] = []
    answers = iter([ZeroDivisionError("a secret"), None])
    enough = threading.Event()

    def renew() -> None:
        for answer in answers:
            if answer is not None:
                raise answer
            return
        enough.set()

    keeper = Keeper((renew,), 0.0, Events((told.append,)))
    assert not keeper.dead
    keeper.start()
    assert enough.wait(20)
    assert not keeper.dead
    keeper.stop()
    assert [
        StoreTroubled(role="keeper", reason="unexpected ZeroDivisionError"),
        StoreRecovered(role="keeper", failures=1),
    ] == told


def test_a_keeper_that_was_woken_once_waits_again() -> None:
    """Else it would renew without a pause from then on."""
    waits: list[bool] = []

    class Watched(threading.Event):
        """Tells how it was found when it was waited for, and stops the keeper in the end."""

        def wait(self, timeout: float | None = None) -> bool:
            waits.append(self.is_set())
            if len(waits) == 2:
                keeper._stopping.set()
            return timeout is not None

    keeper = Keeper((), 1000.0, Events(()))
    keeper._wake = Watched()
    keeper.wake()
    keeper._run()
    assert [True, False] == waits
