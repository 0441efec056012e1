"""The records as objects: what they compare by, what they show, what they tell."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from gohan_jobs import records
from gohan_jobs.exceptions import InvalidRecord, Problem
from gohan_jobs.keys import JobId
from gohan_jobs.records import (
    Action,
    ConfigRecord,
    HeatStack,
    HeatTemplate,
    Job,
    JobState,
    MonitoringRecord,
    Param,
    ParamType,
    ProcessedConfig,
    ResourceRef,
    StackOutput,
    StackStatus,
    StateRecord,
    UnknownField,
    WorkerState,
)
from gohan_jobs.records.job import resource_noted

SECRET = "hunter2"
ID = JobId("create", "heat_worker", "port", "p1", 3, "abcde")
PORT = ResourceRef("port", "p1")
NETWORK = ResourceRef("network", "n1")
UNKNOWN = (UnknownField(None, "new", SECRET),)
OUTPUT = StackOutput(output_key="k", output_value=SECRET, unknown=UNKNOWN)
PARAM = Param(param="password", type=ParamType.VALUE, value=SECRET, unknown=UNKNOWN)

EVERY = [
    ConfigRecord(body={"password": SECRET}, version=1, unknown=UNKNOWN),
    ProcessedConfig(body={"password": SECRET}, deleted=False, version=1, unknown=UNKNOWN),
    Job(id=ID, params=(PARAM,), resource_input={"password": SECRET}, unknown=UNKNOWN),
    HeatStack(
        id="port:p1",
        stack_id="port_p1",
        tenant_id="t",
        stack_status=StackStatus.CREATE_COMPLETE,
        output=(OUTPUT,),
        unknown=UNKNOWN,
    ),
    JobState(heat_outputs=(OUTPUT,), state_monitoring={"a": SECRET}, unknown=UNKNOWN),
    StateRecord(
        worker_state=WorkerState.CREATED,
        version=1,
        heat_outputs=(OUTPUT,),
        state_monitoring={"a": SECRET},
        unknown=UNKNOWN,
        unknown_state=UNKNOWN,
        texts=(("heat_outputs", SECRET),),
    ),
    HeatTemplate(
        id="port",
        handler="heat_worker",
        template_file=SECRET,
        parameter_mappings={"password": f"C{SECRET}"},
    ),
    ResourceRef("port", "p1", unknown=UNKNOWN),
    MonitoringRecord(version=1, statuses={"a": "UP", "b": {"c": SECRET}}),
]


@pytest.mark.parametrize("record", EVERY, ids=lambda record: type(record).__name__)
def test_no_opaque_value_is_shown(record: object) -> None:
    """What is opaque may be a password: a repr shows none of it."""
    assert SECRET not in repr(record)


@pytest.mark.parametrize("record", EVERY, ids=lambda record: type(record).__name__)
def test_records_are_frozen(record: Any) -> None:
    """A record is not changed, but made anew."""
    name = attrs.fields(type(record))[0].name
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        setattr(record, name, None)


def test_every_name_is_exported() -> None:
    """``__all__`` is sorted and has what is there."""
    assert sorted(records.__all__) == records.__all__
    assert set() == {name for name in records.__all__ if not hasattr(records, name)}


def test_the_order_of_unknown_fields_means_nothing() -> None:
    """Records are equal if their JSON is, wherever their unknown fields stand."""
    a, b = UnknownField("version", "a", 1), UnknownField("body", "b", 2)
    moved = UnknownField(None, "a", 1)
    first = ConfigRecord(body={}, version=1, unknown=(a, b))
    assert first == ConfigRecord(body={}, version=1, unknown=(b, moved))
    assert first != ConfigRecord(body={}, version=1, unknown=(a,))
    assert first != ConfigRecord(body={}, version=1, unknown=(a, UnknownField("body", "b", 3)))


def test_statuses_are_shown() -> None:
    """A repr of a monitoring status shows its words, and where there are objects."""
    record = MonitoringRecord(version=1, statuses={"a": "NEW", "b": {"c": "d"}})
    expected = "MonitoringRecord(version=1, statuses={'a': 'NEW', 'b': '{…}'}, version_index=None)"
    assert expected == repr(record)


def test_the_place_of_the_version_means_nothing() -> None:
    """A monitoring status is what it is wherever its version stands."""
    assert MonitoringRecord(version=1, statuses={"vmi": "UP"}) == MonitoringRecord(
        version=1, statuses={"vmi": "UP"}, version_index=0
    )


def test_a_resource_is_known_by_type_and_id() -> None:
    """Unknown fields make a reference no other resource, and it can stand in a set."""
    odd = ResourceRef("port", "p1", unknown=(UnknownField(None, "x", [1]),))
    assert {PORT} == {PORT, odd}
    assert [NETWORK, PORT] == sorted([PORT, NETWORK])
    assert "port:p1" == str(PORT)


@pytest.mark.parametrize(("marked", "deleting"), [(None, False), (False, False), (True, True)])
def test_deleting(marked: bool | None, *, deleting: bool) -> None:  # noqa: FBT001 - three values
    """A config that is not marked, or has no mark, is not being deleted."""
    config = ConfigRecord(body={}, version=1, marked_for_deletion=marked)
    assert deleting is config.deleting


@pytest.mark.parametrize(
    ("action", "deletes"),
    [
        (Action.CREATE, False),
        (Action.MODIFY, False),
        (Action.LOGICAL_DELETE, True),
        (Action.DELETE, True),
    ],
)
def test_what_deletes(action: Action, *, deletes: bool) -> None:
    """After either delete the stack is gone."""
    assert deletes is action.deletes


def test_a_job_is_described_by_its_id() -> None:
    """What is not given is taken from the id, a known action as the member it is."""
    job = Job(id=ID)
    assert ("p1", "heat_worker", "port:p1:3", 3, "port") == (
        job.resource_id,
        job.handler,
        job.job_name,
        job.version,
        job.resource_type,
    )
    assert Action.CREATE is job.action
    assert "repaint" == Job(id=attrs.evolve(ID, action="repaint")).action
    assert "other" == Job(id=ID, handler="other").handler


def test_a_jobs_references() -> None:
    """A job refers to what its params were computed from, itself not counted."""
    param = attrs.evolve(PARAM, resources=(NETWORK, PORT, NETWORK))
    job = Job(id=ID, params=(param, PARAM))
    assert PORT == job.resource
    assert frozenset({NETWORK}) == job.references


TEMPLATE = {
    "handler": "heat_worker",
    "watch": [],
    "id": "port",
    "template_file": "resources: {}",
    "parameter_mappings": {"name": "Pname"},
}


def test_heat_template_is_read_from_its_config() -> None:
    """A heat_template's body, its ``watch`` given or not, or null, as Go writes a nil slice."""
    expected = HeatTemplate(
        id="port",
        handler="heat_worker",
        template_file="resources: {}",
        parameter_mappings={"name": "Pname"},
    )
    assert expected == HeatTemplate.from_config(ConfigRecord(body=TEMPLATE, version=1))
    null = {**TEMPLATE, "watch": None}
    assert expected == HeatTemplate.from_config(ConfigRecord(body=null, version=1))
    del (body := dict(TEMPLATE))["watch"]
    assert expected == HeatTemplate.from_config(ConfigRecord(body=body, version=1))


def test_heat_template_that_is_none() -> None:
    """Every field that is missing or of the wrong type is named."""
    body = {**TEMPLATE, "template_file": 5, "watch": {}}
    del body["handler"]
    with pytest.raises(InvalidRecord) as caught:
        HeatTemplate.from_config(ConfigRecord(body=body, version=1), "/config/a/b")
    assert (
        "/config/a/b",
        (
            Problem("$.body.handler", "required field missing"),
            Problem("$.body.template_file", "expected str, found int"),
            Problem("$.body.watch", "expected list, found dict"),
        ),
    ) == (caught.value.key, caught.value.problems)
    with pytest.raises(InvalidRecord, match=r"^heat_template: "):
        HeatTemplate.from_config(ConfigRecord(body={}, version=1))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("port:p1", ResourceRef("port", "p1")),
        ("port:a:b", ResourceRef("port", "a:b")),
    ],
)
def test_a_resource_is_read_as_it_is_written(text: str, expected: ResourceRef) -> None:
    """``<type>:<id>``, whose id may have colons."""
    assert expected == ResourceRef.parse(text)
    assert text == str(ResourceRef.parse(text))


def test_a_note_may_name_no_resource() -> None:
    """What is stored may be wrong: it is read as far as it goes."""
    assert ResourceRef("port", "a:b") == resource_noted("port:a:b")
    assert ResourceRef("port", "") == resource_noted("port")


@pytest.mark.parametrize("text", ["", "port", "port:", ":", ":p1"])
def test_what_spells_no_resource(text: str) -> None:
    """A type alone, or an id alone, is no resource: the text is named."""
    with pytest.raises(ValueError, match=f"^expected <type>:<id>, found '{text}'$"):
        ResourceRef.parse(text)
