"""All of a template's mappings for one config."""

from __future__ import annotations

import json
import pickle
from typing import Any

import pytest

from gohan_jobs.codec import dumps, loads
from gohan_jobs.exceptions import (
    MappingEvaluationError,
    MappingSyntaxError,
    UnresolvedReference,
)
from gohan_jobs.keys import JobId
from gohan_jobs.mapping import ParsedTemplate, Scope, compute_params, parse_mappings
from gohan_jobs.records import HeatTemplate, Job, Param, ParamType, ResourceRef

_DB: dict[tuple[str, str], dict[str, Any]] = {
    ("network", "n-1"): {"name": "one"},
    ("network", "n-2"): {"name": "two"},
}


def _scope(body: dict[str, Any]) -> Scope:
    return Scope(
        resource=ResourceRef("port", "p-1"),
        body=body,
        version=3,
        lookup=lambda kind, identity: _DB.get((kind, identity)),
        relations=lambda _kind: {"network_id": "network"},
        where="template port",
    )


def _network(number: int) -> ResourceRef:
    return ResourceRef("network", f"n-{number}")


def test_params_keep_the_mappings_order_and_emit_nulls() -> None:
    """A param whose field is absent is emitted all the same."""
    mappings = parse_mappings({"version": "Vauto_filled", "name": "Pname", "a": "C1"})
    assert compute_params(mappings, _scope({})) == (
        Param(param="version", type=ParamType.VALUE, value=3),
        Param(param="name", type=ParamType.VALUE, value=None),
        Param(param="a", type=ParamType.VALUE, value="1"),
    )


@pytest.mark.parametrize(
    ("previous", "resources"),
    [
        (None, (_network(1),)),
        ({"network_id": "n-1"}, (_network(1), _network(1))),
        ({"network_id": "n-2"}, (_network(1), _network(2))),
        ({"network_id": "gone"}, (_network(1),)),
        ({}, (_network(1),)),
        ({"network_id": 7}, (_network(1),)),
    ],
)
def test_the_previous_body_repeats_its_resources(
    previous: dict[str, Any] | None, resources: tuple[ResourceRef, ...]
) -> None:
    """New body's resources, then the previous one's as far as they are there (seed 2, point 2)."""
    mappings = parse_mappings({"name": "Fnetwork+network_id:name"})
    (param,) = compute_params(mappings, _scope({"network_id": "n-1"}), previous)
    assert Param(param="name", type=ParamType.VALUE, value="one", resources=resources) == param


def test_items_of_a_list_carry_the_params_name_and_no_resources() -> None:
    """The outer param holds all resources, those of the previous body included."""
    form = {
        "for_field": "ids",
        "for_mapping": {"output_key": "id", "path": [{"type": "network", "id": ""}]},
    }
    scope = _scope({"ids": ["n-1"]})
    (param,) = compute_params(parse_mappings({"networks": form}), scope, {"ids": ["n-2"]})
    key = {"output_key": "id", "resource_type": "network", "resource_id": "n-1"}
    item = Param(param="networks", type=ParamType.OUTPUT_KEY, value=key)
    assert param == Param(
        param="networks",
        type=ParamType.LIST,
        value=(item,),
        resources=(_network(1), _network(2)),
    )


def test_a_final_error_comes_before_an_unresolved_reference() -> None:
    """What waiting can't mend is said at once; both name template and param."""
    broken = parse_mappings({"late": "Fnetwork+network_id:name", "wrong": "APslot&Cx"})
    with pytest.raises(MappingEvaluationError) as caught:
        compute_params(broken, _scope({"network_id": "gone", "slot": 1}))
    assert caught.value.where == "template port, param wrong"
    late = parse_mappings(
        {"late": "Fnetwork+network_id:name", "fine": "Cx", "later": "Fport+network_id:name"}
    )
    with pytest.raises(UnresolvedReference) as unresolved:
        compute_params(late, _scope({"network_id": "gone"}))
    assert unresolved.value.where.startswith("template port, param late, hop 1")


def test_every_param_that_can_not_be_computed_is_told_at_once() -> None:
    """One round trip mends a config; what may still come is not among them; it can be pickled."""
    broken = parse_mappings({"a": "APslot&Cx", "late": "Fnetwork+network_id:name", "b": "Oslot:x"})
    with pytest.raises(MappingEvaluationError) as caught:
        compute_params(broken, _scope({"network_id": "gone", "slot": 1}))
    expected = (
        "port:p-1: template port, param a: part 1 of a concatenation is a number, not a string; "
        "template port, param b: field 'x' of a number: expected an object"
    )
    assert expected == str(caught.value)
    assert expected == str(pickle.loads(pickle.dumps(caught.value)))  # noqa: S301 - our own
    assert ["template port, param b"] == [error.where for error in caught.value.others]


def test_a_delete_leaves_out_what_can_not_be_computed() -> None:
    """Mapping errors never block a delete (rules 8)."""
    mappings = parse_mappings({"late": "Fnetwork+network_id:name", "fine": "Cx", "n": "APa&Cx"})
    found = compute_params(mappings, _scope({"network_id": "gone"}), lenient=True)
    assert found == (Param(param="fine", type=ParamType.VALUE, value="x"),)


def _template(mappings: dict[str, Any]) -> HeatTemplate:
    return HeatTemplate(
        id="port", handler="heat_worker", template_file="x", parameter_mappings=mappings
    )


def test_a_template_is_parsed_once_with_all_it_needs() -> None:
    """Id, handler and text come along; mappings can't be changed."""
    parsed = ParsedTemplate.parse(_template({"name": "Pname"}))
    assert (parsed.id, parsed.handler, parsed.text) == ("port", "heat_worker", "x")
    assert dict(parsed.mappings) == dict(parse_mappings({"name": "Pname"}))
    with pytest.raises(TypeError):
        parsed.mappings["other"] = parsed.mappings["name"]  # type: ignore[index] # read-only


def test_every_wrong_mapping_of_a_template_is_told_at_once() -> None:
    """One round trip mends a template; the error survives pickling."""
    with pytest.raises(MappingSyntaxError) as caught:
        ParsedTemplate.parse(_template({"a": "Xa", "b": "Pb", "c": {"what": 1}}))
    expected = (
        'template port, param a: mapping "Xa": '
        "not a compact mapping: P, C, Vauto_filled, O, F, M or A; "
        'template port, param c: mapping {"what": 1}: not a form of the mapping language'
    )
    assert expected == str(caught.value)
    assert expected == str(pickle.loads(pickle.dumps(caught.value)))  # noqa: S301 - our own
    assert [error.where for error in caught.value.others] == ["template port, param c"]


_LINK_IF_EMPTY = {
    "if_mapping": {"equal": [{"field": "deep"}, []]},
    "then_mapping": {"output_key": "link"},
    "else_mapping": {"field": "deep"},
}


@pytest.mark.parametrize(
    ("form", "most"),
    [({"field": "deep"}, 196), ({"for_field": "all", "for_mapping": _LINK_IF_EMPTY}, 194)],
)
def test_a_value_fits_into_a_jobs_document(form: dict[str, Any], most: int) -> None:
    """Or it is the config's error: of a job's 200 levels four are its own, in a list six."""

    def computed(levels: int) -> tuple[Param, ...]:
        deep = json.loads("[" * levels + "]" * levels)
        body = {"deep": deep, "all": [{"deep": []}, {"deep": deep}]}
        return compute_params(parse_mappings({"value": form}), _scope(body))

    job = Job(id=JobId.parse("create:heat_worker:port:p-1:3:abcde"), params=computed(most))
    assert job == loads(f"/jobs/all/{job.id}", dumps(job))
    with pytest.raises(MappingEvaluationError, match=r"param value: .* more than 196 levels"):
        computed(most + 1)
