"""A worker's bad moments: lost answers, lost leases, jobs that can't be used, stops midway."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest

from gohan_jobs.events import ConfigSetAside, JobClaimed, JobHandedBack, LeaseLost
from gohan_jobs.exceptions import (
    AmbiguousWrite,
    InvalidRecord,
    OrchestratorUnavailable,
    StoreError,
    StoreUnavailable,
)
from gohan_jobs.handlers import Done, Later
from gohan_jobs.keys import Place
from gohan_jobs.lifecycle import Lifecycle, Role
from gohan_jobs.records import StackOutput
from gohan_jobs.testing.faults import FaultyStore
from gohan_jobs.worker import WorkerOptions
from gohan_jobs.worker.executors import InlineExecutor
from gohan_jobs.worker.worker import Worker
from worlds import NETWORK, World, ref


def queued(*resources: Any, **options: Any) -> tuple[World, Lifecycle, FaultyStore]:
    """Jobs in the queue, and a worker apart on a store that can fail."""
    world = World(wrap=FaultyStore, roles=(Role.MANAGER,), **options)
    for resource in resources or (NETWORK,):
        world.write(resource, {"name": "x"})
    world.settle()
    lifecycle = world.peer(roles=(Role.WORKER,), seed=5)
    store = lifecycle.store
    assert isinstance(store, FaultyStore)
    return world, lifecycle, store


def worker_of(lifecycle: Lifecycle) -> Worker:
    """Its worker."""
    worker = lifecycle._worker
    assert worker is not None
    return worker


def persist(lifecycle: Lifecycle) -> None:
    """Step until idle, whatever the store raises."""
    for _ in range(100):
        with contextlib.suppress(StoreError):
            if not lifecycle.step():
                return


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_claim_whose_answer_is_lost_is_settled_by_reading(after: bool) -> None:  # noqa: FBT001 - a case
    """It is taken over if it was made, and made again if it was not."""
    world, lifecycle, store = queued()
    lifecycle.step()
    store.fail("transact", on=1, after=after)
    persist(lifecycle)
    assert Place.WORKING is world.place(world.job(NETWORK).id)
    assert 1 == len(worker_of(lifecycle).claims)
    assert [("create", "network_n1")] == world.changes()


def test_a_doubtful_claim_of_an_old_lease_is_left_to_end() -> None:
    """It was made, but the lease under it is not this worker's any more."""
    world, lifecycle, store = queued()
    lifecycle.step()
    store.fail("transact", on=1, after=True)
    with pytest.raises(AmbiguousWrite):
        lifecycle.run_until_idle()
    worker_of(lifecycle)._registration.lose()
    persist(lifecycle)
    assert () == worker_of(lifecycle).claims
    assert [] == world.told(JobClaimed)  # nor was its handler called
    assert [] == world.changes()
    world.pass_time(150, lifecycle)
    assert ("CREATE_COMPLETED", 1, "") == world.outcome(NETWORK)


def test_a_claim_that_another_was_faster_with() -> None:
    """Two workers know of one job: one of them gets it."""
    world, first, _ = queued()
    second = world.peer(roles=(Role.WORKER,), seed=6)
    for lifecycle in (first, second):
        lifecycle.step()
        lifecycle.step()
    persist(first)
    persist(second)
    assert [1, 0] == [len(worker_of(lifecycle).claims) for lifecycle in (first, second)]


def test_a_finish_and_the_next_claim_are_one_request() -> None:
    """If the next is known already; of a lost answer the claim is settled by reading."""
    resources = [ref("network", f"n{number}") for number in range(6)]
    world, lifecycle, store = queued(*resources)
    del lifecycle
    done = world.peer(
        roles=(Role.WORKER,),
        seed=8,
        handlers={"heat_worker": lambda _context: Done(outputs=())},
        worker=WorkerOptions(slots=1),
    )
    store = done.store  # type: ignore[assignment]  # it is wrapped, too
    store.fail("transact", on=3, after=True)
    for _ in range(3):
        persist(done)
        world.settle()
    assert 6 == len(world.under("/state/"))
    assert {} == world.under("/jobs/")


def test_a_result_too_large_gives_its_candidate_back() -> None:
    """The next job is claimed all the same."""
    resources = [ref("network", f"n{number}") for number in range(3)]
    big = StackOutput(output_key="o", description="", output_value="x" * 800_000)
    world, _, _ = queued(*resources)
    done = world.peer(
        roles=(Role.WORKER,),
        seed=8,
        handlers={"heat_worker": lambda _context: Done(outputs=(big,))},
        worker=WorkerOptions(slots=1),
    )
    for _ in range(3):
        persist(done)
        world.settle()
    assert 3 == len([text for text in world.under("/state/").values() if b"too large" in text])


def test_a_lost_lease_forgets_the_claims() -> None:
    """It is told, and the worker registers again."""
    world, lifecycle, _ = queued(operation_seconds=1000)
    persist(lifecycle)
    world.clock.advance(500)
    world.store.expire()
    persist(lifecycle)
    assert [1] == [event.jobs for event in world.told(LeaseLost)]
    assert worker_of(lifecycle).registered
    assert () == worker_of(lifecycle).claims


def test_a_handler_that_outlives_its_claim_is_not_heard() -> None:
    """Its outcome comes when the lease is gone: nothing is written."""
    world, _, _ = queued()
    lifecycle: Lifecycle

    def handler(context: Any) -> Done:
        worker_of(lifecycle)._registration.lose()
        return Done(outputs=())

    lifecycle = world.peer(roles=(Role.WORKER,), seed=9, handlers={"heat_worker": handler})
    persist(lifecycle)
    assert [] == world.states_of(NETWORK)


def test_a_broken_job_is_set_aside_even_if_the_store_fails_just_then() -> None:
    """It is handed back once the store answers; nobody is stuck with it."""
    world, lifecycle, store = queued()
    key = world.keys.job(world.job(NETWORK).id)
    world.put(key, "{")
    lifecycle.step()
    store.fail("transact", on=2)
    persist(lifecycle)
    assert {} == world.under("/jobs/working/")
    assert 1 == len(world.under("/jobs/waiting/"))
    assert key in {event.key for event in world.told(ConfigSetAside)}


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (InvalidRecord("/k", ()), None),
        (OrchestratorUnavailable("503"), "503"),
        (StoreUnavailable("away"), "away"),
        (ZeroDivisionError(), "handler raised ZeroDivisionError"),
    ],
)
def test_what_a_handler_raises(error: Exception, expected: str | None) -> None:
    """An error of ours is the result unless it says that a repeat may help."""
    world, _, _ = queued()

    def handler(context: Any) -> Done:
        raise error

    lifecycle = world.peer(roles=(Role.WORKER,), seed=9, handlers={"heat_worker": handler})
    persist(lifecycle)
    if expected is None:
        assert "CREATE_ERROR" == (world.outcome(NETWORK) or ("",))[0]
    else:
        assert [expected] == [event.reason for event in world.told(JobHandedBack)]


def test_closing_hands_back_what_waits() -> None:
    """A job that waits for its time, or for Heat, goes back at once."""
    world, _, _ = queued(NETWORK, ref("disk", "d1"), operation_seconds=1000)
    lifecycle = world.peer(
        roles=(Role.WORKER,),
        seed=9,
        handlers={"heat_worker": lambda _c: Later(after=100.0, resume=lambda _l: Done())},
    )
    persist(lifecycle)
    assert 2 == len(worker_of(lifecycle).claims)
    lifecycle.close()
    assert ["worker stopped"] * 2 == [event.reason for event in world.told(JobHandedBack)]
    assert 2 == len(world.under("/jobs/waiting/"))
    assert {} == world.under("/gohan-jobs/workers/")


def test_many_jobs_at_once_are_left_to_others() -> None:
    """An idle worker that hears of many reads pages again, instead of watching each move."""
    world, lifecycle, _ = queued(ref("network", "first"))
    persist(lifecycle)
    for number in range(40):
        world.put(f"/jobs/ready/create:heat_worker:network:x{number}:1:abcde", "heat_worker")
        world.put(f"/jobs/ready/nonsense{number}", "x")
    candidates = worker_of(lifecycle)._candidates
    for _ in range(20):
        candidates.refill()
    assert 0 < candidates.waiting
    while candidates.pick():
        pass
    world.transact()
    assert candidates.refill()
    candidates.close()
    candidates.close()


def test_the_inline_executor_runs_at_once() -> None:
    """So a step is a step."""
    ran: list[int] = []
    InlineExecutor().submit(lambda: ran.append(1))
    assert [1] == ran
