"""How an action ended, in both vocabularies (``records``; ``rules`` 11)."""

from __future__ import annotations

import json

import pytest

from gohan_jobs.codec import Codec, Spelling
from gohan_jobs.records import Action, JobState
from gohan_jobs.records.outcomes import completed, failed, failed_job_state

ENDS = [
    ("create", "CREATE_COMPLETED", "CREATE_COMPLETE", "CREATE_ERROR"),
    ("modify", "MODIFY_COMPLETED", "UPDATE_COMPLETE", "MODIFY_ERROR"),
    ("logical_delete", "DELETE_COMPLETED", "DELETE_COMPLETE", "DELETE_ERROR"),
    ("delete", "DELETE_COMPLETED", "DELETE_COMPLETE", "DELETE_ERROR"),
    ("rename", "MODIFY_COMPLETED", "UPDATE_COMPLETE", "MODIFY_ERROR"),
]


@pytest.mark.parametrize(("action", "worker", "heat", "error"), ENDS)
def test_how_an_action_ends(action: str, worker: str, heat: str, error: str) -> None:
    """Well, in two spellings; badly, in one. An unknown action ends like a change."""
    assert (worker, heat) == completed(action)
    state = failed(action, 3, "no quota")
    assert (error, error) == (state.worker_state, state.orchestration_state)
    job_state = JobState(heat_outputs=(), orchestration_state=error, error="no quota")
    assert job_state == failed_job_state(action, "no quota")


def test_every_action_is_known() -> None:
    """By its member as by its text."""
    assert [completed(action) for action in Action] == [completed(str(a)) for a in Action]


def test_a_failure_as_it_is_written() -> None:
    """The reason in ``error``, no outputs, the config's version."""
    text = Codec().dumps(failed("create", 3, "no"), Spelling.WORKER)
    assert {
        "error": "no",
        "state": {
            "heat_outputs": "[]",
            "orchestration_state": "CREATE_ERROR",
            "worker_state": "CREATE_ERROR",
        },
        "version": 3,
    } == json.loads(text)
