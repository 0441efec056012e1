"""Which unfinished job waits for which, drawn: as text, as Mermaid, as SVG. Pure.

An arrow goes from a job to one that it waits for. No cycle can arise (``rules`` 6); what another
program may have stored does no harm here.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping

import attrs

from gohan_jobs.keys import JobId, Place
from gohan_jobs.records import ResourceRef

__all__ = ["DependencyGraph", "graph_mermaid", "graph_text", "layers_of"]

_MERMAID_SPECIAL = re.compile(r"[^\w .:-]")


@attrs.frozen(kw_only=True)
class DependencyGraph:
    """Unfinished jobs, and what each waits for.

    Attributes:
        places: where each job stands; None: nowhere.
        needs: for each job that waits for any, the unfinished jobs that it waits for.
    """

    places: Mapping[JobId, Place | None]
    needs: Mapping[JobId, tuple[JobId, ...]]

    @property
    def edges(self) -> tuple[tuple[JobId, JobId], ...]:
        """Pairs of a job and one that it waits for."""
        return tuple((job, needed) for job, found in self.needs.items() for needed in found)

    @property
    def roots(self) -> tuple[JobId, ...]:
        """The jobs that no other waits for."""
        needed = {each for _, each in self.edges}
        return tuple(job for job in self.places if job not in needed)

    def of(self, resource: ResourceRef) -> tuple[JobId, ...]:
        """A resource's jobs."""
        return tuple(job for job in self.places if _resource(job) == resource)

    def around(self, jobs: Collection[JobId]) -> DependencyGraph:
        """The part with some jobs, what they wait for, and what waits for them."""
        waiting: dict[JobId, list[JobId]] = {}
        for job, needed in self.edges:
            waiting.setdefault(needed, []).append(job)
        kept = _reached(jobs, self.needs) | _reached(jobs, waiting)
        needs = {
            job: tuple(each for each in found if each in kept)
            for job, found in self.needs.items()
            if job in kept
        }
        return DependencyGraph(
            places={job: place for job, place in self.places.items() if job in kept},
            needs={job: found for job, found in needs.items() if found},
        )


def _reached(jobs: Iterable[JobId], ways: Mapping[JobId, Iterable[JobId]]) -> set[JobId]:
    """Some jobs, and all that can be reached from them."""
    found: set[JobId] = set()
    left = list(jobs)
    while left:
        job = left.pop()
        if job not in found:
            found.add(job)
            left += ways.get(job, ())
    return found


def layers_of(graph: DependencyGraph) -> tuple[tuple[JobId, ...], ...]:
    """The jobs by how far they are from being free: first those that wait for nothing.

    Each job comes after everything that it waits for. Jobs that wait for each other, which only
    another program can have stored, come last, together with what waits for them.
    """
    waiting: dict[JobId, list[JobId]] = {}
    for job, needed in graph.edges:
        waiting.setdefault(needed, []).append(job)
    missing = {job: len(graph.needs.get(job, ())) for job in graph.places}
    layers: list[tuple[JobId, ...]] = []
    layer = [job for job, count in missing.items() if count == 0]
    while layer:
        layers.append(tuple(layer))
        following: list[JobId] = []
        for job in layer:
            del missing[job]
            for other in waiting.get(job, ()):
                missing[other] -= 1
                if missing[other] == 0:
                    following.append(other)
        layer = following
    return (*layers, tuple(missing)) if missing else tuple(layers)


def graph_text(graph: DependencyGraph) -> str:
    """A tree for each job that no other waits for; below each job, what it waits for.

    A job that more than one waits for is drawn out where it comes first.
    """
    drawn: set[JobId] = set()
    lines: list[str] = []
    for root in (*graph.roots, *graph.places):  # the others only if they wait for each other
        if root not in drawn:
            lines += _tree(graph, root, drawn)
    return "".join(f"{line}\n" for line in lines)


def _tree(graph: DependencyGraph, root: JobId, drawn: set[JobId]) -> Iterator[str]:
    left = [(root, "", "")]
    while left:
        job, mark, margin = left.pop()
        needed = graph.needs.get(job, ())
        again = job in drawn and bool(needed)
        yield f"{mark}{job} ({_where(graph, job)}){' as above' if again else ''}"
        if job in drawn:
            continue
        drawn.add(job)
        last = len(needed) - 1
        left += [
            (each, margin + ("└── " if n == last else "├── "), margin + _margin(last=n == last))
            for n, each in reversed([*enumerate(needed)])
        ]


def _margin(*, last: bool) -> str:
    return "    " if last else "│   "


def graph_mermaid(graph: DependencyGraph) -> str:
    """A Mermaid flowchart."""
    names = {job: f"job{number}" for number, job in enumerate(graph.places)}
    nodes = (
        f'    {name}["{_escaped(str(job))}<br>{_where(graph, job)}"]' for job, name in names.items()
    )
    edges = (f"    {names[job]} --> {names[needed]}" for job, needed in graph.edges)
    return "".join(f"{line}\n" for line in ("flowchart LR", *nodes, *edges))


def _escaped(text: str) -> str:
    """A text with what Mermaid or HTML would take for their own as Mermaid's entities."""
    return _MERMAID_SPECIAL.sub(lambda found: f"#{ord(found[0])};", text)


def _where(graph: DependencyGraph, job: JobId) -> str:
    return str(graph.places[job] or "nowhere")


def _resource(job: JobId) -> ResourceRef:
    return ResourceRef(job.resource_type, job.resource_id)
