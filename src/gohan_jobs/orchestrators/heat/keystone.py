"""Sessions scoped to one project each: the only module that imports keystoneauth1.

A token belongs to one project, and Heat puts stacks into the *token's* project, whatever the URL
says (``rules`` 27). So each tenant gets an authentication of its own, which renews its token.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import requests
from keystoneauth1 import exceptions, loading, noauth, token_endpoint
from keystoneauth1.identity import v3
from keystoneauth1.plugin import BaseAuthPlugin
from keystoneauth1.session import Session
from requests.adapters import HTTPAdapter

from gohan_jobs._version import __version__
from gohan_jobs.exceptions import OrchestratorError, OrchestratorRefused, OrchestratorUnavailable
from gohan_jobs.orchestrators.heat.clouds import CloudConfig

__all__ = [
    "SILENT",
    "USER_AGENT",
    "Session",
    "SessionMaker",
    "auth_for_cloud",
    "auth_for_endpoint",
    "auth_for_project",
    "converting",
]

USER_AGENT = f"gohan-jobs/{__version__}"
"""What Heat's and Keystone's own logs show."""

SILENT = logging.Logger("gohan_jobs.silent", logging.CRITICAL + 1)  # noqa: LOG001 - see below
"""keystoneauth logs whole requests at DEBUG, passwords among the parameters included. A logger
outside the tree can't be turned up by the root logger's level, nor by name."""

_CONNECTIONS = 32
"""Idle connections kept: about as many as a process has slots."""

_SCOPE = frozenset(
    {
        "domain_id",
        "domain_name",
        "project_domain_id",
        "project_domain_name",
        "project_id",
        "project_name",
        "system_scope",
        "trust_id",
    }
)
"""Options of an authentication that say for what; here always one project, by id."""

_CLIENT_ERRORS = range(400, 500)
_PASSING = frozenset({408, 429})


class SessionMaker:
    """Makes sessions that share connections.

    Args:
        timeout: seconds for each request that logs in; requests to Heat bring their own.
        http: connections of somebody else's; None for own ones.
        verify: whether to verify certificates, or the path of a CA bundle.
        cert: a client certificate's path, or the paths of certificate and key.
    """

    def __init__(
        self,
        *,
        timeout: float,
        http: requests.Session | None = None,
        verify: Any = True,
        cert: Any = None,
    ) -> None:
        self._http = _connections() if http is None else http
        self._options = {"verify": verify, "cert": cert, "timeout": timeout}

    def __call__(self, auth: Any) -> Session:
        """Make a session."""
        return Session(auth=auth, session=self._http, user_agent=USER_AGENT, **self._options)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()


def _connections() -> requests.Session:
    session = requests.Session()
    for scheme in ("http://", "https://"):
        session.mount(scheme, HTTPAdapter(pool_maxsize=_CONNECTIONS))
    return session


def auth_for_endpoint(endpoint: str, token: str | None) -> BaseAuthPlugin:
    """What logs in nowhere: one token, or none."""
    return noauth.NoAuth() if token is None else token_endpoint.Token(endpoint, token)


def auth_for_cloud(cloud: CloudConfig) -> Callable[[str], BaseAuthPlugin]:
    """What logs in to a cloud, for a tenant's project.

    Raises:
        OrchestratorRefused: no such ``auth_type``, or an option that it needs is missing.
    """
    try:
        loader: Any = loading.get_plugin_loader(cloud.auth_type)
        given = _options(loader, cloud.auth)
        loader.load_from_options(**given)
    except exceptions.AuthPluginException as error:
        raise OrchestratorRefused(f"auth_type {cloud.auth_type}: {error}") from error
    if "applicationcredential" in cloud.auth_type:
        # Keystone binds it to its project; whether that is the tenant's is looked at later.
        return lambda _tenant: loader.load_from_options(**given)
    scopable = any(option.dest == "project_id" for option in loader.get_options())
    given = {key: value for key, value in given.items() if key not in _SCOPE}
    return lambda tenant: loader.load_from_options(
        **given, **({"project_id": tenant} if scopable else {})
    )


def _options(loader: Any, auth: Mapping[str, Any]) -> dict[str, Any]:
    """The options that a plugin knows, old names included."""
    found: dict[str, Any] = {}
    for option in loader.get_options():
        for name in (option.dest, *(old.dest for old in option.deprecated)):
            if name in auth:
                found.setdefault(option.dest, auth[name])
    return found


def auth_for_project(session: Session, tenant: str) -> Any:
    """A session's own authentication, if it is for that project; else one got with its token.

    One that does not come from a Keystone is taken as it is.
    """
    auth: Any = session.auth
    url = getattr(auth, "auth_url", None)
    return auth if url is None else _Rescoped(url, _TokenOf(auth), tenant)


class _Rescoped(v3.Auth):
    """A token got with another token, which must be renewed with it: they expire together."""

    def __init__(self, url: str, method: _TokenOf, tenant: str) -> None:
        super().__init__(url, [method], project_id=tenant)
        self._method = method

    def get_auth_ref(self, session: Session) -> Any:
        own = self._method.auth.get_access(session)
        return own if own.project_id == self.project_id else super().get_auth_ref(session)

    def invalidate(self) -> bool:
        self._method.auth.invalidate()
        return super().invalidate()


class _TokenOf(v3.AuthMethod):
    """Logs in with the token that another plugin has, whatever that is by then."""

    def __init__(self, auth: Any) -> None:
        super().__init__()
        self.auth = auth

    def get_auth_data(
        self, session: Session, auth: Any, headers: dict[str, str], request_kwargs: Any
    ) -> tuple[str, Mapping[str, object]]:
        del auth, request_kwargs
        token = self.auth.get_token(session)
        headers["X-Auth-Token"] = token
        return "token", {"id": token}


@contextlib.contextmanager
def converting() -> Iterator[None]:
    """Turn what keystoneauth raises, for its own requests and for Heat's, into our errors."""
    try:
        yield
    except exceptions.ClientException as error:
        raise _converted(error) from error


def _converted(error: exceptions.ClientException) -> OrchestratorError:
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        return OrchestratorRefused(str(error))
    if isinstance(error, exceptions.HttpError):
        status = error.http_status
        passes = status not in _CLIENT_ERRORS or status in _PASSING
    else:
        passes = isinstance(error, exceptions.ConnectionError | exceptions.DiscoveryFailure)
    return (OrchestratorUnavailable if passes else OrchestratorRefused)(str(error))
