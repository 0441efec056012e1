"""A Lifecycle on a real Heat: failures told, strangers' operations waited for, stacks replaced."""

from __future__ import annotations

import collections
import json
from collections.abc import Iterator, Mapping
from typing import Any

import attrs
import pytest
import requests

from gohan_jobs.exceptions import StackRejected
from gohan_jobs.lifecycle import Completed, Failed, Lifecycle
from gohan_jobs.orchestrators.base import Stack, StackRequest
from gohan_jobs.orchestrators.heat import CallBudget, HeatOrchestrator, HeatSettings
from gohan_jobs.planning import Enqueue, Plan
from gohan_jobs.records import ConfigRecord, HeatStack, ResourceRef, StateRecord
from gohan_jobs.stores.memory import MemoryStore
from real_services import RealHeat, settled
from worlds import NETWORK, SCHEMAS

pytestmark = pytest.mark.heat

TOKEN = "secret-token"
PATIENCE = 60.0
STACK = "network_n1"
SECRET = "sword fish 42"


def hot(**metadata: Any) -> str:
    """A template with one resource that is slow, or fails, as its metadata says."""
    resource = {
        "type": "Test::FreeForm",
        "properties": {"name": {"get_param": "name"}},
        "metadata": metadata,
    }
    return json.dumps(
        {
            "heat_template_version": "2013-05-23",
            "parameters": {"name": {"type": "string"}, "admin_password": {"type": "string"}},
            "resources": {"thing": resource},
            "outputs": {"name": {"value": {"get_attr": ["thing", "name"]}}},
        }
    )


@attrs.frozen
class Site:
    """A lifecycle in this process, on a real Heat.

    Attributes:
        heat: the orchestrator.
        lifecycle: manager and worker, stepped by its ``wait``.
        tenant: a project of the test's own.
        url: Heat's.
    """

    heat: HeatOrchestrator
    lifecycle: Lifecycle
    tenant: str
    url: str

    def template(self, text: str) -> None:
        """Write the network's heat_template."""
        body = {
            "id": "network",
            "handler": "heat_worker",
            "watch": [],
            "template_file": text,
            "parameter_mappings": {
                "name": "Pname",
                "admin_password": "Padmin_password",
                "heat_timeout": "C1",
            },
        }
        ref = ResourceRef("heat_template", "network")
        self.lifecycle.submit(ConfigRecord(body=body, version=1), ref)

    def config(self, version: int, *, tenant: str = "", marked: bool = False) -> ConfigRecord:
        """A version of the network."""
        body = {
            "id": NETWORK.resource_id,
            "tenant_id": tenant or self.tenant,
            "name": f"v{version}",
            "admin_password": SECRET,
        }
        return ConfigRecord(body=body, version=version, marked_for_deletion=marked)

    def run(self, version: int, **more: Any) -> StateRecord:
        """Submit a version, and wait for its result."""
        self.lifecycle.submit(self.config(version, **more), NETWORK)
        result = self.lifecycle.wait(NETWORK, version, PATIENCE)
        assert isinstance(result, Completed | Failed), result
        return result.state

    def stack(self) -> Stack:
        """The network's stack."""
        stack = self.heat.find(self.tenant, STACK)
        assert stack is not None
        return stack

    def record(self) -> HeatStack:
        """The network's stack record."""
        key = self.lifecycle.keys.heat_stack_of(self.lifecycle.path_of(NETWORK))
        entry = self.lifecycle.store.get(key)
        assert entry is not None
        return self.lifecycle.codec.heat_stack(key, entry.value)

    def output(self) -> object:
        """The name that the stack gives back."""
        (output,) = self.heat.outputs(self.stack())
        return output.output_value

    def operations(self, stack: Stack) -> Mapping[str, int]:
        """How often which operation was begun on a stack."""
        url = f"{self.url}/v1/{self.tenant}/stacks/{STACK}/{stack.id}/events"
        answer = requests.get(url, headers={"X-Auth-Token": TOKEN}, timeout=PATIENCE).json()
        return collections.Counter(
            event["resource_status"].removesuffix("_IN_PROGRESS")
            for event in answer["events"]
            if event["resource_name"] == STACK and event["resource_status"].endswith("_PROGRESS")
        )


@pytest.fixture
def site(real_heat: RealHeat, project: str) -> Iterator[Site]:
    """A lifecycle on a real Heat, and a fresh project."""
    settings = HeatSettings(budget=CallBudget(total=None, per_tenant=None))
    heat = HeatOrchestrator.from_endpoint(real_heat.endpoint, TOKEN, settings)
    lifecycle = Lifecycle(MemoryStore(), heat, SCHEMAS, hooks=())
    yield Site(heat, lifecycle, project, real_heat.url)
    lifecycle.close()
    heat.close()


def test_a_failure_tells_why_and_no_secret(site: Site) -> None:
    """Heat's reason, the failed resource's and the last events are in the result; no password."""
    site.template(hot(fail={"CREATE": -1}, reason=f"no route for {SECRET} " + "x" * 9000))
    state = site.run(1)
    assert "CREATE_ERROR" == state.worker_state
    assert state.error.startswith("Resource CREATE failed: ValueError: resources.thing: no route")
    assert len(state.error) <= 8000
    assert SECRET not in state.error
    site.template(hot(fail={"UPDATE": -1}, reason=f"no route for {SECRET}"))
    assert "MODIFY_COMPLETED" == site.run(2).worker_state  # the failed resource was replaced
    state = site.run(3)
    first, *lines = state.error.split("; ")
    assert "Resource UPDATE failed: ValueError: resources.thing: no route for ***" == first
    assert "thing: ValueError: resources.thing: no route for ***" == lines[0]
    assert any("thing UPDATE_FAILED ValueError" in line for line in lines[1:])
    record = site.record()
    assert (STACK, "UPDATE_FAILED", first) == (
        record.stack_id,
        record.stack_status,
        record.status_reason,
    )
    assert SECRET not in repr(state)


def test_a_failed_stack_is_mended_by_a_modify(site: Site) -> None:
    """The next version updates what is there."""
    site.template(hot(fail={"CREATE": -1}))
    assert "CREATE_ERROR" == site.run(1).worker_state
    failed = site.stack()
    site.template(hot())
    state = site.run(2)
    assert ("MODIFY_COMPLETED", "") == (state.worker_state, state.error)
    assert (failed.id, "UPDATE_COMPLETE", "v2") == (
        site.stack().id,
        site.stack().status,
        site.output(),
    )


def test_a_stack_deleted_by_hand(site: Site) -> None:
    """A modify makes the stack anew; a delete of one that is gone is done."""
    site.template(hot())
    assert "CREATE_COMPLETED" == site.run(1).worker_state
    by_hand(site)
    state = site.run(2)
    assert ("MODIFY_COMPLETED", "") == (state.worker_state, state.error)
    assert ("CREATE_COMPLETE", "v2") == (site.stack().status, site.output())
    by_hand(site)
    state = site.run(3, marked=True)
    assert ("DELETE_COMPLETED", "") == (state.worker_state, state.error)


def by_hand(site: Site) -> None:
    """Delete the stack as an operator would."""
    stack = site.stack()
    site.heat.delete(stack)
    assert None is settled(site.heat, stack)


def test_somebody_elses_operation_is_waited_for(site: Site) -> None:
    """Another's update under way is neither taken for this version's nor run over."""
    site.template(hot())
    assert "CREATE_COMPLETED" == site.run(1).worker_state
    stack = site.stack()
    theirs = StackRequest(
        name=STACK,
        tenant=site.tenant,
        template=hot(seconds={"UPDATE": 2}),
        parameters={"name": "theirs", "admin_password": "x"},
        timeout_mins=1,
        tags=("theirs",),
    )
    site.heat.update(stack, theirs)
    state = site.run(2)
    assert ("MODIFY_COMPLETED", "") == (state.worker_state, state.error)
    assert "v2" == site.output()
    assert {"CREATE": 1, "UPDATE": 2} == site.operations(stack)


def test_a_delete_under_way_is_waited_for(site: Site) -> None:
    """A modify that finds its stack being deleted makes another once it is gone."""
    site.template(hot(seconds={"DELETE": 2}))
    assert "CREATE_COMPLETED" == site.run(1).worker_state
    first = site.stack()
    site.heat.delete(first)
    state = site.run(2)
    assert ("MODIFY_COMPLETED", "") == (state.worker_state, state.error)
    assert first.id != site.stack().id


def test_a_delete_that_fails_at_first(site: Site) -> None:
    """It is tried again, and then done."""
    site.template(hot(fail={"DELETE": 2}, reason="in use"))
    assert "CREATE_COMPLETED" == site.run(1).worker_state
    stack = site.stack()
    state = site.run(2, marked=True)
    assert ("DELETE_COMPLETED", "") == (state.worker_state, state.error)
    assert 3 == site.operations(stack)["DELETE"]


def test_a_delete_that_fails_always(site: Site) -> None:
    """It is tried a bounded number of times; the result tells what keeps the stack."""
    site.template(hot(fail={"DELETE": -1}, reason="in use"))
    assert "CREATE_COMPLETED" == site.run(1).worker_state
    state = site.run(2, marked=True)
    assert "DELETE_ERROR" == state.worker_state
    assert "thing: ValueError: resources.thing: in use" in state.error.split("; ")
    assert "DELETE_FAILED" == site.record().stack_status
    assert 4 == site.operations(site.stack())["DELETE"]


def test_a_tenant_that_changes(site: Site) -> None:
    """A live stack's tenant never changes (rules 27): a final error, and the stack stays."""
    site.template(hot())
    assert "CREATE_COMPLETED" == site.run(1).worker_state
    other = f"{site.tenant}-other"
    state = site.run(2, tenant=other)
    assert ("MODIFY_ERROR", f"tenant_id is {other}, the stack lives in {site.tenant}") == (
        state.worker_state,
        state.error,
    )
    assert None is site.heat.find(other, STACK)
    assert (site.tenant, "v1") == (site.record().tenant_id, site.output())


# Dry run.


def test_plan_can_ask_heat(site: Site) -> None:
    """Heat itself says whether it would take the rendered template; nothing is made."""
    site.template(hot())
    plan = site.lifecycle.plan(site.config(1), NETWORK, validate=True)
    assert ["create"] == actions(plan)
    site.template(hot().replace("Test::FreeForm", "No::Such"))
    with pytest.raises(StackRejected, match="No::Such"):
        site.lifecycle.plan(site.config(1), NETWORK, validate=True)
    assert ["create"] == actions(site.lifecycle.plan(site.config(1), NETWORK))
    assert None is site.heat.find(site.tenant, STACK)


def actions(plan: Plan) -> list[str]:
    """What a plan's jobs would do."""
    assert isinstance(plan, Enqueue)
    return [str(planned.job.action) for planned in plan.jobs]
