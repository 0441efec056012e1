"""A job manager and a worker, each a process, on one etcd and one Heat: a trace goes through both.

``python two_processes.py`` starts etcd, a simulated Heat and the two processes, submits two
configs, and prints the spans that the processes exported, joined to trees. Needs the extras
``etcd`` and ``otel``, and ``opentelemetry-sdk``.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor

from gohan_jobs import (
    ConfigRecord,
    EtcdStore,
    HeatOrchestrator,
    Lifecycle,
    ResourceRef,
    Schema,
    Schemas,
    SimulatedHeat,
    SystemClock,
)
from gohan_jobs.instrumentation import ObservedOrchestrator, TracingHook
from gohan_jobs.orchestrators.simulated import Outcome
from gohan_jobs.orchestrators.simulated.server import serve
from gohan_jobs.testing.etcd import EtcdCluster

SCHEMAS = Schemas(
    [Schema(type="network", prefix="v2.0/networks", templates={"heat_worker": "Cnetwork"})]
)
HOT = """\
heat_template_version: 2016-10-14
parameters: {login_password: {type: string}}
resources: {login: {type: OS::Heat::Value, properties: {value: {get_param: login_password}}}}
outputs: {api_key: {value: {get_attr: [login, value]}}}
"""
TEMPLATE = {
    "id": "network",
    "handler": "heat_worker",
    "template_file": HOT,
    "parameter_mappings": {"login_password": {"field": "admin_password"}},
}
PASSWORD = "s3cret-8472"


def work(role: str, etcd: str, heat: str, spans: Path) -> None:
    """Be one of the processes, until standard input is closed."""
    with spans.open("w", encoding="utf-8") as file:
        provider = TracerProvider(resource=Resource({"service.name": role}))
        exporter = ConsoleSpanExporter(out=file, formatter=lambda span: f"{span.to_json(None)}\n")
        provider.add_span_processor(SimpleSpanProcessor(exporter))
        hooks = [TracingHook(provider)]
        orchestrator = ObservedOrchestrator(HeatOrchestrator.from_endpoint(heat, "token"), hooks)
        with (
            EtcdStore(etcd) as store,
            Lifecycle(store, orchestrator, SCHEMAS, roles=[role], hooks=hooks) as lifecycle,
        ):
            lifecycle.run()
            sys.stdin.read()
        orchestrator.close()
        provider.shutdown()


def submit(etcd: str) -> Iterator[object]:
    """Write two configs as Gohan would, and wait for their results."""
    body = {"tenant_id": "t1", "admin_password": PASSWORD}
    with (
        EtcdStore(etcd) as store,
        Lifecycle(store, SimulatedHeat(SystemClock()), SCHEMAS, roles=(), hooks=()) as gohan,
    ):
        gohan.submit(
            ConfigRecord(body=TEMPLATE, version=1), ResourceRef("heat_template", "network")
        )
        for name in ("n1", "n2"):
            ref = ResourceRef("network", name)
            gohan.submit(ConfigRecord(body={"id": name, **body}, version=1), ref)
            yield gohan.wait(ref, 1, timeout=60)


def trees(spans: list[dict[str, Any]]) -> Iterator[str]:
    """Lines that show the spans of each trace; equal calls in a row are shown once."""
    spans.sort(key=lambda span: span["start_time"])
    numbers: dict[str, int] = {}
    for span in spans:
        if span["parent_id"] is None:
            number = numbers.setdefault(span["context"]["trace_id"], len(numbers) + 1)
            yield f"trace {number}"
            yield from _tree(span, spans, 1)


def _tree(span: dict[str, Any], spans: list[dict[str, Any]], depth: int) -> Iterator[str]:
    name, process = f"{'  ' * depth}{span['name']}", span["resource"]["attributes"]["service.name"]
    facts = {
        key.removeprefix("gohan_jobs."): value
        for key, value in span["attributes"].items()
        if key in {"gohan_jobs.resource_id", "gohan_jobs.version", "gohan_jobs.ending"}
    }
    if error := span["status"].get("description"):
        facts["error"] = error.partition(";")[0]  # Heat's events follow, with their times
    yield f"{name:<24} {process:<8} {' '.join(f'{key}={facts[key]}' for key in facts)}".rstrip()
    before = ""
    for child in spans:
        same_trace = child["context"]["trace_id"] == span["context"]["trace_id"]
        if same_trace and child["parent_id"] == span["context"]["span_id"]:
            if child["name"] != before:
                yield from _tree(child, spans, depth + 1)
            before = child["name"]


def main() -> None:
    """Start everything, and print what was traced."""
    with (
        tempfile.TemporaryDirectory() as home,
        EtcdCluster() as etcd,
        serve(token="token", operation_seconds=0.1) as heat,
    ):
        heat.heat.script("network_n2", Outcome(fails=True, reason=f"login with {PASSWORD} refused"))
        files = {role: Path(home, f"{role}.jsonl") for role in ("manager", "worker")}
        processes = [
            subprocess.Popen(
                [
                    sys.executable,
                    __file__,
                    role,
                    etcd.endpoints[0],
                    heat.endpoint("%(tenant_id)s"),
                    str(file),
                ],
                stdin=subprocess.PIPE,
            )
            for role, file in files.items()
        ]
        try:
            results = [type(result).__name__ for result in submit(etcd.endpoints[0])]
        finally:
            for process in processes:
                process.communicate()
        lines = [line for file in files.values() for line in file.read_text().splitlines()]
        if PASSWORD in "".join(lines):
            raise AssertionError("a password was traced")
    print(*results)
    print(*trees([json.loads(line) for line in lines]), sep="\n")


if __name__ == "__main__":
    if sys.argv[1:]:
        own_role, etcd_endpoint, heat_endpoint, output = sys.argv[1:]
        work(own_role, etcd_endpoint, heat_endpoint, Path(output))
    else:
        main()
