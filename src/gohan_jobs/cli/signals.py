"""Waiting for SIGTERM or SIGINT: the only place that deals with signals (``rules`` 31)."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable, Iterator

__all__ = ["ended_quietly", "ending_signals", "terminated_as_interrupted"]

_ENDING = frozenset({signal.SIGTERM, signal.SIGINT})


@contextlib.contextmanager
def ending_signals() -> Iterator[Callable[[], signal.Signals]]:
    """Keep SIGTERM and SIGINT from ending the process; enter it before any thread is started.

    Yields:
        What waits for one of the two, and returns it. From then on they end the process again, so
        that a second one does not wait for what the first one began.
    """
    previous = signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)

    def wait() -> signal.Signals:
        received = signal.sigwait(_ENDING)
        signal.pthread_sigmask(signal.SIG_SETMASK, previous)
        return signal.Signals(received)

    try:
        yield wait
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, previous)


@contextlib.contextmanager
def terminated_as_interrupted() -> Iterator[None]:
    """Have SIGTERM raise KeyboardInterrupt, as SIGINT does, so that what is begun is undone."""
    previous = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)


@contextlib.contextmanager
def ended_quietly() -> Iterator[None]:
    """Have SIGTERM and SIGINT end what is within, which is then done: for what goes on and on."""
    try:
        with contextlib.suppress(KeyboardInterrupt), terminated_as_interrupted():
            yield
    except RuntimeError as error:
        # Python's own locks answer to an interruption at a bad moment with an error of theirs.
        if not isinstance(error.__context__, KeyboardInterrupt):
            raise
