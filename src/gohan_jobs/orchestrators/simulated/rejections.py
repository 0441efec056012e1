"""Heat's refusals, in Heat's words and under Heat's names for them.

Heat quotes the values it refuses, and so does this: what scrubs such reasons (``rules`` 29) can
then be tested without a real Heat.
"""

from __future__ import annotations

from collections.abc import Sequence

from gohan_jobs.exceptions import StackRejected

__all__ = ["NOT_COMPLIED", "bad_request", "invalid", "rejected"]

NOT_COMPLIED = (
    "The server could not comply with the request since it is either malformed or otherwise "
    "incorrect."
)
"""What Heat says when it has nothing better to say."""


def rejected(kind: str, reason: str) -> StackRejected:
    """A refusal.

    Args:
        kind: Heat's name of the error, such as ``UserParameterMissing``.
        reason: Heat's message.
    """
    return StackRejected(reason, kind)


def bad_request(reason: str) -> StackRejected:
    """A request that Heat's API refuses before its engine looks at it."""
    return rejected("HTTPBadRequest", reason)


def invalid(reason: str, *, path: Sequence[str] = (), error: str = "") -> StackRejected:
    """A template, or a parameter's value, that Heat's engine finds wrong.

    Args:
        reason: what is wrong.
        path: where in the template.
        error: what kind of thing is wrong, such as ``Property error``.
    """
    parts = [part for part in (error, ".".join(path), reason) if part]
    return rejected("StackValidationFailed", ": ".join(parts))
