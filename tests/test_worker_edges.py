"""What a worker does when others write between its steps, and the corners of what composes it."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from typing import Any

import attrs
import pytest

from gohan_jobs.board import Board
from gohan_jobs.bookkeeping import Bookkeeping, JobNotes
from gohan_jobs.clock import VirtualClock
from gohan_jobs.events import (
    ConfigSetAside,
    Events,
    JobClaimed,
    JobHandedBack,
    JobSuperseded,
    LeaseLost,
    StoreTroubled,
)
from gohan_jobs.exceptions import (
    Compacted,
    GohanJobsError,
    StoreError,
    StoreRefused,
    StoreUnavailable,
)
from gohan_jobs.handlers import Done, GiveUp, JobContext, Later, Outcome, RetryLater
from gohan_jobs.keys import JobId, Place
from gohan_jobs.lifecycle import Completed, Lifecycle, Role
from gohan_jobs.loops import Keeper
from gohan_jobs.records import OnFailure
from gohan_jobs.runtime import SwitchingExecutor, Threads
from gohan_jobs.schemas import Schema, Schemas
from gohan_jobs.stores.base import Delete, Page, Put, Store, Transaction, TransactionResult
from gohan_jobs.testing.faults import FaultyStore
from gohan_jobs.worker import Worker, WorkerOptions
from gohan_jobs.worker.candidates import Candidates
from gohan_jobs.worker.claim import Claim
from gohan_jobs.worker.peers import Peers
from gohan_jobs.worker.preemptions import Preemptions
from gohan_jobs.worker.returned import Inbox, Late
from jobs_made import job_id, tracked
from worlds import DISK, NETWORK, PORT, QUOTA, World, ref

N2 = ref("network", "n2")


def waits(_context: JobContext) -> Outcome:
    """A handler that is through in ten seconds."""
    return Later(after=10.0, resume=lambda _later: Done())


def queued(
    *resources: Any, handler: Callable[[JobContext], Outcome] = waits, **options: Any
) -> tuple[World, Lifecycle]:
    """Jobs that are ready, and a worker apart, which alone is stepped."""
    world = World(wrap=FaultyStore, roles=(Role.MANAGER,))
    for resource in resources or (NETWORK,):
        world.write(resource, {"name": "x"})
    world.settle()
    handlers = {"heat_worker": handler}
    return world, world.peer(roles=(Role.WORKER,), seed=5, handlers=handlers, **options)


def worker_of(lifecycle: Lifecycle) -> Worker:
    """Its worker."""
    worker = lifecycle._worker
    assert worker is not None
    return worker


def faulty(lifecycle: Lifecycle) -> FaultyStore:
    """Its store."""
    assert isinstance(lifecycle.store, FaultyStore)
    return lifecycle.store


def at(world: World, place: Place, job: JobId) -> str:
    """The key of a job at a place."""
    return world.keys.place(place, job)


def step_until(lifecycle: Lifecycle, reached: Callable[[], object]) -> None:
    """Step the worker until something is so."""
    for _ in range(100):
        if reached():
            return
        lifecycle.step()
    raise AssertionError("it never is so")


# Candidates.


def candidates(
    world: World,
    store: FaultyStore | None = None,
    accepts: Callable[[JobId], bool] = lambda _: True,
    seed: int = 1,
) -> tuple[Candidates, FaultyStore]:
    """Of a worker that asks the store for nothing else."""
    store = store or FaultyStore(world.store)
    now, workers = world.clock.now, Bookkeeping(world.keys).workers_prefix
    # Who else there is, it reads from the store below.
    peers = Peers(world.store, workers, f"{workers}me", now)
    found = Candidates(store, world.keys, peers, accepts, random.Random(seed), now, None)
    return found, store


def register(world: World, *names: str) -> None:
    """Workers that there are."""
    for name in names:
        world.put(Bookkeeping(world.keys).worker(name), "8")


def make_ready(world: World, count: int) -> None:
    """Many jobs are ready at once."""
    keys = [world.keys.place(Place.READY, job_id(f"port:p{number}")) for number in range(count)]
    world.transact(*(Put(key, b"heat_worker") for key in keys))


def make_many_ready(world: World, count: int) -> None:
    """More than one transaction takes."""
    for number in range(count):
        world.put(world.keys.place(Place.READY, job_id(f"port:p{number}")), "heat_worker")


def test_an_idle_worker_that_hears_of_many_jobs_keeps_a_few() -> None:
    """It leaves most of them to others, and reads pages from then on."""
    world = World()
    found, store = candidates(world)
    assert [False, False] == [found.refill(), found.refill()]
    make_ready(world, 40)
    assert found.refill()
    assert 16 == found.waiting
    store.calls.clear()
    assert found.refill()
    assert ["entries"] == store.calls


def test_an_idle_worker_that_hears_of_some_jobs_keeps_them_all() -> None:
    """It goes on watching, and forgets those that others take."""
    world = World()
    found, store = candidates(world)
    found.refill()
    make_ready(world, 30)
    assert found.refill()
    assert 30 == found.waiting
    world.delete(world.keys.place(Place.READY, job_id("port:p7")))
    store.calls.clear()
    assert found.refill()
    assert 29 == found.waiting
    assert ["poll"] == store.calls


def test_an_idle_worker_passes_over_what_is_no_job() -> None:
    """A key that names no job comes and goes unheeded: the leader sets it aside."""
    world = World()
    found, _ = candidates(world)
    found.refill()
    key = f"{world.keys.place_prefix(Place.READY)}nonsense"
    world.put(key, "x")
    assert found.refill()
    world.delete(key)
    assert found.refill()
    assert 0 == found.waiting
    assert not found.refill()


def test_a_busy_worker_that_is_alone_takes_whole_pages() -> None:
    """Nobody else tries them."""
    world = World()
    make_many_ready(world, 300)
    found, store = candidates(world)
    waiting = []
    for _ in range(3):
        assert found.refill()
        waiting.append(found.waiting)
    assert [128, 256, 300] == waiting
    assert ["entries"] * 3 == store.calls


def test_busy_workers_try_different_jobs() -> None:
    """Each takes its share of a page; of what they take nothing is another's (``rules`` 25)."""
    world = World()
    make_many_ready(world, 128)
    names = ("a", "b", "c", "d")
    register(world, *names)
    workers, now = Bookkeeping(world.keys).workers_prefix, world.clock.now
    taken: list[JobId] = []
    for name in names:
        peers = Peers(world.store, workers, workers + name, now)
        found = Candidates(
            world.store, world.keys, peers, lambda _: True, random.Random(1), now, None
        )
        found.refill()
        mine = [picked[0] for _ in range(found.waiting) if (picked := found.pick()) is not None]
        assert 16 < len(mine) < 48
        taken += mine
    assert (128, 128) == (len(taken), len(set(taken)))


def picks_of(found: Candidates) -> list[JobId]:
    """What there is to try, in that order."""
    picks = (found.pick() for _ in range(found.waiting))
    return [pick[0] for pick in picks if pick is not None]


def test_workers_that_hear_of_the_same_jobs_try_them_in_different_orders() -> None:
    """At random: each would lose its claims to the one before it (``rules`` 25)."""
    world = World()
    watching = [candidates(world, seed=seed)[0] for seed in range(4)]
    for found in watching:
        found.refill()
    make_ready(world, 20)
    for found in watching:
        found.refill()
    orders = [tuple(picks_of(found)) for found in watching]
    assert [20] * 4 == [len(order) for order in orders]
    assert 4 == len(set(orders))


def test_workers_without_a_share_take_different_ones_of_the_others() -> None:
    """A few each, at random."""
    world = World()
    register(world, *(f"w{number:02}" for number in range(99)))
    make_many_ready(world, 40)
    taken = []
    for seed in range(4):
        found, _ = candidates(world, seed=seed)
        found.refill()
        taken.append(frozenset(picks_of(found)))
    assert [8] * 4 == [len(jobs) for jobs in taken]
    assert 4 == len(set(taken))


def test_a_worker_without_a_share_takes_a_few_others() -> None:
    """Nothing that is ready waits for a worker that has no time for it."""
    world = World()
    register(world, *(f"w{number:02}" for number in range(99)))
    make_many_ready(world, 40)
    found, _ = candidates(world)
    found.refill()
    assert 8 == found.waiting


@pytest.mark.parametrize(("others", "length"), [(1, 256), (3, 512), (7, 512)])
def test_pages_are_longer_if_they_are_shared(others: int, length: int) -> None:
    """To ask costs more than to be told; but a page too long is old before it is tried."""
    world = World()
    register(world, *(f"w{number}" for number in range(others)))
    make_many_ready(world, 520)
    store = PagesRead(world.store)
    candidates(world, store)[0].refill()
    assert [length] == store.lengths


class PagesRead(FaultyStore):
    """Notes how long the pages of jobs were that were read."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self.lengths: list[int] = []

    def entries(self, prefix: str, *, after: str = "", limit: int = 500, revision: int = 0) -> Page:
        """Read a page."""
        page = super().entries(prefix, after=after, limit=limit, revision=revision)
        if prefix.startswith("/jobs/"):
            self.lengths.append(len(page.entries))
        return page


def test_whose_turn_a_job_is_changes_with_the_revisions() -> None:
    """No job waits for long for one worker."""
    world = World()
    register(world, "other")
    make_many_ready(world, 60)
    workers = Bookkeeping(world.keys).workers_prefix
    peers = Peers(world.store, workers, f"{workers}me", world.clock.now)
    peers.look()
    page = world.store.entries(world.keys.place_prefix(Place.READY))
    own, others = peers.split(page)
    assert (60, True, True) == (len(own) + len(others), bool(own), bool(others))
    assert (others, own) == peers.split(attrs.evolve(page, revision=page.revision + 1024))


def test_who_there_is_is_read_now_and_then() -> None:
    """Not for every page; and one that is not registered any more counts itself."""
    world = World()
    store = FaultyStore(world.store)
    workers = Bookkeeping(world.keys).workers_prefix
    peers = Peers(store, workers, f"{workers}me", world.clock.now)
    make_many_ready(world, 20)
    page = world.store.entries(world.keys.place_prefix(Place.READY))
    for _ in range(3):
        peers.look()
    assert ["entries"] == store.calls
    register(world, "me", "other")
    world.clock.advance(4.0)
    peers.look()
    assert (list(page.entries), []) == peers.split(page)
    world.clock.advance(2.0)
    peers.look()
    assert 20 > len(peers.split(page)[0])


class SlowPages(FaultyStore):
    """Takes a while for a page, as etcd does after many jobs without compaction."""

    clock: VirtualClock
    pause: float = 0.05

    def entries(self, prefix: str, *, after: str = "", limit: int = 500, revision: int = 0) -> Page:
        """Read a page, slowly."""
        self.clock.advance(self.pause)
        return super().entries(prefix, after=after, limit=limit, revision=revision)


def slow_candidates(world: World) -> tuple[Candidates, SlowPages]:
    """Of a worker for whom every page is slow, but no claim."""
    store = SlowPages(world.store)
    store.clock = world.clock
    found, _ = candidates(world, store)
    found.claimed_in(0.002)
    for _ in range(3):
        found.refill()
        found.close()
    store.calls.clear()
    return found, store


def test_where_pages_are_slow_a_busy_worker_watches() -> None:
    """Everything ready is read once; what comes, and what others take, it hears of."""
    world = World()
    make_many_ready(world, 300)
    register(world, "other")
    found, store = slow_candidates(world)
    assert found.refill()
    world.delete(world.keys.place(Place.READY, job_id("port:p1")))
    assert found.refill()
    assert 300 == found.waiting
    found.catch_up(8)
    assert 299 == found.waiting
    for number in range(2, 42):
        world.delete(world.keys.place(Place.READY, job_id(f"port:p{number}")))
    store.calls.clear()
    found.catch_up(8)
    assert (259, False) == (found.waiting, "entries" in store.calls)


def test_pages_that_are_slow_now_and_then_or_as_slow_as_claims_are_usual() -> None:
    """The store, or this process, has much to do: nothing that a watch would mend."""
    for claims, pause in ((0.002, 2), (0.04, 9), (None, 9)):
        world = World()
        make_many_ready(world, 600)
        store = SlowPages(world.store)
        store.clock = world.clock
        found, _ = candidates(world, store)
        if claims is not None:
            found.claimed_in(claims)
        for number in range(1, 20):
            store.pause = 0.0 if number % (pause + 1) == 0 else 0.05
            found.refill()
        assert "watch" not in store.calls


def test_whether_pages_are_slow_is_looked_at_again() -> None:
    """After a minute, once much happens at once: it may have been compacted."""
    world = World()
    found, store = slow_candidates(world)
    found.refill()
    world.clock.advance(61.0)
    make_ready(world, 40)
    found.catch_up(0)
    assert 16 == found.waiting
    store.calls.clear()
    store.pause = 0.0
    found.refill()
    assert ["entries"] == store.calls


def test_a_busy_worker_reads_a_page_before_it_runs_short() -> None:
    """So that results go out with as many claims as there are slots; on trouble, without."""
    world = World()
    make_many_ready(world, 150)
    found, store = candidates(world)
    found.refill()
    while found.waiting > 8:
        found.pick()
    store.calls.clear()
    found.catch_up(8)
    assert [] == store.calls
    found.catch_up(9)
    assert ["entries"] == store.calls
    while found.pick():
        pass
    store.fail("entries")
    found.catch_up(1)
    assert 0 == found.waiting
    found.catch_up(1)
    assert 128 == found.waiting


def test_many_jobs_of_others_leave_a_worker_idle() -> None:
    """However many pages of them are ready: none is read again and again, and no news is lost."""
    world = World()
    make_many_ready(world, 300)
    own = job_id("port:a")
    found, store = candidates(world, accepts=own.__eq__)
    assert [True, True] == [found.refill(), found.refill()]
    world.put(world.keys.place(Place.READY, own), "heat_worker")  # on a page read before
    assert not found.refill()
    store.calls.clear()
    assert found.refill()
    assert (own, ["poll"]) == ((found.pick() or [None])[0], store.calls)
    assert not found.refill()


def test_what_is_not_ready_any_more_is_not_tried_job_by_job() -> None:
    """Others took all of a page while this worker was busy: it reads another."""
    world, lifecycle = queued(*(ref("network", f"n{number}") for number in range(9)))
    worker = worker_of(lifecycle)
    step_until(lifecycle, lambda: worker._candidates.waiting)
    assert 9 == worker._candidates.waiting
    for job in world.jobs():
        world.transact(
            Delete(at(world, Place.READY, job.id)),
            Put(at(world, Place.WORKING, job.id), b"another"),
        )
    store = faulty(lifecycle)
    store.calls.clear()
    lifecycle.run_until_idle()
    assert (0, 1) == (len(worker.claims), store.calls.count("transact"))
    last = world.jobs()[-1].id
    come_back(world, last)
    lifecycle.run_until_idle()
    assert [last] == [claim.job_id for claim in worker.claims]


def test_a_job_that_is_claimed_though_it_is_ready_is_tried_now_and_then() -> None:
    """Nobody leads who would mend that; once it is mended the job is claimed."""
    world, lifecycle = queued()
    job_id = world.job(NETWORK).id
    world.put(at(world, Place.WORKING, job_id), b"another")
    worker, store = worker_of(lifecycle), faulty(lifecycle)
    lifecycle.run_until_idle()
    store.calls.clear()
    for _ in range(5):
        lifecycle.run_until_idle()
        due = lifecycle.due
        assert due is not None
        world.clock.advance(due - world.clock.now())
    lifecycle.run_until_idle()
    assert 5 == store.calls.count("transact")
    world.delete(at(world, Place.WORKING, job_id))
    world.clock.advance(1.0)
    lifecycle.run_until_idle()
    assert [job_id] == [claim.job_id for claim in worker.claims]


def test_a_job_that_rests_is_due_where_no_page_will_tell() -> None:
    """A busy worker reads pages; only an idle one, which watches, has to be woken."""
    world = World()
    found, _ = candidates(world)
    found.refused(job_id(), 1)
    assert found.due is None
    found.refill()
    assert world.clock.now() + 1.0 == found.due


def test_what_a_watch_tells_is_not_forgotten_for_one_that_is_gone() -> None:
    """Nor what a lap has read that ends in a watch: it would not be read again."""
    world = World()
    make_many_ready(world, 200)
    found, _ = slow_candidates(world)
    for waiting in (128, 200):
        found.refill()
        found.outdated()
        assert waiting == found.waiting


def test_a_lap_is_made_anew_after_something_was_forgotten() -> None:
    """What is forgotten is ready, perhaps, on a page that the lap has passed."""
    world = World()
    make_many_ready(world, 200)
    found, store = candidates(world)
    found.refill()
    found.outdated()
    assert 0 == found.waiting
    world.store.transact(
        Transaction(success=tuple(Delete(entry.key) for entry in last_page(world).entries))
    )
    found.refill()
    assert 0 == found.waiting
    found.refill()
    assert (128, False) == (found.waiting, "watch" in store.calls)


def last_page(world: World) -> Page:
    """The second of the ready jobs' pages."""
    prefix = world.keys.place_prefix(Place.READY)
    first = world.store.entries(prefix, limit=128)
    return world.store.entries(prefix, after=first.entries[-1].key)


def test_who_may_not_read_who_there_is_goes_without() -> None:
    """Nothing rests on it: jobs are claimed all the same, and it is not asked for each page."""
    world = World()
    register(world, "other")
    make_many_ready(world, 20)
    workers = Bookkeeping(world.keys).workers_prefix
    store = FaultyStore(world.store)
    peers = Peers(store, workers, f"{workers}me", world.clock.now)
    page = world.store.entries(world.keys.place_prefix(Place.READY))
    store.fail("entries", error=lambda: StoreRefused("permission denied"))
    for _ in range(2):
        peers.look()
    assert ["entries"] == store.calls
    assert (list(page.entries), []) == peers.split(page)
    world.clock.advance(6.0)
    peers.look()
    assert 20 > len(peers.split(page)[0])


class NoPages(FaultyStore):
    """Lets nobody read what is ready."""

    def entries(self, prefix: str, *, after: str = "", limit: int = 500, revision: int = 0) -> Page:
        """Refuse."""
        raise StoreRefused(f"permission denied: {prefix}, {after}, {limit}, {revision}")


def test_results_are_published_though_no_page_can_be_read() -> None:
    """Without claims along with them; that none can be read is said where jobs are looked for."""
    world, lifecycle = queued()
    lifecycle.run_until_idle()
    worker = worker_of(lifecycle)
    worker._candidates.close()
    worker._candidates._store = NoPages(world.store)
    world.clock.advance(10.0)
    step_until(lifecycle, lambda: not worker.claims)
    assert ("CREATE_COMPLETED", 1, "") == world.outcome(NETWORK)
    with pytest.raises(StoreRefused):
        lifecycle.run_until_idle()


def test_a_request_that_was_not_made_took_no_time() -> None:
    """All candidates went before they were tried: pages are compared with a request before."""
    world, lifecycle = queued()
    worker = worker_of(lifecycle)
    step_until(lifecycle, lambda: worker._candidates.waiting)
    worker._candidates.claimed_in(0.5)
    job = world.job(NETWORK).id
    del worker._candidates._found[job]
    worker._claiming.carry_out((), (), 0)
    assert 0.5 == worker._candidates._usual


def test_a_watch_that_fails_forgets_its_candidates() -> None:
    """They are read again."""
    world = World()
    found, store = candidates(world)
    found.refill()
    found.refill()
    make_ready(world, 3)
    found.catch_up(0)
    assert 3 == found.waiting
    store.fail("poll")
    found.catch_up(0)
    assert 0 == found.waiting
    assert found.refill()
    assert 3 == found.waiting


# Claiming.


def test_without_candidates_nothing_is_sent() -> None:
    """There is nothing to reserve, so the store is left alone."""
    _, lifecycle = queued()
    faulty(lifecycle).calls.clear()
    assert ([], []) == worker_of(lifecycle)._claiming.carry_out((), (), 0)
    assert [] == faulty(lifecycle).calls


def test_a_result_counts_though_the_next_claim_is_refused() -> None:
    """Another was faster with the candidate that goes along with a result."""
    world, lifecycle = queued(NETWORK, N2, worker=WorkerOptions(slots=1))
    lifecycle.run_until_idle()
    (claim,) = worker_of(lifecycle).claims
    (other,) = [job.id for job in world.jobs() if job.id != claim.job_id]
    world.transact(
        Delete(at(world, Place.READY, other)), Put(at(world, Place.WORKING, other), b"another")
    )
    world.clock.advance(10.0)
    lifecycle.run_until_idle()
    assert ("CREATE_COMPLETED", 1, "") == world.outcome(claim.job.resource)
    assert () == worker_of(lifecycle).claims
    assert b"another" == world.text(at(world, Place.WORKING, other))


def test_a_doubtful_claim_of_a_job_that_another_has_by_now() -> None:
    """It was not made, and is not tried again."""
    world, lifecycle = queued()
    job = world.job(NETWORK).id
    step_until(lifecycle, lambda: worker_of(lifecycle)._candidates.waiting)
    faulty(lifecycle).fail("transact")
    with pytest.raises(StoreUnavailable):
        lifecycle.step()
    world.transact(
        Delete(at(world, Place.READY, job)), Put(at(world, Place.WORKING, job), b"another")
    )
    lifecycle.run_until_idle()
    assert () == worker_of(lifecycle).claims
    assert [] == world.told(JobClaimed)
    assert b"another" == world.text(at(world, Place.WORKING, job))


def test_a_broken_later_config_does_not_stop_a_job() -> None:
    """The leader sets that version aside; the job's own has its result."""
    world, lifecycle = queued()
    world.put(world.keys.config_of(world.path(NETWORK)), "{")
    lifecycle.run_until_idle()
    world.clock.advance(10.0)
    lifecycle.run_until_idle()
    assert ("CREATE_COMPLETED", 1, "") == world.outcome(NETWORK)


def test_a_job_that_came_back_is_not_claimed_along_with_its_own_result() -> None:
    """No request may write its job state twice: the result is refused, then it is claimed again."""
    world, lifecycle = queued()
    lifecycle.run_until_idle()
    (first,) = worker_of(lifecycle).claims
    come_back(world, first.job_id)
    step_until(lifecycle, lambda: worker_of(lifecycle)._candidates.waiting)
    world.clock.advance(10.0)
    lifecycle.run_until_idle()
    (second,) = worker_of(lifecycle).claims
    assert [first.holder, second.holder] == [claim.holder for claim in world.told(JobClaimed)]
    assert [] == world.states_of(NETWORK)
    world.clock.advance(10.0)
    lifecycle.run_until_idle()
    assert [("CREATE_COMPLETED", 1, "")] == world.states_of(NETWORK)


def test_the_result_of_a_claim_that_was_made_again_is_not_heard() -> None:
    """The same worker claims its lost job again: only the second claim's result counts."""
    world, lifecycle = queued()
    lifecycle.run_until_idle()
    (first,) = worker_of(lifecycle).claims
    world.clock.advance(5.0)
    come_back(world, first.job_id)
    lifecycle.run_until_idle()
    (second,) = worker_of(lifecycle).claims
    assert first.holder != second.holder
    world.clock.advance(5.0)
    lifecycle.run_until_idle()
    assert (second,) == worker_of(lifecycle).claims
    assert [] == world.states_of(NETWORK)
    world.clock.advance(5.0)
    lifecycle.run_until_idle()
    assert [("CREATE_COMPLETED", 1, "")] == world.states_of(NETWORK)


def come_back(world: World, job: JobId) -> None:
    """A reservation ends behind the worker's back, and the job is ready again."""
    world.transact(
        Delete(at(world, Place.WORKING, job)), Put(at(world, Place.READY, job), b"heat_worker")
    )


# What handlers are given.


def test_a_job_whose_notes_name_no_template() -> None:
    """Its handler gets none."""
    given: list[object] = []

    def handler(context: JobContext) -> Outcome:
        given.append(context.template())
        return Done()

    world, lifecycle = queued(handler=handler)
    job = world.job(NETWORK).id
    key = lifecycle.queue.own.job(job)
    notes = Bookkeeping.loads(key, world.text(key) or b"", JobNotes)
    world.put(key, Bookkeeping.dumps(attrs.evolve(notes, template_id="")))
    lifecycle.run_until_idle()
    assert [None] == given


def test_only_live_stacks_are_given() -> None:
    """A record of a deleted stack, no record, and an unknown type: none of them is a stack."""
    unknown = ref("nothing", "x")
    given: list[dict[Any, Any]] = []

    def handler(context: JobContext) -> Outcome:
        given.append(dict(context.stacks((NETWORK, PORT, unknown))))
        return Done()

    world = World()
    world.write(NETWORK)
    world.pass_time(5)
    world.write(NETWORK, version=2, marked=True)
    world.pass_time(5)
    stack = world.stack(NETWORK)
    assert stack is not None
    assert "" == stack.stack_id
    world.write(DISK)
    world.lifecycle = world.peer(seed=7, handlers={"heat_worker": handler})
    world.clock.advance(120.0)
    world.store.expire()
    world.settle()
    assert [{NETWORK: None, PORT: None, unknown: None}] == given


def test_more_stacks_are_read_than_fit_one_request() -> None:
    """A transaction holds 128 operations: the records of more stacks take several."""
    many = tuple(ref("network", f"n{number}") for number in range(129))
    given: list[int] = []

    def handler(context: JobContext) -> Outcome:
        given.append(len(context.stacks(many)))
        return Done()

    world = World(handlers={"heat_worker": handler})
    world.write(DISK)
    world.settle()
    assert [129] == given


# How claims end when they are not ours any more.


def test_a_refused_hand_back_is_not_told() -> None:
    """The job was another's when its handler asked to try again."""
    world: World

    def handler(context: JobContext) -> Outcome:
        world.delete(at(world, Place.WORKING, context.job.id))
        return RetryLater(after=1.0, reason="later")

    world, lifecycle = queued(handler=handler)
    lifecycle.run_until_idle()
    assert () == worker_of(lifecycle).claims
    assert [] == world.told(JobHandedBack)
    assert {} == world.under("/jobs/waiting/")


def test_a_refused_drop_is_not_told() -> None:
    """The job was pre-empted, and its reservation was gone already."""
    world, lifecycle = queued()
    lifecycle.run_until_idle()
    job = world.job(NETWORK).id
    world.transact(
        Delete(at(world, Place.WORKING, job)), Put(lifecycle.queue.own.preempt(job), b"")
    )
    lifecycle.run_until_idle()
    assert () == worker_of(lifecycle).claims
    assert [] == world.told(JobSuperseded)
    assert {} == world.under("/jobs/finished/")


def test_a_broken_job_that_is_another_s_by_now_is_not_set_aside() -> None:
    """Its reservation went before the worker could write."""
    world, lifecycle = queued()
    job = world.job(NETWORK).id
    world.put(world.keys.job(job), "{")
    step_until(lifecycle, lambda: world.under("/jobs/working/"))
    world.delete(at(world, Place.WORKING, job))
    told = len(world.told(ConfigSetAside))
    lifecycle.run_until_idle()
    assert told == len(world.told(ConfigSetAside))
    assert {} == world.under("/jobs/waiting/")


@pytest.mark.parametrize(("name", "repairs"), [("heat_worker", 1), ("agent", 0)])
def test_what_was_done_too_late_is_looked_at_if_it_was_a_stack(name: str, repairs: int) -> None:
    """A process stood still after the guard: only the Heat handler's work can be repaired."""
    schemas = Schemas([Schema(type="disk", prefix="v2.0/disks", templates={name: "Cdisk"})])
    world = World(roles=(Role.MANAGER,), schemas=schemas)

    def handler(context: JobContext) -> Outcome:
        context.claim.guard(1.0)
        world.clock.advance(500.0)
        world.store.expire()
        return Done()

    world.write(DISK)
    world.settle()
    lifecycle = world.peer(roles=(Role.WORKER,), seed=5, handlers={name: handler})
    lifecycle.run_until_idle()
    assert [1] == [event.jobs for event in world.told(LeaseLost)]
    assert None is world.state(DISK)
    assert repairs == len(world.under(lifecycle.queue.own.repairs_prefix))


def test_a_failure_to_be_ignored_is_a_result_all_the_same() -> None:
    """The last job of a version completes it even if it failed (``on_failure``)."""
    world, lifecycle = queued(handler=lambda _: GiveUp(reason="no"))
    job = world.job(NETWORK)
    ignoring = attrs.evolve(job, on_failure=OnFailure.IGNORE)
    world.put(world.keys.job(job.id), lifecycle.queue.text(ignoring))
    lifecycle.run_until_idle()
    assert ("CREATE_COMPLETED", 1, "") == world.outcome(NETWORK)


# Lease and watch.


def test_a_worker_closed_twice_gives_one_lease_back() -> None:
    """And a lease that is given back can't be lost."""
    world, lifecycle = queued()
    lifecycle.run_until_idle()
    worker = worker_of(lifecycle)
    worker.close()
    worker.close()
    worker._registration.lose()
    assert 1 == faulty(lifecycle).calls.count("revoke_lease")
    assert [] == world.told(LeaseLost)


def test_a_worker_that_accepts_nothing_does_not_register() -> None:
    """It needs no lease, until it accepts again."""
    _, lifecycle = queued()
    worker = worker_of(lifecycle)
    worker.stop_accepting()
    assert not worker.step()
    assert 0 == worker.lease.id
    worker.accept()
    assert worker.step()
    assert 0 != worker.lease.id


def test_a_lost_lease_writes_nothing_at_the_end() -> None:
    """What closing finds unfinished may be another's by now."""
    world, lifecycle = queued()
    lifecycle.run_until_idle()
    (claim,) = worker_of(lifecycle).claims
    worker_of(lifecycle)._registration.lose()
    lifecycle.close()
    assert [] == world.told(JobHandedBack)
    assert claim.holder.encode() == world.text(at(world, Place.WORKING, claim.job_id))


def test_the_handler_of_a_lost_claim_is_not_resumed() -> None:
    """What it was to go on with later is another worker's by then."""
    resumed: list[JobId] = []

    def again(context: JobContext) -> Outcome:
        resumed.append(context.job.id)
        return Done()

    world, lifecycle = queued(handler=lambda _context: Later(after=10.0, resume=again))
    lifecycle.run_until_idle()
    worker_of(lifecycle)._registration.lose()
    lifecycle.run_until_idle()
    assert worker_of(lifecycle).registered
    world.clock.advance(11)
    lifecycle.run_until_idle()
    assert [] == resumed


def test_a_role_that_cannot_be_closed_leaves_the_other_closed() -> None:
    """A store that does not answer once is told of, and the leader's key goes all the same."""
    world = World(wrap=FaultyStore)
    world.settle()
    faulty(world.lifecycle).fail("revoke_lease")
    world.lifecycle.close()
    assert ["worker"] == [event.role for event in world.told(StoreTroubled)]
    assert None is world.text(world.keys.leader)


def test_what_cannot_be_handed_back_ends_with_the_lease() -> None:
    """A store that is away when a worker stops is told of, and keeps nothing from stopping."""
    world, lifecycle = queued()
    lifecycle.run_until_idle()
    faulty(lifecycle).fail("transact")
    worker_of(lifecycle).hand_back_all()
    assert ["worker"] == [event.role for event in world.told(StoreTroubled)]
    assert [] == world.told(JobHandedBack)
    lifecycle.run_until_idle()
    assert 1 == len(world.told(JobHandedBack))


def test_a_worker_with_nobody_to_wake() -> None:
    """Whoever steps it all the time needs no waking: it works, and tells of a lost lease."""
    world, lifecycle = queued()
    worker = Worker(
        world.store,
        codec=lifecycle.codec,
        queue=lifecycle.queue,
        schemas=world.schemas,
        handlers=lifecycle.handlers,
        orchestrator=world.heat,
        clock=world.clock,
        events=Events((world.events.append,)),
        redactor=lifecycle.redactor,
        worker_id="w",
        new_id=lambda: "r",
        executor=SwitchingExecutor(),
        options=WorkerOptions(),
        rng=random.Random(1),
    )
    while worker.step():
        pass
    assert 1 == len(worker.claims)
    worker._registration.lose()
    assert [1] == [event.jobs for event in world.told(LeaseLost)]


def test_an_inbox_with_nobody_to_wake() -> None:
    """Items come out all at once, in order, then none."""
    inbox = Inbox(None)
    world, lifecycle = queued(NETWORK, N2)
    del world
    lifecycle.run_until_idle()
    items = [Late(claim) for claim in worker_of(lifecycle).claims]
    for item in items:
        inbox.put(item)
    assert [items, []] == [inbox.take() for _ in range(2)]


def test_a_pre_emption_during_a_broken_watch_is_read() -> None:
    """A watch that ended may have had something to tell; a failed reading is repeated."""
    world, lifecycle = queued()
    lifecycle.run_until_idle()
    job = world.job(NETWORK).id
    store = faulty(lifecycle)
    store.break_watches(Compacted(2))
    assert lifecycle.step()
    world.put(lifecycle.queue.own.preempt(job), b"")
    store.fail("get", on=2)
    with pytest.raises(StoreError):
        lifecycle.step()
    assert not worker_of(lifecycle).registered
    lifecycle.run_until_idle()
    assert worker_of(lifecycle).registered
    assert () == worker_of(lifecycle).claims
    assert [job] == [event.job_id for event in world.told(JobSuperseded)]


def test_another_worker_s_pre_emption_is_nothing_to_this_one() -> None:
    """Its own claims go on."""
    world, lifecycle = queued()
    lifecycle.run_until_idle()
    claims = worker_of(lifecycle).claims
    world.put(lifecycle.queue.own.preempt(job_id()), b"")
    assert not lifecycle.step()
    assert claims == worker_of(lifecycle).claims
    assert [""] == [claim.cancelled for claim in claims]


class Deferred:
    """An executor of which the test says when it works."""

    def __init__(self) -> None:
        self.work: list[Callable[[], None]] = []

    def submit(self, work: Callable[[], None]) -> None:
        """Keep it."""
        self.work.append(work)


def test_a_pre_empted_handler_that_runs_is_waited_for() -> None:
    """It is told to stop; its claim ends, without a result, when it has come back."""
    world, lifecycle = queued(handler=lambda _: Done())
    executor: Any = Deferred()
    lifecycle._switch.pool = executor
    lifecycle.run_until_idle()
    job = world.job(NETWORK).id
    world.put(lifecycle.queue.own.preempt(job), b"")
    lifecycle.run_until_idle()
    (claim,) = worker_of(lifecycle).claims
    assert "pre-empted by a delete" == claim.cancelled
    executor.work.pop()()
    lifecycle.run_until_idle()
    assert () == worker_of(lifecycle).claims
    assert [job] == [event.job_id for event in world.told(JobSuperseded)]
    assert None is world.state(NETWORK)


# Results and lifecycles.


def test_a_result_stands_when_its_config_breaks() -> None:
    """The version had its result; what stands there now can't be read."""
    world = World()
    world.write(NETWORK)
    world.pass_time(5)
    world.put(world.keys.config_of(world.path(NETWORK)), "{")
    result = world.lifecycle.wait(NETWORK, 1, timeout=0.0)
    assert isinstance(result, Completed)
    assert 1 == result.state.version


def test_an_old_result_is_not_the_new_config_s_of_the_same_version() -> None:
    """A type that counts no versions: the state is waited for until it is of what stands there."""
    world = World()
    world.write(QUOTA, {"name": "a"})
    world.pass_time(5)
    world.write(QUOTA, {"name": "b"})
    assert isinstance(world.lifecycle.wait(QUOTA, 1), Completed)
    assert [("create", "quota_q1"), ("update", "quota_q1")] == world.changes()


def test_steps_are_limited() -> None:
    """Whoever wants idleness within so many steps is told if they were not enough."""
    world = World()
    world.write(NETWORK)
    with pytest.raises(GohanJobsError, match="not idle after 2 steps"):
        world.lifecycle.run_until_idle(2)


def test_resuming_where_no_manager_is() -> None:
    """A process that only works has nothing to resume, and goes on."""
    world, lifecycle = queued()
    lifecycle.resume(accept=True)
    assert {} == lifecycle.troubles
    lifecycle.run_until_idle()
    assert Place.WORKING is world.place(world.job(NETWORK).id)


def test_a_job_that_is_held_for_another_resource_lets_that_one_go() -> None:
    """Whoever waits for a held job is considered again when the hold begins and ends."""
    board = Board()
    first = tracked(job_id())
    network = job_id("network:n1", suffix="bbbbb")
    second = tracked(network, [first.job_id])
    board.add(first)
    board.add(second)
    ready = []
    for held_for in ("network:n1", ""):
        board.update(first, attrs.evolve(first.notes, held_for=held_for))
        ready.append(second in board.next_ready(2))
    assert [True, False] == ready


# Threads.


def test_threads_are_stopped_twice() -> None:
    """The second time there is nothing to end, and nobody to wake."""
    lifecycle = World(roles=(Role.MANAGER,)).lifecycle
    executor = SwitchingExecutor()
    threads = Threads(
        manager=lifecycle._manager,
        worker=None,
        executor=executor,
        handler_threads=1,
        renewal_interval=1000.0,
        clock=VirtualClock(),
        events=Events(),
    )
    threads.start()
    for _ in range(2):
        threads.stop(0.0)
        threads.wake("manager")
        threads.wake("worker")
        assert not threads.are_current()
        assert None is executor.pool
    assert {} == threads.troubles


def test_a_keeper_goes_on_when_the_store_is_away() -> None:
    """It tells of the trouble, renews the other leases, and tries again."""
    told: list[Any] = []
    renewed: list[int] = []
    enough = threading.Event()

    def away() -> None:
        raise StoreUnavailable("away")

    def fine() -> None:
        renewed.append(1)
        if len(renewed) == 2:
            enough.set()

    keeper = Keeper((away, fine), 0.0, Events((told.append,)))
    keeper.start()
    assert enough.wait(10.0)
    keeper.stop()
    assert not keeper.is_current()
    assert [("keeper", "away")] == [
        (event.role, event.reason) for event in told if isinstance(event, StoreTroubled)
    ]
    assert (len(renewed), "away") == (keeper.trouble.failures, keeper.trouble.reason)


# A lease that ends meanwhile.


def about_to_claim() -> tuple[World, Lifecycle]:
    """A worker that has read which job is ready."""
    world, lifecycle = queued()
    step_until(lifecycle, lambda: worker_of(lifecycle)._candidates.waiting)
    return world, lifecycle


def test_nothing_is_claimed_without_a_lease() -> None:
    """It may end on the keeper's thread while a page is read; such a claim would stay for ever."""
    world, lifecycle = about_to_claim()
    worker = worker_of(lifecycle)
    worker._registration.lose()
    faulty(lifecycle).calls.clear()
    assert ([], []) == worker._claiming.carry_out((), (), 8)
    assert "transact" not in faulty(lifecycle).calls
    assert 1 == len(world.under("/jobs/ready/"))


def test_a_claim_under_a_lease_that_ends_meanwhile_is_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Though etcd, which counts from later, has made it: it goes with that lease."""
    world, lifecycle = about_to_claim()
    worker, store = worker_of(lifecycle), faulty(lifecycle)
    made = store.transact

    def late(transaction: Transaction) -> TransactionResult:
        result = made(transaction)
        worker._registration.lose()
        return result

    monkeypatch.setattr(store, "transact", late)
    _, (reserved,) = worker._claiming.carry_out((), (), 8)
    assert isinstance(reserved.job, Claim)
    assert reserved.job.lost
    (working,) = world.store.entries("/jobs/working/").entries
    assert 0 != working.lease


def test_preemptions_that_cant_be_looked_at_are_not_followed() -> None:
    """Else a delete of a job that runs would never be heard of; it is tried again."""
    world = World()
    store = FaultyStore(world.store)
    preemptions = Preemptions(store, Bookkeeping(world.keys), None)
    store.fail("get")
    with pytest.raises(StoreError):
        preemptions.follow([job_id("port:p1")])
    assert not preemptions.followed
    assert [] == preemptions.follow([job_id("port:p1")])
    assert preemptions.followed


def test_the_first_pre_emption_after_a_look_is_heard() -> None:
    """No write falls between what was looked at and what is watched."""
    world = World()
    own = Bookkeeping(world.keys)
    preemptions = Preemptions(world.store, own, None)
    assert [] == preemptions.follow([])
    job = job_id("port:p1")
    world.put(own.preempt(job), b"")
    assert [job] == preemptions.poll()


class Held:
    """An executor that runs nothing by itself.

    Attributes:
        work: what it was given.
    """

    def __init__(self) -> None:
        self.work: list[Callable[[], None]] = []

    def submit(self, work: Callable[[], None]) -> None:
        """Keep it."""
        self.work.append(work)


def test_one_look_at_a_time() -> None:
    """While Heat does not answer a look no other is begun, which would take thread after thread."""
    world = World(operation_seconds=900.0)
    held = Held()
    switch: Any = world.lifecycle._switch
    switch.pool = held
    world.write(NETWORK, {"name": "x"})
    world.settle()
    held.work.pop()()
    for _ in range(3):
        world.settle()
        world.clock.advance(5)
    assert 1 == len(held.work)
