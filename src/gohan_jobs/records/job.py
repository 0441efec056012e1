"""Point 2: a unit of work, and the params it works with."""

from __future__ import annotations

from typing import Any, Self

import attrs

from gohan_jobs.keys import JobId
from gohan_jobs.records.unknown import UnknownField, by_name
from gohan_jobs.records.vocabulary import Action, OnFailure, ParamType

__all__ = ["Job", "Param", "ResourceRef", "resource_noted"]

_ACTIONS = frozenset(action.value for action in Action)


@attrs.frozen(order=True)
class ResourceRef:
    """A resource: its type's name, as the schema has it, and its id.

    Attributes:
        resource_type: the type's name.
        resource_id: its id.
        unknown: fields this release does not know; they make it no other resource.
    """

    resource_type: str
    resource_id: str
    unknown: tuple[UnknownField, ...] = attrs.field(default=(), kw_only=True, eq=False, repr=False)

    def __str__(self) -> str:
        return f"{self.resource_type}:{self.resource_id}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """The resource that a text spells, as :class:`str` of one does.

        Args:
            text: ``<type>:<id>``, as stack records (``seed 1``, point 3) and notes on jobs have it;
                the id may have colons.

        Raises:
            ValueError: the text has no colon, or nothing before or after it.
        """
        resource_type, _, resource_id = text.partition(":")
        if not (resource_type and resource_id):
            raise ValueError(f"expected <type>:<id>, found {text!r}")
        return cls(resource_type, resource_id)


def resource_noted(text: str) -> ResourceRef:
    """The resource that a stored text names, whoever wrote it: what has no colon is a type.

    A note may name a type alone, and what is stored may be wrong, which is no reason to fail.
    """
    resource_type, _, resource_id = text.partition(":")
    return ResourceRef(resource_type, resource_id)


@attrs.frozen(kw_only=True)
class Param:
    """A computed parameter of a job (``seed 1``, point 2).

    Attributes:
        param: its name.
        type: what ``value`` is.
        value: for ``VALUE`` any JSON; for ``OUTPUT_KEY`` an object with ``output_key``,
            ``resource_type`` and ``resource_id``, the output of another resource's stack; for
            ``LIST`` a tuple of params. Not shown in a repr, since it may be a password.
        resources: the resources it was computed from, in the order visited, repeats kept.
        unknown: fields this release does not know.
    """

    param: str
    type: ParamType | str
    value: Any = attrs.field(repr=False)
    resources: tuple[ResourceRef, ...] = ()
    unknown: tuple[UnknownField, ...] = attrs.field(default=(), eq=by_name)


def _from_id(name: str) -> Any:
    return attrs.Factory(lambda job: getattr(job.id, name), takes_self=True)


def _action(job_id: JobId) -> Action | str:
    return Action(job_id.action) if job_id.action in _ACTIONS else job_id.action


@attrs.frozen(kw_only=True)
class Job:
    """One unit of work for one handler, at ``/jobs/all/<job id>`` (``seed 1``, point 2).

    Attributes:
        id: the job's id.
        params: the computed parameters, in the order of the template's ``parameter_mappings``.
        dependency: ids of the jobs it waits for, once each; the order means nothing.
        is_first: whether it begins its config version's workflow.
        is_last: whether it ends it; only then ``/state`` is written on success.
        on_failure: what its failure does to those that wait for it.
        resource_input: the config's body; opaque, not shown in a repr.
        number: the wrapper's third item, always 0 in recordings.
        resource_id: as in ``id``, which this and the next five are taken from unless given; a
            document's own values are kept as they were read.
        handler: as in ``id``.
        job_name: as in ``id``.
        version: as in ``id``.
        resource_type: as in ``id``.
        action: as in ``id``.
        unknown: fields this release does not know.
    """

    id: JobId
    params: tuple[Param, ...] = ()
    dependency: tuple[JobId, ...] = ()
    is_first: bool = True
    is_last: bool = True
    on_failure: OnFailure | str = OnFailure.FAIL
    resource_input: dict[str, Any] = attrs.field(repr=False, factory=dict)
    resource_id: str = attrs.field(default=_from_id("resource_id"), repr=False)
    handler: str = attrs.field(default=_from_id("handler"), repr=False)
    job_name: str = attrs.field(default=_from_id("job_name"), repr=False)
    version: int = attrs.field(default=_from_id("version"), repr=False)
    resource_type: str = attrs.field(default=_from_id("resource_type"), repr=False)
    action: Action | str = attrs.field(
        default=attrs.Factory(lambda job: _action(job.id), takes_self=True), repr=False
    )
    number: int = attrs.field(default=0, repr=False)
    unknown: tuple[UnknownField, ...] = attrs.field(default=(), eq=by_name, repr=False)

    @property
    def resource(self) -> ResourceRef:
        """The resource it works on."""
        return ResourceRef(self.resource_type, self.resource_id)

    @property
    def references(self) -> frozenset[ResourceRef]:
        """The other resources its params were computed from."""
        found = {ref for param in self.params for ref in param.resources}
        return frozenset(found - {self.resource})
