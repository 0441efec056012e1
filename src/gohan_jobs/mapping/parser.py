"""From the two spellings of a mapping to the one syntax tree.

A spelling that never occurs in a recorded template is refused, showing the form, rather than
guessed at: a param that is silently wrong would be a stack that is silently wrong.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

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
_NAME = re.compile(r"[^:+&]+\Z")
_PAIR = 2
_Form: TypeAlias = Mapping[str, Any]


def parse(form: Any, where: str = "") -> MappingTree:
    """Parse a mapping in either spelling.

    Args:
        form: a string (compact) or an object.
        where: what it belongs to, for the error; such as ``template port, param name``.

    Raises:
        MappingSyntaxError: showing the offending form.
    """
    parser = _Parser(where)
    return parser.compact(form) if isinstance(form, str) else parser.object(form)


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
    """Parses one form; knows what it belongs to, and how deep and where it stands.

    Args:
        where: what the mapping belongs to.
        depth: how many forms are around this one.
        item: whether it is computed on a list's item.
    """

    def __init__(self, where: str, depth: int = 0, *, item: bool = False) -> None:
        self._where = where
        self._depth = depth
        self._item = item

    def _inner(self, *, item: bool = False) -> _Parser:
        """The parser of a form inside this one."""
        return _Parser(self._where, self._depth + 1, item=item or self._item)

    def _refused(self, form: Any, reason: str) -> MappingSyntaxError:
        return MappingSyntaxError(_shown(form), reason, self._where)

    def compact(self, text: str) -> MappingTree:
        """The mapping that a compact text spells."""
        rest = text[1:]
        match text[:1]:
            case "C":
                tree: MappingTree = Constant(rest)
            case "P" if rest:
                tree = Field(rest)
            case "V" if rest == "auto_filled":
                tree = Version()
            case "O":
                tree = Nested(*self._names(text, _PAIR))
            case "F":
                tree = self._compact_field(text)
            case "M":
                kind, field, key = self._names(text, 3)
                tree = Output(key, (Hop(field, kind),))
            case "A":
                tree = self._compact_concatenation(text)
            case _:
                raise self._refused(text, "not a compact mapping: P, C, Vauto_filled, O, F, M or A")
        return tree

    def _names(self, text: str, count: int) -> list[str]:
        names = text[1:].split(":")
        if len(names) != count or not all(map(_NAME.match, names)):
            raise self._refused(text, f"expected {count} names separated by ':'")
        return names

    def _compact_field(self, text: str) -> RemoteField:
        *hops, field = text[1:].split(":")
        pairs = [hop.split("+") for hop in hops]
        if not _NAME.match(field) or not pairs:
            raise self._refused(text, "expected F<type>+<idfield>:…:<field>")
        if any(len(pair) != _PAIR or not all(map(_NAME.match, pair)) for pair in pairs):
            raise self._refused(text, "each hop must be <type>+<idfield>")
        return RemoteField(field, tuple(Hop(name, kind) for kind, name in pairs))

    def _compact_concatenation(self, text: str) -> Concatenate:
        parts = text[1:].split("&")
        if any(part.startswith("A") for part in parts):
            raise self._refused(text, "a concatenation inside a compact concatenation")
        return Concatenate(tuple(self.compact(part) for part in parts))

    def object(self, form: Any) -> MappingTree:
        """The mapping that an object spells."""
        if not isinstance(form, Mapping):
            raise self._refused(form, "a mapping is a string or an object")
        if self._depth >= MAX_DEPTH:
            raise self._refused(form, f"nested more than {MAX_DEPTH} deep")
        for required, optional, read in _FORMS:
            if required <= set(form) <= required | optional:
                return read(self, form)
        raise self._refused(form, "not a form of the mapping language")

    def _operand(self, form: Any, *, item: bool = False) -> MappingTree:
        """Inside an object form, what is not an object is a literal."""
        if isinstance(form, Mapping):
            return self._inner(item=item).object(form)
        return Constant(form)

    def _name(self, form: Any, value: Any, what: str) -> str:
        if not isinstance(value, str) or not value:
            raise self._refused(form, f"{what} must be a name")
        return value

    def field(self, form: _Form) -> MappingTree:
        return Field(self._name(form, form["field"], "'field'"))

    def remote_field(self, form: _Form) -> MappingTree:
        name = self._name(form, form["field"], "'field'")
        return RemoteField(name, *self._path(form))

    def output(self, form: _Form) -> MappingTree:
        return Output(self._name(form, form["output_key"], "'output_key'"))

    def remote_output(self, form: _Form) -> MappingTree:
        key = self._name(form, form["output_key"], "'output_key'")
        return Output(key, *self._path(form))

    def _path(self, form: _Form) -> tuple[tuple[Hop, ...], bool]:
        path, ignore = form["path"], form.get("ignore_missing", False)
        if not isinstance(path, list) or not path:
            raise self._refused(form, "'path' must be a list of hops")
        if not isinstance(ignore, bool):
            raise self._refused(form, "'ignore_missing' must be true or false")
        hops = (self._hop(hop, index) for index, hop in enumerate(path))
        return tuple(hops), ignore

    def _hop(self, form: Any, index: int) -> Hop:
        if isinstance(form, str) and form:
            return Hop(form)
        if isinstance(form, Mapping) and set(form) == {"concatenate"}:
            return Hop(self._inner().concatenation(form))
        if isinstance(form, Mapping) and set(form) == {"type", "id"}:
            return self._typed_hop(form, index)
        raise self._refused(form, "a hop is a field's name, {type, id} or {concatenate}")

    def _typed_hop(self, form: _Form, index: int) -> Hop:
        kind, field = self._name(form, form["type"], "'type'"), form["id"]
        if field == "" and self._item and index == 0:
            return Hop("", kind)
        return Hop(self._name(form, field, "'id', but in a for_mapping's first hop,"), kind)

    def concatenation(self, form: _Form) -> Concatenate:
        parts = form["concatenate"]
        if not isinstance(parts, list) or not parts:
            raise self._refused(form, "'concatenate' must be a list of at least one part")
        return Concatenate(tuple(self._operand(part) for part in parts))

    def constant(self, form: _Form) -> MappingTree:
        return Constant(form["constant"])

    def version(self, form: _Form) -> MappingTree:
        if form["version"] != "auto_filled":
            raise self._refused(form, "the only version is 'auto_filled'")
        return Version()

    def nested(self, form: _Form) -> MappingTree:
        names = form["nested"]
        if not isinstance(names, list) or len(names) != _PAIR:
            raise self._refused(form, "'nested' must be a list of two names")
        return Nested(*(self._name(form, name, "each of 'nested'") for name in names))

    def choice(self, form: _Form) -> MappingTree:
        return Choice(
            self._condition(form["if_mapping"]),
            self._operand(form["then_mapping"]),
            self._operand(form["else_mapping"]),
        )

    def _condition(self, form: Any) -> Condition:
        if not isinstance(form, Mapping) or len(form) != 1:
            raise self._refused(form, "'if_mapping' must be an object of one operator")
        ((operator, operands),) = form.items()
        if operator not in set(Operator):
            raise self._refused(form, "the operator must be 'equal' or 'regexp'")
        if not isinstance(operands, list) or len(operands) != _PAIR:
            raise self._refused(form, f"{operator!r} needs a list of two operands")
        left, right = (self._operand(operand) for operand in operands)
        if operator == Operator.REGEXP:
            self._check_pattern(form, right)
        return Condition(Operator(operator), left, right)

    def _check_pattern(self, form: Any, pattern: MappingTree) -> None:
        if not isinstance(pattern, Constant) or not isinstance(pattern.value, str):
            raise self._refused(form, "the pattern of a regexp must be a constant string")
        try:
            Pattern.compiled(pattern.value)
        except PatternRefused as error:
            raise self._refused(form, f"pattern: {error}") from None

    def for_each(self, form: _Form) -> MappingTree:
        source = form["for_field"]
        if isinstance(source, str):
            listed: MappingTree = Field(self._name(form, source, "'for_field'"))
        else:
            listed = self._inner().object(source)
        return ForEach(listed, self._operand(form["for_mapping"], item=True))


_NONE: frozenset[str] = frozenset()
_IGNORE = frozenset({"ignore_missing"})
_FORMS: tuple[
    tuple[frozenset[str], frozenset[str], Callable[[_Parser, _Form], MappingTree]], ...
] = (
    (frozenset({"field"}), _NONE, _Parser.field),
    (frozenset({"field", "path"}), _IGNORE, _Parser.remote_field),
    (frozenset({"output_key"}), _NONE, _Parser.output),
    (frozenset({"output_key", "path"}), _IGNORE, _Parser.remote_output),
    (frozenset({"constant"}), _NONE, _Parser.constant),
    (frozenset({"version"}), _NONE, _Parser.version),
    (frozenset({"nested"}), _NONE, _Parser.nested),
    (frozenset({"concatenate"}), _NONE, _Parser.concatenation),
    (frozenset({"if_mapping", "then_mapping", "else_mapping"}), _NONE, _Parser.choice),
    (frozenset({"for_field", "for_mapping"}), _NONE, _Parser.for_each),
)
"""The keys that a form must have, those it may have, and who reads it."""
