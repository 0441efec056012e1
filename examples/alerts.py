"""A hook that sends what went wrong to one's own alerting, without a secret in it.

Run it: ``python examples/alerts.py``. What is secret is yours to name: here an SNMP community, too,
beside all that is secret anyhow. A secret is masked wherever it turns up, as in the reason that
Heat gives below. The hook runs on a thread of its own, so that a slow alerting delays no job.
"""

from __future__ import annotations

import json
from collections.abc import Callable

from gohan_jobs import (
    ConfigRecord,
    Lifecycle,
    MemoryStore,
    Redactor,
    ResourceRef,
    Schema,
    Schemas,
    SimulatedHeat,
    VirtualClock,
)
from gohan_jobs.events import (
    ConfigHeld,
    ConfigRejected,
    ConfigSetAside,
    Event,
    JobCancelled,
    JobFailed,
    LeaseLost,
    OrphanFound,
)
from gohan_jobs.instrumentation import BackgroundHook
from gohan_jobs.orchestrators.simulated import Outcome
from gohan_jobs.redaction import is_secret_key

PAGES = (JobFailed, ConfigRejected)
TICKETS = (ConfigHeld, JobCancelled, ConfigSetAside, OrphanFound, LeaseLost)


class Alerts:
    """Makes an alert of each event that somebody should look at.

    Args:
        send: gives a text to the alerting, such as a POST to its webhook.
    """

    def __init__(self, send: Callable[[str], object]) -> None:
        self._send = send

    def __call__(self, event: Event) -> None:
        """Called for every event; most are nobody's business."""
        if not isinstance(event, PAGES + TICKETS):
            return
        alert = {
            "severity": "page" if isinstance(event, PAGES) else "ticket",
            "what": type(event).__name__,
            "about": _about(event),
            "why": getattr(event, "reason", ""),
        }
        self._send(json.dumps(alert))


def _about(event: Event) -> str:
    for field in ("job_id", "resource", "key"):
        if hasattr(event, field):
            return str(getattr(event, field))
    return "this process"


def is_secret(key: str) -> bool:
    """What stands under these keys is in no event, log, error or trace."""
    return is_secret_key(key) or key == "community"


def main() -> None:
    """A switch can't be built, and there is no template for another one."""
    clock = VirtualClock()
    heat = SimulatedHeat(clock)
    reason = "snmpget -c pub-8472 refused, login admin/s3cret-8472 refused"
    heat.script("switch_s1", Outcome(fails=True, reason=reason))
    # Each model has a template of its own name; nobody has written one for "huge".
    schema = Schema(
        type="switch", prefix="v2.0/switches", templates={"heat_worker": {"field": "model"}}
    )
    alerts = BackgroundHook(Alerts(print))
    with Lifecycle(
        MemoryStore(clock=clock),
        heat,
        Schemas([schema]),
        clock=clock,
        hooks=[alerts],
        redactor=Redactor(is_secret),
        suffix=lambda: "abcde",
    ) as lifecycle:
        hot = "heat_template_version: 2016-10-14\nresources: {n: {type: OS::Heat::None}}\n"
        body = {"handler": "heat_worker", "template_file": hot, "parameter_mappings": {}}
        template = ConfigRecord(body=body | {"id": "small"}, version=1)
        lifecycle.submit(template, ResourceRef("heat_template", "small"))
        secrets = {"community": "pub-8472", "admin_password": "s3cret-8472"}
        for name, model in (("s1", "small"), ("s2", "huge")):
            ref = ResourceRef("switch", name)
            config = {"id": name, "tenant_id": "t1", "model": model} | secrets
            lifecycle.submit(ConfigRecord(body=config, version=1), ref)
            lifecycle.wait(ref, version=1, timeout=120)
    alerts.close()  # what waits is sent first


if __name__ == "__main__":
    main()
