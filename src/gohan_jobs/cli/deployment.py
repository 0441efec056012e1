"""The deployment that a command works on or looks at: its etcd, and its types."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import attrs
import click

from gohan_jobs.cli.configuration import option, read_config, secret_of, secret_options, words
from gohan_jobs.cli.connections import HeatOptions, read_schemas
from gohan_jobs.cli.durations import PERIOD
from gohan_jobs.clock import SystemClock
from gohan_jobs.codec import Codec
from gohan_jobs.exceptions import StoreUnavailable
from gohan_jobs.inspection.inspector import Inspector
from gohan_jobs.keys import Keys
from gohan_jobs.orchestrators.base import Orchestrator
from gohan_jobs.queue import Queue
from gohan_jobs.schemas import Schemas
from gohan_jobs.stores.base import Store

__all__ = [
    "FILE",
    "Deployment",
    "answering",
    "connected",
    "deployment",
    "etcd_options",
    "heat_options",
    "names_heat",
    "open_heat",
    "open_store",
    "optional_schemas_options",
    "schemas_of",
    "schemas_options",
]

F = TypeVar("F", bound=Callable[..., Any])

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
"""A type of option: a file that is there."""

_ETCD = (
    click.option(
        "--config",
        type=FILE,
        is_eager=True,
        callback=read_config,
        envvar="GOHAN_JOBS_CONFIG",
        help="TOML file with options.",
    ),
    option(
        "--etcd",
        "The members, or some of them.",
        type=words(),
        required=True,
        metavar="HOST:PORT,...",
    ),
    option("--etcd-ca", "Certificates of the authorities to trust; without it no TLS.", type=FILE),
    option("--etcd-cert", "The client certificate.", type=FILE),
    option("--etcd-key", "Its private key.", type=FILE),
    option("--etcd-server-name", "The name the members' certificates are checked for."),
    option("--etcd-user", "User name; the password is a secret, see --etcd-password-file."),
    secret_options("--etcd-password", "the user's password"),
    option("--etcd-timeout", "Time for one request.", type=PERIOD, default=5.0),
    option("--etcd-patience", "Time for a call, repeats included.", type=PERIOD, default=15.0),
    option(
        "--etcd-silence",
        "Time without a sign of life until a watch asks for one.",
        type=PERIOD,
        default=5.0,
    ),
    option(
        "--etcd-watch-buffer",
        "Events kept for a watch that is polled slowly.",
        type=click.IntRange(1),
        default=10_000,
    ),
)
_RATE = click.FloatRange(0, min_open=True)
_HEAT = (
    option("--heat", "Heat's endpoint, with %(tenant_id)s in it.", metavar="URL|simulated"),
    secret_options("--heat-token", "the token for Heat's endpoint", on_command_line=True),
    option("--heat-ca", "Certificates to check the endpoint's with.", type=FILE),
    option("--heat-timeout", "Time for one request.", type=PERIOD, default=20.0),
    option("--heat-rate", "Requests a second of this process at most.", type=_RATE, default=50.0),
    option("--heat-tenant-rate", "Of them for each tenant at most.", type=_RATE, default=20.0),
    option(
        "--os-cloud", "A cloud of clouds.yaml; else the OS_... variables count.", metavar="NAME"
    ),
)
_SCHEMAS_TOKEN = secret_options("--schemas-token", "the token for Gohan's URL")
_TEMPLATES = option(
    "--templates",
    "Template mappings beside Gohan's, which knows heat_worker's only: JSON, "
    '{"<handler>": {"<type>": <mapping>}}.',
    type=FILE,
)
_SCHEMAS = (
    option("--schemas", "Gohan's answer, or Gohan's URL.", required=True, metavar="FILE|URL"),
    _SCHEMAS_TOKEN,
    _TEMPLATES,
)
_OPTIONAL_SCHEMAS = (
    option("--schemas", "Gohan's answer, or its URL: for --type.", metavar="FILE|URL"),
    _SCHEMAS_TOKEN,
    _TEMPLATES,
)


def etcd_options(function: F) -> F:
    """Where etcd is, how to log in, and the TOML file that may say so."""
    return _all(_ETCD, function)


def schemas_options(function: F) -> F:
    """Where the types are read from."""
    return _all(_SCHEMAS, function)


def schemas_of(ctx: click.Context, options: Mapping[str, Any]) -> Schemas:
    """The types of :func:`schemas_options`.

    Raises:
        InvalidSchema: they can't be used.
        OSError: a file can't be read.
    """
    token = secret_of(ctx, "schemas_token")
    return read_schemas(options["schemas"], token, options["templates"])


def optional_schemas_options(function: F) -> F:
    """As :func:`schemas_options`, for a command that may do without."""
    return _all(_OPTIONAL_SCHEMAS, function)


def heat_options(function: F) -> F:
    """Where Heat is, and how to log in."""
    return _all(_HEAT, function)


def _all(options: tuple[Callable[[F], F], ...], function: F) -> F:
    for each in reversed(options):
        function = each(function)
    return function


def open_store(ctx: click.Context, options: Mapping[str, Any]) -> Store:
    """Connect to the etcd of :func:`etcd_options`; nothing is sent yet.

    Raises:
        click.UsageError: options that don't go together.
    """
    # What is wrong is in our own errors; gRPC would print lines of its own beside them.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    from gohan_jobs.stores.etcd import EtcdStore  # noqa: PLC0415 - for --help gRPC is too slow

    names = ["ca", "cert", "key", "server_name", "user"]
    names += ["timeout", "patience", "silence", "watch_buffer"]
    try:
        return EtcdStore(
            options["etcd"],
            password=_password(ctx),
            **{name: options[f"etcd_{name}"] for name in names},
        )
    except ValueError as error:
        raise click.UsageError(f"etcd: {error}") from None


def _password(ctx: click.Context) -> str | Callable[[], str | None] | None:
    """The password; from a file it is read again whenever a token is needed: it may change."""
    password = secret_of(ctx, "etcd_password")
    if password is None or ctx.params["etcd_password_file"] is None:
        return password
    return lambda: secret_of(ctx, "etcd_password")


def names_heat(options: Mapping[str, Any]) -> bool:
    """Whether :func:`heat_options` say where Heat is; where it need not be asked, that asks it."""
    return options["heat"] is not None or options["os_cloud"] is not None


def open_heat(ctx: click.Context, options: Mapping[str, Any]) -> Orchestrator:
    """Connect to the Heat of :func:`heat_options`; nothing is sent yet.

    Raises:
        click.UsageError: options that don't go together.
    """
    wanted = HeatOptions(
        heat=options["heat"],
        token=secret_of(ctx, "heat_token"),
        cloud=options["os_cloud"],
        ca=options["heat_ca"],
        timeout=options["heat_timeout"],
        rate=options["heat_rate"],
        tenant_rate=options["heat_tenant_rate"],
    )
    try:
        return wanted.connect(SystemClock())
    except ValueError as error:
        raise click.UsageError(str(error)) from None


@attrs.frozen(kw_only=True)
class Deployment:
    """What a command that looks at a running system works with.

    Attributes:
        store: connected, and it has answered.
        schemas: the types.
        keys: where everything is stored.
        codec: reads records.
        queue: reads the queue, and builds its transactions.
    """

    store: Store
    schemas: Schemas
    keys: Keys
    codec: Codec
    queue: Queue

    @property
    def inspector(self) -> Inspector:
        """Reads all of it."""
        return Inspector(self.store, self.codec, self.queue, self.schemas)


@contextlib.contextmanager
def answering() -> Iterator[None]:
    """Say who it is that does not answer."""
    try:
        yield
    except StoreUnavailable as error:
        raise StoreUnavailable(f"etcd does not answer: {error}") from None


@contextlib.contextmanager
def connected(ctx: click.Context, options: Mapping[str, Any]) -> Iterator[Store]:
    """The etcd of :func:`etcd_options`, which has answered, while a command looks at it.

    Raises:
        GohanJobsError: it does not let us in.
    """
    with open_store(ctx, options) as store:
        with answering():
            store.revision()  # so that what is wrong with the connection is said at once
        yield store


@contextlib.contextmanager
def deployment(ctx: click.Context, options: Mapping[str, Any]) -> Iterator[Deployment]:
    """A deployment while a command looks at it.

    Args:
        ctx: of the command.
        options: of :func:`etcd_options` and :func:`schemas_options`.

    Raises:
        GohanJobsError: the types can't be read, or etcd does not let us in.
    """
    schemas = schemas_of(ctx, options)
    with connected(ctx, options) as store:
        keys = Keys()
        codec = Codec(keys)
        yield Deployment(
            store=store, schemas=schemas, keys=keys, codec=codec, queue=Queue(keys, codec)
        )
