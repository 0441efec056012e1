"""Hooks for the tools that teams have: Prometheus, OpenTelemetry, and any other, unhurried.

Each name is loaded when it is first used, so that only who counts needs ``prometheus-client``
(the extra ``prometheus``) and only who traces needs ``opentelemetry-api`` (``otel``).
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__all__ = [
    "BackgroundHook",
    "Depth",
    "ObservedOrchestrator",
    "PrometheusHook",
    "QueueDepths",
    "TracingHook",
]

_HOMES = {
    "BackgroundHook": "background",
    "Depth": "depths",
    "ObservedOrchestrator": "orchestrator",
    "PrometheusHook": "prometheus",
    "QueueDepths": "depths",
    "TracingHook": "tracing",
}

if TYPE_CHECKING:
    from gohan_jobs.instrumentation.background import BackgroundHook
    from gohan_jobs.instrumentation.depths import Depth, QueueDepths
    from gohan_jobs.instrumentation.orchestrator import ObservedOrchestrator
    from gohan_jobs.instrumentation.prometheus import PrometheusHook
    from gohan_jobs.instrumentation.tracing import TracingHook
else:  # or any misspelt name would pass for one of these

    def __getattr__(name: str) -> Any:
        """Load a name on its first use (PEP 562)."""
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
