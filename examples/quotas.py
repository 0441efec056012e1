"""A hook that has a say before anything is queued: a quota for each tenant, and quiet hours.

Run it: ``python examples/quotas.py``. A vetoed change is held, durably: `explain` tells why and
until when; it is asked about again by itself, and nobody else waits for it.
"""

from __future__ import annotations

from collections.abc import Callable

from gohan_jobs import (
    AdmissionRequest,
    Allow,
    Completed,
    ConfigRecord,
    Lifecycle,
    MemoryStore,
    ResourceRef,
    Schema,
    Schemas,
    SimulatedHeat,
    Veto,
    VirtualClock,
)
from gohan_jobs.exceptions import WaitTimeout

HOUR = 3600.0
SERVERS = Schema(
    type="server",
    prefix="v2.0/servers",
    state_versioning=True,
    two_step_deletion=True,
    templates={"heat_worker": "Cserver"},
)


class Rules:
    """No more servers than a tenant has paid for, and no deletion in quiet hours.

    Args:
        quota: servers that a tenant may have.
        stacks: tells how many it has: what is there is counted, not what was asked.
        quiet_for: tells how many seconds of quiet hours are left; 0 outside them.
    """

    def __init__(
        self, quota: int, stacks: Callable[[str], int], quiet_for: Callable[[], float]
    ) -> None:
        self._quota = quota
        self._stacks = stacks
        self._quiet_for = quiet_for

    def __call__(self, request: AdmissionRequest) -> Allow | Veto:
        """Called by the process that leads, for each change that it has planned."""
        if request.action == "create" and self._stacks(request.tenant) >= self._quota:
            return Veto(f"{request.tenant} has its {self._quota} servers", retry_after=60)
        left = self._quiet_for()
        if request.action == "logical_delete" and left:
            return Veto("no deletions in quiet hours", retry_after=left)
        return Allow()


def main() -> None:
    """A tenant wants three servers and may have two; one goes, after the quiet hours."""
    clock = VirtualClock()
    heat = SimulatedHeat(clock)
    quiet_until = clock.now() + HOUR
    rules = Rules(
        quota=2,
        stacks=lambda tenant: len(heat.stacks(tenant, str)),
        quiet_for=lambda: max(0.0, quiet_until - clock.now()),
    )
    store = MemoryStore(clock=clock)
    schemas = Schemas([SERVERS])
    with Lifecycle(store, heat, schemas, clock=clock, hooks=(), admission=rules) as lifecycle:
        hot = "heat_template_version: 2016-10-14\nresources: {n: {type: OS::Heat::None}}\n"
        body = {"id": "server", "handler": "heat_worker", "template_file": hot}
        template = ConfigRecord(body=body | {"parameter_mappings": {}}, version=1)
        lifecycle.submit(template, ResourceRef("heat_template", "server"))
        servers = [ResourceRef("server", f"s{number}") for number in (1, 2, 3)]
        for ref in servers:
            config = ConfigRecord(body={"id": ref.resource_id, "tenant_id": "blue"}, version=1)
            lifecycle.submit(config, ref)
            show(lifecycle, ref, 1, patience=100)
        lifecycle.delete(servers[0])
        show(lifecycle, servers[0], 2, patience=100)
        show(lifecycle, servers[0], 2, patience=HOUR)
        show(lifecycle, servers[2], 1, patience=HOUR)


def show(lifecycle: Lifecycle, ref: ResourceRef, version: int, *, patience: float) -> None:
    """Wait for a version, and tell what became of it."""
    try:
        result = lifecycle.wait(ref, version, timeout=patience)
    except WaitTimeout:
        held = lifecycle.explain(ref).held
        print(f"{ref}: not now: {held.reason if held else 'no veto'}")
        return
    if isinstance(result, Completed):
        print(f"{ref}: {result.state.worker_state}")


if __name__ == "__main__":
    main()
