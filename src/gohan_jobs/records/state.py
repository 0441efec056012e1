"""Point 5: the result that Gohan reads."""

from __future__ import annotations

from typing import Any

import attrs

from gohan_jobs.records.stack import StackOutput
from gohan_jobs.records.unknown import UnknownField, by_name
from gohan_jobs.records.vocabulary import OrchestrationState, WorkerState

__all__ = ["StateRecord"]


@attrs.frozen(kw_only=True)
class StateRecord:
    """The result of a config version, at ``/state/<path>`` (``seed 1``, point 5).

    The document nests the first four in ``state``, and holds ``heat_outputs`` and
    ``state_monitoring`` as JSON *text*.

    Attributes:
        worker_state: how it ended, in the worker's words.
        version: the config's version.
        error: ``""``, or the reason of a failure.
        orchestration_state: how it ended, in Heat's words; None if absent.
        heat_outputs: the stack's outputs; None if absent.
        state_monitoring: the monitoring handler's result (2017), an object; None if absent.
        unknown: fields of the record that this release does not know.
        unknown_state: fields of the ``state`` object that this release does not know.
        texts: verbatim ``heat_outputs`` or ``state_monitoring`` texts, by field name, where what
            was read is not the text this library would write.
    """

    worker_state: WorkerState | str
    version: int
    error: str = ""
    orchestration_state: OrchestrationState | str | None = None
    heat_outputs: tuple[StackOutput, ...] | None = None
    state_monitoring: dict[str, Any] | None = attrs.field(default=None, repr=False)
    unknown: tuple[UnknownField, ...] = attrs.field(default=(), eq=by_name)
    unknown_state: tuple[UnknownField, ...] = attrs.field(default=(), eq=by_name)
    texts: tuple[tuple[str, str], ...] = attrs.field(default=(), repr=False)
