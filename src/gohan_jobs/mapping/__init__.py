"""The mapping language: how a job's params are computed from a config.

:func:`parse` turns either spelling of a mapping into one syntax tree; :func:`evaluate` computes a
tree for one resource; :func:`compute_params` does so for all params of a :class:`ParsedTemplate`.
Pure: other resources are looked up through the :class:`Scope`'s functions.
"""

from __future__ import annotations

from gohan_jobs.mapping.evaluation import (
    Evaluated,
    Scope,
    evaluate,
    template_id,
    visited_resources,
)
from gohan_jobs.mapping.params import (
    ParsedMappings,
    ParsedTemplate,
    compute_params,
    parse_mappings,
)
from gohan_jobs.mapping.parser import parse, parse_text
from gohan_jobs.mapping.tree import (
    Choice,
    Concatenate,
    Condition,
    Constant,
    Field,
    ForEach,
    Hop,
    MappingTree,
    Nested,
    Operator,
    Output,
    RemoteField,
    Version,
)

__all__ = [
    "Choice",
    "Concatenate",
    "Condition",
    "Constant",
    "Evaluated",
    "Field",
    "ForEach",
    "Hop",
    "MappingTree",
    "Nested",
    "Operator",
    "Output",
    "ParsedMappings",
    "ParsedTemplate",
    "RemoteField",
    "Scope",
    "Version",
    "compute_params",
    "evaluate",
    "parse",
    "parse_mappings",
    "parse_text",
    "template_id",
    "visited_resources",
]
