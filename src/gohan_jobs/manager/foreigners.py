"""Jobs that another program has queued: they get the notes that they lack."""

from __future__ import annotations

import attrs

from gohan_jobs.bookkeeping import Band, JobNotes
from gohan_jobs.keys import JobId, Place, ResourcePath
from gohan_jobs.manager.desk import Desk
from gohan_jobs.records import Job
from gohan_jobs.stores.base import Compare, Entry, Put, Transaction

__all__ = ["Foreigners"]


class Foreigners:
    """Takes in what the system before this one has left in the queue.

    Args:
        desk: what is known, and how to write.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def notes(self, path: ResourcePath) -> JobNotes:
        """What can be said of a job without having read it."""
        config = self._desk.estate.config_entry(path)
        return JobNotes(
            planned_at=self._desk.now_text(),
            path=path,
            band=Band.RESYNC,
            config_create=config.create_revision if config is not None else 0,
            config_mod=config.mod_revision if config is not None else 0,
        )

    def completed(self, job: Job, notes: JobNotes) -> JobNotes:
        """Notes with what its document says.

        Nobody knows which version of its template its params were computed from, so they are
        computed again before it runs (``rules`` 9).
        """
        tenant = job.resource_input.get("tenant_id")
        return attrs.evolve(
            notes,
            tenant=tenant if isinstance(tenant, str) else "",
            template_id=self._template(job),
        )

    def note(self, job_id: JobId, notes: JobNotes, noted: Entry | None) -> None:
        """Write the notes on a job, for the worker that claims it, in place of broken ones."""
        own = self._desk.queue.own
        key = own.job(job_id)
        unchanged = Compare.unchanged(key, 0 if noted is None else noted.mod_revision)
        self._desk.commit(Transaction((unchanged,), (Put(key, own.dumps(notes)),)))
        self._desk.pardon(key)

    def _template(self, job: Job) -> str:
        """The template that a job needs, as its schema says; empty if none can be told."""
        desk = self._desk
        return desk.schemas.template_of(
            job.resource, job.handler, job.resource_input, job.version, desk.estate.body
        )

    def tidy(self, job_id: JobId, older: tuple[Place, Entry], newer: tuple[Place, Entry]) -> None:
        """Of two places of a job, which a dying worker could leave, only the later one counts."""
        old, new = ((place, entry.mod_revision) for place, entry in (older, newer))
        self._desk.commit(self._desk.queue.tidy(job_id, old, new))
