"""Several results and claims of one worker in one request: what becomes of one harms no other."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from gohan_jobs.events import ConfigSetAside, JobClaimed, JobFinished
from gohan_jobs.exceptions import AmbiguousWrite, InvalidRecord, StoreRefused, TransactionTooLarge
from gohan_jobs.handlers import Done, JobContext, Later, Observe, Outcome
from gohan_jobs.keys import JobId, Place
from gohan_jobs.lifecycle import Lifecycle, Role
from gohan_jobs.orchestrators.base import Stack
from gohan_jobs.records import ResourceRef, StackOutput
from gohan_jobs.stores.base import Delete, Put, Transaction, TransactionResult
from gohan_jobs.stores.memory import MemoryStore
from gohan_jobs.testing.faults import FaultyStore
from gohan_jobs.worker import Worker, WorkerOptions
from gohan_jobs.worker.ending import Endings
from worlds import World, ref

NETWORKS = [ref("network", f"n{number}") for number in range(8)]


class RecordingStore(FaultyStore):
    """Keeps what is sent."""

    def __init__(self, store: MemoryStore) -> None:
        super().__init__(store)
        self.sent: list[Transaction] = []

    def transact(self, transaction: Transaction) -> TransactionResult:
        """Keep it, and carry it out."""
        self.sent.append(transaction)
        return super().transact(transaction)


def at_once(_context: JobContext) -> Outcome:
    """A handler that is through at once."""
    return Done(outputs=())


def together(_context: JobContext) -> Outcome:
    """A handler that is through in ten seconds, together with all the others."""
    return Later(after=10.0, resume=at_once)


def queued(
    handler: Callable[[JobContext], Outcome],
    resources: Sequence[ResourceRef] = NETWORKS,
    **options: Any,
) -> tuple[World, Lifecycle, RecordingStore]:
    """Jobs that are ready, and a worker apart, which alone is stepped."""
    world = World(wrap=RecordingStore, roles=(Role.MANAGER,))
    for resource in resources:
        world.write(resource, {"name": "x"})
    world.settle()
    handlers = {"heat_worker": handler}
    lifecycle = world.peer(roles=(Role.WORKER,), seed=5, handlers=handlers, **options)
    store = lifecycle.store
    assert isinstance(store, RecordingStore)
    return world, lifecycle, store


def claimed(handler: Callable[[JobContext], Outcome] = together) -> tuple[Any, ...]:
    """As :func:`queued`, with all of the jobs claimed, and a look at what is sent from now on."""
    world, lifecycle, store = queued(handler)
    lifecycle.run_until_idle()
    store.sent.clear()
    return world, lifecycle, store


def worker_of(lifecycle: Lifecycle) -> Worker:
    """Its worker."""
    worker = lifecycle._worker
    assert worker is not None
    return worker


def parts(transaction: Transaction) -> tuple[int, int]:
    """How many reservations a request ends, and how many it makes."""
    steps = [
        step
        for part in transaction.success
        for step in (part.success if isinstance(part, Transaction) else (part,))
    ]
    working = [step for step in steps if getattr(step, "key", "").startswith("/jobs/working/")]
    return (
        sum(isinstance(step, Delete) for step in working),
        sum(isinstance(step, Put) for step in working),
    )


def completed(world: World) -> int:
    """How many resources are created."""
    return sum(("CREATE_COMPLETED", 1, "") == world.outcome(network) for network in NETWORKS)


def take_away(world: World, job: JobId) -> None:
    """Another holds a job now."""
    working = world.keys.place(Place.WORKING, job)
    world.delete(working)
    world.put(working, b"another")


def test_results_and_next_claims_go_out_together() -> None:
    """The more come back at once, the more are claimed, up to the slots; each job once."""
    resources = [ref("network", f"n{number}") for number in range(20)]
    world, lifecycle, store = queued(at_once, resources, worker=WorkerOptions(slots=4))
    lifecycle.run_until_idle()
    requests = [parts(sent) for sent in store.sent if parts(sent) != (0, 0)]
    assert [(0, 1), (1, 2), (2, 4), (4, 4)] == requests[:4]
    assert (20, 20) == (sum(ended for ended, _ in requests), sum(new for _, new in requests))
    assert 20 == len({event.job_id for event in world.told(JobClaimed)})
    assert 20 == len(world.under("/state/"))


def test_what_takes_long_is_published_before_the_next_is_called() -> None:
    """Called one after the other, none waits for another's handler; claims are left to others."""
    calls: list[tuple[str, int]] = []
    world: World

    def slow(_context: JobContext) -> Outcome:
        calls.append(("called", len(world.told(JobFinished))))
        world.clock.advance(1.0)
        return Done(outputs=())

    world, lifecycle, _ = queued(slow)
    lifecycle.run_until_idle()
    assert [("called", number) for number in range(8)] == calls
    assert 8 == completed(world)


def test_a_claim_that_is_another_s_harms_no_other() -> None:
    """Each result is fenced by itself: seven are published, all at once."""
    world, lifecycle, store = claimed()
    lost = worker_of(lifecycle).claims[3]
    take_away(world, lost.job_id)
    world.clock.advance(10.0)
    lifecycle.run_until_idle()
    assert [(8, 0)] == [parts(sent) for sent in store.sent if parts(sent) != (0, 0)]
    assert (7, None) == (completed(world), world.outcome(lost.job.resource))
    assert () == worker_of(lifecycle).claims


def test_a_config_that_went_harms_no_other() -> None:
    """Its result is refused and its claim dropped, one request later."""
    world, lifecycle, store = claimed()
    world.remove_config(NETWORKS[2])
    world.clock.advance(10.0)
    lifecycle.run_until_idle()
    assert [(8, 0), (1, 0)] == [parts(sent) for sent in store.sent if parts(sent) != (0, 0)]
    assert 7 == completed(world)
    assert {} == world.under("/jobs/working/")


def test_a_result_too_large_harms_no_other() -> None:
    """Then each is sent by itself, and the one is said to be too large."""
    big = StackOutput(output_key="o", description="", output_value="x" * 1_600_000)

    def handler(context: JobContext) -> Outcome:
        outputs = (big,) if context.job.resource == NETWORKS[5] else ()
        return Later(after=10.0, resume=lambda _later: Done(outputs=outputs))

    world, lifecycle, _ = claimed(handler)
    world.clock.advance(10.0)
    lifecycle.run_until_idle()
    assert 7 == completed(world)
    state, _, error = world.outcome(NETWORKS[5]) or ("", 0, "")
    assert ("CREATE_ERROR", True) == (state, error.startswith("result too large"))


def test_a_request_stays_within_a_mebibyte() -> None:
    """Three results of 160 kB, written three times each: two of them go together."""
    output = StackOutput(output_key="o", description="", output_value="x" * 160_000)

    def handler(_context: JobContext) -> Outcome:
        return Later(after=10.0, resume=lambda _later: Done(outputs=(output,)))

    world, lifecycle, store = queued(handler, NETWORKS[:5])
    lifecycle.run_until_idle()
    store.sent.clear()
    world.clock.advance(10.0)
    lifecycle.run_until_idle()
    assert 5 == completed(world)
    assert [3, 2] == [ended for ended, _ in map(parts, store.sent) if ended]


def test_what_the_store_refuses_as_nonsense_is_sent_one_by_one() -> None:
    """Whatever is wrong with the whole, each part has its own result."""
    world, lifecycle, store = claimed()
    store.fail("transact", error=lambda: ValueError("twice"))
    world.clock.advance(10.0)
    lifecycle.run_until_idle()
    sent = [parts(each) for each in store.sent if parts(each) != (0, 0)]
    assert [(8, 0), *[(1, 0)] * 8] == sent
    assert 8 == completed(world)


def test_a_lost_answer_publishes_nothing_twice() -> None:
    """It was carried out: each part is refused when it is sent again, and nothing is lost."""
    world, lifecycle, store = claimed()
    world.clock.advance(10.0)
    store.fail("transact", after=True)
    with pytest.raises(AmbiguousWrite):
        lifecycle.run_until_idle()
    lifecycle.run_until_idle()
    assert 8 == completed(world)
    assert [1] * 8 == [len(world.states_of(network)) for network in NETWORKS]
    assert () == worker_of(lifecycle).claims


def test_a_result_that_is_refused_stops_no_other() -> None:
    """Say, for want of a permission: it is tried again after all the others."""
    world, lifecycle, store = claimed()
    first = worker_of(lifecycle).claims[0].job.resource
    world.clock.advance(10.0)
    for number in (1, 2):
        store.fail("transact", on=number, error=lambda: StoreRefused("permission denied"))
    for done in (0, 0):
        with pytest.raises(StoreRefused):
            lifecycle.run_until_idle()
        assert done == completed(world)
    lifecycle.run_until_idle()
    assert 8 == completed(world)
    assert first.resource_id == world.told(JobFinished)[-1].job_id.resource_id


def test_a_lost_lease_empties_the_outbox() -> None:
    """What was to be sent again is nobody's any more."""
    world, lifecycle, store = claimed()
    world.clock.advance(10.0)
    store.fail("transact")
    with pytest.raises(Exception, match="a fault"):
        lifecycle.run_until_idle()
    worker_of(lifecycle)._registration.lose()
    lifecycle.run_until_idle()
    assert (0, ()) == (completed(world), worker_of(lifecycle).claims)


# What this library fails at.


@pytest.mark.parametrize("error", [ValueError("twice"), TransactionTooLarge("/k", 2, 1)])
def test_a_result_that_the_store_never_takes_is_set_aside(error: Exception) -> None:
    """Not even alone, nor shortened: its job is set aside with the reason."""
    world, lifecycle, store = queued(together, NETWORKS[:1])
    lifecycle.run_until_idle()
    world.clock.advance(10.0)
    for number in range(1, 5 if isinstance(error, TransactionTooLarge) else 3):
        store.fail("transact", on=number, error=lambda: error)
    lifecycle.run_until_idle()
    (told,) = world.told(ConfigSetAside)
    assert f"unexpected {type(error).__name__}" == told.reason
    assert {} == world.under("/jobs/working/")


def broken_outcome(context: JobContext) -> Outcome:
    """For one of the resources, something that no record can be made of."""
    if context.job.resource == NETWORKS[1]:
        return 5  # type: ignore[return-value]  # as a handler without types may
    return Done(outputs=())


def test_what_nothing_can_be_made_of_is_set_aside_and_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The worker lives on, and the other jobs are done."""
    world, lifecycle, _ = queued(broken_outcome)
    job = world.job(NETWORKS[1]).id
    lifecycle.run_until_idle()
    assert 7 == completed(world)
    told = [(event.key, event.reason) for event in world.told(ConfigSetAside)]
    assert [(world.keys.job(job), "unexpected AttributeError")] == told
    assert Place.WAITING is world.place(job)
    assert () == worker_of(lifecycle).claims
    told_of = [vars(record).get("job_id") for record in caplog.records]
    assert [str(job)] == [name for name in told_of if name is not None]


def test_a_record_that_can_t_be_written_for_another_reason(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is no failure of the handler's: its job is set aside."""

    def fail(*_: object) -> None:
        raise InvalidRecord("/state/v2.0/networks/n0", ())

    world, lifecycle, _ = queued(at_once, NETWORKS[:1])
    monkeypatch.setattr(lifecycle.queue, "finish", fail)
    lifecycle.run_until_idle()
    (told,) = world.told(ConfigSetAside)
    assert "unexpected InvalidRecord" == told.reason


def test_a_look_at_a_stack_that_nothing_can_be_made_of(monkeypatch: pytest.MonkeyPatch) -> None:
    """That job is set aside; the others go on as their stacks do."""

    def handler(context: JobContext) -> Outcome:
        stack = Stack(
            name=context.job.resource_id,
            id=context.job.resource_id,
            tenant="t",
            status="CREATE_IN_PROGRESS",
        )
        return Observe(stack=stack, resume=lambda _context, _stack: Done(outputs=()))

    def observe(stacks: Sequence[Stack]) -> Mapping[str, Any]:
        return {stack.id: "nonsense" if stack.id == "n4" else None for stack in stacks}

    world, lifecycle, _ = queued(handler)
    monkeypatch.setattr(world.heat, "observe", observe)
    lifecycle.run_until_idle()
    world.pass_time(5.0, lifecycle)
    assert (7, None) == (completed(world), world.outcome(NETWORKS[4]))
    assert {"unexpected AttributeError"} == {each.reason for each in world.told(ConfigSetAside)}


def test_what_can_t_even_be_set_aside_is_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The worker is rid of it, and says so; its text, which may hold a secret, is not logged."""
    secret = "correct horse"

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError(secret)

    monkeypatch.setattr(Endings, "finish", fail)
    monkeypatch.setattr(Endings, "broken", fail)
    world, lifecycle, _ = queued(at_once, NETWORKS[:1])
    lifecycle.run_until_idle()
    assert () == worker_of(lifecycle).claims
    assert 2 == caplog.text.count("unexpected RuntimeError")
    assert secret not in caplog.text
    assert [] == world.told(ConfigSetAside)


def test_an_unusable_job_that_can_t_be_given_back_is_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The others are done."""

    def fail(*_: object) -> None:
        raise RuntimeError

    world, lifecycle, _ = queued(at_once)
    monkeypatch.setattr(Endings, "unusable", fail)
    world.put(world.keys.job(world.job(NETWORKS[6]).id), "{")
    with caplog.at_level(logging.ERROR):
        lifecycle.run_until_idle()
    assert 7 == completed(world)
    assert 1 == caplog.text.count("unexpected RuntimeError")
