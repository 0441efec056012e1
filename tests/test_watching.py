"""Records as they change, of whatever is selected, across compactions."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from gohan_jobs.exceptions import Compacted
from gohan_jobs.inspection.resource_secrets import secrets_of
from gohan_jobs.inspection.watching import Gap, RecordChange, RecordWatch, Selection, WatchedKind
from gohan_jobs.keys import JobId, Place, ResourcePath
from gohan_jobs.records import ConfigRecord
from gohan_jobs.redaction import Redactor
from gohan_jobs.stores.base import Watch, WatchBatch
from gohan_jobs.stores.memory import MemoryStore
from jobs_made import job_id, make_job
from worlds import NETWORK, PORT, World, ref

JOB = job_id("port:p1")
STATE = '{"state":{"worker_state":"A"},"version":1,"error":"%s"}'
STACK = (
    '{"stack_id":"","tenant_id":"","stack_status":"A","output":[],"status_reason":"%s","id":"a"}'
)


@pytest.fixture
def world() -> World:
    """A world without templates, in which nobody works."""
    return World(templates={})


def changes(world: World, start: int = 1, **selected: Any) -> list[Any]:
    """What has changed so far."""
    with RecordWatch(world.store, Selection(**selected), start) as watch:
        return list(watch.poll())


def keys(world: World, **selected: Any) -> list[str]:
    """The keys of what has changed so far."""
    return [change.key for change in changes(world, **selected)]


def put_job(world: World, identity: JobId) -> None:
    """Queue a job."""
    queued = world.codec.dumps(make_job(identity))
    world.put(world.keys.job(identity), queued)
    world.put(world.keys.place(Place.READY, identity), b"heat_worker")


def fill(world: World) -> None:
    """One of each record of a port, and the config of another and of a network."""
    world.write(PORT)
    world.put("/esi-worker/config/v2.0/ports/p1", b'{"body":{},"deleted":false,"version":1}')
    put_job(world, JOB)
    stack = (
        b'{"stack_id":"","tenant_id":"","stack_status":"A","output":[],"status_reason":"","id":"a"}'
    )
    world.put("/esi-worker/heat_stacks/v2.0/ports/p1", stack)
    world.put("/esi-worker/job_state/v2.0/ports/p1", b"{}")
    world.put("/state/v2.0/ports/p1", STATE % "")
    world.put("/monitoring/v2.0/ports/p1", b'{"status":"UP","version":1}')
    world.write(ref("port", "p10"))
    world.write(NETWORK)


def test_every_kind_in_order(world: World) -> None:
    """Unless told otherwise all records and places are watched, and come in order."""
    fill(world)
    found = changes(world)
    assert [change.revision for change in found] == [*range(2, 12)]
    assert all(change.record is not None for change in found if change.place is None)
    (place,) = [change for change in found if change.place is not None]
    assert (Place.READY, JOB, None, "heat_worker") == (
        place.place,
        place.job_id,
        place.record,
        place.text,
    )


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (WatchedKind.CONFIG, ["/config/v2.0/ports/p1", "/config/v2.0/ports/p10"]),
        (WatchedKind.PROCESSED, ["/esi-worker/config/v2.0/ports/p1"]),
        (WatchedKind.JOBS, [f"/jobs/all/{JOB}", f"/jobs/ready/{JOB}"]),
        (WatchedKind.HEAT_STACKS, ["/esi-worker/heat_stacks/v2.0/ports/p1"]),
        (WatchedKind.JOB_STATE, ["/esi-worker/job_state/v2.0/ports/p1"]),
        (WatchedKind.STATE, ["/state/v2.0/ports/p1"]),
        (WatchedKind.MONITORING, ["/monitoring/v2.0/ports/p1"]),
    ],
)
def test_one_kind_of_one_type(world: World, kind: WatchedKind, expected: list[str]) -> None:
    """Kinds and types are chosen apart."""
    fill(world)
    put_job(world, job_id("network:n1"))
    chosen = {"kinds": (kind,), "resource_type": "port", "schema_prefix": "v2.0/ports"}
    assert expected == keys(world, **chosen)


def test_one_resource(world: World) -> None:
    """An id is a whole one, with a type or without."""
    fill(world)
    put_job(world, job_id("port:p10"))
    one = {"resource_id": "p1"}
    typed = {**one, "resource_type": "port", "schema_prefix": "v2.0/ports"}
    expected = keys(world, **typed)
    assert expected == keys(world, **one)
    assert 8 == len(expected)
    assert not [key for key in expected if "p10" in key]


def test_everything_below_a_prefix(world: World) -> None:
    """What is no record comes as its text; a key that only looks like a job's is no job's."""
    world.put("/gohan-jobs/format", b"1")
    world.put("/jobs/all/none", b"\xff")
    world.put("/config/v2.0/ports/p1", b"broken")
    *others, config = changes(world, prefix="/")
    assert [("/gohan-jobs/format", "1", None), ("/jobs/all/none", "\ufffd", None)] == [
        (change.key, change.text, change.job_id) for change in others
    ]
    assert (None, "") == (config.record, config.text)
    assert config.problem.startswith("/config/v2.0/ports/p1: ")


def test_what_went(world: World) -> None:
    """A removal is a change without a record."""
    world.write(NETWORK)
    world.remove_config(NETWORK)
    _, gone = changes(world)
    assert RecordChange(revision=3, key="/config/v2.0/networks/n1", removed=True) == gone


def test_from_now_on(world: World) -> None:
    """Without a revision what was before is not told."""
    world.write(NETWORK)
    with RecordWatch(world.store) as watch:
        assert () == watch.poll()
        world.write(NETWORK, version=2)
        (change,) = watch.poll()
    assert isinstance(change, RecordChange)
    assert isinstance(change.record, ConfigRecord)
    assert 2 == change.record.version


def test_waiting_ends_with_a_change(world: World) -> None:
    """Who waits for a change need not wait for the end of the time."""
    with RecordWatch(world.store) as watch:
        watch.poll()
        writer = threading.Timer(0.01, world.write, [NETWORK])
        writer.start()
        found: tuple[Any, ...] = ()
        while not found:
            found = watch.poll(10.0)
        writer.join()
        assert () == watch.poll(0.001)
    assert ["/config/v2.0/networks/n1"] == [change.key for change in found]


def test_close_twice(world: World) -> None:
    """Closing is idempotent."""
    watch = RecordWatch(world.store)
    watch.poll()
    watch.close()
    watch.close()


# Compaction.


def test_a_gap_at_the_beginning(world: World) -> None:
    """What was compacted before it was asked for is a gap; what came after it is told."""
    for version in (1, 2, 3):
        world.write(NETWORK, version=version)
    world.store.compact(3)
    with RecordWatch(world.store, Selection(kinds=(WatchedKind.CONFIG,)), 1) as watch:
        assert (Gap(prefix="/config/", first=1, last=3),) == watch.poll()
        (change,) = watch.poll()
    assert 4 == change.revision if isinstance(change, RecordChange) else change


class Forgetful(MemoryStore):
    """A store whose watches die once: history went while the connection was lost."""

    lost_at = 0

    def watch(self, prefix: str, revision: int, **more: Any) -> Watch:
        """A watch that dies at its first poll, if history is lost."""
        watch = super().watch(prefix, revision, **more)
        lost, self.lost_at = self.lost_at, 0
        return _Dead(watch, lost) if lost else watch


class _Dead:
    def __init__(self, watch: Watch, revision: int) -> None:
        self._watch = watch
        self._revision = revision

    def poll(self, timeout: float = 0.0) -> WatchBatch | None:
        raise Compacted(self._revision)

    def close(self) -> None:
        self._watch.close()


def test_a_gap_later() -> None:
    """A watch that has died is closed, the gap is told, and another goes on after it."""
    store = Forgetful()
    store.lost_at = 7
    with RecordWatch(store, Selection(prefix="/"), 3) as watch:
        assert (Gap(prefix="/", first=3, last=7),) == watch.poll(10.0)
        assert {"/": 8} == watch._next
        assert () == watch.poll()


# Secrets.


def test_secrets_of_other_records(world: World) -> None:
    """What stands in a record's words is looked up in its resource's configs."""
    world.write(PORT, {"password": "hunter22"})
    old = b'{"body":{"password":"hunter21"},"deleted":false,"version":1}'
    world.put("/esi-worker/config/v2.0/ports/p1", old)
    world.put("/state/v2.0/ports/p1", STATE % "hunter22 is wrong")
    world.put("/state/v2.0/ports/p1", STATE % "")
    world.put("/esi-worker/heat_stacks/v2.0/ports/p1", STACK % "hunter21")
    failed = b'{"heat_outputs":[],"orchestration_state":"CREATE_ERROR","error":"hunter21"}'
    world.put("/esi-worker/job_state/v2.0/ports/p1", failed)
    both = frozenset({"hunter21", "hunter22"})
    expected = [{"hunter22"}, {"hunter21"}, both, frozenset(), both, both]
    assert expected == [change.secrets for change in changes(world)]


def test_secrets_of_what_can_not_be_read(world: World) -> None:
    """A broken config has none that could be told."""
    world.put("/config/v2.0/ports/p1", b"broken")
    path = ResourcePath("v2.0/ports/p1")
    assert frozenset() == secrets_of(world.store, path, world.codec, Redactor())


def test_secrets_and_texts_are_in_no_repr(world: World) -> None:
    """They may be anything."""
    world.write(PORT, {"password": "hunter22"})
    world.put("/jobs/ready/x", b"hunter22")
    assert "hunter22" not in repr(changes(world, prefix="/"))
