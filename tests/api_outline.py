"""The public API as text: ``python tests/api_outline.py > tests/public_api.txt`` writes it anew.

It has every name that the documentation counts as public, by module: classes with their bases,
fields, methods and values, functions with their types, data with theirs. A test compares the two,
so that no change of the API goes unnoticed, and each shows in a review.
"""

from __future__ import annotations

import ast
import enum
import importlib
import inspect
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import attrs

__all__ = ["FILE", "api_modules", "outline"]

FILE = Path(__file__).with_name("public_api.txt")
"""What :func:`outline` gave when the API was last changed."""

_CONF = Path(__file__).parents[1] / "docs" / "conf.py"
_PACKAGE = "gohan_jobs"
_STARS: dict[int, str] = {
    inspect.Parameter.VAR_POSITIONAL: "*",
    inspect.Parameter.VAR_KEYWORD: "**",
}
_SIMPLE = (bool, int, float, str, bytes, type(None))
_SPECIAL = frozenset({"__call__", "__enter__", "__exit__", "__iter__", "__len__", "__contains__"})


def api_modules() -> list[str]:
    """The modules that programs import from: the list in the documentation's settings."""
    tree = ast.parse(_CONF.read_text(encoding="utf-8"))
    (listed,) = [
        statement.value
        for statement in tree.body
        if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == "api_modules"
    ]
    return [str(name) for name in ast.literal_eval(listed)]


def outline() -> str:
    """The whole API."""
    lines: list[str] = []
    told: dict[int, str] = {}
    for name in sorted(api_modules()):
        module = importlib.import_module(name)
        lines += ["", f"# {name}", ""]
        for public in sorted(getattr(module, "__all__", ())):
            lines += _named(module, public, told)
    return "\n".join(lines[1:]) + "\n"


def _named(module: ModuleType, name: str, told: dict[int, str]) -> Iterator[str]:
    """One name; what another module has told is not told again."""
    value = getattr(module, name)
    where = f"{module.__name__}.{name}"
    kind = isinstance(value, type) or inspect.isfunction(value)
    if kind and not value.__module__.startswith(_PACKAGE):
        yield f"{name} = {value.__module__}.{value.__qualname__}"
    elif kind and id(value) in told:
        yield f"{name} = {told[id(value)]}"
    elif isinstance(value, type):
        told[id(value)] = where
        yield from _class(name, value)
    elif inspect.isfunction(value):
        told[id(value)] = where
        yield f"def {name}{_signature(value)}"
    else:
        yield f"{name}: {_type_of(module, name, value)}"


def _type_of(module: ModuleType, name: str, value: Any) -> str:
    if inspect.ismodule(value):
        return f"module {value.__name__}"
    if type(value).__module__ == "typing" or hasattr(value, "__origin__"):
        return f"alias of {_text(value)}"
    annotation = inspect.get_annotations(module).get(name)
    return _text(annotation) if annotation else type(value).__name__


def _class(name: str, kind: type) -> Iterator[str]:
    """A class, what it is made of, and what it has."""
    bases = [base.__qualname__ for base in kind.__bases__ if base is not object]
    yield f"class {name}({', '.join(bases)}):" if bases else f"class {name}:"
    members = [*_values(kind), *_fields(kind), *_attributes(kind), *_methods(kind)]
    yield from (f"    {line}" for line in members or ["..."])


def _values(kind: type) -> Iterator[str]:
    if issubclass(kind, enum.Enum):
        for member in kind:
            yield f"{member.name} = {member.value!r}"


def _fields(kind: type) -> Iterator[str]:
    """The fields that are arguments, those of bases included: their order counts."""
    if attrs.has(kind):
        for field in attrs.fields(kind):
            if field.init:
                default = "" if field.default is attrs.NOTHING else f" = {_default(field.default)}"
                only = "  # by name" if field.kw_only else ""
                yield f"{field.alias}: {_field_type(kind, field.name)}{default}{only}"


def _field_type(kind: type, name: str) -> str:
    """As the class says it: attrs' own note is exchanged once a converter has looked at it."""
    said = [inspect.get_annotations(each) for each in kind.__mro__]
    return _text(next(annotations[name] for annotations in said if name in annotations))


def _attributes(kind: type) -> Iterator[str]:
    """What is annotated in the class itself, and no field."""
    fields = {field.name for field in attrs.fields(kind)} if attrs.has(kind) else set()
    for name, annotation in inspect.get_annotations(kind).items():
        if not name.startswith("_") and name not in fields:
            yield f"{name}: {_text(annotation)}"


def _methods(kind: type) -> Iterator[str]:
    """The class's own methods and properties, in alphabetical order."""
    made = attrs.has(kind) or issubclass(kind, enum.Enum) or getattr(kind, "_is_protocol", False)
    for name, value in sorted(vars(kind).items()):
        if name == "__init__" and not made and inspect.isfunction(value):
            yield f"def __init__{_signature(value)}"
        elif not name.startswith("_") or name in _SPECIAL:
            yield from _member(name, value)


def _member(name: str, value: Any) -> Iterator[str]:
    if isinstance(value, property):
        returned = inspect.get_annotations(value.fget).get("return") if value.fget else None
        yield f"{name} -> {_text(returned)}"
    elif isinstance(value, classmethod | staticmethod):
        yield f"{type(value).__name__} def {name}{_signature(value.__func__)}"
    elif inspect.isfunction(value):
        prefix = "async def" if inspect.iscoroutinefunction(value) else "def"
        yield f"{prefix} {name}{_signature(value)}"


def _signature(function: Any) -> str:
    signature = inspect.signature(function)
    returned = signature.return_annotation
    told = "" if returned is inspect.Signature.empty else f" -> {_text(returned)}"
    return f"({', '.join(_parameters(signature.parameters.values()))}){told}"


def _parameters(parameters: Iterable[inspect.Parameter]) -> Iterator[str]:
    """As they stand in a definition, ``/`` and ``*`` included."""
    before: inspect._ParameterKind | None = None
    for parameter in parameters:
        kind = parameter.kind
        if before is inspect.Parameter.POSITIONAL_ONLY and kind is not before:
            yield "/"
        starred = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.KEYWORD_ONLY)
        if kind is inspect.Parameter.KEYWORD_ONLY and before not in starred:
            yield "*"
        yield _parameter(parameter)
        before = kind
    if before is inspect.Parameter.POSITIONAL_ONLY:
        yield "/"


def _parameter(parameter: inspect.Parameter) -> str:
    text = _STARS.get(parameter.kind, "") + parameter.name
    if parameter.annotation is not inspect.Parameter.empty:
        text += f": {_text(parameter.annotation)}"
    if parameter.default is not inspect.Parameter.empty:
        text += f" = {_default(parameter.default)}"
    return text


def _default(value: Any) -> str:
    """A default, if it is the same each time and says something."""
    if isinstance(value, enum.Enum):
        return f"{type(value).__qualname__}.{value.name}"
    if isinstance(value, _SIMPLE) or (
        isinstance(value, tuple) and all(isinstance(item, _SIMPLE) for item in value)
    ):
        return repr(value)
    return "..."


def _text(annotation: Any) -> str:
    """A type as it is written."""
    if isinstance(annotation, str):
        return annotation
    if isinstance(annotation, type) and not hasattr(annotation, "__origin__"):
        return annotation.__qualname__
    return str(annotation).replace("typing.", "").replace("collections.abc.", "")


if __name__ == "__main__":
    sys.stdout.write(outline())
