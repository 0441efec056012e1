"""From a key and a text to a record, and back."""

from __future__ import annotations

from typing import Any, TypeVar

from cattrs import Converter

from gohan_jobs.codec.converter import cached_converter
from gohan_jobs.codec.fields import Unexpected
from gohan_jobs.codec.problems import problems_of
from gohan_jobs.codec.spelling import Spelling, document_text, gohan_text, plain_text, worker_text
from gohan_jobs.codec.strict_json import MAX_LEVELS, deeper_than, loads_json
from gohan_jobs.exceptions import InvalidKey, InvalidRecord, Problem
from gohan_jobs.keys import Keys, RecordKind
from gohan_jobs.records import (
    ConfigRecord,
    HeatStack,
    Job,
    JobState,
    MonitoringRecord,
    ProcessedConfig,
    Record,
    StateRecord,
)

__all__ = ["Codec", "dumps", "loads"]

R = TypeVar("R")

_CLASSES: dict[RecordKind, type[Any]] = {
    RecordKind.CONFIG: ConfigRecord,
    RecordKind.PROCESSED: ProcessedConfig,
    RecordKind.JOB: Job,
    RecordKind.HEAT_STACK: HeatStack,
    RecordKind.JOB_STATE: JobState,
    RecordKind.STATE: StateRecord,
    RecordKind.MONITORING: MonitoringRecord,
}
_RECORDS = tuple(_CLASSES.values())


class Codec:
    """Reads and writes records under a choice of keys, with a converter that may be the caller's.

    Safe to call from several threads.

    Args:
        keys: where the records are stored.
        converter: one that :func:`configure_converter` has taught the records.
    """

    def __init__(self, keys: Keys | None = None, converter: Converter | None = None) -> None:
        self._keys = keys or Keys()
        self._converter = converter or cached_converter()
        self._detailed: Converter | None = None

    @property
    def keys(self) -> Keys:
        """Where the records are stored."""
        return self._keys

    @property
    def converter(self) -> Converter:
        """What structures and unstructures."""
        return self._converter

    def loads(self, key: str, text: str | bytes) -> Record:
        """The record at a key, from its text in any spelling.

        Args:
            key: decides which record it is; a job's must be its id's.
            text: what is stored there.

        Raises:
            InvalidKey: if no record belongs at the key.
            InvalidRecord: with everything that is wrong with the text. It holds no value of it.
        """
        kind = self._keys.kind(key)
        if kind is RecordKind.JOB:
            return self._job(key, text)
        record: Record = self._structure(key, text, _CLASSES[kind])
        return record

    def dumps(self, record: Record, spelling: Spelling | str = Spelling.DOCUMENT) -> str:
        """A record's text.

        Args:
            record: the record.
            spelling: a :class:`Spelling` or its value.

        Raises:
            ValueError: if there is no such spelling.
            TypeError: if it is no record.
            InvalidRecord: if something in the record can't be written as JSON that can be read
                back; its key is then the record's class.
        """
        if not isinstance(record, _RECORDS):
            raise TypeError(f"{type(record).__name__} is not a record")
        chosen = spelling if type(spelling) is Spelling else Spelling(spelling)
        try:
            text = _write(record, self._converter.unstructure(record), chosen)
            if not deeper_than(MAX_LEVELS, text):
                return text
            reason = f"more than {MAX_LEVELS} levels"
        except (ValueError, TypeError, RecursionError) as error:
            reason = str(error) if isinstance(error, Unexpected) else type(error).__name__
        raise InvalidRecord(type(record).__name__, (Problem("$", f"can't be written: {reason}"),))

    def config(self, key: str, text: str | bytes) -> ConfigRecord:
        """As :meth:`loads`, of a config's key."""
        return self._read(key, text, RecordKind.CONFIG, ConfigRecord)

    def processed(self, key: str, text: str | bytes) -> ProcessedConfig:
        """As :meth:`loads`, of a processed config's key."""
        return self._read(key, text, RecordKind.PROCESSED, ProcessedConfig)

    def job(self, key: str, text: str | bytes) -> Job:
        """As :meth:`loads`, of a job's key."""
        self._expect(key, RecordKind.JOB)
        return self._job(key, text)

    def heat_stack(self, key: str, text: str | bytes) -> HeatStack:
        """As :meth:`loads`, of a heat stack's key."""
        return self._read(key, text, RecordKind.HEAT_STACK, HeatStack)

    def job_state(self, key: str, text: str | bytes) -> JobState:
        """As :meth:`loads`, of a job state's key."""
        return self._read(key, text, RecordKind.JOB_STATE, JobState)

    def state(self, key: str, text: str | bytes) -> StateRecord:
        """As :meth:`loads`, of a state's key."""
        return self._read(key, text, RecordKind.STATE, StateRecord)

    def monitoring(self, key: str, text: str | bytes) -> MonitoringRecord:
        """As :meth:`loads`, of a monitoring status's key."""
        return self._read(key, text, RecordKind.MONITORING, MonitoringRecord)

    def _read(self, key: str, text: str | bytes, kind: RecordKind, record: type[R]) -> R:
        self._expect(key, kind)
        return self._structure(key, text, record)

    def _expect(self, key: str, kind: RecordKind) -> None:
        found = self._keys.kind(key)
        if found is not kind:
            raise InvalidKey(key, f"the key of a {found.value}, expected that of a {kind.value}")

    def _job(self, key: str, text: str | bytes) -> Job:
        try:
            job = self._structure(key, text, Job)
        except InvalidRecord:
            self._keys.parse(key)
            raise
        # The id has been parsed with the document: an equal key needs no second look.
        if self._keys.job(job.id) != key:
            self._keys.parse(key)
            raise InvalidRecord(key, (Problem("$[1].id", "not the id in the key"),))
        return job

    def _structure(self, key: str, text: str | bytes, record: type[R]) -> R:
        value = loads_json(key, text)
        try:
            return self._converter.structure(value, record)
        except Exception:  # noqa: BLE001 - whatever a hook raises, the document is refused
            problems = self._problems(value, record)
        # Outside the handler: a traceback's frames hold values.
        raise InvalidRecord(key, problems)

    def _problems(self, value: Any, record: type[Any]) -> tuple[Problem, ...]:
        """Structure once more, slowly, to find everything that is wrong."""
        if self._detailed is None:
            self._detailed = self._converter.copy(detailed_validation=True)
        try:
            self._detailed.structure(value, record)
        except Exception as error:  # noqa: BLE001 - as above
            return tuple(problems_of(error))
        return (Problem("$", "too many levels for what is left of the stack"),)


def _write(record: Record, value: Any, spelling: Spelling) -> str:
    if spelling is Spelling.DOCUMENT:
        return document_text(value)
    if spelling is Spelling.WORKER:
        # A worker kept a job's keys in the documented order and sorted all others.
        return plain_text(value) if isinstance(record, Job) else worker_text(value)
    if isinstance(record, ConfigRecord):
        value = {**value, "body": _gohan_body(value["body"])}
    return gohan_text(value)


def _gohan_body(body: Any) -> str:
    text = gohan_text(body)
    if deeper_than(MAX_LEVELS - 1, text):
        raise Unexpected(f"more than {MAX_LEVELS - 1} levels")
    return text


_DEFAULT = Codec()


def loads(key: str, text: str | bytes) -> Record:
    """The record at a documented key, from its text in any spelling.

    Args:
        key: decides which record it is; a job's must be its id's.
        text: what is stored there.

    Raises:
        InvalidKey: if no record belongs at the key.
        InvalidRecord: with everything that is wrong with the text. It holds no value of it.
    """
    return _DEFAULT.loads(key, text)


def dumps(record: Record, spelling: Spelling | str = Spelling.DOCUMENT) -> str:
    """A record's text.

    Args:
        record: the record.
        spelling: a :class:`Spelling` or its value; the documents' own by default.

    Raises:
        ValueError: if there is no such spelling.
        TypeError: if it is no record.
        InvalidRecord: if something in the record can't be written as JSON that can be read back;
            its key is then the record's class.
    """
    return _DEFAULT.dumps(record, spelling)
