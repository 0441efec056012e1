"""The chaos test by hand: ``python tests/chaos.py --minutes 30 --seed 7``, or ``nox -s chaos``."""

from __future__ import annotations

import argparse
import contextlib
import datetime as dt
import random
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import attrs

from chaos_estate import HEAT_TENANTS, Gohan
from chaos_faults import Faults
from chaos_processes import HeatProcess, MemberOptions, Members
from chaos_record import Heard, Recorder
from chaos_verdict import Evidence, problems_in
from gohan_jobs.bookkeeping import Bookkeeping
from gohan_jobs.codec import Codec
from gohan_jobs.stores.base import entries_below
from gohan_jobs.stores.etcd import EtcdStore
from gohan_jobs.testing.etcd import EtcdCluster
from gohan_jobs.testing.proxy import TcpProxy
from history import changes_after

__all__ = ["ChaosOptions", "Report", "run_chaos"]

_NAME = re.compile(r"\b(?:network|port|rule|volume|alias)-\d+\b")
_LONGEST_EXCERPT = 150
_AGREEING = 20.0


@attrs.frozen(kw_only=True)
class ChaosOptions:
    """How long, how much, and which.

    Attributes:
        seed: of everything that is left to chance in this process.
        seconds: in which things go wrong.
        resources: to begin with.
        settle_seconds: by which all must have come to rest after that.
        lease: seconds of the members' leases.
        pause: seconds between faults, on average.
    """

    seed: int
    seconds: float = 60.0
    resources: int = 300
    settle_seconds: float = 120.0
    lease: float = 4.0
    pause: float = 1.0


@attrs.frozen(kw_only=True)
class Report:
    """What came out.

    Attributes:
        seed: it can be run again with.
        problems: what is wrong; a line each.
        faults: how many things went wrong on purpose.
        jobs: how many jobs there were.
        revisions: of etcd.
        restarts: how often a process found no etcd when it started, and was started again.
        void: why nothing can be concluded from it; empty if something can.
        excerpts: the history of the resources concerned.
    """

    seed: int
    problems: tuple[str, ...]
    faults: int
    jobs: int
    revisions: int
    restarts: int = 0
    void: str = ""
    excerpts: str = ""

    def __str__(self) -> str:
        head = (
            f"seed {self.seed}: {self.faults} faults, {self.jobs} jobs, {self.revisions} "
            f"revisions, {self.restarts} restarts, {len(self.problems)} problems"
        )
        return "\n".join([head, self.void, *self.problems[:50], self.excerpts])


class _Run:
    """One run."""

    def __init__(self, options: ChaosOptions, stack: contextlib.ExitStack) -> None:
        self.options = options
        rng = random.Random(options.seed)
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="gohan-jobs-chaos-")))
        # Without fsync a member keeps acknowledged writes in its own memory: killed, it loses them,
        # which no etcd in earnest does.
        durable = ["--unsafe-no-fsync=false"]
        self.cluster = stack.enter_context(EtcdCluster(members=3, flags=durable))
        endpoints = self.cluster.endpoints
        self.proxies = [stack.enter_context(TcpProxy(each)) for each in endpoints]
        self.store = stack.enter_context(EtcdStore(endpoints, timeout=2.0))
        self.recorder = Recorder(self.store)
        stack.callback(self.recorder.stop)
        self.heat = stack.enter_context(HeatProcess(operation_seconds=1.5))
        self.members = stack.enter_context(
            Members(
                MemberOptions(
                    etcd=[proxy.endpoint for proxy in self.proxies],
                    heat=self.heat.endpoint,
                    home=home,
                    lease=options.lease,
                )
            )
        )
        self.gohan = Gohan(
            self.store,
            self.recorder,
            random.Random(rng.random()),
            count=options.resources,
            begun_within=min(options.seconds / 3, 60.0),
        )
        self.faults = Faults(
            self.cluster,
            self.proxies,
            self.members,
            self.heat,
            self.gohan,
            self.recorder,
            self.store,
            random.Random(rng.random()),
            lease=options.lease,
            pause=options.pause,
        )
        self.home = home
        self.problems: list[str] = []
        self.keys = Codec().keys

    def run(self) -> Report:
        """All of it."""
        self.members.start()
        self.gohan.start()
        deadline = time.time() + self.options.seconds
        while time.time() < deadline:
            self.faults.step()
            self.members.check()
            time.sleep(0.02)
        self.faults.mend()
        self.gohan.finish()
        settled = self._wait(self._settled, self.options.settle_seconds)
        self.gohan.stop()
        if not settled:
            self.problems.append(f"no rest after {self.options.settle_seconds:g} s")
            self.problems += [f"left: {key}" for key in self._unsettled()]
        evidence = self._evidence()
        void = self._void()
        if void:  # whoever speaks to several members is told of two pasts
            return self._report(evidence, void)
        self.problems += problems_in(evidence)
        if settled:
            self.problems += self._restart()
        if self.problems:
            self._keep()
        return self._report(evidence, self._void())

    # Coming to rest.

    def _settled(self) -> bool:
        # What is written at rest is written within a second; then nothing is.
        return self.recorder.quiet_for > 2.0 and not self._unsettled()

    def _unsettled(self) -> list[str]:
        """What is not done yet."""
        own = Bookkeeping(self.keys)
        left = self.recorder.keys(self.keys.jobs, own.jobs_prefix)
        codec = Codec()
        for path, row in tuple(self.gohan.rows.items()):
            key = self.keys.state_of(path)
            text = self.recorder.value(key)
            version = None if text is None else codec.state(key, text).version
            if row.marked or version != row.version:
                left.append(path)
        return left

    def _wait(self, reached: Callable[[], bool], seconds: float) -> bool:
        deadline = time.time() + seconds
        while time.time() < deadline:
            if reached():
                return True
            self.members.check()
            time.sleep(0.1)
        return False

    # A restart of everything, without a change, writes nothing (``rules`` 2).

    def _restart(self) -> Iterator[str]:
        self.members.kill()
        leased = [self.keys.leader, *self.recorder.keys(Bookkeeping(self.keys).workers_prefix)]
        if not self._wait(lambda: not self.recorder.keys(*leased), 60.0):
            yield "leases outlive their holders"
        before = self.recorder.seen
        self.members.start()
        started = self._wait(
            lambda: len(self.recorder.keys(Bookkeeping(self.keys).workers_prefix)) == 4, 60.0
        )
        # Done in its turn, after all that the new leader found: then that is dealt with, too.
        path = self.gohan.touch()
        state = self.keys.state_of(path)
        if not started or not self._wait(lambda: self.recorder.value(state) is not None, 60.0):
            yield "nothing is done after a restart"
        touched = self._revision_of(self.keys.config_of(path))
        until = [heard for heard in self.recorder.heard if heard.revision < touched]
        for change in changes_after((heard.events for heard in until), before):
            yield f"a restart wrote {change}"

    def _revision_of(self, key: str) -> int:
        for heard in self.recorder.heard:
            if any(event.key == key for event in heard.events):
                return heard.revision
        raise LookupError(key)

    # Telling.

    def _void(self) -> str:
        """Whether etcd's own members disagree, as those of 3.5.0 to 3.5.2 may after a crash."""
        self.cluster.wait()
        if not self._wait(lambda: len(set(self._revisions())) == 1, _AGREEING):
            return f"void: etcd's members stand at different revisions: {self._revisions()}"
        disputed = self._disputed()
        if not disputed:
            return ""
        return f"void: etcd's members disagree on {len(disputed)} keys, such as {disputed[0]}"

    def _alone(self) -> Iterator[EtcdStore]:
        """Each member by itself."""
        for member in self.cluster.members:
            with EtcdStore([member.endpoint], timeout=10.0) as alone:
                yield alone

    def _revisions(self) -> list[int]:
        return [alone.revision() for alone in self._alone()]

    def _disputed(self) -> list[str]:
        """Keys of which the members do not say the same, as of one revision."""
        revision = self.store.revision()
        told = [set(entries_below(alone, "", revision=revision)) for alone in self._alone()]
        disputed = {entry for each in told for entry in each ^ told[0]}
        return sorted({entry.key for entry in disputed})

    def _keep(self) -> None:
        """Leave the logs, and what etcd holds, to be looked at."""
        kept = Path(tempfile.mkdtemp(prefix="gohan-jobs-chaos-kept-"))
        shutil.copytree(self.home, kept, dirs_exist_ok=True)
        entries = entries_below(self.store, "")
        lines = [f"{each.key} {each.mod_revision} {each.value!r}" for each in entries]
        (kept / "etcd.txt").write_text("\n".join(lines))
        (kept / "problems.txt").write_text("\n".join(self.problems))
        everything = _history(self.recorder.heard, re.compile(""))
        (kept / "history.txt").write_text("\n".join(f"{at:.3f} {text}" for at, text in everything))
        self.problems.insert(0, f"the logs are kept in {kept}")

    def _evidence(self) -> Evidence:
        heat = self.heat
        return Evidence(
            heard=self.recorder.heard,
            calls=heat.calls(),
            stacks=[(tenant, stack) for tenant in HEAT_TENANTS for stack in heat.stacks(tenant)],
            rows=dict(self.gohan.rows),
            members=self.members.all,
            failing=self.faults.failing,
            references=self.gohan.references,
        )

    def _report(self, evidence: Evidence, void: str) -> Report:
        names = dict.fromkeys(
            name for text in self.problems for name in _NAME.findall(text.replace("_", " "))
        )
        jobs = sum(
            event.key.startswith(self.keys.all_jobs) and event.entry is not None
            for heard in evidence.heard
            for event in heard.events
        )
        excerpts = (self._excerpt(name, evidence) for name in list(names)[:3])
        return Report(
            seed=self.options.seed,
            problems=tuple(self.problems),
            faults=len(self.faults.done),
            jobs=jobs,
            revisions=self.recorder.seen,
            restarts=sum(member.restarts for member in self.members.all),
            void=void,
            excerpts="\n".join(excerpts),
        )

    def _excerpt(self, name: str, evidence: Evidence) -> str:
        """All that is known of a resource, in the order in which it happened."""
        whole = re.compile(rf"{name}(?!\d)")
        lines = [*_history(evidence.heard, whole), *_calls(evidence, whole), *self.faults.done]
        for member in self.members.all:
            lines += _log(member.name, member.log, whole)
        lines.sort(key=lambda line: line[0])
        told = [f"{dt.datetime.fromtimestamp(at).time()} {text}" for at, text in lines]  # noqa: DTZ006 - as the logs have it
        return "\n".join([f"--- {name}", *told[-_LONGEST_EXCERPT:]])


_Line = tuple[float, str]


def _history(heard: Iterable[Heard], whole: re.Pattern[str]) -> Iterator[_Line]:
    for revision in heard:
        for event in revision.events:
            if whole.search(event.key):
                value = event.entry.value.decode()[:300] if event.entry else ""
                yield (
                    revision.at,
                    f"  etcd {revision.revision} {event.kind.value} {event.key} {value}",
                )


def _calls(evidence: Evidence, whole: re.Pattern[str]) -> Iterator[_Line]:
    for call in evidence.calls:
        if whole.search(call["stack"]):
            at = dt.datetime.fromisoformat(call["at"]).timestamp()
            yield at, f"  heat {call['op']} {call['stack_id']} {call['tags']} {call['error']}"


def _log(name: str, log: Path, whole: re.Pattern[str]) -> Iterator[_Line]:
    for line in log.read_text(errors="replace").splitlines():
        at = re.match(r"(\S+ \S+),(\d+) (.*)", line)
        if at and (whole.search(line) or "Lease" in line or "Leader" in line):
            moment = dt.datetime.fromisoformat(f"{at[1]}.{at[2]}").timestamp()
            yield moment, f"  {name} {at[3]}"


def run_chaos(options: ChaosOptions) -> Report:
    """Run it once."""
    with contextlib.ExitStack() as stack:
        return _Run(options, stack).run()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it as long as one likes, and print what came out."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    parser.add_argument("--resources", type=int, default=300)
    parser.add_argument("--pause", type=float, default=1.0, help="seconds between faults")
    given = parser.parse_args(arguments)
    print(f"seed {given.seed}", flush=True)  # noqa: T201 - a program's output
    options = ChaosOptions(
        seed=given.seed,
        seconds=60 * given.minutes,
        resources=given.resources,
        pause=given.pause,
    )
    report = run_chaos(options)
    print(report)  # noqa: T201 - likewise
    return 1 if report.problems or report.void else 0


if __name__ == "__main__":
    sys.exit(main())
