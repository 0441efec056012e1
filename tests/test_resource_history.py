"""A resource's history while the store remembers it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from gohan_jobs.exceptions import Compacted, StoreUnavailable
from gohan_jobs.inspection.history import History, read_history
from gohan_jobs.orchestrators.simulated import Outcome
from gohan_jobs.stores.base import Watch, WatchBatch
from gohan_jobs.stores.memory import MemoryStore
from worlds import NETWORK, World, ref

JOB = re.compile("/jobs/all/[a-z_]+:heat_worker:network:n1:")


def history_of(world: World, store: Any = None, patience: float = 0.0) -> History:
    """The network's history."""
    where = store or world.store
    return read_history(where, NETWORK, world.path(NETWORK), patience=patience)


def changed_keys(history: History) -> list[tuple[int, str]]:
    """Which keys changed, by revision."""
    return [(entry.revision, entry.key) for entry in history.entries]


def expected_keys(world: World, since: int = 0) -> list[tuple[int, str]]:
    """The same from the store's whole history."""
    own = ("/config/", "/state/", "/monitoring/")
    workers = (f"/esi-worker/{name}/" for name in ("config", "heat_stacks", "job_state"))
    exact = {f"{prefix}v2.0/networks/n1" for prefix in (*own, *workers)}
    return sorted(
        (write.revision, write.key)
        for write in world.history()
        if write.revision > since and (write.key in exact or JOB.match(write.key))
    )


@pytest.fixture
def world() -> World:
    """A network was created, changed, and deleted; beside it one whose id begins likewise."""
    world = World()
    world.write(NETWORK, {"name": "blue", "password": "hunter22"})
    world.write(ref("network", "n10"), {"name": "other"})
    world.pass_time(30.0)
    world.write(NETWORK, {"name": "green", "password": "hunter23"}, 2)
    world.pass_time(30.0)
    return world


def test_every_change_is_told(world: World) -> None:
    """Each change of each of its records and jobs, and none of another resource's."""
    found = history_of(world)
    assert (NETWORK, world.store.revision(), 0) == (found.resource, found.revision, found.compacted)
    assert expected_keys(world) == sorted(changed_keys(found))
    revisions = [entry.revision for entry in found.entries]
    assert sorted(revisions) == revisions


def test_what_went_is_told(world: World) -> None:
    """Removals too, of what is not there any more."""
    world.write(NETWORK, {"name": "green"}, 3, marked=True)
    world.pass_time(30.0)
    world.remove_config(NETWORK, state=True)
    world.pass_time(30.0)
    found = history_of(world)
    assert expected_keys(world) == sorted(changed_keys(found))
    (last,) = [entry for entry in found.entries[-9:] if entry.key.startswith("/config/")][-1:]
    assert (True, None, "", ()) == (last.removed, last.record, last.problem, last.differences)


def test_differences_without_secrets(world: World) -> None:
    """What changed in a config is told; its secrets are not."""
    found = history_of(world)
    _, second = [entry for entry in found.entries if entry.key == "/config/v2.0/networks/n1"]
    lines = [(each.path, each.before, each.after) for each in second.differences]
    assert [
        ("$.body.name", "blue", "green"),
        ("$.body.password", "***", "***"),
        ("$.version", 1, 2),
    ] == lines
    assert {"hunter22", "hunter23"} <= found.secrets


def test_secrets_are_masked_in_other_records() -> None:
    """What a config calls secret is masked in a result's differences, too."""
    world = World()
    world.write(NETWORK, {"password": "hunter22"})
    world.pass_time(30.0)
    state = '{"state":{"worker_state":"CREATE_ERROR"},"version":1,"error":"hunter22 is wrong"}'
    world.put("/state/v2.0/networks/n1", state)
    last = history_of(world).entries[-1]
    (error,) = [each.after for each in last.differences if each.path == "$.error"]
    assert "*** is wrong" == error


def test_what_can_not_be_read(world: World) -> None:
    """A broken record is told as such; what comes after it is compared with nothing."""
    world.put("/state/v2.0/networks/n1", b"broken")
    world.put("/state/v2.0/networks/n1", '{"state":{"worker_state":"A"},"version":1,"error":""}')
    broken, mended = history_of(world).entries[-2:]
    assert (None, False, ()) == (broken.record, broken.removed, mended.differences)
    assert broken.problem.startswith("/state/v2.0/networks/n1: ")


def test_compacted(world: World) -> None:
    """What was there at the compaction comes first; then everything after it."""
    at = world.store.revision()
    world.store.compact(at)
    there = {key for key in world.under("/") if key.endswith("/networks/n1")}
    assert there == {key for _, key in changed_keys(history_of(world))}
    world.write(NETWORK, {"name": "red"}, 3)
    world.pass_time(30.0)
    found = history_of(world)
    assert at == found.compacted
    assert there == {key for revision, key in changed_keys(found) if revision <= at}
    later = [item for item in changed_keys(found) if item[0] > at]
    assert expected_keys(world, since=at) == sorted(later)
    third = next(entry for entry in found.entries if entry.revision == at + 1)
    assert "$.body.name" in {each.path for each in third.differences}


def test_nothing_is_known() -> None:
    """A resource that never was has no history."""
    assert () == history_of(World()).entries


def test_another_handler(world: World) -> None:
    """Jobs of other handlers are found if they are named."""
    key = "/jobs/all/create:dns:network:n1:1:aaaaa"
    world.put(key, b"broken")
    path = world.path(NETWORK)
    found = read_history(world.store, NETWORK, path, handlers=["dns"], patience=0.0)
    assert key == found.entries[-1].key


class Late:
    """A watch that tells of nothing until it has been asked some times."""

    def __init__(self, watch: Watch, times: int) -> None:
        self._watch = watch
        self._times = times

    def poll(self, timeout: float = 0.0) -> WatchBatch | None:
        """Nothing yet."""
        self._times -= 1
        return None if self._times >= 0 else self._watch.poll(timeout)

    def close(self) -> None:
        """Stop."""
        self._watch.close()


class Slow:
    """A store whose watches take their time, or that is compacted again and again."""

    def __init__(self, store: MemoryStore, wrap: Callable[[Watch], Watch]) -> None:
        self._store = store
        self._wrap = wrap

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def watch(self, prefix: str, revision: int, **more: Any) -> Watch:
        """A watch that is wrapped."""
        return self._wrap(self._store.watch(prefix, revision, **more))


def test_what_is_there_is_waited_for(world: World) -> None:
    """However late a watch tells of what is there now, it is not left out."""
    found = history_of(world, Slow(world.store, lambda watch: Late(watch, 3)))
    assert expected_keys(world) == sorted(changed_keys(found))


def test_what_happens_meanwhile_is_left_out(world: World) -> None:
    """A history ends where it was asked for; what comes then shows that all before has come."""
    before, end = expected_keys(world), world.store.revision()

    def write_once(watch: Watch) -> Watch:
        if world.store.revision() == end:
            world.write(NETWORK, {"name": "red"}, 3)
        return watch

    found = history_of(world, Slow(world.store, write_once))
    assert (before, end) == (sorted(changed_keys(found)), found.revision)


def test_it_is_not_waited_for_ever(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that never tells what it must know is an error."""
    monkeypatch.setattr("gohan_jobs.inspection.history._LONGEST", 0.01)
    store = Slow(world.store, lambda watch: Late(watch, 10**9))
    with pytest.raises(StoreUnavailable, match=r"did not come within 0\.01 s"):
        history_of(world, store)


def test_compacted_faster_than_it_is_read(world: World) -> None:
    """It does not go on for ever."""

    def too_late(watch: Watch) -> Watch:
        raise Compacted(1)

    with pytest.raises(StoreUnavailable, match="compacted faster"):
        history_of(world, Slow(world.store, too_late))


def test_quiet_is_waited_for(world: World) -> None:
    """With patience it ends when nothing has come for that long."""
    found = history_of(world, patience=0.05)
    assert expected_keys(world) == sorted(changed_keys(found))


def test_a_failure_is_told() -> None:
    """A failed job's results are in it."""
    world = World()
    world.heat.script("network_n1", Outcome(fails=True, reason="no VLAN"))
    world.write(NETWORK)
    world.pass_time(30.0)
    states = [e.record for e in history_of(world).entries if e.key.startswith("/state/")]
    assert [world.state(NETWORK)] == states
