"""``gohan-jobs dump``: a keyspace in a file that only its owner can read."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import click

from gohan_jobs.cli.deployment import connected, etcd_options
from gohan_jobs.cli.output import json_option, print_json
from gohan_jobs.cli.signals import terminated_as_interrupted
from gohan_jobs.operations.dumping import dump
from gohan_jobs.redaction import Redactor

__all__ = ["command"]

_OWNER_ONLY = 0o600


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
        with terminated_as_interrupted(), _private(file, force=force) as target:
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


@contextlib.contextmanager
def _private(file: Path, *, force: bool) -> Iterator[BinaryIO]:
    """A new file that was nobody else's to read at any time, and is there whole or not at all."""
    if not file.name:
        raise click.UsageError("FILE must have a name; - is standard output")
    if os.path.lexists(file) and not force:
        raise click.UsageError(f"{file} is there already: give --force to replace it")
    if file.exists() and not file.is_file():
        raise click.UsageError(f"{file} is no file that could be replaced; - is standard output")
    part = file.with_name(f".{file.name}.{os.getpid()}")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _OWNER_ONLY)
    try:
        with os.fdopen(descriptor, "wb") as target:
            yield target
            os.fsync(target.fileno())
        if force:
            part.replace(file)
        else:
            os.link(part, file)  # unlike a renaming, it replaces nothing
    finally:
        part.unlink(missing_ok=True)
