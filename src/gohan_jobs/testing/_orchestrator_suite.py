"""What the tests of an orchestrator share: templates, a project of their own, and patience."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping
from typing import Any

import pytest

from gohan_jobs.exceptions import StackRejected
from gohan_jobs.orchestrators.base import Orchestrator, Stack, StackRequest

__all__ = ["FAILING", "VALUE", "VERSION", "OrchestratorSuiteBase", "parameter_template", "slow"]

VERSION = "heat_template_version: 2018-08-31\n"

VALUE = f"""{VERSION}
parameters:
  text: {{type: string, default: one}}
resources:
  v: {{type: "OS::Heat::Value", properties: {{value: {{get_param: text}}}}}}
outputs:
  zulu: {{description: the value, value: {{get_attr: [v, value]}}}}
  alpha: {{value: {{get_resource: v}}}}
  mike: {{value: [1, {{a: null}}]}}
"""

FAILING = f"""{VERSION}
resources:
  bad: {{type: "OS::Heat::TestResource", properties: {{fail: true}}}}
outputs:
  id: {{value: {{get_resource: bad}}}}
"""


def slow(seconds: float) -> str:
    """A template whose create takes some seconds."""
    return f"""{VERSION}
resources:
  slow:
    type: OS::Heat::TestResource
    properties: {{action_wait_secs: {{create: {seconds}}}}}
"""


def parameter_template(of_type: str) -> str:
    """A template that gives its parameter back; the type may bring constraints along."""
    return f"""{VERSION}
parameters:
  p: {{type: {of_type}}}
outputs:
  o: {{value: {{get_param: p}}}}
"""


class OrchestratorSuiteBase:
    """What the tests of an orchestrator share.

    Attributes:
        time_limit_mins: the time limit asked for by the test of time limits; None to leave it to
            the orchestrator's own.
        patience: seconds after which a stack that has not settled fails a test.
    """

    time_limit_mins: int | None = 1
    patience: float = 90.0

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

    def request(self, tenant: str, template: str = VALUE, **more: Any) -> StackRequest:
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
        """What the template of :func:`parameter_template` is given for a value."""
        stack = orchestrator.create(request)
        assert self.settled(orchestrator, stack).status == "CREATE_COMPLETE"
        return self.output_values(orchestrator, stack)["o"]
