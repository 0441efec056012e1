"""Links between the repository's pages lead somewhere, to the heading they name."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    page
    for pattern in ("*.md", "docs/**/*.md", "examples/**/*.md", "benchmarks/**/*.md")
    for page in ROOT.glob(pattern)
    if not {"_build", ".nox", ".venv"} & set(page.parts)
)
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
FENCED = re.compile(r"^ *(```+|~~~+).*?^ *\1", re.MULTILINE | re.DOTALL)
PROGRAM = re.compile(r"`((?:tests|examples|benchmarks)/[\w/.]*)`")
HEADING = re.compile(r"^#{1,3} (.+)$", re.MULTILINE)
TARGET = re.compile(r"^\((\S+)\)=$", re.MULTILINE)


def prose(page: Path) -> str:
    """A page without its blocks of code."""
    return FENCED.sub("", page.read_text(encoding="utf-8"))


def anchors(page: Path) -> set[str]:
    """What its headings are called in links, and what is named for them."""
    texts = [heading.replace("`", "").lower() for heading in HEADING.findall(prose(page))]
    slugs = {re.sub(r"[^\w\- ]", "", text).strip().replace(" ", "-") for text in texts}
    return slugs | set(TARGET.findall(prose(page)))


def broken(page: Path) -> list[str]:
    """Links of a page that lead nowhere."""
    found = []
    for link in LINK.findall(prose(page)):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name) if name else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            found.append(link)
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_of_a_page_lead_somewhere(page: Path) -> None:
    """Each file is there, and has the heading."""
    assert [] == broken(page)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_what_a_page_names_is_there(page: Path) -> None:
    """Tests, examples and benchmarks that prose names."""
    assert [] == [name for name in PROGRAM.findall(prose(page)) if not (ROOT / name).exists()]


def test_a_link_that_leads_nowhere_is_found(tmp_path: Path) -> None:
    """A file that is not there, and a heading that is not."""
    page = tmp_path / "page.md"
    page.write_text(
        "# One `two`\n[a](#one-two) [b](page.md#one) [c](none.md) [d](https://x)\n"
        "```\n[e](none.md)\n```\n",
        encoding="utf-8",
    )
    assert ["page.md#one", "none.md"] == broken(page)
