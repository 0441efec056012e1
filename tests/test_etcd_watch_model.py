"""The watch of the store on etcd, on a model of etcd in which anything happens in any order.

What happens is a script. The stream plays it on, whenever the watch asks for the next response;
so all of it runs on one thread, and nothing waits. A few runs with the real thread follow.
"""

from __future__ import annotations

import random
import threading
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etcd_model import Cluster, Member, Rules, ServerStream
from gohan_jobs.exceptions import Compacted, StoreClosed, StoreRefused, StoreUnavailable
from gohan_jobs.stores.base import Event, WatchBatch
from gohan_jobs.stores.etcd import messages
from gohan_jobs.stores.etcd import watch as watching
from gohan_jobs.stores.etcd.watch import EtcdWatch

PREFIX = "/a/"
# One that is always put, two that come and go; and three that are not under the prefix.
KEYS = ("/a/1+", "/a/2", "/a/3", "/a", "/a0", "/b/1")
MARK = "/a/end+"
PATIENCE = 60.0
MOST_STREAMS = 300

Script: TypeAlias = list[tuple[str, int]]


@pytest.fixture(autouse=True, scope="module")
def _no_pauses() -> Iterator[None]:
    """The watch tries again at once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(watching, "_SHORTEST_PAUSE", 0.0)
        patch.setattr(watching, "_LONGEST_PAUSE", 0.0)
        yield


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


_OFTEN = ("write", "apply", "sync", "send")
_SOMETIMES = ("poll", "tick", "elapse", "cut", "route", "restart", "snapshot")
_SELDOM = ("compact", "cancel", "refuse", "expire", "mute", "race", "read")
_NAMES = (*_OFTEN * 6, *_SOMETIMES * 2, *_SELDOM, "tick", "tick")

scripts = st.lists(
    st.tuples(st.sampled_from(_NAMES), st.integers(0, 255)), min_size=1, max_size=120
)
_rules = st.builds(
    Rules,
    batch=st.integers(1, 3),
    room=st.integers(1, 3),
    orderly_pings=st.booleans(),
    mute_futures=st.booleans(),
    fresh_minimum=st.booleans(),
    keeps_tombstones=st.booleans(),
    tells_late=st.booleans(),
    futures_last=st.booleans(),
)


def random_script(seed: int, length: int) -> Script:
    """A script by the seed."""
    rng = random.Random(seed)
    return [(rng.choice(_NAMES), rng.randrange(256)) for _ in range(length)]


def check(run: Run) -> None:
    """Play it; either all has been delivered, or what is missing is gone."""
    run.watch._run()
    run.poll(0)
    check_end(run)
    assert not any(member.streams for member in run.cluster.members)


def check_end(run: Run) -> None:
    """See that nothing is missing, unless the history is gone, and the watch has said so."""
    if isinstance(run.ended, Compacted):
        assert run.cluster.compacted >= run.ended.revision >= run.position
        assert run.position == run.watch._next, "what came before it was not given"
    else:
        assert run.settled
        assert [] == run.cluster.events(PREFIX, run.position)


@settings(derandomize=True, max_examples=400, deadline=None)
@given(rules=_rules, script=scripts, ahead=st.integers(-6, 3), buffer=st.integers(1, 6))
def test_no_event_is_lost_nor_told_twice(
    *, rules: Rules, script: Script, ahead: int, buffer: int
) -> None:
    """Whatever happens, each event is delivered once and in order, or the history is gone."""
    check(Run(rules, script, ahead=ahead, buffer=buffer))


@pytest.mark.parametrize("seed", range(40))
def test_long_runs(seed: int) -> None:
    """So it is when much happens, on an old etcd, on a new one, and on any in between."""
    rng = random.Random(seed)
    for kind in ((False,) * 6, (True,) * 6, [rng.random() < 0.5 for _ in range(6)]):
        rules = Rules(rng.randint(1, 3), rng.randint(1, 3), *kind)
        script = random_script(rng.randrange(2**32), 250)
        check(Run(rules, script, ahead=rng.randint(-6, 3), buffer=rng.randint(1, 6)))


@settings(derandomize=True, max_examples=150, deadline=None)
@given(rules=_rules, script=scripts, closes=st.integers(0, 119), buffer=st.integers(1, 6))
def test_closed_at_any_moment(*, rules: Rules, script: Script, closes: int, buffer: int) -> None:
    """Closed, whatever is under way, it ends at once, gives its stream back, and gives no more."""
    run = Run(rules, script, buffer=buffer, closes=closes)
    run.watch._run()
    run.watch.close()
    assert not any(member.streams for member in run.cluster.members)
    with pytest.raises(StoreClosed):
        run.watch.poll()


def receive(run: Run) -> bool:
    """Wait for a batch and take it; False if there will be none."""
    if run.settled and not run.cluster.events(PREFIX, run.position):
        return False
    try:
        batch = run.watch.poll(PATIENCE)
    except Compacted as error:
        run.ended = error
        return False
    assert batch is not None
    run.take(batch)
    return True


@pytest.mark.parametrize("seed", range(30))
def test_on_a_thread_of_its_own(seed: int) -> None:
    """So it is for one who polls on another thread, faster or slower than the watch."""
    run = Run(Rules(), random_script(seed, 150), buffer=1 + seed % 3, played=False)
    run.watch.start()
    while receive(run):
        pass
    check_end(run)
    run.watch.close()
    assert not run.watch._thread.is_alive()


@pytest.mark.parametrize("seed", range(30))
def test_closed_by_another_thread(seed: int) -> None:
    """Closed by who polls, after some batches, it leaves neither its thread nor its stream."""
    run = Run(Rules(), random_script(seed, 150), buffer=1 + seed % 3, played=False)
    run.watch.start()
    for _ in range(seed % 4):
        receive(run)
    run.watch.close()
    assert not run.watch._thread.is_alive()
    assert not any(member.streams for member in run.cluster.members)


# Single things.


def applied(run: Run) -> Run:
    """The same, once all members have applied all there is."""
    for member in run.cluster.members:
        while member.apply():
            pass
    return run


def told(run: Run) -> list[list[str]]:
    """The keys that each batch has told of."""
    return [[event.key for event in batch.events] for batch in run.delivered]


@pytest.mark.parametrize("seen", [0, 3])
@pytest.mark.parametrize("kept", [False, True])
def test_deleted_at_the_compacted_revision(*, seen: int, kept: bool) -> None:
    """Of older etcd a watch that begins just there would not be told: it must not begin there."""
    run = Run(Rules(keeps_tombstones=kept), [], ahead=2)
    run.seen = seen
    for _ in range(2):
        run.cluster.write("/a/2")
    run.cluster.compact(3)
    check(applied(run))
    assert isinstance(run.ended, Compacted)
    assert (3, []) == (run.ended.revision, told(run))


def test_compacted_behind_the_watch() -> None:
    """A member that takes over a snapshot may call lost what the watch has had: it goes on."""
    flowing = [("write", 1), ("apply", 0), ("send", 2), ("write", 1), ("apply", 0), ("send", 0)]
    lagging = [("compact", 2), ("write", 1), ("snapshot", 1), ("sync", 1), ("send", 0)]
    run = Run(Rules(), [("poll", 0), *flowing, ("poll", 0), *lagging], buffer=9)
    check(run)
    assert run.cluster.compacted == 3
    assert [["/a/1+"]] * 3 + [[MARK]] == told(run)
    assert run.opened == 2


def test_no_stream_while_nobody_polls() -> None:
    """A full watch has none, until half of what it keeps has been taken."""
    waits = []

    class Slow(Run):
        def play_on(self) -> None:
            waits.append((sum(len(m.streams) for m in self.cluster.members), self.watch._buffered))
            batch = self.watch.poll()
            assert batch is not None
            self.take(batch)

    run = Slow(Rules(batch=1), [], buffer=4)
    for _ in range(6):
        run.cluster.write("/a/1+")
    check(applied(run))
    assert [(0, 4), (0, 3)] * 2 == waits
    assert [["/a/1+"]] * 6 + [[MARK]] == told(run)


def test_history_gone_while_nobody_polls() -> None:
    """A stream left unread might never be told that the history it needs has been compacted."""

    class Forgetful(Run):
        def forget(self, number: int) -> None:
            self.cluster.compact(self.cluster.revision)
            applied(self)

    script = [("send", 0), ("sync", 1), ("send", 0), ("sync", 1), ("forget", 0), ("sync", 1)]
    run = Forgetful(Rules(batch=1, room=1), [("poll", 0), *script], buffer=1)
    for _ in range(4):
        run.cluster.write("/a/1+")
    run.seen = run.cluster.revision
    check(applied(run))
    assert isinstance(run.ended, Compacted)
    assert [["/a/1+"]] == told(run)


def test_silent_before_it_has_begun() -> None:
    """A stream that is given up before anybody could end it is ended all the same."""

    class Suspended(Run):
        def open_stream(self, requests: Iterator[Any], asked: str) -> ClientStream:
            self._mute = not self.opened
            stream = super().open_stream(requests, asked)
            if stream.mute:
                # Much time has passed since.
                assert len(list(requests)) == 1
            return stream

    run = Suspended(Rules(), [], buffer=9)
    check(run)
    assert run.opened == 2


def test_error_that_is_not_the_stores() -> None:
    """An error that should not be ends the watch; who polls is told its kind, not its words."""

    class Broken(Run):
        def open_stream(self, requests: Iterator[Any], asked: str) -> ClientStream:
            raise KeyError("secret")

    run = Broken(Rules(), [])
    with pytest.raises(KeyError):
        run.watch._run()
    for _ in range(2):
        with pytest.raises(StoreRefused, match=r"^watch all keys that begin with /a/: KeyError$"):
            run.watch.poll()


def test_closed_before_it_has_begun() -> None:
    """Closed while the stream is being opened, it reads nothing of it."""

    class Hurried(Run):
        def open_stream(self, requests: Iterator[Any], asked: str) -> ClientStream:
            stream = super().open_stream(requests, asked)
            # Before it can know of the stream.
            self.watch.abandon()
            stream.error = None
            return stream

    run = Hurried(Rules(), [("read", 0)] * 9)
    run.watch._run()
    assert (9, 1) == (len(run._script), run.opened)


def test_token_of_before_a_restore() -> None:
    """A member that keeps silent over a token is asked with a new one."""

    class Restored(Run):
        def open_stream(self, requests: Iterator[Any], asked: str) -> ClientStream:
            self._mute = self.token == 0
            return super().open_stream(requests, asked)

    run = Restored(Rules(), [], buffer=9)
    check(run)
    assert run.opened == 2
