"""Every check of this project: ``nox --list`` names them; begin with ``nox -s tests``.

Tests run against the built and installed package, never against ``src``. Sessions without a version
of Python use the one that nox runs on.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import nox

ROOT = Path(__file__).parent
PROJECT = nox.project.load_toml(ROOT / "pyproject.toml")
EXTRAS = tuple(PROJECT["project"]["optional-dependencies"])
IMPORTANT = ("etcd3", "grpc", "heatclient", "jinja2", "prometheus_client", "pytest", "yaml")
OWN_PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"

# Where both parts run, no test does twice: `tests` measures coverage, and `full` adds the rest.
SHARED_COVERAGE = "GOHAN_JOBS_SHARED_COVERAGE" in os.environ

nox.needs_version = ">=2025.2.9"
nox.options.default_venv_backend = "virtualenv"
nox.options.error_on_missing_interpreters = False
nox.options.sessions = ["lint", "tests", "typing", "docs", "examples", "build"]


def _runs(version: str) -> bool:
    """Whether a Python is there; a shim of pyenv may stand for one that is not."""
    program = shutil.which(f"python{version}")
    if program is None:
        return False
    return subprocess.run([program, "-c", ""], capture_output=True, check=False).returncode == 0


def _pythons() -> list[str]:
    """The Pythons of the classifiers that are on this machine, those of pyenv included."""
    declared = nox.project.python_versions(PROJECT)
    for version in declared:
        homes = sorted(Path("~/.pyenv/versions").expanduser().glob(f"{version}.*/bin"))
        if homes and not _runs(version):
            os.environ["PATH"] = os.pathsep.join([str(homes[-1]), os.environ["PATH"]])
    return [version for version in declared if _runs(version)]


def _install(session: nox.Session, *groups: str, extras: str = "") -> None:
    """Install the package as it is built, and groups of what a session needs beside it."""
    needed = nox.project.dependency_groups(PROJECT, *groups)
    session.install(f".{extras}", *needed)


@nox.session
def lint(session: nox.Session) -> None:
    """Style, format, and which module may import which."""
    session.install(*nox.project.dependency_groups(PROJECT, "lint"))
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("lint-imports", "--no-cache", env={"PYTHONPATH": "src"})


@nox.session(python=_pythons())
def tests(session: nox.Session) -> None:
    """The quick part, real etcd included, on every Python there is; two minutes each."""
    _install(session, "tests")
    arguments = session.posargs or ["-n", "2", "-m", "not heat and not slow"]
    if SHARED_COVERAGE and session.python == OWN_PYTHON:
        session.run("coverage", "erase")
        session.run("coverage", "run", "-m", "pytest", *arguments)
    else:
        session.run("pytest", *arguments)


@nox.session
def full(session: nox.Session) -> None:
    """Everything, a real Heat and a real Keystone included, with the coverage of every branch."""
    _install(session, "tests")
    arguments = ["-n", "2", *session.posargs]
    if SHARED_COVERAGE:
        arguments += ["-m", "heat or slow"]
    else:
        session.run("coverage", "erase")
    session.run("coverage", "run", "-m", "pytest", *arguments)
    session.run("coverage", "combine", "--quiet")
    session.run("coverage", "report")


@nox.session
def typing(session: nox.Session) -> None:
    """Types: of the code, of the tests, and whether users see all of them."""
    _install(session, "tests", "typing")
    session.run("mypy")
    session.run("pyright")
    session.run("pyright", "--verifytypes", "gohan_jobs", "--ignoreexternal")


@nox.session
def docs(session: nox.Session) -> None:
    """The documentation, warnings being errors."""
    _install(session, "docs", "tests")
    output = str(ROOT / "docs" / "_build" / "html")
    session.run("sphinx-build", "-W", "--keep-going", "-q", "-b", "html", "docs", output)


@nox.session
def examples(session: nox.Session) -> None:
    """The examples: programs print what is shown beside them, packages pass their own tests."""
    _install(session, "tests", "typing", extras="[etcd]")
    session.run("mypy", *map(str, sorted(ROOT.glob("examples/*.py"))))
    session.run("pytest", "tests/test_examples.py")
    for package in sorted(ROOT.glob("examples/*/pyproject.toml")):
        session.install("--no-deps", str(package.parent))
        session.run("pytest", "-c", str(package), str(package.parent))


@nox.session
def build(session: nox.Session) -> None:
    """What could be uploaded: built, checked, and installed where nothing else is."""
    session.install(*nox.project.dependency_groups(PROJECT, "build"))
    output = Path(session.create_tmp()).resolve() / "dist"
    shutil.rmtree(output, ignore_errors=True)
    session.run("python", "-m", "build", "--outdir", str(output), ".", silent=True)
    session.run("twine", "check", "--strict", *map(str, output.iterdir()))
    (wheel,) = output.glob("*.whl")
    _check_contents(session, wheel)
    for extra in ("", *EXTRAS):
        _try_out(session, wheel, extra)


def _check_contents(session: nox.Session, wheel: Path) -> None:
    """See that a wheel holds all of the package, and nothing else."""
    tracked = session.run("git", "ls-files", "src", external=True, silent=True)
    expected = {name.removeprefix("src/") for name in str(tracked).split()}
    with zipfile.ZipFile(wheel) as archive:
        found = {name for name in archive.namelist() if ".dist-info/" not in name}
    if expected != found:
        session.error(f"the wheel differs from src in {sorted(expected ^ found)}")


def _try_out(session: nox.Session, wheel: Path, extra: str) -> None:
    """Install a wheel alone, or with one extra, and use it."""
    directory = Path(session.create_tmp()).resolve() / f"try-{extra or 'alone'}"
    session.run("python", "-m", "venv", "--clear", str(directory), silent=True)
    python = str(directory / "bin" / "python")
    wanted = f"{wheel}[{extra}]" if extra else str(wheel)
    session.run(python, "-m", "pip", "install", "-q", wanted, external=True)
    blocked = f"import sys; sys.modules.update(dict.fromkeys({IMPORTANT!r}))"
    session.run(python, "-c", f"{blocked}; import gohan_jobs; gohan_jobs.dumps", external=True)
    every = "import gohan_jobs; [getattr(gohan_jobs, name) for name in gohan_jobs.__all__]"
    session.run(python, "-W", "error", "-c", every, external=True)
    demo = [str(directory / "bin" / "gohan-jobs"), "demo"]
    if extra == "etcd":
        demo.append("--etcd")
    session.run(*demo, external=True, silent=True)


@nox.session
def chaos(session: nox.Session) -> None:
    """Kill, freeze and cut for as long as you like: ``nox -s chaos -- --minutes 30``."""
    _install(session, "tests", extras="[etcd]")
    session.run("python", "tests/chaos.py", *(session.posargs or ["--minutes", "10"]))


@nox.session
def bench(session: nox.Session) -> None:
    """The benchmarks, one after the other; name some to run only these."""
    _install(session, "tests", extras="[etcd]")
    every = sorted(ROOT.glob("benchmarks/*.py"))
    programs = [str(path) for path in every if "__main__" in path.read_text(encoding="utf-8")]
    for program in session.posargs or programs:
        session.run("python", program)
