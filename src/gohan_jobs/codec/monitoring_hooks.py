"""The document of a monitoring status, whose fields have no fixed names (``seed 1``, point 6)."""

from __future__ import annotations

from typing import Any

from gohan_jobs.codec.fields import Unexpected, at_field, integer, member, wrong_fields
from gohan_jobs.codec.strict_json import MAX_PROBLEMS
from gohan_jobs.records import MonitoringRecord, MonitoringStatus

__all__ = ["read_monitoring", "write_monitoring"]

_word = member(MonitoringStatus)


def read_monitoring(value: Any, _type: Any) -> MonitoringRecord:
    """The structure hook of :class:`MonitoringRecord`."""
    if type(value) is not dict:
        raise Unexpected.kind("an object", value)
    errors = list(_errors(value))
    if errors:
        raise wrong_fields(errors, MonitoringRecord)
    index = list(value).index("version")
    return MonitoringRecord(
        version=value["version"],
        statuses={name: _status(item) for name, item in value.items() if name != "version"},
        version_index=None if index == len(value) - 1 else index,
    )


def _errors(value: dict[str, Any]) -> list[Exception]:
    if "version" not in value:
        value = {**value, "version": KeyError("version")}
    errors: list[Exception] = []
    for name, item in value.items():
        try:
            _check(name, item)
        except (Unexpected, KeyError) as error:
            errors.append(at_field(error, name, MonitoringRecord))
        if len(errors) >= MAX_PROBLEMS:
            break
    if len(value) == 1:
        errors.append(Unexpected("expected a status beside the version"))
    return errors


def _check(name: str, item: Any) -> None:
    if isinstance(item, KeyError):
        raise item
    if name == "version":
        integer(item, int)
    else:
        _status(item)


def _status(item: Any) -> Any:
    if type(item) is str:
        return _word(item, str)
    if type(item) is not dict:
        raise Unexpected.kind("a status or an object of them", item)
    return item


def write_monitoring(record: MonitoringRecord) -> dict[str, Any]:
    """The unstructure hook of :class:`MonitoringRecord`."""
    if not record.statuses:
        raise Unexpected("expected a status beside the version")
    if "version" in record.statuses:
        raise Unexpected("'version' can't be a status field's name")
    for status in record.statuses.values():
        if not isinstance(status, str | dict):
            raise Unexpected.kind("a status or an object of them", status)
    fields = list(record.statuses.items())
    index = len(fields) if record.version_index is None else record.version_index
    return dict([*fields[:index], ("version", record.version), *fields[index:]])
