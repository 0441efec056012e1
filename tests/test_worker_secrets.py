"""What must not be told of a claim, wherever it comes from."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from gohan_jobs.bookkeeping import JobNotes
from gohan_jobs.clock import VirtualClock
from gohan_jobs.handlers import Done, GiveUp
from gohan_jobs.queue import Fence
from gohan_jobs.records import HeatStack, Param, ParamType, ResourceRef, StackOutput
from gohan_jobs.redaction import Redactor
from gohan_jobs.worker.claim import Claim, WorkerLease
from gohan_jobs.worker.publishing import finish_of
from gohan_jobs.worker.secrets import secrets_of
from jobs_made import job_id, make_job

NETWORK = ResourceRef("network", "n1")
NAMED = {"resource_type": "network", "resource_id": "n1", "output_key": "link"}


def stack(key: str, value: str) -> HeatStack:
    """A stack's record with one output."""
    return HeatStack(
        id=str(NETWORK),
        stack_id="network_n1",
        tenant_id="t",
        stack_status="CREATE_COMPLETE",
        status_reason="",
        output=(StackOutput(output_key=key, output_value=value),),
    )


def claim_of(*params: Param, own: HeatStack | None = None, body: Any = None) -> Claim:
    """A claim of a job with some params."""
    clock = VirtualClock()
    job = attrs.evolve(make_job(job_id()), params=params, resource_input=body or {})
    return Claim(
        job=job,
        notes=JobNotes(planned_at="", path=""),
        holder="h",
        fence=Fence("/jobs/working/x", 1),
        planned_at=1,
        own_stack=own,
        lease=WorkerLease(clock),
        lease_id=0,
        now=clock.now,
    )


def value(name: str, content: Any) -> Param:
    """A param that is a value."""
    return Param(param=name, type=ParamType.VALUE, value=content)


def output(name: str, named: Any = NAMED) -> Param:
    """A param that is an output."""
    return Param(param=name, type=ParamType.OUTPUT_KEY, value=named)


@pytest.mark.parametrize(
    ("claim", "read", "expected"),
    [
        (claim_of(body={"password": "aaaa", "name": "b"}), None, {"aaaa"}),
        (claim_of(value("password", "aaaa"), value("name", "b")), None, {"aaaa"}),
        (claim_of(own=stack("api_key", "aaaa")), None, {"aaaa"}),
        (claim_of(), stack("api_key", "aaaa"), {"aaaa"}),
        (claim_of(output("password")), stack("link", "aaaa"), {"aaaa"}),
        (claim_of(output("password")), stack("other", "aaaa"), set()),
        (claim_of(output("password")), None, set()),
        (claim_of(output("password", "odd")), None, set()),
        (
            claim_of(
                Param(
                    param="logins",
                    type=ParamType.LIST,
                    value=(value("name", "b"), value("password", "aaaa")),
                )
            ),
            None,
            {"aaaa"},
        ),
        (
            claim_of(Param(param="passwords", type=ParamType.LIST, value=(value("name", "aaaa"),))),
            None,
            {"aaaa"},
        ),
    ],
    ids=[
        "body",
        "param",
        "own output",
        "output",
        "output under a secret name",
        "no such output",
        "output not read",
        "malformed",
        "in a list",
        "secret list",
    ],
)
def test_secrets(claim: Claim, read: HeatStack | None, expected: set[str]) -> None:
    """Found by the names they stand under."""
    if read is not None:
        claim.stacks_read[NETWORK] = read
    assert expected == secrets_of(claim, Redactor())


@pytest.mark.parametrize(
    ("reason", "published"),
    [
        ("Stack CREATE completed successfully", "Stack CREATE completed successfully"),
        ("Stack HUNTER completed successfully", "Stack *** completed successfully"),
        ("Stack CREATE completed successfully\nHUNTER", "Stack CREATE completed successfully\n***"),
    ],
)
def test_only_heat_s_own_words_are_not_scrubbed(reason: str, published: str) -> None:
    """What Heat says when all is well quotes nothing; what only looks like that may."""
    claim = claim_of(value("password", "HUNTER"))
    done = Done(stack=attrs.evolve(stack("link", "x"), status_reason=reason))
    found = finish_of(claim, done, Redactor()).stack
    assert found is not None
    assert published == found.status_reason


def test_a_long_reason_is_cut_after_it_was_scrubbed() -> None:
    """Or the first letters of a secret would be left, too few to be found."""
    claim = claim_of(value("password", "HUNTER"))
    reason = "x" * 7_996 + "HUNTER"
    finish = finish_of(claim, GiveUp(reason=reason), Redactor())
    assert "x" * 7_996 + "***" == finish.failure
    longer = finish_of(claim, GiveUp(reason="x" * 8_001), Redactor())
    assert "x" * 7_999 + "…" == longer.failure
