"""What type checkers see of the public API; mypy checks it, nothing runs it.

Each ``type: ignore`` here is a mistake that must be seen: unused ones are errors.
"""

from __future__ import annotations

from typing import assert_never, assert_type

import gohan_jobs
from gohan_jobs import (
    Completed,
    ConfigRecord,
    Done,
    EtcdStore,
    Explanation,
    Failed,
    GiveUp,
    Handler,
    HeatOrchestrator,
    Job,
    JobContext,
    JobId,
    Later,
    Lifecycle,
    MemoryStore,
    Observe,
    Orchestrator,
    Plan,
    Record,
    ResourceRef,
    Result,
    RetryLater,
    Schema,
    Schemas,
    SimulatedHeat,
    Spelling,
    StateRecord,
    Store,
    Superseded,
    SystemClock,
    VirtualClock,
)
from gohan_jobs.handlers import Outcome

REF = ResourceRef("network", "n1")


def records(text: str) -> None:
    """Reading gives any record, writing gives text."""
    record = gohan_jobs.loads("/config/v2.0/networks/n1", text)
    assert_type(record, Record)
    assert_type(gohan_jobs.dumps(record, spelling="worker"), str)
    assert_type(gohan_jobs.dumps(record, Spelling.GOHAN), str)
    gohan_jobs.dumps(text)  # type: ignore[arg-type]
    if isinstance(record, Job):
        assert_type(record.id, JobId)
        record.number = 1  # type: ignore[misc]


def configs() -> None:
    """Records are made by keyword, with all that they need."""
    ConfigRecord(body={}, version=1)
    ConfigRecord({}, 1)  # type: ignore[call-arg]
    ConfigRecord(body={})  # type: ignore[call-arg]
    ConfigRecord(body={}, version="1")  # type: ignore[arg-type]


def stores(endpoints: list[str]) -> None:
    """Both stores are stores, both orchestrators are orchestrators."""
    each: Store = MemoryStore()
    each = EtcdStore(endpoints, user="u", password="p")
    assert_type(each.get("/a") is None, bool)
    heat: Orchestrator = SimulatedHeat(SystemClock())
    heat = HeatOrchestrator.from_endpoint("http://localhost/v1/%(tenant_id)s")
    heat = MemoryStore()  # type: ignore[assignment]
    heat.close()


def lifecycle(store: Store, schemas: Schemas, config: ConfigRecord) -> None:
    """What a lifecycle takes and gives."""
    clock = VirtualClock()
    with Lifecycle(store, SimulatedHeat(clock), schemas, clock=clock, seed=1) as running:
        assert_type(running, Lifecycle)
        running.submit(config, REF, spelling=Spelling.GOHAN)
        running.submit(config)  # type: ignore[call-arg]
        assert_type(running.step(), bool)
        assert_type(running.wait(REF, 1), Completed | Failed | Superseded)
        assert_type(running.explain(REF), Explanation)
        assert_type(running.plan(config, REF), Plan)
        running.wait("network:n1", 1)  # type: ignore[arg-type]
    Lifecycle(store, store, schemas)  # type: ignore[arg-type]


def result(ended: Result) -> str:
    """The three ends of a version; a forgotten one would be seen."""
    match ended:
        case Completed(state):
            return assert_type(state, StateRecord).worker_state
        case Failed():
            return assert_type(ended.error, str)
        case Superseded(by):
            return str(assert_type(by, int | None))
        case _:
            assert_never(ended)


def forgotten(ended: Result) -> str:
    """A forgotten end is seen."""
    match ended:
        case Completed() | Failed():
            return ended.state.error
        case _:
            assert_never(ended)  # type: ignore[arg-type]


def handle(context: JobContext) -> Outcome:
    """What a handler may return."""
    assert_type(context.job, Job)
    outcomes: list[Outcome] = [Done(), RetryLater(after=1.0), GiveUp(reason="no")]
    outcomes.append(Later(after=1.0, resume=handle))
    assert_type(isinstance(outcomes[0], Observe), bool)
    return outcomes[0]


def handle_wrongly(context: JobContext) -> str:
    """A handler that returns something else."""
    return str(context.job.id)


def handlers() -> None:
    """A function of the right kind is a handler."""
    first: Handler = handle
    second: Handler = handle_wrongly  # type: ignore[assignment]
    gohan_jobs.Handlers({"first": first, "second": second})
    RetryLater(1.0)  # type: ignore[call-arg]


def schemas() -> None:
    """Schemas are made of schemas."""
    Schemas([Schema(type="network", prefix="v2.0/networks", templates={"heat_worker": "Cnet"})])
    Schemas(["network"])  # type: ignore[list-item]


def names() -> None:
    """A name that is not in the API is seen."""
    gohan_jobs.nothing  # type: ignore[attr-defined]  # noqa: B018 - the mistake
