"""A dry run: what new configs, and a new template, would do to an estate. It writes nothing.

Run it: ``python examples/dry_run.py``. A config is planned where it is, and Heat is asked whether
it would take what it would be sent. A new template is tried on a copy of the store in memory: there
it is in force, and each resource is planned on it as its next version would be.
"""

from __future__ import annotations

import attrs

from gohan_jobs import (
    ConfigRecord,
    GohanJobsError,
    Lifecycle,
    MemoryStore,
    Orchestrator,
    ResourceRef,
    Schema,
    Schemas,
    SimulatedHeat,
    Store,
    VirtualClock,
)
from gohan_jobs.operations.copying import copy_of
from gohan_jobs.planning import Enqueue
from gohan_jobs.stores.base import scan

HOT = """\
heat_template_version: 2016-10-14
parameters:
  cidr: {type: string}
outputs:
  cidr: {value: {get_param: cidr}}
"""
# Whoever wrote this has tried it with a private network only.
NEW_HOT = (
    HOT
    + """\
{% if jinja_public %}
  gateway: {value: {get_attr: [gatewy, value]}}
{% endif %}
"""
)
SCHEMAS = Schemas(
    [Schema(type="network", prefix="v2.0/networks", templates={"heat_worker": "Cnetwork"})]
)
TEMPLATE = ResourceRef("heat_template", "network")


def template(version: int, hot: str) -> ConfigRecord:
    """A version of the networks' template."""
    mappings = {"cidr": {"field": "cidr"}, "jinja_public": {"field": "public"}}
    body = {"handler": "heat_worker", "template_file": hot, "parameter_mappings": mappings}
    return ConfigRecord(body=body | {"id": "network"}, version=version)


def network(name: str, version: int, cidr: str, *, public: bool = False) -> ConfigRecord:
    """A version of a network."""
    body = {"id": name, "tenant_id": "t1", "cidr": cidr, "public": public}
    return ConfigRecord(body=body, version=version)


def what_would_happen(lifecycle: Lifecycle, config: ConfigRecord) -> str:
    """In words: the jobs there would be, or why there would be none."""
    ref = ResourceRef("network", config.body["id"])
    try:
        plan = lifecycle.plan(config, ref, validate=True)
    except GohanJobsError as error:
        return f"refused: {error}"
    if isinstance(plan, Enqueue):
        return ", ".join(f"{each.job.action} by {each.job.handler}" for each in plan.jobs)
    return type(plan).__name__


def try_template(store: Store, heat: Orchestrator, new: ConfigRecord) -> None:
    """Plan the next version of every network on a template that is not in force yet."""
    with copy_of(store) as copy, Lifecycle(copy, heat, SCHEMAS, roles=(), hooks=()) as lifecycle:
        lifecycle.submit(new, TEMPLATE)
        for page in scan(store, "/config/v2.0/networks/"):
            for entry in page.entries:
                config = lifecycle.codec.config(entry.key, entry.value)
                body = {**config.body, "description": "something new"}
                change = attrs.evolve(config, body=body, version=config.version + 1)
                print(f"  {config.body['id']}: {what_would_happen(lifecycle, change)}")


def main() -> None:
    """An estate of two networks; then questions."""
    clock = VirtualClock()
    store, heat = MemoryStore(clock=clock), SimulatedHeat(clock)
    with Lifecycle(store, heat, SCHEMAS, clock=clock, hooks=()) as lifecycle:
        lifecycle.submit(template(1, HOT), TEMPLATE)
        estate = network("n1", 1, "10.0.0.0/24"), network("n2", 1, "10.9.0.0/24", public=True)
        for config in estate:
            ref = ResourceRef("network", config.body["id"])
            lifecycle.submit(config, ref)
            lifecycle.wait(ref, version=1)
        revision = store.revision()

        print("configs:")
        new = network("n1", 2, "10.0.1.0/24"), network("n3", 1, "10.3.0.0/24")
        for config in (estate[0], *new):
            name, version = config.body["id"], config.version
            print(f"  {name} version {version}: {what_would_happen(lifecycle, config)}")
        print("a new template, and the next version of:")
        try_template(store, heat, template(2, NEW_HOT))
        print("written:", store.revision() - revision)


if __name__ == "__main__":
    main()
