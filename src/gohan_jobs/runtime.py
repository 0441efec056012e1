"""Threads: the only module that starts any.

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
from gohan_jobs.events import Events, StoreTroubled
from gohan_jobs.exceptions import GohanJobsError
from gohan_jobs.manager import Manager
from gohan_jobs.worker import Worker

__all__ = [
    "THREAD_NAME",
    "Keeper",
    "Loop",
    "PoolExecutor",
    "Stepped",
    "SwitchingExecutor",
    "Threads",
]

_log = logging.getLogger("gohan_jobs")

THREAD_NAME = "gohan-jobs-"
"""Begins the names of all threads."""

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


class Loop:
    """Steps something on a thread of its own until it is stopped.

    Args:
        name: of the thread, and of the role in events.
        stepped: what is stepped.
        clock: the time.
        events: told of trouble.
    """

    def __init__(self, name: str, stepped: Stepped, clock: Clock, events: Events) -> None:
        self._name = name
        self._stepped = stepped
        self._clock = clock
        self._events = events
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"{THREAD_NAME}{name}", daemon=True)
        self.healthy: bool = True
        self.trouble: str = ""

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

    def _run(self) -> None:
        backoff = _FIRST_BACKOFF
        while not self._stopping.is_set():
            self._wake.clear()
            try:
                worked = self._stepped.step()
            except GohanJobsError as error:
                self._report(str(error))
            except Exception as error:  # noqa: BLE001 - a loop lives on, and says so
                _log.exception("%s failed", self._name)
                self._report(f"unexpected {type(error).__name__}")
            else:
                backoff = _FIRST_BACKOFF
                self.healthy, self.trouble = True, ""
                if not worked:
                    self._wake.wait(self._until_due())
                continue
            self._stopping.wait(backoff * (0.5 + random.random()))  # noqa: S311 - jitter
            backoff = min(backoff * 2, _LONGEST_BACKOFF)

    def _report(self, reason: str) -> None:
        if self.trouble != reason:
            self._events.emit(StoreTroubled(role=self._name, reason=reason))
        self.healthy, self.trouble = False, reason

    def _until_due(self) -> float:
        due = self._stepped.due
        if due is None:
            return _LONGEST_SLEEP
        return min(max(due - self._clock.now(), 0.0), _LONGEST_SLEEP)


class Keeper:
    """Keeps leases alive, at a third of the shortest one's time, on a thread of its own.

    Args:
        renew: each renews one lease; what it raises is trouble with the store.
        interval: seconds between renewals.
        events: told of trouble.
    """

    def __init__(
        self, renew: tuple[Callable[[], None], ...], interval: float, events: Events
    ) -> None:
        self._renew = renew
        self._interval = interval
        self._events = events
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"{THREAD_NAME}keeper", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Stop, and wait for the thread."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def is_current(self) -> bool:
        """Whether the calling thread is this one."""
        return threading.current_thread() is self._thread

    def _run(self) -> None:
        pause = self._interval
        while not self._stopping.wait(pause):
            pause = self._interval
            for renew in self._renew:
                try:
                    renew()
                except GohanJobsError as error:
                    self._events.emit(StoreTroubled(role="keeper", reason=str(error)))
                    pause = min(1.0, self._interval)


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
    ) -> None:
        self._worker = worker
        self._executor = executor
        self._handler_threads = handler_threads
        self._loops: dict[str, Loop] = {}
        renew: list[Callable[[], None]] = []
        if manager is not None:
            self._loops["manager"] = Loop("manager", manager, clock, events)
            renew.append(manager.leadership.keep_alive)
        if worker is not None:
            self._loops["worker"] = Loop("worker", worker, clock, events)
            renew.append(worker.keep_alive)
        self._keeper = Keeper(tuple(renew), renewal_interval, events)

    @property
    def troubles(self) -> dict[str, str]:
        """What keeps which loop from working."""
        return {name: loop.trouble for name, loop in self._loops.items() if loop.trouble}

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
