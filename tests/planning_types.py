"""A few types to plan with, and their templates."""

from __future__ import annotations

from typing import Any

from gohan_jobs.schemas import Schema, Schemas
from planning_world import World

__all__ = ["NETWORK", "NOTE", "PORT", "ROUTER", "TAG", "make_schemas", "make_world", "template"]

NETWORK, PORT, ROUTER = "v2.0/networks/n1", "v2.0/ports/p1", "v2.0/routers/r1"
TAG, NOTE = "v2.0/tags/t1", "v2.0/notes/o1"

_UNLESS_DHCP = {
    "if_mapping": {"equal": [{"field": "device_owner"}, "dhcp"]},
    "then_mapping": {"constant": None},
    "else_mapping": {"constant": "port"},
}


def make_schemas(**port_templates: Any) -> Schemas:
    """Two-step, versioned types; a one-step type that counts no versions; one without template."""
    two_steps: dict[str, Any] = {"state_versioning": True, "two_step_deletion": True}
    heat = {"heat_worker": _UNLESS_DHCP}
    return Schemas(
        [
            Schema(type="network", prefix="v2.0/networks", templates={"heat_worker": "Cnetwork"},
                   **two_steps),
            Schema(type="port", prefix="v2.0/ports", relations={"network_id": "network"},
                   templates=port_templates or heat, **two_steps),
            Schema(type="router", prefix="v2.0/routers", templates={"monitoring_worker": "Crouter"},
                   **two_steps),
            Schema(type="tag", prefix="v2.0/tags", relations={"network_id": "network"},
                   templates={"heat_worker": "Ctag"}),
            Schema(type="note", prefix="v2.0/notes", state_versioning=True),
            Schema(type="heat_template", prefix="v2.0/heat_templates"),
        ]
    )  # fmt: skip


def template(name: str, mappings: dict[str, Any], handler: str = "heat_worker") -> dict[str, Any]:
    """A heat_template's body."""
    return {
        "id": name,
        "handler": handler,
        "watch": [],
        "template_file": "",
        "parameter_mappings": mappings,
    }


_MAPPINGS: dict[str, dict[str, Any]] = {
    "network": {"name": "Pname"},
    "port": {"network": "Fnetwork+network_id:name", "output": "Mnetwork:network_id:id"},
    "tag": {"name": "Pname"},
    "router": {"name": "Pname"},
}


def make_world(*missing: str, **port_templates: Any) -> World:
    """A world with these types and all templates but the missing."""
    world = World(make_schemas(**port_templates))
    for name, mappings in _MAPPINGS.items():
        if name not in missing:
            world.write(f"v2.0/heat_templates/{name}", template(name, mappings))
    return world
