"""One rendering's state: what names stand for, where loops are, and what may still be used."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import attrs

from gohan_jobs.exceptions import TemplateInvalid
from gohan_jobs.templates.budget import Budget
from gohan_jobs.templates.values import Missing

__all__ = ["LOOP_VALUES", "LoopPosition", "Run", "kind_of"]


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


def kind_of(value: Any) -> str:
    """What a value is, without showing it."""
    if isinstance(value, Missing):
        return f"{value.what}, which is undefined"
    return "a string" if isinstance(value, str) else f"a value of type {type(value).__name__}"
