"""The expressions that templates may use, each able to compute itself.

Nothing here asks a Python object for an attribute by a name that a template gives: attributes and
items are keys and indexes of data, so a template can't reach anything but the data it was given.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import attrs

from gohan_jobs.exceptions import TemplateInvalid
from gohan_jobs.templates.budget import Budget
from gohan_jobs.templates.values import Missing, TemplateText

__all__ = [
    "LOOP_VALUES",
    "Attribute",
    "Both",
    "Comparison",
    "Conditional",
    "Either",
    "Expression",
    "Item",
    "ListOf",
    "Literal",
    "LoopPosition",
    "LoopValue",
    "Name",
    "Negation",
    "Replace",
    "Run",
    "Split",
    "Sum",
    "TextOf",
]


@attrs.frozen
class LoopPosition:
    """Where a loop stands: ``index0`` of ``length``."""

    index0: int
    length: int


LOOP_VALUES: Mapping[str, Callable[[LoopPosition], Any]] = {
    "first": lambda at: at.index0 == 0,
    "index": lambda at: at.index0 + 1,
    "index0": lambda at: at.index0,
    "last": lambda at: at.index0 == at.length - 1,
    "length": lambda at: at.length,
    "revindex": lambda at: at.length - at.index0,
    "revindex0": lambda at: at.length - at.index0 - 1,
}
"""What a template may ask of ``loop``."""


class Run:
    """One rendering's state: names, loops and what may still be used."""

    def __init__(self, template: str, variables: Mapping[str, Any], budget: Budget) -> None:
        self.template = template
        self.budget = budget
        self.scopes: list[dict[str, Any]] = [dict(variables)]
        self.loops: list[LoopPosition] = []

    def failed(self, reason: str, line: int) -> TemplateInvalid:
        """The error that says why this rendering can't go on."""
        return TemplateInvalid(self.template, reason, line)

    def lookup(self, name: str) -> Any:
        """The value of a name in the innermost scope that has it."""
        for scope in reversed(self.scopes):
            if name in scope:
                return scope[name]
        return Missing(repr(name))

    def text(self, value: Any, line: int) -> str:
        """A value as Jinja puts it out."""
        if isinstance(value, str):
            return value
        self.budget.work_on(value, line)
        try:
            return str(value)
        except (ValueError, RecursionError) as error:
            raise self.failed(f"a value can't be put out: {type(error).__name__}", line) from None


def _kind(value: Any) -> str:
    """What a value is, without showing it."""
    if isinstance(value, Missing):
        return f"{value.what}, which is undefined"
    return "a string" if isinstance(value, str) else f"a value of type {type(value).__name__}"


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
            raise run.failed(f"{self.name!r} of {_kind(owner)}", self.line)
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
            raise run.failed(f"an item of {_kind(owner)}", self.line)
        indexed = isinstance(owner, list | str) and isinstance(key, int)
        keyed = isinstance(owner, Mapping) and isinstance(key, str | int | float | None)
        if not indexed and not keyed:
            return Missing("an item")
        try:
            return owner[key]
        except LookupError:
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
            raise run.failed(f"'split' of {_kind(owner)}", self.line)
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


@attrs.frozen
class Sum:
    """``a + b``: of two strings, or of two numbers."""

    left: Expression
    right: Expression
    line: int

    def value(self, run: Run) -> Any:
        """The sum."""
        run.budget.step(self.line)
        left, right = self.left.value(run), self.right.value(run)
        if isinstance(left, str) and isinstance(right, str):
            run.budget.work(len(left) + len(right), self.line)
            both = isinstance(left, TemplateText) and isinstance(right, TemplateText)
            return TemplateText(left + right) if both else left + right
        if isinstance(left, int | float) and isinstance(right, int | float):
            run.budget.work_on((left, right), self.line)
            try:
                return left + right
            except OverflowError:
                raise run.failed("'+' of a number that is too large", self.line) from None
        raise run.failed(f"'+' of {_kind(left)} and {_kind(right)}", self.line)


_ORDER: Mapping[str, Callable[[Any, Any], Any]] = {
    "lt": operator.lt,
    "lteq": operator.le,
    "gt": operator.gt,
    "gteq": operator.ge,
}


@attrs.frozen
class Comparison:
    """``a == b``, also in a chain; each pair as Python compares it."""

    first: Expression
    rest: tuple[tuple[str, Expression], ...]
    line: int

    def value(self, run: Run) -> Any:
        """Whether every pair holds; later operands are not computed once one does not."""
        left = self.first.value(run)
        for name, expression in self.rest:
            run.budget.step(self.line)
            right = expression.value(run)
            if not self._holds(run, name, left, right):
                return False
            left = right
        return True

    def _holds(self, run: Run, name: str, left: Any, right: Any) -> bool:
        run.budget.work_on((left, right), self.line)
        if name in _ORDER:
            return self._ordered(run, name, left, right)
        if name in {"eq", "ne"}:
            return bool((left == right) is (name == "eq"))
        if isinstance(right, str) and isinstance(left, str):
            return (left in right) is (name == "in")
        if isinstance(right, list | Mapping):
            found = any(left == item for item in right)
            return found is (name == "in")
        raise run.failed(f"'in' of {_kind(left)} and {_kind(right)}", self.line)

    def _ordered(self, run: Run, name: str, left: Any, right: Any) -> bool:
        strings = isinstance(left, str) and isinstance(right, str)
        if strings or (isinstance(left, int | float) and isinstance(right, int | float)):
            return bool(_ORDER[name](left, right))
        raise run.failed(f"{_kind(left)} and {_kind(right)} have no order", self.line)


@attrs.frozen
class Both:
    """``a and b``."""

    left: Expression
    right: Expression

    def value(self, run: Run) -> Any:
        """As Python: the left if it is false, else the right."""
        return self.left.value(run) and self.right.value(run)


@attrs.frozen
class Either:
    """``a or b``."""

    left: Expression
    right: Expression

    def value(self, run: Run) -> Any:
        """As Python: the left if it is true, else the right."""
        return self.left.value(run) or self.right.value(run)


@attrs.frozen
class Negation:
    """``not a``."""

    operand: Expression

    def value(self, run: Run) -> Any:
        """True if the operand is false, empty or missing."""
        return not self.operand.value(run)


@attrs.frozen
class Conditional:
    """``a if test else b``."""

    test: Expression
    then: Expression
    otherwise: Expression | None
    line: int

    def value(self, run: Run) -> Any:
        """One of the two; missing where there is no second."""
        if self.test.value(run):
            return self.then.value(run)
        return Missing("a condition") if self.otherwise is None else self.otherwise.value(run)
