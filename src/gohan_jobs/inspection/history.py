"""What became of a resource, revision by revision, while etcd remembers. Nothing is written."""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import Iterable, Iterator, Mapping

import attrs

from gohan_jobs.codec import Codec, loads_json
from gohan_jobs.exceptions import Compacted, GohanJobsError, StoreUnavailable
from gohan_jobs.inspection.differences import Difference, differences
from gohan_jobs.inspection.resource_secrets import secrets_in_record
from gohan_jobs.keys import Keys, ResourcePath
from gohan_jobs.planning import HEAT_HANDLER
from gohan_jobs.records import Action, Record, ResourceRef
from gohan_jobs.redaction import Redactor
from gohan_jobs.stores.base import Entry, Store, Watch, entries_below

__all__ = ["History", "HistoryEntry", "read_history"]

_ATTEMPTS = 5
_LONGEST = 30.0
_MARKERS = 50


@attrs.frozen(kw_only=True)
class HistoryEntry:
    """A change of one of a resource's records.

    Attributes:
        revision: of the store, at which it was made.
        key: of the record.
        record: as it was written; None if it was removed, or can't be read.
        removed: whether it went.
        problem: why it can't be read; empty if it can.
        differences: to what was there before, without secrets; empty if nothing was.
    """

    revision: int
    key: str
    record: Record | None = None
    removed: bool = False
    problem: str = ""
    differences: tuple[Difference, ...] = ()


@attrs.frozen(kw_only=True)
class History:
    """What became of a resource.

    Attributes:
        resource: which.
        revision: of the store, up to which it was read.
        compacted: the oldest revision that is left, 0 if nothing has been forgotten. The entries
            up to it say what was there then; what was before is gone.
        entries: in order.
        secrets: what the configs hold under secret keys; mask it in whatever is shown.
    """

    resource: ResourceRef
    revision: int
    compacted: int
    entries: tuple[HistoryEntry, ...]
    secrets: frozenset[str] = attrs.field(default=frozenset(), repr=False)


def read_history(
    store: Store,
    resource: ResourceRef,
    path: ResourcePath,
    codec: Codec | None = None,
    *,
    handlers: Iterable[str] = (HEAT_HANDLER,),
    patience: float = 1.0,
    redactor: Redactor | None = None,
) -> History:
    """Every change of a resource's records and jobs that the store still remembers.

    What is there now is waited for, and so is another key that is. Of what has been removed again
    nobody can say whether more of it is still on its way: the end is when after that nothing has
    come for ``patience`` seconds.

    Args:
        store: where everything is kept.
        resource: which.
        path: its path.
        codec: reads records.
        handlers: whose jobs to look for.
        patience: seconds; more for a server that takes long to find what is old.
        redactor: says what is secret.

    Raises:
        StoreError: the store can't be read, or does not tell what it must know.
    """
    codec, redactor = codec or Codec(), redactor or Redactor()
    prefixes = tuple(_prefixes(codec.keys, resource, path, handlers))
    start = 1
    for _ in range(_ATTEMPTS):
        try:
            found = _Past(store, prefixes, codec.keys, start, store.revision()).read(patience)
        except Compacted as error:
            start = error.revision + 1
        else:
            return _history(found, resource, codec, redactor)
    raise StoreUnavailable("history is compacted faster than it can be read")


def _prefixes(
    keys: Keys, resource: ResourceRef, path: ResourcePath, handlers: Iterable[str]
) -> Iterator[str]:
    yield keys.config_of(path)
    yield keys.processed_of(path)
    for action, handler in itertools.product(Action, handlers):
        yield f"{keys.all_jobs}{action}:{handler}:{resource}:"
    yield keys.job_state_of(path)
    yield keys.heat_stack_of(path)
    yield keys.state_of(path)
    yield keys.monitoring_of(path)


@attrs.frozen
class _Change:
    """A key's value from a revision on; None: it was removed."""

    revision: int
    key: str
    value: bytes | None = attrs.field(repr=False)


@attrs.define
class _Reading:
    """What has come of the keys with one prefix."""

    prefix: str
    watch: Watch
    there: Mapping[str, int]
    """The keys that are there at the end, and when they were changed last."""
    marks: bool = False
    """Whether only that something comes counts, not what."""
    last: dict[str, _Change] = attrs.field(factory=dict)
    reached: int = 0

    def complete(self, end: int) -> bool:
        """Whether all that must come has come."""
        if self.reached >= end:
            return True
        left = {key for key, change in self.last.items() if change.value is not None}
        return left == {*self.there} and all(
            self.last[key].revision == revision for key, revision in self.there.items()
        )


@attrs.define
class _Past:
    """Reads the changes from ``start`` to ``end``, and what was there before."""

    store: Store
    prefixes: tuple[str, ...]
    keys: Keys
    start: int
    end: int
    changes: list[_Change] = attrs.field(factory=list)

    def read(self, patience: float) -> _Past:
        for change in self._before():
            self.changes.append(change)
        if self.start <= self.end:
            with contextlib.ExitStack() as stack:
                readings = [self._open(stack, prefix) for prefix in self.prefixes]
                self._follow([*readings, *self._markers(stack)], patience)
        # What changed in one revision, in the order in which it comes about.
        order = {prefix: number for number, prefix in enumerate(self.prefixes)}
        self.changes.sort(key=lambda change: (change.revision, order[self._prefix(change.key)]))
        return self

    def _before(self) -> Iterator[_Change]:
        if self.start == 1:
            return
        for prefix in self.prefixes:
            for entry in self._entries(prefix, self.start - 1):
                yield _Change(entry.mod_revision, entry.key, entry.value)

    def _open(self, stack: contextlib.ExitStack, prefix: str) -> _Reading:
        there = {entry.key: entry.mod_revision for entry in self._entries(prefix, self.end)}
        watch = self.store.watch(prefix, self.start)
        stack.callback(watch.close)
        reading = _Reading(prefix, watch, there)
        for change in self.changes:
            if self._prefix(change.key) == prefix:
                reading.last[change.key] = change
        return reading

    def _markers(self, stack: contextlib.ExitStack) -> Iterator[_Reading]:
        """A key of which it is known that a watch will tell: then others have told, too.

        etcd looks for what is old for all new watches at once, and that may take it seconds.
        """
        page = self.store.entries(self.keys.config, limit=_MARKERS, revision=self.end)
        found = [self.store.get(self.keys.leader), *page.entries]
        there = [e for e in found if e is not None and self.start <= e.mod_revision <= self.end]
        for entry in sorted(there, key=lambda entry: entry.mod_revision)[-1:]:
            watch = self.store.watch(entry.key, self.start)
            stack.callback(watch.close)
            yield _Reading(entry.key, watch, {entry.key: entry.mod_revision}, marks=True)

    def _entries(self, prefix: str, revision: int) -> Iterator[Entry]:
        for entry in entries_below(self.store, prefix, revision=revision):
            if self._is_ours(entry.key, prefix):
                yield entry

    def _is_ours(self, key: str, prefix: str) -> bool:
        """Whether a key is the resource's, and not that of one whose id only begins with it."""
        return key == prefix or prefix.endswith(":")

    def _prefix(self, key: str) -> str:
        return next(
            each for each in self.prefixes if key.startswith(each) and self._is_ours(key, each)
        )

    def _follow(self, readings: list[_Reading], patience: float) -> None:
        began = heard = time.monotonic()
        pause = 0.0
        while True:
            came = [self._take(reading, pause) for reading in readings]
            now = time.monotonic()
            heard = now if any(came) else heard
            if all(reading.complete(self.end) for reading in readings):
                if now - heard >= patience:
                    return
            elif now - began > _LONGEST:
                raise StoreUnavailable(f"history did not come within {_LONGEST:g} s")
            pause = 0.0 if any(came) else min(0.02, patience)

    def _take(self, reading: _Reading, pause: float) -> bool:
        batch = reading.watch.poll(pause)
        if batch is None:
            return False
        reading.reached = max(reading.reached, batch.revision)
        for event in batch.events:
            if event.revision <= self.end and self._is_ours(event.key, reading.prefix):
                value = None if event.entry is None else event.entry.value
                change = _Change(event.revision, event.key, value)
                reading.last[event.key] = change
                if not reading.marks:
                    self.changes.append(change)
        return True


def _history(past: _Past, resource: ResourceRef, codec: Codec, redactor: Redactor) -> History:
    records = [_read(change, codec) for change in past.changes]
    secrets = frozenset[str]().union(
        *(secrets_in_record(record, codec, redactor) for record, _ in records)
    )
    before: dict[str, Record | None] = {}
    entries = []
    for change, (record, problem) in zip(past.changes, records, strict=True):
        entry = HistoryEntry(
            revision=change.revision,
            key=change.key,
            record=record,
            removed=change.value is None,
            problem=problem,
            differences=_compared(before.get(change.key), record, codec, redactor, secrets),
        )
        before[change.key] = record
        entries.append(entry)
    return History(
        resource=resource,
        revision=past.end,
        compacted=past.start - 1,
        entries=tuple(entries),
        secrets=secrets,
    )


def _read(change: _Change, codec: Codec) -> tuple[Record | None, str]:
    try:
        return (None if change.value is None else codec.loads(change.key, change.value)), ""
    except GohanJobsError as error:
        return None, str(error)


def _compared(
    before: Record | None,
    after: Record | None,
    codec: Codec,
    redactor: Redactor,
    secrets: frozenset[str],
) -> tuple[Difference, ...]:
    if before is None or after is None:
        return ()
    # From the records, not the texts: Gohan writes a body as a text within the text.
    old, new = (loads_json("record", codec.dumps(record)) for record in (before, after))
    return differences(old, new, redactor, secrets)
