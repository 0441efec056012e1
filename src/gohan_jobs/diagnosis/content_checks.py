"""What can be wrong with what is stored, and with what is around it."""

from __future__ import annotations

from collections.abc import Iterator

from gohan_jobs.diagnosis.facts import Facts, age
from gohan_jobs.diagnosis.findings import Finding, Severity, error, warning

__all__ = ["CHECKS"]

_SKEW = 5.0


def _configs(facts: Facts) -> Iterator[Finding]:
    if facts.unknown:
        yield warning(
            "configs",
            "configs of types that no schema has: they are set aside",
            "give a newer --schemas to every process",
            facts.unknown,
        )
    unknown = set(facts.unknown)
    aside = [
        f"{key}: {reason.removeprefix(f'{key}: ')}"  # a codec's error names the key already
        for key, reason in facts.quarantine
        if key not in unknown
    ]
    if aside:
        yield error(
            "quarantine",
            "what can't be used is set aside until it changes",
            "correct it in Gohan; see `gohan-jobs check` for a record's problems",
            aside,
        )
    if facts.held:
        yield warning(
            "holds",
            "configs that wait for something they refer to",
            "create what is missing, or correct the reference",
            [f"{key}: {reason}" for key, reason in facts.held],
        )
    if facts.vetoed:
        yield warning(
            "holds",
            "changes that an admission hook has vetoed",
            "wait: each is asked about again at its time; or change what the hook, which is yours, "
            "goes by",
            [f"{key}: {reason}" for key, reason in facts.vetoed],
        )


def _templates(facts: Facts) -> Iterator[Finding]:
    if facts.missing:
        yield error(
            "templates",
            "heat_templates that configs need are not there",
            "create them in Gohan; then `gohan-jobs retry` what has failed for it",
            facts.missing,
        )
    if facts.refused:
        yield error(
            "templates",
            "heat_templates that can't be rendered, or have a wrong mapping",
            "correct them in Gohan; see the page on templates for what is allowed",
            [f"{name}: {reason}" for name, reason in facts.refused],
        )


def _left(facts: Facts) -> Iterator[Finding]:
    if facts.orphans:
        yield warning(
            "orphans",
            "stacks whose config is gone, and that nobody asked to delete",
            "delete them in Heat, or write their config again",
            [f"{path}: {reason}" for path, reason in facts.orphans],
        )
    if facts.repairs:
        yield warning(
            "repairs",
            "stacks that were changed by a worker without a claim, and are not right yet",
            "a job manager repairs them once their resource is at rest",
            facts.repairs,
        )
    if facts.requests:
        yield warning(
            "requests",
            "an operator's requests that nobody has carried out yet",
            "see that a job manager leads; a cancelled job ends once its handler looks up",
            facts.requests,
        )


def _heat(facts: Facts) -> Iterator[Finding]:
    if facts.heat is None:
        yield Finding(
            severity=Severity.INFO,
            check="heat",
            what="Heat was not asked",
            advice="give --heat or --os-cloud",
        )
    elif facts.heat:
        yield error("heat", f"Heat can't be used: {facts.heat}", "see the page on Heat")


def _clocks(facts: Facts) -> Iterator[Finding]:
    if facts.skew is not None and abs(facts.skew) > _SKEW:
        way = "ahead of" if facts.skew > 0 else "behind"
        yield warning(
            "clocks",
            f"Heat's clock is {abs(facts.skew):.0f} s {way} the one here",
            "see that all machines follow NTP",
        )
    ahead = [job.job for job in facts.jobs if age(facts, job) < -_SKEW]
    if ahead:
        yield warning(
            "clocks",
            "jobs planned in the future: the job manager's clock is ahead of the one here",
            "see that all machines follow NTP",
            ahead,
        )


CHECKS = (_configs, _templates, _left, _heat, _clocks)
"""All of these."""
