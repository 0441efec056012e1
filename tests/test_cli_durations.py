"""Times on the command line and in its files, and that options of one name mean the same."""

from __future__ import annotations

import math
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from gohan_jobs.cli.durations import DURATION, PERIOD, Duration
from gohan_jobs.cli.main import COMMANDS, main

ELSEWHERE = {"--etcd", "--schemas"}  # of `demo` and of `replay` they are something else


def seconds(value: str | float, kind: Duration = DURATION) -> float:
    """What an option with a value holds."""
    return kind.convert(value, None, None)


@pytest.mark.parametrize(
    ("value", "expected"),
    [("0", 0.0), ("90", 90.0), ("1.5s", 1.5), ("10m", 600.0), ("2h", 7200.0), (3, 3.0), (0.5, 0.5)],
)
def test_times(value: str | float, expected: float) -> None:
    """Seconds, unless a unit says otherwise; a file also has numbers."""
    assert expected == seconds(value)


@pytest.mark.parametrize(
    "value", ["", "10 m", "1w", "-5", "nan", "inf", -5, math.nan, math.inf, True]
)
def test_no_times(value: str | float) -> None:
    """A mistake is named."""
    with pytest.raises(click.BadParameter, match="expected a time such as 90s, 10m, 2h or 1d"):
        seconds(value)


@pytest.mark.parametrize("value", ["0", "0m", 0])
def test_periods_are_not_empty(value: str | float) -> None:
    """What waits no time at all is refused where that makes no sense."""
    assert 0.0 == seconds(value)
    assert 60.0 == seconds("1m", PERIOD)
    with pytest.raises(click.BadParameter, match="expected a time greater than 0"):
        seconds(value, PERIOD)


def test_times_in_a_file(tmp_path: Path) -> None:
    """As numbers and as texts; what is none is a mistake in the command line."""
    file = tmp_path / "gohan-jobs.toml"
    for value, expected in (("true", 2), ("-1", 2), ('"1w"', 2), ('"2m"', 1), ("120", 1)):
        file.write_text(f'etcd = "127.0.0.1:1"\netcd_patience = 0.1\nworker_lease = {value}\n')
        result = CliRunner().invoke(
            main, ["run", "--config", str(file), "--schemas", str(tmp_path)]
        )
        assert (expected, expected == 2) == (
            result.exit_code,
            "expected a time" in result.stderr,
        )


def test_options_of_one_name_are_of_one_kind() -> None:
    """In whatever command; and every time may have a unit, but the one that is named for it."""
    context = click.Context(main)
    kinds: dict[str, set[str]] = {}
    for name in COMMANDS:
        command = main.get_command(context, name)
        assert command is not None
        options = (param for param in command.params if isinstance(param, click.Option))
        for param in options:
            for option in {*param.opts} - ELSEWHERE:
                kinds.setdefault(option, set()).add(param.type.name)
    assert {} == {option: found for option, found in kinds.items() if len(found) > 1}
    floats = {option for option, found in kinds.items() if any("float" in kind for kind in found)}
    assert {"--operation-seconds", "--heat-rate", "--heat-tenant-rate"} == floats
    assert ({"duration"}, {"integer range"}) == (kinds["--older-than"], kinds["--quota-bytes"])
    assert "--quota" not in kinds
