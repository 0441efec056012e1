"""``gohan-jobs jobs``: the unfinished jobs, those that have waited longest first."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

from gohan_jobs.cli.brevity import first_clause
from gohan_jobs.cli.deployment import connected, etcd_options
from gohan_jobs.cli.durations import DURATION
from gohan_jobs.cli.output import json_option, print_json
from gohan_jobs.cli.tables import make_table, show, span
from gohan_jobs.inspection.job_list import JobFilter, JobList, list_jobs
from gohan_jobs.keys import Place

__all__ = ["command"]

_COLUMNS = ("job", "place", "age", "attempts", "holder", "waits for", "last error")


@click.command("jobs")
@etcd_options
@click.option(
    "--place",
    type=click.Choice([place.value for place in Place]),
    help="Only those that stand there.",
)
@click.option("--handler", help="Only those for this handler.", metavar="NAME")
@click.option("--type", "resource_type", help="Only of resources of this type.", metavar="TYPE")
@click.option("--older-than", type=DURATION, default=0.0, help="Only those planned so long ago.")
@click.option(
    "--limit", type=click.IntRange(1), default=100, help="How many at most: each one is read."
)
@json_option
@click.pass_context
def command(ctx: click.Context, /, *, as_json: bool, limit: int, **options: Any) -> None:
    """List unfinished jobs: where each stands, for how long, and what it waits for.

    Long errors are cut short: `explain` and --json have all of them.
    Exit status 1 if there is none.
    """
    place = options["place"]
    wanted = JobFilter(
        place=None if place is None else Place(place),
        handler=options["handler"],
        resource_type=options["resource_type"],
        older_than=options["older_than"],
    )
    with connected(ctx, options) as store:
        found = list_jobs(store, wanted=wanted, limit=limit)
    if as_json:
        print_json(found)
    elif found.jobs:
        show(make_table(_COLUMNS, _rows(found)))
    left = found.matching - len(found.jobs)
    if left:
        click.echo(f"{left} more: see --limit", err=True)
    if not found.jobs:
        filtered = wanted != JobFilter()
        click.echo(f"there is no {'such' if filtered else 'unfinished'} job", err=True)
        ctx.exit(1)


def _rows(found: JobList) -> Iterator[tuple[object, ...]]:
    for job in found.jobs:
        place = job.place or "nowhere"
        waits = job.waits_for or ""
        error = first_clause(job.last_error)
        if job.held_until:
            error = f"held until {job.held_until}: {error}"
        age = span(job.age)
        holder = job.worker or job.holder
        yield job.job_id, place, age, job.attempts, holder, waits, error
