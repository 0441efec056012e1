"""What tests of handlers, stores, orchestrators and embedding programs need.

As a pytest plugin (:mod:`gohan_jobs.testing.plugin`) it gives fixtures, found by pytest on its own.
The names here are loaded when first used; only the suites need pytest.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__all__ = [
    "Crash",
    "EtcdCluster",
    "Fault",
    "FaultyStore",
    "HandlerSuite",
    "Injection",
    "OrchestratorSuite",
    "Simulation",
    "StoreSuite",
    "every_injection",
    "replay",
]

_HOMES = {
    "Crash": "gohan_jobs.testing.faults",
    "EtcdCluster": "gohan_jobs.testing.etcd",
    "Fault": "gohan_jobs.testing.processes",
    "FaultyStore": "gohan_jobs.testing.faults",
    "HandlerSuite": "gohan_jobs.testing.handlers",
    "Injection": "gohan_jobs.testing.processes",
    "OrchestratorSuite": "gohan_jobs.testing.orchestrators",
    "Simulation": "gohan_jobs.testing.simulation",
    "StoreSuite": "gohan_jobs.testing.stores",
    "every_injection": "gohan_jobs.testing.simulation",
    "replay": "gohan_jobs.replay",
}

if TYPE_CHECKING:
    from gohan_jobs.replay import replay
    from gohan_jobs.testing.etcd import EtcdCluster
    from gohan_jobs.testing.faults import Crash, FaultyStore
    from gohan_jobs.testing.handlers import HandlerSuite
    from gohan_jobs.testing.orchestrators import OrchestratorSuite
    from gohan_jobs.testing.processes import Fault, Injection
    from gohan_jobs.testing.simulation import Simulation, every_injection
    from gohan_jobs.testing.stores import StoreSuite
else:  # or any misspelt name would pass for one of these

    def __getattr__(name: str) -> Any:
        """Load a name on its first use (PEP 562)."""
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(importlib.import_module(_HOMES[name]), name)
