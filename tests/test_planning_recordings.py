"""The 31 jobs of 2017's recording, with a second handler, planned again from its configs."""

from __future__ import annotations

import json
from typing import Any

import attrs

from gohan_jobs.codec import Codec, Spelling
from gohan_jobs.keys import JobId, ResourcePath
from gohan_jobs.planning import Hold
from gohan_jobs.records import Job
from gohan_jobs.schemas import Schemas
from planning_world import World
from recorded_runs import OLD_RUN, recorded_jobs, recorded_schemas, rows

_TEMPLATES = "/config/v2.0/heat_templates/"
_NOT_FOR_HEAT = {"edge_router", "er_physical_interface"}


def old_schemas(history: list[dict[str, Any]]) -> Schemas:
    """The types as they were in 2017.

    Each had the monitoring template ``<type>_monitoring``, if there was one; two had no stack.
    """
    templates = {row["key"].removeprefix(_TEMPLATES) for row in history if "key" in row}
    changed = []
    for schema in recorded_schemas():
        mappings: dict[str, Any] = dict(schema.templates)
        if schema.type in _NOT_FOR_HEAT:
            mappings.pop("heat_worker")
        if f"{schema.type}_monitoring" in templates:
            mappings["monitoring_worker"] = f"C{schema.type}_monitoring"
        changed.append(attrs.evolve(schema, templates=mappings))
    return Schemas(changed)


def bare(job_id: JobId | str) -> str:
    """A job's id without the suffix, which is random."""
    return str(job_id).rpartition(":")[0]


def comparable(job: Job) -> dict[str, Any]:
    """A job's document with what has no meaning taken out."""
    document = json.loads(Codec().dumps(job, Spelling.DOCUMENT))
    _, inner, number = document
    inner["id"] = bare(inner["id"])
    inner["dependency"] = sorted(map(bare, inner["dependency"]))
    inner["params"] = sorted(inner["params"], key=lambda param: str(param["param"]))
    return {"job": inner, "number": number}


def replayed(history: list[dict[str, Any]]) -> list[Job]:
    """The jobs that the recorded configs give, with everything else as it was recorded."""
    world = World(old_schemas(history))
    for row in history:
        if row["event"] == "config":
            _config(world, row)
        elif row["event"] in {"state", "heat_stack"}:
            key = row["key"]
            world.put(key, world.codec.loads(key, json.dumps(row["value"])))
        elif row["event"] == "job gone":
            (gone,) = [job for job in world.board if bare(job.job_id) == bare(row["id"])]
            world.board.remove(gone)
    return world.planned


def _config(world: World, row: dict[str, Any]) -> None:
    path = ResourcePath(row["key"].removeprefix("/config/"))
    world.write_text(path, json.dumps(row["value"]).encode())
    if not world.keys.is_template(path):
        plan = world.carry_out(path, world.plan(path))
        assert not isinstance(plan, Hold), plan.reason


def test_the_jobs_of_2017_come_out_equal() -> None:
    """Two handlers: every id, param, dependency, end, failure rule and input as recorded."""
    expected = [comparable(job) for job in recorded_jobs(OLD_RUN)]
    actual = [comparable(job) for job in replayed(rows(OLD_RUN))]
    assert 31 == len(expected)
    assert {job["job"]["id"] for job in expected} == {job["job"]["id"] for job in actual}
    for job in expected:
        (same,) = [other for other in actual if other["job"]["id"] == job["job"]["id"]]
        assert job == same
