"""Times on the command line: ``90``, ``90s``, ``10m``, ``2h``, ``1d``."""

from __future__ import annotations

import re

import click

__all__ = ["DURATION", "Duration"]

_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}
_TEXT = re.compile(r"([0-9]+(?:\.[0-9]+)?)([smhd]?)\Z")


class Duration(click.ParamType[float]):
    """A type of option: a time, in seconds unless a unit says otherwise."""

    name = "duration"

    def convert(
        self, value: str | float, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Seconds."""
        if isinstance(value, int | float):
            return float(value)
        found = _TEXT.match(value)
        if found is None:
            self.fail(f"{value!r}, expected a time such as 90s, 10m, 2h or 1d", param, ctx)
        return float(found[1]) * _UNITS[found[2]]


DURATION = Duration()
"""A type of option: a time."""
