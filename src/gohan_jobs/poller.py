"""One poller for all stacks of a process: soon at first, rarer later, many in one look.

A stack is looked at when it is ``first`` seconds old, then each time its age has grown by
``factor``, but at least every ``longest`` seconds: by default at 0.25, 0.5, 1, 2, 3 seconds, and so
on. A tenant is looked at no more than every ``gather`` seconds, and then all its stacks are asked
about at once. So a hundred stacks of a tenant cost 2.5 requests a second, and each is seen at
most ``gather + jitter`` seconds later than if it were looked at every ``longest`` seconds alone.

Pure bookkeeping around ``Orchestrator.observe``: when it is due, whoever owns it calls
:meth:`StackPoller.take_due`, :meth:`StackPoller.look` and :meth:`StackPoller.settle`.
"""

from __future__ import annotations

import logging
import math
import random
from collections.abc import Hashable, Mapping

import attrs

from gohan_jobs.clock import Clock
from gohan_jobs.exceptions import OrchestratorError
from gohan_jobs.orchestrators.base import Orchestrator, Stack

__all__ = ["PollOptions", "Settled", "StackPoller"]

_log = logging.getLogger("gohan_jobs")


@attrs.frozen(kw_only=True)
class PollOptions:
    """How often stacks are looked at.

    Attributes:
        first: a stack's age at its first look, in seconds from when it is added.
        factor: the age at the next look is so many times that at the one before ...
        longest: ... or so many seconds more, if that is sooner.
        gather: seconds between two looks at one tenant's stacks, at least.
        jitter: seconds, at most, by which looks are late at random, so that processes don't poll
            in step.

    Raises:
        ValueError: one of them is negative, a pause is none, or the factor does not make an age
            grow.
    """

    first: float = attrs.field(default=0.25, validator=attrs.validators.gt(0))
    factor: float = attrs.field(default=2.0, validator=attrs.validators.gt(1))
    longest: float = attrs.field(default=1.0, validator=attrs.validators.gt(0))
    gather: float = attrs.field(default=0.4, validator=attrs.validators.ge(0))
    jitter: float = attrs.field(default=0.05, validator=attrs.validators.ge(0))

    def age_after(self, age: float) -> float:
        """A stack's age at its first planned look after ``age``."""
        planned = self.first
        while planned <= age and planned * (self.factor - 1) < self.longest:
            planned *= self.factor
        if planned <= age:
            planned += (math.floor((age - planned) / self.longest) + 1) * self.longest
        return planned


@attrs.frozen
class Settled:
    """A stack that is no longer in progress, or whose time is up.

    Attributes:
        token: what it was added with.
        stack: as it was when last seen; None if it is gone. Once its time is up that may be long
            ago: Heat may not have answered since.
    """

    token: Hashable
    stack: Stack | None


@attrs.define
class _Watched:
    """A stack that is looked at.

    Attributes:
        stack: as last seen.
        since: clock time at which it was added.
        due: clock time of its next look.
        deadline: clock time at which its time is up.
    """

    stack: Stack
    since: float
    due: float
    deadline: float


class StackPoller:
    """Looks at stacks until they settle. Not thread-safe, :meth:`look` excepted.

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
        self._not_before: dict[str, float] = {}

    def __len__(self) -> int:
        return len(self._watched)

    def add(self, token: Hashable, stack: Stack, limit: float | None = None) -> None:
        """Look at a stack until it settles, or for ``limit`` seconds."""
        now = self._clock.now()
        deadline = math.inf if limit is None else now + limit
        watched = _Watched(stack, since=now, due=now, deadline=deadline)
        self._plan(watched, now + self._options.first)
        self._watched[token] = watched

    def discard(self, token: Hashable) -> None:
        """Look no more; no error if it was not looked at."""
        self._watched.pop(token, None)

    @property
    def due(self) -> float | None:
        """Clock time of the next look; None if there is nothing to look at."""
        return min(map(self._due, self._watched.values()), default=None)

    def _due(self, watched: _Watched) -> float:
        return max(watched.due, self._not_before.get(watched.stack.tenant, 0.0))

    def take_due(self) -> dict[Hashable, Stack]:
        """The stacks to look at now: all of each tenant of which one is due."""
        now = self._clock.now()
        tenants = {w.stack.tenant for w in self._watched.values() if self._due(w) <= now}
        self._not_before = {t: at for t, at in self._not_before.items() if at > now}
        self._not_before.update(dict.fromkeys(tenants, now + self._options.gather))
        return {
            token: watched.stack
            for token, watched in self._watched.items()
            if watched.stack.tenant in tenants
        }

    def look(self, stacks: Mapping[Hashable, Stack]) -> dict[str, Stack | None]:
        """Ask about stacks; the only call that takes time, safe on another thread.

        Tenants are asked about one by one: one that is refused, or slow, is no reason not to see
        the others.

        Returns:
            The stacks as they are, by their ids; those that could not be seen are missing.
        """
        tenants: dict[str, list[Stack]] = {}
        for stack in stacks.values():
            tenants.setdefault(stack.tenant, []).append(stack)
        seen: dict[str, Stack | None] = {}
        for of_tenant in tenants.values():
            try:
                seen.update(self._orchestrator.observe(of_tenant))
            except OrchestratorError:
                continue  # it says so itself once a handler asks
            except Exception as error:  # noqa: BLE001 - as above
                _log.error("looking at stacks failed: %s", type(error).__name__)
        return seen

    def settle(
        self, stacks: Mapping[Hashable, Stack], seen: Mapping[str, Stack | None]
    ) -> list[Settled]:
        """Note what a look has shown; the stacks that are through are given, and forgotten."""
        settled: list[Settled] = []
        for token, stack in stacks.items():
            watched = self._watched.get(token)
            if watched is None or watched.stack is not stack:
                continue  # discarded since, and perhaps added anew
            found = seen.get(stack.id, stack)
            if found is None or not found.in_progress or self._clock.now() >= watched.deadline:
                del self._watched[token]
                settled.append(Settled(token, found))
            elif stack.id in seen:
                self._again(watched, found)
            else:
                self._plan(watched, self._clock.now() + self._options.longest)
        return settled

    def _again(self, watched: _Watched, seen: Stack) -> None:
        watched.stack = seen
        age = self._clock.now() - watched.since
        self._plan(watched, watched.since + self._options.age_after(age))

    def _plan(self, watched: _Watched, at: float) -> None:
        """Look at some time, but once its time is up in any case."""
        watched.due = min(at + self._options.jitter * self._rng.random(), watched.deadline)
