"""The DNS handler does its work once, whenever its process dies."""

from __future__ import annotations

import itertools

from dns_handler import DnsHandler, Name

from gohan_jobs import (
    Completed,
    ConfigRecord,
    Lifecycle,
    MemoryStore,
    ResourceRef,
    Result,
    Schema,
    Schemas,
    SimulatedHeat,
    Store,
    VirtualClock,
)
from gohan_jobs.testing.faults import Crash, FaultyStore

REF = ResourceRef("dns_name", "www")
SCHEMAS = Schemas(
    [
        Schema(
            type="dns_name",
            prefix="v1.0/dns_names",
            templates={"dns_worker": "Cdns_name"},
            state_versioning=True,
            two_step_deletion=True,
        )
    ]
)
TEMPLATE = ConfigRecord(
    body={
        "id": "dns_name",
        "handler": "dns_worker",
        "template_file": "",
        "parameter_mappings": {"address": "Paddress"},
    },
    version=1,
)
CONFIG = ConfigRecord(body={"id": "www", "tenant_id": "t1", "address": "192.0.2.1"}, version=1)


class FakeDns:
    """A service that serves a name five seconds after it was stored, and counts changes."""

    def __init__(self, clock: VirtualClock) -> None:
        self._clock = clock
        self._names: dict[str, tuple[Name, float]] = {}
        self.changes: list[str] = []

    def get(self, name: str) -> Name | None:
        """What is stored."""
        found = self._names.get(name)
        return None if found is None else found[0]

    def put(self, name: str, stored: Name) -> None:
        """Store it."""
        self._names[name] = stored, self._clock.now() + 5.0
        self.changes.append(f"put {name}")

    def delete(self, name: str) -> None:
        """Remove it."""
        self._names.pop(name, None)
        self.changes.append(f"delete {name}")

    def is_served(self, name: str) -> bool:
        """Whether five seconds have passed."""
        return self._clock.now() >= self._names[name][1]


def a_process(store: Store, clock: VirtualClock, dns: FakeDns) -> Lifecycle:
    """One process: job manager and worker."""
    handlers = {"dns_worker": DnsHandler(dns)}
    return Lifecycle(store, SimulatedHeat(clock), SCHEMAS, clock=clock, handlers=handlers, hooks=())


def submit_and_wait(lifecycle: Lifecycle) -> Result:
    """Write the template and the config, as Gohan would, and see the config through."""
    lifecycle.submit(TEMPLATE, ResourceRef("heat_template", "dns_name"))
    lifecycle.submit(CONFIG, REF)
    return lifecycle.wait(REF, 1, timeout=600)


def test_a_name_is_stored_and_removed() -> None:
    """The whole life of a name, without a fault."""
    clock = VirtualClock()
    dns = FakeDns(clock)
    with a_process(MemoryStore(clock=clock), clock, dns) as lifecycle:
        assert isinstance(submit_and_wait(lifecycle), Completed)
        lifecycle.delete(REF)
        assert isinstance(lifecycle.wait(REF, 2), Completed)
    assert dns.changes == ["put www", "delete www"]


def test_a_name_is_stored_once_wherever_the_process_dies() -> None:
    """For every call to the store: the process dies there, and another one goes on."""
    for number in itertools.count(1):
        clock = VirtualClock()
        kept, dns = MemoryStore(clock=clock), FakeDns(clock)
        dying = FaultyStore(kept)
        dying.crash("any", on=number)
        try:
            submit_and_wait(a_process(dying, clock, dns))
        except Crash:
            clock.advance(120)  # its leases end
        if not dying.crashed:
            break  # it makes fewer calls than that
        with a_process(kept, clock, dns) as another:
            assert isinstance(submit_and_wait(another), Completed)
        assert dns.changes == ["put www"]
    assert number > 20
