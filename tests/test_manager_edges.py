"""What changes under the leader between its look and its write: nothing is lost or doubled."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import attrs
import pytest

from gohan_jobs.bookkeeping import SET_ASIDE, Bookkeeping, CancelRequest, Failure, JobNotes, Repair
from gohan_jobs.events import JobFailed, JobHandedBack, JobSuperseded, OrphanFound
from gohan_jobs.keys import JobId, Place
from gohan_jobs.lifecycle import Role
from gohan_jobs.manager import ManagerOptions
from gohan_jobs.records import MonitoringRecord, ResourceRef, StateRecord, WorkerState
from gohan_jobs.schemas import Schema, Schemas
from gohan_jobs.stores.base import (
    Delete,
    Entry,
    Operation,
    Put,
    Transaction,
    TransactionResult,
    Watch,
    WatchBatch,
)
from gohan_jobs.testing.faults import FaultyStore
from worlds import ALIAS, DISK, NETWORK, PORT, TEMPLATES, TENANT, World, ref

_HANDLER = b"heat_worker"
_DONE = ("CREATE_COMPLETED", 1, "")
_OTHER_PORT = ref("port", "p2")


class Racing(FaultyStore):
    """Somebody is faster, just before a read or a write of a key."""

    reading: tuple[str, Callable[[], None]] | None = None
    writing: tuple[str, Callable[[], None]] | None = None
    deaf_to: str = ""

    def watch(self, prefix: str, revision: int, *, wake: Callable[[], None] | None = None) -> Watch:
        """One of them is behind the others, each of which is a stream of its own."""
        watch = super().watch(prefix, revision, wake=wake)
        return _Behind(watch, lambda: self.deaf_to == prefix)

    def get(self, key: str) -> Entry | None:
        """Be faster once, then read."""
        if self.reading is not None and key == self.reading[0]:
            do, self.reading = self.reading[1], None
            do()
        return super().get(key)

    def transact(self, transaction: Transaction) -> TransactionResult:
        """Be faster once, then write."""
        keys = {getattr(operation, "key", "") for operation in transaction.success}
        if self.writing is not None and self.writing[0] in keys:
            do, self.writing = self.writing[1], None
            do()
        return super().transact(transaction)


@attrs.frozen
class _Behind:
    """A watch that has nothing to tell yet."""

    watch: Watch
    is_behind: Callable[[], bool]

    def poll(self, timeout: float = 0.0) -> WatchBatch | None:
        """What it has, unless it is behind."""
        return None if self.is_behind() else self.watch.poll(timeout)

    def close(self) -> None:
        """End it."""
        self.watch.close()


class Race:
    """A job manager alone, on such a store."""

    def __init__(self, **manager: Any) -> None:
        self.world = World(
            wrap=Racing, roles=(Role.MANAGER,), manager=ManagerOptions(**manager), seed=1
        )
        self.own: Bookkeeping = self.world.lifecycle.queue.own

    @property
    def store(self) -> Racing:
        """What the manager takes for a store."""
        store = self.world.lifecycle.store
        assert isinstance(store, Racing)
        return store

    def at(self, place: Place, job_id: JobId) -> str:
        """The key of a job at a place."""
        return self.world.keys.place(place, job_id)

    def queued(self, resource: ResourceRef, **body: Any) -> JobId:
        """Write a config, and let its job be queued."""
        self.world.write(resource, {"name": "x", **body})
        self.world.settle()
        return self.world.job(resource).id

    def before_write(self, key: str, *operations: Operation) -> None:
        """Somebody does this just before the leader writes that key."""
        self.store.writing = (key, lambda: self.world.transact(*operations))

    def before_read(self, key: str, *operations: Operation) -> None:
        """Somebody does this just before the leader reads that key."""
        self.store.reading = (key, lambda: self.world.transact(*operations))

    def hand_back(self, job_id: JobId, *others: Operation) -> None:
        """A worker gives a claimable job back."""
        self.world.transact(
            Delete(self.at(Place.READY, job_id)),
            Put(self.at(Place.WAITING, job_id), _HANDLER),
            *others,
        )

    def fail(self, job_id: JobId) -> None:
        """A worker ends a claimable job as failed."""
        self.world.transact(
            Delete(self.at(Place.READY, job_id)),
            Put(self.at(Place.FINISHED, job_id), b""),
            Put(self.own.failed(job_id), self.own.dumps(Failure(reason="no room"))),
        )

    def notes(self, job_id: JobId) -> JobNotes:
        """What is noted of a job."""
        key = self.own.job(job_id)
        return self.own.loads(key, self.world.text(key) or b"", JobNotes)

    def finish(self, seconds: float = 60.0) -> None:
        """A worker does what is left, and the manager has met everybody who was faster."""
        self.world.pass_time(seconds, self.world.peer(roles=(Role.WORKER,), seed=77))
        assert (None, None) == (self.store.reading, self.store.writing)
        assert {} == self.world.under("/jobs/")

    def well(self, resource: ResourceRef) -> Put:
        """Another leader's news: the resource is made after all."""
        made = World()
        made.write(resource, {"name": "x"})
        made.pass_time(30)
        assert _DONE == made.outcome(resource)
        key = self.world.keys.state_of(self.world.path(resource))
        return Put(key, made.text(key) or b"")


@pytest.fixture
def race() -> Iterator[Race]:
    """A job manager that others race with."""
    race = Race()
    yield race
    race.world.lifecycle.close()


# Places.


def test_a_job_that_stood_nowhere_is_found_again(race: Race) -> None:
    """It came back by itself before it was requeued: no claim counts as lost."""
    job_id = race.queued(NETWORK)
    race.before_write(race.own.job(job_id), Put(race.at(Place.WAITING, job_id), _HANDLER))
    race.world.delete(race.at(Place.READY, job_id))
    race.world.settle()
    assert 0 == race.notes(job_id).attempts
    race.finish()
    assert [_DONE] == race.world.states_of(NETWORK)
    assert not any(event.lost for event in race.world.told(JobHandedBack))


def test_a_pre_empted_job_that_moves_is_superseded_where_it_then_is(race: Race) -> None:
    """Its end is refused; it is looked for, and ends there."""
    job_id = race.queued(NETWORK)
    race.before_write(race.world.keys.job(job_id), Put(race.at(Place.WAITING, job_id), _HANDLER))
    race.world.transact(
        Delete(race.at(Place.READY, job_id)), Put(race.own.preempt(job_id), b"delete")
    )
    race.world.settle()
    assert {} == race.world.under("/jobs/")
    assert 1 == len(race.world.told(JobSuperseded))


def test_poison_that_somebody_claims_just_then_is_let_live() -> None:
    """Neither way to fail it holds: it is where its holder has put it."""
    race = Race(max_attempts=1)
    job_id = race.queued(NETWORK)
    race.before_write(race.own.failed(job_id), Put(race.at(Place.READY, job_id), _HANDLER))
    race.world.delete(race.at(Place.READY, job_id))
    race.world.settle()
    assert "ready" == str(race.world.place(job_id))
    race.finish()
    assert ([_DONE], []) == (race.world.states_of(NETWORK), race.world.told(JobFailed))


def test_a_job_that_was_given_back_and_then_made_ready_is_left_to_the_workers(race: Race) -> None:
    """What is heard late of its way is not acted upon."""
    job_id = race.queued(NETWORK)
    race.hand_back(job_id)
    race.world.transact(
        Delete(race.at(Place.WAITING, job_id)), Put(race.at(Place.READY, job_id), _HANDLER)
    )
    ready = race.world.store.get(race.at(Place.READY, job_id))
    race.world.settle()
    assert ready == race.world.store.get(race.at(Place.READY, job_id))
    race.finish()
    assert [_DONE] == race.world.states_of(NETWORK)


def test_a_job_that_was_given_back_without_notes_goes_on(race: Race) -> None:
    """The leader notes again what it knows of it: no worker runs a job without notes."""
    job_id = race.queued(NETWORK)
    known = race.notes(job_id)
    race.hand_back(job_id, Delete(race.own.job(job_id)))
    race.world.settle()
    assert known == race.notes(job_id)
    assert "ready" == str(race.world.place(job_id))
    race.finish()
    assert [_DONE] == race.world.states_of(NETWORK)


def test_a_job_that_is_removed_while_its_return_is_looked_at(race: Race) -> None:
    """It is off the board, and holds up nobody."""
    job_id = race.queued(NETWORK)
    race.queued(PORT, network_id="n1")
    key = race.world.keys.job(job_id)
    race.before_read(key, Delete(key), Delete(race.at(Place.WAITING, job_id)))
    race.hand_back(job_id)
    race.world.settle()
    assert {"create p1:1": "ready"} == race.world.places()
    assert race.store.reading is None


@pytest.mark.parametrize("place", [Place.WAITING, Place.READY])
def test_a_job_that_was_set_aside_may_be_put_right_by_hand(place: Place) -> None:
    """Its document is written anew; if it is claimable already, nothing is left to be done."""
    race = Race()
    job_id = race.queued(NETWORK)
    document = race.world.text(race.world.keys.job(job_id)) or b""
    notes = attrs.evolve(race.notes(job_id), held_until=SET_ASIDE, last_error="unreadable")
    race.hand_back(job_id, Put(race.own.job(job_id), race.own.dumps(notes)))
    race.world.settle()
    assert 1 == len(race.world.under(race.own.quarantine_prefix))
    assert "waiting" == str(race.world.place(job_id))
    race.world.delete(race.at(Place.WAITING, job_id))
    race.world.put(race.at(place, job_id), _HANDLER)
    race.world.put(race.world.keys.job(job_id), document)
    race.world.settle()
    assert "ready" == str(race.world.place(job_id))
    race.finish()
    assert [_DONE] == race.world.states_of(NETWORK)


def test_jobs_promoted_together_of_which_one_moves(race: Race) -> None:
    """All are refused, looked for, and promoted after all."""
    network = race.queued(NETWORK)
    moved = race.queued(PORT, network_id="n1")
    race.queued(_OTHER_PORT, network_id="n1")
    race.before_write(race.at(Place.READY, moved), Put(race.at(Place.WAITING, moved), _HANDLER))
    race.world.transact(
        Delete(race.at(Place.READY, network)),
        Put(race.at(Place.FINISHED, network), b""),
        race.well(NETWORK),
    )
    race.world.settle()
    assert race.store.writing is None
    assert {"create p1:1": "ready", "create p2:1": "ready"} == race.world.places()


def test_jobs_released_together_of_which_one_moves(race: Race) -> None:
    """Each is released on its own then; the one that moved when it has been looked for."""
    jobs = [race.queued(NETWORK), race.queued(DISK)]
    finished = [race.at(Place.FINISHED, job_id) for job_id in jobs]
    race.before_write(finished[0], Put(finished[0], b""))
    race.world.transact(
        *(Delete(race.at(Place.READY, job_id)) for job_id in jobs),
        *(Put(key, b"") for key in finished),
    )
    race.world.settle()
    assert ({}, None) == (race.world.under("/jobs/"), race.store.writing)
    gone = [write.key for write in race.world.history("/jobs/all/") if write.kind == "delete"]
    assert [race.world.keys.job(job_id) for job_id in reversed(jobs)] == gone


def test_a_failed_delete_that_moves_while_it_is_released(race: Race) -> None:
    """Its orphan is noted and told of once."""
    race.world.write(DISK, {"name": "x"})
    race.finish()
    race.world.remove_config(DISK, state=True)
    race.world.settle()
    job_id = race.world.job(DISK).id
    finished = race.at(Place.FINISHED, job_id)
    race.before_write(race.own.orphan(race.world.path(DISK)), Put(finished, b""))
    race.fail(job_id)
    race.world.settle()
    assert ({}, None) == (race.world.under("/jobs/"), race.store.writing)
    assert [DISK] == [event.resource for event in race.world.told(OrphanFound)]


# Templates.


def test_a_job_that_goes_while_its_template_is_looked_up(race: Race) -> None:
    """It is not written again."""
    job_id = race.queued(NETWORK)
    key = race.world.keys.job(job_id)
    race.before_read(key, Delete(key), Delete(race.at(Place.READY, job_id)))
    race.world.template("network", {**TEMPLATES["network"], "name": "Pid"})
    race.world.settle()
    assert ({}, None) == (race.world.under("/jobs/"), race.store.reading)


def test_a_job_that_breaks_while_its_template_is_looked_up(race: Race) -> None:
    """It keeps its place, set aside, until its document is put right."""
    job_id = race.queued(NETWORK)
    key = race.world.keys.job(job_id)
    document = race.world.text(key) or b""
    race.before_read(key, Put(key, b"{"))
    race.world.template("network", {**TEMPLATES["network"], "name": "Pid"})
    race.world.settle()
    assert (b"{", 1) == (race.world.text(key), len(race.world.under(race.own.quarantine_prefix)))
    race.world.put(key, document)
    race.world.settle()
    race.finish()
    assert [_DONE] == race.world.states_of(NETWORK)
    assert ["n1"] == [call.parameters["name"] for call in race.world.heat.changes]


def test_a_template_that_breaks_lets_down_more_than_one_transaction_ends() -> None:
    """One dependant at a time; the job itself goes last."""
    race = Race(batch=1)
    race.queued(NETWORK)
    race.queued(PORT, network_id="n1")
    race.queued(_OTHER_PORT, network_id="n1")
    race.world.template("network", {**TEMPLATES["network"], "name": "Mnowhere:x"})
    race.world.settle()
    assert {} == race.world.under("/jobs/")
    ends = [write.key for write in race.world.history("/jobs/all/") if write.kind == "delete"]
    assert ["port", "port", "network"] == [key.split(":")[2] for key in ends]


# Held for a failed dependency.


def held_race(**options: Any) -> tuple[Race, JobId]:
    """A port is held, for ten seconds, since its network has failed."""
    race = Race(on_dependency_failure="hold", dependency_hold_time=10.0, **options)
    network, port = race.queued(NETWORK), race.queued(PORT, network_id="n1")
    race.fail(network)
    race.world.settle()
    assert "network:n1" == race.notes(port).held_for
    return race, port


def test_a_dependant_that_moves_while_it_is_held() -> None:
    """It is held where it then is; that is told once."""
    race = Race(on_dependency_failure="hold")
    network, port = race.queued(NETWORK), race.queued(PORT, network_id="n1")
    race.before_write(race.own.job(port), Put(race.at(Place.WAITING, port), _HANDLER))
    race.fail(network)
    race.world.settle()
    assert "network:n1" == race.notes(port).held_for
    told = [event for event in race.world.told(JobHandedBack) if event.reason.startswith("held")]
    assert 1 == len(told)


def test_a_new_leader_frees_what_is_held_for_one_that_is_well() -> None:
    """Nobody told it that the network has recovered."""
    race, port = held_race(leader_ttl=5.0)
    race.world.lifecycle.close()
    race.world.transact(race.well(NETWORK))
    race.world.lifecycle = race.world.peer(seed=5)
    race.world.settle()
    assert ("ready", "") == (str(race.world.place(port)), race.notes(port).held_for)


def test_a_deadline_is_no_end_if_the_dependency_is_well_by_then() -> None:
    """The port goes on, though nobody was told of the network's recovery."""
    race, port = held_race()
    race.world.transact(race.well(NETWORK))
    race.world.settle()
    assert "waiting" == str(race.world.place(port))
    race.world.pass_time(12)
    assert ("ready", "") == (str(race.world.place(port)), race.notes(port).held_for)


def test_a_deadline_of_a_job_that_is_gone_means_nothing() -> None:
    """The port's config went while it was held."""
    race, _ = held_race()
    race.world.remove_config(PORT)
    race.world.settle()
    before = race.world.under("/")
    race.world.pass_time(12)
    assert [] == race.world.jobs()
    assert before.keys() == race.world.under("/").keys()


def test_a_job_that_moves_at_its_deadline_ends_a_moment_later() -> None:
    """Its end is refused; it is tried again, and the port hears of the network once."""
    race, port = held_race()
    race.before_write(race.own.failed(port), Put(race.at(Place.WAITING, port), _HANDLER))
    race.world.pass_time(9)
    assert "waiting" == str(race.world.place(port))
    race.world.pass_time(3)
    assert ({}, None) == (race.world.under("/jobs/"), race.store.writing)
    assert 1 == len(race.world.states_of(PORT))


def test_a_held_job_that_goes_just_when_its_dependency_recovers() -> None:
    """It is not brought back."""
    race, port = held_race()
    race.world.write(NETWORK, {"name": "y"}, 2)
    race.world.settle()
    network = race.world.job(NETWORK).id
    race.before_write(
        race.world.keys.job(network),
        Delete(race.world.keys.job(port)),
        Delete(race.at(Place.WAITING, port)),
    )
    race.world.transact(
        Delete(race.at(Place.READY, network)), Put(race.at(Place.FINISHED, network), b"")
    )
    race.world.settle()
    assert ({}, None) == (race.world.under("/jobs/"), race.store.writing)


# Others.


@pytest.mark.parametrize("templates", [{}, {"heat_worker": "Pflavor"}])
def test_a_job_of_another_program_whose_template_nobody_can_tell(
    templates: dict[str, str],
) -> None:
    """Its type has none for that handler, or none that can be computed: it says so, and ends."""
    race = Race()
    job_id = race.queued(DISK, flavor=5)
    race.world.lifecycle.close()
    race.world.delete(race.own.job(job_id))
    race.world.schemas = Schemas(
        [Schema(type="disk", prefix="v2.0/disks", templates=templates, state_versioning=True)]
    )
    document = race.world.text(race.world.keys.job(job_id))
    race.world.lifecycle = race.world.peer(seed=6)
    race.world.settle()
    assert "" == race.notes(job_id).template_id
    assert document == race.world.text(race.world.keys.job(job_id))
    race.finish()
    told = f"the template of {job_id} is gone"
    assert [("CREATE_ERROR", 1, told)] == race.world.states_of(DISK)


def test_one_of_two_that_wait_for_the_same_goes(race: Race) -> None:
    """The other is still held for it, and goes on when it comes."""
    for port in (PORT, _OTHER_PORT):
        race.world.write(port, {"name": "x", "network_id": "n1"})
    race.world.settle()
    race.world.remove_config(PORT)
    race.world.settle()
    race.world.write(NETWORK, {"name": "x"})
    race.finish()
    assert [_DONE] == race.world.states_of(_OTHER_PORT)
    assert [] == race.world.states_of(PORT)


def test_a_report_of_a_version_to_come_is_kept_for_it(race: Race) -> None:
    """It is published with its version's result, not before."""
    race.world.write(NETWORK, {"name": "x"})
    race.finish()
    path = race.world.path(NETWORK)
    target, held = race.world.keys.monitoring_of(path), race.own.report(path)
    report = race.world.codec.dumps(MonitoringRecord(version=2, statuses={"status": "ACTIVE"}))
    race.world.put(held, report)
    race.world.settle()
    assert (None, True) == (race.world.text(target), race.world.text(held) is not None)
    race.world.write(NETWORK, {"name": "y"}, 2)
    race.finish()
    text = race.world.text(target) or b""
    assert (2, None) == (race.world.codec.monitoring(target, text).version, race.world.text(held))


def _held_report(race: Race) -> tuple[str, str]:
    """Where a done network's statuses are, and are held."""
    race.world.write(NETWORK, {"name": "x"})
    race.finish()
    path = race.world.path(NETWORK)
    return race.world.keys.monitoring_of(path), race.own.report(path)


def _report(version: int, **statuses: str) -> str:
    return json.dumps({**statuses, "version": version})


@pytest.mark.parametrize(
    ("there", "published"),
    [
        (_report(1, network="UP"), {"network": "UP", "router": "UP", "version": 1}),
        (_report(0, network="UP", link="UP"), {"network": "DOWN", "router": "UP", "version": 1}),
        ("{", {"network": "DOWN", "router": "UP", "version": 1}),
    ],
    ids=["of that version", "of an older one", "broken"],
)
def test_a_held_report_does_not_undo_what_was_published_meanwhile(
    race: Race, there: str, published: dict[str, Any]
) -> None:
    """An agent that finds the state publishes at once, perhaps before the leader gets to it."""
    target, held = _held_report(race)
    race.before_write(held, Put(target, there.encode()))
    race.world.put(held, _report(1, network="DOWN", router="UP"))
    race.finish()
    found = json.loads(race.world.text(target) or b"null")
    assert (published, None) == (found, race.world.text(held))


def test_a_held_report_is_not_joined_with_an_earlier_resources(race: Race) -> None:
    """Nobody has withdrawn the status of the one before it, whose version was the same."""
    target = race.world.keys.monitoring_of(race.world.path(NETWORK))
    race.world.put(target, _report(1, network="DOWN"))
    _, held = _held_report(race)
    race.world.put(held, _report(1, network="UP"))
    race.finish()
    assert {"network": "UP", "version": 1} == json.loads(race.world.text(target) or b"null")


def test_a_held_report_that_grows_is_published_whole(race: Race) -> None:
    """An agent that has not seen the state yet adds a status."""
    target, held = _held_report(race)
    race.before_write(target, Put(held, _report(1, network="UP", router="UP").encode()))
    race.world.put(held, _report(1, network="DOWN"))
    race.finish()
    found = json.loads(race.world.text(target) or b"null")
    assert ({"network": "UP", "router": "UP", "version": 1}, None) == (found, race.world.text(held))


def test_a_held_report_is_not_published_beside_a_later_versions_state(race: Race) -> None:
    """Another version was done between the leader's look and its write."""
    target, held = _held_report(race)
    key = race.world.keys.state_of(race.world.path(NETWORK))
    later = StateRecord(worker_state=WorkerState.MODIFIED, version=2)
    race.before_write(target, Put(key, race.world.codec.dumps(later).encode()))
    race.world.put(held, _report(1, network="UP"))
    race.finish()
    assert [None, None] == [race.world.text(target), race.world.text(held)]


def test_a_broken_repair_without_a_config_is_no_orphan(race: Race) -> None:
    """Nobody can tell whose stack it is about: it stays asked."""
    key = race.own.repair(race.world.path(NETWORK))
    race.world.put(key, "{")
    race.world.settle()
    assert (b"{", []) == (race.world.text(key), race.world.told(OrphanFound))
    assert {} == race.world.under(race.own.orphans_prefix)


def test_an_orphan_is_kept_once_though_its_repair_is_asked_again(race: Race) -> None:
    """The note is refused, and written at the next look."""
    path = race.world.path(NETWORK)
    key = race.own.repair(path)
    asked = race.own.dumps(Repair(tenant="t", job="somebody's", dropped=True))
    race.before_write(race.own.orphan(path), Put(key, asked))
    race.world.put(key, asked)
    race.world.settle()
    assert (None, 1) == (race.world.text(key), len(race.world.under(race.own.orphans_prefix)))
    assert [NETWORK] == [event.resource for event in race.world.told(OrphanFound)]
    assert race.store.writing is None


# Watches of which one is behind the others.


def _config(version: int) -> Put:
    """A version of an alias, which needs no stack."""
    body = {"id": "a1", "tenant_id": "t1", "name": f"v{version}"}
    record = {"body": body, "version": version, "marked_for_deletion": False}
    return Put("/config/v2.0/aliases/a1", json.dumps(record).encode())


def test_a_result_that_was_not_heard_of_is_not_published_again(race: Race) -> None:
    """The leader wrote it, and hears of the very config once more (``rules`` 12)."""
    race.store.deaf_to = race.world.keys.state
    race.world.transact(_config(1))
    race.before_write("/state/v2.0/aliases/a1", _config(2))
    race.world.settle()
    race.store.deaf_to = ""
    race.world.settle()
    assert [("READ_COMPLETE", 2, "")] == race.world.states_of(ALIAS)


def test_a_result_that_is_heard_of_late(race: Race) -> None:
    """An earlier version's was written just before: the later one's follows it, once."""
    race.store.deaf_to = race.world.keys.state
    done = World(roles=(Role.MANAGER,))
    done.transact(_config(1))
    done.settle()
    race.world.transact(_config(2))
    state = Put("/state/v2.0/aliases/a1", done.text("/state/v2.0/aliases/a1") or b"")
    race.before_write("/state/v2.0/aliases/a1", state)
    race.world.settle()
    race.store.deaf_to = ""
    race.world.settle()
    expected = [("READ_COMPLETE", 1, ""), ("READ_COMPLETE", 2, "")]
    assert expected == race.world.states_of(ALIAS)


def test_a_repair_waits_until_the_state_is_heard_of(race: Race) -> None:
    """Whether there is anything to make right can't be told before."""
    race.queued(NETWORK)
    race.store.deaf_to = race.world.keys.state
    race.finish()
    key = race.own.repair(race.world.path(NETWORK))
    asked = Repair(tenant=TENANT, job="a job", dropped=False)
    race.world.put(key, race.own.dumps(asked))
    race.world.settle()
    assert [] == race.world.jobs()
    race.store.deaf_to = ""
    race.world.settle()
    assert {"modify n1:1": "ready"} == race.world.places()


def test_a_job_that_was_begun_between_two_reads_leaves_its_stack_known(race: Race) -> None:
    """Its notes are read before a worker gives it back, and where it stands after that."""
    job_id = race.queued(DISK)
    begun = race.own.dumps(attrs.evolve(race.notes(job_id), begun=True))
    waiting = Put(race.at(Place.WAITING, job_id), _HANDLER)
    gone = Delete(race.at(Place.READY, job_id))
    cancel = Put(race.own.cancel(job_id), race.own.dumps(CancelRequest(reason="no")))
    noted = Put(race.own.job(job_id), begun)
    race.before_write(race.at(Place.READY, job_id), gone, waiting, noted, cancel)
    document = race.world.keys.job(job_id)
    race.world.put(document, race.world.text(document) or b"")
    race.world.settle()
    stack = race.world.stack(DISK)
    assert stack is not None
    assert ("CREATE_IN_PROGRESS", TENANT) == (str(stack.stack_status), stack.tenant_id)


def test_a_removal_waits_for_what_is_found_out_of_a_job_that_has_just_ended(race: Race) -> None:
    """It was told to stop, and left a stack of which the leader is still to make a note."""
    job_id = race.queued(DISK)
    lease = race.world.store.grant_lease(30.0).id
    working = race.at(Place.WORKING, job_id)
    race.world.transact(Delete(race.at(Place.READY, job_id)), Put(working, b"somebody", lease))
    race.world.settle()
    race.world.put(race.own.cancel(job_id), race.own.dumps(CancelRequest(reason="no")))
    race.world.settle()
    finished = Put(race.at(Place.FINISHED, job_id), b"")
    race.before_read(race.world.keys.config_of(race.world.path(DISK)), Delete(working), finished)
    race.world.remove_config(DISK)
    race.world.settle()
    assert {"delete d1:1": "ready"} == race.world.places()


def test_notes_that_break_between_two_reads_stop_nothing(race: Race) -> None:
    """Whether its job was begun is then not said by them."""
    job_id = race.queued(NETWORK)
    race.before_write(race.at(Place.READY, job_id), Put(race.own.job(job_id), b"no JSON"))
    document = race.world.keys.job(job_id)
    race.world.put(document, race.world.text(document) or b"")
    race.world.settle()
    race.finish()
    assert [_DONE] == race.world.states_of(NETWORK)
