"""Options around any handler: time-out, retries, concurrency, rate."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Callable

import pytest

from gohan_jobs.clock import VirtualClock
from gohan_jobs.exceptions import ClaimLost, GohanJobsError, OrchestratorUnavailable, StoreClosed
from gohan_jobs.handler_options import HandlerOptions
from gohan_jobs.handler_registry import AnyHandler, Handlers
from gohan_jobs.handlers import (
    Done,
    GiveUp,
    JobContext,
    Later,
    Observe,
    Outcome,
    RetryLater,
    TemplateChanged,
)
from gohan_jobs.orchestrators.base import Stack
from handler_contexts import FakeClaim, make_context
from worlds import NETWORK, World

STACK = Stack(id="1", name="s", tenant="t", status="CREATE_IN_PROGRESS")


def giving(outcome: Outcome) -> Callable[[JobContext], Outcome]:
    """A handler that gives something."""
    return lambda _: outcome


def raising(error: Exception) -> Callable[[JobContext], Outcome]:
    """A handler that raises something."""

    def handle(context: JobContext) -> Outcome:
        raise error

    return handle


EXACT = HandlerOptions(jitter=0.0)


@pytest.mark.parametrize("outcome", [Done(), GiveUp(reason="no")])
def test_results_stay_as_they_are(outcome: Outcome) -> None:
    """What is final is final."""
    assert outcome == EXACT.wrap(giving(outcome))(make_context())


@pytest.mark.parametrize(
    ("handler", "reason"),
    [
        (raising(ConnectionError("secret words")), "handler raised ConnectionError"),
        (raising(OrchestratorUnavailable("Heat: 503")), "Heat: 503"),
        (giving(RetryLater(after=0.0, reason="busy")), "busy"),
    ],
    ids=["unexpected", "retryable", "asked for"],
)
def test_what_may_succeed_later_is_tried_again(
    handler: Callable[[JobContext], Outcome], reason: str
) -> None:
    """After pauses that double up to a limit; then the reason is the result."""
    wrapped = HandlerOptions(retries=3, backoff=2.0, backoff_at_most=5.0, jitter=0.0).wrap(handler)
    outcomes = [wrapped(make_context(retries=retries)) for retries in range(4)]
    pauses = [RetryLater(after=after, reason=reason) for after in (2.0, 4.0, 5.0)]
    assert [*pauses, GiveUp(reason=reason)] == outcomes


def test_a_handler_may_ask_for_a_longer_pause() -> None:
    """And gets it; a reason there is always."""
    asked = giving(RetryLater(after=60.0))
    assert RetryLater(after=60.0) == EXACT.wrap(asked)(make_context())
    assert GiveUp(reason="tried in vain, without a reason given") == EXACT.wrap(asked)(
        make_context(retries=5)
    )


@pytest.mark.parametrize(
    "error",
    [
        TemplateChanged(),
        StoreClosed("closed"),
        ClaimLost("job", "lost"),
        GohanJobsError("final"),
    ],
)
def test_what_is_not_the_handlers_is_let_through(error: Exception) -> None:
    """The worker knows what to do."""
    for options in (EXACT, HandlerOptions(timeout=10.0)):
        with pytest.raises(type(error)):
            options.wrap(raising(error))(make_context())


def test_pauses_are_jittered() -> None:
    """By at most the given share, either way."""
    options = HandlerOptions(backoff=100.0, jitter=0.2)
    wrapped = options.wrap(giving(RetryLater(after=0.0)), random.Random(1))
    pauses = [
        outcome.after
        for outcome in (wrapped(make_context()) for _ in range(50))
        if isinstance(outcome, RetryLater)
    ]
    assert all(80.0 <= pause <= 120.0 for pause in pauses)
    assert min(pauses) < 95.0
    assert max(pauses) > 105.0


def test_time_runs_out_while_it_waits() -> None:
    """Waits are cut to the time that is left, and then it is over."""
    clock = VirtualClock()
    context = make_context(clock=clock)

    def begin(_: JobContext) -> Outcome:
        clock.advance(4.0)
        return Later(after=100.0, resume=begin)

    first = HandlerOptions(timeout=10.0, jitter=0.0).wrap(begin)(context)
    assert isinstance(first, Later)
    assert 6.0 == first.after
    clock.advance(first.after)
    assert RetryLater(after=1.0, reason="no outcome after 10 s") == first.resume(context)


@pytest.mark.parametrize(
    ("timeout", "limit", "expected"),
    [(10.0, None, 10.0), (10.0, 3.0, 3.0), (None, 3.0, 3.0), (None, None, None)],
)
def test_time_runs_out_while_a_stack_is_observed(
    timeout: float | None, limit: float | None, expected: float | None
) -> None:
    """The sooner of both limits counts; the stack is handed on."""
    seen: list[Stack | None] = []

    def settled(_: JobContext, stack: Stack | None) -> Outcome:
        seen.append(stack)
        return Done()

    observe = Observe(stack=STACK, resume=settled, limit=limit)
    context = make_context()
    outcome = HandlerOptions(timeout=timeout).wrap(giving(observe))(context)
    assert isinstance(outcome, Observe)
    assert expected == outcome.limit
    assert Done() == outcome.resume(context, None)
    assert [None] == seen


def test_time_that_is_over_is_told_by_the_guard() -> None:
    """A function that takes too long starts no further call; others do as always."""
    clock, claim = VirtualClock(), FakeClaim()

    def slow(context: JobContext) -> Outcome:
        context.claim.guard(1.0)
        assert "" == context.cancelled
        clock.advance(10.0)
        context.claim.guard(2.0)
        raise AssertionError

    wrapped = HandlerOptions(timeout=10.0, jitter=0.0).wrap(slow)
    outcome = wrapped(make_context(clock=clock, claim=claim))
    assert RetryLater(after=1.0, reason="no outcome after 10 s") == outcome
    assert [1.0, 2.0] == claim.guards


def test_a_claim_that_is_lost_is_lost_first() -> None:
    """Time that is over as well does not make it this worker's again."""
    clock, claim = VirtualClock(), FakeClaim()

    def slow(context: JobContext) -> Outcome:
        clock.advance(10.0)
        claim.reason = "lease lost"
        raise ClaimLost(str(context.job.id), context.cancelled)

    with pytest.raises(ClaimLost, match="lease lost"):
        HandlerOptions(timeout=10.0).wrap(slow)(make_context(clock=clock, claim=claim))


def test_a_coroutine_out_of_time_is_cancelled() -> None:
    """Not at once, but at the next look at its claim."""
    clock = VirtualClock()
    handlers = Handlers()

    @handlers.handler("slow", HandlerOptions(timeout=10.0, jitter=0.0))
    async def slow(context: JobContext) -> Outcome:
        del context
        clock.advance(10.0)
        await asyncio.Event().wait()
        raise AssertionError

    outcome = handlers.load("slow")(make_context(clock=clock))
    assert RetryLater(after=1.0, reason="no outcome after 10 s") == outcome


def test_so_many_at_a_time() -> None:
    """One more waits, until one is through, fails, or loses its claim."""
    options = HandlerOptions(concurrency=1, recheck=2.0, jitter=0.0, retries=0)
    claim = FakeClaim()
    waiting: list[Callable[[JobContext], Outcome]] = [
        giving(Done()),
        raising(ConnectionError()),
        giving(Later(after=9.0, resume=giving(Done()))),
        giving(Done()),
    ]
    wrapped = options.wrap(lambda context: waiting[context.job.version](context))

    def call(version: int, claim: FakeClaim | None = None) -> Outcome:
        return wrapped(make_context(version=version, claim=claim))

    assert Done() == call(0)
    assert GiveUp(reason="handler raised ConnectionError") == call(1)
    held = call(2, claim)
    assert Later(after=2.0, resume=wrapped) == call(3)
    claim.reason = "lease lost"
    assert Done() == call(3)
    claim.reason = ""
    held = call(2, claim)
    assert isinstance(held, Later)
    assert Later(after=2.0, resume=wrapped) == call(3)
    assert Done() == held.resume(make_context(version=2, claim=claim))
    assert Done() == call(3)


def test_so_many_a_second() -> None:
    """Each gets its turn, in the order in which they came."""
    clock = VirtualClock()
    wrapped = HandlerOptions(rate=2.0).wrap(giving(Done()))
    outcomes = [wrapped(make_context(clock=clock, version=n)) for n in range(3)]
    assert Done() == outcomes[0]
    pauses = [outcome.after for outcome in outcomes[1:] if isinstance(outcome, Later)]
    assert [0.5, 1.0] == pauses
    assert isinstance(outcomes[1], Later)
    assert Done() == outcomes[1].resume(make_context(clock=clock, version=1))
    clock.advance(60.0)
    assert Done() == wrapped(make_context(clock=clock, version=3))


@pytest.mark.parametrize(
    "wrong",
    [
        {"timeout": 0.0},
        {"retries": -1},
        {"backoff": 0.0},
        {"jitter": 1.5},
        {"concurrency": 0},
        {"rate": 0.0},
        {"recheck": 0.0},
    ],
    ids=lambda wrong: next(iter(wrong)),
)
def test_numbers_that_make_no_sense(wrong: dict[str, float]) -> None:
    """They are refused by name."""
    with pytest.raises(ValueError, match=next(iter(wrong))):
        HandlerOptions(**wrong)  # type: ignore[arg-type]  # numbers of any kind


def test_in_a_lifecycle() -> None:
    """A job is tried again after its pause, and ends with the last reason."""
    calls: list[float] = []
    world = World()

    def handle(context: JobContext) -> Outcome:
        calls.append(context.now())
        raise ConnectionError("secret words")

    options = HandlerOptions(retries=2, backoff=10.0, jitter=0.0)
    handlers: dict[str, AnyHandler] = {"heat_worker": options.wrap(handle)}
    world.lifecycle = world.peer(handlers=handlers)
    world.write(NETWORK, {"name": "blue"})
    world.settle()
    world.pass_time(40.0)
    assert ("CREATE_ERROR", 1, "handler raised ConnectionError") == world.outcome(NETWORK)
    assert [10.0, 20.0] == [later - before for before, later in itertools.pairwise(calls)]
