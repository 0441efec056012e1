"""Asking Heat whether it would take what a plan's jobs would send; nothing is started."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import attrs

from gohan_jobs.codec import Codec
from gohan_jobs.exceptions import GohanJobsError, MappingEvaluationError
from gohan_jobs.keys import Keys
from gohan_jobs.mapping import ParsedTemplate
from gohan_jobs.orchestrators.base import Orchestrator
from gohan_jobs.planning import HEAT_HANDLER, Enqueue, Plan, PlannedJob
from gohan_jobs.records import Action, HeatStack, HeatTemplate, Job, Param, ResourceRef
from gohan_jobs.rendering import (
    Outputs,
    heat_request,
    needed_outputs,
    outputs_from,
    resolved_params,
)
from gohan_jobs.schemas import Schemas
from gohan_jobs.stores.base import Reader
from gohan_jobs.templates import Renderer

__all__ = ["DryRun"]


class DryRun:
    """Renders what a plan's Heat jobs would send, and has it validated.

    Args:
        store: where templates and stack records are read.
        codec: reads them.
        schemas: the types.
        orchestrator: who is asked.
        renderer: renders templates.
    """

    def __init__(
        self,
        store: Reader,
        codec: Codec,
        schemas: Schemas,
        orchestrator: Orchestrator,
        renderer: Renderer,
    ) -> None:
        self._store = store
        self._codec = codec
        self._keys: Keys = codec.keys
        self._schemas = schemas
        self._orchestrator = orchestrator
        self._renderer = renderer

    def validate(self, plan: Plan) -> None:
        """Ask about each job of a plan that would create or update a stack.

        A param that needs an output of a stack that is not there yet is left out: whether Heat
        takes its value can't be known.

        Raises:
            StackRejected: Heat would not take it.
            TemplateError: the template can't be rendered.
            MappingEvaluationError: a param is malformed.
            GohanJobsError: the template is gone.
            OrchestratorError: Heat can't be asked.
        """
        for planned in plan.jobs if isinstance(plan, Enqueue) else ():
            job = planned.job
            if job.handler == HEAT_HANDLER and not Action(job.action).deletes:
                self._validate(planned)

    def _validate(self, planned: PlannedJob) -> None:
        template = self._template(planned)
        outputs = outputs_from(self._stacks(planned.job))
        job = attrs.evolve(planned.job, params=tuple(_known(planned.job, outputs)))
        self._orchestrator.validate(heat_request(job, template, outputs, self._renderer))

    def _template(self, planned: PlannedJob) -> ParsedTemplate:
        path = self._keys.template_path(planned.template_id)
        entry = self._store.get(self._keys.config_of(path))
        if entry is None:
            raise GohanJobsError(f"the template of {planned.job.id} is gone")
        config = self._codec.config(entry.key, entry.value)
        return ParsedTemplate.parse(HeatTemplate.from_config(config, entry.key))

    def _stacks(self, job: Job) -> dict[ResourceRef, HeatStack | None]:
        return {resource: self._stack(resource) for resource in needed_outputs(job)}

    def _stack(self, resource: ResourceRef) -> HeatStack | None:
        schema = self._schemas.by_type(resource.resource_type)
        if schema is None:
            return None
        key = self._keys.heat_stack_of(schema.path_of(resource.resource_id))
        entry = self._store.get(key)
        return None if entry is None else self._codec.heat_stack(key, entry.value)


def _known(job: Job, outputs: Outputs) -> Iterator[Param]:
    """The params whose values are known already; malformed ones have been found before."""
    for param in job.params:
        with contextlib.suppress(MappingEvaluationError):
            resolved_params(attrs.evolve(job, params=(param,)), outputs)
            yield param
