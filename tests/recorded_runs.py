"""The recorded runs, replayed as far as mappings and rendering need; tests skip without them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest

from gohan_jobs import codec
from gohan_jobs.mapping import ParsedTemplate, Scope
from gohan_jobs.records import ConfigRecord, HeatStack, HeatTemplate, Job, ResourceRef
from gohan_jobs.schemas import Schemas

__all__ = [
    "OLD_RUN",
    "RUNS",
    "Reading",
    "corpus_file",
    "every_template",
    "readings",
    "recorded_jobs",
    "recorded_schemas",
    "recorded_stacks",
    "rows",
]

_CORPUS = Path(__file__).resolve().parents[1].parent / "shared" / "corpus"
_TEMPLATES = "/config/v2.0/heat_templates/"

RUNS = ("logical_network", "common_function_gateway", "load_balancer")
OLD_RUN = "common_function_gateway_2017.history.jsonl"


def corpus_file(name: str) -> Path:
    """A file of the recordings; skips the test where they are not at hand."""
    path = _CORPUS / name
    if not path.exists():
        pytest.skip(f"the recordings are not at hand: no {path}")
    return path


def rows(name: str) -> list[dict[str, Any]]:
    """The objects of a file of JSON lines."""
    with corpus_file(name).open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def recorded_schemas() -> Schemas:
    """Gohan's recorded answer."""
    return Schemas.from_file(corpus_file("schemas.json"))


def _template(body: Any) -> HeatTemplate:
    return HeatTemplate.from_config(ConfigRecord(body=body, version=1))


def _body(row: dict[str, Any]) -> dict[str, Any] | None:
    """The body of a config, however the file at hand spells it; None for a deletion."""
    text = row.get("raw") or row.get("text")
    value = json.loads(text) if text else row.get("value")
    body = value and value["body"]
    return json.loads(body) if isinstance(body, str) else body


def every_template() -> list[HeatTemplate]:
    """Every version of every heat_template in the recordings."""
    names = [f"{run}.{kind}.jsonl" for run in RUNS for kind in ("events", "trace")]
    found = {}
    for name in (*names, OLD_RUN, "logical_network.wire.jsonl", "documents.jsonl"):
        for row in rows(name):
            body = _body(row) if row.get("key", "").startswith(_TEMPLATES) else None
            if body is not None:
                found[json.dumps(body, sort_keys=True)] = _template(body)
    return list(found.values())


@attrs.frozen(kw_only=True)
class Reading:
    """A config at the moment it was read."""

    scope: Scope
    previous: dict[str, Any] | None
    template: dict[str, ParsedTemplate]
    name: str


def readings(name: str, schemas: Schemas) -> Iterator[Reading]:
    """The configs of a run, in order, heat_templates and deletions applied on the way."""
    bodies: dict[tuple[str, str], dict[str, Any]] = {}
    previous: dict[str, dict[str, Any]] = {}
    templates: dict[str, ParsedTemplate] = {}
    for row in rows(name):
        if row["event"] != "config":
            continue
        path, value = row["key"].removeprefix("/config/"), row["value"]
        found = schemas.resolve(path)
        assert found is not None, path
        resource = ResourceRef(found[0].type, found[1])
        if value is None:
            bodies.pop((resource.resource_type, resource.resource_id))
            previous.pop(path, None)
            continue
        bodies[resource.resource_type, resource.resource_id] = value["body"]
        if row["key"].startswith(_TEMPLATES):
            templates[resource.resource_id] = ParsedTemplate.parse(_template(value["body"]))
            continue
        yield Reading(
            scope=Scope(
                resource=resource,
                body=value["body"],
                version=value["version"],
                lookup=lambda kind, identity: bodies.get((kind, identity)),
                relations=schemas.relations_of,
            ),
            previous=previous.get(path),
            template=templates,
            name=f"{resource}:{value['version']}",
        )
        previous[path] = value["body"]


def recorded_jobs(name: str) -> list[Job]:
    """The jobs of a file of JSON lines."""
    found = [row for row in rows(name) if row.get("kind", row.get("event")) == "job"]
    jobs = [codec.loads(row["key"], json.dumps(row["value"])) for row in found]
    assert all(isinstance(job, Job) for job in jobs)
    return [job for job in jobs if isinstance(job, Job)]


def recorded_stacks(name: str) -> dict[ResourceRef, HeatStack | None]:
    """The last heat_stacks record of each resource of a run."""
    stacks: dict[ResourceRef, HeatStack | None] = {}
    for row in rows(name):
        if row["kind"] == "heat_stack":
            stack = codec.loads(row["key"], json.dumps(row["value"]))
            assert isinstance(stack, HeatStack)
            kind, _, identity = stack.id.partition(":")
            stacks.setdefault(ResourceRef(kind, identity), None)
            if stack.output:
                stacks[ResourceRef(kind, identity)] = stack
    return stacks
