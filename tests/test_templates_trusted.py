"""Trusted templates: all of Jinja, in a process that is killed at its limits."""

from __future__ import annotations

import io
import json
import resource
import runpy
import subprocess
import sys
from typing import Any

import pytest

from gohan_jobs.exceptions import TemplateBudgetExceeded, TemplateInvalid
from gohan_jobs.templates import Renderer, child, trusted
from gohan_jobs.templates.values import HARMLESS

_TRUSTED = Renderer(trusted=True)


def test_all_of_jinja_is_allowed() -> None:
    """Macros, filters and arithmetic; whitespace as ever."""
    text = "{% macro f(x) %}{{ x * 2 }}{% endmacro %}a: {{ f(3) }}{{ 'b' | upper }}{{ none }}\n"
    assert _TRUSTED.render("t", text, {}) == "a: 6BNone"


def test_values_are_still_not_trusted() -> None:
    """The authors of templates are trusted, those of configs are not."""
    assert _TRUSTED.render("t", "a: {{ v }}", {"v": "b c"}) == "a: b c"
    with pytest.raises(TemplateInvalid, match=r"the value of \{\{ a value \}\} would change"):
        _TRUSTED.render("t", "a: {{ v }}", {"v": "b\nc: 1"})


def test_a_value_that_is_changed_after_it_was_put_out_is_refused() -> None:
    """What became of it can't be told."""
    text = "{% set x %}{{ v }}{% endset %}a: {{ x[3:] }}"
    with pytest.raises(TemplateInvalid, match="captured or filtered after it was put out"):
        _TRUSTED.render("t", text, {"v": "b c"})


@pytest.mark.parametrize(
    ("text", "limits"),
    [
        ("{{ 'a' * 10**9 }}", {"memory_limit": 256 << 20}),
        ("{{ 'a'.center(10**10) }}", {"memory_limit": 256 << 20}),
        ("{{ 7 ** (8 * 10**8) }}", {"time_limit": 1.0}),
        ("{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
         {"time_limit": 1.0}),
        ("{% for a in range(9999) %}aaaa{% endfor %}", {"max_output": 1000}),
    ],
)  # fmt: skip
def test_what_takes_too_much_is_killed(text: str, limits: dict[str, Any]) -> None:
    """Memory, time and output are bounded by the operating system."""
    with pytest.raises(TemplateBudgetExceeded):
        Renderer(trusted=True, **limits).render("t", text, {})


@pytest.mark.parametrize(
    ("text", "reason", "line"),
    [
        ("a\n{% if %}", "not Jinja: Expected an expression", 2),
        ("{{ 1 / 0 }}", "rendering failed: ZeroDivisionError", 0),
        ("{{ ''.__class__.__mro__ }}", "rendering failed: SecurityError", 0),
        ("{{ nothing.x }}", "rendering failed: UndefinedError", 0),
    ],
)
def test_what_fails_shows_no_value(text: str, reason: str, line: int) -> None:
    """Only the kind of an error is told: its text may hold values."""
    with pytest.raises(TemplateInvalid, match=reason) as caught:
        _TRUSTED.render("t", text, {})
    assert caught.value.line == line


@pytest.mark.parametrize(("code", "how"), [(1, "exit status 1"), (-9, "signal 9")])
def test_a_process_that_dies_says_how(code: int, how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever killed it, there is no output to use."""

    def run(*_: Any, **__: Any) -> Any:
        return subprocess.CompletedProcess((), code, "", "")

    monkeypatch.setattr(subprocess, "run", run)
    with pytest.raises(TemplateBudgetExceeded, match=f"ended with {how}"):
        _TRUSTED.render("t", "a", {})


def _request(text: str, **variables: Any) -> dict[str, Any]:
    return {
        "text": text,
        "variables": variables,
        "output": 20,
        "harmless": HARMLESS.pattern,
        "marks": ["<", ">"],
    }


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (_request("{{ a }}{{ b }}{{ c }}{{ d }}", a="x", b="x y", c=3), {"text": "x<x y>3"}),
        (_request("{{ a }}{{ b }}", a=["x", 1], b=[{}]), {"text": "['x', 1]<[{}]>"}),
        (
            _request("{{ a }}", a="x" * 21),
            {"error": "budget", "reason": "more than 20 characters of output"},
        ),
        (_request("\n{% if %}"), {
            "error": "invalid",
            "reason": "not Jinja: Expected an expression, got 'end of statement block'",
            "line": 2,
        }),
        (_request("{{ 1 / 0 }}"),
         {"error": "invalid", "reason": "rendering failed: ZeroDivisionError"}),
    ],
)  # fmt: skip
def test_answers_of_the_process(request_: dict[str, Any], expected: dict[str, Any]) -> None:
    """Values that YAML could take for something else are marked."""
    assert expected == child.answer(request_)


def test_running_out_of_memory_is_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    """A MemoryError has no text of its own."""

    def fail(_request: Any) -> str:
        raise MemoryError

    monkeypatch.setattr(child, "_pieces", fail)
    assert child.answer(_request("a")) == {"error": "budget", "reason": "out of memory"}


def test_the_process_limits_itself_before_it_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    """CPU seconds, address space, no files and no core."""
    limits: dict[int, tuple[int, int]] = {}
    monkeypatch.setattr(resource, "setrlimit", limits.__setitem__)
    monkeypatch.setattr(sys, "argv", ["child.py", "2", "1000"])
    monkeypatch.setattr(sys, "stdin", io.StringIO(json.dumps(_request("{{ a }}", a=1))))
    written = io.StringIO()
    monkeypatch.setattr(sys, "stdout", written)
    runpy.run_path(child.__file__, run_name="__main__")
    assert json.loads(written.getvalue()) == {"text": "1"}
    assert limits == {
        resource.RLIMIT_CPU: (2, 2),
        resource.RLIMIT_AS: (1000, 1000),
        resource.RLIMIT_FSIZE: (0, 0),
        resource.RLIMIT_CORE: (0, 0),
    }


def test_the_process_that_renders_gets_nothing_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment holds passwords; a template could find a way to it."""
    program = "import json, os, sys; json.dump({'text': ','.join(os.environ)}, sys.stdout)"
    monkeypatch.setenv("OS_PASSWORD", "hunter2")
    monkeypatch.setattr(trusted, "_CHILD", "-c" + program)
    found = set(_TRUSTED.render("t", "", {}).split(","))
    assert "PYTHONIOENCODING" in found
    assert "OS_PASSWORD" not in found


def test_a_process_that_waits_is_killed_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """It uses no time of the processor, which would end it otherwise."""
    monkeypatch.setattr(trusted, "_CHILD", "-cimport threading; threading.Event().wait(20)")
    with pytest.raises(TemplateBudgetExceeded, match=r"more than 0\.5 seconds"):
        Renderer(trusted=True, time_limit=0.5).render("t", "", {})
