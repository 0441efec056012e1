"""Asking a running Gohan for its schemas: the only module of the core that speaks HTTP."""

from __future__ import annotations

from urllib.parse import urlsplit, urlunsplit

import requests

from gohan_jobs.exceptions import InvalidSchema, Problem

__all__ = ["MAX_ANSWER", "fetch"]

MAX_ANSWER = 64 * 1024 * 1024
"""Bytes an answer may have; a large installation's has a quarter of a megabyte."""

_PATH = "/gohan/v0.1/schemas"
_CHUNK = 1 << 16


def fetch(url: str, token: str | None, *, timeout: float) -> tuple[str, bytes]:
    """Ask Gohan for its schemas.

    Args:
        url: where Gohan answers; its schemas' path is added unless it is there.
        token: sent as ``X-Auth-Token``. Redirects are not followed, as it would be sent along.
        timeout: seconds to wait for a connection, and for each piece of the answer.

    Returns:
        The address asked, without credentials, and the answer's body.

    Raises:
        InvalidSchema: no answer, or one other than 200; neither token nor password is shown.
    """
    address = _address(url)
    source = _shown(address)
    headers = {"Accept": "application/json"} | ({"X-Auth-Token": token} if token else {})
    try:
        with requests.get(
            address, headers=headers, timeout=timeout, allow_redirects=False, stream=True
        ) as answer:
            if answer.status_code != requests.codes.ok:
                raise _unusable(source, f"HTTP status {answer.status_code}, expected 200")
            return source, _body(answer, source)
    except requests.RequestException as error:
        # Its text may hold the address with a password, or the header: the kind says enough.
        raise _unusable(source, f"no answer: {type(error).__name__}") from None


def _body(answer: requests.Response, source: str) -> bytes:
    body = bytearray()
    for piece in answer.iter_content(_CHUNK):
        body += piece
        if len(body) > MAX_ANSWER:
            raise _unusable(source, f"the answer is longer than {MAX_ANSWER} bytes")
    return bytes(body)


def _unusable(source: str, reason: str) -> InvalidSchema:
    return InvalidSchema(source, (Problem("$", reason),))


def _address(url: str) -> str:
    try:
        parts = urlsplit(url)
    except ValueError:
        raise _unusable("an unusable URL", "no answer: not a URL") from None
    path = parts.path.rstrip("/")
    return urlunsplit(parts._replace(path=path if path.endswith("/schemas") else path + _PATH))


def _shown(address: str) -> str:
    parts = urlsplit(address)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
