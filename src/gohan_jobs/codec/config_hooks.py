"""The documents of a config and of the one processed last (``seed 1``, point 1)."""

from __future__ import annotations

from typing import Any

import attrs
from cattrs import Converter

from gohan_jobs.codec.fields import Hook, Unexpected, boolean, integer, object_
from gohan_jobs.codec.shapes import placed, reader, shape
from gohan_jobs.codec.strict_json import MAX_LEVELS, parse
from gohan_jobs.records import ConfigRecord, ProcessedConfig

__all__ = ["config_reader", "processed_reader", "write_config", "write_processed"]

CONFIG = shape("body", "version", "marked_for_deletion", optional=["marked_for_deletion"])
PROCESSED = shape("body", "deleted", "version")


def _body(value: Any, _type: Any) -> dict[str, Any]:
    """An object, or a text that holds one, as Gohan stores it (``records``, *ConfigRecord*)."""
    if type(value) is str:
        # One level is the record's own: what is read can be written as a document.
        value = parse(value, levels=MAX_LEVELS - 1)
    if type(value) is not dict:
        raise Unexpected.kind("an object, or a text that holds one", value)
    return value


def config_reader(_type: Any, converter: Converter) -> Hook[ConfigRecord]:
    """The structure hook of :class:`ConfigRecord`."""
    document = reader(
        CONFIG, ConfigRecord, converter, body=_body, version=integer, marked_for_deletion=boolean
    )

    def structure(value: Any, kind: Any) -> ConfigRecord:
        made = document(value, kind)
        if "marked_for_deletion" in value:
            return made
        return attrs.evolve(made, marked_for_deletion=None)

    return structure


def write_config(config: ConfigRecord) -> dict[str, Any]:
    """The unstructure hook of :class:`ConfigRecord`."""
    known: dict[str, Any] = {"body": config.body, "version": config.version}
    if config.marked_for_deletion is not None:
        known["marked_for_deletion"] = config.marked_for_deletion
    return placed(known, config.unknown)


def processed_reader(_type: Any, converter: Converter) -> Hook[ProcessedConfig]:
    """The structure hook of :class:`ProcessedConfig`."""
    return reader(
        PROCESSED, ProcessedConfig, converter, body=object_, deleted=boolean, version=integer
    )


def write_processed(config: ProcessedConfig) -> dict[str, Any]:
    """The unstructure hook of :class:`ProcessedConfig`."""
    known = {"body": config.body, "deleted": config.deleted, "version": config.version}
    return placed(known, config.unknown)
