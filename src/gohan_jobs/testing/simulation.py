"""Many processes in one, on a clock that jumps, with a fault at any call: for handlers' tests.

A simulation has one store and one orchestrator that survive everything, and processes that may die
at any of their calls to either, stand still, or hear late. What Gohan would do is scripted at
times of the clock. One seed makes one schedule: a failure can be run again.

To test a handler of your own with a crash at every call it leads to::

    def simulate(*injections: Injection) -> Simulation:
        simulation = Simulation(schemas, handlers=lambda: {"my_worker": MyHandler()})
        simulation.submit(0.0, ResourceRef("port", "p1"), {"id": "p1", "tenant_id": "t"})
        simulation.inject(*injections)
        simulation.run()
        return simulation

    expected = simulate()
    for injection in every_injection(expected):
        assert expected.outcome() == simulate(injection).outcome()
"""

from __future__ import annotations

import heapq
import itertools
import math
import random
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any

from gohan_jobs.admission import Admission
from gohan_jobs.clock import VirtualClock
from gohan_jobs.codec import Codec
from gohan_jobs.events import Event as LifecycleEvent
from gohan_jobs.exceptions import GohanJobsError
from gohan_jobs.handler_registry import AnyHandler
from gohan_jobs.lifecycle import Lifecycle, Role
from gohan_jobs.manager import ManagerOptions
from gohan_jobs.orchestrators.base import Orchestrator
from gohan_jobs.orchestrators.simulated import SimulatedHeat
from gohan_jobs.records import ConfigRecord, ResourceRef, WorkerState
from gohan_jobs.schemas import Schemas
from gohan_jobs.stores.base import Delete, Event, Store, Transaction
from gohan_jobs.stores.memory import MemoryStore
from gohan_jobs.testing.faults import Crash
from gohan_jobs.testing.outcomes import Outcome, outcome_of
from gohan_jobs.testing.processes import Fault, Injection, Process, World, every_injection
from gohan_jobs.worker import WorkerOptions

__all__ = [
    "DEFAULT_PROCESSES",
    "Fault",
    "Injection",
    "Outcome",
    "Simulation",
    "SimulationStuck",
    "every_injection",
]

DEFAULT_PROCESSES: Mapping[str, tuple[str, ...]] = {
    "manager": (Role.MANAGER,),
    "standby": (Role.MANAGER,),
    "worker-1": (Role.WORKER,),
    "worker-2": (Role.WORKER,),
}
"""A job manager, a standby for it, and two workers."""

_TICK = 10.0
_BACKOFF = 0.05
_MAX_STEPS = 50_000
_PATIENCE = 20


class SimulationStuck(AssertionError):
    """The simulation did not come to rest, or a process works in circles."""


class Simulation:
    """One schedule of one scenario.

    Args:
        schemas: the types.
        seed: of everything that is left to chance.
        processes: the roles of each process, by its name.
        handlers: makes a process's further handlers, beside the one for Heat.
        manager: how job managers behave.
        worker: how workers behave.
        heat: gets the clock, makes the orchestrator; by default a simulated Heat whose operations
            take three seconds.
        admission: gets the clock, makes the hook that job managers ask before they queue anything.
        tenants: whose stacks :meth:`outcome` looks at.
        lag: probability that a watch holds back what it has when it is polled.
        meddling: probability that another process works while a call is under way.
        restart_after: seconds after which a process that died is started again.
        freeze_seconds: how long a frozen process stands still; longer than all leases.
        rest_seconds: how long nothing may have happened, faults included, before a run is over;
            longer than a lease and a hold together.

    Attributes:
        clock: the time.
        store: the store.
        orchestrator: the orchestrator.
        processes: by name.
        events: what the lifecycles told, with the time and the name of the process.
        history: every change of the store, one tuple a revision.
    """

    def __init__(
        self,
        schemas: Schemas,
        *,
        seed: int = 0,
        processes: Mapping[str, Collection[str]] = DEFAULT_PROCESSES,
        handlers: Callable[[], Mapping[str, AnyHandler]] = dict,
        manager: ManagerOptions | None = None,
        worker: WorkerOptions | None = None,
        heat: Callable[[VirtualClock], SimulatedHeat] | None = None,
        admission: Callable[[VirtualClock], Admission] | None = None,
        tenants: Collection[str] = ("t",),
        lag: float = 0.0,
        meddling: float = 0.0,
        restart_after: float = 2.0,
        freeze_seconds: float = 150.0,
        rest_seconds: float = 130.0,
    ) -> None:
        self.clock: VirtualClock = VirtualClock()
        self.store: MemoryStore = MemoryStore(clock=self.clock)
        self.orchestrator: SimulatedHeat = _heat(self.clock) if heat is None else heat(self.clock)
        self.events: list[tuple[float, str, LifecycleEvent]] = []
        self.history: list[tuple[Event, ...]] = []
        self._schemas = schemas
        self._codec = Codec()
        self._rng = random.Random(seed)  # noqa: S311 - a schedule, not a secret
        self._handlers = handlers
        self._manager = manager or ManagerOptions(claim_pause=self.orchestrator.request_timeout)
        self._worker = worker or WorkerOptions()
        self._admission = None if admission is None else admission(self.clock)
        self._tenants = tuple(tenants)
        self._meddling = meddling
        self._restart_after = restart_after
        self._freeze_seconds = freeze_seconds
        self._rest_seconds = rest_seconds
        self._steps = 0
        self._changed_at = 0.0
        self._agenda: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._deleting: dict[ResourceRef, None] = {}
        self._watch = self.store.watch("", 1)
        self._gohan = Lifecycle(
            self.store, self.orchestrator, schemas, roles=(), codec=self._codec, clock=self.clock
        )
        self.processes: dict[str, Process] = {
            name: Process(
                name, roles, world=self, store=self.store, orchestrator=self.orchestrator, lag=lag
            )
            for name, roles in processes.items()
        }
        for process in self.processes.values():
            self._start(process)

    # What is to happen.

    def at(self, when: float, action: Callable[[], None]) -> None:
        """Do something at a clock time, in seconds."""
        heapq.heappush(self._agenda, (when, next(self._order), action))

    def submit(
        self, when: float, ref: ResourceRef, body: Mapping[str, Any], version: int = 1
    ) -> None:
        """Let Gohan write a config at a clock time."""
        config = ConfigRecord(body=dict(body), version=version)
        self.at(when, lambda: _discard(self._gohan.submit(config, ref)))

    def delete(self, when: float, ref: ResourceRef) -> None:
        """Let Gohan delete a config at a clock time: both steps of it, if its type has two."""
        self.at(when, lambda: self._delete(ref))

    def kill(self, when: float, process: str) -> None:
        """Let a process die at a clock time, and be started again later."""
        self.at(when, lambda: self._kill(self.processes[process]))

    def inject(self, *injections: Injection) -> None:
        """Let faults happen."""
        for injection in injections:
            self.processes[injection.process].inject(injection.call, injection.fault)

    # Running.

    def run(self, limit: float = 7200.0) -> None:
        """Go on until all that was scripted has happened and nothing more does.

        Args:
            limit: seconds of the clock.

        Raises:
            SimulationStuck: it does not come to rest, or a process works in circles.
        """
        deadline = self.clock.now() + limit
        revision, self._changed_at = 0, self.clock.now()
        while self._agenda or self.clock.now() - self._changed_at < self._rest_seconds:
            if self.clock.now() > deadline:
                raise SimulationStuck(f"no rest after {limit:g} s: {self.outcome().remains}")
            if not self._work():
                self._pass_time(deadline + _TICK)
            # Looked at last: what was scripted for after a long rest is a change, too.
            if self.store.revision() != revision:
                self._changed_at, revision = self.clock.now(), self.store.revision()
        self._collect()

    def restart(self) -> None:
        """Let every process die, and start all of them once their leases have ended."""
        for process in self.processes.values():
            process.kill()
        self.clock.advance(self._rest_seconds)
        self.store.expire()
        for process in self.processes.values():
            self._start(process)

    def outcome(self) -> Outcome:
        """What it has come to."""
        return outcome_of(self.store, self.orchestrator, self._codec, self._tenants)

    # What processes need (World).

    def meddle(self, process: Process) -> None:
        """See :class:`~gohan_jobs.testing.processes.World`."""
        del process
        while self._meddling and self.chance(self._meddling) and self._work():
            pass

    def freeze(self, process: Process) -> None:
        """See :class:`~gohan_jobs.testing.processes.World`."""
        del process
        until = self.clock.now() + self._freeze_seconds
        while self.clock.now() < until:
            if not self._work():
                self._pass_time(until)
        self._changed_at = self.clock.now()

    def chance(self, probability: float) -> bool:
        """See :class:`~gohan_jobs.testing.processes.World`."""
        return self._rng.random() < probability

    # Parts.

    def _start(self, process: Process) -> None:
        process.wakes_at = self.clock.now()
        process.start(self._lifecycle)

    def _lifecycle(self, process: Process, store: Store, orchestrator: Orchestrator) -> Lifecycle:
        def hear(event: LifecycleEvent) -> None:
            self.events.append((self.clock.now(), process.name, event))

        return Lifecycle(
            store,
            orchestrator,
            self._schemas,
            roles=process.roles,
            handlers=self._handlers(),
            hooks=(hear,),
            clock=self.clock,
            codec=self._codec,
            manager=self._manager,
            worker=self._worker,
            seed=self._rng.getrandbits(64),
            admission=self._admission,
        )

    def _kill(self, process: Process) -> None:
        if process.lifecycle is not None:
            process.kill()
            if not process.busy:
                self._died(process)

    def _died(self, process: Process) -> None:
        process.bury()
        self._changed_at = self.clock.now()
        self.at(self.clock.now() + self._restart_after, lambda: self._start(process))

    def _work(self) -> bool:
        """Do what is due of the script, or one step of a process; whether there was any."""
        if self._agenda and self._agenda[0][0] <= self.clock.now():
            heapq.heappop(self._agenda)[2]()
            return True
        if self._deleting and self._finish_deletions():
            return True
        able = [process for process in self.processes.values() if self._able(process)]
        if not able:
            return False
        self._step(self._rng.choice(able))
        return True

    def _able(self, process: Process) -> bool:
        return (
            process.lifecycle is not None
            and not process.busy
            and process.wakes_at <= self.clock.now()
            and (process.sleeps_until <= self.clock.now() or process.slept_at != self._revision())
        )

    def _step(self, process: Process) -> None:
        self._steps += 1
        if self._steps > _MAX_STEPS:
            raise SimulationStuck(f"no rest after {_MAX_STEPS} steps: {self.outcome().remains}")
        process.busy = True
        before = self._revision()
        try:
            worked = process.step()
        except Crash:
            process.busy = False
            self._died(process)
            return
        except GohanJobsError:
            # As the threads of a process do: it backs off, and goes on.
            process.wakes_at = self.clock.now() + _BACKOFF
            self._changed_at = self.clock.now()
            worked = True
        finally:
            process.busy = False
        if worked or process.withheld or process.lifecycle is None:
            process.sleeps_until = 0.0
            return
        # Nothing to do until something is due or changes; leases are renewed at every tick.
        due = process.lifecycle.due
        if due is not None and due <= self.clock.now():
            process.vain += 1
            if process.vain > _PATIENCE:
                raise SimulationStuck(f"{process.name} says it has work, and does none")
            return
        process.vain = 0
        process.slept_at = before
        process.sleeps_until = min(self.clock.now() + _TICK, math.inf if due is None else due)

    def _pass_time(self, deadline: float) -> None:
        """Nothing can be done now: go on to when something can."""
        now = self.clock.now()
        times = [now + _TICK, deadline]
        if self._agenda:
            times.append(self._agenda[0][0])
        times += [
            max(process.wakes_at, process.sleeps_until)
            for process in self.processes.values()
            if process.lifecycle is not None and not process.busy
        ]
        self.clock.advance(max(min(times), now) - now)
        self.store.expire()

    def _collect(self) -> None:
        while (batch := self._watch.poll()) is not None:
            for _, events in itertools.groupby(batch.events, key=lambda event: event.revision):
                self.history.append(tuple(events))

    def _revision(self) -> int:
        return self.store.revision()

    # Gohan.

    def _delete(self, ref: ResourceRef) -> None:
        schema = self._schemas.by_type(ref.resource_type)
        self._gohan.delete(ref)
        if schema is not None and schema.two_step_deletion:
            self._deleting[ref] = None

    def _finish_deletions(self) -> bool:
        """The second step: the config's key goes once its ``/state`` says so."""
        for ref in self._deleting:
            path = self._gohan.path_of(ref)
            key = self._codec.keys.state_of(path)
            entry = self.store.get(key)
            if entry is None:
                continue
            state = self._codec.state(key, entry.value)
            if state.worker_state == WorkerState.DELETED:
                config = self._codec.keys.config_of(path)
                self.store.transact(Transaction((), (Delete(config), Delete(key))))
                del self._deleting[ref]
                return True
        return False


def _heat(clock: VirtualClock) -> SimulatedHeat:
    return SimulatedHeat(clock, operation_seconds=3.0)


def _discard(result: object) -> None:
    del result


if TYPE_CHECKING:

    def _is_world(simulation: Simulation) -> World:
        return simulation
