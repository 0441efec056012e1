"""A deployment to get into trouble, and a terminal to look at it as an operator does."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from chaos_estate import HEAT_TENANTS, SCHEMAS, SCHEMAS_TEXT, template_of
from chaos_processes import HeatProcess, Member, MemberOptions
from gohan_jobs.clock import SystemClock
from gohan_jobs.exceptions import StoreFull
from gohan_jobs.lifecycle import Lifecycle
from gohan_jobs.orchestrators.simulated import SimulatedHeat
from gohan_jobs.records import ConfigRecord, ResourceRef
from gohan_jobs.stores.base import Put, Transaction
from gohan_jobs.stores.etcd import EtcdStore
from gohan_jobs.testing.etcd import EtcdCluster

__all__ = ["Stage", "normalized", "stage"]

PATIENCE: Final = 40.0

_PASSING: Final = (
    (r"\x1b\[[0-9;]*m", ""),
    (r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "UUID"),
    (r"\b([a-z]+(?:-\d)?)-[0-9a-f]{8}\b", r"\1-ID"),
    (r"\b(\w+:heat_worker:\w+:[\w-]+:\d+):[a-z0-9]{5}\b", r"\1:SUFFIX"),
    (r"\d{4}-\d\d-\d\dT[\d:.]+(\+\d\d:\d\d|Z)", "TIME"),
    (r"127\.0\.0\.1:\d+", "ADDRESS"),
    (r"\b[0-9a-f]{12,16}\b", "NUMBER"),
    (r"\b\d+(\.\d+)?( ?[smh]\b| ?min\b| seconds?\b| [KMG]i?B\b| ?%| bytes\b)", r"AMOUNT"),
    (r"(\brevision|--physical) ?\d+", r"\1 N"),
    (r"\b\d+ revisions", "N revisions"),
    (r"memberID:\d+", "memberID:N"),
    (r"(?m)^\d+$", "N"),
    (r"\bAMOUNT( AMOUNT)+\b", "AMOUNT"),
    (r"[─━═-]{3,}", "---"),
    (r"[ \t]+", " "),
    (r" (?=\n)", ""),
)


def normalized(transcript: str) -> str:
    """A transcript without what differs from one day to the next: ids, times, sizes, widths."""
    for pattern, by in _PASSING:
        transcript = re.sub(pattern, by, transcript)
    return transcript


class Stage:
    """An etcd, a simulated Heat, processes of ours, and what was typed and printed.

    Attributes:
        cluster: the etcd.
        heat: the Heat.
        transcripts: what was typed and printed, in parts.
    """

    def __init__(self, cluster: EtcdCluster, heat: HeatProcess, home: Path, *run: str) -> None:
        self.cluster = cluster
        self.heat = heat
        self.transcripts: dict[str, str] = {}
        self._home = home
        self._schemas = home / "schemas.json"
        self._schemas.write_text(SCHEMAS_TEXT)
        self._part = ""
        self._store = EtcdStore(cluster.endpoints)
        self._gohan = Lifecycle(self._store, SimulatedHeat(SystemClock()), SCHEMAS, roles=())
        self._options = MemberOptions(
            etcd=cluster.endpoints,
            heat=heat.endpoint,
            home=home,
            lease=3.0,
            stop_timeout=1.0,
            arguments=run,
        )
        self._members: list[Member] = []
        for kind in ("network", "port"):
            self._gohan.submit(template_of(kind), ResourceRef("heat_template", kind))

    def start(self, name: str, roles: str = "manager,worker") -> Member:
        """Start a process, and wait until it works."""
        member = Member(name, roles, self._options)
        self._members.append(member)
        member.start()
        self.wait(lambda: member.has_said(" on 127.0.0.1:"), name)
        return member

    def submit(self, name: str, version: int = 1, **fields: Any) -> ResourceRef:
        """Write a config, as Gohan does."""
        ref = ResourceRef(name.partition("-")[0], name)
        body = {"id": name, "tenant_id": HEAT_TENANTS[0], "name": name, **fields}
        self._gohan.submit(ConfigRecord(body=body, version=version), ref)
        return ref

    def delete(self, ref: ResourceRef) -> None:
        """Ask for a deletion, as Gohan does."""
        self._gohan.delete(ref)

    def fail(self, stack: str, reason: str, *, op: str, times: int = 1) -> None:
        """Let Heat fail at a stack."""
        script = {"stack": stack, "tenant": HEAT_TENANTS[0], "op": op}
        outcomes = [{"fails": True, "reason": reason}] * times
        self.heat.ask("/simulator/scripts", {**script, "outcomes": outcomes})

    def until_created(self, stack: str) -> None:
        """Wait until Heat has begun to make a stack."""
        tenant = HEAT_TENANTS[0]

        def there() -> bool:
            return any(stack == each["stack_name"] for each in self.heat.stacks(tenant))

        self.wait(there, stack)

    def finish(self, stack: str) -> None:
        """Let Heat be done with a stack."""
        self.heat.finish(HEAT_TENANTS[0], stack)

    def jobs(self, ref: ResourceRef) -> tuple[str, ...]:
        """The ids of a resource's unfinished jobs."""
        return tuple(str(job.job_id) for job in self._gohan.explain(ref).jobs)

    def fill(self) -> None:
        """Write to etcd, as a neighbour would, until it takes no more."""
        with contextlib.suppress(StoreFull):
            for number in range(1000):
                put = Put(f"/neighbour/{number}", bytes(500_000))
                self._store.transact(Transaction(success=(put,)))

    def empty(self) -> None:
        """Remove what filled etcd, and give the space back."""
        self.etcdctl("del", "--prefix", "/neighbour/")
        self.etcdctl("compaction", "--physical", str(self._store.revision()))
        self.etcdctl("defrag")

    def until(self, ref: ResourceRef, text: str) -> None:
        """Wait until the summary of a resource's explanation holds a text."""
        self.wait(
            lambda: text in self._gohan.explain(ref).summary,
            f"{text!r} in {ref}",
            lambda: self._gohan.explain(ref).summary,
        )

    def wait(
        self, reached: Callable[[], bool], what: str, instead: Callable[[], str] = str
    ) -> None:
        """Wait for something, but not for ever."""
        due = time.monotonic() + PATIENCE
        while not reached():
            for member in self._members:
                member.check()
            assert time.monotonic() < due, f"no {what}, but {instead()}"
            time.sleep(0.1)

    # The terminal.

    def part(self, name: str) -> None:
        """What follows is another part of the transcript."""
        self._part = name

    def type(self, *arguments: str, status: int = 0) -> str:
        """Type a command of ours; what it prints.

        Args:
            arguments: after ``gohan-jobs``.
            status: the exit status expected.
        """
        return self._typed("gohan-jobs", (sys.executable, "-m", "gohan_jobs"), arguments, status)

    def etcdctl(self, *arguments: str) -> str:
        """Type a command of etcd's; what it prints."""
        printed = self.cluster.etcdctl(*arguments)
        return self._note(f"$ etcdctl {' '.join(arguments)}\n{printed}")

    def _typed(
        self, name: str, program: tuple[str, ...], arguments: tuple[str, ...], status: int
    ) -> str:
        environment = {
            **os.environ,
            "GOHAN_JOBS_ETCD": ",".join(self.cluster.endpoints),
            "GOHAN_JOBS_SCHEMAS": str(self._schemas),
            "GOHAN_JOBS_HEAT": self.heat.endpoint,
            "GOHAN_JOBS_HEAT_TOKEN": "t0ken",
            "COLUMNS": "100",
            "PYTHONPATH": str(Path(sys.modules["gohan_jobs"].__file__ or "").parent.parent),
        }
        done = subprocess.run(
            [*program, *arguments],
            env=environment,
            cwd=self._home,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            timeout=60,
            check=False,
        )
        assert status == done.returncode, f"{arguments}: {done.returncode}: {done.stdout}"
        return self._note(f"$ {name} {' '.join(arguments)}\n{done.stdout}")

    def _note(self, text: str) -> str:
        before = self.transcripts.get(self._part, "")
        self.transcripts[self._part] = f"{before}\n{text}" if before else text
        return text

    def close(self) -> None:
        """End all of it."""
        for member in self._members:
            member.thaw()
            member.kill()
        self._gohan.close()
        self._store.close()


@contextlib.contextmanager
def stage(
    home: Path, *run: str, flags: tuple[str, ...] = (), operation_seconds: float = 0.2
) -> Iterator[Stage]:
    """A deployment with one etcd member, a Heat, and no process yet.

    Args:
        home: a directory.
        run: more of the command line of ``gohan-jobs run``.
        flags: more of etcd's.
        operation_seconds: how long Heat takes for a stack.
    """
    with EtcdCluster(flags=flags) as cluster, HeatProcess(operation_seconds) as heat:
        made = Stage(cluster, heat, home, *run)
        try:
            yield made
        finally:
            made.close()
