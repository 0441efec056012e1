"""Feed a recorded trace through the library, and give what the library wrote and called.

The store is in memory, the clock virtual, and the orchestrator does nothing by itself: each of the
trace's ``stack`` events ends the operation then under way. The format of both files is that of the
recordings: one JSON object a line.

Jobs of other handlers have no line of their own in a trace: unless a handler is given, they end as
soon as they may begin, one of ``monitoring_worker`` with nothing monitored yet. Which types have
them say the schemas (:meth:`Schemas.with_templates`); else, as in 2017, a type ``t`` is monitored
if the trace begins with a heat_template ``t_monitoring`` of the handler ``monitoring_worker``.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import attrs

from gohan_jobs.clock import VirtualClock
from gohan_jobs.codec import Codec
from gohan_jobs.codec.strict_json import loads_json
from gohan_jobs.events import Event as LifecycleEvent
from gohan_jobs.events import StackRequested
from gohan_jobs.exceptions import GohanJobsError, InvalidKey, InvalidRecord, Problem, StackNotFound
from gohan_jobs.handler_registry import AnyHandler, Handlers
from gohan_jobs.heat_handler import HeatHandler
from gohan_jobs.keys import Keys, RecordKind, ResourcePath
from gohan_jobs.lifecycle import Lifecycle
from gohan_jobs.manager import ManagerOptions
from gohan_jobs.orchestrators.base import Diagnosis, Orchestrator, Stack, StackRequest
from gohan_jobs.planning import HEAT_HANDLER
from gohan_jobs.records import Action, StackOutput, StackStatus
from gohan_jobs.replay_handlers import answering, schemas_of_trace
from gohan_jobs.schemas import Schemas
from gohan_jobs.stores.base import Delete, EventKind, Put, Transaction
from gohan_jobs.stores.memory import MemoryStore
from gohan_jobs.worker import WorkerOptions

__all__ = ["ScriptedHeat", "replay", "replay_lines"]

_SETTLE = 2.0
_PATIENCE = 60.0
_NEVER = 1e12

_KINDS = {
    RecordKind.JOB: "job",
    RecordKind.STATE: "state",
    RecordKind.HEAT_STACK: "heat_stack",
}


@attrs.define
class _Scripted:
    stack: Stack
    outputs: tuple[StackOutput, ...] = ()


class ScriptedHeat:
    """An orchestrator whose operations end when it is told, and as it is told.

    It checks nothing: a recorded template may need resource types that nobody has any more.
    """

    request_timeout: float = 1.0

    def __init__(self) -> None:
        self._stacks: dict[tuple[str, str], _Scripted] = {}
        self._count = 0
        self._unseen: set[str] = set()

    @property
    def unseen(self) -> int:
        """Stacks whose operation has ended, which nobody has looked at yet."""
        return len(self._unseen)

    def end(self, name: str, status: str, reason: str, outputs: tuple[StackOutput, ...]) -> bool:
        """End the operation under way on a stack; whether there was one."""
        for key, scripted in list(self._stacks.items()):
            if key[1] != name or not scripted.stack.in_progress:
                continue
            if _cut_short(scripted.stack.status, status):
                return True
            if status == StackStatus.DELETE_COMPLETE:
                del self._stacks[key]
            else:
                scripted.stack = attrs.evolve(scripted.stack, status=status, status_reason=reason)
                scripted.outputs = outputs
            self._unseen.add(scripted.stack.id)
            return True
        return False

    def find(self, tenant: str, name: str) -> Stack | None:
        """The stack of that name."""
        found = self._stacks.get((tenant, name))
        return None if found is None else found.stack

    def create(self, request: StackRequest) -> Stack:
        """Begin; it is in progress until it is ended."""
        self._count += 1
        stack = Stack(
            id=str(self._count),
            name=request.name,
            tenant=request.tenant,
            status=StackStatus.CREATE_IN_PROGRESS,
            tags=request.tags,
        )
        self._stacks[request.tenant, request.name] = _Scripted(stack)
        return stack

    def update(self, stack: Stack, request: StackRequest) -> None:
        """Begin; it is in progress until it is ended."""
        found = self._stacks.get((stack.tenant, stack.name))
        if found is None:
            raise StackNotFound(f"The Stack ({stack.name}) could not be found.")
        found.stack = attrs.evolve(stack, status=StackStatus.UPDATE_IN_PROGRESS, tags=request.tags)

    def delete(self, stack: Stack) -> None:
        """Begin; it is in progress until it is ended."""
        found = self._stacks.get((stack.tenant, stack.name))
        if found is not None:
            found.stack = attrs.evolve(stack, status=StackStatus.DELETE_IN_PROGRESS)

    def observe(self, stacks: Sequence[Stack]) -> Mapping[str, Stack | None]:
        """How they are."""
        self._unseen.difference_update(stack.id for stack in stacks)
        return {stack.id: self.find(stack.tenant, stack.name) for stack in stacks}

    def outputs(self, stack: Stack) -> tuple[StackOutput, ...]:
        """The outputs it was ended with."""
        found = self._stacks.get((stack.tenant, stack.name))
        if found is None:
            raise StackNotFound(f"The Stack ({stack.name}) could not be found.")
        return found.outputs

    def diagnose(self, stack: Stack) -> Diagnosis:
        """Nothing beyond the status reason is recorded."""
        del stack
        return Diagnosis()

    def validate(self, request: StackRequest) -> None:
        """Accept everything."""

    def close(self) -> None:
        """Nothing to give back."""


def replay_lines(
    lines: Iterable[str],
    schemas: Schemas,
    *,
    source: str = "trace",
    handlers: Mapping[str, AnyHandler] | None = None,
) -> Iterator[str]:
    """As :func:`replay`, from and to lines of JSON.

    Args:
        lines: one object each; empty ones are passed over.
        schemas: the types.
        source: where they come from, for errors.
        handlers: as for :func:`replay`.

    Yields:
        A line, without its end, for each row.

    Raises:
        InvalidRecord: naming the line that is no event, or does not fit.
    """
    places = ((f"{source} line {number}", line) for number, line in enumerate(lines, 1))
    rows = ((where, loads_json(where, line)) for where, line in places if line.strip())
    yield from map(json.dumps, _replayed(rows, schemas, handlers))


def replay(
    rows: Iterable[Mapping[str, Any]],
    schemas: Schemas,
    *,
    handlers: Mapping[str, AnyHandler] | None = None,
) -> Iterator[dict[str, Any]]:
    """Feed a trace's events through the library.

    Args:
        rows: the events, in order: ``config`` with key and value (None: removed, ``/state`` too),
            and ``stack`` with the record that the operation under way ended in.
        schemas: the types.
        handlers: what does the jobs of other handlers than ``heat_worker``, by name.

    Yields:
        ``job``, ``heat``, ``heat_stack`` and ``state`` rows, in the order in which they happened.

    Raises:
        InvalidRecord: naming the row, counted from 1, that is no event, or does not fit what the
            library is doing.
    """
    places = ((f"event {number}", row) for number, row in enumerate(rows, 1))
    yield from _replayed(places, schemas, handlers)


def _replayed(
    rows: Iterator[tuple[str, Any]], schemas: Schemas, handlers: Mapping[str, AnyHandler] | None
) -> Iterator[dict[str, Any]]:
    """The rows, each with where it stands; the templates at the beginning say what is monitored."""
    beginning: list[tuple[str, Any]] = []
    templates: dict[str, object] = {}
    for where, row in rows:
        beginning.append((where, row))
        found = _template_of(row)
        if found is None:
            break
        templates |= found
    run = _Replay(schemas_of_trace(schemas, templates), Handlers(handlers))
    for where, row in itertools.chain(beginning, rows):
        yield from run.feed(where, row)


def _template_of(row: Any) -> dict[str, object] | None:
    """The handler of the heat_template that a row writes, by its id; None if it does not."""
    if any(_problems(row)) or row["event"] != "config" or row["value"] is None:
        return None
    codec = Codec()
    try:
        path = codec.keys.path_in(codec.keys.config, row["key"])
        if path is None or not codec.keys.is_template(path):
            return None
        body = codec.config(row["key"], json.dumps(row["value"])).body
    except GohanJobsError:
        return None  # told when it is fed
    return {path.rpartition("/")[2]: body.get("handler")}


class _Replay:
    def __init__(self, schemas: Schemas, handlers: Handlers) -> None:
        self._codec = Codec()
        self._keys: Keys = self._codec.keys
        self._clock = VirtualClock()
        self._store = MemoryStore(clock=self._clock)
        self._heat = ScriptedHeat()
        self._rows: list[dict[str, Any]] = []
        self._watch = self._store.watch("/", 1)
        self._lifecycle = Lifecycle(
            self._store,
            self._heat,
            schemas,
            clock=self._clock,
            codec=self._codec,
            hooks=(self._hear,),
            # An operation lasts until the trace ends it, and ends its job: a failed deletion, too.
            handlers={
                HEAT_HANDLER: HeatHandler(
                    self._heat, codec=self._codec, margin=_NEVER, delete_attempts=0
                ),
                **answering(schemas, handlers),
            },
            manager=ManagerOptions(hold_time=_NEVER),
            worker=WorkerOptions(slots=1_000_000),
        )
        self._settle()

    def feed(self, where: str, row: Any) -> list[dict[str, Any]]:
        """One event, and everything that follows from it."""
        problems = tuple(_problems(row))
        if problems:
            raise InvalidRecord(where, problems)
        try:
            apply = self._config if row["event"] == "config" else self._end
            apply(row["key"], row["value"])
        except InvalidRecord as error:
            inside = (Problem(f"$.value{it.path[1:]}", it.message) for it in error.problems)
            raise InvalidRecord(where, tuple(inside)) from error
        except GohanJobsError as error:
            raise InvalidRecord(where, (Problem("$", str(error)),)) from error
        self._settle()
        rows, self._rows = self._rows, []
        return rows

    def _config(self, key: str, value: Mapping[str, Any] | None) -> None:
        parsed = self._parsed(key, RecordKind.CONFIG)
        if value is None:
            change = Transaction((), (Delete(key), Delete(self._keys.state_of(parsed))))
        else:
            config = self._codec.config(key, json.dumps(value))
            change = Transaction((), (Put(key, self._codec.dumps(config).encode()),))
        self._store.transact(change)

    def _end(self, key: str, value: Mapping[str, Any]) -> None:
        self._parsed(key, RecordKind.HEAT_STACK)
        record = self._codec.heat_stack(key, json.dumps(value))
        name = record.id.replace(":", "_", 1)
        if not self._heat.end(name, str(record.stack_status), record.status_reason, record.output):
            raise GohanJobsError(f"no operation is under way on {name}")

    def _parsed(self, key: str, kind: RecordKind) -> ResourcePath:
        parsed = self._keys.parse(key)
        if parsed.kind is not kind or parsed.path is None:
            raise InvalidKey(key, f"expected a key of kind {kind.value}, found {parsed.kind.value}")
        return parsed.path

    def _settle(self) -> None:
        patience = self._clock.now() + _PATIENCE  # nobody may wait for it any more
        while True:
            worked = self._lifecycle.step()
            self._collect()
            if worked:
                continue
            if not self._heat.unseen or self._clock.now() > patience:
                return
            due = self._lifecycle.due
            self._clock.advance(_SETTLE if due is None else max(due - self._clock.now(), 0.0))

    def _hear(self, event: LifecycleEvent) -> None:
        if isinstance(event, StackRequested):
            self._rows.append(_heat_row(event))

    def _collect(self) -> None:
        while (batch := self._watch.poll()) is not None:
            for event in batch.events:
                if event.kind is EventKind.PUT and event.entry is not None:
                    self._wrote(event.key, event.entry.value)

    def _wrote(self, key: str, text: bytes) -> None:
        try:
            kind = _KINDS.get(self._keys.parse(key).kind)
        except GohanJobsError:
            return
        if kind is not None:
            self._rows.append({"kind": kind, "key": key, "value": json.loads(text)})


def _cut_short(running: str, ended: str) -> bool:
    """Whether what ended is an operation that a deletion has taken the place of (``rules`` 8)."""
    return running == StackStatus.DELETE_IN_PROGRESS and not ended.startswith("DELETE_")


def _heat_row(event: StackRequested) -> dict[str, Any]:
    job_id = event.job_id
    operation = {Action.CREATE: "create", Action.MODIFY: "update"}.get(
        Action(job_id.action), "delete"
    )
    row: dict[str, Any] = {
        "kind": "heat",
        "job": str(job_id),
        "op": operation,
        "stack": event.stack,
        "tenant": event.tenant,
    }
    if event.request is not None:
        row |= {
            "parameters": dict(event.request.parameters),
            "jinja": dict(event.jinja),
            "template": event.request.template,
            "timeout_mins": event.request.timeout_mins,
            "disable_rollback": event.request.disable_rollback,
        }
    return row


def _problems(row: Any) -> Iterator[Problem]:
    """Why a trace's row is no event."""
    if not isinstance(row, Mapping):
        yield Problem("$", f"expected an object, found {type(row).__name__}")
        return
    missing = [name for name in ("event", "key", "value") if name not in row]
    for name in missing:
        yield Problem(f"$.{name}", "required field missing")
    if missing:
        return
    if row["event"] not in ("config", "stack"):  # of any kind, a list too
        yield Problem("$.event", "expected config or stack")
    if not isinstance(row["key"], str):
        yield Problem("$.key", f"expected a text, found {type(row['key']).__name__}")
    removed = row["event"] == "config" and row["value"] is None
    if not removed and not isinstance(row["value"], Mapping):
        yield Problem("$.value", f"expected an object, found {type(row['value']).__name__}")


if TYPE_CHECKING:

    def _is_orchestrator(heat: ScriptedHeat) -> Orchestrator:
        return heat
