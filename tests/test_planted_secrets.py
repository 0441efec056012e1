"""Secrets planted in a deployment turn up in nothing that its processes and commands print.

Who adds a command adds a line to :data:`COMMAND_LINES`: what it is called with, on a deployment
that :mod:`planted` describes. Commands that give records whole are called with ``--redact``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
import requests

import planted
from gohan_jobs.cli.main import COMMANDS
from gohan_jobs.exceptions import OrchestratorRefused
from gohan_jobs.stores.etcd import EtcdStore
from planted import BROKEN, MARK, NETWORK, PORT, SLOW, Planted, planted_deployment

CommandLines = Callable[[Planted], Sequence[tuple[Sequence[str], str]]]
"""Command lines without the command's name, each with what it is given on standard input."""


def config(**more: Any) -> str:
    """A config full of secrets."""
    return json.dumps(
        {"body": {"id": "p1", "tenant_id": "t1", **planted.SECRETS}, "version": 1, **more}
    )


def stack() -> str:
    """A stack's record with a secret output."""
    output = {"output_key": "api_key", "output_value": planted.OUTPUT, "description": "d"}
    return json.dumps(
        {
            "id": "port:p1",
            "stack_id": "port_p1",
            "tenant_id": "t1",
            "stack_status": "CREATE_FAILED",
            "status_reason": f"refused: {planted.OUTPUT}",
            "output": [output],
        }
    )


def show(_: Planted) -> Sequence[tuple[Sequence[str], str]]:
    """A config in each spelling, a stack's record, and something that is none."""
    key = "/config/v2.0/ports/p1"
    spellings = ("document", "worker", "gohan")
    return [
        *((("--redact", "--spelling", spelling, key, "-"), config()) for spelling in spellings),
        (("--redact", "/esi-worker/heat_stacks/v2.0/ports/p1", "-"), stack()),
        ((key, "-"), config(version=planted.BODY)),
    ]


def check(deployment: Planted) -> Sequence[tuple[Sequence[str], str]]:
    """Good and bad records, on lines and as etcdctl prints them."""
    bad = config(version=planted.BODY, more={"password": planted.BODY})
    lines = json.dumps({"key": "/config/v2.0/ports/p1", "text": bad})
    return [
        (("-",), f"/config/v2.0/ports/p1\n{config()}\n/config/v2.0/ports/p2\n{bad}\n"),
        ((deployment.file("records.jsonl", lines),), ""),
    ]


def replay(deployment: Planted) -> Sequence[tuple[Sequence[str], str]]:
    """A template and a config, so that jobs, stacks and states are written."""
    schemas = deployment.file("schemas.json", planted.schemas_text())
    body = planted.template_body("network", planted.MAPPINGS["network"])
    rows = [
        ("/config/v2.0/heat_templates/network", {"body": body, "version": 1}),
        ("/config/v2.0/networks/n1", json.loads(config()) | {"version": 1}),
    ]
    trace = "".join(
        json.dumps({"event": "config", "at": None, "key": key, "value": value}) + "\n"
        for key, value in rows
    )
    options = ("--schemas", schemas, "--trace", "-", "--out", "-")
    return [((*options, "--redact"), trace), (options, '{"event": "PLANTED-nothing"}\n')]


def run(deployment: Planted) -> Sequence[tuple[Sequence[str], str]]:
    """What can't be started: it says why. What runs is looked at by tests of its own."""
    wrong = deployment.file("wrong", "PLANTED-wrong-password\n")
    options = list(deployment.options)
    options[options.index("--etcd-password-file") + 1] = wrong
    return [(options, ""), ((*deployment.options, "--heat-token", "PLANTED-heat-token"), "")]


def heat_simulator(_: Planted) -> Sequence[tuple[Sequence[str], str]]:
    """A port that can't be listened on."""
    return [(("--host", "256.0.0.1", "--token", "PLANTED-heat-token"), "")]


def on_resources(*more: str) -> CommandLines:
    """One of the resources after the other, for people and for programs."""

    def lines(deployment: Planted) -> Sequence[tuple[Sequence[str], str]]:
        return [
            ((ref.resource_type, ref.resource_id, *deployment.options, *more, *form), "")
            for ref in (PORT, NETWORK, SLOW, BROKEN)
            for form in ((), ("--json",))
        ]

    return lines


def on_etcd(*more: str) -> CommandLines:
    """With the options for etcd alone, for people and for programs."""
    return lambda deployment: [((*deployment.etcd, *more, *form), "") for form in ((), ("--json",))]


def plan(deployment: Planted) -> Sequence[tuple[Sequence[str], str]]:
    """A config full of secrets, one that no schema has, and one that is broken."""
    options = (*deployment.options, "--json")
    return [
        (("/config/v2.0/ports/p9", "-", *deployment.options), config()),
        (("/config/v2.0/ports/p9", "-", *options), config(network_id="n1")),
        (("/config/v2.0/networks/n1", "-", *options, "--validate"), config()),
        (("/config/v2.0/nothing/p9", "-", *deployment.options), config()),
        (("/config/v2.0/ports/p9", "-", *deployment.options), config(version=planted.BODY)),
    ]


def graph(deployment: Planted) -> Sequence[tuple[Sequence[str], str]]:
    """Every job, in each form, and one resource's."""
    forms = (("--format", "text"), ("--format", "mermaid"), ("--format", "svg"), ("--json",))
    every = [(("--all", *deployment.options, *form), "") for form in forms]
    return [*every, (("port", "p1", "--dependants", *deployment.options), "")]


def dump(deployment: Planted) -> Sequence[tuple[Sequence[str], str]]:
    """Everything, masked; and to a file, of which nothing is told but how much it is."""
    file = str(deployment.home / "whole.dump")
    return [
        (("-", "--redact", *deployment.etcd), ""),
        ((file, "--force", *deployment.etcd), ""),
        ((file, "--force", "--json", *deployment.etcd), ""),
    ]


def load(deployment: Planted) -> Sequence[tuple[Sequence[str], str]]:
    """A whole dump, where there is something already; and a file that is none."""
    file = str(deployment.home / "other.dump")
    assert deployment.call("dump", file, *deployment.etcd)[0] == 0
    broken = deployment.file("broken.dump", f"{config()}\n")
    return [((name, "--yes", *deployment.etcd), "") for name in (file, broken)]


def release(deployment: Planted) -> Sequence[tuple[Sequence[str], str]]:
    """Who has a job; then it is taken."""
    job = (deployment.running_job(), *deployment.options)
    return [(job, ""), ((*job, "--json"), ""), ((*job, "--force", "--yes"), "")]


def retry(deployment: Planted) -> Sequence[tuple[Sequence[str], str]]:
    """What has failed, what is under way, what can't be read."""
    return [
        ((ref.resource_type, ref.resource_id, "--yes", *deployment.options), "")
        for ref in (PORT, SLOW, BROKEN)
    ]


COMMAND_LINES: dict[str, CommandLines] = {
    "check": check,
    "demo": lambda _: [(("--redact",), "")],
    "doctor": lambda deployment: [((*deployment.options, *form), "") for form in ((), ("--json",))],
    "dump": dump,
    "explain": on_resources(),
    "graph": graph,
    "heat-simulator": heat_simulator,
    "history": on_resources("--patience", "0.3"),
    "jobs": on_etcd(),
    "load": load,
    "plan": plan,
    "replay": replay,
    "resume": on_etcd(),
    "run": run,
    "show": show,
    "status": on_etcd("--failures"),
    "watch": on_etcd("--from-revision", "2", "--limit", "20"),
    # These change something: they come last.
    "release": release,
    "retry": retry,
    "cancel": lambda deployment: [
        (("network", "slow", "--yes", "--reason", "no", *deployment.options), "")
    ],
}
"""What each command is called with."""

LONG_LIVED = frozenset({"heat-simulator", "run"})
"""These set up the process that they run in."""


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Planted]:
    """One deployment for all of these tests."""
    with planted_deployment(tmp_path_factory.mktemp("planted")) as made:
        yield made


def test_every_command_has_its_lines() -> None:
    """A command is looked at from the day it is there."""
    assert set(COMMANDS) == set(COMMAND_LINES), "see COMMAND_LINES"


@pytest.mark.etcd
@pytest.mark.slow
@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
def test_probes_say_no_secret(deployment: Planted, path: str) -> None:
    """What a running process answers."""
    answer = requests.get(deployment.probes + path, timeout=planted.PATIENCE)
    assert (200, True) == (answer.status_code, bool(answer.text))
    assert MARK not in answer.text


@pytest.mark.etcd
@pytest.mark.slow
def test_the_log_says_no_secret(deployment: Planted) -> None:
    """With everything at DEBUG, other packages' loggers included, the failure is told masked."""
    log = "".join(deployment.log)
    assert f"JobFailed job_id=create:heat_worker:{PORT}:1:" in log
    assert "refused: *** *** *** ***" in log
    assert f"JobFinished job_id=create:heat_worker:{NETWORK}:1:" in log
    assert MARK not in log


@pytest.mark.etcd
@pytest.mark.slow
def test_what_is_published_for_users_has_no_secret(deployment: Planted) -> None:
    """The failed port's state quotes Heat's reason, masked; our own keys hold nothing at all."""
    with deployment.store() as store:
        told = [entry.value for entry in store.entries("/gohan-jobs/").entries]
        state = store.get("/state/v2.0/ports/p1")
    assert state is not None
    assert MARK.encode() not in b"".join([*told, state.value])
    assert b"refused: ***" in state.value


@pytest.mark.etcd
@pytest.mark.slow
def test_a_wrong_password_is_not_shown(deployment: Planted) -> None:
    """Neither in the store's error, nor in its repr."""
    endpoint = deployment.options[1]
    store = EtcdStore(endpoint, user="root", password="PLANTED-wrong", patience=1.0)
    with store, pytest.raises(Exception, match="authentication") as caught:
        store.revision()
    assert MARK not in f"{caught.value!r} {caught.value} {store!r}"
    assert MARK not in repr(OrchestratorRefused("no"))


@pytest.mark.etcd
@pytest.mark.slow
def test_the_secrets_are_there(deployment: Planted) -> None:
    """The search could find something: the documented records hold what configs hold."""
    with deployment.store() as store:
        stored = b"".join(entry.value for entry in store.entries("/").entries)
    expected = {planted.BODY, planted.NESTED, planted.PARAM, planted.OUTPUT}
    assert expected == {secret for secret in expected if secret.encode() in stored}


@pytest.mark.etcd
@pytest.mark.slow
@pytest.mark.parametrize("name", COMMAND_LINES)
def test_commands_print_no_secret(deployment: Planted, name: str) -> None:
    """Neither their output nor their errors; and each of them has said something."""
    for arguments, given in COMMAND_LINES[name](deployment):
        if name in LONG_LIVED:
            _, said = deployment.start(name, *arguments)
        else:
            _, said = deployment.call(name, *arguments, given=given)
        assert said, f"{name} {' '.join(arguments)}"
        assert "Traceback" not in said, said
        assert MARK not in said, f"{name} {' '.join(arguments)}"
