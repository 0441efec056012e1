"""How soon the poller sees that a stack is finished, and what that costs in requests to Heat.

HeatOrchestrator asks a simulated Heat over HTTP, whose clock only the tests move: so every figure
is exact.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Mapping, Sequence

import attrs
import pytest

from gohan_jobs.clock import VirtualClock
from gohan_jobs.exceptions import OrchestratorRefused, OrchestratorUnavailable
from gohan_jobs.orchestrators.base import Stack, StackRequest
from gohan_jobs.orchestrators.heat import CallBudget, HeatOrchestrator, HeatSettings
from gohan_jobs.orchestrators.simulated import SimulatedHeat
from gohan_jobs.orchestrators.simulated.outcomes import Outcome
from gohan_jobs.orchestrators.simulated.server import HeatSimulatorServer
from gohan_jobs.poller import PollOptions, Settled, StackPoller

TEMPLATE = "heat_template_version: 2016-10-14\nresources: {}\n"


@attrs.define
class Bench:
    """A served Heat, an orchestrator on it and the clock of both."""

    clock: VirtualClock
    simulated: SimulatedHeat
    heat: HeatOrchestrator
    poller: StackPoller

    def begin(self, name: str, seconds: float, tenant: str = "one") -> Stack:
        """Start creating a stack that takes so long."""
        self.simulated.script(name, Outcome(seconds=seconds), op="create", tenant=tenant)
        return self.heat.create(
            StackRequest(name=name, tenant=tenant, template=TEMPLATE, parameters={}, tags=("t",))
        )

    def look(self) -> list[Settled]:
        """Wait until a look is due, and take it."""
        due = self.poller.due
        assert due is not None
        self.clock.advance(max(due - self.clock.now(), 0.0))
        stacks = self.poller.take_due()
        return self.poller.settle(stacks, self.poller.look(stacks))

    def requests(self) -> int:
        """Requests to Heat so far."""
        return self.heat.requests_sent


@pytest.fixture
def bench() -> Iterator[Bench]:
    """A simulated Heat on a clock that stands still, over HTTP."""
    clock = VirtualClock()
    simulated = SimulatedHeat(clock)
    with HeatSimulatorServer(heat=simulated, clock=clock) as server:
        settings = HeatSettings(budget=CallBudget(total=None, per_tenant=None))
        heat = HeatOrchestrator.from_endpoint(server.endpoint("%(tenant_id)s"), settings=settings)
        yield Bench(clock, simulated, heat, StackPoller(heat, clock, rng=random.Random(3)))
        heat.close()


@attrs.frozen
class Seen:
    """When each stack was seen to be finished, by its number, and the requests that it took."""

    at: Mapping[int, float]
    requests: int


def polled(bench: Bench, begun: Sequence[float], seconds: Sequence[float]) -> Seen:
    """Begin stacks at given times, and let the poller look until all are through."""
    before, creates = bench.requests(), len(begun)
    waiting = sorted(range(len(begun)), key=begun.__getitem__)
    at: dict[int, float] = {}
    while len(at) < len(begun):
        due = bench.poller.due
        if waiting and (due is None or begun[waiting[0]] <= due):
            number = waiting.pop(0)
            bench.clock.advance(begun[number] - bench.clock.now())
            bench.poller.add(number, bench.begin(f"s{number}", seconds[number]))
            continue
        for settled in bench.look():
            assert isinstance(settled.token, int)
            at[settled.token] = bench.clock.now()
    return Seen(at, bench.requests() - before - creates)


def polled_alone(begun: Sequence[float], seconds: Sequence[float]) -> Seen:
    """What a poll of each stack by itself, every second, gives by arithmetic."""
    looks = [math.ceil(duration) for duration in seconds]
    at = {number: start + looks[number] for number, start in enumerate(begun)}
    return Seen(at, sum(looks))


def durations(count: int, rng: random.Random) -> list[float]:
    """How long stacks take: some a moment, most some seconds, few long."""
    return [rng.choice([rng.uniform(0.2, 1), rng.uniform(1, 12), 40.0]) for _ in range(count)]


@pytest.mark.parametrize("burst", [0.0, 0.9, 10.0], ids=["at once", "in a second", "in ten"])
def test_a_hundred_stacks_of_a_tenant(bench: Bench, burst: float) -> None:
    """None is seen half a second later than a 1 s poll of its own; a tenth of the requests."""
    rng = random.Random(5)
    begun = [rng.uniform(0, burst) for _ in range(100)]
    seconds = durations(100, rng)
    ours, alone = polled(bench, begun, seconds), polled_alone(begun, seconds)
    late = [ours.at[number] - alone.at[number] for number in range(100)]
    assert [] == [seconds for seconds in late if seconds > 0.5]
    assert alone.requests > 10 * ours.requests


@pytest.mark.parametrize("seconds", [0.2, 0.9, 1.0, 7.99, 8.0, 300.4])
def test_a_stack_alone(bench: Bench, seconds: float) -> None:
    """One stack is seen as soon, at hardly more requests than a 1 s poll of it takes."""
    ours, alone = polled(bench, [0.0], [seconds]), polled_alone([0.0], [seconds])
    assert ours.at[0] - alone.at[0] <= 0.5
    assert ours.requests <= alone.requests + 2


def test_the_arithmetic_is_what_a_poll_gives(bench: Bench) -> None:
    """A loop that looks at one stack every second sees and costs what is taken for granted."""
    stack = bench.begin("s", 2.5)
    before, looks = bench.requests(), 0
    seen: Stack | None = stack
    while seen is not None and seen.in_progress:
        bench.clock.advance(1.0)
        looks += 1
        seen = bench.heat.observe([stack])[stack.id]
    alone = polled_alone([0.0], [2.5])
    assert (alone.at[0], alone.requests) == (bench.clock.now(), bench.requests() - before)
    assert alone.requests == looks


def test_tenants_do_not_share_a_request(bench: Bench) -> None:
    """Stacks of two tenants cost two requests a look, however many there are."""
    for number in range(20):
        tenant = "one" if number % 2 else "two"
        bench.poller.add(number, bench.begin(f"s{number}", 9.0, tenant), None)
    before = bench.requests()
    bench.look()
    bench.look()
    assert 2 == bench.requests() - before


class Spoilt(HeatOrchestrator):
    """Fails for some tenants, with an error of their own.

    Attributes:
        errors: by tenant.
    """

    errors: Mapping[str, Exception] = {}

    def observe(self, stacks: Sequence[Stack]) -> Mapping[str, Stack | None]:
        """As ever, unless there is an error for the tenant."""
        for stack in stacks:
            if stack.tenant in self.errors:
                raise self.errors[stack.tenant]
        return super().observe(stacks)


@pytest.fixture
def spoilt(bench: Bench) -> Bench:
    """The same, with an orchestrator that can be made to fail for a tenant."""
    bench.heat = heat = Spoilt(bench.heat._session_for, bench.heat._settings)
    bench.poller = StackPoller(heat, bench.clock, rng=random.Random(3))
    return bench


def look_for(bench: Bench, seconds: float) -> dict[object, Stack | None]:
    """Look whenever a look is due, for a while; what has settled."""
    end = bench.clock.now() + seconds
    settled: dict[object, Stack | None] = {}
    while (due := bench.poller.due) is not None and due <= end:
        settled.update((found.token, found.stack) for found in bench.look())
    bench.clock.advance(end - bench.clock.now())
    return settled


@pytest.mark.parametrize(
    "error", [OrchestratorRefused("no role"), OrchestratorUnavailable("503"), KeyError("a bug")]
)
def test_one_tenant_stalls_no_other(
    spoilt: Bench, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    """A tenant whose look fails is looked at again; the others' stacks are seen all the while."""
    spoilt.poller.add("a", spoilt.begin("a", 2.0, "one"))
    spoilt.poller.add("b", spoilt.begin("b", 2.0, "two"))
    assert isinstance(spoilt.heat, Spoilt)
    spoilt.heat.errors = {"one": error}
    assert ["b"] == list(look_for(spoilt, 20.0))
    spoilt.heat.errors = {}
    assert ["a"] == list(look_for(spoilt, 1.2))
    bugs = [record.getMessage() for record in caplog.records]
    assert {"looking at stacks failed: KeyError"} & set(bugs) == set(bugs)
    assert isinstance(error, KeyError) == bool(bugs)


def test_a_deadline_while_heat_is_away(spoilt: Bench) -> None:
    """A stack whose time is up is given as it was when last seen, in time."""
    stack = spoilt.begin("a", 900.0)
    spoilt.poller.add("a", stack, limit=60.0)
    assert {} == look_for(spoilt, 5.0)
    assert isinstance(spoilt.heat, Spoilt)
    spoilt.heat.errors = {"one": OrchestratorUnavailable("503")}
    assert {} == look_for(spoilt, 54.0)
    settled = look_for(spoilt, 2.0)
    assert [stack] == [attrs.evolve(seen, status_reason="") for seen in settled.values() if seen]
    assert 0 == len(spoilt.poller)


def test_a_deadline_while_heat_answers(bench: Bench) -> None:
    """A stack whose time is up is given as it is, and gone ones are given as gone."""
    bench.poller.add("slow", bench.begin("slow", 900.0), limit=3.0)
    gone = bench.begin("gone", 900.0)
    bench.poller.add("gone", gone)
    bench.heat.delete(gone)
    settled = look_for(bench, 3.5)
    slow = settled.pop("slow")
    assert slow is not None
    assert (True, {"gone": None}) == (slow.in_progress, settled)


def test_time_is_up_when_it_is_said(bench: Bench) -> None:
    """A limit below the first look's age is kept to the moment, whatever the jitter."""
    bench.poller.add("slow", bench.begin("slow", 900.0), limit=0.1)
    assert ["slow"] == [settled.token for settled in bench.look()]
    assert 0.1 == bench.clock.now()


def test_a_heat_that_is_away_is_asked_rarely(spoilt: Bench) -> None:
    """A young stack that can't be seen is looked at after the longest pause, not the next age."""
    spoilt.poller.add("a", spoilt.begin("a", 900.0))
    assert isinstance(spoilt.heat, Spoilt)
    spoilt.heat.errors = {"one": OrchestratorUnavailable("503")}
    assert [] == spoilt.look()
    due = spoilt.poller.due
    assert due is not None
    assert PollOptions().longest <= due - spoilt.clock.now()


def test_what_was_discarded_is_not_given(bench: Bench) -> None:
    """A look that was under way while a stack was discarded, or added anew, says nothing of it."""
    for name in ("a", "b"):
        bench.poller.add(name, bench.begin(name, 0.1))
    bench.clock.advance(1.0)
    stacks = bench.poller.take_due()
    bench.poller.discard("a")
    bench.poller.discard("a")
    bench.poller.add("b", attrs.evolve(stacks["b"], tags=("later",)))
    assert [] == bench.poller.settle(stacks, bench.poller.look(stacks))
    assert 1 == len(bench.poller)
    assert ["b"] == [settled.token for settled in bench.look()]


def test_nothing_to_look_at(bench: Bench) -> None:
    """Without stacks nothing is due."""
    assert (None, {}, 0) == (bench.poller.due, bench.poller.take_due(), len(bench.poller))


def test_jitter_keeps_processes_out_of_step(bench: Bench) -> None:
    """Two pollers look at one stack at different times, and never before it is planned."""
    stack = bench.begin("s", 900.0)
    dues = []
    for seed in range(20):
        poller = StackPoller(bench.heat, bench.clock, rng=random.Random(seed))
        poller.add("s", stack)
        assert poller.due is not None
        dues.append(poller.due - bench.clock.now())
    assert 20 == len(set(dues))
    assert all(0.25 <= due <= 0.30 for due in dues)


def test_ages_grow_up_to_the_longest_pause() -> None:
    """Looks are planned soon at first, then rarer, then at even intervals."""
    options = PollOptions()
    ages = [options.first]
    for _ in range(5):
        ages.append(options.age_after(ages[-1]))
    assert [0.25, 0.5, 1.0, 2.0, 3.0, 4.0] == ages
    assert [0.25, 3.0, 3601.0] == [options.age_after(age) for age in (0.0, 2.7, 3600.0)]
    assert [3.0, 8.0, 13.0] == [
        PollOptions(first=1.0, factor=3.0, longest=5.0).age_after(age) for age in (1.0, 3.0, 9.5)
    ]


@pytest.mark.parametrize(
    "wrong",
    [{"first": 0.0}, {"factor": 1.0}, {"longest": 0.0}, {"gather": -0.1}, {"jitter": -0.1}],
    ids=lambda wrong: next(iter(wrong)),
)
def test_options_that_make_no_sense(wrong: Mapping[str, float]) -> None:
    """They are refused when they are given."""
    with pytest.raises(ValueError, match=next(iter(wrong))):
        PollOptions(**wrong)
