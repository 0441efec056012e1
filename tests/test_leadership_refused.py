"""A standby that may read the leader's key, and not watch it: in trouble, without a hot loop."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from gohan_jobs.clock import SystemClock
from gohan_jobs.events import Event, Events, StoreRecovered, StoreTroubled
from gohan_jobs.exceptions import StoreRefused
from gohan_jobs.loops import Loop
from gohan_jobs.manager.leadership import Leadership
from gohan_jobs.stores.base import Put, Transaction, Watch, WatchBatch
from gohan_jobs.stores.memory import MemoryStore

KEY = "/job_manager_id"
REFUSALS = 9


class LateRefusal:
    """A watch that could be asked for, and is refused once it has been polled."""

    def __init__(self) -> None:
        self.polls = 0

    def poll(self, timeout: float = 0.0) -> WatchBatch | None:
        """Nothing yet; then the refusal."""
        del timeout
        self.polls += 1
        if self.polls == 1:
            return None
        raise StoreRefused("may not watch")

    def close(self) -> None:
        """Nothing to give back."""


class Guarded(MemoryStore):
    """Refuses watches, a moment late, until the role has been granted the range."""

    refused = 0

    def watch(self, prefix: str, revision: int, *, wake: Callable[[], None] | None = None) -> Watch:
        """As granted."""
        if self.refused == REFUSALS:
            return super().watch(prefix, revision, wake=wake)
        self.refused += 1
        return LateRefusal()


class Standby:
    """Campaigns; is done after some steps of a watch that is served."""

    due = 0.0

    def __init__(self, store: Guarded) -> None:
        self.leadership = Leadership(
            store, KEY, "b", clock=SystemClock(), events=Events(()), ttl=10.0
        )
        self.store = store
        self.served = 0
        self.done = threading.Event()

    def step(self) -> bool:
        """See whether the leader is gone."""
        elected = self.leadership.campaign()
        self.served += self.store.refused == REFUSALS
        if self.served == 200:
            self.done.set()
        return elected


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long the loop would have paused; a tenth of a second passes at each look at a clock."""
    made: list[float] = []
    shown = itertools.count()

    class Stopping(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            made.append(timeout or 0.0)
            return super().wait(0.0)

    new = Loop.__init__

    def init(self: Loop, *arguments: Any) -> None:
        new(self, *arguments)
        self._stopping = Stopping()

    monkeypatch.setattr("gohan_jobs.loops.random", SimpleNamespace(random=lambda: 0.5))
    monkeypatch.setattr(
        "gohan_jobs.loops.time", SimpleNamespace(monotonic=lambda: next(shown) / 10)
    )
    monkeypatch.setattr(Loop, "__init__", init)
    return made


def test_a_watch_that_is_refused_late(pauses: list[float]) -> None:
    """Pauses grow though each watch could be opened; trouble is told once, and once its end."""
    store = Guarded()
    store.transact(Transaction(success=(Put(KEY, b"a"),)))
    told: list[Event] = []
    standby = Standby(store)
    loop = Loop("manager", standby, SystemClock(), Events((told.append,)))
    loop.start()
    assert standby.done.wait(20)
    loop.stop()
    standby.leadership.close()
    assert [0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0] == pauses
    over = StoreRecovered(role="manager", failures=REFUSALS)
    assert [StoreTroubled(role="manager", reason="may not watch"), over] == told
