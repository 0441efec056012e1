"""``gohan-jobs check``: everything that is wrong with some records."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

import click

from gohan_jobs.cli.stored import Stored, Unreadable, read_stored
from gohan_jobs.codec import loads
from gohan_jobs.exceptions import InvalidKey, InvalidRecord

__all__ = ["command"]


@click.command("check")
@click.argument("files", type=click.File("rb"), nargs=-1, required=True, metavar="FILE...")
@click.pass_context
def command(ctx: click.Context, files: tuple[BinaryIO, ...]) -> None:
    """Validate the records in FILEs (- is standard input), and print every problem.

    A FILE holds either one JSON object a line, {"key": "...", "text": "..."} or {"key": "...",
    "value": ...}, or keys, each on a line that begins with "/", followed by what is stored there:
    as `etcdctl get --prefix /config/` prints it, or within the fences of a documented page.

    Exit status 1 if there is a problem, or no record in a file.
    """
    records = problems = 0
    for file in files:
        found = list(read_stored(file.read()))
        told = [line for each in found for line in _problems(each)]
        for line in told if found else [" no record found"]:
            click.echo(f"{getattr(file, 'name', '<stdin>')}:{line}")
        records += len(found)
        problems += len(told) if found else 1
    click.echo(f"{_count(records, 'record')}, {_count(problems, 'problem')}", err=True)
    if problems:
        ctx.exit(1)


def _count(number: int, what: str) -> str:
    return f"{number} {what}" + ("" if number == 1 else "s")


def _problems(found: Stored | Unreadable) -> Iterator[str]:
    """The problems of one record, each with its line."""
    if isinstance(found, Unreadable):
        yield from (f"{found.line}: {problem}" for problem in found.problems)
        return
    try:
        loads(found.key, found.text)
    except InvalidKey as error:
        yield f"{found.line}: {error}"
    except InvalidRecord as error:
        yield from (f"{found.line}: {found.key}: {problem}" for problem in error.problems)
