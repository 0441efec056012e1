"""Handlers that installed packages offer, each loaded when it is first asked for."""

from __future__ import annotations

import inspect
from collections.abc import Collection
from importlib.metadata import EntryPoint, entry_points
from typing import cast

import attrs

from gohan_jobs.coroutines import Coroutine
from gohan_jobs.exceptions import HandlerUnavailable
from gohan_jobs.handlers import Handler

__all__ = ["GROUP", "HandlerPlugin", "find_plugins"]

GROUP = "gohan_jobs.handlers"
"""The group of entry points that name handlers."""


@attrs.frozen
class HandlerPlugin:
    """A handler that a package offers.

    Attributes:
        name: the handler's name.
        source: who offers it: the distribution, and where in it.
    """

    name: str
    source: str
    _entry_point: EntryPoint

    def load(self) -> Handler | Coroutine:
        """Import it.

        Raises:
            HandlerUnavailable: it can't be imported, or is no handler.
        """
        try:
            found = self._entry_point.load()
        except Exception as error:
            raise self._broken(f"{type(error).__name__}: {error}") from error
        if inspect.isclass(found):
            raise self._broken("it is a class: name a function, or an instance")
        if not callable(found):
            raise self._broken(f"it can't be called: {type(found).__name__}")
        return cast("Handler", found)

    def _broken(self, reason: str) -> HandlerUnavailable:
        return HandlerUnavailable(self.name, self.source, reason)


def find_plugins(
    names: Collection[str] | None = None, *, group: str = GROUP
) -> dict[str, HandlerPlugin]:
    """The handlers that installed packages offer, by name; none of them is imported.

    Args:
        names: only these; all unless given.
        group: the group of entry points.

    Raises:
        HandlerUnavailable: one of ``names`` is offered by no package, or a name by two.
    """
    found: dict[str, HandlerPlugin] = {}
    for point in entry_points(group=group):
        if names is not None and point.name not in names:
            continue
        plugin = HandlerPlugin(point.name, _source(point), point)
        other = found.setdefault(point.name, plugin)
        if other.source != plugin.source:
            raise HandlerUnavailable(point.name, plugin.source, f"so does {other.source}")
    for name in sorted(set(names or ()) - found.keys()):
        raise HandlerUnavailable(name, f"entry points {group}", "no installed package offers it")
    return found


def _source(point: EntryPoint) -> str:
    distribution = "" if point.dist is None else f"{point.dist.name}: "
    return f"{distribution}{point.value}"
