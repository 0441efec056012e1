"""Certificates that are read again: also while somebody is writing them."""

from __future__ import annotations

from pathlib import Path

import pytest

from certificates import Authority
from gohan_jobs.stores.etcd.link import Link


def test_an_empty_file_is_being_written(tmp_path: Path) -> None:
    """It is no reason for another connection, and never given to gRPC, which would abort."""
    authority = Authority(tmp_path)
    ours = authority.issue("ours")
    link = Link(("127.0.0.1:1",), ca=authority.ca, cert=ours.cert, key=ours.key)
    link.open().close()
    assert not link.outdated
    ours.cert.write_bytes(b"")
    assert not link.outdated
    with pytest.raises(OSError, match=r"the file is empty: .*ours\.pem"):
        link.open()
    authority.issue("ours")
    assert link.outdated
