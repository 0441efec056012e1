"""Computing mappings: values, types, the resources visited, and what is wrong where."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gohan_jobs.exceptions import MappingEvaluationError, UnresolvedReference
from gohan_jobs.mapping import (
    Evaluated,
    Scope,
    evaluate,
    parse,
    template_id,
    visited_resources,
)
from gohan_jobs.records import ParamType, ResourceRef
from test_mapping_parser import TREES

_LB = ResourceRef("load_balancer", "lb-1")
_VNF = ResourceRef("vnf_instance", "vnf-1")
_OWN = ResourceRef("load_balancer_interface", "if-1")

_DB: dict[tuple[str, str], dict[str, Any]] = {
    ("load_balancer", "lb-1"): {
        "id": "lb-1",
        "vnf_instance_id": "vnf-1",
        "name": "lb",
        "own": "load_balancer_id",
    },
    ("vnf_instance", "vnf-1"): {"id": "vnf-1", "ip": "100.64.193.3"},
    ("common_function", "cf-1"): {"number": 1},
    ("common_function", "cf-2"): {"number": 2},
}
_RELATIONS: dict[str, dict[str, str]] = {
    "load_balancer_interface": {
        "load_balancer_id": "load_balancer",
        "gone_id": "port",
        "no_id": "port",
    },
    "load_balancer": {"vnf_instance_id": "vnf_instance"},
}
_BODY: dict[str, Any] = {
    "id": "if-1",
    "load_balancer_id": "lb-1",
    "gone_id": "port-9",
    "empty_id": "",
    "no_id": "",
    "number_id": 7,
    "null": None,
    "slot": 1,
    "yes": True,
    "text": "compute:nova",
    "long": "a" * 5000,
    "kind": "load_balancer",
    "further": "vnf_instance",
    "primary": {"ip": "10.0.0.1", "null": None},
    "functions": [{"cf_id": "cf-1"}, {"cf_id": "cf-2"}],
    "vrrp": [{"vrid": 41}, {"vrid": 42}, {}],
    "port_ids": ["port-1", "port-1"],
    "no_items": [],
    "no": False,
    "zero": 0,
    "no_fields": {},
}


def _scope(body: Mapping[str, Any] | None = None, **changes: Any) -> Scope:
    scope = Scope(
        resource=_OWN,
        body=_BODY if body is None else body,
        version=5,
        lookup=lambda kind, identity: _DB.get((kind, identity)),
        relations=lambda kind: _RELATIONS.get(kind, {}),
        where="template t, param p",
    )
    return attrs.evolve(scope, **changes)


def _remote(field: str, *path: Any, **more: Any) -> dict[str, Any]:
    return {"field": field, "path": list(path), **more}


def _if(condition: dict[str, Any]) -> dict[str, Any]:
    return {
        "if_mapping": condition,
        "then_mapping": _remote("name", "load_balancer_id"),
        "else_mapping": "no",
    }


@pytest.mark.parametrize(
    ("form", "value", "resources"),
    [
        ("Pslot", 1, ()),
        ("Pnull", None, ()),
        ("Pabsent", None, ()),
        ("Pload_balancer_id", "lb-1", (_LB,)),
        ("Pgone_id", "port-9", (ResourceRef("port", "port-9"),)),
        ("Pno_id", "", ()),
        ("C3", "3", ()),
        ({"constant": [3, None]}, [3, None], ()),
        ("Vauto_filled", 5, ()),
        ("Oprimary:ip", "10.0.0.1", ()),
        ("Oprimary:absent", None, ()),
        ("Onull:ip", None, ()),
        ("Oabsent:ip", None, ()),
        (
            "Fload_balancer+load_balancer_id:vnf_instance+vnf_instance_id:ip",
            "100.64.193.3",
            (_LB, _VNF),
        ),
        (_remote("absent", "load_balancer_id", "vnf_instance_id"), None, (_LB, _VNF)),
        (_remote("ip", {"type": "vnf_instance", "id": "gone_id"}, ignore_missing=True), "", ()),
        (_remote("ip", {"type": "port", "id": "empty_id"}, ignore_missing=True), "", ()),
        (_remote("ip", {"type": "port", "id": "absent"}, ignore_missing=True), "", ()),
        (_remote("name", "load_balancer_id", ignore_missing=True), "lb", (_LB,)),
        (
            _remote("x", "load_balancer_id", {"type": "port", "id": "name"}, ignore_missing=True),
            "",
            (),
        ),
        (_remote("name", {"concatenate": [{"field": "kind"}, "_id"]}), "lb", (_LB,)),
        (
            _remote("ip", "load_balancer_id", {"concatenate": [{"field": "further"}, "_id"]}),
            "100.64.193.3",
            (_LB, _VNF),
        ),
        (
            _remote("name", {"concatenate": [_remote("own", "load_balancer_id")]}),
            "lb",
            (_LB, _LB),
        ),
        ("ACx_&Ptext&C", "x_compute:nova", ()),
        ("AFload_balancer+load_balancer_id:name&Pload_balancer_id", "lblb-1", (_LB, _LB)),
        (_if({"equal": [{"field": "slot"}, 1]}), "lb", (_LB,)),
        (_if({"equal": [{"field": "yes"}, 1]}), "no", ()),
        (_if({"equal": [{"field": "slot"}, True]}), "no", ()),
        (_if({"equal": [{"field": "zero"}, False]}), "no", ()),
        (_if({"equal": [{"constant": [1, {"a": True}]}, [1, {"a": True}]]}), "lb", (_LB,)),
        (_if({"equal": [{"constant": [1, {"a": True}]}, [1, {"a": 1}]]}), "no", ()),
        (_if({"equal": [{"constant": [1]}, [1, 2]]}), "no", ()),
        (_if({"equal": [{"constant": {"a": 1}}, {"constant": {"b": 1}}]}), "no", ()),
        (_if({"equal": [_remote("name", "load_balancer_id"), "x"]}), "no", ()),
        (_if({"regexp": [{"field": "text"}, "network:|compute:"]}), "lb", (_LB,)),
        (_if({"regexp": [{"field": "text"}, "nova"]}), "no", ()),
        (_if({"regexp": [{"field": "null"}, ""]}), "no", ()),
        ({"for_field": "vrrp", "for_mapping": {"field": "vrid"}}, [41, 42, None], ()),
        ({"for_field": "null", "for_mapping": {"field": "vrid"}}, [], ()),
        ({"for_field": "absent", "for_mapping": {"field": "vrid"}}, [], ()),
        ({"for_field": "empty_id", "for_mapping": {"field": "vrid"}}, [], ()),
        ({"for_field": "no_items", "for_mapping": {"field": "vrid"}}, [], ()),
        ({"for_field": "no_fields", "for_mapping": {"field": "vrid"}}, [], ()),
        ({"for_field": "port_ids", "for_mapping": {"version": "auto_filled"}}, [5, 5], ()),
        (
            {
                "for_field": "functions",
                "for_mapping": _remote("number", {"type": "common_function", "id": "cf_id"}),
            },
            [1, 2],
            (ResourceRef("common_function", "cf-1"), ResourceRef("common_function", "cf-2")),
        ),
    ],
)
def test_values(form: Any, value: Any, resources: tuple[ResourceRef, ...]) -> None:
    """The value of each form, and the resources in the order visited, repeats kept."""
    assert Evaluated(ParamType.VALUE, value, resources) == evaluate(parse(form), _scope())


def _key(kind: str, identity: str) -> dict[str, str]:
    return {"output_key": "id", "resource_type": kind, "resource_id": identity}


def _port(number: int) -> ResourceRef:
    return ResourceRef("port", f"port-{number}")


_PORTS = {
    "for_field": "port_ids",
    "for_mapping": {"output_key": "id", "path": [{"type": "port", "id": ""}]},
}


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ({"output_key": "id"}, Evaluated(ParamType.OUTPUT_KEY, _key(*str(_OWN).split(":")))),
        ("Mport:gone_id:id", Evaluated(ParamType.OUTPUT_KEY, _key("port", "port-9"), (_port(9),))),
        (
            {"output_key": "id", "path": ["load_balancer_id", "vnf_instance_id"]},
            Evaluated(ParamType.OUTPUT_KEY, _key("vnf_instance", "vnf-1"), (_LB, _VNF)),
        ),
        (
            {"output_key": "id", "path": ["gone_id"], "ignore_missing": True},
            Evaluated(ParamType.VALUE, ""),
        ),
        (
            _PORTS,
            Evaluated(
                ParamType.LIST,
                (Evaluated(ParamType.OUTPUT_KEY, _key("port", "port-1"), (_port(1),)),) * 2,
                (_port(1), _port(1)),
            ),
        ),
        ({**_PORTS, "for_field": "absent"}, Evaluated(ParamType.LIST, ())),
        (
            {
                "for_field": "absent",
                "for_mapping": {**_if({"equal": [1, 2]}), "else_mapping": _PORTS},
            },
            Evaluated(ParamType.LIST, ()),
        ),
    ],
)
def test_output_keys(form: Any, expected: Evaluated) -> None:
    """The resource whose output is wanted need not be there; lists keep every item's resources."""
    assert expected == evaluate(parse(form), _scope())


@pytest.mark.parametrize(
    ("form", "where", "missing"),
    [
        ("Fport+gone_id:name", 'hop 1 {"type": "port", "id": "gone_id"}', ("port", "port-9")),
        (_remote("name", "gone_id"), 'hop 1 "gone_id"', ("port", "port-9")),
        (
            _remote("name", {"type": "t", "id": "null"}),
            'hop 1 {"type": "t", "id": "null"}',
            ("t", ""),
        ),
        ("Mport:empty_id:id", 'hop 1 {"type": "port", "id": "empty_id"}', ("port", "")),
        (
            {"output_key": "id", "path": ["gone_id", {"type": "x", "id": "y"}]},
            'hop 1 "gone_id"',
            ("port", "port-9"),
        ),
    ],
)
def test_an_unresolved_hop_names_what_is_missing(
    form: Any, where: str, missing: tuple[str, str]
) -> None:
    """Type, id, template, param and hop: what a held config's error must say (rules 5)."""
    with pytest.raises(UnresolvedReference) as caught:
        evaluate(parse(form), _scope())
    error = caught.value
    assert missing == (error.missing_type, error.missing_id)
    assert f"template t, param p, {where}" == error.where
    assert str(_OWN) == error.resource
    assert str(error) == str(pickle.loads(pickle.dumps(error)))  # noqa: S301 - our own


@pytest.mark.parametrize(
    ("form", "reason"),
    [
        (_remote("name", "slot"), "'slot' is not a relation field of load_balancer_interface"),
        (_remote("name", {"type": "port", "id": "number_id"}), "the id of a port is a number"),
        ("Otext:ip", "field 'ip' of a string: expected an object"),
        ("APslot&Ctext", "part 1 of a concatenation is a number, not a string"),
        ("ACtext&Pnull", "part 2 of a concatenation is null, not a string"),
        ("ACtext&Pprimary", "part 2 of a concatenation is an object, not a string"),
        ("ACtext&Pvrrp", "part 2 of a concatenation is a list, not a string"),
        ("ACtext&Pno_items", "part 2 of a concatenation is a list, not a string"),
        ("ACtext&Pyes", "part 2 of a concatenation is a boolean, not a string"),
        (_if({"regexp": [{"field": "slot"}, "a"]}), "the subject of a regexp is a number"),
        (_if({"regexp": [{"field": "long"}, "a*"]}), "regexp: a subject has at most 4096"),
        ({"for_field": "text", "for_mapping": {"field": "x"}}, "for_field is a string, not a list"),
        ({"for_field": "no", "for_mapping": {"field": "x"}}, "for_field is a boolean, not a list"),
        ({"for_field": "zero", "for_mapping": {"field": "x"}}, "for_field is a number, not a list"),
        ({"for_field": "port_ids", "for_mapping": {"field": "x"}}, "field 'x' of a string"),
        (
            {"for_field": "vrrp", "for_mapping": _remote("x", "load_balancer_id")},
            "'load_balancer_id' is not a relation field of a list's item",
        ),
        (
            {"for_field": "vrrp", "for_mapping": _remote("x", {"type": "t", "id": ""})},
            "the id of a t is an object, not a string",
        ),
    ],
)
def test_what_can_not_be_computed_says_why_and_shows_no_value(form: Any, reason: str) -> None:
    """A final error, naming the place; bodies may hold secrets and are not shown."""
    with pytest.raises(MappingEvaluationError) as caught:
        evaluate(parse(form), _scope())
    assert not isinstance(caught.value, UnresolvedReference)
    assert reason in caught.value.reason
    assert "compute:nova" not in str(caught.value)


def test_a_concatenated_hop_in_a_list_reads_the_item() -> None:
    """Where a path begins, a concatenation's fields are read: the resource, or the item."""
    form = {
        "for_field": "functions",
        "for_mapping": _remote("x", {"concatenate": [{"field": "cf_id"}]}),
    }
    with pytest.raises(MappingEvaluationError, match="'cf-1' is not a relation field"):
        evaluate(parse(form), _scope())


def test_without_a_place_an_error_names_the_hop_alone() -> None:
    """``where`` is optional."""
    with pytest.raises(UnresolvedReference) as caught:
        evaluate(parse(_remote("x", "gone_id")), _scope(where=""))
    assert caught.value.where == 'hop 1 "gone_id"'


@pytest.mark.parametrize(
    ("form", "resources"),
    [
        ("Fload_balancer+load_balancer_id:vnf_instance+vnf_instance_id:ip", (_LB, _VNF)),
        (_remote("x", "load_balancer_id", {"type": "port", "id": "name"}), (_LB,)),
        (_remote("x", "gone_id"), ()),
        (_remote("x", "gone_id", ignore_missing=True), ()),
        (_remote("x", "slot"), ()),
        ({"concatenate": [_remote("x", "gone_id"), {"field": "load_balancer_id"}]}, (_LB,)),
        (
            {
                "for_field": "port_ids",
                "for_mapping": {"output_key": "id", "path": [{"type": "port", "id": ""}]},
            },
            (_port(1), _port(1)),
        ),
    ],
)
def test_an_earlier_body_visits_what_is_still_there(
    form: Any, resources: tuple[ResourceRef, ...]
) -> None:
    """An unresolvable hop is left out, with what would have followed it and nothing else."""
    assert resources == visited_resources(parse(form), _scope())


@pytest.mark.parametrize(
    ("form", "expected"),
    [("Cnetwork", "network"), ({"constant": None}, None), ("ACgw_&Pkind", "gw_load_balancer")],
)
def test_a_template_mapping_gives_a_template_or_none(form: Any, expected: str | None) -> None:
    """Null means that the resource is not workable."""
    assert expected == template_id(parse(form), _scope())


@pytest.mark.parametrize(("form", "found"), [("C", "an empty string"), ("Pslot", "a number")])
def test_a_template_mapping_that_gives_no_name_is_an_error(form: str, found: str) -> None:
    """A template's id is a name."""
    with pytest.raises(MappingEvaluationError, match=f"template's id or null, found {found}"):
        template_id(parse(form), _scope())


_BODIES = st.dictionaries(
    st.text(max_size=4) | st.sampled_from(list(_BODY)),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
        max_leaves=4,
    ),
    max_size=4,
)


@given(TREES, _BODIES, st.booleans())
def test_no_body_raises_anything_but_an_evaluation_error(
    tree: Any,
    body: dict[str, Any],
    there: bool,  # noqa: FBT001 - drawn
) -> None:
    """Configs are data: whatever they hold, the answer is a value or this error."""
    scope = _scope(body, lookup=lambda _kind, _identity: body if there else None)
    try:
        found = evaluate(tree, scope)
    except MappingEvaluationError:
        pass
    else:
        assert found.resources == visited_resources(tree, scope)
        assert found.as_param("p", ()).param == "p"
