"""What Heat itself says of a resource's stack, now. Nothing is changed."""

from __future__ import annotations

import attrs

from gohan_jobs.codec import Codec
from gohan_jobs.inspection.queued import read
from gohan_jobs.keys import ResourcePath
from gohan_jobs.orchestrators.base import Diagnosis, Orchestrator, Stack
from gohan_jobs.records import ConfigRecord, HeatStack, ProcessedConfig, Record, ResourceRef
from gohan_jobs.rendering import stack_name
from gohan_jobs.stores.base import Reader

__all__ = ["StackReport", "ask_for_stack", "tenant_of_stack"]


@attrs.frozen(kw_only=True)
class StackReport:
    """What Heat says of a stack.

    Attributes:
        name: the stack's name.
        tenant: the project it was looked for in.
        stack: as it is now; None if there is none.
        diagnosis: which of its resources failed, and its last events.
    """

    name: str
    tenant: str
    stack: Stack | None
    diagnosis: Diagnosis


def ask_for_stack(orchestrator: Orchestrator, resource: ResourceRef, tenant: str) -> StackReport:
    """Ask for a resource's stack: up to three requests.

    Raises:
        OrchestratorError: Heat does not answer, or refuses.
    """
    name = stack_name(resource)
    stack = orchestrator.find(tenant, name)
    diagnosis = Diagnosis() if stack is None else orchestrator.diagnose(stack)
    return StackReport(name=name, tenant=tenant, stack=stack, diagnosis=diagnosis)


def tenant_of_stack(store: Reader, path: ResourcePath, codec: Codec) -> str:
    """The project of a resource's stack: its record's, else its config's (``rules`` 27).

    Returns:
        The project; empty if neither says.

    Raises:
        StoreError: the store can't be read.
    """
    keys = codec.keys
    for key in (keys.heat_stack_of(path), keys.config_of(path), keys.processed_of(path)):
        record = read(lambda e: codec.loads(e.key, e.value), store.get(key))
        tenant = _tenant_in(record)
        if tenant:
            return tenant
    return ""


def _tenant_in(record: Record | None) -> str:
    if isinstance(record, HeatStack):
        return record.tenant_id
    tenant = (
        record.body.get("tenant_id") if isinstance(record, ConfigRecord | ProcessedConfig) else ""
    )
    return tenant if isinstance(tenant, str) else ""
