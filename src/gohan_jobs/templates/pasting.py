"""A value pasted into a template must stay the text that it is.

Heat parameters travel as JSON, whatever they hold. A ``jinja_*`` value is pasted into YAML
instead, and ``x: {{ jinja_name }}`` with a name of ``a, evil: {type: …}`` or with a newline in it
would become something else than the template's author wrote.

Looking for bad characters can't decide that: ``#`` and ``: `` are harmless in a block literal, a
colon is common in addresses, and a quote is a matter of what stands around. So the *effect* is
looked at: the output is parsed twice, once as it is and once with each value that is not plainly
harmless replaced by a harmless word. Both must give the same YAML events: the same collections,
styles, tags and anchors, and scalars that are equal once the words are replaced by the values.
Then every pasted value is part of one scalar (or comment) and arrives there unchanged.

Most values (names, numbers, UUIDs, addresses) are of letters, digits, ``_``, ``.``, ``/`` and
``-``, begin with a letter or a digit, and need no parse at all. A type may still change, as it
always did: a pasted ``1025`` is a number to YAML, and ``null`` is null.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from itertools import zip_longest
from typing import Any

import yaml

from gohan_jobs.exceptions import TemplateInvalid
from gohan_jobs.templates.statements import Piece

__all__ = ["check_pasted"]

# YAML 1.1 gives these a meaning as plain keys.
_SPECIAL = {"<<", "="}
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def check_pasted(template: str, pieces: Sequence[Piece]) -> None:
    """Check that every pasted value stays text.

    Raises:
        TemplateInvalid: naming the expressions whose values would change the YAML around them, or
            saying that the template is no YAML to begin with.
    """
    risky = [index for index, piece in enumerate(pieces) if piece.source]
    if not risky:
        return
    check = _Check(template, pieces)
    if check.unchanged(risky):
        return
    culprits = [index for index in risky if not check.unchanged([index])] or risky
    names = ", ".join(dict.fromkeys(f"{{{{ {pieces[index].source} }}}}" for index in culprits))
    reason = f"the value of {names} would change the structure of the YAML it is pasted into"
    raise TemplateInvalid(template, reason, pieces[culprits[0]].line)


class _Check:
    """Compares an output with itself, values replaced by harmless words."""

    def __init__(self, template: str, pieces: Sequence[Piece]) -> None:
        self._pieces = pieces
        text = "".join(piece.text for piece in pieces)
        self._word = "gj"
        while self._word in text:
            self._word += "x"
        self._pattern = re.compile(self._word + r"(\d+)z")
        try:  # a lone surrogate is a ValueError
            for _ in yaml.parse(self._text(as_is=frozenset()), _LOADER):
                pass
        except (yaml.YAMLError, ValueError):
            reason = "not YAML, so it can't be told what a pasted value would change"
            raise TemplateInvalid(template, reason) from None

    def _text(self, as_is: frozenset[int]) -> str:
        return "".join(
            f"{self._word}{index}z" if piece.source and index not in as_is else piece.text
            for index, piece in enumerate(self._pieces)
        )

    def unchanged(self, values: Sequence[int]) -> bool:
        """Whether pasting these values, and words for the others, leaves the structure as it is."""
        pasted = frozenset(values)
        try:
            pairs = zip_longest(
                _events(self._text(as_is=pasted), str),
                _events(self._text(as_is=frozenset()), self._filled(pasted)),
            )
            return all(found == expected for found, expected in pairs)
        except (yaml.YAMLError, ValueError):
            return False

    def _filled(self, pasted: frozenset[int]) -> Callable[[str], str]:
        """Puts values where words are; a scalar that YAML would take for a sign matches nothing."""

        def value(match: re.Match[str]) -> str:
            index = int(match[1])
            return self._pieces[index].text if index in pasted else match[0]

        def fill(text: str) -> str:
            filled = self._pattern.sub(value, text)
            return filled if filled == text or filled not in _SPECIAL else ""

        return fill


def _events(text: str, fill: Callable[[str], str]) -> Iterator[tuple[Any, ...]]:
    """What matters of each YAML event; ``fill`` is applied to every text in it."""
    for event in yaml.parse(text, _LOADER):
        names = ("anchor", "tag", "value")
        texts = [None if found is None else fill(found) for found in _fields(event, names)]
        yield (
            type(event),
            *texts,
            *_fields(event, ("style", "flow_style", "implicit", "explicit")),
        )


def _fields(event: Any, names: tuple[str, ...]) -> list[Any]:
    return [getattr(event, name, None) for name in names]
