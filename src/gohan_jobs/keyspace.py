"""Whether this release can work in a keyspace, and whether it is the one it worked in before."""

from __future__ import annotations

from gohan_jobs.bookkeeping import FORMAT, Bookkeeping
from gohan_jobs.exceptions import UnsupportedFormat
from gohan_jobs.stores.base import Compare, Put, Reader, Store, Transaction

__all__ = ["check_format", "foreign_cluster", "initial_marks", "moved_marks", "settled_in"]


def check_format(store: Reader, own: Bookkeeping) -> bool:
    """Whether the keyspace has been worked in; refuse one of another format (``rules`` 21).

    Raises:
        UnsupportedFormat: another release's.
    """
    found = store.get(own.format_key)
    if found is None:
        return False
    if found.value != FORMAT.encode():
        raise UnsupportedFormat(found.value.decode(errors="replace"), FORMAT)
    return True


def settled_in(store: Reader, own: Bookkeeping) -> int:
    """Revision at which this library first worked here, or moved here; 0 if it has not.

    What was written before tells nothing by its revisions: it may have been copied in any order.
    """
    cluster = store.get(own.cluster_key)
    return 0 if cluster is None else cluster.mod_revision


def foreign_cluster(store: Store, own: Bookkeeping) -> bool:
    """Whether the keyspace says that it belongs to another cluster (``rules`` 16)."""
    cluster = store.get(own.cluster_key)
    return cluster is not None and cluster.value != store.cluster_id().encode()


def initial_marks(store: Store, own: Bookkeeping) -> Transaction:
    """Mark a keyspace as ours."""
    return Transaction(
        (Compare.absent(own.format_key), Compare.absent(own.cluster_key)),
        (
            Put(own.format_key, FORMAT.encode()),
            Put(own.cluster_key, store.cluster_id().encode()),
        ),
    )


def moved_marks(store: Store, own: Bookkeeping) -> Transaction:
    """Note that the keyspace has moved to this cluster, as an operator says."""
    here = store.cluster_id().encode()
    return Transaction(
        (Compare.present(own.cluster_key),),
        (Put(own.cluster_key, here),),
    )
