"""What the demonstration is made of: schemas, templates, configs, and how Heat is to answer."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

import attrs

from gohan_jobs.orchestrators.simulated import Outcome
from gohan_jobs.records import ConfigRecord, ResourceRef, StackOutput
from gohan_jobs.schemas import HEAT_WORKER, Schemas

__all__ = ["SCENARIOS", "Scenario", "Submission", "read_scenario", "schemas", "templates"]

SCENARIOS = ("create", "update")
"""The scenarios' names, in the order they are played: one for each seed."""


@attrs.frozen(kw_only=True)
class Submission:
    """A config to submit.

    Attributes:
        ref: whose it is.
        config: what is submitted.
    """

    ref: ResourceRef
    config: ConfigRecord


@attrs.frozen(kw_only=True)
class Scenario:
    """One seed's worth of work.

    Attributes:
        title: of the seed's page.
        related: what the resource refers to, directly and further; submitted before it, and
            unfinished when it is read.
        shown: the resource whose records the page shows.
        outcome: how Heat answers for its stack.
        field: name of the monitoring status that an agent reports in the end.
        status: that status.
    """

    title: str
    related: tuple[Submission, ...]
    shown: Submission
    outcome: Outcome
    field: str
    status: str


def schemas() -> Schemas:
    """The types, as Gohan would describe them."""
    return Schemas.from_text(_text("schemas.json"), "the demonstration")


def templates() -> tuple[Submission, ...]:
    """A heat_template for each type."""
    mappings: Mapping[str, Mapping[str, Any]] = json.loads(_text("parameter_mappings.json"))
    return tuple(_template(name, mapping) for name, mapping in mappings.items())


def read_scenario(name: str) -> Scenario:
    """A scenario.

    Args:
        name: one of :data:`SCENARIOS`.
    """
    given = json.loads(_text(f"{name}.json"))
    outputs = tuple(StackOutput(**output) for output in given["outputs"])
    return Scenario(
        title=given["title"],
        related=tuple(map(_submission, given["related"])),
        shown=_submission(given["shown"]),
        outcome=Outcome(
            status=given["stack_status"], reason=given["status_reason"], outputs=outputs
        ),
        field=given["monitoring"]["field"],
        status=given["monitoring"]["status"],
    )


def _template(name: str, mapping: Mapping[str, Any]) -> Submission:
    body = {
        "handler": HEAT_WORKER,
        "watch": [],
        "id": name,
        "template_file": _text(f"{name}.hot"),
        "parameter_mappings": mapping,
    }
    ref = ResourceRef("heat_template", name)
    return Submission(ref=ref, config=ConfigRecord(body=body, version=1))


def _submission(given: Mapping[str, Any]) -> Submission:
    ref = ResourceRef(given["resource_type"], given["resource_id"])
    return Submission(ref=ref, config=ConfigRecord(**given["config"]))


def _text(name: str) -> str:
    return files("gohan_jobs.demo").joinpath("data", name).read_text(encoding="utf-8")
