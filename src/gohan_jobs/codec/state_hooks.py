"""The document of a result, which nests and holds JSON as text (``seed 1``, point 5)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
from cattrs import Converter

from gohan_jobs.codec.fields import Hook, Unexpected, integer, member, text
from gohan_jobs.codec.shapes import placed, reader, shape
from gohan_jobs.codec.spelling import plain_text
from gohan_jobs.codec.stack_hooks import outputs_reader, write_output
from gohan_jobs.codec.strict_json import MAX_LEVELS, deeper_than, parse
from gohan_jobs.records import (
    OrchestrationState,
    StackOutput,
    StateRecord,
    UnknownField,
    WorkerState,
)

__all__ = ["state_reader", "state_writer"]

DOCUMENT = shape("state", "version", "error")
STATE = shape(
    "state_monitoring",
    "worker_state",
    "heat_outputs",
    "orchestration_state",
    optional=["state_monitoring", "heat_outputs", "orchestration_state"],
    unusual=["state_monitoring"],
)


@attrs.frozen
class _Text:
    """A JSON text and the value it spells."""

    text: str
    value: Any


@attrs.frozen(kw_only=True)
class _State:
    """The ``state`` object, as the document nests it."""

    worker_state: WorkerState | str
    heat_outputs: _Text | None = None
    orchestration_state: OrchestrationState | str | None = None
    state_monitoring: _Text | None = None
    unknown: tuple[UnknownField, ...] = ()


@attrs.frozen(kw_only=True)
class _Document:
    """The record, as it is stored."""

    state: _State
    version: int
    error: str
    unknown: tuple[UnknownField, ...] = ()


def _text(value: Any, kind: Any) -> _Text:
    found = text(value, kind)
    return _Text(found, parse(found))


def state_reader(_type: Any, converter: Converter) -> Hook[StateRecord]:
    """The structure hook of :class:`StateRecord`."""
    state = reader(
        STATE,
        _State,
        converter,
        worker_state=member(WorkerState),
        heat_outputs=_text,
        orchestration_state=member(OrchestrationState),
        state_monitoring=_text,
    )
    document = reader(DOCUMENT, _Document, converter, state=state, version=integer, error=text)
    outputs = outputs_reader(converter)

    def structure(value: Any, kind: Any) -> StateRecord:
        return _flat(document(value, kind), outputs)

    return structure


def _flat(document: _Document, outputs: Hook[tuple[StackOutput, ...]]) -> StateRecord:
    state = document.state
    heat_outputs, outputs_text = _read_outputs(state.heat_outputs, outputs)
    monitoring, monitoring_text = _read_monitoring(state.state_monitoring)
    return StateRecord(
        worker_state=state.worker_state,
        version=document.version,
        error=document.error,
        orchestration_state=state.orchestration_state,
        heat_outputs=heat_outputs,
        state_monitoring=monitoring,
        unknown=document.unknown,
        unknown_state=state.unknown,
        texts=_verbatim(
            (state.state_monitoring, "state_monitoring", monitoring_text),
            (state.heat_outputs, "heat_outputs", outputs_text),
        ),
    )


def _verbatim(*fields: tuple[_Text | None, str, str | None]) -> tuple[tuple[str, str], ...]:
    return tuple(
        (name, found.text)
        for found, name, canonical in fields
        if found is not None and found.text != canonical
    )


def _read_outputs(
    found: _Text | None, hook: Hook[tuple[StackOutput, ...]]
) -> tuple[tuple[StackOutput, ...] | None, str | None]:
    """The outputs that a text spells and the text we would write; None for other JSON."""
    if found is None:
        return None, None
    try:
        outputs = hook(found.value, None)
    except Exception:  # noqa: BLE001 - any hook's error means the same: the text is only kept
        return None, None
    return outputs, _outputs_text(outputs)


def _read_monitoring(found: _Text | None) -> tuple[dict[str, Any] | None, str | None]:
    if found is None or type(found.value) is not dict:
        return None, None
    return found.value, plain_text(found.value)


def _outputs_text(outputs: tuple[StackOutput, ...] | None) -> str | None:
    return None if outputs is None else plain_text([write_output(output) for output in outputs])


def state_writer(_type: Any, converter: Converter) -> Callable[[StateRecord], dict[str, Any]]:
    """The unstructure hook of :class:`StateRecord`."""
    outputs = outputs_reader(converter)

    def unstructure(record: StateRecord) -> dict[str, Any]:
        monitoring = record.state_monitoring
        texts = {
            "state_monitoring": None if monitoring is None else plain_text(monitoring),
            "heat_outputs": _outputs_text(record.heat_outputs),
        }
        for name, verbatim in record.texts:
            # A record that was changed since it was read must not be written as it was.
            if name not in texts:
                raise Unexpected("a verbatim text of a field that has none")
            if texts[name] == _canonical(name, verbatim, outputs):
                texts[name] = verbatim
        if any(found is not None and deeper_than(MAX_LEVELS, found) for found in texts.values()):
            raise Unexpected(f"more than {MAX_LEVELS} levels in a text")
        return _write(record, texts)

    return unstructure


def _canonical(name: str, verbatim: str, outputs: Hook[tuple[StackOutput, ...]]) -> str | None:
    found = _Text(verbatim, parse(verbatim))
    if name == "heat_outputs":
        return _read_outputs(found, outputs)[1]
    return _read_monitoring(found)[1]


def _write(record: StateRecord, texts: dict[str, str | None]) -> dict[str, Any]:
    fields = {
        "state_monitoring": texts["state_monitoring"],
        "worker_state": record.worker_state,
        "heat_outputs": texts["heat_outputs"],
        "orchestration_state": record.orchestration_state,
    }
    state = {name: value for name, value in fields.items() if value is not None}
    document = {
        "state": placed(state, record.unknown_state),
        "version": record.version,
        "error": record.error,
    }
    return placed(document, record.unknown)
