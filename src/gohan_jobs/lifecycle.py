"""The coordinator that other programs embed: submit configs, do the work, wait for results."""

from __future__ import annotations

import random
import string
import time
import uuid
from collections.abc import Callable, Collection, Iterable, Mapping
from types import TracebackType
from typing import Any, Self, TypeAlias

import attrs

from gohan_jobs.clock import Clock, SystemClock
from gohan_jobs.codec import Codec, Spelling
from gohan_jobs.events import Events, Hook, log_event
from gohan_jobs.exceptions import GohanJobsError, InvalidKey, WaitTimeout
from gohan_jobs.handlers import AnyHandler, Handlers
from gohan_jobs.heat_handler import HeatHandler
from gohan_jobs.inspection import Explanation, Inspector
from gohan_jobs.keys import Keys, ResourcePath
from gohan_jobs.manager import Manager, ManagerOptions
from gohan_jobs.orchestrators.base import Orchestrator
from gohan_jobs.planning import HEAT_HANDLER, Plan
from gohan_jobs.queue import Queue
from gohan_jobs.records import (
    ConfigRecord,
    MonitoringRecord,
    MonitoringStatus,
    ResourceRef,
    StateRecord,
)
from gohan_jobs.redaction import Redactor
from gohan_jobs.runtime import SwitchingExecutor, Threads
from gohan_jobs.schemas import Schema, Schemas
from gohan_jobs.stores.base import Compare, Delete, Entry, Put, Store, Transaction
from gohan_jobs.templates import Renderer
from gohan_jobs.worker import Worker, WorkerOptions

__all__ = ["Completed", "Failed", "Lifecycle", "Result", "Role", "Superseded"]

_SUFFIX = string.ascii_lowercase + string.digits
_LEASE_SHARE = 3.0


class Role:
    """What a process does."""

    MANAGER = "manager"
    WORKER = "worker"


@attrs.frozen
class Completed:
    """The version's result is there, without an error.

    Attributes:
        state: the result.
    """

    state: StateRecord


@attrs.frozen
class Failed:
    """The version's result is there, and it is an error.

    Attributes:
        state: the result; its ``error`` says why.
    """

    state: StateRecord

    @property
    def error(self) -> str:
        """Why."""
        return self.state.error


@attrs.frozen
class Superseded:
    """There will be no result of this version: a later one took its place.

    Attributes:
        by: the later version; None if the config is gone.
    """

    by: int | None


Result: TypeAlias = Completed | Failed | Superseded
"""How a config version ended."""


class Lifecycle:
    """Takes resource configs through all six points of the seeds, on a store and an orchestrator.

    Use it as a context manager; or call :meth:`step` until it returns False, which is what
    :meth:`wait` does while nothing runs. :meth:`run` starts threads. It installs no signal handlers
    (``rules`` 31).

    Args:
        store: where everything is kept.
        orchestrator: what drives stacks.
        schemas: the types.
        keys: where in the store; the documented keys unless told otherwise.
        roles: ``manager`` (reader, planner, queue owner), ``worker``, or both.
        handlers: further handlers by name, beside ``heat_worker``; those that installed packages
            offer with ``Handlers().discover()``.
        hooks: told of every event; logging unless told otherwise.
        clock: the time.
        codec: reads and writes records.
        renderer: renders templates; by default sandboxed and within budgets.
        redactor: says what is secret.
        manager: how the job manager behaves.
        worker: how the worker behaves.
        seed: makes suffixes, uuids and choices repeatable, for tests.
        suffix: gives suffixes of job ids, instead of random ones.
    """

    def __init__(
        self,
        store: Store,
        orchestrator: Orchestrator,
        schemas: Schemas,
        *,
        keys: Keys | None = None,
        roles: Collection[str] = (Role.MANAGER, Role.WORKER),
        handlers: Mapping[str, AnyHandler] | Handlers | None = None,
        hooks: Iterable[Hook] = (log_event,),
        clock: Clock | None = None,
        codec: Codec | None = None,
        renderer: Renderer | None = None,
        redactor: Redactor | None = None,
        manager: ManagerOptions | None = None,
        worker: WorkerOptions | None = None,
        seed: int | None = None,
        suffix: Callable[[], str] | None = None,
    ) -> None:
        self.store = store
        self.orchestrator = orchestrator
        self.schemas = schemas
        self.clock = clock or SystemClock()
        self.codec = codec or Codec(keys)
        self.keys = self.codec.keys
        self.queue = Queue(self.keys, self.codec)
        self.redactor = redactor or Redactor()
        self.handlers = Handlers(handlers)
        if HEAT_HANDLER not in self.handlers:
            self.handlers.register(
                HEAT_HANDLER, HeatHandler(orchestrator, codec=self.codec, renderer=renderer)
            )
        self._events = Events(hooks)
        self._rng = random.Random(seed)  # noqa: S311 - ids, not secrets
        self._suffix = suffix or self._random_suffix
        self._roles = frozenset(roles)
        unknown = self._roles - {Role.MANAGER, Role.WORKER}
        if unknown:
            raise ValueError(f"no such role: {', '.join(sorted(unknown))}")
        self._manager_options = manager or ManagerOptions(claim_pause=orchestrator.request_timeout)
        self._worker_options = worker or WorkerOptions()
        self._threads: Threads | None = None
        self._switch = SwitchingExecutor()
        self._manager = self._make_manager()
        self._worker = self._make_worker()
        self._next_renewal = float("-inf")
        self._inspector = Inspector(store, self.codec, self.queue, schemas)
        self._closed = False

    # Configs.

    def submit(
        self, config: ConfigRecord, ref: ResourceRef, *, spelling: Spelling | str = "document"
    ) -> ResourcePath:
        """Write a resource's config, as Gohan would (``rules`` 31: these keys are Gohan's own).

        Args:
            config: what to write; for a heat_template, ``ref`` has type ``heat_template``.
            ref: whose it is.
            spelling: in which spelling.

        Returns:
            The resource's path.

        Raises:
            InvalidKey: no schema has that type.
        """
        path = self.path_of(ref)
        key = self.keys.config_of(path)
        text = self.codec.dumps(config, spelling).encode()
        self.store.transact(Transaction((), (Put(key, text),)))
        return path

    def delete(self, ref: ResourceRef) -> None:
        """Ask for a resource to be removed, as Gohan would.

        A type with two-step deletion gets its config marked, with the next version; its key goes
        once ``/state`` says ``DELETE_COMPLETED``, by calling this again. Any other type's key goes
        at once.

        Raises:
            InvalidKey: no schema has that type.
            GohanJobsError: there is no such config.
        """
        path = self.path_of(ref)
        key = self.keys.config_of(path)
        entry = self.store.get(key)
        if entry is None:
            raise GohanJobsError(f"{ref}: there is no config at {key}")
        config = self.codec.config(key, entry.value)
        schema = self._schema(ref)
        if schema is not None and schema.two_step_deletion and not config.deleting:
            marked = attrs.evolve(config, version=config.version + 1, marked_for_deletion=True)
            text = self.codec.dumps(marked).encode()
            change = Transaction((Compare.unchanged(key, entry.mod_revision),), (Put(key, text),))
        else:
            state = self.keys.state_of(path)
            change = Transaction(
                (Compare.unchanged(key, entry.mod_revision),), (Delete(key), Delete(state))
            )
        if not self.store.transact(change).succeeded:
            raise GohanJobsError(f"{ref}: its config was changed meanwhile")

    def path_of(self, ref: ResourceRef) -> ResourcePath:
        """Where a resource's records are.

        Raises:
            InvalidKey: no schema has that type, or the id can't stand in a key.
        """
        if "/" in ref.resource_id or not ref.resource_id:
            raise InvalidKey(ref.resource_id, "can't be a resource's id")
        schema = self._schema(ref)
        if schema is not None:
            return schema.path_of(ref.resource_id)
        if ref.resource_type == "heat_template":
            return self.keys.template_path(ref.resource_id)
        raise InvalidKey(str(ref), "no schema has this type")

    def _schema(self, ref: ResourceRef) -> Schema | None:
        return self.schemas.by_type(ref.resource_type)

    # Working.

    def step(self) -> bool:
        """Do one bounded unit of work on this thread; whether there was any.

        Raises:
            RuntimeError: threads are running.
            Degraded: the job manager has stopped until an operator has looked.
        """
        if self._threads is not None:
            raise RuntimeError("step() while threads are running")
        self._renew_if_due()
        managed = self._manager is not None and self._manager.step()
        return managed or (self._worker is not None and self._worker.step())

    def run_until_idle(self, limit: int = 100_000) -> int:
        """Step until there is nothing more to do now; how many steps did something.

        Raises:
            GohanJobsError: ``limit`` steps were not enough.
        """
        for count in range(limit):
            if not self.step():
                return count
        raise GohanJobsError(f"not idle after {limit} steps")

    @property
    def due(self) -> float | None:
        """Clock time at which :meth:`step` will have something to do; None if never."""
        times = [part.due for part in (self._manager, self._worker) if part is not None]
        return min((when for when in times if when is not None), default=None)

    def run(self) -> None:
        """Start threads that work until :meth:`stop`; no error if they are running.

        Raises:
            GohanJobsError: it is closed.
        """
        if self._closed:
            raise GohanJobsError("run() after close()")
        if self._threads is None:
            self._threads = Threads(
                manager=self._manager,
                worker=self._worker,
                executor=self._switch,
                handler_threads=self._worker_options.slots,
                renewal_interval=self._renewal_interval,
                clock=self.clock,
                events=self._events,
            )
            self._threads.start()

    def stop(self, timeout: float = 30.0) -> None:
        """Claim nothing more, let jobs finish for ``timeout`` seconds, hand the others back.

        Returns only when every thread has ended; no error if none runs.
        """
        threads, self._threads = self._threads, None
        if threads is not None:
            threads.stop(timeout)

    def close(self, timeout: float = 30.0) -> None:
        """Stop, and give leases back; idempotent. Store and orchestrator stay open."""
        self.stop(timeout)
        if self._closed:
            return
        self._closed = True
        if self._worker is not None:
            self._worker.hand_back_all()
            self._worker.close()
        if self._manager is not None:
            self._manager.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def leads(self) -> bool:
        """Whether this process's job manager leads and has read everything."""
        return self._manager is not None and self._manager.leads

    @property
    def troubles(self) -> dict[str, str]:
        """What keeps which role from working, by role; empty when all is well."""
        found = {} if self._threads is None else self._threads.troubles
        if self._manager is not None and self._manager.degraded is not None:
            found["manager"] = str(self._manager.degraded)
        return found

    # Results.

    def wait(self, ref: ResourceRef, version: int, timeout: float = 60.0) -> Result:
        """Wait for the result of a config version.

        While no threads run it steps; a :class:`~gohan_jobs.clock.VirtualClock` is advanced to
        what is due, so no real time passes.

        Args:
            ref: the resource.
            version: of its config.
            timeout: seconds of the clock.

        Raises:
            WaitTimeout: no result in time.
        """
        path = self.path_of(ref)
        deadline = self.clock.now() + timeout
        while True:
            result = self._result(path, ref, version)
            if result is not None:
                return result
            if self._threads is None and self.step():
                continue
            if self.clock.now() >= deadline:
                raise WaitTimeout(str(ref), version, timeout)
            self._pass_time(deadline)

    def _result(self, path: ResourcePath, ref: ResourceRef, version: int) -> Result | None:
        entry = self.store.get(self.keys.state_of(path))
        if entry is not None:
            state = self.codec.state(entry.key, entry.value)
            if state.version == version:
                return Failed(state) if state.error else Completed(state)
            if state.version > version:
                return Superseded(state.version)
        processed = self.store.get(self.keys.processed_of(path))
        later = None
        if processed is not None:
            later = self.codec.processed(processed.key, processed.value).version
        if later is not None and later > version and not self._inspector.has_job(ref, version):
            return Superseded(later)
        if processed is None and self.store.get(self.keys.config_of(path)) is None:
            return Superseded(None)
        return None

    def _pass_time(self, deadline: float) -> None:
        now = self.clock.now()
        due = self.due if self._threads is None else now + 0.02
        until = deadline if due is None else min(max(due, now), deadline)
        advance = getattr(self.clock, "advance", None)
        if advance is not None:
            advance(max(until - now, 0.001))
        else:
            time.sleep(min(max(until - now, 0.001), 0.25))

    def explain(self, ref: ResourceRef) -> Explanation:
        """Why a resource is as it is: config, jobs, what they wait for, who holds them.

        Raises:
            InvalidKey: no schema has that type.
        """
        return self._inspector.explain(ref, self.path_of(ref))

    def plan(self, config: ConfigRecord, ref: ResourceRef) -> Plan:
        """What would happen if this config were written; writes nothing.

        Reads everything there is, as a new leader would.

        Raises:
            InvalidKey: no schema has that type.
            InvalidRecord: it could not be written.
        """
        path = self.path_of(ref)
        text = self.codec.dumps(config).encode()
        return self._inspector.plan(path, ref, text, self._suffix)

    # Monitoring.

    def report(
        self,
        ref: ResourceRef,
        version: int,
        field: str,
        status: MonitoringStatus | str | dict[str, Any],
    ) -> bool:
        """Publish a monitoring status (``seed 1``, point 6), as an agent does.

        It counts only if ``version`` is the config's, and is held until that version has a state
        (``rules`` 20).

        Args:
            ref: the resource.
            version: the config version the status is about.
            field: the status field's name, such as ``interface``.
            status: the status, or an object of them.

        Returns:
            Whether it counted.

        Raises:
            InvalidKey: no schema has that type.
            ValueError: ``field`` is ``version``, or empty.
        """
        if field in {"", "version"}:
            raise ValueError(f"{field!r} can't be a status field's name")
        path = self.path_of(ref)
        while True:
            outcome = self._try_report(path, version, field, status)
            if outcome is not None:
                return outcome

    def _try_report(
        self,
        path: ResourcePath,
        version: int,
        field: str,
        status: MonitoringStatus | str | dict[str, Any],
    ) -> bool | None:
        config = self.store.get(self.keys.config_of(path))
        if config is None or self.codec.config(config.key, config.value).version != version:
            return False
        state = self.store.get(self.keys.state_of(path))
        ready = state is not None and self.codec.state(state.key, state.value).version == version
        target = self.keys.monitoring_of(path)
        key = target if ready else self.queue.own.report(path)
        current = self.store.get(key)
        record = self._merged(target, current, version, field, status)
        compares = (
            Compare.unchanged(config.key, config.mod_revision),
            Compare.unchanged(self.keys.state_of(path), state.mod_revision if state else 0),
            Compare.unchanged(key, current.mod_revision if current else 0),
        )
        put = Put(key, self.queue.text(record))
        return True if self.store.transact(Transaction(compares, (put,))).succeeded else None

    def _merged(
        self,
        key: str,
        current: Entry | None,
        version: int,
        field: str,
        status: MonitoringStatus | str | dict[str, Any],
    ) -> MonitoringRecord:
        if current is not None:
            record = self.codec.monitoring(key, current.value)
            if record.version == version:
                return attrs.evolve(record, statuses={**record.statuses, field: status})
        return MonitoringRecord(version=version, statuses={field: status})

    def withdraw(self, ref: ResourceRef, version: int) -> bool:
        """Remove a monitoring status, only if it is of that version; whether it was.

        So a late removal of an old monitoring target can't erase the new one's status
        (``runtime``).

        Raises:
            InvalidKey: no schema has that type.
        """
        path = self.path_of(ref)
        removed = False
        for key in (self.queue.own.report(path), self.keys.monitoring_of(path)):
            entry = self.store.get(key)
            if entry is None:
                continue
            record = self.codec.monitoring(self.keys.monitoring_of(path), entry.value)
            if record.version == version:
                compare = Compare.unchanged(key, entry.mod_revision)
                result = self.store.transact(Transaction((compare,), (Delete(key),)))
                removed = removed or result.succeeded
        return removed

    # Parts.

    def _make_manager(self) -> Manager | None:
        if Role.MANAGER not in self._roles:
            return None
        return Manager(
            self.store,
            codec=self.codec,
            queue=self.queue,
            schemas=self.schemas,
            clock=self.clock,
            events=self._events,
            redactor=self.redactor,
            manager_id=self._uuid(),
            suffix=self._suffix,
            options=self._manager_options,
            wake=lambda: self._wake(Role.MANAGER),
        )

    def _make_worker(self) -> Worker | None:
        if Role.WORKER not in self._roles:
            return None
        return Worker(
            self.store,
            codec=self.codec,
            queue=self.queue,
            schemas=self.schemas,
            handlers=self.handlers,
            orchestrator=self.orchestrator,
            clock=self.clock,
            events=self._events,
            redactor=self.redactor,
            worker_id=self._uuid(),
            new_id=self._uuid,
            executor=self._switch,
            options=self._worker_options,
            rng=self._rng,
            wake=lambda: self._wake(Role.WORKER),
        )

    def _wake(self, role: str) -> None:
        threads = self._threads
        if threads is not None:
            threads.wake(role)

    def _renew_if_due(self) -> None:
        """Keep the leases alive while nothing but steps does it."""
        now = self.clock.now()
        if now < self._next_renewal:
            return
        self._next_renewal = now + self._renewal_interval
        if self._manager is not None:
            self._manager.leadership.keep_alive()
        if self._worker is not None:
            self._worker.keep_alive()

    @property
    def _renewal_interval(self) -> float:
        shortest = min(self._manager_options.leader_ttl, self._worker_options.lease_ttl)
        return shortest / _LEASE_SHARE

    def _random_suffix(self) -> str:
        return "".join(self._rng.choices(_SUFFIX, k=5))

    def _uuid(self) -> str:
        return str(uuid.UUID(int=self._rng.getrandbits(128), version=4))
