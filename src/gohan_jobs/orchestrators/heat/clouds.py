"""Where a cloud is and how to log in: ``clouds.yaml`` and the ``OS_*`` variables.

Read as the OpenStack tools read them, for the part that a client of one service needs. Vendor
profiles are not supported. Nothing here talks to the cloud.
"""

from __future__ import annotations

import os
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import attrs

from gohan_jobs.exceptions import OrchestratorRefused

__all__ = ["CloudConfig", "read_cloud", "read_environment"]

_DIRECTORIES = (".", "~/.config/openstack", "/etc/openstack")

_NOT_AUTH = frozenset({"auth_type", "cacert", "cert", "cloud", "insecure", "interface", "key"})
"""``OS_*`` variables that are not options of an authentication plugin."""


@attrs.frozen(kw_only=True)
class CloudConfig:
    """A cloud, whatever it was read from.

    Attributes:
        auth: the options of the authentication plugin, by keystoneauth's names.
        auth_type: the plugin's name.
        region_name: the region to take the endpoint of; None for the only one.
        interface: ``public``, ``internal`` or ``admin``.
        verify: whether to verify the servers' certificates, or the path of a CA bundle.
        cert: a client certificate's path, or the paths of certificate and key.
        endpoint: Heat's endpoint instead of the catalogue's; may hold ``%(tenant_id)s``.
    """

    auth: Mapping[str, Any] = attrs.field(repr=False)
    auth_type: str = "password"
    region_name: str | None = None
    interface: str = "public"
    verify: bool | str = True
    cert: str | tuple[str, str] | None = None
    endpoint: str | None = None


def read_cloud(
    name: str | None = None,
    *,
    directories: Sequence[str | os.PathLike[str]] = _DIRECTORIES,
    environ: Mapping[str, str] = os.environ,
) -> CloudConfig:
    """Read a cloud from the first ``clouds.yaml`` found, and its secrets from ``secure.yaml``.

    Args:
        name: the cloud; None for the one that ``OS_CLOUD`` names, or for the only one there is.
        directories: where to look; ``OS_CLIENT_CONFIG_FILE`` comes first.
        environ: the environment.

    Raises:
        OrchestratorRefused: there is no such file or cloud, or it is not what it should be.
    """
    clouds = _clouds("clouds", environ.get("OS_CLIENT_CONFIG_FILE"), directories)
    secrets = _clouds("secure", environ.get("OS_CLIENT_SECURE_FILE"), directories)
    wanted = name or environ.get("OS_CLOUD") or (next(iter(clouds)) if len(clouds) == 1 else None)
    if wanted is None or wanted not in clouds:
        raise OrchestratorRefused(f"no cloud {wanted or '(unnamed)'} in a clouds.yaml")
    cloud = _merged(clouds[wanted], secrets.get(wanted, {}))
    auth = cloud.get("auth", {})
    if not isinstance(auth, Mapping):
        raise OrchestratorRefused(f"cloud {wanted}: auth is not a mapping")
    return _config(cloud, auth)


def read_environment(environ: Mapping[str, str] = os.environ) -> CloudConfig:
    """Read the ``OS_*`` variables; the cloud that ``OS_CLOUD`` names, if it is set.

    Raises:
        OrchestratorRefused: neither ``OS_AUTH_URL`` nor an endpoint is set.
    """
    if environ.get("OS_CLOUD"):
        return read_cloud(environ=environ)
    options = {
        key.removeprefix("OS_").lower(): value
        for key, value in environ.items()
        if key.startswith("OS_") and value
    }
    if not options.keys() & {"auth_url", "endpoint"}:
        raise OrchestratorRefused("neither OS_CLOUD nor OS_AUTH_URL nor OS_ENDPOINT is set")
    options.setdefault("interface", options.pop("endpoint_type", "public"))
    options.setdefault("auth_type", _usual_type(options))
    auth = {key: value for key, value in options.items() if key not in _NOT_AUTH}
    insecure = options.get("insecure", "").lower() in {"1", "true", "yes"}
    return _config({**options, "verify": not insecure}, auth)


def _usual_type(options: Mapping[str, str]) -> str:
    return "token" if "token" in options and "password" not in options else "password"


def _config(cloud: Mapping[str, Any], auth: Mapping[str, Any]) -> CloudConfig:
    verify = cloud.get("verify", True)
    cert, key = cloud.get("cert"), cloud.get("key")
    return CloudConfig(
        auth=auth,
        auth_type=str(cloud.get("auth_type") or "password"),
        region_name=cloud.get("region_name"),
        # The tools write `publicURL` and `public` for the same.
        interface=str(cloud.get("interface") or "public").removesuffix("URL"),
        verify=cloud.get("cacert") or True if verify else False,
        cert=(cert, key) if cert and key else cert,
        endpoint=cloud.get("orchestration_endpoint_override"),
    )


def _clouds(
    stem: str, given: str | None, directories: Sequence[str | os.PathLike[str]]
) -> Mapping[str, Any]:
    for path in _candidates(stem, given, directories):
        if path.is_file():
            return _read(path)
    return {}


def _candidates(
    stem: str, given: str | None, directories: Sequence[str | os.PathLike[str]]
) -> Iterator[pathlib.Path]:
    if given:
        yield pathlib.Path(given)
    for directory in directories:
        for suffix in ("yaml", "yml", "json"):
            yield pathlib.Path(directory).expanduser() / f"{stem}.{suffix}"


def _read(path: pathlib.Path) -> Mapping[str, Any]:
    import yaml  # noqa: PLC0415 - only those who have such a file pay for it

    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
        clouds = document.get("clouds") or {}
        if not all(isinstance(cloud, Mapping) for cloud in clouds.values()):
            raise OrchestratorRefused(f"{path}: a cloud is not a mapping")
    except (AttributeError, OSError, UnicodeError, yaml.YAMLError) as error:
        # The parser's own message would show the line, which may hold a password.
        raise OrchestratorRefused(f"{path}: not a clouds.yaml ({type(error).__name__})") from None
    return dict(clouds)


def _merged(cloud: Mapping[str, Any], secret: Mapping[str, Any]) -> dict[str, Any]:
    """One over the other, mappings key by key."""
    merged = dict(cloud)
    for key, value in secret.items():
        below = merged.get(key)
        both = isinstance(below, Mapping) and isinstance(value, Mapping)
        merged[key] = _merged(below, value) if both else value  # type: ignore[arg-type] # both are
    return merged
