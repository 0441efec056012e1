"""The template language: what Jinja gives, and what is refused."""

from __future__ import annotations

import pickle
import re
from typing import Any

import jinja2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gohan_jobs.exceptions import TemplateError, TemplateInvalid, TemplateRefused
from gohan_jobs.templates import Renderer
from recorded_runs import every_template

_JINJA = jinja2.Environment()  # noqa: S701 - YAML, and only compared with
_DATA: dict[str, Any] = {
    "name": "vrf-1",
    "slot": 0,
    "ratio": 1.5,
    "on": True,
    "null": None,
    "address": "10.0.0.1/24",
    "ips": [{"subnet_id": "s-1", "ip": "10.0.0.3"}, {"subnet_id": "s-2", "ip": "10.0.0.4"}],
    "subnets": ["a", "b"],
    "empty": [],
    "by_name": {"a": 1, "b": {"c": "deep"}},
}

_TEXTS = [
    "plain\n",
    "{{ name }}-{{ slot + 3 }}\n\n",
    "  {% if slot == 0 %}\n a\n{% elif on %} b {% else %} c{% endif %}\n",
    (
        "{% for ip in ips %}{{ loop.index0 }}{{ loop.index }}{{ loop.first }}{{ loop.last }}"
        "{{ loop.length }}{{ loop.revindex }}{{ loop.revindex0 }}{{ ip.ip }}{{ ip['subnet_id'] }}"
        "{{ subnets[loop.index0] }}\n{% endfor %}"
    ),
    "{% for x in empty %}{{ x }}{% else %}none{% set y = 1 %}{% endfor %}{{ y }}",
    "{% for d in ['primary', 'secondary'] %}{{ d }}_{{ name }}{% endfor %}",
    (
        "{% for a in subnets %}{% for b in subnets %}{{ loop.index }}{% endfor %}{{ loop.index }}"
        "{% endfor %}{{ loop }}"
    ),
    "{% set a = 1 %}{% for x in subnets %}{% set a = a + 1 %}{{ a }}{% endfor %}{{ a }}",
    "{% for x in subnets %}{{ y }}{% set y = x %}{{ y }}{% endfor %}{{ y }}",
    "{% if on %}{% set a = 'in' %}{% endif %}{{ a }}",
    "{% set p = address.split('/') %}{{ p[0] }} {{ p[1] }} {{ p[2] }}",
    "{{ name.split('-', 1)[1] }}{{ 'a b'.split()[1] }}{{ 'a b'.split(none)[0] }}",
    "{{ name | replace('v', 'w') }}{{ name | replace('', '.') }}{{ 'aaa' | replace('a', 'b', 2) }}",
    "{{ slot | string }}{{ null | string }}{{ nothing | string }}",
    "{{ 'x_' + (slot | string) + name }}{{ ratio + 1 }}{{ on + 1 }}",
    "{{ 'a' if on else 'b' }}{{ 'a' if null }}{{ 'a' if nothing else 'b' }}",
    "{{ 1 < 2 < 3 }}{{ 1 <= 1 }}{{ 'a' > 'b' }}{{ 2 >= 3 }}{{ 1 != 1 }}{{ 1 < 2 < 2 }}",
    "{{ 1 == on }}",
    "{{ 'a' in subnets }}{{ 'r' in name }}{{ 'z' not in subnets }}{{ 'a' in by_name }}",
    "{{ 'a' in nothing }}{{ 1 in by_name.x }}{% if slot not in nothing %}none{% endif %}",
    "{{ on and name }}{{ null or name }}{{ not null }}{{ slot and nothing }}",
    "{{ by_name.b.c }}{{ by_name['b']['c'] }}{{ by_name.x }}{{ by_name[none] }}{{ name[0] }}",
    "{{ name.nothing }}{{ slot.nothing }}{{ null.nothing }}{{ subnets['0'] }}{{ subnets[9] }}",
    "{{ null }}{{ on }}{{ [subnets] }}{{ [1, 'a', null] }}{{ nothing }}{{ [nothing] }}",
    "{{ nothing == other }}{{ nothing == none }}{{ nothing }}{% for x in nothing %}a{% endfor %}",
    "{% for c in name %}{{ c }},{% endfor %}{% for k in by_name %}{{ k }}{% endfor %}",
    "{# comment #}{% raw %}{{ x }}{% endraw %}a{%- if on -%} b {%- endif %}\r\nc",
    "{{ 1.0 }}{{ 'a' 'b' }}{{ true }}{{ none }}{{ (1) }}",
    "{% set loops = 1 %}{{ loops }}{% set loops = [loops, 2] %}{{ loops[1] }}",
]


@pytest.mark.parametrize("text", _TEXTS)
def test_what_is_allowed_gives_what_jinja_gives(text: str) -> None:
    """Byte for byte, whitespace included."""
    expected = _JINJA.from_string(text).render(_DATA)
    assert expected == Renderer().render("t", text, _DATA)


_NAMES = st.sampled_from(
    ["name", "slot", "on", "null", "ips", "subnets", "by_name", "nothing", "x"]
)
_LEAVES = _NAMES | st.sampled_from(["'a'", "1", "2.5", "true", "none", "['a', 1]", "''"])


def _expressions(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    two = st.tuples(inner, inner)
    signs = st.sampled_from(["+", "==", "!=", "<", ">=", "in", "and", "or"])
    return st.one_of(
        st.tuples(two, signs).map(lambda found: f"({found[0][0]} {found[1]} {found[0][1]})"),
        inner.map(lambda text: f"(not {text})"),
        inner.map(lambda text: f"({text}).a"),
        two.map(lambda pair: f"({pair[0]})[{pair[1]}]"),
        inner.map(lambda text: f"({text}).split('-')"),
        inner.map(lambda text: f"({text} | string)"),
        two.map(lambda pair: f"({pair[0]} | replace('a', {pair[1]}))"),
        two.map(lambda pair: f"({pair[0]} if {pair[1]} else 'z')"),
    )


_EXPRESSIONS = st.recursive(_LEAVES, _expressions, max_leaves=5)


def _statements(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    one = st.tuples(_EXPRESSIONS, inner)
    return st.one_of(
        st.lists(inner, max_size=3).map("".join),
        one.map(lambda pair: f"{{% if {pair[0]} %}}{pair[1]}{{% else %}}-{{% endif %}}"),
        one.map(lambda two: f"{{% for x in {two[0]} %}}{two[1]}{{{{ loop.last }}}}{{% endfor %}}"),
    )


_TEMPLATES = st.recursive(
    _EXPRESSIONS.map(lambda text: f"{{{{ {text} }}}}")
    | _EXPRESSIONS.map(lambda text: f"{{% set x = {text} %}}"),
    _statements,
    max_leaves=6,
)


def _by_jinja(text: str) -> str | None:
    """Jinja's rendering; None where it fails."""
    try:
        return _JINJA.from_string(text).render(_DATA)
    except (jinja2.TemplateError, TypeError, ValueError, AttributeError):
        return None


@given(_TEMPLATES)
def test_whatever_renders_renders_as_jinja_renders_it(text: str) -> None:
    """Ours may fail where Jinja does not (a list and a list have no sum), never differ."""
    try:
        ours = Renderer().render("t", text, _DATA)
    except TemplateInvalid:
        return
    assert _by_jinja(text) == ours


_REFUSED = {
    "{{ 'a' * 10**9 }}": "'*'",
    "{{ 7 ** (8 * 10**6) }}": "'**'",
    "{{ '%0999999999d' % 1 }}": "'%'",
    "{{ '{0.__class__}'.format(x) }}": "calling an expression.format",
    "{{ 'a'.center(10**9) }}": "calling an expression.center",
    "{{ x | center(1000000000) }}": "the filter 'center'",
    "{{ 'a' ~ 'b' }}": "'~'",
    "{{ 1 - 2 }}": "'-'",
    "{{ -x }}": "'-'",
    "{{ +x }}": "'+' of one operand",
    "{{ 1 // 2 }}": "'//'",
    "{{ 1 / 2 }}": "'/'",
    "{{ ''.__class__.__mro__ }}": "the attribute '__mro__'",
    "{{ ''['__class__'] }}": "the item '__class__'",
    "{{ x._private }}": "the attribute '_private'",
    "{{ x | attr('__class__') }}": "the filter 'attr'",
    "{{ x | map('upper') }}": "the filter 'map'",
    "{{ x | string(1) }}": "the filter 'string' with these arguments",
    "{{ x | replace('a') }}": "the filter 'replace' with these arguments",
    "{{ x | replace(old='a', new='b') }}": "the filter 'replace' with these arguments",
    "{{ cycler.__init__.__globals__ }}": "the attribute '__globals__'",
    "{{ cycler }}": "the name 'cycler'",
    "{{ joiner }}": "the name 'joiner'",
    "{{ namespace(a=1) }}": "calling namespace",
    "{{ lipsum }}": "the name 'lipsum'",
    "{{ self }}": "the name 'self'",
    "{{ self.x }}": "the name 'self'",
    "{{ dict(a=1) }}": "calling dict",
    "{% for x in range(10**9) %}{% endfor %}": "calling range",
    "{% for x in y recursive %}{% endfor %}": "'for' with 'if' or 'recursive'",
    "{% for x in y if x %}{% endfor %}": "'for' with 'if' or 'recursive'",
    "{% for a, b in y %}{% endfor %}": "assigning to anything but one name",
    "{% set a, b = y %}": "assigning to anything but one name",
    "{% set ns.a = 1 %}": "assigning to anything but one name",
    "{% set loop = 1 %}": "assigning to 'loop'",
    "{% set self = 1 %}": "the name 'self'",
    "{% set __x = 1 %}": "the name '__x'",
    "{% set x %}a{% endset %}": "'set … endset'",
    "{% for x in y %}{{ loop }}{% endfor %}": "'loop' without one of its attributes",
    "{% for x in y %}{{ loop.cycle('a') }}{% endfor %}": "calling loop.cycle",
    "{% for x in y %}{{ loop.previtem }}{% endfor %}": "'loop.previtem'",
    "{{ x[1:2] }}": "a slice",
    "{{ {'a': 1} }}": "a dict",
    "{{ (1, 2) }}": "a tuple",
    "{{ x is defined }}": "the test 'defined'",
    "{{ x() }}": "calling x",
    "{{ x[0]() }}": "calling x[…]",
    "{{ (x | string)() }}": "calling x | string",
    "{{ x.split(sep='/') }}": "'split' with other than one or two plain arguments",
    "{{ x.split(*y) }}": "'split' with other than one or two plain arguments",
    "{{ x.split('a', 1, 2) }}": "'split' with other than one or two plain arguments",
    "{% macro f() %}{% endmacro %}": "'macro'",
    "{% include 'x' %}": "'include'",
    "{% import 'x' as y %}": "'import'",
    "{% from 'x' import y %}": "'from'",
    "{% extends 'x' %}": "'extends'",
    "{% block x %}{% endblock %}": "'block'",
    "{% call x() %}{% endcall %}": "'call'",
    "{% filter upper %}a{% endfilter %}": "'filter'",
    "{% with a = 1 %}{% endwith %}": "'with'",
    "{% autoescape true %}{% endautoescape %}": "'autoescape'",
}


@pytest.mark.parametrize(("text", "what"), _REFUSED.items())
def test_everything_else_is_refused_by_name_with_its_line(text: str, what: str) -> None:
    """The allow-list of rules 28; nothing of a refused template is rendered."""
    with pytest.raises(TemplateRefused, match=re.escape(f"{what}")) as caught:
        Renderer().render("t", "line 1\n" + text, {"x": "a", "y": [1]})
    assert caught.value.line == 2
    assert str(caught.value).startswith("template t line 2: ")
    assert str(caught.value) == str(pickle.loads(pickle.dumps(caught.value)))  # noqa: S301 - our own


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{% if %}", "not Jinja: Expected an expression"),
        ("{% nonsense %}", "not Jinja: Encountered unknown tag 'nonsense'"),
        ("{{ x | match('a') }}", "unknown filter 'match'"),
        ("{{ " + "9" * 5000 + " }}", "not Jinja: a number that is too long"),
        ("{{ " + "(" * 5000 + " }}", "nested too deeply"),
        ("{{ x" + " + x" * 5000 + " }}", "nested too deeply"),
        ("a" * ((1 << 20) + 1), "more than 1048576 characters"),
        ("{{ nothing.a }}", "'a' of 'nothing', which is undefined"),
        ("{{ nothing['a'] }}", "an item of 'nothing', which is undefined"),
        ("{{ nothing.split('/') }}", "'split' of 'nothing', which is undefined"),
        ("{{ null.split('/') }}", "'split' of a value of type NoneType"),
        ("{{ name.split('') }}", "'split' takes a string that is not empty"),
        ("{{ name.split(3) }}", "'split' takes a string that is not empty"),
        ("{{ name.split('a', 'b') }}", "and a number"),
        ("{{ name | replace('a', 'b', 'c') }}", "'replace' takes a number of times"),
        ("{{ name + 1 }}", "'+' of a string and a value of type int"),
        ("{{ subnets + subnets }}", "'+' of a value of type list and a value of type list"),
        ("{{ name + by_name.x }}", "attribute 'x', which is undefined"),
        ("{{ name < 1 }}", "a string and a value of type int have no order"),
        ("{{ subnets < subnets }}", "have no order"),
        ("{{ 1 in 2 }}", "'in' of a value of type int and a value of type int"),
        ("{{ ips in by_name }}", "'in' of a value of type list and a value of type dict"),
        ("{{ 1 in name }}", "'in' of a value of type int and a string"),
        ("{% for x in 3 %}{% endfor %}", "'for' over a value of type int"),
        ("{{ huge }}", "a value can't be put out: ValueError"),
        ("{{ huge + 0.5 }}", "'+' of a number that is too large"),
    ],
)
def test_what_fails_says_why_and_shows_no_value(text: str, reason: str) -> None:
    """One kind of error for a template that is no Jinja and for values that do not fit."""
    with pytest.raises(TemplateInvalid, match=re.escape(reason)) as caught:
        Renderer().render("t", text, {**_DATA, "huge": 10**5000})
    assert "vrf-1" not in str(caught.value)


def test_a_template_that_is_nested_too_deeply_to_run() -> None:
    """A tree from the cache may meet a deeper stack than the one it was made on."""
    text = "{{ x" + " + x" * 200 + " }}"
    assert Renderer().render("t", text, {"x": 1}) == "201"

    def deeper(left: int) -> str:
        return deeper(left - 1) if left else Renderer().render("t", text, {"x": 1})

    failures = []
    for depth in range(500, 980, 20):
        try:
            deeper(depth)
        except TemplateInvalid as error:
            failures.append(error.reason)
        except RecursionError:
            break
    assert set(failures) <= {"nested too deeply"}


def test_checking_a_template_renders_nothing() -> None:
    """What an operator's check needs; trusted templates may use everything."""
    Renderer().check("t", "{{ nothing.a }}")
    with pytest.raises(TemplateRefused):
        Renderer().check("t", "{{ 1 * 2 }}")
    Renderer(trusted=True).check("t", "{{ 1 * 2 }}")


def test_every_template_found_is_allowed_but_one() -> None:
    """Only 2017's ``port_monitoring`` uses a filter that Jinja does not have."""
    wrong = set()
    for template in every_template():
        try:
            Renderer().check(template.id, template.template_file)
        except TemplateError as error:
            wrong.add(str(error))
    assert wrong == {"template port_monitoring line 8: unknown filter 'match'"}


def test_every_template_found_renders_as_jinja_renders_it() -> None:
    """With harmless values of every variable, and with none of them."""
    harmless: dict[str, Any] = {}
    for template in every_template():
        for name in re.findall(r"\w+", template.template_file):
            harmless.setdefault(name, "10.0.0.1/24")
    harmless |= {"jinja_slot_number": 2, "slot_number": 0, "jinja_vrids": [1, 2], "loop": 1}
    harmless |= {"jinja_fixed_ips": [{"ip_address": "10.0.0.1", "subnet_id": "s"}]}
    rendered = 0
    for template in every_template():
        for data in (harmless, {}):
            expected = None
            if template.id != "port_monitoring":
                expected = _render_or_none(template.template_file, data)
            if expected is not None:
                assert expected == Renderer().render(template.id, template.template_file, data)
                rendered += 1
    assert rendered > 200


def _render_or_none(text: str, data: dict[str, Any]) -> str | None:
    try:
        return _JINJA.from_string(text).render(data)
    except jinja2.UndefinedError:
        return None
    except TypeError:
        return None
