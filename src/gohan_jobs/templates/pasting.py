"""A value pasted into a template must stay the text that it is.

Heat parameters travel as JSON, whatever they hold. A ``jinja_*`` value is pasted into YAML
instead, and ``x: {{ jinja_name }}`` with a name of ``a, evil: {type: …}`` or with a newline in it
would become something else than the template's author wrote.

Looking for bad characters can't decide that: a ``#``, or a colon and a blank, is harmless in a
block literal, a colon is common in addresses, and a quote is a matter of what stands around. So
the *effect* is looked at: the output is parsed twice, once as it is and once with each value that
is not plainly harmless replaced by a harmless word. Both must give the same YAML events: the same
collections, styles, tags and anchors, and scalars that are equal once the words are replaced by
the values.
Then every pasted value is part of one scalar (or comment) and arrives there unchanged. Several
lines may be pasted into a block literal, such as a router's configuration: the later ones need the
block's indentation, which YAML takes off, so that those arrive with fewer leading blanks.

Most values (names, numbers, UUIDs, addresses) are of letters, digits, ``_``, ``.``, ``/`` and
``-``, begin with a letter or a digit, and need no parse at all. A list of such may be pasted
whole. Of these a type may still change, as it always did: a pasted ``1025`` is a number to YAML,
and ``null`` is null; of all others, ``~`` or ``12:30`` say, it may not. And a template that takes
a whole *key* from a value leaves the choice of the key to whoever gives the value.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from itertools import zip_longest
from typing import Any, TypeAlias

import yaml

from gohan_jobs.exceptions import TemplateInvalid
from gohan_jobs.templates.statements import Piece

__all__ = ["check_pasted"]

_INDENT = re.compile("^ +", re.MULTILINE)
_RESOLVER: Any = yaml.resolver.Resolver()
_TEXT = "tag:yaml.org,2002:str"
_Fill: TypeAlias = Callable[[str, bool], str | None]
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
        lines = any("\n" in self._pieces[index].text for index in pasted)
        try:
            pairs = zip_longest(
                _events(self._text(as_is=pasted), lambda text, _plain: text, lines=lines),
                _events(self._text(as_is=frozenset()), self._filled(pasted), lines=lines),
            )
            return all(found == expected for found, expected in pairs)
        except (yaml.YAMLError, ValueError):
            return False

    def _filled(self, pasted: frozenset[int]) -> _Fill:
        """Puts values where words are."""

        def value(match: re.Match[str]) -> str:
            index = int(match[1])
            return self._pieces[index].text if index in pasted else match[0]

        def fill(text: str, plain: bool) -> str | None:  # noqa: FBT001 - a callback
            filled = self._pattern.sub(value, text)
            return None if filled != text and plain and not _is_text(filled) else filled

        return fill


def _is_text(plain: str) -> bool:
    """Whether YAML takes a plain scalar for text, and not for a number, null or a merge key."""
    return bool(_RESOLVER.resolve(yaml.ScalarNode, plain, (True, False)) == _TEXT)


def _events(text: str, fill: _Fill, *, lines: bool) -> Iterator[tuple[Any, ...]]:
    """What matters of each YAML event; ``fill`` is applied to every text in it.

    With ``lines``, the blanks that lines of block literals begin with do not matter.
    """
    for event in yaml.parse(text, _LOADER):
        value, style, *others = _fields(
            event, "value", "style", "flow_style", "implicit", "explicit"
        )
        filled = None if value is None else fill(value, not style)
        if lines and filled and style == "|":
            filled = _INDENT.sub("", filled)
        names = [name and fill(name, False) for name in _fields(event, "anchor", "tag")]  # noqa: FBT003
        yield (type(event), filled, style, *names, *others)


def _fields(event: Any, *names: str) -> list[Any]:
    return [getattr(event, name, None) for name in names]
