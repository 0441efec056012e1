"""From Jinja's syntax tree to our own: the allow-list, and the only module that imports Jinja.

Whatever is not translated here is refused by name, with its line. What the 118 versions of
heat_templates that were found use is allowed (``rules`` 28), and beside it what is as harmless:
``or``, ``not``, ``else`` and ``elif``, ``in``, ``<`` and its like.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, cast

import jinja2
from jinja2 import nodes

from gohan_jobs.exceptions import TemplateInvalid, TemplateRefused
from gohan_jobs.templates import expressions as ex
from gohan_jobs.templates import operators as op
from gohan_jobs.templates import statements as st
from gohan_jobs.templates.run import LOOP_VALUES
from gohan_jobs.templates.values import TemplateText

__all__ = ["MAX_TEMPLATE", "parse"]

MAX_TEMPLATE = 1 << 20
"""Characters a template may have; Heat itself takes half a megabyte."""

_CACHED = 256
_RESERVED = frozenset(
    {"caller", "cycler", "dict", "joiner", "kwargs", "lipsum", "namespace", "range", "self"}
    | {"super", "varargs"}
)
_SPLIT_ARGUMENTS = 2
_REPLACE_ARGUMENTS = (2, 3)


@functools.lru_cache(maxsize=_CACHED)
def parse(template: str, text: str) -> st.Block:
    """The template as our own tree, from a bounded cache.

    Args:
        template: its id, for errors.
        text: the Jinja text.

    Raises:
        TemplateRefused: a construct outside the allow-list, by name.
        TemplateInvalid: not Jinja.
    """
    if len(text) > MAX_TEMPLATE:
        raise TemplateInvalid(template, f"more than {MAX_TEMPLATE} characters")
    try:
        return _Translation(template).block(_environment().parse(text).body)
    except jinja2.TemplateSyntaxError as error:
        raise TemplateInvalid(template, f"not Jinja: {error.message}", error.lineno) from None
    except RecursionError:
        raise TemplateInvalid(template, "nested too deeply") from None
    except ValueError:  # Python refuses numbers of more than 4,300 digits
        raise TemplateInvalid(template, "not Jinja: a number that is too long") from None


@functools.cache
def _environment() -> jinja2.Environment:
    """The recorded system's settings: its output is compared byte for byte."""
    return jinja2.Environment(  # noqa: S701 - YAML is put out, not HTML; nothing is rendered by it
        trim_blocks=False, lstrip_blocks=False, keep_trailing_newline=False
    )


class _Translation:
    """One template's translation; knows whether a loop is around."""

    def __init__(self, template: str) -> None:
        self._template = template
        self._loops = 0

    def _refused(self, what: str, line: int) -> TemplateRefused:
        return TemplateRefused(self._template, f"{what} is not allowed", line)

    def block(self, body: Sequence[nodes.Node]) -> st.Block:
        """Statements."""
        return st.Block(tuple(piece for node in body for piece in self._statement(node)))

    def _statement(self, node: nodes.Node) -> list[st.Statement]:
        match node:
            case nodes.Output():
                return [self._piece(piece) for piece in node.nodes]
            case nodes.If():
                return [self._branches(node)]
            case nodes.For():
                return [self._loop(node)]
            case nodes.Assign():
                name = self._target(node.target)
                return [st.Assignment(name, self._expression(node.node), node.lineno)]
            case nodes.Scope():  # what 'autoescape' becomes; it has no line of its own
                raise self._refused("'autoescape'", node.body[0].lineno)
        raise self._refused(_statement_name(node), node.lineno)

    def _piece(self, node: nodes.Expr) -> st.Statement:
        if isinstance(node, nodes.TemplateData):
            return st.Text(node.data, node.lineno)
        return st.Output(self._expression(node), _source(node), node.lineno)

    def _branches(self, node: nodes.If) -> st.Branches:
        tests = [node, *node.elif_]
        branches = tuple((self._expression(test.test), self.block(test.body)) for test in tests)
        return st.Branches(branches, self.block(node.else_), node.lineno)

    def _loop(self, node: nodes.For) -> st.Loop:
        if node.test is not None or node.recursive:
            raise self._refused("'for' with 'if' or 'recursive'", node.lineno)
        name, listed = self._target(node.target), self._expression(node.iter)
        self._loops += 1
        body = self.block(node.body)
        self._loops -= 1
        return st.Loop(name, listed, body, self.block(node.else_), node.lineno)

    def _target(self, node: nodes.Node) -> str:
        if not isinstance(node, nodes.Name):
            raise self._refused("assigning to anything but one name", node.lineno)
        if node.name == "loop":
            raise self._refused("assigning to 'loop'", node.lineno)
        return self._checked(node.name, node.lineno)

    def _checked(self, name: str, line: int) -> str:
        if name in _RESERVED or name.startswith("__"):
            raise self._refused(f"the name {name!r}", line)
        return name

    def _expression(self, node: nodes.Node) -> ex.Expression:
        translate = _EXPRESSIONS.get(type(node))
        if translate is None:
            raise self._refused(_expression_name(node), node.lineno)
        return translate(self, node)

    def _expressions(self, found: Sequence[nodes.Expr]) -> tuple[ex.Expression, ...]:
        return tuple(map(self._expression, found))

    def constant(self, node: nodes.Const) -> ex.Expression:
        """A constant."""
        value = node.value
        return ex.Literal(TemplateText(value) if isinstance(value, str) else value)

    def name(self, node: nodes.Name) -> ex.Expression:
        """A variable."""
        if node.name == "loop" and self._loops:
            raise self._refused("'loop' without one of its attributes", node.lineno)
        return ex.Name(self._checked(node.name, node.lineno), node.lineno)

    def list(self, node: nodes.List) -> ex.Expression:
        """A list."""
        return ex.ListOf(self._expressions(node.items), node.lineno)

    def attribute(self, node: nodes.Getattr) -> ex.Expression:
        """A key of an object, or a value of ``loop``."""
        owner = node.node
        if isinstance(owner, nodes.Name) and owner.name == "loop" and self._loops:
            if node.attr not in LOOP_VALUES:
                raise self._refused(f"'loop.{node.attr}'", node.lineno)
            return ex.LoopValue(node.attr, node.lineno)
        if node.attr.startswith("_"):
            raise self._refused(f"the attribute {node.attr!r}", node.lineno)
        return ex.Attribute(self._expression(owner), node.attr, node.lineno)

    def item(self, node: nodes.Getitem) -> ex.Expression:
        """An item."""
        key = node.arg
        if isinstance(key, nodes.Const) and str(key.value).startswith("__"):
            raise self._refused(f"the item {key.value!r}", node.lineno)
        return ex.Item(self._expression(node.node), self._expression(key), node.lineno)

    def call(self, node: nodes.Call) -> ex.Expression:
        """``.split(…)``."""
        function = node.node
        if not isinstance(function, nodes.Getattr) or function.attr != "split":
            raise self._refused(f"calling {_source(function)}", node.lineno)
        if node.kwargs or node.dyn_args or node.dyn_kwargs or len(node.args) > _SPLIT_ARGUMENTS:
            raise self._refused("'split' with other than one or two plain arguments", node.lineno)
        owner = self._expression(function.node)
        return ex.Split(owner, self._expressions(node.args), node.lineno)

    def filter(self, node: nodes.Filter) -> ex.Expression:
        """``string`` and ``replace``."""
        plain = not (node.kwargs or node.dyn_args or node.dyn_kwargs)
        # Only the filter of a block, which is refused, has no operand.
        operand = self._expression(cast("nodes.Expr", node.node))
        if node.name == "string" and plain and not node.args:
            return ex.TextOf(operand, node.lineno)
        if node.name == "replace" and plain and len(node.args) in _REPLACE_ARGUMENTS:
            return ex.Replace(operand, self._expressions(node.args), node.lineno)
        if node.name not in _environment().filters:
            raise TemplateInvalid(self._template, f"unknown filter {node.name!r}", node.lineno)
        raise self._refused(f"the filter {node.name!r} with these arguments", node.lineno)

    def comparison(self, node: nodes.Compare) -> ex.Expression:
        """Comparisons, perhaps in a chain: ``==``, ``!=``, ``<``, ``<=``, ``>``, ``>=``, ``in``."""
        rest = tuple((operand.op, self._expression(operand.expr)) for operand in node.ops)
        return op.Comparison(self._expression(node.expr), rest, node.lineno)

    def sum(self, node: nodes.Add) -> ex.Expression:
        """A sum."""
        return op.Sum(self._expression(node.left), self._expression(node.right), node.lineno)

    def both(self, node: nodes.And) -> ex.Expression:
        """``and``."""
        return op.Both(self._expression(node.left), self._expression(node.right))

    def either(self, node: nodes.Or) -> ex.Expression:
        """``or``."""
        return op.Either(self._expression(node.left), self._expression(node.right))

    def negation(self, node: nodes.Not) -> ex.Expression:
        """``not``."""
        return op.Negation(self._expression(node.node))

    def conditional(self, node: nodes.CondExpr) -> ex.Expression:
        """``a if test else b``."""
        test, then = self._expression(node.test), self._expression(node.expr1)
        otherwise = None if node.expr2 is None else self._expression(node.expr2)
        return op.Conditional(test, then, otherwise, node.lineno)


_EXPRESSIONS: dict[type[nodes.Node], Callable[[_Translation, Any], ex.Expression]] = {
    nodes.Add: _Translation.sum,
    nodes.And: _Translation.both,
    nodes.Call: _Translation.call,
    nodes.Compare: _Translation.comparison,
    nodes.CondExpr: _Translation.conditional,
    nodes.Const: _Translation.constant,
    nodes.Filter: _Translation.filter,
    nodes.Getattr: _Translation.attribute,
    nodes.Getitem: _Translation.item,
    nodes.List: _Translation.list,
    nodes.Name: _Translation.name,
    nodes.Not: _Translation.negation,
    nodes.Or: _Translation.either,
}

_TAGS = {
    "AssignBlock": "set … endset",
    "CallBlock": "call",
    "ExprStmt": "do",
    "FilterBlock": "filter",
    "FromImport": "from",
}

_SIGNS = {
    "Mul": "'*'",
    "Mod": "'%'",
    "Pow": "'**'",
    "Div": "'/'",
    "FloorDiv": "'//'",
    "Sub": "'-'",
    "Concat": "'~'",
    "Neg": "'-'",
    "Pos": "'+' of one operand",
    "Dict": "a dict",
    "Tuple": "a tuple",
    "Slice": "a slice",
}


def _statement_name(node: nodes.Node) -> str:
    kind = type(node).__name__
    return f"'{_TAGS.get(kind, kind.lower())}'"


def _expression_name(node: nodes.Node) -> str:
    if isinstance(node, nodes.Test):
        return f"the test {node.name!r}"
    kind = type(node).__name__
    return _SIGNS.get(kind, f"'{kind.lower()}'")


def _source(node: nodes.Expr) -> str:
    """An expression as a reader would find it in the template; roughly."""
    match node:
        case nodes.Name():
            return str(node.name)
        case nodes.Getattr():
            return f"{_source(node.node)}.{node.attr}"
        case nodes.Getitem():
            return f"{_source(node.node)}[…]"
        case nodes.Filter() if node.node is not None:
            return f"{_source(node.node)} | {node.name}"
    return "an expression"
