"""Rules 1 to 10: what a config write means, each rule a test."""

from __future__ import annotations

import json
from typing import Any

import attrs
import pytest

from gohan_jobs.bookkeeping import JobNotes
from gohan_jobs.events import (
    ConfigHeld,
    ConfigSetAside,
    JobHandedBack,
    JobPlanned,
    JobSuperseded,
)
from gohan_jobs.keys import Place
from gohan_jobs.lifecycle import Completed, Role, Superseded
from gohan_jobs.manager import ManagerOptions
from gohan_jobs.records import StateRecord, WorkerState
from gohan_jobs.schemas import Schema, Schemas
from gohan_jobs.stores.base import Delete
from worlds import (
    ALIAS,
    DISK,
    HOT,
    NETWORK,
    PORT,
    QUOTA,
    SCHEMAS,
    TEMPLATES,
    TENANT,
    World,
    ref,
)

DOCUMENTED = ("/config/", "/esi-worker/", "/jobs/", "/state/", "/monitoring/")


def documented(world: World, since: int) -> list[str]:
    """The documented keys written after a revision."""
    return [
        write.key
        for write in world.history()
        if write.revision > since and write.key.startswith(DOCUMENTED)
    ]


def done_world(**options: Any) -> World:
    """A world in which the network and its port have been made."""
    world = World(**options)
    world.write(NETWORK, {"name": "blue"})
    world.write(PORT, {"name": "p", "network_id": "n1"})
    world.pass_time(5)
    return world


# 1 Identity


def test_rule_01_a_type_without_versions_is_compared_by_body() -> None:
    """Public Gohan gives 1 to a new one, 0 at every update: a new body is a change all the same."""
    world = World()
    for version, name in (1, "one"), (0, "two"), (0, "three"):
        world.write(QUOTA, {"name": name}, version)
        world.pass_time(5)
    expected = [("CREATE_COMPLETED", 1, ""), *[("MODIFY_COMPLETED", 0, "")] * 2]
    assert expected == world.states_of(QUOTA)


def test_rule_01_the_same_body_of_such_a_type_is_no_change() -> None:
    """Gohan rewrites it on a resync; whatever version it has then."""
    world = World()
    world.write(QUOTA, {"name": "one"}, 0)
    world.pass_time(5)
    world.write(QUOTA, {"name": "one"}, 3)
    world.pass_time(5)
    assert [("create", "quota_q1")] == world.changes()


def test_rule_01_versions_begin_anew_with_a_config_created_again() -> None:
    """Version 1 of a config that was deleted and created again is not version 1 of the old one."""
    world = done_world()
    world.write(NETWORK, {"name": "blue"}, 2)
    world.pass_time(5)
    world.remove_config(NETWORK, state=True)
    world.write(NETWORK, {"name": "blue"}, 1)
    world.pass_time(5)
    assert ("MODIFY_COMPLETED", 1, "") == world.outcome(NETWORK)


@pytest.mark.parametrize(("resource", "version"), [(DISK, 1), (QUOTA, 0)], ids=str)
def test_rule_01_a_state_left_behind_is_not_that_of_a_config_created_again(
    resource: Any, version: int
) -> None:
    """Nobody removed ``/state`` with its config: the new one is not done, its stack is made."""
    world = World()
    world.write(resource, {"name": "old"}, version)
    world.pass_time(5)
    world.remove_config(resource)
    world.pass_time(5)
    world.write(resource, {"name": "new"}, version)
    world.pass_time(5)
    assert ["create", "delete", "create"] == [operation for operation, _ in world.changes()]
    assert ("MODIFY_COMPLETED", version, "") == world.outcome(resource)


def test_rule_01_a_version_that_goes_back_is_set_aside_and_told() -> None:
    """Its ``/state`` says so; the stack is left alone; it is told once."""
    world = World()
    world.write(NETWORK, {"name": "two"}, 2)
    world.pass_time(5)
    world.write(NETWORK, {"name": "one"}, 1)
    world.pass_time(5)
    assert ("READ_ERROR", 1, "version 1 after version 2") == world.outcome(NETWORK)
    assert [("create", "network_n1")] == world.changes()
    assert ["version 1 after version 2"] == [e.reason for e in world.told(ConfigSetAside)]


# 2 Nothing changed, nothing written


def test_rule_02_a_resync_writes_nothing() -> None:
    """Gohan writes every config again, as it was: no job, no documented record."""
    world = done_world()
    world.write(ALIAS)
    world.pass_time(1)
    world.write(NETWORK, {"name": "blue"})
    world.write(PORT, {"name": "p", "network_id": "n1"})
    world.write(ALIAS)
    since = world.store.revision()
    world.pass_time(5)
    assert [] == documented(world, since)


def test_rule_02_a_restart_writes_nothing_documented() -> None:
    """A new manager reads everything, and finds it done."""
    world = done_world()
    world.write(ALIAS)
    world.pass_time(1)
    since = world.store.revision()
    world.restart()
    world.pass_time(5)
    assert [] == documented(world, since)


@pytest.mark.parametrize("resource", [NETWORK, ALIAS], ids=str)
def test_rule_02_a_missing_state_is_made_again(resource: Any) -> None:
    """Same version and body, but no ``/state`` and no job: it is dealt with anew."""
    world = done_world()
    world.write(ALIAS)
    world.pass_time(1)
    world.delete(world.keys.state_of(world.path(resource)))
    world.settle()
    world.restart()
    world.pass_time(5)
    outcome = world.outcome(resource)
    assert outcome is not None
    assert (1, "") == outcome[1:]


def test_rule_02_beside_an_existing_system_only_the_processed_copy_is_written() -> None:
    """A ``/state`` of the same version without an error means done."""
    world = done_world()
    world.transact(*map(Delete, world.under("/esi-worker/config/")))
    since = world.store.revision()
    world.restart()
    world.pass_time(5)
    assert {f"/esi-worker/config/v2.0/{p}" for p in ("networks/n1", "ports/p1")} == set(
        documented(world, since)
    )


# 3 Order


def test_rule_03_all_bodies_are_read_before_differences_are_planned_in_order() -> None:
    """A port written before its network finds its body, and is planned first all the same."""
    port = {**TEMPLATES["port"], "network": "Fnetwork+network_id:name"}
    world = World(templates={**TEMPLATES, "port": port})
    world.write(PORT, {"name": "p", "network_id": "n1"})
    world.write(DISK, {"name": "d"})
    world.write(NETWORK, {"name": "blue"})
    world.step_until(lambda: len(world.jobs()) == 3)
    planned = [event.job_id.resource_type for event in world.told(JobPlanned)]
    assert ["port", "disk", "network"] == planned
    assert [] == world.told(ConfigHeld)


# 4 Action


def test_rule_04_create_then_modify() -> None:
    """Without a state, a stack or an unfinished job it is a create, else a modify."""
    world = World(operation_seconds=10)
    world.write(NETWORK, {"name": "one"}, 1)
    world.step_until(lambda: Place.WORKING in map(world.place, [j.id for j in world.jobs()]))
    world.write(NETWORK, {"name": "two"}, 2)
    world.settle()
    assert {"create n1:1": "working", "modify n1:2": "waiting"} == world.places()


def test_rule_04_a_stack_record_alone_makes_it_a_modify() -> None:
    """A stack that is known is updated, though its state is gone."""
    world = done_world()
    world.delete(world.keys.state_of(world.path(NETWORK)))
    world.write(NETWORK, {"name": "red"}, 2)
    world.pass_time(5)
    assert ("MODIFY_COMPLETED", 2, "") == world.outcome(NETWORK)


def test_rule_04_both_are_upserts() -> None:
    """A modify creates the stack that is missing; a create updates the one that is there."""
    world = done_world()
    stack = world.heat.find(TENANT, "network_n1")
    assert stack is not None
    world.heat.delete(stack)
    world.write(NETWORK, {"name": "red"}, 2)
    world.pass_time(5)
    assert ("MODIFY_COMPLETED", 2, "") == world.outcome(NETWORK)
    assert ("create", "network_n1") == world.changes()[-1]


# 5 Late references


def test_rule_05_a_config_with_a_late_reference_is_held() -> None:
    """It is unplanned until its network appears, and blocks nobody else."""
    world = World()
    world.write(PORT, {"name": "p", "network_id": "n1"})
    world.write(DISK, {"name": "d"})
    world.pass_time(5)
    assert (None, ("CREATE_COMPLETED", 1, "")) == (world.outcome(PORT), world.outcome(DISK))
    assert [ref("network", "n1")] == [event.missing for event in world.told(ConfigHeld)]
    world.write(NETWORK, {"name": "blue"})
    world.pass_time(5)
    assert ("CREATE_COMPLETED", 1, "") == world.outcome(PORT)


def test_rule_05_what_it_refers_to_may_be_without_jobs() -> None:
    """A resource without a template is there as soon as its config is."""
    disk = Schema(
        type="disk",
        prefix="v2.0/disks",
        relations={"alias_id": "alias"},
        templates={"heat_worker": "Cdisk"},
        state_versioning=True,
    )
    others = [schema for schema in SCHEMAS if schema.type != "disk"]
    mappings = {**TEMPLATES["disk"], "name": "Falias+alias_id:name"}
    world = World(schemas=Schemas([*others, disk]), templates={"disk": mappings})
    world.write(DISK, {"alias_id": "a1"})
    world.pass_time(5)
    assert [ref("alias", "a1")] == [event.missing for event in world.told(ConfigHeld)]
    world.write(ALIAS, {"name": "blue"})
    world.pass_time(5)
    assert ("CREATE_COMPLETED", 1, "") == world.outcome(DISK)


def test_rule_05_a_job_that_comes_late_ends_the_wait() -> None:
    """What it refers to was held, too: once that has a job, nothing is waited for any more."""
    templates = {name: mappings for name, mappings in TEMPLATES.items() if name != "network"}
    world = World(templates=templates, operation_seconds=100)
    world.write(NETWORK, {"name": "blue"})
    world.write(PORT, {"name": "p", "network_id": "n1"})
    world.pass_time(30)
    world.template("network", TEMPLATES["network"])
    world.settle()
    assert (world.job(NETWORK).id,) == world.job(PORT).dependency


def test_rule_05_another_programs_stack_is_waited_for() -> None:
    """Nobody here has a job that makes it: its record is all that is heard of it."""
    world = World()
    world.write(NETWORK, {"name": "blue"})
    world.pass_time(5)
    key = world.keys.heat_stack_of(world.path(NETWORK))
    record = world.text(key)
    assert record is not None
    world.delete(key)
    world.write(PORT, {"name": "p", "network_id": "n1"})
    world.pass_time(5)
    assert [ref("network", "n1")] == [event.missing for event in world.told(ConfigHeld)]
    world.put(key, record)
    world.pass_time(5)
    assert ("CREATE_COMPLETED", 1, "") == world.outcome(PORT)


def test_rule_05_after_the_hold_time_its_state_gets_the_error() -> None:
    """Sixty seconds, then ``READ_ERROR``; nothing is left behind."""
    world = World()
    world.write(PORT, {"name": "p", "network_id": "n1"})
    world.pass_time(59)
    assert world.outcome(PORT) is None
    world.pass_time(2)
    outcome = world.outcome(PORT)
    assert outcome is not None
    assert ("READ_ERROR", 1) == outcome[:2]
    assert "network:n1" in outcome[2]


def test_rule_05_a_newer_version_of_a_held_config_has_a_wait_of_its_own() -> None:
    """The first one's deadline does not end the second's wait."""
    world = World()
    world.write(PORT, {"name": "p", "network_id": "n1"})
    world.pass_time(40)
    world.write(PORT, {"name": "q", "network_id": "n1"}, 2)
    world.pass_time(40)
    assert world.outcome(PORT) is None
    world.pass_time(25)
    assert 2 == (world.outcome(PORT) or ("", 0, ""))[1]


def test_rule_05_a_template_that_comes_late_is_waited_for() -> None:
    """A template id that no heat_template has is held likewise."""
    world = World(templates={})
    world.write(NETWORK, {"name": "blue"})
    world.pass_time(5)
    assert world.outcome(NETWORK) is None
    world.template("network", TEMPLATES["network"])
    world.pass_time(5)
    assert ("CREATE_COMPLETED", 1, "") == world.outcome(NETWORK)


def test_rule_05_a_held_config_that_goes_is_forgotten() -> None:
    """Its deadline finds nothing; its network may come, nothing happens."""
    world = World()
    world.write(PORT, {"name": "p", "network_id": "n1"})
    world.pass_time(5)
    world.remove_config(PORT)
    world.pass_time(70)
    world.write(NETWORK, {"name": "blue"})
    world.pass_time(5)
    assert [("create", "network_n1")] == world.changes()
    assert world.outcome(PORT) is None


def test_rule_05_a_held_config_survives_a_new_leader() -> None:
    """It stays held, until its old deadline, and goes on."""
    world = World(manager=ManagerOptions(hold_time=600.0))
    world.write(PORT, {"name": "p", "network_id": "n1"})
    world.pass_time(5)
    world.restart()
    world.settle()
    world.write(NETWORK, {"name": "blue"})
    world.pass_time(5)
    assert ("CREATE_COMPLETED", 1, "") == world.outcome(PORT)


# 6 Dependencies


def test_rule_06_dependencies_are_stored_and_never_computed_again() -> None:
    """A new leader releases by the stored list."""
    world = World(operation_seconds=10)
    world.write(NETWORK, {"name": "blue"})
    world.write(PORT, {"name": "p", "network_id": "n1"})
    world.settle()
    before = world.job(PORT).dependency
    world.restart()
    world.settle()
    assert before == world.job(PORT).dependency
    world.pass_time(120)
    assert ("CREATE_COMPLETED", 1, "") == world.outcome(PORT)


# 7 Superseding


def test_rule_07_an_unclaimed_version_is_collapsed() -> None:
    """It writes no ``/state``, is told as superseded, and ``wait`` says by which."""
    world = World(roles=(Role.MANAGER,))
    world.write(NETWORK, {"name": "one"}, 1)
    world.settle()
    world.write(NETWORK, {"name": "two"}, 2)
    world.settle()
    assert {"create n1:2": "ready"} == world.places()
    assert Superseded(2) == world.lifecycle.wait(NETWORK, 1)
    (event,) = world.told(JobSuperseded)
    assert (1, 2) == (event.job_id.version, event.by.version)


def test_rule_07_a_later_versions_result_is_enough() -> None:
    """Whoever made it: nobody need have planned it here."""
    world = World(roles=())
    world.write(NETWORK, {"name": "two"}, 2)
    state = StateRecord(worker_state=WorkerState.MODIFIED, version=2)
    world.put(world.keys.state_of(world.path(NETWORK)), world.codec.dumps(state))
    assert Superseded(2) == world.lifecycle.wait(NETWORK, 1)


def test_rule_07_a_version_that_others_need_runs() -> None:
    """Another resource's unfinished job depends on it: both versions run, in order."""
    world = World(roles=(Role.MANAGER,))
    world.write(NETWORK, {"name": "one"}, 1)
    world.write(PORT, {"name": "p", "network_id": "n1"})
    world.settle()
    world.write(NETWORK, {"name": "two"}, 2)
    world.settle()
    worker = world.peer(roles=(Role.WORKER,))
    world.pass_time(10, worker)
    assert [("CREATE_COMPLETED", 1, ""), ("MODIFY_COMPLETED", 2, "")] == world.states_of(NETWORK)


def test_rule_07_versions_written_at_once_are_one_job() -> None:
    """Only the last of many versions read together is planned; its state is the only one."""
    world = World()
    world.settle()
    for version in (1, 2, 3):
        world.write(NETWORK, {"name": str(version)}, version)
    world.pass_time(5)
    assert [("CREATE_COMPLETED", 3, "")] == world.states_of(NETWORK)
    assert Superseded(3) == world.lifecycle.wait(NETWORK, 1)


# 8 Running jobs


def test_rule_08_a_running_job_is_not_cancelled_by_a_newer_version() -> None:
    """The newer one waits for it; each has its state."""
    world = World(operation_seconds=10)
    world.write(NETWORK, {"name": "one"}, 1)
    world.settle()
    world.write(NETWORK, {"name": "two"}, 2)
    world.pass_time(30)
    assert [("CREATE_COMPLETED", 1, ""), ("MODIFY_COMPLETED", 2, "")] == world.states_of(NETWORK)


def test_rule_08_who_waits_for_the_running_one_gets_its_result() -> None:
    """It is not superseded by the newer one, though that has been planned."""
    world = World(operation_seconds=10)
    world.write(NETWORK, {"name": "one"}, 1)
    world.settle()
    world.write(NETWORK, {"name": "two"}, 2)
    world.settle()
    result = world.lifecycle.wait(NETWORK, 1)
    assert isinstance(result, Completed)
    assert 1 == result.state.version


def test_rule_08_a_delete_preempts_a_running_create() -> None:
    """Its holder ends it without a ``/state``; Heat's delete goes out while it is created."""
    world = World(operation_seconds=1000)
    world.write(NETWORK, {"name": "one"}, 1)
    world.settle()
    world.write(NETWORK, {"name": "one"}, 2, marked=True)
    world.settle()
    assert [("create", "network_n1"), ("delete", "network_n1")] == world.changes()
    world.pass_time(1100, step=50)
    assert [("DELETE_COMPLETED", 2, "")] == world.states_of(NETWORK)
    assert 1 in [event.job_id.version for event in world.told(JobSuperseded)]


def test_rule_08_a_create_that_others_need_runs_to_its_end() -> None:
    """Then the delete follows."""
    world = World(operation_seconds=10)
    world.write(NETWORK, {"name": "one"}, 1)
    world.write(PORT, {"name": "p", "network_id": "n1"})
    world.settle()
    world.write(NETWORK, {"name": "one"}, 2, marked=True)
    world.pass_time(60)
    assert [("CREATE_COMPLETED", 1, ""), ("DELETE_COMPLETED", 2, "")] == world.states_of(NETWORK)


def test_rule_08_a_mapping_error_never_blocks_a_delete() -> None:
    """What the deleted port refers to is gone; a missing stack is success."""
    world = done_world()
    world.write(PORT, {"name": "p", "network_id": "elsewhere"}, 2, marked=True)
    world.pass_time(5)
    assert ("DELETE_COMPLETED", 2, "") == world.outcome(PORT)
    stack = world.heat.find(TENANT, "network_n1")
    assert stack is not None
    world.heat.delete(stack)
    world.template("network", {"name": {"nonsense": 1}})
    world.write(NETWORK, {"name": "x"}, 2, marked=True)
    world.pass_time(5)
    assert ("DELETE_COMPLETED", 2, "") == world.outcome(NETWORK)


def test_rule_08_a_mapping_that_breaks_later_never_blocks_a_delete() -> None:
    """Its params are not computed again when its template changes."""
    world = World()
    world.write(NETWORK, {"name": "blue"})
    world.pass_time(5)
    world.lifecycle.close()
    world.lifecycle = world.peer(roles=(Role.MANAGER,), seed=3)
    world.write(NETWORK, {"name": "blue"}, 2, marked=True)
    world.settle()
    world.template("network", {"name": "Fnetwork+nowhere:name"})
    world.settle()
    world.pass_time(5, world.peer(roles=(Role.WORKER,), seed=4))
    assert ("DELETE_COMPLETED", 2, "") == world.outcome(NETWORK)


def test_rule_08_a_delete_preempts_a_job_that_was_handed_back() -> None:
    """The pre-empted job came back to the queue before its holder heard of it: it ends there."""
    world = World(operation_seconds=1000)
    world.write(NETWORK, {"name": "one"}, 1)
    world.settle()
    job = world.job(NETWORK)
    world.lifecycle.close()
    manager = world.peer(roles=(Role.MANAGER,))
    key = world.lifecycle.queue.own.preempt(job.id)
    world.put(key, "delete")
    manager.run_until_idle()
    world.clock.advance(31)
    worker = world.peer(roles=(Role.WORKER,))
    for _ in range(3):
        manager.run_until_idle()
        worker.run_until_idle()
    assert [] == world.states_of(NETWORK)


# 9 Template skew


def notes_of(world: World) -> JobNotes:
    """What is noted of the network's job."""
    own = world.lifecycle.queue.own
    key = own.job(world.job(NETWORK).id)
    return own.loads(key, world.text(key) or b"", JobNotes)


def test_rule_09_old_params_never_meet_a_new_template() -> None:
    """A waiting job's params are evaluated again when its template changes."""
    world = World(roles=(Role.MANAGER,))
    world.write(NETWORK, {"name": "blue", "label": "L"})
    world.settle()
    world.template("network", {**TEMPLATES["network"], "name": "Plabel"})
    world.settle()
    entry = world.store.get(world.keys.config_of(world.keys.template_path("network")))
    assert entry is not None
    assert entry.mod_revision == notes_of(world).template_revision
    worker = world.peer(roles=(Role.WORKER,))
    world.pass_time(5, worker)
    assert ["L"] == [call.parameters["name"] for call in world.heat.changes]


def test_rule_09_also_if_the_leader_has_not_heard() -> None:
    """The worker sees that the template is another, and hands the job back."""
    world = World(roles=(Role.MANAGER,))
    world.write(NETWORK, {"name": "blue", "label": "L"})
    world.settle()
    worker = world.peer(roles=(Role.WORKER,))
    world.template("network", {**TEMPLATES["network"], "name": "Plabel"})
    worker.run_until_idle()
    assert [] == world.changes()
    world.pass_time(5, worker)
    assert ["L"] == [call.parameters["name"] for call in world.heat.changes]
    assert ("CREATE_COMPLETED", 1, "") == world.outcome(NETWORK)


def test_rule_09_a_template_that_goes_before_the_leader_has_heard() -> None:
    """The worker sees that there is none, and hands the job back."""
    world = World(roles=(Role.MANAGER,))
    world.write(NETWORK, {"name": "blue"})
    world.settle()
    worker = world.peer(roles=(Role.WORKER,))
    world.delete("/config/v2.0/heat_templates/network")
    worker.run_until_idle()
    world.pass_time(5, worker)
    ((state, version, _),) = world.states_of(NETWORK)
    assert (("CREATE_ERROR", 1), []) == ((state, version), world.changes())
    assert ["its template has changed"] == [e.reason for e in world.told(JobHandedBack)]


def test_rule_09_a_template_that_goes_ends_the_job_and_those_that_need_it() -> None:
    """Its params can't be computed any more: that is its result."""
    world = World(roles=(Role.MANAGER,))
    world.write(NETWORK, {"name": "blue"})
    world.write(PORT, {"name": "p", "network_id": "n1"})
    world.settle()
    world.delete("/config/v2.0/heat_templates/network")
    world.settle()
    network, port = world.outcome(NETWORK), world.outcome(PORT)
    assert network is not None
    assert port is not None
    assert ("CREATE_ERROR", "CREATE_ERROR") == (network[0], port[0])
    assert port[2].startswith("cancelled: create:heat_worker:network:n1:1:")


# 10 Poison


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("{", None),
        ("[]", None),
        ('{"version": 7}', 7),
        ('{"version": true}', None),
        ("[" * 3000, None),
    ],
)
def test_rule_10_a_broken_config_is_set_aside(text: str, version: int | None) -> None:
    """Once, durably, never deleted; its state gets the error if its version is readable."""
    world = World()
    key = world.keys.config_of(world.path(NETWORK))
    world.put(key, text)
    world.write(DISK, {"name": "d"})
    world.pass_time(5)
    world.restart()
    world.pass_time(5)
    assert text.encode() == world.text(key)
    assert [key] == [event.key for event in world.told(ConfigSetAside)]
    assert ("CREATE_COMPLETED", 1, "") == world.outcome(DISK)
    outcome = world.outcome(NETWORK)
    assert version == (None if outcome is None else outcome[1])


def test_rule_10_a_config_too_deep_to_be_planned_stops_nobody() -> None:
    """It can be read: so it is its config's error, and the others go on."""
    world = World()
    deep = "[" * 198 + "]" * 198
    body = f'{{"tenant_id": "{TENANT}", "deep": {deep}}}'
    world.put(world.keys.config_of(world.path(NETWORK)), f'{{"body": {body}, "version": 1}}')
    world.write(DISK, {"name": "d"})
    world.pass_time(5)
    outcome = world.outcome(NETWORK)
    assert outcome is not None
    assert ("READ_ERROR", 1) == outcome[:2]
    assert ("CREATE_COMPLETED", 1, "") == world.outcome(DISK)


def test_rule_10_it_is_looked_at_again_when_it_changes() -> None:
    """A config that was repaired is planned, and no longer set aside."""
    world = World()
    world.put(world.keys.config_of(world.path(NETWORK)), "{")
    world.settle()
    assert 1 == len(world.under("/gohan-jobs/quarantine/"))
    world.write(NETWORK, {"name": "blue"})
    world.pass_time(5)
    assert ("CREATE_COMPLETED", 1, "") == world.outcome(NETWORK)
    assert {} == world.under("/gohan-jobs/quarantine/")


def test_rule_10_an_unknown_type_and_foreign_keys_are_set_aside() -> None:
    """They are told, left where they are, and stop nobody."""
    world = World()
    strange = {
        "/config/v3/strange/x": '{"body": {}, "version": 1}',
        "/config/v2.0/networks": "x",
        "/config/odd": "x",
        "/config/v2.0/aliases/broken": "{",
        "/jobs/all/nonsense": "[]",
        "/jobs/ready/nonsense": "x",
        "/jobs/all/create:heat_worker:alien:a:1:abcde": "[]",
        "/gohan-jobs/preempt/nonsense": "x",
    }
    world.settle()
    for key, value in strange.items():
        world.put(key, value)
    world.write(NETWORK, {"name": "blue"})
    world.pass_time(5)
    world.restart()
    world.pass_time(5)
    assert ("CREATE_COMPLETED", 1, "") == world.outcome(NETWORK)
    assert strange == {key: (world.text(key) or b"").decode() for key in strange}
    told = {event.key for event in world.told(ConfigSetAside)}
    assert set(strange) - {"/gohan-jobs/preempt/nonsense"} == told
    for key in strange:
        world.delete(key)
    world.pass_time(2)
    assert {} == world.under("/gohan-jobs/quarantine/")


def test_rule_10_what_was_strange_before_anybody_led_is_set_aside_too() -> None:
    """A new leader reads it, and reports it once."""
    world = World()
    strange = {"/config/odd", "/config/v3/strange/x", "/jobs/ready/nonsense"}
    for key in strange:
        world.put(key, "x")
    world.settle()
    world.restart()
    world.settle()
    assert sorted(strange) == sorted(event.key for event in world.told(ConfigSetAside))


@pytest.mark.parametrize("text", ['{"body": 5, "version": 1}', '{"body": 5, "version": true}'])
def test_rule_10_a_version_that_has_its_result_gets_no_other(text: str) -> None:
    """Somebody broke the config since: what was published of it stays (``rules`` 12)."""
    world = World()
    world.write(NETWORK, {"name": "blue"})
    world.pass_time(5)
    world.put(world.keys.config_of(world.path(NETWORK)), text)
    world.pass_time(5)
    assert [("CREATE_COMPLETED", 1, "")] == world.states_of(NETWORK)
    assert 1 == len(world.under("/gohan-jobs/quarantine/"))


def test_rule_10_a_broken_job_keeps_its_place_until_it_is_repaired() -> None:
    """Its dependants wait; repaired, it runs."""
    world = World(roles=(Role.MANAGER,))
    world.write(NETWORK, {"name": "blue"})
    world.write(PORT, {"name": "p", "network_id": "n1"})
    world.settle()
    key = world.keys.job(world.job(NETWORK).id)
    document = world.text(key)
    assert document is not None
    world.put(key, "{")
    world.settle()
    worker = world.peer(roles=(Role.WORKER,))
    world.pass_time(5, worker)
    assert [] == world.changes()
    assert key in {event.key for event in world.told(ConfigSetAside)}
    world.restart(roles=(Role.MANAGER,))
    worker = world.peer(roles=(Role.WORKER,), seed=9)
    world.pass_time(5, worker)
    assert [] == world.changes()
    world.put(key, document)
    world.pass_time(40, worker)
    assert ("CREATE_COMPLETED", 1, "") == world.outcome(PORT)
    assert {} == world.under("/gohan-jobs/quarantine/")


def test_rule_10_a_template_that_is_broken_is_its_configs_error() -> None:
    """Every config that needs it says so; once repaired, newer versions go on."""
    world = World()
    world.template("network", {"name": "nonsense"})
    world.write(NETWORK, {"name": "blue"})
    world.pass_time(5)
    outcome = world.outcome(NETWORK)
    assert outcome is not None
    assert "READ_ERROR" == outcome[0]
    world.template("network", TEMPLATES["network"], HOT)
    world.write(NETWORK, {"name": "blue"}, 2)
    world.pass_time(5)
    assert ("MODIFY_COMPLETED", 2, "") == world.outcome(NETWORK)


def test_rule_10_bodies_are_opaque() -> None:
    """Nothing in a config's body is dropped, renamed or coerced on its way to the job."""
    world = World(roles=(Role.MANAGER,), manager=ManagerOptions())
    body = {"binding:vif": None, "n": 1e300, "x": [[{"é": "\u2028"}]], "name": "b"}
    world.write(NETWORK, body)
    world.settle()
    given = {"id": "n1", "tenant_id": TENANT, **body}
    assert json.dumps(given) == json.dumps(world.job(NETWORK).resource_input)


# 7 Ids


@pytest.mark.parametrize(
    ("drawn", "following"), [("aaaaa", "aaaab"), ("a9zzz", "aa000"), ("zzzzz", "00000")]
)
def test_rule_07_no_two_jobs_have_one_id(drawn: str, following: str) -> None:
    """A suffix drawn twice, for a type that counts no versions: the next one free is taken."""
    world = World(suffix=lambda: drawn, roles=(Role.MANAGER,))
    world.write(QUOTA, {"name": "one"}, 0)
    world.settle()
    world.write(QUOTA, {"name": "two"}, 0)
    world.settle()
    assert f"create:heat_worker:quota:q1:0:{following}" == str(world.job(QUOTA).id)
    assert 1 == len(world.told(JobSuperseded))
    world.pass_time(10, world.peer(roles=(Role.WORKER,), seed=7))
    assert [("CREATE_COMPLETED", 0, "")] == world.states_of(QUOTA)
    assert ["two"] == [call.parameters["name"] for call in world.heat.changes]


# 2, 9 Templates that are written again


def written_again(world: World) -> None:
    """Gohan writes every template as it was; its JSON may be spelled otherwise."""
    for name in TEMPLATES:
        key = world.keys.config_of(world.keys.template_path(name))
        value = json.loads(world.text(key) or b"")
        body = dict(sorted(value["body"].items(), reverse=True))
        world.put(key, json.dumps({**value, "body": body}, indent=1))


def moved_port() -> World:
    """Version 2 of a port waits for a network that it names; it names both in its job."""
    world = done_world(operation_seconds=5.0)
    world.pass_time(20)
    world.write(ref("network", "n2"), {"name": "green"})
    world.write(PORT, {"name": "q", "network_id": "n2"}, 2)
    world.settle()
    assert Place.WAITING == world.place(world.job(PORT).id)
    return world


def test_rule_02_a_template_written_again_as_it_was_changes_no_waiting_job() -> None:
    """A resync of Gohan's leaves a waiting job as it was planned, also after a restart."""
    world = moved_port()
    planned = world.text(world.keys.job(world.job(PORT).id))
    since = world.store.revision()
    written_again(world)
    world.settle()
    assert planned == world.text(world.keys.job(world.job(PORT).id))
    assert [] == [key for key in documented(world, since) if not key.startswith("/config/")]
    world.restart()
    world.pass_time(200.0)
    written = world.history(f"{world.keys.all_jobs}modify:heat_worker:port")
    assert ["put", "delete"] == [write.kind for write in written]
    assert ("MODIFY_COMPLETED", 2, "") == world.outcome(PORT)


def test_rule_02_a_template_written_again_as_it_was_hands_no_job_back() -> None:
    """A worker that claims the job before the leader has heard of it goes on."""
    world = World(roles=(Role.MANAGER,))
    world.write(NETWORK, {"name": "blue"})
    world.settle()
    worker = world.peer(roles=(Role.WORKER,))
    written_again(world)
    worker.run_until_idle()
    assert [("create", "network_n1")] == world.changes()
    world.pass_time(5, worker)
    assert [] == world.told(JobHandedBack)
    assert ("CREATE_COMPLETED", 1, "") == world.outcome(NETWORK)


def test_rule_09_a_template_that_another_release_planned_with_is_looked_at() -> None:
    """Of a job without a digest only the revision tells whether its template has changed."""
    world = moved_port()
    own = world.lifecycle.queue.own
    key = own.job(world.job(PORT).id)
    notes = own.loads(key, world.text(key) or b"", JobNotes)
    world.put(key, own.dumps(attrs.evolve(notes, template_digest="")))
    written_again(world)
    world.restart()
    world.pass_time(200.0)
    written = world.history(f"{world.keys.all_jobs}modify:heat_worker:port")
    assert ["put", "put", "delete"] == [write.kind for write in written]
    assert ("MODIFY_COMPLETED", 2, "") == world.outcome(PORT)


@pytest.mark.parametrize("digest", [True, False], ids=["digest", "no digest"])
@pytest.mark.parametrize("known", [True, False], ids=["leader knows", "leader does not"])
def test_rule_09_a_template_that_breaks_is_no_template_as_it_was(
    known: bool,  # noqa: FBT001 - a case
    digest: bool,  # noqa: FBT001 - likewise
) -> None:
    """Who can't read it can't tell that it is the same, nor whether any is."""
    world = World(roles=(Role.MANAGER,))
    world.write(NETWORK, {"name": "blue"})
    world.settle()
    if not digest:
        own, job_id = world.lifecycle.queue.own, world.job(NETWORK).id
        old = attrs.evolve(notes_of(world), template_digest="")
        world.lifecycle.close()
        world.put(own.job(job_id), own.dumps(old))
        world.lifecycle = world.peer(roles=(Role.MANAGER,), seed=9)
        world.settle()
    world.put("/config/v2.0/heat_templates/network", "{")
    worker = world.peer(roles=(Role.WORKER,))
    if known:
        world.settle()
    worker.run_until_idle()
    world.pass_time(5, worker)
    assert [] == world.changes()
    assert (0 if known else 1) == len(world.told(JobHandedBack))
    ((state, version, _),) = world.states_of(NETWORK)
    assert ("CREATE_ERROR", 1) == (state, version)
