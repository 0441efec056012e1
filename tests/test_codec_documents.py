"""The documents that are the contract, and every recorded one where the recordings are at hand."""

from __future__ import annotations

import json
import pathlib
import sys
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from documented import CORPUS, SEEDS, records_of
from gohan_jobs.codec import Spelling, dumps, loads
from gohan_jobs.exceptions import InvalidKey
from gohan_jobs.records import (
    Action,
    ConfigRecord,
    HeatStack,
    Job,
    JobState,
    MonitoringRecord,
    MonitoringStatus,
    OrchestrationState,
    ParamType,
    ResourceRef,
    StackStatus,
    StateRecord,
    WorkerState,
)

PAGES = sorted(SEEDS.glob("*.txt"))
POINTS = [
    pytest.param(key, text, id=f"{page.stem}-{point}")
    for page in PAGES
    for point, (key, text) in enumerate(records_of(page.read_text()), 1)
]
KINDS = [ConfigRecord, Job, HeatStack, JobState, StateRecord, MonitoringRecord]


def lines(name: str) -> list[Any]:
    """The recording's lines; without the recordings the test is skipped."""
    path = CORPUS / name
    if not path.exists():
        pytest.skip(f"no recordings: {path} is absent")
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_absent_recordings_are_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> None:
    """Where there are no recordings, the tests that need them are skipped with the reason."""
    monkeypatch.setattr(sys.modules[__name__], "CORPUS", tmp_path)
    with pytest.raises(pytest.skip.Exception, match=r"no recordings: .*documents.jsonl is absent"):
        lines("documents.jsonl")


def without_blanks(text: str) -> list[str]:
    """The text's lines without the blanks at their ends."""
    return [line.rstrip() for line in text.splitlines()]


def test_every_point_is_there() -> None:
    """Both documents show six records, one of each kind."""
    found = [type(loads(*param.values)) for param in POINTS]  # type: ignore[arg-type] # two strings
    assert KINDS * 2 == found


@pytest.mark.parametrize(("key", "text"), POINTS)
def test_points_come_back_byte_for_byte(key: str, text: str) -> None:
    """A documented record, read and written, gives back the bytes of its page."""
    assert text == dumps(loads(key, text))


@pytest.mark.parametrize("spelling", list(Spelling))
@pytest.mark.parametrize(("key", "text"), POINTS)
def test_points_survive_every_spelling(key: str, text: str, spelling: Spelling) -> None:
    """A documented record is the same record in every spelling."""
    record = loads(key, text)
    assert record == loads(key, dumps(record, spelling))


def test_what_the_first_document_says() -> None:
    """The six records of the create, as objects."""
    config, job, stack, job_state, state, monitoring = (
        loads(key, text) for key, text in records_of(PAGES[0].read_text())
    )
    assert isinstance(config, ConfigRecord)
    assert (1, False, "user") == (config.version, config.deleting, config.body["type"])
    assert isinstance(job, Job)
    assert (Action.CREATE, 2, "sougr") == (job.action, len(job.dependency), job.id.suffix)
    assert (ParamType.VALUE, "100.64.193.3") == (job.params[2].type, job.params[2].value)
    assert ("load_balancer", "vnf_instance") == tuple(
        ref.resource_type for ref in job.params[2].resources
    )
    assert frozenset(job.params[2].resources) == job.references
    owner = ResourceRef("load_balancer_interface", "24580bfc-32f4-4c0f-8e8a-c7288497aa7c")
    assert owner == job.resource
    assert isinstance(stack, HeatStack)
    assert (StackStatus.CREATE_COMPLETE, f"{owner}") == (stack.stack_status, stack.id)
    assert isinstance(job_state, JobState)
    assert stack.output == job_state.heat_outputs
    assert isinstance(state, StateRecord)
    assert (WorkerState.CREATED, OrchestrationState.CREATED, stack.output, ()) == (
        state.worker_state,
        state.orchestration_state,
        state.heat_outputs,
        state.texts,
    )
    assert isinstance(monitoring, MonitoringRecord)
    assert {"interface": MonitoringStatus.UP} == monitoring.statuses


def test_documented_records_of_the_recordings() -> None:
    """Of 499 recorded documents 482 come back byte for byte, the others but for blanks."""
    found: Counter[str] = Counter()
    for line in lines("documents.jsonl"):
        record = loads(line["key"], line["text"])
        written = dumps(record)
        assert without_blanks(line["text"]) == without_blanks(written)
        exact = written == line["text"]
        found["exact" if exact else f"but for blanks, {type(record).__name__}"] += 1
    assert {"exact": 482, "but for blanks, MonitoringRecord": 17} == dict(found)


def test_documented_records_survive_every_spelling() -> None:
    """Every recorded document is the same record in every spelling."""
    for line in lines("documents.jsonl"):
        record = loads(line["key"], line["text"])
        for spelling in Spelling:
            assert record == loads(line["key"], dumps(record, spelling))


def stored() -> Iterator[tuple[str, str]]:
    """Every record's key and text that the wire recording shows."""
    for line in lines("logical_network.wire.jsonl"):
        if line["raw"]:
            try:
                loads(line["key"], line["raw"])
            except InvalidKey:
                continue
            yield line["key"], line["raw"]


def test_what_was_stored() -> None:
    """Workers' records equal the worker spelling, Gohan's and the agent's the Gohan spelling.

    A job's keys came in the order of that day's dictionaries, on the wire as in the documents: its
    text has the documented order instead and the same JSON.
    """
    found: Counter[tuple[str, str]] = Counter()
    for key, raw in stored():
        record = loads(key, raw)
        gohans = key.startswith(("/config/", "/monitoring/"))
        text = dumps(record, Spelling.GOHAN if gohans else Spelling.WORKER)
        equal = "bytes" if text == raw else "JSON" if json.loads(text) == json.loads(raw) else "no"
        found[type(record).__name__, equal] += 1
    assert {
        ("ConfigRecord", "bytes"): 62,
        ("MonitoringRecord", "bytes"): 4,
        ("StateRecord", "bytes"): 12,
        ("ProcessedConfig", "bytes"): 12,
        ("HeatStack", "bytes"): 7,
        ("JobState", "bytes"): 14,
        ("Job", "JSON"): 7,
    } == dict(found)


@pytest.mark.parametrize("run", ["logical_network", "common_function_gateway", "load_balancer"])
def test_recorded_events(run: str) -> None:
    """Every decoded event of a record's key is a record, and the same JSON when written."""
    found = 0
    for line in lines(f"{run}.events.jsonl"):
        if line["value"] is None:
            continue
        record = loads(line["key"], json.dumps(line["value"]))
        assert line["value"] == json.loads(dumps(record))
        found += 1
    assert found > 100


def test_recorded_history_of_2017() -> None:
    """The records of the older run, with its second handler, are read and written without loss."""
    found: Counter[str] = Counter()
    for line in lines("common_function_gateway_2017.history.jsonl"):
        if line.get("key") is None or line.get("value") is None:
            continue
        record = loads(line["key"], json.dumps(line["value"]))
        assert line["value"] == json.loads(dumps(record))
        found[type(record).__name__] += 1
    assert {"ConfigRecord", "HeatStack", "Job", "StateRecord"} <= found.keys()
