"""Planning's rules, one by one (``runtime``; ``rules`` 1 to 11, 15, 16)."""

from __future__ import annotations

import json
from typing import Any

import attrs
import pytest

from gohan_jobs.exceptions import MappingError
from gohan_jobs.keys import JobId, Place, ResourcePath
from gohan_jobs.planning import (
    TEMPLATE_TYPE,
    Adopt,
    Enqueue,
    Forget,
    Hold,
    Orphaned,
    Plan,
    PlannedJob,
    Publish,
    SetAside,
    Unchanged,
    evaluate_again,
    incarnation_is_current,
    plan_repair,
    read_error,
)
from gohan_jobs.planning import workflow as workflow_module
from gohan_jobs.records import (
    Job,
    OnFailure,
    ProcessedConfig,
    ResourceRef,
    StateRecord,
    WorkerState,
)
from gohan_jobs.records.outcomes import failed
from planning_types import NETWORK, NOTE, PORT, ROUTER, TAG, make_world, template
from planning_world import World

NET = {"id": "n1", "name": "blue", "tenant_id": "t1"}
P1 = {"id": "p1", "network_id": "n1", "tenant_id": "t1"}
DHCP = {**P1, "device_owner": "dhcp"}


def done(version: int, worker_state: WorkerState = WorkerState.CREATED) -> StateRecord:
    """A result."""
    return StateRecord(worker_state=worker_state, version=version)


def actions(plan: Plan) -> list[str]:
    """The actions and handlers of a plan's jobs."""
    assert isinstance(plan, Enqueue), plan
    return [f"{planned.job.action}:{planned.job.handler}" for planned in plan.jobs]


def only(plan: Plan) -> Job:
    """The one job of a plan."""
    assert isinstance(plan, Enqueue), plan
    (planned,) = plan.jobs
    return planned.job


def ids(plan: Plan) -> list[JobId]:
    """The ids of a plan's jobs."""
    assert isinstance(plan, Enqueue), plan
    return [planned.job.id for planned in plan.jobs]


def finish(world: World, path: str, plan: Plan, version: int = 1) -> None:
    """All jobs of a plan end well."""
    world.stack(path)
    world.state(path, done(version))
    for identity in ids(plan):
        world.gone(identity)


def made(world: World, path: str, body: dict[str, Any]) -> None:
    """A resource whose version 1 is done."""
    finish(world, path, world.read(path, body))


# Rules 1 and 2: which config it is, and whether anything is to be done.


def test_a_new_config_is_created() -> None:
    """Nothing known: a create, with everything in its job and the processed copy beside it."""
    world = make_world()
    plan = world.read(NETWORK, NET, 3)
    job = only(plan)
    assert isinstance(plan, Enqueue)
    assert ProcessedConfig(body=NET, deleted=False, version=3) == plan.processed
    assert "create:heat_worker:network:n1:3:00000" == str(job.id)
    assert ((), True, True, NET) == (job.dependency, job.is_first, job.is_last, job.resource_input)
    known = world.estate.template("network")
    assert known is not None
    assert ("network", known.revision) == (plan.jobs[0].template_id, plan.jobs[0].template_revision)


def test_the_same_version_and_body_again_is_nothing() -> None:
    """A restart, of Gohan or of the manager, plans nothing: done, running or failed."""
    world = make_world()
    plan = world.read(NETWORK, NET)
    assert Unchanged() == world.read(NETWORK, NET)
    finish(world, NETWORK, plan)
    assert Unchanged() == world.read(NETWORK, NET)
    world.state(NETWORK, failed("create", 1, "no"))
    assert Unchanged() == world.read(NETWORK, NET)


def test_a_missing_state_is_made_up_for() -> None:
    """No state and no job: the version is planned again."""
    world = make_world()
    for identity in ids(world.read(NETWORK, NET)):
        world.gone(identity)
    assert ["create:heat_worker"] == actions(world.read(NETWORK, NET))


def test_a_missing_state_of_a_non_workable_resource_is_made_up_for() -> None:
    """Non-workable ones too."""
    world = make_world()
    world.read(NOTE, {"id": "o1"})
    assert Unchanged() == world.plan(NOTE)
    world.estate.drop_state(world.change(NOTE).path)
    assert isinstance(world.plan(NOTE), Publish)


def test_versions_count_where_gohan_counts_them() -> None:
    """A higher version of the same body is work; a lower one is not to be used."""
    world = make_world()
    made(world, NETWORK, NET)
    assert ["modify:heat_worker"] == actions(world.read(NETWORK, NET, 2))
    assert SetAside("version 1 after version 2") == world.read(NETWORK, NET, 1)


def test_bodies_count_where_gohan_does_not_count_versions() -> None:
    """Version 0 at every update: equal bodies are nothing, others are work, whatever the number."""
    world = make_world()
    finish(world, TAG, world.read(TAG, {"id": "t1", "name": "a"}, 0), 0)
    assert Unchanged() == world.read(TAG, {"name": "a", "id": "t1"}, 4)
    assert ["modify:heat_worker"] == actions(world.read(TAG, {"id": "t1", "name": "b"}, 0))


@pytest.mark.parametrize(("before", "after"), [(True, 1), ([1], [True]), ({"a": 0}, {"a": False})])
def test_bodies_are_compared_as_json(before: object, after: object) -> None:
    """To Python true is 1; to JSON it is another value, and so a change."""
    world = make_world()
    world.read(TAG, {"id": "t1", "name": before}, 0)
    assert ["create:heat_worker"] == actions(world.read(TAG, {"id": "t1", "name": after}, 0))


def test_a_mark_at_the_same_version_is_a_change() -> None:
    """Marked for deletion without a new version: it is deleted all the same."""
    world = make_world()
    finish(world, TAG, world.read(TAG, {"id": "t1"}, 0), 0)
    plan = world.read(TAG, {"id": "t1"}, 0, marked=True)
    assert ["logical_delete:heat_worker"] == actions(plan)


def test_a_config_created_again_is_another_one() -> None:
    """Deleted and created again, version 1 after version 5 is no step back."""
    world = make_world()
    for identity in ids(world.read(NETWORK, NET, 5)):
        world.gone(identity)
    world.estate.drop_config(world.change(NETWORK).path)
    assert 1 == only(world.read(NETWORK, NET, 1)).version


def test_a_config_created_again_is_planned_before_its_stack_is_repaired() -> None:
    """While a resync pauses it waits: a repair would take it for done, and nobody would be told."""
    world = make_world()
    made(world, NETWORK, NET)
    before = plan_repair(world.change(NETWORK), world.view, world.schemas, world.suffix)
    world.estate.drop_config(ResourcePath(NETWORK))
    world.write(NETWORK, NET)
    after = plan_repair(world.change(NETWORK), world.view, world.schemas, world.suffix)
    assert (True, None) == (isinstance(before, Enqueue), after)


def test_incarnations_are_told_by_revisions() -> None:
    """A processed copy is written after the config it is of."""
    assert [True, False] == [incarnation_is_current(5, 6), incarnation_is_current(6, 6)]


def test_what_was_done_before_this_library_came_is_adopted() -> None:
    """A state of the same version without an error: only the processed copy is written."""
    world = make_world()
    world.state(NETWORK, done(2))
    world.write(NETWORK, NET, 2)
    world.settle_in()
    plan = world.carry_out(NETWORK, world.plan(NETWORK))
    assert Adopt(ProcessedConfig(body=NET, deleted=False, version=2)) == plan
    assert Unchanged() == world.read(NETWORK, NET, 2)


def test_what_another_program_does_beside_this_library_is_adopted() -> None:
    """A state that was written after its config."""
    world = make_world()
    world.write(NETWORK, NET, 2)
    world.state(NETWORK, done(2))
    assert Adopt(ProcessedConfig(body=NET, deleted=False, version=2)) == world.plan(NETWORK)


def test_a_state_left_by_an_earlier_config_says_nothing_of_a_later_one() -> None:
    """Nobody removed it with its config; a type that counts no versions has the same one again."""
    world = make_world()
    world.settle_in()
    made(world, TAG, {"id": "t1"})
    world.state(TAG, done(1, WorkerState.DELETED))
    world.estate.drop_stack(ResourcePath(TAG))
    world.estate.drop_processed(ResourcePath(TAG))
    world.estate.drop_config(ResourcePath(TAG))
    assert ["modify:heat_worker"] == actions(world.read(TAG, {"id": "t1"}))


@pytest.mark.parametrize("state", [done(1), failed("create", 2, "no")])
def test_what_was_not_done_before_is_work(state: StateRecord) -> None:
    """A state of another version, or a failure, is not done."""
    world = make_world()
    world.write(NETWORK, NET, 2)
    world.state(NETWORK, state)
    assert ["modify:heat_worker"] == actions(world.plan(NETWORK))


def test_a_marked_config_whose_stack_lives_was_not_done() -> None:
    """A type that counts no versions is marked at the version it had: that state is the old one."""
    world = make_world()
    world.write(TAG, {"id": "t1"}, 0, marked=True)
    world.state(TAG, done(0))
    world.stack(TAG)
    assert ["logical_delete:heat_worker"] == actions(world.plan(TAG))


def test_a_marked_config_without_a_stack_was_done() -> None:
    """The stack is gone and the state says so."""
    world = make_world()
    world.write(TAG, {"id": "t1"}, 0, marked=True)
    world.state(TAG, done(0, WorkerState.DELETED))
    assert isinstance(world.plan(TAG), Adopt)


# Workable or not.


def test_a_type_without_a_template_is_not_workable() -> None:
    """Its state is written at once, at every version."""
    world = make_world()
    for version in (1, 2):
        plan = world.read(NOTE, {"id": "o1"}, version)
        state = StateRecord(worker_state=WorkerState.READ, version=version)
        processed = ProcessedConfig(body={"id": "o1"}, deleted=False, version=version)
        assert Publish(state, processed) == plan


def test_a_template_mapping_that_gives_null_is_not_workable() -> None:
    """A DHCP port has no stack, and nothing to monitor."""
    world = make_world(heat_worker=_dhcp_mapping(), monitoring_worker="Crouter")
    plan = world.read(PORT, DHCP)
    assert isinstance(plan, Publish)
    assert WorkerState.READ == plan.state.worker_state


def test_a_null_mapping_is_no_mapping() -> None:
    """A handler named with null has no jobs."""
    world = make_world(heat_worker=None)
    assert isinstance(world.read(PORT, P1), Publish)


def _dhcp_mapping() -> dict[str, Any]:
    return {
        "if_mapping": {"equal": [{"field": "device_owner"}, "dhcp"]},
        "then_mapping": {"constant": None},
        "else_mapping": {"constant": "port"},
    }


def test_becoming_non_workable_collapses_what_nobody_has_begun() -> None:
    """The older version's unclaimed job goes with the newer version's state."""
    world = make_world()
    made(world, NETWORK, NET)
    first = world.read(PORT, P1)
    plan = world.read(PORT, DHCP, 2)
    assert isinstance(plan, Publish)
    assert tuple(ids(first)) == plan.collapse


def test_a_non_workable_resource_that_has_a_stack_is_deleted_with_it() -> None:
    """Marked, it needs no template any more to have its stack deleted."""
    world = make_world()
    made(world, NETWORK, NET)
    made(world, PORT, P1)
    assert ["logical_delete:heat_worker"] == actions(world.read(PORT, DHCP, 2, marked=True))


def test_a_non_workable_resource_whose_stack_is_being_made_is_deleted_too() -> None:
    """The create that runs is ended, and its stack goes."""
    world = make_world()
    made(world, NETWORK, NET)
    (running,) = ids(world.read(PORT, P1))
    world.move(running, Place.WORKING)
    plan = world.read(PORT, DHCP, 2, marked=True)
    assert isinstance(plan, Enqueue)
    assert (["logical_delete:heat_worker"], (running,)) == (actions(plan), plan.preempt)


def test_a_non_workable_resource_without_a_stack_is_only_read() -> None:
    """Nothing to delete: its state says that it was read."""
    world = make_world()
    assert isinstance(world.read(NOTE, {"id": "o1"}, 1, marked=True), Publish)


# Rule 4: the action.


def test_an_unfinished_create_makes_the_next_a_modify() -> None:
    """Version 2 while version 1 is being made changes what version 1 makes."""
    world = make_world()
    (first,) = ids(world.read(NETWORK, NET))
    world.move(first, Place.WORKING)
    job = only(world.read(NETWORK, NET, 2))
    assert ("modify", (first,)) == (job.action, job.dependency)


def test_an_unfinished_modify_makes_the_next_a_modify() -> None:
    """Also if the create before it has left no trace: a modify makes a stack, too."""
    world = make_world()
    create = world.read(NETWORK, NET)
    world.move(only(create).id, Place.WORKING)
    modify = world.read(NETWORK, NET, 2)
    world.gone(only(create).id)
    world.move(only(modify).id, Place.WORKING)
    assert ["modify:heat_worker"] == actions(world.read(NETWORK, NET, 3))


def test_a_collapsed_create_leaves_a_create() -> None:
    """Version 2 in the place of version 1, which nobody has begun."""
    world = make_world()
    (first,) = ids(world.read(NETWORK, NET))
    plan = world.read(NETWORK, NET, 2)
    assert isinstance(plan, Enqueue)
    assert (["create:heat_worker"], (first,)) == (actions(plan), plan.collapse)


def test_a_live_stack_without_a_state_is_modified() -> None:
    """A stack record is enough."""
    world = make_world()
    world.stack(NETWORK)
    assert ["modify:heat_worker"] == actions(world.read(NETWORK, NET))


def test_a_state_without_a_stack_is_modified() -> None:
    """A failed create's state, with no stack."""
    world = make_world()
    world.state(NETWORK, failed("create", 1, "no"))
    assert ["modify:heat_worker"] == actions(world.read(NETWORK, NET, 2))


# Rule 5: late references.


def test_an_unresolvable_hop_is_held() -> None:
    """What it waits for, and what it becomes when the wait is over."""
    world = make_world()
    plan = world.read(PORT, P1)
    assert isinstance(plan, Hold)
    assert ResourceRef("network", "n1") == plan.missing
    processed = ProcessedConfig(body=P1, deleted=False, version=1)
    assert Publish(read_error(1, plan.reason), processed) == plan.otherwise
    assert "READ_ERROR" == plan.otherwise.state.orchestration_state
    assert "n1" in plan.reason


def test_an_output_without_a_source_is_held_until_there_is_a_job() -> None:
    """The network's body is there, but neither its stack nor a job that makes it."""
    world = make_world()
    world.write(NETWORK, NET)
    plan = world.read(PORT, P1)
    assert isinstance(plan, Hold)
    assert ResourceRef("network", "n1") == plan.missing
    assert (
        "port:p1: template port, param output: "
        "network:n1 has neither a stack nor a job that makes one"
    ) == plan.reason
    (network,) = ids(world.carry_out(NETWORK, world.plan(NETWORK)))
    assert (network,) == only(world.read(PORT, P1)).dependency


def test_an_output_in_a_list_is_held_too() -> None:
    """Every item of a list is looked at."""
    world = make_world()
    mapping = {"for_field": "nets", "for_mapping": {"output_key": "id", "path": [
        {"type": "network", "id": ""}]}}  # fmt: skip
    world.write("v2.0/heat_templates/port", template("port", {"ids": mapping}))
    made(world, NETWORK, NET)
    plan = world.read(PORT, {**P1, "nets": ["n1", "n2"]})
    assert isinstance(plan, Hold)
    assert ResourceRef("network", "n2") == plan.missing
    assert plan.reason.startswith("port:p1: template port, param ids: network:n2 has neither")


def test_an_output_of_an_unknown_type_is_held() -> None:
    """A type without a schema can't have a stack."""
    world = make_world()
    mapping = {"output_key": "id", "path": [{"type": "moon", "id": "network_id"}]}
    world.write("v2.0/heat_templates/port", template("port", {"id": mapping}))
    plan = world.read(PORT, P1)
    assert isinstance(plan, Hold)
    assert ResourceRef("moon", "n1") == plan.missing


def test_an_own_output_is_made_by_an_earlier_job_of_the_workflow() -> None:
    """Monitoring may use what Heat is about to give; Heat itself may not."""
    world = make_world(heat_worker="Cport", monitoring_worker="Crouter")
    made(world, NETWORK, NET)
    own = {"own": {"output_key": "id"}}
    world.write("v2.0/heat_templates/router", template("router", own))
    assert ["create:heat_worker", "create:monitoring_worker"] == actions(world.plan_new(PORT, P1))
    world.write("v2.0/heat_templates/port", template("port", own))
    plan = world.plan_new(PORT, P1)
    assert isinstance(plan, Hold)
    assert ResourceRef("port", "p1") == plan.missing


def test_anothers_output_is_not_made_by_an_earlier_job_of_the_workflow() -> None:
    """What Heat makes before has the outputs of its own resource only."""
    world = make_world(heat_worker="Cport", monitoring_worker="Crouter")
    made(world, NETWORK, NET)
    others = {"other": "Mnetwork:other_id:id"}
    world.write("v2.0/heat_templates/router", template("router", others))
    plan = world.plan_new(PORT, {**P1, "other_id": "n2"})
    assert isinstance(plan, Hold)
    assert ResourceRef("network", "n2") == plan.missing


def test_a_missing_template_is_held() -> None:
    """Under the type of templates."""
    world = make_world("network")
    plan = world.read(NETWORK, NET)
    assert isinstance(plan, Hold)
    assert ResourceRef(TEMPLATE_TYPE, "network") == plan.missing
    assert "network:n1: template of heat_worker: there is no heat_template 'network'" == plan.reason


# Errors of a config.


def test_a_broken_template_is_the_configs_error() -> None:
    """Waiting would not help."""
    world = make_world()
    world.write("v2.0/heat_templates/network", template("network", {"name": "Z"}))
    plan = world.read(NETWORK, NET)
    assert isinstance(plan, Publish)
    assert WorkerState.READ_ERROR == plan.state.worker_state
    assert "name" in plan.state.error


def test_a_mapping_that_cannot_be_computed_is_the_configs_error() -> None:
    """And the older version's unclaimed job goes."""
    world = make_world()
    (first,) = ids(world.read(NETWORK, NET))
    mapping = {"concatenate": [{"field": "name"}, {"field": "nothing"}]}
    world.write("v2.0/heat_templates/network", template("network", {"name": mapping}))
    plan = world.read(NETWORK, NET, 2)
    assert isinstance(plan, Publish)
    assert (2, (first,)) == (plan.state.version, plan.collapse)


def test_a_template_mapping_that_cannot_be_computed_is_the_configs_error() -> None:
    """It yields a number."""
    world = make_world(heat_worker={"constant": 3})
    plan = world.read(PORT, P1)
    assert isinstance(plan, Publish)
    assert "template's id" in plan.state.error


@pytest.mark.parametrize(("path", "version"), [("v2.0/networks/a:b", 1), (NETWORK, -1)])
def test_what_cannot_be_named_in_a_jobs_id_is_the_configs_error(path: str, version: int) -> None:
    """An id with a colon, or a version below 0."""
    world = make_world()
    plan = world.read(path, {"id": "x"}, version)
    assert isinstance(plan, Publish)
    assert "can't stand in a job id" in plan.state.error or "parts" in plan.state.error


def test_too_many_dependencies_are_the_configs_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """The number found and the number allowed; as many as are allowed are well."""
    world = make_world()
    (first,) = ids(world.read(NETWORK, NET))
    monkeypatch.setattr(workflow_module, "MAX_DEPENDENCIES", 1)
    assert (first,) == only(world.plan_new(PORT, P1)).dependency
    monkeypatch.setattr(workflow_module, "MAX_DEPENDENCIES", 0)
    plan = world.plan_new(PORT, P1)
    assert isinstance(plan, Publish)
    assert "1 dependencies, at most 0 are allowed" == plan.state.error


def test_a_body_too_deep_for_a_job_is_the_configs_error() -> None:
    """It can be read, but not written as part of a job: of that one's levels two are its own."""
    world = make_world()
    deep = {**NET, "deep": json.loads("[" * 197 + "]" * 197)}
    job = only(world.plan_new(NETWORK, deep))
    assert job == world.codec.job(world.keys.job(job.id), world.codec.dumps(job))
    plan = world.plan_new(NETWORK, {**NET, "deep": [deep["deep"]]})
    assert isinstance(plan, Publish)
    assert "the body has more than 198 levels, which no job can hold" == plan.state.error


def test_a_removed_config_too_deep_for_a_job_leaves_an_orphan() -> None:
    """Its delete job can't be planned (``rules`` 16)."""
    world = make_world()
    made(world, TAG, {"id": "t1", "tenant_id": "t1"})
    world.read(TAG, {"id": "t1", "tenant_id": "t1", "deep": json.loads("[" * 198 + "]" * 198)})
    plan = world.remove(TAG)
    assert isinstance(plan, Orphaned)
    assert "the body has more than 198 levels, which no job can hold" == plan.reason


# Dependencies.


def test_a_job_waits_for_what_it_refers_to_and_what_refers_to_it() -> None:
    """Forwards and backwards, once each; a finished job is not waited for."""
    world = make_world()
    (network,) = ids(world.read(NETWORK, NET))
    port = only(world.read(PORT, P1))
    assert (network,) == port.dependency
    assert {port.id, network} == set(_dependency(world, NETWORK, NET, 2))
    world.move(port.id, Place.FINISHED)
    assert (network,) == _dependency(world, NETWORK, NET, 3)


def _dependency(world: World, path: str, body: dict[str, Any], version: int) -> tuple[JobId, ...]:
    """What a further version would wait for, all earlier ones being worked on."""
    for job in tuple(world.board):
        if job.unclaimed:
            world.move(job.job_id, Place.WORKING)
    world.write(path, body, version)
    return only(world.plan(path)).dependency


def test_the_first_job_waits_for_what_later_ones_refer_to() -> None:
    """The references are those of the whole workflow; the later jobs wait for the first."""
    world = make_world(heat_worker="Ctag", monitoring_worker="Crouter")
    refers = {"name": "Fnetwork+network_id:name"}
    world.write("v2.0/heat_templates/router", template("router", refers))
    (network,) = ids(world.read(NETWORK, NET))
    plan = world.read(PORT, P1)
    assert isinstance(plan, Enqueue)
    first, second = (planned.job for planned in plan.jobs)
    assert ((network,), (first.id,)) == (first.dependency, second.dependency)


def test_a_reference_to_itself_is_no_dependency_of_its_own() -> None:
    """A resource that refers to itself waits for its older versions once."""
    world = make_world()
    world.write("v2.0/heat_templates/network", template("network", {"x": "Fnetwork+id:name"}))
    assert () == only(world.read(NETWORK, NET)).dependency


def test_resources_are_repeated_when_the_config_was_read_before() -> None:
    """Once on a create, twice on every later version (seed 2, point 2)."""
    world = make_world()
    made(world, NETWORK, NET)
    first = only(world.read(PORT, P1))
    world.move(first.id, Place.WORKING)
    second = only(world.read(PORT, P1, 2))
    network = ResourceRef("network", "n1")
    assert [(network,), (network, network)] == [job.params[0].resources for job in (first, second)]


# Rules 7 and 8: superseding.


def test_a_needed_version_is_not_collapsed() -> None:
    """Another resource's job waits for it: it runs."""
    world = make_world()
    (network,) = ids(world.read(NETWORK, NET))
    (port,) = ids(world.read(PORT, P1))
    plan = world.read(NETWORK, NET, 2)
    assert isinstance(plan, Enqueue)
    assert ((), {network, port}) == (plan.collapse, set(only(plan).dependency))


def test_versions_of_a_type_that_counts_none_are_told_apart() -> None:
    """Version 0 runs; of the version-0 changes after it only the last is left."""
    world = make_world()
    (running,) = ids(world.read(TAG, {"id": "t1", "name": "a"}, 0))
    world.move(running, Place.WORKING)
    (second,) = ids(world.read(TAG, {"id": "t1", "name": "b"}, 0))
    plan = world.read(TAG, {"id": "t1", "name": "c"}, 0)
    assert isinstance(plan, Enqueue)
    assert ((second,), (running,)) == (plan.collapse, only(plan).dependency)


def test_a_running_job_is_not_ended_by_a_newer_version() -> None:
    """The newer one waits."""
    world = make_world()
    (first,) = ids(world.read(NETWORK, NET))
    world.move(first, Place.WORKING)
    plan = world.read(NETWORK, NET, 2)
    assert isinstance(plan, Enqueue)
    assert ((), (), (first,)) == (plan.collapse, plan.preempt, only(plan).dependency)


def test_a_delete_pre_empts_a_running_job() -> None:
    """Its holder ends it, and the delete waits for that."""
    world = make_world()
    (first,) = ids(world.read(NETWORK, NET))
    world.move(first, Place.WORKING)
    plan = world.read(NETWORK, NET, 2, marked=True)
    assert isinstance(plan, Enqueue)
    assert ((), (first,), (first,)) == (plan.collapse, plan.preempt, only(plan).dependency)


def test_a_delete_does_not_pre_empt_what_another_resource_needs() -> None:
    """It runs to its end."""
    world = make_world()
    (network,) = ids(world.read(NETWORK, NET))
    world.read(PORT, P1)
    world.move(network, Place.WORKING)
    plan = world.read(NETWORK, NET, 2, marked=True)
    assert isinstance(plan, Enqueue)
    assert ((), ()) == (plan.collapse, plan.preempt)


def test_a_delete_does_not_pre_empt_a_delete() -> None:
    """A second mark waits for the first one's job."""
    world = make_world()
    made(world, NETWORK, NET)
    (first,) = ids(world.read(NETWORK, NET, 2, marked=True))
    world.move(first, Place.WORKING)
    plan = world.read(NETWORK, NET, 3, marked=True)
    assert isinstance(plan, Enqueue)
    assert ((), (first,)) == (plan.preempt, only(plan).dependency)


def test_a_delete_collapses_what_the_pre_empted_workflow_had_left() -> None:
    """Monitoring that Heat's ended job would have been followed by does not begin."""
    world = make_world(heat_worker="Cport", monitoring_worker="Crouter")
    made(world, NETWORK, NET)
    heat, monitoring = ids(world.read(PORT, P1))
    world.move(heat, Place.WORKING)
    plan = world.read(PORT, P1, 2, marked=True)
    assert isinstance(plan, Enqueue)
    assert ((monitoring,), (heat,)) == (plan.collapse, plan.preempt)


@pytest.mark.parametrize("mapping", ["Z", {"concatenate": [{"field": "nothing"}]}])
def test_mapping_errors_never_block_a_delete(mapping: object) -> None:
    """What can't be computed is left out; the stack is named without it."""
    world = make_world()
    made(world, NETWORK, NET)
    mappings = {"name": mapping, "good": "Pname"}
    world.write("v2.0/heat_templates/network", template("network", mappings))
    job = only(world.read(NETWORK, NET, 2, marked=True))
    computed = [] if mapping == "Z" else ["good"]
    assert ("logical_delete", computed) == (job.action, [param.param for param in job.params])


def test_a_missing_template_never_blocks_a_delete() -> None:
    """Nor does a template mapping that gives a number, or refers to what is not there."""
    world = make_world("network", heat_worker="Fnetwork+network_id:name")
    world.stack(NETWORK)
    assert () == only(world.read(NETWORK, NET, 2, marked=True)).params
    assert () == only(world.read(PORT, {**P1, "network_id": "n9"}, 2, marked=True)).params


# Several handlers.


def monitored() -> World:
    """A network that is done, and ports with both handlers."""
    world = make_world(heat_worker="Cport", monitoring_worker="Crouter")
    made(world, NETWORK, NET)
    return world


def test_a_create_with_two_handlers() -> None:
    """Heat, then monitoring, which waits for it and ends the workflow."""
    world = monitored()
    plan = world.read(PORT, P1)
    assert isinstance(plan, Enqueue)
    heat, monitoring = (planned.job for planned in plan.jobs)
    assert [(True, False), (False, True)] == [
        (job.is_first, job.is_last) for job in (heat, monitoring)
    ]
    assert ((), (heat.id,)) == (heat.dependency, monitoring.dependency)


def test_a_modify_with_two_handlers() -> None:
    """The old monitoring ends with the old values, come what may; then Heat, then monitoring."""
    world = monitored()
    finish(world, PORT, world.read(PORT, {**P1, "name": "old"}))
    plan = world.read(PORT, {**P1, "name": "new"}, 2)
    assert isinstance(plan, Enqueue)
    end, heat, monitoring = (planned.job for planned in plan.jobs)
    assert [
        "delete:monitoring_worker",
        "modify:heat_worker",
        "create:monitoring_worker",
    ] == actions(plan)
    assert [OnFailure.IGNORE, OnFailure.FAIL, OnFailure.FAIL] == [
        job.on_failure for job in (end, heat, monitoring)
    ]
    assert ["old", "new"] == [job.params[0].value for job in (end, monitoring)]
    assert (end.id, heat.id) == monitoring.dependency


def test_a_logical_delete_with_two_handlers() -> None:
    """Monitoring ends first, and does not begin again."""
    world = monitored()
    made(world, PORT, P1)
    plan = world.read(PORT, P1, 2, marked=True)
    assert ["delete:monitoring_worker", "logical_delete:heat_worker"] == actions(plan)


def test_monitoring_of_what_was_never_read_before_does_not_end() -> None:
    """A modify of a stack that was there before: nothing of it is known to be monitored."""
    world = monitored()
    world.stack(PORT)
    assert ["modify:heat_worker", "create:monitoring_worker"] == actions(world.read(PORT, P1))


def test_the_old_monitoring_ends_by_the_old_configs_template() -> None:
    """A port that was not monitored before has no monitoring to end."""
    choice = {**_dhcp_mapping(), "else_mapping": {"constant": "router"}}
    world = make_world(heat_worker="Cnetwork", monitoring_worker=choice)
    finish(world, PORT, world.read(PORT, DHCP))
    plan = world.read(PORT, P1, 2)
    assert ["modify:heat_worker", "create:monitoring_worker"] == actions(plan)


def test_monitoring_alone_is_a_workflow() -> None:
    """No Heat: one job, first and last."""
    world = make_world()
    plan = world.read(ROUTER, {"id": "r1"})
    job = only(plan)
    assert ("monitoring_worker", True, True) == (job.handler, job.is_first, job.is_last)


def test_a_delete_of_what_has_only_monitoring_that_is_unknown() -> None:
    """Something must answer: Heat's delete of a stack that is not there."""
    world = make_world()
    plan = world.read(ROUTER, {"id": "r1"}, 1, marked=True)
    assert ["logical_delete:heat_worker"] == actions(plan)


def test_only_heat_jobs_of_other_resources_are_waited_for() -> None:
    """Another resource's monitoring keeps nobody waiting; one's own older version's does."""
    world = monitored()
    world.write("v2.0/heat_templates/network", template("network", {"p": "Fport+port_id:name"}))
    heat, monitoring = ids(world.read(PORT, P1))
    assert (heat,) == only(world.plan_new(NETWORK, {**NET, "port_id": "p1"}, 2)).dependency
    world.move(heat, Place.WORKING)
    plan = world.read(PORT, P1, 2)
    assert isinstance(plan, Enqueue)
    assert (heat, monitoring) == plan.jobs[0].job.dependency


def test_a_changed_resource_without_monitoring_has_none_to_end() -> None:
    """One handler: one job."""
    world = make_world()
    made(world, NETWORK, NET)
    assert ["modify:heat_worker"] == actions(world.read(NETWORK, {**NET, "name": "red"}, 2))


def test_a_broken_template_is_its_monitorings_error_too() -> None:
    """Ending the old monitoring needs no params; beginning the new one does."""
    world = monitored()
    made(world, PORT, P1)
    world.write("v2.0/heat_templates/router", template("router", {"name": "Z"}))
    assert isinstance(world.plan_new(PORT, P1, 2), Publish)
    world.write(PORT, P1, 2, marked=True)
    assert [0, 2] == [len(planned.job.params) for planned in _jobs(world.plan(PORT))]


def _jobs(plan: Plan) -> tuple[PlannedJob, ...]:
    assert isinstance(plan, Enqueue), plan
    return plan.jobs


# Rule 9: template skew.


def again(world: World, job: Job, name: str) -> Job:
    """Params anew."""
    schema = world.schemas.by_type(job.resource_type)
    assert schema is not None
    return evaluate_again(job, schema, world.view, world.schemas, name)


def test_params_are_evaluated_again() -> None:
    """By the template as it is now, from the job's own body; the rest stays."""
    world = make_world()
    job = only(world.read(NETWORK, NET))
    world.write("v2.0/heat_templates/network", template("network", {"title": "Pname"}))
    evaluated = again(world, job, "network")
    assert [("title", "blue")] == [(param.param, param.value) for param in evaluated.params]
    assert job == attrs.evolve(evaluated, params=job.params)


def test_dependencies_are_not_computed_again_with_params() -> None:
    """What it waits for may be done by now, and what was planned since comes after it."""
    world = make_world()
    network = only(world.read(NETWORK, NET))
    job = only(world.read(PORT, P1))
    world.gone(network.id)
    finish(world, NETWORK, world.read(NETWORK, NET, 2), 2)
    world.read(NETWORK, NET, 3)
    world.read(PORT, P1, 2)
    assert (network.id,) == again(world, job, "port").dependency


def test_resources_stay_repeated_when_evaluated_again() -> None:
    """A modify has its resources twice."""
    world = make_world()
    made(world, NETWORK, NET)
    made(world, PORT, P1)
    job = only(world.read(PORT, P1, 2))
    assert job == again(world, job, "port")


def test_a_template_that_is_gone_or_broken_is_an_error() -> None:
    """Old params never meet a new template."""
    world = make_world()
    job = only(world.read(NETWORK, NET))
    with pytest.raises(MappingError, match="there is no such heat_template"):
        again(world, job, "moon")
    world.write("v2.0/heat_templates/network", template("network", {"name": "Z"}))
    with pytest.raises(MappingError, match="name"):
        again(world, job, "network")


# Removals: runtime 4, rules 11, 15, 16.


def test_a_key_gone_after_a_logical_delete_is_forgotten() -> None:
    """The stack is gone: no job, the records go."""
    world = make_world()
    (first,) = ids(world.read(NETWORK, NET, marked=True))
    world.gone(first)
    assert Forget() == world.remove(NETWORK)


def test_a_key_gone_before_anything_began_is_forgotten() -> None:
    """With the job that nobody has begun."""
    world = make_world()
    (first,) = ids(world.read(NETWORK, NET))
    assert Forget(collapse=(first,)) == world.remove(NETWORK)


def test_a_one_step_delete_removes_the_stack() -> None:
    """A delete job from what is known, and a processed copy that says so."""
    world = make_world()
    made(world, TAG, {"id": "t1", "name": "a"})
    plan = world.remove(TAG)
    job = only(plan)
    assert isinstance(plan, Enqueue)
    assert ("delete:heat_worker:tag:t1:1", "a") == (str(job.id)[:-6], job.params[0].value)
    assert (
        ProcessedConfig(body={"id": "t1", "name": "a"}, deleted=True, version=1) == plan.processed
    )


def test_a_one_step_delete_pre_empts() -> None:
    """A create that runs is ended; a change after it is collapsed."""
    world = make_world()
    (first,) = ids(world.read(TAG, {"id": "t1"}, 0))
    world.move(first, Place.WORKING)
    (second,) = ids(world.read(TAG, {"id": "t1", "name": "b"}, 0))
    plan = world.remove(TAG)
    assert isinstance(plan, Enqueue)
    assert ((second,), (first,), (first,)) == (plan.collapse, plan.preempt, only(plan).dependency)


def test_a_delete_on_its_way_is_not_planned_again() -> None:
    """The key's absence is read twice."""
    world = make_world()
    made(world, TAG, {"id": "t1"})
    world.remove(TAG)
    assert Unchanged() == world.remove(TAG)


def test_what_was_created_after_a_delete_is_deleted_again() -> None:
    """Deleted, created and deleted again while the first delete runs: the last word is a delete."""
    world = make_world()
    made(world, TAG, {"id": "t1"})
    (first,) = ids(world.remove(TAG))
    world.move(first, Place.WORKING)
    (second,) = ids(world.read(TAG, {"id": "t1"}))
    plan = world.remove(TAG)
    assert isinstance(plan, Enqueue)
    assert ((second,), (first,)) == (plan.collapse, only(plan).dependency)


def test_a_marked_key_gone_while_its_stack_lives_is_deleted() -> None:
    """The logical delete failed, or runs: what was marked may be deleted."""
    world = make_world()
    made(world, NETWORK, NET)
    (first,) = ids(world.read(NETWORK, NET, 2, marked=True))
    world.move(first, Place.WORKING)
    job = only(world.remove(NETWORK))
    assert ("delete", (first,)) == (job.action, job.dependency)


def test_an_unmarked_key_gone_of_a_two_step_type_is_an_orphan() -> None:
    """Its stack is kept, unless the operator chose otherwise."""
    world = make_world()
    made(world, NETWORK, NET)
    reason = "config of a type with two-step deletion removed without a mark"
    assert Orphaned(reason=reason) == world.remove(NETWORK)
    assert ["delete:heat_worker"] == actions(world.remove(NETWORK, delete_orphans=True))


def test_a_stack_of_which_nothing_is_known_is_an_orphan() -> None:
    """It can be deleted by its record alone."""
    world = make_world()
    world.stack(TAG, "t9")
    assert Orphaned(reason="config removed of which nothing was known") == world.remove(TAG)
    job = only(world.remove(TAG, delete_orphans=True))
    assert {"id": "t1", "tenant_id": "t9"} == job.resource_input


def test_a_job_of_which_nothing_is_known_is_an_orphan() -> None:
    """No processed copy, no stack's record, but a job that may make one."""
    world = make_world()
    (first,) = ids(world.read(TAG, {"id": "t1"}))
    world.move(first, Place.WORKING)
    world.estate.drop_processed(world.change(TAG).path)
    assert isinstance(world.remove(TAG, delete_orphans=True), Orphaned)


def test_a_delete_that_cannot_be_named_is_an_orphan() -> None:
    """A job's id has no room for a colon."""
    world = make_world()
    path = "v2.0/tags/a:b"
    world.read(path, {"id": "a:b"})
    world.stack(path)
    plan = world.remove(path)
    assert isinstance(plan, Orphaned)
    assert "parts" in plan.reason
