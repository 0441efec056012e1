"""Whatever dies, wherever: the end is the same, and on the way nothing is lost, doubled or stuck.

A failure names its scenario, seed and injections: ``replayed`` with these runs it again.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from functools import cache

import pytest

from gohan_jobs.events import Event, LeaderElected
from gohan_jobs.testing.simulation import Fault, Injection, Simulation, every_injection
from history import changes_after, problems_of
from simulated_estate import SCENARIOS, SCHEMAS, settled, simulate

_CHUNKS = 4
_REPEATED = [pytest.mark.slow, pytest.mark.repeated]
_LATE = {"lag": 0.3, "meddling": 0.2}


@cache
def undisturbed(name: str) -> Simulation:
    """The run without any fault."""
    return simulate(SCENARIOS[name])


def replayed(name: str, *injections: Injection, seed: int = 0, late: bool = False) -> Simulation:
    """One schedule, as a failure names it."""
    return simulate(SCENARIOS[name], *injections, seed=seed, **(_LATE if late else {}))


def differences(name: str, run: Simulation) -> list[str]:
    """In what a run's end is another than the undisturbed one's."""
    found, expected = settled(run), settled(undisturbed(name))
    parts = ((found.states, expected.states), (found.stacks, expected.stacks))
    changed = [
        f"{key}: {here.get(key)}, not {there.get(key)}"
        for here, there in parts
        for key in sorted({*here, *there})
        if here.get(key) != there.get(key)
    ]
    return changed + [f"{key} remains" for key in found.remains]


def wrong_with(name: str, *injections: Injection, seed: int = 0, late: bool = False) -> list[str]:
    """Everything that is wrong with one schedule; if it had late watches, with a restart too."""
    run = replayed(name, *injections, seed=seed, late=late)
    wrong = problems_of(run.history, SCHEMAS) + differences(name, run)
    if late:
        wrong += written_by_a_restart(run)
    if not wrong:
        return []
    told = "".join(f", {injection!r}" for injection in injections)
    return [f"replayed({name!r}{told}, seed={seed}, late={late})", *wrong]


def written_by_a_restart(run: Simulation) -> list[str]:
    """What starting everything anew has written, though nothing has changed (``rules`` 2)."""
    revision = run.store.revision()
    run.restart()
    run.run()
    return [f"a restart wrote {change}" for change in changes_after(run.history, revision)]


def some_injections(name: str, seed: int, most: int = 5) -> list[Injection]:
    """A few faults of any kind, at any calls of any processes."""
    rng = random.Random(seed)
    processes = list(undisturbed(name).processes.values())
    chosen = rng.choices(processes, k=rng.randint(0, most))
    kinds = list(Fault)
    return [
        Injection(process.name, rng.randint(1, len(process.calls)), rng.choice(kinds))
        for process in chosen
    ]


def all_wrong(name: str, schedules: Iterable[Injection]) -> list[str]:
    """What is wrong with any of some schedules of one fault each."""
    return [line for injection in schedules for line in wrong_with(name, injection)]


@pytest.mark.parametrize("name", SCENARIOS)
def test_without_a_fault(name: str) -> None:
    """Nothing is wrong, and a restart of everything writes nothing."""
    assert wrong_with(name) == []
    assert written_by_a_restart(replayed(name)) == []


@pytest.mark.exhaustive
@pytest.mark.parametrize(
    "chunk",
    [0, *(pytest.param(chunk, marks=_REPEATED) for chunk in range(1, _CHUNKS))],
)
@pytest.mark.parametrize("fault", Fault)
def test_a_fault_at_every_call(fault: Fault, chunk: int) -> None:
    """One fault at each call of each process in turn: the end is that of the undisturbed run."""
    injections = list(every_injection(undisturbed("overlap"), [fault]))
    assert all_wrong("overlap", injections[chunk::_CHUNKS]) == []


@pytest.mark.slow  # a run is long: its windows have to pass
@pytest.mark.parametrize("fault", Fault)
def test_a_fault_while_changes_are_held(fault: Fault) -> None:
    """Likewise at every fifth call of the leading job manager: another takes over what it holds."""
    found = every_injection(undisturbed("vetoed"), [fault])
    injections = [injection for injection in found if injection.process == _leader("vetoed")]
    assert all_wrong("vetoed", injections[list(Fault).index(fault) % 5 :: 5]) == []


def _leader(name: str) -> str:
    """The process that leads in the undisturbed run."""
    return next(who for _, who, event in undisturbed(name).events if _leads(event))


def _leads(event: Event) -> bool:
    return isinstance(event, LeaderElected)


@pytest.mark.repeated
@pytest.mark.slow  # the quick part has every call in turn
@pytest.mark.parametrize("seed", range(0, 500, 50))
@pytest.mark.parametrize("name", ["overlap", "everything"])
def test_several_faults_anywhere(name: str, seed: int) -> None:
    """Several faults, late watches and any interleaving, by seeds."""
    count = 50 if name == "overlap" else 20
    wrong = [
        line
        for each in range(seed, seed + count)
        for line in wrong_with(name, *some_injections(name, each), seed=each, late=True)
    ]
    assert wrong == []
