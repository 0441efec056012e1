"""What is wrong with a deployment, what that means, and what to do: from facts, without reading.

:mod:`gohan_jobs.diagnosis.examination` gathers the facts. Nothing is judged twice: each finding
names one cause, and the keys or jobs it concerns.
"""

from __future__ import annotations

from gohan_jobs.diagnosis import content_checks, etcd_checks, queue_checks
from gohan_jobs.diagnosis.facts import ClaimFacts, Facts, JobFacts, Member, StoreFacts
from gohan_jobs.diagnosis.findings import Finding, Severity

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

_CHECKS = (*etcd_checks.CHECKS, *queue_checks.CHECKS, *content_checks.CHECKS)


def diagnose(facts: Facts) -> tuple[Finding, ...]:
    """What is wrong, the worst first."""
    found = [finding for check in _CHECKS for finding in check(facts)]
    order = list(Severity)
    return tuple(sorted(found, key=lambda finding: order.index(finding.severity)))
