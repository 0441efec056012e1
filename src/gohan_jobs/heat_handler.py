"""The Heat handler: a job's params become a stack, whoever may have begun it (``rules`` 13).

===============================  ==============================================================
the stack, when looked up        what is done
===============================  ==============================================================
absent                           create it; for a delete: done
this job's tag, in progress      wait for it
this job's tag, complete         done: that is this job's result
this job's tag, failed           failed: that is this job's result
another tag, in progress         wait until it settles, then update
another tag, complete or failed  update it
being deleted                    wait until it is gone, then create
``DELETE_FAILED``                delete again, a bounded number of times; then create, or fail
===============================  ==============================================================

After waiting, a stack whose tag is no longer this job's was changed by somebody else meanwhile,
such as a worker that was frozen: it is updated again. A job whose time is up asks Heat once more
before it fails, since Heat may not have answered for long.

What is cancelled, and what is left to finish:

- A lease is lost: nothing is cancelled in Heat. The worker starts no further call, forgets the job
  and publishes nothing. Heat finishes what it was asked; who claims the job next finds the stack
  by its tag, and takes over its result.
- A delete pre-empts a create or modify (``rules`` 8): that job ends as superseded, without a
  result, and makes no further call. Heat is not asked to stop: the delete job's own call, which
  Heat takes at any time, ends what is under way.
- A worker stops: its jobs are handed back and go on elsewhere as after a lost lease, at once.
- A call that has been sent is never taken back. So each one is guarded: it is sent only if the
  lease surely outlasts it (``rules`` 18).
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import attrs

from gohan_jobs.codec import Codec
from gohan_jobs.events import StackRequested
from gohan_jobs.exceptions import (
    GohanJobsError,
    OrchestratorError,
    StackExists,
    StackNotFound,
)
from gohan_jobs.handlers import Done, GiveUp, JobContext, Later, Observe, Outcome, RetryLater
from gohan_jobs.mapping import ParsedTemplate
from gohan_jobs.orchestrators.base import Orchestrator, Stack, StackRequest
from gohan_jobs.records import Action, HeatStack, HeatTemplate, StackOutput, StackStatus
from gohan_jobs.rendering import heat_call, needed_outputs, outputs_from, stack_name, tenant_of
from gohan_jobs.stores.base import Entry
from gohan_jobs.templates import Renderer

__all__ = ["HeatHandler"]

_PARSED_TEMPLATES = 256
_ROUNDS = 8


@attrs.frozen
class _Work:
    """What one job wants of its stack.

    Attributes:
        request: what to create or update it with; None: it is to be deleted.
        name: the stack's name.
        tenant: its project.
        jinja: for the event.
        rounds: how often a foreign change has been found.
        deletes: how many deletions this job has begun.
    """

    request: StackRequest | None
    name: str
    tenant: str
    jinja: dict[str, object] = attrs.field(factory=dict, repr=False)
    rounds: int = 0
    deletes: int = 0


class HeatHandler:
    """Drives one stack for a job; no thread is held while Heat works.

    Args:
        orchestrator: Heat.
        codec: reads templates.
        renderer: renders them.
        delete_attempts: how often a failed deletion is begun anew.
        retry_after: seconds before a call that may succeed later is repeated, doubled each time ...
        retry_at_most: ... up to this.
        retries: repeats by hand-back before the last reason becomes the result.
        margin: seconds granted beyond ``timeout_mins`` before the job gives up on its own.
        default_timeout_mins: Heat's own limit where a job names none.
    """

    def __init__(
        self,
        orchestrator: Orchestrator,
        *,
        codec: Codec,
        renderer: Renderer | None = None,
        delete_attempts: int = 3,
        retry_after: float = 1.0,
        retry_at_most: float = 60.0,
        retries: int = 1440,
        margin: float = 60.0,
        default_timeout_mins: int = 60,
    ) -> None:
        self._orchestrator = orchestrator
        self._codec = codec
        self._renderer = renderer or Renderer()
        self._delete_attempts = delete_attempts
        self._retry_after = retry_after
        self._retry_at_most = retry_at_most
        self._retries = retries
        self._margin = margin
        self._default_timeout_mins = default_timeout_mins
        self._template = functools.lru_cache(_PARSED_TEMPLATES)(self._parse)

    def __call__(self, context: JobContext) -> Outcome:
        """Look the stack up and go on from what it is."""
        return self._retrying(context, self._begin)

    # Beginning.

    def _begin(self, context: JobContext) -> Outcome:
        job = context.job
        tenant = tenant_of(job)
        problem = _other_tenant(context, tenant)
        if problem:
            return GiveUp(reason=problem)
        name = stack_name(job.resource)
        if Action(job.action).deletes:
            return self._look(context, _Work(None, name, tenant))
        request, jinja = self._request(context)
        return self._look(context, _Work(request, name, tenant, jinja))

    def _request(self, context: JobContext) -> tuple[StackRequest, dict[str, object]]:
        entry = context.template()
        if entry is None:
            raise GohanJobsError(f"the template of {context.job.id} is gone")
        template = self._template(entry)
        job = context.job
        call = heat_call(job, outputs_from(context.stacks(needed_outputs(job))))
        request = StackRequest(
            name=call.stack,
            tenant=call.tenant,
            template=self._renderer.render(template.id, template.text, call.jinja),
            parameters=call.parameters,
            timeout_mins=call.timeout_mins,
            tags=(context.tag,),
        )
        return request, dict(call.jinja)

    def _parse(self, entry: Entry) -> ParsedTemplate:
        config = self._codec.config(entry.key, entry.value)
        return ParsedTemplate.parse(HeatTemplate.from_config(config, entry.key))

    # The table above.

    def _look(self, context: JobContext, work: _Work) -> Outcome:
        stack = self._orchestrator.find(work.tenant, work.name)
        return self._act(context, work, stack)

    def _act(self, context: JobContext, work: _Work, stack: Stack | None) -> Outcome:
        if work.rounds > _ROUNDS:
            return GiveUp(reason=f"stack {work.name} is being changed by somebody else")
        if stack is not None:
            return self._act_on(context, work, stack)
        return self._create(context, work) if work.request else _deleted(context, work)

    def _act_on(self, context: JobContext, work: _Work, stack: Stack) -> Outcome:
        if _is(stack, StackStatus.DELETE_FAILED):
            return self._delete_again(context, work, stack)
        if str(stack.status).startswith("DELETE_"):
            return self._wait(context, work, stack, self._gone)
        if work.request is None:
            return self._delete(context, work, stack)
        if context.tag in stack.tags:
            return self._wait(context, work, stack, self._settled)
        if stack.in_progress:
            return self._wait(context, work, stack, self._foreign_settled)
        return self._update(context, work, stack)

    def _create(self, context: JobContext, work: _Work) -> Outcome:
        request = work.request
        assert request is not None  # noqa: S101 - the caller's condition
        self._announce(context, work, "create")
        try:
            stack = self._orchestrator.create(request)
        except StackExists:
            # Somebody was faster: perhaps this job, by a worker that died.
            return self._look(context, attrs.evolve(work, rounds=work.rounds + 1))
        return self._wait(context, work, stack, self._settled)

    def _update(self, context: JobContext, work: _Work, stack: Stack) -> Outcome:
        request = work.request
        assert request is not None  # noqa: S101 - the caller's condition
        self._announce(context, work, "update")
        try:
            self._orchestrator.update(stack, request)
        except StackNotFound:
            return self._look(context, attrs.evolve(work, rounds=work.rounds + 1))
        begun = attrs.evolve(stack, status=StackStatus.UPDATE_IN_PROGRESS, tags=request.tags)
        return self._wait(context, work, begun, self._settled)

    def _delete(self, context: JobContext, work: _Work, stack: Stack) -> Outcome:
        self._announce(context, work, "delete")
        self._orchestrator.delete(stack)
        begun = attrs.evolve(stack, status=StackStatus.DELETE_IN_PROGRESS)
        work = attrs.evolve(work, deletes=work.deletes + 1)
        return self._wait(context, work, begun, self._gone)

    def _delete_again(self, context: JobContext, work: _Work, stack: Stack) -> Outcome:
        """Begin it anew; one that failed under an earlier job does not count."""
        if work.deletes > self._delete_attempts:
            return self._failure(context, work, stack)
        return self._delete(context, work, stack)

    # Waiting.

    def _wait(
        self,
        context: JobContext,
        work: _Work,
        stack: Stack,
        then: Callable[[JobContext, _Work, Stack | None], Outcome],
    ) -> Outcome:
        if not stack.in_progress:
            return then(context, work, stack)

        def resume(later: JobContext, seen: Stack | None) -> Outcome:
            return self._retrying(later, lambda again: then(again, work, seen))

        minutes = work.request.timeout_mins if work.request else None
        own = minutes if minutes and context.tag in stack.tags else None
        limit = (own or self._default_timeout_mins) * 60 + self._margin
        return Observe(stack=stack, resume=resume, limit=limit)

    def _settled(self, context: JobContext, work: _Work, stack: Stack | None) -> Outcome:
        """This job's own operation is over, unless somebody else's came after it."""
        if stack is None or context.tag not in stack.tags:
            return self._act(context, attrs.evolve(work, rounds=work.rounds + 1), stack)
        if stack.in_progress:
            return self._overdue(context, work, stack, self._settled)
        if stack.failed or str(stack.status).startswith("ROLLBACK_"):
            return self._failure(context, work, stack)
        try:
            outputs = self._orchestrator.outputs(stack)
        except StackNotFound:
            return self._look(context, attrs.evolve(work, rounds=work.rounds + 1))
        return Done(outputs=outputs, stack=_record(context, work, stack, outputs))

    def _foreign_settled(self, context: JobContext, work: _Work, stack: Stack | None) -> Outcome:
        if stack is not None and stack.in_progress:
            return self._overdue(context, work, stack, self._foreign_settled)
        # Looked up again: a stack that was replaced under its name has another id.
        return self._look(context, attrs.evolve(work, rounds=work.rounds + 1))

    def _gone(self, context: JobContext, work: _Work, stack: Stack | None) -> Outcome:
        if stack is None:
            return self._look(context, attrs.evolve(work, rounds=work.rounds + 1))
        if stack.in_progress:
            return self._overdue(context, work, stack, self._gone)
        return self._act(context, work, stack)

    # Ending.

    def _overdue(
        self,
        context: JobContext,
        work: _Work,
        stack: Stack,
        then: Callable[[JobContext, _Work, Stack | None], Outcome],
    ) -> Outcome:
        """Its time is up; what is known of it may be from long ago."""
        now = self._orchestrator.observe((stack,))[stack.id]
        if now is None or not now.in_progress:
            return then(context, work, now)
        reason = f"stack {work.name} is still {now.status} after its time limit"
        return self._given_up(context, work, now, reason)

    def _failure(self, context: JobContext, work: _Work, stack: Stack) -> Outcome:
        return self._given_up(context, work, stack, stack.status_reason or str(stack.status))

    def _given_up(self, context: JobContext, work: _Work, stack: Stack, reason: str) -> Outcome:
        """The failed resources' reasons and the last events are told, too."""
        diagnosis = self._orchestrator.diagnose(stack)
        lines = (reason, *diagnosis.resources, *diagnosis.events)
        return GiveUp(reason="; ".join(lines), stack=_record(context, work, stack))

    def _announce(self, context: JobContext, work: _Work, operation: str) -> None:
        """Make sure the claim outlasts the call, and say what is about to be asked."""
        context.claim.guard(self._orchestrator.request_timeout)
        context.tell(
            StackRequested,
            operation=operation,
            stack=work.name,
            tenant=work.tenant,
            request=work.request,
            jinja=work.jinja,
        )

    def _retrying(
        self, context: JobContext, do: Callable[[JobContext], Outcome], tries: int = 0
    ) -> Outcome:
        """Do something; what may succeed later is tried again from the start."""
        try:
            return do(context)
        except OrchestratorError as error:
            if not error.retryable:
                return GiveUp(reason=str(error))
            after = min(self._retry_after * 2.0**tries, self._retry_at_most)
            context.report(f"{error}; trying again in {after:g} s")
            if after < self._retry_at_most:
                return Later(
                    after=after,
                    resume=lambda later: self._retrying(later, self._begin, tries + 1),
                )
            if context.retries >= self._retries:
                return GiveUp(reason=str(error))
            return RetryLater(after=after, reason=str(error))


def _is(stack: Stack, status: StackStatus) -> bool:
    return str(stack.status) == str(status)


def _other_tenant(context: JobContext, tenant: str) -> str:
    """A live stack's tenant never changes (``rules`` 27)."""
    own = context.own_stack
    if own is None or not own.stack_id or own.tenant_id == tenant:
        return ""
    return f"tenant_id is {tenant}, the stack lives in {own.tenant_id}"


def _record(
    context: JobContext, work: _Work, stack: Stack, outputs: tuple[StackOutput, ...] = ()
) -> HeatStack:
    """The stack's record, so that it is never forgotten that there is a stack."""
    return HeatStack(
        id=str(context.job.resource),
        stack_id=work.name,
        tenant_id=work.tenant,
        stack_status=stack.status,
        status_reason=stack.status_reason,
        output=outputs,
    )


def _deleted(context: JobContext, work: _Work) -> Done:
    """The stack is gone, however that came about (``rules`` 8)."""
    record = HeatStack(
        id=str(context.job.resource),
        stack_id="",
        tenant_id=work.tenant,
        stack_status=StackStatus.DELETE_COMPLETE,
        status_reason="",
        output=(),
    )
    return Done(outputs=(), stack=record)
