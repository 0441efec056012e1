"""``gohan-jobs resume``: what a job manager has stopped for, and an operator's word on it."""

from __future__ import annotations

from typing import Any

import click

from gohan_jobs.acceptance import accept as accept_it
from gohan_jobs.acceptance import stopped
from gohan_jobs.cli.acting import confirm, yes_option
from gohan_jobs.cli.deployment import connected, etcd_options
from gohan_jobs.cli.output import json_option, print_json
from gohan_jobs.cli.tables import printable
from gohan_jobs.keys import Keys

__all__ = ["command"]


@click.command("resume")
@click.option("--accept", is_flag=True, help="Let it carry out what it stopped for, once.")
@click.option(
    "--beforehand",
    is_flag=True,
    help="With --accept: also if none has stopped, for the next; so for a restored etcd, "
    "on which none has started.",
)
@etcd_options
@yes_option
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    /,
    *,
    accept: bool,
    beforehand: bool,
    yes: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Print why the job manager has stopped on purpose; with --accept, let it go on.

    It stops if the cluster is another one, if its revision went back, or if very many configs are
    gone at once. Look first: accepting lets it remove what has no config any more. If it was a
    mistake, put that right instead, and restart the job manager.

    Without --accept nothing is written; exit status 1 if it has stopped.
    """
    if beforehand and not accept:
        raise click.UsageError("--beforehand goes with --accept")
    with connected(ctx, options) as store:
        found = stopped(store, Keys())
        given = None
        if accept and (found is not None or beforehand):
            reason = "whatever the next one finds" if found is None else found.reason
            confirm(f"Accept: {printable(reason)}?", yes=yes)
            given = accept_it(store, Keys(), beforehand=beforehand)
    if as_json:
        print_json({"stopped": found, "accepted": given})
    elif found is None:
        click.echo("no job manager has stopped")
    else:
        click.echo(printable(f"stopped since {found.since}: {found.reason}"))
    if given is not None:
        click.echo("accepted: it goes on within seconds", err=as_json)
    elif found is not None or accept:
        ctx.exit(1)
