"""Everything real: etcd, Heat and Keystone, with managers and workers in processes of their own."""

from __future__ import annotations

import collections
import contextlib
import json
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import attrs
import pytest
import requests

from gohan_jobs.demo.scenario import Submission, read_scenario, templates
from gohan_jobs.keys import Keys
from gohan_jobs.lifecycle import Completed, Lifecycle
from gohan_jobs.orchestrators.base import Stack
from gohan_jobs.orchestrators.heat import CloudConfig, HeatOrchestrator, read_cloud
from gohan_jobs.records import ConfigRecord, ResourceRef
from gohan_jobs.schemas import Schemas
from gohan_jobs.stores.base import Delete, Event, EventKind, Put, Transaction
from gohan_jobs.stores.etcd import EtcdStore
from gohan_jobs.testing.etcd import EtcdCluster
from members import Members
from real_services import KeystoneCloud, RealHeat
from recorded_runs import corpus_file, rows

pytestmark = [pytest.mark.etcd, pytest.mark.heat, pytest.mark.slow]

TOKEN = "secret-token"
PATIENCE = 90.0
KEYS = Keys()
SEEDS = Path(str(files("gohan_jobs.demo").joinpath("data", "schemas.json")))


@attrs.frozen
class Site:
    """An etcd and a Heat, processes that work on them, and a view from outside.

    Attributes:
        store: a connection of the test's own.
        heat: likewise.
        outside: submits and waits; does no work.
        members: the processes.
        tenant: the project.
        url: Heat's.
    """

    store: EtcdStore
    heat: HeatOrchestrator
    outside: Lifecycle
    members: Members
    tenant: str
    url: str

    def submit(self, *submissions: Submission) -> None:
        """Write configs, for this site's tenant."""
        for each in submissions:
            body = {**each.config.body}
            if "tenant_id" in body:
                body["tenant_id"] = self.tenant
            self.outside.submit(attrs.evolve(each.config, body=body), each.ref)

    def wait(self, ref: ResourceRef, version: int) -> tuple[str, int, str]:
        """How a version ended: worker state, version, error."""
        result = self.outside.wait(ref, version, PATIENCE)
        assert isinstance(result, Completed), (result, self.members.logs())
        return str(result.state.worker_state), result.state.version, result.state.error

    def every_stack(self) -> dict[str, list[str]]:
        """The statuses of all stacks that there are or were, by their names."""
        found: dict[str, list[str]] = {}
        for stack in self.heat._client(self.tenant).listed(show_deleted=True):
            found.setdefault(stack.name, []).append(str(stack.status))
        return found

    def operations(self, name: str) -> collections.Counter[str]:
        """How often which operation was begun on a stack, a deleted one too."""
        (stack,) = self.heat._client(self.tenant).listed(name=name, show_deleted=True)
        url = f"{self.url}/v1/{self.tenant}/stacks/{name}/{stack.id}/events"
        answer = requests.get(url, headers={"X-Auth-Token": TOKEN}, timeout=PATIENCE).json()
        return collections.Counter(
            event["resource_status"].removesuffix("_IN_PROGRESS")
            for event in answer["events"]
            if event["resource_name"] == name and event["resource_status"].endswith("_IN_PROGRESS")
        )


@pytest.fixture
def etcd() -> Iterator[EtcdCluster]:
    """An etcd of the test's own."""
    with EtcdCluster() as cluster:
        yield cluster


@pytest.fixture
def site(
    etcd: EtcdCluster, real_heat: RealHeat, project: str, tmp_path: Path
) -> Iterator[Callable[[Path], Site]]:
    """Makes a site of the test's own, given the file with the types."""
    open_ones: list[Callable[[], object]] = []

    def make(schemas: Path) -> Site:
        heat = HeatOrchestrator.from_endpoint(real_heat.endpoint, TOKEN)
        options = ("--heat", real_heat.endpoint, "--heat-token", TOKEN)
        members = Members(etcd.endpoints, schemas, options, tmp_path, os.environ)
        store = EtcdStore(etcd.endpoints)
        open_ones.extend([heat.close, store.close, lambda: members.__exit__(None, None, None)])
        outside = Lifecycle(store, heat, Schemas.from_file(schemas), roles=(), hooks=())
        return Site(store, heat, outside, members, project, real_heat.url)

    yield make
    for close in reversed(open_ones):
        close()


# The seeds.


def test_the_seeds(site: Callable[[Path], Site]) -> None:
    """Both seeds, one after the other: every resource ends as recorded, with one stack each."""
    here = site(SEEDS)
    here.members.start("manager")
    for _ in range(2):
        here.members.start("worker")
    ends = {}
    here.submit(*templates())
    for name in ("create", "update"):
        scenario = read_scenario(name)
        given = (*scenario.related, scenario.shown)
        here.submit(*given)
        for each in given:
            ends[str(each.ref), each.config.version] = here.wait(each.ref, each.config.version)
        shown, version = scenario.shown.ref, scenario.shown.config.version
        assert here.outside.report(shown, version, scenario.field, scenario.status)
    created = read_scenario("create").shown
    updated = read_scenario("update").shown
    assert {
        **{(str(each.ref), 1): ("CREATE_COMPLETED", 1, "") for each in stacked("create")},
        **{
            (str(each.ref), each.config.version): ("MODIFY_COMPLETED", each.config.version, "")
            for each in stacked("update")
        },
    } == ends
    assert created.ref == updated.ref
    names = {f"{each.ref.resource_type}_{each.ref.resource_id}" for each in stacked("create")}
    assert {name: ["UPDATE_COMPLETE"] for name in names} == here.every_stack()
    key = KEYS.monitoring_of(here.outside.path_of(updated.ref))
    entry = here.store.get(key)
    assert entry is not None
    assert updated.config.version == json.loads(entry.value)["version"]


def stacked(name: str) -> tuple[Submission, ...]:
    """A seed's resources."""
    scenario = read_scenario(name)
    return (*scenario.related, scenario.shown)


# The recorded load balancer run.


@attrs.define
class History:
    """What was written, so far, of results and stack records.

    Attributes:
        states: worker state and version of each state's writes, by key.
        stacks: number of writes of each stack record, by key.
    """

    states: dict[str, list[tuple[str, int, str]]] = attrs.field(factory=dict)
    stacks: collections.Counter[str] = attrs.field(factory=collections.Counter)

    def take(self, events: Sequence[Event]) -> None:
        """Note some changes."""
        for event in events:
            if event.kind is not EventKind.PUT or event.entry is None:
                continue
            if event.key.startswith(KEYS.heat_stack_prefix):
                self.stacks[event.key] += 1
            elif event.key.startswith(KEYS.state):
                row = outcome_of(json.loads(event.entry.value))
                self.states.setdefault(event.key, []).append(row)


def outcome_of(state: Mapping[str, Any]) -> tuple[str, int, str]:
    """Worker state, version and error of a state document."""
    return str(state["state"]["worker_state"]), int(state["version"]), str(state["error"])


def test_the_recorded_load_balancer(site: Callable[[Path], Site]) -> None:
    """The whole recorded run, with its own templates: every result as recorded, one stack each."""
    trace, expected = rows("load_balancer.trace.jsonl"), rows("load_balancer.expected.jsonl")
    here = site(corpus_file("schemas.json"))
    here.members.start("manager")
    for _ in range(2):
        here.members.start("worker")
    history = History()
    with contextlib.closing(here.store.watch("/", 1)) as watch:
        wanted: collections.Counter[str] = collections.Counter()
        for row in trace:
            if row["event"] == "config":
                write(here, row["key"], row["value"])
                continue
            wanted[row["key"]] += 1
            while history.stacks[row["key"]] < wanted[row["key"]]:
                batch = watch.poll(PATIENCE)
                assert batch is not None, (row["key"], here.members.logs())
                history.take(batch.events)
        recorded: dict[str, list[tuple[str, int, str]]] = {}
        for row in expected:
            if row["kind"] == "state":
                recorded.setdefault(row["key"], []).append(outcome_of(row["value"]))
        while sum(map(len, history.states.values())) < sum(map(len, recorded.values())):
            batch = watch.poll(PATIENCE)
            assert batch is not None, here.members.logs()
            history.take(batch.events)
    assert recorded == history.states
    last = {row["key"]: row["value"] for row in expected if row["kind"] == "heat_stack"}
    statuses = {
        record["id"].replace(":", "_", 1): [record["stack_status"]] for record in last.values()
    }
    assert statuses == here.every_stack()


def write(here: Site, key: str, value: Mapping[str, Any] | None) -> None:
    """Write a recorded config as Gohan would, for this site's tenant."""
    if value is None:
        path = KEYS.path_in(KEYS.config, key)
        assert path is not None
        change = Transaction((), (Delete(key), Delete(KEYS.state_of(path))))
    else:
        body = dict(value["body"])
        if "tenant_id" in body:
            body["tenant_id"] = here.tenant
        text = json.dumps({**value, "body": body})
        change = Transaction((), (Put(key, text.encode()),))
    here.store.transact(change)


# Killed workers.

SLOW_SCHEMAS = {
    "schemas": [
        {
            "id": "thing",
            "plural": "things",
            "prefix": "/v2.0/things",
            "schema": {"type": "object", "properties": {"id": {"type": "string"}}},
            "metadata": {
                "state_versioning": True,
                "two_step_deletion": True,
                "template_path": "Cthing",
            },
        }
    ]
}
THING = ResourceRef("thing", "t1")
STACK = "thing_t1"


def slow_template(seconds: Mapping[str, int]) -> Submission:
    """A heat_template of one resource that takes so long for each operation."""
    resource = {
        "type": "Test::FreeForm",
        "properties": {"size": {"get_param": "size"}},
        "metadata": {"seconds": dict(seconds)},
    }
    hot = {
        "heat_template_version": "2013-05-23",
        "parameters": {"size": {"type": "number"}},
        "resources": {"thing": resource},
        "outputs": {"size": {"value": {"get_param": "size"}}},
    }
    body = {
        "id": "thing",
        "handler": "heat_worker",
        "watch": [],
        "template_file": json.dumps(hot),
        "parameter_mappings": {"size": "Psize", "heat_timeout": "C1"},
    }
    ref = ResourceRef("heat_template", "thing")
    return Submission(ref=ref, config=ConfigRecord(body=body, version=1))


def thing(version: int, *, marked: bool = False) -> Submission:
    """A version of the one thing; its size is its version."""
    body = {"id": THING.resource_id, "tenant_id": "", "size": version}
    config = ConfigRecord(body=body, version=version, marked_for_deletion=marked)
    return Submission(ref=THING, config=config)


@pytest.fixture
def things(tmp_path: Path) -> Path:
    """A file with the one type."""
    path = tmp_path / "schemas.json"
    path.write_text(json.dumps(SLOW_SCHEMAS), encoding="utf-8")
    return path


def begun(here: Site, status: str) -> Stack:
    """The thing's stack, once an operation is under way."""
    pause = threading.Event()
    for _ in range(int(PATIENCE / 0.05)):
        stack = here.heat.find(here.tenant, STACK)
        if stack is not None and stack.status == status:
            return stack
        pause.wait(0.05)
    raise AssertionError(f"not {status}: {here.members.logs()}")


@pytest.mark.parametrize("action", ["CREATE", "UPDATE", "DELETE"])
def test_a_worker_is_killed(site: Callable[[Path], Site], things: Path, action: str) -> None:
    """A worker dies while Heat works for it: the next one takes over what there is.

    There is one stack, and the operation was begun once: the tag says whose it is (rules 13).
    """
    here = site(things)
    here.members.start("manager")
    here.submit(slow_template({action: 5}))
    first = here.members.start("worker")
    version = {"CREATE": 1, "UPDATE": 2, "DELETE": 2}[action]
    if version == 2:
        here.submit(thing(1))
        assert ("CREATE_COMPLETED", 1, "") == here.wait(THING, 1)
    here.submit(thing(version, marked=action == "DELETE"))
    stack = begun(here, f"{action}_IN_PROGRESS")
    first.kill()
    here.members.start("worker")
    ends = {
        "CREATE": "CREATE_COMPLETED",
        "UPDATE": "MODIFY_COMPLETED",
        "DELETE": "DELETE_COMPLETED",
    }
    assert (ends[action], version, "") == here.wait(THING, version)
    assert {STACK: [f"{action}_COMPLETE"]} == here.every_stack()
    assert 1 == here.operations(STACK)[action]
    now = here.heat.observe([stack])[stack.id]
    assert (action == "DELETE") == (now is None)
    if now is not None:
        assert [version] == [output.output_value for output in here.heat.outputs(now)]


# Two tenants.


@pytest.fixture
def cloud(
    keystone_cloud: KeystoneCloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> CloudConfig:
    """The operator's cloud, which ``OS_CLOUD`` names."""
    auth = {
        "auth_url": keystone_cloud.keystone.auth_url,
        "username": keystone_cloud.operator,
        "password": keystone_cloud.password,
        "user_domain_id": "default",
    }
    path = tmp_path / "clouds.yaml"
    path.write_text(json.dumps({"clouds": {"test": {"auth": auth}}}), encoding="utf-8")
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(path))
    return read_cloud("test")


def test_each_tenants_stack_in_its_project(
    etcd: EtcdCluster,
    keystone_cloud: KeystoneCloud,
    cloud: CloudConfig,
    things: Path,
    tmp_path: Path,
) -> None:
    """One process for two tenants of a Keystone: each stack is made, and removed, in its own."""
    heat = HeatOrchestrator.from_config(cloud)
    refs = [ResourceRef("thing", f"of-{number}") for number in (1, 2)]
    with (
        EtcdStore(etcd.endpoints) as store,
        Members(etcd.endpoints, things, ("--os-cloud", "test"), tmp_path, os.environ) as members,
    ):
        outside = Lifecycle(store, heat, Schemas.from_file(things), roles=(), hooks=())
        template = slow_template({})
        outside.submit(template.config, template.ref)
        members.start("manager", "worker")
        for ref, tenant in zip(refs, keystone_cloud.projects, strict=True):
            body = {"id": ref.resource_id, "tenant_id": tenant, "size": 1}
            outside.submit(ConfigRecord(body=body, version=1), ref)
        made = [outside.wait(ref, 1, PATIENCE) for ref in refs]
        assert [True, True] == [isinstance(end, Completed) for end in made], members.logs()
        assert [["of-1"], ["of-2"]] == [owned(heat, tenant) for tenant in keystone_cloud.projects]
        for ref in refs:
            outside.delete(ref)
        gone = [outside.wait(ref, 2, PATIENCE) for ref in refs]
        assert [True, True] == [isinstance(end, Completed) for end in gone], members.logs()
        assert [[], []] == [owned(heat, tenant) for tenant in keystone_cloud.projects]
    heat.close()


def owned(heat: HeatOrchestrator, tenant: str) -> list[str]:
    """The things that have a stack in a project."""
    names = (f"of-{number}" for number in (1, 2))
    return [name for name in names if heat.find(tenant, f"thing_{name}") is not None]
