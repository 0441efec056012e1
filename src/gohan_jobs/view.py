"""Estate and board together: what planning asks (:class:`gohan_jobs.planning.Known`)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import attrs

from gohan_jobs.board import Board
from gohan_jobs.estate import Estate
from gohan_jobs.keys import JobId, ResourcePath
from gohan_jobs.planning import Known, KnownJob, KnownState, KnownTemplate
from gohan_jobs.records import ProcessedConfig, ResourceRef

__all__ = ["View"]


@attrs.frozen
class View:
    """What is known, as planning asks for it.

    Attributes:
        estate: the resources.
        board: the unfinished jobs.
    """

    estate: Estate
    board: Board

    def body(self, resource_type: str, resource_id: str) -> Mapping[str, Any] | None:
        """Body of the last config read."""
        return self.estate.body(resource_type, resource_id)

    def processed(self, path: ResourcePath) -> tuple[ProcessedConfig, int] | None:
        """The config processed last."""
        return self.estate.processed(path)

    def state(self, path: ResourcePath) -> KnownState | None:
        """The resource's result."""
        return self.estate.state(path)

    def stack_tenant(self, path: ResourcePath) -> str | None:
        """The tenant of the resource's stack."""
        return self.estate.stack_tenant(path)

    def template(self, name: str) -> KnownTemplate | None:
        """A heat_template."""
        return self.estate.template(name)

    def jobs_of(self, resource: ResourceRef) -> tuple[KnownJob, ...]:
        """Unfinished jobs of a resource."""
        return self.board.jobs_of(resource)

    def is_job(self, job_id: JobId) -> bool:
        """Whether there is a job of that id."""
        return self.board.get(job_id) is not None

    def jobs_referring_to(self, resource: ResourceRef) -> Iterable[KnownJob]:
        """Unfinished jobs of other resources that refer to it."""
        return self.board.jobs_referring_to(resource)


if TYPE_CHECKING:

    def _is_known(view: View) -> Known:
        return view
