"""What a config key's removal means (``runtime`` point 4; ``rules`` 11, 15, 16)."""

from __future__ import annotations

from collections.abc import Callable

import attrs

from gohan_jobs.exceptions import InvalidKey
from gohan_jobs.keys import JobId
from gohan_jobs.planning.known import HEAT_HANDLER, Known
from gohan_jobs.planning.plans import (
    Change,
    Enqueue,
    Forget,
    Orphaned,
    Plan,
    Removal,
    Unchanged,
)
from gohan_jobs.planning.steps import StepComposer
from gohan_jobs.planning.superseding import superseded
from gohan_jobs.planning.workflow import Unplannable, build_jobs
from gohan_jobs.records import Action, ConfigRecord, ProcessedConfig
from gohan_jobs.schemas import Schemas

__all__ = ["delete_job", "plan_removal"]


def plan_removal(
    removal: Removal, known: Known, schemas: Schemas, suffix: Callable[[], str]
) -> Plan:
    """What a config key's removal means (``runtime`` point 4; ``rules`` 11, 15, 16).

    Args:
        removal: whose key is gone.
        known: everything else.
        schemas: the types.
        suffix: as in :func:`plan_change`.
    """
    jobs = known.jobs_of(removal.resource)
    if jobs and _removes_stack(jobs[-1].job_id):
        return Unchanged()  # on its way already, and nothing comes after it
    older = superseded(jobs, deleting=False)
    # Who was told to stop making the stack has left it to a delete, which may be collapsed here.
    marked = any(job_id.action == Action.LOGICAL_DELETE for job_id in older.collapse)
    if known.stack_tenant(removal.path) is None and not older.left and not marked:
        return Forget(collapse=older.collapse)
    earlier = known.processed(removal.path)
    reason = _orphaned(removal, earlier and earlier[0])
    processed = _last_known(removal, known) if earlier is None else earlier[0]
    if processed is None or (reason and not removal.delete_orphans):
        return Orphaned(reason=reason, collapse=older.collapse)
    try:
        return delete_job(removal, processed, known, schemas, suffix)
    except (InvalidKey, Unplannable) as error:
        return Orphaned(reason=str(error), collapse=older.collapse)


def _removes_stack(job_id: JobId) -> bool:
    return job_id.action == Action.DELETE and job_id.handler == HEAT_HANDLER


def _orphaned(removal: Removal, processed: ProcessedConfig | None) -> str:
    """Why a removed config's stack is an orphan; empty if it may be deleted."""
    if processed is None:
        return "config removed of which nothing was known"
    if removal.schema.two_step_deletion and not processed.deleted:
        return "config of a type with two-step deletion removed without a mark"
    return ""


def _last_known(removal: Removal, known: Known) -> ProcessedConfig | None:
    """What the stack's record says of a config of which nothing else is known."""
    tenant = known.stack_tenant(removal.path)
    if tenant is None:
        return None
    body = {"id": removal.resource.resource_id, "tenant_id": tenant}
    return ProcessedConfig(body=body, deleted=True, version=0)


def delete_job(
    removal: Removal,
    processed: ProcessedConfig,
    known: Known,
    schemas: Schemas,
    suffix: Callable[[], str],
) -> Enqueue:
    """The job that removes a stack whose config is gone (``rules`` 11).

    Args:
        removal: whose key is gone.
        processed: what is known of its config.
        known: everything else.
        schemas: the types.
        suffix: as in :func:`~gohan_jobs.planning.plan_change`.

    Raises:
        InvalidKey: the resource can't be named in a job's id.
        Unplannable: it would wait for too many, or its body is too deep.
    """
    older = superseded(known.jobs_of(removal.resource), deleting=True)
    composer = StepComposer(_as_change(removal, processed), known, schemas, processed)
    jobs = build_jobs(
        removal.resource,
        processed.version,
        processed.body,
        [composer.delete_step()],
        left=older.left,
        known=known,
        suffix=suffix,
    )
    # Marked, so that it changes with the planning, and a restart knows what was asked for.
    marked = attrs.evolve(processed, deleted=True)
    return Enqueue(jobs=jobs, processed=marked, collapse=older.collapse, preempt=older.preempt)


def _as_change(removal: Removal, processed: ProcessedConfig) -> Change:
    return Change(
        path=removal.path,
        resource=removal.resource,
        schema=removal.schema,
        config=ConfigRecord(
            body=processed.body, version=processed.version, marked_for_deletion=True
        ),
        create_revision=0,
        mod_revision=0,
    )
