"""The three spellings of the same JSON (``records``, *Texts*)."""

from __future__ import annotations

import enum
import json
import re
import sys
from collections.abc import Callable
from json.encoder import encode_basestring_ascii
from typing import Any

__all__ = [
    "Spelling",
    "document_text",
    "dumps_json",
    "gohan_text",
    "plain_text",
    "worker_text",
]


_SCALARS = frozenset({str, int, float, bool, type(None)})
_LISTS = (list, tuple)


class Spelling(enum.StrEnum):
    """How JSON is written. Reading accepts any."""

    DOCUMENT = "document"
    """As the documented pages show it: indented by 4, a blank after each comma."""
    WORKER = "worker"
    """As workers wrote it: on one line, ASCII, keys sorted except in a job."""
    GOHAN = "gohan"
    """As Gohan writes it: Go's compact JSON, keys sorted, ``<``, ``>`` and ``&`` escaped."""


def dumps_json(value: Any, spelling: Spelling | str = Spelling.WORKER) -> str:
    """A JSON value in one of the spellings.

    Args:
        value: dicts with str keys, lists, tuples, str, int, float, bool and None.
        spelling: a :class:`Spelling`, or its value.

    Raises:
        ValueError: if there is no such spelling, or for NaN, an infinity or a cycle.
        TypeError: if something in it is not JSON, a name that is no str included.
    """
    return _WRITERS[Spelling(spelling)](value)


def document_text(value: Any) -> str:
    """``json.dumps(value, indent=4, separators=(", ", ": "))``, fast on every Python."""
    return _strict(value, _document(value))


def plain_text(value: Any) -> str:
    """``json.dumps(value)``: keys as they come, which is how a worker spelled a job."""
    return _strict(value, _plain(value))


def worker_text(value: Any) -> str:
    """``json.dumps(value, sort_keys=True)``."""
    return _strict(value, _sorted(value))


def _strict(value: Any, text: str) -> str:
    """A value's text, if none of its names was turned into one, which would not be read back.

    Python writes the names 1 and "1" alike, and so an object with one name twice.

    Raises:
        TypeError: a name is no text.
    """
    holders = [value]
    for each in holders:  # which grows
        if isinstance(each, dict):
            "".join(each)
            holders += [item for item in each.values() if type(item) not in _SCALARS]
        elif isinstance(each, _LISTS):
            holders += [item for item in each if type(item) not in _SCALARS]
    return text


# Before Python 3.13 the standard library's C encoder does not indent, and its Python one yields
# every token through a generator a level. One frame a level: 200 of them must fit on any stack.
def _indented(value: Any, newline: str = "\n") -> str:
    if isinstance(value, str):
        return encode_basestring_ascii(value)
    if not isinstance(value, dict | list | tuple):
        return _scalar(value)
    brackets = "{}" if isinstance(value, dict) else "[]"
    if not value:
        return brackets
    inner = newline + "    "
    items = []
    if isinstance(value, dict):
        for name, item in value.items():
            items.append(f"{encode_basestring_ascii(name)}: {_indented(item, inner)}")
    else:
        for item in value:
            items.append(_indented(item, inner))  # noqa: PERF401 - likewise
    return brackets[0] + inner + f", {inner}".join(items) + newline + brackets[1]


def _scalar(value: Any) -> str:
    if value is True:
        return "true"
    if type(value) is int:
        return repr(value)
    return _plain(value)


_document = (
    json.JSONEncoder(allow_nan=False, indent=4, separators=(", ", ": ")).encode
    if sys.version_info >= (3, 13)
    else _indented
)
_plain = json.JSONEncoder(allow_nan=False).encode
_sorted = json.JSONEncoder(allow_nan=False, sort_keys=True).encode

_compact = json.JSONEncoder(
    allow_nan=False, sort_keys=True, separators=(",", ":"), ensure_ascii=False
).encode

# Go escapes what a browser could take for markup, and U+2028 and U+2029. \b and \f have had short
# escapes only since Go 1.22. A lone surrogate can't be written in UTF-8: it stays escaped.
_UNLIKE_GO = re.compile("\\\\.|[<>&\u2028\u2029\ud800-\udfff]")
_GO = {"\\b": "\\u0008", "\\f": "\\u000c"}


def gohan_text(value: Any) -> str:
    """Go's ``json.Marshal`` as of the recordings (Go before 1.22)."""
    return _strict(value, _UNLIKE_GO.sub(_as_go, _compact(value)))


def _as_go(match: re.Match[str]) -> str:
    found = match[0]
    return _GO.get(found, found) if len(found) > 1 else f"\\u{ord(found):04x}"


_WRITERS: dict[Spelling, Callable[[Any], str]] = {
    Spelling.DOCUMENT: document_text,
    Spelling.WORKER: worker_text,
    Spelling.GOHAN: gohan_text,
}
