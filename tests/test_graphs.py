"""Graphs of dependencies: what is in them, and how they are drawn."""

from __future__ import annotations

import itertools
import xml.etree.ElementTree as ET

import pytest

from gohan_jobs.codec import Codec
from gohan_jobs.inspection.dependencies import read_dependencies, read_needs_of
from gohan_jobs.inspection.graph_svg import graph_svg
from gohan_jobs.inspection.graphs import DependencyGraph, graph_mermaid, graph_text, layers_of
from gohan_jobs.keys import JobId, Place
from gohan_jobs.queue import Queue
from gohan_jobs.records import ResourceRef
from gohan_jobs.stores.base import Put, Transaction
from gohan_jobs.stores.memory import MemoryStore
from jobs_made import job_id, make_job

A, B, C, D = (job_id(f"port:{name}") for name in "abcd")
SVG = "{http://www.w3.org/2000/svg}"


def graph(
    *jobs: JobId, needs: dict[JobId, tuple[JobId, ...]] | None = None, place: Place | None = None
) -> DependencyGraph:
    """Jobs that all stand at one place."""
    return DependencyGraph(places=dict.fromkeys(jobs, place), needs=needs or {})


DIAMOND = graph(A, B, C, D, needs={A: (B, C), B: (D,), C: (D,)}, place=Place.WAITING)
CIRCLE = graph(A, B, C, needs={A: (B,), B: (A,), C: (A,)})


# What is in them.


def test_edges_and_roots() -> None:
    """An arrow from each job to each that it waits for; nobody waits for the roots."""
    assert ((A, B), (A, C), (B, D), (C, D)) == DIAMOND.edges
    assert (A,) == DIAMOND.roots
    assert () == graph(A, B, needs={A: (B,), B: (A,)}).roots


def test_jobs_of_a_resource() -> None:
    """Found by the resource in their ids."""
    assert (B,) == DIAMOND.of(ResourceRef("port", "b"))


def test_around_some_jobs() -> None:
    """What they wait for and what waits for them stays, and nothing else."""
    around = DIAMOND.around([B])
    assert (dict.fromkeys((A, B, D), Place.WAITING), {A: (B,), B: (D,)}) == (
        around.places,
        around.needs,
    )
    assert DIAMOND == DIAMOND.around([A])
    assert graph(B) == graph(A, B, needs={}).around([B])


def test_layers() -> None:
    """Each job comes after all that it waits for."""
    assert ((D,), (B, C), (A,)) == layers_of(DIAMOND)
    assert () == layers_of(graph())


def test_layers_of_a_circle() -> None:
    """Jobs that wait for each other come last, with what waits for them."""
    assert ((A, B, C),) == layers_of(CIRCLE)
    assert ((D,), (A, B)) == layers_of(graph(A, B, D, needs={A: (B, D), B: (A,)}))


# Drawn.


def test_text() -> None:
    """Below each job what it waits for; what several wait for is drawn out once."""
    expected = (
        f"{A} (waiting)\n├── {B} (waiting)\n│   └── {D} (waiting)\n"
        f"└── {C} (waiting)\n    └── {D} (waiting)\n"
    )
    assert expected == graph_text(DIAMOND)


def test_text_of_what_was_drawn_before() -> None:
    """What has parts of its own is drawn out where it comes first only."""
    found = graph(A, B, C, D, needs={A: (C,), B: (C,), C: (D,)})
    expected = (
        f"{A} (nowhere)\n└── {C} (nowhere)\n    └── {D} (nowhere)\n"
        f"{B} (nowhere)\n└── {C} (nowhere) as above\n"
    )
    assert expected == graph_text(found)


def test_text_of_a_circle() -> None:
    """Jobs that wait for each other are drawn, too, and it comes to an end."""
    expected = (
        f"{C} (nowhere)\n└── {A} (nowhere)\n    └── {B} (nowhere)\n"
        f"        └── {A} (nowhere) as above\n"
    )
    assert expected == graph_text(CIRCLE)
    alone = graph(A, B, needs={A: (B,), B: (A,)})
    expected = f"{A} (nowhere)\n└── {B} (nowhere)\n    └── {A} (nowhere) as above\n"
    assert expected == graph_text(alone)


def test_text_of_a_long_chain() -> None:
    """As many as a job may depend on do not exhaust the stack."""
    chain = [job_id(f"port:p{number}") for number in range(1500)]
    found = graph(*chain, needs={job: (after,) for job, after in itertools.pairwise(chain)})
    assert 1500 == len(graph_text(found).splitlines()) == len(layers_of(found))


def test_mermaid() -> None:
    """A node for each job, an arrow to each that it waits for."""
    expected = (
        "flowchart LR\n"
        '    job0["create:heat_worker:port:a:1:aaaaa<br>ready"]\n'
        '    job1["create:heat_worker:port:b:1:aaaaa<br>ready"]\n'
        "    job0 --> job1\n"
    )
    assert expected == graph_mermaid(graph(A, B, needs={A: (B,)}, place=Place.READY))


def test_mermaid_takes_nothing_for_its_own() -> None:
    """What could end the text, or be HTML, is written as an entity."""
    odd = job_id('port:"<b>#é')
    assert '["create:heat_worker:port:#34;#60;b#62;#35;é:1:aaaaa<br>nowhere"]' in graph_mermaid(
        graph(odd)
    )


def test_svg() -> None:
    """A box for each job, the jobs that wait for nothing on the left, and arrows."""
    root = ET.fromstring(graph_svg(DIAMOND))  # noqa: S314 - our own
    boxes = [(float(box.attrib["x"]), float(box.attrib["y"])) for box in root.iter(f"{SVG}rect")]
    texts = [text.text for text in root.iter(f"{SVG}text")]
    columns = sorted({left for left, _ in boxes})
    assert [columns.index(left) for left, _ in boxes] == [0, 1, 1, 2]
    assert [12, 12, 74, 12] == [top for _, top in boxes]
    assert [str(D), "waiting", str(B), "waiting"] == texts[:4]
    arrows = [path for path in root.iter(f"{SVG}path") if "marker-end" in path.attrib]
    assert len(DIAMOND.edges) == len(arrows)


def test_svg_of_nothing() -> None:
    """No jobs are an empty picture."""
    root = ET.fromstring(graph_svg(graph()))  # noqa: S314 - our own
    assert ("12", "12") == (root.attrib["width"], root.attrib["height"])


@pytest.mark.parametrize("odd", ["<&>\"'", "\ufffe", "é"])
def test_svg_is_xml_whatever_is_in_an_id(odd: str) -> None:
    """Markup is escaped; what can't stand in XML is replaced."""
    root = ET.fromstring(graph_svg(graph(job_id(f"port:{odd}"))))  # noqa: S314 - our own
    text = next(iter(root.iter(f"{SVG}text"))).text
    shown = odd.replace("\ufffe", "\ufffd")
    assert f"create:heat_worker:port:{shown}:1:aaaaa" == text


def test_svg_of_a_circle() -> None:
    """Jobs that wait for each other are drawn in one column."""
    root = ET.fromstring(graph_svg(CIRCLE))  # noqa: S314 - our own
    assert 1 == len({box.attrib["x"] for box in root.iter(f"{SVG}rect")})


# Read.


class Stored:
    """A store, and jobs put there."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        codec = Codec()
        self.queue = Queue(codec.keys, codec)

    def put(self, key: str, value: bytes = b"") -> None:
        """Write a key."""
        self.store.transact(Transaction((), (Put(key, value),)))

    def job(self, identity: JobId, *needed: JobId, place: Place | None = Place.WAITING) -> None:
        """Queue a job."""
        keys = self.queue.keys
        self.put(keys.job(identity), self.queue.text(make_job(identity, needed)))
        if place is not None:
            self.put(keys.place(place, identity))


@pytest.fixture
def at() -> Stored:
    """A: waits for B twice, and for one that is done; B for C, which can't be read; D alone."""
    stored = Stored()
    stored.job(A, B, B, job_id("port:done"))
    stored.job(B, C, place=Place.READY)
    stored.job(C, D, place=None)
    stored.put(stored.queue.keys.job(C), b"broken")
    stored.job(D)
    stored.put("/jobs/all/no-job", b"")
    return stored


def test_all_are_read(at: Stored) -> None:
    """Every unfinished job, where it stands, and the unfinished ones that it waits for."""
    found = read_dependencies(at.store)
    assert {A: Place.WAITING, B: Place.READY, C: None, D: Place.WAITING} == found.places
    assert {A: (B,), B: (C,)} == found.needs


def test_what_some_need_is_read(at: Stored) -> None:
    """Only what they wait for, directly or not."""
    found = read_needs_of(at.store, [A, B])
    assert ({A: Place.WAITING, B: Place.READY, C: None}, {A: (B,), B: (C,)}) == (
        found.places,
        found.needs,
    )
    assert graph() == read_needs_of(at.store, [job_id("port:done")])
