"""What a request asks for, in words that may stand in an error: keys and ranges, never values."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from gohan_jobs.stores.etcd.messages import from_bytes, key_range

__all__ = ["asked_by", "asked_keys"]

_MOST_NAMED = 3

_WORDS = {
    "Authenticate": "log in",
    "Compact": "compact the history",
    "LeaseGrant": "grant a lease",
    "LeaseRevoke": "revoke a lease and delete its keys",
    "LeaseTimeToLive": "ask for a lease's time",
    "LeaseKeepAlive": "keep a lease alive",
    "Status": "ask for a member's status",
    "Alarm": "ask for alarms",
}


def asked_by(method: str, request: Any) -> str:
    """What a request asks for, such as ``write /a or read /b``.

    Of a transaction etcd does not say which key it refuses: the first few of each kind are named.

    Args:
        method: of the stub, such as ``Txn``.
        request: its message.
    """
    if method == "Range":
        return f"read {asked_keys(request.key, request.range_end)}"
    if method == "Txn":
        return _of_transaction(request)
    return _WORDS[method]


def asked_keys(begin: bytes, end: bytes = b"") -> str:
    """A key, or a range: that of a prefix is told as such, since a grant must have it, too."""
    first = "" if begin == b"\0" else _shown(begin)
    if not end:
        return _shown(begin)
    if key_range(from_bytes(begin)) == (begin, end):
        return f"all keys that begin with {first}"
    if end == b"\0":
        return f"all keys from {first} on" if first else "all keys"
    return f"the keys from {first} to before {_shown(end)}"


def _shown(key: bytes) -> str:
    """A key, with what a terminal or a log could not show replaced."""
    return key.decode("utf-8", "backslashreplace").replace("\0", "\\0")


def _of_transaction(request: Any) -> str:
    written: dict[str, None] = {}
    read: dict[str, None] = {}
    for writes, keys in _touched(request):
        (written if writes else read).setdefault(keys)
    kinds = (("write", written), ("read", read))
    return " or ".join(f"{verb} {_some(keys)}" for verb, keys in kinds if keys) or "ask anything"


def _some(keys: Iterable[str]) -> str:
    keys = list(keys)
    more = len(keys) - _MOST_NAMED
    return ", ".join(keys[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")


def _touched(request: Any) -> Iterator[tuple[bool, str]]:
    """Whether it is written, and the name, of each key that a transaction needs."""
    for compare in request.compare:
        yield False, asked_keys(compare.key)
    for step in (*request.success, *request.failure):
        kind = step.WhichOneof("request")
        operation = getattr(step, kind)
        if kind == "request_txn":
            yield from _touched(operation)
        elif kind == "request_range":
            yield False, asked_keys(operation.key, operation.range_end)
        else:
            yield True, asked_keys(operation.key)
