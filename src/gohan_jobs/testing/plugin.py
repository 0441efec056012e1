"""Fixtures for pytest, which finds this plugin on its own.

===========================  =====================================================================
fixture                      what it gives
===========================  =====================================================================
``gohan_jobs_clock``         a VirtualClock: no test waits
``gohan_jobs_store``         an empty MemoryStore on that clock
``gohan_jobs_heat``          a SimulatedHeat on that clock
``gohan_jobs_schemas``       the types; to be overridden
``gohan_jobs_handlers``      further handlers by name; none unless overridden
``gohan_jobs_events``        the list of all events that the lifecycle has told
``gohan_jobs_lifecycle``     a Lifecycle, job manager and worker, of all of these
``gohan_jobs_etcd``          a store on a real etcd, empty
``gohan_jobs_etcd_cluster``  that etcd, one for the whole session
===========================  =====================================================================

Any of them can be overridden, in a ``conftest.py`` or a module, and the lifecycle follows: with a
``gohan_jobs_store`` that returns ``gohan_jobs_etcd``, it works on a real etcd.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:  # pytest loads this module always: what it needs is imported when it is used
    from gohan_jobs.clock import VirtualClock
    from gohan_jobs.events import Event
    from gohan_jobs.handler_registry import AnyHandler
    from gohan_jobs.lifecycle import Lifecycle
    from gohan_jobs.orchestrators.base import Orchestrator
    from gohan_jobs.schemas import Schemas
    from gohan_jobs.stores.base import Store
    from gohan_jobs.testing.etcd import EtcdCluster

__all__ = [
    "gohan_jobs_clock",
    "gohan_jobs_etcd",
    "gohan_jobs_etcd_cluster",
    "gohan_jobs_events",
    "gohan_jobs_handlers",
    "gohan_jobs_heat",
    "gohan_jobs_lifecycle",
    "gohan_jobs_schemas",
    "gohan_jobs_store",
]

_DELETES = 100


@pytest.fixture
def gohan_jobs_clock() -> VirtualClock:
    """A clock that stands still until the test, or ``Lifecycle.wait``, moves it on."""
    from gohan_jobs.clock import VirtualClock  # noqa: PLC0415 - see above

    return VirtualClock()


@pytest.fixture
def gohan_jobs_store(gohan_jobs_clock: VirtualClock) -> Iterator[Store]:
    """An empty store in memory, whose leases end by the clock."""
    from gohan_jobs.stores.memory import MemoryStore  # noqa: PLC0415 - see above

    with MemoryStore(clock=gohan_jobs_clock) as store:
        yield store


@pytest.fixture
def gohan_jobs_heat(gohan_jobs_clock: VirtualClock) -> Orchestrator:
    """A simulated Heat without any stack."""
    from gohan_jobs.orchestrators.simulated import SimulatedHeat  # noqa: PLC0415 - see above

    return SimulatedHeat(gohan_jobs_clock)


@pytest.fixture
def gohan_jobs_schemas() -> Schemas:
    """The types, which only the test knows: override it."""
    pytest.fail("override the fixture gohan_jobs_schemas: return the Schemas of your types")


@pytest.fixture
def gohan_jobs_handlers() -> Mapping[str, AnyHandler]:
    """Handlers beside the one for Heat: override it."""
    return {}


@pytest.fixture
def gohan_jobs_events() -> list[Event]:
    """What the lifecycle has told, in order."""
    return []


@pytest.fixture
def gohan_jobs_lifecycle(
    gohan_jobs_store: Store,
    gohan_jobs_heat: Orchestrator,
    gohan_jobs_schemas: Schemas,
    gohan_jobs_clock: VirtualClock,
    gohan_jobs_handlers: Mapping[str, AnyHandler],
    gohan_jobs_events: list[Event],
) -> Iterator[Lifecycle]:
    """A job manager and a worker in one, without threads: ``wait`` steps it and moves the clock."""
    from gohan_jobs.lifecycle import Lifecycle  # noqa: PLC0415 - see above

    with Lifecycle(
        gohan_jobs_store,
        gohan_jobs_heat,
        gohan_jobs_schemas,
        clock=gohan_jobs_clock,
        handlers=gohan_jobs_handlers,
        hooks=(gohan_jobs_events.append,),
        seed=1,
    ) as lifecycle:
        yield lifecycle


@pytest.fixture(scope="session")
def gohan_jobs_etcd_cluster() -> Iterator[EtcdCluster]:
    """A real etcd of one member; the test is skipped where none is installed."""
    from gohan_jobs.testing.etcd import EtcdCluster, EtcdNotInstalled  # noqa: PLC0415 - see above

    try:
        cluster = EtcdCluster()
    except EtcdNotInstalled as error:
        pytest.skip(str(error))
    with cluster:
        yield cluster


@pytest.fixture
def gohan_jobs_etcd(gohan_jobs_etcd_cluster: EtcdCluster) -> Iterator[Store]:
    """A store on a real etcd; what tests before it have left is deleted."""
    from gohan_jobs.stores.etcd import EtcdStore  # noqa: PLC0415 - see above

    with EtcdStore(gohan_jobs_etcd_cluster.endpoints) as store:
        _clear(store)
        yield store


def _clear(store: Store) -> None:
    from gohan_jobs.stores.base import Delete, Transaction  # noqa: PLC0415 - see above

    while entries := store.entries("", limit=_DELETES).entries:
        store.transact(Transaction(success=tuple(Delete(entry.key) for entry in entries)))
