"""An orchestrator's contract: which requests are taken, and which refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from gohan_jobs.exceptions import StackRejected
from gohan_jobs.orchestrators.base import Orchestrator
from gohan_jobs.testing._orchestrator_suite import (
    VERSION,
    OrchestratorSuiteBase,
    parameter_template,
)

__all__ = ["OrchestratorSuiteJudging"]


class OrchestratorSuiteJudging(OrchestratorSuiteBase):
    """Rejections, parameters, validation."""

    @pytest.mark.parametrize(
        ("kind", "template"),
        [
            ("HTTPBadRequest", "just text"),
            ("HTTPBadRequest", "resources: {}"),
            ("HTTPBadRequest", "heat_template_version: ["),
            ("InvalidTemplateVersion", "heat_template_version: 2000-01-01"),
            ("StackValidationFailed", VERSION + "nonsense: {}"),
            ("StackValidationFailed", VERSION + "resources: {a: {type: 'No::Such::Type'}}"),
            ("StackValidationFailed", VERSION + "resources: {a: {properties: {}}}"),
            ("StackValidationFailed", VERSION + "resources: {a: {type: 'OS::Heat::Value'}}"),
            (
                "InvalidTemplateReference",
                VERSION + "resources: {a: {type: 'OS::Heat::None', depends_on: gone}}",
            ),
            (
                "InvalidTemplateReference",
                VERSION
                + "resources: {a: {type: 'OS::Heat::Value',"
                + " properties: {value: {get_resource: gone}}}}",
            ),
            (
                "CircularDependencyException",
                VERSION
                + "resources: {a: {type: 'OS::Heat::None', depends_on: b},"
                + " b: {type: 'OS::Heat::None', depends_on: [a]}}",
            ),
            ("StackValidationFailed", VERSION + "outputs: {o: {description: no value}}"),
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
        request = self.request(tenant, parameter_template(definition), parameters=parameters)
        assert self.rejection(orchestrator, request).kind == kind

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
        request = self.request(tenant, parameter_template(of_type), parameters={"p": value})
        assert self.given(orchestrator, request) == seen

    def test_validate(self, orchestrator: Orchestrator, tenant: str) -> None:
        """A template that would be accepted is; nothing is started."""
        orchestrator.validate(self.request(tenant))
        assert orchestrator.find(tenant, "net_1") is None

    def test_validate_rejects(self, orchestrator: Orchestrator, tenant: str) -> None:
        """A template that would be refused is, if only under another name."""
        template = VERSION + "resources: {a: {type: 'No::Such::Type'}}"
        with pytest.raises(StackRejected) as caught:
            orchestrator.validate(self.request(tenant, template))
        assert caught.value.kind == "HTTPBadRequest"

    def test_validate_does_not_look_at_values(
        self, orchestrator: Orchestrator, tenant: str
    ) -> None:
        """Heat judges the values given for parameters only when it is to use them."""
        orchestrator.validate(
            self.request(tenant, parameter_template("number"), parameters={"p": "x"})
        )
        orchestrator.validate(self.request(tenant, parameter_template("number")))
        with pytest.raises(StackRejected) as caught:
            orchestrator.validate(
                self.request(tenant, parameter_template("number"), parameters={"q": 1})
            )
        assert caught.value.kind == "UnknownUserParameter"

    def test_request_timeout(self, orchestrator: Orchestrator) -> None:
        """How long a call may take is known, so that a lease can outlast it."""
        assert orchestrator.request_timeout > 0

    def test_close_twice(self, orchestrator: Orchestrator) -> None:
        """Closing again does nothing."""
        orchestrator.close()
        orchestrator.close()
