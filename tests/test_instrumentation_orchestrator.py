"""An observed orchestrator does what the real one does, and tells of it."""

from __future__ import annotations

import pytest

from gohan_jobs.clock import VirtualClock
from gohan_jobs.events import Event, OrchestratorCalled
from gohan_jobs.exceptions import StackExists
from gohan_jobs.instrumentation import ObservedOrchestrator
from gohan_jobs.orchestrators.base import Orchestrator, StackRequest
from gohan_jobs.orchestrators.simulated import SimulatedHeat
from gohan_jobs.testing.orchestrators import OrchestratorSuite
from worlds import HOT

REQUEST = StackRequest(name="s", tenant="t", template=HOT, parameters={"name": "blue"})


class TestObserved(OrchestratorSuite):
    """The whole contract."""

    clock: VirtualClock

    @pytest.fixture
    def orchestrator(self) -> Orchestrator:
        """A simulated Heat, observed."""
        self.clock = VirtualClock()
        return ObservedOrchestrator(SimulatedHeat(self.clock), ())

    def pass_time(self, seconds: float) -> None:
        """Move the clock."""
        self.clock.advance(seconds)


def test_every_call_is_told() -> None:
    """With the stack it is about, and the error it ended in."""
    clock = VirtualClock()
    told: list[Event] = []
    heat = ObservedOrchestrator(SimulatedHeat(clock), (told.append,), clock)
    stack = heat.create(REQUEST)
    with pytest.raises(StackExists):
        heat.create(REQUEST)
    clock.advance(10.0)
    heat.observe(())
    heat.observe((stack,))
    heat.observe((stack, stack))
    heat.validate(REQUEST)
    heat.diagnose(stack)
    heat.close()
    assert [
        ("create", "t", "s", ""),
        ("create", "t", "s", "StackExists"),
        ("observe", "", "", ""),
        ("observe", "t", "s", ""),
        ("observe", "t", "", ""),
        ("validate", "t", "s", ""),
        ("diagnose", "t", "s", ""),
    ] == [
        (each.operation, each.tenant, each.stack, each.error)
        for each in told
        if isinstance(each, OrchestratorCalled)
    ]
