"""The syntax tree of the mapping language: a few frozen nodes, the same for both spellings.

Every node has ``form()``, its object spelling, and ``compact()``, its compact one where there is
one; ``str(node)`` is the compact spelling, else the object spelling as JSON text.
"""

from __future__ import annotations

import abc
import enum
import json
import re
from typing import Any, TypeAlias

import attrs

__all__ = [
    "Choice",
    "Concatenate",
    "Condition",
    "Constant",
    "Field",
    "ForEach",
    "Hop",
    "MappingTree",
    "Nested",
    "Operator",
    "Output",
    "RemoteField",
    "Version",
]

_NAME = re.compile(r"[^:+&]+\Z")


def _plain(*names: str) -> bool:
    """Whether names can stand between the compact spelling's separators."""
    return all(_NAME.match(name) for name in names)


class _Node(abc.ABC):
    """What all nodes share: their text."""

    __slots__ = ()

    def compact(self) -> str | None:
        """The compact spelling; None if there is none."""
        return None

    @abc.abstractmethod
    def form(self) -> dict[str, Any]:
        """The object spelling."""

    def __str__(self) -> str:
        compact = self.compact()
        return json.dumps(self.form()) if compact is None else compact


@attrs.frozen(str=False)
class Constant(_Node):
    """``C<text>`` or ``{"constant": value}``.

    Attributes:
        value: any JSON; not shown in a repr, since it may be a password.
    """

    value: Any = attrs.field(repr=False)

    def compact(self) -> str | None:
        """``C<text>`` for a string, which may be empty."""
        return f"C{self.value}" if isinstance(self.value, str) else None

    def form(self) -> dict[str, Any]:
        """``{"constant": value}``."""
        return {"constant": self.value}


@attrs.frozen(str=False)
class Field(_Node):
    """``P<field>`` or ``{"field": f}``: a field of the resource, or of a list's item.

    Attributes:
        name: the field.
    """

    name: str

    def compact(self) -> str | None:
        """``P<field>``."""
        return f"P{self.name}"

    def form(self) -> dict[str, Any]:
        """``{"field": f}``."""
        return {"field": self.name}


@attrs.frozen(str=False)
class Version(_Node):
    """``Vauto_filled`` or ``{"version": "auto_filled"}``: the config's version."""

    def compact(self) -> str | None:
        """``Vauto_filled``."""
        return "Vauto_filled"

    def form(self) -> dict[str, Any]:
        """``{"version": "auto_filled"}``."""
        return {"version": "auto_filled"}


@attrs.frozen(str=False)
class Nested(_Node):
    """``O<outer>:<inner>`` or ``{"nested": [outer, inner]}``.

    Attributes:
        outer: a field that holds an object.
        inner: a field of that object.
    """

    outer: str
    inner: str

    def compact(self) -> str | None:
        """``O<outer>:<inner>``, unless a name holds a separator."""
        return f"O{self.outer}:{self.inner}" if _plain(self.outer, self.inner) else None

    def form(self) -> dict[str, Any]:
        """``{"nested": [outer, inner]}``."""
        return {"nested": [self.outer, self.inner]}


@attrs.frozen(str=False)
class Concatenate(_Node):
    """``A<m>&<m>…`` or ``{"concatenate": [x…]}``.

    Attributes:
        parts: at least one mapping, each of a string.
    """

    parts: tuple[MappingTree, ...]

    def compact(self) -> str | None:
        """``A<m>&<m>…`` if every part is compact and none holds a separator."""
        spelled = [part.compact() for part in self.parts]
        if any(text is None or "&" in text or text.startswith("A") for text in spelled):
            return None
        return "A" + "&".join(map(str, spelled))

    def form(self) -> dict[str, Any]:
        """``{"concatenate": [x…]}``."""
        return {"concatenate": [part.form() for part in self.parts]}


@attrs.frozen(str=False)
class Hop:
    """One step from a resource to another.

    Attributes:
        field: the field that holds the other's id; a concatenation gives the field's name; ``""``
            means that the list's item itself is the id.
        type: the other's type; None takes it from the current type's relations.
    """

    field: str | Concatenate
    type: str | None = None

    def form(self) -> Any:
        """The hop as it stands in a ``path``."""
        if isinstance(self.field, Concatenate):
            return self.field.form()
        return self.field if self.type is None else {"type": self.type, "id": self.field}

    def compact(self, separator: str) -> str | None:
        """``<type><separator><field>``; None unless the type is given and both are plain names."""
        if isinstance(self.field, Concatenate) or self.type is None:
            return None
        if not _plain(self.type, self.field):
            return None
        return f"{self.type}{separator}{self.field}"

    def __str__(self) -> str:
        return json.dumps(self.form())


def _at_path(form: dict[str, Any], path: tuple[Hop, ...], *, ignore: bool) -> dict[str, Any]:
    """A form with the keys that tell where it is looked up."""
    if path:
        form["path"] = [hop.form() for hop in path]
    if ignore:
        form["ignore_missing"] = True
    return form


@attrs.frozen(str=False)
class RemoteField(_Node):
    """``F<type>+<idfield>:…:<field>`` or ``{"field": f, "path": [hop…]}``.

    Attributes:
        name: the field of the last hop's resource.
        path: at least one hop.
        ignore_missing: gives ``""`` where a hop's resource is not there.
    """

    name: str
    path: tuple[Hop, ...]
    ignore_missing: bool = False

    def compact(self) -> str | None:
        """``F<type>+<idfield>:…:<field>`` if every hop names its type."""
        hops = [hop.compact("+") for hop in self.path]
        if self.ignore_missing or None in hops or not _plain(self.name):
            return None
        return "F" + ":".join([*map(str, hops), self.name])

    def form(self) -> dict[str, Any]:
        """``{"field": f, "path": [hop…]}``."""
        return _at_path({"field": self.name}, self.path, ignore=self.ignore_missing)


@attrs.frozen(str=False)
class Output(_Node):
    """``M<type>:<idfield>:<key>`` or ``{"output_key": key, "path": [hop…]}``.

    Attributes:
        key: the output's name in the resource's stack.
        path: hops to the resource; none for the resource itself.
        ignore_missing: gives ``""`` where a hop's resource is not there.
    """

    key: str
    path: tuple[Hop, ...] = ()
    ignore_missing: bool = False

    def compact(self) -> str | None:
        """``M<type>:<idfield>:<key>`` if there is one hop and it names its type."""
        hops = [hop.compact(":") for hop in self.path]
        if self.ignore_missing or len(hops) != 1 or hops[0] is None or not _plain(self.key):
            return None
        return f"M{hops[0]}:{self.key}"

    def form(self) -> dict[str, Any]:
        """``{"output_key": key, "path": [hop…]}``."""
        return _at_path({"output_key": self.key}, self.path, ignore=self.ignore_missing)


class Operator(enum.StrEnum):
    """How a condition compares."""

    EQUAL = "equal"
    REGEXP = "regexp"


@attrs.frozen
class Condition:
    """``{op: [x, y]}`` of an ``if_mapping``.

    Attributes:
        operator: how the two are compared.
        left: what is compared; the subject of a regexp.
        right: what it is compared to; for a regexp, a constant pattern.
    """

    operator: Operator
    left: MappingTree
    right: MappingTree

    def form(self) -> dict[str, Any]:
        """``{op: [x, y]}``."""
        return {str(self.operator): [self.left.form(), self.right.form()]}


@attrs.frozen(str=False)
class Choice(_Node):
    """``{"if_mapping": {op: [x, y]}, "then_mapping": m, "else_mapping": m}``.

    Attributes:
        condition: which branch to take.
        then: where it holds.
        otherwise: where it does not.
    """

    condition: Condition
    then: MappingTree
    otherwise: MappingTree

    def form(self) -> dict[str, Any]:
        """The object spelling; there is no compact one."""
        return {
            "if_mapping": self.condition.form(),
            "then_mapping": self.then.form(),
            "else_mapping": self.otherwise.form(),
        }


@attrs.frozen(str=False)
class ForEach(_Node):
    """``{"for_field": f or mapping, "for_mapping": m}``.

    Attributes:
        source: gives the list; a field's name stands for that :class:`Field`.
        each: computed for every item of the list.
    """

    source: MappingTree
    each: MappingTree

    def form(self) -> dict[str, Any]:
        """The object spelling; there is no compact one."""
        return {"for_field": self.source.form(), "for_mapping": self.each.form()}


MappingTree: TypeAlias = (
    Constant | Field | Version | Nested | RemoteField | Output | Concatenate | Choice | ForEach
)
"""A parsed mapping."""
