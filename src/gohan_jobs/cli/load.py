"""``gohan-jobs load``: a dump into a keyspace that has nothing of a deployment yet."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from gohan_jobs.cli.acting import confirm, yes_option
from gohan_jobs.cli.deployment import FILE, connected, etcd_options
from gohan_jobs.cli.output import json_option, print_json
from gohan_jobs.operations.restoring import Loaded, Restorer

__all__ = ["command"]


@click.command("load")
@click.argument("file", type=FILE, metavar="FILE")
@etcd_options
@yes_option
@json_option
@click.pass_context
def command(ctx: click.Context, /, *, file: Path, yes: bool, as_json: bool, **options: Any) -> None:
    """Load the dump in FILE into an etcd that has nothing of a deployment yet.

    Values come back byte for byte; revisions do not, so what refers to them is translated. What
    hangs on a lease is left out; jobs that were being worked on wait again. Until all is there no
    job manager starts. A load that was cut off goes on when it is repeated.

    Stop Gohan, job managers and workers of both keyspaces first.
    """

    def lines() -> Iterator[bytes]:
        with file.open("rb") as opened:
            yield from opened

    with connected(ctx, options) as store:
        confirm(f"Load {file} into {', '.join(options['etcd'])}?", yes=yes)
        loaded = Restorer(store, lines).load()
    if as_json:
        print_json(loaded)
        return
    for line in _said(loaded):
        click.echo(line)


def _said(loaded: Loaded) -> Iterator[str]:
    yield f"{loaded.entries} keys loaded and verified, {loaded.left_out} left out"
    if loaded.put_back:
        yield f"{len(loaded.put_back)} jobs that were being worked on wait again:"
        yield from (f"  {job_id}" for job_id in loaded.put_back)
    yield "revisions are new: finished resources are not done again, unfinished jobs go on"
