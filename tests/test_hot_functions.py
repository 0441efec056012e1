"""HOT's functions, resolved as a real Heat 27 resolved them."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from gohan_jobs.exceptions import StackRejected
from gohan_jobs.orchestrators.simulated.functions import (
    Reference,
    check_functions,
    find_call,
    references,
    resolve,
)

PARAMETERS = {"text": "hello", "tree": {"a": [1, {"b": "c"}], "none": None}, "list": ["x", "y"]}


@attrs.frozen
class Scope:
    """Parameters, and one resource with attributes."""

    version: str = "2018-08-31"

    def parameter(self, name: str) -> Any:
        """A parameter's value."""
        return PARAMETERS[name]

    def reference(self, resource: str) -> str:
        """A resource's id."""
        return f"id-of-{resource}"

    def attribute(self, resource: str, name: str | None) -> Any:
        """A resource's attributes."""
        attributes = {"value": PARAMETERS["tree"], "link": "http://x"}
        return attributes if name is None else attributes.get(name)


RESULTS = [
    ("plain", "plain"),
    ([1, {"a": None, "b": True}], [1, {"a": None, "b": True}]),
    ({"get_param": "text"}, "hello"),
    ({"get_param": ["text"]}, "hello"),
    ({"get_param": ["tree", "a", 1, "b"]}, "c"),
    ({"get_param": ["tree", "a", "1", "b"]}, "c"),
    ({"get_param": ["tree", "zz"]}, ""),
    ({"get_param": ["tree", "zz", "y"]}, ""),
    ({"get_param": ["tree", "a", "x"]}, ""),
    ({"get_param": ["tree", "none"]}, None),
    ({"get_resource": "v"}, "id-of-v"),
    ({"get_attr": ["v", "link"]}, "http://x"),
    ({"get_attr": ["v", "value", "a", 1, "b"]}, "c"),
    ({"get_attr": ["v", "value", "a", "1", "b"]}, None),
    ({"get_attr": ["v", "value", "zz"]}, None),
    ({"get_attr": ["v", "none", "zz"]}, None),
    ({"get_attr": ["v"]}, {"value": PARAMETERS["tree"], "link": "http://x"}),
    ({"str_replace": {"template": "a $x b", "params": {"$x": {"get_param": "text"}}}}, "a hello b"),
    ({"str_replace": {"template": "a $x $xy b", "params": {"$x": "$xy", "$xy": 2}}}, "a $xy 2 b"),
    (
        {"str_replace": {"template": "$x", "params": {"$x": {"b": 1, "a": [2]}}}},
        '{"a": [2], "b": 1}',
    ),
    ({"str_replace": {"template": "[$x]", "params": {"$x": None}}}, "[]"),
    ({"str_replace": {"template": "$x", "params": {"$x": True}}}, "True"),
    ({"list_join": [",", ["a", None, {"get_param": "text"}]]}, "a,,hello"),
    ({"list_join": ["-", ["a"], {"get_param": "list"}, None]}, "a-x-y"),
    ({"list_join": ["", [{"b": 1, "a": []}]]}, '{"a": [], "b": 1}'),
    ({"str_split": [",", "a,b"]}, ["a", "b"]),
    ({"str_split": [",", "a,b", "1"]}, "b"),
    ({"str_split": [",", None]}, None),
    ({"map_merge": [{"a": 1, "b": 1}, {"b": 2}, None]}, {"a": 1, "b": 2}),
    (
        {"repeat": {"template": {"$i": ["x$i", 3]}, "for_each": {"$i": ["a", "b"]}}},
        [{"a": ["xa", 3]}, {"b": ["xb", 3]}],
    ),
    (
        {"repeat": {"template": "$i$j", "for_each": {"$i": ["a", "b"], "$j": {"c": 1}}}},
        ["ac", "bc"],
    ),
    ({"repeat": {"template": "$i", "for_each": {"$i": None}}}, []),
    ({"not_a_function": [1]}, {"not_a_function": [1]}),
    ({"get_param": "text", "beside": 1}, {"get_param": "text", "beside": 1}),
]


@pytest.mark.parametrize(("value", "seen"), RESULTS)
def test_results(value: Any, seen: Any) -> None:
    """What each function gives."""
    assert resolve(value, Scope()) == seen


FAILURES = [
    ({"get_param": []}, 'Function "get_param" must have arguments'),
    ({"get_param": 3}, 'Argument to "get_param" must be string or list'),
    ({"get_param": [3]}, 'Parameter name in "get_param" must be string'),
    ({"get_param": "none"}, "The Parameter (none) was not provided."),
    (
        {"str_replace": {"template": 3, "params": {"a": "b"}}},
        '"str_replace" template must be a string',
    ),
    (
        {"str_replace": {"template": "x", "params": {"get_param": "list"}}},
        '"str_replace" params must be a map',
    ),
    ({"list_join": [",", ["a", 1]]}, "Items to join must be string, map or list not 1"),
    ({"list_join": [",", "text"]}, '"list_join" must operate on a list'),
    ({"list_join": [1, ["a"]]}, '"list_join" delimiter must be a string'),
    ({"str_split": [",", "a", 4]}, 'Incorrect index to "str_split" should be between 0 and 0'),
    (
        {"map_merge": [1]},
        (
            "Incorrect arguments: Items to merge must be maps. "
            "1 is type <class 'int'> instead of a dict"
        ),
    ),
    (
        {"repeat": {"template": "x", "for_each": {"a": "b"}}},
        'The values of the "for_each" argument to "repeat" must be lists or maps',
    ),
    (
        {"repeat": {"template": "$i", "for_each": {"$i": [1]}}},
        "replace() argument 2 must be str, not int",
    ),
]


@pytest.mark.parametrize(("value", "reason"), FAILURES)
def test_failures(value: Any, reason: str) -> None:
    """What can't be resolved fails in Heat's words."""
    with pytest.raises((StackRejected, TypeError, ValueError)) as caught:
        resolve(value, Scope())
    assert str(caught.value) == reason


OLDER = [
    (
        {"str_replace": {"template": "$x", "params": {"$x": [1]}}},
        '"str_replace" params must be strings or numbers, param $x is not valid',
    ),
    ({"list_join": [",", ["a", 1]]}, "Items to join must be strings not 1"),
]


@pytest.mark.parametrize(("value", "reason"), OLDER)
def test_older_versions_take_texts_only(value: Any, reason: str) -> None:
    """Before 2015-10-15 neither lists nor mappings are written as JSON."""
    with pytest.raises(TypeError) as caught:
        resolve(value, Scope("2013-05-23"))
    assert str(caught.value) == reason


@pytest.mark.parametrize(
    ("name", "version"),
    [("repeat", "2014-10-16"), ("str_split", "2015-04-30"), ("map_merge", "2015-10-15")],
)
def test_functions_a_version_has_not_are_data(name: str, version: str) -> None:
    """A function of a later version is a mapping like any other."""
    assert find_call({name: [1]}, version) is None
    assert resolve({name: [1]}, Scope(version)) == {name: [1]}


@pytest.mark.parametrize("name", ["yaql", "get_file", "if", "digest"])
def test_functions_that_are_not_simulated(name: str) -> None:
    """What Heat knows and the simulator does not is refused by name."""
    with pytest.raises(StackRejected, match=f'no "{name}"') as caught:
        find_call({name: "x"}, "2018-08-31")
    assert caught.value.kind == "NotSupported"
    assert find_call({"yaql": "x"}, "2013-05-23") is None


MALFORMED = [
    ({"get_attr": "a"}, "2013-05-23", 'Argument to "get_attr" must be a list'),
    (
        {"get_attr": ["b"]},
        "2013-05-23",
        'Arguments to "get_attr" must be of the form [resource_name, attribute, (path), ...]',
    ),
    ({"str_replace": "x"}, "2018-08-31", 'Arguments to "str_replace" must be a map'),
    (
        {"str_replace": {"template": "x"}},
        "2018-08-31",
        '"str_replace" syntax should be str_replace: {template: …, params: {…}}',
    ),
    (
        {"str_replace": {"template": "x", "params": "y"}},
        "2018-08-31",
        '"str_replace" parameters must be a mapping',
    ),
    (
        {"list_join": [","]},
        "2018-08-31",
        'Incorrect arguments to "list_join" should be: "list_join" : [ " ", [ "str1", "str2"] ...]',
    ),
    (
        {"list_join": [",", [], []]},
        "2013-05-23",
        'Incorrect arguments to "list_join" should be: "list_join" : [ " ", [ "str1", "str2"]]',
    ),
    (
        {"str_split": "x"},
        "2018-08-31",
        (
            'Incorrect arguments to "str_split" should be: '
            '"str_split" : [ ",", "apples,pears", <index>]'
        ),
    ),
    (
        {"map_merge": {}},
        "2018-08-31",
        (
            'Incorrect arguments to "map_merge" should be: '
            '"map_merge" : [ { "key1": "val1" }, { "key2": "val2" } ]'
        ),
    ),
    ({"repeat": "x"}, "2018-08-31", 'Arguments to "repeat" must be a map'),
    (
        {"repeat": {"template": "x"}},
        "2018-08-31",
        '"repeat" syntax should be repeat: {template: …, for_each: {…}}',
    ),
    (
        {"repeat": {"template": "x", "for_each": []}},
        "2018-08-31",
        'The "for_each" argument to "repeat" must contain a map',
    ),
]


@pytest.mark.parametrize(("value", "version", "reason"), MALFORMED)
def test_malformed_calls(value: Any, version: str, reason: str) -> None:
    """Arguments of the wrong shape are refused with their place, before anything is resolved."""
    with pytest.raises(StackRejected) as caught:
        check_functions([{"deep": value}], ["outputs", "o"], version)
    assert caught.value.reason == f"outputs.o.0.deep.{next(iter(value))}: {reason}"


@pytest.mark.parametrize("value", [value for value, _ in RESULTS])
def test_well_formed_calls(value: Any) -> None:
    """What can be resolved is well formed."""
    check_functions(value, ["outputs", "o"], "2018-08-31")


def test_references() -> None:
    """Every reference is found, with the place where Heat says it stands."""
    value = {
        "a": [{"get_resource": "r"}],
        "b": {"list_join": ["", [{"get_attr": ["s", "x", 0]}]]},
        "c": {"get_attr": ["t"]},
    }
    assert list(references(value, "2018-08-31", "v.Properties")) == [
        Reference("get_resource", "r", None, "v.Properties.a[0]"),
        Reference("get_attr", "s", "x", "v.Properties.b.list_join[1][0]"),
        Reference("get_attr", "t", None, "v.Properties.c"),
    ]
