"""The statements that templates may use, each able to execute itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import attrs

from gohan_jobs.templates.expressions import Expression
from gohan_jobs.templates.run import LoopPosition, Run
from gohan_jobs.templates.values import Missing, is_harmless

__all__ = ["Assignment", "Block", "Branches", "Loop", "Output", "Piece", "Statement", "Text"]


@attrs.frozen
class Piece:
    """A piece of the output.

    Attributes:
        text: the characters.
        source: the template's expression that gave them, if they are a value that YAML could take
            for something else; ``""`` for everything else.
        line: its line in the template.
    """

    text: str = attrs.field(repr=False)
    source: str = ""
    line: int = 0


class Statement(Protocol):
    """Something that puts out text, or changes a name."""

    def execute(self, run: Run, output: list[Piece]) -> None:
        """Do it, adding to the output.

        Raises:
            TemplateInvalid: it can't be done.
            TemplateBudgetExceeded: it would take too much.
        """
        ...


@attrs.frozen
class Block:
    """Statements, one after the other."""

    statements: tuple[Statement, ...]

    def execute(self, run: Run, output: list[Piece]) -> None:
        """All of them."""
        for statement in self.statements:
            statement.execute(run, output)


@attrs.frozen
class Text:
    """The template's own text."""

    text: str
    line: int

    def execute(self, run: Run, output: list[Piece]) -> None:
        """Put it out."""
        run.budget.step(self.line)
        run.budget.output(len(self.text), self.line)
        output.append(Piece(self.text))


@attrs.frozen
class Output:
    """``{{ expression }}``."""

    expression: Expression
    source: str
    line: int

    def execute(self, run: Run, output: list[Piece]) -> None:
        """Put out its value."""
        run.budget.step(self.line)
        value = self.expression.value(run)
        text = run.text(value, self.line)
        run.budget.output(len(text), self.line)
        output.append(Piece(text, "" if is_harmless(value) else self.source, self.line))


@attrs.frozen
class Assignment:
    """``{% set name = expression %}``, kept to the end of the loop's pass it stands in."""

    name: str
    expression: Expression
    line: int

    def execute(self, run: Run, output: list[Piece]) -> None:
        """Give the name its value."""
        del output
        run.budget.step(self.line)
        run.scopes[-1][self.name] = self.expression.value(run)


@attrs.frozen
class Branches:
    """``{% if %} {% elif %} {% else %}``."""

    branches: tuple[tuple[Expression, Block], ...]
    otherwise: Block
    line: int

    def execute(self, run: Run, output: list[Piece]) -> None:
        """The first whose test holds."""
        run.budget.step(self.line)
        for test, block in self.branches:
            if test.value(run):
                block.execute(run, output)
                return
        self.otherwise.execute(run, output)


@attrs.frozen
class Loop:
    """``{% for name in expression %} {% else %}``."""

    name: str
    expression: Expression
    body: Block
    otherwise: Block
    line: int

    def execute(self, run: Run, output: list[Piece]) -> None:
        """Every item, each in a scope of its own; the else block if there is none."""
        items = self._items(run)
        for index0, item in enumerate(items):
            run.budget.iteration(self.line)
            run.loops.append(LoopPosition(index0, len(items)))
            self._enter(run, output, self.body, {self.name: item})
            run.loops.pop()
        if not items:
            self._enter(run, output, self.otherwise, {})

    @staticmethod
    def _enter(run: Run, output: list[Piece], block: Block, scope: dict[str, Any]) -> None:
        run.scopes.append(scope)
        block.execute(run, output)
        run.scopes.pop()

    def _items(self, run: Run) -> Sequence[Any]:
        value = self.expression.value(run)
        if isinstance(value, Mapping):
            return list(value)
        if isinstance(value, list | str):
            return value
        if isinstance(value, Missing):
            return ()
        raise run.failed(f"'for' over a value of type {type(value).__name__}", self.line)
