"""A job's document, ``[handler, {job}, 0]``, and its params (``seed 1``, point 2)."""

from __future__ import annotations

from typing import Any

import attrs
from cattrs import Converter

from gohan_jobs.codec.fields import (
    Hook,
    Unexpected,
    at_index,
    boolean,
    each,
    integer,
    job_id,
    member,
    object_,
    opaque,
    text,
    wrong_items,
)
from gohan_jobs.codec.shapes import in_order, placed, reader, shape
from gohan_jobs.keys import JobId
from gohan_jobs.records import Action, Job, OnFailure, Param, ParamType, ResourceRef

__all__ = ["job_reader", "param_reader", "ref_reader", "write_job", "write_param", "write_ref"]

JOB = shape(
    "is_first",
    "resource_id",
    "handler",
    "job_name",
    "dependency",
    "version",
    "params",
    "resource_type",
    "action",
    "is_last",
    "on_failure",
    "id",
    "resource_input",
)
PARAM = shape("resources", "type", "value", "param")
REF = shape("resource_type", "resource_id")
OUTPUT_KEY = shape("output_key", "resource_type", "resource_id")
_WRAPPER = 3


def ref_reader(_type: Any, converter: Converter) -> Hook[ResourceRef]:
    """The structure hook of :class:`ResourceRef`."""
    return reader(REF, ResourceRef, converter, resource_type=text, resource_id=text)


@attrs.frozen
class _OutputKey:
    """Only to check the object with; the record keeps the object itself."""

    output_key: str
    resource_type: str
    resource_id: str
    unknown: Any = ()


def param_reader(_type: Any, converter: Converter) -> Hook[Param]:
    """The structure hook of :class:`Param`: a shape for each kind of ``value``."""
    fields: dict[str, Hook[Any]] = {
        "param": text,
        "type": member(ParamType),
        "resources": each(
            converter.get_structure_hook(ResourceRef), detailed=converter.detailed_validation
        ),
    }

    def structure(value: Any, kind: Any) -> Param:
        found = value.get("type") if type(value) is dict else None
        if found == "output_key":
            return output_param(value, kind)
        if found == "list":
            return list_param(value, kind)
        return value_param(value, kind)

    inner = each(structure, detailed=converter.detailed_validation)
    value_param = _param_of(opaque, fields, converter)
    output_param = _param_of(_output_key(converter), fields, converter)
    list_param = _param_of(inner, fields, converter)
    return structure


def _param_of(value: Hook[Any], fields: dict[str, Hook[Any]], converter: Converter) -> Hook[Param]:
    kind_of, resources = fields["type"], fields["resources"]

    def usual(found: Any, kind: Any) -> Param:
        return Param(
            param=text(found["param"], kind),
            type=kind_of(found["type"], kind),
            value=found["value"] if value is opaque else value(found["value"], kind),
            resources=resources(found["resources"], kind),
        )

    return reader(PARAM, Param, converter, usual, value=value, **fields)


def _output_key(converter: Converter) -> Hook[dict[str, Any]]:
    check = reader(
        OUTPUT_KEY, _OutputKey, converter, output_key=text, resource_type=text, resource_id=text
    )

    def structure(value: Any, kind: Any) -> dict[str, Any]:
        check(value, kind)
        return in_order(OUTPUT_KEY, value)

    return structure


def job_reader(_type: Any, converter: Converter) -> Hook[Job]:
    """The structure hook of :class:`Job`."""
    detailed = converter.detailed_validation
    document = _job_object(
        converter,
        dependency=each(job_id, detailed=detailed),
        params=each(converter.get_structure_hook(Param), detailed=detailed),
        action=member(Action),
        on_failure=member(OnFailure),
    )

    def structure(value: Any, kind: Any) -> Job:
        if type(value) is not list or len(value) != _WRAPPER:
            raise Unexpected.kind("a list of handler, job and number", value)
        handler, job, number = value
        if detailed:
            _check_wrapper(value, document)
        made = document(job, kind)
        if text(handler, str) != made.handler:
            raise Unexpected("the wrapper's handler is not the job's")
        return made if integer(number, int) == 0 else attrs.evolve(made, number=number)

    return structure


def _job_object(
    converter: Converter,
    *,
    dependency: Hook[tuple[JobId, ...]],
    params: Hook[tuple[Param, ...]],
    action: Hook[Action | str],
    on_failure: Hook[OnFailure | str],
) -> Hook[Job]:
    def usual(found: Any, kind: Any) -> Job:
        return Job(
            is_first=boolean(found["is_first"], kind),
            resource_id=text(found["resource_id"], kind),
            handler=text(found["handler"], kind),
            job_name=text(found["job_name"], kind),
            dependency=dependency(found["dependency"], kind),
            version=integer(found["version"], kind),
            params=params(found["params"], kind),
            resource_type=text(found["resource_type"], kind),
            action=action(found["action"], kind),
            is_last=boolean(found["is_last"], kind),
            on_failure=on_failure(found["on_failure"], kind),
            id=job_id(found["id"], kind),
            resource_input=object_(found["resource_input"], kind),
        )

    return reader(
        JOB,
        Job,
        converter,
        usual,
        is_first=boolean,
        resource_id=text,
        handler=text,
        job_name=text,
        dependency=dependency,
        version=integer,
        params=params,
        resource_type=text,
        action=action,
        is_last=boolean,
        on_failure=on_failure,
        id=job_id,
        resource_input=object_,
    )


def _check_wrapper(value: list[Any], document: Hook[Job]) -> None:
    """Say everything that is wrong with the three items, each at its index."""
    errors = []
    _, job, _ = value
    inner = job.get("handler") if type(job) is dict else None
    hooks: tuple[Hook[Any], ...] = (_same(inner), document, integer)
    for index, hook in enumerate(hooks):
        try:
            hook(value[index], None)
        except Exception as error:  # noqa: BLE001 - any hook's error is a problem of its item
            errors.append(at_index(error, index))
    if errors:
        raise wrong_items(errors)


def _same(handler: Any) -> Hook[None]:
    def check(value: Any, kind: Any) -> None:
        if text(value, kind) != handler and type(handler) is str:
            raise Unexpected("the wrapper's handler is not the job's")

    return check


def write_ref(ref: ResourceRef) -> dict[str, Any]:
    """The unstructure hook of :class:`ResourceRef`."""
    known = {"resource_type": ref.resource_type, "resource_id": ref.resource_id}
    return placed(known, ref.unknown) if ref.unknown else known


def write_param(param: Param) -> dict[str, Any]:
    """The unstructure hook of :class:`Param`."""
    known = {
        "resources": [write_ref(ref) for ref in param.resources] if param.resources else [],
        "type": param.type,
        "value": param.value if param.type == "value" else _value(param),
        "param": param.param,
    }
    return placed(known, param.unknown) if param.unknown else known


def _value(param: Param) -> Any:
    if param.type == "list":
        return [_write_listed(inner) for inner in param.value]
    if param.type == "output_key":
        return in_order(OUTPUT_KEY, param.value)
    return param.value


def _write_listed(param: Param) -> dict[str, Any]:
    """A param inside a list has an order of its own (``records``, *Job*)."""
    known = {
        "param": param.param,
        "type": param.type,
        "value": _value(param),
        "resources": [write_ref(ref) for ref in param.resources],
    }
    return placed(known, param.unknown) if param.unknown else known


def write_job(job: Job) -> list[Any]:
    """The unstructure hook of :class:`Job`."""
    known = {
        "is_first": job.is_first,
        "resource_id": job.resource_id,
        "handler": job.handler,
        "job_name": job.job_name,
        "dependency": [str(each) for each in job.dependency],
        "version": job.version,
        "params": [write_param(param) for param in job.params],
        "resource_type": job.resource_type,
        "action": job.action,
        "is_last": job.is_last,
        "on_failure": job.on_failure,
        "id": str(job.id),
        "resource_input": job.resource_input,
    }
    return [job.handler, placed(known, job.unknown), job.number]
