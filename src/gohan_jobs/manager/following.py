"""The leader follows what others write. Events are hints: what matters is read again."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from gohan_jobs.board import Tracked
from gohan_jobs.exceptions import InvalidKey, StoreError
from gohan_jobs.keys import Keys, Place, ResourcePath
from gohan_jobs.manager.changes import Pending
from gohan_jobs.manager.desk import Desk
from gohan_jobs.manager.dispatch import Dispatch
from gohan_jobs.manager.intake import NO_PATH, Intake
from gohan_jobs.manager.loading import Loader
from gohan_jobs.manager.repairs import Repairs
from gohan_jobs.manager.reports import Reports
from gohan_jobs.manager.requests import Requests
from gohan_jobs.stores.base import Event, EventKind, Watch

__all__ = ["Follower"]


class Follower:
    """Watches, and takes in what they have.

    Args:
        desk: what is known.
        intake: gets changes of configs.
        dispatch: gets changes in the queue.
        reports: gets monitoring reports.
        repairs: gets the stacks to make right.
        requests: gets what operators ask for.
        loader: reads single jobs.
        wake: called, on any thread, when there is something.
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
        loader: Loader,
        wake: Callable[[], None] | None,
    ) -> None:
        self._desk = desk
        self._keys: Keys = desk.keys
        self._intake = intake
        self._dispatch = dispatch
        self._reports = reports
        self._repairs = repairs
        self._requests = requests
        self._loader = loader
        self._wake = wake
        self._watches: list[tuple[Watch, Callable[[Event], None]]] = []
        self._line: deque[tuple[Callable[[Event], None], Event]] = deque()
        self.revision: int = 0

    def follow(self, revision: int) -> None:
        """Watch from a revision on."""
        keys, own = self._keys, self._desk.queue.own
        for prefix, handle in (
            (keys.jobs, self._on_job),
            (keys.state, self._on_state),
            (keys.heat_stack_prefix, self._on_stack),
            (keys.config, self._on_config),
            (own.workers_prefix, self._on_worker),
            (own.reports_prefix, self._on_report),
            (own.repairs_prefix, self._on_repair),
            (own.retries_prefix, self._on_request),
            (own.cancels_prefix, self._on_request),
        ):
            watch = self._desk.store.watch(prefix, revision, wake=self._wake)
            self._watches.append((watch, handle))

    def close(self) -> None:
        """Watch nothing any more; idempotent."""
        for watch, _ in self._watches:
            watch.close()
        self._watches.clear()
        self._line.clear()

    def listen(self) -> None:
        """Put what the watches have in line.

        Raises:
            StoreError: events may be lost: everything is to be read again.
        """
        for watch, handle in self._watches:
            batch = watch.poll()
            if batch is not None:
                self.revision = max(self.revision, batch.revision)
                self._line.extend((handle, event) for event in batch.events)

    def take_in(self) -> bool:
        """Take in what is in line; whether there was anything.

        Raises:
            StoreError: from a read or write about an event, which stays in line.
        """
        heard = bool(self._line)
        while self._line:
            handle, event = self._line.popleft()
            try:
                handle(event)
            except StoreError:
                self._line.appendleft((handle, event))
                raise
        return heard

    # Resources.

    def _on_config(self, event: Event) -> None:
        path = self._keys.path_in(self._keys.config, event.key)
        if path is None:
            self._judge_foreign(event, NO_PATH)
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
        if path is None or event.revision < self._desk.estate.state_revision(path):
            return  # a later one has been read, or written here
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
            self._desk.judge_stack(path)
            return
        self._desk.estate.put_stack(path, event.entry)
        self._desk.judge_stack(path)
        reference = self._desk.estate.reference(path)
        if reference is not None:
            self._intake.appeared(reference)

    def _on_worker(self, event: Event) -> None:
        name = event.key.removeprefix(self._desk.queue.own.workers_prefix)
        self._desk.worker(name, event.entry)

    def _on_report(self, event: Event) -> None:
        prefix = self._desk.queue.own.reports_prefix
        if event.entry is not None:
            self._reports.held(ResourcePath(event.key.removeprefix(prefix)))

    def _on_repair(self, event: Event) -> None:
        prefix = self._desk.queue.own.repairs_prefix
        self._repairs.heard(ResourcePath(event.key.removeprefix(prefix)), event.entry)

    def _on_request(self, event: Event) -> None:
        self._requests.heard(event.key, event.entry)

    # The queue.

    def _on_job(self, event: Event) -> None:
        """A change in the queue; our own are known already."""
        if self._desk.is_own(event.revision):
            return
        if event.key.startswith(self._keys.all_jobs):
            self._on_document(event)
            return
        for place in Place:
            prefix = self._keys.place_prefix(place)
            if event.key.startswith(prefix):
                self._on_place(event, place, prefix)

    def _on_document(self, event: Event) -> None:
        """Somebody else changed, added or removed a job's document: read where it stands."""
        desk, key = self._desk, event.key
        entry = desk.store.get(key)
        try:
            job_id = self._keys.job_id_in(self._keys.all_jobs, key)
        except InvalidKey as error:
            if entry is None:
                desk.pardon(key)
            else:
                desk.set_aside(key, entry.mod_revision, str(error))
            return
        known = desk.board.get(job_id)
        if known is not None:
            desk.board.remove(known)
        if entry is None:
            desk.pardon(key)
            return
        job = self._loader.tracked(entry, desk.store.get(desk.queue.own.job(job_id)))
        if job is None:
            return
        desk.board.add(job)
        desk.board.connect_to(job)
        desk.refresh_job(job)
        if desk.board.get(job_id) is job:
            self._dispatch.found(job, entry)
            self._forgive(job, key)

    def _forgive(self, job: Tracked, key: str) -> None:
        """A document that could not be read was written anew."""
        if not job.broken and not job.notes.held_until:
            self._desk.pardon(key)

    def _judge_foreign(self, event: Event, reason: str) -> None:
        """A key that is nobody's was written, or is gone."""
        if event.entry is None:
            self._desk.pardon(event.key)
        else:
            self._desk.set_aside(event.key, event.revision, reason)

    def _on_place(self, event: Event, place: Place, prefix: str) -> None:
        try:
            job = self._desk.board.get(self._keys.job_id_in(prefix, event.key))
        except InvalidKey as error:
            self._judge_foreign(event, str(error))
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
        job.begun = job.begun or place is Place.WORKING  # whatever came after
        if event.revision < job.revision:
            return
        if event.revision > job.revision and job.place not in {place, None}:
            # Whoever moves a job takes it from where it was first: somebody else has put it here.
            self._desk.refresh_job(job)
            if job.place is not place:
                return
        # Of a claim and its end the leader may hear at once: the end's revision is the same.
        job.begun = job.begun or event.revision > job.revision
        self._desk.board.move(job, place, max(event.revision, job.revision))
        if place is Place.WAITING:
            self._dispatch.handed_back(job)
