"""Times on the command line and in its files: ``90``, ``90s``, ``10m``, ``2h``, ``1d``."""

from __future__ import annotations

import math
import re

import click

__all__ = ["DURATION", "PERIOD", "Duration"]

_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}
_TEXT = re.compile(r"([0-9]+(?:\.[0-9]+)?)([smhd]?)\Z")


class Duration(click.ParamType[float]):
    """A type of option: a time, in seconds unless a unit says otherwise.

    Args:
        positive: whether it may not be zero.
    """

    name = "duration"

    def __init__(self, *, positive: bool = False) -> None:
        self._positive = positive

    def convert(
        self, value: str | float, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Seconds."""
        seconds = _seconds(value)
        if seconds is None:
            self.fail(f"{value!r}, expected a time such as 90s, 10m, 2h or 1d", param, ctx)
        if self._positive and not seconds:
            self.fail(f"{value!r}, expected a time greater than 0", param, ctx)
        return seconds


def _seconds(value: str | float) -> float | None:
    """None for what is no time; a file may hold numbers of any kind."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return float(value) if math.isfinite(value) and value >= 0 else None
    found = _TEXT.match(value)
    return None if found is None else float(found[1]) * _UNITS[found[2]]


DURATION = Duration()
"""A type of option: a time, which may be 0."""

PERIOD = Duration(positive=True)
"""A type of option: a time, which may not be 0."""
