"""How a stack is made right that was changed by a worker without a claim (``rules`` 18).

Such a worker stood still between its check and its request. What it sent is of an older version, or
of a resource that is gone by now. The job that makes it right publishes no result: the version's
one result is there already (``rules`` 12).
"""

from __future__ import annotations

from collections.abc import Callable

import attrs

from gohan_jobs.exceptions import InvalidKey
from gohan_jobs.keys import JobId
from gohan_jobs.planning.changes import is_dealt_with, plan_without_looking_back
from gohan_jobs.planning.known import HEAT_HANDLER, Known
from gohan_jobs.planning.plans import Change, Enqueue, PlannedJob, Removal
from gohan_jobs.planning.removals import delete_job
from gohan_jobs.planning.workflow import Unplannable
from gohan_jobs.records import OnFailure, ProcessedConfig
from gohan_jobs.schemas import Schemas

__all__ = ["plan_repair", "plan_stray_removal"]


def plan_repair(
    change: Change, known: Known, schemas: Schemas, suffix: Callable[[], str]
) -> Enqueue | None:
    """The job that gives a stack its config's params again; None if there is none to plan now.

    There is none for a config that waits to be planned itself, as one does while a resync pauses:
    nobody would be told of its result.

    Args:
        change: the config as it is.
        known: everything else.
        schemas: the types.
        suffix: as in :func:`~gohan_jobs.planning.plan_change`.
    """
    if change.config.deleting:
        return None  # its key goes, and then the stack
    if not is_dealt_with(change, known):
        return None
    plan = plan_without_looking_back(change, known, schemas, suffix)
    if not isinstance(plan, Enqueue):
        return None
    waits = plan.jobs[0].job.dependency
    jobs = tuple(
        _silent(planned, waits) for planned in plan.jobs if planned.job.handler == HEAT_HANDLER
    )
    return attrs.evolve(plan, jobs=jobs) if jobs else None


def _silent(planned: PlannedJob, waits: tuple[JobId, ...]) -> PlannedJob:
    """A job whose end, whichever it is, nobody is told: only the last of a workflow publishes."""
    job = attrs.evolve(
        planned.job,
        dependency=waits,
        is_first=True,
        is_last=False,
        on_failure=OnFailure.IGNORE,
    )
    return attrs.evolve(planned, job=job)


def plan_stray_removal(
    removal: Removal, tenant: str, known: Known, schemas: Schemas, suffix: Callable[[], str]
) -> Enqueue | None:
    """The job that deletes a stack whose config is gone; None if it can't be planned.

    Args:
        removal: whose config is gone.
        tenant: the stack's project.
        known: everything else.
        schemas: the types.
        suffix: as in :func:`~gohan_jobs.planning.plan_change`.
    """
    body = {"id": removal.resource.resource_id, "tenant_id": tenant}
    processed = ProcessedConfig(body=body, deleted=True, version=0)
    try:
        return delete_job(removal, processed, known, schemas, suffix)
    except (InvalidKey, Unplannable):
        return None
