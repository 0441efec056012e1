"""Planning over arbitrary configs, mappings and histories."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from gohan_jobs.board import Tracked
from gohan_jobs.exceptions import MappingError
from gohan_jobs.keys import JobId, Place, ResourcePath
from gohan_jobs.mapping import parse
from gohan_jobs.planning import Enqueue, Forget, Hold, Orphaned, Plan, Publish, evaluate_again
from gohan_jobs.records import StateRecord, WorkerState
from planning_types import NETWORK, NOTE, PORT, ROUTER, TAG, make_world, template
from planning_world import World
from strategies import json_objects, json_values

PATHS = [NETWORK, PORT, ROUTER, TAG, NOTE, "v2.0/networks/n2", "v2.0/ports/p2"]

_fields = st.sampled_from(["id", "name", "network_id", "list", "binding:vif_type", ""])
_types = st.sampled_from(["network", "port", "moon"])
_ids = st.sampled_from(["n1", "n2", "p1", "p2", "t1", "nowhere", "a:b", ""])
_bodies = st.one_of(
    json_objects,
    st.dictionaries(_fields, st.one_of(_ids, json_values, st.lists(_ids, max_size=3))),
)
_hops = st.one_of(_fields, st.fixed_dictionaries({"type": _types, "id": _fields}))
_paths = st.lists(_hops, min_size=1, max_size=3)
_leaves: st.SearchStrategy[Any] = st.one_of(
    _fields.map("P{}".format),
    _ids.map("C{}".format),
    st.just("Vauto_filled"),
    st.builds("F{}+{}:{}".format, _types, _fields, _fields),
    st.builds("M{}:{}:{}".format, _types, _fields, _fields),
    st.builds("O{}:{}".format, _fields, _fields),
    st.fixed_dictionaries({"field": _fields}),
    st.fixed_dictionaries({"constant": json_values}),
    st.fixed_dictionaries({"output_key": _fields}),
    st.fixed_dictionaries({"output_key": _fields, "path": _paths}),
    st.fixed_dictionaries(
        {"field": _fields, "path": _paths}, optional={"ignore_missing": st.booleans()}
    ),
)
mappings: st.SearchStrategy[Any] = st.recursive(
    _leaves,
    lambda inner: st.one_of(
        st.fixed_dictionaries({"concatenate": st.lists(inner, max_size=3)}),
        st.fixed_dictionaries({"for_field": st.one_of(_fields, inner), "for_mapping": inner}),
        st.fixed_dictionaries(
            {
                "if_mapping": st.dictionaries(
                    st.sampled_from(["equal", "regexp"]),
                    st.lists(inner, min_size=2, max_size=2),
                    min_size=1,
                    max_size=1,
                ),
                "then_mapping": inner,
                "else_mapping": inner,
            }
        ),
    ),
    max_leaves=5,
)
any_mappings = st.one_of(mappings, json_values)


def is_mapping(form: Any) -> bool:
    """Whether a form is in the language, which a schema's must be."""
    try:
        parse(form, "")
    except MappingError:
        return False
    return True


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """Anything that may be known."""
    found = {
        handler: draw(mappings.filter(is_mapping) | st.sampled_from(["Cport", "Ctag", "Crouter"]))
        for handler in draw(st.sets(st.sampled_from(["heat_worker", "monitoring_worker", "dns"])))
    }
    world = make_world(**found)
    for name in draw(st.lists(st.sampled_from(["port", "tag", "router", "network"]), max_size=2)):
        forms = draw(st.dictionaries(st.sampled_from("abc"), any_mappings, max_size=3))
        world.write(f"v2.0/heat_templates/{name}", template(name, forms))
    for path in draw(st.lists(st.sampled_from(PATHS), max_size=4)):
        _happen(draw, world, path)
    return world


def _happen(draw: st.DrawFn, world: World, path: str) -> None:
    """One more thing happened."""
    what = draw(st.sampled_from(["read", "read", "stack", "state", "move", "remove"]))
    if what == "read":
        world.read(path, draw(_bodies), draw(st.integers(-1, 3)), marked=draw(st.booleans()))
    elif what == "stack":
        world.stack(path)
    elif what == "state":
        version = draw(st.integers(0, 3))
        world.state(path, StateRecord(worker_state=WorkerState.CREATED, version=version))
    elif what == "remove":
        world.remove(path, delete_orphans=draw(st.booleans()))
    elif len(world.board):
        job = draw(st.sampled_from(list(world.board)))
        world.move(job.job_id, draw(st.sampled_from([None, *Place])))


@settings(max_examples=300, deadline=None)
@given(
    world=worlds(),
    path=st.sampled_from([*PATHS, "v2.0/ports/a:b"]),
    body=_bodies,
    version=st.integers(-1, 4),
    marked=st.booleans(),
    gone=st.booleans(),
)
def test_a_change_is_always_planned_and_always_the_same(
    *, world: World, path: str, body: Any, version: int, marked: bool, gone: bool
) -> None:
    """Whatever is written where, there is a plan; asked again, the same one."""
    world.write(path, body, version, marked=marked)
    before = world.revision
    plans = []
    for _ in range(2):
        world.suffix.restart()
        plans.append(world.plan_removal(path) if gone else world.plan(path))
    assert plans[0] == plans[1]
    assert before == world.revision


@settings(max_examples=100, deadline=None)
@given(worlds(), _bodies, any_mappings)
def test_evaluating_again_raises_mapping_errors_only(world: World, body: Any, form: Any) -> None:
    """Params by any template, or its error."""
    for name in ("port", "tag"):
        world.write(f"v2.0/heat_templates/{name}", template(name, {"x": form}))
    plan = world.plan_new(TAG, body)
    jobs = plan.jobs if isinstance(plan, Enqueue) else ()
    schema = world.schemas.by_type("tag")
    assert schema is not None
    for planned in jobs:
        try:
            again = evaluate_again(planned.job, schema, world.view, world.schemas, "port")
        except MappingError:
            continue
        assert planned.job.id == again.id


# Histories: a few resources that refer to each other, and a queue that moves on.

_STEPS = st.lists(
    st.tuples(
        st.sampled_from(["read", "read", "mark", "remove", "claim", "finish", "finish", "lose"]),
        st.integers(0, 4),
        st.integers(0, 50),
    ),
    max_size=40,
)
_RESOURCES = [NETWORK, "v2.0/networks/n2", PORT, "v2.0/ports/p2", TAG]


class History:
    """A world whose resources change while its jobs run, and everything that must stay true."""

    def __init__(self) -> None:
        self.world = make_world(heat_worker="Cport", monitoring_worker="Crouter")
        self.world.write(
            "v2.0/heat_templates/network",
            template("network", {"next": "Fnetwork+next_id:id", "port": "Fport+port_id:id"}),
        )
        for number, path in enumerate(_RESOURCES):
            self.write(path, number, 0)
        self.versions = dict.fromkeys(_RESOURCES, 0)
        self.waited: dict[JobId, tuple[JobId, ...]] = {}

    def write(self, path: str, seed: int, version: int) -> None:
        """Write a config whose references depend on a number."""
        body = {
            "id": path.rpartition("/")[2],
            "tenant_id": "t",
            "name": str(seed),
            "network_id": f"n{1 + seed % 2}",
            "next_id": f"n{1 + seed % 2}",
            "port_id": f"p{1 + seed // 2 % 2}",
        }
        self.world.write(path, body, version)

    def step(self, what: str, index: int, seed: int) -> None:
        """One more thing happens."""
        path, board = _RESOURCES[index], self.world.board
        if what in {"read", "mark"}:
            self.versions[path] += 1
            self.write(path, seed, self.versions[path])
            if what == "mark":
                config = self.world.change(path).config
                self.world.write(path, config.body, config.version, marked=True)
            self.carry_out(path, self.world.plan(path))
        elif what == "remove" and self.world.estate.config_entry(ResourcePath(path)) is not None:
            self.carry_out(path, self.world.plan_removal(path))
        elif len(board):
            self.work(what, list(board)[seed % len(board)])

    def work(self, what: str, job: Tracked) -> None:
        """A worker claims, finishes or loses a job."""
        if what == "claim" and job.unclaimed and not job.waiting_for:
            self.world.move(job.job_id, Place.WORKING)
        elif what == "lose" and job.place is Place.WORKING:
            self.world.move(job.job_id, None)
        elif what == "finish" and job.place is Place.WORKING:
            self.world.stack(job.path)
            self.world.gone(job.job_id)

    def carry_out(self, path: str, plan: Plan) -> None:
        """Check what a plan takes away, then do it."""
        collapse = plan.collapse if isinstance(plan, Enqueue | Publish | Forget | Orphaned) else ()
        for job_id in collapse:
            job = self.world.board.get(job_id)
            assert job is not None
            assert job.unclaimed
            assert all(d.resource == job.resource for d in self.world.board.dependants(job_id))
        if isinstance(plan, Hold):
            plan = plan.otherwise
        self.world.carry_out(path, plan)
        for planned in plan.jobs if isinstance(plan, Enqueue) else ():
            assert not set(collapse) & set(planned.job.dependency)
            self.waited[planned.job.id] = planned.job.dependency


@settings(max_examples=150, deadline=None)
@given(_STEPS)
def test_no_history_has_a_cycle_or_takes_away_what_is_needed(
    steps: list[tuple[str, int, int]],
) -> None:
    """Each job waits for jobs planned before it only; what is collapsed is nobody else's."""
    history = History()
    for what, index, seed in steps:
        history.step(what, index, seed)
    order = {identity: number for number, identity in enumerate(history.waited)}
    for identity, waits in history.waited.items():
        assert len(set(waits)) == len(waits)
        assert all(order[other] < order[identity] for other in waits)


@settings(max_examples=100, deadline=None)
@given(_STEPS)
def test_every_history_comes_to_an_end(steps: list[tuple[str, int, int]]) -> None:
    """Claiming and finishing what may run empties the queue."""
    history = History()
    for what, index, seed in steps:
        history.step(what, index, seed)
    board = history.world.board
    while len(board):
        (*free,) = (job for job in board if not job.waiting_for)
        assert free
        for job in free:
            history.world.gone(job.job_id)
    assert 0 == board.eligible
