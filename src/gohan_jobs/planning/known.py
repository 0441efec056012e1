"""What planning asks of the world, and the facts that it gets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

import attrs

from gohan_jobs.exceptions import MappingError
from gohan_jobs.keys import JobId, ResourcePath
from gohan_jobs.mapping import ParsedTemplate
from gohan_jobs.records import ProcessedConfig, ResourceRef

__all__ = [
    "HEAT_HANDLER",
    "MONITORING_HANDLER",
    "TEMPLATE_TYPE",
    "Known",
    "KnownJob",
    "KnownState",
    "KnownTemplate",
]

HEAT_HANDLER = "heat_worker"
"""The handler whose jobs make stacks, and on which other resources' jobs may depend."""

MONITORING_HANDLER = "monitoring_worker"
"""The second handler of 2017's recordings (``runtime``, *Several handlers per resource*)."""

TEMPLATE_TYPE = "heat_template"
"""The type under which a held config waits for a template."""


@attrs.frozen(kw_only=True)
class KnownJob:
    """An unfinished job, as far as planning needs it.

    Attributes:
        job_id: its id.
        references: the other resources in its params.
        claimed: whether a worker has it.
        begun: whether an earlier job of its workflow has been claimed, or it has itself.
        needed: whether an unfinished job of *another* resource depends on it.
        config_mod: mod revision of the config it was planned from. Together with the version it
            names the workflow: a type that does not count versions has the same one every time.
    """

    job_id: JobId
    references: frozenset[ResourceRef]
    claimed: bool
    begun: bool
    needed: bool
    config_mod: int = 0


@attrs.frozen(kw_only=True)
class KnownState:
    """What is known of a resource's ``/state``.

    Attributes:
        version: the config version it is about.
        failed: whether it holds an error.
        since: the revision since which that holds, as of a processed copy
            (:meth:`Known.processed`). Not compared.
    """

    version: int
    failed: bool
    since: int = attrs.field(default=0, eq=False)


@attrs.frozen(kw_only=True)
class KnownTemplate:
    """A heat_template as last read.

    Attributes:
        template: its parsed mappings; an error instead if they could not be parsed.
        revision: its config's mod revision, which a job remembers (``rules`` 9).
        digest: of its body, so that one that is only written again, as Gohan does on a resync, is
            told from one that has changed (``rules`` 2).
    """

    template: ParsedTemplate | MappingError
    revision: int
    digest: str = ""


class Known(Protocol):
    """What has been read so far, the change being handled included."""

    def body(self, resource_type: str, resource_id: str) -> Mapping[str, Any] | None:
        """Body of the last config read; None if there is none."""
        ...

    def processed(self, path: ResourcePath) -> tuple[ProcessedConfig, int] | None:
        """The config processed last, and the revision since which that holds."""
        ...

    def state(self, path: ResourcePath) -> KnownState | None:
        """The resource's result."""
        ...

    def stack_tenant(self, path: ResourcePath) -> str | None:
        """The tenant of the resource's stack; None if no record names a live stack."""
        ...

    def template(self, name: str) -> KnownTemplate | None:
        """A heat_template."""
        ...

    def jobs_of(self, resource: ResourceRef) -> Sequence[KnownJob]:
        """Unfinished jobs of a resource, oldest first."""
        ...

    def is_job(self, job_id: JobId) -> bool:
        """Whether there is a job of that id, finished ones included that are not released yet."""
        ...

    def jobs_referring_to(self, resource: ResourceRef) -> Iterable[KnownJob]:
        """Unfinished jobs of other resources whose params refer to this one."""
        ...
