"""A worker whose store is restored under it: it gets no lease before an operator has looked."""

from __future__ import annotations

import json

import attrs
import pytest

from gohan_jobs.acceptance import Acceptance, accept
from gohan_jobs.exceptions import Degraded, WrongCluster
from gohan_jobs.keys import Keys
from gohan_jobs.lifecycle import Lifecycle, Role
from gohan_jobs.stores.base import Put, Transaction
from gohan_jobs.stores.memory import MemoryStore
from gohan_jobs.testing.faults import FaultyStore
from worlds import NETWORK, World, ref

KEYS = Keys()
WORKERS = "/gohan-jobs/workers/"
DONE = ("CREATE_COMPLETED", 1, "")


def worked(*, done: bool = True) -> tuple[World, Lifecycle]:
    """A worker that has claimed a job, and perhaps done it; only it is stepped from now on."""
    world = World(wrap=FaultyStore, roles=(Role.MANAGER,), operation_seconds=2)
    worker = world.peer(roles=(Role.WORKER,), seed=5)
    world.write(NETWORK, {"name": "n"})
    world.settle()
    worker.run_until_idle()
    if done:
        world.clock.advance(3.0)
        worker.run_until_idle()
    return world, worker


def restored(worker: Lifecycle, writes: int, cluster_id: str = "") -> MemoryStore:
    """The cluster is one with fewer writes, by default of the same id; the lease has ended."""
    store = worker.store
    assert isinstance(store, FaultyStore)
    old = MemoryStore(cluster_id=cluster_id or store.cluster_id())
    mark = store.get("/gohan-jobs/cluster")
    assert mark is not None
    for key, value in ((mark.key, mark.value), *[("/x", b"")] * (writes - 1)):
        old.transact(Transaction((), (Put(key, value),)))
    store.store = old
    assert worker._worker is not None
    worker._worker.keep_alive()
    return old


@pytest.mark.parametrize("done", [True, False])
def test_a_revision_that_went_back(*, done: bool) -> None:
    """It has claimed, or ended, a job that the store knows nothing of: no lease, and it says so."""
    world, worker = worked(done=done)
    written = world.store.revision()
    old = restored(worker, 3)
    for _ in range(2):
        with pytest.raises(Degraded, match=f"went back from {written} to {old.revision()}: rest"):
            worker.run_until_idle()
    assert [] == [entry.key for entry in old.entries(WORKERS).entries]


def test_a_revision_that_did_not_go_back() -> None:
    """After another lease was lost it goes on as before."""
    world, worker = worked()
    old = restored(worker, world.store.revision())
    worker.run_until_idle()
    assert 1 == len(old.entries(WORKERS).entries)


def test_accepted_for_all() -> None:
    """An operator's word on the cluster counts, and is not needed a second time."""
    _, worker = worked()
    old = restored(worker, 3)
    accept(old, KEYS, beforehand=True)
    worker.run_until_idle()
    assert 1 == len(old.entries(WORKERS).entries)


def test_accepted_in_the_same_process() -> None:
    """What embeds a worker can say it directly."""
    _, worker = worked()
    old = restored(worker, 3)
    with pytest.raises(Degraded):
        worker.step()
    worker.resume()
    with pytest.raises(Degraded):
        worker.step()
    worker.resume(accept=True)
    worker.run_until_idle()
    assert 1 == len(old.entries(WORKERS).entries)


def test_nothing_is_accepted_in_advance() -> None:
    """What a registered worker is told about its manager's stop says nothing of a later one."""
    _, worker = worked()
    worker.resume(accept=True)
    restored(worker, 3)
    with pytest.raises(Degraded):
        worker.step()


def test_another_cluster() -> None:
    """A lease is lost, and the keyspace is a copy of another cluster's: as at start."""
    world, worker = worked()
    old = restored(worker, world.store.revision(), "copy")
    with pytest.raises(WrongCluster, match="cluster copy answers, it was 6d656d6f7279"):
        worker.step()
    accept(old, KEYS, beforehand=True)
    worker.run_until_idle()
    assert 1 == len(old.entries(WORKERS).entries)


def test_what_was_accepted_elsewhere() -> None:
    """A word that came with the backup of another cluster does not count."""
    _, worker = worked()
    old = restored(worker, 3)
    word = attrs.asdict(Acceptance(cluster="other", reason="", since=""))
    old.transact(Transaction((), (Put("/gohan-jobs/accept", json.dumps(word).encode()),)))
    with pytest.raises(Degraded):
        worker.step()


def test_a_worker_before_any_manager() -> None:
    """A keyspace without marks is nobody's yet; the worker works once it has become somebody's."""
    world = World(roles=(Role.MANAGER,))
    worker = world.peer(roles=(Role.WORKER,), seed=5)
    worker.run_until_idle()
    world.write(ref("network", "n2"), {"name": "n"})
    world.pass_time(5, worker)
    assert DONE == world.outcome(ref("network", "n2"))
