"""An operation on a stack: what is left of it to do, when it ends, and how."""

from __future__ import annotations

import datetime as dt
import math
from typing import Self

import attrs

from gohan_jobs.orchestrators.simulated.outcomes import Outcome
from gohan_jobs.orchestrators.simulated.plan import Step
from gohan_jobs.orchestrators.simulated.template import HotTemplate

__all__ = ["Operation"]


@attrs.define(kw_only=True)
class Operation:
    """An operation under way.

    Attributes:
        action: ``CREATE``, ``UPDATE``, ``DELETE`` or ``ROLLBACK``.
        began: on the clock, in seconds.
        wall: the time of day at which it began.
        pending: steps that have not ended, in the order of their ends.
        ends: seconds after which it ends; infinite while it hangs.
        times_out: whether it ends because its time is up.
        outcome: what a test asked for.
    """

    action: str
    began: float
    wall: dt.datetime
    pending: list[Step]
    ends: float
    times_out: bool
    outcome: Outcome

    @classmethod
    def start(
        cls,
        action: str,
        steps: tuple[Step, ...],
        *,
        now: float,
        wall: dt.datetime,
        usual_seconds: float,
        time_limit: float,
        outcome: Outcome,
    ) -> Self:
        """Begin an operation.

        Args:
            action: what it does.
            steps: what it does to which resource, as the template has it.
            now: the clock, in seconds.
            wall: the time of day.
            usual_seconds: how long an operation takes that waits for nothing.
            time_limit: seconds after which it is given up.
            outcome: what a test asked for.
        """
        ends = _end(steps, usual_seconds, outcome)
        stretched = _stretch(steps, usual_seconds, outcome)
        return cls(
            action=action,
            began=now,
            wall=wall,
            pending=sorted(stretched, key=lambda step: step.end),
            ends=min(ends, time_limit),
            times_out=time_limit < ends,
            outcome=outcome,
        )

    def at(self, offset: float) -> dt.datetime:
        """The time of day some seconds after it began."""
        return self.wall + dt.timedelta(seconds=offset)

    def give_up(self, offset: float) -> None:
        """A resource failed some seconds after it began: it ends then, unless a test said when."""
        if not self.outcome.decides and offset < self.ends:
            self.ends, self.times_out = offset, False

    def drop_dependants(self, resource: str, template: HotTemplate) -> None:
        """Leave out what requires a resource that failed."""
        without, kept = {resource}, []
        for step in self.pending:
            definition = template.resources.get(step.resource)
            if definition is not None and without & definition.requires.keys():
                without.add(step.resource)
            else:
                kept.append(step)
        self.pending = kept


def _end(steps: tuple[Step, ...], usual_seconds: float, outcome: Outcome) -> float:
    if outcome.hang:
        return math.inf
    if outcome.seconds is not None:
        return outcome.seconds
    failures = [step.end for step in steps if step.failure]
    if failures and not outcome.decides:
        return max(usual_seconds, min(failures))
    return max([usual_seconds, *(step.end for step in steps)])


def _stretch(steps: tuple[Step, ...], usual_seconds: float, outcome: Outcome) -> tuple[Step, ...]:
    """The steps, none ending before the operation usually does, or when a test said it ends."""
    if outcome.hang or outcome.seconds is not None:
        end = _end(steps, usual_seconds, outcome)
        steps = tuple(attrs.evolve(step, end=end) for step in steps)
    else:
        steps = tuple(attrs.evolve(step, end=max(step.end, usual_seconds)) for step in steps)
    if outcome.decides:
        return tuple(attrs.evolve(step, failure="") for step in steps)
    return steps
