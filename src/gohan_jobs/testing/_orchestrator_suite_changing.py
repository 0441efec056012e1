"""An orchestrator's contract: failures, updates and deletes."""

from __future__ import annotations

import uuid

import pytest

from gohan_jobs.exceptions import StackNotFound, StackRejected
from gohan_jobs.orchestrators.base import Orchestrator, Stack
from gohan_jobs.testing._orchestrator_suite import (
    FAILING,
    OrchestratorSuiteBase,
    slow,
)

__all__ = ["OrchestratorSuiteChanging"]


class OrchestratorSuiteChanging(OrchestratorSuiteBase):
    """Failures, update, delete."""

    def test_a_failing_resource(self, orchestrator: Orchestrator, tenant: str) -> None:
        """A resource that fails fails the stack, which says why."""
        stack = self.settled(orchestrator, orchestrator.create(self.request(tenant, FAILING)))
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
        request = self.request(tenant, slow(1000), timeout_mins=self.time_limit_mins)
        stack = self.settled(orchestrator, orchestrator.create(request))
        assert (stack.status, stack.status_reason) == ("CREATE_FAILED", "Timed out")

    def test_an_update_of_a_failed_stack(self, orchestrator: Orchestrator, tenant: str) -> None:
        """A failed stack is updated as any other, and is well then."""
        stack = self.settled(orchestrator, orchestrator.create(self.request(tenant, FAILING)))
        orchestrator.update(stack, self.request(tenant))
        settled = self.settled(orchestrator, stack)
        assert (settled.status, settled.id) == ("UPDATE_COMPLETE", stack.id)
        assert self.output_values(orchestrator, stack)["zulu"] == "one"

    def test_an_update_that_fails_again(self, orchestrator: Orchestrator, tenant: str) -> None:
        """The failed resource is created anew, so the reason speaks of a create."""
        stack = self.settled(orchestrator, orchestrator.create(self.request(tenant, FAILING)))
        orchestrator.update(stack, self.request(tenant, FAILING))
        settled = self.settled(orchestrator, stack)
        assert settled.status == "UPDATE_FAILED"
        assert settled.status_reason == (
            "Resource CREATE failed: ValueError: resources.bad: Test Resource failed bad"
        )

    def test_an_update_that_makes_a_resource_fail(
        self, orchestrator: Orchestrator, tenant: str
    ) -> None:
        """A resource that was well and is updated in place fails as an update."""
        well = FAILING.replace("fail: true", "fail: false, value: a")
        stack = self.settled(orchestrator, orchestrator.create(self.request(tenant, well)))
        ill = FAILING.replace("fail: true", "fail: true, value: b")
        orchestrator.update(stack, self.request(tenant, ill))
        settled = self.settled(orchestrator, stack)
        assert (settled.status, settled.status_reason) == (
            "UPDATE_FAILED",
            "Resource UPDATE failed: ValueError: resources.bad: Test Resource failed bad",
        )

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
        stack = orchestrator.create(self.request(tenant, slow(2), tags=("1",)))
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
        template = slow(0).replace("create: 0", "delete: 3")
        stack = self.settled(orchestrator, orchestrator.create(self.request(tenant, template)))
        orchestrator.delete(stack)
        with pytest.raises(StackNotFound):
            orchestrator.update(stack, self.request(tenant))

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
        stack = orchestrator.create(self.request(tenant, slow(2)))
        orchestrator.delete(stack)
        assert self.settle(orchestrator, stack) is None

    def test_delete_of_a_failed_stack(self, orchestrator: Orchestrator, tenant: str) -> None:
        """A failed stack is deleted as any other."""
        stack = self.settled(orchestrator, orchestrator.create(self.request(tenant, FAILING)))
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
