"""The store suite: transactions."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from gohan_jobs.exceptions import TransactionTooLarge
from gohan_jobs.stores.base import (
    Compare,
    Comparison,
    Delete,
    Get,
    Operation,
    Put,
    Store,
    Target,
    Transaction,
    TransactionResult,
)
from gohan_jobs.testing._store_suite import (
    SuitePart,
    write,
)

__all__ = ["TransactionsPart"]


class TransactionsPart(SuitePart):
    """What transactions do."""

    def test_each_write_is_one_revision(self, store: Store, prefix: str) -> None:
        """A transaction that changes anything moves the revision on by one."""
        before = store.revision()
        after = write(store, Put(f"{prefix}a", b""), Put(f"{prefix}b", b""))
        assert (after, store.revision()) == (before + 1, before + 1)

    def test_no_change_no_revision(self, store: Store, prefix: str) -> None:
        """Reads, failed comparisons and deletes of nothing leave the revision."""
        before = store.revision()
        results = [
            store.transact(Transaction()),
            store.transact(Transaction(success=(Get(f"{prefix}a"), Delete(f"{prefix}a")))),
            store.transact(
                Transaction((Compare.present(f"{prefix}a"),), (Put(f"{prefix}a", b""),))
            ),
        ]
        assert [result.revision for result in results] == [before] * 3
        assert store.revision() == before

    def test_results_in_order(self, store: Store, prefix: str) -> None:
        """Each operation of the branch taken gives its result."""
        write(store, Put(f"{prefix}a", b"1"))
        entry = store.get(f"{prefix}a")
        result = store.transact(
            Transaction(
                (Compare.present(f"{prefix}a"),),
                (
                    Get(f"{prefix}a"),
                    Put(f"{prefix}b", b""),
                    Delete(f"{prefix}none"),
                    Delete(f"{prefix}a"),
                    Get(f"{prefix}none"),
                ),
                (Put(f"{prefix}c", b""),),
            )
        )
        expected = TransactionResult(
            succeeded=True, revision=store.revision(), results=(entry, None, 0, 1, None)
        )
        assert result == expected
        assert store.get(f"{prefix}c") is None

    def test_failure_branch(self, store: Store, prefix: str) -> None:
        """If one comparison does not hold, only ``failure`` is done."""
        write(store, Put(f"{prefix}a", b"1"))
        result = store.transact(
            Transaction(
                (Compare.present(f"{prefix}a"), Compare.absent(f"{prefix}a")),
                (Put(f"{prefix}b", b""),),
                (Get(f"{prefix}a"), Put(f"{prefix}c", b"")),
            )
        )
        assert result == TransactionResult(
            succeeded=False, revision=store.revision(), results=(store.get(f"{prefix}a"), None)
        )
        assert [e.key for e in store.entries(prefix).entries] == [f"{prefix}a", f"{prefix}c"]

    def test_get_sees_what_stands_before_it(self, store: Store, prefix: str) -> None:
        """A read in a transaction sees its earlier writes, not its later ones."""
        write(store, Put(f"{prefix}a", b"1"), Put(f"{prefix}b", b"1"))
        old = store.get(f"{prefix}a")
        result = store.transact(
            Transaction(
                success=(
                    Get(f"{prefix}a"),
                    Put(f"{prefix}a", b"2"),
                    Get(f"{prefix}a"),
                    Delete(f"{prefix}b"),
                    Get(f"{prefix}b"),
                )
            )
        )
        assert result.results == (old, None, store.get(f"{prefix}a"), 1, None)

    @pytest.mark.parametrize(
        ("target", "operands"),
        [
            (Target.VERSION, (1, 2, 3)),
            (Target.VALUE, (b"a", b"b", b"ba")),
            (Target.CREATE_REVISION, (-1, 0, 1)),
            (Target.MOD_REVISION, (-1, 0, 1)),
        ],
    )
    def test_comparisons(
        self, store: Store, prefix: str, target: Target, operands: tuple[int | bytes, ...]
    ) -> None:
        """Each target compares each way with something less, equal and greater."""
        created = write(store, Put(f"{prefix}a", b"a"))
        changed = write(store, Put(f"{prefix}a", b"b"))
        base = {Target.CREATE_REVISION: created, Target.MOD_REVISION: changed}.get(target, 0)
        for comparison, expected in (
            (Comparison.EQUAL, [False, True, False]),
            (Comparison.NOT_EQUAL, [True, False, True]),
            (Comparison.GREATER, [True, False, False]),
            (Comparison.LESS, [False, False, True]),
        ):
            compares = [
                Compare(
                    f"{prefix}a",
                    target,
                    comparison,
                    operand if isinstance(operand, bytes) else base + operand,
                )
                for operand in operands
            ]
            found = [store.transact(Transaction((compare,))).succeeded for compare in compares]
            assert (comparison, found) == (comparison, expected)

    def test_comparisons_with_an_absent_key(self, store: Store, prefix: str) -> None:
        """Of an absent key the numbers are 0, and no comparison of its value holds."""
        key = f"{prefix}a"
        numbers = [
            Compare(key, target, Comparison.EQUAL, 0)
            for target in (Target.CREATE_REVISION, Target.MOD_REVISION, Target.VERSION)
        ]
        values = [Compare(key, Target.VALUE, comparison, b"") for comparison in Comparison]
        held = [store.transact(Transaction((c,))).succeeded for c in (*numbers, *values)]
        assert held == [True] * 3 + [False] * 4

    def test_named_comparisons(self, store: Store, prefix: str) -> None:
        """The class methods of ``Compare`` say what they say."""
        key = f"{prefix}a"
        created = write(store, Put(key, b"1"))
        changed = write(store, Put(key, b"2"))
        holding = [
            Compare.present(key),
            Compare.created_at(key, created),
            Compare.unchanged(key, changed),
            Compare.value_is(key, b"2"),
            Compare.absent(f"{prefix}b"),
            Compare.unchanged(f"{prefix}b", 0),
        ]
        failing = [
            Compare.absent(key),
            Compare.created_at(key, changed),
            Compare.unchanged(key, created),
            Compare.value_is(key, b"1"),
            Compare.present(f"{prefix}b"),
        ]
        assert store.transact(Transaction(tuple(holding))).succeeded
        assert [store.transact(Transaction((c,))).succeeded for c in failing] == [False] * 5

    @pytest.mark.parametrize(("target", "operand"), [(Target.VALUE, 1), (Target.VERSION, b"1")])
    def test_operand_of_the_wrong_type(
        self, store: Store, prefix: str, target: Target, operand: int | bytes
    ) -> None:
        """A value is compared with bytes, a number with an int."""
        with pytest.raises(TypeError, match="is compared with"):
            store.transact(Transaction((Compare(f"{prefix}a", target, Comparison.LESS, operand),)))

    def test_nested_transactions(self, store: Store, prefix: str) -> None:
        """A nested transaction decides for itself, at the revision of the whole."""
        revision = store.revision() + 1
        result = store.transact(
            Transaction(
                success=(
                    Transaction((Compare.absent(f"{prefix}a"),), (Put(f"{prefix}a", b"1"),)),
                    Transaction(
                        (Compare.present(f"{prefix}b"),),
                        (Put(f"{prefix}b", b"2"),),
                        (Transaction(success=(Put(f"{prefix}c", b"3"), Get(f"{prefix}a"))),),
                    ),
                )
            )
        )
        inner = TransactionResult(
            succeeded=True, revision=revision, results=(None, store.get(f"{prefix}a"))
        )
        assert result == TransactionResult(
            succeeded=True,
            revision=revision,
            results=(
                TransactionResult(succeeded=True, revision=revision, results=(None,)),
                TransactionResult(succeeded=False, revision=revision, results=(inner,)),
            ),
        )
        assert [e.value for e in store.entries(prefix).entries] == [b"1", b"3"]

    def test_nested_comparisons_look_at_the_state_before(self, store: Store, prefix: str) -> None:
        """A nested comparison does not see what the transaction has done so far."""
        nested = Transaction((Compare.present(f"{prefix}a"),), (Get(f"{prefix}a"),))
        result = store.transact(Transaction(success=(Put(f"{prefix}a", b"1"), nested)))
        assert result.results[1] == TransactionResult(
            succeeded=False, revision=result.revision, results=()
        )

    @pytest.mark.parametrize(
        "build",
        [
            lambda k: (Put(k, b"1"), Put(k, b"2")),
            lambda k: (Put(k, b"1"), Delete(k)),
            lambda k: (Delete(k), Put(k, b"1")),
            lambda k: (Put(k, b"1"), Transaction(success=(Put(k, b"2"),))),
            lambda k: (Delete(k), Transaction(failure=(Put(k, b"2"),))),
            lambda k: (
                Transaction(success=(Put(k, b"1"),)),
                Transaction(failure=(Transaction(success=(Put(k, b"2"),)),)),
            ),
        ],
    )
    def test_a_key_is_written_once(
        self, store: Store, prefix: str, build: Callable[[str], tuple[Operation, ...]]
    ) -> None:
        """No key may be written twice, across nesting."""
        with pytest.raises(ValueError, match="twice"):
            write(store, *build(f"{prefix}a"))
        assert store.get(f"{prefix}a") is None

    def test_branches_are_alternatives(self, store: Store, prefix: str) -> None:
        """A key may be written in both branches, since only one is taken."""
        absent = (Compare.absent(f"{prefix}a"),)
        both = Transaction(absent, (Put(f"{prefix}a", b"1"),), (Delete(f"{prefix}a"),))
        outer = Transaction(absent, (both,), (Put(f"{prefix}a", b"2"),))
        assert store.transact(outer).succeeded
        assert not store.transact(both).succeeded
        assert store.get(f"{prefix}a") is None

    def test_limit_of_operations(self, store: Store, prefix: str) -> None:
        """128 operations pass, 129 do not; nothing is written then."""
        puts = [Put(f"{prefix}{number}", b"") for number in range(129)]
        assert store.transact(Transaction(success=tuple(puts[:128]))).succeeded
        with pytest.raises(TransactionTooLarge) as caught:
            write(store, *puts)
        assert (caught.value.key, caught.value.size, caught.value.limit) == ("", 129, 128)
        assert store.get(f"{prefix}128") is None

    def test_limit_of_nested_operations(self, store: Store, prefix: str) -> None:
        """A level counts together with its largest nested transaction; siblings do not add up."""

        def nested(outer: int, inner: int) -> Transaction:
            return Transaction(
                success=tuple(
                    Transaction(success=tuple(Put(f"{prefix}{o}/{i}", b"") for i in range(inner)))
                    for o in range(outer)
                )
            )

        assert store.transact(nested(64, 64)).succeeded
        with pytest.raises(TransactionTooLarge):
            store.transact(nested(64, 65))
        compares = tuple(Compare.absent(f"{prefix}{number}") for number in range(64))
        with pytest.raises(TransactionTooLarge):
            store.transact(Transaction(compares, (nested(1, 64),)))

    def test_limit_of_bytes(self, store: Store, prefix: str) -> None:
        """A request of about 1.5 MiB passes, one more than that names its largest value's key."""
        write(store, Put(f"{prefix}a", bytes(1_572_600)))
        with pytest.raises(TransactionTooLarge) as caught:
            write(store, Put(f"{prefix}small", b"1"), Put(f"{prefix}large", bytes(1_572_864)))
        assert caught.value.key == f"{prefix}large"
        assert caught.value.size > caught.value.limit
        assert store.get(f"{prefix}small") is None
