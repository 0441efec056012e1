"""What this library keeps for itself, all under one prefix (``rules`` 21).

=====================================  =========================================================
key below ``/gohan-jobs/``             value
=====================================  =========================================================
``format``                             the keyspace's format; another one refuses to start
``cluster``                            id of the cluster worked on (``rules`` 16)
``jobs/<job id>``                      :class:`JobNotes`: what the documented job has no room for
``failed/<job id>``                    :class:`Failure`: why a finished job failed
``preempt/<job id>``                   reason: the holder shall stop, and publish nothing
``degraded``                           why the leader has stopped, under its lease
``accept``                             an operator's acceptance of that, under a lease of its own;
                                       see :mod:`gohan_jobs.acceptance`
``leader``                             name of the process that leads, under its lease
``workers/<worker id>``                number of slots, under the worker's lease
``quarantine/<key>``                   :class:`Quarantined`: what can't be used
``orphans/<path>``                     :class:`Orphan`: a stack whose config is gone
``held/<path>``                        :class:`Held`: a config that is not planned yet, and why
``reports/<path>``                     a MonitoringRecord held until its version has a state
``repairs/<path>``                     :class:`Repair`: a stack changed by one that had no claim
``retries/<path>``                     :class:`RetryRequest`: an operator's, for the leader
``cancels/<job id>``                   :class:`CancelRequest`: likewise
=====================================  =========================================================
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, TypeVar

import attrs
import cattrs

from gohan_jobs.codec.strict_json import loads_json
from gohan_jobs.exceptions import InvalidRecord, Problem
from gohan_jobs.keys import JobId, Keys, ResourcePath

__all__ = [
    "CANCELLED",
    "FORMAT",
    "RELEASED",
    "SET_ASIDE",
    "Band",
    "Bookkeeping",
    "CancelRequest",
    "Failure",
    "Held",
    "JobNotes",
    "Orphan",
    "Quarantined",
    "Repair",
    "RetryRequest",
]

FORMAT = "1"
"""The format of the keyspace that this release writes."""


SET_ASIDE = "set aside"
"""In place of a time in :attr:`JobNotes.held_until`: held until the job's document changes."""


CANCELLED = "cancelled"
"""What the pre-emption of a job begins with that an operator wants to be ended."""

RELEASED = "released"
"""What the pre-emption of a job begins with whose claim an operator took from its holder."""


class Band:
    """How urgent a job is; fresh ones go first (``rules`` 25)."""

    FRESH = "fresh"
    RESYNC = "resync"


@attrs.frozen(kw_only=True)
class JobNotes:
    """Facts about a queued job that its documented record has no room for.

    Attributes:
        planned_at: time of day, ISO 8601, for display.
        path: the resource's path.
        tenant: whose job it is, for fairness.
        band: ``fresh`` or ``resync``.
        config_create: create revision of the config it was planned from; 0 for a one-step delete.
        config_mod: that config's mod revision.
        template_id: template of its params; ``""`` for none.
        template_revision: that template's mod revision (``rules`` 9).
        template_digest: of that template's body; another revision of the same body is no change.
        begun: whether it has been claimed before: its stack may exist, though no record says so.
        attempts: claims lost (``rules`` 17).
        retries: times the handler asked to try again.
        delay: seconds to wait before it may be ready (again), from when the leader sees it.
        last_error: why it was handed back last.
        held_until: ISO 8601; the leader cancels it then unless its failed dependency has recovered
            (``on_dependency_failure="hold"``).
        held_for: ``<type>:<id>`` of that dependency.
        trace: W3C trace context of the config version, for whoever traces.
        again: whether an operator asked for it although its version had a result: it publishes
            another one, however it ends (``rules`` 12).
    """

    planned_at: str
    path: str
    tenant: str = ""
    band: str = Band.FRESH
    config_create: int = 0
    config_mod: int = 0
    template_id: str = ""
    template_revision: int = 0
    template_digest: str = ""
    begun: bool = False
    attempts: int = 0
    retries: int = 0
    delay: float = 0.0
    last_error: str = ""
    held_until: str = ""
    held_for: str = ""
    trace: Mapping[str, str] = attrs.field(factory=dict)
    again: bool = False


@attrs.frozen(kw_only=True)
class Failure:
    """Why a finished job failed.

    Attributes:
        reason: as in ``/state``'s ``error``.
        cause: what let it down itself, after a hold: those that depend on it are told the same, and
            are held no longer, either; empty if it failed by itself.
    """

    reason: str
    cause: str = ""


@attrs.frozen(kw_only=True)
class Quarantined:
    """Something that can't be used, set aside until it changes (``rules`` 10).

    Attributes:
        key: where it stands.
        mod_revision: which version of it was looked at.
        reason: what is wrong with it.
        since: time of day, ISO 8601.
    """

    key: str
    mod_revision: int
    reason: str
    since: str


@attrs.frozen(kw_only=True)
class Orphan:
    """A stack whose config is gone and that nobody asked to delete (``rules`` 16).

    Attributes:
        path: the resource's path.
        reason: why it was kept.
        since: time of day, ISO 8601.
    """

    path: str
    reason: str
    since: str


@attrs.frozen(kw_only=True)
class Held:
    """A change that is not planned yet: it waits for a resource, or was vetoed (``rules`` 5).

    Attributes:
        config_mod: mod revision of the config when it was held first; 0: its key is gone, and it is
            the removal that is held.
        version: of the config; of the one processed last, for a removal.
        digest: of its body, so that one that is only written again, as Gohan does on a resync,
            goes on waiting (``rules`` 2); empty of what was vetoed.
        reason: why.
        missing: ``<type>:<id>`` of what it waits for; empty for a veto.
        since: time of day, ISO 8601: since when this version is held.
        until: ISO 8601; then its ``/state`` gets the error, or, after a veto, it is tried again.
        vetoed: whether :class:`~gohan_jobs.admission.Veto` holds it.
        tries: how often in a row the admission hook has failed.
    """

    config_mod: int
    version: int = 0
    digest: str = ""
    reason: str
    missing: str = ""
    since: str
    until: str
    vetoed: bool = False
    tries: int = 0


@attrs.frozen(kw_only=True)
class Repair:
    """A stack that a worker changed after its claim had ended: it stood still meanwhile.

    The stack may be of an older version now, or be there although it was deleted. The worker itself
    asks, as soon as it goes on; the leader has the stack made right (``rules`` 18). So it is with a
    stack whose config went while its job ran, since no record names it (``rules`` 15).

    Attributes:
        tenant: the stack's project.
        job: id of the job that the worker was at.
        dropped: whether the job's result was dropped, its config having gone without a mark, as
            far as the worker knows.
    """

    tenant: str
    job: str
    dropped: bool = False


@attrs.frozen(kw_only=True)
class RetryRequest:
    """An operator wants a config version to be carried out again (``rules`` 12).

    Attributes:
        version: of the config.
        config_mod: its mod revision: of any other config the request is void.
        by: who asks.
        since: time of day, ISO 8601.
    """

    version: int
    config_mod: int
    by: str = ""
    since: str = ""


@attrs.frozen(kw_only=True)
class CancelRequest:
    """An operator wants an unfinished job to be ended.

    Attributes:
        reason: what its version's ``/state`` shall say.
        by: who asks.
        since: time of day, ISO 8601.
    """

    reason: str
    by: str = ""
    since: str = ""


N = TypeVar("N", JobNotes, Failure, Held, Quarantined, Orphan, Repair, RetryRequest, CancelRequest)

_ACCEPTED: dict[type, tuple[type, ...]] = {
    str: (str,),
    bool: (bool,),
    int: (int,),
    float: (int, float),
}


def _structure_strictly(value: Any, kind: type) -> Any:
    """A JSON scalar of that kind: unlike cattrs' own, no text is read as a number."""
    if type(value) not in _ACCEPTED[kind]:
        raise TypeError(f"expected {kind.__name__}, found {type(value).__name__}")
    return kind(value)


def _make_converter() -> cattrs.Converter:
    converter = cattrs.Converter(omit_if_default=True, forbid_extra_keys=False)
    for kind in _ACCEPTED:
        converter.register_structure_hook(kind, _structure_strictly)
    return converter


_CONVERTER = _make_converter()


class Bookkeeping:
    """Keys and texts of our own.

    Args:
        keys: where everything is stored.
    """

    def __init__(self, keys: Keys) -> None:
        self._own = keys.own

    @property
    def prefix(self) -> str:
        """Prefix of all of it."""
        return self._own

    @property
    def format_key(self) -> str:
        """Key of the keyspace's format."""
        return f"{self._own}format"

    @property
    def cluster_key(self) -> str:
        """Key of the cluster's id (``rules`` 16)."""
        return f"{self._own}cluster"

    @property
    def degraded_key(self) -> str:
        """Key that says why the leader has stopped on purpose (``rules`` 16)."""
        return f"{self._own}degraded"

    @property
    def accept_key(self) -> str:
        """Key of an operator's acceptance of that."""
        return f"{self._own}accept"

    @property
    def leader(self) -> str:
        """Key of the name of the process that leads."""
        return f"{self._own}leader"

    @property
    def jobs_prefix(self) -> str:
        """Prefix of the notes on jobs."""
        return f"{self._own}jobs/"

    @property
    def failed_prefix(self) -> str:
        """Prefix of the failures."""
        return f"{self._own}failed/"

    @property
    def preempt_prefix(self) -> str:
        """Prefix of the pre-emptions."""
        return f"{self._own}preempt/"

    @property
    def workers_prefix(self) -> str:
        """Prefix of the workers."""
        return f"{self._own}workers/"

    @property
    def quarantine_prefix(self) -> str:
        """Prefix of what is set aside."""
        return f"{self._own}quarantine/"

    @property
    def orphans_prefix(self) -> str:
        """Prefix of the orphans."""
        return f"{self._own}orphans/"

    @property
    def held_prefix(self) -> str:
        """Prefix of the held configs."""
        return f"{self._own}held/"

    @property
    def reports_prefix(self) -> str:
        """Prefix of the held monitoring reports."""
        return f"{self._own}reports/"

    @property
    def repairs_prefix(self) -> str:
        """Prefix of the stacks to make right."""
        return f"{self._own}repairs/"

    @property
    def retries_prefix(self) -> str:
        """Prefix of the retries that operators ask for."""
        return f"{self._own}retries/"

    @property
    def cancels_prefix(self) -> str:
        """Prefix of the cancellations that operators ask for."""
        return f"{self._own}cancels/"

    def job(self, job_id: JobId) -> str:
        """Key of the notes on a job."""
        return f"{self.jobs_prefix}{job_id}"

    def failed(self, job_id: JobId) -> str:
        """Key of a finished job's failure."""
        return f"{self.failed_prefix}{job_id}"

    def preempt(self, job_id: JobId) -> str:
        """Key that tells a job's holder to end it."""
        return f"{self.preempt_prefix}{job_id}"

    def worker(self, worker_id: str) -> str:
        """Key of a worker's slots."""
        return f"{self.workers_prefix}{worker_id}"

    def quarantine(self, key: str) -> str:
        """Key under which another key is set aside."""
        return self.quarantine_prefix + key.removeprefix("/")

    def orphan(self, path: ResourcePath) -> str:
        """Key of an orphan."""
        return self.orphans_prefix + path

    def held(self, path: ResourcePath) -> str:
        """Key that says that a config is held."""
        return self.held_prefix + path

    def repair(self, path: ResourcePath) -> str:
        """Key of a stack to make right."""
        return self.repairs_prefix + path

    def report(self, path: ResourcePath) -> str:
        """Key of a held monitoring report."""
        return self.reports_prefix + path

    def retry(self, path: ResourcePath) -> str:
        """Key of a retry that an operator asks for."""
        return self.retries_prefix + path

    def cancel(self, job_id: JobId) -> str:
        """Key of a cancellation that an operator asks for."""
        return f"{self.cancels_prefix}{job_id}"

    @staticmethod
    def dumps(
        notes: JobNotes
        | Failure
        | Held
        | Quarantined
        | Orphan
        | Repair
        | RetryRequest
        | CancelRequest,
    ) -> bytes:
        """The stored text: compact JSON without what has its default."""
        return json.dumps(_CONVERTER.unstructure(notes), separators=(",", ":")).encode()

    @staticmethod
    def loads(key: str, text: bytes, kind: type[N]) -> N:
        """What was stored.

        Raises:
            InvalidRecord: if it is not what this or an older release of the same format writes.
        """
        value: Any = loads_json(key, text)
        try:
            return _CONVERTER.structure(value, kind)
        except Exception as error:
            raise InvalidRecord(key, (Problem("$", f"not {kind.__name__}"),)) from error
