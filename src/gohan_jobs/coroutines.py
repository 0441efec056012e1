"""Handlers that are coroutine functions: each runs to its end on the thread of its claim."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias, cast

import attrs

from gohan_jobs.exceptions import ClaimLost
from gohan_jobs.handlers import Handler, JobContext, Outcome

__all__ = ["Coroutine", "CoroutineHandler", "as_handler"]

Coroutine: TypeAlias = Callable[[JobContext], Awaitable[Outcome]]
"""An ``async def`` that does what a handler does."""


def as_handler(handler: Handler | Coroutine) -> Handler:
    """The handler itself, or what runs it if it is a coroutine function.

    An object whose ``__call__`` is an ``async def`` is one, too.
    """
    method = getattr(handler, "__call__", None)  # noqa: B004 - the method itself is asked about
    if inspect.iscoroutinefunction(handler) or inspect.iscoroutinefunction(method):
        return CoroutineHandler(cast("Coroutine", handler))
    return cast("Handler", handler)


class CoroutineHandler:
    """Makes a handler of a coroutine function.

    Each call runs an event loop of its own, on the handlers' thread that it was given; so it can't
    be called where a loop runs already. Once the claim is lost, pre-empted, stopped or out of time
    the coroutine is cancelled: what it awaits raises ``asyncio.CancelledError``, which it should
    let through. Its ``Later`` and ``Observe`` may resume with coroutine functions, too.

    Args:
        function: the coroutine function.
        check_every: seconds of real time between looks at the claim.
    """

    def __init__(self, function: Coroutine, *, check_every: float = 0.5) -> None:
        self._function = function
        self._check_every = check_every

    def __call__(self, context: JobContext) -> Outcome:
        """Run the coroutine to its end.

        Raises:
            ClaimLost: it was cancelled.
        """
        return asyncio.run(self._supervised(context, self._function(context)))

    async def _supervised(self, context: JobContext, work: Awaitable[Outcome]) -> Outcome:
        task = asyncio.ensure_future(work)
        while not task.done():
            await asyncio.wait({task}, timeout=self._check_every)
            if not task.done() and context.cancelled:
                reason = context.cancelled
                task.cancel()
                await asyncio.wait({task})
                raise ClaimLost(str(context.job.id), reason)
        return self._resumable(task.result())

    def _resumable(self, outcome: Outcome) -> Outcome:
        waiting: Any = outcome
        resume = getattr(waiting, "resume", None)
        if not inspect.iscoroutinefunction(resume):
            return outcome

        def again(context: JobContext, *seen: object) -> Outcome:
            return asyncio.run(self._supervised(context, resume(context, *seen)))

        return cast("Outcome", attrs.evolve(waiting, resume=again))
