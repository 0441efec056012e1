"""A network's config becomes a stack: everything in memory, in no time.

Run it: ``python examples/quickstart.py``.
"""

from gohan_jobs import (
    ConfigRecord,
    Lifecycle,
    MemoryStore,
    ResourceRef,
    Schema,
    Schemas,
    SimulatedHeat,
    VirtualClock,
    dumps,
)

HOT = """
heat_template_version: 2013-05-23
parameters:
  cidr: {type: string}
outputs:
  cidr: {value: {get_param: cidr}, description: The network's addresses}
"""
TEMPLATE = {
    "id": "net",
    "handler": "heat_worker",
    "template_file": HOT,
    "parameter_mappings": {"cidr": {"field": "cidr"}},
}
SCHEMA = Schema(type="network", prefix="v2.0/networks", templates={"heat_worker": "Cnet"})
NETWORK = ResourceRef("network", "n1")

clock = VirtualClock()
store, heat = MemoryStore(clock=clock), SimulatedHeat(clock)
with Lifecycle(store, heat, Schemas([SCHEMA]), clock=clock) as lifecycle:
    lifecycle.submit(ConfigRecord(body=TEMPLATE, version=1), ResourceRef("heat_template", "net"))
    body = {"id": "n1", "tenant_id": "t1", "cidr": "10.0.0.0/24"}
    lifecycle.submit(ConfigRecord(body=body, version=1), NETWORK)
    print(lifecycle.explain(NETWORK).summary)
    result = lifecycle.wait(NETWORK, version=1)
    print(type(result).__name__)

    entry = store.get("/state/v2.0/networks/n1")
    assert entry is not None
    print(dumps(lifecycle.codec.loads(entry.key, entry.value)))
