"""HOT templates, judged as a real Heat 27 judged them."""

from __future__ import annotations

from typing import Any

import pytest

from gohan_jobs.clock import VirtualClock
from gohan_jobs.exceptions import StackRejected
from gohan_jobs.orchestrators.base import StackRequest
from gohan_jobs.orchestrators.simulated import SimulatedHeat
from gohan_jobs.orchestrators.simulated.resource_types import ResourceType, find_type
from gohan_jobs.orchestrators.simulated.template import parse_template

V = "heat_template_version: 2018-08-31\n"
OLD = "heat_template_version: 2013-05-23\n"
INVALID = "StackValidationFailed"
FORMAT = "Template not in valid format: "
VALUE = "{type: OS::Heat::Value, properties: {value: x}}"
PROPERTY = "Property error: resources.a.properties"


def value_of(expression: str) -> str:
    """A template with one resource whose value is an expression."""
    return f"{V}resources: {{a: {{type: OS::Heat::Value, properties: {{value: {expression}}}}}}}"


def with_test_resource(properties: str) -> str:
    """A template with one test resource."""
    return f"{V}resources: {{a: {{type: OS::Heat::TestResource, properties: {properties}}}}}"


def verdict(template: str, parameters: dict[str, Any] | None = None) -> tuple[str, str]:
    """Heat's name and words for what is wrong; empty if nothing is."""
    heat = SimulatedHeat(VirtualClock())
    request = StackRequest(name="net", tenant="t", template=template, parameters=parameters or {})
    try:
        heat.create(request)
    except StackRejected as error:
        return error.kind, error.reason
    return "", ""


GOOD = [
    "heat_template_version: 2018-08-31",
    "heat_template_version: rocky",
    "heat_template_version: 2013-05-23\nresources:\noutputs:\nparameters:\n",
    '{"heat_template_version": "2018-08-31", "outputs": {"a": {"value": 1}}}',
    V + "outputs: {o: {value: x, whatever: 1}}",
    V + "outputs: {o: {value: {get_resource: nope}}}",
    V + "outputs: {o: {value: {get_param: nope}}}",
    V + "resources: {a: {type: OS::Contrail::Anything, properties: {any: 1}}}",
    V + f"resources: {{v: {VALUE}, a: {{type: OS::Heat::None, depends_on: [v], metadata: {{}}}}}}",
    V + f"resources: {{v: {VALUE}}}\noutputs: {{o: {{value: {{get_attr: [v, show]}}}}}}",
    V + "parameter_groups: []\ndescription: words",
    with_test_resource(
        "{fail: 'True', wait_secs: '3', value: null, action_wait_secs: {create: 1}}"
    ),
]


@pytest.mark.parametrize("template", GOOD)
def test_good_templates(template: str) -> None:
    """What Heat takes is taken."""
    assert verdict(template) == ("", "")


WRONG = [
    ("text", "HTTPBadRequest", FORMAT + "The template is not a JSON object or YAML mapping."),
    ("", "HTTPBadRequest", FORMAT + "Template format version not found."),
    ("resources: {}", "HTTPBadRequest", FORMAT + "Template format version not found."),
    (
        "heat_template_version: 3",
        "InvalidTemplateVersion",
        "The template version is invalid: Template version was not provided",
    ),
    (
        "AWSTemplateFormatVersion: 2010-09-09",
        "InvalidTemplateVersion",
        "The template version is invalid: Template version was not provided",
    ),
    (V + "foo: {}", INVALID, "The template section is invalid: foo"),
    (
        V + "conditions: {}",
        "NotSupported",
        'The simulator has no "conditions": it is not supported.',
    ),
    (
        V + "resources: {a: {type: OS::Heat::None, condition: x}}",
        "NotSupported",
        'The simulator has no "condition": it is not supported.',
    ),
    (
        V + "resources: {a: {type: No::Such::Type}}",
        INVALID,
        "The Resource Type (No::Such::Type) could not be found.",
    ),
    (
        V + "resources: {a: {type: OS::Heat::Nonsense}}",
        INVALID,
        "The Resource Type (OS::Heat::Nonsense) could not be found.",
    ),
    (V + "resources: {a: {properties: {}}}", INVALID, "Each resource must contain a type key."),
    (V + "resources: {a: }", INVALID, "Each resource must contain a type key."),
    (V + "resources: {a: {type: 3}}", INVALID, "Resource a type type must be string"),
    (
        V + "resources: {a: {type: OS::Heat::None, foo: 1}}",
        INVALID,
        '"foo" is not a valid keyword inside a resource definition',
    ),
    (
        V + "resources: {a: hello}",
        INVALID,
        "\"resources\" must contain a map of resource maps. Found a [<class 'str'>] instead",
    ),
    (V + "resources: hello", INVALID, "'str' object has no attribute 'items'"),
    (
        value_of("{get_resource: nope}"),
        "InvalidTemplateReference",
        'The specified reference "nope" (in a.Properties.value) is incorrect.',
    ),
    (
        value_of("{get_attr: [nope, x]}"),
        "InvalidTemplateReference",
        'The specified reference "nope" (in a.Properties.value) is incorrect.',
    ),
    (
        V
        + f"resources: {{v: {VALUE}, a: {{type: OS::Heat::Value,"
        + " properties: {value: {get_attr: [v, x]}}}}",
        INVALID,
        "resources.a.properties.value.get_attr: The Referenced Attribute (v x) is incorrect.",
    ),
    (
        V + "resources: {a: {type: OS::Heat::None, depends_on: nope}}",
        "InvalidTemplateReference",
        'The specified reference "nope" (in a) is incorrect.',
    ),
    (
        V + "resources: {a: {type: OS::Heat::None, depends_on: 3}}",
        INVALID,
        "Resource a depends_on type must be list or string",
    ),
    (
        V + "resources: {a: {type: OS::Heat::None, depends_on: [3]}}",
        INVALID,
        "Resource a depends_on must be a list of strings",
    ),
    (
        V + "resources: {a: {type: OS::Heat::None, depends_on: a}}",
        "CircularDependencyException",
        "Circular Dependency Found: a",
    ),
    (
        V + f"resources: {{v: {VALUE}}}\noutputs: {{o: {{value: {{get_attr: [nope, x]}}}}}}",
        INVALID,
        'outputs.o.value.get_attr: The specified reference "nope" (in unknown) is incorrect.',
    ),
    (
        V + f"resources: {{v: {VALUE}}}\noutputs: {{o: {{value: {{get_attr: [v, x]}}}}}}",
        INVALID,
        "outputs.o.value.get_attr: The Referenced Attribute (v x) is incorrect.",
    ),
    (
        V + "outputs: {o: {description: x}}",
        INVALID,
        "Output validation error: outputs.o: Each output definition must contain a value key.",
    ),
    (
        V + "outputs: {o: hello}",
        INVALID,
        (
            "Output validation error: outputs.o: Output definitions must be a map. "
            "Found a str instead"
        ),
    ),
    (
        value_of("{get_param: nope}"),
        INVALID,
        f"{PROPERTY}.value: The Parameter (nope) was not provided.",
    ),
    (
        V + "resources: {a: {type: OS::Heat::Value, properties: {foo: 1}}}",
        INVALID,
        f"{PROPERTY}: Unknown Property foo",
    ),
    (
        V + "resources: {a: {type: OS::Heat::Value}}",
        INVALID,
        f"{PROPERTY}: Property value not assigned",
    ),
    (
        V + "resources: {a: {type: OS::Heat::Value, properties: x}}",
        INVALID,
        "Resource a properties type must be object",
    ),
    (
        with_test_resource("{wait_secs: abc}"),
        INVALID,
        f"{PROPERTY}.wait_secs: could not convert string to float: 'abc'",
    ),
    (
        with_test_resource("{fail: maybe}"),
        INVALID,
        f'{PROPERTY}.fail: "maybe" is not a valid boolean',
    ),
    (
        with_test_resource("{action_wait_secs: x}"),
        INVALID,
        f'{PROPERTY}.action_wait_secs: "x" is not a map',
    ),
    (
        V + "resources: {a: {type: OS::Heat::RandomString, properties: {length: 1000}}}",
        INVALID,
        f"{PROPERTY}.length: 1000 is out of range (min: 1, max: 512)",
    ),
    (
        V + "resources: {a: {type: OS::Heat::RandomString, properties: {length: x}}}",
        INVALID,
        f"{PROPERTY}.length: Value 'x' is not an integer",
    ),
    (
        value_of("{list_join: [',', [a, 1]]}"),
        INVALID,
        f"{PROPERTY}.value: Items to join must be string, map or list not 1",
    ),
    (
        V + "parameters: hello",
        "AttributeError",
        (
            "The server could not comply with the request since it is either malformed or "
            "otherwise incorrect."
        ),
    ),
    (
        V + f"parameters: {{v: {{type: string, default: a}}}}\nresources: {{v: {VALUE}}}",
        INVALID,
        "Duplicate names {'v'}",
    ),
]


@pytest.mark.parametrize(("template", "kind", "reason"), WRONG)
def test_wrong_templates(template: str, kind: str, reason: str) -> None:
    """What Heat refuses is refused, under its name and in its words."""
    assert verdict(template) == (kind, reason)


@pytest.mark.parametrize(
    "template", ["heat_template_version: [", V + "x: &a [*a]", V + "x: !!set {a}"]
)
def test_text_that_is_no_document(template: str) -> None:
    """What can't be parsed, or not be sent on as JSON, is a bad request."""
    kind, reason = verdict(template)
    assert (kind, reason[: len(FORMAT)]) == ("HTTPBadRequest", FORMAT)


def test_an_unknown_version_names_the_known_ones() -> None:
    """The refusal of a version says which there are."""
    kind, reason = verdict("heat_template_version: 2000-01-01")
    assert kind == "InvalidTemplateVersion"
    assert '"heat_template_version: 2000-01-01". "heat_template_version" should be' in reason
    assert "2018-08-31" in reason


def test_parse() -> None:
    """A parsed template has its parts in order, resources after those they require."""
    template = parse_template(
        OLD
        + "description: words\n"
        + "parameters: {b: {type: string}, a: {type: json}}\n"
        + "resources:\n"
        + "  late: {type: OS::Heat::None, depends_on: [mid]}\n"
        + "  mid: {type: OS::Heat::Value, properties: {value: {get_resource: early}}}\n"
        + f"  early: {VALUE}\n"
        + "outputs: {z: {value: 1, description: last}, 7: {value: 2}}\n"
    )
    assert (template.version, template.description) == ("2013-05-23", "words")
    assert list(template.parameters) == ["b", "a"]
    assert list(template.resources) == ["early", "mid", "late"]
    assert template.resources["late"].requires == {"mid": "late"}
    assert template.resources["mid"].requires == {"early": "mid.Properties.value"}
    assert [(o.name, o.description) for o in template.outputs.values()] == [
        ("z", "last"),
        ("7", "No description given"),
    ]


def test_a_releases_name_is_a_version() -> None:
    """Heat takes the names of releases."""
    assert parse_template("heat_template_version: queens").version == "2018-03-02"


def test_dates_stay_text() -> None:
    """YAML's dates are texts to Heat."""
    document = parse_template(V + "description: 2020-01-01").document
    assert document["description"] == "2020-01-01"


def test_types() -> None:
    """Namespaces are patterns; Heat's own types must be known ones."""
    assert find_type("My::Thing", ["My::*"]) == ResourceType(name="My::Thing")
    with pytest.raises(StackRejected):
        find_type("OS::Nova::Server", ["My::*"])
