"""``gohan-jobs status``: what a deployment is doing, in one look."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import click

from gohan_jobs.cli.brevity import first_clause
from gohan_jobs.cli.deployment import connected, etcd_options
from gohan_jobs.cli.durations import PERIOD
from gohan_jobs.cli.manager_options import quota_option
from gohan_jobs.cli.output import json_option, print_json
from gohan_jobs.cli.signals import ended_quietly
from gohan_jobs.cli.tables import make_console, make_table, show, span
from gohan_jobs.inspection.overview import LeaderStatus, Status, read_status

if TYPE_CHECKING:
    from rich.console import RenderableType

__all__ = ["command"]

_SHOWN_TENANTS = 3
_TROUBLES = {
    "held": "configs held",
    "held_jobs": "jobs held for a failed dependency",
    "broken_jobs": "jobs whose document can't be used",
    "nowhere": "jobs in no place",
    "strangers": "jobs claimed by no registered worker",
    "failing": "failed jobs being dealt with",
    "quarantined": "keys set aside",
    "orphans": "orphans",
    "repairs": "stacks to be made right",
    "reports": "monitoring reports held",
}


@click.command("status")
@etcd_options
@quota_option
@click.option(
    "--failures",
    is_flag=True,
    help="Count and name the results with an error, too: reads every one.",
)
@click.option("--watch", is_flag=True, help="Look again and again; once if piped, unless --json.")
@click.option("--interval", type=PERIOD, default=2.0, help="Time between two looks.")
@json_option
@click.pass_context
def command(ctx: click.Context, /, *, as_json: bool, **options: Any) -> None:
    """Print who leads, who works, what is queued and what wants a look.

    Resources are counted, not read, so it is quick however many there are. With --failures the
    newest hundred that have failed are named: `explain TYPE ID` says more of each.
    """
    with ended_quietly(), connected(ctx, options) as store:
        looks = (read_status(store, failures=options["failures"]) for _ in _ticks(options))
        if as_json:
            for status in looks:
                print_json(status)
        elif options["watch"] and make_console().is_terminal:
            _live(looks, options["quota_bytes"])
        else:
            show(*_parts(next(looks), options["quota_bytes"]))


def _ticks(options: Mapping[str, Any]) -> Iterator[None]:
    """One, or one every so often."""
    yield
    while options["watch"]:
        time.sleep(options["interval"])
        yield


def _live(looks: Iterator[Status], quota: int) -> None:
    from rich.console import Group  # noqa: PLC0415 - only a table needs rich
    from rich.live import Live  # noqa: PLC0415 - as above

    # Drawn when there is something new: no thread of rich's draws meanwhile.
    with Live(console=make_console(), auto_refresh=False) as live:
        most = 0
        for status in looks:
            most = max(most, status.resources.resync)
            live.update(Group(*_parts(status, quota), *_progress(status, most)), refresh=True)


def _parts(status: Status, quota: int) -> Iterator[RenderableType]:
    yield make_table(("", ""), _facts(status, quota))
    yield ""
    yield make_table(("place", "jobs", "oldest", "bands", "tenants"), _places(status))
    if status.workers:
        yield ""
        yield make_table(("worker", "slots", "busy", "lease left"), _workers(status))
    if status.failures:
        yield ""
        yield make_table(("failed", "version", "state", "error"), _failures(status))


def _facts(status: Status, quota: int) -> Iterator[tuple[str, str]]:
    yield "leader", _leader(status.leader)
    slots = sum(worker.slots or 0 for worker in status.workers)
    busy = sum(worker.busy for worker in status.workers)
    yield "workers", f"{len(status.workers)}, {busy} of {slots} slots busy"
    found = status.resources
    yield "configs", f"{found.configs}, {found.processed} processed; {found.templates} templates"
    yield "results", f"{found.states}{_failed(found.failed)}; {found.stacks} stacks"
    yield "resync", f"{found.resync} jobs left" if found.resync else "no jobs left"
    yield "troubles", ", ".join(_troubles(status)) or "none"
    yield "etcd", _etcd(status, quota)


def _leader(leader: LeaderStatus | None) -> str:
    if leader is None:
        return "nobody"
    lease = "lease alive" if leader.leased else "without a lease"
    left = "" if leader.lease_left is None else f", {span(leader.lease_left)} left"
    who = f"{leader.name} ({leader.manager_id})" if leader.name else leader.manager_id
    return f"{who} since revision {leader.since_revision}, {lease}{left}"


def _failed(count: int | None) -> str:
    return "" if count is None else f", {count} failed"


def _troubles(status: Status) -> Iterator[str]:
    for name, words in _TROUBLES.items():
        count = getattr(status.troubles, name)
        if count:
            yield f"{words}: {count}"
    yield from (f"etcd's alarm {alarm}" for alarm in status.alarms)


def _etcd(status: Status, quota: int) -> str:
    at = f"revision {status.revision}"
    if status.size is None:
        return at
    return f"{at}, {_mib(status.size)} of {_mib(quota)} ({status.size / quota:.0%})"


def _mib(size: int) -> str:
    return f"{size / 2**20:.1f} MiB"


def _places(status: Status) -> Iterator[tuple[object, ...]]:
    for place in status.places:
        yield place.place, place.jobs, span(place.oldest), _counts(place.bands), _few(place.tenants)


def _workers(status: Status) -> Iterator[tuple[object, ...]]:
    for each in status.workers:
        yield each.worker_id, each.slots, each.busy, span(each.lease_left)


def _failures(status: Status) -> Iterator[tuple[object, ...]]:
    for each in status.failures:
        yield each.path, each.version, each.worker_state, first_clause(each.error)


def _few(counts: Mapping[str, int]) -> str:
    shown = dict([*counts.items()][:_SHOWN_TENANTS])
    left = len(counts) - len(shown)
    return _counts(shown) + (f", {left} more" if left else "")


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name or 'unknown'} {count}" for name, count in counts.items())


def _progress(status: Status, most: int) -> Iterator[RenderableType]:
    """How far a resync has come, since this program has been looking."""
    found = status.resources
    bars = {
        "configs processed": (found.processed, found.configs),
        "resync's jobs done": (most - found.resync, most),
    }
    if found.resync or found.processed < found.configs:
        yield _bars(bars)


def _bars(bars: Mapping[str, tuple[int, int]]) -> RenderableType:
    from rich.progress_bar import ProgressBar  # noqa: PLC0415 - as above
    from rich.table import Table  # noqa: PLC0415 - as above

    table = Table.grid(padding=(0, 2, 0, 0))
    for name, (done, total) in bars.items():
        bar = ProgressBar(total=max(1, total), completed=min(done, total), width=40)
        table.add_row(name, bar, f"{min(done, total)}/{total}")
    return table
