"""What is not in force yet is tried on a copy of the keyspace, which leaves the store as it is."""

from __future__ import annotations

from gohan_jobs.clock import VirtualClock
from gohan_jobs.keys import Keys
from gohan_jobs.lifecycle import Lifecycle
from gohan_jobs.operations.copying import copy_of
from gohan_jobs.planning import Enqueue, Plan, Unchanged
from gohan_jobs.records import ConfigRecord
from gohan_jobs.stores.base import Put, Transaction
from gohan_jobs.stores.memory import MemoryStore
from worlds import HOT, NETWORK, PORT, TEMPLATES, TENANT, World, ref


def config(version: int, **body: str) -> ConfigRecord:
    """A version of the network, or of the port."""
    return ConfigRecord(body={"tenant_id": TENANT, **body}, version=version)


def estate() -> World:
    """A network that is done, and a port that is being made."""
    world = World()
    world.write(NETWORK, {"name": "blue", "label": "L"})
    world.settle()
    world.heat.script("port_p1")
    world.write(PORT, {"name": "p", "network_id": "n1"})
    world.settle()
    return world


def planner(world: World, store: MemoryStore) -> Lifecycle:
    """Who plans on a store, and carries nothing out."""
    return Lifecycle(store, world.heat, world.schemas, roles=(), hooks=(), seed=1)


def in_brief(plan: Plan) -> object:
    """A plan, but for the suffixes of its jobs."""
    if not isinstance(plan, Enqueue):
        return plan
    jobs = [
        (str(job.action), job.params, len(job.dependency)) for job in (p.job for p in plan.jobs)
    ]
    return jobs, len(plan.collapse)


def test_plans_are_those_that_would_be_made() -> None:
    """On what is done, what is being made, and what is not there."""
    world = estate()
    with copy_of(world.store) as copy, planner(world, copy) as there:
        here = planner(world, world.store)
        for change, resource in (
            (config(1, id="n1", name="blue", label="L"), NETWORK),
            (config(2, id="n1", name="red"), NETWORK),
            (config(2, id="p1", name="q", network_id="n1"), PORT),
            (config(1, id="p2", name="q", network_id="n1"), ref("port", "p2")),
            (config(1, id="p3", name="q", network_id="none"), ref("port", "p3")),
        ):
            expected = in_brief(here.plan(change, resource))
            assert (resource, expected) == (resource, in_brief(there.plan(change, resource)))
        assert isinstance(
            there.plan(config(1, id="n1", name="blue", label="L"), NETWORK), Unchanged
        )


def test_a_template_is_tried_where_it_does_no_harm() -> None:
    """It is in force on the copy alone, and nothing is written to the store."""
    world = estate()
    before = world.store.revision()
    with copy_of(world.store) as copy, planner(world, copy) as lifecycle:
        mappings = {**TEMPLATES["network"], "name": "Plabel"}
        body = {"id": "network", "handler": "heat_worker", "watch": [], "template_file": HOT}
        template = ConfigRecord(body=body | {"parameter_mappings": mappings}, version=2)
        lifecycle.submit(template, ref("heat_template", "network"))
        plan = lifecycle.plan(config(2, id="n1", name="red", label="M"), NETWORK)
    assert isinstance(plan, Enqueue)
    assert ["M"] == [p.value for p in plan.jobs[0].job.params if p.param == "name"]
    assert before == world.store.revision()


def test_other_keys_and_a_clock() -> None:
    """It copies what the keys say, and no more; its leases end by the clock that it is given."""
    keys, clock = Keys(config="/c/"), VirtualClock()
    store = MemoryStore()
    for key in ("/c/a", "/config/b"):
        store.transact(Transaction((), (Put(key, b"1"),)))
    copy = copy_of(store, keys, clock=clock)
    lease = copy.grant_lease(5.0).id
    copy.transact(Transaction((), (Put("/c/leased", b"", lease),)))
    clock.advance(6.0)
    assert ["/c/a"] == [entry.key for entry in copy.entries("/").entries]
