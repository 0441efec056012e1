"""Replay a recording: what would this release do with the changes that came to another one?

Run it: ``python examples/replay_trace.py SCHEMAS TRACE EXPECTED`` on Gohan's schemas and two files
of one JSON object a line, as ``gohan-jobs replay`` reads and writes them; or without arguments on a
recording made up here. Each configs' change, and each end of a Heat operation, is fed in; the jobs,
calls of Heat, stacks and states that follow are compared with those expected.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from itertools import zip_longest
from pathlib import Path
from typing import Any

from gohan_jobs import Schema, Schemas
from gohan_jobs.testing import replay

Rows = Iterable[Mapping[str, Any]]

SCHEMAS = Schemas(
    [Schema(type="network", prefix="v2.0/networks", templates={"heat_worker": "Cnetwork"})]
)
SUFFIX = re.compile(r'(:\d+):\w{5}(?=")')


def facts(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row but for the random suffixes of job ids."""
    known: dict[str, Any] = json.loads(SUFFIX.sub(r"\1:abcde", json.dumps(row)))
    return known


def title(row: Mapping[str, Any]) -> str:
    """What a row is about, without what may be secret in it."""
    return f"{row['kind']} {row['op']} {row['stack']}" if "op" in row else f"{row['kind']}"


def differences(found: Rows, expected: Rows) -> Iterator[str]:
    """Where two replays part."""
    for number, (new, old) in enumerate(zip_longest(found, expected), 1):
        if new is None or old is None:
            yield f"row {number}: {title(new or old)} only {'found' if new else 'expected'}"
            continue
        mine, others = facts(new), facts(old)
        names = [name for name in {**others, **mine} if mine.get(name) != others.get(name)]
        if names:
            yield f"row {number}: {title(new)}: differs in {', '.join(names)}"


def config(path: str, version: int, body: Mapping[str, Any]) -> dict[str, Any]:
    """A config that Gohan wrote."""
    value = {"body": body, "version": version, "marked_for_deletion": False}
    return {"event": "config", "key": f"/config/{path}", "value": value}


def settled(status: str) -> dict[str, Any]:
    """The end of the operation under way on the network's stack."""
    value = {
        "id": "network:n1",
        "stack_id": "network_n1",
        "tenant_id": "t1",
        "stack_status": status,
        "status_reason": "",
        "output": [],
    }
    return {"event": "stack", "key": "/esi-worker/heat_stacks/v2.0/networks/n1", "value": value}


def recording(name: str) -> list[dict[str, Any]]:
    """A network is created, and then renamed."""
    template = {
        "id": "network",
        "handler": "heat_worker",
        "template_file": "heat_template_version: 2016-10-14\nparameters: {name: {type: string}}\n",
        "parameter_mappings": {"name": {"field": "name"}},
    }
    body = {"id": "n1", "tenant_id": "t1", "name": "one"}
    return [
        config("v2.0/heat_templates/network", 1, template),
        config("v2.0/networks/n1", 1, body),
        settled("CREATE_COMPLETE"),
        config("v2.0/networks/n1", 2, {**body, "name": name}),
        settled("UPDATE_COMPLETE"),
    ]


def rows(path: str) -> list[dict[str, Any]]:
    """What a file holds."""
    return [json.loads(line) for line in Path(path).read_text(encoding="utf-8").splitlines()]


def main(*files: str) -> None:
    """Replay, and compare."""
    if files:
        schemas, trace, expected = Schemas.from_file(files[0]), rows(files[1]), rows(files[2])
    else:
        schemas, trace = SCHEMAS, recording("two")
        expected = list(replay(recording("second"), SCHEMAS))
    found = list(replay(trace, schemas))
    print("rows:", ", ".join(map(title, found)))
    for line in differences(found, expected):
        print(line)


if __name__ == "__main__":
    main(*sys.argv[1:])
