"""Describes every public name somewhere, and fails the build (``-W``) if one is left out.

Some modules are what programs import from; they have pages of their own and stand in ``conf.py``
as ``api_modules``. The directive ``modules-inside`` describes what is left of all others.
"""

from __future__ import annotations

import ast
import enum
import functools
import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import Any

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective
from sphinx.util.nodes import make_refnode
from sphinx.util.typing import ExtensionMetadata

PACKAGE = "gohan_jobs"

_PROGRAMS = ("gohan_jobs.cli", "gohan_jobs.demo", "gohan_jobs.templates.child")
"""What is run, not imported: its commands are described, not its functions."""

_log = logging.getLogger(__name__)


def public_modules() -> Iterator[ModuleType]:
    """Every module whose name does not begin with ``_``, packages before what is in them."""
    package = importlib.import_module(PACKAGE)
    yield package
    for found in sorted(pkgutil.walk_packages(package.__path__, f"{PACKAGE}."), key=_name):
        private = any(part.startswith("_") for part in found.name.split("."))
        program = any(f"{found.name}.".startswith(f"{name}.") for name in _PROGRAMS)
        if not private and not program:
            yield importlib.import_module(found.name)


def _name(found: pkgutil.ModuleInfo) -> str:
    return found.name


def public_names(module: ModuleType) -> Iterator[tuple[str, Any]]:
    """The names that a module exports, and what they stand for."""
    for name in getattr(module, "__all__", ()):
        yield name, getattr(module, name)


def home_of(module: ModuleType, name: str, value: Any) -> tuple[str, str]:
    """Where something is defined: its module and name; ``""`` for data of another module."""
    if _has_docstring(value):
        return value.__module__, value.__qualname__
    return module.__name__ if name in _assigned(module.__name__) else "", name


@functools.cache
def _assigned(module: str) -> frozenset[str]:
    """The names that a module gives values to, rather than importing them."""
    tree = ast.parse(inspect.getsource(importlib.import_module(module)))
    targets: list[ast.expr] = []
    for statement in tree.body:
        if isinstance(statement, ast.Assign):
            targets += statement.targets
        elif isinstance(statement, ast.AnnAssign):
            targets.append(statement.target)
    return frozenset(target.id for target in targets if isinstance(target, ast.Name))


class ModulesInside(SphinxDirective):
    """What is left when ``api_modules`` have been described, module by module."""

    def run(self) -> list[nodes.Node]:
        """Write ``automodule`` for each of the modules, and have that parsed."""
        # Another module may have come since the page was read.
        self.env.note_reread()
        described = _described(self.config.api_modules)
        lines: list[str] = []
        for module in public_modules():
            names = [
                name
                for name, value in public_names(module)
                if home_of(module, name, value) == (module.__name__, name)
                and home_of(module, name, value) not in described
            ]
            if names and module.__name__ not in self.config.api_modules:
                lines += _described_by(module, names)
                described |= {(module.__name__, name) for name in names}
        content = nodes.Element()
        self.state.nested_parse(StringList(lines, source="modules-inside"), 0, content)
        return list(content.children)


def _described_by(module: ModuleType, names: list[str]) -> list[str]:
    """Directives that describe some names of a module."""
    data = [name for name in names if not _has_docstring(getattr(module, name))]
    members = ", ".join(name for name in names if name not in data)
    lines = [f".. rubric:: {module.__name__}", "", f".. automodule:: {module.__name__}"]
    lines += [f"   :members: {members}" if members else "   :no-members:", ""]
    for name in data:
        lines += [f".. autodata:: {module.__name__}.{name}", "   :no-value:", ""]
    return lines


def _has_docstring(value: Any) -> bool:
    return isinstance(value, type) or inspect.isfunction(inspect.unwrap(value))


def _described(modules: list[str]) -> set[tuple[str, str]]:
    """Homes of what modules export; ``automodule`` leaves out data that they have imported."""
    return {
        home_of(module, name, value)
        for module in map(importlib.import_module, modules)
        for name, value in public_names(module)
    }


def check(app: Sphinx, env: BuildEnvironment) -> None:
    """Warn of every public name that no page describes, and of every member of a class."""
    del app
    for name in missing(set(env.domains.python_domain.objects)):
        _log.warning("%s is public and on no page", name)


def missing(objects: set[str]) -> Iterator[str]:
    """What is public and not among the documented names."""
    for module in public_modules():
        for name, value in public_names(module):
            foreign = _has_docstring(value) and not value.__module__.startswith(f"{PACKAGE}.")
            if foreign:
                continue
            if not _is_described(module, name, value, objects):
                yield f"{module.__name__}.{name}"
            elif isinstance(value, type) and value.__module__ == module.__name__:
                homes = [found for found in objects if found.endswith(f".{value.__qualname__}")]
                for member in members_of(value):
                    if not any(f"{home}.{member}" in objects for home in homes):
                        yield f"{module.__name__}.{name}.{member}"


def members_of(kind: type) -> Iterator[str]:
    """A class's own public methods, properties and, of an enumeration, values.

    Fields are told by the class's own description.
    """
    for name, value in vars(kind).items():
        called = inspect.isfunction(value) or isinstance(value, property | classmethod)
        if not name.startswith("_") and (called or _is_value(value)):
            yield name


def _is_value(value: Any) -> bool:
    return isinstance(value, enum.Enum)


def keep_values(
    app: Sphinx,
    what: str,
    name: str,
    value: Any,
    skip: bool,  # noqa: FBT001 - the event's own arguments
    options: Any,
) -> bool | None:
    """Show an enumeration's values, which speak for themselves, though they have no docstring."""
    del app, what, name, skip, options
    return False if _is_value(value) else None


def _is_described(module: ModuleType, name: str, value: Any, objects: set[str]) -> bool:
    if {f"{module.__name__}.{name}", ".".join(home_of(module, name, value))} & objects:
        return True
    return any(_resolve(found) is value for found in objects if found.endswith(f".{name}"))


@functools.cache
def _imported(module: str) -> Mapping[str, str]:
    """The names that a module imports, also for type checkers only, and what they are in full."""
    try:
        tree = ast.parse(inspect.getsource(importlib.import_module(module)))
    except (ImportError, OSError, TypeError):
        return {}
    return {
        alias.asname or alias.name: f"{statement.module}.{alias.name}"
        for statement in ast.walk(tree)
        if isinstance(statement, ast.ImportFrom)
        for alias in statement.names
    }


@functools.cache
def _resolve(name: str) -> Any:
    """What a documented name stands for; None for what is not a module's own."""
    module, _, attribute = name.rpartition(".")
    if not module:
        return None
    try:
        return getattr(importlib.import_module(module), attribute, None)
    except ImportError:
        return None


def spell_out(app: Sphinx, doctree: nodes.document) -> None:
    """Give names that a module has imported in full, since several modules may have one such."""
    del app
    for node in doctree.findall(pending_xref):
        if node.get("refdomain") != "py" or not node.get("py:module"):
            continue
        imported = _imported(node["py:module"]).get(node["reftarget"])
        name = imported or f"{node['py:module']}.{node['reftarget']}"
        value = _resolve(name)
        if value is not None:
            home = f"{value.__module__}.{value.__qualname__}" if _has_docstring(value) else name
            node["reftarget"] = node["reftarget"] if inspect.ismodule(value) else home


def find_elsewhere(
    app: Sphinx, env: BuildEnvironment, node: pending_xref, content: nodes.Element
) -> nodes.Element | None:
    """Resolve a name as its module would, or if only one documented name ends so.

    Docstrings name what their module imports; and an alias, being data, is no class to Sphinx.
    """
    if node.get("refdomain") != "py":
        return None
    objects = env.domains.python_domain.objects
    if node["reftype"] == "attr":  # the fields of a class stand in its own description
        node["reftarget"] = node["reftarget"].rpartition(".")[0] or str(node.get("py:class"))
    names = _seen_from(node, objects) or [
        name for name in objects if f".{name}".endswith(f".{node['reftarget'].lstrip('.')}")
    ]
    if len({objects[name].node_id for name in names}) != 1:
        return None
    found = objects[names[0]]
    return make_refnode(
        app.builder, node["refdoc"], found.docname, found.node_id, content, names[0]
    )


def _seen_from(node: pending_xref, objects: Mapping[str, Any]) -> list[str]:
    """The documented names of what a name stands for in the module that mentions it."""
    target = node["reftarget"]
    value = _resolve(f"{node.get('py:module')}.{target}") or _resolve(target)
    if value is None:
        return []
    last = target.rpartition(".")[2]
    return [name for name in objects if name.endswith(f".{last}") and _resolve(name) is value][:1]


def keep_colons(
    app: Sphinx, what: str, name: str, value: Any, options: Any, lines: list[str]
) -> None:
    """Have Napoleon not take what stands before a colon, in an attribute's words, for its type."""
    del app, name, value, options
    if what in {"attribute", "data", "property"}:
        lines[:0] = ["..", ""]  # an empty comment


def show_made_defaults(
    app: Sphinx,
    what: str,
    name: str,
    value: Any,
    options: Any,
    signature: str | None,
    returns: str | None,
) -> tuple[str, str | None] | None:
    """A default that is made anew for each object is shown as ``...``, not as attrs' marker."""
    del app, what, name, value, options
    return None if signature is None else (re.sub(r"= ?NOTHING", "= ...", signature), returns)


def setup(app: Sphinx) -> ExtensionMetadata:
    """Tell Sphinx."""
    app.add_config_value("api_modules", [], "env", list)
    app.add_directive("modules-inside", ModulesInside)
    app.connect("autodoc-skip-member", keep_values)
    app.connect("autodoc-process-docstring", keep_colons, priority=100)
    app.connect("autodoc-process-signature", show_made_defaults)
    app.connect("doctree-read", spell_out)
    app.connect("missing-reference", find_elsewhere)
    app.connect("env-check-consistency", check)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
