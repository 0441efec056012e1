"""The store contract as tests: subclass :class:`StoreSuite` and give it a ``store`` fixture.

::

    class TestMyStore(StoreSuite):
        @pytest.fixture
        def store(self) -> Iterator[Store]:
            with MyStore() as store:
                yield store

Each test works below a prefix of its own, so that one server may serve them all.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator

import pytest

from gohan_jobs.exceptions import (
    Compacted,
    LeaseNotFound,
    StoreClosed,
    TransactionTooLarge,
)
from gohan_jobs.stores.base import (
    Compare,
    Comparison,
    Delete,
    Entry,
    Event,
    EventKind,
    Get,
    Lease,
    Operation,
    Put,
    Store,
    Target,
    Transaction,
    TransactionResult,
    Watch,
    scan,
)

__all__ = ["PATIENCE", "StoreSuite", "collect"]

PATIENCE = 20.0
"""Seconds a store may take to deliver an event, a lease's end included."""

_LEASE_SECONDS = 1.0


def collect(watch: Watch, count: int) -> list[Event]:
    """The next events of a watch, at least ``count`` of them, or what came before time was up."""
    events: list[Event] = []
    while len(events) < count:
        batch = watch.poll(PATIENCE)
        if batch is None:
            break
        events += batch.events
    return events


def _write(store: Store, *operations: Operation) -> int:
    return store.transact(Transaction(success=operations)).revision


class StoreSuite:
    """What every :class:`~gohan_jobs.stores.base.Store` does.

    Subclasses give a ``store`` fixture, and override :meth:`expire_leases` if the store's clock
    has to be moved on.
    """

    @pytest.fixture
    def prefix(self) -> str:
        """A prefix that nothing else uses."""
        return f"/suite-{uuid.uuid4().hex}/"

    def expire_leases(self, store: Store, seconds: float) -> None:
        """Let ``seconds`` pass for leases. A store on the real clock needs nothing done."""

    # Reading

    def test_absent_key_reads_as_none(self, store: Store, prefix: str) -> None:
        """A key that is not there is None, not an error."""
        assert store.get(f"{prefix}a") is None

    def test_put_is_read_back(self, store: Store, prefix: str) -> None:
        """An entry knows its value and where it stands in the history."""
        first = _write(store, Put(f"{prefix}a", b"1"))
        second = _write(store, Put(f"{prefix}a", b"2"))
        expected = Entry(
            key=f"{prefix}a", value=b"2", create_revision=first, mod_revision=second, version=2
        )
        assert store.get(f"{prefix}a") == expected

    def test_key_made_again_starts_anew(self, store: Store, prefix: str) -> None:
        """A deleted key that is put again has a new create revision and version 1."""
        _write(store, Put(f"{prefix}a", b"1"))
        _write(store, Delete(f"{prefix}a"))
        assert store.get(f"{prefix}a") is None
        revision = _write(store, Put(f"{prefix}a", b"2"))
        entry = store.get(f"{prefix}a")
        assert entry is not None
        assert (entry.create_revision, entry.mod_revision, entry.version) == (revision, revision, 1)

    @pytest.mark.parametrize("value", [b"", b"\x00\xff\n", "日本語".encode()])
    def test_values_are_bytes(self, store: Store, prefix: str, value: bytes) -> None:
        """Any bytes come back as they are, none at all included."""
        _write(store, Put(f"{prefix}a", value))
        entry = store.get(f"{prefix}a")
        assert entry is not None
        assert entry.value == value

    @pytest.mark.parametrize("name", ["ключ", "a b", "é", "e\u0301", "😀", "a:b/c", "x\x00y"])
    def test_keys_are_text(self, store: Store, prefix: str, name: str) -> None:
        """Keys outside ASCII are kept apart and come back as they are."""
        _write(store, Put(prefix + name, b"1"))
        assert [e.key for e in store.entries(prefix).entries] == [prefix + name]
        assert store.get(prefix + name) == store.entries(prefix).entries[0]

    def test_empty_key_is_refused(self, store: Store) -> None:
        """The empty text is no key."""
        with pytest.raises(ValueError, match="empty"):
            store.get("")
        with pytest.raises(ValueError, match="empty"):
            _write(store, Put("", b""))
        with pytest.raises(ValueError, match="empty"):
            store.transact(Transaction((Compare.absent(""),)))

    def test_prefix_ends_where_it_ends(self, store: Store, prefix: str) -> None:
        """``jobs/1/`` does not give ``jobs/10/``; ``jobs/1`` gives both."""
        _write(store, Put(f"{prefix}jobs/1/a", b""), Put(f"{prefix}jobs/10/b", b""))
        one = [e.key for e in store.entries(f"{prefix}jobs/1/").entries]
        both = [e.key for e in store.entries(f"{prefix}jobs/1").entries]
        assert one == [f"{prefix}jobs/1/a"]
        assert both == [f"{prefix}jobs/1/a", f"{prefix}jobs/10/b"]

    def test_a_key_equal_to_the_prefix_belongs_to_it(self, store: Store, prefix: str) -> None:
        """A prefix is the beginning of itself."""
        _write(store, Put(prefix, b""), Put(f"{prefix}a", b""))
        assert [e.key for e in store.entries(prefix).entries] == [prefix, f"{prefix}a"]

    def test_empty_prefix_is_everything(self, store: Store, prefix: str) -> None:
        """The empty prefix gives every key there is."""
        _write(store, Put(f"{prefix}a", b""))
        found = [e.key for page in scan(store, "") for e in page.entries]
        assert f"{prefix}a" in found
        assert found == sorted(found)

    def test_entries_of_nothing(self, store: Store, prefix: str) -> None:
        """A prefix without keys is an empty page that still tells the revision."""
        page = store.entries(prefix)
        assert (page.entries, page.more, page.revision) == ((), False, store.revision())

    def test_entries_come_in_key_order(self, store: Store, prefix: str) -> None:
        """The order is that of the keys' code points, whatever the order of writing."""
        names = ["b", "a", "a/1", "é", "B", "😀", "\uffee", "a0"]
        for name in names:
            _write(store, Put(prefix + name, b""))
        assert [e.key for e in store.entries(prefix).entries] == [prefix + n for n in sorted(names)]

    def test_pages(self, store: Store, prefix: str) -> None:
        """Pages have at most ``limit`` entries and say whether there are more."""
        keys = [f"{prefix}{number}" for number in range(5)]
        _write(store, *(Put(key, b"") for key in keys))
        first = store.entries(prefix, limit=2)
        second = store.entries(prefix, limit=2, after=keys[1])
        third = store.entries(prefix, limit=2, after=keys[3])
        assert [[e.key for e in page.entries] for page in (first, second, third)] == [
            keys[:2],
            keys[2:4],
            keys[4:],
        ]
        assert [page.more for page in (first, second, third)] == [True, True, False]

    def test_page_that_just_fits_has_no_more(self, store: Store, prefix: str) -> None:
        """As many entries as the limit are all of them."""
        _write(store, Put(f"{prefix}a", b""), Put(f"{prefix}b", b""))
        assert not store.entries(prefix, limit=2).more

    def test_after_may_be_anything(self, store: Store, prefix: str) -> None:
        """``after`` need not exist, nor lie under the prefix."""
        _write(store, Put(f"{prefix}b", b""), Put(f"{prefix}d", b""))
        assert [e.key for e in store.entries(prefix, after=f"{prefix}c").entries] == [f"{prefix}d"]
        assert len(store.entries(prefix, after="/").entries) == 2
        assert store.entries(prefix, after="~").entries == ()

    def test_a_page_of_nothing_is_refused(self, store: Store, prefix: str) -> None:
        """A limit below one is a mistake."""
        with pytest.raises(ValueError, match="at least 1"):
            store.entries(prefix, limit=0)

    def test_pages_of_an_old_revision(self, store: Store, prefix: str) -> None:
        """At a past revision nothing of the later changes shows, page by page."""
        _write(store, *(Put(f"{prefix}{name}", b"old") for name in "abcd"))
        revision = _write(store, Put(f"{prefix}b", b"two"))
        before = store.entries(prefix).entries
        _write(store, Put(f"{prefix}b", b"new"), Delete(f"{prefix}c"), Put(f"{prefix}bb", b"new"))
        _write(store, Delete(f"{prefix}b"), Delete(f"{prefix}a"), Put(f"{prefix}e", b"new"))
        pages = [*scan(store, prefix, revision=revision, page=1)]
        assert tuple(e for page in pages for e in page.entries) == before
        assert {page.revision for page in pages} == {revision}

    def test_scan_is_pinned(self, store: Store, prefix: str) -> None:
        """All pages of a scan are as of the first one's revision."""
        _write(store, *(Put(f"{prefix}{name}", b"") for name in "bcd"))
        pages = scan(store, prefix, page=1)
        first = next(pages)
        _write(store, Delete(f"{prefix}c"), Put(f"{prefix}bb", b""))
        rest = [e.key for page in pages for e in page.entries]
        assert [e.key for e in first.entries] + rest == [f"{prefix}{name}" for name in "bcd"]

    def test_revision_in_the_future(self, store: Store, prefix: str) -> None:
        """What has not happened can't be read."""
        with pytest.raises(ValueError, match="future"):
            store.entries(prefix, revision=store.revision() + 1_000_000)

    # Transactions

    def test_each_write_is_one_revision(self, store: Store, prefix: str) -> None:
        """A transaction that changes anything moves the revision on by one."""
        before = store.revision()
        after = _write(store, Put(f"{prefix}a", b""), Put(f"{prefix}b", b""))
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
        _write(store, Put(f"{prefix}a", b"1"))
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
        _write(store, Put(f"{prefix}a", b"1"))
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
        _write(store, Put(f"{prefix}a", b"1"), Put(f"{prefix}b", b"1"))
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
        created = _write(store, Put(f"{prefix}a", b"a"))
        changed = _write(store, Put(f"{prefix}a", b"b"))
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
        created = _write(store, Put(key, b"1"))
        changed = _write(store, Put(key, b"2"))
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
            _write(store, *build(f"{prefix}a"))
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
            _write(store, *puts)
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
        _write(store, Put(f"{prefix}a", bytes(1_572_600)))
        with pytest.raises(TransactionTooLarge) as caught:
            _write(store, Put(f"{prefix}small", b"1"), Put(f"{prefix}large", bytes(1_572_864)))
        assert caught.value.key == f"{prefix}large"
        assert caught.value.size > caught.value.limit
        assert store.get(f"{prefix}small") is None

    # Watching

    def test_watch_delivers_puts_and_deletes(self, store: Store, prefix: str) -> None:
        """Events carry the entries before and after."""
        start = store.revision() + 1
        with_watch = store.watch(prefix, start)
        first = _write(store, Put(f"{prefix}a", b"1"))
        one = store.get(f"{prefix}a")
        second = _write(store, Put(f"{prefix}a", b"2"))
        two = store.get(f"{prefix}a")
        third = _write(store, Delete(f"{prefix}a"))
        expected = [
            _event(EventKind.PUT, f"{prefix}a", first, one, None),
            _event(EventKind.PUT, f"{prefix}a", second, two, one),
            _event(EventKind.DELETE, f"{prefix}a", third, None, two),
        ]
        assert collect(with_watch, 3) == expected

    def test_watch_is_of_its_prefix(self, store: Store, prefix: str) -> None:
        """Only what lies under the prefix is delivered."""
        with_watch = store.watch(f"{prefix}a/", store.revision() + 1)
        _write(store, Put(f"{prefix}ab", b""), Put(f"{prefix}a", b""), Put(f"{prefix}b/a/", b""))
        _write(store, Put(f"{prefix}a/1", b""))
        assert [event.key for event in collect(with_watch, 1)] == [f"{prefix}a/1"]

    def test_watch_from_the_past(self, store: Store, prefix: str) -> None:
        """A watch begins at its revision, that one included, and goes on to the present."""
        _write(store, Put(f"{prefix}a", b"1"))
        start = _write(store, Put(f"{prefix}b", b"2"))
        _write(store, Delete(f"{prefix}a"))
        with_watch = store.watch(prefix, start)
        past = collect(with_watch, 2)
        _write(store, Put(f"{prefix}c", b"3"))
        events = past + collect(with_watch, 1)
        assert [event.key for event in events] == [f"{prefix}b", f"{prefix}a", f"{prefix}c"]
        assert [event.revision for event in events] == [start, start + 1, start + 2]
        assert events[1].previous is not None
        assert events[1].previous.value == b"1"

    def test_watch_from_the_future(self, store: Store, prefix: str) -> None:
        """A watch from a revision still to come skips what happens before."""
        start = store.revision() + 2
        with_watch = store.watch(prefix, start)
        _write(store, Put(f"{prefix}a", b""))
        _write(store, Put(f"{prefix}b", b""))
        assert [event.key for event in collect(with_watch, 1)] == [f"{prefix}b"]

    def test_watch_from_no_revision(self, store: Store, prefix: str) -> None:
        """Revisions begin at 1."""
        with pytest.raises(ValueError, match="at least 1"):
            store.watch(prefix, 0)

    def test_a_transaction_is_one_batch(self, store: Store, prefix: str) -> None:
        """The events of one revision come together, at that revision or a later one."""
        with_watch = store.watch(prefix, store.revision() + 1)
        keys = [f"{prefix}{number:03}" for number in range(100)]
        revision = _write(store, *(Put(key, bytes(100)) for key in keys))
        batch = with_watch.poll(PATIENCE)
        assert batch is not None
        assert sorted(event.key for event in batch.events) == keys
        assert {event.revision for event in batch.events} == {revision}
        assert batch.revision >= revision

    def test_batches_have_whole_revisions_in_order(self, store: Store, prefix: str) -> None:
        """A batch's revision is that of its last event or later, before the next one's first."""
        start = store.revision() + 1
        for number in range(30):
            _write(store, Put(f"{prefix}{number}", b""), Put(f"{prefix}x", b""))
        with_watch = store.watch(prefix, start)
        seen = start - 1
        revisions: list[int] = []
        while len(revisions) < 60:
            batch = with_watch.poll(PATIENCE)
            assert batch is not None
            found = [event.revision for event in batch.events]
            assert all(seen < revision <= batch.revision for revision in found)
            seen = batch.revision
            revisions += found
        assert revisions == [start + number // 2 for number in range(60)]

    def test_poll_of_nothing(self, store: Store, prefix: str) -> None:
        """Without events a poll gives None, or a batch that only moves the revision on."""
        batch = store.watch(prefix, store.revision() + 1).poll(0.01)
        assert batch is None or batch.events == ()

    def test_several_watches(self, store: Store, prefix: str) -> None:
        """Watches do not take events from each other."""
        start = store.revision() + 1
        watches = [store.watch(prefix, start) for _ in range(5)]
        watches += [store.watch(f"{prefix}a", start)]
        _write(store, Put(f"{prefix}a", b""), Put(f"{prefix}b", b""))
        found = [len(collect(each, 1)) for each in watches]
        assert found == [2, 2, 2, 2, 2, 1]

    def test_watch_wakes(self, store: Store, prefix: str) -> None:
        """``wake`` is called when something may be there."""
        woken = threading.Event()
        with_watch = store.watch(prefix, store.revision() + 1, wake=woken.set)
        _write(store, Put(f"{prefix}a", b""))
        assert woken.wait(PATIENCE)
        assert [event.key for event in collect(with_watch, 1)] == [f"{prefix}a"]

    def test_watch_wakes_for_the_past(self, store: Store, prefix: str) -> None:
        """``wake`` is called for what had happened before the watch began, too."""
        start = _write(store, Put(f"{prefix}a", b""))
        woken = threading.Event()
        with_watch = store.watch(prefix, start, wake=woken.set)
        assert woken.wait(PATIENCE)
        assert [event.key for event in collect(with_watch, 1)] == [f"{prefix}a"]

    def test_watch_closes(self, store: Store, prefix: str) -> None:
        """A closed watch can be closed again, and polled no more."""
        with_watch = store.watch(prefix, store.revision() + 1)
        with_watch.close()
        with_watch.close()
        _write(store, Put(f"{prefix}a", b""))
        with pytest.raises(StoreClosed):
            with_watch.poll()

    def test_watch_closes_under_a_poll(self, store: Store, prefix: str) -> None:
        """Another thread's close ends a poll that waits."""
        with_watch = store.watch(prefix, store.revision() + 1)
        outcome: list[BaseException | None] = []
        poller = threading.Thread(target=_outcome, args=(with_watch, outcome))
        poller.start()
        with_watch.close()
        poller.join(PATIENCE)
        assert [type(each) for each in outcome] == [StoreClosed]

    def test_closing_one_watch_leaves_the_others(self, store: Store, prefix: str) -> None:
        """Of two watches on one prefix the other goes on."""
        start = store.revision() + 1
        first, second = store.watch(prefix, start), store.watch(prefix, start)
        first.close()
        _write(store, Put(f"{prefix}a", b""))
        assert len(collect(second, 1)) == 1

    # Compaction

    def test_compacted_revision_can_still_be_read(self, store: Store, prefix: str) -> None:
        """Compaction keeps its revision, and forgets those before."""
        before = _write(store, Put(f"{prefix}a", b"1"))
        at = _write(store, Put(f"{prefix}a", b"2"), Put(f"{prefix}b", b""))
        _write(store, Put(f"{prefix}a", b"3"), Delete(f"{prefix}b"))
        store.compact(at)
        assert [e.value for e in store.entries(prefix, revision=at).entries] == [b"2", b""]
        with pytest.raises(Compacted) as caught:
            store.entries(prefix, revision=before)
        assert caught.value.revision == at

    def test_watch_of_compacted_history(self, store: Store, prefix: str) -> None:
        """A watch from the compacted revision or before fails; from the next one it is whole."""
        before = _write(store, Put(f"{prefix}a", b"1"))
        at = _write(store, Delete(f"{prefix}a"), Put(f"{prefix}b", b"1"))
        after = _write(store, Delete(f"{prefix}b"))
        store.compact(at)
        for start in (before, at):
            with pytest.raises(Compacted) as caught:
                store.watch(prefix, start).poll(PATIENCE)
            assert caught.value.revision == at
        events = collect(store.watch(prefix, at + 1), 1)
        assert [(e.kind, e.key, e.revision) for e in events] == [
            (EventKind.DELETE, f"{prefix}b", after)
        ]
        assert events[0].previous is not None

    def test_compact_only_forward(self, store: Store, prefix: str) -> None:
        """What is forgotten can't be forgotten again, nor what is to come."""
        at = _write(store, Put(f"{prefix}a", b"1"))
        store.compact(at)
        with pytest.raises(Compacted) as caught:
            store.compact(at)
        assert caught.value.revision == at
        with pytest.raises(ValueError, match="future"):
            store.compact(store.revision() + 1_000_000)

    def test_compaction_does_not_disturb_a_watch(self, store: Store, prefix: str) -> None:
        """A watch that is up to date does not notice."""
        with_watch = store.watch(prefix, store.revision() + 1)
        at = _write(store, Put(f"{prefix}a", b"1"))
        first = collect(with_watch, 1)
        store.compact(at)
        _write(store, Put(f"{prefix}b", b"1"))
        assert [e.key for e in first + collect(with_watch, 1)] == [f"{prefix}a", f"{prefix}b"]

    # Leases

    def test_lease_deletes_its_keys(self, store: Store, prefix: str) -> None:
        """A lease that ends takes all its keys with it, at one revision."""
        lease = store.grant_lease(_LEASE_SECONDS)
        start = _write(store, Put(f"{prefix}free", b""), *_leased(prefix, lease, "ab")) + 1
        with_watch = store.watch(prefix, start)
        self.expire_leases(store, lease.ttl)
        events = collect(with_watch, 2)
        assert sorted((e.kind.value, e.key, e.entry) for e in events) == [
            ("delete", f"{prefix}a", None),
            ("delete", f"{prefix}b", None),
        ]
        assert len({event.revision for event in events}) == 1
        assert [e.previous and e.previous.lease for e in events] == [lease.id] * 2
        assert [e.key for e in store.entries(prefix).entries] == [f"{prefix}free"]
        with pytest.raises(LeaseNotFound) as caught:
            store.keep_alive(lease.id)
        assert caught.value.lease == lease.id
        store.revoke_lease(lease.id)

    def test_lease_is_kept_alive(self, store: Store, prefix: str) -> None:
        """A kept lease outlives one that is not."""
        kept, left = store.grant_lease(30), store.grant_lease(_LEASE_SECONDS)
        start = _write(store, *_leased(prefix, kept, "a"), *_leased(prefix, left, "b")) + 1
        assert store.keep_alive(kept.id) == pytest.approx(kept.ttl)
        self.expire_leases(store, left.ttl)
        events = collect(store.watch(prefix, start), 1)
        assert [event.key for event in events] == [f"{prefix}b"]
        assert store.keep_alive(kept.id) == pytest.approx(kept.ttl)

    def test_lease_is_revoked(self, store: Store, prefix: str) -> None:
        """Revoking deletes the keys at one revision; twice is no error."""
        lease = store.grant_lease(30)
        start = _write(store, *_leased(prefix, lease, "ab")) + 1
        store.revoke_lease(lease.id)
        events = collect(store.watch(prefix, start), 2)
        assert sorted((e.kind.value, e.key, e.revision) for e in events) == [
            ("delete", f"{prefix}a", start),
            ("delete", f"{prefix}b", start),
        ]
        store.revoke_lease(lease.id)
        with pytest.raises(LeaseNotFound):
            store.keep_alive(lease.id)

    def test_lease_grants_at_least_what_was_asked(self, store: Store) -> None:
        """A fraction of a second is not taken away."""
        lease = store.grant_lease(2.5)
        assert lease.ttl >= 2.5
        assert lease.id != 0

    @pytest.mark.parametrize("ttl", [0, -1.5])
    def test_lease_of_no_time(self, store: Store, ttl: float) -> None:
        """A lease lasts for some time."""
        with pytest.raises(ValueError, match="lasts longer"):
            store.grant_lease(ttl)

    def test_put_without_the_lease_frees_the_key(self, store: Store, prefix: str) -> None:
        """A put binds a key to its lease, or to none; only the last one counts."""
        first, second = store.grant_lease(30), store.grant_lease(30)
        _write(store, *_leased(prefix, first, "abc"))
        _write(store, Put(f"{prefix}a", b"2"), Put(f"{prefix}b", b"2", lease=second.id))
        assert [e.lease for e in store.entries(prefix).entries] == [0, second.id, first.id]
        store.revoke_lease(first.id)
        assert [e.key for e in store.entries(prefix).entries] == [f"{prefix}a", f"{prefix}b"]
        store.revoke_lease(second.id)
        assert [e.key for e in store.entries(prefix).entries] == [f"{prefix}a"]

    def test_deleted_key_is_free_of_its_lease(self, store: Store, prefix: str) -> None:
        """A key that was deleted and made again is not taken by the old lease."""
        lease = store.grant_lease(30)
        _write(store, *_leased(prefix, lease, "a"))
        _write(store, Delete(f"{prefix}a"))
        _write(store, Put(f"{prefix}a", b"2"))
        store.revoke_lease(lease.id)
        assert store.get(f"{prefix}a") is not None

    def test_put_with_a_lease_that_is_gone(self, store: Store, prefix: str) -> None:
        """Such a put fails the whole transaction."""
        lease = store.grant_lease(30)
        store.revoke_lease(lease.id)
        with pytest.raises(LeaseNotFound) as caught:
            _write(store, Put(f"{prefix}free", b""), *_leased(prefix, lease, "a"))
        assert caught.value.lease == lease.id
        assert store.entries(prefix).entries == ()

    def test_lease_of_a_branch_not_taken(self, store: Store, prefix: str) -> None:
        """A lease that is not put to use need not exist."""
        lease = store.grant_lease(30)
        store.revoke_lease(lease.id)
        result = store.transact(
            Transaction((Compare.present(f"{prefix}a"),), (*_leased(prefix, lease, "a"),))
        )
        assert not result.succeeded

    # Life

    def test_cluster_id_stays(self, store: Store) -> None:
        """A cluster has one id, which is not empty."""
        assert store.cluster_id() == store.cluster_id()
        assert store.cluster_id()

    def test_close_ends_everything(self, store: Store, prefix: str) -> None:
        """After close, twice, every call raises StoreClosed, those of watches too."""
        with_watch = store.watch(prefix, store.revision() + 1)
        store.close()
        store.close()
        with_watch.close()
        calls: list[Callable[[], object]] = [
            lambda: store.get(f"{prefix}a"),
            lambda: store.entries(prefix),
            lambda: store.transact(Transaction()),
            lambda: store.grant_lease(30),
            lambda: store.keep_alive(1),
            lambda: store.revoke_lease(1),
            lambda: store.watch(prefix, 1),
            store.revision,
            store.cluster_id,
            lambda: store.compact(1),
            with_watch.poll,
        ]
        for call in calls:
            with pytest.raises(StoreClosed):
                call()

    def test_close_ends_a_poll(self, store: Store, prefix: str) -> None:
        """A poll that waits hears of the store's end."""
        with_watch = store.watch(prefix, store.revision() + 1)
        outcome: list[BaseException | None] = []
        poller = threading.Thread(target=_outcome, args=(with_watch, outcome))
        poller.start()
        store.close()
        poller.join(PATIENCE)
        assert [type(each) for each in outcome] == [StoreClosed]

    def test_close_wakes(self, store: Store, prefix: str) -> None:
        """Who sleeps until woken hears of the store's end, too."""
        woken = threading.Event()
        store.watch(prefix, store.revision() + 1, wake=woken.set)
        store.close()
        assert woken.wait(PATIENCE)

    def test_context_manager_closes(self, store: Store) -> None:
        """Leaving the block closes the store."""
        with store as entered:
            assert entered is store
        with pytest.raises(StoreClosed):
            store.revision()

    # Threads

    def test_threads_count_without_loss(self, store: Store, prefix: str) -> None:
        """Comparing what was read, no increment by any thread is lost."""
        key = f"{prefix}count"
        start = _write(store, Put(key, b"0")) + 1
        threads = [threading.Thread(target=_increment, args=(store, key, 10)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE)
        events = collect(store.watch(prefix, start), 40)
        values = [event.entry and int(event.entry.value) for event in events]
        assert values == list(range(1, 41))


def _event(
    kind: EventKind, key: str, revision: int, entry: Entry | None, previous: Entry | None
) -> Event:
    return Event(kind=kind, key=key, revision=revision, entry=entry, previous=previous)


def _leased(prefix: str, lease: Lease, names: str) -> Iterator[Put]:
    return (Put(prefix + name, b"", lease=lease.id) for name in names)


def _outcome(watch: Watch, outcome: list[BaseException | None]) -> None:
    try:
        while watch.poll(PATIENCE) is not None:
            pass
    except StoreClosed as error:
        outcome.append(error)
    else:
        outcome.append(None)


def _increment(store: Store, key: str, times: int) -> None:
    done = 0
    while done < times:
        entry = store.get(key)
        assert entry is not None
        done += store.transact(
            Transaction(
                (Compare.unchanged(key, entry.mod_revision),),
                (Put(key, str(int(entry.value) + 1).encode()),),
            )
        ).succeeded
