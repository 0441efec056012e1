"""Contexts of handlers made in one line, for tests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from gohan_jobs.clock import VirtualClock
from gohan_jobs.handlers import JobContext
from gohan_jobs.records import HeatStack, Param, ResourceRef
from jobs_made import job_id, make_job

__all__ = ["FakeClaim", "make_context"]


@attrs.define
class FakeClaim:
    """A claim that lives until a reason is given."""

    reason: str = ""
    guards: list[float] = attrs.field(factory=list)

    @property
    def cancelled(self) -> str:
        """The reason."""
        return self.reason

    def guard(self, seconds: float) -> None:
        """Note it."""
        self.guards.append(seconds)


def make_context(
    *,
    clock: VirtualClock | None = None,
    claim: FakeClaim | None = None,
    version: int = 1,
    params: tuple[Param, ...] = (),
    stacks: Mapping[ResourceRef, HeatStack | None] | None = None,
    own_stack: HeatStack | None = None,
    **more: Any,
) -> JobContext:
    """A context of a job of a port."""
    facts: dict[str, Any] = {
        "job": attrs.evolve(make_job(job_id(version=version)), params=params),
        "attempt": 1,
        "retries": 0,
        "own_stack": own_stack,
        "claim": claim or FakeClaim(),
        "read": lambda _: None,
        "stacks": lambda _: stacks or {},
        "template": lambda: None,
        "report": lambda _: None,
        "now": (clock or VirtualClock()).now,
        "tell": lambda *_, **__: None,
    }
    return JobContext(**{**facts, **more})
