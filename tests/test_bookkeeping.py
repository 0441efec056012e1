"""Our own keys and notes (``rules`` 21)."""

from __future__ import annotations

from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gohan_jobs.bookkeeping import (
    FORMAT,
    Band,
    Bookkeeping,
    Failure,
    JobNotes,
    Orphan,
    Quarantined,
)
from gohan_jobs.exceptions import InvalidRecord
from gohan_jobs.keys import Keys, ResourcePath
from jobs_made import job_id

OWN = Bookkeeping(Keys())
PATH = ResourcePath("v2.0/ports/p1")


def test_every_key_is_below_one_prefix() -> None:
    """Each kind in its own place; another prefix is possible."""
    identity = job_id()
    assert {
        "format_key": "/gohan-jobs/format",
        "cluster_key": "/gohan-jobs/cluster",
        "job": f"/gohan-jobs/jobs/{identity}",
        "failed": f"/gohan-jobs/failed/{identity}",
        "preempt": f"/gohan-jobs/preempt/{identity}",
        "worker": "/gohan-jobs/workers/w",
        "quarantine": "/gohan-jobs/quarantine/config/v2.0/ports/p1",
        "orphan": "/gohan-jobs/orphans/v2.0/ports/p1",
        "report": "/gohan-jobs/reports/v2.0/ports/p1",
    } == {
        "format_key": OWN.format_key,
        "cluster_key": OWN.cluster_key,
        "job": OWN.job(identity),
        "failed": OWN.failed(identity),
        "preempt": OWN.preempt(identity),
        "worker": OWN.worker("w"),
        "quarantine": OWN.quarantine("/config/v2.0/ports/p1"),
        "orphan": OWN.orphan(PATH),
        "report": OWN.report(PATH),
    }
    assert "/ours/" == Bookkeeping(Keys(own="/ours/")).prefix


def test_prefixes_begin_their_keys() -> None:
    """What is written under a key is found under its prefix."""
    identity = job_id()
    assert all(
        key.startswith(prefix) and prefix.endswith("/")
        for key, prefix in (
            (OWN.job(identity), OWN.jobs_prefix),
            (OWN.failed(identity), OWN.failed_prefix),
            (OWN.preempt(identity), OWN.preempt_prefix),
            (OWN.worker("w"), OWN.workers_prefix),
            (OWN.quarantine("/x"), OWN.quarantine_prefix),
            (OWN.orphan(PATH), OWN.orphans_prefix),
            (OWN.report(PATH), OWN.reports_prefix),
        )
    )


def test_the_format() -> None:
    """A release that can't read another one refuses to start; this one is 1."""
    assert "1" == FORMAT


texts = st.text(max_size=5)
numbers = st.integers(0, 2**60)


@given(
    st.builds(
        JobNotes,
        planned_at=texts,
        path=texts,
        tenant=texts,
        band=st.sampled_from([Band.FRESH, Band.RESYNC]),
        config_create=numbers,
        attempts=numbers,
        delay=st.floats(0, 1e9),
        trace=st.dictionaries(texts, texts, max_size=2),
    )
    | st.builds(Failure, reason=texts)
    | st.builds(Quarantined, key=texts, mod_revision=numbers, reason=texts, since=texts)
    | st.builds(Orphan, path=texts, reason=texts, since=texts)
)
def test_notes_come_back(notes: JobNotes | Failure | Quarantined | Orphan) -> None:
    """What was written is what is read."""
    kind: Any = type(notes)
    assert notes == OWN.loads("key", OWN.dumps(notes), kind)


def test_defaults_are_not_written() -> None:
    """Notes are short."""
    assert b'{"planned_at":"now","path":"p"}' == OWN.dumps(JobNotes(planned_at="now", path="p"))


def test_a_later_releases_fields_are_ignored() -> None:
    """Of the same format, so that both may run for a while."""
    assert Failure(reason="x") == OWN.loads("key", b'{"reason":"x","more":1}', Failure)


@pytest.mark.parametrize(
    "text",
    [b"", b"[]", b"{}", b"null", b'{"planned_at":"now"}', b'{"planned_at":1,"path":', b"\xff"],
)
def test_what_is_no_note_is_refused(text: bytes) -> None:
    """With its key and without its content."""
    with pytest.raises(InvalidRecord, match="/gohan-jobs/jobs/x"):
        OWN.loads("/gohan-jobs/jobs/x", text, JobNotes)


@pytest.mark.parametrize(
    ("field", "value"),
    [("attempts", '"3"'), ("attempts", "true"), ("delay", '"1"'), ("tenant", "5"), ("trace", "[]")],
)
def test_types_are_not_guessed(field: str, value: str) -> None:
    """A text is no number, and a number no text."""
    text = f'{{"planned_at":"now","path":"p","{field}":{value}}}'.encode()
    with pytest.raises(InvalidRecord):
        OWN.loads("key", text, JobNotes)


def test_a_delay_may_be_a_whole_number() -> None:
    """JSON does not tell 30 from 30.0."""
    text = b'{"planned_at":"now","path":"p","delay":30}'
    assert JobNotes(planned_at="now", path="p", delay=30.0) == OWN.loads("key", text, JobNotes)


def test_notes_are_frozen() -> None:
    """They are replaced, not changed."""
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        JobNotes(planned_at="", path="").tenant = "t"  # type: ignore[misc]  # that is the point
