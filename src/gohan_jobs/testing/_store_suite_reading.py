"""The store suite: keys, values and pages."""

from __future__ import annotations

import pytest

from gohan_jobs.stores.base import (
    Compare,
    Delete,
    Entry,
    Put,
    Store,
    Transaction,
    count_keys,
    scan,
)
from gohan_jobs.testing._store_suite import (
    SuitePart,
    write,
)

__all__ = ["ReadingPart"]


class ReadingPart(SuitePart):
    """What reading gives."""

    def test_absent_key_reads_as_none(self, store: Store, prefix: str) -> None:
        """A key that is not there is None, not an error."""
        assert store.get(f"{prefix}a") is None

    def test_put_is_read_back(self, store: Store, prefix: str) -> None:
        """An entry knows its value and where it stands in the history."""
        first = write(store, Put(f"{prefix}a", b"1"))
        second = write(store, Put(f"{prefix}a", b"2"))
        expected = Entry(
            key=f"{prefix}a", value=b"2", create_revision=first, mod_revision=second, version=2
        )
        assert store.get(f"{prefix}a") == expected

    def test_key_made_again_starts_anew(self, store: Store, prefix: str) -> None:
        """A deleted key that is put again has a new create revision and version 1."""
        write(store, Put(f"{prefix}a", b"1"))
        write(store, Delete(f"{prefix}a"))
        assert store.get(f"{prefix}a") is None
        revision = write(store, Put(f"{prefix}a", b"2"))
        entry = store.get(f"{prefix}a")
        assert entry is not None
        assert (entry.create_revision, entry.mod_revision, entry.version) == (revision, revision, 1)

    @pytest.mark.parametrize("value", [b"", b"\x00\xff\n", "日本語".encode()])
    def test_values_are_bytes(self, store: Store, prefix: str, value: bytes) -> None:
        """Any bytes come back as they are, none at all included."""
        write(store, Put(f"{prefix}a", value))
        entry = store.get(f"{prefix}a")
        assert entry is not None
        assert entry.value == value

    @pytest.mark.parametrize("name", ["ключ", "a b", "é", "e\u0301", "😀", "a:b/c", "x\x00y"])
    def test_keys_are_text(self, store: Store, prefix: str, name: str) -> None:
        """Keys outside ASCII are kept apart and come back as they are."""
        write(store, Put(prefix + name, b"1"))
        assert [e.key for e in store.entries(prefix).entries] == [prefix + name]
        assert store.get(prefix + name) == store.entries(prefix).entries[0]

    def test_empty_key_is_refused(self, store: Store) -> None:
        """The empty text is no key."""
        with pytest.raises(ValueError, match="empty"):
            store.get("")
        with pytest.raises(ValueError, match="empty"):
            write(store, Put("", b""))
        with pytest.raises(ValueError, match="empty"):
            store.transact(Transaction((Compare.absent(""),)))

    def test_prefix_ends_where_it_ends(self, store: Store, prefix: str) -> None:
        """``jobs/1/`` does not give ``jobs/10/``; ``jobs/1`` gives both."""
        write(store, Put(f"{prefix}jobs/1/a", b""), Put(f"{prefix}jobs/10/b", b""))
        one = [e.key for e in store.entries(f"{prefix}jobs/1/").entries]
        both = [e.key for e in store.entries(f"{prefix}jobs/1").entries]
        assert one == [f"{prefix}jobs/1/a"]
        assert both == [f"{prefix}jobs/1/a", f"{prefix}jobs/10/b"]

    def test_a_key_equal_to_the_prefix_belongs_to_it(self, store: Store, prefix: str) -> None:
        """A prefix is the beginning of itself."""
        write(store, Put(prefix, b""), Put(f"{prefix}a", b""))
        assert [e.key for e in store.entries(prefix).entries] == [prefix, f"{prefix}a"]

    def test_empty_prefix_is_everything(self, store: Store, prefix: str) -> None:
        """The empty prefix gives every key there is."""
        write(store, Put(f"{prefix}a", b""))
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
            write(store, Put(prefix + name, b""))
        assert [e.key for e in store.entries(prefix).entries] == [prefix + n for n in sorted(names)]

    def test_pages(self, store: Store, prefix: str) -> None:
        """Pages have at most ``limit`` entries and say whether there are more."""
        keys = [f"{prefix}{number}" for number in range(5)]
        write(store, *(Put(key, b"") for key in keys))
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
        write(store, Put(f"{prefix}a", b""), Put(f"{prefix}b", b""))
        assert not store.entries(prefix, limit=2).more

    def test_after_may_be_anything(self, store: Store, prefix: str) -> None:
        """``after`` need not exist, nor lie under the prefix."""
        write(store, Put(f"{prefix}b", b""), Put(f"{prefix}d", b""))
        assert [e.key for e in store.entries(prefix, after=f"{prefix}c").entries] == [f"{prefix}d"]
        assert len(store.entries(prefix, after="/").entries) == 2
        assert store.entries(prefix, after="~").entries == ()

    def test_a_page_of_nothing_is_refused(self, store: Store, prefix: str) -> None:
        """A limit below one is a mistake."""
        with pytest.raises(ValueError, match="at least 1"):
            store.entries(prefix, limit=0)

    def test_pages_of_an_old_revision(self, store: Store, prefix: str) -> None:
        """At a past revision nothing of the later changes shows, page by page."""
        write(store, *(Put(f"{prefix}{name}", b"old") for name in "abcd"))
        revision = write(store, Put(f"{prefix}b", b"two"))
        before = store.entries(prefix).entries
        write(store, Put(f"{prefix}b", b"new"), Delete(f"{prefix}c"), Put(f"{prefix}bb", b"new"))
        write(store, Delete(f"{prefix}b"), Delete(f"{prefix}a"), Put(f"{prefix}e", b"new"))
        pages = [*scan(store, prefix, revision=revision, page=1)]
        assert tuple(e for page in pages for e in page.entries) == before
        assert {page.revision for page in pages} == {revision}

    def test_keys_are_counted(self, store: Store, prefix: str) -> None:
        """Counting gives as many keys as reading would, now and at a past revision."""
        assert count_keys(store, prefix) == 0
        revision = write(store, *(Put(f"{prefix}{name}", b"") for name in "abc"))
        write(store, Delete(f"{prefix}a"), Delete(f"{prefix}b"), Put(f"{prefix}d", b""))
        write(store, Put(f"{prefix}c", b"new"), Put(f"{prefix}b", b"new"), Put(f"{prefix}e", b""))
        assert count_keys(store, prefix) == 4
        assert count_keys(store, prefix, revision=revision) == 3
        with pytest.raises(ValueError, match="future"):
            count_keys(store, prefix, revision=store.revision() + 1_000_000)

    def test_scan_is_pinned(self, store: Store, prefix: str) -> None:
        """All pages of a scan are as of the first one's revision."""
        write(store, *(Put(f"{prefix}{name}", b"") for name in "bcd"))
        pages = scan(store, prefix, page=1)
        first = next(pages)
        write(store, Delete(f"{prefix}c"), Put(f"{prefix}bb", b""))
        rest = [e.key for page in pages for e in page.entries]
        assert [e.key for e in first.entries] + rest == [f"{prefix}{name}" for name in "bcd"]

    def test_revision_in_the_future(self, store: Store, prefix: str) -> None:
        """What has not happened can't be read."""
        with pytest.raises(ValueError, match="future"):
            store.entries(prefix, revision=store.revision() + 1_000_000)
