"""``gohan-jobs watch``: records as they change."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping
from typing import Any

import click

from gohan_jobs.cli.deployment import (
    connected,
    etcd_options,
    optional_schemas_options,
    schemas_of,
)
from gohan_jobs.cli.output import json_option, print_json
from gohan_jobs.cli.resources import schema_of
from gohan_jobs.cli.signals import ended_quietly
from gohan_jobs.cli.tables import printable
from gohan_jobs.codec import Spelling, loads_json
from gohan_jobs.exceptions import InvalidRecord
from gohan_jobs.inspection.watching import Gap, RecordChange, RecordWatch, Selection, WatchedKind
from gohan_jobs.redacted_records import redacted_row, redacted_text
from gohan_jobs.redaction import Redactor

__all__ = ["command"]

_PAUSE = 1.0


@click.command("watch")
@etcd_options
@optional_schemas_options
@click.option("--prefix", default="", help="Every key that begins so, records or not.")
@click.option(
    "--kind",
    "kinds",
    type=click.Choice([kind.value for kind in WatchedKind]),
    multiple=True,
    help="Only such records; may be given several times.",
)
@click.option("--type", "resource_type", help="Only of resources of this type.", metavar="TYPE")
@click.option("--id", "resource_id", default="", help="Only of resources of this id.")
@click.option(
    "--from-revision", type=click.IntRange(1), help="Begin there, not now.", metavar="REVISION"
)
@click.option("--limit", type=click.IntRange(1), help="End after so many changes.")
@click.option(
    "--spelling",
    type=click.Choice([spelling.value for spelling in Spelling]),
    default=Spelling.DOCUMENT.value,
    help="How records are written.",
)
@json_option
@click.pass_context
def command(ctx: click.Context, /, *, as_json: bool, **options: Any) -> None:
    """Print records as they change, until SIGINT or SIGTERM.

    What stands under secret keys is masked. Losing the connection loses nothing; what etcd has
    compacted before it could be read is told as a gap.
    """
    selection = _selection(ctx, options)
    with ended_quietly(), connected(ctx, options) as store:
        start = options["from_revision"] or 0
        with RecordWatch(store, selection, start) as watch:
            for change in itertools.islice(_changes(watch), options["limit"]):
                if as_json:
                    print_json(_told(change))
                elif isinstance(change, Gap):
                    click.secho(_gap(change), fg="red")
                else:
                    _print(change, options["spelling"])


def _selection(ctx: click.Context, options: Mapping[str, Any]) -> Selection:
    kinds, resource_type = options["kinds"], options["resource_type"]
    if options["prefix"] and (kinds or resource_type):
        raise click.UsageError("--prefix says it all: give no --kind or --type beside it")
    below = ""
    if resource_type is not None:
        if options["schemas"] is None:
            raise click.UsageError("--type needs --schemas")
        schemas = schemas_of(ctx, options)
        below = schema_of(schemas, resource_type).prefix
    return Selection(
        kinds=tuple(map(WatchedKind, kinds)) or tuple(WatchedKind),
        prefix=options["prefix"],
        resource_type=resource_type or "",
        schema_prefix=below,
        resource_id=options["resource_id"],
    )


def _changes(watch: RecordWatch) -> Iterator[RecordChange | Gap]:
    while True:
        yield from watch.poll(_PAUSE)


def _gap(gap: Gap) -> str:
    return (
        f"gap: what happened under {gap.prefix} from revision {gap.first} to {gap.last} has been "
        "compacted, and can't be told"
    )


def _print(change: RecordChange, spelling: str) -> None:
    event, colour = ("delete", "red") if change.removed else ("put", "green")
    words = (
        click.style(str(change.revision), dim=True),
        click.style(event, fg=colour),
        click.style(printable(change.key), bold=True),
    )
    click.echo(" ".join(words))
    if change.record is not None:
        click.echo(redacted_text(change.record, spelling, secrets=change.secrets))
    elif change.problem:
        click.secho(printable(f"can't be read: {change.problem}"), fg="red")
    elif change.text:
        click.echo(printable(_text(change)))


def _text(change: RecordChange) -> str:
    """What is no record: a word, or JSON, which may hold secrets like any other."""
    try:
        value = loads_json(change.key, change.text)
    except InvalidRecord:
        return Redactor().scrub(change.text, change.secrets)
    return json.dumps(redacted_row(value, secrets=change.secrets))


def _told(change: RecordChange | Gap) -> dict[str, Any]:
    if isinstance(change, Gap):
        return {"event": "gap", "prefix": change.prefix, "first": change.first, "last": change.last}
    told: dict[str, Any] = {
        "event": "delete" if change.removed else "put",
        "revision": change.revision,
        "key": change.key,
    }
    if change.record is not None:
        record = redacted_text(change.record, secrets=change.secrets)
        told["record"] = json.loads(record)
    elif change.problem:
        told["problem"] = change.problem
    elif not change.removed:
        told["text"] = _text(change)
    return told
