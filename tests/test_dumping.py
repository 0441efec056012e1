"""A keyspace in a file, and back: byte for byte, whatever was going on."""

from __future__ import annotations

import json
from collections.abc import Iterable

import pytest

from gohan_jobs.bookkeeping import JobNotes, RetryRequest
from gohan_jobs.exceptions import (
    OperationRefused,
    StoreUnavailable,
    TransactionTooLarge,
    UnsupportedFormat,
)
from gohan_jobs.keys import JobId, Keys, Place
from gohan_jobs.operations.dumping import DUMP_FORMAT, Dumped, DumpHeader, dump, read_dump
from gohan_jobs.operations.restoring import LOADING, Loaded, Restorer
from gohan_jobs.operations.undoing import undo_load
from gohan_jobs.queue import Queue
from gohan_jobs.redaction import Redactor
from gohan_jobs.stores.base import Compare, Delete, Put, Transaction, TransactionResult, scan
from gohan_jobs.stores.etcd import EtcdStore
from gohan_jobs.stores.memory import MemoryStore
from gohan_jobs.stores.transactions import MAX_REQUEST_BYTES, request_bytes
from gohan_jobs.testing.etcd import EtcdCluster
from worlds import ALIAS, DISK, NETWORK, PORT, QUOTA, TEMPLATES, World, ref

OTHER = "another cluster"


def lines(store: MemoryStore, redactor: Redactor | None = None) -> list[bytes]:
    """A dump's lines."""
    return [line.encode("utf-8", "surrogatepass") for line in dump(store, redactor=redactor)]


def load(store: MemoryStore, found: Iterable[bytes]) -> Loaded:
    """Load a dump's lines."""
    found = list(found)
    return Restorer(store, lambda: found).load()


def everything(store: MemoryStore) -> dict[str, bytes]:
    """All that is stored."""
    return {entry.key: entry.value for page in scan(store, "") for entry in page.entries}


def moved(world: World) -> World:
    """A world on a store that its dump was loaded into; Heat and the clock stay."""
    other = World(templates={}, heat=world.heat, clock=world.clock)
    other.store = MemoryStore(clock=world.clock, cluster_id=OTHER)
    other._watch = other.store.watch("/", 1)
    load(other.store, lines(world.store))
    other.lifecycle = other.peer()
    return other


def busy() -> World:
    """A world with something of everything: done, running, waiting, held, set aside."""
    world = World(operation_seconds=8.0)
    world.write(ALIAS)
    world.write(DISK)
    world.write(QUOTA, {}, 0)
    world.pass_time(20)
    world.write(ref("network", "n2"))
    world.put("/config/v2.0/disks/broken", b"no JSON")
    world.write(NETWORK, {"name": "blue"})
    world.pass_time(1)
    world.write(NETWORK, {"name": "red"}, 2)
    world.write(PORT, {"network_id": "n1"})
    world.write(ref("port", "p2"), {"network_id": "nowhere"})
    world.pass_time(1)
    return world


def test_values_come_back_byte_for_byte() -> None:
    """What is not UTF-8, too; keys of others are not looked at."""
    world = World()
    world.put("/config/v2.0/ports/a", b"\xff\x00")
    world.put("/config/v2.0/ports/b", '{"name": "\u65e5\u2028\U0001f600"}')
    world.put("/worker-workflow-jobs", b"")
    world.put("/worker-workflow-jobs2", b"another's")
    world.put("/job_manager_id2", b"another's")
    world.put("/gohan/lock", b"another's")
    expected = {key: value for key, value in everything(world.store).items() if "2" not in key[-1:]}
    del expected["/gohan/lock"]
    other = MemoryStore()
    loaded = load(other, lines(world.store))
    assert expected == everything(other)
    assert Loaded(entries=len(expected), left_out=0, put_back=()) == loaded


def test_all_kinds_of_keys_come_back() -> None:
    """Under each documented prefix, and each of ours; nothing is only for one of them."""
    names = (
        "/config/v2.0/ports/a",
        "/config/v1.0/heat_templates/a",
        "/gohan-jobs/cancels/a",
        "/gohan-jobs/failed/a",
        "/gohan-jobs/held/v2.0/ports/a",
        "/gohan-jobs/orphans/v2.0/ports/a",
        "/gohan-jobs/repairs/v2.0/ports/a",
        "/gohan-jobs/reports/v2.0/ports/a",
        "/jobs/all/a",
        "/jobs/finished/a",
        "/jobs/ready/a",
        "/jobs/waiting/a",
        "/monitoring/v2.0/ports/a",
        "/state/v2.0/ports/a",
        "/esi-worker/heat_stacks/v2.0/ports/a",
        "/esi-worker/job_state/v2.0/ports/a",
        "/worker-workflow-jobs",
    )
    store, other = MemoryStore(), MemoryStore()
    store.transact(Transaction((), tuple(Put(name, b"odd") for name in names)))
    load(other, lines(store))
    assert sorted(names) == sorted(everything(other))


def test_a_dump_is_of_one_revision(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is written meanwhile is not in it."""
    world = World()
    found = dump(world.store)
    header = json.loads(next(found))
    first = json.loads(next(found))
    world.put("/state/v2.0/ports/late", b"{}")
    world.put("/worker-workflow-jobs", b"late")
    assert (DUMP_FORMAT, world.store.revision() - 2) == (header["format"], header["revision"])
    late = {"/state/v2.0/ports/late", "/worker-workflow-jobs"}
    assert set() == late & {json.loads(line).get("key") for line in found}
    assert first["key"].startswith("/config/")


def test_a_digest_is_of_what_lines_say() -> None:
    """Whatever a program has made of their ends; a blank that was added before is found."""
    store = MemoryStore()
    store.transact(Transaction((), (Put("/config/a/b", b"{}"),)))
    found = lines(store)
    read = [*read_dump(found)]
    assert read == [*read_dump([line + b"\r\n" for line in found])]
    with pytest.raises(OperationRefused, match="a line is not as it was dumped"):
        list(read_dump([line + b" \n" for line in found]))


def test_what_a_dump_says_is_read_again() -> None:
    """Its header, and each key with where it stood."""
    store = MemoryStore(cluster_id="c0ffee")
    lease = store.grant_lease(10.0).id
    store.transact(Transaction((), (Put("/config/a/b", b"{}"), Put("/jobs/working/x", b"", lease))))
    header, config, working = read_dump(lines(store))
    assert DumpHeader(cluster="c0ffee", revision=2) == header
    assert Dumped(key="/config/a/b", value=b"{}", create=2, mod=2) == config
    assert isinstance(working, Dumped)
    assert working.leased


def test_nothing_is_done_again() -> None:
    """After a move at rest a job manager writes nothing but its own marks."""
    world = World()
    for resource in (ALIAS, DISK, NETWORK, QUOTA):
        world.write(resource)
    world.pass_time(10)
    world.write(NETWORK, {}, 2, marked=True)
    world.pass_time(10)
    world.lifecycle.close()
    asked = len(world.heat.changes)
    other = moved(world)
    before = everything(other.store)
    assert {**everything(world.store), "/gohan-jobs/cluster": OTHER.encode()} == before
    other.pass_time(100)
    other.lifecycle.close()
    assert before == everything(other.store)
    assert asked == len(world.heat.changes)


def test_what_was_going_on_goes_on() -> None:
    """Jobs that run, wait and are held end as they would have; each version has one result."""
    world = busy()
    states = {
        resource: world.states_of(resource)
        for resource in (ALIAS, DISK, QUOTA, NETWORK, PORT, ref("network", "n2"))
    }
    running = {job.id for job in world.jobs() if world.place(job.id) is Place.WORKING}
    assert 2 == len(running)
    other = moved(world)
    assert {Place.WAITING} == {other.place(job_id) for job_id in running}
    other.pass_time(120)
    assert [] == other.jobs()
    assert [("CREATE_COMPLETED", 1, ""), ("MODIFY_COMPLETED", 2, "")] == other.states_of(NETWORK)
    for resource, known in states.items():
        assert len(other.states_of(resource)) == max(1, len(known)) + (resource == NETWORK)
    created = [change for change in other.changes() if change[0] == "create"]
    assert sorted(set(created)) == sorted(created)
    held = other.outcome(ref("port", "p2"))
    assert held is not None
    assert "READ_ERROR" == held[0]


def test_jobs_put_back_have_begun() -> None:
    """Their attempts stay as they were, and their notes name the config that is there now."""
    world = busy()
    other = moved(world)
    own = Queue(world.keys, world.codec).own
    for job in world.jobs():
        before, after = world.store.get(own.job(job.id)), other.store.get(own.job(job.id))
        assert before is not None
        assert after is not None
        old = own.loads(before.key, before.value, JobNotes)
        new = own.loads(after.key, after.value, JobNotes)
        config = other.store.get(f"/config/{new.path}")
        assert config is not None
        assert (old.attempts, config.create_revision) == (new.attempts, new.config_create)
        assert (world.place(job.id) is Place.WORKING or old.begun) == new.begun
        current = world.store.get(f"/config/{old.path}")
        assert current is not None
        assert (old.config_mod == current.mod_revision) == (new.config_mod == config.mod_revision)
        template = other.store.get(f"/config/v2.0/heat_templates/{new.template_id}")
        assert template is not None
        assert template.mod_revision == new.template_revision


def test_waiting_jobs_are_not_computed_again() -> None:
    """Their templates have other revisions there, and say the same (``rules`` 2, 9)."""
    world = busy()
    for name, mappings in TEMPLATES.items():
        world.template(name, mappings)  # so that the notes name no revision that is there
    world.settle()
    other = moved(world)
    other.pass_time(120)
    assert [] == other.jobs()
    written = [write for write in other.history(other.keys.all_jobs) if write.kind == "put"]
    assert sorted({write.key for write in written}) == sorted(write.key for write in written)


def test_what_was_to_be_ended_is_ended() -> None:
    """A job that a delete has pre-empted is not run again."""
    world = World(operation_seconds=60.0)
    world.write(NETWORK)
    world.pass_time(1)
    first = world.job(NETWORK).id
    worker = world.lifecycle
    world.lifecycle = world.peer(roles=("manager",))
    worker._manager.close()  # type: ignore[union-attr]  # it is one
    world.write(NETWORK, {}, 2, marked=True)
    world.settle()
    assert b"delete" == world.text(f"/gohan-jobs/preempt/{first}")
    other = moved(world)
    assert None is other.place(first)
    other.pass_time(130)
    assert [("DELETE_COMPLETED", 2, "")] == other.states_of(NETWORK)


class Failing(MemoryStore):
    """A store that fails at one of its writes."""

    left = -1

    def transact(self, transaction: Transaction) -> TransactionResult:
        """Fail, once."""
        self.left -= 1
        if self.left == 0:
            raise StoreUnavailable("no answer")
        return super().transact(transaction)


def test_a_load_that_is_cut_off_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whichever write failed, repeated it ends equal; until then no job manager starts."""
    monkeypatch.setattr("gohan_jobs.operations.restoring._KEYS", 7)
    found = lines(busy().store)
    whole = Failing(cluster_id=OTHER)
    load(whole, found)
    for number in range(1, -whole.left):
        store = Failing(cluster_id=OTHER)
        store.left = number
        with pytest.raises(StoreUnavailable):
            load(store, found)
        if number > 1:
            assert LOADING.encode() == everything(store)["/gohan-jobs/format"]
            world = World(templates={})
            world.store = store
            with pytest.raises(UnsupportedFormat):
                world.peer().step()
        load(store, found)
        assert everything(whole) == everything(store)
        revision = store.revision()
        load(store, found)
        assert revision == store.revision()


def large(key: str, size: int) -> str:
    """A line of a dump."""
    return json.dumps({"key": key, "text": "x" * size, "create": 2, "mod": 2})


def file_of(*rows: str) -> list[bytes]:
    """A dump's lines."""
    return [row.encode() for row in (HEADER, *rows, json.dumps({"entries": len(rows)}))]


def test_all_that_can_not_be_loaded_is_named_before_anything_is_written() -> None:
    """Values over the store's limit, doubled keys and strange ones; in one error."""
    key = "/config/v2.0/networks/"
    notes = "/gohan-jobs/jobs/x"
    found = file_of(
        large(f"{key}1", 1_600_000),
        large(f"{key}2", 10),
        large(f"{key}2", 10),
        large("/etc/passwd", 1),
        large(notes, 1_572_700),
        large("/state/" + "k" * 800_000, 10),
    )
    store = MemoryStore()
    told = refusal(store, found).removeprefix("the dump: can't be loaded: ").split("; ")
    assert [
        f"{key}1: 1600095 bytes to write, the store takes 1572800",
        f"{key}2: stands in the dump twice",
        "/etc/passwd: is none of a deployment's keys",
        f"{notes}: 1572913 bytes to write, the store takes 1572800",
    ] == told[:4]
    assert told[4].startswith("/state/kkk")
    assert 5 == len(told)
    assert (1, {}) == (store.revision(), everything(store))


@pytest.mark.parametrize("key", ["/config/v2.0/networks/n1", "/config/v2.0/networks/\u65e5"])
def test_the_largest_value_that_a_store_takes(key: str) -> None:
    """It is loaded; one byte more is refused by the survey, and not by the store."""
    reason = refusal(MemoryStore(), file_of(large(key, 1_600_000)))
    overhead = int(reason.split(": ")[1].split()[0]) - 1_600_000
    store = MemoryStore()
    most = 1_572_864 - 64 - overhead
    assert 1 == load(store, file_of(large(key, most))).entries
    assert {key: b"x" * most} == everything(store)
    store = MemoryStore()
    assert f"{key}: 1572801 bytes to write, the store takes 1572800" == refusal(
        store, file_of(large(key, most + 1))
    )
    assert {} == everything(store)


class Small(MemoryStore):
    """A store whose server was set up with smaller limits than etcd's own."""

    def __init__(self, size: int, operations: int) -> None:
        super().__init__()
        self.size = size
        self.operations = operations

    def transact(self, transaction: Transaction) -> TransactionResult:
        """Refuse what is larger."""
        size, operations = request_bytes(transaction), len(transaction.compares)
        if size > self.size or operations > self.operations:
            raise TransactionTooLarge("/some/key", size, MAX_REQUEST_BYTES)
        return super().transact(transaction)


def test_what_a_smaller_server_does_not_take_is_found_before_anything_is_written() -> None:
    """It is asked together with the first write, by as large a request as will follow."""
    key = "/config/v2.0/networks/n1"
    found = file_of(large("/state/v2.0/networks/n1", 10), large(key, 500_000))
    size = int(refusal(Small(400_000, 128), found).removeprefix(f"{key}: ").split()[0])
    store = Small(size - 17, 128)
    assert (
        f"{key}: {size} bytes to write, and this server takes less: see --max-request-bytes"
    ) == refusal(store, found)
    assert (1, {}) == (store.revision(), everything(store))
    assert 2 == load(Small(size, 128), found).entries


def test_a_smaller_server_gets_smaller_batches() -> None:
    """As many keys at once as it takes, in bytes or in number."""
    keys = [f"/config/v2.0/networks/{number:02}" for number in range(20)]
    found = file_of(*(large(key, 20_000) for key in keys))
    expected = dict.fromkeys(keys, b"x" * 20_000)
    for store in (Small(50_000, 128), Small(MAX_REQUEST_BYTES, 4)):
        load(store, found)
        assert expected == everything(store)


def test_what_a_server_does_not_take_after_all() -> None:
    """Its limits became smaller while it was loaded: the load is cut off."""
    store = Small(MAX_REQUEST_BYTES, 128)
    mark = store.transact

    def shrink(transaction: Transaction) -> TransactionResult:
        """Take the mark, and not much after it."""
        done = mark(transaction)
        store.size = 1000
        return done

    store.transact = shrink  # type: ignore[method-assign] # a server of another set-up
    with pytest.raises(TransactionTooLarge):
        load(store, file_of(large("/state/v2.0/networks/n1", 10_000)))
    assert {"/gohan-jobs/format": LOADING.encode()} == everything(store)


def test_a_real_server_with_smaller_limits() -> None:
    """Its own words are understood, and nothing is written."""
    key = "/config/v2.0/networks/n1"
    found = [*file_of(large(key, 300_000))]
    with EtcdCluster(flags=["--max-request-bytes=100000"]) as etcd, EtcdStore(etcd.endpoints) as to:
        before = to.revision()
        with pytest.raises(OperationRefused, match=f"{key}: .*this server takes less"):
            Restorer(to, lambda: found).load()
        assert before == to.revision()
        rows = [large(f"{key}{number}", 30_000) for number in range(9)]
        assert 9 == Restorer(to, lambda: file_of(*rows)).load().entries


def test_long_keys_are_written_in_smaller_batches() -> None:
    """A key counts twice: it is compared, too."""
    rows = [large(f"/state/{number}/" + "\u65e5" * 10_000, 1) for number in range(50)]
    assert 50 == load(MemoryStore(), file_of(*rows)).entries


def undo(store: MemoryStore, found: Iterable[bytes]) -> int:
    """Take back a load of a dump's lines."""
    found = list(found)
    return undo_load(store, lambda: found)


def test_a_load_that_was_cut_off_is_taken_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whichever write failed, nothing is left of it; a taking back that fails is repeated."""
    for module in ("restoring", "undoing"):
        monkeypatch.setattr(f"gohan_jobs.operations.{module}._KEYS", 7)
    found = lines(busy().store)
    whole = Failing(cluster_id=OTHER)
    load(whole, found)
    for number in range(2, -whole.left):
        store = Failing(cluster_id=OTHER)
        store.left = number
        with pytest.raises(StoreUnavailable):
            load(store, found)
        there = len(everything(store)) - 1
        store.left = 2
        if there > 7:
            with pytest.raises(StoreUnavailable):
                undo(store, found)
            assert LOADING.encode() == everything(store)["/gohan-jobs/format"]
            there -= 7
        store.left = -1
        assert there == undo(store, found)
        assert {} == everything(store)
        load(store, found)
        assert everything(whole).keys() == everything(store).keys()


def half(found: Iterable[bytes]) -> Failing:
    """A store in which a load was cut off."""
    store = Failing(cluster_id=OTHER)
    store.left = 3
    with pytest.raises(StoreUnavailable):
        load(store, found)
    store.left = -1
    return store


def test_what_is_not_taken_back() -> None:
    """What was loaded whole, what is empty, and what the dump does not hold."""
    found = lines(busy().store)
    whole = MemoryStore(cluster_id=OTHER)
    load(whole, found)
    for store in (whole, MemoryStore()):
        revision = store.revision()
        with pytest.raises(OperationRefused, match="no load was cut off here"):
            undo(store, found)
        assert revision == store.revision()
    strange = {
        "/state/a/b": "/state/a/b: is not of this dump",
        "/config/v2.0/networks/n1": "/config/v2.0/networks/n1: holds another value than the dump",
    }
    for key, reason in strange.items():
        store = half(found)
        store.transact(Transaction((), (Put(key, b"theirs"),)))
        before = everything(store)
        with pytest.raises(OperationRefused, match=f"{reason}: nothing was taken back"):
            undo(store, found)
        assert before == everything(store)


def test_somebody_works_where_a_load_is_taken_back() -> None:
    """Between looking and removing a key changes: nothing is removed with it."""
    found = lines(busy().store)
    store = half(found)

    class Raced(Failing):
        def transact(self, transaction: Transaction) -> TransactionResult:
            key = "/config/v2.0/networks/n1"
            super().transact(Transaction((), (Put(key, b"theirs"),)))
            return super().transact(transaction)

    before = everything(store)
    store.__class__ = Raced
    with pytest.raises(OperationRefused, match="somebody else works in this keyspace"):
        undo(store, found)
    assert {**before, "/config/v2.0/networks/n1": b"theirs"} == everything(store)


@pytest.mark.parametrize(
    "theirs", [Put("/job_manager_id", b"theirs"), Put("/gohan-jobs/format", b"1")]
)
def test_who_begins_to_work_while_a_load_is_taken_back(theirs: Put) -> None:
    """A job manager that leads by now, and a load that has come to its end, lose nothing."""
    found = lines(busy().store)
    store = half(found)

    class Raced(Failing):
        def transact(self, transaction: Transaction) -> TransactionResult:
            super().transact(Transaction((), (theirs,)))
            return super().transact(transaction)

    before = everything(store)
    store.__class__ = Raced
    with pytest.raises(OperationRefused, match="somebody else works in this keyspace"):
        undo(store, found)
    assert {**before, theirs.key: theirs.value} == everything(store)


def test_all_is_looked_at_before_anything_is_taken_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not the dump's may stand behind more keys than are removed at once."""
    monkeypatch.setattr("gohan_jobs.operations.undoing._KEYS", 1)
    found = lines(busy().store)
    store = half(found)
    store.transact(Transaction((), (Put("/worker-workflow-jobs", b"theirs"),)))
    before = everything(store)
    with pytest.raises(OperationRefused, match="is not of this dump: nothing was taken back"):
        undo(store, found)
    assert before == everything(store)


def test_what_hangs_on_a_lease_is_nobodys_load() -> None:
    """Neither to go on with nor to take back, though the dump has that key with that value."""
    found = lines(busy().store)
    store = half(found)
    key = "/config/v2.0/networks/n1"
    value = everything(store)[key]
    store.transact(Transaction((), (Put(key, value, store.grant_lease(60.0).id),)))
    with pytest.raises(OperationRefused, match=f"{key}: is not of this dump"):
        undo(store, found)
    assert f"the keyspace: is not empty: {key}" == refusal(store, found)


def test_who_meets_a_half_loaded_keyspace_is_told_what_to_do() -> None:
    """In the error that keeps everything else from starting, and by the one who loads."""
    found = lines(busy().store)
    store = half(found)
    world = World(templates={})
    world.store = store
    with pytest.raises(UnsupportedFormat, match=r"load FILE` with the same dump .* --undo"):
        world.peer().step()
    restorer = Restorer(store, lambda: lines(World().store))
    with pytest.raises(OperationRefused, match="is not empty"):
        restorer.load()
    assert restorer.unfinished
    again = Restorer(store, lambda: found)
    again.load()
    assert not again.unfinished


def test_what_was_whole_is_not_made_whole_again() -> None:
    """A deployment has worked since: what it has removed does not come back."""
    found = lines(busy().store)
    store = MemoryStore(cluster_id=OTHER)
    load(store, found)
    key = "/config/v2.0/networks/n1"
    store.transact(Transaction((), (Delete(key),)))
    revision = store.revision()
    assert f"{key}: is gone since the dump was loaded" == refusal(store, found)
    assert revision == store.revision()


def refusal(store: MemoryStore, found: Iterable[bytes]) -> str:
    """Why a load is refused."""
    with pytest.raises(OperationRefused) as refused:
        load(store, found)
    return str(refused.value)


def test_a_keyspace_with_something_in_it_is_refused() -> None:
    """What is there is named, but for its number."""
    found = lines(busy().store)
    store = MemoryStore()
    puts = tuple(Put(f"/state/a/{number}", b"") for number in range(7))
    store.transact(Transaction((), puts))
    named = ", ".join(f"/state/a/{number}" for number in range(5))
    assert f"the keyspace: is not empty: {named} and 2 more" == refusal(store, found)
    store = MemoryStore()
    store.transact(Transaction((), (Put("/config/v2.0/networks/n1", b"{}"),)))
    expected = "/config/v2.0/networks/n1: holds another value than the dump"
    assert expected == refusal(store, found)


def test_a_keyspace_that_somebody_works_in_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the first write, and between any two."""
    monkeypatch.setattr("gohan_jobs.operations.restoring._KEYS", 7)
    found = lines(busy().store)
    store = MemoryStore()
    lease = store.grant_lease(10.0).id
    leader = Transaction((), (Put("/job_manager_id", b"", lease),))
    store.transact(leader)
    assert "the keyspace: is not empty: /job_manager_id" == refusal(store, found)

    class Raced(MemoryStore):
        def __init__(self, at: int) -> None:
            super().__init__()
            self.at = at

        def transact(self, transaction: Transaction) -> TransactionResult:
            self.at -= 1
            if self.at == 0:
                super().transact(Transaction((), (Put("/job_manager_id", b""),)))
            return super().transact(transaction)

    somebody = "/gohan-jobs/format: somebody else works in this keyspace"
    assert somebody == refusal(Raced(1), found)
    assert "/job_manager_id: a job manager works in this keyspace" == refusal(Raced(3), found)


@pytest.mark.parametrize(
    ("last", "theirs"),
    [
        (False, Put("/gohan-jobs/format", b"1")),
        (True, Put("/gohan-jobs/format", b"1")),
        (True, Put("/job_manager_id", b"theirs")),
    ],
)
def test_who_begins_to_work_before_a_keyspace_is_marked(*, last: bool, theirs: Put) -> None:
    """Neither the mark that it is half nor the one that it is whole is written over theirs."""
    found = lines(busy().store)
    whole = Failing(cluster_id=OTHER)
    load(whole, found)

    class Raced(MemoryStore):
        calls = 0

        def transact(self, transaction: Transaction) -> TransactionResult:
            self.calls += 1
            if self.calls == (-1 - whole.left if last else 1):
                super().transact(Transaction((), (theirs,)))
            return super().transact(transaction)

    store = Raced(cluster_id=OTHER)
    assert "/gohan-jobs/format: somebody else works in this keyspace" == refusal(store, found)
    assert theirs.value == everything(store)[theirs.key]


def test_jobs_come_in_the_order_in_which_they_were_planned(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not in that of their names: who was planned first is first in the queue."""
    monkeypatch.setattr("gohan_jobs.operations.restoring._KEYS", 1)
    store, other = MemoryStore(), MemoryStore()
    for name in ("b", "a"):
        store.transact(Transaction((), (Put(f"/jobs/all/{name}", b"{}"),)))
    load(other, lines(store))
    created = {entry.key: entry.create_revision for entry in other.entries("/jobs/").entries}
    assert ["/jobs/all/b", "/jobs/all/a"] == sorted(created, key=created.__getitem__)


class Followed(MemoryStore):
    """A store in which somebody else loads, too: a bit ahead."""

    value: bytes | None = None

    def transact(self, transaction: Transaction) -> TransactionResult:
        """Somebody else writes one of the keys before."""
        put = next(iter(transaction.success), None)
        if isinstance(put, Put) and put.key.startswith("/config/"):
            theirs = put.value if self.value is None else self.value
            super().transact(Transaction((Compare.absent(put.key),), (Put(put.key, theirs),)))
        return super().transact(transaction)


@pytest.mark.parametrize("batch", [1, 7])
def test_two_who_load_the_same(monkeypatch: pytest.MonkeyPatch, batch: int) -> None:
    """Each writes what the other has not written; what is another dump's is found."""
    monkeypatch.setattr("gohan_jobs.operations.restoring._KEYS", batch)
    found = lines(busy().store)
    alone, followed = MemoryStore(cluster_id=OTHER), Followed(cluster_id=OTHER)
    load(alone, found)
    load(followed, found)
    assert everything(alone).keys() == everything(followed).keys()
    followed = Followed(cluster_id=OTHER)
    followed.value = b"{}"
    assert "holds another value than the dump" in refusal(followed, found)


def test_another_releases_keyspace_is_refused() -> None:
    """Its format is not taken away."""
    store = MemoryStore()
    store.transact(Transaction((), (Put("/gohan-jobs/format", b"9"),)))
    expected = "/gohan-jobs/format: says that the keyspace is another release's"
    assert expected == refusal(store, lines(busy().store))


def test_what_was_loaded_is_verified(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever writes meanwhile is found out."""
    store = MemoryStore()
    restorer = Restorer(store, lambda: lines(world.store))
    world = World()
    end = restorer._end

    def meddle() -> None:
        end()
        store.transact(Transaction((), (Put("/state/a/b", b""),)))

    monkeypatch.setattr(restorer, "_end", meddle)
    with pytest.raises(OperationRefused, match="/state/a/b: is not as in the dump"):
        restorer.load()


HEADER = json.dumps({"format": DUMP_FORMAT, "cluster": "c", "revision": 1, "redacted": False})
LINE = '{"key": "/state/a/b", "text": "", "create": 2, "mod": 2}'
SURROGATE = LINE.replace("/b", "\\ud800")
BASE64 = LINE.replace('"text": ""', '"base64": "QQ=="')


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "line 1: expected a JSON object"),
        ("[]", "line 1: expected a JSON object"),
        ("{}", f"line 1: expected a dump of the format '{DUMP_FORMAT}'"),
        (json.dumps({"format": DUMP_FORMAT}), "line 1: not the first line of a dump"),
        (HEADER, "line 2: the dump was cut off here"),
        (f"{HEADER}\n{LINE}", "line 3: the dump was cut off here"),
        (f"{HEADER}\n{LINE}\n{LINE[:20]}", "line 3: expected a JSON object"),
        (f'{HEADER}\n{LINE}\n{{"entries": 2}}', "line 3: no key, and not the end of a whole dump"),
        (f'{HEADER}\n{{"entries": 0}}\n{LINE}', "line 2: no key, and not the end of a whole dump"),
        (f'{HEADER}\n{{"key": "/state/a/b"}}', "line 2: not a line of a dump"),
        (f"{HEADER}\n{LINE.replace('/state/a/b', '')}", "line 2: not a line of a dump"),
        (f"{HEADER}\n{SURROGATE}", "line 2: not a line of a dump"),
        (f"{HEADER}\n{BASE64}", "line 3: the dump was cut off here"),
        (f"{HEADER}\n{BASE64.replace('QQ==', '!!!!')}", "line 2: not a line of a dump"),
        (f"{HEADER}\n{LINE.replace('2', '1e999')}", "line 2: not a line of a dump"),
        (f"{HEADER}\n{'[' * 100_000}", "line 2: expected a JSON object"),
        (
            f'{HEADER}\n{LINE}\n{{"entries": 1, "digest": "0"}}',
            "line 3: a line is not as it was dumped: the digest is another",
        ),
        (
            f'{HEADER}\n{LINE.replace("/state", "/etc")}\n{{"entries": 1}}',
            "/etc/a/b: is none of a deployment's keys",
        ),
        (f'{HEADER}\n{LINE}\n{LINE}\n{{"entries": 2}}', "/state/a/b: stands in the dump twice"),
        (HEADER.replace("false", "true"), "the dump: its secrets are masked: it can't be loaded"),
    ],
)
def test_files_that_are_no_dumps(text: str, reason: str) -> None:
    """Nothing is written."""
    store = MemoryStore()
    assert reason == refusal(store, text.encode().split(b"\n"))
    assert {} == everything(store)


def put_notes(world: World, key: str, notes: RetryRequest) -> None:
    """Write something of ours."""
    world.put(key, Queue(world.keys, world.codec).own.dumps(notes))


def test_what_is_about_another_version_is_left_out() -> None:
    """Requests, holds and quarantines of earlier versions; what can't be read stays."""
    world = busy()
    network = world.store.get("/config/v2.0/networks/n2")
    assert network is not None
    own = world.keys.own
    now = RetryRequest(version=1, config_mod=network.mod_revision)
    put_notes(world, f"{own}retries/v2.0/networks/n2", now)
    put_notes(world, f"{own}retries/v2.0/networks/n1", RetryRequest(version=1, config_mod=3))
    world.put(f"{own}retries/v2.0/networks/junk", b"no JSON")
    held = world.text(f"{own}held/v2.0/ports/p2")
    assert held is not None
    world.put(f"{own}held/v2.0/ports/p3", held)
    removal = b'{"config_mod":0,"reason":"","since":"","until":""}'
    world.put(f"{own}held/v2.0/ports/p4", removal)
    aside = f"{own}quarantine/config/v2.0/disks/broken"
    assert world.text(aside) is not None
    world.put(f"{own}quarantine/old", b'{"key":"/x","mod_revision":3,"reason":"","since":""}')
    other = MemoryStore()
    load(other, lines(world.store))
    found = everything(other)
    broken = other.get("/config/v2.0/disks/broken")
    assert broken is not None
    assert json.loads(found[aside])["mod_revision"] == broken.mod_revision
    moved_to = other.get("/config/v2.0/networks/n2")
    assert moved_to is not None
    retry = json.loads(found[f"{own}retries/v2.0/networks/n2"])
    assert moved_to.mod_revision == retry["config_mod"]
    assert b"no JSON" == found[f"{own}retries/v2.0/networks/junk"]
    assert removal == found[f"{own}held/v2.0/ports/p4"]
    gone = ("retries/v2.0/networks/n1", "held/v2.0/ports/p3", "quarantine/old")
    assert set() == {f"{own}{name}" for name in gone} & found.keys()


def test_jobs_of_configs_that_are_others_by_now() -> None:
    """Their results will be dropped, as they would have been; one-step deletes have none."""
    world = World()
    own = Queue(world.keys, world.codec).own
    world.write(NETWORK)
    config = world.store.get("/config/v2.0/networks/n1")
    assert config is not None
    expected = {"a": (config.create_revision - 1, 1), "b": (0, 0), "c": (4, 1)}
    for name, (create, _) in expected.items():
        path = "v2.0/networks/gone" if name == "c" else "v2.0/networks/n1"
        notes = JobNotes(planned_at="", path=path, config_create=create, config_mod=create)
        world.put(f"{own.jobs_prefix}{name}", own.dumps(notes))
    other = MemoryStore()
    load(other, lines(world.store))
    found = everything(other)
    for name, (_, create) in expected.items():
        notes = own.loads(name, found[f"{own.jobs_prefix}{name}"], JobNotes)
        assert create == notes.config_create


def test_a_result_of_an_earlier_config_stays_earlier() -> None:
    """A config created after the result at its key is still younger than it."""
    world = World()
    world.put("/state/v2.0/networks/n1", b'{"state":{"worker_state":"x"},"version":1,"error":""}')
    world.write(NETWORK)
    other = MemoryStore()
    load(other, lines(world.store))
    state, config = other.get("/state/v2.0/networks/n1"), other.get("/config/v2.0/networks/n1")
    assert state is not None
    assert config is not None
    assert state.mod_revision < config.create_revision


def test_keys_that_are_no_jobs() -> None:
    """What stands among the working and is none is left out."""
    world = World()
    world.put(f"{Keys().place_prefix(Place.WORKING)}junk", b"")
    loaded = load(MemoryStore(), lines(world.store))
    assert (1, ()) == (loaded.left_out, loaded.put_back)


def test_a_claim_without_a_document() -> None:
    """It waits, and the leader sets it aside as it would have."""
    world = World()
    job_id = JobId("create", "heat_worker", "network", "n1", 1, "aaaaa")
    world.put(world.keys.place(Place.WORKING, job_id), b"somebody")
    loaded = load(MemoryStore(), lines(world.store))
    assert (job_id,) == loaded.put_back


def test_a_redacted_dump_has_no_secrets() -> None:
    """Under a secret key, in a text of JSON, and wherever else the same text turns up."""
    world = World()
    body = {
        "id": "p1",
        "password": "hunter22",
        "pin_token": 123456,
        "short_secret": "abc",
        "script": "echo hunter22 > x",
        "passphrase_secret": "wxyz",
        "note": "say wxyz",
        "flag_secret": "True",
        "copy": ["hunter22", "abc", 123456, True, None, "abcde"],
    }
    world.put("/config/v2.0/ports/p1", json.dumps({"body": json.dumps(body), "version": 1}))
    world.put("/config/v2.0/ports/odd", "hunter22")
    world.put("/config/v2.0/ports/bytes", b"\xff\x00hunter22")
    world.put("/config/v2.0/ports/list", "[1")
    world.put("/jobs/ready/x", "heat_worker")
    world.put("/state/v2.0/ports/p1", '{"error": "bad: hunter22", "state": {}}')
    found = lines(world.store, Redactor())
    assert [] == [line for line in found if b"hunter22" in line or b"123456" in line]
    values = {item.key: item.value for item in read_dump(found) if isinstance(item, Dumped)}
    shown = json.loads(json.loads(values["/config/v2.0/ports/p1"])["body"])
    assert ("echo *** > x", "say ***") == (shown["script"], shown["note"])
    assert ["***", "***", "***", True, None, "abcde"] == shown["copy"]
    assert b"heat_worker" == values["/jobs/ready/x"]
    assert b"***" == values["/config/v2.0/ports/odd"]
    assert "bad: ***" == json.loads(values["/state/v2.0/ports/p1"])["error"]
