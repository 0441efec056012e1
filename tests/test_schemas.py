"""Gohan's schemas: read, built in code, asked."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
import requests

from gohan_jobs import schemas_http
from gohan_jobs.exceptions import InvalidSchema, MappingSyntaxError
from gohan_jobs.keys import ResourcePath
from gohan_jobs.mapping import Constant, Field, parse
from gohan_jobs.records import ResourceRef
from gohan_jobs.schemas import HEAT_WORKER, Schema, Schemas
from recorded_runs import corpus_file, recorded_schemas


def _entry(**changes: Any) -> dict[str, Any]:
    return {
        "id": "port",
        "plural": "ports",
        "prefix": "/v2.0/ports",
        "metadata": {"state_versioning": True, "template_path": "Cport"},
        "schema": {
            "properties": {
                "network_id": {"relation": "network"},
                "nested": {"properties": {"subnet_id": {"relation": "subnet"}}},
                "odd": True,
                "empty": {"relation": ""},
                "name": {"type": "string"},
            }
        },
        **changes,
    }


def test_an_entry_of_gohans_answer() -> None:
    """Type, prefix, top-level relations, template mapping and the two switches."""
    (schema,) = Schemas.from_gohan({"schemas": [_entry()]})
    assert schema == Schema(
        type="port",
        prefix="v2.0/ports",
        plural="ports",
        relations={"network_id": "network"},
        templates={HEAT_WORKER: Constant("port")},
        state_versioning=True,
    )


def test_what_an_entry_may_lack() -> None:
    """Without metadata and properties a type is not workable and not versioned."""
    (schema,) = Schemas.from_gohan({"schemas": [{"id": "quota", "prefix": "v2.0/quotas/"}]})
    assert schema == Schema(type="quota", prefix="v2.0/quotas")
    assert (schema.templates, schema.relations) == ({}, {})
    assert not schema.state_versioning
    assert not schema.two_step_deletion


def test_every_problem_is_told_with_its_path() -> None:
    """One error for the whole answer."""
    answer = {
        "schemas": [
            3,
            _entry(id=None),
            _entry(id="a:b", prefix="/v2.0//a b"),
            _entry(id="x", metadata={"template_path": "Xa", "state_versioning": True}),
            _entry(id="y", prefix="/v2.0/y", metadata={"two_step_deletion": "yes"}, schema=[]),
            None,
            _entry(id="z\n"),
        ]
    }
    with pytest.raises(InvalidSchema) as caught:
        Schemas.from_gohan(answer, "here")
    assert caught.value.source == "here"
    assert [(problem.path, problem.message) for problem in caught.value.problems] == [
        ("$.schemas[0]", "expected dict, found int"),
        ("$.schemas[1].id", "expected str, found nothing"),
        ("$.schemas[2].id", "'a:b' can't be a resource type"),
        ("$.schemas[2].prefix", "'v2.0//a b' can't begin a resource's path"),
        (
            "$.schemas[3].metadata.template_path",
            (
                "type 'x': heat_worker: mapping \"Xa\": "
                "not a compact mapping: P, C, Vauto_filled, O, F, M or A"
            ),
        ),
        ("$.schemas[4].schema", "expected dict, found list"),
        ("$.schemas[4].metadata.two_step_deletion", "expected bool, found str"),
        ("$.schemas[5]", "expected dict, found nothing"),
        ("$.schemas[6].id", "'z\\n' can't be a resource type"),
    ]


@pytest.mark.parametrize("answer", [None, [], {}, {"schemas": {}}])
def test_an_answer_of_another_shape_is_refused(answer: Any) -> None:
    """An error page is not an empty list of types."""
    with pytest.raises(InvalidSchema, match="expected an object with a list 'schemas'"):
        Schemas.from_gohan(answer)


def test_schemas_built_in_code() -> None:
    """Template mappings in either spelling or parsed, for several handlers in order."""
    schema = Schema(
        type="port",
        prefix="/v2.0/ports/",
        templates={"heat_worker": {"field": "kind"}, "monitoring_worker": parse("Cm"), "x": None},
    )
    schemas = Schemas([schema, Schema(type="network", prefix="v2.0/networks")])
    assert list(schema.templates.items()) == [
        ("heat_worker", Field("kind")),
        ("monitoring_worker", Constant("m")),
        ("x", None),
    ]
    assert [found.type for found in schemas] == ["port", "network"]
    assert len(schemas) == 2


def test_a_schema_keeps_its_relations() -> None:
    """What the caller does later to what it gave changes no schema."""
    given = {"network_id": "network"}
    schema = Schema(type="port", prefix="v2.0/ports", relations=given)
    given["network_id"] = "subnet"
    assert {"network_id": "network"} == schema.relations


@pytest.mark.parametrize(
    ("kind", "handler", "expected"),
    [
        ("port", HEAT_WORKER, "x"),
        ("port", "monitoring_worker", ""),
        ("port", "late_worker", ""),
        ("router", HEAT_WORKER, ""),
    ],
)
def test_the_template_of_a_resource(kind: str, handler: str, expected: str) -> None:
    """That of the handler that is asked for, and of no other; none where none can be told."""
    templates = {HEAT_WORKER: "Pkind", "late_worker": "Fnetwork+network_id:kind"}
    schemas = Schemas([Schema(type="port", prefix="v2.0/ports", templates=templates)])
    body = {"kind": "x", "network_id": "gone"}
    resource = ResourceRef(kind, "r-1")
    assert expected == schemas.template_of(resource, handler, body, 1, lambda _type, _id: None)


def test_a_template_mapping_that_is_wrong_is_refused_in_code() -> None:
    """At once, naming the handler."""
    with pytest.raises(MappingSyntaxError, match="monitoring_worker: mapping"):
        Schema(type="port", prefix="v2.0/ports", templates={"monitoring_worker": "port"})


def test_types_and_prefixes_must_differ() -> None:
    """Two owners of one path would be a race."""
    one = Schema(type="port", prefix="v2.0/ports")
    with pytest.raises(InvalidSchema) as caught:
        Schemas(
            [one, Schema(type="port", prefix="v3/ports"), Schema(type="x", prefix="v2.0/ports")]
        )
    assert str(caught.value) == (
        "schemas of code: type 'port' comes twice @ $.id; "
        "'port' and 'x' share 'v2.0/ports' @ $.prefix"
    )


_SCHEMAS = Schemas(
    [
        Schema(type="port", prefix="v2.0/ports", relations={"network_id": "network"}),
        Schema(type="port_rule", prefix="v2.0/ports/rules"),
        Schema(type="tenant", prefix="common/v1.0/tenants"),
    ]
)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("v2.0/ports/p-1", ("port", "p-1")),
        ("v2.0/ports/rules/r-1", ("port_rule", "r-1")),
        ("common/v1.0/tenants/t", ("tenant", "t")),
        ("v2.0/ports2/p-1", None),
        ("v2.0/ports", None),
        ("v2.0/ports/", None),
        ("v2.0/ports/p-1/x", None),
        ("", None),
    ],
)
def test_a_path_belongs_to_the_type_with_its_whole_prefix(
    path: str, expected: tuple[str, str] | None
) -> None:
    """``ports/`` is not ``ports2/``, and one prefix may begin another."""
    found = _SCHEMAS.resolve(ResourcePath(path))
    assert expected == (None if found is None else (found[0].type, found[1]))
    if found is not None:
        assert path == found[0].path_of(found[1])


def test_asking_for_a_type() -> None:
    """What is not known has no schema and no relations."""
    port = _SCHEMAS.by_type("port")
    assert port is not None
    assert port.prefix == "v2.0/ports"
    assert _SCHEMAS.by_type("network") is None
    assert _SCHEMAS.relations_of("port") == {"network_id": "network"}
    assert _SCHEMAS.relations_of("network") == {}


def test_the_recorded_answer() -> None:
    """75 types; those with a template mapping are workable."""
    schemas = recorded_schemas()
    assert len(schemas) == 75
    port = schemas.by_type("port")
    assert port is not None
    assert port.relations == {"network_id": "network"}
    assert sum(bool(schema.templates) for schema in schemas) == 31


def test_a_file_that_is_no_json(tmp_path: Path) -> None:
    """The error names the file."""
    path = tmp_path / "schemas.json"
    path.write_text("{")
    with pytest.raises(InvalidSchema, match="not JSON") as caught:
        Schemas.from_file(path)
    assert caught.value.source == str(path)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('{"schemas": [{"id": "a", "id": "b"}]}', "$.schemas[0].id: the key stands twice"),
        ('{"schemas": [], "n": NaN}', "$.n: NaN is not JSON"),
        ('\ufeff{"schemas": []}', "a byte-order mark"),
        (b"\xff", "invalid UTF-8"),
        ("[" * 3000, "more than 200 levels"),
    ],
)
def test_a_text_is_read_as_strictly_as_a_record(text: str | bytes, problem: str) -> None:
    """What could be read in two ways is refused, and where it stands is told."""
    with pytest.raises(InvalidSchema) as caught:
        Schemas.from_text(text, "s")
    ((path, message),) = [(each.path, each.message) for each in caught.value.problems]
    assert problem in f"{path}: {message}"


class _Gohan(BaseHTTPRequestHandler):
    """Answers what the test says, and remembers what it was asked."""

    status: ClassVar[int] = 200
    body: ClassVar[bytes] = b""
    asked: ClassVar[list[tuple[str, str | None]]] = []

    def do_GET(self) -> None:
        """Answer."""
        self.asked.append((self.path, self.headers.get("X-Auth-Token")))
        self.send_response(self.status)
        self.send_header("Location", "http://127.0.0.1:9/elsewhere")
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, *_: Any) -> None:
        """Keep quiet."""


@pytest.fixture
def gohan(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A Gohan on a port of its own; its URL."""
    monkeypatch.setattr(_Gohan, "asked", [])
    monkeypatch.setattr(_Gohan, "status", 200)
    monkeypatch.setattr(_Gohan, "body", json.dumps({"schemas": [_entry()]}).encode())
    with HTTPServer(("127.0.0.1", 0), _Gohan) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("path", "token", "asked"),
    [
        ("", "s3cret", ("/gohan/v0.1/schemas", "s3cret")),
        ("/gohan/v0.1/schemas/", None, ("/gohan/v0.1/schemas", None)),
        ("/behind/", "", ("/behind/gohan/v0.1/schemas", None)),
    ],
)
def test_asking_a_running_gohan(
    gohan: str, path: str, token: str | None, asked: tuple[str, str | None]
) -> None:
    """The schemas' path is added unless it is there; the token is a header."""
    schemas = Schemas.from_url(gohan + path, token)
    assert [schema.type for schema in schemas] == ["port"]
    assert [asked] == _Gohan.asked


@pytest.mark.parametrize("status", [302, 401, 503])
def test_another_status_is_an_error_that_keeps_the_secrets(
    gohan: str, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Redirects are not followed: the token would be sent along."""
    monkeypatch.setattr(_Gohan, "status", status)
    url = gohan.replace("//", "//user:odd@s3cret@") + "?key=s3cret"
    with pytest.raises(InvalidSchema) as caught:
        Schemas.from_url(url, "s3cret")
    assert str(caught.value) == (
        f"schemas of {gohan}/gohan/v0.1/schemas: HTTP status {status}, expected 200 @ $"
    )
    assert len(_Gohan.asked) == 1


def test_an_answer_that_is_too_long_is_cut_off(gohan: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A runaway server can't fill the memory."""
    _, text = schemas_http.fetch(gohan, None, timeout=5)
    monkeypatch.setattr(schemas_http, "MAX_ANSWER", len(text))
    assert text == schemas_http.fetch(gohan, None, timeout=5)[1]
    monkeypatch.setattr(schemas_http, "MAX_ANSWER", len(text) - 1)
    with pytest.raises(InvalidSchema, match=f"longer than {len(text) - 1} bytes"):
        Schemas.from_url(gohan)


def test_an_answer_is_not_waited_for_longer_than_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """The time that the caller gives is the request's, and there always is one."""
    asked: list[float] = []

    def get(_address: str, *, timeout: float, **_options: Any) -> Any:
        asked.append(timeout)
        raise requests.Timeout

    monkeypatch.setattr(requests, "get", get)
    with pytest.raises(InvalidSchema, match="no answer: Timeout"):
        Schemas.from_url("http://gohan")
    with pytest.raises(InvalidSchema, match="no answer: Timeout"):
        Schemas.from_url("http://gohan", timeout=0.5)
    assert [30.0, 0.5] == asked


@pytest.mark.parametrize("url", ["http://127.0.0.1:9", "nonsense", "http://[::1", "ftp://x"])
def test_no_answer_is_an_error_that_keeps_the_secrets(url: str) -> None:
    """Refused connections and unusable URLs alike."""
    with pytest.raises(InvalidSchema, match="no answer: ") as caught:
        Schemas.from_url(url, "s3cret", timeout=5)
    assert "s3cret" not in str(caught.value)


def test_a_file_of_gohans_answer() -> None:
    """The recorded answer may be given as a path or as its text."""
    path = corpus_file("schemas.json")
    types = [schema.type for schema in Schemas.from_file(str(path))]
    assert types == [schema.type for schema in Schemas.from_text(path.read_text())]


def test_other_template_mappings() -> None:
    """A handler that a type has keeps its place, another one follows, None takes one away."""
    first = Schema(type="port", prefix="ports", templates={"heat_worker": "Cport"})
    second = Schema(type="net", prefix="nets", templates={"heat_worker": "Cnet"})
    changed = Schemas([first, second]).with_templates(
        {"monitoring_worker": {"port": "Cwatch"}, "heat_worker": {"port": "Cother", "net": None}}
    )
    port, net = changed
    expected = Schema(
        type="port",
        prefix="ports",
        templates={"heat_worker": "Cother", "monitoring_worker": "Cwatch"},
    )
    assert (expected, ["heat_worker", "monitoring_worker"]) == (port, list(port.templates))
    assert {} == dict(net.templates)
    assert "Cport" == str(first.templates["heat_worker"])


def test_other_template_mappings_that_can_not_be() -> None:
    """Every type that there is not, and every mapping that is none, is named."""
    schemas = Schemas([Schema(type="port", prefix="ports")])
    with pytest.raises(InvalidSchema) as raised:
        schemas.with_templates({"w": {"nothing": "C", "port": {}}}, "the file")
    assert "the file" == raised.value.source
    assert ["$.w.nothing", "$.w.port"] == [problem.path for problem in raised.value.problems]
