"""What a transaction would do, and whether a store takes it: pure, shared by all stores.

The rules are etcd's. All comparisons, those of nested transactions included, look at the state
before the transaction; operations happen in order, so a ``Get`` sees what stands before it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import NoReturn, TypeAlias, TypeVar

import attrs

from gohan_jobs.exceptions import TransactionTooLarge
from gohan_jobs.stores.arguments import check_key
from gohan_jobs.stores.base import (
    Compare,
    Comparison,
    Delete,
    Entry,
    Get,
    Operation,
    Put,
    Result,
    Target,
    Transaction,
    TransactionResult,
)

__all__ = [
    "MAX_OPERATIONS",
    "MAX_REQUEST_BYTES",
    "Evaluation",
    "Lookup",
    "check_form",
    "check_size",
    "evaluate",
    "holds",
    "keys_of",
    "leases_used",
    "puts_of",
    "request_bytes",
    "validate",
    "writes",
]

Lookup: TypeAlias = Callable[[str], Entry | None]
"""Gives the entry at a key, None if there is none."""

MAX_OPERATIONS = 128
"""etcd's default: a level's, plus those of its largest nested transaction."""

MAX_REQUEST_BYTES = 1_572_864 - 64
"""etcd's default, less what the server itself adds to a request before it measures it."""

_Operand = TypeVar("_Operand", int, bytes)


@attrs.frozen(kw_only=True)
class Evaluation:
    """What a transaction does to a given state.

    Attributes:
        result: what it answers.
        changes: key to the entry after it, None for a key removed; empty if nothing changes.
    """

    result: TransactionResult
    changes: dict[str, Entry | None]


@attrs.frozen
class _Path:
    """The branches taken."""

    succeeded: bool
    operations: tuple[Put | Delete | Get | _Path, ...]


def holds(compare: Compare, entry: Entry | None) -> bool:
    """Whether a comparison holds for what stands at its key.

    Raises:
        TypeError: if the operand is not of the target's type.
    """
    if compare.target is Target.VALUE:
        if not isinstance(compare.operand, bytes):
            raise TypeError(f"{compare.key}: a value is compared with bytes")
        return entry is not None and _compared(compare.comparison, entry.value, compare.operand)
    if not isinstance(compare.operand, int):
        raise TypeError(f"{compare.key}: a {compare.target.value} is compared with an int")
    found = 0 if entry is None else _number(entry, compare.target)
    return _compared(compare.comparison, found, compare.operand)


def _number(entry: Entry, target: Target) -> int:
    if target is Target.CREATE_REVISION:
        return entry.create_revision
    return entry.mod_revision if target is Target.MOD_REVISION else entry.version


def _compared(comparison: Comparison, found: _Operand, operand: _Operand) -> bool:
    if comparison is Comparison.EQUAL:
        return found == operand
    if comparison is Comparison.NOT_EQUAL:
        return found != operand
    return found > operand if comparison is Comparison.GREATER else found < operand


def evaluate(transaction: Transaction, lookup: Lookup, revision: int) -> Evaluation:
    """What a transaction does.

    Args:
        transaction: what is carried out, in thought.
        lookup: the state before it.
        revision: the revision of that state.
    """
    path = _path(transaction, lookup)
    if _changes_something(path, lookup):
        revision += 1
    changes: dict[str, Entry | None] = {}
    return Evaluation(result=_run(path, lookup, revision, changes), changes=changes)


def _path(transaction: Transaction, lookup: Lookup) -> _Path:
    succeeded = all(holds(compare, lookup(compare.key)) for compare in transaction.compares)
    branch = transaction.success if succeeded else transaction.failure
    return _Path(
        succeeded,
        tuple(_path(step, lookup) if isinstance(step, Transaction) else step for step in branch),
    )


def _changes_something(path: _Path, lookup: Lookup) -> bool:
    for step in path.operations:
        if isinstance(step, _Path):
            if _changes_something(step, lookup):
                return True
        elif isinstance(step, Put) or (isinstance(step, Delete) and lookup(step.key) is not None):
            return True
    return False


def _run(
    path: _Path, lookup: Lookup, revision: int, changes: dict[str, Entry | None]
) -> TransactionResult:
    results: list[Result] = []
    for step in path.operations:
        if isinstance(step, _Path):
            results.append(_run(step, lookup, revision, changes))
            continue
        entry = changes[step.key] if step.key in changes else lookup(step.key)
        if isinstance(step, Get):
            results.append(entry)
        elif isinstance(step, Put):
            changes[step.key] = _put(step, entry, revision)
            results.append(None)
        else:
            results.append(int(entry is not None))
            if entry is not None:
                changes[step.key] = None
    return TransactionResult(path.succeeded, revision, tuple(results))


def _put(put: Put, before: Entry | None, revision: int) -> Entry:
    return Entry(
        key=put.key,
        value=put.value,
        create_revision=revision if before is None else before.create_revision,
        mod_revision=revision,
        version=1 if before is None else before.version + 1,
        lease=put.lease,
    )


def writes(operations: tuple[Operation, ...]) -> bool:
    """Whether any of the operations, nested ones included, puts or deletes."""
    return any(
        writes(step.success) or writes(step.failure)
        if isinstance(step, Transaction)
        else not isinstance(step, Get)
        for step in operations
    )


def puts_of(operations: tuple[Operation, ...]) -> Iterator[Put]:
    """Every put among the operations, nested ones included."""
    for step in operations:
        if isinstance(step, Put):
            yield step
        elif isinstance(step, Transaction):
            yield from puts_of(step.success)
            yield from puts_of(step.failure)


def keys_of(transaction: Transaction) -> Iterator[str]:
    """Every key it names, in order, some perhaps more than once."""
    yield from (compare.key for compare in transaction.compares)
    for step in transaction.success + transaction.failure:
        if isinstance(step, Transaction):
            yield from keys_of(step)
        else:
            yield step.key


def leases_used(transaction: Transaction, changes: Mapping[str, Entry | None]) -> Iterator[int]:
    """The leases it binds keys to: only these must exist, not those of the branch not taken.

    Args:
        transaction: what was evaluated.
        changes: what it does, see :class:`Evaluation`.

    Yields:
        Their ids, in the order of the puts, some perhaps more than once.
    """
    for put in puts_of((transaction,)):
        entry = changes.get(put.key)
        if put.lease and entry is not None and entry.lease == put.lease:
            yield put.lease


def validate(transaction: Transaction) -> None:
    """See that a store may be asked to carry it out.

    Raises:
        ValueError: a key is written twice, or empty.
        TypeError: a comparison's operand is not of its target's type.
        TransactionTooLarge: more than 128 operations, or than 1.5 MiB.
    """
    check_form(transaction)
    check_size(transaction, request_bytes(transaction))


def check_form(transaction: Transaction) -> None:
    """As :func:`validate`, but for the bytes; a store may count those more cheaply.

    Raises:
        ValueError: a key is written twice, or empty.
        TypeError: a comparison's operand is not of its target's type.
        TransactionTooLarge: more than 128 operations.
    """
    _, operations = _checked(transaction)
    if operations > MAX_OPERATIONS:
        raise TransactionTooLarge("", operations, MAX_OPERATIONS)


def check_size(transaction: Transaction, size: int) -> None:
    """See that a transaction of so many bytes, as etcd's request, is not too large.

    Raises:
        TransactionTooLarge: more than 1.5 MiB.
    """
    if size > MAX_REQUEST_BYTES:
        raise TransactionTooLarge(_largest(transaction), size, MAX_REQUEST_BYTES)


def _checked(transaction: Transaction) -> tuple[set[str], int]:
    """The keys that either branch may write, since only one is taken, and the operations."""
    for compare in transaction.compares:
        check_key(compare.key)
        holds(compare, None)
    written: set[str] = set()
    deepest = 0
    for branch in (transaction.success, transaction.failure):
        keys, operations = _checked_branch(branch)
        written |= keys
        deepest = max(deepest, operations)
    own = max(len(transaction.compares), len(transaction.success), len(transaction.failure))
    return written, own + deepest


def _checked_branch(operations: tuple[Operation, ...]) -> tuple[set[str], int]:
    """The keys that a branch may write, and the operations of its largest transaction."""
    written: set[str] = set()
    deepest = 0
    for step in operations:
        if isinstance(step, Transaction):
            keys, inner = _checked(step)
            deepest = max(deepest, inner)
            if not written.isdisjoint(keys):
                _refuse_twice(written & keys)
            written |= keys
            continue
        key = step.key
        check_key(key)
        if not isinstance(step, Get):
            if key in written:
                _refuse_twice({key})
            written.add(key)
    return written, deepest


def _refuse_twice(keys: set[str]) -> NoReturn:
    raise ValueError(f"{min(keys)} is written twice in one transaction")


def _largest(transaction: Transaction) -> str:
    sizes = [(len(key), key) for key in keys_of(transaction)]
    sizes += [(len(put.value), put.key) for put in puts_of((transaction,))]
    return max(sizes)[1]


def request_bytes(transaction: Transaction) -> int:
    """Bytes of a transaction as etcd's request, encoded."""
    size = sum(_field(_compare_bytes(compare)) for compare in transaction.compares)
    branches = transaction.success + transaction.failure
    return size + sum(_field(_operation_bytes(step)) for step in branches)


def _operation_bytes(step: Operation) -> int:
    if isinstance(step, Transaction):
        return _field(request_bytes(step))
    size = _field(len(step.key.encode("utf-8", "surrogateescape")))
    if isinstance(step, Put):
        size += _field(len(step.value)) if step.value else 0
        size += 1 + _varint(step.lease) if step.lease else 0
    return _field(size)


def _compare_bytes(compare: Compare) -> int:
    operand = compare.operand
    size = _field(len(compare.key.encode("utf-8", "surrogateescape")))
    size += _field(len(operand)) if isinstance(operand, bytes) else 1 + _varint(operand)
    return size + 4  # result and target


def _field(size: int) -> int:
    """Bytes of a field of ``size`` bytes: tag, length, content."""
    return 1 + _varint(size) + size


def _varint(number: int) -> int:
    """Bytes of a number."""
    return max(1, -(-number.bit_length() // 7)) if number >= 0 else 10
