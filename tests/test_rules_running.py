"""Rules 11 to 20: how jobs run, fail and end, each rule a test."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gohan_jobs.clock import VirtualClock
from gohan_jobs.events import (
    JobCancelled,
    JobClaimed,
    JobFailed,
    JobFinished,
    JobHandedBack,
    JobSuperseded,
    LeaseLost,
    OrphanFound,
)
from gohan_jobs.exceptions import (
    ClaimLost,
    Degraded,
    OrchestratorRefused,
    OrchestratorUnavailable,
    StoreUnavailable,
)
from gohan_jobs.handlers import Done, GiveUp, JobContext, RetryLater
from gohan_jobs.keys import Place
from gohan_jobs.lifecycle import Role
from gohan_jobs.manager import ManagerOptions
from gohan_jobs.orchestrators.base import StackRequest
from gohan_jobs.orchestrators.simulated import Outcome, SimulatedHeat
from gohan_jobs.records import HeatStack, StackOutput
from gohan_jobs.stores.base import Delete, Lease
from gohan_jobs.stores.memory import MemoryStore
from gohan_jobs.testing.faults import FaultyStore
from gohan_jobs.worker import WorkerOptions
from gohan_jobs.worker.registration import Registration
from worlds import ALIAS, DISK, HOT, NETWORK, PORT, TENANT, World, ref


def made(world: World, *resources: Any) -> None:
    """Make resources, and wait until they are."""
    for resource in resources:
        world.write(resource, {"name": "x", "network_id": "n1"})
    world.pass_time(10)


# 11 Failure records, one-step delete


@pytest.mark.parametrize(
    ("version", "marked", "expected"),
    [(1, False, "CREATE_ERROR"), (2, False, "MODIFY_ERROR"), (2, True, "DELETE_ERROR")],
)
def test_rule_11_failure_records(version: int, marked: bool, expected: str) -> None:  # noqa: FBT001 - a case
    """State, job state and stack record say what failed, and how."""
    world = World()
    if version > 1:
        made(world, NETWORK)
    failure = Outcome(fails=True, reason="no valid host", outputs=())
    world.heat.script("network_n1", *[failure] * 5)
    world.write(NETWORK, {"name": "y"}, version, marked=marked)
    world.pass_time(60)
    key = world.keys.state_of(world.path(NETWORK))
    state = json.loads(world.text(key) or b"{}")
    assert {
        "worker_state": expected,
        "orchestration_state": expected,
        "heat_outputs": "[]",
    } == state["state"]
    assert version == state["version"]
    assert "no valid host" in state["error"]
    job_state = world.written(world.keys.job_state_of(world.path(NETWORK)))[-1]
    assert (expected, state["error"]) == (job_state["orchestration_state"], job_state["error"])
    stack = world.stack(NETWORK)
    assert stack is not None
    assert "no valid host" == stack.status_reason
    assert str(stack.stack_status).endswith("_FAILED")


def test_rule_11_a_one_step_delete() -> None:
    """The key goes without a mark: a delete job removes the stack and the records, no state."""
    world = World()
    made(world, DISK)
    world.lifecycle.delete(DISK)
    world.pass_time(5)
    assert [("create", "disk_d1"), ("delete", "disk_d1")] == world.changes()
    assert [("CREATE_COMPLETED", 1, "")] == world.states_of(DISK)
    assert {} == world.under("/esi-worker/")
    assert {} == world.under("/jobs/")
    assert {} == world.under("/state/")


def test_rule_11_heat_stacks_goes_last() -> None:
    """A record of the stack stays as long as the stack does."""
    world = World(operation_seconds=10)
    world.write(DISK, {"name": "x"})
    world.pass_time(20)
    world.remove_config(DISK, state=True)
    world.settle()
    assert world.stack(DISK) is not None
    world.pass_time(20)
    assert world.stack(DISK) is None


def test_rule_11_a_one_step_delete_that_fails_leaves_an_orphan() -> None:
    """The records stay, nothing is written to ``/state``, and an orphan is reported."""
    world = World()
    made(world, DISK)
    world.heat.script("disk_d1", *[Outcome(fails=True, reason="in use")] * 5)
    world.lifecycle.delete(DISK)
    world.pass_time(60)
    assert [DISK] == [event.resource for event in world.told(OrphanFound)]
    assert world.stack(DISK) is not None
    assert {} == world.under("/state/")
    assert {} == world.under("/jobs/")
    since = world.store.revision()
    world.restart()
    world.pass_time(60)
    assert [] == [w.key for w in world.history("/jobs/") if w.revision > since]


# 12 At least once, one published result


def test_rule_12_one_result_though_the_worker_dies() -> None:
    """A worker dies after Heat was asked: another finishes the job, and publishes once."""
    world = World(operation_seconds=10)
    world.write(NETWORK, {"name": "x"})
    world.settle()
    world.restart()
    world.pass_time(60)
    assert [("CREATE_COMPLETED", 1, "")] == world.states_of(NETWORK)
    assert [("create", "network_n1")] == world.changes()


def test_rule_12_retries_come_before_the_result() -> None:
    """A handler that raises something unknown is run again; then that is the result."""
    tries: list[int] = []

    def broken(context: JobContext) -> Done:
        tries.append(context.attempt)
        raise ZeroDivisionError

    world = World(handlers={"heat_worker": broken}, worker=WorkerOptions(unexpected_retries=2))
    world.write(NETWORK, {"name": "x"})
    world.pass_time(60)
    assert 3 == len(tries)
    assert [("CREATE_ERROR", 1, "handler raised ZeroDivisionError")] == world.states_of(NETWORK)


# 13 Adoption


def test_rule_13_tags_name_version_and_suffix() -> None:
    """Every create and update carries the tag."""
    world = World()
    made(world, NETWORK)
    world.write(NETWORK, {"name": "y"}, 2)
    world.pass_time(5)
    ids = [write.key.split(":")[-1] for write in world.history("/jobs/all/") if write.kind == "put"]
    assert [(f"gohan-jobs:{n}:{suffix}",) for n, suffix in enumerate(ids, 1)] == [
        call.tags for call in world.heat.changes
    ]


@pytest.mark.parametrize("version", [1, 2])
def test_rule_13_a_worker_that_died_after_its_call_is_succeeded(version: int) -> None:
    """The stack bears the job's tag: its status is the job's result, nothing is asked again."""
    world = World(operation_seconds=10)
    for number in range(1, version + 1):
        world.write(NETWORK, {"name": str(number)}, number)
        world.settle()
        if number < version:
            world.pass_time(20)
    asked = len(world.changes())
    world.restart()
    world.pass_time(60)
    assert asked == len(world.changes())
    assert version == (world.outcome(NETWORK) or ("", 0, ""))[1]


def test_rule_13_version_2_is_never_done_on_version_1s_stack() -> None:
    """A foreign operation under way is waited for, then the stack is updated."""
    world = World(operation_seconds=10)
    request = StackRequest(
        name="network_n1", tenant=TENANT, template=HOT, parameters={}, tags=("gohan-jobs:1:zzzzz",)
    )
    world.heat.create(request)
    world.write(NETWORK, {"name": "two"}, 2)
    world.settle()
    assert [("create", "network_n1")] == world.changes()
    world.pass_time(40)
    assert [("create", "network_n1"), ("update", "network_n1")] == world.changes()
    stack = world.stack(NETWORK)
    assert stack is not None
    assert "UPDATE_COMPLETE" == stack.stack_status


def test_rule_13_what_a_frozen_worker_sent_is_superseded_by_an_update() -> None:
    """While this job waits, the stack is changed under another tag: it is updated again."""
    world = World(operation_seconds=10)
    world.write(NETWORK, {"name": "x"})
    world.settle()
    stack = world.heat.find(TENANT, "network_n1")
    assert stack is not None
    frozen = StackRequest(
        name="network_n1", tenant=TENANT, template=HOT, parameters={}, tags=("gohan-jobs:0:old00",)
    )
    world.heat.update(stack, frozen)
    world.pass_time(60)
    last = world.heat.changes[-1]
    assert ("update", "x") == (last.op, last.parameters["name"])
    assert ("CREATE_COMPLETED", 1, "") == world.outcome(NETWORK)


# 14 Failure


def test_rule_14_a_failure_cancels_along_forward_references() -> None:
    """The port refers to the network: it is cancelled, and says for what."""
    world = World()
    world.heat.script("network_n1", Outcome(fails=True, reason="boom"))
    world.write(NETWORK, {"name": "x"})
    world.write(PORT, {"name": "p", "network_id": "n1"})
    world.pass_time(10)
    network, port = world.outcome(NETWORK), world.outcome(PORT)
    assert network is not None
    assert port is not None
    assert "CREATE_ERROR" == port[0]
    job_id = next(w.key for w in world.history("/jobs/all/create:heat_worker:network"))
    assert f"cancelled: {job_id.removeprefix('/jobs/all/')} failed: {network[2]}" == port[2]
    assert {} == world.under("/jobs/")
    assert 1 == len(world.told(JobCancelled))


def test_rule_14_not_between_versions() -> None:
    """Version 2 is released by any end of version 1, and repairs the stack."""
    world = World(operation_seconds=5)
    world.heat.script("network_n1", Outcome(fails=True, reason="boom"))
    world.write(NETWORK, {"name": "x"}, 1)
    world.settle()
    world.write(NETWORK, {"name": "x"}, 2)
    world.pass_time(30)
    assert ["CREATE_ERROR", "MODIFY_COMPLETED"] == [s[0] for s in world.states_of(NETWORK)]


def test_rule_14_not_along_reverse_and_delete_edges() -> None:
    """The network waits for the port that refers to it; the port's failure releases it."""
    world = World(operation_seconds=5)
    world.write(NETWORK, {"name": "x"}, 1)
    world.pass_time(10)
    world.heat.script("port_p1", Outcome(fails=True, reason="boom"))
    world.write(PORT, {"name": "p", "network_id": "n1"})
    world.settle()
    world.write(NETWORK, {"name": "y"}, 2)
    world.settle()
    assert Place.WAITING is world.place(world.job(NETWORK, 2).id)
    world.pass_time(30)
    assert ("MODIFY_COMPLETED", 2, "") == world.outcome(NETWORK)


def test_rule_14_a_delete_of_who_refers_to_it_goes_on() -> None:
    """A port that is deleted waits for its network's change, whatever comes of that."""
    world = World(operation_seconds=5)
    made(world, NETWORK)
    world.write(PORT, {"name": "p", "network_id": "n1"})
    world.pass_time(10)
    world.heat.script("network_n1", Outcome(fails=True, reason="boom"), op="update")
    world.write(NETWORK, {"name": "y"}, 2)
    world.settle()
    world.write(PORT, {"name": "p", "network_id": "n1"}, 2, marked=True)
    world.settle()
    assert Place.WAITING is world.place(world.job(PORT, 2).id)
    world.pass_time(30)
    assert ("DELETE_COMPLETED", 2, "") == world.outcome(PORT)


def test_rule_14_a_failed_delete_lets_down_nobody() -> None:
    """A port that refers to a network on its way out waits for that, and is changed then."""
    world = World(operation_seconds=5)
    made(world, NETWORK)
    world.write(PORT, {"name": "p", "network_id": "n1"})
    world.pass_time(10)
    refuses = Outcome(error=OrchestratorRefused("403"))
    world.heat.script("network_n1", refuses, op="delete")
    world.write(NETWORK, {"name": "x"}, 2, marked=True)
    world.step_until(world.jobs)
    world.write(PORT, {"name": "q", "network_id": "n1"}, 2)
    world.pass_time(30)
    outcomes = [world.outcome(resource) for resource in (NETWORK, PORT)]
    assert ["DELETE_ERROR", "MODIFY_COMPLETED"] == [(found or ("",))[0] for found in outcomes]


CHAIN = [ref("link", f"l{number}") for number in range(6)]


def chain_world(**options: Any) -> World:
    """Links, each of which needs the one before."""
    from gohan_jobs.schemas import Schema, Schemas  # noqa: PLC0415 - only here

    link = Schema(
        type="link",
        prefix="v2.0/links",
        relations={"before_id": "link"},
        templates={"heat_worker": "Clink"},
        state_versioning=True,
    )
    own = {"tenant_id": "Ptenant_id", "name": {"field": "name", "path": ["before_id"]}}
    mapping = {**own, "name": {**own["name"], "ignore_missing": True}}  # type: ignore[dict-item]  # an object form
    world = World(schemas=Schemas([link]), templates={"link": mapping}, **options)
    for number, resource in enumerate(CHAIN):
        world.write(resource, {"name": "x", "before_id": f"l{number - 1}"})
    return world


def test_rule_14_transitively() -> None:
    """All that need the failed one, through others too; the last of the chain first."""
    world = chain_world()
    world.heat.script("link_l0", Outcome(fails=True, reason="boom"))
    world.pass_time(10)
    outcomes = [world.outcome(resource) for resource in CHAIN]
    assert ["CREATE_ERROR"] * 6 == [outcome[0] for outcome in outcomes if outcome]
    cancelled = [event.job_id.resource_id for event in world.told(JobCancelled)]
    assert ["l5", "l4", "l3", "l2", "l1"] == cancelled
    assert 1 == len({event.reason for event in world.told(JobCancelled)})


def test_rule_14_the_failed_job_stays_until_all_are_done() -> None:
    """A leader that dies midway: the next one cancels the rest."""
    world = chain_world(manager=ManagerOptions(batch=1, claim_pause=1.0))
    world.heat.script("link_l0", Outcome(fails=True, reason="boom"))
    world.settle()
    world.clock.advance(1)
    world.step_until(lambda: len(world.told(JobCancelled)) == 2)
    assert 4 == len(world.jobs())
    world.restart()
    world.pass_time(10)
    assert ["CREATE_ERROR"] * 6 == [(world.outcome(r) or ("",))[0] for r in CHAIN]
    assert [("create", "link_l0")] == world.changes()


def hold_world() -> World:
    """Dependants are held for a minute."""
    options = ManagerOptions(on_dependency_failure="hold", dependency_hold_time=60.0)
    world = World(manager=options)
    world.heat.script("network_n1", Outcome(fails=True, reason="boom"))
    world.write(NETWORK, {"name": "x"})
    world.write(PORT, {"name": "p", "network_id": "n1"})
    world.pass_time(10)
    return world


@pytest.mark.parametrize("restart", [False, True])
def test_rule_14_held_dependants_go_on_when_it_recovers(restart: bool) -> None:  # noqa: FBT001 - a case
    """``on_dependency_failure="hold"``: a new version that works lets them run."""
    world = hold_world()
    assert {"create p1:1": "waiting"} == world.places()
    if restart:
        world.remove_config(DISK)
        world.lifecycle.close()
        world.lifecycle = world.peer(
            manager=ManagerOptions(on_dependency_failure="hold", dependency_hold_time=60.0), seed=5
        )
    world.write(NETWORK, {"name": "x"}, 2)
    world.pass_time(10)
    assert ("CREATE_COMPLETED", 1, "") == world.outcome(PORT)


def test_rule_14_held_dependants_have_a_deadline() -> None:
    """Nothing recovers: they are cancelled."""
    world = hold_world()
    world.pass_time(120)
    port = world.outcome(PORT)
    assert port is not None
    assert port[2].startswith("cancelled: create:heat_worker:network:n1:1:")
    assert {} == world.under("/jobs/")


def test_rule_14_a_deadline_is_everybodys() -> None:
    """Those further down the chain end with the first that was held, and are told the same."""
    options = ManagerOptions(on_dependency_failure="hold", dependency_hold_time=60.0)
    world = chain_world(manager=options)
    world.heat.script("link_l0", Outcome(fails=True, reason="boom"))
    world.pass_time(30)
    assert 5 == len(world.jobs())
    world.pass_time(45)
    told = {(world.outcome(resource) or ("",))[-1] for resource in CHAIN[1:]}
    assert (1, {}) == (len(told), world.under("/jobs/"))
    assert told.pop().startswith("cancelled: create:heat_worker:link:l0:1:")


# 15 A config that goes while its job runs


def test_rule_15_no_result_is_written_for_a_config_that_is_gone() -> None:
    """The queue is cleared, and rule 16 applies: of a two-step type, an orphan."""
    world = World(operation_seconds=10)
    world.write(NETWORK, {"name": "x"})
    world.settle()
    world.remove_config(NETWORK)
    world.pass_time(60)
    assert [] == world.states_of(NETWORK)
    assert {} == world.under("/jobs/")


def test_rule_15_a_one_step_type_is_deleted_then() -> None:
    """Rule 11 applies: the stack that was being made is removed."""
    world = World(operation_seconds=10)
    world.write(DISK, {"name": "x"})
    world.settle()
    world.remove_config(DISK)
    world.pass_time(60)
    assert [] == world.states_of(DISK)
    assert world.heat.find(TENANT, "disk_d1") is None
    assert {} == world.under("/jobs/")
    assert {} == world.under("/esi-worker/")


@pytest.mark.parametrize("resource", [NETWORK, DISK], ids=str)
def test_rule_15_a_config_created_again_takes_over_the_stack(resource: Any) -> None:
    """The old job's result is nobody's; the new config has one of its own."""
    world = World(operation_seconds=10)
    world.write(resource, {"name": "old"})
    world.settle()
    world.remove_config(resource)
    world.write(resource, {"name": "new"})
    world.pass_time(90)
    (state,) = world.states_of(resource)
    assert (1, "") == state[1:]
    last = world.heat.changes[-1]
    assert "new" == last.parameters["name"]
    assert {} == world.under("/jobs/")


@pytest.mark.parametrize("again", [False, True], ids=["gone", "created again"])
def test_rule_15_a_removed_config_is_seen_by_the_claim_too(
    again: bool,  # noqa: FBT001 - a case
) -> None:
    """A job whose config went while it was ready ends without its handler."""
    world = World(roles=(Role.MANAGER,))
    world.write(NETWORK, {"name": "x"})
    world.settle()
    world.lifecycle.close()
    world.remove_config(NETWORK)
    if again:
        world.write(NETWORK, {"name": "x"})
    worker = world.peer(roles=(Role.WORKER,))
    worker.run_until_idle()
    assert [] == world.changes()
    assert [NETWORK.resource_id] == [e.job_id.resource_id for e in world.told(JobSuperseded)]


# 16 Orphans


def test_rule_16_a_two_step_type_that_went_unmarked() -> None:
    """The stack and its record are kept, and an orphan reported, once."""
    world = World()
    made(world, NETWORK)
    world.remove_config(NETWORK, state=True)
    world.pass_time(10)
    assert [NETWORK] == [event.resource for event in world.told(OrphanFound)]
    assert world.stack(NETWORK) is not None
    world.restart()
    world.pass_time(10)
    assert 1 == len(world.told(OrphanFound))
    assert world.heat.find(TENANT, "network_n1") is not None


def test_rule_16_orphans_delete() -> None:
    """If told so, their stacks are deleted all the same."""
    world = World(manager=ManagerOptions(orphans="delete"))
    made(world, NETWORK)
    world.remove_config(NETWORK, state=True)
    world.pass_time(10)
    assert world.heat.find(TENANT, "network_n1") is None
    assert {} == world.under("/esi-worker/")


def test_rule_16_an_orphan_whose_config_comes_back_is_none_any_more() -> None:
    """Its stack is taken over; a later delete leaves nothing."""
    world = World()
    made(world, NETWORK)
    world.remove_config(NETWORK, state=True)
    world.pass_time(5)
    world.write(NETWORK, {"name": "back"}, 1)
    world.pass_time(5)
    assert ("MODIFY_COMPLETED", 1, "") == world.outcome(NETWORK)
    assert {} == world.under("/gohan-jobs/orphans/")
    world.write(NETWORK, {"name": "back"}, 2, marked=True)
    world.pass_time(5)
    world.remove_config(NETWORK, state=True)
    world.pass_time(5)
    assert {} == world.under("/esi-worker/")


def many_world(known: int = 10, **options: Any) -> World:
    """So many aliases, known; more than two removals are too many, if more than 5 %."""
    world = World(manager=ManagerOptions(max_removals=2), **options)
    for number in range(known):
        world.write(ref("alias", f"a{number}"))
    world.settle()
    return world


def remove_aliases(world: World, number: int) -> None:
    """Remove the first of them, while nobody looks."""
    world.transact(*[Delete(world.keys.config_of(f"v2.0/aliases/a{n}")) for n in range(number)])  # type: ignore[arg-type]  # a path
    world.restart()


def degraded(world: World) -> str:
    """Why the manager stops."""
    with pytest.raises(Degraded) as stopped:
        world.settle()
    return stopped.value.reason


def test_rule_16_too_many_removals_need_an_operator() -> None:
    """It stops, and goes on only when told that it is meant so."""
    world = many_world()
    remove_aliases(world, 5)
    assert "5 of 10 known resources have no config any more" == degraded(world)
    assert 10 == len(world.under("/esi-worker/config/"))
    world.lifecycle.resume()
    degraded(world)
    assert {
        "manager": "5 of 10 known resources have no config any more"
    } == world.lifecycle.troubles
    world.lifecycle.resume(accept=True)
    world.settle()
    assert 5 == len(world.under("/esi-worker/config/"))
    assert {} == world.lifecycle.troubles


@pytest.mark.parametrize(
    ("known", "removed", "stops"),
    [(10, 2, False), (10, 3, True), (60, 3, False), (60, 4, True)],
    ids=["as many", "more", "as large a share", "a larger one"],
)
def test_rule_16_both_number_and_share_count(
    known: int,
    removed: int,
    stops: bool,  # noqa: FBT001 - a case
) -> None:
    """More than so many, and more than 5 %: either alone is a day's work."""
    world = many_world(known)
    remove_aliases(world, removed)
    if stops:
        assert f"{removed} of {known}" in degraded(world)
    else:
        world.settle()
    expected = known if stops else known - removed
    assert expected == len(world.under("/esi-worker/config/"))


def test_rule_16_what_is_too_many() -> None:
    """More than 100 and more than 5 %, unless told otherwise."""
    options = ManagerOptions()
    assert (100, 0.05) == (options.max_removals, options.max_removal_share)


def test_rule_16_what_was_accepted_once_is_asked_about_again() -> None:
    """An operator has looked at those, not at what comes later."""
    world = many_world()
    remove_aliases(world, 5)
    degraded(world)
    world.lifecycle.resume(accept=True)
    world.settle()
    manager = world.lifecycle._manager
    assert manager is not None
    manager._unload()
    world.transact(*[Delete(world.keys.config_of(f"v2.0/aliases/a{n}")) for n in range(5, 9)])  # type: ignore[arg-type]  # a path
    assert "4 of 5 known resources have no config any more" == degraded(world)


def test_rule_16_another_cluster_needs_an_operator() -> None:
    """The keyspace says that it belongs to another cluster."""
    world = many_world()
    world.put("/gohan-jobs/cluster", "elsewhere")
    world.restart()
    assert "another cluster" in degraded(world)
    world.lifecycle.resume(accept=True)
    world.settle()
    assert world.store.cluster_id().encode() == world.text("/gohan-jobs/cluster")


def test_rule_16_a_revision_that_went_back_needs_an_operator() -> None:
    """The store was restored from an old copy under a running manager."""
    world = many_world()
    manager = world.lifecycle._manager
    assert manager is not None
    manager._follower.revision = world.store.revision() + 1
    manager._unload()
    assert "went back" in degraded(world)
    world.lifecycle.resume(accept=True)
    world.settle()
    assert world.lifecycle.leads


# 17 Claims that die


def test_rule_17_five_lost_claims_are_poison() -> None:
    """The job fails, so that it can't kill every worker in turn."""
    calls: list[int] = []

    def killer(context: JobContext) -> Done:
        calls.append(context.attempt)
        raise SystemExit

    world = World(roles=(Role.MANAGER,), manager=ManagerOptions(claim_pause=1.0))
    world.write(NETWORK, {"name": "x"})
    world.write(PORT, {"name": "p", "network_id": "n1"})
    world.settle()
    for number in range(7):
        worker = world.peer(roles=(Role.WORKER,), handlers={"heat_worker": killer}, seed=number)
        with pytest.raises(SystemExit) if number < 5 else _nothing():
            worker.run_until_idle()
        world.pass_time(70, step=10)
    assert [1, 2, 3, 4, 5] == calls
    assert [("CREATE_ERROR", 1, "given up after 5 lost claims")] == world.states_of(NETWORK)
    assert "CREATE_ERROR" == (world.outcome(PORT) or ("",))[0]
    assert {} == world.under("/jobs/")


def _nothing() -> Any:
    import contextlib  # noqa: PLC0415 - only here

    return contextlib.nullcontext()


def test_rule_17_a_job_that_is_given_back_has_lost_its_claims_all_the_same() -> None:
    """Or one that kills every other worker would go on for ever."""
    calls: list[int] = []

    def handle(context: JobContext) -> Done | RetryLater:
        calls.append(context.attempt)
        if len(calls) <= 2:
            raise SystemExit
        return Done() if len(calls) > 3 else RetryLater(after=1.0, reason="not now")

    world = World(roles=(Role.MANAGER,), manager=ManagerOptions(claim_pause=1.0))
    world.write(NETWORK, {"name": "x"})
    world.settle()
    options: dict[str, Any] = {"roles": (Role.WORKER,), "handlers": {"heat_worker": handle}}
    for number in range(2):
        with pytest.raises(SystemExit):
            world.peer(**options, seed=number).run_until_idle()
        world.pass_time(70, step=10)
    world.pass_time(10, world.peer(**options, seed=3))
    assert [1, 2, 3, 3] == calls


def test_rule_17_of_a_config_that_is_gone_nobody_is_told() -> None:
    """The poison job's config went meanwhile: no state is written."""
    world = World(roles=(Role.MANAGER,), manager=ManagerOptions(max_attempts=1))
    world.write(NETWORK, {"name": "x"})
    world.settle()
    job = world.job(NETWORK)
    world.lifecycle.close()
    world.transact(
        Delete(world.keys.place(Place.READY, job.id)),
        Delete(world.keys.config_of(world.path(NETWORK))),
    )
    world.lifecycle = world.peer(roles=(Role.MANAGER,), seed=3)
    world.settle()
    assert ([], {}) == (world.states_of(NETWORK), world.under("/jobs/"))


# 18 Leases and Heat


@pytest.mark.parametrize(
    ("version", "marked", "operation", "expected"),
    [
        (1, False, "create", "CREATE_COMPLETED"),
        (2, False, "update", "MODIFY_COMPLETED"),
        (2, True, "delete", "DELETE_COMPLETED"),
    ],
    ids=["create", "update", "delete"],
)
def test_rule_18_no_call_is_started_with_too_little_lease_left(
    version: int,
    marked: bool,  # noqa: FBT001 - a case
    operation: str,
    expected: str,
) -> None:
    """The worker could not renew: it hands the job back, and goes on once it has."""
    world = World(roles=(Role.MANAGER,))
    worker = world.peer(roles=(Role.WORKER,), worker=WorkerOptions(lease_ttl=40.0))
    for earlier in range(1, version):
        world.write(NETWORK, {"name": "x"}, earlier)
        world.pass_time(5, worker)
    worker._next_renewal = 0.0
    worker.run_until_idle()
    before = world.changes()
    world.write(NETWORK, {"name": "x"}, version, marked=marked)
    world.settle()
    world.clock.advance(12)
    worker._next_renewal = 1e9  # the keeper is late
    worker.run_until_idle()
    assert before == world.changes()
    (event,) = world.told(JobHandedBack)
    assert "lease" in event.reason
    assert 1.0 == event.after  # or the job would go to and fro until the lease is renewed
    worker._next_renewal = 0.0
    world.pass_time(5, worker)
    assert (expected, version, "") == world.outcome(NETWORK)
    assert 0 == world.told(JobClaimed)[-1].retries  # the handler has asked for none
    assert [*before, (operation, "network_n1")] == world.changes()


def test_a_worker_is_not_registered_before_its_slots_are_told() -> None:
    """Else the leader would count on none of them, for as long as the lease lives."""
    clock = VirtualClock()
    memory = MemoryStore(clock=clock)
    store = FaultyStore(memory)
    worker = Registration(store, key="/w", slots=3, ttl=60.0, clock=clock, lost=lambda: None)
    store.fail("transact")
    with pytest.raises(StoreUnavailable):
        worker.register()
    assert 0 == worker.lease.id
    worker.register()
    slots = memory.get("/w")
    assert slots is not None
    assert (b"3", worker.lease.id) == (slots.value, slots.lease)


def test_rule_18_the_shortest_lease_says_how_often_all_are_renewed() -> None:
    """A worker's lease that is far shorter than the leader's does not end meanwhile."""
    world = World(worker=WorkerOptions(lease_ttl=40.0), manager=ManagerOptions(leader_ttl=600.0))
    world.pass_time(250, step=5)
    assert [] == world.told(LeaseLost)


class _Slow(FaultyStore):
    """Answers about leases take three seconds."""

    clock = VirtualClock()

    def grant_lease(self, ttl: float) -> Lease:
        """Grant it, and then tell."""
        lease = super().grant_lease(ttl)
        self.clock.advance(3)
        return lease

    def keep_alive(self, lease: int) -> float:
        """Renew it, and then tell."""
        ttl = super().keep_alive(lease)
        self.clock.advance(3)
        return ttl


def test_rule_18_a_lease_counts_from_before_it_was_asked_for() -> None:
    """When it was granted, or renewed, only the server knows: it may have been at once."""
    store = _Slow(MemoryStore())
    worker = Registration(store, key="/w", slots=1, ttl=60.0, clock=store.clock, lost=lambda: None)
    worker.register()
    granted = worker.lease.remaining
    store.clock.advance(20)
    worker.keep_alive()
    assert (57, 57) == (granted, worker.lease.remaining)


def test_rule_18_a_claim_guards_nothing_under_a_later_lease() -> None:
    """Its handler stood still; its worker has got another lease since, which lives."""
    refused: list[str] = []

    def handle(context: JobContext) -> Done:
        world.clock.advance(500)
        world.store.expire()
        worker = lifecycle._worker
        assert worker is not None
        worker.keep_alive()
        worker._registration.register()
        try:
            context.claim.guard(1.0)
        except ClaimLost as error:
            refused.append(error.reason)
        return Done()

    world = World(roles=(Role.MANAGER,))
    world.write(DISK, {"name": "x"})
    world.settle()
    lifecycle = world.peer(roles=(Role.WORKER,), handlers={"heat_worker": handle}, seed=5)
    lifecycle.run_until_idle()
    assert ["lease lost"] == refused
    assert [] == world.states_of(DISK)


def test_rule_18_a_lease_that_could_not_be_renewed_in_time_is_lost() -> None:
    """Nobody has said that it has ended; but it may have, and another may have its jobs."""
    clock, lost = VirtualClock(), []
    store = FaultyStore(MemoryStore(clock=clock))
    worker = Registration(
        store, key="/w", slots=1, ttl=60.0, clock=clock, lost=lambda: lost.append(clock.now())
    )
    worker.register()
    for _ in range(3):
        clock.advance(20)
        store.fail("keep_alive", on=1)
        with pytest.raises(StoreUnavailable):
            worker.keep_alive()
    assert ([60.0], 0) == (lost, worker.lease.id)


@pytest.mark.parametrize("leaders", [1, 2], ids=["same leader", "another leader"])
def test_rule_18_who_claims_after_a_loss_waits_one_request(leaders: int) -> None:
    """The lost claim's holder may still have a call under way, whoever leads then."""
    clock = VirtualClock()
    heat = SimulatedHeat(clock, operation_seconds=1000.0, request_timeout=40.0)
    world = World(clock=clock, heat=heat)
    world.write(NETWORK, {"name": "x"})
    world.settle()
    world.restart()
    world.settle()
    for number in range(1, leaders):
        world.lifecycle.close()
        world.lifecycle = world.peer(seed=100 + number)
        world.settle()
    assert Place.WAITING is world.place(world.job(NETWORK).id)
    world.pass_time(world.heat.request_timeout - 1)
    assert Place.WAITING is world.place(world.job(NETWORK).id)
    world.pass_time(3)
    assert Place.WORKING is world.place(world.job(NETWORK).id)


def test_rule_18_a_worker_that_lost_its_lease_publishes_nothing() -> None:
    """It was frozen; another has the job: its result is fenced off, its claim forgotten."""
    world = World(operation_seconds=10, roles=(Role.MANAGER,))
    worker = world.peer(roles=(Role.WORKER,))
    world.write(NETWORK, {"name": "x"})
    world.pass_time(1, worker)
    world.pass_time(100)  # frozen: it neither renews nor steps
    other = world.peer(roles=(Role.WORKER,), seed=2)
    world.pass_time(60, other)
    assert [("CREATE_COMPLETED", 1, "")] == world.states_of(NETWORK)
    worker._next_renewal = 1e9
    worker.run_until_idle()
    worker._next_renewal = 0.0
    worker.run_until_idle()
    assert [("CREATE_COMPLETED", 1, "")] == world.states_of(NETWORK)
    assert () == worker._worker.claims  # type: ignore[union-attr]  # it is a worker


def test_rule_18_a_lease_no_request_fits_in_is_refused() -> None:
    """Such a worker would never send anything."""
    with pytest.raises(ValueError, match="never outlasts"):
        World(worker=WorkerOptions(lease_ttl=30.0))


# 19 Too large


def test_rule_19_a_result_too_large_is_a_failure_that_says_so() -> None:
    """The terminal state has an empty output list; Heat is not asked again."""
    world = World()
    output = StackOutput(output_key="big", description="", output_value="x" * 700_000)
    world.heat.script("network_n1", Outcome(outputs=(output,), reason="r" * 5000))
    world.write(NETWORK, {"name": "x"})
    world.pass_time(10)
    state, stack = world.state(NETWORK), world.stack(NETWORK)
    assert state is not None
    assert stack is not None
    assert "too large" in state.error
    assert () == state.heat_outputs
    assert ("CREATE_COMPLETE", (), 2000) == (
        stack.stack_status,
        stack.output,
        len(stack.status_reason),
    )
    assert [("create", "network_n1")] == world.changes()
    assert [state.error] == [event.reason for event in world.told(JobFailed)]


def _too_deep(levels: int) -> Any:
    return json.loads("[" * levels + "]" * levels)


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (float("nan"), "ValueError"),
        (10**5000, "ValueError"),
        ({"a", "set"}, "TypeError"),
        (_too_deep(198), "more than 200 levels"),
    ],
    ids=["nan", "digits", "set", "deep"],
)
def test_rule_19_an_output_that_is_no_json_is_a_failure_that_says_so(
    value: Any, problem: str
) -> None:
    """Heat's answer may hold what a record can't; it is not asked again, and nothing stands."""
    world = World()
    world.heat.script("network_n1", Outcome(outputs=(_output("good", 1), _output("bad", value))))
    world.write(NETWORK, {"name": "x"})
    world.write(DISK, {"name": "d"})
    world.pass_time(10)
    error = f"result that can't be stored: output 'bad': can't be written: {problem}"
    assert ("CREATE_ERROR", 1, error) == world.outcome(NETWORK)
    stack = world.stack(NETWORK)
    assert stack is not None
    assert ("CREATE_COMPLETE", "network_n1", ()) == (
        stack.stack_status,
        stack.stack_id,
        stack.output,
    )
    assert ("CREATE_COMPLETED", 1, "") == world.outcome(DISK)
    assert [("create", "disk_d1"), ("create", "network_n1")] == sorted(world.changes())


def _output(key: str, value: Any) -> StackOutput:
    return StackOutput(output_key=key, description="", output_value=value)


_BAD = (_output("bad", float("inf")),)


@pytest.mark.parametrize(
    ("given", "what"),
    [
        (Done(outputs=_BAD), "output 'bad'"),
        (Done(state_monitoring={"a": float("inf")}), "state_monitoring"),
        (
            GiveUp(
                reason="why",
                stack=HeatStack(
                    id="network:n1", stack_id="x", tenant_id=TENANT, stack_status="X", output=_BAD
                ),
            ),
            "output 'bad'",
        ),
    ],
)
def test_rule_19_whatever_a_handler_gives_that_is_no_json(given: Done | GiveUp, what: str) -> None:
    """Outputs of its own, a failed stack's, the monitoring result: the job ends."""
    world = World(handlers={"heat_worker": lambda _context: given})
    world.write(NETWORK, {"name": "x"})
    world.pass_time(10)
    error = f"result that can't be stored: {what}: can't be written: ValueError"
    assert ("CREATE_ERROR", 1, error) == world.outcome(NETWORK)


@pytest.mark.parametrize("size", [900_000, 1_572_000])
def test_rule_19_a_config_whose_job_is_too_large_is_its_own_error(size: int) -> None:
    """Its neighbours in the batch are planned all the same."""
    world = World()
    world.write(DISK, {"name": "d"})
    world.write(NETWORK, {"name": "x", "blob": "x" * size})
    world.write(PORT, {"name": "p", "network_id": "n1"})
    world.write(ALIAS, {"blob": "x" * size})
    world.pass_time(70)
    found = world.outcome(NETWORK)
    assert found is not None
    assert "READ_ERROR" == found[0]
    assert ("CREATE_COMPLETED", 1, "") == world.outcome(DISK)
    since = world.store.revision()
    world.restart()
    world.pass_time(5)
    assert [] == [w.key for w in world.history("/state/") if w.revision > since]


# 20 Monitoring


def monitoring(world: World) -> Any:
    """What is published of the network."""
    text = world.text(world.keys.monitoring_of(world.path(NETWORK)))
    return None if text is None else json.loads(text)


def test_rule_20_an_early_report_is_held_until_the_state() -> None:
    """It is published after the ``/state`` of its version; several fields together."""
    world = World(operation_seconds=10)
    world.write(NETWORK, {"name": "x"})
    world.settle()
    assert world.lifecycle.report(NETWORK, 1, "network", "UP")
    assert world.lifecycle.report(NETWORK, 1, "router", {"primary": "MASTER"})
    world.settle()
    assert monitoring(world) is None
    world.pass_time(20)
    assert {"network": "UP", "router": {"primary": "MASTER"}, "version": 1} == monitoring(world)
    assert {} == world.under("/gohan-jobs/reports/")


def test_rule_20_reports_of_other_versions_do_not_count() -> None:
    """Neither older nor newer ones than the config's; nor those of nothing."""
    world = World()
    made(world, NETWORK)
    assert not world.lifecycle.report(NETWORK, 2, "network", "UP")
    assert not world.lifecycle.report(NETWORK, 0, "network", "UP")
    assert not world.lifecycle.report(DISK, 1, "network", "UP")
    assert monitoring(world) is None


def test_rule_20_a_held_report_that_was_overtaken_is_dropped() -> None:
    """Version 2 is done before version 1's report could be published."""
    world = World(operation_seconds=10, roles=(Role.MANAGER,))
    world.write(NETWORK, {"name": "x"}, 1)
    world.settle()
    world.lifecycle.report(NETWORK, 1, "network", "DOWN")
    world.settle()
    world.write(NETWORK, {"name": "x"}, 2)
    world.settle()
    worker = world.peer(roles=(Role.WORKER,))
    world.pass_time(30, worker)
    assert {} == world.under("/gohan-jobs/reports/")
    assert monitoring(world) is None


def test_rule_20_a_held_report_survives_a_new_leader() -> None:
    """It is read at start."""
    world = World(operation_seconds=10)
    world.write(NETWORK, {"name": "x"})
    world.settle()
    world.lifecycle.report(NETWORK, 1, "network", "UP")
    world.restart()
    world.pass_time(60)
    assert {"network": "UP", "version": 1} == monitoring(world)


def test_rule_20_a_broken_report_or_state_stops_nobody() -> None:
    """It is set aside."""
    world = World()
    made(world, NETWORK)
    world.put("/gohan-jobs/reports/v2.0/networks/n1", "{")
    world.put("/gohan-jobs/reports/v2.0/networks/n2", '{"network": "UP", "version": 1}')
    world.pass_time(2)
    assert 1 == len(world.under("/gohan-jobs/quarantine/"))
    world.write(DISK, {"name": "d"})
    world.pass_time(5)
    assert ("CREATE_COMPLETED", 1, "") == world.outcome(DISK)


def test_rule_20_a_late_removal_does_not_erase_the_new_ones_status() -> None:
    """Only a status of the same version is removed."""
    world = World()
    made(world, NETWORK)
    world.lifecycle.report(NETWORK, 1, "network", "UP")
    assert not world.lifecycle.withdraw(NETWORK, 2)
    assert {"network": "UP", "version": 1} == monitoring(world)
    assert world.lifecycle.withdraw(NETWORK, 1)
    assert monitoring(world) is None
    assert not world.lifecycle.withdraw(NETWORK, 1)


@pytest.mark.parametrize("field", ["", "version"])
def test_rule_20_a_field_must_have_a_name(field: str) -> None:
    """Neither none, nor the one that the version has."""
    with pytest.raises(ValueError, match="status field"):
        World().lifecycle.report(NETWORK, 1, field, "UP")


def test_events_tell_how_it_went() -> None:
    """Finished jobs and failed ones, with what they ended in."""
    world = World()
    world.heat.script("disk_d1", Outcome(error=OrchestratorUnavailable("503")), op="create")
    made(world, NETWORK, DISK)
    assert {"CREATE_COMPLETED"} == {event.state for event in world.told(JobFinished)}
    assert [] == world.told(JobFailed)
