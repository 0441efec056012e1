"""What a deployment is doing, in one look, and its jobs as a list."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from gohan_jobs.bookkeeping import SET_ASIDE, Band, JobNotes
from gohan_jobs.clock import VirtualClock
from gohan_jobs.codec import Codec
from gohan_jobs.exceptions import Compacted, StoreRefused
from gohan_jobs.inspection.failed_results import NAMED
from gohan_jobs.inspection.job_list import JobFilter, JobList, list_jobs
from gohan_jobs.inspection.overview import (
    FailedResult,
    LeaderStatus,
    Status,
    WorkerStatus,
    read_status,
)
from gohan_jobs.keys import JobId, Place
from gohan_jobs.queue import Queue
from gohan_jobs.stores.base import Delete, Page, Put, Store, Transaction
from gohan_jobs.stores.memory import MemoryStore
from jobs_made import job_id, make_job

FIRST, SECOND, THIRD = job_id("port:p1"), job_id("port:p2"), job_id("network:n1", handler="dns")
PLANNED = "2018-02-19T00:00:00+00:00"


class Deployment:
    """A store, and what is put there."""

    def __init__(self, store: MemoryStore | None = None) -> None:
        self.clock = VirtualClock()
        self.store = store or MemoryStore(clock=self.clock)
        codec = Codec()
        self.queue = Queue(codec.keys, codec)
        self.keys, self.own = codec.keys, self.queue.own

    def put(self, key: str, value: bytes = b"", lease: int = 0) -> None:
        """Write a key."""
        self.store.transact(Transaction((), (Put(key, value, lease),)))

    def job(
        self,
        identity: JobId,
        place: Place | None,
        *dependency: JobId,
        value: bytes = b"heat_worker",
        lease: int = 0,
        **notes: Any,
    ) -> None:
        """Queue a job."""
        body = {"id": "p1", "password": "hunter22"}
        job = make_job(identity, dependency, resource_input=body)
        noted = JobNotes(**{"planned_at": PLANNED, "path": "p", "tenant": "t", **notes})
        self.put(self.keys.job(identity), self.queue.text(job))
        self.put(self.own.job(identity), self.own.dumps(noted))
        if place is not None:
            self.put(self.keys.place(place, identity), value, lease)

    def status(self, *, failures: bool = False) -> Status:
        """What it is doing."""
        return read_status(self.store, clock=self.clock, failures=failures)

    def jobs(self, limit: int | None = None, **wanted: Any) -> JobList:
        """Its jobs."""
        found = JobFilter(**wanted)
        return list_jobs(self.store, wanted=found, limit=limit, clock=self.clock)

    def names(self, **wanted: Any) -> list[JobId]:
        """The ids of jobs."""
        return [job.job_id for job in self.jobs(**wanted).jobs]


@pytest.fixture
def at() -> Deployment:
    """An empty deployment."""
    return Deployment()


# Status.


def test_nothing_is_there(at: Deployment) -> None:
    """Nobody leads, nobody works, and nothing is queued."""
    status = at.status()
    assert (None, (), 0, None, ()) == (
        status.leader,
        status.workers,
        status.jobs,
        status.size,
        status.alarms,
    )
    assert {*attrs.astuple(status.troubles)} == {0}
    assert (0, 0, 0, 0, 0, None, 0) == attrs.astuple(status.resources)
    assert [(place, 0, None, {}, {}) for place in Place] == [
        attrs.astuple(place) for place in status.places
    ]


def test_the_leader(at: Deployment) -> None:
    """Who leads, since when, and for how long its lease lives."""
    lease = at.store.grant_lease(65.0)
    at.put(f"{at.keys.leader}s", b"another key")
    at.put(at.keys.leader, b"m1", lease.id)
    at.clock.advance(5.0)
    expected = LeaderStatus(manager_id="m1", since_revision=3, leased=True, lease_left=60.0)
    assert expected == at.status().leader


def test_the_leader_has_the_name_that_stands_under_its_lease(at: Deployment) -> None:
    """One that a leader before it has left, or another key that begins so, is not its name."""
    lease, before = at.store.grant_lease(65.0).id, at.store.grant_lease(65.0).id
    at.put(at.keys.leader, b"m1", lease)
    named = []
    for key, value, under in (
        (f"{at.own.leader}-x", b"another key", lease),
        (at.own.leader, b"before", before),
        (at.own.leader, b"here", lease),
    ):
        at.put(key, value, under)
        leader = at.status().leader
        assert leader is not None
        named.append(leader.name)
    assert ["", "", "here"] == named


def test_a_leader_without_a_lease(at: Deployment) -> None:
    """Another program's job manager may lead without a lease."""
    at.put(at.keys.leader, b"old")
    expected = LeaderStatus(manager_id="old", since_revision=2, leased=False)
    assert expected == at.status().leader


def test_workers_and_what_they_have(at: Deployment) -> None:
    """A claim is a worker's whose lease it stands under; any other is a stranger's."""
    one, two = at.store.grant_lease(60.0), at.store.grant_lease(60.0)
    at.put(at.own.worker("w1"), b"8", one.id)
    at.put(at.own.worker("w2"), b"many", two.id)
    at.job(FIRST, Place.WORKING, value=b"r1", lease=one.id)
    at.job(SECOND, Place.WORKING, value=b"r2", lease=one.id)
    at.job(THIRD, Place.WORKING, value=b"r3")
    gone = at.store.grant_lease(60.0)
    at.job(job_id("port:p4"), Place.WORKING, value=b"r4", lease=gone.id)
    named = {row.holder: row.worker for row in at.jobs().jobs}
    assert {"r1": "w1", "r2": "w1", "r3": "", "r4": ""} == named
    status = at.status()
    expected = (
        WorkerStatus(worker_id="w1", slots=8, busy=2, since_revision=2, lease_left=60.0),
        WorkerStatus(worker_id="w2", slots=None, busy=0, since_revision=3, lease_left=60.0),
    )
    assert (expected, 2) == (status.workers, status.troubles.strangers)


def test_places(at: Deployment) -> None:
    """Of each place: how many, the oldest, and how they spread over bands and tenants."""
    at.job(FIRST, Place.WAITING, band=Band.RESYNC)
    at.clock.advance(30.0)
    now = at.clock.wall().isoformat()
    at.job(SECOND, Place.WAITING, planned_at=now, tenant="u")
    at.put(at.keys.place(Place.WAITING, THIRD), b"dns")
    at.put(at.keys.place(Place.WAITING, FIRST) + ":no-job-id")
    at.clock.advance(10.0)
    status = at.status()
    waiting = status.places[0]
    assert (Place.WAITING, 3, 40.0) == (waiting.place, waiting.jobs, waiting.oldest)
    assert ({"resync": 1, "fresh": 1, "": 1}, {"t": 1, "u": 1, "": 1}) == (
        waiting.bands,
        waiting.tenants,
    )
    assert (3, 1) == (status.jobs, status.resources.resync)


def test_the_most_frequent_come_first(at: Deployment) -> None:
    """Of tenants, of which only the first few are shown."""
    for number, tenant in enumerate("abbcccaaaa"):
        at.job(job_id(f"port:p{number}"), Place.READY, tenant=tenant)
    ready = next(place for place in at.status().places if place.place is Place.READY)
    assert [("a", 5), ("c", 3), ("b", 2)] == [*ready.tenants.items()]


def test_of_two_places_the_later_counts(at: Deployment) -> None:
    """An old worker can leave a job in two places."""
    at.job(FIRST, Place.WAITING)
    at.put(at.keys.place(Place.READY, FIRST), b"heat_worker")
    at.job(SECOND, Place.READY)
    at.put(at.keys.place(Place.WAITING, SECOND), b"heat_worker")
    places = {row.job_id: row.place for row in at.jobs().jobs}
    assert {FIRST: Place.READY, SECOND: Place.WAITING} == places
    assert 2 == at.status().jobs


def test_resources_are_counted(at: Deployment) -> None:
    """Templates apart; results with an error only when asked for."""
    state = b'{"state":{"worker_state":"READ_COMPLETE"},"version":1,"error":"%b"}'
    at.put("/config/v2.0/heat_templates/t1")
    at.put("/config/v2.0/ports/p1")
    at.put("/config/v2.0/ports/p2")
    at.put("/esi-worker/config/v2.0/ports/p1")
    at.put("/esi-worker/heat_stacks/v2.0/ports/p1")
    at.put("/state/v2.0/ports/p1", state % b"")
    at.put("/state/v2.0/ports/p2", state % b"broken")
    at.put("/state/v2.0/ports/p3", b"no JSON")
    at.put("/state/v2.0/ports/p4", b'{"state":{"worker_state":"A"},"version":1,"error" : ""}')
    assert (2, 1, 1, 4, 1, None, 0) == attrs.astuple(at.status().resources)
    assert 2 == at.status(failures=True).resources.failed


def test_failed_results_are_named(at: Deployment) -> None:
    """The last written first, without secrets; of one that can't be read, why."""
    at.put("/config/v2.0/ports/p2", b'{"body":{"token":"hunter22"},"version":3}')
    state = b'{"state":{"worker_state":"CREATE_ERROR"},"version":3,"error":"not %b"}'
    at.put("/state/v2.0/ports/p2", state % b"hunter22")
    at.put("/state/v2.0/ports/p1", b"no JSON")
    broken, failed = at.status(failures=True).failures
    expected = FailedResult(
        path="v2.0/ports/p2",
        revision=3,
        error="not ***",
        version=3,
        worker_state="CREATE_ERROR",
    )
    assert expected == failed
    assert ("v2.0/ports/p1", None, "") == (broken.path, broken.version, broken.worker_state)
    assert "not JSON" in broken.error
    assert () == at.status().failures


def test_only_the_newest_failures_are_named(at: Deployment) -> None:
    """All of them are counted, however many there are."""
    many = 2 * NAMED + 1
    for number in range(many):
        at.put(f"/state/v2.0/ports/p{number}", b"no JSON")
    status = at.status(failures=True)
    assert (many, NAMED) == (status.resources.failed, len(status.failures))
    assert f"v2.0/ports/p{many - 1}" == status.failures[0].path
    assert f"v2.0/ports/p{many - NAMED}" == status.failures[-1].path


def test_troubles(at: Deployment) -> None:
    """Each kind of what wants a look is counted apart."""
    at.put(at.own.held_prefix + "a/b")
    at.put(at.own.failed(FIRST))
    at.put(at.own.quarantine("/config/a/b"))
    at.put(at.own.orphans_prefix + "a/b")
    at.put(at.own.repairs_prefix + "a/b")
    at.put(at.own.reports_prefix + "a/b")
    at.job(FIRST, Place.WAITING, held_until="later")
    at.job(SECOND, Place.WAITING, held_until=SET_ASIDE)
    at.job(THIRD, None)
    troubles = attrs.asdict(at.status().troubles)
    assert 0 == troubles.pop("strangers")
    assert {1} == {*troubles.values()}, troubles


@attrs.frozen
class Told:
    """What a store says of itself."""

    size: int
    alarms: tuple[str, ...]


class Telling(MemoryStore):
    """A store that tells its size and alarms, unless it may not be asked."""

    allowed = True

    def status(self) -> Told:
        """As the store on etcd."""
        if not self.allowed:
            raise StoreRefused("permission denied")
        return Told(4096, ("NOSPACE",))


class Sized(MemoryStore):
    """A store that tells its size only."""

    def size(self) -> int:
        """Some bytes."""
        return 17


class Refusing(Telling):
    """A store whose user may not ask."""

    allowed = False


@pytest.mark.parametrize(
    ("store", "expected"),
    [
        (Telling(), (4096, ("NOSPACE",))),
        (Sized(), (17, ())),
        (Refusing(), (None, ())),
    ],
)
def test_what_the_store_says_of_itself(
    store: MemoryStore, expected: tuple[int | None, tuple[str, ...]]
) -> None:
    """Its size and its alarms, as far as it tells us."""
    status = Deployment(store).status()
    assert expected == (status.size, status.alarms)


class Uncounted:
    """A store that can neither count nor tell of leases."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Any:
        if name in {"count", "lease_ttl"}:
            raise AttributeError(name)
        return getattr(self._store, name)


def test_a_store_that_can_do_less(at: Deployment) -> None:
    """Keys are then read to count them, and leases are alive without a time."""
    lease = at.store.grant_lease(60.0)
    at.put(at.keys.leader, b"m1", lease.id)
    at.put("/config/v2.0/ports/p1")
    store: Any = Uncounted(at.store)
    status = read_status(store, clock=at.clock)
    expected = LeaderStatus(manager_id="m1", since_revision=2, leased=True)
    assert (expected, 1) == (status.leader, status.resources.configs)


class Compacting(MemoryStore):
    """A store that is compacted while it is read."""

    times = 0

    def entries(self, prefix: str, *, after: str = "", limit: int = 500, revision: int = 0) -> Page:
        """Too late, so many times."""
        if self.times and revision:
            self.times -= 1
            raise Compacted(revision + 1)
        return super().entries(prefix, after=after, limit=limit, revision=revision)


def test_compacted_meanwhile() -> None:
    """It is read again as of a later revision; not for ever."""
    store = Compacting()
    store.times = 4
    assert 1 == read_status(store).revision
    store.times = 5
    with pytest.raises(Compacted):
        read_status(store)


# Jobs.


@pytest.fixture
def busy(at: Deployment) -> Deployment:
    """Three jobs: one worked on, one that waits for it, one of another handler."""
    at.job(FIRST, Place.WORKING, value=b"r1", attempts=1)
    at.clock.advance(100.0)
    now = at.clock.wall().isoformat()
    error = "no VLAN for hunter22"
    at.job(
        SECOND,
        Place.WAITING,
        FIRST,
        job_id("port:gone"),
        planned_at=now,
        last_error=error,
        path="v2.0/ports/p2",
    )
    at.put(at.keys.place(Place.READY, THIRD), b"dns")
    at.clock.advance(20.0)
    return at


def test_jobs_are_listed(busy: Deployment) -> None:
    """The oldest first, with what its place, its notes and its document say."""
    first, second, third = busy.jobs().jobs
    assert (FIRST, Place.WORKING, PLANNED, 120.0, 1, "r1", 0) == (
        first.job_id,
        first.place,
        first.planned_at,
        first.age,
        first.attempts,
        first.holder,
        first.waits_for,
    )
    assert (SECOND, 1, 20.0, "no VLAN for ***") == (
        second.job_id,
        second.waits_for,
        second.age,
        second.last_error,
    )
    assert (THIRD, Place.READY, None, "", "") == (
        third.job_id,
        third.place,
        third.age,
        third.planned_at,
        third.band,
    )


def test_some_jobs(busy: Deployment) -> None:
    """By place, handler, type and age; one that nobody knows the age of is not old."""
    assert [SECOND] == busy.names(place=Place.WAITING)
    assert [THIRD] == busy.names(handler="dns")
    assert [FIRST, SECOND] == busy.names(resource_type="port")
    assert [FIRST] == busy.names(older_than=100.0)
    assert [] == busy.names(resource_type="disk")


def test_only_so_many_jobs(busy: Deployment) -> None:
    """A limit leaves out the youngest, and how many there are is told."""
    found = busy.jobs(limit=1)
    assert (3, [FIRST]) == (found.matching, [job.job_id for job in found.jobs])
    found = busy.jobs(limit=1, resource_type="port")
    assert (2, [FIRST]) == (found.matching, [job.job_id for job in found.jobs])


def test_what_was_planned_at_once_comes_in_the_order_of_configs(at: Deployment) -> None:
    """One transaction may queue several jobs: whose config came first is listed first."""
    first, second = job_id("port:z"), job_id("port:a")
    puts = tuple(
        Put(at.own.job(each), at.own.dumps(JobNotes(planned_at="", path="", config_mod=mod)))
        for each, mod in ((second, 9), (first, 7))
    )
    at.store.transact(Transaction((), puts))
    assert [first, second] == at.names()


def test_only_a_waiting_job_waits(at: Deployment) -> None:
    """What a released one has waited for is done with, as far as it is concerned."""
    at.job(FIRST, Place.WORKING)
    at.job(SECOND, Place.READY, FIRST)
    at.job(THIRD, Place.WAITING, FIRST)
    assert {FIRST: 0, SECOND: 0, THIRD: 1} == {job.job_id: job.waits_for for job in at.jobs().jobs}


def test_a_job_whose_document_is_gone_or_broken(busy: Deployment) -> None:
    """It is listed with what else is known of it; its config says what is secret."""
    busy.put(busy.keys.job(SECOND), b"broken")
    busy.put("/config/v2.0/ports/p2", b'{"body":{"token":"hunter22"},"version":1}')
    busy.store.transact(Transaction((), (Delete(busy.keys.job(FIRST)),)))
    first, second, _ = busy.jobs().jobs
    assert (("r1", 0), (0, "no VLAN for ***")) == (
        (first.holder, first.waits_for),
        (second.waits_for, second.last_error),
    )


def test_an_error_of_nobody_known(at: Deployment) -> None:
    """Where not even the path is known, only the document says what is secret."""
    at.job(FIRST, Place.WAITING, path="", last_error="hunter22 is wrong")
    assert ["*** is wrong"] == [job.last_error for job in at.jobs().jobs]


def test_notes_that_can_not_be_read(at: Deployment) -> None:
    """Such a job is listed as one without notes."""
    at.job(FIRST, Place.WAITING)
    at.put(at.own.job(FIRST), b"broken")
    (job,) = at.jobs().jobs
    assert (None, "") == (job.age, job.tenant)


def test_of_the_real_clock(at: Deployment) -> None:
    """Unless told otherwise, the system's clock and the documented keys count."""
    store: Store = at.store
    at.job(FIRST, Place.WAITING)
    oldest = read_status(store).places[0].oldest
    assert oldest is not None
    assert oldest > 10**8
    assert [FIRST] == [job.job_id for job in list_jobs(store).jobs]
