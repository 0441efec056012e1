"""etcd3's messages on today's protobuf, and how this library's words become them.

The generated code of etcd3 0.12.0 does not load on protobuf 4 and later. What it holds, the
serialized descriptors, is all that is needed: they are read from the installed files without
running them, and built in a pool of their own, so that other users of etcd's or of any other
messages in the same process are not disturbed, in whichever order they come.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import sys
import threading
import types
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gohan_jobs.exceptions import StoreRefused
from gohan_jobs.stores.base import (
    Compare,
    Comparison,
    Delete,
    Entry,
    Event,
    EventKind,
    Get,
    Operation,
    Put,
    Result,
    Target,
    Transaction,
    TransactionResult,
)

__all__ = [
    "PING",
    "entry_of",
    "event_of",
    "from_bytes",
    "key_range",
    "load",
    "result_of",
    "to_bytes",
    "transaction_request",
]

PING = b"\x1a\x00"
"""A WatchRequest that asks for the progress; etcd3's descriptors do not have that field yet."""

_PACKAGE = "etcd3.etcdrpc"
_FILES = ("kv", "auth", "rpc")
_lock = threading.Lock()
_prepared: set[str] = set()


def load() -> Any:
    """The module ``etcd3.etcdrpc``: messages, enums and stubs.

    Called when a store is made, never on import (``rules`` 30). Warns if somebody else has loaded
    ``etcd3`` before, in his own way; that one is then used.

    Raises:
        StoreRefused: the installed etcd3 is not as expected.
    """
    with _lock:
        if not _prepared and "etcd3" in sys.modules:
            warnings.warn(
                "etcd3 was loaded before gohan-jobs prepared its messages; using it as it is",
                RuntimeWarning,
                stacklevel=5,
            )
        elif not _prepared:
            _prepare()
        return importlib.import_module(_PACKAGE)


def _prepare() -> None:
    from google.protobuf import descriptor_pool  # noqa: PLC0415 - a store is being made

    spec = importlib.util.find_spec("etcd3")
    if spec is None or spec.origin is None:
        raise StoreRefused("etcd3 is not installed")
    modules = {}
    pool = descriptor_pool.DescriptorPool()
    for name in _FILES:
        source = Path(spec.origin).parent / "etcdrpc" / f"{name}_pb2.py"
        pool.AddSerializedFile(_serialized(source))
        module = _module(f"{_PACKAGE}.{name}_pb2", pool.FindFileByName(f"{name}.proto"))
        modules[module.__name__] = module
    sys.modules.update(modules)
    _prepared.update(modules)


def _serialized(source: Path) -> bytes:
    """The descriptor that a generated file was made from, read without running it."""
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        if isinstance(node, ast.keyword) and node.arg == "serialized_pb":
            literal = node.value.args[0] if isinstance(node.value, ast.Call) else node.value
            found = ast.literal_eval(literal)
            return found if isinstance(found, bytes) else str(found).encode("latin-1")
    raise StoreRefused(f"{source}: no descriptor found: is this etcd3 0.12.0?")


def _module(name: str, file: Any) -> types.ModuleType:
    from google.protobuf.internal import enum_type_wrapper  # noqa: PLC0415 - a store is being made

    module = types.ModuleType(name)
    vars(module)["DESCRIPTOR"] = file
    for message, descriptor in file.message_types_by_name.items():
        vars(module)[message] = _message_class(descriptor)
    for enum, descriptor in file.enum_types_by_name.items():
        wrapper = enum_type_wrapper.EnumTypeWrapper(descriptor)
        vars(module)[enum] = wrapper
        vars(module).update(wrapper.items())
    return module


def _message_class(descriptor: Any) -> Any:
    from google.protobuf import message_factory  # noqa: PLC0415 - a store is being made

    factory: Any = message_factory
    if hasattr(factory, "GetMessageClass"):
        return factory.GetMessageClass(descriptor)
    # protobuf before 4.22
    return factory.MessageFactory(descriptor.file.pool).GetPrototype(descriptor)


def to_bytes(key: str) -> bytes:
    """A key as etcd stores it."""
    return key.encode("utf-8", "surrogateescape")


def from_bytes(key: bytes) -> str:
    """A key of etcd's as text; bytes that are none, written by others, survive the way back."""
    return key.decode("utf-8", "surrogateescape")


def key_range(prefix: str) -> tuple[bytes, bytes]:
    """The first key under a prefix, and the first after it; NUL for "to the end", as in etcd."""
    begin = to_bytes(prefix)
    kept = begin.rstrip(b"\xff")
    end = kept[:-1] + bytes((kept[-1] + 1,)) if kept else b"\0"
    return begin or b"\0", end


def entry_of(pair: Any) -> Entry:
    """The entry that a KeyValue is."""
    return Entry(
        key=from_bytes(pair.key),
        value=pair.value,
        create_revision=pair.create_revision,
        mod_revision=pair.mod_revision,
        version=pair.version,
        lease=pair.lease,
    )


def event_of(event: Any) -> Event:
    """The event that an Event is."""
    put = event.type == 0
    return Event(
        kind=EventKind.PUT if put else EventKind.DELETE,
        key=from_bytes(event.kv.key),
        revision=event.kv.mod_revision,
        entry=entry_of(event.kv) if put else None,
        previous=entry_of(event.prev_kv) if event.HasField("prev_kv") else None,
    )


_COMPARISONS = {
    Comparison.EQUAL: 0,
    Comparison.GREATER: 1,
    Comparison.LESS: 2,
    Comparison.NOT_EQUAL: 3,
}
_TARGETS = {
    Target.VERSION: 0,
    Target.CREATE_REVISION: 1,
    Target.MOD_REVISION: 2,
    Target.VALUE: 3,
}


def transaction_request(rpc: Any, transaction: Transaction) -> Any:
    """The TxnRequest that a transaction is."""
    request = rpc.TxnRequest()
    _fill(rpc, request, transaction)
    return request


def _fill(rpc: Any, request: Any, transaction: Transaction) -> None:
    # Filled in where they stand: messages that are made first and then put in are copied, at
    # every level, which takes six times as long.
    if transaction.compares:
        add = request.compare.add
        for compare in transaction.compares:
            _compare(add(), compare)
    if transaction.success:
        _operations(rpc, request.success.add, transaction.success)
    if transaction.failure:
        _operations(rpc, request.failure.add, transaction.failure)
    elif not transaction.success:
        _linearize(rpc, request)


def _linearize(rpc: Any, request: Any) -> None:
    """See that comparisons alone are made on the newest state.

    Without any operation etcd compares what the member at hand happens to know. A read of what is
    compared, needing no other permission, makes it ask the leader.
    """
    if request.compare:
        reading = rpc.RequestOp(
            request_range=rpc.RangeRequest(key=request.compare[0].key, count_only=True)
        )
    else:
        reading = rpc.RequestOp(request_txn=rpc.TxnRequest())
    request.success.append(reading)
    request.failure.append(reading)


def _compare(message: Any, compare: Compare) -> None:
    message.key = to_bytes(compare.key)
    message.result = _COMPARISONS[compare.comparison]
    message.target = _TARGETS[compare.target]
    setattr(message, compare.target.value, compare.operand)


def _operations(rpc: Any, add: Callable[[], Any], steps: tuple[Operation, ...]) -> None:
    for step in steps:
        message = add()
        if isinstance(step, Put):
            put = message.request_put
            put.key, put.value = to_bytes(step.key), step.value
            if step.lease:
                put.lease = step.lease
        elif isinstance(step, Get):
            message.request_range.key = to_bytes(step.key)
        elif isinstance(step, Delete):
            message.request_delete_range.key = to_bytes(step.key)
        else:
            _fill(rpc, message.request_txn, step)


def result_of(transaction: Transaction, response: Any, revision: int) -> TransactionResult:
    """What a TxnResponse tells, at the revision of the outermost one."""
    succeeded = response.succeeded
    branch = transaction.success if succeeded else transaction.failure
    answers = response.responses
    results = tuple(
        # A put tells nothing. To look at an answer costs more than all that is done with it.
        [
            None if isinstance(step, Put) else _result(step, answers[index], revision)
            for index, step in enumerate(branch)
        ]
    )
    return TransactionResult(succeeded, revision, results)


def _result(step: Get | Delete | Transaction, answer: Any, revision: int) -> Result:
    if isinstance(step, Get):
        found = answer.response_range.kvs
        return entry_of(found[0]) if found else None
    if isinstance(step, Delete):
        deleted: int = answer.response_delete_range.deleted
        return deleted
    return result_of(step, answer.response_txn, revision)
