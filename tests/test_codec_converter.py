"""The converter: one's own may learn the records, and is otherwise left as it was."""

from __future__ import annotations

import json
import threading
from typing import Any

import attrs
import pytest
from cattrs import ClassValidationError, Converter, transform_error
from cattrs.strategies import include_subclasses

from documented import JOB_KEY, PATH, job_document
from gohan_jobs import codec as codec_package
from gohan_jobs.codec import Codec, configure_converter, dumps, loads, make_converter
from gohan_jobs.exceptions import InvalidRecord
from gohan_jobs.keys import JobId
from gohan_jobs.records import (
    ConfigRecord,
    Job,
    Param,
    ParamType,
    ResourceRef,
    StackOutput,
    StateRecord,
)

CONFIG = f"/config/{PATH}"
STATE_DOCUMENT = {
    "state": {"worker_state": "CREATE_COMPLETED", "heat_outputs": "[]"},
    "version": 1,
    "error": "",
}


@attrs.frozen
class Note:
    """A class of an embedder's own."""

    number: int
    words: tuple[str, ...] = ()


@attrs.frozen
class Envelope:
    """An embedder's class that holds one of our records."""

    config: ConfigRecord
    notes: tuple[Note, ...] = ()


def test_every_name_is_exported() -> None:
    """``__all__`` is sorted and has what is there."""
    assert sorted(codec_package.__all__) == codec_package.__all__
    assert set() == {name for name in codec_package.__all__ if not hasattr(codec_package, name)}


@pytest.mark.parametrize("detailed", [True, False])
def test_a_converter_follows_the_documents(*, detailed: bool) -> None:
    """What a JSON reader gives is structured, and unstructured to the same."""
    converter = make_converter(detailed_validation=detailed)
    document = job_document()
    job = converter.structure(document, Job)
    assert loads(JOB_KEY, json.dumps(document)) == job
    assert document == converter.unstructure(job)
    state = converter.structure(STATE_DOCUMENT, StateRecord)
    assert STATE_DOCUMENT == converter.unstructure(state)


def test_parts_are_structured_too() -> None:
    """Params and references have hooks of their own."""
    converter = make_converter()
    ref = {"resource_type": "port", "resource_id": "p1"}
    param = {"resources": [ref], "type": "value", "value": 1, "param": "x"}
    found = converter.structure(param, Param)
    assert (
        Param(param="x", type=ParamType.VALUE, value=1, resources=(ResourceRef("port", "p1"),))
        == found
    )
    assert (param, ref) == (converter.unstructure(found), converter.unstructure(found.resources[0]))


def test_a_callers_converter_is_left_as_it_was() -> None:
    """Its own classes are treated as before, coercion included; ours are strict inside of them."""
    converter = Converter(forbid_extra_keys=True, omit_if_default=True)
    configure_converter(converter)
    config = {"body": {}, "version": 1, "marked_for_deletion": False, "new": 1}
    found = converter.structure(
        {"config": config, "notes": [{"number": "7", "words": ("a",)}]}, Envelope
    )
    assert (Note(7, ("a",)),) == found.notes
    assert config == converter.unstructure(found)["config"]
    with pytest.raises(ClassValidationError) as caught:
        converter.structure({"config": {**config, "version": "1"}}, Envelope)
    expected = ["invalid value for type, expected int @ $.config.version"]
    assert expected == transform_error(caught.value)


def test_configuring_twice_is_configuring_once() -> None:
    """A converter that knows the records may learn them again."""
    converter = make_converter()
    configure_converter(converter)
    assert job_document() == converter.unstructure(converter.structure(job_document(), Job))


class Inventory(dict[str, Any]):
    """A body with a class of its own."""


def extended() -> Converter:
    """A converter whose configs have bodies of an embedder's class."""
    converter = make_converter(detailed_validation=False)
    structure = converter.get_structure_hook(ConfigRecord)

    def with_inventory(value: Any, kind: Any) -> ConfigRecord:
        config: ConfigRecord = structure(value, kind)
        if "forbidden" in config.body:
            raise ValueError("hunter2")
        return attrs.evolve(config, body=Inventory(config.body))

    converter.register_structure_hook(ConfigRecord, with_inventory)
    return converter


def test_a_codec_with_an_extended_converter() -> None:
    """A codec uses the caller's hooks, and writes what they made."""
    codec = Codec(converter=extended())
    config = codec.config(CONFIG, '{"body": {"a": 1}, "version": 1}')
    assert Inventory is type(config.body)
    assert dumps(config) == codec.dumps(config)
    assert codec.converter.structure({"body": {}, "version": 1}, ConfigRecord) != config


def test_a_callers_error_is_a_problem_without_its_words() -> None:
    """An embedder's hook may raise what it likes: its words could hold a value."""
    codec = Codec(converter=extended())
    with pytest.raises(InvalidRecord) as caught:
        codec.loads(CONFIG, '{"body": {"forbidden": 1}, "version": 1}')
    assert f"{CONFIG}: can't be read: ValueError @ $" == str(caught.value)


def test_a_callers_error_inside_a_list() -> None:
    """Notes that an embedder's error carries already do not hide its path."""
    converter = make_converter(detailed_validation=False)

    def fail(_value: Any, _kind: Any) -> StackOutput:
        error = KeyError("x")
        error.add_note("of their own")
        raise error

    converter.register_structure_hook(StackOutput, fail)
    key = f"/esi-worker/job_state/{PATH}"
    with pytest.raises(InvalidRecord) as caught:
        Codec(converter=converter).job_state(key, '{"heat_outputs": [1, 2]}')
    assert ["$.heat_outputs[0]", "$.heat_outputs[1]"] == [
        problem.path for problem in caught.value.problems
    ]


def test_a_hook_that_fails_only_once() -> None:
    """What is refused stays refused, whatever the second look says."""
    converter = make_converter()
    failures = [RecursionError()]

    def once(value: Any, kind: Any) -> ConfigRecord:
        if failures:
            raise failures.pop()
        return ConfigRecord(body=value, version=1)

    converter.register_structure_hook(ConfigRecord, once)
    with pytest.raises(InvalidRecord, match="too many levels for what is left of the stack"):
        Codec(converter=converter).loads(CONFIG, "{}")


def test_forbidden_fields_of_a_callers_class() -> None:
    """A caller's hook may forbid fields; the error says so."""
    converter = make_converter(detailed_validation=False)
    strict = Converter(forbid_extra_keys=True)

    converter.register_structure_hook(ConfigRecord, lambda value, _: strict.structure(value, Note))
    with pytest.raises(InvalidRecord, match="a field that is not allowed here"):
        Codec(converter=converter).loads(CONFIG, '{"number": 1, "x": 2}')


def test_subclasses_may_be_included() -> None:
    """Cattrs' strategies work on a converter that knows the records."""
    converter = make_converter()
    include_subclasses(Note, converter)
    assert Note(1) == converter.structure({"number": 1}, Note)


def test_a_missing_field_of_a_converter_that_stops_early() -> None:
    """The missing field itself is what such a converter tells."""
    converter = make_converter(detailed_validation=False)
    with pytest.raises(ClassValidationError) as caught:
        converter.structure({"version": "x"}, ConfigRecord)
    assert ["body"] == [error.args[0] for error in caught.value.exceptions]


def test_a_codec_serves_several_threads() -> None:
    """Eight threads read and write through one codec, good and bad documents in turn."""
    codec, text = Codec(), json.dumps(job_document())
    expected = loads(JOB_KEY, text)
    found: list[bool] = []

    def work() -> None:
        for _ in range(50):
            with pytest.raises(InvalidRecord):
                codec.loads(JOB_KEY, "[]")
            found.append(expected == codec.loads(JOB_KEY, codec.dumps(expected, "worker")))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [True] * 400 == found


def test_job_ids_are_job_ids() -> None:
    """Ids and dependencies are objects, not texts."""
    dependency = "create:heat_worker:network:n1:1:abcde"
    job = make_converter().structure(job_document(dependency=[dependency]), Job)
    assert (JobId.parse(dependency),) == job.dependency
