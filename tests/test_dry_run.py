"""A plan, and Heat asked about it: on the simulated Heat, nothing written, nothing started."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from gohan_jobs.dry_run import DryRun
from gohan_jobs.exceptions import (
    GohanJobsError,
    MappingEvaluationError,
    OrchestratorUnavailable,
    StackRejected,
)
from gohan_jobs.planning import Enqueue, Plan, PlannedJob
from gohan_jobs.records import ConfigRecord, Param, ParamType, ResourceRef
from gohan_jobs.templates import Renderer
from worlds import ALIAS, HOT, NETWORK, PORT, TEMPLATES, TENANT, World

OWN = TEMPLATES["network"]


def config(resource: ResourceRef, version: int = 1, **more: Any) -> ConfigRecord:
    """A config of a resource."""
    marked = more.pop("marked", False)
    body = {"id": resource.resource_id, "tenant_id": TENANT, **more}
    return ConfigRecord(body=body, version=version, marked_for_deletion=marked)


def validated(world: World, resource: ResourceRef, **more: Any) -> Plan:
    """The plan of a config, and Heat asked about it."""
    return world.lifecycle.plan(config(resource, **more), resource, validate=True)


def asked(world: World) -> list[dict[str, Any]]:
    """The parameters that Heat was asked about."""
    return [dict(call.parameters) for call in world.heat.calls if call.op == "validate"]


def test_heat_is_asked_only_when_told_to() -> None:
    """Without ``validate`` a plan needs no Heat; with it the rendered template is sent."""
    world = World()
    before = world.under("/")
    plan = world.lifecycle.plan(config(NETWORK, name="blue"), NETWORK)
    assert [] == asked(world)
    assert isinstance(plan, Enqueue)
    assert isinstance(validated(world, NETWORK, name="blue"), Enqueue)
    assert [{"tenant_id": TENANT, "version": 1, "name": "blue"}] == asked(world)
    assert (before, []) == (world.under("/"), world.changes())


def test_what_heat_would_not_take_is_raised() -> None:
    """In Heat's words."""
    world = World()
    world.template("network", OWN, HOT.replace("OS::Heat::Value", "No::Such::Thing"))
    with pytest.raises(StackRejected, match="No::Such::Thing"):
        validated(world, NETWORK)


def test_outputs_that_are_there_are_sent() -> None:
    """And a param whose output is not there yet is left out."""
    world = World()
    world.write(NETWORK, {"name": "blue"})
    world.step_until(world.jobs)
    validated(world, PORT, network_id=NETWORK.resource_id)
    world.settle()
    world.pass_time(3)
    validated(world, PORT, network_id=NETWORK.resource_id)
    assert [None, "blue"] == [parameters.get("network") for parameters in asked(world)]


def test_nothing_is_asked_of_a_delete_or_of_what_needs_no_stack() -> None:
    """Deletes have no template, and other plans no job."""
    world = World()
    world.write(NETWORK, {"name": "blue"})
    world.settle()
    world.pass_time(3)
    validated(world, NETWORK, version=2, marked=True)
    validated(world, ALIAS)
    assert [] == asked(world)


def test_heat_that_cannot_be_asked() -> None:
    """The error says that nothing is known."""
    world = World()
    world.heat.outage = OrchestratorUnavailable("away")
    with pytest.raises(OrchestratorUnavailable, match="away"):
        validated(world, NETWORK)


def planned(world: World) -> tuple[Enqueue, PlannedJob]:
    """A plan of one job."""
    plan = world.lifecycle.plan(config(NETWORK, name="blue"), NETWORK)
    assert isinstance(plan, Enqueue)
    (job,) = plan.jobs
    return plan, job


def dry_run(world: World, plan: Enqueue, job: PlannedJob) -> None:
    """Ask about a plan with another job."""
    run = DryRun(world.store, world.codec, world.schemas, world.heat, Renderer())
    run.validate(attrs.evolve(plan, jobs=(job,)))


def output_of(value: object) -> Param:
    """A param that needs an output."""
    return Param(param="network", type=ParamType.OUTPUT_KEY, value=value, resources=())


def test_a_template_that_went_meanwhile() -> None:
    """A plan's template may be gone when Heat is to be asked."""
    world = World()
    plan, job = planned(world)
    with pytest.raises(GohanJobsError, match=r"the template of create.* is gone"):
        dry_run(world, plan, attrs.evolve(job, template_id="gone"))


def test_a_param_that_is_malformed() -> None:
    """It is not taken for one whose output is not there yet; one of an unknown type is."""
    world = World()
    plan, job = planned(world)
    unknown = output_of({"resource_type": "x", "resource_id": "y", "output_key": "z"})
    dry_run(world, plan, attrs.evolve(job, job=attrs.evolve(job.job, params=(unknown,))))
    assert [{}] == asked(world)
    malformed = attrs.evolve(job.job, params=(output_of({"resource_type": 1}),))
    with pytest.raises(MappingEvaluationError, match="names a type"):
        dry_run(world, plan, attrs.evolve(job, job=malformed))
