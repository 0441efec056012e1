"""Where a cluster's members are, in gRPC's words."""

from __future__ import annotations

import re
import socket
from collections.abc import Sequence

from gohan_jobs.exceptions import StoreUnavailable

__all__ = ["host_of", "target_of"]

_ENDPOINT = re.compile(r"(?:(https?)://)?(\[[0-9A-Fa-f:.]+\]|[^\s:/\[\],]+)(?::(\d{1,5}))?/?\Z")
_DEFAULT_PORT = 2379
_FAMILIES = ((socket.AF_INET, "ipv4", "{}:{}"), (socket.AF_INET6, "ipv6", "[{}]:{}"))


def _parse(endpoint: str, *, secure: bool) -> tuple[str, int]:
    found = _ENDPOINT.match(endpoint)
    if found is None:
        raise ValueError(f"endpoint {endpoint!r}: expected host:port")
    scheme, host, port = found.groups()
    if scheme and (scheme == "https") != secure:
        needed = "needs a ca" if scheme == "https" else "does not go with a ca"
        raise ValueError(f"endpoint {endpoint!r}: {scheme} {needed}")
    return host.strip("[]"), int(port or _DEFAULT_PORT)


def host_of(endpoint: str) -> str:
    """The host of an endpoint.

    Raises:
        ValueError: it is not ``host:port``.
    """
    return _parse(endpoint, secure=endpoint.startswith("https"))[0]


def target_of(endpoints: Sequence[str], *, secure: bool) -> str:
    """What gRPC calls all of the endpoints together.

    A single name is left to gRPC, which resolves it again at every connection. Several must be
    resolved here: gRPC takes no list of names.

    Args:
        endpoints: ``host:port`` each; ``http://`` or ``https://`` may stand before it.
        secure: whether TLS is used.

    Raises:
        ValueError: there is none, or one is not ``host:port``, or does not go with ``secure``.
        StoreUnavailable: a name can't be resolved.
    """
    parsed = [_parse(endpoint, secure=secure) for endpoint in endpoints]
    if not parsed:
        raise ValueError("no endpoint is given")
    if len(parsed) == 1 and not _is_address(parsed[0][0]):
        return f"dns:///{parsed[0][0]}:{parsed[0][1]}"
    for family, scheme, form in _FAMILIES:
        addresses = [_addresses(host, port, family) for host, port in parsed]
        if all(addresses):
            places = [form.format(*address) for each in addresses for address in each]
            return f"{scheme}:{','.join(dict.fromkeys(places))}"
    raise StoreUnavailable(f"not all of these can be resolved: {', '.join(endpoints)}")


def _is_address(host: str) -> bool:
    for family, _, _ in _FAMILIES:
        try:
            socket.inet_pton(family, host)
        except OSError:
            continue
        return True
    return False


def _addresses(host: str, port: int, family: socket.AddressFamily) -> list[tuple[str, int]]:
    try:
        found = socket.getaddrinfo(host, port, family, socket.SOCK_STREAM)
    except OSError:
        return []
    return [(str(address[0]), port) for *_, address in found]
