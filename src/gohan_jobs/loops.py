"""What steps something on a thread of its own, and lives through trouble with the store.

A loop sleeps until it is woken or something is due; trouble makes it back off and go on. A keeper
renews leases at regular times.
"""

from __future__ import annotations

import abc
import logging
import random
import threading
import time
from collections.abc import Callable
from typing import Protocol

from gohan_jobs.clock import Clock
from gohan_jobs.events import Events, StoreRecovered, StoreTroubled
from gohan_jobs.exceptions import GohanJobsError
from gohan_jobs.threads import new_thread

__all__ = ["Keeper", "Loop", "Stepped", "Trouble"]

_log = logging.getLogger("gohan_jobs")

_LONGEST_SLEEP = 1.0
_FIRST_BACKOFF = 0.05
_LONGEST_BACKOFF = 5.0
_SHORTEST_RECOVERY = 1.0


class Stepped(Protocol):
    """What a loop drives."""

    def step(self) -> bool:
        """Do one bounded unit of work; whether there was any."""
        ...

    @property
    def due(self) -> float | None:
        """Clock time of the next thing to do."""
        ...


class Trouble:
    """What keeps one thread from its work, told when it begins, changes, and is over.

    Args:
        role: whose, in events.
        events: told of it.

    Attributes:
        reason: what was said last; empty while there is no trouble.
        failures: how often in a row it has failed.
    """

    def __init__(self, role: str, events: Events) -> None:
        self._role = role
        self._events = events
        self.reason: str = ""
        self.failures: int = 0

    def failed(self, error: Exception) -> None:
        """Once more; an error that is none of ours is a bug, and is logged with its place."""
        reason = str(error)
        if not isinstance(error, GohanJobsError):
            _log.error("%s failed", self._role, exc_info=error)
            reason = f"unexpected {type(error).__name__}"
        self.failures += 1
        if self.reason != reason:
            self._events.emit(StoreTroubled(role=self._role, reason=reason))
        self.reason = reason

    def over(self) -> None:
        """It works again; no event if it always did."""
        failures, self.failures, self.reason = self.failures, 0, ""
        if failures:
            self._events.emit(StoreRecovered(role=self._role, failures=failures))


class _Thread(abc.ABC):
    """A thread that can be woken and stopped."""

    def __init__(self, name: str) -> None:
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._thread = new_thread(name, self._run)

    @abc.abstractmethod
    def _run(self) -> None: ...

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def wake(self) -> None:
        """Something may have come up; from any thread."""
        self._wake.set()

    def stop(self) -> None:
        """Stop after what it is at, and wait for the thread."""
        self._stopping.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join()

    def is_current(self) -> bool:
        """Whether the calling thread is this one."""
        return threading.current_thread() is self._thread

    @property
    def dead(self) -> bool:
        """Whether its thread has ended though nobody stopped it."""
        started = self._thread.ident is not None
        return started and not self._thread.is_alive() and not self._stopping.is_set()


class Loop(_Thread):
    """Steps something on a thread of its own until it is stopped.

    After a failure it pauses, from 0.05 s doubling to 5 s. The trouble is over, and pauses are
    short again, once no step has failed for 5 s, or there is nothing left to do and none has failed
    for as long as the last pause, at least 1 s. So neither a step that goes well between two that
    fail makes a hot loop, nor a watch that can be asked for, and is refused a moment later.

    Args:
        name: of the thread, and of the role in events.
        stepped: what is stepped.
        clock: the time.
        events: told of trouble.
        failed: told of each error, after the step.

    Attributes:
        trouble: what keeps it from its work.
    """

    def __init__(
        self,
        name: str,
        stepped: Stepped,
        clock: Clock,
        events: Events,
        failed: Callable[[Exception], None] | None = None,
    ) -> None:
        super().__init__(name)
        self._stepped = stepped
        self._clock = clock
        self._backoff = _FIRST_BACKOFF
        self._paused = 0.0
        self._well_since: float | None = None
        self._failed = failed
        self.trouble: Trouble = Trouble(name, events)

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._wake.clear()
            try:
                worked = self._stepped.step()
            except Exception as error:  # noqa: BLE001 - a loop lives on, and says so
                self._back_off(error)
                continue
            if self.trouble.failures:
                self._went_well(worked=worked)
            if not worked:
                self._wake.wait(self._until_due())

    def _back_off(self, error: Exception) -> None:
        self._well_since = None
        self.trouble.failed(error)
        if self._failed is not None:
            self._failed(error)
        self._stopping.wait(self._backoff * (0.5 + random.random()))  # noqa: S311 - jitter
        self._paused = self._backoff
        self._backoff = min(self._backoff * 2, _LONGEST_BACKOFF)

    def _went_well(self, *, worked: bool) -> None:
        """A step went well after one that failed: perhaps all do now."""
        now = time.monotonic()
        if self._well_since is None:
            self._well_since = now
        if now - self._well_since >= (_LONGEST_BACKOFF if worked else self._recovery):
            self._backoff = _FIRST_BACKOFF
            self.trouble.over()

    @property
    def _recovery(self) -> float:
        """Seconds without a failure after which an idle loop is out of trouble."""
        return max(self._paused, _SHORTEST_RECOVERY)

    def _until_due(self) -> float:
        due = self._stepped.due
        if due is None:
            return _LONGEST_SLEEP
        return min(max(due - self._clock.now(), 0.0), _LONGEST_SLEEP)


class Keeper(_Thread):
    """Keeps leases alive, at a third of the shortest one's time, on a thread of its own.

    Args:
        renew: each renews one lease; what it raises is trouble with the store.
        interval: seconds between renewals.
        events: told of trouble.

    Attributes:
        trouble: what keeps it from its work.
    """

    def __init__(
        self, renew: tuple[Callable[[], None], ...], interval: float, events: Events
    ) -> None:
        super().__init__("keeper")
        self._renew = renew
        self._interval = interval
        self.trouble: Trouble = Trouble("keeper", events)

    def _run(self) -> None:
        pause = self._interval
        while True:
            self._wake.wait(pause)
            self._wake.clear()
            if self._stopping.is_set():
                return
            pause = self._interval if self._renew_all() else min(1.0, self._interval)

    def _renew_all(self) -> bool:
        """Renew each; whether all were renewed."""
        failed = False
        for renew in self._renew:
            try:
                renew()
            except Exception as error:  # noqa: BLE001 - without a keeper every claim would be lost
                self.trouble.failed(error)
                failed = True
        if not failed:
            self.trouble.over()
        return not failed
