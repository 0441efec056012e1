"""The public API is what its file says, so that each change of it is on purpose."""

from __future__ import annotations

import importlib.util

import pytest

from api_outline import FILE, outline

NEEDS = ("opentelemetry", "prometheus_client")


def test_the_api_is_what_its_file_says() -> None:
    """A change of the file belongs to a change of the API, and to a line in the changelog."""
    missing = [name for name in NEEDS if importlib.util.find_spec(name) is None]
    if missing:
        pytest.skip(f"{', '.join(missing)}: pip install --group tests")
    expected = FILE.read_text(encoding="utf-8").splitlines()
    actual = outline().splitlines()
    message = "on purpose? python tests/api_outline.py > tests/public_api.txt"
    assert [] == [line for line in expected if line not in set(actual)], f"gone: {message}"
    assert [] == [line for line in actual if line not in set(expected)], f"new: {message}"
    assert expected == actual, message
