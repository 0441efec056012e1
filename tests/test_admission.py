"""A hook before queueing: what it is asked, what a veto does, and what a broken hook does not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from gohan_jobs.admission import AdmissionRequest, Allow, Veto
from gohan_jobs.bookkeeping import Bookkeeping, Held, Repair
from gohan_jobs.clock import VirtualClock
from gohan_jobs.events import ConfigHeld, ConfigVetoed, JobPlanned
from gohan_jobs.keys import Place
from gohan_jobs.lifecycle import Completed
from gohan_jobs.manager.desk import ManagerOptions
from gohan_jobs.records import Action, ResourceRef
from worlds import ALIAS, DISK, NETWORK, PORT, TENANT, World, ref

_SECRET = "correct-horse-battery"


class Gate:
    """A hook that says what it is told to, and remembers what it was asked."""

    def __init__(self, *vetoed: str, answer: Callable[[], Any] | None = None) -> None:
        self.vetoed = set(vetoed)
        self.asked: list[AdmissionRequest] = []
        self.answer = answer or (lambda: Veto("the window is closed", retry_after=20.0))

    def __call__(self, request: AdmissionRequest) -> Any:
        """The answer for what is vetoed; that it may be done, for all else."""
        self.asked.append(request)
        return self.answer() if request.resource.resource_id in self.vetoed else Allow()

    @property
    def actions(self) -> list[str]:
        """What it was asked about."""
        return [f"{request.action} {request.resource}" for request in self.asked]


def _world(gate: Gate, **options: Any) -> World:
    return World(admission=gate, **options)


def _held(world: World, resource: ResourceRef = NETWORK) -> Held | None:
    own = Bookkeeping(world.keys)
    key = own.held(world.path(resource))
    text = world.text(key)
    return None if text is None else own.loads(key, text, Held)


def _done(gate: Gate, resource: ResourceRef = NETWORK) -> World:
    """A world in which a resource has been made."""
    world = _world(gate)
    world.write(resource, {"name": "blue"})
    world.pass_time(5)
    gate.asked.clear()
    return world


def test_what_a_hook_is_asked() -> None:
    """The resource, its type, the action, the version, the tenant, the body, the jobs."""
    gate = Gate()
    world = _world(gate)
    world.write(NETWORK, {"name": "blue"}, 3)
    world.settle()
    (request,) = gate.asked
    (job,) = request.jobs
    assert (NETWORK, Action.CREATE, 3, TENANT, "blue") == (
        request.resource,
        request.action,
        request.version,
        request.tenant,
        request.body["name"],
    )
    assert ("network", True) == (request.schema.type, request.schema.two_step_deletion)
    assert world.job(NETWORK) == job
    assert "blue" not in repr(request)


@pytest.mark.parametrize("answer", [Allow(), None])
def test_what_is_allowed_is_queued(answer: Allow | None) -> None:
    """By saying so, or by saying nothing."""
    gate = Gate("n1", answer=lambda: answer)
    world = _world(gate)
    world.write(NETWORK, {"name": "blue"})
    world.pass_time(5)
    assert (("CREATE_COMPLETED", 1, ""), None) == (world.outcome(NETWORK), _held(world))


def test_a_hook_can_not_change_what_is_queued() -> None:
    """It has copies."""

    def meddle(request: AdmissionRequest) -> None:
        request.body["name"] = "red"  # type: ignore[index]  # what a hook must not do
        request.jobs[0].resource_input["name"] = "red"

    world = World(admission=meddle)
    world.write(NETWORK, {"name": "blue"})
    world.settle()
    assert "blue" == world.job(NETWORK).resource_input["name"]
    processed = world.processed(NETWORK)
    assert processed is not None
    assert "blue" == processed.body["name"]


def test_a_veto_is_noted_and_blocks_nobody_else() -> None:
    """Why, and when it is tried again; others go on; nothing else is written of it."""
    gate = Gate("n1")
    world = _world(gate)
    world.write(NETWORK, {"name": "blue"})
    world.write(DISK, {"name": "d"})
    world.pass_time(5)
    held = _held(world)
    assert held is not None
    assert (True, "the window is closed", 1, 0, "") == (
        held.vetoed,
        held.reason,
        held.version,
        held.tries,
        held.missing,
    )
    assert (None, None, ("CREATE_COMPLETED", 1, "")) == (
        world.outcome(NETWORK),
        world.processed(NETWORK),
        world.outcome(DISK),
    )
    (told,) = world.told(ConfigVetoed)
    assert (NETWORK, 1, held.reason, held.until, False) == (
        told.resource,
        told.version,
        told.reason,
        told.until,
        told.failed,
    )
    summary = world.lifecycle.explain(NETWORK).summary
    assert (
        f"version 1 is vetoed: the window is closed, to be tried again at {held.until}" == summary
    )


def test_it_is_asked_again_at_its_time_and_not_before() -> None:
    """However much happens meanwhile."""
    gate = Gate("n1")
    world = _world(gate)
    world.write(NETWORK, {"name": "blue"})
    world.settle()
    first = _held(world)
    for number in range(19):
        world.write(ref("disk", f"d{number}"), {"name": "d"})
        world.pass_time(1)
    assert 1 == gate.actions.count("create network:n1")
    world.pass_time(2)
    second = _held(world)
    assert 2 == gate.actions.count("create network:n1")
    assert first is not None
    assert second is not None
    assert (first.since, True) == (second.since, first.until < second.until)
    gate.vetoed.clear()
    world.pass_time(25)
    assert (("CREATE_COMPLETED", 1, ""), None) == (world.outcome(NETWORK), _held(world))
    assert 3 == gate.actions.count("create network:n1")


def test_the_note_goes_when_the_job_comes() -> None:
    """At one revision."""
    gate = Gate("n1")
    world = _world(gate)
    world.write(NETWORK, {"name": "blue"})
    world.settle()
    gate.vetoed.clear()
    world.pass_time(25)
    key = Bookkeeping(world.keys).held(world.path(NETWORK))
    gone = [write.revision for write in world.history(key) if write.kind == "delete"]
    planned = world.history(f"{world.keys.all_jobs}create:")
    assert [planned[0].revision] == gone


def test_wait_goes_on_waiting() -> None:
    """A veto is no result."""
    gate = Gate("n1")
    world = _world(gate)
    world.write(NETWORK, {"name": "blue"})
    world.settle()
    gate.vetoed.clear()
    assert isinstance(world.lifecycle.wait(NETWORK, 1), Completed)


def test_a_newer_version_takes_the_place_of_a_vetoed_one() -> None:
    """It is asked about at once; the older one is never done."""
    gate = Gate("n1")
    world = _world(gate)
    world.write(NETWORK, {"name": "one"}, 1)
    world.settle()
    world.write(NETWORK, {"name": "two"}, 2)
    world.settle()
    held = _held(world)
    assert held is not None
    assert (2, 2) == (held.version, len(gate.asked))
    gate.vetoed.clear()
    world.write(NETWORK, {"name": "three"}, 3)
    world.pass_time(5)
    assert [("CREATE_COMPLETED", 3, "")] == world.states_of(NETWORK)
    assert _held(world) is None


def test_a_vetoed_change_leaves_the_older_job_alone() -> None:
    """Which runs to its end, and is not superseded by what may not be done."""
    gate = Gate()
    world = _world(gate, operation_seconds=10)
    world.write(NETWORK, {"name": "one"}, 1)
    world.settle()
    gate.vetoed.add("n1")
    world.write(NETWORK, {"name": "two"}, 2)
    world.pass_time(15)
    assert ("CREATE_COMPLETED", 1, "") == world.outcome(NETWORK)
    assert ["create network:n1", "modify network:n1"] == gate.actions


def test_a_new_leader_asks_no_sooner() -> None:
    """It takes over the veto, writes nothing, and asks at the old time."""
    gate = Gate("n1", answer=lambda: Veto("closed", retry_after=200.0))
    world = _world(gate)
    world.write(NETWORK, {"name": "blue"})
    world.settle()
    before = _held(world)
    world.restart()
    start = world.store.revision()
    world.settle()
    own = Bookkeeping(world.keys).prefix
    written = {write.key for write in world.history() if write.revision > start}
    assert {world.keys.leader} == {key for key in written if not key.startswith(own)}
    assert (before, 1) == (_held(world), len(gate.asked))
    world.pass_time(75)
    assert 1 == len(gate.asked)
    world.pass_time(10)
    assert 2 == len(gate.asked)


def test_a_veto_that_somebody_else_has_ended() -> None:
    """Its time finds nothing to do."""
    gate = Gate("n1")
    world = _world(gate)
    world.write(NETWORK, {"name": "blue"})
    world.settle()
    manager = world.lifecycle._manager
    assert manager is not None
    manager._desk.held.clear()
    world.pass_time(25)
    assert 1 == len(gate.asked)


def test_a_new_leader_without_a_hook_allows_what_was_vetoed() -> None:
    """Nobody vetoes any more."""
    world = _world(Gate("n1"))
    world.write(NETWORK, {"name": "blue"})
    world.settle()
    world.restart(admission=None)
    world.pass_time(5)
    assert (("CREATE_COMPLETED", 1, ""), None) == (world.outcome(NETWORK), _held(world))


# Deletions.


def test_a_two_step_deletion_may_be_vetoed() -> None:
    """The stack stays, over a change of leaders, until it is allowed."""
    gate = Gate()
    world = _done(gate)
    gate.vetoed.add("n1")
    world.lifecycle.delete(NETWORK)
    world.pass_time(5)
    world.restart()
    world.pass_time(5)
    assert {"logical_delete network:n1"} == set(gate.actions)
    assert [("create", "network_n1")] == world.changes()
    assert (_held(world) or Held(config_mod=0, reason="", since="", until="")).vetoed
    gate.vetoed.clear()
    world.pass_time(30)
    assert ("DELETE_COMPLETED", 2, "") == world.outcome(NETWORK)
    assert _held(world) is None


def test_a_one_step_deletion_may_be_vetoed() -> None:
    """The config is gone; the note, and what is known of the stack, outlive the leader."""
    gate = Gate()
    world = _done(gate, DISK)
    gate.vetoed.add("d1")
    world.remove_config(DISK)
    world.pass_time(5)
    held = _held(world, DISK)
    assert held is not None
    assert (0, 1, True) == (held.config_mod, held.version, held.vetoed)
    assert "its removal is vetoed: the window is closed" in world.lifecycle.explain(DISK).summary
    world.restart()
    world.pass_time(5)
    assert ({"delete disk:d1"}, [("create", "disk_d1")]) == (set(gate.actions), world.changes())
    gate.vetoed.clear()
    world.pass_time(30)
    assert [("create", "disk_d1"), ("delete", "disk_d1")] == world.changes()
    assert (None, None) == (_held(world, DISK), world.processed(DISK))


def test_a_config_that_comes_again_ends_the_veto_of_its_removal() -> None:
    """And is asked about itself."""
    gate = Gate()
    world = _done(gate, DISK)
    gate.vetoed.add("d1")
    world.remove_config(DISK)
    world.settle()
    gate.vetoed.clear()
    world.write(DISK, {"name": "red"}, 2)
    world.pass_time(5)
    assert ["delete disk:d1", "modify disk:d1"] == gate.actions
    assert (("MODIFY_COMPLETED", 2, ""), None) == (world.outcome(DISK), _held(world, DISK))


def test_vetoed_removals_do_not_stop_a_new_leader() -> None:
    """They were seen to go, one after the other: no operator has to look (``rules`` 16)."""
    gate = Gate()
    world = _world(gate, manager=ManagerOptions(max_removals=0, max_removal_share=0.0))
    world.write(DISK, {"name": "d"})
    world.pass_time(5)
    gate.vetoed.add("d1")
    world.remove_config(DISK)
    world.settle()
    world.restart()
    world.pass_time(5)
    assert {} == world.lifecycle.troubles


# Others.


def test_what_needs_no_job_is_not_asked_about() -> None:
    """Nor is what repairs a stack."""
    gate = Gate()
    world = _done(gate)
    world.write(ALIAS)
    own = Bookkeeping(world.keys)
    world.put(own.repair(world.path(NETWORK)), own.dumps(Repair(tenant=TENANT, job="x")))
    world.pass_time(5)
    assert ([], ("READ_COMPLETE", 1, "")) == (gate.actions, world.outcome(ALIAS))
    assert [("create", "network_n1"), ("update", "network_n1")] == world.changes()


def test_a_repair_does_not_do_by_the_way_what_is_vetoed() -> None:
    """Once that is allowed, the stack is right anyway."""
    gate = Gate()
    world = _done(gate)
    gate.vetoed.add("n1")
    world.write(NETWORK, {"name": "red"}, 2)
    own = Bookkeeping(world.keys)
    world.settle()
    world.put(own.repair(world.path(NETWORK)), own.dumps(Repair(tenant=TENANT, job="x")))
    world.pass_time(5)
    assert [("create", "network_n1")] == world.changes()
    gate.vetoed.clear()
    world.pass_time(30)
    assert ("MODIFY_COMPLETED", 2, "") == world.outcome(NETWORK)


def test_who_waits_for_what_is_vetoed_goes_on_waiting() -> None:
    """Beyond the hold time: the veto is not its fault; explain says whose it is."""
    gate = Gate("n1")
    world = _world(gate)
    world.write(NETWORK, {"name": "blue"})
    world.write(PORT, {"name": "p", "network_id": "n1"})
    world.pass_time(150)
    assert (None, 1) == (world.outcome(PORT), len(world.told(ConfigHeld)))
    assert "network:n1: version 1 is vetoed: " in world.lifecycle.explain(PORT).root_cause
    gate.vetoed.clear()
    world.pass_time(30)
    assert ("CREATE_COMPLETED", 1, "") == world.outcome(PORT)


def test_a_config_may_be_held_and_vetoed_in_turn() -> None:
    """First what it needs is missing, then it is vetoed, then that goes again."""
    gate = Gate("p1")
    world = _world(gate)
    world.write(PORT, {"name": "p", "network_id": "n1"})
    world.settle()
    world.write(NETWORK, {"name": "blue"})
    world.pass_time(5)
    vetoed = _held(world, PORT)
    world.delete(f"{world.keys.config}v2.0/heat_templates/port")
    world.pass_time(30)
    held = _held(world, PORT)
    assert vetoed is not None
    assert held is not None
    assert ((True, ""), (False, "heat_template:port")) == (
        (vetoed.vetoed, vetoed.missing),
        (held.vetoed, held.missing),
    )
    assert 2 == len(world.told(ConfigHeld))


# Hooks that break.


def _raises() -> Veto:
    raise RuntimeError(f"no answer about {_SECRET}")


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (_raises, "admission failed: RuntimeError: no answer about "),
        (lambda: "yes", "admission failed: it answered str, not Allow or Veto"),
        (lambda: False, "admission failed: it answered bool, not Allow or Veto"),
        (lambda: Veto(""), "admission failed: ValueError: a veto needs a reason"),
        (
            lambda: Veto("closed", retry_after=0),
            "admission failed: ValueError: retry_after must be a positive number of seconds",
        ),
    ],
)
def test_a_hook_that_breaks_is_a_veto(answer: Callable[[], Any], expected: str) -> None:
    """With that for a reason, without secrets; nobody else is stopped."""
    gate = Gate("n1", answer=answer)
    world = _world(gate)
    world.write(NETWORK, {"name": "blue", "password": _SECRET})
    world.write(DISK, {"name": "d"})
    world.pass_time(0.5)
    held = _held(world)
    assert held is not None
    assert (True, True, True) == (
        held.vetoed,
        held.reason.startswith(expected),
        _SECRET not in held.reason,
    )
    assert [True] == [event.failed for event in world.told(ConfigVetoed)]
    world.pass_time(3)
    assert ("CREATE_COMPLETED", 1, "") == world.outcome(DISK)


def test_a_hook_that_breaks_is_asked_less_and_less() -> None:
    """1, 2, 4 … seconds later, at most 300; a new leader goes on from there."""
    gate = Gate("n1", answer=_raises)
    world = _world(gate)
    world.write(NETWORK, {"name": "blue"})
    world.settle()
    world.pass_time(62)
    assert 6 == len(gate.asked)
    world.restart()
    world.settle()
    world.pass_time(3000)
    held = _held(world)
    assert held is not None
    assert 16 <= held.tries <= 18
    gate.answer = lambda: Veto("closed")
    world.pass_time(301)
    again = _held(world)
    assert again is not None
    assert ("closed", 0) == (again.reason, again.tries)


def test_a_veto_for_no_time_is_no_hot_loop() -> None:
    """At least a second passes; at most a year."""
    gate = Gate("n1", answer=lambda: Veto("closed", retry_after=1e-9))
    world = _world(gate)
    world.write(NETWORK, {"name": "blue"})
    world.settle()
    world.pass_time(10, step=0.25)
    assert len(gate.asked) <= 11
    gate.answer = lambda: Veto("closed", retry_after=1e300)
    world.pass_time(2)
    held = _held(world)
    assert held is not None
    assert world.clock.wall().year + 1 == int(held.until[:4])


def test_a_long_reason_is_cut() -> None:
    """After the scrubbing."""
    world = _world(Gate("n1", answer=lambda: Veto("x" * 9000)))
    world.write(NETWORK, {"name": "blue"})
    world.settle()
    held = _held(world)
    assert held is not None
    assert 2000 == len(held.reason)


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), float("inf"), True, "5"])
def test_a_veto_needs_a_time(seconds: Any) -> None:
    """A positive number of seconds."""
    with pytest.raises(ValueError, match="positive number of seconds"):
        Veto("closed", retry_after=seconds)


@pytest.mark.parametrize("reason", ["", None, 5])
def test_a_veto_needs_a_reason(reason: Any) -> None:
    """A text that says something."""
    with pytest.raises(ValueError, match="needs a reason"):
        Veto(reason)


def test_the_action_is_that_of_the_job_on_heat() -> None:
    """Whatever other handlers do for the same config."""
    gate = Gate()
    world = _done(gate)
    world.write(NETWORK, {"name": "red"}, 2)
    world.settle()
    assert ["modify network:n1"] == gate.actions
    assert 2 == len(world.told(JobPlanned))


def test_a_config_without_a_tenant() -> None:
    """Has none that could be told."""
    gate = Gate()
    world = _world(gate)
    key = world.keys.config_of(world.path(NETWORK))
    world.put(key, '{"body": {"id": "n1", "name": "x"}, "version": 1}')
    world.settle()
    assert [""] == [request.tenant for request in gate.asked]
    assert Place.FINISHED not in world.places().values()


def test_the_clock_may_be_anything() -> None:
    """Times of day are for display and for the next leader; a leader goes by its own clock."""
    gate = Gate("n1")
    world = _world(gate, clock=VirtualClock())
    world.write(NETWORK, {"name": "blue"})
    world.settle()
    world.clock.advance(19.5)
    world.settle()
    assert 1 == len(gate.asked)
    world.clock.advance(0.5)
    world.settle()
    assert 2 == len(gate.asked)
