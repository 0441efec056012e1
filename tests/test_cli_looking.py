"""The commands that look: status, jobs, explain, graph, watch, history."""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import sys
import threading
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from command_lines import CommandLine
from gohan_jobs.cli.brevity import first_clause
from gohan_jobs.cli.output import plain, print_json
from gohan_jobs.cli.signals import ended_quietly
from gohan_jobs.cli.tables import make_console, make_table, printable, show, span
from gohan_jobs.exceptions import OrchestratorUnavailable, StoreUnavailable
from gohan_jobs.keys import JobId, Place
from gohan_jobs.orchestrators.base import Diagnosis
from gohan_jobs.orchestrators.simulated import Outcome
from gohan_jobs.records import ResourceRef
from gohan_jobs.stores.memory import MemoryStore
from worlds import NETWORK, PORT, TENANT, World, ref

DISK = ref("disk", "d1")


class Shop:
    """A world, and commands that look at it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, world: World) -> None:
        self.world = world
        self.call = CommandLine(monkeypatch, world.store)

    def job(self, resource: ResourceRef) -> JobId:
        """The id of a resource's one job."""
        return self.world.job(resource).id


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> Shop:
    """A port waits for its network, which Heat is creating; another port is held."""
    world = World(operation_seconds=20.0)
    world.write(NETWORK, {"name": "blue", "password": "hunter22"})
    world.write(PORT, {"network_id": "n1"})
    world.write(ref("port", "p9"), {"network_id": "n7"})
    world.settle()
    return Shop(monkeypatch, world)


@pytest.fixture
def empty(monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    """Commands that look at an empty store."""
    return CommandLine(monkeypatch, MemoryStore())


# Status.


def test_status(at: Shop) -> None:
    """One line for each thing to know, a table of places, a table of workers."""
    lines = at.call.text("status").splitlines()
    facts = dict(line.split(maxsplit=1) for line in lines[:7])
    assert facts["leader"].endswith("since revision 9, lease alive, 1m05s left")
    assert "1, 1 of 8 slots busy" == facts["workers"]
    assert "3, 2 processed; 4 templates" == facts["configs"]
    assert "0; 0 stacks" == facts["results"]
    assert "2 jobs left" == facts["resync"]
    assert "configs held: 1" == facts["troubles"]
    assert "revision 13" == facts["etcd"]
    places = [line.split()[:2] for line in lines[8:13]]
    assert [["waiting", "1"], ["ready", "0"], ["working", "1"], ["finished", "0"]] == places[1:]
    assert ["8", "1", "1m00s"] == lines[15].split()[1:]


def test_status_of_nothing(empty: CommandLine) -> None:
    """Nobody leads, nobody works, and no table of workers is printed."""
    text = empty.text("status", "--failures")
    assert "leader    nobody\n" in text
    assert "results   0, 0 failed; 0 stacks\n" in text
    assert "troubles  none\n" in text
    assert "resync    no jobs left\n" in text
    assert "worker " not in text


def test_status_names_what_failed(at: Shop) -> None:
    """Which resource, which version, and the beginning of why."""
    state = '{"state":{"worker_state":"CREATE_ERROR"},"version":1,"error":"%s"}'
    at.world.put("/state/v2.0/networks/n5", state % LONG)
    table = at.call.text("status", "--failures").partition("failed  ")[2].splitlines()
    assert ["v2.0/networks/n5", "1", "CREATE_ERROR", "no", "VLAN", "left…"] == table[1].split()
    assert LONG == at.call.json("status", "--failures")["failures"][0]["error"]


def test_status_for_programs(at: Shop) -> None:
    """The same as JSON."""
    found = at.call.json("status")
    assert (13, 1, 4) == (found["revision"], found["troubles"]["held"], len(found["places"]))
    assert [8, 1] == [found["workers"][0][name] for name in ("slots", "busy")]


class Full(MemoryStore):
    """A store that is full."""

    def status(self) -> Any:
        """As the store on etcd."""
        return type("EtcdStatus", (), {"size": 3 * 2**19, "alarms": ("NOSPACE",)})


def test_status_of_a_full_store(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its size and its alarm are told, and an old leader, and more tenants than can be shown."""
    world = World(templates={})
    store = Full()
    world.store = store
    world.put("/job_manager_id", b"old")
    for number in range(5):
        world.put(f"/gohan-jobs/jobs/create:h:port:p{number}:1:aaaaa", _notes(f"t{number}"))
        world.put(f"/jobs/waiting/create:h:port:p{number}:1:aaaaa", b"h")
    text = CommandLine(monkeypatch, store).text("status", "--quota-bytes", str(2**21))
    assert "1.5 MiB of 2.0 MiB (75%)" in text
    assert "troubles  etcd's alarm NOSPACE\n" in text
    assert "old since revision 2, without a lease\n" in text
    assert "t0 1, t1 1, t2 1, 2 more\n" in text


def _notes(tenant: str) -> str:
    return json.dumps({"planned_at": "", "path": "p", "tenant": tenant})


def stop_after(looks: int, then: Callable[[], object] = lambda: None) -> Callable[[float], None]:
    """A sleep that is interrupted."""
    left = [looks]

    def sleep(_seconds: float) -> None:
        left[0] -= 1
        then()
        if left[0] <= 0:
            raise KeyboardInterrupt

    return sleep


def test_status_again_and_again(at: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """For programs a line each time; an interrupt ends it quietly, as a success."""
    monkeypatch.setattr(time, "sleep", stop_after(3))
    result = at.call("status", "--watch", "--json")
    assert ([13, 13, 13], "") == (
        [json.loads(line)["revision"] for line in result.stdout.splitlines()],
        result.stderr,
    )


def test_status_is_printed_once_when_piped(at: Shop) -> None:
    """Where nobody looks on, it is not drawn again and again."""
    assert at.call.text("status") == at.call.text("status", "--watch")


def test_status_live(at: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal it is drawn again, and how far a resync has come."""

    def console() -> Console:
        return Console(file=sys.stdout, force_terminal=True, width=100)

    monkeypatch.setattr("gohan_jobs.cli.status.make_console", console)
    monkeypatch.setattr(time, "sleep", stop_after(2, lambda: at.world.pass_time(90.0)))
    text = at.call.text("status", "--watch")
    assert "2/3" in text  # configs processed
    assert "0/2" in text  # jobs done
    assert text.count("leader") >= 2
    assert "3 processed" in text


# Jobs.


def test_jobs(at: Shop) -> None:
    """A line for each job, however wide."""
    header, working, waiting = at.call.text("jobs").splitlines()
    assert header.split("  ")[0] == "job"
    assert str(at.job(NETWORK)) == working.split()[0]
    assert [str(at.job(PORT)), "waiting"] == waiting.split()[:2]
    assert ["0", "-", "1", "-"] == waiting.split()[3:]


def test_jobs_name_their_worker(at: Shop) -> None:
    """By its id, as status and explain do; by the claim's where nobody is registered."""
    (worker,) = at.call.json("status")["workers"]
    (job,) = at.call.json("jobs", "--place", "working")["jobs"]
    assert worker["worker_id"] == job["worker"]
    assert worker["worker_id"] == at.call.text("jobs").splitlines()[1].split()[4]
    job_id = JobId.parse("create:heat_worker:port:p1:7:abcde")
    at.world.put(f"/jobs/working/{job_id}", "another-program")
    assert "another-program" in at.call.text("jobs")


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (("--place", "working"), ["network"]),
        (("--type", "port"), ["port"]),
        (("--handler", "heat_worker"), ["network", "port"]),
        (("--older-than", "10m"), ["network", "port"]),
        (("--limit", "1"), ["network"]),
    ],
)
def test_some_jobs(at: Shop, options: tuple[str, ...], expected: list[str]) -> None:
    """Filters, together with their JSON."""
    found = at.call.json("jobs", *options)
    assert expected == [job["job_id"].split(":")[2] for job in found["jobs"]]


def test_more_jobs_than_shown(at: Shop) -> None:
    """What a limit leaves out is told, apart from the table."""
    assert "1 more: see --limit\n" == at.call("jobs", "--limit", "1").stderr


def test_no_jobs(empty: CommandLine) -> None:
    """None is exit status 1, for people and for programs."""
    result = empty("jobs", status=1)
    assert ("", "there is no unfinished job\n") == (result.stdout, result.stderr)
    result = empty("jobs", "--place", "ready", status=1)
    assert ("", "there is no such job\n") == (result.stdout, result.stderr)
    assert [] == empty.json("jobs", status=1)["jobs"]


def test_a_held_job(at: Shop) -> None:
    """Until when and why; a job that stands nowhere."""
    job_id = at.job(PORT)
    held = {"planned_at": "", "path": "", "held_until": "noon", "last_error": "n1 failed"}
    at.world.put(f"/gohan-jobs/jobs/{job_id}", json.dumps(held))
    at.world.delete(at.world.keys.place(Place.WAITING, job_id))
    assert "held until noon: n1 failed" in at.call.text("jobs", "--type", "port")
    assert "nowhere" in at.call.text("jobs", "--type", "port")


@pytest.mark.parametrize("text", ["10 m", "m", "1w", "-5", "nan"])
def test_a_time_that_is_none(empty: CommandLine, text: str) -> None:
    """A mistake is named, and is exit status 2."""
    assert "expected a time such as" in empty("jobs", "--older-than", text, status=2).stderr


@pytest.mark.parametrize(
    ("text", "expected"), [("90", 4), ("90s", 4), ("1.5m", 4), ("1h", 2), ("1d", 1)]
)
def test_times(monkeypatch: pytest.MonkeyPatch, text: str, expected: int) -> None:
    """A number of seconds, or one with a unit."""
    world = World(templates={})
    now = time.time()
    for age in (100, 1000, 10_000, 200_000):
        planned = time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime(now - age))
        notes = json.dumps({"planned_at": planned, "path": ""})
        world.put(f"/gohan-jobs/jobs/create:h:port:p{age}:1:aaaaa", notes)
    call = CommandLine(monkeypatch, world.store)
    assert expected == call.json("jobs", "--older-than", text)["matching"]


# Explain.


def test_explain(at: Shop) -> None:
    """What it is in one line, the facts, the jobs of the chain, and what to do."""
    text = at.call.text("explain", "port", "p1")
    first, *_ = text.splitlines()
    assert f"port:p1: {at.job(PORT)} waits for {at.job(NETWORK)} (working)" == first
    assert "config      version 1; version 1 processed last\n" in text
    assert "Heat        not asked: give --heat or --os-cloud\n" in text
    assert f"root cause  {at.job(NETWORK)} is being worked on by worker" in text
    assert "- look at network:n1: `gohan-jobs explain network n1`\n" in text
    rows = [line for line in text.splitlines() if line.startswith("create:")]
    assert [str(at.job(PORT)), str(at.job(NETWORK))] == [row.split()[0] for row in rows]


def test_explain_for_programs(at: Shop) -> None:
    """Records in it are documents; what to do, and what Heat said, stand beside it."""
    at.world.pass_time(90.0)
    found = at.call.json("explain", "network", "n1")
    assert ("network:n1", "CREATE_COMPLETED", []) == (
        found["explanation"]["resource"],
        found["explanation"]["state"]["state"]["worker_state"],
        found["next_steps"],
    )
    assert "not asked: give --heat or --os-cloud" == found["heat"]


def test_explain_something_done(at: Shop) -> None:
    """What is done needs nothing, and its root cause is no news."""
    at.world.pass_time(90.0)
    text = at.call.text("explain", "port", "p1")
    assert "port:p1: version 1 is done: CREATE_COMPLETED\n" in text
    assert "result        version 1 CREATE_COMPLETED\n" in text
    assert "root cause" not in text
    assert "what to do" not in text


def test_explain_something_held(at: Shop) -> None:
    """What is missing, until when, and what to do about it."""
    text = at.call.text("explain", "port", "p9")
    reason = "port:p9: template port, param network: network:n7 has neither"
    assert f"until 2018-02-19T00:01:00+00:00: {reason}" in text
    assert "config      version 1; none processed yet\n" in text
    assert "- network:n7: look in Gohan" in text


def test_explain_nothing(at: Shop) -> None:
    """What nobody knows of is exit status 1."""
    text = at.call.text("explain", "disk", "d7", status=1)
    assert "disk:d7: there is no config\n" in text
    assert "config  none that can be read\n" in text


def test_explain_hides_secrets(at: Shop) -> None:
    """What was written without care is scrubbed, also for programs and of others in the chain."""
    state = '{"state":{"worker_state":"CREATE_ERROR"},"version":1,"error":"hunter22 is wrong"}'
    at.world.put("/state/v2.0/networks/n1", state)
    notes = {"planned_at": "", "path": "", "last_error": "hunter22"}
    at.world.put(f"/gohan-jobs/jobs/{at.job(NETWORK)}", json.dumps(notes))
    for resource in (("network", "n1"), ("port", "p1")):
        for more in ((), ("--json",)):
            text = at.call.text("explain", *resource, *more)
            assert "***" in text
            assert "hunter22" not in text


LONG = "no VLAN left; event 1; event 2"


def test_explain_tells_a_long_reason_once(at: Shop) -> None:
    """In the row of the result; elsewhere its first clause; to programs all of it."""
    at.world.pass_time(90.0)
    state = {"state": {"worker_state": "CREATE_ERROR"}, "version": 1, "error": LONG}
    at.world.put("/state/v2.0/networks/n1", json.dumps(state))
    text = at.call.text("explain", "network", "n1")
    assert "network:n1: version 1 failed: no VLAN left…" == text.splitlines()[0]
    assert f"result        version 1 CREATE_ERROR: {LONG}\n" in text
    assert 1 == text.count("event 1")
    found = at.call.json("explain", "network", "n1")
    assert f"version 1 failed: {LONG}" == found["explanation"]["summary"]


def test_explain_tells_a_jobs_long_reason_once(at: Shop) -> None:
    """In a row of its own; what is to blame in the end is cut short, and not at its middle."""
    held = {"planned_at": "", "path": "", "held_for": "network:n1", "held_until": "noon"}
    notes = {**held, "last_error": f"cancelled: it failed: {LONG}"}
    at.world.put(f"/gohan-jobs/jobs/{at.job(PORT)}", json.dumps(notes))
    document = json.loads(at.world.codec.dumps(at.world.job(PORT)))
    document[1]["dependency"] = []
    at.world.put(at.world.keys.job(at.world.job(PORT).id), json.dumps(document))
    text = at.call.text("explain", "port", "p1")
    assert f"last error  cancelled: it failed: {LONG}\n" in text
    assert 1 == text.count("event 1")
    cause = f"{at.job(PORT)} is held for network:n1 until noon: cancelled: it failed: no VLAN left…"
    assert f"root cause  {cause}; network:n1: {at.job(NETWORK)} is being worked on" in text
    listed = at.call.text("jobs")
    assert (True, False) == ("it failed: no VLAN left…\n" in listed, "event 1" in listed)


def test_no_half_of_a_secret_is_left(at: Shop) -> None:
    """What is secret is taken out before a long reason is cut in the middle of it."""
    error = f"{'x' * 195}hunter22 is wrong"
    state = {"state": {"worker_state": "CREATE_ERROR"}, "version": 1, "error": error}
    at.world.pass_time(90.0)
    at.world.put("/state/v2.0/networks/n1", json.dumps(state))
    text = at.call.text("explain", "network", "n1")
    assert text.splitlines()[0].endswith("x*** i…")
    assert ("xhunt" in text, "xhunt" in at.call.text("history", "network", "n1")) == (False, False)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ("no room", "no room"),
        ("no room\n", "no room\n"),
        ("no room; event", "no room…"),
        ("no room\nTraceback", "no room…"),
        ("x" * 200, "x" * 200),
        ("x" * 201, f"{'x' * 200}…"),
    ],
)
def test_the_first_clause(text: str, expected: str) -> None:
    """Up to a semicolon or a line's end, and no more than 200 characters."""
    assert expected == first_clause(text)


def test_explain_a_type_that_is_gone(at: Shop) -> None:
    """A chain may lead to a type that no schema has: its secrets are not known."""
    job_id = JobId.parse("create:heat_worker:router:r1:1:aaaaa")
    other = at.world.job(PORT)
    document = json.loads(at.world.codec.dumps(other))
    document[1]["dependency"] = [str(job_id)]
    at.world.put(at.world.keys.job(other.id), json.dumps(document))
    at.world.put(at.world.keys.job(job_id), b"broken")
    assert str(job_id) in at.call.text("explain", "port", "p1")


def asked(at: Shop, monkeypatch: pytest.MonkeyPatch, *resource: str) -> str:
    """Explain with a Heat."""
    monkeypatch.setattr("gohan_jobs.cli.explain.open_heat", lambda *_: at.world.heat)
    return at.call.text("explain", *resource, "--heat", "simulated")


def test_explain_asks_heat(at: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """The stack's status now, and its last events."""
    text = asked(at, monkeypatch, "network", "n1")
    assert f"stack network_n1 in project {TENANT}: CREATE_IN_PROGRESS" in text
    assert "event in Heat  2018-02-19T00:00:00Z network_n1 CREATE_IN_PROGRESS" in text
    assert "- wait: it goes on by itself\n" in text


def test_explain_what_failed_in_heat(at: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which of the stack's resources failed."""
    at.world.heat.script("disk_d1", Outcome(fails=True, reason="no space"))
    at.world.write(DISK)
    at.world.pass_time(30.0)
    diagnosis = Diagnosis(resources=("thing: no space",), events=())
    monkeypatch.setattr(at.world.heat, "diagnose", lambda _stack: diagnosis)
    assert "failed in Heat  thing: no space\n" in asked(at, monkeypatch, "disk", "d1")


def test_explain_what_heat_does_not_have(at: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no such stack, or nobody knows in which project it would be."""
    text = asked(at, monkeypatch, "port", "p9")
    assert f"there is no stack port_p9 in project {TENANT}\n" in text
    at.world.put("/config/v2.0/networks/n2", b'{"body":{},"version":1}')
    at.call("explain", "network", "n2", "--heat", "simulated")
    text = asked(at, monkeypatch, "network", "n2")
    assert "not asked: no record says whose project the stack is in\n" in text


def test_explain_when_heat_is_away(at: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """What else is known is told."""

    def away(*_: Any) -> None:
        raise OrchestratorUnavailable("no route")

    monkeypatch.setattr(at.world.heat, "find", away)
    assert "Heat        no answer: no route\n" in asked(at, monkeypatch, "port", "p1")


@pytest.mark.parametrize("command", ["explain", "graph", "history"])
def test_an_unknown_type(empty: CommandLine, command: str) -> None:
    """The types there are, are named."""
    result = empty(command, "ports", "p1", status=2)
    there = "no type 'ports' in --schemas; the types are: alias, disk, network, port, quota. "
    assert there in result.stderr


@pytest.mark.parametrize("wrong", ["", "a/b", "a:b"])
def test_what_can_be_no_id(empty: CommandLine, wrong: str) -> None:
    """An id has neither slash nor colon."""
    assert "can't be a resource's id" in empty("explain", "port", wrong, status=2).stderr


# Graph.


def test_graph(at: Shop) -> None:
    """What a resource's jobs wait for."""
    expected = f"{at.job(PORT)} (waiting)\n└── {at.job(NETWORK)} (working)\n"
    assert expected == at.call.text("graph", "port", "p1") == at.call.text("graph", "--all")
    assert f"{at.job(NETWORK)} (working)\n" == at.call.text("graph", "network", "n1")
    assert expected == at.call.text("graph", "network", "n1", "--dependants")


def test_graph_for_programs(at: Shop) -> None:
    """Where each job stands, and what it needs."""
    port, network = str(at.job(PORT)), str(at.job(NETWORK))
    expected = {"places": {network: "working", port: "waiting"}, "needs": {port: [network]}}
    assert expected == at.call.json("graph", "--all")


def test_graph_in_a_file(at: Shop, tmp_path: Path) -> None:
    """An SVG picture, or Mermaid, may go to a file."""
    file = tmp_path / "graph.svg"
    assert "" == at.call.text("graph", "--all", "--format", "svg", "--output", str(file))
    assert "{http://www.w3.org/2000/svg}svg" == ET.parse(file).getroot().tag  # noqa: S314 - ours
    assert at.call.text("graph", "--all", "--format", "mermaid").startswith("flowchart LR\n")


def test_graph_of_nothing(empty: CommandLine) -> None:
    """No unfinished job is exit status 1."""
    for arguments in (("--all",), ("port", "p1")):
        assert "there is no unfinished job\n" == empty("graph", *arguments, status=1).stderr
        found = empty("graph", *arguments, "--json", status=1).stdout
        assert {"places": {}, "needs": {}} == json.loads(found)


@pytest.mark.parametrize("arguments", [(), ("port",), ("port", "p1", "--all"), ("port", "--all")])
def test_graph_of_what(empty: CommandLine, arguments: tuple[str, ...]) -> None:
    """Either a resource or all."""
    assert "give TYPE and ID, or --all\n" in empty("graph", *arguments, status=2).stderr


# Watch.


def test_watch(at: Shop) -> None:
    """Records in their documented spelling, without secrets."""
    text = at.call.text("watch", "--from-revision", "1", "--kind", "config", "--limit", "5")
    record = (
        "6 put /config/v2.0/networks/n1\n"
        '{\n    "body": {\n        "id": "n1", \n'
        f'        "tenant_id": "{TENANT}", \n        "name": "blue", \n'
        '        "password": "***"\n    }, \n    "version": 1, \n'
        '    "marked_for_deletion": false\n}\n'
    )
    assert text.endswith(record)


def test_watch_on_one_line(at: Shop) -> None:
    """Other spellings; and what is no record."""
    options = ("watch", "--from-revision", "13", "--id", "n1", "--spelling", "worker", "--limit")
    expected = "13 put /esi-worker/job_state/v2.0/networks/n1\n{}\n"
    assert expected == at.call.text(*options, "1", "--kind", "job_state")
    text = at.call.text(*options, "2", "--kind", "jobs")
    assert f"13 put /jobs/working/{at.job(NETWORK)}\n" in text
    assert f"13 delete /jobs/ready/{at.job(NETWORK)}\n" in text


def test_watch_for_programs(at: Shop) -> None:
    """A line for each change: the record, or the text of what is none."""
    at.world.remove_config(PORT)
    at.world.put("/config/v2.0/ports/p1", b"broken")
    options = ("--from-revision", "7", "--type", "port", "--id", "p1", "--json", "--limit", "6")
    lines = [json.loads(line) for line in at.call.text("watch", *options).splitlines()]
    config, *_, place, gone, broken = lines
    assert ("put", 7, "p1") == (config["event"], config["revision"], config["record"]["body"]["id"])
    assert "heat_worker" == place["text"]
    expected = {"event": "delete", "revision": 14, "key": "/config/v2.0/ports/p1"}
    assert (expected, "/config/v2.0/ports/p1: ") == (gone, broken["problem"][:23])


def test_watch_what_can_not_be_read(at: Shop) -> None:
    """It is said what is wrong, and no text that may hold anything."""
    at.world.put("/config/v2.0/ports/p1", b"hunter22")
    text = at.call.text("watch", "--from-revision", "14", "--limit", "1")
    assert "14 put /config/v2.0/ports/p1\ncan't be read: " in text
    assert "hunter22" not in text


def test_watch_our_own_keys(at: Shop) -> None:
    """JSON that is no record is without its secrets, too; an empty text is not printed."""
    at.world.put("/own/a", b'{"token":"t0psecret","b":"t0psecret"}')
    at.world.put("/own/b", b"")
    at.world.delete("/own/b")
    text = at.call.text("watch", "--prefix", "/own/", "--from-revision", "1", "--limit", "3")
    expected = '14 put /own/a\n{"token": "***", "b": "***"}\n15 put /own/b\n16 delete /own/b\n'
    assert expected == text


def test_watch_across_a_gap(at: Shop) -> None:
    """What was compacted is told, and what comes after it."""
    at.world.store.compact(13)
    at.world.write(NETWORK, {}, 2)
    options = ("watch", "--kind", "config", "--from-revision", "2", "--limit")
    gap = "gap: what happened under /config/ from revision 2 to 13 has been compacted, and can't"
    assert at.call.text(*options, "2").startswith(f"{gap} be told\n14 put /config/v2.0/networks")
    expected = {"event": "gap", "prefix": "/config/", "first": 2, "last": 13}
    assert expected == at.call.json(*options, "1")


def test_watch_until_it_is_interrupted(at: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """SIGTERM ends it quietly, as a success."""

    def poll(*_: Any) -> tuple[()]:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(10.0)
        return ()

    monkeypatch.setattr("gohan_jobs.inspection.watching.RecordWatch.poll", poll)
    result = at.call("watch")
    assert ("", "") == (result.stdout, result.stderr)


def test_watch_options_that_do_not_go_together(at: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """A prefix says it all; a type needs the schemas."""
    result = at.call("watch", "--prefix", "/a", "--kind", "state", status=2)
    assert "--prefix says it all" in result.stderr
    monkeypatch.delenv("GOHAN_JOBS_SCHEMAS")
    assert "--type needs --schemas" in at.call("watch", "--type", "port", status=2).stderr


# History.


def test_history(at: Shop) -> None:
    """Each change in a line, with its differences; nothing of another resource."""
    at.world.write(NETWORK, {"name": "green", "password": "hunter23", "more": [1]}, 2)
    at.world.settle()
    text = at.call.text("history", "network", "n1", "--patience", "0")
    assert text.startswith(
        "6 /config/v2.0/networks/n1 version 1\n"
        "11 /esi-worker/config/v2.0/networks/n1 version 1 processed\n"
        f"11 /jobs/all/{at.world.job(NETWORK, 1).id} queued\n"
        "13 /esi-worker/job_state/v2.0/networks/n1 claimed\n"
        "14 /config/v2.0/networks/n1 version 2\n"
        '    ~ $.body.name: "blue" -> "green"\n'
        '    ~ $.body.password: "***" -> "***"\n'
        "    + $.body.more: [1]\n"
        "    ~ $.version: 1 -> 2\n"
    )
    assert f"/jobs/all/{at.world.job(NETWORK, 2).id} queued, waits for 2\n" in text


def test_history_to_the_end(at: Shop) -> None:
    """Results, removals, marks, and what can't be read."""
    at.world.pass_time(60.0)
    at.world.write(NETWORK, {"name": "x" * 200}, 2, marked=True)
    at.world.put("/state/v2.0/networks/n1", b"broken")
    at.world.put("/monitoring/v2.0/networks/n1", b'{"status":"UP","version":1}')
    at.world.put("/monitoring/v2.0/networks/n1", b'{"state":"UP","version":1}')
    failed = b'{"heat_outputs":[],"orchestration_state":"CREATE_ERROR","error":"hunter22"}'
    at.world.put("/esi-worker/job_state/v2.0/networks/n1", failed)
    at.world.remove_config(NETWORK)
    text = at.call.text("history", "network", "n1", "--patience", "0")
    for line in (
        "/esi-worker/heat_stacks/v2.0/networks/n1 CREATE_COMPLETE: Stack CREATE completed success",
        "/state/v2.0/networks/n1 version 1 CREATE_COMPLETED\n",
        "/config/v2.0/networks/n1 version 2, marked for deletion\n",
        f'"{"x" * 99}…\n',
        '    - $.body.password: "***"\n',
        "/state/v2.0/networks/n1 can't be read: ",
        "/monitoring/v2.0/networks/n1 version 1\n",
        '    - $.status: "UP"\n',
        "/esi-worker/job_state/v2.0/networks/n1 CREATE_ERROR: ***\n",
        "/config/v2.0/networks/n1 removed\n",
    ):
        assert line in text


def test_history_for_programs(at: Shop) -> None:
    """Documents and differences, without secrets."""
    found = at.call.json("history", "network", "n1", "--patience", "0s")
    first = found["entries"][0]
    assert ("network:n1", 0, 6, "***") == (
        found["resource"],
        found["compacted"],
        first["revision"],
        first["record"]["body"]["password"],
    )
    assert "secrets" not in found


def test_history_after_a_compaction(at: Shop) -> None:
    """It begins at the oldest revision that is left, and says so."""
    at.world.store.compact(10)
    text = at.call.text("history", "network", "n1", "--patience", "0")
    said = "history before revision 10 has been compacted: what comes first is what was there then"
    assert text.startswith(f"{said}\n6 /config/v2.0/networks/n1 version 1\n11 ")


def test_history_of_nothing(at: Shop) -> None:
    """What etcd does not remember is exit status 1."""
    result = at.call("history", "disk", "d7", "--patience", "0", status=1)
    assert ("", "etcd remembers nothing of disk:d7\n") == (result.stdout, result.stderr)


# What they share.


class Terminal(io.StringIO):
    """Where somebody looks on."""

    def isatty(self) -> bool:
        """It is."""
        return True


def test_tables_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are fitted to its width there; a pipe gets the full width, and no blanks at the end."""
    row = ("x" * 100, None)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stdout", terminal := Terminal())
    show(make_table(("a", "b"), [row]))
    assert make_console().is_terminal
    assert "x" * 78 not in terminal.getvalue()
    monkeypatch.setattr(sys, "stdout", pipe := io.StringIO())
    show(make_table(("", "b"), [row]))
    assert f"{'x' * 100}  -\n" == pipe.getvalue().partition("\n")[2]


def test_markup_is_text(monkeypatch: pytest.MonkeyPatch) -> None:
    """What rich would take for markup or an emoji is printed as it is."""
    monkeypatch.setattr(sys, "stdout", pipe := io.StringIO())
    show(make_table(("",), [("[red]a[/] :smile: \x1b[31m",)]))
    assert "[red]a[/] :smile: \ufffd[31m\n" == pipe.getvalue()


def test_nothing_commands_the_terminal() -> None:
    """Control characters are replaced, lines and tabs stay."""
    assert "a\tb\nc\ufffd[0m\ufffd" == printable("a\tb\nc\x1b[0m\x07")


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(None, "-"), (0.9, "0s"), (59, "59s"), (61, "1m01s"), (3720, "1h02m"), (90000, "1d01h")],
)
def test_spans(seconds: float | None, expected: str) -> None:
    """Two units at most."""
    assert expected == span(seconds)


def test_models_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    """Ids are texts, sets are lists, times are ISO 8601, and secrets are masked anywhere."""
    world = World()
    job_id = JobId.parse("create:h:port:p1:1:aaaaa")
    value = {
        Place.READY: (job_id, PORT),
        1: {"hunter22 here"},
        "when": world.clock.wall(),
        "path": Path("a"),
        "none": None,
    }
    print_json(value, ["hunter22"])
    expected = {
        "ready": [str(job_id), "port:p1"],
        "1": ["*** here"],
        "when": "2018-02-19T00:00:00+00:00",
        "path": "a",
        "none": None,
    }
    assert expected == json.loads(capsys.readouterr().out)
    assert "a" == plain(Path("a"))


@pytest.mark.usefixtures("interruptible")
def test_signals_end_it_quietly() -> None:
    """SIGTERM and SIGINT alike; afterwards all is as it was."""
    before = signal.getsignal(signal.SIGTERM)
    for ending in (signal.SIGTERM, signal.SIGINT):
        reached = False
        with ended_quietly():
            os.kill(os.getpid(), ending)
            time.sleep(10.0)
            reached = True
        assert not reached
    assert before == signal.getsignal(signal.SIGTERM)


def test_an_interrupted_lock_ends_it_quietly_too() -> None:
    """Interrupted while it takes a lock, Python says that it was not locked; other errors stay."""

    def interrupted() -> None:
        try:
            raise KeyboardInterrupt
        finally:
            threading.Lock().release()

    with ended_quietly():
        interrupted()
    with pytest.raises(RuntimeError, match="unlocked"), ended_quietly():
        threading.Lock().release()


def test_etcd_is_named_if_it_does_not_answer(at: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a library says of a connection alone would leave open which."""

    def away() -> int:
        raise StoreUnavailable("connection refused")

    monkeypatch.setattr(at.world.store, "revision", away)
    expected = "Error: etcd does not answer: connection refused\n"
    assert expected == at.call("status", status=1).stderr


def test_errors_are_told_by_the_command(at: Shop) -> None:
    """What the store says is one line."""
    with contextlib.suppress(Exception):
        at.world.store.close()
    assert "Error: the store has been closed\n" == at.call("status", status=1).stderr
