"""HOT's intrinsic functions: finding, checking and resolving them.

A function is a mapping with one key, which the template's version knows. A few functions that Heat
has, and this has not, are refused by name rather than taken for plain data.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, TypeAlias

from gohan_jobs.orchestrators.simulated.rejections import invalid, rejected

__all__ = [
    "FunctionCall",
    "Reference",
    "Scope",
    "check_functions",
    "find_call",
    "references",
    "resolve",
]


class Scope(Protocol):
    """What functions can see while they are resolved."""

    @property
    def version(self) -> str:
        """The template's version, as a date."""
        ...

    def parameter(self, name: str) -> Any:
        """A parameter's value.

        Raises:
            KeyError: there is no such parameter.
        """
        ...

    def reference(self, resource: str) -> str:
        """What ``get_resource`` gives for a resource."""
        ...

    def attribute(self, resource: str, name: str | None) -> Any:
        """A resource's attribute, None if it has none such (yet); all of them for no name."""
        ...


class FunctionCall(NamedTuple):
    """A function found in a template."""

    name: str
    arguments: Any


class Reference(NamedTuple):
    """A resource that a function refers to.

    Attributes:
        function: ``get_resource`` or ``get_attr``.
        resource: the resource's name.
        attribute: the attribute asked for; None for the id, for all, or for one only known later.
        path: where it stands, as Heat writes it: ``a.Properties.value[0]``.
    """

    function: str
    resource: str
    attribute: str | None
    path: str


Resolver: TypeAlias = Callable[[str, Any, Scope], Any]

_JSON_SINCE = "2015-10-15"
"""From this version on, ``str_replace`` and ``list_join`` take lists and mappings too."""


def _walk(value: Any, path: Sequence[Any], missing: Any) -> Any:
    try:
        for step in path:
            value = value[step]
    except (KeyError, IndexError, TypeError):
        return missing
    return value


def _index(step: Any) -> Any:
    return int(step) if isinstance(step, str) and step.isdecimal() else step


def _get_param(name: str, arguments: Any, scope: Scope) -> Any:
    if not arguments:
        raise ValueError(f'Function "{name}" must have arguments')
    if not isinstance(arguments, str | list):
        raise TypeError(f'Argument to "{name}" must be string or list')
    parameter, *path = [arguments] if isinstance(arguments, str) else arguments
    if not isinstance(parameter, str):
        raise TypeError(f'Parameter name in "{name}" must be string')
    try:
        value = scope.parameter(parameter)
    except KeyError as error:
        reason = f"The Parameter ({parameter}) was not provided."
        raise rejected("UserParameterMissing", reason) from error
    # Unlike get_attr, it takes a list's index as text too.
    for step in path:
        value = _walk(value, [_index(step) if isinstance(value, list) else step], "")
    return value


def _get_resource(_name: str, arguments: Any, scope: Scope) -> Any:
    return scope.reference(arguments)


def _get_attr(_name: str, arguments: Any, scope: Scope) -> Any:
    resource, *rest = arguments
    if not rest:
        return scope.attribute(resource, None)
    attribute, *path = rest
    value = scope.attribute(resource, attribute)
    return _walk(value, path, None)


def _as_json(value: Any, refusal: str) -> str:
    if isinstance(value, dict | list):
        return json.dumps(value, sort_keys=True)
    raise TypeError(refusal)


def _replacement(name: str, value: Any, key: str, version: str) -> str:
    if value is None:
        return ""
    if isinstance(value, str | int | float):
        return str(value)
    if version >= _JSON_SINCE:
        return _as_json(value, f'"{name}" params must be strings, numbers, list or map.')
    raise TypeError(f'"{name}" params must be strings or numbers, param {key} is not valid')


def _replace(texts: list[str], replacements: list[tuple[str, str]]) -> list[str]:
    # Splitting at the longest key first keeps a replacement from being replaced again.
    if not replacements:
        return texts
    (key, value), *rest = replacements
    return [value.join(_replace(text.split(key), rest)) for text in texts]


def _str_replace(name: str, arguments: Any, scope: Scope) -> str:
    template, params = arguments["template"], arguments["params"]
    if not isinstance(template, str):
        raise TypeError(f'"{name}" template must be a string')
    if not isinstance(params, Mapping):
        raise TypeError(f'"{name}" params must be a map')
    keys = sorted(sorted(params), key=len, reverse=True)
    replacements = [(key, _replacement(name, params[key], key, scope.version)) for key in keys]
    return _replace([template], replacements)[0]


def _join_item(item: Any, version: str) -> str:
    if item is None:
        return ""
    if isinstance(item, str):
        return item
    if version >= _JSON_SINCE:
        return _as_json(item, f"Items to join must be string, map or list not {item!r:.200}")
    raise TypeError(f"Items to join must be strings not {item!r:.200}")


def _list_join(name: str, arguments: Any, scope: Scope) -> str:
    delimiter, *lists = arguments
    if any(items is not None and not isinstance(items, list) for items in lists):
        raise TypeError(f'"{name}" must operate on a list')
    if not isinstance(delimiter, str):
        raise TypeError(f'"{name}" delimiter must be a string')
    items = itertools.chain.from_iterable(items or [] for items in lists)
    return delimiter.join(_join_item(item, scope.version) for item in items)


def _str_split(name: str, arguments: Any, _scope: Scope) -> Any:
    delimiter, text, *index = arguments
    if text is None:
        return None
    parts = text.split(delimiter)
    if not index:
        return parts
    try:
        return parts[int(index[0])]
    except IndexError:
        limits = f"should be between 0 and {len(parts) - 1}"
        raise ValueError(f'Incorrect index to "{name}" {limits}') from None


def _map_merge(_name: str, arguments: Any, _scope: Scope) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    for item in arguments:
        if item is not None and not isinstance(item, dict):
            found = f"{item!r:.200} is type {type(item)} instead of a dict"
            raise TypeError(f"Incorrect arguments: Items to merge must be maps. {found}")
        merged.update(item or {})
    return merged


def _substitute(value: Any, pairs: Sequence[tuple[str, Any]]) -> Any:
    if isinstance(value, str):
        for key, replacement in pairs:
            value = value.replace(key, replacement)
        return value
    if isinstance(value, list):
        return [_substitute(item, pairs) for item in value]
    if isinstance(value, dict):
        return {_substitute(k, pairs): _substitute(v, pairs) for k, v in value.items()}
    return value


def _repeat(name: str, arguments: Any, _scope: Scope) -> list[Any]:
    each = arguments["for_each"]
    if any(items is not None and not isinstance(items, list | dict) for items in each.values()):
        raise TypeError(f'The values of the "for_each" argument to "{name}" must be lists or maps')
    combinations = itertools.product(*(items or [] for items in each.values()))
    template = arguments["template"]
    return [_substitute(template, list(zip(each, c, strict=True))) for c in combinations]


def _is_get_attr(name: str, arguments: Any, version: str) -> str | None:
    if not isinstance(arguments, list):
        return f'Argument to "{name}" must be a list'
    if len(arguments) < (1 if version >= _JSON_SINCE else 2):
        return f'Arguments to "{name}" must be of the form [resource_name, attribute, (path), ...]'
    return None


def _is_str_replace(name: str, arguments: Any, _version: str) -> str | None:
    if not isinstance(arguments, dict):
        return f'Arguments to "{name}" must be a map'
    if not {"template", "params"} <= arguments.keys():
        return f'"{name}" syntax should be {name}: {{template: …, params: {{…}}}}'
    if not isinstance(arguments["params"], dict):
        return f'"{name}" parameters must be a mapping'
    return None


def _is_list_join(name: str, arguments: Any, version: str) -> str | None:
    many = version >= _JSON_SINCE
    if isinstance(arguments, list) and (len(arguments) == 2 or (many and len(arguments) > 2)):  # noqa: PLR2004 - a delimiter and a list, or several
        return None
    example = f'"{name}" : [ " ", [ "str1", "str2"]{" ..." if many else ""}]'
    return f'Incorrect arguments to "{name}" should be: {example}'


def _is_str_split(name: str, arguments: Any, _version: str) -> str | None:
    if isinstance(arguments, list) and len(arguments) in (2, 3):
        return None
    return f'Incorrect arguments to "{name}" should be: "{name}" : [ ",", "apples,pears", <index>]'


def _is_map_merge(name: str, arguments: Any, _version: str) -> str | None:
    if isinstance(arguments, list):
        return None
    example = '[ { "key1": "val1" }, { "key2": "val2" } ]'
    return f'Incorrect arguments to "{name}" should be: "{name}" : {example}'


def _is_repeat(name: str, arguments: Any, _version: str) -> str | None:
    if not isinstance(arguments, dict):
        return f'Arguments to "{name}" must be a map'
    if not {"template", "for_each"} <= arguments.keys():
        return f'"{name}" syntax should be {name}: {{template: …, for_each: {{…}}}}'
    if not isinstance(arguments["for_each"], dict):
        return f'The "for_each" argument to "{name}" must contain a map'
    return None


def _anything(_name: str, _arguments: Any, _version: str) -> None:
    return None


class _Function(NamedTuple):
    since: str
    wrong: Callable[[str, Any, str], str | None]
    resolve: Resolver


_FUNCTIONS: Mapping[str, _Function] = {
    "get_param": _Function("2013-05-23", _anything, _get_param),
    "get_resource": _Function("2013-05-23", _anything, _get_resource),
    "get_attr": _Function("2013-05-23", _is_get_attr, _get_attr),
    "str_replace": _Function("2013-05-23", _is_str_replace, _str_replace),
    "list_join": _Function("2013-05-23", _is_list_join, _list_join),
    "repeat": _Function("2015-04-30", _is_repeat, _repeat),
    "str_split": _Function("2015-10-15", _is_str_split, _str_split),
    "map_merge": _Function("2016-04-08", _is_map_merge, _map_merge),
}

_NOT_SIMULATED: Mapping[str, str] = {
    "get_file": "2013-05-23",
    "resource_facade": "2013-05-23",
    "Fn::Select": "2013-05-23",
    "digest": "2015-04-30",
    "map_replace": "2016-10-14",
    "yaql": "2016-10-14",
    "if": "2016-10-14",
    "filter": "2017-02-24",
    "str_replace_strict": "2017-02-24",
    "list_concat": "2017-09-01",
    "list_concat_unique": "2017-09-01",
    "make_url": "2017-09-01",
    "contains": "2017-09-01",
    "str_replace_vstrict": "2018-03-02",
}


def find_call(value: Any, version: str) -> FunctionCall | None:
    """The function that a value is, None if it is plain data.

    Raises:
        StackRejected: ``NotSupported``: Heat knows it, this does not.
    """
    if not isinstance(value, dict) or len(value) != 1:
        return None
    [(name, arguments)] = value.items()
    if name in _FUNCTIONS and _FUNCTIONS[name].since <= version:
        return FunctionCall(name, arguments)
    if name in _NOT_SIMULATED and _NOT_SIMULATED[name] <= version:
        raise rejected("NotSupported", f'The simulator has no "{name}": it is not supported.')
    return None


def check_functions(value: Any, path: Sequence[str], version: str) -> None:
    """Judge the arguments of every function in a value.

    Args:
        value: part of a template.
        path: where it stands.
        version: the template's version, as a date.

    Raises:
        StackRejected: ``StackValidationFailed``.
    """
    call = find_call(value, version)
    if call is not None:
        wrong = _FUNCTIONS[call.name].wrong(call.name, call.arguments, version)
        if wrong is not None:
            raise invalid(wrong, path=[*path, call.name])
    for key, item in _children(value):
        check_functions(item, [*path, key], version)


def _children(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        yield from ((str(key), item) for key, item in value.items())
    elif isinstance(value, list):
        yield from ((str(index), item) for index, item in enumerate(value))


def references(value: Any, version: str, path: str = "") -> Iterator[Reference]:
    """Every resource that a value refers to.

    Args:
        value: part of a template.
        version: the template's version, as a date.
        path: where it stands.
    """
    call = find_call(value, version)
    if call is not None and call.name == "get_resource":
        yield Reference(call.name, str(call.arguments), None, path)
    elif call is not None and call.name == "get_attr":
        resource, *rest = call.arguments
        attribute = rest[0] if rest and isinstance(rest[0], str) else None
        yield Reference(call.name, str(resource), attribute, path)
    for key, item in _children(value):
        step = f"[{key}]" if isinstance(value, list) else f".{key}"
        yield from references(item, version, path + step)


def resolve(value: Any, scope: Scope) -> Any:
    """A value with its functions replaced by their results, innermost first.

    Raises:
        StackRejected: a parameter that there is not.
        TypeError: an argument of the wrong type.
        ValueError: an argument out of range.
    """
    call = find_call(value, scope.version)
    if call is not None:
        arguments = resolve(call.arguments, scope)
        return _FUNCTIONS[call.name].resolve(call.name, arguments, scope)
    if isinstance(value, dict):
        return {key: resolve(item, scope) for key, item in value.items()}
    return [resolve(item, scope) for item in value] if isinstance(value, list) else value
