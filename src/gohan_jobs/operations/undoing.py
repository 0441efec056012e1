"""A load that was cut off, taken back: the keyspace is then as it was before."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator

import attrs

from gohan_jobs.bookkeeping import Bookkeeping
from gohan_jobs.exceptions import OperationRefused
from gohan_jobs.keys import Keys
from gohan_jobs.operations.dumping import dumped_entries
from gohan_jobs.operations.restoring import LOADING
from gohan_jobs.operations.survey import Survey, digest
from gohan_jobs.stores.base import Compare, Delete, Entry, Store, Transaction

__all__ = ["undo_load"]

_KEYS = 50


def undo_load(store: Store, lines: Callable[[], Iterable[bytes]], keys: Keys | None = None) -> int:
    """Remove what a load that was cut off has written, and its mark; to be repeated after an error.

    For when it can't be repeated: the store is too small, or the dump was the wrong one. A keyspace
    that was loaded whole is left alone.

    Args:
        store: where it was loaded to.
        lines: gives the lines of the dump that was loaded, each time it is called.
        keys: where everything is stored; the documented keys if None.

    Returns:
        How many keys were removed, the mark not counted.

    Raises:
        OperationRefused: no load was cut off here, or there is something that is not that dump's:
            nothing was removed; or somebody works in the keyspace.
        StoreError: the store failed; repeat it.
    """
    keys = keys or Keys()
    mark = Bookkeeping(keys).format_key
    found = store.get(mark)
    if found is None or found.value != LOADING.encode():
        raise OperationRefused("the keyspace", "no load was cut off here: nothing is taken back")
    survey = Survey(lines, keys)
    survey.read()
    removed = 0
    entries = iter([*_loaded(store, keys, survey)])
    while batch := [*itertools.islice(entries, _KEYS)]:
        _remove(store, keys, batch)
        removed += len(batch)
    _remove(store, keys, [found])
    return removed


def _loaded(store: Store, keys: Keys, survey: Survey) -> Iterator[Entry]:
    """What is there besides the mark, without values; all of it is the load's."""
    put_back = {item.key: digest(item.value) for item in survey.put_back()}
    digests = survey.digests | put_back
    for entry in dumped_entries(store, keys, store.revision()):
        if entry.key == Bookkeeping(keys).format_key:
            continue
        if entry.lease or entry.key not in digests:
            raise OperationRefused(entry.key, "is not of this dump: nothing was taken back")
        translated = entry.key.startswith(survey.about_revisions)
        if not translated and digest(entry.value) != digests[entry.key]:
            raise OperationRefused(
                entry.key, "holds another value than the dump: nothing was taken back"
            )
        yield attrs.evolve(entry, value=b"")


def _remove(store: Store, keys: Keys, batch: list[Entry]) -> None:
    """Remove some keys, all or none, while the keyspace is half loaded and nobody leads."""
    mark = Bookkeeping(keys).format_key
    compares = [Compare.value_is(mark, LOADING.encode()), Compare.absent(keys.leader)]
    compares += (Compare.unchanged(entry.key, entry.mod_revision) for entry in batch)
    deletes = tuple(Delete(entry.key) for entry in batch)
    if not store.transact(Transaction(tuple(compares), deletes)).succeeded:
        raise OperationRefused(batch[0].key, "somebody else works in this keyspace")
