"""What must be true after a chaos run, beside what :mod:`history` asks of every history."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import attrs

from chaos_estate import SCHEMAS, Row
from chaos_processes import Member
from chaos_record import Heard
from gohan_jobs.codec import Codec
from gohan_jobs.keys import JobId, Place, ResourcePath
from gohan_jobs.records import Action, ResourceRef
from gohan_jobs.rendering import stack_name
from gohan_jobs.stores.base import Entry
from history import problems_of

__all__ = ["Claimed", "Evidence", "claims_in", "holders_in", "problems_in"]

_LATE = 0.1
"""Seconds by which a claim may be logged late, on a busy machine."""

_POISON = "given up after"
_CLAIMED = re.compile(r"^(\S+ \S+),(\d+) .* JobClaimed .*\bholder=(\S+)", re.MULTILINE)


@attrs.frozen
class Claimed:
    """One reservation of a job.

    Attributes:
        job_id: of which job.
        holder: its uuid.
        since: when it was heard of ...
        until: ... and when its end was; None if it never ended.
        expired: whether its lease ended it.
        finished: whether its holder finished it.
    """

    job_id: JobId
    holder: str
    since: float
    until: float | None = None
    expired: bool = False
    finished: bool = False

    @property
    def resource(self) -> ResourceRef:
        """The job's resource."""
        return ResourceRef(self.job_id.resource_type, self.job_id.resource_id)

    def covers(self, moment: float) -> bool:
        """Whether it stood then."""
        return self.since - _LATE <= moment and (self.until is None or moment <= self.until)


@attrs.frozen(kw_only=True)
class Evidence:
    """What a run has left.

    Attributes:
        heard: etcd's history.
        calls: what Heat was asked to change.
        stacks: the stacks there are, with their projects.
        rows: the resources there are, by path.
        members: the processes.
        failing: what Heat was told to fail.
        references: what each resource has ever referred to.
    """

    heard: Sequence[Heard]
    calls: Sequence[dict[str, Any]]
    stacks: Sequence[tuple[str, dict[str, Any]]]
    rows: dict[ResourcePath, Row]
    members: Sequence[Member]
    failing: Collection[ResourceRef] = ()
    references: Mapping[ResourceRef, set[ResourceRef]] = attrs.field(factory=dict)


def problems_in(evidence: Evidence) -> list[str]:
    """Everything that is wrong; a line each, naming the resource."""
    claims = claims_in(evidence.heard)
    return [
        *problems_of((heard.events for heard in evidence.heard), SCHEMAS),
        *_results(evidence),
        *_stacks(evidence, claims),
        *_creations(evidence.calls),
        *_lateness(evidence, claims),
        *_mishaps(evidence.members),
    ]


# What the history says.


def claims_in(heard: Iterable[Heard]) -> list[Claimed]:
    """Every reservation there was."""
    keys = Codec().keys
    prefix = keys.place_prefix(Place.WORKING)
    open_claims: dict[JobId, Claimed] = {}
    closed: list[Claimed] = []
    for revision in heard:
        touched = {event.key for event in revision.events}
        for event in revision.events:
            if not event.key.startswith(prefix):
                continue
            job_id = keys.job_id_in(prefix, event.key)
            if event.entry is not None:
                open_claims[job_id] = Claimed(job_id, event.entry.value.decode(), revision.at)
            elif job_id in open_claims:
                done = keys.place(Place.FINISHED, job_id) in touched
                handed_back = keys.place(Place.WAITING, job_id) in touched
                closed.append(
                    attrs.evolve(
                        open_claims.pop(job_id),
                        until=revision.at,
                        finished=done,
                        expired=not done and not handed_back,
                    )
                )
    return [*closed, *open_claims.values()]


def _final(heard: Iterable[Heard]) -> dict[str, Entry]:
    entries: dict[str, Entry] = {}
    for revision in heard:
        for event in revision.events:
            if event.entry is None:
                entries.pop(event.key, None)
            else:
                entries[event.key] = event.entry
    return entries


def holders_in(members: Iterable[Member]) -> dict[str, tuple[Member, float]]:
    """Who held which reservation, by its uuid, and since when, as the logs say."""
    found: dict[str, tuple[Member, float]] = {}
    for member in members:
        for at, fraction, holder in _CLAIMED.findall(member.log.read_text(errors="replace")):
            since = dt.datetime.fromisoformat(f"{at}.{fraction}").timestamp()
            found[holder] = member, since
    return found


def _mishaps(members: Iterable[Member]) -> Iterable[str]:
    """What no code expected."""
    for member in members:
        text = member.log.read_text(errors="replace")
        for found in re.finditer(r"^.*\n(?=Traceback)", text, re.MULTILINE):
            yield f"{member.name}: {text[found.start() : found.start() + 3000]}"
        for found in re.finditer(r"^.*(?:unexpected|handler raised).*$", text, re.MULTILINE):
            yield f"{member.name}: {found[0]}"


# Results.


def _results(evidence: Evidence) -> Iterable[str]:
    """Each resource's result is of its last version, and good."""
    codec = Codec()
    entries = _final(evidence.heard)
    for path, row in evidence.rows.items():
        if row.marked:
            yield f"{row.ref} was marked, and is not deleted"
            continue
        entry = entries.get(codec.keys.state_of(path))
        if entry is None:
            yield f"{row.ref} has no result"
            continue
        state = codec.state(entry.key, entry.value)
        if state.version != row.version:
            yield f"{row.ref} is at version {row.version}, its result of {state.version}"
        if state.error and _POISON not in state.error and not _excused(row, evidence):
            yield f"{row.ref} failed: {state.error}"


def _excused(row: Row, evidence: Evidence) -> bool:
    """Whether Heat was told to fail it, or anything it ever referred to."""
    pending, seen = [row.ref], {row.ref}
    while pending:
        ref = pending.pop()
        if ref in evidence.failing:
            return True
        more = evidence.references.get(ref, set()) - seen
        pending += more
        seen |= more
    return False


# Stacks.


def _stacks(evidence: Evidence, claims: Sequence[Claimed]) -> Iterable[str]:
    """There is one stack of each resource, made by the job that gave the last result."""
    wanted = {
        stack_name(row.ref): row
        for row in evidence.rows.values()
        if row.ref.resource_type != "alias"
    }
    finished = {claim.resource: claim.job_id for claim in claims if claim.finished}
    for tenant, stack in evidence.stacks:
        name = stack["stack_name"]
        row = wanted.pop(name, None)
        if row is None or row.tenant != tenant:
            yield f"{name} in {tenant[:4]}… is nobody's stack: {stack['stack_status']}"
            continue
        last = finished.get(row.ref)
        tag = "" if last is None else f"gohan-jobs:{last.version}:{last.suffix}"
        if stack.get("tags") != [tag] and not _failed(evidence, row):
            yield f"{name} is tagged {stack.get('tags')}, the last result was {tag}"
    for name, row in wanted.items():
        if not _failed(evidence, row):
            yield f"{name} has no stack"


def _failed(evidence: Evidence, row: Row) -> bool:
    codec = Codec()
    key = codec.keys.state_of(next(p for p, r in evidence.rows.items() if r is row))
    entry = _final(evidence.heard).get(key)
    return entry is not None and bool(codec.state(key, entry.value).error)


def _creations(calls: Sequence[dict[str, Any]]) -> Iterable[str]:
    """A stack is made once, and again only after it was deleted."""
    alive: set[tuple[str, str]] = set()
    for call in calls:
        stack = call["tenant"], call["stack"]
        if call["error"]:
            continue
        if call["op"] == "create" and stack in alive:
            yield f"{call['stack']} was made twice, the second at {call['at']}"
        if call["op"] == "create":
            alive.add(stack)
        if call["op"] == "delete":
            alive.discard(stack)


# Leases (``rules`` 18).


def _lateness(evidence: Evidence, claims: Sequence[Claimed]) -> Iterable[str]:
    """Who asks Heat for a change holds the job; but for those who stood still meanwhile."""
    holders = holders_in(evidence.members)
    of_stack: dict[str, list[Claimed]] = {}
    for claim in claims:
        # Its holder knew of it before it was heard of here.
        since = holders[claim.holder][1] if claim.holder in holders else claim.since
        known = attrs.evolve(claim, since=min(since, claim.since))
        of_stack.setdefault(stack_name(claim.resource), []).append(known)
    for call in evidence.calls:
        moment = dt.datetime.fromisoformat(call["at"]).timestamp()
        candidates = [c for c in of_stack.get(call["stack"], ()) if _may_be_of(call, c)]
        if any(claim.covers(moment) for claim in candidates):
            continue
        earlier = [claim for claim in candidates if claim.since - _LATE <= moment]
        if not any(_stood_still(holders, c, moment) for c in earlier):
            yield f"{call['op']} of {call['stack']} at {call['at']}, which nobody held"


def _may_be_of(call: dict[str, Any], claim: Claimed) -> bool:
    if call["op"] == "delete":
        return Action(claim.job_id.action).deletes
    return f"gohan-jobs:{claim.job_id.version}:{claim.job_id.suffix}" in call["tags"]


def _stood_still(holders: Mapping[str, tuple[Member, float]], claim: Claimed, until: float) -> bool:
    """Whether a process was frozen between its claim and its call."""
    member, since = holders.get(claim.holder, (None, claim.since))
    return member is not None and any(
        frozen.since <= until and frozen.until >= since for frozen in member.frozen
    )
