"""The estate that the simulations work on: a few types, their templates, and scenarios."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gohan_jobs.admission import Admission, AdmissionRequest, Veto
from gohan_jobs.clock import VirtualClock
from gohan_jobs.orchestrators.simulated import Call, SimulatedHeat
from gohan_jobs.orchestrators.simulated import Outcome as HeatOutcome
from gohan_jobs.records import ResourceRef
from gohan_jobs.schemas import Schema, Schemas
from gohan_jobs.testing.simulation import Injection, Outcome, Simulation

__all__ = [
    "EVERYTHING",
    "FAILING",
    "OVERLAP",
    "SCENARIOS",
    "SCHEMAS",
    "SMALL",
    "VETOED",
    "Scenario",
    "cast",
    "settled",
    "simulate",
]

_WORKER = "heat_worker"

SCHEMAS = Schemas(
    [
        Schema(
            type="network",
            prefix="v2.0/networks",
            templates={_WORKER: "Cnetwork"},
            state_versioning=True,
            two_step_deletion=True,
        ),
        Schema(
            type="port",
            prefix="v2.0/ports",
            relations={"network_id": "network"},
            templates={_WORKER: "Cport"},
            state_versioning=True,
            two_step_deletion=True,
        ),
        Schema(
            type="rule",
            prefix="v2.0/rules",
            relations={"port_id": "port"},
            templates={_WORKER: "Crule"},
            state_versioning=True,
        ),
        Schema(type="note", prefix="v2.0/notes", state_versioning=True),
    ]
)

_HOT = """
heat_template_version: 2016-10-14
parameters:
  name: {type: string}
  version: {type: number}
  needs: {type: string, default: ''}
COLOURresources:
  value:
    type: OS::Heat::Value
    properties: {value: {get_param: name}}
outputs:
  self: {value: {get_attr: [value, value]}}
"""

_MAPPINGS: dict[str, dict[str, Any]] = {
    "network": {},
    "port": {"needs": "Mnetwork:network_id:self"},
    "rule": {"needs": "Mport:port_id:self"},
}


def _template(kind: str, **more: Any) -> dict[str, Any]:
    # Without a default: params of before would be refused.
    colour = "  colour: {type: string}\n" if "colour" in more else ""
    mappings = {"name": "Pid", "version": "Vauto_filled"} | _MAPPINGS[kind] | more
    return {
        "handler": _WORKER,
        "watch": [],
        "id": kind,
        "template_file": _HOT.replace("COLOUR", colour),
        "parameter_mappings": mappings,
    }


class Cast:
    """Writes a scenario down in few words."""

    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation
        for kind in _MAPPINGS:
            self.template(0.0, kind)

    def template(self, when: float, kind: str, **more: Any) -> None:
        """Gohan writes a template."""
        self._simulation.submit(when, ResourceRef("heat_template", kind), _template(kind, **more))

    def put(self, when: float, name: str, version: int = 1, needs: str | None = None) -> None:
        """Gohan writes a config; ``name`` begins with its type's name."""
        kind = name.partition("-")[0]
        body: dict[str, Any] = {"id": name, "tenant_id": "t"}
        if needs is not None:
            body[f"{needs.partition('-')[0]}_id"] = needs
        body["text"] = f"{name} {version}"
        self._simulation.submit(when, ResourceRef(kind, name), body, version)

    def delete(self, when: float, name: str) -> None:
        """Gohan deletes a config."""
        self._simulation.delete(when, ResourceRef(name.partition("-")[0], name))


Scenario = Callable[[Cast], None]


def cast(simulation: Simulation) -> Cast:
    """A cast with the templates in place."""
    return Cast(simulation)


def SMALL(cast: Cast) -> None:  # noqa: N802 - a constant, but for its kind
    """A dependency, an update, a two-step and a one-step deletion, with time in between."""
    cast.put(1, "port-1", needs="network-1")  # held until its network comes
    cast.put(2, "network-1")
    cast.put(3, "rule-1", needs="port-1")
    cast.put(110, "network-1", 2)
    cast.delete(220, "rule-1")
    cast.delete(221, "port-1")


def OVERLAP(cast: Cast) -> None:  # noqa: N802 - likewise
    """Everything comes while the thing before it is still going on."""
    cast.put(1, "network-1")
    cast.put(2, "port-1", needs="network-1")
    cast.put(3, "network-1", 2)
    cast.put(3.5, "network-1", 3)
    cast.put(4, "rule-1", needs="port-1")
    cast.put(5, "rule-1", 2, needs="port-1")
    cast.delete(6, "rule-1")
    cast.delete(7, "port-1")
    cast.put(20, "rule-1", needs="port-1")


def FAILING(cast: Cast) -> None:  # noqa: N802 - likewise
    """A stack that fails, with dependants of two degrees; a note that needs no stack."""
    cast.put(1, "network-bad")
    cast.put(1, "port-1", needs="network-bad")
    cast.put(1, "rule-1", needs="port-1")
    cast.put(2, "note-1")
    cast.put(110, "port-2")


def EVERYTHING(cast: Cast) -> None:  # noqa: N802 - likewise
    """Fourteen resources: what the others have, a changed template, and a restart's worth more."""
    cast.put(1, "network-1")
    cast.put(1, "network-2")
    cast.put(1, "network-bad")
    for number in range(1, 6):
        cast.put(1 + number, f"port-{number}", needs=f"network-{1 + number % 2}")
    cast.put(4, "port-bad", needs="network-bad")
    cast.put(3, "rule-1", needs="port-1")
    cast.put(3, "rule-2", needs="port-late")
    cast.put(5, "rule-3", needs="port-3")
    cast.put(6, "note-1")
    cast.put(9, "note-1", 2)
    cast.template(7, "port", colour="Cred")
    cast.put(8, "network-2", 2)
    cast.put(9, "port-2", 2, needs="network-1")
    cast.put(20, "port-late", needs="network-2")
    cast.delete(10, "rule-3")
    cast.put(11, "port-2", 3, needs="network-2")
    cast.delete(12, "port-3")
    cast.put(30, "rule-3", needs="port-4")
    cast.delete(60, "port-5")
    cast.put(70, "network-1", 2)


def VETOED(cast: Cast) -> None:  # noqa: N802 - likewise
    """Changes that may not be made before the windows of ``_admission``, and who waits for them."""
    cast.put(1, "network-quota")
    cast.put(2, "port-1", needs="network-quota")
    cast.put(3, "network-broken")
    cast.put(4, "port-2", needs="network-broken")
    cast.put(5, "rule-quota", needs="port-2")
    cast.put(6, "rule-quota", 2, needs="port-2")
    cast.put(150, "network-broken", 2)
    cast.delete(310, "rule-quota")
    cast.put(311, "port-quota", needs="network-quota")
    cast.delete(315, "port-1")
    cast.delete(316, "port-quota")


SCENARIOS: dict[str, Scenario] = {
    "small": SMALL,
    "overlap": OVERLAP,
    "failing": FAILING,
    "everything": EVERYTHING,
    "vetoed": VETOED,
}


def settled(simulation: Simulation) -> Outcome:
    """What a run has come to, without what depends on whether a template changed in time."""
    found = simulation.outcome()
    stacks = {
        name: (tenant, end, version, {k: v for k, v in values.items() if k != "colour"})
        for name, (tenant, end, version, values) in found.stacks.items()
    }
    return Outcome(found.states, stacks, found.remains)


def _heat(clock: VirtualClock) -> SimulatedHeat:
    def outcome(call: Call) -> HeatOutcome | None:
        if call.changes and call.op != "delete" and call.stack == "network_network-bad":
            return HeatOutcome(fails=True, seconds=3.0)
        return None

    return SimulatedHeat(clock, operation_seconds=3.0, outcome_of=outcome)


def _admission(clock: VirtualClock) -> Admission:
    """No change of what is called ``quota`` in two windows; about ``broken`` it fails at first."""
    begin = clock.now()

    def ask(request: AdmissionRequest) -> Veto | None:
        since = clock.now() - begin
        if request.resource.resource_id.endswith("quota") and (since < 70 or 300 < since < 340):
            return Veto("not now", retry_after=11.0)
        if request.resource.resource_id.endswith("broken") and since < 20:
            raise RuntimeError("out of order")
        return None

    return ask


def simulate(
    scenario: Scenario, *injections: Injection, seed: int = 0, **options: Any
) -> Simulation:
    """Run a scenario with some faults; the same arguments give the same run."""
    simulation = Simulation(SCHEMAS, seed=seed, heat=_heat, admission=_admission, **options)
    scenario(cast(simulation))
    simulation.inject(*injections)
    simulation.run()
    return simulation
