"""Whether Heat would take a request, and what the stack would then be."""

from __future__ import annotations

import re
from collections.abc import Sequence

from gohan_jobs.exceptions import StackRejected
from gohan_jobs.orchestrators.base import StackRequest
from gohan_jobs.orchestrators.simulated.parameters import Parameters
from gohan_jobs.orchestrators.simulated.rejections import bad_request, invalid, rejected
from gohan_jobs.orchestrators.simulated.resource_types import find_type
from gohan_jobs.orchestrators.simulated.resources import check_template
from gohan_jobs.orchestrators.simulated.scripting import Scripts
from gohan_jobs.orchestrators.simulated.stack import Blueprint
from gohan_jobs.orchestrators.simulated.template import parse_template

__all__ = ["accept", "check_immutable", "check_name", "validate"]

_NAME = re.compile(r"[a-zA-Z][a-zA-Z0-9_.-]{0,254}")
_MAX_TAG = 80


def accept(
    request: StackRequest,
    *,
    namespaces: Sequence[str],
    scripts: Scripts,
    stack_id: str,
    values: bool = True,
) -> Blueprint:
    """What a stack is to be.

    Args:
        request: what was asked.
        namespaces: patterns of resource types accepted without being known.
        scripts: attributes given by a test.
        stack_id: the stack's id, as its template sees it.
        values: whether to look at the parameters' values.

    Raises:
        StackRejected: the template, a parameter or a tag.
    """
    _check_tags(request.tags)
    template = parse_template(request.template)
    pseudo = {
        "OS::stack_id": stack_id,
        "OS::project_id": request.tenant,
        "OS::stack_name": request.name,
    }
    parameters = Parameters(template.parameters, dict(request.parameters), pseudo)
    types = {n: find_type(d.type, namespaces) for n, d in template.resources.items()}
    check_template(template, parameters, types, values=values)
    scripted = scripts.attributes(template, request.name)
    return Blueprint(template=template, parameters=parameters, types=types, scripted=scripted)


def validate(request: StackRequest, *, namespaces: Sequence[str], scripts: Scripts) -> None:
    """Judge a template as Heat does when it is only asked to validate.

    Args:
        request: the template, and parameters of which only the names matter.
        namespaces: patterns of resource types accepted without being known.
        scripts: attributes given by a test.

    Raises:
        StackRejected: most errors then are an ``HTTPBadRequest``.
    """
    try:
        accept(request, namespaces=namespaces, scripts=scripts, stack_id="", values=False)
    except StackRejected as error:
        if error.kind == "StackValidationFailed":
            raise bad_request(error.reason) from error
        raise


def check_name(name: str) -> None:
    """Judge a stack's name.

    Raises:
        StackRejected: ``StackValidationFailed``.
    """
    if _NAME.fullmatch(name) is None:
        raise invalid(
            f'Invalid stack name {name} must contain only alphanumeric or "_-." characters, '
            "must start with alpha and must be 255 characters or less."
        )


def check_immutable(before: Blueprint, after: Blueprint) -> None:
    """Judge an update by the parameters that must stay as they are.

    Raises:
        StackRejected: ``ImmutableParameterModified``.
    """
    changed = [
        name
        for name, parameter in after.template.parameters.items()
        if parameter.immutable
        and name in before.template.parameters
        and before.parameters[name] != after.parameters[name]
    ]
    if changed:
        reason = "The following parameters are immutable and may not be updated: "
        raise rejected("ImmutableParameterModified", reason + ", ".join(changed))


def _check_tags(tags: Sequence[str]) -> None:
    for tag in ",".join(tags).split(","):
        if len(tag) > _MAX_TAG:
            raise bad_request(f'Invalid tag, "{tag}" is longer than 80 characters')
