"""Which versions have failed: the results with an error, the newest first. Nothing is written."""

from __future__ import annotations

from collections.abc import Iterator

import attrs

from gohan_jobs.codec import Codec
from gohan_jobs.exceptions import GohanJobsError
from gohan_jobs.inspection.resource_secrets import secrets_of
from gohan_jobs.inspection.statuses import FailedResult
from gohan_jobs.keys import ResourcePath
from gohan_jobs.redaction import Redactor
from gohan_jobs.stores.base import Entry, Reader, entries_below

__all__ = ["NAMED", "read_failures"]

NAMED = 100
"""How many failed results are named; the others are only counted."""

_NO_ERROR = (b'"error": ""', b'"error":""')


def read_failures(
    store: Reader, codec: Codec, revision: int, redactor: Redactor
) -> tuple[int, tuple[FailedResult, ...]]:
    """How many results have an error as of a revision, or can't be read; and the newest of them.

    Args:
        store: what is read: every result.
        codec: knows the keys, and reads records.
        revision: of the store.
        redactor: says what is secret.

    Raises:
        StoreError: the store can't be read.
    """
    count, failed = 0, list[Entry]()
    for entry in entries_below(store, codec.keys.state, revision=revision):
        if _has_failed(codec, entry):
            count += 1
            failed.append(entry)
            if len(failed) > 2 * NAMED:  # so that not all of them are kept
                failed = _newest(failed)
    return count, tuple(_scrubbed(store, codec, _newest(failed), redactor))


def _newest(entries: list[Entry]) -> list[Entry]:
    return sorted(entries, key=lambda entry: entry.mod_revision, reverse=True)[:NAMED]


def _has_failed(codec: Codec, entry: Entry) -> bool:
    if any(text in entry.value for text in _NO_ERROR):
        return False  # nearly all of them: parsing each would take most of the time
    try:
        return bool(codec.state(entry.key, entry.value).error)
    except GohanJobsError:
        return True


def _scrubbed(
    store: Reader, codec: Codec, entries: list[Entry], redactor: Redactor
) -> Iterator[FailedResult]:
    for entry in entries:
        found = _result(codec, entry)
        secrets = secrets_of(store, ResourcePath(found.path), codec, redactor)
        yield attrs.evolve(found, error=redactor.scrub(found.error, secrets))


def _result(codec: Codec, entry: Entry) -> FailedResult:
    path = entry.key.removeprefix(codec.keys.state)
    try:
        state = codec.state(entry.key, entry.value)
    except GohanJobsError as error:
        return FailedResult(path=path, revision=entry.mod_revision, error=str(error))
    return FailedResult(
        path=path,
        revision=entry.mod_revision,
        version=state.version,
        worker_state=str(state.worker_state),
        error=state.error,
    )
