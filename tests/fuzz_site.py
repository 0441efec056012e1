"""What the fuzz happens to: types, a store, a Heat, and processes that die, stop and come back.

All chance comes from one seed: a run can be had again (see :mod:`fuzz`).
"""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, TypeVar, cast

import attrs

from gohan_jobs.admission import AdmissionRequest, Veto
from gohan_jobs.clock import Clock, VirtualClock
from gohan_jobs.exceptions import StoreError
from gohan_jobs.handlers import Done, GiveUp, JobContext, Later, Outcome, RetryLater
from gohan_jobs.lifecycle import Lifecycle, Role
from gohan_jobs.manager import ManagerOptions
from gohan_jobs.orchestrators.simulated import Call, SimulatedHeat
from gohan_jobs.orchestrators.simulated import Outcome as HeatOutcome
from gohan_jobs.records import ConfigRecord, ResourceRef
from gohan_jobs.schemas import Schema, Schemas
from gohan_jobs.stores.base import Event, Store
from gohan_jobs.testing.faults import Crash, FaultyStore, StoreCall
from worlds import SCHEMAS, World, ref

__all__ = ["RESOURCES", "Features", "RacingStore", "Site"]

_Answer = TypeVar("_Answer")

_ROUTER = Schema(
    type="router",
    prefix="v2.0/routers",
    relations={"network_id": "network"},
    templates={"heat_worker": "Cport", "dns_worker": "Cnetwork", "monitoring_worker": "Cdisk"},
    state_versioning=True,
    two_step_deletion=True,
)
"""Three handlers, one after the other; and a stack that needs a network's output."""

_ALL: Final = Schemas([*SCHEMAS, _ROUTER])

_VARIANTS: Final = (
    _ALL,
    Schemas([schema for schema in _ALL if schema.type not in {"disk", "port"}]),
    Schemas([attrs.evolve(s, relations={}) if s.type == "port" else s for s in _ALL]),
)
"""What a manager may be started with: everything; two types forgotten; a relation forgotten."""

RESOURCES: Final = (
    ref("network", "n1"),
    ref("network", "n2"),
    ref("port", "p1"),
    ref("port", "p2"),
    ref("router", "r1"),
    ref("disk", "d1"),
    ref("quota", "q1"),
    ref("alias", "a1"),
)
"""Few, so that what happens, happens to the same ones."""

_NAMES: Final = ("m1", "m2", "w1", "w2")


@attrs.frozen(kw_only=True)
class Features:
    """What a run is like; drawn at its beginning.

    Attributes:
        fail_rate: of Heat's operations, and of the other handlers' jobs.
        heat_seconds: what an operation takes.
        ahead: seconds by which each process's clocks are ahead of the store's.
        veto_rate: of what is asked of the admission hook.
        forgetful: whether managers may be started with fewer types or relations.
        lag: how often a watch holds back what it has; each is late by itself, as those of etcd are.
        manager: the managers' options.
    """

    fail_rate: float
    heat_seconds: float
    ahead: dict[str, float]
    veto_rate: float
    forgetful: bool
    lag: float
    manager: ManagerOptions

    @classmethod
    def drawn(cls, rng: random.Random) -> Features:
        """By chance; half of what there is, is off half of the time."""
        skewed = rng.random() < 0.5
        return cls(
            fail_rate=rng.choice([0.0, 0.0, 0.15]),
            heat_seconds=rng.choice([0.0, 3.0, 3.0, 20.0]),
            ahead={name: rng.uniform(0.0, 15.0) if skewed else 0.0 for name in _NAMES},
            veto_rate=rng.choice([0.0, 0.0, 0.3]),
            forgetful=rng.random() < 0.3,
            lag=rng.choice([0.0, 0.0, 0.3, 0.8]),
            manager=ManagerOptions(
                hold_time=20.0,
                orphans=rng.choice(["keep", "delete"]),
                on_dependency_failure=rng.choice(["cancel", "hold"]),
                dependency_hold_time=40.0,
                batch=rng.choice([1, 3, 16]),
                max_attempts=rng.choice([5, 50]),
                quota_bytes=rng.choice([0, 2**31]),
            ),
        )


class _AheadClock:
    """Another machine's clocks: neither of them agrees with the store's (``rules`` 26)."""

    def __init__(self, clock: Clock, seconds: float) -> None:
        self._clock = clock
        self._seconds = seconds

    def now(self) -> float:
        return self._clock.now() + 1000.0 * self._seconds

    def wall(self) -> dt.datetime:
        return self._clock.wall() + dt.timedelta(seconds=self._seconds)


class RacingStore(FaultyStore):
    """A process's way to the store: faults, and others who are faster just before a call.

    Args:
        store: the one that all share.
        size: what it says its size is.
        late: whether a watch that is polled now holds back what it has.
    """

    def __init__(
        self,
        store: Store,
        size: Callable[[], int] = lambda: 0,
        late: Callable[[], bool] = lambda: False,
    ) -> None:
        super().__init__(store)
        self._size = size
        self._late = late
        self._races: list[tuple[int, Callable[[], object]]] = []

    def size(self) -> int:
        """Bytes; see :class:`gohan_jobs.stores.base.Measured`."""
        return self._size()

    def race(self, on: int, action: Callable[[], object]) -> None:
        """Let something happen just before one of the next calls."""
        self._races.append((len(self.calls) + on, action))

    def through(self, call: StoreCall, action: Callable[[], _Answer]) -> _Answer:
        """Make one call, once those who are faster are done."""
        due = [race for race in self._races if race[0] <= len(self.calls)]
        self._races = [race for race in self._races if race not in due]
        for _, faster in due:
            faster()
        if call == "poll" and self._late():
            return cast("_Answer", None)  # as if nothing had come
        return super().through(call, action)

    def mend(self) -> None:
        """No fault and no race any more."""
        self._faults.clear()
        self._races.clear()


class Site:
    """A deployment of two managers and two workers.

    Args:
        seed: of everything that is left to chance.
        verbose: whether to print what happens.

    Attributes:
        rng: the chance.
        world: the store, Heat, the clock, and what Gohan writes.
        features: what this run is like.
        processes: those that have not been seen to be dead, by name.
        dead: the names of the others.
        healing: whether nothing goes wrong any more.
        full: whether the store is said to be full.
    """

    def __init__(self, seed: int, *, verbose: bool = False) -> None:
        self.rng = random.Random(seed)
        self.features = Features.drawn(self.rng)
        self.healing = self.full = False
        clock = VirtualClock()
        heat = SimulatedHeat(
            clock, operation_seconds=self.features.heat_seconds, outcome_of=self._outcome_of
        )
        self.world = World(heat=heat, clock=clock, schemas=_ALL, roles=(Role.MANAGER,), seed=seed)
        self.world.lifecycle.close()
        self.everything = self.world.store.watch("", 1)
        self.told: list[Event] = []
        self.processes: dict[str, Lifecycle] = {}
        self.stores: dict[str, RacingStore] = {}
        self.dead: set[str] = set()
        self._busy: set[str] = set()
        self._verbose = verbose
        self._lives = 0
        for name in _NAMES:
            self.spawn(name)

    def say(self, *words: object) -> None:
        """Note what happens, for who replays it."""
        if self._verbose:
            print(self.world.store.revision(), round(self.world.clock.now(), 1), *words)  # noqa: T201 - asked for

    # Processes.

    def spawn(self, name: str) -> None:
        """Start a process; a manager may have been given other schemas than before."""
        self._lives += 1
        manages = name.startswith("m")
        forgets = manages and self.features.forgetful and not self.healing
        store = RacingStore(self.world.store, self._size, self._is_late)
        self.stores[name] = store
        self.dead.discard(name)
        self.processes[name] = Lifecycle(
            store,
            self.world.heat,
            self.rng.choice(_VARIANTS) if forgets else _ALL,
            clock=_AheadClock(self.world.clock, self.features.ahead[name]),
            roles=(Role.MANAGER,) if manages else (Role.WORKER,),
            handlers={"dns_worker": self._handle, "monitoring_worker": self._handle},
            manager=self.features.manager,
            seed=self.rng.randrange(2**32),
            hooks=(self.world.events.append,),
            admission=self._admit,
        )

    def alive(self) -> str | None:
        """The name of a process that is not dead; None if there is none, or it is in a step."""
        name = self.rng.choice(_NAMES)
        return None if name in self.dead or name in self._busy else name

    def stop(self, name: str) -> None:
        """End a process as SIGTERM does: it hands back what it holds."""
        with self._during(name):
            self.processes[name].close(timeout=0.0)
            self.dead.add(name)

    def step(self, count: int) -> None:
        """Let processes make so many steps in all."""
        for _ in range(count):
            name = self.rng.choice(_NAMES)
            if name in self._busy:
                continue
            if name not in self.dead:
                self.step_one(name)
            elif self.rng.random() < 0.05:
                self.say("spawn", name)
                self.spawn(name)

    def step_one(self, name: str) -> bool:
        """Let a process make one step; whether it did anything."""
        outcome = [False]
        with self._during(name):
            outcome.append(self.processes[name].step())
        return outcome[-1]

    @contextmanager
    def _during(self, name: str) -> Iterator[None]:
        """A process acts: it may die of it, or not reach the store."""
        self._busy.add(name)
        try:
            yield
        except Crash:
            self.dead.add(name)
            self.say("crashed", name)
        except StoreError as error:
            self.say("store error", name, type(error).__name__)
        finally:
            self._busy.discard(name)

    def heal(self, seconds: int = 500) -> None:
        """Nothing goes wrong any more: everyone lives, and has time to come to an end."""
        self.healing, self.full = True, False
        for name in _NAMES:
            self.stores[name].mend()
            if name in self.dead or self.stores[name].crashed:
                self.spawn(name)
            elif self.features.forgetful:
                self.stop(name)
                self.spawn(name)
        for second in range(seconds):
            self.world.clock.advance(1.0)
            self.idle()
            if second % 20 == 19:
                self.remove_deleted()

    def idle(self) -> None:
        """Step until nobody has anything to do now."""
        for _ in range(1000):
            worked = [self.step_one(name) for name in _NAMES]
            if not any(worked):
                return
        raise AssertionError("not idle after 1000 steps of each")

    def restart(self) -> int:
        """End everything and begin again; the store's revision between the two."""
        for process in self.processes.values():
            process.close()
        revision = self.world.store.revision()
        self.world.clock.advance(120.0)
        self.world.store.expire()
        for name in _NAMES:
            self.spawn(name)
        for _ in range(30):
            self.world.clock.advance(1.0)
            self.idle()
        return revision

    # What Gohan sees and does.

    def config(self, resource: ResourceRef) -> ConfigRecord | None:
        """A resource's config."""
        key = self.world.keys.config_of(self.world.path(resource))
        text = self.world.text(key)
        return None if text is None else self.world.codec.config(key, text)

    def is_deleted(self, resource: ResourceRef) -> bool:
        """Whether a marked config may go: its state says that all is deleted."""
        config, state = self.config(resource), self.world.state(resource)
        if config is None or state is None or not config.marked_for_deletion:
            return False
        return state.worker_state == "DELETE_COMPLETED" and state.version == config.version

    def remove_deleted(self) -> None:
        """Gohan removes the configs that have been marked, and are deleted; and left states."""
        for resource in RESOURCES:
            if self.is_deleted(resource):
                self.say("gohan removes", resource)
                self.world.remove_config(resource, state=True)
            elif self.config(resource) is None and self.world.state(resource) is not None:
                self.world.remove_config(resource, state=True)  # somebody forgot it

    # What others decide.

    def _fails(self) -> bool:
        return not self.healing and self.rng.random() < self.features.fail_rate

    def _size(self) -> int:
        """Of a quota of 0 bytes even one is too much."""
        return 2**31 if self.full else int(not self.healing)

    def _is_late(self) -> bool:
        return not self.healing and self.rng.random() < self.features.lag

    def _outcome_of(self, call: Call) -> HeatOutcome | None:
        fails = call.changes and self._fails()
        return HeatOutcome(fails=True, seconds=3.0) if fails else None

    def _admit(self, request: AdmissionRequest) -> Veto | None:
        if self.healing or self.rng.random() >= self.features.veto_rate:
            return None
        return Veto("not now", retry_after=self.rng.choice([1.0, 10.0, 100.0]))

    def _handle(self, context: JobContext) -> Outcome:
        """A handler that is not Heat's: done, at once or later, or not."""
        if self._fails():
            return GiveUp(reason="it fails")
        if self.healing or self.rng.random() < 0.6:
            return Done()
        if self.rng.random() < 0.5:
            return RetryLater(after=3.0, reason="not yet")
        return Later(after=3.0, resume=self._handle)
