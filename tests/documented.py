"""The two documents that are the contract, as keys and texts, and documents made for tests."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

__all__ = ["CORPUS", "JOB_ID", "JOB_KEY", "PATH", "SEEDS", "job_document", "records_of"]

_ROOT = Path(__file__).parent.parent
SEEDS = _ROOT / "tests" / "seeds"
CORPUS = _ROOT.parent / "shared" / "corpus"

PATH = "v2.0/ports/p1"
JOB_ID = "create:heat_worker:port:p1:1:abcde"
JOB_KEY = f"/jobs/all/{JOB_ID}"


def records_of(page: str) -> list[tuple[str, str]]:
    """Every key and text that a documented page shows."""
    return re.findall(r"```\n(/\S+)\n(.*?)\n```", page, re.DOTALL)


def job_document(**changes: Any) -> list[Any]:
    """A job's document, with some of its fields exchanged."""
    job: dict[str, Any] = {
        "is_first": True,
        "resource_id": "p1",
        "handler": "heat_worker",
        "job_name": "port:p1:1",
        "dependency": [],
        "version": 1,
        "params": [],
        "resource_type": "port",
        "action": "create",
        "is_last": True,
        "on_failure": "fail",
        "id": JOB_ID,
        "resource_input": {},
    }
    return json.loads(json.dumps(["heat_worker", job | changes, 0]))  # type: ignore[no-any-return] # a list
