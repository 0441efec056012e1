"""A model of etcd's watches: members that apply one log, each in its own time.

It follows etcd's server, 3.4.23 (``mvcc/watchable_store.go``, ``mvcc/watcher_group.go``,
``etcdserver/api/v3rpc/watch.go``), step by step, so that a test decides the order of all that goes
on at once there. What later releases do otherwise is a matter of :class:`Rules`.

Of one mistake of older etcd only the half is modelled that a client can do something about: a
delete at the compacted revision is left out for a watch that *begins* there, not for one that
happens to have come just so far when the history is compacted.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import Any

import attrs

from gohan_jobs.stores.base import Entry, Event, EventKind
from gohan_jobs.stores.etcd import messages

__all__ = ["Cluster", "Compaction", "Member", "Rules", "ServerStream"]

_PING_ID = -1


@attrs.frozen
class Rules:
    """How a release of etcd behaves, and how small its limits are here.

    Attributes:
        batch: revisions in one response to a watch that catches up; 1,000 in etcd.
        room: responses that wait for a stream until its watch is a victim; 128 in etcd.
        orderly_pings: a ping is answered in line with the events, and only if all have been sent;
            else at once, ahead of them (3.5 before 3.5.8).
        mute_futures: a ping is not answered before the revision a watch begins at.
        fresh_minimum: a watch remembers what it has been told, should a snapshot arrive.
        keeps_tombstones: a compaction keeps the deletes of its own revision.
        tells_late: a compaction is told to a watch later if its stream has no room now.
        futures_last: a snapshot does not make a watch of a future revision begin at once.
    """

    batch: int = 2
    room: int = 2
    orderly_pings: bool = False
    mute_futures: bool = False
    fresh_minimum: bool = False
    keeps_tombstones: bool = False
    tells_late: bool = False
    futures_last: bool = False


@attrs.frozen
class Compaction:
    """A compaction in the log."""

    revision: int


@attrs.define(eq=False)
class _Watcher:
    """What a member knows of a watch."""

    begin: bytes
    end: bytes
    start: int
    least: int
    late: bool
    group: str = "synced"
    held: tuple[Event, ...] = ()
    more: int = 0

    def wants(self, event: Event) -> bool:
        """Whether it is to be told of an event."""
        key = messages.to_bytes(event.key)
        return self.begin <= key and (key < self.end or self.end == b"\0")


class Cluster:
    """The log that all members agree on.

    Args:
        rules: how they behave.
        members: how many.
    """

    def __init__(self, rules: Rules, members: int = 3) -> None:
        self.rpc: Any = messages.load()
        self.rules = rules
        # A stream is closed from either end.
        self.lock = threading.Lock()
        self.log: list[tuple[Event, ...] | Compaction] = []
        # At revision 1 there is nothing; the first write makes 2.
        self.revisions: list[tuple[Event, ...]] = [(), ()]
        self.compacted = 0
        self._live: dict[str, Entry] = {}
        self.members = [Member(self) for _ in range(members)]

    @property
    def revision(self) -> int:
        """The newest."""
        return len(self.revisions) - 1

    def write(self, *keys: str) -> None:
        """One transaction: deletes the keys that are there, and puts those that are not.

        A key that ends in ``+`` is put in any case.
        """
        events = tuple(self._change(key) for key in keys)
        self.revisions.append(events)
        self.log.append(events)

    def _change(self, key: str) -> Event:
        at = self.revision + 1
        before = self._live.pop(key, None)
        if before is not None and not key.endswith("+"):
            return Event(kind=EventKind.DELETE, key=key, revision=at, entry=None, previous=before)
        entry = Entry(
            key=key,
            value=b"%d" % at,
            create_revision=before.create_revision if before else at,
            mod_revision=at,
            version=before.version + 1 if before else 1,
        )
        self._live[key] = entry
        return Event(kind=EventKind.PUT, key=key, revision=at, entry=entry, previous=before)

    def compact(self, revision: int) -> None:
        """Let history before a revision go, unless it is gone or the revision is to come."""
        if self.compacted < revision <= self.revision:
            self.compacted = revision
            self.log.append(Compaction(revision))

    def events(self, prefix: str, start: int) -> list[Event]:
        """All there ever were under a prefix, from a revision on."""
        return [
            event
            for changes in self.revisions[start:]
            for event in changes
            if event.key.startswith(prefix)
        ]


class Member:
    """One member: it has applied the log up to somewhere."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.applied = 0
        self.revision = 1
        self.compacted = 0
        self.streams: list[ServerStream] = []

    @property
    def _rules(self) -> Rules:
        return self.cluster.rules

    def apply(self) -> bool:
        """Apply the next entry of the log; whether there was one."""
        if self.applied == len(self.cluster.log):
            return False
        entry = self.cluster.log[self.applied]
        self.applied += 1
        if isinstance(entry, Compaction):
            self.compacted = entry.revision
        else:
            self._notify(entry)
            self.revision += 1
        return True

    def _notify(self, events: tuple[Event, ...]) -> None:
        revision = self.revision + 1
        for stream, watcher in self._watchers("synced"):
            told = tuple(event for event in events if watcher.wants(event))
            if not told or revision < watcher.least:
                continue
            sent = stream.put(revision, told)
            if not sent:
                watcher.group, watcher.held, watcher.more = "victim", told, 0
            if not sent or self._rules.fresh_minimum:
                watcher.least = revision + 1

    def _watchers(self, group: str) -> list[tuple[ServerStream, _Watcher]]:
        return [
            (stream, stream.watcher)
            for stream in self.streams
            if stream.watcher is not None and stream.watcher.group == group
        ]

    def sync(self) -> None:
        """Let those that are behind catch up by one batch; etcd does so every 100 ms."""
        for stream, watcher in self._watchers("unsynced"):
            if watcher.least < self.compacted:
                if stream.put(0, (), compacted=self.compacted):
                    watcher.group = "compacted"
                    continue
                if self._rules.tells_late or not stream.unread:
                    continue
            self._catch_up(stream, watcher)

    def _catch_up(self, stream: ServerStream, watcher: _Watcher) -> None:
        told, more = self._batch(watcher)
        ahead = self._rules.futures_last and watcher.least > self.revision
        watcher.least = more or (watcher.least if ahead else self.revision + 1)
        if told and not stream.put(self.revision, told):
            watcher.group, watcher.held, watcher.more = "victim", told, more
        elif not more:
            watcher.group = "synced"

    def _batch(self, watcher: _Watcher) -> tuple[tuple[Event, ...], int]:
        """The next events, and the revision of what comes after them; 0 if nothing does."""
        told: list[Event] = []
        revisions = 0
        for revision in range(watcher.least, self.revision + 1):
            found = [event for event in self._history(revision, watcher) if watcher.wants(event)]
            if found and revisions == self._rules.batch:
                return tuple(told), revision
            revisions += bool(found)
            told += found
        return tuple(told), 0

    def _history(self, revision: int, watcher: _Watcher) -> list[Event]:
        gone = watcher.late and revision == watcher.start and not self._rules.keeps_tombstones
        return [
            event
            for event in self.cluster.revisions[revision]
            if revision > self.compacted
            or (revision == self.compacted and (event.entry is not None or not gone))
        ]

    def move_victims(self) -> None:
        """Send again what a stream had no room for; etcd does so every 10 ms."""
        for stream, watcher in self._watchers("victim"):
            if stream.put(watcher.least - 1, watcher.held):
                watcher.least = watcher.more or watcher.least
                watcher.group = "unsynced" if watcher.least <= self.revision else "synced"

    def take_snapshot(self) -> None:
        """Be given the state as the leader has it: what is between is never applied."""
        if self.applied == len(self.cluster.log):
            return
        self.applied = len(self.cluster.log)
        self.revision, self.compacted = self.cluster.revision, self.cluster.compacted
        for _, watcher in self._watchers("synced"):
            watcher.group = "unsynced"

    def restart(self, forgotten: int) -> None:
        """Come back, without some entries that were not yet on disk: they are applied again."""
        for stream in tuple(self.streams):
            stream.close()
        self.applied = max(0, self.applied - forgotten)
        done = self.cluster.log[: self.applied]
        self.revision = 1 + sum(not isinstance(entry, Compaction) for entry in done)
        self.compacted = max((e.revision for e in done if isinstance(e, Compaction)), default=0)


class ServerStream:
    """A member's end of a stream.

    Attributes:
        watcher: the watch, once it is created.
        unread: whether the client reads nothing at the moment.
        open: whether it has not been ended.
        announced: whether the client has been told that the watch is there.
    """

    def __init__(self, member: Member) -> None:
        self.watcher: _Watcher | None = None
        self.unread = False
        self.open = True
        self._member = member
        self._control: deque[Any] = deque()
        self._events: deque[Any] = deque()
        self._pending: deque[Any] = deque()
        self.announced = False
        self._due = True
        member.streams.append(self)

    def close(self) -> None:
        """End it; what has not been sent is lost."""
        with self._member.cluster.lock:
            if self.open:
                self.open = False
                self._member.streams.remove(self)

    def ask(self, request: Any, *, refused: str = "", races: bool = False) -> None:
        """Take a request.

        Args:
            request: to create a watch, or a ping.
            refused: why no watch is created.
            races: a write is applied between reading the revision and creating the watch.
        """
        if request.WhichOneof("request_union") is None:
            self._ping()
        elif refused:
            answer = self._response(self._member.revision, watch_id=-1, created=True)
            answer.canceled, answer.cancel_reason = True, refused
            self._control.append(answer)
        else:
            self._create(request.create_request, races=races)

    def _create(self, create: Any, *, races: bool) -> None:
        member = self._member
        self._control.append(self._response(member.revision, created=True))
        if races:
            member.apply()
        start = create.start_revision or member.revision + 1
        late = start <= member.revision
        self.watcher = _Watcher(create.key, create.range_end, start, start, late)
        self.watcher.group = "unsynced" if late else "synced"

    def _ping(self) -> None:
        member, watcher = self._member, self.watcher
        rules = member.cluster.rules
        if not rules.orderly_pings:
            self._control.append(self._response(member.revision, watch_id=_PING_ID))
        elif (
            watcher is not None
            and watcher.group == "synced"
            and (member.revision >= watcher.start or not rules.mute_futures)
        ):
            self.put(member.revision, (), watch_id=_PING_ID)

    def cancel(self, reason: str) -> None:
        """End the watch, not the stream."""
        answer = self._response(self._member.revision)
        answer.canceled, answer.cancel_reason = True, reason
        self._control.append(answer)
        self.watcher = None

    def tick(self) -> None:
        """Tell how far it is, if nothing else has been told for long; every 10 minutes in etcd."""
        due, self._due = self._due, True
        if due and self.watcher is not None and self.watcher.group == "synced":
            self.put(self._member.revision, ())

    def put(
        self, revision: int, events: tuple[Event, ...], *, compacted: int = 0, watch_id: int = 0
    ) -> bool:
        """Have a response wait to be sent; False if there is no room."""
        if len(self._events) >= self._member.cluster.rules.room:
            return False
        answer = self._response(revision, watch_id=watch_id)
        answer.canceled, answer.compact_revision = compacted > 0, compacted
        for event in events:
            self._fill(answer.events.add(), event)
        self._events.append(answer)
        return True

    def _fill(self, answer: Any, event: Event) -> None:
        answer.type = 0 if event.entry is not None else 1
        answer.kv.key = messages.to_bytes(event.key)
        answer.kv.mod_revision = event.revision
        if event.entry is not None:
            _copy(event.entry, answer.kv)
        if event.previous is not None and event.revision - 1 >= self._member.compacted:
            _copy(event.previous, answer.prev_kv)

    def send(self, *, control_first: bool) -> Any:
        """The next response that goes over the wire; None if there is none.

        Args:
            control_first: which of two goes first: etcd takes either.
        """
        while self._control or self._events or self._pending:
            if self.announced and self._pending:
                return self._pending.popleft()
            if self._control and (control_first or not self._events):
                answer = self._control.popleft()
                self.announced = self.announced or answer.created
                return answer
            if not self._events:
                break
            answer = self._events.popleft()
            if self.announced or answer.watch_id == _PING_ID:
                self._due = self._due and not answer.events
                return answer
            self._pending.append(answer)
        return None

    def _response(self, revision: int, *, watch_id: int = 0, created: bool = False) -> Any:
        rpc = self._member.cluster.rpc
        header = rpc.ResponseHeader(revision=revision)
        return rpc.WatchResponse(header=header, watch_id=watch_id, created=created)


def _copy(entry: Entry, pair: Any) -> None:
    pair.key, pair.value = messages.to_bytes(entry.key), entry.value
    pair.create_revision, pair.mod_revision = entry.create_revision, entry.mod_revision
    pair.version = entry.version
