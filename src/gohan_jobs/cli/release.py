"""``gohan-jobs release``: take a job from a holder that hangs, or is gone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

from gohan_jobs.cli.acting import confirm, operator, yes_option
from gohan_jobs.cli.cancel import job_argument
from gohan_jobs.cli.deployment import deployment, etcd_options, schemas_options
from gohan_jobs.cli.output import json_option, print_json
from gohan_jobs.cli.tables import printable
from gohan_jobs.operations.operating import Claimant

__all__ = ["command"]


@click.command("release")
@click.argument("job")
@click.option("--force", is_flag=True, help="Take it; else only say who has it.")
@etcd_options
@schemas_options
@yes_option
@json_option
@click.pass_context
def command(
    ctx: click.Context, /, *, job: str, force: bool, yes: bool, as_json: bool, **options: Any
) -> None:
    """Take JOB from its holder, which hangs or is gone; another worker takes it up later.

    The holder stops, and can publish nothing of it any more. It counts as a lost claim: after five
    the job fails. Before the next claim the time of one request to Heat passes, so that what the
    holder has just sent arrives before what the next one sends.

    Without --force nothing is done, and the exit status is 1.
    """
    job_id = job_argument(job)
    with deployment(ctx, options) as found:
        act = operator(found)
        holder = act.holder(job_id)
        if not as_json:
            for line in _facts(holder):
                click.echo(printable(line))
        if force:
            confirm("Take it from its holder?", yes=yes)
            act.release(holder)
    if as_json:
        print_json({"holder": holder, "released": force})
    else:
        click.echo("released" if force else "nothing was done: give --force to take it")
    if not force:
        ctx.exit(1)


def _facts(holder: Claimant) -> Iterator[str]:
    yield f"{holder.job_id}"
    yield f"  held by: worker {holder.worker or 'that is gone'}, claim {holder.claim}"
    yield f"  since: revision {holder.revision}; planned {holder.planned_at or 'at no known time'}"
    yield f"  lost before: {holder.attempts} claims"
    if not holder.lease:
        yield "  lease: none: it does not end by itself"
    elif holder.remaining is None:
        yield f"  lease: {holder.lease}, how long it lives is not known"
    else:
        yield f"  lease: {holder.lease}, lives {holder.remaining:.0f} s unless it is renewed"
