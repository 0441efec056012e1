"""Handlers of claims: run, resumed after a while, or once a stack has settled."""

from __future__ import annotations

import functools
import heapq
import itertools
from collections.abc import Callable

from gohan_jobs.clock import Clock
from gohan_jobs.handlers import JobContext, Later, Observe, Outcome
from gohan_jobs.orchestrators.base import Stack
from gohan_jobs.poller import Settled, StackPoller
from gohan_jobs.worker.claim import Claim
from gohan_jobs.worker.context import Contexts
from gohan_jobs.worker.executors import Executor
from gohan_jobs.worker.returned import Inbox, Late, Looked, Returned, Verdict

__all__ = ["Runner"]


class Runner:
    """Runs the handlers of one worker's claims. Stepped by the worker's thread.

    Args:
        contexts: makes what handlers get.
        poller: looks at stacks.
        clock: the time.
        executor: where handlers and looks run.
        inbox: gets what they give.
    """

    def __init__(
        self,
        contexts: Contexts,
        poller: StackPoller,
        clock: Clock,
        executor: Executor,
        inbox: Inbox,
    ) -> None:
        self._contexts = contexts
        self._poller = poller
        self._clock = clock
        self._executor = executor
        self._inbox = inbox
        self._later: list[tuple[float, int, Claim, Later]] = []
        self._order = itertools.count()
        self._observing: dict[Claim, Observe] = {}
        self._running: set[Claim] = set()
        self._looking = False

    @property
    def due(self) -> float | None:
        """Clock time of the next thing to do; None if there is none."""
        times = [self._later[0][0]] if self._later else []
        if self._poller.due is not None and not self._looking:
            times.append(self._poller.due)
        return min(times, default=None)

    def running(self, claim: Claim) -> bool:
        """Whether a claim's handler runs, or has given something not acted on yet."""
        return claim in self._running

    def run(self, claim: Claim, work: Callable[[JobContext], Outcome]) -> None:
        """Run a claim's handler; the inbox gets its outcome."""
        self._running.add(claim)
        context = self._contexts.of(claim)

        def run() -> None:
            claim.resumed()
            try:
                verdict: Verdict = work(context)
            except Exception as error:  # noqa: BLE001 - judged on the worker's thread
                verdict = error
            if claim.too_late:
                self._inbox.put(Late(claim))
            self._inbox.put(Returned(claim, verdict))

        self._executor.submit(run)

    def wait(self, claim: Claim, outcome: Later | Observe) -> None:
        """Resume a claim's handler later."""
        if isinstance(outcome, Later):
            due = self._clock.now() + outcome.after
            heapq.heappush(self._later, (due, next(self._order), claim, outcome))
        else:
            self._observing[claim] = outcome
            self._poller.add(claim, outcome.stack, outcome.limit)

    def acted_on(self, claim: Claim) -> None:
        """What a claim's handler has given is being acted on."""
        self._running.discard(claim)

    def forget(self, claim: Claim) -> None:
        """A claim is over: its handler is resumed no more."""
        self._running.discard(claim)
        self._observing.pop(claim, None)
        self._poller.discard(claim)
        self._later = [waiting for waiting in self._later if waiting[2] is not claim]
        heapq.heapify(self._later)

    def abandon(self) -> None:
        """The executor has ended: what it had not begun will never give anything."""
        self._running.clear()
        self._looking = False

    def step(self) -> bool:
        """Resume one handler, or look at the stacks that are due; whether there was any."""
        return self._resume() or self._look()

    def _resume(self) -> bool:
        if not self._later or self._later[0][0] > self._clock.now():
            return False
        _, _, claim, later = heapq.heappop(self._later)
        self.run(claim, later.resume)
        return True

    def _look(self) -> bool:
        due = self._poller.due
        if self._looking or due is None or due > self._clock.now():
            return False
        stacks = self._poller.take_due()
        self._looking = True

        def look() -> None:
            self._inbox.put(Looked(stacks, self._poller.look(stacks)))

        self._executor.submit(look)
        return True

    def looked(self, looked: Looked) -> None:
        """Resume the handlers whose stacks have settled."""
        self._looking = False
        for settled in self._poller.settle(looked.stacks, looked.seen):
            self._settled(settled)

    def _settled(self, settled: Settled) -> None:
        claim = settled.token
        assert isinstance(claim, Claim)  # noqa: S101 - what was added
        observe = self._observing.pop(claim)
        self.run(claim, functools.partial(_resumed, observe, settled.stack))


def _resumed(observe: Observe, stack: Stack | None, context: JobContext) -> Outcome:
    return observe.resume(context, stack)
