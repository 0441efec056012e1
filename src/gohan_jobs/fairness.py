"""Whose job is next: fresh ones before a resync's, and tenants in turn (``rules`` 25)."""

from __future__ import annotations

import itertools
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from typing import TypeAlias

from gohan_jobs.bookkeeping import Band
from gohan_jobs.keys import JobId

__all__ = ["FairQueue"]

_Line: TypeAlias = Iterable[tuple[str, Iterator[JobId]]]


class FairQueue:
    """Jobs in bands; in a band each tenant's in the order they came, tenants in turn.

    A tenant's first job is chosen within one round, however many the others have. Choosing costs
    what is chosen, however many wait.
    """

    def __init__(self) -> None:
        self._bands = {Band.FRESH: _Turns(), Band.RESYNC: _Turns()}
        self._members: dict[JobId, tuple[str, str]] = {}

    def __len__(self) -> int:
        return len(self._members)

    def __contains__(self, job_id: object) -> bool:
        return job_id in self._members

    def add(self, job_id: JobId, band: str, tenant: str) -> None:
        """Take in a job; one of a band that nobody knows comes with the resync's."""
        where = (band if band in self._bands else Band.RESYNC), tenant
        if self._members.get(job_id) != where:
            self.discard(job_id)
            self._bands[where[0]].add(tenant, job_id)
            self._members[job_id] = where

    def discard(self, job_id: JobId) -> None:
        """Forget a job."""
        where = self._members.pop(job_id, None)
        if where is not None:
            band, tenant = where
            self._bands[band].discard(tenant, job_id)

    def first(self, number: int) -> list[JobId]:
        """The first so many, one of each tenant in turn; the next call goes on where it ended.

        They stay until they are discarded.
        """
        chosen: list[JobId] = []
        for turns in self._bands.values():
            chosen += turns.first(number - len(chosen))
        return chosen


class _Turns:
    """The tenants of one band, whose turn it is first, and each one's jobs."""

    def __init__(self) -> None:
        self._tenants: OrderedDict[str, dict[JobId, None]] = OrderedDict()

    def add(self, tenant: str, job_id: JobId) -> None:
        """Take in a tenant's job; a tenant that had none comes last."""
        self._tenants.setdefault(tenant, {})[job_id] = None

    def discard(self, tenant: str, job_id: JobId) -> None:
        """Forget a tenant's job."""
        del self._tenants[tenant][job_id]
        if not self._tenants[tenant]:
            del self._tenants[tenant]

    def first(self, number: int) -> list[JobId]:
        """The first so many; whoever was served goes to the end of the line."""
        chosen = list(itertools.islice(self._in_turn(), number))
        for tenant, _ in chosen:
            self._tenants.move_to_end(tenant)
        return [job_id for _, job_id in chosen]

    def _in_turn(self) -> Iterator[tuple[str, JobId]]:
        """All jobs, one of each tenant in turn; no tenant is looked at before its turn."""
        line: _Line = ((tenant, iter(jobs)) for tenant, jobs in self._tenants.items())
        while line:
            again: list[tuple[str, Iterator[JobId]]] = []
            for tenant, queue in line:
                job_id = next(queue, None)
                if job_id is not None:
                    yield tenant, job_id
                    again.append((tenant, queue))
            line = again
