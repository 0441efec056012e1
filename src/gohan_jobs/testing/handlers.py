"""The handler contract as tests: subclass :class:`HandlerSuite`, and say what Gohan writes.

::

    class TestDnsHandler(HandlerSuite):
        schemas = SCHEMAS

        def handlers(self) -> Mapping[str, AnyHandler]:
            return {"dns_worker": DnsHandler(self.dns)}

        def begin(self) -> None:
            self.dns = FakeDns(self.clock)

        def script(self, simulation: Simulation) -> None:
            simulation.submit(0.0, ResourceRef("heat_template", "dns_name"), TEMPLATE)
            simulation.submit(0.0, ResourceRef("dns_name", "www"), {"id": "www", "tenant_id": "t"})

        def outside(self) -> object:
            return self.dns.names

What a handler has to bear is a fault at *any* call that its job leads to: its process dies, stands
still until its lease has ended, does not get an answer. Whatever happens, what is left must be what
is left without a fault.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping

import pytest

from gohan_jobs.clock import VirtualClock
from gohan_jobs.events import JobFailed, JobFinished
from gohan_jobs.handler_registry import AnyHandler
from gohan_jobs.lifecycle import Role
from gohan_jobs.orchestrators.simulated import SimulatedHeat
from gohan_jobs.schemas import Schemas
from gohan_jobs.testing.processes import Fault, Injection
from gohan_jobs.testing.simulation import Outcome, Simulation, every_injection

__all__ = ["HandlerSuite"]


class HandlerSuite:
    """What every handler does: the same, whatever happens to its process.

    Attributes:
        schemas: the types; to be given.
        clock: the time of the simulation that runs now.
        seed: of everything that is left to chance.
        limit: seconds of the clock that a simulation may take.
    """

    schemas: Schemas
    clock: VirtualClock
    seed = 0
    limit: float = 7200.0

    # To be overridden.

    def handlers(self) -> Mapping[str, AnyHandler]:
        """The handlers of a process that starts; called for each life of each process."""
        raise NotImplementedError("say which handlers to test")

    def script(self, simulation: Simulation) -> None:
        """What Gohan writes, and when; templates included.

        A deletion ten minutes later finds a resource that is made, whatever fault there was.
        """
        raise NotImplementedError("say what Gohan writes")

    def begin(self) -> None:
        """Make a new world outside, before each simulation; ``clock`` is its time."""

    def outside(self) -> object:
        """What the handlers have left outside; compared with what a run without faults leaves."""
        return None

    # The contract.

    def test_handlers_do_their_work(self) -> None:
        """Without a fault, every config gets a result that is no error, and nothing remains."""
        simulation = self._simulated()
        outcome = simulation.outcome()
        # A script that deletes all that it has made leaves no result; what was told remains.
        told = [event for _, _, event in simulation.events]
        done = any(isinstance(event, JobFinished) for event in told)
        assert outcome.states or done, "the script leads to no result at all"
        assert [event for event in told if isinstance(event, JobFailed)] == []
        failed = {path: kind for path, (_, kind) in outcome.states.items() if kind == "failed"}
        assert failed == {}
        assert outcome.remains == ()

    @pytest.mark.parametrize("fault", Fault, ids=lambda fault: fault.name.lower())
    def test_a_fault_at_any_call_changes_nothing(self, fault: Fault) -> None:
        """One worker at a time, at each of its calls: what is left is the same."""
        run = self._simulated()
        expected = self._left(run)
        for injection in every_injection(run, (fault,)):
            if Role.WORKER in run.processes[injection.process].roles:
                left = self._left(self._simulated(injection))
                assert expected == left, f"after {fault.value}: {injection}"

    def _simulated(self, *injections: Injection) -> Simulation:
        simulation = Simulation(
            self.schemas, seed=self.seed, handlers=self.handlers, heat=self._begin
        )
        self.script(simulation)
        simulation.inject(*injections)
        simulation.run(self.limit)
        return simulation

    def _begin(self, clock: VirtualClock) -> SimulatedHeat:
        self.clock = clock
        self.begin()
        return self.heat(clock)

    def heat(self, clock: VirtualClock) -> SimulatedHeat:
        """The orchestrator; by default a simulated Heat whose operations take three seconds."""
        return SimulatedHeat(clock, operation_seconds=3.0)

    def _left(self, simulation: Simulation) -> tuple[Outcome, object]:
        return simulation.outcome(), copy.deepcopy(self.outside())
