"""Draws the documentation's diagrams: ``python docs/diagrams/draw.py`` writes them beside itself.

They are kept in the repository as SVG, so that a build needs neither a network nor a browser.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from pathlib import Path

import attrs

STYLE = """\
rect, polygon { fill: #fff; stroke: #334; stroke-width: 1.5 }
.ground { fill: #fff; stroke: none }
.store { fill: #eef4fb }
.ours { fill: #e9f7ec }
.end { stroke-dasharray: 5 4 }
path { fill: none; stroke: #334; stroke-width: 1.5; marker-end: url(#tip) }
path.back { stroke: #a33; stroke-dasharray: 5 4 }
text { font: 14px sans-serif; fill: #112; text-anchor: middle }
.small { font-size: 12px; fill: #445 }
.name { font-weight: bold }"""

TIP = (
    '<defs><marker id="tip" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" '
    'orient="auto"><polygon points="0,0 10,5 0,10" style="fill:#334"/></marker></defs>'
)


@attrs.frozen(kw_only=True)
class Box:
    """A box with a name and a line below it, around a point."""

    x: float
    y: float
    name: str
    more: str = ""
    kind: str = ""
    width: float = 150
    height: float = 56

    def draw(self) -> Iterator[str]:
        """The box and its words."""
        left, top = self.x - self.width / 2, self.y - self.height / 2
        yield (
            f'<rect class="{self.kind}" x="{left:g}" y="{top:g}" width="{self.width:g}" '
            f'height="{self.height:g}" rx="7"/>'
        )
        yield _words(self.x, self.y + (-3 if self.more else 5), self.name, "name")
        if self.more:
            yield _words(self.x, self.y + 16, self.more, "small")

    def edge(self, x: float, y: float) -> tuple[float, float]:
        """Where a line from the middle to a point leaves the box."""
        dx, dy = x - self.x, y - self.y
        share = min(
            self.width / 2 / abs(dx) if dx else math.inf,
            self.height / 2 / abs(dy) if dy else math.inf,
        )
        return self.x + dx * share, self.y + dy * share


@attrs.frozen(kw_only=True)
class Arrow:
    """A line from a box to another one, moved aside by ``aside``, with words beside it."""

    begin: Box
    end: Box
    words: tuple[str, ...] = ()
    aside: float = 0
    kind: str = ""
    at: tuple[float, float] = (0, -8)

    def draw(self) -> Iterator[str]:
        """The line and its words."""
        dx, dy = self.end.x - self.begin.x, self.end.y - self.begin.y
        length = math.hypot(dx, dy)
        ox, oy = -dy / length * self.aside, dx / length * self.aside
        x1, y1 = self.begin.edge(self.end.x, self.end.y)
        x2, y2 = self.end.edge(self.begin.x, self.begin.y)
        yield f'<path class="{self.kind}" d="M {x1 + ox:g} {y1 + oy:g} L {x2 + ox:g} {y2 + oy:g}"/>'
        for number, line in enumerate(self.words):
            x, y = (x1 + x2) / 2 + ox + self.at[0], (y1 + y2) / 2 + oy + self.at[1] + 15 * number
            yield _words(x, y, line, "small")


def _words(x: float, y: float, text: str, kind: str) -> str:
    escaped = text.replace("&", "&amp;").replace("<", "&lt;")
    return f'<text class="{kind}" x="{x:g}" y="{y:g}">{escaped}</text>'


def picture(title: str, width: int, height: int, parts: Iterable[Box | Arrow]) -> str:
    """An SVG."""
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img">',
        f"<title>{title}</title>",
        f"<style>{STYLE}</style>",
        TIP,
        f'<rect class="ground" width="{width}" height="{height}" rx="10"/>',
    ]
    for part in parts:
        lines += part.draw()
    return "\n".join([*lines, "</svg>", ""])


def flow() -> str:
    """Who writes what, and who reads it: all of it goes through etcd."""
    user = Box(x=95, y=50, name="user", width=110, height=40)
    gohan = Box(x=95, y=170, name="Gohan", more="API server")
    config = Box(x=330, y=70, name="/config", more="(1) what is wanted", kind="store")
    state = Box(x=330, y=170, name="/state", more="(5) how it went", kind="store")
    monitoring = Box(x=330, y=270, name="/monitoring", more="(6) how it is", kind="store")
    agent = Box(x=95, y=270, name="agent", more="monitoring")
    manager = Box(x=580, y=70, name="job manager", more="one leads", kind="ours")
    jobs = Box(x=580, y=170, name="/jobs", more="(2) the queue", kind="store")
    worker = Box(x=580, y=270, name="workers", more="any number", kind="ours")
    stacks = Box(x=815, y=170, name="/esi-worker", more="(3) stacks (4) jobs", kind="store")
    heat = Box(x=815, y=270, name="Heat", more="OpenStack")
    arrows = [
        Arrow(begin=user, end=gohan),
        Arrow(begin=gohan, end=config, words=("writes",), at=(-14, -14)),
        Arrow(begin=state, end=gohan, words=("is read by",)),
        Arrow(begin=monitoring, end=gohan),
        Arrow(begin=agent, end=monitoring, words=("reports",)),
        Arrow(begin=config, end=manager, words=("is watched by",)),
        Arrow(begin=manager, end=jobs, words=("plans, releases",), at=(58, 4), aside=-14),
        Arrow(begin=jobs, end=manager, aside=-14),
        Arrow(begin=jobs, end=worker, words=("take, finish",), at=(-72, 4), aside=-14),
        Arrow(begin=worker, end=jobs, aside=-14),
        Arrow(begin=worker, end=state, words=("publishes",), at=(-16, 22)),
        Arrow(begin=worker, end=stacks, words=("records",), at=(-18, -14)),
        Arrow(begin=worker, end=heat, words=("asks",)),
    ]
    boxes = [user, gohan, agent, config, state, monitoring, manager, jobs, worker, stacks, heat]
    return picture("The flow of a resource through etcd", 910, 320, [*arrows, *boxes])


def queue() -> str:
    """The places of a job."""
    planned = Box(x=90, y=60, name="planned", more="waiting or ready", kind="ours", width=130)
    waiting = Box(x=330, y=60, name="waiting", more="/jobs/waiting/<id>", kind="store")
    ready = Box(x=620, y=60, name="ready", more="/jobs/ready/<id>", kind="store")
    working = Box(x=620, y=215, name="working", more="under a lease", kind="store")
    finished = Box(x=620, y=345, name="finished", more="/jobs/finished/<id>", kind="store")
    gone = Box(x=330, y=345, name="gone", more="from /jobs/all", kind="end")
    arrows = [
        Arrow(begin=planned, end=waiting),
        Arrow(
            begin=waiting,
            end=ready,
            words=("leader: is free,", "and has room"),
            at=(0, -24),
        ),
        Arrow(begin=ready, end=working, words=("worker claims",), at=(56, 4)),
        Arrow(begin=working, end=finished, words=("worker: results written",), at=(86, 4)),
        Arrow(begin=finished, end=gone, words=("leader releases",)),
        Arrow(
            begin=working,
            end=waiting,
            words=("handed back,", "or the lease ended"),
            at=(-62, 24),
            kind="back",
        ),
        Arrow(
            begin=waiting,
            end=gone,
            words=("collapsed, cancelled", "(from ready too)"),
            at=(-72, 0),
            kind="back",
        ),
    ]
    boxes = [planned, waiting, ready, working, finished, gone]
    return picture("The places of a job in the queue", 800, 400, [*arrows, *boxes])


DIAGRAMS = {"flow.svg": flow, "queue.svg": queue}

if __name__ == "__main__":
    for name, draw in DIAGRAMS.items():
        Path(__file__).with_name(name).write_text(draw(), encoding="utf-8")
