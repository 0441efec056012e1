"""What commands that act have in common: who acts, whether they are sure, what came of it."""

from __future__ import annotations

import getpass
import socket
import sys
from collections.abc import Callable
from typing import Any, TypeVar

import click

from gohan_jobs.bookkeeping import CANCELLED
from gohan_jobs.cli.deployment import Deployment
from gohan_jobs.cli.durations import PERIOD
from gohan_jobs.cli.output import print_json
from gohan_jobs.cli.tables import printable
from gohan_jobs.operations.operating import Operator, Requested
from gohan_jobs.results import Completed, Failed, Result

__all__ = ["confirm", "operator", "report", "wait_option", "who", "yes_option"]

F = TypeVar("F", bound=Callable[..., Any])


def yes_option(function: F) -> F:
    """Add ``--yes``."""
    return click.option("--yes", is_flag=True, help="Do not ask.")(function)


def wait_option(function: F) -> F:
    """Add ``--wait``."""
    return click.option(
        "--wait",
        type=PERIOD,
        help="Wait for the result, and print it; exit status 1 unless it is what was asked for.",
    )(function)


def confirm(question: str, *, yes: bool) -> None:
    """Go on only if the operator is sure.

    Raises:
        click.UsageError: there is nobody to ask.
        click.Abort: the operator is not sure.
    """
    if yes:
        return
    if not interactive():
        raise click.UsageError("there is no terminal to ask at: give --yes")
    click.confirm(question, abort=True, err=True)


def interactive() -> bool:
    """Whether somebody can be asked."""
    return sys.stdin.isatty()


def who() -> str:
    """Who acts, for the record."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError, ImportError):  # a user id without a name, in a container
        name = "somebody"
    return f"{name}@{socket.gethostname()}"


def operator(found: Deployment) -> Operator:
    """The operator at this command line."""
    return Operator(found.store, found.codec, found.queue, found.schemas, by=who())


def report(
    ctx: click.Context,
    act: Operator,
    requested: Requested,
    said: tuple[str, ...],
    *,
    wait: float | None,
    as_json: bool,
) -> None:
    """Print what was asked for and, once it is there, what came of it."""
    if not as_json:
        for line in (*said, _by_whom(requested)):
            click.echo(line)
    result = None if wait is None else act.wait(requested, wait)
    if as_json:
        print_json({"requested": requested, "result": _told(result)})
    elif result is not None:
        click.echo(printable(f"{requested.resource}: {_sentence(requested, result)}"))
    if result is not None and not _is_what_was_asked_for(requested, result):
        ctx.exit(1)


def _is_what_was_asked_for(requested: Requested, result: Result) -> bool:
    if requested.job_id is None:
        return isinstance(result, Completed)
    return isinstance(result, Failed) and result.error.startswith(f"{CANCELLED}: ")


def _by_whom(requested: Requested) -> str:
    again = "asked for before; " if requested.already else ""
    if requested.led:
        return f"{again}the leader does it now"
    return f"{again}nobody leads now: the next leader takes it up"


def _told(result: Result | None) -> dict[str, object] | None:
    if result is None:
        return None
    kind = type(result).__name__.lower()
    if isinstance(result, Completed | Failed):
        return {"kind": kind, "state": result.state}
    return {"kind": kind, "by": result.by}


def _sentence(requested: Requested, result: Result) -> str:
    version = requested.version
    if isinstance(result, Completed):
        return f"version {version} is done: {result.state.worker_state}"
    if isinstance(result, Failed):
        return f"version {version} failed: {result.error}"
    by = "" if result.by is None else f", version {result.by} took its place"
    return f"version {version} gets no further result{by}; the leader's log says why"
