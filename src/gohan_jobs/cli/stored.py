"""Keys and texts in a file: lines of JSON, documented pages, or what ``etcdctl get`` prints."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from typing import Any

import attrs

from gohan_jobs.codec import loads_json
from gohan_jobs.exceptions import InvalidKey, InvalidRecord, Problem
from gohan_jobs.keys import Keys
from gohan_jobs.operations.dumping import DUMP_FORMAT

__all__ = ["Stored", "Unreadable", "read_stored"]

_FENCE = re.compile(rb"\s*(?:```|~~~)")


@attrs.frozen
class Stored:
    """What a file says is stored at a key.

    Attributes:
        line: where in the file the key stands, from 1.
        key: the key.
        text: what is stored there.
    """

    line: int
    key: str
    text: bytes = attrs.field(repr=False)


@attrs.frozen
class Unreadable:
    """A line that is none of the file's format.

    Attributes:
        line: its number, from 1.
        problems: what is wrong with it.
    """

    line: int
    problems: tuple[Problem, ...]


def read_stored(content: bytes) -> Iterator[Stored | Unreadable]:
    """What a file holds.

    A file that begins with ``{`` holds an object a line, ``{"key": …, "text": …}`` with the text
    as it is stored or ``{"key": …, "value": …}`` with its JSON; other fields are not looked at. Of
    a dump (:mod:`gohan_jobs.operations.dumping`) only the records are given: the queue's places,
    and what is ours, are none.
    In any other file, a line that begins with ``/`` is a key, and what follows it up to the next
    key or fence is its text: no JSON text has such a line. Where there are fences, only what is
    within them counts.

    Args:
        content: of the file.
    """
    if content.lstrip().startswith(b"{"):
        rows = (_row(*each) for each in enumerate(content.splitlines(), 1) if each[1].strip())
        yield from (row for row in rows if row is not None)
    else:
        yield from _blocks(content.split(b"\n"))


def _row(number: int, line: bytes) -> Stored | Unreadable | None:
    try:
        row = loads_json(f"line {number}", line)
    except InvalidRecord as error:
        return Unreadable(number, error.problems)
    if _is_of_a_dump(row):
        return None
    if not isinstance(row, dict) or not isinstance(row.get("key"), str):
        return Unreadable(number, (Problem("$.key", "expected an object with a string 'key'"),))
    text = _stored_text(row)
    if text is None:
        return Unreadable(number, (Problem("$.text", "expected a string 'text', or a 'value'"),))
    return Stored(number, row["key"], text)


def _stored_text(row: dict[str, Any]) -> bytes | None:
    text, plain = row.get("text"), row.get("base64")
    if isinstance(text, str):
        return text.encode("utf-8", "surrogatepass")
    if isinstance(plain, str):
        return _plain(plain)
    return json.dumps(row["value"]).encode() if "value" in row else None


def _is_of_a_dump(row: object) -> bool:
    """Whether it is a dump's head or end, or a key of it that no record belongs at."""
    if not isinstance(row, dict):
        return False
    if "key" not in row:
        is_end = "entries" in row and row.keys() <= {"entries", "digest"}
        return is_end or row.get("format") == DUMP_FORMAT
    return {"create", "mod"} <= row.keys() and not _is_records(row["key"])


def _is_records(key: object) -> bool:
    try:
        Keys().kind(str(key))
    except InvalidKey:
        return False
    return True


def _plain(text: str) -> bytes:
    """What a text spells; nothing, which is no record, if it spells nothing."""
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        return b""


def _blocks(lines: list[bytes]) -> Iterator[Stored]:
    fenced = any(map(_FENCE.match, lines))
    inside = not fenced
    key, start = "", 0
    for number, line in enumerate([*lines, b"```"], 1):
        fence = _FENCE.match(line)
        if key and (fence or line.startswith(b"/")):
            yield Stored(start, key, b"\n".join(lines[start : number - 1]).strip())
            key = ""
        if fence:
            inside = fenced and not inside
        elif inside and line.startswith(b"/"):
            key, start = line.decode("utf-8", "replace").strip(), number
