"""A Heat without OpenStack behind it, in this process or served over HTTP.

For tests, demonstrations and replays: it judges templates and parameters as Heat does, takes its
time only from a clock, and fails when told to. :class:`~gohan_jobs.testing.orchestrators` is the
suite that it and a real Heat both pass; where they differ, this is what is wrong.
"""

from __future__ import annotations

from gohan_jobs.orchestrators.simulated.heat import SimulatedHeat
from gohan_jobs.orchestrators.simulated.outcomes import Call, Outcome
from gohan_jobs.orchestrators.simulated.stack import SimulatedStack, StackEvent

__all__ = ["Call", "Outcome", "SimulatedHeat", "SimulatedStack", "StackEvent"]
