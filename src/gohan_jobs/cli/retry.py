"""``gohan-jobs retry``: the newest version of a resource, once more."""

from __future__ import annotations

from typing import Any

import click

from gohan_jobs.cli.acting import confirm, operator, report, wait_option, yes_option
from gohan_jobs.cli.deployment import deployment, etcd_options, schemas_options
from gohan_jobs.cli.output import json_option
from gohan_jobs.cli.resources import locate, resource_arguments

__all__ = ["command"]

_SAID = (
    "it publishes another /state, which Gohan may ignore: it takes the first one of a version",
)


@click.command("retry")
@resource_arguments
@etcd_options
@schemas_options
@wait_option
@yes_option
@json_option
@click.pass_context
def command(
    ctx: click.Context, /, *, wait: float | None, yes: bool, as_json: bool, **options: Any
) -> None:
    """Run the newest version of a resource again, though it has its result.

    The leader plans it as if it were new; while nobody leads, the request waits. It publishes
    another /state, which Gohan may ignore: it takes the first one of a version. What was cancelled
    because of it is not run again: retry each.

    Refused if the resource has an unfinished job, or no config that has been planned.
    """
    with deployment(ctx, options) as found:
        ref, _ = locate(found.schemas, options["resource_type"], options["resource_id"])
        act = operator(found)
        version = act.retriable(ref)
        confirm(f"Run version {version} of {ref} again?", yes=yes)
        said = (f"{ref}: version {version} is run again", *_SAID)
        report(ctx, act, act.retry(ref), said, wait=wait, as_json=as_json)
