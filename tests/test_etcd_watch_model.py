"""The watch of the store on etcd, on a model of etcd in which anything happens in any order.

Most of it is played on one thread; a few runs with the watch's own thread follow.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etcd_model import Rules
from gohan_jobs.exceptions import Compacted, StoreClosed, StoreRefused
from gohan_jobs.stores.etcd import watch as watching
from watch_play import MARK, NAMES, PREFIX, ClientStream, Run, Script, random_script

PATIENCE = 60.0


@pytest.fixture(autouse=True, scope="module")
def _no_pauses() -> Iterator[None]:
    """The watch tries again at once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(watching, "_SHORTEST_PAUSE", 0.0)
        patch.setattr(watching, "_LONGEST_PAUSE", 0.0)
        yield


scripts = st.lists(st.tuples(st.sampled_from(NAMES), st.integers(0, 255)), min_size=1, max_size=120)
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
