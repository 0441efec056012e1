"""The processes of the chaos test: members as users start them, and the served simulator."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import attrs

import gohan_jobs
from chaos_estate import SCHEMAS_TEXT

__all__ = ["Frozen", "HeatProcess", "Member", "MemberOptions", "Members"]

_CLI = (sys.executable, "-m", "gohan_jobs")
_MOST_RESTARTS = 20


def _environment() -> dict[str, str]:
    """The environment, in which a program finds the package that this one uses."""
    source = str(Path(gohan_jobs.__file__).parent.parent)
    return {**os.environ, "PYTHONPATH": source, "PYTHONUNBUFFERED": "1"}


class HeatProcess:
    """``gohan-jobs heat-simulator`` in a process; a context manager."""

    def __init__(self, operation_seconds: float = 0.5) -> None:
        self._process = subprocess.Popen(
            [
                *_CLI,
                "heat-simulator",
                "--port=0",
                "--token=t0ken",
                f"--operation-seconds={operation_seconds}",
            ],
            stdout=subprocess.PIPE,
            text=True,
            env=_environment(),
        )
        assert self._process.stdout is not None
        self.endpoint = self._process.stdout.readline().strip()
        self._root = self.endpoint.partition("/v1/")[0]

    def ask(self, path: str, document: object = None, method: str = "POST") -> Any:
        """Ask it for something, or tell it something."""
        body = None if document is None else json.dumps(document).encode()
        request = urllib.request.Request(  # noqa: S310 - ours
            f"{self._root}{path}",
            body,
            {"X-Auth-Token": "t0ken"},
            method="GET" if body is None else method,
        )
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - ours
            return json.load(answer)

    def finish(self, tenant: str, stack: str) -> None:
        """End what a stack is doing."""
        self.ask("/simulator/finish", {"stack": stack, "tenant": tenant})

    def fail_next(self, tenant: str, stack: str) -> None:
        """Let the next thing that a stack is to do fail, but for its deletion."""
        for operation in ("create", "update"):
            script = {"stack": stack, "tenant": tenant, "op": operation}
            self.ask("/simulator/scripts", {**script, "outcomes": [{"fails": True}]})

    def disturb(self, **fault: float | bool) -> None:
        """Spoil coming requests."""
        self.ask("/simulator/fault", fault, "PUT")

    def calls(self) -> list[dict[str, Any]]:
        """The calls so far that would change a stack, oldest first."""
        found: list[dict[str, Any]] = self.ask("/simulator/calls?parameters=true")["calls"]
        return [call for call in found if call["op"] in {"create", "update", "delete"}]

    def stacks(self, tenant: str) -> list[dict[str, Any]]:
        """The stacks of a project."""
        found: list[dict[str, Any]] = self.ask(f"/v1/{tenant}/stacks")["stacks"]
        return found

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()


@attrs.frozen(kw_only=True)
class MemberOptions:
    """How the members are run.

    Attributes:
        etcd: endpoints.
        heat: Heat's endpoint.
        home: a directory for their logs.
        lease: seconds of both kinds of leases.
        heat_timeout: seconds for a call to Heat; also the pause after a lost claim.
        slots: of each worker.
        stop_timeout: seconds for jobs to end after SIGTERM.
        arguments: more of the command line.
    """

    etcd: Sequence[str]
    heat: str
    home: Path
    lease: float = 4.0
    heat_timeout: float = 1.0
    slots: int = 8
    stop_timeout: float = 10.0
    arguments: tuple[str, ...] = ()


@attrs.frozen
class Frozen:
    """A time, in seconds since the epoch, in which a process stood still."""

    since: float
    until: float


class Member:
    """One process, in all its lives.

    Args:
        name: of its log.
        roles: what it does.
        options: how.

    Attributes:
        frozen: when it stood still.
        killed: when it was killed.
        restarts: how often it found no etcd when it started, ended, and was started again.
    """

    def __init__(self, name: str, roles: str, options: MemberOptions) -> None:
        self.name = name
        self.roles = roles
        self.log = options.home / f"{name}.log"
        self.frozen: list[Frozen] = []
        self.killed: list[float] = []
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None
        self._frozen_at: float | None = None
        self._life_begins = 0
        self.restarts = 0

    @property
    def alive(self) -> bool:
        """Whether it has been started, and not killed since."""
        return self._process is not None

    @property
    def moving(self) -> bool:
        """Whether it lives and is not frozen."""
        return self.alive and self._frozen_at is None

    def start(self) -> None:
        """Begin a life; no-op if it lives."""
        if self._process is not None:
            return
        options = self._options
        schemas = options.home / "schemas.json"
        if not schemas.exists():
            schemas.write_text(SCHEMAS_TEXT)
        command = [
            *_CLI,
            "run",
            f"--etcd={','.join(options.etcd)}",
            f"--schemas={schemas}",
            f"--heat={options.heat}",
            "--heat-token=t0ken",
            f"--heat-timeout={options.heat_timeout}",
            f"--roles={self.roles}",
            f"--name={self.name}",
            f"--slots={options.slots}",
            f"--worker-lease={options.lease}",
            f"--leader-lease={options.lease}",
            f"--stop-timeout={options.stop_timeout}",
            *options.arguments,
        ]
        with self.log.open("ab") as log:
            self._life_begins = log.tell()
            self._process = subprocess.Popen(command, stderr=log, env=_environment())

    def check(self) -> None:
        """See that it has not ended by itself.

        Unless it found no etcd when it started: then it has said so, and whatever supervises it
        starts it again.
        """
        if self._process is None or self._process.poll() is None:
            return
        life = self.log.read_bytes()[self._life_begins :].decode(errors="replace")
        away = life.startswith("Error: ") and self._process.returncode == 1
        assert away, f"{self.name} has ended: {self.tail()}"
        self.restarts += 1
        assert self.restarts <= _MOST_RESTARTS, f"{self.name} does not start: {life}"
        self._process = None
        self.start()

    def tail(self, size: int = 3000) -> str:
        """The end of its log."""
        return self.log.read_text(errors="replace")[-size:]

    def has_said(self, text: str) -> bool:
        """Whether its log holds a text."""
        return self.log.exists() and text in self.log.read_text(errors="replace")

    def kill(self) -> None:
        """Die at once; no-op if it is dead."""
        process, self._process = self._process, None
        if process is not None:
            self.killed.append(time.time())
            self._thawed()
            process.kill()
            process.wait()

    def terminate(self, timeout: float = 30.0) -> int:
        """Stop in order; the exit status."""
        process, self._process = self._process, None
        assert process is not None
        process.terminate()
        return process.wait(timeout)

    def freeze(self) -> None:
        """Stand still."""
        assert self._process is not None
        self._frozen_at = time.time()
        os.kill(self._process.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Go on; no-op if it does."""
        if self._frozen_at is not None and self._process is not None:
            self._thawed()
            os.kill(self._process.pid, signal.SIGCONT)

    def _thawed(self) -> None:
        if self._frozen_at is not None:
            self.frozen.append(Frozen(self._frozen_at, time.time()))
            self._frozen_at = None


class Members:
    """Job managers and workers; a context manager that leaves none behind.

    Args:
        options: how they are run.
        managers: how many.
        workers: how many.
    """

    def __init__(self, options: MemberOptions, *, managers: int = 2, workers: int = 4) -> None:
        self.managers = [Member(f"manager-{n}", "manager", options) for n in range(managers)]
        self.workers = [Member(f"worker-{n}", "worker", options) for n in range(workers)]
        self.all = [*self.managers, *self.workers]

    def start(self) -> None:
        """Start all that are dead."""
        for member in self.all:
            member.start()

    def kill(self) -> None:
        """Kill all."""
        for member in self.all:
            member.kill()

    def check(self) -> None:
        """See that none has ended by itself."""
        for member in self.all:
            member.check()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
