"""What a config write means (``runtime``, *What a config write means, in etcd order*)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import attrs

from gohan_jobs.exceptions import InvalidKey, MappingError, UnresolvedReference
from gohan_jobs.mapping.evaluation import same_json
from gohan_jobs.planning.known import Known, KnownJob
from gohan_jobs.planning.plans import (
    Adopt,
    Change,
    Enqueue,
    Hold,
    Plan,
    Publish,
    SetAside,
    Unchanged,
    read_error,
)
from gohan_jobs.planning.steps import NotThereYet, StepComposer
from gohan_jobs.planning.superseding import Older, superseded
from gohan_jobs.planning.workflow import Unplannable, build_jobs
from gohan_jobs.records import (
    Action,
    ConfigRecord,
    Job,
    ProcessedConfig,
    ResourceRef,
    StateRecord,
    WorkerState,
)
from gohan_jobs.schemas import Schema, Schemas

__all__ = [
    "evaluate_again",
    "incarnation_is_current",
    "is_dealt_with",
    "plan_change",
    "plan_without_looking_back",
]


def incarnation_is_current(create_revision: int, processed_revision: int) -> bool:
    """Whether a processed copy, or a state, is of the config that now stands there (``rules`` 1).

    Both are written after their config was read, so one older than the config's creation is of an
    earlier config at the same key.
    """
    return processed_revision > create_revision


def plan_change(change: Change, known: Known, schemas: Schemas, suffix: Callable[[], str]) -> Plan:
    """What a config write means (``runtime``, *What a config write means*).

    Args:
        change: what was read.
        known: everything else.
        schemas: the types.
        suffix: gives a new suffix of a job id: five of ``[a-z0-9]``.
    """
    earlier = known.processed(change.path)
    if earlier is None and _done_before(change, known):
        return Adopt(change.processed)
    previous = None
    if earlier is not None and incarnation_is_current(change.create_revision, earlier[1]):
        previous = earlier[0]
    seen = None if previous is None else _already_seen(change, previous, known)
    return seen or _Planner(change, known, schemas, suffix, previous).plan()


def plan_without_looking_back(
    change: Change, known: Known, schemas: Schemas, suffix: Callable[[], str]
) -> Plan:
    """As :func:`plan_change`, of a config that has been dealt with already.

    Args:
        change: what was read.
        known: everything else.
        schemas: the types.
        suffix: as in :func:`plan_change`.
    """
    return _Planner(change, known, schemas, suffix, change.processed).plan()


def is_dealt_with(change: Change, known: Known) -> bool:
    """Whether a config has been planned, or has its result, so that it is not planned again.

    Args:
        change: what was read.
        known: everything else.
    """
    earlier = known.processed(change.path)
    if earlier is None or not incarnation_is_current(change.create_revision, earlier[1]):
        return False
    return isinstance(_already_seen(change, earlier[0], known), Unchanged)


def _already_seen(change: Change, previous: ProcessedConfig, known: Known) -> Plan | None:
    """Nothing to do, or too late, compared with the config processed before (``rules`` 1, 2)."""
    config = change.config
    versioned = change.schema.state_versioning
    if versioned and config.version < previous.version:
        return SetAside(f"version {config.version} after version {previous.version}")
    if versioned and config.version != previous.version:
        return None
    if previous.deleted != config.deleting or not same_json(previous.body, config.body):
        return None
    # What is held is planned again, and held as it is: that writes nothing either.
    settled = known.state(change.path) is not None or known.jobs_of(change.resource)
    return Unchanged() if settled else None


def _done_before(change: Change, known: Known) -> bool:
    """Whether another program has dealt with this version before this library came.

    A stack that lives on although its config is marked has not been dealt with: types that do not
    count versions are marked at the version they had. Nor has a config been that was created after
    its state was written: nobody removed the state of the one before it (``rules`` 1, 11).
    """
    state = known.state(change.path)
    if state is None or state.failed or state.version != change.config.version:
        return False
    if not incarnation_is_current(change.create_revision, state.since):
        return False
    return not change.config.deleting or known.stack_tenant(change.path) is None


@attrs.frozen
class _Planner:
    """Plans one change that has to be dealt with."""

    change: Change
    known: Known
    schemas: Schemas
    suffix: Callable[[], str]
    previous: ProcessedConfig | None

    def plan(self) -> Plan:
        """The plan; a mapping's error is the config's, or a hold."""
        config, resource = self.change.config, self.change.resource
        older = superseded(self.known.jobs_of(resource), deleting=config.deleting)
        try:
            return self._plan(older)
        except UnresolvedReference as error:
            missing = ResourceRef(error.missing_type, error.missing_id)
            return self._hold(missing, str(error), older)
        except NotThereYet as error:
            return self._hold(error.missing, str(error), older)
        except (MappingError, InvalidKey, Unplannable) as error:
            return self._reject(str(error), older)

    def _plan(self, older: Older) -> Plan:
        change = self.change
        composer = StepComposer(change, self.known, self.schemas, self.previous)
        templates = composer.templates()
        if not templates and not (change.config.deleting and self._may_have_stack(older.left)):
            state = StateRecord(worker_state=WorkerState.READ, version=change.config.version)
            return self._publish(state, older)
        jobs = build_jobs(
            change.resource,
            change.config.version,
            change.config.body,
            composer.workflow(templates, self._action(older.left)),
            left=older.left,
            known=self.known,
            suffix=self.suffix,
        )
        return Enqueue(
            jobs=jobs,
            processed=change.processed,
            collapse=older.collapse,
            preempt=older.preempt,
        )

    def _action(self, left: Sequence[KnownJob]) -> Action:
        """Which it is (``rules`` 4)."""
        if self.change.config.deleting:
            return Action.LOGICAL_DELETE
        if self.known.state(self.change.path) is None and not self._may_have_stack(left):
            return Action.CREATE
        return Action.MODIFY

    def _may_have_stack(self, left: Sequence[KnownJob]) -> bool:
        making = any(job.job_id.action in {Action.CREATE, Action.MODIFY} for job in left)
        return making or self.known.stack_tenant(self.change.path) is not None

    def _hold(self, missing: ResourceRef, reason: str, older: Older) -> Hold:
        return Hold(missing=missing, reason=reason, otherwise=self._reject(reason, older))

    def _reject(self, reason: str, older: Older) -> Publish:
        return self._publish(read_error(self.change.config.version, reason), older)

    def _publish(self, state: StateRecord, older: Older) -> Publish:
        return Publish(state, self.change.processed, older.collapse)


def evaluate_again(job: Job, schema: Schema, known: Known, schemas: Schemas, name: str) -> Job:
    """A job's params anew, since its template has changed (``rules`` 9).

    The body is the job's own; dependencies stay as they are, since they are computed once
    (``rules`` 6). The config before this one is no longer known by now, so a job that had its
    resources twice has this body's twice.

    Raises:
        MappingError: they can't be computed any more.
    """
    config = ConfigRecord(body=job.resource_input, version=job.version)
    change = Change(
        path=schema.path_of(job.resource_id),
        resource=job.resource,
        schema=schema,
        config=config,
        create_revision=0,
        mod_revision=0,
    )
    previous = None if job.action == Action.CREATE else change.processed
    composer = StepComposer(change, known, schemas, previous)
    return attrs.evolve(job, params=composer.params_of(name))
