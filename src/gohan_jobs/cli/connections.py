"""What ``gohan-jobs run`` works with, made of its options."""

from __future__ import annotations

import os
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from gohan_jobs.clock import Clock
from gohan_jobs.orchestrators.base import Orchestrator
from gohan_jobs.schemas import Schemas

if TYPE_CHECKING:
    from gohan_jobs.orchestrators.heat import HeatSettings

__all__ = ["SIMULATED", "HeatOptions", "read_schemas"]

SIMULATED = "simulated"
"""What ``--heat`` says for a Heat in this process."""

_VARIABLES = frozenset({"OS_AUTH_URL", "OS_CLOUD", "OS_ENDPOINT"})


def read_schemas(source: str, token: str | None) -> Schemas:
    """The types, from a file or from Gohan's URL.

    Raises:
        InvalidSchema: it has no answer, or none that can be used.
        OSError: the file can't be read.
    """
    if source.startswith(("http://", "https://")):
        return Schemas.from_url(source, token)
    return Schemas.from_file(source)


@attrs.frozen(kw_only=True)
class HeatOptions:
    """Where Heat is, and how to log in.

    Attributes:
        heat: its endpoint, or ``simulated``; None for the one of the cloud's catalogue.
        token: for the endpoint, without a cloud.
        cloud: name of a cloud in ``clouds.yaml``.
        ca: certificates to check the endpoint's with; None for the system's.
        timeout: seconds for one request.
    """

    heat: str | None
    token: str | None = attrs.field(repr=False)
    cloud: str | None
    ca: Path | None
    timeout: float

    def connect(self, clock: Clock) -> Orchestrator:
        """The orchestrator; nothing is sent yet.

        Raises:
            OrchestratorRefused: there is no such cloud, or it can't be logged in to as it says.
            ValueError: options that don't go together, or an endpoint that can't be filled in;
                neither an endpoint nor a cloud, and no ``OS_…`` variables for one.
        """
        if self.heat == SIMULATED:
            return self._simulated(clock)
        # Imported here, since not every role needs Heat's client, which takes a second to load.
        from gohan_jobs.orchestrators import heat  # noqa: PLC0415 - see above

        settings = heat.HeatSettings(request_timeout=self.timeout)
        if self.cloud is None and self.heat is not None:
            verify = True if self.ca is None else str(self.ca)
            return heat.HeatOrchestrator.from_endpoint(
                self.heat, self.token, settings, verify=verify
            )
        return self._of_cloud(settings)

    def _of_cloud(self, settings: HeatSettings) -> Orchestrator:
        from gohan_jobs.orchestrators import heat  # noqa: PLC0415 - as above

        if self.token is not None:
            raise ValueError("a cloud has its own way to log in: give no heat token beside it")
        if self.cloud is None and not _VARIABLES & os.environ.keys():
            raise ValueError("where is Heat? give --heat, --os-cloud, or OS_... variables")
        cloud = heat.read_environment() if self.cloud is None else heat.read_cloud(self.cloud)
        if self.heat is not None:
            cloud = attrs.evolve(cloud, endpoint=self.heat)
        return heat.HeatOrchestrator.from_config(cloud, settings)

    def _simulated(self, clock: Clock) -> Orchestrator:
        from gohan_jobs.orchestrators.simulated import SimulatedHeat  # noqa: PLC0415 - as above

        return SimulatedHeat(
            clock, request_timeout=self.timeout, id_source=lambda: str(uuid.uuid4())
        )
