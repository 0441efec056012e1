"""Both spellings of the mapping language into one tree."""

from __future__ import annotations

import pickle
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gohan_jobs.exceptions import MappingSyntaxError
from gohan_jobs.mapping import (
    Choice,
    Concatenate,
    Condition,
    Constant,
    Field,
    ForEach,
    Hop,
    MappingTree,
    Nested,
    Operator,
    Output,
    RemoteField,
    Version,
    parse,
    parse_text,
)
from gohan_jobs.mapping.parser import MAX_DEPTH

_LB = Hop("load_balancer_id", "load_balancer")
_VNF = Hop("vnf_instance_id", "vnf_instance")


@pytest.mark.parametrize(
    ("form", "tree"),
    [
        ("Pname", Field("name")),
        ("Pbinding:vif_type", Field("binding:vif_type")),
        ("C3", Constant("3")),
        ("C", Constant("")),
        ("Cdefault-domain:x:y", Constant("default-domain:x:y")),
        ("Vauto_filled", Version()),
        ("Oprimary:ip", Nested("primary", "ip")),
        (
            "Fload_balancer+load_balancer_id:vnf_instance+vnf_instance_id:ip",
            RemoteField("ip", (_LB, _VNF)),
        ),
        ("Mload_balancer:load_balancer_id:id", Output("id", (_LB,))),
        ("ACx_&Pname", Concatenate((Constant("x_"), Field("name")))),
    ],
)
def test_compact_spellings(form: str, tree: MappingTree) -> None:
    """Each compact form means its tree, and is the tree's text."""
    assert tree == parse(form)
    assert form == str(tree)


_CHOICE = {
    "if_mapping": {"equal": [{"field": "a"}, "x"]},
    "then_mapping": "Pa",
    "else_mapping": {"constant": None},
}


@pytest.mark.parametrize(
    ("form", "tree"),
    [
        ({"field": "name"}, Field("name")),
        ({"constant": 3}, Constant(3)),
        ({"constant": None}, Constant(None)),
        ({"version": "auto_filled"}, Version()),
        ({"nested": ["a", "b"]}, Nested("a", "b")),
        ({"field": "f", "path": ["a", "b"]}, RemoteField("f", (Hop("a"), Hop("b")))),
        (
            {"field": "f", "path": [{"type": "t", "id": "i"}], "ignore_missing": True},
            RemoteField("f", (Hop("i", "t"),), ignore_missing=True),
        ),
        (
            {"field": "f", "path": [{"concatenate": [{"field": "s"}, "_id"]}]},
            RemoteField("f", (Hop(Concatenate((Field("s"), Constant("_id")))),)),
        ),
        (
            {"field": "f", "path": [{"type": "t:u", "id": "i"}]},
            RemoteField("f", (Hop("i", "t:u"),)),
        ),
        ({"output_key": "k"}, Output("k")),
        ({"output_key": "k", "path": ["a"], "ignore_missing": False}, Output("k", (Hop("a"),))),
        ({"concatenate": [{"field": "a"}, "x"]}, Concatenate((Field("a"), Constant("x")))),
        (
            _CHOICE,
            Choice(
                Condition(Operator.EQUAL, Field("a"), Constant("x")), Constant("Pa"), Constant(None)
            ),
        ),
        (
            {
                "for_field": "ids",
                "for_mapping": {"output_key": "k", "path": [{"type": "t", "id": ""}]},
            },
            ForEach(Field("ids"), Output("k", (Hop("", "t"),))),
        ),
        (
            {
                "for_field": "ids",
                "for_mapping": {
                    **_CHOICE,
                    "then_mapping": {"output_key": "k", "path": [{"type": "t", "id": ""}]},
                },
            },
            ForEach(
                Field("ids"),
                Choice(
                    Condition(Operator.EQUAL, Field("a"), Constant("x")),
                    Output("k", (Hop("", "t"),)),
                    Constant(None),
                ),
            ),
        ),
        (
            {"for_field": {"nested": ["a", "b"]}, "for_mapping": {"field": "x"}},
            ForEach(Nested("a", "b"), Field("x")),
        ),
    ],
)
def test_object_spellings(form: dict[str, Any], tree: MappingTree) -> None:
    """Each object form means its tree; an operand that is no object is a literal."""
    assert tree == parse(form)
    assert tree == parse(tree.form())
    assert tree == parse_text(str(tree))


@pytest.mark.parametrize(
    "form",
    [
        "", "X", "P", "V", "Vother", "O", "Oa", "Oa:", "Oa:b:c", "F", "Fname", "Fa+b", "Fa+b:",
        "Fa+b:c+d", "Fa:b", "F+b:c", "Fa+:c", "Fa+b+c:d", "M", "Ma:b", "Ma:b:", "Ma:b:c:d",
        "Ma+b:c:d", "A", "APa&", "AAPa&Pb", "APa&X", "pname", " Pname", "{}",
        None, 3, True, [], ["Pname"], {},
        {"field": ""}, {"field": 3}, {"field": "a", "pth": ["b"]}, {"field": "a", "path": []},
        {"field": "a", "path": "b"}, {"field": "a", "path": [""]}, {"field": "a", "path": [3]},
        {"field": "a", "path": [{"type": "t"}]}, {"field": "a", "path": [{"type": "", "id": "x"}]},
        {"field": "a", "path": [{"type": "t", "id": ""}]}, {"field": "a", "ignore_missing": True},
        {"field": "a", "path": [{"type": "t", "id": None}]},
        {"field": "a", "path": ["b"], "ignore_missing": 1}, {"field": "a", "constant": 1},
        {"output_key": None}, {"output_key": "k", "path": {}}, {"version": "1"}, {"version": []},
        {"nested": ["a"]}, {"nested": ["a", 1]}, {"nested": "ab"}, {"concatenate": []},
        {"concatenate": "ab"}, {"concatenate": [{"x": 1}]},
        {**_CHOICE, "if_mapping": {}}, {**_CHOICE, "if_mapping": []},
        {**_CHOICE, "if_mapping": {"less": [1, 2]}}, {**_CHOICE, "if_mapping": {"equal": [1]}},
        {**_CHOICE, "if_mapping": {"equal": [1, 2], "regexp": [1, 2]}},
        {**_CHOICE, "if_mapping": {"regexp": [{"field": "a"}, {"field": "b"}]}},
        {**_CHOICE, "if_mapping": {"regexp": [{"field": "a"}, 3]}},
        {**_CHOICE, "if_mapping": {"regexp": [{"field": "a"}, "a{9}"]}},
        {"if_mapping": {"equal": [1, 2]}, "then_mapping": 1},
        {"for_field": "", "for_mapping": {"field": "a"}}, {"for_field": 3, "for_mapping": 3},
        {
            "for_field": "ids",
            "for_mapping": {"field": "f", "path": ["x", {"type": "t", "id": ""}]},
        },
    ],
)  # fmt: skip
def test_anything_else_is_refused_showing_the_form(form: Any) -> None:
    """No guessing: the error names the place and shows the form."""
    with pytest.raises(MappingSyntaxError) as caught:
        parse(form, "template t, param p")
    assert caught.value.where == "template t, param p"
    assert str(caught.value) == str(pickle.loads(pickle.dumps(caught.value)))  # noqa: S301 - our own
    assert str(caught.value).startswith("template t, param p: mapping ")


def test_the_form_shown_is_short() -> None:
    """A huge form does not make a huge message."""
    with pytest.raises(MappingSyntaxError) as caught:
        parse("X" * 10_000)
    assert len(caught.value.form) == 201


def test_a_form_that_is_no_json_is_shown_by_its_type() -> None:
    """Forms built in code may hold anything."""
    with pytest.raises(MappingSyntaxError, match="<dict>"):
        parse({"unknown": object()})


def test_forms_nested_too_deeply_are_refused() -> None:
    """However deep, the answer is a mapping error and not Python's recursion limit."""
    form: Any = {"field": "a"}
    for _ in range(MAX_DEPTH - 1):
        form = {"concatenate": [form]}
    assert str(parse(form)).count("concatenate") == MAX_DEPTH - 1
    with pytest.raises(MappingSyntaxError, match="nested more than 32 deep"):
        parse({"concatenate": [form]})
    for _ in range(5000):
        form = {"concatenate": [form]}
    with pytest.raises(MappingSyntaxError, match="nested more than 32 deep"):
        parse(form)


@pytest.mark.parametrize("text", ["{", "{} x", '{"a": ' * 100_000])
def test_text_that_is_no_object_is_refused(text: str) -> None:
    """``parse_text`` reads a form as an operator types it."""
    with pytest.raises(MappingSyntaxError, match=re.escape("not a JSON object")):
        parse_text(text)


_NAMES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=4)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


def _hops(concatenations: st.SearchStrategy[Concatenate]) -> st.SearchStrategy[tuple[Hop, ...]]:
    hop = st.builds(Hop, _NAMES, st.none() | _NAMES) | st.builds(Hop, concatenations)
    return st.lists(hop, min_size=1, max_size=3).map(tuple)


def _trees(inner: st.SearchStrategy[MappingTree]) -> st.SearchStrategy[MappingTree]:
    joined = st.builds(Concatenate, st.lists(inner, min_size=1, max_size=3).map(tuple))
    subject = st.builds(Condition, st.just(Operator.EQUAL), inner, inner) | st.builds(
        Condition, st.just(Operator.REGEXP), inner, st.just(Constant("a|b"))
    )
    return st.one_of(
        joined,
        st.builds(RemoteField, _NAMES, _hops(joined), st.booleans()),
        st.builds(Output, _NAMES, _hops(joined), st.booleans()),
        st.builds(Choice, subject, inner, inner),
        st.builds(ForEach, inner, inner),
    )


TREES: st.SearchStrategy[MappingTree] = st.recursive(
    st.one_of(
        st.builds(Constant, _JSON),
        st.builds(Field, _NAMES),
        st.builds(Version),
        st.builds(Nested, _NAMES, _NAMES),
        st.builds(Output, _NAMES),
    ),
    _trees,
    max_leaves=6,
)


@given(TREES)
def test_a_tree_comes_back_from_its_text_and_from_its_object(tree: MappingTree) -> None:
    """Writing and parsing are inverse, in both spellings."""
    assert tree == parse_text(str(tree))
    assert tree == parse(tree.form())


@given(st.text(st.sampled_from("PCVOFMA+:&ab_"), max_size=12) | st.text(max_size=6))
def test_a_compact_text_is_refused_or_its_tree_writes_it_again(text: str) -> None:
    """No compact text is understood as something that is spelled otherwise."""
    try:
        tree = parse(text)
    except MappingSyntaxError:
        return
    assert text == str(tree)


@given(
    _JSON | st.dictionaries(st.sampled_from(["field", "path", "output_key", "for_field"]), _JSON)
)
def test_no_json_raises_anything_but_a_mapping_error(form: Any) -> None:
    """A heat_template is data: whatever it holds, the answer is a tree or this error."""
    try:
        tree = parse(form)
    except MappingSyntaxError:
        return
    assert tree == parse(tree.form())
