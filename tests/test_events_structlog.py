"""The logging hook in a program that uses structlog: facts arrive as keys, names stay stable."""

from __future__ import annotations

import io
import json
import logging

import structlog

from gohan_jobs.events import JobFailed, log_event
from jobs_made import job_id


def test_structlog_takes_over_the_extras() -> None:
    """``ExtraAdder`` needs no list of names, and overwrites none of structlog's own."""
    lines = io.StringIO()
    handler = logging.StreamHandler(lines)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.ExtraAdder()],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    logger = logging.getLogger("gohan_jobs")
    logger.addHandler(handler)
    try:
        context = {"traceparent": "00-abc-def-01"}
        log_event(JobFailed(job_id=job_id(), reason="no", trace=context))
    finally:
        logger.removeHandler(handler)
    job = str(job_id())
    expected = {
        "event": f"JobFailed job_id={job} reason=no seconds=0.0",
        "event_name": "JobFailed",
        "facts": {"job_id": job, "reason": "no", "seconds": 0.0},
        "job_id": job,
        "trace_id": "abc",
    }
    assert expected == json.loads(lines.getvalue())
