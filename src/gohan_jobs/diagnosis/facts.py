"""What is known of a deployment; :mod:`gohan_jobs.diagnosis.examination` gathers it."""

from __future__ import annotations

import datetime as dt

import attrs

from gohan_jobs.clock import read_time
from gohan_jobs.keys import Place

__all__ = ["ClaimFacts", "Facts", "JobFacts", "Member", "StoreFacts", "age"]


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


def age(facts: Facts, job: JobFacts) -> float:
    """Seconds since a job was planned; negative if that is in the future, 0 if nobody knows."""
    moment = read_time(job.planned_at)
    return 0.0 if moment is None else (facts.now - moment).total_seconds()
