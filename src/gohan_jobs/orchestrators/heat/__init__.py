"""Heat itself, through python-heatclient and keystoneauth1.

======================  ========================================================================
module                  what
======================  ========================================================================
``orchestrator``        :class:`HeatOrchestrator`: which calls an operation takes
``client``              the calls, their time-outs and errors; the only importer of heatclient
``keystone``            sessions per project; the only importer of keystoneauth1
``clouds``              ``clouds.yaml`` and the ``OS_*`` variables
``budget``              calls a second
``answers``             Heat's answers as records and errors
======================  ========================================================================
"""

from __future__ import annotations

from gohan_jobs.orchestrators.heat.budget import CallBudget
from gohan_jobs.orchestrators.heat.clouds import CloudConfig, read_cloud, read_environment
from gohan_jobs.orchestrators.heat.orchestrator import HeatOrchestrator
from gohan_jobs.orchestrators.heat.settings import HeatSettings

__all__ = [
    "CallBudget",
    "CloudConfig",
    "HeatOrchestrator",
    "HeatSettings",
    "read_cloud",
    "read_environment",
]
