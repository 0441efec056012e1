"""A process of a simulation: a lifecycle whose every call to the outside can go wrong.

Only calls that can make a difference are counted: a poll of a watch that has nothing to tell is
none.
"""

from __future__ import annotations

import contextlib
import enum
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Protocol, TypeVar

import attrs

from gohan_jobs.exceptions import (
    Compacted,
)
from gohan_jobs.lifecycle import Lifecycle
from gohan_jobs.orchestrators.base import Orchestrator
from gohan_jobs.stores.base import Store
from gohan_jobs.testing.faults import Crash
from gohan_jobs.testing.surroundings import ProcessOrchestrator, ProcessStore

__all__ = ["Call", "Fault", "Injection", "Process", "Run", "World", "every_injection"]

_Answer = TypeVar("_Answer")


_LOOKS = frozenset({"get", "keep_alive"})


class Fault(enum.Enum):
    """What can happen at a call."""

    CRASH_BEFORE = "crash before"
    """The process dies before the call is done."""

    CRASH_AFTER = "crash after"
    """The process dies after the call is done, before it has the answer."""

    UNAVAILABLE = "unavailable"
    """The call fails without effect; the process goes on."""

    ANSWER_LOST = "answer lost"
    """The call is done, its answer lost; the process goes on."""

    FREEZE = "freeze"
    """The process stands still before the call for longer than its leases, then does it."""

    COMPACT = "compact"
    """The store forgets its history before the call, and the process's watches end."""


@attrs.frozen
class Call:
    """One call that a process has made.

    Attributes:
        name: of the method.
        revision: the store's, when it was made.
    """

    name: str
    revision: int


@attrs.frozen
class Injection:
    """One fault at one call.

    Attributes:
        process: name of the process.
        call: which of its calls, counted over all its lives, from 1.
        fault: what happens there.
    """

    process: str
    call: int
    fault: Fault


class World(Protocol):
    """What a process needs of its surroundings."""

    def meddle(self, process: Process) -> None:
        """Others may work while a call of this process is under way."""
        ...

    def freeze(self, process: Process) -> None:
        """Let time pass without this process."""
        ...

    def chance(self, probability: float) -> bool:
        """Whether something of that probability happens now."""
        ...


class Process:
    """One process, which may die and be started again.

    Args:
        name: its name, the same in all its lives.
        roles: what it does.
        world: its surroundings.
        store: the store that all processes share.
        orchestrator: likewise.
        lag: probability that a watch holds back what it has when it is polled.

    Attributes:
        lifecycle: the one now alive; None while the process is dead.
        calls: its calls so far, in order.
        lives: how often it has been started.
        busy: whether a call of it is under way.
        wakes_at: clock time before which it does nothing.
        sleeps_until: clock time before which it has nothing to do, if nothing changes after ...
        slept_at: ... this revision.
        vain: how often in a row it had nothing to do when something was due.
    """

    def __init__(
        self,
        name: str,
        roles: Collection[str],
        *,
        world: World,
        store: Store,
        orchestrator: Orchestrator,
        lag: float = 0.0,
    ) -> None:
        self.name = name
        self.roles: tuple[str, ...] = tuple(roles)
        self.lifecycle: Lifecycle | None = None
        self.calls: list[Call] = []
        self.lives: int = 0
        self.busy: bool = False
        self.wakes_at: float = 0.0
        self.slept_at = 0
        self.sleeps_until: float = 0.0
        self.vain = 0
        self.lag = lag
        self._world = world
        self._shared_store = store
        self._shared_orchestrator = orchestrator
        self._injections: dict[int, Fault] = {}
        self._store: ProcessStore | None = None
        self._doomed = False

    def inject(self, call: int, fault: Fault) -> None:
        """Let a fault happen at one of its calls."""
        self._injections[call] = fault

    @property
    def pending(self) -> int:
        """How many faults have not happened yet."""
        return len(self._injections)

    def start(self, make: Callable[[Process, Store, Orchestrator], Lifecycle]) -> None:
        """Begin a life."""
        self.lives += 1
        self._doomed = False
        self.sleeps_until = 0.0
        self._store = ProcessStore(self, self._shared_store)
        self.lifecycle = make(
            self, self._store, ProcessOrchestrator(self, self._shared_orchestrator)
        )

    def kill(self) -> None:
        """Die: at once, or at the call that is under way."""
        self._doomed = True
        if not self.busy:
            self.bury()

    def bury(self) -> None:
        """It has died: nothing of it is left but what it wrote. Leases end by the clock."""
        self.lifecycle = None
        if self._store is not None:
            self._store.drop_watches()
        self._store = None

    def step(self) -> bool:
        """Let it do one step; whether it did something.

        Raises:
            Crash: it died.
        """
        assert self.lifecycle is not None, f"{self.name} is dead"
        assert self._store is not None
        self._store.hold_nothing_back()
        return self.lifecycle.step()

    @property
    def withheld(self) -> bool:
        """Whether its watches hold something back."""
        return self._store is not None and self._store.withheld

    def holds_back(self) -> bool:
        """Whether a watch that is polled now is late."""
        return self.lag > 0 and self._world.chance(self.lag)

    def call(
        self,
        name: str,
        action: Callable[[], _Answer],
        *,
        unavailable: Callable[[], Exception],
        lost: Callable[[], Exception],
    ) -> _Answer:
        """Do one call, with the fault there is for it.

        Args:
            name: of the call.
            action: does it.
            unavailable: makes the error of a call that failed without effect.
            lost: makes the error of a call whose answer was lost.

        Raises:
            Crash: the process has died.
        """
        self._check_alive()
        self.calls.append(Call(name, self._shared_store.revision()))
        fault = self._injections.pop(len(self.calls), None)
        self._before(fault, unavailable)
        answer = action()
        if fault is Fault.CRASH_AFTER:
            self._die()
        if fault is Fault.ANSWER_LOST:
            raise lost()
        return answer

    def _before(self, fault: Fault | None, unavailable: Callable[[], Exception]) -> None:
        outer, self.busy = self.busy, True
        try:
            if fault is Fault.FREEZE:
                self._world.freeze(self)
            else:
                self._world.meddle(self)
        finally:
            self.busy = outer
        self._check_alive()
        if fault is Fault.CRASH_BEFORE:
            self._die()
        if fault is Fault.UNAVAILABLE:
            raise unavailable()
        if fault is Fault.COMPACT:
            self._compact()

    def _compact(self) -> None:
        assert self._store is not None, f"{self.name} is dead"
        revision = self._shared_store.revision()
        with contextlib.suppress(Compacted):  # it is forgotten already
            self._shared_store.compact(revision)
        self._store.break_watches(Compacted(revision))

    def _check_alive(self) -> None:
        if self._doomed:
            raise Crash(f"{self.name} has died")

    def _die(self) -> None:
        self._doomed = True
        raise Crash(f"{self.name} has died")


class Run(Protocol):
    """What has processes, such as a simulation."""

    @property
    def processes(self) -> Mapping[str, Process]:
        """By name."""
        ...


def every_injection(run: Run, faults: Iterable[Fault] = tuple(Fault)) -> Iterator[Injection]:
    """Each fault at each call that a run without faults has made.

    Left out is a call that only looks and repeats the last of its name, with nothing changed in the
    store since: a standby that asks every second whether there is a leader, say.

    Args:
        run: the run without faults.
        faults: which ones.
    """
    for fault in faults:
        for process in run.processes.values():
            for number in _telling(process):
                yield Injection(process.name, number, fault)


def _telling(process: Process) -> Iterator[int]:
    seen: set[Call] = set()
    for number, call in enumerate(process.calls, 1):
        if call.name not in _LOOKS or call not in seen:
            yield number
        seen.add(call)
