"""Requests to the leader under our own prefix, and what has come of them."""

from __future__ import annotations

from collections.abc import Callable

import attrs

from gohan_jobs.codec import Codec
from gohan_jobs.exceptions import OperationRefused
from gohan_jobs.inspection.inspector import Inspector
from gohan_jobs.keys import JobId
from gohan_jobs.operations.targets import Targets
from gohan_jobs.queue import Queue
from gohan_jobs.records import ResourceRef
from gohan_jobs.results import Completed, Failed, Result, Superseded
from gohan_jobs.stores.base import Compare, Entry, Put, Store, Transaction

__all__ = ["Requested", "Requests"]


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


class Requests:
    """Makes requests, and follows them.

    Args:
        store: where everything is kept.
        codec: reads records.
        queue: knows the keys.
        inspector: tells which jobs are unfinished.
        targets: finds configs.
    """

    def __init__(
        self,
        store: Store,
        codec: Codec,
        queue: Queue,
        inspector: Inspector,
        targets: Targets,
    ) -> None:
        self._store = store
        self._codec = codec
        self._keys = queue.keys
        self._inspector = inspector
        self._targets = targets

    def ask(
        self,
        wanted: Requested,
        text: bytes,
        compares: tuple[Compare, ...],
        is_same: Callable[[Entry], bool],
    ) -> Requested:
        """Write a request, unless the same one is there; one that is void is replaced.

        Args:
            wanted: what is asked for.
            text: of the request.
            compares: what must still hold.
            is_same: whether what is there already asks for the same.

        Raises:
            OperationRefused: something has changed meanwhile.
        """
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
        entry = self._store.get(self._keys.state_of(self._targets.path(requested.resource)))
        if entry is None or entry.mod_revision <= requested.revision:
            return None
        state = self._codec.state(entry.key, entry.value)
        if state.version != requested.version:
            return None
        return Failed(state) if state.error else Completed(state)

    def _newer(self, requested: Requested) -> int | None:
        try:
            _, config = self._targets.config(
                requested.resource, self._targets.path(requested.resource)
            )
        except OperationRefused:
            return None
        return None if config.version == requested.version else config.version
