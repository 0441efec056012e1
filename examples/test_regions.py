"""An orchestrator of one's own, held to the contract: several OpenStack regions behind one.

Run it: ``pytest examples/test_regions.py``. Each project has its stacks in one region; a worker
need not know which. ``OrchestratorSuite`` is the contract as tests, here on two simulated Heats;
the same class passes it on real ones.
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import pytest

from gohan_jobs import Orchestrator, SimulatedHeat, StackOutput, VirtualClock
from gohan_jobs.orchestrators.base import Diagnosis, Stack, StackRequest
from gohan_jobs.testing import OrchestratorSuite


class Regions:
    """Sends each call to the region of its project.

    Args:
        regions: an orchestrator for each region; closed with this one. Ids of their stacks must
            differ, as Heat's do.
        region_of: the region of a project.
    """

    def __init__(
        self, regions: Mapping[str, Orchestrator], region_of: Callable[[str], str]
    ) -> None:
        self._regions = regions
        self._region_of = region_of

    def _of(self, tenant: str) -> Orchestrator:
        return self._regions[self._region_of(tenant)]

    @property
    def request_timeout(self) -> float:
        """The slowest region's: a lease must outlast a call to any."""
        return max(region.request_timeout for region in self._regions.values())

    def find(self, tenant: str, name: str) -> Stack | None:
        """The live stack of that name."""
        return self._of(tenant).find(tenant, name)

    def create(self, request: StackRequest) -> Stack:
        """Start creating a stack."""
        return self._of(request.tenant).create(request)

    def update(self, stack: Stack, request: StackRequest) -> None:
        """Start updating a stack."""
        self._of(stack.tenant).update(stack, request)

    def delete(self, stack: Stack) -> None:
        """Start deleting a stack."""
        self._of(stack.tenant).delete(stack)

    def observe(self, stacks: Sequence[Stack]) -> Mapping[str, Stack | None]:
        """Look at stacks again: one call a region, however many stacks there are."""
        of_region: defaultdict[str, list[Stack]] = defaultdict(list)
        for stack in stacks:
            of_region[self._region_of(stack.tenant)].append(stack)
        seen: dict[str, Stack | None] = {}
        for region, its in of_region.items():
            seen |= self._regions[region].observe(its)
        return seen

    def outputs(self, stack: Stack) -> tuple[StackOutput, ...]:
        """The stack's outputs."""
        return self._of(stack.tenant).outputs(stack)

    def diagnose(self, stack: Stack) -> Diagnosis:
        """Why a stack failed."""
        return self._of(stack.tenant).diagnose(stack)

    def validate(self, request: StackRequest) -> None:
        """Ask whether a template would be accepted."""
        self._of(request.tenant).validate(request)

    def close(self) -> None:
        """Give back what the regions hold."""
        for region in self._regions.values():
            region.close()


def region_of(tenant: str) -> str:
    """Even projects are in the north."""
    return "north" if ord(tenant[-1]) % 2 == 0 else "south"


class TestRegions(OrchestratorSuite):
    """The whole contract, on a clock that the tests move; its projects are in either region."""

    clock: VirtualClock

    @pytest.fixture
    def orchestrator(self) -> Iterator[Orchestrator]:
        """Two simulated Heats whose operations take 2.5 seconds."""
        self.clock = VirtualClock()
        regions = {name: self._heat() for name in ("north", "south")}
        orchestrator = Regions(regions, region_of)
        yield orchestrator
        orchestrator.close()

    def _heat(self) -> SimulatedHeat:
        return SimulatedHeat(self.clock, operation_seconds=2.5, id_source=lambda: str(uuid.uuid4()))

    def pass_time(self, seconds: float) -> None:
        """Let time pass: the suite calls this instead of waiting."""
        self.clock.advance(seconds)


if TYPE_CHECKING:

    def _is_an_orchestrator(regions: Regions) -> Orchestrator:
        return regions
