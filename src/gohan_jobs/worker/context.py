"""What a handler is given to work with."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping

from gohan_jobs.bookkeeping import JobNotes
from gohan_jobs.clock import Clock
from gohan_jobs.codec import Codec
from gohan_jobs.estate import digest_of
from gohan_jobs.events import Event, Events, JobProgressed
from gohan_jobs.handlers import JobContext, TemplateChanged
from gohan_jobs.keys import Keys
from gohan_jobs.records import Action, HeatStack, ResourceRef
from gohan_jobs.records.job import resource_noted
from gohan_jobs.redaction import Redactor
from gohan_jobs.schemas import Schemas
from gohan_jobs.stores.base import Entry, Get, Store, Transaction
from gohan_jobs.worker.claim import Claim
from gohan_jobs.worker.secrets import secrets_of

__all__ = ["Contexts", "TemplateChanged"]

_GETS = 64


class Contexts:
    """Makes the contexts of claims.

    Args:
        store: where everything is kept.
        codec: reads records.
        keys: where in the store.
        schemas: the types.
        clock: the time.
        events: told what handlers report.
        redactor: keeps secrets out of it.
    """

    def __init__(
        self,
        store: Store,
        *,
        codec: Codec,
        keys: Keys,
        schemas: Schemas,
        clock: Clock,
        events: Events,
        redactor: Redactor,
    ) -> None:
        self._store = store
        self._codec = codec
        self._keys = keys
        self._schemas = schemas
        self._clock = clock
        self._events = events
        self._redactor = redactor

    def of(self, claim: Claim) -> JobContext:
        """The context of a claim."""
        return JobContext(
            job=claim.job,
            attempt=claim.attempt,
            retries=claim.notes.retries,
            own_stack=claim.own_stack,
            claim=claim,
            read=self._store.get,
            stacks=functools.partial(self._stacks, claim),
            template=functools.partial(self._template, claim),
            report=functools.partial(self._report, claim),
            now=self._clock.now,
            tell=functools.partial(self._tell, claim),
        )

    def _tell(self, claim: Claim, kind: Callable[..., Event], **facts: object) -> None:
        self._events.emit(kind(job_id=claim.job_id, trace=claim.notes.trace, **facts))

    def _report(self, claim: Claim, message: str) -> None:
        text = self._redactor.scrub(message, secrets_of(claim, self._redactor))
        self._tell(claim, JobProgressed, message=text)

    def _template(self, claim: Claim) -> Entry | None:
        """The job's template, if it is still the one its params were computed from.

        Raises:
            TemplateChanged: it is not. A delete's params are never computed again, so a delete
                gets the template as it is.
        """
        notes = claim.notes
        if not notes.template_id:
            return None
        entry = self._store.get(self._keys.config_of(self._keys.template_path(notes.template_id)))
        if not self._is_known(entry, notes) and not Action(claim.job.action).deletes:
            raise TemplateChanged
        return entry

    def _is_known(self, entry: Entry | None, notes: JobNotes) -> bool:
        """Whether it is the template of the params, perhaps written again as it was."""
        if entry is None:
            return notes.template_revision == 0
        if entry.mod_revision == notes.template_revision:
            return True
        return bool(notes.template_digest) and (
            digest_of(self._codec, entry) == notes.template_digest
        )

    def _stacks(
        self, claim: Claim, resources: tuple[ResourceRef, ...]
    ) -> Mapping[ResourceRef, HeatStack | None]:
        """The stack records of resources, read in as few requests as fit."""
        found: dict[ResourceRef, HeatStack | None] = dict.fromkeys(resources)
        for start in range(0, len(resources), _GETS):
            for record in self._read_stacks(resources[start : start + _GETS]):
                if record.stack_id:
                    found[resource_noted(record.id)] = record
        claim.stacks_read.update(
            (resource, stack) for resource, stack in found.items() if stack is not None
        )
        return found

    def _read_stacks(self, resources: Iterable[ResourceRef]) -> Iterable[HeatStack]:
        gets = tuple(
            Get(self._keys.heat_stack_of(schema.path_of(ref.resource_id)))
            for ref in resources
            if (schema := self._schemas.by_type(ref.resource_type)) is not None
        )
        for entry in self._store.transact(Transaction((), gets)).results:
            if isinstance(entry, Entry):
                yield self._codec.heat_stack(entry.key, entry.value)
