"""The job manager as a whole: leads, reads everything, follows the changes, does what is next."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from gohan_jobs.board import Board, Tracked, in_order
from gohan_jobs.bookkeeping import FORMAT, Band, JobNotes, Quarantined
from gohan_jobs.clock import Clock
from gohan_jobs.codec import Codec
from gohan_jobs.estate import Estate
from gohan_jobs.events import Events, WatchResumed
from gohan_jobs.exceptions import (
    Compacted,
    Degraded,
    GohanJobsError,
    InvalidKey,
    NotLeader,
    StoreError,
    StoreFull,
    StoreUnavailable,
    UnsupportedFormat,
)
from gohan_jobs.keys import JobId, Place, ResourcePath
from gohan_jobs.manager.desk import Desk, ManagerOptions
from gohan_jobs.manager.dispatch import Dispatch
from gohan_jobs.manager.intake import Intake, Pending
from gohan_jobs.manager.leadership import Leadership
from gohan_jobs.manager.reports import Reports
from gohan_jobs.queue import Queue
from gohan_jobs.redaction import Redactor
from gohan_jobs.schemas import Schemas
from gohan_jobs.stores.base import (
    Compare,
    Entry,
    Event,
    EventKind,
    Put,
    Store,
    Transaction,
    Watch,
    scan,
)

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
        suffix: gives suffixes of job ids.
        options: how it behaves.
        wake: called, on any thread, when :meth:`step` may have something to do.
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
    ) -> None:
        self._store = store
        self._codec = codec
        self._keys = codec.keys
        self._wake = wake
        self._events = events
        self._clock = clock
        self.leadership = Leadership(
            store, self._keys.leader, manager_id, clock, events, options.leader_ttl
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
        self._intake = Intake(self._desk)
        self._dispatch = Dispatch(self._desk)
        self._reports = Reports(self._desk)
        self._watches: list[tuple[Watch, Callable[[Event], None]]] = []
        self._election: Watch | None = None
        self._loaded = False
        self._revision = 0
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

    @property
    def board(self) -> Board:
        """The queue as this manager sees it."""
        return self._desk.board

    def step(self) -> bool:
        """Do one bounded unit of work; whether there was any.

        Raises:
            Degraded: an operator has to look first; nothing is written until :meth:`resume`.
            UnsupportedFormat: the keyspace is another release's.
        """
        if self._degraded is not None:
            raise self._degraded
        try:
            if not self.leadership.leads:
                return self._stand_by()
            return self._lead()
        except NotLeader:
            self._unload()
            return True
        except Compacted:
            self._unload()
            return True
        except (StoreUnavailable, StoreFull):
            raise  # nothing was written, and what was to be done is still in line
        except StoreError:
            self._unload()
            raise
        except Degraded as error:
            self._degraded = error
            raise

    def resume(self, *, accept: bool = False) -> None:
        """Go on after :class:`Degraded`.

        Args:
            accept: carry out what it stopped for; once.
        """
        self._degraded = None
        self._accepted = accept
        self._unload()

    _accepted = False

    def close(self, *, resign: bool = True) -> None:
        """Stop; idempotent.

        Args:
            resign: give the leader's key back, so that a standby takes over at once.
        """
        self._unload()
        if self._election is not None:
            self._election.close()
            self._election = None
        if resign:
            self.leadership.resign()

    # Leading or not.

    def _stand_by(self) -> bool:
        self._unload()
        if self._election is None:
            self._election = self._store.watch(
                self._keys.leader, self._store.revision() + 1, wake=self._wake
            )
        try:
            batch = self._election.poll()
        except Compacted:
            self._election.close()
            self._election = None
            return True
        if batch is not None and any(e.kind is EventKind.DELETE for e in batch.events):
            self.leadership.hint()
        return self.leadership.campaign()

    def _lead(self) -> bool:
        if not self._loaded:
            self._load()
            return True
        return (
            self._drain()
            or self._dispatch.step()
            or self._intake.step()
            or self._reports.step()
            or self._desk.timers.run(self._clock.now())
        )

    def _unload(self) -> None:
        self._loaded = False
        for watch, _ in self._watches:
            watch.close()
        self._watches.clear()

    # Reading everything.

    def _load(self) -> None:
        """Read all at one revision, and follow the changes after it."""
        desk = self._desk
        self._unload()  # of an attempt that the store has broken off
        self._check_format()
        desk.estate = Estate(self._codec, desk.schemas)
        desk.board = Board()
        desk.timers.clear()
        desk.own_revisions.clear()
        desk.slots.clear()
        desk.orphans.clear()
        desk.quarantine.clear()
        self._intake.clear()
        self._dispatch.clear()
        self._reports.clear()
        revision = self._store.revision()
        if revision < self._revision:
            raise Degraded(f"the store's revision went back from {self._revision} to {revision}")
        self._load_estate(revision)
        self._load_own(revision)
        self._load_jobs(revision)
        self._follow(revision + 1)
        self._plan_differences()
        self._loaded = True
        resumed = self._revision > 0
        self._revision = revision
        if resumed:
            self._events.emit(WatchResumed(revision=revision))

    def _check_format(self) -> None:
        own = self._desk.queue.own
        found = self._store.get(own.format_key)
        if found is None:
            self._desk.commit(
                Transaction(
                    (Compare.absent(own.format_key), Compare.absent(own.cluster_key)),
                    (
                        Put(own.format_key, FORMAT.encode()),
                        Put(own.cluster_key, self._store.cluster_id().encode()),
                    ),
                )
            )
            return
        if found.value != FORMAT.encode():
            raise UnsupportedFormat(found.value.decode(errors="replace"), FORMAT)
        cluster = self._store.get(own.cluster_key)
        here = self._store.cluster_id().encode()
        if cluster is not None and cluster.value != here:
            if not self._accepted:
                raise Degraded("the store is another cluster than the one worked on before")
            self._desk.commit(
                Transaction(
                    (Compare.unchanged(own.cluster_key, cluster.mod_revision),),
                    (Put(own.cluster_key, here),),
                )
            )

    def _scan(self, prefix: str, revision: int) -> Iterator[Entry]:
        for page in scan(self._store, prefix, revision=revision):
            yield from page.entries

    def _load_estate(self, revision: int) -> None:
        estate, keys = self._desk.estate, self._keys
        for prefix, put in (
            (keys.config, estate.put_config),
            (keys.processed_prefix, estate.put_processed),
            (keys.state, estate.put_state),
            (keys.heat_stack_prefix, estate.put_stack),
        ):
            for entry in self._scan(prefix, revision):
                path = keys.path_in(prefix, entry.key)
                if path is not None:
                    put(path, entry)

    def _load_own(self, revision: int) -> None:
        desk, own = self._desk, self._desk.queue.own
        for entry in self._scan(own.workers_prefix, revision):
            self._worker(entry.key, entry)
        for entry in self._scan(own.quarantine_prefix, revision):
            found = own.loads(entry.key, entry.value, Quarantined)
            desk.quarantine[found.key] = (found.mod_revision, entry.mod_revision)
        for entry in self._scan(own.orphans_prefix, revision):
            desk.orphans.add(ResourcePath(entry.key.removeprefix(own.orphans_prefix)))
        for entry in self._scan(own.reports_prefix, revision):
            self._reports.held(ResourcePath(entry.key.removeprefix(own.reports_prefix)))

    def _load_jobs(self, revision: int) -> None:
        places = self._load_places(revision)
        own = self._desk.queue.own
        notes = {
            entry.key.removeprefix(own.jobs_prefix): entry
            for entry in self._scan(own.jobs_prefix, revision)
        }
        found: list[tuple[int, Tracked]] = []
        for entry in self._scan(self._keys.all_jobs, revision):
            noted = notes.get(entry.key.removeprefix(self._keys.all_jobs))
            job = self._tracked(entry, noted)
            if job is None:
                continue
            if noted is None:
                self._note(job)
            place, job.revision = places.pop(job.job_id, (None, 0))
            job.place = place
            found.append((entry.create_revision, job))
        for job in in_order(found):
            self._desk.board.add(job)
        self._desk.board.connect()
        for job in self._desk.board:
            self._settle(job)

    def _load_places(self, revision: int) -> dict[JobId, tuple[Place | None, int]]:
        """Where each job stands; of two places, which an old worker can leave, the later one."""
        found: dict[JobId, tuple[Place | None, int]] = {}
        for place in Place:
            prefix = self._keys.place_prefix(place)
            for entry in self._scan(prefix, revision):
                try:
                    job_id = self._keys.job_id_in(prefix, entry.key)
                except InvalidKey as error:
                    self._desk.set_aside(entry.key, entry.mod_revision, str(error))
                    continue
                if found.get(job_id, (None, 0))[1] < entry.mod_revision:
                    found[job_id] = (place, entry.mod_revision)
        return found

    def _tracked(self, entry: Entry, notes_entry: Entry | None) -> Tracked | None:
        """A job from its document; None, and set aside, if it is not to be used."""
        desk = self._desk
        try:
            job_id = self._keys.job_id_in(self._keys.all_jobs, entry.key)
        except InvalidKey as error:
            desk.set_aside(entry.key, entry.mod_revision, str(error))
            return None
        schema = desk.schemas.by_type(job_id.resource_type)
        if schema is None:
            desk.set_aside(entry.key, entry.mod_revision, "no schema has this job's type")
            return None
        path = schema.path_of(job_id.resource_id)
        notes = self._job_notes(path, notes_entry)
        try:
            job = desk.queue.read_job(entry)
        except GohanJobsError as error:
            desk.set_aside(entry.key, entry.mod_revision, str(error))
            return Tracked.unreadable(job_id, path, notes)
        return Tracked.of(job, path, notes, None, 0)

    def _job_notes(self, path: ResourcePath, entry: Entry | None) -> JobNotes:
        """The notes on a job; another program's job has none, so they are made up."""
        if entry is not None:
            try:
                return self._desk.queue.own.loads(entry.key, entry.value, JobNotes)
            except GohanJobsError as error:
                self._desk.set_aside(entry.key, entry.mod_revision, str(error))
        config = self._desk.estate.config_entry(path)
        return JobNotes(
            planned_at=self._desk.now_text(),
            path=path,
            config_create=config.create_revision if config is not None else 0,
            config_mod=config.mod_revision if config is not None else 0,
        )

    def _note(self, job: Tracked) -> None:
        """Write the notes that another program's job lacks, for the worker that claims it."""
        own = self._desk.queue.own
        key = own.job(job.job_id)
        self._desk.commit(Transaction((Compare.absent(key),), (Put(key, own.dumps(job.notes)),)))

    def _settle(self, job: Tracked) -> None:
        """What a death may have left: a job that stands nowhere, a wait that is not over."""
        if job.place is None:
            self._dispatch.lost(job)
        elif job.notes.held_until and not job.broken:
            self._dispatch.remember_hold(job)
        elif job.place is Place.WAITING and job.notes.delay > 0:
            self._desk.delay(job, job.notes.delay)

    def _plan_differences(self) -> None:
        """Put every config, and every removal, in line; unchanged ones write nothing."""
        estate = self._desk.estate
        removed = [path for path in estate.paths() if estate.config_entry(path) is None]
        self._check_removals(len(removed), estate.count())
        for path in sorted(removed):
            self._intake.receive(Pending(path, None, 0, Band.RESYNC, reread=True))
        entries = [
            (entry.mod_revision, path, entry)
            for path in estate.paths()
            if (entry := estate.config_entry(path)) is not None
        ]
        for revision, path, entry in sorted(entries, key=lambda found: found[0]):
            self._intake.receive(Pending(path, entry, revision, Band.RESYNC, reread=True))

    def _check_removals(self, removed: int, known: int) -> None:
        options = self._desk.options
        many = removed > options.max_removals and removed > options.max_removal_share * known
        if many and not self._accepted:
            raise Degraded(f"{removed} of {known} known resources have no config any more")
        self._accepted = False

    # Following changes.

    def _follow(self, revision: int) -> None:
        keys, own = self._keys, self._desk.queue.own
        for prefix, handle in (
            (keys.jobs, self._on_job),
            (keys.state, self._on_state),
            (keys.heat_stack_prefix, self._on_stack),
            (keys.config, self._on_config),
            (own.workers_prefix, self._on_worker),
            (own.reports_prefix, self._on_report),
        ):
            watch = self._store.watch(prefix, revision, wake=self._wake)
            self._watches.append((watch, handle))

    def _drain(self) -> bool:
        """Take in what the watches have; whether it changed anything."""
        heard = False
        for watch, handle in self._watches:
            batch = watch.poll()
            if batch is None:
                continue
            self._revision = max(self._revision, batch.revision)
            for event in batch.events:
                heard = True
                try:
                    handle(event)
                except StoreError:
                    self._unload()  # the rest of the batch would be lost
                    raise
        return heard

    def _on_config(self, event: Event) -> None:
        path = self._keys.path_in(self._keys.config, event.key)
        if path is None:
            if event.entry is not None:
                self._desk.set_aside(event.key, event.revision, "not a resource's path")
            return
        self._intake.receive(Pending(path, event.entry, event.revision))
        if self._keys.is_template(path):
            # Known at once, so that no job meets a template older than what was heard of.
            if event.entry is None:
                self._desk.estate.drop_config(path)
            else:
                self._desk.estate.put_config(path, event.entry)
            self._dispatch.template_changed(path.rpartition("/")[2])

    def _on_state(self, event: Event) -> None:
        path = self._keys.path_in(self._keys.state, event.key)
        if path is None:
            return
        if event.entry is None:
            self._desk.estate.drop_state(path)
        else:
            self._desk.estate.put_state(path, event.entry)
            self._reports.state_changed(path)

    def _on_stack(self, event: Event) -> None:
        path = self._keys.path_in(self._keys.heat_stack_prefix, event.key)
        if path is None:
            return
        if event.entry is None:
            self._desk.estate.drop_stack(path)
            return
        self._desk.estate.put_stack(path, event.entry)
        reference = self._desk.estate.reference(path)
        if reference is not None:
            self._intake.appeared(reference)

    def _on_worker(self, event: Event) -> None:
        self._worker(event.key, event.entry)

    def _worker(self, key: str, entry: Entry | None) -> None:
        name = key.removeprefix(self._desk.queue.own.workers_prefix)
        if entry is None:
            self._desk.slots.pop(name, None)
        elif entry.value.isdigit():
            self._desk.slots[name] = int(entry.value)

    def _on_report(self, event: Event) -> None:
        prefix = self._desk.queue.own.reports_prefix
        if event.entry is not None:
            self._reports.held(ResourcePath(event.key.removeprefix(prefix)))

    def _on_job(self, event: Event) -> None:
        """A change in the queue; our own are known already."""
        desk = self._desk
        if event.revision in desk.own_revisions:
            return
        if desk.own_revisions and min(desk.own_revisions) < event.revision:
            desk.own_revisions = {r for r in desk.own_revisions if r >= event.revision}
        if event.key.startswith(self._keys.all_jobs):
            self._on_document(event)
            return
        for place in Place:
            prefix = self._keys.place_prefix(place)
            if event.key.startswith(prefix):
                self._on_place(event, place, prefix)

    def _on_document(self, event: Event) -> None:
        """Somebody else changed, added or removed a job's document: read where it stands."""
        key = event.key
        try:
            known = self._desk.board.get(self._keys.job_id_in(self._keys.all_jobs, key))
        except InvalidKey as error:
            self._desk.set_aside(key, event.revision, str(error))
            return
        if known is not None:
            self._desk.board.remove(known)
        entry = self._store.get(key)
        if entry is None:
            return
        own = self._desk.queue.own
        job_id = self._keys.job_id_in(self._keys.all_jobs, key)
        job = self._tracked(entry, self._store.get(own.job(job_id)))
        if job is not None:
            self._desk.pardon_if_readable(job, key)
            self._desk.board.add(job)
            self._desk.board.connect_to(job)
            self._desk.refresh_job(job)
            self._settle(job)

    def _on_place(self, event: Event, place: Place, prefix: str) -> None:
        try:
            job = self._desk.board.get(self._keys.job_id_in(prefix, event.key))
        except InvalidKey as error:
            if event.entry is not None:
                self._desk.set_aside(event.key, event.revision, str(error))
            return
        if job is None:
            return
        if event.kind is EventKind.PUT:
            self._arrived(job, place, event)
        elif job.place in {place, None} and event.revision > job.revision:
            # None: its place was looked for since, and it was found to stand nowhere.
            self._desk.board.move(job, None, event.revision)
            self._dispatch.lost(job)

    def _arrived(self, job: Tracked, place: Place, event: Event) -> None:
        if event.revision < job.revision:
            return
        self._desk.board.move(job, place, event.revision)
        if place is Place.WAITING:
            self._dispatch.handed_back(job)
