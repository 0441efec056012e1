"""Stacks that may exist although no record names them: their jobs began, and never ended."""

from __future__ import annotations

from gohan_jobs.board import Tracked
from gohan_jobs.manager.desk import Desk
from gohan_jobs.planning import HEAT_HANDLER
from gohan_jobs.records import Action, HeatStack, StackStatus
from gohan_jobs.rendering import stack_name
from gohan_jobs.stores.base import Compare, Put, Transaction

__all__ = ["note_left_stack", "note_stack"]


def note_stack(desk: Desk, job: Tracked, reason: str) -> Transaction:
    """Of a stack that may exist there has to be a record, or nobody would ever delete it.

    Args:
        desk: what is known.
        job: it ends without its handler having said what became of its stack.
        reason: why nobody has looked.

    Returns:
        What writes the record; nothing if there is one, or if there can't be a stack.
    """
    if job.deletes:
        return note_left_stack(desk, job, reason)
    begun = job.begun or not job.unclaimed
    if not begun or job.job_id.handler != HEAT_HANDLER:
        return Transaction()
    creates = job.job_id.action == Action.CREATE
    status = StackStatus.CREATE_IN_PROGRESS if creates else StackStatus.UPDATE_IN_PROGRESS
    return _noted(desk, job, status, reason)


def note_left_stack(desk: Desk, job: Tracked, reason: str) -> Transaction:
    """As :func:`note_stack`, of a job that was to delete the stack, and is not carried out.

    Those that made the stack were told to stop, and left it to that delete.
    """
    if not job.deletes or job.job_id.handler != HEAT_HANDLER:
        return Transaction()
    return _noted(desk, job, StackStatus.CREATE_IN_PROGRESS, reason)


def _noted(desk: Desk, job: Tracked, status: StackStatus, reason: str) -> Transaction:
    if desk.estate.stack_tenant(job.path) is not None:
        return Transaction()
    record = HeatStack(
        id=str(job.resource),
        stack_id=stack_name(job.resource),
        tenant_id=job.notes.tenant,
        stack_status=status,
        status_reason=reason,
        output=(),
    )
    key = desk.keys.heat_stack_of(job.path)
    unchanged = Compare.unchanged(key, desk.estate.stack_revision(job.path))
    return Transaction((unchanged,), (Put(key, desk.queue.text(record)),))
