"""How many calls a second Heat is asked to bear: of each tenant, and in all.

Pure arithmetic on a clock that is passed in (a token bucket, kept as the time at which it is full
again), and one place that waits.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import attrs

from gohan_jobs.clock import Clock, SystemClock

__all__ = ["CallBudget"]

_FORGET_ABOVE = 1024
"""Tenants remembered before those that have been quiet are forgotten."""


@attrs.define
class _Bucket:
    """A token bucket that holds one second's worth of calls, and at least one.

    Attributes:
        rate: calls a second.
        full_at: when it is full again; before now if it is full.
    """

    rate: float
    full_at: float = float("-inf")

    def next_at(self, now: float) -> float:
        """When the next call may be made."""
        holds = max(1.0, self.rate)
        return max(now, self.full_at - (holds - 1) / self.rate)

    def take(self, at: float) -> None:
        """Make a call at that time."""
        self.full_at = max(self.full_at, at) + 1 / self.rate


class CallBudget:
    """Calls a second, per tenant and in all; a second's worth may be made at once.

    Calls are served in the order in which they ask. Thread-safe.

    Args:
        total: calls a second of this process; None for no limit.
        per_tenant: calls a second for each tenant; None for no limit.
        clock: what measures.
        sleep: what waits, in seconds.

    Raises:
        ValueError: if a rate is not positive.
    """

    def __init__(
        self,
        *,
        total: float | None = 50.0,
        per_tenant: float | None = 20.0,
        clock: Clock | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        if any(rate is not None and not rate > 0 for rate in (total, per_tenant)):  # nor nan
            raise ValueError(f"calls a second must be positive: {total}, {per_tenant}")
        self._total = None if total is None else _Bucket(total)
        self._per_tenant = per_tenant
        self._tenants: dict[str, _Bucket] = {}
        self._clock = SystemClock() if clock is None else clock
        self._sleep = sleep
        self._lock = threading.Lock()

    def acquire(self, tenant: str, limit: float) -> bool:
        """Wait until a call for a tenant may be made.

        Args:
            tenant: whose.
            limit: seconds to wait at most.

        Returns:
            False, at once and with nothing taken, if the wait would be longer than the limit.
        """
        with self._lock:
            now = self._clock.now()
            buckets = self._buckets(tenant, now)
            at = max((bucket.next_at(now) for bucket in buckets), default=now)
            if at - now > limit:
                return False
            for bucket in buckets:
                bucket.take(at)
        if at > now:
            self._sleep(at - now)
        return True

    def _buckets(self, tenant: str, now: float) -> list[_Bucket]:
        buckets = [] if self._total is None else [self._total]
        if self._per_tenant is not None:
            if tenant not in self._tenants and len(self._tenants) >= _FORGET_ABOVE:
                self._forget_quiet(now)
            buckets.append(self._tenants.setdefault(tenant, _Bucket(self._per_tenant)))
        return buckets

    def _forget_quiet(self, now: float) -> None:
        for tenant in [name for name, bucket in self._tenants.items() if bucket.full_at <= now]:
            del self._tenants[tenant]
