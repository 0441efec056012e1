"""Resource types with nothing behind them, read by the Heat of the tests.

Each keeps its properties, whatever they are called, and gives them back as attributes. A
resource's ``metadata`` makes it slow or fail::

    metadata: {seconds: {CREATE: 2}, fail: {DELETE: 1}, reason: "no route"}

is created in two seconds, and its first deletion fails; a negative count fails always.
"""

from __future__ import annotations

import time
import uuid
from typing import Any

from heat.engine import attributes, constraints, properties, resource

ATTRIBUTES = (
    "dataplane_ip",
    "default_gateway",
    "fq_name",
    "ip_prefix",
    "ipam",
    "link",
    "logical_interfaces",
    "management_ip",
    "name",
    "network_id",
    "physical_interfaces",
    "product_name",
    "route_targets",
    "vendor_name",
    "virtual_machine_interface_allowed_address_pairs",
    "virtual_machine_interface_mac_addresses",
    "virtual_networks",
    "virtual_routers",
    "vnc_managed",
)
"""What templates ask for: Heat wants an attribute's name before there is a resource."""


class AnyName(dict[str, Any]):
    """A schema that has every property that a template gives.

    Args:
        in_place: whether a change is an update of the resource, or replaces it.
    """

    def __init__(self, *, in_place: bool) -> None:
        super().__init__()
        self.in_place = in_place

    def of(self, data: Any) -> dict[str, Any]:
        """The schema for these properties."""
        schema = properties.Schema(properties.Schema.ANY, update_allowed=self.in_place)
        return dict.fromkeys(data, schema)


_make_properties = properties.Properties.__init__


def _make_any_properties(self: Any, schema: Any, data: Any, *args: Any, **kwargs: Any) -> None:
    known = schema.of(data) if isinstance(schema, AnyName) else schema
    _make_properties(self, known, data, *args, **kwargs)


properties.Properties.__init__ = _make_any_properties


class FreeForm(resource.Resource):  # type: ignore[misc] # heat is not typed
    """Takes any property; is there at once, unless its metadata says otherwise."""

    properties_schema = AnyName(in_place=True)
    # A copy a class: Heat adds its own attributes to it.
    attributes_schema = {name: attributes.Schema(name) for name in ATTRIBUTES}  # noqa: RUF012

    def handle_create(self) -> float:
        """Take an id, as in the recordings a plain UUID."""
        self.resource_id_set(str(uuid.uuid4()))
        return time.monotonic()

    def handle_update(self, json_snippet: Any, tmpl_diff: Any, prop_diff: Any) -> float:
        """Take the new properties."""
        del tmpl_diff, prop_diff
        self.properties = json_snippet.properties(self.properties_schema, self.context)
        return time.monotonic()

    def handle_delete(self) -> float:
        """Nothing is there to be removed."""
        return time.monotonic()

    def check_create_complete(self, started: float) -> bool:
        """Whether the time is over."""
        return self._complete(started)

    def check_update_complete(self, started: float) -> bool:
        """Whether the time is over."""
        return self._complete(started)

    def check_delete_complete(self, started: float) -> bool:
        """Whether the time is over."""
        return self._complete(started)

    def _complete(self, started: float) -> bool:
        metadata = self.t.metadata() or {}
        if time.monotonic() - started < metadata.get("seconds", {}).get(self.action, 0):
            return False
        if self._fails(int(metadata.get("fail", {}).get(self.action, 0))):
            raise ValueError(metadata.get("reason", f"{self.name}: told to fail"))
        return True

    def _fails(self, times: int) -> bool:
        key = f"failed_{self.action}"
        before = int(self.data().get(key, 0))
        if times >= 0 and before >= times:
            return False
        self.data_set(key, str(before + 1))
        return True

    def _resolve_attribute(self, name: str) -> Any:
        if name == "fq_name":
            return ["default-domain", self.properties.get("name") or self.name]
        return self.properties.get(name)


class MonitoringTarget(FreeForm):
    """Replaced by any change: in the recordings an update gives it another id."""

    properties_schema = AnyName(in_place=False)
    attributes_schema = {name: attributes.Schema(name) for name in ATTRIBUTES}  # noqa: RUF012

    def _resolve_attribute(self, name: str) -> Any:
        if name == "link":
            return f"http://collector-agents-se:7070/targets/{self.resource_id}"
        return super()._resolve_attribute(name)


class Anything(constraints.BaseCustomConstraint):  # type: ignore[misc] # heat is not typed
    """A custom constraint that every value meets: there is no Glance or Nova to ask."""

    def validate(self, value: Any, context: Any, template: Any = None) -> bool:
        """Always true."""
        del value, context, template
        return True


def resource_mapping() -> dict[str, type]:
    """What Heat reads."""
    kinds = (
        "ESI::VNF::Instance",
        "ESI::VNF::NetscalerConfig",
        "ESI::VNF::NetscalerSyslogServer",
        "ESI::VNF::VyattaConfig",
        "OS::Contrail::ExistingResource",
        "OS::Contrail::InstanceIp",
        "OS::Contrail::LogicalInterface",
        "OS::Contrail::NetconfNamedConfigs",
        "OS::Contrail::PhysicalInterface",
        "OS::Contrail::PhysicalRouter",
        "OS::Contrail::Subnet",
        "OS::Contrail::VirtualMachineInterface",
        "OS::Contrail::VirtualNetwork",
        "OS::Contrail::VnSubnet",
        "Test::FreeForm",
    )
    return {**dict.fromkeys(kinds, FreeForm), "ESI::Monitoring::MonitoringTarget": MonitoringTarget}


def constraint_mapping() -> dict[str, type]:
    """What Heat reads."""
    return {"glance.image": Anything, "nova.flavor": Anything}
