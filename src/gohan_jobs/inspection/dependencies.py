"""Which unfinished job waits for which, read from the store. Nothing is written."""

from __future__ import annotations

from collections.abc import Iterable

from gohan_jobs.codec import Codec
from gohan_jobs.exceptions import GohanJobsError
from gohan_jobs.inspection.graphs import DependencyGraph
from gohan_jobs.inspection.queued import at_one_revision, read, read_place, read_queue
from gohan_jobs.keys import JobId, Place
from gohan_jobs.queue import Queue
from gohan_jobs.stores.base import Entry, Reader, Store, entries_below

__all__ = ["read_dependencies", "read_needs_of"]


def read_dependencies(store: Store, codec: Codec | None = None) -> DependencyGraph:
    """All unfinished jobs: every one's document is read, all as of one revision.

    A job whose document can't be read is there, and waits for nothing.

    Raises:
        StoreError: the store can't be read.
    """
    codec = codec or Codec()
    queue = Queue(codec.keys, codec)
    return at_one_revision(store, lambda revision: _all(store, queue, revision))


def _all(store: Reader, queue: Queue, revision: int) -> DependencyGraph:
    needs: dict[JobId, tuple[JobId, ...]] = {}
    for entry in entries_below(store, queue.keys.all_jobs, revision=revision):
        try:
            job_id = queue.keys.job_id_in(queue.keys.all_jobs, entry.key)
        except GohanJobsError:
            continue  # no job
        needs[job_id] = _needed(queue, entry)
    places = {job.job_id: job.place for job in read_queue(store, queue, revision)}
    return _graph({job: places.get(job) for job in needs}, needs)


def read_needs_of(
    store: Reader, job_ids: Iterable[JobId], codec: Codec | None = None
) -> DependencyGraph:
    """Some jobs and all that they wait for, directly or not: only their documents are read.

    Args:
        store: what is read.
        job_ids: the jobs; those that are gone by now are left out.
        codec: reads records.

    Raises:
        StoreError: the store can't be read.
    """
    codec = codec or Codec()
    queue = Queue(codec.keys, codec)
    places: dict[JobId, Place | None] = {}
    needs: dict[JobId, tuple[JobId, ...]] = {}
    left = list(job_ids)
    seen: set[JobId] = set()
    while left:
        job_id = left.pop()
        if job_id in seen:
            continue
        seen.add(job_id)
        entry = store.get(queue.keys.job(job_id))
        if entry is not None:
            places[job_id] = read_place(store, queue, job_id)[0]
            needs[job_id] = _needed(queue, entry)
            left += reversed(needs[job_id])
    return _graph(places, needs)


def _graph(
    places: dict[JobId, Place | None], needs: dict[JobId, tuple[JobId, ...]]
) -> DependencyGraph:
    """Without the dependencies that are done."""
    unfinished = {job: tuple(n for n in found if n in places) for job, found in needs.items()}
    return DependencyGraph(
        places=places, needs={job: found for job, found in unfinished.items() if found}
    )


def _needed(queue: Queue, entry: Entry) -> tuple[JobId, ...]:
    job = read(queue.read_job, entry)
    return () if job is None else tuple(dict.fromkeys(job.dependency))
