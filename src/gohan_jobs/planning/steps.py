"""From a config to the steps of its workflow: templates chosen, params computed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import attrs

from gohan_jobs.exceptions import MappingError, MappingEvaluationError
from gohan_jobs.mapping import MappingTree, ParsedTemplate, Scope, compute_params, template_id
from gohan_jobs.planning.known import (
    HEAT_HANDLER,
    MONITORING_HANDLER,
    TEMPLATE_TYPE,
    Known,
    KnownTemplate,
)
from gohan_jobs.planning.plans import Change
from gohan_jobs.planning.workflow import Step, output_sources
from gohan_jobs.records import (
    Action,
    ConfigRecord,
    OnFailure,
    Param,
    ProcessedConfig,
    ResourceRef,
)
from gohan_jobs.schemas import Schemas

__all__ = ["NotThereYet", "StepComposer"]


class NotThereYet(Exception):
    """Something that a config needs may still come (``rules`` 5). Never leaves planning."""

    def __init__(self, missing: ResourceRef, reason: str) -> None:
        super().__init__(reason)
        self.missing = missing


@attrs.frozen
class StepComposer:
    """Composes the steps of one config's workflow.

    Attributes:
        change: the config.
        known: everything else.
        schemas: the types.
        previous: the config processed before, if it was of the same life of the resource.
    """

    change: Change
    known: Known
    schemas: Schemas
    previous: ProcessedConfig | None

    def templates(self) -> dict[str, str]:
        """The template of each handler that has one for this resource; none: it is not workable.

        Mapping errors never block a delete (``rules`` 8), which needs no template: its name is
        then ``""``. Monitoring watches what Heat makes: where a type has a mapping for Heat that
        gives null, there is nothing to watch (recorded in 2017 of DHCP ports).

        Raises:
            MappingError: a template mapping can't be computed (yet).
        """
        config = self.change.config
        trees = self.change.schema.templates
        names = {
            handler: self._template_id(handler, tree, config, lenient=config.deleting)
            for handler, tree in trees.items()
        }
        if trees.get(HEAT_HANDLER) is not None and names[HEAT_HANDLER] is None:
            names.pop(MONITORING_HANDLER, None)
        return {handler: name for handler, name in names.items() if name is not None}

    def workflow(self, templates: dict[str, str], action: Action) -> tuple[Step, ...]:
        """The steps of a config (``runtime``, *Several handlers per resource*).

        Raises:
            NotThereYet: a template or the source of an output.
            MappingError: params can't be computed (yet).
        """
        steps = [] if action is Action.CREATE else self._monitoring_delete()
        for handler, name in templates.items():
            if handler != MONITORING_HANDLER:
                steps.append(self._step(handler, name, action, steps))
            elif not action.deletes:
                steps.append(self._step(handler, name, Action.CREATE, steps))
        # A delete of what no template fits any more still deletes the stack.
        return tuple(steps) or (Step(HEAT_HANDLER, action),)

    def delete_step(self) -> Step:
        """The one job of a one-step delete (``rules`` 11)."""
        return self._lenient_step(
            HEAT_HANDLER, self.templates().get(HEAT_HANDLER, ""), Action.DELETE
        )

    def params_of(self, name: str) -> tuple[Param, ...]:
        """The params that a template gives now.

        Raises:
            MappingError: they can't be computed.
        """
        found = self.known.template(name)
        if found is None:
            raise MappingEvaluationError(
                str(self.change.resource), f"template {name}", "there is no such heat_template"
            )
        return self._params(_parsed(found), self.change.config)

    def _template_id(
        self, handler: str, tree: MappingTree | None, config: ConfigRecord, *, lenient: bool
    ) -> str | None:
        if tree is None:
            return None
        try:
            return template_id(tree, self._scope(f"template of {handler}", config))
        except MappingError:
            if lenient:
                return ""
            raise

    def _monitoring_delete(self) -> list[Step]:
        """What ends the monitoring of the old config, with that config's values."""
        if self.previous is None:
            return []
        old = ConfigRecord(body=self.previous.body, version=self.previous.version)
        tree = self.change.schema.templates.get(MONITORING_HANDLER)
        name = self._template_id(MONITORING_HANDLER, tree, old, lenient=True)
        if name is None:
            return []
        step = self._lenient_step(MONITORING_HANDLER, name, Action.DELETE, old)
        return [attrs.evolve(step, on_failure=OnFailure.IGNORE)]

    def _step(self, handler: str, name: str, action: Action, before: Sequence[Step]) -> Step:
        if action.deletes:
            return self._lenient_step(handler, name, action)
        found = self.known.template(name)
        if found is None:
            missing = ResourceRef(TEMPLATE_TYPE, name)
            reason = f"there is no heat_template {name!r}"
            raise NotThereYet(missing, self._at(f"template of {handler}", reason))
        params = self._params(_parsed(found), self.change.config)
        self._check_outputs(name, params, before)
        return _with_template(Step(handler, action, params), name, found)

    def _lenient_step(
        self, handler: str, name: str, action: Action, config: ConfigRecord | None = None
    ) -> Step:
        """A delete's: params that can't be computed are left out (``rules`` 8)."""
        found = self.known.template(name)
        if found is None or isinstance(found.template, MappingError):
            return Step(handler, action)
        params = self._params(found.template, config or self.change.config, lenient=True)
        return _with_template(Step(handler, action, params), name, found)

    def _params(
        self, template: ParsedTemplate, config: ConfigRecord, *, lenient: bool = False
    ) -> tuple[Param, ...]:
        scope = self._scope(f"template {template.id}", config)
        previous = None if self.previous is None else self.previous.body
        return compute_params(template.mappings, scope, previous, lenient=lenient)

    def _check_outputs(
        self, template: str, params: Iterable[Param], before: Sequence[Step]
    ) -> None:
        """Hold a config whose output has no source yet (``rules`` 5)."""
        for param in params:
            for source in output_sources((param,)):
                if not self._makes(source, before) and not self._has_source(source):
                    where = f"template {template}, param {param.param}"
                    reason = f"{source} has neither a stack nor a job that makes one"
                    raise NotThereYet(source, self._at(where, reason))

    def _at(self, where: str, reason: str) -> str:
        """Worded as what can't be computed is: whose, where, and why (``mapping``)."""
        return str(MappingEvaluationError(str(self.change.resource), where, reason))

    def _makes(self, source: ResourceRef, before: Sequence[Step]) -> bool:
        """Whether an earlier step of this workflow makes the stack."""
        own = source == self.change.resource
        return own and any(step.handler == HEAT_HANDLER for step in before)

    def _has_source(self, source: ResourceRef) -> bool:
        schema = self.schemas.by_type(source.resource_type)
        path = None if schema is None else schema.path_of(source.resource_id)
        if path is not None and self.known.stack_tenant(path) is not None:
            return True
        return bool(self.known.jobs_of(source))

    def _scope(self, where: str, config: ConfigRecord) -> Scope:
        return Scope(
            resource=self.change.resource,
            body=config.body,
            version=config.version,
            lookup=self.known.body,
            relations=self.schemas.relations_of,
            where=where,
        )


def _parsed(found: KnownTemplate) -> ParsedTemplate:
    if isinstance(found.template, MappingError):
        raise found.template
    return found.template


def _with_template(step: Step, name: str, found: KnownTemplate) -> Step:
    return attrs.evolve(
        step,
        template_id=name,
        template_revision=found.revision,
        template_digest=found.digest,
    )
