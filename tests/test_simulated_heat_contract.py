"""SimulatedHeat passes the contract that a real Heat passes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from gohan_jobs.clock import VirtualClock
from gohan_jobs.orchestrators.base import Orchestrator
from gohan_jobs.orchestrators.simulated import SimulatedHeat
from gohan_jobs.testing.orchestrators import OrchestratorSuite

CLOCK = VirtualClock()


class _OnAClock(OrchestratorSuite):
    def pass_time(self, seconds: float) -> None:
        """Move the clock on."""
        CLOCK.advance(seconds)


def test_a_suite_loses_patience() -> None:
    """A stack that does not settle fails its test, by name and with the time it was given."""
    heat = SimulatedHeat(VirtualClock(), operation_seconds=1)
    suite = OrchestratorSuite()
    suite.patience = 0.001
    stack = heat.create(suite.request("t"))
    with pytest.raises(pytest.fail.Exception, match=r"net_1 did not settle in 0\.001 s"):
        suite.settle(heat, stack)


class TestAtOnce(_OnAClock):
    """With operations that take no time."""

    @pytest.fixture
    def orchestrator(self) -> Iterator[Orchestrator]:
        """A simulated Heat."""
        heat = SimulatedHeat(CLOCK)
        yield heat
        heat.close()


class TestInTime(_OnAClock):
    """With operations that take their time."""

    @pytest.fixture
    def orchestrator(self) -> Iterator[Orchestrator]:
        """A simulated Heat."""
        heat = SimulatedHeat(CLOCK, operation_seconds=2.5)
        yield heat
        heat.close()
