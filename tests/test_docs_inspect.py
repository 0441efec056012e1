"""What the page on looking at a running system shows is what the commands print."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from command_lines import CommandLine
from worlds import NETWORK, PORT, World, ref

PAGE = Path(__file__).parents[1] / "docs" / "howto" / "inspect.md"
BLOCK = re.compile(r"^```console\n\$ gohan-jobs (.*)\n((?:.*\n)*?)```$", re.MULTILINE)

RANDOM = re.compile(r"(?<=:\d:)[a-z0-9]{5}\b|\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b")


def without_chance(text: str) -> str:
    """A text without blanks at its lines' ends, and with all ids that are drawn by lot alike."""
    return RANDOM.sub("*", re.sub(r" +$", "", text, flags=re.MULTILINE))


def shown() -> list[tuple[str, str]]:
    """The page's commands, and what it says they print."""
    return BLOCK.findall(PAGE.read_text(encoding="utf-8"))


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    """A network is being changed, a port waits for it, another one for a network not there."""
    world = World(operation_seconds=20.0)
    world.write(NETWORK, {"name": "blue", "admin_password": "hunter22"})
    world.pass_time(30.0)
    world.write(NETWORK, {"name": "green", "admin_password": "hunter23"}, 2)
    world.write(PORT, {"network_id": "n1"})
    world.write(ref("port", "p9"), {"network_id": "n7"})
    world.settle()
    world.clock.advance(12.0)
    for module in ("inspection.overview", "inspection.job_list"):
        monkeypatch.setattr(f"gohan_jobs.{module}.SystemClock", lambda: world.clock)
    return CommandLine(monkeypatch, world.store)


@pytest.mark.parametrize(("command", "expected"), shown())
def test_the_page_shows_what_is_printed(call: CommandLine, command: str, expected: str) -> None:
    """Every command on the page prints what stands below it."""
    patience = ("--patience", "0") if command.startswith("history") else ()
    actual = call.text(*shlex.split(command), *patience)
    assert without_chance(expected) == without_chance(actual)


def test_every_command_that_looks_is_on_the_page() -> None:
    """None is left out."""
    commands = {command.split()[0] for command, _ in shown()}
    assert {"explain", "graph", "history", "jobs", "status", "watch"} == commands
