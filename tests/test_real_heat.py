"""HeatOrchestrator against a real Heat: what no script would have told."""

from __future__ import annotations

import concurrent.futures
import json
from collections.abc import Callable, Iterator
from typing import Any

import attrs
import pytest

from gohan_jobs.exceptions import (
    OrchestratorError,
    OrchestratorRefused,
    StackExists,
    StackNotFound,
    StackRejected,
)
from gohan_jobs.orchestrators.base import Diagnosis, Orchestrator, Stack, StackRequest
from gohan_jobs.orchestrators.heat import CallBudget, HeatOrchestrator, HeatSettings
from gohan_jobs.records import StackOutput, StackStatus
from gohan_jobs.testing.orchestrators import OrchestratorSuite
from real_services import RealHeat, settled

pytestmark = pytest.mark.heat

TEMPLATE = """
heat_template_version: 2013-05-23
parameters:
  version: {type: number}
  name: {type: string, default: by default}
  networks: {type: json, default: {}}
resources:
  network:
    type: OS::Contrail::VirtualNetwork
    properties: {name: {get_param: name}}
  target:
    type: ESI::Monitoring::MonitoringTarget
    properties: {version: {get_param: version}}
    depends_on: network
outputs:
  z_link: {description: Link, value: {get_attr: [target, link]}}
  name: {value: {get_attr: [network, name]}}
  networks: {value: {get_param: networks}}
  target: {value: {get_resource: target}}
"""


def behaving(**metadata: object) -> str:
    """A template with one resource that is slow, or fails, as its metadata says."""
    resource = {"type": "Test::FreeForm", "properties": {"a": 1}, "metadata": metadata}
    return json.dumps({"heat_template_version": "2013-05-23", "resources": {"thing": resource}})


class TestContract(OrchestratorSuite):
    """The contract, as every orchestrator has to keep it."""

    time_limit_mins = None  # the server's, which is four seconds

    @pytest.fixture
    def orchestrator(self, real_heat: RealHeat) -> Iterator[Orchestrator]:
        """A real Heat."""
        settings = HeatSettings(budget=CallBudget(total=None, per_tenant=None))
        heat = HeatOrchestrator.from_endpoint(real_heat.endpoint, "secret-token", settings)
        yield heat
        heat.close()


@attrs.frozen
class Bench:
    """A real Heat and a project of the test's own.

    Attributes:
        heat: an orchestrator on it.
        project: the project.
    """

    heat: HeatOrchestrator
    project: str

    def request(self, template: str = TEMPLATE, name: str = "one", **more: Any) -> StackRequest:
        """A request, tagged for version 1."""
        parameters = {"version": 1} if template == TEMPLATE else {}
        request = StackRequest(
            name=name,
            tenant=self.project,
            template=template,
            parameters=parameters,
            timeout_mins=1,
            tags=("gohan-jobs:1:abcde",),
        )
        return attrs.evolve(request, **more)

    def create(self, template: str = TEMPLATE, name: str = "one", **more: Any) -> Stack:
        """Start creating a stack."""
        return self.heat.create(self.request(template, name, **more))

    def settled(self, stack: Stack) -> Stack | None:
        """The stack once nothing is under way."""
        return settled(self.heat, stack)

    def status(self, stack: Stack) -> str | None:
        """The status of the stack once nothing is under way; None if it is deleted."""
        now = self.settled(stack)
        return None if now is None else now.status


@pytest.fixture
def bench(real_heat: RealHeat, project: str) -> Iterator[Bench]:
    """A real Heat and a fresh project."""
    settings = HeatSettings(budget=CallBudget(total=None, per_tenant=None))
    heat = HeatOrchestrator.from_endpoint(real_heat.endpoint, "secret-token", settings)
    yield Bench(heat, project)
    heat.close()


def values(outputs: tuple[StackOutput, ...]) -> dict[str, object]:
    """Outputs as a dict, in their order."""
    return {output.output_key: output.output_value for output in outputs}


def test_a_stacks_life(bench: Bench) -> None:
    """Created, found, updated and deleted; nulls take the template's default."""
    parameters = {"version": 1, "name": None, "networks": {"a": ["é", 1, None]}}
    stack = bench.create(parameters=parameters)
    assert StackStatus.CREATE_COMPLETE == bench.status(stack)
    first = values(bench.heat.outputs(stack))
    assert ["z_link", "name", "networks", "target"] == list(first)
    assert f"http://collector-agents-se:7070/targets/{first['target']}" == first["z_link"]
    assert ("by default", {"a": ["é", 1, None]}) == (first["name"], first["networks"])

    tags = ("gohan-jobs:2:fghij", "other")
    again = bench.request(parameters={"version": 2, "name": "new"}, tags=tags)
    bench.heat.update(stack, again)
    updated = bench.settled(stack)
    assert updated is not None
    assert (StackStatus.UPDATE_COMPLETE, set(tags)) == (updated.status, set(updated.tags))
    second = values(bench.heat.outputs(stack))
    assert "new" == second["name"]
    assert first["target"] != second["target"]

    bench.heat.delete(stack)
    assert None is bench.status(stack)
    assert None is bench.heat.find(bench.project, "one")
    bench.heat.delete(stack)
    with pytest.raises(StackNotFound):
        bench.heat.outputs(stack)
    with pytest.raises(StackNotFound):
        bench.heat.update(stack, again)


def test_find_gives_what_create_gave(bench: Bench) -> None:
    """A stack is found by name with its tags in one request, while it is being created."""
    made = bench.create(behaving(seconds={"CREATE": 1}))
    before = bench.heat.requests_sent
    found = bench.heat.find(bench.project, "one")
    assert before + 1 == bench.heat.requests_sent
    assert found is not None
    assert made == attrs.evolve(found, status_reason="")
    assert None is bench.heat.find(bench.project, "on")
    assert None is bench.heat.find(f"{bench.project}-2", "one")


def test_a_stack_without_tags_is_found(bench: Bench) -> None:
    """Tags that are none are looked for in full, and then are none."""
    bench.settled(bench.create(behaving(), tags=()))
    found = bench.heat.find(bench.project, "one")
    assert found is not None
    assert () == found.tags


def test_the_name_is_taken(bench: Bench) -> None:
    """A second create of a name is refused, also while the first stack is being deleted."""
    stack = bench.create(behaving(seconds={"DELETE": 1}))
    with pytest.raises(StackExists):
        bench.create(behaving())
    bench.settled(stack)
    bench.heat.delete(stack)
    with pytest.raises(StackExists):
        bench.create(behaving())


def test_a_later_stack_of_the_name_is_another(bench: Bench) -> None:
    """What was said of a deleted stack does not touch the next one of its name."""
    first = bench.create(behaving())
    bench.settled(first)
    bench.heat.delete(first)
    bench.settled(first)
    second = bench.create(behaving())
    bench.heat.delete(first)
    assert StackStatus.CREATE_COMPLETE == bench.status(second)
    assert None is bench.status(first)


def test_a_failed_create_tells_why(bench: Bench) -> None:
    """The failed resource's reason and the last events are told, and an update mends the stack."""
    stack = bench.create(behaving(fail={"CREATE": -1}, reason="no route"))
    failed = bench.settled(stack)
    assert failed is not None
    assert StackStatus.CREATE_FAILED == failed.status
    assert "no route" in failed.status_reason
    diagnosis = bench.heat.diagnose(stack)
    assert ("thing: ValueError: resources.thing: no route",) == diagnosis.resources
    assert any("CREATE_FAILED" in event for event in diagnosis.events)
    assert 10 >= len(diagnosis.events)
    bench.heat.update(stack, bench.request(behaving()))
    assert StackStatus.UPDATE_COMPLETE == bench.status(stack)
    assert () == bench.heat.diagnose(stack).resources


def test_a_failed_delete_is_tried_again(bench: Bench) -> None:
    """``DELETE_FAILED`` has reasons, takes no update, and another delete may do it."""
    stack = bench.create(behaving(fail={"DELETE": 1}, reason="in use"))
    bench.settled(stack)
    bench.heat.delete(stack)
    assert StackStatus.DELETE_FAILED == bench.status(stack)
    assert ("thing: ValueError: resources.thing: in use",) == bench.heat.diagnose(stack).resources
    with pytest.raises(StackNotFound):
        bench.heat.update(stack, bench.request(behaving()))
    bench.heat.delete(stack)
    assert None is bench.status(stack)
    assert () == bench.heat.diagnose(stack).resources


def test_nested_stacks_tell_why(bench: Bench) -> None:
    """A resource that failed in a nested stack is named with its parent."""
    inner = json.loads(behaving(fail={"CREATE": -1}, reason="deep"))["resources"]["thing"]
    group = {"type": "OS::Heat::ResourceGroup", "properties": {"count": 1, "resource_def": inner}}
    template = {"heat_template_version": "2013-05-23", "resources": {"group": group}}
    stack = bench.create(json.dumps(template))
    assert StackStatus.CREATE_FAILED == bench.status(stack)
    assert (
        "group: ValueError: resources.group.resources[0]: deep",
        "group/0: ValueError: resources[0]: deep",
    ) == bench.heat.diagnose(stack).resources


def test_update_while_creating(bench: Bench) -> None:
    """An update is taken while the stack is still being created, and wins."""
    stack = bench.create(behaving(seconds={"CREATE": 2}))
    bench.heat.update(stack, bench.request(behaving(), tags=("gohan-jobs:2:fghij",)))
    now = bench.settled(stack)
    assert now is not None
    assert (StackStatus.UPDATE_COMPLETE, ("gohan-jobs:2:fghij",)) == (now.status, now.tags)


def test_delete_while_creating(bench: Bench) -> None:
    """A delete goes out while the stack is being created, and ends it (rules 8)."""
    stack = bench.create(behaving(seconds={"CREATE": 60}))
    bench.heat.delete(stack)
    with pytest.raises(StackNotFound):
        bench.heat.update(stack, bench.request(behaving()))
    assert None is bench.status(stack)


def test_a_stack_deleted_by_hand(bench: Bench, real_heat: RealHeat) -> None:
    """What somebody else deleted is seen as gone, in a listing too."""
    stacks = [bench.create(behaving(), name) for name in ("one", "two", "three")]
    for stack in stacks:
        bench.settled(stack)
    other = HeatOrchestrator.from_endpoint(real_heat.endpoint, "secret-token")
    other.delete(stacks[1])
    bench.settled(stacks[1])
    other.close()
    before = bench.heat.requests_sent
    seen = bench.heat.observe(stacks)
    assert [False, True, False] == [seen[stack.id] is None for stack in stacks]
    assert before + 1 == bench.heat.requests_sent


def test_many_stacks_are_one_request(bench: Bench) -> None:
    """Twenty stacks of a tenant are seen with status and tags in one request."""
    names = [f"s{number}" for number in range(20)]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        stacks = list(pool.map(lambda name: bench.create(behaving(), name), names))
    for stack in stacks:
        bench.settled(stack)
    before = bench.heat.requests_sent
    seen = bench.heat.observe(stacks)
    assert before + 1 == bench.heat.requests_sent
    assert [(StackStatus.CREATE_COMPLETE, ("gohan-jobs:1:abcde",))] * 20 == [
        (stack.status, stack.tags) for stack in seen.values() if stack is not None
    ]


def test_heats_own_time_out(bench: Bench) -> None:
    """A stack that takes too long fails, in Heat's words ``Timed out``; and it says where."""
    stack = bench.create(behaving(seconds={"CREATE": 60}), timeout_mins=None)
    settled = bench.settled(stack)
    assert settled is not None
    assert (StackStatus.CREATE_FAILED, "Timed out") == (settled.status, settled.status_reason)
    assert ["thing"] == [line.split(":")[0] for line in bench.heat.diagnose(stack).resources]


HOT = "heat_template_version: 2013-05-23\n"

REJECTED = {
    "no such type": (HOT + "resources: {a: {type: No::Such}}", "StackValidationFailed"),
    "no such reference": (
        HOT + "resources: {a: {type: Test::FreeForm, properties: {a: {get_resource: b}}}}",
        "InvalidTemplateReference",
    ),
    "a circle": (
        HOT + "resources: {a: {type: Test::FreeForm, properties: {a: {get_resource: a}}}}",
        "CircularDependencyException",
    ),
    "a parameter without value": (
        HOT + "parameters: {a: {type: string}}\nresources: {}",
        "UserParameterMissing",
    ),
    "no version of templates": (
        "heat_template_version: 1999-01-01\nresources: {}",
        "InvalidTemplateVersion",
    ),
    "no mapping": ("just text", "HTTPBadRequest"),
    "not YAML": ("a: [", "HTTPBadRequest"),
}


@pytest.mark.parametrize(("template", "kind"), REJECTED.values(), ids=REJECTED)
def test_a_bad_template_is_rejected(bench: Bench, template: str, kind: str) -> None:
    """What Heat does not take is final, in its own words."""
    with pytest.raises(StackRejected) as caught:
        bench.create(template)
    assert (kind, False) == (caught.value.kind, caught.value.retryable)
    assert "not in Heat's words" not in caught.value.reason
    assert None is bench.heat.find(bench.project, "one")


def test_validate_starts_nothing(bench: Bench) -> None:
    """A dry run says whether a template would be taken, and makes no stack."""
    bench.heat.validate(bench.request())
    with pytest.raises(StackRejected):
        bench.heat.validate(bench.request(REJECTED["no such type"][0]))
    assert None is bench.heat.find(bench.project, "one")


def test_a_rejected_update_leaves_the_stack(bench: Bench) -> None:
    """An update that is not taken changes neither status nor tags."""
    stack = bench.create(behaving())
    before = bench.settled(stack)
    with pytest.raises(StackRejected):
        bench.heat.update(stack, bench.request(REJECTED["a circle"][0], tags=("new",)))
    assert before == bench.settled(stack)


CALLS: dict[str, Callable[[HeatOrchestrator, StackRequest, Stack], object]] = {
    "find": lambda heat, request, _: heat.find(request.tenant, request.name),
    "create": lambda heat, request, _: heat.create(request),
    "update": lambda heat, request, stack: heat.update(stack, request),
    "delete": lambda heat, _, stack: heat.delete(stack),
    "observe": lambda heat, _, stack: heat.observe([stack]),
    "outputs": lambda heat, _, stack: heat.outputs(stack),
    "diagnose": lambda heat, _, stack: heat.diagnose(stack),
    "validate": lambda heat, request, _: heat.validate(request),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_a_wrong_token_is_refused(
    bench: Bench,
    real_heat: RealHeat,
    call: Callable[[HeatOrchestrator, StackRequest, Stack], object],
) -> None:
    """Every call with a wrong token is refused, and not taken for a missing stack."""
    heat = HeatOrchestrator.from_endpoint(real_heat.endpoint, "wrong-token")
    stack = Stack(id="i", name="one", tenant=bench.project, status="CREATE_COMPLETE")
    with pytest.raises(OrchestratorError) as caught:
        call(heat, bench.request(), stack)
    heat.close()
    assert OrchestratorRefused is type(caught.value)


def test_what_never_was(bench: Bench) -> None:
    """A stack that never was is gone, and has nothing to tell."""
    stack = Stack(id="i", name="none", tenant=bench.project, status="CREATE_COMPLETE")
    bench.heat.delete(stack)
    assert {"i": None} == bench.heat.observe([stack])
    assert Diagnosis() == bench.heat.diagnose(stack)
