"""The threads of a lifecycle, started and ended together.

Loops that step the manager and the worker, a pool for handlers, and the keeper of leases.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from gohan_jobs.clock import Clock
from gohan_jobs.events import Events
from gohan_jobs.loops import Keeper, Loop
from gohan_jobs.manager import Manager
from gohan_jobs.threads import THREAD_NAME
from gohan_jobs.worker import Worker

__all__ = ["PoolExecutor", "SwitchingExecutor", "Threads"]

_STOP_POLL = 0.02


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
