"""Explanations and previews: what they say, and that they write nothing."""

from __future__ import annotations

import json
from typing import Any

import attrs
import pytest

from gohan_jobs.bookkeeping import JobNotes, Orphan, Quarantined
from gohan_jobs.codec import Codec
from gohan_jobs.exceptions import InvalidRecord
from gohan_jobs.inspection.inspector import Explanation, Inspector
from gohan_jobs.keys import JobId, Place, ResourcePath
from gohan_jobs.planning import Enqueue, Plan, Unchanged
from gohan_jobs.queue import Queue
from gohan_jobs.records import (
    HeatStack,
    ProcessedConfig,
    ResourceRef,
    StackStatus,
    StateRecord,
    WorkerState,
)
from gohan_jobs.records.outcomes import failed
from gohan_jobs.stores.base import Put, Transaction
from gohan_jobs.stores.memory import MemoryStore
from jobs_made import job_id, make_job
from planning_types import NETWORK, PORT, TAG, make_schemas, template
from planning_world import suffixes

NET, REF = ResourcePath(NETWORK), ResourceRef("network", "n1")
ID = job_id("network:n1")
STATE = StateRecord(worker_state=WorkerState.CREATED, version=1)
STACK = HeatStack(
    id="network:n1",
    stack_id="network_n1",
    tenant_id="t",
    stack_status=StackStatus.CREATE_COMPLETE,
    status_reason="",
    output=(),
)


class Looking:
    """A store, what is put there, and the inspector that looks at it."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        codec = Codec()
        self.queue = Queue(codec.keys, codec)
        self.keys, self.own = codec.keys, self.queue.own
        self.inspector = Inspector(self.store, codec, self.queue, make_schemas())

    def put(self, key: str, value: bytes = b"") -> None:
        """Write a key."""
        self.store.transact(Transaction((), (Put(key, value),)))

    def config(self, path: str, body: dict[str, Any], version: int = 1) -> None:
        """Write a config."""
        text = json.dumps({"body": body, "version": version}).encode()
        self.put(self.keys.config_of(ResourcePath(path)), text)

    def processed(self, version: int = 1, body: dict[str, Any] | None = None) -> None:
        """Write the network's processed copy."""
        record = ProcessedConfig(body=body or {}, deleted=False, version=version)
        self.put(self.keys.processed_of(NET), self.queue.text(record))

    def state(self, state: StateRecord) -> None:
        """Write the network's state."""
        self.put(self.keys.state_of(NET), self.queue.text(state))

    def job(
        self,
        identity: JobId,
        place: Place | None = Place.WAITING,
        value: bytes = b"heat_worker",
        *dependency: JobId,
        **notes: Any,
    ) -> None:
        """Queue a job."""
        job = make_job(identity, dependency)
        noted = JobNotes(**{"planned_at": "then", "path": "p", **notes})
        self.put(self.keys.job(identity), self.queue.text(job))
        self.put(self.own.job(identity), self.own.dumps(noted))
        if place is not None:
            self.put(self.keys.place(place, identity), value)

    def explain(self) -> Explanation:
        """Why the network is as it is."""
        return self.inspector.explain(REF, NET)

    def preview(self, path: str, body: dict[str, Any], version: int = 1) -> Plan:
        """What a config would do."""
        found = ResourcePath(path)
        kind, _, identity = path.removeprefix("v2.0/").partition("s/")
        text = json.dumps({"body": body, "version": version}).encode()
        return self.inspector.plan(found, ResourceRef(kind, identity), text, suffixes())


@pytest.fixture
def at() -> Looking:
    """A store and its inspector; whatever is asked, nothing is written."""
    return Looking()


def test_nothing_is_there(at: Looking) -> None:
    """No config, no records, no jobs."""
    expected = Explanation(
        resource=REF,
        version=None,
        processed_version=None,
        state=None,
        stack=None,
        jobs=(),
        summary="there is no config",
        root_cause="there is no config",
    )
    assert expected == at.explain()


def test_everything_is_there(at: Looking) -> None:
    """Config, processed copy, state and stack."""
    at.config(NETWORK, {}, 1)
    at.processed(1)
    at.state(STATE)
    at.put(at.keys.heat_stack_of(NET), at.queue.text(STACK))
    found = at.explain()
    assert (1, 1, STATE, STACK) == (
        found.version,
        found.processed_version,
        found.state,
        found.stack,
    )
    assert "version 1 is done: CREATE_COMPLETED" == found.summary


def test_a_failure_is_summed_up(at: Looking) -> None:
    """With its reason."""
    at.config(NETWORK, {}, 2)
    at.state(failed("modify", 2, "no quota"))
    assert "version 2 failed: no quota" == at.explain().summary


def test_a_version_without_a_result(at: Looking) -> None:
    """Processed and lost, or not planned yet; an older state says nothing of it."""
    at.config(NETWORK, {}, 2)
    at.state(STATE)
    assert "version 2 is not planned: it has not been read yet" == at.explain().summary
    at.processed(2)
    assert "version 2 is processed and has no result" == at.explain().summary


def test_what_is_broken_counts_as_absent(at: Looking) -> None:
    """Explaining never fails on what is stored."""
    for key in (
        at.keys.config_of(NET),
        at.keys.processed_of(NET),
        at.keys.state_of(NET),
        at.keys.heat_stack_of(NET),
        at.own.orphan(NET),
        at.own.job(ID),
        at.keys.job(ID),
    ):
        at.put(key, b"{")
    at.put(at.keys.place(Place.WORKING, ID), b"\xff")
    found = at.explain()
    assert (None, None, None, None, "") == (
        found.version,
        found.processed_version,
        found.state,
        found.stack,
        found.orphan,
    )
    assert ["\N{REPLACEMENT CHARACTER}"] == [job.holder for job in found.jobs]


def test_set_aside_comes_first(at: Looking) -> None:
    """Then orphans, then jobs."""
    at.job(ID)
    orphan = Orphan(path=NET, reason="lost", since="")
    at.put(at.own.orphan(NET), at.own.dumps(orphan))
    assert "its stack is an orphan: lost" == at.explain().summary
    key = at.keys.config_of(NET)
    aside = Quarantined(key=key, mod_revision=1, reason="not JSON", since="")
    at.put(at.own.quarantine(key), at.own.dumps(aside))
    found = at.explain()
    assert ("not JSON", "lost") == (found.set_aside, found.orphan)
    assert "its config can't be used: not JSON" == found.summary


def test_what_a_job_waits_for(at: Looking) -> None:
    """The unfinished ones among its dependencies, and where each stands."""
    others = [job_id(f"port:p{number}") for number in range(3)]
    at.job(others[0], Place.WORKING)
    at.job(others[1], None)
    at.job(ID, Place.WAITING, b"heat_worker", *others)
    (job,) = at.explain().jobs
    assert ((others[0], Place.WORKING), (others[1], None)) == job.waiting_for
    assert f"{ID} waits for {others[0]} (working) and 1 more" == at.explain().summary


def test_a_job_that_waits_for_one_that_stands_nowhere(at: Looking) -> None:
    """Which the leader repairs."""
    other = job_id("port:p1")
    at.job(other, None)
    at.job(ID, Place.WAITING, b"heat_worker", other)
    assert f"{ID} waits for {other} (nowhere)" == at.explain().summary


def test_a_waiting_job_whose_document_is_broken(at: Looking) -> None:
    """What it waits for can't be known."""
    at.job(ID, Place.WAITING)
    at.put(at.keys.job(ID), b"{")
    (job,) = at.explain().jobs
    assert ((), f"{ID} is waiting") == (job.waiting_for, at.explain().summary)


def test_who_holds_a_job(at: Looking) -> None:
    """The reservation's uuid, and since when the job is there."""
    at.job(ID, Place.WORKING, b"uuid", attempts=2, retries=1)
    (job,) = at.explain().jobs
    assert ("uuid", "then", 2, 1) == (job.holder, job.planned_at, job.attempts, job.retries)
    assert f"{ID} is reserved by uuid, whose worker is gone" == at.explain().summary


@pytest.mark.parametrize(
    ("place", "error", "expected"),
    [
        (Place.READY, "", "is ready"),
        (Place.WAITING, "Heat is away", "is waiting: Heat is away"),
        (None, "", "is nowhere"),
        (None, "lost", "is nowhere: lost"),
    ],
)
def test_where_a_job_stands(at: Looking, place: Place | None, error: str, expected: str) -> None:
    """And why it was handed back last."""
    at.job(ID, place, last_error=error)
    assert f"{ID} {expected}" == at.explain().summary


def test_jobs_are_listed_oldest_first(at: Looking) -> None:
    """Of any handler and action, this resource's only, keys that are no job's left out."""
    first = job_id("network:n1", 0, "zzzzz")
    second = job_id("network:n1", 0, "aaaaa", action="modify", handler="monitoring_worker")
    for identity in (first, second, job_id("network:n11")):
        at.job(identity)
    at.put(f"{at.keys.all_jobs}create:heat_worker:network:n1:x:y")
    assert (first, second) == at.inspector.job_ids(REF)
    assert [True, False] == [at.inspector.has_job(REF, version) for version in (0, 1)]


def previewable(at: Looking) -> None:
    """Templates, and a network's config."""
    mappings: dict[str, dict[str, Any]] = {
        "network": {"name": "Pname"},
        "port": {"network": "Fnetwork+network_id:name"},
    }
    for name, forms in mappings.items():
        at.config(f"v2.0/heat_templates/{name}", template(name, forms))
    at.config(NETWORK, {"id": "n1", "name": "a"})


def test_a_preview_plans_and_writes_nothing(at: Looking) -> None:
    """As a new leader would plan it, with what is queued."""
    previewable(at)
    at.job(ID)
    at.put("/config/odd")
    at.put(f"{at.keys.all_jobs}odd")
    broken = job_id("moon:m1")
    at.put(at.keys.job(broken), b"{")
    before = at.store.revision()
    plan = at.preview(PORT, {"id": "p1", "network_id": "n1"})
    assert isinstance(plan, Enqueue)
    (planned,) = plan.jobs
    assert ("create:heat_worker:port:p1:1:00000", ["a"]) == (
        str(planned.job.id),
        [param.value for param in planned.job.params],
    )
    assert before == at.store.revision()


def test_a_preview_knows_the_queue(at: Looking) -> None:
    """What is claimed and what is not, what is needed by others, and workflows by their notes."""
    previewable(at)
    second = attrs.evolve(ID, suffix="bbbbb")
    at.job(ID, Place.WORKING, config_mod=3)
    at.job(second, Place.WAITING, b"heat_worker", ID, config_mod=4)
    plan = at.preview(NETWORK, {"id": "n1", "name": "b"}, 2)
    assert isinstance(plan, Enqueue)
    assert ((second,), (ID,)) == (plan.collapse, plan.jobs[0].job.dependency)


def test_a_preview_of_what_is_there_is_nothing(at: Looking) -> None:
    """The same config again."""
    previewable(at)
    at.processed(1, {"id": "n1", "name": "a"})
    at.state(STATE)
    assert Unchanged() == at.preview(NETWORK, {"name": "a", "id": "n1"})


def test_a_preview_of_what_cannot_be_written_is_refused(at: Looking) -> None:
    """As it would be set aside."""
    with pytest.raises(InvalidRecord):
        at.inspector.plan(ResourcePath(TAG), ResourceRef("tag", "t1"), b"{", suffixes())
