"""The public API: what is in it, and what using it loads."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import gohan_jobs
from documented import SEEDS, records_of

HEAVY = (
    "click",
    "etcd3",
    "google",
    "grpc",
    "heatclient",
    "jinja2",
    "keystoneauth1",
    "prometheus_client",
    "pytest",
    "requests",
    "rich",
    "yaml",
)
"""What reading records must do without."""

BLOCK = f"""
import sys

for name in {HEAVY!r}:
    sys.modules[name] = None
"""


def run(program: str, *arguments: str) -> str:
    """Run a program in an interpreter of its own; what it prints."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program, *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    return done.stdout


def declared() -> dict[str, tuple[str, ...]]:
    """What type checkers see, by the module it comes from."""
    tree = ast.parse(Path(gohan_jobs.__file__).read_text(encoding="utf-8"))
    block = next(node for node in tree.body if isinstance(node, ast.If))
    found = {}
    for node in block.body:
        assert isinstance(node, ast.ImportFrom)
        found[str(node.module)] = tuple(alias.name for alias in node.names)
    return found


def test_all_is_sorted_and_without_repeats() -> None:
    """``__all__`` is sorted, so that a change of it is easy to read."""
    assert sorted(set(gohan_jobs.__all__)) == gohan_jobs.__all__


def test_all_is_what_type_checkers_see() -> None:
    """``__all__`` holds exactly what is declared for type checkers, and the version."""
    names = [name for names in declared().values() for name in names]
    assert sorted([*names, "__version__"]) == gohan_jobs.__all__


def test_names_are_loaded_from_where_they_are_declared() -> None:
    """A name is at run time what type checkers take it for."""
    homes = {f"gohan_jobs.{home}": names for home, names in gohan_jobs._HOMES.items()}
    assert declared() == {"gohan_jobs": ("exceptions",), **homes}


@pytest.mark.parametrize("name", gohan_jobs.__all__)
def test_every_name_is_there(name: str) -> None:
    """Each name of ``__all__`` can be had, and is found by ``dir``."""
    assert hasattr(gohan_jobs, name)
    assert name in dir(gohan_jobs)


def test_a_name_is_loaded_once() -> None:
    """A name that was used is an ordinary global from then on."""
    assert gohan_jobs.dumps is vars(gohan_jobs)["dumps"]


def test_no_other_name() -> None:
    """A name that is not in the API is an AttributeError, as with any module."""
    with pytest.raises(AttributeError, match="'gohan_jobs' has no attribute 'nothing'"):
        getattr(gohan_jobs, "nothing")  # noqa: B009 - type checkers know that it is not there


def test_exceptions_are_loaded_like_a_name() -> None:
    """The module of errors is an attribute, whoever asks first."""
    assert gohan_jobs.exceptions is vars(gohan_jobs)["__getattr__"]("exceptions")


def test_exceptions_are_a_public_module() -> None:
    """The tree of errors is at hand without an import of its own."""
    program = "import gohan_jobs; print(gohan_jobs.exceptions.GohanJobsError.__module__)"
    assert run(program) == "gohan_jobs.exceptions\n"


def test_import_loads_nothing_heavy() -> None:
    """Importing the package loads no client, no template engine and no command line."""
    program = f"import sys, gohan_jobs; print(sorted(sys.modules.keys() & set({HEAVY!r})))"
    assert run(program) == "[]\n"


def test_records_do_without_anything_heavy() -> None:
    """With all of that blocked, records are still read and written."""
    key, text = records_of((SEEDS / "create.txt").read_text(encoding="utf-8"))[1]
    program = BLOCK + "import gohan_jobs as g; print(g.dumps(g.loads(*sys.argv[1:])), end='')"
    assert run(program, key, text) == text


def test_the_core_does_without_clients() -> None:
    """With every client blocked, a lifecycle on embedded parts can still be made."""
    clients = ("etcd3", "grpc", "heatclient", "keystoneauth1", "requests", "click", "rich")
    program = f"""
import sys
for name in {clients!r}:
    sys.modules[name] = None
from gohan_jobs import Lifecycle, MemoryStore, Schemas, SimulatedHeat, VirtualClock
clock = VirtualClock()
parts = MemoryStore(clock=clock), SimulatedHeat(clock), Schemas([])
with Lifecycle(*parts, clock=clock, hooks=()) as it:
    print(it.run_until_idle() > 0)
"""
    assert run(program) == "True\n"


def test_version_is_the_distributions() -> None:
    """The version is that of the installed distribution."""
    from importlib.metadata import version  # noqa: PLC0415 - of this test only

    assert version("gohan-jobs") == gohan_jobs.__version__
