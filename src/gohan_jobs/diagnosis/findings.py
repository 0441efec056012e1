"""What is found: with what it means, and what to do."""

from __future__ import annotations

import enum
from collections.abc import Sequence

import attrs

__all__ = ["Finding", "Severity", "error", "warning"]

_NAMED = 3


class Severity(enum.StrEnum):
    """How bad it is."""

    ERROR = "error"
    """Something does not work, or will be lost."""

    WARNING = "warning"
    """Somebody should look."""

    INFO = "info"
    """Good to know; nothing is wrong."""


@attrs.frozen(kw_only=True)
class Finding:
    """One thing that was found.

    Attributes:
        severity: how bad it is.
        check: what was looked at: ``etcd``, ``leader``, ``jobs`` and so on.
        what: what was found, and what it means.
        advice: what to do; empty if nothing.
        subjects: some of the keys, jobs or members concerned.
        count: of how many these are some.
    """

    severity: Severity
    check: str
    what: str
    advice: str = ""
    subjects: tuple[str, ...] = ()
    count: int = 1


def error(check: str, what: str, advice: str, subjects: Sequence[str] = ()) -> Finding:
    """What has to be mended."""
    return _finding(Severity.ERROR, check, what, advice, subjects)


def warning(check: str, what: str, advice: str, subjects: Sequence[str] = ()) -> Finding:
    """What should be looked at."""
    return _finding(Severity.WARNING, check, what, advice, subjects)


def _finding(
    severity: Severity, check: str, what: str, advice: str, subjects: Sequence[str]
) -> Finding:
    return Finding(
        severity=severity,
        check=check,
        what=what,
        advice=advice,
        subjects=tuple(subjects[:_NAMED]),
        count=max(1, len(subjects)),
    )
