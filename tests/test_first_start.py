"""Beside an existing system: what was copied in any order is not worked on again."""

from __future__ import annotations

import itertools

import attrs
import pytest

from gohan_jobs import ConfigRecord, ProcessedConfig, StateRecord, WorkerState
from gohan_jobs.stores.base import Put, Transaction
from worlds import NETWORK, World

BODY = {"id": "n1", "tenant_id": "t", "name": "blue"}
CONFIG = ConfigRecord(body=BODY, version=3)
RECORDS: dict[str, ConfigRecord | ProcessedConfig | StateRecord] = {
    "config": CONFIG,
    "processed": ProcessedConfig(body=BODY, deleted=False, version=3),
    "state": StateRecord(worker_state=WorkerState.MODIFIED, heat_outputs=(), version=3),
}
ORDERS = list(itertools.permutations(RECORDS))


def copied(world: World, order: tuple[str, ...]) -> None:
    """What another system had, copied here in some order."""
    path = world.lifecycle.path_of(NETWORK)
    keys = world.lifecycle.keys
    where = {
        "config": keys.config_of(path),
        "processed": keys.processed_of(path),
        "state": keys.state_of(path),
    }
    for name in order:
        text = world.lifecycle.codec.dumps(RECORDS[name]).encode()
        world.store.transact(Transaction((), (Put(where[name], text),)))


@pytest.mark.parametrize("order", ORDERS, ids="-".join)
def test_a_copied_estate_is_not_touched(order: tuple[str, ...]) -> None:
    """Whatever was copied first, no job is made, and Heat is not called (rules 1, 2)."""
    world = World()
    copied(world, order)
    world.settle()
    assert world.heat.changes == ()
    assert world.state(NETWORK) == RECORDS["state"]


@pytest.mark.parametrize("order", ORDERS, ids="-".join)
def test_a_copied_config_written_anew_is_worked_on(order: tuple[str, ...]) -> None:
    """A config removed and created again afterwards is another one, its version the same."""
    world = World()
    copied(world, order)
    world.settle()
    path = world.lifecycle.path_of(NETWORK)
    world.remove_config(NETWORK)
    text = world.lifecycle.codec.dumps(attrs.evolve(CONFIG, body={**BODY, "name": "red"}))
    key = world.lifecycle.keys.config_of(path)
    world.store.transact(Transaction((), (Put(key, text.encode()),)))
    world.settle()
    assert [call.op for call in world.heat.changes] == ["create"]
