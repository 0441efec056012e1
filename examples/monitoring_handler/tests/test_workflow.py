"""Two handlers, one workflow, as recorded in 2017: Heat builds it, then it is watched."""

from __future__ import annotations

import json
from typing import Any

import pytest
from gohan_jobs_monitoring import FileAgent
from switches import HEAT_TEMPLATE, MONITORING_TEMPLATE, SWITCH, config, template

from gohan_jobs import Completed, ConfigRecord, Failed, Handlers, Lifecycle, ResourceRef, Result
from gohan_jobs.events import Event, JobFinished, JobPlanned


def submit(lifecycle: Lifecycle, record: ConfigRecord) -> Result:
    """Write a version of the switch and see it through."""
    lifecycle.submit(record, SWITCH)
    return lifecycle.wait(SWITCH, record.version)


def submit_templates(lifecycle: Lifecycle, monitoring: ConfigRecord = MONITORING_TEMPLATE) -> None:
    """Write both templates."""
    for record in (HEAT_TEMPLATE, monitoring):
        lifecycle.submit(record, ResourceRef("heat_template", record.body["id"]))


def state(lifecycle: Lifecycle) -> dict[str, Any]:
    """The published ``/state``, as Gohan reads it."""
    entry = lifecycle.store.get(lifecycle.keys.state_of(lifecycle.path_of(SWITCH)))
    assert entry is not None
    found: dict[str, Any] = json.loads(entry.value)
    return found


def finished(events: list[Event]) -> list[tuple[str, str]]:
    """Action and handler of each job that went well, in order."""
    return [
        (str(event.job_id.action), event.job_id.handler)
        for event in events
        if isinstance(event, JobFinished)
    ]


def test_the_last_job_publishes_for_both(
    gohan_jobs_lifecycle: Lifecycle, gohan_jobs_events: list[Event], agent: FileAgent
) -> None:
    """``state_monitoring`` as text, ``heat_outputs`` of the stack, no ``orchestration_state``."""
    submit_templates(gohan_jobs_lifecycle)
    assert isinstance(submit(gohan_jobs_lifecycle, config()), Completed)
    output = {"output_value": "QFX", "description": "The FQ name.", "output_key": "fq_name"}
    published = state(gohan_jobs_lifecycle)
    inner = published.pop("state")
    assert published == {"version": 1, "error": ""}
    assert {"state_monitoring", "worker_state", "heat_outputs"} == set(inner)
    assert json.loads(inner["state_monitoring"]) == {"switch": "ACTIVE"}
    assert inner["worker_state"] == "CREATE_COMPLETED"
    assert [output] == json.loads(inner["heat_outputs"])
    assert finished(gohan_jobs_events) == [
        ("create", "heat_worker"),
        ("create", "monitoring_worker"),
    ]
    assert agent.statuses(str(SWITCH), 1) == {"switch": "ACTIVE"}


def test_a_modify_ends_in_a_create(
    gohan_jobs_lifecycle: Lifecycle, gohan_jobs_events: list[Event]
) -> None:
    """What was watched is forgotten, the stack updated, and the new targets watched."""
    submit_templates(gohan_jobs_lifecycle)
    submit(gohan_jobs_lifecycle, config())
    gohan_jobs_events.clear()
    assert isinstance(submit(gohan_jobs_lifecycle, config(2, "QFX-2", peer=True)), Completed)
    assert finished(gohan_jobs_events) == [
        ("delete", "monitoring_worker"),
        ("modify", "heat_worker"),
        ("create", "monitoring_worker"),
    ]
    assert [event.dependencies for event in gohan_jobs_events if isinstance(event, JobPlanned)] == [
        0,
        1,
        2,
    ]
    inner = state(gohan_jobs_lifecycle)["state"]
    assert inner["worker_state"] == "CREATE_COMPLETED"
    assert json.loads(inner["state_monitoring"]) == {"switch": "ACTIVE", "session": "master"}


def test_a_delete_forgets_and_removes(
    gohan_jobs_lifecycle: Lifecycle, gohan_jobs_events: list[Event], agent: FileAgent
) -> None:
    """In that order."""
    submit_templates(gohan_jobs_lifecycle)
    submit(gohan_jobs_lifecycle, config())
    gohan_jobs_events.clear()
    gohan_jobs_lifecycle.delete(SWITCH)
    assert isinstance(gohan_jobs_lifecycle.wait(SWITCH, 2), Completed)
    assert finished(gohan_jobs_events) == [
        ("delete", "monitoring_worker"),
        ("logical_delete", "heat_worker"),
    ]
    assert agent.statuses(str(SWITCH), 1) is None
    assert gohan_jobs_lifecycle.orchestrator.find("t", "switch_s1") is None


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("switch: {password: '{{ password }}", "template switch_monitoring: ScannerError"),
        ("[{{ password }}]", "template switch_monitoring: expected an object of targets"),
        ("switch: {{ password }}", "template switch_monitoring: expected an object of targets"),
    ],
)
def test_a_template_that_names_no_targets(
    gohan_jobs_lifecycle: Lifecycle, text: str, reason: str
) -> None:
    """The version fails, and says why without the password in it."""
    mappings = {"password": {"field": "password"}}
    broken = template("switch_monitoring", "monitoring_worker", text, mappings)
    submit_templates(gohan_jobs_lifecycle, broken)
    result = submit(gohan_jobs_lifecycle, config())
    assert isinstance(result, Failed)
    assert reason == result.error


def test_an_empty_template_watches_nothing(gohan_jobs_lifecycle: Lifecycle) -> None:
    """As for the unattached ports of 2017: ``{}``."""
    submit_templates(
        gohan_jobs_lifecycle, template("switch_monitoring", "monitoring_worker", "", {})
    )
    assert isinstance(submit(gohan_jobs_lifecycle, config()), Completed)
    assert state(gohan_jobs_lifecycle)["state"]["state_monitoring"] == "{}"


def test_the_handler_is_found_by_its_entry_point() -> None:
    """Installed, it needs no more than its name."""
    found = Handlers().discover(["monitoring_worker"])
    assert found.names == ("monitoring_worker",)
    assert type(found.load("monitoring_worker")).__name__ == "MonitoringHandler"
