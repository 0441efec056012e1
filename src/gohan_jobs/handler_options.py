"""Time-out, retries and limits around any handler.

::

    options = HandlerOptions(timeout=600, retries=5, backoff=2, concurrency=4, rate=10)
    handlers.register("dns_worker", DnsHandler(), options)

What waits for a place or for its turn keeps its claim, and holds no thread. Limits count within
one process.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable

import attrs

from gohan_jobs.exceptions import ClaimLost, GohanJobsError, StoreError
from gohan_jobs.handlers import (
    Claim,
    GiveUp,
    Handler,
    JobContext,
    Later,
    Observe,
    Outcome,
    RetryLater,
    TemplateChanged,
)

__all__ = ["HandlerOptions", "OptionedHandler"]

_DOUBLINGS = 32


_POSITIVE = attrs.validators.gt(0.0)
_SHARE = attrs.validators.and_(attrs.validators.ge(0.0), attrs.validators.le(1.0))


@attrs.frozen(kw_only=True)
class HandlerOptions:
    """How a handler is run.

    Attributes:
        timeout: seconds from the claim's first call to an outcome, waiting included; None: no end.
            A coroutine is cancelled then; a function is told by its claim's guard.
        retries: how often a job is tried again after a time-out, an unexpected exception, an error
            that says ``retryable``, or its own ``RetryLater``; then the last reason is its result.
        backoff: seconds before the first retry, doubled with each ...
        backoff_at_most: ... up to this.
        jitter: by which share, at random, a pause is lengthened or shortened; at most 1.
        concurrency: jobs at a time, those that wait for something included; None: no limit.
        rate: jobs begun a second; None: no limit.
        recheck: seconds after which a job that found no place looks again.

    Raises:
        ValueError: a number that makes no sense.
    """

    timeout: float | None = attrs.field(
        default=None, validator=attrs.validators.optional(_POSITIVE)
    )
    retries: int = attrs.field(default=5, validator=attrs.validators.ge(0))
    backoff: float = attrs.field(default=1.0, validator=_POSITIVE)
    backoff_at_most: float = attrs.field(default=300.0, validator=_POSITIVE)
    jitter: float = attrs.field(default=0.1, validator=_SHARE)
    concurrency: int | None = attrs.field(
        default=None, validator=attrs.validators.optional(attrs.validators.gt(0))
    )
    rate: float | None = attrs.field(default=None, validator=attrs.validators.optional(_POSITIVE))
    recheck: float = attrs.field(default=1.0, validator=_POSITIVE)

    def wrap(self, handler: Handler, rng: random.Random | None = None) -> OptionedHandler:
        """A handler run with these options.

        Args:
            handler: the handler.
            rng: chance for the jitter; one of its own unless given.
        """
        return OptionedHandler(handler, self, rng or random.Random())  # noqa: S311 - jitter


@attrs.frozen
class _TimedClaim:
    """A claim that also ends at a time."""

    claim: Claim
    deadline: float
    now: Callable[[], float]
    seconds: float
    job_id: str

    @property
    def expired(self) -> bool:
        return self.now() >= self.deadline

    @property
    def cancelled(self) -> str:
        return self.claim.cancelled or (self.reason if self.expired else "")

    @property
    def reason(self) -> str:
        return f"no outcome after {self.seconds:g} s"

    def guard(self, seconds: float) -> None:
        self.claim.guard(seconds)
        if self.expired:
            raise ClaimLost(self.job_id, self.reason)


class OptionedHandler:
    """A handler with its options; made by :meth:`HandlerOptions.wrap`.

    Args:
        handler: the handler.
        options: how it is run.
        rng: chance for the jitter.
    """

    def __init__(self, handler: Handler, options: HandlerOptions, rng: random.Random) -> None:
        self._handler = handler
        self._options = options
        self._rng = rng
        self._lock = threading.Lock()
        self._running: dict[str, Claim] = {}
        self._next_start = float("-inf")

    def __call__(self, context: JobContext) -> Outcome:
        """Begin, or wait for a place or a turn."""
        if not self._take_place(context):
            return Later(after=self._jittered(self._options.recheck), resume=self)
        pause = self._turn(context.now())
        if pause > 0:
            return Later(after=pause, resume=self._begin)
        return self._begin(context)

    def _begin(self, context: JobContext) -> Outcome:
        timeout = self._options.timeout
        deadline = None if timeout is None else context.now() + timeout
        return self._run(context, deadline, self._handler)

    # Limits.

    def _take_place(self, context: JobContext) -> bool:
        """Whether the job may run; one whose claim has ended has given up its place."""
        limit = self._options.concurrency
        if limit is None:
            return True
        with self._lock:
            self._running = {
                job: claim for job, claim in self._running.items() if not claim.cancelled
            }
            if len(self._running) >= limit:
                return False
            self._running[str(context.job.id)] = context.claim
            return True

    def _leave_place(self, context: JobContext) -> None:
        with self._lock:
            self._running.pop(str(context.job.id), None)

    def _turn(self, now: float) -> float:
        """Seconds until the job may begin, its turn taken."""
        if self._options.rate is None:
            return 0.0
        with self._lock:
            start = max(self._next_start, now)
            self._next_start = start + 1 / self._options.rate
            return start - now

    # Running.

    def _run(
        self, context: JobContext, deadline: float | None, work: Callable[[JobContext], Outcome]
    ) -> Outcome:
        timed = context if deadline is None else self._timed(context, deadline)
        waits = False
        try:
            outcome = self._judged(timed, work)
            if isinstance(outcome, Later | Observe):
                outcome = self._resumable(context, deadline, outcome)
                waits = True
            return outcome
        finally:
            if not waits:
                self._leave_place(context)

    def _timed(self, context: JobContext, deadline: float) -> JobContext:
        seconds = self._options.timeout or 0.0
        return attrs.evolve(
            context,
            claim=_TimedClaim(context.claim, deadline, context.now, seconds, str(context.job.id)),
        )

    def _judged(self, context: JobContext, work: Callable[[JobContext], Outcome]) -> Outcome:
        """An outcome; what may succeed later is to be tried again, a bounded number of times."""
        try:
            if _out_of_time(context):
                return self._again(context, context.cancelled)
            outcome = work(context)
        except (TemplateChanged, StoreError):
            raise  # nothing that the handler has done: the worker's business
        except ClaimLost:
            if not _out_of_time(context):
                raise
            return self._again(context, context.cancelled)
        except GohanJobsError as error:
            if not getattr(error, "retryable", False):
                raise
            return self._again(context, str(error))
        except Exception as error:  # noqa: BLE001 - its words may hold secrets: only its name is told
            return self._again(context, f"handler raised {type(error).__name__}")
        if isinstance(outcome, RetryLater):
            return self._again(context, outcome.reason, outcome.after)
        return outcome

    def _resumable(
        self, context: JobContext, deadline: float | None, outcome: Later | Observe
    ) -> Later | Observe:
        """A wait that ends with the handler's time, and after which it is still the handler's."""
        left = None if deadline is None else max(0.0, deadline - context.now())
        if isinstance(outcome, Later):
            after = outcome.after if left is None else min(outcome.after, left)
            later = outcome.resume
            return Later(after=after, resume=lambda again: self._run(again, deadline, later))
        limits = [limit for limit in (outcome.limit, left) if limit is not None]
        settled = outcome.resume
        return Observe(
            stack=outcome.stack,
            resume=lambda again, stack: self._run(
                again, deadline, lambda timed: settled(timed, stack)
            ),
            limit=min(limits, default=None),
        )

    # Trying again.

    def _again(self, context: JobContext, reason: str, after: float = 0.0) -> Outcome:
        options = self._options
        if context.retries >= options.retries:
            return GiveUp(reason=reason or "tried in vain, without a reason given")
        doubled = options.backoff * 2.0 ** min(context.retries, _DOUBLINGS)
        pause = self._jittered(min(doubled, options.backoff_at_most))
        return RetryLater(after=max(pause, after), reason=reason)

    def _jittered(self, seconds: float) -> float:
        return seconds * (1 + self._options.jitter * self._rng.uniform(-1.0, 1.0))


def _out_of_time(context: JobContext) -> bool:
    """Whether the handler's time is over, and not the claim itself."""
    claim = context.claim
    return isinstance(claim, _TimedClaim) and claim.expired and not claim.claim.cancelled
