"""What a store's whole history must obey, whoever wrote it and whatever went wrong meanwhile.

It is given every revision from the first on, as a watch of the empty prefix tells them, and knows
nothing of the processes: so it serves simulations and real clusters alike.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import attrs

from gohan_jobs.bookkeeping import RELEASED, Bookkeeping, JobNotes
from gohan_jobs.codec import Codec
from gohan_jobs.exceptions import GohanJobsError
from gohan_jobs.keys import JobId, Keys, Place, ResourcePath
from gohan_jobs.schemas import Schemas
from gohan_jobs.stores.base import Entry, Event

__all__ = ["History", "changes_after", "problems_of"]

_EMPTY = b"{}"


def problems_of(
    revisions: Iterable[Sequence[Event]], schemas: Schemas, *, at_rest: bool = True
) -> list[str]:
    """Everything that is wrong with a history.

    Args:
        revisions: the events of each revision, in order, from the first on.
        schemas: the types.
        at_rest: whether nothing is left to do, so that results must be complete.
    """
    history = History(schemas)
    for events in revisions:
        history.take(events)
    if at_rest:
        history.rest()
    return history.problems


def changes_after(
    revisions: Iterable[Sequence[Event]], revision: int, codec: Codec | None = None
) -> list[str]:
    """What was written after a revision beside the leader's key and what hangs on a lease.

    That is what a restart of everything must not do (``rules`` 2).
    """
    keys = (codec or Codec()).keys
    return [
        f"{event.revision}: {event.kind.value} {event.key}"
        for events in revisions
        for event in events
        if event.revision > revision and event.key != keys.leader and not _leased(event, keys.own)
    ]


def _leased(event: Event, own: str) -> bool:
    entry = event.entry or event.previous
    return event.key.startswith(own) and entry is not None and entry.lease != 0


@attrs.define
class _Incarnation:
    """One config version: a config's key from its creation to its removal, and a version of it."""

    path: ResourcePath
    created: int
    version: int
    states: int = 0
    retries: int = 0
    followed: bool = False
    unreadable: bool = False


class History:
    """Takes revisions, and notes what is wrong.

    Args:
        schemas: the types.

    Attributes:
        problems: a line for each, with its revision.
        entries: what is stored after the last revision taken.
    """

    def __init__(self, schemas: Schemas) -> None:
        self.problems: list[str] = []
        self.entries: dict[str, Entry] = {}
        self._schemas = schemas
        self._codec = Codec()
        self._keys = self._codec.keys
        self._own = Bookkeeping(self._keys)
        self._versions: dict[ResourcePath, list[_Incarnation]] = {}
        self._revision = 0

    # A revision.

    def take(self, events: Sequence[Event]) -> None:
        """The events of one revision, the next."""
        self._revision = events[0].revision
        step = _Step(events, self.entries, self._keys)
        for event in events:
            if event.entry is None:
                self.entries.pop(event.key, None)
            else:
                self.entries[event.key] = event.entry
        for event in sorted(events, key=self._is_result):
            self._judge(event, step)
        for job in step.jobs:
            self._place(job, step)

    def _is_result(self, event: Event) -> bool:
        """Results come last: a retry that is carried out at once allows one more."""
        return event.key.startswith(self._keys.state)

    def _problem(self, text: str) -> None:
        self.problems.append(f"{self._revision}: {text}")

    def _judge(self, event: Event, step: _Step) -> None:
        keys, key = self._keys, event.key
        if key.startswith(keys.config):
            self._config(event)
        elif key.startswith(keys.state):
            self._state(event, step)
        elif key.startswith(keys.heat_stack_prefix):
            self._stack(event, step)
        elif key.startswith(f"{keys.worker}job_state/"):
            self._job_state(event, step)
        elif key.startswith(keys.place_prefix(Place.WORKING)):
            self._claim(event, step)
        elif key.startswith(self._own.retries_prefix):
            self._retry(event, step)

    def _config(self, event: Event) -> None:
        path = self._keys.path_in(self._keys.config, event.key)
        if path is None or self._keys.is_template(path):
            return
        if event.entry is None:
            if path not in self._versions:
                self._problem(f"{event.key} removed, of which nothing was heard before")
            for each in self._versions.get(path, ()):
                each.followed = True
            return
        known = self._versions.setdefault(path, [])
        try:
            version, unreadable = self._codec.config(event.key, event.entry.value).version, False
        except GohanJobsError:
            version, unreadable = -1, True
        created = event.entry.create_revision
        if known and (known[-1].created, known[-1].version) == (created, version):
            return  # written again, unchanged
        for each in known:
            each.followed = True
        known.append(_Incarnation(path, created, version, unreadable=unreadable))

    def _retry(self, event: Event, step: _Step) -> None:
        """A retry that is carried out, not dropped, may publish another result."""
        path = ResourcePath(event.key.removeprefix(self._own.retries_prefix))
        if event.entry is None and step.touches(self._keys.processed_of(path)):
            self._versions[path][-1].retries += 1

    # Results.

    def _state(self, event: Event, step: _Step) -> None:
        path = self._keys.path_in(self._keys.state, event.key)
        if event.entry is None or path is None:
            return
        version = self._codec.state(event.key, event.entry.value).version
        self._count_state(path, version)
        finished = self._finished_of(path, step)
        if finished:
            if version not in {job.version for job in finished}:
                self._problem(f"state of version {version} by {finished[0]}")
        elif not step.led:
            self._problem(f"state of {path} written without a leader and without a claim")

    def _count_state(self, path: ResourcePath, version: int) -> None:
        known = [each for each in self._versions.get(path, ()) if each.version == version]
        if not known:
            self._problem(f"state of {path}, version {version}, which never was")
            return
        known[-1].states += 1
        if known[-1].states > 1 + known[-1].retries:
            self._problem(f"{path}: result no. {known[-1].states} of version {version}")
        if self._keys.config_of(path) not in self.entries:
            self._problem(f"{path}: a result without a config")

    def _stack(self, event: Event, step: _Step) -> None:
        path = self._keys.path_in(self._keys.heat_stack_prefix, event.key)
        if path is None or (event.entry is None and step.touches(self._keys.processed_of(path))):
            return
        if event.entry is not None and step.led and not self._has_stack(step.before(event.key)):
            return  # the leader's note of what a job may have begun that nobody will end
        if not self._finished_of(path, step):
            self._problem(f"{event.key} changed without a claim")

    def _has_stack(self, entry: Entry | None) -> bool:
        """Whether a stack's record names one; that of a deleted one does not."""
        if entry is None:
            return False
        return bool(self._codec.heat_stack(entry.key, entry.value).stack_id)

    def _job_state(self, event: Event, step: _Step) -> None:
        path = self._keys.path_in(f"{self._keys.worker}job_state/", event.key)
        if path is None or event.entry is None:
            return
        if event.entry.value == _EMPTY:
            if not any(self._path(job) == path for job in step.claimed):
                self._problem(f"{event.key} begun without a claim")
        elif not self._finished_of(path, step) and not self._is_failed(path, step):
            self._problem(f"{event.key} written without a claim")

    def _finished_of(self, path: ResourcePath, step: _Step) -> list[JobId]:
        """Jobs of a resource whose holder gives them back, finished, at this very revision."""
        return [job for job in step.finished if self._path(job) == path]

    def _is_failed(self, path: ResourcePath, step: _Step) -> bool:
        """Whether the leader fails a job of a resource, which nobody holds."""
        jobs = [job for job in step.jobs if self._path(job) == path]
        return step.led and any(step.touches_below(self._own.failed(job)) for job in jobs)

    # The queue.

    def _claim(self, event: Event, step: _Step) -> None:
        if event.entry is None:
            return
        job_id = self._keys.job_id_in(self._keys.place_prefix(Place.WORKING), event.key)
        if step.was_there(event.key):
            self._problem(f"{job_id} claimed while it was claimed")
        if event.entry.lease == 0:
            self._problem(f"{job_id} claimed without a lease")
        document = self.entries.get(self._keys.job(job_id))
        if document is None:
            self._problem(f"{job_id} claimed, which is not there")
            return
        for needed in self._codec.job(document.key, document.value).dependency:
            if self._keys.job(needed) in self.entries and not self._is_held(needed, job_id):
                self._problem(f"{job_id} claimed before {needed} was done")

    def _is_held(self, needed: JobId | None, job_id: JobId | None) -> bool:
        """Whether a job is held until the resource of another has recovered (``rules`` 14)."""
        assert needed is not None
        assert job_id is not None
        entry = self.entries.get(self._own.job(needed))
        notes = None if entry is None else self._own.loads(entry.key, entry.value, JobNotes)
        resource = f"{job_id.resource_type}:{job_id.resource_id}"
        return notes is not None and notes.held_for == resource

    def _place(self, job_id: JobId, step: _Step) -> None:
        """In exactly one place; or in none, but only since its holder's lease has ended."""
        keys = self._keys
        places = [place for place in Place if keys.place(place, job_id) in self.entries]
        if keys.job(job_id) not in self.entries:
            if places:
                self._problem(f"{job_id} is {places[0]} and not in the queue")
        elif len(places) > 1:
            self._problem(f"{job_id} is in {len(places)} places")
        elif not places and not step.expired(keys.place(Place.WORKING, job_id)):
            self._problem(f"{job_id} is nowhere")

    # At rest.

    def rest(self) -> None:
        """Nothing is left to do: what must be there, and what must not."""
        self._left_over()
        for known in self._versions.values():
            for each in known:
                if not (each.states or each.followed or each.unreadable):
                    self._problem(f"{each.path}: version {each.version} has no result")
            self._last(known[-1])

    def _last(self, last: _Incarnation) -> None:
        entry = self.entries.get(self._keys.state_of(last.path))
        if self._keys.config_of(last.path) not in self.entries:
            if entry is not None:
                self._problem(f"{last.path}: a result without a config")
        elif entry is not None and not last.unreadable:
            version = self._codec.state(entry.key, entry.value).version
            if version != last.version:
                self._problem(f"{last.path}: result of {version}, config of {last.version}")

    def _left_over(self) -> None:
        passing = (
            self._keys.jobs,
            f"{self._keys.worker}job_state/",
            self._own.jobs_prefix,
            self._own.failed_prefix,
            self._own.preempt_prefix,
            self._own.reports_prefix,
            self._own.retries_prefix,
            self._own.cancels_prefix,
        )
        for key in self.entries:
            if key.startswith(passing) or self._could_be_repaired(key):
                self._problem(f"{key} is left over")

    def _could_be_repaired(self, key: str) -> bool:
        """Of what failed to be planned the stack can't be made right yet."""
        path = self._keys.path_in(self._own.repairs_prefix, key)
        state = None if path is None else self.entries.get(self._keys.state_of(path))
        if path is None or state is None:
            return path is not None
        return not self._codec.state(state.key, state.value).error

    def _path(self, job_id: JobId) -> ResourcePath | None:
        schema = self._schemas.by_type(job_id.resource_type)
        return None if schema is None else schema.path_of(job_id.resource_id)


class _Step:
    """One revision's events, by what they mean for jobs."""

    def __init__(self, events: Sequence[Event], entries: Mapping[str, Entry], keys: Keys) -> None:
        self._before = {event.key: entries.get(event.key) for event in events}
        self._events = {event.key: event for event in events}
        self._keys = keys
        self._leader = keys.leader in entries
        self.claimed: list[JobId] = []
        self.finished: list[JobId] = []
        self.jobs: dict[JobId, None] = {}
        for event in events:
            self._sort(event)

    def _sort(self, event: Event) -> None:
        keys = self._keys
        for place in Place:
            job_id = _job_in(keys, keys.place_prefix(place), event.key)
            if job_id is not None:
                self.jobs[job_id] = None
                if place is Place.WORKING and event.entry is not None:
                    self.claimed.append(job_id)
                if place is Place.FINISHED and self._given_back(job_id, event):
                    self.finished.append(job_id)
        job_id = _job_in(keys, keys.all_jobs, event.key)
        if job_id is not None:
            self.jobs[job_id] = None

    def _given_back(self, job_id: JobId, finished: Event) -> bool:
        working = self._events.get(self._keys.place(Place.WORKING, job_id))
        return finished.entry is not None and working is not None and working.entry is None

    @property
    def led(self) -> bool:
        """Whether there was a leader before this revision."""
        return self._leader

    def was_there(self, key: str) -> bool:
        """Whether a key that this revision touches was there before it."""
        return self._before.get(key) is not None

    def before(self, key: str) -> Entry | None:
        """What stood at a key that this revision touches."""
        return self._before.get(key)

    def touches(self, key: str) -> bool:
        """Whether this revision changes a key."""
        return key in self._events

    def touches_below(self, prefix: str) -> bool:
        """Whether this revision changes a key below a prefix."""
        return any(key.startswith(prefix) for key in self._events)

    def expired(self, working: str) -> bool:
        """Whether this revision is the end of a lease, or a release, and took that reservation."""
        before = self._before.get(working)
        only_deletes = all(
            event.entry is None or event.entry.value.startswith(RELEASED.encode())
            for event in self._events.values()
        )
        return before is not None and before.lease != 0 and only_deletes


def _job_in(keys: Keys, prefix: str, key: str) -> JobId | None:
    try:
        return keys.job_id_in(prefix, key) if key.startswith(prefix) else None
    except GohanJobsError:
        return None
