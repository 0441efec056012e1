"""A deployment's keyspace in memory, to try on it what is not in force yet.

A new template, or a mapping, decides what configs mean only once it is stored. On a copy it can be,
and what :meth:`Lifecycle.plan <gohan_jobs.lifecycle.Lifecycle.plan>` says there is what would be
done::

    with copy_of(store) as copy, Lifecycle(copy, heat, schemas, roles=()) as lifecycle:
        lifecycle.submit(template, ResourceRef("heat_template", "network"))
        plan = lifecycle.plan(config, ref, validate=True)

Give it no roles: with them it would carry plans out, and change the stacks that there are.
"""

from __future__ import annotations

from gohan_jobs.clock import Clock
from gohan_jobs.keys import Keys
from gohan_jobs.operations.dumping import dump
from gohan_jobs.operations.restoring import Restorer
from gohan_jobs.stores.base import Store
from gohan_jobs.stores.memory import MemoryStore

__all__ = ["copy_of"]


def copy_of(store: Store, keys: Keys | None = None, *, clock: Clock | None = None) -> MemoryStore:
    """All that is a deployment's, as of one revision, in memory; the store is only read.

    It is what a dump and a load would make of it (:mod:`gohan_jobs.operations.restoring`): without
    what hangs on a lease, jobs that are being worked on as waiting and begun, revisions other ones.

    It reads everything there is, secrets included, once, a page at a time, as a new leader does,
    and for a moment holds it in memory twice: some seconds, and some hundred megabytes, for a
    hundred thousand keys.

    Args:
        store: what is copied.
        keys: where everything is stored; the documented keys if None.
        clock: the copy's.

    Raises:
        OperationRefused: a value is larger than the copy takes.
        Compacted: the store's history was compacted while it was read: do it again.
        StoreError: it can't be read.
    """
    lines = [line.encode("utf-8", "surrogatepass") for line in dump(store, keys)]
    copy = MemoryStore(clock=clock)
    Restorer(copy, lambda: lines, keys).load()
    return copy
