"""``gohan-jobs load``: a dump into a keyspace that has nothing of a deployment yet."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from gohan_jobs.bookkeeping import FORMAT
from gohan_jobs.cli.acting import confirm, yes_option
from gohan_jobs.cli.deployment import FILE, connected, etcd_options
from gohan_jobs.cli.output import json_option, print_json
from gohan_jobs.cli.signals import terminated_as_interrupted
from gohan_jobs.exceptions import UnsupportedFormat
from gohan_jobs.operations.restoring import LOADING, Loaded, Restorer
from gohan_jobs.operations.undoing import undo_load

__all__ = ["command"]


@click.command("load")
@click.argument("file", type=FILE, metavar="FILE")
@click.option("--undo", is_flag=True, help="Take back what a load of FILE that was cut off wrote.")
@etcd_options
@yes_option
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    /,
    *,
    file: Path,
    undo: bool,
    yes: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Load the dump in FILE into an etcd that has nothing of a deployment yet.

    Values come back byte for byte; revisions do not, so what refers to them is translated. What
    hangs on a lease is left out; jobs that were being worked on wait again. What can't be loaded is
    found before anything is written. Until all is there no job manager starts. A load that was cut
    off goes on when it is repeated with the same FILE, or is taken back with --undo.

    Stop Gohan, job managers and workers of both keyspaces first.
    """

    def lines() -> Iterator[bytes]:
        with file.open("rb") as opened:
            yield from opened

    etcd = ", ".join(options["etcd"])
    found: Loaded | Mapping[str, int]
    with terminated_as_interrupted(), connected(ctx, options) as store:
        if undo:
            confirm(f"Remove from {etcd} what a load of {file} has written?", yes=yes)
            found = {"removed": undo_load(store, lines)}
        else:
            confirm(f"Load {file} into {etcd}?", yes=yes)
            found = _load(Restorer(store, lines))
    if as_json:
        print_json(found)
        return
    for line in _said(found) if isinstance(found, Loaded) else _undone(found):
        click.echo(line)


def _load(restorer: Restorer) -> Loaded:
    """Load; whatever keeps it from its end, say how to go on."""
    try:
        return restorer.load()
    finally:
        if restorer.unfinished:
            click.echo(UnsupportedFormat(LOADING, FORMAT), err=True)


def _undone(found: Mapping[str, int]) -> Iterator[str]:
    yield f"{found['removed']} keys removed: nothing of the load is left"


def _said(loaded: Loaded) -> Iterator[str]:
    yield f"{loaded.entries} keys loaded and verified, {loaded.left_out} left out"
    if loaded.put_back:
        yield f"{len(loaded.put_back)} jobs that were being worked on wait again:"
        yield from (f"  {job_id}" for job_id in loaded.put_back)
    yield "revisions are new: finished resources are not done again, unfinished jobs go on"
