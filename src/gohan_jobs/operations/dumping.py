"""A whole keyspace as lines that people can read, and that can be loaded again.

A dump holds everything under the documented prefixes and our own, as of one revision, a JSON
object a line: first what it is, then a key a line, ``{"key": …, "text": …}`` or, where the value is
no UTF-8, ``{"key": …, "base64": …}``, at last how many there were, and a digest of the lines.
Loading is :mod:`gohan_jobs.operations.restoring`.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Iterator
from typing import Any

import attrs

from gohan_jobs.exceptions import OperationRefused
from gohan_jobs.keys import Keys
from gohan_jobs.redaction import MASK, Redactor
from gohan_jobs.stores.base import Entry, Store, entries_below

__all__ = [
    "DUMP_FORMAT",
    "DumpHeader",
    "Dumped",
    "dump",
    "dumped_entries",
    "is_dumped",
    "read_dump",
]

DUMP_FORMAT = "gohan-jobs dump 1"
"""What the first line says."""

_SLOT = "/worker-workflow-jobs"
_SHORTEST = 4
_NO_END = "no key, and not the end of a whole dump"


@attrs.frozen(kw_only=True)
class DumpHeader:
    """The first line of a dump.

    Attributes:
        cluster: id of the cluster it was read from.
        revision: as of which.
        redacted: whether secrets are masked: then it can't be loaded.
    """

    cluster: str
    revision: int
    redacted: bool = False


@attrs.frozen(kw_only=True)
class Dumped:
    """One key of a dump.

    Attributes:
        key: the key.
        value: what was stored there; in no repr.
        create: its create revision.
        mod: its mod revision.
        leased: whether it hung on a lease.
    """

    key: str
    value: bytes = attrs.field(repr=False)
    create: int
    mod: int
    leased: bool = False


def dumped_entries(store: Store, keys: Keys, revision: int) -> Iterator[Entry]:
    """Everything that is the deployment's, as of one revision, page by page.

    Args:
        store: what is read.
        keys: where everything is stored.
        revision: as of which.

    Raises:
        Compacted: it is not in the history any more.
    """
    for prefix in _prefixes(keys):
        yield from entries_below(store, prefix, revision=revision)
    for key in (keys.leader, _SLOT):
        found = store.entries(key, limit=1, revision=revision).entries
        yield from (entry for entry in found if entry.key == key)


def is_dumped(keys: Keys, key: str) -> bool:
    """Whether a key is one of a deployment's, as all in a dump are."""
    return key.startswith(_prefixes(keys)) or key in {keys.leader, _SLOT}


def _prefixes(keys: Keys) -> tuple[str, ...]:
    return keys.config, keys.state, keys.monitoring, keys.jobs, keys.worker, keys.own


def dump(
    store: Store, keys: Keys | None = None, *, redactor: Redactor | None = None
) -> Iterator[str]:
    """The lines of a dump, without their ends.

    Args:
        store: what is read.
        keys: where everything is stored; the documented keys if None.
        redactor: masks secrets, so that the dump can be shown, and can't be loaded.

    Raises:
        Compacted: the history was compacted meanwhile; start again.
    """
    digest, count = _Digest(), 0
    for line in map(_line, _rows(store, keys or Keys(), redactor)):
        digest.add(line.encode("utf-8", "surrogatepass"))
        count += 1
        yield line
    yield _line({"entries": count - 1, "digest": digest.text})


def _rows(store: Store, keys: Keys, redactor: Redactor | None) -> Iterator[dict[str, Any]]:
    revision = store.revision()
    header = DumpHeader(
        cluster=store.cluster_id(), revision=revision, redacted=redactor is not None
    )
    yield {"format": DUMP_FORMAT, **attrs.asdict(header)}
    mask = None
    if redactor is not None:
        mask = _Mask(redactor, dumped_entries(store, keys, revision))
    for entry in dumped_entries(store, keys, revision):
        yield _fields(entry, entry.value if mask is None else mask.masked(entry.value))


def _fields(entry: Entry, value: bytes) -> dict[str, Any]:
    fields: dict[str, Any] = {"key": entry.key}
    try:
        fields["text"] = value.decode()
    except UnicodeDecodeError:
        fields["base64"] = base64.b64encode(value).decode()
    fields |= {"create": entry.create_revision, "mod": entry.mod_revision}
    return fields | ({"lease": f"{entry.lease:x}"} if entry.lease else {})


def _line(value: dict[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False)


class _Digest:
    """Of lines, whatever ends them."""

    def __init__(self) -> None:
        self._hash = hashlib.blake2b(digest_size=16)

    def add(self, line: bytes) -> None:
        self._hash.update(line.rstrip(b"\r\n") + b"\n")

    @property
    def text(self) -> str:
        return self._hash.hexdigest()


def read_dump(lines: Iterable[bytes]) -> Iterator[DumpHeader | Dumped]:
    """What a dump says: its header, then each key.

    Args:
        lines: of the file.

    A last line without a digest is taken, too, so that a dump can be edited by hand.

    Raises:
        OperationRefused: it is no dump, one of another release, or one that was cut off or spoiled.
    """
    numbered = enumerate(lines, 1)
    first = next(numbered, (1, b""))[1]
    yield _header(first)
    digest, count = _Digest(), 0
    digest.add(first)
    for number, line in numbered:
        fields = _object(line, number)
        if "key" not in fields:
            _check_end(fields, number, count, digest)
            if next(numbered, None) is not None:
                raise OperationRefused(f"line {number}", _NO_END)
            return
        yield _dumped(fields, number)
        digest.add(line)
        count += 1
    raise OperationRefused(f"line {count + 2}", "the dump was cut off here")


def _check_end(fields: dict[str, Any], number: int, count: int, digest: _Digest) -> None:
    """See that nothing is missing, or another than was dumped."""
    if fields.get("entries") != count:
        raise OperationRefused(f"line {number}", _NO_END)
    if fields.get("digest", digest.text) != digest.text:
        raise OperationRefused(
            f"line {number}", "a line is not as it was dumped: the digest is another"
        )


def _header(line: bytes) -> DumpHeader:
    fields = _object(line, 1)
    if fields.get("format") != DUMP_FORMAT:
        raise OperationRefused("line 1", f"expected a dump of the format {DUMP_FORMAT!r}")
    try:
        return DumpHeader(
            cluster=str(fields["cluster"]),
            revision=int(fields["revision"]),
            redacted=bool(fields["redacted"]),
        )
    except (KeyError, TypeError, ValueError, OverflowError):
        raise OperationRefused("line 1", "not the first line of a dump") from None


def _dumped(fields: dict[str, Any], number: int) -> Dumped:
    try:
        text = fields.get("text")
        value = _plain(fields["base64"]) if text is None else text.encode()
        return Dumped(
            key=_key(fields["key"]),
            value=value,
            create=int(fields["create"]),
            mod=int(fields["mod"]),
            leased="lease" in fields,
        )
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
        raise OperationRefused(f"line {number}", "not a line of a dump") from None


def _plain(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


def _key(text: object) -> str:
    if not isinstance(text, str) or not text:
        raise TypeError("a key is a text")
    text.encode()  # what is no UTF-8 is no key of ours
    return text


def _object(line: bytes, number: int) -> dict[str, Any]:
    try:
        found = json.loads(line.decode("utf-8", "surrogatepass"))
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise OperationRefused(f"line {number}", "expected a JSON object")
    return found


class _Mask:
    """Masks what stands under secret keys anywhere, and the same texts wherever they turn up."""

    def __init__(self, redactor: Redactor, entries: Iterable[Entry]) -> None:
        self._redactor = redactor
        self._secrets: set[str] = set()
        self._beginnings: dict[str, list[str]] = {}
        for entry in entries:
            self._secrets |= redactor.secrets_in(_unfolded(_json(entry.value)))
        for secret in self._secrets:
            if len(secret) >= _SHORTEST:
                self._beginnings.setdefault(secret[:_SHORTEST], []).append(secret)

    def masked(self, value: bytes) -> bytes:
        """A value without secrets; what is neither JSON nor a plain word goes altogether."""
        found = _json(value)
        if found is None:
            text = value.decode(errors="replace")
            return value if text.isprintable() and text not in self._secrets else MASK.encode()
        return json.dumps(self._clean(self._redactor.redact(found))).encode()

    def _clean(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {key: self._clean(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self._clean(item) for item in value]
        if isinstance(value, str):
            return self._text(value)
        return MASK if str(value) in self._secrets and not isinstance(value, bool) else value

    def _text(self, text: str) -> str:
        inner = _folded(text)
        if inner is not None:
            return json.dumps(self._clean(self._redactor.redact(inner)))
        if text in self._secrets:
            return MASK
        hits = {
            secret
            for start in range(len(text) - _SHORTEST + 1)
            for secret in self._beginnings.get(text[start : start + _SHORTEST], ())
            if text.startswith(secret, start)
        }
        return self._redactor.scrub(text, hits) if hits else text


def _json(value: bytes) -> Any:
    """A value's JSON, if it is a list or an object."""
    return _folded(value.decode(errors="replace"))


def _folded(text: str) -> Any:
    """The list or object that a text spells: a body, as Gohan writes it, or outputs."""
    if not text.lstrip().startswith(("{", "[")):
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _unfolded(value: Any) -> Any:
    """JSON with the JSON in its texts taken apart."""
    if isinstance(value, dict):
        return {key: _unfolded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_unfolded(item) for item in value]
    inner = _folded(value) if isinstance(value, str) else None
    return value if inner is None else _unfolded(inner)
