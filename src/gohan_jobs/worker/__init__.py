"""Workers: claim ready jobs, run their handlers, publish the results."""

from __future__ import annotations

from gohan_jobs.worker.executors import Executor, InlineExecutor
from gohan_jobs.worker.options import WorkerOptions
from gohan_jobs.worker.worker import Worker

__all__ = ["Executor", "InlineExecutor", "Worker", "WorkerOptions"]
