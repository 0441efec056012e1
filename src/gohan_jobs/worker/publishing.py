"""From a handler's outcome to the records that are published: pure."""

from __future__ import annotations

import re

import attrs

from gohan_jobs.codec import Spelling, dumps
from gohan_jobs.exceptions import InvalidRecord, TransactionTooLarge
from gohan_jobs.handlers import Done, GiveUp
from gohan_jobs.queue import Finish
from gohan_jobs.records import (
    Action,
    HeatStack,
    JobState,
    OnFailure,
    Record,
    StackOutput,
    StateRecord,
)
from gohan_jobs.records.outcomes import completed, failed, failed_job_state
from gohan_jobs.redaction import Redactor
from gohan_jobs.worker.claim import Claim
from gohan_jobs.worker.secrets import secrets_of

__all__ = ["finish_of", "too_large", "unwritable"]

_LONGEST_REASON = 2_000
_LONGEST_ERROR = 8_000
_QUOTES_NOTHING = re.compile(
    "Stack (CREATE|UPDATE|DELETE|ADOPT|CHECK|SUSPEND|RESUME|SNAPSHOT|RESTORE|ROLLBACK) "
    "(started|completed successfully)"
)


def finish_of(claim: Claim, outcome: Done | GiveUp, redactor: Redactor) -> Finish:
    """The results of a job."""
    if isinstance(outcome, GiveUp):
        return _failure(claim, outcome, redactor)
    return _success(claim, outcome, redactor)


def unwritable(outcome: Done | GiveUp, error: InvalidRecord) -> GiveUp:
    """What becomes of an outcome whose results can't be written as JSON: a failure that says so.

    Heat was asked already, and would give the same again (``rules`` 19).

    Raises:
        InvalidRecord: ``error``, if it does not come of the outcome.
    """
    problem = _unwritable(outcome)
    if not problem:
        raise error
    reason = f"result that can't be stored: {problem}"
    return GiveUp(reason=reason, stack=outcome.stack and _shortened(outcome.stack))


def _unwritable(outcome: Done | GiveUp) -> str:
    """What of an outcome can't be written, and why; empty if all can."""
    stack = outcome.stack
    outputs = () if stack is None else stack.output
    parts: list[tuple[str, Record]] = []
    if isinstance(outcome, Done):
        # Mostly they are the stack's own: not looked at twice.
        outputs += () if outcome.outputs is outputs else outcome.outputs or ()
        parts.append(("state_monitoring", _monitoring_state(outcome)))
    parts += [(f"output {each.output_key!r}", JobState(heat_outputs=(each,))) for each in outputs]
    for name, record in parts:
        try:
            dumps(record, Spelling.WORKER)
        except InvalidRecord as error:
            return f"{name}: {error.problems[0].message}"
    return ""


def _monitoring_state(outcome: Done) -> JobState:
    state = outcome.state_monitoring
    return JobState(state_monitoring=None if state is None else dict(state))


def too_large(claim: Claim, finish: Finish, error: TransactionTooLarge) -> Finish:
    """The results of a job whose outputs don't fit the store (``rules`` 19)."""
    reason = f"result too large to be stored: {error}"
    action = claim.job.action
    stack = finish.stack
    return attrs.evolve(
        finish,
        stack=None if stack is None else _shortened(stack),
        job_state=failed_job_state(action, reason),
        state=failed(action, claim.job.version, reason),
        failure=reason,
    )


def _shortened(stack: HeatStack) -> HeatStack:
    return attrs.evolve(stack, output=(), status_reason=stack.status_reason[:_LONGEST_REASON])


def _success(claim: Claim, outcome: Done, redactor: Redactor) -> Finish:
    job = claim.job
    removes = job.action == Action.DELETE
    outputs = outcome.outputs
    if outputs is None and claim.own_stack is not None and not removes:
        outputs = claim.own_stack.output  # of the workflow's Heat job (2017)
    return Finish(
        job_id=job.id,
        notes=claim.notes,
        stack=None if removes else _scrubbed(claim, outcome.stack, redactor),
        job_state=None if removes else _job_state(claim, outcome),
        state=_state(claim, outcome, outputs) if job.is_last and not _silent(claim) else None,
        removes=removes and outcome.stack is not None,
        planned_at=claim.planned_at,
    )


def _silent(claim: Claim) -> bool:
    """A one-step delete publishes nothing (``rules`` 11): its config is gone."""
    return claim.notes.config_create == 0


def _job_state(claim: Claim, outcome: Done) -> JobState:
    state = outcome.state_monitoring
    if state is not None:
        return JobState(heat_outputs=outcome.outputs, state_monitoring=dict(state))
    return JobState(
        heat_outputs=outcome.outputs or (), orchestration_state=completed(claim.job.action)[1]
    )


def _state(claim: Claim, outcome: Done, outputs: tuple[StackOutput, ...] | None) -> StateRecord:
    worker_state, orchestration_state = completed(claim.job.action)
    monitoring = outcome.state_monitoring
    return StateRecord(
        worker_state=worker_state,
        orchestration_state=orchestration_state if monitoring is None else None,
        heat_outputs=outputs if monitoring is not None else (outputs or ()),
        state_monitoring=None if monitoring is None else dict(monitoring),
        version=claim.job.version,
    )


def _failure(claim: Claim, outcome: GiveUp, redactor: Redactor) -> Finish:
    job = claim.job
    reason = _bounded(redactor.scrub(outcome.reason, secrets_of(claim, redactor)))
    ignored = job.on_failure == OnFailure.IGNORE
    removes = _silent(claim)
    state = None
    if not removes and not ignored:
        state = failed(job.action, job.version, reason)
    elif not removes and job.is_last:
        state = _state(claim, Done(), ())
    return Finish(
        job_id=job.id,
        notes=claim.notes,
        stack=_scrubbed(claim, outcome.stack, redactor),
        job_state=failed_job_state(job.action, reason),
        state=state,
        failure=reason,
        removes=removes,
        planned_at=claim.planned_at,
    )


def _scrubbed(claim: Claim, stack: HeatStack | None, redactor: Redactor) -> HeatStack | None:
    """Heat may quote a parameter in its reason, but not in what it says when all is well."""
    if stack is None or not stack.status_reason:
        return stack
    if _QUOTES_NOTHING.fullmatch(stack.status_reason):
        return stack
    reason = redactor.scrub(stack.status_reason, secrets_of(claim, redactor))
    return attrs.evolve(stack, status_reason=reason)


def _bounded(reason: str) -> str:
    """Cut after the scrubbing, or half a secret could be left, which nothing finds."""
    return reason if len(reason) <= _LONGEST_ERROR else f"{reason[: _LONGEST_ERROR - 1]}…"
