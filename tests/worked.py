"""A ``gohan-jobs run`` that works on a real etcd, and work for it: for tests of bad days."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import requests

from gohan_jobs.clock import SystemClock
from gohan_jobs.demo.scenario import read_scenario, schemas, templates
from gohan_jobs.lifecycle import Lifecycle
from gohan_jobs.orchestrators.simulated import SimulatedHeat
from gohan_jobs.stores.base import Put, Store, Transaction
from gohan_jobs.stores.etcd import EtcdStore

__all__ = ["PATIENCE", "Running", "fill", "refused", "result", "running", "submit"]

PATIENCE = 30.0

_SCHEMAS = str(files("gohan_jobs.demo").joinpath("data", "schemas.json"))
_OPTIONS = (
    *("--schemas", _SCHEMAS, "--heat", "simulated", "--stop-timeout", "1"),
    *("--etcd-timeout", "1", "--etcd-patience", "1.5", "--etcd-silence", "0.5"),
)


def refused(*arguments: str) -> str:
    """What a ``gohan-jobs run`` says that does not start; only one line, and no success."""
    done = subprocess.run(
        [sys.executable, "-m", "gohan_jobs", "run", *_OPTIONS, *arguments],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert (1, "", 1) == (done.returncode, done.stdout, done.stderr.count("\n")), done.stderr
    assert done.stderr.startswith("Error: ")
    return done.stderr


class Running:
    """One ``gohan-jobs run`` with probes; what it logs goes to a file.

    Args:
        home: directory for the file.
        arguments: of the command.
    """

    def __init__(self, home: Path, *arguments: str) -> None:
        self._log = home / "log"
        with self._log.open("w", encoding="utf-8") as log:
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "gohan_jobs", "run", *_OPTIONS),
                    *("--http", "127.0.0.1:0", *arguments),
                ],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
            )
        self._url = ""

    def begin(self) -> None:
        """Wait until it leads and has no trouble."""
        self.until(lambda: self.said("^serving ") or self._process.poll() is not None)
        found = re.search("^serving (.*)$", self.log, re.MULTILINE)
        assert found is not None, self.log
        self._url = found[1]
        self.until(lambda: self.readiness["leads"])

    @property
    def log(self) -> str:
        """What it has logged."""
        return self._log.read_text(encoding="utf-8")

    def said(self, pattern: str) -> int:
        """How many lines of the log match."""
        return len(re.findall(pattern, self.log, re.MULTILINE))

    @property
    def readiness(self) -> dict[str, Any]:
        """What ``/readyz`` says."""
        answer = requests.get(f"{self._url}/readyz", timeout=PATIENCE)
        told: dict[str, Any] = json.loads(answer.text)
        assert (200 if told["ready"] else 503) == answer.status_code
        return told

    @property
    def troubles(self) -> str:
        """All its troubles in one text."""
        return " | ".join(self.readiness["troubles"].values())

    @property
    def liveness(self) -> int:
        """The status that ``/healthz`` answers with."""
        return requests.get(f"{self._url}/healthz", timeout=PATIENCE).status_code

    def until(self, condition: Callable[[], object]) -> None:
        """Wait for something; fail with the log if it does not come."""
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < deadline, self.log[-3000:]
            threading.Event().wait(0.02)

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """While it stands still: what is done meanwhile, it finds all at once."""
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    def end(self, how: signal.Signals = signal.SIGTERM) -> None:
        """End it, and wait until it is gone."""
        self._process.send_signal(how)
        self._process.wait(PATIENCE)


@contextlib.contextmanager
def running(home: Path, *arguments: str) -> Iterator[Running]:
    """A process that leads and works; it is killed at the end, if it has not ended in order."""
    process = Running(home, *arguments)
    try:
        process.begin()
        yield process
        process.end()
        assert "Traceback" not in process.log
    finally:
        process.end(signal.SIGKILL)


def _outside(store: Store) -> Lifecycle:
    return Lifecycle(store, SimulatedHeat(SystemClock()), schemas(), roles=(), hooks=())


def submit(store: Store) -> None:
    """Write the demonstration's configs and templates, as Gohan would."""
    scenario = read_scenario("create")
    outside = _outside(store)
    for each in (*templates(), *scenario.related, scenario.shown):
        outside.submit(each.config, each.ref)


def result(store: Store) -> str:
    """How the last of the demonstration's resources ended, once it has."""
    ended = _outside(store).wait(read_scenario("create").shown.ref, 1, PATIENCE)
    return type(ended).__name__


def fill(store: EtcdStore) -> None:
    """Write until it is refused; the server measures ten times a second.

    Raises:
        StoreFull: now it is full.
    """
    for number in range(2000):
        store.transact(Transaction(success=(Put(f"/filler/{number % 2}", os.urandom(200_000)),)))
