"""A new leader reads everything, at one revision.

Reading writes nothing: what is found that has to be written is put in line, and done before
anything else. So a store that can be read, but takes no writes, is not read again at each try.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from functools import partial

from gohan_jobs.board import Board, Tracked, in_order
from gohan_jobs.bookkeeping import Band, Bookkeeping, JobNotes, Orphan, Quarantined
from gohan_jobs.codec import Codec
from gohan_jobs.estate import Estate
from gohan_jobs.exceptions import Degraded, GohanJobsError, InvalidKey
from gohan_jobs.keys import JobId, Place, ResourcePath
from gohan_jobs.keyspace import settled_in
from gohan_jobs.manager.changes import Pending
from gohan_jobs.manager.desk import Desk
from gohan_jobs.manager.dispatch import Dispatch
from gohan_jobs.manager.foreigners import Foreigners
from gohan_jobs.manager.intake import NO_PATH, NO_SCHEMA, Intake
from gohan_jobs.manager.repairs import Repairs
from gohan_jobs.manager.reports import Reports
from gohan_jobs.manager.requests import Requests
from gohan_jobs.stores.base import Entry, entries_below

__all__ = ["Loader"]

_NO_TYPE = "no schema has this job's type"
_NO_DOCUMENT = "there is no document of this job"

_UNKNOWN = frozenset({NO_SCHEMA, _NO_TYPE, _NO_DOCUMENT})
"""Reasons that other schemas, or another record, take away."""


class Loader:
    """Fills the desk, and lines up what differs.

    Args:
        desk: what is filled.
        intake: gets the configs.
        dispatch: gets the jobs.
        reports: gets held monitoring reports.
        repairs: gets the stacks to make right.
        requests: gets what operators ask for.
        codec: reads records.
    """

    def __init__(
        self,
        desk: Desk,
        *,
        intake: Intake,
        dispatch: Dispatch,
        reports: Reports,
        repairs: Repairs,
        requests: Requests,
        codec: Codec,
    ) -> None:
        self._desk = desk
        self._keys = codec.keys
        self._codec = codec
        self._intake = intake
        self._dispatch = dispatch
        self._reports = reports
        self._foreigners = Foreigners(desk)
        self._repairs = repairs
        self._requests = requests
        self._unwritten: deque[Callable[[], object]] = deque()
        self._unknown: set[str] = set()

    def load(self, revision: int, *, accept: bool) -> None:
        """Read everything as of a revision.

        Args:
            revision: as of which.
            accept: whether removals are carried out however many they are.

        Raises:
            Degraded: so many configs are gone that an operator has to look (``rules`` 16).
        """
        self._clear()
        self._load_estate(revision)
        self._load_own(revision)
        self._put_in_line(self._judge_stacks)
        self._load_jobs(revision)
        self._plan_differences(accept=accept)

    def step(self) -> bool:
        """Write one thing that reading has found; whether there was any.

        Raises:
            StoreError: it is refused, and stays in line.
        """
        if not self._unwritten:
            return False
        self._unwritten[0]()
        self._unwritten.popleft()
        return True

    def _put_in_line(self, write: Callable[..., object], *arguments: object) -> None:
        """Put in line what can be repeated: a write, or a look that may lead to some."""
        self._unwritten.append(partial(write, *arguments))

    def _set_aside(self, key: str, mod_revision: int, reason: str) -> None:
        self._put_in_line(self._desk.set_aside, key, mod_revision, reason)

    def _clear(self) -> None:
        desk = self._desk
        self._unwritten.clear()
        self._unknown.clear()
        settled = settled_in(desk.store, desk.queue.own)
        desk.estate = Estate(self._codec, desk.schemas, settled)
        desk.board = Board()
        desk.timers.clear()
        desk.own_revisions.clear()
        desk.slots.clear()
        desk.orphans.clear()
        desk.quarantine.clear()
        self._intake.clear()
        self._dispatch.clear()
        self._reports.clear()
        self._repairs.clear()
        self._requests.clear()

    def _scan(self, prefix: str, revision: int) -> Iterator[Entry]:
        return entries_below(self._desk.store, prefix, revision=revision)

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
                elif prefix == keys.config:
                    self._set_aside(entry.key, entry.mod_revision, NO_PATH)

    def _load_own(self, revision: int) -> None:
        desk, own = self._desk, self._desk.queue.own
        self._load_quarantine(revision)
        for entry in self._scan(own.workers_prefix, revision):
            self._put_in_line(desk.worker, entry.key.removeprefix(own.workers_prefix), entry)
        for entry in self._scan(own.orphans_prefix, revision):
            desk.orphans.add(ResourcePath(entry.key.removeprefix(own.orphans_prefix)))
            self._see_orphan(entry)
        for entry in self._scan(own.held_prefix, revision):
            self._intake.held(ResourcePath(entry.key.removeprefix(own.held_prefix)), entry)
        for entry in self._scan(own.repairs_prefix, revision):
            path = ResourcePath(entry.key.removeprefix(own.repairs_prefix))
            self._repairs.heard(path, entry)
        for prefix in (own.retries_prefix, own.cancels_prefix):
            for entry in self._scan(prefix, revision):
                self._requests.heard(entry.key, entry)
        for entry in self._scan(own.reports_prefix, revision):
            self._reports.held(ResourcePath(entry.key.removeprefix(own.reports_prefix)))

    def _load_quarantine(self, revision: int) -> None:
        """What is set aside; a note that can't be read is so, too, and is written anew or goes."""
        desk, own = self._desk, self._desk.queue.own
        for entry in self._scan(own.quarantine_prefix, revision):
            key, seen, reason, problem = _noted(own, entry)
            desk.quarantine[key] = (seen, entry.mod_revision)
            if reason in _UNKNOWN:
                self._unknown.add(key)
            if problem:
                self._set_aside(entry.key, entry.mod_revision, problem)
        self._put_in_line(self._pardon)

    def _see_orphan(self, entry: Entry) -> None:
        """That there is one is all that counts; what can't be read of it is told of."""
        try:
            self._desk.queue.own.loads(entry.key, entry.value, Orphan)
        except GohanJobsError as error:
            self._set_aside(entry.key, entry.mod_revision, str(error))

    def _pardon(self) -> None:
        """Forget that something could not be used that is gone, or known by now.

        So is a record of our own that is another by now. (Of others' it shows when they are used.)
        """
        desk, own = self._desk, self._desk.queue.own.prefix
        for key, (seen, _) in list(desk.quarantine.items()):
            entry = desk.store.get(key)
            changed = key.startswith(own) and entry is not None and entry.mod_revision != seen
            if entry is None or changed or self._is_known(key):
                desk.pardon(key)

    def _is_known(self, key: str) -> bool:
        """Whether there is a schema now for what had none before."""
        desk, keys = self._desk, self._keys
        if key not in self._unknown:
            return False
        path = keys.path_in(keys.config, key)
        if path is not None:
            return desk.estate.identify(path) is not None
        job_id = JobId.parse(key.rpartition("/")[2])
        job = desk.board.get(job_id)
        return job is not None and not job.broken

    def _judge_stacks(self) -> None:
        """Report the stacks' records that can't be read, and pardon those that now can be."""
        desk, prefix = self._desk, self._keys.heat_stack_prefix
        aside = [key for key in desk.quarantine if key.startswith(prefix)]
        noted = [ResourcePath(key.removeprefix(prefix)) for key in aside]
        for path in sorted({*noted, *desk.estate.broken_stacks()}):
            desk.judge_stack(path)

    # Jobs.

    def _load_jobs(self, revision: int) -> None:
        places = self._load_places(revision)
        own = self._desk.queue.own
        notes = {
            entry.key.removeprefix(own.jobs_prefix): entry
            for entry in self._scan(own.jobs_prefix, revision)
        }
        found: list[tuple[int, Tracked]] = []
        documents: dict[JobId, Entry] = {}
        for entry in self._scan(self._keys.all_jobs, revision):
            job = self._read(entry, notes.get(entry.key.removeprefix(self._keys.all_jobs)))
            if job is not None:
                job.place, job.revision = places.pop(job.job_id, (None, 0))
                found.append((entry.create_revision, job))
                documents[job.job_id] = entry
        self._set_strays_aside(places)
        board = self._desk.board
        for job in in_order(found):
            board.add(job)
        board.connect()
        for job in board:
            self._dispatch.found(job, documents[job.job_id])

    def _load_places(self, revision: int) -> dict[JobId, tuple[Place | None, int]]:
        """Where each job stands; of two places, which an old worker can leave, the later one."""
        found: dict[JobId, tuple[Place, Entry]] = {}
        for place in Place:
            prefix = self._keys.place_prefix(place)
            for entry in self._scan(prefix, revision):
                try:
                    job_id = self._keys.job_id_in(prefix, entry.key)
                except InvalidKey as error:
                    self._set_aside(entry.key, entry.mod_revision, str(error))
                    continue
                found[job_id] = self._later(job_id, found.get(job_id), (place, entry))
        return {job_id: (place, entry.mod_revision) for job_id, (place, entry) in found.items()}

    def _later(
        self, job_id: JobId, one: tuple[Place, Entry] | None, other: tuple[Place, Entry]
    ) -> tuple[Place, Entry]:
        if one is None:
            return other
        older, newer = sorted((one, other), key=lambda found: found[1].mod_revision)
        self._put_in_line(self._foreigners.tidy, job_id, older, newer)
        return newer

    def _set_strays_aside(self, places: dict[JobId, tuple[Place | None, int]]) -> None:
        for job_id, (place, revision) in places.items():
            assert place is not None  # noqa: S101 - it was found at one
            key = self._keys.place(place, job_id)
            self._set_aside(key, revision, _NO_DOCUMENT)

    def tracked(self, entry: Entry, noted: Entry | None) -> Tracked | None:
        """A job from its document; None, and set aside, if it is not to be used at all.

        Args:
            entry: the document.
            noted: the notes on it; another program's job has none, so they are made up, as they are
                if somebody broke them.

        Raises:
            StoreError: what has to be written is refused; it stays in line.
        """
        job = self._read(entry, noted)
        while self.step():
            pass
        return job

    def _read(self, entry: Entry, noted: Entry | None) -> Tracked | None:
        desk = self._desk
        try:
            job_id = self._keys.job_id_in(self._keys.all_jobs, entry.key)
        except InvalidKey as error:
            self._set_aside(entry.key, entry.mod_revision, str(error))
            return None
        notes = self._notes(noted)
        path = self._path_of(job_id, entry, notes)
        if path is None:
            return None
        try:
            job = desk.queue.read_job(entry)
        except GohanJobsError as error:
            self._set_aside(entry.key, entry.mod_revision, str(error))
            return Tracked.unreadable(job_id, path, notes or self._foreigners.notes(path))
        if notes is None:
            notes = self._foreigners.completed(job, self._foreigners.notes(path))
            self._put_in_line(self._foreigners.note, job_id, notes, noted)
        tracked = Tracked.of(job, path, notes, None, 0)
        tracked.broken = desk.schemas.by_type(job_id.resource_type) is None
        return tracked

    def _path_of(self, job_id: JobId, entry: Entry, notes: JobNotes | None) -> ResourcePath | None:
        """Where the records of a job's resource are; None if nobody can tell.

        A job whose type no schema has is set aside, and keeps its place: others wait for it.
        """
        schema = self._desk.schemas.by_type(job_id.resource_type)
        if schema is not None:
            return schema.path_of(job_id.resource_id)
        self._set_aside(entry.key, entry.mod_revision, _NO_TYPE)
        return None if notes is None else ResourcePath(notes.path)

    def _notes(self, noted: Entry | None) -> JobNotes | None:
        """The notes on a job; None if there are none that can be read."""
        if noted is None:
            return None
        try:
            return self._desk.queue.own.loads(noted.key, noted.value, JobNotes)
        except GohanJobsError as error:
            self._set_aside(noted.key, noted.mod_revision, str(error))
            return None

    # Differences.

    def _plan_differences(self, *, accept: bool) -> None:
        """Put every config, and every removal, in line; unchanged ones write nothing."""
        estate, held = self._desk.estate, self._desk.held
        removed = {path for path in estate.paths() if estate.config_entry(path) is None}
        gone = {path for path in held if estate.config_entry(path) is None}
        if not accept:  # those that are held were seen to go
            self._check_removals(len(removed - gone), estate.count())
        for path in sorted(removed | gone):
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
        if removed > options.max_removals and removed > options.max_removal_share * known:
            raise Degraded(f"{removed} of {known} known resources have no config any more")


def _noted(own: Bookkeeping, entry: Entry) -> tuple[str, int, str, str]:
    """Which key a note sets aside, at which revision, why, and what is wrong with the note."""
    try:
        found = own.loads(entry.key, entry.value, Quarantined)
        if own.quarantine(found.key) == entry.key:
            return found.key, found.mod_revision, found.reason, ""
        problem = f"{entry.key}: a note on another key"
    except GohanJobsError as error:
        problem = str(error)
    return f"/{entry.key.removeprefix(own.quarantine_prefix)}", 0, "", problem
