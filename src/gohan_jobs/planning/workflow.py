"""The jobs of one config version, and what they wait for."""

from __future__ import annotations

import string
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import attrs

from gohan_jobs.codec.strict_json import MAX_LEVELS, nests_deeper_than
from gohan_jobs.keys import JobId
from gohan_jobs.planning.known import HEAT_HANDLER, Known, KnownJob
from gohan_jobs.planning.plans import PlannedJob
from gohan_jobs.records import Action, Job, OnFailure, Param, ParamType, ResourceRef

__all__ = [
    "MAX_DEPENDENCIES",
    "Step",
    "TooDeep",
    "TooManyDependencies",
    "Unplannable",
    "build_jobs",
    "output_sources",
]

MAX_DEPENDENCIES = 5_000
"""More of them is an error of that config (``rules`` 6)."""


_DIGITS = string.digits + string.ascii_lowercase

_BODY_LEVELS = MAX_LEVELS - 2
"""Levels that a body may have to fit into a job's document: list and job are around it."""


class Unplannable(Exception):
    """A job that can't be queued, whatever appears later. Never leaves planning."""


class TooManyDependencies(Unplannable):
    """A job would wait for more jobs than are allowed."""


class TooDeep(Unplannable):
    """A body that could be read, but not written as part of a job."""


@attrs.frozen
class Step:
    """One job of a workflow, before it has an id.

    Attributes:
        handler: who does it.
        action: what is done.
        params: with what.
        on_failure: what its failure does to the steps after it.
        template_id: as in :class:`PlannedJob`.
        template_revision: likewise.
        template_digest: likewise.
    """

    handler: str
    action: Action
    params: tuple[Param, ...] = ()
    on_failure: OnFailure = OnFailure.FAIL
    template_id: str = ""
    template_revision: int = 0
    template_digest: str = ""


def build_jobs(
    resource: ResourceRef,
    version: int,
    body: Mapping[str, Any],
    steps: Sequence[Step],
    *,
    left: Sequence[KnownJob],
    known: Known,
    suffix: Callable[[], str],
) -> tuple[PlannedJob, ...]:
    """The jobs of a workflow: the first waits for others, each later one for those before it.

    Args:
        resource: whose workflow it is.
        version: its config's version.
        body: its config's body.
        steps: what is to be done, in order.
        left: the resource's own unfinished jobs.
        known: where other resources' jobs are looked up.
        suffix: gives a new suffix of a job id; if there is such a job, the next one free is taken.

    Raises:
        InvalidKey: the resource, or a handler, can't be named in a job's id.
        TooManyDependencies: see :data:`MAX_DEPENDENCIES`.
        TooDeep: the body has more levels than a job can hold.
    """
    if nests_deeper_than(_BODY_LEVELS, body):
        raise TooDeep(f"the body has more than {_BODY_LEVELS} levels, which no job can hold")
    waits = _outside(resource, steps, left, known)
    jobs: list[PlannedJob] = []
    for step in steps:
        job = Job(
            id=_new_id(_job_id(step, resource, version, suffix()), known),
            params=step.params,
            dependency=tuple(planned.job.id for planned in jobs) or waits,
            is_first=not jobs,
            is_last=len(jobs) == len(steps) - 1,
            on_failure=step.on_failure,
            resource_input=dict(body),
        )
        jobs.append(
            PlannedJob(
                job=job,
                template_id=step.template_id,
                template_revision=step.template_revision,
                template_digest=step.template_digest,
            )
        )
    return tuple(jobs)


def _job_id(step: Step, resource: ResourceRef, version: int, suffix: str) -> JobId:
    return JobId(
        str(step.action),
        step.handler,
        resource.resource_type,
        resource.resource_id,
        version,
        suffix,
    )


def _new_id(job_id: JobId, known: Known) -> JobId:
    """A job's id, or the next one that no job has: two of one id would be one."""
    while known.is_job(job_id):
        job_id = attrs.evolve(job_id, suffix=_following(job_id.suffix))
    return job_id


def _following(suffix: str) -> str:
    """The suffix after one, as digits to the base 36; after the last the first."""
    head, last = suffix[:-1], suffix[-1:]
    if not last:
        return ""
    if last == _DIGITS[-1]:
        return _following(head) + _DIGITS[0]
    return head + _DIGITS[_DIGITS.index(last) + 1]


def _outside(
    resource: ResourceRef, steps: Sequence[Step], left: Sequence[KnownJob], known: Known
) -> tuple[JobId, ...]:
    """Unfinished jobs to wait for (``runtime``, *Dependencies*).

    Of other resources only the jobs that make stacks; of its own every one that is left. The
    references are those of the whole workflow.
    """
    params = (param for step in steps for param in step.params)
    references = {ref for param in params for ref in param.resources} - {resource}
    found = {job.job_id: None for job in left}
    others = [job for other in sorted(references) for job in known.jobs_of(other)]
    others += known.jobs_referring_to(resource)
    found.update({job.job_id: None for job in others if job.job_id.handler == HEAT_HANDLER})
    if len(found) > MAX_DEPENDENCIES:
        raise TooManyDependencies(
            f"{len(found)} dependencies, at most {MAX_DEPENDENCIES} are allowed"
        )
    return tuple(found)


def output_sources(params: Iterable[Param]) -> Iterable[ResourceRef]:
    """The resources whose stacks' outputs are asked for."""
    for param in params:
        if param.type == ParamType.LIST:
            yield from output_sources(param.value)
        elif param.type == ParamType.OUTPUT_KEY:
            yield ResourceRef(param.value["resource_type"], param.value["resource_id"])
