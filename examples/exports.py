"""Records only: compare two exports of etcd, whichever way each of them is spelled.

Run it: ``python examples/exports.py BEFORE AFTER`` on two files that ``etcdctl get / --prefix
-w json`` wrote, or without arguments on two made up here. Nothing but the codec is needed: neither
a store nor Heat. A line for each record that differs, or can't be read; no value is ever shown.
"""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import attrs

from gohan_jobs import ConfigRecord, Record, Spelling, StateRecord, WorkerState, dumps, loads
from gohan_jobs.exceptions import InvalidKey, InvalidRecord


def read(export: str) -> dict[str, str]:
    """The texts in an export, by key."""
    pairs = json.loads(export).get("kvs", [])
    return {_text(pair["key"]): _text(pair.get("value", "")) for pair in pairs}


def _text(encoded: str) -> str:
    return base64.b64decode(encoded).decode("utf-8", "surrogateescape")


def spelling_of(record: Record, text: str) -> str:
    """Which spelling writes this record exactly so; "another" if none does."""
    for spelling in Spelling:
        if dumps(record, spelling) == text:
            return spelling.value
    return "another"


def compare(before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[str]:
    """What is to be told about each key."""
    for key in sorted({*before, *after}):
        if key not in before or key not in after:
            yield f"{key}: only {'before' if key in before else 'after'}"
            continue
        try:
            old, new = loads(key, before[key]), loads(key, after[key])
        except InvalidKey:
            continue  # not one of the documented records
        except InvalidRecord as error:
            yield from (f"{key}: {problem}" for problem in error.problems)
            continue
        if old == new:
            spellings = spelling_of(old, before[key]), spelling_of(new, after[key])
            if spellings[0] != spellings[1]:
                yield f"{key}: equal, {spellings[0]} and {spellings[1]} spelling"
        else:
            yield f"{key}: differs in {', '.join(fields_that_differ(old, new))}"


def fields_that_differ(old: Record, new: Record) -> list[str]:
    """Names only: what stands in them may be secret."""
    names = [field.name for field in attrs.fields(type(old)) if field.eq]
    return [name for name in names if getattr(old, name) != getattr(new, name)]


def samples() -> tuple[str, str]:
    """Two exports: what Gohan and an old worker wrote, and a restored copy of it."""
    config = ConfigRecord(body={"id": "n1", "tenant_id": "t1", "name": "<one>"}, version=2)
    state = StateRecord(
        worker_state=WorkerState.CREATED,
        orchestration_state="CREATE_COMPLETE",
        heat_outputs=(),
        version=1,
        error="",
    )
    renamed = attrs.evolve(config, body={**config.body, "name": "two"})
    first, second, third = (f"/config/v2.0/networks/n{number}" for number in (1, 2, 3))
    published = "/state/v2.0/networks/n1"
    before = {
        first: dumps(config, "gohan"),
        second: dumps(config, "gohan"),
        third: dumps(config, "gohan"),
        published: dumps(state, "worker"),
    }
    after = {
        first: dumps(config, "document"),
        second: dumps(renamed, "gohan"),
        third: '{"body": "{}", "version": "two"}',
        published: dumps(attrs.evolve(state, version=2), "worker"),
    }
    return _export(before), _export(after)


def _export(texts: Mapping[str, str]) -> str:
    def encoded(text: str) -> str:
        return base64.b64encode(text.encode()).decode()

    return json.dumps({"kvs": [{"key": encoded(k), "value": encoded(v)} for k, v in texts.items()]})


def main(*files: str) -> None:
    """Compare two exports."""
    given = [Path(file).read_text(encoding="utf-8") for file in files] or samples()
    before, after = map(read, given)
    for line in compare(before, after):
        print(line)


if __name__ == "__main__":
    main(*sys.argv[1:])
