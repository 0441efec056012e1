"""Where options come from: the command line, then ``GOHAN_JOBS_…`` variables, then a TOML file."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click
from click.core import ParameterSource

__all__ = ["address", "option", "read_config", "secret_of", "secret_options", "words"]

_LAST_PORT = 65535

F = TypeVar("F", bound=Callable[..., Any])

_PREFIX = "GOHAN_JOBS_"


def option(name: str, help: str, **settings: Any) -> Callable[[F], F]:  # noqa: A002 - click's own word
    """An option that may also come from the variable named after it."""
    variable = _PREFIX + name.removeprefix("--").replace("-", "_").upper()
    return click.option(name, envvar=variable, help=help, **settings)


def secret_options(name: str, what: str, *, on_command_line: bool = False) -> Callable[[F], F]:
    """Options for a secret: in a file, in a variable, or in the TOML file.

    Args:
        name: such as ``--etcd-password``; the file is ``--etcd-password-file``.
        what: it is, for the help.
        on_command_line: whether it may also be given there, where anyone on the machine can
            read it.
    """
    file: Callable[[F], F] = option(
        f"{name}-file",
        f"File that holds {what}, on its first line.",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
    )
    plain: Callable[[F], F]
    if on_command_line:
        plain = option(name, f"{what[0].upper()}{what[1:]}; others on this machine can see it.")
    else:
        plain = option(name, what, hidden=True, callback=_not_on_command_line)

    def both(function: F) -> F:
        return plain(file(function))

    return both


def secret_of(ctx: click.Context, name: str) -> str | None:
    """A secret from wherever it was given; None if it was not.

    Args:
        ctx: of the command, whose options :func:`secret_options` made.
        name: such as ``etcd_password``.
    """
    value, file = ctx.params[name], ctx.params[f"{name}_file"]
    if value and file:
        raise click.UsageError(f"{name} and {name}_file: give one of them", ctx)
    if file is None:
        return value or None
    lines = Path(file).read_text(encoding="utf-8").splitlines()
    return lines[0] if lines else None


def _not_on_command_line(
    ctx: click.Context, param: click.Parameter, value: str | None
) -> str | None:
    if ctx.get_parameter_source(param.name or "") is ParameterSource.COMMANDLINE:
        raise click.BadParameter(
            f"others on this machine could see it: use {param.opts[0]}-file, or the variable "
            f"{param.envvar}"
        )
    return value


def read_config(ctx: click.Context, _param: click.Parameter, path: Path | None) -> Path | None:
    """Take a TOML file's values as defaults: a callback of an eager option."""
    if path is not None:
        try:
            given = tomllib.loads(path.read_text(encoding="utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise click.BadParameter(f"{path}: not TOML: {error}") from None
        values = {name.replace("-", "_"): value for name, value in given.items()}
        own = {param.name for param in ctx.command.params} - {"config"}
        unknown = sorted(values.keys() - own - _options_of_run(ctx))
        if unknown:
            raise click.BadParameter(f"{path}: no such options: {', '.join(unknown)}")
        ctx.default_map = {name: value for name, value in values.items() if name in own}
    return path


def _options_of_run(ctx: click.Context) -> set[str]:
    """What a deployment's file may hold for its processes: other commands read the same file."""
    group = None if ctx.parent is None else ctx.parent.command
    run = group.get_command(ctx, "run") if isinstance(group, click.Group) else None
    return set() if run is None else {param.name or "" for param in run.params} - {"config"}


def words(*choices: str) -> Callable[[Any], tuple[str, ...]]:
    """A type of option: words with commas between, in TOML also a list.

    Args:
        choices: the words there are; none for any.
    """

    def split(value: Any) -> tuple[str, ...]:
        given = value.split(",") if isinstance(value, str) else list(value)
        found = tuple(str(word).strip() for word in given)
        for word in found:
            if not word or (choices and word not in choices):
                expected = f", expected some of {', '.join(choices)}" if choices else ""
                raise click.BadParameter(f"{word!r}{expected}")
        return found

    return split


def address(value: str) -> tuple[str, int]:
    """A type of option: ``HOST:PORT``, an IPv6 address in brackets."""
    host, _, port = str(value).rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not host or not port.isdecimal() or int(port) > _LAST_PORT:
        raise click.BadParameter(f"{value!r}, expected HOST:PORT")
    return host, int(port)
