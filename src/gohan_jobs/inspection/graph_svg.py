"""A graph of dependencies as an SVG picture, laid out in layers. Pure, and no other program's."""

from __future__ import annotations

import re
from collections.abc import Iterator
from xml.sax.saxutils import escape

import attrs

from gohan_jobs.inspection.graphs import DependencyGraph, layers_of
from gohan_jobs.keys import JobId, Place

__all__ = ["graph_svg"]

_LETTER = 7.3  # width of a monospaced letter at 12 pixels, rounded up
_HEIGHT, _PADDING, _GAP, _ACROSS = 44, 12, 18, 70
_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_COLOURS: dict[Place | None, str] = {
    Place.WAITING: "#fff3bf",
    Place.READY: "#d0ebff",
    Place.WORKING: "#d3f9d8",
    Place.FINISHED: "#e9ecef",
    None: "#ffe3e3",
}
_ARROW = (
    '<defs><marker id="end" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" '
    'markerHeight="8" orient="auto"><path d="M0 0L8 4L0 8z" fill="#495057"/></marker></defs>'
)


@attrs.frozen
class _Box:
    """Where a job is drawn: the corner above on the left, and how wide it is."""

    left: float
    top: float
    width: float


def graph_svg(graph: DependencyGraph) -> str:
    """An SVG document: on the left the jobs that wait for nothing, an arrow to what each needs."""
    boxes = _boxes(graph)
    width = max((box.left + box.width for box in boxes.values()), default=0) + _PADDING
    height = max((box.top + _HEIGHT for box in boxes.values()), default=0) + _PADDING
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:g}" height="{height:g}" '
            f'viewBox="0 0 {width:g} {height:g}" font-family="monospace" font-size="12">'
        ),
        "<title>Unfinished jobs and what they wait for</title>",
        _ARROW,
        *(_arrow(boxes[job], boxes[needed]) for job, needed in graph.edges),
        *(_drawn(graph, job, box) for job, box in boxes.items()),
        "</svg>",
    ]
    return "".join(f"{line}\n" for line in lines)


def _boxes(graph: DependencyGraph) -> dict[JobId, _Box]:
    """Layer by layer from the left; in each, jobs stand near what they wait for."""
    boxes: dict[JobId, _Box] = {}
    left = float(_PADDING)
    for layer in layers_of(graph):
        width = max(len(str(job)) for job in layer) * _LETTER + 2 * _PADDING
        for row, job in enumerate(sorted(layer, key=lambda job: _height(graph, job, boxes))):
            boxes[job] = _Box(left, _PADDING + row * (_HEIGHT + _GAP), width)
        left += width + _ACROSS
    return boxes


def _height(graph: DependencyGraph, job: JobId, boxes: dict[JobId, _Box]) -> float:
    """How far down what a job waits for stands, on average."""
    tops = [boxes[needed].top for needed in graph.needs.get(job, ()) if needed in boxes]
    return sum(tops) / len(tops) if tops else 0.0


def _arrow(job: _Box, needed: _Box) -> str:
    x1, y1 = job.left, job.top + _HEIGHT / 2
    x2, y2 = needed.left + needed.width, needed.top + _HEIGHT / 2
    bend = _ACROSS / 2
    return (
        f'<path d="M{x1:g} {y1:g}C{x1 - bend:g} {y1:g} {x2 + bend:g} {y2:g} {x2:g} {y2:g}" '
        'fill="none" stroke="#495057" marker-end="url(#end)"/>'
    )


def _drawn(graph: DependencyGraph, job: JobId, box: _Box) -> str:
    place = graph.places[job]
    return "".join(
        (
            (
                f'<rect x="{box.left:g}" y="{box.top:g}" width="{box.width:g}" height="{_HEIGHT}" '
                f'rx="4" fill="{_COLOURS[place]}" stroke="#495057"/>'
            ),
            *_lines(box, str(job), str(place or "nowhere")),
        )
    )


def _lines(box: _Box, *texts: str) -> Iterator[str]:
    for number, text in enumerate(texts):
        top = box.top + 18 + 16 * number
        content = escape(_FORBIDDEN.sub("\ufffd", text))
        yield f'<text x="{box.left + _PADDING:g}" y="{top:g}">{content}</text>'
