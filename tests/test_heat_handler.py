"""The Heat handler when somebody else is faster, or Heat says one thing and then another."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import attrs
import pytest

from gohan_jobs.clock import VirtualClock
from gohan_jobs.codec import Codec
from gohan_jobs.events import JobHandedBack
from gohan_jobs.exceptions import OrchestratorUnavailable, StackExists, StackNotFound
from gohan_jobs.handlers import JobContext, Outcome
from gohan_jobs.heat_handler import HeatHandler
from gohan_jobs.orchestrators.base import Stack, StackRequest
from gohan_jobs.orchestrators.simulated import SimulatedHeat
from gohan_jobs.orchestrators.simulated.outcomes import Outcome as Scripted
from gohan_jobs.records import StackOutput
from worlds import HOT, NETWORK, TEMPLATES, TENANT, World

STACK = "network_n1"
THEIRS = StackRequest(
    name=STACK, tenant=TENANT, template=HOT, parameters={"name": "theirs"}, tags=("theirs",)
)
MEDDLED = f"stack {STACK} is being changed by somebody else"


class Meddled(SimulatedHeat):
    """A Heat in which somebody does something just before a call is served.

    Attributes:
        before: what is done before the next call of a name; once.
    """

    def __init__(self, clock: VirtualClock, **options: Any) -> None:
        super().__init__(clock, **options)
        self.before: dict[str, Callable[[SimulatedHeat], object]] = {}

    def _meddle(self, call: str) -> None:
        meddle = self.before.pop(call, None)
        if meddle is not None:
            meddle(self)

    def create(self, request: StackRequest) -> Stack:
        """As ever."""
        self._meddle("create")
        return super().create(request)

    def update(self, stack: Stack, request: StackRequest) -> None:
        """As ever."""
        self._meddle("update")
        super().update(stack, request)

    def outputs(self, stack: Stack) -> tuple[StackOutput, ...]:
        """As ever."""
        self._meddle("outputs")
        return super().outputs(stack)

    def observe(self, stacks: Sequence[Stack]) -> Mapping[str, Stack | None]:
        """As ever."""
        self._meddle("observe")
        return super().observe(stacks)


def world_of(operation_seconds: float = 0.0, **options: Any) -> tuple[World, Meddled]:
    """A world with a Heat that is meddled with."""
    clock = VirtualClock()
    heat = Meddled(clock, operation_seconds=operation_seconds)
    return World(clock=clock, heat=heat, **options), heat


def theirs_exists(heat: SimulatedHeat) -> None:
    """Somebody creates a stack of that name."""
    SimulatedHeat.create(heat, THEIRS)


def gone(heat: SimulatedHeat) -> None:
    """Somebody deletes the stack."""
    stack = heat.find(TENANT, STACK)
    assert stack is not None
    heat.delete(stack)


def run(world: World, version: int = 1) -> tuple[str, int, str] | None:
    """Write a version of the network, and let a minute pass."""
    world.write(NETWORK, {"name": f"v{version}"}, version)
    world.settle()
    world.pass_time(60)
    return world.outcome(NETWORK)


def test_somebody_is_faster_to_create() -> None:
    """A name that is taken meanwhile is looked up, and what is there updated."""
    world, heat = world_of()
    heat.before["create"] = theirs_exists
    assert ("CREATE_COMPLETED", 1, "") == run(world)
    assert [("create", STACK), ("update", STACK)] == world.changes()
    stack = heat.find(TENANT, STACK)
    assert stack is not None
    assert "theirs" not in stack.tags


def test_it_was_created_by_the_same_job_a_moment_ago() -> None:
    """By a worker that has lost it: the stack is waited for, and not changed again."""
    world, heat = world_of(operation_seconds=5.0)

    def same(simulated: SimulatedHeat) -> None:
        tag = f"gohan-jobs:1:{world.job(NETWORK).id.suffix}"
        SimulatedHeat.create(simulated, attrs.evolve(THEIRS, tags=(tag,)))

    heat.before["create"] = same
    assert ("CREATE_COMPLETED", 1, "") == run(world)
    assert [("create", STACK)] == world.changes()


def test_somebody_deletes_before_an_update() -> None:
    """An update that finds nothing becomes a create."""
    world, heat = world_of()
    run(world)
    heat.before["update"] = gone
    assert ("MODIFY_COMPLETED", 2, "") == run(world, 2)
    assert ["create", "delete", "create"] == [name for name, _ in world.changes()]


def test_somebody_deletes_before_the_outputs_are_read() -> None:
    """A stack that is gone when it is complete is made again."""
    world, heat = world_of()
    heat.before["outputs"] = gone
    assert ("CREATE_COMPLETED", 1, "") == run(world)
    assert ["create", "delete", "create"] == [name for name, _ in world.changes()]


def test_somebody_never_stops() -> None:
    """A stack that is changed again and again by somebody else is given up in the end."""
    world, heat = world_of(operation_seconds=0.5)

    def again(_: SimulatedHeat) -> None:
        stack = heat.find(TENANT, STACK)
        assert stack is not None
        if "theirs" not in stack.tags:
            SimulatedHeat.update(heat, stack, THEIRS)
        heat.before["observe"] = again

    heat.before["observe"] = again
    assert ("CREATE_ERROR", 1, MEDDLED) == run(world)
    own = [call.op for call in heat.changes if call.tags != THEIRS.tags]
    assert ["create", *["update"] * 8] == own


def test_a_name_that_is_taken_by_nothing() -> None:
    """A Heat that says a stack exists, and finds none, is not asked for ever."""
    world, heat = world_of()

    def taken(_: SimulatedHeat) -> None:
        heat.before["create"] = taken
        raise StackExists("somewhere")

    heat.before["create"] = taken
    assert ("CREATE_ERROR", 1, MEDDLED) == run(world)


def test_a_stack_that_is_found_and_is_not_there() -> None:
    """A Heat that finds a stack, and knows none to update, is not asked for ever."""
    world, heat = world_of()
    run(world)

    def missing(_: SimulatedHeat) -> None:
        heat.before["update"] = missing
        raise StackNotFound("nowhere")

    heat.before["update"] = missing
    assert ("MODIFY_ERROR", 2, MEDDLED) == run(world, 2)


def test_somebody_creates_what_is_deleted() -> None:
    """A stack that is there again after each deletion is given up in the end."""
    world, heat = world_of()
    run(world)

    def again(_: SimulatedHeat) -> None:
        if heat.find(TENANT, STACK) is None:
            theirs_exists(heat)
        heat.before["observe"] = again

    heat.before["observe"] = again
    world.write(NETWORK, {"name": "v2"}, 2, marked=True)
    world.pass_time(60)
    assert ("DELETE_ERROR", 2, MEDDLED) == world.outcome(NETWORK)


@pytest.mark.parametrize(("failing", "ends"), [(3, "DELETE_COMPLETED"), (4, "DELETE_ERROR")])
def test_a_deletion_is_begun_anew_three_times(failing: int, ends: str) -> None:
    """Then the stack's failure is the result, and the fourth is the last that Heat is asked for."""
    world, heat = world_of()
    run(world)
    heat.script(STACK, *[Scripted(fails=True)] * failing, op="delete")
    world.write(NETWORK, {"name": "v2"}, 2, marked=True)
    world.pass_time(60)
    outcome = world.outcome(NETWORK)
    assert outcome is not None
    assert (ends, 4) == (outcome[0], [op for op, _ in world.changes()].count("delete"))


def test_an_operation_of_somebody_else_has_its_own_time() -> None:
    """The job's own limit, shorter than Heat's usual one, says nothing of how long it may take."""
    templates = {"network": {**TEMPLATES["network"], "heat_timeout": "Pminutes"}}
    world, heat = world_of(templates=templates)
    heat.script(STACK, Scripted(seconds=600.0), op="create")
    theirs_exists(heat)
    world.write(NETWORK, {"name": "v1", "minutes": 1})
    world.pass_time(590, step=10)
    assert None is world.outcome(NETWORK)
    world.pass_time(30, step=5)
    assert ("CREATE_COMPLETED", 1, "") == world.outcome(NETWORK)


@pytest.mark.parametrize(("version", "failed"), [(1, "CREATE_ERROR"), (2, "MODIFY_ERROR")])
def test_an_operation_of_its_own_has_the_jobs_time(version: int, failed: str) -> None:
    """A job that says how long Heat may take is given up soon after, create or update."""
    templates = {"network": {**TEMPLATES["network"], "heat_timeout": "Pminutes"}}
    clock = VirtualClock()
    heat = SimulatedHeat(clock, enforce_timeouts=False)
    world = World(clock=clock, heat=heat, templates=templates)
    for earlier in range(1, version):
        run(world, earlier)
    heat.script(STACK, Scripted(hang=True))
    world.write(NETWORK, {"name": "x", "minutes": 1}, version)
    world.pass_time(130, step=10)
    outcome = world.outcome(NETWORK)
    assert outcome is not None
    assert (failed, version) == outcome[:2]


def test_somebody_replaces_what_is_waited_for() -> None:
    """A stack that is another by the time the wait is over is found before anything is asked."""
    world, heat = world_of()
    heat.script(STACK, Scripted(seconds=900.0), op="create")
    theirs_exists(heat)

    def replaced(_: SimulatedHeat) -> None:
        gone(heat)
        assert None is heat.find(TENANT, STACK)
        theirs_exists(heat)

    heat.before["observe"] = replaced
    assert ("CREATE_COMPLETED", 1, "") == run(world)
    assert ["create", "delete", "create", "update"] == [call.op for call in heat.changes]


def impatient() -> World:
    """A world whose handler gives up what is not over after two minutes."""
    clock = VirtualClock()
    heat = SimulatedHeat(clock, enforce_timeouts=False)
    handler = HeatHandler(heat, codec=Codec(), default_timeout_mins=1)
    return World(clock=clock, heat=heat, handlers={"heat_worker": handler})


def test_an_operation_of_somebody_else_that_never_ends() -> None:
    """It is waited for once, for Heat's usual time, and not again and again."""
    world = impatient()
    world.heat.script(STACK, Scripted(hang=True), op="create")
    theirs_exists(world.heat)
    world.write(NETWORK, {"name": "v1"})
    world.pass_time(130, step=10)
    outcome = world.outcome(NETWORK)
    assert outcome is not None
    assert (
        f"stack {STACK} is still CREATE_IN_PROGRESS after its time limit"
        == outcome[2].split(";")[0]
    )


def test_a_deletion_that_never_ends() -> None:
    """It is given up like any other operation, and the stack is remembered."""
    world = impatient()
    run(world)
    world.heat.script(STACK, Scripted(hang=True), op="delete")
    world.write(NETWORK, {"name": "v2"}, 2, marked=True)
    world.pass_time(130, step=10)
    outcome, stack = world.outcome(NETWORK), world.stack(NETWORK)
    assert outcome is not None
    assert stack is not None
    assert (
        f"stack {STACK} is still DELETE_IN_PROGRESS after its time limit"
        == outcome[2].split(";")[0]
    )
    assert (STACK, "DELETE_IN_PROGRESS") == (stack.stack_id, stack.stack_status)


def test_a_failure_tells_resources_and_events() -> None:
    """Heat's reason comes first, then what it says of each resource, then the last events."""
    world, heat = world_of()
    heat.script(STACK, Scripted(reason="no", resource_reasons={"thing": "worn out"}), op="create")
    outcome = run(world)
    stack = heat.find(TENANT, STACK)
    assert stack is not None
    told = heat.diagnose(stack)
    assert outcome == ("CREATE_ERROR", 1, "; ".join(("no", *told.resources, *told.events)))
    assert ("thing: worn out",) == told.resources
    assert "" != "".join(told.events)


def test_a_failure_without_a_reason_tells_the_status() -> None:
    """An error is never empty: readers would take it for none."""
    world, heat = world_of()
    run(world)

    heat.script(STACK, Scripted(fails=True), op="update")
    before = heat.observe

    def wordless(stacks: Sequence[Stack]) -> Mapping[str, Stack | None]:
        return {
            key: None if stack is None else attrs.evolve(stack, status_reason="")
            for key, stack in before(stacks).items()
        }

    heat.observe = wordless  # type: ignore[method-assign] # one test's Heat
    outcome = run(world, 2)
    assert outcome is not None
    assert "UPDATE_FAILED" == outcome[2].split("; ")[0]


def test_the_tenant_of_a_stack_that_is_gone_may_change() -> None:
    """Only a live stack keeps its tenant: a record of none says nothing of the next one's."""
    world, heat = world_of()
    run(world)
    world.write(NETWORK, {"name": "v2"}, 2, marked=True)
    world.pass_time(10)
    world.write(NETWORK, {"name": "v3", "tenant_id": "another"}, 3)
    world.pass_time(10)
    outcome = world.outcome(NETWORK)
    assert outcome is not None
    assert (3, "") == outcome[1:]
    assert None is not heat.find("another", STACK)


def test_a_retry_begins_with_a_look() -> None:
    """A stack changed while Heat was away is not taken for the one whose outputs were wanted."""
    world, heat = world_of()

    def away(_: SimulatedHeat) -> None:
        stack = heat.find(TENANT, STACK)
        assert stack is not None
        SimulatedHeat.update(heat, stack, THEIRS)
        raise OrchestratorUnavailable("away")

    heat.before["outputs"] = away
    assert ("CREATE_COMPLETED", 1, "") == run(world)
    state = world.state(NETWORK)
    assert state is not None
    assert ["v1"] == [output.output_value for output in state.heat_outputs or ()]
    assert ["create", "update", "update"] == [op for op, _ in world.changes()]


def test_an_outage_hands_back_for_a_minute_at_most() -> None:
    """Pauses double up to a minute, and not beyond it."""
    world, heat = world_of()
    heat.outage = OrchestratorUnavailable("away")
    world.write(NETWORK, {"name": "v1"})
    world.pass_time(70)
    assert [60.0] == [event.after for event in world.told(JobHandedBack)]


def test_a_job_is_handed_back_so_often_and_no_more() -> None:
    """Then the reason of the last outage is the result."""
    clock = VirtualClock()
    heat = SimulatedHeat(clock)
    handler = HeatHandler(heat, codec=Codec(), retry_after=1.0, retry_at_most=1.0, retries=2)
    world = World(clock=clock, heat=heat, handlers={"heat_worker": handler})
    heat.outage = OrchestratorUnavailable("away")
    world.write(NETWORK, {"name": "v1"})
    world.pass_time(10)
    assert ("CREATE_ERROR", 1, "away") == world.outcome(NETWORK)
    assert 2 == len(world.told(JobHandedBack))


def test_a_stack_is_done_when_its_time_is_up() -> None:
    """What was last known of it is old by then: Heat is asked again, and the result counts."""
    clock = VirtualClock()
    heat = Meddled(clock, operation_seconds=60.0)
    handler = HeatHandler(heat, codec=Codec(), default_timeout_mins=1)
    world = World(clock=clock, heat=heat, handlers={"heat_worker": handler})

    def away(_: SimulatedHeat) -> None:
        if clock.now() < 120.0:
            heat.before["observe"] = away  # the look when its time is up is the last that fails
        raise OrchestratorUnavailable("away")

    heat.before["observe"] = away
    assert None is run(world)
    world.pass_time(59)
    assert None is world.outcome(NETWORK)
    world.pass_time(2)
    assert ("CREATE_COMPLETED", 1, "") == world.outcome(NETWORK)
    assert [("create", STACK)] == world.changes()


def test_a_job_without_a_template() -> None:
    """A job whose template nobody knows fails, and says so."""
    clock = VirtualClock()
    heat = SimulatedHeat(clock)
    inner = HeatHandler(heat, codec=Codec())

    def without(context: JobContext) -> Outcome:
        return inner(attrs.evolve(context, template=lambda: None))

    world = World(clock=clock, heat=heat, handlers={"heat_worker": without})
    outcome = run(world)
    assert outcome is not None
    assert ("CREATE_ERROR", 1) == outcome[:2]
    assert outcome[2].endswith("is gone")
    assert [] == world.changes()
