"""Six kinds of trouble, each made for real, and found with the commands that operators have.

``python tests/situations.py`` makes them all, and writes what was typed and printed to
``docs/situations/``, where the pages of the documentation show it.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import attrs

from stage import Stage, stage

__all__ = ["SITUATIONS", "TRANSCRIPTS", "Situation"]

TRANSCRIPTS: Final = Path(__file__).parents[1] / "docs" / "situations"

_NO_VLAN: Final = "Resource CREATE failed: no VLAN left"


def cancelled(on: Stage) -> None:
    """A job cancelled by a failed dependency: what failed is named; both are run again."""
    on.start("both")
    on.fail("network_network-1", _NO_VLAN, op="create")
    on.submit("network-1")
    port = on.submit("port-1", network_id="network-1")
    on.until(port, "cancelled")
    on.part("find")
    assert "cancelled: create:heat_worker:network:network-1:1:" in on.type(
        "explain", "port", "port-1"
    )
    assert _NO_VLAN in on.type("explain", "network", "network-1")
    on.part("mend")
    on.type("retry", "network", "network-1", "--yes", "--wait", "30")
    on.type("retry", "port", "port-1", "--yes", "--wait", "30")
    assert "version 1 is done" in on.type("explain", "port", "port-1")


def held(on: Stage) -> None:
    """A job held by a failed dependency: it goes on by itself once that is mended."""
    on.start("both")
    on.fail("network_network-1", _NO_VLAN, op="create")
    on.submit("network-1")
    port = on.submit("port-1", network_id="network-1")
    on.until(port, "failed")
    on.part("find")
    on.type("jobs")
    assert "network:network-1" in on.type("explain", "port", "port-1")
    on.part("mend")
    on.type("retry", "network", "network-1", "--yes", "--wait", "30")
    on.until(port, "version 1 is done")
    assert "version 1 is done" in on.type("explain", "port", "port-1")


def dead_worker(on: Stage) -> None:
    """A worker that died at work: its claim lasts as long as its lease, unless it is taken."""
    on.start("manager", "manager")
    worker = on.start("worker-1", "worker")
    network = on.submit("network-1")
    on.until_created("network_network-1")
    worker.kill()
    on.part("find")
    assert "lease" in on.type("explain", "network", "network-1")
    on.type("status")
    on.part("mend")
    (job,) = on.jobs(network)
    on.type("release", job, "--force", "--yes")
    on.start("worker-2", "worker")
    on.until(network, "is being worked on")
    on.finish("network_network-1")
    on.until(network, "version 1 is done")
    assert "version 1 is done" in on.type("explain", "network", "network-1")


def undeletable(on: Stage) -> None:
    """A stack that Heat won't delete: the reason is Heat's, and the records stay."""
    on.start("both")
    network = on.submit("network-1")
    on.until(network, "is done")
    on.fail("network_network-1", "Resource DELETE failed: in use", op="delete", times=4)
    on.delete(network)
    on.until(network, "DELETE failed")
    on.part("find")
    assert "in use" in on.type("explain", "network", "network-1")
    on.part("mend")
    on.type("retry", "network", "network-1", "--yes", "--wait", "30")
    assert "DELETE_COMPLETED" in on.type("explain", "network", "network-1")


def unfit(on: Stage) -> None:
    """A config that its template does not fit: the mapping says where it looked."""
    on.start("both")
    port = on.submit("port-1", network_id=["network-1"])
    on.until(port, "failed")
    on.part("find")
    assert "network_id" in on.type("explain", "port", "port-1")
    on.part("mend")
    on.submit("network-1")
    on.submit("port-1", 2, network_id="network-1")
    on.until(port, "version 2 is done")
    assert "version 2 is done" in on.type("explain", "port", "port-1")


def full(on: Stage) -> None:
    """A full etcd: nothing is lost, and work goes on once there is room."""
    on.start("both")
    network = on.submit("network-1")
    on.until(network, "is done")
    on.fill()
    on.part("find")
    assert "full" in on.type("doctor", status=1)
    on.part("mend")
    on.type("status")
    on.empty()
    on.etcdctl("alarm", "disarm")
    port = on.submit("port-1", network_id="network-1")
    on.until(port, "is done")
    on.type("explain", "port", "port-1")


@attrs.frozen(kw_only=True)
class Situation:
    """One of them.

    Attributes:
        make: makes it, finds it, mends it.
        run: more of the command line of ``gohan-jobs run``.
        flags: more of etcd's command line.
        operation_seconds: how long Heat takes for a stack.
    """

    make: Callable[[Stage], None]
    run: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    operation_seconds: float = 0.2

    def play(self, home: Path) -> dict[str, str]:
        """Make it in a directory; the transcripts, by their parts."""
        with stage(
            home, *self.run, flags=self.flags, operation_seconds=self.operation_seconds
        ) as on:
            self.make(on)
            return on.transcripts


SITUATIONS: Final = {
    "cancelled": Situation(make=cancelled),
    "held": Situation(make=held, run=("--on-dependency-failure=hold",)),
    "dead_worker": Situation(make=dead_worker, run=("--worker-lease=30",), operation_seconds=600.0),
    "undeletable": Situation(make=undeletable),
    "unfit": Situation(make=unfit),
    "full": Situation(make=full, flags=("--quota-backend-bytes=16777216",)),
}
"""All of them, by the names of their pages."""


def _write(name: str) -> None:
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as home:
        for part, text in SITUATIONS[name].play(Path(home)).items():
            (TRANSCRIPTS / f"{name}-{part}.txt").write_text(text, encoding="utf-8")
    print(f"{name}: {time.monotonic() - began:.0f} s")  # noqa: T201 - a program's


if __name__ == "__main__":
    TRANSCRIPTS.mkdir(exist_ok=True)
    for each in sys.argv[1:] or SITUATIONS:
        _write(each)
