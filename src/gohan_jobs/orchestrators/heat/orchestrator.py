"""Which calls to Heat each operation takes."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import attrs

from gohan_jobs.exceptions import (
    OrchestratorRefused,
    OrchestratorUnavailable,
    StackNotFound,
    StackRejected,
)
from gohan_jobs.orchestrators.base import Diagnosis, Orchestrator, Stack, StackRequest
from gohan_jobs.orchestrators.heat.client import HeatClient
from gohan_jobs.orchestrators.heat.clouds import CloudConfig, read_cloud, read_environment
from gohan_jobs.orchestrators.heat.keystone import (
    Session,
    SessionMaker,
    auth_for_cloud,
    auth_for_endpoint,
    auth_for_project,
)
from gohan_jobs.orchestrators.heat.settings import HeatSettings
from gohan_jobs.records import StackOutput, StackStatus

__all__ = ["HeatOrchestrator"]

_LIST_AT_ONCE = 100
"""Stacks asked for by id in one listing: 4 kB of URL, where servers take 8."""

_MAX_RESOURCES = 20
_MAX_EVENTS = 10


class HeatOrchestrator:
    """Drives stacks of a real Heat, each in the project of its tenant (``rules`` 27).

    Args:
        session_for: makes a keystoneauth session scoped to a tenant's project; asked once a
            tenant, and should not log in yet: that counts as part of a call. Most callers want
            one of the ``from_…`` constructors.
        settings: how Heat is called.
        on_close: what :meth:`close` calls, once.
    """

    def __init__(
        self,
        session_for: Callable[[str], Session],
        settings: HeatSettings | None = None,
        *,
        on_close: Callable[[], None] = lambda: None,
    ) -> None:
        self._session_for = session_for
        self._settings = HeatSettings() if settings is None else settings
        self._on_close = on_close
        self._clients: dict[str, HeatClient] = {}
        self._lock = threading.Lock()
        self._sent = 0
        self._closed = False

    @classmethod
    def from_endpoint(
        cls,
        endpoint: str,
        token: str | None = None,
        settings: HeatSettings | None = None,
        *,
        verify: bool | str = True,
    ) -> HeatOrchestrator:
        """Use one endpoint, and one token or none: for ``noauth`` and simulators (``rules`` 27).

        Args:
            endpoint: such as ``http://localhost:8004/v1/%(tenant_id)s``.
            token: sent with every call; None for a Heat that asks for none.
            settings: how Heat is called; its ``endpoint`` is not used.
            verify: whether to verify certificates, or the path of a CA bundle.
        """
        settings = attrs.evolve(settings or HeatSettings(), endpoint=endpoint)
        auth = auth_for_endpoint(endpoint, token)
        make = SessionMaker(verify=verify, timeout=settings.request_timeout)
        return cls(lambda _tenant: make(auth), settings, on_close=make.close)

    @classmethod
    def from_cloud(
        cls, name: str | None = None, settings: HeatSettings | None = None
    ) -> HeatOrchestrator:
        """Use a cloud of ``clouds.yaml``.

        Args:
            name: the cloud; None for the one that ``OS_CLOUD`` names, or the only one there is.
            settings: how Heat is called; region, interface and endpoint are the cloud's.

        Raises:
            OrchestratorRefused: there is no such cloud, or it can't be logged in to as it says.
        """
        return cls.from_config(read_cloud(name), settings)

    @classmethod
    def from_env(cls, settings: HeatSettings | None = None) -> HeatOrchestrator:
        """Use the ``OS_*`` variables; ``OS_CLOUD`` is one of them.

        Args:
            settings: how Heat is called; region, interface and endpoint are the variables'.

        Raises:
            OrchestratorRefused: they don't say where, or can't be logged in with.
        """
        return cls.from_config(read_environment(), settings)

    @classmethod
    def from_config(
        cls, cloud: CloudConfig, settings: HeatSettings | None = None
    ) -> HeatOrchestrator:
        """Use a cloud that was read, or described by hand.

        Raises:
            OrchestratorRefused: no such ``auth_type``, or an option that it needs is missing.
        """
        settings = attrs.evolve(
            settings or HeatSettings(),
            region_name=cloud.region_name,
            interface=cloud.interface,
            endpoint=cloud.endpoint,
        )
        auth_for = auth_for_cloud(cloud)
        make = SessionMaker(verify=cloud.verify, cert=cloud.cert, timeout=settings.request_timeout)
        return cls(lambda tenant: make(auth_for(tenant)), settings, on_close=make.close)

    @classmethod
    def from_session(
        cls, session: Session, settings: HeatSettings | None = None
    ) -> HeatOrchestrator:
        """Use somebody's session: its own token in its own project, and elsewhere one got for it.

        Keystone must allow tokens to be scoped again (``allow_rescope_scoped_token``), unless all
        stacks belong to the session's project. The session is neither changed nor closed.
        """
        settings = settings or HeatSettings()
        make = SessionMaker(
            http=session.session,
            verify=session.verify,
            cert=session.cert,
            timeout=settings.request_timeout,
        )
        own = make(session.auth)
        return cls(lambda tenant: make(auth_for_project(own, tenant)), settings)

    @property
    def request_timeout(self) -> float:
        """Seconds after which a call is no longer sent (``rules`` 18)."""
        return self._settings.request_timeout

    @property
    def requests_sent(self) -> int:
        """Requests sent to Heat so far; those to Keystone don't count."""
        return self._sent

    def find(self, tenant: str, name: str) -> Stack | None:
        """See :meth:`Orchestrator.find`; one request, two for a stack without tags."""
        # GET by name is answered with a redirect. A listing holds the tags, if there are any.
        for stack in self._client(tenant).listed(name=name):
            if stack.name == name and stack.status != StackStatus.DELETE_COMPLETE:
                return stack if stack.tags else self._look(stack)
        return None

    def create(self, request: StackRequest) -> Stack:
        """See :meth:`Orchestrator.create`; one request."""
        body = {"stack_name": request.name, **_body(request)}
        return Stack(
            id=self._client(request.tenant).create(body),
            name=request.name,
            tenant=request.tenant,
            status=StackStatus.CREATE_IN_PROGRESS,
            tags=request.tags,
        )

    def update(self, stack: Stack, request: StackRequest) -> None:
        """See :meth:`Orchestrator.update`; one request, two if Heat does not take it."""
        try:
            self._client(stack.tenant).update(_path(stack), _body(request))
        except StackRejected as error:
            if error.kind == "NotSupported" and self._is_deleting(stack):
                raise StackNotFound(error.reason) from error
            raise

    def _is_deleting(self, stack: Stack) -> bool:
        now = self._look(stack)
        return now is None or now.status.startswith("DELETE_")

    def delete(self, stack: Stack) -> None:
        """See :meth:`Orchestrator.delete`; one request."""
        with contextlib.suppress(StackNotFound):
            self._client(stack.tenant).delete(_path(stack))

    def observe(self, stacks: Sequence[Stack]) -> Mapping[str, Stack | None]:
        """See :meth:`Orchestrator.observe`; one request for up to a hundred stacks of a tenant.

        A stack that the listing lacks, or that has settled without tags, is looked at by itself.
        An error of one tenant is raised for all: ask tenant by tenant where that matters.
        """
        tenants: dict[str, dict[str, Stack]] = {}
        for stack in stacks:
            tenants.setdefault(stack.tenant, {})[stack.id] = stack
        seen: dict[str, Stack | None] = {}
        for tenant, wanted in tenants.items():
            given = list(wanted.values())
            for first in range(0, len(given), _LIST_AT_ONCE):
                seen.update(self._look_at_all(tenant, given[first : first + _LIST_AT_ONCE]))
        return seen

    def outputs(self, stack: Stack) -> tuple[StackOutput, ...]:
        """See :meth:`Orchestrator.outputs`; one request, two for more than one output."""
        client, path = self._client(stack.tenant), _path(stack)
        found = client.outputs(path)
        if len(found) < 2:  # noqa: PLR2004 - only two can be in the wrong order
            return found
        order = client.output_order(path)
        return tuple(sorted(found, key=lambda output: order.get(output.output_key, len(order))))

    def diagnose(self, stack: Stack) -> Diagnosis:
        """See :meth:`Orchestrator.diagnose`; two requests."""
        client, path = self._client(stack.tenant), _path(stack)
        with contextlib.suppress(StackNotFound):
            return Diagnosis(
                resources=client.failed_resources(path, _MAX_RESOURCES),
                events=client.last_events(path, _MAX_EVENTS),
            )
        return Diagnosis()

    def validate(self, request: StackRequest) -> None:
        """See :meth:`Orchestrator.validate`; one request."""
        body = _body(request)
        body = {key: body[key] for key in ("template", "parameters")}
        self._client(request.tenant).validate(body)

    def close(self) -> None:
        """Close the connections; idempotent."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            self._clients.clear()
        self._on_close()

    def _client(self, tenant: str) -> HeatClient:
        if not tenant.strip(".") or "/" in tenant:
            # Without a project Keystone would give a token without scope.
            raise OrchestratorRefused(f"not a project's id: {tenant!r}")
        with self._lock:
            if self._closed:
                raise OrchestratorUnavailable("closed")
            known = self._clients.get(tenant)
        if known is not None:
            return known
        session = self._session_for(tenant)
        made = HeatClient(tenant, session, self._settings, self._count)
        with self._lock:
            return self._clients.setdefault(tenant, made)

    def _count(self) -> None:
        with self._lock:
            self._sent += 1

    def _look(self, stack: Stack) -> Stack | None:
        with contextlib.suppress(StackNotFound):
            return _live(self._client(stack.tenant).show(_path(stack)))
        return None

    def _look_at_all(self, tenant: str, wanted: Sequence[Stack]) -> dict[str, Stack | None]:
        if len(wanted) == 1:
            return {wanted[0].id: self._look(wanted[0])}
        # Deleted ones too, else each of them would have to be looked at by itself.
        listed = self._client(tenant).listed(id=[stack.id for stack in wanted], show_deleted=True)
        found = {stack.id: stack for stack in listed}
        return {stack.id: self._completed(stack, found.get(stack.id)) for stack in wanted}

    def _completed(self, given: Stack, listed: Stack | None) -> Stack | None:
        """A listed stack with its tags, which a listing may lack."""
        if listed is None:
            return self._look(given)
        if listed.tags or listed.status == StackStatus.DELETE_COMPLETE:
            return _live(listed)
        return attrs.evolve(listed, tags=given.tags) if listed.in_progress else self._look(given)


def _live(stack: Stack) -> Stack | None:
    return None if stack.status == StackStatus.DELETE_COMPLETE else stack


def _path(stack: Stack) -> str:
    """A stack's place: with its id, so that a later one of its name is never meant."""
    return f"{quote(stack.name, safe='')}/{quote(stack.id, safe='')}"


def _body(request: StackRequest) -> dict[str, Any]:
    body: dict[str, Any] = {
        "template": request.template,
        "parameters": dict(request.parameters),
        "disable_rollback": request.disable_rollback,
    }
    if request.tags:
        body["tags"] = ",".join(request.tags)
    if request.timeout_mins is not None:
        body["timeout_mins"] = request.timeout_mins
    return body


if TYPE_CHECKING:
    _heat: type[Orchestrator] = HeatOrchestrator
