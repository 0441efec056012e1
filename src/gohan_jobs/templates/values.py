"""The values that templates work with: JSON, what is missing, and the template's own text."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import attrs

__all__ = ["HARMLESS", "Missing", "TemplateText", "is_harmless", "measure"]

HARMLESS = re.compile(r"([A-Za-z0-9][A-Za-z0-9_./-]*)?\Z")
"""Text that can't mean anything to YAML, wherever it is pasted."""


@attrs.frozen
class Missing:
    """An undefined name, attribute or item: empty as text, false, no items; anything else fails.

    Attributes:
        what: which one, for errors.
    """

    what: str = attrs.field(eq=False)

    def __bool__(self) -> bool:
        return False

    def __str__(self) -> str:
        return ""

    def __repr__(self) -> str:
        return "Undefined"


class TemplateText(str):
    """A string made of nothing but the template's own constants; it may be any YAML."""

    __slots__ = ()


def _length(value: Any) -> int:
    if isinstance(value, str):
        return len(value)
    return value.bit_length() // 3 if isinstance(value, int) else 1


def measure(value: Any, limit: int) -> int:
    """About how many characters a value has as text.

    Counting stops above ``limit``, so that a small value that holds itself many times over is
    measured in no time.
    """
    total, pending = 0, [value]
    while pending and total <= limit:
        found = pending.pop()
        total += 1
        if isinstance(found, Mapping):
            pending.extend(found)
            pending.extend(found.values())
        elif isinstance(found, list | tuple):
            pending.extend(found)
        else:
            total += _length(found)
    return total


def is_harmless(value: Any) -> bool:
    """Whether a value's text can't mean anything to YAML, or is the template's own.

    A list of such values may be pasted whole, as the YAML list that its text is. An object never
    is harmless: ``{'get_param': 'password'}`` is a function to Heat, whoever wrote it.
    """
    if isinstance(value, list | tuple):
        return all(map(is_harmless, value))
    if isinstance(value, str) and not isinstance(value, TemplateText):
        return HARMLESS.match(value) is not None
    return not isinstance(value, Mapping)
