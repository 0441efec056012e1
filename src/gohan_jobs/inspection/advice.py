"""What to do about a resource that is not done, from what explains it. Pure."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

from gohan_jobs.bookkeeping import CANCELLED
from gohan_jobs.inspection.explanations import Explanation, Holder, JobExplanation
from gohan_jobs.keys import Place
from gohan_jobs.records import ResourceRef, StateRecord, WorkerState
from gohan_jobs.records.job import resource_noted

__all__ = ["next_steps"]

_IGNORED = "Gohan may ignore the second result of a version"
_LET_DOWN = re.compile(
    rf"{CANCELLED}: [^:\s]+:[^:\s]+:(?P<type>[^:\s]+):(?P<id>[^:\s]+):\d+:\w+ failed: "
)
_LEADS = "see with `gohan-jobs status` whether a job manager leads"


def next_steps(found: Explanation, *, heat_asked: bool = False) -> tuple[str, ...]:
    """What to do next, the most helpful first; empty if the resource is done.

    Of a resource that waits for another one it says what to do about the last of the chain.

    Args:
        found: what explains the resource.
        heat_asked: whether Heat was asked for its stack, so that nobody is told to.
    """
    return tuple(_steps(found, heat_asked=heat_asked))


def _steps(found: Explanation, *, heat_asked: bool = False) -> Iterator[str]:
    if found.set_aside:
        yield "correct its config in Gohan: it is looked at again as soon as it changes"
    elif found.orphan:
        yield "delete its stack in Heat if nobody needs it, or have Gohan write its config again"
    elif found.chain:
        yield from _job_steps(found, found.chain[-1], heat_asked=heat_asked)
    elif found.held is not None:
        yield from _held_steps(found)
    elif found.blocked_by is not None:
        yield from _other_steps(found.blocked_by)
        retry = f"`gohan-jobs retry {_words(found.resource)}`"
        yield f"then have Gohan write a new version of this one, or {retry}; {_IGNORED}"
    else:
        yield from _config_steps(found)


def _held_steps(found: Explanation) -> Iterator[str]:
    held = found.held
    assert held is not None  # noqa: S101 - asked before
    if held.vetoed:
        yield f"what vetoes it is a hook of yours; it is asked again at {held.until}"
        return
    other = found.blocked_by
    there = other is not None and other.version is not None  # it failed, or is not read yet
    yield (
        f"have {held.missing} {'made' if there else 'written to Gohan'} by {held.until}: this is "
        "planned as soon as that comes; later it needs a new version, or "
        f"`gohan-jobs retry {_words(found.resource)}`"
    )
    if other is not None:
        yield from _other_steps(other)


def _other_steps(other: Explanation) -> Iterator[str]:
    yield from (f"{other.resource}: {step}" for step in _steps(other))


def _job_steps(found: Explanation, job: JobExplanation, *, heat_asked: bool) -> Iterator[str]:
    if job.resource != found.resource:
        yield f"look at {job.resource}: `gohan-jobs explain {_words(job.resource)}`"
    if job.set_aside:
        yield f"the document of {job.job_id} can't be used: `gohan-jobs cancel` ends the job"
    elif job.held_for:
        words = _words(resource_noted(job.held_for))
        yield (
            f"have {job.held_for} repaired by {job.held_until}, by a new version or "
            f"`gohan-jobs retry {words}`; then its dependants go on"
        )
        if found.blocked_by is not None:
            yield from _other_steps(found.blocked_by)
    elif job.held_by is not None:
        known = heat_asked and job.resource == found.resource
        yield from _working_steps(job, job.held_by, heat_asked=known)
    else:
        yield _standing_step(job)


def _working_steps(job: JobExplanation, holder: Holder, *, heat_asked: bool) -> Iterator[str]:
    release = f"`gohan-jobs release {job.job_id} --force`"
    if holder.alive:
        asking = (
            f"; `gohan-jobs explain {_words(job.resource)}` with --heat or --os-cloud tells what "
            "Heat does meanwhile"
        )
        yield "wait: it goes on by itself" + ("" if heat_asked else asking)
        yield (
            f"its claim ends with its lease{_left(holder)}, unless the worker renews it; from one "
            f"that hangs, {release} takes the job"
        )
    elif holder.lease_left is not None:
        yield (
            f"wait: its claim ends with its lease{_left(holder)}, and the job is claimed again; or "
            f"take it at once: {release}"
        )
    else:
        yield (
            "wait for the lease to end: the job is then claimed again. If the claim is another "
            f"program's and stays, {release} takes it away"
        )


def _left(holder: Holder) -> str:
    return "" if holder.lease_left is None else f" in {holder.lease_left:.0f} s"


def _standing_step(job: JobExplanation) -> str:
    if job.place is Place.READY:
        return (
            f"see with `gohan-jobs status` whether a worker is there that has "
            f"{job.job_id.handler}, and a free slot"
        )
    if job.place is Place.WAITING and job.last_error:
        return "wait: it is tried again by itself; the reason is what its handler, or Heat, said"
    return f"wait: the leader moves it on; {_LEADS}"


def _config_steps(found: Explanation) -> Iterator[str]:
    version, state = found.version, found.state
    if version is None:
        if found.stack is None:
            yield "look in Gohan whether the resource is there, and its config was written"
    elif state is None or state.version != version:
        yield f"wait: the leader reads it and plans it; {_LEADS}"
    elif state.error:
        yield from _failure_steps(found, state)


def _failure_steps(found: Explanation, state: StateRecord) -> Iterator[str]:
    resource = found.resource
    retry = f"`gohan-jobs retry {_words(resource)}`"
    blamed = _LET_DOWN.match(state.error)
    if blamed is not None:
        words = _words(ResourceRef(blamed["type"], blamed["id"]))
        yield f"what failed first is another: `gohan-jobs explain {words}`; mend that"
        yield f"then have Gohan write a new version of this one, or {retry}; {_IGNORED}"
    elif state.error.startswith(f"{CANCELLED}: "):
        yield f"an operator ended it: have Gohan write a new version, or {retry}; {_IGNORED}"
    elif state.worker_state == WorkerState.DELETE_ERROR:
        yield f"free in Heat what keeps the stack; then have Gohan ask for it again, or {retry}"
    else:
        where = f", in its config or in heat_template {found.template}," if found.template else ","
        yield f"correct what the error names{where} and have Gohan write a new version"
        yield f"or, if nothing is wrong with the config, {retry}; {_IGNORED}"


def _words(resource: ResourceRef) -> str:
    return shlex.join((resource.resource_type, resource.resource_id))
