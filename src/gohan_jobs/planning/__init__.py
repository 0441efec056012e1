"""Decisions, and nothing else: a config change plus what is known gives a plan.

Pure: no I/O, no clock, no randomness but the suffix that is passed in. Same input, same plan.
The rules are those of ``runtime`` (what was recorded) and ``rules`` 1 to 16 (what was not).
Whatever a config, a mapping or another record holds, planning raises nothing: what is wrong with
one resource is that resource's plan.
"""

from __future__ import annotations

from gohan_jobs.planning.changes import evaluate_again, incarnation_is_current, plan_change
from gohan_jobs.planning.known import (
    HEAT_HANDLER,
    MONITORING_HANDLER,
    TEMPLATE_TYPE,
    Known,
    KnownJob,
    KnownState,
    KnownTemplate,
)
from gohan_jobs.planning.plans import (
    Adopt,
    Change,
    Enqueue,
    Forget,
    Hold,
    Orphaned,
    Plan,
    PlannedJob,
    Publish,
    Removal,
    SetAside,
    Unchanged,
    read_error,
)
from gohan_jobs.planning.removals import plan_removal
from gohan_jobs.planning.repairs import plan_repair, plan_stray_removal
from gohan_jobs.planning.workflow import MAX_DEPENDENCIES

__all__ = [
    "HEAT_HANDLER",
    "MAX_DEPENDENCIES",
    "MONITORING_HANDLER",
    "TEMPLATE_TYPE",
    "Adopt",
    "Change",
    "Enqueue",
    "Forget",
    "Hold",
    "Known",
    "KnownJob",
    "KnownState",
    "KnownTemplate",
    "Orphaned",
    "Plan",
    "PlannedJob",
    "Publish",
    "Removal",
    "SetAside",
    "Unchanged",
    "evaluate_again",
    "incarnation_is_current",
    "plan_change",
    "plan_removal",
    "plan_repair",
    "plan_stray_removal",
    "read_error",
]
