"""Fields that a model does not know, kept so that nothing a newer writer wrote is lost."""

from __future__ import annotations

from typing import Any

import attrs

__all__ = ["UnknownField"]


@attrs.frozen
class UnknownField:
    """A field read that the model has no attribute for; written back at its place.

    Attributes:
        after: the known field it stood behind (other unknown ones may stand between); None if it
            stood before all known ones.
        name: its name.
        value: its JSON value, untouched; not shown in a repr.
    """

    after: str | None
    name: str
    value: Any = attrs.field(repr=False)
