"""Fields that a model does not know, kept so that nothing a newer writer wrote is lost."""

from __future__ import annotations

from typing import Any

import attrs

__all__ = ["UnknownField", "by_name"]


@attrs.frozen
class UnknownField:
    """A field read that the model has no attribute for; written back at its place.

    Attributes:
        after: the known field it stood behind (other unknown ones may stand between); None if it
            stood before all known ones. Not compared: the order of fields means nothing.
        name: its name.
        value: its JSON value, untouched; not shown in a repr.
    """

    after: str | None = attrs.field(eq=False)
    name: str
    value: Any = attrs.field(repr=False)


def by_name(fields: tuple[UnknownField, ...]) -> tuple[UnknownField, ...]:
    """What a record's unknown fields are compared by: their order means nothing."""
    return tuple(sorted(fields, key=lambda field: field.name))
