"""The commands that act, as an operator calls them, on a store in this process."""

from __future__ import annotations

import json
import os
import signal
import stat
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from gohan_jobs.acceptance import Acceptances
from gohan_jobs.cli import acting
from gohan_jobs.cli.main import main
from gohan_jobs.cli.stored import read_stored
from gohan_jobs.clock import SystemClock
from gohan_jobs.exceptions import StoreUnavailable, UnsupportedFormat
from gohan_jobs.keys import Keys
from gohan_jobs.operations.operating import Operator
from gohan_jobs.operations.restoring import LOADING
from gohan_jobs.orchestrators.simulated import SimulatedHeat
from gohan_jobs.records import StateRecord, WorkerState
from gohan_jobs.results import Completed, Superseded
from gohan_jobs.stores.base import Put, Store, Transaction, TransactionResult, scan
from gohan_jobs.stores.memory import MemoryStore
from worlds import NETWORK, PORT, SCHEMAS, World

ANSWER = Path(str(files("gohan_jobs.demo").joinpath("data", "schemas.json")))
ETCD = ("--etcd", "127.0.0.1:1")


class Kept(MemoryStore):
    """A store that a command does not close, so that it can be looked at afterwards."""

    def close(self) -> None:
        """Stay open."""


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    """A world whose store every command gets, and its types."""
    made = World(operation_seconds=60.0)
    made.store.__class__ = Kept

    def opened(_ctx: object, _options: object) -> Store:
        return made.store

    for module in ("deployment", "doctor"):
        monkeypatch.setattr(f"gohan_jobs.cli.{module}.open_store", opened)
    monkeypatch.setattr("gohan_jobs.cli.deployment.read_schemas", lambda *_: SCHEMAS)
    return made


def call(*arguments: object, given: str | None = None, schemas: bool = True) -> Result:
    """Call ``gohan-jobs`` in this process."""
    more = (*ETCD, *(("--schemas", str(ANSWER)) if schemas else ()))
    return CliRunner().invoke(main, [*map(str, arguments), *more], input=given)


def said(result: Result) -> tuple[int, list[str]]:
    """Exit status and lines; nothing on standard error."""
    assert "" == result.stderr
    return result.exit_code, result.stdout.splitlines()


def failed(result: Result) -> tuple[int, str]:
    """Exit status and the last line of standard error; nothing on standard output."""
    assert "" == result.stdout
    return result.exit_code, result.stderr.splitlines()[-1]


def done(world: World) -> None:
    """A network that is created."""
    world.write(NETWORK, {"name": "blue"})
    world.pass_time(70)


def running(world: World) -> str:
    """A network whose create is running."""
    world.write(NETWORK, {"name": "blue"})
    world.settle()
    return str(world.job(NETWORK).id)


@pytest.fixture
def at_work(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """A world that goes on while a command waits."""

    def operator(found: Any) -> Operator:
        return Operator(
            found.store,
            found.codec,
            found.queue,
            found.schemas,
            by="ann",
            clock=world.clock,
            pause=world.pass_time,
        )

    for module in ("retry", "cancel"):
        monkeypatch.setattr(f"gohan_jobs.cli.{module}.operator", operator)
    return world


# retry


def test_retry(world: World) -> None:
    """It says what it means, and who does it."""
    done(world)
    found = json.loads(call("retry", "network", "n1", "--yes", "--json").stdout)
    assert (None, False) == (found["result"], found["requested"]["already"])
    world.pass_time(70)
    expected = [
        "network:n1: version 1 is run again",
        "it publishes another /state, which Gohan may ignore: it takes the first one of a version",
        "the leader does it now",
    ]
    assert (0, expected) == said(call("retry", "network", "n1", "--yes"))
    world.lifecycle.close()
    again = "asked for before; nobody leads now: the next leader takes it up"
    assert again == said(call("retry", "network", "n1", "--yes"))[1][-1]


def test_retry_and_wait(at_work: World) -> None:
    """The result is printed; a failure is exit status 1, as is none."""
    done(at_work)
    result = call("retry", "network", "n1", "--yes", "--wait", 200)
    assert (0, "network:n1: version 1 is done: MODIFY_COMPLETED") == (
        result.exit_code,
        result.stdout.splitlines()[-1],
    )
    result = call("retry", "network", "n1", "--yes", "--wait", 200, "--json")
    found = json.loads(result.stdout)
    assert ("retry", "network:n1", "completed") == (
        found["requested"]["request"],
        found["requested"]["resource"],
        found["result"]["kind"],
    )


def test_a_wait_that_is_in_vain(at_work: World) -> None:
    """Nobody leads."""
    done(at_work)
    at_work.lifecycle.close()
    at_work.lifecycle = at_work.peer(roles=())
    result = call("retry", "network", "n1", "--yes", "--wait", 2)
    assert (1, "Error: network:n1 version 1: no result after 2 s\n") == (
        result.exit_code,
        result.stderr,
    )


@pytest.mark.parametrize(("by", "told"), [(2, ", version 2 took its place"), (None, "")])
def test_a_version_that_gets_no_further_result(
    world: World, monkeypatch: pytest.MonkeyPatch, by: int | None, told: str
) -> None:
    """The wait ends, and why is said as far as it is known."""
    done(world)
    monkeypatch.setattr(
        "gohan_jobs.operations.operating.Operator.result", lambda *_: Superseded(by)
    )
    result = call("retry", "network", "n1", "--yes", "--wait", 60)
    expected = f"network:n1: version 1 gets no further result{told}; the leader's log says why"
    assert (1, expected) == (result.exit_code, result.stdout.splitlines()[-1])
    result = call("retry", "network", "n1", "--yes", "--wait", 60, "--json")
    assert {"kind": "superseded", "by": by} == json.loads(result.stdout)["result"]


def test_a_terminal_is_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether there is one says standard input."""
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    assert acting.interactive()


def test_what_is_refused_is_one_line(world: World) -> None:
    """No traceback for a user's mistake."""
    assert (1, "Error: network:n1: there is no config at /v2.0/networks/n1") == failed(
        call("retry", "network", "n1", "--yes")
    )
    status, line = failed(call("retry", "nothing", "n1", "--yes"))
    assert (2, True) == (status, line.startswith("Error: no type 'nothing'"))


def test_nobody_is_asked_without_a_terminal(world: World) -> None:
    """Then nothing is done, unless ``--yes`` says so."""
    done(world)
    expected = (2, "Error: there is no terminal to ask at: give --yes")
    assert expected == failed(call("retry", "network", "n1"))
    assert {} == world.under("/gohan-jobs/retries/")


@pytest.mark.parametrize(("answer", "status"), [("n\n", 1), ("y\n", 0)])
def test_the_operator_is_asked(
    world: World, monkeypatch: pytest.MonkeyPatch, answer: str, status: int
) -> None:
    """Whoever is not sure does nothing."""
    done(world)
    monkeypatch.setattr(acting, "interactive", lambda: True)
    result = call("retry", "network", "n1", given=answer)
    assert status == result.exit_code
    assert result.stderr.startswith("Run version 1 of network:n1 again? [y/N]: ")
    assert (status == 0) == bool(world.under("/gohan-jobs/retries/"))


def test_who_acts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name and a host; somebody, where users have no names."""
    monkeypatch.setattr("socket.gethostname", lambda: "host")
    monkeypatch.setattr("getpass.getuser", lambda: "ann")
    assert "ann@host" == acting.who()

    def nobody() -> str:
        raise KeyError(1000)

    monkeypatch.setattr("getpass.getuser", nobody)
    assert "somebody@host" == acting.who()


# cancel


def test_cancel(at_work: World) -> None:
    """A running job ends, and its version says why: that is what was asked for."""
    job = running(at_work)
    result = call("cancel", job, "--reason", "a mistake", "--yes", "--wait", 60)
    expected = [
        f"{job}: is ended; what it has begun in Heat stays as it is",
        "the leader does it now",
        "network:n1: version 1 failed: cancelled: a mistake",
    ]
    assert (0, expected) == said(result)


def test_cancel_too_late(at_work: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its result came first: that is not what was asked for."""
    job = running(at_work)
    done = Completed(StateRecord(worker_state=WorkerState.CREATED, version=1))
    monkeypatch.setattr(Operator, "wait", lambda *_: done)
    result = call("cancel", job, "--yes", "--wait", 60)
    status, lines = said(result)
    assert (1, "network:n1: version 1 is done: CREATE_COMPLETED") == (status, lines[-1])


def test_cancel_by_resource(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whose jobs wait for it is said before."""
    job = running(world)
    world.write(PORT, {"network_id": "n1"})
    world.settle()
    port = world.job(PORT).id
    monkeypatch.setattr(acting, "interactive", lambda: True)
    result = call("cancel", "network", "n1", given="y\n")
    assert 0 == result.exit_code
    waits = f"End {job}? These wait for it, and may fail with it: {port}."
    assert result.stderr.startswith(waits)


def test_cancel_needs_a_job(world: World) -> None:
    """Or a type and an id."""
    assert (2, "Error: give one JOB, or TYPE and ID") == failed(call("cancel", "a", "b", "c"))
    status, line = failed(call("cancel", "nonsense"))
    assert (2, "Error: 'nonsense': a job id has 6 parts, this has 1") == (status, line)


# release


def test_release(world: World) -> None:
    """Without ``--force`` it only says who has it."""
    job = running(world)
    result = call("release", job)
    lines = result.stdout.splitlines()
    assert (1, job) == (result.exit_code, lines[0])
    assert lines[1].startswith("  held by: worker ")
    assert lines[4].endswith("lives 60 s unless it is renewed")
    assert "nothing was done: give --force to take it" == lines[-1]
    assert "released" == call("release", job, "--force", "--yes").stdout.splitlines()[-1]
    world.settle()
    assert "waiting" == world.place(world.job(NETWORK).id)
    reason = "nobody has it: it is waiting"
    assert (1, f"Error: {job}: {reason}") == failed(call("release", job, "--force", "--yes"))


def test_release_for_programs(world: World) -> None:
    """A claim of another program's has no lease."""
    job = running(world)
    world.put(f"/jobs/working/{job}", b"another's")
    found = json.loads(call("release", job, "--force", "--yes", "--json").stdout)
    assert (True, "another's", "") == (
        found["released"],
        found["holder"]["claim"],
        found["holder"]["lease"],
    )


def test_release_of_a_claim_without_a_lease(world: World) -> None:
    """It is said."""
    job = running(world)
    world.put(f"/jobs/working/{job}", b"another's")
    assert "  lease: none: it does not end by itself" in call("release", job).stdout.splitlines()


def test_release_where_leases_tell_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store need not know how long a lease lives."""
    job = running(world)
    monkeypatch.setattr("gohan_jobs.stores.base.LeaseTimed", dict)
    lines = call("release", job).stdout.splitlines()
    assert lines[4].endswith(", how long it lives is not known")


# dump and load


def test_dump_is_its_owners(world: World, tmp_path: Path) -> None:
    """From the first byte, whatever the umask; and it replaces nothing unless told."""
    done(world)
    file = tmp_path / "dump"
    before = os.umask(0)
    try:
        status, lines = said(call("dump", file, schemas=False))
    finally:
        os.umask(before)
    keys = len(world.under("/"))
    assert (0, [f"{file}: {keys} keys"]) == (status, lines)
    assert 0o600 == stat.S_IMODE(file.stat().st_mode)
    assert [file] == list(tmp_path.iterdir())
    expected = f"Error: {file} is there already: give --force to replace it"
    assert (2, expected) == failed(call("dump", file, schemas=False))
    file.chmod(0o644)
    result = call("dump", file, "--force", "--json", schemas=False)
    assert {"file": str(file), "keys": keys, "redacted": False} == json.loads(result.stdout)
    assert 0o600 == stat.S_IMODE(file.stat().st_mode)


def test_what_a_dump_does_not_replace(world: World, tmp_path: Path) -> None:
    """A pipe or a device never, a link only itself, and not without being told."""
    done(world)
    pipe, link, target = tmp_path / "pipe", tmp_path / "link", tmp_path / "target"
    os.mkfifo(pipe)
    expected = f"Error: {pipe} is no file that could be replaced; - is standard output"
    assert (2, expected) == failed(call("dump", pipe, "--force", schemas=False))
    link.symlink_to(target)
    expected = f"Error: {link} is there already: give --force to replace it"
    assert (2, expected) == failed(call("dump", link, schemas=False))
    assert 0 == call("dump", link, "--force", schemas=False).exit_code
    assert (False, False) == (link.is_symlink(), target.exists())
    expected = "Error: FILE must have a name; - is standard output"
    assert (2, expected) == failed(call("dump", "", "--force", schemas=False))


def test_dump_to_standard_output(world: World) -> None:
    """It can be checked there and then."""
    world.write(NETWORK, {"password": "hunter22"})
    result = call("dump", "-", schemas=False)
    assert "hunter22" in result.stdout
    checked = CliRunner().invoke(main, ["check", "-"], input=result.stdout)
    assert (0, "") == (checked.exit_code, checked.stdout)
    assert "hunter22" not in call("dump", "-", "--redact", schemas=False).stdout


def test_a_dump_that_fails_leaves_nothing(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No half of a file."""

    def fails(*_: object, **__: object) -> Iterator[str]:
        yield "{}"
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("gohan_jobs.cli.dump.dump", fails)
    result = call("dump", tmp_path / "dump", schemas=False)
    assert (1, "Error: [Errno 28] No space left on device") == failed(result)
    assert [] == list(tmp_path.iterdir())


def test_a_dump_that_is_ended_leaves_nothing(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SIGTERM takes the half with it: there are secrets in it."""

    def ended(*_: object, **__: object) -> Iterator[str]:
        yield "{}"
        os.kill(os.getpid(), signal.SIGTERM)
        yield from iter(str, "never")  # the signal comes before long

    monkeypatch.setattr("gohan_jobs.cli.dump.dump", ended)
    result = call("dump", tmp_path / "dump", schemas=False)
    assert (1, True) == (result.exit_code, "Aborted!" in result.stderr)
    assert [] == list(tmp_path.iterdir())


def test_load(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Into an empty store, once; the jobs that were put back are named."""
    job = running(world)
    file = tmp_path / "dump"
    call("dump", file, schemas=False)
    other = Kept(clock=world.clock)
    monkeypatch.setattr("gohan_jobs.cli.deployment.open_store", lambda *_: other)
    status, lines = said(call("load", file, "--yes", schemas=False))
    assert (0, "1 jobs that were being worked on wait again:", f"  {job}") == (
        status,
        lines[1],
        lines[2],
    )
    assert other.get(f"/jobs/waiting/{job}") is not None
    found = json.loads(call("load", file, "--yes", "--json", schemas=False).stdout)
    assert [job] == found["put_back"]
    other.transact(Transaction((), (Put("/state/a/b", b""),)))
    expected = (1, "Error: the keyspace: is not empty: /state/a/b")
    assert expected == failed(call("load", file, "--yes", schemas=False))


def test_a_load_that_is_cut_off_says_how_to_go_on(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rest is loaded by the same command, or what is there is taken back."""
    running(world)
    file = tmp_path / "dump"
    call("dump", file, schemas=False)

    class Failing(Kept):
        writes = 0

        def transact(self, transaction: Transaction) -> TransactionResult:
            self.writes += 1
            if self.writes == 3:
                raise StoreUnavailable("no answer")
            return super().transact(transaction)

    other = Failing(clock=world.clock)
    monkeypatch.setattr("gohan_jobs.cli.deployment.open_store", lambda *_: other)
    result = call("load", file, "--yes", schemas=False)
    half = str(UnsupportedFormat(LOADING, "1"))
    assert [half, "Error: no answer"] == result.stderr.splitlines()
    keys = sum(len(page.entries) for page in scan(other, "/")) - 1
    told = [f"{keys} keys removed: nothing of the load is left"]
    assert (0, told) == said(call("load", file, "--undo", "--yes", schemas=False))
    assert [()] == [tuple(page.entries) for page in scan(other, "/")]
    other.writes = 0
    call("load", file, "--yes", schemas=False)
    found = call("load", file, "--undo", "--yes", "--json", schemas=False)
    assert {"removed": keys} == json.loads(found.stdout)


def test_load_without_jobs(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is said of jobs."""
    file = tmp_path / "dump"
    call("dump", file, schemas=False)
    monkeypatch.setattr("gohan_jobs.cli.deployment.open_store", lambda *_: Kept())
    _, lines = said(call("load", file, "--yes", schemas=False))
    assert 2 == len(lines)


def test_check_reads_dumps() -> None:
    """Only the records of a dump; bytes, too, and what pretends to be some."""
    lines = (
        '{"format": "gohan-jobs dump 1"}',
        '{"key": "/jobs/ready/x", "text": "", "create": 2, "mod": 2}',
        '{"key": "/state/a/b", "base64": "/w==", "create": 2, "mod": 2}',
        '{"key": "/state/a/c", "base64": "!", "create": 2, "mod": 2}',
        '{"entries": 3, "digest": "0"}',
    )
    found = [
        (each.line, getattr(each, "text", None)) for each in read_stored("\n".join(lines).encode())
    ]
    assert [(3, b"\xff"), (4, b"")] == found


# resume


def test_resume_says_what_is_wrong(world: World) -> None:
    """Nothing is accepted unless told."""
    assert (0, ["no job manager has stopped"]) == said(call("resume", schemas=False))
    stop(world)
    status, lines = said(call("resume", schemas=False))
    assert (1, True) == (status, lines[0].endswith(": many are gone"))
    assert None is world.text("/gohan-jobs/accept")
    status, lines = said(call("resume", "--accept", "--yes", schemas=False))
    assert (0, "accepted: it goes on within seconds") == (status, lines[-1])
    text = world.text("/gohan-jobs/accept")
    assert text is not None
    assert "many are gone" == json.loads(text)["reason"]


def stop(world: World) -> None:
    """Let the leader stop."""
    manager = world.lifecycle._manager
    assert manager is not None
    world.settle()
    Acceptances(world.store, Keys(), manager.leadership, world.clock).given("many are gone")


def test_resume_beforehand(world: World) -> None:
    """Also if none has stopped; but not without saying so."""
    expected = (1, ["no job manager has stopped"])
    assert expected == said(call("resume", "--accept", schemas=False))
    result = call("resume", "--accept", "--beforehand", "--yes", "--json", schemas=False)
    found = json.loads(result.stdout)
    assert (0, None, "") == (result.exit_code, found["stopped"], found["accepted"]["reason"])
    usage = (2, "Error: --beforehand goes with --accept")
    assert usage == failed(call("resume", "--beforehand", schemas=False))


# plan


def config(world: World, version: int = 1, **body: Any) -> str:
    """A config's text."""
    full = {"id": "x", "tenant_id": "t", **body}
    return json.dumps({"body": full, "version": version})


def plan(*arguments: object, key: str = "/config/v2.0/networks/n1", given: str) -> Result:
    """Plan a config."""
    return call("plan", key, "-", *arguments, given=given)


def test_plan_of_a_new_config(world: World) -> None:
    """Its job, with its params, and no password; nothing is written."""
    revision = world.store.revision()
    world.template("network", {"name": "Pname", "password": "Ppassword"})
    result = plan(given=config(world, name="pw hunter22", password="hunter22"))
    expected = [
        "network:n1: would be queued",
        "create:heat_worker:network:n1:1:xxxxx, template network",
        '  name = "pw ***"',
        '  password = "***"',
    ]
    assert (0, expected) == said(result)
    assert revision + 1 == world.store.revision()


def test_plan_of_what_is_there(world: World) -> None:
    """What it waits for, and whose place it takes."""
    running(world)
    assert (0, ["network:n1: nothing to do: it is as it was"]) == said(
        plan(given=world.text("/config/v2.0/networks/n1").decode())  # type: ignore[union-attr]  # it is there
    )
    job = world.job(NETWORK).id
    status, lines = said(plan(given=config(world, 2, name="red")))
    assert (0, f"  waits for {job}") == (status, lines[2])
    marked = '{"body": {"id": "n1", "tenant_id": "t"}, "version": 2, "marked_for_deletion": true}'
    assert f"ends {job}, which is running" == said(plan(given=marked))[1][-1]
    world.write(NETWORK, {"name": "red"}, 2)
    world.settle()
    newer = world.job(NETWORK, 2).id
    assert f"takes the place of {newer}" in said(plan(given=config(world, 3)))[1]


def test_plan_of_what_can_not_be_done(world: World) -> None:
    """Exit status 1, and why."""
    port = "/config/v2.0/ports/p1"
    status, lines = said(plan(key=port, given=config(world, network_id="n9")))
    assert (1, True) == (status, lines[0].startswith("port:p1: would wait for network:n9: "))
    alias = "/config/v2.0/aliases/a1"
    assert (0, ["alias:a1: would get the result READ_COMPLETE, without a job"]) == said(
        plan(key=alias, given=json.dumps({"body": json.dumps({"id": "a1"}), "version": 1}))
    )
    world.template("network", {"name": "Qname"})
    result = plan(given=config(world))
    assert 1 == result.exit_code
    assert "would get the result READ_ERROR: " in result.stdout
    world.write(NETWORK, {}, 5)
    world.settle()
    status, lines = said(plan(given=config(world, 2)))
    assert (1, ["network:n1: would be set aside: version 2 after version 5"]) == (status, lines)
    assert (2, "Error: /state/x: not a config's key, which is /config/<path>") == failed(
        plan(key="/state/x", given="{}")
    )
    assert (2, "Error: /config/x/y: no schema has such a config") == failed(
        plan(key="/config/x/y", given="{}")
    )
    assert (1, True) == (plan(given="[]").exit_code, "Traceback" not in plan(given="[]").stderr)


def test_plan_of_what_was_done_before(world: World) -> None:
    """By another program."""
    text = '{"state": {"worker_state": "CREATE_COMPLETED"}, "version": 1, "error": ""}'
    world.put("/state/v2.0/networks/n1", text)
    assert (0, ["network:n1: is done already: only noted"]) == said(plan(given=config(world)))


def test_plan_for_programs_validated(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Heat is asked, too."""
    heat = SimulatedHeat(SystemClock())
    monkeypatch.setattr("gohan_jobs.cli.plan.open_heat", lambda *_: heat)
    result = plan("--validate", "--json", given=config(world, name="blue"))
    found = json.loads(result.stdout)
    assert ("enqueue", 1) == (found["kind"], len(found["plan"]["jobs"]))
    world.template("network", {"name": "Pname"}, text="heat_template_version: nonsense\n")
    result = plan("--validate", given=config(world, name="blue"))
    assert (1, "") == (result.exit_code, result.stdout)
