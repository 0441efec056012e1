"""Secrets: which keys hold them, and how they are kept out of what is shown (``rules`` 29)."""

from __future__ import annotations

import functools
import itertools
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

__all__ = ["MASK", "Redactor", "is_secret_key"]

MASK = "***"
"""What stands in place of a secret."""

_SECRET_WORDS = frozenset({"passwd", "secret", "token", "private_key", "api_key"})
_SEPARATORS = re.compile(r"[^A-Za-z0-9]+|(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_SHORTEST = 4
_KNOWN_KEYS = 4096
_CUT = "…"
_NAMED_BY = {"value": "param", "output_value": "output_key"}


@functools.lru_cache(_KNOWN_KEYS)
def is_secret_key(key: str) -> bool:
    """Whether what stands under a key is a secret, unless the embedder says otherwise.

    Any key containing ``password``, and the whole words passwd, secret, token, private_key and
    api_key, wherever they stand in it: ``auth_token``, ``clientSecret``, but not ``tokens``.
    """
    if "password" in key.lower():
        return True
    words = [word.lower() for word in _SEPARATORS.split(key) if word]
    pairs = {f"{first}_{second}" for first, second in itertools.pairwise(words)}
    return not _SECRET_WORDS.isdisjoint({*words, *pairs})


class Redactor:
    """Masks what stands under secret keys, and the same values wherever else they turn up.

    Args:
        is_secret: which keys are secret; the embedder's to name.
    """

    def __init__(self, is_secret: Callable[[str], bool] = is_secret_key) -> None:
        self._is_secret = is_secret

    def redact(self, value: Any) -> Any:
        """A copy of a JSON value with its secrets masked.

        A param's ``value`` goes by the name in ``param``, an output's ``output_value`` by that in
        ``output_key``.
        """
        if isinstance(value, Mapping):
            return {
                key: MASK if self._hides(key, value) else self.redact(item)
                for key, item in value.items()
            }
        if isinstance(value, list | tuple):
            return [self.redact(item) for item in value]
        return value

    def secrets_in(self, *values: Any) -> frozenset[str]:
        """The secret texts in JSON values, and as they stand in quotations and on one line."""
        plain = {text for value in values for text in self._secrets(value)}
        return frozenset(spelling for text in plain for spelling in _spellings(text))

    def scrub(self, text: str, secrets: Iterable[str]) -> str:
        """A text without secrets.

        A secret of fewer than four characters is masked only where it stands as a word, or no
        text would be left. Where a text was cut, with ``…``, what is left of a secret is, too.
        """
        for secret in sorted(secrets, key=len, reverse=True):
            if len(secret) >= _SHORTEST:
                text = _mask_cut(text.replace(secret, MASK), secret)
            elif secret:
                text = re.sub(rf"(?<!\w){re.escape(secret)}(?!\w)", MASK, text)
        return text

    def _hides(self, key: str, container: Mapping[str, Any]) -> bool:
        if self._is_secret(key):
            return True
        if key not in _NAMED_BY:
            return False
        named = container.get(_NAMED_BY[key])
        return isinstance(named, str) and self._is_secret(named)

    def _secrets(self, value: Any) -> Iterator[str]:
        if isinstance(value, Mapping):
            for key, item in value.items():
                yield from self._texts(item) if self._hides(key, value) else self._secrets(item)
        elif isinstance(value, list | tuple):
            for item in value:
                yield from self._secrets(item)

    def _texts(self, value: Any) -> Iterator[str]:
        if isinstance(value, str):
            yield value
        elif isinstance(value, Mapping):
            for item in value.values():
                yield from self._texts(item)
        elif isinstance(value, list | tuple):
            for item in value:
                yield from self._texts(item)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield str(value)


def _spellings(text: str) -> set[str]:
    return {text, json.dumps(text)[1:-1], repr(text)[1:-1], " ".join(text.split())}


def _mask_cut(text: str, secret: str) -> str:
    """Mask the beginnings of a secret that a cut has left."""
    if _CUT not in text:
        return text
    pieces = text.split(_CUT)
    return _CUT.join([*(_without_end(piece, secret) for piece in pieces[:-1]), pieces[-1]])


def _without_end(text: str, secret: str) -> str:
    lengths = range(len(secret) - 1, _SHORTEST - 1, -1)
    length = next((length for length in lengths if text.endswith(secret[:length])), 0)
    return f"{text[:-length]}{MASK}" if length else text
