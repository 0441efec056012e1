"""What Gohan writes in the chaos test: types, templates, and a Gohan that never stops changing."""

from __future__ import annotations

import contextlib
import json
import random
import threading
import time
from collections.abc import Callable
from typing import Any, Final

import attrs

from chaos_record import Recorder
from gohan_jobs.codec import Codec
from gohan_jobs.exceptions import StoreError
from gohan_jobs.keys import ResourcePath
from gohan_jobs.records import ConfigRecord, ResourceRef, WorkerState
from gohan_jobs.schemas import Schemas
from gohan_jobs.stores.base import Delete, Put, Store, Transaction

__all__ = ["HEAT_TENANTS", "SCHEMAS", "SCHEMAS_TEXT", "Gohan", "Row", "template_of"]

HEAT_TENANTS: Final = ("a" * 32, "b" * 32, "c" * 32)

_HOT: Final = """\
heat_template_version: 2016-10-14
parameters:
  name: {type: string, default: ""}
  version: {type: number, default: 0}
  parent: {type: string, default: ""}
  edition: {type: string, default: ""}
resources:
  thing: {type: "OS::Heat::Value", properties: {value: {get_param: name}}}
outputs:
  link: {description: Link, value: {get_attr: [thing, value]}}
"""

_PARENTS: Final = {"port": "network", "rule": "port"}
_TWO_STEP: Final = frozenset({"network", "port"})
_WORKABLE: Final = ("network", "port", "rule", "volume")
_SHARES: Final = ("network", *["port"] * 3, *["rule"] * 2, "volume", "alias")


def _schema(kind: str) -> dict[str, Any]:
    properties: dict[str, Any] = {"id": {"type": "string"}, "tenant_id": {"type": "string"}}
    if kind in _PARENTS:
        parent = _PARENTS[kind]
        properties[f"{parent}_id"] = {"type": "string", "relation": parent}
    metadata: dict[str, Any] = {"state_versioning": True, "two_step_deletion": kind in _TWO_STEP}
    if kind in _WORKABLE:
        metadata["template_path"] = f"C{kind}"
    return {
        "id": kind,
        "plural": f"{kind}s",
        "prefix": f"/v2.0/{kind}s",
        "schema": {"type": "object", "properties": properties},
        "metadata": metadata,
    }


SCHEMAS_TEXT: Final = json.dumps({"schemas": [_schema(kind) for kind in (*_WORKABLE, "alias")]})
SCHEMAS: Final = Schemas.from_text(SCHEMAS_TEXT, "chaos")


def template_of(kind: str, edition: int = 1) -> ConfigRecord:
    """The template of a type."""
    mappings = {"name": "Pname", "version": "Vauto_filled", "edition": f"C{edition}"}
    if kind in _PARENTS:
        parent = _PARENTS[kind]
        mappings["parent"] = f"M{parent}:{parent}_id:link"
    body = {
        "id": kind,
        "handler": "heat_worker",
        "watch": [],
        "template_file": _HOT,
        "parameter_mappings": mappings,
    }
    return ConfigRecord(body=body, version=edition)


@attrs.define
class Row:
    """A resource in Gohan's database.

    Attributes:
        ref: the resource.
        tenant: its project.
        parent: what it refers to.
        version: of its config.
        marked: whether it waits for the first step of its deletion.
    """

    ref: ResourceRef
    tenant: str
    parent: ResourceRef | None
    version: int = 1
    marked: bool = False


class Gohan:
    """Writes configs, updates and deletes them on a thread, as Gohan's rules allow.

    What is referred to is not deleted; of a type with two-step deletion the keys go once
    ``/state`` says ``DELETE_COMPLETED``; a resource may come back under its old id.

    Args:
        store: where.
        recorder: knows the results.
        rng: chooses.
        count: resources to begin with.
        begun_within: seconds in which those are written.
        pause: seconds between later changes, on average.
        backlog: how many jobs may be undone when something is changed: what goes wrong slows them
            down, and an hour's backlog would have to be done before anything can be judged.

    Attributes:
        rows: what there is, by path; complete once :meth:`stop` has returned.
        references: what each resource has ever referred to.
    """

    def __init__(
        self,
        store: Store,
        recorder: Recorder,
        rng: random.Random,
        *,
        count: int,
        begun_within: float,
        pause: float = 0.1,
        backlog: int = 300,
    ) -> None:
        self.rows: dict[ResourcePath, Row] = {}
        self.references: dict[ResourceRef, set[ResourceRef]] = {}
        self._store = store
        self._recorder = recorder
        self._rng = rng
        self._codec = Codec()
        self._keys = self._codec.keys
        self._pauses = (begun_within / count, pause)
        self._backlog = backlog
        self._left = count
        self._number = 0
        self._editions = dict.fromkeys(_WORKABLE, 1)
        self._gone: list[Row] = []
        self._stopping = threading.Event()
        self._draining = threading.Event()
        self._thread = threading.Thread(target=self._run, name="gohan", daemon=True)
        self.error: BaseException | None = None

    # Life.

    def start(self) -> None:
        """Write the templates, and go on with configs on a thread."""
        for kind in _WORKABLE:
            self._put_template(kind)
        self._thread.start()

    def finish(self) -> None:
        """Change nothing more, but complete deletions that were begun."""
        self._draining.set()

    def stop(self) -> None:
        """Do nothing more; raises what went wrong on the thread."""
        self._stopping.set()
        self._thread.join()
        if self.error is not None:
            raise self.error

    def touch(self) -> ResourcePath:
        """One more resource; where it is. Not while the thread runs."""
        return self._create("volume", None, self._rng.choice(HEAT_TENANTS))

    def _run(self) -> None:
        try:
            while not self._stopping.wait(self._pause()):
                self._complete_deletions()
                if not (self._draining.is_set() or self._overworked()):
                    self._change()
        except BaseException as error:  # noqa: BLE001 - raised where it is seen, in stop()
            self.error = error

    def _overworked(self) -> bool:
        return not self._left and len(self._recorder.keys(self._keys.all_jobs)) > self._backlog

    def _pause(self) -> float:
        if self._draining.is_set():
            return 0.1
        return self._pauses[0 if self._left else 1] * self._rng.uniform(0.2, 1.8)

    # What may happen.

    def _change(self) -> None:
        if self._left:
            self._left -= 1
            self._begin()
            if self._rng.random() > 0.1:
                return
        actions: list[tuple[Callable[[], None], int]] = [
            (self._update, 10),
            (self._burst, 2),
            (self._delete, 4),
            (self._begin, 2),
            (self._come_back, 2),
            (self._rewrite, 1),
            (self._edit_template, 1),
        ]
        whats, weights = zip(*actions, strict=True)
        self._rng.choices(whats, weights)[0]()

    def _begin(self) -> None:
        """A new resource; sometimes it is written just before what it refers to."""
        kind = self._rng.choice(_SHARES)
        if kind not in _PARENTS:
            self._create(kind, None, self._rng.choice(HEAT_TENANTS))
            return
        parents = self._usable(_PARENTS[kind])
        if _PARENTS[kind] == "network" and (not parents or self._rng.random() < 0.1):
            late = self._next_ref("network")
            tenant = self._rng.choice(HEAT_TENANTS)
            self._create(kind, late, tenant)
            self._put(Row(late, tenant, None))
        elif parents:
            self._create(kind, self._rng.choice(parents).ref, self._rng.choice(HEAT_TENANTS))

    def _update(self) -> None:
        row = self._any()
        if row is None:
            return
        parents = self._usable(_PARENTS[row.ref.resource_type]) if row.parent else []
        if parents and self._rng.random() < 0.3:
            row.parent = self._rng.choice(parents).ref
        row.version += 1
        self._put(row)

    def _burst(self) -> None:
        """Several versions at once: some will be superseded."""
        row = self._any()
        for _ in range(self._rng.randint(2, 4) if row else 0):
            assert row is not None
            row.version += 1
            self._put(row)

    def _rewrite(self) -> None:
        """The same again, as Gohan does on a resync."""
        row = self._any()
        if row is not None:
            self._put(row)

    def _delete(self) -> None:
        row = self._any(childless=True)
        if row is None:
            return
        if row.ref.resource_type in _TWO_STEP:
            row.version += 1
            row.marked = True
            self._put(row)
        else:
            self._remove(row)

    def _come_back(self) -> None:
        if not self._gone:
            return
        row = self._gone.pop(self._rng.randrange(len(self._gone)))
        if row.parent is None or self._row(row.parent) in self._usable(row.parent.resource_type):
            self._put(Row(row.ref, row.tenant, row.parent))

    def _edit_template(self) -> None:
        kind = self._rng.choice(_WORKABLE)
        self._editions[kind] += 1
        self._put_template(kind)

    def _complete_deletions(self) -> None:
        for row in [row for row in self.rows.values() if row.marked]:
            key = self._keys.state_of(self._path(row.ref))
            text = self._recorder.value(key)
            if text is None:
                continue
            state = self._codec.state(key, text)
            if state.version == row.version and state.worker_state == WorkerState.DELETED:
                self._remove(row)

    # Rows.

    def _next_ref(self, kind: str) -> ResourceRef:
        self._number += 1
        return ResourceRef(kind, f"{kind}-{self._number}")

    def _create(self, kind: str, parent: ResourceRef | None, tenant: str) -> ResourcePath:
        row = Row(self._next_ref(kind), tenant, parent)
        self._put(row)
        return self._path(row.ref)

    def _usable(self, kind: str) -> list[Row]:
        return [r for r in self.rows.values() if r.ref.resource_type == kind and not r.marked]

    def _any(self, *, childless: bool = False) -> Row | None:
        parents = {row.parent for row in self.rows.values()} if childless else set()
        found = [r for r in self.rows.values() if not r.marked and r.ref not in parents]
        return self._rng.choice(found) if found else None

    def _row(self, ref: ResourceRef) -> Row | None:
        return self.rows.get(self._path(ref))

    def _path(self, ref: ResourceRef) -> ResourcePath:
        schema = SCHEMAS.by_type(ref.resource_type)
        assert schema is not None
        return schema.path_of(ref.resource_id)

    # Writing.

    def _put(self, row: Row) -> None:
        path = self._path(row.ref)
        self.rows[path] = row
        body: dict[str, Any] = {
            "id": row.ref.resource_id,
            "tenant_id": row.tenant,
            "name": f"{row.ref.resource_id} v{row.version}",
        }
        if row.parent is not None:
            self.references.setdefault(row.ref, set()).add(row.parent)
            body[f"{row.parent.resource_type}_id"] = row.parent.resource_id
        record = ConfigRecord(body=body, version=row.version, marked_for_deletion=row.marked)
        self._write(Put(self._keys.config_of(path), self._codec.dumps(record).encode()))

    def _put_template(self, kind: str) -> None:
        key = self._keys.config_of(self._keys.template_path(kind))
        self._write(Put(key, self._codec.dumps(template_of(kind, self._editions[kind])).encode()))

    def _remove(self, row: Row) -> None:
        path = self._path(row.ref)
        del self.rows[path]
        self._gone.append(row)
        self._write(Delete(self._keys.config_of(path)), Delete(self._keys.state_of(path)))

    def _write(self, *operations: Put | Delete) -> None:
        """Write until it is there: it does no harm to write the same twice."""
        while True:
            with contextlib.suppress(StoreError):
                self._store.transact(Transaction((), operations))
                return
            time.sleep(0.1)
