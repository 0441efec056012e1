"""What a process that stood still sent all the same is made right, and nobody is told twice."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from gohan_jobs.bookkeeping import Repair
from gohan_jobs.records import ResourceRef
from gohan_jobs.stores.base import Compare, Delete, Put, Transaction
from gohan_jobs.testing.simulation import Fault, Injection, Simulation
from history import problems_of
from simulated_estate import SCHEMAS, Cast, cast

_LATE = {"processes": {"manager": ("manager",), "worker-1": ("worker",), "worker-2": ("worker",)}}


def _network(cast: Cast) -> None:
    cast.put(1, "network-1")
    cast.put(20, "network-1", 2)
    cast.put(40, "network-1", 3)


def _deleted(cast: Cast) -> None:
    cast.put(1, "network-1")
    cast.delete(20, "network-1")


def _gone(cast: Cast) -> None:
    cast.put(1, "port-1", needs="network-1")
    cast.put(1, "network-1")
    cast.put(20, "rule-1", needs="port-1")
    cast.delete(40, "rule-1")


def _run(scenario: Callable[[Cast], None], *injections: Injection) -> Simulation:
    simulation = Simulation(SCHEMAS, **_LATE)  # type: ignore[arg-type]  # names and roles
    scenario(cast(simulation))
    simulation.inject(*injections)
    simulation.run()
    assert problems_of(simulation.history, SCHEMAS) == []
    return simulation


def _frozen_at(
    scenario: Callable[[Cast], None], operation: str, number: int
) -> tuple[Simulation, Simulation]:
    """A run, and the same with a worker that stands still at that operation of all workers'."""
    expected = _run(scenario)
    found = [
        Injection(process.name, index, Fault.FREEZE)
        for process in expected.processes.values()
        for index, call in enumerate(process.calls, 1)
        if call.name == operation
    ]
    found.sort(key=lambda each: expected.processes[each.process].calls[each.call - 1].revision)
    return expected, _run(scenario, found[number])


def _asked(run: Simulation) -> list[str]:
    """Who asked for a repair, in the whole history."""
    return [
        event.key
        for events in run.history
        for event in events
        if event.key.startswith("/gohan-jobs/repairs/") and event.entry is not None
    ]


def test_a_late_update_is_superseded() -> None:
    """Version 2 is sent after version 3 is done: the stack is updated to version 3 again."""
    expected, run = _frozen_at(_network, "update", 0)
    assert ["/gohan-jobs/repairs/v2.0/networks/network-1"] == _asked(run)
    assert [] == _asked(expected)
    assert expected.outcome() == run.outcome()
    sent = [call.tags[0].split(":")[1] for call in run.orchestrator.changes]
    assert ["3", "2", "3"] == sent[-3:]


@pytest.mark.parametrize(("scenario", "number"), [(_deleted, 0), (_gone, 2)])
def test_a_late_create_is_deleted(scenario: Callable[[Cast], None], number: int) -> None:
    """A stack that comes after its config was deleted, in one step or in two, goes again."""
    expected, run = _frozen_at(scenario, "create", number)
    assert len(_asked(run)) == 1
    assert expected.outcome() == run.outcome()
    assert ["create", "delete"] == [call.op for call in run.orchestrator.changes][-2:]


def test_a_late_delete_hits_nothing_new() -> None:
    """It names the stack by its id, and that one is gone."""
    expected, run = _frozen_at(_deleted, "delete", 0)
    assert expected.outcome() == run.outcome()


def _ask(run: Simulation, path: str, value: bytes | None = None) -> None:
    repair = Repair(tenant="t", job="somebody's")
    own = run._gohan.queue.own
    text = own.dumps(repair) if value is None else value
    run.store.transact(Transaction((), (Put(f"/gohan-jobs/repairs/{path}", text),)))


def _after(scenario: Callable[[Cast], None], action: Callable[[Simulation], None]) -> Simulation:
    simulation = Simulation(SCHEMAS, **_LATE)  # type: ignore[arg-type]  # names and roles
    scenario(cast(simulation))
    simulation.run()
    action(simulation)
    simulation.run()
    return simulation


def test_a_new_leader_reads_what_is_asked() -> None:
    """It was asked while nobody led."""

    def ask(run: Simulation) -> None:
        for process in run.processes.values():
            process.kill()
        _ask(run, "v2.0/networks/network-1")
        run.restart()

    run = _after(_network, ask)
    assert run.outcome().remains == ()
    assert ["3", "3"] == [call.tags[0].split(":")[1] for call in run.orchestrator.changes][-2:]


@pytest.mark.parametrize(
    ("path", "value"),
    [("v2.0/networks/network-1", b"{"), ("v9/unknown/1", None), ("v2.0/notes/note-1", None)],
)
def test_what_can_not_be_repaired_stays_asked(path: str, value: bytes | None) -> None:
    """No such type, no stack for that type, or a broken text: kept, and not tried for ever."""

    def scenario(cast: Cast) -> None:
        _network(cast)
        cast.put(1, "note-1")

    def ask(run: Simulation) -> None:
        _ask(run, path, value)

    run = _after(scenario, ask)
    assert (f"/gohan-jobs/repairs/{path}",) == run.outcome().remains


def test_a_config_that_is_marked_is_left_to_its_deletion() -> None:
    """Nothing is planned until its key has gone; then its stack is looked for."""

    def scenario(cast: Cast) -> None:
        cast.put(1, "network-1")

    def mark(run: Simulation) -> None:
        run._gohan.delete(ResourceRef("network", "network-1"))
        run.run()
        _ask(run, "v2.0/networks/network-1")

    run = _after(scenario, mark)
    assert ("/gohan-jobs/repairs/v2.0/networks/network-1",) == run.outcome().remains
    run._gohan.delete(ResourceRef("network", "network-1"))
    run.run()
    assert ({}, {}, ()) == (run.outcome().states, run.outcome().stacks, run.outcome().remains)


def test_an_id_that_no_job_can_name_stays_asked() -> None:
    """A key is all there is of it."""

    def ask(run: Simulation) -> None:
        _ask(run, "v2.0/networks/a b")

    run = _after(_network, ask)
    assert ("/gohan-jobs/repairs/v2.0/networks/a b",) == run.outcome().remains


def test_a_repair_is_planned_again_when_something_changed_under_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its transaction does not hold: what it is about is read again."""
    real = Compare.unchanged
    spoilt: list[str] = []

    def unchanged(key: str, mod_revision: int) -> Compare:
        if key.startswith("/gohan-jobs/repairs/") and not spoilt:
            spoilt.append(key)
            return real(key, mod_revision + 1)
        return real(key, mod_revision)

    monkeypatch.setattr(Compare, "unchanged", unchanged)
    run = _after(_network, lambda run: _ask(run, "v2.0/networks/network-1"))
    assert ["/gohan-jobs/repairs/v2.0/networks/network-1"] == spoilt
    assert run.outcome().remains == ()


def test_a_repair_that_the_store_failed_is_planned_again() -> None:
    """Nothing was written: it is still in line."""
    for fault in (Fault.UNAVAILABLE, Fault.ANSWER_LOST):
        plain = _after(_network, lambda run: _ask(run, "v2.0/networks/network-1"))
        calls = plain.processes["manager"].calls
        asked = next(
            events[0].revision
            for events in plain.history
            if events[0].key.startswith("/gohan-jobs/repairs/")
        )
        number = next(
            index
            for index, call in enumerate(calls, 1)
            if call.name == "transact" and call.revision >= asked
        )
        failed = Simulation(SCHEMAS, **_LATE)  # type: ignore[arg-type]  # names and roles
        _network(cast(failed))
        failed.inject(Injection("manager", number, fault))
        failed.run()
        _ask(failed, "v2.0/networks/network-1")
        failed.run()
        assert plain.outcome() == failed.outcome()


@pytest.mark.parametrize("seed", range(6))
def test_one_that_is_withdrawn_in_time_is_not_done(seed: int) -> None:
    """Nothing is written for it, though it may have been heard of before."""
    run = Simulation(SCHEMAS, seed=seed, lag=0.5, **_LATE)  # type: ignore[arg-type]  # names and roles
    _network(cast(run))
    run.run()
    _ask(run, "v2.0/networks/network-1")
    gone = Transaction((), (Delete("/gohan-jobs/repairs/v2.0/networks/network-1"),))
    run.store.transact(gone)
    run.run()
    assert 3 == len(run.orchestrator.changes)


def test_a_config_that_is_held_is_waited_for() -> None:
    """What it lacks comes, it is planned, and its stack is made right after that."""

    def scenario(cast: Cast) -> None:
        cast.put(1, "port-1", needs="network-1")
        cast.put(20, "network-1")

    run = Simulation(SCHEMAS, **_LATE)  # type: ignore[arg-type]  # names and roles
    scenario(cast(run))
    run.at(10.0, lambda: _ask(run, "v2.0/ports/port-1"))
    run.run()
    assert ["create", "create", "update"] == [call.op for call in run.orchestrator.changes]
    assert run.outcome().remains == ()
