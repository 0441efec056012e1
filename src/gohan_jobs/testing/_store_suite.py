"""What the parts of the store suite share."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from gohan_jobs.exceptions import StoreClosed
from gohan_jobs.stores.base import (
    Entry,
    Event,
    EventKind,
    Lease,
    Operation,
    Put,
    Store,
    Transaction,
    Watch,
)

__all__ = [
    "LEASE_SECONDS",
    "PATIENCE",
    "SuitePart",
    "collect",
    "expected_event",
    "leased",
    "poll_to_the_end",
    "write",
]

PATIENCE = 20.0
"""Seconds a store may take to deliver an event, a lease's end included."""

LEASE_SECONDS = 1.0
"""The shortest lease that the suite asks for."""


def collect(watch: Watch, count: int) -> list[Event]:
    """The next events of a watch, at least ``count`` of them."""
    events: list[Event] = []
    while len(events) < count:
        batch = watch.poll(PATIENCE)
        assert batch is not None, f"{len(events)} of {count} events came: {events}"
        events += batch.events
    return events


def write(store: Store, *operations: Operation) -> int:
    """Do some operations; the revision after them."""
    return store.transact(Transaction(success=operations)).revision


def expected_event(
    kind: EventKind, key: str, revision: int, entry: Entry | None, previous: Entry | None
) -> Event:
    """The event that should come."""
    return Event(kind=kind, key=key, revision=revision, entry=entry, previous=previous)


def leased(prefix: str, lease: Lease, names: str) -> Iterator[Put]:
    """Puts of empty values below a prefix, bound to a lease."""
    return (Put(prefix + name, b"", lease=lease.id) for name in names)


def poll_to_the_end(watch: Watch, outcome: list[type[BaseException]]) -> None:
    """Poll until the watch is closed, on another thread; note the error."""
    with pytest.raises(StoreClosed) as caught:
        watch.poll(PATIENCE)
    outcome.append(caught.type)


class SuitePart:
    """What every part needs."""

    @pytest.fixture
    def prefix(self) -> str:
        """A prefix that nothing else uses."""
        return f"/suite-{uuid.uuid4().hex}/"

    def expire_leases(self, store: Store, seconds: float) -> None:
        """Let ``seconds`` pass for leases. A store on the real clock needs nothing done."""
