"""A dump back into a store that has nothing of a deployment yet.

Values come back byte for byte; revisions do not: each key is created anew. What refers to a
revision is translated: the notes on a job name the config and the template it was planned from, and
what is held, set aside or asked for names the version it is about (``rules`` 1, 9, 10, 15). What is
about an earlier version is left out. The order in which configs and results were written is kept
where it tells something.

What hangs on a lease is left out, too: its owner is not there. A job that was being worked on comes
back as waiting, and as begun, so that it goes on and nobody forgets the stack it may have.

What can't be loaded is found before anything is written. Until all is there the keyspace's format
says ``loading``, so that no job manager starts on a half; a load that was cut off is repeated, or
taken back (:mod:`gohan_jobs.operations.undoing`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import attrs

from gohan_jobs.bookkeeping import Bookkeeping, Held, JobNotes, Quarantined, RetryRequest
from gohan_jobs.exceptions import InvalidRecord, OperationRefused, TransactionTooLarge
from gohan_jobs.keys import JobId, Keys
from gohan_jobs.operations.dumping import Dumped, dumped_entries
from gohan_jobs.operations.survey import Revisions, Survey, creation, digest
from gohan_jobs.stores.base import Compare, Delete, Operation, Put, Store, Transaction
from gohan_jobs.stores.transactions import request_bytes

__all__ = ["LOADING", "Loaded", "Restorer"]

LOADING = "loading"
"""What the keyspace's format is while a dump is being loaded: no job manager takes it for its."""

_KEYS = 50
_BYTES = 2**20
_NAMED = 5
_SLACK = 16
"""Bytes that the lengths in a request take at most, should it grow to etcd's limit."""
_NEVER = 1
"""A create revision that no key has: the first write makes revision 2."""


@attrs.frozen(kw_only=True)
class Loaded:
    """What has been loaded.

    Attributes:
        entries: keys that are there now.
        left_out: keys of the dump that are not: leased ones, and notes that were void.
        put_back: jobs that were being worked on, and wait now.
    """

    entries: int
    left_out: int
    put_back: tuple[JobId, ...]


class Restorer:
    """Loads one dump.

    Args:
        store: where to.
        lines: gives the file's lines, each time it is called.
        keys: where everything is stored; the documented keys if None.
    """

    def __init__(
        self, store: Store, lines: Callable[[], Iterable[bytes]], keys: Keys | None = None
    ) -> None:
        self._store = store
        self._keys = keys or Keys()
        self._own = Bookkeeping(self._keys)
        self._survey = Survey(lines, self._keys)
        self._new: dict[str, Revisions] = {}
        self._digests: dict[str, bytes] = {}
        self._there: dict[str, bytes] = {}
        self._whole = False
        self._unfinished = False

    @property
    def unfinished(self) -> bool:
        """Whether the keyspace was half loaded when it was looked at last."""
        return self._unfinished

    def load(self) -> Loaded:
        """Write what is not there yet, and verify all of it; to be repeated after an error.

        Raises:
            OperationRefused: the file is no whole dump, or redacted, or a key of it can't be
                loaded, and nothing was written; or the keyspace has something else, or a leader.
            StoreError: the store failed; load again, and it goes on, or take it back with
                :func:`~gohan_jobs.operations.undoing.undo_load`.
        """
        self._survey.read()
        self._survey.check()
        self._check_empty()
        self._whole = self._begin()
        for phase in (self._earlier, self._is_config, self._is_other):
            self._write(item for item in self._survey.items() if phase(item))
        self._write(iter(self._sorted_documents()))
        self._note_new_revisions()
        self._write(filter(None, map(self._translated, self._survey.items())))
        if not self._whole:
            self._end()
        self._verify()
        return Loaded(
            entries=len(self._digests),
            left_out=len(self._survey.digests.keys() - self._digests.keys() - self._survey.marks),
            put_back=tuple(self._survey.returning()),
        )

    # Before and after.

    def _check_empty(self) -> None:
        survey = self._survey
        known = survey.digests.keys() | survey.marks | {item.key for item in survey.put_back()}
        strangers: list[str] = []
        self._there, self._digests = {}, {}
        for entry in dumped_entries(self._store, self._keys, self._store.revision()):
            self._there[entry.key] = digest(entry.value)
            if entry.lease or entry.key not in known:
                strangers.append(entry.key)
        mark = self._there.get(self._own.format_key)
        self._unfinished = mark == digest(LOADING.encode())
        if strangers:
            more = len(strangers) - _NAMED
            named = ", ".join(strangers[:_NAMED]) + (f" and {more} more" if more > 0 else "")
            raise OperationRefused("the keyspace", f"is not empty: {named}")

    def _begin(self) -> bool:
        """Mark the keyspace as half; whether it is whole already."""
        key = self._own.format_key
        found = self._store.get(key)
        if found is None:
            self._mark_half()
            self._unfinished = True
            return False
        if found.value not in {LOADING.encode(), self._survey.format}:
            raise OperationRefused(key, "says that the keyspace is another release's")
        return found.value != LOADING.encode()

    def _mark_half(self) -> None:
        """Write the mark, if the server takes a request as large as the largest to come.

        It may have been set up with smaller limits than etcd's own, which nobody can read.
        """
        key = self._own.format_key
        size, largest = self._survey.largest
        room = size - request_bytes(self._half(largest, b"")) - _SLACK
        try:
            self._transact(self._half(largest, bytes(max(0, room))), key)
        except TransactionTooLarge as error:
            reason = f"{size} bytes to write, and this server takes less: see --max-request-bytes"
            raise OperationRefused(largest, reason) from error

    def _half(self, largest: str, padding: bytes) -> Transaction:
        """The mark, and a write that is sent and never done."""
        key, leader = self._own.format_key, self._keys.leader
        mark = Put(key, LOADING.encode())
        never = (Compare.absent(leader), Compare.present(leader))
        probe = (Transaction(never, (Put(largest, padding),)),) if largest else ()
        return Transaction((Compare.absent(key), self._no_leader), (mark, *probe))

    def _end(self) -> None:
        """The keyspace is whole, and in this cluster from now on: revisions count from here."""
        key, cluster = self._own.format_key, self._own.cluster_key
        operations: tuple[Operation, ...] = (Delete(key),)
        if self._survey.format is not None:
            here = self._store.cluster_id().encode()
            operations = (Put(key, self._survey.format), Put(cluster, here))
        half = Compare.value_is(key, LOADING.encode())
        self._transact(Transaction((half, self._no_leader), operations), key)
        self._unfinished = False

    @property
    def _no_leader(self) -> Compare:
        return Compare.absent(self._keys.leader)

    def _transact(self, transaction: Transaction, key: str) -> None:
        if not self._store.transact(transaction).succeeded:
            raise OperationRefused(key, "somebody else works in this keyspace")

    # Which, and in which order.

    def _earlier(self, item: Dumped) -> bool:
        """A result, or a copy, of what stood at its config's key before."""
        config = self._survey.revisions.get(self._keys.config + self._path(item.key))
        return config is not None and item.mod < config.mod and self._is_plain(item)

    def _is_config(self, item: Dumped) -> bool:
        return item.key.startswith(self._keys.config) and self._is_plain(item)

    def _is_other(self, item: Dumped) -> bool:
        if item.key.startswith(self._keys.all_jobs) or self._earlier(item):
            return False
        return not self._is_config(item) and self._is_plain(item)

    def _path(self, key: str) -> str:
        for prefix in (self._keys.state, self._keys.processed_prefix):
            if key.startswith(prefix):
                return key.removeprefix(prefix)
        return ""

    def _is_plain(self, item: Dumped) -> bool:
        """Whether it comes back as it is."""
        about_revisions = item.key.startswith(self._survey.about_revisions)
        return not self._survey.is_left_out(item) and not about_revisions

    def _sorted_documents(self) -> Iterator[Dumped]:
        """Jobs in the order in which they were planned, then the places of those put back."""
        by_key = {
            item.key: item
            for item in self._survey.items()
            if item.key.startswith(self._keys.all_jobs)
        }
        for _, key in sorted(self._survey.documents):
            yield by_key[key]
        yield from self._survey.put_back()

    # What is about revisions.

    def _note_new_revisions(self) -> None:
        for entry in dumped_entries(self._store, self._keys, self._store.revision()):
            if entry.key in self._survey.revisions:
                self._new[entry.key] = Revisions(entry.create_revision, entry.mod_revision)

    def _translated(self, item: Dumped) -> Dumped | None:
        """What is about revisions, about those that are now; None for what is void, or another."""
        own = self._own
        if item.leased or not item.key.startswith(self._survey.about_revisions):
            return None
        try:
            if item.key.startswith(own.jobs_prefix):
                return self._with(item, self._job_notes(item))
            if item.key.startswith(own.quarantine_prefix):
                return self._with(item, self._quarantined(item))
            if item.key.startswith(own.held_prefix):
                return self._with(item, self._held(item))
            return self._with(item, self._retry(item))
        except InvalidRecord:
            return item  # what nobody can read stays as it is

    def _with(
        self, item: Dumped, notes: JobNotes | Quarantined | Held | RetryRequest | None
    ) -> Dumped | None:
        return None if notes is None else attrs.evolve(item, value=self._own.dumps(notes))

    def _job_notes(self, item: Dumped) -> JobNotes:
        notes = self._own.loads(item.key, item.value, JobNotes)
        keys = self._keys
        config = keys.config + notes.path
        template = f"{keys.config}{keys.templates}{notes.template_id}"
        working = item.key.removeprefix(self._own.jobs_prefix) in set(
            map(str, self._survey.working)
        )
        return attrs.evolve(
            notes,
            begun=notes.begun or working,
            config_create=self._created(config, notes.config_create),
            config_mod=self._modified(config, notes.config_mod),
            template_revision=self._same(template, notes.template_revision) or 0,
        )

    def _revisions(self, key: str) -> tuple[Revisions | None, Revisions | None]:
        """A key's in the dump, and now."""
        return self._survey.revisions.get(key), self._new.get(key)

    def _created(self, config: str, create: int) -> int:
        """The create revision of the same config; one that never was if it is another by now."""
        old, new = self._revisions(config)
        if create == 0:
            return 0
        return _NEVER if old is None or new is None or old.create != create else new.create

    def _modified(self, config: str, mod: int) -> int:
        """A mod revision that stands to those of the same config as it did."""
        old, new = self._revisions(config)
        return mod if mod == 0 or old is None or new is None else new.mod - (old.mod - mod)

    def _same(self, key: str, mod: int) -> int | None:
        """The mod revision of a key now, if it was that one; None if it was another."""
        old, new = self._revisions(key)
        return None if old is None or new is None or old.mod != mod else new.mod

    def _quarantined(self, item: Dumped) -> Quarantined | None:
        found = self._own.loads(item.key, item.value, Quarantined)
        mod = self._same(found.key, found.mod_revision)
        return None if mod is None else attrs.evolve(found, mod_revision=mod)

    def _held(self, item: Dumped) -> Held | None:
        found = self._own.loads(item.key, item.value, Held)
        if found.config_mod == 0:
            return found
        config = self._keys.config + item.key.removeprefix(self._own.held_prefix)
        mod = self._same(config, found.config_mod)
        return None if mod is None else attrs.evolve(found, config_mod=mod)

    def _retry(self, item: Dumped) -> RetryRequest | None:
        found = self._own.loads(item.key, item.value, RetryRequest)
        config = self._keys.config + item.key.removeprefix(self._own.retries_prefix)
        mod = self._same(config, found.config_mod)
        return None if mod is None else attrs.evolve(found, config_mod=mod)

    # Writing.

    def _write(self, items: Iterator[Dumped]) -> None:
        batch: list[Dumped] = []
        size = 0
        for item in items:
            self._digests[item.key] = digest(item.value)
            if not self._is_missing(item):
                continue
            length = request_bytes(creation([item], self._keys))
            if batch and (len(batch) >= _KEYS or size + length > _BYTES):
                self._write_batch(batch)
                batch, size = [], 0
            batch.append(item)
            size += length
        if batch:
            self._write_batch(batch)

    def _is_missing(self, item: Dumped) -> bool:
        """Whether it has to be written; never again into a keyspace that was whole once."""
        there = self._there.get(item.key)
        if there is None and self._whole:
            raise OperationRefused(item.key, "is gone since the dump was loaded")
        if there not in {None, self._digests[item.key]}:
            raise OperationRefused(item.key, "holds another value than the dump")
        return there is None

    def _write_batch(self, batch: list[Dumped]) -> None:
        """Write some keys, all or none, unless they are there already.

        Of a server with smaller limits than etcd's own, half as many at once.
        """
        missing = batch
        while missing:
            try:
                if self._store.transact(creation(missing, self._keys)).succeeded:
                    return
            except TransactionTooLarge:
                if len(missing) == 1:
                    raise
                for half in (missing[: len(missing) // 2], missing[len(missing) // 2 :]):
                    self._write_batch(half)
                return
            if self._store.get(self._keys.leader) is not None:
                raise OperationRefused(self._keys.leader, "a job manager works in this keyspace")
            missing = [item for item in missing if not self._is_there(item)]

    def _is_there(self, item: Dumped) -> bool:
        entry = self._store.get(item.key)
        if entry is not None and entry.value != item.value:
            raise OperationRefused(item.key, "holds another value than the dump")
        return entry is not None

    def _verify(self) -> None:
        """Read all of it again, and compare."""
        found = {
            entry.key: digest(entry.value)
            for entry in dumped_entries(self._store, self._keys, self._store.revision())
            if entry.key not in self._survey.marks
        }
        for key in sorted(found.keys() | self._digests.keys()):
            if found.get(key) != self._digests.get(key):
                raise OperationRefused(key, "is not as in the dump, though it was loaded")
