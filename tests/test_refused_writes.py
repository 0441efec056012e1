"""A manager whose write is refused: what it has read still holds, and the write is tried again."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable
from typing import Any

import attrs
import pytest

from gohan_jobs.bookkeeping import SET_ASIDE, JobNotes
from gohan_jobs.events import RequestDropped
from gohan_jobs.exceptions import StoreError, StoreFull, StoreRefused, WrongCluster
from gohan_jobs.keys import Place
from gohan_jobs.lifecycle import Lifecycle, Role
from gohan_jobs.manager import ManagerOptions
from gohan_jobs.testing.faults import FaultyStore
from worlds import DISK, NETWORK, PORT, QUOTA, World, ref

ODD = "/jobs/all/odd"
ASIDE = "/gohan-jobs/quarantine/"
REQUESTS = ("/gohan-jobs/retries/v2.0/networks/none", "/gohan-jobs/cancels/odd")


class Office:
    """A manager whose store can refuse, and a worker whose store does not."""

    def __init__(self) -> None:
        self.world = World(wrap=FaultyStore, roles=(Role.MANAGER,), operation_seconds=2)
        self.worker = self.world.peer(roles=(Role.WORKER,), seed=5)

    @property
    def store(self) -> FaultyStore:
        """What the manager takes for a store."""
        store = self.world.lifecycle.store
        assert isinstance(store, FaultyStore)
        return store

    @property
    def reads(self) -> int:
        """How many pages of entries the manager has read."""
        return self.store.calls.count("entries")

    def advance(self, seconds: int) -> None:
        """Let time pass; what the store refuses is tried again, as a loop does."""
        for _ in range(seconds):
            self.world.clock.advance(1.0)
            for lifecycle in (self.world.lifecycle, self.worker) * 20:
                with contextlib.suppress(StoreError):
                    lifecycle.step()


def day(refused: int, error: Callable[[], StoreError]) -> tuple[dict[str, Any], Office]:
    """What comes of a bit of everything if the how-manieth write after the start is refused."""
    office = Office()
    world = office.world
    office.advance(1)
    office.store.fail("transact", on=refused, error=error)
    world.write(PORT, {"name": "p", "network_id": "n1"})
    world.write(DISK, {"name": "d"})
    world.put(ODD, "no job")
    for key in REQUESTS:
        world.put(key, "no request")
    office.advance(3)
    world.write(NETWORK, {"name": "n"})
    found: dict[str, Any] = {"aside": sorted(world.under(ASIDE))}
    office.advance(12)
    world.delete(ODD)
    world.remove_config(DISK, state=True)
    office.advance(12)
    found["states"] = [world.outcome(resource) for resource in (NETWORK, PORT, DISK)]
    found["left"] = [sorted(world.under(prefix)) for prefix in ("/jobs/", ASIDE, *REQUESTS)]
    found["dropped"] = len(world.told(RequestDropped))
    found["reads"] = office.reads
    return found, office


def no_permission() -> StoreError:
    """A role without a grant."""
    return StoreRefused("permission denied")


def no_space() -> StoreError:
    """A quota that is used up."""
    return StoreFull("database space exceeded")


NEVER = 10_000
EXPECTED = day(NEVER, no_permission)[0]


def test_the_day_means_something() -> None:
    """Without a refusal it comes to this, and the manager reads everything once."""
    done = ("CREATE_COMPLETED", 1, "")
    assert [done, done, None] == EXPECTED["states"]
    assert (1, 2) == (len(EXPECTED["aside"]), EXPECTED["dropped"])
    assert [[], [], [], []] == EXPECTED["left"]


@pytest.mark.parametrize("error", [no_permission, no_space])
def test_a_refused_write_is_all_that_is_tried_again(error: Callable[[], StoreError]) -> None:
    """Whichever write is refused, the end is the same, and nothing is read anew."""
    for number in itertools.count(1):
        found, office = day(number, error)
        assert (number, EXPECTED) == (number, found)
        if office.store.pending:
            assert number > 10
            break


def test_another_cluster_is_read_anew() -> None:
    """What was read in one cluster says nothing of another that answers."""
    office = Office()
    office.advance(1)
    before = office.reads
    office.store.fail("transact", error=lambda: WrongCluster("b", "a"))
    office.world.write(NETWORK, {"name": "n"})
    office.advance(1)
    assert office.reads == 2 * before


def test_a_watch_that_is_refused_is_read_anew() -> None:
    """Events may be lost with it."""
    office = Office()
    office.advance(1)
    before = office.reads
    office.store.fail("poll", error=no_permission)
    office.advance(1)
    assert office.reads == 2 * before


# A start that finds much to write.

LEFT = ("failed/x", "orphans/x", "quarantine/x", "repairs/x", "workers/x", "held/x")


def start(refused: int, error: Callable[[], StoreError]) -> tuple[dict[str, Any], FaultyStore]:
    """What comes of a mess that a leader finds, if the how-manieth write of its start is refused.

    Broken notes of all kinds, keys that are no jobs, a job of another program, one whose document
    and one whose notes are broken, one in two places, one set aside, a stack's record.
    """
    world = World(roles=(Role.MANAGER,), manager=ManagerOptions(default_slots=1, ready_per_slot=1))
    for resource in (NETWORK, DISK, QUOTA, ref("network", "n2"), ref("network", "n3")):
        world.write(resource, {"name": "x"})
    world.settle()
    jobs = {job.resource.resource_id: job.id for job in world.jobs()}
    own, keys = world.lifecycle.queue.own, world.keys
    notes = own.loads(own.job(jobs["n2"]), world.text(own.job(jobs["n2"])) or b"", JobNotes)
    world.lifecycle.close()
    for key in (ODD, "/jobs/waiting/odd", "/esi-worker/heat_stacks/v2.0/networks/n9"):
        world.put(key, "{")
    for name in LEFT:
        world.put(f"/gohan-jobs/{name}", "{")
    world.delete(own.job(jobs["n1"]))
    world.put(keys.job(jobs["d1"]), "{")
    world.put(own.job(jobs["q1"]), "{")
    world.put(own.job(jobs["n2"]), own.dumps(attrs.evolve(notes, held_until=SET_ASIDE)))
    world.put(keys.place(Place.WAITING, jobs["n3"]), b"heat_worker")
    world.put(keys.place(Place.FINISHED, jobs["n3"]), b"")
    world.put(f"/jobs/ready/{jobs['n3']}x", b"")
    store = FaultyStore(world.store)
    starting = Lifecycle(
        store, world.heat, world.schemas, clock=world.clock, roles=(Role.MANAGER,), seed=5
    )
    store.fail("transact", on=refused, error=error)
    for _ in range(60):
        world.clock.advance(1.0)
        with contextlib.suppress(StoreError):
            starting.run_until_idle()
    found: dict[str, Any] = {
        "aside": sorted(world.under(ASIDE)),
        # Without the suffixes of what is planned anew.
        "places": sorted(key.rpartition(":")[0] for key in world.under("/jobs/")),
        "notes": sorted(key.rpartition(":")[0] for key in world.under("/gohan-jobs/jobs/")),
        "reads": store.calls.count("entries"),
    }
    return found, store


@pytest.mark.parametrize("error", [no_permission, no_space])
def test_a_write_refused_at_the_start_is_all_that_is_tried_again(
    error: Callable[[], StoreError],
) -> None:
    """A store that fills up is not read again and again by the leader that finds it full."""
    expected = start(NEVER, error)[0]
    assert len(expected["aside"]) > 8
    for number in itertools.count(1):
        found, store = start(number, error)
        assert (number, expected) == (number, found)
        if store.pending:
            assert number > 15
            break
