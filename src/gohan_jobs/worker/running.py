"""Handlers of claims: run, resumed after a while, or once a stack has settled."""

from __future__ import annotations

import functools
import heapq
import itertools
from collections import deque
from collections.abc import Callable

from gohan_jobs.clock import Clock
from gohan_jobs.handlers import JobContext, Later, Observe, Outcome
from gohan_jobs.orchestrators.base import Stack
from gohan_jobs.poller import Settled, StackPoller
from gohan_jobs.worker.claim import Claim
from gohan_jobs.worker.context import Contexts
from gohan_jobs.worker.executors import Executor
from gohan_jobs.worker.returned import Inbox, Late, Looked, Returned, Verdict, broken

__all__ = ["Runner"]

_MOMENT = 0.002


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
        self._added: deque[tuple[Claim, Callable[[JobContext], Outcome]]] = deque()
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

    @property
    def busy(self) -> bool:
        """Whether there are handlers that :meth:`begin` has not come to."""
        return bool(self._added)

    def add(self, claim: Claim, handler: Callable[[JobContext], Outcome]) -> None:
        """Have a claim's handler called by :meth:`begin`."""
        self._added.append((claim, handler))

    def begin(self) -> bool:
        """Call handlers that were added; whether there was any.

        An executor that runs them here, one after the other, does so for a moment only: what they
        gave is published before more are called, by :meth:`step`.
        """
        began, until = bool(self._added), self._clock.now() + _MOMENT
        while self._added and self._clock.now() <= until:
            self.run(*self._added.popleft())
        return began

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
        self._added = deque(added for added in self._added if added[0] is not claim)
        self._observing.pop(claim, None)
        self._poller.discard(claim)
        self._later = [waiting for waiting in self._later if waiting[2] is not claim]
        heapq.heapify(self._later)

    def abandon(self) -> None:
        """The executor has ended: what it had not begun will never give anything."""
        self._running.clear()
        self._looking = False

    def step(self) -> bool:
        """Call handlers, those to be resumed too, or look at stacks; whether there was any."""
        self._resume()
        return self.begin() or self._look()

    def _resume(self) -> None:
        now = self._clock.now()
        while self._later and self._later[0][0] <= now:
            _, _, claim, later = heapq.heappop(self._later)
            self.add(claim, later.resume)

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
        """Resume the handlers whose stacks have settled; one that can't be harms no other."""
        self._looking = False
        for claim, stack in looked.stacks.items():
            assert isinstance(claim, Claim)  # noqa: S101 - what was added
            try:
                for settled in self._poller.settle({claim: stack}, looked.seen):
                    self._settled(claim, settled)
            except Exception as error:  # noqa: BLE001 - judged as all that comes of a claim
                self._inbox.put(Returned(claim, broken(claim.job_id, error)))
        self.begin()

    def _settled(self, claim: Claim, settled: Settled) -> None:
        observe = self._observing.pop(claim)
        self.add(claim, functools.partial(_resumed, observe, settled.stack))


def _resumed(observe: Observe, stack: Stack | None, context: JobContext) -> Outcome:
    return observe.resume(context, stack)
