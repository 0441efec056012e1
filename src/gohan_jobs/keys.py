"""Keys and job ids, parsed and built: the only place that joins or splits ``/`` and ``:``."""

from __future__ import annotations

import enum
import itertools
import re
from typing import NewType, Self

import attrs

from gohan_jobs.exceptions import InvalidKey

__all__ = ["JobId", "Keys", "ParsedKey", "Place", "RecordKind", "ResourcePath"]

ResourcePath = NewType("ResourcePath", str)
"""``v2.0/load_balancer_interfaces/<id>``: a schema's prefix and a resource's id."""

_NAME = r"[^:/\s\x00-\x1f\x7f\ud800-\udfff]+"
_PARTS = {
    "action": _NAME,
    "handler": _NAME,
    "resource type": _NAME,
    "resource id": _NAME,
    "version": "(?:0|[1-9][0-9]{0,18})",
    "suffix": "[a-z0-9]{5}",
}
_JOB_ID = re.compile(":".join(_PARTS.values()) + r"\Z")
_SURROGATE = re.compile("[\ud800-\udfff]")


@attrs.frozen(order=True)
class _JobIdParts:
    action: str
    handler: str
    resource_type: str
    resource_id: str
    version: int
    suffix: str


@attrs.frozen(order=True)
class JobId(_JobIdParts):
    """``<action>:<handler>:<resource_type>:<resource_id>:<version>:<suffix>``.

    Attributes:
        action: what is done, such as ``create``.
        handler: by whom, such as ``heat_worker``.
        resource_type: to a resource of which type.
        resource_id: to which.
        version: the config's version.
        suffix: five of ``[a-z0-9]``, at random, so that no id comes twice.

    Raises:
        InvalidKey: if a part can't stand in a job id.
    """

    # It stands in a dozen keys, and in as many dicts, for every job.
    _text: str = attrs.field(init=False, eq=False, repr=False)

    def __attrs_post_init__(self) -> None:
        text = (
            f"{self.action}:{self.handler}:{self.resource_type}:{self.resource_id}"
            f":{self.version}:{self.suffix}"
        )
        if not _JOB_ID.match(text):
            raise InvalidKey(text, _what_is_wrong(text))
        object.__setattr__(self, "_text", text)

    @classmethod
    def parse(cls, text: str) -> Self:
        """The id that a text spells.

        Raises:
            InvalidKey: naming what is wrong with it.
        """
        if not _JOB_ID.match(text):
            raise InvalidKey(text, _what_is_wrong(text))
        action, handler, resource_type, resource_id, version, suffix = text.split(":")
        # Every document names several ids: the check is not made a second time.
        made = cls.__new__(cls)
        _JobIdParts.__init__(
            made, action, handler, resource_type, resource_id, int(version), suffix
        )
        object.__setattr__(made, "_text", text)
        return made

    @property
    def job_name(self) -> str:
        """``<resource_type>:<resource_id>:<version>``."""
        return f"{self.resource_type}:{self.resource_id}:{self.version}"

    def __hash__(self) -> int:
        return hash(self._text)

    def __str__(self) -> str:
        return self._text


def _what_is_wrong(text: str) -> str:
    parts = text.split(":")
    if len(parts) != len(_PARTS):
        return f"a job id has {len(_PARTS)} parts, this has {len(parts)}"
    wrong = [
        name
        for (name, pattern), part in zip(_PARTS.items(), parts, strict=True)
        if not re.fullmatch(pattern, part)
    ]
    return f"its {' and '.join(wrong)} can't stand in a job id"


class Place(enum.StrEnum):
    """A job's place in the queue."""

    WAITING = "waiting"
    READY = "ready"
    WORKING = "working"
    FINISHED = "finished"


class RecordKind(enum.Enum):
    """Which record belongs at a key."""

    CONFIG = "config"
    PROCESSED = "processed"
    JOB = "job"
    HEAT_STACK = "heat_stack"
    JOB_STATE = "job_state"
    STATE = "state"
    MONITORING = "monitoring"


@attrs.frozen
class ParsedKey:
    """A record's key, taken apart.

    Attributes:
        kind: which record belongs there.
        path: the resource's path; ``""`` for a job.
        job_id: the job's id; None for other records.
    """

    kind: RecordKind
    path: ResourcePath = ResourcePath("")
    job_id: JobId | None = None


def _leader(_instance: object, _attribute: attrs.Attribute[str], value: str) -> None:
    if not value.startswith("/") or value.endswith("/"):
        raise InvalidKey(value, "leader must begin with '/' and not end with one")


def _below(_instance: object, _attribute: attrs.Attribute[str], value: str) -> None:
    if value.startswith("/") or not value.endswith("/") or len(value) == 1:
        raise InvalidKey(value, "templates must end with '/' and not begin with one")


def _prefix(_instance: object, attribute: attrs.Attribute[str], value: str) -> None:
    if not (value.startswith("/") and value.endswith("/") and len(value) > 1):
        raise InvalidKey(value, f"{attribute.name} must begin and end with '/'")


@attrs.frozen(kw_only=True)
class Keys:
    """Where everything is stored. Every prefix is configurable; each begins and ends with ``/``.

    No prefix may stand below another one: a watcher of the one would see the other's keys.

    Attributes:
        config: what Gohan writes.
        state: results that Gohan reads.
        monitoring: monitoring statuses that Gohan reads.
        jobs: the queue.
        worker: the workers' records.
        leader: the elected job manager's key.
        own: this library's bookkeeping (``rules`` 21).
        templates: path, below ``config``, of the heat_templates.

    Raises:
        InvalidKey: if a prefix can't be one.
    """

    config: str = attrs.field(default="/config/", validator=_prefix)
    state: str = attrs.field(default="/state/", validator=_prefix)
    monitoring: str = attrs.field(default="/monitoring/", validator=_prefix)
    jobs: str = attrs.field(default="/jobs/", validator=_prefix)
    worker: str = attrs.field(default="/esi-worker/", validator=_prefix)
    leader: str = attrs.field(default="/job_manager_id", validator=_leader)
    own: str = attrs.field(default="/gohan-jobs/", validator=_prefix)
    templates: str = attrs.field(default="v2.0/heat_templates/", validator=_below)
    _records: tuple[tuple[RecordKind, str], ...] = attrs.field(
        init=False,
        eq=False,
        repr=False,
        default=attrs.Factory(lambda keys: _record_prefixes(keys), takes_self=True),  # noqa: PLW0108 - defined below
    )

    def __attrs_post_init__(self) -> None:
        prefixes = (self.config, self.state, self.monitoring, self.jobs, self.worker, self.own)
        for prefix, other in itertools.permutations(prefixes, 2):
            if other.startswith(prefix):
                raise InvalidKey(other, f"stands below another prefix, {prefix!r}")

    def config_of(self, path: ResourcePath) -> str:
        """Key of a resource's ConfigRecord."""
        return self.config + path

    def processed_of(self, path: ResourcePath) -> str:
        """Key of a resource's ProcessedConfig."""
        return f"{self.worker}config/{path}"

    def heat_stack_of(self, path: ResourcePath) -> str:
        """Key of a resource's HeatStack."""
        return f"{self.worker}heat_stacks/{path}"

    def job_state_of(self, path: ResourcePath) -> str:
        """Key of a resource's JobState."""
        return f"{self.worker}job_state/{path}"

    def state_of(self, path: ResourcePath) -> str:
        """Key of a resource's StateRecord."""
        return self.state + path

    def monitoring_of(self, path: ResourcePath) -> str:
        """Key of a resource's MonitoringRecord."""
        return self.monitoring + path

    def job(self, job_id: JobId) -> str:
        """Key of a Job's document."""
        return f"{self.jobs}all/{job_id}"

    def place(self, place: Place, job_id: JobId) -> str:
        """Key of a job in one of the queue's places."""
        return f"{self.jobs}{place}/{job_id}"

    def place_prefix(self, place: Place) -> str:
        """Prefix of one of the queue's places."""
        return f"{self.jobs}{place}/"

    @property
    def processed_prefix(self) -> str:
        """Prefix of the ProcessedConfigs."""
        return f"{self.worker}config/"

    @property
    def heat_stack_prefix(self) -> str:
        """Prefix of the HeatStacks."""
        return f"{self.worker}heat_stacks/"

    @property
    def all_jobs(self) -> str:
        """Prefix of the job documents."""
        return f"{self.jobs}all/"

    def path_in(self, prefix: str, key: str) -> ResourcePath | None:
        """The resource path of a key below ``prefix``; None if there is none.

        A path is a schema's prefix and an id: at least two parts, none of them empty, and all of
        them characters (a lone surrogate can't be stored).
        """
        if not key.startswith(prefix) or _SURROGATE.search(key):
            return None
        parts = key[len(prefix) :].split("/")
        if len(parts) < 2 or not all(parts):  # noqa: PLR2004 - prefix and id
            return None
        return ResourcePath(key[len(prefix) :])

    def job_id_in(self, prefix: str, key: str) -> JobId:
        """The job id of a key below ``prefix``.

        Raises:
            InvalidKey: if what stands there is no job id.
        """
        try:
            return JobId.parse(key[len(prefix) :])
        except InvalidKey as error:
            raise InvalidKey(key, error.reason) from error

    def is_template(self, path: ResourcePath) -> bool:
        """Whether a path is a heat_template's."""
        return path.startswith(self.templates)

    def template_path(self, template_id: str) -> ResourcePath:
        """The path of a heat_template."""
        return ResourcePath(self.templates + template_id)

    def parse(self, key: str) -> ParsedKey:
        """Which record belongs at ``key``, and whose it is.

        Raises:
            InvalidKey: if it is no record's key. The queue's places, the leader's key and
                ``/worker-workflow-jobs`` are not records' keys.
        """
        kind, prefix = self._record_at(key)
        if kind is RecordKind.JOB:
            return ParsedKey(kind, job_id=self.job_id_in(prefix, key))
        path = self.path_in(prefix, key)
        if path is None:
            raise InvalidKey(key, "no resource's path below a record's prefix")
        return ParsedKey(kind, path)

    def kind(self, key: str) -> RecordKind:
        """Which record belongs at ``key``; faster than :meth:`parse`, a job's id is not looked at.

        Raises:
            InvalidKey: as :meth:`parse`, except for a job's id.
        """
        kind, prefix = self._record_at(key)
        if kind is not RecordKind.JOB and self.path_in(prefix, key) is None:
            raise InvalidKey(key, "no resource's path below a record's prefix")
        return kind

    def _record_at(self, key: str) -> tuple[RecordKind, str]:
        for kind, prefix in self._records:
            if key.startswith(prefix):
                return kind, prefix
        raise InvalidKey(key, "not a record's key")


def _record_prefixes(keys: Keys) -> tuple[tuple[RecordKind, str], ...]:
    return (
        (RecordKind.JOB, keys.all_jobs),
        (RecordKind.CONFIG, keys.config),
        (RecordKind.STATE, keys.state),
        (RecordKind.MONITORING, keys.monitoring),
        (RecordKind.PROCESSED, f"{keys.worker}config/"),
        (RecordKind.HEAT_STACK, f"{keys.worker}heat_stacks/"),
        (RecordKind.JOB_STATE, f"{keys.worker}job_state/"),
    )
