"""The demonstration makes the seeds' records."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from documented import SEEDS, records_of
from gohan_jobs import dumps
from gohan_jobs.clock import SystemClock, VirtualClock
from gohan_jobs.codec import Codec
from gohan_jobs.demo import Page, pages, play
from gohan_jobs.demo.pages import Catcher
from gohan_jobs.demo.scenario import Scenario, read_scenario
from gohan_jobs.events import Event
from gohan_jobs.exceptions import GohanJobsError
from gohan_jobs.keys import ResourcePath
from gohan_jobs.orchestrators.simulated import Outcome
from gohan_jobs.records import ResourceRef
from gohan_jobs.stores.base import Put, Transaction
from gohan_jobs.stores.etcd import EtcdStore
from gohan_jobs.stores.memory import MemoryStore
from gohan_jobs.testing.etcd import EtcdCluster

NAMES = ("create", "update")
SUFFIX = re.compile(r"(:[0-9]+):[a-z0-9]{5}\b")


def seed(name: str) -> str:
    """A seed's page."""
    return (SEEDS / f"{name}.txt").read_text(encoding="utf-8")


def comparable(page: str) -> list[tuple[str, Any]]:
    """A page's records without suffixes, and without the order inside ``dependency``."""
    found = []
    for key, text in records_of(SUFFIX.sub(r"\1", page)):
        value = json.loads(text)
        if isinstance(value, list):
            value[1]["dependency"].sort()
        found.append((key, value))
    return found


@pytest.fixture(scope="module")
def played() -> list[Page]:
    """The demonstration in memory."""
    return list(pages())


@pytest.mark.parametrize("number", [0, 1])
def test_records_equal_the_seeds(played: list[Page], number: int) -> None:
    """All twelve records are the seeds', but for suffixes and the order of dependencies."""
    assert comparable(seed(NAMES[number])) == comparable(played[number].text(dumps))


@pytest.mark.parametrize("number", [0, 1])
def test_pages_are_laid_out_as_the_seeds(played: list[Page], number: int) -> None:
    """Outside the job's document, whose keys the recorder had mixed, pages are equal as text."""
    without_job = re.compile(r"/jobs/all/.*?\n```", re.DOTALL)
    expected = without_job.sub("JOB", seed(NAMES[number]))
    assert expected == without_job.sub("JOB", played[number].text(dumps))


@pytest.mark.parametrize("number", [0, 1])
def test_params_are_the_seeds_as_text(played: list[Page], number: int) -> None:
    """The job's params are the seeds' byte for byte."""
    params = re.compile(r'"params": \[.*?\n        \]', re.DOTALL)
    expected = params.findall(seed(NAMES[number]))
    assert len(expected) == 1
    assert expected == params.findall(played[number].text(dumps))


def test_suffixes_differ_from_one_run_to_the_next(played: list[Page]) -> None:
    """Suffixes are random, so no id comes twice."""
    again = next(pages())
    assert played[0].records[1].key != again.records[1].key


@pytest.mark.etcd
def test_on_a_real_etcd() -> None:
    """The same records come from an etcd."""
    with EtcdCluster() as cluster, EtcdStore(cluster.endpoints) as store:
        made = [page.text(dumps) for page in play(store, SystemClock())]
    assert [comparable(seed(name)) for name in NAMES] == [comparable(page) for page in made]


def test_a_failure_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stack that fails ends the demonstration with the reason."""

    def failing(name: str) -> Scenario:
        scenario = read_scenario(name)
        return Scenario(
            title=scenario.title,
            related=scenario.related,
            shown=scenario.shown,
            outcome=Outcome(fails=True, reason="no more addresses"),
            field=scenario.field,
            status=scenario.status,
        )

    monkeypatch.setattr("gohan_jobs.demo.playing.read_scenario", failing)
    with pytest.raises(GohanJobsError, match="no more addresses"):
        next(pages())


def test_hooks_hear_of_it() -> None:
    """Hooks hear what happens."""
    clock = VirtualClock()
    heard: list[Event] = []
    with MemoryStore(clock=clock) as store:
        next(play(store, clock, hooks=(heard.append,)))
    names = {type(event).__name__ for event in heard}
    assert {"JobPlanned", "JobFinished"} <= names


@pytest.fixture
def store() -> Iterator[MemoryStore]:
    """An empty store."""
    with MemoryStore() as made:
        yield made


def test_a_record_that_is_not_written_is_missed(store: MemoryStore) -> None:
    """What was not written is named, instead of waited for without end."""
    texts = dict(records_of(seed("create")))
    key, text = next(iter(texts.items()))
    store.transact(Transaction(success=(Put(key, text.encode()), Put("/elsewhere", b""))))
    path = ResourcePath(key.removeprefix("/config/"))
    ref = ResourceRef("load_balancer_interface", key.rpartition("/")[2])
    catcher = Catcher(store.watch("/", 1), Codec(), ref, path, patience=0.0)
    with pytest.raises(TimeoutError, match="at point 2 of load_balancer_interface"):
        catcher.catch()
