"""A real Heat and a real Keystone for the tests, started once a test run.

Each has an environment of its own, made on first use under ``~/.cache/gohan-jobs`` and used again
as long as its pins stay as they are. Where one can't be installed, tests that need it are skipped
with the reason; with ``GOHAN_JOBS_REQUIRE_HEAT=1``, which CI sets, they fail instead.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import pathlib
import secrets
import shutil
import subprocess
import sys
import tempfile
import threading
import venv
from collections.abc import Callable, Iterator
from typing import Any

import attrs
import pytest
import requests

from gohan_jobs.exceptions import OrchestratorUnavailable
from gohan_jobs.orchestrators.base import Orchestrator, Stack

__all__ = [
    "KeystoneCloud",
    "RealHeat",
    "RealKeystone",
    "keystone_cloud",
    "project",
    "real_heat",
    "settled",
    "until",
]

HERE = pathlib.Path(__file__).parent / "heat"
CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "gohan-jobs"
START_SECONDS = 60
"""Seconds that a service may take to start; it takes 3 to 6 on a quiet machine."""


SETTLE_SECONDS = 90
"""Seconds that a stack may take to settle."""


class CannotInstall(Exception):
    """The packages of a service could not be had."""


def environment(service: str) -> pathlib.Path:
    """The Python of an environment with a service's pins, made if it is not there.

    Raises:
        CannotInstall: the index does not answer, or lacks a package for this Python.
    """
    lock = HERE / f"{service}-lock.txt"
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    digest = hashlib.sha256(lock.read_bytes() + version.encode()).hexdigest()[:12]
    directory = CACHE / f"{service}-{digest}"
    CACHE.mkdir(parents=True, exist_ok=True)
    # The lock keeps test runs apart, the mark an environment that was not finished from use.
    with (CACHE / f"{directory.name}.lock").open("w", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        if not (directory / "complete").exists():
            install(directory, lock)
            (directory / "complete").touch()
    return directory / "bin" / "python"


def install(directory: pathlib.Path, lock: pathlib.Path) -> None:
    """Make an environment with exactly these packages."""
    venv.create(directory, clear=True, with_pip=True)
    pip = [str(directory / "bin" / "python"), "-m", "pip", "install", "--no-deps"]
    made = subprocess.run([*pip, "-r", str(lock)], capture_output=True, text=True, check=False)
    if made.returncode != 0:
        raise CannotInstall(f"{lock.name}: {made.stderr[-1000:]}")


@contextlib.contextmanager
def or_skip() -> Iterator[None]:
    """Skip the test, or fail it where that is not allowed."""
    try:
        yield
    except CannotInstall as error:
        if os.environ.get("GOHAN_JOBS_REQUIRE_HEAT") == "1":
            raise
        pytest.skip(f"a real service can't be installed here: {error}")


def settled(heat: Orchestrator, stack: Stack) -> Stack | None:
    """The stack once nothing is under way; None once it is deleted."""
    return until(heat, stack, lambda now: now is None or not now.in_progress)


def until(heat: Orchestrator, stack: Stack, ready: Callable[[Stack | None], bool]) -> Stack | None:
    """The stack once it is as wanted; a Heat that is away is waited for."""
    pause = threading.Event()
    for _ in range(SETTLE_SECONDS * 20):
        with contextlib.suppress(OrchestratorUnavailable):
            now = heat.observe([stack])[stack.id]
            if ready(now):
                return now
        pause.wait(0.05)
    raise AssertionError(f"{stack.name} did not settle in {SETTLE_SECONDS} s")


class Service:
    """A process that prints ``READY URL``, and ends when it is stopped or this process ends.

    Args:
        python: what runs it.
        script: the launcher's file name.
        arguments: its arguments, ``--directory`` aside.
    """

    def __init__(self, python: pathlib.Path, script: str, *arguments: str) -> None:
        shm = pathlib.Path("/dev/shm")  # noqa: S108 - SQLite without a disk
        parent = shm if os.access(shm, os.W_OK) else None
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="gohan-jobs-", dir=parent))
        self.command = [str(python), str(HERE / script), "--directory", str(self.directory)]
        self.command.extend(arguments)
        self.log = self.directory / "log"
        self.url = ""
        self.process: subprocess.Popen[str] | None = None

    def start(self, *arguments: str) -> None:
        """Start the process, and wait until it answers."""
        with self.log.open("a", encoding="utf-8") as log:
            self.process = subprocess.Popen(
                [*self.command, *arguments],
                stdin=subprocess.PIPE,  # its end of file is the end of this process
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        assert self.process.stdout is not None
        too_late = threading.Timer(START_SECONDS, self.process.kill)
        too_late.start()
        line = self.process.stdout.readline()
        too_late.cancel()
        assert line.startswith("READY "), self.log.read_text(encoding="utf-8")[-3000:]
        self.url = line.split()[1]

    def stop(self) -> None:
        """End the process at once, as a power cut would; its database stays."""
        assert self.process is not None
        self.process.kill()
        self.process.communicate()

    def remove(self) -> None:
        """Stop, and remove what is left."""
        self.stop()
        shutil.rmtree(self.directory)


class RealHeat(Service):
    """A Heat that takes the project from the URL, or one that asks a Keystone.

    Args:
        options: options of the launcher.
    """

    def __init__(self, *options: str) -> None:
        super().__init__(environment("heat"), "launcher.py", *options)

    @property
    def endpoint(self) -> str:
        """What ``HeatOrchestrator.from_endpoint`` takes."""
        return f"{self.url}/v1/%(tenant_id)s"

    def served(self) -> int:
        """How many requests came so far, redirected ones and those that asked this included."""
        return int(requests.get(f"{self.url}/served", timeout=START_SECONDS).text)

    def restart(self) -> None:
        """Start again, at the same port, with the same database."""
        self.start("--port", self.url.rsplit(":", 1)[1])


class RealKeystone(Service):
    """A Keystone, and the few requests that fill it."""

    def __init__(self) -> None:
        self.password = secrets.token_hex(8)
        super().__init__(
            environment("keystone"),
            "keystone_launcher.py",
            *("--password", self.password),
        )

    @property
    def auth_url(self) -> str:
        """Keystone's URL, as ``OS_AUTH_URL`` has it."""
        return f"{self.url}/v3"

    def make(self, kind: str, **body: Any) -> str:
        """Make something, such as a ``project``, and give its id."""
        answer = self.call("POST", f"{kind}s", {kind: body})
        return str(answer.json()[kind]["id"])

    def grant(self, user: str, project_id: str, role: str) -> None:
        """Give a user a role in a project."""
        roles = self.call("GET", f"roles?name={role}").json()["roles"]
        self.call("PUT", f"projects/{project_id}/users/{user}/roles/{roles[0]['id']}")

    @contextlib.contextmanager
    def short_lived_tokens(self, seconds: int) -> Iterator[None]:
        """Give tokens that live so long, for as long as the block lasts."""
        self.call("PUT", f"../lifetime/{seconds}")
        try:
            yield
        finally:
            self.call("PUT", "../lifetime/3600")

    def call(self, method: str, path: str, body: Any = None) -> requests.Response:
        """Ask as the administrator."""
        answer = requests.request(
            method,
            f"{self.auth_url}/{path}",
            json=body,
            headers={"X-Auth-Token": self.administrator_token()},
            timeout=START_SECONDS,
        )
        answer.raise_for_status()
        return answer

    def administrator_token(self) -> str:
        """A new token of the administrator, in project ``admin``."""
        domain = {"id": "default"}
        user = {"name": "admin", "domain": domain, "password": self.password}
        auth = {
            "identity": {"methods": ["password"], "password": {"user": user}},
            "scope": {"project": {"name": "admin", "domain": domain}},
        }
        url = f"{self.auth_url}/auth/tokens"
        answer = requests.post(url, json={"auth": auth}, timeout=START_SECONDS)
        answer.raise_for_status()
        return answer.headers["X-Subject-Token"]


@attrs.frozen
class KeystoneCloud:
    """A Keystone, a Heat that asks it, and who may do what.

    Attributes:
        keystone: the one.
        heat: the other; a project may have 3 stacks.
        projects: two projects' ids.
        operator: a user with role ``admin`` in both projects.
        member: a user with role ``member`` in the first one only.
        password: of both users.
    """

    keystone: RealKeystone
    heat: RealHeat
    projects: tuple[str, str]
    operator: str
    member: str
    password: str


def fill(keystone: RealKeystone) -> tuple[str, str]:
    """Make Heat's own user, two projects and two users.

    Returns:
        The projects' ids.
    """
    service = keystone.make("project", name="service", domain_id="default")
    heat = keystone.make("user", name="heat", domain_id="default", password="heat-service")
    keystone.grant(heat, service, "admin")
    keystone.grant(heat, service, "service")
    one, two = (keystone.make("project", name=n, domain_id="default") for n in ("one", "two"))
    operator = keystone.make("user", name="operator", domain_id="default", password="pass-word-1")
    member = keystone.make("user", name="member", domain_id="default", password="pass-word-1")
    keystone.grant(operator, one, "admin")
    keystone.grant(operator, two, "admin")
    keystone.grant(member, one, "member")
    return one, two


def register(keystone: RealKeystone, heat: RealHeat) -> None:
    """Put Heat into Keystone's catalogue."""
    service = keystone.make("service", type="orchestration", name="heat")
    url = heat.endpoint.replace("%(tenant_id)s", "$(project_id)s")
    keystone.make(
        "endpoint", service_id=service, interface="public", region_id="RegionOne", url=url
    )


@pytest.fixture(scope="session")
def real_heat() -> Iterator[RealHeat]:
    """A real Heat that takes the project from the URL and the token ``secret-token``.

    A stack without ``timeout_mins`` has four seconds.
    """
    with or_skip():
        heat = RealHeat(*("--token", "secret-token", "--option", "DEFAULT__stack_action_timeout=4"))
    heat.start()
    yield heat
    heat.remove()


@pytest.fixture(scope="session")
def keystone_cloud() -> Iterator[KeystoneCloud]:
    """A real Keystone, and a Heat that asks it."""
    with or_skip():
        environment("heat")
        keystone = RealKeystone()
        keystone.start()
        heat = RealHeat(
            *("--keystone", f"{keystone.url}/v3"),
            *("--option", "DEFAULT__max_stacks_per_tenant=3"),
        )
    projects = fill(keystone)
    heat.start()
    register(keystone, heat)
    yield KeystoneCloud(keystone, heat, projects, "operator", "member", "pass-word-1")
    heat.remove()
    keystone.remove()


@pytest.fixture
def project() -> str:
    """A project that no other test has, so that stacks' names never clash."""
    return f"project-{secrets.token_hex(4)}"
