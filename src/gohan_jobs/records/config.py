"""Point 1: what Gohan wrote, and the copy of what was processed last."""

from __future__ import annotations

from typing import Any

import attrs

from gohan_jobs.exceptions import InvalidRecord, Problem
from gohan_jobs.records.unknown import UnknownField, by_name

__all__ = ["ConfigRecord", "HeatTemplate", "ProcessedConfig"]


@attrs.frozen(kw_only=True)
class ConfigRecord:
    """A resource's config at ``/config/<path>`` (``seed 1``, point 1).

    Attributes:
        body: the resource; opaque JSON, nothing in it is dropped, renamed, reordered or coerced.
            It may hold passwords and is not shown in a repr. Do not change it.
        version: counts the config's versions, from 1; 0 where Gohan does not count.
        marked_for_deletion: the first step of a two-step deletion; None if the field is absent.
        unknown: fields this release does not know.
    """

    body: dict[str, Any] = attrs.field(repr=False)
    version: int
    marked_for_deletion: bool | None = False
    unknown: tuple[UnknownField, ...] = attrs.field(default=(), eq=by_name)

    @property
    def deleting(self) -> bool:
        """Whether the resource is marked for deletion; absent means it is not."""
        return bool(self.marked_for_deletion)


@attrs.frozen(kw_only=True)
class ProcessedConfig:
    """The config processed last, at ``/esi-worker/config/<path>``.

    Attributes:
        body: as in :class:`ConfigRecord`.
        deleted: whether that config was marked for deletion.
        version: that config's version.
        unknown: fields this release does not know.
    """

    body: dict[str, Any] = attrs.field(repr=False)
    deleted: bool
    version: int
    unknown: tuple[UnknownField, ...] = attrs.field(default=(), eq=by_name)


@attrs.frozen(kw_only=True)
class HeatTemplate:
    """A heat_template's body: how a config becomes a stack.

    Attributes:
        id: the name that a schema's template mapping gives.
        handler: the handler that uses it, such as ``heat_worker``.
        template_file: the Jinja text of a HOT template.
        parameter_mappings: for each param, in order, the mapping that computes it; a string
            (compact) or an object, see *The mapping language*. Its constants may be secrets, so it
            is not shown in a repr.
        watch: as recorded; always empty. Absent or null is empty, too.
    """

    id: str
    handler: str
    template_file: str = attrs.field(repr=False)
    parameter_mappings: dict[str, Any] = attrs.field(repr=False)
    watch: tuple[Any, ...] = ()

    @classmethod
    def from_config(cls, config: ConfigRecord, key: str = "") -> HeatTemplate:
        """The template that a config under ``/config/…/heat_templates/`` holds.

        Args:
            config: the config.
            key: its key, for the error.

        Raises:
            InvalidRecord: with every field that is missing or of the wrong type.
        """
        expected = {
            "id": str,
            "handler": str,
            "template_file": str,
            "parameter_mappings": dict,
            "watch": list,
        }
        body = dict(config.body)
        if body.get("watch") is None:
            body["watch"] = []  # Go writes null for a list that was never made
        problems = tuple(
            Problem(f"$.body.{name}", _mismatch(body, name, kind))
            for name, kind in expected.items()
            if not isinstance(body.get(name), kind)
        )
        if problems:
            raise InvalidRecord(key or "heat_template", problems)
        return cls(
            id=body["id"],
            handler=body["handler"],
            template_file=body["template_file"],
            parameter_mappings=body["parameter_mappings"],
            watch=tuple(body["watch"]),
        )


def _mismatch(body: dict[str, Any], name: str, kind: type) -> str:
    if name not in body:
        return "required field missing"
    return f"expected {kind.__name__}, found {type(body[name]).__name__}"
