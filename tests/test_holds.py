"""Holds are noted where every leader, and everybody else, can see them."""

from __future__ import annotations

from typing import Any

import attrs

from gohan_jobs.bookkeeping import Bookkeeping, Held
from gohan_jobs.events import ConfigHeld
from gohan_jobs.manager.desk import ManagerOptions
from gohan_jobs.records import ResourceRef
from gohan_jobs.schemas import Schema, Schemas
from worlds import NETWORK, PORT, World

_PORT = {"name": "p", "network_id": "n1"}
_LONG = ManagerOptions(hold_time=600.0)


def _held(world: World, resource: ResourceRef = PORT) -> Held | None:
    own = Bookkeeping(world.keys)
    key = own.held(world.path(resource))
    text = world.text(key)
    return None if text is None else own.loads(key, text, Held)


def _holding(**options: Any) -> World:
    """A world in which a port waits for its network."""
    world = World(**{"manager": _LONG, **options})
    world.write(PORT, _PORT)
    world.settle()
    return world


def test_a_hold_is_noted() -> None:
    """Which version, why, what for, since when, until when."""
    world = World()
    since = world.clock.wall()
    world.write(PORT, _PORT)
    world.settle()
    entry = world.store.get(world.keys.config_of(world.path(PORT)))
    held = _held(world)
    assert entry is not None
    assert held is not None
    assert (entry.mod_revision, 1, "network:n1", False, 0) == (
        held.config_mod,
        held.version,
        held.missing,
        held.vetoed,
        held.tries,
    )
    assert "network:n1" in held.reason
    assert since.isoformat(timespec="milliseconds") == held.since
    (told,) = world.told(ConfigHeld)
    assert (held.reason, held.until, 1) == (told.reason, told.until, told.version)


def test_the_note_goes_with_what_ends_the_hold() -> None:
    """At the revision at which the job is queued."""
    world = _holding()
    world.write(NETWORK, {"name": "blue"})
    world.pass_time(5)
    key = Bookkeeping(world.keys).held(world.path(PORT))
    gone = [write.revision for write in world.history(key) if write.kind == "delete"]
    planned = world.history(f"{world.keys.all_jobs}create:heat_worker:port:")
    assert ([planned[0].revision], None) == (gone, _held(world))
    assert ("CREATE_COMPLETED", 1, "") == world.outcome(PORT)


def test_the_note_goes_with_the_error_when_the_wait_is_over() -> None:
    """At the revision at which the state gets the error."""
    world = _holding(manager=ManagerOptions())
    world.pass_time(62)
    key = Bookkeeping(world.keys).held(world.path(PORT))
    gone = [write.revision for write in world.history(key) if write.kind == "delete"]
    state = world.history(world.keys.state_of(world.path(PORT)))
    assert ([state[0].revision], None) == (gone, _held(world))


def test_a_new_leader_writes_nothing_and_keeps_the_deadline() -> None:
    """A restart takes up the hold as it was; its time counts from the first leader's look."""
    world = _holding()
    before = _held(world)
    world.restart()
    start = world.store.revision()
    world.settle()
    written = {write.key for write in world.history() if write.revision > start}
    assert {world.keys.leader} == {key for key in written if "/workers/" not in key}
    assert before == _held(world)
    assert 1 == len(world.told(ConfigHeld))
    world.pass_time(475)
    assert world.outcome(PORT) is None
    world.pass_time(10)
    assert "READ_ERROR" == (world.outcome(PORT) or ("",))[0]


def test_a_config_whose_result_went_is_held_again_as_it_was() -> None:
    """It was planned once; its template is gone by now: a restart writes nothing, the wait ends."""
    world = World(manager=_LONG)
    world.write(NETWORK, {"name": "blue"})
    world.pass_time(5)
    world.delete(world.keys.config_of(world.keys.template_path("network")))
    world.delete(world.keys.state_of(world.path(NETWORK)))
    world.restart()
    world.settle()
    before, start = _held(world, NETWORK), world.store.revision()
    world.restart()
    world.settle()
    written = {write.key for write in world.history() if write.revision > start}
    assert {world.keys.leader} == {key for key in written if "/workers/" not in key}
    assert before is not None
    assert before == _held(world, NETWORK)
    world.pass_time(600)
    assert "READ_ERROR" == (world.outcome(NETWORK) or ("",))[0]


def test_a_held_config_written_again_as_it_was_goes_on_waiting() -> None:
    """A resync of Gohan's is no news: else one a minute, and nobody would ever be told."""
    world = _holding(manager=ManagerOptions())
    explained = world.lifecycle.explain(PORT).summary
    world.pass_time(40)
    world.write(PORT, _PORT)
    start = world.store.revision()
    world.settle()
    assert start == world.store.revision()
    assert explained == world.lifecycle.explain(PORT).summary
    world.pass_time(21)
    assert "READ_ERROR" == (world.outcome(PORT) or ("",))[0]
    assert 1 == len(world.told(ConfigHeld))


def test_a_later_version_is_not_said_to_be_held() -> None:
    """Nobody has looked at it yet, and what is noted is the one before."""
    world = _holding()
    assert world.lifecycle.explain(PORT).summary.startswith("version 1 is held")
    world.write(PORT, _PORT, 2)
    not_read = "version 2 is not planned: it has not been read yet"
    assert not_read == world.lifecycle.explain(PORT).summary


def test_a_held_config_whose_body_changes_has_a_hold_of_its_own() -> None:
    """Also if its version does not, as where versions are not counted."""
    world = _holding()
    before = _held(world)
    world.pass_time(5)
    world.write(PORT, {**_PORT, "name": "q"})
    world.settle()
    after = _held(world)
    assert before is not None
    assert after is not None
    assert (1, True) == (after.version, after.until > before.until)
    assert 2 == len(world.told(ConfigHeld))


def test_a_deadline_that_passed_while_nobody_led_is_over() -> None:
    """After everything has been looked at once: what it waits for may have come."""
    world = _holding(manager=ManagerOptions())
    late = World(manager=ManagerOptions())
    late.write(PORT, _PORT)
    late.settle()
    late.write(NETWORK, {"name": "blue"})
    for each in (world, late):
        each.restart()
        each.pass_time(5)
    outcomes = [(each.outcome(PORT) or ("",))[0] for each in (world, late)]
    assert ["READ_ERROR", "CREATE_COMPLETED"] == outcomes


def test_another_reason_is_noted_with_the_old_deadline() -> None:
    """First the config it names is missing, then that config's template."""
    world = _holding()
    before = _held(world)
    world.delete(f"{world.keys.config}v2.0/heat_templates/port")
    world.put(world.keys.config_of(world.path(NETWORK)), b'{"body": {}, "version": 1}')
    world.settle()
    after = _held(world)
    assert before is not None
    assert after is not None
    assert (before.since, before.until) == (after.since, after.until)
    assert "heat_template:port" == after.missing
    assert 1 == len(world.told(ConfigHeld))


def test_a_newer_version_has_a_hold_of_its_own() -> None:
    """The note is of the newer one, with its own time."""
    world = _holding()
    before = _held(world)
    world.pass_time(5)
    world.write(PORT, _PORT, 2)
    world.settle()
    after = _held(world)
    assert before is not None
    assert after is not None
    assert (2, True, True) == (
        after.version,
        after.until > before.until,
        after.config_mod > before.config_mod,
    )
    assert 2 == len(world.told(ConfigHeld))


def test_a_held_config_that_goes_takes_its_note_with_it() -> None:
    """Whether a leader sees it go, or finds it gone."""
    seen, unseen = _holding(), _holding()
    seen.remove_config(PORT)
    seen.settle()
    unseen.remove_config(PORT)
    unseen.restart()
    unseen.settle()
    assert [None, None] == [_held(seen), _held(unseen)]


def test_a_held_config_that_is_broken_takes_its_note_with_it() -> None:
    """What is set aside waits for nothing but its own change."""
    world = _holding()
    world.put(world.keys.config_of(world.path(PORT)), "{")
    world.settle()
    assert _held(world) is None


def test_a_held_version_that_is_taken_back_was_held_for_nothing() -> None:
    """The config is again as it was processed."""
    world = World(manager=_LONG)
    world.write(NETWORK, {"name": "blue"})
    world.write(PORT, _PORT)
    world.pass_time(5)
    world.write(PORT, {"network_id": "n2", "name": "p"}, 2)
    world.settle()
    held = _held(world)
    assert held is not None
    assert "network:n2" == held.missing
    world.write(PORT, _PORT, 1)
    world.settle()
    assert _held(world) is None


def test_a_note_of_no_schemas_goes() -> None:
    """And one that nobody can read is written anew."""
    world = _holding()
    own = Bookkeeping(world.keys)
    before = _held(world)
    world.put(own.held(world.path(PORT)), "{")
    stray = f"{own.held_prefix}nobody/knows"
    world.put(stray, "[]")
    world.restart()
    world.settle()
    after = _held(world)
    assert world.text(stray) is None
    assert before is not None
    assert after is not None
    assert (before.config_mod, before.missing) == (after.config_mod, after.missing)


def test_a_deadline_that_nobody_can_read_is_over() -> None:
    """Rather than never; likewise one without a time zone."""
    for until in ("soon", "2999-01-01T00:00:00"):
        world = _holding()
        own = Bookkeeping(world.keys)
        held = _held(world)
        assert held is not None
        world.put(own.held(world.path(PORT)), own.dumps(attrs.evolve(held, until=until)))
        world.restart()
        world.settle()
        assert "READ_ERROR" == (world.outcome(PORT) or ("",))[0]


def test_two_that_wait_for_each_other_wait_no_longer_for_that() -> None:
    """Nothing at the end of what they wait for was vetoed."""
    schemas = Schemas(
        Schema(
            type=one,
            prefix=f"v2.0/{one}s",
            relations={"needs": other},
            templates={"heat_worker": f"C{one}"},
            state_versioning=True,
        )
        for one, other in (("hen", "egg"), ("egg", "hen"))
    )
    world = World(
        schemas=schemas,
        templates={"hen": {"network": "Megg:needs:link"}, "egg": {"network": "Mhen:needs:link"}},
    )
    hen, egg = ResourceRef("hen", "h"), ResourceRef("egg", "e")
    world.write(hen, {"needs": "e"})
    world.write(egg, {"needs": "h"})
    world.pass_time(62)
    outcomes = [(world.outcome(one) or ("",))[0] for one in (hen, egg)]
    assert ["READ_ERROR", "READ_ERROR"] == outcomes


def test_secrets_are_kept_out_of_the_note() -> None:
    """A reason may quote the config that is held."""
    world = World(manager=_LONG)
    world.write(PORT, {**_PORT, "network_id": "hush-hush-1", "password": "hush-hush-1"})
    world.settle()
    key = Bookkeeping(world.keys).held(world.path(PORT))
    text = world.text(key)
    assert text is not None
    assert b"hush" not in text
