"""Keys and job ids: parsed, built, refused."""

from __future__ import annotations

import pickle

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gohan_jobs.exceptions import InvalidKey
from gohan_jobs.keys import JobId, Keys, ParsedKey, Place, RecordKind, ResourcePath
from strategies import job_ids, paths

unhurried = settings(deadline=None)  # other work on the machine must not decide

TEXT = "create:heat_worker:port:p1:12:ab3de"
JOB = JobId("create", "heat_worker", "port", "p1", 12, "ab3de")
PATH = ResourcePath("v2.0/ports/p1")


def test_job_id_is_parsed_and_spelled() -> None:
    """A job id's text and its parts say the same."""
    assert JOB == JobId.parse(TEXT)
    assert TEXT == str(JOB)
    assert "port:p1:12" == JOB.job_name
    assert 12 == JobId.parse(TEXT).version


@unhurried
@given(job_ids)
def test_job_ids_come_back(job_id: JobId) -> None:
    """Every id that can be made is parsed from its text, and pickled."""
    assert job_id == JobId.parse(str(job_id))
    again = pickle.loads(pickle.dumps(job_id))  # noqa: S301 - our own bytes
    assert job_id == again


def test_job_ids_sort_by_their_parts() -> None:
    """Versions sort as numbers."""
    later = JobId("create", "heat_worker", "port", "p1", 100, "ab3de")
    assert [JOB, later] == sorted([later, JOB])


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "a job id has 6 parts, this has 1"),
        (f"{TEXT}:x", "a job id has 6 parts, this has 7"),
        (":heat_worker:port:p1:1:abcde", "its action can't stand in a job id"),
        ("create:heat worker:port:p1:1:abcde", "its handler can't stand in a job id"),
        ("create:h:a/b:p1:1:abcde", "its resource type can't stand in a job id"),
        ("create:h:port:\ud800:1:abcde", "its resource id can't stand in a job id"),
        ("create:h:port:p1:01:abcde", "its version can't stand in a job id"),
        ("create:h:port:p1:-1:abcde", "its version can't stand in a job id"),
        ("create:h:port:p1:1_0:abcde", "its version can't stand in a job id"),
        ("create:h:port:p1:\u0661:abcde", "its version can't stand in a job id"),
        ("create:h:port:p1:1:ABCDE", "its suffix can't stand in a job id"),
        ("create:h:port:p1:1:abcde\n", "its suffix can't stand in a job id"),
        ("create:h:port:p1:x:y", "its version and suffix can't stand in a job id"),
    ],
)
def test_what_is_no_job_id(text: str, reason: str) -> None:
    """What can't be a job id is refused, saying which part is wrong."""
    with pytest.raises(InvalidKey) as caught:
        JobId.parse(text)
    assert (text, reason) == (caught.value.key, caught.value.reason)


@pytest.mark.parametrize(
    "parts",
    [
        ("create", "heat_worker", "port", "a:b", 1, "abcde"),
        ("create", "heat_worker", "port", "", 1, "abcde"),
        ("create", "heat_worker", "port", "p1", -1, "abcde"),
        ("create", "heat_worker", "port", "p1", 10**19, "abcde"),
        ("create", "heat_worker", "port", "p1", 1, "abc"),
    ],
)
def test_no_job_id_is_made_that_can_not_be_parsed(
    parts: tuple[str, str, str, str, int, str],
) -> None:
    """A part that can't stand in a job id is refused where the id is made."""
    with pytest.raises(InvalidKey, match="job id"):
        JobId(*parts)


KINDS = {
    "/config/v2.0/ports/p1": (RecordKind.CONFIG, Keys().config_of),
    "/state/v2.0/ports/p1": (RecordKind.STATE, Keys().state_of),
    "/monitoring/v2.0/ports/p1": (RecordKind.MONITORING, Keys().monitoring_of),
    "/esi-worker/config/v2.0/ports/p1": (RecordKind.PROCESSED, Keys().processed_of),
    "/esi-worker/heat_stacks/v2.0/ports/p1": (RecordKind.HEAT_STACK, Keys().heat_stack_of),
    "/esi-worker/job_state/v2.0/ports/p1": (RecordKind.JOB_STATE, Keys().job_state_of),
}


@pytest.mark.parametrize("key", KINDS)
def test_keys_of_a_resource(key: str) -> None:
    """The documented keys of a resource are built and parsed."""
    kind, build = KINDS[key]
    assert key == build(PATH)
    assert ParsedKey(kind, PATH) == Keys().parse(key)
    assert kind is Keys().kind(key)


def test_prefixes_of_the_workers_records() -> None:
    """What is listed as a whole has its prefix."""
    assert "/esi-worker/config/" == Keys().processed_prefix
    assert "/esi-worker/heat_stacks/" == Keys().heat_stack_prefix


def test_keys_of_a_job() -> None:
    """The documented keys of a job are built and parsed."""
    keys = Keys()
    assert f"/jobs/all/{TEXT}" == keys.job(JOB)
    assert "/jobs/all/" == keys.all_jobs
    assert ParsedKey(RecordKind.JOB, job_id=JOB) == keys.parse(keys.job(JOB))
    assert RecordKind.JOB is keys.kind(keys.job(JOB))
    assert [f"/jobs/{place}/{TEXT}" for place in ("waiting", "ready", "working", "finished")] == [
        keys.place(place, JOB) for place in Place
    ]
    assert "/jobs/ready/" == keys.place_prefix(Place.READY)
    assert JOB == keys.job_id_in("/jobs/ready/", keys.place(Place.READY, JOB))


@unhurried
@given(paths, st.sampled_from(list(KINDS.values())))
def test_every_resource_has_its_keys(path: ResourcePath, kind: tuple[RecordKind, object]) -> None:
    """A key that was built for a path is parsed to it."""
    _, build = kind
    assert ParsedKey(kind[0], path) == Keys().parse(build(path))  # type: ignore[operator] # a method


@pytest.mark.parametrize(
    "key",
    [
        "",
        "/",
        "/config",
        "config/v2.0/ports/p1",
        "/configs/v2.0/ports/p1",
        "/jobs/all",
        f"/jobs/ready/{TEXT}",
        "/job_manager_id",
        "/worker-workflow-jobs",
        "/gohan-jobs/format",
    ],
)
def test_what_is_no_records_key(key: str) -> None:
    """The queue's places, the leader's key and foreign keys are no records' keys."""
    for parse in (Keys().parse, Keys().kind):
        with pytest.raises(InvalidKey, match="not a record's key"):
            parse(key)


@pytest.mark.parametrize("path", ["", "ports", "v2.0//p1", "v2.0/ports/", "v2.0/ports/\udc00"])
def test_what_is_no_resources_path(path: str) -> None:
    """A prefix and an id are needed, no part empty, all of it characters."""
    assert Keys().path_in("/config/", f"/config/{path}") is None
    for parse in (Keys().parse, Keys().kind):
        with pytest.raises(InvalidKey, match="no resource's path below a record's prefix"):
            parse(f"/config/{path}")


def test_a_jobs_key_without_a_job_id() -> None:
    """The error names the whole key; only ``kind`` does not look at the id."""
    with pytest.raises(InvalidKey) as caught:
        Keys().parse("/jobs/all/x")
    assert ("/jobs/all/x", "a job id has 6 parts, this has 1") == (
        caught.value.key,
        caught.value.reason,
    )
    assert RecordKind.JOB is Keys().kind("/jobs/all/x")


def test_paths_below_a_prefix() -> None:
    """Another prefix's key has no path below this one; a longer prefix is not this one."""
    assert Keys().path_in("/config/", "/config/v2.0/ports/p1") == PATH
    assert Keys().path_in("/config/", "/state/v2.0/ports/p1") is None
    assert Keys().path_in("/config/", "/config2/v2.0/ports/p1") is None


def test_templates() -> None:
    """A heat_template is known by its path."""
    path = Keys().template_path("port")
    assert path == "v2.0/heat_templates/port"
    assert [True, False] == [Keys().is_template(path), Keys().is_template(PATH)]


def test_keys_of_another_place() -> None:
    """Every prefix can be another one."""
    keys = Keys(config="/a/config/", worker="/a/worker/", jobs="/a/jobs/", own="/a/own/")
    assert "/a/worker/job_state/v2.0/ports/p1" == keys.job_state_of(PATH)
    assert ParsedKey(RecordKind.CONFIG, PATH) == keys.parse("/a/config/v2.0/ports/p1")
    assert ParsedKey(RecordKind.JOB, job_id=JOB) == keys.parse(f"/a/jobs/all/{TEXT}")
    assert Keys() != keys
    assert keys == Keys(config="/a/config/", worker="/a/worker/", jobs="/a/jobs/", own="/a/own/")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"config": "config/"}, "config must begin and end with '/'"),
        ({"state": "/state"}, "state must begin and end with '/'"),
        ({"own": "/"}, "own must begin and end with '/'"),
        ({"leader": "leader"}, "leader must begin with '/' and not end with one"),
        ({"leader": "/leader/"}, "leader must begin with '/' and not end with one"),
        ({"templates": "/v2.0/heat_templates/"}, "templates must end with '/'"),
        ({"templates": "v2.0/heat_templates"}, "templates must end with '/'"),
        ({"state": "/config/state/"}, "stands below another prefix, '/config/'"),
        ({"config": "/state/config/"}, "stands below another prefix, '/state/'"),
        ({"own": "/jobs/"}, "stands below another prefix, '/jobs/'"),
    ],
)
def test_prefixes_that_can_not_be(changes: dict[str, str], reason: str) -> None:
    """A prefix that is none, or that would mix two kinds of keys, is refused."""
    with pytest.raises(InvalidKey, match=reason):
        Keys(**changes)
