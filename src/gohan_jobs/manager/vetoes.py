"""Asks the admission hook about what is planned, and takes down what it says."""

from __future__ import annotations

import copy

from gohan_jobs.admission import Admission, AdmissionRequest, Allow, Veto
from gohan_jobs.bookkeeping import Held
from gohan_jobs.clock import later_text
from gohan_jobs.keys import ResourcePath
from gohan_jobs.manager.desk import Desk
from gohan_jobs.manager.holds import Holds
from gohan_jobs.planning import HEAT_HANDLER, Enqueue
from gohan_jobs.records import Action, Job, ResourceRef
from gohan_jobs.stores.base import Entry

__all__ = ["Vetoes"]

_SHORTEST = 1.0
_LONGEST = 365 * 86_400.0
_LONGEST_AFTER_FAILURE = 300.0
_LONGEST_REASON = 2_000


class Vetoes:
    """The leader's side of the admission hook.

    Args:
        desk: what is known.
        holds: what is held already: nothing is asked about before its time.
        admission: the hook; None allows everything.
    """

    def __init__(self, desk: Desk, holds: Holds, admission: Admission | None) -> None:
        self._desk = desk
        self._holds = holds
        self._admission = admission

    def judge(
        self, path: ResourcePath, resource: ResourceRef, entry: Entry | None, plan: Enqueue
    ) -> Held | None:
        """What holds a planned change; None if it may be queued.

        Args:
            path: the resource's path.
            resource: the resource.
            entry: its config; None for a removal.
            plan: what would be queued.
        """
        if self._admission is None:
            return None
        known = self._holds.of(path, 0 if entry is None else entry.mod_revision)
        known = known if known is not None and known.vetoed else None
        if known is not None and not self._holds.is_due(path, known):
            return known
        veto, failed = self._ask(self._admission, resource, plan)
        return None if veto is None else self._held(entry, plan, veto, known, failed=failed)

    def _ask(
        self, admission: Admission, resource: ResourceRef, plan: Enqueue
    ) -> tuple[Veto | None, bool]:
        """The hook's veto, if any, and whether it is one only because the hook failed."""
        try:
            verdict: object = admission(self._request(resource, plan))
        except Exception as error:  # noqa: BLE001 - a hook can't stop the rest
            return Veto(f"admission failed: {type(error).__name__}: {error}"), True
        if verdict is None or isinstance(verdict, Allow):
            return None, False
        if isinstance(verdict, Veto):
            return verdict, False
        kind = type(verdict).__name__
        return Veto(f"admission failed: it answered {kind}, not Allow or Veto"), True

    def _request(self, resource: ResourceRef, plan: Enqueue) -> AdmissionRequest:
        schema = self._desk.schemas.by_type(resource.resource_type)
        assert schema is not None  # noqa: S101 - it was planned
        # Copies: what a hook does with them must not reach what is queued.
        body, jobs = copy.deepcopy(
            (plan.processed.body, tuple(planned.job for planned in plan.jobs))
        )
        tenant = body.get("tenant_id")
        return AdmissionRequest(
            resource=resource,
            schema=schema,
            action=_action(jobs),
            version=plan.processed.version,
            tenant=tenant if isinstance(tenant, str) else "",
            body=body,
            jobs=jobs,
        )

    def _held(
        self, entry: Entry | None, plan: Enqueue, veto: Veto, known: Held | None, *, failed: bool
    ) -> Held:
        desk = self._desk
        tries = 1 + (0 if known is None else known.tries) if failed else 0
        after = max(_SHORTEST, min(veto.retry_after, _LONGEST))
        if failed:
            after = min(_SHORTEST * 2.0 ** min(tries - 1, 10), _LONGEST_AFTER_FAILURE)
        reason = desk.scrub(veto.reason, plan.processed.body)[:_LONGEST_REASON]
        return Held(
            config_mod=0 if entry is None else entry.mod_revision,
            version=plan.processed.version,
            reason=reason,
            since=desk.now_text() if known is None else known.since,
            until=later_text(desk.clock, after),
            vetoed=True,
            tries=tries,
        )


def _action(jobs: tuple[Job, ...]) -> Action | str:
    """What a workflow does, which is what its job on Heat does, if it has one."""
    ours = next((job for job in jobs if job.handler == HEAT_HANDLER), jobs[-1])
    return ours.action
