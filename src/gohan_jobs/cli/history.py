"""``gohan-jobs history``: what became of a resource, while etcd remembers."""

from __future__ import annotations

import json
from typing import Any

import click

from gohan_jobs.cli.brevity import first_clause
from gohan_jobs.cli.deployment import deployment, etcd_options, schemas_options
from gohan_jobs.cli.durations import DURATION
from gohan_jobs.cli.output import json_option, print_json
from gohan_jobs.cli.resources import locate, resource_arguments
from gohan_jobs.cli.tables import printable
from gohan_jobs.inspection.differences import Difference, DifferenceKind
from gohan_jobs.inspection.history import History, HistoryEntry, read_history
from gohan_jobs.records import (
    ConfigRecord,
    HeatStack,
    Job,
    JobState,
    MonitoringRecord,
    ProcessedConfig,
    Record,
    StateRecord,
)
from gohan_jobs.redaction import Redactor

__all__ = ["command"]

_SHORTENED = 100


@click.command("history")
@resource_arguments
@etcd_options
@schemas_options
@click.option(
    "--patience",
    type=DURATION,
    default=1.0,
    help="How long nothing may come until that was all: more if etcd is slow to find what is old.",
)
@json_option
@click.pass_context
def command(ctx: click.Context, /, *, as_json: bool, **options: Any) -> None:
    """Print every change of a resource's records and jobs that etcd remembers, oldest first.

    Exit status 1 if it remembers none.
    """
    with deployment(ctx, options) as found:
        ref, path = locate(found.schemas, options["resource_type"], options["resource_id"])
        history = read_history(
            found.store,
            ref,
            path,
            found.codec,
            handlers=found.inspector.handlers,
            patience=options["patience"],
        )
    if as_json:
        print_json(history, history.secrets)
    else:
        _print(history)
    if not history.entries:
        click.echo(f"etcd remembers nothing of {ref}", err=True)
        ctx.exit(1)


def _print(history: History) -> None:
    if history.compacted:
        click.secho(
            f"history before revision {history.compacted} has been compacted: "
            "what comes first is what was there then",
            fg="yellow",
        )
    for entry in history.entries:
        words = (
            click.style(str(entry.revision), dim=True),
            click.style(printable(entry.key), bold=True),
            printable(first_clause(Redactor().scrub(_what(entry), history.secrets))),
        )
        click.echo(" ".join(words))
        for difference in entry.differences:
            click.echo(f"    {printable(_line(difference))}")


def _what(entry: HistoryEntry) -> str:
    if entry.removed:
        return "removed"
    if entry.record is None:
        return f"can't be read: {entry.problem}"
    return _brief(entry.record)


def _brief(record: Record) -> str:
    """A record in a few words."""
    if isinstance(record, ConfigRecord | MonitoringRecord):
        marked = isinstance(record, ConfigRecord) and record.marked_for_deletion
        return f"version {record.version}{', marked for deletion' if marked else ''}"
    if isinstance(record, ProcessedConfig):
        return f"version {record.version} processed"
    if isinstance(record, Job):
        return f"queued, waits for {len(record.dependency)}" if record.dependency else "queued"
    return _result(record)


def _result(record: HeatStack | JobState | StateRecord) -> str:
    if isinstance(record, HeatStack):
        return _joined(str(record.stack_status), record.status_reason)
    if isinstance(record, JobState):
        return _joined(str(record.orchestration_state or "claimed"), record.error or "")
    return _joined(f"version {record.version} {record.worker_state}", record.error)


def _joined(what: str, why: str) -> str:
    return f"{what}: {why}" if why else what


def _line(difference: Difference) -> str:
    before, after = _short(difference.before), _short(difference.after)
    return {
        DifferenceKind.ADDED: f"+ {difference.path}: {after}",
        DifferenceKind.REMOVED: f"- {difference.path}: {before}",
        DifferenceKind.CHANGED: f"~ {difference.path}: {before} -> {after}",
    }[difference.kind]


def _short(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _SHORTENED else f"{text[:_SHORTENED]}…"
