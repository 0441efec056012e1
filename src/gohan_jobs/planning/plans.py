"""What planning is asked about, and what it answers."""

from __future__ import annotations

from typing import TypeAlias

import attrs

from gohan_jobs.keys import JobId, ResourcePath
from gohan_jobs.records import (
    ConfigRecord,
    Job,
    ProcessedConfig,
    ResourceRef,
    StateRecord,
    WorkerState,
)
from gohan_jobs.schemas import Schema

__all__ = [
    "Adopt",
    "Change",
    "Enqueue",
    "Forget",
    "Hold",
    "Orphaned",
    "Plan",
    "PlannedJob",
    "Publish",
    "Removal",
    "SetAside",
    "Unchanged",
    "read_error",
]


@attrs.frozen(kw_only=True)
class Change:
    """A config as it was read.

    Attributes:
        path: the resource's path.
        resource: the resource.
        schema: its type's schema.
        config: what was read.
        create_revision: tells this config from an earlier one at the same key (``rules`` 1).
        mod_revision: of this version of it.
    """

    path: ResourcePath
    resource: ResourceRef
    schema: Schema
    config: ConfigRecord
    create_revision: int
    mod_revision: int

    @property
    def processed(self) -> ProcessedConfig:
        """The copy that says that this config has been processed."""
        config = self.config
        return ProcessedConfig(body=config.body, deleted=config.deleting, version=config.version)


@attrs.frozen(kw_only=True)
class Removal:
    """A config's key is gone.

    Attributes:
        path: the resource's path.
        resource: the resource.
        schema: its type's schema.
        delete_orphans: whether stacks that nobody asked to delete are deleted all the same
            (``rules`` 16).
    """

    path: ResourcePath
    resource: ResourceRef
    schema: Schema
    delete_orphans: bool = False


@attrs.frozen
class Unchanged:
    """Nothing is written (``rules`` 2)."""


@attrs.frozen
class Adopt:
    """Done before this library came: only the processed copy is written (``rules`` 2).

    Attributes:
        processed: that copy.
    """

    processed: ProcessedConfig


@attrs.frozen
class Publish:
    """A result that needs no job: a non-workable resource, or a config that can't be planned.

    Attributes:
        state: the result.
        processed: the processed copy to write.
        collapse: unclaimed jobs of the resource that this makes superfluous (``rules`` 7).
    """

    state: StateRecord
    processed: ProcessedConfig
    collapse: tuple[JobId, ...] = ()


@attrs.frozen(kw_only=True)
class PlannedJob:
    """A job to queue.

    Attributes:
        job: its document.
        template_id: the template its params were computed from; ``""`` for none.
        template_revision: that template's mod revision, 0 for none (``rules`` 9).
        template_digest: of that template's body.
    """

    job: Job
    template_id: str = ""
    template_revision: int = 0
    template_digest: str = ""


@attrs.frozen(kw_only=True)
class Enqueue:
    """Jobs of one workflow, in order.

    Attributes:
        jobs: the jobs.
        processed: the processed copy to write.
        collapse: unclaimed jobs of the resource that this makes superfluous (``rules`` 7, 8).
        preempt: running jobs of the resource that their holders shall end (``rules`` 8).
    """

    jobs: tuple[PlannedJob, ...]
    processed: ProcessedConfig
    collapse: tuple[JobId, ...] = ()
    preempt: tuple[JobId, ...] = ()


@attrs.frozen(kw_only=True)
class Hold:
    """Not yet: something it refers to is not there (``rules`` 5).

    Attributes:
        missing: what to wait for; a template as ``heat_template``. An empty id can't appear.
        reason: the error that it becomes when the wait is over.
        otherwise: what to publish then.
    """

    missing: ResourceRef
    reason: str
    otherwise: Publish


@attrs.frozen
class SetAside:
    """What can't be used at all (``rules`` 10).

    Attributes:
        reason: what is wrong with it, without any of its values.
    """

    reason: str


@attrs.frozen(kw_only=True)
class Forget:
    """The resource is gone: its records are removed.

    Attributes:
        collapse: unclaimed jobs that have lost their purpose.
    """

    collapse: tuple[JobId, ...] = ()


@attrs.frozen(kw_only=True)
class Orphaned:
    """A config is gone and its stack is not to be touched (``rules`` 16).

    Attributes:
        reason: why.
        collapse: unclaimed jobs that have lost their purpose.
    """

    reason: str
    collapse: tuple[JobId, ...] = ()


Plan: TypeAlias = Unchanged | Adopt | Publish | Enqueue | Hold | SetAside | Forget | Orphaned
"""What is to be done about a change."""


def read_error(version: int, reason: str) -> StateRecord:
    """The result of a config version that can't be planned (``rules`` 11)."""
    return StateRecord(
        worker_state=WorkerState.READ_ERROR,
        orchestration_state=str(WorkerState.READ_ERROR),
        heat_outputs=(),
        version=version,
        error=reason,
    )
