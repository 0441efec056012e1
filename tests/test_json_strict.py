"""Strict JSON: what Python's reader takes in silence is refused, with a path and no value."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest

from gohan_jobs.codec import Spelling, dumps_json, loads_json, spelling, strict_json
from gohan_jobs.codec.strict_json import deeper_than, nests_deeper_than
from gohan_jobs.exceptions import InvalidRecord


def problems(text: str | bytes) -> list[str]:
    """What is wrong with a text."""
    with pytest.raises(InvalidRecord) as caught:
        loads_json("/the/key", text)
    assert "/the/key" == caught.value.key
    assert (None, None) == (caught.value.__cause__, caught.value.__context__)
    return [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("{}", {}),
        (b' [1, -0.5, 1e3, true, null, "a"]\r\n\t', [1, -0.5, 1000.0, True, None, "a"]),
        ('"\\u0041\\ud83d\\ude00é"', "A😀é"),
        ('"\\ud800"', "\ud800"),
        ('"é"'.encode(), "é"),
        ("9" * 4300, int("9" * 4300)),
        ("-" + "9" * 4300, -int("9" * 4300)),
        ("[" * 200 + "]" * 200, json.loads("[" * 200 + "]" * 200)),
        (json.dumps(["[{" * 200, '\\"[' * 200]), ["[{" * 200, '\\"[' * 200]),
        ("[" + "[]," * 300 + "{}]", [[]] * 300 + [{}]),
    ],
)
def test_what_is_read(text: str | bytes, value: Any) -> None:
    """Plain JSON is read as it is, numbers keeping their kind, up to the limits."""
    found = loads_json("/k", text)
    assert (value, repr(value)) == (found, repr(found))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", ["not JSON: Expecting value: line 1 column 1 @ $"]),
        ("{} x", ["not JSON: Extra data: line 1 column 4 @ $"]),
        ('{"a":\n 1 2}', ["not JSON: Expecting ',' delimiter: line 2 column 4 @ $"]),
        ('"\t"', ["not JSON: Invalid control character at: line 1 column 2 @ $"]),
        ("\ufeff{}", ["a byte-order mark @ $"]),
        (b"\xef\xbb\xbf{}", ["a byte-order mark @ $"]),
        (b'"\xff"', ["invalid UTF-8 @ $"]),
        (b'"\xed\xa0\x80"', ["invalid UTF-8 @ $"]),
        ('"\ud800"', ["invalid UTF-8 @ $"]),
        ("{}".encode("utf-16"), ["invalid UTF-8 @ $"]),
        ("{}".encode("utf-32-be"), ["not JSON: Expecting value: line 1 column 1 @ $"]),
        ("NaN", ["NaN is not JSON @ $"]),
        ('{"a": [0, Infinity]}', ["Infinity is not JSON @ $.a[1]"]),
        ("[-Infinity]", ["-Infinity is not JSON @ $[0]"]),
        ("[1e400, -1e400]", ["a number out of range @ $[0]", "a number out of range @ $[1]"]),
        ("[" + "1" * 4301 + "]", ["an integer of more than 4300 digits @ $[0]"]),
        ("-" + "1" * 4301, ["an integer of more than 4300 digits @ $"]),
        ('{"a": 1, "b": 2, "a": 3}', ["the key stands twice in one object @ $.a"]),
        ('[{"a b": 1, "a b": 1}]', ['the key stands twice in one object @ $[0]["a b"]']),
        ('{"a\\n": NaN}', ['NaN is not JSON @ $["a\\n"]']),
        (
            '{"a": NaN, "a": {"": 1e999}, "a": NaN} x',
            ["not JSON: Extra data: line 1 column 40 @ $"],
        ),
        ("[" * 201 + "]" * 201, ["more than 200 levels @ $"]),
        ('{"a":' * 201 + "1" + "}" * 201, ["more than 200 levels @ $"]),
        ("[" * 1_000_000, ["more than 200 levels @ $"]),
        ('"\\"' * 100_000 + "[" * 300, ["not JSON: Extra data: line 1 column 5 @ $"]),
        ('["' + "\\" * 99_999, ["not JSON: Unterminated string starting at: line 1 column 2 @ $"]),
        ("[" * 300 + '"' + '\\"' * 100_000, ["more than 200 levels @ $"]),
    ],
    ids=range(27),
)
def test_what_is_refused(text: str | bytes, found: list[str]) -> None:
    """Everything else is refused, at once whatever its size."""
    assert found == [each[: len(known)] for each, known in zip(problems(text), found, strict=True)]


def test_every_flaw_is_told() -> None:
    """All flaws of one text are told, each with its path."""
    text = '{"a": 1, "a": [1e400, {"x": NaN}], "n": ' + "7" * 5000 + "}"
    assert [
        "the key stands twice in one object @ $.a",
        "a number out of range @ $.a[0]",
        "NaN is not JSON @ $.a[1].x",
        "an integer of more than 4300 digits @ $.n",
    ] == problems(text)


def test_long_names_are_cut() -> None:
    """A path shows the beginning of a name that is too long for one."""
    assert [f'NaN is not JSON @ $["{"n" * 60}"]'] == problems('{"' + "n" * 100_000 + '": NaN}')


def test_no_value_is_shown() -> None:
    """What is wrong is told without what stood there."""
    for text in ('{"a": "hunter2"', '{"p": "hunter2", "p": "hunter2"}', '["hunter2", NaN] hunter2'):
        assert not any("hunter2" in each for each in problems(text))


class ShortStack:
    """A reader for which the stack has no room left."""

    def decode(self, _text: str) -> Any:
        """Fail as the standard library's does then."""
        raise RecursionError


def test_a_short_stack(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the stack is nearly used up, a deep text is refused for that."""
    monkeypatch.setattr(strict_json, "_DECODER", ShortStack())
    expected = ["too many levels for what is left of the stack @ $"]
    assert expected == problems("[]")
    monkeypatch.setattr(strict_json, "_DIAGNOSIS", ShortStack())
    assert expected == problems("[]")


def test_the_limit_of_digits_is_our_own() -> None:
    """The interpreter's own limit may be another one."""
    limit = sys.get_int_max_str_digits()
    try:
        sys.set_int_max_str_digits(0)
        assert ["an integer of more than 4300 digits @ $"] == problems("1" * 4301)
        sys.set_int_max_str_digits(640)
        assert ["an integer of more than 640 digits @ $"] == problems("1" * 700)
    finally:
        sys.set_int_max_str_digits(limit)


@pytest.mark.parametrize(
    ("levels", "text", "deeper"),
    [
        (1, "[]", False),
        (1, "[[]]", True),
        (1, '{"[": "{"}', False),
        (2, "[[], [], {}]", False),
        (0, "{", True),
        (1, "]" * 9 + "[" * 10, False),
        (1, '"[[', False),
    ],
)
def test_levels(levels: int, text: str, *, deeper: bool) -> None:
    """Brackets count outside of strings only, whatever the text."""
    assert deeper is deeper_than(levels, text)


@pytest.mark.parametrize("text", ["1", "[]", "{}", "[[], {}]", '{"a": [{"b": [1]}]}', "[1, [2]]"])
@pytest.mark.parametrize("levels", range(5))
def test_the_levels_of_a_value_are_those_of_its_text(text: str, levels: int) -> None:
    """Read or not, what nests too deep does so."""
    assert deeper_than(levels, text) is nests_deeper_than(levels, json.loads(text))


VALUE: dict[str, Any] = {
    "z": [1, 1.5, {}],
    "a": {"é<&>\u2028": "\b\f\n\\b\x7f"},
    "n": None,
    "t": (True, False),
}


@pytest.mark.parametrize("chosen", list(Spelling))
def test_every_spelling_is_json(chosen: Spelling) -> None:
    """What is written is read back."""
    text = dumps_json(VALUE, chosen)
    assert {**VALUE, "t": [True, False]} == loads_json("/k", text)
    assert text == dumps_json(VALUE, chosen.value)


def test_document_spelling() -> None:
    """The document spelling is the indented one of the standard library, blanks included."""
    expected = json.dumps(VALUE, indent=4, separators=(", ", ": "))
    assert expected == dumps_json(VALUE, Spelling.DOCUMENT)
    short: list[Any] = [[], {}, "a", 1]
    assert ["[]", "{}", '"a"', "1"] == [dumps_json(value, Spelling.DOCUMENT) for value in short]


def test_our_own_writer_of_the_document_spelling() -> None:
    """What older Pythons need is tested on all: it writes what the standard library writes."""
    expected = json.dumps(VALUE, indent=4, separators=(", ", ": "))
    assert expected == spelling._indented(VALUE)
    short: list[Any] = [[], {}, "a", 1]
    assert ["[]", "{}", '"a"', "1"] == [spelling._indented(value) for value in short]


def test_worker_spelling() -> None:
    """The worker spelling is the standard library's default, sorted; it is the default here."""
    assert json.dumps(VALUE, sort_keys=True) == dumps_json(VALUE)


def test_gohan_spelling() -> None:
    """The Gohan spelling is Go's: compact, sorted, text as it is but for HTML's sake."""
    assert (
        '{"a":{"é\\u003c\\u0026\\u003e\\u2028":"\\u0008\\u000c\\n\\\\b\x7f"},'
        '"n":null,"t":[true,false],"z":[1,1.5,{}]}'
    ) == dumps_json(VALUE, Spelling.GOHAN)
    assert '"\\ud800"' == dumps_json("\ud800", Spelling.GOHAN)


@pytest.mark.parametrize("chosen", list(Spelling))
@pytest.mark.parametrize("value", [float("nan"), [float("inf")], {"a": float("-inf")}])
def test_no_spelling_writes_what_is_no_json(chosen: Spelling, value: object) -> None:
    """A value that JSON does not have is an error, not a word of Python's own."""
    with pytest.raises(ValueError, match="not JSON compliant"):
        dumps_json(value, chosen)


@pytest.mark.parametrize("chosen", list(Spelling))
def test_no_spelling_writes_objects(chosen: Spelling) -> None:
    """What is no JSON value is an error."""
    with pytest.raises(TypeError):
        dumps_json({"a": object()}, chosen)


def test_unknown_spelling() -> None:
    """Only the three spellings are there."""
    with pytest.raises(ValueError, match="'yaml' is not a valid Spelling"):
        dumps_json({}, "yaml")
