"""SimulatedHeat beyond the contract: its clock, its scripts, and what it records."""

from __future__ import annotations

import json
import math
import pathlib
import subprocess
import sys
import threading
from typing import Any

import attrs
import pytest

from gohan_jobs.clock import VirtualClock
from gohan_jobs.exceptions import (
    OrchestratorError,
    OrchestratorRefused,
    OrchestratorUnavailable,
    StackExists,
    StackNotFound,
    StackRejected,
)
from gohan_jobs.orchestrators.base import Diagnosis, Stack, StackRequest
from gohan_jobs.orchestrators.simulated import Call, Outcome, SimulatedHeat, SimulatedStack
from gohan_jobs.orchestrators.simulated.registry import StackRegistry
from gohan_jobs.records import StackOutput

CORPUS = pathlib.Path(__file__).parents[2] / "shared" / "corpus"
V = "heat_template_version: 2018-08-31\n"
VALUE = (
    V
    + """
parameters:
  text: {type: string, default: one}
resources:
  v: {type: "OS::Heat::Value", properties: {value: {get_param: text}}}
outputs:
  o: {value: {get_attr: [v, value]}}
"""
)


def request(template: str = VALUE, **more: Any) -> StackRequest:
    """A request for the stack of most tests."""
    fields: dict[str, Any] = {"name": "net_1", "tenant": "t", "parameters": {}, **more}
    return StackRequest(template=template, **fields)


def seen(heat: SimulatedHeat, stack: Stack) -> tuple[str, str]:
    """Status and reason now; empty once deleted."""
    found = heat.observe([stack])[stack.id]
    return ("", "") if found is None else (str(found.status), found.status_reason)


def outputs(heat: SimulatedHeat, stack: Stack) -> dict[str, Any]:
    """Outputs by key."""
    return {output.output_key: output.output_value for output in heat.outputs(stack)}


@pytest.fixture
def clock() -> VirtualClock:
    """A clock that moves when told to."""
    return VirtualClock()


@pytest.fixture
def heat(clock: VirtualClock) -> SimulatedHeat:
    """Operations take ten seconds."""
    return SimulatedHeat(clock, operation_seconds=10)


# Time


def test_operations_take_their_time(heat: SimulatedHeat, clock: VirtualClock) -> None:
    """Create, update and delete are under way for exactly as long as they take."""
    stack = heat.create(request())
    clock.advance(9.9)
    assert seen(heat, stack)[0] == "CREATE_IN_PROGRESS"
    clock.advance(0.1)
    assert seen(heat, stack) == ("CREATE_COMPLETE", "Stack CREATE completed successfully")
    heat.update(stack, request())
    assert seen(heat, stack) == ("UPDATE_IN_PROGRESS", "Stack UPDATE started")
    clock.advance(10)
    assert seen(heat, stack)[0] == "UPDATE_COMPLETE"
    heat.delete(stack)
    assert seen(heat, stack)[0] == "DELETE_IN_PROGRESS"
    clock.advance(10)
    assert seen(heat, stack) == ("", "")


def test_operations_without_time_pass_through_progress(clock: VirtualClock) -> None:
    """Nothing is skipped: the events tell of an operation's start and end."""
    heat = SimulatedHeat(clock)
    stack = heat.create(request())
    assert stack.status == "CREATE_IN_PROGRESS"
    assert seen(heat, stack)[0] == "CREATE_COMPLETE"
    assert heat.diagnose(stack).events == (
        "2018-02-19T00:00:00Z net_1 CREATE_COMPLETE: Stack CREATE completed successfully",
        "2018-02-19T00:00:00Z v CREATE_COMPLETE: state changed",
        "2018-02-19T00:00:00Z net_1 CREATE_IN_PROGRESS: Stack CREATE started",
    )


def test_resources_wait_for_those_they_require(clock: VirtualClock) -> None:
    """Waits add up along dependencies, and only there; removal goes the other way."""
    heat = SimulatedHeat(clock)
    template = (
        V
        + """
resources:
  a: {type: "OS::Heat::TestResource", properties: {wait_secs: 3}}
  b:
    type: OS::Heat::TestResource
    properties: {wait_secs: 4, action_wait_secs: {delete: 5}}
    depends_on: a
  c: {type: "OS::Heat::TestResource", properties: {wait_secs: 6}}
"""
    )
    stack = heat.create(request(template))
    clock.advance(6.9)
    assert seen(heat, stack)[0] == "CREATE_IN_PROGRESS"
    clock.advance(0.1)
    assert seen(heat, stack)[0] == "CREATE_COMPLETE"
    heat.delete(stack)
    clock.advance(7.9)
    assert seen(heat, stack)[0] == "DELETE_IN_PROGRESS"
    clock.advance(0.1)
    assert seen(heat, stack) == ("", "")


def test_a_failure_ends_an_operation_at_once(clock: VirtualClock) -> None:
    """The first resource to fail fails the stack; what was under way is given up."""
    heat = SimulatedHeat(clock)
    template = (
        V
        + """
resources:
  bad: {type: "OS::Heat::TestResource", properties: {fail: true, wait_secs: 2}}
  slow: {type: "OS::Heat::TestResource", properties: {wait_secs: -1}}
  later: {type: "OS::Heat::None", depends_on: bad}
  last: {type: "OS::Heat::None", depends_on: later}
  after: {type: "OS::Heat::None", depends_on: slow}
  good: {type: "OS::Heat::None"}
"""
    )
    stack = heat.create(request(template))
    clock.advance(2)
    why = "ValueError: resources.bad: Test Resource failed bad"
    assert seen(heat, stack) == ("CREATE_FAILED", f"Resource CREATE failed: {why}")
    assert set(heat.diagnose(stack).resources) == {f"bad: {why}", "slow: CREATE aborted"}
    states = heat.inspect(
        "t", "net_1", lambda s: {n: (r.action, r.status) for n, r in s.resources.items()}
    )
    assert states == {
        "bad": ("CREATE", "FAILED"),
        "slow": ("CREATE", "FAILED"),
        "later": ("INIT", "COMPLETE"),
        "last": ("INIT", "COMPLETE"),
        "after": ("INIT", "COMPLETE"),
        "good": ("CREATE", "COMPLETE"),
    }


@pytest.mark.parametrize(("minutes", "seconds"), [(2, 120), (None, 3600)])
def test_time_limits(
    heat: SimulatedHeat, clock: VirtualClock, minutes: int | None, seconds: int
) -> None:
    """An operation that hangs runs into its time limit, or into Heat's own."""
    heat.script("net_1", Outcome(hang=True))
    stack = heat.create(request(timeout_mins=minutes))
    clock.advance(seconds - 0.1)
    assert seen(heat, stack)[0] == "CREATE_IN_PROGRESS"
    clock.advance(0.1)
    assert seen(heat, stack) == ("CREATE_FAILED", "Timed out")


def test_time_limits_can_be_left_out(clock: VirtualClock) -> None:
    """For replays a stack may hang for ever."""
    heat = SimulatedHeat(clock, operation_seconds=math.inf, enforce_timeouts=False)
    stack = heat.create(request(timeout_mins=1))
    clock.advance(10**6)
    assert seen(heat, stack)[0] == "CREATE_IN_PROGRESS"
    assert heat.finish("net_1").status == "CREATE_COMPLETE"


def test_a_time_limit_is_kept_by_updates(heat: SimulatedHeat, clock: VirtualClock) -> None:
    """An update that names no time limit has the stack's."""
    stack = heat.create(request(timeout_mins=1))
    clock.advance(10)
    heat.script("net_1", Outcome(hang=True))
    heat.update(stack, request())
    clock.advance(60)
    assert seen(heat, stack) == ("UPDATE_FAILED", "Timed out")


# Updates


def test_an_update_touches_what_changed(heat: SimulatedHeat, clock: VirtualClock) -> None:
    """Unchanged resources stay, changed ones keep their id, removed ones go, new ones come."""
    old = (
        V
        + """
resources:
  same: {type: "OS::Heat::Value", properties: {value: 1}}
  changed: {type: "OS::Heat::Value", properties: {value: 1}}
  replaced: {type: "OS::Heat::TestResource", properties: {value: a, update_replace: true}}
  retyped: {type: "OS::Heat::None"}
  removed: {type: "OS::Heat::None"}
"""
    )
    new = (
        V
        + """
resources:
  same: {type: "OS::Heat::Value", properties: {value: 1}}
  changed: {type: "OS::Heat::Value", properties: {value: 2}}
  replaced: {type: "OS::Heat::TestResource", properties: {value: b, update_replace: true}}
  retyped: {type: "OS::Heat::Value", properties: {value: 1}}
  added: {type: "OS::Heat::None"}
"""
    )

    def states() -> dict[str, tuple[str, str]]:
        return heat.inspect(
            "t",
            "net_1",
            lambda s: {n: (r.physical_id, r.action) for n, r in s.resources.items()},
        )

    stack = heat.create(request(old))
    clock.advance(10)
    before = states()
    heat.update(stack, request(new))
    clock.advance(10)
    after = states()
    actions = {name: action for name, (_, action) in after.items()}
    assert actions == {
        "same": "CREATE",
        "changed": "UPDATE",
        "replaced": "CREATE",
        "retyped": "CREATE",
        "added": "CREATE",
    }
    kept = {name for name in before if name in after and before[name][0] == after[name][0]}
    assert kept == {"same", "changed"}


def test_an_update_in_place_waits_only_for_a_new_value(clock: VirtualClock) -> None:
    """A test resource waits in an update if its value changes."""
    heat = SimulatedHeat(clock)
    template = V + "resources: {a: {type: OS::Heat::TestResource, properties: {value: a}}}"
    stack = heat.create(request(template))
    heat.observe([stack])
    heat.update(stack, request(template.replace("value: a", "value: a, wait_secs: 5")))
    assert seen(heat, stack)[0] == "UPDATE_COMPLETE"
    heat.update(stack, request(template.replace("value: a", "value: b, wait_secs: 5")))
    assert seen(heat, stack)[0] == "UPDATE_IN_PROGRESS"
    clock.advance(5)
    assert seen(heat, stack)[0] == "UPDATE_COMPLETE"


def test_immutable_parameters(heat: SimulatedHeat) -> None:
    """An update must leave an immutable parameter alone."""
    template = V + "parameters: {p: {type: string, immutable: true}}"
    stack = heat.create(request(template, parameters={"p": "a"}))
    heat.update(stack, request(template, parameters={"p": "a"}))
    with pytest.raises(StackRejected) as caught:
        heat.update(stack, request(template, parameters={"p": "b"}))
    assert (caught.value.kind, caught.value.reason) == (
        "ImmutableParameterModified",
        "The following parameters are immutable and may not be updated: p",
    )


def test_rollback_of_a_create(heat: SimulatedHeat, clock: VirtualClock) -> None:
    """Without ``disable_rollback`` a failure is passed on the way to a rollback."""
    heat.script("net_1", Outcome(fails=True))
    stack = heat.create(request(disable_rollback=False))
    clock.advance(10)
    assert seen(heat, stack) == ("ROLLBACK_IN_PROGRESS", "Stack ROLLBACK started")
    clock.advance(10)
    assert seen(heat, stack) == ("ROLLBACK_COMPLETE", "Stack ROLLBACK completed successfully")
    assert outputs(heat, stack) == {"o": None}
    assert any("CREATE_FAILED" in event for event in heat.diagnose(stack).events)


def test_rollback_of_an_update(heat: SimulatedHeat, clock: VirtualClock) -> None:
    """The old values are back afterwards."""
    stack = heat.create(request(disable_rollback=False))
    clock.advance(10)
    heat.script("net_1", Outcome(fails=True))
    heat.update(stack, request(parameters={"text": "two"}, disable_rollback=False))
    clock.advance(20)
    assert seen(heat, stack)[0] == "ROLLBACK_COMPLETE"
    assert outputs(heat, stack) == {"o": "one"}


def test_properties_that_fail_late(clock: VirtualClock) -> None:
    """What can be resolved only once another resource is there fails the resource that needs it."""
    heat = SimulatedHeat(clock)
    template = (
        V
        + """
resources:
  a: {type: "OS::Heat::Value", properties: {value: [1]}}
  b:
    type: OS::Heat::Value
    properties: {value: {list_join: [",", {get_attr: [a, value]}]}}
"""
    )
    stack = heat.create(request(template))
    assert seen(heat, stack)[0] == "CREATE_FAILED"
    heat.update(stack, request(template))
    status, reason = seen(heat, stack)
    assert (status, heat.diagnose(stack).resources[0][:2]) == ("UPDATE_FAILED", "b:")
    assert reason.endswith("Items to join must be string, map or list not 1")


# Attributes and ids


def test_attributes_are_the_properties(clock: VirtualClock) -> None:
    """Types nothing is known of give their properties back, and ids from the given source."""
    ids = iter(["stack-id", "resource-id"])
    heat = SimulatedHeat(clock, id_source=lambda: next(ids))
    template = (
        V
        + """
resources:
  n: {type: "OS::Contrail::VirtualNetwork", properties: {name: blue, tags: [1]}}
outputs:
  id: {value: {get_resource: n}}
  name: {value: {get_attr: [n, name]}}
  gone: {value: {get_attr: [n, fq_name]}}
"""
    )
    stack = heat.create(request(template))
    heat.observe([stack])
    assert stack.id == "stack-id"
    assert outputs(heat, stack) == {"id": "resource-id", "name": "blue", "gone": None}


def test_scripted_attributes(clock: VirtualClock) -> None:
    """A test gives attributes by type, and for one stack or resource only; the last one counts."""
    heat = SimulatedHeat(clock)
    kind = "OS::Contrail::VirtualNetwork"
    heat.script_attributes(kind, {"fq_name": "any", "name": "scripted"})
    heat.script_attributes(kind, {"fq_name": "mine"}, stack="net_1", resource="n")
    heat.script_attributes("OS::Other::Type", {"fq_name": "never"})
    template = (
        V
        + f"""
resources:
  n: {{type: "{kind}", properties: {{name: blue}}}}
  m: {{type: "{kind}"}}
outputs:
  n: {{value: {{get_attr: [n, fq_name]}}}}
  m: {{value: {{get_attr: [m, fq_name]}}}}
  name: {{value: {{get_attr: [n, name]}}}}
"""
    )
    stack = heat.create(request(template))
    heat.observe([stack])
    assert outputs(heat, stack) == {"n": "mine", "m": "any", "name": "scripted"}


def test_a_monitoring_targets_link(clock: VirtualClock) -> None:
    """A monitoring target has a link beside its properties."""
    heat = SimulatedHeat(clock)
    template = (
        V
        + """
resources:
  m: {type: "ESI::Monitoring::MonitoringTarget", properties: {type: t}}
outputs:
  link: {value: {get_attr: [m, link]}}
  type: {value: {get_attr: [m, type]}}
"""
    )
    stack = heat.create(request(template))
    heat.observe([stack])
    link = "http://monitoring.invalid/targets/00000000-0000-4000-8000-000000000002"
    assert outputs(heat, stack) == {"link": link, "type": "t"}


def test_nothing_has_no_attributes(clock: VirtualClock) -> None:
    """``OS::Heat::None`` takes any property, and forgets it; a test resource has its value."""
    heat = SimulatedHeat(clock)
    template = (
        V
        + """
resources:
  none: {type: "OS::Heat::None", properties: {a: 1}}
  test: {type: "OS::Heat::TestResource"}
outputs:
  a: {value: {get_attr: [none, a]}}
  b: {value: {get_attr: [test, output]}}
  c: {value: {get_attr: [test]}}
"""
    )
    stack = heat.create(request(template))
    heat.observe([stack])
    assert outputs(heat, stack) == {
        "a": None,
        "b": "test_string",
        "c": {"output": "test_string"},
    }


# Scripts


def test_a_scripted_failure(heat: SimulatedHeat, clock: VirtualClock) -> None:
    """An operation fails when and as told, with the reasons of the resources told."""
    reasons = {"v": "Quota exceeded", "other": "No valid host"}
    heat.script("net_1", Outcome(resource_reasons=reasons, seconds=3))
    stack = heat.create(request())
    clock.advance(3)
    assert seen(heat, stack) == ("CREATE_FAILED", "Resource CREATE failed: Quota exceeded")
    assert heat.diagnose(stack).resources == ("v: Quota exceeded", "other: No valid host")
    heat.update(stack, request())
    clock.advance(10)
    assert seen(heat, stack)[0] == "UPDATE_COMPLETE"
    assert heat.diagnose(stack).resources == ()


def test_a_scripted_end(heat: SimulatedHeat, clock: VirtualClock) -> None:
    """Status, reason and outputs are taken verbatim, until the next operation."""
    given = (StackOutput(output_key="k", output_value={"a": 1}, output_error="e"),)
    outcome = Outcome(status="ODD_STATUS", reason="because", outputs=given)
    heat.script("net_1", outcome)
    stack = heat.create(request())
    clock.advance(10)
    assert seen(heat, stack) == ("ODD_STATUS", "because")
    assert heat.outputs(stack) == given
    heat.update(stack, request())
    clock.advance(10)
    assert outputs(heat, stack) == {"o": "one"}


def test_a_late_failure_ends_the_operation(clock: VirtualClock) -> None:
    """A resource that fails unforeseen fails the stack there and then, others or not."""
    heat = SimulatedHeat(clock)
    template = (
        V
        + """
resources:
  a: {type: "OS::Heat::TestResource", properties: {wait_secs: 1}}
  b:
    type: OS::Heat::Value
    properties: {value: {list_join: [",", {get_attr: [a, output]}]}}
  slow: {type: "OS::Heat::TestResource", properties: {wait_secs: 9}}
"""
    )
    stack = heat.create(request(template))
    clock.advance(1)
    assert seen(heat, stack)[0] == "CREATE_FAILED"
    decided = heat.create(request(template, name="net_2"))
    heat.script("net_2", Outcome(status="UPDATE_COMPLETE"))
    heat.update(decided, request(template, name="net_2"))
    clock.advance(1)
    assert seen(heat, decided)[0] == "UPDATE_IN_PROGRESS"
    clock.advance(8)
    assert seen(heat, decided)[0] == "UPDATE_COMPLETE"


def test_scripted_success_of_what_would_fail(clock: VirtualClock) -> None:
    """A script wins over the template, and over how long it would take."""
    heat = SimulatedHeat(clock)
    heat.script("net_1", Outcome(status="CREATE_COMPLETE", seconds=1))
    properties = "{fail: true, wait_secs: -1}"
    template = V + f"resources: {{a: {{type: OS::Heat::TestResource, properties: {properties}}}}}"
    stack = heat.create(request(template))
    clock.advance(1)
    assert seen(heat, stack) == ("CREATE_COMPLETE", "Stack CREATE completed successfully")


def test_deletes_that_fail(heat: SimulatedHeat, clock: VirtualClock) -> None:
    """A delete fails as often as told; the stack stays, can't be updated, and goes in the end."""
    stack = heat.create(request())
    clock.advance(10)
    heat.script("net_1", *[Outcome(fails=True, reason="in use")] * 2, op="delete")
    for _ in range(2):
        heat.delete(stack)
        clock.advance(10)
        assert seen(heat, stack) == ("DELETE_FAILED", "in use")
        with pytest.raises(StackNotFound):
            heat.update(stack, request())
        with pytest.raises(StackExists):
            heat.create(request())
    heat.delete(stack)
    clock.advance(10)
    assert seen(heat, stack) == ("", "")


@pytest.mark.parametrize("takes_effect", [False, True])
def test_a_lost_answer(heat: SimulatedHeat, *, takes_effect: bool) -> None:
    """A call that fails has had its effect, or has not."""
    error = OrchestratorUnavailable("reset")
    heat.script("net_1", Outcome(error=error, takes_effect=takes_effect))
    with pytest.raises(OrchestratorUnavailable, match="reset"):
        heat.create(request())
    assert (heat.find("t", "net_1") is not None) is takes_effect


def test_scripts_fit_by_name_tenant_and_operation(heat: SimulatedHeat) -> None:
    """An outcome waits for the first call that fits; calls that only look are named."""
    error = OrchestratorRefused("no")
    heat.script("other", Outcome(error=error))
    heat.script("net_1", Outcome(error=error), tenant="u")
    heat.script("net_1", Outcome(error=error), op="observe")
    stack = heat.create(request())
    assert heat.find("t", "net_1") == stack
    with pytest.raises(OrchestratorRefused):
        heat.observe([attrs.evolve(stack, id="1", name="x"), stack])
    with pytest.raises(OrchestratorRefused):
        heat.create(request(tenant="u"))
    heat.script(None, Outcome(error=error), op="outputs")
    with pytest.raises(OrchestratorRefused):
        heat.outputs(stack)
    assert heat.observe([stack]) == {stack.id: stack}


def test_outcomes_can_be_computed(clock: VirtualClock) -> None:
    """A function decides about each call that nothing was scripted for."""

    def decide(call: Call) -> Outcome | None:
        return Outcome(fails=True) if call.stack == "bad" else None

    heat = SimulatedHeat(clock, outcome_of=decide)
    good, bad = heat.create(request()), heat.create(request(name="bad"))
    assert (seen(heat, good)[0], seen(heat, bad)) == (
        "CREATE_COMPLETE",
        ("CREATE_FAILED", "Resource CREATE failed: scripted"),
    )


def test_an_outage(heat: SimulatedHeat) -> None:
    """While it lasts every call raises, and has no effect."""
    heat.outage = OrchestratorUnavailable("503")
    with pytest.raises(OrchestratorUnavailable):
        heat.create(request())
    with pytest.raises(OrchestratorUnavailable):
        heat.find("t", "net_1")
    assert str(heat.outage) == "503"
    heat.outage = None
    assert heat.find("t", "net_1") is None


def test_finish(heat: SimulatedHeat) -> None:
    """What hangs ends when told to: as it began, or as told."""
    heat.script("net_1", Outcome(hang=True), Outcome(hang=True, fails=True), Outcome(hang=True))
    stack = heat.create(request())
    other = heat.create(request(tenant="u"))
    assert heat.finish("net_1", tenant="t").status == "CREATE_COMPLETE"
    assert outputs(heat, stack) == {"o": "one"}
    assert heat.finish("net_1", tenant="u").status == "CREATE_FAILED"
    heat.update(
        stack,
        request(V + "resources: {a: {type: OS::Heat::TestResource, properties: {fail: true}}}"),
    )
    done = heat.finish("net_1", Outcome(status="UPDATE_COMPLETE"), tenant="t")
    assert (done.status, heat.diagnose(done).resources) == ("UPDATE_COMPLETE", ())
    assert seen(heat, other)[0] == "CREATE_FAILED"


def test_finish_of_a_delete(heat: SimulatedHeat) -> None:
    """A delete that is finished leaves nothing, and the name is free."""
    stack = heat.create(request())
    heat.delete(stack)
    assert heat.finish("net_1").status == "DELETE_COMPLETE"
    assert heat.find("t", "net_1") is None
    assert heat.create(request()).id != stack.id


def test_finish_as_the_template_says(clock: VirtualClock) -> None:
    """Finished without a word, an operation ends as it would have: here, badly."""
    heat = SimulatedHeat(clock, operation_seconds=math.inf)
    template = V + "resources: {a: {type: OS::Heat::TestResource, properties: {fail: true}}}"
    heat.create(request(template))
    assert heat.finish("net_1").status == "CREATE_FAILED"


def test_nothing_to_finish(heat: SimulatedHeat, clock: VirtualClock) -> None:
    """There must be a stack, and something under way."""
    with pytest.raises(StackNotFound):
        heat.finish("net_1")
    heat.create(request())
    clock.advance(10)
    with pytest.raises(ValueError, match="no operation under way"):
        heat.finish("net_1")


# What is recorded


def test_calls_are_recorded(heat: SimulatedHeat, clock: VirtualClock) -> None:
    """Every call is kept with when it came, what it carried, and how it was answered."""
    parameters = {"text": "s3cr3t"}
    stack = heat.create(request(parameters=parameters, tags=("v:1",), timeout_mins=3))
    clock.advance(1)
    with pytest.raises(StackExists):
        heat.create(request())
    heat.observe([stack])
    heat.delete(stack)
    heat.observe([])
    calls = [(call.op, call.stack, call.tenant, call.error, call.changes) for call in heat.calls]
    assert calls == [
        ("create", "net_1", "t", "", True),
        ("create", "net_1", "t", "StackExists", True),
        ("observe", "net_1", "t", "", False),
        ("delete", "net_1", "t", "", True),
        ("observe", "", "", "", False),
    ]
    first = heat.calls[0]
    assert (first.tags, first.timeout_mins, first.disable_rollback) == (("v:1",), 3, True)
    assert (first.parameters, first.template) == (parameters, VALUE)
    assert [call.op for call in heat.changes] == ["create", "create", "delete"]
    assert (heat.calls[1].at - first.at).total_seconds() == 1
    assert heat.calls[3].stack_id == stack.id


def test_recorded_secrets_do_not_show(heat: SimulatedHeat) -> None:
    """Neither a call's nor a stack's repr holds parameters, templates or properties."""
    stack = heat.create(request(parameters={"text": "s3cr3t"}))
    heat.finish("net_1")
    texts = [repr(heat.calls), heat.inspect("t", stack.id, repr)]
    assert [("s3cr3t" in text, 'OS::Heat::Value", prop' in text) for text in texts] == [
        (False, False)
    ] * 2


def test_the_history_is_bounded(clock: VirtualClock) -> None:
    """Only the last calls are remembered."""
    heat = SimulatedHeat(clock, call_history=2)
    for number in range(3):
        heat.find("t", f"s{number}")
    assert [call.stack for call in heat.calls] == ["s1", "s2"]


def test_deleted_stacks_are_forgotten_in_the_end(clock: VirtualClock) -> None:
    """A registry remembers so many deleted stacks, and all living ones."""
    registry = StackRegistry(clock, kept_deleted=1)
    heat = SimulatedHeat(clock)
    stacks: list[SimulatedStack] = []
    for number in range(3):
        heat.create(request(name=f"s{number}"))
        stacks.append(heat.inspect("t", f"s{number}", lambda stack: stack))
    for stack in stacks:
        registry.add(stack)
    for stack in stacks[:2]:
        stack.deleted = clock.wall()
        assert registry.by_name("t", stack.name) is None
    registry.bury(stacks[2])
    known = [registry.by_id("t", stack.id) for stack in stacks]
    assert known == [None, stacks[1], stacks[2]]
    assert registry.of_tenant("t", deleted=True) == [stacks[2], stacks[1]]
    assert registry.of_tenant("t", deleted=False) == [stacks[2]]
    assert registry.first_live(lambda stack: stack.name == "s1") is None


# Requests


@pytest.mark.parametrize("name", ["1net", "", "a" * 256, "a b"])
def test_bad_names(heat: SimulatedHeat, name: str) -> None:
    """A stack's name must be one."""
    with pytest.raises(StackRejected, match="Invalid stack name") as caught:
        heat.create(request(name=name))
    assert caught.value.kind == "StackValidationFailed"


def test_a_refused_create_uses_no_id_up(heat: SimulatedHeat) -> None:
    """Ids stay the same whatever was refused before."""
    with pytest.raises(StackRejected):
        heat.create(request(parameters={"x": 1}))
    assert heat.create(request()).id.endswith("0001")


def test_pseudo_parameters(heat: SimulatedHeat) -> None:
    """A template sees its stack's name, id and project."""
    names = ("stack_name", "stack_id", "project_id")
    lines = [f"  {name}: {{value: {{get_param: 'OS::{name}'}}}}\n" for name in names]
    stack = heat.create(request(V + "outputs:\n" + "".join(lines)))
    assert outputs(heat, stack) == {
        "stack_name": "net_1",
        "stack_id": stack.id,
        "project_id": "t",
    }


def test_an_output_of_nothing(heat: SimulatedHeat) -> None:
    """An output's reference to no resource is that output's error."""
    stack = heat.create(request(V + "outputs: {o: {value: {get_resource: nope}}}"))
    [output] = heat.outputs(stack)
    reason = 'The specified reference "nope" (in unknown) is incorrect.'
    assert (output.output_value, output.output_error) == (None, reason)


def test_what_is_gone(heat: SimulatedHeat) -> None:
    """Of a stack that is gone, or another tenant's, there is nothing to see."""
    stack = heat.create(request())
    theirs = attrs.evolve(stack, tenant="u")
    assert heat.observe([theirs]) == {stack.id: None}
    assert heat.diagnose(theirs) == Diagnosis()
    with pytest.raises(StackNotFound):
        heat.outputs(theirs)
    with pytest.raises(StackNotFound):
        heat.inspect("u", stack.id, lambda found: found.name)


def test_threads(clock: VirtualClock) -> None:
    """Of many threads that create one name, one succeeds."""
    heat = SimulatedHeat(clock)
    results: list[str] = []

    def work() -> None:
        try:
            results.append(heat.create(request()).id)
        except OrchestratorError as error:
            results.append(type(error).__name__)

    threads = [threading.Thread(target=work) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results)[1:] == ["StackExists"] * 15
    assert len(heat.changes) == 16


def test_other_modules_do_not_import_yaml() -> None:
    """PyYAML is loaded with the simulator only."""
    code = (
        "import sys, gohan_jobs, gohan_jobs.orchestrators.base; before = 'yaml' in sys.modules;"
        "import gohan_jobs.orchestrators.simulated; print(before, 'yaml' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert done.stdout == "False True\n"


# Recordings


def recorded_calls() -> list[dict[str, Any]]:
    """Every call to Heat that was recorded."""
    calls = []
    for path in sorted(CORPUS.glob("*.expected.jsonl")):
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        calls += [{**row, "run": path.name} for row in rows if row["kind"] == "heat"]
    return calls


@pytest.mark.skipif(not CORPUS.is_dir(), reason=f"the recordings are not at {CORPUS}")
def test_every_recorded_call_is_taken(clock: VirtualClock) -> None:
    """Templates and parameters that a real Heat took are taken, and their outputs resolve."""
    heat = SimulatedHeat(clock)
    errors = []
    for call in recorded_calls():
        tenant = f"{call['run']}-{call['tenant']}"
        stack = heat.find(tenant, call["stack"])
        if call["op"] == "delete":
            assert stack is not None
            heat.delete(stack)
            continue
        asked = request(
            call["template"], name=call["stack"], tenant=tenant, parameters=call["parameters"]
        )
        if stack is None:
            stack = heat.create(asked)
        else:
            heat.update(stack, asked)
        assert seen(heat, stack)[0] in {"CREATE_COMPLETE", "UPDATE_COMPLETE"}
        errors += [output.output_error for output in heat.outputs(stack) if output.output_error]
    assert errors == []
    assert len(heat.changes) == 55
