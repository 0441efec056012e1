"""The linear-time ``regexp``, compared with Python's own."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gohan_jobs.mapping.pattern import MAX_PATTERN, MAX_SUBJECT, Pattern, PatternRefused

_ATOMS = st.sampled_from(
    ["a", "b", ":", ".", "[ab]", "[^a]", "[]a]", "[\\]b]", "\\d", "\\w", "\\.", "\\S", "^", "$"]
)


def _grown(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    quantified = st.tuples(inner, st.sampled_from(["*", "+", "?"])).map(
        lambda pair: f"({pair[0]}){pair[1]}"
    )
    joined = st.lists(inner, max_size=3).map("".join)
    either = st.lists(inner, min_size=2, max_size=3).map(lambda parts: f"(?:{'|'.join(parts)})")
    return st.one_of(quantified, joined, either)


_PATTERNS = st.recursive(_ATOMS, _grown, max_leaves=8).filter(lambda text: len(text) < 200)


@given(pattern=_PATTERNS, subject=st.text("ab:1. \n]", max_size=8))
def test_it_matches_what_python_matches(pattern: str, subject: str) -> None:
    """From the start, not necessarily to the end, with edges, classes, groups and quantifiers."""
    assert (re.match(pattern, subject) is not None) == Pattern(pattern).matches(subject)


@pytest.mark.parametrize(
    ("pattern", "subject", "expected"),
    [
        ("network:dhcp|network:empty", "network:dhcp", True),
        ("network:dhcp|network:empty", "network:empty2", True),
        ("network:dhcp|network:empty", "xnetwork:dhcp", False),
        ("network:dhcp|network:empty", "", False),
        ("", "anything", True),
        ("a$", "a\n", True),
        ("a$", "ab", False),
        ("[a-c]+x?$", "abcabc", True),
        ("a|", "b", True),
        ("(a)" * 17, "a" * 17, True),
        ("\\é", "é", True),
    ],
)
def test_examples(pattern: str, subject: str, expected: bool) -> None:  # noqa: FBT001 - a table
    """The recorded pattern, and edges."""
    assert expected == Pattern.compiled(pattern).matches(subject)


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|a)*b", "(a*)*b", "a?" * 64 + "a" * 64 + "b"])
def test_catastrophic_patterns_take_linear_time(pattern: str) -> None:
    """What makes Python's engine backtrack for hours is answered at once."""
    assert Pattern(pattern).matches("a" * 1000 + "!") is False


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ("a{3}", "'{' is not supported here"),
        ("*a", "'*' is not supported here"),
        ("a**", "doubled quantifiers"),
        ("a*?", "lazy"),
        ("(?P<n>a)", "only as '(?:'"),
        ("(a", "'(' is not closed"),
        ("a)", "unbalanced ')'"),
        ("[a", "'[' is not closed"),
        ("[a\\", "'[' is not closed"),
        ("[[:alpha:]]", "inside a class"),
        ("[b-a]", "bad character range"),
        ("a\\", "ends in a backslash"),
        ("\\1", "'\\1' is not supported"),
        ("\\b", "'\\b' is not supported"),
        ("(" * 17 + ")" * 17, "nested more than 16"),
        ("a" * (MAX_PATTERN + 1), "at most 256"),
    ],
)
def test_what_is_not_supported_is_refused_by_name(pattern: str, reason: str) -> None:
    """A pattern is understood as Python understands it, or not at all."""
    with pytest.raises(PatternRefused, match=re.escape(reason)):
        Pattern(pattern)


def test_a_subject_that_is_too_long_is_refused() -> None:
    """The bound holds for subjects too."""
    with pytest.raises(PatternRefused, match="at most 4096"):
        Pattern("a").matches("a" * (MAX_SUBJECT + 1))
