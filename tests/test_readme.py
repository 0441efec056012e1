"""What the README shows is so."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

from gohan_jobs.cli.main import COMMANDS

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def fences(language: str) -> list[str]:
    """What stands within fences of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.DOTALL | re.MULTILINE)


def test_the_first_example_runs_as_it_is() -> None:
    """The example of at most 20 lines prints what is said, and nothing else."""
    (example,) = fences("python")
    (expected,) = fences("text")
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", example], capture_output=True, text=True, check=False
    )
    assert (expected, "") == (done.stdout, done.stderr)
    assert len(example.splitlines()) <= 20


def test_the_first_screen() -> None:
    """Five bold bullets say what it is good for."""
    assert len(re.findall(r"^- \*\*.*?\*\* ", README, re.MULTILINE)) == 5


def test_two_commands() -> None:
    """There are exactly two commands, each one line, which CI finds by its marker."""
    marked = re.findall(r"^<!-- ci: (\w+) -->\n```sh\n(.*)\n```$", README, re.MULTILINE)
    assert [name for name, _ in marked] == ["demo", "tests"]
    assert len(fences("sh")) == 2
    for name, _ in marked:
        assert f"readme_command {name}" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


def test_every_command_is_listed() -> None:
    """The table of commands lists all there are, each once, and no other."""
    rows = re.findall(r"^\| (`gohan-jobs [a-z].*?) \|", README, re.MULTILINE)
    listed = [word for row in rows for word in re.findall(r"`(?:gohan-jobs )?([a-z-]+)", row)]
    assert sorted(COMMANDS) == sorted(listed)


def test_every_extra_is_listed() -> None:
    """The table of extras lists all there are, and no other."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    listed = re.findall(r"^\| `gohan-jobs\[(\w+)\]`", README, re.MULTILINE)
    assert sorted(project["optional-dependencies"]) == sorted(listed)
