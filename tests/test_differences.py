"""What changed between two documents, told without their secrets."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gohan_jobs.inspection.differences import Difference, DifferenceKind, differences
from gohan_jobs.redaction import Redactor


def lines(before: Any, after: Any, **more: Any) -> list[tuple[str, str, Any, Any]]:
    """The differences, each as what, where, before and after."""
    return [
        (each.kind.value, each.path, each.before, each.after)
        for each in differences(before, after, **more)
    ]


@pytest.mark.parametrize("value", [{"a": [1, {"b": None}]}, [], 1, None, "x"])
def test_the_same_is_no_difference(value: Any) -> None:
    """Nothing is told of what is as it was."""
    assert () == differences(value, json.loads(json.dumps(value)))


def test_order_of_keys_does_not_count() -> None:
    """An object is the same in any order."""
    assert () == differences({"a": 1, "b": 2}, {"b": 2, "a": 1})


def test_parts_that_changed() -> None:
    """Each innermost part is told by itself, with its path."""
    before = {"name": "blue", "gone": 1, "list": [1, 2, 3], "deep": {"a": {"b": 1}}}
    after = {"name": "green", "list": [1, 5], "deep": {"a": {"b": 1, "c": None}}}
    assert [
        ("changed", "$.name", "blue", "green"),
        ("removed", "$.gone", 1, None),
        ("changed", "$.list[1]", 2, 5),
        ("removed", "$.list[2]", 3, None),
        ("added", "$.deep.a.c", None, None),
    ] == lines(before, after)
    assert [("added", "$[1]", None, 2)] == lines([1], [1, 2])


@pytest.mark.parametrize(("before", "after"), [(1, True), (1, 1.0), ({}, []), ("1", 1), (None, 0)])
def test_types_count(before: Any, after: Any) -> None:
    """What Python takes for equal is not equal in JSON."""
    expected = Difference(kind=DifferenceKind.CHANGED, path="$", before=before, after=after)
    assert (expected,) == differences(before, after)


def test_secrets_are_masked() -> None:
    """A changed secret is told, and not shown; nor is it where else it stands."""
    before = {"password": "hunter22", "note": "it was hunter22"}
    after = {"password": "swordfish", "note": "it is swordfish, no more hunter22"}
    assert [
        ("changed", "$.password", "***", "***"),
        ("changed", "$.note", "it was ***", "it is ***, no more ***"),
    ] == lines(before, after)


def test_whole_parts_under_a_secret_key_are_masked() -> None:
    """What is below a secret key is not looked into."""
    before, after = {"api_key": {"a": 1}}, {"api_key": {"a": 2}}
    assert [("changed", "$.api_key", "***", "***")] == lines(before, after)


def test_secrets_that_others_know() -> None:
    """Secrets and secret keys beside those in the documents can be given."""
    found = lines({"note": "open sesame"}, {"note": "sesame"}, secrets=["sesame"])
    assert [("changed", "$.note", "open ***", "***")] == found
    redactor = Redactor(lambda key: key == "pin")
    assert [("added", "$.pin", None, "***")] == lines({}, {"pin": 1234}, redactor=redactor)


def test_texts_that_hold_json_are_looked_into() -> None:
    """What changed in ``heat_outputs`` is told, not that its text has."""
    before = {"heat_outputs": json.dumps([{"output_key": "ip", "output_value": "1"}])}
    after = {"heat_outputs": json.dumps([{"output_key": "ip", "output_value": "2"}])}
    assert [("changed", "$.heat_outputs[0].output_value", "1", "2")] == lines(before, after)


def test_values_are_in_no_repr() -> None:
    """They may be anything."""
    (found,) = differences({"a": "blue"}, {"a": "green"})
    assert "Difference(kind=<DifferenceKind.CHANGED: 'changed'>, path='$.a')" == repr(found)
