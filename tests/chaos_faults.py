"""What goes wrong in the chaos test, at random times, and how it is mended."""

from __future__ import annotations

import heapq
import itertools
import random
import subprocess
import time
from collections.abc import Callable, Sequence

from chaos_estate import Gohan
from chaos_processes import HeatProcess, Member, Members
from chaos_record import Recorder
from gohan_jobs.exceptions import StoreError
from gohan_jobs.records import ResourceRef
from gohan_jobs.rendering import stack_name
from gohan_jobs.stores.base import Store
from gohan_jobs.testing.etcd import EtcdCluster, EtcdMember
from gohan_jobs.testing.proxy import TcpProxy

__all__ = ["Faults"]


class Faults:
    """Lets things go wrong; call :meth:`step` all the time.

    Mostly a majority of etcd lives, and half of the members; now and then none does. What is broken
    is mended after a while.

    Args:
        cluster: of etcd.
        proxies: one before each member of etcd.
        members: the processes.
        heat: whose answers get lost, and whose stacks fail.
        gohan: knows what there is.
        recorder: knows up to where history may be compacted.
        store: to compact it with.
        rng: chooses.
        lease: seconds of the members' leases.
        pause: seconds between faults, on average.

    Attributes:
        done: what has gone wrong, and when (seconds since the epoch).
        failing: what Heat was told to fail.
    """

    def __init__(
        self,
        cluster: EtcdCluster,
        proxies: Sequence[TcpProxy],
        members: Members,
        heat: HeatProcess,
        gohan: Gohan,
        recorder: Recorder,
        store: Store,
        rng: random.Random,
        *,
        lease: float,
        pause: float = 1.0,
    ) -> None:
        self.done: list[tuple[float, str]] = []
        self.failing: set[ResourceRef] = set()
        self._cluster = cluster
        self._proxies = proxies
        self._members = members
        self._heat = heat
        self._gohan = gohan
        self._recorder = recorder
        self._store = store
        self._rng = rng
        self._lease = lease
        self._pause = pause
        self._agenda: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._next = time.time() + 2 * pause
        self._etcd_down = False
        self._link_down = False

    def step(self) -> None:
        """Do what is due."""
        now = time.time()
        while self._agenda and self._agenda[0][0] <= time.time():
            heapq.heappop(self._agenda)[2]()
        if now >= self._next:
            self._next = now + self._pause * self._rng.uniform(0.3, 1.7)
            self._strike()

    def mend(self) -> None:
        """Mend everything at once."""
        while self._agenda:
            heapq.heappop(self._agenda)[2]()
        self._heat.disturb()  # no more: the next to ask may be who judges
        self._cluster.wait()

    def _strike(self) -> None:
        faults: list[tuple[Callable[[], None], int]] = [
            (self._kill, 8),
            (self._freeze, 8),
            (self._kill_etcd, 3),
            (self._compact, 3),
            (self._defragment, 2),
            (self._cut, 3),
            (self._mute, 2),
            (self._disturb_heat, 3),
            (self._fail_stack, 4),
            (self._kill_all, 1),
            (self._power_cut, 1),
        ]
        whats, weights = zip(*faults, strict=True)
        self._rng.choices(whats, weights)[0]()

    def _note(self, text: str) -> None:
        self.done.append((time.time(), text))

    def _after(self, seconds: float, action: Callable[[], None]) -> None:
        heapq.heappush(self._agenda, (time.time() + seconds, next(self._order), action))

    # Processes.

    def _victim(self) -> Member | None:
        """A process; its kind is chosen first, so that the leader's turn comes often enough."""
        managers, workers = self._members.managers, self._members.workers
        kind = self._rng.choice([managers, workers, workers])
        moving = [member for member in kind if member.moving]
        return self._rng.choice(moving) if 2 * len(moving) >= len(kind) else None

    def _kill(self) -> None:
        victim = self._victim()
        if victim is not None:
            self._note(f"kill -9 {victim.name}")
            victim.kill()
            self._after(self._rng.uniform(0.0, 2.0), victim.start)

    def _freeze(self) -> None:
        victim = self._victim()
        if victim is not None:
            seconds = self._lease + self._rng.uniform(0.5, 3.0)
            self._note(f"{victim.name} stands still for {seconds:.1f} s")
            victim.freeze()
            self._after(seconds, victim.thaw)

    def _kill_all(self) -> None:
        self._note("kill -9 all processes")
        for member in self._members.all:
            member.kill()
            self._after(self._rng.uniform(0.0, 2.0), member.start)

    # Heat.

    def _disturb_heat(self) -> None:
        ways: list[dict[str, float | bool]] = [{"drop": True}, {"status": 503}, {"delay": 0.5}]
        spoiled = {**self._rng.choice(ways), "count": self._rng.randint(1, 10)}
        self._note(f"Heat: {spoiled}")
        self._heat.disturb(**spoiled)

    def _fail_stack(self) -> None:
        rows = tuple(self._gohan.rows.values())
        if rows:
            row = self._rng.choice(rows)
            self.failing.add(row.ref)
            self._note(f"Heat: the next thing about {row.ref} fails")
            self._heat.fail_next(row.tenant, stack_name(row.ref))

    # etcd.

    def _power_cut(self) -> None:
        if self._etcd_down:
            return
        self._note("kill -9 all of etcd")
        for each in self._cluster.members:
            each.kill()
        self._bring_back(*self._cluster.members)

    def _bring_back(self, *members: EtcdMember) -> None:
        self._etcd_down = True

        def again() -> None:
            for member in members:
                member.start()
            self._after(2.0, up)

        def up() -> None:
            self._etcd_down = False

        self._after(self._rng.uniform(0.2, 4.0), again)

    def _kill_etcd(self) -> None:
        if self._etcd_down:
            return
        member = self._rng.choice(self._cluster.members)
        self._note(f"kill -9 etcd {member.name}")
        member.kill()
        self._bring_back(member)

    def _compact(self) -> None:
        if self._etcd_down:
            return
        revision = self._recorder.seen
        self._note(f"compact up to {revision}")
        try:
            self._store.compact(revision)
        except StoreError as error:
            self._note(f"... {error}")

    def _defragment(self) -> None:
        if self._etcd_down:
            return
        self._note("defragment")
        try:
            self._cluster.etcdctl("defrag", timeout=5.0)
        except subprocess.SubprocessError as error:
            self._note(f"... {type(error).__name__}")

    # The network.

    def _cut(self) -> None:
        number = self._rng.randrange(len(self._proxies))
        self._note(f"cut connections to m{number}")
        self._proxies[number].cut()

    def _mute(self) -> None:
        """A half-open link: nothing comes through, nothing is closed."""
        if self._link_down:
            return
        number = self._rng.randrange(len(self._proxies))
        seconds = self._rng.uniform(1.0, 2 * self._lease)
        self._note(f"connections to m{number} are silent for {seconds:.1f} s")
        proxy = self._proxies[number]
        proxy.freeze()
        self._link_down = True

        def up() -> None:
            proxy.restore()
            self._link_down = False

        self._after(seconds, up)
