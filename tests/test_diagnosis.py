"""What is wrong with a deployment: judged from facts, gathered from a store, said at a terminal."""

from __future__ import annotations

import datetime as dt
import json
from importlib.resources import files
from typing import Any

import attrs
import pytest
import requests
from click.testing import CliRunner, Result

from gohan_jobs.acceptance import Acceptances
from gohan_jobs.bookkeeping import FORMAT, Held, JobNotes, Orphan, Repair
from gohan_jobs.cli.main import main
from gohan_jobs.clock import SystemClock
from gohan_jobs.diagnosis import (
    ClaimFacts,
    Facts,
    Finding,
    JobFacts,
    Member,
    Severity,
    StoreFacts,
    diagnose,
)
from gohan_jobs.diagnosis.examination import examine, examine_heat, examine_member
from gohan_jobs.exceptions import OrchestratorUnavailable, StoreRefused, StoreUnavailable
from gohan_jobs.keys import JobId, Keys, Place
from gohan_jobs.orchestrators.base import Stack
from gohan_jobs.orchestrators.simulated import SimulatedHeat
from gohan_jobs.queue import Queue
from gohan_jobs.schemas import Schema, Schemas
from gohan_jobs.stores.base import Page, Put, Transaction
from gohan_jobs.stores.etcd.store import EtcdStatus
from gohan_jobs.stores.memory import MemoryStore
from worlds import ALIAS, NETWORK, SCHEMAS, TENANT, World, ref

NOW = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
WELL = Facts(now=NOW, workers=("w",), heat="", store=StoreFacts(format=FORMAT, supported=FORMAT))
OLD = (NOW - dt.timedelta(hours=2)).isoformat()
SCHEMA_FILE = str(files("gohan_jobs.demo").joinpath("data", "schemas.json"))


def found(**facts: Any) -> list[str]:
    """What is found, beside what is well, in brief."""
    return [
        f"{each.severity} {each.check}: {each.what}"
        for each in diagnose(attrs.evolve(WELL, **facts))
        if each.check != "history" or each.severity is not Severity.INFO
    ]


def test_all_is_well() -> None:
    """Then there is only what is good to know."""
    (finding,) = diagnose(WELL)
    assert (Severity.INFO, "history") == (finding.severity, finding.check)


def job(**facts: Any) -> JobFacts:
    """An unfinished job."""
    return JobFacts(**{"job": "j", "places": (Place.READY,), **facts})


@pytest.mark.parametrize(
    ("version", "expected"),
    [("3.4.27", 0), ("3.5.0", 1), ("3.5.2", 1), ("3.5.3", 0), ("3.6.0", 0), ("", 0)],
)
def test_which_servers_lose_consistency(version: str, expected: int) -> None:
    """Those from 3.5.0 to 3.5.2; one that does not answer is not of another version."""
    members = (Member(endpoint="e", version=version), Member(endpoint="f", error="dead"))
    said = [each for each in found(members=members) if "does not serve" not in each]
    assert expected == len(said)


@pytest.mark.parametrize(
    ("format", "advice"),
    [("loading", "repeat `gohan-jobs load FILE`"), ("9", "use the release that wrote it")],
)
def test_what_to_do_about_another_format(format: str, advice: str) -> None:  # noqa: A002 - its name
    """One that is half loaded is loaded on; of another release's nothing is taken away."""
    store = attrs.evolve(WELL.store, format=format)
    (finding,) = (each for each in diagnose(attrs.evolve(WELL, store=store)) if each.advice)
    assert advice == finding.advice[: len(advice)]


def test_the_fullest_member_and_the_longest_lease_are_told() -> None:
    """Of several the worst one; what lives by itself is none of them."""
    members = (Member(endpoint="e", size=85), Member(endpoint="f", size=95))
    assert "takes 95 % of its quota" in found(members=members, quota=100)[0]
    claims = (
        ClaimFacts(job="j", leased=True, remaining=7.0, registered=False),
        ClaimFacts(job="k", leased=True, remaining=50.0, registered=True),
    )
    assert "once its lease ends, in 7 s" in found(claims=claims)[0]


def test_one_lost_claim_is_nothing_to_look_at() -> None:
    """A worker may be restarted; what is held on purpose does not wait for nothing, either."""
    assert [] == found(jobs=(job(attempts=1),))
    (said,) = found(jobs=(job(planned_at=OLD, held=True),))
    assert "warning jobs: jobs that have been unfinished" == said[:44]


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        (
            {"members": (Member(endpoint="e", error="dead"),)},
            "error etcd: a member does not serve us",
        ),
        ({"store": StoreFacts(error="dead")}, "error etcd: the keyspace can't be read"),
        ({"members": (Member(endpoint="e", version="3.5.1"),)}, "error etcd: etcd 3.5.1 can lose"),
        (
            {"members": tuple(Member(endpoint="e", version=each) for each in ("3.5.6", "3.5.9"))},
            "warning etcd: the members are of different versions: 3.5.6, 3.5.9",
        ),
        ({"members": (Member(endpoint="e", alarms=("NOSPACE",)),)}, "error etcd: etcd is full"),
        ({"members": (Member(endpoint="e", alarms=("CORRUPT",)),)}, "error etcd: etcd has found"),
        (
            {"members": (Member(endpoint="e", size=85),), "quota": 100},
            "warning etcd: the database takes 85 % of its quota",
        ),
        (
            {"store": attrs.evolve(WELL.store, revision=60_000)},
            "warning history: nothing of 59,999 revisions was ever compacted",
        ),
        (
            {"store": attrs.evolve(WELL.store, revision=2_000_000, oldest=5)},
            "warning history: 1,999,995 revisions are kept",
        ),
        (
            {"store": attrs.evolve(WELL.store, format="loading")},
            "error keyspace: the keyspace's format is 'loading'",
        ),
        (
            {"store": attrs.evolve(WELL.store, moved_from="c0")},
            "error keyspace: the keyspace is of",
        ),
        ({"leader": False}, "error leader: nobody leads"),
        ({"stopped": "many"}, "error leader: the job manager has stopped"),
        ({"workers": ()}, "error workers: no worker is there"),
        (
            {"claims": (ClaimFacts(job="j", leased=False, remaining=None, registered=False),)},
            "error claims: claims without a lease",
        ),
        (
            {"claims": (ClaimFacts(job="j", leased=True, remaining=7.0, registered=False),)},
            "warning claims: jobs whose worker is gone: they are free again once its lease ends",
        ),
        (
            {"jobs": (job(places=(Place.READY, Place.WAITING)),)},
            "error jobs: jobs that stand in two",
        ),
        ({"jobs": (job(places=()),)}, "warning jobs: jobs that stand nowhere"),
        ({"jobs": (job(planned_at=OLD),)}, "error jobs: jobs that wait for nothing, and for long"),
        (
            {"jobs": (job(planned_at=OLD, places=(Place.WORKING,)),)},
            "warning jobs: jobs that have been unfinished for more than 3600 s",
        ),
        ({"jobs": (job(attempts=2),)}, "warning jobs: jobs whose claim was lost more than once"),
        ({"unknown": ("/config/a/b",)}, "warning configs: configs of types that no schema has"),
        ({"quarantine": (("/config/a/b", "bad"),)}, "error quarantine: what can't be used"),
        ({"held": (("/config/a/b", "x"),)}, "warning holds: configs that wait"),
        ({"vetoed": (("/config/a/b", "x"),)}, "warning holds: changes that an admission hook"),
        ({"missing": ("port",)}, "error templates: heat_templates that configs need"),
        ({"refused": (("port", "import"),)}, "error templates: heat_templates that can't be rend"),
        ({"orphans": (("a/b", "x"),)}, "warning orphans: stacks whose config is gone"),
        ({"repairs": ("a/b",)}, "warning repairs: stacks that were changed"),
        ({"requests": ("retry a/b",)}, "warning requests: an operator's requests"),
        ({"heat": None}, "info heat: Heat was not asked"),
        ({"heat": "401"}, "error heat: Heat can't be used: 401"),
        ({"skew": 9.0}, "warning clocks: Heat's clock is 9 s ahead of the one here"),
        ({"skew": -9.0}, "warning clocks: Heat's clock is 9 s behind the one here"),
        (
            {"jobs": (job(planned_at=(NOW + dt.timedelta(minutes=1)).isoformat()),)},
            "warning clocks: jobs planned in the future",
        ),
    ],
)
def test_each_fact_is_one_finding(facts: dict[str, Any], expected: str) -> None:
    """It is named once, with its severity; and nothing else is."""
    (actual,) = found(**facts)
    assert actual.startswith(expected)


def test_a_key_is_named_once() -> None:
    """An error of the codec names it already."""
    findings = diagnose(attrs.evolve(WELL, quarantine=(("/config/a/b", "/config/a/b: no JSON"),)))
    assert ("/config/a/b: no JSON",) == findings[0].subjects


def test_what_is_known_twice_is_told_once() -> None:
    """A config of no type is set aside for that; a key of no known time is not old."""
    both = {"unknown": ("/config/a/b",), "quarantine": (("/config/a/b", "no schema"),)}
    assert 1 == len(found(**both))
    assert [] == found(jobs=(job(planned_at="yesterday"), job(planned_at="2001-01-01T00:00:00")))


def test_the_worst_comes_first() -> None:
    """Of many subjects some are named."""
    facts = attrs.evolve(WELL, heat=None, missing=("a", "b", "c", "d"), repairs=("r",))
    findings = diagnose(facts)
    severities = [finding.severity for finding in findings]
    assert [Severity.ERROR, Severity.WARNING, Severity.INFO, Severity.INFO] == severities
    assert (("a", "b", "c"), 4) == (findings[0].subjects, findings[0].count)


# Gathering.


def gathered(world: World) -> Facts:
    """The facts of a world."""
    queue = Queue(world.keys, world.codec)
    facts, tenant = examine(world.store, world.codec, queue, world.schemas, clock=world.clock)
    assert tenant in {"", TENANT}
    return facts


def test_a_world_at_rest() -> None:
    """Nothing is wrong with it."""
    world = World()
    world.write(NETWORK)
    world.write(ALIAS)
    world.pass_time(10)
    facts = attrs.evolve(gathered(world), heat="")
    assert ["history"] == [finding.check for finding in diagnose(facts)]
    assert 1 == facts.store.oldest
    world.store.compact(5)
    assert 5 == gathered(world).store.oldest


def test_a_world_in_trouble() -> None:
    """Each of its troubles is a fact."""
    world = World(operation_seconds=60.0)
    own = Queue(world.keys, world.codec).own
    world.template("port", {"a": "Qb"})
    world.template("disk", {}, text="{% import 'x' %}")
    world.put("/config/v2.0/heat_templates/broken", b"no JSON")
    world.write(NETWORK)
    world.settle()
    running = str(world.job(NETWORK).id)
    world.delete("/config/v2.0/heat_templates/quota")
    world.write(ref("quota", "q1"))
    world.write(ref("port", "p1"), {"network_id": "n1"})
    world.put("/config/v9/none/x", b"{}")
    world.put("/config/short", b"{}")
    world.put("/config/v2.0/networks/bad", b"no JSON")
    world.write(ref("network", "n2"), {}, 2, marked=True)
    world.settle()
    orphan = Orphan(path="v2.0/disks/d9", reason="gone", since="")
    world.put(f"{own.orphans_prefix}v2.0/disks/d9", own.dumps(orphan))
    world.put(f"{own.orphans_prefix}v2.0/disks/junk", b"no JSON")
    world.put(f"{own.repairs_prefix}v2.0/disks/d9", own.dumps(Repair(tenant="t", job="")))
    stray = JobId("create", "heat_worker", "disk", "d1", 1, "aaaaa")
    world.put(world.keys.job(stray), b"no JSON")
    world.put(world.keys.place(Place.READY, stray), b"")
    world.put(world.keys.place(Place.WAITING, stray), b"")
    held = JobNotes(planned_at="", path="v2.0/disks/d1", delay=5.0)
    world.put(own.job(stray), own.dumps(held))
    veto = Held(config_mod=3, reason="night", since="", until="noon", vetoed=True)
    world.put(f"{own.held_prefix}v2.0/disks/d8", own.dumps(veto))
    world.put(f"{own.retries_prefix}v2.0/disks/d9", b"")
    world.put(own.cancel(stray), b"")
    facts = gathered(world)
    assert ("quota",) == facts.missing
    assert ["broken", "disk", "port"] == [name for name, _ in facts.refused]
    assert ("/config/v9/none/x",) == facts.unknown
    assert "/config/v2.0/networks/bad" in dict(facts.quarantine)
    assert "/config/v2.0/quotas/q1" in dict(facts.held)
    assert (("/config/v2.0/disks/d8", "night, until noon"),) == facts.vetoed
    assert (("v2.0/disks/d9", "gone"),) == facts.orphans
    assert ("v2.0/disks/d9",) == facts.repairs
    assert ("retry v2.0/disks/d9", f"cancel {stray}") == facts.requests
    jobs = {each.job: each for each in facts.jobs}
    assert (
        JobFacts(job=str(stray), places=(Place.WAITING, Place.READY), held=True) == jobs[str(stray)]
    )
    assert (Place.WORKING,) == jobs[running].places
    (claim,) = facts.claims
    assert (running, True, 60.0, True) == (
        claim.job,
        claim.leased,
        claim.remaining,
        claim.registered,
    )
    assert (True, 1, FORMAT) == (facts.leader, len(facts.workers), facts.store.format)


def test_templates_that_others_name() -> None:
    """Which template a config needs may depend on what it refers to."""
    schemas = Schemas(
        [
            Schema(type="network", prefix="v2.0/networks"),
            Schema(
                type="port",
                prefix="v2.0/ports",
                relations={"network_id": "network"},
                templates={"heat_worker": "Fnetwork+network_id:name", "other": None},
            ),
        ]
    )
    world = World(schemas=schemas, templates={})
    world.write(NETWORK, {"name": "special"})
    world.write(ref("port", "p1"), {"network_id": "n1"})
    world.write(ref("port", "p2"), {"network_id": "nowhere"})
    world.write(ref("port", "p3"), {"network_id": "n1"}, marked=True)
    assert ("special",) == gathered(world).missing


def test_a_leader_that_has_stopped() -> None:
    """Its words are a fact; so is what nobody can read."""
    world = World()
    world.settle()
    manager = world.lifecycle._manager
    assert manager is not None
    Acceptances(world.store, Keys(), manager.leadership, world.clock).given("many are gone")
    assert "many are gone" == gathered(world).stopped
    world.put("/gohan-jobs/degraded", b"no JSON")
    assert gathered(world).stopped.startswith("/gohan-jobs/degraded: ")


def test_a_keyspace_that_was_moved() -> None:
    """Where it was before is a fact; and a claim without a lease."""
    world = World()
    world.put("/gohan-jobs/cluster", b"before")
    world.put("/jobs/working/x", b"")
    facts = gathered(world)
    assert ("before", "") == (facts.store.moved_from, facts.store.format)
    assert [(False, None)] == [(claim.leased, claim.remaining) for claim in facts.claims]


class Dead(MemoryStore):
    """A store that does not answer."""

    def revision(self) -> int:
        """Do not."""
        raise StoreUnavailable("no answer")

    def entries(self, prefix: str, *, after: str = "", limit: int = 500, revision: int = 0) -> Page:
        """Do not."""
        raise StoreUnavailable("no answer")


def test_a_store_that_does_not_answer() -> None:
    """That is a fact, too."""
    world = World()
    world.store = Dead()
    assert "no answer" == gathered(world).store.error


class Asked:
    """A member that answers, or not."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error

    def status(self) -> EtcdStatus:
        """What it says."""
        if self.error is not None:
            raise self.error
        return EtcdStatus(version="3.5.9", size=7, alarms=("NOSPACE",))


def test_what_a_member_says() -> None:
    """Or why it says nothing."""
    expected = Member(endpoint="e", version="3.5.9", size=7, alarms=("NOSPACE",))
    assert expected == examine_member("e", Asked())
    silent = Asked(StoreRefused("no"))
    assert Member(endpoint="e", error="no") == examine_member("e", silent)


class Ill(SimulatedHeat):
    """A Heat that does not answer."""

    def find(self, tenant: str, name: str) -> Stack | None:
        """Do not."""
        raise OrchestratorUnavailable("503")


def test_what_heat_says() -> None:
    """Nothing, if all is well."""
    assert "" == examine_heat(SimulatedHeat(SystemClock()), "t")
    assert "503" == examine_heat(Ill(SystemClock()), "t")


# At the terminal.


class Kept(MemoryStore):
    """A store that a command does not close, and that says what etcd would."""

    def close(self) -> None:
        """Stay open."""

    def status(self) -> EtcdStatus:
        """What a member says."""
        return EtcdStatus(version="3.5.9", size=7, alarms=())


def doctor(
    monkeypatch: pytest.MonkeyPatch, store: MemoryStore, *arguments: str, heat: Any = None
) -> Result:
    """Call ``gohan-jobs doctor``."""
    monkeypatch.setattr("gohan_jobs.cli.doctor.open_store", lambda *_: store)
    monkeypatch.setattr("gohan_jobs.cli.deployment.read_schemas", lambda *_: SCHEMAS)
    monkeypatch.setattr("gohan_jobs.cli.doctor.open_heat", lambda *_: heat)
    options = ("--etcd", "127.0.0.1:1", "--schemas", SCHEMA_FILE)
    return CliRunner().invoke(main, ["doctor", *options, *arguments])


def at_rest() -> World:
    """A world at rest, on a store that is kept."""
    world = World()
    world.store.__class__ = Kept
    world.write(NETWORK)
    world.pass_time(10)
    return world


def test_doctor_finds_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit status 0."""
    world = at_rest()
    result = doctor(monkeypatch, world.store, "--heat", "simulated", heat=world.heat)
    assert (0, "nothing is wrong") == (result.exit_code, result.stdout.splitlines()[-1])
    result = doctor(monkeypatch, world.store, "--json")
    checks = [finding["check"] for finding in json.loads(result.stdout)["findings"]]
    assert (0, ["history", "heat"]) == (result.exit_code, checks)


def test_doctor_finds_something(monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit status 1; what, whose, and what to do."""
    world = at_rest()
    puts = tuple(Put(f"/config/v9/none/{number}", b"{}") for number in range(5))
    world.store.transact(Transaction((), puts))
    result = doctor(monkeypatch, world.store)
    expected = [
        "warning: configs: configs of types that no schema has: they are set aside",
        "  - /config/v9/none/0",
        "  - /config/v9/none/1",
        "  - /config/v9/none/2",
        "  and 2 more",
        "  -> give a newer --schemas to every process",
    ]
    assert (1, expected) == (result.exit_code, result.stdout.splitlines()[:6])


def test_doctor_is_told_what_nobody_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    """The quota and what is old, by the options that other commands have, too."""
    seen: list[Facts] = []

    def diagnosed(facts: Facts) -> tuple[Finding, ...]:
        seen.append(facts)
        return ()

    monkeypatch.setattr("gohan_jobs.cli.doctor.diagnose", diagnosed)
    store = at_rest().store
    for arguments in ((), ("--quota-bytes", "77", "--older-than", "10m"), ("--older-than", "5")):
        assert 0 == doctor(monkeypatch, store, *arguments).exit_code
    expected = [(2**31, 3600.0), (77, 600.0), (2**31, 5.0)]
    assert expected == [(facts.quota, facts.patience) for facts in seen]


def test_doctor_asks_heat(monkeypatch: pytest.MonkeyPatch) -> None:
    """For a tenant that it knows, or is told; whatever goes wrong is a finding."""
    store = Kept()
    result = doctor(monkeypatch, store, "--heat", "simulated", heat=SimulatedHeat(SystemClock()))
    assert "there is no config whose tenant could be asked for: give --tenant" in result.stdout
    options = ("--heat", "simulated", "--tenant", "t")
    result = doctor(monkeypatch, store, *options, heat=Ill(SystemClock()))
    assert "error: heat: Heat can't be used: 503" in result.stdout

    class Refusing:
        def close(self) -> None:
            raise OrchestratorUnavailable("no cloud")

    result = doctor(monkeypatch, store, *options, heat=Refusing())
    assert 1 == result.exit_code


def test_doctor_without_members(monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that is no etcd says nothing of members."""
    store = MemoryStore()
    store.close = lambda: None  # type: ignore[method-assign]  # it is looked at again
    assert "error: leader: nobody leads" in doctor(monkeypatch, store).stdout


@pytest.mark.parametrize(
    ("date", "expected"),
    [
        ("Thu, 01 Jan 2015 00:00:00 GMT", True),
        ("yesterday", False),
        (None, False),
    ],
)
def test_heats_clock(monkeypatch: pytest.MonkeyPatch, date: str | None, *, expected: bool) -> None:
    """It is in the head of any answer, or not known."""
    asked: list[str] = []

    def get(url: str, timeout: float) -> requests.Response:
        asked.append(url)
        if date is None:
            raise requests.ConnectionError("no")
        answer = requests.Response()
        answer.headers["Date"] = date
        return answer

    monkeypatch.setattr("requests.get", get)
    heat = SimulatedHeat(SystemClock())
    result = doctor(
        monkeypatch, Kept(), "--heat", "http://h/v1/%(tenant_id)s", "--tenant", "t", heat=heat
    )
    assert expected == ("clocks: Heat's clock is" in result.stdout)
    assert ["http://h/v1/"] == asked
