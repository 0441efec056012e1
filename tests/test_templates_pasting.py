"""Values pasted into YAML stay the text that they are, or are refused."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from gohan_jobs.exceptions import TemplateInvalid
from gohan_jobs.templates import Renderer

# Every scalar a string, read by the parser that Heat uses too where it can.
_LOADER: Any = getattr(yaml, "CBaseLoader", yaml.BaseLoader)

_PLACES = {
    "plain": "resources:\n  r:\n    name: {{ v }}\n    type: X\n",
    "part": "resources:\n  r:\n    name: a-{{ v }}-b\n    type: X\n",
    "single": "resources:\n  r:\n    name: '{{ v }}'\n    type: X\n",
    "double": 'resources:\n  r:\n    name: "{{ v }}"\n    type: X\n',
    "flow": "resources:\n  r: { name: {{ v }}, type: X }\n",
    "item": "resources:\n  r:\n    - {{ v }}\n    - X\n",
    "key": "resources:\n  {{ v }}:\n    type: X\n",
    "literal": "resources:\n  r: |\n    set name {{ v }};\n    set type X;\n",
    "folded": "resources:\n  r: >\n    set name {{ v }};\n    set type X;\n",
    "comment": "resources:\n  # about {{ v }}\n  r: X\n",
}

_HOSTILE = [
    "x\n  evil: {type: OS::Nova::Server}",
    "x\n    evil: 1",
    '" }',
    "' }",
    "', evil: {type: X}, a: '",
    '", "evil": "',
    "a, evil: b",
    "a: b",
    "a:",
    "a #b",
    "#a",
    "&a",
    "*a",
    "!tag",
    "!!python/object:os.system",
    "{{ 7*7 }}",
    "{a}",
    "[a]",
    "- a",
    "-",
    "? a",
    "| a",
    "> a",
    "%a",
    "@a",
    "`a",
    "---",
    "...",
    "<<",
    "=",
    "a\\nb",
    "a\u2028b",
    "a\x85b",
    "a\tb",
    " a",
    "a ",
    "\x00",
    "\ud800",
    "a\n---\nb: 1",
    "2001:db8::1",
    "compute:nova",
    "user@host",
    "",
    "a b c",
]


def _filled(value: Any, found: str) -> Any:
    """The harmless word's document with the value in its place."""
    if isinstance(value, dict):
        return {_filled(key, found): _filled(item, found) for key, item in value.items()}
    if isinstance(value, list):
        return [_filled(item, found) for item in value]
    return value.replace("WORD", found) if isinstance(value, str) else value


def _blank(document: Any, indented: bool) -> Any:  # noqa: FBT001 - a test's own
    """Without what lines begin with, if that does not matter."""
    if isinstance(document, dict):
        return {key: _blank(item, indented) for key, item in document.items()}
    return re.sub("(?m)^ +", "", document) if indented and isinstance(document, str) else document


def _render(text: str, value: str) -> str | TemplateInvalid:
    try:
        return Renderer().render("t", text, {"v": value})
    except TemplateInvalid as error:
        return error


def _check(text: str, value: str) -> bool:
    """Whether the value was pasted; if so, nothing else of the document may have changed."""
    rendered = _render(text, value)
    if isinstance(rendered, TemplateInvalid):
        assert rendered.reason.startswith("the value of {{ v }} would change the structure")
        assert rendered.line == 1 + text[: text.index("{{ v")].count("\n")
        return False
    assert rendered == text.replace("{{ v }}", value).removesuffix("\n")
    if value:  # nothing pasted is a matter of the template's own text
        base = yaml.load(text.replace("{{ v }}", "WORD").removesuffix("\n"), _LOADER)  # noqa: S506 - strings only
        indented = "\n" in value and "|" in text  # such as YAML takes off
        expected, found = _filled(base, value), yaml.load(rendered, _LOADER)  # noqa: S506 - strings only
        assert _blank(expected, indented) == _blank(found, indented)
    return True


@pytest.mark.parametrize("value", _HOSTILE)
@pytest.mark.parametrize("place", _PLACES)
def test_a_hostile_value_is_text_or_is_refused(place: str, value: str) -> None:
    """Wherever it is pasted, a document's other keys, types and scalars stay what they were."""
    _check(_PLACES[place], value)


@given(
    st.sampled_from(sorted(_PLACES)),
    st.text(st.sampled_from("ab:,#{}[]'\"\\&*!|>%@`-?<= \n\t"), max_size=8) | st.text(max_size=4),
)
def test_any_value_is_text_or_is_refused(place: str, value: str) -> None:
    """Likewise for values made up at random."""
    _check(_PLACES[place], value)


@pytest.mark.parametrize(
    ("place", "value", "pasted"),
    [
        ("plain", "x\n  evil: {type: OS::Nova::Server}", False),
        ("flow", '" }', False),
        ("plain", "a: b", False),
        ("literal", "a: b", True),
        ("comment", "a: b #&*!", True),
        ("comment", "a\nb: 1", False),
        ("literal", "{{ 7*7 }}", True),
        ("plain", "{{ 7*7 }}", False),
        ("literal", "a\nb", False),
        ("literal", "a\n    b", True),
        ("literal", "a {\n        b;\n\n    }", True),
        ("literal", "a\n   b", False),
        ("literal", "a\n  evil: {type: OS::Nova::Server}", False),
        ("folded", "a\n    b", False),
        ("plain", "a\n      b", False),
        ("plain", "compute:nova", True),
        ("plain", "2001:db8::1", True),
        ("plain", "fe80::", False),
        ("flow", "a, evil: b", False),
        ("plain", "a, b", True),
        ("part", "&a *b !c", True),
        ("plain", "<<", False),
        ("plain", "~", False),
        ("plain", "12:30:45", False),
        ("double", "12:30:45", True),
        ("single", "<<", True),
        ("part", "~", True),
        ("key", "<<", False),
        ("double", "it's", True),
        ("single", "it's", False),
        ("double", "a\\nb", False),
        ("plain", "\ud800", False),
    ],
)
def test_examples(place: str, value: str, pasted: bool) -> None:  # noqa: FBT001 - a table
    """The same characters are harmless in one place and not in another."""
    assert pasted is _check(_PLACES[place], value)


def test_text_of_a_value_is_never_rendered_again() -> None:
    """Braces in a value are just that."""
    assert Renderer().render("t", "a: |\n  {{ v }}", {"v": "{{ 7*7 }}"}) == "a: |\n  {{ 7*7 }}"


def test_the_expression_that_is_to_blame_is_named() -> None:
    """Others beside it are not; the line is the template's."""
    text = "a: {{ fine }}\nb: {{ ports[0].name }}\n"
    data = {"fine": "compute:nova", "ports": [{"name": "a: b"}]}
    with pytest.raises(TemplateInvalid, match=r"the value of \{\{ ports\[…\]\.name \}\}") as caught:
        Renderer().render("t", text, data)
    assert caught.value.line == 2
    assert "a: b" not in str(caught.value)


def test_values_that_are_hostile_together_are_named_together() -> None:
    """Neither changes anything without the other."""
    text = "a: 'x{{ one }}y{{ two }}z'"
    with pytest.raises(TemplateInvalid, match=r"\{\{ one \}\}, \{\{ two \}\}"):
        Renderer().render("t", "a: x{{ one }}{{ two }}z", {"one": "b:", "two": " c"})
    assert Renderer().render("t", text, {"one": "b:", "two": " c"}) == "a: 'xb:y cz'"


def test_a_template_may_paste_its_own_text() -> None:
    """Constants, and what is made of nothing but constants, are the author's."""
    text = "{% for x in ['a: 1', 'b: 2'] %}{{ x }}\n{% endfor %}"
    text += "{{ 'c:' + ' 3' }}{{ 'd: 4'.split()[2] }}"
    assert Renderer().render("t", text, {}) == "a: 1\nb: 2\nc: 3"
    with pytest.raises(TemplateInvalid):
        Renderer().render("t", "a: {{ 'b: ' + v }}", {"v": "c"})


def test_a_list_pasted_whole() -> None:
    """Of harmless items it is a YAML list, as it always was; of others it is refused."""
    assert Renderer().render("t", "a: {{ v }}", {"v": ["x", 1]}) == "a: ['x', 1]"
    with pytest.raises(TemplateInvalid, match="would change the structure"):
        Renderer().render("t", "a: {{ v }}", {"v": ["x: y"]})


@pytest.mark.parametrize("renderer", [Renderer(), Renderer(trusted=True)])
def test_an_object_is_never_pasted_whole(renderer: Renderer) -> None:
    """To Heat it might be a function: the value would read another parameter."""
    with pytest.raises(TemplateInvalid, match="would change the structure"):
        renderer.render("t", "a: {{ v }}", {"v": {"get_param": "password"}})
    assert renderer.render("t", "a: |\n  {{ v }}", {"v": {"b": 1}}) == "a: |\n  {'b': 1}"
    assert renderer.render("t", "a: {{ v }}", {"v": ["b", 1, None]}) == "a: ['b', 1, None]"


def test_a_template_that_is_no_yaml_takes_only_harmless_values() -> None:
    """What a value would change can't be told; Heat will say what is wrong with the rest."""
    assert Renderer().render("t", "a: [{{ v }}", {"v": "x"}) == "a: [x"
    with pytest.raises(TemplateInvalid, match="not YAML, so it can't be told"):
        Renderer().render("t", "a: [{{ v }}", {"v": "x y"})


def test_words_that_stand_for_values_are_unlike_the_text_around() -> None:
    """A template may hold the word that would have been used."""
    assert Renderer().render("t", "gj0z: {{ v }} gjx", {"v": "b c"}) == "gj0z: b c gjx"


@pytest.mark.parametrize(
    "expression",
    ["v.split('|')[0]", "v | replace('|', '')", "'' + v", "v | string", "[v][0]", "v if v else ''"],
)
def test_what_is_made_of_a_value_is_a_value(expression: str) -> None:
    """No function makes the template's own text, which may be any YAML, of somebody's data."""
    text = f"resources:\n  r: {{ name: {{{{ {expression} }}}} }}\n"
    with pytest.raises(TemplateInvalid, match="would change the structure of the YAML"):
        Renderer().render("t", text, {"v": "a, evil: b|"})


def test_an_object_is_gone_through_in_its_own_order() -> None:
    """That of the config, as its author wrote it."""
    rendered = Renderer().render(
        "t", "{% for k in v %}{{ k }}{% endfor %}", {"v": {"b": 1, "a": 2}}
    )
    assert "ba" == rendered


def test_a_text_may_hold_the_words_that_stand_for_values() -> None:
    """They are chosen so that the text at hand has none of them."""
    text = "a: '{{ v }}'\nb: gjx1z"
    assert "a: 'x y'\nb: gjx1z" == Renderer().render("t", text, {"v": "x y"})
