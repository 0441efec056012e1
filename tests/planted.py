"""A deployment full of secrets, each planted once, to look for wherever something is told.

etcd asks for a password, Keystone for another, Heat and Gohan for tokens; configs hold passwords,
which go into params, outputs and Heat's reasons. ``gohan-jobs run`` works on it, logging all it
can. Every secret holds :data:`MARK`.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import attrs
from click.testing import CliRunner

from gohan_jobs.cli.main import main
from gohan_jobs.clock import SystemClock
from gohan_jobs.lifecycle import Lifecycle
from gohan_jobs.orchestrators.simulated import Outcome, SimulatedHeat
from gohan_jobs.orchestrators.simulated.server import serve
from gohan_jobs.records import ConfigRecord, ResourceRef
from gohan_jobs.schemas import Schemas
from gohan_jobs.stores.base import Put, Transaction
from gohan_jobs.stores.etcd import EtcdStore
from gohan_jobs.testing.etcd import EtcdCluster
from scripted_heat import Answer, Request, ScriptedCloud

__all__ = [
    "BROKEN",
    "MARK",
    "NETWORK",
    "PORT",
    "SLOW",
    "Planted",
    "planted_deployment",
    "template_body",
]

MARK: Final = "PLANTED"
PATIENCE: Final = 30.0

ETCD: Final = "PLANTED-etcd-password"
KEYSTONE: Final = "PLANTED-keystone-password"
TOKEN: Final = "PLANTED-keystone-token"
GOHAN: Final = "PLANTED-gohan-token"
BODY: Final = "PLANTED-body"
NESTED: Final = "PLANTED-nested"
PARAM: Final = "PLANTED-param"
OUTPUT: Final = "PLANTED-output"

NETWORK: Final = ResourceRef("network", "n1")
PORT: Final = ResourceRef("port", "p1")
SLOW: Final = ResourceRef("network", "slow")
BROKEN: Final = ResourceRef("port", "broken")

SECRETS: Final = {"password": BODY, "bgp": {"auth_token": NESTED}}

HOT: Final = """\
heat_template_version: 2016-10-14
parameters:
  login_password: {type: string}
  api_key: {type: string, default: none}
  second: {type: string, default: none}
resources: {one: {type: "OS::Heat::Value", properties: {value: {get_param: login_password}}}}
outputs: {api_key: {value: {get_attr: [one, value]}}}
"""
MAPPINGS: Final[Mapping[str, Mapping[str, Any]]] = {
    "network": {"login_password": {"constant": OUTPUT}},
    "port": {
        "login_password": {"constant": PARAM},
        "second": {"field": "password"},
        "api_key": {"output_key": "api_key", "path": ["network_id"]},
    },
}


def schemas_text() -> str:
    """Gohan's answer: networks, and ports that refer to them."""
    relation = {"network_id": {"type": "string", "relation": "network"}}
    return json.dumps(
        {
            "schemas": [
                {
                    "id": name,
                    "prefix": f"/v2.0/{name}s",
                    "plural": f"{name}s",
                    "schema": {"properties": relation if name == "port" else {}},
                    "metadata": {
                        "template_path": f"C{name}",
                        "state_versioning": True,
                        "two_step_deletion": True,
                    },
                }
                for name in MAPPINGS
            ]
        }
    )


def template_body(name: str, mappings: Mapping[str, Any]) -> dict[str, Any]:
    """A heat_template's body."""
    body: dict[str, Any] = {"id": name, "handler": "heat_worker", "template_file": HOT}
    return body | {"parameter_mappings": dict(mappings)}


class PlantedCloud(ScriptedCloud):
    """A Keystone whose token opens a simulated Heat, and a Gohan that tells its schemas.

    Attributes:
        heat_url: where Heat is.
    """

    heat_url = ""

    def answer(self, request: Request) -> Answer:
        """Answer for whom is asked."""
        if request.path.startswith("/gohan/"):
            assert GOHAN == request.headers["X-Auth-Token"]
            return Answer(body=json.loads(schemas_text()))
        return super().answer(request)

    def login(self, request: Request) -> Answer:
        """Give the one token."""
        assert KEYSTONE == request.body["auth"]["identity"]["password"]["user"]["password"]
        return attrs.evolve(super().login(request), headers={"X-Subject-Token": TOKEN})

    def token(self, project: str) -> dict[str, Any]:
        """A token whose catalogue has the simulated Heat."""
        token = super().token(project)
        token["catalog"][0]["endpoints"][0]["url"] = f"{self.heat_url}/v1/{project}"
        return token


@attrs.frozen
class Planted:
    """The deployment.

    Attributes:
        options: those by which a command finds etcd and Gohan.
        environment: of a process that is to find Heat.
        probes: where the running process answers.
        log: what the running process has said so far.
        home: a directory for files.
    """

    options: tuple[str, ...]
    environment: Mapping[str, str]
    probes: str
    log: list[str]
    home: Path

    def call(self, *arguments: str, given: str = "") -> tuple[int, str]:
        """Run a command in this process; its exit status, and everything it printed."""
        done = CliRunner().invoke(main, arguments, input=given, env=self.environment)
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise AssertionError(f"a traceback: {arguments}") from done.exception
        return done.exit_code, done.output

    def start(self, *arguments: str) -> tuple[int, str]:
        """Run a command in a process of its own; its exit status, and everything it printed."""
        done = subprocess.run(
            [sys.executable, "-m", "gohan_jobs", *arguments],
            capture_output=True,
            text=True,
            env={**os.environ, **self.environment},
            timeout=PATIENCE,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr

    @property
    def etcd(self) -> tuple[str, ...]:
        """The options for etcd alone."""
        return self.options[: self.options.index("--schemas")]

    def store(self) -> EtcdStore:
        """A connection to the deployment's etcd."""
        return EtcdStore(self.options[1], user="root", password=ETCD)

    def running_job(self) -> str:
        """The job that goes on until it is ended."""
        with self.store() as store:
            keys = [entry.key for entry in store.entries("/jobs/all/").entries]
        (job,) = [key.rpartition("/")[2] for key in keys if ":network:slow:" in key]
        return job

    def file(self, name: str, content: str) -> str:
        """A file with some content; its name."""
        path = self.home / name
        path.write_text(content, encoding="utf-8")
        return str(path)


@contextlib.contextmanager
def planted_deployment(home: Path) -> Iterator[Planted]:
    """Everything started; a network made, a port refused, another network under way."""
    with contextlib.ExitStack() as stack:
        etcd = stack.enter_context(EtcdCluster())
        etcd.enable_auth(ETCD)
        simulator = stack.enter_context(serve(token=TOKEN, operation_seconds=0.0))
        reason = f"refused: {BODY} {NESTED} {PARAM} {OUTPUT}"
        for operation in ("create", "update", "update"):
            outcome = Outcome(fails=True, reason=reason)
            simulator.heat.script("port_p1", outcome, op=operation)
        simulator.heat.script("network_slow", Outcome(hang=True))
        cloud = PlantedCloud()
        cloud.heat_url = simulator.url
        stack.enter_context(_serving(cloud))
        options = _options(home, etcd, cloud)
        environment = _environment(home, cloud)
        log, probes = stack.enter_context(_running(options, environment))
        with EtcdStore(etcd.endpoints, user="root", password=ETCD) as store:
            _submit(store)
        yield Planted(options, environment, probes, log, home)


def _options(home: Path, etcd: EtcdCluster, cloud: ScriptedCloud) -> tuple[str, ...]:
    for name, content in (("etcd", ETCD), ("gohan", GOHAN)):
        (home / name).write_text(f"{content}\n", encoding="utf-8")
    return (
        *("--etcd", etcd.endpoints[0], "--etcd-user", "root"),
        *("--etcd-password-file", str(home / "etcd")),
        *("--schemas", cloud.url, "--schemas-token-file", str(home / "gohan")),
    )


def _environment(home: Path, cloud: ScriptedCloud) -> Mapping[str, str]:
    auth = {"auth_url": f"{cloud.url}/v3", "username": "u", "user_domain_id": "default"}
    clouds = {"clouds": {"one": {"auth": {**auth, "password": KEYSTONE}}}}
    (home / "clouds.json").write_text(json.dumps(clouds), encoding="utf-8")
    return {
        "OS_CLIENT_CONFIG_FILE": str(home / "clouds.json"),
        "OS_CLOUD": "one",
        "GRPC_VERBOSITY": "debug",
        "COLUMNS": "500",  # so that no secret is hidden by a line's end
    }


@contextlib.contextmanager
def _serving(cloud: ScriptedCloud) -> Iterator[None]:
    thread = threading.Thread(target=cloud.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield
    finally:
        cloud.ended.set()
        cloud.shutdown()
        thread.join()
        cloud.server_close()


@contextlib.contextmanager
def _running(
    options: tuple[str, ...], environment: Mapping[str, str]
) -> Iterator[tuple[list[str], str]]:
    """A process that works, what it says, and where it answers."""
    command = [sys.executable, "-m", "gohan_jobs", "run", *options]
    working = subprocess.Popen(
        [*command, "--log-level", "debug", "--http", "127.0.0.1:0", "--stop-timeout", "0.1"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, **environment},
    )
    log: list[str] = []
    serving = threading.Event()

    def read() -> None:
        assert working.stdout is not None
        for line in working.stdout:
            log.append(line)
            if line.startswith("serving "):
                serving.set()
        serving.set()

    reader = threading.Thread(target=read)
    reader.start()
    try:
        assert serving.wait(PATIENCE)
        (url,) = re.findall(r"^serving (\S+)$", "".join(log), re.MULTILINE) or [None]
        assert url is not None, "".join(log)
        yield log, url
    finally:
        working.terminate()
        working.wait(PATIENCE)
        reader.join()
        assert working.stdout is not None
        working.stdout.close()


def _submit(store: EtcdStore) -> None:
    """Write what Gohan would, and wait for the results there are."""
    heat = SimulatedHeat(SystemClock())
    schemas = Schemas.from_text(schemas_text())
    with Lifecycle(store, heat, schemas, roles=(), hooks=()) as gohan:
        for name, mappings in MAPPINGS.items():
            template = template_body(name, mappings)
            gohan.submit(ConfigRecord(body=template, version=1), ResourceRef("heat_template", name))
        for ref in (NETWORK, SLOW, PORT):
            body = {"id": ref.resource_id, "tenant_id": "t1", "network_id": "n1", **SECRETS}
            gohan.submit(ConfigRecord(body=body, version=1), ref)
        broken = f'{{"body": {{"password": "{BODY}"}}, "version": "{BODY}"}}'
        put = Put("/config/v2.0/ports/broken", broken.encode())
        store.transact(Transaction(success=(put,)))
        for ref in (NETWORK, PORT):
            gohan.wait(ref, 1, PATIENCE)
