"""The store suite: watches and compaction."""

from __future__ import annotations

import threading

import pytest

from gohan_jobs.exceptions import Compacted, StoreClosed
from gohan_jobs.stores.base import (
    Delete,
    EventKind,
    Put,
    Store,
)
from gohan_jobs.testing._store_suite import (
    PATIENCE,
    SuitePart,
    collect,
    expected_event,
    poll_to_the_end,
    write,
)

__all__ = ["CompactionPart", "WatchingPart"]


class WatchingPart(SuitePart):
    """What watches deliver."""

    def test_watch_delivers_puts_and_deletes(self, store: Store, prefix: str) -> None:
        """Events carry the entries before and after."""
        start = store.revision() + 1
        with_watch = store.watch(prefix, start)
        first = write(store, Put(f"{prefix}a", b"1"))
        one = store.get(f"{prefix}a")
        second = write(store, Put(f"{prefix}a", b"2"))
        two = store.get(f"{prefix}a")
        third = write(store, Delete(f"{prefix}a"))
        expected = [
            expected_event(EventKind.PUT, f"{prefix}a", first, one, None),
            expected_event(EventKind.PUT, f"{prefix}a", second, two, one),
            expected_event(EventKind.DELETE, f"{prefix}a", third, None, two),
        ]
        assert collect(with_watch, 3) == expected

    def test_watch_is_of_its_prefix(self, store: Store, prefix: str) -> None:
        """Only what lies under the prefix is delivered."""
        with_watch = store.watch(f"{prefix}a/", store.revision() + 1)
        write(store, Put(f"{prefix}ab", b""), Put(f"{prefix}a", b""), Put(f"{prefix}b/a/", b""))
        write(store, Put(f"{prefix}a/1", b""))
        assert [event.key for event in collect(with_watch, 1)] == [f"{prefix}a/1"]

    def test_watch_from_the_past(self, store: Store, prefix: str) -> None:
        """A watch begins at its revision, that one included, and goes on to the present."""
        write(store, Put(f"{prefix}a", b"1"))
        start = write(store, Put(f"{prefix}b", b"2"))
        write(store, Delete(f"{prefix}a"))
        with_watch = store.watch(prefix, start)
        past = collect(with_watch, 2)
        write(store, Put(f"{prefix}c", b"3"))
        events = past + collect(with_watch, 1)
        assert [event.key for event in events] == [f"{prefix}b", f"{prefix}a", f"{prefix}c"]
        assert [event.revision for event in events] == [start, start + 1, start + 2]
        assert events[1].previous is not None
        assert events[1].previous.value == b"1"

    def test_watch_from_the_future(self, store: Store, prefix: str) -> None:
        """A watch from a revision still to come skips what happens before."""
        start = store.revision() + 2
        with_watch = store.watch(prefix, start)
        write(store, Put(f"{prefix}a", b""))
        write(store, Put(f"{prefix}b", b""))
        assert [event.key for event in collect(with_watch, 1)] == [f"{prefix}b"]

    def test_watch_from_no_revision(self, store: Store, prefix: str) -> None:
        """Revisions begin at 1."""
        with pytest.raises(ValueError, match="at least 1"):
            store.watch(prefix, 0)

    def test_a_transaction_is_one_batch(self, store: Store, prefix: str) -> None:
        """The events of one revision come together, at that revision or a later one."""
        with_watch = store.watch(prefix, store.revision() + 1)
        keys = [f"{prefix}{number:03}" for number in range(100)]
        revision = write(store, *(Put(key, bytes(100)) for key in keys))
        batch = with_watch.poll(PATIENCE)
        assert batch is not None
        assert sorted(event.key for event in batch.events) == keys
        assert {event.revision for event in batch.events} == {revision}
        assert batch.revision >= revision

    def test_batches_have_whole_revisions_in_order(self, store: Store, prefix: str) -> None:
        """A batch's revision is that of its last event or later, before the next one's first."""
        start = store.revision() + 1
        for number in range(30):
            write(store, Put(f"{prefix}{number}", b""), Put(f"{prefix}x", b""))
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
        write(store, Put(f"{prefix}a", b""), Put(f"{prefix}b", b""))
        found = [len(collect(each, 1)) for each in watches]
        assert found == [2, 2, 2, 2, 2, 1]

    def test_watch_wakes(self, store: Store, prefix: str) -> None:
        """``wake`` is called when something may be there."""
        woken = threading.Event()
        with_watch = store.watch(prefix, store.revision() + 1, wake=woken.set)
        write(store, Put(f"{prefix}a", b""))
        assert woken.wait(PATIENCE)
        assert [event.key for event in collect(with_watch, 1)] == [f"{prefix}a"]

    def test_watch_wakes_for_the_past(self, store: Store, prefix: str) -> None:
        """``wake`` is called for what had happened before the watch began, too."""
        start = write(store, Put(f"{prefix}a", b""))
        woken = threading.Event()
        with_watch = store.watch(prefix, start, wake=woken.set)
        assert woken.wait(PATIENCE)
        assert [event.key for event in collect(with_watch, 1)] == [f"{prefix}a"]

    def test_watch_closes(self, store: Store, prefix: str) -> None:
        """A closed watch can be closed again, and polled no more."""
        with_watch = store.watch(prefix, store.revision() + 1)
        with_watch.close()
        with_watch.close()
        write(store, Put(f"{prefix}a", b""))
        with pytest.raises(StoreClosed):
            with_watch.poll()

    def test_watch_closes_under_a_poll(self, store: Store, prefix: str) -> None:
        """Another thread's close ends a poll that waits."""
        with_watch = store.watch(prefix, store.revision() + 1)
        outcome: list[type[BaseException]] = []
        poller = threading.Thread(target=poll_to_the_end, args=(with_watch, outcome))
        poller.start()
        with_watch.close()
        poller.join(PATIENCE)
        assert outcome == [StoreClosed]

    def test_closing_one_watch_leaves_the_others(self, store: Store, prefix: str) -> None:
        """Of two watches on one prefix the other goes on."""
        start = store.revision() + 1
        first, second = store.watch(prefix, start), store.watch(prefix, start)
        first.close()
        write(store, Put(f"{prefix}a", b""))
        assert len(collect(second, 1)) == 1


class CompactionPart(SuitePart):
    """What compaction forgets."""

    def test_compacted_revision_can_still_be_read(self, store: Store, prefix: str) -> None:
        """Compaction keeps its revision, and forgets those before."""
        before = write(store, Put(f"{prefix}a", b"1"))
        at = write(store, Put(f"{prefix}a", b"2"), Put(f"{prefix}b", b""))
        write(store, Put(f"{prefix}a", b"3"), Delete(f"{prefix}b"))
        store.compact(at)
        assert [e.value for e in store.entries(prefix, revision=at).entries] == [b"2", b""]
        with pytest.raises(Compacted) as caught:
            store.entries(prefix, revision=before)
        assert caught.value.revision == at

    def test_watch_of_compacted_history(self, store: Store, prefix: str) -> None:
        """A watch from the compacted revision or before fails; from the next one it is whole."""
        before = write(store, Put(f"{prefix}a", b"1"))
        at = write(store, Delete(f"{prefix}a"), Put(f"{prefix}b", b"1"))
        after = write(store, Delete(f"{prefix}b"))
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
        at = write(store, Put(f"{prefix}a", b"1"))
        store.compact(at)
        with pytest.raises(Compacted) as caught:
            store.compact(at)
        assert caught.value.revision == at
        with pytest.raises(ValueError, match="future"):
            store.compact(store.revision() + 1_000_000)

    def test_compaction_does_not_disturb_a_watch(self, store: Store, prefix: str) -> None:
        """A watch that is up to date does not notice."""
        with_watch = store.watch(prefix, store.revision() + 1)
        at = write(store, Put(f"{prefix}a", b"1"))
        first = collect(with_watch, 1)
        store.compact(at)
        write(store, Put(f"{prefix}b", b"1"))
        assert [e.key for e in first + collect(with_watch, 1)] == [f"{prefix}a", f"{prefix}b"]
