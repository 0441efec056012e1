"""Decisions, and nothing else: a config change plus what is known gives a plan.

Pure: no I/O, no clock, no randomness but the suffix that is passed in. Same input, same plan.
The rules are those of ``runtime`` (what was recorded) and ``rules`` 1 to 16 (what was not).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol, TypeAlias

import attrs

from gohan_jobs.exceptions import MappingError, MappingEvaluationError, UnresolvedReference
from gohan_jobs.keys import JobId, ResourcePath
from gohan_jobs.mapping import ParsedTemplate, Scope, compute_params, template_id
from gohan_jobs.records import (
    Action,
    ConfigRecord,
    Job,
    OnFailure,
    Param,
    ParamType,
    ProcessedConfig,
    ResourceRef,
    StateRecord,
    WorkerState,
)
from gohan_jobs.schemas import Schema, Schemas

__all__ = [
    "HEAT_HANDLER",
    "MAX_DEPENDENCIES",
    "MONITORING_HANDLER",
    "TEMPLATE_TYPE",
    "Adopt",
    "Change",
    "Enqueue",
    "Forget",
    "Hold",
    "Known",
    "KnownJob",
    "KnownState",
    "KnownTemplate",
    "Orphaned",
    "Plan",
    "PlannedJob",
    "Publish",
    "Removal",
    "SetAside",
    "Unchanged",
    "evaluate_again",
    "incarnation_is_current",
    "plan_change",
    "plan_removal",
    "read_error",
]

HEAT_HANDLER = "heat_worker"
"""The handler whose jobs make stacks, and on which other resources' jobs may depend."""

MONITORING_HANDLER = "monitoring_worker"
"""The second handler of 2017's recordings (``runtime``, *Several handlers per resource*)."""

TEMPLATE_TYPE = "heat_template"
"""The type under which a held config waits for a template."""

MAX_DEPENDENCIES = 5_000
"""More of them is an error of that config (``rules`` 6)."""


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


@attrs.frozen(kw_only=True)
class KnownJob:
    """An unfinished job, as far as planning needs it.

    Attributes:
        job_id: its id.
        references: the other resources in its params.
        claimed: whether a worker has it.
        begun: whether an earlier job of its workflow has been claimed, or it has itself.
        needed: whether an unfinished job of *another* resource depends on it.
    """

    job_id: JobId
    references: frozenset[ResourceRef]
    claimed: bool
    begun: bool
    needed: bool


@attrs.frozen(kw_only=True)
class KnownState:
    """What is known of a resource's ``/state``.

    Attributes:
        version: the config version it is about.
        failed: whether it holds an error.
    """

    version: int
    failed: bool


@attrs.frozen(kw_only=True)
class KnownTemplate:
    """A heat_template as last read.

    Attributes:
        template: its parsed mappings; an error instead if they could not be parsed.
        revision: its config's mod revision, which a job remembers (``rules`` 9).
    """

    template: ParsedTemplate | MappingError
    revision: int


class Known(Protocol):
    """What has been read so far, the change being handled included."""

    def body(self, resource_type: str, resource_id: str) -> Mapping[str, Any] | None:
        """Body of the last config read; None if there is none."""
        ...

    def processed(self, path: ResourcePath) -> tuple[ProcessedConfig, int] | None:
        """The config processed last and its record's mod revision."""
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

    def jobs_referring_to(self, resource: ResourceRef) -> Iterable[KnownJob]:
        """Unfinished jobs of other resources whose params refer to this one."""
        ...

    def held(self, path: ResourcePath) -> bool:
        """Whether the resource's config is held."""
        ...


@attrs.frozen
class Unchanged:
    """Nothing is written (``rules`` 2)."""


@attrs.frozen
class Adopt:
    """Done before this library came: only the processed copy is written (``rules`` 2)."""

    processed: ProcessedConfig


@attrs.frozen
class Publish:
    """A result that needs no job: a non-workable resource, or a config that can't be planned."""

    state: StateRecord
    processed: ProcessedConfig


@attrs.frozen(kw_only=True)
class PlannedJob:
    """A job to queue.

    Attributes:
        job: its document.
        template_id: the template its params were computed from; ``""`` for none.
        template_revision: that template's mod revision, 0 for none (``rules`` 9).
    """

    job: Job
    template_id: str = ""
    template_revision: int = 0


@attrs.frozen(kw_only=True)
class Enqueue:
    """Jobs of one workflow, in order.

    Attributes:
        jobs: the jobs.
        processed: the processed copy to write.
        collapse: unclaimed jobs of the resource that this makes superfluous (``rules`` 7).
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
    """What can't be used at all (``rules`` 10)."""

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


def incarnation_is_current(create_revision: int, processed_revision: int) -> bool:
    """Whether a processed copy is of the config that now stands at the key (``rules`` 1).

    The copy is written after its config was read, so one older than the config's creation is of an
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
    previous = None
    if earlier is not None:
        record, revision = earlier
        if incarnation_is_current(change.create_revision, revision):
            previous = record
            seen = _already_seen(change, previous, known)
            if seen is not None:
                return seen
    elif _done_before(change, known):
        return Adopt(_processed(change))
    return _Planner(change, known, schemas, suffix, previous).plan()


def _already_seen(change: Change, previous: ProcessedConfig, known: Known) -> Plan | None:
    config = change.config
    versioned = change.schema.state_versioning
    same = previous.body == config.body and previous.deleted == config.deleting
    if versioned and config.version < previous.version:
        return SetAside(f"version {config.version} after version {previous.version}")
    if same and (previous.version == config.version or not versioned):
        settled = known.state(change.path) is not None or known.held(change.path)
        if settled or known.jobs_of(change.resource):
            return Unchanged()
    return None


def _done_before(change: Change, known: Known) -> bool:
    state = known.state(change.path)
    return state is not None and not state.failed and state.version == change.config.version


def _processed(change: Change) -> ProcessedConfig:
    config = change.config
    return ProcessedConfig(body=config.body, deleted=config.deleting, version=config.version)


def read_error(version: int, reason: str) -> StateRecord:
    """The result of a config version that can't be planned (``rules`` 11)."""
    return StateRecord(
        worker_state=WorkerState.READ_ERROR,
        orchestration_state=str(WorkerState.READ_ERROR),
        heat_outputs=(),
        version=version,
        error=reason,
    )


@attrs.frozen
class _Step:
    """One job of a workflow, before it has an id."""

    handler: str
    action: Action
    params: tuple[Param, ...]
    on_failure: OnFailure = OnFailure.FAIL
    template_id: str = ""
    template_revision: int = 0


class _Held(Exception):
    """Something is not there yet."""

    def __init__(self, missing: ResourceRef, reason: str) -> None:
        super().__init__(reason)
        self.missing = missing
        self.reason = reason


class _Planner:
    """Plans one workable change."""

    def __init__(
        self,
        change: Change,
        known: Known,
        schemas: Schemas,
        suffix: Callable[[], str],
        previous: ProcessedConfig | None,
    ) -> None:
        self._change = change
        self._known = known
        self._schemas = schemas
        self._suffix = suffix
        self._previous = previous

    def plan(self) -> Plan:
        """The plan; a mapping's error is the config's, or a hold."""
        try:
            return self._plan()
        except UnresolvedReference as error:
            missing = ResourceRef(error.missing_type, error.missing_id)
            return Hold(missing=missing, reason=str(error), otherwise=self._reject(str(error)))
        except _Held as error:
            return Hold(
                missing=error.missing, reason=error.reason, otherwise=self._reject(error.reason)
            )
        except MappingError as error:
            return self._reject(str(error))

    def _plan(self) -> Plan:
        change = self._change
        deleting = change.config.deleting
        templates = self._templates(lenient=deleting)
        if not templates and not (deleting and self._has_stack):
            version = change.config.version
            state = StateRecord(worker_state=WorkerState.READ, version=version)
            return Publish(state, _processed(change))
        older = self._known.jobs_of(change.resource)
        collapse = _collapsible(older)
        left = [job for job in older if job.job_id not in collapse]
        preempt = _preemptible(left) if deleting else ()
        steps = self._steps(templates, self._action(left))
        jobs = build_jobs(
            change.resource,
            change.config.version,
            change.config.body,
            steps,
            dependencies=lambda refs: _dependencies(change.resource, refs, left, self._known),
            suffix=self._suffix,
        )
        if len(jobs[0].job.dependency) > MAX_DEPENDENCIES:
            found = len(jobs[0].job.dependency)
            return self._reject(f"{found} dependencies, at most {MAX_DEPENDENCIES} are allowed")
        return Enqueue(
            jobs=jobs, processed=_processed(change), collapse=tuple(collapse), preempt=preempt
        )

    @property
    def _has_stack(self) -> bool:
        return self._known.stack_tenant(self._change.path) is not None

    def _reject(self, reason: str) -> Publish:
        return Publish(read_error(self._change.config.version, reason), _processed(self._change))

    def _templates(self, *, lenient: bool) -> dict[str, str]:
        """The template of each handler that has one for this resource."""
        found: dict[str, str] = {}
        for handler, tree in self._change.schema.templates.items():
            if tree is None:
                continue
            try:
                name = template_id(tree, self._scope(f"template of {handler}"))
            except MappingError:
                # Mapping errors never block a delete (rules 8); a stack has no need of a name.
                if not lenient:
                    raise
                name = ""
            if name is not None:
                found[handler] = name
        return found

    def _action(self, left: Sequence[KnownJob]) -> Action:
        if self._change.config.deleting:
            return Action.LOGICAL_DELETE
        making = any(job.job_id.action in {Action.CREATE, Action.MODIFY} for job in left)
        known_state = self._known.state(self._change.path)
        if known_state is None and not self._has_stack and not making:
            return Action.CREATE
        return Action.MODIFY

    def _steps(self, templates: dict[str, str], action: Action) -> list[_Step]:
        """The jobs of one config's workflow (``runtime``, *Several handlers per resource*)."""
        if not templates:  # a delete of what no template fits any more
            return [_Step(HEAT_HANDLER, action, ())]
        steps: list[_Step] = []
        monitoring = templates.get(MONITORING_HANDLER)
        if monitoring is not None and action is not Action.CREATE and self._previous is not None:
            steps.append(self._monitoring_delete(monitoring))
        for handler, name in templates.items():
            if handler != MONITORING_HANDLER:
                steps.append(self._step(handler, name, action))
            elif action is not Action.LOGICAL_DELETE:
                steps.append(self._step(handler, name, Action.CREATE))
        return steps or [_Step(HEAT_HANDLER, action, ())]

    def delete_step(self) -> _Step:
        """The one job of a one-step delete."""
        name = self._templates(lenient=True).get(HEAT_HANDLER, "")
        return self._step(HEAT_HANDLER, name, Action.DELETE)

    def params_of(self, name: str) -> tuple[Param, ...]:
        """The params that a template gives now."""
        found = self._known.template(name)
        if found is None:
            raise MappingEvaluationError(
                str(self._change.resource), f"template {name}", "there is no such heat_template"
            )
        if isinstance(found.template, MappingError):
            raise found.template
        return self._params(found.template, self._change.config, lenient=False)

    def _monitoring_delete(self, name: str) -> _Step:
        previous = self._previous
        assert previous is not None  # noqa: S101 - the caller's condition
        step = self._step(
            MONITORING_HANDLER,
            name,
            Action.DELETE,
            config=ConfigRecord(body=previous.body, version=previous.version),
        )
        return attrs.evolve(step, on_failure=OnFailure.IGNORE)

    def _step(
        self, handler: str, name: str, action: Action, config: ConfigRecord | None = None
    ) -> _Step:
        lenient = action.deletes
        found = self._known.template(name)
        if found is None:
            if lenient:
                return _Step(handler, action, ())
            raise _Held(ResourceRef(TEMPLATE_TYPE, name), f"there is no heat_template {name!r}")
        if isinstance(found.template, MappingError):
            if lenient:
                return _Step(handler, action, ())
            raise found.template
        params = self._params(found.template, config or self._change.config, lenient=lenient)
        return _Step(handler, action, params, template_id=name, template_revision=found.revision)

    def _params(
        self, template: ParsedTemplate, config: ConfigRecord, *, lenient: bool
    ) -> tuple[Param, ...]:
        scope = attrs.evolve(
            self._scope(f"template {template.id}"), body=config.body, version=config.version
        )
        previous = None if self._previous is None else self._previous.body
        params = compute_params(template.mappings, scope, previous, lenient=lenient)
        if not lenient:
            self._check_outputs(params)
        return params

    def _check_outputs(self, params: Iterable[Param]) -> None:
        """Hold a config whose output has no source yet (``rules`` 5)."""
        for source in _output_sources(params):
            schema = self._schemas.by_type(source.resource_type)
            has_stack = schema is not None and (
                self._known.stack_tenant(schema.path_of(source.resource_id)) is not None
            )
            if not has_stack and not self._known.jobs_of(source):
                raise _Held(source, f"{source} has neither a stack nor a job that makes one")

    def _scope(self, where: str) -> Scope:
        change = self._change
        return Scope(
            resource=change.resource,
            body=change.config.body,
            version=change.config.version,
            lookup=self._known.body,
            relations=self._schemas.relations_of,
            where=where,
        )


def _output_sources(params: Iterable[Param]) -> Iterable[ResourceRef]:
    for param in params:
        if param.type == ParamType.LIST:
            yield from _output_sources(param.value)
        elif param.type == ParamType.OUTPUT_KEY:
            yield ResourceRef(param.value["resource_type"], param.value["resource_id"])


def _collapsible(older: Sequence[KnownJob]) -> list[JobId]:
    """Jobs that a newer version makes superfluous (``rules`` 7): a workflow whole or not at all."""
    keep = {job.job_id.version for job in older if job.begun or job.needed}
    return [job.job_id for job in older if job.job_id.version not in keep]


def _preemptible(left: Sequence[KnownJob]) -> tuple[JobId, ...]:
    """Running jobs that a delete ends (``rules`` 8)."""
    return tuple(
        job.job_id
        for job in left
        if job.claimed
        and not job.needed
        and job.job_id.action not in {Action.LOGICAL_DELETE, Action.DELETE}
    )


def _dependencies(
    resource: ResourceRef,
    references: frozenset[ResourceRef],
    left: Sequence[KnownJob],
    known: Known,
) -> tuple[JobId, ...]:
    """Unfinished jobs to wait for (``runtime``, *Dependencies*).

    Of other resources only the jobs that make stacks; of its own every one that is left.
    """
    found: dict[JobId, None] = {job.job_id: None for job in left}
    for other in sorted(references):
        for job in known.jobs_of(other):
            if job.job_id.handler == HEAT_HANDLER:
                found[job.job_id] = None
    for job in known.jobs_referring_to(resource):
        if job.job_id.handler == HEAT_HANDLER:
            found[job.job_id] = None
    return tuple(found)


def build_jobs(
    resource: ResourceRef,
    version: int,
    body: Mapping[str, Any],
    steps: Sequence[_Step],
    *,
    dependencies: Callable[[frozenset[ResourceRef]], tuple[JobId, ...]],
    suffix: Callable[[], str],
) -> tuple[PlannedJob, ...]:
    """The jobs of a workflow: the first waits for others, each later one for those before it."""
    references = frozenset(
        ref for step in steps for param in step.params for ref in param.resources
    ) - {resource}
    outside = dependencies(references)
    jobs: list[PlannedJob] = []
    for index, step in enumerate(steps):
        job_id = JobId(
            str(step.action),
            step.handler,
            resource.resource_type,
            resource.resource_id,
            version,
            suffix(),
        )
        job = Job(
            id=job_id,
            params=step.params,
            dependency=tuple(planned.job.id for planned in jobs) if index else outside,
            is_first=index == 0,
            is_last=index == len(steps) - 1,
            on_failure=step.on_failure,
            resource_input=dict(body),
            action=step.action,
        )
        jobs.append(
            PlannedJob(
                job=job, template_id=step.template_id, template_revision=step.template_revision
            )
        )
    return tuple(jobs)


def plan_removal(
    removal: Removal, known: Known, schemas: Schemas, suffix: Callable[[], str]
) -> Plan:
    """What a config key's removal means (``runtime`` point 4; ``rules`` 11, 15, 16).

    Args:
        removal: whose key is gone.
        known: everything else.
        schemas: the types.
        suffix: as in :func:`plan_change`.
    """
    jobs = known.jobs_of(removal.resource)
    if any(_removes_stack(job.job_id) for job in jobs):
        return Unchanged()  # on its way already
    collapse = tuple(_collapsible(jobs))
    running = len(jobs) > len(collapse)
    if known.stack_tenant(removal.path) is None and not running:
        return Forget(collapse=collapse)
    earlier = known.processed(removal.path)
    processed = _last_known(removal, known) if earlier is None else earlier[0]
    reason = _orphaned(removal, processed if earlier else None)
    if processed is None or (reason and not removal.delete_orphans):
        return Orphaned(reason=reason, collapse=collapse)
    return _delete_job(removal, processed, known, schemas, suffix)


def _removes_stack(job_id: JobId) -> bool:
    return job_id.action == Action.DELETE and job_id.handler == HEAT_HANDLER


def _orphaned(removal: Removal, processed: ProcessedConfig | None) -> str:
    """Why a removed config's stack is an orphan; empty if it may be deleted."""
    if processed is None:
        return "config removed of which nothing was known"
    if removal.schema.two_step_deletion and not processed.deleted:
        return "config of a type with two-step deletion removed without a mark"
    return ""


def _last_known(removal: Removal, known: Known) -> ProcessedConfig | None:
    tenant = known.stack_tenant(removal.path)
    if tenant is None:
        return None
    body = {"id": removal.resource.resource_id, "tenant_id": tenant}
    return ProcessedConfig(body=body, deleted=True, version=0)


def _delete_job(
    removal: Removal,
    processed: ProcessedConfig,
    known: Known,
    schemas: Schemas,
    suffix: Callable[[], str],
) -> Enqueue:
    """The job that removes a stack whose config is gone (``rules`` 11)."""
    older = known.jobs_of(removal.resource)
    collapse = _collapsible(older)
    left = [job for job in older if job.job_id not in collapse]
    change = Change(
        path=removal.path,
        resource=removal.resource,
        schema=removal.schema,
        config=ConfigRecord(
            body=processed.body, version=processed.version, marked_for_deletion=True
        ),
        create_revision=0,
        mod_revision=0,
    )
    jobs = build_jobs(
        removal.resource,
        processed.version,
        processed.body,
        [_Planner(change, known, schemas, suffix, processed).delete_step()],
        dependencies=lambda refs: _dependencies(removal.resource, refs, left, known),
        suffix=suffix,
    )
    return Enqueue(
        jobs=jobs,
        # Marked, so that it changes with the planning, and a restart knows what was asked for.
        processed=attrs.evolve(processed, deleted=True),
        collapse=tuple(collapse),
        preempt=_preemptible(left),
    )


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
    repeated = job.action != Action.CREATE
    previous = ProcessedConfig(body=config.body, deleted=False, version=job.version)
    planner = _Planner(change, known, schemas, _no_suffix, previous if repeated else None)
    return attrs.evolve(job, params=planner.params_of(name))


def _no_suffix() -> str:
    return ""
