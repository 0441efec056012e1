"""``gohan-jobs heat-simulator``: a Heat without OpenStack behind it, over HTTP."""

from __future__ import annotations

import click

from gohan_jobs.cli.signals import ending_signals
from gohan_jobs.orchestrators.simulated.server import serve

__all__ = ["command"]


@click.command("heat-simulator")
@click.option("--host", default="127.0.0.1", help="The address to listen on.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8004,
    help="The port to listen on; 0 for any free one.",
)
@click.option(
    "--token",
    envvar="GOHAN_JOBS_HEAT_TOKEN",
    help="The only token accepted. Any is, and none, if it is not given.",
)
@click.option(
    "--operation-seconds",
    type=click.FloatRange(min=0),
    default=1.0,
    help="How long a stack operation takes.",
)
def command(host: str, port: int, token: str | None, operation_seconds: float) -> None:
    """Serve the part of Heat's v1 API that gohan-jobs uses, until SIGTERM or SIGINT.

    Stacks are in memory only. The project is taken from the URL, as in the endpoint that is printed
    first.
    """
    with (
        ending_signals() as wait,
        serve(host=host, port=port, token=token, operation_seconds=operation_seconds) as server,
    ):
        click.echo(server.endpoint("%(tenant_id)s"))
        wait()
