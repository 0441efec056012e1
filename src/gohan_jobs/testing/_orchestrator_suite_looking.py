"""An orchestrator's contract: creating stacks, and looking at them."""

from __future__ import annotations

import re

import pytest

from gohan_jobs.exceptions import StackExists, StackNotFound
from gohan_jobs.orchestrators.base import Orchestrator
from gohan_jobs.testing._orchestrator_suite import (
    FAILING,
    VERSION,
    OrchestratorSuiteBase,
    slow,
)

__all__ = ["OrchestratorSuiteLooking"]


class OrchestratorSuiteLooking(OrchestratorSuiteBase):
    """Create, find, observe, outputs."""

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
        stack = orchestrator.create(self.request(tenant, slow(2), tags=("t",)))
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
        failed = orchestrator.create(self.request(tenant, FAILING))
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
        stack = orchestrator.create(self.request(tenant, VERSION + outputs))
        assert self.settled(orchestrator, stack).status == "CREATE_COMPLETE"
        bad, good = orchestrator.outputs(stack)
        assert (bad.output_value, good.output_value) == (None, "x")
        assert (bool(bad.output_error), good.output_error) == (True, None)

    def test_outputs_of_a_stack_under_way(self, orchestrator: Orchestrator, tenant: str) -> None:
        """What is not there yet is null, without an error."""
        template = slow(2) + "outputs: {o: {value: {get_attr: [slow, output]}}}"
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
        template = f"""{VERSION}
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
