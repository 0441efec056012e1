"""One poller for all stacks of a process: soon at first, rarer later, many in one look.

Pure bookkeeping around ``Orchestrator.observe``: when it is due, whoever owns it calls
:meth:`StackPoller.take_due`, :meth:`StackPoller.look` and :meth:`StackPoller.settle`.
"""

from __future__ import annotations

import random
from collections.abc import Hashable

import attrs

from gohan_jobs.clock import Clock
from gohan_jobs.orchestrators.base import Orchestrator, Stack

__all__ = ["PollOptions", "Settled", "StackPoller"]


@attrs.frozen(kw_only=True)
class PollOptions:
    """How often stacks are looked at.

    A look at one stack of a tenant is a look at all of that tenant's that would be due within
    ``gather`` seconds: so a hundred stacks cost one request, not a hundred.

    Attributes:
        first: seconds until the first look.
        factor: each wait is so much longer than the one before ...
        longest: ... up to this. A 1 s poll sees a stack 0.5 s late on average; this bounds ours.
        gather: seconds by which a look may be brought forward to share another's request.
        jitter: share of a wait that is left to chance, so that processes don't poll in step.
    """

    first: float = 0.25
    factor: float = 1.3
    longest: float = 1.25
    gather: float = 1.25
    jitter: float = 0.1


@attrs.frozen
class Settled:
    """A stack that is no longer in progress, or whose time is up.

    Attributes:
        token: what it was added with.
        stack: as it is; None if it is gone.
    """

    token: Hashable
    stack: Stack | None


@attrs.define
class _Watched:
    stack: Stack
    wait: float
    due: float
    deadline: float | None


class StackPoller:
    """Looks at stacks until they settle. Not thread-safe.

    Args:
        orchestrator: whom to ask.
        clock: the time.
        options: how often.
        rng: for the jitter.
    """

    def __init__(
        self,
        orchestrator: Orchestrator,
        clock: Clock,
        options: PollOptions | None = None,
        rng: random.Random | None = None,
    ) -> None:
        self._orchestrator = orchestrator
        self._clock = clock
        self._options = options or PollOptions()
        self._rng = rng or random.Random()  # noqa: S311 - jitter
        self._watched: dict[Hashable, _Watched] = {}

    def __len__(self) -> int:
        return len(self._watched)

    def add(self, token: Hashable, stack: Stack, limit: float | None = None) -> None:
        """Look at a stack until it settles, or for ``limit`` seconds."""
        now = self._clock.now()
        wait = self._options.first
        deadline = None if limit is None else now + limit
        self._watched[token] = _Watched(stack, wait, now + self._jittered(wait), deadline)

    def discard(self, token: Hashable) -> None:
        """Look no more; no error if it was not looked at."""
        self._watched.pop(token, None)

    @property
    def due(self) -> float | None:
        """Clock time of the next look; None if there is nothing to look at."""
        return min((watched.due for watched in self._watched.values()), default=None)

    def take_due(self) -> dict[Hashable, Stack]:
        """The stacks to look at now: those due, and their tenants' that soon will be."""
        now = self._clock.now()
        tenants = {w.stack.tenant for w in self._watched.values() if w.due <= now}
        soon = now + self._options.gather
        return {
            token: watched.stack
            for token, watched in self._watched.items()
            if watched.stack.tenant in tenants and watched.due <= soon
        }

    def look(self, stacks: dict[Hashable, Stack]) -> dict[str, Stack | None]:
        """Ask about stacks; the only call that takes time, safe on another thread."""
        return dict(self._orchestrator.observe(tuple(stacks.values())))

    def postpone(self, stacks: dict[Hashable, Stack]) -> None:
        """A look failed: try again at the longest interval. Deadlines stay."""
        for token in stacks:
            if token in self._watched:
                self._again(self._watched[token], self._options.longest)

    def settle(self, stacks: dict[Hashable, Stack], seen: dict[str, Stack | None]) -> list[Settled]:
        """Note what a look has shown; the stacks that are through are given, and forgotten."""
        now = self._clock.now()
        settled: list[Settled] = []
        for token, stack in stacks.items():
            watched = self._watched.get(token)
            if watched is None or watched.stack is not stack:
                continue  # not looked at any more, or looked at anew for another operation
            found = seen.get(stack.id)
            overdue = watched.deadline is not None and now >= watched.deadline
            if found is not None and found.in_progress and not overdue:
                self._again(watched, watched.wait * self._options.factor)
                continue
            del self._watched[token]
            settled.append(Settled(token, found))
        return settled

    def _again(self, watched: _Watched, wait: float) -> None:
        watched.wait = min(wait, self._options.longest)
        watched.due = self._clock.now() + self._jittered(watched.wait)

    def _jittered(self, wait: float) -> float:
        return wait * (1.0 - self._options.jitter * self._rng.random())
