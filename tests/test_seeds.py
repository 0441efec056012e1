"""Both seeds end to end: given point 1 and what it is related to, points 2 to 6 come out."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from documented import SEEDS, records_of
from gohan_jobs.clock import VirtualClock
from gohan_jobs.codec import dumps
from gohan_jobs.orchestrators.simulated import Outcome, SimulatedHeat
from gohan_jobs.records import StackOutput
from gohan_jobs.schemas import Schema, Schemas
from worlds import HOT, TENANT, World, ref

LB = ref("load_balancer", "b311c470-d878-4fea-8466-a4393938f2d4")
VNF = ref("vnf_instance", "398d65ba-0060-456e-b415-5bc954450717")
LBI = ref("load_balancer_interface", "24580bfc-32f4-4c0f-8e8a-c7288497aa7c")


def schema(name: str, **relations: str) -> Schema:
    """A type as the recorded system had it."""
    return Schema(
        type=name,
        prefix=f"v2.0/{name}s",
        relations=relations,
        templates={"heat_worker": f"C{name}"},
        state_versioning=True,
        two_step_deletion=True,
    )


TYPES = Schemas(
    [
        schema("vnf_instance"),
        schema("load_balancer", vnf_instance_id="vnf_instance"),
        schema("load_balancer_interface", load_balancer_id="load_balancer"),
    ]
)
MAPPINGS: dict[str, dict[str, Any]] = {
    "vnf_instance": {"tenant_id": "Ptenant_id"},
    "load_balancer": {
        "tenant_id": "Ptenant_id",
        "name": "Fvnf_instance+vnf_instance_id:management_ip",
    },
    # The order of the seeds' params.
    "load_balancer_interface": {
        "jinja_slot_number": "Pslot_number",
        "tenant_id": "Ptenant_id",
        "management_ip": (
            "Fload_balancer+load_balancer_id:vnf_instance+vnf_instance_id:management_ip"
        ),
        "heat_timeout": {"constant": 3},
        "version": "Vauto_filled",
        "gohan_id": "Pid",
    },
}
INTERFACE_HOT = HOT.replace(
    "parameters:\n",
    "parameters:\n  management_ip: {type: string}\n  gohan_id: {type: string}\n",
)


def seed(name: str) -> dict[str, str]:
    """The six records of a seed, by key."""
    return dict(records_of((SEEDS / f"{name}.txt").read_text()))


CREATE, UPDATE = seed("create"), seed("update")


def point(page: dict[str, str], prefix: str) -> tuple[str, Any]:
    """The record of a page whose key begins so."""
    ((key, text),) = [(key, text) for key, text in page.items() if key.startswith(prefix)]
    return key, json.loads(text)


def suffixes_of(page: dict[str, str]) -> dict[str, str]:
    """The recorded suffix of each resource's job: its own and those that it depends on."""
    _, (_, job, _) = point(page, "/jobs/all/")
    return {
        job_id.split(":")[3]: job_id.rpartition(":")[2]
        for job_id in [*job["dependency"], job["id"]]
    }


def seeds_suffixes() -> Any:
    """The recorded suffixes, in the order in which the jobs are planned."""
    order = (VNF, LB, LBI)
    for page in (CREATE, UPDATE):
        known = suffixes_of(page)
        yield from (known[resource.resource_id] for resource in order)


def scripted(page: dict[str, str]) -> Outcome:
    """The operation that ends as a seed's point 3 says."""
    _, stack = point(page, "/esi-worker/heat_stacks/")
    return Outcome(
        outputs=tuple(StackOutput(**output) for output in stack["output"]),
        status=stack["stack_status"],
        reason=stack["status_reason"],
    )


def make_world() -> World:
    """Types and templates made for the seeds; Heat gives the recorded outputs."""
    suffixes = seeds_suffixes()
    clock = VirtualClock()
    heat = SimulatedHeat(clock, operation_seconds=10)
    heat.script(f"load_balancer_interface_{LBI.resource_id}", scripted(CREATE), scripted(UPDATE))
    world = World(
        clock=clock,
        heat=heat,
        schemas=TYPES,
        templates={name: MAPPINGS[name] for name in ("vnf_instance", "load_balancer")},
        suffix=lambda: next(suffixes),
    )
    name = "load_balancer_interface"
    world.template(name, MAPPINGS[name], INTERFACE_HOT)
    return world


def submit(world: World, page: dict[str, str], version: int) -> None:
    """The seed's config, after those it is related to, all unfinished."""
    world.write(VNF, {"management_ip": "100.64.193.3"}, version)
    world.write(LB, {"vnf_instance_id": VNF.resource_id}, version)
    key, _ = point(page, "/config/")
    world.put(key, page[key])
    world.settle()


@pytest.fixture(scope="module")
def played() -> World:
    """Both seeds, one after the other, and the monitoring statuses."""
    world = make_world()
    for version, page in ((1, CREATE), (2, UPDATE)):
        submit(world, page, version)
        world.pass_time(40)
        _, report = point(page, "/monitoring/")
        world.lifecycle.report(LBI, version, "interface", report["interface"])
    return world


def caught(world: World, key: str, version: int) -> Any:
    """The record of that version at a key, as it was written."""
    for value in world.written(key):
        found = value[1]["version"] if isinstance(value, list) else value.get("version", version)
        if found == version:
            return value
    raise AssertionError(key)


@pytest.mark.parametrize(("page", "version"), [(CREATE, 1), (UPDATE, 2)], ids=["create", "update"])
@pytest.mark.parametrize("prefix", ["/jobs/all/", "/state/", "/monitoring/"])
def test_points_2_5_and_6(played: World, page: dict[str, str], version: int, prefix: str) -> None:
    """Job, state and monitoring status equal the seed's; ``dependency`` in any order."""
    key, expected = point(page, prefix)
    actual = caught(played, key, version)
    if prefix == "/jobs/all/":
        for job in (expected, actual):
            job[1]["dependency"].sort()
    assert expected == actual


@pytest.mark.parametrize(("page", "turn"), [(CREATE, 0), (UPDATE, 1)], ids=["create", "update"])
@pytest.mark.parametrize("prefix", ["/esi-worker/heat_stacks/", "/esi-worker/job_state/"])
def test_points_3_and_4(played: World, page: dict[str, str], turn: int, prefix: str) -> None:
    """The stack's record and the job's result equal the seed's."""
    key, expected = point(page, prefix)
    results = [value for value in played.written(key) if value]
    assert expected == results[turn]


@pytest.mark.parametrize("page", [CREATE, UPDATE], ids=["create", "update"])
def test_params_byte_for_byte(played: World, page: dict[str, str]) -> None:
    """In the document spelling the params are the seed's, to the byte."""
    key, _ = point(page, "/jobs/all/")
    (write,) = [write for write in played.history(key) if write.kind == "put"]
    job = played.codec.job(key, write.value)
    text = dumps(job, spelling="document")
    params = re.compile(r'"params": \[.*\n        \], \n        "resource_type"', re.DOTALL)
    expected, actual = params.search(page[key]), params.search(text)
    assert expected is not None
    assert actual is not None
    assert expected.group() == actual.group()


def test_point_1_is_left_alone(played: World) -> None:
    """The config stays as Gohan wrote it, to the byte."""
    key, _ = point(UPDATE, "/config/")
    assert UPDATE[key].encode() == played.text(key)


def test_tenant_of_the_call(played: World) -> None:
    """Heat was asked for the seeds' tenant, name and time limit."""
    calls = [call for call in played.heat.changes if call.stack.endswith(LBI.resource_id)]
    assert [("create", TENANT, 3), ("update", TENANT, 3)] == [
        (call.op, call.tenant, call.timeout_mins) for call in calls
    ]
