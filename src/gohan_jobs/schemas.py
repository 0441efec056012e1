"""What Gohan's schemas say: types, where their configs lie, their relations and templates.

Read from Gohan's own answer (``GET /gohan/v0.1/schemas``), from a file that holds it, or built in
code::

    Schemas([Schema(type="network", prefix="v2.0/networks", templates={"heat_worker": "Cnetwork"})])
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self

import attrs

from gohan_jobs.codec.strict_json import Refused
from gohan_jobs.codec.strict_json import parse as parse_json
from gohan_jobs.exceptions import InvalidSchema, MappingError, MappingSyntaxError, Problem
from gohan_jobs.keys import ResourcePath
from gohan_jobs.mapping import (
    Choice,
    Concatenate,
    Constant,
    Field,
    ForEach,
    MappingTree,
    Nested,
    Output,
    RemoteField,
    Scope,
    Version,
    parse,
    template_id,
)
from gohan_jobs.records import ResourceRef

__all__ = ["HEAT_WORKER", "Schema", "Schemas"]

HEAT_WORKER = "heat_worker"
"""The handler whose template mapping Gohan's ``metadata.template_path`` is."""

_PART = re.compile(r"[^:/\s]+\Z")
_TREES = (
    Choice,
    Concatenate,
    Constant,
    Field,
    ForEach,
    Nested,
    Output,
    RemoteField,
    Version,
)


def _templates(given: Mapping[str, Any]) -> Mapping[str, MappingTree | None]:
    trees = {
        handler: form if form is None or isinstance(form, _TREES) else parse(form, handler)
        for handler, form in given.items()
    }
    return MappingProxyType(trees)


def _frozen(given: Mapping[str, str]) -> Mapping[str, str]:
    return MappingProxyType(dict(given))


def _stripped(prefix: str) -> str:
    return prefix.strip("/")


@attrs.frozen(kw_only=True)
class Schema:
    """One resource type.

    Attributes:
        type: its name, such as ``port``.
        prefix: where its configs lie, ``v2.0/ports``; slashes at the ends are taken off.
        relations: which of its top-level fields hold the id of a resource of which other type.
        templates: for each handler, in the order its jobs run, the *template mapping*: which
            heat_template a config needs. Given in either spelling of the mapping language, or
            parsed. A type that has none for any handler is not workable.
        state_versioning: whether Gohan counts the versions of its configs.
        two_step_deletion: whether configs are marked before they are deleted.
        plural: its name in lists; of no effect here.

    Raises:
        MappingSyntaxError: a template mapping that is not in the language.
        InvalidSchema: a type or prefix that can't stand in a key.
    """

    type: str
    prefix: str = attrs.field(converter=_stripped)
    relations: Mapping[str, str] = attrs.field(default={}, converter=_frozen)
    templates: Mapping[str, MappingTree | None] = attrs.field(default={}, converter=_templates)
    state_versioning: bool = False
    two_step_deletion: bool = False
    plural: str = ""

    def __attrs_post_init__(self) -> None:
        problems = []
        if not _PART.match(self.type):
            problems.append(Problem("$.id", f"{self.type!r} can't be a resource type"))
        if not all(map(_PART.match, self.prefix.split("/"))):
            problems.append(Problem("$.prefix", f"{self.prefix!r} can't begin a resource's path"))
        if problems:
            raise InvalidSchema(f"type {self.type!r}", tuple(problems))

    def path_of(self, resource_id: str) -> ResourcePath:
        """The path of a resource of this type."""
        return ResourcePath(f"{self.prefix}/{resource_id}")


class Schemas:
    """All resource types of one Gohan; iterates over them in the order given.

    Args:
        schemas: the types.
        source: where they come from, for errors.

    Raises:
        InvalidSchema: naming every type and every prefix that two of them share.
    """

    def __init__(self, schemas: Iterable[Schema], *, source: str = "code") -> None:
        self._by_type: dict[str, Schema] = {}
        self._by_prefix: dict[str, Schema] = {}
        problems = []
        for schema in schemas:
            if schema.type in self._by_type:
                problems.append(Problem("$.id", f"type {schema.type!r} comes twice"))
            first = self._by_prefix.setdefault(schema.prefix, schema)
            if first is not schema:
                shared = f"{first.type!r} and {schema.type!r} share {schema.prefix!r}"
                problems.append(Problem("$.prefix", shared))
            self._by_type[schema.type] = schema
        if problems:
            raise InvalidSchema(source, tuple(problems))

    @classmethod
    def from_gohan(cls, answer: Any, source: str = "Gohan") -> Self:
        """The types that Gohan's answer to ``GET /gohan/v0.1/schemas`` describes.

        Args:
            answer: the parsed JSON, ``{"schemas": [...]}``.
            source: where it comes from, for errors.

        Raises:
            InvalidSchema: with every problem of every type.
        """
        listed = answer.get("schemas") if isinstance(answer, dict) else None
        if not isinstance(listed, list):
            raise InvalidSchema(source, (Problem("$", "expected an object with a list 'schemas'"),))
        schemas: list[Schema] = []
        problems: list[Problem] = []
        for index, entry in enumerate(listed):
            schema = _read(entry, f"$.schemas[{index}]", problems)
            if schema is not None:
                schemas.append(schema)
        if problems:
            raise InvalidSchema(source, tuple(problems))
        return cls(schemas, source=source)

    @classmethod
    def from_text(cls, text: str | bytes, source: str = "Gohan") -> Self:
        """The types that Gohan's answer, as JSON text, describes.

        Raises:
            InvalidSchema: if it is no JSON, holds what no record may hold (a key twice in one
                object, NaN: :func:`~gohan_jobs.codec.loads_json`), or as :meth:`from_gohan`.
        """
        try:
            answer = parse_json(text)
        except Refused as refused:
            raise InvalidSchema(source, refused.problems) from None
        return cls.from_gohan(answer, source)

    @classmethod
    def from_file(cls, path: str | Path) -> Self:
        """The types that a file with Gohan's answer describes.

        Raises:
            InvalidSchema: if it is no JSON, or as :meth:`from_gohan`.
            OSError: if it can't be read.
        """
        return cls.from_text(Path(path).read_bytes(), str(path))

    @classmethod
    def from_url(cls, url: str, token: str | None = None, *, timeout: float = 30.0) -> Self:
        """Ask a running Gohan.

        Args:
            url: where Gohan answers, such as ``https://gohan:9091``.
            token: sent as ``X-Auth-Token``; never shown in an error.
            timeout: seconds to wait for a connection, and for each piece of the answer.

        Raises:
            InvalidSchema: no answer, an answer other than 200, or as :meth:`from_gohan`.
        """
        # Imported here so that the core does without an HTTP client.
        from gohan_jobs import schemas_http  # noqa: PLC0415 - see above

        source, text = schemas_http.fetch(url, token, timeout=timeout)
        return cls.from_text(text, source)

    def with_templates(
        self, templates: Mapping[str, Mapping[str, Any]], source: str = "code"
    ) -> Self:
        """The same types with other template mappings; Gohan's answer has one handler's only.

        Args:
            templates: for each handler, for each type, its template mapping; None for none. A
                handler that a type has already keeps its place, new ones run after it, in the
                order given (``runtime``, *Dependencies*).
            source: where they come from, for errors.

        Raises:
            InvalidSchema: with every type that there is not, and every mapping that is not in the
                language.
        """
        problems: list[Problem] = []
        found = dict(self._by_type)
        for handler, by_type in templates.items():
            for name, form in by_type.items():
                if name in found:
                    found[name] = _with_template(found[name], handler, form, problems)
                else:
                    problems.append(Problem(f"$.{handler}.{name}", "no schema has that type"))
        if problems:
            raise InvalidSchema(source, tuple(problems))
        return type(self)(found.values(), source=source)

    def by_type(self, type: str) -> Schema | None:  # noqa: A002 - the records' own word
        """The schema of a type; None if there is none."""
        return self._by_type.get(type)

    def relations_of(self, type: str) -> Mapping[str, str]:  # noqa: A002 - likewise
        """The relations of a type; empty if there is no such type."""
        schema = self._by_type.get(type)
        return {} if schema is None else schema.relations

    def template_of(
        self,
        resource: ResourceRef,
        handler: str,
        body: Mapping[str, Any],
        version: int,
        lookup: Callable[[str, str], Mapping[str, Any] | None],
    ) -> str:
        """Id of the template that a resource's job of a handler needs; empty if none can be told.

        Args:
            resource: the resource.
            handler: whose template mapping.
            body: the resource's config.
            version: of that config.
            lookup: gives the body of a type's resource, by its id; None if it is not there.
        """
        schema = self._by_type.get(resource.resource_type)
        tree = None if schema is None else schema.templates.get(handler)
        if tree is None:
            return ""
        scope = Scope(
            resource=resource,
            body=body,
            version=version,
            lookup=lookup,
            relations=self.relations_of,
            where=f"template of {handler}",
        )
        try:
            return template_id(tree, scope) or ""
        except MappingError:
            return ""

    def resolve(self, path: ResourcePath) -> tuple[Schema, str] | None:
        """Whose path it is: the schema with that prefix, and the resource's id.

        A path is a whole prefix and one more part, so ``ports/`` is never taken for ``ports2/``,
        nor a prefix for a longer one that begins with it. None if no type has the prefix.
        """
        prefix, _, resource_id = path.rpartition("/")
        schema = self._by_prefix.get(prefix)
        return None if schema is None or not resource_id else (schema, resource_id)

    def __iter__(self) -> Iterator[Schema]:
        return iter(self._by_type.values())

    def __len__(self) -> int:
        return len(self._by_type)


def _with_template(schema: Schema, handler: str, form: Any, problems: list[Problem]) -> Schema:
    try:
        templates = {**schema.templates, handler: form}
        used = {each: mapping for each, mapping in templates.items() if mapping is not None}
        return attrs.evolve(schema, templates=used)
    except MappingSyntaxError as error:
        problems.append(Problem(f"$.{handler}.{schema.type}", str(error)))
        return schema


def _read(entry: Any, path: str, problems: list[Problem]) -> Schema | None:
    """One entry of the answer; if it is wrong, its problems are added, and it may be None."""
    fields = _Fields(path, problems)
    schema = fields.take(entry, "", dict, None)
    if schema is None:
        return None
    metadata = fields.take(schema, ".metadata", dict, {})
    switches = _Fields(f"{path}.metadata", problems)
    try:
        return Schema(
            type=fields.take(schema, ".id", str, "unknown", required=True),
            prefix=fields.take(schema, ".prefix", str, "unknown", required=True),
            plural=fields.take(schema, ".plural", str, ""),
            relations=fields.relations(fields.take(schema, ".schema", dict, {})),
            templates=_template_path(metadata),
            state_versioning=switches.take(metadata, ".state_versioning", bool, default=False),
            two_step_deletion=switches.take(metadata, ".two_step_deletion", bool, default=False),
        )
    except InvalidSchema as error:
        problems.extend(
            Problem(path + problem.path[1:], problem.message) for problem in error.problems
        )
    except MappingSyntaxError as error:
        name = schema.get("id")
        problems.append(Problem(f"{path}.metadata.template_path", f"type {name!r}: {error}"))
    return None


def _template_path(metadata: dict[str, Any]) -> dict[str, Any]:
    form = metadata.get("template_path")
    return {} if form is None else {HEAT_WORKER: form}


@attrs.frozen
class _Fields:
    """Reads fields of known types, noting every one that is of another."""

    path: str
    problems: list[Problem]

    def take(
        self, owner: Any, name: str, kind: type, default: Any, *, required: bool = False
    ) -> Any:
        """The field ``name`` of ``owner``; ``default`` if it is absent, null or wrong."""
        value = owner.get(name[1:]) if name else owner
        if isinstance(value, kind):
            return value
        if value is not None or required or not name:
            found = "nothing" if value is None else type(value).__name__
            message = f"expected {kind.__name__}, found {found}"
            self.problems.append(Problem(self.path + name, message))
        return default

    def relations(self, schema: dict[str, Any]) -> dict[str, str]:
        """The relations of the top-level properties; nested ones do not count."""
        found = {}
        properties = _Fields(f"{self.path}.schema", self.problems)
        for name, definition in properties.take(schema, ".properties", dict, {}).items():
            relation = definition.get("relation") if isinstance(definition, dict) else None
            if isinstance(relation, str) and relation:
                found[name] = relation
        return found
