"""What to do about a resource: for each way to be stuck, something that helps."""

from __future__ import annotations

from typing import Any

import pytest

from gohan_jobs.bookkeeping import Held
from gohan_jobs.inspection.advice import next_steps
from gohan_jobs.inspection.explanations import Explanation, Holder, JobExplanation
from gohan_jobs.inspection.stack_reports import StackReport, ask_for_stack, tenant_of_stack
from gohan_jobs.keys import Place, ResourcePath
from gohan_jobs.orchestrators.base import Diagnosis
from gohan_jobs.orchestrators.simulated import Outcome
from gohan_jobs.records import HeatStack, ResourceRef, StateRecord, WorkerState
from jobs_made import job_id
from worlds import NETWORK, TENANT, World, ref

PORT = ResourceRef("port", "p1")
STACK = HeatStack(
    id="port:p1", stack_id="port_p1", tenant_id="t", stack_status="A", status_reason="", output=()
)
HELD = Held(config_mod=3, version=1, reason="r", missing="network:n1", since="s", until="noon")


def explanation(resource: ResourceRef = PORT, **facts: Any) -> Explanation:
    """Of a resource with a config of version 1."""
    found: dict[str, Any] = {
        "version": 1,
        "processed_version": 1,
        "state": None,
        "stack": None,
        "jobs": (),
    }
    return Explanation(resource=resource, **{**found, **facts})


def state(error: str = "", worker_state: str = WorkerState.CREATE_ERROR) -> StateRecord:
    """The result of version 1."""
    return StateRecord(worker_state=worker_state, version=1, error=error)


def stuck(resource: str = "port:p1", place: Place | None = Place.WAITING, **facts: Any) -> Any:
    """A port whose chain ends in that job."""
    job = JobExplanation(job_id=job_id(resource), place=place, **facts)
    return explanation(jobs=(job,), chain=(job,))


MISSING = explanation(ResourceRef("network", "n1"), version=None)
FAILED = explanation(ResourceRef("network", "n1"), state=state("bad"))

RELEASE = f"`gohan-jobs release {job_id('port:p1')} --force`"
HANGS = f"one that hangs, {RELEASE} takes the job"
OR_TAKE = f"or take it at once: {RELEASE}"

CASES = {
    "set aside": (explanation(set_aside="broken"), ["correct its config in Gohan"]),
    "orphan": (explanation(orphan="gone"), ["delete its stack in Heat"]),
    "vetoed": (
        explanation(held=Held(config_mod=3, reason="r", since="s", until="noon", vetoed=True)),
        ["what vetoes it is a hook of yours; it is asked again at noon"],
    ),
    "held": (explanation(held=HELD), ["have network:n1 written to Gohan by noon"]),
    "held, and why": (
        explanation(held=HELD, blocked_by=MISSING),
        ["have network:n1 written", "network:n1: look in Gohan"],
    ),
    "held for what failed": (
        explanation(held=HELD, blocked_by=FAILED),
        [
            "have network:n1 made by noon: this is planned as soon as that comes",
            "network:n1: correct what the error names",
            "network:n1: or, if nothing is wrong with the config",
        ],
    ),
    "failed for what is missing": (
        explanation(state=state("bad"), blocked_by=MISSING),
        [
            "network:n1: look in Gohan",
            "then have Gohan write a new version of this one, or `gohan-jobs retry port p1`; Gohan",
        ],
    ),
    "failed in Heat": (
        explanation(state=state("bad"), template="port_a"),
        [
            "correct what the error names, in its config or in heat_template port_a, and",
            "or, if nothing is wrong with the config, `gohan-jobs r",
        ],
    ),
    "document set aside": (stuck(set_aside="broken"), ["the document of create:heat_worker:port:"]),
    "held for a failure": (
        stuck(held_for="network:n1", held_until="noon"),
        ["have network:n1 repaired by noon, by a new version or `gohan-jobs retry network n1`"],
    ),
    "worked on": (
        stuck(held_by=Holder(reservation="r", worker_id="w", lease_left=7.4)),
        [
            "wait: it goes on by itself; `gohan-jobs explain port p1` with --heat",
            f"its claim ends with its lease in 7 s, unless the worker renews it; from {HANGS}",
        ],
    ),
    "worked on, in a store that tells no time": (
        stuck(held_by=Holder(reservation="r", worker_id="w")),
        ["wait: it goes on by itself", "its claim ends with its lease, unless"],
    ),
    "worker gone": (
        stuck(held_by=Holder(reservation="r", lease_left=7.4)),
        [f"wait: its claim ends with its lease in 7 s, and the job is claimed again; {OR_TAKE}"],
    ),
    "worker gone, who knows since when": (
        stuck(held_by=Holder(reservation="r")),
        ["wait for the lease to end"],
    ),
    "let down": (
        explanation(state=state(f"cancelled: {job_id('network:n1')} failed: no room")),
        [
            "what failed first is another: `gohan-jobs explain network n1`; mend that",
            "then have Gohan write a new version of this one, or `gohan-jobs retry port p1`",
        ],
    ),
    "cancelled": (
        explanation(state=state("cancelled: by ann", WorkerState.DELETE_ERROR)),
        ["an operator ended it: have Gohan write a new version, or `gohan-jobs retry port p1`"],
    ),
    "ready": (
        stuck(place=Place.READY),
        ["see with `gohan-jobs status` whether a worker is there that has heat_worker"],
    ),
    "tried again": (stuck(last_error="busy"), ["wait: it is tried again by itself"]),
    "waiting": (stuck(), ["wait: the leader moves it on; see with `gohan-jobs status`"]),
    "nowhere": (stuck(place=None, last_error="x"), ["wait: the leader moves it on"]),
    "another's job": (
        stuck("network:n1", Place.READY),
        ["look at network:n1: `gohan-jobs explain network n1`", "see with `gohan-jobs status`"],
    ),
    "an odd id": (
        explanation(ResourceRef("port", "a b"), state=state("bad")),
        ["correct", "or, if nothing is wrong with the config, `gohan-jobs retry port 'a b'`; Goh"],
    ),
    "no config": (explanation(version=None), ["look in Gohan whether the resource is there"]),
    "no config, but a stack": (explanation(version=None, stack=STACK), []),
    "not read yet": (explanation(), ["wait: the leader reads it and plans it"]),
    "an old result": (explanation(version=2, state=state()), ["wait: the leader reads it"]),
    "failed": (
        explanation(state=state("bad")),
        ["correct what the error names", "or, if nothing is wrong with the config, `gohan-jobs r"],
    ),
    "not deleted": (
        explanation(state=state("in use", WorkerState.DELETE_ERROR)),
        ["free in Heat what keeps the stack; then have Gohan ask for it again, or `gohan-jobs ret"],
    ),
    "done": (explanation(state=state()), []),
}


@pytest.mark.parametrize("name", CASES)
def test_something_that_helps(name: str) -> None:
    """For each state the steps that lead out of it; none if it is done."""
    found, beginnings = CASES[name]
    steps = next_steps(found)
    assert len(beginnings) == len(steps), steps
    for beginning, step in zip(beginnings, steps, strict=True):
        assert step.startswith(beginning)


def test_what_is_to_blame_comes_too() -> None:
    """Held for another one's failure: what to do about that one is said at once."""
    blamed = explanation(ResourceRef("network", "n1"), state=state("no VLAN"))
    found = stuck(held_for="network:n1", held_until="noon")
    steps = next_steps(explanation(chain=found.chain, blocked_by=blamed))
    assert "network:n1: correct what the error names, and have Gohan write a new version" in steps


def test_who_has_asked_heat_is_not_told_to() -> None:
    """Only about the stack that it was asked for: another one's is another question."""
    holder = Holder(reservation="r", worker_id="w")
    assert "wait: it goes on by itself" == next_steps(stuck(held_by=holder), heat_asked=True)[0]
    steps = next_steps(stuck("network:n1", Place.WORKING, held_by=holder), heat_asked=True)
    assert "`gohan-jobs explain network n1` with --heat or --os-cloud" in steps[1]


# What Heat says.


def test_heat_is_asked() -> None:
    """The stack, what failed in it, and its last events."""
    world = World()
    world.heat.script("network_n1", Outcome(fails=True, reason="no VLAN"))
    world.write(NETWORK)
    world.pass_time(2.0)
    report = ask_for_stack(world.heat, NETWORK, TENANT)
    assert report.stack is not None
    assert ("network_n1", TENANT, True) == (report.name, report.tenant, report.stack.failed)
    assert "network_n1 CREATE_FAILED: no VLAN" in report.diagnosis.events[0]


def test_heat_has_no_such_stack() -> None:
    """Then there is nothing to diagnose."""
    expected = StackReport(name="disk_d7", tenant=TENANT, stack=None, diagnosis=Diagnosis())
    assert expected == ask_for_stack(World().heat, ref("disk", "d7"), TENANT)


def test_whose_project_it_is_in() -> None:
    """The stack's record says it, else the config; what can't be read says nothing."""
    world = World(templates={})
    path = ResourcePath("v2.0/networks/n1")
    found = [tenant_of_stack(world.store, path, world.codec)]
    world.put(
        "/esi-worker/config/v2.0/networks/n1",
        b'{"body":{"tenant_id":7},"deleted":false,"version":1}',
    )
    found.append(tenant_of_stack(world.store, path, world.codec))
    world.write(NETWORK)
    found.append(tenant_of_stack(world.store, path, world.codec))
    world.put("/esi-worker/heat_stacks/v2.0/networks/n1", b"broken")
    found.append(tenant_of_stack(world.store, path, world.codec))
    world.put("/esi-worker/heat_stacks/v2.0/networks/n1", world.codec.dumps(STACK))
    found.append(tenant_of_stack(world.store, path, world.codec))
    assert ["", "", TENANT, TENANT, "t"] == found
