"""What a Heat in production does to requests, seen through a Lifecycle.

HeatOrchestrator asks a simulated Heat over HTTP that is spoilt as the test says. The clock is the
test's own, so no waiting takes time.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
import requests
from keystoneauth1.plugin import BaseAuthPlugin

from gohan_jobs.clock import VirtualClock
from gohan_jobs.codec import Codec
from gohan_jobs.events import JobProgressed
from gohan_jobs.exceptions import OrchestratorUnavailable, StackRejected
from gohan_jobs.heat_handler import HeatHandler
from gohan_jobs.lifecycle import Lifecycle
from gohan_jobs.orchestrators.base import StackRequest
from gohan_jobs.orchestrators.heat import CallBudget, HeatOrchestrator, HeatSettings
from gohan_jobs.orchestrators.heat.keystone import SessionMaker
from gohan_jobs.orchestrators.simulated import SimulatedHeat
from gohan_jobs.orchestrators.simulated.outcomes import Outcome
from gohan_jobs.orchestrators.simulated.server import HeatSimulatorServer
from gohan_jobs.worker import WorkerOptions
from worlds import HOT, NETWORK, TENANT, World

TOKEN = "good-token"
NO_BUDGET = CallBudget(total=None, per_tenant=None)


class ServedWorld(World):
    """A world whose lifecycles ask the simulated Heat over HTTP.

    Args:
        served: makes the orchestrator, given the server.
        operation_seconds: what Heat takes for an operation.
    """

    def __init__(
        self,
        served: Callable[[HeatSimulatorServer], HeatOrchestrator],
        operation_seconds: float = 0.0,
    ) -> None:
        clock = VirtualClock()
        heat = SimulatedHeat(clock, operation_seconds=operation_seconds, enforce_timeouts=False)
        self.server = HeatSimulatorServer(token=TOKEN, heat=heat, clock=clock)
        self.orchestrator = served(self.server)
        super().__init__(clock=clock, heat=heat)

    def peer(self, **options: Any) -> Lifecycle:
        """One more lifecycle, whose handler waits two minutes for a stack."""
        handler = HeatHandler(
            self.orchestrator, codec=Codec(), default_timeout_mins=1, retry_at_most=8.0, retries=3
        )
        return Lifecycle(
            self.store,
            self.orchestrator,
            self.schemas,
            clock=self.clock,
            hooks=(self.events.append,),
            handlers={"heat_worker": handler},
            **{**self._options, **options},
        )

    def spoil(self, **fault: Any) -> None:
        """Spoil coming requests."""
        url = f"{self.server.url}/simulator/fault"
        headers = {"X-Auth-Token": TOKEN}
        requests.put(url, json=fault, headers=headers, timeout=10).raise_for_status()

    def close(self) -> None:
        """End everything."""
        self.orchestrator.close()
        self.server.close()

    def told_progress(self) -> list[str]:
        """What handlers said on their way."""
        return [event.message for event in self.told(JobProgressed)]


def with_token(server: HeatSimulatorServer) -> HeatOrchestrator:
    """An orchestrator with the token that is taken."""
    settings = HeatSettings(budget=NO_BUDGET)
    return HeatOrchestrator.from_endpoint(server.endpoint("%(tenant_id)s"), TOKEN, settings)


@pytest.fixture
def make() -> Iterator[Callable[..., ServedWorld]]:
    """Makes worlds, and closes them."""
    with contextlib.ExitStack() as stack:

        def made(
            served: Callable[[HeatSimulatorServer], HeatOrchestrator] = with_token,
            operation_seconds: float = 0.0,
        ) -> ServedWorld:
            world = ServedWorld(served, operation_seconds)
            stack.callback(world.close)
            return world

        yield made


@pytest.fixture
def world(make: Callable[..., ServedWorld]) -> ServedWorld:
    """A world whose Heat is quick."""
    return make()


def begin(world: ServedWorld, operation: str) -> tuple[str, int, str]:
    """Bring a network to where an operation comes next, and have it planned; how it will end."""
    if operation == "create":
        world.write(NETWORK, {"name": "blue"})
        return "CREATE_COMPLETED", 1, ""
    world.write(NETWORK, {"name": "blue"})
    world.settle()
    world.pass_time(3)
    assert ("CREATE_COMPLETED", 1, "") == world.outcome(NETWORK)
    world.write(NETWORK, {"name": "red"}, 2, marked=operation == "delete")
    return ("MODIFY_COMPLETED" if operation == "update" else "DELETE_COMPLETED"), 2, ""


OPERATIONS = pytest.mark.parametrize("operation", ["create", "update", "delete"])
FAULTS: Mapping[str, Mapping[str, object]] = {
    "503": {"status": 503},
    "500": {"status": 500},
    "reset": {"drop": True},
}


@OPERATIONS
@pytest.mark.parametrize("count", [1, 2, 3, 4])
@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_answers_that_fail(
    world: ServedWorld, operation: str, count: int, fault: Mapping[str, object]
) -> None:
    """Whichever answers fail, done or not, the operation is done once and ends well."""
    end = begin(world, operation)
    world.spoil(**fault, count=count)
    world.settle()
    world.pass_time(30)
    assert end == world.outcome(NETWORK)
    before = [] if operation == "create" else ["create"]
    assert [*before, operation] == [name for name, _ in world.changes()]
    assert [end[:2]] == [state[:2] for state in world.states_of(NETWORK) if state[1] == end[1]]


@OPERATIONS
def test_the_answer_of_the_change_is_lost(world: ServedWorld, operation: str) -> None:
    """What Heat was asked is done although nothing says so: it is found, not asked again."""
    end = begin(world, operation)
    lost = OrchestratorUnavailable("gateway timed out")
    world.heat.script("network_n1", Outcome(error=lost, takes_effect=True), op=operation)
    world.settle()
    world.pass_time(10)
    assert end == world.outcome(NETWORK)
    calls = [call for call in world.heat.changes if call.op == operation]
    assert ["OrchestratorUnavailable"] == [call.error for call in calls]
    assert any("gateway timed out; trying again in 1 s" == said for said in world.told_progress())


@OPERATIONS
def test_heat_is_away_for_long(world: ServedWorld, operation: str) -> None:
    """After many failures the job is handed back, tried again, and in the end given up."""
    end = begin(world, operation)
    world.spoil(status=503)
    world.settle()
    world.pass_time(20)
    before = world.outcome(NETWORK)
    assert "The server is currently unavailable" in str(world.lifecycle.explain(NETWORK).jobs[0])
    world.spoil(status=503, count=1)
    world.pass_time(30)
    assert end == world.outcome(NETWORK) != before


def test_heat_is_away_for_too_long(world: ServedWorld) -> None:
    """In the end the reason is the result."""
    begin(world, "create")
    world.spoil(status=503)
    world.settle()
    world.pass_time(200)
    outcome = world.outcome(NETWORK)
    assert outcome is not None
    assert ("CREATE_ERROR", 1) == outcome[:2]
    assert "unavailable" in outcome[2]


@pytest.mark.parametrize("operation", ["create", "update"])
def test_a_quota_that_is_freed_later(world: ServedWorld, operation: str) -> None:
    """A quota that is used up is no failure: the job waits, and says so."""
    end = begin(world, operation)
    reason = "You have reached the maximum stacks per tenant, 3. Please delete some stacks."
    used_up = Outcome(error=StackRejected(reason, "RequestLimitExceeded", retryable=True))
    world.heat.script("network_n1", used_up, used_up, used_up, op=operation)
    world.settle()
    world.pass_time(20)
    assert end == world.outcome(NETWORK)
    waits = [said.rpartition("; ")[2] for said in world.told_progress() if reason in said]
    assert [f"trying again in {seconds} s" for seconds in (1, 2, 4)] == waits


def test_a_rejected_template_is_final(world: ServedWorld) -> None:
    """What Heat does not take is the result at once, in Heat's words, and asked once."""
    begin(world, "create")
    rejected = StackRejected("Property error: no such flavor", "StackValidationFailed")
    world.heat.script("network_n1", Outcome(error=rejected), op="create")
    world.settle()
    world.pass_time(20)
    assert ("CREATE_ERROR", 1, "Property error: no such flavor") == world.outcome(NETWORK)
    assert 1 == len(world.heat.changes)


class Renewing(BaseAuthPlugin):
    """Gives a token that is no longer taken, and a good one once that is known.

    Args:
        tokens: one after the other.
    """

    def __init__(self, *tokens: str) -> None:
        super().__init__()
        self.tokens = list(tokens)

    def get_token(self, session: object) -> str:
        """The token of the moment."""
        return self.tokens[0]

    def invalidate(self) -> bool:
        """Take the next token, if there is one."""
        if len(self.tokens) > 1:
            del self.tokens[0]
            return True
        return False


def renewing(*tokens: str) -> Callable[[HeatSimulatorServer], HeatOrchestrator]:
    """Makes an orchestrator whose first tokens are not taken."""

    def made(server: HeatSimulatorServer) -> HeatOrchestrator:
        settings = HeatSettings(budget=NO_BUDGET, endpoint=server.endpoint("%(tenant_id)s"))
        maker = SessionMaker(timeout=10.0)
        auth = Renewing(*tokens)
        return HeatOrchestrator(lambda _: maker(auth), settings, on_close=maker.close)

    return made


def test_a_401_that_a_new_token_mends(make: Callable[..., ServedWorld]) -> None:
    """An expired token is renewed within the call: nobody notices."""
    world = make(renewing("expired", TOKEN))
    end = begin(world, "create")
    world.settle()
    world.pass_time(5)
    assert end == world.outcome(NETWORK)
    assert [] == world.told_progress()


def test_a_401_that_nothing_mends(make: Callable[..., ServedWorld]) -> None:
    """Credentials that are wrong stay wrong: the result is an error, and Heat is asked no more."""
    world = make(renewing("expired", "wrong"))
    begin(world, "create")
    world.settle()
    world.pass_time(5)
    outcome = world.outcome(NETWORK)
    assert outcome is not None
    assert ("CREATE_ERROR", 1) == outcome[:2]
    assert 2 == world.orchestrator.requests_sent
    assert "wrong" not in outcome[2]


# Time limits.


def test_heat_is_away_while_a_stacks_time_runs_out(make: Callable[..., ServedWorld]) -> None:
    """A stack that was finished while Heat did not answer is taken over once it answers."""
    world = make(operation_seconds=60.0)
    end = begin(world, "create")
    world.settle()
    world.pass_time(5)
    world.heat.outage = OrchestratorUnavailable("away")
    world.pass_time(117)
    assert None is world.outcome(NETWORK)
    assert any(said.startswith("away") for said in world.told_progress())
    world.heat.outage = None
    world.pass_time(10)
    assert end == world.outcome(NETWORK)
    assert ["create"] == [name for name, _ in world.changes()]


def test_a_stack_that_never_ends(world: ServedWorld) -> None:
    """Our own limit is above Heat's; then the job fails, and its record says there is a stack."""
    begin(world, "create")
    world.heat.script("network_n1", Outcome(hang=True), op="create")
    world.settle()
    world.pass_time(118)
    assert None is world.outcome(NETWORK)
    world.pass_time(4)
    outcome = world.outcome(NETWORK)
    assert outcome is not None
    reason = "stack network_n1 is still CREATE_IN_PROGRESS after its time limit"
    assert ("CREATE_ERROR", 1, True) == (*outcome[:2], outcome[2].startswith(reason))
    stack = world.stack(NETWORK)
    assert stack is not None
    assert ("network_n1", "CREATE_IN_PROGRESS") == (stack.stack_id, stack.stack_status)


def test_somebody_elses_operation_never_ends(world: ServedWorld) -> None:
    """An update waits for what is under way, and fails with its status."""
    begin(world, "update")
    world.heat.script("network_n1", Outcome(hang=True), op="update")
    stack = world.orchestrator.find(TENANT, "network_n1")
    assert stack is not None
    world.heat.update(stack, other_request())
    world.settle()
    world.pass_time(130)
    outcome = world.outcome(NETWORK)
    assert outcome is not None
    assert ("MODIFY_ERROR", 2) == outcome[:2]
    assert "still UPDATE_IN_PROGRESS after its time limit" in outcome[2]


def test_a_delete_never_ends(world: ServedWorld) -> None:
    """A delete that takes too long fails, and the record says that there is a stack."""
    begin(world, "delete")
    world.heat.script("network_n1", Outcome(hang=True), op="delete")
    world.settle()
    world.pass_time(130)
    outcome = world.outcome(NETWORK)
    assert outcome is not None
    assert ("DELETE_ERROR", 2) == outcome[:2]
    stack = world.stack(NETWORK)
    assert stack is not None
    assert ("network_n1", "DELETE_IN_PROGRESS") == (stack.stack_id, stack.stack_status)


def other_request() -> StackRequest:
    """Somebody else's update of the network's stack."""
    return StackRequest(
        name="network_n1", tenant=TENANT, template=HOT, parameters={"name": "x"}, tags=("other",)
    )


# Cancellation.


def test_a_lost_lease_cancels_nothing_in_heat(make: Callable[..., ServedWorld]) -> None:
    """Heat goes on; the worker publishes nothing more; the next one takes the result over."""
    world = make(operation_seconds=30.0)
    end = begin(world, "create")
    world.settle()
    assert ["create"] == [name for name, _ in world.changes()]
    first = world.lifecycle
    second = world.restart()
    world.settle()
    world.pass_time(200)
    assert end == world.outcome(NETWORK)
    assert [end] == world.states_of(NETWORK)
    first.run_until_idle()
    assert [end] == world.states_of(NETWORK)
    assert ["create"] == [name for name, _ in world.changes()]
    second.close()


def test_a_delete_preempts_a_create(make: Callable[..., ServedWorld]) -> None:
    """The running create ends without a result, and Heat's delete goes out while it creates."""
    world = make(operation_seconds=30.0)
    begin(world, "create")
    world.settle()
    world.write(NETWORK, {"name": "blue"}, 2, marked=True)
    world.settle()
    assert [("create", "network_n1"), ("delete", "network_n1")] == world.changes()
    seen = [call.at for call in world.heat.changes]
    assert (seen[1] - seen[0]).total_seconds() < 30
    world.pass_time(40)
    assert [("DELETE_COMPLETED", 2, "")] == world.states_of(NETWORK)


def test_no_call_is_started_with_too_little_of_a_lease(make: Callable[..., ServedWorld]) -> None:
    """A worker whose lease may end during a request sends none, and hands the job back."""
    world = make()
    lease = world.orchestrator.request_timeout + 1.0
    world.lifecycle = world.peer(worker=WorkerOptions(lease_ttl=lease), seed=2)
    world.settle()
    world.clock.advance(2.0)
    end = begin(world, "create")
    world.settle()
    assert [] == list(world.heat.changes)
    (job,) = world.lifecycle.explain(NETWORK).jobs
    assert "surely lives 19.0 s, the call may take 20 s" in job.last_error
    world.pass_time(60)
    assert end == world.outcome(NETWORK)
