"""The recorded Heat calls, with their own templates, through a real Heat."""

from __future__ import annotations

import json
import pathlib
from typing import Any

import pytest

from gohan_jobs.orchestrators.base import Orchestrator, Stack, StackRequest
from gohan_jobs.orchestrators.heat import CallBudget, HeatOrchestrator, HeatSettings
from real_services import RealHeat, settled

pytestmark = pytest.mark.heat

CORPUS = pathlib.Path(__file__).parents[2] / "shared" / "corpus"

EXPECTED = {"create": "CREATE_COMPLETE", "update": "UPDATE_COMPLETE", "delete": None}


def calls(run: str) -> list[dict[str, Any]]:
    """The calls of a recorded run, in order."""
    path = CORPUS / f"{run}.expected.jsonl"
    if not path.exists():
        pytest.skip(f"the recordings are not there: {path}")
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [row for row in rows if row["kind"] == "heat"]


@pytest.mark.parametrize("run", ["load_balancer", "logical_network", "common_function_gateway"])
def test_recorded_calls_end_as_recorded(real_heat: RealHeat, project: str, run: str) -> None:
    """Every recorded create, update and delete completes, and monitoring targets have links."""
    settings = HeatSettings(budget=CallBudget(total=None, per_tenant=None))
    heat = HeatOrchestrator.from_endpoint(real_heat.endpoint, "secret-token", settings)
    for row in calls(run):
        stack = perform(heat, project, row)
        now = settled(heat, stack)
        status = None if now is None else now.status
        assert (row["stack"], EXPECTED[row["op"]]) == (row["stack"], status)
        if now is not None:
            check_outputs(heat, now)
    heat.close()


def perform(heat: Orchestrator, project: str, row: dict[str, Any]) -> Stack:
    """Do a recorded call; an update or delete is of the stack that has the name."""
    found = heat.find(project, row["stack"])
    if row["op"] == "delete":
        assert found is not None
        heat.delete(found)
        return found
    request = StackRequest(
        name=row["stack"],
        tenant=project,
        template=row["template"],
        parameters=row["parameters"],
        timeout_mins=row["timeout_mins"],
        tags=("gohan-jobs:1:abcde",),
    )
    if row["op"] == "create":
        assert found is None
        return heat.create(request)
    assert found is not None
    heat.update(found, request)
    return found


def check_outputs(heat: Orchestrator, stack: Stack) -> None:
    """No output has an error, and a monitoring target's link is the one of its id."""
    outputs = heat.outputs(stack)
    assert [None] * len(outputs) == [output.output_error for output in outputs]
    values = {output.output_key: output.output_value for output in outputs}
    if "monitoring_target_id" in values:
        link = f"http://collector-agents-se:7070/targets/{values['monitoring_target_id']}"
        assert link == values["monitoring_link"]
