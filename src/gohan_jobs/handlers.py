"""What a handler is, and where handlers are registered. The Heat handler is one of them.

A handler is called with a :class:`JobContext` and returns an outcome. It may be called again for
the same job after a death, so it looks before it acts (``rules`` 12). Waiting holds no thread: a
handler returns :class:`Later` or :class:`Observe` and is resumed.

A handler is a function, a coroutine function or an object, and is registered by name: as an
argument of the Lifecycle, by a decorator, or by an installed package's entry point::

    [project.entry-points."gohan_jobs.handlers"]
    dns_worker = "my_package:handler"
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any, Protocol, Self, TypeAlias, TypeVar

import attrs

from gohan_jobs.coroutines import Coroutine, as_handler
from gohan_jobs.exceptions import GohanJobsError, HandlerUnavailable
from gohan_jobs.handler_plugins import GROUP, HandlerPlugin, find_plugins
from gohan_jobs.orchestrators.base import Stack
from gohan_jobs.records import HeatStack, Job, ResourceRef, StackOutput
from gohan_jobs.stores.base import Entry

if TYPE_CHECKING:
    from gohan_jobs.handler_options import HandlerOptions

__all__ = [
    "AnyHandler",
    "Claim",
    "Done",
    "GiveUp",
    "Handler",
    "Handlers",
    "JobContext",
    "Later",
    "Observe",
    "Outcome",
    "RetryLater",
    "TemplateChanged",
]


@attrs.frozen(kw_only=True)
class Done:
    """The job went well.

    Attributes:
        outputs: what it gives; published as ``heat_outputs``.
        stack: the stack's record to write; None: this handler makes no stack.
        state_monitoring: the monitoring handler's result (2017); published as text.
    """

    outputs: tuple[StackOutput, ...] | None = None
    stack: HeatStack | None = None
    state_monitoring: Mapping[str, Any] | None = attrs.field(default=None, repr=False)


@attrs.frozen(kw_only=True)
class RetryLater:
    """Give the job back; it may be claimed again, by anyone, after a while.

    Attributes:
        after: seconds.
        reason: why, for those who look.
    """

    after: float
    reason: str = ""


@attrs.frozen(kw_only=True)
class GiveUp:
    """The job failed, for good: its version's result is the reason.

    Attributes:
        reason: published in ``/state``'s ``error``, secrets scrubbed.
        stack: the stack's record to write, with its own status and reason.
    """

    reason: str
    stack: HeatStack | None = None


@attrs.frozen(kw_only=True)
class Later:
    """Keep the claim, hold no thread, and resume after a while.

    Attributes:
        after: seconds.
        resume: called then.
    """

    after: float
    resume: Callable[[JobContext], Outcome]


@attrs.frozen(kw_only=True)
class Observe:
    """Keep the claim, hold no thread, and resume when a stack has settled.

    Attributes:
        stack: the stack; settled is when it is no longer ``*_IN_PROGRESS``, or gone.
        resume: called then with the stack as it is, None if it is gone.
        limit: seconds after which it is resumed all the same; None for no limit.
    """

    stack: Stack
    resume: Callable[[JobContext, Stack | None], Outcome]
    limit: float | None = None


Outcome: TypeAlias = Done | RetryLater | GiveUp | Later | Observe
"""What a handler returns."""


class TemplateChanged(Exception):
    """The template is not the one that the params were computed from (``rules`` 9).

    Let it through: the job is given back, and gets the params of the new template.
    """


class Claim(Protocol):
    """A worker's hold on a job."""

    @property
    def cancelled(self) -> str:
        """Why the handler shall stop: the claim is lost, pre-empted or stopped; else empty."""
        ...

    def guard(self, seconds: float) -> None:
        """Go on only if the claim outlasts a call of so many seconds (``rules`` 18).

        Raises:
            ClaimLost: it does not, or it is lost or pre-empted already.
        """
        ...


@attrs.frozen(kw_only=True)
class JobContext:
    """What a handler works with.

    Attributes:
        job: the job, its params not yet resolved.
        attempt: 1 for the first claim of the job.
        retries: times a handler has asked to try again.
        own_stack: the resource's stack record; None if there is none.
        claim: call :meth:`Claim.guard` before each change to the outside world.
        read: an entry of the store, for what else is needed; None if absent.
        stacks: the heat_stacks records of resources.
        template: the template's entry that the job's params were computed from; None if gone;
            raises TemplateChanged if it has changed.
        report: tells the events how far it is.
        now: clock time.
        tell: emits an event about the job, given its class and facts.
    """

    job: Job
    attempt: int
    retries: int
    own_stack: HeatStack | None
    claim: Claim = attrs.field(repr=False)
    read: Callable[[str], Entry | None] = attrs.field(repr=False)
    stacks: Callable[[tuple[ResourceRef, ...]], Mapping[ResourceRef, HeatStack | None]] = (
        attrs.field(repr=False)
    )
    template: Callable[[], Entry | None] = attrs.field(repr=False)
    report: Callable[[str], None] = attrs.field(repr=False)
    now: Callable[[], float] = attrs.field(repr=False)
    tell: Callable[..., None] = attrs.field(repr=False)

    @property
    def tag(self) -> str:
        """What marks a stack as made by this job (``rules`` 13)."""
        return f"gohan-jobs:{self.job.version}:{self.job.id.suffix}"

    @property
    def cancelled(self) -> str:
        """Why to stop, in words; empty while there is no reason to."""
        return self.claim.cancelled

    @property
    def log(self) -> logging.LoggerAdapter[logging.Logger]:
        """A logger whose records say which job they are about. Log no param: it may be secret."""
        facts = {"job_id": str(self.job.id), "attempt": self.attempt}
        return logging.LoggerAdapter(logging.getLogger("gohan_jobs.handler"), facts)

    @property
    def previous_outputs(self) -> Mapping[str, Any]:
        """What the resource's stack gave before, by output key; empty if there is none."""
        own = self.own_stack
        return {} if own is None else {each.output_key: each.output_value for each in own.output}

    def resolved_params(self) -> Mapping[str, Any]:
        """The job's params by name, outputs of stacks put in as they are now.

        Raises:
            MappingEvaluationError: an output is not there, or a param malformed.
        """
        # Rendering brings the template engine along, which not every handler needs.
        from gohan_jobs.rendering import (  # noqa: PLC0415
            needed_outputs,
            outputs_from,
            resolved_params,
        )

        return resolved_params(self.job, outputs_from(self.stacks(needed_outputs(self.job))))


class Handler(Protocol):
    """Does a job's work."""

    def __call__(self, context: JobContext, /) -> Outcome:
        """Begin, or begin again after a death.

        An exception of this library's is a failure, or a retry if it says ``retryable``; any other
        is logged and the job is retried.
        """
        ...


AnyHandler: TypeAlias = "Handler | Coroutine"
"""What can be registered."""

H = TypeVar("H", bound="AnyHandler")

_log = logging.getLogger("gohan_jobs")


def _expect_handler(name: str, given: object) -> None:
    """Refuse at once what could not do a job's work: a checker may not have looked."""
    is_class = isinstance(given, type)
    if is_class or not callable(given):
        found = "a class" if is_class else type(given).__name__
        raise TypeError(f"handler {name!r}: expected a function or an instance, found {found}")


class Handlers:
    """Handlers by name.

    Args:
        handlers: what is registered from the beginning.
    """

    def __init__(self, handlers: Mapping[str, AnyHandler] | Handlers | None = None) -> None:
        self._handlers: dict[str, Handler] = {}
        self._plugins: dict[str, HandlerPlugin] = {}
        if isinstance(handlers, Handlers):
            self._handlers |= handlers._handlers  # noqa: SLF001 - one of its own kind
            self._plugins |= handlers._plugins  # noqa: SLF001 - likewise
        else:
            for name, handler in (handlers or {}).items():
                self.register(name, handler)

    def register(
        self, name: str, handler: AnyHandler, options: HandlerOptions | None = None
    ) -> None:
        """Register a handler, before any that a package offers under that name.

        Args:
            name: of the handler.
            handler: a function, a coroutine function, or an object that can be called.
            options: time-out, retries and limits; none unless given.

        Raises:
            GohanJobsError: the name is taken.
            TypeError: it can't be called, or is a class: an instance is meant.
        """
        _expect_handler(name, handler)
        if name in self._handlers:
            raise GohanJobsError(f"a handler {name!r} is registered already")
        plain = as_handler(handler)
        self._handlers[name] = plain if options is None else options.wrap(plain)

    def handler(self, name: str, options: HandlerOptions | None = None) -> Callable[[H], H]:
        """A decorator that registers a function, as :meth:`register` does."""

        def register(handler: H) -> H:
            self.register(name, handler, options)
            return handler

        return register

    def discover(self, names: Collection[str] | None = None, *, group: str = GROUP) -> Self:
        """Take up what installed packages offer; each handler is imported when first needed.

        One that turns out to be broken is logged once, and then as if it were not there: its jobs
        are left to other workers. :meth:`load` tells what is wrong.

        Args:
            names: only these; all unless given.
            group: the group of entry points.

        Raises:
            HandlerUnavailable: one of ``names`` is offered by no package, or a name by two.
        """
        self._plugins |= find_plugins(names, group=group)
        return self

    @property
    def names(self) -> tuple[str, ...]:
        """All names, those of handlers not imported yet included."""
        return tuple(sorted(self._handlers.keys() | self._plugins.keys()))

    def load(self, name: str) -> Handler:
        """The handler of that name, imported if need be.

        Raises:
            HandlerUnavailable: there is none, or it is broken.
        """
        if name not in self._handlers:
            plugin = self._plugins.get(name)
            if plugin is None:
                raise HandlerUnavailable(name, "this process", "it is not registered")
            self.register(name, plugin.load())
        return self._handlers[name]

    def get(self, name: str) -> Handler | None:
        """The handler of that name; None if there is none, or if it is broken."""
        if name not in self._handlers and name not in self._plugins:
            return None
        try:
            return self.load(name)
        except HandlerUnavailable as error:
            del self._plugins[name]
            facts = {"handler": name, "reason": str(error)}
            extra = {"event_name": "HandlerUnavailable", "facts": facts}
            _log.error("HandlerUnavailable %s", error, extra=extra)
            return None

    def __contains__(self, name: str) -> bool:
        return self.get(name) is not None
