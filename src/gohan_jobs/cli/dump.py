"""``gohan-jobs dump``: a keyspace in a file that only its owner can read."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, BinaryIO

import click

from gohan_jobs.cli.deployment import connected, etcd_options
from gohan_jobs.cli.output import json_option, print_json
from gohan_jobs.cli.private_files import private_file
from gohan_jobs.cli.signals import terminated_as_interrupted
from gohan_jobs.operations.dumping import dump
from gohan_jobs.redaction import Redactor

__all__ = ["command"]


@click.command("dump")
@click.argument(
    "file", type=click.Path(dir_okay=False, allow_dash=True, path_type=Path), metavar="FILE"
)
@click.option("--redact", is_flag=True, help="Mask secrets; such a dump can't be loaded.")
@click.option("--force", is_flag=True, help="Replace FILE if it is there.")
@etcd_options
@json_option
@click.pass_context
def command(
    ctx: click.Context, /, *, file: Path, redact: bool, force: bool, as_json: bool, **options: Any
) -> None:
    """Write everything of a deployment to FILE (- is standard output), as of one revision.

    A JSON object a line: a head, each key with its value byte for byte, an end. `check` reads it,
    and `load` loads it. Without --redact passwords are in it; only its owner can read the file.
    """
    redactor = Redactor() if redact else None
    with connected(ctx, options) as store:
        if str(file) == "-":
            _write(sys.stdout.buffer, dump(store, redactor=redactor))
            return
        with terminated_as_interrupted(), private_file(file, force=force) as target:
            lines = _write(target, dump(store, redactor=redactor))
    if as_json:
        print_json({"file": str(file), "keys": lines - 2, "redacted": redact})
    else:
        click.echo(f"{file}: {lines - 2} keys")


def _write(target: BinaryIO, lines: Iterable[str]) -> int:
    number = 0
    for number, line in enumerate(lines, 1):  # noqa: B007 - how many there were
        target.write(line.encode("utf-8", "surrogatepass") + b"\n")
    target.flush()
    return number
