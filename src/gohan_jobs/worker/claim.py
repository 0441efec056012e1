"""A worker's hold on one job."""

from __future__ import annotations

import threading
from collections.abc import Callable

from gohan_jobs.bookkeeping import JobNotes
from gohan_jobs.clock import Clock
from gohan_jobs.exceptions import ClaimLost
from gohan_jobs.keys import JobId
from gohan_jobs.queue import Fence
from gohan_jobs.records import HeatStack, Job, ResourceRef

__all__ = ["Claim", "WorkerLease"]


class WorkerLease:
    """The lease under which a worker's claims stand, and how long it surely lives.

    Args:
        clock: a clock that counts suspended time (``rules`` 18).
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._id = 0
        self._until = float("-inf")

    @property
    def id(self) -> int:
        """Its id; 0 while there is none."""
        return self._id

    def granted(self, lease: int, ttl: float, asked_at: float) -> None:
        """A lease was granted, or renewed.

        Args:
            lease: its id.
            ttl: seconds it now has.
            asked_at: clock time *before* the request was sent: the server counts from later.
        """
        with self._lock:
            self._id = lease
            self._until = asked_at + ttl

    def ended(self) -> None:
        """It has ended, or is to be treated so."""
        with self._lock:
            self._id = 0
            self._until = float("-inf")

    @property
    def remaining(self) -> float:
        """Seconds it surely lives; negative once it may have ended."""
        with self._lock:
            return self._until - self._clock.now()


class Claim:
    """One job, this worker's for as long as its lease lives and nobody pre-empts it.

    Attributes:
        job_id: the job.
        job: its document.
        notes: on it.
        holder: the reservation's uuid.
        fence: the reservation, by which every result is fenced.
        planned_at: revision at which the job's document was created.
        own_stack: the resource's stack record when it was claimed.
        since: clock time of the claim.
        attempt: 1 for the first claim.
        stacks_read: the stack records that its handler has read so far.
    """

    def __init__(
        self,
        *,
        job: Job,
        notes: JobNotes,
        holder: str,
        fence: Fence,
        planned_at: int,
        own_stack: HeatStack | None,
        lease: WorkerLease,
        lease_id: int,
        now: Callable[[], float],
    ) -> None:
        self.job_id: JobId = job.id
        self.job = job
        self.notes = notes
        self.holder = holder
        self.fence = fence
        self.planned_at = planned_at
        self.own_stack = own_stack
        self.since: float = now()
        self.attempt: int = notes.attempts + 1
        self.stacks_read: dict[ResourceRef, HeatStack] = {}
        self._lease = lease
        self._lease_id = lease_id  # the lease's may be another by now
        self._acting = False
        self._touched = False
        self._stopped = ""
        self._superseded = ""

    @property
    def lost(self) -> bool:
        """Whether its lease has ended, so that it may be another's."""
        return self._lease.id != self._lease_id

    @property
    def cancelled(self) -> str:
        """Why the handler shall stop; empty while it shall not."""
        return "lease lost" if self.lost else self._superseded or self._stopped

    @property
    def superseded(self) -> bool:
        """Whether it is to end without a result (``rules`` 8, 15)."""
        return bool(self._superseded)

    @property
    def stopped(self) -> bool:
        """Whether it is to be handed back unless it is through: its worker stops."""
        return bool(self._stopped)

    @property
    def too_late(self) -> bool:
        """Whether it was guarded, so something was changed, and may have ended before that.

        The guard leaves time for a call; a process that stood still after it had none.
        """
        return self._acting and (self.lost or self._lease.remaining <= 0)

    @property
    def touched(self) -> bool:
        """Whether it was guarded at any time, so that something may have been changed."""
        return self._touched

    def resumed(self) -> None:
        """Its handler is called, and has changed nothing yet."""
        self._acting = False

    def supersede(self, reason: str) -> None:
        """Tell the handler to stop: nobody wants the result any more. Idempotent."""
        self._superseded = self._superseded or reason

    def stop(self, reason: str) -> None:
        """Tell the handler to stop, since its worker does. Idempotent."""
        self._stopped = self._stopped or reason

    def guard(self, seconds: float) -> None:
        """Go on only if the claim outlasts a call of so many seconds (``rules`` 18).

        Raises:
            ClaimLost: it does not, or it is lost or pre-empted already.
        """
        if self.cancelled:
            raise ClaimLost(str(self.job_id), self.cancelled)
        remaining = self._lease.remaining
        if remaining <= seconds:
            raise ClaimLost(
                str(self.job_id),
                f"its lease surely lives {max(remaining, 0.0):.1f} s, the call may take "
                f"{seconds:g} s",
            )
        self._acting = self._touched = True
