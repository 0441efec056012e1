"""A process of a simulation: a lifecycle whose every call to the outside can go wrong.

Only calls that can make a difference are counted: a poll of a watch that has nothing to tell is
none.
"""

from __future__ import annotations

import contextlib
import enum
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol, TypeVar

import attrs

from gohan_jobs.exceptions import (
    AmbiguousWrite,
    Compacted,
    OrchestratorUnavailable,
    StoreUnavailable,
)
from gohan_jobs.lifecycle import Lifecycle
from gohan_jobs.orchestrators.base import Diagnosis, Orchestrator, Stack, StackRequest
from gohan_jobs.records import StackOutput
from gohan_jobs.stores.base import Event, Store, Watch, WatchBatch
from gohan_jobs.testing.faults import Crash, FaultyStore, StoreCall

__all__ = ["Call", "Fault", "Injection", "Process", "World"]

_Answer = TypeVar("_Answer")


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
        self._store: _ProcessStore | None = None
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
        self._store = _ProcessStore(self, self._shared_store)
        self.lifecycle = make(self, self._store, _ProcessOrchestrator(self))

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


class _ProcessStore(FaultyStore):
    """The shared store as one process sees it."""

    def __init__(self, process: Process, store: Store) -> None:
        super().__init__(store)
        self._process = process
        self._open: list[_LateWatch] = []

    def through(self, call: StoreCall, action: Callable[[], _Answer]) -> _Answer:
        """Make one call as the process."""
        return self._process.call(
            call,
            action,
            unavailable=_unavailable,
            lost=_ambiguous if call == "transact" else _unavailable,
        )

    def watch(self, prefix: str, revision: int, *, wake: Callable[[], None] | None = None) -> Watch:
        """A watch that may be late."""
        del wake  # the simulation looks for itself
        inner = self.through("watch", lambda: self.store.watch(prefix, revision))
        watch = _LateWatch(self._process, self, inner)
        self._open.append(watch)
        return watch

    @property
    def withheld(self) -> bool:
        """Whether a watch holds something back."""
        return any(watch.withheld for watch in self._open)

    def hold_nothing_back(self) -> None:
        """What is not polled in this step is not late."""
        for watch in self._open:
            watch.withheld = False

    def forget(self, watch: _LateWatch) -> None:
        """A watch was closed."""
        if watch in self._open:
            self._open.remove(watch)

    def break_watches(self, error: Exception) -> None:
        """End every watch with an error."""
        for watch in self._open:
            watch.broken = error

    def drop_watches(self) -> None:
        """Close every watch, the process being dead."""
        for watch in tuple(self._open):
            watch.close()


class _LateWatch:
    """Each watch is a stream of its own: it may be behind the others, by whole revisions."""

    def __init__(self, process: Process, store: _ProcessStore, inner: Watch) -> None:
        self._process = process
        self._store = store
        self._inner = inner
        self._late: deque[WatchBatch] = deque()
        self.broken: Exception | None = None
        self.withheld = False

    @property
    def pending(self) -> bool:
        """Whether it has something that was not taken yet."""
        self._fill()
        return bool(self._late) or self.broken is not None

    def _fill(self) -> None:
        if self.broken is None:
            batch = self._inner.poll()
            if batch is not None:
                self._late.extend(_revisions(batch))

    def poll(self, timeout: float = 0.0) -> WatchBatch | None:
        """What has come, or not yet."""
        del timeout  # time stands still
        if not self.pending:
            return None
        before = tuple(self._late)

        def lost() -> Exception:
            # A poll that fails has not taken anything: that is the contract.
            self._late = deque(before)
            return _unavailable()

        return self._process.call("poll", self._take, unavailable=_unavailable, lost=lost)

    def _take(self) -> WatchBatch | None:
        if self.broken is not None:
            raise self.broken
        events: list[Event] = []
        revision = 0
        while self._late and not self._process.holds_back():
            batch = self._late.popleft()
            events += batch.events
            revision = batch.revision
        self.withheld = bool(self._late)
        return WatchBatch(revision=revision, events=tuple(events)) if events else None

    def close(self) -> None:
        """Stop."""
        self._store.forget(self)
        self._inner.close()


class _ProcessOrchestrator:
    """The shared orchestrator as one process sees it."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._inner = process._shared_orchestrator  # noqa: SLF001 - the same module's

    @property
    def request_timeout(self) -> float:
        """As the shared one's."""
        return self._inner.request_timeout

    def _call(self, name: str, action: Callable[[], _Answer]) -> _Answer:
        return self._process.call(name, action, unavailable=_no_orchestrator, lost=_no_orchestrator)

    def find(self, tenant: str, name: str) -> Stack | None:
        """See :class:`~gohan_jobs.orchestrators.base.Orchestrator`."""
        return self._call("find", lambda: self._inner.find(tenant, name))

    def create(self, request: StackRequest) -> Stack:
        """See :class:`~gohan_jobs.orchestrators.base.Orchestrator`."""
        return self._call("create", lambda: self._inner.create(request))

    def update(self, stack: Stack, request: StackRequest) -> None:
        """See :class:`~gohan_jobs.orchestrators.base.Orchestrator`."""
        self._call("update", lambda: self._inner.update(stack, request))

    def delete(self, stack: Stack) -> None:
        """See :class:`~gohan_jobs.orchestrators.base.Orchestrator`."""
        self._call("delete", lambda: self._inner.delete(stack))

    def observe(self, stacks: Sequence[Stack]) -> Mapping[str, Stack | None]:
        """See :class:`~gohan_jobs.orchestrators.base.Orchestrator`."""
        return self._call("observe", lambda: self._inner.observe(stacks))

    def outputs(self, stack: Stack) -> tuple[StackOutput, ...]:
        """See :class:`~gohan_jobs.orchestrators.base.Orchestrator`."""
        return self._call("outputs", lambda: self._inner.outputs(stack))

    def diagnose(self, stack: Stack) -> Diagnosis:
        """See :class:`~gohan_jobs.orchestrators.base.Orchestrator`."""
        return self._call("diagnose", lambda: self._inner.diagnose(stack))

    def validate(self, request: StackRequest) -> None:
        """See :class:`~gohan_jobs.orchestrators.base.Orchestrator`."""
        self._call("validate", lambda: self._inner.validate(request))

    def close(self) -> None:
        """Nothing is held."""


def _revisions(batch: WatchBatch) -> list[WatchBatch]:
    """A batch taken apart, since a late watch may stop at any revision."""
    found: dict[int, list[Event]] = {}
    for event in batch.events:
        found.setdefault(event.revision, []).append(event)
    return [WatchBatch(revision=r, events=tuple(events)) for r, events in found.items()]


def _unavailable() -> Exception:
    return StoreUnavailable("a fault: nothing was done")


def _ambiguous() -> Exception:
    return AmbiguousWrite("a fault: it was done, and its answer lost")


def _no_orchestrator() -> Exception:
    return OrchestratorUnavailable("a fault: no answer")


if TYPE_CHECKING:

    def _is_orchestrator(orchestrator: _ProcessOrchestrator) -> Orchestrator:
        return orchestrator
