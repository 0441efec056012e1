"""A watch of the store on etcd, played on the model of etcd: what happens is a script.

The stream plays it on, whenever the watch asks for the next response; so all of it can run on one
thread, and nothing waits.
"""

from __future__ import annotations

import random
import threading
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import attrs

from etcd_model import Cluster, Member, Rules, ServerStream
from gohan_jobs.exceptions import Compacted, StoreClosed, StoreRefused, StoreUnavailable
from gohan_jobs.stores.base import Event, WatchBatch
from gohan_jobs.stores.etcd import messages
from gohan_jobs.stores.etcd.watch import EtcdWatch

__all__ = ["MARK", "NAMES", "PREFIX", "ClientStream", "Run", "Script", "random_script"]

PREFIX = "/a/"
"""What is watched."""

# One that is always put, two that come and go; and three that are not under the prefix.
KEYS = ("/a/1+", "/a/2", "/a/3", "/a", "/a0", "/b/1")
MARK = "/a/end+"
"""The last key that is put."""

MOST_STREAMS = 300

Script: TypeAlias = list[tuple[str, int]]
"""Names of methods of ``Run``, and the number that each gets."""

_OFTEN = ("write", "apply", "sync", "send")
_SOMETIMES = ("poll", "tick", "elapse", "cut", "route", "restart", "snapshot")
_SELDOM = ("compact", "cancel", "refuse", "expire", "mute", "race", "read")
NAMES = (*_OFTEN * 6, *_SOMETIMES * 2, *_SELDOM, "tick", "tick")
"""What may happen, the more often the more often it stands here."""


def random_script(seed: int, length: int) -> Script:
    """A script by the seed."""
    rng = random.Random(seed)
    return [(rng.choice(NAMES), rng.randrange(256)) for _ in range(length)]


class Played(threading.Condition):
    """A condition that is not waited for: the play goes on until it is met."""

    def __init__(self, play: Callable[[], None]) -> None:
        super().__init__()
        self._play = play

    def wait_for(self, predicate: Callable[[], Any], timeout: float | None = None) -> Any:
        """Play on; the lock is held, but by this very thread."""
        while not predicate():
            self._play()
        return True


class ClientStream:
    """See :class:`gohan_jobs.stores.etcd.watch.Stream`."""

    def __init__(
        self, run: Run, server: ServerStream, requests: Iterator[Any], *, token: int, mute: bool
    ) -> None:
        self.server = server
        self.requests = requests
        self.token = token
        self.mute = mute
        self.error: str | None = None
        self._run = run

    def __iter__(self) -> Iterator[Any]:
        while (response := self._run.next_response(self)) is not None:
            self._run.seen = max(self._run.seen, response.header.revision)
            yield response

    def refused(self, reason: str) -> StoreRefused:
        """Never for long: see ``Run.expire``."""
        return StoreRefused(reason)

    def renew_token(self) -> bool:
        """The next stream has another one."""
        if self._run.token == self.token:
            self._run.token += 1
        return True

    def close(self) -> None:
        """End it."""
        with self._run.closing:
            self.error = self.error or "cancelled"
            self.server.close()
            self._run.closing.notify_all()


class Run:
    """A watch, the cluster it watches, and one who polls; the ``Streams`` of the watch.

    Args:
        rules: of the cluster.
        script: what happens, and with what number each.
        ahead: how far after the newest revision the watch begins.
        buffer: of the watch.
        closes: how many steps before the end of the script it is closed; None for not at all.
        played: whether all is done on this thread.
    """

    inherited = False

    def __init__(
        self,
        rules: Rules,
        script: Script,
        *,
        ahead: int = 1,
        buffer: int = 3,
        closes: int | None = None,
        played: bool = True,
    ) -> None:
        self.cluster = Cluster(rules)
        self.rpc: Any = messages.load()
        self.seen = 0
        self.token = 0
        self.control_first = True
        self.closing = threading.Condition()
        self.delivered: list[WatchBatch] = []
        self.ended: Exception | None = None
        self.opened = 0
        self._elapsed = 0
        self.settled = False
        self._script = deque(script)
        self._closes = closes
        self._played = played
        self._stream: ClientStream | None = None
        self._woken = False
        self._flowing = self._refusals = self._route = 0
        self._expired = self._token_reason = 0
        self._mute = self._races = False
        # What comes before the watch.
        for number in range(self._script[0][1] % 8 if script else 0):
            self.write(number * 5)
            self.apply(number)
        self.start = self.position = max(1, self.cluster.revision + ahead)
        self.watch = EtcdWatch(
            self,
            PREFIX,
            self.start,
            wake=self._wake,
            buffer=buffer,
            silence=0.0,
            closed=lambda _: None,
        )
        if played:
            self.watch._state = Played(self.play_on)

    # What the watch asks of its connection.

    def check(self) -> None:
        """It may always be used."""

    def open_stream(self, requests: Iterator[Any], asked: str) -> ClientStream:
        """A stream to the member that is next, unless it is refused."""
        self.opened += 1
        assert self.opened < MOST_STREAMS, "the watch does not get on"
        assert not any(member.streams for member in self.cluster.members)
        if self._refusals:
            self._refusals -= 1
            raise StoreUnavailable("refused")
        server = ServerStream(self._member())
        stream = ClientStream(self, server, requests, token=self.token, mute=self._mute)
        create = next(requests)
        if not self._mute:
            reasons = ("etcdserver: permission denied", "etcdserver: invalid auth token")
            refused = reasons[self._token_reason % 2] if self.token < self._expired else ""
            server.ask(create, refused=refused, races=self._races)
        self._mute = self._races = False
        self._stream = stream
        return stream

    def create_request(self, prefix: str, revision: int) -> Any:
        """As the connection has it."""
        begin, end = messages.key_range(prefix)
        create = self.rpc.WatchCreateRequest(key=begin, range_end=end, start_revision=revision)
        return self.rpc.WatchRequest(create_request=create)

    def ping_request(self) -> Any:
        """As the connection has it."""
        return self.rpc.WatchRequest.FromString(messages.PING)

    def next_response(self, stream: ClientStream) -> Any:
        """Play until there is a response; None if the server ends the stream."""
        response = None
        while stream.error is None and response is None:
            if self._flowing:
                self._flowing -= 1
                response = stream.server.send(control_first=self.control_first)
                self._flowing *= response is not None
            elif self._script:
                self.step()
            else:
                response = self._settle(stream)
        if response is None and stream.error != "ended":
            raise StoreUnavailable(stream.error)
        return response

    def _settle(self, stream: ClientStream) -> Any:
        """The next response when nothing is in the way any more; None if it is still to come."""
        if not self.settled:
            self._route = 0
            while self.cluster.revision <= self.start:
                self.cluster.write("/a/1+")
            self.cluster.write(MARK)
            self.settled = True
        if stream.mute:
            self._elapsed += 1
            assert self._elapsed < MOST_STREAMS, "a silent server is put up with"
            self.elapse(0)
            return None
        for _ in range(3):
            for member in self.cluster.members:
                while member.apply():
                    pass
                member.move_victims()
                member.sync()
            response = stream.server.send(control_first=self.control_first)
            if response is not None:
                return response
        if self._played:
            self.poll(0)
            self.watch.close()
            assert stream.error is not None
        else:
            with self.closing:
                self.closing.wait_for(lambda: stream.error is not None)
        return None

    # One who polls.

    def _wake(self) -> None:
        self._woken = True

    def poll(self, _: int) -> None:
        """Take what there is, if woken."""
        while self._woken and self._played:
            try:
                batch = self.watch.poll()
            except (Compacted, StoreClosed) as error:
                self.ended = error
                return
            if batch is None:
                self._woken = False
            else:
                self.take(batch)

    def take(self, batch: WatchBatch) -> None:
        """See that a batch is what comes next, all of it, and nothing else."""
        assert self.position <= batch.revision <= self.cluster.revision
        due = self.cluster.events(PREFIX, self.position)
        due = [event for event in due if event.revision <= batch.revision]
        assert list(map(plain, due)) == list(map(plain, batch.events))
        for expected, actual in zip(due, batch.events, strict=True):
            assert actual.previous in (None, expected.previous)
        if batch.events:
            assert batch.events[-1].revision == batch.revision
        self.position = batch.revision + 1
        self.delivered.append(batch)

    # What happens.

    def step(self) -> None:
        """The next thing in the script."""
        name, number = self._script.popleft()
        if self._closes is not None and len(self._script) <= self._closes:
            self.watch.close()
        getattr(self, name)(number)

    def play_on(self) -> None:
        """What happens while the watch waits for who polls."""
        if self._stream is not None:
            # If it is still there, nobody reads it now.
            self._stream.server.unread = True
        if self._script:
            self.step()
        else:
            assert self._woken, "nobody will ever poll"
            self.poll(0)

    def _member(self) -> Member:
        return self.cluster.members[self._route % 3]

    def _server(self) -> ServerStream | None:
        if self._stream is None or not self._stream.server.open:
            return None
        return self._stream.server

    def write(self, number: int) -> None:
        """A transaction of some keys; often of none that are watched."""
        chosen = number // 2 % 63 + 1 if number % 2 else 0b111000
        self.cluster.write(*(key for bit, key in enumerate(KEYS) if chosen >> bit & 1))

    def apply(self, number: int) -> None:
        """A member applies some of the log; the one that is watched more often than others."""
        member = self._member() if number % 2 else self.cluster.members[number % 3]
        for _ in range(1 + number % 5):
            member.apply()

    def compact(self, number: int) -> None:
        """Mostly what the watch has no need of, or just what it needs next."""
        offsets = (-3, -2, -1, -1, -1, -1, 0, 1)
        self.cluster.compact(self.watch._next + offsets[number % 8])

    def sync(self, number: int) -> None:
        """What a member does ten times a second, or a hundred times."""
        if number % 3:
            self._member().move_victims()
        if number % 5:
            self._member().sync()

    def send(self, number: int) -> None:
        """Some responses arrive."""
        self._flowing = 1 + number % 3
        self.control_first = number % 4 != 0

    def tick(self, number: int) -> None:
        """It is time for a progress notice."""
        if server := self._server():
            server.tick()

    def elapse(self, number: int) -> None:
        """So much time passes that the watch looks whether the server is still there."""
        if self._stream is not None and self._stream.server.open:
            request = next(self._stream.requests, None)
            if request is not None and not self._stream.mute:
                self._stream.server.ask(request)

    def cut(self, number: int) -> None:
        """The stream breaks, or the server ends it."""
        if server := self._server():
            server.close()
            assert self._stream is not None
            self._stream.error = "ended" if number % 4 == 0 else "cut"

    def cancel(self, number: int) -> None:
        """The server ends the watch, in the stream."""
        if (server := self._server()) and server.announced:
            server.cancel("etcdserver: no leader")

    def refuse(self, number: int) -> None:
        """The next streams can't be opened."""
        self._refusals += 1 + number % 2

    def route(self, number: int) -> None:
        """The next stream is another member's."""
        self._route = number

    def snapshot(self, number: int) -> None:
        """A member gets a snapshot instead of what it lacks."""
        member = self._member() if number % 2 else self.cluster.members[number % 3]
        member.take_snapshot()

    def restart(self, number: int) -> None:
        """A member is killed, and comes back."""
        member = self._member() if number % 2 else self.cluster.members[number % 3]
        member.restart(number % 4)
        if self._stream is not None and not self._stream.server.open:
            self._stream.error = self._stream.error or "killed"

    def expire(self, number: int) -> None:
        """The token ends, but not twice before the watch has been there again."""
        if (server := self._server()) and server.announced:
            self._expired, self._token_reason = self.token + 1, number

    def mute(self, number: int) -> None:
        """The next stream is never answered."""
        self._mute = True

    def race(self, number: int) -> None:
        """Something is written just when the next watch begins."""
        self._races = self.cluster.rules.keeps_tombstones

    def read(self, number: int) -> None:
        """Somebody else's request has had an answer."""
        self.seen = self.cluster.revision


def plain(event: Event) -> Event:
    """An event without what was before, which etcd may not know any more."""
    return attrs.evolve(event, previous=None)
