"""The store contract as tests: subclass :class:`StoreSuite` and give it a ``store`` fixture.

::

    class TestMyStore(StoreSuite):
        @pytest.fixture
        def store(self) -> Iterator[Store]:
            with MyStore() as store:
                yield store

Each test works below a prefix of its own, so that one server may serve them all.
"""

from __future__ import annotations

from gohan_jobs.testing._store_suite import PATIENCE, collect
from gohan_jobs.testing._store_suite_life import LeasesPart, LifePart
from gohan_jobs.testing._store_suite_reading import ReadingPart
from gohan_jobs.testing._store_suite_transactions import TransactionsPart
from gohan_jobs.testing._store_suite_watching import CompactionPart, WatchingPart

__all__ = ["PATIENCE", "StoreSuite", "collect"]


class StoreSuite(ReadingPart, TransactionsPart, WatchingPart, CompactionPart, LeasesPart, LifePart):
    """What every :class:`~gohan_jobs.stores.base.Store` does.

    Subclasses give a ``store`` fixture, and override ``expire_leases(store, seconds)`` if the
    store's clock has to be moved on.
    """
