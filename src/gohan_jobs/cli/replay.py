"""``gohan-jobs replay``: what the library makes of a recorded trace."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

import click

from gohan_jobs.cli.connections import read_schemas
from gohan_jobs.redacted_records import redacted_row
from gohan_jobs.replay import replay_lines

__all__ = ["command"]


@click.command("replay")
@click.option(
    "--schemas",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    required=True,
    help="Gohan's answer to GET /gohan/v0.1/schemas.",
)
@click.option(
    "--templates",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Template mappings beside Gohan's, which knows heat_worker's only: JSON, "
    '{"<handler>": {"<type>": <mapping>}}.',
)
@click.option(
    "--trace",
    type=click.File(encoding="utf-8"),
    required=True,
    help="What the outside world did, one JSON object a line; - is standard input.",
)
@click.option(
    "--out",
    type=click.File("w", encoding="utf-8", lazy=True),
    required=True,
    help="Where to write what the library wrote and called; - is standard output.",
)
@click.option("--redact", is_flag=True, help="Mask what stands under secret keys.")
def command(
    schemas: Path, templates: Path | None, trace: TextIO, out: TextIO, *, redact: bool
) -> None:
    """Feed a trace through the library, on a store in memory and a Heat that does as it says.

    Jobs of other handlers than heat_worker end as soon as they may begin: a trace has no line for
    their ends. Which types have them is what --templates says, or, of monitoring_worker's in 2017,
    the heat_templates "<type>_monitoring" at the beginning of the trace.
    """
    types = read_schemas(str(schemas), None, templates)
    rows = replay_lines(_lines(trace), types, source=trace.name)
    written = map(_redacted, rows) if redact else rows
    out.writelines(row + "\n" for row in written)


def _redacted(row: str) -> str:
    return json.dumps(redacted_row(json.loads(row)))


def _lines(trace: TextIO) -> Iterator[str]:
    try:
        # Not from the file itself: a generator that ends early would close it, too.
        yield from iter(trace.readline, "")
    except UnicodeDecodeError:
        raise click.ClickException(f"{trace.name}: not UTF-8") from None
