"""What a simulation has come to, so that two runs can be compared."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

import attrs

from gohan_jobs.bookkeeping import Bookkeeping
from gohan_jobs.codec import Codec
from gohan_jobs.keys import ResourcePath
from gohan_jobs.orchestrators.simulated import SimulatedHeat, SimulatedStack
from gohan_jobs.records import WorkerState
from gohan_jobs.stores.base import Reader, entries_below

__all__ = ["Outcome", "outcome_of"]


@attrs.frozen
class Outcome:
    """What a simulation has come to, whichever way it took.

    Attributes:
        states: for each resource's path, version of its ``/state`` and what it says: ``completed``,
            ``failed``, ``deleted`` or ``read``. (Whether a version was created or modified depends
            on which versions before it were superseded.)
        stacks: for each live stack's name, its tenant, the end of its status (``COMPLETE``,
            ``FAILED`` or ``PROGRESS``), the version in its tag, and the parameters it has.
        remains: keys that should be gone: jobs, job states, bookkeeping of jobs.
    """

    states: Mapping[str, tuple[int, str]]
    stacks: Mapping[str, tuple[str, str, str, Mapping[str, Any]]]
    remains: tuple[str, ...]


def outcome_of(
    store: Reader, heat: SimulatedHeat, codec: Codec, tenants: Collection[str]
) -> Outcome:
    """Read it off the store and the stacks.

    Args:
        store: what is read.
        heat: whose stacks are looked at.
        codec: reads records.
        tenants: whose stacks.
    """
    states = dict(_states(store, codec))
    failed = {key for key, (_, kind) in states.items() if kind == "failed"}
    return Outcome(states, _stacks(heat, tenants), tuple(_remains(store, codec, failed)))


def _states(store: Reader, codec: Codec) -> Iterator[tuple[str, tuple[int, str]]]:
    for entry in entries_below(store, codec.keys.state):
        state = codec.state(entry.key, entry.value)
        yield entry.key, (state.version, _kind(str(state.worker_state), state.error))


def _remains(store: Reader, codec: Codec, failed: Collection[str]) -> Iterator[str]:
    keys, own = codec.keys, Bookkeeping(codec.keys)
    # What can't be planned can't be made right, until another version or a deletion comes.
    excused = {own.repair(ResourcePath(key.removeprefix(keys.state))) for key in failed}
    for prefix in (
        keys.jobs,
        f"{keys.worker}job_state/",
        own.jobs_prefix,
        own.failed_prefix,
        own.preempt_prefix,
        own.repairs_prefix,
        own.retries_prefix,
        own.cancels_prefix,
    ):
        yield from (e.key for e in entries_below(store, prefix) if e.key not in excused)


def _stacks(
    heat: SimulatedHeat, tenants: Collection[str]
) -> dict[str, tuple[str, str, str, Mapping[str, Any]]]:
    found: dict[str, tuple[str, str, str, Mapping[str, Any]]] = {}
    for tenant in tenants:
        for stack in heat.stacks(tenant, look):
            found[stack.name] = (tenant, stack.end, stack.versions, stack.parameters)
    return found


@attrs.frozen
class Look:
    """What a stack is like in the end, whichever way led there.

    Attributes:
        name: its name.
        end: of its status, how the last operation ended.
        versions: of the configs in its tags.
        parameters: that were given.
    """

    name: str
    end: str
    versions: str
    parameters: Mapping[str, Any]


def look(stack: SimulatedStack) -> Look:
    """See :class:`Look`; for :meth:`SimulatedHeat.stacks`."""
    versions = ",".join(tag.split(":")[1] for tag in stack.tags)
    end = str(stack.status).rpartition("_")[2]
    return Look(stack.name, end, versions, dict(stack.blueprint.parameters.given))


def _kind(worker_state: str, error: str) -> str:
    if error:
        return "failed"
    if worker_state == str(WorkerState.DELETED):
        return "deleted"
    return "read" if worker_state == str(WorkerState.READ) else "completed"
