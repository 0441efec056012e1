"""``gohan-jobs cancel``: an unfinished job ends, and its version fails."""

from __future__ import annotations

from typing import Any

import click

from gohan_jobs.cli.acting import confirm, operator, report, wait_option, yes_option
from gohan_jobs.cli.deployment import Deployment, deployment, etcd_options, schemas_options
from gohan_jobs.cli.output import json_option
from gohan_jobs.cli.resources import locate
from gohan_jobs.exceptions import InvalidKey
from gohan_jobs.keys import JobId
from gohan_jobs.operations.operating import Operator

__all__ = ["command", "job_argument"]

_NAMED = 5


@click.command("cancel")
@click.argument("target", nargs=-1, required=True, metavar="JOB|TYPE ID")
@click.option("--reason", default="", help="What /state says after 'cancelled: '.")
@etcd_options
@schemas_options
@wait_option
@yes_option
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    /,
    *,
    target: tuple[str, ...],
    reason: str,
    wait: float | None,
    yes: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """End an unfinished job: the /state of its version then says "cancelled: ...".

    A running job is ended by its holder, as soon as its handler looks up; if that hangs, take the
    job from it with `release`. What it has begun in Heat stays as it is. Jobs that depend on it
    fail too, or are held, as after any failure. A delete that runs is not ended.
    """
    with deployment(ctx, options) as found:
        act = operator(found)
        job_id = _job(found, act, target)
        act.cancellable(job_id)
        confirm(f"End {job_id}?{_dependants(act, job_id)}", yes=yes)
        said = (f"{job_id}: is ended; what it has begun in Heat stays as it is",)
        report(ctx, act, act.cancel(job_id, reason), said, wait=wait, as_json=as_json)


def _job(found: Deployment, act: Operator, target: tuple[str, ...]) -> JobId:
    if len(target) == 1:
        return job_argument(target[0])
    if len(target) > 2:  # noqa: PLR2004 - TYPE and ID
        raise click.UsageError("give one JOB, or TYPE and ID")
    return act.job_of(locate(found.schemas, *target)[0])


def job_argument(text: str) -> JobId:
    """A job's id on the command line.

    Raises:
        click.UsageError: it is none.
    """
    try:
        return JobId.parse(text)
    except InvalidKey as error:
        raise click.UsageError(str(error)) from None


def _dependants(act: Operator, job_id: JobId) -> str:
    found = act.dependants(job_id)
    if not found:
        return ""
    more = len(found) - _NAMED
    named = ", ".join(map(str, found[:_NAMED])) + (f" and {more} more" if more > 0 else "")
    return f" These wait for it, and may fail with it: {named}."
