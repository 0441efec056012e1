"""What can be wrong with etcd, and with the keyspace in it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from gohan_jobs.diagnosis.facts import Facts
from gohan_jobs.diagnosis.findings import Finding, Severity, error, warning

__all__ = ["CHECKS"]

_FULL = 0.8
_LONG_HISTORY = 1_000_000
_NEVER_COMPACTED = 50_000
_VERSION = re.compile(r"(\d+)\.(\d+)\.(\d+)")


def _members(facts: Facts) -> Iterator[Finding]:
    for member in facts.members:
        if member.error:
            yield error(
                "etcd",
                f"a member does not serve us: {member.error}",
                "if it is down, start it: without a majority nothing can be written; else correct "
                "--etcd, the certificates, the user or the password",
                (member.endpoint,),
            )
    if facts.store.error:
        yield error(
            "etcd",
            f"the keyspace can't be read, so nothing else was looked at: {facts.store.error}",
            "correct what it names; the page on running on etcd tells of each of its bad days",
        )


def _versions(facts: Facts) -> Iterator[Finding]:
    bad = [member for member in facts.members if _loses_consistency(member.version)]
    if bad:
        yield error(
            "etcd",
            f"etcd {bad[0].version} can lose consistency after a crash (3.5.0 to 3.5.2)",
            "upgrade to 3.5.6 or later, or 3.4.22 or later",
            [member.endpoint for member in bad],
        )
    versions = sorted({member.version for member in facts.members if member.version})
    if len(versions) > 1:
        yield warning(
            "etcd",
            f"the members are of different versions: {', '.join(versions)}",
            "finish the upgrade",
        )


def _loses_consistency(version: str) -> bool:
    found = _VERSION.match(version)
    return found is not None and (3, 5, 0) <= tuple(map(int, found.groups())) <= (3, 5, 2)


def _space(facts: Facts) -> Iterator[Finding]:
    if any("NOSPACE" in member.alarms for member in facts.members):
        yield error(
            "etcd",
            "etcd is full (alarm NOSPACE): nothing can be written, only deleted",
            "compact, defragment each member, then `etcdctl alarm disarm`; see the page on etcd",
        )
    if any("CORRUPT" in member.alarms for member in facts.members):
        yield error(
            "etcd",
            "etcd has found its data corrupt (alarm CORRUPT)",
            "find the member whose hash differs, remove it, and add it anew",
        )
    full = [member for member in facts.members if member.size >= _FULL * facts.quota]
    if full:
        share = round(100 * max(member.size for member in full) / facts.quota)
        yield warning(
            "etcd",
            f"the database takes {share} % of its quota: the resync of unchanged configs pauses",
            "compact and defragment; give --quota-bytes if etcd's is not 2 GiB",
            [member.endpoint for member in full],
        )


def _history(facts: Facts) -> Iterator[Finding]:
    store = facts.store
    if store.error:
        return
    length = store.revision - store.oldest
    if store.oldest <= 1 and length >= _NEVER_COMPACTED:
        yield warning(
            "history",
            f"nothing of {length:,} revisions was ever compacted: the database only grows",
            "give etcd --auto-compaction-mode=periodic --auto-compaction-retention=8h",
        )
    elif length >= _LONG_HISTORY:
        yield warning(
            "history",
            f"{length:,} revisions are kept: the database is larger than it need be",
            "shorten --auto-compaction-retention",
        )
    else:
        yield Finding(
            severity=Severity.INFO,
            check="history",
            what=f"history reaches back {length:,} revisions, to {store.oldest}",
        )


def _keyspace(facts: Facts) -> Iterator[Finding]:
    store = facts.store
    if store.format and store.format != store.supported:
        yield error(
            "keyspace",
            f"the keyspace's format is {store.format!r}, this release works with "
            f"{store.supported!r}",
            "repeat `gohan-jobs load FILE` with the same dump, or take it back with --undo"
            if store.format == "loading"
            else "use the release that wrote it",
        )
    if store.moved_from:
        yield error(
            "keyspace",
            f"the keyspace is of cluster {store.moved_from}, and this is another one: the job "
            "manager does not start",
            "correct --etcd; if it was moved on purpose, `gohan-jobs resume --accept --beforehand`",
        )


CHECKS = (_members, _versions, _space, _history, _keyspace)
"""All of these."""
