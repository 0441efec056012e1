"""Many processes on a real etcd: a job manager and two workers, one of which is killed.

Run it: ``python examples/processes.py``; needs the extra ``etcd``. This program starts etcd, and
itself three times over, each with a role. The handler lays a file down for each resource. One
worker is killed with jobs in its hands; when its lease has ended, the other one does them again.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from gohan_jobs import (
    Completed,
    ConfigRecord,
    Done,
    EtcdStore,
    JobContext,
    Later,
    Lifecycle,
    ManagerOptions,
    ResourceRef,
    Role,
    Schema,
    Schemas,
    SimulatedHeat,
    SystemClock,
    WorkerOptions,
)
from gohan_jobs.handlers import Outcome
from gohan_jobs.testing import EtcdCluster

COUNT = 20
SCHEMAS = Schemas([Schema(type="file", prefix="v1.0/files", templates={"file_worker": "Cfile"})])
MAPPINGS = {"handler": "file_worker", "template_file": "", "parameter_mappings": {}}


class FileHandler:
    """Takes half a second to lay a file down; that it has begun can be seen, too."""

    def __init__(self, directory: Path, worker: str) -> None:
        self._directory = directory
        self._worker = worker

    def __call__(self, context: JobContext) -> Outcome:
        """Begin, or begin again after a death: laying it down twice does no harm."""
        self._path(context, f"begun-by-{self._worker}").touch()
        return Later(after=0.5, resume=self._finish)

    def _finish(self, context: JobContext) -> Outcome:
        context.claim.guard(1.0)
        self._path(context, "done").touch()
        return Done(outputs=())

    def _path(self, context: JobContext, what: str) -> Path:
        return self._directory / f"{context.job.resource_id}.{what}"


def lifecycle(store: EtcdStore, role: str, directory: Path, name: str = "") -> Lifecycle:
    """What each process runs. Its leases are short, so that the dead are soon found out."""
    return Lifecycle(
        store,
        SimulatedHeat(SystemClock(), request_timeout=1.0),
        SCHEMAS,
        roles=[role] if role else [],
        handlers={"file_worker": FileHandler(directory, name)},
        hooks=(),
        manager=ManagerOptions(claim_pause=0.1),
        worker=WorkerOptions(slots=4, lease_ttl=2.0),
    )


def serve(role: str, endpoint: str, directory: str, name: str) -> None:
    """One process; it ends when its standard input does, that is with the one that started it."""
    with EtcdStore(endpoint) as store, lifecycle(store, role, Path(directory), name) as each:
        each.run()
        sys.stdin.read()


def start(role: str, endpoint: str, directory: str, name: str) -> subprocess.Popen[bytes]:
    """This very program, again."""
    command = [sys.executable, __file__, role, endpoint, directory, name]
    return subprocess.Popen(command, stdin=subprocess.PIPE)  # noqa: S603 - our own words


def play(endpoint: str, directory: str) -> None:
    """Submit files, kill a worker that has begun with one, and wait for all."""
    files = [ResourceRef("file", f"f{number:02}") for number in range(1, COUNT + 1)]
    processes = [start(Role.MANAGER, endpoint, directory, "")]
    processes += [start(Role.WORKER, endpoint, directory, name) for name in ("one", "two")]
    with EtcdStore(endpoint) as store, lifecycle(store, "", Path(directory)) as each:
        template = ConfigRecord(body={"id": "file", **MAPPINGS}, version=1)
        each.submit(template, ResourceRef("heat_template", "file"))
        for file in files:
            body = {"id": file.resource_id, "tenant_id": "t1"}
            each.submit(ConfigRecord(body=body, version=1), file)
        while not any(Path(directory).glob("*.begun-by-one")):
            time.sleep(0.01)
        processes[1].kill()
        print("worker one is killed at work")
        results = [each.wait(file, version=1) for file in files]
        print("completed:", sum(isinstance(result, Completed) for result in results), "of", COUNT)
        left = {path.stem for path in Path(directory).glob("*.begun-by-one")}
        again = {path.stem for path in Path(directory).glob("*.begun-by-two")}
        print("begun again by worker two:", bool(left & again))
    for process in processes:
        process.communicate()


if __name__ == "__main__":
    if len(sys.argv) > 1:
        serve(*sys.argv[1:])
    else:
        with EtcdCluster() as cluster, tempfile.TemporaryDirectory() as home:
            play(cluster.endpoints[0], home)
