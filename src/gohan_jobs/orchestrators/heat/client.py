"""The calls to Heat that this library makes: the only module that imports heatclient.

Every call is sent at most once, and not later than ``request_timeout`` after it was made: waiting
for the budget and for a token counts (``rules`` 18). Only a call that was answered with 401 is sent
again, once, with a new token.

==========================================  ====================================================
Heat's answer                               here
==========================================  ====================================================
none, reset, time-out, 5xx, 408, 425, 429   ``OrchestratorUnavailable``; may have had an effect
a 200, 404 or 409 that is not in its words  ``OrchestratorUnavailable``: something in between
401, after a new token; 403; 300            ``OrchestratorRefused``
a token of another project (``rules`` 27)   ``OrchestratorRefused``; nothing is sent
404 for a stack                             ``StackNotFound``, or None
409 ``StackExists``                         ``StackExists``
409 otherwise (``ActionInProgress``)        ``OrchestratorUnavailable``
the quota of stacks is used up              ``StackRejected``, retryable
other 4xx                                   ``StackRejected`` with Heat's type as ``kind``
==========================================  ====================================================
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import quote

from heatclient import exc
from heatclient.common import http
from heatclient.v1 import events, resources, stacks

from gohan_jobs.exceptions import (
    OrchestratorRefused,
    OrchestratorUnavailable,
    StackNotFound,
    StackRejected,
)
from gohan_jobs.orchestrators.base import Stack
from gohan_jobs.orchestrators.heat import answers
from gohan_jobs.orchestrators.heat.keystone import SILENT, USER_AGENT, Session, converting
from gohan_jobs.orchestrators.heat.settings import HeatSettings
from gohan_jobs.records import StackOutput, StackStatus

__all__ = ["HeatClient"]

_CONNECT_TIMEOUT = 5.0
"""Seconds for making a connection, if that much is left."""

_NESTED_DEPTH = 5


class HeatClient:
    """Heat, for one tenant, in this library's records and errors. Makes no request when made.

    Args:
        tenant: a project's id.
        session: scoped to it.
        settings: how Heat is called.
        on_request: called for each request to Heat.
    """

    def __init__(
        self,
        tenant: str,
        session: Session,
        settings: HeatSettings,
        on_request: Callable[[], None],
    ) -> None:
        self._wire = wire = _Wire(session, tenant, settings, on_request)
        # Not typed, and what can be inferred of it is wrong.
        self._stacks: Any = stacks.StackManager(wire)
        self._resources: Any = resources.ResourceManager(wire)
        self._events: Any = events.EventManager(wire)
        self._tenant = tenant

    def listed(self, **filters: Any) -> list[Stack]:
        """The project's stacks that pass the filters; without nested ones."""
        with _converting():
            infos = [stack.to_dict() for stack in self._stacks.list(filters=filters)]
            return [answers.stack_of(info, self._tenant) for info in infos if self._owns(info)]

    def _owns(self, info: Mapping[str, Any]) -> bool:
        # An administrator's listing holds the stacks of all projects.
        return not self._wire.is_projects or answers.project_of(info) in {None, self._tenant}

    def show(self, path: str) -> Stack:
        """A stack as it is, a deleted one too."""
        with _converting():
            info = self._stacks.get(path, resolve_outputs=False).to_dict()
            return answers.stack_of(info, self._tenant)

    def outputs(self, path: str) -> tuple[StackOutput, ...]:
        """A stack's outputs, in no order: Heat keeps them in a set."""
        with _converting():
            info = self._stacks.get(path).to_dict()
            if info["stack_status"] == StackStatus.DELETE_COMPLETE:
                raise StackNotFound(f"stack {info['stack_name']} is deleted")
            return tuple(answers.output_of(output) for output in info.get("outputs") or ())

    def output_order(self, path: str) -> dict[str, int]:
        """The place of each output in a stack's template."""
        with _converting():
            named = self._stacks.template(path).get("outputs") or ()
            return {key: place for place, key in enumerate(named)}

    def create(self, body: Mapping[str, Any]) -> str:
        """Start creating a stack, and give its id."""
        with _rejecting(), _converting():
            return str(self._stacks.create(**body)["stack"]["id"])

    def validate(self, body: Mapping[str, Any]) -> None:
        """Ask whether a template would be accepted."""
        with _rejecting(), _converting():
            self._stacks.validate(**body)

    def update(self, path: str, body: Mapping[str, Any]) -> None:
        """Start updating a stack."""
        with _converting():
            self._stacks.update(path, **body)

    def delete(self, path: str) -> None:
        """Start deleting a stack."""
        with _converting():
            self._stacks.delete(path)

    def failed_resources(self, path: str, limit: int) -> tuple[str, ...]:
        """A stack's failed resources, those of nested stacks too, a line each."""
        filters = {"status": "FAILED"}
        with _converting():
            found = self._resources.list(path, filters=filters, nested_depth=_NESTED_DEPTH)
            return answers.resource_lines([resource.to_dict() for resource in found[:limit]])

    def last_events(self, path: str, limit: int) -> tuple[str, ...]:
        """A stack's last events, newest first, a line each."""
        with _converting():
            found = self._events.list(path, limit=limit, sort_dir="desc")
            return answers.event_lines([event.to_dict() for event in found[:limit]])


class _Wire(http.SessionClient):  # type: ignore[misc] # heatclient is not typed
    """heatclient's transport, with a budget, a deadline, and nothing logged.

    Attributes:
        is_projects: whether token or URL name the tenant's project, as far as is known.
    """

    def __init__(
        self,
        session: Session,
        tenant: str,
        settings: HeatSettings,
        on_request: Callable[[], None],
    ) -> None:
        super().__init__(
            session,
            endpoint_override=_endpoint(settings.endpoint, tenant),
            service_type="orchestration",
            interface=settings.interface,
            region_name=settings.region_name,
            logger=SILENT,
        )
        self.is_projects = "%(" in (settings.endpoint or "")
        self._project: str | None = None
        self._tenant = tenant
        self._settings = settings
        self._on_request = on_request

    def request(self, url: str, method: str, **kwargs: Any) -> Any:
        """Send a request, and once more if another token may mend it."""
        deadline = self._settings.clock.now() + self._settings.request_timeout

        def attempt() -> Any:
            return super(_Wire, self).request(
                url,
                method,
                user_agent=USER_AGENT,
                allow_reauth=False,  # keystoneauth's own would not look at the time
                timeout=self._cleared(deadline),
                **kwargs,
            )

        try:
            return attempt()
        except exc.HTTPUnauthorized:
            if not self.session.invalidate():
                raise
        return attempt()

    def _cleared(self, deadline: float) -> tuple[float, float]:
        """Wait until a request may be sent.

        Returns:
            How many seconds it may take to connect, and then to answer.
        """
        clock = self._settings.clock
        if not self._settings.budget.acquire(self._tenant, max(0.0, deadline - clock.now())):
            raise OrchestratorUnavailable("not sent: the budget of calls a second is used up")
        self._log_in()
        left = deadline - clock.now()
        if left <= 0:
            raise OrchestratorUnavailable("not sent: no time left after logging in")
        self._on_request()
        connect = min(_CONNECT_TIMEOUT, left / 2)
        return connect, left - connect

    def _log_in(self) -> None:
        self.session.get_auth_headers()  # now, if it must
        if self._project is not None:
            return  # that of an authentication never changes
        project = self.session.get_project_id()
        if project not in {None, self._tenant}:
            raise OrchestratorRefused(f"the token is of project {project}, not {self._tenant}")
        self._project = project
        self.is_projects |= project is not None


def _endpoint(template: str | None, tenant: str) -> str | None:
    if template is None:
        return None
    place = quote(tenant, safe="")
    endpoint = template % {"tenant_id": place, "project_id": place}
    return endpoint.replace("%", "%%")  # keystoneauth fills it in once more


@contextlib.contextmanager
def _rejecting() -> Iterator[None]:
    """Where no stack is meant, what is not found is something that the template names."""
    try:
        yield
    except StackNotFound as error:
        raise StackRejected(error.reason, "EntityNotFound") from error


@contextlib.contextmanager
def _converting() -> Iterator[None]:
    """Turn everything that the two clients raise into this library's errors."""
    try:
        with converting():
            yield
    except exc.HTTPException as error:
        raise answers.error_of(answers.fault_of(int(error.code), error.message)) from error
    except (AttributeError, LookupError, TypeError, ValueError, exc.BaseException) as error:
        # heatclient takes any 200 for Heat's; its own trouble with another is one of these.
        message = f"an answer that is not Heat's ({type(error).__name__})"
        raise OrchestratorUnavailable(message) from error
