"""Expressions that combine others: sums, comparisons, ``and``, ``or``, ``not``, ``if … else``."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any

import attrs

from gohan_jobs.templates.expressions import Expression
from gohan_jobs.templates.run import Run, kind_of
from gohan_jobs.templates.values import Missing, TemplateText

__all__ = ["Both", "Comparison", "Conditional", "Either", "Negation", "Sum"]


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
        raise run.failed(f"'+' of {kind_of(left)} and {kind_of(right)}", self.line)


_ORDER: Mapping[str, Callable[[Any, Any], Any]] = {
    "lt": operator.lt,
    "lteq": operator.le,
    "gt": operator.gt,
    "gteq": operator.ge,
}


def _charge(run: Run, name: str, left: Any, right: Any, line: int) -> None:
    """Pay for comparing; strings of different lengths are told apart at once."""
    if name in {"eq", "ne"} and isinstance(left, str) and isinstance(right, str):
        run.budget.work(min(len(left), len(right)), line)
    else:
        run.budget.work_on((left, right), line)


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
        _charge(run, name, left, right, self.line)
        if name in _ORDER:
            return self._ordered(run, name, left, right)
        if name in {"eq", "ne"}:
            return bool((left == right) is (name == "eq"))
        if isinstance(right, str) and isinstance(left, str):
            return (left in right) is (name == "in")
        if isinstance(right, Missing):
            return name == "notin"  # it has no items
        if isinstance(right, list) or (isinstance(right, Mapping) and isinstance(left, str)):
            found = any(left == item for item in right)
            return found is (name == "in")
        raise run.failed(f"'in' of {kind_of(left)} and {kind_of(right)}", self.line)

    def _ordered(self, run: Run, name: str, left: Any, right: Any) -> bool:
        strings = isinstance(left, str) and isinstance(right, str)
        if strings or (isinstance(left, int | float) and isinstance(right, int | float)):
            return bool(_ORDER[name](left, right))
        raise run.failed(f"{kind_of(left)} and {kind_of(right)} have no order", self.line)


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
