"""An operator's commands as processes, on a real etcd: run again, take away, move, and look."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import pytest

from gohan_jobs.clock import SystemClock
from gohan_jobs.demo.scenario import read_scenario, schemas, templates
from gohan_jobs.keys import Place
from gohan_jobs.lifecycle import Completed, Lifecycle
from gohan_jobs.orchestrators.simulated import SimulatedHeat
from gohan_jobs.stores.base import scan
from gohan_jobs.stores.etcd import EtcdStore
from gohan_jobs.testing.etcd import EtcdCluster

pytestmark = [pytest.mark.etcd, pytest.mark.slow]

SCHEMAS = str(files("gohan_jobs.demo").joinpath("data", "schemas.json"))
PATIENCE = 60.0


def command(etcd: EtcdCluster, *arguments: str) -> tuple[int, str]:
    """Exit status and output of a command."""
    done = subprocess.run(
        [sys.executable, "-m", "gohan_jobs", *arguments],
        env={**os.environ, "GOHAN_JOBS_ETCD": etcd.endpoints[0], "GOHAN_JOBS_SCHEMAS": SCHEMAS},
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def etcd() -> Iterator[EtcdCluster]:
    """A real etcd."""
    with EtcdCluster() as cluster:
        yield cluster


def lifecycle(store: EtcdStore, heat: SimulatedHeat) -> Lifecycle:
    """Somebody who manages and works."""
    return Lifecycle(store, heat, schemas(), hooks=())


def made(store: EtcdStore, heat: SimulatedHeat) -> tuple[str, str]:
    """The demonstration's resource, made; its type and id."""
    scenario = read_scenario("create")
    with lifecycle(store, heat) as works:
        works.run()
        for each in (*templates(), *scenario.related, scenario.shown):
            works.submit(each.config, each.ref)
        assert isinstance(works.wait(scenario.shown.ref, 1, PATIENCE), Completed)
    return scenario.shown.ref.resource_type, scenario.shown.ref.resource_id


def stored(store: EtcdStore) -> dict[str, bytes]:
    """All that is stored."""
    return {entry.key: entry.value for page in scan(store, "/") for entry in page.entries}


def test_a_retry_and_a_move(etcd: EtcdCluster, tmp_path: Path) -> None:
    """Run again, dumped and loaded into another etcd, and nothing is done there again."""
    heat = SimulatedHeat(SystemClock())
    file = tmp_path / "dump"
    with EtcdStore(etcd.endpoints) as store:
        kind, name = made(store, heat)
        with lifecycle(store, heat) as works:
            works.run()
            status, said = command(etcd, "retry", kind, name, "--yes", "--wait", "30")
            assert (0, "version 1 is done: MODIFY_COMPLETED") == (status, said.strip()[-35:])
        assert (0, True) == (command(etcd, "dump", str(file))[0], file.exists())
        before = stored(store)
    with EtcdCluster() as other, EtcdStore(other.endpoints) as there:
        status, said = command(other, "load", str(file), "--yes")
        assert (0, True) == (status, " keys loaded and verified, 0 left out" in said)
        after = stored(there)
        assert before.keys() == after.keys()
        assert ["/gohan-jobs/cluster"] == [key for key in before if before[key] != after[key]]
        asked = len(heat.changes)
        with lifecycle(there, heat) as works:
            works.run()
            explained = command(other, "doctor", "--json")
            while not works.leads:
                explained = command(other, "doctor", "--json")
        assert after == stored(there)
        assert asked == len(heat.changes)
        assert 0 == command(other, "check", str(file))[0]
    checks = [finding["check"] for finding in json.loads(explained[1])["findings"]]
    assert {"etcd", "history", "heat"} <= set(checks)  # 3.5.1 is for tests only


def test_a_release_from_a_holder_that_hangs(etcd: EtcdCluster) -> None:
    """It says who has it; after it nobody has, and the leader puts the job back."""
    heat = SimulatedHeat(SystemClock(), operation_seconds=3600.0)
    scenario = read_scenario("create")
    with EtcdStore(etcd.endpoints) as store, lifecycle(store, heat) as works:
        for each in (*templates(), *scenario.related, scenario.shown):
            works.submit(each.config, each.ref)
        working = works.keys.place_prefix(Place.WORKING)
        while not store.entries(working, limit=1).entries:
            works.step()
        job = store.entries(working, limit=1).entries[0].key.removeprefix(working)
        status, said = command(etcd, "release", job)
        assert (1, True) == (status, "unless it is renewed" in said)
        status, said = command(etcd, "release", job, "--force", "--yes")
        assert (0, "released") == (status, said.splitlines()[-1])
        waiting = works.keys.place_prefix(Place.WAITING) + job
        while store.get(waiting) is None:
            works.step()
        assert store.get(working + job) is None
