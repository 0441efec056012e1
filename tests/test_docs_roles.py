"""The roles that the production checklist gives are enough for each process, and not too much."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from importlib.resources import files
from pathlib import Path

import attrs
import pytest
from click.testing import CliRunner

from gohan_jobs.cli.main import main
from gohan_jobs.clock import SystemClock
from gohan_jobs.exceptions import StoreRefused
from gohan_jobs.keys import Keys
from gohan_jobs.lifecycle import Completed, Lifecycle, Role
from gohan_jobs.operations.operating import Operator
from gohan_jobs.orchestrators.simulated import SimulatedHeat
from gohan_jobs.records import ConfigRecord, ResourceRef
from gohan_jobs.results import Result
from gohan_jobs.stores.base import Delete, Put, Transaction
from gohan_jobs.stores.etcd import EtcdStore
from gohan_jobs.testing import etcd as launcher
from gohan_jobs.testing.etcd import EtcdCluster
from gohan_jobs.testing.stores import collect
from worlds import DISK, HOT, NETWORK, PORT, SCHEMAS, TEMPLATES

pytestmark = [pytest.mark.etcd, pytest.mark.slow]

DOCS = Path(__file__).parents[1] / "docs"
SCRIPT = DOCS / "code" / "etcd_roles.sh"
USERS = ("gohan", "manager", "worker", "agent", "operator")
PATIENCE = 30.0
ANSWER = str(files("gohan_jobs.demo").joinpath("data", "schemas.json"))


@pytest.fixture(scope="module")
def etcd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EtcdCluster]:
    """An etcd with the script's users; each has their name for a password."""
    passwords = tmp_path_factory.mktemp("passwords")
    for user in USERS:
        (passwords / user).write_text(f"{user}\n", encoding="utf-8")
    with EtcdCluster() as cluster:
        cluster.enable_auth("root")
        programs = launcher._program("etcdctl").parent
        environment = {
            **os.environ,
            "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
            "ETCDCTL_API": "3",
            "ETCDCTL_ENDPOINTS": cluster.endpoints[0],
            "ETCDCTL_USER": "root:root",
        }
        done = subprocess.run(
            [str(SCRIPT), str(passwords)],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert 0 == done.returncode, done.stdout + done.stderr
        yield cluster


def store_of(etcd: EtcdCluster, user: str) -> EtcdStore:
    """A connection as one of the users."""
    return EtcdStore(etcd.endpoints, user=user, password=user, patience=2.0)


@contextlib.contextmanager
def lifecycle(
    etcd: EtcdCluster, user: str, heat: SimulatedHeat, *roles: str
) -> Iterator[Lifecycle]:
    """A lifecycle as one of the users, running if it has roles."""
    with (
        store_of(etcd, user) as store,
        Lifecycle(store, heat, SCHEMAS, roles=roles, hooks=()) as made,
    ):
        if roles:
            made.check()
            made.run()
        yield made


def config(ref: ResourceRef, version: int = 1, **more: object) -> ConfigRecord:
    """A config as Gohan writes it."""
    body = {"id": ref.resource_id, "tenant_id": "t1", "name": "blue", **more}
    return ConfigRecord(body=body, version=version)


@attrs.frozen
class Life:
    """How a few resources fared.

    Attributes:
        results: of each version that was waited for.
        reported: whether the agent's report was taken.
        troubles: of the manager and the worker.
        explained: what an operator is told in the end.
    """

    results: list[Result]
    reported: bool
    troubles: tuple[Mapping[str, str], Mapping[str, str]]
    explained: str


@pytest.fixture(scope="module", autouse=True)
def life(etcd: EtcdCluster) -> Life:
    """Creates, an output read by another, a report, an update and a delete.

    For every test, whichever comes first: some look at what is left of it.
    """
    heat = SimulatedHeat(SystemClock())
    with (
        lifecycle(etcd, "manager", heat, Role.MANAGER) as manager,
        lifecycle(etcd, "worker", heat, Role.WORKER) as worker,
        lifecycle(etcd, "gohan", heat) as gohan,
        lifecycle(etcd, "agent", heat) as agent,
        lifecycle(etcd, "operator", heat) as operator,
    ):
        for name, mappings in TEMPLATES.items():
            body = {"id": name, "handler": "heat_worker", "template_file": HOT}
            template = ConfigRecord(body=body | {"parameter_mappings": dict(mappings)}, version=1)
            gohan.submit(template, ResourceRef("heat_template", name))
        for ref in (NETWORK, PORT, DISK):
            gohan.submit(config(ref, network_id="n1"), ref)
        results = [operator.wait(ref, 1, PATIENCE) for ref in (NETWORK, PORT)]
        reported = agent.report(PORT, 1, "link", "UP")
        gohan.submit(config(PORT, 2, network_id="n1"), PORT)
        results.append(operator.wait(PORT, 2, PATIENCE))
        marked = attrs.evolve(config(PORT, 3, network_id="n1"), marked_for_deletion=True)
        gohan.submit(marked, PORT)
        results.append(operator.wait(PORT, 3, PATIENCE))
        troubles = dict(manager.troubles), dict(worker.troubles)
        return Life(results, reported, troubles, operator.explain(NETWORK).summary)


def test_a_life_with_these_roles(life: Life) -> None:
    """All of it goes through."""
    assert [Completed] * 4 == [type(result) for result in life.results]
    assert (True, ({}, {})) == (life.reported, life.troubles)
    assert life.explained.startswith("version 1 is done")


def test_an_operator_may_ask_for_a_retry(etcd: EtcdCluster) -> None:
    """A request is all that is written; the leader does the rest."""
    heat = SimulatedHeat(SystemClock())
    with lifecycle(etcd, "operator", heat) as looking:
        made = Operator(looking.store, looking.codec, looking.queue, SCHEMAS)
        asked = made.retry(NETWORK)
    assert ("retry", "/gohan-jobs/retries/v2.0/networks/n1") == (asked.request, asked.key)


def test_a_standby_may_watch_for_the_leader(etcd: EtcdCluster) -> None:
    """Watching takes a right to the prefix, not just to the key."""
    key = Keys().leader
    with store_of(etcd, "manager") as store:
        watch = store.watch(key, store.revision() + 1)
        for operation in (Put(key, b"x"), Delete(key)):
            store.transact(Transaction(success=(operation,)))
        assert [key, key] == [event.key for event in collect(watch, 2)]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("status",), "leader "),
        (("jobs",), ""),
        (("graph", "--all"), ""),
        (("doctor",), "history reaches back"),
        (("watch", "--from-revision", "1", "--limit", "1"), "put /"),
        (("explain", "load_balancer", "x"), "there is no config"),
        (("history", "load_balancer", "x"), ""),
        (("dump", "-"), '"revision"'),
        (("resume",), "no job manager has stopped"),
        (("resume", "--accept", "--beforehand", "--yes"), "accepted"),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_an_operator_may_use_the_commands(
    etcd: EtcdCluster, tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    """Every command that looks, and accepting, goes with the operator's rights."""
    password = tmp_path / "password"
    password.write_text("operator\n", encoding="utf-8")
    login = ("--etcd", *etcd.endpoints, "--etcd-user", "operator")
    given = (*arguments, *login, "--etcd-password-file", str(password))
    with_types = arguments[0] in {"doctor", "explain", "history", "graph"}
    done = CliRunner().invoke(main, [*given, *(("--schemas", ANSWER) if with_types else ())])
    assert "denied" not in done.output.lower()
    assert said in done.stdout


@pytest.mark.parametrize(
    ("user", "key"),
    [
        ("gohan", "/jobs/all/j"),
        ("gohan", "/job_manager_id"),
        ("manager", "/config/v2.0/networks/n1"),
        ("manager", "/gohan/x"),
        ("worker", "/config/v2.0/networks/n1"),
        ("worker", "/jobs/all/j"),
        ("worker", "/monitoring/v2.0/networks/n1"),
        ("worker", "/job_manager_id"),
        ("agent", "/state/v2.0/networks/n1"),
        ("agent", "/gohan-jobs/format"),
        ("operator", "/state/v2.0/networks/n1"),
        ("operator", "/jobs/ready/j"),
        ("operator", "/gohan-jobs/format"),
    ],
)
def test_nobody_may_write_what_is_not_theirs(etcd: EtcdCluster, user: str, key: str) -> None:
    """A write outside the role is refused, and nothing is written."""
    with store_of(etcd, user) as store, pytest.raises(StoreRefused, match="permission denied"):
        store.transact(Transaction(success=(Put(key, b"x"),)))


def test_the_checklist_shows_the_script() -> None:
    """The page has the script that was tried, and names each user."""
    page = (DOCS / "howto" / "production.md").read_text(encoding="utf-8")
    assert "```{literalinclude} ../code/etcd_roles.sh" in page
    assert set(USERS) <= set(re.findall(r"`(\w+)`", page))
