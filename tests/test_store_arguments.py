"""What a caller may ask of a store, and which leases a transaction puts to use."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest

from gohan_jobs.exceptions import Compacted
from gohan_jobs.stores.arguments import (
    check_compactable,
    check_first_revision,
    check_key,
    check_limit,
    check_readable,
    check_ttl,
    check_watchable,
)
from gohan_jobs.stores.base import Compare, Delete, Put, Transaction
from gohan_jobs.stores.transactions import evaluate, leases_used

Check = Callable[[], None]


@pytest.mark.parametrize(
    "check",
    [
        partial(check_key, "/a"),
        partial(check_limit, 1),
        partial(check_ttl, 0.001),
        partial(check_first_revision, 1),
        partial(check_readable, 5, now=7, compacted=5),
        partial(check_readable, 7, now=7, compacted=5),
        partial(check_watchable, 6, compacted=5),
        partial(check_compactable, 6, now=7, compacted=5),
        partial(check_compactable, 7, now=7, compacted=5),
    ],
)
def test_what_can_be_asked(check: Check) -> None:
    """The outermost values that are still right are taken."""
    check()


@pytest.mark.parametrize(
    ("check", "message"),
    [
        (partial(check_key, ""), "a key must not be empty"),
        (partial(check_limit, 0), "a page holds at least 1 entry, not 0"),
        (partial(check_ttl, 0.0), r"a lease lasts longer than 0\.0 s"),
        (partial(check_first_revision, 0), "the first revision to watch is at least 1, not 0"),
        (partial(check_readable, 8, now=7, compacted=5), "revision 8 lies in the future of 7"),
        (partial(check_compactable, 8, now=7, compacted=5), "revision 8 lies in the future of 7"),
    ],
)
def test_what_makes_no_sense(check: Check, message: str) -> None:
    """The next value after the outermost is refused, in words that every store uses."""
    with pytest.raises(ValueError, match=f"^{message}$"):
        check()


@pytest.mark.parametrize(
    "check",
    [
        partial(check_readable, 4, now=7, compacted=5),
        partial(check_watchable, 5, compacted=5),
        partial(check_compactable, 5, now=7, compacted=5),
    ],
)
def test_what_is_forgotten(check: Check) -> None:
    """Compacted says up to where: that revision can be read, and watched from the next."""
    with pytest.raises(Compacted) as caught:
        check()
    assert caught.value.revision == 5


def test_only_leases_of_the_branch_taken_are_used() -> None:
    """Nested puts count; those of the other branch, or undone by a later one, do not."""
    nested = Transaction(success=(Put("/c", b"", 3),))
    transaction = Transaction(
        compares=(Compare.absent("/x"),),
        success=(Put("/a", b"", 1), Put("/b", b""), nested, Delete("/d")),
        failure=(Put("/e", b"", 2),),
    )
    done = evaluate(transaction, lambda _: None, 1)
    assert [*leases_used(transaction, done.changes)] == [1, 3]
