"""``gohan-jobs doctor``: what is wrong with a deployment, and what to do."""

from __future__ import annotations

import contextlib
import datetime as dt
import email.utils
from collections.abc import Iterator, Mapping
from typing import Any

import attrs
import click

from gohan_jobs.cli.connections import SIMULATED
from gohan_jobs.cli.deployment import (
    etcd_options,
    heat_options,
    names_heat,
    open_heat,
    open_store,
    schemas_of,
    schemas_options,
)
from gohan_jobs.cli.durations import DURATION
from gohan_jobs.cli.manager_options import quota_option
from gohan_jobs.cli.output import json_option, print_json
from gohan_jobs.cli.tables import printable
from gohan_jobs.codec import Codec
from gohan_jobs.diagnosis import Finding, Member, Severity, diagnose
from gohan_jobs.diagnosis.examination import examine, examine_heat, examine_member
from gohan_jobs.exceptions import GohanJobsError
from gohan_jobs.keys import Keys
from gohan_jobs.queue import Queue
from gohan_jobs.stores.base import AsksMember

__all__ = ["command"]

_COLOURS = {Severity.ERROR: "red", Severity.WARNING: "yellow", Severity.INFO: None}


@click.command("doctor")
@click.option("--tenant", help="Whose project Heat is asked in; else that of some config.")
@click.option(
    "--older-than",
    type=DURATION,
    default=3600.0,
    help="An unfinished job this old is worth a look.",
)
@quota_option
@etcd_options
@schemas_options
@heat_options
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    /,
    *,
    tenant: str | None,
    older_than: float,
    quota_bytes: int,
    as_json: bool,
    **options: Any,
) -> None:
    """Look at etcd, Heat, the types, clocks, leases, jobs and what is left over; write nothing.

    Each finding says what it means and what to do. With --heat or --os-cloud Heat is asked, too.
    Exit status 1 if there are errors or warnings.
    """
    schemas = schemas_of(ctx, options)
    codec = Codec(Keys())
    with open_store(ctx, options) as store:
        facts, known = examine(store, codec, Queue(codec.keys, codec), schemas)
    facts = attrs.evolve(
        facts,
        members=tuple(_members(ctx, options)),
        heat=_heat(ctx, options, tenant or known),
        skew=_skew(options["heat"], options["heat_timeout"]),
        quota=quota_bytes,
        patience=older_than,
    )
    findings = diagnose(facts)
    if as_json:
        print_json({"findings": findings})
    else:
        for finding in findings:
            _print(finding)
    if any(finding.severity is not Severity.INFO for finding in findings):
        ctx.exit(1)
    if not as_json:
        click.echo("nothing is wrong")


def _members(ctx: click.Context, options: Mapping[str, Any]) -> Iterator[Member]:
    """Each member by itself: together they hide which one is down."""
    for endpoint in options["etcd"]:
        with open_store(ctx, {**options, "etcd": (endpoint,)}) as store:
            if isinstance(store, AsksMember):
                yield examine_member(endpoint, store)


def _heat(ctx: click.Context, options: Mapping[str, Any], tenant: str) -> str | None:
    """Why Heat can't be used; None if nobody said where it is."""
    if not names_heat(options):
        return None
    if not tenant:
        return "there is no config whose tenant could be asked for: give --tenant"
    try:
        with contextlib.closing(open_heat(ctx, options)) as heat:
            return examine_heat(heat, tenant)
    except GohanJobsError as error:
        return str(error)


def _skew(heat: str | None, timeout: float) -> float | None:
    """Seconds that Heat's clock is ahead; None if it does not tell."""
    if heat is None or heat == SIMULATED:
        return None
    import requests  # noqa: PLC0415 - for --help it takes too long

    here = dt.datetime.now(dt.UTC)
    try:
        said = requests.get(heat.partition("%")[0], timeout=timeout).headers.get("Date", "")
        return (email.utils.parsedate_to_datetime(said) - here).total_seconds()
    except (requests.RequestException, ValueError, TypeError):
        return None


def _print(finding: Finding) -> None:
    head = f"{finding.severity}: {finding.check}"
    click.echo(f"{click.style(head, fg=_COLOURS[finding.severity])}: {printable(finding.what)}")
    for subject in finding.subjects:
        click.echo(f"  - {printable(subject)}")
    if finding.count > len(finding.subjects) > 0:
        click.echo(f"  and {finding.count - len(finding.subjects)} more")
    if finding.advice:
        click.echo(f"  -> {finding.advice}")
