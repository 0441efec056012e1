"""Hypothesis strategies: any JSON, and any record such as reading could have given."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

from gohan_jobs.keys import JobId, Keys, ResourcePath
from gohan_jobs.records import (
    Action,
    ConfigRecord,
    HeatStack,
    Job,
    JobState,
    MonitoringRecord,
    MonitoringStatus,
    OnFailure,
    OrchestrationState,
    Param,
    ParamType,
    ProcessedConfig,
    Record,
    ResourceRef,
    StackOutput,
    StackStatus,
    StateRecord,
    UnknownField,
    WorkerState,
)

__all__ = [
    "config_records",
    "documents",
    "heat_stacks",
    "job_ids",
    "job_states",
    "jobs",
    "json_objects",
    "json_texts",
    "json_values",
    "keyed_records",
    "monitoring_records",
    "params",
    "paths",
    "processed_configs",
    "record_keys",
    "stack_outputs",
    "state_records",
    "texts",
]

KEYS = Keys()

# What a reader could have given: a lone surrogate, but never two that spell one character.
texts = st.text(st.characters(codec=None, exclude_categories=()), max_size=12).map(
    lambda text: json.loads(json.dumps(text))
)
names = st.one_of(st.sampled_from(["id", "binding:vif_type", "a b", ""]), texts)
integers = st.one_of(st.integers(), st.sampled_from([0, -1, 2**63, 10**4299]))
floats = st.floats(allow_nan=False, allow_infinity=False)
scalars = st.one_of(st.none(), st.booleans(), integers, floats, texts)
json_values: st.SearchStrategy[Any] = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(names, inner, max_size=3)),
    max_leaves=6,
)
json_objects = st.dictionaries(names, json_values, max_size=4)
json_texts = st.builds(
    json.dumps,
    json_values,
    indent=st.sampled_from([None, 0, 4]),
    ensure_ascii=st.just(value=True),
)

_parts = st.text("abcdefghijklmnopqrstuvwxyz0123456789_-.é", min_size=1, max_size=8)
paths = st.builds(
    lambda prefix, part: ResourcePath(f"{prefix}/{part}"),
    st.sampled_from(["v2.0/ports", "common/v1.0/tenants"]),
    _parts,
)


def _word(*vocabulary: Any) -> st.SearchStrategy[Any]:
    """A member, or a string that was never seen."""
    return st.one_of(st.sampled_from(vocabulary), texts.filter(lambda t: t not in vocabulary))


job_ids = st.builds(
    JobId,
    action=st.one_of(st.sampled_from([action.value for action in Action]), _parts),
    handler=_parts,
    resource_type=_parts,
    resource_id=_parts,
    version=st.integers(0, 10**18),
    suffix=st.text("abcdefghijklmnopqrstuvwxyz0123456789", min_size=5, max_size=5),
)


@st.composite
def unknown_fields(
    draw: st.DrawFn, known: tuple[str, ...], present: tuple[str, ...] | None = None
) -> tuple[UnknownField, ...]:
    """Fields that a record of these known ones does not know, in the order they are written."""
    places: tuple[str | None, ...] = (None, *(known if present is None else present))
    found = draw(
        st.dictionaries(
            names.filter(lambda name: name not in known),
            st.tuples(st.integers(0, len(places) - 1), json_values),
            max_size=2,
        )
    )
    ordered = sorted(found.items(), key=lambda item: item[1][0])
    return tuple(UnknownField(places[place], name, value) for name, (place, value) in ordered)


config_records = st.builds(
    ConfigRecord,
    body=json_objects,
    version=integers,
    marked_for_deletion=st.one_of(st.none(), st.booleans()),
    unknown=unknown_fields(("body", "version", "marked_for_deletion"), ("body", "version")),
)
processed_configs = st.builds(
    ProcessedConfig,
    body=json_objects,
    deleted=st.booleans(),
    version=integers,
    unknown=unknown_fields(("body", "deleted", "version")),
)
refs = st.builds(
    ResourceRef,
    texts,
    texts,
    unknown=unknown_fields(("resource_type", "resource_id")),
)
_output_keys = st.fixed_dictionaries(
    {"output_key": texts, "resource_type": texts, "resource_id": texts}
)
_PARAM = ("resources", "type", "value", "param")


def _params(kind: Any, value: st.SearchStrategy[Any]) -> st.SearchStrategy[Param]:
    return st.builds(
        Param,
        param=texts,
        type=kind,
        value=value,
        resources=st.lists(refs, max_size=2).map(tuple),
        unknown=unknown_fields(_PARAM, ()),
    )


_flat_params = st.one_of(
    _params(st.just(ParamType.VALUE), json_values),
    _params(st.just(ParamType.OUTPUT_KEY), _output_keys),
    _params(texts.filter(lambda kind: kind not in set(ParamType)), json_values),
)
params = st.one_of(
    _flat_params,
    _params(st.just(ParamType.LIST), st.lists(_flat_params, max_size=2).map(tuple)),
)


_JOB = (
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


@st.composite
def jobs(draw: st.DrawFn) -> Job:
    """A job whose own fields mostly are its id's, as a document's are."""
    return Job(
        id=draw(job_ids),
        params=tuple(draw(st.lists(params, max_size=3))),
        dependency=tuple(draw(st.lists(job_ids, max_size=2))),
        is_first=draw(st.booleans()),
        is_last=draw(st.booleans()),
        on_failure=draw(_word(*OnFailure)),
        resource_input=draw(json_objects),
        number=draw(st.sampled_from([0, 0, 0, 7])),
        unknown=draw(unknown_fields(_JOB)),
    )


stack_outputs = st.builds(
    StackOutput,
    output_key=texts,
    output_value=json_values,
    description=texts,
    output_error=st.one_of(st.none(), texts),
    unknown=unknown_fields(
        ("output_value", "output_error", "description", "output_key"),
        ("output_value", "description", "output_key"),
    ),
)
outputs = st.lists(stack_outputs, max_size=2).map(tuple)
heat_stacks = st.builds(
    HeatStack,
    id=texts,
    stack_id=texts,
    tenant_id=texts,
    stack_status=_word(*StackStatus),
    status_reason=texts,
    output=outputs,
    unknown=unknown_fields(
        ("stack_id", "tenant_id", "stack_status", "output", "status_reason", "id")
    ),
)
_RESULT = ("state_monitoring", "heat_outputs", "orchestration_state", "error")
_orchestration_states = st.one_of(st.none(), _word(*OrchestrationState))
job_states = st.builds(
    JobState,
    heat_outputs=st.one_of(st.none(), outputs),
    orchestration_state=_orchestration_states,
    error=st.one_of(st.none(), texts),
    state_monitoring=st.one_of(st.none(), json_objects),
    unknown=unknown_fields(_RESULT, ()),
)
_STATE = ("state_monitoring", "worker_state", "heat_outputs", "orchestration_state")
state_records = st.builds(
    StateRecord,
    worker_state=_word(*WorkerState),
    version=integers,
    error=texts,
    orchestration_state=_orchestration_states,
    heat_outputs=st.one_of(st.none(), outputs),
    state_monitoring=st.one_of(st.none(), json_objects),
    unknown=unknown_fields(("state", "version", "error")),
    unknown_state=unknown_fields(_STATE, ("worker_state",)),
)


@st.composite
def monitoring_records(draw: st.DrawFn) -> MonitoringRecord:
    """A status under any names, the version anywhere among them."""
    statuses = draw(
        st.dictionaries(
            names.filter(lambda name: name != "version"),
            st.one_of(_word(*MonitoringStatus), json_objects),
            min_size=1,
            max_size=3,
        )
    )
    index = draw(st.one_of(st.none(), st.integers(0, len(statuses) - 1)))
    return MonitoringRecord(version=draw(integers), statuses=statuses, version_index=index)


_kinds: dict[Any, st.SearchStrategy[Any]] = {
    KEYS.config_of: config_records,
    KEYS.processed_of: processed_configs,
    KEYS.heat_stack_of: heat_stacks,
    KEYS.job_state_of: job_states,
    KEYS.state_of: state_records,
    KEYS.monitoring_of: monitoring_records(),
}


@st.composite
def keyed_records(draw: st.DrawFn) -> tuple[str, Record]:
    """A record of any kind and a key it can stand at."""
    key_of = draw(st.sampled_from([None, *_kinds]))
    if key_of is None:
        job = draw(jobs())
        return KEYS.job(job.id), job
    record: Record = draw(_kinds[key_of])
    return key_of(draw(paths)), record


record_keys = st.one_of(job_ids.map(KEYS.job), *(paths.map(key_of) for key_of in _kinds))


@st.composite
def documents(draw: st.DrawFn) -> tuple[str, Any]:
    """A key, and JSON that nearly is its record: one part of a document exchanged or left out."""
    from gohan_jobs.codec import dumps  # noqa: PLC0415 - only here

    key, record = draw(keyed_records())
    value = json.loads(dumps(record))
    place: Any = value
    while isinstance(place, dict | list) and place:
        step: Any = draw(
            st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place)))
        )
        if not isinstance(place[step], dict | list) or draw(st.booleans()):
            if draw(st.booleans()):
                place[step] = draw(json_values)
            else:
                del place[step]
            break
        place = place[step]
    return key, value
