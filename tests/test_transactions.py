"""Which transactions a store takes: all rules at once, against a model of each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gohan_jobs.exceptions import TransactionTooLarge
from gohan_jobs.stores.base import (
    Compare,
    Comparison,
    Delete,
    Get,
    Operation,
    Put,
    Target,
    Transaction,
)
from gohan_jobs.stores.transactions import (
    MAX_OPERATIONS,
    MAX_REQUEST_BYTES,
    check_form,
    check_size,
)

WRONG = Compare("k", Target.VALUE, Comparison.EQUAL, 1)

KEYS = st.sampled_from("abcdefghijkl")
SIMPLE: st.SearchStrategy[Operation] = st.one_of(
    st.builds(Put, KEYS, st.just(b"")), st.builds(Delete, KEYS), st.builds(Get, KEYS)
)


def nested(inner: st.SearchStrategy[Operation]) -> st.SearchStrategy[Transaction]:
    """Any transaction of some operations."""
    branch = st.lists(inner, max_size=4).map(tuple)
    return st.builds(Transaction, st.just(()), branch, branch)


def ways(operations: tuple[Operation, ...]) -> Iterator[Counter[str]]:
    """How often each key is written, for every choice of branches."""
    if not operations:
        yield Counter()
        return
    first, rest = operations[0], operations[1:]
    for later in ways(rest):
        if isinstance(first, Transaction):
            for branch in (first.success, first.failure):
                yield from (earlier + later for earlier in ways(branch))
        else:
            yield later + Counter([] if isinstance(first, Get) else [first.key])


@given(nested(st.recursive(SIMPLE, nested, max_leaves=8)))
def test_no_choice_of_branches_writes_a_key_twice(transaction: Transaction) -> None:
    """Exactly such a transaction is refused in which some choice would."""
    twice = {key for way in ways((transaction,)) for key, times in way.items() if times > 1}
    if not twice:
        check_form(transaction)
        return
    with pytest.raises(ValueError, match="is written twice in one transaction") as refused:
        check_form(transaction)
    assert str(refused.value)[0] in twice


def within(depth: int, inner: Transaction) -> Transaction:
    """A transaction, so deep in others; of each the other branch is empty."""
    for level in range(depth):
        inner = Transaction((), (inner,), ()) if level % 2 else Transaction((), (), (inner,))
    return inner


@pytest.mark.parametrize("depth", [0, 1, 2])
def test_what_is_wrong_is_found_at_every_depth(depth: int) -> None:
    """An operand of another type, an empty key, and too many operations."""
    with pytest.raises(TypeError, match="a value is compared with bytes"):
        check_form(within(depth, Transaction((WRONG,))))
    for empty in (
        Transaction((Compare.absent(""),)),
        Transaction((), (Get(""),)),
        Transaction((), (), (Delete(""),)),
    ):
        with pytest.raises(ValueError, match="a key must not be empty"):
            check_form(within(depth, empty))
    most = tuple(Get("k") for _ in range(MAX_OPERATIONS - depth))
    check_form(within(depth, Transaction((), most)))
    with pytest.raises(TransactionTooLarge) as refused:
        check_form(within(depth, Transaction((), (), (*most, Get("k")))))
    assert MAX_OPERATIONS + 1 == refused.value.size


def test_of_several_keys_written_twice_the_first_is_named() -> None:
    """The same mistake gives the same words."""
    puts = tuple(Put(key, b"") for key in "gfedcba")
    with pytest.raises(ValueError, match=r"^a is written twice"):
        check_form(Transaction(success=(Transaction(success=puts), Transaction(success=puts))))


def test_the_largest_request_and_what_made_it_too_large() -> None:
    """64 bytes are left for what a server adds before it measures; keys count as values do."""
    assert 64 == 1_572_864 - MAX_REQUEST_BYTES
    transaction = Transaction((Compare.absent("a"),), (Put("b", b"12"), Get("c" * 9)))
    check_size(transaction, MAX_REQUEST_BYTES)
    with pytest.raises(TransactionTooLarge) as refused:
        check_size(transaction, MAX_REQUEST_BYTES + 1)
    assert ("c" * 9, MAX_REQUEST_BYTES + 1) == (refused.value.key, refused.value.size)
