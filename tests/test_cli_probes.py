"""Probes of a running process."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

import attrs
import pytest
import requests

from gohan_jobs.cli.probes import Probes

LOCAL = ("127.0.0.1", 0)


@attrs.define
class Process:
    """Something that can be asked how it is."""

    leads: bool = False
    troubles: Mapping[str, str] = attrs.field(factory=dict)
    failures: Mapping[str, int] = attrs.field(factory=dict)
    dead: tuple[str, ...] = ()


def ask(url: str) -> tuple[int, str, str]:
    """Status, content type and body."""
    answer = requests.get(url, timeout=20)
    return answer.status_code, answer.headers["Content-Type"], answer.text


@pytest.fixture
def asked() -> Process:
    """What is asked."""
    return Process()


@pytest.fixture
def probes(asked: Process) -> Iterator[Probes]:
    """Serving, with some metrics."""
    with Probes(LOCAL, asked, lambda: ("a 1\n", "text/x")) as made:
        yield made


def test_healthy(probes: Probes) -> None:
    """A process that answers is alive; a query does not matter."""
    assert (200, "text/plain; charset=utf-8", "ok\n") == ask(f"{probes.url}/healthz?a=b")


def test_dead(probes: Probes, asked: Process) -> None:
    """A process with trouble lives; one of whose threads has ended is to be started anew."""
    asked.troubles = {"store": "no answer"}
    assert ask(f"{probes.url}/healthz")[0] == 200
    asked.dead = ("worker", "keeper")
    assert (503, "dead: keeper, worker\n") == ask(f"{probes.url}/healthz")[::2]


def test_ready(probes: Probes, asked: Process) -> None:
    """A process without troubles is ready."""
    asked.leads = True
    status, kind, body = ask(f"{probes.url}/readyz")
    assert (200, "application/json") == (status, kind)
    assert {"ready": True, "leads": True, "troubles": {}, "failures": {}} == json.loads(body)


def test_not_ready(probes: Probes, asked: Process) -> None:
    """One with troubles is not, and says which."""
    asked.troubles, asked.failures = {"worker": "no answer"}, {"worker": 3}
    status, _, body = ask(f"{probes.url}/readyz")
    assert (
        503,
        {
            "ready": False,
            "leads": False,
            "troubles": {"worker": "no answer"},
            "failures": {"worker": 3},
        },
    ) == (status, json.loads(body))


def test_metrics(probes: Probes) -> None:
    """Metrics are as they are given."""
    assert (200, "text/x", "a 1\n") == ask(f"{probes.url}/metrics")


def test_no_metrics(asked: Process) -> None:
    """Without prometheus-client that is what is said."""
    with Probes(LOCAL, asked) as probes:
        status, _, body = ask(f"{probes.url}/metrics")
    assert (501, True) == (status, "pip install 'gohan-jobs[prometheus]'" in body)


def test_nothing_else(probes: Probes) -> None:
    """There is nothing else."""
    assert ask(f"{probes.url}/")[0] == 404


def test_ipv6(asked: Process) -> None:
    """It listens on an IPv6 address, too."""
    with Probes(("::1", 0), asked) as probes:
        assert probes.url.startswith("http://[::1]:")
        assert ask(f"{probes.url}/healthz")[0] == 200


def test_closed(asked: Process) -> None:
    """After close nobody listens."""
    with Probes(LOCAL, asked) as probes:
        url = probes.url
    with pytest.raises(requests.ConnectionError):
        ask(f"{url}/healthz")
