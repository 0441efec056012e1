"""The job manager as a whole: leads, reads everything, follows the changes, does what is next."""

from __future__ import annotations

from collections.abc import Callable

from gohan_jobs.acceptance import Acceptances
from gohan_jobs.admission import Admission
from gohan_jobs.board import Board
from gohan_jobs.clock import Clock
from gohan_jobs.codec import Codec
from gohan_jobs.estate import Estate
from gohan_jobs.events import Events, WatchResumed
from gohan_jobs.exceptions import (
    Compacted,
    Degraded,
    NotLeader,
    StoreError,
    StoreFull,
    StoreRefused,
    StoreUnavailable,
    WrongCluster,
)
from gohan_jobs.keyspace import check_format, foreign_cluster, initial_marks, moved_marks
from gohan_jobs.manager.desk import Desk, ManagerOptions
from gohan_jobs.manager.dispatch import Dispatch
from gohan_jobs.manager.following import Follower
from gohan_jobs.manager.intake import Intake
from gohan_jobs.manager.leadership import Leadership
from gohan_jobs.manager.loading import Loader
from gohan_jobs.manager.repairs import Repairs
from gohan_jobs.manager.reports import Reports
from gohan_jobs.manager.requests import Requests
from gohan_jobs.queue import Queue
from gohan_jobs.redaction import Redactor
from gohan_jobs.schemas import Schemas
from gohan_jobs.stores.base import Put, Store

__all__ = ["Manager"]


class Manager:
    """One candidate for the job manager's role; works while it leads.

    Not thread-safe: one thread steps it.

    Args:
        store: where everything is kept.
        codec: reads records.
        queue: builds transactions.
        schemas: the types.
        clock: the time.
        events: told of everything.
        redactor: keeps secrets out of errors.
        manager_id: this candidate's uuid.
        name: by which operators find this process; empty for none.
        suffix: gives suffixes of job ids.
        options: how it behaves.
        wake: called, on any thread, when :meth:`step` may have something to do.
        admission: is asked before anything is queued.
    """

    def __init__(
        self,
        store: Store,
        *,
        codec: Codec,
        queue: Queue,
        schemas: Schemas,
        clock: Clock,
        events: Events,
        redactor: Redactor,
        manager_id: str,
        suffix: Callable[[], str],
        options: ManagerOptions,
        wake: Callable[[], None] | None = None,
        admission: Admission | None = None,
        name: str = "",
    ) -> None:
        self._store = store
        self._events = events
        self._clock = clock
        self.leadership: Leadership = Leadership(
            store,
            codec.keys.leader,
            manager_id,
            clock=clock,
            events=events,
            ttl=options.leader_ttl,
            wake=wake,
            noted=(Put(queue.own.leader, name.encode()),) if name else (),
        )
        self._desk = Desk(
            store=store,
            queue=queue,
            schemas=schemas,
            estate=Estate(codec, schemas),
            board=Board(),
            leadership=self.leadership,
            clock=clock,
            events=events,
            options=options,
            redactor=redactor,
            suffix=suffix,
        )
        self._intake = Intake(self._desk, admission)
        self._dispatch = Dispatch(self._desk)
        self._reports = Reports(self._desk)
        self._repairs = Repairs(self._desk)
        self._requests = Requests(self._desk, self._intake.veto)
        self._loader = Loader(
            self._desk,
            intake=self._intake,
            dispatch=self._dispatch,
            reports=self._reports,
            repairs=self._repairs,
            requests=self._requests,
            codec=codec,
        )
        self._follower = Follower(
            self._desk,
            intake=self._intake,
            dispatch=self._dispatch,
            reports=self._reports,
            repairs=self._repairs,
            requests=self._requests,
            loader=self._loader,
            wake=wake,
        )
        self._acceptances = Acceptances(store, codec.keys, self.leadership, clock)
        self._loaded = False
        self._accepted = False
        self._degraded: Degraded | None = None

    @property
    def leads(self) -> bool:
        """Whether it leads and has read everything."""
        return self.leadership.leads and self._loaded

    @property
    def degraded(self) -> Degraded | None:
        """Why it has stopped on purpose; None if it has not (``rules`` 16)."""
        return self._degraded

    @property
    def due(self) -> float | None:
        """Clock time at which :meth:`step` has something to do even if nothing happens."""
        if not self.leadership.leads:
            return self.leadership.next_try
        return self._desk.timers.due

    def step(self) -> bool:
        """Do one bounded unit of work; whether there was any.

        Raises:
            Degraded: an operator has to look first; until :meth:`resume`, or until it is accepted
                (:mod:`gohan_jobs.acceptance`), nothing is written but why.
            UnsupportedFormat: the keyspace is another release's.
        """
        try:
            self._reconsider()
            return self._lead() if self.leadership.leads else self._stand_by()
        except (NotLeader, Compacted):
            self._unload()
            return True
        except StoreError as error:
            if not _changes_nothing(error):
                self._unload()
            raise
        except Degraded as error:
            self._unload()
            self._degraded = error
            raise

    def resume(self, *, accept: bool = False) -> None:
        """Go on after :class:`Degraded`; from any thread.

        Args:
            accept: carry out what it stopped for; once.
        """
        self._accepted = accept
        self._degraded = None

    def _reconsider(self) -> None:
        """Go on if an operator has accepted what it stopped for, or if another leads now."""
        degraded = self._degraded
        if degraded is None:
            return
        if not self.leadership.leads:
            self._degraded = None
            self._acceptances.forget()
        elif self._acceptances.given(str(degraded)):
            self.resume(accept=True)
        else:
            raise degraded

    def close(self) -> None:
        """Stop, and give the leader's key back: a standby takes over at once; idempotent."""
        self._unload()
        self.leadership.close()
        self.leadership.resign()

    # Leading or not.

    def _stand_by(self) -> bool:
        self._unload()
        check_format(self._store, self._desk.queue.own)
        return self.leadership.campaign()

    def _lead(self) -> bool:
        if not self._loaded:
            self._load()
            return True
        return (
            self._drain()
            or self._requests.step()  # before what they are about is taken for done
            or self._dispatch.step()
            or self._intake.step()
            or self._reports.step()
            or self._repairs.step()
            or self._intake.unmade.step()  # what workers know of stacks was taken in before
            or self._desk.timers.run(self._clock.now())
        )

    def _drain(self) -> bool:
        try:
            self._follower.listen()
        except StoreError:
            self._unload()  # events may be lost
            raise
        return self._loader.step() or self._follower.take_in()

    def _unload(self) -> None:
        self._loaded = False
        self._follower.close()

    # Reading everything.

    def _load(self) -> None:
        """Read all at one revision, and follow the changes after it."""
        self._unload()
        self._check_keyspace()
        before, revision = self._follower.revision, self._store.revision()
        if revision < before and not self._accepted:
            raise Degraded(f"the store's revision went back from {before} to {revision}")
        self._loader.load(revision, accept=self._accepted)
        self._follower.follow(revision + 1)
        self._follower.revision = revision
        self._acceptances.over()
        self._accepted = False
        self._loaded = True
        if before > 0:
            self._events.emit(WatchResumed(revision=revision))

    def _check_keyspace(self) -> None:
        own = self._desk.queue.own
        if not check_format(self._store, own):
            self._desk.commit(initial_marks(self._store, own))
        elif foreign_cluster(self._store, own):
            if not self._accepted:
                raise Degraded("the store is another cluster than the one worked on before")
            self._desk.commit(moved_marks(self._store, own))


def _changes_nothing(error: StoreError) -> bool:
    """Whether what was read still holds: nothing was written, and what was to be done is in line.

    Where another cluster answers, nothing does.
    """
    refused = isinstance(error, StoreUnavailable | StoreFull | StoreRefused)
    return refused and not isinstance(error, WrongCluster)
