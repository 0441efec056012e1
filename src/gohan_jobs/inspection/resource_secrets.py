"""The secrets of a resource, as its configs hold them: what was written of it may repeat them."""

from __future__ import annotations

from gohan_jobs.codec import Codec, loads_json
from gohan_jobs.inspection.queued import read
from gohan_jobs.keys import ResourcePath
from gohan_jobs.records import ConfigRecord, Job, ProcessedConfig, Record
from gohan_jobs.redaction import Redactor
from gohan_jobs.stores.base import Reader

__all__ = ["secrets_in_record", "secrets_of"]


def secrets_of(
    store: Reader, path: ResourcePath, codec: Codec, redactor: Redactor
) -> frozenset[str]:
    """The secrets in a resource's config, and in the copy of the one processed last.

    Raises:
        StoreError: the store can't be read.
    """
    found: set[str] = set()
    for key in (codec.keys.config_of(path), codec.keys.processed_of(path)):
        record = read(lambda e: codec.loads(e.key, e.value), store.get(key))
        found |= secrets_in_record(record, codec, redactor)
    return frozenset(found)


def secrets_in_record(record: Record | None, codec: Codec, redactor: Redactor) -> frozenset[str]:
    """The secrets in a config or in a job; other records hold none of their own."""
    if not isinstance(record, ConfigRecord | ProcessedConfig | Job):
        return frozenset()
    return redactor.secrets_in(loads_json("record", codec.dumps(record)))
