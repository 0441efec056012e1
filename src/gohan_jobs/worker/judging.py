"""What is to become of a claim, now that its handler, or somebody else, has given a verdict."""

from __future__ import annotations

import logging

from gohan_jobs.exceptions import ClaimLost, GohanJobsError, StoreError
from gohan_jobs.handlers import Done, GiveUp, Later, Observe, RetryLater
from gohan_jobs.worker.claim import Claim
from gohan_jobs.worker.context import TemplateChanged
from gohan_jobs.worker.ending import Ending, Endings
from gohan_jobs.worker.options import WorkerOptions
from gohan_jobs.worker.returned import Broken, Returned, Stopped, Superseded

__all__ = ["Judge"]

_log = logging.getLogger("gohan_jobs")

_LEASE_PAUSE = 1.0


class Judge:
    """Says how claims go on, or end. Writes nothing.

    Args:
        endings: builds what ends claims.
        options: how often an unexpected error is tried again.
    """

    def __init__(self, endings: Endings, options: WorkerOptions) -> None:
        self._endings = endings
        self._options = options

    def of(self, item: Returned) -> Ending | Later | Observe:
        """What ends a claim that is not lost, or what it waits for."""
        claim, verdict = item.claim, item.verdict
        if claim.superseded or isinstance(verdict, Superseded):
            return self._endings.drop(item, preempted=claim.superseded)
        if isinstance(verdict, Exception | Broken):
            return self._failed(item, verdict)
        if isinstance(verdict, Done | GiveUp):
            return self._endings.finish(item, verdict)
        if isinstance(verdict, RetryLater):
            return self._endings.hand_back(item, verdict.after, verdict.reason, retries=1)
        if claim.stopped or isinstance(verdict, Stopped):
            return self._endings.hand_back(item, 0.0, "worker stopped")
        return verdict

    def _failed(self, item: Returned, error: Exception | Broken) -> Ending:
        """An error of ours is a result; of a claim, its end; any other is tried again."""
        end, retry = self._endings, self._options.unexpected_retry
        if isinstance(error, Broken):
            return end.broken(item, error.reason)
        if isinstance(error, ClaimLost):
            return end.hand_back(item, 0.0 if item.claim.stopped else _LEASE_PAUSE, str(error))
        if isinstance(error, TemplateChanged):
            return end.hand_back(item, 0.0, "its template has changed")
        if isinstance(error, StoreError) or getattr(error, "retryable", False):
            return end.hand_back(item, retry, str(error), retries=1)
        if isinstance(error, GohanJobsError):
            return end.finish(item, GiveUp(reason=str(error)))
        return self._unexpected(item, error)

    def _unexpected(self, item: Returned, error: Exception) -> Ending:
        reason = f"handler raised {type(error).__name__}"
        _report(item.claim, reason)
        if item.claim.notes.retries >= self._options.unexpected_retries:
            return self._endings.finish(item, GiveUp(reason=reason))
        retry = self._options.unexpected_retry
        return self._endings.hand_back(item, retry, reason, retries=1)


def _report(claim: Claim, reason: str) -> None:
    _log.error("%s: %s", claim.job_id, reason, extra={"job_id": str(claim.job_id)})
