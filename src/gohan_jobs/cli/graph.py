"""``gohan-jobs graph``: which unfinished job waits for which."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from gohan_jobs.cli.deployment import Deployment, deployment, etcd_options, schemas_options
from gohan_jobs.cli.output import json_option, print_json
from gohan_jobs.cli.resources import locate
from gohan_jobs.cli.tables import printable
from gohan_jobs.inspection.dependencies import read_dependencies, read_needs_of
from gohan_jobs.inspection.graph_svg import graph_svg
from gohan_jobs.inspection.graphs import DependencyGraph, graph_mermaid, graph_text

__all__ = ["command"]

_FORMATS: dict[str, Callable[[DependencyGraph], str]] = {
    "text": graph_text,
    "mermaid": graph_mermaid,
    "svg": graph_svg,
}


@click.command("graph")
@click.argument("resource_type", metavar="[TYPE", required=False)
@click.argument("resource_id", metavar="ID]", required=False)
@etcd_options
@schemas_options
@click.option("--all", "everything", is_flag=True, help="Every unfinished job there is.")
@click.option(
    "--dependants", is_flag=True, help="What waits for the resource, too: reads every job."
)
@click.option("--format", "form", type=click.Choice([*_FORMATS]), default="text")
@click.option(
    "--output",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    help="Write it there.",
    metavar="FILE",
)
@json_option
@click.pass_context
def command(ctx: click.Context, /, *, as_json: bool, **options: Any) -> None:
    """Draw which unfinished jobs those of a resource wait for, directly or not, or all of them.

    In the text, below each job is what it waits for. Exit status 1 if there is no unfinished job.
    """
    given = [options[name] for name in ("resource_type", "resource_id")]
    if given.count(None) != (2 if options["everything"] else 0):
        raise click.UsageError("give TYPE and ID, or --all")
    with deployment(ctx, options) as found:
        graph = _read(found, options)
    if as_json:
        print_json({"places": graph.places, "needs": graph.needs})
    if not graph.places:
        click.echo("there is no unfinished job", err=True)
        ctx.exit(1)
    if not as_json:
        _write(_FORMATS[options["form"]](graph), options["output"])


def _read(found: Deployment, options: dict[str, Any]) -> DependencyGraph:
    if options["everything"]:
        return read_dependencies(found.store, found.codec)
    resource, _ = locate(found.schemas, options["resource_type"], options["resource_id"])
    if options["dependants"]:
        graph = read_dependencies(found.store, found.codec)
        return graph.around(graph.of(resource))
    return read_needs_of(found.store, found.inspector.job_ids(resource), found.codec)


def _write(text: str, output: Path | None) -> None:
    if output is None:
        click.echo(printable(text), nl=False)
    else:
        output.write_text(text, encoding="utf-8")
