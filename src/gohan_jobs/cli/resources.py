"""TYPE and ID on the command line: which resource is meant."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from gohan_jobs.keys import ResourcePath
from gohan_jobs.records import ResourceRef
from gohan_jobs.schemas import Schema, Schemas

__all__ = ["locate", "resource_arguments", "schema_of"]

F = TypeVar("F", bound=Callable[..., Any])


def resource_arguments(function: F) -> F:
    """Add TYPE and ID, as the arguments ``resource_type`` and ``resource_id``."""
    both = click.argument("resource_id", metavar="ID")(function)
    return click.argument("resource_type", metavar="TYPE")(both)


def schema_of(schemas: Schemas, resource_type: str) -> Schema:
    """The schema of a type.

    Raises:
        click.UsageError: there is no such type; it names those there are.
    """
    schema = schemas.by_type(resource_type)
    if schema is None:
        known = ", ".join(sorted(each.type for each in schemas)) or "none"
        raise click.UsageError(
            f"no type {resource_type!r} in --schemas; the types are: {known}. If there are configs "
            "of it, `gohan-jobs doctor` names them"
        )
    return schema


def locate(
    schemas: Schemas, resource_type: str, resource_id: str
) -> tuple[ResourceRef, ResourcePath]:
    """A resource, and where its records are; whether there are any is not looked at.

    Raises:
        click.UsageError: there is no such type, or that can't be an id.
    """
    path = schema_of(schemas, resource_type).path_of(resource_id)
    if not resource_id or "/" in resource_id or ":" in resource_id:
        raise click.UsageError(f"{resource_id!r} can't be a resource's id")
    return ResourceRef(resource_type, resource_id), path
