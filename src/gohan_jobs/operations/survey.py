"""What a dump's file holds, and whether all of it can be loaded: found before anything is written.

A file is read several times, line by line, so that no values are kept.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator

import attrs

from gohan_jobs.bookkeeping import Bookkeeping
from gohan_jobs.exceptions import InvalidKey, OperationRefused
from gohan_jobs.keys import JobId, Keys, Place
from gohan_jobs.operations.dumping import Dumped, DumpHeader, is_dumped, read_dump
from gohan_jobs.stores.base import Compare, Put, Transaction
from gohan_jobs.stores.transactions import MAX_REQUEST_BYTES, request_bytes

__all__ = ["Revisions", "Survey", "creation", "digest"]

_ROOM = 128
"""Bytes by which notes may grow when their revisions are translated: some numbers do."""


@attrs.frozen
class Revisions:
    """When a key was created and changed last.

    Attributes:
        create: the revision of its creation.
        mod: that of its last change.
    """

    create: int
    mod: int


def creation(items: Iterable[Dumped], keys: Keys) -> Transaction:
    """Create keys, all or none, while nobody leads."""
    compares, puts = [Compare.absent(keys.leader)], []
    for item in items:
        compares.append(Compare.absent(item.key))
        puts.append(Put(item.key, item.value))
    return Transaction(tuple(compares), tuple(puts))


def digest(value: bytes) -> bytes:
    """What tells a value from others, and is short."""
    return hashlib.blake2b(value, digest_size=16).digest()


class Survey:
    """What is in a file, once it has been read.

    Args:
        lines: gives the file's lines, each time it is called.
        keys: where everything is stored.

    Attributes:
        digests: every key in it, with its value's digest.
        revisions: of the keys that something else may name revisions of.
        documents: the jobs' keys with their create revisions, which say in which order they come.
        format: the keyspace's format, if it says one.
        working: jobs that were being worked on.
        largest: the longest request that has to be sent for one key, in bytes, and the key.
    """

    def __init__(self, lines: Callable[[], Iterable[bytes]], keys: Keys) -> None:
        self._lines = lines
        self._keys = keys
        self._own = Bookkeeping(keys)
        self._forget()

    def _forget(self) -> None:
        self.digests: dict[str, bytes] = {}
        self.revisions: dict[str, Revisions] = {}
        self.documents: list[tuple[int, str]] = []
        self.format: bytes | None = None
        self.working: dict[JobId, None] = {}
        self.largest: tuple[int, str] = (0, "")
        self._preempted: set[str] = set()
        self._problems: list[tuple[str, str]] = []

    def read(self) -> None:
        """Read the file.

        Raises:
            OperationRefused: it is no whole dump, or its secrets are masked.
        """
        self._forget()
        for item in read_dump(self._lines()):
            self._look_at(item)

    def check(self) -> None:
        """See that all of it can be loaded.

        Raises:
            OperationRefused: a key is none of a deployment's, stands there twice, or is larger with
                its value than the store takes; all such keys are named.
        """
        told = [f"{key}: {reason}" for key, reason in self._problems]
        if len(told) == 1:
            raise OperationRefused(*self._problems[0])
        if told:
            raise OperationRefused("the dump", f"can't be loaded: {'; '.join(told)}")

    def items(self) -> Iterator[Dumped]:
        """Each key of the file, read anew."""
        return (item for item in read_dump(self._lines()) if isinstance(item, Dumped))

    def returning(self) -> Iterator[JobId]:
        """Jobs that were being worked on; the leader ends those that were to be ended."""
        for job_id in self.working:
            if self._own.preempt(job_id) not in self._preempted:
                yield job_id

    def put_back(self) -> Iterator[Dumped]:
        """The places of the jobs that were being worked on: they wait."""
        for job_id in self.returning():
            key = self._keys.place(Place.WAITING, job_id)
            yield Dumped(key=key, value=job_id.handler.encode(), create=0, mod=0)

    @property
    def marks(self) -> set[str]:
        """The keys that tell what the keyspace is; a load writes its own."""
        return {self._own.format_key, self._own.cluster_key}

    @property
    def about_revisions(self) -> tuple[str, ...]:
        """Prefixes of what names revisions of other keys."""
        own = self._own
        return own.jobs_prefix, own.quarantine_prefix, own.held_prefix, own.retries_prefix

    def is_left_out(self, item: Dumped) -> bool:
        """Whether it does not come back where it was, whatever it says."""
        working = self._keys.place_prefix(Place.WORKING)
        return item.leased or item.key in self.marks or item.key.startswith(working)

    def _look_at(self, item: DumpHeader | Dumped) -> None:
        if isinstance(item, DumpHeader):
            if item.redacted:
                raise OperationRefused("the dump", "its secrets are masked: it can't be loaded")
            return
        self._problems += ((item.key, reason) for reason in self._reasons(item))
        self.digests[item.key] = digest(item.value)
        self._note(item)

    def _reasons(self, item: Dumped) -> Iterator[str]:
        if not is_dumped(self._keys, item.key):
            yield "is none of a deployment's keys"
        if item.key in self.digests:
            yield "stands in the dump twice"
        if not self.is_left_out(item):
            size = request_bytes(creation([item], self._keys))
            size += _ROOM if item.key.startswith(self.about_revisions) else 0
            self.largest = max(self.largest, (size, item.key))
            if size > MAX_REQUEST_BYTES:
                yield f"{size} bytes to write, the store takes {MAX_REQUEST_BYTES}"

    def _note(self, item: Dumped) -> None:
        keys, key = self._keys, item.key
        if key.startswith((keys.config, keys.jobs, self._own.jobs_prefix)):
            self.revisions[key] = Revisions(item.create, item.mod)
        if key.startswith(keys.all_jobs):
            self.documents.append((item.create, key))
        if key.startswith(keys.place_prefix(Place.WORKING)):
            self._note_working(key)
        if key.startswith(self._own.preempt_prefix):
            self._preempted.add(key)
        if key == self._own.format_key:
            self.format = item.value

    def _note_working(self, key: str) -> None:
        try:
            job_id = self._keys.job_id_in(self._keys.place_prefix(Place.WORKING), key)
        except InvalidKey:
            return
        self.working[job_id] = None
