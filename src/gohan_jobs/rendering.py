"""From a job's params to what is asked of Heat (``spec`` *mapping*, from params to the Heat call).

Pure: the outputs of other resources' stacks come from their heat_stacks records, which the caller
has read; :func:`needed_outputs` tells which.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import attrs

from gohan_jobs.exceptions import MappingEvaluationError
from gohan_jobs.mapping import ParsedTemplate
from gohan_jobs.orchestrators.base import StackRequest
from gohan_jobs.records import HeatStack, Job, Param, ParamType, ResourceRef
from gohan_jobs.templates import Renderer

__all__ = [
    "HeatCall",
    "Outputs",
    "heat_call",
    "heat_request",
    "needed_outputs",
    "outputs_from",
    "render_all_params",
    "resolved_params",
    "stack_name",
    "tenant_of",
]

HEAT_TIMEOUT = "heat_timeout"
JINJA = "jinja_"

_MINUTES = re.compile(r"[1-9][0-9]{0,8}\Z")
_MAX_MINUTES = 10**9

Outputs: TypeAlias = Callable[[ResourceRef, str], Any]
"""Gives the value of an output of a resource's stack; raises LookupError saying what is missing."""


@attrs.frozen(kw_only=True)
class HeatCall:
    """What a job's params say of its Heat call, before the template is rendered.

    Attributes:
        stack: the stack's name.
        tenant: the project.
        parameters: Heat parameters, native JSON, nulls included.
        jinja: the variables that the template is rendered with.
        timeout_mins: minutes after which Heat gives up; None if no param says.
    """

    stack: str
    tenant: str
    parameters: Mapping[str, Any] = attrs.field(repr=False)
    jinja: Mapping[str, Any] = attrs.field(repr=False)
    timeout_mins: int | None


def stack_name(resource: ResourceRef) -> str:
    """``<type>_<resource id>``."""
    return f"{resource.resource_type}_{resource.resource_id}"


def tenant_of(job: Job) -> str:
    """The project that a job's stack belongs to: its ``resource_input.tenant_id``.

    An error says ``body.tenant_id``: that is the config's field, which is to be mended.

    Raises:
        MappingEvaluationError: it is absent or not a name.
    """
    tenant = job.resource_input.get("tenant_id")
    if not isinstance(tenant, str) or not tenant:
        raise _failed(job, "body.tenant_id", f"expected a tenant's id, found {_kind(tenant)}")
    return tenant


def needed_outputs(job: Job) -> tuple[ResourceRef, ...]:
    """The resources whose stacks' outputs a job's params name: once each, in order.

    Raises:
        MappingEvaluationError: a param is malformed.
    """
    keys = (_output_key(job, param) for param in _flat(job.params))
    return tuple(dict.fromkeys(key[0] for key in keys if key is not None))


def outputs_from(stacks: Mapping[ResourceRef, HeatStack | None]) -> Outputs:
    """Outputs looked up in heat_stacks records; a resource whose stack is gone has none.

    Args:
        stacks: the record of each of :func:`needed_outputs`; None where there is none.
    """

    def find(resource: ResourceRef, key: str) -> Any:
        stack = stacks.get(resource)
        if stack is None:
            raise LookupError(f"{resource} has no stack")
        for output in stack.output:
            if output.output_key == key:
                return output.output_value
        raise LookupError(f"the stack of {resource} has no output {key!r}")

    return find


def heat_call(job: Job, outputs: Outputs) -> HeatCall:
    """Split a job's params into what Heat gets and what the template gets.

    Raises:
        MappingEvaluationError: no tenant, an output that is not there, or a ``heat_timeout`` that
            is no number of minutes; null is as none at all.
    """
    values = _values(job, outputs)
    timeout = values.pop(HEAT_TIMEOUT, None)
    return HeatCall(
        stack=stack_name(job.resource),
        tenant=tenant_of(job),
        parameters={name: v for name, v in values.items() if not name.startswith(JINJA)},
        jinja={name: v for name, v in values.items() if name.startswith(JINJA)},
        timeout_mins=None if timeout is None else _minutes(job, timeout),
    )


def heat_request(
    job: Job,
    template: ParsedTemplate,
    outputs: Outputs,
    renderer: Renderer,
    *,
    tags: Sequence[str] = (),
) -> StackRequest:
    """What is asked of Heat for a job that creates or modifies a stack.

    Args:
        job: the job.
        template: the heat_template that its params were computed for.
        outputs: of other resources' stacks, see :func:`outputs_from`.
        renderer: renders the template.
        tags: to set on the stack.

    Raises:
        MappingEvaluationError: as :func:`heat_call`.
        TemplateError: as :meth:`~gohan_jobs.templates.Renderer.render`.
    """
    call = heat_call(job, outputs)
    return StackRequest(
        name=call.stack,
        tenant=call.tenant,
        template=renderer.render(template.id, template.text, call.jinja),
        parameters=call.parameters,
        timeout_mins=call.timeout_mins,
        tags=tuple(tags),
        disable_rollback=True,
    )


def render_all_params(
    job: Job, template: ParsedTemplate, outputs: Outputs, renderer: Renderer
) -> str:
    """Render a template with *all* params under their own names, as 2017's monitoring did.

    Raises:
        MappingEvaluationError: an output that is not there.
        TemplateError: as :meth:`~gohan_jobs.templates.Renderer.render`.
    """
    return renderer.render(template.id, template.text, _values(job, outputs))


def resolved_params(job: Job, outputs: Outputs) -> dict[str, Any]:
    """A job's params by name, as native JSON, with the outputs they name put in.

    Args:
        job: the job.
        outputs: of other resources' stacks, see :func:`outputs_from`.

    Raises:
        MappingEvaluationError: an output that is not there, or a malformed param.
    """
    return _values(job, outputs)


def _flat(params: Sequence[Param]) -> Iterator[Param]:
    """Every param that is no list, those inside of lists included."""
    for param in params:
        if param.type == ParamType.LIST and isinstance(param.value, tuple | list):
            yield from _flat(param.value)
        else:
            yield param


def _output_key(job: Job, param: Param) -> tuple[ResourceRef, str] | None:
    """Which output an output key names; None for a param that is none."""
    if param.type != ParamType.OUTPUT_KEY:
        return None
    named = param.value if isinstance(param.value, Mapping) else {}
    parts = [named.get(part) for part in ("resource_type", "resource_id", "output_key")]
    kind, identity, key = (part if isinstance(part, str) else "" for part in parts)
    if not (kind and identity and key):
        raise _failed(
            job, f"param {param.param}", "an output key names a type, an id and an output"
        )
    return ResourceRef(kind, identity), key


def _values(job: Job, outputs: Outputs) -> dict[str, Any]:
    return {param.param: _value(job, param, outputs) for param in job.params}


def _value(job: Job, param: Param, outputs: Outputs) -> Any:
    if param.type == ParamType.LIST:
        return [_value(job, item, outputs) for item in param.value]
    named = _output_key(job, param)
    if named is None:
        return param.value
    try:
        return outputs(*named)
    except LookupError as error:
        raise _failed(job, f"param {param.param}", str(error.args[0])) from None


def _minutes(job: Job, value: Any) -> int:
    """Minutes, of which both ``13`` and ``"13"`` occur."""
    minutes = int(value) if isinstance(value, str) and _MINUTES.match(value) else value
    if type(minutes) is not int or not 0 < minutes < _MAX_MINUTES:
        raise _failed(job, f"param {HEAT_TIMEOUT}", f"expected minutes, found {_kind(value)}")
    return minutes


def _kind(value: Any) -> str:
    return "nothing" if value is None else f"another {type(value).__name__}"


def _failed(job: Job, where: str, reason: str) -> MappingEvaluationError:
    return MappingEvaluationError(str(job.resource), where, reason)
