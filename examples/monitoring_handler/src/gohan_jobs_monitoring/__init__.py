"""What another team ships for gohan-jobs: the ``monitoring_worker`` of 2017, and a store in a file.

Installed beside gohan-jobs, the handler is found by its entry point: ``Handlers().discover()``.
"""

from __future__ import annotations

from gohan_jobs_monitoring.agents import Agent, FileAgent
from gohan_jobs_monitoring.handler import MonitoringHandler, monitoring_worker
from gohan_jobs_monitoring.sqlite import SqliteStore

__all__ = ["Agent", "FileAgent", "MonitoringHandler", "SqliteStore", "monitoring_worker"]
