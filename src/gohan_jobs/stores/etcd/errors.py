"""What etcd's and gRPC's errors mean: by status and words, since codes alone do not tell."""

from __future__ import annotations

from collections.abc import Callable

from gohan_jobs.exceptions import (
    Compacted,
    LeaseNotFound,
    StoreFull,
    StoreRefused,
    StoreUnavailable,
    TransactionTooLarge,
)
from gohan_jobs.stores.base import Transaction
from gohan_jobs.stores.transactions import (
    MAX_OPERATIONS,
    MAX_REQUEST_BYTES,
    keys_of,
    request_bytes,
)

__all__ = ["FutureRevision", "Lost", "StaleToken", "Untrusted", "explain", "too_large_for_server"]


class Lost(StoreUnavailable):
    """No answer to what was sent: it may have been carried out."""


class FutureRevision(ValueError):
    """The member that was asked has not come to this revision: it lags, or nobody has."""


class StaleToken(StoreRefused):
    """The token has expired; what was sent with it was not carried out."""


class Untrusted(StoreRefused):
    """No connection, since one side does not accept the other's certificate."""


# Said before anything has left this process, or by a server that has done nothing.
_NOT_DONE = (
    "connections to all backends failing",
    "failed to connect to all addresses",
    "errors resolving",
    "DNS resolution failed",
    "etcdserver: no leader",
    "too many requests",
    "not supported for learner",
)

_UNTRUSTED = (
    "CERTIFICATE_VERIFY_FAILED",
    "Hostname Verification Check failed",
    # Such as a certificate that was signed with another key of an authority of the same name.
    "SSL_ERROR_SSL",
    # What the other side says of ours.
    "ALERT_BAD_CERTIFICATE",
    "ALERT_CERTIFICATE_",
    "ALERT_UNKNOWN_CA",
)

_STALE = ("invalid auth token", "revision of auth store is old", "revision in header is old")

_NO_ANSWER = frozenset(
    {"UNAVAILABLE", "DEADLINE_EXCEEDED", "CANCELLED", "UNKNOWN", "INTERNAL", "ABORTED"}
)


def explain(code: str, details: str) -> Exception:
    """The error of ours that a gRPC error is.

    Args:
        code: the status code's name.
        details: the status's words.

    Returns:
        A StoreError, or a ValueError for a revision or a time that can't be. ``Compacted`` and
        ``LeaseNotFound`` are given without their number, which etcd does not tell.
    """
    if any(words in details for words in _STALE):
        return StaleToken(details)
    if any(words in details for words in _UNTRUSTED):
        return Untrusted(details)
    if any(words in details for words in _NOT_DONE):
        return StoreUnavailable(details)
    return _of_words(details) or _of_code(code, details)


def _of_words(details: str) -> Exception | None:
    for words, error in _MEANINGS:
        if words in details:
            return error(details)
    return None


def _too_many(_details: str) -> Exception:
    return TransactionTooLarge("", MAX_OPERATIONS, MAX_OPERATIONS)


def _too_large(_details: str) -> Exception:
    return TransactionTooLarge("", MAX_REQUEST_BYTES, MAX_REQUEST_BYTES)


_MEANINGS: tuple[tuple[str, Callable[[str], Exception]], ...] = (
    ("has been compacted", lambda _: Compacted(0)),
    ("lease not found", lambda _: LeaseNotFound(0)),
    ("database space exceeded", StoreFull),
    ("future revision", FutureRevision),
    ("too large lease TTL", ValueError),
    ("too many operations", _too_many),
    ("request is too large", _too_large),
    ("message larger than max", _too_large),
)


def _of_code(code: str, details: str) -> Exception:
    if code in _NO_ANSWER:
        return Lost(f"{code}: {details}")
    return StoreRefused(f"{code}: {details}")


def too_large_for_server(
    transaction: Transaction, error: TransactionTooLarge
) -> TransactionTooLarge:
    """What only the server refuses, since it has smaller limits than etcd's own.

    It does not tell them.

    Args:
        transaction: what was sent; it is within etcd's own limits.
        error: what :func:`explain` made of the refusal.
    """
    if error.limit == MAX_OPERATIONS:
        branches = (transaction.compares, transaction.success, transaction.failure)
        return TransactionTooLarge("", max(map(len, branches)))
    return TransactionTooLarge(next(keys_of(transaction)), request_bytes(transaction))
