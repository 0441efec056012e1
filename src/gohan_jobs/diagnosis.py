"""What is wrong with a deployment, what that means, and what to do: from facts, without reading.

:mod:`gohan_jobs.examination` gathers the facts. Nothing is judged twice: each finding names one
cause, and the keys or jobs it concerns.
"""

from __future__ import annotations

import datetime as dt
import enum
import re
from collections.abc import Callable, Iterator, Sequence

import attrs

from gohan_jobs.keys import Place

__all__ = [
    "ClaimFacts",
    "Facts",
    "Finding",
    "JobFacts",
    "Member",
    "Severity",
    "StoreFacts",
    "diagnose",
]

_FULL = 0.8
_LONG_HISTORY = 1_000_000
_NEVER_COMPACTED = 50_000
_SKEW = 5.0
_NAMED = 3
_VERSION = re.compile(r"(\d+)\.(\d+)\.(\d+)")


class Severity(enum.StrEnum):
    """How bad it is."""

    ERROR = "error"
    """Something does not work, or will be lost."""

    WARNING = "warning"
    """Somebody should look."""

    INFO = "info"
    """Good to know; nothing is wrong."""


@attrs.frozen(kw_only=True)
class Finding:
    """One thing that was found.

    Attributes:
        severity: how bad it is.
        check: what was looked at: ``etcd``, ``leader``, ``jobs`` and so on.
        what: what was found, and what it means.
        advice: what to do; empty if nothing.
        subjects: some of the keys, jobs or members concerned.
        count: of how many these are some.
    """

    severity: Severity
    check: str
    what: str
    advice: str = ""
    subjects: tuple[str, ...] = ()
    count: int = 1


@attrs.frozen(kw_only=True)
class Member:
    """One etcd member, as it answers.

    Attributes:
        endpoint: how it is reached.
        error: why it does not answer; empty if it does.
        version: of the server.
        size: bytes of its database, free pages included.
        alarms: of any member, such as ``NOSPACE``.
    """

    endpoint: str
    error: str = ""
    version: str = ""
    size: int = 0
    alarms: tuple[str, ...] = ()


@attrs.frozen(kw_only=True)
class StoreFacts:
    """The store as a whole.

    Attributes:
        error: why it can't be read; empty if it can.
        revision: the current one.
        oldest: the oldest that can be read; 1 if nothing was ever compacted.
        format: what the keyspace's format says; empty if nothing works here yet.
        supported: the format of this release.
        moved_from: id of the cluster worked on before, if it was another.
    """

    error: str = ""
    revision: int = 1
    oldest: int = 1
    format: str = ""
    supported: str = ""
    moved_from: str = ""


@attrs.frozen(kw_only=True)
class ClaimFacts:
    """A job that somebody has.

    Attributes:
        job: its id.
        leased: whether the claim hangs on a lease.
        remaining: seconds the lease still has; None if that is not known.
        registered: whether a worker is registered under that lease.
    """

    job: str
    leased: bool
    remaining: float | None
    registered: bool


@attrs.frozen(kw_only=True)
class JobFacts:
    """An unfinished job.

    Attributes:
        job: its id.
        places: where it stands; one, if all is well.
        planned_at: since when, ISO 8601; empty if nobody knows.
        waits: how many unfinished jobs it waits for.
        held: whether it is held on purpose, or delayed.
        attempts: claims lost.
    """

    job: str
    places: tuple[Place, ...]
    planned_at: str = ""
    waits: int = 0
    held: bool = False
    attempts: int = 0


@attrs.frozen(kw_only=True)
class Facts:
    """What was found out, for :func:`diagnose`.

    Attributes:
        now: the time of day here.
        members: the etcd members asked.
        store: the store as a whole.
        leader: whether somebody leads.
        stopped: why the leader has stopped on purpose; empty if it has not.
        workers: ids of the workers.
        claims: the jobs that somebody has.
        jobs: the unfinished jobs.
        unknown: config keys of which no schema has the type.
        missing: heat_templates that configs need and that are not there.
        refused: heat_templates that can't be used, and why.
        quarantine: keys that are set aside, and why.
        held: configs that wait for something they refer to, and for what.
        vetoed: configs that a hook keeps from being planned, and why.
        orphans: stacks whose config is gone, and why they were kept.
        repairs: stacks that are still to be made right.
        requests: what operators have asked for, and is not done.
        heat: why Heat can't be used; empty if it can; None if it was not asked.
        skew: seconds that Heat's clock is ahead of the one here; None if that is not known.
        quota: bytes etcd may take.
        patience: seconds after which an unfinished job is worth a look.
    """

    now: dt.datetime
    members: tuple[Member, ...] = ()
    store: StoreFacts = StoreFacts()
    leader: bool = True
    stopped: str = ""
    workers: tuple[str, ...] = ()
    claims: tuple[ClaimFacts, ...] = ()
    jobs: tuple[JobFacts, ...] = ()
    unknown: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    refused: tuple[tuple[str, str], ...] = ()
    quarantine: tuple[tuple[str, str], ...] = ()
    held: tuple[tuple[str, str], ...] = ()
    vetoed: tuple[tuple[str, str], ...] = ()
    orphans: tuple[tuple[str, str], ...] = ()
    repairs: tuple[str, ...] = ()
    requests: tuple[str, ...] = ()
    heat: str | None = None
    skew: float | None = None
    quota: int = 2 * 2**30
    patience: float = 3600.0


def diagnose(facts: Facts) -> tuple[Finding, ...]:
    """What is wrong, the worst first."""
    checks: tuple[Callable[[Facts], Iterator[Finding]], ...] = (
        _members,
        _versions,
        _space,
        _history,
        _keyspace,
        _roles,
        _claims,
        _places,
        _stuck,
        _configs,
        _templates,
        _left,
        _heat,
        _clocks,
    )
    found = [finding for check in checks for finding in check(facts)]
    order = list(Severity)
    return tuple(sorted(found, key=lambda finding: order.index(finding.severity)))


def _error(check: str, what: str, advice: str, subjects: Sequence[str] = ()) -> Finding:
    return _finding(Severity.ERROR, check, what, advice, subjects)


def _warning(check: str, what: str, advice: str, subjects: Sequence[str] = ()) -> Finding:
    return _finding(Severity.WARNING, check, what, advice, subjects)


def _finding(
    severity: Severity, check: str, what: str, advice: str, subjects: Sequence[str]
) -> Finding:
    return Finding(
        severity=severity,
        check=check,
        what=what,
        advice=advice,
        subjects=tuple(subjects[:_NAMED]),
        count=max(1, len(subjects)),
    )


# etcd.


def _members(facts: Facts) -> Iterator[Finding]:
    for member in facts.members:
        if member.error:
            yield _error(
                "etcd",
                f"a member does not serve us: {member.error}",
                "if it is down, start it: without a majority nothing can be written; else correct "
                "--etcd, the certificates, the user or the password",
                (member.endpoint,),
            )
    if facts.store.error:
        yield _error(
            "etcd",
            f"the keyspace can't be read, so nothing else was looked at: {facts.store.error}",
            "correct what it names; the page on running on etcd tells of each of its bad days",
        )


def _versions(facts: Facts) -> Iterator[Finding]:
    bad = [member for member in facts.members if _loses_consistency(member.version)]
    if bad:
        yield _error(
            "etcd",
            f"etcd {bad[0].version} can lose consistency after a crash (3.5.0 to 3.5.2)",
            "upgrade to 3.5.6 or later, or 3.4.22 or later",
            [member.endpoint for member in bad],
        )
    versions = sorted({member.version for member in facts.members if member.version})
    if len(versions) > 1:
        yield _warning(
            "etcd",
            f"the members are of different versions: {', '.join(versions)}",
            "finish the upgrade",
        )


def _loses_consistency(version: str) -> bool:
    found = _VERSION.match(version)
    return found is not None and (3, 5, 0) <= tuple(map(int, found.groups())) <= (3, 5, 2)


def _space(facts: Facts) -> Iterator[Finding]:
    if any("NOSPACE" in member.alarms for member in facts.members):
        yield _error(
            "etcd",
            "etcd is full (alarm NOSPACE): nothing can be written, only deleted",
            "compact, defragment each member, then `etcdctl alarm disarm`; see the page on etcd",
        )
    if any("CORRUPT" in member.alarms for member in facts.members):
        yield _error(
            "etcd",
            "etcd has found its data corrupt (alarm CORRUPT)",
            "find the member whose hash differs, remove it, and add it anew",
        )
    full = [member for member in facts.members if member.size >= _FULL * facts.quota]
    if full:
        share = round(100 * max(member.size for member in full) / facts.quota)
        yield _warning(
            "etcd",
            f"the database takes {share} % of its quota: the resync of unchanged configs pauses",
            "compact and defragment; give --quota if etcd's is not 2 GiB",
            [member.endpoint for member in full],
        )


def _history(facts: Facts) -> Iterator[Finding]:
    store = facts.store
    if store.error:
        return
    length = store.revision - store.oldest
    if store.oldest <= 1 and length >= _NEVER_COMPACTED:
        yield _warning(
            "history",
            f"nothing of {length:,} revisions was ever compacted: the database only grows",
            "give etcd --auto-compaction-mode=periodic --auto-compaction-retention=8h",
        )
    elif length >= _LONG_HISTORY:
        yield _warning(
            "history",
            f"{length:,} revisions are kept: the database is larger than it need be",
            "shorten --auto-compaction-retention",
        )
    else:
        yield Finding(
            severity=Severity.INFO,
            check="history",
            what=f"history reaches back {length:,} revisions, to {store.oldest}",
        )


def _keyspace(facts: Facts) -> Iterator[Finding]:
    store = facts.store
    if store.format and store.format != store.supported:
        yield _error(
            "keyspace",
            f"the keyspace's format is {store.format!r}, this release works with "
            f"{store.supported!r}",
            "repeat `gohan-jobs load`"
            if store.format == "loading"
            else "use the release that wrote it",
        )
    if store.moved_from:
        yield _error(
            "keyspace",
            f"the keyspace is of cluster {store.moved_from}, and this is another one: the job "
            "manager does not start",
            "correct --etcd; if it was moved on purpose, `gohan-jobs resume --accept --beforehand`",
        )


# Roles.


def _roles(facts: Facts) -> Iterator[Finding]:
    if facts.store.error:
        return
    if not facts.leader:
        yield _error(
            "leader",
            "nobody leads: configs are not planned, jobs not released",
            "start `gohan-jobs run --roles manager`, or read its log",
        )
    if facts.stopped:
        yield _error(
            "leader",
            f"the job manager has stopped until somebody has looked: {facts.stopped}",
            "look; then `gohan-jobs resume --accept`",
        )
    if not facts.workers:
        yield _error(
            "workers",
            "no worker is there: no job is carried out",
            "start `gohan-jobs run --roles worker`, or read its log",
        )


def _claims(facts: Facts) -> Iterator[Finding]:
    unleased = [claim.job for claim in facts.claims if not claim.leased]
    if unleased:
        yield _error(
            "claims",
            "claims without a lease, as another program leaves them: they never end by themselves",
            "see whether that program lives; else `gohan-jobs release JOB --force`",
            unleased,
        )
    dead = [claim.job for claim in facts.claims if claim.leased and not claim.registered]
    if dead:
        longest = max(claim.remaining or 0.0 for claim in facts.claims if not claim.registered)
        yield _warning(
            "claims",
            f"jobs whose worker is gone: they are free again once its lease ends, in {longest:.0f} "
            "s at most",
            "wait; or `gohan-jobs release JOB --force`",
            dead,
        )


# Jobs.


def _places(facts: Facts) -> Iterator[Finding]:
    twice = [job.job for job in facts.jobs if len(job.places) > 1]
    if twice:
        yield _error(
            "jobs",
            "jobs that stand in two places, as an old program can leave them",
            "restart the job manager: a new leader tidies them",
            twice,
        )
    nowhere = [job.job for job in facts.jobs if not job.places]
    if nowhere:
        yield _warning(
            "jobs",
            "jobs that stand nowhere: the leader puts them back within seconds",
            "look again; if they stay, read the job manager's log",
            nowhere,
        )


def _stuck(facts: Facts) -> Iterator[Finding]:
    old = [job for job in facts.jobs if _age(facts, job) > facts.patience]
    idle = [job.job for job in old if _should_move(job)]
    if idle:
        yield _error(
            "jobs",
            "jobs that wait for nothing, and for long",
            "see that a job manager leads and workers have the job's handler; read their logs",
            idle,
        )
    others = [job.job for job in old if job.job not in set(idle)]
    if others:
        yield _warning(
            "jobs",
            f"jobs that have been unfinished for more than {facts.patience:g} s",
            "`gohan-jobs explain TYPE ID` names what each waits for",
            others,
        )
    lost = [job.job for job in facts.jobs if job.attempts > 1]
    if lost:
        yield _warning(
            "jobs",
            "jobs whose claim was lost more than once: at five they fail",
            "read the log of the workers that died with them",
            lost,
        )


def _should_move(job: JobFacts) -> bool:
    return job.places in {(Place.WAITING,), (Place.READY,)} and not job.waits and not job.held


def _age(facts: Facts, job: JobFacts) -> float:
    return (facts.now - _moment(job.planned_at, facts.now)).total_seconds()


def _moment(text: str, otherwise: dt.datetime) -> dt.datetime:
    try:
        found = dt.datetime.fromisoformat(text)
    except ValueError:
        return otherwise
    return found if found.tzinfo is not None else otherwise


# What is stored.


def _configs(facts: Facts) -> Iterator[Finding]:
    if facts.unknown:
        yield _warning(
            "configs",
            "configs of types that no schema has: they are set aside",
            "give a newer --schemas to every process",
            facts.unknown,
        )
    unknown = set(facts.unknown)
    aside = [f"{key}: {reason}" for key, reason in facts.quarantine if key not in unknown]
    if aside:
        yield _error(
            "quarantine",
            "what can't be used is set aside until it changes",
            "correct it in Gohan; see `gohan-jobs check` for a record's problems",
            aside,
        )
    if facts.held:
        yield _warning(
            "holds",
            "configs that wait for something they refer to",
            "create what is missing, or correct the reference",
            [f"{key}: {reason}" for key, reason in facts.held],
        )
    if facts.vetoed:
        yield _warning(
            "holds",
            "changes that an admission hook has vetoed",
            "wait: each is asked about again at its time; or change what the hook, which is yours, "
            "goes by",
            [f"{key}: {reason}" for key, reason in facts.vetoed],
        )


def _templates(facts: Facts) -> Iterator[Finding]:
    if facts.missing:
        yield _error(
            "templates",
            "heat_templates that configs need are not there",
            "create them in Gohan; then `gohan-jobs retry` what has failed for it",
            facts.missing,
        )
    if facts.refused:
        yield _error(
            "templates",
            "heat_templates that can't be rendered, or have a wrong mapping",
            "correct them in Gohan; see the page on templates for what is allowed",
            [f"{name}: {reason}" for name, reason in facts.refused],
        )


def _left(facts: Facts) -> Iterator[Finding]:
    if facts.orphans:
        yield _warning(
            "orphans",
            "stacks whose config is gone, and that nobody asked to delete",
            "delete them in Heat, or write their config again",
            [f"{path}: {reason}" for path, reason in facts.orphans],
        )
    if facts.repairs:
        yield _warning(
            "repairs",
            "stacks that were changed by a worker without a claim, and are not right yet",
            "a job manager repairs them once their resource is at rest",
            facts.repairs,
        )
    if facts.requests:
        yield _warning(
            "requests",
            "an operator's requests that nobody has carried out yet",
            "see that a job manager leads; a cancelled job ends once its handler looks up",
            facts.requests,
        )


# Around it.


def _heat(facts: Facts) -> Iterator[Finding]:
    if facts.heat is None:
        yield Finding(
            severity=Severity.INFO,
            check="heat",
            what="Heat was not asked",
            advice="give --heat or --os-cloud",
        )
    elif facts.heat:
        yield _error("heat", f"Heat can't be used: {facts.heat}", "see the page on Heat")


def _clocks(facts: Facts) -> Iterator[Finding]:
    if facts.skew is not None and abs(facts.skew) > _SKEW:
        way = "ahead of" if facts.skew > 0 else "behind"
        yield _warning(
            "clocks",
            f"Heat's clock is {abs(facts.skew):.0f} s {way} the one here",
            "see that all machines follow NTP",
        )
    ahead = [job.job for job in facts.jobs if _age(facts, job) < -_SKEW]
    if ahead:
        yield _warning(
            "clocks",
            "jobs planned in the future: the job manager's clock is ahead of the one here",
            "see that all machines follow NTP",
            ahead,
        )
