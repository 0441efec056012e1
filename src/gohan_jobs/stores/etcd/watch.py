"""A watch on etcd that neither loses nor repeats an event (spec: *A watch that loses nothing*).

Each watch has a stream of its own, so a slow consumer holds up nobody else. Two threads serve it:
gRPC's, which sends, is at the same time the one that notices a silent server; ours receives.
"""

from __future__ import annotations

import random
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, Protocol, Self

from gohan_jobs.exceptions import (
    Compacted,
    StoreClosed,
    StoreError,
    StoreRefused,
    StoreUnavailable,
)
from gohan_jobs.stores.base import WatchBatch
from gohan_jobs.stores.etcd.asking import asked_keys
from gohan_jobs.stores.etcd.messages import event_of, key_range
from gohan_jobs.threads import new_thread

__all__ = ["EtcdWatch", "Stream", "Streams"]

_SHORTEST_PAUSE = 0.05
_LONGEST_PAUSE = 2.0
_LONGEST_PATIENCE = 8


class Stream(Protocol):
    """A watch stream; its errors are StoreErrors."""

    def __iter__(self) -> Iterator[Any]: ...

    def refused(self, reason: str) -> StoreRefused:
        """The error for a refusal in etcd's words; it names what was asked for."""
        ...

    def renew_token(self) -> bool:
        """Have the next stream use a new token; False if there are no credentials to get one."""
        ...

    def close(self) -> None:
        """End it; who iterates gets an error."""
        ...


class Streams(Protocol):
    """What a watch needs of the store's connection."""

    seen: int
    """The latest revision that any answer has named."""

    @property
    def inherited(self) -> bool:
        """Whether this is a forked process, and the connection its parent's."""
        ...

    def check(self) -> None:
        """See that it may be used; raises StoreClosed."""
        ...

    def open_stream(self, requests: Iterator[Any], asked: str) -> Stream:
        """Begin a stream; ``asked`` says in errors what for."""
        ...

    def create_request(self, prefix: str, revision: int) -> Any:
        """The request that begins a watch."""
        ...

    def ping_request(self) -> Any:
        """A request that any living server answers at once."""
        ...


class _Requests:
    """What is sent on one stream: the watch, then a ping whenever nothing has come for long.

    gRPC iterates over it on a thread of its own, which makes it the one to notice silence.
    """

    def __init__(self, streams: Streams, create: Any, silence: float) -> None:
        self._streams = streams
        self._create = create
        self._silence = silence
        self._ended = threading.Event()
        self._heard = True
        self._pinged = False
        self._begun = False
        self.silent = False
        # How the stream that these are sent on is ended, once it is there.
        self.cancel: Callable[[], None] = self._ended.set

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Any:
        if not self._begun:
            self._begun = True
            return self._create
        while not self._ended.wait(self._silence):
            if self._heard:
                self._heard = self._pinged = False
            elif not self._pinged:
                self._pinged = True
                return self._streams.ping_request()
            else:
                self._give_up()
        raise StopIteration

    def _give_up(self) -> None:
        self.silent = True
        self._ended.set()
        self.cancel()

    def hear(self) -> None:
        """Something has come."""
        self._heard = True

    def end(self) -> None:
        """Send nothing more, and let gRPC's thread go."""
        self._ended.set()


class _Anew(Exception):
    """Go on with another stream, at once: nothing is wrong."""


class EtcdWatch:
    """See :class:`gohan_jobs.stores.base.Watch`.

    Args:
        streams: opens streams.
        prefix: what is watched.
        revision: from when on.
        wake: called when there may be something to poll.
        buffer: events kept for a slow consumer; beyond it there is no stream until half of them
            are taken.
        silence: seconds without a sign of life until the server is asked for one; another such
            time without an answer, and the stream is replaced.
        closed: called once, when it has been closed.
    """

    def __init__(
        self,
        streams: Streams,
        prefix: str,
        revision: int,
        *,
        wake: Callable[[], None] | None,
        buffer: int,
        silence: float,
        closed: Callable[[EtcdWatch], None],
    ) -> None:
        self._streams = streams
        self._prefix = prefix
        self._asked = f"watch {asked_keys(*key_range(prefix))}"
        self._next = revision
        self._wake = wake
        self._buffer = buffer
        self._silence = silence
        self._when_closed = closed
        self._state = threading.Condition()
        self._batches: deque[WatchBatch] = deque()
        self._buffered = 0
        self._error: StoreError | None = None
        self._closing = threading.Event()
        self._requests: _Requests | None = None
        self._failures = 0
        self._silences = 0
        self._renewed = False
        self._early = False
        self._thread = new_thread(f"watch {prefix}", self._run)

    def start(self) -> None:
        """Begin receiving."""
        self._thread.start()

    def poll(self, timeout: float = 0.0) -> WatchBatch | None:
        """See :meth:`gohan_jobs.stores.base.Watch.poll`."""
        deadline = time.monotonic() + timeout
        if self._streams.inherited:
            self._streams.check()
        with self._state:
            while True:
                if self._closing.is_set():
                    raise StoreClosed("the watch has been closed")
                if self._batches:
                    return self._take()
                if self._error is not None:
                    raise self._error
                if (left := deadline - time.monotonic()) <= 0:
                    return None
                self._state.wait(left)

    def _take(self) -> WatchBatch:
        batch = self._batches.popleft()
        self._buffered -= len(batch.events)
        self._state.notify_all()
        return batch

    def close(self) -> None:
        """See :meth:`gohan_jobs.stores.base.Watch.close`; its thread has ended on return."""
        if self._streams.inherited:
            return
        self.abandon()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join()
        self._when_closed(self)

    def abandon(self) -> None:
        """Begin to close, without waiting."""
        with self._state:
            news = not self._closing.is_set()
            self._closing.set()
            self._state.notify_all()
            requests = self._requests
        if requests is not None:
            requests.end()
            requests.cancel()
        if news:
            self._notify()

    def _run(self) -> None:
        while not self._closing.is_set():
            try:
                self._follow()
            except _Anew:
                self._wait_for_room()
            except StoreUnavailable:
                self._closing.wait(self._pause())
            except StoreError as error:
                self._fail(error)
                return
            except Exception as error:
                # Such as the caller's, from what gives the password. Silence would be a loss.
                self._fail(StoreRefused(f"{self._asked}: {type(error).__name__}"))
                raise

    def _wait_for_room(self) -> None:
        with self._state:
            self._state.wait_for(
                lambda: self._buffered <= self._buffer // 2 or self._closing.is_set()
            )

    def _pause(self) -> float:
        self._failures += 1
        longest = min(_LONGEST_PAUSE, _SHORTEST_PAUSE * 2 ** min(self._failures, 10))
        return random.uniform(_SHORTEST_PAUSE, longest)  # noqa: S311 - jitter

    def _fail(self, error: StoreError) -> None:
        with self._state:
            self._error = error
            self._state.notify_all()
        self._notify()

    def _notify(self) -> None:
        if self._wake is not None:
            self._wake()

    def _follow(self) -> None:
        """Receive on one stream until it ends."""
        # One revision earlier than wanted: at a compacted revision itself etcd would accept the
        # watch, and leave out the deletes of that revision. Not so while the wanted one lies in
        # the future: etcd tells a watch that begins in the past only ten times a second.
        self._early = self._early or self._streams.seen >= self._next
        create = self._streams.create_request(self._prefix, max(1, self._next - self._early))
        patience = min(2**self._silences, _LONGEST_PATIENCE)
        requests = _Requests(self._streams, create, self._silence * patience)
        stream = self._streams.open_stream(requests, self._asked)
        try:
            self._attach(requests, stream)
            for response in stream:
                requests.hear()
                self._receive(response, stream)
        except StoreError:
            if requests.silent:
                self._silences += 1
                # A token of before a restore is let wait, not refused: see Connection.
                stream.renew_token()
            raise
        finally:
            requests.end()
            stream.close()
        raise StoreUnavailable("the server has ended the stream")

    def _attach(self, requests: _Requests, stream: Stream) -> None:
        with self._state:
            requests.cancel = stream.close
            self._requests = requests
            ended = self._closing.is_set() or requests.silent
        if ended:
            raise StoreUnavailable("ended before it began")

    def _receive(self, response: Any, stream: Stream) -> None:
        if response.canceled:
            self._canceled(response, stream)
        if response.created:
            self._failures = 0
            self._renewed = False
            early, self._early = self._early, True  # should the stream break
            if not early and response.header.revision >= self._next:
                raise _Anew
        elif response.events:
            self._silences = 0
            events = tuple(
                event_of(event) for event in response.events if event.kv.mod_revision >= self._next
            )
            if events:
                self._deliver(WatchBatch(revision=events[-1].revision, events=events))
        elif response.watch_id >= 0 and response.header.revision >= self._next:
            # The server's own progress notice; an answer to a ping (-1) may run ahead of events.
            self._deliver(WatchBatch(revision=response.header.revision, events=()))

    def _deliver(self, batch: WatchBatch) -> None:
        with self._state:
            self._batches.append(batch)
            self._buffered += len(batch.events)
            self._next = batch.revision + 1
            full = self._buffered >= self._buffer
            self._state.notify_all()
        self._notify()
        if full:
            # Not just left unread: when the history that such a stream still needs is compacted,
            # older etcd (3.4.23 does) may pass over it without a word.
            raise _Anew

    def _canceled(self, response: Any, stream: Stream) -> None:
        """Tell why the server ended the watch.

        Raises:
            Compacted: the history needed is gone.
            StoreRefused: no permission, with a new token either.
            StoreUnavailable: any other reason: try again.
        """
        if response.compact_revision >= self._next:
            raise Compacted(response.compact_revision)
        # Else all that is gone is known: a member that has taken over a snapshot judges by where
        # the watch began, not by where it is.
        reason = response.cancel_reason
        if "permission denied" in reason or "auth" in reason:
            # An expired token looks just like a missing permission.
            if self._renewed or not stream.renew_token():
                raise stream.refused(reason)
            self._renewed = True
        raise StoreUnavailable(f"watch of {self._prefix}: {reason}")
