"""What can be said of a resource and its jobs: why they are as they are."""

from __future__ import annotations

import attrs

from gohan_jobs.bookkeeping import Held
from gohan_jobs.keys import JobId, Place
from gohan_jobs.records import HeatStack, ResourceRef, StateRecord

__all__ = ["Explanation", "Holder", "JobExplanation", "root_cause_of", "summary_of"]


@attrs.frozen(kw_only=True)
class Holder:
    """Who has a job, as far as the store tells.

    Attributes:
        reservation: the uuid of the reservation.
        worker_id: of the worker whose lease it stands under; empty if no worker has that lease
            (any more).
        lease_left: seconds that the lease still has; None if it has ended, or if the store is no
            :class:`~gohan_jobs.stores.base.LeaseTimed`.
    """

    reservation: str
    worker_id: str = ""
    lease_left: float | None = None

    @property
    def alive(self) -> bool:
        """Whether its worker is there. If not, the job is free again once the lease ends."""
        return bool(self.worker_id)


@attrs.frozen(kw_only=True)
class JobExplanation:
    """Where an unfinished job is, and why.

    Attributes:
        job_id: which.
        place: where it stands; None: nowhere, which the leader repairs.
        waiting_for: unfinished jobs that it waits for, and where each stands.
        holder: the reservation's uuid, while a worker has it.
        planned_at: since when it is in the queue, ISO 8601.
        attempts: claims lost so far.
        retries: times its handler asked to try again.
        last_error: why it was handed back last, or is held.
        held_by: who has it, while a worker has.
        held_for: ``<type>:<id>`` of the failed dependency that it is held for
            (``on_dependency_failure="hold"``); empty if it is not.
        held_until: ISO 8601: it is cancelled then unless that has recovered; ``set aside``: held
            until its document changes; empty if it is not held.
        set_aside: why its document can't be used; empty if it can.
    """

    job_id: JobId
    place: Place | None
    waiting_for: tuple[tuple[JobId, Place | None], ...] = ()
    holder: str = ""
    planned_at: str = ""
    attempts: int = 0
    retries: int = 0
    last_error: str = ""
    held_by: Holder | None = None
    held_for: str = ""
    held_until: str = ""
    set_aside: str = ""

    @property
    def resource(self) -> ResourceRef:
        """The resource it works on."""
        return ResourceRef(self.job_id.resource_type, self.job_id.resource_id)

    @property
    def reason(self) -> str:
        """Why it is where it is, in one sentence."""
        return f"{self.job_id} {_standing(self)}"


@attrs.frozen(kw_only=True)
class Explanation:
    """Why a resource is as it is.

    Attributes:
        resource: which.
        version: of its config; None if there is none, or it can't be read.
        processed_version: of the config processed last; None if none was.
        state: its result; None if there is none.
        stack: its stack's record, with Heat's own status and reason; None if there is none.
        jobs: its unfinished jobs, oldest first.
        set_aside: why its config can't be used; empty if it can.
        orphan: why its stack is an orphan; empty if it is not.
        summary: all of that in one sentence.
        held: what keeps its config, or the removal of it, from being planned; None if nothing does.
        chain: from its oldest job to the one at the end that all wait for: each waits for the next.
            Where there are several ends, the one that least goes on by itself.
        blocked_by: the resource at the end, explained likewise, if that is another one: the last
            job's, or what is waited for without a job.
        root_cause: what is to blame in the end, in one sentence.
        template: id of the heat_template whose stack could not be created or updated, as its type's
            template mapping gives it now; empty if none failed.
    """

    resource: ResourceRef
    version: int | None
    processed_version: int | None
    state: StateRecord | None
    stack: HeatStack | None
    jobs: tuple[JobExplanation, ...]
    set_aside: str = ""
    orphan: str = ""
    summary: str = ""
    held: Held | None = None
    chain: tuple[JobExplanation, ...] = ()
    blocked_by: Explanation | None = None
    root_cause: str = ""
    template: str = ""


# In words.


def summary_of(found: Explanation, config_mod: int | None) -> str:
    """The first thing to know.

    Args:
        found: the facts.
        config_mod: the config's mod revision; None if it is gone.
    """
    if found.set_aside:
        return f"its config can't be used: {found.set_aside}"
    if found.orphan:
        return f"its stack is an orphan: {found.orphan}"
    if found.held is not None and _is_of(found.held, found.version, config_mod):
        return _held(found.held)
    if found.jobs:
        return _job_summary(found.jobs[0])
    return "there is no config" if config_mod is None else _config_summary(found)


def root_cause_of(found: Explanation) -> str:
    """What is to blame in the end."""
    by = found.blocked_by
    if not found.chain:
        return found.summary if by is None else f"{by.resource}: {by.root_cause}"
    last = found.chain[-1]
    if by is None or not last.held_for:
        return last.reason
    return f"{last.reason}; {by.resource}: {by.root_cause}"


def _is_of(held: Held, version: int | None, config_mod: int | None) -> bool:
    """Whether a note is of the config that is there; that may only have been written again."""
    if held.config_mod == (config_mod or 0):
        return True
    both = bool(held.config_mod) and config_mod is not None
    return both and not held.vetoed and held.version == version


def _held(held: Held) -> str:
    what = f"version {held.version}" if held.config_mod else "its removal"
    if held.vetoed:
        return f"{what} is vetoed: {held.reason}, to be tried again at {held.until}"
    return f"{what} is held: {held.reason}, until {held.until}"


def _config_summary(found: Explanation) -> str:
    version, state = found.version, found.state
    if state is not None and state.version == version:
        if state.error:
            return f"version {version} failed: {state.error}"
        return f"version {version} is done: {state.worker_state}"
    if found.processed_version == version:
        return f"version {version} is processed and has no result"
    return f"version {version} is not planned: it has not been read yet"


def _job_summary(job: JobExplanation) -> str:
    if job.waiting_for:
        needed, place = job.waiting_for[0]
        others = len(job.waiting_for) - 1
        more = f" and {others} more" if others else ""
        return f"{job.job_id} waits for {needed} ({place or 'nowhere'}){more}"
    if job.held_by is not None or job.held_until:
        return job.reason
    where = f"{job.job_id} is {job.place or 'nowhere'}"
    return f"{where}: {job.last_error}" if job.last_error else where


def _standing(job: JobExplanation) -> str:
    because = f": {job.last_error}" if job.last_error else ""
    if job.set_aside:
        return f"is set aside: {job.set_aside}"
    if job.held_until:
        what = f" for {job.held_for}" if job.held_for else ""
        return f"is held{what} until {job.held_until}{because}"
    if job.waiting_for:
        return f"waits for {job.waiting_for[0][0]}"
    if job.held_by is not None:
        return f"{_working(job.held_by)}{because}"
    return f"is {job.place or 'nowhere'}{because}"


def _working(holder: Holder) -> str:
    if not holder.alive:
        return f"is reserved by {holder.reservation}, whose worker is gone{_left(holder)}"
    return f"is being worked on by worker {holder.worker_id}{_left(holder)}"


def _left(holder: Holder) -> str:
    return "" if holder.lease_left is None else f" (lease: {holder.lease_left:.0f} s left)"
