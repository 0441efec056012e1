"""Records that somebody broke: told of once, and nobody stops (``rules`` 10)."""

from __future__ import annotations

import attrs
import pytest

from gohan_jobs.bookkeeping import JobNotes, Quarantined, Repair
from gohan_jobs.events import ConfigSetAside, OrphanFound, RequestDropped
from gohan_jobs.keys import Place
from gohan_jobs.lifecycle import Role
from gohan_jobs.orchestrators.simulated import Outcome
from gohan_jobs.stores.base import Put
from worlds import ALIAS, DISK, NETWORK, PORT, World

BROKEN = b"{"
DONE = ("CREATE_COMPLETED", 1, "")


def told(world: World) -> list[str]:
    """The keys that were told to be broken, in that order."""
    return [event.key for event in world.told(ConfigSetAside)]


def aside(world: World) -> list[str]:
    """The notes on what is set aside."""
    return list(world.under(f"{world.keys.own}quarantine/"))


# A stack's record.

STACK = "/esi-worker/heat_stacks/v2.0/networks/n1"


def test_rule_10_a_job_whose_stack_record_is_broken_runs() -> None:
    """Heat is asked by name; the record is written anew, and then nothing is set aside."""
    world = World(roles=(Role.MANAGER,))
    world.put(STACK, BROKEN)
    world.write(NETWORK, {"name": "a"})
    world.settle()
    assert ([STACK], [f"{world.keys.own}quarantine{STACK}"]) == (told(world), aside(world))
    world.pass_time(10, world.peer(roles=(Role.WORKER,), seed=7))
    assert DONE == world.outcome(NETWORK)
    assert world.stack(NETWORK) is not None
    assert ([STACK], [], {}) == (told(world), aside(world), world.under("/jobs/"))


def test_rule_10_a_stack_whose_record_broke_is_found_again() -> None:
    """It is updated, not made a second time."""
    world = World()
    world.write(NETWORK, {"name": "a"})
    world.pass_time(5)
    world.put(STACK, BROKEN)
    world.write(NETWORK, {"name": "b"}, 2)
    world.pass_time(5)
    assert ("MODIFY_COMPLETED", 2, "") == world.outcome(NETWORK)
    assert [("create", "network_n1"), ("update", "network_n1")] == world.changes()
    assert ([STACK], []) == (told(world), aside(world))


@pytest.mark.parametrize("mended", ["while it leads", "while nobody leads"])
def test_rule_10_a_broken_stack_record_is_told_of_once(mended: str) -> None:
    """Not again by the next leader; and it is forgotten when the record is another, or gone."""
    world = World()
    world.settle()
    world.put(STACK, BROKEN)
    world.settle()
    world.restart()
    world.settle()
    assert ([STACK], 1) == (told(world), len(aside(world)))
    if mended == "while it leads":
        world.delete(STACK)
        world.settle()
    else:
        world.lifecycle.close()
        world.delete(STACK)
        world.restart()
        world.settle()
    assert ([STACK], []) == (told(world), aside(world))


def test_rule_16_a_stack_whose_record_broke_is_an_orphan_when_its_config_goes() -> None:
    """What can't be read is never deleted, since there may be a stack."""
    world = World()
    world.write(DISK, {"name": "a"})
    world.pass_time(5)
    key = world.keys.heat_stack_of(world.path(DISK))
    world.put(key, BROKEN)
    world.remove_config(DISK)
    world.pass_time(5)
    assert BROKEN == world.text(key)
    assert ["its stack's record can't be read"] == [e.reason for e in world.told(OrphanFound)]


def test_rule_10_a_record_that_breaks_before_it_is_needed_is_one_final_error() -> None:
    """Of the resource that needs it, which says what is broken."""
    world = World()
    world.write(NETWORK, {"name": "a"})
    world.pass_time(5)
    world.lifecycle.close()
    world.restart(roles=(Role.MANAGER,))
    world.write(PORT, {"network_id": "n1"})
    world.settle()
    world.put(STACK, BROKEN)
    world.pass_time(10, world.peer(roles=(Role.WORKER,), seed=7))
    ((state, version, error),) = world.states_of(PORT)
    assert ("CREATE_ERROR", 1) == (state, version)
    assert error.startswith(f"{STACK}: not JSON")
    assert ([STACK], {}) == (told(world), world.under("/jobs/"))


# Our own bookkeeping.

OWN = "/gohan-jobs/"
TOLD = [
    "failed/create:heat_worker:network:n9:1:abcde",
    "held/v2.0/networks/n9",
    "held/stray",
    "held/",
    "orphans/v2.0/networks/n9",
    "orphans/",
    "quarantine/config/v2.0/networks/n9",
    "quarantine/stray",
    "quarantine/",
    "reports/v2.0/networks/n1",
    "repairs/v2.0/networks/n1",
    "repairs/stray",
    "workers/stray",
]
"""Keys below our prefix; what is read of them is told of if it is broken."""
VOID = [
    "retries/v2.0/networks/n9",
    "retries/stray",
    "retries/",
    "cancels/create:heat_worker:network:n9:1:abcde",
    "cancels/stray",
    "cancels/",
]
"""Requests: a broken one is dropped, which is told."""
PASSED_OVER = [
    "accept",
    "degraded",
    "jobs/create:heat_worker:network:n9:1:abcde",
    "jobs/stray",
    "preempt/create:heat_worker:network:n9:1:abcde",
    "preempt/stray",
    "stray",
]
"""What nothing refers to."""
TEXTS = [b"{", b"\xff", b"[]", b'{"key": 5}', b"9" * 5000]


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("name", [*TOLD, *VOID, *PASSED_OVER])
def test_what_is_broken_of_our_own_stops_nobody(name: str, text: bytes) -> None:
    """Neither a leader that finds it at its start, nor one that leads already, nor a worker."""
    world = World()
    world.put(OWN + name, text)
    world.write(NETWORK, {"name": "a"})
    world.pass_time(10)
    assert DONE == world.outcome(NETWORK)
    world.put(OWN + name, text)
    world.write(NETWORK, {"name": "b"}, 2)
    world.pass_time(10)
    world.restart()
    world.write(NETWORK, {"name": "c"}, 3)
    world.pass_time(10)
    assert ("MODIFY_COMPLETED", 3, "") == world.outcome(NETWORK)
    assert {} == world.under("/jobs/")


@pytest.mark.parametrize("name", TOLD[1:])
def test_what_is_broken_of_our_own_is_told_of_once(name: str) -> None:
    """By the leader that finds it, and not by the next one, unless it is broken anew."""
    world = World()
    world.write(NETWORK, {"name": "a"})
    world.pass_time(5)
    world.lifecycle.close()
    world.put(OWN + name, BROKEN)
    for _ in range(2):
        world.restart()
        world.pass_time(5)
    assert [OWN + name] == told(world)
    world.lifecycle.close()
    world.put(OWN + name, b"}")
    world.restart()
    world.pass_time(5)
    assert [OWN + name, OWN + name] == told(world)
    world.lifecycle.close()
    world.delete(OWN + name)
    world.restart()
    world.pass_time(5)
    assert ([OWN + name] * 2, []) == (told(world), aside(world))


@pytest.mark.parametrize("name", VOID)
def test_a_broken_request_is_dropped_and_told_of(name: str) -> None:
    """Nobody knows what was asked for."""
    world = World()
    world.settle()
    world.put(OWN + name, BROKEN)
    world.settle()
    assert (None, 1) == (world.text(OWN + name), len(world.told(RequestDropped)))


@pytest.mark.parametrize("broken", [True, False], ids=["broken", "about another key"])
@pytest.mark.parametrize("mended", [True, False], ids=["mended", "not mended"])
def test_a_note_on_what_is_set_aside_is_written_anew_or_goes(
    broken: bool,  # noqa: FBT001 - a case
    mended: bool,  # noqa: FBT001 - a case
) -> None:
    """What it was about is looked at again."""
    world = World()
    key = world.keys.config_of(world.path(ALIAS))
    world.put(key, '{"version": 7}')
    world.settle()
    (note,) = aside(world)
    own = world.lifecycle.queue.own
    found = own.loads(note, world.text(note) or b"", Quarantined)
    world.lifecycle.close()
    other = attrs.evolve(found, key=world.keys.config_of(world.path(DISK)))
    world.put(note, BROKEN if broken else own.dumps(other))
    if mended:
        world.write(ALIAS, version=8)
    world.restart()
    world.settle()
    assert ([] if mended else [note]) == aside(world)
    if not mended:
        again = own.loads(note, world.text(note) or b"", Quarantined)
        assert attrs.evolve(found, since=again.since) == again
    assert [key, note, *([] if mended else [key])] == told(world)


def test_a_failure_whose_reason_broke_lets_its_dependants_down() -> None:
    """They are told as much as is known."""
    world = World(roles=(Role.MANAGER,))
    world.write(NETWORK, {"name": "a"})
    world.write(PORT, {"network_id": "n1"})
    world.settle()
    job_id = world.job(NETWORK).id
    own = world.lifecycle.queue.own
    world.transact(
        *world.lifecycle.queue.fail(
            job_id, world.path(NETWORK), "x", place=Place.READY, revision=0
        ).success
    )
    world.put(own.failed(job_id), BROKEN)
    world.settle()
    ((state, version, error),) = world.states_of(PORT)
    assert ("CREATE_ERROR", 1) == (state, version)
    assert f"cancelled: {job_id} failed: the reason can't be read any more" == error
    assert ([own.failed(job_id)], [], {}) == (told(world), aside(world), world.under("/jobs/"))


def test_notes_that_break_while_a_job_waits_are_written_anew() -> None:
    """The worker that claims it gives it back; the leader knows what was noted."""
    world = World(roles=(Role.MANAGER,))
    world.write(NETWORK, {"name": "a"})
    world.settle()
    own = world.lifecycle.queue.own
    key = own.job(world.job(NETWORK).id)
    noted = own.loads(key, world.text(key) or b"", JobNotes)
    world.put(key, BROKEN)
    world.heat.script("network_n1", Outcome(seconds=30.0))
    worker = world.peer(roles=(Role.WORKER,), seed=7)
    world.pass_time(5, worker)
    assert noted == own.loads(key, world.text(key) or b"", JobNotes)
    world.pass_time(60, worker)
    assert DONE == world.outcome(NETWORK)
    assert ([key], []) == (told(world), aside(world))


def test_notes_that_break_together_with_the_document_wait_for_it() -> None:
    """Both are told of once; once the document is readable the notes are written anew."""
    world = World(roles=(Role.MANAGER,))
    world.write(NETWORK, {"name": "a"})
    world.settle()
    job_id = world.job(NETWORK).id
    document, notes = world.keys.job(job_id), world.lifecycle.queue.own.job(job_id)
    text = world.text(document) or b""
    world.transact(Put(document, BROKEN), Put(notes, BROKEN))
    world.restart(roles=(Role.MANAGER,))
    world.settle()
    assert [document, notes] == sorted(told(world), reverse=True)
    world.put(document, text)
    world.pass_time(60, world.peer(roles=(Role.WORKER,), seed=7))
    assert DONE == world.outcome(NETWORK)
    assert (2, []) == (len(told(world)), aside(world))


def test_a_request_for_a_repair_that_is_written_anew_is_carried_out() -> None:
    """It is not set aside any more."""
    world = World()
    world.write(NETWORK, {"name": "a"})
    world.pass_time(5)
    own = world.lifecycle.queue.own
    key = own.repair(world.path(NETWORK))
    world.put(key, BROKEN)
    world.settle()
    assert ([key], 1) == (told(world), len(aside(world)))
    world.put(key, own.dumps(Repair(tenant="t", job="j")))
    world.pass_time(5)
    assert (None, []) == (world.text(key), aside(world))
    assert [("create", "network_n1"), ("update", "network_n1")] == world.changes()


def test_slots_that_are_no_number_count_as_none() -> None:
    """A worker's key that somebody broke is told of until its worker is gone."""
    world = World(roles=(Role.MANAGER,))
    world.settle()
    key = f"{OWN}workers/w"
    for text in (b"4", b"9" * 5000, b"4"):
        world.put(key, text)
        world.settle()
    assert ([key], []) == (told(world), aside(world))
    world.put(key, b"many")
    world.settle()
    assert 1 == len(aside(world))
    world.delete(key)
    world.settle()
    assert ([key, key], []) == (told(world), aside(world))


def test_a_repair_waits_for_a_config_that_can_be_read() -> None:
    """A broken one says nothing of what its stack is to be."""
    world = World()
    world.write(NETWORK, {"name": "a"})
    world.pass_time(5)
    own = world.lifecycle.queue.own
    key = own.repair(world.path(NETWORK))
    world.put(world.keys.config_of(world.path(NETWORK)), BROKEN)
    world.put(key, own.dumps(Repair(tenant="t", job="j")))
    world.pass_time(5)
    assert (True, 1) == (world.text(key) is not None, len(world.changes()))
    world.write(NETWORK, {"name": "b"}, 2)
    world.pass_time(10)
    assert (None, []) == (world.text(key), aside(world))
    assert ("MODIFY_COMPLETED", 2, "") == world.outcome(NETWORK)
