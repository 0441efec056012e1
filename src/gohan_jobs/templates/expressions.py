"""Expressions that give data: names, attributes, items, lists, and the three functions on text.

Nothing here asks a Python object for an attribute by a name that a template gives: attributes and
items are keys and indexes of data, so a template can't reach anything but the data it was given.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import attrs

from gohan_jobs.templates.run import LOOP_VALUES, Run, kind_of
from gohan_jobs.templates.values import Missing, TemplateText

__all__ = [
    "Attribute",
    "Expression",
    "Item",
    "ListOf",
    "Literal",
    "LoopValue",
    "Name",
    "Replace",
    "Split",
    "TextOf",
]


class Expression(Protocol):
    """Something with a value."""

    def value(self, run: Run) -> Any:
        """Compute it.

        Raises:
            TemplateInvalid: it has no value.
            TemplateBudgetExceeded: it would take too much.
        """
        ...


@attrs.frozen
class Literal:
    """A constant of the template."""

    constant: Any

    def value(self, run: Run) -> Any:
        """The constant."""
        del run
        return self.constant


@attrs.frozen
class Name:
    """A variable."""

    name: str
    line: int

    def value(self, run: Run) -> Any:
        """What the name stands for here."""
        run.budget.step(self.line)
        return run.lookup(self.name)


@attrs.frozen
class LoopValue:
    """``loop.index0`` and its like."""

    name: str
    line: int

    def value(self, run: Run) -> Any:
        """Of the innermost loop."""
        run.budget.step(self.line)
        return LOOP_VALUES[self.name](run.loops[-1])


@attrs.frozen
class ListOf:
    """``[a, b]``."""

    items: tuple[Expression, ...]
    line: int

    def value(self, run: Run) -> Any:
        """The list."""
        made = [item.value(run) for item in self.items]
        run.budget.work_on(made, self.line)
        return made


@attrs.frozen
class Attribute:
    """``a.name``: a key of an object."""

    owner: Expression
    name: str
    line: int

    def value(self, run: Run) -> Any:
        """What stands under the key; missing if there is none."""
        run.budget.step(self.line)
        owner = self.owner.value(run)
        if isinstance(owner, Missing):
            raise run.failed(f"{self.name!r} of {kind_of(owner)}", self.line)
        if isinstance(owner, Mapping) and self.name in owner:
            return owner[self.name]
        return Missing(f"attribute {self.name!r}")


@attrs.frozen
class Item:
    """``a[key]``: a key of an object, or an index of a list or string."""

    owner: Expression
    key: Expression
    line: int

    def value(self, run: Run) -> Any:
        """What stands there; missing if nothing does."""
        run.budget.step(self.line)
        owner, key = self.owner.value(run), self.key.value(run)
        if isinstance(owner, Missing):
            raise run.failed(f"an item of {kind_of(owner)}", self.line)
        try:
            if isinstance(owner, list | str) and isinstance(key, int):
                return owner[key]
            if isinstance(owner, Mapping) and isinstance(key, str | int | float | None):
                return owner[key]
        except LookupError:
            pass
        return Missing("an item")


@attrs.frozen
class Split:
    """``text.split(separator, times)``."""

    owner: Expression
    arguments: tuple[Expression, ...]
    line: int

    def value(self, run: Run) -> Any:
        """The parts."""
        run.budget.step(self.line)
        owner = self.owner.value(run)
        arguments = [argument.value(run) for argument in self.arguments]
        if not isinstance(owner, str):
            raise run.failed(f"'split' of {kind_of(owner)}", self.line)
        if not _is_split(arguments):
            raise run.failed(
                "'split' takes a string that is not empty, or null, and a number", self.line
            )
        run.budget.work(len(owner) + _parts(owner, arguments), self.line)
        parts = owner.split(*arguments)
        return list(map(TemplateText, parts)) if isinstance(owner, TemplateText) else parts


def _is_split(arguments: list[Any]) -> bool:
    separator, times = [*arguments, None, -1][:2] if len(arguments) != 1 else (arguments[0], -1)
    given = separator is None or (isinstance(separator, str) and separator != "")
    return given and isinstance(times, int)


def _parts(text: str, arguments: list[Any]) -> int:
    separator = arguments[0] if arguments else None
    return len(text) if separator is None else text.count(separator) + 1


@attrs.frozen
class Replace:
    """``text | replace(old, new, times)``."""

    operand: Expression
    arguments: tuple[Expression, ...]
    line: int

    def value(self, run: Run) -> Any:
        """The text with the replacements."""
        run.budget.step(self.line)
        text = run.text(self.operand.value(run), self.line)
        old, new = (run.text(part.value(run), self.line) for part in self.arguments[:2])
        times = self.arguments[2].value(run) if self.arguments[2:] else -1
        if not isinstance(times, int):
            raise run.failed("'replace' takes a number of times", self.line)
        found = text.count(old)
        size = len(text) + (found if times < 0 else min(found, times)) * (len(new) - len(old))
        run.budget.work(max(len(text), size), self.line)
        return text.replace(old, new, times)


@attrs.frozen
class TextOf:
    """``a | string``."""

    operand: Expression
    line: int

    def value(self, run: Run) -> Any:
        """The value as text."""
        run.budget.step(self.line)
        return run.text(self.operand.value(run), self.line)
