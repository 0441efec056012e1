"""Small worlds for tests: types, templates, a store, a simulated Heat, a clock and lifecycles.

::

    world = World()
    world.write(NETWORK, {"name": "blue"})
    world.settle()
    assert world.state(NETWORK).worker_state == "CREATE_COMPLETED"

Types: ``network`` (workable, versioned, deleted in two steps), ``port`` (as a network, and needs
the output ``link`` of the network that its ``network_id`` names), ``disk`` (deleted in one step),
``alias`` (versioned, not workable) and ``quota`` (workable, not versioned).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

import attrs

from gohan_jobs.clock import VirtualClock
from gohan_jobs.codec import Codec
from gohan_jobs.events import Event
from gohan_jobs.keys import JobId, Keys, Place, ResourcePath
from gohan_jobs.lifecycle import Lifecycle
from gohan_jobs.orchestrators.simulated import SimulatedHeat
from gohan_jobs.records import (
    ConfigRecord,
    HeatStack,
    Job,
    JobState,
    ProcessedConfig,
    ResourceRef,
    StateRecord,
)
from gohan_jobs.schemas import Schema, Schemas
from gohan_jobs.stores.base import Delete, EventKind, Operation, Put, Store, Transaction, scan
from gohan_jobs.stores.memory import MemoryStore

__all__ = [
    "ALIAS",
    "DISK",
    "HOT",
    "NETWORK",
    "PORT",
    "QUOTA",
    "SCHEMAS",
    "TEMPLATES",
    "TENANT",
    "World",
    "Write",
    "ref",
]

TENANT: Final = "fe3a4a1a72c04479bb6c19c2c0ccba4c"

HOT: Final = """\
heat_template_version: 2016-10-14
parameters:
  tenant_id: {type: string, default: ""}
  version: {type: number, default: 0}
  name: {type: string, default: ""}
  network: {type: string, default: ""}
resources:
  thing: {type: "OS::Heat::Value", properties: {value: {get_param: name}}}
outputs:
  link: {description: Link, value: {get_attr: [thing, value]}}
"""
"""Gives its ``name`` back as the output ``link``."""

_OWN: Final = {"tenant_id": "Ptenant_id", "version": "Vauto_filled", "name": "Pname"}

TEMPLATES: Final[Mapping[str, Mapping[str, Any]]] = {
    "network": _OWN,
    "port": {**_OWN, "network": "Mnetwork:network_id:link"},
    "disk": _OWN,
    "quota": _OWN,
}
"""The mappings of each template, by its id."""

SCHEMAS: Final = Schemas(
    [
        Schema(
            type="network",
            prefix="v2.0/networks",
            templates={"heat_worker": "Cnetwork"},
            state_versioning=True,
            two_step_deletion=True,
        ),
        Schema(
            type="port",
            prefix="v2.0/ports",
            relations={"network_id": "network"},
            templates={"heat_worker": "Cport"},
            state_versioning=True,
            two_step_deletion=True,
        ),
        Schema(
            type="disk",
            prefix="v2.0/disks",
            templates={"heat_worker": "Cdisk"},
            state_versioning=True,
        ),
        Schema(type="alias", prefix="v2.0/aliases", state_versioning=True),
        Schema(type="quota", prefix="v2.0/quotas", templates={"heat_worker": "Cquota"}),
    ]
)


def ref(resource_type: str, resource_id: str) -> ResourceRef:
    """A resource."""
    return ResourceRef(resource_type, resource_id)


NETWORK: Final = ref("network", "n1")
PORT: Final = ref("port", "p1")
DISK: Final = ref("disk", "d1")
ALIAS: Final = ref("alias", "a1")
QUOTA: Final = ref("quota", "q1")


@attrs.frozen
class Write:
    """One change of one key in the store's history."""

    revision: int
    kind: str
    key: str
    value: bytes


class World:
    """Everything a test needs, at a time that only the test moves on.

    Args:
        operation_seconds: what Heat takes for an operation; 0: it is over at the next look.
        schemas: the types.
        templates: the heat_templates to begin with: mappings by id, all with the text ``HOT``.
        wrap: what lifecycles get for a store, given the real one.
        heat: the simulated Heat; one of its own unless given.
        options: passed on to every Lifecycle.
    """

    def __init__(
        self,
        *,
        operation_seconds: float = 0.0,
        schemas: Schemas = SCHEMAS,
        templates: Mapping[str, Mapping[str, Any]] = TEMPLATES,
        wrap: Callable[[MemoryStore], Store] | None = None,
        heat: SimulatedHeat | None = None,
        clock: VirtualClock | None = None,
        **options: Any,
    ) -> None:
        self.clock = clock or VirtualClock()
        self.store = MemoryStore(clock=self.clock)
        self._watch = self.store.watch("/", 1)
        self._history: list[Write] = []
        self.heat = heat or SimulatedHeat(self.clock, operation_seconds=operation_seconds)
        self.codec = Codec()
        self.keys: Keys = self.codec.keys
        self.schemas = schemas
        self.events: list[Event] = []
        self._wrap = wrap
        self._options: dict[str, Any] = {"seed": 1, **options}
        for name, mappings in templates.items():
            self.template(name, mappings)
        self.lifecycle = self.peer()

    # Lifecycles.

    def peer(self, **options: Any) -> Lifecycle:
        """One more lifecycle, another process as it were, on the same store and Heat."""
        wrap = self._wrap
        return Lifecycle(
            wrap(self.store) if wrap else self.store,
            self.heat,
            self.schemas,
            clock=self.clock,
            **{"hooks": (self.events.append,), **self._options, **options},
        )

    def restart(self, **options: Any) -> Lifecycle:
        """The lifecycle dies without a word, and another takes its place once its leases end."""
        self.clock.advance(120.0)
        self.store.expire()
        self.lifecycle = self.peer(**{"seed": len(self._history) + 2, **options})
        return self.lifecycle

    def settle(self) -> int:
        """Step until nothing is left to do now; how many steps did something."""
        return self.lifecycle.run_until_idle()

    def pass_time(self, seconds: float, *others: Lifecycle, step: float = 1.0) -> None:
        """Let time pass, everyone stepping all the while."""
        left = seconds
        while left > 0:
            self.clock.advance(min(step, left))
            left -= step
            for lifecycle in (self.lifecycle, *others):
                lifecycle.run_until_idle()

    def step_until(self, reached: Callable[[], object], *others: Lifecycle) -> None:
        """Step one by one until something is so.

        Raises:
            AssertionError: it never is.
        """
        for _ in range(10_000):
            if reached():
                return
            worked = [lifecycle.step() for lifecycle in (self.lifecycle, *others)]
            if not any(worked):
                break
        assert reached(), "idle, and it is not so"

    # Writing as Gohan does.

    def write(
        self,
        resource: ResourceRef,
        body: Mapping[str, Any] | None = None,
        version: int = 1,
        *,
        marked: bool = False,
    ) -> None:
        """Write a config; id and tenant are added to the body."""
        full = {"id": resource.resource_id, "tenant_id": TENANT, **(body or {})}
        record = ConfigRecord(body=full, version=version, marked_for_deletion=marked)
        self.put(self.keys.config_of(self.path(resource)), self.codec.dumps(record))

    def template(self, name: str, mappings: Mapping[str, Any], text: str = HOT) -> None:
        """Write a heat_template."""
        body = {
            "id": name,
            "handler": "heat_worker",
            "watch": [],
            "template_file": text,
            "parameter_mappings": dict(mappings),
        }
        record = ConfigRecord(body=body, version=1)
        key = self.keys.config_of(self.keys.template_path(name))
        self.put(key, self.codec.dumps(record))

    def remove_config(self, resource: ResourceRef, *, state: bool = False) -> None:
        """Remove a config's key and, as Gohan does after a delete, its state."""
        keys = [self.keys.config_of(self.path(resource))]
        if state:
            keys.append(self.keys.state_of(self.path(resource)))
        self.transact(*map(Delete, keys))

    def put(self, key: str, value: str | bytes, lease: int = 0) -> None:
        """Write anything anywhere."""
        data = value.encode() if isinstance(value, str) else value
        self.transact(Put(key, data, lease))

    def delete(self, key: str) -> None:
        """Remove anything."""
        self.transact(Delete(key))

    def transact(self, *operations: Operation) -> None:
        """Do several things at once."""
        self.store.transact(Transaction((), operations))

    # Looking.

    def path(self, resource: ResourceRef) -> ResourcePath:
        """Where a resource's records are."""
        schema = self.schemas.by_type(resource.resource_type)
        assert schema is not None
        return schema.path_of(resource.resource_id)

    def text(self, key: str) -> bytes | None:
        """What stands at a key."""
        entry = self.store.get(key)
        return None if entry is None else entry.value

    def state(self, resource: ResourceRef) -> StateRecord | None:
        """A resource's result."""
        key = self.keys.state_of(self.path(resource))
        text = self.text(key)
        return None if text is None else self.codec.state(key, text)

    def outcome(self, resource: ResourceRef) -> tuple[str, int, str] | None:
        """A resource's result in brief: worker state, version, error."""
        state = self.state(resource)
        return None if state is None else (str(state.worker_state), state.version, state.error)

    def stack(self, resource: ResourceRef) -> HeatStack | None:
        """A resource's stack record."""
        key = self.keys.heat_stack_of(self.path(resource))
        text = self.text(key)
        return None if text is None else self.codec.heat_stack(key, text)

    def processed(self, resource: ResourceRef) -> ProcessedConfig | None:
        """A resource's processed copy."""
        key = self.keys.processed_of(self.path(resource))
        text = self.text(key)
        return None if text is None else self.codec.processed(key, text)

    def job_state(self, resource: ResourceRef) -> JobState | None:
        """A resource's job state."""
        key = self.keys.job_state_of(self.path(resource))
        text = self.text(key)
        return None if text is None else self.codec.job_state(key, text)

    def jobs(self) -> list[Job]:
        """The unfinished jobs, in the order in which they were queued."""
        entries = [e for page in scan(self.store, self.keys.all_jobs) for e in page.entries]
        entries.sort(key=lambda entry: entry.create_revision)
        return [self.codec.job(entry.key, entry.value) for entry in entries]

    def job(self, resource: ResourceRef, version: int | None = None) -> Job:
        """The one unfinished job of a resource, or of a version of it."""
        (found,) = [
            job
            for job in self.jobs()
            if job.resource == resource and version in {None, job.version}
        ]
        return found

    def place(self, job_id: JobId) -> Place | None:
        """Where a job stands."""
        found = [p for p in Place if self.store.get(self.keys.place(p, job_id)) is not None]
        assert len(found) <= 1, found
        return found[0] if found else None

    def places(self) -> dict[str, str]:
        """Where every unfinished job stands, by ``<action> <id>:<version>``."""
        return {
            f"{job.action} {job.resource_id}:{job.version}": str(self.place(job.id))
            for job in self.jobs()
        }

    def under(self, prefix: str) -> dict[str, bytes]:
        """Everything under a prefix."""
        pages = scan(self.store, prefix)
        return {entry.key: entry.value for page in pages for entry in page.entries}

    def told(self, kind: type[Event]) -> list[Any]:
        """The events of a kind so far."""
        return [event for event in self.events if type(event) is kind]

    def changes(self) -> list[tuple[str, str]]:
        """What Heat was asked to change: operation and stack."""
        return [(call.op, call.stack) for call in self.heat.changes if not call.error]

    def history(self, prefix: str = "/") -> list[Write]:
        """Every change so far of keys under a prefix."""
        while (batch := self._watch.poll()) is not None:
            for event in batch.events:
                value = b"" if event.entry is None else event.entry.value
                kind = "put" if event.kind is EventKind.PUT else "delete"
                self._history.append(Write(event.revision, kind, event.key, value))
        return [write for write in self._history if write.key.startswith(prefix)]

    def written(self, prefix: str, since: int = 0) -> list[Any]:
        """The JSON of every put under a prefix, from a revision on."""
        return [
            json.loads(write.value)
            for write in self.history(prefix)
            if write.kind == "put" and write.revision > since
        ]

    def states_of(self, resource: ResourceRef) -> list[tuple[str, int, str]]:
        """Every result ever published of a resource."""
        key = self.keys.state_of(self.path(resource))
        found = self.written(key)
        return [
            (state["state"]["worker_state"], state["version"], state["error"]) for state in found
        ]
