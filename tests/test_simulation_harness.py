"""The simulation itself: faults do what they say, time passes, and who is stuck is found out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from gohan_jobs.clock import VirtualClock
from gohan_jobs.exceptions import (
    AmbiguousWrite,
    Compacted,
    OrchestratorUnavailable,
    StoreUnavailable,
)
from gohan_jobs.handlers import Done, JobContext, Outcome, RetryLater
from gohan_jobs.lifecycle import Lifecycle, Role
from gohan_jobs.orchestrators.base import Orchestrator, Stack, StackRequest
from gohan_jobs.orchestrators.simulated import SimulatedHeat
from gohan_jobs.records import ResourceRef
from gohan_jobs.schemas import Schema, Schemas
from gohan_jobs.stores.base import Put, Store, Transaction
from gohan_jobs.stores.memory import MemoryStore
from gohan_jobs.testing.faults import Crash
from gohan_jobs.testing.processes import Call, Fault, Injection, Process
from gohan_jobs.testing.simulation import Simulation, SimulationStuck, every_injection
from simulated_estate import OVERLAP, SCHEMAS, cast, settled, simulate

_PUT = Transaction((), (Put("/a", b"1"),))
_REQUEST = StackRequest(
    name="s",
    tenant="t",
    template="heat_template_version: 2016-10-14\nresources: {}\n",
    parameters={},
)


class _World:
    """A surrounding in which nothing happens but what a test wants."""

    def __init__(self) -> None:
        self.likely = False
        self.frozen: list[str] = []
        self.meddler: Callable[[], object] = bool

    def meddle(self, process: Process) -> None:
        self.meddler()

    def freeze(self, process: Process) -> None:
        self.frozen.append(process.name)

    def chance(self, probability: float) -> bool:
        return self.likely


class _Alone:
    """One process, without a simulation, and its store and orchestrator as it sees them."""

    def __init__(self, lag: float = 0.0) -> None:
        self.world = _World()
        self.shared = MemoryStore(clock=VirtualClock())
        self.heat = SimulatedHeat(VirtualClock())
        self.process = Process(
            "one",
            (Role.WORKER,),
            world=self.world,
            store=self.shared,
            orchestrator=self.heat,
            lag=lag,
        )
        self.process.start(self._make)

    def _make(self, process: Process, store: Store, orchestrator: Orchestrator) -> Lifecycle:
        self.store, self.orchestrator = store, orchestrator
        return Lifecycle(store, orchestrator, Schemas([]), roles=process.roles)


def test_crash_before() -> None:
    """What the process was about to do is not done, and it does nothing more."""
    alone = _Alone()
    alone.process.inject(2, Fault.CRASH_BEFORE)
    assert alone.store.get("/a") is None
    with pytest.raises(Crash):
        alone.store.transact(_PUT)
    with pytest.raises(Crash):
        alone.store.revision()
    assert alone.shared.get("/a") is None
    assert (2, 0) == (len(alone.process.calls), alone.process.pending)


def test_crash_after() -> None:
    """What the process was doing is done, and it never hears of it."""
    alone = _Alone()
    alone.process.inject(1, Fault.CRASH_AFTER)
    with pytest.raises(Crash):
        alone.store.transact(_PUT)
    assert alone.shared.get("/a") is not None


def test_unavailable() -> None:
    """A call fails without effect; the next one is answered."""
    alone = _Alone()
    alone.process.inject(1, Fault.UNAVAILABLE)
    alone.process.inject(3, Fault.UNAVAILABLE)
    with pytest.raises(StoreUnavailable):
        alone.store.transact(_PUT)
    assert alone.shared.get("/a") is None
    assert alone.store.transact(_PUT).succeeded
    with pytest.raises(OrchestratorUnavailable):
        alone.orchestrator.create(_REQUEST)
    assert alone.heat.find("t", "s") is None


def test_answer_lost() -> None:
    """A call is done, and its answer lost; for a transaction that is ambiguous."""
    alone = _Alone()
    for call in (1, 2, 3):
        alone.process.inject(call, Fault.ANSWER_LOST)
    with pytest.raises(AmbiguousWrite):
        alone.store.transact(_PUT)
    assert alone.shared.get("/a") is not None
    with pytest.raises(StoreUnavailable):
        alone.store.get("/a")
    with pytest.raises(OrchestratorUnavailable):
        alone.orchestrator.create(_REQUEST)
    assert alone.heat.find("t", "s") is not None


def test_freeze() -> None:
    """The process stands still before the call, then does it."""
    alone = _Alone()
    alone.process.inject(1, Fault.FREEZE)
    assert alone.store.transact(_PUT).succeeded
    assert alone.world.frozen == ["one"]


def test_a_process_that_is_killed_while_a_call_is_under_way() -> None:
    """It dies before the call is done."""
    alone = _Alone()
    alone.world.meddler = alone.process.kill
    with pytest.raises(Crash):
        alone.store.transact(_PUT)
    assert alone.shared.get("/a") is None


def test_compact() -> None:
    """The history is gone before the call; the process's watches end, others' do not."""
    alone = _Alone()
    watch = alone.store.watch("/", 1)
    other = alone.shared.watch("/", 1)
    alone.shared.transact(_PUT)
    alone.process.inject(2, Fault.COMPACT)
    alone.store.revision()
    with pytest.raises(Compacted) as caught:
        watch.poll()
    assert caught.value.revision == alone.shared.revision()
    batch = other.poll()
    assert batch is not None
    assert [event.key for event in batch.events] == ["/a"]
    watch.close()
    watch.close()


def test_a_poll_is_a_call_only_if_there_is_something() -> None:
    """And one that fails has not taken anything."""
    alone = _Alone()
    watch = alone.store.watch("/", 1)
    assert watch.poll() is None
    alone.shared.transact(_PUT)
    alone.process.inject(2, Fault.ANSWER_LOST)
    with pytest.raises(StoreUnavailable):
        watch.poll()
    batch = watch.poll()
    assert batch is not None
    assert [event.key for event in batch.events] == ["/a"]
    assert [Call("watch", 1), Call("poll", 2), Call("poll", 2)] == alone.process.calls


def test_a_late_watch() -> None:
    """It gives whole revisions, and tells that it holds some back."""
    alone = _Alone(lag=0.5)
    watch = alone.store.watch("/", 1)
    alone.shared.transact(_PUT)
    alone.world.likely = True
    assert watch.poll() is None
    assert alone.process.withheld
    alone.world.likely = False
    batch = watch.poll()
    assert batch is not None
    assert (2, ["/a"]) == (batch.revision, [event.key for event in batch.events])
    assert not alone.process.withheld


def test_a_dead_process() -> None:
    """Its watches are closed, and it holds nothing back."""
    alone = _Alone()
    alone.store.watch("/", 1)
    alone.process.kill()
    assert alone.process.lifecycle is None
    assert not alone.process.withheld
    alone.process.bury()
    with pytest.raises(Crash):
        alone.store.watch("/", 1)


def test_the_orchestrator_passes_through() -> None:
    """Every method does what the shared one's does, as a call of the process."""
    alone = _Alone()
    heat = alone.orchestrator
    heat.validate(_REQUEST)
    stack = heat.create(_REQUEST)
    heat.update(stack, _REQUEST)
    seen = heat.observe([stack])[stack.id]
    assert isinstance(seen, Stack)
    assert heat.outputs(stack) == ()
    assert heat.diagnose(stack) == alone.heat.diagnose(stack)
    heat.delete(stack)
    assert heat.find("t", "s") is None
    heat.close()
    assert heat.request_timeout == alone.heat.request_timeout
    assert [call.name for call in alone.process.calls] == [
        "validate",
        "create",
        "update",
        "observe",
        "outputs",
        "diagnose",
        "delete",
        "find",
    ]


def test_the_same_seed_gives_the_same_run() -> None:
    """Events, calls and history are equal."""
    runs = [simulate(OVERLAP, seed=7, lag=0.3, meddling=0.3) for _ in range(2)]
    told = [[str(event) for event in run.events] for run in runs]
    assert told[0] == told[1]
    calls = [{name: p.calls for name, p in run.processes.items()} for run in runs]
    assert calls[0] == calls[1]


def test_a_process_is_killed_and_started_again() -> None:
    """At a time of the clock; a dead one can't be killed again."""
    simulation = Simulation(SCHEMAS)
    OVERLAP(cast(simulation))
    simulation.kill(5.0, "worker-1")
    simulation.kill(5.0, "worker-1")
    simulation.run()
    assert simulation.processes["worker-1"].lives == 2
    assert settled(simulation) == settled(simulate(OVERLAP))


def test_a_frozen_process_is_killed() -> None:
    """It dies before it goes on."""
    simulation = Simulation(SCHEMAS)
    OVERLAP(cast(simulation))
    simulation.inject(Injection("worker-1", 10, Fault.FREEZE))
    simulation.kill(60.0, "worker-1")
    simulation.run()
    assert simulation.processes["worker-1"].lives == 2
    assert settled(simulation) == settled(simulate(OVERLAP))


def test_a_resource_without_a_stack() -> None:
    """Its state says that it was read, and there is nothing else."""
    simulation = Simulation(SCHEMAS)
    cast(simulation).put(1.0, "note-1")
    simulation.run()
    outcome = simulation.outcome()
    assert ({"/state/v2.0/notes/note-1": (1, "read")}, {}) == (outcome.states, outcome.stacks)


def test_repeated_looks_are_left_out() -> None:
    """A standby asks every second whether there is a leader: once is enough."""
    run = Simulation(SCHEMAS)
    run.run()
    calls = {name: process.calls for name, process in run.processes.items()}
    chosen = [
        (each.process, calls[each.process][each.call - 1])
        for each in every_injection(run, [Fault.FREEZE])
    ]
    looks = [found for found in chosen if found[1].name == "get"]
    assert sorted(set(looks), key=str) == sorted(looks, key=str)
    assert len(chosen) < sum(map(len, calls.values()))


_TYPE = Schemas([Schema(type="thing", prefix="v2/things", templates={"mine": "Cmine"})])


def _things(handler: Callable[[JobContext], Outcome], **options: Any) -> Simulation:
    simulation = Simulation(_TYPE, handlers=lambda: {"mine": handler}, **options)
    template = {
        "handler": "mine",
        "watch": [],
        "id": "mine",
        "template_file": "",
        "parameter_mappings": {},
    }
    simulation.submit(0.0, ResourceRef("heat_template", "mine"), template)
    simulation.submit(1.0, ResourceRef("thing", "1"), {"id": "1", "tenant_id": "t"})
    return simulation


@pytest.mark.exhaustive
def test_a_handler_of_ones_own() -> None:
    """It is tried with a fault at every call, as the documentation shows."""
    made: list[str] = []

    def handler(context: JobContext) -> Outcome:
        if context.job.resource_id not in made:
            made.append(context.job.resource_id)
        return Done()

    expected = _things(handler)
    expected.run()
    assert expected.outcome().states == {"/state/v2/things/1": (1, "completed")}
    for injection in every_injection(expected, [Fault.CRASH_BEFORE, Fault.CRASH_AFTER]):
        made.clear()
        run = _things(handler)
        run.inject(injection)
        run.run()
        assert (expected.outcome(), ["1"]) == (run.outcome(), made)


def test_one_that_never_ends() -> None:
    """A run has a limit, of the clock and of steps."""
    run = _things(lambda _: RetryLater(after=1.0))
    with pytest.raises(SimulationStuck, match="no rest after 300 s"):
        run.run(limit=300.0)


def test_one_that_works_in_circles(monkeypatch: pytest.MonkeyPatch) -> None:
    """Work without end at one time is found out, too."""
    run = _things(lambda _: RetryLater(after=0.0))
    monkeypatch.setattr("gohan_jobs.testing.simulation._MAX_STEPS", 500)
    with pytest.raises(SimulationStuck, match="no rest after 500 steps"):
        run.run()


def test_one_that_is_due_and_does_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A real process would spin."""
    run = _things(lambda _: Done())
    monkeypatch.setattr(Lifecycle, "step", lambda _: False)
    monkeypatch.setattr(Lifecycle, "due", 0.0)
    with pytest.raises(SimulationStuck, match="says it has work, and does none"):
        run.run()


def test_injections_name_their_process() -> None:
    """One that is not there is an error."""
    with pytest.raises(KeyError):
        Simulation(SCHEMAS).inject(Injection("nobody", 1, Fault.FREEZE))
