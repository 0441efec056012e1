"""A type that is built by Heat and then watched, as the switches of 2017 were."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gohan_jobs import ConfigRecord, ResourceRef, Schema, Schemas

__all__ = ["HEAT_TEMPLATE", "MONITORING_TEMPLATE", "SCHEMAS", "SWITCH", "config", "template"]

SWITCH = ResourceRef("switch", "s1")

SCHEMAS = Schemas(
    [
        Schema(
            type="switch",
            prefix="v2.0/switches",
            templates={"heat_worker": "Cswitch", "monitoring_worker": "Cswitch_monitoring"},
            state_versioning=True,
            two_step_deletion=True,
        )
    ]
)

HOT = """\
heat_template_version: 2016-10-14
parameters:
  name: {type: string}
resources:
  switch: {type: "OS::Heat::Value", properties: {value: {get_param: name}}}
outputs:
  fq_name: {description: The FQ name., value: {get_attr: [switch, value]}}
"""

TARGETS = """\
switch:
  type: switch
  fq_name: {{ fq_name }}
  ip: {{ ip }}
  password: {{ password }}
{% if peer %}
session:
  type: vrrp_session
  wanted_status: master
{% endif %}
db_mappings:
  - mapped_id: {{ fq_name }}
"""


def template(name: str, handler: str, text: str, mappings: Mapping[str, Any]) -> ConfigRecord:
    """A heat_template's config."""
    body = {
        "id": name,
        "handler": handler,
        "watch": [],
        "template_file": text,
        "parameter_mappings": dict(mappings),
    }
    return ConfigRecord(body=body, version=1)


HEAT_TEMPLATE = template("switch", "heat_worker", HOT, {"name": {"field": "name"}})
MONITORING_TEMPLATE = template(
    "switch_monitoring",
    "monitoring_worker",
    TARGETS,
    {
        "fq_name": {"output_key": "fq_name"},
        "ip": {"field": "ip"},
        "password": {"field": "password"},
        "peer": {"field": "peer"},
    },
)


def config(version: int = 1, name: str = "QFX", *, peer: bool = False) -> ConfigRecord:
    """A version of the switch."""
    body = {
        "id": SWITCH.resource_id,
        "tenant_id": "t",
        "name": name,
        "ip": "192.0.2.1",
        "password": "hidden-1",
        "peer": peer,
    }
    return ConfigRecord(body=body, version=version)
