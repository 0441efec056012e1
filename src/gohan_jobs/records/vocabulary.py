"""The closed vocabularies of the wire, one enum each, members named for what they mean.

The other side may grow (a new Heat status must not stop a reader), so fields are typed
``Enum | str``: a string never seen before stays the string it was.
"""

from __future__ import annotations

import enum

__all__ = [
    "Action",
    "MonitoringStatus",
    "OnFailure",
    "OrchestrationState",
    "ParamType",
    "StackStatus",
    "WorkerState",
]


class Action(enum.StrEnum):
    """What a job does to its resource (``seed 1``, point 2)."""

    CREATE = "create"
    MODIFY = "modify"
    LOGICAL_DELETE = "logical_delete"
    DELETE = "delete"

    @property
    def deletes(self) -> bool:
        """Whether the resource's stack is gone afterwards."""
        return self in {Action.LOGICAL_DELETE, Action.DELETE}


class OnFailure(enum.StrEnum):
    """What a job's failure does to those that wait for it."""

    FAIL = "fail"
    IGNORE = "ignore"


class ParamType(enum.StrEnum):
    """What a param's ``value`` is."""

    VALUE = "value"
    OUTPUT_KEY = "output_key"
    LIST = "list"


class StackStatus(enum.StrEnum):
    """Heat's ``<action>_<status>`` (``Heat API v1``)."""

    CREATE_IN_PROGRESS = "CREATE_IN_PROGRESS"
    CREATE_COMPLETE = "CREATE_COMPLETE"
    CREATE_FAILED = "CREATE_FAILED"
    UPDATE_IN_PROGRESS = "UPDATE_IN_PROGRESS"
    UPDATE_COMPLETE = "UPDATE_COMPLETE"
    UPDATE_FAILED = "UPDATE_FAILED"
    DELETE_IN_PROGRESS = "DELETE_IN_PROGRESS"
    DELETE_COMPLETE = "DELETE_COMPLETE"
    DELETE_FAILED = "DELETE_FAILED"


class OrchestrationState(enum.StrEnum):
    """How a job's orchestration ended, in Heat's words for success (``seed 1``, point 4)."""

    CREATED = "CREATE_COMPLETE"
    UPDATED = "UPDATE_COMPLETE"
    DELETED = "DELETE_COMPLETE"
    CREATE_ERROR = "CREATE_ERROR"
    MODIFY_ERROR = "MODIFY_ERROR"
    DELETE_ERROR = "DELETE_ERROR"


class WorkerState(enum.StrEnum):
    """How a config version ended, in the worker's words (``seed 1``, point 5)."""

    READ = "READ_COMPLETE"
    CREATED = "CREATE_COMPLETED"
    MODIFIED = "MODIFY_COMPLETED"
    DELETED = "DELETE_COMPLETED"
    READ_ERROR = "READ_ERROR"
    CREATE_ERROR = "CREATE_ERROR"
    MODIFY_ERROR = "MODIFY_ERROR"
    DELETE_ERROR = "DELETE_ERROR"


class MonitoringStatus(enum.StrEnum):
    """What a monitoring agent says of a resource (``seed 1``, point 6)."""

    UP = "UP"
    DOWN = "DOWN"
    FAIL = "FAIL"
