"""Hostile templates: nothing is reached, and nothing large is made before it is refused."""

from __future__ import annotations

import re
import resource
import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gohan_jobs.exceptions import TemplateBudgetExceeded, TemplateError
from gohan_jobs.templates import Renderer
from gohan_jobs.templates.budget import Budget
from gohan_jobs.templates.values import Missing, TemplateText, is_harmless, measure

_MEGABYTE = 1 << 20


def _nested_loops(depth: int) -> str:
    opening = "".join(f"{{% for x{level} in items %}}" for level in range(depth))
    return opening + "{% endfor %}" * depth


_DOUBLING = "{% set a = 'ab' %}" + "{% set a = a + a %}" * 60
_LISTS = "{% set a = ['ab', 'ab'] %}" + "{% set a = [a, a, a, a] %}" * 60


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (_nested_loops(12), "more than 10000 iterations"),
        ("{% for a in big %}{% endfor %}", "more than 10000 iterations"),
        (_DOUBLING, "a value of more than 1048576 characters"),
        (_DOUBLING.replace("'ab'", "1.5") + "{{ a }}", None),
        (_LISTS + "{{ a }}", "a value of more than 1048576 characters"),
        (_LISTS + "{{ a == a }}", "a value of more than 1048576 characters"),
        ("{% set a = text | replace('', text) %}", "a value of more than 1048576 characters"),
        ("{{ text | replace('x', text) }}", "a value of more than 1048576 characters"),
        ("{{ text | replace('x', text, 2) }}", None),
        ("{% for i in items %}{% set a = text.split('x') %}{% endfor %}", None),
        ("{% for i in hundred %}{{ text }}{% endfor %}", None),
        ("{% for i in thousand %}{{ text }}{% endfor %}", "more than 1048576 characters of output"),
        (
            "{% for i in thousand %}{% set a = text + text %}{% endfor %}",
            "values of more than 8388608 characters together",
        ),
        (
            "{% for i in thousand %}{% if 'y' in text %}{% endif %}{% endfor %}",
            "values of more than 8388608 characters together",
        ),
        (
            "{% for i in thousand %}" + "{% if others == more %}{% endif %}" * 2 + "{% endfor %}",
            "values of more than 8388608 characters together",
        ),
        (
            "{% for i in thousand %}" + "{% if i == 'a' %}{% endif %}" * 1000 + "{% endfor %}",
            "more than 1000000 steps",
        ),
        ("{{ text.split('x') }}" * 9, None),
    ],
)
def test_budgets(text: str, reason: str | None) -> None:
    """Iterations multiply, strings double, lists hold themselves: each ends before it is made."""
    data = {
        "items": list(range(10)),
        "hundred": list(range(100)),
        "thousand": list(range(1000)),
        "others": list(range(1000)),
        "more": list(range(1000)),
        "big": list(range(10_001)),
        "text": "x" * 10_000,
    }
    if reason is None:
        assert Renderer().render("t", text, data) is not None
        return
    with pytest.raises(TemplateBudgetExceeded, match=reason) as caught:
        Renderer().render("t", text, data)
    assert caught.value.line == 1


@pytest.mark.parametrize("text", [_DOUBLING, _LISTS + "{{ a }}", "{{ t | replace('x', t) }}"])
def test_nothing_large_is_made_before_it_is_refused(text: str) -> None:
    """The size of a value is known, and paid for, before the value is there."""
    Renderer().check("t", text)  # parsed now, so that only the rendering is measured
    tracemalloc.start()
    try:
        with pytest.raises(TemplateBudgetExceeded):
            Renderer().render("t", text, {"t": "x" * 100_000})
        assert tracemalloc.get_traced_memory()[1] < 16 * _MEGABYTE
    finally:
        tracemalloc.stop()


def test_budgets_are_the_callers() -> None:
    """Both limits can be set; what is within them renders."""
    small = Renderer(max_iterations=3, max_output=5)
    assert small.render("t", "{% for x in xs %}{{ x }}{% endfor %}", {"xs": [1, 2, 3]}) == "123"
    with pytest.raises(TemplateBudgetExceeded, match="more than 3 iterations"):
        small.render("t", "{% for x in xs %}{{ x }}{% endfor %}", {"xs": [1, 2, 3, 4]})
    with pytest.raises(TemplateBudgetExceeded, match="more than 5 characters of output"):
        small.render("t", "abcdef", {})


@pytest.mark.parametrize(
    ("spend", "units", "reason"),
    [
        (lambda budget: budget.iteration(1), 2, "more than 2 iterations"),
        (lambda budget: budget.step(1), 200, "more than 200 steps"),
        (lambda budget: budget.work(5, 1), 8, "values of more than 40 characters together"),
        (lambda budget: budget.work(6, 1), 0, "a value of more than 5 characters"),
        (lambda budget: budget.output(1, 1), 5, "more than 5 characters of output"),
    ],
)
def test_a_budget_may_be_spent_to_its_last(
    spend: Callable[[Budget], None], units: int, reason: str
) -> None:
    """What is allowed is allowed, and one more of it is not; each error says what there was."""
    budget = Budget("t", max_iterations=2, max_output=5)
    for _ in range(units):
        spend(budget)
    with pytest.raises(TemplateBudgetExceeded, match=reason):
        spend(budget)


_SECRET = "planted-secret"


class _Internals(dict[str, Any]):
    """A mapping with something to reach."""

    secret = _SECRET


@pytest.mark.parametrize(
    "text",
    [
        "{{ x.secret }}{{ x['secret'] }}",
        "{{ x.keys }}{{ x.items }}{{ x.get }}",
        "{{ name.upper }}{{ name.format }}{{ name['format'] }}",
        "{{ xs.append }}{{ xs.pop }}{{ xs['append'] }}",
        "{% set k = '_' + '_class__' %}{{ x[k] }}{{ name[k] }}{{ xs[k] }}",
        "{{ n.real }}{{ n.bit_length }}{{ nothing }}",
    ],
)
def test_attributes_of_python_objects_are_out_of_reach(text: str) -> None:
    """Attributes and items are data's; whatever else is asked for is undefined, so empty."""
    data = {"x": _Internals(), "name": "abc", "xs": [1], "n": 3}
    assert Renderer().render("t", text, data) == ""


_TOKENS = re.split(
    r"\s",
    "{{ }} {% %} x '' . __class__ [ ] ( ) | attr for in if set = endfor endif + * 1 loop split "
    "self {# raw not is ~ , import block macro",
)


@given(st.lists(st.sampled_from([*_TOKENS, " ", "\n"]), max_size=14).map(" ".join))
def test_no_template_raises_anything_but_a_template_error(text: str) -> None:
    """Templates are data: whatever they hold, the answer is a text or one of these errors."""
    try:
        found = Renderer().render("t", text, {"x": {"a": [1, "b"]}})
    except TemplateError:
        return
    assert "class '" not in found


def test_the_limits_of_this_process_are_left_alone() -> None:
    """Only the trusted renderer's own process is limited."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    Renderer().render("t", "{{ 1 }}", {})
    Renderer(trusted=True).render("t", "{{ 1 }}", {})
    assert before == resource.getrlimit(resource.RLIMIT_AS)


def test_measuring_stops_at_the_limit() -> None:
    """A value that holds itself many times over is measured in no time."""
    value: Any = ["ab"]
    for _ in range(100):
        value = [value, value, {"key": value}]
    assert 100 < measure(value, 100) < 120
    assert measure({"ab": [1, "cd", None, 10**30]}, 1000) == 45


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("ms-0/2/0", True),
        ("", True),
        ("-a", False),
        ("a:b", False),
        ("a\n", False),
        (TemplateText("a: b"), True),
        (["a", ["c"], 1, None, Missing("x")], True),
        (["a", [": "]], False),
        ({"b": "c"}, False),
        ([{}], False),
    ],
)
def test_what_is_plainly_harmless(value: Any, expected: bool) -> None:  # noqa: FBT001 - a table
    """Names, numbers and addresses; the template's own text; lists of such."""
    assert expected == is_harmless(value)


def test_what_is_missing_is_empty_and_false() -> None:
    """As Jinja's own undefined."""
    missing = Missing("'x'")
    assert (str(missing), repr(missing), bool(missing)) == ("", "Undefined", False)
    assert missing == Missing("'y'")
