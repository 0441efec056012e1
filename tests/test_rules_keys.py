"""Rules 21 to 31: keys of our own, tenancy, templates, secrets, each rule a test."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from typing import Any

import pytest

from gohan_jobs.clock import VirtualClock
from gohan_jobs.events import ConfigSetAside, JobFailed, JobReleased
from gohan_jobs.exceptions import GohanJobsError, InvalidKey, UnsupportedFormat
from gohan_jobs.keys import Place
from gohan_jobs.lifecycle import Role
from gohan_jobs.manager import ManagerOptions
from gohan_jobs.orchestrators.simulated import Outcome
from gohan_jobs.records import ConfigRecord
from gohan_jobs.stores.base import Transaction, TransactionResult
from gohan_jobs.stores.memory import MemoryStore
from gohan_jobs.testing.faults import FaultyStore
from gohan_jobs.worker import WorkerOptions
from worlds import DISK, HOT, NETWORK, TEMPLATES, TENANT, World, ref


class Recorder(FaultyStore):
    """Remembers every transaction."""

    def __init__(self, store: MemoryStore) -> None:
        super().__init__(store)
        self.sent: list[tuple[Transaction, TransactionResult]] = []

    def transact(self, transaction: Transaction) -> TransactionResult:
        """Remember it."""
        result = super().transact(transaction)
        self.sent.append((transaction, result))
        return result


def busy(world: World, number: int) -> list[Any]:
    """So many networks, all of one tenant."""
    resources = [ref("network", f"n{index}") for index in range(number)]
    for resource in resources:
        world.write(resource, {"name": "x"})
    return resources


def test_rule_21_all_bookkeeping_is_under_one_prefix() -> None:
    """Whatever happens, nothing is written but documented keys and ours."""
    world = World()
    busy(world, 3)
    world.put("/config/v2.0/networks/broken", "{")
    world.pass_time(10)
    roots = {write.key.split("/")[1] for write in world.history()}
    assert {"config", "esi-worker", "gohan-jobs", "job_manager_id", "jobs", "state"} == roots
    assert b"1" == world.text("/gohan-jobs/format")
    assert [b"8"] == list(world.under("/gohan-jobs/workers/").values())
    assert {} == world.under("/gohan-jobs/jobs/")


@pytest.mark.parametrize("role", [Role.MANAGER, Role.WORKER])
def test_rule_21_another_format_refuses_to_start(role: str) -> None:
    """A release that can't read the keyspace touches nothing, and takes no part."""
    world = World(roles=(role,))
    world.put("/gohan-jobs/format", "99")
    since = world.store.revision()
    with pytest.raises(UnsupportedFormat, match="99"):
        world.settle()
    assert [] == [write.key for write in world.history() if write.revision > since]


def test_rule_22_planning_compares_the_leader_and_the_config() -> None:
    """Not every dependency: only the leader ends jobs."""
    stores: list[Recorder] = []

    def wrap(store: MemoryStore) -> Recorder:
        stores.append(Recorder(store))
        return stores[-1]

    world = World(wrap=wrap, roles=(Role.MANAGER,))
    world.write(NETWORK, {"name": "x"})
    world.write(ref("port", "p"), {"name": "p", "network_id": "n1"})
    world.settle()
    (planned,) = [
        sent
        for sent, _ in stores[0].sent
        if any("/jobs/all/" in getattr(operation, "key", "") for operation in sent.success)
    ]
    compared = sorted(compare.key for compare in planned.compares)
    assert [
        "/config/v2.0/networks/n1",
        "/config/v2.0/ports/p",
        "/esi-worker/config/v2.0/networks/n1",
        "/esi-worker/config/v2.0/ports/p",
        "/job_manager_id",
        "/state/v2.0/networks/n1",
        "/state/v2.0/ports/p",
    ] == compared


def test_rule_23_renewal_writes_nothing() -> None:
    """An idle system's history stands still, however long."""
    world = World()
    busy(world, 2)
    world.pass_time(10)
    revision = world.store.revision()
    world.pass_time(300, step=5)
    assert revision == world.store.revision()
    assert world.lifecycle.leads


def test_rule_23_history_is_never_compacted() -> None:
    """Etcd may be shared."""
    stores: list[Recorder] = []

    def wrap(store: MemoryStore) -> Recorder:
        stores.append(Recorder(store))
        return stores[-1]

    world = World(wrap=wrap)
    busy(world, 2)
    world.pass_time(10)
    assert "compact" not in stores[0].calls


def test_rule_24_workers_do_not_watch_configs() -> None:
    """Only the manager's role does, and its standby the leader's key alone."""
    seen: list[str] = []

    class Watching(FaultyStore):
        def watch(self, prefix: str, revision: int, *, wake: Any = None) -> Any:
            seen.append(prefix)
            return super().watch(prefix, revision, wake=wake)

    world = World(wrap=Watching, roles=(Role.WORKER,))
    world.settle()
    assert all(not prefix.startswith("/config") for prefix in seen)
    assert seen


def test_rule_25_a_bounded_number_of_jobs_is_ready() -> None:
    """Four times all slots; fresh before resync."""
    world = World(roles=(Role.MANAGER,), manager=ManagerOptions(default_slots=2))
    busy(world, 20)
    world.settle()
    ready = [place for place in world.places().values() if place == Place.READY]
    assert 8 == len(ready)
    world.write(DISK, {"name": "fresh"})
    world.settle()
    assert Place.WAITING is world.place(world.job(DISK).id)
    worker = world.peer(roles=(Role.WORKER,), worker=WorkerOptions(slots=1))
    worker.step()
    worker.step()
    world.settle()
    while not world.told(JobReleased):
        worker.step()
        world.clock.advance(0.5)
        world.settle()
    assert "d1" == world.told(JobReleased)[0].job_id.resource_id


def test_rule_25_a_slot_is_a_claimed_unfinished_job() -> None:
    """Those that wait for Heat included."""
    world = World(operation_seconds=100, worker=WorkerOptions(slots=2))
    busy(world, 5)
    world.settle()
    assert 2 == list(world.places().values()).count(str(Place.WORKING))


def test_rule_25_slots_of_gone_workers_do_not_count() -> None:
    """A worker's slots are told under its lease."""
    world = World(roles=(Role.MANAGER,))
    workers = [world.peer(roles=(Role.WORKER,), seed=seed) for seed in (2, 3)]
    for worker in workers:
        worker.run_until_idle()
    world.settle()
    manager = world.lifecycle._manager
    assert manager is not None
    assert [8, 8] == list(manager._desk.slots.values())
    workers[0].close()
    world.settle()
    assert [8] == list(manager._desk.slots.values())


def test_rule_26_clock_skew_may_delay_but_never_reorder() -> None:
    """A leader whose wall clock is years behind still runs versions in order."""
    import datetime as dt  # noqa: PLC0415 - only here

    world = World(clock=VirtualClock(dt.datetime(1999, 1, 1, tzinfo=dt.UTC)), operation_seconds=5)
    world.write(NETWORK, {"name": "x"}, 1)
    world.settle()
    world.write(NETWORK, {"name": "y"}, 2)
    other = world.peer(seed=4)
    world.pass_time(30, other)
    assert [1, 2] == [state[1] for state in world.states_of(NETWORK)]


def test_rule_27_a_changed_tenant_is_a_final_error() -> None:
    """A live stack's tenant comes from its record; no other tenant's Heat is asked."""
    world = World()
    world.write(NETWORK, {"name": "x"})
    world.pass_time(5)
    world.write(NETWORK, {"name": "x", "tenant_id": "other"}, 2)
    world.pass_time(5)
    outcome = world.outcome(NETWORK)
    assert outcome is not None
    assert ("MODIFY_ERROR", 2) == outcome[:2]
    assert "tenant" in outcome[2]
    assert {TENANT} == {call.tenant for call in world.heat.calls}


def forged(world: World, tenant: str) -> str:
    """Change a queued job's tenant, as somebody who can write ``/jobs``; its key."""
    job = world.job(NETWORK)
    key = world.keys.job(job.id)
    text = (world.text(key) or b"").decode()
    world.put(key, text.replace(TENANT, tenant))
    return key


def test_rule_27_a_job_of_another_tenant_is_set_aside() -> None:
    """Who can write ``/jobs`` must not drive another tenant's Heat; repaired, it runs."""
    world = World(roles=(Role.MANAGER,))
    world.write(NETWORK, {"name": "x"})
    world.settle()
    key = forged(world, "victim")
    worker = world.peer(roles=(Role.WORKER,))
    world.pass_time(10, worker)
    assert {"victim"}.isdisjoint(call.tenant for call in world.heat.calls)
    assert [] == world.changes()
    assert key in [event.key for event in world.told(ConfigSetAside)]
    restarted = world.peer(roles=(Role.MANAGER,), seed=8)
    world.lifecycle.close()
    world.lifecycle = restarted
    world.pass_time(5, worker)
    assert [] == world.changes()
    world.put(key, (world.text(key) or b"").decode().replace("victim", TENANT))
    world.pass_time(5, worker)
    assert ("CREATE_COMPLETED", 1, "") == world.outcome(NETWORK)
    assert {} == world.under("/gohan-jobs/quarantine/")


def test_rule_27_a_forged_delete_is_set_aside() -> None:
    """A one-step delete has no config: the stack's record tells the tenant."""
    world = World(roles=(Role.MANAGER, Role.WORKER))
    world.write(DISK, {"name": "x"})
    world.pass_time(5)
    world.lifecycle.close()
    world.lifecycle = world.peer(roles=(Role.MANAGER,), seed=3)
    world.remove_config(DISK, state=True)
    world.settle()
    job = world.job(DISK)
    key = world.keys.job(job.id)
    world.put(key, (world.text(key) or b"").decode().replace(TENANT, "victim"))
    world.pass_time(5, world.peer(roles=(Role.WORKER,), seed=5))
    assert [("create", "disk_d1")] == world.changes()
    own = world.lifecycle.queue.own
    assert [own.quarantine(key)] == list(world.under(own.quarantine_prefix))


def test_rule_27_a_job_whose_config_moved_to_another_tenant_fails() -> None:
    """It is as it was planned; the later version names another tenant: nobody waits for ever."""
    world = World(roles=(Role.MANAGER,))
    world.write(NETWORK, {"name": "x"})
    world.write(ref("port", "p1"), {"name": "p", "network_id": "n1"})
    world.settle()
    world.write(NETWORK, {"name": "x", "tenant_id": "other"}, 2)
    world.settle()
    worker = world.peer(roles=(Role.WORKER,))
    world.pass_time(10, worker)
    assert "CREATE_ERROR" == world.states_of(NETWORK)[0][0]
    assert {} == world.under("/jobs/")


def test_rule_28_a_hostile_template_is_its_configs_error() -> None:
    """It costs neither memory nor time, and is told in ``/state``."""
    world = World()
    hostile = HOT + "# {{ 'a' * 10**9 }} {{ ''.__class__.__mro__ }}\n"
    world.template("network", TEMPLATES["network"], hostile)
    world.write(NETWORK, {"name": "x"})
    world.write(DISK, {"name": "x"})
    world.pass_time(5)
    outcome = world.outcome(NETWORK)
    assert outcome is not None
    assert "CREATE_ERROR" == outcome[0]
    assert [("create", "disk_d1")] == world.changes()


def test_rule_29_secrets_are_scrubbed_from_what_is_published() -> None:
    """Heat quotes a password in its reason: neither state, stack nor event shows it."""
    world = World()
    secret = "hunter2-hunter2"
    world.heat.script("network_n1", Outcome(fails=True, reason=f"bad value {secret}"))
    world.write(NETWORK, {"name": "x", "admin_password": secret})
    world.write(ref("port", "p1"), {"name": "p", "network_id": "n1"})
    world.pass_time(10)
    shown = [*world.under("/state/").values(), *world.under("/esi-worker/heat_stacks/").values()]
    assert 3 == len(shown)
    assert [] == [text for text in shown if secret.encode() in text]
    assert secret not in repr(world.events)
    assert "***" in world.told(JobFailed)[0].reason


def test_rule_30_importing_starts_nothing() -> None:
    """The core imports neither etcd3 nor protobuf, heatclient, grpc, jinja2 or yaml."""
    code = (
        "import sys, gohan_jobs, gohan_jobs.lifecycle, gohan_jobs.stores.memory\n"
        "heavy = {'etcd3', 'google.protobuf', 'heatclient', 'grpc', 'requests', 'keystoneauth1'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert "[]\n" == done.stdout


def test_rule_31_no_signal_handlers() -> None:
    """Running threads leaves the process's signal handlers as they were."""
    import signal  # noqa: PLC0415 - only here

    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    world = World()
    world.lifecycle.run()
    after = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    world.lifecycle.close()
    assert before == after
    assert [] == [t for t in threading.enumerate() if t.name.startswith("gohan-jobs")]


def test_rule_31_submit_writes_gohans_own_keys() -> None:
    """In the spelling asked for; a template too; what has no place is refused."""
    world = World(templates={})
    lifecycle = world.lifecycle
    config = ConfigRecord(body={"id": "n1", "tenant_id": TENANT}, version=1)
    assert "v2.0/networks/n1" == lifecycle.submit(config, NETWORK, spelling="gohan")
    assert b'"body":"{' in (world.text("/config/v2.0/networks/n1") or b"")
    assert "v2.0/heat_templates/t" == lifecycle.submit(config, ref("heat_template", "t"))
    for nonsense in (ref("alien", "x"), ref("network", "a/b"), ref("network", "")):
        with pytest.raises(InvalidKey):
            lifecycle.submit(config, nonsense)


def test_rule_31_delete_does_as_gohan_does() -> None:
    """Marked with the next version, then removed with its state; what is not there is an error."""
    world = World()
    lifecycle = world.lifecycle
    world.write(NETWORK, {"name": "x"})
    world.pass_time(5)
    lifecycle.delete(NETWORK)
    config = json.loads(world.text("/config/v2.0/networks/n1") or b"")
    assert (2, True) == (config["version"], config["marked_for_deletion"])
    world.pass_time(5)
    lifecycle.delete(NETWORK)
    world.pass_time(5)
    assert {} == {**world.under("/config/v2.0/networks/"), **world.under("/state/")}
    assert {} == world.under("/esi-worker/")
    with pytest.raises(GohanJobsError, match="no config"):
        lifecycle.delete(NETWORK)


def test_rule_31_delete_of_a_config_that_changes_meanwhile() -> None:
    """It says so, and leaves the new one alone."""

    class Racing(FaultyStore):
        racing = False

        def transact(self, transaction: Transaction) -> TransactionResult:
            if self.racing:
                self.racing = False
                world.write(NETWORK, {"name": "y"}, 2)
            return super().transact(transaction)

    world = World(wrap=Racing)
    world.write(NETWORK, {"name": "x"})
    store = world.lifecycle.store
    assert isinstance(store, Racing)
    store.racing = True
    with pytest.raises(GohanJobsError, match="changed meanwhile"):
        world.lifecycle.delete(NETWORK)
