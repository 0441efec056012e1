"""Where handlers run: on the caller's thread, or elsewhere (:mod:`gohan_jobs.runtime`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

__all__ = ["Executor", "InlineExecutor"]


class Executor(Protocol):
    """Runs pieces of work; each calls back by itself when it is done."""

    def submit(self, work: Callable[[], None]) -> None:
        """Run ``work`` soon. It raises nothing."""
        ...


class InlineExecutor:
    """Runs work at once, so that a step is a step and tests are deterministic."""

    def submit(self, work: Callable[[], None]) -> None:
        """Run it now."""
        work()
