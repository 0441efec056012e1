"""Where handlers are registered.

A handler is a function, a coroutine function or an object, and is registered by name: as an
argument of the Lifecycle, by a decorator, or by an installed package's entry point::

    [project.entry-points."gohan_jobs.handlers"]
    dns_worker = "my_package:handler"
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping
from typing import Self, TypeAlias, TypeVar

from gohan_jobs.coroutines import Coroutine, as_handler
from gohan_jobs.exceptions import GohanJobsError, HandlerUnavailable
from gohan_jobs.handler_options import HandlerOptions
from gohan_jobs.handler_plugins import GROUP, HandlerPlugin, find_plugins
from gohan_jobs.handlers import Handler

__all__ = ["AnyHandler", "Handlers"]

AnyHandler: TypeAlias = Handler | Coroutine
"""What can be registered."""

H = TypeVar("H", bound=AnyHandler)

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
