"""When finished stacks are seen, and the requests that takes: the poller against 1 s polls.

usage: python benchmarks/polling.py [--seconds S] [--stacks 1,10,100]

Stacks of one tenant are begun within ten seconds and take up to S seconds each, at random. The
clock is virtual, so the figures are exact and take no time; Heat is the simulated one, served over
HTTP, and asked by HeatOrchestrator. A 1 s poll looks at each stack by itself, once a second from
its beginning.
"""

from __future__ import annotations

import argparse
import math
import random
import statistics

import attrs

from gohan_jobs.clock import VirtualClock
from gohan_jobs.orchestrators.base import StackRequest
from gohan_jobs.orchestrators.heat import CallBudget, HeatOrchestrator, HeatSettings
from gohan_jobs.orchestrators.simulated import SimulatedHeat
from gohan_jobs.orchestrators.simulated.outcomes import Outcome
from gohan_jobs.orchestrators.simulated.server import HeatSimulatorServer
from gohan_jobs.poller import StackPoller

TEMPLATE = "heat_template_version: 2016-10-14\nresources: {}\n"


@attrs.frozen
class Figures:
    """What one run gave, in seconds after each stack's end, and in requests."""

    ours: list[float]
    alone: list[float]
    our_requests: int
    alone_requests: int


def measure(count: int, longest: float) -> Figures:
    """Begin stacks, and look until the last is through."""
    clock, rng = VirtualClock(), random.Random(count)
    simulated = SimulatedHeat(clock)
    with HeatSimulatorServer(heat=simulated, clock=clock) as server:
        settings = HeatSettings(budget=CallBudget(total=None, per_tenant=None))
        heat = HeatOrchestrator.from_endpoint(server.endpoint("%(tenant_id)s"), settings=settings)
        figures = watch(
            clock,
            simulated,
            heat,
            sorted(rng.uniform(0, 10) for _ in range(count)),
            [rng.uniform(0.2, longest) for _ in range(count)],
        )
        heat.close()
    return figures


def watch(
    clock: VirtualClock,
    simulated: SimulatedHeat,
    heat: HeatOrchestrator,
    begun: list[float],
    seconds: list[float],
) -> Figures:
    """The poller at work on stacks that are begun and take as long as given."""
    poller = StackPoller(heat, clock, rng=random.Random(1))
    seen: dict[int, float] = {}
    started = 0
    while len(seen) < len(begun):
        due = poller.due
        if started < len(begun) and (due is None or begun[started] <= due):
            clock.advance(begun[started] - clock.now())
            name = f"s{started}"
            simulated.script(name, Outcome(seconds=seconds[started]), op="create")
            request = StackRequest(
                name=name, tenant="t", template=TEMPLATE, parameters={}, tags=("t",)
            )
            poller.add(started, heat.create(request))
            started += 1
            continue
        clock.advance(max(due - clock.now(), 0.0))
        stacks = poller.take_due()
        for settled in poller.settle(stacks, poller.look(stacks)):
            seen[settled.token] = clock.now()
    looks = [math.ceil(duration) for duration in seconds]
    return Figures(
        ours=[seen[n] - begun[n] - seconds[n] for n in range(len(begun))],
        alone=[looks[n] - seconds[n] for n in range(len(begun))],
        our_requests=heat.requests_sent - len(begun),
        alone_requests=sum(looks),
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60.0, help="a stack's time, at most")
    parser.add_argument("--stacks", default="1,2,8,30,100")
    options = parser.parse_args()
    head = ("stacks", "mean s late", "1 s poll", "behind it, max", "requests", "1 s poll", "ratio")
    print("".join(f"{title:>16}" for title in head))
    for count in map(int, options.stacks.split(",")):
        found = measure(count, options.seconds)
        behind = max(a - b for a, b in zip(found.ours, found.alone, strict=True))
        print(
            f"{count:>16}{statistics.mean(found.ours):>16.2f}{statistics.mean(found.alone):>16.2f}"
            f"{behind:>16.2f}{found.our_requests:>16}{found.alone_requests:>16}"
            f"{found.alone_requests / found.our_requests:>16.1f}"
        )


if __name__ == "__main__":
    main()
