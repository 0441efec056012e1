"""From params to what is asked of Heat."""

from __future__ import annotations

import json
from typing import Any

import attrs
import pytest

from gohan_jobs.exceptions import MappingEvaluationError, TemplateRefused
from gohan_jobs.keys import JobId
from gohan_jobs.mapping import ParsedTemplate, template_id
from gohan_jobs.orchestrators.base import StackRequest
from gohan_jobs.records import HeatStack, Job, Param, ParamType, ResourceRef, StackOutput
from gohan_jobs.rendering import (
    heat_call,
    heat_request,
    needed_outputs,
    outputs_from,
    render_all_params,
    stack_name,
    tenant_of,
)
from gohan_jobs.schemas import HEAT_WORKER
from gohan_jobs.templates import Renderer
from recorded_runs import RUNS, readings, recorded_jobs, recorded_schemas, recorded_stacks, rows

_NETWORK = ResourceRef("network", "n-1")
_SUBNET = ResourceRef("subnet", "s-1")


def _param(name: str, value: Any, kind: ParamType | str = ParamType.VALUE) -> Param:
    return Param(param=name, type=kind, value=value)


def _key(resource: ResourceRef, key: str = "id") -> dict[str, str]:
    return {
        "output_key": key,
        "resource_type": resource.resource_type,
        "resource_id": resource.resource_id,
    }


def _job(*params: Param, **changes: Any) -> Job:
    job = Job(
        id=JobId.parse("create:heat_worker:port:p-1:3:abcde"),
        params=params,
        resource_input={"tenant_id": "t-1"},
    )
    return attrs.evolve(job, **changes)


def _stack(resource: ResourceRef, **outputs: Any) -> HeatStack:
    return HeatStack(
        id=str(resource),
        stack_id=stack_name(resource),
        tenant_id="t-1",
        stack_status="CREATE_COMPLETE",
        output=tuple(StackOutput(output_key=k, output_value=v) for k, v in outputs.items()),
    )


_OUTPUTS = outputs_from({_NETWORK: _stack(_NETWORK, fq_name=["a", "b"], id="net"), _SUBNET: None})
_TEMPLATE = ParsedTemplate(
    id="port", handler="heat_worker", text="a: {{ jinja_name }}{{ name }}\n", mappings={}
)


def test_params_go_to_heat_to_the_template_or_to_the_timeout() -> None:
    """Nulls, numbers, lists and objects as they are; ``jinja_*`` under their full names."""
    job = _job(
        _param("name", "a: b\n{{ 7*7 }}"),
        _param("version", 3),
        _param("tenant_id", "t-1"),
        _param("nothing", None),
        _param("ips", [{"ip": 1}]),
        _param("jinja_name", "x"),
        _param("heat_timeout", "13"),
        _param("network", _key(_NETWORK), ParamType.OUTPUT_KEY),
        _param(
            "networks",
            (
                _param("networks", _key(_NETWORK, "fq_name"), ParamType.OUTPUT_KEY),
                _param("networks", ""),
                _param("networks", (_param("networks", 1),), ParamType.LIST),
            ),
            ParamType.LIST,
        ),
        _param("jinja_net", _key(_NETWORK), "output_key"),
    )
    request = heat_request(job, _TEMPLATE, _OUTPUTS, Renderer(), tags=["gohan-jobs:3:abcde"])
    assert request == StackRequest(
        name="port_p-1",
        tenant="t-1",
        template="a: x",
        parameters={
            "name": "a: b\n{{ 7*7 }}",
            "version": 3,
            "tenant_id": "t-1",
            "nothing": None,
            "ips": [{"ip": 1}],
            "network": "net",
            "networks": [["a", "b"], "", [1]],
        },
        timeout_mins=13,
        tags=("gohan-jobs:3:abcde",),
        disable_rollback=True,
    )
    assert heat_call(job, _OUTPUTS).jinja == {"jinja_name": "x", "jinja_net": "net"}


def test_without_a_timeout_heat_has_its_own() -> None:
    """And without params there is nothing to send; a null one is none: its field is absent."""
    for params in ((), (_param("heat_timeout", None),)):
        call = heat_call(_job(*params), _OUTPUTS)
        assert (None, {}, {}) == (call.timeout_mins, call.parameters, call.jinja)


@pytest.mark.parametrize(("value", "minutes"), [("13", 13), (13, 13), (1, 1), ("999999999",) * 2])
def test_timeouts(value: Any, minutes: Any) -> None:
    """Both spellings occur."""
    call = heat_call(_job(_param("heat_timeout", value)), _OUTPUTS)
    assert int(minutes) == call.timeout_mins


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (True, "another bool"),
        (0, "another int"),
        (-1, "another int"),
        (10**4000, "another int"),
        (1.5, "another float"),
        ("", "another str"),
        ("0", "another str"),
        ("1.5", "another str"),
        ("13\n", "another str"),
        ("9" * 5000, "another str"),
        ([13], "another list"),
    ],
)
def test_anything_else_is_no_timeout(value: Any, found: str) -> None:
    """The error names the param and not its value."""
    with pytest.raises(MappingEvaluationError) as caught:
        heat_call(_job(_param("heat_timeout", value)), _OUTPUTS)
    assert str(caught.value) == f"port:p-1: param heat_timeout: expected minutes, found {found}"


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ({}, "nothing"),
        ({"tenant_id": None}, "nothing"),
        ({"tenant_id": ""}, "another str"),
        ({"tenant_id": 3}, "another int"),
    ],
)
def test_a_job_without_a_tenant(body: dict[str, Any], found: str) -> None:
    """Heat would put the stack wherever the token belongs."""
    with pytest.raises(MappingEvaluationError) as caught:
        heat_call(_job(resource_input=body), _OUTPUTS)
    assert str(caught.value) == (f"port:p-1: body.tenant_id: expected a tenant's id, found {found}")


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        (_key(_SUBNET), "subnet:s-1 has no stack"),
        (_key(ResourceRef("port", "p-2")), "port:p-2 has no stack"),
        (_key(_NETWORK, "other"), "the stack of network:n-1 has no output 'other'"),
        ({}, "an output key names a type, an id and an output"),
        ("id", "an output key names a type, an id and an output"),
        ({**_key(_NETWORK), "output_key": 3}, "an output key names a type, an id and an output"),
    ],
)
def test_an_output_that_is_not_there(key: Any, reason: str) -> None:
    """No such stack, or no such output: said with the param's name."""
    job = _job(_param("net", (_param("net", key, ParamType.OUTPUT_KEY),), ParamType.LIST))
    with pytest.raises(MappingEvaluationError) as caught:
        heat_call(job, _OUTPUTS)
    assert str(caught.value) == f"port:p-1: param net: {reason}"


def test_the_outputs_that_are_needed() -> None:
    """Once each, in order, those inside of lists included."""
    job = _job(
        _param("a", _key(_SUBNET), ParamType.OUTPUT_KEY),
        _param(
            "b",
            tuple(_param("b", _key(ref), ParamType.OUTPUT_KEY) for ref in (_NETWORK, _SUBNET)),
            ParamType.LIST,
        ),
        _param("c", 1),
    )
    assert needed_outputs(job) == (_SUBNET, _NETWORK)
    inner = _param("x", (_param("x", _key(_SUBNET), ParamType.OUTPUT_KEY),), ParamType.LIST)
    assert (_SUBNET,) == needed_outputs(_job(_param("x", (inner,), ParamType.LIST)))


def test_a_refused_template_names_itself() -> None:
    """Errors of rendering pass through."""
    template = attrs.evolve(_TEMPLATE, text="{{ 1 * 2 }}")
    with pytest.raises(TemplateRefused, match="template port line 1"):
        heat_request(_job(), template, _OUTPUTS, Renderer())


def test_monitoring_templates_get_all_params_under_their_own_names() -> None:
    """As in 2017."""
    job = _job(_param("jinja_name", "x"), _param("name", "y"), _param("heat_timeout", 3))
    assert render_all_params(job, _TEMPLATE, _OUTPUTS, Renderer()) == "a: xy"


def _masked(found: Any) -> Any:
    """Passwords as the recording masked them."""
    if isinstance(found, dict):
        return {k: "***" if "password" in k else _masked(v) for k, v in found.items()}
    return [_masked(item) for item in found] if isinstance(found, list) else found


def _templates(run: str) -> dict[str, ParsedTemplate]:
    """The template of each job, by job name."""
    schemas, found = recorded_schemas(), {}
    for reading in readings(f"{run}.trace.jsonl", schemas):
        schema = schemas.by_type(reading.scope.resource.resource_type)
        assert schema is not None
        tree = schema.templates.get(HEAT_WORKER)
        name = None if tree is None else template_id(tree, reading.scope)
        if name is not None:
            found[reading.name] = reading.template[name]
    return found


def _called(job: Job, op: str, template: ParsedTemplate, outputs: Any) -> dict[str, Any]:
    """The row of a recorded call, as this library would make it."""
    row = {"kind": "heat", "job": str(job.id), "op": op, "stack": stack_name(job.resource)}
    if op == "delete":
        return {**row, "tenant": tenant_of(job)}
    request = heat_request(job, template, outputs, Renderer())
    return {
        **row,
        "tenant": request.tenant,
        "parameters": _masked(request.parameters),
        "jinja": _masked(heat_call(job, outputs).jinja),
        "template": request.template,
        "timeout_mins": request.timeout_mins,
        "disable_rollback": request.disable_rollback,
    }


@pytest.mark.parametrize(("run", "calls"), [*zip(RUNS, (7, 16, 32), strict=True)])
def test_every_recorded_heat_call_is_made_again(run: str, calls: int) -> None:
    """Stack, tenant, parameters, Jinja's variables, rendered template and timeout: all equal."""
    name = f"{run}.expected.jsonl"
    stacks, templates = recorded_stacks(name), _templates(run)
    jobs = {str(job.id): job for job in recorded_jobs(name)}
    expected = [row for row in rows(name) if row["kind"] == "heat"]
    made = []
    for row in expected:
        job = jobs[row["job"]]
        assert set(needed_outputs(job)) <= set(stacks)
        made.append(_called(job, row["op"], templates[job.job_name], outputs_from(stacks)))
    assert _masked(json.loads(json.dumps(expected))) == json.loads(json.dumps(made))
    assert len(made) == calls
