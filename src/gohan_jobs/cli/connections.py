"""What ``gohan-jobs run`` works with, made of its options."""

from __future__ import annotations

import os
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from gohan_jobs.clock import Clock
from gohan_jobs.codec.strict_json import Refused
from gohan_jobs.codec.strict_json import parse as parse_json
from gohan_jobs.exceptions import InvalidSchema, Problem
from gohan_jobs.orchestrators.base import Orchestrator
from gohan_jobs.schemas import Schemas

if TYPE_CHECKING:
    from gohan_jobs.orchestrators.heat import HeatSettings

__all__ = ["SIMULATED", "HeatOptions", "read_schemas"]

SIMULATED = "simulated"
"""What ``--heat`` says for a Heat in this process."""

_VARIABLES = frozenset({"OS_AUTH_URL", "OS_CLOUD", "OS_ENDPOINT"})


def read_schemas(source: str, token: str | None, templates: Path | None = None) -> Schemas:
    """The types, from a file or from Gohan's URL.

    Args:
        source: the file, or the URL.
        token: for the URL.
        templates: a file with further template mappings, ``{handler: {type: mapping}}``.

    Raises:
        InvalidSchema: there is no answer, or none that can be used; or mappings that can't be.
        OSError: a file can't be read.
    """
    over_http = source.startswith(("http://", "https://"))
    found = Schemas.from_url(source, token) if over_http else Schemas.from_file(source)
    return found if templates is None else found.with_templates(*_read_templates(templates))


def _read_templates(path: Path) -> tuple[dict[str, dict[str, Any]], str]:
    try:
        value = parse_json(path.read_bytes())
    except Refused as refused:
        raise InvalidSchema(str(path), refused.problems) from None
    if isinstance(value, dict) and all(isinstance(each, dict) for each in value.values()):
        return value, str(path)
    raise InvalidSchema(str(path), (Problem("$", "expected {handler: {type: mapping}}"),))


@attrs.frozen(kw_only=True)
class HeatOptions:
    """Where Heat is, and how to log in.

    Attributes:
        heat: its endpoint, or ``simulated``; None for the one of the cloud's catalogue.
        token: for the endpoint, without a cloud.
        cloud: name of a cloud in ``clouds.yaml``.
        ca: certificates to check the endpoint's with; None for the system's.
        timeout: seconds for one request.
        rate: requests a second of this process at most.
        tenant_rate: of them for each tenant at most.
    """

    heat: str | None
    token: str | None = attrs.field(repr=False)
    cloud: str | None
    ca: Path | None
    timeout: float
    rate: float
    tenant_rate: float

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

        budget = heat.CallBudget(total=self.rate, per_tenant=self.tenant_rate)
        settings = heat.HeatSettings(request_timeout=self.timeout, budget=budget)
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
