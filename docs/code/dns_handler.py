"""A handler that keeps names in a DNS service: it looks before it acts."""

from __future__ import annotations

from typing import Protocol

import attrs

from gohan_jobs import Action, Done, GiveUp, JobContext, Later, RetryLater, StackOutput
from gohan_jobs.handlers import Outcome

REQUEST_TIMEOUT = 5.0
"""Seconds a call to the service may take."""


@attrs.frozen
class Name:
    """What the service stores: an address, and which job put it there."""

    address: str
    tag: str


class DnsService(Protocol):
    """The service's client; every call may raise ConnectionError."""

    def get(self, name: str) -> Name | None:
        """What is stored, None if nothing is."""
        ...

    def put(self, name: str, stored: Name) -> None:
        """Store it, or replace what is there."""
        ...

    def delete(self, name: str) -> None:
        """Remove it; no error if it is not there."""
        ...

    def is_served(self, name: str) -> bool:
        """Whether the name servers have it by now."""
        ...


class DnsHandler:
    """Creates, changes and removes a name."""

    def __init__(self, service: DnsService) -> None:
        self._service = service

    def __call__(self, context: JobContext) -> Outcome:
        """Begin, or begin again after a death."""
        try:
            if Action(context.job.action).deletes:
                return self._remove(context)
            return self._store(context)
        except ConnectionError as error:
            return RetryLater(after=30.0, reason=f"DNS service: {error}")

    def _remove(self, context: JobContext) -> Outcome:
        # A delete goes by the id: its params may be missing, since mapping errors never block it.
        name = context.job.resource_id
        if self._service.get(name) is not None:
            context.claim.guard(REQUEST_TIMEOUT)
            self._service.delete(name)
        return Done(outputs=())

    def _store(self, context: JobContext) -> Outcome:
        params = context.resolved_params()
        if not params["address"]:
            return GiveUp(reason="a name needs an address")
        name, wanted = context.job.resource_id, Name(params["address"], context.tag)
        if self._service.get(name) != wanted:
            context.claim.guard(REQUEST_TIMEOUT)
            self._service.put(name, wanted)
        return self._await(context)

    def _await(self, context: JobContext) -> Outcome:
        """Come back until it is served; meanwhile no thread is held."""
        if not self._service.is_served(context.job.resource_id):
            return Later(after=2.0, resume=self)
        served = f"{context.job.resource_id}.example.org"
        return Done(outputs=(StackOutput(output_key="fqdn", output_value=served),))
