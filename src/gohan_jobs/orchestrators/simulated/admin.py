"""The simulator's own requests, under ``/simulator/``: what a test says and asks over HTTP.

==========================  =======================================================================
request                     what
==========================  =======================================================================
``GET calls``               the calls so far; with ``?parameters=true`` their parameters too
``GET requests``            the HTTP requests so far: who sent what when, and how it was answered
``POST scripts``            ``{"stack", "tenant", "op", "outcomes": […]}``: how coming calls go
``POST finish``             ``{"stack", "tenant", "outcome"}``: end an operation now
``PUT fault``               ``{"status", "delay", "drop", "count"}``: spoil coming API requests
``DELETE fault``            no longer
==========================  =======================================================================

An outcome has the fields of :class:`Outcome`, all optional; its ``error`` is ``{"type", "reason",
"kind"}`` with a type such as ``OrchestratorUnavailable``.
"""

from __future__ import annotations

import collections
import datetime as dt
import json
import threading
from collections.abc import Callable, Mapping
from typing import Any

import attrs

from gohan_jobs.clock import Clock
from gohan_jobs.exceptions import (
    OrchestratorError,
    OrchestratorRefused,
    OrchestratorUnavailable,
    StackExists,
    StackNotFound,
    StackRejected,
)
from gohan_jobs.orchestrators.simulated.api import ApiRequest, ApiResponse
from gohan_jobs.orchestrators.simulated.heat import SimulatedHeat
from gohan_jobs.orchestrators.simulated.outcomes import Call, Outcome
from gohan_jobs.orchestrators.simulated.rejections import NOT_COMPLIED, bad_request
from gohan_jobs.orchestrators.simulated.wire import error_body
from gohan_jobs.records import StackOutput

__all__ = ["Fault", "SeenRequest", "SimulatorAdmin"]

_ERRORS: Mapping[str, type[OrchestratorError]] = {
    error.__name__: error
    for error in (OrchestratorRefused, OrchestratorUnavailable, StackExists, StackNotFound)
}


@attrs.frozen(kw_only=True)
class Fault:
    """What is wrong with the API.

    Attributes:
        status: HTTP status of every answer; None to answer well.
        delay: seconds before a request is looked at.
        drop: the request is done, and the connection closed without an answer.
        count: how many requests are spoiled; None for all of them.
    """

    status: int | None = attrs.field(
        default=None, validator=attrs.validators.optional(attrs.validators.in_([500, 503]))
    )
    delay: float = attrs.field(default=0.0, converter=float)
    drop: bool = False
    count: int | None = None


@attrs.frozen(kw_only=True)
class SeenRequest:
    """An HTTP request to the API.

    Attributes:
        at: when it came.
        peer: address and port it came from.
        agent: the client's name for itself.
        method: such as ``GET``.
        path: with its query.
        status: how it was answered; 0 if not at all.
    """

    at: dt.datetime
    peer: str
    agent: str
    method: str
    path: str
    status: int


class SimulatorAdmin:
    """The simulator's own requests. Safe to use from several threads.

    Args:
        heat: the simulated Heat.
        clock: the time of day of the requests.
        history: how many requests are remembered.
    """

    def __init__(self, heat: SimulatedHeat, clock: Clock, history: int = 100_000) -> None:
        self._heat = heat
        self._clock = clock
        self._lock = threading.Lock()
        self._fault = Fault()
        self._seen: collections.deque[SeenRequest] = collections.deque(maxlen=history)
        self._handlers: Mapping[tuple[str, str], Callable[[ApiRequest], Any]] = {
            ("GET", "calls"): self._calls,
            ("GET", "requests"): self._requests,
            ("POST", "scripts"): self._script,
            ("POST", "finish"): self._finish,
            ("PUT", "fault"): self._set_fault,
            ("DELETE", "fault"): self._clear_fault,
        }

    def handle(self, request: ApiRequest) -> ApiResponse:
        """Answer a request below ``/simulator/``."""
        handler = self._handlers.get((request.method, request.path.removeprefix("/simulator/")))
        if handler is None:
            return ApiResponse(status=404, document=error_body(404, "HTTPNotFound"))
        try:
            return ApiResponse(status=200, document=handler(request))
        except (KeyError, TypeError, ValueError, OrchestratorError) as error:
            reason = f"{type(error).__name__}: {error}"
            return ApiResponse(status=400, document=error_body(400, "HTTPBadRequest", reason))

    def take_fault(self) -> Fault:
        """What is wrong with the request that has just come."""
        with self._lock:
            fault = self._fault
            if fault.count is not None:
                left = fault.count - 1
                self._fault = attrs.evolve(fault, count=left) if left else Fault()
            return fault

    def saw(self, peer: str, agent: str, method: str, path: str, status: int) -> None:
        """Remember a request to the API."""
        seen = SeenRequest(
            at=self._clock.wall(), peer=peer, agent=agent, method=method, path=path, status=status
        )
        with self._lock:
            self._seen.append(seen)

    @property
    def requests(self) -> tuple[SeenRequest, ...]:
        """The requests to the API so far, oldest first."""
        with self._lock:
            return tuple(self._seen)

    def _calls(self, request: ApiRequest) -> dict[str, Any]:
        full = request.first("parameters").lower() == "true"
        return {"calls": [_call_document(call, parameters=full) for call in self._heat.calls]}

    def _requests(self, _request: ApiRequest) -> dict[str, Any]:
        seen = [attrs.asdict(request) for request in self.requests]
        return {"requests": [{**entry, "at": entry["at"].isoformat()} for entry in seen]}

    def _script(self, request: ApiRequest) -> dict[str, Any]:
        document = request.document()
        outcomes = [_outcome(outcome) for outcome in document["outcomes"]]
        self._heat.script(
            document.get("stack"),
            *outcomes,
            op=document.get("op"),
            tenant=document.get("tenant"),
        )
        return {"scripted": len(outcomes)}

    def _finish(self, request: ApiRequest) -> dict[str, Any]:
        document = request.document()
        outcome = _outcome(document["outcome"]) if "outcome" in document else None
        stack = self._heat.finish(document["stack"], outcome, tenant=document.get("tenant"))
        return {"stack": {"id": stack.id, "stack_status": str(stack.status)}}

    def _set_fault(self, request: ApiRequest) -> dict[str, Any]:
        fault = Fault(**request.document())
        with self._lock:
            self._fault = fault
        return attrs.asdict(fault)

    def _clear_fault(self, _request: ApiRequest) -> dict[str, Any]:
        with self._lock:
            self._fault = Fault()
        return attrs.asdict(Fault())


def _call_document(call: Call, *, parameters: bool) -> dict[str, Any]:
    document = attrs.asdict(call, recurse=False)
    del document["template"]
    if not parameters:
        del document["parameters"]
    return json.loads(json.dumps(document, default=_as_text))  # type: ignore[no-any-return]  # it is a dict


def _as_text(value: object) -> Any:
    return value.isoformat() if isinstance(value, dt.datetime) else str(value)


def _outcome(document: Any) -> Outcome:
    if not isinstance(document, dict):
        raise bad_request(NOT_COMPLIED)
    fields = dict(document)
    if fields.get("error") is not None:
        fields["error"] = _error(**fields["error"])
    if fields.get("outputs") is not None:
        fields["outputs"] = tuple(StackOutput(**output) for output in fields["outputs"])
    return Outcome(**fields)


def _error(*, type: str, reason: str = "scripted", kind: str = "") -> OrchestratorError:  # noqa: A002 - the field's name in JSON
    if type == "StackRejected":
        return StackRejected(reason, kind or "StackValidationFailed")
    return _ERRORS[type](reason)
