"""Whether this release can work in a keyspace, and whether it is the one it worked in before."""

from __future__ import annotations

from gohan_jobs.acceptance import accepted
from gohan_jobs.bookkeeping import FORMAT, Bookkeeping
from gohan_jobs.exceptions import Degraded, UnsupportedFormat, WrongCluster
from gohan_jobs.keys import Keys
from gohan_jobs.stores.base import Compare, Put, Reader, Store, Transaction

__all__ = [
    "Acquaintance",
    "check_cluster",
    "check_format",
    "foreign_cluster",
    "initial_marks",
    "moved_marks",
    "settled_in",
]


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


def check_cluster(store: Store, keys: Keys) -> None:
    """Refuse a keyspace that is another cluster's, unless an operator has accepted that.

    Raises:
        WrongCluster: nobody has.
    """
    mark = store.get(Bookkeeping(keys).cluster_key)
    if mark is None:
        return
    here, before = store.cluster_id(), mark.value.decode(errors="replace")
    if here != before and not accepted(store, keys, here):
        raise WrongCluster(here, before)


class Acquaintance:
    """What a process that leads nothing knows of its keyspace: how far that had come.

    A leader stops for the same reasons, and tells of it where operators look
    (:mod:`gohan_jobs.acceptance`).

    Args:
        store: where.
        keys: where in it.
    """

    def __init__(self, store: Store, keys: Keys) -> None:
        self._store = store
        self._keys = keys
        self._own = Bookkeeping(keys)
        self._revision = 0
        self._accepting = False

    def saw(self, revision: int) -> None:
        """Something was written at a revision."""
        self._revision = max(self._revision, revision)

    def accept(self) -> None:
        """Take the keyspace, once, for the right one, whatever it looks like; from any thread."""
        self._accepting = True

    def check(self) -> None:
        """See that it is the one worked in before (``rules`` 16).

        Raises:
            UnsupportedFormat: it is another release's.
            WrongCluster: it is another cluster's, and no operator has accepted that.
            Degraded: its revision went back, and no operator has accepted that.
        """
        check_format(self._store, self._own)
        if not self._accepting:
            check_cluster(self._store, self._keys)
            self._check_revision()
        self._accepting = False
        self._revision = self._store.revision()

    def _check_revision(self) -> None:
        before, now = self._revision, self._store.revision()
        if now < before and not accepted(self._store, self._keys, self._store.cluster_id()):
            raise Degraded(
                f"the store's revision went back from {before} to {now}: restart this process, "
                "or accept it with 'gohan-jobs resume --accept --beforehand'"
            )


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
