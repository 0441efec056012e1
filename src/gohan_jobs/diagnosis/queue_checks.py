"""What can be wrong with processes, claims and jobs."""

from __future__ import annotations

from collections.abc import Iterator

from gohan_jobs.diagnosis.facts import Facts, JobFacts, age
from gohan_jobs.diagnosis.findings import Finding, error, warning
from gohan_jobs.keys import Place

__all__ = ["CHECKS"]


def _roles(facts: Facts) -> Iterator[Finding]:
    if facts.store.error:
        return
    if not facts.leader:
        yield error(
            "leader",
            "nobody leads: configs are not planned, jobs not released",
            "start `gohan-jobs run --roles manager`, or read its log",
        )
    if facts.stopped:
        yield error(
            "leader",
            f"the job manager has stopped until somebody has looked: {facts.stopped}",
            "look; then `gohan-jobs resume --accept`",
        )
    if not facts.workers:
        yield error(
            "workers",
            "no worker is there: no job is carried out",
            "start `gohan-jobs run --roles worker`, or read its log",
        )


def _claims(facts: Facts) -> Iterator[Finding]:
    unleased = [claim.job for claim in facts.claims if not claim.leased]
    if unleased:
        yield error(
            "claims",
            "claims without a lease, as another program leaves them: they never end by themselves",
            "see whether that program lives; else `gohan-jobs release JOB --force`",
            unleased,
        )
    dead = [claim.job for claim in facts.claims if claim.leased and not claim.registered]
    if dead:
        longest = max(claim.remaining or 0.0 for claim in facts.claims if not claim.registered)
        yield warning(
            "claims",
            f"jobs whose worker is gone: they are free again once its lease ends, in {longest:.0f} "
            "s at most",
            "wait; or `gohan-jobs release JOB --force`",
            dead,
        )


def _places(facts: Facts) -> Iterator[Finding]:
    twice = [job.job for job in facts.jobs if len(job.places) > 1]
    if twice:
        yield error(
            "jobs",
            "jobs that stand in two places, as an old program can leave them",
            "restart the job manager: a new leader tidies them",
            twice,
        )
    nowhere = [job.job for job in facts.jobs if not job.places]
    if nowhere:
        yield warning(
            "jobs",
            "jobs that stand nowhere: the leader puts them back within seconds",
            "look again; if they stay, read the job manager's log",
            nowhere,
        )


def _stuck(facts: Facts) -> Iterator[Finding]:
    old = [job for job in facts.jobs if age(facts, job) > facts.patience]
    idle = [job.job for job in old if _should_move(job)]
    if idle:
        yield error(
            "jobs",
            "jobs that wait for nothing, and for long",
            "see that a job manager leads and workers have the job's handler; read their logs",
            idle,
        )
    others = [job.job for job in old if job.job not in set(idle)]
    if others:
        yield warning(
            "jobs",
            f"jobs that have been unfinished for more than {facts.patience:g} s",
            "`gohan-jobs explain TYPE ID` names what each waits for",
            others,
        )
    lost = [job.job for job in facts.jobs if job.attempts > 1]
    if lost:
        yield warning(
            "jobs",
            "jobs whose claim was lost more than once: at five they fail",
            "read the log of the workers that died with them",
            lost,
        )


def _should_move(job: JobFacts) -> bool:
    return job.places in {(Place.WAITING,), (Place.READY,)} and not job.waits and not job.held


CHECKS = (_roles, _claims, _places, _stuck)
"""All of these."""
