"""Releases side by side on one keyspace, as the page on versions promises."""

from __future__ import annotations

import json
from typing import Any

import attrs
import pytest

from gohan_jobs import bookkeeping
from gohan_jobs.bookkeeping import FORMAT
from gohan_jobs.exceptions import UnsupportedFormat
from gohan_jobs.lifecycle import Role
from worlds import NETWORK, World

COMPLETED = ("CREATE_COMPLETED", 1, "")


def planned() -> tuple[World, str]:
    """A network's job is ready, and nobody works; the world and the key of its notes."""
    world = World()
    world.lifecycle.close()
    world.lifecycle = world.peer(roles=(Role.MANAGER,))
    world.write(NETWORK, {"name": "blue"})
    world.settle()
    own = world.lifecycle.queue.own
    (entry,) = world.store.entries(own.jobs_prefix).entries
    return world, entry.key


def rewrite(world: World, key: str, notes: dict[str, Any]) -> None:
    """Notes as another release would have written them."""
    world.put(key, json.dumps(notes))


def carried_out(world: World) -> tuple[str, int, str] | None:
    """How the network's version ends once a worker is there."""
    worker = world.peer(roles=(Role.WORKER,), seed=2)
    world.pass_time(5.0, worker)
    worker.close()
    return world.outcome(NETWORK)


def test_notes_of_a_newer_release() -> None:
    """A field that this release does not know changes nothing."""
    world, key = planned()
    text = world.text(key)
    assert text is not None
    rewrite(world, key, {**json.loads(text), "of_tomorrow": {"a": 1}})
    assert COMPLETED == carried_out(world)


def test_notes_of_an_older_release() -> None:
    """Fields that it did not know yet have their defaults."""
    world, key = planned()
    text = world.text(key)
    assert text is not None
    needed = {
        field.name for field in attrs.fields(bookkeeping.JobNotes) if field.default is attrs.NOTHING
    }
    # These were there from the first release on.
    first = {"config_create", "config_mod", "template_id", "template_revision"}
    rewrite(world, key, {name: json.loads(text)[name] for name in needed | first})
    assert COMPLETED == carried_out(world)


@pytest.mark.parametrize("name", sorted(bookkeeping.__all__))
def test_what_is_added_has_a_default(name: str) -> None:
    """Beyond the fields of the first release each has a default, or the older could not read on.

    A new field without a default is a new format: see the page on versions.
    """
    kind = getattr(bookkeeping, name)
    first = {
        "CancelRequest": {"reason"},
        "Failure": {"reason"},
        "Held": {"config_mod", "reason", "since", "until"},
        "JobNotes": {"planned_at", "path"},
        "Orphan": {"path", "reason", "since"},
        "Quarantined": {"key", "mod_revision", "reason", "since"},
        "Repair": {"tenant", "job"},
        "RetryRequest": {"version", "config_mod"},
    }
    if attrs.has(kind):
        needed = {field.name for field in attrs.fields(kind) if field.default is attrs.NOTHING}
        assert first[name] == needed


def test_another_format_is_refused() -> None:
    """Nothing is written into a keyspace that this release can't read."""
    world = World()
    world.put(world.lifecycle.queue.own.format_key, f"{FORMAT}9")
    before = world.store.revision()
    with pytest.raises(UnsupportedFormat):
        world.settle()
    assert before == world.store.revision()
