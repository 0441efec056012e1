"""All that etcd tells from revision 1 on, with the time at which it was heard."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Sequence

import attrs

from gohan_jobs.stores.base import Entry, Event, Store

__all__ = ["Heard", "Recorder"]


@attrs.frozen
class Heard:
    """One revision.

    Attributes:
        at: seconds since the epoch at which it was heard: a little after it came to be.
        events: its events.
    """

    at: float
    events: tuple[Event, ...] = attrs.field(repr=False)

    @property
    def revision(self) -> int:
        """Its number."""
        return self.events[0].revision


class Recorder:
    """Watches everything on a thread of its own.

    Args:
        store: what is watched.
    """

    def __init__(self, store: Store) -> None:
        self._watch = store.watch("", 1)
        self._lock = threading.Condition()
        self._heard: list[Heard] = []
        self._entries: dict[str, Entry] = {}
        self._seen = 0
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)
        self.error: Exception | None = None
        self._thread.start()

    @property
    def seen(self) -> int:
        """Everything up to this revision has been heard."""
        return self._seen

    @property
    def heard(self) -> Sequence[Heard]:
        """The revisions so far."""
        with self._lock:
            return tuple(self._heard)

    @property
    def quiet_for(self) -> float:
        """Seconds since the last change."""
        with self._lock:
            return time.time() - self._heard[-1].at if self._heard else 0.0

    def value(self, key: str) -> bytes | None:
        """What stands at a key."""
        with self._lock:
            entry = self._entries.get(key)
        return None if entry is None else entry.value

    def keys(self, *prefixes: str) -> list[str]:
        """The keys that begin so."""
        with self._lock:
            return [key for key in self._entries if key.startswith(prefixes)]

    def wait(self, reached: Callable[[], bool], seconds: float = 30.0) -> bool:
        """Wait until something is so, asked at each change; whether it came to be."""
        with self._lock:
            return self._lock.wait_for(reached, seconds)

    def stop(self) -> None:
        """Hear nothing more."""
        self._stopping.set()
        self._thread.join()
        self._watch.close()
        if self.error is not None:
            raise self.error

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                batch = self._watch.poll(0.2)
                if batch is not None:
                    self._take(batch.events)
                    self._seen = batch.revision
        except Exception as error:  # noqa: BLE001 - raised where it is seen, in stop()
            self.error = error

    def _take(self, events: Sequence[Event]) -> None:
        now = time.time()
        with self._lock:
            for _, group in itertools.groupby(events, key=lambda event: event.revision):
                self._heard.append(Heard(now, tuple(group)))
            for event in events:
                if event.entry is None:
                    self._entries.pop(event.key, None)
                else:
                    self._entries[event.key] = event.entry
            self._lock.notify_all()
