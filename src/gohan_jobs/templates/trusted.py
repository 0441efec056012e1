"""Rendering a trusted template in a process of its own: all of Jinja, killed at its limits.

Inside a process, nothing bounds ``'a' * 10**9`` (``rules`` 28); so the operating system does. What
is trusted are templates; values still are not, so they are marked where they are put out, and
checked like any other (:mod:`gohan_jobs.templates.pasting`).
"""

from __future__ import annotations

import json
import math
import re
import secrets
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

import attrs

from gohan_jobs.exceptions import TemplateBudgetExceeded, TemplateInvalid
from gohan_jobs.templates.statements import Piece
from gohan_jobs.templates.values import HARMLESS

__all__ = ["Limits", "render"]

_CHILD = Path(__file__).with_name("child.py")


@attrs.frozen(kw_only=True)
class Limits:
    """What one rendering may use.

    Attributes:
        seconds: of wall-clock and of CPU time, start of the process included.
        memory: bytes of address space.
        output: characters of output.
    """

    seconds: float
    memory: int
    output: int


def render(
    template: str, text: str, variables: Mapping[str, Any], limits: Limits
) -> Sequence[Piece]:
    """Render a template with all of Jinja, in a process of its own.

    Raises:
        TemplateBudgetExceeded: it took too long or too much and was killed.
        TemplateInvalid: not Jinja, or its rendering failed.
    """
    token = secrets.token_hex(8)
    marks = f"\ue000{token}\ue001", f"\ue002{token}\ue003"
    request = {
        "text": text,
        "variables": dict(variables),
        "output": limits.output,
        "harmless": HARMLESS.pattern,
        "marks": marks,
    }
    answer = _ask(template, json.dumps(request), limits)
    if "text" not in answer:
        kind = TemplateBudgetExceeded if answer["error"] == "budget" else TemplateInvalid
        raise kind(template, answer["reason"], answer.get("line", 0))
    return _split(template, answer["text"], marks)


def _ask(template: str, request: str, limits: Limits) -> dict[str, Any]:
    """The answer of a new process; it inherits neither environment nor open files."""
    command = [
        sys.executable,
        "-I",
        str(_CHILD),
        str(math.ceil(limits.seconds)),
        str(limits.memory),
    ]
    try:
        ended = subprocess.run(  # noqa: S603 - our own interpreter and our own file
            command,
            input=request,
            capture_output=True,
            encoding="utf-8",
            timeout=limits.seconds,
            env={"PYTHONIOENCODING": "utf-8"},
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise TemplateBudgetExceeded(template, f"more than {limits.seconds:g} seconds") from None
    if ended.returncode != 0:
        _died(template, ended.returncode)
    found: dict[str, Any] = json.loads(ended.stdout)
    return found


def _died(template: str, code: int) -> NoReturn:
    how = f"signal {-code}" if code < 0 else f"exit status {code}"
    raise TemplateBudgetExceeded(template, f"its process ended with {how}: out of time or memory")


def _split(template: str, text: str, marks: tuple[str, str]) -> list[Piece]:
    """The pieces of a marked text."""
    opening, closing = map(re.escape, marks)
    parts = re.split(f"{opening}(.*?){closing}", text, flags=re.DOTALL)
    pieces = [Piece(part, "a value" if index % 2 else "") for index, part in enumerate(parts)]
    if any(mark in piece.text for piece in pieces for mark in marks):
        raise TemplateInvalid(template, "a value is captured or filtered after it was put out")
    return pieces
