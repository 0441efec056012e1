"""The threads of a lifecycle.

Loops that step the manager and the worker, a pool for handlers, and the keeper of leases. A loop
sleeps until it is woken or something is due; trouble with the store makes it back off and go on.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

from gohan_jobs.clock import Clock
from gohan_jobs.events import Events, StoreRecovered, StoreTroubled
from gohan_jobs.exceptions import GohanJobsError
from gohan_jobs.manager import Manager
from gohan_jobs.threads import THREAD_NAME, new_thread
from gohan_jobs.worker import Worker

__all__ = [
    "Keeper",
    "Loop",
    "PoolExecutor",
    "Stepped",
    "SwitchingExecutor",
    "Threads",
    "Trouble",
]

_log = logging.getLogger("gohan_jobs")

_STOP_POLL = 0.02
_LONGEST_SLEEP = 1.0
_FIRST_BACKOFF = 0.05
_LONGEST_BACKOFF = 5.0


class Stepped(Protocol):
    """What a loop drives."""

    def step(self) -> bool:
        """Do one bounded unit of work; whether there was any."""
        ...

    @property
    def due(self) -> float | None:
        """Clock time of the next thing to do."""
        ...


class PoolExecutor:
    """Runs handlers on a pool of threads.

    Args:
        threads: how many.
    """

    def __init__(self, threads: int) -> None:
        self._idents: set[int] = set()
        self._pool = ThreadPoolExecutor(
            threads,
            thread_name_prefix=f"{THREAD_NAME}handler",
            initializer=lambda: self._idents.add(threading.get_ident()),
        )

    def is_current(self) -> bool:
        """Whether the calling thread is one of these."""
        return threading.get_ident() in self._idents

    def submit(self, work: Callable[[], None]) -> None:
        """Run ``work`` on one of the threads."""
        self._pool.submit(work)

    def close(self) -> None:
        """Take nothing more, and wait for what runs."""
        self._pool.shutdown(wait=True, cancel_futures=True)


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


class Loop:
    """Steps something on a thread of its own until it is stopped.

    After a failure it pauses, from 0.05 s doubling to 5 s. The trouble is over, and pauses are
    short again, once there is nothing left to do, or no step has failed for 5 s: a step that goes
    well between two that fail makes no hot loop.

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
        self._stepped = stepped
        self._clock = clock
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._thread = new_thread(name, self._run)
        self._backoff = _FIRST_BACKOFF
        self._well_since: float | None = None
        self._failed = failed
        self.trouble: Trouble = Trouble(name, events)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def wake(self) -> None:
        """Something may have come up; from any thread."""
        self._wake.set()

    def stop(self) -> None:
        """Stop after the step that runs, and wait for the thread."""
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
        return _dead(self._thread, self._stopping)

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
        self._backoff = min(self._backoff * 2, _LONGEST_BACKOFF)

    def _went_well(self, *, worked: bool) -> None:
        """A step went well after one that failed: perhaps all do now."""
        now = time.monotonic()
        if self._well_since is None:
            self._well_since = now
        if not worked or now - self._well_since >= _LONGEST_BACKOFF:
            self._backoff = _FIRST_BACKOFF
            self.trouble.over()

    def _until_due(self) -> float:
        due = self._stepped.due
        if due is None:
            return _LONGEST_SLEEP
        return min(max(due - self._clock.now(), 0.0), _LONGEST_SLEEP)


def _dead(thread: threading.Thread, stopping: threading.Event) -> bool:
    started = thread.ident is not None
    return started and not thread.is_alive() and not stopping.is_set()


class Keeper:
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
        self._renew = renew
        self._interval = interval
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._thread = new_thread("keeper", self._run)
        self.trouble: Trouble = Trouble("keeper", events)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Stop, and wait for the thread."""
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
        return _dead(self._thread, self._stopping)

    def wake(self) -> None:
        """Renew now: leases may have ended; from any thread."""
        self._wake.set()

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


class SwitchingExecutor:
    """Runs work inline until a pool is given, and again once it is taken away."""

    def __init__(self) -> None:
        self.pool: PoolExecutor | None = None

    def submit(self, work: Callable[[], None]) -> None:
        """Run ``work`` here or on the pool."""
        pool = self.pool
        if pool is None:
            work()
        else:
            pool.submit(work)


class Threads:
    """All threads of one lifecycle, started and stopped together.

    Args:
        manager: the job manager, if this process is a candidate.
        worker: the worker, if this process is one.
        executor: gets the pool that runs handlers.
        handler_threads: how many at a time.
        renewal_interval: seconds between renewals of leases.
        clock: the time.
        events: told of trouble.
        failed: told of each error of a step, on the thread that it was raised on.
    """

    def __init__(
        self,
        *,
        manager: Manager | None,
        worker: Worker | None,
        executor: SwitchingExecutor,
        handler_threads: int,
        renewal_interval: float,
        clock: Clock,
        events: Events,
        failed: Callable[[Exception], None] | None = None,
    ) -> None:
        self._worker = worker
        self._executor = executor
        self._handler_threads = handler_threads
        self._loops: dict[str, Loop] = {}
        renew: list[Callable[[], None]] = []
        if manager is not None:
            self._loops["manager"] = Loop("manager", manager, clock, events, failed)
            renew.append(manager.leadership.keep_alive)
        if worker is not None:
            self._loops["worker"] = Loop("worker", worker, clock, events, failed)
            renew.append(worker.keep_alive)
        self._keeper = Keeper(tuple(renew), renewal_interval, events)

    @property
    def troubles(self) -> dict[str, str]:
        """What keeps which thread from its work."""
        troubles = {name: part.trouble for name, part in self._parts.items()}
        return {name: trouble.reason for name, trouble in troubles.items() if trouble.reason}

    @property
    def failures(self) -> dict[str, int]:
        """How often in a row which loop has failed; those that have not are left out."""
        troubles = {name: part.trouble for name, part in self._parts.items()}
        return {name: trouble.failures for name, trouble in troubles.items() if trouble.failures}

    @property
    def dead(self) -> tuple[str, ...]:
        """Which have ended though nobody stopped them: only a new process helps."""
        return tuple(sorted(name for name, part in self._parts.items() if part.dead))

    @property
    def _parts(self) -> dict[str, Loop | Keeper]:
        return {**self._loops, "keeper": self._keeper}

    def renew(self) -> None:
        """Renew all leases now: they may have ended."""
        self._keeper.wake()

    def wake(self, role: str) -> None:
        """Something may have come up for a role."""
        loop = self._loops.get(role)
        if loop is not None:
            loop.wake()

    def start(self) -> None:
        """Start everything."""
        self._executor.pool = PoolExecutor(self._handler_threads)
        self._keeper.start()
        for loop in self._loops.values():
            loop.start()

    def stop(self, timeout: float) -> None:
        """Claim nothing more, let jobs finish for a while, hand back the rest, end all threads.

        Leases are kept alive until the last handler has ended, so that nobody else begins a job
        that is still being worked on here.

        Args:
            timeout: seconds of real time that jobs have to finish.
        """
        if self._worker is not None:
            self._worker.stop_accepting()
            self._let_finish(self._worker, timeout)
            self._worker.cancel_all()
        for loop in self._loops.values():
            loop.stop()
        pool, self._executor.pool = self._executor.pool, None
        if pool is not None:
            pool.close()
        if self._worker is not None:
            self._worker.hand_back_all()
            self._worker.accept()
        self._keeper.stop()

    def _let_finish(self, worker: Worker, timeout: float) -> None:
        deadline = time.monotonic() + timeout
        pause = threading.Event()
        while worker.claims and time.monotonic() < deadline:
            pause.wait(_STOP_POLL)

    def are_current(self) -> bool:
        """Whether the calling thread is one of these, which can't wait for itself to end."""
        pool = self._executor.pool
        parts: list[Keeper | Loop | PoolExecutor] = [self._keeper, *self._loops.values()]
        if pool is not None:
            parts.append(pool)
        return any(part.is_current() for part in parts)
