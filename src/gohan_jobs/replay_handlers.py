"""What a trace does not say of jobs that are not Heat's: which types have them, and how they end.

Gohan's schemas name the templates of ``heat_worker`` only, and a trace tells the ends of stacks
only. Yet recordings of 2017 have a second handler in every other workflow.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from gohan_jobs.handler_registry import Handlers
from gohan_jobs.handlers import Done, JobContext
from gohan_jobs.mapping import Constant
from gohan_jobs.planning import HEAT_HANDLER, MONITORING_HANDLER
from gohan_jobs.records import Action
from gohan_jobs.schemas import Schema, Schemas

__all__ = ["answering", "schemas_of_trace"]

_SUFFIX = "_monitoring"


def answering(schemas: Schemas, given: Handlers) -> dict[str, Any]:
    """Handlers for every name that the schemas have beside ``heat_worker``.

    A trace has no line for the end of such a job, so it ends as soon as it may begin.

    Args:
        schemas: the types.
        given: handlers to take instead.
    """
    names = {name for schema in schemas for name in schema.templates} | set(given.names)
    return {name: given.get(name) or _done for name in sorted(names - {HEAT_HANDLER})}


def _done(context: JobContext) -> Done:
    """Nothing is monitored yet, which 2017 recorded as ``{}``."""
    job = context.job
    if job.handler == MONITORING_HANDLER and not Action(job.action).deletes:
        return Done(state_monitoring={})
    return Done()


def schemas_of_trace(schemas: Schemas, templates: Mapping[str, object]) -> Schemas:
    """The types as they were when a trace with monitoring templates was recorded (2017).

    A type ``t`` is monitored if there is a heat_template ``t_monitoring`` of ``monitoring_worker``.
    Such a type whose template for Heat is not there had none (``runtime``, *Dependencies*). Types
    that name a template of ``monitoring_worker`` already are left alone, all of them.

    Args:
        schemas: the types.
        templates: the handler of each heat_template at the beginning of the trace, by id.
    """
    if any(MONITORING_HANDLER in schema.templates for schema in schemas):
        return schemas
    monitored = [each for each in schemas if _is_monitored(each, templates)]
    return schemas.with_templates(
        {
            HEAT_HANDLER: {each.type: None for each in _without_stack(monitored, templates)},
            MONITORING_HANDLER: {each.type: f"C{each.type}{_SUFFIX}" for each in monitored},
        },
        "trace",
    )


def _is_monitored(schema: Schema, templates: Mapping[str, object]) -> bool:
    return templates.get(f"{schema.type}{_SUFFIX}") == MONITORING_HANDLER


def _without_stack(schemas: Iterable[Schema], templates: Mapping[str, object]) -> Iterable[Schema]:
    """Those whose one template for Heat the trace does not have."""
    for schema in schemas:
        tree = schema.templates.get(HEAT_HANDLER)
        if isinstance(tree, Constant) and tree.value not in templates:
            yield schema
