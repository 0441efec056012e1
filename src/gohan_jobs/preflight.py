"""Whether a process can work here, found out before it starts to: reads and writes nothing else.

Rights and room for writes are seen with a transaction whose condition never holds: etcd checks what
it would write all the same.
"""

from __future__ import annotations

from gohan_jobs.bookkeeping import Bookkeeping
from gohan_jobs.exceptions import AmbiguousWrite, StoreUnavailable
from gohan_jobs.keys import Keys, Place, ResourcePath
from gohan_jobs.keyspace import check_cluster, check_format
from gohan_jobs.stores.base import Compare, Comparison, Put, Store, Target, Transaction

__all__ = ["check", "rehearsal"]

_NEVER = 2**62
_NAME = "rehearsal"


def check(store: Store, keys: Keys, *, manages: bool) -> None:
    """See that a process can read and write what its roles need, on the right cluster.

    Args:
        store: where.
        keys: where in it.
        manages: whether the process is a candidate for the job manager's role.

    Raises:
        StoreUnavailable: no answer, or no majority to write with.
        StoreFull: there is no room.
        StoreRefused: certificates, password, permissions.
        WrongCluster: the keyspace is another cluster's, and no operator has accepted that.
        UnsupportedFormat: the keyspace is another release's.
    """
    store.revision()
    store.entries(keys.config, limit=1)
    check_format(store, Bookkeeping(keys))
    check_cluster(store, keys)
    try:
        store.transact(rehearsal(keys, manages=manages))
    except AmbiguousWrite as error:
        raise StoreUnavailable("reads are answered, and writes are not") from error


def rehearsal(keys: Keys, *, manages: bool) -> Transaction:
    """What writes everywhere that a role writes, under a condition that never holds.

    A worker's role may be as narrow as the page *Production checklist* has it.
    """
    path = ResourcePath(_NAME)
    places = [keys.state_of(path), keys.heat_stack_of(path), keys.job_state_of(path)]
    places += [f"{prefix}{_NAME}" for prefix in (keys.own, *map(keys.place_prefix, Place))]
    if manages:
        places += [keys.processed_of(path), keys.monitoring_of(path), keys.leader]
        places.append(f"{keys.all_jobs}{_NAME}")
    never = Compare(f"{keys.own}{_NAME}", Target.VERSION, Comparison.EQUAL, _NEVER)
    return Transaction((never,), tuple(Put(place, b"") for place in places))
