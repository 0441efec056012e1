"""What the records cost: a job through the codec, beside a version written by hand on dicts.

Both make the same checks of the same text: strict JSON, the key, the wrapper, every field's type,
the job ids. The dict version keeps what it has read as it is; the codec makes records of it. The
two are measured in turns within one run; of each the best median is told, so that other load on
the machine does not decide. Run it with ``python benchmarks/codec.py``; it exits with 1 if the
codec takes more than 1.5 times as long.
"""

from __future__ import annotations

import json
import re
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

from gohan_jobs.codec import Codec, Spelling, dumps, loads, loads_json
from gohan_jobs.codec.strict_json import MAX_LEVELS, deeper_than

LIMIT = 1.5
ROUNDS = 15
REPEATS = 15
CALLS = 40

JOB_ID = "create:heat_worker:load_balancer_interface:24580bfc-32f4-4c0f-8e8a-c7288497aa7c:1:sougr"
KEY = f"/jobs/all/{JOB_ID}"
BODY = {
    "status": "PENDING_CREATE",
    "name": "Interface 1/1",
    "tenant_id": "fe3a4a1a72c04479bb6c19c2c0ccba4c",
    "vnf_interface_id": "3f1be05a-6cae-4f5e-9985-15f6f714d8dc",
    "load_balancer_id": "b311c470-d878-4fea-8466-a4393938f2d4",
    "operational_state": "NO_STATE",
    "orchestration_state": "CREATE_IN_PROGRESS",
    "slot_number": 1,
    "type": "user",
    "id": "24580bfc-32f4-4c0f-8e8a-c7288497aa7c",
}
REFS = [
    {"resource_type": "load_balancer", "resource_id": "b311c470-d878-4fea-8466-a4393938f2d4"},
    {"resource_type": "vnf_instance", "resource_id": "398d65ba-0060-456e-b415-5bc954450717"},
]


def _param(name: str, value: object, refs: list[dict[str, str]] | None = None) -> dict[str, Any]:
    return {"resources": refs or [], "type": "value", "value": value, "param": name}


DOCUMENT = [
    "heat_worker",
    {
        "is_first": True,
        "resource_id": "24580bfc-32f4-4c0f-8e8a-c7288497aa7c",
        "handler": "heat_worker",
        "job_name": "load_balancer_interface:24580bfc-32f4-4c0f-8e8a-c7288497aa7c:1",
        "dependency": [
            "create:heat_worker:vnf_instance:398d65ba-0060-456e-b415-5bc954450717:1:pcx6h",
            "create:heat_worker:load_balancer:b311c470-d878-4fea-8466-a4393938f2d4:1:na8s9",
        ],
        "version": 1,
        "params": [
            _param("jinja_slot_number", 1),
            _param("tenant_id", "fe3a4a1a72c04479bb6c19c2c0ccba4c"),
            _param("management_ip", "100.64.193.3", REFS),
            _param("heat_timeout", 3),
            _param("version", 1),
            _param("gohan_id", "24580bfc-32f4-4c0f-8e8a-c7288497aa7c"),
        ],
        "resource_type": "load_balancer_interface",
        "action": "create",
        "is_last": True,
        "on_failure": "fail",
        "id": JOB_ID,
        "resource_input": BODY,
    },
    0,
]

# The version on dicts.

TYPES = {
    "is_first": bool,
    "resource_id": str,
    "handler": str,
    "job_name": str,
    "dependency": list,
    "version": int,
    "params": list,
    "resource_type": str,
    "action": str,
    "is_last": bool,
    "on_failure": str,
    "id": str,
    "resource_input": dict,
}
PARAM = {"resources": list, "type": str, "value": object, "param": str}
REF = {"resource_type": str, "resource_id": str}
OUTPUT_KEY = {"output_key": str, "resource_type": str, "resource_id": str}
NAME = r"[^:/\s\x00-\x1f\x7f\ud800-\udfff]+"
ID = re.compile(rf"{NAME}:{NAME}:{NAME}:{NAME}:(0|[1-9][0-9]{{0,18}}):[a-z0-9]{{5}}\Z")


def check_fields(value: Any, types: Mapping[str, type], path: str) -> dict[str, Any]:
    """An object with these fields, of these types, in this order; others where they were."""
    if type(value) is not dict:
        raise ValueError(path)
    for name, kind in types.items():
        if name not in value:
            raise ValueError(f"{path}.{name}")
        if kind is not object and type(value[name]) is not kind:
            raise ValueError(f"{path}.{name}")
    if tuple(value) == tuple(types):
        return value
    return reorder(value, types)


def reorder(value: dict[str, Any], types: Mapping[str, type]) -> dict[str, Any]:
    """Known fields in their order, each with the unknown ones that followed it."""
    behind: dict[str | None, list[str]] = {}
    after = None
    for name in value:
        if name in types:
            after = name
        else:
            behind.setdefault(after, []).append(name)
    order = list(behind.get(None, ()))
    for name in types:
        order += [name, *behind.get(name, ())]
    return {name: value[name] for name in order}


def check_param(value: Any, path: str) -> dict[str, Any]:
    """A param."""
    param = check_fields(value, PARAM, path)
    resources = param["resources"]
    for index, ref in enumerate(resources):
        resources[index] = check_fields(ref, REF, f"{path}.resources[{index}]")
    if param["type"] == "output_key":
        param["value"] = check_fields(param["value"], OUTPUT_KEY, f"{path}.value")
    elif param["type"] == "list":
        items = check_list(param["value"], f"{path}.value")
        param["value"] = [
            check_param(item, f"{path}.value[{index}]") for index, item in enumerate(items)
        ]
    return param


def check_list(value: Any, path: str) -> list[Any]:
    """A list."""
    if type(value) is not list:
        raise ValueError(path)
    return value


def check_id(value: Any, path: str) -> None:
    """A job's id."""
    if type(value) is not str or not ID.match(value):
        raise ValueError(path)


def loads_by_hand(key: str, text: str) -> list[Any]:
    """A job's document, checked."""
    if not key.startswith("/jobs/all/"):
        raise ValueError(key)
    job_id = key.removeprefix("/jobs/all/")
    check_id(job_id, key)
    value = loads_json(key, text)
    if type(value) is not list or len(value) != 3:
        raise ValueError("$")
    handler, job, number = value
    job = value[1] = check_fields(job, TYPES, "$[1]")
    if type(handler) is not str or handler != job["handler"]:
        raise ValueError("$[0]")
    if type(number) is not int:
        raise ValueError("$[2]")
    if job["id"] != job_id:
        raise ValueError("$[1].id")
    for index, dependency in enumerate(job["dependency"]):
        check_id(dependency, f"$[1].dependency[{index}]")
    params = job["params"]
    for index, param in enumerate(params):
        params[index] = check_param(param, f"$[1].params[{index}]")
    return value


def dumps_by_hand(value: list[Any]) -> str:
    """A job's document as a worker spelled it."""
    return checked_levels(json.dumps(value, allow_nan=False))


def document_by_hand(value: list[Any]) -> str:
    """A job's document as the documented pages spell it."""
    return checked_levels(json.dumps(value, indent=4, separators=(", ", ": "), allow_nan=False))


def checked_levels(text: str) -> str:
    """The text, which must not nest so deep that it could not be read back."""
    if deeper_than(MAX_LEVELS, text):
        raise ValueError("$")
    return text


def median(call: Callable[[], object]) -> float:
    """The median duration of one call, in microseconds."""
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        for _ in range(CALLS):
            call()
        times.append((time.perf_counter() - start) / CALLS)
    return statistics.median(times) * 1e6


def compare(name: str, codec: Callable[[], object], by_hand: Callable[[], object]) -> float:
    """Measure both in turns and print them; the ratio."""
    best = [float("inf"), float("inf")]
    for _ in range(ROUNDS):
        best = [min(best[0], median(codec)), min(best[1], median(by_hand))]
    ratio = best[0] / best[1]
    print(f"{name:24}{best[0]:10.1f}{best[1]:10.1f}{ratio:8.2f}")
    return ratio


def rate(name: str, call: Callable[[], object]) -> None:
    """Measure one call and print how many there are in a second."""
    best = min(median(call) for _ in range(ROUNDS))
    print(f"{name:24}{best:10.1f}{1e6 / best:10.0f} a second")


def main() -> int:
    """Print the table; 1 if the codec is too slow."""
    text, document = dumps_by_hand(DOCUMENT), document_by_hand(DOCUMENT)
    job, plain = loads(KEY, text), loads_by_hand(KEY, text)
    assert document == dumps(job) == document_by_hand(plain)
    assert text == dumps(job, Spelling.WORKER) == dumps_by_hand(plain)

    print(f"{'a job, microseconds':24}{'codec':>10}{'by hand':>10}{'ratio':>8}")
    ratios = [
        compare("loads, worker", lambda: loads(KEY, text), lambda: loads_by_hand(KEY, text)),
        compare(
            "loads, document", lambda: loads(KEY, document), lambda: loads_by_hand(KEY, document)
        ),
        compare("dumps, worker", lambda: dumps(job, Spelling.WORKER), lambda: dumps_by_hand(plain)),
        compare("dumps, document", lambda: dumps(job), lambda: document_by_hand(plain)),
    ]
    config = json.dumps({"body": json.dumps(BODY), "version": 1, "marked_for_deletion": False})
    codec, stored = Codec(), config.encode()
    rate("config from bytes", lambda: codec.config("/config/v2.0/ports/1", stored))
    return int(max(ratios) > LIMIT)


if __name__ == "__main__":
    sys.exit(main())
