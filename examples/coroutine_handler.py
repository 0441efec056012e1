"""A handler of one's own, as a coroutine: it tries again later, gives up, and has outputs.

Run it: ``python examples/coroutine_handler.py``. Names are kept in a DNS service, which is busy
twice before it takes ``www``, and never heard of the zone of ``bad``. Time is a virtual clock's,
so that the pauses take none. How to test a handler: ``test_crashes.py``.
"""

from __future__ import annotations

import asyncio

from gohan_jobs import (
    Action,
    ConfigRecord,
    Done,
    Failed,
    GiveUp,
    Handlers,
    JobContext,
    Lifecycle,
    MemoryStore,
    ResourceRef,
    RetryLater,
    Schema,
    Schemas,
    SimulatedHeat,
    StackOutput,
    VirtualClock,
)
from gohan_jobs.handler_options import HandlerOptions
from gohan_jobs.handlers import Outcome

SCHEMAS = Schemas(
    [
        Schema(
            type="dns_name",
            prefix="v1.0/dns_names",
            templates={"dns_worker": "Cdns_name"},
            state_versioning=True,
            two_step_deletion=True,  # so that a delete comes to the handler
        )
    ]
)
TEMPLATE = {
    "id": "dns_name",
    "handler": "dns_worker",
    "template_file": "",
    "parameter_mappings": {"zone": {"field": "zone"}},
}


ZONE = "example.org"


class Busy(Exception):
    """The service says: too many requests."""


class DnsService:
    """Stands for the client of a real one; put is idempotent."""

    def __init__(self) -> None:
        self.names: set[str] = set()
        self._busy = 2

    async def put(self, name: str) -> None:
        """Store a name; the first two calls come at a bad time."""
        await asyncio.sleep(0)
        if self._busy:
            self._busy -= 1
            raise Busy
        self.names.add(name)

    async def delete(self, name: str) -> None:
        """Remove it; no error if it is not there."""
        await asyncio.sleep(0)
        self.names.discard(name)


handlers = Handlers()
service = DnsService()
options = HandlerOptions(timeout=60, retries=5, backoff=2, jitter=0, concurrency=4)


@handlers.handler("dns_worker", options)
async def dns_worker(context: JobContext) -> Outcome:
    """Store or remove a name. It may run again after a death: both do no harm twice."""
    if Action(context.job.action).deletes:
        context.claim.guard(5.0)  # the claim outlasts a call of five seconds, or we stop here
        await service.delete(f"{context.job.resource_id}.{ZONE}")
        return Done(outputs=())
    zone = context.resolved_params()["zone"]
    if zone != ZONE:
        return GiveUp(reason=f"no such zone: {zone}")
    name = f"{context.job.resource_id}.{zone}"
    context.claim.guard(5.0)
    try:
        await service.put(name)
    except Busy:
        return RetryLater(after=1.0, reason="the DNS service is busy")
    context.report("stored")
    return Done(outputs=(StackOutput(output_key="fqdn", output_value=name),))


def main() -> None:
    """Two names, one of which can't be."""
    clock = VirtualClock()
    heat, store = SimulatedHeat(clock), MemoryStore(clock=clock)
    with Lifecycle(store, heat, SCHEMAS, clock=clock, handlers=handlers, hooks=()) as lifecycle:
        template = ConfigRecord(body=TEMPLATE, version=1)
        lifecycle.submit(template, ResourceRef("heat_template", "dns_name"))
        for name, zone in (("www", ZONE), ("bad", "example.moon")):
            ref, begun = ResourceRef("dns_name", name), clock.now()
            lifecycle.submit(
                ConfigRecord(body={"id": name, "tenant_id": "t1", "zone": zone}, version=1), ref
            )
            result = lifecycle.wait(ref, version=1)
            seconds = clock.now() - begun
            if isinstance(result, Failed):
                print(f"{name}: {result.error}, after {seconds:.0f} s")
            else:
                print(f"{name}: {type(result).__name__}, after {seconds:.0f} s")
        print("stored:", sorted(service.names))
        lifecycle.delete(ResourceRef("dns_name", "www"))
        lifecycle.wait(ResourceRef("dns_name", "www"), version=2)
    print("after the delete:", sorted(service.names))


if __name__ == "__main__":
    main()
