"""The monitoring handler does its work once, whatever happens to its process."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from gohan_jobs_monitoring import FileAgent, MonitoringHandler
from gohan_jobs_monitoring.agents import Targets
from gohan_jobs_monitoring.handler import DIRECTORY, monitoring_worker
from switches import HEAT_TEMPLATE, MONITORING_TEMPLATE, SCHEMAS, SWITCH, config

from gohan_jobs import Failed, Handlers, Lifecycle, ResourceRef, VirtualClock
from gohan_jobs.handler_registry import AnyHandler
from gohan_jobs.testing import HandlerSuite, Simulation


class SlowAgent:
    """An agent whose targets have a status after five seconds, or never."""

    request_timeout = 1.0

    def __init__(self, clock: VirtualClock, seconds: float = 5.0) -> None:
        self._clock = clock
        self._seconds = seconds
        self._since: dict[str, float] = {}
        self.watched: dict[str, tuple[int, Targets]] = {}

    def watch(self, resource: str, version: int, targets: Targets) -> None:
        """Begin anew only for what is new: watching twice is watching once."""
        if self.watched.get(resource) != (version, targets):
            self._since[resource] = self._clock.now()
        self.watched[resource] = version, targets

    def statuses(self, resource: str, version: int) -> Mapping[str, str] | None:
        """What is known by now."""
        watched, targets = self.watched.get(resource, (0, {}))
        if watched != version or self._clock.now() < self._since[resource] + self._seconds:
            return None
        return dict.fromkeys(targets, "ACTIVE")

    def forget(self, resource: str) -> None:
        """Watch it no more."""
        self.watched.pop(resource, None)


class TestMonitoringHandler(HandlerSuite):
    """A switch is created, changed, and watched; another one is deleted again."""

    schemas = SCHEMAS
    agent: SlowAgent

    def begin(self) -> None:
        """Nothing is watched."""
        self.agent = SlowAgent(self.clock)

    def handlers(self) -> Mapping[str, AnyHandler]:
        """The handler under test."""
        return {"monitoring_worker": MonitoringHandler(lambda: self.agent)}

    def script(self, simulation: Simulation) -> None:
        """What Gohan writes, and when."""
        for record in (HEAT_TEMPLATE, MONITORING_TEMPLATE):
            simulation.submit(0.0, ResourceRef("heat_template", record.body["id"]), record.body)
        simulation.submit(0.0, SWITCH, config().body)
        simulation.submit(60.0, SWITCH, config(2, peer=True).body, 2)

    def outside(self) -> object:
        """What is watched in the end."""
        return self.agent.watched


class TestPatience:
    """Targets that never get a status."""

    @pytest.fixture
    def gohan_jobs_handlers(self, gohan_jobs_clock: VirtualClock) -> Handlers:
        """A handler that waits for ten seconds."""
        agent = SlowAgent(gohan_jobs_clock, seconds=1e9)
        return Handlers({"monitoring_worker": MonitoringHandler(lambda: agent, patience=10.0)})

    def test_it_ends(self, gohan_jobs_lifecycle: Lifecycle) -> None:
        """The version fails, and says so."""
        for record in (HEAT_TEMPLATE, MONITORING_TEMPLATE):
            gohan_jobs_lifecycle.submit(record, ResourceRef("heat_template", record.body["id"]))
        gohan_jobs_lifecycle.submit(config(), SWITCH)
        result = gohan_jobs_lifecycle.wait(SWITCH, 1)
        assert isinstance(result, Failed)
        assert result.error == "no status after 10 s"


def test_the_file_agent(tmp_path: Path) -> None:
    """Only the version that is watched has statuses; forgetting twice is forgetting once."""
    agent = FileAgent(tmp_path / "agent")
    assert agent.statuses("switch:s1", 1) is None
    agent.watch("switch:s1", 1, {"switch": {}, "session": {"wanted_status": "backup"}})
    assert agent.statuses("switch:s1", 1) == {"switch": "ACTIVE", "session": "backup"}
    assert agent.statuses("switch:s1", 2) is None
    agent.forget("switch:s1")
    agent.forget("switch:s1")
    assert agent.statuses("switch:s1", 1) is None


def test_the_installed_handler_asks_its_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The directory is the one that a variable names when a job comes."""
    monkeypatch.setenv(DIRECTORY, str(tmp_path))
    monitoring_worker._agent().watch("switch:s1", 1, {})  # noqa: SLF001 - what a job would do
    assert [path.name for path in tmp_path.iterdir()] == ["switch_s1.json"]
