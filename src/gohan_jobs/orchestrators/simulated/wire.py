"""The bodies of Heat's v1 API, field by field in Heat's order."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from gohan_jobs.orchestrators.simulated.parameters import Parameter
from gohan_jobs.orchestrators.simulated.rejections import NOT_COMPLIED
from gohan_jobs.orchestrators.simulated.resources import SimulatedResource
from gohan_jobs.orchestrators.simulated.stack import SimulatedStack, StackEvent
from gohan_jobs.orchestrators.simulated.template import HotTemplate
from gohan_jobs.records import StackOutput

__all__ = [
    "created_body",
    "error_body",
    "event_body",
    "listed_body",
    "message_body",
    "output_body",
    "resource_body",
    "shown_body",
    "stack_url",
    "validation_body",
    "versions_body",
]

_TITLES: Mapping[int, tuple[str, str]] = {
    400: ("Bad Request", NOT_COMPLIED),
    401: (
        "Unauthorized",
        "This server could not verify that you are authorized.",
    ),
    403: ("Forbidden", "Access was denied to this resource."),
    404: ("Not Found", "The resource could not be found."),
    405: ("Method Not Allowed", NOT_COMPLIED),
    409: ("Conflict", "There was a conflict when trying to complete your request."),
    500: (
        "Internal Server Error",
        "The server has either erred or is incapable of performing the requested operation.",
    ),
    503: (
        "Service Unavailable",
        "The server is currently unavailable. Please try again at a later time.",
    ),
}


def _time(value: dt.datetime | None) -> str | None:
    return None if value is None else value.strftime("%Y-%m-%dT%H:%M:%SZ")


def _links(**urls: str) -> list[dict[str, str]]:
    return [{"href": url, "rel": rel} for rel, url in urls.items()]


def stack_url(stack: SimulatedStack, base: str) -> str:
    """Where a stack is.

    Args:
        stack: the stack.
        base: the API's URL up to and with the project.
    """
    return f"{base}/stacks/{stack.name}/{stack.id}"


def versions_body(root: str) -> dict[str, Any]:
    """The answer to ``GET /``."""
    links = [{"rel": "self", "href": f"{root}/v1/"}]
    return {"versions": [{"id": "v1.0", "status": "CURRENT", "links": links}]}


def error_body(code: int, kind: str, message: str | None = None) -> dict[str, Any]:
    """An error's body.

    Args:
        code: the HTTP status.
        kind: Heat's name of the error.
        message: Heat's words; None for those that go with the status.
    """
    title, explanation = _TITLES[code]
    error = {"type": kind, "traceback": None, "message": message or explanation}
    return {"code": code, "title": title, "explanation": explanation, "error": error}


def message_body(code: int, title: str, message: str) -> dict[str, Any]:
    """The body of an answer that is not the application's but the framework's."""
    return {"message": f"{message}\n\n", "code": f"{code} {title}", "title": title}


def created_body(stack: SimulatedStack, base: str) -> dict[str, Any]:
    """The answer to a create."""
    return {"stack": {"id": stack.id, "links": _links(self=stack_url(stack, base))}}


def shown_body(stack: SimulatedStack, base: str, *, outputs: bool) -> dict[str, Any]:
    """A stack in full; a deleted one has no outputs at all."""
    template = stack.blueprint.template
    shown: dict[str, Any] = {
        "stack_name": stack.name,
        "id": stack.id,
        "links": _links(self=stack_url(stack, base)),
        "creation_time": _time(stack.created),
        "updated_time": _time(stack.updated),
        "deletion_time": _time(stack.deleted),
        "notification_topics": [],
        "parameters": stack.blueprint.parameters.shown(),
        "description": template.description,
        "template_description": template.description,
        "capabilities": [],
        "disable_rollback": stack.disable_rollback,
        "timeout_mins": stack.timeout_mins,
        "stack_owner": "admin",
        "parent": None,
        "stack_user_project_id": "aprojectid",
        "tags": list(stack.tags),
        "stack_status": stack.status,
        "stack_status_reason": stack.reason,
    }
    if outputs and stack.alive:
        shown["outputs"] = [output_body(output) for output in stack.outputs()]
    return {"stack": shown}


def listed_body(stack: SimulatedStack, base: str) -> dict[str, Any]:
    """A stack in a listing; one without tags has null for them."""
    return {
        "id": stack.id,
        "links": _links(self=stack_url(stack, base)),
        "stack_name": stack.name,
        "description": "",
        "stack_status": stack.status,
        "stack_status_reason": stack.reason,
        "creation_time": _time(stack.created),
        "updated_time": _time(stack.updated),
        "deletion_time": _time(stack.deleted),
        "stack_owner": "admin",
        "parent": None,
        "stack_user_project_id": "aprojectid",
        "tags": list(stack.tags) or None,
    }


def output_body(output: StackOutput) -> dict[str, Any]:
    """An output of a stack in full."""
    body = {
        "output_key": output.output_key,
        "description": output.description,
        "output_value": output.output_value,
    }
    if output.output_error is not None:
        body["output_error"] = output.output_error
    return body


def resource_body(
    stack: SimulatedStack, resource: SimulatedResource, base: str, *, full: bool
) -> dict[str, Any]:
    """A resource, in full or as listed."""
    url, name = stack_url(stack, base), resource.definition.name
    body: dict[str, Any] = {
        "updated_time": _time(resource.updated),
        "creation_time": _time(resource.created),
        "logical_resource_id": name,
        "resource_name": name,
        "physical_resource_id": resource.physical_id,
        "resource_status": f"{resource.action}_{resource.status}",
        "resource_status_reason": resource.reason,
        "resource_type": resource.type.name,
        "links": _links(self=f"{url}/resources/{name}", stack=url),
        "required_by": [
            other for other, r in stack.resources.items() if name in r.definition.requires
        ],
    }
    if full:
        body |= {"description": "", "attributes": resource.attributes()}
    return body


def event_body(stack: SimulatedStack, event: StackEvent, base: str) -> dict[str, Any]:
    """An event."""
    url = stack_url(stack, base)
    resource = f"{url}/resources/{event.resource}"
    return {
        "id": event.id,
        "links": _links(self=f"{resource}/events/{event.id}", resource=resource, stack=url),
        "event_time": _time(event.time),
        "logical_resource_id": event.resource,
        "resource_name": event.resource,
        "physical_resource_id": event.physical_id,
        "resource_status": event.status,
        "resource_status_reason": event.reason,
    }


_TYPE_NAMES = {
    "string": "String",
    "number": "Number",
    "comma_delimited_list": "CommaDelimitedList",
    "json": "Json",
    "boolean": "Boolean",
}


def _parameter_body(parameter: Parameter, definition: Mapping[str, Any]) -> dict[str, Any]:
    body = {
        "Type": _TYPE_NAMES[parameter.type],
        "Description": definition.get("description", ""),
        "NoEcho": "true" if parameter.hidden else "false",
        "Label": definition.get("label", parameter.name),
    }
    if parameter.default is not None:
        body["Default"] = parameter.default
    return body


def validation_body(template: HotTemplate, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The answer to a validation; constraints are left out of it."""
    definitions = template.document.get("parameters") or {}
    return {
        "Description": template.description,
        "Parameters": {
            name: _parameter_body(parameter, definitions[name])
            for name, parameter in template.parameters.items()
        },
        "Environment": {
            "resource_registry": {"resources": {}},
            "parameters": dict(parameters),
            "parameter_defaults": {},
            "event_sinks": [],
        },
    }
