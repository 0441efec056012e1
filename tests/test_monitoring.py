"""A monitoring agent without a lifecycle."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from gohan_jobs.codec import Codec, dumps
from gohan_jobs.keys import Keys, ResourcePath
from gohan_jobs.monitoring import Reporting
from gohan_jobs.records import ConfigRecord, StateRecord, WorkerState
from gohan_jobs.stores.base import Put, Transaction, TransactionResult
from gohan_jobs.stores.memory import MemoryStore
from gohan_jobs.testing.faults import FaultyStore

PATH = ResourcePath("v2.0/networks/n1")
OWN_KEYS = Keys(config="/c/", state="/s/", monitoring="/m/", own="/o/")


@pytest.mark.parametrize(
    ("options", "keys"),
    [
        ({}, Keys()),
        ({"keys": OWN_KEYS}, OWN_KEYS),
        ({"codec": Codec(OWN_KEYS)}, OWN_KEYS),
    ],
    ids=["as documented", "keys", "codec"],
)
def test_an_agent_needs_only_the_store(options: dict[str, object], keys: Keys) -> None:
    """It reports and withdraws where the keys say."""
    store = MemoryStore()
    config = ConfigRecord(body={"id": "n1"}, version=1)
    state = StateRecord(worker_state=WorkerState.CREATED, version=1)
    for key, record in ((keys.config_of(PATH), config), (keys.state_of(PATH), state)):
        store.transact(Transaction((), (Put(key, dumps(record).encode()),)))
    agent = Reporting(store, **options)  # type: ignore[arg-type] # as parametrized
    assert agent.report(PATH, 1, "interface", "UP")
    entry = store.get(keys.monitoring_of(PATH))
    assert entry is not None
    assert {"version": 1, "interface": "UP"} == json.loads(entry.value)
    assert agent.withdraw(PATH, 1)
    assert store.get(keys.monitoring_of(PATH)) is None


class _Racing(FaultyStore):
    """Somebody is faster, just before the next write."""

    faster: Callable[[], object] | None = None

    def transact(self, transaction: Transaction) -> TransactionResult:
        """Be faster once, then write."""
        faster, self.faster = self.faster, None
        if faster is not None:
            faster()
        return super().transact(transaction)


class _Site:
    """A resource's records, and an agent."""

    def __init__(self, *, config: int, state: int | None) -> None:
        self.keys = Keys()
        self.store = _Racing(MemoryStore())
        self.agent = Reporting(self.store)
        self.config(config)
        if state is not None:
            self.state(state)

    def put(self, key: str, value: bytes) -> None:
        """Write anything."""
        self.store.store.transact(Transaction((), (Put(key, value),)))

    def config(self, version: int) -> None:
        """Write the config."""
        record = ConfigRecord(body={"id": "n1"}, version=version)
        self.put(self.keys.config_of(PATH), dumps(record).encode())

    def state(self, version: int) -> None:
        """Write the result."""
        record = StateRecord(worker_state=WorkerState.CREATED, version=version)
        self.put(self.keys.state_of(PATH), dumps(record).encode())

    @property
    def statuses(self) -> list[object]:
        """What is published, and what is held."""
        keys = (self.keys.monitoring_of(PATH), f"{self.keys.own}reports/{PATH}")
        entries = [self.store.store.get(key) for key in keys]
        return [None if entry is None else json.loads(entry.value) for entry in entries]


def test_a_report_waits_for_its_own_versions_state() -> None:
    """That of the version before is there, and its statuses are not this version's."""
    site = _Site(config=1, state=1)
    assert site.agent.report(PATH, 1, "interface", "UP")
    site.config(2)
    assert site.agent.report(PATH, 2, "router", "UP")
    held = {"router": "UP", "version": 2}
    assert [{"interface": "UP", "version": 1}, held] == site.statuses
    site.state(2)
    assert site.agent.report(PATH, 2, "link", "UP")
    assert [{"link": "UP", "version": 2}, held] == site.statuses


def test_a_config_that_changes_while_a_report_is_written() -> None:
    """The report is of the version before: it does not count any more."""
    site = _Site(config=1, state=1)
    site.store.faster = lambda: site.config(2)
    assert not site.agent.report(PATH, 1, "interface", "UP")
    assert [None, None] == site.statuses


def test_a_state_that_comes_while_a_report_is_written() -> None:
    """The report need not be held."""
    site = _Site(config=1, state=None)
    site.store.faster = lambda: site.state(1)
    assert site.agent.report(PATH, 1, "interface", "UP")
    assert [{"interface": "UP", "version": 1}, None] == site.statuses


def test_another_agent_that_reports_at_the_same_time() -> None:
    """Neither status is lost."""
    site = _Site(config=1, state=1)
    other = Reporting(site.store.store)
    site.store.faster = lambda: other.report(PATH, 1, "router", "UP")
    assert site.agent.report(PATH, 1, "interface", "UP")
    assert [{"interface": "UP", "router": "UP", "version": 1}, None] == site.statuses


def test_a_held_report_is_withdrawn_too() -> None:
    """Nothing of it is published later."""
    site = _Site(config=1, state=None)
    site.agent.report(PATH, 1, "interface", "UP")
    assert (False, True) == (site.agent.withdraw(PATH, 2), site.agent.withdraw(PATH, 1))
    assert [None, None] == site.statuses


def test_a_status_that_changes_while_it_is_withdrawn_stays() -> None:
    """It is the next version's by now."""
    site = _Site(config=1, state=1)
    site.agent.report(PATH, 1, "interface", "UP")
    other = Reporting(site.store.store)

    def next_version() -> None:
        site.config(2)
        site.state(2)
        other.report(PATH, 2, "interface", "DOWN")

    site.store.faster = next_version
    assert not site.agent.withdraw(PATH, 1)
    assert [{"interface": "DOWN", "version": 2}, None] == site.statuses
