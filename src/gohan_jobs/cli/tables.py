"""What commands print for people: tables, with colours on a terminal only."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table

__all__ = ["make_console", "make_table", "printable", "show", "span"]

_WIDE = 100_000
_MINUTE, _HOUR, _DAY = 60, 3600, 86400


def make_console() -> Console:
    """Prints to standard output: as wide as what is printed, and plain, if it is no terminal."""
    from rich.console import Console  # noqa: PLC0415 - only who prints a table needs rich

    terminal = sys.stdout.isatty()
    return Console(
        file=sys.stdout,
        force_terminal=terminal,
        width=None if terminal else _WIDE,
        markup=False,
        emoji=False,
        highlight=False,
    )


def make_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Table:
    """A table, without a header if its columns have no names; empty cells are shown as a dash."""
    from rich.table import Table  # noqa: PLC0415 - as above

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=any(columns))
    for column in columns:
        table.add_column(column, header_style="bold", overflow="fold")
    for row in rows:
        table.add_row(*(printable("-" if cell in {None, ""} else str(cell)) for cell in row))
    return table


def show(*parts: RenderableType) -> None:
    """Print one after the other; where it is no terminal, without blanks at the lines' ends."""
    console = make_console()
    if console.is_terminal:
        console.print(*parts, sep="\n")
        return
    with console.capture() as captured:
        console.print(*parts, sep="\n")
    click.echo("".join(f"{line.rstrip()}\n" for line in captured.get().splitlines()), nl=False)


def printable(text: str) -> str:
    """A text that can't command a terminal: its control characters are replaced."""
    return "".join(each if each.isprintable() or each in "\n\t" else "\ufffd" for each in text)


def span(seconds: float | None) -> str:
    """A time as people say it, in two units at most; a dash for None."""
    if seconds is None:
        return "-"
    whole = int(seconds)
    if whole < _MINUTE:
        return f"{whole}s"
    if whole < _HOUR:
        return f"{whole // _MINUTE}m{whole % _MINUTE:02}s"
    if whole < _DAY:
        return f"{whole // _HOUR}h{whole % _HOUR // _MINUTE:02}m"
    return f"{whole // _DAY}d{whole % _DAY // _HOUR:02}h"
