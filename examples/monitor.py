"""A monitoring agent, a program of its own: it follows ``/state`` and reports what it sees.

Run it: ``python examples/monitor.py``. The agent shares nothing with the job manager but the store.
It reads what is there, watches from that revision on, and reads again when the history that it
needs is gone; so it misses nothing, whenever it starts. Only a status of the config's own version
counts (``rules`` 20): a late one is refused.
"""

from __future__ import annotations

from collections.abc import Callable

from gohan_jobs import (
    Codec,
    ConfigRecord,
    Lifecycle,
    MemoryStore,
    MonitoringStatus,
    ResourceRef,
    Schema,
    Schemas,
    SimulatedHeat,
    Store,
    VirtualClock,
    WorkerState,
    dumps,
    exceptions,
)
from gohan_jobs.keys import ResourcePath
from gohan_jobs.monitoring import Reporting
from gohan_jobs.stores.base import Entry, Watch, scan

STATES = "/state/"


class Agent:
    """Looks at each resource that has come up or changed.

    Args:
        store: where states are, and statuses go.
        look: asks the running resource how it is.
    """

    def __init__(self, store: Store, look: Callable[[ResourcePath], MonitoringStatus]) -> None:
        self._store = store
        self._look = look
        self._codec = Codec()
        self.reporting = Reporting(store)
        self._watch: Watch | None = None

    def step(self) -> None:
        """Take up what has changed; a program calls this in a loop, with a time-out for poll."""
        if self._watch is None:
            self._watch = self._begin()
        try:
            while (batch := self._watch.poll()) is not None:
                for event in batch.events:
                    if event.entry is not None:
                        self._seen(event.entry)
        except exceptions.Compacted:
            self._watch = None  # it was away too long: the next step reads everything again

    def _begin(self) -> Watch:
        revision = 0
        for page in scan(self._store, STATES):
            revision = page.revision
            for entry in page.entries:
                self._seen(entry)
        return self._store.watch(STATES, revision + 1)

    def _seen(self, entry: Entry) -> None:
        state = self._codec.state(entry.key, entry.value)
        path = ResourcePath(entry.key.removeprefix(STATES))
        if not state.error and state.worker_state != WorkerState.DELETED:
            self.reporting.report(path, state.version, "network", self._look(path))


def main() -> None:
    """A network comes up, is changed, and an answer comes too late."""
    clock = VirtualClock()
    store, n1 = MemoryStore(clock=clock), ResourceRef("network", "n1")
    schema = Schema(type="network", prefix="v2.0/networks", templates={"heat_worker": "Cnetwork"})
    statuses = iter((MonitoringStatus.DOWN, MonitoringStatus.UP))
    agent = Agent(store, lambda _: next(statuses))
    heat = SimulatedHeat(clock)
    with Lifecycle(store, heat, Schemas([schema]), clock=clock, hooks=()) as lifecycle:
        hot = "heat_template_version: 2016-10-14\nresources: {n: {type: OS::Heat::None}}\n"
        body = {"handler": "heat_worker", "template_file": hot, "parameter_mappings": {}}
        template = ConfigRecord(body=body | {"id": "network"}, version=1)
        lifecycle.submit(template, ResourceRef("heat_template", "network"))
        for version in (1, 2):
            config = {"id": "n1", "tenant_id": "t1", "name": f"name {version}"}
            path = lifecycle.submit(ConfigRecord(body=config, version=version), n1)
            lifecycle.wait(n1, version)
            agent.step()
            entry = store.get(lifecycle.keys.monitoring_of(path))
            assert entry is not None
            print(entry.key, dumps(lifecycle.codec.loads(entry.key, entry.value), "worker"))
        path = lifecycle.path_of(n1)
        print("late:", agent.reporting.report(path, 1, "network", MonitoringStatus.FAIL))
        print("withdrawn:", agent.reporting.withdraw(path, 2))


if __name__ == "__main__":
    main()
