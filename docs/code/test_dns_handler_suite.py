"""The DNS handler under the suite: a fault at every call that its job leads to."""

from __future__ import annotations

from dns_handler import DnsHandler
from test_dns_handler import CONFIG, REF, SCHEMAS, TEMPLATE, FakeDns

from gohan_jobs import Handler, ResourceRef
from gohan_jobs.testing.handlers import HandlerSuite
from gohan_jobs.testing.simulation import Simulation


class TestDnsHandler(HandlerSuite):
    """Whatever dies, freezes or gets no answer: the name is stored as without it."""

    schemas = SCHEMAS
    dns: FakeDns

    def begin(self) -> None:
        """A new service for each simulation."""
        self.dns = FakeDns(self.clock)

    def handlers(self) -> dict[str, Handler]:
        """The handlers of every process."""
        return {"dns_worker": DnsHandler(self.dns)}

    def script(self, simulation: Simulation) -> None:
        """What Gohan writes, and when."""
        simulation.submit(0.0, ResourceRef("heat_template", "dns_name"), TEMPLATE.body)
        simulation.submit(0.0, REF, CONFIG.body)

    def outside(self) -> object:
        """What is to be the same in the end."""
        return sorted(set(self.dns.changes))
