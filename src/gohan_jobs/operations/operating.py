"""What an operator does to a running deployment: run again, end, take from a holder.

Retries and cancellations are requests under our own prefix that the leader carries out, so they
also work while there is none: the next one takes them up. Only a release is done here, at once.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from gohan_jobs.bookkeeping import CancelRequest, RetryRequest
from gohan_jobs.clock import Clock, SystemClock, time_text
from gohan_jobs.codec import Codec
from gohan_jobs.exceptions import InvalidRecord, OperationRefused, WaitTimeout
from gohan_jobs.inspection.inspector import Inspector
from gohan_jobs.inspection.queued import read, read_place
from gohan_jobs.keys import JobId, Place
from gohan_jobs.operations.claims import Claimant, Claims
from gohan_jobs.operations.requests import Requested, Requests
from gohan_jobs.operations.targets import Targets
from gohan_jobs.planning import HEAT_HANDLER
from gohan_jobs.queue import Queue
from gohan_jobs.records import Action, ResourceRef
from gohan_jobs.results import Result
from gohan_jobs.schemas import Schemas
from gohan_jobs.stores.base import Compare, Entry, Store, entries_below

__all__ = ["Claimant", "Operator", "Requested"]

_PAUSE = 0.2


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
        self._queue = queue
        self._keys = queue.keys
        self._own = queue.own
        self._by = by
        self._clock = clock or SystemClock()
        self._pause = pause
        self._inspector = Inspector(store, codec, queue, schemas)
        self._targets = Targets(store, codec, queue, schemas, self._inspector)
        self._requests = Requests(store, codec, queue, self._inspector, self._targets)
        self._claims = Claims(store, queue, by=by)

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
        path, entry, config = self._targets.retriable(resource)
        request = RetryRequest(
            version=config.version,
            config_mod=entry.mod_revision,
            by=self._by,
            since=time_text(self._clock),
        )
        return self._requests.ask(
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
        return self._targets.retriable(resource)[2].version

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
        self._targets.path(resource)
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
        return self._requests.ask(
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

    def result(self, requested: Requested) -> Result | None:
        """What a request has come to; None while it has not.

        :class:`~gohan_jobs.results.Superseded` if its version got no result any more: a later
        config has come, or the request was dropped, which the leader's log explains.
        """
        return self._requests.result(requested)

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
        return self._claims.holder(job_id)

    def release(self, holder: Claimant) -> None:
        """Take a job from its holder, who stops, and can't publish anything of it any more.

        To the leader it is a lost claim: it counts as one (``rules`` 17), and the job waits for
        the time of one request to Heat before another worker may have it (``rules`` 18).

        Args:
            holder: who has it, by :meth:`holder`; it is taken from nobody else.

        Raises:
            OperationRefused: it has given it back meanwhile.
        """
        self._claims.release(holder)


def _removes_stack(job_id: JobId) -> bool:
    deletes = job_id.action in {Action.LOGICAL_DELETE, Action.DELETE}
    return deletes and job_id.handler == HEAT_HANDLER
