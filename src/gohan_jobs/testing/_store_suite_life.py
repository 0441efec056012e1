"""The store suite: leases, closing and threads."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from gohan_jobs.exceptions import LeaseNotFound, StoreClosed
from gohan_jobs.stores.base import (
    Compare,
    Delete,
    LeaseTimed,
    Put,
    Store,
    Transaction,
)
from gohan_jobs.testing._store_suite import (
    LEASE_SECONDS,
    PATIENCE,
    SuitePart,
    collect,
    leased,
    poll_to_the_end,
    write,
)

__all__ = ["LeasesPart", "LifePart"]


class LeasesPart(SuitePart):
    """What leases promise."""

    def test_lease_deletes_its_keys(self, store: Store, prefix: str) -> None:
        """A lease that ends takes all its keys with it, at one revision."""
        lease = store.grant_lease(LEASE_SECONDS)
        start = write(store, Put(f"{prefix}free", b""), *leased(prefix, lease, "ab")) + 1
        with_watch = store.watch(prefix, start)
        self.expire_leases(store, lease.ttl)
        events = collect(with_watch, 2)
        assert sorted((e.kind.value, e.key, e.entry) for e in events) == [
            ("delete", f"{prefix}a", None),
            ("delete", f"{prefix}b", None),
        ]
        assert len({event.revision for event in events}) == 1
        assert [e.previous and e.previous.lease for e in events] == [lease.id] * 2
        assert [e.key for e in store.entries(prefix).entries] == [f"{prefix}free"]
        with pytest.raises(LeaseNotFound) as caught:
            store.keep_alive(lease.id)
        assert caught.value.lease == lease.id
        store.revoke_lease(lease.id)

    def test_lease_is_kept_alive(self, store: Store, prefix: str) -> None:
        """A kept lease outlives one that is not."""
        kept, left = store.grant_lease(30), store.grant_lease(LEASE_SECONDS)
        start = write(store, *leased(prefix, kept, "a"), *leased(prefix, left, "b")) + 1
        assert store.keep_alive(kept.id) == pytest.approx(kept.ttl)
        self.expire_leases(store, left.ttl)
        events = collect(store.watch(prefix, start), 1)
        assert [event.key for event in events] == [f"{prefix}b"]
        assert store.keep_alive(kept.id) == pytest.approx(kept.ttl)

    def test_lease_tells_what_it_has_left(self, store: Store, prefix: str) -> None:
        """As :class:`~gohan_jobs.stores.base.LeaseTimed` says; a store need not."""
        if not isinstance(store, LeaseTimed):
            pytest.skip("this store can't tell how long a lease lives")
        lease = store.grant_lease(30)
        write(store, *leased(prefix, lease, "a"))
        left = store.lease_ttl(lease.id)
        assert left is not None
        assert lease.ttl - 10 < left <= lease.ttl
        store.revoke_lease(lease.id)
        assert store.lease_ttl(lease.id) is None

    def test_lease_is_revoked(self, store: Store, prefix: str) -> None:
        """Revoking deletes the keys at one revision; twice is no error."""
        lease = store.grant_lease(30)
        start = write(store, *leased(prefix, lease, "ab")) + 1
        store.revoke_lease(lease.id)
        events = collect(store.watch(prefix, start), 2)
        assert sorted((e.kind.value, e.key, e.revision) for e in events) == [
            ("delete", f"{prefix}a", start),
            ("delete", f"{prefix}b", start),
        ]
        store.revoke_lease(lease.id)
        with pytest.raises(LeaseNotFound):
            store.keep_alive(lease.id)

    def test_lease_grants_at_least_what_was_asked(self, store: Store) -> None:
        """A fraction of a second is not taken away."""
        lease = store.grant_lease(2.5)
        assert lease.ttl >= 2.5
        assert lease.id != 0

    @pytest.mark.parametrize("ttl", [0, -1.5])
    def test_lease_of_no_time(self, store: Store, ttl: float) -> None:
        """A lease lasts for some time."""
        with pytest.raises(ValueError, match="lasts longer"):
            store.grant_lease(ttl)

    def test_put_without_the_lease_frees_the_key(self, store: Store, prefix: str) -> None:
        """A put binds a key to its lease, or to none; only the last one counts."""
        first, second = store.grant_lease(30), store.grant_lease(30)
        write(store, *leased(prefix, first, "abc"))
        write(store, Put(f"{prefix}a", b"2"), Put(f"{prefix}b", b"2", lease=second.id))
        assert [e.lease for e in store.entries(prefix).entries] == [0, second.id, first.id]
        store.revoke_lease(first.id)
        assert [e.key for e in store.entries(prefix).entries] == [f"{prefix}a", f"{prefix}b"]
        store.revoke_lease(second.id)
        assert [e.key for e in store.entries(prefix).entries] == [f"{prefix}a"]

    def test_deleted_key_is_free_of_its_lease(self, store: Store, prefix: str) -> None:
        """A key that was deleted and made again is not taken by the old lease."""
        lease = store.grant_lease(30)
        write(store, *leased(prefix, lease, "a"))
        write(store, Delete(f"{prefix}a"))
        write(store, Put(f"{prefix}a", b"2"))
        store.revoke_lease(lease.id)
        assert store.get(f"{prefix}a") is not None

    def test_put_with_a_lease_that_is_gone(self, store: Store, prefix: str) -> None:
        """Such a put fails the whole transaction."""
        lease = store.grant_lease(30)
        store.revoke_lease(lease.id)
        with pytest.raises(LeaseNotFound) as caught:
            write(store, Put(f"{prefix}free", b""), *leased(prefix, lease, "a"))
        assert caught.value.lease == lease.id
        assert store.entries(prefix).entries == ()

    def test_lease_of_a_branch_not_taken(self, store: Store, prefix: str) -> None:
        """A lease that is not put to use need not exist."""
        lease = store.grant_lease(30)
        store.revoke_lease(lease.id)
        result = store.transact(
            Transaction((Compare.present(f"{prefix}a"),), (*leased(prefix, lease, "a"),))
        )
        assert not result.succeeded


class LifePart(SuitePart):
    """How a store ends, and bears threads."""

    def test_cluster_id_stays(self, store: Store) -> None:
        """A cluster has one id, which is not empty."""
        assert store.cluster_id() == store.cluster_id()
        assert store.cluster_id()

    def test_close_ends_everything(self, store: Store, prefix: str) -> None:
        """After close, twice, every call raises StoreClosed, those of watches too."""
        with_watch = store.watch(prefix, store.revision() + 1)
        store.close()
        store.close()
        with_watch.close()
        calls: list[Callable[[], object]] = [
            lambda: store.get(f"{prefix}a"),
            lambda: store.entries(prefix),
            lambda: store.transact(Transaction()),
            lambda: store.grant_lease(30),
            lambda: store.keep_alive(1),
            lambda: store.revoke_lease(1),
            lambda: store.watch(prefix, 1),
            store.revision,
            store.cluster_id,
            lambda: store.compact(1),
            with_watch.poll,
        ]
        for call in calls:
            with pytest.raises(StoreClosed):
                call()

    def test_close_ends_a_poll(self, store: Store, prefix: str) -> None:
        """A poll that waits hears of the store's end."""
        with_watch = store.watch(prefix, store.revision() + 1)
        outcome: list[type[BaseException]] = []
        poller = threading.Thread(target=poll_to_the_end, args=(with_watch, outcome))
        poller.start()
        store.close()
        poller.join(PATIENCE)
        assert outcome == [StoreClosed]

    def test_close_wakes(self, store: Store, prefix: str) -> None:
        """Who sleeps until woken hears of the store's end, too."""
        woken = threading.Event()
        store.watch(prefix, store.revision() + 1, wake=woken.set)
        store.close()
        assert woken.wait(PATIENCE)

    def test_context_manager_closes(self, store: Store) -> None:
        """Leaving the block closes the store."""
        with store as entered:
            assert entered is store
        with pytest.raises(StoreClosed):
            store.revision()

    def test_threads_count_without_loss(self, store: Store, prefix: str) -> None:
        """Comparing what was read, no increment by any thread is lost."""
        key = f"{prefix}count"
        start = write(store, Put(key, b"0")) + 1
        threads = [threading.Thread(target=_increment, args=(store, key, 10)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE)
        events = collect(store.watch(prefix, start), 40)
        values = [event.entry and int(event.entry.value) for event in events]
        assert values == list(range(1, 41))


def _increment(store: Store, key: str, times: int) -> None:
    done = 0
    while done < times:
        entry = store.get(key)
        assert entry is not None
        done += store.transact(
            Transaction(
                (Compare.unchanged(key, entry.mod_revision),),
                (Put(key, str(int(entry.value) + 1).encode()),),
            )
        ).succeeded
