"""What changed between two JSON values, told without their secrets. Pure."""

from __future__ import annotations

import enum
from collections.abc import Collection, Iterator
from typing import Any

import attrs

from gohan_jobs.redacted_records import masked, opened
from gohan_jobs.redaction import Redactor

__all__ = ["Difference", "DifferenceKind", "differences"]


class DifferenceKind(enum.StrEnum):
    """What became of a part of a document."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"


@attrs.frozen(kw_only=True)
class Difference:
    """One part of a document that is not as it was before.

    Attributes:
        kind: what became of it.
        path: where in the document, such as ``$.body.name``.
        before: the JSON value there, masked where it is secret; None if there was none.
        after: likewise.
    """

    kind: DifferenceKind
    path: str
    before: Any = attrs.field(default=None, repr=False)
    after: Any = attrs.field(default=None, repr=False)


@attrs.frozen
class _Pair:
    """A value, and what may be shown of it."""

    whole: Any
    shown: Any

    def at(self, key: str | int) -> _Pair:
        return _Pair(self.whole[key], self.shown[key])

    def is_a(self, kind: type) -> bool:
        return isinstance(self.whole, kind) and isinstance(self.shown, kind)


def differences(
    before: Any, after: Any, redactor: Redactor | None = None, secrets: Collection[str] = ()
) -> tuple[Difference, ...]:
    """What is not the same in two JSON values; the order of an object's keys does not count.

    A changed secret is told, and shown masked. JSON texts, as in ``heat_outputs``, are compared
    as the JSON they hold.

    Args:
        before: the one.
        after: the other.
        redactor: says what is secret.
        secrets: texts that are secret beside those in the values themselves.
    """
    redactor = redactor or Redactor()
    values = [opened(before), opened(after)]
    hidden = redactor.secrets_in(*values) | frozenset(secrets)
    one, other = (_Pair(value, masked(value, redactor, hidden)) for value in values)
    return tuple(_compare("$", one, other))


def _compare(path: str, before: _Pair, after: _Pair) -> Iterator[Difference]:
    if before.is_a(dict) and after.is_a(dict):
        keys = {key: f"{path}.{key}" for key in (*before.whole, *after.whole)}
        yield from _parts(keys, before, after)
    elif before.is_a(list) and after.is_a(list):
        length = max(len(before.whole), len(after.whole))
        yield from _parts({n: f"{path}[{n}]" for n in range(length)}, before, after)
    elif type(before.whole) is not type(after.whole) or before.whole != after.whole:
        kind = DifferenceKind.CHANGED
        yield Difference(kind=kind, path=path, before=before.shown, after=after.shown)


def _parts(paths: dict[Any, str], before: _Pair, after: _Pair) -> Iterator[Difference]:
    for key, path in paths.items():
        if not _has(after.whole, key):
            shown = before.shown[key]
            yield Difference(kind=DifferenceKind.REMOVED, path=path, before=shown)
        elif not _has(before.whole, key):
            yield Difference(kind=DifferenceKind.ADDED, path=path, after=after.shown[key])
        else:
            yield from _compare(path, before.at(key), after.at(key))


def _has(container: Any, key: Any) -> bool:
    return key in container if isinstance(container, dict) else key < len(container)
