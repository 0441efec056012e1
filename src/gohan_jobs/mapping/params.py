"""All of a job's params: a heat_template's mappings computed for one config."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Self, TypeAlias

import attrs

from gohan_jobs.codec.strict_json import MAX_LEVELS, nests_deeper_than
from gohan_jobs.exceptions import (
    MappingEvaluationError,
    MappingSyntaxError,
    UnresolvedReference,
)
from gohan_jobs.mapping.evaluation import Evaluated, Scope, evaluate, visited_resources
from gohan_jobs.mapping.parser import parse
from gohan_jobs.mapping.tree import MappingTree
from gohan_jobs.records import HeatTemplate, Param, ParamType

__all__ = ["ParsedMappings", "ParsedTemplate", "compute_params", "parse_mappings"]

_PARAM_LEVELS = 4
"""Levels around a param's value in a job's document: list, job, params, param."""

_ITEM_LEVELS = 2
"""Levels around the value of each item of a list."""

ParsedMappings: TypeAlias = Mapping[str, MappingTree]
"""Mappings by param name, in the order of the document."""


def parse_mappings(forms: Mapping[str, Any], where: str = "") -> ParsedMappings:
    """Parse a heat_template's ``parameter_mappings``.

    Args:
        forms: a mapping, in either spelling, for each param.
        where: what they belong to, for errors.

    Raises:
        MappingSyntaxError: for the first that is wrong, with the others in ``others``.
    """
    trees: dict[str, MappingTree] = {}
    wrong: list[MappingSyntaxError] = []
    for name, form in forms.items():
        try:
            trees[name] = parse(form, _place(where, name))
        except MappingSyntaxError as error:
            wrong.append(error)
    if wrong:
        first, *others = wrong
        raise MappingSyntaxError(first.form, first.reason, first.where, tuple(others))
    return MappingProxyType(trees)


@attrs.frozen(kw_only=True)
class ParsedTemplate:
    """A heat_template whose mappings have been parsed: once for each of its versions.

    Attributes:
        id: the name that a schema's template mapping gives.
        handler: the handler that uses it.
        text: the Jinja text.
        mappings: the parsed ``parameter_mappings``.
    """

    id: str
    handler: str
    text: str = attrs.field(repr=False)
    mappings: ParsedMappings = attrs.field(repr=False)

    @classmethod
    def parse(cls, template: HeatTemplate) -> Self:
        """Parse a template's mappings.

        Raises:
            MappingSyntaxError: with every mapping that is wrong, see :func:`parse_mappings`.
        """
        return cls(
            id=template.id,
            handler=template.handler,
            text=template.template_file,
            mappings=parse_mappings(template.parameter_mappings, f"template {template.id}"),
        )


def _place(where: str, name: str) -> str:
    return ", ".join(filter(None, (where, f"param {name}")))


def compute_params(
    mappings: ParsedMappings,
    scope: Scope,
    previous: Mapping[str, Any] | None = None,
    *,
    lenient: bool = False,
) -> tuple[Param, ...]:
    """A job's params, in the order of the mappings.

    Where an earlier config of the same resource had been read, a param's resources are those of
    the new body, then those of the previous one, both looked up now (``seed 2, point 2``).

    Args:
        mappings: the template's.
        scope: the config, and how to look up others.
        previous: the body of the config read before; None if there was none. (A monitoring delete
            of 2017 has the old config's values: there, it is the scope's body too.)
        lenient: leave out a param that can't be computed, as for a delete, which needs none
            (``rules`` 8).

    Raises:
        UnresolvedReference: a resource is not there (yet).
        MappingEvaluationError: a param can't be computed, whatever appears later; the others of
            that kind are in its ``others``. Raised in preference to an unresolved reference, since
            waiting would not help.
    """
    params: list[Param] = []
    failures: list[MappingEvaluationError] = []
    for name, tree in mappings.items():
        inner = attrs.evolve(scope, where=_place(scope.where, name))
        try:
            params.append(_param(name, tree, inner, previous))
        except MappingEvaluationError as error:
            failures.append(error)
    if failures and not lenient:
        raise _worst(failures)
    return tuple(params)


def _worst(failures: list[MappingEvaluationError]) -> MappingEvaluationError:
    final = [each for each in failures if not isinstance(each, UnresolvedReference)]
    if not final:
        return failures[0]
    first, *others = final
    return MappingEvaluationError(first.resource, first.where, first.reason, tuple(others))


def _param(name: str, tree: MappingTree, scope: Scope, previous: Mapping[str, Any] | None) -> Param:
    found = evaluate(tree, scope)
    levels = MAX_LEVELS - _PARAM_LEVELS
    if _too_deep(found, levels):
        reason = f"its value has more than {levels} levels, which no job can hold"
        raise MappingEvaluationError(str(scope.resource), scope.where, reason)
    resources = found.resources
    if previous is not None:
        resources += visited_resources(tree, attrs.evolve(scope, body=previous))
    return found.as_param(name, resources)


def _too_deep(found: Evaluated, levels: int) -> bool:
    if found.type is not ParamType.LIST:
        return nests_deeper_than(levels, found.value)
    return any(_too_deep(item, levels - _ITEM_LEVELS) for item in found.value)
