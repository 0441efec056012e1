"""Which jobs their holders shall end: a delete of their resource comes next (``rules`` 8)."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from gohan_jobs.bookkeeping import Bookkeeping
from gohan_jobs.exceptions import InvalidKey, StoreError
from gohan_jobs.keys import JobId
from gohan_jobs.stores.base import EventKind, Store, Watch

__all__ = ["Preemptions"]


class Preemptions:
    """Pre-emptions, of any worker's jobs, as they are written. Not thread-safe.

    Args:
        store: where they are.
        own: under which keys.
        wake: called, on any thread, when :meth:`poll` may have something.
    """

    def __init__(self, store: Store, own: Bookkeeping, wake: Callable[[], None] | None) -> None:
        self._store = store
        self._own = own
        self._wake = wake
        self._watch: Watch | None = None

    @property
    def followed(self) -> bool:
        """Whether they are watched."""
        return self._watch is not None

    def follow(self, jobs: Iterable[JobId]) -> list[JobId]:
        """Watch from now on; which of these jobs are pre-empted already."""
        self.close()
        prefix = self._own.preempt_prefix
        watch = self._store.watch(prefix, self._store.revision() + 1, wake=self._wake)
        try:
            found = [job for job in jobs if self._store.get(self._own.preempt(job)) is not None]
        except StoreError:
            watch.close()
            raise
        self._watch = watch
        return found

    def poll(self) -> list[JobId]:
        """The jobs that were pre-empted since.

        Raises:
            StoreError: the watch has ended: what it may have had to tell is to be read again.
        """
        assert self._watch is not None  # noqa: S101 - followed
        try:
            batch = self._watch.poll()
        except StoreError:
            self.close()
            raise
        events = batch.events if batch is not None else ()
        named = [self._job_of(event.key) for event in events if event.kind is EventKind.PUT]
        return [job_id for job_id in named if job_id is not None]

    def _job_of(self, key: str) -> JobId | None:
        try:
            return JobId.parse(key.removeprefix(self._own.preempt_prefix))
        except InvalidKey:
            return None

    def close(self) -> None:
        """Watch no more; idempotent."""
        watch, self._watch = self._watch, None
        if watch is not None:
            watch.close()
