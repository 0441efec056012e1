"""Replays: the recorded runs come out equal; bad lines are named."""

from __future__ import annotations

import importlib.util
import io
import json
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import attrs
import pytest

from gohan_jobs.exceptions import InvalidRecord, StackNotFound
from gohan_jobs.handlers import Done, JobContext
from gohan_jobs.orchestrators.base import Diagnosis, Stack, StackRequest
from gohan_jobs.records import StackOutput
from gohan_jobs.replay import ScriptedHeat, replay, replay_lines
from gohan_jobs.schemas import Schemas
from planning_types import NETWORK, PORT, ROUTER, make_schemas, template
from recorded_runs import OLD_RUN, RUNS, corpus_file, recorded_schemas, rows


def checker() -> ModuleType:
    """The recordings' own comparison."""
    spec = importlib.util.spec_from_file_location("check_replay", corpus_file("check_replay.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    # It leaves its files to the collector, which warns.
    vars(module)["open"] = lambda path: io.StringIO(Path(path).read_text(encoding="utf-8"))
    return module


@pytest.mark.parametrize("run", RUNS)
def test_a_recorded_run_comes_out_equal(
    run: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every job, call of Heat, stack and state as recorded, and nothing else."""
    check = checker()
    with corpus_file(f"{run}.trace.jsonl").open(encoding="utf-8") as trace:
        lines = list(replay_lines(trace, recorded_schemas()))
    out = tmp_path / "out.jsonl"
    out.write_text("\n".join(lines), encoding="utf-8")
    expected = corpus_file(f"{run}.expected.jsonl")
    assert 0 == check.main(str(expected), str(out), verbose=True), capsys.readouterr().out
    assert check.load(str(expected)) == check.load(str(out))


@pytest.mark.parametrize("run", RUNS)
def test_lines_and_rows_give_the_same(run: str) -> None:
    """But for the random suffixes."""
    trace, schemas = rows(f"{run}.trace.jsonl"), recorded_schemas()
    lines = [json.loads(line) for line in replay_lines(map(json.dumps, trace), schemas)]
    assert [row["kind"] for row in lines] == [row["kind"] for row in replay(trace, schemas)]


def outside(history: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """What the outside world did in a history, as a trace tells it."""
    names = {"config": "config", "heat_stack": "stack"}
    return [
        {"event": names[row["event"]], "at": row["at"], "key": row["key"], "value": row["value"]}
        for row in history
        if row["event"] in names
    ]


class RecordedMonitoring:
    """A handler that finds, for each version of a resource, what was found in 2017."""

    def __init__(self, history: Sequence[dict[str, Any]]) -> None:
        self._found: dict[tuple[str, int], Any] = {}
        for row in history:
            if row["event"] == "state" and "state_monitoring" in row["value"]["state"]:
                resource_id = row["key"].rpartition("/")[2]
                found = json.loads(row["value"]["state"]["state_monitoring"])
                self._found[resource_id, row["value"]["version"]] = found

    def __call__(self, context: JobContext) -> Done:
        """At once."""
        job = context.job
        if job.action == "delete":
            return Done()
        return Done(state_monitoring=self._found[job.id.resource_id, job.version])


def test_the_run_of_2017_comes_out_equal(tmp_path: Path) -> None:
    """Its jobs of both handlers, its stacks and states; Gohan's schemas know of one handler only.

    The system of 2017 published no ``orchestration_state`` of a stack without monitoring: the one
    such state, a subnet's, has it here.
    """
    check, history = checker(), rows(OLD_RUN)
    out, expected = tmp_path / "out.jsonl", tmp_path / "expected.jsonl"
    found = [
        row
        for row in replay(
            outside(history),
            recorded_schemas(),
            handlers={"monitoring_worker": RecordedMonitoring(history)},
        )
        if row["kind"] != "heat"  # of which that history tells nothing
    ]
    written = ("job", "heat_stack", "state")
    wanted: list[dict[str, Any]] = [
        row | {"kind": row["event"]} for row in history if row["event"] in written
    ]
    for row in wanted:
        if row["kind"] == "state" and "/subnets/" in row["key"]:
            row["value"]["state"]["orchestration_state"] = "CREATE_COMPLETE"
    for file, each in ((out, found), (expected, wanted)):
        file.write_text("\n".join(map(json.dumps, each)), encoding="utf-8")
    assert (31, 12, 29) == tuple(len([r for r in wanted if r["kind"] == k]) for k in written)
    assert check.load(str(expected)) == check.load(str(out))


def test_the_run_of_2017_needs_no_handler() -> None:
    """A trace does not tell how monitoring ended: it ends as soon as it may begin."""
    history = rows(OLD_RUN)
    lines = replay_lines(map(json.dumps, outside(history)), recorded_schemas())
    found = [json.loads(line) for line in lines]
    count = [row["kind"] for row in found].count
    assert (31, 12, 12, 29) == tuple(map(count, ("job", "heat", "heat_stack", "state")))
    assert [""] * 29 == [row["value"]["error"] for row in found if row["kind"] == "state"]


def config(path: str, body: Any, version: int = 1) -> dict[str, Any]:
    """A config's event."""
    value = {"body": body, "version": version, "marked_for_deletion": False}
    return {"event": "config", "key": f"/config/{path}", "value": value}


def stack(status: str, **more: Any) -> dict[str, Any]:
    """The end of the network's operation."""
    value = {
        "stack_id": "network_n1",
        "tenant_id": "t",
        "stack_status": status,
        "output": [],
        "status_reason": "because",
        "id": "network:n1",
        **more,
    }
    return {"event": "stack", "key": f"/esi-worker/heat_stacks/{NETWORK}", "value": value}


TEMPLATE = config(
    "v2.0/heat_templates/network",
    template("network", {"name": "Pname"}) | {"template_file": "heat_template_version: 2013-05-23"},
)
CREATE = config(NETWORK, {"id": "n1", "name": "a", "tenant_id": "t"})
REMOVED = {"event": "config", "key": f"/config/{NETWORK}", "value": None}


def kinds(trace: Sequence[dict[str, Any]]) -> list[str]:
    """What a trace gives, in brief."""
    return [
        row["kind"] + (f" {row['op']}" if row["kind"] == "heat" else "")
        for row in replay(trace, make_schemas())
    ]


def test_a_life() -> None:
    """Created, changed, and its key removed without a mark: an orphan, and no more calls."""
    made = ["job", "heat create", "heat_stack", "state"]
    assert made == kinds([TEMPLATE, CREATE, stack("CREATE_COMPLETE")])
    changed = config(NETWORK, {"id": "n1", "name": "b", "tenant_id": "t"}, 2)
    trace = [TEMPLATE, CREATE, stack("CREATE_COMPLETE"), changed, stack("UPDATE_COMPLETE")]
    assert [*made, "job", "heat update", "heat_stack", "state"] == kinds(trace)
    assert kinds(trace) == kinds([*trace, REMOVED])


def of_network(name: str, tenant: str, version: int = 1) -> list[dict[str, Any]]:
    """A config of a network, and the end of its operation."""
    path, status = f"v2.0/networks/{name}", "UPDATE" if version > 1 else "CREATE"
    body = {"id": name, "name": str(version), "tenant_id": tenant}
    ended = stack(f"{status}_COMPLETE", id=f"network:{name}", stack_id=f"network_{name}")
    ended["value"]["tenant_id"] = tenant
    return [config(path, body, version), ended | {"key": f"/esi-worker/heat_stacks/{path}"}]


def test_stacks_of_many_tenants_end_when_the_trace_says() -> None:
    """Heat is asked about each tenant by itself, at times of their own."""
    networks = [of_network(f"n{number}", f"t{number}") for number in range(1, 9)]
    trace = [TEMPLATE, *(config for config, _ in networks)]
    begun = ["job", "heat create"] * len(networks)
    assert begun == kinds(trace)
    for _, ended in networks:
        trace.append(ended)
        begun += ["heat_stack", "state"]
        assert begun == kinds(trace)


def test_an_operation_lasts_until_the_trace_ends_it() -> None:
    """However much happens meanwhile: what time that takes here says nothing of Heat's."""
    body = template("network", {"heat_timeout": {"constant": 1}})
    limited = config("v2.0/heat_templates/network", body | {"template_file": "a: b"})
    others = [row for version in range(1, 501) for row in of_network("other", "t", version)]
    slow = of_network("slow", "t")
    rows = list(replay([limited, slow[0], *others, slow[1]], make_schemas()))
    assert [501, ""] == [
        len({json.dumps(row["value"]) for row in rows if row["kind"] == "job"}),
        *{row["value"]["error"] for row in rows if row["kind"] == "state"},
    ]
    assert "/state/v2.0/networks/slow" == rows[-1]["key"]


def test_a_deletion() -> None:
    """Marked, and then gone."""
    marked = config(NETWORK, CREATE["value"]["body"], 2)
    marked["value"]["marked_for_deletion"] = True
    trace = [TEMPLATE, CREATE, stack("CREATE_COMPLETE"), marked, stack("DELETE_COMPLETE"), REMOVED]
    assert ["job", "heat delete", "heat_stack", "state"] == kinds(trace)[4:]


def test_a_removed_config_takes_its_state_along() -> None:
    """As Gohan does it: what is written there again is made, not modified."""
    marked = config(NETWORK, CREATE["value"]["body"], 2)
    marked["value"]["marked_for_deletion"] = True
    trace = [TEMPLATE, CREATE, stack("CREATE_COMPLETE"), marked, stack("DELETE_COMPLETE"), REMOVED]
    assert ["job", "heat create"] == kinds([*trace, CREATE])[8:]


def test_a_failed_deletion_ends_its_job() -> None:
    """As every operation in a trace does; a later version deletes again."""
    marked = config(NETWORK, CREATE["value"]["body"], 2)
    marked["value"]["marked_for_deletion"] = True
    again = {**marked, "value": {**marked["value"], "version": 3}}
    trace = [TEMPLATE, CREATE, stack("CREATE_COMPLETE"), marked, stack("DELETE_FAILED")]
    trace += [again, stack("DELETE_COMPLETE")]
    rows = list(replay(trace, make_schemas()))[4:]
    ended = ["job", "heat", "heat_stack", "state"]
    assert ended * 2 == [row["kind"] for row in rows]
    assert ["DELETE_ERROR", "DELETE_COMPLETED"] == [
        row["value"]["state"]["worker_state"] for row in rows if row["kind"] == "state"
    ]


def test_a_deletion_cuts_a_creation_short() -> None:
    """What a trace tells of the creation's end then does not end the deletion."""
    marked = config(NETWORK, CREATE["value"]["body"], 2)
    marked["value"]["marked_for_deletion"] = True
    trace = [TEMPLATE, CREATE, marked, stack("CREATE_COMPLETE"), stack("DELETE_COMPLETE"), REMOVED]
    deletion = ["job", "heat delete", "heat_stack", "state"]
    assert ["job", "heat create", *deletion] == kinds(trace)


def test_what_a_config_needs_may_come_later_in_the_trace() -> None:
    """Its template, or what it refers to: it is held until then, however long (``rules`` 5)."""
    port = config("v2.0/ports/p1", {"id": "p1", "network_id": "n1", "tenant_id": "t"})
    named = config("v2.0/heat_templates/port", template("port", {"n": "Fnetwork+network_id:name"}))
    assert ["job", "job", "heat create", "heat_stack", "state", "heat create"] == kinds(
        [port, TEMPLATE, named, CREATE, stack("CREATE_COMPLETE")]
    )


def heat_template(name: str, handler: Any = "heat_worker") -> dict[str, Any]:
    """A heat_template's event."""
    text = {"template_file": "heat_template_version: 2013-05-23"}
    return config(f"v2.0/heat_templates/{name}", template(name, {}, handler) | text)


PORT_BODY = {"id": "p1", "network_id": "n1", "tenant_id": "t"}
PORT_CREATE = config(PORT, PORT_BODY)


def port_stack(status: str) -> dict[str, Any]:
    """The end of the port's operation."""
    key = f"/esi-worker/heat_stacks/{PORT}"
    return stack(status, id="port:p1", stack_id="port_p1") | {"key": key}


def planned(trace: Sequence[dict[str, Any]], schemas: Schemas) -> list[str]:
    """The jobs of a trace: action and handler."""
    ids = (row["value"][1]["id"] for row in replay(trace, schemas) if row["kind"] == "job")
    return [":".join(job_id.split(":")[:2]) for job_id in ids]


WATCH = heat_template("port_monitoring", "monitoring_worker")
ALL_HANDLERS = make_schemas(heat_worker="Cport", monitoring_worker="Cwatch", dns="Cdns")
TYPES = make_schemas(heat_worker="Cport")
ONLY_HEAT = Schemas([each for each in TYPES if each.type != "router"])


def test_jobs_of_other_handlers_end_at_once() -> None:
    """Of those that the schemas name, a trace has no line; a change and a deletion go on, too."""
    named = [heat_template("port"), heat_template("watch", "monitoring_worker")]
    marked = config(PORT, PORT_BODY, 3)
    marked["value"]["marked_for_deletion"] = True
    changed = config(PORT, PORT_BODY | {"name": "b"}, 2)
    trace = [
        *named,
        heat_template("dns", "dns"),
        PORT_CREATE,
        port_stack("CREATE_COMPLETE"),
        changed,
    ]
    updated, deleted = map(port_stack, ("UPDATE_COMPLETE", "DELETE_COMPLETE"))
    trace += [updated, marked, deleted]
    assert [
        *("create:heat_worker", "create:monitoring_worker", "create:dns"),
        *("delete:monitoring_worker", "modify:heat_worker"),
        *("create:monitoring_worker", "modify:dns"),
        *("delete:monitoring_worker", "logical_delete:heat_worker", "logical_delete:dns"),
    ] == planned(trace, ALL_HANDLERS)
    states = [row["value"] for row in replay(trace, ALL_HANDLERS) if row["kind"] == "state"]
    assert [1, 2, 3] == [state["version"] for state in states]


def test_a_router_of_2017_is_only_monitored() -> None:
    """There is nothing to monitor yet, and no stack."""
    watched = heat_template("router", "monitoring_worker")
    trace = [watched, config(ROUTER, {"id": "r1", "tenant_id": "t"})]
    (state,) = [row for row in replay(trace, make_schemas()) if row["kind"] == "state"]
    expected = {"state_monitoring": "{}", "worker_state": "CREATE_COMPLETED"}
    assert expected == state["value"]["state"]


BOTH = ["create:heat_worker", "create:monitoring_worker"]
INFERRED = [
    ([heat_template("port"), WATCH], ONLY_HEAT, BOTH),
    ([WATCH, heat_template("port")], ONLY_HEAT, BOTH),
    # Its schema has a template for Heat, which was not there in 2017.
    ([WATCH], ONLY_HEAT, BOTH[1:]),
    # A choice may give any template: it is left alone, and held.
    ([WATCH], Schemas([each for each in make_schemas() if each.type != "router"]), []),
    # The name alone says nothing, and neither does what was written wrongly.
    ([heat_template("port"), heat_template("port_monitoring")], ONLY_HEAT, BOTH[:1]),
    ([heat_template("port"), heat_template("port_monitoring", ["x"])], ONLY_HEAT, BOTH[:1]),
    # Those who say what is monitored have said it all.
    ([heat_template("port"), WATCH], TYPES, BOTH[:1]),
    # It has to be there at the beginning.
    ([heat_template("port"), REMOVED, WATCH], ONLY_HEAT, BOTH[:1]),
    ([heat_template("port"), config("v2.0/notes/o1", {}), WATCH], ONLY_HEAT, BOTH[:1]),
]


@pytest.mark.parametrize(("beginning", "schemas", "jobs"), INFERRED)
def test_what_is_monitored_in_2017(
    beginning: list[dict[str, Any]], schemas: Schemas, jobs: list[str]
) -> None:
    """What has a monitoring template at the beginning of the trace, if the schemas say nothing."""
    assert jobs == planned([*beginning, PORT_CREATE], schemas)


def test_a_template_that_is_no_config_is_named() -> None:
    """At its line, though templates are looked at before anything is replayed."""
    broken = {**WATCH, "value": {"version": 1}}
    with pytest.raises(InvalidRecord) as caught:
        list(replay([heat_template("port"), broken], ONLY_HEAT))
    assert "event 2" == caught.value.key


def test_empty_lines_are_passed_over() -> None:
    """At the end of a file, for instance."""
    assert [] == list(replay_lines(["", "  \n"], make_schemas()))


BAD_LINES = [
    ("{", "JSON"),
    ("[]", "expected an object, found list"),
    ("{}", r"required field missing @ \$\.event"),
    ('{"event": "config", "key": "/config/a/b"}', r"required field missing @ \$\.value"),
    ('{"event": "moon", "key": "/config/a/b", "value": {}}', "expected config or stack"),
    ('{"event": ["config"], "key": "/config/a/b", "value": {}}', "expected config or stack"),
    ('{"event": "config", "key": 5, "value": null}', r"expected a text, found int @ \$\.key"),
    ('{"event": "config", "key": "/config/a/b", "value": 5}', "expected an object, found int"),
    ('{"event": "stack", "key": "/config/a/b", "value": null}', "found NoneType"),
    ('{"event": "config", "key": "/state/a/b", "value": null}', "of kind config, found state"),
    ('{"event": "stack", "key": "/state/a/b", "value": {}}', "of kind heat_stack, found state"),
    ('{"event": "config", "key": "/moon", "value": null}', "not a record's key"),
    ('{"event": "config", "key": "/config/a/b", "value": {"version": 1}}', "body"),
    (json.dumps(stack("CREATE_COMPLETE")), "no operation is under way on network_n1"),
    (json.dumps(stack("CREATE_COMPLETE", id=3)), "id"),
]


@pytest.mark.parametrize(("line", "reason"), BAD_LINES)
def test_a_bad_line_is_named(line: str, reason: str) -> None:
    """With its number and what is wrong with it, in the order of the file."""
    with pytest.raises(InvalidRecord, match=reason) as caught:
        list(replay_lines(["", line], make_schemas(), source="x.jsonl"))
    assert "x.jsonl line 2" == caught.value.key


def test_a_bad_record_is_named_with_its_place_in_the_line() -> None:
    """Every problem of it, as if it stood by itself."""
    row = {"event": "config", "key": "/config/a/b", "value": {"body": 1, "version": "1"}}
    with pytest.raises(InvalidRecord) as caught:
        list(replay([row], make_schemas()))
    assert ["$.value.body", "$.value.version"] == [each.path for each in caught.value.problems]


def test_a_bad_row_is_named() -> None:
    """Counted from 1; what came before it has been given."""
    given = replay([TEMPLATE, CREATE, {"event": "moon"}], make_schemas())
    assert ["job", "heat"] == [next(given)["kind"], next(given)["kind"]]
    with pytest.raises(InvalidRecord) as caught:
        next(given)
    assert "event 3" == caught.value.key


def test_a_body_is_not_shown_in_an_error() -> None:
    """It may hold passwords."""
    bad = config(NETWORK, {"password": "hidden"})
    bad["value"]["version"] = "hidden"
    with pytest.raises(InvalidRecord) as caught:
        list(replay([bad], make_schemas()))
    assert "hidden" not in str(caught.value)


REQUEST = StackRequest(tenant="t", name="s", template="", parameters={})


def test_scripted_heat_does_nothing_by_itself() -> None:
    """An operation lasts until it is ended, and is seen once."""
    heat = ScriptedHeat()
    made = heat.create(REQUEST)
    assert ([made.id], True) == ([*heat.observe([made])], made.in_progress)
    output = StackOutput(output_key="k", output_value=1, description="")
    assert heat.end("s", "CREATE_COMPLETE", "why", (output,))
    assert {"other": None} == heat.observe([attrs.evolve(made, id="other", name="other")])
    assert (1, (output,)) == (heat.unseen, heat.outputs(made))
    found = heat.observe([made])[made.id]
    assert found is not None
    assert ("CREATE_COMPLETE", "why", 0) == (found.status, found.status_reason, heat.unseen)
    assert not heat.end("s", "CREATE_COMPLETE", "", ())
    assert not heat.end("other", "CREATE_COMPLETE", "", ())


def test_scripted_heat_deletes() -> None:
    """Once ended, the stack is gone: it can't be updated, and need not be deleted."""
    heat = ScriptedHeat()
    made = heat.create(REQUEST)
    heat.delete(made)
    assert heat.end("s", "DELETE_COMPLETE", "", ())
    assert ({made.id: None}, None) == (heat.observe([made]), heat.find("t", "s"))
    heat.delete(made)
    for call in (lambda: heat.update(made, REQUEST), lambda: heat.outputs(made)):
        with pytest.raises(StackNotFound):
            call()


def test_scripted_heat_accepts_everything() -> None:
    """It checks nothing, knows no more than it was told, and holds nothing."""
    heat = ScriptedHeat()
    heat.validate(REQUEST)
    made: Stack = heat.create(REQUEST)
    heat.update(made, REQUEST)
    assert Diagnosis() == heat.diagnose(made)
    heat.close()
