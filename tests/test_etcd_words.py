"""Endpoints, errors and messages: what is said to gRPC and etcd, and what they say."""

from __future__ import annotations

import importlib.util
import socket
import sys
import types

import pytest
from google.protobuf import descriptor_pool
from hypothesis import given
from hypothesis import strategies as st

from gohan_jobs.exceptions import (
    Compacted,
    LeaseNotFound,
    StoreFull,
    StoreRefused,
    StoreUnavailable,
    TransactionTooLarge,
)
from gohan_jobs.stores.base import Compare, Comparison, Delete, Get, Put, Target, Transaction
from gohan_jobs.stores.etcd import EtcdStore, messages
from gohan_jobs.stores.etcd.advice import Advice
from gohan_jobs.stores.etcd.asking import asked_by, asked_keys
from gohan_jobs.stores.etcd.endpoints import host_of, target_of
from gohan_jobs.stores.etcd.errors import (
    FutureRevision,
    Lost,
    StaleToken,
    Untrusted,
    explain,
)
from gohan_jobs.stores.transactions import puts_of, request_bytes, validate


@pytest.mark.parametrize(
    ("endpoints", "secure", "target"),
    [
        (["127.0.0.1:2379"], False, "ipv4:127.0.0.1:2379"),
        (["127.0.0.1"], False, "ipv4:127.0.0.1:2379"),
        (["http://127.0.0.1:1/"], False, "ipv4:127.0.0.1:1"),
        (["https://etcd.example:1"], True, "dns:///etcd.example:1"),
        (["[::1]:1"], False, "ipv6:[::1]:1"),
        (["127.0.0.1:1", "127.0.0.2:2"], False, "ipv4:127.0.0.1:1,127.0.0.2:2"),
        (["[::1]:1", "[::2]:2"], True, "ipv6:[::1]:1,[::2]:2"),
        (["127.0.0.1:1", "127.0.0.1:1"], False, "ipv4:127.0.0.1:1"),
    ],
)
def test_target(endpoints: list[str], secure: bool, target: str) -> None:  # noqa: FBT001 - parametrized
    """Endpoints become one target."""
    assert target_of(endpoints, secure=secure) == target


def test_several_names_are_resolved(monkeypatch: pytest.MonkeyPatch) -> None:
    """GRPC takes no list of names; a name may have several addresses."""
    hosts = {"a": ["10.0.0.1", "10.0.0.2"], "b": ["10.0.0.3"]}

    def resolve(host: str, port: int, family: int, kind: int) -> list[tuple[object, ...]]:
        if host not in hosts or family == socket.AF_INET6:
            raise socket.gaierror
        return [(family, kind, 0, "", (address, port)) for address in hosts[host]]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    expected = "ipv4:10.0.0.1:1,10.0.0.2:1,10.0.0.3:2"
    assert target_of(["a:1", "b:2"], secure=False) == expected
    with pytest.raises(StoreUnavailable, match="nowhere"):
        target_of(["a:1", "nowhere:2"], secure=False)


@pytest.mark.parametrize(
    ("endpoints", "secure", "message"),
    [
        ([], False, "no endpoint"),
        (["a b"], False, "expected host:port"),
        (["https://a:1"], False, "needs a ca"),
        (["http://a:1"], True, "does not go with a ca"),
        (["ftp://a:1"], False, "expected host:port"),
    ],
)
def test_bad_endpoints(endpoints: list[str], secure: bool, message: str) -> None:  # noqa: FBT001 - parametrized
    """What can't be meant is refused."""
    with pytest.raises(ValueError, match=message):
        target_of(endpoints, secure=secure)


def test_host() -> None:
    """The host is what a certificate is checked for."""
    assert [host_of(e) for e in ("a:1", "https://b", "[::1]:1")] == ["a", "b", "::1"]


@pytest.mark.parametrize(
    ("code", "details", "kind"),
    [
        ("UNAUTHENTICATED", "etcdserver: invalid auth token", StaleToken),
        ("INVALID_ARGUMENT", "etcdserver: revision of auth store is old", StaleToken),
        ("UNAVAILABLE", "SSL_ERROR_SSL: ... CERTIFICATE_VERIFY_FAILED: ...", Untrusted),
        ("UNAVAILABLE", "etcdserver: rpc not supported for learner", StoreUnavailable),
        ("UNAVAILABLE", "failed to connect to all addresses; ...", StoreUnavailable),
        ("UNAVAILABLE", "etcdserver: no leader", StoreUnavailable),
        ("RESOURCE_EXHAUSTED", "etcdserver: too many requests", StoreUnavailable),
        ("UNAVAILABLE", "Socket closed", Lost),
        ("DEADLINE_EXCEEDED", "Deadline Exceeded", Lost),
        ("UNKNOWN", "context deadline exceeded", Lost),
        ("OUT_OF_RANGE", "etcdserver: mvcc: required revision has been compacted", Compacted),
        (
            "OUT_OF_RANGE",
            "etcdserver: mvcc: required revision is a future revision",
            FutureRevision,
        ),
        ("OUT_OF_RANGE", "etcdserver: too large lease TTL", ValueError),
        ("NOT_FOUND", "etcdserver: requested lease not found", LeaseNotFound),
        ("RESOURCE_EXHAUSTED", "etcdserver: mvcc: database space exceeded", StoreFull),
        ("INVALID_ARGUMENT", "etcdserver: too many operations in txn", TransactionTooLarge),
        ("INVALID_ARGUMENT", "etcdserver: request is too large", TransactionTooLarge),
        ("PERMISSION_DENIED", "etcdserver: permission denied", StoreRefused),
        ("FAILED_PRECONDITION", "etcdserver: authentication is not enabled", StoreRefused),
    ],
)
def test_errors_are_told_apart(code: str, details: str, kind: type[Exception]) -> None:
    """Each error of etcd's and gRPC's is exactly one of ours."""
    assert type(explain(code, details)) is kind


KEYS = st.text(min_size=1, max_size=200)
SIMPLE = st.one_of(
    st.builds(Put, KEYS, st.binary(max_size=300), st.integers(0, 2**62)),
    st.builds(Delete, KEYS),
    st.builds(Get, KEYS),
)
NUMBERS = st.sampled_from([Target.CREATE_REVISION, Target.MOD_REVISION, Target.VERSION])
COMPARES = st.one_of(
    st.builds(Compare, KEYS, NUMBERS, st.sampled_from(Comparison), st.integers(-5, 2**62)),
    st.builds(
        Compare,
        KEYS,
        st.just(Target.VALUE),
        st.sampled_from(Comparison),
        st.binary(max_size=300),
    ),
)


@st.composite
def transactions(draw: st.DrawFn) -> Transaction:
    """Any transaction with one that is nested."""
    inner = Transaction(success=tuple(draw(st.lists(SIMPLE, max_size=3))))
    branches = (tuple(draw(st.lists(SIMPLE, max_size=4))) for _ in range(2))
    compares = tuple(draw(st.lists(COMPARES, max_size=3)))
    success, failure = branches
    return Transaction(compares, (*success, inner), failure)


@given(transactions())
def test_sizes_are_estimated_from_above(transaction: Transaction) -> None:
    """The size computed here is the encoded one, or at most four bytes a comparison more."""
    request = messages.transaction_request(messages.load(), transaction)
    slack = request_bytes(transaction) - request.ByteSize()
    compares = len(transaction.compares)
    empty = sum(
        not inner.success for inner in transaction.success if isinstance(inner, Transaction)
    )
    assert -8 * empty <= slack <= 5 * compares


@given(st.binary(min_size=1))
def test_keys_come_back(key: bytes) -> None:
    """Keys of others that are no text survive the way through text."""
    assert messages.to_bytes(messages.from_bytes(key)) == key


@pytest.mark.parametrize(
    ("prefix", "expected"),
    [
        ("", (b"\0", b"\0")),
        ("a/", (b"a/", b"a0")),
        ("a\udcff", (b"a\xff", b"b")),
        ("\udcff", (b"\xff", b"\0")),
    ],
)
def test_key_range(prefix: str, expected: tuple[bytes, bytes]) -> None:
    """A range ends where the last byte that can be counted up is."""
    assert messages.key_range(prefix) == expected


def test_etcd3_loaded_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """If etcd3 has been loaded by somebody else, it is used as it is, with a warning."""
    rpc = types.ModuleType("etcd3.etcdrpc")
    monkeypatch.setitem(sys.modules, "etcd3", types.ModuleType("etcd3"))
    monkeypatch.setitem(sys.modules, "etcd3.etcdrpc", rpc)
    monkeypatch.setattr(messages, "_prepared", set())
    with pytest.warns(RuntimeWarning, match="as it is"):
        assert messages.load() is rpc


def test_the_messages_are_in_a_pool_of_their_own() -> None:
    """So that other users of etcd's protocol, in other versions, are not in the way."""
    pool = messages.load().PutRequest.DESCRIPTOR.file.pool
    assert descriptor_pool.Default() is not pool
    assert "rpc.proto" == pool.FindFileByName("rpc.proto").name


def test_etcd3_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without etcd3 a store says so."""
    for name in [name for name in sys.modules if name.split(".")[0] == "etcd3"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(messages, "_prepared", set())
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(StoreRefused, match="not installed"):
        EtcdStore("127.0.0.1:1")


def test_too_large_in_a_comparison() -> None:
    """If no value is large, a key is named."""
    compare = Compare("a", Target.VALUE, Comparison.EQUAL, bytes(2_000_000))
    with pytest.raises(TransactionTooLarge) as caught:
        validate(Transaction((compare,)))
    assert caught.value.key == "a"


def test_puts_of_nested_transactions() -> None:
    """Both branches of what is nested count."""
    a, b, c = (Put(name, b"") for name in "abc")
    nested = Transaction(success=(b, Get("x")), failure=(c,))
    assert [*puts_of((a, Delete("y"), nested))] == [a, b, c]


@pytest.mark.parametrize(
    ("advice", "words", "begins"),
    [
        (("", "", ""), "etcdserver: mvcc: database space exceeded", "etcd is full: compact"),
        (("u", "", ""), "etcdserver: permission denied", "user 'u' may not do that"),
        (("", "", ""), "etcdserver: permission denied", "nobody without a user may do that"),
        (("", "", ""), "etcdserver: user name is empty", "etcd wants a user and a password"),
        (("u", "", ""), "authentication is not enabled", "a user was given, but etcd has none"),
        (("", "c", "a"), "SSLV3_ALERT_BAD_CERTIFICATE", "the member refuses our certificate c"),
        (("", "", "a"), "TLSV1_ALERT_UNKNOWN_CA", "the member wants a client certificate"),
        (("", "", "a"), "certificate signature failure", "the member's certificate is of no"),
        (("", "", "a"), "CERTIFICATE_VERIFY_FAILED: self", "the member's certificate is of no"),
        (("", "", ""), "words nobody knows", "words nobody knows"),
    ],
)
def test_advice(advice: tuple[str, str, str], words: str, begins: str) -> None:
    """What to do comes first, and etcd's own words stay."""
    user, cert, ca = advice
    said = Advice(user=user, cert=cert, ca=ca).on(words)
    assert (True, True) == (said.startswith(begins), words in said)


@pytest.mark.parametrize(
    ("begin", "end", "told"),
    [
        (b"/a", b"", "/a"),
        (b"/a/", b"/a0", "all keys that begin with /a/"),
        (b"/a/b", b"/a0", "the keys from /a/b to before /a0"),
        (b"/a", b"\0", "all keys from /a on"),
        (b"\0", b"\0", "all keys"),
        (b"\0", b"", "\\0"),
        (b"\xff", b"", "\\xff"),
    ],
)
def test_keys_in_errors(begin: bytes, end: bytes, told: str) -> None:
    """A range is told as one: a grant of its first key alone does not do."""
    assert told == asked_keys(begin, end)


SECRET = b"hunter2"
NESTED = Transaction((Compare.value_is("/n", SECRET),), (Put("/a", SECRET), Delete("/m")))


@pytest.mark.parametrize(
    ("transaction", "told"),
    [
        (Transaction(success=(Put("/a", SECRET),)), "write /a"),
        (Transaction((Compare.absent("/a"),), failure=(Get("/b"),)), "read /a, /b"),
        (Transaction(success=(Get("/b"), NESTED)), "write /a, /m or read /b, /n"),
        (
            Transaction(success=tuple(Delete(f"/{number}") for number in range(5))),
            "write /0, /1, /2 and 2 more",
        ),
        (Transaction(), "ask anything"),
    ],
)
def test_transactions_in_errors(transaction: Transaction, told: str) -> None:
    """What is written and what is read is named, each key once, and no value."""
    request = messages.transaction_request(messages.load(), transaction)
    assert told == asked_by("Txn", request)


def test_other_requests_in_errors() -> None:
    """Every other request the store makes has its words."""
    rpc = messages.load()
    assert "read /a" == asked_by("Range", rpc.RangeRequest(key=b"/a"))
    assert "compact the history" == asked_by("Compact", rpc.CompactionRequest(revision=1))
    with EtcdStore("127.0.0.1:1") as store:
        others = store._connection._methods.keys() - {"Range", "Txn"}
    assert "" not in {asked_by(method, None) for method in others}
