"""The testing kit on a handler of one's own: fixtures, a real etcd, a kill at every store call.

Run it: ``pytest examples/test_crashes.py``. What is under test is a handler that books an address
for each port. All tests share it by overriding fixtures of the plugin that pytest finds on its own;
the whole contract, ``HandlerSuite``, is in ``monitoring_handler/tests``.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import pytest

from gohan_jobs import (
    Action,
    Completed,
    ConfigRecord,
    Done,
    JobContext,
    Lifecycle,
    MemoryStore,
    Orchestrator,
    ResourceRef,
    Schema,
    Schemas,
    SimulatedHeat,
    StackOutput,
    Store,
    VirtualClock,
)
from gohan_jobs.handler_registry import AnyHandler
from gohan_jobs.handlers import Outcome
from gohan_jobs.testing import Crash, FaultyStore

TEMPLATES = {"address_worker": "Cport"}
SCHEMAS = Schemas(
    [Schema(type="port", prefix="v1.0/ports", templates=TEMPLATES, two_step_deletion=True)]
)
MAPPINGS = {"handler": "address_worker", "template_file": "", "parameter_mappings": {}}
TEMPLATE = ConfigRecord(body={"id": "port", **MAPPINGS}, version=1)
PORT = ResourceRef("port", "p1")
CONFIG = ConfigRecord(body={"id": "p1", "tenant_id": "t1"}, version=1)
FEWEST_CALLS = 20


class AddressHandler:
    """Books an address for a port; looks first, since it may have done so before it died."""

    def __init__(self, booked: dict[str, str], free: list[str]) -> None:
        self.booked = booked
        self._free = free

    def __call__(self, context: JobContext) -> Outcome:
        """Book it, or find it booked; give it back when the port goes."""
        port = context.job.resource_id
        if Action(context.job.action).deletes:
            context.claim.guard(1.0)
            self._free += [self.booked.pop(port)] if port in self.booked else []
            return Done(outputs=())
        if port not in self.booked:
            context.claim.guard(1.0)
            self.booked[port] = self._free.pop(0)
        return Done(outputs=(StackOutput(output_key="ip", output_value=self.booked[port]),))


def see_through(lifecycle: Lifecycle) -> None:
    """Write what Gohan would write, and wait for a good end."""
    lifecycle.submit(TEMPLATE, ResourceRef("heat_template", "port"))
    lifecycle.submit(CONFIG, PORT)
    assert isinstance(lifecycle.wait(PORT, version=1, timeout=600), Completed)


@pytest.fixture
def gohan_jobs_schemas() -> Schemas:
    """The types that ``gohan_jobs_lifecycle`` has."""
    return SCHEMAS


@pytest.fixture
def gohan_jobs_handlers() -> Mapping[str, AnyHandler]:
    """The handlers that it has."""
    return {"address_worker": AddressHandler({}, ["192.0.2.1"])}


def test_a_port_gets_an_address(
    gohan_jobs_lifecycle: Lifecycle, gohan_jobs_store: Store, gohan_jobs_heat: Orchestrator
) -> None:
    """In memory, on a virtual clock, and without a stack."""
    see_through(gohan_jobs_lifecycle)
    entry = gohan_jobs_store.get("/state/v1.0/ports/p1")
    assert entry is not None
    assert b"192.0.2.1" in entry.value
    assert gohan_jobs_heat.find("t1", "port_p1") is None


class TestOnRealEtcd:
    """The same lifecycle, on a real server."""

    @pytest.fixture
    def gohan_jobs_store(self, gohan_jobs_etcd: Store) -> Store:
        """This one line."""
        return gohan_jobs_etcd

    def test_a_port_gets_an_address(self, gohan_jobs_lifecycle: Lifecycle) -> None:
        """Nothing else differs."""
        see_through(gohan_jobs_lifecycle)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_one_address_wherever_the_process_dies(*, after: bool) -> None:
    """At each call to the store in turn, before or after it is done: another process goes on."""
    for number in itertools.count(1):
        clock = VirtualClock()
        handlers = {"address_worker": AddressHandler({}, ["192.0.2.1", "192.0.2.2"])}
        heat, kept = SimulatedHeat(clock), MemoryStore(clock=clock)
        dying = FaultyStore(kept)
        dying.crash("any", on=number, after=after)
        try:
            see_through(Lifecycle(dying, heat, SCHEMAS, clock=clock, handlers=handlers, hooks=()))
        except Crash:
            clock.advance(120)  # the leases of the dead end
        if dying.pending:
            break  # it makes fewer calls than that
        with Lifecycle(kept, heat, SCHEMAS, clock=clock, handlers=handlers, hooks=()) as another:
            see_through(another)
        assert handlers["address_worker"].booked == {"p1": "192.0.2.1"}
    assert number > FEWEST_CALLS
