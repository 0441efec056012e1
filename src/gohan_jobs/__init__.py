"""Resource configs in etcd become running OpenStack Heat stacks.

A program embeds a :class:`Lifecycle` on a store and an orchestrator, or uses only the parts it
needs: :func:`loads` and :func:`dumps` for the records, :class:`Schemas` and the mapping language,
a :class:`MemoryStore` and a :class:`SimulatedHeat` for its tests. Every error is below
:class:`exceptions.GohanJobsError`.

What stands here is the public API; each name is loaded when it is first used, so that reading a
record imports neither a client of etcd nor one of Heat.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from gohan_jobs._version import __version__

if TYPE_CHECKING:
    from gohan_jobs import exceptions
    from gohan_jobs.admission import AdmissionRequest, Allow, Veto
    from gohan_jobs.clock import Clock, SystemClock, VirtualClock
    from gohan_jobs.codec import Codec, Spelling, dumps, loads
    from gohan_jobs.events import Hook, log_event
    from gohan_jobs.exceptions import GohanJobsError
    from gohan_jobs.handler_options import HandlerOptions
    from gohan_jobs.handler_registry import Handlers
    from gohan_jobs.handlers import (
        Done,
        GiveUp,
        Handler,
        JobContext,
        Later,
        Observe,
        RetryLater,
    )
    from gohan_jobs.inspection.advice import next_steps
    from gohan_jobs.inspection.dependencies import read_dependencies
    from gohan_jobs.inspection.graphs import DependencyGraph
    from gohan_jobs.inspection.history import History, read_history
    from gohan_jobs.inspection.inspector import Explanation, JobExplanation
    from gohan_jobs.inspection.job_list import JobList, list_jobs
    from gohan_jobs.inspection.overview import Status, read_status
    from gohan_jobs.inspection.watching import RecordWatch
    from gohan_jobs.keys import JobId, Keys, Place
    from gohan_jobs.lifecycle import Completed, Failed, Lifecycle, Result, Role, Superseded
    from gohan_jobs.manager import ManagerOptions
    from gohan_jobs.operations.operating import Operator
    from gohan_jobs.orchestrators.base import Orchestrator
    from gohan_jobs.orchestrators.heat import HeatOrchestrator
    from gohan_jobs.orchestrators.simulated import SimulatedHeat
    from gohan_jobs.planning import Plan
    from gohan_jobs.records import (
        Action,
        ConfigRecord,
        HeatStack,
        HeatTemplate,
        Job,
        JobState,
        MonitoringRecord,
        MonitoringStatus,
        OnFailure,
        OrchestrationState,
        Param,
        ParamType,
        ProcessedConfig,
        Record,
        ResourceRef,
        StackOutput,
        StackStatus,
        StateRecord,
        UnknownField,
        WorkerState,
    )
    from gohan_jobs.redaction import Redactor
    from gohan_jobs.schemas import Schema, Schemas
    from gohan_jobs.stores.base import Store
    from gohan_jobs.stores.etcd import EtcdStore
    from gohan_jobs.stores.memory import MemoryStore
    from gohan_jobs.templates import Renderer
    from gohan_jobs.worker import WorkerOptions

__all__ = [
    "Action",
    "AdmissionRequest",
    "Allow",
    "Clock",
    "Codec",
    "Completed",
    "ConfigRecord",
    "DependencyGraph",
    "Done",
    "EtcdStore",
    "Explanation",
    "Failed",
    "GiveUp",
    "GohanJobsError",
    "Handler",
    "HandlerOptions",
    "Handlers",
    "HeatOrchestrator",
    "HeatStack",
    "HeatTemplate",
    "History",
    "Hook",
    "Job",
    "JobContext",
    "JobExplanation",
    "JobId",
    "JobList",
    "JobState",
    "Keys",
    "Later",
    "Lifecycle",
    "ManagerOptions",
    "MemoryStore",
    "MonitoringRecord",
    "MonitoringStatus",
    "Observe",
    "OnFailure",
    "Operator",
    "OrchestrationState",
    "Orchestrator",
    "Param",
    "ParamType",
    "Place",
    "Plan",
    "ProcessedConfig",
    "Record",
    "RecordWatch",
    "Redactor",
    "Renderer",
    "ResourceRef",
    "Result",
    "RetryLater",
    "Role",
    "Schema",
    "Schemas",
    "SimulatedHeat",
    "Spelling",
    "StackOutput",
    "StackStatus",
    "StateRecord",
    "Status",
    "Store",
    "Superseded",
    "SystemClock",
    "UnknownField",
    "Veto",
    "VirtualClock",
    "WorkerOptions",
    "WorkerState",
    "__version__",
    "dumps",
    "exceptions",
    "list_jobs",
    "loads",
    "log_event",
    "next_steps",
    "read_dependencies",
    "read_history",
    "read_status",
]

_HOMES = {
    "admission": ("AdmissionRequest", "Allow", "Veto"),
    "clock": ("Clock", "SystemClock", "VirtualClock"),
    "codec": ("Codec", "Spelling", "dumps", "loads"),
    "events": ("Hook", "log_event"),
    "exceptions": ("GohanJobsError",),
    "handler_options": ("HandlerOptions",),
    "handler_registry": ("Handlers",),
    "handlers": (
        "Done",
        "GiveUp",
        "Handler",
        "JobContext",
        "Later",
        "Observe",
        "RetryLater",
    ),
    "inspection.advice": ("next_steps",),
    "inspection.dependencies": ("read_dependencies",),
    "inspection.graphs": ("DependencyGraph",),
    "inspection.history": ("History", "read_history"),
    "inspection.inspector": ("Explanation", "JobExplanation"),
    "inspection.job_list": ("JobList", "list_jobs"),
    "inspection.overview": ("Status", "read_status"),
    "inspection.watching": ("RecordWatch",),
    "keys": ("JobId", "Keys", "Place"),
    "lifecycle": ("Completed", "Failed", "Lifecycle", "Result", "Role", "Superseded"),
    "manager": ("ManagerOptions",),
    "operations.operating": ("Operator",),
    "orchestrators.base": ("Orchestrator",),
    "orchestrators.heat": ("HeatOrchestrator",),
    "orchestrators.simulated": ("SimulatedHeat",),
    "planning": ("Plan",),
    "records": (
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
    ),
    "redaction": ("Redactor",),
    "schemas": ("Schema", "Schemas"),
    "stores.base": ("Store",),
    "stores.etcd": ("EtcdStore",),
    "stores.memory": ("MemoryStore",),
    "templates": ("Renderer",),
    "worker": ("WorkerOptions",),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}


if not TYPE_CHECKING:  # or any misspelt name would pass for one of these

    def __getattr__(name: str) -> Any:
        """Load a public name on its first use (PEP 562)."""
        if name == "exceptions":
            return importlib.import_module("gohan_jobs.exceptions")
        if name not in _HOME:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(importlib.import_module(f"gohan_jobs.{_HOME[name]}"), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
