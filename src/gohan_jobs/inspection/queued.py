"""The unfinished jobs, read from their places and the notes on them: no document is parsed."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import attrs

from gohan_jobs.bookkeeping import JobNotes
from gohan_jobs.clock import Clock, seconds_since
from gohan_jobs.exceptions import Compacted, GohanJobsError
from gohan_jobs.keys import JobId, Place
from gohan_jobs.queue import Queue
from gohan_jobs.stores.base import Entry, Reader, Store, entries_below

__all__ = ["QueuedJob", "at_one_revision", "read", "read_place", "read_queue"]

_ATTEMPTS = 5

T = TypeVar("T")


@attrs.frozen(kw_only=True)
class QueuedJob:
    """An unfinished job as its place and its notes tell of it.

    Attributes:
        job_id: which.
        place: where it stands; None: nowhere, which the leader repairs.
        claim: of the reservation, while a worker has it; None otherwise.
        notes: on it; None if there are none, or they can't be read.
        order: revision at which it was planned, as far as that is known.
    """

    job_id: JobId
    place: Place | None
    claim: Entry | None
    notes: JobNotes | None
    order: int

    def age(self, clock: Clock) -> float | None:
        """Seconds since it was planned; None if nobody knows."""
        return None if self.notes is None else seconds_since(self.notes.planned_at, clock)


def at_one_revision(store: Store, read: Callable[[int], T]) -> T:
    """Read as of now; again if history is compacted meanwhile.

    Args:
        store: tells which revision that is.
        read: given the revision, reads everything as of it.

    Raises:
        Compacted: it was, time after time.
    """
    for _ in range(_ATTEMPTS - 1):
        try:
            return read(store.revision())
        except Compacted:
            continue
    return read(store.revision())


def read(reader: Callable[[Entry], T], entry: Entry | None) -> T | None:
    """What an entry says; None if it is not there, or can't be read."""
    if entry is None:
        return None
    try:
        return reader(entry)
    except GohanJobsError:
        return None


def read_place(store: Reader, queue: Queue, job_id: JobId) -> tuple[Place | None, Entry | None]:
    """Where a job stands, and what stands there; None for nowhere."""
    for place in Place:
        entry = store.get(queue.keys.place(place, job_id))
        if entry is not None:
            return place, entry
    return None, None


def read_queue(store: Reader, queue: Queue, revision: int) -> tuple[QueuedJob, ...]:
    """Every job that stands somewhere or has notes, as of a revision, in no order.

    Of two places, which an old worker can leave behind, the later one counts, as for the leader.

    Raises:
        Compacted: the revision is no longer in the history.
    """
    places = _places(store, queue, revision)
    prefix = queue.own.jobs_prefix
    notes = {e.key.removeprefix(prefix): e for e in entries_below(store, prefix, revision=revision)}
    names = [*places, *(name for name in notes if name not in places)]
    found = (_joined(queue, name, places.get(name), notes.get(name)) for name in names)
    return tuple(job for job in found if job is not None)


def _places(store: Reader, queue: Queue, revision: int) -> dict[str, tuple[Place, Entry]]:
    found: dict[str, tuple[Place, Entry]] = {}
    for place in Place:
        prefix = queue.keys.place_prefix(place)
        for entry in entries_below(store, prefix, revision=revision):
            known = found.get(name := entry.key.removeprefix(prefix))
            if known is None or known[1].mod_revision < entry.mod_revision:
                found[name] = place, entry
    return found


def _joined(
    queue: Queue, name: str, placed: tuple[Place, Entry] | None, noted: Entry | None
) -> QueuedJob | None:
    try:
        job_id = JobId.parse(name)
    except GohanJobsError:
        return None
    place, entry = placed or (None, None)
    first = noted or entry
    assert first is not None  # noqa: S101 - its name comes from one of the two
    return QueuedJob(
        job_id=job_id,
        place=place,
        claim=entry if place is Place.WORKING else None,
        notes=read(lambda e: queue.own.loads(e.key, e.value, JobNotes), noted),
        order=first.create_revision,
    )
