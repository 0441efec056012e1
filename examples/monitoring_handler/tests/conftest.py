"""The fixtures of gohan-jobs, for switches, with the handler of this package."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from gohan_jobs_monitoring import FileAgent, MonitoringHandler, SqliteStore
from switches import SCHEMAS

from gohan_jobs import Handlers, Schemas, Store, VirtualClock


@pytest.fixture
def agent(tmp_path: Path) -> FileAgent:
    """An agent with a directory of its own."""
    return FileAgent(tmp_path / "agent")


@pytest.fixture
def gohan_jobs_schemas() -> Schemas:
    """The types."""
    return SCHEMAS


@pytest.fixture
def gohan_jobs_handlers(agent: FileAgent) -> Handlers:
    """The handler under test."""
    return Handlers({"monitoring_worker": MonitoringHandler(lambda: agent)})


@pytest.fixture
def gohan_jobs_store(tmp_path: Path, gohan_jobs_clock: VirtualClock) -> Iterator[Store]:
    """The store under test: the lifecycle works on a file."""
    with SqliteStore(tmp_path / "store.db", clock=gohan_jobs_clock) as store:
        yield store
