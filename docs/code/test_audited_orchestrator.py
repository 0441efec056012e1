"""The audited orchestrator keeps the contract, and writes a line for each change."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from audited_orchestrator import AuditedOrchestrator

from gohan_jobs import Orchestrator, SimulatedHeat, VirtualClock
from gohan_jobs.orchestrators.base import StackRequest
from gohan_jobs.testing.orchestrators import OrchestratorSuite

TEMPLATE = """
heat_template_version: 2016-10-14
resources:
  nothing: {type: OS::Heat::None}
"""


class TestAuditedOrchestrator(OrchestratorSuite):
    """The whole contract, on a clock that the tests move."""

    clock: VirtualClock

    @pytest.fixture
    def orchestrator(self) -> Iterator[Orchestrator]:
        """A simulated Heat whose operations take 2.5 seconds."""
        self.clock = VirtualClock()
        heat = SimulatedHeat(self.clock, operation_seconds=2.5)
        audited = AuditedOrchestrator(heat, print)
        yield audited
        audited.close()

    def pass_time(self, seconds: float) -> None:
        """Let time pass: the suite calls this instead of waiting."""
        self.clock.advance(seconds)


def test_changes_are_written_down() -> None:
    """One line a change, with the job's tag."""
    lines: list[str] = []
    audited = AuditedOrchestrator(SimulatedHeat(VirtualClock()), lines.append)
    tags = ("gohan-jobs:1:abcde",)
    request = StackRequest(
        name="network_n1", tenant="t1", template=TEMPLATE, parameters={}, tags=tags
    )
    audited.delete(audited.create(request))
    assert lines == ["create t1/network_n1 gohan-jobs:1:abcde", "delete t1/network_n1"]
