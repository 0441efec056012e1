"""How a process's job manager behaves, as options of ``gohan-jobs run``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import attrs
import click

from gohan_jobs.cli.configuration import option
from gohan_jobs.cli.durations import PERIOD
from gohan_jobs.manager import ManagerOptions

__all__ = ["manager_options", "manager_options_of", "quota_option"]

F = TypeVar("F", bound=Callable[..., Any])

_DEFAULTS = ManagerOptions()

_OPTIONS: dict[str, Callable[[Any], Any]] = {
    "hold_time": option(
        "--hold-time",
        "Time that a config waits for something it refers to.",
        type=PERIOD,
        default=_DEFAULTS.hold_time,
    ),
    "on_dependency_failure": option(
        "--on-dependency-failure",
        "What becomes of the jobs that need the stack of one that failed.",
        type=click.Choice(["cancel", "hold"]),
        default=_DEFAULTS.on_dependency_failure,
    ),
    "dependency_hold_time": option(
        "--dependency-hold-time",
        "Time that they are held before they are cancelled.",
        type=PERIOD,
        default=_DEFAULTS.dependency_hold_time,
    ),
    "orphans": option(
        "--orphans",
        "What becomes of stacks whose config went without a request to delete them.",
        type=click.Choice(["keep", "delete"]),
        default=_DEFAULTS.orphans,
    ),
    "quota_bytes": option(
        "--quota-bytes",
        "etcd's quota, which it does not tell: near it, a resync pauses.",
        type=click.IntRange(1),
        default=_DEFAULTS.quota_bytes,
    ),
}


def quota_option(function: F) -> F:
    """Add ``--quota-bytes`` to a command that looks."""
    add: Callable[[F], F] = option(
        "--quota-bytes",
        "etcd's quota, which it does not tell.",
        type=click.IntRange(1),
        default=_DEFAULTS.quota_bytes,
    )
    return add(function)


def manager_options(function: F) -> F:
    """Add the options."""
    for each in reversed(_OPTIONS.values()):
        function = each(function)
    return function


def manager_options_of(
    options: Mapping[str, Any], *, leader_ttl: float, claim_pause: float
) -> ManagerOptions:
    """What the options say.

    Args:
        options: of the command.
        leader_ttl: seconds of the leader's lease.
        claim_pause: seconds before a lost job may be claimed again.
    """
    given = {name: options[name] for name in _OPTIONS}
    return attrs.evolve(_DEFAULTS, leader_ttl=leader_ttl, claim_pause=claim_pause, **given)
