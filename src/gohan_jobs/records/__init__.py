"""The records as frozen attrs classes: no I/O and no JSON, which is :mod:`gohan_jobs.codec`'s."""

from __future__ import annotations

from typing import TypeAlias

from gohan_jobs.records.config import ConfigRecord, HeatTemplate, ProcessedConfig
from gohan_jobs.records.job import Job, Param, ResourceRef
from gohan_jobs.records.monitoring import MonitoringRecord
from gohan_jobs.records.stack import HeatStack, JobState, StackOutput
from gohan_jobs.records.state import StateRecord
from gohan_jobs.records.unknown import UnknownField
from gohan_jobs.records.vocabulary import (
    Action,
    MonitoringStatus,
    OnFailure,
    OrchestrationState,
    ParamType,
    StackStatus,
    WorkerState,
)

__all__ = [
    "Action",
    "ConfigRecord",
    "HeatStack",
    "HeatTemplate",
    "Job",
    "JobState",
    "MonitoringRecord",
    "MonitoringStatus",
    "OnFailure",
    "OrchestrationState",
    "Param",
    "ParamType",
    "ProcessedConfig",
    "Record",
    "ResourceRef",
    "StackOutput",
    "StackStatus",
    "StateRecord",
    "UnknownField",
    "WorkerState",
]

Record: TypeAlias = (
    ConfigRecord | ProcessedConfig | Job | HeatStack | JobState | StateRecord | MonitoringRecord
)
"""What belongs at a record's key."""
