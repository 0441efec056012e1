"""The board against a naive model, and what its operations cost."""

from __future__ import annotations

from typing import Any

import attrs
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from gohan_jobs.board import Board, Tracked, in_order
from gohan_jobs.bookkeeping import JobNotes
from gohan_jobs.keys import JobId, Place, ResourcePath
from gohan_jobs.records import ResourceRef
from jobs_made import job_id, make_job, tracked

PORT = ResourceRef("port", "p1")
places = st.sampled_from([None, *Place])


class BoardMachine(RuleBasedStateMachine):
    """Anything, in any order, that the leader may tell the board."""

    def __init__(self) -> None:
        super().__init__()
        self.board = Board()
        self.jobs: list[Tracked] = []
        self.gone: list[JobId] = []
        self.taken: Tracked | None = None
        self.count = 0

    def pick(self, data: st.DataObject) -> Tracked:
        """One of the jobs here."""
        return data.draw(st.sampled_from(self.jobs))

    @rule(data=st.data(), resource=st.sampled_from(["port:a", "port:b", "net:c"]), place=places)
    def add(self, data: st.DataObject, resource: str, place: Place | None) -> None:
        """A job is planned: it names some that are here, and some that are done."""
        self.count += 1
        named = [job.job_id for job in self.jobs] + self.gone
        dependency = data.draw(st.lists(st.sampled_from(named), unique=True)) if named else []
        notes = {
            "tenant": data.draw(st.sampled_from("tuv")),
            "band": data.draw(st.sampled_from(["fresh", "resync"])),
            "template_id": data.draw(st.sampled_from(["", "x", "y"])),
            "config_mod": data.draw(st.integers(1, 2)),
        }
        references = data.draw(st.lists(st.sampled_from(["port:a", "net:c", "net:d"]), max_size=2))
        identity = job_id(resource, suffix=f"{self.count:05d}")
        job = tracked(identity, dependency, references, place, is_first=bool(dependency), **notes)
        job.broken = data.draw(st.booleans())
        self.board.add(job)
        self.jobs.append(job)

    @precondition(lambda self: self.jobs)
    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        """A job is done."""
        job = self.pick(data)
        expected = [other for other in self.jobs if job.job_id in other.dependency]
        assert expected == list(self.board.remove(job))
        self.jobs.remove(job)
        self.gone.append(job.job_id)

    @precondition(lambda self: self.jobs)
    @rule(data=st.data(), place=places, revision=st.integers(1, 9))
    def move(self, data: st.DataObject, place: Place | None, revision: int) -> None:
        """A job goes elsewhere."""
        self.board.move(self.pick(data), place, revision)

    @precondition(lambda self: self.jobs)
    @rule(data=st.data(), due=st.none() | st.floats(0, 9))
    def delay(self, data: st.DataObject, due: float | None) -> None:
        """A job is delayed, or no longer."""
        self.board.delay(self.pick(data), due)

    @precondition(lambda self: self.jobs)
    @rule(data=st.data(), until=st.sampled_from(["", "later"]), template=st.sampled_from(["", "x"]))
    def hold(self, data: st.DataObject, until: str, template: str) -> None:
        """A job is held, or no longer, and may have another template."""
        job = self.pick(data)
        notes = attrs.evolve(job.notes, held_until=until, template_id=template)
        self.board.update(job, notes)

    @precondition(lambda self: self.jobs)
    @rule(data=st.data())
    def take_and_restore(self, data: st.DataObject) -> None:
        """A job that no other resource's waits for is removed, and put back."""
        job = self.pick(data)
        others = self.board.dependants(job.job_id)
        if all(other.resource == job.resource for other in others):
            self.board.remove(job)
            self.board.restore(job)
            self.jobs.remove(job)
            self.jobs.append(job)

    @precondition(lambda self: self.gone)
    @rule(data=st.data())
    def late_news(self, data: st.DataObject) -> None:
        """What is told of a job that is gone changes nothing."""
        job = tracked(data.draw(st.sampled_from(self.gone)))
        self.board.move(job, Place.READY, 3)
        self.board.delay(job, None)
        self.board.update(job, job.notes)
        assert () == self.board.remove(job)

    @rule()
    def connect(self) -> None:
        """All dependencies are worked out again."""
        self.board.connect()

    @precondition(lambda self: self.jobs)
    @rule(number=st.integers(0, 5))
    def choose(self, number: int) -> None:
        """Only what may be claimed is chosen, each once, fresh ones first."""
        chosen = self.board.next_ready(number)
        assert min(number, self.board.eligible) == len(chosen)
        assert all(map(self.claimable, chosen))
        bands = [job.notes.band for job in chosen]
        assert sorted(bands) == bands
        fresh = [job for job in self.jobs if self.claimable(job) and job.notes.band == "fresh"]
        assert min(number, len(fresh)) == bands.count("fresh")

    def claimable(self, job: Tracked) -> bool:
        """Whether a job may be claimed."""
        return (
            job.place is Place.WAITING
            and not self.waits(job)
            and job.due is None
            and not job.notes.held_until
            and not job.broken
        )

    def waits(self, job: Tracked) -> set[JobId]:
        """What a job waits for."""
        return {other.job_id for other in self.jobs} & set(job.dependency)

    @invariant()
    def the_same_jobs(self) -> None:
        """Everything that can be asked gives what a look at every job gives."""
        board, jobs = self.board, self.jobs
        assert len(jobs) == len(board)
        assert set(map(id, jobs)) == set(map(id, board))
        assert {j.job_id: self.waits(j) for j in jobs} == {j.job_id: j.waiting_for for j in jobs}
        assert sum(map(self.claimable, jobs)) == board.eligible

    @invariant()
    def the_same_indexes(self) -> None:
        """The indexes hold what belongs in them, and nothing else."""
        board, jobs = self.board, self.jobs
        for place in Place:
            assert {j.job_id for j in jobs if j.place is place} == {
                j.job_id for j in board.at(place)
            }
            assert board.count(place) == len(list(board.at(place)))
        for job in jobs:
            assert job is board.get(job.job_id)
            assert [o for o in jobs if job.job_id in o.dependency] == sorted(
                board.dependants(job.job_id), key=jobs.index
            )
            assert [o for o in jobs if o.resource == job.resource] == list(
                board.of_resource(job.resource)
            )
        for template in ("x", "y"):
            assert [j for j in jobs if j.notes.template_id == template and j.unclaimed] == sorted(
                board.with_template(template), key=jobs.index
            )

    @invariant()
    def the_same_for_planning(self) -> None:
        """What planning is told of each job."""
        for resource in map(lambda j: j.resource, self.jobs):  # noqa: C417 - reads better
            unfinished = [j for j in self.jobs if j.place is not Place.FINISHED]
            own = [j for j in unfinished if j.resource == resource]
            assert [j.job_id for j in own] == [k.job_id for k in self.board.jobs_of(resource)]
            assert [not j.unclaimed for j in own] == [
                k.claimed for k in self.board.jobs_of(resource)
            ]
            assert [self.needed(j) for j in own] == [k.needed for k in self.board.jobs_of(resource)]
            assert {j.job_id for j in unfinished if resource in j.references} == {
                k.job_id for k in self.board.jobs_referring_to(resource)
            }

    def needed(self, job: Tracked) -> bool:
        """Whether another resource's job waits for it."""
        return any(job.job_id in o.dependency and o.resource != job.resource for o in self.jobs)


TestBoardMachine = BoardMachine.TestCase
TestBoardMachine.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)


def test_a_release_touches_only_its_dependants(monkeypatch: pytest.MonkeyPatch) -> None:
    """Among a thousand waiting jobs, one release reconsiders the two that waited for it."""
    board = Board()
    first = tracked(job_id("net:n"))
    board.add(first)
    for number in range(1000):
        board.add(tracked(job_id(f"port:{number}"), [job_id("net:other")]))
    waiting = [tracked(job_id(f"port:w{number}"), [first.job_id]) for number in range(2)]
    for job in waiting:
        board.add(job)
    touched: list[Tracked] = []
    reconsider = board._reconsider

    def counted(job: Tracked) -> None:
        touched.append(job)
        reconsider(job)

    monkeypatch.setattr(board, "_reconsider", counted)
    assert tuple(waiting) == board.remove(first)
    assert waiting == touched


def test_a_restored_job_is_waited_for_again() -> None:
    """A newer job of the same resource waits for it again, and is not chosen before it."""
    board = Board()
    old, new = tracked(job_id(version=1)), tracked(job_id(version=2), [job_id(version=1)])
    board.add(old)
    board.add(new)
    board.remove(old)
    assert [new] == board.next_ready(5)
    board.restore(old)
    assert [old] == board.next_ready(5)


def test_a_job_from_elsewhere_is_waited_for_by_those_that_name_it() -> None:
    """Jobs of any resource that name it wait, once they know of it."""
    board = Board()
    late = tracked(job_id("net:n"))
    waiting = tracked(job_id(), [late.job_id])
    board.add(waiting)
    board.add(late)
    assert {waiting, late} == set(board.next_ready(5))
    board.connect_to(late)
    assert [late] == board.next_ready(5)


def test_jobs_added_in_any_order_wait_once_connected() -> None:
    """A dependency that comes later is waited for after connect."""
    board = Board()
    waiting, needed = tracked(job_id(), [job_id("net:n")]), tracked(job_id("net:n"))
    board.add(waiting)
    board.add(needed)
    board.connect()
    board.connect()
    assert [needed] == board.next_ready(5)


def test_a_job_that_comes_again_replaces_itself() -> None:
    """A job told of twice, at two places, is at the second only."""
    board = Board()
    board.add(tracked(job_id()))
    waiting = tracked(job_id("net:n"), [job_id()])
    board.add(waiting)
    board.add(tracked(job_id(), place=Place.WORKING))
    assert {job_id()} == waiting.waiting_for
    assert (2, 1, 1) == (len(board), board.count(Place.WAITING), board.count(Place.WORKING))
    assert 0 == board.eligible


@pytest.mark.parametrize("way", [(Place.READY, Place.WORKING), (Place.WORKING, Place.WAITING)])
def test_who_comes_from_a_worker_or_goes_to_one_has_begun(way: tuple[Place, Place]) -> None:
    """Its stack may exist, whatever becomes of it."""
    board = Board()
    job = tracked(job_id(), place=way[0])
    board.add(job)
    board.move(job, way[1], 2)
    board.move(job, Place.READY, 3)
    assert job.begun


def test_a_changed_tenant_changes_the_turn() -> None:
    """Notes that name another tenant move the job to that tenant's jobs."""
    board = Board()
    jobs = [tracked(job_id(version=number), tenant="a") for number in range(3)]
    for job in jobs:
        board.add(job)
    board.update(jobs[2], attrs.evolve(jobs[2].notes, tenant="b"))
    assert [jobs[0], jobs[2]] == board.next_ready(2)


def workflow(version: int, config_mod: int) -> list[Tracked]:
    """Three jobs of one config."""
    made: list[Tracked] = []
    for suffix, (action, handler) in zip(
        ("aaaa1", "aaaa2", "aaaa3"),
        (
            ("delete", "monitoring_worker"),
            ("modify", "heat_worker"),
            ("create", "monitoring_worker"),
        ),
        strict=True,
    ):
        identity = job_id("port:p1", version, suffix, action=action, handler=handler)
        before = [job.job_id for job in made]
        made.append(tracked(identity, before, is_first=not made, config_mod=config_mod))
    return made


def test_a_workflow_is_begun_when_any_of_it_has_been_claimed() -> None:
    """Once the first is claimed, finished or gone, the later ones are part of something begun."""
    board = Board()
    for job in workflow(0, 7):
        board.add(job)
    first, *_ = board.workflow(next(iter(board)))
    assert [False] * 3 == [known.begun for known in board.jobs_of(PORT)]
    board.move(first, Place.WORKING, 2)
    assert [True] * 3 == [known.begun for known in board.jobs_of(PORT)]
    board.move(first, Place.FINISHED, 3)
    assert [True] * 2 == [known.begun for known in board.jobs_of(PORT)]
    board.remove(first)
    assert [True] * 2 == [known.begun for known in board.jobs_of(PORT)]


def test_workflows_of_one_version_are_told_apart() -> None:
    """A type that does not count versions has several workflows of version 0."""
    board = Board()
    first, second = workflow(0, 7), workflow(0, 8)
    for number, job in enumerate([*first, *second]):
        other = attrs.evolve(job.job_id, suffix=f"{number:05d}")
        board.add(attrs.evolve(job, job_id=other, waiting_for=set()))
    board.move(next(iter(board)), Place.WORKING, 2)
    assert [7] * 3 + [8] * 3 == [known.config_mod for known in board.jobs_of(PORT)]
    assert [True] * 3 + [False] * 3 == [known.begun for known in board.jobs_of(PORT)]


def test_jobs_read_back_are_in_the_order_they_were_planned() -> None:
    """By revision; within a workflow as they wait for each other, whatever ids and clocks say."""
    old, new = workflow(1, 7), workflow(2, 9)
    for number, job in enumerate((*old, *new)):  # the second leader's clock is behind
        job.notes = attrs.evolve(job.notes, planned_at=f"2018-02-{19 - number}T00:00:00+00:00")
    found = [(5, job) for job in old] + [(6, job) for job in new]
    by_id = sorted(found, key=lambda item: str(item[1].job_id))
    assert found != by_id
    assert [*old, *new] == in_order(by_id)


def test_an_unreadable_job_keeps_its_place_and_is_never_chosen() -> None:
    """A broken document blocks those that wait for it, and nothing else."""
    board = Board()
    path = ResourcePath("v2.0/ports/p1")
    broken = Tracked.unreadable(job_id(), path, JobNotes(planned_at="", path=path))
    broken.place = Place.WAITING
    board.add(broken)
    assert ([], [broken]) == (board.next_ready(5), list(board.at(Place.WAITING)))


def test_what_a_job_is_tracked_as() -> None:
    """All that the board needs comes from the document."""
    document = make_job(job_id(action="logical_delete"), references=["net:n", "port:p1"])
    path = ResourcePath("v2.0/ports/p1")
    notes = JobNotes(planned_at="", path=path)
    job = Tracked.of(document, path, notes, Place.READY, 4)
    expected: dict[str, Any] = {
        "references": frozenset({ResourceRef("net", "n")}),
        "on_failure": "fail",
        "deletes": True,
        "unclaimed": True,
        "revision": 4,
    }
    assert expected == {name: getattr(job, name) for name in expected}
