"""What a failed version's error does not say by itself: which template, and whose fault."""

from __future__ import annotations

import re

from gohan_jobs.codec import Codec
from gohan_jobs.exceptions import InvalidKey, InvalidRecord
from gohan_jobs.inspection.explanations import Explanation
from gohan_jobs.records import ResourceRef, StateRecord, WorkerState
from gohan_jobs.schemas import HEAT_WORKER, Schemas
from gohan_jobs.stores.base import Entry, Reader

__all__ = ["is_to_blame", "missing_in", "template_meant"]

_NOT_THERE = " is not there"
_MISSING = re.compile(
    r".*: (?P<type>[^:\s]+):(?P<id>\S+)"
    rf"(?:{_NOT_THERE}| has neither a stack nor a job that makes one)",
    re.DOTALL,
)
_OF_HEAT = (WorkerState.CREATE_ERROR, WorkerState.MODIFY_ERROR)


def template_meant(
    store: Reader,
    codec: Codec,
    schemas: Schemas,
    ref: ResourceRef,
    config: Entry | None,
    state: StateRecord | None,
) -> str:
    """The heat_template whose stack failed, which Heat's words do not name; empty if none did.

    Args:
        store: where the resources are read to which the type's template mapping refers.
        codec: reads records.
        schemas: the types.
        ref: the resource.
        config: its config; None if there is none.
        state: its result.
    """
    if config is None or state is None or state.worker_state not in _OF_HEAT:
        return ""

    def body(kind: str, identity: str) -> dict[str, object] | None:
        other = schemas.by_type(kind)
        path = None if other is None else other.path_of(identity)
        entry = None if path is None else store.get(codec.keys.config_of(path))
        return None if entry is None else codec.config(entry.key, entry.value).body

    try:
        record = codec.config(config.key, config.value)
        return schemas.template_of(ref, HEAT_WORKER, record.body, record.version, body)
    except (InvalidKey, InvalidRecord):
        return ""  # it can't be told


def missing_in(found: Explanation) -> ResourceRef | None:
    """What a version has failed for that was not there, once its hold had ended (``rules`` 5)."""
    state = found.state
    if state is None or state.version != found.version:
        return None
    named = _MISSING.fullmatch(state.error)
    return None if named is None else ResourceRef(named["type"], named["id"])


def is_to_blame(found: Explanation, other: Explanation) -> bool:
    """Whether another resource still blocks one; what one has failed for may be there by now."""
    if found.chain or found.held is not None or found.state is None:
        return True
    if found.state.error.endswith(_NOT_THERE):
        return other.version is None
    return not other.jobs and (other.stack is None or not other.stack.stack_id)
