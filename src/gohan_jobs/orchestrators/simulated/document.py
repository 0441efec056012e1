"""A template's text, parsed as Heat parses it: JSON, or else YAML without dates."""

from __future__ import annotations

import json
from typing import Any

import yaml

from gohan_jobs.orchestrators.simulated.rejections import bad_request

__all__ = ["VERSION_KEYS", "parse_document"]

VERSION_KEYS = ("heat_template_version", "HeatTemplateFormatVersion", "AWSTemplateFormatVersion")
"""The keys one of which a template must have."""

_NOT_VALID = "Template not in valid format: "


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]  # a choice of bases
    """PyYAML's safe loader, which leaves ``2013-05-23`` the text it is."""


def _text(loader: _Loader, node: yaml.ScalarNode) -> str:
    return str(loader.construct_scalar(node))


_Loader.add_constructor("tag:yaml.org,2002:timestamp", _text)


def _parse(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        pass
    try:
        return yaml.load(text, Loader=_Loader)  # noqa: S506 - a safe loader's subclass
    except yaml.YAMLError as error:
        raise bad_request(f"{_NOT_VALID}Error parsing template [root stack] {error}") from error


def parse_document(text: str) -> dict[str, Any]:
    """Parse a template's text.

    Raises:
        StackRejected: it is neither JSON nor YAML, not a mapping, or names no version.
    """
    document = _parse(text)
    if document is None:
        document = {}
    if not isinstance(document, dict):
        raise bad_request(f"{_NOT_VALID}The template is not a JSON object or YAML mapping.")
    if not any(key in document for key in VERSION_KEYS):
        raise bad_request(f"{_NOT_VALID}Template format version not found.")
    try:
        # Heat sends templates on as JSON, which makes every key a text.
        return dict(json.loads(json.dumps(document)))
    except (TypeError, ValueError) as error:
        raise bad_request(f"{_NOT_VALID}{error}") from error
