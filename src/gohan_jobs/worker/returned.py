"""What comes back to a worker's thread, from handlers, looks at stacks, and its own verdicts."""

from __future__ import annotations

import logging
import queue as thread_queue
import traceback
from collections.abc import Callable, Hashable, Mapping
from typing import TypeAlias

import attrs

from gohan_jobs.bookkeeping import JobNotes
from gohan_jobs.handlers import Outcome
from gohan_jobs.keys import JobId
from gohan_jobs.orchestrators.base import Stack
from gohan_jobs.queue import Fence
from gohan_jobs.worker.claim import Claim

__all__ = [
    "Broken",
    "Inbox",
    "Item",
    "Late",
    "Looked",
    "Returned",
    "Stopped",
    "Superseded",
    "Unusable",
    "Verdict",
    "broken",
]

_log = logging.getLogger("gohan_jobs")


@attrs.frozen
class Superseded:
    """A claim ends without a result: its job was pre-empted, or its config is gone."""


@attrs.frozen
class Stopped:
    """A claim is handed back, since its worker stops."""


@attrs.frozen
class Broken:
    """A claim that nothing can be made of: what came of it made this library itself fail.

    Attributes:
        reason: the kind of error; its text may hold a secret.
    """

    reason: str


Verdict: TypeAlias = Outcome | Exception | Superseded | Stopped | Broken
"""What is to become of a claim."""


@attrs.frozen
class Returned:
    """A claim on its way back to the worker's thread."""

    claim: Claim
    verdict: Verdict


@attrs.frozen
class Late:
    """A claim had ended before its handler changed something: somebody has to look."""

    claim: Claim


@attrs.frozen
class Unusable:
    """A reserved job that must not run: it goes back to the queue, and may be set aside there.

    Attributes:
        job_id: the job.
        fence: the reservation.
        notes: on the job, or what could be made of them.
        reason: what is wrong with it; empty if the leader has not noted yet what it knows of it.
    """

    job_id: JobId
    fence: Fence
    notes: JobNotes
    reason: str = ""


@attrs.frozen
class Looked:
    """What a look at stacks has shown."""

    stacks: Mapping[Hashable, Stack]
    seen: Mapping[str, Stack | None]


def broken(job_id: JobId, error: Exception) -> Broken:
    """What is to become of a claim that an error of this library's own came of; it is logged.

    Where it was raised is logged, its text is not: that may hold a secret.
    """
    reason = f"unexpected {type(error).__name__}"
    frames = "".join(traceback.format_tb(error.__traceback__))
    _log.error("%s: %s\n%s", job_id, reason, frames, extra={"job_id": str(job_id)})
    return Broken(reason)


Item: TypeAlias = Returned | Unusable | Looked | Late
"""What a worker's thread has to act on."""


class Inbox:
    """Items for the worker's thread, from any thread, in order.

    Args:
        wake: called when there is a new one.
    """

    def __init__(self, wake: Callable[[], None] | None) -> None:
        self._items: thread_queue.SimpleQueue[Item] = thread_queue.SimpleQueue()
        self._wake = wake

    def put(self, item: Item) -> None:
        """Add an item."""
        self._items.put(item)
        if self._wake is not None:
            self._wake()

    def take(self) -> list[Item]:
        """All that is there at this moment."""
        return [self._items.get_nowait() for _ in range(self._items.qsize())]
