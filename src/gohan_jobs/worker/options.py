"""How a worker behaves."""

from __future__ import annotations

import attrs

from gohan_jobs.poller import PollOptions

__all__ = ["WorkerOptions"]


@attrs.frozen(kw_only=True)
class WorkerOptions:
    """How a worker behaves.

    Attributes:
        slots: claimed, unfinished jobs at a time, those that wait for Heat included.
        lease_ttl: seconds after which a dead worker's claims vanish (``runtime``: 60).
        unexpected_retry: seconds before a job is repeated whose handler raised something unknown.
        unexpected_retries: how often; then that is its result.
        polling: how often stacks are looked at.
    """

    slots: int = 8
    lease_ttl: float = 60.0
    unexpected_retry: float = 5.0
    unexpected_retries: int = 5
    polling: PollOptions = attrs.field(factory=PollOptions)
