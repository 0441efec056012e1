"""Long reasons cut short: what Heat says comes with a chain of events, and is told whole once."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from gohan_jobs.inspection.explanations import Explanation, JobExplanation

__all__ = ["first_clause", "in_brief", "job_reason"]

_LONGEST = 200
_END = re.compile(r"; |\n")


def first_clause(text: str) -> str:
    """A reason up to its first semicolon or line's end, 200 characters at most."""
    clause = _END.split(text, maxsplit=1)[0][:_LONGEST].rstrip()
    return text if clause == text.rstrip() else f"{clause}…"


def in_brief(text: str, found: Explanation, clean: Callable[[str], str]) -> str:
    """A sentence about a resource, with each of the reasons in it cut short.

    Args:
        text: the sentence.
        found: where its reasons come from.
        clean: takes secrets out, which has to come first: half a secret is not known as one.
    """
    text = clean(text)
    for reason in sorted(map(clean, set(_reasons(found))), key=len, reverse=True):
        text = text.replace(reason, first_clause(reason))
    return text


def job_reason(job: JobExplanation) -> str:
    """Why a job does not go on, as far as somebody has said; else empty."""
    return job.set_aside or job.last_error


def _reasons(found: Explanation) -> Iterator[str]:
    """Whatever others have said, of a resource and of those that it waits for."""
    own = (
        "" if found.state is None else found.state.error,
        found.set_aside,
        found.orphan,
        "" if found.held is None else found.held.reason,
        *(job.last_error for job in (*found.jobs, *found.chain)),
        *(job.set_aside for job in (*found.jobs, *found.chain)),
    )
    yield from filter(None, own)
    if found.blocked_by is not None:
        yield from _reasons(found.blocked_by)
