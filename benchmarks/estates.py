"""Resources to measure with: one type, one template, a body of about a kilobyte."""

from __future__ import annotations

from gohan_jobs.handlers import Done, JobContext
from gohan_jobs.records import ConfigRecord, HeatStack, ResourceRef, StackOutput
from gohan_jobs.schemas import Schema, Schemas

TEMPLATE = """heat_template_version: 2018-08-31
parameters:
  name: {type: string}
resources:
  v: {type: OS::Heat::Value, properties: {value: {get_param: name}}}
outputs:
  id: {description: id, value: {get_resource: v}}
"""

SCHEMAS = Schemas(
    [
        Schema(
            type="thing",
            prefix="v2.0/things",
            relations={"parent_id": "thing"},
            templates={"heat_worker": "Cthing"},
            state_versioning=True,
        )
    ]
)

TEMPLATE_REF = ResourceRef("heat_template", "thing")


def template() -> ConfigRecord:
    """The one heat_template."""
    body = {
        "id": "thing",
        "handler": "heat_worker",
        "watch": [],
        "template_file": TEMPLATE,
        "parameter_mappings": {
            "name": "Pid",
            "jinja_parent": {
                "field": "id",
                "path": ["parent_id"],
                "ignore_missing": True,
            },
            "heat_timeout": "C3",
        },
    }
    return ConfigRecord(body=body, version=1)


def thing(number: int, version: int = 1, parent: int | None = None) -> ConfigRecord:
    """A resource; with ``parent`` it refers to another."""
    body = {
        "id": f"t{number:06}",
        "tenant_id": f"tenant{number % 10}",
        "description": "x" * 700,
        "revision": version,
    }
    if parent is not None:
        body["parent_id"] = f"t{parent:06}"
    return ConfigRecord(body=body, version=version)


def ref(number: int) -> ResourceRef:
    """A resource's name."""
    return ResourceRef("thing", f"t{number:06}")


OUTPUTS = (
    StackOutput(
        output_key="monitoring_target_id",
        output_value="2da66917-604c-4076-8c21-79da05f6479e",
        description="Monitoring Target ID",
    ),
    StackOutput(
        output_key="monitoring_link",
        output_value="http://collector:7070/targets/2da66917-604c-4076-8c21-79da05f6479e",
        description="Monitoring Process Link",
    ),
)


def no_op(context: JobContext) -> Done:
    """A handler that does nothing and has all of its records written."""
    stack = HeatStack(
        id=str(context.job.resource),
        stack_id=f"thing_{context.job.resource_id}",
        tenant_id=str(context.job.resource_input.get("tenant_id")),
        stack_status="CREATE_COMPLETE",
        status_reason="Stack CREATE completed successfully",
        output=OUTPUTS,
    )
    return Done(outputs=OUTPUTS, stack=stack)
