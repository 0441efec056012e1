"""What the leader knows of the resources, and the view that planning has of it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gohan_jobs.codec import Codec
from gohan_jobs.estate import Estate
from gohan_jobs.exceptions import InvalidRecord, MappingError
from gohan_jobs.keys import ResourcePath
from gohan_jobs.mapping import ParsedTemplate
from gohan_jobs.planning import KnownState
from gohan_jobs.records import ConfigRecord, ProcessedConfig, ResourceRef, StateRecord, WorkerState
from gohan_jobs.records.outcomes import failed
from gohan_jobs.stores.base import Entry
from jobs_made import job_id, tracked
from planning_types import NETWORK, NOTE, TAG, make_world, template
from planning_world import World

NET = ResourcePath(NETWORK)
TEMPLATE = ResourcePath("v2.0/heat_templates/network")


def test_bodies_are_found_by_type_and_id() -> None:
    """Of any type that has a schema, workable or not, until the config is gone."""
    world = make_world()
    world.write(NOTE, {"id": "o1", "text": "x"})
    assert {"id": "o1", "text": "x"} == world.estate.body("note", "o1")
    assert [None, None] == [world.estate.body("note", "o2"), world.estate.body("moon", "o1")]
    world.estate.drop_config(ResourcePath(NOTE))
    assert world.estate.body("note", "o1") is None


def test_a_broken_config_shows_when_it_is_used() -> None:
    """It has no body for others; asked for itself, it raises."""
    world = make_world()
    world.write_text(NETWORK, b"{")
    assert world.estate.body("network", "n1") is None
    with pytest.raises(InvalidRecord):
        world.estate.config(NET)
    assert world.estate.config(ResourcePath("v2.0/networks/none")) is None


def test_a_config_is_read_again_when_it_changes() -> None:
    """What was parsed before is of the version before."""
    world = make_world()
    for name in ("a", "b"):
        world.write(NETWORK, {"name": name})
        assert {"name": name} == world.estate.body("network", "n1")


def test_processed_copies() -> None:
    """Each with its revision; a broken one is as good as none, but still counts."""
    world = make_world()
    processed = ProcessedConfig(body={"a": 1}, deleted=False, version=2)
    assert (None, 0) == (world.estate.processed(NET), world.estate.processed_revision(NET))
    world.put(world.keys.processed_of(NET), processed)
    assert (processed, world.revision) == world.estate.processed(NET)
    assert (1, world.revision) == (world.estate.count(), world.estate.processed_revision(NET))
    world.estate.put_processed(NET, world.entry(world.keys.processed_of(NET), b"{"))
    assert (None, 1) == (world.estate.processed(NET), world.estate.count())
    world.estate.drop_processed(NET)
    assert (0, 0) == (world.estate.count(), world.estate.processed_revision(NET))


@pytest.mark.parametrize(
    ("state", "known"),
    [
        (
            StateRecord(worker_state=WorkerState.CREATED, version=3),
            KnownState(version=3, failed=False),
        ),
        (failed("modify", 3, "no"), KnownState(version=3, failed=True)),
        (failed("modify", 3, ""), KnownState(version=3, failed=True)),
        (StateRecord(worker_state="ODD", version=3), KnownState(version=3, failed=False)),
        (StateRecord(worker_state="ODD", version=3, error="x"), KnownState(version=3, failed=True)),
    ],
)
def test_states(state: StateRecord, known: Any) -> None:
    """Version, and whether it failed, for which an error state is enough."""
    world = make_world()
    world.state(NETWORK, state)
    assert (known, world.revision) == (world.estate.state(NET), world.estate.state_revision(NET))


def test_a_broken_state_is_of_no_version_and_failed() -> None:
    """So that the version is neither adopted nor taken for missing."""
    world = make_world()
    assert (None, 0) == (world.estate.state(NET), world.estate.state_revision(NET))
    world.estate.put_state(NET, world.entry(world.keys.state_of(NET), b"{"))
    assert KnownState(version=-1, failed=True) == world.estate.state(NET)
    world.estate.drop_state(NET)
    assert (None, 0) == (world.estate.state(NET), world.estate.state_revision(NET))


def test_stacks() -> None:
    """The tenant of a live one; deleted, broken and gone ones have none."""
    world = make_world()
    assert world.estate.stack_tenant(NET) is None
    assert 0 == world.estate.stack_revision(NET)
    world.stack(NETWORK, "t9")
    assert world.revision == world.estate.stack_revision(NET)
    assert "t9" == world.estate.stack_tenant(NET)
    entry = world.entry(world.keys.heat_stack_of(NET), _stack_text(stack_id=""))
    world.estate.put_stack(NET, entry)
    assert world.estate.stack_tenant(NET) is None
    world.stack(NETWORK, "t9")
    world.estate.put_stack(NET, world.entry(world.keys.heat_stack_of(NET), b"{"))
    assert world.estate.stack_tenant(NET) is None
    world.estate.drop_stack(NET)
    assert world.estate.stack_tenant(NET) is None


def _stack_text(**more: str) -> bytes:
    record = {
        "id": "network:n1",
        "stack_id": "network_n1",
        "tenant_id": "t",
        "stack_status": "DELETE_COMPLETE",
        "status_reason": "",
        "output": [],
    }
    return json.dumps(record | more).encode()


def test_templates() -> None:
    """Parsed once for each version; its revision is that of its config."""
    world = make_world("network")
    assert world.estate.template("network") is None
    world.write(TEMPLATE, template("network", {"name": "Pname"}))
    known = world.estate.template("network")
    assert known is not None
    assert isinstance(known.template, ParsedTemplate)
    assert (["name"], world.revision) == (list(known.template.mappings), known.revision)
    world.estate.drop_config(TEMPLATE)
    assert world.estate.template("network") is None


@pytest.mark.parametrize(
    "text",
    [
        b"{",
        b'{"body": {"id": "network"}, "version": 1}',
        json.dumps({"body": template("network", {"name": "Z"}), "version": 1}).encode(),
    ],
)
def test_a_broken_template_takes_its_predecessors_place(text: bytes) -> None:
    """Old mappings never stand in for new ones: the error does."""
    world = make_world()
    world.write_text(TEMPLATE, text)
    known = world.estate.template("network")
    assert known is not None
    assert (True, world.revision) == (isinstance(known.template, MappingError), known.revision)


def test_paths_and_whose_they_are() -> None:
    """Every path with a config or a processed copy; templates under a type of their own."""
    world = World(make_world().schemas)
    world.write(NETWORK, {})
    processed = ProcessedConfig(body={}, deleted=False, version=1)
    world.put(world.keys.processed_of(ResourcePath(TAG)), processed)
    assert {NETWORK, TAG} == world.estate.paths()
    estate = world.estate
    assert ResourceRef("network", "n1") == estate.reference(NET)
    assert ResourceRef("heat_template", "network") == estate.reference(TEMPLATE)
    unknown = ResourcePath("v2.0/moons/m1")
    assert (None, None) == (estate.reference(unknown), estate.identify(unknown))
    assert estate.config_entry(unknown) is None


def test_the_view_answers_from_estate_and_board() -> None:
    """Everything that planning asks."""
    world = make_world()
    world.write(NETWORK, {"id": "n1"})
    world.stack(NETWORK, "t9")
    world.state(NETWORK, StateRecord(worker_state=WorkerState.CREATED, version=3))
    job = tracked(job_id("port:p1"), references=["network:n1"])
    world.board.add(job)
    view = world.view
    assert {"id": "n1"} == view.body("network", "n1")
    assert view.processed(NET) is None
    assert KnownState(version=3, failed=False) == view.state(NET)
    assert "t9" == view.stack_tenant(NET)
    assert view.template("network") is not None
    assert [job.job_id] == [known.job_id for known in view.jobs_of(job.resource)]
    referring = view.jobs_referring_to(ResourceRef("network", "n1"))
    assert [job.job_id] == [known.job_id for known in referring]


class _Counting(Codec):
    """A codec that counts the configs that it reads."""

    configs = 0

    def config(self, key: str, text: str | bytes) -> ConfigRecord:
        """Read one more."""
        self.configs += 1
        return super().config(key, text)


def test_a_body_is_parsed_when_it_is_used() -> None:
    """Once; until then it is kept as the bytes that it was read as (``rules`` 24)."""
    codec = _Counting()
    estate = Estate(codec, make_world().schemas)
    entry = Entry(
        key=codec.keys.config_of(NET),
        value=b'{"body": {"id": "n1"}, "version": 1}',
        create_revision=1,
        mod_revision=1,
        version=1,
    )
    estate.put_config(NET, entry)
    assert (0, entry) == (codec.configs, estate.config_entry(NET))
    bodies = [estate.body("network", "n1") for _ in range(2)]
    assert (1, [{"id": "n1"}] * 2) == (codec.configs, bodies)
