"""JSON read without surprises: what Python's reader takes in silence is refused (``records``)."""

from __future__ import annotations

import itertools
import json
import math
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, NoReturn

from gohan_jobs.exceptions import InvalidRecord, Problem

__all__ = [
    "MAX_DIGITS",
    "MAX_LEVELS",
    "MAX_PROBLEMS",
    "Refused",
    "deeper_than",
    "loads_json",
    "nests_deeper_than",
    "parse",
    "step",
]

MAX_LEVELS = 200
"""Levels of lists and objects that a text may nest."""
MAX_DIGITS = 4300
"""Digits that an integer may have, if the interpreter's own limit is not lower."""
MAX_PROBLEMS = 1000
"""Problems told of one text, and of one list in it: a megabyte can hold half a million."""

_PLAIN_NAME = re.compile(r"[\w:-]{1,60}\Z")
_NAME_SHOWN = 60
# Possessive, and an unterminated string ends with the text: linear for any input.
_STRINGS = re.compile(r'"(?:[^"\\]++|\\.?)*+(?:"|\Z)', re.DOTALL)
_NO_BRACKETS = re.compile(r"[^\[\]{}]+")


class Refused(ValueError):
    """A text that is not strict JSON; its problems' paths begin at the text.

    Attributes:
        problems: what is wrong with it, never holding a value.
    """

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__(problems)
        self.problems = problems


def loads_json(key: str, text: str | bytes) -> Any:
    """The value that a strict JSON text spells.

    Args:
        key: where the text was read, for the error.
        text: the text, or its UTF-8.

    Raises:
        InvalidRecord: if it is not JSON, or holds NaN, Infinity, a number out of range, an integer
            of more than 4,300 digits, a key twice in one object, a byte-order mark, invalid UTF-8,
            more than 200 levels, or text after the value (``records``, *Reading and writing*).
    """
    try:
        return parse(text)
    except Refused as refused:
        problems = refused.problems
    # Outside the handler: what it would be chained to holds the text.
    raise InvalidRecord(key, problems)


def parse(text: str | bytes, *, levels: int = MAX_LEVELS) -> Any:
    """As :func:`loads_json`, for a text that may stand inside another one.

    Args:
        text: the text, or its UTF-8.
        levels: lists and objects that it may nest.

    Raises:
        Refused: if it is not strict JSON.
    """
    decoded = _decode(text)
    if deeper_than(levels, decoded):
        _refuse(f"more than {levels} levels")
    try:
        return _DECODER.decode(decoded)
    except json.JSONDecodeError as error:
        reason = _syntax(error)
    except (ValueError, RecursionError):
        reason = ""
    # Outside the handlers, whose errors hold the text.
    return _refuse(reason) if reason else _diagnose(decoded)


def step(name: str) -> str:
    """The part of a path that leads to a field: ``.id``, or ``["a b"]`` for an odd name."""
    if _PLAIN_NAME.match(name):
        return f".{name}"
    return f"[{json.dumps(name[:_NAME_SHOWN])}]"


def _refuse(message: str) -> NoReturn:
    raise Refused((Problem("$", message),))


def _syntax(error: json.JSONDecodeError) -> str:
    return f"not JSON: {error.msg}: line {error.lineno} column {error.colno}"


def _decode(text: str | bytes) -> str:
    try:
        if isinstance(text, bytes):
            decoded = text.decode()
        else:
            decoded = text
            # A lone surrogate is no character: no UTF-8 could have spelled it.
            _ = text.isascii() or text.encode()
    except UnicodeError:
        decoded = None
    if decoded is None:
        _refuse("invalid UTF-8")
    if decoded.startswith("\ufeff"):
        _refuse("a byte-order mark")
    return decoded


def deeper_than(levels: int, text: str) -> bool:
    """Whether a JSON text nests more lists and objects than that; linear for any text."""
    if text.count("[") + text.count("{") <= levels:
        return False
    depth = 0
    for bracket in _NO_BRACKETS.sub("", _STRINGS.sub("", text)):
        depth += 1 if bracket in "[{" else -1
        if depth > levels:
            return True
    return False


def nests_deeper_than(levels: int, value: Any) -> bool:
    """As :func:`deeper_than`, of a value that was read."""
    holders = [value] if isinstance(value, dict | list) else []
    for _ in range(levels):
        if not holders:
            return False
        holders = [
            item for each in holders for item in _items(each) if isinstance(item, dict | list)
        ]
    return bool(holders)


def _items(holder: dict[str, Any] | list[Any]) -> Iterable[Any]:
    return holder.values() if isinstance(holder, dict) else holder


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError
    return found


def _integer(digits: str) -> int:
    if len(digits) > MAX_DIGITS and len(digits.lstrip("-")) > MAX_DIGITS:
        raise ValueError
    return int(digits)


def _number(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise ValueError
    return number


def _constant(_name: str) -> NoReturn:
    raise ValueError


_DECODER = json.JSONDecoder(
    object_pairs_hook=_object,
    parse_float=_number,
    parse_int=_integer,
    parse_constant=_constant,
)


# The second look, only at what has been refused: the same rules, but a flaw is left in its place
# in the tree, so that each can be named with its path.


class _Flaw(str):
    """A reason, standing where the offending value stood."""

    __slots__ = ()


class _Repeating(dict[str, Any]):
    """An object some of whose keys came twice."""

    repeated: tuple[str, ...] = ()


def _diagnose(text: str) -> NoReturn:
    try:
        problems = tuple(itertools.islice(_flaws("$", _DIAGNOSIS.decode(text)), MAX_PROBLEMS))
    except json.JSONDecodeError as error:
        problems = (Problem("$", _syntax(error)),)
    except RecursionError:
        problems = ()
    raise Refused(problems or (Problem("$", "too many levels for what is left of the stack"),))


def _flaws(path: str, value: Any) -> Iterator[Problem]:
    if isinstance(value, _Flaw):
        yield Problem(path, str(value))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _flaws(f"{path}[{index}]", item)
    elif isinstance(value, dict):
        for name in getattr(value, "repeated", ()):
            yield Problem(path + step(name), "the key stands twice in one object")
        for name, item in value.items():
            yield from _flaws(path + step(name), item)


def _object_or_flaw(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = _Repeating(pairs)
    if len(found) != len(pairs):
        times = Counter(name for name, _ in pairs)
        found.repeated = tuple(name for name in found if times[name] > 1)
    return found


def _integer_or_flaw(digits: str) -> int | _Flaw:
    try:
        return _integer(digits)
    except ValueError:
        limit = min(MAX_DIGITS, sys.get_int_max_str_digits() or MAX_DIGITS)
        return _Flaw(f"an integer of more than {limit} digits")


def _number_or_flaw(digits: str) -> float | _Flaw:
    try:
        return _number(digits)
    except ValueError:
        return _Flaw("a number out of range")


_DIAGNOSIS = json.JSONDecoder(
    object_pairs_hook=_object_or_flaw,
    parse_float=_number_or_flaw,
    parse_int=_integer_or_flaw,
    parse_constant=lambda name: _Flaw(f"{name} is not JSON"),
)
