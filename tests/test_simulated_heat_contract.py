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
