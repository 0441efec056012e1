"""Coroutine functions as handlers: run to their end, cancelled with their claim."""

from __future__ import annotations

import asyncio

import pytest

from gohan_jobs.coroutines import CoroutineHandler, as_handler
from gohan_jobs.exceptions import ClaimLost
from gohan_jobs.handlers import Done, JobContext, Later, Observe, Outcome
from gohan_jobs.orchestrators.base import Stack
from handler_contexts import FakeClaim, make_context

STACK = Stack(id="1", name="s", tenant="t", status="CREATE_COMPLETE")


async def work(context: JobContext) -> Outcome:
    """Give the others a turn, and be done."""
    del context
    await asyncio.sleep(0)
    return Done()


class Worker:
    """An object that is called like a coroutine function."""

    async def __call__(self, context: JobContext) -> Outcome:
        """Work."""
        return await work(context)


def plain(context: JobContext) -> Outcome:
    """No coroutine."""
    del context
    return Done()


def test_coroutine_functions_are_found() -> None:
    """Functions, methods and objects; a plain function stays what it is."""
    assert plain is as_handler(plain)
    for function in (work, Worker().__call__, Worker()):
        handler = as_handler(function)
        assert isinstance(handler, CoroutineHandler)
        assert Done() == handler(make_context())


def test_what_it_raises_comes_out() -> None:
    """As of any handler."""

    async def broken(context: JobContext) -> Outcome:
        await work(context)
        raise ConnectionError("no route")

    with pytest.raises(ConnectionError, match="no route"):
        CoroutineHandler(broken)(make_context())


def test_it_is_cancelled_with_its_claim() -> None:
    """It can give back what it holds; then the claim is said to be lost."""
    claim = FakeClaim()
    told: list[str] = []

    async def endless(context: JobContext) -> Outcome:
        del context
        claim.reason = "lease lost"
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            told.append("cancelled")
            raise
        raise AssertionError

    with pytest.raises(ClaimLost, match="lease lost"):
        CoroutineHandler(endless, check_every=0.001)(make_context(claim=claim))
    assert ["cancelled"] == told


def test_it_goes_on_while_its_claim_lives() -> None:
    """Looks at the claim do not disturb it."""
    turns: list[int] = []

    async def patient(context: JobContext) -> Outcome:
        del context
        for turn in range(3):
            await asyncio.sleep(0.002)
            turns.append(turn)
        return Done()

    assert Done() == CoroutineHandler(patient, check_every=0.0001)(make_context())
    assert [0, 1, 2] == turns


def test_it_resumes_with_coroutines() -> None:
    """After a while, or once a stack has settled; with a plain function as well."""
    seen: list[object] = []

    async def settled(context: JobContext, stack: Stack | None) -> Outcome:
        seen.append(stack)
        return await work(context)

    async def later(context: JobContext) -> Outcome:
        del context
        return Observe(stack=STACK, resume=settled)  # type: ignore[arg-type]  # wrapped

    async def begin(context: JobContext) -> Outcome:
        del context
        return Later(after=1.0, resume=later)  # type: ignore[arg-type]  # wrapped

    context = make_context()
    first = CoroutineHandler(begin)(context)
    assert isinstance(first, Later)
    second = first.resume(context)
    assert isinstance(second, Observe)
    assert Done() == second.resume(context, STACK)
    assert [STACK] == seen

    async def mixed(context: JobContext) -> Outcome:
        del context
        return Later(after=1.0, resume=plain)

    assert Later(after=1.0, resume=plain) == CoroutineHandler(mixed)(context)
