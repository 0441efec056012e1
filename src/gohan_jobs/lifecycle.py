"""The coordinator that other programs embed: submit configs, do the work, wait for results."""

from __future__ import annotations

import contextlib
import random
import re
import string
import threading
import time
import uuid
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from types import TracebackType
from typing import Self

from gohan_jobs import acceptance, preflight
from gohan_jobs.admission import Admission
from gohan_jobs.clock import Clock, SystemClock
from gohan_jobs.codec import Codec, Spelling
from gohan_jobs.dry_run import DryRun
from gohan_jobs.events import Events, Hook, StoreTroubled, log_event
from gohan_jobs.exceptions import GohanJobsError, StoreError, WaitTimeout, WrongCluster
from gohan_jobs.handler_registry import AnyHandler, Handlers
from gohan_jobs.heat_handler import HeatHandler
from gohan_jobs.inspection.inspector import Explanation, Inspector
from gohan_jobs.keys import Keys, ResourcePath
from gohan_jobs.manager import Manager, ManagerOptions
from gohan_jobs.monitoring import Reporting, Status
from gohan_jobs.orchestrators.base import Orchestrator
from gohan_jobs.planning import HEAT_HANDLER, Plan
from gohan_jobs.queue import Queue
from gohan_jobs.records import ConfigRecord, ResourceRef
from gohan_jobs.redaction import Redactor
from gohan_jobs.results import Completed, Failed, Result, Results, Superseded
from gohan_jobs.runtime import SwitchingExecutor, Threads
from gohan_jobs.schemas import Schemas
from gohan_jobs.stores.base import Remote, Store
from gohan_jobs.submission import Submission
from gohan_jobs.templates import Renderer
from gohan_jobs.worker import Worker, WorkerOptions

__all__ = ["Completed", "Failed", "Lifecycle", "Result", "Role", "Superseded"]

_SUFFIX = string.ascii_lowercase + string.digits
_NAME = re.compile(r"[A-Za-z0-9._-]{0,64}")
_LEASE_SHARE = 3.0
_RENEWAL_RETRY = 1.0


class Role:
    """What a process does."""

    MANAGER = "manager"
    WORKER = "worker"


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
        admission: is asked before a change is queued, and may veto it: a quota, a maintenance
            window. Give the same to every process with the role ``manager``.
        name: by which operators find this process, such as its host's name and its process id: a
            part of the worker's id, and noted beside the leader's. Letters, digits, ``.``, ``_``
            and ``-``, at most 64; none unless told.

    Raises:
        ValueError: an unknown role, a name with other characters, or a lease that no request to
            the orchestrator fits in.
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
        admission: Admission | None = None,
        name: str = "",
    ) -> None:
        if not _NAME.fullmatch(name):
            raise ValueError(f"{name!r} is no name: up to 64 letters, digits, '.', '_' and '-'")
        self._name = name
        self.store = store
        self.orchestrator = orchestrator
        self.schemas = schemas
        self.clock: Clock = clock or SystemClock()
        self.codec: Codec = codec or Codec(keys)
        self.keys: Keys = self.codec.keys
        self.queue: Queue = Queue(self.keys, self.codec)
        self.redactor: Redactor = redactor or Redactor()
        self.handlers: Handlers = Handlers(handlers)
        if HEAT_HANDLER not in self.handlers:
            self.handlers.register(
                HEAT_HANDLER, HeatHandler(orchestrator, codec=self.codec, renderer=renderer)
            )
        self._events = Events(hooks)
        self._rng = random.Random(seed)  # noqa: S311 - ids, not secrets
        self._suffix = suffix or self._random_suffix
        self._admission = admission
        self._roles = frozenset(roles)
        unknown = self._roles - {Role.MANAGER, Role.WORKER}
        if unknown:
            raise ValueError(f"no such role: {', '.join(sorted(unknown))}")
        self._manager_options = manager or ManagerOptions(claim_pause=orchestrator.request_timeout)
        self._worker_options = worker or WorkerOptions()
        if self._worker_options.lease_ttl <= orchestrator.request_timeout:
            raise ValueError(
                f"a lease of {self._worker_options.lease_ttl:g} s never outlasts a request of "
                f"{orchestrator.request_timeout:g} s: no call would ever be sent"
            )
        self._threads: Threads | None = None
        self._switch = SwitchingExecutor()
        self._manager = self._make_manager()
        self._worker = self._make_worker()
        self._next_renewal = float("-inf")
        self._inspector = Inspector(store, self.codec, self.queue, schemas)
        self._dry_run = DryRun(store, self.codec, schemas, orchestrator, renderer or Renderer())
        self._submission = Submission(store, self.codec, schemas)
        self._results = Results(store, self.codec, self.queue, self._inspector)
        self._reporting = Reporting(store, codec=self.codec)
        self._starting = threading.RLock()
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
        self._submission.submit(config, ref, spelling)
        return self.path_of(ref)

    def delete(self, ref: ResourceRef) -> None:
        """Ask for a resource to be removed, as Gohan would.

        A type with two-step deletion gets its config marked, with the next version; its key goes
        once ``/state`` says ``DELETE_COMPLETED``, by calling this again. Any other type's key goes
        at once.

        Raises:
            InvalidKey: no schema has that type.
            GohanJobsError: there is no such config.
        """
        self._submission.delete(ref)

    def path_of(self, ref: ResourceRef) -> ResourcePath:
        """Where a resource's records are.

        Raises:
            InvalidKey: no schema has that type, or the id can't stand in a key.
        """
        return self._submission.path_of(ref)

    # Working.

    def step(self) -> bool:
        """Do one bounded unit of work on this thread; whether there was any.

        Raises:
            RuntimeError: threads are running.
            GohanJobsError: it is closed.
            Degraded: it has stopped until an operator has looked.
            WrongCluster: the keyspace is another cluster's, and no operator has accepted that.
        """
        if self._closed:
            raise GohanJobsError("step() after close()")
        if self._threads is not None:
            raise RuntimeError("step() while threads are running")
        self._renew_if_due()
        managed = self._manager is not None and self._manager.step()
        return managed or (self._worker is not None and self._worker.step())

    def run_until_idle(self, limit: int = 100_000) -> int:
        """Step until there is nothing more to do now; how many steps did something.

        Of what was written to a server just now, a watch may tell later: there, use :meth:`wait`.

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

    def check(self) -> None:
        """See that this process can do its work, before it begins; writes nothing.

        Raises:
            StoreUnavailable: no answer, or no majority to write with.
            StoreFull: there is no room.
            StoreRefused: certificates, password, permissions, or the wrong cluster.
            UnsupportedFormat: the keyspace is another release's.
        """
        preflight.check(self.store, self.keys, manages=Role.MANAGER in self._roles)

    def run(self) -> None:
        """Start threads that work until :meth:`stop`; no error if they are running.

        Raises:
            GohanJobsError: it is closed.
        """
        with self._starting:
            if self._closed:
                raise GohanJobsError("run() after close()")
            if self._threads is None:
                self._threads = self._make_threads()
                self._threads.start()

    def stop(self, timeout: float = 30.0) -> None:
        """Claim nothing more, let jobs finish for ``timeout`` seconds, hand the others back.

        Returns only when every thread has ended; no error if none runs.

        Args:
            timeout: seconds of real time.

        Raises:
            RuntimeError: a handler or hook calls it on one of the threads that it would wait for.
        """
        threads = self._threads
        if threads is not None and threads.are_current():
            raise RuntimeError("stop() on a thread that it would wait for")
        with self._starting:
            if self._threads is not None:
                self._threads.stop(timeout)
                self._threads = None

    def close(self, timeout: float = 30.0) -> None:
        """Stop, and give leases back; idempotent. Store and orchestrator stay open.

        A store that does not answer is no error: leases end by themselves.
        """
        self.stop(timeout)
        with self._starting:
            if self._closed:
                return
            self._closed = True
            for name, end in self._endings():
                try:
                    end()
                except StoreError as error:
                    self._events.emit(StoreTroubled(role=name, reason=str(error)))

    def _endings(self) -> Iterator[tuple[str, Callable[[], None]]]:
        if self._worker is not None:
            yield Role.WORKER, self._worker.hand_back_all
            yield Role.WORKER, self._worker.close
        if self._manager is not None:
            yield Role.MANAGER, self._manager.close

    def resume(self, *, accept: bool = False) -> None:
        """Let a job manager or worker go on that has stopped on purpose (``rules`` 16).

        From another process: :func:`gohan_jobs.acceptance.accept`.

        Args:
            accept: carry out what it stopped for, once; else it looks again. If another cluster
                answers than before, it is the right one from now on.
        """
        if accept and isinstance(self.store, Remote):
            self.store.move()
        if self._manager is not None:
            self._manager.resume(accept=accept)
        if accept and self._worker is not None:
            self._worker.resume()

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
        """What keeps which part from its work, by part; empty when all is well.

        Parts are ``manager``, ``worker``, ``keeper`` (of the leases), and ``store``: its last
        request got no answer, which is known before a role has lost its patience.
        """
        found = {} if self._threads is None else self._threads.troubles
        if isinstance(self.store, Remote) and self.store.trouble:
            found["store"] = self.store.trouble
        if self._manager is not None and self._manager.degraded is not None:
            found["manager"] = str(self._manager.degraded)
        return found

    @property
    def failures(self) -> dict[str, int]:
        """How often in a row which part has failed while threads run; 0 is left out."""
        return {} if self._threads is None else self._threads.failures

    @property
    def dead(self) -> tuple[str, ...]:
        """Parts whose thread has ended though nobody stopped it: only a new process helps."""
        return () if self._threads is None else self._threads.dead

    # Results.

    def wait(self, ref: ResourceRef, version: int, timeout: float = 60.0) -> Result:
        """Wait for the result of a config version.

        While no threads run it steps; a :class:`~gohan_jobs.clock.VirtualClock` is advanced to
        what is due, so no real time passes.

        Call it once the config is written: without one, nothing will come of any version, and the
        answer is ``Superseded(by=None)`` at once.

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
            result = self._results.of(ref, path, version)
            if result is not None:
                return result
            if self._threads is None and self.step():
                continue
            if self.clock.now() >= deadline:
                raise WaitTimeout(str(ref), version, timeout)
            self._pass_time(deadline)

    def _pass_time(self, deadline: float) -> None:
        now = self.clock.now()
        due = self.due if self._threads is None else now + 0.02
        until = deadline if due is None else min(max(due, now), deadline)
        if self._threads is None:
            until = min(until, max(self._next_renewal, now))
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

    def plan(self, config: ConfigRecord, ref: ResourceRef, *, validate: bool = False) -> Plan:
        """What would happen if this config were written; writes nothing.

        Reads everything there is, as a new leader would.

        Args:
            config: what would be written.
            ref: whose it is.
            validate: whether Heat is asked, too, if it would take the rendered template of each
                stack to create or update. It looks at templates and parameters, not at quotas.
                Params that need outputs which are not there yet are left out.

        Raises:
            InvalidKey: no schema has that type.
            InvalidRecord: it could not be written.
            StackRejected: Heat would not take it.
            TemplateError: its template can't be rendered.
            MappingEvaluationError: a param of it is malformed.
            OrchestratorError: Heat can't be asked.
        """
        path = self.path_of(ref)
        text = self.codec.dumps(config).encode()
        plan = self._inspector.plan(path, ref, text, self._suffix)
        if validate:
            self._dry_run.validate(plan)
        return plan

    # Monitoring.

    def report(
        self,
        ref: ResourceRef,
        version: int,
        field: str,
        status: Status,
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
        return self._reporting.report(self.path_of(ref), version, field, status)

    def withdraw(self, ref: ResourceRef, version: int) -> bool:
        """Remove a monitoring status, only if it is of that version; whether it was.

        So a late removal of an old monitoring target can't erase the new one's status
        (``runtime``).

        Raises:
            InvalidKey: no schema has that type.
        """
        return self._reporting.withdraw(self.path_of(ref), version)

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
            name=self._name,
            suffix=self._suffix,
            options=self._manager_options,
            wake=lambda: self._wake(Role.MANAGER),
            admission=self._admission,
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
            worker_id=self._worker_id(),
            new_id=self._uuid,
            executor=self._switch,
            options=self._worker_options,
            rng=self._rng,
            wake=lambda: self._wake(Role.WORKER),
        )

    def _make_threads(self) -> Threads:
        return Threads(
            manager=self._manager,
            worker=self._worker,
            executor=self._switch,
            handler_threads=self._worker_options.slots,
            renewal_interval=self._renewal_interval,
            clock=self.clock,
            events=self._events,
            failed=self._step_failed,
        )

    def _step_failed(self, error: Exception) -> None:
        """Another cluster answers: it is the right one if an operator says so there."""
        store, threads = self.store, self._threads
        if isinstance(error, WrongCluster) and isinstance(store, Remote) and threads is not None:
            with contextlib.suppress(StoreError):
                if acceptance.moved(store, self.keys):
                    store.move()
                    threads.renew()  # which finds that the leases were the other cluster's

    def _wake(self, role: str) -> None:
        threads = self._threads
        if threads is not None:
            threads.wake(role)

    def _renew_if_due(self) -> None:
        """Keep the leases alive while nothing but steps does it."""
        if self.clock.now() < self._next_renewal:
            return
        self._next_renewal = self.clock.now() + _RENEWAL_RETRY
        if self._worker is not None:
            self._worker.keep_alive()
        if self._manager is not None:
            self._manager.leadership.keep_alive()
        self._next_renewal = self.clock.now() + self._renewal_interval

    @property
    def _renewal_interval(self) -> float:
        shortest = min(self._manager_options.leader_ttl, self._worker_options.lease_ttl)
        return shortest / _LEASE_SHARE

    def _random_suffix(self) -> str:
        return "".join(self._rng.choices(_SUFFIX, k=5))

    def _worker_id(self) -> str:
        made = self._uuid()
        return f"{self._name}-{made[:8]}" if self._name else made

    def _uuid(self) -> str:
        return str(uuid.UUID(int=self._rng.getrandbits(128), version=4))
