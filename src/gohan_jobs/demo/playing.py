"""Playing the scenarios: the whole library at work, with everything in this process but the store.

Heat is simulated, and answers as the scenario says; the monitoring agent's report is made here.
"""

from __future__ import annotations

from collections.abc import Generator

from gohan_jobs.clock import Clock
from gohan_jobs.demo.pages import Catcher, Page
from gohan_jobs.demo.scenario import SCENARIOS, Scenario, read_scenario, schemas, templates
from gohan_jobs.events import Hook
from gohan_jobs.exceptions import GohanJobsError
from gohan_jobs.lifecycle import Completed, Lifecycle
from gohan_jobs.orchestrators.simulated import SimulatedHeat
from gohan_jobs.stores.base import Store, Watch

__all__ = ["play"]

_ENOUGH = 60.0


def play(store: Store, clock: Clock, *, hooks: tuple[Hook, ...] = ()) -> Generator[Page]:
    """Take an interface of a load balancer through both seeds' lifecycles.

    Args:
        store: an empty one.
        clock: the time; a virtual one only with a store on the same.
        hooks: told of every event.

    Yields:
        A page for each seed, once its last record is written.

    Raises:
        GohanJobsError: a config did not come to a good end.
        TimeoutError: a record was not seen.
    """
    heat = SimulatedHeat(clock)
    with Lifecycle(store, heat, schemas(), clock=clock, hooks=hooks) as lifecycle:
        for template in templates():
            lifecycle.submit(template.config, template.ref)
        for name in SCENARIOS:
            scenario = read_scenario(name)
            stack = str(scenario.shown.ref).replace(":", "_", 1)
            heat.script(stack, scenario.outcome)
            yield _page(lifecycle, scenario)


def _page(lifecycle: Lifecycle, scenario: Scenario) -> Page:
    shown = scenario.shown
    watch = lifecycle.store.watch("/", lifecycle.store.revision() + 1)
    try:
        # Nothing works meanwhile: so what the config refers to is unfinished when it is read.
        for submission in (*scenario.related, shown):
            lifecycle.submit(submission.config, submission.ref)
        result = lifecycle.wait(shown.ref, shown.config.version, _ENOUGH)
        if not isinstance(result, Completed):
            raise GohanJobsError(f"{shown.ref} version {shown.config.version}: {result}")
        lifecycle.report(shown.ref, shown.config.version, scenario.field, scenario.status)
        return _caught(lifecycle, scenario, watch)
    finally:
        watch.close()


def _caught(lifecycle: Lifecycle, scenario: Scenario, watch: Watch) -> Page:
    ref = scenario.shown.ref
    catcher = Catcher(watch, lifecycle.codec, ref, lifecycle.path_of(ref))
    return Page(title=scenario.title, resource_type=ref.resource_type, records=catcher.catch())
