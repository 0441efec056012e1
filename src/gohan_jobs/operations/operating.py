"""What an operator does to a running deployment: run again, end, take from a holder.

Retries and cancellations are requests under our own prefix that the leader carries out, so they
also work while there is none: the next one takes them up. Only a release is done here, at once.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import attrs

from gohan_jobs.bookkeeping import (
    RELEASED,
    CancelRequest,
    Held,
    JobNotes,
    Quarantined,
    RetryRequest,
)
from gohan_jobs.clock import Clock, SystemClock, time_text
from gohan_jobs.codec import Codec
from gohan_jobs.exceptions import (
    InvalidKey,
    InvalidRecord,
    OperationRefused,
    WaitTimeout,
)
from gohan_jobs.inspection.inspector import Inspector
from gohan_jobs.inspection.queued import read, read_place
from gohan_jobs.keys import JobId, Place, ResourcePath
from gohan_jobs.mapping.evaluation import same_json
from gohan_jobs.planning import HEAT_HANDLER, TEMPLATE_TYPE
from gohan_jobs.queue import Queue
from gohan_jobs.records import Action, ConfigRecord, ResourceRef
from gohan_jobs.results import Completed, Failed, Result, Superseded
from gohan_jobs.schemas import Schemas
from gohan_jobs.stores.base import (
    Compare,
    Delete,
    Entry,
    Put,
    Store,
    Transaction,
    entries_below,
    lease_left,
)

__all__ = ["Claimant", "Operator", "Requested"]

_PAUSE = 0.2


@attrs.frozen(kw_only=True)
class Requested:
    """A request that the leader will carry out.

    Attributes:
        request: ``retry`` or ``cancel``.
        resource: whose version it is about.
        version: of its config.
        key: of the request.
        revision: at which it was made.
        job_id: the job to end, for ``cancel``.
        already: whether it had been made before, and waits for a leader.
        led: whether somebody leads; else the next leader takes it up.
    """

    request: str
    resource: ResourceRef
    version: int
    key: str
    revision: int
    job_id: JobId | None = None
    already: bool = False
    led: bool = True


@attrs.frozen(kw_only=True)
class Claimant:
    """Who has a job.

    Attributes:
        job_id: the job.
        claim: the reservation's uuid.
        revision: at which it was made: what a release compares.
        lease: the lease's number in hexadecimal; empty for none, as other programs' claims have.
        worker: id of the worker under the same lease; empty if none is registered.
        remaining: seconds the lease still has, unless it is renewed; None if the store can't tell.
        planned_at: since when the job is in the queue, ISO 8601; claims have no time of their own.
        attempts: claims lost before this one.
    """

    job_id: JobId
    claim: str
    revision: int
    lease: str = ""
    worker: str = ""
    remaining: float | None = None
    planned_at: str = ""
    attempts: int = 0


class Operator:
    """Acts on a deployment; what is not possible is refused, and says why.

    Args:
        store: where everything is kept.
        codec: reads records.
        queue: knows the keys.
        schemas: the types.
        by: who acts; noted with each request.
        clock: the time.
        pause: waits a little, in :meth:`wait`; gets seconds.
    """

    def __init__(
        self,
        store: Store,
        codec: Codec,
        queue: Queue,
        schemas: Schemas,
        *,
        by: str = "",
        clock: Clock | None = None,
        pause: Callable[[float], object] = time.sleep,
    ) -> None:
        self._store = store
        self._codec = codec
        self._queue = queue
        self._keys = queue.keys
        self._own = queue.own
        self._schemas = schemas
        self._by = by
        self._clock = clock or SystemClock()
        self._pause = pause
        self._inspector = Inspector(store, codec, queue, schemas)

    # Run again.

    def retry(self, resource: ResourceRef) -> Requested:
        """Have the newest version of a resource carried out again, though it has its result.

        The leader plans it as if it were new, and it publishes another ``/state``, which Gohan may
        ignore: it takes the first one of a version (``rules`` 12). Those that were cancelled with
        it are not run again: ask for each.

        Raises:
            InvalidKey: no schema has that type.
            OperationRefused: it has no config, or one that is held or set aside, or not planned
                yet; or an unfinished job.
        """
        path, entry, config = self._retriable(resource)
        request = RetryRequest(
            version=config.version,
            config_mod=entry.mod_revision,
            by=self._by,
            since=time_text(self._clock),
        )
        return self._ask(
            Requested(
                request="retry",
                resource=resource,
                version=config.version,
                key=self._own.retry(path),
                revision=0,
            ),
            self._own.dumps(request),
            (Compare.unchanged(entry.key, entry.mod_revision),),
            lambda asked: self._asks_for(asked, entry.mod_revision),
        )

    def retriable(self, resource: ResourceRef) -> int:
        """The version that a retry would run; raises what :meth:`retry` would."""
        return self._retriable(resource)[2].version

    def _retriable(self, resource: ResourceRef) -> tuple[ResourcePath, Entry, ConfigRecord]:
        path = self._path(resource)
        entry, config = self._config(resource, path)
        self._check_rest(resource, path, entry, config)
        return path, entry, config

    def _path(self, resource: ResourceRef) -> ResourcePath:
        schema = self._schemas.by_type(resource.resource_type)
        if resource.resource_type == TEMPLATE_TYPE:
            raise OperationRefused(str(resource), "a heat_template has no jobs")
        if schema is None:
            raise InvalidKey(str(resource), "no schema has this type")
        return schema.path_of(resource.resource_id)

    def _config(self, resource: ResourceRef, path: ResourcePath) -> tuple[Entry, ConfigRecord]:
        entry = self._store.get(self._keys.config_of(path))
        if entry is None:
            raise OperationRefused(str(resource), f"there is no config at /{path}")
        try:
            return entry, self._codec.config(entry.key, entry.value)
        except InvalidRecord as error:
            raise OperationRefused(str(resource), f"its config can't be read: {error}") from None

    def _check_rest(
        self, resource: ResourceRef, path: ResourcePath, entry: Entry, config: ConfigRecord
    ) -> None:
        """Refuse unless the config has been dealt with, and nothing is under way."""
        for reason in self._hindrances(resource, path, entry, config):
            raise OperationRefused(str(resource), reason)

    def _hindrances(
        self, resource: ResourceRef, path: ResourcePath, entry: Entry, config: ConfigRecord
    ) -> Iterator[str]:
        aside = self._store.get(self._own.quarantine(entry.key))
        if aside is not None:
            found = self._own.loads(aside.key, aside.value, Quarantined)
            if found.mod_revision == entry.mod_revision:
                yield f"its config is set aside: {found.reason}"
        held = self._store.get(self._own.held(path))
        if held is not None:
            reason = self._own.loads(held.key, held.value, Held).reason
            yield f"its config is held, so it is not planned yet: {reason}"
        jobs = self._inspector.job_ids(resource)
        if jobs:
            yield f"it has an unfinished job: {jobs[0]}"
        if not self._is_processed(path, config):
            yield f"version {config.version} is not planned yet: does a job manager run?"

    def _is_processed(self, path: ResourcePath, config: ConfigRecord) -> bool:
        entry = self._store.get(self._keys.processed_of(path))
        if entry is None:
            return False
        try:
            found = self._codec.processed(entry.key, entry.value)
        except InvalidRecord:
            return False
        same = (found.version, found.deleted) == (config.version, config.deleting)
        return same and same_json(found.body, config.body)

    def _asks_for(self, asked: Entry, config_mod: int) -> bool:
        """Whether a request that is there already is for this config."""
        try:
            found = self._own.loads(asked.key, asked.value, RetryRequest)
        except InvalidRecord:
            return False
        return found.config_mod == config_mod

    # End.

    def job_of(self, resource: ResourceRef) -> JobId:
        """The job to end so that a resource's unfinished version ends.

        Raises:
            InvalidKey: no schema has that type.
            OperationRefused: it has no unfinished job, or those of several versions.
        """
        self._path(resource)
        jobs = self._inspector.job_ids(resource)
        if not jobs:
            raise OperationRefused(str(resource), "it has no unfinished job")
        if len({job_id.version for job_id in jobs}) > 1:
            names = ", ".join(map(str, jobs))
            raise OperationRefused(str(resource), f"name one of its unfinished jobs: {names}")
        return jobs[0]

    def dependants(self, job_id: JobId) -> tuple[JobId, ...]:
        """The unfinished jobs of other resources that wait for one, and may be let down by it."""
        found: list[JobId] = []
        for entry in entries_below(self._store, self._keys.all_jobs):
            job = read(self._queue.read_job, entry)
            if job is None:
                continue
            other = (job.resource_type, job.resource_id)
            if job_id in job.dependency and other != (job_id.resource_type, job_id.resource_id):
                found.append(job.id)
        return tuple(found)

    def cancellable(self, job_id: JobId) -> None:
        """See that a job can be ended; raises what :meth:`cancel` would."""
        self._cancellable(job_id)

    def cancel(self, job_id: JobId, reason: str = "") -> Requested:
        """Have an unfinished job ended: its version's ``/state`` then says ``cancelled: …``.

        A job that runs is ended by its holder, as soon as its handler looks up; what it began in
        Heat stays as it is. What depends on it fails or is held, as after any failure
        (``rules`` 14). One that waits for an older version's job is ended after that one, whose
        result comes first (``rules`` 12): cancel that one, too, if it is not to run on.

        Raises:
            OperationRefused: there is no such job, it is finished, or it is a delete that runs.
        """
        document = self._cancellable(job_id)
        request = CancelRequest(
            reason=reason or (f"by {self._by}" if self._by else "by an operator"),
            by=self._by,
            since=time_text(self._clock),
        )
        return self._ask(
            Requested(
                request="cancel",
                resource=ResourceRef(job_id.resource_type, job_id.resource_id),
                version=job_id.version,
                key=self._own.cancel(job_id),
                revision=0,
                job_id=job_id,
            ),
            self._own.dumps(request),
            (Compare.created_at(document.key, document.create_revision),),
            lambda _: True,
        )

    def _cancellable(self, job_id: JobId) -> Entry:
        document = self._store.get(self._keys.job(job_id))
        if document is None:
            raise OperationRefused(str(job_id), "there is no such unfinished job")
        place, _ = read_place(self._store, self._queue, job_id)
        if place is Place.FINISHED:
            raise OperationRefused(str(job_id), "it is finished")
        if place is Place.WORKING and _removes_stack(job_id):
            raise OperationRefused(
                str(job_id), "a delete that has begun runs to its end: Heat may be at it"
            )
        return document

    # Requests.

    def _ask(
        self,
        wanted: Requested,
        text: bytes,
        compares: tuple[Compare, ...],
        is_same: Callable[[Entry], bool],
    ) -> Requested:
        """Write a request, unless the same one is there; one that is void is replaced."""
        wanted = attrs.evolve(wanted, led=self._store.get(self._keys.leader) is not None)
        there = self._store.get(wanted.key)
        if there is not None and is_same(there):
            return attrs.evolve(wanted, revision=there.mod_revision, already=True)
        known = 0 if there is None else there.mod_revision
        result = self._store.transact(
            Transaction((*compares, Compare.unchanged(wanted.key, known)), (Put(wanted.key, text),))
        )
        if not result.succeeded:
            raise OperationRefused(str(wanted.resource), "it has changed meanwhile: look again")
        return attrs.evolve(wanted, revision=result.revision)

    def result(self, requested: Requested) -> Result | None:
        """What a request has come to; None while it has not.

        :class:`~gohan_jobs.results.Superseded` if its version got no result any more: a later
        config has come, or the request was dropped, which the leader's log explains.
        """
        entry = self._store.get(requested.key)
        if entry is not None and entry.mod_revision == requested.revision:
            return None
        told = self._told_since(requested)
        if told is not None:
            return told
        if self._inspector.has_job(requested.resource, requested.version):
            return None
        return self._told_since(requested) or Superseded(self._newer(requested))

    def _told_since(self, requested: Requested) -> Result | None:
        entry = self._store.get(self._keys.state_of(self._path(requested.resource)))
        if entry is None or entry.mod_revision <= requested.revision:
            return None
        state = self._codec.state(entry.key, entry.value)
        if state.version != requested.version:
            return None
        return Failed(state) if state.error else Completed(state)

    def _newer(self, requested: Requested) -> int | None:
        try:
            _, config = self._config(requested.resource, self._path(requested.resource))
        except OperationRefused:
            return None
        return None if config.version == requested.version else config.version

    def wait(self, requested: Requested, timeout: float) -> Result:
        """Wait for what a request comes to.

        Args:
            requested: by :meth:`retry` or :meth:`cancel`.
            timeout: seconds of the clock.

        Raises:
            WaitTimeout: nothing in time.
        """
        deadline = self._clock.now() + timeout
        while (result := self.result(requested)) is None:
            if self._clock.now() >= deadline:
                raise WaitTimeout(str(requested.resource), requested.version, timeout)
            self._pause(_PAUSE)
        return result

    # Take away.

    def holder(self, job_id: JobId) -> Claimant:
        """Who has a job.

        Raises:
            OperationRefused: there is no such job, or nobody has it.
        """
        place, entry = read_place(self._store, self._queue, job_id)
        if place is not Place.WORKING or entry is None:
            if self._store.get(self._keys.job(job_id)) is None:
                raise OperationRefused(str(job_id), "there is no such unfinished job")
            raise OperationRefused(str(job_id), f"nobody has it: it is {place or 'nowhere'}")
        own = self._own
        noted = self._store.get(own.job(job_id))
        notes = read(lambda e: own.loads(e.key, e.value, JobNotes), noted)
        return Claimant(
            job_id=job_id,
            claim=entry.value.decode(errors="replace"),
            revision=entry.create_revision,
            lease=f"{entry.lease:x}" if entry.lease else "",
            worker=self._worker(entry.lease),
            remaining=lease_left(self._store, entry.lease),
            planned_at="" if notes is None else notes.planned_at,
            attempts=0 if notes is None else notes.attempts,
        )

    def _worker(self, lease: int) -> str:
        workers = entries_below(self._store, self._own.workers_prefix) if lease else ()
        keys = (entry.key for entry in workers if entry.lease == lease)
        return next(keys, "").removeprefix(self._own.workers_prefix)

    def release(self, holder: Claimant) -> None:
        """Take a job from its holder, who stops, and can't publish anything of it any more.

        To the leader it is a lost claim: it counts as one (``rules`` 17), and the job waits for
        the time of one request to Heat before another worker may have it (``rules`` 18).

        Args:
            holder: who has it, by :meth:`holder`; it is taken from nobody else.

        Raises:
            OperationRefused: it has given it back meanwhile.
        """
        working = self._keys.place(Place.WORKING, holder.job_id)
        mine = Compare.created_at(working, holder.revision)
        preempt = self._own.preempt(holder.job_id)
        told = Put(preempt, f"{RELEASED} by {self._by or 'an operator'}".encode())
        for compares, puts in (((mine, Compare.absent(preempt)), (told,)), ((mine,), ())):
            # Else it has been told to stop already, for another reason, which stands.
            if self._store.transact(Transaction(compares, (Delete(working), *puts))).succeeded:
                return
        raise OperationRefused(str(holder.job_id), "it has been given back meanwhile")


def _removes_stack(job_id: JobId) -> bool:
    deletes = job_id.action in {Action.LOGICAL_DELETE, Action.DELETE}
    return deletes and job_id.handler == HEAT_HANDLER
