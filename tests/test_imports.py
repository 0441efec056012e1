"""Which module may do what, as far as import contracts do not say it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import gohan_jobs

PACKAGE = Path(gohan_jobs.__file__).parent
MAKES_THREADS = {
    "runtime.py",  # the pool of handlers
    "threads.py",  # all others
}
"""The modules that make threads; those of ``testing`` are not looked at."""

HAS_THREADS = {
    "cli/probes.py",  # a server
    "instrumentation/background.py",  # tells slow hooks
    "loops.py",  # a lifecycle's
    "orchestrators/simulated/server.py",  # a server
    "stores/etcd/watch.py",  # a stream of gRPC's
}
"""The modules that have threads made for them."""

DEALS_WITH_SIGNALS = {"cli/signals.py"}


def modules() -> Iterator[tuple[str, ast.Module]]:
    """Every module, by its path in the package."""
    for path in sorted(PACKAGE.rglob("*.py")):
        name = path.relative_to(PACKAGE).as_posix()
        if not name.startswith("testing/"):
            yield name, ast.parse(path.read_text(encoding="utf-8"))


def called(tree: ast.Module) -> set[str]:
    """The names of what is called, without what they belong to."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            function = node.func
            if isinstance(function, ast.Attribute):
                found.add(function.attr)
            elif isinstance(function, ast.Name):
                found.add(function.id)
    return found


def imported(tree: ast.Module) -> set[str]:
    """The modules that are imported."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(str(node.module))
    return found


def test_only_these_have_threads() -> None:
    """A lifecycle's are the runtime's; servers, slow hooks and gRPC's streams need their own."""
    starters = {"Thread", "Timer", "ThreadPoolExecutor", "ProcessPoolExecutor"}
    assert {name for name, tree in modules() if called(tree) & starters} == MAKES_THREADS
    assert {name for name, tree in modules() if "new_thread" in called(tree)} == HAS_THREADS


def test_only_the_command_line_deals_with_signals() -> None:
    """A library installs no signal handlers (``rules`` 31)."""
    assert {name for name, tree in modules() if "signal" in imported(tree)} == DEALS_WITH_SIGNALS


def test_every_module_says_what_is_public() -> None:
    """Each module has a docstring; each that defines something public has a sorted ``__all__``."""
    for name, tree in modules():
        assert ast.get_docstring(tree), name
        for node in tree.body:
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
                assert isinstance(node.value, ast.List), name
                public = [ast.literal_eval(item) for item in node.value.elts]
                assert len(set(public)) == len(public), name
                break
        else:
            assert not any(
                isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_")
                for node in tree.body
            ), f"{name} has no __all__"


def test_modules_pause_for_thought() -> None:
    """No module is so long that it must be several."""
    lengths = {
        name: len((PACKAGE / name).read_text(encoding="utf-8").splitlines())
        for name, _ in modules()
    }
    assert {name: length for name, length in lengths.items() if length > 800} == {}
