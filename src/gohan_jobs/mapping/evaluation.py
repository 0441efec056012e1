"""Computing a mapping for one resource: pure, given a way to look up other resources.

What the recordings left undecided is decided in ``spec`` *mapping*, and again in the docstrings
of the functions here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import attrs

from gohan_jobs.exceptions import MappingEvaluationError, UnresolvedReference
from gohan_jobs.mapping.pattern import Pattern, PatternRefused
from gohan_jobs.mapping.tree import (
    Choice,
    Concatenate,
    Condition,
    Constant,
    Field,
    ForEach,
    Hop,
    MappingTree,
    Nested,
    Operator,
    Output,
    RemoteField,
    Version,
)
from gohan_jobs.records import Param, ParamType, ResourceRef

__all__ = ["Evaluated", "Scope", "evaluate", "same_json", "template_id", "visited_resources"]


@attrs.frozen(kw_only=True)
class Scope:
    """What a mapping is computed from.

    Attributes:
        resource: whose params are computed.
        body: its config's body.
        version: its config's version.
        lookup: the body of a resource given its type and id; None if it is not there.
        relations: of a type, which of its fields hold the id of a resource of which other type;
            empty for a type that is not known.
        where: what the mapping belongs to, for errors; such as ``template port``.
    """

    resource: ResourceRef
    body: Mapping[str, Any] = attrs.field(repr=False)
    version: int
    lookup: Callable[[str, str], Mapping[str, Any] | None] = attrs.field(repr=False)
    relations: Callable[[str], Mapping[str, str]] = attrs.field(repr=False)
    where: str = ""


@attrs.frozen
class Evaluated:
    """What a mapping yields.

    Attributes:
        type: what ``value`` is.
        value: for ``VALUE`` any JSON; for ``OUTPUT_KEY`` an object with ``output_key``,
            ``resource_type`` and ``resource_id``; for ``LIST`` a tuple of these.
        resources: the resources visited, in order, repeats kept.
    """

    type: ParamType
    value: Any = attrs.field(repr=False)
    resources: tuple[ResourceRef, ...] = ()

    def as_param(self, name: str, resources: tuple[ResourceRef, ...]) -> Param:
        """The param of that name; items of a list carry the same name and no resources."""
        value = self.value
        if self.type is ParamType.LIST:
            value = tuple(item.as_param(name, ()) for item in value)
        return Param(param=name, type=self.type, value=value, resources=resources)


def evaluate(tree: MappingTree, scope: Scope) -> Evaluated:
    """Compute a mapping.

    Raises:
        UnresolvedReference: a resource on the way is not there (yet).
        MappingEvaluationError: it can't be computed, whatever appears later.
    """
    return _Evaluation(scope).of(tree, _own(scope))


def visited_resources(tree: MappingTree, scope: Scope) -> tuple[ResourceRef, ...]:
    """The resources that a mapping visits, leaving out what can't be resolved.

    For the body of an *earlier* config, whose references may be gone by now: a hop that can't be
    resolved ends its own path and nothing else; a mapping that can't be computed visits nothing.
    """
    try:
        return _Evaluation(scope, lenient=True).of(tree, _own(scope)).resources
    except MappingEvaluationError:
        return ()


def template_id(tree: MappingTree, scope: Scope) -> str | None:
    """The template that a type's *template mapping* names; None: the resource is not workable.

    Raises:
        UnresolvedReference: as :func:`evaluate`.
        MappingEvaluationError: also if it yields anything but a name or null.
    """
    found = evaluate(tree, scope).value
    if found is None or (isinstance(found, str) and found):
        return found
    raise MappingEvaluationError(
        str(scope.resource),
        scope.where,
        f"expected a template's id or null, found {_kind(found)}",
    )


@attrs.frozen
class _Place:
    """Where fields are read: a resource's body, or a list's item, which has no type."""

    body: Any
    type: str | None


def _own(scope: Scope) -> _Place:
    return _Place(scope.body, scope.resource.resource_type)


def _kind(value: Any) -> str:
    """What a value is, without showing it."""
    if value is None:
        return "null"
    if value == "" and isinstance(value, str):
        return "an empty string"
    if isinstance(value, Mapping):
        return "an object"
    names = {str: "a string", bool: "a boolean", int: "a number", float: "a number", list: "a list"}
    return names.get(type(value), type(value).__name__)


def same_json(left: Any, right: Any) -> bool:
    """JSON equality: unlike Python's, ``true`` is not 1."""
    pending = [(left, right)]
    while pending:
        a, b = pending.pop()
        if isinstance(a, dict) and isinstance(b, dict) and a.keys() == b.keys():
            pending.extend((a[key], b[key]) for key in a)
        elif isinstance(a, list) and isinstance(b, list) and len(a) == len(b):
            pending.extend(zip(a, b, strict=True))
        elif isinstance(a, dict | list) or isinstance(a, bool) is not isinstance(b, bool) or a != b:
            return False
    return True


def _yields_outputs(tree: MappingTree) -> bool:
    """Whether a mapping's form may yield an output key, so that a list of it is a ``LIST``."""
    match tree:
        case Output():
            return True
        case Choice():
            return _yields_outputs(tree.then) or _yields_outputs(tree.otherwise)
        case ForEach():
            return _yields_outputs(tree.each)
        case _:
            return False


def _value(value: Any, resources: tuple[ResourceRef, ...] = ()) -> Evaluated:
    return Evaluated(ParamType.VALUE, value, resources)


class _Evaluation:
    """One mapping's computation; ``lenient`` goes on where a hop can't be resolved."""

    def __init__(self, scope: Scope, *, lenient: bool = False) -> None:
        self._scope = scope
        self._lenient = lenient

    def _failed(self, reason: str, where: str = "") -> MappingEvaluationError:
        return MappingEvaluationError(str(self._scope.resource), self._at(where), reason)

    def _at(self, where: str) -> str:
        return ", ".join(filter(None, (self._scope.where, where)))

    def of(self, tree: MappingTree, place: _Place) -> Evaluated:
        """What a mapping yields at a place."""
        match tree:
            case Constant():
                found = _value(tree.value)
            case Version():
                found = _value(self._scope.version)
            case Field():
                found = self._field(tree, place)
            case Nested():
                found = self._nested(tree, place)
            case RemoteField() | Output():
                found = self._remote(tree, place)
            case Concatenate():
                found = self._concatenation(tree, place)
            case Choice():
                found = self._choice(tree, place)
            case _:
                found = self._for_each(tree, place)
        return found

    def _read(self, body: Any, field: str) -> Any:
        """A field, null if it is absent."""
        if not isinstance(body, Mapping):
            raise self._failed(f"field {field!r} of {_kind(body)}: expected an object")
        return body.get(field)

    def _relations(self, kind: str | None) -> Mapping[str, str]:
        return {} if kind is None else self._scope.relations(kind)

    def _field(self, tree: Field, place: _Place) -> Evaluated:
        value = self._read(place.body, tree.name)
        other = self._relations(place.type).get(tree.name)
        if other is not None and isinstance(value, str) and value:
            return _value(value, (ResourceRef(other, value),))
        return _value(value)

    def _nested(self, tree: Nested, place: _Place) -> Evaluated:
        outer = self._read(place.body, tree.outer)
        return _value(None if outer is None else self._read(outer, tree.inner))

    def _concatenation(self, tree: Concatenate, place: _Place) -> Evaluated:
        parts = [self.of(part, place) for part in tree.parts]
        resources = tuple(ref for part in parts for ref in part.resources)
        if self._lenient:
            return _value("".join(p.value for p in parts if isinstance(p.value, str)), resources)
        for number, part in enumerate(parts, 1):
            if not isinstance(part.value, str):
                raise self._failed(
                    f"part {number} of a concatenation is {_kind(part.value)}, not a string"
                )
        return _value("".join(part.value for part in parts), resources)

    def _choice(self, tree: Choice, place: _Place) -> Evaluated:
        return self.of(tree.then if self._holds(tree.condition, place) else tree.otherwise, place)

    def _holds(self, condition: Condition, place: _Place) -> bool:
        left, right = (self.of(side, place).value for side in (condition.left, condition.right))
        if condition.operator is Operator.EQUAL:
            return same_json(left, right)
        if left is None:
            return False
        if not isinstance(left, str):
            raise self._failed(f"the subject of a regexp is {_kind(left)}, not a string")
        try:
            return Pattern.compiled(right).matches(left)
        except PatternRefused as error:
            raise self._failed(f"regexp: {error}") from None

    def _for_each(self, tree: ForEach, place: _Place) -> Evaluated:
        source = self.of(tree.source, place)
        # Null and what is empty give no items; false and 0 are as wrong as true and 1.
        if not isinstance(source.value, list) and source.value not in (None, "", {}):
            raise self._failed(f"for_field is {_kind(source.value)}, not a list")
        found = [self.of(tree.each, _Place(item, None)) for item in source.value or ()]
        resources = source.resources + tuple(ref for item in found for ref in item.resources)
        if _yields_outputs(tree.each):
            return Evaluated(ParamType.LIST, tuple(found), resources)
        return _value([item.value for item in found], resources)

    def _remote(self, tree: RemoteField | Output, place: _Place) -> Evaluated:
        visited: list[ResourceRef] = []
        try:
            arrived = self._walk(tree, place, visited)
        except UnresolvedReference:
            if tree.ignore_missing:
                return _value("")
            if self._lenient:
                return _value(None, tuple(visited))
            raise
        if isinstance(tree, Output):
            target = visited[-1] if visited else self._scope.resource
            return Evaluated(ParamType.OUTPUT_KEY, _output(tree.key, target), tuple(visited))
        return _value(self._read(arrived.body, tree.name), tuple(visited))

    def _walk(
        self, tree: RemoteField | Output, place: _Place, visited: list[ResourceRef]
    ) -> _Place:
        """Follow the hops; ``visited`` grows as they are resolved."""
        origin = place
        for number, hop in enumerate(tree.path, 1):
            where = f"hop {number} {hop}"
            field = self._hop_field(hop, origin, visited)
            target = self._target(field, hop.type, place, where)
            body = self._scope.lookup(target.resource_type, target.resource_id)
            # The resource whose output is wanted need not be there: its stack is asked later.
            needed = isinstance(tree, RemoteField) or number < len(tree.path) or tree.ignore_missing
            if body is None and needed:
                raise self._missing(target.resource_type, target.resource_id, where)
            visited.append(target)
            place = _Place(body, target.resource_type)
        return place

    def _missing(self, kind: str, identity: str, where: str) -> UnresolvedReference:
        found = f"{kind}:{identity} is not there" if identity else f"no id of a {kind} is given"
        return UnresolvedReference(
            str(self._scope.resource), self._at(where), found, kind, identity
        )

    def _hop_field(self, hop: Hop, origin: _Place, visited: list[ResourceRef]) -> str:
        """The field that a hop follows; a concatenation is computed where the path begins."""
        if not isinstance(hop.field, Concatenate):
            return hop.field
        name = self.of(hop.field, origin)
        visited.extend(name.resources)
        return str(name.value)

    def _target(self, field: str, kind: str | None, place: _Place, where: str) -> ResourceRef:
        """The resource that a hop leads to; without a type given, the field's relation tells."""
        kind = kind or self._relations(place.type).get(field)
        if kind is None:
            owner = place.type or "a list's item"
            raise self._failed(f"{field!r} is not a relation field of {owner}", where)
        identity = place.body if field == "" else self._read(place.body, field)
        if identity is None or identity == "":
            raise self._missing(kind, "", where)
        if not isinstance(identity, str):
            raise self._failed(f"the id of a {kind} is {_kind(identity)}, not a string", where)
        return ResourceRef(kind, identity)


def _output(key: str, target: ResourceRef) -> dict[str, str]:
    return {
        "output_key": key,
        "resource_type": target.resource_type,
        "resource_id": target.resource_id,
    }
