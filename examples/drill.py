"""A drill: does what you deploy bear a bad day? A fault at every call that a worker makes.

Run it: ``python examples/drill.py [FAULT...]`` with names of ``Fault``, such as ``freeze``. In
one program, on a clock that jumps, two job managers and two workers take a network through its
life, again and again, each time with a fault at the next call to the store or to Heat. What is
left must be what a run without faults leaves: states, stacks, and no job. Put in your own types,
templates and handlers.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable

from gohan_jobs import ResourceRef, Schema, Schemas
from gohan_jobs.testing import Fault, Injection, Simulation, every_injection

SCHEMAS = Schemas(
    [
        Schema(
            type="network",
            prefix="v2.0/networks",
            templates={"heat_worker": "Cnetwork"},
            state_versioning=True,
            two_step_deletion=True,
        )
    ]
)
TEMPLATE = {
    "id": "network",
    "handler": "heat_worker",
    "template_file": "heat_template_version: 2016-10-14\nparameters: {name: {type: string}}\n",
    "parameter_mappings": {"name": {"field": "name"}},
}
NETWORK = ResourceRef("network", "n1")


def simulate(*injections: Injection) -> Simulation:
    """A network is created, renamed a minute later, and deleted after another one."""
    simulation = Simulation(SCHEMAS, seed=1)
    body = {"id": "n1", "tenant_id": "t", "name": "one"}
    simulation.submit(0.0, ResourceRef("heat_template", "network"), TEMPLATE)
    simulation.submit(0.0, NETWORK, body)
    simulation.submit(60.0, NETWORK, {**body, "name": "two"}, version=2)
    simulation.delete(120.0, NETWORK)
    simulation.inject(*injections)
    simulation.run()
    return simulation


def drill(faults: Iterable[Fault]) -> None:
    """Try each fault at each call of each worker."""
    undisturbed = simulate()
    expected = undisturbed.outcome()
    print("without a fault:", expected.remains or "nothing remains")
    for fault in faults:
        worse = [
            injection
            for injection in every_injection(undisturbed, (fault,))
            if injection.process.startswith("worker") and simulate(injection).outcome() != expected
        ]
        print(f"{fault.value}:", worse or "makes no difference")


if __name__ == "__main__":
    names = sys.argv[1:] or ["crash_after"]
    drill(Fault[name.upper()] for name in names)
