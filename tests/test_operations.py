"""What an operator does: run again, end, take from a holder; and what the leader makes of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
import pytest

from gohan_jobs.admission import AdmissionRequest, Allow, Verdict, Veto
from gohan_jobs.bookkeeping import CANCELLED, CancelRequest, Failure, JobNotes, RetryRequest
from gohan_jobs.clock import Clock, VirtualClock
from gohan_jobs.events import (
    JobCancelled,
    JobHandedBack,
    RequestCarriedOut,
    RequestDropped,
)
from gohan_jobs.exceptions import InvalidKey, OperationRefused, TransactionTooLarge, WaitTimeout
from gohan_jobs.handlers import Done
from gohan_jobs.inspection.inspector import Inspector
from gohan_jobs.keys import JobId, Place
from gohan_jobs.manager import ManagerOptions
from gohan_jobs.operations.operating import Operator, Requested
from gohan_jobs.orchestrators.simulated import Call, SimulatedHeat
from gohan_jobs.orchestrators.simulated import Outcome as HeatOutcome
from gohan_jobs.queue import Queue
from gohan_jobs.records import Job, ProcessedConfig, ResourceRef
from gohan_jobs.results import Completed, Failed, Superseded
from gohan_jobs.schemas import Schema, Schemas
from gohan_jobs.stores.base import Delete, Operation, Put, Transaction, TransactionResult
from gohan_jobs.stores.memory import MemoryStore
from worlds import ALIAS, DISK, NETWORK, PORT, QUOTA, TEMPLATES, TENANT, World, ref


def operator(world: World, **options: Any) -> Operator:
    """One who acts on a world."""
    queue = Queue(world.keys, world.codec)
    options = {"by": "ann", "clock": world.clock, "pause": lambda _: None, **options}
    return Operator(world.store, world.codec, queue, world.schemas, **options)


def key(world: World, kind: str, name: object) -> str:
    """Key of our own bookkeeping."""
    return f"{world.keys.own}{kind}/{name}"


def requests(world: World) -> list[str]:
    """What operators have asked for and was not dealt with."""
    return [each for kind in ("retries", "cancels") for each in world.under(key(world, kind, ""))]


def running(operation_seconds: float = 60.0) -> tuple[World, JobId]:
    """A network whose create is running."""
    world = World(operation_seconds=operation_seconds)
    world.write(NETWORK, {"name": "blue"})
    world.settle()
    job_id = world.job(NETWORK).id
    assert Place.WORKING == world.place(job_id)
    return world, job_id


def done(**options: Any) -> World:
    """A network that is created."""
    world = World(**options)
    world.write(NETWORK, {"name": "blue"})
    world.pass_time(5)
    assert ("CREATE_COMPLETED", 1, "") == world.outcome(NETWORK)
    return world


def refusal(action: Callable[[], object]) -> str:
    """Why something is refused."""
    with pytest.raises(OperationRefused) as refused:
        action()
    return refused.value.reason


# Retry.


def test_a_retry_runs_the_version_again() -> None:
    """It is updated, and a second result is published; the request is gone, and told."""
    world = done()
    requested = operator(world).retry(NETWORK)
    assert (False, True) == (requested.already, requested.led)
    assert operator(world).result(requested) is None
    world.pass_time(5)
    assert [("create", "network_n1"), ("update", "network_n1")] == world.changes()
    expected = [("CREATE_COMPLETED", 1, ""), ("MODIFY_COMPLETED", 1, "")]
    assert expected == world.states_of(NETWORK)
    assert isinstance(operator(world).result(requested), Completed)
    assert [] == requests(world)
    carried = RequestCarriedOut(resource=NETWORK, version=1, request="retry", by="ann")
    assert [carried] == world.told(RequestCarriedOut)


def test_a_retry_of_a_failure() -> None:
    """What failed is tried again, and is well then."""
    ill = [True]

    def outcome(call: Call) -> HeatOutcome | None:
        return HeatOutcome(fails=True) if call.changes and ill[0] else None

    world = World()
    world.heat = SimulatedHeat(world.clock, outcome_of=outcome)
    world.lifecycle = world.peer()
    world.write(NETWORK, {"name": "blue"})
    world.pass_time(5)
    state = world.state(NETWORK)
    assert state is not None
    assert "CREATE_ERROR" == state.worker_state
    requested = operator(world).retry(NETWORK)
    world.pass_time(5)
    assert isinstance(operator(world).result(requested), Failed)
    ill.clear()
    ill.append(False)
    requested = operator(world).retry(NETWORK)
    assert isinstance(operator(world, pause=world.pass_time).wait(requested, 60), Completed)


def test_a_retry_waits_for_a_leader() -> None:
    """A request made while nobody leads is taken up by the next leader."""
    world = done()
    world.lifecycle.close()
    requested = operator(world).retry(NETWORK)
    assert not requested.led
    again = operator(world).retry(NETWORK)
    assert (True, requested.revision) == (again.already, again.revision)
    world.restart()
    world.pass_time(5)
    assert isinstance(operator(world).result(requested), Completed)


def test_a_retry_of_what_can_not_be_planned() -> None:
    """A config whose template came too late is run by a retry; before that it fails again."""
    world = World(templates={}, manager=ManagerOptions(hold_time=1.0))
    world.write(NETWORK, {"name": "blue"})
    world.pass_time(3)
    reason = "network:n1: template of heat_worker: there is no heat_template 'network'"
    expected = ("READ_ERROR", 1, reason)
    assert expected == world.outcome(NETWORK)
    requested = operator(world).retry(NETWORK)
    world.pass_time(5)
    assert isinstance(operator(world).result(requested), Failed)
    assert [expected, expected] == world.states_of(NETWORK)
    world.template("network", TEMPLATES["network"])
    world.pass_time(5)
    operator(world).retry(NETWORK)
    world.pass_time(5)
    assert ("MODIFY_COMPLETED", 1, "") == world.outcome(NETWORK)


def test_a_retry_of_what_needs_no_stack() -> None:
    """Its result is written again."""
    world = World()
    world.write(ALIAS)
    world.settle()
    operator(world).retry(ALIAS)
    world.settle()
    assert [("READ_COMPLETE", 1, "")] * 2 == world.states_of(ALIAS)


def test_what_can_not_be_retried() -> None:
    """Each refusal says why."""
    world = World(operation_seconds=60.0)
    act = operator(world)
    assert "there is no config at /v2.0/networks/n1" == refusal(lambda: act.retry(NETWORK))
    template = ResourceRef("heat_template", "network")
    assert "a heat_template has no jobs" == refusal(lambda: act.retry(template))
    with pytest.raises(InvalidKey):
        act.retry(ref("nothing", "n1"))
    world.put("/config/v2.0/networks/n1", "no JSON")
    assert refusal(lambda: act.retry(NETWORK)).startswith("its config can't be read: ")
    world.write(NETWORK)
    assert "version 1 is not planned yet: does a job manager run?" == refusal(
        lambda: act.retry(NETWORK)
    )
    world.settle()
    job = world.job(NETWORK).id
    assert f"it has an unfinished job: {job}" == refusal(lambda: act.retry(NETWORK))
    world.write(PORT, {"network_id": "nowhere"})
    world.settle()
    held = "its config is held, so it is not planned yet: "
    assert refusal(lambda: act.retry(PORT)).startswith(held)


def test_a_retry_of_what_is_set_aside() -> None:
    """A config that goes back is set aside, so it can't be retried."""
    world = done()
    world.write(NETWORK, {"name": "blue"}, 3)
    world.pass_time(5)
    world.write(NETWORK, {"name": "red"}, 2)
    world.pass_time(5)
    reason = refusal(lambda: operator(world).retry(NETWORK))
    assert "its config is set aside: version 2 after version 3" == reason
    world.write(NETWORK, {"name": "red"}, 4)
    reason = refusal(lambda: operator(world).retry(NETWORK))
    assert "version 4 is not planned yet: does a job manager run?" == reason


def test_a_processed_copy_that_can_not_be_read() -> None:
    """It counts as none."""
    world = done()
    world.put(world.keys.processed_of(world.path(NETWORK)), "no JSON")
    reason = refusal(lambda: operator(world).retry(NETWORK))
    assert "version 1 is not planned yet: does a job manager run?" == reason


def test_a_config_that_changes_while_one_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    """The request is not written, since it would be void."""
    world = done()
    act = operator(world)

    def now(_clock: Clock) -> str:
        world.write(NETWORK, {"name": "red"}, 2)
        return ""

    monkeypatch.setattr("gohan_jobs.operations.operating.time_text", now)
    assert "it has changed meanwhile: look again" == refusal(lambda: act.retry(NETWORK))


def test_a_job_that_ends_while_one_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    """The request to cancel it is not written: nobody would ever take it away."""
    world, job_id = running()
    act = operator(world)

    def now(_clock: Clock) -> str:
        world.delete(world.keys.job(job_id))
        return ""

    monkeypatch.setattr("gohan_jobs.operations.operating.time_text", now)
    assert "it has changed meanwhile: look again" == refusal(lambda: act.cancel(job_id))
    assert [] == requests(world)


def test_two_who_ask_at_once() -> None:
    """The second is told, and does not write over what the first one follows."""
    world = done()
    world.lifecycle.close()
    store = world.store
    first: list[Requested] = []

    class Raced(MemoryStore):
        def transact(self, transaction: Transaction) -> TransactionResult:
            store.__class__ = MemoryStore
            first.append(operator(world, by="bob").retry(NETWORK))
            return MemoryStore.transact(self, transaction)

    store.__class__ = Raced
    reason = refusal(lambda: operator(world).retry(NETWORK))
    assert "it has changed meanwhile: look again" == reason
    entry = store.get(first[0].key)
    assert entry is not None
    assert first[0].revision == entry.mod_revision


def dropped(world: World) -> list[str]:
    """Why requests were dropped."""
    return [event.reason for event in world.told(RequestDropped)]


def test_a_void_request_is_dropped() -> None:
    """One for an earlier config does nothing."""
    world = done()
    world.lifecycle.close()
    requested = operator(world).retry(NETWORK)
    world.write(NETWORK, {"name": "red"}, 2)
    world.restart()
    world.pass_time(5)
    assert ["its config is another one by now"] == dropped(world)
    assert Superseded(2) == operator(world).result(requested)
    assert [1, 2] == [version for _, version, _ in world.states_of(NETWORK)]


def ask(world: World, path: str, config_mod: int = 7, text: bytes | None = None) -> None:
    """Ask for a retry without looking."""
    own = Queue(world.keys, world.codec).own
    request = own.dumps(RetryRequest(version=1, config_mod=config_mod))
    world.put(f"{own.retries_prefix}{path}", request if text is None else text)


@pytest.mark.parametrize(
    ("path", "text", "reason"),
    [
        ("v2.0/networks/n1", b"{}", "the request can't be read"),
        ("v2.0/networks/gone", None, "its config is gone"),
        ("v9/none/n1", None, "its config is gone"),
    ],
)
def test_requests_that_nobody_should_have_made(path: str, text: bytes | None, reason: str) -> None:
    """They are dropped, and said so."""
    world = done()
    ask(world, path, text=text)
    world.settle()
    assert [reason] == dropped(world)
    assert [] == requests(world)


@pytest.mark.parametrize(
    ("config", "text", "reason"),
    [
        ("/config/v9/none/n1", '{"body": {}, "version": 1}', "no schema has this path"),
        ("/config/v2.0/networks/n1", "[]", "/config/v2.0/networks/n1: "),
    ],
)
def test_requests_for_configs_of_no_use(config: str, text: str, reason: str) -> None:
    """They are dropped, too."""
    world = World()
    world.put(config, text)
    world.settle()
    entry = world.store.get(config)
    assert entry is not None
    ask(world, config.removeprefix("/config/"), entry.mod_revision)
    world.settle()
    (said,) = dropped(world)
    assert said.startswith(reason)


def test_a_retry_comes_after_the_jobs_of_the_resource() -> None:
    """A job that came before it, such as a repair, ends first."""
    world, _ = running()
    entry = world.store.get("/config/v2.0/networks/n1")
    assert entry is not None
    ask(world, "v2.0/networks/n1", entry.mod_revision)
    world.settle()
    assert [] == world.told(RequestCarriedOut)
    world.pass_time(62)
    assert ["RequestCarriedOut"] == [type(e).__name__ for e in world.told(RequestCarriedOut)]


def test_a_retry_that_finds_something_changed() -> None:
    """Its transaction fails, all is read again, and then it is done."""
    world = done()
    operator(world).retry(NETWORK)
    processed = world.keys.processed_of(world.path(NETWORK))
    text = world.text(processed)
    assert text is not None
    drain = world.lifecycle._manager._drain  # type: ignore[union-attr]  # it is one

    def drained() -> bool:
        heard = drain()
        if not heard and requests(world) and len(meddled) < 2:
            meddled.append(1)
            world.put(processed, text)
        return heard

    meddled: list[int] = []
    world.lifecycle._manager._drain = drained  # type: ignore[union-attr,method-assign]  # likewise
    world.pass_time(5)
    assert [("CREATE_COMPLETED", 1, ""), ("MODIFY_COMPLETED", 1, "")] == world.states_of(NETWORK)


def test_a_retry_that_is_cancelled_says_so() -> None:
    """It publishes another result, however it ends."""
    world = done(operation_seconds=0.0)
    world.lifecycle = world.peer(roles=("manager",))
    world.clock.advance(120)
    world.store.expire()
    operator(world).retry(NETWORK)
    world.settle()
    operator(world).cancel(world.job(NETWORK).id, "not now")
    world.settle()
    assert ("MODIFY_ERROR", 1, "cancelled: not now") == world.outcome(NETWORK)


def test_waiting_has_an_end() -> None:
    """Nothing happens, so the wait gives up."""
    world = done()
    act = operator(world, pause=world.clock.advance)
    requested = act.retry(NETWORK)
    with pytest.raises(WaitTimeout):
        act.wait(requested, 3.0)


def test_the_result_of_a_config_that_is_gone() -> None:
    """Nothing more will come."""
    world = done()
    requested = Requested(request="retry", resource=DISK, version=1, key="/none", revision=1)
    assert Superseded(None) == operator(world).result(requested)
    world.write(NETWORK, {"name": "red"}, 2)
    world.pass_time(5)
    old = attrs.evolve(requested, resource=NETWORK, revision=world.store.revision())
    assert Superseded(2) == operator(world).result(old)


def test_a_request_whose_job_is_unfinished() -> None:
    """Its result is not there yet."""
    world, job_id = running()
    requested = Requested(
        request="cancel", resource=NETWORK, version=1, key="/none", revision=1, job_id=job_id
    )
    assert operator(world).result(requested) is None


# Cancel.


def test_a_job_that_nobody_has_is_cancelled() -> None:
    """It fails at once, and those that refer to it are let down."""
    world = World(roles=("manager",))
    world.write(NETWORK)
    world.write(PORT, {"network_id": "n1"})
    world.settle()
    act = operator(world)
    network, port = world.job(NETWORK).id, world.job(PORT).id
    assert (port,) == act.dependants(network)
    assert network == act.job_of(NETWORK)
    requested = act.cancel(network, "a mistake")
    world.settle()
    assert ("CREATE_ERROR", 1, "cancelled: a mistake") == world.outcome(NETWORK)
    expected = f"cancelled: {network} failed: cancelled: a mistake"
    assert ("CREATE_ERROR", 1, expected) == world.outcome(PORT)
    assert isinstance(act.result(requested), Failed)
    assert [network, port] == [event.job_id for event in world.told(JobCancelled)]
    (carried,) = world.told(RequestCarriedOut)
    assert ("cancel", "ann") == (carried.request, carried.by)
    assert [] == world.jobs()
    assert [] == requests(world)
    assert [] == world.changes()


def test_dependants_may_be_held_instead() -> None:
    """``on_dependency_failure="hold"`` counts for a cancelled job, too."""
    options = ManagerOptions(on_dependency_failure="hold")
    world = World(roles=("manager",), manager=options)
    world.write(NETWORK)
    world.write(PORT, {"network_id": "n1"})
    world.settle()
    operator(world).cancel(world.job(NETWORK).id)
    world.settle()
    assert ("CREATE_ERROR", 1, "cancelled: by ann") == world.outcome(NETWORK)
    assert {"create p1:1": "waiting"} == world.places()


def test_a_running_job_is_cancelled() -> None:
    """Its holder stops, the version fails, and a record says that there may be a stack."""
    world, job_id = running()
    requested = operator(world, by="").cancel(job_id)
    world.settle()
    assert [("CREATE_ERROR", 1, "cancelled: by an operator")] == world.states_of(NETWORK)
    assert isinstance(operator(world).result(requested), Failed)
    stack = world.stack(NETWORK)
    assert stack is not None
    assert ("network_n1", "CREATE_IN_PROGRESS") == (stack.stack_id, stack.stack_status)
    assert [("create", "network_n1")] == world.changes()
    assert {} == world.under(key(world, "preempt", ""))
    assert [] == world.jobs()
    world.pass_time(70)
    assert ("CREATE_ERROR", 1, "cancelled: by an operator") == world.outcome(NETWORK)


def test_what_was_cancelled_can_be_retried() -> None:
    """The stack that was begun is taken up."""
    world, job_id = running()
    operator(world).cancel(job_id)
    world.settle()
    requested = operator(world).retry(NETWORK)
    world.pass_time(130)
    assert isinstance(operator(world).result(requested), Completed)


def test_a_cancelled_update_keeps_the_stacks_record() -> None:
    """What is known of the stack stays as it was."""
    world = done()
    before = world.stack(NETWORK)
    world.write(NETWORK, {"name": "red"}, 2)
    world.settle()
    operator(world).cancel(world.job(NETWORK).id)
    world.settle()
    assert ("MODIFY_ERROR", 2, "cancelled: by ann") == world.outcome(NETWORK)
    assert before == world.stack(NETWORK)


def test_a_new_leader_goes_on_cancelling() -> None:
    """Whatever the one before it had done, the version has one result in the end."""
    world, job_id = running()
    operator(world).cancel(job_id, "no")
    world.step_until(lambda: world.place(job_id) is Place.FINISHED)
    world.lifecycle.close()
    world.restart()
    world.settle()
    assert [("CREATE_ERROR", 1, "cancelled: no")] == world.states_of(NETWORK)
    stack = world.stack(NETWORK)
    assert stack is not None


def test_a_holder_that_dies_while_it_is_told() -> None:
    """Its job stands nowhere then, and is ended all the same."""
    world, job_id = running()
    worker = world.lifecycle
    world.lifecycle = world.peer(roles=("manager",))
    worker._manager.close()  # type: ignore[union-attr]  # it is one
    world.settle()
    operator(world).cancel(job_id, "no")
    world.settle()
    assert CANCELLED.encode() == world.text(key(world, "preempt", job_id))
    assert Place.WORKING == world.place(job_id)
    world.clock.advance(120)
    world.store.expire()
    world.settle()
    assert [("CREATE_ERROR", 1, "cancelled: no")] == world.states_of(NETWORK)
    assert [] == world.jobs()


def test_a_delete_that_runs_is_not_cancelled() -> None:
    """Half a stack would serve nobody: neither is it asked for, nor done."""
    world = done()
    world.write(NETWORK, {"name": "blue"}, 2, marked=True)
    world.settle()
    job_id = world.job(NETWORK).id
    reason = refusal(lambda: operator(world).cancel(job_id))
    assert "a delete that has begun runs to its end: Heat may be at it" == reason
    cancel(world, job_id)
    world.settle()
    assert ["a delete that has begun runs to its end"] == dropped(world)
    world.pass_time(61)
    assert ("DELETE_COMPLETED", 2, "") == world.outcome(NETWORK)


def test_whose_delete_runs_to_its_end() -> None:
    """A one-step delete of a stack likewise; what other handlers delete is ended."""
    world = World(operation_seconds=60.0)
    found = {}
    for handler in ("heat_worker", "monitoring_worker"):
        job_id = JobId("delete", handler, "disk", "d1", 1, "aaaaa")
        world.put(world.keys.job(job_id), b"{}")
        world.put(world.keys.place(Place.WORKING, job_id), b"somebody")
        try:
            operator(world).cancellable(job_id)
        except OperationRefused as refused:
            found[handler] = refused.reason
    expected = "a delete that has begun runs to its end: Heat may be at it"
    assert {"heat_worker": expected} == found


def cancel(world: World, name: object, text: bytes | None = None) -> None:
    """Ask for a cancellation without looking."""
    own = Queue(world.keys, world.codec).own
    request = own.dumps(CancelRequest(reason="no"))
    world.put(f"{own.cancels_prefix}{name}", request if text is None else text)


def test_a_delete_that_has_not_begun_is_cancelled() -> None:
    """A one-step delete leaves an orphan, as one that fails; a marked config gets its error."""
    world = World()
    world.write(DISK)
    world.write(NETWORK)
    world.settle()
    world.lifecycle.close()
    world.lifecycle = world.peer(roles=("manager",))
    world.remove_config(DISK, state=True)
    world.write(NETWORK, {}, 2, marked=True)
    world.settle()
    for job in world.jobs():
        operator(world).cancel(job.id, "keep it")
    world.settle()
    assert ("DELETE_ERROR", 2, "cancelled: keep it") == world.outcome(NETWORK)
    assert None is world.outcome(DISK)
    orphan = world.text(key(world, "orphans", "v2.0/disks/d1"))
    assert orphan is not None
    assert b"cancelled: keep it" in orphan
    assert [] == world.jobs()


def test_what_can_not_be_cancelled() -> None:
    """Each refusal says why."""
    world, job_id = running()
    act = operator(world)
    world.write(NETWORK, {"name": "red"}, 2)
    world.settle()
    newer = world.job(NETWORK, 2).id
    assert () == act.dependants(job_id)  # a newer version of the same resource goes on
    reason = refusal(lambda: act.job_of(NETWORK))
    assert f"name one of its unfinished jobs: {job_id}, {newer}" == reason
    assert "it has no unfinished job" == refusal(lambda: act.job_of(DISK))
    gone = attrs.evolve(job_id, suffix="zzzzz")
    assert "there is no such unfinished job" == refusal(lambda: act.cancel(gone))
    world.transact(
        Delete(world.keys.place(Place.WORKING, job_id)),
        Put(world.keys.place(Place.FINISHED, job_id), b""),
    )
    assert "it is finished" == refusal(lambda: act.cancel(job_id))


def test_a_job_that_ends_before_it_is_cancelled() -> None:
    """The request is dropped, and the result stands."""
    world, job_id = running(operation_seconds=5.0)
    world.clock.advance(10)
    world.step_until(lambda: world.place(job_id) is Place.FINISHED)
    cancel(world, job_id)
    world.settle()
    assert ["it has ended by itself"] == dropped(world)
    assert [("CREATE_COMPLETED", 1, "")] == world.states_of(NETWORK)


def test_cancellations_that_nobody_should_have_made() -> None:
    """They are dropped; one of another program's job waits until that is known."""
    world = done()
    cancel(world, "nothing")
    world.settle()
    job_id = JobId("create", "heat_worker", "network", "n1", 1, "aaaaa")
    cancel(world, job_id, b"{}")
    world.settle()
    cancel(world, job_id)
    world.settle()
    unreadable = "the request can't be read"
    assert [unreadable, unreadable, "it has ended by itself"] == dropped(world)


def test_a_job_that_cannot_be_known_yet() -> None:
    """A request for a job whose document the leader can't use waits."""
    world = done()
    job_id = JobId("create", "heat_worker", "nothing", "n1", 1, "aaaaa")
    world.put(world.keys.job(job_id), b"no JSON")
    cancel(world, job_id)
    world.settle()
    assert [] == dropped(world)


# Release.


def test_a_claim_is_taken_from_its_holder() -> None:
    """The holder writes nothing more; the job counts a lost claim, and waits before the next."""
    world, job_id = running()
    act = operator(world)
    holder = act.holder(job_id)
    assert (60.0, 0, world.text(world.keys.place(Place.WORKING, job_id))) == (
        holder.remaining,
        holder.attempts,
        holder.claim.encode(),
    )
    assert "8" == (world.text(key(world, "workers", holder.worker)) or b"").decode()
    act.release(holder)
    revision = world.store.revision()
    world.settle()
    assert Place.WAITING == world.place(job_id)
    notes = Queue(world.keys, world.codec).own
    entry = world.store.get(notes.job(job_id))
    assert entry is not None
    found = notes.loads(entry.key, entry.value, JobNotes)
    assert (1, True, 30.0) == (found.attempts, found.begun, found.delay)
    assert [("released by ann", 30.0, True)] == [
        (event.reason, event.after, event.lost) for event in world.told(JobHandedBack)
    ]
    assert {} == world.under(key(world, "preempt", ""))
    assert [] == world.states_of(NETWORK)
    world.pass_time(29)
    assert Place.WAITING == world.place(job_id)
    world.pass_time(2)
    assert Place.WORKING == world.place(job_id)
    assert act.holder(job_id).revision > revision
    world.pass_time(60)
    assert [("CREATE_COMPLETED", 1, "")] == world.states_of(NETWORK)
    assert [("create", "network_n1")] == world.changes()


def test_a_claim_that_was_given_back_is_not_taken() -> None:
    """A release is of one claim of one holder."""
    world, job_id = running()
    act = operator(world)
    holder = act.holder(job_id)
    act.release(holder)
    assert "it has been given back meanwhile" == refusal(lambda: act.release(holder))
    assert "nobody has it: it is nowhere" == refusal(lambda: act.holder(job_id))
    gone = attrs.evolve(job_id, suffix="zzzzz")
    assert "there is no such unfinished job" == refusal(lambda: act.holder(gone))


def test_a_later_claim_of_the_same_job_is_not_taken() -> None:
    """Who looked at one claim has not looked at the next."""
    world, job_id = running()
    act = operator(world)
    first = act.holder(job_id)
    act.release(first)
    world.pass_time(35)
    later = act.holder(job_id)
    assert later.claim != first.claim
    assert "it has been given back meanwhile" == refusal(lambda: act.release(first))
    assert later == attrs.evolve(act.holder(job_id), remaining=later.remaining)


def test_a_claim_is_its_leases_workers() -> None:
    """Of several workers the one with that lease has it, and a claim without a lease none."""
    world, job_id = running()
    entry = world.store.get(world.keys.place(Place.WORKING, job_id))
    assert entry is not None
    while (lease := world.store.grant_lease(60.0).id) < 10:
        pass
    world.put(key(world, "workers", "0-first"), b"8", lease)
    world.put(key(world, "workers", "1-none"), b"8")
    holder = operator(world).holder(job_id)
    assert (f"{entry.lease:x}", False) == (holder.lease, holder.worker in {"0-first", "1-none"})
    world.put(entry.key, entry.value, lease)
    holder = operator(world).holder(job_id)
    assert (f"{lease:x}", "0-first") == (holder.lease, holder.worker)
    world.put(entry.key, entry.value)
    holder = operator(world).holder(job_id)
    assert ("", "") == (holder.lease, holder.worker)


def test_what_a_holder_was_told_stands() -> None:
    """A job that a delete has pre-empted is superseded, also once its claim is taken away."""
    world, job_id = running()
    worker = world.lifecycle
    world.lifecycle = world.peer(roles=("manager",))
    worker._manager.close()  # type: ignore[union-attr]  # it is one
    world.write(NETWORK, {}, 2, marked=True)
    world.settle()
    assert b"delete" == world.text(key(world, "preempt", job_id))
    act = operator(world, by="")
    act.release(act.holder(job_id))
    world.settle()
    assert {"logical_delete n1:2": "ready"} == world.places()


def test_a_holder_of_another_program() -> None:
    """A claim without a lease, of a job without notes."""
    world, job_id = running()
    working = world.keys.place(Place.WORKING, job_id)
    world.put(working, b"somebody")
    world.delete(key(world, "jobs", job_id))
    holder = operator(world).holder(job_id)
    assert ("somebody", "", "", None, "", 0) == (
        holder.claim,
        holder.lease,
        holder.worker,
        holder.remaining,
        holder.planned_at,
        holder.attempts,
    )
    world.put(key(world, "jobs", job_id), b"no JSON")
    assert "" == operator(world).holder(job_id).planned_at


def test_documents_that_can_not_be_read_depend_on_nothing() -> None:
    """They are passed over."""
    world, job_id = running()
    world.put(f"{world.keys.all_jobs}other", b"no JSON")
    assert () == operator(world).dependants(job_id)


# Workflows of several jobs (2017), and what changes between a look and a write.

MONITORED = Schemas(
    [
        Schema(
            type="port",
            prefix="v2.0/ports",
            templates={"heat_worker": "Cport", "monitoring_worker": "Cwatch"},
            state_versioning=True,
            two_step_deletion=True,
        )
    ]
)


def changed_without_a_worker() -> World:
    """A modify of a monitored port: monitoring delete, heat modify, monitoring create."""
    world = World(
        schemas=MONITORED,
        templates={"port": TEMPLATES["network"], "watch": {}},
        roles=("manager",),
    )
    own = Queue(world.keys, world.codec)
    processed = ProcessedConfig(
        body={"id": "p1", "tenant_id": "t", "name": "old"}, deleted=False, version=1
    )
    world.write(PORT, {"name": "old"})
    world.put(world.keys.processed_of(world.path(PORT)), own.text(processed))
    world.put(
        "/state/v2.0/ports/p1",
        '{"state": {"worker_state": "CREATE_COMPLETED"}, "version": 1, "error": ""}',
    )
    world.settle()
    world.write(PORT, {"name": "new"}, 2)
    world.settle()
    assert ["delete", "modify", "create"] == [job.action for job in workflow(world)]
    return world


def workflow(world: World) -> list[Job]:
    """The jobs of one workflow, in order."""
    return sorted(world.jobs(), key=lambda job: len(job.dependency))


@pytest.mark.parametrize("which", [0, 1, 2])
def test_a_workflow_ends_as_one(which: int) -> None:
    """Whichever of its jobs is named, the version has one result, and all of them go."""
    world = changed_without_a_worker()
    assert workflow(world)[0].id == operator(world).job_of(PORT)
    operator(world).cancel(workflow(world)[which].id, "no")
    world.settle()
    assert [] == world.jobs()
    assert ("MODIFY_ERROR", 2, "cancelled: no") == world.outcome(PORT)
    assert [("CREATE_COMPLETED", 1, ""), ("MODIFY_ERROR", 2, "cancelled: no")] == world.states_of(
        PORT
    )


def test_a_workflow_whose_first_job_has_failed() -> None:
    """It is let down by that, and the request dropped: there is no second result."""
    world = changed_without_a_worker()
    first, heat, last = workflow(world)
    own = Queue(world.keys, world.codec)
    world.transact(
        Delete(world.keys.place(Place.READY, first.id)), Delete(world.keys.job(first.id))
    )
    world.settle()
    place = world.place(heat.id)
    assert place is not None
    failed = own.own.dumps(Failure(reason="ill"))
    world.transact(
        Delete(world.keys.place(place, heat.id)),
        Put(world.keys.place(Place.FINISHED, heat.id), b""),
        Put(own.own.failed(heat.id), failed),
        Put(own.own.cancel(last.id), own.own.dumps(CancelRequest(reason="no"))),
    )
    world.settle()
    assert ["it has ended by itself"] == dropped(world)
    assert [] == world.jobs()


class Meddling(MemoryStore):
    """A store in which something happens just before a certain transaction."""

    meddle: Callable[[Transaction], None] | None = None

    def transact(self, transaction: Transaction) -> TransactionResult:
        """As any, but for what happens before it, once."""
        meddle, self.meddle = self.meddle, None
        if meddle is not None:
            meddle(transaction)
            self.meddle = meddle
        return super().transact(transaction)


def before(world: World, needle: str, operations: tuple[Operation, ...]) -> None:
    """Let something happen once, just before a transaction of the leader's that puts a key."""
    store = world.store
    store.__class__ = Meddling
    assert isinstance(store, Meddling)
    done: list[int] = []

    def meddle(transaction: Transaction) -> None:
        keys = [getattr(each, "key", "") for each in transaction.success]
        if not done and any(key.startswith(needle) for key in keys):
            done.append(1)
            MemoryStore.transact(store, Transaction((), operations))

    store.meddle = meddle


def test_a_job_that_is_claimed_while_it_is_cancelled() -> None:
    """The leader looks again, and tells its holder; the version has one result."""
    world = World(roles=("manager",))
    world.write(NETWORK)
    world.settle()
    job_id = world.job(NETWORK).id
    lease = world.store.grant_lease(30.0).id
    operator(world).cancel(job_id, "no")
    ready = world.keys.place(Place.READY, job_id)
    working = world.keys.place(Place.WORKING, job_id)
    before(world, "/gohan-jobs/failed/", (Delete(ready), Put(working, b"somebody", lease)))
    world.settle()
    assert CANCELLED.encode() == world.text(key(world, "preempt", job_id))
    world.transact(Delete(working), Put(world.keys.place(Place.FINISHED, job_id), b""))
    world.settle()
    assert [("CREATE_ERROR", 1, "cancelled: no")] == world.states_of(NETWORK)
    stack = world.stack(NETWORK)
    assert stack is not None
    assert TENANT == stack.tenant_id


def test_a_job_that_is_given_back_while_its_holder_is_told() -> None:
    """The leader looks again, and ends it where it is."""
    world = World(roles=("manager",))
    world.write(NETWORK)
    world.settle()
    job_id = world.job(NETWORK).id
    lease = world.store.grant_lease(30.0).id
    ready = world.keys.place(Place.READY, job_id)
    working = world.keys.place(Place.WORKING, job_id)
    waiting = world.keys.place(Place.WAITING, job_id)
    world.transact(Delete(ready), Put(working, b"somebody", lease))
    world.settle()
    operator(world).cancel(job_id, "no")
    before(world, "/gohan-jobs/preempt/", (Delete(working), Put(waiting, b"heat_worker")))
    world.settle()
    assert [("CREATE_ERROR", 1, "cancelled: no")] == world.states_of(NETWORK)


def test_a_skipped_job_that_is_claimed_meanwhile() -> None:
    """The leader looks again."""
    world = changed_without_a_worker()
    first = workflow(world)[0].id
    lease = world.store.grant_lease(30.0).id
    ready = world.keys.place(Place.READY, first)
    working = world.keys.place(Place.WORKING, first)
    operator(world).cancel(first, "no")
    before(world, world.keys.job(first), (Delete(ready), Put(working, b"somebody", lease)))
    world.settle()
    assert CANCELLED.encode() == world.text(key(world, "preempt", first))
    world.transact(Delete(working), Put(world.keys.place(Place.FINISHED, first), b""))
    world.settle()
    assert [] == world.jobs()
    assert ("MODIFY_ERROR", 2, "cancelled: no") == world.outcome(PORT)


def test_a_config_that_goes_while_its_job_is_cancelled() -> None:
    """There is nobody to tell, and nothing is left over."""
    world = World(roles=("manager",))
    world.write(DISK)
    world.settle()
    job_id = world.job(DISK).id
    operator(world).cancel(job_id, "no")
    before(world, "/gohan-jobs/failed/", (Delete("/config/v2.0/disks/d1"),))
    world.settle()
    assert None is world.outcome(DISK)
    assert [] == requests(world)
    assert [] == world.jobs()


def test_a_request_for_something_too_large() -> None:
    """What the store does not take is dropped, and said."""
    world = done()
    operator(world).retry(NETWORK)
    manager = world.lifecycle._manager
    assert manager is not None

    def refuse(*_: object) -> bool:
        raise TransactionTooLarge("/jobs/all/x", 9, 5)

    manager._requests._retries._drafting.carry_out = refuse  # type: ignore[assignment]  # as if
    world.settle()
    assert ["/jobs/all/x: 9 bytes, the store takes 5"] == dropped(world)


def test_a_request_that_somebody_takes_back() -> None:
    """It is dropped without a word, since nobody asks any more."""
    world = done()
    ask(world, "v2.0/networks/n1")
    taken = (Delete(key(world, "retries", "v2.0/networks/n1")),)
    before(world, key(world, "retries", ""), taken)
    world.settle()
    gone = JobId("create", "heat_worker", "network", "n1", 1, "aaaaa")
    cancel(world, gone)
    before(world, key(world, "cancels", ""), (Delete(key(world, "cancels", gone)),))
    world.settle()
    assert [] == dropped(world)
    assert [] == requests(world)


def test_the_middle_of_a_workflow_that_runs() -> None:
    """A later job is named while the first one runs: that is told to stop, then both go."""
    world = changed_without_a_worker()
    first, heat, _ = workflow(world)
    lease = world.store.grant_lease(30.0).id
    ready, working = (world.keys.place(p, first.id) for p in (Place.READY, Place.WORKING))
    world.transact(Delete(ready), Put(working, b"somebody", lease))
    operator(world).cancel(heat.id, "no")
    world.settle()
    world.transact(Delete(working), Put(world.keys.place(Place.FINISHED, first.id), b""))
    world.settle()
    assert [] == world.jobs()
    assert ("MODIFY_ERROR", 2, "cancelled: no") == world.outcome(PORT)


def test_what_is_possible_is_known_before() -> None:
    """A question can be asked before anything is done."""
    world, job_id = running()
    operator(world).cancellable(job_id)
    broken = world.keys.processed_of(world.path(NETWORK))
    world.pass_time(62)
    assert 1 == operator(world).retriable(NETWORK)
    world.put(broken, b"no JSON")
    reason = refusal(lambda: operator(world).retriable(NETWORK))
    assert "version 1 is not planned yet: does a job manager run?" == reason


def test_a_void_request_is_replaced() -> None:
    """One of an earlier config, or that nobody can read, makes room for a new one."""
    world = done()
    world.lifecycle.close()
    for text in (None, b"no JSON"):
        ask(world, "v2.0/networks/n1", text=text)
        assert not operator(world).retry(NETWORK).already
        world.delete(key(world, "retries", "v2.0/networks/n1"))


def test_a_request_that_was_replaced_waits_for_nothing() -> None:
    """What stands there now is another's: the first one's version gets no result any more."""
    world = done()
    world.lifecycle.close()
    first = operator(world).retry(NETWORK)
    world.write(NETWORK, {"name": "red"}, 2)
    world.put(first.key, b"no JSON")
    assert Superseded(2) == operator(world).result(first)


def test_a_request_whose_version_is_at_rest_waits_for_no_other() -> None:
    """The job of a newer version is none of its; of the same version nothing took its place."""
    world = done(operation_seconds=3.0)
    requested = Requested(
        request="retry",
        resource=NETWORK,
        version=1,
        key="/none",
        revision=world.store.revision(),
    )
    assert Superseded(None) == operator(world).result(requested)
    world.write(NETWORK, {"name": "red"}, 2)
    world.settle()
    assert 2 == world.job(NETWORK).version
    assert Superseded(2) == operator(world).result(requested)


def test_a_result_that_comes_while_one_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told, though it was not there before the job had ended."""
    world, job_id = running()
    act = operator(world)
    requested = act.cancel(job_id)
    world.delete(requested.key)
    has_job = Inspector.has_job

    def ended(inspector: Inspector, resource: ResourceRef, version: int) -> bool:
        world.pass_time(70)
        return has_job(inspector, resource, version)

    monkeypatch.setattr(Inspector, "has_job", ended)
    assert isinstance(act.result(requested), Completed)


@pytest.mark.parametrize(("body", "marked"), [({"name": "red"}, False), ({"name": "blue"}, True)])
def test_a_version_that_was_written_anew_is_not_planned_yet(
    body: dict[str, str], *, marked: bool
) -> None:
    """That its number was processed is not enough: its body and its mark were not."""
    world = done()
    world.write(NETWORK, body, 1, marked=marked)
    reason = refusal(lambda: operator(world).retry(NETWORK))
    assert "version 1 is not planned yet: does a job manager run?" == reason


def test_a_retry_may_be_vetoed() -> None:
    """The admission hook has its say; who asked can ask again."""
    closed: list[str] = []

    def admission(request: AdmissionRequest) -> Verdict:
        return Veto(closed[0]) if closed else Allow()

    world = done(admission=admission)
    closed.append("maintenance")
    operator(world).retry(NETWORK)
    world.pass_time(5)
    (reason,) = dropped(world)
    assert reason.startswith("vetoed, ask again at 2018-02-19T")
    assert reason.endswith(": maintenance")
    closed.clear()
    operator(world).retry(NETWORK)
    world.pass_time(70)
    assert ("MODIFY_COMPLETED", 1, "") == world.outcome(NETWORK)


def test_types_that_count_no_versions() -> None:
    """Their versions are all 0: a result of an earlier config is none of this one's."""
    world = World()
    world.write(QUOTA, {"name": "a"}, 0)
    world.pass_time(5)
    world.write(QUOTA, {"name": "b"}, 0)
    world.settle()
    operator(world).cancel(world.job(QUOTA).id, "no")
    world.settle()
    expected = [("CREATE_COMPLETED", 0, ""), ("MODIFY_ERROR", 0, "cancelled: no")]
    assert expected == world.states_of(QUOTA)


def test_a_job_whose_failure_does_not_count_publishes_nothing() -> None:
    """Given up after too many lost claims it says nothing: the jobs after it have the say."""
    world = changed_without_a_worker()
    first, heat, _ = workflow(world)
    own = Queue(world.keys, world.codec).own
    entry = world.store.get(own.job(first.id))
    assert entry is not None
    notes = own.loads(entry.key, entry.value, JobNotes)
    worn = own.dumps(attrs.evolve(notes, attempts=4))
    ready, working = (world.keys.place(p, first.id) for p in (Place.READY, Place.WORKING))
    world.transact(Delete(ready), Put(working, b"somebody"), Put(own.job(first.id), worn))
    world.settle()
    world.lifecycle.close()
    world.restart(roles=("manager",))
    world.settle()
    world.delete(working)
    world.settle()
    assert ["CREATE_COMPLETED"] == [state for state, _, _ in world.states_of(PORT)]
    assert "ready" == world.place(heat.id)


def test_a_retry_of_which_two_jobs_are_cancelled_has_one_result() -> None:
    """Both requests end the same version, of which the first has told."""
    clock = VirtualClock()
    minute = HeatOutcome(seconds=60.0)
    heat = SimulatedHeat(clock, outcome_of=lambda call: minute if call.op == "update" else None)
    world = World(
        clock=clock,
        heat=heat,
        schemas=MONITORED,
        templates={"port": TEMPLATES["network"], "watch": {}},
        handlers={"monitoring_worker": lambda _: Done()},
    )
    world.write(PORT, {"name": "blue"})
    world.pass_time(5)
    act = operator(world)
    act.retry(PORT)
    world.pass_time(5)
    assert {"modify p1:1": "working", "create p1:1": "waiting"} == world.places()
    for job in world.jobs():
        act.cancel(job.id, "no")
    world.pass_time(5)
    assert [
        ("CREATE_COMPLETED", 1, ""),
        ("MODIFY_ERROR", 1, "cancelled: no"),
    ] == world.states_of(PORT)
    assert ([], []) == (world.jobs(), requests(world))
