"""Writing configs as Gohan does (``rules`` 31: these keys are Gohan's own)."""

from __future__ import annotations

import attrs

from gohan_jobs.codec import Codec, Spelling
from gohan_jobs.exceptions import GohanJobsError, InvalidKey
from gohan_jobs.keys import ResourcePath
from gohan_jobs.planning import TEMPLATE_TYPE
from gohan_jobs.records import ConfigRecord, ResourceRef
from gohan_jobs.schemas import Schemas
from gohan_jobs.stores.base import Compare, Delete, Entry, Put, Store, Transaction

__all__ = ["Submission"]


class Submission:
    """Writes, marks and removes configs.

    Args:
        store: where.
        codec: writes them.
        schemas: the types.
    """

    def __init__(self, store: Store, codec: Codec, schemas: Schemas) -> None:
        self._store = store
        self._codec = codec
        self._keys = codec.keys
        self._schemas = schemas

    def path_of(self, ref: ResourceRef) -> ResourcePath:
        """Where a resource's records are.

        Raises:
            InvalidKey: no schema has that type, or the id can't stand in a key.
        """
        if "/" in ref.resource_id or not ref.resource_id:
            raise InvalidKey(ref.resource_id, "can't be a resource's id")
        schema = self._schemas.by_type(ref.resource_type)
        if schema is not None:
            return schema.path_of(ref.resource_id)
        if ref.resource_type == TEMPLATE_TYPE:
            return self._keys.template_path(ref.resource_id)
        raise InvalidKey(str(ref), "no schema has this type")

    def submit(self, config: ConfigRecord, ref: ResourceRef, spelling: Spelling | str) -> None:
        """Write a config.

        Raises:
            InvalidKey: as :meth:`path_of`.
        """
        key = self._keys.config_of(self.path_of(ref))
        text = self._codec.dumps(config, spelling).encode()
        self._store.transact(Transaction((), (Put(key, text),)))

    def delete(self, ref: ResourceRef) -> None:
        """Mark a config, or remove it.

        Raises:
            InvalidKey: as :meth:`path_of`.
            GohanJobsError: there is no such config, or it was changed meanwhile.
        """
        path = self.path_of(ref)
        entry = self._store.get(self._keys.config_of(path))
        if entry is None:
            raise GohanJobsError(f"{ref}: there is no config at {self._keys.config_of(path)}")
        change = self._marking(ref, entry) or self._removing(path, entry)
        if not self._store.transact(change).succeeded:
            raise GohanJobsError(f"{ref}: its config was changed meanwhile")

    def _marking(self, ref: ResourceRef, entry: Entry) -> Transaction | None:
        """The first of two steps; None if it is done, or the type has but one."""
        config = self._codec.config(entry.key, entry.value)
        schema = self._schemas.by_type(ref.resource_type)
        if schema is None or not schema.two_step_deletion or config.deleting:
            return None
        marked = attrs.evolve(config, version=config.version + 1, marked_for_deletion=True)
        put = Put(entry.key, self._codec.dumps(marked).encode())
        return Transaction((Compare.unchanged(entry.key, entry.mod_revision),), (put,))

    def _removing(self, path: ResourcePath, entry: Entry) -> Transaction:
        return Transaction(
            (Compare.unchanged(entry.key, entry.mod_revision),),
            (Delete(entry.key), Delete(self._keys.state_of(path))),
        )
