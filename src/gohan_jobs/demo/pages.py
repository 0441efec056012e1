"""The six records of a resource, caught as they are written, on a page as the seeds lay it out."""

from __future__ import annotations

import time
from collections.abc import Callable

import attrs

from gohan_jobs.codec import Codec
from gohan_jobs.exceptions import InvalidKey
from gohan_jobs.keys import ParsedKey, RecordKind, ResourcePath
from gohan_jobs.records import JobState, Record, ResourceRef
from gohan_jobs.stores.base import Event, Watch

__all__ = ["POINTS", "Catcher", "Caught", "Page"]

POINTS = {
    RecordKind.CONFIG: 1,
    RecordKind.JOB: 2,
    RecordKind.HEAT_STACK: 3,
    RecordKind.JOB_STATE: 4,
    RecordKind.STATE: 5,
    RecordKind.MONITORING: 6,
}
"""Which record is written at which point of the seeds."""

_HEADER = """\
# Stored data in etcd: {title}

These are stored data for "heat_templates" in etcd.

* {resource_type}
"""
_POINT = """
### Checking stored data at the point of ({point}) in etcd

```
{key}
{text}
```
"""


@attrs.frozen(kw_only=True)
class Caught:
    """A record as it was written.

    Attributes:
        point: of the seeds, 1 to 6.
        key: where.
        record: what.
    """

    point: int
    key: str
    record: Record


@attrs.frozen(kw_only=True)
class Page:
    """What was written about one version of a resource.

    Attributes:
        title: of the page.
        resource_type: whose template was used.
        records: by point.
    """

    title: str
    resource_type: str
    records: tuple[Caught, ...]

    def text(self, spell: Callable[[Record], str]) -> str:
        """The page, in the seeds' own layout.

        Args:
            spell: gives the text of a record.
        """
        points = (
            _POINT.format(point=each.point, key=each.key, text=spell(each.record))
            for each in self.records
        )
        return _HEADER.format(title=self.title, resource_type=self.resource_type) + "".join(points)


class Catcher:
    """Follows what is written about one resource.

    Args:
        watch: of everything, from before the first write on.
        codec: reads the records.
        ref: the resource.
        path: its path.
        patience: seconds of real time to wait for a record.
    """

    def __init__(
        self,
        watch: Watch,
        codec: Codec,
        ref: ResourceRef,
        path: ResourcePath,
        patience: float = 30.0,
    ) -> None:
        self._watch = watch
        self._codec = codec
        self._ref = ref
        self._path = path
        self._patience = patience

    def catch(self) -> tuple[Caught, ...]:
        """One record for each point, as soon as all of them have been written.

        Raises:
            TimeoutError: some of them were not.
        """
        found: dict[int, Caught] = {}
        deadline = time.monotonic() + self._patience
        while len(found) < len(POINTS):
            batch = self._watch.poll(max(0.0, deadline - time.monotonic()))
            if batch is None:
                missing = sorted(set(POINTS.values()) - set(found))
                raise TimeoutError(f"nothing was written at point {missing[0]} of {self._ref}")
            caught = filter(None, map(self._caught, batch.events))
            found.update({each.point: each for each in caught})
        return tuple(found[point] for point in sorted(found))

    def _caught(self, event: Event) -> Caught | None:
        try:
            parsed = self._codec.keys.parse(event.key)
        except InvalidKey:
            return None
        point = POINTS.get(parsed.kind)
        if point is None or event.entry is None or not self._concerns(parsed):
            return None
        record = self._codec.loads(event.key, event.entry.value)
        if record == JobState():
            return None  # the worker's reservation, which the documents do not show
        return Caught(point=point, key=event.key, record=record)

    def _concerns(self, parsed: ParsedKey) -> bool:
        if parsed.job_id is None:
            return parsed.path == self._path
        return ResourceRef(parsed.job_id.resource_type, parsed.job_id.resource_id) == self._ref
