"""A job fails, and Heat's reason quotes a password: what the log and the metrics say of it.

``python failing_job.py`` prints the log of the process; ``python failing_job.py metrics`` prints
the page that Prometheus would get, without its buckets. Time is virtual, so both are the same each
time. Needs the extra ``prometheus``.
"""

from __future__ import annotations

import logging
import sys

from gohan_jobs import (
    ConfigRecord,
    Lifecycle,
    MemoryStore,
    ResourceRef,
    Schema,
    Schemas,
    SimulatedHeat,
    VirtualClock,
    log_event,
)
from gohan_jobs.instrumentation import ObservedOrchestrator, PrometheusHook, QueueDepths
from gohan_jobs.orchestrators.simulated import Outcome

HOT = "heat_template_version: 2016-10-14\nresources: {nothing: {type: OS::Heat::None}}\n"
TEMPLATE = {
    "id": "network",
    "handler": "heat_worker",
    "template_file": HOT,
    "parameter_mappings": {},
}
SCHEMA = Schema(type="network", prefix="v2.0/networks", templates={"heat_worker": "Cnetwork"})
PASSWORD = "s3cret-8472"

shows_metrics = sys.argv[1:] == ["metrics"]
logging.basicConfig(
    stream=sys.stdout,
    level=logging.CRITICAL if shows_metrics else logging.INFO,
    format="%(levelname)s %(name)s %(message)s",
)

clock = VirtualClock()
store, heat = MemoryStore(clock=clock), SimulatedHeat(clock, operation_seconds=20)
heat.script("network_n1", Outcome(fails=True, reason=f"login with {PASSWORD} refused"))
metrics = PrometheusHook(clock=clock)
metrics.track_queue(QueueDepths(store, clock=clock))
hooks = (log_event, metrics)
observed = ObservedOrchestrator(heat, hooks, clock=clock)
with Lifecycle(
    store, observed, Schemas([SCHEMA]), clock=clock, hooks=hooks, seed=1, suffix=lambda: "abcde"
) as lifecycle:
    network = ResourceRef("network", "n1")
    lifecycle.submit(
        ConfigRecord(body=TEMPLATE, version=1), ResourceRef("heat_template", "network")
    )
    config = {"id": "n1", "tenant_id": "t1", "admin_password": PASSWORD}
    lifecycle.submit(ConfigRecord(body=config, version=1), network)
    lifecycle.wait(network, 1)
    page, _ = metrics.text()

if shows_metrics:
    left_out = ("_bucket", "_created")  # long, and the time of day
    print(
        *(line for line in page.splitlines() if not any(part in line for part in left_out)),
        sep="\n",
    )
