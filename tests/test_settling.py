"""What became of a write whose answer was lost, worked out on the store in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from gohan_jobs.exceptions import AmbiguousWrite
from gohan_jobs.stores.base import (
    Compare,
    Comparison,
    Delete,
    Entry,
    Get,
    Put,
    Target,
    Transaction,
    TransactionResult,
)
from gohan_jobs.stores.memory import MemoryStore
from gohan_jobs.stores.settling import applied, earliest, settle

CREATE = Transaction((Compare.absent("a"),), (Put("a", b"mine"),))


class Reading(MemoryStore):
    """A store that can be read as settling does."""

    def snapshot(
        self, keys: Sequence[str], revision: int
    ) -> tuple[int, Mapping[str, Entry | None]]:
        """Entries as of a revision."""
        revision = revision or self.revision()
        found = {entry.key: entry for entry in self.entries("", revision=revision).entries}
        return revision, {key: found.get(key) for key in keys}

    def do(self, *operations: Put | Delete) -> int:
        """Some writes; their revision."""
        return self.transact(Transaction(success=operations)).revision


def test_not_applied_and_safe_to_repeat() -> None:
    """What changes what it compares may be sent again."""
    store = Reading()
    assert settle(CREATE, 1, store.snapshot) is None


def test_applied() -> None:
    """What stands there as written was written."""
    store = Reading()
    expected = store.transact(CREATE)
    assert settle(CREATE, 1, store.snapshot) == expected


def test_applied_with_every_kind_of_operation() -> None:
    """Results of reads, deletes and nested transactions are as the answer would have said."""
    store = Reading()
    store.do(Put("old", b"1"), Put("seen", b"2"))
    since = store.revision()
    transaction = Transaction(
        (Compare.absent("a"),),
        (
            Get("seen"),
            Put("a", b"mine"),
            Get("a"),
            Delete("old"),
            Delete("none"),
            Transaction((Compare.present("b"),), (Put("b", b"2"),), (Put("c", b"3"),)),
        ),
        (Get("a"),),
    )
    expected = store.transact(transaction)
    store.do(Put("seen", b"later"), Put("old", b"later"))
    assert settle(transaction, since, store.snapshot) == expected


def test_applied_and_partly_overwritten() -> None:
    """One put that still stands tells where to look."""
    store = Reading()
    transaction = Transaction((), (Put("a", b"1"), Put("b", b"1")))
    expected = store.transact(transaction)
    store.do(Put("a", b"2"))
    assert settle(transaction, 1, store.snapshot) == expected


def test_applied_and_overwritten() -> None:
    """If nothing stands any more, nothing can be told."""
    store = Reading()
    store.transact(CREATE)
    store.do(Put("a", b"other"))
    with pytest.raises(AmbiguousWrite, match="stored at a"):
        settle(CREATE, 1, store.snapshot)


def test_somebody_else_wrote_something_else() -> None:
    """The key is taken: by whom it was taken first is not known."""
    store = Reading()
    store.do(Put("a", b"other"))
    with pytest.raises(AmbiguousWrite):
        settle(CREATE, 1, store.snapshot)


def test_the_same_bytes_from_before() -> None:
    """What stood there before it was sent is no evidence."""
    store = Reading()
    since = store.do(Put("a", b"mine"))
    with pytest.raises(AmbiguousWrite):
        settle(CREATE, since, store.snapshot)


def test_the_same_bytes_by_another_transaction() -> None:
    """The whole effect must be there: one put of two is somebody else's."""
    store = Reading()
    store.do(Put("a", b"1"))
    transaction = Transaction((), (Put("a", b"1"), Put("b", b"1")))
    with pytest.raises(AmbiguousWrite):
        settle(transaction, 1, store.snapshot)


def test_the_same_bytes_under_another_lease() -> None:
    """A claim is one's own by its lease, too."""
    store = Reading()
    store.do(Put("a", b"1", store.grant_lease(60).id))
    claim = Transaction((Compare.absent("a"),), (Put("a", b"1", store.grant_lease(60).id),))
    with pytest.raises(AmbiguousWrite):
        settle(claim, 1, store.snapshot)


@pytest.mark.parametrize(
    "transaction",
    [
        Transaction((), (Put("a", b"1"),)),
        Transaction((Compare.present("k"),), (Put("a", b"1"),)),
        Transaction((Compare.absent("a"),), (Put("a", b"1"),), (Put("b", b"1"),)),
    ],
)
def test_not_safe_to_repeat(transaction: Transaction) -> None:
    """Unconditional, or on something it leaves as it is, or with writes on failure."""
    store = Reading()
    since = store.do(Put("k", b""))
    with pytest.raises(AmbiguousWrite):
        settle(transaction, since, store.snapshot)


def test_compacted_meanwhile() -> None:
    """Without the state before, the effect can't be checked."""
    store = Reading()
    store.transact(CREATE)
    store.compact(store.revision())
    with pytest.raises(AmbiguousWrite, match="compacted"):
        settle(CREATE, 1, store.snapshot)


def test_applied_alone_does_not_judge_a_repeat() -> None:
    """Not visible is None."""
    store = Reading()
    assert applied(CREATE, 1, store.snapshot) is None
    expected = store.transact(CREATE)
    assert applied(CREATE, 1, store.snapshot) == expected == TransactionResult(True, 2, (None,))  # noqa: FBT003 - attrs


def test_earliest() -> None:
    """What a transaction compares tells when it can't have been applied yet."""
    transaction = Transaction(
        (
            Compare.created_at("a", 7),
            Compare.unchanged("b", 9),
            Compare("c", Target.MOD_REVISION, Comparison.LESS, 100),
            Compare.value_is("d", b"x"),
            Compare("e", Target.VERSION, Comparison.EQUAL, 200),
        )
    )
    assert (earliest(transaction, 5), earliest(transaction, 20)) == (9, 20)
