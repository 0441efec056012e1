"""What a caller may ask of a store: checks that every store makes, so that all say the same.

They need no server. A store that keeps its history itself asks with what it has; one on a server
leaves :func:`check_readable` and what follows it to that. For a transaction there is
:func:`gohan_jobs.stores.transactions.validate`.
"""

from __future__ import annotations

from gohan_jobs.exceptions import Compacted

__all__ = [
    "check_compactable",
    "check_first_revision",
    "check_key",
    "check_limit",
    "check_readable",
    "check_ttl",
    "check_watchable",
]


def check_key(key: str) -> None:
    """See that a key can be one.

    Raises:
        ValueError: it is empty.
    """
    if not key:
        raise ValueError("a key must not be empty")


def check_limit(limit: int) -> None:
    """See that a page of ``entries`` can hold so many.

    Raises:
        ValueError: less than one.
    """
    if limit < 1:
        raise ValueError(f"a page holds at least 1 entry, not {limit}")


def check_ttl(ttl: float) -> None:
    """See that a lease can last so many seconds.

    Raises:
        ValueError: zero, or less.
    """
    if ttl <= 0:
        raise ValueError(f"a lease lasts longer than {ttl} s")


def check_first_revision(revision: int) -> None:
    """See that a watch can begin at a revision, whatever the history.

    Raises:
        ValueError: less than one.
    """
    if revision < 1:
        raise ValueError(f"the first revision to watch is at least 1, not {revision}")


def check_readable(revision: int, *, now: int, compacted: int) -> None:
    """See that what stood at a revision can be read.

    Args:
        revision: asked for.
        now: the current one.
        compacted: the last one compacted, which itself can be read; 0 for none.

    Raises:
        Compacted: it is older.
        ValueError: it lies in the future.
    """
    if revision < compacted:
        raise Compacted(compacted)
    if revision > now:
        raise ValueError(f"revision {revision} lies in the future of {now}")


def check_compactable(revision: int, *, now: int, compacted: int) -> None:
    """See that history before a revision can be forgotten.

    Args:
        revision: asked for.
        now: the current one.
        compacted: the last one compacted; 0 for none.

    Raises:
        Compacted: it is forgotten already.
        ValueError: it lies in the future.
    """
    check_watchable(revision, compacted=compacted)
    check_readable(revision, now=now, compacted=compacted)


def check_watchable(revision: int, *, compacted: int) -> None:
    """See that the changes from a revision on, its own included, are still known.

    Args:
        revision: the first one.
        compacted: the last one compacted; 0 for none.

    Raises:
        Compacted: they are not.
    """
    if revision <= compacted:
        raise Compacted(compacted)
