"""The Prometheus hook counts what happens, and shows the queue as it is."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from prometheus_client import CollectorRegistry

from gohan_jobs.clock import VirtualClock
from gohan_jobs.events import (
    ConfigRejected,
    Event,
    JobCancelled,
    JobClaimed,
    JobFailed,
    JobFinished,
    JobHandedBack,
    JobReleased,
    LeaderLost,
    LeaseLost,
    OrchestratorCalled,
    StackRequested,
)
from gohan_jobs.instrumentation import Depth, PrometheusHook, QueueDepths
from gohan_jobs.keys import Place
from gohan_jobs.records import ResourceRef
from gohan_jobs.stores.base import Compare, Delete, Page, Put, Transaction
from gohan_jobs.stores.memory import MemoryStore
from gohan_jobs.testing.faults import FaultyStore
from jobs_made import job_id
from worlds import NETWORK, World

JOB = job_id()
NOW = VirtualClock().wall().isoformat()


def counted(*events: Event, clock: VirtualClock | None = None) -> PrometheusHook:
    """A hook that was told some events."""
    hook = PrometheusHook(clock=clock or VirtualClock())
    for event in events:
        hook(event)
    return hook


def test_every_event_is_counted() -> None:
    """By its name."""
    hook = counted(JobReleased(job_id=JOB), JobReleased(job_id=JOB))
    assert 2 == hook.registry.get_sample_value("gohan_jobs_events_total", {"event": "JobReleased"})


@pytest.mark.parametrize(
    ("event", "sample", "labels", "expected"),
    [
        (
            JobFinished(job_id=JOB, state="CREATE_COMPLETED", seconds=3.0),
            "job_seconds_sum",
            {"handler": "heat_worker", "result": "finished"},
            3.0,
        ),
        (
            JobFailed(job_id=JOB, reason="no", seconds=2.0),
            "job_seconds_sum",
            {"handler": "heat_worker", "result": "failed"},
            2.0,
        ),
        (
            JobFailed(job_id=JOB, reason="no"),
            "failures_total",
            {"handler": "heat_worker", "kind": "failed"},
            1,
        ),
        (
            JobCancelled(job_id=JOB, reason="no"),
            "failures_total",
            {"handler": "heat_worker", "kind": "cancelled"},
            1,
        ),
        (
            ConfigRejected(resource=ResourceRef("network", "n"), reason="no"),
            "failures_total",
            {"handler": "", "kind": "rejected"},
            1,
        ),
        (
            JobHandedBack(job_id=JOB, reason="no", lost=True),
            "hand_backs_total",
            {"handler": "heat_worker", "lost": "true"},
            1,
        ),
        (LeaseLost(worker_id="w", jobs=3), "lease_losses_total", {"role": "worker"}, 1),
        (LeaderLost(manager_id="m", reason="no"), "lease_losses_total", {"role": "leader"}, 1),
        (
            StackRequested(job_id=JOB, operation="create", stack="s", tenant="t"),
            "stack_operations_total",
            {"operation": "create"},
            1,
        ),
        (
            OrchestratorCalled(operation="find", tenant="t", seconds=0.5),
            "orchestrator_seconds_sum",
            {"operation": "find", "result": "ok"},
            0.5,
        ),
        (
            OrchestratorCalled(operation="find", tenant="t", error="OrchestratorRefused"),
            "orchestrator_seconds_count",
            {"operation": "find", "result": "OrchestratorRefused"},
            1,
        ),
    ],
)
def test_an_event_is_counted_as(
    event: Event, sample: str, labels: Mapping[str, str], expected: float
) -> None:
    """Each kind under its metric."""
    hook = counted(event)
    assert expected == hook.registry.get_sample_value(f"gohan_jobs_{sample}", dict(labels))


def waited(event: JobClaimed) -> float | None:
    """What a claim, five seconds after the clock's beginning, says of the wait."""
    clock = VirtualClock()
    clock.advance(5.0)
    hook = counted(event, clock=clock)
    return hook.registry.get_sample_value(
        "gohan_jobs_queue_seconds_sum", {"handler": "heat_worker"}
    )


def test_the_wait_is_that_until_the_first_claim() -> None:
    """From the time of day it was planned at."""
    assert 5.0 == waited(JobClaimed(job_id=JOB, holder="h", planned_at=NOW))


@pytest.mark.parametrize(
    "event",
    [
        JobClaimed(job_id=JOB, holder="h", planned_at=NOW, attempt=2),
        JobClaimed(job_id=JOB, holder="h", planned_at=NOW, retries=1),
        JobClaimed(job_id=JOB, holder="h"),
        JobClaimed(job_id=JOB, holder="h", planned_at="2018-02-19T00:00:00"),
    ],
    ids=["lost before", "tried before", "unknown", "no zone"],
)
def test_other_claims_say_nothing_of_the_wait(event: JobClaimed) -> None:
    """One that was worked on before, or whose planning nobody knows."""
    assert waited(event) is None


def test_the_queue_is_shown_as_it_is() -> None:
    """Jobs in each place, and how long ago the first of them was planned."""
    world = World(operation_seconds=5.0)
    world.write(NETWORK, {"name": "blue"})
    world.settle()
    world.clock.advance(2.0)
    hook = PrometheusHook()
    hook.track_queue(QueueDepths(world.store, world.keys, clock=world.clock))
    found = [
        (
            hook.registry.get_sample_value("gohan_jobs_queue_jobs", {"place": str(place)}),
            hook.registry.get_sample_value(
                "gohan_jobs_queue_oldest_seconds", {"place": str(place)}
            ),
        )
        for place in (Place.READY, Place.WORKING)
    ]
    assert [(0, 0.0), (1, 2.0)] == found


def test_the_queue_is_read_once_in_a_while() -> None:
    """An answer is kept for a time; then it is read again, and if it can't be, nothing is shown."""
    clock = VirtualClock()
    store = FaultyStore(MemoryStore(clock=clock))
    depths = QueueDepths(store, clock=clock, interval=10.0)
    expected = dict.fromkeys(Place, Depth(0))
    assert expected == depths()
    calls = len(store.calls)
    assert expected == depths()
    assert calls == len(store.calls)
    clock.advance(10.0)
    store.fail("entries")
    assert {} == depths()


@pytest.mark.parametrize("notes", [None, b"[]", b'{"planned_at": "soon", "path": "p"}'])
def test_a_job_whose_planning_nobody_knows_has_no_age(notes: bytes | None) -> None:
    """Without notes, or with notes that say nothing."""
    store = MemoryStore()
    operations = [Put(f"/jobs/ready/{name}", b"heat_worker") for name in ("b", "a", "c")]
    for operation in operations:
        store.transact(Transaction(success=(operation,)))
    if notes is not None:
        store.transact(Transaction(success=(Put("/gohan-jobs/jobs/b", notes),)))
    assert Depth(3) == QueueDepths(store)()[Place.READY]


def test_the_oldest_of_several_is_told() -> None:
    """That which has stood there longest, whatever its name."""
    clock = VirtualClock()
    store = MemoryStore(clock=clock)
    for name in ("b", "a", "c"):
        notes = f'{{"planned_at": "{clock.wall().isoformat()}", "path": "p"}}'.encode()
        puts = (Put(f"/jobs/ready/{name}", b""), Put(f"/gohan-jobs/jobs/{name}", notes))
        store.transact(Transaction(success=puts))
        clock.advance(10.0)
    assert Depth(3, 30.0) == QueueDepths(store, clock=clock)()[Place.READY]


class Moving(MemoryStore):
    """A store in which a job becomes ready while it is read."""

    def entries(self, prefix: str, *, after: str = "", limit: int = 500, revision: int = 0) -> Page:
        """One page; then the job goes on."""
        page = super().entries(prefix, after=after, limit=limit, revision=revision)
        moved = (Delete("/jobs/waiting/a"), Put("/jobs/ready/a", b""))
        self.transact(Transaction((Compare.present("/jobs/waiting/a"),), moved))
        return page


def test_the_places_are_read_as_of_one_revision() -> None:
    """A job that moves meanwhile is counted once."""
    store = Moving()
    store.transact(Transaction(success=(Put("/jobs/waiting/a", b""),)))
    assert 1 == sum(depth.jobs for depth in QueueDepths(store)().values())


def test_leadership_is_shown() -> None:
    """As it is when asked."""
    leads = [True]
    hook = PrometheusHook(CollectorRegistry())
    hook.track_leadership(lambda: leads[0])
    assert 1 == hook.registry.get_sample_value("gohan_jobs_leader")
    leads[0] = False
    assert 0 == hook.registry.get_sample_value("gohan_jobs_leader")


def test_the_page() -> None:
    """In the text format, by a hook of a lifecycle at work."""
    clock = VirtualClock()
    hook = PrometheusHook(clock=clock)
    world = World(clock=clock)
    world.lifecycle = world.peer(hooks=(hook,))
    world.write(NETWORK, {"name": "blue"})
    world.pass_time(3.0)
    text, content_type = hook.text()
    assert content_type.startswith("text/plain")
    assert 'gohan_jobs_events_total{event="JobFinished"} 1.0\n' in text
    assert 'gohan_jobs_queue_seconds_count{handler="heat_worker"} 1.0\n' in text
