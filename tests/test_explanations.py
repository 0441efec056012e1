"""What is to blame in the end: the chain from a resource to what holds it up."""

from __future__ import annotations

import itertools
from typing import Any

import attrs
import pytest

from gohan_jobs.bookkeeping import Bookkeeping, JobNotes, Quarantined
from gohan_jobs.inspection.explanations import Explanation, Holder, JobExplanation
from gohan_jobs.keys import Place
from gohan_jobs.lifecycle import Lifecycle
from gohan_jobs.manager.desk import ManagerOptions
from gohan_jobs.orchestrators.simulated import Call, Outcome, SimulatedHeat
from gohan_jobs.schemas import Schema, Schemas
from gohan_jobs.stores.memory import MemoryStore
from gohan_jobs.testing.faults import FaultyStore
from worlds import NETWORK, PORT, SCHEMAS, TEMPLATES, World, ref

RULE = ref("rule", "r1")
_SCHEMAS = Schemas(
    [
        *SCHEMAS,
        Schema(
            type="rule",
            prefix="v2.0/rules",
            relations={"port_id": "port"},
            templates={"heat_worker": "Crule"},
            state_versioning=True,
        ),
    ]
)
_TEMPLATES = {**TEMPLATES, "rule": {"network": "Mport:port_id:link"}}


def _world(**options: Any) -> World:
    return World(schemas=_SCHEMAS, templates=_TEMPLATES, **options)


def _three(world: World) -> None:
    """A rule that needs a port that needs a network."""
    world.write(NETWORK, {"name": "blue"})
    world.write(PORT, {"name": "p", "network_id": "n1"})
    world.write(RULE, {"name": "r", "port_id": "p1"})
    world.settle()


def _explain(world: World, resource: Any = RULE) -> Explanation:
    return world.lifecycle.explain(resource)


def _chain(found: Explanation) -> list[str]:
    return [str(job.resource) for job in found.chain]


def _blocking(found: Explanation) -> list[str]:
    """The resources that are explained, from one to the next."""
    each = [found]
    while (by := each[-1].blocked_by) is not None:
        each.append(by)
    return [str(one.resource) for one in each]


def test_the_chain_ends_at_the_job_that_all_wait_for() -> None:
    """With who has it, and for how long its lease lasts."""
    world = _world(operation_seconds=30)
    _three(world)
    found = _explain(world)
    last = found.chain[-1]
    worker = next(iter(world.under(Bookkeeping(world.keys).workers_prefix)))
    held_by = Holder(reservation=last.holder, worker_id=worker.rpartition("/")[2], lease_left=60.0)
    assert ["rule:r1", "port:p1", "network:n1"] == _chain(found)
    assert ["rule:r1", "network:n1"] == _blocking(found)
    assert (held_by, True) == (last.held_by, held_by.alive)
    assert (
        f"{last.job_id} is being worked on by worker {held_by.worker_id} (lease: 60 s left)"
        == found.root_cause
    )
    assert f"{found.chain[1].job_id} {'waits for'} {last.job_id}" == found.chain[1].reason


def test_a_worker_that_is_gone() -> None:
    """Its reservation outlives it until the lease ends."""
    world = _world(operation_seconds=30)
    _three(world)
    for key in world.under(Bookkeeping(world.keys).workers_prefix):
        world.delete(key)
    found = _explain(world)
    last = found.chain[-1]
    assert last.held_by is not None
    assert not last.held_by.alive
    assert (
        f"{last.job_id} is reserved by {last.holder}, whose worker is gone (lease: 60 s left)"
        == found.root_cause
    )


def test_a_store_that_cannot_tell_how_long_a_lease_lives() -> None:
    """And a reservation under no lease at all: nothing is said of it."""
    world = _world(operation_seconds=30)
    _three(world)
    working = world.keys.place(Place.WORKING, world.job(NETWORK).id)
    told = Lifecycle(FaultyStore(world.store), world.heat, _SCHEMAS, roles=(), hooks=()).explain(
        NETWORK
    )
    world.put(working, "somebody")
    found = _explain(world)
    for each in (told, found):
        assert each.chain[-1].held_by is not None
        assert each.chain[-1].held_by.lease_left is None
    assert found.root_cause.endswith("is reserved by somebody, whose worker is gone")
    assert not told.root_cause.endswith("left)")


def test_a_held_config_is_blocked_by_what_it_waits_for() -> None:
    """Its note says why, and until when; the other is explained likewise."""
    world = _world()
    world.write(PORT, {"name": "p", "network_id": "n1"})
    world.settle()
    found = _explain(world, PORT)
    held = found.held
    assert held is not None
    assert f"version 1 is held: {held.reason}, until {held.until}" == found.summary
    assert ["port:p1", "network:n1"] == _blocking(found)
    assert "network:n1: there is no config" == found.root_cause


def test_holds_upon_holds() -> None:
    """To the one at the end, through jobs and holds alike."""
    world = _world()
    world.write(RULE, {"name": "r", "port_id": "p1"})
    world.write(PORT, {"name": "p", "network_id": "n1"})
    world.settle()
    found = _explain(world)
    assert ["rule:r1", "port:p1", "network:n1"] == _blocking(found)
    assert "port:p1: network:n1: there is no config" == found.root_cause


def test_two_configs_that_wait_for_each_other() -> None:
    """A circle is gone round once."""
    schemas = Schemas(
        Schema(
            type=one,
            prefix=f"v2.0/{one}s",
            relations={"other": other},
            templates={"heat_worker": "Call"},
            state_versioning=True,
        )
        for one, other in itertools.permutations(("hen", "egg"))
    )
    world = World(schemas=schemas, templates={})
    hen, egg = ref("hen", "h"), ref("egg", "e")
    for one, other in ((hen, egg), (egg, hen)):
        held = {"config_mod": 1, "reason": "", "since": "", "until": "", "missing": str(other)}
        own = Bookkeeping(world.keys)
        world.put(own.held(world.path(one)), str(held).replace("'", '"'))
    found = world.lifecycle.explain(hen)
    assert ["hen:h", "egg:e"] == _blocking(found)
    assert "egg:e: there is no config" == found.root_cause


def test_what_is_missing_may_have_no_schema() -> None:
    """A template: its name stands in the reason."""
    world = World(templates={})
    world.write(NETWORK, {"name": "blue"})
    world.settle()
    found = _explain(world, NETWORK)
    assert "network" in (found.held.missing if found.held else "")
    assert (None, found.summary) == (found.blocked_by, found.root_cause)


def test_a_hold_of_an_earlier_version_is_not_the_reason() -> None:
    """The leader has not looked at the newer one yet."""
    world = _world()
    world.write(PORT, {"name": "p", "network_id": "n1"})
    world.settle()
    world.write(PORT, {"name": "q", "network_id": "n1"}, 2)
    found = _explain(world, PORT)
    assert found.held is not None
    assert "version 2 is not planned: it has not been read yet" == found.summary


def _failing() -> World:
    """A world in which the network's stack fails and its dependants are held."""

    def outcome(call: Call) -> Outcome | None:
        fails = call.changes and call.stack == "network_n1"
        return Outcome(fails=True, reason="no quota") if fails else None

    options = ManagerOptions(on_dependency_failure="hold")
    world = _world(manager=options, operation_seconds=5)
    world.heat = SimulatedHeat(world.clock, operation_seconds=5, outcome_of=outcome)
    world.lifecycle.close()
    world.lifecycle = world.peer()
    _three(world)
    world.pass_time(20)
    return world


def test_a_job_held_for_a_failed_dependency() -> None:
    """Which one, until when, and what has become of that: its state, its stack's reason."""
    found = _explain(_failing())
    last = found.chain[-1]
    assert ["rule:r1", "port:p1"] == _chain(found)
    assert "network:n1" == last.held_for
    assert ["rule:r1", "network:n1"] == _blocking(found)
    by = found.blocked_by
    assert by is not None
    assert by.stack is not None
    assert ("CREATE_FAILED", True) == (str(by.stack.stack_status), "no quota" in by.root_cause)
    assert f"{last.reason}; network:n1: {by.summary}" == found.root_cause
    assert f"is held for network:n1 until {last.held_until}: cancelled:" in last.reason


def test_a_job_whose_document_is_set_aside_is_the_worst() -> None:
    """Of several ends, the one that will not go on by itself."""
    world = _world(operation_seconds=30)
    for number in (1, 2, 3):
        world.write(ref("network", f"n{number}"), {"name": "x"})
    world.settle()
    first, second, third = (world.job(ref("network", f"n{number}")).id for number in (1, 2, 3))
    world.write(PORT, {"name": "p", "network_id": "n1"})
    world.settle()
    job = attrs.evolve(world.job(PORT), dependency=(first, second, third))
    key, own = world.keys.job(second), Bookkeeping(world.keys)
    world.put(world.keys.job(job.id), world.codec.dumps(job))
    aside = Quarantined(key=key, mod_revision=1, reason="not JSON", since="")
    world.put(own.quarantine(key), own.dumps(aside))
    found = _explain(world, PORT)
    assert ["port:p1", "network:n2"] == _chain(found)
    assert f"{second} is set aside: not JSON" == found.root_cause


def test_the_end_that_goes_on_least_by_itself_is_to_blame() -> None:
    """Set aside, held, nowhere, its worker gone, handed back; then what is there longest."""
    world = _world(roles=("manager",))
    own = Bookkeeping(world.keys)
    names = [f"n{number}" for number in range(7)]
    for name in names:
        world.write(ref("network", name), {"name": "x"})
    world.write(PORT, {"name": "p", "network_id": "n0"})
    world.settle()
    found = {name: world.job(ref("network", name)).id for name in names}
    port = attrs.evolve(world.job(PORT), dependency=tuple(found.values()))
    world.put(world.keys.job(port.id), world.codec.dumps(port))

    def note(name: str, **facts: Any) -> None:
        notes = JobNotes(**{"planned_at": "2018-02-19T00:00:02+00:00", "path": "p", **facts})
        world.put(own.job(found[name]), own.dumps(notes))

    for name in names:
        note(name)
    note("n0", planned_at="2018-02-19T00:00:03+00:00")
    note("n1", last_error="no answer")
    world.delete(world.keys.place(Place.READY, found["n2"]))
    world.put(world.keys.place(Place.WORKING, found["n2"]), b"somebody")
    world.delete(world.keys.place(Place.READY, found["n3"]))
    note("n4", held_until="noon")
    key = world.keys.job(found["n5"])
    aside = Quarantined(key=key, mod_revision=1, reason="not JSON", since="")
    world.put(own.quarantine(key), own.dumps(aside))
    note("n6", planned_at="2018-02-19T00:00:01+00:00")
    blamed = []
    for _ in names:
        last = _explain(world, PORT).chain[-1].job_id
        blamed.append(last.resource_id)
        world.delete(world.keys.job(last))
    assert ["n5", "n4", "n3", "n2", "n1", "n6", "n0"] == blamed


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({"place": Place.READY}, "is ready"),
        ({"place": Place.READY, "last_error": "Heat is away"}, "is ready: Heat is away"),
        ({"place": None}, "is nowhere"),
        ({"place": Place.FINISHED}, "is finished"),
        ({"place": Place.WAITING, "held_until": "noon"}, "is held until noon"),
    ],
)
def test_why_a_job_is_where_it_is(facts: dict[str, Any], expected: str) -> None:
    """In one sentence."""
    world = _world(roles=("manager",))
    world.write(NETWORK, {"name": "x"})
    world.settle()
    identity = world.job(NETWORK).id
    assert f"{identity} {expected}" == JobExplanation(job_id=identity, **facts).reason


def test_jobs_that_wait_in_a_circle() -> None:
    """Which planning can't make, but who can write jobs can: the first is to blame."""
    world = _world(roles=("manager",))
    _three(world)
    port, rule = world.job(PORT), world.job(RULE)
    world.put(world.keys.job(port.id), world.codec.dumps(attrs.evolve(port, dependency=(rule.id,))))
    found = _explain(world)
    assert ["rule:r1"] == _chain(found)
    assert f"{rule.id} waits for {port.id}" == found.root_cause


def test_the_chain_is_read_at_bounded_cost() -> None:
    """A job that waits for many: sixteen a request; done ones are left out."""
    world = _world(roles=("manager",))
    numbers = range(40)
    for number in numbers:
        world.write(ref("network", f"n{number}"), {"name": "x"})
    world.write(PORT, {"name": "p", "network_id": "n1"})
    world.settle()
    others = [world.job(ref("network", f"n{number}")).id for number in numbers]
    job = attrs.evolve(world.job(PORT), dependency=tuple(others))
    world.put(world.keys.job(job.id), world.codec.dumps(job))
    world.delete(world.keys.job(others[0]))
    store = _Counting(world.store)
    found = Lifecycle(store, world.heat, _SCHEMAS, roles=(), hooks=()).explain(PORT)
    assert 39 == len(found.jobs[0].waiting_for)
    assert store.transactions < 10


class _Counting(FaultyStore):
    """Counts transactions."""

    def __init__(self, store: MemoryStore) -> None:
        super().__init__(store)
        self.transactions = 0

    def transact(self, transaction: Any) -> Any:
        """Count it, then do it."""
        self.transactions += 1
        return super().transact(transaction)


def _gave_up(port: Any) -> World:
    """A world in which a port's hold has ended in failure, its param ``network`` mapped so."""
    templates = {**_TEMPLATES, "port": {"network": port}}
    world = World(schemas=_SCHEMAS, templates=templates, manager=ManagerOptions(hold_time=5.0))
    world.write(PORT, {"name": "p", "network_id": "n1"})
    world.settle()
    world.pass_time(10)
    return world


WAYS = ["Mnetwork:network_id:link", "Fnetwork+network_id:name"]


@pytest.mark.parametrize("mapping", WAYS)
def test_what_a_version_has_failed_for_is_to_blame(mapping: str) -> None:
    """After the hold as during it; what another waits for too."""
    found = _explain(_gave_up(mapping), PORT)
    assert (None, "READ_ERROR") == (found.held, found.state and found.state.worker_state)
    assert found.summary.startswith("version 1 failed: port:p1: template port, param network")
    assert ["port:p1", "network:n1"] == _blocking(found)
    assert "network:n1: there is no config" == found.root_cause


@pytest.mark.parametrize("mapping", WAYS)
def test_what_has_come_too_late_is_not_to_blame(mapping: str) -> None:
    """It is there now, or being made, and the version has failed all the same."""
    world = _gave_up(mapping)
    world.write(NETWORK, {"name": "blue"})
    for _ in range(2):
        world.settle()
        found = _explain(world, PORT)
        assert (None, found.summary) == (found.blocked_by, found.root_cause)
        world.pass_time(10)


def test_an_output_of_what_makes_no_stack() -> None:
    """It is there, and failed as well: that is the cause."""
    world = _gave_up(WAYS[0])
    body = {"id": "n1", "tenant_id": 5, "name": "blue"}
    world.put(
        world.keys.config_of(world.path(NETWORK)),
        f'{{"version": 1, "body": {body}}}'.replace("'", '"'),
    )
    world.pass_time(10)
    found = _explain(world, PORT)
    assert found.root_cause.startswith("network:n1: version 1 failed: network:n1: body.tenant_id:")


@pytest.mark.parametrize("version", [0, 2])
def test_an_earlier_failure_is_not_looked_into(version: int) -> None:
    """The error is of another version than the config is."""
    world = _gave_up(WAYS[0])
    world.lifecycle.close()
    world.write(PORT, {"name": "p", "network_id": "n1"}, version)
    found = world.peer(roles=()).explain(PORT)
    assert (None, found.summary) == (found.blocked_by, found.root_cause)


_KIND = {
    "if_mapping": {"equal": [{"field": "name", "path": ["network_id"]}, "blue"]},
    "then_mapping": {"constant": "port_of_blue"},
    "else_mapping": {"constant": "port"},
}
TREES = [
    ("Cport", "port"),
    (_KIND, "port_of_blue"),
    # Of a type without a schema nothing is known, nor of a field that is no relation.
    ({"field": "kind", "path": [{"type": "moon", "id": "network_id"}]}, ""),
    ({"field": "kind", "path": [{"type": "network", "id": "nothing"}]}, ""),
    ({"field": "kind", "path": [{"type": "alias", "id": "network_id"}]}, ""),
]


@pytest.mark.parametrize(("tree", "template"), TREES)
def test_the_template_that_heat_refuses(tree: Any, template: str) -> None:
    """Heat does not say whose parameter is missing: the type's template mapping does."""
    world = _world()
    world.write(NETWORK, {"name": "blue"})
    world.write(PORT, {"name": "p", "network_id": "n1"})
    world.settle()
    port = '{"state": {"worker_state": "CREATE_ERROR"}, "version": 1, "error": "refused"}'
    world.put(world.keys.state_of(world.path(PORT)), port)
    types = [each for each in _SCHEMAS if each.type != "port"]
    changed = attrs.evolve(
        next(s for s in _SCHEMAS if s.type == "port"), templates={"heat_worker": tree}
    )
    world.schemas = Schemas([*types, changed])
    assert template == world.peer(roles=()).explain(PORT).template


def test_no_template_is_named_without_need() -> None:
    """All is well, the config is gone, or the type has no stacks."""
    world = _world()
    world.write(NETWORK, {"name": "blue"})
    alias = ref("alias", "a1")
    world.write(alias, {"name": "blue"})
    world.settle()
    assert "" == _explain(world, NETWORK).template
    failed = '{"state": {"worker_state": "CREATE_ERROR"}, "version": 1, "error": "refused"}'
    for each in (NETWORK, alias, PORT):
        world.put(world.keys.state_of(world.path(each)), failed)
    assert ["network", "", ""] == [
        _explain(world, each).template for each in (NETWORK, alias, PORT)
    ]


def test_no_template_is_named_of_a_config_that_can_not_be_read() -> None:
    """Its type may choose the template by what the config says."""
    world = _world()
    world.write(NETWORK, {"name": "blue"})
    world.settle()
    failed = '{"state": {"worker_state": "CREATE_ERROR"}, "version": 1, "error": "refused"}'
    world.put(world.keys.state_of(world.path(NETWORK)), failed)
    world.put(world.keys.config_of(world.path(NETWORK)), b"no JSON")
    assert "" == _explain(world, NETWORK).template
