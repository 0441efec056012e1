"""Records as they change, of whatever is selected, across compactions. Nothing is written."""

from __future__ import annotations

import enum
import threading
from types import TracebackType
from typing import Self

import attrs

from gohan_jobs.codec import Codec
from gohan_jobs.exceptions import Compacted, GohanJobsError, InvalidKey
from gohan_jobs.inspection.resource_secrets import secrets_in_record, secrets_of
from gohan_jobs.keys import JobId, Keys, Place
from gohan_jobs.records import HeatStack, JobState, Record, StateRecord
from gohan_jobs.redaction import Redactor
from gohan_jobs.stores.base import Event, Store, Watch

__all__ = ["Gap", "RecordChange", "RecordWatch", "Selection", "WatchedKind"]


class WatchedKind(enum.StrEnum):
    """What can be watched."""

    CONFIG = "config"
    PROCESSED = "processed"
    JOBS = "jobs"
    HEAT_STACKS = "heat_stacks"
    JOB_STATE = "job_state"
    STATE = "state"
    MONITORING = "monitoring"

    def prefix(self, keys: Keys) -> str:
        """Where that is stored; the jobs' places come with their documents."""
        return {
            WatchedKind.CONFIG: keys.config,
            WatchedKind.PROCESSED: keys.processed_prefix,
            WatchedKind.JOBS: keys.jobs,
            WatchedKind.HEAT_STACKS: keys.heat_stack_prefix,
            WatchedKind.JOB_STATE: f"{keys.worker}job_state/",
            WatchedKind.STATE: keys.state,
            WatchedKind.MONITORING: keys.monitoring,
        }[self]


@attrs.frozen(kw_only=True)
class Selection:
    """Which keys are watched; of a resource, type and path go together.

    Attributes:
        kinds: which kinds of records.
        prefix: instead of them, everything that begins so.
        resource_type: only of resources of that type.
        schema_prefix: that type's, ``v2.0/ports``.
        resource_id: only of resources of that id.
    """

    kinds: tuple[WatchedKind, ...] = tuple(WatchedKind)
    prefix: str = ""
    resource_type: str = ""
    schema_prefix: str = ""
    resource_id: str = ""

    def prefixes(self, keys: Keys) -> tuple[str, ...]:
        """What has to be watched for it."""
        if self.prefix:
            return (self.prefix,)
        return tuple(self._below(kind.prefix(keys), kind) for kind in self.kinds)

    def _below(self, prefix: str, kind: WatchedKind) -> str:
        if not self.schema_prefix or kind is WatchedKind.JOBS:
            return prefix
        return f"{prefix}{self.schema_prefix}/{self.resource_id}"

    def admits(self, key: str, job_id: JobId | None) -> bool:
        """Whether a key under one of the prefixes is meant.

        Args:
            key: the key.
            job_id: the job whose it is; None for what is no job's.
        """
        if job_id is not None:
            return self.resource_type in {"", job_id.resource_type} and self.resource_id in {
                "",
                job_id.resource_id,
            }
        return not self.resource_id or key.rpartition("/")[2] == self.resource_id


@attrs.frozen(kw_only=True)
class RecordChange:
    """One change of one key.

    Attributes:
        revision: of the store.
        key: which.
        removed: whether it went.
        record: what is there now; None if nothing is, or it is no record or can't be read.
        job_id: the job whose document or place it is; None for all else.
        place: where the job came to stand, or left; None for what is no place.
        text: what is there, if it is no record's key; bytes that are no text are replaced.
        problem: why the record can't be read; empty if it can.
        secrets: what to mask in whatever is shown of it.
    """

    revision: int
    key: str
    removed: bool = False
    record: Record | None = None
    job_id: JobId | None = None
    place: Place | None = None
    text: str = attrs.field(default="", repr=False)
    problem: str = ""
    secrets: frozenset[str] = attrs.field(default=frozenset(), repr=False)


@attrs.frozen(kw_only=True)
class Gap:
    """Changes that nobody can tell of any more: history was compacted before they were read.

    Attributes:
        prefix: under which they were.
        first: the first revision that is missing.
        last: the last one.
    """

    prefix: str
    first: int
    last: int


class RecordWatch:
    """Follows what is selected. One thread polls it; a context manager.

    Losing the connection loses nothing: the store's watches go on where they were. What was
    compacted meanwhile is told as a gap.

    Args:
        store: what is watched.
        selection: which keys.
        start: the first revision to tell of; 0: from now on.
        codec: reads records.
        redactor: says what is secret.
    """

    def __init__(
        self,
        store: Store,
        selection: Selection | None = None,
        start: int = 0,
        *,
        codec: Codec | None = None,
        redactor: Redactor | None = None,
    ) -> None:
        self._store = store
        self._selection = selection or Selection()
        self._codec = codec or Codec()
        self._redactor = redactor or Redactor()
        self._woken = threading.Event()
        first = start or store.revision() + 1
        prefixes = self._selection.prefixes(self._codec.keys)
        self._next: dict[str, int] = dict.fromkeys(prefixes, first)
        self._watches: dict[str, Watch] = {}

    def poll(self, timeout: float = 0.0) -> tuple[RecordChange | Gap, ...]:
        """What has happened since the last call, waiting up to ``timeout`` seconds for any.

        Changes of different kinds come in the order of their revisions as far as they come
        together.

        Raises:
            StoreRefused: the user may not watch a prefix.
            StoreError: the store can't be read.
        """
        self._woken.clear()
        found = self._take()
        if not found and timeout > 0 and self._woken.wait(timeout):
            found = self._take()
        return found

    def _take(self) -> tuple[RecordChange | Gap, ...]:
        gaps: list[RecordChange | Gap] = []
        events: list[Event] = []
        for prefix in self._next:
            try:
                events += self._events(prefix)
            except Compacted as error:
                gaps.append(self._skip(prefix, error.revision))
        events.sort(key=lambda event: event.revision)
        changes = (self._change(event) for event in events)
        return (*gaps, *(change for change in changes if change is not None))

    def _events(self, prefix: str) -> list[Event]:
        events: list[Event] = []
        if prefix not in self._watches:
            self._watches[prefix] = self._store.watch(
                prefix, self._next[prefix], wake=self._woken.set
            )
        while (batch := self._watches[prefix].poll()) is not None:
            self._next[prefix] = batch.revision + 1
            events += batch.events
        return events

    def _skip(self, prefix: str, revision: int) -> Gap:
        """Go on after what has been compacted."""
        watch = self._watches.pop(prefix, None)
        if watch is not None:
            watch.close()
        gap = Gap(prefix=prefix, first=self._next[prefix], last=revision)
        self._next[prefix] = revision + 1
        self._woken.set()
        return gap

    def _change(self, event: Event) -> RecordChange | None:
        job_id, place = self._job(event.key)
        if not self._selection.admits(event.key, job_id):
            return None
        change = RecordChange(
            revision=event.revision,
            key=event.key,
            removed=event.entry is None,
            job_id=job_id,
            place=place,
        )
        return change if event.entry is None else self._read(change, event.entry.value)

    def _read(self, change: RecordChange, value: bytes) -> RecordChange:
        try:
            record = self._codec.loads(change.key, value)
        except InvalidKey:
            return attrs.evolve(change, text=value.decode(errors="replace"))
        except GohanJobsError as error:
            return attrs.evolve(change, problem=str(error))
        return attrs.evolve(change, record=record, secrets=self._secrets(change.key, record))

    def _job(self, key: str) -> tuple[JobId | None, Place | None]:
        """The job whose document or place a key is, and which place."""
        keys = self._codec.keys
        prefixes = {keys.all_jobs: None, **{keys.place_prefix(place): place for place in Place}}
        for prefix, place in prefixes.items():
            if key.startswith(prefix):
                try:
                    return JobId.parse(key.removeprefix(prefix)), place
                except InvalidKey:
                    return None, None
        return None, None

    def _secrets(self, key: str, record: Record) -> frozenset[str]:
        """What may stand in a record's words: those of its resource, if it has any words."""
        words = ""
        if isinstance(record, StateRecord | JobState):
            words = record.error or ""
        elif isinstance(record, HeatStack):
            words = record.status_reason
        if not words:
            return secrets_in_record(record, self._codec, self._redactor)
        path = self._codec.keys.parse(key).path
        return secrets_of(self._store, path, self._codec, self._redactor)

    def close(self) -> None:
        """Stop; idempotent."""
        while self._watches:
            self._watches.popitem()[1].close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
