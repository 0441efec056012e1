"""The checker can fail: each rule it holds a history to is broken once, and it says so."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import attrs
import pytest

from gohan_jobs.codec import Codec
from gohan_jobs.keys import JobId, Keys
from gohan_jobs.queue import Fence, Finish
from gohan_jobs.queue.working import WorkerTransactions
from gohan_jobs.records import ConfigRecord, Job, StateRecord
from gohan_jobs.stores.base import Delete, Event, Operation, Put, Transaction
from gohan_jobs.stores.memory import MemoryStore
from gohan_jobs.testing.simulation import Fault, every_injection
from history import changes_after, problems_of
from simulated_estate import OVERLAP, SCHEMAS, simulate

_CODEC = Codec()
_PATH = "v2.0/networks/network-1"
_JOB = "create:heat_worker:network:network-1:1:abcde"
_OTHER = "create:heat_worker:network:network-2:1:abcde"
_LEADER = Put("/job_manager_id", b"one")
_CONFIG = Put(f"/config/{_PATH}", _CODEC.dumps(ConfigRecord(body={}, version=1)).encode())
_STATE = Put(
    f"/state/{_PATH}", _CODEC.dumps(StateRecord(worker_state="READ_COMPLETE", version=1)).encode()
)


def _document(job: str, *dependency: str) -> Put:
    named = Job(id=JobId.parse(job), dependency=tuple(map(JobId.parse, dependency)))
    return Put(f"/jobs/all/{job}", _CODEC.dumps(named).encode())


def _wrong(*revisions: Sequence[Operation], at_rest: bool = False) -> list[str]:
    """What is wrong with a history that a few writes make, without their revisions."""
    with MemoryStore() as store:
        watch = store.watch("", 1)
        for operations in revisions:
            store.transact(Transaction((), tuple(operations)))
        batch = watch.poll()
        assert batch is not None
        events = _revisions(batch.events)
        return [each.partition(": ")[2] for each in problems_of(events, SCHEMAS, at_rest=at_rest)]


def _revisions(events: Sequence[Event]) -> list[tuple[Event, ...]]:
    grouped = itertools.groupby(events, key=lambda event: event.revision)
    return [tuple(group) for _, group in grouped]


def _working(store_lease: int = 0, holder: bytes = b"h") -> Put:
    return Put(f"/jobs/working/{_JOB}", holder, store_lease)


def test_what_is_no_ones_business() -> None:
    """Templates, unknown keys, and keys that are no records' are let be."""
    assert [] == _wrong(
        [
            Put("/config/v2.0/heat_templates/x", b"{}"),
            Put("/config/odd", b""),
            Put("/state/odd", b""),
            Put("/esi-worker/heat_stacks/odd", b""),
            Put("/esi-worker/job_state/odd", b""),
            Put("/jobs/ready/odd", b""),
            Put("/elsewhere", b""),
        ],
        [Delete("/state/odd")],
    )


def test_a_config_that_is_removed_and_never_was() -> None:
    """Whoever told of the history has passed over something."""
    with MemoryStore() as store:
        store.transact(Transaction((), (_CONFIG,)))
        removed = store.transact(Transaction((), (Delete(_CONFIG.key),))).revision
        batch = store.watch("", removed).poll()
    assert batch is not None
    assert [f"{removed}: {_CONFIG.key} removed, of which nothing was heard before"] == list(
        problems_of([batch.events], SCHEMAS)
    )


def test_two_claims() -> None:
    """Of one job at a time, and without a lease."""
    assert [
        f"{_JOB} claimed without a lease",
        f"{_JOB} claimed while it was claimed",
        f"{_JOB} claimed without a lease",
    ] == _wrong([_document(_JOB), _working()], [_working(holder=b"g")])


def test_a_claim_of_nothing() -> None:
    """A job that has no document."""
    assert [
        f"{_JOB} claimed without a lease",
        f"{_JOB} claimed, which is not there",
        f"{_JOB} is working and not in the queue",
    ] == _wrong([_working()])


def test_a_claim_before_its_dependency_is_done() -> None:
    """The document of the one it waits for is still in the queue."""
    wrong = _wrong(
        [_document(_OTHER), Put(f"/jobs/ready/{_OTHER}", b"")],
        [_document(_JOB, _OTHER), _working()],
    )
    assert f"{_JOB} claimed before {_OTHER} was done" in wrong


def test_places() -> None:
    """Two at a time, none without a lease having ended, or one without a document."""
    ready, waiting = f"/jobs/ready/{_JOB}", f"/jobs/waiting/{_JOB}"
    assert [
        f"{_JOB} is in 2 places",
        f"{_JOB} is nowhere",
        f"{_JOB} is ready and not in the queue",
    ] == _wrong(
        [_document(_JOB), Put(ready, b""), Put(waiting, b"")],
        [Delete(ready), Delete(waiting)],
        [Delete(f"/jobs/all/{_JOB}"), Put(ready, b"")],
    )


def test_results_without_a_claim() -> None:
    """Each of the three, and a claim's beginning."""
    assert [
        f"/esi-worker/heat_stacks/{_PATH} changed without a claim",
        f"/esi-worker/job_state/{_PATH} begun without a claim",
        f"/esi-worker/job_state/{_PATH} written without a claim",
        f"state of {_PATH} written without a leader and without a claim",
    ] == _wrong(
        [_CONFIG],
        [Put(f"/esi-worker/heat_stacks/{_PATH}", b"")],
        [Put(f"/esi-worker/job_state/{_PATH}", b"{}")],
        [Put(f"/esi-worker/job_state/{_PATH}", b'{"heat_outputs": []}')],
        [_STATE],
    )


def test_records_go_together() -> None:
    """A stack's record may go with the processed copy, but not come without a claim."""
    stack, copy = f"/esi-worker/heat_stacks/{_PATH}", f"/esi-worker/config/{_PATH}"
    assert [f"{stack} changed without a claim"] == _wrong(
        [Put(stack, b"")],
        [Put(copy, b"")],
        [Delete(stack), Delete(copy)],
    )


def test_results_of_versions() -> None:
    """Twice the same one, one that never was, and one without a config."""
    later = Put(
        f"/state/{_PATH}",
        _CODEC.dumps(StateRecord(worker_state="READ_COMPLETE", version=7)).encode(),
    )
    assert [
        f"{_PATH}: result no. 2 of version 1",
        f"state of {_PATH}, version 7, which never was",
        f"{_PATH}: result no. 3 of version 1",
        f"{_PATH}: a result without a config",
    ] == _wrong([_LEADER, _CONFIG], [_STATE], [_STATE], [later], [Delete(_CONFIG.key)], [_STATE])


def test_a_result_of_another_version_than_the_jobs() -> None:
    """The job that is given back must be of that version."""
    finished = Put(f"/jobs/finished/{_JOB}", b"")
    second = Put(_CONFIG.key, _CODEC.dumps(ConfigRecord(body={}, version=2)).encode())
    state = Put(
        _STATE.key, _CODEC.dumps(StateRecord(worker_state="READ_COMPLETE", version=2)).encode()
    )
    wrong = _wrong(
        [_CONFIG],
        [second],
        [_document(_JOB), _working()],
        [Delete(f"/jobs/working/{_JOB}"), finished, state],
    )
    assert f"state of version 2 by {_JOB}" in wrong


def test_at_rest() -> None:
    """A version without a result, one whose result is older, and what is left over."""
    second = Put(_CONFIG.key, _CODEC.dumps(ConfigRecord(body={}, version=2)).encode())
    other = Put("/config/v2.0/networks/network-2", b'{"body": {}, "version": 1}')
    broken = Put("/config/v2.0/networks/network-3", b"{")
    assert [
        f"/gohan-jobs/failed/{_JOB} is left over",
        f"{_PATH}: version 2 has no result",
        f"{_PATH}: result of 1, config of 2",
        "v2.0/networks/network-2: version 1 has no result",
    ] == _wrong(
        [_LEADER, _CONFIG],
        [_STATE],
        [_CONFIG],
        [second, other, broken, Put(f"/gohan-jobs/failed/{_JOB}", b"{}")],
        at_rest=True,
    )


def test_a_result_outlives_its_config() -> None:
    """Gohan takes both away."""
    assert [f"{_PATH}: a result without a config"] == _wrong(
        [_LEADER, _CONFIG], [_STATE], [Delete(_CONFIG.key)], at_rest=True
    )


def test_what_a_restart_may_write() -> None:
    """The leader's key, and what hangs on a lease below our own prefix."""
    with MemoryStore() as store:
        watch = store.watch("", 1)
        lease = store.grant_lease(10.0)
        store.transact(Transaction((), (_CONFIG,)))
        revision = store.revision()
        store.transact(
            Transaction(
                (),
                (_LEADER, Put("/gohan-jobs/workers/1", b"8", lease.id), Put("/gohan-jobs/x", b"")),
            )
        )
        store.transact(Transaction((), (Delete("/gohan-jobs/workers/1"), Delete(_CONFIG.key))))
        batch = watch.poll()
    assert batch is not None
    assert [
        f"{revision + 1}: put /gohan-jobs/x",
        f"{revision + 2}: delete /config/{_PATH}",
    ] == changes_after(_revisions(batch.events), revision)


def test_a_job_of_an_unknown_type() -> None:
    """It is nobody's result."""
    job = "create:heat_worker:unknown:1:1:abcde"
    wrong = _wrong(
        [_CONFIG, _document(job), Put(f"/jobs/working/{job}", b"")],
        [Delete(f"/jobs/working/{job}"), Put(f"/jobs/finished/{job}", b""), _STATE],
    )
    assert f"state of {_PATH} written without a leader and without a claim" in wrong


def test_a_worker_that_forgets_its_fence(monkeypatch: pytest.MonkeyPatch) -> None:
    """Finishing without comparing the reservation is caught by freezing at every call."""
    real = WorkerTransactions.finish

    def unfenced(self: WorkerTransactions, fence: Fence, finish: Finish) -> Transaction:
        return attrs.evolve(real(self, fence, finish), compares=())

    run = simulate(OVERLAP)
    freezes = [
        each
        for each in every_injection(run, [Fault.FREEZE])
        if run.processes[each.process].calls[each.call - 1].name == "transact"
    ]
    monkeypatch.setattr(WorkerTransactions, "finish", unfenced)
    wrong = [
        problem
        for injection in freezes
        for problem in problems_of(simulate(OVERLAP, injection).history, SCHEMAS)
    ]
    assert any("without a claim" in problem for problem in wrong)
    assert any("result no. 2" in problem for problem in wrong)


def test_a_worker_that_takes_what_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Claiming without comparing anything is caught without any fault."""

    def careless(
        self: WorkerTransactions, job_id: JobId, path: str, ready: int, holder: str, lease: int
    ) -> Transaction:
        return attrs.evolve(real(self, job_id, path, ready, holder, lease), compares=())  # type: ignore[arg-type]  # a path

    real = WorkerTransactions.claim
    monkeypatch.setattr(WorkerTransactions, "claim", careless)
    wrong = [
        problem
        for seed in range(5)  # two have to choose the same job at once
        for problem in problems_of(simulate(OVERLAP, seed=seed, meddling=0.3).history, SCHEMAS)
    ]
    assert any("claimed while it was claimed" in each for each in wrong)


def test_keys_are_the_documented_ones() -> None:
    """The histories above are written down with them."""
    assert ("/config/", "/state/", "/jobs/", "/job_manager_id") == (
        Keys().config,
        Keys().state,
        Keys().jobs,
        Keys().leader,
    )


def test_repairs_that_are_left() -> None:
    """One is excused while its config has failed: nothing can be planned for it."""
    repair = Put(f"/gohan-jobs/repairs/{_PATH}", b"{}")
    error = StateRecord(worker_state="READ_ERROR", version=1, error="no")
    failed = Put(_STATE.key, _CODEC.dumps(error).encode())
    left = f"{repair.key} is left over"
    assert [] == _wrong([_LEADER, _CONFIG], [failed, repair], at_rest=True)
    assert [left] == _wrong([_LEADER, _CONFIG], [_STATE, repair], at_rest=True)
    assert [left] == _wrong([repair], at_rest=True)
