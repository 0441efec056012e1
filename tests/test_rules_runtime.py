"""``runtime``: the ten writes of one job, several handlers, trouble with Heat, old queues."""

from __future__ import annotations

import math
from typing import Any

import attrs
import pytest

from gohan_jobs.events import ConfigSetAside, JobProgressed, WatchResumed
from gohan_jobs.exceptions import (
    Compacted,
    OrchestratorRefused,
    OrchestratorUnavailable,
    StackRejected,
)
from gohan_jobs.handlers import Done, GiveUp, JobContext, Later, RetryLater
from gohan_jobs.keys import Place
from gohan_jobs.lifecycle import Role
from gohan_jobs.orchestrators.simulated import Outcome
from gohan_jobs.poller import PollOptions
from gohan_jobs.schemas import Schema, Schemas
from gohan_jobs.stores.base import Delete, Put
from gohan_jobs.testing.faults import FaultyStore
from gohan_jobs.worker import WorkerOptions
from worlds import ALIAS, HOT, NETWORK, PORT, TEMPLATES, TENANT, World, ref


def test_the_ten_writes_of_one_job() -> None:
    """In the documented order; what one transaction writes is visible at once."""
    world = World(operation_seconds=10)
    world.write(NETWORK, {"name": "x"})
    world.pass_time(20)
    (job_id,) = {w.key.rpartition("/")[2] for w in world.history("/jobs/all/")}
    names = (
        {f"/jobs/{place}/{job_id}": place for place in ("all", "ready", "working", "finished")}
        | {
            f"/esi-worker/{kind}/v2.0/networks/n1": kind
            for kind in ("config", "heat_stacks", "job_state")
        }
        | {"/state/v2.0/networks/n1": "state"}
    )
    revisions: dict[int, set[str]] = {}
    for write in world.history():
        if write.key in names:
            sign = "+" if write.kind == "put" else "-"
            revisions.setdefault(write.revision, set()).add(sign + names[write.key])
    assert [
        {"+config", "+all", "+ready"},
        {"+working", "-ready", "+job_state"},
        {"+heat_stacks", "+job_state", "+state", "+finished", "-working"},
        {"-all", "-finished", "-job_state"},
    ] == [revisions[number] for number in sorted(revisions)]
    assert [b"heat_worker", b""] == [
        next(w.value for w in world.history(f"/jobs/{place}/")) for place in ("ready", "finished")
    ]
    (first, second) = world.written("/esi-worker/job_state/")
    assert ({}, "CREATE_COMPLETE") == (first, second["orchestration_state"])


def test_a_logical_delete_and_what_gohan_does_then() -> None:
    """The stack's record says so; once Gohan removed the config, nothing is left, without a job."""
    world = World()
    world.write(NETWORK, {"name": "x"}, 1)
    world.pass_time(5)
    world.write(NETWORK, {"name": "x"}, 2, marked=True)
    world.pass_time(5)
    stack = world.stack(NETWORK)
    assert stack is not None
    assert ("", "DELETE_COMPLETE", ()) == (stack.stack_id, stack.stack_status, stack.output)
    assert ("DELETE_COMPLETED", 2, "") == world.outcome(NETWORK)
    jobs = len(world.history("/jobs/all/"))
    world.remove_config(NETWORK, state=True)
    world.pass_time(5)
    assert {} == world.under("/esi-worker/")
    assert jobs == len(world.history("/jobs/all/"))


def test_a_template_writes_nothing() -> None:
    """It is kept."""
    world = World()
    world.settle()
    since = world.store.revision()
    world.template("network", TEMPLATES["network"])
    world.settle()
    assert [since + 1] == [write.revision for write in world.history() if write.revision > since]


def test_a_non_workable_resource_has_a_state_at_every_version() -> None:
    """``READ_COMPLETE``, then the processed copy; no job."""
    world = World()
    for version in (1, 2):
        world.write(ALIAS, {"n": version}, version)
        world.settle()
    assert [("READ_COMPLETE", 1, ""), ("READ_COMPLETE", 2, "")] == world.states_of(ALIAS)
    assert [] == world.history("/jobs/")


# Several handlers


MONITORED = Schemas(
    [
        Schema(
            type="network",
            prefix="v2.0/networks",
            templates={"heat_worker": "Cnetwork", "monitoring_worker": "Cwatch"},
            state_versioning=True,
            two_step_deletion=True,
        )
    ]
)


def monitored(handler: Any, schemas: Schemas = MONITORED) -> World:
    """Networks with a monitoring handler."""
    return World(
        schemas=schemas,
        templates={"network": TEMPLATES["network"], "watch": {"target": "Pname"}},
        handlers={"monitoring_worker": handler},
    )


def test_a_workflow_of_several_handlers() -> None:
    """On success ``/state`` is written by the last job alone, with the Heat job's outputs."""
    seen: list[str] = []

    def monitor(context: JobContext) -> Done:
        seen.append(f"{context.job.action}:{context.job.params[0].value}")
        assert context.template() is not None
        return Done(state_monitoring={"UP": 1})

    world = monitored(monitor)
    world.write(NETWORK, {"name": "one"}, 1)
    world.pass_time(5)
    world.template("watch", {"target": "Pname", "more": "Pid"})
    world.write(NETWORK, {"name": "two"}, 2)
    world.pass_time(5)
    assert ["create:one", "delete:one", "create:two"] == seen
    assert [("CREATE_COMPLETED", 1, ""), ("CREATE_COMPLETED", 2, "")] == world.states_of(NETWORK)
    state = world.state(NETWORK)
    assert state is not None
    assert state.heat_outputs is not None
    assert ["two"] == [output.output_value for output in state.heat_outputs]


def test_an_ignored_failure_goes_on() -> None:
    """The monitoring delete of a modify is ``on_failure: ignore``."""

    def monitor(context: JobContext) -> Done | GiveUp:
        deletes = context.job.action == "delete"
        return GiveUp(reason="gone") if deletes else Done(state_monitoring={})

    world = monitored(monitor)
    for version in (1, 2):
        world.write(NETWORK, {"name": str(version)}, version)
        world.pass_time(5)
    assert ("CREATE_COMPLETED", 2, "") == world.outcome(NETWORK)


def test_a_delete_whose_template_changed_meanwhile_is_run_all_the_same() -> None:
    """A delete's params are never computed again."""
    calls: list[str] = []

    def monitor(context: JobContext) -> Done:
        context.template()
        calls.append(str(context.job.action))
        return Done(state_monitoring={})

    world = monitored(monitor)
    world.write(NETWORK, {"name": "1"}, 1)
    world.pass_time(5)
    world.lifecycle.close()
    world.lifecycle = world.peer(roles=(Role.MANAGER,), seed=3)
    world.write(NETWORK, {"name": "2"}, 2)
    world.settle()
    world.template("watch", {"target": "Pid"})
    world.pass_time(10, world.peer(roles=(Role.WORKER,), seed=4))
    assert ["create", "delete", "create"] == calls


@pytest.mark.parametrize("counted", [True, False], ids=["counted", "not counted"])
def test_the_failed_job_of_a_workflow_gives_the_versions_one_state(
    counted: bool,  # noqa: FBT001 - a case
) -> None:
    """Its later jobs are cancelled without a word, whether versions are counted or not."""
    (network,) = MONITORED
    schemas = Schemas([attrs.evolve(network, state_versioning=counted)])
    world = monitored(lambda _context: Done(state_monitoring={}), schemas)
    world.heat.script("network_n1", Outcome(fails=True, reason="boom"))
    world.write(NETWORK, {"name": "x"})
    world.pass_time(5)
    ((worker_state, _, error),) = world.states_of(NETWORK)
    assert "CREATE_ERROR" == worker_state
    assert "boom" in error
    assert {} == world.under("/jobs/")


# Trouble with Heat


@pytest.mark.parametrize("op", ["find", "create", "observe", "outputs"])
@pytest.mark.parametrize("takes_effect", [False, True])
def test_a_call_without_an_answer_is_repeated(op: str, takes_effect: bool) -> None:  # noqa: FBT001 - a case
    """503, reset or time-out, whether it had an effect or not: one stack, one result."""
    world = World(operation_seconds=3)
    trouble = Outcome(error=OrchestratorUnavailable("503"), takes_effect=takes_effect)
    world.heat.script(None, trouble, trouble, op=op)
    world.write(NETWORK, {"name": "x"})
    world.pass_time(60)
    assert [("CREATE_COMPLETED", 1, "")] == world.states_of(NETWORK)
    stacks = world.heat.stacks(TENANT, lambda stack: stack.name)
    assert ["network_n1"] == stacks


def test_a_long_outage_hands_the_job_back_and_ends_well() -> None:
    """No slot is held for minutes; when Heat is back it goes on."""
    world = World()
    world.heat.outage = OrchestratorUnavailable("503")
    world.write(NETWORK, {"name": "x"})
    world.pass_time(200)
    assert world.outcome(NETWORK) is None
    assert "503" in world.told(JobProgressed)[0].message
    job = world.lifecycle.explain(NETWORK).jobs[0]
    assert job.retries > 0
    world.heat.outage = None
    world.pass_time(70)
    assert ("CREATE_COMPLETED", 1, "") == world.outcome(NETWORK)


def test_a_quota_of_stacks_is_waited_for() -> None:
    """It may be lifted."""
    world = World()
    full = StackRejected("You have reached the maximum stacks per tenant", retryable=True)
    world.heat.script("network_n1", *[Outcome(error=full)] * 3, op="create")
    world.write(NETWORK, {"name": "x"})
    world.pass_time(30)
    assert ("CREATE_COMPLETED", 1, "") == world.outcome(NETWORK)


@pytest.mark.parametrize(
    "error", [StackRejected("The Parameter was not provided"), OrchestratorRefused("401")]
)
def test_a_refusal_is_final(error: Any) -> None:
    """A repeat does not help: that is the version's result."""
    world = World()
    world.heat.script("network_n1", Outcome(error=error), op="create")
    world.write(NETWORK, {"name": "x"})
    world.pass_time(5)
    assert ("CREATE_ERROR", 1, str(error)) == world.outcome(NETWORK)


def test_heats_time_limit_is_the_versions_result() -> None:
    """``heat_timeout`` runs out: Heat says so, and so does the state."""
    timed = {**TEMPLATES["network"], "heat_timeout": {"constant": 1}}
    world = World(operation_seconds=math.inf, templates={"network": timed})
    world.write(NETWORK, {"name": "x"})
    world.pass_time(70)
    outcome = world.outcome(NETWORK)
    assert outcome is not None
    assert outcome[2].startswith("Timed out")


def test_a_stack_that_never_settles_is_given_up_and_remembered() -> None:
    """Its record says what Heat says, so that a later delete finds it."""
    world = World(worker=WorkerOptions(polling=PollOptions(longest=30.0)))
    world.heat._enforce_timeouts = False
    world.heat.script("network_n1", Outcome(hang=True))
    world.write(NETWORK, {"name": "x"})
    world.pass_time(3700, step=30)
    outcome, stack = world.outcome(NETWORK), world.stack(NETWORK)
    assert outcome is not None
    assert stack is not None
    assert "still CREATE_IN_PROGRESS" in outcome[2]
    assert ("network_n1", "CREATE_IN_PROGRESS") == (stack.stack_id, stack.stack_status)


def test_a_failed_delete_is_tried_again() -> None:
    """``DELETE_FAILED`` twice, then it goes."""
    world = World()
    world.write(NETWORK, {"name": "x"}, 1)
    world.pass_time(5)
    world.heat.script("network_n1", *[Outcome(fails=True)] * 2, op="delete")
    world.write(NETWORK, {"name": "x"}, 2, marked=True)
    world.pass_time(20)
    assert ("DELETE_COMPLETED", 2, "") == world.outcome(NETWORK)


def test_a_create_where_a_delete_failed_before() -> None:
    """The wreck is removed first, then the stack is created."""
    world = World()
    world.write(NETWORK, {"name": "x"}, 1)
    world.pass_time(5)
    stack = world.heat.find(TENANT, "network_n1")
    assert stack is not None
    world.heat.script("network_n1", Outcome(fails=True), op="delete")
    world.heat.delete(stack)
    world.write(NETWORK, {"name": "y"}, 2)
    world.pass_time(20)
    assert ("MODIFY_COMPLETED", 2, "") == world.outcome(NETWORK)
    assert ["delete", "delete", "create"] == [op for op, _ in world.changes()[1:]]


def test_a_stack_being_deleted_is_waited_for_then_created() -> None:
    """Somebody deletes it by hand just now."""
    world = World(operation_seconds=10)
    world.write(NETWORK, {"name": "x"}, 1)
    world.pass_time(20)
    stack = world.heat.find(TENANT, "network_n1")
    assert stack is not None
    world.heat.delete(stack)
    world.write(NETWORK, {"name": "y"}, 2)
    world.pass_time(40)
    assert ("MODIFY_COMPLETED", 2, "") == world.outcome(NETWORK)
    assert ["create", "delete", "create"] == [op for op, _ in world.changes()]


def test_a_stack_deleted_by_hand_while_it_is_made_is_made_again() -> None:
    """It is gone when it is looked at."""
    world = World(operation_seconds=10)
    world.write(NETWORK, {"name": "x"}, 1)
    world.settle()
    stack = world.heat.find(TENANT, "network_n1")
    assert stack is not None
    world.heat.script("network_n1", Outcome(seconds=0.0), op="delete")
    world.heat.delete(stack)
    world.pass_time(40)
    assert ("CREATE_COMPLETED", 1, "") == world.outcome(NETWORK)


def test_a_failed_stack_is_updated_by_the_next_version() -> None:
    """``*_FAILED`` before a modify is no obstacle."""
    world = World()
    world.heat.script("network_n1", Outcome(fails=True))
    for version in (1, 2):
        world.write(NETWORK, {"name": "x"}, version)
        world.pass_time(5)
    assert ("MODIFY_COMPLETED", 2, "") == world.outcome(NETWORK)


def test_a_rolled_back_stack_is_a_failure() -> None:
    """Somebody switched rollback on: what survives is not what was asked for."""
    world = World()
    world.heat.script("network_n1", Outcome(status="ROLLBACK_COMPLETE"))
    world.write(NETWORK, {"name": "x"})
    world.pass_time(5)
    assert "CREATE_ERROR" == (world.outcome(NETWORK) or ("",))[0]


# Queues of others


def test_jobs_of_an_old_system_go_on() -> None:
    """No notes, and one job in two places as an old worker leaves it: they run, once."""
    world = World(roles=(Role.MANAGER,))
    world.write(NETWORK, {"name": "x"})
    world.write(PORT, {"name": "p", "network_id": "n1"})
    world.settle()
    network, port = world.job(NETWORK).id, world.job(PORT).id
    world.lifecycle.close()
    world.transact(*map(Delete, world.under("/gohan-jobs/")))
    world.put(world.keys.place(Place.WAITING, network), "heat_worker")
    world.put(world.keys.place(Place.FINISHED, _other(network)), "")
    world.lifecycle = world.peer(roles=(Role.MANAGER, Role.WORKER), seed=3)
    world.pass_time(60)
    assert {True} == {world.outcome(r) == ("CREATE_COMPLETED", 1, "") for r in (NETWORK, PORT)}
    assert [("create", "network_n1"), ("create", "port_p1")] == world.changes()
    aside = {event.key for event in world.told(ConfigSetAside)}
    assert {world.keys.place(Place.FINISHED, _other(network))} == aside
    assert world.place(port) is None


def _other(job_id: Any) -> Any:
    return attrs.evolve(job_id, suffix="zzzzz")


def test_a_worker_may_claim_what_has_no_notes_yet() -> None:
    """It gives back what the leader has not noted yet; once it has, the job runs."""
    world = World(roles=(Role.MANAGER,))
    world.write(NETWORK, {"name": "x"})
    world.settle()
    world.lifecycle.close()
    world.transact(*map(Delete, world.under("/gohan-jobs/jobs/")))
    worker = world.peer(roles=(Role.WORKER,), seed=3)
    for _ in range(8):
        worker.step()
    assert [] == world.changes()
    world.lifecycle = world.peer(roles=(Role.MANAGER,), seed=4)
    world.pass_time(40, worker)
    assert ("CREATE_COMPLETED", 1, "") == world.outcome(NETWORK)


def test_a_job_queued_by_another_program_is_taken_in() -> None:
    """Its document and place appear while the leader runs."""
    world = World(roles=(Role.MANAGER,))
    world.write(NETWORK, {"name": "x"})
    world.settle()
    job = world.job(NETWORK)
    document = world.text(world.keys.job(job.id))
    assert document is not None
    world.delete(world.keys.job(job.id))
    world.delete(world.keys.place(Place.READY, job.id))
    world.settle()
    assert {} == world.under("/jobs/")
    world.transact(
        Put(world.keys.job(job.id), document),
        Put(world.keys.place(Place.WAITING, job.id), b"heat_worker"),
    )
    world.pass_time(40, world.peer(roles=(Role.WORKER,), seed=4))
    assert ("CREATE_COMPLETED", 1, "") == world.outcome(NETWORK)


def test_a_standby_takes_over_and_lost_history_only_costs_a_read() -> None:
    """The leader goes; the standby reads everything and goes on; so it does after compaction."""
    world = World(operation_seconds=5, wrap=FaultyStore)
    standby = world.peer(seed=2)
    world.write(NETWORK, {"name": "x"})
    world.pass_time(1, standby)
    assert (True, False) == (world.lifecycle.leads, standby.leads)
    world.lifecycle.close()
    world.lifecycle = standby
    world.write(PORT, {"name": "p", "network_id": "n1"})
    world.settle()
    assert standby.leads
    assert isinstance(standby.store, FaultyStore)
    standby.store.break_watches(Compacted(5))
    world.pass_time(60)
    assert ("CREATE_COMPLETED", 1, "") == world.outcome(PORT)
    assert 1 == len(world.told(WatchResumed))


# Handlers of others


def test_a_handler_may_wait_retry_and_report() -> None:
    """``Later`` keeps the claim, ``RetryLater`` gives it back; neither holds a thread."""
    attempts: list[tuple[int, int]] = []

    def slow(context: JobContext) -> RetryLater | Later:
        attempts.append((context.attempt, context.retries))
        context.report("on it")
        if context.retries == 0:
            return RetryLater(after=5.0, reason="not yet")
        return Later(after=3.0, resume=lambda _later: Done(outputs=()))

    world = World(handlers={"heat_worker": slow})
    world.write(NETWORK, {"name": "x"})
    world.pass_time(20)
    assert [(1, 0), (1, 1)] == attempts
    assert ("CREATE_COMPLETED", 1, "") == world.outcome(NETWORK)
    assert ["on it", "on it"] == [event.message for event in world.told(JobProgressed)]


def test_a_handler_that_is_not_here_leaves_the_job_to_others() -> None:
    """It stays ready."""
    world = World(schemas=MONITORED, templates={"network": {}, "watch": {}})
    world.write(NETWORK, {"name": "x"})
    world.pass_time(10)
    (job,) = world.jobs()
    assert ("monitoring_worker", Place.READY) == (job.handler, world.place(job.id))


def test_a_gone_job_document_is_set_aside_by_its_place() -> None:
    """Ready without a document: nobody runs it, nobody loops."""
    world = World()
    world.settle()
    ready = "/jobs/ready/create:heat_worker:network:n9:1:abcde"
    world.put(ready, "heat_worker")
    world.pass_time(5)
    assert [] == world.changes()
    assert world.told(ConfigSetAside)


def test_hot_is_what_the_tests_think_it_is() -> None:
    """The template of most tests gives its name back."""
    world = World()
    world.write(ref("network", "n2"), {"name": "blue"})
    world.pass_time(5)
    state = world.state(ref("network", "n2"))
    assert state is not None
    assert state.heat_outputs is not None
    assert ["blue"] == [output.output_value for output in state.heat_outputs]
    assert "get_attr" in HOT
