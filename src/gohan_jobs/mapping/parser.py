"""From the two spellings of a mapping to the one syntax tree.

A spelling that never occurs in a recorded template is refused, showing the form, rather than
guessed at: a param that is silently wrong would be a stack that is silently wrong.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NoReturn

from gohan_jobs.exceptions import MappingSyntaxError
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

__all__ = ["MAX_DEPTH", "parse", "parse_text"]

MAX_DEPTH = 32
"""How deep forms may be nested."""

_SHOWN = 200
_PAIR = 2
_AT_PATH = {"path", "ignore_missing"}


def parse(form: Any, where: str = "") -> MappingTree:
    """Parse a mapping in either spelling.

    Args:
        form: a string (compact) or an object.
        where: what it belongs to, for the error; such as ``template port, param name``.

    Raises:
        MappingSyntaxError: showing the offending form.
    """
    parser = _Parser(where)
    return parser.compact(form) if isinstance(form, str) else parser.object(form, 0)


def parse_text(text: str, where: str = "") -> MappingTree:
    """Parse what ``str(tree)`` gives: the compact spelling, or the object spelling as JSON text.

    Raises:
        MappingSyntaxError: showing the offending form.
    """
    if not text.startswith("{"):
        return parse(text, where)
    try:
        form = json.loads(text)
    except (ValueError, RecursionError):
        raise MappingSyntaxError(_shown(text), "not a JSON object", where) from None
    return parse(form, where)


def _shown(form: Any) -> str:
    """A form as text, short enough for a message."""
    try:
        text = json.dumps(form)
    except (TypeError, ValueError, RecursionError):
        text = f"<{type(form).__name__}>"
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"


class _Parser:
    """One mapping's parse; knows what it belongs to."""

    def __init__(self, where: str) -> None:
        self._where = where

    def _refuse(self, form: Any, reason: str) -> NoReturn:
        raise MappingSyntaxError(_shown(form), reason, self._where)

    def compact(self, text: str) -> MappingTree:
        """The mapping that a compact text spells."""
        rest = text[1:]
        match text[:1]:
            case "C":
                return Constant(rest)
            case "P" if rest:
                return Field(rest)
            case "V" if rest == "auto_filled":
                return Version()
            case "O":
                return Nested(*self._names(text, ":", _PAIR))
            case "F":
                return self._compact_field(text)
            case "M":
                kind, field, key = self._names(text, ":", 3)
                return Output(key, (Hop(field, kind),))
            case "A":
                return self._compact_concatenation(text)
        self._refuse(text, "not a compact mapping: P, C, Vauto_filled, O, F, M or A is expected")

    def _names(self, text: str, separator: str, count: int, start: int = 1) -> list[str]:
        names = text[start:].split(separator)
        if len(names) != count or not all(names) or any("+" in name for name in names):
            self._refuse(text, f"expected {count} names separated by {separator!r}")
        return names

    def _compact_field(self, text: str) -> RemoteField:
        *hops, field = text[1:].split(":")
        pairs = [hop.split("+") for hop in hops]
        if not field or "+" in field or not pairs:
            self._refuse(text, "expected F<type>+<idfield>:…:<field>")
        if any(len(pair) != _PAIR or not all(pair) for pair in pairs):
            self._refuse(text, "each hop must be <type>+<idfield>")
        return RemoteField(field, tuple(Hop(name, kind) for kind, name in pairs))

    def _compact_concatenation(self, text: str) -> Concatenate:
        parts = text[1:].split("&")
        if any(part.startswith("A") for part in parts):
            self._refuse(text, "a concatenation inside a compact concatenation")
        return Concatenate(tuple(self.compact(part) for part in parts))

    def object(self, form: Any, depth: int, *, item: bool = False) -> MappingTree:
        """The mapping that an object spells; ``item`` tells that a list's item is at hand."""
        if not isinstance(form, Mapping):
            self._refuse(form, "a mapping is a string or an object")
        if depth >= MAX_DEPTH:
            self._refuse(form, f"nested more than {MAX_DEPTH} deep")
        keys = set(form)
        if keys == {"constant"}:
            return Constant(form["constant"])
        if "field" in keys:
            return self._field(form, depth, item=item)
        if "output_key" in keys:
            return self._output(form, depth, item=item)
        if keys == {"concatenate"}:
            return self._concatenation(form, depth, item=item)
        if keys == {"version"} and form["version"] == "auto_filled":
            return Version()
        if keys == {"nested"}:
            return self._nested(form)
        if keys == {"if_mapping", "then_mapping", "else_mapping"}:
            return self._choice(form, depth, item=item)
        if keys == {"for_field", "for_mapping"}:
            return self._for_each(form, depth, item=item)
        self._refuse(form, "not a form of the mapping language")

    def _operand(self, form: Any, depth: int, *, item: bool) -> MappingTree:
        """Inside an object form, what is not an object is a literal."""
        if isinstance(form, Mapping):
            return self.object(form, depth + 1, item=item)
        return Constant(form)

    def _name(self, form: Any, value: Any, what: str) -> str:
        if not isinstance(value, str) or not value:
            self._refuse(form, f"{what} must be a name")
        return value

    def _field(self, form: Mapping[str, Any], depth: int, *, item: bool) -> MappingTree:
        name = self._name(form, form["field"], "'field'")
        if set(form) == {"field"}:
            return Field(name)
        path, ignore = self._path(form, "field", depth, item=item)
        return RemoteField(name, path, ignore)

    def _output(self, form: Mapping[str, Any], depth: int, *, item: bool) -> MappingTree:
        key = self._name(form, form["output_key"], "'output_key'")
        if set(form) == {"output_key"}:
            return Output(key)
        return Output(key, *self._path(form, "output_key", depth, item=item))

    def _path(
        self, form: Mapping[str, Any], key: str, depth: int, *, item: bool
    ) -> tuple[tuple[Hop, ...], bool]:
        path, ignore = form.get("path"), form.get("ignore_missing", False)
        if not set(form) <= _AT_PATH | {key} or "path" not in form:
            self._refuse(form, f"beside {key!r} stand 'path' and perhaps 'ignore_missing'")
        if not isinstance(path, list) or not path:
            self._refuse(form, "'path' must be a list of hops")
        if not isinstance(ignore, bool):
            self._refuse(form, "'ignore_missing' must be true or false")
        hops = [self._hop(path[0], depth, item=item), *(self._hop(hop, depth) for hop in path[1:])]
        return tuple(hops), ignore

    def _hop(self, form: Any, depth: int, *, item: bool = False) -> Hop:
        if isinstance(form, str) and form:
            return Hop(form)
        keys = set(form) if isinstance(form, Mapping) else set()
        if keys == {"concatenate"}:
            return Hop(self._concatenation(form, depth + 1, item=item))
        if keys == {"type", "id"}:
            kind, field = self._name(form, form["type"], "'type'"), form["id"]
            if field == "" and not item:
                self._refuse(form, "an empty 'id' means a list's item: first hop of a for_mapping")
            return Hop(field if field == "" else self._name(form, field, "'id'"), kind)
        self._refuse(form, "a hop is a field's name, {type, id} or {concatenate}")

    def _concatenation(self, form: Mapping[str, Any], depth: int, *, item: bool) -> Concatenate:
        parts = form["concatenate"]
        if not isinstance(parts, list) or not parts:
            self._refuse(form, "'concatenate' must be a list of at least one part")
        return Concatenate(tuple(self._operand(part, depth, item=item) for part in parts))

    def _nested(self, form: Mapping[str, Any]) -> Nested:
        names = form["nested"]
        if not isinstance(names, list) or len(names) != _PAIR:
            self._refuse(form, "'nested' must be a list of two names")
        return Nested(*(self._name(form, name, "each of 'nested'") for name in names))

    def _choice(self, form: Mapping[str, Any], depth: int, *, item: bool) -> Choice:
        return Choice(
            self._condition(form["if_mapping"], depth, item=item),
            self._operand(form["then_mapping"], depth, item=item),
            self._operand(form["else_mapping"], depth, item=item),
        )

    def _condition(self, form: Any, depth: int, *, item: bool) -> Condition:
        if not isinstance(form, Mapping) or len(form) != 1:
            self._refuse(form, "'if_mapping' must be an object of one operator")
        ((operator, operands),) = form.items()
        if operator not in set(Operator):
            self._refuse(form, "the operator must be 'equal' or 'regexp'")
        if not isinstance(operands, list) or len(operands) != _PAIR:
            self._refuse(form, f"{operator!r} needs a list of two operands")
        left, right = (self._operand(operand, depth, item=item) for operand in operands)
        if operator == Operator.REGEXP:
            self._check_pattern(form, right)
        return Condition(Operator(operator), left, right)

    def _check_pattern(self, form: Any, pattern: MappingTree) -> None:
        if not isinstance(pattern, Constant) or not isinstance(pattern.value, str):
            self._refuse(form, "the pattern of a regexp must be a constant string")
        try:
            Pattern.compiled(pattern.value)
        except PatternRefused as error:
            self._refuse(form, f"pattern: {error}")

    def _for_each(self, form: Mapping[str, Any], depth: int, *, item: bool) -> ForEach:
        source = form["for_field"]
        if isinstance(source, str):
            listed: MappingTree = Field(self._name(form, source, "'for_field'"))
        else:
            listed = self.object(source, depth + 1, item=item)
        return ForEach(listed, self._operand(form["for_mapping"], depth, item=True))
