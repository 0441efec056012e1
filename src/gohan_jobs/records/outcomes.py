"""The two vocabularies of one fact: how an action ended (``records``, *StateRecord*)."""

from __future__ import annotations

from gohan_jobs.records.stack import JobState, StackOutput
from gohan_jobs.records.state import StateRecord
from gohan_jobs.records.vocabulary import Action, OrchestrationState, WorkerState

__all__ = ["completed", "failed", "failed_job_state"]

_COMPLETED = {
    Action.CREATE: (WorkerState.CREATED, OrchestrationState.CREATED),
    Action.MODIFY: (WorkerState.MODIFIED, OrchestrationState.UPDATED),
    Action.LOGICAL_DELETE: (WorkerState.DELETED, OrchestrationState.DELETED),
    Action.DELETE: (WorkerState.DELETED, OrchestrationState.DELETED),
}

_FAILED = {
    Action.CREATE: (WorkerState.CREATE_ERROR, OrchestrationState.CREATE_ERROR),
    Action.MODIFY: (WorkerState.MODIFY_ERROR, OrchestrationState.MODIFY_ERROR),
    Action.LOGICAL_DELETE: (WorkerState.DELETE_ERROR, OrchestrationState.DELETE_ERROR),
    Action.DELETE: (WorkerState.DELETE_ERROR, OrchestrationState.DELETE_ERROR),
}


def completed(action: Action | str) -> tuple[WorkerState, OrchestrationState]:
    """How an action that went well is spelled, by the worker and by Heat."""
    return _COMPLETED[_known(action)]


def failed(action: Action | str, version: int, reason: str) -> StateRecord:
    """The result of a config version whose action failed (``rules`` 11)."""
    worker_state, orchestration_state = _FAILED[_known(action)]
    return StateRecord(
        worker_state=worker_state,
        orchestration_state=orchestration_state,
        heat_outputs=(),
        version=version,
        error=reason,
    )


def failed_job_state(action: Action | str, reason: str) -> JobState:
    """The result of a job that failed (``rules`` 11)."""
    outputs: tuple[StackOutput, ...] = ()
    return JobState(
        heat_outputs=outputs, orchestration_state=_FAILED[_known(action)][1], error=reason
    )


def _known(action: Action | str) -> Action:
    """An action never seen before ends like a change, which it is to Gohan."""
    return Action(action) if action in _COMPLETED else Action.MODIFY
