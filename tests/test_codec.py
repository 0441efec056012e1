"""Records from JSON and to JSON: order, unknown fields, texts, and what is refused."""

from __future__ import annotations

import itertools
import json
import random
import re
from typing import Any

import attrs
import pytest

from documented import JOB_ID, JOB_KEY, PATH, job_document
from gohan_jobs.codec import Codec, Spelling, dumps, dumps_json, loads
from gohan_jobs.exceptions import InvalidKey, InvalidRecord
from gohan_jobs.keys import JobId, Keys
from gohan_jobs.records import (
    Action,
    ConfigRecord,
    HeatStack,
    Job,
    JobState,
    MonitoringRecord,
    MonitoringStatus,
    Param,
    ParamType,
    ProcessedConfig,
    ResourceRef,
    StackOutput,
    StateRecord,
    UnknownField,
    WorkerState,
)

CONFIG, PROCESSED = f"/config/{PATH}", f"/esi-worker/config/{PATH}"
STACK, JOB_STATE = f"/esi-worker/heat_stacks/{PATH}", f"/esi-worker/job_state/{PATH}"
STATE, MONITORING = f"/state/{PATH}", f"/monitoring/{PATH}"

OUTPUT = {"output_value": {"z": 1, "a": None}, "description": "d", "output_key": "k"}
FAILED_OUTPUT = {"output_value": None, "output_error": "e", "description": "d", "output_key": "k"}
REF = {"resource_type": "network", "resource_id": "n1"}
LISTED: dict[str, Any] = {
    "param": "x",
    "type": "output_key",
    "value": {"output_key": "id", **REF},
    "resources": [],
}
PARAMS: list[dict[str, Any]] = [
    {"resources": [REF, REF], "type": "value", "value": {"z": [1.5, "é"], "a": None}, "param": "a"},
    {"resources": [REF], "type": "output_key", "value": {"output_key": "id", **REF}, "param": "b"},
    {"resources": [REF], "type": "list", "value": [LISTED, LISTED], "param": "c"},
    {"resources": [], "type": "novel", "value": [{"z": 1, "a": 2}], "param": "d"},
]
DOCUMENTS: dict[str, tuple[str, Any]] = {
    "config": (CONFIG, {"body": {"z": 1, "a": [None]}, "version": 1, "marked_for_deletion": True}),
    "config without mark": (CONFIG, {"body": {}, "version": 0}),
    "processed": (PROCESSED, {"body": {"z": 1, "a": 2}, "deleted": False, "version": 1}),
    "job": (JOB_KEY, job_document(params=PARAMS, dependency=[JOB_ID], resource_input={"z": 1})),
    "heat stack": (
        STACK,
        {
            "stack_id": "port_p1",
            "tenant_id": "t",
            "stack_status": "CREATE_COMPLETE",
            "output": [OUTPUT, FAILED_OUTPUT],
            "status_reason": "",
            "id": "port:p1",
        },
    ),
    "reserved": (JOB_STATE, {}),
    "job state": (
        JOB_STATE,
        {"heat_outputs": [OUTPUT], "orchestration_state": "CREATE_ERROR", "error": "reason"},
    ),
    "job state of 2017": (JOB_STATE, {"state_monitoring": {"z": 1}, "heat_outputs": []}),
    "non-workable": (
        STATE,
        {"state": {"worker_state": "READ_COMPLETE"}, "version": 1, "error": ""},
    ),
    "state": (
        STATE,
        {
            "state": {
                "worker_state": "CREATE_COMPLETED",
                "heat_outputs": json.dumps([OUTPUT, FAILED_OUTPUT]),
                "orchestration_state": "CREATE_COMPLETE",
            },
            "version": 1,
            "error": "",
        },
    ),
    "state of 2017": (
        STATE,
        {
            "state": {
                "state_monitoring": '{"z": 1}',
                "worker_state": "CREATE_COMPLETED",
                "heat_outputs": "[]",
            },
            "version": 1,
            "error": "",
        },
    ),
    "monitoring": (MONITORING, {"vmi": "UP", "version": 1}),
    "monitoring of 2017": (MONITORING, {"b": "DOWN", "version": 1, "a": {"z": "x", "a": "y"}}),
}
EACH = pytest.mark.parametrize(("key", "document"), DOCUMENTS.values(), ids=list(DOCUMENTS))
# A monitoring status has fields of any name, in any order.
EACH_WITH_FIELDS = pytest.mark.parametrize(
    ("key", "document"),
    [
        pytest.param(*pair, id=name)
        for name, pair in DOCUMENTS.items()
        if not name.startswith("monitoring")
    ],
)
OPAQUE = {"body", "resource_input", "value", "output_value", "state_monitoring"}


def indented(value: Any) -> str:
    """The document spelling, by the standard library."""
    return json.dumps(value, indent=4, separators=(", ", ": "))


def problems(key: str, document: Any) -> list[str]:
    """What is wrong with a document."""
    with pytest.raises(InvalidRecord) as caught:
        loads(key, json.dumps(document))
    assert key == caught.value.key
    assert (None, None) == (caught.value.__cause__, caught.value.__context__)
    return sorted(map(str, caught.value.problems))


def at(key: str, document: Any, *path: str | int) -> Any:
    """The part of a document at a path."""
    for step in path:
        document = document[step]
    return document


def is_opaque(name: str, value: dict[str, Any]) -> bool:
    """Whether a field of a known object holds opaque JSON."""
    return name in OPAQUE and value.get("type") not in {"output_key", "list"}


def shuffled(value: Any, rng: random.Random, *, known: bool = True) -> Any:
    """The same JSON with the fields of every known object in another order."""
    if isinstance(value, list):
        return [shuffled(item, rng, known=known) for item in value]
    if not isinstance(value, dict) or not known:
        return value
    items = [
        (name, shuffled(item, rng, known=not is_opaque(name, value)))
        for name, item in value.items()
    ]
    return dict(rng.sample(items, len(items)))


def widened(value: Any, *, known: bool = True) -> Any:
    """The same JSON with an unknown field before and behind each field of every known object."""
    if isinstance(value, list):
        return [widened(item, known=known) for item in value]
    if not isinstance(value, dict) or not known:
        return value
    result: dict[str, Any] = {"unknown": ["first"], "unknown, too": None}
    for name, item in value.items():
        result[name] = widened(item, known=not is_opaque(name, value))
        result[f"behind {name}"] = {"z": 1, "a": [2]}
    return result


@EACH
def test_document_comes_back(key: str, document: Any) -> None:
    """A document is read and written to the same bytes, from text and from UTF-8."""
    assert indented(document) == dumps(loads(key, indented(document)))
    assert indented(document) == dumps(loads(key, json.dumps(document).encode()))


@EACH
def test_worker_spelling(key: str, document: Any) -> None:
    """A worker sorted all keys but a job's, and left texts inside as they were."""
    expected = json.dumps(document, sort_keys=key != JOB_KEY)
    assert expected == dumps(loads(key, json.dumps(document)), Spelling.WORKER)


@EACH
def test_gohan_spelling(key: str, document: Any) -> None:
    """Gohan sorts all keys, writes no blanks, and a config's body as text."""
    if key == CONFIG:
        document = {**document, "body": compact(document["body"])}
    assert compact(document) == dumps(loads(key, json.dumps(document)), Spelling.GOHAN)


def compact(value: Any) -> str:
    """Sorted and without blanks, by the standard library."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def test_gohan_escapes_twice() -> None:
    """What Go escapes is escaped in the body's text, and its backslash again outside of it."""
    config = ConfigRecord(body={"a": '<"é'}, version=1)
    assert (
        '{"body":"{\\"a\\":\\"\\\\u003c\\\\\\"é\\"}","marked_for_deletion":false,"version":1}'
    ) == dumps(config, "gohan")
    assert config == loads(CONFIG, dumps(config, "gohan"))


@EACH_WITH_FIELDS
def test_known_fields_are_written_in_documented_order(key: str, document: Any) -> None:
    """Whatever order was read; opaque values keep theirs, and a monitoring status its own."""
    rng = random.Random(7)
    for _ in range(20):
        text = json.dumps(shuffled(document, rng))
        assert indented(document) == dumps(loads(key, text))


def test_monitoring_keeps_its_order() -> None:
    """The fields of a monitoring status are kept as read; a new one has its version last."""
    for document in ({"version": 2, "vmi": "UP"}, {"a": "UP", "version": 2, "b": "NEW"}):
        assert indented(document) == dumps(loads(MONITORING, json.dumps(document)))
    new = MonitoringRecord(version=2, statuses={"vmi": MonitoringStatus.UP})
    assert '{"vmi": "UP", "version": 2}' == json.dumps(json.loads(dumps(new)))


@EACH_WITH_FIELDS
def test_unknown_fields_come_back(key: str, document: Any) -> None:
    """A field that is not known, at any level, stays behind the field that it followed."""
    wide = widened(document)
    assert indented(wide) == dumps(loads(key, json.dumps(wide)))
    assert wide == json.loads(dumps(loads(key, json.dumps(wide)), Spelling.WORKER))


def test_unknown_fields_of_outputs_in_a_text() -> None:
    """A text of outputs with a new field is one that we would write; it is not kept beside."""
    outputs = json.dumps([widened(OUTPUT)])
    document = {
        "state": {"worker_state": "CREATE_COMPLETED", "heat_outputs": outputs},
        "version": 1,
        "error": "",
    }
    state = loads(STATE, json.dumps(document))
    assert isinstance(state, StateRecord)
    assert () == state.texts
    assert indented(document) == dumps(state)


def test_an_unknown_field_whose_predecessor_went() -> None:
    """It comes last: it is never lost."""
    state = loads(JOB_STATE, '{"new": 1, "error": "e", "more": [2]}')
    assert isinstance(state, JobState)
    assert (UnknownField(None, "new", 1), UnknownField("error", "more", [2])) == state.unknown
    changed = attrs.evolve(state, error=None, heat_outputs=())
    assert {"new": 1, "heat_outputs": [], "more": [2]} == json.loads(dumps(changed))
    assert ["new", "heat_outputs", "more"] == list(json.loads(dumps(changed)))


@pytest.mark.parametrize(
    "unknown",
    [
        (UnknownField(None, "version", 2),),
        (UnknownField(None, "x", 1), UnknownField("body", "x", 2)),
    ],
)
def test_no_field_is_written_twice(unknown: tuple[UnknownField, ...]) -> None:
    """A record whose unknown field has another field's name can't be written."""
    config = ConfigRecord(body={}, version=1, unknown=unknown)
    with pytest.raises(InvalidRecord, match="an unknown field has the name of another field"):
        dumps(config)


def test_vocabularies() -> None:
    """Words of a vocabulary become its members; others stay the words they are."""
    job = loads(JOB_KEY, json.dumps(job_document(on_failure="retry", params=PARAMS)))
    assert isinstance(job, Job)
    assert ("create", Action.CREATE, "retry", str) == (
        job.action,
        job.action,
        job.on_failure,
        type(job.on_failure),
    )
    assert [ParamType.VALUE, ParamType.OUTPUT_KEY, ParamType.LIST, "novel"] == [
        param.type for param in job.params
    ]
    assert [ParamType] * 3 + [str] == [type(param.type) for param in job.params]


def test_params_are_objects_at_every_level() -> None:
    """The params of a list are params, in a tuple; references are kept with their repeats."""
    job = loads(JOB_KEY, json.dumps(job_document(params=PARAMS)))
    assert isinstance(job, Job)
    network = ResourceRef("network", "n1")
    listed = Param(param="x", type=ParamType.OUTPUT_KEY, value={"output_key": "id", **REF})
    assert (network, network) == job.params[0].resources
    assert (listed, listed) == job.params[2].value


def test_output_key_objects_are_written_in_documented_order() -> None:
    """A made output key has its fields in documented order as well."""
    value = {"resource_id": "n1", "new": 1, "output_key": "id", "resource_type": "network"}
    job = Job(
        id=JobId.parse(JOB_ID),
        params=(Param(param="x", type=ParamType.OUTPUT_KEY, value=value),),
    )
    written = json.loads(dumps(job))[1]["params"][0]["value"]
    assert ["output_key", "resource_type", "resource_id", "new"] == list(written)


def test_absent_mark_stays_absent() -> None:
    """A config without ``marked_for_deletion`` is written without it, and not being deleted."""
    config = loads(CONFIG, '{"body": {}, "version": 1, "x": 2}')
    assert isinstance(config, ConfigRecord)
    assert (None, False) == (config.marked_for_deletion, config.deleting)
    assert ["body", "version", "x"] == list(json.loads(dumps(config)))


def test_body_as_text() -> None:
    """A body that is a text is the body that the text spells."""
    body = {"z": 1, "a": {"binding:vif_type": None}}
    nested, spelled = ({"body": each, "version": 1} for each in (body, json.dumps(body)))
    assert loads(CONFIG, json.dumps(nested)) == loads(CONFIG, json.dumps(spelled))
    assert indented(nested) == dumps(loads(CONFIG, json.dumps(spelled)))


def test_reserved_job() -> None:
    """``{}`` is a job state: a worker has reserved the job."""
    assert JobState() == loads(JOB_STATE, "{}")
    assert "{}" == dumps(JobState())


ODD_TEXTS = [
    ("heat_outputs", "[ ]"),
    ("heat_outputs", json.dumps([OUTPUT], separators=(",", ":"))),
    ("heat_outputs", json.dumps([dict(reversed(OUTPUT.items()))])),
    ("heat_outputs", "null"),
    ("heat_outputs", '[{"output_key": 5}]'),
    ("state_monitoring", '{"a":1}'),
    ("state_monitoring", "[]"),
]


@pytest.mark.parametrize("spelling", list(Spelling))
@pytest.mark.parametrize(("field", "text"), ODD_TEXTS)
def test_odd_texts_are_kept(field: str, text: str, spelling: Spelling) -> None:
    """A text that we would write otherwise, or that is other JSON, comes back as it was."""
    document = {"state": {"worker_state": "NOVEL", field: text}, "version": 1, "error": ""}
    state = loads(STATE, json.dumps(document))
    assert isinstance(state, StateRecord)
    assert ((field, text),) == state.texts
    written = dumps(state, spelling)
    assert text == json.loads(written)["state"][field]
    assert state == loads(STATE, written)


@pytest.mark.parametrize(("field", "text"), ODD_TEXTS)
def test_odd_texts_of_what_was_changed_are_not_kept(field: str, text: str) -> None:
    """A record that was changed after reading is written as it is now."""
    document = {"state": {"worker_state": "NOVEL", field: text}, "version": 1, "error": ""}
    state = loads(STATE, json.dumps(document))
    assert isinstance(state, StateRecord)
    outputs = (StackOutput(output_key="new", output_value=1),)
    changed = attrs.evolve(state, heat_outputs=outputs, state_monitoring={"new": 1})
    canonical = {
        "heat_outputs": '[{"output_value": 1, "description": "", "output_key": "new"}]',
        "state_monitoring": '{"new": 1}',
    }
    assert {**canonical, "worker_state": "NOVEL"} == json.loads(dumps(changed))["state"]


def test_texts_that_are_no_json_are_not_written() -> None:
    """A made record whose verbatim text is no JSON can't be written."""
    state = StateRecord(worker_state=WorkerState.READ, version=1, texts=(("heat_outputs", "{"),))
    with pytest.raises(InvalidRecord, match="can't be written"):
        dumps(state)


def test_the_wrappers_number_is_kept() -> None:
    """The wrapper's number is any integer."""
    document = job_document()
    document[2] = -7
    job = loads(JOB_KEY, json.dumps(document))
    assert isinstance(job, Job)
    assert -7 == job.number
    assert indented(document) == dumps(job)


@pytest.mark.parametrize(
    ("key", "document", "found"),
    [
        (CONFIG, [], ["expected an object, found a list @ $"]),
        (CONFIG, {}, ["required field missing @ $.body", "required field missing @ $.version"]),
        (
            CONFIG,
            {"body": [], "version": "1", "marked_for_deletion": 0},
            [
                "expected a boolean, found an integer @ $.marked_for_deletion",
                "expected an integer, found a string @ $.version",
                "expected an object, or a text that holds one, found a list @ $.body",
            ],
        ),
        (
            CONFIG,
            {"body": "[1]", "version": 1.0, "marked_for_deletion": None},
            [
                "expected a boolean, found null @ $.marked_for_deletion",
                "expected an integer, found a fractional number @ $.version",
                "expected an object, or a text that holds one, found a list @ $.body",
            ],
        ),
        (
            CONFIG,
            {"body": '{"a": {"b": NaN, "b": NaN}}', "version": True},
            [
                "NaN is not JSON @ $.body.a.b",
                "expected an integer, found a boolean @ $.version",
                "the key stands twice in one object @ $.body.a.b",
            ],
        ),
        (
            CONFIG,
            {"body": "{} x", "version": 1},
            ["not JSON: Extra data: line 1 column 4 @ $.body"],
        ),
        (
            PROCESSED,
            {"body": "{}", "deleted": "no", "version": 1},
            [
                "expected a boolean, found a string @ $.deleted",
                "expected an object, found a string @ $.body",
            ],
        ),
        (
            STACK,
            {},
            [
                f"required field missing @ $.{name}"
                for name in (
                    "id",
                    "output",
                    "stack_id",
                    "stack_status",
                    "status_reason",
                    "tenant_id",
                )
            ],
        ),
        (
            JOB_STATE,
            {"heat_outputs": {}, "error": None},
            [
                "expected a list, found an object @ $.heat_outputs",
                "expected a string, found null @ $.error",
            ],
        ),
        (
            JOB_STATE,
            {"heat_outputs": [OUTPUT, 5, {**OUTPUT, "output_key": 1, "output_error": 2}]},
            [
                "expected a string, found an integer @ $.heat_outputs[2].output_error",
                "expected a string, found an integer @ $.heat_outputs[2].output_key",
                "expected an object, found an integer @ $.heat_outputs[1]",
            ],
        ),
        (
            STATE,
            {"state": {}, "version": 1, "error": ""},
            ["required field missing @ $.state.worker_state"],
        ),
        (
            STATE,
            {"state": {"worker_state": 1, "heat_outputs": "[", "state_monitoring": {}}},
            [
                "expected a string, found an integer @ $.state.worker_state",
                "expected a string, found an object @ $.state.state_monitoring",
                "not JSON: Expecting value: line 1 column 2 @ $.state.heat_outputs",
                "required field missing @ $.error",
                "required field missing @ $.version",
            ],
        ),
        (
            STATE,
            {"state": {"worker_state": "", "heat_outputs": "[1e400]"}, "version": 1, "error": ""},
            [
                "a number out of range @ $.state.heat_outputs[0]",
            ],
        ),
        (MONITORING, [], ["expected an object, found a list @ $"]),
        (
            MONITORING,
            {},
            ["expected a status beside the version @ $", "required field missing @ $.version"],
        ),
        (MONITORING, {"version": 1}, ["expected a status beside the version @ $"]),
        (
            MONITORING,
            {"version": "1", "vmi": None, "a b": 1},
            [
                'expected a status or an object of them, found an integer @ $["a b"]',
                "expected a status or an object of them, found null @ $.vmi",
                "expected an integer, found a string @ $.version",
            ],
        ),
        (JOB_KEY, {}, ["expected a list of handler, job and number, found an object @ $"]),
        (
            JOB_KEY,
            ["heat_worker", {}],
            ["expected a list of handler, job and number, found a list @ $"],
        ),
        (
            JOB_KEY,
            [1, 2, 3.5],
            [
                "expected a string, found an integer @ $[0]",
                "expected an integer, found a fractional number @ $[2]",
                "expected an object, found an integer @ $[1]",
            ],
        ),
        (JOB_KEY, ["x", *job_document()[1:]], ["the wrapper's handler is not the job's @ $[0]"]),
        (
            JOB_KEY,
            job_document(handler=5),
            ["expected a string, found an integer @ $[1].handler"],
        ),
        (
            JOB_KEY,
            job_document(dependency=["x", JOB_ID, 5], id="y", on_failure=None),
            [
                "expected a job id, found an integer @ $[1].dependency[2]",
                "expected a string, found null @ $[1].on_failure",
                "not a job id: a job id has 6 parts, this has 1 @ $[1].dependency[0]",
                "not a job id: a job id has 6 parts, this has 1 @ $[1].id",
            ],
        ),
        (
            JOB_KEY,
            job_document(id=JOB_ID.replace("abcde", "abcdf")),
            ["not the id in the key @ $[1].id"],
        ),
        (
            JOB_KEY,
            job_document(params=[{"resources": [REF, REF, {"resource_type": "x"}]}, 1]),
            [
                "expected an object, found an integer @ $[1].params[1]",
                "required field missing @ $[1].params[0].param",
                "required field missing @ $[1].params[0].resources[2].resource_id",
                "required field missing @ $[1].params[0].type",
                "required field missing @ $[1].params[0].value",
            ],
        ),
        (
            JOB_KEY,
            job_document(params=[{**PARAMS[1], "value": {"output_key": 1}}]),
            [
                "expected a string, found an integer @ $[1].params[0].value.output_key",
                "required field missing @ $[1].params[0].value.resource_id",
                "required field missing @ $[1].params[0].value.resource_type",
            ],
        ),
        (
            JOB_KEY,
            job_document(params=[{**PARAMS[2], "value": [LISTED, {**LISTED, "param": 1}]}]),
            [
                "expected a string, found an integer @ $[1].params[0].value[1].param",
            ],
        ),
        (
            JOB_KEY,
            job_document(params=[{**PARAMS[2], "value": {}}]),
            [
                "expected a list, found an object @ $[1].params[0].value",
            ],
        ),
    ],
)
def test_what_is_refused(key: str, document: Any, found: list[str]) -> None:
    """Every problem of a document is named with its path, in words without its values."""
    assert sorted(found) == problems(key, document)


@pytest.mark.parametrize(
    ("key", "document", "count", "last"),
    [
        (JOB_KEY, job_document(params=[{}] * 9_999), 1001, "$[1].params[250]"),
        (JOB_KEY, job_document(params=[{**PARAMS[0], "resources": [5] * 2000}] * 2), 1002, None),
        (JOB_STATE, {"heat_outputs": [5] * 1000}, 1000, "$.heat_outputs[999]"),
        (MONITORING, {str(i): None for i in range(9_999)}, 1000, "$.999"),
        (CONFIG, {"body": f"[{'NaN,' * 9_999}0]", "version": 1}, 1000, "$.body[999]"),
    ],
)
def test_a_flood_of_problems(key: str, document: Any, count: int, last: str | None) -> None:
    """After a thousand problems the rest of a list is not looked at."""
    with pytest.raises(InvalidRecord) as caught:
        loads(key, json.dumps(document))
    found = caught.value.problems
    assert (count, last or found[-1].path) == (len(found), found[-1].path)


@EACH
def test_no_value_is_shown(key: str, document: Any) -> None:
    """Whatever is exchanged for a secret, an error does not show the secret."""
    for path in places(document):
        spoiled = json.loads(json.dumps(document))
        if path:
            at(key, spoiled, *path[:-1])[path[-1]] = [{"x": "hunter2"}]
        else:
            spoiled = [{"x": "hunter2"}]
        assert "hunter2" not in outcome(key, spoiled)


def outcome(key: str, document: Any) -> str:
    """What can be seen of a record, or of its refusal."""
    try:
        return repr(loads(key, json.dumps(document)))
    except InvalidRecord as error:
        return f"{error} {error!r}"


def places(value: Any, *path: str | int) -> list[tuple[str | int, ...]]:
    """Every path into a JSON value."""
    found: list[tuple[str | int, ...]] = [path]
    if isinstance(value, dict | list):
        for step in value if isinstance(value, dict) else range(len(value)):
            found += places(value[step], *path, step)
    return found


@pytest.mark.parametrize(
    "key",
    [
        "/jobs/ready/" + JOB_ID,
        "/job_manager_id",
        "/worker-workflow-jobs",
        "/jobs/all/x",
        "/config/ports",
        "/gohan/x",
    ],
)
@pytest.mark.parametrize("text", ["{}", "", '["heat_worker", {}, 0]', json.dumps(job_document())])
def test_keys_that_are_no_records(key: str, text: str) -> None:
    """At a key that is no record's, no text is a record."""
    with pytest.raises(InvalidKey) as caught:
        loads(key, text)
    assert key == caught.value.key


def test_templates_are_configs() -> None:
    """Under ``heat_templates/`` a config is read."""
    found = loads("/config/v2.0/heat_templates/port", '{"body": {"id": "port"}, "version": 1}')
    assert ConfigRecord(body={"id": "port"}, version=1, marked_for_deletion=None) == found


CODEC = Codec()
READERS = {
    CONFIG: (CODEC.config, ConfigRecord),
    PROCESSED: (CODEC.processed, ProcessedConfig),
    JOB_KEY: (CODEC.job, Job),
    STACK: (CODEC.heat_stack, HeatStack),
    JOB_STATE: (CODEC.job_state, JobState),
    STATE: (CODEC.state, StateRecord),
    MONITORING: (CODEC.monitoring, MonitoringRecord),
}


@EACH
def test_readers_of_one_kind(key: str, document: Any) -> None:
    """A reader of one kind gives what ``loads`` gives, of its class."""
    read, record = READERS[key]
    found = read(key, json.dumps(document).encode())
    assert (record, loads(key, json.dumps(document))) == (type(found), found)


@pytest.mark.parametrize(("key", "other"), list(itertools.permutations(READERS, 2)))
def test_readers_of_another_kind(key: str, other: str) -> None:
    """A reader refuses the keys of all other kinds."""
    with pytest.raises(InvalidKey, match="the key of a"):
        READERS[other][0](key, "{}")


def test_other_keys() -> None:
    """A codec reads under the keys it was given."""
    codec = Codec(Keys(config="/a/config/"))
    assert "/a/config/" == codec.keys.config
    assert isinstance(codec.loads(f"/a{CONFIG}", '{"body": {}, "version": 1}'), ConfigRecord)
    with pytest.raises(InvalidKey):
        codec.loads(CONFIG, '{"body": {}, "version": 1}')


def nested(levels: int) -> Any:
    """A list in a list and so on."""
    value: Any = []
    for _ in range(levels - 1):
        value = [value]
    return value


@pytest.mark.parametrize("spelling", list(Spelling))
def test_nothing_is_written_that_could_not_be_read(spelling: Spelling) -> None:
    """The levels that a text may have are those that ``dumps`` will write."""
    deep = ConfigRecord(body={"a": nested(198)}, version=1)
    assert deep == loads(CONFIG, dumps(deep, spelling))
    job = Job(id=JobId.parse(JOB_ID), resource_input=deep.body)
    with pytest.raises(InvalidRecord, match=r"^Job: can't be written: more than 200 levels @ "):
        dumps(job, spelling)


@pytest.mark.parametrize("spelling", list(Spelling))
def test_no_text_in_a_result_is_written_that_could_not_be_read(spelling: Spelling) -> None:
    """The JSON texts in a StateRecord have their own levels, and as many as any."""
    good = StateRecord(
        worker_state=WorkerState.READ,
        version=1,
        heat_outputs=(StackOutput(output_key="k", output_value=nested(198)),),
        state_monitoring={"a": nested(199)},
    )
    assert good == loads(STATE, dumps(good, spelling))
    output = StackOutput(output_key="k", output_value=nested(199))
    for deep in (
        attrs.evolve(good, heat_outputs=(output,)),
        attrs.evolve(good, state_monitoring={"a": nested(200)}),
    ):
        with pytest.raises(InvalidRecord, match="can't be written: more than 200 levels in a text"):
            dumps(deep, spelling)


def test_a_verbatim_text_of_another_field_is_not_written() -> None:
    """Only two fields of a result are texts."""
    state = StateRecord(worker_state=WorkerState.READ, version=1, texts=(("error", "[]"),))
    with pytest.raises(InvalidRecord, match="can't be written: a verbatim text of a field"):
        dumps(state)


@pytest.mark.parametrize(
    ("statuses", "reason"),
    [
        ({}, "expected a status beside the version"),
        ({"interface": "UP", "version": "UP"}, "'version' can't be a status field's name"),
        ({"interface": None}, "expected a status or an object of them, found null"),
        ({"interface": ["UP"]}, "expected a status or an object of them, found a list"),
    ],
)
def test_no_monitoring_status_is_lost_or_written_that_could_not_be_read(
    statuses: Any, reason: str
) -> None:
    """What would be refused when read is refused when written."""
    record = MonitoringRecord(version=1, statuses=statuses)
    with pytest.raises(InvalidRecord, match=f"can't be written: {re.escape(reason)}"):
        dumps(record)


def test_gohans_body_text_leaves_a_level_as_well() -> None:
    """A body that is too deep for its text is refused in the Gohan spelling too."""
    deep = ConfigRecord(body={"a": nested(199)}, version=1)
    with pytest.raises(InvalidRecord, match=r"^ConfigRecord: can't be written: more than 199"):
        dumps(deep, Spelling.GOHAN)


def test_a_body_in_a_text_leaves_a_level_for_the_record() -> None:
    """A config can be written as a document whichever way it was read."""
    body = json.dumps({"a": nested(199)})
    assert ["more than 199 levels @ $.body"] == problems(CONFIG, {"body": body, "version": 1})


@pytest.mark.parametrize("spelling", list(Spelling))
@pytest.mark.parametrize("value", [float("nan"), object()])
def test_what_can_not_be_written(spelling: Spelling, value: object) -> None:
    """A record that holds what JSON does not have is refused, without showing it."""
    config = ConfigRecord(body={"a": value}, version=1)
    with pytest.raises(InvalidRecord, match=r"^ConfigRecord: can't be written: \w+Error @ \$$"):
        dumps(config, spelling)


@pytest.mark.parametrize("spelling", list(Spelling))
def test_what_is_too_deep_for_the_stack_is_no_crash(spelling: Spelling) -> None:
    """A body that an embedder nested without end is refused like any that is too deep."""
    endless = ConfigRecord(body={"a": nested(50_000)}, version=1)
    with pytest.raises(InvalidRecord, match=r"^ConfigRecord: can't be written: RecursionError @ "):
        dumps(endless, spelling)


def test_what_is_no_record() -> None:
    """Only records are written, in a spelling that there is."""
    with pytest.raises(TypeError, match="dict is not a record"):
        dumps({"body": {}})  # type: ignore[arg-type] # the point of the test
    with pytest.raises(ValueError, match="'yaml' is not a valid Spelling"):
        dumps(JobState(), "yaml")


@pytest.mark.parametrize("spelling", list(Spelling))
@pytest.mark.parametrize("names", [(1, "1"), (1,), (True,), (None,), (1.5,), ((1, 2),)])
def test_a_name_that_is_no_text_is_refused(names: tuple[Any, ...], spelling: Spelling) -> None:
    """Written, it would be another name, and perhaps one that stands there already."""
    odd = [{"a": dict.fromkeys(names, 0)}]
    with pytest.raises(TypeError):
        dumps_json(odd, spelling)
    output = StackOutput(output_key="k", output_value=(odd,), description="")
    for record in (
        ConfigRecord(body={"x": odd}, version=1),
        ProcessedConfig(body={"x": odd}, deleted=False, version=1),
        JobState(heat_outputs=(output,)),
        StateRecord(worker_state=WorkerState.READ, heat_outputs=(output,), version=1),
    ):
        with pytest.raises(InvalidRecord, match="can't be written: TypeError"):
            dumps(record, spelling)
