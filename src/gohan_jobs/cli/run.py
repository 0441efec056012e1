"""``gohan-jobs run``: a process that works on an etcd until it is told to stop."""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import os
import re
import socket
from typing import TYPE_CHECKING, Any

import click

from gohan_jobs.cli.configuration import address, option, words
from gohan_jobs.cli.connections import SIMULATED
from gohan_jobs.cli.deployment import (
    answering,
    etcd_options,
    heat_options,
    open_heat,
    open_store,
    schemas_of,
    schemas_options,
)
from gohan_jobs.cli.durations import PERIOD
from gohan_jobs.cli.manager_options import manager_options, manager_options_of
from gohan_jobs.cli.signals import ending_signals
from gohan_jobs.events import Hook, log_event
from gohan_jobs.handler_registry import Handlers
from gohan_jobs.instrumentation import ObservedOrchestrator
from gohan_jobs.lifecycle import Lifecycle, Role
from gohan_jobs.orchestrators.base import Orchestrator
from gohan_jobs.schemas import Schemas
from gohan_jobs.stores.base import Store
from gohan_jobs.worker import WorkerOptions

if TYPE_CHECKING:
    from gohan_jobs.instrumentation import PrometheusHook

__all__ = ["command"]


def _own_name() -> str:
    host = re.sub(r"[^A-Za-z0-9._-]", "-", socket.gethostname())[:50]
    return f"{host}-{os.getpid()}"


@click.command(
    "run",
    epilog="Every option may also stand in the file of --config, as etcd_ca for "
    "--etcd-ca, or in a variable, as GOHAN_JOBS_ETCD_CA. The command line wins, then the variable.",
)
@etcd_options
@schemas_options
@heat_options
@option(
    "--roles",
    "What this process does.",
    type=words(Role.MANAGER, Role.WORKER),
    metavar="manager,worker",
    default=f"{Role.MANAGER},{Role.WORKER}",
)
@option(
    "--name",
    "By which operators find this process.  [default: the host's name and the process id]",
    default=_own_name,
    show_default=False,
)
@option(
    "--handlers",
    "Handlers of installed packages to offer; all of them unless given.",
    type=words(),
    metavar="NAME,...",
)
@option("--slots", "Jobs at a time.", type=click.IntRange(1), default=8)
@option("--worker-lease", "Time of a worker's lease.", type=PERIOD, default=60.0)
@option("--leader-lease", "Time of the leader's lease.", type=PERIOD, default=65.0)
@manager_options
@option("--stop-timeout", "Time for jobs to end after SIGTERM.", type=PERIOD, default=30.0)
@option("--http", "Serve /healthz, /readyz and /metrics here.", type=address, metavar="HOST:PORT")
@option(
    "--log-level",
    "What is logged, to standard error.",
    type=click.Choice(["debug", "info", "warning", "error"]),
    default="info",
)
@click.pass_context
def command(ctx: click.Context, /, **options: Any) -> None:
    """Manage jobs, execute them, or both, until SIGTERM or SIGINT.

    Run as many of these as you like on the same etcd: of the managers one leads, the others stand
    by. The first signal stops it in order; jobs that do not end in time are handed back. A second
    one ends it at once.
    """
    logging.basicConfig(
        level=options["log_level"].upper(), format="%(asctime)s %(levelname)s %(name)s %(message)s"
    )
    with contextlib.ExitStack() as stack:
        # Before the first thread, which inherits what is kept from ending the process.
        wait = stack.enter_context(ending_signals())
        schemas = schemas_of(ctx, options)
        store = stack.enter_context(open_store(ctx, options))
        metrics = _metrics(store)
        hooks: tuple[Hook, ...] = (log_event,) if metrics is None else (log_event, metrics)
        heat = _heat(ctx, options, hooks)
        stack.callback(heat.close)
        lifecycle = _lifecycle(store, heat, schemas, hooks, options)
        with answering():
            lifecycle.check()  # so that what is wrong with etcd is said at once
        stack.callback(lifecycle.close, options["stop_timeout"])
        lifecycle.run()
        _serve(stack, options["http"], lifecycle, metrics)
        click.echo(f"{' and '.join(options['roles'])} on {', '.join(options['etcd'])}", err=True)
        click.echo(f"{wait().name}: stopping", err=True)


def _lifecycle(
    store: Store,
    heat: Orchestrator,
    schemas: Schemas,
    hooks: tuple[Hook, ...],
    options: dict[str, Any],
) -> Lifecycle:
    handlers = Handlers().discover(options["handlers"])
    manager = manager_options_of(
        options, leader_ttl=options["leader_lease"], claim_pause=heat.request_timeout
    )
    worker = WorkerOptions(slots=options["slots"], lease_ttl=options["worker_lease"])
    try:
        return Lifecycle(
            store,
            heat,
            schemas,
            roles=options["roles"],
            name=options["name"],
            handlers=handlers,
            hooks=hooks,
            manager=manager,
            worker=worker,
        )
    except ValueError as error:
        raise click.UsageError(str(error)) from None


def _heat(ctx: click.Context, options: dict[str, Any], hooks: tuple[Hook, ...]) -> Orchestrator:
    if Role.WORKER not in options["roles"]:
        # A manager never calls Heat: it only has to know how long a worker's call may take.
        options = options | {"heat": SIMULATED}
    return ObservedOrchestrator(open_heat(ctx, options), hooks)


def _metrics(store: Store) -> PrometheusHook | None:
    if importlib.util.find_spec("prometheus_client") is None:
        return None
    from gohan_jobs.instrumentation import PrometheusHook, QueueDepths  # noqa: PLC0415 - an extra's

    metrics = PrometheusHook()
    metrics.track_queue(QueueDepths(store))
    return metrics


def _serve(
    stack: contextlib.ExitStack,
    address: tuple[str, int] | None,
    lifecycle: Lifecycle,
    metrics: PrometheusHook | None,
) -> None:
    if address is None:
        return
    from gohan_jobs.cli.probes import Probes  # noqa: PLC0415 - only when asked for

    if metrics is not None:
        metrics.track_leadership(lambda: lifecycle.leads)
    probes = Probes(address, lifecycle, None if metrics is None else metrics.text)
    stack.enter_context(probes)
    click.echo(f"serving {probes.url}", err=True)
