"""``gohan-jobs run`` and ``heat-simulator``: options, errors, and whole processes."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import click
import pytest
import requests
from click.testing import CliRunner, Result

from gohan_jobs.cli.configuration import address, words
from gohan_jobs.cli.connections import HeatOptions, read_schemas
from gohan_jobs.cli.main import main
from gohan_jobs.cli.probes import Answer, Probes
from gohan_jobs.cli.signals import ending_signals
from gohan_jobs.clock import SystemClock
from gohan_jobs.demo.scenario import read_scenario, schemas, templates
from gohan_jobs.exceptions import InvalidSchema, StoreUnavailable
from gohan_jobs.lifecycle import Completed, Lifecycle
from gohan_jobs.manager import ManagerOptions
from gohan_jobs.orchestrators.base import Orchestrator
from gohan_jobs.orchestrators.heat import HeatOrchestrator
from gohan_jobs.orchestrators.simulated import SimulatedHeat
from gohan_jobs.orchestrators.simulated.server import HeatSimulatorServer, serve
from gohan_jobs.schemas import Schemas
from gohan_jobs.stores.base import Store
from gohan_jobs.stores.etcd import EtcdStore
from gohan_jobs.stores.memory import MemoryStore
from gohan_jobs.testing.etcd import EtcdCluster
from gohan_jobs.worker import WorkerOptions

SCHEMAS = str(files("gohan_jobs.demo").joinpath("data", "schemas.json"))
PATIENCE = 30.0


@contextlib.contextmanager
def process(*arguments: str, until: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A ``gohan-jobs`` process, once it has printed a line like ``until``, and that line."""
    started = subprocess.Popen(
        [sys.executable, "-m", "gohan_jobs", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    too_late = threading.Timer(PATIENCE, started.kill)
    too_late.start()
    try:
        assert started.stdout is not None
        said = ""
        for line in started.stdout:
            said += line
            if re.search(until, line):
                yield started, line
                break
        else:
            raise AssertionError(f"ended after: {said}")
    finally:
        too_late.cancel()
        started.kill()
        started.communicate()


def end(started: subprocess.Popen[str], how: signal.Signals = signal.SIGTERM) -> tuple[int, str]:
    """Tell a process to end; its exit status, and what it still said."""
    started.send_signal(how)
    said, _ = started.communicate(timeout=PATIENCE)
    return started.returncode, said


def fetch(url: str) -> str:
    """What a URL answers."""
    return requests.get(url, timeout=PATIENCE).text


# Whole processes.


def create_interface(etcd: EtcdCluster) -> object:
    """Submit the demonstration's first scenario; how it ended."""
    with EtcdStore(etcd.endpoints) as store:
        outside = Lifecycle(store, SimulatedHeat(SystemClock()), schemas(), roles=(), hooks=())
        scenario = read_scenario("create")
        for each in (*templates(), *scenario.related, scenario.shown):
            outside.submit(each.config, each.ref)
        return outside.wait(scenario.shown.ref, 1, PATIENCE)


@pytest.mark.etcd
def test_run_with_a_simulated_heat() -> None:
    """One process does everything, answers probes, and ends in order when it is told to."""
    options = ("--schemas", SCHEMAS, "--heat", "simulated", "--http", "127.0.0.1:0")
    with EtcdCluster() as etcd:
        arguments = ("run", "--etcd", etcd.endpoints[0], *options)
        with process(*arguments, until="^serving") as (started, line):
            url = line.split()[1]
            assert isinstance(create_interface(etcd), Completed)
            assert fetch(f"{url}/healthz") == "ok\n"
            assert '"leads": true' in fetch(f"{url}/readyz")
            finished = 'gohan_jobs_job_seconds_count{handler="heat_worker",result="finished"} 3.0'
            created = 'gohan_jobs_orchestrator_seconds_count{operation="create",result="ok"} 3.0'
            metrics = fetch(f"{url}/metrics").splitlines()
            assert {finished, created, 'gohan_jobs_queue_jobs{place="working"} 0.0'} <= {*metrics}
            status, said = end(started)
        with EtcdStore(etcd.endpoints) as store:
            assert store.get("/job_manager_id") is None
    assert (0, True) == (status, "SIGTERM: stopping\n" in said)


@pytest.mark.etcd
@pytest.mark.usefixtures("interruptible")
def test_run_in_two_processes_with_a_served_heat() -> None:
    """A manager and a worker are processes of their own; the worker speaks to Heat's API."""
    with (
        EtcdCluster() as etcd,
        serve(token="heat-token", operation_seconds=0.0) as heat,
        process(
            *("run", "--etcd", etcd.endpoints[0], "--schemas", SCHEMAS, "--roles", "manager"),
            until="^manager on",
        ) as (manager, _),
        process(
            *("run", "--etcd", etcd.endpoints[0], "--schemas", SCHEMAS, "--roles", "worker"),
            *("--heat", heat.endpoint("%(tenant_id)s"), "--heat-token", "heat-token"),
            until="^worker on",
        ) as (worker, _),
    ):
        assert isinstance(create_interface(etcd), Completed)
        assert ["create"] * 3 == [call.op for call in heat.heat.changes]
        assert (0, 0) == (end(worker, signal.SIGINT)[0], end(manager)[0])


def test_heat_simulator_is_a_process() -> None:
    """It prints its endpoint first, answers only its token, and ends on SIGTERM."""
    arguments = ("heat-simulator", "--port", "0", "--token", "t0", "--operation-seconds", "0")
    with process(*arguments, until="^http") as (started, line):
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/v1/%\(tenant_id\)s\n", line)
        heat = HeatOrchestrator.from_endpoint(line.strip(), "t0")
        assert heat.find("tenant", "nothing") is None
        heat.close()
        assert (0, "") == end(started)


def test_heat_simulator_in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """It serves what was asked for until it is told to end."""
    answers = []

    @contextlib.contextmanager
    def asking() -> Iterator[Callable[[], None]]:
        yield lambda: answers.append(requests.get(f"{served[0].url}/healthcheck", timeout=PATIENCE))

    def serving(**options: Any) -> HeatSimulatorServer:
        assert (options["host"], options["port"]) == ("127.0.0.1", 0)
        served.append(serve(**options))
        return served[-1]

    served: list[HeatSimulatorServer] = []
    monkeypatch.setattr("gohan_jobs.cli.heat_simulator.ending_signals", asking)
    monkeypatch.setattr("gohan_jobs.cli.heat_simulator.serve", serving)
    result = CliRunner().invoke(main, ["heat-simulator", "--port", "0"])
    assert (0, f"{served[0].url}/v1/%(tenant_id)s\n") == (result.exit_code, result.output)
    assert [answer.status_code for answer in answers] == [200]


def test_a_second_signal_ends_at_once() -> None:
    """Once the first signal has been received, signals do again what they always did."""
    program = (
        "import os, signal\n"
        "from gohan_jobs.cli.signals import ending_signals\n"
        "with ending_signals() as wait:\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "    print(wait().name, flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
        "    print('not reached')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert (-signal.SIGTERM, "SIGINT\n") == (done.returncode, done.stdout)


def test_signals_are_as_before_afterwards() -> None:
    """Nothing stays blocked."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    with ending_signals() as wait:
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, ())
        assert {signal.SIGTERM, signal.SIGINT} <= blocked
        signal.pthread_kill(threading.get_ident(), signal.SIGTERM)
        assert wait() is signal.SIGTERM
    assert before == signal.pthread_sigmask(signal.SIG_BLOCK, ())


# In this process.


class Recorder:
    """Stands for etcd, and notes what it was connected with."""

    def __init__(self) -> None:
        self.given: dict[str, Any] = {}
        self.stores: list[MemoryStore] = []

    def __call__(self, endpoints: Sequence[str], **options: Any) -> MemoryStore:
        """Connect."""
        self.given = {"endpoints": endpoints, **options}
        self.stores.append(MemoryStore())
        return self.stores[-1]


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    """Runs without an etcd, and until it would wait for a signal."""

    @contextlib.contextmanager
    def at_once() -> Iterator[Callable[[], signal.Signals]]:
        yield lambda: signal.SIGTERM

    made = Recorder()
    monkeypatch.setattr("gohan_jobs.cli.run.ending_signals", at_once)
    monkeypatch.setattr("gohan_jobs.stores.etcd.EtcdStore", made)
    monkeypatch.setattr("logging.basicConfig", lambda **_: None)
    for name in [name for name in os.environ if name.startswith(("OS_", "GOHAN_JOBS_"))]:
        monkeypatch.delenv(name)
    return made


def run(*arguments: str) -> Result:
    """Call ``gohan-jobs run`` in this process."""
    return CliRunner().invoke(main, ["run", *arguments])


ENOUGH = ("--etcd", "e1:2379", "--schemas", SCHEMAS, "--heat", "simulated")


def test_run_and_stop(recorder: Recorder) -> None:
    """It says what it does where, and closes its store in the end."""
    result = run(*ENOUGH)
    said = "manager and worker on e1:2379\nSIGTERM: stopping\n"
    assert (0, said) == (result.exit_code, result.stderr)
    assert recorder.stores[0]._closed


def test_a_file_that_is_not_there() -> None:
    """Which one it is, in words."""
    result = run("--etcd", "e1:2379", "--schemas", "nowhere.json", "--heat", "simulated")
    expected = "Error: nowhere.json: No such file or directory\n"
    assert (1, expected) == (result.exit_code, result.stderr)


def test_etcd_is_named_if_it_does_not_answer(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before anything is started, and in the words of the commands that look."""

    def away(_: Lifecycle) -> None:
        raise StoreUnavailable("connection refused")

    monkeypatch.setattr(Lifecycle, "check", away)
    result = run(*ENOUGH)
    expected = "Error: etcd does not answer: connection refused\n"
    assert (1, expected) == (result.exit_code, result.stderr)
    assert recorder.stores[0]._closed


def test_options_reach_their_parts(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Leases, slots and time-outs are those asked for."""
    seen: dict[str, Any] = {}

    class Spy(Lifecycle):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            seen.update(options)
            super().__init__(*arguments, **options)

    monkeypatch.setattr("gohan_jobs.cli.run.Lifecycle", Spy)
    config = tmp_path / "run.toml"
    config.write_text('worker-lease = 30\nroles = ["worker"]\nslots = 2\n', encoding="utf-8")
    monkeypatch.setenv("GOHAN_JOBS_SLOTS", "3")
    options = ("--config", str(config), "--worker-lease", "25", "--heat-timeout", "7")
    assert run(*ENOUGH, *options).exit_code == 0
    assert WorkerOptions(slots=3, lease_ttl=25.0) == seen["worker"]
    assert (("worker",), 7.0, 65.0) == (
        seen["roles"],
        seen["manager"].claim_pause,
        seen["manager"].leader_ttl,
    )


def test_manager_options_reach_the_manager(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the manager decides by is what was asked for; the rest keeps its defaults."""
    seen: dict[str, Any] = {}

    class Spy(Lifecycle):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            seen.update(options)
            super().__init__(*arguments, **options)

    monkeypatch.setattr("gohan_jobs.cli.run.Lifecycle", Spy)
    holds = ("--hold-time", "5", "--on-dependency-failure", "hold", "--dependency-hold-time", "9")
    assert run(*ENOUGH, *holds, "--orphans", "delete", "--quota-bytes", "77").exit_code == 0
    expected = ManagerOptions(
        hold_time=5.0,
        on_dependency_failure="hold",
        dependency_hold_time=9.0,
        orphans="delete",
        quota_bytes=77,
        claim_pause=20.0,
    )
    assert expected == seen["manager"]


def test_a_process_has_a_name(recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is the host's and the process's unless told; one that can't stand in a key is refused."""
    names: list[str] = []

    class Spy(Lifecycle):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            names.append(options["name"])
            super().__init__(*arguments, **options)

    monkeypatch.setattr("gohan_jobs.cli.run.Lifecycle", Spy)
    monkeypatch.setattr("socket.gethostname", lambda: "net 1.example")
    assert (0, 0) == (run(*ENOUGH).exit_code, run(*ENOUGH, "--name", "blue").exit_code)
    assert [f"net-1.example-{os.getpid()}", "blue"] == names
    refused = run(*ENOUGH, "--name", "a/b")
    assert (2, True) == (refused.exit_code, "'a/b' is no name" in refused.stderr)


def test_a_lease_that_no_call_fits_in(recorder: Recorder) -> None:
    """It is a usage error, in one line."""
    refused = run(*ENOUGH, "--heat-timeout", "30", "--worker-lease", "20")
    assert (2, True) == (refused.exit_code, "never outlasts a request" in refused.stderr)


def test_connection_options(recorder: Recorder, tmp_path: Path) -> None:
    """What etcd is connected with comes from the options, the password from a file."""
    secret, pem = tmp_path / "secret", tmp_path / "pem"
    secret.write_text("pass word\nmore\n", encoding="utf-8")
    pem.touch()
    options = ("--etcd-ca", pem, "--etcd-cert", pem, "--etcd-key", pem)
    names = ("--etcd-user", "u", "--etcd-password-file", secret, "--etcd-server-name", "etcd")
    run(*ENOUGH, "--etcd", "e1:1, e2:2", *map(str, (*options, *names)))
    assert recorder.given["password"]() == "pass word"
    times = ("--etcd-timeout", "1", "--etcd-patience", "2", "--etcd-silence", "3")
    run(*ENOUGH, "--etcd", "e1:1, e2:2", *map(str, (*options, *names, *times)))
    password = recorder.given.pop("password")
    secret.write_text("changed", encoding="utf-8")
    assert password() == "changed"
    assert {
        "endpoints": ("e1:1", "e2:2"),
        "ca": pem,
        "cert": pem,
        "key": pem,
        "server_name": "etcd",
        "user": "u",
        "timeout": 1.0,
        "patience": 2.0,
        "silence": 3.0,
        "watch_buffer": 10_000,
    } == recorder.given


def test_templates_beside_gohans(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Handlers that Gohan's answer does not know of get their mappings from a file."""
    seen: list[Schemas] = []

    class Spy(Lifecycle):
        def __init__(
            self, store: Store, orchestrator: Orchestrator, schemas: Schemas, **options: Any
        ) -> None:
            seen.append(schemas)
            super().__init__(store, orchestrator, schemas, **options)

    monkeypatch.setattr("gohan_jobs.cli.run.Lifecycle", Spy)
    kind = next(schema.type for schema in Schemas.from_file(SCHEMAS) if schema.templates)
    file = tmp_path / "templates.json"
    file.write_text(json.dumps({"monitoring_worker": {kind: "Cwatch"}}), encoding="utf-8")
    assert run(*ENOUGH, "--templates", str(file)).exit_code == 0
    schema = seen[0].by_type(kind)
    assert schema is not None
    assert ["heat_worker", "monitoring_worker"] == list(schema.templates)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[]", "expected {handler: {type: mapping}} @ $"),
        ('{"monitoring_worker": 1}', "expected {handler: {type: mapping}} @ $"),
        (
            '{"monitoring_worker": {"nothing": "C"}}',
            "no schema has that type @ $.monitoring_worker.nothing",
        ),
        ("{", "templates.json"),
    ],
)
def test_templates_that_can_not_be_used(
    recorder: Recorder, tmp_path: Path, text: str, problem: str
) -> None:
    """They are refused in one line that names the file."""
    file = tmp_path / "templates.json"
    file.write_text(text, encoding="utf-8")
    refused = run(*ENOUGH, "--templates", str(file))
    assert (1, True, True) == (
        refused.exit_code,
        "templates.json" in refused.stderr,
        problem in refused.stderr,
    )


def test_everything_from_a_file(recorder: Recorder, tmp_path: Path) -> None:
    """A TOML file alone is enough, secrets included."""
    config = tmp_path / "run.toml"
    text = f'etcd = ["e1:1"]\nschemas = "{SCHEMAS}"\nheat = "simulated"\n'
    config.write_text(f'{text}etcd_user = "u"\netcd_password = "p"\n', encoding="utf-8")
    assert run("--config", str(config)).exit_code == 0
    assert (("e1:1",), "p") == (recorder.given["endpoints"], recorder.given["password"])


def test_other_commands_read_the_same_file(recorder: Recorder, tmp_path: Path) -> None:
    """What only processes need is passed over; what nobody knows is named."""
    config = tmp_path / "run.toml"
    config.write_text(f'etcd = ["e1:1"]\nschemas = "{SCHEMAS}"\nslots = 3\n', encoding="utf-8")
    looked = CliRunner().invoke(main, ["status", "--config", str(config)])
    assert (0, ("e1:1",)) == (looked.exit_code, recorder.given["endpoints"])
    config.write_text("slotz = 3\n", encoding="utf-8")
    refused = CliRunner().invoke(main, ["status", "--config", str(config)])
    assert (2, True) == (refused.exit_code, "no such options: slotz" in refused.stderr)


def test_everything_from_the_environment(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So are variables."""
    monkeypatch.setenv("GOHAN_JOBS_ETCD", "e1:1,e2:2")
    monkeypatch.setenv("GOHAN_JOBS_ETCD_PASSWORD", "p")
    monkeypatch.setenv("GOHAN_JOBS_SCHEMAS", SCHEMAS)
    monkeypatch.setenv("GOHAN_JOBS_HEAT", "simulated")
    assert run().exit_code == 0
    assert (("e1:1", "e2:2"), "p") == (recorder.given["endpoints"], recorder.given["password"])


def test_an_empty_file_is_no_secret(recorder: Recorder, tmp_path: Path) -> None:
    """A file without a line gives no password."""
    empty = tmp_path / "empty"
    empty.touch()
    run(*ENOUGH, "--etcd-password-file", str(empty))
    assert recorder.given["password"] is None


WRONG: dict[str, tuple[tuple[str, ...], str]] = {
    "no etcd": (("--schemas", SCHEMAS, "--heat", "simulated"), "Missing option '--etcd'"),
    "password shown": ((*ENOUGH, "--etcd-password", "p"), "others on this machine could see it"),
    "no such role": ((*ENOUGH, "--roles", "boss"), "'boss', expected some of manager, worker"),
    "no port": ((*ENOUGH, "--http", "localhost"), "'localhost', expected HOST:PORT"),
    "no slot": ((*ENOUGH, "--slots", "0"), "0 is not in the range x>=1"),
    "no Heat": (ENOUGH[:4], "where is Heat? give --heat, --os-cloud"),
    "two logins": ((*ENOUGH[:4], "--os-cloud", "c", "--heat-token", "t"), "no heat token"),
    "bad endpoint": ((*ENOUGH[:4], "--heat", "http://h/%(nothing)s"), "only %(tenant_id)s"),
}


@pytest.mark.usefixtures("recorder")
@pytest.mark.parametrize("name", WRONG)
def test_usage_errors(name: str) -> None:
    """What is wrong with the options is said, with exit status 2."""
    arguments, message = WRONG[name]
    result = run(*arguments)
    assert (2, True) == (result.exit_code, message in " ".join(result.stderr.split()))


def test_options_that_etcd_refuses(monkeypatch: pytest.MonkeyPatch, recorder: Recorder) -> None:
    """What does not go together for etcd is a usage error."""
    monkeypatch.undo()
    result = run(*ENOUGH, "--etcd-user", "u")
    assert (2, True) == (result.exit_code, "user and password go together" in result.stderr)
    assert recorder.stores == []


@pytest.mark.usefixtures("recorder")
def test_a_secret_given_twice(tmp_path: Path) -> None:
    """A secret and its file exclude each other."""
    secret = tmp_path / "secret"
    secret.write_text("t", encoding="utf-8")
    result = run(*ENOUGH, "--heat-token", "t", "--heat-token-file", str(secret))
    assert result.exit_code == 2
    assert "heat_token and heat_token_file: give one of them" in result.stderr


@pytest.mark.usefixtures("recorder")
@pytest.mark.parametrize(
    ("text", "message"), [(b"=", "not TOML"), (b"\xff", "not TOML"), (b"hot = 1", "options: hot")]
)
def test_a_file_that_is_wrong(tmp_path: Path, text: bytes, message: str) -> None:
    """A file that is no TOML, or has an option that does not exist, is a usage error."""
    config = tmp_path / "run.toml"
    config.write_bytes(text)
    result = run("--config", str(config), *ENOUGH)
    assert (2, True) == (result.exit_code, message in " ".join(result.stderr.split()))


def test_an_etcd_that_is_not_there() -> None:
    """What is wrong with the connection is said at once, in one line."""
    impatient = ("--etcd-timeout", "0.2", "--etcd-patience", "0.2")
    result = run("--etcd", "127.0.0.1:1", *ENOUGH[2:], *impatient)
    assert (1, 1) == (result.exit_code, result.stderr.count("\n"))
    assert result.stderr.startswith("Error: ")


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[Answer]:
    """What ``/metrics`` says just before the end."""
    answers: list[Answer] = []

    class Spy(Probes):
        def close(self) -> None:
            answers.append(self.answer("/metrics"))
            super().close()

    monkeypatch.setattr("gohan_jobs.cli.probes.Probes", Spy)
    return answers


@pytest.mark.usefixtures("recorder")
def test_metrics_without_prometheus(
    monkeypatch: pytest.MonkeyPatch, measured: list[Answer]
) -> None:
    """Without the extra, everything but metrics is served."""
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    assert run(*ENOUGH, "--http", "127.0.0.1:0").exit_code == 0
    assert [501] == [answer.status for answer in measured]


@pytest.mark.usefixtures("recorder")
def test_metrics_of_a_worker(measured: list[Answer]) -> None:
    """With the extra, metrics are served; who is only a worker never leads."""
    assert run(*ENOUGH, "--http", "127.0.0.1:0", "--roles", "worker").exit_code == 0
    assert [(200, True)] == [(it.status, "gohan_jobs_leader 0.0" in it.body) for it in measured]


@pytest.mark.usefixtures("recorder")
def test_a_handler_that_no_package_offers() -> None:
    """A handler that was asked for and is not there is said at once, in one line."""
    result = run(*ENOUGH, "--handlers", "nobody_offers_this")
    assert (1, 1) == (result.exit_code, result.stderr.count("\n"))
    assert "nobody_offers_this" in result.stderr


def test_a_manager_needs_no_heat(recorder: Recorder) -> None:
    """Who only manages is not asked where Heat is."""
    result = run(*ENOUGH[:4], "--roles", "manager")
    said = "manager on e1:2379\nSIGTERM: stopping\n"
    assert (0, said) == (result.exit_code, result.stderr)
    assert len(recorder.stores) == 1


# Parts.


@pytest.mark.parametrize(
    ("text", "expected"),
    [("h:1", ("h", 1)), ("[::1]:0", ("::1", 0)), ("::1:65535", ("::1", 65535))],
)
def test_address(text: str, expected: tuple[str, int]) -> None:
    """Host and port, the host perhaps an IPv6 address."""
    assert expected == address(text)


@pytest.mark.parametrize("text", ["", "h", ":1", "h:", "h:x", "h:65536", "h:-1", "h:²"])
def test_no_address(text: str) -> None:
    """Everything else is refused."""
    with pytest.raises(click.BadParameter, match="expected HOST:PORT"):
        address(text)


def test_words() -> None:
    """Words from text and from a list; an empty one is refused."""
    assert (("a", "b"), ("a",)) == (words()("a, b"), words("a")(["a"]))
    with pytest.raises(click.BadParameter, match="''"):
        words()("a,")


def test_schemas_from_a_url(monkeypatch: pytest.MonkeyPatch) -> None:
    """A URL is asked, with the token."""
    asked: list[tuple[str, str | None]] = []

    def fetch_schemas(url: str, token: str | None, *, timeout: float) -> tuple[str, bytes]:
        del timeout
        asked.append((url, token))
        return url, Path(SCHEMAS).read_bytes()

    monkeypatch.setattr("gohan_jobs.schemas_http.fetch", fetch_schemas)
    assert len(read_schemas("https://gohan:9091", "t")) == 3
    assert asked == [("https://gohan:9091", "t")]


def test_schemas_that_are_none(tmp_path: Path) -> None:
    """A file that holds no schemas is an error of the library's."""
    file = tmp_path / "schemas"
    file.write_text("[]", encoding="utf-8")
    with pytest.raises(InvalidSchema):
        read_schemas(str(file), None)


def options(**changes: Any) -> HeatOptions:
    """Heat's options, with some of them given."""
    where: dict[str, Any] = {"heat": None, "token": None, "cloud": None, "ca": None}
    how = {"timeout": 5.0, "rate": 50.0, "tenant_rate": 20.0}
    return HeatOptions(**(where | how | changes))


def test_heat_options_hide_the_token() -> None:
    """The token is in no repr."""
    assert "s3cret" not in repr(options(token="s3cret"))


def test_heat_in_this_process() -> None:
    """``simulated`` is a Heat in this process, whose ids are random."""
    heat = options(heat="simulated").connect(SystemClock())
    assert isinstance(heat, SimulatedHeat)
    assert heat.request_timeout == 5.0


def test_heat_at_an_endpoint(tmp_path: Path) -> None:
    """An endpoint and a token; a file of certificates is passed on."""
    ca = tmp_path / "ca"
    heat = options(heat="https://h/v1/%(tenant_id)s", token="t", ca=ca).connect(SystemClock())
    assert isinstance(heat, HeatOrchestrator)
    assert heat.request_timeout == 5.0
    heat.close()


def test_heat_is_asked_no_more_often_than_said() -> None:
    """A second's worth of calls may be made at once; the next waits longer than it may."""
    heat = options(heat="http://h/%(tenant_id)s", rate=3.0, tenant_rate=2.0).connect(SystemClock())
    assert isinstance(heat, HeatOrchestrator)
    budget = heat._settings.budget
    asked = [budget.acquire(tenant, 0.0) for tenant in ("t1", "t1", "t1", "t2", "t2")]
    heat.close()
    assert [True, True, False, True, False] == asked


CLOUDS = """
clouds:
  here:
    auth: {auth_url: "http://k:5000/v3", username: u, password: p, project_name: x}
"""


def test_heat_of_a_cloud(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A cloud by name, or by variables; its endpoint may be another than the catalogue's."""
    file = tmp_path / "clouds.yaml"
    file.write_text(CLOUDS, encoding="utf-8")
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(file))
    named = options(cloud="here").connect(SystemClock())
    elsewhere = options(cloud="here", heat="http://h/%(tenant_id)s").connect(SystemClock())
    monkeypatch.setenv("OS_CLOUD", "here")
    meant = options().connect(SystemClock())
    found = [heat for heat in (named, elsewhere, meant) if isinstance(heat, HeatOrchestrator)]
    assert [None, "http://h/%(tenant_id)s", None] == [heat._settings.endpoint for heat in found]
