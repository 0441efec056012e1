"""Whatever the record or the text: what is written is read back, what can't be read is refused."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gohan_jobs.codec import Codec, Spelling, dumps, dumps_json, loads, loads_json, make_converter
from gohan_jobs.exceptions import InvalidRecord
from gohan_jobs.records import Record
from strategies import documents, json_texts, json_values, keyed_records, record_keys

unhurried = settings(deadline=None)  # other work on the machine must not decide


@pytest.mark.parametrize("spelling", list(Spelling))
@unhurried
@given(keyed_records())
def test_round_trip(spelling: Spelling, keyed: tuple[str, Record]) -> None:
    """Every record comes back from each spelling, and is then spelled the same."""
    key, record = keyed
    text = dumps(record, spelling)
    found = loads(key, text.encode())
    assert record == found
    assert type(record) is type(found)
    assert text == dumps(found, spelling)


@unhurried
@given(keyed_records())
def test_order_survives(keyed: tuple[str, Record]) -> None:
    """From the document spelling a record comes back to the order of every field."""
    key, record = keyed
    assert repr(record) == repr(loads(key, dumps(record)))
    assert json.loads(dumps(record)) == json.loads(dumps(record, Spelling.WORKER))


@unhurried
@given(keyed_records())
def test_document_spelling_is_that_of_the_standard_library(keyed: tuple[str, Record]) -> None:
    """The document spelling is byte for byte what ``json.dumps`` indents."""
    text = dumps(keyed[1])
    assert json.dumps(json.loads(text), indent=4, separators=(", ", ": ")) == text


def attempt(key: str, text: str | bytes, codec: Codec) -> Record | InvalidRecord:
    """The record, or the refusal: nothing else may come of a text."""
    try:
        return codec.loads(key, text)
    except InvalidRecord as error:
        return error


@unhurried
@given(record_keys, st.one_of(json_texts, st.text(), st.binary()))
def test_any_text_at_any_key(key: str, text: str | bytes) -> None:
    """Any text gives a record that can be written, or is refused with its key and a reason."""
    found = attempt(key, text, Codec())
    if isinstance(found, InvalidRecord):
        assert (key, True) == (found.key, bool(found.problems))
    else:
        assert found == loads(key, dumps(found))


@unhurried
@given(documents())
def test_near_misses(document: tuple[str, object]) -> None:
    """A document that is nearly right is refused with a path into it, or read without loss."""
    key, value = document
    found = attempt(key, json.dumps(value), Codec())
    if isinstance(found, InvalidRecord):
        assert {"$"} == {problem.path[:1] for problem in found.problems}
    else:
        assert value == json.loads(dumps(found))


@unhurried
@given(documents())
def test_all_converters_agree(document: tuple[str, object]) -> None:
    """Whether a converter stops at the first problem or collects all makes no other difference."""
    key, value = document
    text = json.dumps(value)
    quick = attempt(key, text, Codec())
    detailed = attempt(key, text, Codec(converter=make_converter()))
    assert (repr(quick), str(quick)) == (repr(detailed), str(detailed))


@pytest.mark.parametrize("spelling", list(Spelling))
@unhurried
@given(json_values)
def test_any_json(spelling: Spelling, value: object) -> None:
    """Any JSON value comes back from each spelling, as the same types."""
    found = loads_json("/k", dumps_json(value, spelling).encode())
    assert json.dumps(value, sort_keys=True) == json.dumps(found, sort_keys=True)
