"""HOT parameters and their constraints, as a real Heat 27 judged them."""

from __future__ import annotations

from typing import Any

import pytest

from gohan_jobs.exceptions import StackRejected
from gohan_jobs.orchestrators.simulated.constraints import to_boolean, to_number
from gohan_jobs.orchestrators.simulated.parameters import Parameters, parse_parameter

INVALID = "StackValidationFailed"
SCHEMA = "InvalidSchemaError"
BAD = "HTTPBadRequest"
NOT_COMPLIED = (
    "The server could not comply with the request since it is either malformed or otherwise "
    "incorrect."
)


def constrained(of_type: str, **constraint: Any) -> dict[str, Any]:
    """A definition with one constraint."""
    return {"type": of_type, "constraints": [constraint]}


def verdict(definition: Any, given: Any, version: str = "2018-08-31") -> tuple[str, Any]:
    """The value that the template sees; or Heat's name and words for what is wrong."""
    try:
        parameter = parse_parameter("p", definition, version)
        parameter.check(given)
    except StackRejected as error:
        return error.kind, error.reason
    return "", parameter.value(given)


VALUES = [
    ({"type": "string"}, "a", "a"),
    ({"type": "string", "default": "d"}, None, "d"),
    ({"type": "string", "default": "d"}, "", ""),
    ({"type": "string", "default": []}, None, "[]"),
    ({"type": "number"}, True, True),
    ({"type": "comma_delimited_list", "default": []}, None, []),
    ({"type": "comma_delimited_list"}, [1, {"a": 2}], ["1", "{'a': 2}"]),
    ({"type": "json", "default": []}, None, []),
    ({"type": "json"}, 3, 3),
    ({"type": "json"}, "3", 3),
    ({"type": "json"}, "", ""),
    ({"type": "number", "default": "abc"}, "4", 4),
    (constrained("string", length={"min": 3}), "abc", "abc"),
    (constrained("string", length={"max": 3}), "abc", "abc"),
    (constrained("string", length={"min": 2}), [1, 2], "[1, 2]"),
    (constrained("json", length={"min": 1}), '{"a": 1}', {"a": 1}),
    (constrained("number", range={"min": 1, "max": "3"}), 3, 3),
    (constrained("number", allowed_values=[1, 2]), "2", 2),
    (constrained("boolean", allowed_values=[True]), "yes", True),
    (constrained("comma_delimited_list", allowed_values=["a", "b"]), "a,b", ["a", "b"]),
    (constrained("string", allowed_pattern="[a-z]+"), "abc", "abc"),
    (constrained("number", modulo={"step": 2, "offset": 1}), 5, 5),
    (constrained("number", modulo={"step": -3, "offset": -1}), -4, -4),
    (constrained("string", custom_constraint="nova.flavor"), "m1.any", "m1.any"),
    (
        {
            "type": "comma_delimited_list",
            "default": "a,b",
            "constraints": [{"length": {"max": 2}}],
        },
        None,
        ["a", "b"],
    ),
]


@pytest.mark.parametrize(("definition", "given", "seen"), VALUES)
def test_values(definition: Any, given: Any, seen: Any) -> None:
    """Good values are converted to what the template sees."""
    assert verdict(definition, given) == ("", seen)


INT = "int() argument must be a string, a bytes-like object or a real number, not"
LIST = "Value must be a comma-delimited list string:"
CHOICES = "'0', '1', 'f', 'false', 'n', 'no', 'off', 'on', 't', 'true', 'y', 'yes'"

WRONG_VALUES = [
    ({"type": "number"}, "abc", "could not convert string to float: 'abc'"),
    ({"type": "number"}, "", "could not convert string to float: ''"),
    ({"type": "number"}, [1], f"{INT} 'list'"),
    ({"type": "number"}, {}, f"{INT} 'dict'"),
    (
        {"type": "boolean"},
        "maybe",
        f"Unrecognized value 'maybe', acceptable values are: {CHOICES}",
    ),
    ({"type": "boolean"}, [], f"Unrecognized value '[]', acceptable values are: {CHOICES}"),
    ({"type": "comma_delimited_list"}, 3, f"{LIST} 'int' object has no attribute 'split'"),
    ({"type": "comma_delimited_list"}, {}, f"{LIST} 'dict' object has no attribute 'split'"),
    (
        {"type": "json"},
        "{a",
        (
            "Value must be valid JSON: Expecting property name enclosed in double quotes: "
            "line 1 column 2 (char 1)"
        ),
    ),
    (
        constrained("string", length={"min": 3, "max": 5}),
        "ab",
        "length (2) is out of range (min: 3, max: 5)",
    ),
    (constrained("string", length={"min": 3}, description="too short"), "a", "too short"),
    (constrained("number", range={"min": 3}), 1, "1 is out of range (min: 3, max: None)"),
    (constrained("number", range={"max": 3}), "9", "9 is out of range (min: None, max: 3)"),
    (
        constrained("string", allowed_values=["a", "b"]),
        "c",
        '"c" is not an allowed value ["a", "b"]',
    ),
    (
        constrained("comma_delimited_list", allowed_values=["a", "b"]),
        "a,c",
        '["a", "c"] is not an allowed value ["a", "b"]',
    ),
    (
        constrained("string", allowed_pattern="[a-z]+"),
        "abC",
        '"abC" does not match pattern "[a-z]+"',
    ),
    (
        constrained("number", modulo={"step": 2, "offset": 1}),
        4,
        "4 is not a multiple of 2 with an offset of 1",
    ),
    (
        constrained("number", allowed_values=["x"]),
        4,
        "could not convert string to float: 'x'",
    ),
]


@pytest.mark.parametrize(("definition", "given", "reason"), WRONG_VALUES)
def test_wrong_values(definition: Any, given: Any, reason: str) -> None:
    """Wrong values are refused, in Heat's words."""
    assert verdict(definition, given) == (INVALID, f"Parameter 'p' is invalid: {reason}")


@pytest.mark.parametrize(
    ("definition", "given"),
    [
        (constrained("string", allowed_pattern="[a-z]+"), ["a"]),
        (constrained("string", length={"min": 2}), 33),
    ],
)
def test_values_heat_has_not_thought_of(definition: Any, given: Any) -> None:
    """A constraint that stumbles over a value's type gives the API's own refusal."""
    assert verdict(definition, given) == (BAD, NOT_COMPLIED)


def test_missing_values() -> None:
    """A parameter without value and default is missing; null is no value."""
    reason = "The Parameter (p) was not provided."
    assert verdict({"type": "string"}, None) == ("UserParameterMissing", reason)


WRONG_DEFINITIONS = [
    ("text", "Invalid parameter (p), expected a mapping"),
    (None, "Invalid parameter (p), expected a mapping"),
    ({"default": 1}, "Missing parameter type for parameter: p"),
    ({"type": "strin"}, "Invalid type (strin)"),
    ({"type": "string", "foo": 1}, "Invalid key 'foo' for parameter (p)"),
    (
        {"type": "string", "constraints": {"a": 1}},
        "Invalid parameter constraints for parameter p, expected a list",
    ),
    (constrained("string", foo=1), "Invalid key 'foo' for parameter constraints"),
    (constrained("string", description="words"), "No constraint expressed"),
    (
        {"type": "string", "constraints": ["x"]},
        "Invalid parameter constraints, expected a mapping",
    ),
    (
        constrained("string", length={}),
        "A length constraint must have a min value and/or a max value specified.",
    ),
    (
        constrained("number", range={}),
        "A range constraint must have a min value and/or a max value specified.",
    ),
    (constrained("number", range={"low": 1}), "Invalid key 'low' for range constraint"),
    (constrained("number", range=3), "Invalid range constraint, expected a mapping"),
    (constrained("string", allowed_values="a"), "AllowedValues must be a list"),
    (constrained("string", allowed_pattern=3), "AllowedPattern must be a string"),
    (
        constrained("string", allowed_pattern="["),
        "AllowedPattern is no regular expression: unterminated character set at position 0",
    ),
    (
        constrained("number", modulo={"step": 2}),
        "A modulo constraint must have a step value and an offset value specified.",
    ),
    (constrained("number", modulo={"step": 0, "offset": 1}), "step cannot be 0."),
    (
        constrained("number", modulo={"step": 2, "offset": 2}),
        "offset must be smaller (by absolute value) than step.",
    ),
    (
        constrained("number", modulo={"step": 2, "offset": -1}),
        "step and offset must be both positive or both negative.",
    ),
]


@pytest.mark.parametrize(("definition", "reason"), WRONG_DEFINITIONS)
def test_wrong_definitions(definition: Any, reason: str) -> None:
    """Wrong definitions are refused whatever the value is."""
    assert verdict(definition, "a") == (SCHEMA, reason)


WRONG_TOGETHER = [
    (constrained("string", range={"min": 3}), "Range constraint invalid for string"),
    (
        {"type": "number", "default": 1, "constraints": [{"range": {"min": 3}}]},
        "Invalid default 1 (1 is out of range (min: 3, max: None))",
    ),
    (
        {
            "type": "comma_delimited_list",
            "default": 3,
            "constraints": [{"length": {"min": 3}}],
        },
        f"Invalid default 3 ({LIST} 'int' object has no attribute 'split')",
    ),
]


@pytest.mark.parametrize(("definition", "reason"), WRONG_TOGETHER)
def test_definitions_that_contradict_themselves(definition: Any, reason: str) -> None:
    """A constraint must fit the type, and a default the constraints."""
    assert verdict(definition, 4) == (SCHEMA, f"Parameter 'p' is invalid: {reason}")


def test_a_default_of_the_wrong_type_matters_only_when_used() -> None:
    """Heat converts a default when it needs it, not before."""
    definition = {"type": "number", "default": "abc"}
    reason = "Parameter 'p' is invalid: could not convert string to float: 'abc'"
    assert verdict(definition, None) == (INVALID, reason)


@pytest.mark.parametrize(
    ("definition", "reason"),
    [
        (constrained("number", modulo={"step": 2, "offset": 1}), "No constraint expressed"),
        ({"type": "string", "tags": ["a"]}, "Invalid key 'tags' for parameter (p)"),
    ],
)
def test_what_older_versions_do_not_know(definition: Any, reason: str) -> None:
    """Tags and modulo came with later template versions."""
    assert verdict(definition, 4, "2013-05-23") == (SCHEMA, reason)
    assert verdict({"type": "string", "tags": ["a"]}, "a") == ("", "a")


def test_parameters_of_a_stack() -> None:
    """A stack's values are those given, defaults, and the pseudo parameters."""
    definitions = {
        "a": parse_parameter("a", {"type": "string"}, "2018-08-31"),
        "b": parse_parameter("b", {"type": "number", "default": 3}, "2018-08-31"),
    }
    parameters = Parameters(definitions, {"a": "x"}, {"OS::stack_name": "net"})
    parameters.check()
    assert dict(parameters) == {"OS::stack_name": "net", "a": "x", "b": 3}
    assert len(parameters) == 3
    assert parameters.shown() == {"OS::stack_name": "net", "a": "x", "b": "3"}


def test_secrets_are_not_in_a_repr() -> None:
    """Neither values nor defaults show in a repr."""
    definition = parse_parameter("a", {"type": "string", "default": "hush"}, "2018-08-31")
    assert "hush" not in repr(definition)
    assert "s3cr3t" not in repr(Parameters({"a": definition}, {"a": "s3cr3t"}, {}))


@pytest.mark.parametrize(
    ("text", "seen"), [("12", 12), ("1.50", 1.5), (3, 3), (2.5, 2.5), ("1e3", 1000.0)]
)
def test_numbers(text: Any, seen: float) -> None:
    """Numbers may be given as text."""
    assert to_number(text) == seen


@pytest.mark.parametrize(
    ("given", "seen"), [(" On ", True), ("t", True), (1, True), ("N", False), (0, False)]
)
def test_booleans(given: Any, seen: bool) -> None:  # noqa: FBT001 - the expectation
    """Heat takes many words for a boolean."""
    assert to_boolean(given) is seen
