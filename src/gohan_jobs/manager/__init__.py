"""The job manager: reads configs, plans jobs, owns the queue. One leads; others stand by."""

from __future__ import annotations

from gohan_jobs.manager.desk import ManagerOptions
from gohan_jobs.manager.leadership import Leadership
from gohan_jobs.manager.manager import Manager

__all__ = ["Leadership", "Manager", "ManagerOptions"]
