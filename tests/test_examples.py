"""The examples print what is shown beside them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"


@pytest.mark.parametrize("program", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.stem)
def test_prints_what_is_shown(program: Path) -> None:
    """An example runs without a warning, and prints exactly what the file beside it holds."""
    done = subprocess.run(
        [sys.executable, "-W", "error", str(program)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert program.with_suffix(".out").read_text(encoding="utf-8") == done.stdout
