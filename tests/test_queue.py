"""The queue's transactions: what each writes, that it is safe to repeat, and when it is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, TypeAlias

import attrs
import pytest

from gohan_jobs.bookkeeping import Failure, Held, JobNotes, Orphan, Quarantined
from gohan_jobs.codec import Codec
from gohan_jobs.exceptions import InvalidRecord
from gohan_jobs.keys import Place, ResourcePath
from gohan_jobs.queue import Collapsed, Fence, Finish, NewJob, Queue, Ready
from gohan_jobs.records import (
    HeatStack,
    JobState,
    MonitoringRecord,
    OrchestrationState,
    ProcessedConfig,
    StackStatus,
    StateRecord,
    WorkerState,
)
from gohan_jobs.records.outcomes import failed, failed_job_state
from gohan_jobs.stores.base import (
    Compare,
    Delete,
    Entry,
    Operation,
    Put,
    Store,
    Target,
    Transaction,
)
from gohan_jobs.stores.memory import MemoryStore
from gohan_jobs.stores.transactions import validate
from jobs_made import job_id, make_job

PATH = ResourcePath("v2.0/ports/p1")
ID, OLD, OTHER = job_id(version=2), job_id(version=1), job_id("port:p2")
CONFIG = b'{"body": {"id": "p1"}, "marked_for_deletion": false, "version": 2}'
NOTES = JobNotes(planned_at="now", path=PATH, config_create=2, config_mod=2)
NOTES_TEXT = (
    '{"planned_at":"now","path":"v2.0/ports/p1","config_create":2,"config_mod":2}'  # no defaults
)
PROCESSED = ProcessedConfig(body={"id": "p1"}, deleted=False, version=2)
JOB = make_job(ID, [OLD], resource_input={"id": "p1"})
STATE = StateRecord(worker_state=WorkerState.CREATED, version=2)
STACK = HeatStack(
    id="port:p1",
    stack_id="port_p1",
    tenant_id="t",
    stack_status=StackStatus.CREATE_COMPLETE,
    status_reason="",
    output=(),
)
RESULT = JobState(heat_outputs=(), orchestration_state=OrchestrationState.CREATED)
ORPHAN = Orphan(path=PATH, reason="lost", since="now")
LEADER, HOLDER = "/job_manager_id", "/jobs/working/" + str(ID)

CODEC = Codec()
QUEUE = Queue(CODEC.keys, CODEC)
K, OWN = QUEUE.keys, QUEUE.own


def put(store: Store, key: str, value: bytes = b"x") -> int:
    """Write a key; its revision."""
    return store.transact(Transaction((), (Put(key, value),))).revision


def created(store: Store, key: str) -> int:
    """At which revision a key was created; 0 if there is none."""
    entry = store.get(key)
    return 0 if entry is None else entry.create_revision


def content(store: Store) -> dict[str, str]:
    """Everything that is stored."""
    return {entry.key: entry.value.decode() for entry in store.entries("/").entries}


def changes(store: Store, transaction: Transaction) -> dict[str, str | None]:
    """What a transaction that succeeds changes; None for a key that is gone."""
    before = content(store)
    assert store.transact(transaction).succeeded
    after = content(store)
    keys = {*before, *after}
    return {key: after.get(key) for key in keys if before.get(key) != after.get(key)}


def at(place: Place, identity: object = ID) -> str:
    """Key of a job's place."""
    return f"/jobs/{place}/{identity}"


# The ten writes.


def queued(store: Store, place: Place = Place.READY) -> Transaction:
    """A config, and the transaction that queues its job."""
    revision = put(store, K.config_of(PATH), CONFIG)
    return QUEUE.enqueue(
        PATH,
        [NewJob(job=JOB, notes=NOTES, place=place)],
        config_revision=revision,
        processed=PROCESSED,
        processed_revision=0,
        expect_no_state=True,
    )


def revision_of(store: Store, key: str) -> int:
    """When a key was last changed."""
    entry = store.get(key)
    assert entry is not None, key
    return entry.mod_revision


def claimed(store: Store) -> Transaction:
    """A ready job, and the transaction that claims it."""
    store.transact(queued(store))
    lease = store.grant_lease(60)
    return QUEUE.claim(ID, PATH, revision_of(store, at(Place.READY)), "uuid", lease.id)


def fence(store: Store) -> Fence:
    """A claimed job's."""
    assert store.transact(claimed(store)).succeeded
    return Fence(HOLDER, created(store, HOLDER))


def finished(store: Store, **more: Any) -> Transaction:
    """A claimed job, and the transaction that finishes it."""
    finish = Finish(job_id=ID, notes=NOTES, **more)
    return QUEUE.finish(fence(store), finish)


def well(store: Store) -> Transaction:
    """It ends well."""
    return finished(store, stack=STACK, state=STATE, job_state=RESULT)


def badly(store: Store) -> Transaction:
    """It fails."""
    return finished(store, state=failed("create", 2, "no"), failure="no")


def released(store: Store) -> Transaction:
    """A finished job, and the transaction that takes it out of the queue."""
    assert store.transact(well(store)).succeeded
    return QUEUE.release(ID, PATH, revision_of(store, at(Place.FINISHED)))


def released_failed(store: Store, orphan: Orphan | None = None) -> Transaction:
    """A failed one."""
    assert store.transact(badly(store)).succeeded
    finish = revision_of(store, at(Place.FINISHED))
    return QUEUE.release_failed(ID, PATH, finish, orphan=orphan)


def promoted(store: Store) -> Transaction:
    """A waiting job, and the transaction that makes it claimable."""
    store.transact(queued(store, Place.WAITING))
    ready = Ready(ID, "heat_worker", revision_of(store, at(Place.WAITING)))
    return QUEUE.promote([ready])


def test_writes_1_to_3_queue_a_job() -> None:
    """Processed copy, document, place and notes, in one transaction."""
    store = MemoryStore()
    written = changes(store, queued(store, Place.WAITING))
    document = written.pop(f"/jobs/all/{ID}")
    assert {
        "/esi-worker/config/v2.0/ports/p1": '{"body": {"id": "p1"}, "deleted": false, '
        '"version": 2}',
        at(Place.WAITING): "heat_worker",
        f"/gohan-jobs/jobs/{ID}": NOTES_TEXT,
    } == written
    assert document is not None
    assert ["heat_worker", [str(OLD)], 0] == [
        json.loads(document)[0],
        json.loads(document)[1]["dependency"],
        json.loads(document)[2],
    ]
    entry = Entry(
        key=f"/jobs/all/{ID}", value=document.encode(), create_revision=1, mod_revision=1, version=1
    )
    assert JOB == QUEUE.read_job(entry)
    with pytest.raises(InvalidRecord):
        QUEUE.read_job(attrs.evolve(entry, value=b"[]"))


def test_a_ready_job_goes_straight_to_ready() -> None:
    """Never to both places."""
    store = MemoryStore()
    written = changes(store, queued(store))
    assert ("heat_worker", False) == (written[at(Place.READY)], at(Place.WAITING) in written)


def test_writes_4_and_5_claim_a_job() -> None:
    """The reservation under the worker's lease; what the handler needs is read with it."""
    store = MemoryStore()
    transaction = claimed(store)
    assert {
        at(Place.READY): None,
        at(Place.WORKING): "uuid",
        "/esi-worker/job_state/v2.0/ports/p1": "{}",
    } == changes(store, transaction)
    entry = store.get(HOLDER)
    assert entry is not None
    assert entry.lease > 0
    read = store.transact(QUEUE.reading(ID, PATH)).results
    assert [f"/jobs/all/{ID}", f"/gohan-jobs/jobs/{ID}", K.config_of(PATH), None] == [
        found.key if isinstance(found, Entry) else found for found in read
    ]


def test_writes_6_to_8_finish_a_job() -> None:
    """Stack, result, state and place, in one transaction."""
    store = MemoryStore()
    written = changes(store, well(store))
    for key in ("/esi-worker/heat_stacks/v2.0/ports/p1", "/state/v2.0/ports/p1"):
        assert written.pop(key) is not None
    assert {
        "/esi-worker/job_state/v2.0/ports/p1": '{"heat_outputs": [], "orchestration_state": '
        '"CREATE_COMPLETE"}',
        at(Place.WORKING): None,
        at(Place.FINISHED): "",
    } == written
    assert [STACK, STATE] == [
        CODEC.loads(key, content(store)[key]) for key in (K.heat_stack_of(PATH), K.state_of(PATH))
    ]


def test_a_failure_is_noted_beside_the_finished_job() -> None:
    """Its reason, for the leader, who then deals with the dependants."""
    store = MemoryStore()
    written = changes(store, badly(store))
    assert {K.state_of(PATH), OWN.failed(ID), at(Place.WORKING), at(Place.FINISHED)} == set(written)
    assert '{"reason":"no"}' == written[OWN.failed(ID)]


def test_writes_9_and_10_release_a_job() -> None:
    """Document, notes, place and result go; those that waited become ready."""
    store = MemoryStore()
    keys = (K.job(ID), OWN.job(ID), at(Place.FINISHED), K.job_state_of(PATH))
    assert gone(*keys) == changes(store, released(store))
    store = MemoryStore()
    moved = changes(store, promoted(store))
    assert {at(Place.WAITING): None, at(Place.READY): "heat_worker"} == moved


def test_a_failed_job_is_released_with_its_failure() -> None:
    """And its stack is an orphan, if it was to be deleted."""
    for orphan in (None, ORPHAN):
        store = MemoryStore()
        written = changes(store, released_failed(store, orphan))
        expected: dict[str, str | None] = dict.fromkeys(
            (K.job(ID), OWN.job(ID), OWN.failed(ID), at(Place.FINISHED), K.job_state_of(PATH))
        )
        if orphan is not None:
            expected[OWN.orphan(PATH)] = OWN.dumps(orphan).decode()
        assert expected == written


def test_a_failed_job_is_not_released_as_if_it_had_ended_well() -> None:
    """Its dependants would run."""
    store = MemoryStore()
    store.transact(badly(store))
    release = QUEUE.release(ID, PATH, revision_of(store, at(Place.FINISHED)))
    assert not store.transact(release).succeeded


# What else the leader writes.


def standing(store: Store, place: Place, identity: Any = ID) -> int:
    """A job that stands somewhere; since when."""
    put(store, K.job(identity), QUEUE.text(make_job(identity)))
    put(store, OWN.job(identity), OWN.dumps(NOTES))
    return put(store, K.place(place, identity), b"heat_worker")


def superseding(store: Store) -> Transaction:
    """A newer version queued in the place of an older one, another being pre-empted."""
    old = Collapsed(OLD, Place.WAITING, standing(store, Place.WAITING, OLD))
    processed = put(store, K.processed_of(PATH))
    return QUEUE.enqueue(
        PATH,
        [NewJob(job=JOB, notes=NOTES, place=Place.READY)],
        config_revision=put(store, K.config_of(PATH), CONFIG),
        processed=PROCESSED,
        processed_revision=processed,
        collapse=[old],
        preempt=[OTHER],
    )


def published(store: Store, state: StateRecord | None = STATE) -> Transaction:
    """A result without a job."""
    old = Collapsed(OLD, Place.READY, standing(store, Place.READY, OLD))
    return QUEUE.publish(
        PATH,
        config_revision=put(store, K.config_of(PATH), CONFIG),
        processed=PROCESSED,
        processed_revision=0,
        state=state,
        state_revision=0 if state is None else put(store, K.state_of(PATH)),
        collapse=[old],
    )


def published_error(store: Store) -> Transaction:
    """An unreadable config's error."""
    revision = put(store, K.config_of(PATH))
    state = put(store, K.state_of(PATH))
    return QUEUE.publish_error(PATH, revision, state, STATE)


def forgotten(store: Store, orphan: Orphan | None = None) -> Transaction:
    """A config is gone."""
    for key in (OWN.report(PATH), OWN.orphan(PATH)):
        put(store, key)
    return QUEUE.forget(
        PATH,
        processed_revision=put(store, K.processed_of(PATH)),
        stack_revision=put(store, K.heat_stack_of(PATH)),
        collapse=[Collapsed(OLD, Place.WAITING, standing(store, Place.WAITING, OLD))],
        orphan=orphan,
    )


def orphaned(store: Store) -> Transaction:
    """And its stack stays."""
    return forgotten(store, ORPHAN)


def requeued(store: Store) -> Transaction:
    """A job that stands nowhere."""
    store.transact(Transaction((), (Delete(at(Place.WORKING)),)))
    standing(store, Place.WORKING)
    store.transact(Transaction((), (Delete(at(Place.WORKING)),)))
    return QUEUE.requeue(ID, "heat_worker", attrs.evolve(NOTES, attempts=1))


def ended(store: Store, place: Place | None = Place.WAITING) -> Transaction:
    """A cancelled job, whose state says so."""
    revision = standing(store, place or Place.WAITING)
    if place is None:
        store.transact(Transaction((), (Delete(at(Place.WAITING)),)))
    config = put(store, K.config_of(PATH), CONFIG)
    put(store, K.job_state_of(PATH))
    return QUEUE.end(ID, PATH, place=place, revision=revision, config_create=config, state=STATE)


def ended_nowhere(store: Store) -> Transaction:
    """One that stands nowhere."""
    return ended(store, None)


def ended_in_silence(store: Store) -> Transaction:
    """One whose config is gone."""
    return QUEUE.end(ID, PATH, place=Place.READY, revision=standing(store, Place.READY))


def poisoned(store: Store) -> Transaction:
    """A job that its workers did not survive."""
    put(store, K.job(ID))
    config = put(store, K.config_of(PATH), CONFIG)
    return QUEUE.fail(ID, PATH, "poison", config_create=config, state=STATE)


def poisoned_in_silence(store: Store) -> Transaction:
    """One whose config is gone."""
    put(store, K.job(ID))
    return QUEUE.fail(ID, PATH, "poison")


def rewritten(store: Store) -> Transaction:
    """A job whose template has changed."""
    return QUEUE.rewrite(JOB, NOTES, Place.READY, standing(store, Place.READY))


def annotated(store: Store) -> Transaction:
    """A job that is held."""
    revision = standing(store, Place.WAITING)
    return QUEUE.annotate(ID, "heat_worker", attrs.evolve(NOTES, held_until="x"), revision)


def set_aside(store: Store) -> Transaction:
    """A key that can't be used."""
    found = Quarantined(key="/config/x", mod_revision=4, reason="no", since="now")
    return QUEUE.set_aside(found, 0)


def pardoned(store: Store) -> Transaction:
    """A key that can be used again."""
    return QUEUE.pardon("/config/x", put(store, OWN.quarantine("/config/x")))


def dropped(store: Store) -> Transaction:
    """A pre-empted job."""
    return QUEUE.drop(fence(store), ID)


def handed_back(store: Store) -> Transaction:
    """A job to be tried again."""
    return QUEUE.hand_back(fence(store), ID, "heat_worker", attrs.evolve(NOTES, retries=1))


def removed(store: Store) -> Transaction:
    """A one-step delete, whose config is gone."""
    holder = fence(store)
    store.transact(Transaction((), (Delete(K.config_of(PATH)),)))
    for key in (K.heat_stack_of(PATH), OWN.orphan(PATH)):
        put(store, key)
    planned_at = revision_of(store, K.processed_of(PATH))
    finish = Finish(job_id=ID, notes=NOTES, removes=True, planned_at=planned_at)
    return QUEUE.finish(holder, finish)


def monitored(store: Store) -> Transaction:
    """A status that is there."""
    record = MonitoringRecord(version=2, statuses={"port": "UP"})
    return QUEUE.monitoring(PATH, record, put(store, K.monitoring_of(PATH)))


def unmonitored(store: Store) -> Transaction:
    """One that is to go."""
    return QUEUE.monitoring(PATH, None, put(store, K.monitoring_of(PATH)))


def gone(*keys: str) -> dict[str, str | None]:
    """These keys are removed."""
    return dict.fromkeys(keys)


OLD_GONE = gone(K.job(OLD), OWN.job(OLD))


def held(store: Store) -> Transaction:
    """A change is not planned yet."""
    note = Held(config_mod=put(store, K.config_of(PATH)), reason="r", since="now", until="then")
    return QUEUE.hold(PATH, note, 0)


def let_go(store: Store) -> Transaction:
    """A change is not held any more."""
    return QUEUE.let_go(PATH, put(store, OWN.held(PATH)))


def tidied(store: Store) -> Transaction:
    """A job stood at two places."""
    older = put(store, at(Place.READY))
    newer = put(store, at(Place.WAITING))
    return QUEUE.tidy(ID, (Place.READY, older), (Place.WAITING, newer))


def abandoned(store: Store) -> Transaction:
    """A job whose config is gone, and whose stack may be there."""
    return QUEUE.abandon(fence(store), ID, PATH, "t")


Build: TypeAlias = Callable[[Store], Transaction]

WRITES: list[tuple[Build, dict[str, str | None]]] = [
    (
        superseding,
        OLD_GONE
        | gone(at(Place.WAITING, OLD))
        | {
            K.processed_of(PATH): QUEUE.text(PROCESSED).decode(),
            K.job(ID): QUEUE.text(JOB).decode(),
            at(Place.READY): "heat_worker",
            OWN.job(ID): NOTES_TEXT,
            OWN.preempt(OTHER): "delete",
        },
    ),
    (
        published,
        OLD_GONE
        | gone(at(Place.READY, OLD))
        | {
            K.processed_of(PATH): QUEUE.text(PROCESSED).decode(),
            K.state_of(PATH): QUEUE.text(STATE).decode(),
        },
    ),
    (
        lambda store: published(store, None),
        OLD_GONE
        | gone(at(Place.READY, OLD))
        | {K.processed_of(PATH): QUEUE.text(PROCESSED).decode()},
    ),
    (published_error, {K.state_of(PATH): QUEUE.text(STATE).decode()}),
    (
        forgotten,
        OLD_GONE
        | gone(
            at(Place.WAITING, OLD),
            K.processed_of(PATH),
            K.heat_stack_of(PATH),
            OWN.orphan(PATH),
            OWN.report(PATH),
        ),
    ),
    (
        orphaned,
        OLD_GONE
        | gone(at(Place.WAITING, OLD), OWN.report(PATH))
        | {OWN.orphan(PATH): '{"path":"v2.0/ports/p1","reason":"lost","since":"now"}'},
    ),
    (
        requeued,
        {at(Place.WAITING): "heat_worker", OWN.job(ID): NOTES_TEXT[:-1] + ',"attempts":1}'},
    ),
    (
        ended,
        gone(K.job(ID), OWN.job(ID), at(Place.WAITING), K.job_state_of(PATH))
        | {K.state_of(PATH): QUEUE.text(STATE).decode()},
    ),
    (
        ended_nowhere,
        gone(K.job(ID), OWN.job(ID), K.job_state_of(PATH))
        | {K.state_of(PATH): QUEUE.text(STATE).decode()},
    ),
    (ended_in_silence, gone(K.job(ID), OWN.job(ID), at(Place.READY))),
    (
        poisoned,
        {
            at(Place.FINISHED): "",
            OWN.failed(ID): OWN.dumps(Failure(reason="poison")).decode(),
            K.job_state_of(PATH): QUEUE.text(failed_job_state("create", "poison")).decode(),
            K.state_of(PATH): QUEUE.text(STATE).decode(),
        },
    ),
    (
        poisoned_in_silence,
        {
            at(Place.FINISHED): "",
            OWN.failed(ID): OWN.dumps(Failure(reason="poison")).decode(),
            K.job_state_of(PATH): QUEUE.text(failed_job_state("create", "poison")).decode(),
        },
    ),
    (rewritten, {K.job(ID): QUEUE.text(JOB).decode()}),
    (annotated, {OWN.job(ID): NOTES_TEXT[:-1] + ',"held_until":"x"}'}),
    (
        set_aside,
        {
            "/gohan-jobs/quarantine/config/x": '{"key":"/config/x","mod_revision":4,'
            '"reason":"no","since":"now"}'
        },
    ),
    (pardoned, gone("/gohan-jobs/quarantine/config/x")),
    (dropped, {at(Place.WORKING): None, at(Place.FINISHED): ""}),
    (
        handed_back,
        {
            at(Place.WORKING): None,
            at(Place.WAITING): "heat_worker",
            OWN.job(ID): NOTES_TEXT[:-1] + ',"retries":1}',
            K.job_state_of(PATH): None,
        },
    ),
    (
        removed,
        {at(Place.WORKING): None, at(Place.FINISHED): ""}
        | gone(K.heat_stack_of(PATH), OWN.orphan(PATH), K.processed_of(PATH)),
    ),
    (monitored, {K.monitoring_of(PATH): '{"port": "UP", "version": 2}'}),
    (unmonitored, gone(K.monitoring_of(PATH))),
]
BUILDS = [build for build, _ in WRITES]
BUILDS += [queued, claimed, well, badly, released, released_failed, promoted]
BUILDS += [held, let_go, tidied, abandoned]

_PLANNED = (f"unchanged {K.config_of(PATH)}", f"unchanged {K.processed_of(PATH)}")
_GONE = (
    f"absent {K.config_of(PATH)}",
    f"unchanged {K.processed_of(PATH)}",
    f"unchanged {K.heat_stack_of(PATH)}",
    f"unchanged {at(Place.WAITING, OLD)}",
)
_NOWHERE = (f"present {K.job(ID)}", *(f"absent {at(place)}" for place in Place))
_HELD = f"created {at(Place.WORKING)}"
_SAME_CONFIG = f"created {K.config_of(PATH)}"
_RESULT = (_HELD, f"absent {OWN.preempt(ID)}")

RELIES: list[tuple[Build, tuple[str, ...]]] = [
    (queued, (*_PLANNED, f"absent {K.state_of(PATH)}")),
    (superseding, (*_PLANNED, f"unchanged {at(Place.WAITING, OLD)}")),
    (
        published,
        (*_PLANNED, f"unchanged {K.state_of(PATH)}", f"unchanged {at(Place.READY, OLD)}"),
    ),
    (published_error, (f"unchanged {K.config_of(PATH)}", f"unchanged {K.state_of(PATH)}")),
    (forgotten, _GONE),
    (orphaned, _GONE),
    (claimed, (f"unchanged {at(Place.READY)}", f"absent {at(Place.WORKING)}")),
    (well, (*_RESULT, _SAME_CONFIG)),
    (badly, (*_RESULT, _SAME_CONFIG)),
    (removed, _RESULT),
    (dropped, (_HELD,)),
    (abandoned, (_HELD,)),
    (handed_back, (_HELD,)),
    (released, (f"unchanged {at(Place.FINISHED)}", f"absent {OWN.failed(ID)}")),
    (released_failed, (f"unchanged {at(Place.FINISHED)}",)),
    (promoted, (f"unchanged {at(Place.WAITING)}",)),
    (requeued, _NOWHERE),
    (ended, (f"present {K.job(ID)}", f"unchanged {at(Place.WAITING)}", _SAME_CONFIG)),
    (ended_in_silence, (f"present {K.job(ID)}", f"unchanged {at(Place.READY)}")),
    (ended_nowhere, (*_NOWHERE, _SAME_CONFIG)),
    (poisoned, (*_NOWHERE, _SAME_CONFIG)),
    (poisoned_in_silence, _NOWHERE),
    (rewritten, (f"unchanged {at(Place.READY)}",)),
    (annotated, (f"unchanged {at(Place.WAITING)}",)),
    (tidied, (f"unchanged {at(Place.READY)}", f"unchanged {at(Place.WAITING)}")),
    (held, (f"unchanged {K.config_of(PATH)}", f"unchanged {OWN.held(PATH)}")),
    (let_go, (f"unchanged {OWN.held(PATH)}",)),
    (set_aside, (f"unchanged {OWN.quarantine('/config/x')}",)),
    (pardoned, (f"unchanged {OWN.quarantine('/config/x')}",)),
]
"""What each write has to see as it was read, besides who leads."""


def in_words(compare: Compare) -> str:
    """What a comparison asks for."""
    for word, made in (("absent", Compare.absent), ("present", Compare.present)):
        if compare == made(compare.key):
            return f"{word} {compare.key}"
    created_at = compare.target is Target.CREATE_REVISION
    return f"{'created' if created_at else 'unchanged'} {compare.key}"


@pytest.mark.parametrize(("build", "expected"), RELIES)
def test_what_is_relied_on(build: Build, expected: tuple[str, ...]) -> None:
    """Exactly this: what is not compared may change under a write, unnoticed (``rules`` 15, 22)."""
    compares = build(MemoryStore()).compares
    assert sorted(expected) == sorted(map(in_words, compares))


@pytest.mark.parametrize(("build", "expected"), WRITES)
def test_what_is_written(build: Build, expected: dict[str, str | None]) -> None:
    """Exactly these keys change, to exactly these values."""
    store = MemoryStore()
    assert expected == changes(store, build(store))


@pytest.mark.parametrize("build", BUILDS)
def test_a_repeat_does_nothing(build: Build) -> None:
    """A transaction whose answer was lost can be sent again."""
    store = MemoryStore()
    transaction = build(store)
    revision = store.transact(transaction).revision
    again = store.transact(transaction)
    assert (False, revision) == (again.succeeded, store.revision())


@pytest.mark.parametrize("build", BUILDS)
def test_each_comparison_can_refuse(build: Build) -> None:
    """What it relies on has come, gone or changed: nothing is written."""
    number = len(build(MemoryStore()).compares)
    assert number > 0
    for index in range(number):
        store = MemoryStore()
        transaction = build(store)
        disturb(store, transaction.compares[index])
        before = content(store)
        assert not store.transact(transaction).succeeded, transaction.compares[index]
        assert before == content(store)


def disturb(store: Store, compare: Compare) -> None:
    """Make one comparison fail: an absent key comes, a present one is written anew."""
    entry = store.get(compare.key)
    if entry is not None:
        store.transact(Transaction((), (Delete(compare.key),)))
    if compare != Compare.present(compare.key):
        put(store, compare.key, b"" if entry is None else entry.value)


def test_an_orphan_without_jobs_is_noted_the_same_way_twice() -> None:
    """Nothing that it compares changes: the repeat writes what is there already."""
    store = MemoryStore()
    transaction = QUEUE.forget(PATH, processed_revision=0, stack_revision=0, orphan=ORPHAN)
    store.transact(transaction)
    before = content(store)
    store.transact(transaction)
    assert before == content(store)


def test_a_processed_copy_written_since_outlives_a_one_step_delete() -> None:
    """The config was created again meanwhile, and has a copy of its own."""
    store = MemoryStore()
    transaction = removed(store)
    put(store, K.processed_of(PATH), b"new")
    store.transact(transaction)
    assert "new" == content(store)[K.processed_of(PATH)]


def test_a_failed_one_step_delete_keeps_the_records() -> None:
    """An orphan is reported of them."""
    store = MemoryStore()
    holder = fence(store)
    finish = Finish(job_id=ID, notes=NOTES, removes=True, failure="no")
    expected = {OWN.failed(ID), at(Place.WORKING), at(Place.FINISHED)}
    assert expected == set(changes(store, QUEUE.finish(holder, finish)))


def test_a_refused_finish_says_why() -> None:
    """It reads the reservation, the pre-emption and the config."""
    store = MemoryStore()
    transaction = well(store)
    put(store, OWN.preempt(ID), b"delete")
    found = store.transact(transaction).results
    assert [HOLDER, OWN.preempt(ID), K.config_of(PATH)] == [
        entry.key for entry in found if isinstance(entry, Entry)
    ]


# Limits.


def together(transactions: list[Transaction]) -> Transaction:
    """As the leader sends them: all or none, and fenced."""
    compares: list[Compare] = [Compare.created_at(LEADER, 7)]
    operations: list[Operation] = []
    for transaction in transactions:
        compares += transaction.compares
        operations += transaction.success
    return Transaction(tuple(compares), tuple(operations))


def one(number: int) -> Transaction:
    """A config's one-handler workflow that takes the place of an older one."""
    path = ResourcePath(f"v2.0/ports/{number}")
    new, old = (job_id(f"port:{number}", version) for version in (2, 1))
    notes = attrs.evolve(NOTES, path=path)
    return QUEUE.enqueue(
        path,
        [NewJob(job=make_job(new), notes=notes, place=Place.READY)],
        config_revision=5,
        processed=PROCESSED,
        processed_revision=4,
        collapse=[Collapsed(old, Place.WAITING, 3)],
        expect_no_state=True,
    )


def test_a_batch_is_within_the_stores_limits() -> None:
    """Sixteen one-handler workflows, each superseding another; releases and promotions."""
    numbers = range(16)
    validate(together([one(number) for number in numbers]))
    validate(together([QUEUE.release(job_id(f"port:{n}"), path_of(n), 3) for n in numbers]))
    validate(together([QUEUE.promote(Ready(job_id(f"port:{n}"), "h", 3) for n in range(24))]))


def path_of(number: int) -> ResourcePath:
    """One of many paths."""
    return ResourcePath(f"v2.0/ports/{number}")
