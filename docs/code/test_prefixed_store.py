"""The prefixed store keeps the contract, and keeps to its prefix."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from prefixed_store import PrefixedStore

from gohan_jobs import MemoryStore, Store, VirtualClock
from gohan_jobs.stores.base import Put, Transaction
from gohan_jobs.testing.stores import StoreSuite


class TestPrefixedStore(StoreSuite):
    """The whole contract, on a clock that the tests move."""

    clock: VirtualClock

    @pytest.fixture
    def store(self) -> Iterator[Store]:
        """An empty store."""
        self.clock = VirtualClock()
        with PrefixedStore(MemoryStore(clock=self.clock), "/site-a") as store:
            yield store

    def expire_leases(self, store: Store, seconds: float) -> None:
        """Let time pass for leases: the suite calls this instead of waiting."""
        del store
        self.clock.advance(seconds)


def test_two_systems_do_not_see_each_other() -> None:
    """The same key in two systems is two entries."""
    shared = MemoryStore()
    first, second = PrefixedStore(shared, "/site-a"), PrefixedStore(shared, "/site-b")
    first.transact(Transaction(success=(Put("/state/x", b"1"),)))
    assert second.get("/state/x") is None
    assert [entry.key for entry in shared.entries("/").entries] == ["/site-a/state/x"]
