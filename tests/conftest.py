"""Fixtures that several files of tests use; each is documented where it is defined."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest
from hypothesis import settings

from real_services import keystone_cloud, project, real_heat

__all__ = ["interruptible", "keystone_cloud", "project", "real_heat"]

# Other work on the machine must not decide whether a test passes.
settings.register_profile("unhurried", deadline=None, print_blob=True)
settings.load_profile("unhurried")


@pytest.fixture
def interruptible() -> Iterator[None]:
    """SIGINT means what it means at a terminal, though these tests may run in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
