"""Any hook, off the threads that do the work."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Mapping
from types import TracebackType
from typing import Self

from gohan_jobs.events import Event, Events, Hook
from gohan_jobs.records import ResourceRef
from gohan_jobs.threads import new_thread

__all__ = ["BackgroundHook"]

_log = logging.getLogger("gohan_jobs")


class BackgroundHook:
    """Hands events to a slow hook on a thread of its own; drops, and counts, what is too much.

    The thread starts with the first event and ends with :meth:`close`; it never keeps a process
    alive. A trace context is asked for at once, since planning needs it.

    Args:
        hook: the one that may be slow.
        capacity: events that may wait for it.

    Raises:
        ValueError: ``capacity`` is less than 1.
    """

    def __init__(self, hook: Hook, capacity: int = 10_000) -> None:
        if capacity < 1:
            raise ValueError(f"at least 1 event has to find room, not {capacity}")
        self._events = Events((hook,))
        self._capacity = capacity
        self._changed = threading.Condition()
        self._waiting: deque[Event] = deque()
        self._busy = False
        self._closed = False
        self._dropped = 0
        self._thread: threading.Thread | None = None

    @property
    def dropped(self) -> int:
        """Events that the hook was not told, for want of room or after ``close``."""
        return self._dropped

    def __call__(self, event: Event) -> None:
        """Take an event, without waiting for anything."""
        with self._changed:
            if self._closed or len(self._waiting) >= self._capacity:
                self._drop()
                return
            self._waiting.append(event)
            self._changed.notify_all()
            if self._thread is None:
                self._thread = new_thread("hook", self._run)
                self._thread.start()

    def trace(self, resource: ResourceRef, version: int) -> Mapping[str, str]:
        """See :class:`gohan_jobs.events.TraceSource`; empty if the hook is none."""
        return self._events.trace(resource, version)

    def flush(self, timeout: float = 5.0) -> bool:
        """Wait, at most so many seconds, until the hook has been told; whether it has."""
        deadline = time.monotonic() + timeout
        with self._changed:
            return self._changed.wait_for(
                lambda: not self._waiting and not self._busy, deadline - time.monotonic()
            )

    def close(self, timeout: float = 5.0) -> None:
        """Take nothing more, and let the hook have what waits for so many seconds; idempotent."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        if not self.flush(timeout):
            with self._changed:
                self._dropped += len(self._waiting)
                self._waiting.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _drop(self) -> None:
        self._dropped += 1
        if self._dropped == 1:
            facts = {"capacity": self._capacity}
            _log.warning("HookOverrun", extra={"event_name": "HookOverrun", "facts": facts})

    def _run(self) -> None:
        while (event := self._next()) is not None:
            self._events.emit(event)

    def _next(self) -> Event | None:
        """The next event; None once there will be none."""
        with self._changed:
            self._busy = False
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._waiting or self._closed)
            if not self._waiting:
                return None
            self._busy = True
            return self._waiting.popleft()
