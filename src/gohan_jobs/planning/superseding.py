"""Which unfinished jobs of a resource a newer change of it makes superfluous (``rules`` 7, 8)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import attrs

from gohan_jobs.keys import JobId
from gohan_jobs.planning.known import KnownJob
from gohan_jobs.records import Action

__all__ = ["Older", "superseded"]

_DELETES = frozenset({Action.LOGICAL_DELETE, Action.DELETE})


@attrs.frozen
class Older:
    """A resource's unfinished jobs, sorted by what becomes of them.

    Attributes:
        collapse: unclaimed jobs to take away.
        preempt: running jobs whose holders shall end them.
        left: those that a newer version waits for; the pre-empted ones included, as their holders
            have yet to end them.
    """

    collapse: tuple[JobId, ...]
    preempt: tuple[JobId, ...]
    left: tuple[KnownJob, ...]


def superseded(jobs: Sequence[KnownJob], *, deleting: bool) -> Older:
    """What becomes of a resource's unfinished jobs when a newer change arrives.

    A workflow nobody has begun and no other resource needs is collapsed whole. Only a delete ends
    one that has begun: its running jobs are pre-empted, and those after them are collapsed.
    """
    collapse: list[JobId] = []
    preempt: list[JobId] = []
    for workflow in _workflows(jobs):
        if any(job.needed for job in workflow):
            continue
        if deleting or not any(job.begun for job in workflow):
            collapse += _ids(workflow, lambda job: not job.claimed)
        if deleting:
            preempt += _ids(workflow, _can_be_preempted)
    gone = frozenset(collapse)
    left = tuple(job for job in jobs if job.job_id not in gone)
    return Older(tuple(collapse), tuple(preempt), left)


def _workflows(jobs: Iterable[KnownJob]) -> Iterable[Sequence[KnownJob]]:
    found: dict[tuple[int, int], list[KnownJob]] = {}
    for job in jobs:
        found.setdefault((job.job_id.version, job.config_mod), []).append(job)
    return found.values()


def _ids(workflow: Iterable[KnownJob], chosen: Callable[[KnownJob], bool]) -> Iterable[JobId]:
    return (job.job_id for job in workflow if chosen(job))


def _can_be_preempted(job: KnownJob) -> bool:
    return job.claimed and job.job_id.action not in _DELETES
