"""The shared store and orchestrator as one process of a simulation sees them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol, TypeVar

from gohan_jobs.exceptions import AmbiguousWrite, OrchestratorUnavailable, StoreUnavailable
from gohan_jobs.orchestrators.base import Diagnosis, Orchestrator, Stack, StackRequest
from gohan_jobs.records import StackOutput
from gohan_jobs.stores.base import Event, Store, Watch, WatchBatch
from gohan_jobs.testing.faults import FaultyStore, StoreCall

__all__ = ["Caller", "ProcessOrchestrator", "ProcessStore"]

_Answer = TypeVar("_Answer")


class Caller(Protocol):
    """The process whose calls these are."""

    def call(
        self,
        name: str,
        action: Callable[[], _Answer],
        *,
        unavailable: Callable[[], Exception],
        lost: Callable[[], Exception],
    ) -> _Answer:
        """Do one call, with the fault there is for it."""
        ...

    def holds_back(self) -> bool:
        """Whether what a watch has is late."""
        ...


class ProcessStore(FaultyStore):
    """The shared store as one process sees it."""

    def __init__(self, process: Caller, store: Store) -> None:
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

    def __init__(self, process: Caller, store: ProcessStore, inner: Watch) -> None:
        self._process = process
        self._store = store
        self._inner = inner
        self._late: deque[WatchBatch] = deque()
        self.broken: Exception | None = None
        self.withheld: bool = False

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


class ProcessOrchestrator:
    """The shared orchestrator as one process sees it."""

    def __init__(self, process: Caller, orchestrator: Orchestrator) -> None:
        self._process = process
        self._inner = orchestrator

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

    def _is_orchestrator(orchestrator: ProcessOrchestrator) -> Orchestrator:
        return orchestrator
