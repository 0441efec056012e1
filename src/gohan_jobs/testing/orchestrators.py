"""The orchestrator contract as tests: subclass :class:`OrchestratorSuite`, give it an orchestrator.

::

    class TestMyOrchestrator(OrchestratorSuite):
        @pytest.fixture
        def orchestrator(self) -> Iterator[Orchestrator]:
            yield MyOrchestrator()

What it expects was seen of a real Heat, with resource types that need nothing of OpenStack. Each
test works in a project of its own, so that one server may serve them all.
"""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from gohan_jobs.exceptions import StackExists, StackNotFound, StackRejected
from gohan_jobs.orchestrators.base import Orchestrator, Stack, StackRequest

__all__ = ["OrchestratorSuite"]

_VERSION = "heat_template_version: 2018-08-31\n"

_VALUE = f"""{_VERSION}
parameters:
  text: {{type: string, default: one}}
resources:
  v: {{type: "OS::Heat::Value", properties: {{value: {{get_param: text}}}}}}
outputs:
  zulu: {{description: the value, value: {{get_attr: [v, value]}}}}
  alpha: {{value: {{get_resource: v}}}}
  mike: {{value: [1, {{a: null}}]}}
"""

_FAILING = f"""{_VERSION}
resources:
  bad: {{type: "OS::Heat::TestResource", properties: {{fail: true}}}}
outputs:
  id: {{value: {{get_resource: bad}}}}
"""


def _slow(seconds: float) -> str:
    return f"""{_VERSION}
resources:
  slow:
    type: OS::Heat::TestResource
    properties: {{action_wait_secs: {{create: {seconds}}}}}
"""


def _parameter(of_type: str, more: str = "") -> str:
    return f"""{_VERSION}
parameters:
  p: {{type: {of_type}{more}}}
outputs:
  o: {{value: {{get_param: p}}}}
"""


class OrchestratorSuite:
    """What every :class:`~gohan_jobs.orchestrators.base.Orchestrator` does.

    Override the ``orchestrator`` fixture, and what of the rest does not fit.

    Attributes:
        time_limit_mins: the time limit asked for by the test of time limits; None to leave it to
            the orchestrator's own.
        patience: seconds after which a stack that has not settled fails a test.
    """

    time_limit_mins: int | None = 1
    patience: float = 90.0

    @pytest.fixture
    def orchestrator(self) -> Iterator[Orchestrator]:
        """The orchestrator under test."""
        raise NotImplementedError("an OrchestratorSuite needs an orchestrator fixture")

    @pytest.fixture
    def tenant(self) -> str:
        """A project that no other test uses."""
        return f"suite-{uuid.uuid4().hex[:12]}"

    def pass_time(self, seconds: float) -> None:
        """Let time go by; overridden by those whose clock stands still."""
        time.sleep(seconds)

    def settle(self, orchestrator: Orchestrator, stack: Stack) -> Stack | None:
        """Wait until nothing is under way on a stack; None once it is deleted."""
        waited, pause = 0.0, 0.05
        while waited < self.patience:
            seen = orchestrator.observe([stack])[stack.id]
            if seen is None or not seen.in_progress:
                return seen
            self.pass_time(pause)
            waited, pause = waited + pause, min(2.0, pause * 1.25)
        pytest.fail(f"{stack.name} did not settle in {self.patience} s")

    def settled(self, orchestrator: Orchestrator, stack: Stack) -> Stack:
        """Wait as :meth:`settle` does, for a stack that is not to vanish."""
        seen = self.settle(orchestrator, stack)
        assert seen is not None
        return seen

    def request(self, tenant: str, template: str = _VALUE, **more: Any) -> StackRequest:
        """A request for the stack that most tests use."""
        fields: dict[str, Any] = {"name": "net_1", "parameters": {}, "timeout_mins": 5, **more}
        return StackRequest(tenant=tenant, template=template, **fields)

    def output_values(self, orchestrator: Orchestrator, stack: Stack) -> Mapping[str, Any]:
        """A stack's outputs by key."""
        return {o.output_key: o.output_value for o in orchestrator.outputs(stack)}

    def rejection(self, orchestrator: Orchestrator, request: StackRequest) -> StackRejected:
        """The error of a create that must be rejected, after which there is no stack."""
        with pytest.raises(StackRejected) as caught:
            orchestrator.create(request)
        assert orchestrator.find(request.tenant, request.name) is None
        assert not caught.value.retryable
        return caught.value

    def given(self, orchestrator: Orchestrator, request: StackRequest) -> Any:
        """What the template of :func:`_parameter` is given for a value."""
        stack = orchestrator.create(request)
        assert self.settled(orchestrator, stack).status == "CREATE_COMPLETE"
        return self.output_values(orchestrator, stack)["o"]

    # Create, find, observe

    def test_create_tells_the_stack_it_started(
        self, orchestrator: Orchestrator, tenant: str
    ) -> None:
        """A create answers at once, with the new stack under way."""
        stack = orchestrator.create(self.request(tenant, tags=("a:1:x",)))
        seen = (stack.name, stack.tenant, stack.status, stack.tags)
        assert seen == ("net_1", tenant, "CREATE_IN_PROGRESS", ("a:1:x",))
        assert stack.id

    def test_create_completes(self, orchestrator: Orchestrator, tenant: str) -> None:
        """Once settled it is complete, by observation and by name, with the same id."""
        stack = orchestrator.create(self.request(tenant))
        settled = self.settled(orchestrator, stack)
        assert settled.status == "CREATE_COMPLETE"
        assert settled.status_reason
        assert orchestrator.find(tenant, "net_1") == settled
        assert settled.id == stack.id

    def test_find_knows_a_stack_under_way(self, orchestrator: Orchestrator, tenant: str) -> None:
        """A stack is found by name before it is complete."""
        stack = orchestrator.create(self.request(tenant, _slow(2), tags=("t",)))
        found = orchestrator.find(tenant, "net_1")
        assert found is not None
        assert (found.id, found.status, found.tags) == (stack.id, "CREATE_IN_PROGRESS", ("t",))

    def test_find_gives_none_for_no_stack(self, orchestrator: Orchestrator, tenant: str) -> None:
        """No stack of the name is no error; a name must fit in full."""
        orchestrator.create(self.request(tenant, name="net_10"))
        assert orchestrator.find(tenant, "net_1") is None

    def test_name_taken(self, orchestrator: Orchestrator, tenant: str) -> None:
        """A second create of a name is refused, retryably, and changes nothing."""
        stack = orchestrator.create(self.request(tenant, tags=("first",)))
        with pytest.raises(StackExists) as caught:
            orchestrator.create(self.request(tenant, tags=("second",)))
        assert caught.value.retryable
        assert self.settled(orchestrator, stack).tags == ("first",)

    def test_name_taken_by_a_failed_stack(self, orchestrator: Orchestrator, tenant: str) -> None:
        """A stack that failed keeps its name."""
        failed = orchestrator.create(self.request(tenant, _FAILING))
        self.settled(orchestrator, failed)
        with pytest.raises(StackExists):
            orchestrator.create(self.request(tenant))

    def test_tenants_do_not_see_each_other(self, orchestrator: Orchestrator, tenant: str) -> None:
        """A name is free in another project, and each finds its own."""
        other = f"{tenant}-b"
        mine = orchestrator.create(self.request(tenant))
        assert orchestrator.find(other, "net_1") is None
        theirs = orchestrator.create(self.request(other))
        self.settled(orchestrator, mine)
        self.settled(orchestrator, theirs)
        found = [orchestrator.find(project, "net_1") for project in (tenant, other)]
        assert [stack and stack.id for stack in found] == [mine.id, theirs.id]

    def test_observe_many(self, orchestrator: Orchestrator, tenant: str) -> None:
        """Many stacks, of several projects and in several states, are seen at once."""
        names = [f"net_{number}" for number in range(4)]
        stacks = [orchestrator.create(self.request(tenant, name=name)) for name in names]
        other = orchestrator.create(self.request(f"{tenant}-b"))
        for stack in (*stacks, other):
            self.settled(orchestrator, stack)
        orchestrator.delete(stacks[0])
        self.settle(orchestrator, stacks[0])
        seen = orchestrator.observe([*stacks, other])
        statuses = [seen[stack.id] and str(seen[stack.id].status) for stack in (*stacks, other)]  # type: ignore[union-attr]  # `and` has looked
        assert statuses == [None, *["CREATE_COMPLETE"] * 4]

    def test_observe_nothing(self, orchestrator: Orchestrator) -> None:
        """Looking at no stacks sees none."""
        assert orchestrator.observe([]) == {}

    def test_tags_are_kept(self, orchestrator: Orchestrator, tenant: str) -> None:
        """Tags, up to 80 characters each, come back by observation and by name."""
        tags = ("gohan-jobs:12:ab1cd", "x" * 80)
        stack = orchestrator.create(self.request(tenant, tags=tags))
        settled = self.settled(orchestrator, stack)
        found = orchestrator.find(tenant, "net_1")
        assert sorted(settled.tags) == sorted(tags)
        assert found is not None
        assert sorted(found.tags) == sorted(tags)

    def test_a_tag_too_long(self, orchestrator: Orchestrator, tenant: str) -> None:
        """A tag of 81 characters is refused."""
        error = self.rejection(orchestrator, self.request(tenant, tags=("x" * 81,)))
        assert "is longer than 80 characters" in error.reason

    # Outputs

    def test_outputs_in_the_templates_order(self, orchestrator: Orchestrator, tenant: str) -> None:
        """Outputs come as the template orders them, with their words and native JSON values."""
        stack = orchestrator.create(self.request(tenant, parameters={"text": "two"}))
        self.settled(orchestrator, stack)
        outputs = orchestrator.outputs(stack)
        assert [output.output_key for output in outputs] == ["zulu", "alpha", "mike"]
        assert outputs[0].description == "the value"
        assert (outputs[0].output_value, outputs[2].output_value) == ("two", [1, {"a": None}])
        assert re.fullmatch("net_1-v-[a-z0-9]{12}", outputs[1].output_value)
        assert [output.output_error for output in outputs] == [None] * 3

    def test_an_output_that_cannot_be_computed(
        self, orchestrator: Orchestrator, tenant: str
    ) -> None:
        """It is null with an error; the stack and the other outputs are well."""
        outputs = 'outputs: {bad: {value: {list_join: [",", [a, 1]]}}, good: {value: x}}'
        stack = orchestrator.create(self.request(tenant, _VERSION + outputs))
        assert self.settled(orchestrator, stack).status == "CREATE_COMPLETE"
        bad, good = orchestrator.outputs(stack)
        assert (bad.output_value, good.output_value) == (None, "x")
        assert (bool(bad.output_error), good.output_error) == (True, None)

    def test_outputs_of_a_stack_under_way(self, orchestrator: Orchestrator, tenant: str) -> None:
        """What is not there yet is null, without an error."""
        template = _slow(2) + "outputs: {o: {value: {get_attr: [slow, output]}}}"
        stack = orchestrator.create(self.request(tenant, template))
        [output] = orchestrator.outputs(stack)
        assert (output.output_value, output.output_error) == (None, None)

    def test_outputs_of_a_deleted_stack(self, orchestrator: Orchestrator, tenant: str) -> None:
        """A stack that is gone has no outputs."""
        stack = orchestrator.create(self.request(tenant))
        self.settled(orchestrator, stack)
        orchestrator.delete(stack)
        assert self.settle(orchestrator, stack) is None
        with pytest.raises(StackNotFound):
            orchestrator.outputs(stack)

    def test_a_generated_value_survives_an_update(
        self, orchestrator: Orchestrator, tenant: str
    ) -> None:
        """A resource that an update leaves alone keeps its attributes."""
        template = f"""{_VERSION}
resources:
  r: {{type: "OS::Heat::RandomString", properties: {{length: 9}}}}
outputs:
  o: {{value: {{get_attr: [r, value]}}}}
  i: {{value: {{get_resource: r}}}}
"""
        stack = orchestrator.create(self.request(tenant, template))
        self.settled(orchestrator, stack)
        before = self.output_values(orchestrator, stack)
        assert (len(before["o"]), before["i"]) == (9, before["o"])
        orchestrator.update(stack, self.request(tenant, template))
        self.settled(orchestrator, stack)
        assert self.output_values(orchestrator, stack) == before

    # Failures

    def test_a_failing_resource(self, orchestrator: Orchestrator, tenant: str) -> None:
        """A resource that fails fails the stack, which says why."""
        stack = self.settled(orchestrator, orchestrator.create(self.request(tenant, _FAILING)))
        why = "ValueError: resources.bad: Test Resource failed bad"
        assert stack.status == "CREATE_FAILED"
        assert stack.status_reason == f"Resource CREATE failed: {why}"
        diagnosis = orchestrator.diagnose(stack)
        assert diagnosis.resources == (f"bad: {why}",)
        assert any("bad CREATE_FAILED" in event for event in diagnosis.events)

    def test_diagnosis_of_a_healthy_stack(self, orchestrator: Orchestrator, tenant: str) -> None:
        """There are no failed resources, and the last event is the newest."""
        stack = self.settled(orchestrator, orchestrator.create(self.request(tenant)))
        diagnosis = orchestrator.diagnose(stack)
        assert diagnosis.resources == ()
        assert "CREATE_COMPLETE" in diagnosis.events[0]

    def test_time_limit(self, orchestrator: Orchestrator, tenant: str) -> None:
        """An operation over its time limit fails, saying exactly ``Timed out``."""
        request = self.request(tenant, _slow(1000), timeout_mins=self.time_limit_mins)
        stack = self.settled(orchestrator, orchestrator.create(request))
        assert (stack.status, stack.status_reason) == ("CREATE_FAILED", "Timed out")

    def test_an_update_of_a_failed_stack(self, orchestrator: Orchestrator, tenant: str) -> None:
        """A failed stack is updated as any other, and is well then."""
        stack = self.settled(orchestrator, orchestrator.create(self.request(tenant, _FAILING)))
        orchestrator.update(stack, self.request(tenant))
        settled = self.settled(orchestrator, stack)
        assert (settled.status, settled.id) == ("UPDATE_COMPLETE", stack.id)
        assert self.output_values(orchestrator, stack)["zulu"] == "one"

    def test_an_update_that_fails_again(self, orchestrator: Orchestrator, tenant: str) -> None:
        """The failed resource is created anew, so the reason speaks of a create."""
        stack = self.settled(orchestrator, orchestrator.create(self.request(tenant, _FAILING)))
        orchestrator.update(stack, self.request(tenant, _FAILING))
        settled = self.settled(orchestrator, stack)
        assert settled.status == "UPDATE_FAILED"
        assert settled.status_reason == (
            "Resource CREATE failed: ValueError: resources.bad: Test Resource failed bad"
        )

    def test_an_update_that_makes_a_resource_fail(
        self, orchestrator: Orchestrator, tenant: str
    ) -> None:
        """A resource that was well and is updated in place fails as an update."""
        well = _FAILING.replace("fail: true", "fail: false, value: a")
        stack = self.settled(orchestrator, orchestrator.create(self.request(tenant, well)))
        ill = _FAILING.replace("fail: true", "fail: true, value: b")
        orchestrator.update(stack, self.request(tenant, ill))
        settled = self.settled(orchestrator, stack)
        assert (settled.status, settled.status_reason) == (
            "UPDATE_FAILED",
            "Resource UPDATE failed: ValueError: resources.bad: Test Resource failed bad",
        )

    # Update

    def test_update(self, orchestrator: Orchestrator, tenant: str) -> None:
        """An update changes parameters, outputs and tags; never the id."""
        stack = orchestrator.create(self.request(tenant, tags=("v:1",)))
        self.settled(orchestrator, stack)
        request = self.request(tenant, parameters={"text": "two"}, tags=("v:2",))
        orchestrator.update(stack, request)
        settled = self.settled(orchestrator, stack)
        assert (settled.id, settled.status) == (stack.id, "UPDATE_COMPLETE")
        assert settled.tags == ("v:2",)
        assert self.output_values(orchestrator, stack)["zulu"] == "two"

    def test_the_old_status_is_not_seen_after_an_update(
        self, orchestrator: Orchestrator, tenant: str
    ) -> None:
        """Whoever asks right after an update sees the update, never what was before."""
        stack = self.settled(orchestrator, orchestrator.create(self.request(tenant, tags=("1",))))
        orchestrator.update(stack, self.request(tenant, tags=("2",)))
        seen = orchestrator.observe([stack])[stack.id]
        assert seen is not None
        assert str(seen.status).startswith("UPDATE_")
        assert seen.tags == ("2",)

    def test_update_with_nothing_changed(self, orchestrator: Orchestrator, tenant: str) -> None:
        """It is an update all the same."""
        stack = self.settled(orchestrator, orchestrator.create(self.request(tenant)))
        orchestrator.update(stack, self.request(tenant))
        assert self.settled(orchestrator, stack).status == "UPDATE_COMPLETE"

    def test_update_while_creating(self, orchestrator: Orchestrator, tenant: str) -> None:
        """An update is accepted while the create is under way, and supersedes it."""
        stack = orchestrator.create(self.request(tenant, _slow(2), tags=("1",)))
        orchestrator.update(stack, self.request(tenant, tags=("2",)))
        settled = self.settled(orchestrator, stack)
        assert (settled.status, settled.tags) == ("UPDATE_COMPLETE", ("2",))
        assert self.output_values(orchestrator, stack)["zulu"] == "one"

    def test_a_rejected_update_changes_nothing(
        self, orchestrator: Orchestrator, tenant: str
    ) -> None:
        """An update that is refused leaves status, tags and outputs as they were."""
        stack = self.settled(orchestrator, orchestrator.create(self.request(tenant, tags=("1",))))
        before = self.output_values(orchestrator, stack)
        with pytest.raises(StackRejected):
            orchestrator.update(stack, self.request(tenant, parameters={"no": 1}, tags=("2",)))
        assert orchestrator.observe([stack]) == {stack.id: stack}
        assert self.output_values(orchestrator, stack) == before

    def test_update_of_a_deleted_stack(self, orchestrator: Orchestrator, tenant: str) -> None:
        """A stack that is gone can't be updated."""
        stack = self.settled(orchestrator, orchestrator.create(self.request(tenant)))
        orchestrator.delete(stack)
        self.settle(orchestrator, stack)
        with pytest.raises(StackNotFound):
            orchestrator.update(stack, self.request(tenant))

    def test_update_of_a_stack_being_deleted(self, orchestrator: Orchestrator, tenant: str) -> None:
        """A stack that is going can't be updated either."""
        template = _slow(0).replace("create: 0", "delete: 3")
        stack = self.settled(orchestrator, orchestrator.create(self.request(tenant, template)))
        orchestrator.delete(stack)
        with pytest.raises(StackNotFound):
            orchestrator.update(stack, self.request(tenant))

    # Delete

    def test_delete(self, orchestrator: Orchestrator, tenant: str) -> None:
        """A deleted stack is neither observed nor found, and its name is free."""
        stack = self.settled(orchestrator, orchestrator.create(self.request(tenant)))
        orchestrator.delete(stack)
        assert self.settle(orchestrator, stack) is None
        assert orchestrator.find(tenant, "net_1") is None
        again = orchestrator.create(self.request(tenant))
        assert again.id != stack.id
        assert self.settled(orchestrator, again).status == "CREATE_COMPLETE"

    def test_the_old_status_is_not_seen_after_a_delete(
        self, orchestrator: Orchestrator, tenant: str
    ) -> None:
        """Whoever asks right after a delete sees the stack going, or gone."""
        stack = self.settled(orchestrator, orchestrator.create(self.request(tenant)))
        orchestrator.delete(stack)
        seen = orchestrator.observe([stack])[stack.id]
        assert seen is None or seen.status == "DELETE_IN_PROGRESS"

    def test_delete_while_creating(self, orchestrator: Orchestrator, tenant: str) -> None:
        """A delete is accepted while the create is under way."""
        stack = orchestrator.create(self.request(tenant, _slow(2)))
        orchestrator.delete(stack)
        assert self.settle(orchestrator, stack) is None

    def test_delete_of_a_failed_stack(self, orchestrator: Orchestrator, tenant: str) -> None:
        """A failed stack is deleted as any other."""
        stack = self.settled(orchestrator, orchestrator.create(self.request(tenant, _FAILING)))
        orchestrator.delete(stack)
        assert self.settle(orchestrator, stack) is None

    def test_delete_of_a_deleted_stack(self, orchestrator: Orchestrator, tenant: str) -> None:
        """Deleting again is no error, and does not touch a later stack of the name."""
        stack = self.settled(orchestrator, orchestrator.create(self.request(tenant)))
        orchestrator.delete(stack)
        self.settle(orchestrator, stack)
        later = self.settled(orchestrator, orchestrator.create(self.request(tenant)))
        orchestrator.delete(stack)
        assert orchestrator.observe([later]) == {later.id: later}

    def test_what_never_was(self, orchestrator: Orchestrator, tenant: str) -> None:
        """Of a stack that never was there is nothing to delete, to see or to diagnose."""
        ghost = Stack(id=str(uuid.uuid4()), name="ghost", tenant=tenant, status="CREATE_COMPLETE")
        orchestrator.delete(ghost)
        assert orchestrator.observe([ghost]) == {ghost.id: None}
        diagnosis = orchestrator.diagnose(ghost)
        assert (diagnosis.resources, diagnosis.events) == ((), ())
        with pytest.raises(StackNotFound):
            orchestrator.update(ghost, self.request(tenant, name="ghost"))

    # Rejections

    @pytest.mark.parametrize(
        ("kind", "template"),
        [
            ("HTTPBadRequest", "just text"),
            ("HTTPBadRequest", "resources: {}"),
            ("HTTPBadRequest", "heat_template_version: ["),
            ("InvalidTemplateVersion", "heat_template_version: 2000-01-01"),
            ("StackValidationFailed", _VERSION + "nonsense: {}"),
            ("StackValidationFailed", _VERSION + "resources: {a: {type: 'No::Such::Type'}}"),
            ("StackValidationFailed", _VERSION + "resources: {a: {properties: {}}}"),
            ("StackValidationFailed", _VERSION + "resources: {a: {type: 'OS::Heat::Value'}}"),
            (
                "InvalidTemplateReference",
                _VERSION + "resources: {a: {type: 'OS::Heat::None', depends_on: gone}}",
            ),
            (
                "InvalidTemplateReference",
                _VERSION
                + "resources: {a: {type: 'OS::Heat::Value',"
                + " properties: {value: {get_resource: gone}}}}",
            ),
            (
                "CircularDependencyException",
                _VERSION
                + "resources: {a: {type: 'OS::Heat::None', depends_on: b},"
                + " b: {type: 'OS::Heat::None', depends_on: [a]}}",
            ),
            ("StackValidationFailed", _VERSION + "outputs: {o: {description: no value}}"),
        ],
    )
    def test_a_bad_template(
        self, orchestrator: Orchestrator, tenant: str, kind: str, template: str
    ) -> None:
        """A template that is wrong is refused under Heat's name for what is wrong."""
        assert self.rejection(orchestrator, self.request(tenant, template)).kind == kind

    @pytest.mark.parametrize(
        ("kind", "definition", "parameters"),
        [
            ("UserParameterMissing", "string", {}),
            ("UserParameterMissing", "string", {"p": None}),
            ("UnknownUserParameter", "string", {"p": "a", "q": "b"}),
            ("UnknownUserParameter", "string", {"p": "a", "q": None}),
            ("StackValidationFailed", "number", {"p": "twelve"}),
            ("StackValidationFailed", "number", {"p": [1]}),
            ("StackValidationFailed", "boolean", {"p": "perhaps"}),
            ("StackValidationFailed", "json", {"p": "{"}),
            ("StackValidationFailed", "comma_delimited_list", {"p": 3}),
            (
                "StackValidationFailed",
                "string, constraints: [{length: {min: 2, max: 3}}]",
                {"p": "four"},
            ),
            ("StackValidationFailed", "number, constraints: [{range: {min: 2}}]", {"p": 1}),
            (
                "StackValidationFailed",
                "string, constraints: [{allowed_values: [a, b]}]",
                {"p": "c"},
            ),
            (
                "StackValidationFailed",
                'string, constraints: [{allowed_pattern: "[a-z]+"}]',
                {"p": "a1"},
            ),
            (
                "StackValidationFailed",
                "number, constraints: [{modulo: {step: 2, offset: 1}}]",
                {"p": 4},
            ),
            ("InvalidSchemaError", "nonsense", {"p": "a"}),
        ],
    )
    def test_a_bad_parameter(
        self,
        orchestrator: Orchestrator,
        tenant: str,
        kind: str,
        definition: str,
        parameters: Mapping[str, Any],
    ) -> None:
        """A value that does not fit its parameter is refused under Heat's name for that."""
        request = self.request(tenant, _parameter(definition), parameters=parameters)
        assert self.rejection(orchestrator, request).kind == kind

    # Parameters

    def test_null_takes_the_default(self, orchestrator: Orchestrator, tenant: str) -> None:
        """Null for a parameter with a default is as if it were not given."""
        request = self.request(tenant, parameters={"text": None})
        stack = orchestrator.create(request)
        self.settled(orchestrator, stack)
        assert self.output_values(orchestrator, stack)["zulu"] == "one"

    @pytest.mark.parametrize(
        ("of_type", "value", "seen"),
        [
            ("string", "", ""),
            ("string", 3, "3"),
            ("string", True, "True"),
            ("string", [1, {"a": None}], "[1, {'a': None}]"),
            ("string", {"a": [True]}, "{'a': [True]}"),
            ("number", "12", 12),
            ("number", "1.50", 1.5),
            ("boolean", "yes", True),
            ("boolean", 0, False),
            ("comma_delimited_list", "a,b, c", ["a", "b", " c"]),
            ("comma_delimited_list", "", []),
            ("comma_delimited_list", ["a", 1], ["a", "1"]),
            ("json", {"a": [1]}, {"a": [1]}),
            ("json", [{"a": 1}], [{"a": 1}]),
            ("json", '{"a": 1}', {"a": 1}),
        ],
    )
    def test_what_a_parameter_becomes(
        self, orchestrator: Orchestrator, tenant: str, of_type: str, value: Any, seen: Any
    ) -> None:
        """Values are taken as Heat takes them: any JSON for a string, texts for most others."""
        request = self.request(tenant, _parameter(of_type), parameters={"p": value})
        assert self.given(orchestrator, request) == seen

    # Validate, close

    def test_validate(self, orchestrator: Orchestrator, tenant: str) -> None:
        """A template that would be accepted is; nothing is started."""
        orchestrator.validate(self.request(tenant))
        assert orchestrator.find(tenant, "net_1") is None

    def test_validate_rejects(self, orchestrator: Orchestrator, tenant: str) -> None:
        """A template that would be refused is, if only under another name."""
        template = _VERSION + "resources: {a: {type: 'No::Such::Type'}}"
        with pytest.raises(StackRejected) as caught:
            orchestrator.validate(self.request(tenant, template))
        assert caught.value.kind == "HTTPBadRequest"

    def test_validate_does_not_look_at_values(
        self, orchestrator: Orchestrator, tenant: str
    ) -> None:
        """Heat judges the values given for parameters only when it is to use them."""
        orchestrator.validate(self.request(tenant, _parameter("number"), parameters={"p": "x"}))
        orchestrator.validate(self.request(tenant, _parameter("number")))
        with pytest.raises(StackRejected) as caught:
            orchestrator.validate(self.request(tenant, _parameter("number"), parameters={"q": 1}))
        assert caught.value.kind == "UnknownUserParameter"

    def test_request_timeout(self, orchestrator: Orchestrator) -> None:
        """How long a call may take is known, so that a lease can outlast it."""
        assert orchestrator.request_timeout > 0

    def test_close_twice(self, orchestrator: Orchestrator) -> None:
        """Closing again does nothing."""
        orchestrator.close()
        orchestrator.close()
