"""``gohan-jobs demo``: both seeds' lifecycles, printed as the seeds print them."""

from __future__ import annotations

import contextlib
from collections.abc import Generator

import click

from gohan_jobs.clock import SystemClock
from gohan_jobs.codec import dumps
from gohan_jobs.demo import Page, pages, play
from gohan_jobs.redacted_records import redacted_text

__all__ = ["command"]


@click.command("demo")
@click.option(
    "--etcd",
    is_flag=True,
    help="Store everything in an etcd that is started for it (pip install 'gohan-jobs[etcd]').",
)
@click.option("--redact", is_flag=True, help="Mask what stands under secret keys.")
def command(*, etcd: bool, redact: bool) -> None:
    """Create and update an interface of a load balancer, and print its six records each time.

    Everything happens in this process: the store is in memory, Heat is simulated.
    """
    with contextlib.closing(_on_etcd() if etcd else pages()) as played:
        for number, page in enumerate(played):
            click.echo(
                "\n" * bool(number) + page.text(redacted_text if redact else dumps), nl=False
            )


def _on_etcd() -> Generator[Page]:
    from gohan_jobs.stores.etcd import EtcdStore  # noqa: PLC0415 - only here is gRPC needed
    from gohan_jobs.testing.etcd import EtcdCluster, EtcdNotInstalled  # noqa: PLC0415 - likewise

    try:
        cluster = EtcdCluster()
    except EtcdNotInstalled as error:
        raise click.ClickException(str(error)) from None
    with cluster, EtcdStore(cluster.endpoints) as store:
        yield from play(store, SystemClock())
