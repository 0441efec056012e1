"""A template's parameters: their definitions, and what Heat makes of the values given for them.

Heat takes any JSON for a parameter of type ``string`` and hands the template its Python text. Null
means that no value was given.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import attrs

from gohan_jobs.exceptions import StackRejected
from gohan_jobs.orchestrators.simulated.constraints import (
    Constraint,
    parse_constraint,
    to_boolean,
    to_number,
)
from gohan_jobs.orchestrators.simulated.rejections import (
    NOT_COMPLIED,
    bad_request,
    invalid,
    rejected,
)

__all__ = ["HIDDEN", "Parameter", "Parameters", "parse_parameter"]

HIDDEN = "******"
"""What Heat shows of a hidden parameter."""


_TAGS_SINCE = "2018-03-02"

_KEYS = frozenset(
    {
        "type",
        "description",
        "default",
        "schema",
        "constraints",
        "hidden",
        "label",
        "immutable",
        "tags",
    }
)


def _to_list(value: Any) -> list[str]:
    if isinstance(value, list):
        return [str(item) for item in value]
    try:
        return value.split(",") if value != "" else []
    except AttributeError as error:
        raise ValueError(f"Value must be a comma-delimited list string: {error}") from error


def _to_json(value: Any) -> Any:
    if not isinstance(value, str) or not value:
        return value
    try:
        return json.loads(value)
    except ValueError as error:
        raise ValueError(f"Value must be valid JSON: {error}") from error


_CONVERT: Mapping[str, Callable[[Any], Any]] = {
    "string": str,
    "number": to_number,
    "comma_delimited_list": _to_list,
    "json": _to_json,
    "boolean": to_boolean,
}

# Constraints look at a list or an object as parsed, and at anything else as it was given.
_PARSED = frozenset({"comma_delimited_list", "json"})
_LISTS = frozenset({"comma_delimited_list"})


@attrs.frozen(kw_only=True)
class Parameter:
    """A parameter's definition.

    Attributes:
        name: its name.
        type: ``string``, ``number``, ``comma_delimited_list``, ``json`` or ``boolean``.
        default: its value if none is given; None for no default.
        constraints: what its value must meet.
        hidden: whether Heat shows asterisks instead of its value.
        immutable: whether an update must leave its value alone.
    """

    name: str
    type: str
    default: Any = attrs.field(default=None, repr=False)
    constraints: tuple[Constraint, ...] = ()
    hidden: bool = False
    immutable: bool = False

    def value(self, given: Any) -> Any:
        """The value the template sees.

        Args:
            given: the value that was passed, which :meth:`check` has let through; None for none.
        """
        return _CONVERT[self.type](self.default if given is None else given)

    def shown(self, given: Any) -> str:
        """The value as Heat's API shows it."""
        if self.hidden:
            return HIDDEN
        value = self.value(given)
        if self.type == "json":
            return json.dumps(value)
        return ",".join(value) if self.type == "comma_delimited_list" else str(value)

    def check(self, given: Any, *, value: bool = True) -> None:
        """Judge the definition and a value.

        Args:
            given: the value that was passed; None for none.
            value: whether to look at the value at all.

        Raises:
            StackRejected: ``StackValidationFailed`` for the value, ``InvalidSchemaError`` for the
                definition, ``UserParameterMissing`` if there is neither a value nor a default.
        """
        try:
            self._check_definition()
            used = self.default if given is None else given
            if value and used is not None:
                self._check_value(used)
        except StackRejected as error:
            if error.kind == "HTTPBadRequest":
                raise
            reason = f"Parameter '{self.name}' is invalid: {error.reason}"
            raise rejected(error.kind, reason) from error
        if value and used is None:
            reason = f"The Parameter ({self.name}) was not provided."
            raise rejected("UserParameterMissing", reason)

    def _check_definition(self) -> None:
        for constraint in self.constraints:
            if self.type not in constraint.types:
                reason = f"{constraint.name} constraint invalid for {self.type}"
                raise rejected("InvalidSchemaError", reason)
        if self.default is None or not self.constraints:
            return
        try:
            value = self.default
            self._check_constraints(_to_list(value) if self.type in _LISTS else value)
        except (StackRejected, ValueError) as error:
            reason = f"Invalid default {self.default} ({error})"
            raise rejected("InvalidSchemaError", reason) from error

    def _check_value(self, value: Any) -> None:
        try:
            converted = _CONVERT[self.type](value)
        except (TypeError, ValueError) as error:
            raise invalid(str(error)) from error
        self._check_constraints(converted if self.type in _PARSED else value)

    def _check_constraints(self, value: Any) -> None:
        for constraint in self.constraints:
            try:
                holds = constraint.holds(value)
            except ValueError as error:
                raise invalid(str(error)) from error
            except TypeError as error:
                # Heat has not thought of it, and its API says nothing better.
                raise bad_request(NOT_COMPLIED) from error
            if not holds:
                raise invalid(constraint.complaint(value))


def parse_parameter(name: str, definition: Any, version: str) -> Parameter:
    """One entry of a template's ``parameters``.

    Args:
        name: its name.
        definition: the entry.
        version: the template's version, as a date.

    Raises:
        StackRejected: ``InvalidSchemaError``.
    """
    if not isinstance(definition, Mapping):
        raise rejected("InvalidSchemaError", f"Invalid parameter ({name}), expected a mapping")
    for key in definition:
        if key not in _KEYS or (key == "tags" and version < _TAGS_SINCE):
            raise rejected("InvalidSchemaError", f"Invalid key '{key}' for parameter ({name})")
    if "type" not in definition:
        reason = f"Missing parameter type for parameter: {name}"
        raise rejected("InvalidSchemaError", reason)
    of_type = definition["type"]
    if of_type not in _CONVERT:
        raise rejected("InvalidSchemaError", f"Invalid type ({of_type})")
    return Parameter(
        name=name,
        type=of_type,
        default=definition.get("default"),
        constraints=_parse_constraints(name, definition.get("constraints"), of_type, version),
        hidden=bool(definition.get("hidden", False)),
        immutable=bool(definition.get("immutable", False)),
    )


def _parse_constraints(
    name: str, definitions: Any, of_type: str, version: str
) -> tuple[Constraint, ...]:
    if definitions is None:
        return ()
    if not isinstance(definitions, list):
        reason = f"Invalid parameter constraints for parameter {name}, expected a list"
        raise rejected("InvalidSchemaError", reason)
    return tuple(parse_constraint(definition, of_type, version) for definition in definitions)


@attrs.frozen
class Parameters(Mapping[str, Any]):
    """The values a stack's template sees, pseudo parameters included.

    Attributes:
        definitions: the template's parameters.
        given: what was passed; null counts as not given, but its name must be known.
        pseudo: ``OS::stack_name`` and its like.
    """

    definitions: Mapping[str, Parameter]
    given: Mapping[str, Any] = attrs.field(repr=False)
    pseudo: Mapping[str, str]

    def check(self, *, values: bool = True) -> None:
        """Judge all definitions and values.

        Args:
            values: whether to look at the values, or at their names only.

        Raises:
            StackRejected: ``UnknownUserParameter``, or whatever one of the parameters says.
        """
        for name in self.given:
            if name not in self.definitions:
                reason = f"The Parameter ({name}) was not defined in template."
                raise rejected("UnknownUserParameter", reason)
        for name, parameter in self.definitions.items():
            parameter.check(self.given.get(name), value=values)

    def shown(self) -> dict[str, str]:
        """All values, as Heat's API shows them."""
        values = {n: p.shown(self.given.get(n)) for n, p in self.definitions.items()}
        return {**self.pseudo, **values}

    def __getitem__(self, name: str) -> Any:
        if name in self.pseudo:
            return self.pseudo[name]
        return self.definitions[name].value(self.given.get(name))

    def __iter__(self) -> Any:
        return iter({**self.pseudo, **self.definitions})

    def __len__(self) -> int:
        return len(self.pseudo) + len(self.definitions)
