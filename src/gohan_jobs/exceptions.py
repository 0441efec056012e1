"""Every error this library raises, under one root.

::

    GohanJobsError
    ├── InvalidKey                    a key that is no record's, or a part that can't stand in one
    ├── InvalidRecord                 a stored text that is not the record of its key
    ├── InvalidSchema                 Gohan's schemas can't be used
    ├── MappingError
    │   ├── MappingSyntaxError        a parameter mapping that is not in the language
    │   └── MappingEvaluationError    a mapping that can't be computed for this resource
    │       └── UnresolvedReference   ... because a resource it refers to is not there (yet)
    ├── TemplateError
    │   ├── TemplateRefused           a construct outside the allow-list
    │   ├── TemplateBudgetExceeded    too many iterations, or too much output
    │   └── TemplateInvalid           not Jinja, or its rendering failed
    ├── StoreError
    │   ├── Compacted                 the revision asked for is no longer in the history
    │   ├── StoreUnavailable          no answer; nothing was written; a repeat is safe
    │   ├── AmbiguousWrite            no answer, and reading could not tell whether it was applied
    │   ├── TransactionTooLarge       over the server's limits; nothing was sent
    │   ├── StoreFull                 the server's quota is used up
    │   ├── StoreRefused              credentials, permissions or certificates
    │   │   └── WrongCluster          another cluster answers than before
    │   ├── LeaseNotFound             expired or revoked
    │   └── StoreClosed               used after close
    ├── OrchestratorError             ``retryable`` tells whether the same call may succeed later
    │   ├── OrchestratorUnavailable   no answer, 503, reset, time-out
    │   ├── OrchestratorRefused       credentials or permissions
    │   ├── StackNotFound
    │   ├── StackExists
    │   ├── StackRejected             the request is wrong: template, parameters, quota
    │   └── StackFailed               the operation ended in ``*_FAILED``
    ├── HandlerUnavailable            a handler that is not there, or that can't be loaded
    ├── ClaimLost                     the job is no longer this worker's; it must write nothing more
    ├── NotLeader                     the leader's key is somebody else's
    ├── OperationRefused              what an operator asks for is not possible now
    ├── Degraded                      stopped on purpose until an operator has looked
    ├── UnsupportedFormat             the keyspace belongs to another release
    └── WaitTimeout                   ``Lifecycle.wait`` ran out of time
"""

from __future__ import annotations

from typing import Any, NamedTuple

__all__ = [
    "AmbiguousWrite",
    "ClaimLost",
    "Compacted",
    "Degraded",
    "GohanJobsError",
    "HandlerUnavailable",
    "InvalidKey",
    "InvalidRecord",
    "InvalidSchema",
    "LeaseNotFound",
    "MappingError",
    "MappingEvaluationError",
    "MappingSyntaxError",
    "NotLeader",
    "OperationRefused",
    "OrchestratorError",
    "OrchestratorRefused",
    "OrchestratorUnavailable",
    "Problem",
    "StackExists",
    "StackFailed",
    "StackNotFound",
    "StackRejected",
    "StoreClosed",
    "StoreError",
    "StoreFull",
    "StoreRefused",
    "StoreUnavailable",
    "TemplateBudgetExceeded",
    "TemplateError",
    "TemplateInvalid",
    "TemplateRefused",
    "TransactionTooLarge",
    "UnresolvedReference",
    "UnsupportedFormat",
    "WaitTimeout",
    "WrongCluster",
]


class Problem(NamedTuple):
    """One thing that is wrong with a document.

    Attributes:
        path: where, as ``$.body.id`` or ``$[1].params[0]``; ``$`` is the document itself.
        message: what was expected and what was found. Never holds a value of an opaque field.
    """

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.message} @ {self.path}"


class GohanJobsError(Exception):
    """The root of every error raised on purpose by this library."""


class InvalidKey(GohanJobsError):
    """A key that is no record's, or a part that can't stand in a key.

    Attributes:
        key: the key, or the part.
        reason: what is wrong with it.
    """

    def __init__(self, key: str, reason: str) -> None:
        super().__init__(key, reason)
        self.key = key
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.key!r}: {self.reason}"


class InvalidRecord(GohanJobsError):
    """A text that is not the record that belongs at its key.

    Attributes:
        key: the key the text was read from.
        problems: every problem found, with its path.
    """

    def __init__(self, key: str, problems: tuple[Problem, ...]) -> None:
        super().__init__(key, problems)
        self.key = key
        self.problems = problems

    def __str__(self) -> str:
        return f"{self.key}: " + "; ".join(map(str, self.problems))


class InvalidSchema(GohanJobsError):
    """Gohan's schemas can't be used.

    Attributes:
        source: file, URL or other name of what was read.
        problems: every problem found, with its path.
    """

    def __init__(self, source: str, problems: tuple[Problem, ...]) -> None:
        super().__init__(source, problems)
        self.source = source
        self.problems = problems

    def __str__(self) -> str:
        return f"schemas of {self.source}: " + "; ".join(map(str, self.problems))


class MappingError(GohanJobsError):
    """Something is wrong with a parameter mapping."""


class MappingSyntaxError(MappingError):
    """A mapping that is not in the language (``docs`` *The mapping language*).

    Attributes:
        form: the offending form, as text.
        reason: what is wrong with it.
        where: the template and param it was found in, once known.
        others: the other mappings of the same template that are wrong too.
    """

    def __init__(
        self, form: str, reason: str, where: str = "", others: tuple[MappingSyntaxError, ...] = ()
    ) -> None:
        super().__init__(form, reason, where, others)
        self.form = form
        self.reason = reason
        self.where = where
        self.others = others

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        return "; ".join([f"{place}mapping {self.form}: {self.reason}", *map(str, self.others)])


class MappingEvaluationError(MappingError):
    """A mapping that can't be computed for this resource.

    Attributes:
        resource: ``<type>:<id>`` of the resource whose params are computed.
        where: template, param and hop, as far as known.
        reason: what is wrong.
        others: the other params of the same resource that can't be computed either.
    """

    def __init__(
        self,
        resource: str,
        where: str,
        reason: str,
        others: tuple[MappingEvaluationError, ...] = (),
    ) -> None:
        super().__init__(resource, where, reason, others)
        self.resource = resource
        self.where = where
        self.reason = reason
        self.others = others

    def __str__(self) -> str:
        own = f"{self.resource}: {self.where}: {self.reason}"
        return "; ".join([own, *(f"{other.where}: {other.reason}" for other in self.others)])


class UnresolvedReference(MappingEvaluationError):
    """A hop whose resource is not there; held, then an error (``rules`` 5).

    Attributes:
        missing_type: type of the resource that is not there; ``""`` if the id field is absent.
        missing_id: its id; ``""`` if the id field is absent.
    """

    def __init__(
        self, resource: str, where: str, reason: str, missing_type: str = "", missing_id: str = ""
    ) -> None:
        super().__init__(resource, where, reason)
        self.args: tuple[Any, ...] = (resource, where, reason, missing_type, missing_id)
        self.missing_type = missing_type
        self.missing_id = missing_id


class TemplateError(GohanJobsError):
    """Something is wrong with a Heat template's Jinja.

    Attributes:
        template: the template's id.
        reason: what is wrong; never holds a parameter's value.
        line: line in the template file, 0 if unknown.
    """

    def __init__(self, template: str, reason: str, line: int = 0) -> None:
        super().__init__(template, reason, line)
        self.template = template
        self.reason = reason
        self.line = line

    def __str__(self) -> str:
        at = f" line {self.line}" if self.line else ""
        return f"template {self.template}{at}: {self.reason}"


class TemplateRefused(TemplateError):
    """A construct outside the allow-list (``rules`` 28)."""


class TemplateBudgetExceeded(TemplateError):
    """Too many iterations, or too much output (``rules`` 28)."""


class TemplateInvalid(TemplateError):
    """Not Jinja, or its rendering failed."""


class StoreError(GohanJobsError):
    """A store could not do what it was asked."""


class Compacted(StoreError):
    """The revision asked for is no longer in the history: read again and compare.

    Attributes:
        revision: the oldest revision that can still be asked for.
    """

    def __init__(self, revision: int) -> None:
        super().__init__(revision)
        self.revision = revision

    def __str__(self) -> str:
        return f"history before revision {self.revision} has been compacted"


class StoreUnavailable(StoreError):
    """No answer, and nothing was written: a repeat is safe."""


class AmbiguousWrite(StoreError):
    """A transaction's answer was lost and reading could not tell whether it was applied."""


class TransactionTooLarge(StoreError):
    """A transaction, or a value, is over the server's limits; nothing was sent.

    Attributes:
        key: the largest value's key; ``""`` if the number of operations is too large.
        size: bytes, or operations.
        limit: the limit that is exceeded, in the same unit; 0 if it is not known, since the server
            has smaller limits than etcd's own and does not tell them.
    """

    def __init__(self, key: str, size: int, limit: int = 0) -> None:
        super().__init__(key, size, limit)
        self.key = key
        self.size = size
        self.limit = limit

    def __str__(self) -> str:
        takes = self.limit or "less: its limit is smaller than etcd's default, and not known"
        if self.key:
            return f"{self.key}: {self.size} bytes, the store takes {takes}"
        return f"{self.size} operations in one transaction, the store takes {takes}"


class StoreFull(StoreError):
    """The server's quota is used up: compact, defragment, disarm the alarm."""


class StoreRefused(StoreError):
    """Credentials, permissions, certificates or the wrong cluster: a repeat will not help."""


class WrongCluster(StoreRefused):
    """Another cluster answers than the one worked on before (``rules`` 16).

    Attributes:
        found: id of the one that answers.
        expected: id of the one worked on.
    """

    def __init__(self, found: str, expected: str) -> None:
        super().__init__(found, expected)
        self.found = found
        self.expected = expected

    def __str__(self) -> str:
        return (
            f"cluster {self.found} answers, it was {self.expected} before: correct the address, "
            "or accept the move with 'gohan-jobs resume --accept --beforehand'"
        )


class LeaseNotFound(StoreError):
    """A lease that has expired, was revoked, or never was.

    Attributes:
        lease: its id.
    """

    def __init__(self, lease: int) -> None:
        super().__init__(lease)
        self.lease = lease

    def __str__(self) -> str:
        return f"lease {self.lease:x} does not exist (any more)"


class StoreClosed(StoreError):
    """A store or watch was used after it was closed."""


class OrchestratorError(GohanJobsError):
    """An orchestrator could not do what it was asked.

    Attributes:
        reason: the orchestrator's own words.
        retryable: whether the same call may succeed later.
    """

    retryable: bool = False

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return self.reason


class OrchestratorUnavailable(OrchestratorError):
    """No answer, 503, reset connection, time-out. The call may or may not have had an effect."""

    retryable = True


class OrchestratorRefused(OrchestratorError):
    """Credentials or permissions, after a new token has been tried."""


class StackNotFound(OrchestratorError):
    """The stack is not there."""


class StackExists(OrchestratorError):
    """A create whose name is taken: look the stack up and go on from what it is."""

    retryable = True


class StackRejected(OrchestratorError):
    """The request is wrong: template, parameters, or a quota (``retryable`` is then true).

    Attributes:
        kind: the orchestrator's name for the error, such as ``StackValidationFailed``.
    """

    def __init__(self, reason: str, kind: str = "", *, retryable: bool = False) -> None:
        super().__init__(reason)
        self.args: tuple[Any, ...] = (reason, kind)
        self.kind = kind
        self.retryable = retryable

    def __reduce__(self) -> tuple[object, ...]:
        return _rejected, (self.reason, self.kind, self.retryable)


def _rejected(reason: str, kind: str, retryable: bool) -> StackRejected:  # noqa: FBT001 - pickle
    return StackRejected(reason, kind, retryable=retryable)


class StackFailed(OrchestratorError):
    """A stack operation ended in ``*_FAILED``.

    Attributes:
        status: the stack's status.
        details: failed resources' reasons and the last events, a line each.
    """

    def __init__(self, reason: str, status: str, details: tuple[str, ...] = ()) -> None:
        super().__init__(reason)
        self.args: tuple[Any, ...] = (reason, status, details)
        self.status = status
        self.details = details

    def __str__(self) -> str:
        return "; ".join((self.reason, *self.details))


class HandlerUnavailable(GohanJobsError):
    """A handler is not there, or can't be loaded.

    Attributes:
        name: the handler's.
        source: who offers it, or where it was looked for.
        reason: what is wrong.
    """

    def __init__(self, name: str, source: str, reason: str) -> None:
        super().__init__(name, source, reason)
        self.name = name
        self.source = source
        self.reason = reason

    def __str__(self) -> str:
        return f"handler {self.name!r} of {self.source}: {self.reason}"


class ClaimLost(GohanJobsError):
    """The job is no longer this worker's: stop, and write nothing more.

    Attributes:
        job_id: the job.
        reason: how it was lost.
    """

    def __init__(self, job_id: str, reason: str) -> None:
        super().__init__(job_id, reason)
        self.job_id = job_id
        self.reason = reason

    def __str__(self) -> str:
        return f"claim of {self.job_id} lost: {self.reason}"


class NotLeader(GohanJobsError):
    """The leader's key is somebody else's: this process's job manager must stop writing."""


class OperationRefused(GohanJobsError):
    """What an operator asks for is not possible, at least not now; nothing was written.

    Attributes:
        subject: a resource, a job, or a key.
        reason: why.
    """

    def __init__(self, subject: str, reason: str) -> None:
        super().__init__(subject, reason)
        self.subject = subject
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.subject}: {self.reason}"


class Degraded(GohanJobsError):
    """Stopped on purpose until an operator has looked (``rules`` 16).

    Attributes:
        reason: what was found.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return self.reason


class UnsupportedFormat(GohanJobsError):
    """The keyspace was written by a release this one can't work beside (``rules`` 21).

    Or a dump is being loaded into it, or was in part: then the message says how to go on.

    Attributes:
        found: the format found under our own prefix.
        supported: the one this release writes.
    """

    def __init__(self, found: str, supported: str) -> None:
        super().__init__(found, supported)
        self.found = found
        self.supported = supported

    def __str__(self) -> str:
        if self.found == "loading":  # the mark of `operations.restoring`
            return (
                "the keyspace is half loaded: `gohan-jobs load FILE` with the same dump loads the "
                "rest, `gohan-jobs load FILE --undo` takes back what is there"
            )
        return f"keyspace format {self.found!r}; this release supports {self.supported!r}"


class WaitTimeout(GohanJobsError):
    """``Lifecycle.wait`` ran out of time.

    Attributes:
        resource: ``<type>:<id>``.
        version: the version waited for.
        seconds: how long.
    """

    def __init__(self, resource: str, version: int, seconds: float) -> None:
        super().__init__(resource, version, seconds)
        self.resource = resource
        self.version = version
        self.seconds = seconds

    def __str__(self) -> str:
        return f"{self.resource} version {self.version}: no result after {self.seconds:g} s"
