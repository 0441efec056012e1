"""What has to be so when the fuzz has come to rest, whatever happened before.

Each invariant takes the site, and gives a line for everything that is not as its rule says.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Final, TypeAlias

from fuzz_site import RESOURCES, Site
from gohan_jobs.bookkeeping import Bookkeeping
from gohan_jobs.events import JobCancelled, JobFailed, JobFinished
from gohan_jobs.records import ConfigRecord, ResourceRef, StateRecord
from gohan_jobs.rendering import stack_name
from gohan_jobs.stores.base import Event
from gohan_jobs.testing.outcomes import Look, look
from history import changes_after, problems_of
from worlds import TENANT

__all__ = ["INVARIANTS", "problems_at"]

Invariant: TypeAlias = Callable[[Site], Iterator[str]]

_EXCUSES: Final = ("cancelled", "no output", "no stack", "neither", "not there", "no such")
"""Of errors that come of what Gohan or an operator did."""


def _stacks(site: Site) -> list[Look]:
    return list(site.world.heat.stacks(TENANT, look))


def _orphans(site: Site) -> set[str]:
    prefix = Bookkeeping(site.world.keys).orphans_prefix
    return {key.removeprefix(prefix) for key in site.world.under(prefix)}


def _present(site: Site) -> Iterator[tuple[ResourceRef, ConfigRecord, StateRecord]]:
    """Every resource that has a config and a state."""
    for resource in RESOURCES:
        config, state = site.config(resource), site.world.state(resource)
        if config is not None and state is not None:
            yield resource, config, state


def every_config_has_its_result(site: Site) -> Iterator[str]:
    """``rules`` 12: the state is of the config's version, and of the config that is there now."""
    world = site.world
    for resource in RESOURCES:
        config = site.config(resource)
        if config is None:
            continue
        written = world.store.get(world.keys.config_of(world.path(resource)))
        entry = world.store.get(world.keys.state_of(world.path(resource)))
        state = world.state(resource)
        if entry is None or written is None or state is None:
            yield f"{resource}: no state of version {config.version}"
        elif state.version != config.version:
            yield f"{resource}: state of {state.version}, config of {config.version}"
        elif entry.mod_revision < written.create_revision:
            yield f"{resource}: the state is of a config before this one"


def no_error_without_a_reason(site: Site) -> Iterator[str]:
    """``rules`` 11, 14: an error comes of a failure, of a request, or of what Gohan wrote."""
    for resource, _, state in _present(site):
        excused = site.features.fail_rate or any(word in state.error for word in _EXCUSES)
        poisoned = site.features.manager.max_attempts == 5 and "lost claims" in state.error
        if state.error and not (excused or poisoned):
            yield f"{resource}: {state.error}"


def _repair_came_to_nothing(site: Site, resource: ResourceRef) -> bool:
    """Whether what was to make a stack right was ended by an operator, or failed in Heat.

    Nobody is told of it: the version has its result (``rules`` 12).
    """
    ends = [
        event
        for event in site.world.events
        if isinstance(event, (JobFinished, JobFailed, JobCancelled))
        and event.job_id.resource_type == resource.resource_type
        and event.job_id.resource_id == resource.resource_id
    ]
    excused = (JobFailed, JobCancelled) if site.features.fail_rate else JobCancelled
    return bool(ends) and isinstance(ends[-1], excused)


def stacks_are_as_their_configs(site: Site) -> Iterator[str]:
    """``rules`` 4, 13, 18: a version that is reported done is what Heat has."""
    stacks = {stack.name: stack for stack in _stacks(site)}
    for resource, config, state in _present(site):
        if state.error or resource.resource_type == "alias":
            continue
        if _repair_came_to_nothing(site, resource):
            continue
        stack = stacks.get(stack_name(resource))
        found = stack and (stack.end, stack.versions, stack.parameters.get("name"))
        expected = ("COMPLETE", str(config.version), config.body["name"])
        if config.marked_for_deletion:
            yield f"{resource}: marked, and still there: {state.worker_state}"
        elif found != expected:
            yield f"{resource}: expected {expected}, Heat has {found}"


def every_stack_is_known(site: Site) -> Iterator[str]:
    """``rules`` 11, 16: a stack has a config, or is an orphan that was reported; one a resource."""
    orphans = _orphans(site)
    known = {stack_name(resource): resource for resource in RESOURCES}
    for name, count in Counter(stack.name for stack in _stacks(site)).items():
        resource = known.get(name)
        if resource is None or count > 1:
            yield f"{count} stacks {name}"
        elif site.config(resource) is None and str(site.world.path(resource)) not in orphans:
            yield f"{name}: a stack without a config, and no orphan"


def an_orphan_has_no_config(site: Site) -> Iterator[str]:
    """``rules`` 16: what has a config again is no orphan any more."""
    for resource in RESOURCES:
        if site.config(resource) is not None and str(site.world.path(resource)) in _orphans(site):
            yield f"{resource}: an orphan, although it has a config"


def nothing_is_left_of_what_is_gone(site: Site) -> Iterator[str]:
    """``rules`` 11, 15: records of a config that is gone are those of its orphan."""
    for resource in RESOURCES:
        if site.config(resource) is not None or str(site.world.path(resource)) in _orphans(site):
            continue
        if site.world.processed(resource) is not None:
            yield f"{resource}: a processed copy without a config"
        if site.world.stack(resource) is not None:
            yield f"{resource}: a stack's record without a config"


def nothing_waits(site: Site) -> Iterator[str]:
    """``rules`` 5, 10: nothing is held for ever, and nothing of ours is set aside."""
    own = site.world.keys.own
    for prefix in (f"{own}held/", f"{own}quarantine/"):
        yield from map("{} is left over".format, site.world.under(prefix))


def the_history_is_in_order(site: Site) -> Iterator[str]:
    """``rules`` 6, 12, 15, 22: claims, places and results at every revision (``history``)."""
    for problem in problems_of(_history(site), site.world.schemas):
        # Of a type without versions every config is version 0.
        if not ("v2.0/quotas" in problem and "result no." in problem):
            yield problem


def a_restart_writes_nothing(site: Site) -> Iterator[str]:
    """``rules`` 2: nothing has changed, so nothing is written. Comes last: it restarts all.

    Where orphans are to be deleted, a new leader tries that again.
    """
    if site.features.manager.orphans == "delete" and _orphans(site):
        return
    revision = site.restart()
    yield from map("restart: {}".format, changes_after(_history(site), revision))


def _history(site: Site) -> list[tuple[Event, ...]]:
    """Every revision, from the first on."""
    while (batch := site.everything.poll()) is not None:
        site.told.extend(batch.events)
    grouped = itertools.groupby(site.told, key=lambda event: event.revision)
    return [tuple(events) for _, events in grouped]


INVARIANTS: Final[tuple[Invariant, ...]] = (
    every_config_has_its_result,
    no_error_without_a_reason,
    stacks_are_as_their_configs,
    every_stack_is_known,
    an_orphan_has_no_config,
    nothing_is_left_of_what_is_gone,
    nothing_waits,
    the_history_is_in_order,
)
"""All that only look."""


def problems_at(site: Site) -> list[str]:
    """Everything that is not as it has to be; a restart is tried if all else is well."""
    found = [problem for invariant in INVARIANTS for problem in invariant(site)]
    return found or list(a_restart_writes_nothing(site))
