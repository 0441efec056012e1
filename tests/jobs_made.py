"""Jobs and tracked jobs made in one line, for tests."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from gohan_jobs.board import Tracked
from gohan_jobs.bookkeeping import JobNotes
from gohan_jobs.keys import JobId, Place, ResourcePath
from gohan_jobs.records import Job, Param, ParamType, ResourceRef

__all__ = ["job_id", "make_job", "tracked"]


def job_id(
    resource: str = "port:p1",
    version: int = 1,
    suffix: str = "aaaaa",
    *,
    action: str = "create",
    handler: str = "heat_worker",
) -> JobId:
    """An id."""
    return JobId.parse(f"{action}:{handler}:{resource}:{version}:{suffix}")


def make_job(
    identity: JobId, dependency: Iterable[JobId] = (), references: Iterable[str] = (), **more: Any
) -> Job:
    """A job whose one param refers to those resources."""
    resources = tuple(ResourceRef(*ref.split(":")) for ref in references)
    param = Param(param="p", type=ParamType.VALUE, value=1, resources=resources)
    return Job(id=identity, params=(param,), dependency=tuple(dependency), **more)


def tracked(
    identity: JobId,
    dependency: Iterable[JobId] = (),
    references: Iterable[str] = (),
    place: Place | None = Place.WAITING,
    *,
    is_first: bool = True,
    **notes: Any,
) -> Tracked:
    """A job as the leader sees it."""
    path = ResourcePath(f"v2.0/{identity.resource_type}s/{identity.resource_id}")
    noted = JobNotes(**{"planned_at": "", "path": path, **notes})
    job = make_job(identity, dependency, references, is_first=is_first)
    return Tracked.of(job, path, noted, place, 1)
