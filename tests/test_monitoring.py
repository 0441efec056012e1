"""A monitoring agent without a lifecycle."""

from __future__ import annotations

import json

import pytest

from gohan_jobs.codec import Codec, dumps
from gohan_jobs.keys import Keys, ResourcePath
from gohan_jobs.monitoring import Reporting
from gohan_jobs.records import ConfigRecord, StateRecord, WorkerState
from gohan_jobs.stores.base import Put, Transaction
from gohan_jobs.stores.memory import MemoryStore

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
