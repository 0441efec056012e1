"""Point 6: what a monitoring agent says of the running resource."""

from __future__ import annotations

from typing import Any

import attrs

from gohan_jobs.records.vocabulary import MonitoringStatus

__all__ = ["MonitoringRecord"]


def _words(statuses: dict[str, MonitoringStatus | str | dict[str, Any]]) -> str:
    return repr({name: "{…}" if isinstance(it, dict) else it for name, it in statuses.items()})


@attrs.frozen(kw_only=True)
class MonitoringRecord:
    """A resource's monitoring status, at ``/monitoring/<path>`` (``seed 1``, point 6).

    Attributes:
        version: the config version the status is about.
        statuses: by field name, in order; the name depends on the resource type. A status, or an
            object of them, such as ``{"primary": "MASTER", "secondary": "BACKUP"}``, which is not
            shown in a repr.
        version_index: where ``version`` stands among the fields, counted from 0; None: last, as a
            new record has it. Not compared, as the order of the statuses is not.
    """

    version: int
    statuses: dict[str, MonitoringStatus | str | dict[str, Any]] = attrs.field(repr=_words)
    version_index: int | None = attrs.field(default=None, eq=False)
